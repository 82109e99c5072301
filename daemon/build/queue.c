#include "daemon/build/queue.h"
#include "proto/buf.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

struct promise { /* an announced job that has not come */
	struct promise *next;
	char id[37];
	uint64_t seq;
	enum stop_why why;
};

struct queue {
	pthread_mutex_t mtx;
	pthread_cond_t changed;
	struct job *list;	  /* in order of arrival */
	struct promise *promises; /* owned */
	uint64_t seq;
	int limit, running;
	bool closing;
};

struct queue *queue_new(int limit)
{
	struct queue *q = xcalloc(1, sizeof(*q));

	pthread_mutex_init(&q->mtx, NULL);
	pthread_cond_init(&q->changed, NULL);
	q->limit = limit < 1 ? 1 : limit;
	return q;
}

/* Under mtx. */
static void stop(struct queue *q, struct job *j, enum stop_why why)
{
	if (j->why)
		return;
	j->why = why;
	eventfd_write(j->stop_fd, 1);
	pthread_cond_broadcast(&q->changed);
}

void queue_stop_all(struct queue *q)
{
	pthread_mutex_lock(&q->mtx);
	q->closing = true;
	for (struct job *j = q->list; j; j = j->next)
		stop(q, j, STOP_CLOSING);
	pthread_mutex_unlock(&q->mtx);
}

void queue_close(struct queue *q)
{
	if (!q)
		return;
	pthread_mutex_lock(&q->mtx);
	q->closing = true;
	for (struct job *j = q->list; j; j = j->next)
		stop(q, j, STOP_CLOSING);
	while (q->list)
		pthread_cond_wait(&q->changed, &q->mtx);
	pthread_mutex_unlock(&q->mtx);
	for (struct promise *p = q->promises, *next; p; p = next) {
		next = p->next;
		free(p);
	}
	pthread_cond_destroy(&q->changed);
	pthread_mutex_destroy(&q->mtx);
	free(q);
}

void queue_announce(struct queue *q, const char *build_id)
{
	struct promise *p = xcalloc(1, sizeof(*p));

	assert(strlen(build_id) < sizeof(p->id));
	memcpy(p->id, build_id, strlen(build_id) + 1);
	pthread_mutex_lock(&q->mtx);
	p->seq = ++q->seq;
	p->next = q->promises;
	q->promises = p;
	pthread_mutex_unlock(&q->mtx);
}

/* Under mtx. The promise, taken out of the list; NULL when there is none. */
static struct promise *redeem(struct queue *q, const char *build_id)
{
	for (struct promise **at = &q->promises; *at; at = &(*at)->next) {
		struct promise *p = *at;

		if (strcmp(p->id, build_id) != 0)
			continue;
		*at = p->next;
		return p;
	}
	return NULL;
}

void queue_retract(struct queue *q, const char *build_id)
{
	pthread_mutex_lock(&q->mtx);
	free(redeem(q, build_id));
	pthread_mutex_unlock(&q->mtx);
}

/* Under mtx. */
static bool app_busy(const struct queue *q, const struct job *j)
{
	for (const struct job *o = q->list; o; o = o->next)
		if (o->running && !strcmp(o->app_id, j->app_id))
			return true;
	return false;
}

/* Under mtx. A free place goes to the first that can use it. */
static bool my_turn(const struct queue *q, const struct job *j)
{
	if (q->running >= q->limit)
		return false;
	for (const struct job *o = q->list; o; o = o->next) {
		if (o->running || o->why || app_busy(q, o))
			continue;
		return o == j;
	}
	return false;
}

/* Under mtx. */
static void leave(struct queue *q, struct job *j)
{
	struct job **at = &q->list;

	while (*at && *at != j)
		at = &(*at)->next;
	assert(*at);
	*at = j->next;
	if (j->running)
		q->running--;
	j->running = false;
	close(j->stop_fd);
	j->stop_fd = -1;
	pthread_cond_broadcast(&q->changed);
}

/* Under mtx. It goes to the end; older ones of its app that wait make way, as it does for a newer
 * one. */
