#include "cli/cli.h"
#include "cli/netrc.h"

#include <string.h>
#include <sys/utsname.h>

#define TOKEN_SECONDS (30 * 24 * 60 * 60)

/* Hosts under which git and paasctl look for the token. git knows no ports, and the platform of
 * this machine has several names. */
static int machines(struct cli *c, char out[6][300])
{
	static const char *const local[] = {"localhost", "127.0.0.1"};
	int n = 0;

	cli_url_hostport(&c->url, out[n++]);
	snprintf(out[n++], 300, strchr(c->url.host, ':') ? "[%s]" : "%s", c->url.host);
	for (size_t i = 0; cli_url_loopback(&c->url) && i < ARRAY_LEN(local); i++) {
		if (strcmp(local[i], c->url.host) == 0)
			continue;
		snprintf(out[n++], 300, "%s:%d", local[i], c->url.port);
		snprintf(out[n++], 300, "%s", local[i]);
	}
	return n;
}

static int keep_token(struct cli *c, const char *email, const char *token, struct err *err)
{
	AUTO(auto_str) char *text = NULL;
	char hosts[6][300];
	int n = machines(c, hosts);

	if (!cli_netrc_word(token) || !cli_netrc_word(email))
		return err_set(err, ERR_INTERNAL, "the platform's token does not fit into a netrc");
	if (cli_netrc_read(&text, err) < 0)
		return -1;
	for (int i = 0; i < n; i++) {
		char *next = cli_netrc_with(text, hosts[i], email, token);

		if (!next)
			return err_set(err, ERR_IO,
				       "the netrc is malformed: put it right, then log in again");
		free(text);
		text = next;
	}
	return cli_netrc_write(text, err);
}

static int forget_token(struct cli *c, struct err *err)
{
	AUTO(auto_str) char *text = NULL;
	AUTO(auto_str) char *before = NULL;
	char hosts[6][300];
	int n = machines(c, hosts);

	if (cli_netrc_read(&text, err) < 0)
		return -1;
	before = xstrdup(text);
	for (int i = 0; i < n; i++) {
		char *next = cli_netrc_without(text, hosts[i]);

		free(text);
		text = next;
	}
	return strcmp(text, before) == 0 ? 0 : cli_netrc_write(text, err);
}

/* Email and password for a new token; c->key gets it. */
static int new_token(struct cli *c, struct err *err)
{
	AUTO(auto_str) char *email = NULL;
	AUTO(auto_str) char *password = NULL;
	AUTO(auto_str) char *basic = NULL;
	AUTO(auto_str) char *about = NULL;
	const char *secs = cli_opt(&c->args, "expires-in");
	json_auto_t *body = NULL, *answer = NULL;
	struct cli_req r = {.method = "POST", .path = "/oauth/authorizations"};
	struct utsname u;

	fprintf(stderr, "paasctl: Enter your login credentials for %s\n", c->api_url);
	email = cli_prompt(c, "Email: ", false);
	password = email ? cli_prompt(c, "Password: ", true) : NULL;
	if (!password || !email[0])
		return err_set(err, ERR_BAD_REQUEST, "Login needs an email address and a password");
	about = xasprintf("paasctl login from %.64s", uname(&u) == 0 ? u.nodename : "unknown");
	body = json_pack("{s:s, s:i, s:[s]}", "description", about, "expires_in",
			 secs ? atoi(secs) : TOKEN_SECONDS, "scope", "global");
	basic = xasprintf("%s:%s", email, password);
	explicit_bzero(password, strlen(password));
	r.body = body;
	r.basic = basic;
	if (cli_request(c, &r, &answer, err) < 0) {
		buf_reset(&c->detail);
		return -1;
	}
	free(c->key);
	c->key = xstrdup(cli_js(answer, "access_token.token"));
	if (!c->key[0])
		return err_set(err, ERR_INTERNAL, "the platform made no token");
	return 0;
}

