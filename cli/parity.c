/* `development`, `staging`, `production` and `pr_app`: paasctl under another name acts on the git
 * remote of that name, or on a review app, with the words of Parity. */
#include "cli/cli.h"
#include "cli/localdb.h"
#include "proto/limits.h"

#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

static const char *const envs[] = {"staging", "production", "development", "pr_app"};

typedef int dispatch_fn(int argc, char **argv);

struct env { /* what a word acts on */
	const char *name;
	const char *flag;  /* --remote or --app */
	const char *value; /* of the flag */
	dispatch_fn *dispatch;
};

const char *cli_parity_env(const char *argv0)
{
	const char *slash = strrchr(argv0, '/'), *name = slash ? slash + 1 : argv0;

	for (size_t i = 0; i < ARRAY_LEN(envs); i++)
		if (strcmp(name, envs[i]) == 0)
			return envs[i];
	return NULL;
}

static bool is(const struct env *e, const char *name)
{
	return strcmp(e->name, name) == 0;
}

static int wrong(const char *fmt, ...) PRINTF(1, 2);
static int wrong(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return err_exit_status(err_wire_id(ERR_BAD_REQUEST));
}

/* --- git --- */

static bool has_branch(const char *name)
{
	AUTO(auto_str) char *ref = xasprintf("refs/heads/%s", name);

	return cli_run((const char *const[]){"git", "rev-parse", "--verify", "--quiet", ref, NULL},
		       NULL) == 0;
}

/* main when it exists and master does not. */
static const char *trunk(void)
{
	return has_branch("main") && !has_branch("master") ? "main" : "master";
}

/* The last part of the remote's URL, without .git; NULL when there is no such remote. */
static char *app_of_remote(const char *remote)
{
	AUTO(buf_clear) struct buf url = {0};
	char *slash, *end;

	if (cli_run((const char *const[]){"git", "remote", "get-url", remote, NULL}, &url) != 0)
		return NULL;
	buf_addc(&url, 0);
	url.data[strcspn(url.data, "\r\n")] = 0;
	end = url.data + strlen(url.data);
	if (end - url.data > 4 && strcmp(end - 4, ".git") == 0)
		end[-4] = 0;
	slash = strpbrk(url.data, "/:") ? strrchr(url.data, '/') : NULL;
	slash = slash ? slash + 1 : strrchr(url.data, ':') ? strrchr(url.data, ':') + 1 : url.data;
	return *slash ? xstrdup(slash) : NULL;
}

static char *app_of(const struct env *e)
{
	char *app = strcmp(e->flag, "--app") == 0 ? xstrdup(e->value) : app_of_remote(e->value);

	if (!app)
		wrong("There is no git remote %s: add it with paasctl git:remote -a APP -r %s",
		      e->value, e->value);
	return app;
}

static int deploy(const struct env *e)
{
	const char *branch = trunk();
	AUTO(auto_str) char *refspec = xasprintf("HEAD:%s", branch);
	int rc;

	if (is(e, "pr_app"))
		return wrong("A review app is deployed by pushing its branch.");
	if (is(e, "production"))
		rc = cli_run_tty((const char *const[]){"git", "push", e->value, branch, NULL});
	else
		rc = cli_run_tty(
			(const char *const[]){"git", "push", e->value, refspec, "--force", NULL});
	if (rc < 0)
		fprintf(stderr, "git could not be started\n");
	return rc < 0 ? 1 : rc;
}

/* --- command lines of paasctl --- */

/* The flag stands first, so that `run` leaves it alone. */
static int on(const struct env *e, int argc, const char *const *argv)
{
	const char **v = xcalloc((size_t)argc + 4, sizeof *v);
	int n = 0, rc;

	v[n++] = "paasctl";
	v[n++] = argv[0];
	v[n++] = e->flag;
	v[n++] = e->value;
	for (int i = 1; i < argc; i++)
		v[n++] = argv[i];
	rc = e->dispatch(n, (char **)(uintptr_t)v);
	free(v);
	return rc;
}

#define ON(e, ...)                                                                 \
	on(e, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *)), \
	   (const char *[]){__VA_ARGS__})

struct word {
	const char *name;
	const char *runs[2][5]; /* command lines, one after the other while they succeed */
};

