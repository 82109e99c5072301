/* API tokens, browser sessions, SSH keys. */
#include "cli/cli.h"
#include "cli/table.h"

#include <string.h>

static const struct cli_field auth_row[] = {
	{"", "description", FORM_TEXT}, {"", "id", FORM_TEXT}, {"", "scope", FORM_LIST}, {0}};

static const struct cli_field auth_fields[] = {
	{"Client", "client.name", FORM_TEXT},
	{"ID", "id", FORM_TEXT},
	{"Description", "description", FORM_TEXT},
	{"Scope", "scope", FORM_LIST},
	{"Token", "access_token.token", FORM_TEXT},
	{"Expires in", "access_token.expires_in", FORM_TEXT},
	{"Updated at", "updated_at", FORM_WHEN},
	{0},
};

static int cmd_authorizations(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL, *sorted = NULL;

	if (cli_api(c, "GET", NULL, &list, err, "/oauth/authorizations") < 0)
		return -1;
	sorted = cli_sorted(list, "description");
	return cli_show_list(c, sorted, auth_row, NULL, "No OAuth authorizations.");
}

static int cmd_create(struct cli *c, struct err *err)
{
	const char *scope = cli_opt(&c->args, "scope");
	json_auto_t *body = json_object(), *made = NULL;
	int secs;

	if (cli_num_opt(c, "expires-in", 0, &secs, err) < 0)
		return -1;
	cli_body_opt(c, body, "description", "description");
	json_object_set_new(body, "scope", cli_words(scope ? scope : "global"));
	if (secs)
		json_object_set_new(body, "expires_in", json_integer(secs));
	cli_action(c, "Creating OAuth Authorization");
	if (cli_api(c, "POST", body, &made, err, "/oauth/authorizations") < 0)
		return -1;
	cli_action_done(c, "%s", "");
	if (!cli_opt(&c->args, "short"))
		return cli_show_fields(c, made, auth_fields, NULL);
	cli_line("%s", cli_js(made, "access_token.token"));
	return 0;
}

static int cmd_info(struct cli *c, struct err *err)
{
	json_auto_t *one = NULL;

	if (cli_api(c, "GET", NULL, &one, err, "/oauth/authorizations/%s", c->args.pos[0]) < 0)
		return -1;
	return cli_show_fields(c, one, auth_fields, NULL);
}

