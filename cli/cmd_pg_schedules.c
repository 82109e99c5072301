/* Daily backups of databases. */
#include "cli/pg.h"
#include "cli/table.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *arg(struct cli *c, int i)
{
	return c->args.npos > i ? c->args.pos[i] : NULL;
}

/* --- every day --- */

/* Abbreviations that people write, and the zones that have them. */
static const struct {
	const char *name, *zone;
} zones[] = {
	{"BST", "Europe/London"},
	{"CDT", "America/Chicago"},
	{"CEST", "Europe/Paris"},
	{"CET", "Europe/Paris"},
	{"CST", "America/Chicago"},
	{"EDT", "America/New_York"},
	{"EST", "America/New_York"},
	{"GMT", "Europe/London"},
	{"MDT", "America/Boise"},
	{"MST", "America/Boise"},
	{"PDT", "America/Los_Angeles"},
	{"PST", "America/Los_Angeles"},
	{"Z", "UTC"},
};

static int read_at(const char *at, int *hour, const char **zone, struct err *err)
{
	int n = 0;

	if (sscanf(at, "%2d:00%n", hour, &n) != 1 || n < 4 || at[0] < '0' || at[0] > '9' ||
	    *hour > 23 || (at[n] && at[n] != ' '))
		return err_set(err, ERR_BAD_REQUEST,
			       "--at takes an hour and a time zone, as --at '02:00 Europe/Berlin'");
	*zone = at + n + strspn(at + n, " ");
	if (!**zone)
		*zone = "UTC";
	for (size_t i = 0; i < ARRAY_LEN(zones); i++)
		if (strcasecmp(*zone, zones[i].name) == 0)
			*zone = zones[i].zone;
	return 0;
}

static int cmd_schedule(struct cli *c, struct err *err)
{
	const char *at = cli_opt(&c->args, "at"), *zone = "UTC";
	AUTO(cli_pgdb_clear) struct cli_pgdb d = {0};
	AUTO(auto_str) char *name = NULL;
	json_auto_t *body = NULL;
	int hour;

	if (!at)
		return err_set(err, ERR_BAD_REQUEST,
			       "when? --at takes an hour and a time zone, as --at '02:00 UTC'");
	if (read_at(at, &hour, &zone, err) < 0 || cli_pg_find(c, arg(c, 0), &d, err) < 0)
		return -1;
	name = xasprintf("%s_URL", d.name);
	body = json_pack("{si ss ss}", "hour", hour, "timezone", zone, "schedule_name", name);
	cli_action(c, "Scheduling daily backups of %s at %02d:00 %s", d.name, hour, zone);
	return cli_send(c, "POST", body, err, "/client/v11/databases/%s/transfer-schedules",
			d.addon_id);
}

/* The schedules of all databases of the app. */
static int schedules(struct cli *c, json_t **out, struct err *err)
{
	json_auto_t *addons = NULL, *all = json_array();
	size_t i, k;
	json_t *a, *s;

	if (cli_api(c, "GET", NULL, &addons, err, "/apps/%s/addons", c->app) < 0)
		return -1;
	json_array_foreach(addons, i, a)
	{
		json_auto_t *list = NULL;

		if (strcmp(cli_js(a, "addon_service.name"), "heroku-postgresql") != 0)
			continue;
		if (cli_api(c, "GET", NULL, &list, err,
			    "/client/v11/databases/%s/transfer-schedules", cli_js(a, "id")) < 0)
			return -1;
		json_array_foreach(list, k, s)
		{
			json_object_set(s, "addon_id", json_object_get(a, "id"));
			json_array_append(all, s);
		}
	}
	*out = STEAL(all);
	return 0;
}

static int cmd_schedules(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL;
	size_t i;
	json_t *s;

	if (schedules(c, &list, err) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, list);
		return 0;
	}
	if (!json_array_size(list)) {
		cli_line("%s has no daily backups. Set them up with paasctl pg:backups:schedule "
			 "DATABASE --at '02:00 UTC'",
			 c->app);
		return 0;
	}
	cli_header(c, "Backup Schedules");
	json_array_foreach(list, i, s)
		cli_line("%s: daily at %s:00 %s, next %s", cli_js(s, "name"), cli_js(s, "hour"),
			 cli_js(s, "timezone"), cli_js(s, "next_at"));
	return 0;
}

static bool matches(const char *schedule, const char *wanted)
{
	size_t n = strlen(wanted);

	return strncasecmp(schedule, wanted, n) == 0 &&
	       (!schedule[n] || strcasecmp(schedule + n, "_URL") == 0);
}

static int cmd_unschedule(struct cli *c, struct err *err)
{
	const char *wanted = arg(c, 0);
	json_auto_t *list = NULL;
	const json_t *found = NULL, *s;
	size_t i;

	if (schedules(c, &list, err) < 0)
		return -1;
	json_array_foreach(list, i, s)
	{
		if (wanted && !matches(cli_js(s, "name"), wanted))
			continue;
		if (found)
			return err_set(err, ERR_BAD_REQUEST,
				       "%s has several daily backups: name one, as %s", c->app,
				       cli_js(s, "name"));
		found = s;
	}
	if (!found)
		return err_set(err, ERR_NOT_FOUND, "%s has no daily backups%s%s.", c->app,
			       wanted ? " of " : "", wanted ? wanted : "");
	cli_action(c, "Unscheduling daily backups of %s", cli_js(found, "name"));
	return cli_send(c, "DELETE", NULL, err, "/client/v11/databases/%s/transfer-schedules/%s",
			cli_js(found, "addon_id"), cli_js(found, "uuid"));
}

/* --- the table --- */

#define DATABASE_ARG                                                                           \
	{                                                                                      \
		"DATABASE", COMPLETE_NONE, "attachment or add-on; DATABASE by default", false, \
			false                                                                  \
	}

const struct cli_cmd cli_cmds_schedules[] = {
	{.name = "pg:backups:schedule",
	 .help = "back a database up every day",
	 .args = ARGS(DATABASE_ARG),
	 .opts = OPTS(VALUE(0, "at", "'HH:00 ZONE'", NONE, "hour and time zone")),
	 .flags = CLI_APP,
	 .run = cmd_schedule,
	 .examples = "pg:backups:schedule DATABASE --at '02:00 Europe/Berlin' -a my-app"},
	{.name = "pg:backups:schedules",
	 .help = "list the daily backups of an app's databases",
	 .flags = CLI_APP,
	 .run = cmd_schedules,
	 .examples = "pg:backups:schedules -a my-app"},
	{.name = "pg:backups:unschedule",
	 .help = "no more daily backups of a database",
	 .args = ARGS({"DATABASE", COMPLETE_NONE,
		       "as the schedule is called; its only one by default", false, false}),
	 .flags = CLI_APP,
	 .run = cmd_unschedule,
	 .examples = "pg:backups:unschedule DATABASE -a my-app"},
	{0},
};
