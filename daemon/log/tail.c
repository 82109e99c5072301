/* Live tails. The log thread puts records into a tail's queue right after it has written them, the
 * reader's loop takes them out: the first lines and the new ones come from the same thread in the
 * same order as the file, so there is neither gap nor repeat. */
#include "daemon/log/log_int.h"
#include "proto/limits.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define CALL_LINES 128 /* lines of one call back */

struct log_tail {
	struct logd *d;
	struct loop *l;
	void (*cb)(const struct log_line *lines, int count, void *arg);
	void *arg;
	char app_id[LOGD_ID];
	struct log_filter filter;
	int n;
	uint64_t after_seq;
	_Atomic int refs; /* reader, log thread, a post under way */
	/* log thread */
	struct logapp *app; /* NULL = not attached */
	struct log_tail *next;
	/* reader's loop */
	bool closed;
	struct buf now; /* taken from the queue, delivered up to now_at */
	size_t now_at;
	pthread_mutex_t lock; /* guards what follows */
	struct buf queue;     /* records; delivered or dropped up to head */
	size_t head;
	int count, limit;
	uint64_t dropped, dropped_seq;
	wall_us dropped_since;
	bool paused, posted, detached, gone;
};

static void unref(struct log_tail *t)
{
	if (atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	pthread_mutex_destroy(&t->lock);
	buf_clear(&t->queue);
	buf_clear(&t->now);
	free(t);
}

/* --- the reader's loop --- */

/* The records after those that were dropped, with a line in their place. */
static bool take_queue(struct log_tail *t)
{
	uint64_t dropped, seq;
	wall_us since;

	pthread_mutex_lock(&t->lock);
	dropped = t->dropped;
	seq = t->dropped_seq;
	since = t->dropped_since;
	t->dropped = 0;
	buf_reset(&t->now);
	t->now_at = t->head;
	if (t->queue.len > t->head) {
		struct buf empty = t->now;

		t->now = t->queue;
		t->queue = empty;
	} else {
		t->now_at = 0;
	}
	t->head = 0;
	t->count = 0;
	buf_reset(&t->queue);
	pthread_mutex_unlock(&t->lock);
	if (dropped) {
		char ts[CLOCK_ISO_LEN], text[128];
		struct log_line l = {.seq = seq,
				     .ts = clock_wall_us(),
				     .source = "heroku",
				     .proc = "logplex",
				     .text = text};

		clock_iso_us(since, ts);
		l.len = (size_t)snprintf(text, sizeof text,
					 "Error L11 (tail buffer overflow): %llu messages dropped "
					 "since %s.",
					 (unsigned long long)dropped, ts);
		t->cb(&l, 1, t->arg);
	}
	return t->now.len > t->now_at;
}

static bool is_paused(struct log_tail *t)
{
	bool p;

	pthread_mutex_lock(&t->lock);
	p = t->paused;
	pthread_mutex_unlock(&t->lock);
	return p;
}

static void call_back(struct log_tail *t)
{
	struct log_line lines[CALL_LINES];
	int n = 0;

	while (n < CALL_LINES && t->now_at < t->now.len) {
		size_t len =
			seglog_parse(t->now.data + t->now_at, t->now.len - t->now_at, &lines[n]);

		assert(len);
		t->now_at += len;
		n++;
	}
	t->cb(lines, n, t->arg);
}

static void deliver(void *arg)
{
	struct log_tail *t = arg;

	pthread_mutex_lock(&t->lock);
	t->posted = false;
	pthread_mutex_unlock(&t->lock);
	/* cb may pause or close. */
	while (!t->closed && !is_paused(t)) {
		if (t->now_at < t->now.len)
			call_back(t);
		else if (!take_queue(t))
			break;
	}
	unref(t);
}

/* Any thread. Sees to it that deliver runs once more. */
static void wake(struct log_tail *t)
{
	bool post;

	pthread_mutex_lock(&t->lock);
	post = !t->posted && !t->paused && !t->gone;
	if (post)
		t->posted = true;
	pthread_mutex_unlock(&t->lock);
	if (!post)
		return;
	atomic_fetch_add(&t->refs, 1);
	if (!loop_post(t->l, deliver, t))
		unref(t);
}

void log_tail_pause(struct log_tail *t, bool paused)
{
	pthread_mutex_lock(&t->lock);
	t->paused = paused;
	pthread_mutex_unlock(&t->lock);
	if (!paused)
		wake(t);
}

/* --- the log thread --- */

struct log_tail *log_tail_next(struct log_tail *t)
{
	return t->next;
}

/* Nothing of it is on the log thread any more; t may be freed. */
void log_tail_detach(struct log_tail *t)
{
	pthread_mutex_lock(&t->lock);
	t->detached = true;
	pthread_mutex_unlock(&t->lock);
	t->app = NULL;
	unref(t);
}

static void drop_first(struct log_tail *t)
{
	struct log_line l;
	size_t len = seglog_parse(t->queue.data + t->head, t->queue.len - t->head, &l);

	assert(len);
	t->head += len;
	t->count--;
	if (!t->dropped++)
		t->dropped_since = clock_wall_us();
	t->dropped_seq = l.seq;
}

/* The newest lines are kept, the oldest dropped, the drop is told. */
static void push(struct log_tail *t, const char *rec, size_t len)
{
	buf_add(&t->queue, rec, len);
	t->count++;
	while (t->count > t->limit)
		drop_first(t);
	/* Move what is left to the front once more is dead than alive. */
	if (t->head > 65536 && t->head > t->queue.len / 2) {
		buf_drop(&t->queue, t->head);
		t->head = 0;
	}
}

void log_tail_feed(struct log_tail *t, const struct buf *recs)
{
	struct log_line l;
	bool any = false;

	pthread_mutex_lock(&t->lock);
	for (size_t at = 0, len; !t->gone && at < recs->len; at += len) {
		len = seglog_parse(recs->data + at, recs->len - at, &l);
		assert(len);
		if (!log_filter_pass(&t->filter, &l))
			continue;
		push(t, recs->data + at, len);
		any = true;
	}
	pthread_mutex_unlock(&t->lock);
	if (any)
		wake(t);
}

void log_tail_attach(struct log_tail *t)
{
	struct buf recs = {0};
	struct logapp *a;
	int n;

	a = logd_app(t->d, t->app_id);
	if (!a) {
		log_tail_detach(t);
		return;
	}
	n = seglog_read(&a->log, &t->filter, t->after_seq ? -1 : t->n, t->after_seq, &recs, NULL);
	pthread_mutex_lock(&t->lock);
	t->queue = recs;
	t->count = n;
	t->limit = LIM_LOG_TAIL_QUEUE + n;
	pthread_mutex_unlock(&t->lock);
	t->app = a;
	t->next = a->tails;
	a->tails = t;
	if (n)
		wake(t);
}

static void leave(void *arg)
{
	struct log_tail *t = arg;

	if (t->app) {
		struct log_tail **p = &t->app->tails;

		while (*p != t)
			p = &(*p)->next;
		*p = t->next;
		log_tail_detach(t);
	}
	unref(t); /* of the post */
}

/* --- open and close --- */

struct log_tail *logd_tail(struct logd *d, const char *app_id, const struct log_filter *f, int n,
			   uint64_t after_seq, struct loop *l,
			   void (*cb)(const struct log_line *lines, int count, void *arg),
			   void *arg)
{
	struct log_tail *t = xcalloc(1, sizeof *t);

	t->d = d;
	t->l = l;
	t->cb = cb;
	t->arg = arg;
	t->n = n < 0 ? 0 : n;
	t->after_seq = after_seq;
	t->refs = 2; /* reader, log thread */
	t->limit = LIM_LOG_TAIL_QUEUE;
	if (f)
		t->filter = *f;
	snprintf(t->app_id, sizeof t->app_id, "%s", app_id);
	pthread_mutex_init(&t->lock, NULL);
	if (!logd_queue_tail(d, t))
		log_tail_detach(t);
	return t;
}

void log_tail_close(struct log_tail *t)
{
	bool detached;

	if (!t)
		return;
	t->closed = true;
	pthread_mutex_lock(&t->lock);
	t->gone = true;
	detached = t->detached; /* then d may be gone */
	if (!detached) {
		atomic_fetch_add(&t->refs, 1);
		/* Inside the lock: logd_stop takes it for each tail before the loop goes. */
		if (!loop_post(t->d->loop, leave, t))
			atomic_fetch_sub(&t->refs, 1);
	}
	pthread_mutex_unlock(&t->lock);
	unref(t);
}
