/* The deploy machine: QUEUED -> RELEASE_PHASE -> CUTOVER -> LIVE, any -> FAILED. Loop thread. Each
 * move is committed before its work starts, so that a restart knows where to take it up. */
#include "daemon/release/release_int.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "daemon/store/release.h"
#include "proto/limits.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

const struct sm_state deploy_states[D_STATES] = {
	[D_QUEUED] = {"queued", SM_TO(D_RELEASE_PHASE) | SM_TO(D_CUTOVER) | SM_TO(D_FAILED)},
	[D_RELEASE_PHASE] = {"release_phase", SM_TO(D_CUTOVER) | SM_TO(D_FAILED)},
	[D_CUTOVER] = {"cutover", SM_TO(D_LIVE) | SM_TO(D_FAILED)},
	[D_LIVE] = {"live", 0},
	[D_FAILED] = {"failed", 0},
};

struct dep *dep_new(struct releases *r, struct plan *p)
{
	struct dep *d = xcalloc(1, sizeof *d);

	d->rs = r;
	d->refs = 1;
	d->sm = (struct sm){.table = deploy_states, .what = "deploy"};
	memcpy(d->sm.id, p->release_id, sizeof d->sm.id);
	d->rel = plan_release(r->sl, p);
	d->plan = *p;
	memcpy(d->dyno_id, p->command_dyno, sizeof d->dyno_id);
	*p = (struct plan){0};
	pthread_mutex_lock(&r->lock);
	for (struct dep **q = &r->deps;; q = &(*q)->next)
		if (!*q) {
			*q = d;
			break;
		}
	pthread_mutex_unlock(&r->lock);
	return d;
}

void dep_unref(struct dep *d)
{
	struct releases *r;
	int left;

	if (!d)
		return;
	r = d->rs;
	pthread_mutex_lock(&r->lock);
	left = --d->refs;
	pthread_mutex_unlock(&r->lock);
	if (left > 0)
		return;
	dyno_release_unref(d->rel);
	plan_clear(&d->plan);
	plan_clear(&d->fresh);
	buf_clear(&d->output);
	free(d);
}

struct dep *dep_find(struct releases *r, const char *release_id)
{
	struct dep *d;

	pthread_mutex_lock(&r->lock);
	for (d = r->deps; d; d = d->next)
		if (strcmp(d->plan.release_id, release_id) == 0) {
			d->refs++;
			break;
		}
	pthread_mutex_unlock(&r->lock);
	return d;
}

static void dep_step(struct dep *d);

static void woken(struct dep *d, const struct err *e)
{
	if (e && e->status)
		d->err = *e;
	dep_step(d);
}

/* --- persistence --- */

static void commit(struct dep *d, int (*fn)(struct tx *tx, void *arg, struct err *err),
		   void (*done)(void *arg, const struct err *e))
{
	way_begin(d->rs);
	store_tx_async(d->rs->st, fn, d, d->rs->l, done);
}

/* People scale while a deploy is on its way: what it starts is what is wanted then. */
static int read_wants(struct tx *tx, struct dep *d, const char *release_id, struct err *err)
{
	plan_clear(&d->fresh);
	return rows_plan(tx, release_id, d->rs->cfg, &d->fresh, err);
}

static void take_wants(struct dep *d)
{
	struct dyno_want *want = d->plan.want;
	int n = d->plan.nwant;

	if (!d->fresh.release_id[0])
		return;
	d->plan.want = d->fresh.want;
	d->plan.nwant = d->fresh.nwant;
	d->fresh.want = want;
	d->fresh.nwant = n;
	plan_clear(&d->fresh);
}

static int write_phase(struct tx *tx, void *arg, struct err *err)
{
	struct dep *d = arg;

	if (d->sm.state == D_CUTOVER && read_wants(tx, d, d->plan.release_id, err) < 0)
		return -1;
	if (store_release_set_command_dyno(tx, d->plan.release_id,
					   d->dyno_id[0] ? d->dyno_id : NULL, err) < 0)
		return -1;
	return store_release_set_phase(tx, d->plan.release_id, deploy_states[d->sm.state].name,
				       err);
}

static void on_committed(void *arg, const struct err *e)
{
	struct dep *d = arg;
	struct releases *r = d->rs;

	d->started = true;
	if (!e->status)
		take_wants(d);
	woken(d, e);
	way_end(r);
}

/* Moves and commits; the state's own work starts when dep_step comes by with started set. */
static void move(struct dep *d, int to)
{
	sm_move(&d->sm, to);
	d->started = false;
	commit(d, write_phase, on_committed);
}

