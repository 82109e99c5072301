/* Slots of formations: what runs, what replaces it, when a crashed one is tried again. */
#include "daemon/dyno/dyno_int.h"
#include "daemon/core/xlog.h"
#include "proto/limits.h"
#include "proto/names.h"
#include "daemon/store/dyno.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct app *dynos_app(struct dynos *d, const char *app_id, bool make)
{
	struct app *a;

	ASSERT_ON(d->l);
	for (a = d->apps; a; a = a->next)
		if (strcmp(a->id, app_id) == 0)
			return a;
	if (!make)
		return NULL;
	a = xcalloc(1, sizeof *a);
	a->d = d;
	snprintf(a->id, sizeof a->id, "%s", app_id);
	a->next = d->apps;
	d->apps = a;
	return a;
}

void app_maybe_free(struct app *a)
{
	struct app **p = &a->d->apps;

	if (a->runs || a->slots || a->deploy)
		return;
	if (a->forgotten) {
		void (*fn)(void *arg) = a->forgotten;

		a->forgotten = NULL;
		fn(a->forgotten_arg);
	} else if (a->rel) {
		return; /* scaled to nothing, but deployed */
	}
	while (*p != a)
		p = &(*p)->next;
	*p = a->next;
	dyno_release_unref(a->rel);
	free(a);
}

void app_publish(struct app *a, void (*done)(void *arg), void *arg)
{
	a->d->ops.publish(a->id, done, arg, a->d->ops.arg);
}

struct slot *slot_get(struct app *a, const char *type, int num, bool make)
{
	struct slot **p = &a->slots, *s;

	for (; *p; p = &(*p)->next) {
		int c = strcmp((*p)->type, type);

		if (c == 0 && (*p)->num == num)
			return *p;
		if (c > 0 || (c == 0 && (*p)->num > num))
			break;
	}
	if (!make)
		return NULL;
	s = xcalloc(1, sizeof *s);
	s->app = a;
	uuid_new(s->wait_id);
	snprintf(s->type, sizeof s->type, "%s", type);
	s->num = num;
	s->next = *p;
	*p = s;
	return s;
}

static void remember_crash(struct slot *s, wall_ms restart_ms);

void slot_free(struct slot *s)
{
	struct slot **p = &s->app->slots;

	assert(!s->cur && !s->fresh);
	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	loop_timer_stop(s->retry);
	if (s->crashes)
		remember_crash(s, 0);
	free(s->command);
	free(s);
}

static struct run *slot_run(struct slot *s, struct dyno_release *rel, const char *command,
			    const char *size)
{
	struct run *r = run_new(s->app, rel, s->type, s->num, command, size);

	r->slot = s;
	run_prepare(r);
	return r;
}

void slot_start(struct slot *s)
{
	assert(!s->cur && s->app->rel);
	loop_timer_stop(s->retry);
	s->retry = NULL;
	s->cur = slot_run(s, s->app->rel, s->command, s->size);
	run_launch(s->cur);
}

/* --- crash back-off (Dev Center: Dynos, "Dyno crash restart policy") --- */

struct crash_tx {
	struct dynos *d;
	char app_id[37], name[160];
	int count;
	wall_ms restart_ms;
};

static int crash_write(struct tx *tx, void *arg, struct err *err)
{
	struct crash_tx *c = arg;

	return c->restart_ms ? store_crash_set(tx, c->app_id, c->name, c->count, c->restart_ms, err)
			     : store_crash_clear(tx, c->app_id, c->name, err);
}

static void crash_written(void *arg, const struct err *e)
{
	struct crash_tx *c = arg;
	struct dynos *d = c->d;

	if (e->status && e->code != ERR_CONFLICT) /* the app may be gone by now */
		xlog_err(XLOG_WARN, "dyno", e, "msg=\"crash count not kept\"");
	free(c);
	d->writes--;
	dynos_wind_up(d);
}

static void remember_crash(struct slot *s, wall_ms restart_ms)
{
	struct crash_tx *c;

	if (s->app->rel && s->app->rel->service)
		return; /* no app's: there is no row to keep it in, and no need */
	c = xcalloc(1, sizeof *c);
	c->d = s->app->d;
	c->d->writes++;
	memcpy(c->app_id, s->app->id, sizeof c->app_id);
	snprintf(c->name, sizeof c->name, "%s.%d", s->type, s->num);
	c->count = s->crashes;
	c->restart_ms = restart_ms;
	store_tx_async(s->app->d->st, crash_write, c, s->app->d->l, crash_written);
}

