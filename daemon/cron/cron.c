/* The clock, and runs from their row to their end. Loop thread, but for what cron.h names. */
#include "daemon/core/xlog.h"
#include "daemon/cron/cron_int.h"
#include "daemon/release/release.h"
#include "daemon/store/release.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* The clock is looked at so often even when nothing is due: it may be set, the host may have slept.
 */
#define CLOCK_MS 60000
#define AGAIN_MS 10000 /* when the store fails */
/* Runs that are late by more than this were missed. */
#define LATE_MS	  60000
#define DUE_MAX	  50 /* jobs looked at in one transaction */
#define BROKEN_MS 3600000

struct live {
	struct live *next;
	struct cron *c;
	struct store_job_run run; /* owned content */
};

/* --- transactions of the loop --- */

void cron_tx(struct cron *c, tx_fn *fn, void *arg, void (*done)(void *arg, const struct err *e))
{
	c->writes++;
	store_tx_async(c->st, fn, arg, c->l, done);
}

void cron_tx_done(struct cron *c)
{
	void (*fn)(void *arg) = c->stopped;

	if (--c->writes > 0 || !fn)
		return;
	c->stopped = NULL;
	fn(c->stopped_arg);
}

static void look(struct cron *c);

static void on_clock(void *arg)
{
	struct cron *c = arg;

	c->clock = NULL;
	look(c);
}

static void set_clock(struct cron *c, int64_t ms)
{
	loop_timer_stop(c->clock);
	c->clock = NULL;
	if (!c->closing)
		c->clock = loop_timer_start(c->l, (uint64_t)(ms > 0 ? ms : 0), on_clock, c);
}

/* --- what a run's row learns --- */

struct note {
	struct cron *c;
	char id[37];
	enum job_run_state state;
	int exit_code;
	wall_ms started;
	char *failure; /* owned */
};

static void note_free(struct note *n)
{
	struct cron *c = n->c;

	free(n->failure);
	free(n);
	cron_tx_done(c);
}

static int write_note(struct tx *tx, void *arg, struct err *err)
{
	struct note *n = arg;

	if (n->state == RUN_RUNNING)
		return store_job_run_started(tx, n->id, n->started, err);
	return store_job_run_ended(tx, n->id, n->state, n->exit_code, n->failure, err);
}

static void on_noted(void *arg, const struct err *e);

static void note_again(void *arg)
{
	struct note *n = arg;

	if (n->c->closing)
		note_free(n); /* the next start sees how it ended */
	else
		store_tx_async(n->c->st, write_note, n, n->c->l, on_noted);
}

static void on_noted(void *arg, const struct err *e)
{
	struct note *n = arg;

	if (e->status && n->state != RUN_RUNNING) {
		xlog_err(XLOG_ERROR, "cron", e, "msg=\"end of a job not recorded\" run_id=%s",
			 n->id);
		loop_timer_start(n->c->l, n->c->closing ? 0 : AGAIN_MS, note_again, n);
		return;
	}
	/* It need not be remembered elsewhere any more. */
	if (n->state != RUN_RUNNING)
		n->c->ops.forget_end(n->c->ops.arg, n->id);
	note_free(n);
}

static void note(struct live *v, enum job_run_state state, int exit_code, wall_ms started,
		 const char *failure)
{
	struct note *n = xcalloc(1, sizeof *n);

	*n = (struct note){.c = v->c,
			   .state = state,
			   .exit_code = exit_code,
			   .started = started,
			   .failure = failure ? xstrdup(failure) : NULL};
	memcpy(n->id, v->run.id, sizeof n->id);
	cron_tx(v->c, write_note, n, on_noted);
}

/* --- a run --- */

static void live_free(struct live *v)
{
	struct live **p = &v->c->runs;

	while (*p != v)
		p = &(*p)->next;
	*p = v->next;
	store_job_run_clear(&v->run);
	free(v);
}