static void join(struct queue *q, struct job *j)
{
	struct promise *p = redeem(q, j->build_id);
	struct job **at = &q->list;
	bool late = false;

	j->seq = p ? p->seq : ++q->seq;
	for (; *at; at = &(*at)->next) {
		if (strcmp((*at)->app_id, j->app_id) != 0)
			continue;
		if ((*at)->seq > j->seq)
			late = true;
		else if (!(*at)->running)
			stop(q, *at, STOP_SUPERSEDED);
	}
	j->next = NULL;
	j->running = false;
	j->why = STOP_NONE;
	*at = j;
	if (p && p->why)
		stop(q, j, p->why);
	if (late)
		stop(q, j, STOP_SUPERSEDED);
	free(p);
	if (q->closing)
		stop(q, j, STOP_CLOSING);
}

static bool has(const struct queue *q, const char *build_id)
{
	for (const struct job *j = q->list; j; j = j->next)
		if (!strcmp(j->build_id, build_id))
			return true;
	return false;
}

int queue_enter(struct queue *q, struct job *j, void (*waits)(bool app_busy, void *arg), void *arg,
		struct err *err)
{
	enum stop_why why;
	bool told = false;

	pthread_mutex_lock(&q->mtx);
	if (has(q, j->build_id)) {
		pthread_mutex_unlock(&q->mtx);
		return err_set(err, ERR_CONFLICT, "build %s is running already", j->build_id);
	}
	j->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (j->stop_fd < 0) {
		pthread_mutex_unlock(&q->mtx);
		return err_errno(err, "eventfd");
	}
	join(q, j);
	while (!j->why && !my_turn(q, j)) {
		bool busy = app_busy(q, j);

		if (!told) { /* the caller's output must not hold up the queue */
			told = true;
			pthread_mutex_unlock(&q->mtx);
			waits(busy, arg);
			pthread_mutex_lock(&q->mtx);
			continue;
		}
		pthread_cond_wait(&q->changed, &q->mtx);
	}
	why = j->why;
	if (why) {
		leave(q, j);
	} else {
		j->running = true;
		q->running++;
		/* the next one may have a place too */
		pthread_cond_broadcast(&q->changed);
	}
	pthread_mutex_unlock(&q->mtx);
	return why ? queue_stop_err(why, err) : 0;
}

void queue_leave(struct queue *q, struct job *j)
{
	pthread_mutex_lock(&q->mtx);
	leave(q, j);
	pthread_mutex_unlock(&q->mtx);
}

bool queue_stop(struct queue *q, const char *build_id, enum stop_why why)
{
	bool found = false;

	pthread_mutex_lock(&q->mtx);
	for (struct job *j = q->list; j; j = j->next)
		if (!strcmp(j->build_id, build_id)) {
			stop(q, j, why);
			found = true;
		}
	for (struct promise *p = q->promises; p; p = p->next)
		if (!strcmp(p->id, build_id)) {
			p->why = p->why ? p->why : why;
			found = true;
		}
	pthread_mutex_unlock(&q->mtx);
	return found;
}

void queue_stop_app(struct queue *q, const char *app_id, enum stop_why why)
{
	bool left = true;

	pthread_mutex_lock(&q->mtx);
	while (left) {
		left = false;
		for (struct job *j = q->list; j; j = j->next)
			if (!strcmp(j->app_id, app_id)) {
				stop(q, j, why);
				left = true;
			}
		if (left)
			pthread_cond_wait(&q->changed, &q->mtx);
	}
	pthread_mutex_unlock(&q->mtx);
}

enum stop_why queue_why(struct queue *q, const struct job *j)
{
	enum stop_why why;

	pthread_mutex_lock(&q->mtx);
	why = j->why;
	pthread_mutex_unlock(&q->mtx);
	return why;
}

int queue_stop_err(enum stop_why why, struct err *err)
{
	static const struct {
		enum err_id id;
		const char *msg;
	} texts[] = {
		[STOP_NONE] = {ERR_CANCELED, "Build stopped"},
		[STOP_CANCELED] = {ERR_CANCELED, "Build canceled"},
		[STOP_SUPERSEDED] = {ERR_CANCELED, "A newer push superseded this build"},
		[STOP_DISK_FULL] = {ERR_DISK_FULL,
				    "The build was stopped: the disk is almost full"},
		[STOP_CLOSING] = {ERR_CANCELED,
				  "The build was stopped: the platform is shutting down"},
	};

	return err_set(err, texts[why].id, "%s", texts[why].msg);
}