/* A request that changes one authorization, which is shown after it. */
static int change(struct cli *c, const char *doing, const char *method, const json_t *body,
		  const char *path, struct err *err)
{
	json_auto_t *one = NULL;

	cli_action(c, "%s OAuth Authorization", doing);
	if (cli_api(c, method, body, &one, err, path, c->args.pos[0]) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	return cli_show_fields(c, one, auth_fields, NULL);
}

static int cmd_update(struct cli *c, struct err *err)
{
	json_auto_t *body = json_object();

	cli_body_opt(c, body, "description", "description");
	return change(c, "Updating", "PATCH", body, "/oauth/authorizations/%s", err);
}

static int cmd_rotate(struct cli *c, struct err *err)
{
	return change(c, "Rotating", "POST", NULL,
		      "/oauth/authorizations/%s/actions/regenerate-tokens", err);
}

static int cmd_revoke(struct cli *c, struct err *err)
{
	cli_action(c, "Revoking OAuth Authorization");
	return cli_send(c, "DELETE", NULL, err, "/oauth/authorizations/%s", c->args.pos[0]);
}

#define AUTH_ID                                                                      \
	{                                                                            \
		"ID", COMPLETE_AUTHORIZATION, "id of the authorization", true, false \
	}
#define DESCRIPTION VALUE('d', "description", "TEXT", NONE, "what it is for")

const struct cli_cmd cli_cmds_authorizations[] = {
	{.name = "authorizations",
	 .help = "list your API tokens",
	 .run = cmd_authorizations,
	 .examples = "authorizations\nauthorizations --json"},
	{.name = "authorizations:create",
	 .help = "create an API token",
	 .more = "Scopes: global, identity, read, write, read-protected, write-protected. The "
		 "token is shown "
		 "this once.",
	 .opts = OPTS(
		 DESCRIPTION,
		 VALUE('s', "scope", "SCOPES", NONE, "scopes, with commas (default: global)"),
		 VALUE('e', "expires-in", "SECONDS", NONE, "life of the token (default: no end)"),
		 SWITCH('S', "short", "print the token only")),
	 .run = cmd_create,
	 .examples = "authorizations:create -d \"deploys of CI\" -s read,write -e 86400\n"
		     "authorizations:create --short"},
	{.name = "authorizations:info",
	 .help = "show an API token",
	 .args = ARGS(AUTH_ID),
	 .run = cmd_info,
	 .examples = "authorizations:info 105a7bfa-34c3-476e-873a-b1ac3fdc12fb"},
	{.name = "authorizations:update",
	 .help = "change the description of an API token",
	 .args = ARGS(AUTH_ID),
	 .opts = OPTS(DESCRIPTION),
	 .run = cmd_update,
	 .examples =
		 "authorizations:update 105a7bfa-34c3-476e-873a-b1ac3fdc12fb -d \"old laptop\""},
	{.name = "authorizations:rotate",
	 .help = "give an authorization a new token",
	 .args = ARGS(AUTH_ID),
	 .run = cmd_rotate,
	 .examples = "authorizations:rotate 105a7bfa-34c3-476e-873a-b1ac3fdc12fb"},
	{.name = "authorizations:revoke",
	 .aliases = "authorizations:destroy",
	 .help = "revoke an API token",
	 .args = ARGS(AUTH_ID),
	 .run = cmd_revoke,
	 .examples = "authorizations:revoke 105a7bfa-34c3-476e-873a-b1ac3fdc12fb"},
	{0},
};

/* --- sessions --- */

static int cmd_sessions(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {
		{"", "description", FORM_TEXT}, {"", "id", FORM_TEXT}, {0}};
	json_auto_t *list = NULL, *sorted = NULL;

	if (cli_api(c, "GET", NULL, &list, err, "/oauth/sessions") < 0)
		return -1;
	sorted = cli_sorted(list, "description");
	return cli_show_list(c, sorted, row, NULL, "No OAuth sessions.");
}

static int cmd_sessions_destroy(struct cli *c, struct err *err)
{
	cli_action(c, "Destroying %s session", c->args.pos[0]);
	return cli_send(c, "DELETE", NULL, err, "/oauth/sessions/%s", c->args.pos[0]);
}

const struct cli_cmd cli_cmds_sessions[] = {
	{.name = "sessions",
	 .help = "list your browser sessions",
	 .run = cmd_sessions,
	 .examples = "sessions"},
	{.name = "sessions:destroy",
	 .help = "end a browser session",
	 .args = ARGS({"ID", COMPLETE_NONE, "id of the session", true, false}),
	 .run = cmd_sessions_destroy,
	 .examples = "sessions:destroy 105a7bfa-34c3-476e-873a-b1ac3fdc12fb"},
	{0},
};

/* --- keys --- */

#define KEY_MAX 16384

/* "ssh-ed25519 AAAAC3Nz...dk3h me@laptop": the middle is for machines. */
static void short_key(const char *key, struct buf *out)
{
	size_t kind = strcspn(key, " ");
	const char *data = key + kind + (key[kind] == ' ');
	size_t n = strcspn(data, " ");
	const char *comment = data + n;

	if (n > 24)
		buf_addf(out, "%.*s %.10s...%.10s%s", (int)kind, key, data, data + n - 10, comment);
	else
		buf_adds(out, key);
}

static int cmd_keys(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL, *me = NULL;
	size_t i;
	json_t *k;

	if (cli_api(c, "GET", NULL, &list, err, "/account/keys") < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, list);
		return 0;
	}
	if (!json_array_size(list)) {
		cli_warn(c, "You have no SSH keys.");
		return 0;
	}
	if (cli_api(c, "GET", NULL, &me, err, "/account") < 0)
		return -1;
	cli_header(c, "%s keys", cli_js(me, "email"));
	json_array_foreach(list, i, k)
	{
		AUTO(buf_clear) struct buf b = {0};

		if (cli_opt(&c->args, "long"))
			buf_adds(&b, cli_js(k, "public_key"));
		else
			short_key(cli_js(k, "public_key"), &b);
		cli_line("%s", buf_str(&b));
	}
	return 0;
}

