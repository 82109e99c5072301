/* Redis: servers of an app, their settings and credentials, redis-cli through the tunnel. */
#include "cli/data.h"
#include "cli/pg.h"
#include "cli/table.h"

#include <fcntl.h>
#include <string.h>

#define SERVICE "heroku-redis"
#define DB	"/redis/v0/databases/%s"

/* --- which one --- */

/* By a part of the add-on's name or of a config var, as Heroku's CLI does. */
static bool is_meant(const json_t *addon, const char *name)
{
	size_t i;
	json_t *v;

	if (strncmp(cli_js(addon, "addon_service.name"), SERVICE, strlen(SERVICE)) != 0)
		return false;
	if (!name || strcasestr(cli_js(addon, "name"), name))
		return true;
	json_array_foreach(json_object_get(addon, "config_vars"), i,
			   v) if (strcasestr(json_string_value(v), name)) return true;
	return false;
}

/* Those that the argument may mean. */
static int list_of(struct cli *c, json_t **out, struct err *err)
{
	const char *name = c->args.npos ? c->args.pos[0] : NULL;
	json_auto_t *all = NULL, *found = json_array();
	size_t i;
	json_t *a;

	if (cli_api(c, "GET", NULL, &all, err, "/apps/%s/addons", c->app) < 0)
		return -1;
	json_array_foreach(all, i, a) if (is_meant(a, name)) json_array_append(found, a);
	*out = STEAL(found);
	return 0;
}

static int find(struct cli *c, json_t **out, struct err *err)
{
	json_auto_t *list = NULL;
	AUTO(buf_clear) struct buf names = {0};
	size_t i;
	json_t *a;

	if (list_of(c, &list, err) < 0)
		return -1;
	json_array_foreach(list, i, a) buf_addf(&names, "%s%s", i ? ", " : "", cli_js(a, "name"));
	if (json_array_size(list) == 0 && c->args.npos)
		return err_set(err, ERR_NOT_FOUND, "%s has no Redis server %s", c->app,
			       c->args.pos[0]);
	if (json_array_size(list) == 0)
		return err_set(err, ERR_NOT_FOUND,
			       "%s has no Redis server: paasctl addons:create heroku-redis -a %s "
			       "makes one",
			       c->app, c->app);
	if (json_array_size(list) > 1)
		return err_set(err, ERR_CONFLICT, "There are several: say which of %.200s",
			       buf_str(&names));
	*out = json_incref(json_array_get(list, 0));
	return 0;
}

/* --- information --- */

static int cmd_info(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL, *all = json_array();
	size_t i;
	json_t *a;

	if (list_of(c, &list, err) < 0)
		return -1;
	if (!json_array_size(list) && !cli_json(c))
		cli_line("%s has no Redis servers.", c->app);
	json_array_foreach(list, i, a)
	{
		static const struct cli_field vars = {"", "config_vars", FORM_LIST};
		AUTO(auto_str) char *names = cli_field_text(a, &vars);
		json_auto_t *db = NULL;

		if (cli_api(c, "GET", NULL, &db, err, DB, cli_js(a, "id")) < 0)
			return -1;
		json_array_append(all, db);
		if (cli_json(c))
			continue;
		cli_header(c, "%s (%s)", cli_js(a, "name"), names);
		cli_data_info(db);
		printf("\n");
	}
	if (cli_json(c))
		cli_print_json(c, all);
	return 0;
}

static int cmd_wait(struct cli *c, struct err *err)
{
	json_auto_t *a = NULL;
	AUTO(auto_str) char *path = NULL;

	if (find(c, &a, err) < 0)
		return -1;
	path = cli_pathf(DB "/wait", cli_js(a, "id"));
	return cli_data_wait(c, path, cli_js(a, "name"), err);
}

/* --- credentials --- */

