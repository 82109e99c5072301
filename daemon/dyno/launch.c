/* The way up: a job on the pool asks the launcher, which may be away or die in the middle of it. */
#include "daemon/dyno/dyno_int.h"
#include "daemon/core/fsx.h"
#include "daemon/core/proc.h"
#include "daemon/core/xlog.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A launcher that died is started again within moments: what needs it waits that long. */
#define LAUNCHER_AWAY_MS  10000
#define LAUNCHER_AGAIN_MS 50

int dyno_remove_job(const struct dynos *d, const char *id, struct err *err)
{
	mono_ms until = clock_mono_ms() + LAUNCHER_AWAY_MS;

	while (launcher_remove(d->la, id, err) < 0) {
		if (err->code != ERR_UNAVAILABLE || clock_mono_ms() > until)
			return -1;
		*err = (struct err){0};
		poll(NULL, 0, LAUNCHER_AGAIN_MS);
	}
	return 0;
}

static bool in_folder(const struct run *r, const char *name)
{
	AUTO(auto_str)
	char *path = xasprintf("%s/dynos/%s/%s", launcher_run_dir(r->d->la), r->info.id, name);

	return access(path, F_OK) == 0;
}

static bool shim_lives(const struct run *r)
{
	AUTO(auto_str)
	char *path = xasprintf("%s/dynos/%s/pid", launcher_run_dir(r->d->la), r->info.id);
	AUTO(buf_clear) struct buf b = {0};
	unsigned long long at;
	int pid;

	return fs_read(path, 64, &b, NULL) == 0 && sscanf(buf_str(&b), "%d %llu", &pid, &at) == 2 &&
	       at && proc_starttime(pid) == at;
}

/* The launcher died, or died and was asked again, in the middle of this very dyno: its shim goes on
 * alone once it has all it needs, else it ends. What has begun is not begun a second time. */
static bool has_begun(struct run *r)
{
	mono_ms until = clock_mono_ms() + LAUNCHER_AWAY_MS;
	struct launch_spec spec = {0};

	while (!in_folder(r, "sock") && !in_folder(r, "status")) {
		if (!shim_lives(r) || clock_mono_ms() > until)
			return false;
		poll(NULL, 0, LAUNCHER_AGAIN_MS);
	}
	if (sandbox_spec(launcher_run_dir(r->d->la), r->info.id, &spec, r->launch_ip, NULL) == 0)
		launch_spec_clear(&spec);
	return true;
}

static int create(struct run *r)
{
	mono_ms until = clock_mono_ms() + LAUNCHER_AWAY_MS;

	while (launcher_create(r->d->la, &r->spec, r->launch_ip, &r->launch_err) < 0) {
		struct err err = {0};
		bool away = r->launch_err.code == ERR_UNAVAILABLE;

		if ((away || r->launch_err.code == ERR_CONFLICT) && has_begun(r)) {
			r->launch_err = (struct err){0};
			return 0;
		}
		if (!away || clock_mono_ms() > until)
			return -1;
		if (dyno_remove_job(r->d, r->info.id, &err) < 0)
			return -1;
		r->launch_err = (struct err){0};
	}
	return 0;
}

static void boot_timeout(void *arg)
{
	struct run *r = arg;

	r->boot_timer = NULL;
	run_log(r,
		"Error R10 (Boot timeout) -> Web process failed to bind to $PORT within %lld "
		"seconds of launch",
		(long long)r->d->cfg->boot_timeout_s);
	snprintf(r->last_error, sizeof r->last_error,
		 "Web process failed to bind to $PORT within %lld seconds of launch (R10)",
		 (long long)r->d->cfg->boot_timeout_s);
	run_kill(r);
}

void run_await_boot(struct run *r)
{
	if (r->web && !r->boot_timer)
		r->boot_timer = loop_timer_start(
			r->d->l, (uint64_t)r->d->cfg->boot_timeout_s * 1000, boot_timeout, r);
}

static void failed_launch(struct run *r)
{
	xlog_err(XLOG_ERROR, "dyno", &r->launch_err, "msg=\"cannot launch\" app=%s dyno=%s",
		 r->info.app_id, r->info.name);
	run_log(r, "Error R99 (Platform error) -> %s", r->launch_err.msg);
	snprintf(r->last_error, sizeof r->last_error, "%.190s", r->launch_err.msg);
	r->ended = true;
	if (r->ops.started)
		r->ops.started(NULL, &r->launch_err, r->ops.arg);
	r->ops = (struct oneoff_ops){0};
	run_state(r, DYNO_CRASHED);
	slot_run_ended(r);
	run_bury(r);
}

static void launched(void *arg)
{
	struct run *r = arg;

	r->launching = false;
	launch_spec_clear(&r->spec);
	memcpy(r->info.ip, r->launch_ip, sizeof r->info.ip);
	if (r->launch_err.status) {
		failed_launch(r);
		return;
	}
	run_await_boot(r);
	run_supervise(r);
	if (r->ops.output)
		run_watch_output(r);
	if (r->ops.started)
		r->ops.started(&r->info, NULL, r->ops.arg);
	if (r->stop_sig == SIGKILL)
		run_kill(r);
	else if (r->stop_sig)
		run_term(r);
}

static void launch_job(void *arg)
{
	struct run *r = arg;

	/* Before, so that a dyno which was launched is known to have been; after, for its address.
	 */
	if (meta_write(r->d, &r->info, "", &r->launch_err) == 0 && create(r) == 0 &&
	    meta_write(r->d, &r->info, r->launch_ip, &r->launch_err) < 0)
		launcher_remove(r->d->la, r->info.id, NULL);
	loop_post(r->d->l, launched, r);
}

/* The command as people see it: $PORT shown expanded (Dev Center: Dynos). */
static void log_start(struct run *r)
{
	AUTO(buf_clear) struct buf b = {0};
	char port[16];

	snprintf(port, sizeof port, "%d", r->info.port);
	for (const char *p = r->info.command; *p;) {
		size_t var = strncmp(p, "$PORT", 5) == 0     ? 5
			     : strncmp(p, "${PORT}", 7) == 0 ? 7
							     : 0;
		bool word = var == 5 && (p[5] == '_' || (p[5] >= 'A' && p[5] <= 'Z') ||
					 (p[5] >= '0' && p[5] <= '9'));

		if (var && !word && r->info.port) {
			buf_adds(&b, port);
			p += var;
		} else {
			buf_addc(&b, *p++);
		}
	}
	run_log(r, "Starting process with command `%.8000s`", buf_str(&b));
}

void run_launch(struct run *r)
{
	r->launching = true;
	if (r->slot)
		run_log(r, "State changed from %s to starting",
			r->slot->crashes ? "crashed" : "down");
	log_start(r);
	if (r->rel->service)
		run_tell(r, DYNO_DOWN);
	if (!pool_submit(r->d->jobs, launch_job, r))
		abort(); /* the queue is as long as dynos can be many */
}
