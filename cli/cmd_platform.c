/* The platform itself: what it offers, how it is; and for administrators, who uses it and who did
 * what. */
#include "cli/cli.h"
#include "cli/table.h"

#include <string.h>

static int list_at(struct cli *c, const char *path, const struct cli_field *row, const char *none,
		   struct err *err)
{
	struct cli_req r = {.method = "GET", .path = path};
	json_auto_t *list = NULL;

	if (cli_request(c, &r, &list, err) < 0)
		return -1;
	return cli_show_list(c, list, row, NULL, none);
}

static int cmd_regions(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {{"ID", "name", FORM_TEXT},
					       {"Location", "description", FORM_TEXT},
					       {"Country", "country", FORM_TEXT},
					       {0}};

	return list_at(c, "/regions", row, "There are no regions.", err);
}

static int cmd_stacks(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {{"Name", "name", FORM_TEXT},
					       {"State", "state", FORM_TEXT},
					       {"Default", "default", FORM_TEXT},
					       {0}};

	return list_at(c, "/stacks", row, "There are no stacks.", err);
}

static int cmd_status(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {
		{"", "system", FORM_TEXT}, {"", "state", FORM_TEXT}, {0}};
	json_auto_t *all = NULL;
	json_t *list, *s;
	size_t i;

	if (cli_api(c, "GET", NULL, &all, err, "/api/v4/current-status") < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, all);
		return 0;
	}
	list = json_object_get(all, "status");
	json_array_foreach(list, i, s)
		json_object_set_new(s, "state",
				    json_string(strcmp(cli_js(s, "status"), "green") == 0
							? "No known issues at this time."
							: cli_js(s, "status")));
	cli_show_list(c, list, row, NULL, "The platform says nothing of its state.");
	json_array_foreach(json_object_get(all, "incidents"), i, s)
		cli_line("Incident: %s", cli_js(s, "title"));
	return 0;
}

static int cmd_rate_limits(struct cli *c, struct err *err)
{
	json_auto_t *one = NULL;

	if (cli_api(c, "GET", NULL, &one, err, "/account/rate-limits") < 0)
		return -1;
	if (cli_json(c))
		cli_print_json(c, one);
	else
		cli_line("%lld requests left", cli_jint(one, "remaining"));
	return 0;
}

const struct cli_cmd cli_cmds_platform[] = {
	{.name = "regions", .help = "list regions", .run = cmd_regions, .examples = "regions"},
	{.name = "stacks", .help = "list stacks", .run = cmd_stacks, .examples = "stacks"},
	{.name = "status",
	 .help = "show how the platform is",
	 .flags = CLI_NO_KEY,
	 .run = cmd_status,
	 .examples = "status\nstatus --json"},
	{.name = "rate-limits",
	 .aliases = "ratelimits",
	 .help = "show how many requests your account has left",
	 .run = cmd_rate_limits,
	 .examples = "rate-limits"},
	{0},
};

/* --- for administrators --- */

static int cmd_users(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {{"Email", "email", FORM_TEXT},
					       {"Role", "role", FORM_TEXT},
					       {"2FA", "two_factor_authentication", FORM_TEXT},
					       {"Last login", "last_login", FORM_WHEN},
					       {0}};
	json_auto_t *list = NULL, *sorted = NULL;
	size_t i;
	json_t *u;

	if (cli_api(c, "GET", NULL, &list, err, "/users") < 0)
		return -1;
	sorted = cli_sorted(list, "email");
	if (!cli_json(c))
		json_array_foreach(sorted, i, u) if (json_object_get(u, "admin"))
			json_object_set_new(u, "role",
					    json_string(json_is_true(json_object_get(u, "admin"))
								? "administrator"
								: "member"));
	return cli_show_list(c, sorted, row, NULL, "There are no accounts.");
}

static int cmd_invite(struct cli *c, struct err *err)
{
	json_auto_t *body = json_pack("{ss sb}", "email", c->args.pos[0], "admin",
				      cli_opt(&c->args, "admin") != NULL),
		    *made = NULL;

	cli_action(c, "Inviting %s", c->args.pos[0]);
	if (cli_api(c, "POST", body, &made, err, "/invitations") < 0)
		return -1;
	cli_action_done(c, "%s", "");
	if (cli_json(c)) {
		cli_print_json(c, made);
		return 0;
	}
	cli_line("%s", cli_js(made, "url"));
	cli_warn(c,
		 "Give this address to %s and to nobody else: it makes the account. It is shown "
		 "this once.",
		 c->args.pos[0]);
	return 0;
}

