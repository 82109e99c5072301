/* PostgreSQL: databases, credentials, the tunnel, and the local programs that go through it. */
#include "cli/pg.h"
#include "cli/table.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>

#define WAIT_MS 1000

static const char *pos(struct cli *c, int i)
{
	return c->args.npos > i ? c->args.pos[i] : NULL;
}

static int find(struct cli *c, struct cli_pgdb *d, struct err *err)
{
	return cli_pg_find(c, pos(c, 0), d, err);
}

/* --- information --- */

static void print_info(const json_t *db)
{
	AUTO(cli_pairs_clear) struct cli_pairs pairs = {0};
	size_t i;
	json_t *row;

	json_array_foreach(json_object_get(db, "info"), i, row)
	{
		static const struct cli_field values = {"", "values", FORM_LIST};
		AUTO(auto_str) char *text = cli_field_text(row, &values);

		cli_pairs_add(&pairs, cli_js(row, "name"), text);
	}
	cli_pairs_print(&pairs, stdout);
}

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
		print_info(db);
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
	print_info(db);
	return 0;
}

static int wait_for(struct cli *c, const char *id, const char *name, struct err *err)
{
	bool said = false;

	for (;;) {
		json_auto_t *s = NULL;

		if (cli_api(c, "GET", NULL, &s, err, "/client/v11/databases/%s/wait_status", id) <
		    0)
			return -1;
		if (json_is_true(json_object_get(s, "error?")))
			return err_set(err, ERR_UNAVAILABLE, "%s: %s", name, cli_js(s, "message"));
		if (!json_is_true(json_object_get(s, "waiting?"))) {
			if (said)
				cli_action_done(c, "%s", cli_js(s, "message"));
			if (cli_json(c))
				cli_print_json(c, s);
			return 0;
		}
		if (!said)
			cli_action(c, "Waiting for database %s", name);
		said = true;
		cli_action_status(c, "%s", cli_js(s, "message"));
		for (int i = 0; i < WAIT_MS / 100; i++) {
			poll(NULL, 0, 100);
			cli_spin(c);
		}
	}
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

/* --- local programs --- */

static int cmd_psql(struct cli *c, struct err *err)
{
	const char *sql = cli_opt(&c->args, "command"), *file = cli_opt(&c->args, "file");
	AUTO(auto_str)
	char *prompt =
		xasprintf("PROMPT1=%s::%s%%R%%# ", c->app, pos(c, 0) ? pos(c, 0) : "DATABASE");
	const char *interactive[] = {"--set", prompt, NULL};
	const char *one[] = {"-c", sql, NULL};
	const char *script[] = {"-f", file, "--set", "ON_ERROR_STOP=1", NULL};

	if (sql && file)
		return err_set(err, ERR_BAD_REQUEST, "--command and --file exclude each other");
	return cli_pg_psql(c, pos(c, 0), sql ? one : file ? script : interactive, false, err);
}

static int cmd_tunnel(struct cli *c, struct err *err)
{
	AUTO(cli_pgdb_clear) struct cli_pgdb d = {0};
	AUTO(cli_pgurl_clear) struct cli_pgurl url = {0};
	struct cli_tunnel *t = NULL;
	int port = 0, status = 0, rc;

	if (cli_num_opt(c, "port", 5433, &port, err) < 0)
		return -1;
	if (port < 1 || port > 65535)
		return err_set(err, ERR_BAD_REQUEST, "--port is a number from 1 to 65535");
	if (find(c, &d, err) < 0 || cli_pg_url(c, &d, &url, err) < 0 ||
	    cli_tunnel_open(c, d.addon_id, &t, err) < 0)
		return -1;
	rc = cli_tunnel_listen_port(t, port, err);
	if (rc == 0) {
		cli_line("%s is at 127.0.0.1:%d until you press Ctrl-C. The password is in:  "
			 "paasctl pg:credentials:url %s -a %s",
			 d.addon, port, d.name, c->app);
		cli_line("psql \"host=127.0.0.1 port=%d user=%s dbname=%s\"", port, url.user,
			 url.database);
		fflush(stdout);
		rc = cli_tunnel_run(t, &status, err);
	}
	cli_tunnel_close(t);
	return rc < 0 ? -1 : status;
}

/* A database of this machine: a name, or a URL; its environment. */
static int local_env(const char *what, const char *dir, char ***env, char **name, struct err *err)
{
	AUTO(cli_pgurl_clear) struct cli_pgurl u = {0};
	AUTO(auto_str) char *pass = NULL;

	if (!strstr(what, "://")) {
		*env = NULL;
		*name = xstrdup(what);
		return 0;
	}
	if (cli_pgurl_parse(what, &u, err) < 0)
		return err_wrap(err, "%.40s", "the local database");
	if (*u.password && cli_pgurl_passfile(&u, dir, "pass-local", &pass, err) < 0)
		return -1;
	*env = cli_pgurl_env(&u, "", "", pass ? pass : "");
	*name = xstrdup(u.database);
	return 0;
}

extern char **environ;

struct copy {
	struct cli_tunnel *t;
	char **env, **other; /* of the platform's database; of the local one, NULL = ours */
	char *name;	     /* of the local one */
};

static void copy_clear(struct copy *k)
{
	cli_pgurl_env_free(k->env);
	cli_pgurl_env_free(k->other);
	free(k->name);
	cli_tunnel_close(k->t);
}
#define copy_clear_p copy_clear

static int copy_open(struct cli *c, const char *database, const char *local, struct copy *k,
		     struct err *err)
{
	AUTO(cli_pgdb_clear) struct cli_pgdb d = {0};

	if (cli_pg_find(c, database, &d, err) < 0 || cli_pg_open(c, &d, &k->t, &k->env, err) < 0)
		return -1;
	return local_env(local, cli_tunnel_dir(k->t), &k->other, &k->name, err);
}

/* pg_dump into pg_restore. The schema heroku_ext is there already in databases of the platform. */
static int copy_run(struct copy *k, bool push, int *status, struct err *err)
{
	char **local = k->other ? k->other : environ;
	const char *dump_local[] = {"pg_dump",	     "-Fc", "--no-acl",	  "--no-owner",
				    "--no-comments", "-N",  "heroku_ext", "-d",
				    k->name,	     NULL};
	const char *dump[] = {"pg_dump", "-Fc", "--no-acl", "--no-owner", "--no-comments", NULL};
	const char *restore[] = {"pg_restore", "--no-acl", "--no-owner", "-d", k->name, NULL};
	int fds[2], rc;

	for (char **e = push ? k->env : NULL; e && *e; e++)
		if (strncmp(*e, "PGDATABASE=", 11) == 0)
			restore[4] = *e + 11;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(err, "pipe");
	rc = cli_tunnel_spawn(k->t, push ? dump_local : dump, push ? local : k->env, -1, fds[1],
			      err) < 0 ||
			     cli_tunnel_spawn(k->t, restore, push ? k->env : local, fds[0], -1,
					      err) < 0
		     ? -1
		     : 0;
	close(fds[0]);
	close(fds[1]);
	if (rc < 0 || cli_tunnel_run(k->t, status, err) < 0)
		return -1;
	return *status ? err_set(err, ERR_INTERNAL,
				 "not everything was copied: pg_dump or pg_restore said why above")
		       : 0;
}

/* A program of its own before the copy. */
static int before(struct copy *k, const char *const *argv, char **env, int *status, struct err *err)
{
	return cli_tunnel_spawn(k->t, argv, env, -1, -1, err) < 0
		       ? -1
		       : cli_tunnel_run(k->t, status, err);
}

static int cmd_pull(struct cli *c, struct err *err)
{
	AUTO(copy_clear) struct copy k = {0};
	int status = 0;

	if (copy_open(c, pos(c, 0), pos(c, 1), &k, err) < 0)
		return -1;
	const char *create[] = {"createdb", "--", k.name, NULL};

	fprintf(stderr, "Pulling %s into %s\n", pos(c, 0), k.name);
	if (before(&k, create, k.other ? k.other : environ, &status, err) < 0)
		return -1;
	if (status)
		return err_set(err, ERR_CONFLICT,
			       "the local database %s could not be made: pull into a new one",
			       k.name);
	return copy_run(&k, false, &status, err);
}

/* psql's status tells. */
static const char must_be_empty[] =
	"DO $$ BEGIN IF EXISTS (SELECT 1 FROM pg_stat_user_tables) THEN RAISE EXCEPTION 'it has "
	"tables'; END IF; END $$";

static int cmd_push(struct cli *c, struct err *err)
{
	const char *check[] = {"psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-c", must_be_empty, NULL};
	AUTO(copy_clear) struct copy k = {0};
	int status = 0;

	if (copy_open(c, pos(c, 1), pos(c, 0), &k, err) < 0)
		return -1;
	if (before(&k, check, k.env, &status, err) < 0)
		return -1;
	if (status)
		return err_set(err, ERR_CONFLICT,
			       "%s is not empty: paasctl pg:reset %s -a %s empties it", pos(c, 1),
			       pos(c, 1), c->app);
	fprintf(stderr, "Pushing %s to %s\n", k.name, pos(c, 1));
	return copy_run(&k, true, &status, err);
}

/* --- the table --- */

#define DATABASE                                                                              \
	{                                                                                     \
		"DATABASE", COMPLETE_CONFIG, "attachment or add-on; DATABASE_URL by default", \
			false, false                                                          \
	}
#define REQUIRED_DATABASE                                                                     \
	{                                                                                     \
		"DATABASE", COMPLETE_CONFIG, "attachment or add-on, like DATABASE_URL", true, \
			false                                                                 \
	}
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
	{.name = "pg:psql",
	 .aliases = "psql",
	 .help = "open psql, or run SQL, on a database",
	 .more = "psql of this machine is used, through the platform's own port: the database "
		 "needs "
		 "none that is open. The password is in a file that only you can read, while it "
		 "runs.",
	 .args = ARGS(DATABASE),
	 .opts = OPTS(VALUE('c', "command", "SQL", NONE, "SQL to run"),
		      VALUE('f', "file", "FILE", FILE, "file of SQL to run")),
	 .flags = CLI_APP | CLI_NO_JSON,
	 .run = cmd_psql,
	 .examples = "pg:psql -a my-app\npg:psql DATABASE_URL -c 'SELECT now()'\npg:psql -f "
		     "seeds.sql"},
	{.name = "pg:tunnel",
	 .help = "make a database reachable on a port of this machine",
	 .more = "For programs other than psql. The port is on 127.0.0.1; the database asks for "
		 "its "
		 "password as always.",
	 .args = ARGS(DATABASE),
	 .opts = OPTS(VALUE('p', "port", "PORT", NONE, "port on 127.0.0.1 (5433)")),
	 .flags = CLI_APP | CLI_NO_JSON,
	 .run = cmd_tunnel,
	 .examples = "pg:tunnel --port 5433 -a my-app"},
	{.name = "pg:push",
	 .help = "copy a local database into an empty one of the platform",
	 .args = ARGS({"SOURCE", COMPLETE_NONE, "local database: a name, or a postgres:// URL",
		       true, false},
		      REQUIRED_DATABASE),
	 .flags = CLI_APP | CLI_NO_JSON,
	 .run = cmd_push,
	 .examples = "pg:push shop_development DATABASE_URL -a my-app"},
	{.name = "pg:pull",
	 .help = "copy a database into a new local one",
	 .args = ARGS(REQUIRED_DATABASE,
		      {"TARGET", COMPLETE_NONE, "local database: a name, or a postgres:// URL",
		       true, false}),
	 .flags = CLI_APP | CLI_NO_JSON,
	 .run = cmd_pull,
	 .examples = "pg:pull DATABASE_URL shop_copy -a my-app"},
	{.name = "pg:promote",
	 .help = "make another database the app's DATABASE_URL",
	 .args = ARGS(REQUIRED_DATABASE),
	 .flags = CLI_APP,
	 .run = cmd_promote,
	 .examples = "pg:promote HEROKU_POSTGRESQL_BLUE_URL -a my-app"},
	{.name = "pg:reset",
	 .help = "delete all data in a database",
	 .args = ARGS(DATABASE),
	 .opts = OPTS(CONFIRM, VALUE('e', "extensions", "NAMES", NONE,
				     "extensions to have from the start: hstore,citext")),
	 .flags = CLI_APP,
	 .run = cmd_reset,
	 .examples = "pg:reset DATABASE_URL -a my-app"},
	{.name = "pg:killall",
	 .help = "end all connections of a database",
	 .args = ARGS(DATABASE),
	 .flags = CLI_APP,
	 .run = cmd_killall,
	 .examples = "pg:killall -a my-app"},
	{.name = "pg:credentials",
	 .help = "list the credentials of a database",
	 .args = ARGS(DATABASE),
	 .flags = CLI_APP,
	 .run = cmd_credentials,
	 .examples = "pg:credentials DATABASE_URL -a my-app"},
	{.name = "pg:credentials:url",
	 .help = "show how to connect with a credential",
	 .args = ARGS(DATABASE),
	 .opts = OPTS(NAME),
	 .flags = CLI_APP,
	 .run = cmd_url,
	 .examples =
		 "pg:credentials:url -a my-app\npg:credentials:url DATABASE_URL --name analyst"},
	{.name = "pg:credentials:create",
	 .help = "make a further credential",
	 .args = ARGS(DATABASE),
	 .opts = OPTS(NAME),
	 .flags = CLI_APP,
	 .run = cmd_create,
	 .examples = "pg:credentials:create DATABASE_URL --name analyst -a my-app"},
	{.name = "pg:credentials:destroy",
	 .help = "remove a credential",
	 .args = ARGS(DATABASE),
	 .opts = OPTS(NAME, CONFIRM),
	 .flags = CLI_APP,
	 .run = cmd_destroy,
	 .examples = "pg:credentials:destroy DATABASE_URL --name analyst -a my-app"},
	{.name = "pg:credentials:rotate",
	 .help = "change the password of a credential, without an interruption",
	 .args = ARGS(DATABASE),
	 .opts = OPTS(NAME, SWITCH(0, "all", "all credentials"),
		      SWITCH(0, "force", "the old password ends at once"), CONFIRM),
	 .flags = CLI_APP,
	 .run = cmd_rotate,
	 .examples = "pg:credentials:rotate DATABASE_URL -a my-app"},
	{.name = "pg:credentials:repair-default",
	 .help = "give the default credential what others own",
	 .args = ARGS(DATABASE),
	 .opts = OPTS(CONFIRM),
	 .flags = CLI_APP,
	 .run = cmd_repair,
	 .examples = "pg:credentials:repair-default DATABASE_URL -a my-app"},
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
	 .args = ARGS(DATABASE),
	 .opts = OPTS(VALUE(0, "add", "NAMES", NONE, "extensions to add: earthdistance,bloom")),
	 .flags = CLI_APP,
	 .run = cmd_extensions,
	 .examples = "pg:extensions -a my-app\npg:extensions --add earthdistance"},
	{0},
};
