/* Names are looked up on threads of this module: a resolver that does not answer must hold up
 * neither the loop nor libuv's own few threads, which sync the logs. */
#include "daemon/core/pool.h"
#include "daemon/out/out_int.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

#define THREADS 8

struct out_lookup {
	struct out_resolver *r;
	struct out_lookup *next; /* waiting for a thread */
	char *host;
	char port[8];
	struct addrinfo *found;
	/* loop's thread; done NULL = canceled */
	void (*done)(struct addrinfo *ai, void *arg);
	void *arg;
};

struct out_resolver {
	pthread_mutex_t lock; /* guards all of it */
	struct loop *l;	      /* NULL after close: threads that are late tell nobody */
	struct out_lookup *first, **last;
	int threads;
};

static void lookup_free(struct out_lookup *k)
{
	if (k->found)
		freeaddrinfo(k->found);
	free(k->host);
	free(k);
}

static void finished(void *arg)
{
	struct out_lookup *k = arg;
	struct addrinfo *ai = STEAL(k->found);

	if (k->done)
		k->done(ai, k->arg);
	else if (ai)
		freeaddrinfo(ai);
	lookup_free(k);
}

static void look_up(struct out_lookup *k)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};

	if (getaddrinfo(k->host, k->port, &hints, &k->found) != 0)
		k->found = NULL;
}

/* Takes the next; the last thread frees a resolver that was closed. */
static struct out_lookup *take(struct out_resolver *r)
{
	struct out_lookup *k;
	bool last;

	pthread_mutex_lock(&r->lock);
	k = r->first;
	if (k) {
		r->first = k->next;
		r->last = r->first ? r->last : &r->first;
	} else {
		r->threads--;
	}
	last = !k && !r->threads && !r->l;
	pthread_mutex_unlock(&r->lock);
	if (last) {
		pthread_mutex_destroy(&r->lock);
		free(r);
	}
	return k;
}

static void run(void *arg)
{
	struct out_resolver *r = arg;
	struct out_lookup *k;

	while ((k = take(r)) != NULL) {
		look_up(k);
		pthread_mutex_lock(&r->lock);
		if (!r->l || !loop_post(r->l, finished, k))
			lookup_free(k);
		pthread_mutex_unlock(&r->lock);
	}
}

struct out_lookup *out_resolve(struct out_resolver *r, const char *host, int port,
			       void (*done)(struct addrinfo *ai, void *arg), void *arg)
{
	struct out_lookup *k = xcalloc(1, sizeof *k);
	bool more;

	*k = (struct out_lookup){.r = r, .host = xstrdup(host), .done = done, .arg = arg};
	snprintf(k->port, sizeof k->port, "%d", port);
	pthread_mutex_lock(&r->lock);
	*r->last = k;
	r->last = &k->next;
	more = r->threads < THREADS;
	r->threads += more;
	pthread_mutex_unlock(&r->lock);
	if (more)
		thread_start("resolve", run, r);
	return k;
}

void out_lookup_cancel(struct out_lookup *k)
{
	if (k)
		k->done = NULL;
}

struct out_resolver *out_resolver_new(struct loop *l)
{
	struct out_resolver *r = xcalloc(1, sizeof *r);

	r->l = l;
	r->last = &r->first;
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

void out_resolver_close(struct out_resolver *r)
{
	struct out_lookup *waiting;
	bool idle;

	pthread_mutex_lock(&r->lock);
	r->l = NULL;
	waiting = r->first;
	r->first = NULL;
	r->last = &r->first;
	idle = r->threads == 0;
	pthread_mutex_unlock(&r->lock);
	while (waiting) {
		struct out_lookup *next = waiting->next;

		lookup_free(waiting);
		waiting = next;
	}
	if (idle) {
		pthread_mutex_destroy(&r->lock);
		free(r);
	}
}