static struct live *live_new(struct cron *c, struct store_job_run *r)
{
	struct live *v = xcalloc(1, sizeof *v);

	v->c = c;
	v->run = *r;
	*r = (struct store_job_run){0};
	v->next = c->runs;
	c->runs = v;
	return v;
}

static void say(struct cron *c, const char *app_id, const char *what, const char *job,
		const char *why)
{
	logd_printf(c->log, app_id, "heroku", "scheduler", "%s `%.200s`: %.300s", what, job, why);
}

static void on_started(const struct dyno_info *i, const struct err *e, void *arg)
{
	struct live *v = arg;

	if (v->c->closing)
		return; /* it is found again at the next start */
	if (i) {
		note(v, RUN_RUNNING, -1, i->created_ms, NULL);
		return;
	}
	say(v->c, v->run.app_id, "Failed", v->run.job_name, e->msg);
	note(v, RUN_FAILED, -1, 0, e->msg);
	live_free(v);
}

static void on_ended(const struct dyno_info *i, void *arg)
{
	struct live *v = arg;

	if (v->c->closing)
		return; /* how it ended is kept; the next start reads it */
	if (i->exit_code < 0)
		note(v, RUN_LOST, -1, 0, "its supervisor was lost");
	else
		note(v, i->exit_code ? RUN_FAILED : RUN_SUCCEEDED, i->exit_code, 0, NULL);
	live_free(v);
}

static struct oneoff_ops ops_of(struct live *v)
{
	return (struct oneoff_ops){.started = on_started, .ended = on_ended, .arg = v};
}

static void launch(struct live *v)
{
	const struct oneoff_ops ops = ops_of(v);
	const char *dot = strrchr(v->run.dyno, '.');
	struct oneoff_req req = {.type = "scheduler",
				 .num = dot ? atoi(dot + 1) : 0,
				 .id = v->run.id,
				 .command = v->run.command,
				 .size = v->run.size[0] ? v->run.size : NULL};

	v->c->ops.start(v->c->ops.arg, v->run.app_id, &req, &ops);
}

void cron_begin(struct cron *c, struct store_job_run *r)
{
	if (c->closing)
		store_job_run_clear(r); /* committed: the next start begins it */
	else
		launch(live_new(c, r));
}

struct later {
	struct cron *c;
	struct store_job_run run;
};

static void begin(void *arg)
{
	struct later *t = arg;

	cron_begin(t->c, &t->run);
	free(t);
}

void cron_begin_later(struct cron *c, struct store_job_run *r)
{
	struct later *t = xcalloc(1, sizeof *t);

	t->c = c;
	t->run = *r;
	*r = (struct store_job_run){0};
	if (!loop_post(c->l, begin, t)) {
		store_job_run_clear(&t->run);
		free(t);
	}
}

/* --- what is due --- */

struct taken {
	struct cron *c;
	wall_ms now, next;
	struct store_job_runs runs; /* to be begun, or skipped */
	struct store_job_runs old;  /* to be replaced */
};

static void taken_clear(struct taken *t)
{
	store_job_runs_clear(&t->runs);
	store_job_runs_clear(&t->old);
}

static void add_run(struct store_job_runs *l, struct store_job_run *r)
{
	l->v = xrealloc(l->v, (size_t)(l->n + 1) * sizeof *l->v);
	l->v[l->n++] = *r;
	*r = (struct store_job_run){0};
}

static bool has_slug(struct tx *tx, const char *app_id)
{
	AUTO(store_release_clear) struct store_release r = {0};
	struct err none = {0};

	return store_release_current(tx, app_id, &r, &none) == 0 && r.slug_id[0];
}

void cron_expand(struct tx *tx, struct store_job_run *r)
{
	char *command = store_release_command(tx, r->app_id, r->command);

	free(r->command);
	r->command = command;
}

