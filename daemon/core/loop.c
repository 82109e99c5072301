#include "daemon/core/loop.h"
#include "proto/buf.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

struct post {
	void (*fn)(void *arg);
	void *arg;
	struct post *next;
};

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	pthread_mutex_t lock; /* guards first, last, closed */
	struct post *first, *last;
	bool closed;	   /* no more posts are taken */
	bool stopping;	   /* loop thread only */
	pthread_t thread;  /* set before running */
	pthread_t started; /* of loop_start_thread, for loop_join */
	_Atomic bool running;
	bool threaded;
	char name[16];
};

static void run_posts(struct loop *l)
{
	struct post *p;

	pthread_mutex_lock(&l->lock);
	p = l->first;
	l->first = l->last = NULL;
	pthread_mutex_unlock(&l->lock);
	while (p) {
		struct post *next = p->next;

		p->fn(p->arg);
		free(p);
		p = next;
	}
}

static void on_wake(uv_async_t *a)
{
	struct loop *l = a->data;

	run_posts(l);
	if (l->stopping)
		uv_stop(&l->uv);
}

struct loop *loop_new(const char *name)
{
	struct loop *l = xcalloc(1, sizeof *l);

	if (uv_loop_init(&l->uv) != 0 || uv_async_init(&l->uv, &l->wake, on_wake) != 0)
		abort();
	l->wake.data = l;
	pthread_mutex_init(&l->lock, NULL);
	strncpy(l->name, name, sizeof l->name - 1);
	return l;
}

static void close_handle(uv_handle_t *h, void *arg)
{
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	run_posts(l);
	/* Owners close their handles; what is left is ours (the mailbox) or a bug that ASan names.
	 */
	uv_close((uv_handle_t *)&l->wake, NULL);
	uv_run(&l->uv, UV_RUN_NOWAIT);
	if (uv_loop_close(&l->uv) == UV_EBUSY) {
		uv_walk(&l->uv, close_handle, NULL);
		uv_run(&l->uv, UV_RUN_DEFAULT);
		uv_loop_close(&l->uv);
	}
	pthread_mutex_destroy(&l->lock);
	free(l);
}

uv_loop_t *loop_uv(struct loop *l)
{
	return &l->uv;
}

void loop_run(struct loop *l)
{
	l->thread = pthread_self();
	l->running = true;
	while (!l->stopping)
		uv_run(&l->uv, UV_RUN_DEFAULT);
	run_posts(l);
	l->running = false;
}

static void *loop_main(void *arg)
{
	struct loop *l = arg;

	pthread_setname_np(pthread_self(), l->name);
	loop_run(l);
	return NULL;
}

void loop_start_thread(struct loop *l)
{
	l->threaded = true;
	if (pthread_create(&l->started, NULL, loop_main, l) != 0)
		abort();
}

void loop_join(struct loop *l)
{
	if (l->threaded)
		pthread_join(l->started, NULL);
	l->threaded = false;
}

static void do_stop(void *arg)
{
	struct loop *l = arg;

	l->stopping = true;
	uv_stop(&l->uv);
}

void loop_stop(struct loop *l)
{
	loop_post(l, do_stop, l);
	pthread_mutex_lock(&l->lock);
	l->closed = true;
	pthread_mutex_unlock(&l->lock);
}

bool loop_is_here(const struct loop *l)
{
	return l->running && pthread_equal(l->thread, pthread_self());
}

bool loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct post *p = xmalloc(sizeof *p);
	bool ok;

	*p = (struct post){fn, arg, NULL};
	pthread_mutex_lock(&l->lock);
	ok = !l->closed;
	if (ok) {
		if (l->last)
			l->last->next = p;
		else
			l->first = p;
		l->last = p;
		/* Inside the lock: after loop_stop's caller has closed us the handle may be gone.
		 */
		uv_async_send(&l->wake);
	}
	pthread_mutex_unlock(&l->lock);
	if (!ok)
		free(p);
	return ok;
}

struct call {
	void (*fn)(void *arg);
	void *arg;
	bool done;
	pthread_mutex_t lock;
	pthread_cond_t cond;
};

static void do_call(void *arg)
{
	struct call *c = arg;

	c->fn(c->arg);
	pthread_mutex_lock(&c->lock);
	c->done = true;
	pthread_cond_signal(&c->cond);
	pthread_mutex_unlock(&c->lock);
}

void loop_call(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct call c = {.fn = fn, .arg = arg};

	assert(!loop_is_here(l));
	pthread_mutex_init(&c.lock, NULL);
	pthread_cond_init(&c.cond, NULL);
	if (loop_post(l, do_call, &c)) {
		pthread_mutex_lock(&c.lock);
		while (!c.done)
			pthread_cond_wait(&c.cond, &c.lock);
		pthread_mutex_unlock(&c.lock);
	}
	pthread_cond_destroy(&c.cond);
	pthread_mutex_destroy(&c.lock);
}

struct loop_timer {
	uv_timer_t uv;
	void (*fn)(void *arg);
	void *arg;
};

static void timer_free(uv_handle_t *h)
{
	free(h->data);
}

static void timer_fire(uv_timer_t *h)
{
	struct loop_timer *t = h->data;
	void (*fn)(void *arg) = t->fn;
	void *arg = t->arg;

	uv_close((uv_handle_t *)h, timer_free);
	fn(arg);
}

struct loop_timer *loop_timer_start(struct loop *l, uint64_t ms, void (*fn)(void *arg), void *arg)
{
	struct loop_timer *t = xcalloc(1, sizeof *t);

	ASSERT_ON(l);
	t->fn = fn;
	t->arg = arg;
	t->uv.data = t;
	uv_timer_init(&l->uv, &t->uv);
	uv_timer_start(&t->uv, timer_fire, ms, 0);
	return t;
}

void loop_timer_stop(struct loop_timer *t)
{
	if (t && !uv_is_closing((uv_handle_t *)&t->uv))
		uv_close((uv_handle_t *)&t->uv, timer_free);
}
