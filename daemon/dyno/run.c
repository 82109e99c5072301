/* One run of a dyno: what it is, and what its shim tells of it until the end. */
#include "daemon/dyno/dyno_int.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "proto/limits.h"
#include "proto/shim.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Longer than a shim stays to hand over its last lines once its dyno has ended. */
#define SHIM_LEAVES_MS 10000

const char *dyno_state_name(enum dyno_state s)
{
	static const char *const names[] = {
		[DYNO_STARTING] = "starting", [DYNO_UP] = "up",	    [DYNO_STOPPING] = "stopping",
		[DYNO_CRASHED] = "crashed",   [DYNO_DOWN] = "down", [DYNO_IDLE] = "idle",
	};

	return names[s];
}

void run_log(struct run *r, const char *fmt, ...)
{
	char text[LIM_LOG_LINE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	logd_append(r->d->log, r->info.app_id, "heroku", r->info.name, 0, text, strlen(text));
}

bool run_listens(const struct run *r)
{
	return r->web || r->rel->service;
}

void run_tell(struct run *r, enum dyno_state was)
{
	const struct dyno_service *sv = r->rel->service;

	if (sv)
		sv->changed(&r->info, was, sv->arg);
	else if (r->d->ops.changed)
		r->d->ops.changed(&r->info, was, r->d->ops.arg);
}

void run_state(struct run *r, enum dyno_state to)
{
	enum dyno_state was;

	if (r->info.state == to)
		return;
	/* "stopping" is ours; users know starting, up, crashed, down. */
	if (to != DYNO_STOPPING && !(r->info.state == DYNO_STOPPING && to == DYNO_DOWN))
		run_log(r, "State changed from %s to %s", dyno_state_name(r->info.state),
			to == DYNO_DOWN && r->oneoff ? "complete" : dyno_state_name(to));
	was = r->info.state;
	r->info.state = to;
	r->info.state_ms = clock_wall_ms();
	run_tell(r, was);
}

struct run *run_new(struct app *a, struct dyno_release *rel, const char *type, int num,
		    const char *command, const char *size)
{
	struct run *r = xcalloc(1, sizeof *r);
	const struct dyno_size *sz = size && *size ? dyno_size_find(size) : NULL;

	ASSERT_ON(a->d->l);
	r->d = a->d;
	r->app = a;
	r->rel = dyno_release_ref(rel);
	r->end_code = DYNO_LOST;
	uuid_new(r->info.id);
	memcpy(r->info.app_id, a->id, sizeof a->id);
	memcpy(r->info.release_id, rel->release_id, sizeof rel->release_id);
	r->info.release_version = rel->version;
	snprintf(r->info.type, sizeof r->info.type, "%s", type);
	snprintf(r->info.name, sizeof r->info.name, "%s.%d", type, num);
	r->info.num = num;
	snprintf(r->info.size, sizeof r->info.size, "%s", sz ? sz->name : dyno_sizes[0].name);
	r->info.command = xstrdup(command);
	r->info.created_ms = r->info.state_ms = clock_wall_ms();
	r->info.state = DYNO_STARTING;
	r->info.exit_code = -1;
	r->web = strcmp(type, "web") == 0;
	r->next = a->runs;
	a->runs = r;
	r->d->live++;
	return r;
}

void run_free(struct run *r)
{
	struct app *a = r->app;
	struct dynos *d = r->d;
	struct run **p = &a->runs;

	while (*p != r)
		p = &(*p)->next;
	*p = r->next;
	shimconn_close(r->super);
	shimconn_close(r->attach);
	check_stop(r->check);
	loop_timer_stop(r->boot_timer);
	loop_timer_stop(r->stop_timer);
	loop_timer_stop(r->cycle_timer);
	buf_clear(&r->rest);
	launch_spec_clear(&r->spec);
	dyno_release_unref(r->rel);
	dyno_info_clear(&r->info);
	free(r);
	d->live--;
	app_run_gone(a);
	app_maybe_free(a);
	dynos_wind_up(d);
}

/* --- life --- */

static void cycle(void *arg)
{
	struct run *r = arg;

	r->cycle_timer = NULL;
	if (r->slot && r->slot->cur == r)
		slot_restart(r->slot, "Cycling");
}

static void start_cycle(struct run *r)
{
	if (r->rel->service)
		return;
	/* Every day plus up to 216 minutes, each dyno on its own clock (Dev Center: Dyno Restarts).
	 */
	loop_timer_stop(r->cycle_timer);
	r->cycle_timer =
		loop_timer_start(r->d->l, 86400000ULL + random_below(216 * 60000), cycle, r);
}

void run_up(struct run *r)
{
	if (r->info.state != DYNO_STARTING)
		return;
	loop_timer_stop(r->boot_timer);
	r->boot_timer = NULL;
	run_state(r, DYNO_UP);
	if (r->oneoff)
		return;
	start_cycle(r);
	slot_run_up(r);
}

static void mem_sample(struct run *r, uint64_t total, uint64_t rss, uint64_t cache, uint64_t swap)
{
	const struct dyno_size *sz = dyno_size_find(r->info.size);
	double quota = (double)dyno_size_memory(sz, r->d->cfg);
	double mb = (double)total / 1048576;

	if (r->rel->service)
		return; /* the limit is a hard one */
	if (r->d->cfg->log_runtime_metrics || (r->rel && r->rel->log_metrics))
		run_log(r,
			"source=%s dyno=heroku.%s.%s sample#memory_total=%.2fMB "
			"sample#memory_rss=%.2fMB "
			"sample#memory_cache=%.2fMB sample#memory_swap=%.2fMB "
			"sample#memory_quota=%.2fMB",
			r->info.name, r->info.app_id, r->info.id, mb, (double)rss / 1048576,
			(double)cache / 1048576, (double)swap / 1048576, quota);
	if (mb > quota) {
		run_log(r, "Process running mem=%.0fM(%.1f%%)", mb, mb * 100 / quota);
		run_log(r, "Error R14 (Memory quota exceeded)");
	}
}

static void shim_stays(void *arg)
{
	struct run *r = arg;

	r->stop_timer = NULL;
	run_bury(r);
}

static void ended(struct run *r, int code)
{
	r->ended = true;
	r->info.exit_code = code;
	loop_timer_stop(r->boot_timer);
	loop_timer_stop(r->stop_timer);
	loop_timer_stop(r->cycle_timer);
	r->boot_timer = r->stop_timer = r->cycle_timer = NULL;
	check_stop(STEAL(r->check));
	if (r->oom) {
		run_log(r, "Error R15 (Memory quota vastly exceeded)");
		run_log(r, "Stopping process with SIGKILL");
	}
	if (code >= 0)
		run_log(r, "Process exited with status %d", code);
	else
		run_log(r, "Error R99 (Platform error) -> the dyno's supervisor was lost");
	if (!r->last_error[0])
		snprintf(r->last_error, sizeof r->last_error,
			 "%s exited with status %d before it was up", r->info.name, code);
	r->boot_failed = r->info.state == DYNO_STARTING;
	/* One that was over before paasd connected was up all the same. */
	if (r->oneoff && r->boot_failed && code >= 0 && !r->stopping && !r->unattached)
		run_state(r, DYNO_UP);
	run_state(r, r->stopping || r->oneoff ? DYNO_DOWN : DYNO_CRASHED);
	if (r->ops.ended)
		r->ops.ended(&r->info, r->ops.arg);
	else if (end_is_kept(r->info.type))
		end_remember(r->d, r->info.id, code); /* adopted, nobody has asked for it yet */
	r->ops = (struct oneoff_ops){0};
	slot_run_ended(r);
	if (r->adopting)
		adopted_one(r); /* now that its slot is empty */
	/* The shim still hands over the app's last lines, and closes when it is done with that. */
	if (r->super)
		r->stop_timer = loop_timer_start(r->d->l, SHIM_LEAVES_MS, shim_stays, r);
	else
		run_bury(r);
}

static void looked(void *arg)
{
	struct run *r = arg;

	r->looking = false;
	r->oom = r->end_oom > 0;
	if (r->rest.len && r->ops.output)
		r->ops.output(r->rest.data, r->rest.len, r->ops.arg);
	ended(r, r->end_code);
}

static void look_job(void *arg)
{
	struct run *r = arg;
	const char *run_dir = launcher_run_dir(r->d->la);
	AUTO(auto_str) char *output = xasprintf("%s/dynos/%s/output", run_dir, r->info.id);
	struct sandbox_status st;

	if (!r->end_known && sandbox_status(run_dir, r->info.id, &st, NULL) == 0) {
		r->end_code = st.exit_code;
		r->end_oom = st.oom;
	}
	if (r->oneoff && fs_read(output, 2 * LIM_RELEASE_OUTPUT, &r->rest, NULL) == 0)
		buf_drop(&r->rest, r->seen < r->rest.len ? (size_t)r->seen : r->rest.len);
	loop_post(r->d->l, looked, r);
}

/* Its shim said so, or is gone: a command that takes no time has ended, and its shim has left,
 * before anyone could connect. What it left in its folder tells the rest. */
static void over(struct run *r)
{
	if (r->ended || r->looking)
		return;
	shimconn_close(r->attach);
	r->attach = NULL;
	r->looking = true;
	if (r->end_known && !r->oneoff)
		looked(r);
	else if (!pool_submit(r->d->jobs, look_job, r))
		abort();
}

/* Numbers a frame may carry, by key. */
struct nums {
	uint64_t v[32];
};

static void read_nums(struct wire_frame *f, struct nums *n)
{
	struct wire_field x;

	*n = (struct nums){0};
	while (wire_next(f, &x) > 0)
		if (x.key < ARRAY_LEN(n->v))
			n->v[x.key] = wire_get_u64(&x);
}

static void bound(struct run *r, uint64_t how)
{
	if (how == 2 && r->web) {
		if (!r->last_error[0])
			run_log(r, "Web process listens on 127.0.0.1 only: bind to 0.0.0.0:$PORT "
				   "so that the router "
				   "can reach it");
		snprintf(r->last_error, sizeof r->last_error,
			 "Web process listens on 127.0.0.1:$PORT only; it must bind to "
			 "0.0.0.0:$PORT (R10)");
		return;
	}
	if (how == 1)
		run_bound(r);
}

/* For the app's owner nothing happens when paasd restarts: no log line, no gap in the routes. */
static void adopt_state(struct run *r, const struct nums *n)
{
	enum dyno_state was = r->info.state;
	bool is_up =
		run_listens(r) ? n->v[S_BOUND] == 1 && run_is_healthy(r) : n->v[S_RUNNING] != 0;

	r->info.state = is_up ? DYNO_UP : DYNO_STARTING;
	if (is_up && n->v[S_STARTED_US]) /* not since we are back */
		r->info.state_ms = (wall_ms)(n->v[S_STARTED_US] / 1000);
	r->serving = is_up && r->web && r->slot;
	if (!is_up && r->web && n->v[S_BOUND] == 1)
		run_bound(r);
	else if (!is_up)
		run_await_boot(r);
	else if (!r->oneoff)
		start_cycle(r);
	if (r->rel->service)
		run_tell(r, was);
	adopted_one(r);
}

static void on_frame(struct wire_frame *f, void *arg)
{
	struct run *r = arg;
	struct nums n;

	read_nums(f, &n);
	switch (f->type) {
	case SHIM_STATE:
		if (r->adopting) {
			adopt_state(r, &n);
			break;
		}
		if (!run_listens(r) && n.v[S_RUNNING])
			run_up(r);
		if (run_listens(r))
			bound(r, n.v[S_BOUND]);
		break;
	case SHIM_BOUND:
		if (run_listens(r))
			bound(r, n.v[S_BOUND]);
		break;
	case SHIM_MEM:
		mem_sample(r, n.v[S_MEM_TOTAL], n.v[S_MEM_RSS], n.v[S_MEM_CACHE], n.v[S_MEM_SWAP]);
		break;
	case SHIM_DETACHED:
		r->unattached = n.v[S_CODE] == 13;
		if (r->unattached)
			run_log(r, "Error R13 (Attach error) -> Failed to attach to process");
		else
			run_log(r, "Error R16 (Detached) -> An attached process is not responding "
				   "to SIGHUP "
				   "after its external connection was closed.");
		break;
	case SHIM_EXIT:
		if (r->ended || r->looking)
			break;
		r->end_known = true;
		r->end_oom = n.v[S_OOM];
		r->end_code = (int)n.v[S_EXIT_CODE];
		over(r);
		break;
	default:
		break;
	}
}

static void on_lost(void *arg)
{
	struct run *r = arg;

	r->super = NULL;
	if (r->ended)
		run_bury(r); /* it took its leave after SHIM_EXIT */
	else
		over(r); /* the shim may have been killed: burying kills what it left */
}

void run_supervise(struct run *r)
{
	static const struct shimconn_ops ops = {on_frame, on_lost};
	AUTO(buf_clear) struct buf b = {0};

	wire_end(&b, wire_begin(&b, SHIM_SUPERVISE));
	r->super = shimconn_open(r->d->l, launcher_run_dir(r->d->la), r->info.id, &b, &ops, r);
}

static void on_output(struct wire_frame *f, void *arg)
{
	struct run *r = arg;
	struct wire_field x;

	if (f->type != SHIM_OUTPUT || !r->ops.output)
		return;
	while (wire_next(f, &x) > 0)
		if (x.key == S_DATA) {
			r->seen += x.len;
			r->ops.output((const char *)x.data, x.len, r->ops.arg);
		}
}

static void on_output_lost(void *arg)
{
	struct run *r = arg;

	r->attach = NULL;
}

void run_watch_output(struct run *r)
{
	static const struct shimconn_ops ops = {on_output, on_output_lost};
	AUTO(buf_clear) struct buf b = {0};
	size_t m = wire_begin(&b, SHIM_ATTACH);

	wire_u64(&b, S_OFFSET, 0);
	wire_end(&b, m);
	r->attach = shimconn_open(r->d->l, launcher_run_dir(r->d->la), r->info.id, &b, &ops, r);
}
