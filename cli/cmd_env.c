/* Other programs on this platform: the Heroku CLI by its environment, Parity by its names. */
#include "cli/cli.h"
#include "cli/table.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

struct printer {
	bool fish;
	json_t *vars; /* with --json: collected instead; null = unset */
};

/* 'text' for a POSIX shell or fish. */
static void quoted(struct buf *b, const struct printer *p, const char *s)
{
	buf_addc(b, '\'');
	for (; *s; s++) {
		if (*s == '\'')
			buf_adds(b, p->fish ? "\\'" : "'\\''");
		else if (*s == '\\' && p->fish)
			buf_adds(b, "\\\\");
		else
			buf_addc(b, *s);
	}
	buf_addc(b, '\'');
}

static void set(struct printer *p, const char *name, const char *value)
{
	AUTO(buf_clear) struct buf b = {0};

	if (p->vars) {
		json_object_set_new(p->vars, name, json_string(value));
		return;
	}
	buf_addf(&b, p->fish ? "set -gx %s " : "export %s=", name);
	quoted(&b, p, value);
	printf("%s%s\n", buf_str(&b), p->fish ? ";" : "");
}

static void unset(struct printer *p, const char *name)
{
	if (p->vars)
		json_object_set_new(p->vars, name, json_null());
	else if (p->fish)
		printf("set -e %s;\n", name);
	else
		printf("unset %s\n", name);
}

/* The Heroku CLI takes an address only from a few hosts, and gives them the token only when the
 * name is exactly one of these two. */
static bool plain_host(const struct cli *c)
{
	return strcmp(c->url.host, "localhost") == 0 || strcmp(c->url.host, "127.0.0.1") == 0;
}

static void set_hosts(struct cli *c, struct printer *p)
{
	static const char *const same[] = {"HEROKU_PARTICLEBOARD_URL", "HEROKU_LOGIN_HOST",
					   "HEROKU_BUILDPACK_REGISTRY_URL", "HEROKU_STATUS_HOST"};
	/* A user part with the right name satisfies its check; the host behind it is asked. */
	AUTO(auto_str)
	char *host = plain_host(c) ? xstrdup(c->api_url)
				   : xasprintf("%s://localhost@%s", c->url.scheme,
					       strstr(c->api_url, "://") + 3);

	set(p, "HEROKU_HOST", host);
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		set(p, same[i], c->api_url);
	set(p, "HEROKU_DATA_HOST", c->url.host);
}

/* It adds no token to requests to such a host by itself. */
static void set_token(struct cli *c, struct printer *p)
{
	json_auto_t *headers = NULL;
	AUTO(auto_str) char *bearer = NULL;
	AUTO(auto_str) char *text = NULL;

	if (plain_host(c) || !c->key)
		return;
	bearer = xasprintf("Bearer %s", c->key);
	headers = json_pack("{ss}", "Authorization", bearer);
	text = json_dumps(headers, JSON_COMPACT);
	set(p, "HEROKU_API_KEY", c->key);
	set(p, "HEROKU_HEADERS", text);
}

/* Loopback addresses are nobody else's; the authority of another host is a matter of `login`. */
static char *trusted_ca(struct cli *c)
{
	AUTO(auto_str) char *file = cli_ca_file(c);
	AUTO(buf_clear) struct buf pem = {0};
	struct err e = {0};
	int rc;

	if (file || !cli_url_loopback(&c->url))
		return STEAL(file);
	rc = cli_ca_fetch(c, &pem, &e);
	if (rc == 0)
		rc = cli_ca_keep(c, &pem, &file, &e);
	if (rc < 0)
		cli_warn(c, "no certificate authority: %s", e.msg);
	buf_reset(&c->detail);
	return STEAL(file);
}

static void set_trust(struct cli *c, struct printer *p)
{
	AUTO(auto_str) char *ca = trusted_ca(c);
	AUTO(auto_str) char *bundle = ca ? cli_ca_bundle(c, ca) : NULL;

	if (!ca)
		return;
	set(p, "NODE_EXTRA_CA_CERTS", ca);
	/* These replace the system's authorities, so they get those too. */
	set(p, "GIT_SSL_CAINFO", bundle ? bundle : ca);
	set(p, "CURL_CA_BUNDLE", bundle ? bundle : ca);
}

static void set_proxy(struct printer *p)
{
	static const char *const names[] = {"HTTP_PROXY", "HTTPS_PROXY", "http_proxy",
					    "https_proxy"};
	const char *old = getenv("NO_PROXY") ? getenv("NO_PROXY") : getenv("no_proxy");
	AUTO(auto_str) char *value = NULL;
	bool proxy = false;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		proxy = proxy || getenv(names[i]);
	if (!proxy || (old && strstr(old, "127.0.0.1")))
		return;
	value = xasprintf("127.0.0.1,localhost%s%s", old && old[0] ? "," : "", old ? old : "");
	set(p, "NO_PROXY", value);
	set(p, "no_proxy", value);
}

