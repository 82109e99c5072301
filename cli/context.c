#include "cli/cli.h"
#include "cli/netrc.h"
#include "cli/remotes.h"

#include <string.h>

static bool env_on(const char *name)
{
	const char *v = getenv(name);

	return v && v[0] && strcmp(v, "0") != 0;
}

static void look_at_terminal(struct cli *c)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
	bool plain = (no && no[0]) || (term && strcmp(term, "dumb") == 0);

	c->out_tty = isatty(STDOUT_FILENO);
	c->err_tty = isatty(STDERR_FILENO);
	c->out_colour = c->out_tty && !plain;
	c->err_colour = c->err_tty && !plain;
}

/* URL that an earlier login --api-url kept; NULL when there is none. */
static int saved_url(char **url, struct err *err)
{
	AUTO(auto_str) char *dir = cli_xdg_dir("CONFIG");
	AUTO(auto_str) char *name = dir ? xasprintf("%s/config.json", dir) : NULL;
	json_auto_t *doc = NULL;
	json_error_t why;

	if (!name || access(name, R_OK) < 0)
		return 0;
	doc = json_load_file(name, 0, &why);
	if (!json_is_object(doc))
		return err_set(err, ERR_CONFIG, "%s, line %d: %s", name, why.line, why.text);
	if (cli_js(doc, "api_url")[0])
		*url = xstrdup(cli_js(doc, "api_url"));
	return 0;
}

int cli_save_url(struct cli *c, struct err *err)
{
	AUTO(auto_str) char *dir = cli_xdg_dir("CONFIG");
	AUTO(auto_str) char *name = NULL;
	AUTO(auto_str) char *tmp = NULL;
	json_auto_t *doc = json_pack("{ss}", "api_url", c->api_url);

	if (!dir)
		return err_set(err, ERR_IO, "HOME is not set: the address cannot be kept");
	if (cli_make_dir(dir, err) < 0)
		return -1;
	name = xasprintf("%s/config.json", dir);
	tmp = xasprintf("%s.new", name);
	if (json_dump_file(doc, tmp, JSON_INDENT(2)) < 0 || rename(tmp, name) < 0)
		return err_errno(err, "cannot write %s", name);
	return 0;
}

static int find_url(struct cli *c, struct err *err)
{
	const char *given = cli_opt(&c->args, "api-url");
	size_t n;

	if (!given && getenv("PAASCTL_API_URL") && getenv("PAASCTL_API_URL")[0])
		given = getenv("PAASCTL_API_URL");
	if (given)
		c->api_url = xstrdup(given);
	else if (saved_url(&c->api_url, err) < 0)
		return -1;
	if (!c->api_url)
		c->api_url = xstrdup(CLI_DEFAULT_URL);
	for (n = strlen(c->api_url); n && c->api_url[n - 1] == '/'; n--)
		c->api_url[n - 1] = 0;
	if (!cli_url_parse(c->api_url, &c->url) || c->url.path[0])
		return err_set(err, ERR_BAD_REQUEST,
			       "%s is not an address of a platform: use http://HOST[:PORT] or "
			       "https://HOST[:PORT]",
			       c->api_url);
	return 0;
}

static int find_key(struct cli *c, struct err *err)
{
	const char *env = getenv("PAASCTL_API_KEY");
	AUTO(auto_str) char *text = NULL;
	AUTO(auto_str) char *login = NULL;
	char machine[300];

	if (env && env[0]) {
		c->key = xstrdup(env);
		c->key_from_env = true;
	} else {
		if (cli_netrc_read(&text, err) < 0)
			return -1;
		cli_url_hostport(&c->url, machine);
		cli_netrc_find(text, machine, &login, &c->key);
	}
	if (c->key && !cli_netrc_word(c->key))
		return err_set(err, ERR_UNAUTHORIZED,
			       "The API key in %s has characters that no key has",
			       c->key_from_env ? "PAASCTL_API_KEY" : "the netrc");
	return 0;
}

int cli_open(struct cli *c, struct err *err)
{
	c->debug = cli_opt(&c->args, "debug") || env_on("PAASCTL_DEBUG");
	look_at_terminal(c);
	if (c->cmd->flags & CLI_OFFLINE)
		return 0;
	return find_url(c, err) < 0 || find_key(c, err) < 0 ? -1 : 0;
}

int cli_need_key(struct cli *c, struct err *err)
{
	if (c->key)
		return 0;
	err_set(err, ERR_UNAUTHORIZED, "Not logged in to %s", c->api_url);
	buf_addf(&c->detail, "Not logged in to %s\nLog in with: paasctl login", c->api_url);
	return -1;
}

int cli_find_app(struct cli *c, struct err *err)
{
	AUTO(cli_remotes_clear) struct cli_remotes remotes = {0};
	const char *app = cli_opt_any(&c->args, "app"), *remote = cli_opt_any(&c->args, "remote");
	const char *env = getenv("PAASCTL_APP");

	if (!env || !env[0])
		env = getenv("HEROKU_APP");
	if (!app && (remote || !env || !env[0]))
		cli_git_remotes(c, &remotes);
	c->app = cli_choose_app(app, remote, env, &remotes, &c->detail, err);
	if (c->app && !c->app[0])
		return err_set(err, ERR_BAD_REQUEST, "The app's name is empty");
	return c->app ? 0 : -1;
}

void cli_close(struct cli *c)
{
	if (c->action.len)
		cli_action_fail(c);
	cli_http_free(c->http);
	cli_args_clear(&c->args);
	free(c->api_url);
	free(c->key);
	free(c->app);
	free(c->code);
	buf_clear(&c->action);
	buf_clear(&c->detail);
	buf_clear(&c->pending);
}