static int cmd_credentials(struct cli *c, struct err *err)
{
	bool force = cli_opt(&c->args, "force") != NULL;
	json_auto_t *a = NULL, *db = NULL, *body = NULL;

	if (find(c, &a, err) < 0)
		return -1;
	if (cli_opt(&c->args, "reset")) {
		body = json_pack("{sb}", "forced", force);
		cli_action(c, "Resetting credentials for %s", cli_js(a, "name"));
		return cli_send(c, "POST", body, err, DB "/credentials_rotation", cli_js(a, "id"));
	}
	if (force)
		return err_set(err, ERR_BAD_REQUEST, "--force goes with --reset");
	if (cli_api(c, "GET", NULL, &db, err, DB, cli_js(a, "id")) < 0)
		return -1;
	if (cli_json(c))
		cli_print_json(c, db);
	else
		cli_line("%s", cli_js(db, "resource_url"));
	return 0;
}

/* --- settings --- */

/* One setting; the answer's new value. */
static int set_one(struct cli *c, const char *name, json_t *owned, json_t **addon, json_t **now,
		   struct err *err)
{
	json_auto_t *body = json_object(), *a = NULL, *all = NULL;

	if (!owned || json_object_set_new(body, name, owned) < 0)
		return err_set(err, ERR_BAD_REQUEST, "the value is not UTF-8 text");
	if (find(c, &a, err) < 0 ||
	    cli_api(c, "PATCH", body, &all, err, DB "/config", cli_js(a, "id")) < 0)
		return -1;
	if (cli_json(c))
		cli_print_json(c, all);
	*now = json_incref(json_object_get(all, name));
	*addon = STEAL(a);
	return 0;
}

static int cmd_maxmemory(struct cli *c, struct err *err)
{
	const char *policy = cli_opt(&c->args, "policy");
	json_auto_t *a = NULL, *now = NULL;
	const char *what;

	if (!policy)
		return err_set(err, ERR_BAD_REQUEST,
			       "--policy is missing: noeviction, "
			       "allkeys-lru, volatile-lru, ...");
	if (set_one(c, "maxmemory_policy", json_string(policy), &a, &now, err) < 0)
		return -1;
	if (cli_json(c))
		return 0;
	what = json_string_value(json_object_get(json_object_get(now, "values"), policy));
	cli_line("Maxmemory policy for %s set to %s.", cli_js(a, "name"), cli_js(now, "value"));
	cli_line("%s %s.", cli_js(now, "value"), what ? what : "");
	return 0;
}

static int cmd_timeout(struct cli *c, struct err *err)
{
	json_auto_t *a = NULL, *now = NULL;
	int seconds = 0;

	if (!cli_opt(&c->args, "seconds"))
		return err_set(err, ERR_BAD_REQUEST, "--seconds is missing; 0 is no timeout");
	if (cli_num_opt(c, "seconds", 0, &seconds, err) < 0 ||
	    set_one(c, "timeout", json_integer(seconds), &a, &now, err) < 0)
		return -1;
	if (!cli_json(c))
		cli_line("Timeout for %s set to %lld seconds.", cli_js(a, "name"),
			 cli_jint(now, "value"));
	return 0;
}

static int cmd_notifications(struct cli *c, struct err *err)
{
	const char *config = cli_opt(&c->args, "config");
	json_auto_t *a = NULL, *now = NULL;

	if (!config)
		return err_set(err, ERR_BAD_REQUEST,
			       "--config is missing: letters, like KEA, or '' for none");
	if (set_one(c, "notify_keyspace_events", json_string(config), &a, &now, err) < 0)
		return -1;
	if (!cli_json(c))
		cli_line("Keyspace notifications for %s set to '%s'.", cli_js(a, "name"),
			 cli_js(now, "value"));
	return 0;
}

static int cmd_stats_reset(struct cli *c, struct err *err)
{
	json_auto_t *a = NULL;

	if (find(c, &a, err) < 0)
		return -1;
	cli_action(c, "Resetting the statistics of %s", cli_js(a, "name"));
	return cli_send(c, "POST", NULL, err, DB "/stats/reset", cli_js(a, "id"));
}

/* --- promote --- */

static int attach(struct cli *c, const char *addon, const char *name, json_t **out, struct err *err)
{
	json_auto_t *body = json_pack("{s{ss} s{ss} ss}", "addon", "name", addon, "app", "name",
				      c->app, "confirm", c->app);

	if (name)
		json_object_set_new(body, "name", json_string(name));
	return cli_api(c, "POST", body, out, err, "/addon-attachments");
}