/* The public key in ~/.ssh that ssh itself would take first. */
static char *own_key(void)
{
	static const char *const names[] = {"id_ed25519", "id_ecdsa", "id_rsa"};
	const char *home = getenv("HOME");

	for (size_t i = 0; home && i < ARRAY_LEN(names); i++) {
		AUTO(auto_str) char *path = xasprintf("%s/.ssh/%s.pub", home, names[i]);

		if (access(path, R_OK) == 0)
			return STEAL(path);
	}
	return NULL;
}

static int cmd_keys_add(struct cli *c, struct err *err)
{
	AUTO(auto_str) char *path = c->args.npos ? xstrdup(c->args.pos[0]) : own_key();
	AUTO(buf_clear) struct buf key = {0};
	json_auto_t *body = NULL;

	if (!path)
		return err_set(err, ERR_BAD_REQUEST,
			       "There is no public key in ~/.ssh: make one with ssh-keygen, or "
			       "name a file");
	if (cli_read_file(path, KEY_MAX, &key, err) < 0)
		return -1;
	while (key.len && (key.data[key.len - 1] == '\n' || key.data[key.len - 1] == '\r'))
		key.data[--key.len] = 0;
	if (strstr(buf_str(&key), "PRIVATE KEY"))
		return err_set(err, ERR_BAD_REQUEST, "%s is a private key: it is not sent anywhere",
			       path);
	body = json_pack("{ss}", "public_key", buf_str(&key));
	if (!body)
		return err_set(err, ERR_BAD_REQUEST, "%s is not an SSH public key", path);
	cli_action(c, "Uploading %s SSH key", path);
	return cli_send(c, "POST", body, err, "/account/keys");
}

static int cmd_keys_remove(struct cli *c, struct err *err)
{
	const char *name = c->args.pos[0];
	json_auto_t *list = NULL;
	json_t *key;

	if (cli_api(c, "GET", NULL, &list, err, "/account/keys") < 0)
		return -1;
	key = cli_find(list, "comment", name);
	if (!key)
		key = cli_find(list, "id", name);
	if (!key)
		key = cli_find(list, "fingerprint", name);
	if (!key)
		return err_set(err, ERR_NOT_FOUND, "SSH Key %s not found.", name);
	cli_action(c, "Removing %s SSH key", name);
	return cli_send(c, "DELETE", NULL, err, "/account/keys/%s", cli_js(key, "id"));
}

static int cmd_keys_clear(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL;
	size_t i;
	json_t *k;

	cli_action(c, "Removing all SSH keys");
	if (cli_api(c, "GET", NULL, &list, err, "/account/keys") < 0)
		return -1;
	json_array_foreach(list, i, k)
	{
		if (cli_api(c, "DELETE", NULL, NULL, err, "/account/keys/%s", cli_js(k, "id")) < 0)
			return -1;
	}
	cli_action_done(c, "%s", "");
	if (cli_json(c))
		cli_print_json(c, list);
	return 0;
}

const struct cli_cmd cli_cmds_keys[] = {
	{.name = "keys",
	 .help = "list your SSH keys",
	 .opts = OPTS(SWITCH('l', "long", "the whole keys")),
	 .run = cmd_keys,
	 .examples = "keys\nkeys -l"},
	{.name = "keys:add",
	 .help = "add an SSH key",
	 .args = ARGS(
		 {"FILE", COMPLETE_FILE, "public key (default: the one in ~/.ssh)", false, false}),
	 .opts = OPTS(SWITCH('y', "yes", NULL), SWITCH('q', "quiet", NULL)),
	 .run = cmd_keys_add,
	 .examples = "keys:add\nkeys:add ~/.ssh/id_ed25519.pub"},
	{.name = "keys:remove",
	 .help = "remove an SSH key",
	 .args = ARGS({"KEY", COMPLETE_KEY, "comment, fingerprint or id of the key", true, false}),
	 .run = cmd_keys_remove,
	 .examples = "keys:remove me@laptop"},
	{.name = "keys:clear",
	 .help = "remove all your SSH keys",
	 .run = cmd_keys_clear,
	 .examples = "keys:clear"},
	{0},
};
