#include "daemon/core/pool.h"
#include "proto/buf.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct job {
	void (*fn)(void *arg);
	void *arg;
	struct job *next;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct job *first, *last;
	int queued, max_queued, threads;
	bool stop;
	pthread_t *tids; /* owned */
	char name[12];
};

static void *pool_main(void *arg)
{
	struct pool *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct job *j;

		while (!p->first && !p->stop)
			pthread_cond_wait(&p->more, &p->lock);
		j = p->first;
		if (!j)
			break;
		p->first = j->next;
		if (!p->first)
			p->last = NULL;
		p->queued--;
		pthread_mutex_unlock(&p->lock);
		j->fn(j->arg);
		free(j);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Worker threads leave signals to the main thread. */
static void spawn(pthread_t *tid, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(tid, attr, fn, arg) != 0)
		abort();
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

struct pool *pool_new(const char *name, int threads, int max_queued)
{
	struct pool *p = xcalloc(1, sizeof *p);

	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	p->threads = threads;
	p->max_queued = max_queued;
	p->tids = xcalloc((size_t)threads, sizeof *p->tids);
	snprintf(p->name, sizeof p->name, "%s", name);
	for (int i = 0; i < threads; i++) {
		char full[16];

		spawn(&p->tids[i], NULL, pool_main, p);
		snprintf(full, sizeof full, "%s%d", p->name, i % 1000);
		pthread_setname_np(p->tids[i], full);
	}
	return p;
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
		pthread_join(p->tids[i], NULL);
	pthread_cond_destroy(&p->more);
	pthread_mutex_destroy(&p->lock);
	free(p->tids);
	free(p);
}

bool pool_submit(struct pool *p, void (*fn)(void *arg), void *arg)
{
	struct job *j = xmalloc(sizeof *j);
	bool ok;

	*j = (struct job){fn, arg, NULL};
	pthread_mutex_lock(&p->lock);
	ok = !p->stop && p->queued < p->max_queued;
	if (ok) {
		if (p->last)
			p->last->next = j;
		else
			p->first = j;
		p->last = j;
		p->queued++;
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