/* --- release phase --- */

static void on_output(const char *p, size_t n, void *arg)
{
	struct dep *d = arg;

	pthread_mutex_lock(&d->rs->lock);
	d->output_bytes += n;
	if (d->output.len + n <= LIM_RELEASE_OUTPUT)
		buf_add(&d->output, p, n);
	pthread_cond_broadcast(&d->rs->changed);
	pthread_mutex_unlock(&d->rs->lock);
}

static void command_failed(struct dep *d, int code)
{
	struct err e = {0};

	if (code < 0)
		err_set(&e, ERR_BUILD_FAILED,
			"Release command was lost in a restart of the platform");
	else
		err_set(&e, ERR_BUILD_FAILED, "Release command exited with status %d", code);
	woken(d, &e);
}

static void on_ended(const struct dyno_info *i, void *arg)
{
	struct dep *d = arg;

	if (d->rs->closing)
		return; /* how it ended is kept; the next start goes on from there */
	if (i->exit_code == 0 && !d->canceled)
		move(d, D_CUTOVER);
	else
		command_failed(d, i->exit_code);
}

static void on_started(const struct dyno_info *i, const struct err *err, void *arg)
{
	if (err)
		woken(arg, err);
}

static void run_command(struct dep *d)
{
	const struct oneoff_ops ops = {
		.started = on_started, .output = on_output, .ended = on_ended, .arg = d};
	struct oneoff_req req = {.type = "release",
				 .num = 1000 + (int)random_below(9000),
				 .id = d->dyno_id,
				 .command = d->plan.command,
				 .ttl_s = (unsigned)d->rs->cfg->release_timeout_s,
				 .keep_output = LIM_RELEASE_OUTPUT};

	dynos_oneoff(d->rs->dy, d->rel, &req, &ops);
}

/* --- cut-over --- */

static void on_up(const struct err *err, void *arg)
{
	struct dep *d = arg;

	if (err) {
		woken(d, err);
		return;
	}
	sm_move(&d->sm, D_LIVE);
	dep_step(d);
}

/* --- the end --- */

static int write_end(struct tx *tx, void *arg, struct err *err)
{
	struct dep *d = arg;
	AUTO(store_release_clear) struct store_release cur = {0};
	struct err none = {0};

	if (d->sm.state == D_FAILED) {
		if (store_release_fail(tx, d->plan.release_id, STORE_FAILED, d->err.msg, err) < 0 ||
		    hook_event(tx, d->plan.app_id, "api:release", HOOK_UPDATE, NULL,
			       d->plan.release_id, err) < 0)
			return -1;
		if (store_release_current(tx, d->plan.app_id, &cur, &none) < 0 || !cur.slug_id[0])
			return 0;
		return read_wants(tx, d, cur.id, err);
	}
	if (store_release_make_current(tx, d->plan.release_id, err) < 0 ||
	    rows_formation(tx, d->plan.release_id, err) < 0 ||
	    hook_event(tx, d->plan.app_id, "api:release", HOOK_UPDATE, NULL, d->plan.release_id,
		       err) < 0)
		return -1;
	return read_wants(tx, d, d->plan.release_id, err);
}

static void save_output_job(struct dep *d)
{
	AUTO(auto_str) char *path = xasprintf("%s/%s", d->rs->output_dir, d->plan.release_id);
	struct err err = {0};

	if (!d->plan.command)
		return;
	if (fs_write_atomic(path, buf_str(&d->output), d->output.len, 0600, &err) < 0)
		xlog_err(XLOG_WARN, "release", &err, "msg=\"output not kept\"");
}

static void finish(struct dep *d)
{
	struct releases *r = d->rs;
	char app_id[37];

	memcpy(app_id, d->plan.app_id, sizeof app_id);
	pthread_mutex_lock(&r->lock);
	for (struct dep **p = &r->deps; *p; p = &(*p)->next)
		if (*p == d) {
			*p = d->next;
			break;
		}
	d->final = true;
	if (d->dyno_id[0])
		dynos_forget_end(r->dy, d->dyno_id);
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	dep_unref(d);
	deps_next(r, app_id);
}

/* Who waited for the release may send requests at once: every router worker has the routes by now.
 */
static void on_routed(void *arg)
{
	struct dep *d = arg;
	struct releases *r = d->rs;

	finish(d);
	way_end(r);
}

