/* PostgreSQL: databases, what they are and what is done to them. */
#include "cli/data.h"
#include "cli/pg.h"
#include "cli/table.h"

#include <string.h>

static const char *pos(struct cli *c, int i)
{
	return c->args.npos > i ? c->args.pos[i] : NULL;
}

static int find(struct cli *c, struct cli_pgdb *d, struct err *err)
{
	return cli_pg_find(c, pos(c, 0), d, err);
}

/* --- information --- */

/* The app's own attachments that are databases. */
static int databases(struct cli *c, json_t **out, struct err *err)
{
	json_auto_t *list = NULL, *found = json_array();
	size_t i;
	json_t *a;

	if (cli_api(c, "GET", NULL, &list, err, "/apps/%s/addon-attachments", c->app) < 0)
		return -1;
	json_array_foreach(list, i, a)
	{
		json_auto_t *addon = NULL;
		const char *id = cli_js(a, "addon.id");
		json_t *known = cli_find(found, "id", id);

		if (known) {
			json_array_append(json_object_get(known, "names"),
					  json_object_get(a, "name"));
			continue;
		}
		if (cli_api(c, "GET", NULL, &addon, err, "/addons/%s", id) < 0)
			return -1;
		if (strcmp(cli_js(addon, "addon_service.name"), "heroku-postgresql") != 0)
			continue;
		json_object_set_new(addon, "names", json_pack("[O]", json_object_get(a, "name")));
		json_array_append(found, addon);
	}
	*out = STEAL(found);
	return 0;
}

static int info_of(struct cli *c, const char *addon_id, json_t **out, struct err *err)
{
	return cli_api(c, "GET", NULL, out, err, "/client/v11/databases/%s", addon_id);
}

static int info_all(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL, *all = json_array();
	size_t i, k;
	json_t *a, *n;

	if (databases(c, &list, err) < 0)
		return -1;
	if (!json_array_size(list) && !cli_json(c))
		cli_line("%s has no heroku-postgresql databases.", c->app);
	json_array_foreach(list, i, a)
	{
		AUTO(buf_clear) struct buf names = {0};
		json_auto_t *db = NULL;

		if (info_of(c, cli_js(a, "id"), &db, err) < 0)
			return -1;
		json_array_append(all, db);
		if (cli_json(c))
			continue;
		json_array_foreach(json_object_get(a, "names"), k, n)
			buf_addf(&names, "%s%s_URL", k ? ", " : "", json_string_value(n));
		cli_header(c, "%s", buf_str(&names));
		cli_data_info(db);
		printf("\n");
	}
	if (cli_json(c))
		cli_print_json(c, all);
	return 0;
}

static int cmd_info(struct cli *c, struct err *err)
{
	AUTO(cli_pgdb_clear) struct cli_pgdb d = {0};
	json_auto_t *db = NULL;

	if (!c->args.npos)
		return info_all(c, err);
	if (find(c, &d, err) < 0 || info_of(c, d.addon_id, &db, err) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, db);
		return 0;
	}
	cli_header(c, "%s_URL", d.name);
	cli_data_info(db);
	return 0;
}

static int wait_for(struct cli *c, const char *id, const char *name, struct err *err)
{
	AUTO(auto_str) char *path = cli_pathf("/client/v11/databases/%s/wait_status", id);

	return cli_data_wait(c, path, name, err);
}

static int cmd_wait(struct cli *c, struct err *err)
{
	AUTO(cli_pgdb_clear) struct cli_pgdb d = {0};
	json_auto_t *list = NULL;
	size_t i;
	json_t *a;

	if (c->args.npos)
		return find(c, &d, err) < 0 ? -1 : wait_for(c, d.addon_id, d.addon, err);
	if (databases(c, &list, err) < 0)
		return -1;
	json_array_foreach(list, i, a) if (wait_for(c, cli_js(a, "id"), cli_js(a, "name"), err) <
					   0) return -1;
	return 0;
}

/* --- the database as a whole --- */

static int cmd_killall(struct cli *c, struct err *err)
{
	AUTO(cli_pgdb_clear) struct cli_pgdb d = {0};

	if (find(c, &d, err) < 0)
		return -1;
	cli_action(c, "Ending all connections of %s", d.addon);
	return cli_send(c, "POST", NULL, err, "/client/v11/databases/%s/connection_reset",
			d.addon_id);
}