/* Ahead of dynos_scale, while paasd is starting, nobody knows yet what should run here. */
bool slot_known(const struct slot *s)
{
	return s->app->rel && s->command;
}

static bool is_service(const struct app *a)
{
	return a->rel && a->rel->service;
}

static void retry(void *arg)
{
	struct slot *s = arg;

	s->retry = NULL;
	if (is_service(s->app) && s->app->runs)
		return; /* app_run_gone starts it */
	if (!s->cur && !s->fresh && slot_known(s) && !s->app->asleep)
		slot_start(s);
}

/* A new start that is not a crash's: the back-off begins anew. */
void slot_forgive(struct slot *s)
{
	if (!s->crashes)
		return;
	s->crashes = 0;
	remember_crash(s, 0);
}

/* Of services: short, for ever, and forgotten once it ran for a while. */
enum { SERVICE_STEADY_MS = 60000, SERVICE_WAIT_MS = 1000, SERVICE_WAIT_MAX_MS = 30000 };

static void back_off_service(struct slot *s, const struct run *r)
{
	int64_t wait;

	if (clock_wall_ms() - r->info.created_ms > SERVICE_STEADY_MS)
		s->crashes = 0;
	s->crashes++;
	s->crashed_at = clock_mono_ms();
	wait = s->crashes > 5 ? SERVICE_WAIT_MAX_MS : (int64_t)SERVICE_WAIT_MS << (s->crashes - 1);
	s->retry = loop_timer_start(s->app->d->l, (uint64_t)wait, retry, s);
}

/* First crash: at once. Again within the back-off unit of its start: 1, 2, 4 ... units, capped
 * at 32. */
static void back_off(struct slot *s, const struct run *r)
{
	int64_t unit = s->app->d->cfg->crash_backoff_s * 1000, wait;

	if (r->rel->service) {
		back_off_service(s, r);
		return;
	}
	if (clock_wall_ms() - r->info.created_ms > unit)
		s->crashes = 0;
	s->crashes++;
	s->crashed_at = clock_mono_ms();
	uuid_new(s->wait_id);
	wait = s->crashes == 1 ? 0 : unit << (s->crashes - 2 < 5 ? s->crashes - 2 : 5);
	remember_crash(s, clock_wall_ms() + wait);
	s->retry = loop_timer_start(s->app->d->l, (uint64_t)wait, retry, s);
}

static bool is_of(const struct run *r, const struct dyno_release *rel)
{
	return strcmp(r->info.release_id, rel->release_id) == 0;
}

/* --- deploy --- */

void deploy_free(struct deploy *dp)
{
	for (int i = 0; i < dp->n; i++) {
		free((void *)dp->want[i].type);
		free((void *)dp->want[i].command);
		free((void *)dp->want[i].size);
	}
	free(dp->want);
	dyno_release_unref(dp->rel);
	free(dp);
}

static void restart_next(struct app *a);

static void deploy_end(struct app *a, const struct err *e)
{
	struct deploy *dp = a->deploy;

	a->deploy = NULL;
	restart_next(a);
	dp->up(e, dp->arg);
	deploy_free(dp);
}

static void set_slot(struct slot *s, const struct dyno_want *w)
{
	free(s->command);
	s->command = xstrdup(w->command);
	snprintf(s->size, sizeof s->size, "%s", w->size ? w->size : "");
}

static const struct dyno_want *wanted(const struct dyno_want *want, int n, const char *type,
				      int num)
{
	for (int i = 0; i < n; i++)
		if (strcmp(want[i].type, type) == 0 && num <= want[i].quantity)
			return &want[i];
	return NULL;
}

/* Stops slots that are not wanted any more. */
static void drop_unwanted(struct app *a, const struct dyno_want *want, int n)
{
	for (struct slot *s = a->slots, *next; s; s = next) {
		next = s->next;
		if (wanted(want, n, s->type, s->num))
			continue;
		s->restarting = false;
		if (s->fresh)
			run_stop(s->fresh);
		if (s->cur)
			run_stop(s->cur);
		slot_free(s);
	}
}

static void start_others(struct app *a, const struct dyno_want *w)
{
	for (int k = 1; k <= w->quantity; k++) {
		struct slot *s = slot_get(a, w->type, k, true);

		set_slot(s, w);
		slot_forgive(s);
		if (s->cur && is_of(s->cur, a->rel))
			continue; /* started by this cut-over before paasd was restarted */
		if (s->cur)
			run_stop(s->cur);
		slot_start(s);
	}
}

