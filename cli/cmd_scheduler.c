/* Jobs that run at set times. */
#include "cli/cli.h"
#include "cli/table.h"

#include <string.h>
#include <time.h>

/* --- looking --- */

static const char *state_of(const json_t *run)
{
	return run && !json_is_null(run) ? cli_js(run, "state") : "";
}

/* "succeeded", "failed (1)", "skipped: why". */
static char *result_text(const json_t *run)
{
	const json_t *code = json_object_get(run, "exit_code");
	const char *failure = cli_js(run, "failure");

	if (json_is_integer(code) && json_integer_value(code))
		return xasprintf("%s (%lld)%s%s", state_of(run),
				 (long long)json_integer_value(code), *failure ? ": " : "",
				 failure);
	return xasprintf("%s%s%s", state_of(run), *failure ? ": " : "", failure);
}

static const char *when(const char *iso, char out[20])
{
	/* 2026-01-31T12:00:00Z as 2026-01-31 12:00 UTC is read at a glance. */
	if (strlen(iso) < 16)
		return "";
	snprintf(out, 20, "%.10s %.5sZ", iso, iso + 11);
	return out;
}

static void print_jobs(const json_t *list)
{
	static const char *const heads[] = {"Job", "Schedule", "Time zone", "Next", "Last", "Id"};
	AUTO(cli_table_clear) struct cli_table t = {.cols = 6, .heads = heads};
	size_t i;
	json_t *j;

	json_array_foreach(list, i, j)
	{
		const json_t *last = json_object_get(j, "last_run");
		AUTO(auto_str)
		char *name = xasprintf("%s%s", cli_js(j, "name"),
				       json_is_true(json_object_get(j, "manifest")) ? " (app.json)"
										    : "");
		bool on = json_is_true(json_object_get(j, "enabled"));
		char next[20];

		cli_table_row(&t,
			      (const char *[]){name, cli_js(j, "schedule"), cli_js(j, "timezone"),
					       on ? when(cli_js(j, "next_run_at"), next) : "off",
					       state_of(last), cli_js(j, "id")});
	}
	cli_table_print(&t, stdout);
}

static int cmd_scheduler(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL;

	if (cli_api(c, "GET", NULL, &list, err, "/apps/%s/scheduler/jobs", c->app) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, list);
	} else if (!json_array_size(list)) {
		cli_line("%s has no scheduled jobs. One is added as: paasctl scheduler:add "
			 "\"rake report\" --daily 06:30",
			 c->app);
	} else {
		cli_header(c, "Scheduled jobs of %s", c->app);
		print_jobs(list);
	}
	return 0;
}

#define NEWEST "due_at ..; max=100, order=desc"

static int cmd_scheduler_results(struct cli *c, struct err *err)
{
	static const char *const heads[] = {"Due", "Job", "Dyno", "Result", "Took"};
	AUTO(cli_table_clear) struct cli_table t = {.cols = 5, .heads = heads};
	const char *job = c->args.npos ? c->args.pos[0] : NULL;
	json_auto_t *list = NULL;
	size_t i;
	json_t *r;
	int rc;

	rc = job ? cli_api_part(c, NEWEST, &list, err, "/apps/%s/scheduler/jobs/%s/runs", c->app,
				job)
		 : cli_api_part(c, NEWEST, &list, err, "/apps/%s/scheduler/runs", c->app);
	if (rc < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, list);
		return 0;
	}
	json_array_foreach(list, i, r)
	{
		AUTO(auto_str) char *result = result_text(r);
		struct tm a = {0}, b = {0};
		char due[20], took[32] = "";

		if (strptime(cli_js(r, "started_at"), "%Y-%m-%dT%H:%M:%SZ", &a) &&
		    strptime(cli_js(r, "ended_at"), "%Y-%m-%dT%H:%M:%SZ", &b))
			snprintf(took, sizeof took, "%lld s", (long long)(timegm(&b) - timegm(&a)));
		cli_table_row(&t, (const char *[]){when(cli_js(r, "due_at"), due),
						   cli_js(r, "job.name"), cli_js(r, "dyno"), result,
						   took});
	}
	if (t.rows)
		cli_table_print(&t, stdout);
	else
		cli_line("No job of %s has run yet.", c->app);
	return 0;
}

/* --- changing --- */