static int cmd_invitations(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {{"Email", "email", FORM_TEXT},
					       {"ID", "id", FORM_TEXT},
					       {"Invited by", "inviter.email", FORM_TEXT},
					       {"Expires", "expires_at", FORM_TEXT},
					       {0}};

	return list_at(c, "/invitations", row, "There are no open invitations.", err);
}

static int cmd_uninvite(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL;
	const char *who = c->args.pos[0];
	json_t *found;

	if (cli_api(c, "GET", NULL, &list, err, "/invitations") < 0)
		return -1;
	found = cli_find(list, "email", who);
	cli_action(c, "Withdrawing the invitation of %s", who);
	return cli_send(c, "DELETE", NULL, err, "/invitations/%s",
			found ? cli_js(found, "id") : who);
}

static int cmd_users_remove(struct cli *c, struct err *err)
{
	const char *who = c->args.pos[0];
	json_auto_t *body = json_pack("{ss}", "confirm", who);
	AUTO(auto_str)
	char *what = xasprintf("This will remove the account %s and its tokens.", who);

	if (cli_confirm(c, who, what, err) < 0)
		return -1;
	cli_action(c, "Removing %s", who);
	return cli_send(c, "DELETE", body, err, "/users/%s", who);
}

/* The password is read, not given: command lines are seen by everybody on a machine. */
static char *read_password(struct cli *c, struct err *err)
{
	AUTO(auto_str) char *password = cli_prompt(c, "New password: ", true);

	if (password && password[0])
		return STEAL(password);
	err_set(err, ERR_BAD_REQUEST, "No password was given");
	return NULL;
}

static int cmd_users_add(struct cli *c, struct err *err)
{
	AUTO(auto_str) char *password = read_password(c, err);
	json_auto_t *body = NULL;

	if (!password)
		return -1;
	body = json_pack("{ss ss sb}", "email", c->args.pos[0], "password", password, "admin",
			 cli_opt(&c->args, "admin") != NULL);
	if (!body)
		return err_set(err, ERR_BAD_REQUEST, "the password is not UTF-8 text");
	cli_action(c, "Adding %s", c->args.pos[0]);
	return cli_send(c, "POST", body, err, "/users");
}

static int cmd_users_update(struct cli *c, struct err *err)
{
	static const struct {
		const char *opt, *field;
		int value;
	} switches[] = {{"admin", "admin", 1},
			{"no-admin", "admin", 0},
			{"suspend", "suspended", 1},
			{"resume", "suspended", 0},
			{"reset-2fa", "two_factor_authentication", 0}};
	json_auto_t *body = json_object();

	for (size_t i = 0; i < ARRAY_LEN(switches); i++)
		if (cli_opt(&c->args, switches[i].opt))
			json_object_set_new(body, switches[i].field,
					    json_boolean(switches[i].value));
	if (cli_opt(&c->args, "password")) {
		AUTO(auto_str) char *password = read_password(c, err);

		if (!password)
			return -1;
		json_object_set_new(body, "new_password", json_string(password));
	}
	if (!json_object_size(body))
		return err_set(err, ERR_BAD_REQUEST, "Say what is to change");
	cli_action(c, "Updating %s", c->args.pos[0]);
	return cli_send(c, "PATCH", body, err, "/users/%s", c->args.pos[0]);
}

#define WHO                                                          \
	{                                                            \
		"EMAIL", COMPLETE_NONE, "email address", true, false \
	}

