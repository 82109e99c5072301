#include "daemon/core/pool.h"
#include "proto/buf.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define KEEP_MS 20000

struct job {
	void (*fn)(void *arg);
	void *arg;
	struct job *next;
};

enum worker_state { W_NONE, W_RUNS, W_ENDED /* to be joined */ };

struct worker {
	pthread_t tid;
	enum worker_state state;
	struct pool *p;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct job *first, *last;
	int queued, max_queued, threads, running, idle, keep_ms;
	bool stop;
	struct worker *workers; /* owned: threads of them */
	char name[12];
};

/* Under the lock. False: no job, and none came for a while. */
static bool await_job(struct pool *p)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += p->keep_ms % 1000 * 1000000L;
	until.tv_sec += p->keep_ms / 1000 + until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	p->idle++;
	while (!p->first && !p->stop && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&p->more, &p->lock, &until);
	p->idle--;
	return p->first != NULL;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct pool *p = w->p;

	pthread_mutex_lock(&p->lock);
	while (p->first || (!p->stop && await_job(p))) {
		struct job *j = p->first;

		p->first = j->next;
		if (!p->first)
			p->last = NULL;
		p->queued--;
		pthread_mutex_unlock(&p->lock);
		j->fn(j->arg);
		free(j);
		pthread_mutex_lock(&p->lock);
	}
	w->state = W_ENDED;
	p->running--;
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Worker threads leave signals to the main thread. */
static int try_spawn(pthread_t *tid, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(tid, attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

static void spawn(pthread_t *tid, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	if (try_spawn(tid, attr, fn, arg) != 0)
		abort();
}

/* Under the lock, before another job is queued: one thread more, when none is free for it. */
static void grow(struct pool *p)
{
	struct worker *w = p->workers;
	char full[16];

	if (p->queued < p->idle || p->running == p->threads)
		return;
	while (w->state == W_RUNS)
		w++;
	if (w->state == W_ENDED)
		pthread_join(w->tid, NULL); /* it has let go of the lock for good */
	w->state = W_NONE;
	w->p = p;
	if (try_spawn(&w->tid, NULL, worker_main, w) != 0)
		return;
	w->state = W_RUNS;
	p->running++;
	snprintf(full, sizeof full, "%s%d", p->name, (int)(w - p->workers) % 1000);
	pthread_setname_np(w->tid, full);
}

struct pool *pool_new(const char *name, int threads, int max_queued)
{
	struct pool *p = xcalloc(1, sizeof *p);
	pthread_condattr_t attr;

	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->more, &attr);
	pthread_condattr_destroy(&attr);
	p->threads = threads;
	p->max_queued = max_queued;
	p->keep_ms = KEEP_MS;
	p->workers = xcalloc((size_t)threads, sizeof *p->workers);
	snprintf(p->name, sizeof p->name, "%s", name);
	return p;
}

void pool_keep(struct pool *p, int ms)
{
	pthread_mutex_lock(&p->lock);
	p->keep_ms = ms;
	pthread_mutex_unlock(&p->lock);
}

static bool has_begun(struct pool *p, int i)
{
	bool begun;

	pthread_mutex_lock(&p->lock);
	begun = p->workers[i].state != W_NONE;
	pthread_mutex_unlock(&p->lock);
	return begun;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->lock);
	for (int i = 0; i < p->threads; i++)
		if (has_begun(p, i))
			pthread_join(p->workers[i].tid, NULL);
	pthread_cond_destroy(&p->more);
	pthread_mutex_destroy(&p->lock);
	free(p->workers);
	free(p);
}

static void append(struct pool *p, struct job *j)
{
	if (p->last)
		p->last->next = j;
	else
		p->first = j;
	p->last = j;
	p->queued++;
}

bool pool_submit(struct pool *p, void (*fn)(void *arg), void *arg)
{
	struct job *j = xmalloc(sizeof *j);
	bool ok;

	*j = (struct job){fn, arg, NULL};
	pthread_mutex_lock(&p->lock);
	ok = !p->stop && p->queued < p->max_queued;
	if (ok)
		grow(p);
	ok = ok && p->running > 0; /* the system may have no thread for us */
	if (ok) {
		append(p, j);
		pthread_cond_signal(&p->more);
	}
	pthread_mutex_unlock(&p->lock);
	if (!ok)
		free(j);
	return ok;
}

struct start {
	void (*fn)(void *arg);
	void *arg;
	char name[16];
};

static void *start_main(void *arg)
{
	struct start s = *(struct start *)arg;

	free(arg);
	pthread_setname_np(pthread_self(), s.name);
	s.fn(s.arg);
	return NULL;
}

void thread_start(const char *name, void (*fn)(void *arg), void *arg)
{
	struct start *s = xmalloc(sizeof *s);
	pthread_attr_t attr;
	pthread_t tid;

	*s = (struct start){.fn = fn, .arg = arg};
	snprintf(s->name, sizeof s->name, "%s", name);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	spawn(&tid, &attr, start_main, s);
	pthread_attr_destroy(&attr);
}

struct thread {
	pthread_t tid;
};

struct thread *thread_new(const char *name, void (*fn)(void *arg), void *arg)
{
	struct thread *t = xmalloc(sizeof *t);
	struct start *s = xmalloc(sizeof *s);

	*s = (struct start){.fn = fn, .arg = arg};
	snprintf(s->name, sizeof s->name, "%s", name);
	spawn(&t->tid, NULL, start_main, s);
	return t;
}

void thread_join(struct thread *t)
{
	if (!t)
		return;
	pthread_join(t->tid, NULL);
	free(t);
}
