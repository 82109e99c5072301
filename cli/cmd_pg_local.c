/* Programs of this machine on databases of the platform, through the tunnel. */
#include "cli/pg.h"
#include "cli/table.h"

#include <fcntl.h>
#include <string.h>

static const char *pos(struct cli *c, int i)
{
	return c->args.npos > i ? c->args.pos[i] : NULL;
}

static int find(struct cli *c, struct cli_pgdb *d, struct err *err)
{
	return cli_pg_find(c, pos(c, 0), d, err);
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

/* pg_dump into pg_restore. Two schemas are there already in databases of the platform. */
static int copy_run(struct copy *k, bool push, int *status, struct err *err)
{
	char **local = k->other ? k->other : environ;
	const char *dump_local[] = {"pg_dump",	     "-Fc", "--no-acl",	  "--no-owner",
				    "--no-comments", "-N",  "heroku_ext", "-N",
				    "paas_ext",	     "-d",  k->name,	  NULL};
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

const struct cli_cmd cli_cmds_pglocal[] = {
	{.name = "pg:psql",
	 .aliases = "psql",
	 .help = "open psql, or run SQL, on a database",
	 .more = "psql of this machine is used, through the platform's own port: the database "
		 "needs "
		 "none that is open. The password is in a file that only you can read, while it "
		 "runs.",
	 .args = ARGS(CLI_PG_DATABASE),
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
	 .args = ARGS(CLI_PG_DATABASE),
	 .opts = OPTS(VALUE('p', "port", "PORT", NONE, "port on 127.0.0.1 (5433)")),
	 .flags = CLI_APP | CLI_NO_JSON,
	 .run = cmd_tunnel,
	 .examples = "pg:tunnel --port 5433 -a my-app"},
	{.name = "pg:push",
	 .help = "copy a local database into an empty one of the platform",
	 .args = ARGS({"SOURCE", COMPLETE_NONE, "local database: a name, or a postgres:// URL",
		       true, false},
		      CLI_PG_DATABASE_REQUIRED),
	 .flags = CLI_APP | CLI_NO_JSON,
	 .run = cmd_push,
	 .examples = "pg:push shop_development DATABASE_URL -a my-app"},
	{.name = "pg:pull",
	 .help = "copy a database into a new local one",
	 .args = ARGS(CLI_PG_DATABASE_REQUIRED,
		      {"TARGET", COMPLETE_NONE, "local database: a name, or a postgres:// URL",
		       true, false}),
	 .flags = CLI_APP | CLI_NO_JSON,
	 .run = cmd_pull,
	 .examples = "pg:pull DATABASE_URL shop_copy -a my-app"},
	{0},
};