static void on_end_written(void *arg, const struct err *e)
{
	struct dep *d = arg;
	struct releases *r = d->rs;
	struct rapp *a = rapp_get(r, d->plan.app_id, false);

	if (e->status)
		xlog_err(XLOG_ERROR, "release", e,
			 "msg=\"end of a release not recorded\" release_id=%s", d->plan.release_id);
	if (!a) {
		on_routed(d);
		return;
	}
	a->failed_first = d->sm.state != D_LIVE && !a->rel;
	/* Scaled while the cut-over was under way. */
	if (!e->status && a->rel && strcmp(a->rel->release_id, d->fresh.release_id) == 0)
		dynos_scale(r->dy, a->rel, d->fresh.want, d->fresh.nwant);
	for (int i = 0; i < r->non_live && d->sm.state == D_LIVE && !e->status; i++)
		r->on_live[i].fn(r->on_live[i].arg, d->plan.app_id);
	rapp_publish(r, a, on_routed, d);
}

static int write_end_and_output(struct tx *tx, void *arg, struct err *err)
{
	save_output_job(arg);
	return write_end(tx, arg, err);
}

static void end(struct dep *d)
{
	struct rapp *a = rapp_get(d->rs, d->plan.app_id, false);

	if (d->sm.state == D_LIVE && a) {
		rapp_set_release(a, d->rel);
		sleep_count_anew(a); /* people will look at it */
	} else if (d->sm.state == D_FAILED) {
		logd_printf(d->rs->log, d->plan.app_id, "heroku", "release",
			    "Release v%d failed: %s", d->plan.version, d->err.msg);
		xlog_err(XLOG_INFO, "release", &d->err, "msg=failed app=%s version=%d",
			 d->plan.app_name, d->plan.version);
	}
	/* The output file is written on the writer's thread, before the row that points at it. */
	commit(d, write_end_and_output, on_end_written);
}

static void take_up_command(struct dep *d)
{
	const struct oneoff_ops ops = {.output = on_output, .ended = on_ended, .arg = d};
	int code;

	if (dynos_watch(d->rs->dy, d->dyno_id, &ops, &code))
		return;
	if (code == 0)
		move(d, D_CUTOVER);
	else if (code == DYNO_NEVER_RAN && d->plan.phase_ms > clock_boot_ms())
		run_command(d); /* the phase was committed, the dyno was not launched */
	else
		command_failed(d, code);
}

/* Each return is one wait; its end comes back through woken(). */
static void dep_step(struct dep *d)
{
	if (d->rs->closing)
		return; /* what is committed so far is taken up at the next start */
	if (d->canceled && !d->err.status)
		err_set(&d->err, ERR_CANCELED, "The app was destroyed");
	if (d->err.status && !sm_final(&d->sm)) {
		sm_move(&d->sm, D_FAILED);
		end(d);
		return;
	}
	switch (d->sm.state) {
	case D_QUEUED:
		if (d->plan.command)
			uuid_new(d->dyno_id);
		move(d, d->plan.command ? D_RELEASE_PHASE : D_CUTOVER);
		break;
	case D_RELEASE_PHASE:
		if (d->started)
			run_command(d);
		else
			take_up_command(d);
		break;
	case D_CUTOVER:
		dynos_deploy(d->rs->dy, d->rel, d->plan.want, d->plan.nwant, on_up, d);
		break;
	case D_LIVE:
		end(d);
		break;
	default:
		assert(!"no step");
	}
}

/* Releases of one app go one after another, in the order of their versions. */
void deps_next(struct releases *r, const char *app_id)
{
	struct dep *d, *first = NULL;

	if (r->closing)
		return;
	pthread_mutex_lock(&r->lock);
	for (d = r->deps; d && !first; d = d->next)
		if (strcmp(d->plan.app_id, app_id) == 0)
			first = d;
	pthread_mutex_unlock(&r->lock);
	if (first && !first->running) {
		first->running = true;
		dep_step(first);
	}
}

void deps_cancel(struct releases *r, const char *app_id)
{
	pthread_mutex_lock(&r->lock);
	for (struct dep *d = r->deps; d; d = d->next)
		if (strcmp(d->plan.app_id, app_id) == 0)
			d->canceled = true;
	pthread_mutex_unlock(&r->lock);
}

void dep_enqueue(void *arg)
{
	struct dep *d = arg;
	struct rapp *a = rapp_get(d->rs, d->plan.app_id, true);

	/* Of a new app. Later the plan may be older than what release_app_changed has said. */
	if (!a->name[0]) {
		snprintf(a->name, sizeof a->name, "%s", d->plan.app_name);
		a->maintenance = d->plan.maintenance;
	}
	deps_next(d->rs, d->plan.app_id);
}