static const struct word words[] = {
	{"backup", {{"pg:backups:capture"}}},
	{"console", {{"run", "bundle", "exec", "rails", "console"}}},
	{"migrate", {{"run", "rake", "db:migrate"}, {"ps:restart"}}},
	{"tail", {{"logs", "--tail"}}},
};

static int run_word(const struct word *w, const struct env *e, int argc, char **argv)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(w->runs) && w->runs[i][0] && rc == 0; i++) {
		const char **v = xcalloc(ARRAY_LEN(w->runs[i]) + (size_t)argc, sizeof *v);
		int n = 0;

		for (; n < (int)ARRAY_LEN(w->runs[i]) && w->runs[i][n]; n++)
			v[n] = w->runs[i][n];
		for (int k = 1; k < argc && i == 0; k++)
			v[n++] = argv[k];
		rc = on(e, n, v);
		free(v);
	}
	return rc;
}

/* --- restore --- */

struct restore { /* borrowed */
	const char *from;
	const char *database; /* of the development environment; NULL = as the checkout says */
	bool force, parallelize;
};

static int read_restore(const struct env *e, int argc, char **argv, struct restore *r)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--force") == 0)
			r->force = true;
		else if (strcmp(argv[i], "--parallelize") == 0)
			r->parallelize = true;
		else if (strcmp(argv[i], "--database") == 0 && argv[i + 1])
			r->database = argv[++i];
		else if (argv[i][0] == '-' || r->from)
			return wrong("%s %s does not take %s. See %s --help", e->name, argv[0],
				     argv[i], e->name);
		else
			r->from = argv[i];
	}
	if (!r->from)
		return wrong("Restore from what? %s %s production", e->name, argv[0]);
	return 0;
}

static int local_name(const struct restore *r, char **out)
{
	struct err err = {0};

	if (r->database)
		*out = xstrdup(r->database);
	else if (cli_localdb_name(out, &err) < 0)
		return wrong("%s", err.msg);
	/* It becomes an argument of programs that take more than names there. */
	if ((*out)[0] == '-' || strchr(*out, '=') || strstr(*out, "://"))
		return wrong("%s is no name of a local database.", *out);
	return 0;
}

static int tool(const char *const *argv)
{
	int rc = cli_run_tty(argv);

	if (rc < 0)
		return wrong("%s could not be started: install PostgreSQL's programs (on Debian "
			     "postgresql-client).",
			     argv[0]);
	return rc;
}

#define TOOL(...) tool((const char *const[]){__VA_ARGS__, NULL})

#define BACKUP "tmp/latest.backup"

static int fill_local(const char *db, bool parallelize)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	AUTO(auto_str) char *jobs = xasprintf("--jobs=%ld", parallelize && cores > 1 ? cores : 1);
	int rc;

	if ((rc = TOOL("dropdb", "--if-exists", db)) != 0 || (rc = TOOL("createdb", db)) != 0)
		return rc;
	rc = TOOL("pg_restore", "--no-acl", "--no-owner", "--dbname", db, jobs, BACKUP);
	if (rc != 0)
		fprintf(stderr, "pg_restore reported problems; what could be restored is in %s.\n",
			db);
	/* Rails refuses to drop or load what it takes for a production database. */
	TOOL("psql", "--quiet", "--no-psqlrc", "--dbname", db, "--command",
	     "DO $$ BEGIN IF to_regclass('ar_internal_metadata') IS NOT NULL THEN UPDATE "
	     "ar_internal_metadata SET value = 'development' WHERE key = 'environment'; END IF; "
	     "END $$");
	return rc;
}

static int to_development(const struct env *from, const struct restore *r)
{
	AUTO(auto_str) char *db = NULL;
	int rc;

	if ((rc = local_name(r, &db)) != 0)
		return rc;
	mkdir("tmp", 0777);
	/* Fetched first: without a backup the local database stays. */
	rc = ON(from, "pg:backups:download", "--output", BACKUP);
	if (rc == 0)
		rc = fill_local(db, r->parallelize);
	unlink(BACKUP);
	return rc;
}

