/* The repository around us, and git's questions to us. */
#include "cli/cli.h"
#include "cli/table.h"

#include <string.h>

static int cmd_git_remote(struct cli *c, struct err *err)
{
	const char *name = cli_git_remote_opt(c), *given = cli_opt(&c->args, "app");
	json_auto_t *app = NULL, *one = NULL;

	if (!cli_git_inside())
		return err_set(err, ERR_BAD_REQUEST,
			       "Not in a git repository: run git init, or change into one");
	/* Here -r names the remote that is made, so it says nothing about the app. */
	if (!given && !c->args.npos)
		given = getenv("PAASCTL_APP") ? getenv("PAASCTL_APP") : getenv("HEROKU_APP");
	if (!given && c->args.npos)
		given = c->args.pos[0];
	if (!given || !given[0])
		return err_set(err, ERR_BAD_REQUEST, "Specify an app with --app");
	if (cli_api(c, "GET", NULL, &app, err, "/apps/%s", given) < 0)
		return -1;
	if ((cli_git_has_remote(name) ? cli_git_set_remote
				      : cli_git_add_remote)(name, cli_js(app, "git_url"), err) < 0)
		return -1;
	cli_git_trust(c, cli_js(app, "git_url"));
	one = json_pack("{ss ss}", "remote", name, "git_url", cli_js(app, "git_url"));
	if (cli_json(c))
		cli_print_json(c, one);
	else
		cli_line("set git remote %s to %s", name, cli_js(app, "git_url"));
	return 0;
}

/* A token of the environment is in no netrc, so git asks paasctl for it. */
static int clone(struct cli *c, const char *url, const char *remote, const char *dir)
{
	AUTO(auto_str) char *ca = cli_ca_file(c);
	AUTO(auto_str)
	char *scope = xasprintf("http.%s://%s:%d/.sslCAInfo=%s", c->url.scheme, c->url.host,
				c->url.port, ca ? ca : "");
	const char *argv[16] = {"git"};
	int n = 1;

	if (ca) {
		argv[n++] = "-c";
		argv[n++] = scope;
	}
	if (c->key_from_env) {
		argv[n++] = "-c";
		argv[n++] = "credential.helper=!paasctl git:credentials";
	}
	argv[n++] = "clone";
	argv[n++] = "-o";
	argv[n++] = remote;
	argv[n++] = "--";
	argv[n++] = url;
	argv[n++] = dir;
	return cli_run_tty(argv);
}

static int cmd_git_clone(struct cli *c, struct err *err)
{
	json_auto_t *app = NULL;
	const char *dir;
	int rc;

	/* Here -r names the remote that is made. */
	if (cli_opt(&c->args, "app"))
		c->app = xstrdup(cli_opt(&c->args, "app"));
	else
		return err_set(err, ERR_BAD_REQUEST, "Specify an app with --app");
	if (cli_api(c, "GET", NULL, &app, err, "/apps/%s", c->app) < 0)
		return -1;
	dir = c->args.npos ? c->args.pos[0] : cli_js(app, "name");
	rc = clone(c, cli_js(app, "git_url"), cli_git_remote_opt(c), dir);
	if (rc != 0)
		return err_set(err, ERR_INTERNAL, "git clone failed");
	cli_git_trust_in(c, dir, cli_js(app, "git_url"));
	return 0;
}

/* git's credential helper protocol: key=value lines in, username and password out. */
static int cmd_git_credentials(struct cli *c, struct err *err)
{
	AUTO(auto_str) char *line = NULL;
	char scheme[16] = "", host[300] = "", url[400];
	struct cli_url u;
	size_t cap = 0;

	if (strcmp(c->args.pos[0], "get") != 0 || !c->key)
		return 0;
	while (getline(&line, &cap, stdin) > 0 && line[0] != '\n') {
		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, "protocol=", 9) == 0)
			snprintf(scheme, sizeof scheme, "%s", line + 9);
		else if (strncmp(line, "host=", 5) == 0)
			snprintf(host, sizeof host, "%s", line + 5);
	}
	snprintf(url, sizeof url, "%s://%s/app.git", scheme, host);
	if (cli_url_parse(url, &u) && u.port == c->url.port &&
	    (strcmp(u.host, c->url.host) == 0 ||
	     (cli_url_loopback(&u) && cli_url_loopback(&c->url))))
		printf("username=paasd\npassword=%s\n", c->key);
	return 0;
}

const struct cli_cmd cli_cmds_git[] = {
	{.name = "git:remote",
	 .help = "add a git remote of an app to this repository, or point one at it",
	 .args = ARGS({"URL", COMPLETE_NONE, NULL, false, false}),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_git_remote,
	 .examples = "git:remote -a my-app\ngit:remote -a my-app -r staging"},
	{.name = "git:clone",
	 .help = "clone the repository of an app",
	 .args = ARGS(
		 {"DIRECTORY", COMPLETE_FILE, "where to (default: the app's name)", false, false}),
	 .flags = CLI_APP_OPTIONAL | CLI_NO_JSON,
	 .run = cmd_git_clone,
	 .examples = "git:clone -a my-app\ngit:clone -a my-app -r staging src"},
	{.name = "git:credentials",
	 .help = "credential helper for git: git config credential.helper '!paasctl "
		 "git:credentials'",
	 .args = ARGS({"COMMAND", COMPLETE_NONE, "get, store or erase", true, false}),
	 .flags = CLI_NO_KEY | CLI_NO_JSON,
	 .run = cmd_git_credentials,
	 .examples = "git:credentials get"},
	{0},
};