static int cmd_reset(struct cli *c, struct err *err)
{
	const char *extensions = cli_opt(&c->args, "extensions");
	AUTO(cli_pgdb_clear) struct cli_pgdb d = {0};
	json_auto_t *body = json_object();

	if (find(c, &d, err) < 0 ||
	    cli_confirm(c, c->app, "All data in the database will be lost.", err) < 0)
		return -1;
	if (extensions)
		json_object_set_new(body, "extensions", cli_words(extensions));
	cli_action(c, "Resetting %s", d.addon);
	return cli_send(c, "PUT", body, err, "/client/v11/databases/%s/reset", d.addon_id);
}

static int attach_as(struct cli *c, const json_t *attachment, const char *name, json_t **out,
		     struct err *err)
{
	json_auto_t *body =
		json_pack("{s{ss} s{ss} ss sO?}", "addon", "name", cli_js(attachment, "addon.name"),
			  "app", "name", c->app, "confirm", c->app, "namespace",
			  json_object_get(attachment, "namespace"));

	if (name)
		json_object_set_new(body, "name", json_string(name));
	return cli_api(c, "POST", body, out, err, "/addon-attachments");
}

static bool same_thing(const json_t *a, const json_t *b)
{
	return strcmp(cli_js(a, "addon.id"), cli_js(b, "addon.id")) == 0 &&
	       strcmp(cli_js(a, "namespace"), cli_js(b, "namespace")) == 0;
}

/* The database that is DATABASE now keeps another name. */
static int keep_name(struct cli *c, const json_t *list, const json_t *now, struct err *err)
{
	json_auto_t *made = NULL;
	size_t i;
	json_t *a;

	json_array_foreach(list, i, a) if (same_thing(a, now) &&
					   strcmp(cli_js(a, "name"), "DATABASE") != 0) return 0;
	cli_action(c, "Keeping the present database under another name");
	if (attach_as(c, now, NULL, &made, err) < 0)
		return -1;
	cli_action_done(c, "%s_URL", cli_js(made, "name"));
	return 0;
}

static int cmd_promote(struct cli *c, struct err *err)
{
	AUTO(cli_pgdb_clear) struct cli_pgdb d = {0};
	json_auto_t *list = NULL, *made = NULL;
	json_t *now;

	if (find(c, &d, err) < 0 ||
	    cli_api(c, "GET", NULL, &list, err, "/apps/%s/addon-attachments", c->app) < 0)
		return -1;
	now = cli_find(list, "name", "DATABASE");
	if (now && same_thing(now, d.attachment))
		return err_set(err, ERR_CONFLICT, "%s is %s's DATABASE_URL already", d.addon,
			       c->app);
	if ((now && keep_name(c, list, now, err) < 0) || wait_for(c, d.addon_id, d.addon, err) < 0)
		return -1;
	cli_action(c, "Promoting %s to DATABASE_URL on %s", d.addon, cli_label(c, c->app));
	if (attach_as(c, d.attachment, "DATABASE", &made, err) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	if (cli_json(c))
		cli_print_json(c, made);
	return 0;
}

/* NAME=VALUE as the setting's type has it. */
static int add_setting(json_t *body, const char *text, struct err *err)
{
	const char *eq = strchr(text, '='), *v = eq ? eq + 1 : "";
	AUTO(auto_str) char *name = eq ? xstrndup(text, (size_t)(eq - text)) : NULL;
	json_t *value;
	char *end;
	long n = strtol(v, &end, 10);

	if (!eq || eq == text || !*v)
		return err_set(err, ERR_BAD_REQUEST, "settings are of the form NAME=VALUE, not %s",
			       text);
	for (char *p = name; *p; p++)
		if (*p == '-')
			*p = '_';
	if (strcmp(v, "on") == 0 || strcmp(v, "true") == 0)
		value = json_true();
	else if (strcmp(v, "off") == 0 || strcmp(v, "false") == 0)
		value = json_false();
	else
		value = *end ? json_string(v) : json_integer(n);
	return json_object_set_new(body, name, value) == 0
		       ? 0
		       : err_set(err, ERR_BAD_REQUEST, "%s is not UTF-8 text", text);
}

static int cmd_settings(struct cli *c, struct err *err)
{
	const char *first = pos(c, 0);
	bool named = first && !strchr(first, '=');
	AUTO(cli_pgdb_clear) struct cli_pgdb d = {0};
	json_auto_t *body = json_object(), *all = NULL;
	const char *name;
	json_t *s;

	for (int i = named; i < c->args.npos; i++)
		if (add_setting(body, c->args.pos[i], err) < 0)
			return -1;
	if (cli_pg_find(c, named ? first : NULL, &d, err) < 0)
		return -1;
	if (cli_api(c, json_object_size(body) ? "PATCH" : "GET",
		    json_object_size(body) ? body : NULL, &all, err,
		    "/postgres/v0/databases/%s/config", d.addon_id) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, all);
		return 0;
	}
	cli_header(c, "%s", d.addon);
	json_object_foreach(all, name, s)
	{
		static const struct cli_field value = {"", "value", FORM_TEXT};
		AUTO(auto_str) char *text = cli_field_text(s, &value);

		cli_line("%-34s %-8s %s", name, text, cli_js(s, "desc"));
	}
	return 0;
}

