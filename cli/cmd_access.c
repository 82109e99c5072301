/* Who may work on an app. */
#include "cli/cli.h"
#include "cli/table.h"

#include <string.h>

static int cmd_access(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {{"", "user.email", FORM_TEXT},
					       {"", "role", FORM_TEXT},
					       {"", "permissions", FORM_LIST},
					       {0}};
	json_auto_t *people = NULL;

	if (cli_api(c, "GET", NULL, &people, err, "/apps/%s/collaborators", c->app) < 0)
		return -1;
	return cli_show_list(c, people, row, "%s Access", "Nobody has access to %s.");
}

static json_t *body_of(struct cli *c)
{
	const char *perms = cli_opt(&c->args, "permissions");
	json_t *body = json_object();

	if (perms)
		json_object_set_new(body, "permissions", cli_words(perms));
	return body;
}

static int cmd_access_add(struct cli *c, struct err *err)
{
	json_auto_t *body = body_of(c);
	const char *perms = cli_opt(&c->args, "permissions");

	json_object_set_new(body, "user", json_string(c->args.pos[0]));
	cli_action(c, "Adding %s access to the app %s%s%s%s", c->args.pos[0], cli_label(c, c->app),
		   perms ? " with " : "", perms ? perms : "", perms ? " permissions" : "");
	return cli_send(c, "POST", body, err, "/apps/%s/collaborators", c->app);
}

static int cmd_access_update(struct cli *c, struct err *err)
{
	json_auto_t *body = body_of(c);

	if (!json_object_size(body))
		return err_set(err, ERR_BAD_REQUEST, "Missing required flag permissions");
	cli_action(c, "Updating %s in application %s with %s permissions", c->args.pos[0],
		   cli_label(c, c->app), cli_opt(&c->args, "permissions"));
	return cli_send(c, "PATCH", body, err, "/apps/%s/collaborators/%s", c->app, c->args.pos[0]);
}

static int cmd_access_remove(struct cli *c, struct err *err)
{
	cli_action(c, "Removing %s access from the app %s", c->args.pos[0], cli_label(c, c->app));
	return cli_send(c, "DELETE", NULL, err, "/apps/%s/collaborators/%s", c->app,
			c->args.pos[0]);
}

/* Who was added before they had an account. */
static int cmd_invitations(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {{"Email", "email", FORM_TEXT},
					       {"Permissions", "permissions", FORM_LIST},
					       {"Invited by", "inviter.email", FORM_TEXT},
					       {"Expires", "expires_at", FORM_TEXT},
					       {0}};
	json_auto_t *list = NULL;

	if (cli_api(c, "GET", NULL, &list, err, "/apps/%s/invitations", c->app) < 0)
		return -1;
	return cli_show_list(c, list, row, NULL, "Nobody is invited to %s.");
}

static int cmd_uninvite(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL;
	json_t *found;

	if (cli_api(c, "GET", NULL, &list, err, "/apps/%s/invitations", c->app) < 0)
		return -1;
	found = cli_find(list, "email", c->args.pos[0]);
	if (!found)
		return err_set(err, ERR_NOT_FOUND, "%s is not invited to %s.", c->args.pos[0],
			       c->app);
	cli_action(c, "Withdrawing the invitation of %s to %s", c->args.pos[0],
		   cli_label(c, c->app));
	return cli_send(c, "DELETE", NULL, err, "/apps/%s/invitations/%s", c->app,
			cli_js(found, "id"));
}

#define EMAIL                                                                      \
	{                                                                          \
		"EMAIL", COMPLETE_PERSON, "email address of the user", true, false \
	}
#define PERMISSIONS                                          \
	VALUE('p', "permissions", "PERMISSIONS", PERMISSION, \
	      "of view, deploy, operate, manage, with commas")

const struct cli_cmd cli_cmds_access[] = {
	{.name = "access",
	 .help = "list who has access to an app",
	 .flags = CLI_APP,
	 .run = cmd_access,
	 .examples = "access -a my-app"},
	{.name = "access:add",
	 .aliases = "sharing:add",
	 .help = "add a user to an app",
	 .more = "view: see the app, its config and logs; deploy: push, release, run; operate: "
		 "scale, restart, "
		 "change config; manage: who has access. Without -p all of them. "
		 "Somebody without an account is invited: pass the address that is shown on.",
	 .args = ARGS({"EMAIL", COMPLETE_NONE, "email address of the user", true, false}),
	 .opts = OPTS(PERMISSIONS),
	 .flags = CLI_APP,
	 .run = cmd_access_add,
	 .examples = "access:add user@example.com -a my-app\n"
		     "access:add user@example.com -a my-app -p view,deploy"},
	{.name = "access:remove",
	 .aliases = "sharing:remove",
	 .help = "remove a user from an app",
	 .args = ARGS(EMAIL),
	 .flags = CLI_APP,
	 .run = cmd_access_remove,
	 .examples = "access:remove user@example.com -a my-app"},
	{.name = "access:invitations",
	 .help = "list who was added to an app but has no account yet",
	 .flags = CLI_APP,
	 .run = cmd_invitations,
	 .examples = "access:invitations -a my-app"},
	{.name = "access:uninvite",
	 .help = "withdraw an invitation to an app",
	 .args = ARGS({"EMAIL", COMPLETE_NONE, "email address", true, false}),
	 .flags = CLI_APP,
	 .run = cmd_uninvite,
	 .examples = "access:uninvite user@example.com -a my-app"},
	{.name = "access:update",
	 .help = "change what a user may do with an app",
	 .args = ARGS(EMAIL),
	 .opts = OPTS(PERMISSIONS),
	 .flags = CLI_APP,
	 .run = cmd_access_update,
	 .examples = "access:update user@example.com -a my-app -p view,deploy,operate"},
	{0},
};
