/* Requests to partners: made on out's loop, awaited by the worker that asks. */
#include "daemon/addon/addon_int.h"

#include <stdio.h>

struct request {
	struct addons *a;
	const struct out_request *r;
	struct request *next;
	/* under a->lock */
	bool done, cut_off;
	struct out_call *call; /* the loop's, too */
	int status;
	enum out_fault fault;
	char why[160];
	struct buf body;
};

/* --- on out's loop --- */

static void on_answer(const struct out_answer *an, void *arg)
{
	struct request *q = arg;

	pthread_mutex_lock(&q->a->lock);
	q->call = NULL;
	q->status = an->status;
	q->fault = an->fault;
	snprintf(q->why, sizeof q->why, "%s", an->why);
	buf_add(&q->body, an->body, an->len);
	q->done = true;
	pthread_cond_broadcast(&q->a->changed);
	pthread_mutex_unlock(&q->a->lock);
}

static void start(void *arg)
{
	struct request *q = arg;
	struct addons *a = q->a;
	struct out_call *call;

	pthread_mutex_lock(&a->lock);
	if (a->closing) {
		q->done = q->cut_off = true;
		pthread_cond_broadcast(&a->changed);
		pthread_mutex_unlock(&a->lock);
		return; /* q may be gone */
	}
	pthread_mutex_unlock(&a->lock);
	call = out_post(a->d.out, q->r, on_answer, q);
	pthread_mutex_lock(&a->lock);
	q->call = call;
	pthread_mutex_unlock(&a->lock);
}

static void cut_off(void *arg)
{
	struct addons *a = arg;

	pthread_mutex_lock(&a->lock);
	for (struct request *q = a->requests; q; q = q->next) {
		if (q->done || !q->call)
			continue; /* else its start comes after us, and sees that we close */
		out_cancel(q->call);
		q->call = NULL;
		q->done = q->cut_off = true;
	}
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

void requests_stop(struct addons *a)
{
	bool any;

	pthread_mutex_lock(&a->lock);
	any = a->requests != NULL;
	pthread_mutex_unlock(&a->lock);
	if (any)
		loop_call(out_loop(a->d.out), cut_off, a);
}

/* --- on the thread that asks --- */

static void run(struct request *q)
{
	struct addons *a = q->a;
	bool posted = false;

	pthread_mutex_lock(&a->lock);
	if (!a->closing) {
		q->next = a->requests;
		a->requests = q;
		posted = true;
	}
	pthread_mutex_unlock(&a->lock);
	if (!posted) {
		q->cut_off = true;
		return;
	}
	posted = loop_post(out_loop(a->d.out), start, q);
	pthread_mutex_lock(&a->lock);
	if (!posted)
		q->done = q->cut_off = true;
	while (!q->done)
		pthread_cond_wait(&a->changed, &a->lock);
	for (struct request **k = &a->requests; *k; k = &(*k)->next)
		if (*k == q) {
			*k = q->next;
			break;
		}
	pthread_mutex_unlock(&a->lock);
}

int request_await(struct addons *a, const struct out_request *r, struct reply *out, struct err *err)
{
	struct request q = {.a = a, .r = r};

	run(&q);
	if (q.cut_off) {
		buf_clear(&q.body);
		return err_set(err, ERR_CANCELED, "paasd is stopping");
	}
	if (!q.status) {
		buf_clear(&q.body);
		return err_set(err, q.fault == OUT_TOO_SLOW ? ERR_TIMEOUT : ERR_UNAVAILABLE, "%s",
			       q.why);
	}
	*out = (struct reply){q.status, q.body};
	return 0;
}
