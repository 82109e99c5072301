/* Credentials of databases. */
#include "cli/pg.h"
#include "cli/table.h"

#include <string.h>

static int find(struct cli *c, struct cli_pgdb *d, struct err *err)
{
	return cli_pg_find(c, c->args.npos ? c->args.pos[0] : NULL, d, err);
}

/* --- credentials --- */

static int cmd_credentials(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {{"Credential", "name", FORM_TEXT},
					       {"State", "state", FORM_TEXT},
					       {"User", "user", FORM_TEXT},
					       {"Connections", "connections", FORM_TEXT},
					       {0}};
	AUTO(cli_pgdb_clear) struct cli_pgdb d = {0};
	json_auto_t *list = NULL;
	size_t i;
	json_t *x;

	if (find(c, &d, err) < 0 ||
	    cli_api(c, "GET", NULL, &list, err, "/postgres/v0/databases/%s/credentials",
		    d.addon_id) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, list);
		return 0;
	}
	json_array_foreach(list, i, x)
	{
		const json_t *first = json_array_get(json_object_get(x, "credentials"), 0);

		json_object_set_new(x, "user", json_string(cli_js(first, "user")));
		json_object_set_new(x, "connections", json_integer(cli_jint(first, "connections")));
	}
	return cli_show_list(c, list, row, NULL, "No credentials.");
}

static const char *credential(struct cli *c)
{
	const char *name = cli_opt_any(&c->args, "name");

	return name ? name : "default";
}

static int cmd_url(struct cli *c, struct err *err)
{
	AUTO(cli_pgdb_clear) struct cli_pgdb d = {0};
	json_auto_t *v = NULL;
	const json_t *first;

	if (find(c, &d, err) < 0 ||
	    cli_api(c, "GET", NULL, &v, err, "/postgres/v0/databases/%s/credentials/%s", d.addon_id,
		    credential(c)) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, v);
		return 0;
	}
	first = json_array_get(json_object_get(v, "credentials"), 0);
	cli_line("Connection information for the credential %s.", credential(c));
	cli_line("Connection info string:\n  \"dbname=%s host=%s port=%lld user=%s password=%s "
		 "sslmode=require\"",
		 cli_js(v, "database"), cli_js(v, "host"), cli_jint(v, "port"),
		 cli_js(first, "user"), cli_js(first, "password"));
	cli_line("Connection URL:\n  postgres://%s:%s@%s:%lld/%s", cli_js(first, "user"),
		 cli_js(first, "password"), cli_js(v, "host"), cli_jint(v, "port"),
		 cli_js(v, "database"));
	return 0;
}

static int need_name(struct cli *c, struct err *err)
{
	return cli_opt(&c->args, "name")
		       ? 0
		       : err_set(err, ERR_BAD_REQUEST, "Missing required flag name");
}

static int cmd_create(struct cli *c, struct err *err)
{
	AUTO(cli_pgdb_clear) struct cli_pgdb d = {0};
	json_auto_t *body = NULL;

	if (need_name(c, err) < 0 || find(c, &d, err) < 0)
		return -1;
	body = json_pack("{ss}", "name", credential(c));
	cli_action(c, "Creating credential %s", credential(c));
	if (cli_send(c, "POST", body, err, "/postgres/v0/databases/%s/credentials", d.addon_id) < 0)
		return -1;
	if (!cli_json(c))
		cli_line("Attach it with:  paasctl addons:attach %s --credential %s -a %s\n"
			 "What it may do is granted within PostgreSQL:  paasctl pg:psql %s -a %s",
			 d.addon, credential(c), c->app, d.addon, c->app);
	return 0;
}

static int cmd_destroy(struct cli *c, struct err *err)
{
	AUTO(cli_pgdb_clear) struct cli_pgdb d = {0};

	if (need_name(c, err) < 0 || find(c, &d, err) < 0 ||
	    cli_confirm(c, c->app, "Who uses this credential cannot connect any more.", err) < 0)
		return -1;
	cli_action(c, "Destroying credential %s", credential(c));
	return cli_send(c, "DELETE", NULL, err, "/postgres/v0/databases/%s/credentials/%s",
			d.addon_id, credential(c));
}

