/* A web dyno that has bound its port counts as up at once, or when the health check of its release
 * has been passed. That it has is written down first, so that a restarted paasd does not take a
 * serving dyno for one that is coming up. */
#include "daemon/dyno/dyno_int.h"
#include "daemon/core/xlog.h"

#include <stdio.h>
#include <string.h>

struct passed { /* on its way to the dyno's file and back */
	struct dynos *d;
	struct dyno_info info; /* a copy */
};

static void free_passed(struct passed *p)
{
	dyno_info_clear(&p->info);
	free(p);
}

/* The dyno may have gone meanwhile. */
static void passed_written(void *arg)
{
	struct passed *p = arg;
	struct run *r = dynos_find_run(p->d, p->info.id);

	if (r && !r->ended && !r->stopping)
		run_up(r);
	free_passed(p);
}

static void write_passed(void *arg)
{
	struct passed *p = arg;
	struct err err = {0};

	if (meta_write(p->d, &p->info, p->info.ip, &err) < 0)
		xlog_err(XLOG_WARN, "dyno", &err, "msg=\"passed health check not kept\" dyno_id=%s",
			 p->info.id);
	if (!loop_post(p->d->l, passed_written, p))
		free_passed(p);
}

static void on_passed(struct run *r)
{
	struct passed *p = xcalloc(1, sizeof *p);

	r->info.checked = true;
	p->d = r->d;
	p->info = r->info;
	p->info.command = xstrdup(r->info.command);
	if (!pool_submit(r->d->jobs, write_passed, p))
		abort();
}

static void on_done(const char *failure, void *arg)
{
	struct run *r = arg;

	r->check = NULL;
	if (!failure) {
		on_passed(r);
		return;
	}
	run_log(r, "Error R10 (Boot timeout) -> %s", failure);
	snprintf(r->last_error, sizeof r->last_error, "%s", failure);
	run_kill(r);
}

static void on_failed(const char *why, int attempt, void *arg)
{
	struct run *r = arg;
	const struct dyno_check *c = &r->rel->check;

	/* Once a reason: an app that takes its time says the same each time. */
	if (attempt < c->attempts && strcmp(r->last_error, why) != 0)
		run_log(r, "%s (attempt %d of %d)", why, attempt, c->attempts);
	snprintf(r->last_error, sizeof r->last_error, "%s", why);
}

void run_bound(struct run *r)
{
	const struct dyno_check *c = &r->rel->check;
	const struct check_spec spec = {.ip = r->info.ip,
					.port = r->info.port,
					.host = c->host,
					.path = c->path,
					.timeout_s = c->timeout_s,
					.attempts = c->attempts,
					.wait_s = c->wait_s};

	if (r->info.state != DYNO_STARTING || r->check || r->ended || r->stopping)
		return;
	if (!c->path) {
		run_up(r);
		return;
	}
	if (r->info.checked)
		return; /* it is being written down */
	/* The port was bound in time: from here on the check's own limits count. */
	loop_timer_stop(r->boot_timer);
	r->boot_timer = NULL;
	r->check = check_start(r->d->l, &spec, on_failed, on_done, r);
}

bool run_is_healthy(const struct run *r)
{
	return !r->rel->check.path || r->info.checked;
}
