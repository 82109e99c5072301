#include "cli/pg.h"

#include <string.h>

#define PSQL_ARGS 32

void cli_pgdb_clear(struct cli_pgdb *d)
{
	json_decref(d->attachment);
	free(d->addon);
	free(d->addon_id);
	free(d->addon_app);
	free(d->name);
	free(d->app);
	*d = (struct cli_pgdb){0};
}

/* Several: people get their names. */
static int ambiguous(const json_t *list, const char *name, struct err *err)
{
	AUTO(buf_clear) struct buf names = {0};
	size_t i;
	json_t *a;

	json_array_foreach(list, i, a) buf_addf(&names, "%s%s", i ? ", " : "", cli_js(a, "name"));
	return err_set(err, ERR_CONFLICT, "%s stands for several databases: say which of %.200s",
		       name, buf_str(&names));
}

static void take(const json_t *found, const char *app, struct cli_pgdb *out)
{
	*out = (struct cli_pgdb){.attachment = json_deep_copy(found),
				 .addon = xstrdup(cli_js(found, "addon.name")),
				 .addon_id = xstrdup(cli_js(found, "addon.id")),
				 .addon_app = xstrdup(cli_js(found, "addon.app.name")),
				 .name = xstrdup(cli_js(found, "name")),
				 .app = xstrdup(app)};
}

static int no_database(const char *name, const char *app, struct err *err)
{
	if (!name)
		return err_set(err, ERR_NOT_FOUND,
			       "%s has no database: paasctl addons:create heroku-postgresql -a %s "
			       "makes one",
			       app, app);
	return err_set(err, ERR_NOT_FOUND,
		       "%s has no database %.100s: paasctl addons -a %s shows what it has", app,
		       name, app);
}

int cli_pg_find(struct cli *c, const char *name, struct cli_pgdb *out, struct err *err)
{
	const char *sep = name ? strstr(name, "::") : NULL;
	AUTO(auto_str) char *app = sep ? xstrndup(name, (size_t)(sep - name)) : xstrdup(c->app);
	const char *what = sep ? sep + 2 : name ? name : "DATABASE_URL";
	json_auto_t *body = json_pack("{ss ss ss}", "app", app, "addon_attachment", what,
				      "addon_service", "heroku-postgresql");
	json_auto_t *list = NULL;

	if (!body)
		return err_set(err, ERR_BAD_REQUEST, "the database's name is not UTF-8 text");
	if (cli_api(c, "POST", body, &list, err, "/actions/addon-attachments/resolve") < 0) {
		return strcmp(err->id, "not_found") == 0 ? no_database(name, app, err) : -1;
	}
	if (json_array_size(list) == 0)
		return no_database(what, app, err);
	if (json_array_size(list) > 1)
		return ambiguous(list, what, err);
	take(json_array_get(list, 0), app, out);
	return 0;
}

int cli_pg_url(struct cli *c, const struct cli_pgdb *d, struct cli_pgurl *out, struct err *err)
{
	const char *app = cli_js(d->attachment, "app.name");
	AUTO(auto_str) char *var = xasprintf("%s_URL", d->name);
	json_auto_t *vars = NULL;
	const char *url;

	if (cli_api(c, "GET", NULL, &vars, err, "/apps/%s/config-vars", app) < 0)
		return -1;
	url = json_string_value(json_object_get(vars, var));
	if (!url)
		return err_set(err, ERR_NOT_FOUND,
			       "%s has no config var %s yet: paasctl pg:wait -a %s waits for it",
			       app, var, app);
	return cli_pgurl_parse(url, out, err);
}

int cli_pg_open(struct cli *c, const struct cli_pgdb *d, struct cli_tunnel **out, char ***env,
		struct err *err)
{
	AUTO(cli_pgurl_clear) struct cli_pgurl url = {0};
	AUTO(auto_str) char *pass = NULL;
	struct cli_tunnel *t = NULL;

	if (cli_pg_url(c, d, &url, err) < 0 || cli_tunnel_open(c, d->addon_id, &t, err) < 0)
		return -1;
	if (cli_tunnel_listen_unix(t, err) < 0 ||
	    cli_pgurl_passfile(&url, cli_tunnel_dir(t), "pass", &pass, err) < 0) {
		cli_tunnel_close(t);
		return -1;
	}
	*env = cli_pgurl_env(&url, cli_tunnel_dir(t), "5432", pass);
	*out = t;
	return 0;
}

int cli_pg_psql(struct cli *c, const char *name, const char *const *args, bool quiet,
		struct err *err)
{
	AUTO(cli_pgdb_clear) struct cli_pgdb d = {0};
	const char *argv[PSQL_ARGS] = {"psql"};
	struct cli_tunnel *t = NULL;
	char **env = NULL;
	int n = 1, status = 0, rc;

	for (; *args && n < PSQL_ARGS - 1; args++)
		argv[n++] = *args;
	if (cli_pg_find(c, name, &d, err) < 0 || cli_pg_open(c, &d, &t, &env, err) < 0)
		return -1;
	if (!quiet)
		fprintf(stderr, "--> Connecting to %s\n", d.addon);
	rc = cli_tunnel_spawn(t, argv, env, -1, -1, err) < 0 ? -1 : cli_tunnel_run(t, &status, err);
	cli_pgurl_env_free(env);
	cli_tunnel_close(t);
	return rc < 0 ? -1 : status;
}
