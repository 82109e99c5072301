/* Apps that sleep when nobody asks for them: the clock, the store, and who wakes them. The dynos'
 * part is in daemon/dyno/idle.c, the requests' in the router. Loop thread, but for what
 * release.h names. */
#include "daemon/core/xlog.h"
#include "daemon/release/release_int.h"
#include "daemon/store/sleep.h"
#include "proto/limits.h"

#include <stdio.h>
#include <string.h>

/* When the router cannot tell how long nobody has asked. */
#define LOOK_AGAIN_MS 10000

/* --- the store follows the dynos --- */

struct mark {
	struct releases *r;
	char app_id[37];
	bool asleep;
};

static int write_mark(struct tx *tx, void *arg, struct err *err)
{
	struct mark *m = arg;

	return store_sleep_mark(tx, m->app_id, m->asleep, err);
}

/* When it was not kept, a restart of paasd starts what slept, or finds awake what it runs: either
 * is put right by the next clock. */
static void marked(void *arg, const struct err *e)
{
	struct mark *m = arg;
	struct releases *r = m->r;

	if (e->status)
		xlog_err(XLOG_WARN, "release", e, "msg=\"sleep not kept\" app_id=%s", m->app_id);
	free(m);
	way_end(r);
}

static void mark(struct releases *r, const char *app_id, bool asleep)
{
	struct mark *m = xcalloc(1, sizeof *m);

	m->r = r;
	m->asleep = asleep;
	snprintf(m->app_id, sizeof m->app_id, "%s", app_id);
	way_begin(r);
	store_tx_async(r->st, write_mark, m, r->l, marked);
}

/* --- the clock --- */

struct idle {
	struct releases *r;
	char app_id[37];
	int64_t ms;
};

static void look(void *arg);

static void start_clock(struct rapp *a, int64_t ms)
{
	loop_timer_stop(a->look);
	a->look = NULL;
	if (!a->r->closing && a->sleep_s && !a->asleep)
		a->look = loop_timer_start(a->r->l, (uint64_t)(ms > 0 ? ms : 0), look, a);
}

static void told(void *arg)
{
	struct idle *i = arg;
	struct releases *r = i->r;
	struct rapp *a = rapp_get(r, i->app_id, false);
	int64_t awake, left;

	if (a && a->sleep_s && !a->asleep && !a->look) {
		awake = clock_mono_ms() - a->awake;
		left = a->sleep_s * 1000 - (i->ms < awake ? i->ms : awake);
		if (i->ms < 0)
			start_clock(a, LOOK_AGAIN_MS);
		else if (left > 0)
			start_clock(a, left);
		else if (!dynos_sleep(r->dy, a->id)) /* nothing that could, or a deploy */
			start_clock(a, a->sleep_s * 1000);
	}
	free(i);
	way_end(r);
}

static void look(void *arg)
{
	struct rapp *a = arg;
	struct idle *i = xcalloc(1, sizeof *i);

	a->look = NULL;
	i->r = a->r;
	memcpy(i->app_id, a->id, sizeof i->app_id);
	way_begin(a->r);
	routes_idle(a->r->ro, a->id, &i->ms, told, i);
}

void sleep_count_anew(struct rapp *a)
{
	a->awake = clock_mono_ms();
	start_clock(a, a->sleep_s * 1000);
}

void sleep_follow(struct rapp *a)
{
	bool asleep = dynos_asleep(a->r->dy, a->id);

	if (asleep == a->asleep || a->r->closing)
		return;
	a->asleep = asleep;
	mark(a->r, a->id, asleep);
	sleep_count_anew(a);
}

void sleep_recover(struct rapp *a, const struct store_sleep *s)
{
	a->sleep_s = s->after_s;
	/* When dynos of it run all the same, paasd was killed on the way to sleep, or from it. */
	a->asleep = s->asleep;
	if (a->rel && s->asleep)
		dynos_sleep_restore(a->r->dy, a->id, s->since_ms);
	sleep_count_anew(a);
}

void sleep_end(struct releases *r)
{
	for (struct rapp *a = r->apps; a; a = a->next) {
		loop_timer_stop(a->look);
		a->look = NULL;
	}
}

/* --- waking --- */

static void wake(struct releases *r, const char *app_id)
{
	if (!r->closing && dynos_wake(r->dy, app_id))
		xlog(XLOG_INFO, "release", "msg=woken app_id=%s", app_id);
}

void sleep_wake_op(void *arg, const char *app_id)
{
	wake(arg, app_id);
}

struct wake_call {
	struct releases *r;
	const char *app_id;
	int64_t sleep_s;
	bool set;
};

static void on_loop(void *arg)
{
	struct wake_call *w = arg;
	struct rapp *a = rapp_get(w->r, w->app_id, false);

	if (a && w->set) {
		a->sleep_s = w->sleep_s;
		sleep_count_anew(a);
	}
	if (!w->set || !w->sleep_s)
		wake(w->r, w->app_id);
}

void release_wake(struct releases *r, const char *app_id)
{
	struct wake_call w = {.r = r, .app_id = app_id};

	loop_call(r->l, on_loop, &w);
}

/* --- setting --- */

struct set {
	const char *app_id;
	int64_t seconds;
};

static int write_set(struct tx *tx, void *arg, struct err *err)
{
	struct set *s = arg;

	return store_sleep_set(tx, s->app_id, s->seconds, err);
}

int release_sleep_set_s(struct releases *r, const char *app_id, int64_t seconds, struct err *err)
{
	struct wake_call w = {.r = r, .app_id = app_id, .sleep_s = seconds, .set = true};
	struct set s = {app_id, seconds};

	if (seconds < 0 || seconds > LIM_SLEEP_S)
		return err_set(err, ERR_INVALID_PARAMS,
			       "An app sleeps after 1 to %d seconds without a request.",
			       LIM_SLEEP_S);
	if (store_tx(r->st, write_set, &s, err) < 0)
		return -1;
	loop_call(r->l, on_loop, &w);
	return 0;
}

int release_sleep_set(struct releases *r, const char *app_id, int minutes, struct err *err)
{
	return release_sleep_set_s(r, app_id, (int64_t)minutes * 60, err);
}