/* Why a run that is due does not take place; NULL: it does. */
static const char *why_not(struct tx *tx, const struct store_job *j, wall_ms now, int open)
{
	if (j->next_ms < now - LATE_MS && j->missed == JOB_MISSED_SKIP)
		return "missed: the platform was not running when it was due";
	if (!has_slug(tx, j->app_id))
		return "nothing is deployed";
	if (open && j->overlap == JOB_SKIP)
		return "the run before still goes";
	return NULL;
}

static int replace(struct tx *tx, struct taken *t, struct store_job_runs *open, struct err *err)
{
	for (int i = 0; i < open->n; i++) {
		if (store_job_run_note(tx, open->v[i].id, "stopped: the next run took its place",
				       err) < 0)
			return -1;
		add_run(&t->old, &open->v[i]);
	}
	return 0;
}

static int take_one(struct tx *tx, struct taken *t, const struct store_job *j, struct err *err)
{
	AUTO(store_job_runs_clear) struct store_job_runs open = {0};
	AUTO(store_job_run_clear) struct store_job_run run = {0};
	struct err bad = {0};
	const char *why;
	wall_ms next;

	if (store_job_run_open(tx, j->id, &open, err) < 0)
		return -1;
	why = why_not(tx, j, t->now, open.n);
	if (cron_next(j, t->now, &next, &bad) < 0) { /* its zone has left this host */
		why = bad.msg;
		next = t->now + BROKEN_MS;
	}
	if (!why && j->overlap == JOB_REPLACE && replace(tx, t, &open, err) < 0)
		return -1;
	if (store_job_run_insert(tx, j, j->next_ms, why, &run, err) < 0 ||
	    store_job_set_next(tx, j->id, next, err) < 0)
		return -1;
	cron_expand(tx, &run);
	add_run(&t->runs, &run);
	return 0;
}

static int take_due(struct tx *tx, void *arg, struct err *err)
{
	struct taken *t = arg;
	AUTO(store_jobs_clear) struct store_jobs due = {0};

	taken_clear(t); /* the writer may run this again */
	t->now = clock_wall_ms();
	if (store_job_due(tx, t->now, DUE_MAX, &due, err) < 0)
		return -1;
	for (int i = 0; i < due.n; i++)
		if (take_one(tx, t, &due.v[i], err) < 0)
			return -1;
	return store_job_next(tx, &t->next, err);
}

static void on_taken(void *arg, const struct err *e)
{
	struct taken *t = arg;
	struct cron *c = t->c;
	int64_t wait = t->next ? t->next - clock_wall_ms() : CLOCK_MS;

	c->looking = false;
	if (e->status) {
		xlog_err(XLOG_ERROR, "cron", e, "msg=\"jobs cannot be looked at\"");
		wait = AGAIN_MS;
	}
	for (int i = 0; i < t->old.n && !e->status && !c->closing; i++)
		c->ops.stop(c->ops.arg, t->old.v[i].app_id, t->old.v[i].dyno);
	for (int i = 0; i < t->runs.n && !e->status; i++)
		if (t->runs.v[i].state == RUN_STARTING)
			cron_begin(c, &t->runs.v[i]);
		else
			say(c, t->runs.v[i].app_id, "Skipped", t->runs.v[i].job_name,
			    t->runs.v[i].failure);
	set_clock(c, c->look_again ? 0 : wait < CLOCK_MS ? wait : CLOCK_MS);
	c->look_again = false;
	taken_clear(t);
	free(t);
	cron_tx_done(c);
}

static void look(struct cron *c)
{
	struct taken *t;

	if (!c->started || c->closing)
		return;
	if (c->looking) {
		c->look_again = true;
		return;
	}
	c->looking = true;
	t = xcalloc(1, sizeof *t);
	t->c = c;
	cron_tx(c, take_due, t, on_taken);
}

static void look_now(void *arg)
{
	look(arg);
}

void cron_look(struct cron *c)
{
	loop_post(c->l, look_now, c);
}

/* --- start and stop --- */

