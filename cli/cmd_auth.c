#include "cli/cli.h"
#include "cli/table.h"
#include "cli/netrc.h"

#include <string.h>
#include <sys/utsname.h>

#define TOKEN_SECONDS (30 * 24 * 60 * 60)
#define APPROVAL_MS   (10 * 60 * 1000L)

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

static char *describe_login(void)
{
	struct utsname u;

	return xasprintf("paasctl login from %.64s", uname(&u) == 0 ? u.nodename : "unknown");
}

/* Email and password for a new token; c->key gets it. */
static int new_token(struct cli *c, struct err *err)
{
	AUTO(auto_str) char *email = NULL;
	AUTO(auto_str) char *password = NULL;
	AUTO(auto_str) char *basic = NULL;
	AUTO(auto_str) char *about = NULL;
	json_auto_t *body = NULL, *answer = NULL;
	struct cli_req r = {.method = "POST", .path = "/oauth/authorizations"};
	int secs;

	if (cli_num_opt(c, "expires-in", TOKEN_SECONDS, &secs, err) < 0)
		return -1;
	fprintf(stderr, "paasctl: Enter your login credentials for %s\n", c->api_url);
	email = cli_prompt(c, "Email: ", false);
	password = email ? cli_prompt(c, "Password: ", true) : NULL;
	if (!password || !email[0])
		return err_set(err, ERR_BAD_REQUEST, "Login needs an email address and a password");
	about = describe_login();
	body = json_pack("{s:s, s:i, s:[s]}", "description", about, "expires_in", secs, "scope",
			 "global");
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

/* --- in a browser --- */

static void show_page(struct cli *c, const char *url)
{
	bool display = getenv("DISPLAY") || getenv("WAYLAND_DISPLAY");

	fprintf(stderr, "Log in and approve in a browser at\n  ");
	{
		AUTO(buf_clear) struct buf safe = {0};

		cli_clean(&safe, url, strlen(url), false);
		fprintf(stderr, "%s\n", buf_str(&safe));
	}
	if (display)
		cli_run((const char *const[]){"xdg-open", url, NULL}, NULL);
}

/* The answer is held back until somebody approves or declines. */
static int await_approval(struct cli *c, const json_t *page, json_t **answer, struct err *err)
{
	struct cli_req r = {.method = "GET",
			    .path = cli_js(page, "cli_url"),
			    .bearer = cli_js(page, "token"),
			    .timeout_ms = APPROVAL_MS};
	int rc = -1;

	cli_action(c, "Waiting for login");
	for (int i = 0; i < 3 && rc < 0; i++) {
		*err = (struct err){0};
		rc = cli_request(c, &r, answer, err);
		if (rc < 0 && err->status && err->status < 500)
			return -1;
	}
	return rc;
}

/* 1 = the platform has no page for it. */
static int browser_token(struct cli *c, struct err *err)
{
	AUTO(auto_str) char *about = describe_login();
	json_auto_t *body = json_pack("{ss}", "description", about), *page = NULL, *answer = NULL;
	struct cli_req r = {.method = "POST", .path = "/auth", .body = body, .bearer = ""};
	AUTO(auto_str) char *url = NULL;

	if (cli_request(c, &r, &page, err) < 0) {
		buf_reset(&c->detail);
		return err->status == 401 || err->status == 404 || err->status == 405 ? 1 : -1;
	}
	if (cli_js(page, "browser_url")[0] != '/' || cli_js(page, "cli_url")[0] != '/')
		return err_set(err, ERR_INTERNAL, "the platform gave no page to log in on");
	url = xasprintf("%s%s", c->api_url, cli_js(page, "browser_url"));
	show_page(c, url);
	if (await_approval(c, page, &answer, err) < 0)
		return -1;
	if (!cli_js(answer, "access_token")[0])
		return err_set(err, ERR_UNAUTHORIZED, "Login was refused: %.200s",
			       cli_js(answer, "error"));
	cli_action_done(c, "%s", "");
	free(c->key);
	c->key = xstrdup(cli_js(answer, "access_token"));
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

/* c->key gets a token, whichever way was asked for. */
static int get_token(struct cli *c, struct err *err)
{
	int rc = 1;

	if (cli_opt(&c->args, "token"))
		return given_token(c, err);
	if (c->key_from_env && !cli_opt(&c->args, "interactive"))
		return 0;
	if (!cli_opt(&c->args, "interactive") && isatty(STDIN_FILENO))
		rc = browser_token(c, err);
	if (rc == 1) {
		*err = (struct err){0};
		rc = new_token(c, err);
	}
	return rc;
}

static int log_in(struct cli *c, json_t **account, struct err *err)
{
	c->asking = true;
	if (get_token(c, err) < 0)
		return -1;
	return cli_api(c, "GET", NULL, account, err, "/account");
}

/* A platform that nobody knows yet is asked for its authority before any secret goes there. */
static int get_trust(struct cli *c, struct err *err)
{
	struct err e = {0};

	if (strcmp(c->url.scheme, "https") == 0) {
		AUTO(auto_str) char *path = cli_pathf("/regions");
		struct cli_req r = {.method = "GET", .path = path, .bearer = ""};

		cli_request(c, &r, NULL, &e);
		buf_reset(&c->detail);
		return c->untrusted ? cli_ca_offer(c, true, err) : 0;
	}
	/* Plain http works without; whoever is there to be asked will want the Heroku CLI too. */
	if (cli_opt(&c->args, "yes") || isatty(STDIN_FILENO))
		return cli_ca_offer(c, false, err);
	return 0;
}

static int cmd_login(struct cli *c, struct err *err)
{
	json_auto_t *account = NULL;

	if (get_trust(c, err) < 0 || log_in(c, &account, err) < 0)
		return -1;
	if (keep_token(c, cli_js(account, "email"), c->key, err) < 0)
		return -1;
	if (cli_opt(&c->args, "api-url") && cli_save_url(c, err) < 0)
		return -1;
	if (cli_json(c))
		cli_print_json(c, account);
	else
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

static int cmd_logout(struct cli *c, struct err *err)
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

static int cmd_whoami(struct cli *c, struct err *err)
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
	if (cli_json(c))
		cli_print_json(c, account);
	else
		cli_line("%s", cli_js(account, "email"));
	return 0;
}

static int cmd_token(struct cli *c, struct err *err)
{
	json_auto_t *one = json_pack("{ss}", "token", c->key);

	if (cli_json(c))
		cli_print_json(c, one);
	else
		printf("%s\n", c->key);
	return 0;
}

static int cmd_password(struct cli *c, struct err *err)
{
	AUTO(auto_str) char *old = cli_prompt(c, "Present password: ", true);
	AUTO(auto_str) char *fresh = cli_prompt(c, "New password: ", true);
	json_auto_t *body = json_object();

	if (!fresh || !fresh[0])
		return err_set(err, ERR_BAD_REQUEST, "No new password was given");
	if (old[0])
		json_object_set_new(body, "password", json_string(old));
	json_object_set_new(body, "new_password", json_string(fresh));
	explicit_bzero(old, strlen(old));
	explicit_bzero(fresh, strlen(fresh));
	cli_action(c, "Changing the password");
	return cli_send(c, "PATCH", body, err, "/account");
}

const struct cli_cmd cli_cmds_auth[] = {
	{.name = "login",
	 .aliases = "auth:login",
	 .help = "log in and keep an API token in the netrc",
	 .more = "On a terminal the login is approved in a browser; with -i, or when the platform "
		 "has no such "
		 "page, email and password are asked for (and the second factor's code, where the "
		 "account has "
		 "one). Or takes a token from PAASCTL_API_KEY or, with --token, from standard "
		 "input. The "
		 "token goes to ~/.netrc (mode 0600), for paasctl and for git, so that git push "
		 "asks for "
		 "nothing. With --api-url that address is kept for later runs. A development "
		 "platform signs "
		 "its own certificates: its authority's fingerprint is shown, and the authority is "
		 "kept when "
		 "you agree, or with --yes.",
	 .opts = OPTS(SWITCH('i', "interactive", "ask for email and password"),
		      SWITCH(0, "token", "read an API token from standard input"),
		      VALUE('e', "expires-in", "SECONDS", NONE,
			    "duration of the new token (default: 30 days)"),
		      SWITCH('y', "yes", "trust the platform's own certificate authority")),
	 .flags = CLI_NO_KEY,
	 .run = cmd_login,
	 .examples = "login\nlogin -i\nlogin --api-url https://paas.example.com\n"
		     "login --token --yes < admin-token"},
	{.name = "logout",
	 .aliases = "auth:logout",
	 .help = "revoke the token and remove it from the netrc",
	 .flags = CLI_NO_KEY | CLI_NO_JSON,
	 .run = cmd_logout,
	 .examples = "logout"},
	{.name = "whoami",
	 .aliases = "auth:whoami",
	 .help = "display the current logged in user",
	 .more = "Exits with 100 when nobody is logged in.",
	 .flags = CLI_NO_KEY,
	 .run = cmd_whoami,
	 .examples = "whoami\nwhoami --json"},
	{.name = "auth:password",
	 .help = "change your password",
	 .more = "Asks for both on the terminal, or reads two lines. Other tokens and sessions may "
		 "end with it.",
	 .run = cmd_password,
	 .examples = "auth:password"},
	{.name = "auth:token",
	 .help = "print the current API token",
	 .run = cmd_token,
	 .examples = "auth:token\nauth:token | docker login --password-stdin registry.example.com"},
	{0},
};
