#include "cli/cli.h"
#include "cli/remotes.h"

#include <string.h>

#define GIT(...)                         \
	(const char *const[])            \
	{                                \
		"git", __VA_ARGS__, NULL \
	}

int cli_git_remotes(struct cli *c, struct cli_remotes *out)
{
	AUTO(buf_clear) struct buf text = {0};

	if (cli_run(GIT("config", "-z", "--get-regexp",
			"^(remote\\..*\\.url|paas\\.remote|heroku\\.remote)$"),
		    &text) != 0)
		buf_reset(&text);
	cli_remotes_parse(buf_str(&text), text.len, &c->url, out);
	return 0;
}

bool cli_git_inside(void)
{
	return cli_run(GIT("rev-parse", "--git-dir"), NULL) == 0;
}

bool cli_git_has_remote(const char *name)
{
	AUTO(auto_str) char *key = xasprintf("remote.%s.url", name);

	return cli_run(GIT("config", "--get", key), NULL) == 0;
}

static int done(int rc, const char *what, const char *name, struct err *err)
{
	if (rc == 0)
		return 0;
	return err_set(err, ERR_IO, "git could not %s remote %s (git remote, exit status %d)", what,
		       name, rc);
}

int cli_git_add_remote(const char *name, const char *url, struct err *err)
{
	return done(cli_run(GIT("remote", "add", "--", name, url), NULL), "add", name, err);
}

int cli_git_set_remote(const char *name, const char *url, struct err *err)
{
	return done(cli_run(GIT("remote", "set-url", "--", name, url), NULL), "change", name, err);
}

int cli_git_del_remote(const char *name, struct err *err)
{
	return done(cli_run(GIT("remote", "remove", "--", name), NULL), "remove", name, err);
}

void cli_git_trust_in(struct cli *c, const char *dir, const char *url)
{
	AUTO(auto_str) char *ca = cli_ca_file(c);
	AUTO(auto_str) char *key = NULL;
	struct cli_url u;

	if (!ca || !cli_url_parse(url, &u) || strcmp(u.scheme, "https") != 0 ||
	    u.port != c->url.port)
		return;
	key = xasprintf("http.https://%s:%d/.sslCAInfo", u.host, u.port);
	cli_run(GIT("-C", dir, "config", "--local", key, ca), NULL);
}

void cli_git_trust(struct cli *c, const char *url)
{
	cli_git_trust_in(c, ".", url);
}

const char *cli_git_remote_opt(struct cli *c)
{
	const char *r = cli_opt(&c->args, "remote");

	return r ? r : CLI_DEFAULT_REMOTE;
}
