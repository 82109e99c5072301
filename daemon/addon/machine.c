/* What is due is handed to a few workers; one add-on is never at two of them. */
#include "daemon/addon/addon_int.h"
#include "daemon/core/xlog.h"

#include <errno.h>
#include <time.h>

#define WORKERS	 8 /* a provider that hangs holds one of them for a while */
#define QUEUED	 64
#define LOOK_MS	 60000 /* at the latest: the clock may have been set */
#define FAULT_MS 2000  /* what a step could not write is looked at again after this */

struct job {
	struct addons *a;
	struct store_addon row;
};

/* --- under the lock --- */

static bool is_busy(const struct addons *a, const char *id)
{
	for (const struct busy *b = a->busy; b; b = b->next)
		if (strcmp(b->id, id) == 0)
			return true;
	return false;
}

static void busy_add(struct addons *a, const char *id)
{
	struct busy *b = xcalloc(1, sizeof *b);

	memcpy(b->id, id, sizeof b->id);
	b->next = a->busy;
	a->busy = b;
}

static void busy_del(struct addons *a, const char *id)
{
	for (struct busy **p = &a->busy; *p; p = &(*p)->next)
		if (strcmp((*p)->id, id) == 0) {
			struct busy *b = *p;

			*p = b->next;
			free(b);
			return;
		}
}

static void wait_until(struct addons *a, wall_ms until)
{
	struct timespec t = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};

	pthread_cond_timedwait(&a->changed, &a->lock, &t);
}

static bool is_closing(struct addons *a)
{
	bool closing;

	pthread_mutex_lock(&a->lock);
	closing = a->closing;
	pthread_mutex_unlock(&a->lock);
	return closing;
}

void machine_pause(struct addons *a)
{
	wall_ms until = clock_wall_ms() + FAULT_MS;

	pthread_mutex_lock(&a->lock);
	while (!a->closing && clock_wall_ms() < until)
		wait_until(a, until);
	pthread_mutex_unlock(&a->lock);
}

/* --- steps --- */

struct reread {
	const char *id;
	struct store_addon *out;
};

static int read_row(struct tx *tx, void *arg, struct err *err)
{
	struct reread *r = arg;

	store_addon_clear(r->out);
	return store_addon_find(tx, r->id, r->out, err);
}

/* The row as it is now: since it was found due, it may have moved on. */
static void run_job(void *arg)
{
	struct job *j = arg;
	struct addons *a = j->a;
	char id[37];
	struct reread r = {id, &j->row};

	memcpy(id, j->row.id, sizeof id);
	if (!is_closing(a) && store_read(a->d.store, read_row, &r, NULL) == 0 && j->row.next_ms &&
	    j->row.next_ms <= clock_wall_ms())
		task_step(a, &j->row);
	store_addon_clear(&j->row);
	free(j);
	pthread_mutex_lock(&a->lock);
	busy_del(a, id);
	a->wake = true;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

struct due {
	struct store_addons list;
	wall_ms now, next;
};

static int read_due(struct tx *tx, void *arg, struct err *err)
{
	struct due *d = arg;

	d->now = clock_wall_ms();
	if (store_addons_next(tx, d->now, &d->next, err) < 0)
		return -1;
	return store_addons_due(tx, d->now, &d->list, err);
}

/* Hands out what is due; returns when to look again. */
static wall_ms hand_out(struct addons *a)
{
	struct due d = {0};
	struct err err = {0};
	wall_ms latest = clock_wall_ms() + LOOK_MS;

	if (store_read(a->d.store, read_due, &d, &err) < 0) {
		xlog_err(XLOG_ERROR, "addon", &err, "msg=\"cannot see what is due\"");
		return clock_wall_ms() + FAULT_MS;
	}
	pthread_mutex_lock(&a->lock);
	for (int i = 0; i < d.list.n && !a->closing; i++) {
		struct job *j;

		if (is_busy(a, d.list.v[i].id))
			continue;
		j = xcalloc(1, sizeof *j);
		j->a = a;
		memcpy(j->row.id, d.list.v[i].id, sizeof j->row.id);
		busy_add(a, j->row.id);
		if (pool_submit(a->workers, run_job, j))
			continue;
		busy_del(a, j->row.id);
		free(j);
		break; /* a worker that ends wakes us */
	}
	pthread_mutex_unlock(&a->lock);
	store_addons_clear(&d.list);
	return d.next && d.next < latest ? d.next : latest;
}

static int take_up(struct tx *tx, void *arg, struct err *err)
{
	(void)arg;
	return store_addons_take_up(tx, err);
}

static void clock_main(void *arg)
{
	struct addons *a = arg;
	struct err err = {0};

	if (store_tx(a->d.store, take_up, NULL, &err) < 0)
		xlog_err(XLOG_ERROR, "addon", &err, "msg=\"cannot take up what is under way\"");
	for (;;) {
		wall_ms until = hand_out(a);
		bool closing;

		pthread_mutex_lock(&a->lock);
		while (!a->wake && !a->closing && clock_wall_ms() < until)
			wait_until(a, until);
		a->wake = false;
		closing = a->closing;
		pthread_mutex_unlock(&a->lock);
		if (closing)
			return;
	}
}

void machine_start(struct addons *a)
{
	a->workers = pool_new("addon", WORKERS, QUEUED);
	a->clock = thread_new("addon-clock", clock_main, a);
}

void machine_wake(struct addons *a)
{
	pthread_mutex_lock(&a->lock);
	a->wake = true;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

/* --- waiting for it --- */

bool machine_is_idle(const struct store_addon *row)
{
	return strcmp(row->task, "none") == 0;
}

int machine_await(struct addons *a, const char *id, int ms,
		  bool (*done)(const struct store_addon *row), struct store_addon *out,
		  struct err *err)
{
	wall_ms end = clock_wall_ms() + ms;
	struct reread r = {id, out};

	for (;;) {
		bool closing;

		if (store_read(a->d.store, read_row, &r, err) < 0)
			return -1;
		if (done(out))
			return 0;
		pthread_mutex_lock(&a->lock);
		closing = a->closing;
		if (!closing) /* looks again each second at the latest: a wake-up may be missed */
			wait_until(a, clock_wall_ms() + 500 < end ? clock_wall_ms() + 500 : end);
		pthread_mutex_unlock(&a->lock);
		if (closing)
			return err_set(err, ERR_UNAVAILABLE,
				       "paasd is stopping; try again in a moment");
		if (clock_wall_ms() >= end)
			return err_set(err, ERR_TIMEOUT, "%s is not done yet", out->name);
	}
}