/* Every new web dyno is up: they take over, the other types follow. */
static void flip(struct app *a)
{
	struct deploy *dp = a->deploy;
	struct dyno_release *old = a->rel;
	struct run *retire[LIM_DYNOS_PER_TYPE * 2];
	int n = 0;

	a->rel = dyno_release_ref(dp->rel);
	a->asleep = false;
	for (struct slot *s = a->slots; s; s = s->next) {
		s->restart_queued = false;
		if (!s->fresh || s->restarting)
			continue;
		if (s->cur) {
			s->cur->slot = NULL;
			if (n < (int)ARRAY_LEN(retire))
				retire[n++] = s->cur;
		}
		s->cur = STEAL(s->fresh);
		s->cur->serving = s->cur->web;
		set_slot(s, wanted(dp->want, dp->n, s->type, s->num));
		loop_timer_stop(s->retry);
		s->retry = NULL;
		slot_forgive(s);
	}
	/* run_stop() publishes without the old one each time; the first already has all new ones.
	 */
	for (int i = 0; i < n; i++)
		run_stop(retire[i]);
	drop_unwanted(a, dp->want, dp->n);
	app_publish(a, NULL, NULL);
	for (int i = 0; i < dp->n; i++)
		if (strcmp(dp->want[i].type, "web") != 0)
			start_others(a, &dp->want[i]);
	dyno_release_unref(old);
	deploy_end(a, NULL);
}

static void deploy_check(struct app *a)
{
	LIST_FOREACH (struct slot, s, a->slots)
		if (s->fresh && !s->restarting && s->fresh->info.state != DYNO_UP)
			return;
	flip(a);
}

static void deploy_fail(struct app *a, const struct run *bad)
{
	struct err e = {0};

	err_set(&e, ERR_BOOT_TIMEOUT, "%s", bad->last_error);
	for (struct slot *s = a->slots, *next; s; s = next) {
		next = s->next;
		if (s->fresh && !s->restarting) {
			struct run *r = STEAL(s->fresh);

			r->slot = NULL;
			r->stopping = true; /* it has not crashed: it is not wanted */
			run_kill(r);
		}
		if (s->cur || s->retry || s->fresh)
			continue;
		/* Of the serving release, and crashed while its replacement came up; or asleep; or
		 * new. */
		if (!slot_known(s))
			slot_free(s);
		else if (!a->asleep)
			slot_start(s);
	}
	app_publish(a, NULL, NULL);
	deploy_end(a, &e);
}

/* What a restart of paasd may have left in the slots: replacements that this deploy does not ask
 * for (the formation has changed since, or the type is not cut over by replacements), and its own
 * ones where the old dyno is gone. */
static void clear_way(struct app *a, const struct dyno_release *r, const struct dyno_want *want,
		      int n)
{
	LIST_FOREACH (struct slot, s, a->slots) {
		bool web = strcmp(s->type, "web") == 0 && wanted(want, n, s->type, s->num);

		if (s->fresh && !s->restarting && !web)
			run_stop(s->fresh);
		if (!web || s->fresh || !s->cur || !is_of(s->cur, r))
			continue;
		s->fresh = STEAL(s->cur);
		s->restarting = false;
		free(STEAL(s->command)); /* the new release's: nothing to go back to */
	}
}

static void await_web(struct app *a, struct dyno_release *r, const struct dyno_want *w)
{
	for (int k = 1; k <= w->quantity; k++) {
		struct slot *s = slot_get(a, "web", k, true);

		if (s->fresh && is_of(s->fresh, r)) {
			s->restarting = false;
			continue;
		}
		/* A restart that is under way is overtaken by the deploy. */
		s->restarting = false;
		if (s->fresh)
			run_stop(s->fresh);
		s->fresh = slot_run(s, r, w->command, w->size);
		run_launch(s->fresh);
	}
}

void dynos_deploy(struct dynos *d, struct dyno_release *r, const struct dyno_want *want, int n,
		  void (*up)(const struct err *err, void *arg), void *arg)
{
	struct app *a = dynos_app(d, r->app_id, true);
	struct deploy *dp = xcalloc(1, sizeof *dp);

	assert(!a->deploy);
	*dp = (struct deploy){.rel = dyno_release_ref(r), .n = n, .up = up, .arg = arg};
	dp->want = xcalloc((size_t)n, sizeof *dp->want);
	for (int i = 0; i < n; i++)
		dp->want[i] = (struct dyno_want){xstrdup(want[i].type), xstrdup(want[i].command),
						 xstrdup(want[i].size), want[i].quantity};
	a->deploy = dp;
	clear_way(a, r, want, n);
	for (int i = 0; i < n; i++)
		if (strcmp(want[i].type, "web") == 0)
			await_web(a, r, &want[i]);
	app_publish(a, NULL, NULL); /* an app without dynos is booting now: requests wait */
	deploy_check(a);
}