static int from_development(const struct env *to, const struct restore *r)
{
	AUTO(auto_str) char *app = app_of(to);
	AUTO(auto_str) char *db = NULL;
	int rc;

	if (!app)
		return 1;
	if ((rc = local_name(r, &db)) != 0 ||
	    (rc = ON(to, "pg:reset", "DATABASE_URL", "--confirm", app)) != 0)
		return rc;
	return ON(to, "pg:push", db, "DATABASE_URL");
}

/* The newest backup takes the place of the database in one step: nothing to reset before. */
static int between(const struct env *from, const struct env *to)
{
	AUTO(auto_str) char *source = app_of(from);
	AUTO(auto_str) char *target = source ? app_of(to) : NULL;
	AUTO(auto_str) char *backup = NULL;

	if (!target)
		return 1;
	backup = xasprintf("%s::", source);
	return ON(to, "pg:backups:restore", backup, "DATABASE", "--confirm", target);
}

static int restore(const struct env *e, int argc, char **argv)
{
	struct restore r = {0};
	int rc = read_restore(e, argc, argv, &r);
	const struct env from = {r.from, "--remote", r.from, e->dispatch};

	if (rc != 0)
		return rc;
	if (strcmp(r.from, e->name) == 0)
		return wrong("%s cannot be restored from itself.", e->name);
	if (is(e, "production") && !r.force)
		return wrong("Parity does not support restoring backups into your production "
			     "environment. Use `--force` to override.");
	if (is(e, "development"))
		return to_development(&from, &r);
	return is(&from, "development") ? from_development(e, &r) : between(&from, e);
}

/* --- the words --- */

static int usage(const char *env)
{
	const char *args = strcmp(env, "pr_app") == 0 ? "pr_app NUMBER" : env;

	printf("Usage: %s backup | restore | deploy | console | migrate | tail | open | COMMAND "
	       "[ARGUMENTS]\n\n",
	       args);
	if (strcmp(env, "development") == 0) {
		printf("  restore ENV    the newest backup of the git remote ENV into the local "
		       "database: that of\n                 config/database.yml, or the folder's "
		       "name; --database NAME, --parallelize\n  restore-from ENV  the same\n");
		return 0;
	}
	printf("  backup         back its database up\n"
	       "  restore ENV    its database becomes the newest backup of the git remote ENV; of "
	       "development: the\n                 local database%s\n"
	       "  deploy         git push\n"
	       "  console        rails console in a one-off dyno\n"
	       "  migrate        rake db:migrate in a one-off dyno, then a restart\n"
	       "  tail           logs, as they come\n"
	       "Any other word is a paasctl command on %s.\n",
	       strcmp(env, "production") == 0 ? "; only with --force" : "",
	       strcmp(env, "pr_app") == 0 ? "the review app of that number: the first 20 "
					    "characters of the\nstaging app's name and -pr-NUMBER"
					  : "the git remote of that name");
	return 0;
}

static int run(const struct env *e, int argc, char **argv)
{
	const char *word = argv[0];

	if (strcmp(word, "deploy") == 0)
		return deploy(e);
	if (strcmp(word, "restore") == 0 || strcmp(word, "restore-from") == 0)
		return restore(e, argc, argv);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(word, words[i].name) == 0)
			return run_word(&words[i], e, argc, argv);
	return on(e, argc, (const char *const *)argv);
}

static int pr_app(struct env *e, int argc, char **argv)
{
	AUTO(auto_str) char *staging = NULL;
	AUTO(auto_str) char *app = NULL;
	size_t n = strspn(argv[0], "0123456789");

	if (!n || n > 9 || argv[0][n] || argc < 2)
		return wrong("Usage: pr_app NUMBER WORD [ARGUMENTS], as pr_app 42 console");
	staging = app_of_remote("staging");
	if (!staging)
		return wrong("There is no git remote staging, from which review apps have their "
			     "names: add it with paasctl git:remote -a APP -r staging");
	app = xasprintf("%.20s-pr-%s", staging, argv[0]);
	e->flag = "--app";
	e->value = app;
	return run(e, argc - 1, argv + 1);
}

int cli_parity(const char *env, int argc, char **argv, int (*dispatch)(int argc, char **argv))
{
	struct env e = {env, "--remote", env, dispatch};
	const char *word = argc ? argv[0] : "--help";

	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
		return usage(env);
	return is(&e, "pr_app") ? pr_app(&e, argc, argv) : run(&e, argc, argv);
}