const struct cli_cmd cli_cmds_users[] = {
	{.name = "users",
	 .help = "list the accounts of the platform (administrators)",
	 .run = cmd_users,
	 .examples = "users"},
	{.name = "users:invite",
	 .help = "make a link with which somebody makes an account (administrators)",
	 .args = ARGS(WHO),
	 .opts = OPTS(SWITCH(0, "admin", "as an administrator")),
	 .run = cmd_invite,
	 .examples = "users:invite user@example.com\nusers:invite boss@example.com --admin"},
	{.name = "users:invitations",
	 .help = "list invitations that nobody took up yet (administrators)",
	 .run = cmd_invitations,
	 .examples = "users:invitations"},
	{.name = "users:uninvite",
	 .help = "withdraw an invitation (administrators)",
	 .args = ARGS(WHO),
	 .run = cmd_uninvite,
	 .examples = "users:uninvite user@example.com"},
	{.name = "users:add",
	 .help = "make an account (administrators)",
	 .more = "Its password is asked for, or read from standard input.",
	 .args = ARGS(WHO),
	 .opts = OPTS(SWITCH(0, "admin", "as an administrator")),
	 .run = cmd_users_add,
	 .examples = "users:add user@example.com\nusers:add ci@example.com < password"},
	{.name = "users:update",
	 .help = "change an account (administrators)",
	 .args = ARGS(WHO),
	 .opts = OPTS(SWITCH(0, "admin", "make an administrator"),
		      SWITCH(0, "no-admin", "make a member"),
		      SWITCH(0, "suspend", "refuse logins and tokens"),
		      SWITCH(0, "resume", "no longer"),
		      SWITCH(0, "reset-2fa", "turn the second factor off, for who lost it"),
		      SWITCH(0, "password", "ask for a new password")),
	 .run = cmd_users_update,
	 .examples = "users:update user@example.com --admin\nusers:update user@example.com "
		     "--reset-2fa"},
	{.name = "users:remove",
	 .help = "remove an account (administrators)",
	 .args = ARGS(WHO),
	 .opts = OPTS(VALUE('c', "confirm", "EMAIL", NONE,
			    "the address, instead of being asked for it")),
	 .run = cmd_users_remove,
	 .examples = "users:remove user@example.com --confirm user@example.com"},
	{0},
};

/* --- audit --- */

/* The app's own list, which its managers may read, has no filters. */
static int audit_path(struct cli *c, char **out, struct err *err)
{
	static const char *const filters[] = {"actor", "action", "since"};
	AUTO(buf_clear) struct buf b = {0};

	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		const char *value = cli_opt(&c->args, filters[i]);
		AUTO(auto_str) char *encoded = value ? cli_pathf("%s", value) : NULL;

		if (value)
			buf_addf(&b, "%s%s=%s", b.len ? "&" : "?", filters[i], encoded);
	}
	if (c->app && b.len)
		return err_set(err, ERR_BAD_REQUEST,
			       "--actor, --action and --since are for the whole platform, not for "
			       "one app");
	*out = c->app ? cli_pathf("/apps/%s/audit", c->app) : xasprintf("/audit%s", buf_str(&b));
	return 0;
}

static int cmd_audit(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {
		{"When", "created_at", FORM_WHEN}, {"Who", "actor", FORM_TEXT},
		{"Action", "action", FORM_TEXT},   {"App", "app", FORM_TEXT},
		{"Detail", "detail", FORM_TEXT},   {0}};
	AUTO(auto_str) char *range = NULL;
	AUTO(auto_str) char *path = NULL;
	struct cli_req r = {.method = "GET", .partial = true};
	json_auto_t *list = NULL;
	int n;

	if (cli_num_opt(c, "num", 50, &n, err) < 0)
		return -1;
	/* Only an app that was named: the platform's own record is not the repository's business.
	 */
	if ((cli_opt(&c->args, "app") || cli_opt(&c->args, "remote")) && cli_find_app(c, err) < 0)
		return -1;
	if (audit_path(c, &path, err) < 0)
		return -1;
	range = xasprintf("id ..; max=%d, order=desc", n);
	r.path = path;
	r.range = range;
	if (cli_request(c, &r, &list, err) < 0)
		return -1;
	return cli_show_list(c, list, row, NULL, "Nothing was done yet.");
}

const struct cli_cmd cli_cmds_audit[] = {
	{.name = "audit",
	 .help = "who did what: on the whole platform (administrators), or with -a on an app",
	 .opts = OPTS(VALUE('n', "num", "N", NONE, "number of entries (default: 50)"),
		      VALUE(0, "actor", "EMAIL", NONE, "only of this person"),
		      VALUE(0, "action", "ACTION", NONE, "only of this kind, like app.create"),
		      VALUE(0, "since", "TIME", NONE, "only from then on: 2026-01-31")),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_audit,
	 .examples = "audit\naudit --actor user@example.com --since 2026-01-31\naudit -a my-app -n "
		     "200\naudit --json"},
	{0},
};
