#include "daemon/api/replay.h"
#include "daemon/core/codec.h"
#include "proto/buf.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

struct entry {
	TAILQ_ENTRY(entry) link;
	struct replay_key key;
	char body[65]; /* its SHA-256 */
	int status;    /* 0 = being carried out */
	int waiting;   /* threads in wait_done: it must stay */
	bool gone;     /* failed: who waited carries it out */
	char *text;    /* owned */
	size_t n;
	mono_ms since;
};
TAILQ_HEAD(entries, entry);

struct api_replays {
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t ended;
	struct entries list; /* oldest first */
	int count;
	size_t bytes;
};

struct api_replays *api_replays_new(void)
{
	struct api_replays *rs = xcalloc(1, sizeof *rs);
	pthread_condattr_t attr;

	pthread_mutex_init(&rs->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&rs->ended, &attr);
	pthread_condattr_destroy(&attr);
	TAILQ_INIT(&rs->list);
	return rs;
}

static void drop(struct api_replays *rs, struct entry *e)
{
	TAILQ_REMOVE(&rs->list, e, link);
	rs->count--;
	rs->bytes -= e->n;
	if (e->text)
		explicit_bzero(e->text, e->n); /* new tokens are answers, too */
	free(e->text);
	free(e);
}

void api_replays_free(struct api_replays *rs)
{
	struct entry *e;

	if (!rs)
		return;
	while ((e = TAILQ_FIRST(&rs->list)))
		drop(rs, e);
	pthread_cond_destroy(&rs->ended);
	pthread_mutex_destroy(&rs->lock);
	free(rs);
}

static bool has_uuid(const char *list)
{
	char first[37];
	size_t n = strcspn(list, ",");

	if (n != 36)
		return false;
	memcpy(first, list, 36);
	first[36] = 0;
	return name_is_uuid(first);
}

void api_replay_key(const char *caller, const char *method, const char *target, const char *idem,
		    const char *request_id, struct replay_key *out)
{
	AUTO(buf_clear) struct buf b = {0};
	const char *id = idem && *idem ? idem : request_id;

	out->hex[0] = 0;
	if (!id || !*caller || (id == request_id && !has_uuid(id)))
		return;
	buf_addf(&b, "%s\n%s\n%s\n%s\n%s", caller, method, target, id == idem ? "key" : "id", id);
	sha256_hex(b.data, b.len, out->hex);
}

/* With the lock held. Those that nobody needs any more go on the way. */
static struct entry *find(struct api_replays *rs, const struct replay_key *k, mono_ms now)
{
	struct entry *e, *next, *found = NULL;

	for (e = TAILQ_FIRST(&rs->list); e; e = next) {
		next = TAILQ_NEXT(e, link);
		if (e->status && !e->waiting && now - e->since > LIM_REPLAY_MS)
			drop(rs, e);
		else if (!e->gone && strcmp(e->key.hex, k->hex) == 0)
			found = e;
	}
	return found;
}

bool api_replay_has(struct api_replays *rs, const struct replay_key *k, mono_ms now)
{
	bool yes;

	if (!k->hex[0])
		return false;
	pthread_mutex_lock(&rs->lock);
	yes = find(rs, k, now) != NULL;
	pthread_mutex_unlock(&rs->lock);
	return yes;
}

/* Room for one more: the oldest that are done go. */
static void make_room(struct api_replays *rs)
{
	struct entry *e, *next;

	for (e = TAILQ_FIRST(&rs->list);
	     e && (rs->count >= LIM_REPLAYS || rs->bytes > LIM_REPLAY_BYTES); e = next) {
		next = TAILQ_NEXT(e, link);
		if (e->status && !e->waiting)
			drop(rs, e);
	}
}

/* With the lock held. False: out of time. */
static bool wait_done(struct api_replays *rs, struct entry *e, int wait_ms)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += wait_ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	e->waiting++;
	while (!e->status && !e->gone && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&rs->ended, &rs->lock, &until);
	e->waiting--;
	return e->status || e->gone;
}

static struct entry *add(struct api_replays *rs, const struct replay_key *k, const char *body,
			 mono_ms now)
{
	struct entry *e = xcalloc(1, sizeof *e);

	e->key = *k;
	memcpy(e->body, body, sizeof e->body);
	e->since = now;
	TAILQ_INSERT_TAIL(&rs->list, e, link);
	rs->count++;
	return e;
}

static int another_body(struct replay_key *k, bool chosen, struct err *err)
{
	k->hex[0] = 0;
	return chosen ? err_set(err, ERR_INVALID_PARAMS,
				"This Idempotency-Key was used for another request: choose a new "
				"one for each.")
		      : 0;
}

static int begin(struct api_replays *rs, struct replay_key *k, bool chosen, const char *body,
		 mono_ms now, int wait_ms, struct replay_answer *out, struct err *err)
{
	struct entry *e;

	while ((e = find(rs, k, now))) {
		if (strcmp(e->body, body) != 0)
			return another_body(k, chosen, err);
		if (!wait_done(rs, e, wait_ms))
			return err_set(err, ERR_CONFLICT,
				       "The same request is still being carried out.");
		if (e->status) {
			out->status = e->status;
			out->text = xstrdup(e->text);
			return 1;
		}
		if (!e->waiting) /* it failed, and this was the last who waited */
			drop(rs, e);
	}
	make_room(rs);
	if (rs->count >= LIM_REPLAYS)
		k->hex[0] = 0; /* all at work: this one is not remembered */
	else
		add(rs, k, body, now);
	return 0;
}

int api_replay_begin(struct api_replays *rs, struct replay_key *k, bool chosen, const void *body,
		     size_t n, mono_ms now, int wait_ms, struct replay_answer *out, struct err *err)
{
	char hash[65];
	int rc;

	*out = (struct replay_answer){0};
	if (!k->hex[0])
		return 0;
	sha256_hex(body, n, hash);
	pthread_mutex_lock(&rs->lock);
	rc = begin(rs, k, chosen, hash, now, wait_ms, out, err);
	pthread_mutex_unlock(&rs->lock);
	return rc;
}

void api_replay_end(struct api_replays *rs, const struct replay_key *k, int status,
		    const char *text, mono_ms now)
{
	struct entry *e;
	size_t n = text ? strlen(text) : 0;

	if (!k->hex[0])
		return;
	pthread_mutex_lock(&rs->lock);
	e = find(rs, k, now);
	if (e && status && n <= LIM_REPLAY_TEXT) {
		e->status = status;
		e->text = xstrdup(text ? text : "");
		e->n = n;
		e->since = now;
		rs->bytes += n;
	} else if (e && e->waiting) {
		e->gone = true;
	} else if (e) {
		drop(rs, e);
	}
	pthread_cond_broadcast(&rs->ended);
	pthread_mutex_unlock(&rs->lock);
}