static int cmd_env(struct cli *c, struct err *err)
{
	static const char *const gone[] = {"HEROKU_ORGANIZATION", "HEROKU_TEAM", "HEROKU_CLOUD",
					   "HEROKU_GIT_HOST"};
	const char *shell = cli_opt(&c->args, "shell");
	json_auto_t *vars = cli_json(c) ? json_object() : NULL;
	struct printer p = {.vars = vars};

	if (shell && strcmp(shell, "fish") == 0)
		p.fish = true;
	else if (shell && strcmp(shell, "bash") != 0 && strcmp(shell, "zsh") != 0 &&
		 strcmp(shell, "sh") != 0)
		return err_set(err, ERR_BAD_REQUEST, "--shell takes bash, zsh, sh or fish");
	set_hosts(c, &p);
	set_token(c, &p);
	set(&p, "HEROKU_NETRC_WRITE", "true");
	set(&p, "DISABLE_TELEMETRY", "true");
	set(&p, "HEROKU_SKIP_NEW_VERSION_CHECK", "true");
	set_trust(c, &p);
	set_proxy(&p);
	for (size_t i = 0; i < ARRAY_LEN(gone); i++)
		unset(&p, gone[i]);
	if (vars)
		cli_print_json(c, vars);
	return 0;
}

/* --- Parity's names --- */

static char *own_path(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

	return n > 0 ? xstrndup(path, (size_t)n) : NULL;
}

/* A link of ours is made again; what is anything else stays. */
static int link_to(const char *target, const char *name, struct err *err)
{
	char old[PATH_MAX];
	ssize_t n = readlink(name, old, sizeof old - 1);

	if (n > 0) {
		const char *base;

		old[n] = 0;
		base = strrchr(old, '/') ? strrchr(old, '/') + 1 : old;
		if (strcmp(base, "paasctl") == 0 && unlink(name) < 0)
			return err_errno(err, "cannot replace %s", name);
	}
	if (symlink(target, name) < 0)
		return errno == EEXIST
			       ? err_set(err, ERR_CONFLICT,
					 "%s is there already, and is no link to paasctl: it "
					 "was left as it is",
					 name)
			       : err_errno(err, "cannot make %s", name);
	return 0;
}

static int cmd_parity_install(struct cli *c, struct err *err)
{
	static const char *const names[] = {"staging", "production", "development", "pr_app"};
	AUTO(auto_str) char *self = own_path();
	const char *home = getenv("HOME");
	AUTO(auto_str)
	char *dir = c->args.npos ? xstrdup(c->args.pos[0])
		    : home	 ? xasprintf("%s/.local/bin", home)
				 : NULL;

	if (!self || !dir)
		return err_set(err, ERR_IO, "name a directory for the links");
	if (access(dir, W_OK) < 0 && cli_make_dir(dir, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO(auto_str) char *name = xasprintf("%s/%s", dir, names[i]);

		if (link_to(self, name, err) < 0)
			return -1;
		cli_line("%s -> %s", name, self);
	}
	cli_line(
		"Now `staging deploy`, `production console` and the like act on the git remotes of "
		"those names.");
	return 0;
}

const struct cli_cmd cli_cmds_env[] = {
	{.name = "env",
	 .help = "print the environment with which the Heroku CLI uses this platform",
	 .more = "On a platform of this machine the certificate authority is fetched once and "
		 "kept; for another "
		 "machine it is the one that was trusted at login. There the token is part of the "
		 "environment, because the Heroku CLI sends none of its own accord.",
	 .opts = OPTS(VALUE(0, "shell", "SHELL", SHELL, "bash (the default), zsh, sh or fish")),
	 .flags = CLI_NO_KEY,
	 .run = cmd_env,
	 .examples = "env\nenv --shell fish | source"},
	{.name = "parity:install",
	 .help = "make the commands `staging`, `production`, `development` and `pr_app`: paasctl "
		 "for "
		 "git remotes and review apps",
	 .more = "They know backup, restore, deploy, console, migrate, tail and open; any other "
		 "word is a command of paasctl. `development restore production` fills the local "
		 "database, `pr_app 42 console` is for the review app of pull request 42.",
	 .args = ARGS({"DIR", COMPLETE_FILE, "where to (default: ~/.local/bin)", false, false}),
	 .flags = CLI_OFFLINE | CLI_NO_KEY | CLI_NO_JSON,
	 .run = cmd_parity_install,
	 .examples = "parity:install\nparity:install /usr/local/bin"},
	{0},
};