static int cmd_rotate(struct cli *c, struct err *err)
{
	bool all = cli_opt(&c->args, "all") != NULL, force = cli_opt(&c->args, "force") != NULL;
	AUTO(cli_pgdb_clear) struct cli_pgdb d = {0};
	json_auto_t *body = json_pack("{sb}", "forced", force);

	if (all && cli_opt(&c->args, "name"))
		return err_set(err, ERR_BAD_REQUEST, "--all and --name exclude each other");
	if (find(c, &d, err) < 0 ||
	    cli_confirm(c, c->app,
			force ? "The password changes; whoever uses the old one is cut off at once."
			      : "The password changes; apps are restarted with the new one. The "
				"old one works for ten more minutes.",
			err) < 0)
		return -1;
	cli_action(c, "Rotating %s on %s", all ? "all credentials" : credential(c), d.addon);
	if (all)
		return cli_send(c, "POST", body, err,
				"/postgres/v0/databases/%s/credentials_rotation", d.addon_id);
	return cli_send(c, "POST", body, err,
			"/postgres/v0/databases/%s/credentials/%s/credentials_rotation", d.addon_id,
			credential(c));
}

static int cmd_repair(struct cli *c, struct err *err)
{
	AUTO(cli_pgdb_clear) struct cli_pgdb d = {0};

	if (find(c, &d, err) < 0 ||
	    cli_confirm(c, c->app, "What other credentials own becomes the default credential's.",
			err) < 0)
		return -1;
	cli_action(c, "Repairing the default credential of %s", d.addon);
	return cli_send(c, "POST", NULL, err, "/postgres/v0/databases/%s/repair-default",
			d.addon_id);
}

/* --- the table --- */

#define NAME VALUE('n', "name", "NAME", NONE, "the credential")

const struct cli_cmd cli_cmds_pgcredentials[] = {
	{.name = "pg:credentials",
	 .help = "list the credentials of a database",
	 .args = ARGS(CLI_PG_DATABASE),
	 .flags = CLI_APP,
	 .run = cmd_credentials,
	 .examples = "pg:credentials DATABASE_URL -a my-app"},
	{.name = "pg:credentials:url",
	 .help = "show how to connect with a credential",
	 .args = ARGS(CLI_PG_DATABASE),
	 .opts = OPTS(NAME),
	 .flags = CLI_APP,
	 .run = cmd_url,
	 .examples =
		 "pg:credentials:url -a my-app\npg:credentials:url DATABASE_URL --name analyst"},
	{.name = "pg:credentials:create",
	 .help = "make a further credential",
	 .args = ARGS(CLI_PG_DATABASE),
	 .opts = OPTS(NAME),
	 .flags = CLI_APP,
	 .run = cmd_create,
	 .examples = "pg:credentials:create DATABASE_URL --name analyst -a my-app"},
	{.name = "pg:credentials:destroy",
	 .help = "remove a credential",
	 .args = ARGS(CLI_PG_DATABASE),
	 .opts = OPTS(NAME, CONFIRM),
	 .flags = CLI_APP,
	 .run = cmd_destroy,
	 .examples = "pg:credentials:destroy DATABASE_URL --name analyst -a my-app"},
	{.name = "pg:credentials:rotate",
	 .help = "change the password of a credential, without an interruption",
	 .args = ARGS(CLI_PG_DATABASE),
	 .opts = OPTS(NAME, SWITCH(0, "all", "all credentials"),
		      SWITCH(0, "force", "the old password ends at once"), CONFIRM),
	 .flags = CLI_APP,
	 .run = cmd_rotate,
	 .examples = "pg:credentials:rotate DATABASE_URL -a my-app"},
	{.name = "pg:credentials:repair-default",
	 .help = "give the default credential what others own",
	 .args = ARGS(CLI_PG_DATABASE),
	 .opts = OPTS(CONFIRM),
	 .flags = CLI_APP,
	 .run = cmd_repair,
	 .examples = "pg:credentials:repair-default DATABASE_URL -a my-app"},
	{0},
};
