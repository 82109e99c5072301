/* The way down: routes drain, SIGTERM, SIGKILL after the grace; then burial, on the pool. */
#include "daemon/dyno/dyno_int.h"
#include "daemon/core/xlog.h"
#include "proto/shim.h"

#include <assert.h>
#include <signal.h>
#include <string.h>

static void send_signal(struct run *r, int sig)
{
	AUTO(buf_clear) struct buf b = {0};
	size_t m;

	if (!r->super)
		return;
	m = wire_begin(&b, SHIM_SIGNAL);
	wire_u64(&b, S_SIGNAL, (uint64_t)sig);
	wire_end(&b, m);
	shimconn_send(r->super, &b);
}

void run_kill(struct run *r)
{
	if (r->ended)
		return;
	if (r->launching) {
		r->stop_sig = SIGKILL;
		return;
	}
	run_log(r, "Stopping process with SIGKILL");
	send_signal(r, SIGKILL);
}

static int64_t stop_seconds(const struct run *r)
{
	const struct dyno_service *sv = r->rel->service;

	return sv && sv->stop_s ? sv->stop_s : r->d->cfg->stop_timeout_s;
}

static int stop_signal(const struct run *r)
{
	const struct dyno_service *sv = r->rel->service;

	return sv && sv->stop_signal ? sv->stop_signal : SIGTERM;
}

static void stop_timeout(void *arg)
{
	struct run *r = arg;

	r->stop_timer = NULL;
	run_log(r,
		"Error R12 (Exit timeout) -> At least one process failed to exit within %lld "
		"seconds of SIG%s",
		(long long)stop_seconds(r), sigabbrev_np(stop_signal(r)));
	run_kill(r);
}

void run_term(struct run *r)
{
	if (r->ended || r->stopping)
		return;
	if (r->launching) {
		if (!r->stop_sig)
			r->stop_sig = SIGTERM;
		return;
	}
	r->stopping = true;
	check_stop(STEAL(r->check));
	loop_timer_stop(r->boot_timer);
	r->boot_timer = NULL;
	run_state(r, DYNO_STOPPING);
	run_log(r, "Stopping all processes with SIG%s", sigabbrev_np(stop_signal(r)));
	send_signal(r, stop_signal(r));
	r->stop_timer =
		loop_timer_start(r->d->l, (uint64_t)stop_seconds(r) * 1000, stop_timeout, r);
}

struct drain {
	struct drain *next; /* in dynos->drains */
	struct dynos *d;    /* NULL: gone */
	char app_id[37], id[37];
};

static void drain_unlink(struct drain *dr)
{
	struct drain **p = &dr->d->drains;

	while (*p != dr)
		p = &(*p)->next;
	*p = dr->next;
	dr->d = NULL;
}

/* The router's answers are awaited for half a minute; nobody waits with them at the end, and what
 * comes then finds nothing to do. */
void drains_orphan(struct dynos *d)
{
	while (d->drains)
		drain_unlink(d->drains);
}

/* The run may have ended by itself while its routes drained: look it up again. */
static void drained(void *arg)
{
	struct drain *dr = arg;
	struct app *a = dr->d ? dynos_app(dr->d, dr->app_id, false) : NULL;

	if (a)
		LIST_FOREACH (struct run, r, a->runs)
			if (strcmp(r->info.id, dr->id) == 0) {
				run_term(r);
				break;
			}
	if (dr->d)
		drain_unlink(dr);
	free(dr);
}

static void unrouted(void *arg)
{
	struct drain *dr = arg;

	if (dr->d)
		dr->d->ops.drain(dr->id, drained, dr, dr->d->ops.arg);
	else
		free(dr);
}

void run_stop(struct run *r)
{
	struct drain *dr;

	if (r->slot) {
		if (r->slot->cur == r)
			r->slot->cur = NULL;
		if (r->slot->fresh == r)
			r->slot->fresh = NULL;
		r->slot = NULL;
	}
	if (!r->web || !r->serving) {
		run_term(r);
		return;
	}
	r->serving = false;
	dr = xcalloc(1, sizeof *dr);
	dr->d = r->d;
	dr->next = dr->d->drains;
	dr->d->drains = dr;
	memcpy(dr->app_id, r->info.app_id, sizeof dr->app_id);
	memcpy(dr->id, r->info.id, sizeof dr->id);
	app_publish(r->app, unrouted, dr);
}

/* --- burial --- */

struct burial {
	struct dynos *d;
	struct run *r;
	char id[37];
	bool keep_end;
	int exit_code;
};

static void buried(void *arg)
{
	struct burial *b = arg;

	run_free(b->r);
	free(b);
}

static void bury_job(void *arg)
{
	struct burial *b = arg;
	struct err err = {0};

	/* The end of a release command is remembered until its deploy has taken note of it, as that
	 * of a job. Before the removal: what is neither there nor noted counts as never run. */
	if (b->keep_end && meta_write_end(b->d, b->id, b->exit_code, &err) < 0)
		xlog_err(XLOG_ERROR, "dyno", &err, "msg=\"end not kept\" dyno_id=%s", b->id);
	dyno_log_spool(b->d, b->id);
	if (dyno_remove_job(b->d, b->id, &err) < 0)
		xlog_err(XLOG_ERROR, "dyno", &err, "msg=\"cannot remove\" dyno_id=%s", b->id);
	meta_remove(b->d, b->id);
	loop_post(b->d->l, buried, b);
}

void run_bury(struct run *r)
{
	struct burial *b = xcalloc(1, sizeof *b);

	assert(r->ended);
	shimconn_close(r->super);
	r->super = NULL;
	loop_timer_stop(r->stop_timer);
	r->stop_timer = NULL;
	b->d = r->d;
	b->r = r;
	memcpy(b->id, r->info.id, sizeof b->id);
	b->keep_end = end_is_kept(r->info.type) && !r->launch_err.status;
	b->exit_code = r->info.exit_code;
	if (!pool_submit(r->d->jobs, bury_job, b))
		abort();
}

void run_let_go(struct run *r)
{
	assert(!r->launching && !r->looking && !r->ended);
	r->slot = NULL;
	run_free(r);
}
