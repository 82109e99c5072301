/* `staging` and `production`: paasctl under another name acts on the git remote of that name, with
 * the words of Parity. */
#include "cli/cli.h"

#include <string.h>

static const char *const envs[] = {"staging", "production"};

const char *cli_parity_env(const char *argv0)
{
	const char *slash = strrchr(argv0, '/'), *name = slash ? slash + 1 : argv0;

	for (size_t i = 0; i < ARRAY_LEN(envs); i++)
		if (strcmp(name, envs[i]) == 0)
			return envs[i];
	return NULL;
}

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

static int deploy(const char *env)
{
	const char *branch = trunk();
	AUTO(auto_str) char *refspec = xasprintf("HEAD:%s", branch);
	int rc;

	if (strcmp(env, "production") == 0)
		rc = cli_run_tty((const char *const[]){"git", "push", env, branch, NULL});
	else
		rc = cli_run_tty(
			(const char *const[]){"git", "push", env, refspec, "--force", NULL});
	if (rc < 0)
		fprintf(stderr, "git could not be started\n");
	return rc < 0 ? 1 : rc;
}

/* One command line of paasctl on the remote; the flag stands first, so that `run` leaves it alone.
 */
static int on_remote(const char *env, int argc, const char *const *argv,
		     int (*dispatch)(int argc, char **argv))
{
	const char **v = xcalloc((size_t)argc + 4, sizeof *v);
	int n = 0, rc;

	v[n++] = "paasctl";
	v[n++] = argv[0];
	v[n++] = "--remote";
	v[n++] = env;
	for (int i = 1; i < argc; i++)
		v[n++] = argv[i];
	rc = dispatch(n, (char **)(uintptr_t)v);
	free(v);
	return rc;
}

struct word {
	const char *name;
	const char *runs[2][5]; /* command lines, one after the other while they succeed */
};

static const struct word words[] = {
	{"console", {{"run", "bundle", "exec", "rails", "console"}}},
	{"migrate", {{"run", "rake", "db:migrate"}, {"ps:restart"}}},
	{"tail", {{"logs", "--tail"}}},
};

static const char *const later[] = {"backup", "restore", "restore-from", "pr_app"};

static int run_word(const struct word *w, const char *env, int argc, char **argv,
		    int (*dispatch)(int argc, char **argv))
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(w->runs) && w->runs[i][0] && rc == 0; i++) {
		const char **v = xcalloc(ARRAY_LEN(w->runs[i]) + (size_t)argc, sizeof *v);
		int n = 0;

		for (; n < (int)ARRAY_LEN(w->runs[i]) && w->runs[i][n]; n++)
			v[n] = w->runs[i][n];
		for (int k = 1; k < argc && i == 0; k++)
			v[n++] = argv[k];
		rc = on_remote(env, n, v, dispatch);
		free(v);
	}
	return rc;
}

static int usage(const char *env)
{
	printf("Usage: %s deploy | console | migrate | tail | open | COMMAND [ARGUMENTS]\n\n"
	       "  deploy    git push to the remote %s\n"
	       "  console   rails console in a one-off dyno\n"
	       "  migrate   rake db:migrate in a one-off dyno, then a restart\n"
	       "  tail      logs, as they come\n"
	       "Any other word is a paasctl command with --remote %s.\n",
	       env, env, env);
	return 0;
}

int cli_parity(const char *env, int argc, char **argv, int (*dispatch)(int argc, char **argv))
{
	const char *word = argc ? argv[0] : "--help";

	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
		return usage(env);
	if (strcmp(word, "deploy") == 0)
		return deploy(env);
	for (size_t i = 0; i < ARRAY_LEN(later); i++)
		if (strcmp(word, later[i]) == 0) {
			fprintf(stderr,
				"%s %s needs database add-ons, which this platform does not have "
				"yet: it comes with them.\n",
				env, word);
			return err_exit_status(err_wire_id(ERR_NOT_IMPLEMENTED));
		}
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(word, words[i].name) == 0)
			return run_word(&words[i], env, argc, argv, dispatch);
	return on_remote(env, argc, (const char *const *)argv, dispatch);
}