static int cmd_extensions(struct cli *c, struct err *err)
{
	const char *add = cli_opt(&c->args, "add");
	AUTO(cli_pgdb_clear) struct cli_pgdb d = {0};
	json_auto_t *body = NULL, *all = NULL;
	size_t i;
	json_t *name;

	if (find(c, &d, err) < 0)
		return -1;
	if (add) {
		body = json_pack("{so}", "extensions", cli_words(add));
		cli_action(c, "Adding %s to %s", add, d.addon);
		return cli_send(c, "POST", body, err, "/client/v11/databases/%s/extensions",
				d.addon_id);
	}
	if (cli_api(c, "GET", NULL, &all, err, "/client/v11/databases/%s/extensions", d.addon_id) <
	    0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, all);
		return 0;
	}
	json_array_foreach(all, i, name) cli_line("%s", cli_js(name, "name"));
	return 0;
}

/* --- the table --- */

#define NAME VALUE('n', "name", "NAME", NONE, "the credential")

const struct cli_cmd cli_cmds_pg[] = {
	{.name = "pg:info",
	 .aliases = "pg",
	 .help = "show the databases of an app",
	 .args = ARGS({"DATABASE", COMPLETE_CONFIG, "attachment or add-on; all by default", false,
		       false}),
	 .flags = CLI_APP,
	 .run = cmd_info,
	 .examples = "pg -a my-app\npg:info DATABASE_URL"},
	{.name = "pg:wait",
	 .help = "wait until a database, or all of them, can be used",
	 .args = ARGS({"DATABASE", COMPLETE_CONFIG, "attachment or add-on; all by default", false,
		       false}),
	 .flags = CLI_APP,
	 .run = cmd_wait,
	 .examples = "pg:wait -a my-app"},
	{.name = "pg:promote",
	 .help = "make another database the app's DATABASE_URL",
	 .args = ARGS(CLI_PG_DATABASE_REQUIRED),
	 .flags = CLI_APP,
	 .run = cmd_promote,
	 .examples = "pg:promote HEROKU_POSTGRESQL_BLUE_URL -a my-app"},
	{.name = "pg:reset",
	 .help = "delete all data in a database",
	 .args = ARGS(CLI_PG_DATABASE),
	 .opts = OPTS(CONFIRM, VALUE('e', "extensions", "NAMES", NONE,
				     "extensions to have from the start: hstore,citext")),
	 .flags = CLI_APP,
	 .run = cmd_reset,
	 .examples = "pg:reset DATABASE_URL -a my-app"},
	{.name = "pg:killall",
	 .help = "end all connections of a database",
	 .args = ARGS(CLI_PG_DATABASE),
	 .flags = CLI_APP,
	 .run = cmd_killall,
	 .examples = "pg:killall -a my-app"},
	{.name = "pg:settings",
	 .help = "show or change settings of a database",
	 .more = "Databases of standard plans have settings of their own.",
	 .args = ARGS({"DATABASE", COMPLETE_CONFIG, "attachment or add-on, then NAME=VALUE pairs",
		       false, true}),
	 .flags = CLI_APP,
	 .run = cmd_settings,
	 .examples = "pg:settings -a my-app\npg:settings DATABASE_URL log_statement=ddl "
		     "log_lock_waits=on"},
	{.name = "pg:extensions",
	 .help = "list the extensions that a database may have, or add some",
	 .more = "Most are made with CREATE EXTENSION; --add makes those, too, that PostgreSQL "
		 "leaves to administrators.",
	 .args = ARGS(CLI_PG_DATABASE),
	 .opts = OPTS(VALUE(0, "add", "NAMES", NONE, "extensions to add: earthdistance,bloom")),
	 .flags = CLI_APP,
	 .run = cmd_extensions,
	 .examples = "pg:extensions -a my-app\npg:extensions --add earthdistance"},
	{0},
};
