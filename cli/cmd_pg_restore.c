/* Databases replaced: by backups, by other databases. */
#include "cli/pgtransfer.h"
#include "cli/table.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *arg(struct cli *c, int i)
{
	return c->args.npos > i ? c->args.pos[i] : NULL;
}

/* --- restored --- */

/* backup_url of what people call a backup: a URL, b001, APP::b001; NULL = the newest. */
static int find_backup(struct cli *c, const char *ref, char **url, char **shown, struct err *err)
{
	const char *colons = ref ? strstr(ref, "::") : NULL, *name = colons ? colons + 2 : ref;
	AUTO(auto_str) char *app = colons ? xstrndup(ref, (size_t)(colons - ref)) : xstrdup(c->app);
	json_auto_t *t = NULL;
	char text[16];

	if (name && !*name) /* APP:: */
		name = NULL;
	if (ref && (strncasecmp(ref, "http://", 7) == 0 || strncasecmp(ref, "https://", 8) == 0)) {
		*url = xstrdup(ref);
		*shown = xstrdup("the dump at the URL");
		return 0;
	}
	if (cli_pgt_pick(c, app, name, cli_pgt_is_good, CLI_PGT_NONE, &t, err) < 0)
		return -1;
	if (!cli_pgt_is_good(t))
		return err_set(err, ERR_INVALID_PARAMS, "%s of %s is no backup that succeeded.",
			       name, app);
	cli_pgt_name(t, text);
	*url = xstrdup(cli_js(t, "to_url"));
	*shown = colons ? xasprintf("%s of %s", text, app) : xstrdup(text);
	return 0;
}

static int cmd_restore(struct cli *c, struct err *err)
{
	const char *extensions = cli_opt(&c->args, "extensions");
	AUTO(cli_pgdb_clear) struct cli_pgdb d = {0};
	AUTO(auto_str) char *url = NULL;
	AUTO(auto_str) char *shown = NULL;
	AUTO(auto_str) char *warning = NULL;
	AUTO(auto_str) char *what = NULL;
	json_auto_t *body = NULL;

	if (cli_pg_find(c, arg(c, 1), &d, err) < 0 ||
	    find_backup(c, arg(c, 0), &url, &shown, err) < 0)
		return -1;
	warning = xasprintf("All data of %s of %s will be replaced by %s.", d.name, c->app, shown);
	if (cli_confirm(c, c->app, warning, err) < 0)
		return -1;
	body = json_pack("{ss}", "backup_url", url);
	if (extensions)
		json_object_set_new(body, "extensions", cli_words(extensions));
	what = xasprintf("Restoring %s to %s", shown, d.name);
	return cli_pgt_run(c, &d, "restores", body, what, err);
}

/* --- copies --- */

struct side { /* owned */
	struct cli_pgdb db;
	char *name, *url;
};

static void side_clear(struct side *s)
{
	cli_pgdb_clear(&s->db);
	free(s->name);
	if (s->url)
		explicit_bzero(s->url, strlen(s->url));
	free(s->url);
}
#define side_clear_p side_clear

/* An attachment, or a URL of a database elsewhere. */
static int find_side(struct cli *c, const char *ref, struct side *s, struct err *err)
{
	json_auto_t *vars = NULL;
	AUTO(auto_str) char *var = NULL;

	if (strncmp(ref, "postgres://", 11) == 0 || strncmp(ref, "postgresql://", 13) == 0) {
		const char *at = strrchr(ref, '@');

		s->url = xstrdup(ref);
		s->name = xasprintf("database at %s", at ? at + 1 : "a URL");
		return 0;
	}
	if (cli_pg_find(c, ref, &s->db, err) < 0 ||
	    cli_api(c, "GET", NULL, &vars, err, "/apps/%s/config-vars", s->db.app) < 0)
		return -1;
	var = xasprintf("%s_URL", s->db.name);
	s->url = xstrdup(cli_js(vars, var));
	s->name = xstrdup(s->db.name);
	return *s->url ? 0
		       : err_set(err, ERR_NOT_FOUND, "%s has no config var %s.", s->db.app, var);
}

static int cmd_copy(struct cli *c, struct err *err)
{
	AUTO(side_clear) struct side from = {0};
	AUTO(side_clear) struct side to = {0};
	AUTO(auto_str) char *warning = NULL;
	AUTO(auto_str) char *what = NULL;
	json_auto_t *body = NULL;

	if (find_side(c, c->args.pos[0], &from, err) < 0 ||
	    find_side(c, c->args.pos[1], &to, err) < 0)
		return -1;
	if (!to.db.addon_id)
		return err_set(err, ERR_BAD_REQUEST,
			       "the target is a database of an app: elsewhere use paasctl pg:pull, "
			       "or pg_restore");
	warning = xasprintf("All data of %s of %s will be replaced by that of %s.", to.name,
			    to.db.app, from.name);
	if (cli_confirm(c, to.db.app, warning, err) < 0)
		return -1;
	body = json_pack("{ss ss ss ss}", "from_name", from.name, "from_url", from.url, "to_name",
			 to.name, "to_url", to.url);
	what = xasprintf("Copying %s to %s", from.name, to.name);
	return cli_pgt_run(c, &to.db, "transfers", body, what, err);
}

/* --- the table --- */

#define DATABASE_ARG                                                                           \
	{                                                                                      \
		"DATABASE", COMPLETE_NONE, "attachment or add-on; DATABASE by default", false, \
			false                                                                  \
	}
#define NO_WAIT SWITCH(0, "no-wait", "begin it, and do not wait for its end")

const struct cli_cmd cli_cmds_restores[] = {
	{.name = "pg:backups:restore",
	 .help = "replace a database by a backup",
	 .more = "The backup is restored beside the database, which takes its place at the end: "
		 "when "
		 "something fails, the database is as it was.",
	 .args = ARGS(
		 {"BACKUP", COMPLETE_NONE,
		  "b001, another app's as other-app::b001, or a URL of a dump; the newest good "
		  "one by default",
		  false, false},
		 DATABASE_ARG),
	 .opts = OPTS(
		 VALUE('e', "extensions", "NAMES", NONE,
		       "extensions that are made first: hstore or myschema.hstore, with commas"),
		 CONFIRM, NO_WAIT),
	 .flags = CLI_APP,
	 .run = cmd_restore,
	 .examples = "pg:backups:restore -a my-app\npg:backups:restore b001 DATABASE -a my-app "
		     "--confirm my-app\npg:backups:restore other-app::b007 DATABASE -a my-app"},
	{.name = "pg:copy",
	 .help = "replace a database by the content of another",
	 .args = ARGS({"SOURCE", COMPLETE_NONE, "attachment, APP::ATTACHMENT, or postgres:// URL",
		       true, false},
		      {"TARGET", COMPLETE_NONE, "attachment, or APP::ATTACHMENT", true, false}),
	 .opts = OPTS(CONFIRM, NO_WAIT),
	 .flags = CLI_APP,
	 .run = cmd_copy,
	 .examples = "pg:copy my-app::DATABASE DATABASE -a my-app-staging"},
	{0},
};