/* --- restart --- */

static void restart_next(struct app *a)
{
	if (a->deploy)
		return;
	LIST_FOREACH (struct slot, s, a->slots)
		if (s->restarting)
			return;
	LIST_FOREACH (struct slot, s, a->slots)
		if (s->restart_queued) {
			slot_restart(s, "Restarting");
			return;
		}
}

void app_run_gone(struct app *a)
{
	if (!is_service(a) || a->runs || a->forgotten || a->d->closing)
		return;
	LIST_FOREACH (struct slot, s, a->slots)
		if (!s->cur && !s->fresh && !s->retry && slot_known(s))
			slot_start(s);
}

/* One at a time: the next one starts when this one is buried. */
static void restart_service(struct slot *s, const char *why)
{
	s->crashes = 0;
	loop_timer_stop(s->retry);
	s->retry = NULL;
	if (s->cur) {
		run_log(s->cur, "%s", why);
		run_term(s->cur);
	}
	app_run_gone(s->app);
}

bool slot_restart(struct slot *s, const char *why)
{
	struct app *a = s->app;

	s->restart_queued = a->deploy != NULL; /* only if it fails: else all is restarted anyway */
	if (a->deploy || !slot_known(s))
		return false;
	if (is_service(a)) {
		restart_service(s, why);
		return true;
	}
	if (!s->cur) {
		if (!s->fresh)
			slot_start(s);
		slot_forgive(s);
		return true;
	}
	slot_forgive(s);
	run_log(s->cur, "%s", why);
	if (strcmp(s->type, "web") != 0 || s->cur->info.state != DYNO_UP) {
		run_stop(s->cur);
		slot_start(s);
		return true;
	}
	LIST_FOREACH (struct slot, o, a->slots)
		if (o->restarting && o != s) {
			s->restart_queued = true; /* one web dyno after another */
			return true;
		}
	if (s->restarting)
		return true;
	s->restarting = true;
	s->fresh = slot_run(s, a->rel, s->command, s->size);
	run_launch(s->fresh);
	return true;
}

static void restart_done(struct slot *s)
{
	struct run *old = s->cur;

	s->cur = STEAL(s->fresh);
	s->restarting = false;
	s->cur->serving = true;
	if (old) {
		old->slot = NULL;
		run_stop(old);
	} else {
		app_publish(s->app, NULL, NULL);
	}
	restart_next(s->app);
}

/* --- what runs tell --- */

void slot_run_up(struct run *r)
{
	struct slot *s = r->slot;

	if (!s)
		return;
	if (s->fresh == r) {
		if (s->restarting)
			restart_done(s);
		else if (s->app->deploy) /* else paasd is starting, and its deploy has not begun */
			deploy_check(s->app);
		return;
	}
	r->serving = r->web;
	if (r->web)
		app_publish(s->app, NULL, NULL);
}

void slot_run_ended(struct run *r)
{
	struct slot *s = r->slot;
	struct app *a = r->app;
	bool served = r->serving;

	r->slot = NULL;
	r->serving = false;
	if (!s) {
		if (served)
			app_publish(a, NULL, NULL);
		return;
	}
	if (s->fresh == r) {
		s->fresh = NULL;
		if (s->restarting) {
			/* The old one serves on; its replacement did not come up. */
			s->restarting = false;
			if (!s->cur)
				back_off(s, r);
			restart_next(a);
		} else if (a->deploy) {
			deploy_fail(a, r);
		}
		return;
	}
	s->cur = NULL;
	if (r->rel->service && r->stopping)
		return; /* a restart: app_run_gone goes on */
	if (!s->fresh)
		back_off(s, r);
	if (r->web)
		app_publish(a, NULL, NULL);
}

/* --- scale, restart, stop --- */

void dynos_assume(struct dynos *d, struct dyno_release *r)
{
	struct app *a = dynos_app(d, r->app_id, true);

	dyno_release_ref(r);
	dyno_release_unref(a->rel);
	a->rel = r;
}

/* Settles a slot whose runs are not what the current release says: left by an interrupted deploy.
 */
static void settle(struct slot *s)
{
	struct app *a = s->app;

	if (s->fresh && !s->restarting) {
		struct run *loser = is_of(s->fresh, a->rel) ? s->cur : s->fresh;

		if (loser && loser == s->cur && loser->serving && !s->fresh->serving) {
			s->restarting = true; /* the old one serves until the new one can */
			return;
		}
		if (loser == s->cur)
			s->cur = s->fresh;
		s->fresh = NULL;
		if (loser) {
			loser->slot = NULL;
			run_stop(loser);
		}
	}
	if (s->cur && !is_of(s->cur, a->rel))
		slot_restart(s, "Restarting");
}