/* "10m" or "2h" as the API's words; owned, NULL when it is none. */
static char *every(const char *text)
{
	size_t n = strspn(text, "0123456789");

	if (n < 1 || n > 2 || (strcmp(text + n, "m") != 0 && strcmp(text + n, "h") != 0))
		return NULL;
	return xasprintf("every %d %s", atoi(text), text[n] == 'm' ? "minutes" : "hours");
}

/* The schedule that the options say, owned. NULL: none, or with *err, wrong. */
static char *schedule_of(struct cli *c, struct err *err)
{
	const char *interval = cli_opt(&c->args, "every"), *hourly = cli_opt(&c->args, "hourly"),
		   *daily = cli_opt(&c->args, "daily"), *cron = cli_opt(&c->args, "cron");
	char *out;

	if (!!interval + !!hourly + !!daily + !!cron > 1) {
		err_set(err, ERR_BAD_REQUEST,
			"Give one of --every, --hourly, --daily and --cron, not several");
		return NULL;
	}
	if (interval) {
		out = every(interval);
		if (!out)
			err_set(err, ERR_BAD_REQUEST,
				"--every takes a time like 10m or 2h, not %.40s", interval);
		return out;
	}
	if (hourly)
		return xasprintf("hourly:%s", hourly[0] == ':' ? hourly + 1 : hourly);
	if (daily)
		return xasprintf("daily:%s", daily);
	return cron ? xstrdup(cron) : NULL;
}

static json_t *body_of(struct cli *c, const char *schedule)
{
	static const char *const same[] = {"name", "size", "overlap", "missed"};
	json_t *body = json_object();

	if (schedule)
		json_object_set_new(body, "schedule", json_string(schedule));
	cli_body_opt(c, body, "tz", "timezone");
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		cli_body_opt(c, body, same[i], same[i]);
	return body;
}

static void tell_next(struct cli *c, const json_t *job)
{
	char next[20];

	if (cli_json(c))
		cli_print_json(c, job);
	else if (cli_js(job, "next_run_at")[0])
		cli_line("Next run: %s (%s)", when(cli_js(job, "next_run_at"), next),
			 cli_js(job, "schedule"));
}