/* The server that is REDIS now keeps another name. */
static int keep_name(struct cli *c, const json_t *list, const json_t *now, struct err *err)
{
	json_auto_t *made = NULL;
	size_t i;
	json_t *a;

	json_array_foreach(list, i,
			   a) if (strcmp(cli_js(a, "addon.id"), cli_js(now, "addon.id")) == 0 &&
				  strcmp(cli_js(a, "name"), "REDIS") != 0) return 0;
	cli_action(c, "Keeping the present server under another name");
	if (attach(c, cli_js(now, "addon.name"), NULL, &made, err) < 0)
		return -1;
	cli_action_done(c, "%s_URL", cli_js(made, "name"));
	return 0;
}

static int cmd_promote(struct cli *c, struct err *err)
{
	json_auto_t *a = NULL, *list = NULL, *made = NULL;
	json_t *now;

	if (find(c, &a, err) < 0 ||
	    cli_api(c, "GET", NULL, &list, err, "/apps/%s/addon-attachments", c->app) < 0)
		return -1;
	now = cli_find(list, "name", "REDIS");
	if (now && strcmp(cli_js(now, "addon.id"), cli_js(a, "id")) == 0)
		return err_set(err, ERR_CONFLICT, "%s is %s's REDIS_URL already", cli_js(a, "name"),
			       c->app);
	if (now && keep_name(c, list, now, err) < 0)
		return -1;
	cli_action(c, "Promoting %s to REDIS_URL on %s", cli_js(a, "name"), cli_label(c, c->app));
	if (attach(c, cli_js(a, "name"), "REDIS", &made, err) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	if (cli_json(c))
		cli_print_json(c, made);
	return 0;
}

/* --- redis-cli --- */

extern char **environ;

/* Our environment with the password, which redis-cli takes from there; owned. */
static char **env_with(const char *password)
{
	size_t n = 0;
	char **v;

	while (environ[n])
		n++;
	v = xcalloc(n + 2, sizeof *v);
	n = 0;
	for (char **e = environ; *e; e++)
		if (strncmp(*e, "REDISCLI_AUTH=", 14) != 0)
			v[n++] = xstrdup(*e);
	v[n] = xasprintf("REDISCLI_AUTH=%s", password);
	return v;
}

static char *password_of(const json_t *db)
{
	const char *url = cli_js(db, "resource_url"), *from = strstr(url, "://:");
	const char *to = from ? strchr(from + 4, '@') : NULL;

	return to ? xstrndup(from + 4, (size_t)(to - from - 4)) : NULL;
}

static int cmd_cli(struct cli *c, struct err *err)
{
	const char *argv[40] = {"redis-cli", "-s"};
	json_auto_t *a = NULL, *db = NULL;
	AUTO(auto_str) char *password = NULL;
	AUTO(auto_str) char *path = NULL;
	struct cli_tunnel *t = NULL;
	int n = 3, status = 0, rc;
	char **env;

	if (find(c, &a, err) < 0 || cli_api(c, "GET", NULL, &db, err, DB, cli_js(a, "id")) < 0)
		return -1;
	password = password_of(db);
	if (!password)
		return err_set(err, ERR_UNAVAILABLE, "%s has no URL yet", cli_js(a, "name"));
	for (int i = 1; i < c->args.npos && n < 39; i++)
		argv[n++] = c->args.pos[i];
	if (cli_tunnel_open(c, cli_js(a, "id"), &t, err) < 0)
		return -1;
	rc = cli_tunnel_listen_unix(t, err);
	if (rc == 0) {
		/* where libpq's programs look for it, too */
		argv[2] = path = xasprintf("%s/.s.PGSQL.5432", cli_tunnel_dir(t));
		if (n == 3)
			fprintf(stderr, "--> Connecting to %s\n", cli_js(a, "name"));
		env = env_with(password);
		rc = cli_tunnel_spawn(t, argv, env, -1, -1, err) < 0
			     ? -1
			     : cli_tunnel_run(t, &status, err);
		for (char **e = env; *e; e++)
			free(*e);
		free(env);
	}
	cli_tunnel_close(t);
	return rc < 0 ? -1 : status;
}

/* --- the table --- */

#define DATABASE                                                                             \
	{                                                                                    \
		"DATABASE", COMPLETE_CONFIG, "add-on or config var, when there are several", \
			false, false                                                         \
	}

const struct cli_cmd cli_cmds_redis[] = {
	{.name = "redis:info",
	 .aliases = "redis",
	 .help = "show the Redis servers of an app",
	 .args = ARGS(DATABASE),
	 .flags = CLI_APP,
	 .run = cmd_info,
	 .examples = "redis -a my-app\nredis:info REDIS_URL"},
	{.name = "redis:wait",
	 .help = "wait until a Redis server can be used",
	 .args = ARGS(DATABASE),
	 .flags = CLI_APP,
	 .run = cmd_wait,
	 .examples = "redis:wait -a my-app"},
	{.name = "redis:credentials",
	 .help = "show the URL of a Redis server, or give it a new password",
	 .more = "After --reset apps are restarted with the new password; the old one works for "
		 "ten more minutes, unless --force is given. Then all connections are closed once.",
	 .args = ARGS(DATABASE),
	 .opts = OPTS(SWITCH(0, "reset", "a new password"),
		      SWITCH(0, "force", "with --reset: the old one ends at once")),
	 .flags = CLI_APP,
	 .run = cmd_credentials,
	 .examples = "redis:credentials -a my-app\nredis:credentials --reset -a my-app"},
	{.name = "redis:cli",
	 .help = "open redis-cli, or run a command, on a Redis server",
	 .more = "redis-cli of this machine is used, through the platform's own port.",
	 .args = ARGS({"DATABASE", COMPLETE_CONFIG,
		       "add-on or config var, then words of a command: REDIS_URL get key", false,
		       true}),
	 .flags = CLI_APP | CLI_NO_JSON,
	 .run = cmd_cli,
	 .examples = "redis:cli -a my-app\nredis:cli REDIS_URL -a my-app info memory"},
	{.name = "redis:maxmemory",
	 .help = "set what happens when a Redis server is full",
	 .more = "noeviction refuses to write; allkeys-lru, allkeys-lfu and allkeys-random remove "
		 "any keys; volatile-lru, volatile-lfu, volatile-random and volatile-ttl those "
		 "that expire.",
	 .args = ARGS(DATABASE),
	 .opts = OPTS(VALUE('p', "policy", "POLICY", NONE, "the policy")),
	 .flags = CLI_APP,
	 .run = cmd_maxmemory,
	 .examples = "redis:maxmemory --policy allkeys-lru -a my-app"},
	{.name = "redis:timeout",
	 .help = "set after how many seconds idle connections are closed",
	 .args = ARGS(DATABASE),
	 .opts = OPTS(VALUE('s', "seconds", "SECONDS", NONE, "0 = never")),
	 .flags = CLI_APP,
	 .run = cmd_timeout,
	 .examples = "redis:timeout --seconds 60 -a my-app"},
	{.name = "redis:keyspace-notifications",
	 .help = "set of which events a Redis server tells subscribers",
	 .more = "Letters: K, E (which channels), g$lshztxedmn (which commands), A (all but m and "
		 "n); '' is none.",
	 .args = ARGS(DATABASE),
	 .opts = OPTS(VALUE('c', "config", "LETTERS", NONE, "KEA is everything")),
	 .flags = CLI_APP,
	 .run = cmd_notifications,
	 .examples = "redis:keyspace-notifications --config KEA -a my-app"},
	{.name = "redis:stats-reset",
	 .help = "let the statistics of a Redis server begin again",
	 .args = ARGS(DATABASE),
	 .flags = CLI_APP,
	 .run = cmd_stats_reset,
	 .examples = "redis:stats-reset -a my-app"},
	{.name = "redis:promote",
	 .help = "make another Redis server the app's REDIS_URL",
	 .args = ARGS({"DATABASE", COMPLETE_CONFIG, "add-on or config var", true, false}),
	 .flags = CLI_APP,
	 .run = cmd_promote,
	 .examples = "redis:promote HEROKU_REDIS_BLUE_URL -a my-app"},
	{0},
};