/* A replacement that is coming up with another size than is wanted now makes way for one that has
 * it; a dyno is replaced. */
static void resize(struct slot *s)
{
	if (!s->size[0])
		return;
	if (s->fresh && s->restarting && strcasecmp(s->fresh->info.size, s->size) != 0) {
		run_stop(s->fresh);
		s->fresh = slot_run(s, s->app->rel, s->command, s->size);
		run_launch(s->fresh);
	} else if (s->cur && !s->fresh && strcasecmp(s->cur->info.size, s->size) != 0) {
		slot_restart(s, "Restarting");
	}
}

void dynos_scale(struct dynos *d, struct dyno_release *r, const struct dyno_want *want, int n)
{
	struct app *a = dynos_app(d, r->app_id, true);

	if (a->deploy || d->closing)
		return;
	dynos_assume(d, r);
	drop_unwanted(a, want, n);
	/* A request wakes it: without web dynos there would be none. */
	if (a->asleep && !wanted(want, n, "web", 1))
		a->asleep = false;
	for (int i = 0; i < n; i++)
		for (int k = 1; k <= want[i].quantity; k++) {
			struct slot *s = slot_get(a, want[i].type, k, true);

			set_slot(s, &want[i]);
			settle(s);
			resize(s);
			if (!s->cur && !s->fresh && !s->retry && !a->asleep &&
			    !(is_service(a) && a->runs))
				slot_start(s);
		}
	restart_next(a); /* the one that they waited for may be gone */
	app_publish(a, NULL, NULL);
}

static bool matches(const char *name, const char *type, const char *dyno)
{
	return !name || strcmp(name, type) == 0 || strcmp(name, dyno) == 0;
}

static bool each_match(struct dynos *d, const char *app_id, const char *name, bool stop)
{
	struct app *a = dynos_app(d, app_id, false);
	bool any = false, asleep = a && a->asleep;

	if (!a)
		return false;
	for (struct slot *s = a->slots, *next; s; s = next) {
		char full[160];

		next = s->next;
		snprintf(full, sizeof full, "%s.%d", s->type, s->num);
		if (matches(name, s->type, full)) {
			any = true;
			if (!asleep)
				slot_restart(s, "Restarting");
			else if (!stop)
				dynos_wake(d, app_id); /* all of it, once */
		}
	}
	LIST_FOREACH (struct run, r, a->runs)
		if (r->oneoff && !r->ended && matches(name, r->info.type, r->info.name) &&
		    strcmp(r->info.type, "release") != 0) {
			any = true;
			run_term(r);
		}
	return any || (!name && a->rel);
}

bool dynos_restart(struct dynos *d, const char *app_id, const char *name)
{
	return each_match(d, app_id, name, false);
}

bool dynos_stop(struct dynos *d, const char *app_id, const char *name)
{
	return each_match(d, app_id, name, true);
}

void dynos_forget(struct dynos *d, const char *app_id, void (*done)(void *arg), void *arg)
{
	struct app *a = dynos_app(d, app_id, true);

	a->forgotten = done;
	a->forgotten_arg = arg;
	for (struct slot *s = a->slots, *next; s; s = next) {
		next = s->next;
		if (s->cur)
			s->cur->slot = NULL;
		if (s->fresh)
			s->fresh->slot = NULL;
		s->cur = s->fresh = NULL;
		s->crashes = 0;
		slot_free(s);
	}
	if (a->deploy) {
		struct err e = {0};

		err_set(&e, ERR_CANCELED, "The app was destroyed");
		deploy_end(a, &e);
	}
	LIST_FOREACH (struct run, r, a->runs) {
		r->serving = false;
		r->stopping = true;
		run_kill(r);
	}
	app_maybe_free(a);
}

void dynos_crash_restore(struct dynos *d, const char *app_id, const char *name, int count,
			 wall_ms restart_ms)
{
	struct app *a = dynos_app(d, app_id, true);
	wall_ms left = restart_ms - clock_wall_ms();
	char type[LIM_PROC_TYPE + 1];
	struct slot *s;
	int num;

	if (!name_split_dyno(name, type, &num))
		return;
	s = slot_get(a, type, num, true);
	s->crashes = count;
	s->crashed_at = clock_mono_ms();
	if (left > 0 && !s->cur && !s->retry && !a->asleep)
		s->retry = loop_timer_start(d->l, (uint64_t)left, retry, s);
}