static int given_token(struct cli *c, struct err *err)
{
	free(c->key);
	c->key = cli_prompt(c, isatty(STDIN_FILENO) ? "API token: " : "", true);
	if (!c->key || !cli_netrc_word(c->key))
		return err_set(err, ERR_BAD_REQUEST,
			       "--token reads an API token from standard input");
	c->key_from_env = false;
	return 0;
}

int cmd_login(struct cli *c, struct err *err)
{
	json_auto_t *account = NULL;
	bool token = cli_opt(&c->args, "token") != NULL;
	bool env = c->key_from_env && !token && !cli_opt(&c->args, "interactive");

	if (!env && (token ? given_token(c, err) : new_token(c, err)) < 0)
		return -1;
	if (cli_api(c, "GET", NULL, &account, err, "/account") < 0)
		return -1;
	if (keep_token(c, cli_js(account, "email"), c->key, err) < 0)
		return -1;
	if (cli_opt(&c->args, "api-url") && cli_save_url(c, err) < 0)
		return -1;
	cli_line("Logged in as %s", cli_js(account, "email"));
	return 0;
}

/* The API shows the tokens of others as PREFIX**********SUFFIX. */
static bool is_token(const char *shown, const char *token)
{
	const char *stars = strstr(shown, "**********");
	size_t n = strlen(token), prefix, suffix;

	if (!stars)
		return strcmp(shown, token) == 0;
	prefix = (size_t)(stars - shown);
	suffix = strlen(stars + 10);
	return n >= prefix + suffix && memcmp(shown, token, prefix) == 0 &&
	       memcmp(stars + 10, token + n - suffix, suffix) == 0;
}

static bool gone(const struct err *err)
{
	return err->status == 404 || err->status == 401;
}

/* Revokes the authorization of our token, unless it is the account's default one. */
static int revoke_token(struct cli *c, struct err *err)
{
	json_auto_t *own = NULL, *all = NULL;
	struct err e = {0};
	size_t i;
	json_t *a;

	if (cli_api(c, "DELETE", NULL, NULL, &e, "/oauth/sessions/~") < 0 && !gone(&e)) {
		*err = e;
		return -1;
	}
	if (cli_api(c, "GET", NULL, &all, &e, "/oauth/authorizations") < 0) {
		*err = e;
		return gone(&e) ? 0 : -1;
	}
	if (cli_api(c, "GET", NULL, &own, &e, "/oauth/authorizations/~") == 0 &&
	    is_token(cli_js(own, "access_token.token"), c->key))
		return 0;
	json_array_foreach(all, i, a)
	{
		if (!is_token(cli_js(a, "access_token.token"), c->key))
			continue;
		if (cli_api(c, "DELETE", NULL, NULL, &e, "/oauth/authorizations/%s",
			    cli_js(a, "id")) < 0 &&
		    !gone(&e)) {
			*err = e;
			return -1;
		}
	}
	return 0;
}

int cmd_logout(struct cli *c, struct err *err)
{
	struct err e = {0};
	int rc;

	cli_action(c, "Logging out");
	rc = c->key ? revoke_token(c, &e) : 0;
	buf_reset(&c->detail);
	if (forget_token(c, err) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	if (rc < 0)
		cli_warn(c, "the token was removed here, but not revoked: %s", e.msg);
	if (c->key_from_env)
		cli_warn(c, "PAASCTL_API_KEY is still set");
	return 0;
}

int cmd_whoami(struct cli *c, struct err *err)
{
	json_auto_t *account = NULL;

	if (!c->key) {
		fprintf(stderr, "not logged in\n");
		return 100;
	}
	if (c->key_from_env)
		cli_warn(c, "PAASCTL_API_KEY is set");
	if (cli_api(c, "GET", NULL, &account, err, "/account") < 0)
		return -1;
	cli_line("%s", cli_js(account, "email"));
	return 0;
}

int cmd_token(struct cli *c, struct err *err)
{
	printf("%s\n", c->key);
	return 0;
}

/* git's credential helper protocol: key=value lines in, username and password out. */
int cmd_git_credentials(struct cli *c, struct err *err)
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