/* A run that an earlier paasd began. */
static void take_up(struct cron *c, struct store_job_run *r)
{
	struct live *v = live_new(c, r);
	const struct oneoff_ops ops = ops_of(v);
	bool starting = v->run.state == RUN_STARTING;
	int code;

	if (c->ops.watch(c->ops.arg, v->run.id, &ops, &code)) {
		if (starting)
			note(v, RUN_RUNNING, -1, v->run.due_ms, NULL);
		return;
	}
	/* Committed, and paasd was killed before its dyno was made. After a start of the host
	 * nobody knows. */
	if (code == DYNO_NEVER_RAN && starting && v->run.due_ms > clock_boot_ms()) {
		launch(v);
		return;
	}
	if (code >= 0)
		note(v, code ? RUN_FAILED : RUN_SUCCEEDED, code, 0, NULL);
	else
		note(v, RUN_LOST, -1, 0, "it was lost in a restart of the host or the platform");
	live_free(v);
}

struct found {
	struct cron *c;
	struct store_job_runs open;
};

static int read_open(struct tx *tx, void *arg, struct err *err)
{
	struct found *f = arg;

	store_job_runs_clear(&f->open);
	if (store_job_run_open(tx, NULL, &f->open, err) < 0)
		return -1;
	for (int i = 0; i < f->open.n; i++)
		cron_expand(tx, &f->open.v[i]);
	return 0;
}

static void on_found(void *arg, const struct err *e)
{
	struct found *f = arg;
	struct cron *c = f->c;

	if (e->status)
		xlog_err(XLOG_ERROR, "cron", e, "msg=\"runs of jobs cannot be taken up\"");
	for (int i = 0; i < f->open.n && !c->closing; i++)
		take_up(c, &f->open.v[i]);
	store_job_runs_clear(&f->open);
	free(f);
	c->started = true;
	cron_sync_all(c);
	look(c);
	cron_tx_done(c);
}

void cron_start(struct cron *c)
{
	struct found *f = xcalloc(1, sizeof *f);

	ASSERT_ON(c->l);
	f->c = c;
	cron_tx(c, read_open, f, on_found);
}

void cron_stop(struct cron *c, void (*done)(void *arg), void *arg)
{
	ASSERT_ON(c->l);
	c->closing = true;
	loop_timer_stop(c->clock);
	c->clock = NULL;
	c->stopped = done;
	c->stopped_arg = arg;
	c->writes++;
	cron_tx_done(c);
}

struct cron *cron_new(struct loop *l, struct store *st, struct logd *log,
		      const struct cron_ops *ops)
{
	struct cron *c = xcalloc(1, sizeof *c);

	c->l = l;
	c->st = st;
	c->log = log;
	c->ops = *ops;
	return c;
}

void cron_free(struct cron *c)
{
	if (!c)
		return;
	while (c->runs)
		live_free(c->runs);
	free(c);
}

/* --- on real dynos --- */

static void real_start(void *arg, const char *app_id, const struct oneoff_req *req,
		       const struct oneoff_ops *ops)
{
	release_oneoff(arg, app_id, req, ops);
}

static bool real_watch(void *arg, const char *dyno_id, const struct oneoff_ops *ops, int *exit_code)
{
	return dynos_watch(releases_dynos(arg), dyno_id, ops, exit_code);
}

static void real_stop(void *arg, const char *app_id, const char *dyno)
{
	dynos_stop(releases_dynos(arg), app_id, dyno);
}

static void real_forget_end(void *arg, const char *dyno_id)
{
	dynos_forget_end(releases_dynos(arg), dyno_id);
}

struct cron *cron_new_on(struct loop *l, struct store *st, struct logd *log, struct releases *r)
{
	const struct cron_ops ops = {r, real_start, real_watch, real_stop, real_forget_end};
	struct cron *c = cron_new(l, st, log, &ops);

	releases_on_live(r, cron_sync_later, c);
	return c;
}