static int cmd_scheduler_add(struct cli *c, struct err *err)
{
	AUTO(auto_str) char *schedule = schedule_of(c, err);
	json_auto_t *body = NULL, *job = NULL;

	if (err->status)
		return -1;
	if (!schedule)
		return err_set(
			err, ERR_BAD_REQUEST,
			"When shall it run? Give --every 10m, --hourly :30, --daily 06:30 or "
			"--cron \"0 6 * * mon\"");
	body = body_of(c, schedule);
	json_object_set_new(body, "command", json_string(c->args.pos[0]));
	cli_action(c, "Scheduling %s on %s", c->args.pos[0], cli_label(c, c->app));
	if (cli_api(c, "POST", body, &job, err, "/apps/%s/scheduler/jobs", c->app) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	tell_next(c, job);
	return 0;
}

static int cmd_scheduler_update(struct cli *c, struct err *err)
{
	AUTO(auto_str) char *schedule = schedule_of(c, err);
	bool on = cli_opt(&c->args, "enable") != NULL, off = cli_opt(&c->args, "disable") != NULL;
	json_auto_t *body = NULL, *job = NULL;

	if (err->status)
		return -1;
	if (on && off)
		return err_set(err, ERR_BAD_REQUEST, "Give --enable or --disable, not both");
	body = body_of(c, schedule);
	cli_body_opt(c, body, "command", "command");
	if (on || off)
		json_object_set_new(body, "enabled", json_boolean(on));
	if (!json_object_size(body))
		return err_set(err, ERR_BAD_REQUEST,
			       "Nothing to change: see paasctl scheduler:update --help");
	cli_action(c, "Updating %s on %s", c->args.pos[0], cli_label(c, c->app));
	if (cli_api(c, "PATCH", body, &job, err, "/apps/%s/scheduler/jobs/%s", c->app,
		    c->args.pos[0]) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	tell_next(c, job);
	return 0;
}

static int cmd_scheduler_remove(struct cli *c, struct err *err)
{
	cli_action(c, "Removing %s from %s", c->args.pos[0], cli_label(c, c->app));
	return cli_send(c, "DELETE", NULL, err, "/apps/%s/scheduler/jobs/%s", c->app,
			c->args.pos[0]);
}

static int cmd_scheduler_run(struct cli *c, struct err *err)
{
	json_auto_t *run = NULL;

	cli_action(c, "Running %s on %s", c->args.pos[0], cli_label(c, c->app));
	if (cli_api(c, "POST", NULL, &run, err, "/apps/%s/scheduler/jobs/%s/actions/run", c->app,
		    c->args.pos[0]) < 0)
		return -1;
	cli_action_done(c, "%s", cli_js(run, "dyno"));
	if (cli_json(c))
		cli_print_json(c, run);
	else
		cli_line("Its output: paasctl logs -a %s -d %s", c->app, cli_js(run, "dyno"));
	return 0;
}

#define JOB                                                               \
	{                                                                 \
		"JOB", COMPLETE_JOB, "id or name of the job", true, false \
	}
#define WHEN                                                                                      \
	VALUE(0, "every", "TIME", NONE, "every so many minutes or hours: 10m, 2h"),               \
		VALUE(0, "hourly", ":MM", NONE, "every hour at that minute"),                     \
		VALUE(0, "daily", "HH:MM", NONE, "every day at that time"),                       \
		VALUE(0, "cron", "EXPR", NONE, "cron expression: minute hour day month weekday"), \
		VALUE(0, "tz", "ZONE", NONE, "time zone, like Europe/Berlin (default: UTC)"),     \
		VALUE('s', "size", "SIZE", SIZE, "dyno size"),                                    \
		VALUE(0, "name", "NAME", NONE, "name of the job (default: its command)"),         \
		VALUE(0, "overlap", "POLICY", NONE,                                               \
		      "when the run before still goes: skip (default), allow or replace"),        \
		VALUE(0, "missed", "POLICY", NONE,                                                \
		      "runs missed while the platform was down: skip (default) or once")

const struct cli_cmd cli_cmds_scheduler[] = {
	{.name = "scheduler",
	 .help = "list the scheduled jobs of an app",
	 .flags = CLI_APP,
	 .run = cmd_scheduler,
	 .examples = "scheduler -a my-app"},
	{.name = "scheduler:add",
	 .help = "run a command at set times",
	 .more = "It runs in a one-off dyno scheduler.N; its output is in the app's log.",
	 .args = ARGS({"COMMAND", COMPLETE_NONE, "what to run, in quotes", true, false}),
	 .opts = OPTS(WHEN),
	 .flags = CLI_APP,
	 .run = cmd_scheduler_add,
	 .examples = "scheduler:add \"rake report\" --daily 06:30 --tz Europe/Berlin -a my-app\n"
		     "scheduler:add \"rake fetch\" --every 10m\n"
		     "scheduler:add \"rake clean\" --cron \"0 4 * * sun\" --missed once"},
	{.name = "scheduler:update",
	 .help = "change a scheduled job",
	 .args = ARGS(JOB),
	 .opts = OPTS(WHEN, VALUE(0, "command", "COMMAND", NONE, "what to run"),
		      SWITCH(0, "enable", "run it again at its times"),
		      SWITCH(0, "disable", "do not run it until it is enabled")),
	 .flags = CLI_APP,
	 .run = cmd_scheduler_update,
	 .examples = "scheduler:update \"rake report\" --daily 07:00\n"
		     "scheduler:update \"rake report\" --disable"},
	{.name = "scheduler:remove",
	 .help = "remove a scheduled job",
	 .args = ARGS(JOB),
	 .flags = CLI_APP,
	 .run = cmd_scheduler_remove,
	 .examples = "scheduler:remove \"rake report\" -a my-app"},
	{.name = "scheduler:run",
	 .help = "run a scheduled job now",
	 .args = ARGS(JOB),
	 .flags = CLI_APP,
	 .run = cmd_scheduler_run,
	 .examples = "scheduler:run \"rake report\" -a my-app"},
	{.name = "scheduler:results",
	 .help = "show how the last runs ended",
	 .args = ARGS({"JOB", COMPLETE_JOB, "id or name of the job; all by default", false, false}),
	 .flags = CLI_APP,
	 .run = cmd_scheduler_results,
	 .examples = "scheduler:results -a my-app\nscheduler:results \"rake report\" --json"},
	{0},
};
