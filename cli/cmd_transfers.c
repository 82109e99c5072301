/* Apps that go to another owner. */
#include "cli/cli.h"
#include "cli/table.h"

#include <string.h>

static int cmd_transfer(struct cli *c, struct err *err)
{
	const char *to = c->args.pos[0];
	json_auto_t *app = NULL, *body = NULL, *made = NULL;

	if (!strchr(to, '@'))
		return err_set(err, ERR_BAD_REQUEST,
			       "%.80s is not an email address: there are no teams on this platform",
			       to);
	if (cli_api(c, "GET", NULL, &app, err, "/apps/%s", c->app) < 0)
		return -1;
	body = json_pack("{ss ss}", "app", cli_js(app, "name"), "recipient", to);
	cli_action(c, "Initiating transfer of %s to %s", cli_label(c, cli_js(app, "name")), to);
	if (cli_api(c, "POST", body, &made, err, "/account/app-transfers") < 0)
		return -1;
	cli_action_done(c, "%s",
			strcmp(cli_js(made, "state"), "pending") == 0
				? "done, they accept it with paasctl apps:transfer:accept"
				: "");
	if (cli_json(c))
		cli_print_json(c, made);
	return 0;
}

static int cmd_list(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {
		{"App", "app.name", FORM_TEXT},	      {"From", "owner.email", FORM_TEXT},
		{"To", "recipient.email", FORM_TEXT}, {"State", "state", FORM_TEXT},
		{"Created", "created_at", FORM_WHEN}, {0}};
	json_auto_t *list = NULL;

	if (cli_api(c, "GET", NULL, &list, err, "/account/app-transfers") < 0)
		return -1;
	return cli_show_list(c, list, row, NULL, "There are no transfers.");
}

/* Id of the pending transfer of the app, or of the one with that id; NULL with *err. */
static char *find_id(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL;
	const char *name = c->args.npos ? c->args.pos[0] : NULL;
	size_t i;
	json_t *t;

	if (!name && cli_find_app(c, err) < 0)
		return NULL;
	name = name ? name : c->app;
	if (cli_api(c, "GET", NULL, &list, err, "/account/app-transfers") < 0)
		return NULL;
	json_array_foreach(list, i, t)
	{
		if (strcmp(cli_js(t, "state"), "pending") == 0 &&
		    (strcmp(cli_js(t, "app.name"), name) == 0 ||
		     strcmp(cli_js(t, "id"), name) == 0))
			return xstrdup(cli_js(t, "id"));
	}
	err_set(err, ERR_NOT_FOUND, "There is no pending transfer of %s.", name);
	return NULL;
}

static int answer(struct cli *c, const char *doing, const char *state, struct err *err)
{
	AUTO(auto_str) char *id = find_id(c, err);
	json_auto_t *body = json_pack("{ss}", "state", state);

	if (!id)
		return -1;
	cli_action(c, "%s transfer of %s", doing, c->args.npos ? c->args.pos[0] : c->app);
	return cli_send(c, "PATCH", body, err, "/account/app-transfers/%s", id);
}

static int cmd_accept(struct cli *c, struct err *err)
{
	return answer(c, "Accepting", "accepted", err);
}

static int cmd_decline(struct cli *c, struct err *err)
{
	return answer(c, "Declining", "declined", err);
}

static int cmd_cancel(struct cli *c, struct err *err)
{
	AUTO(auto_str) char *id = find_id(c, err);

	if (!id)
		return -1;
	cli_action(c, "Canceling transfer of %s", c->args.npos ? c->args.pos[0] : c->app);
	return cli_send(c, "DELETE", NULL, err, "/account/app-transfers/%s", id);
}

#define WHICH                                                                                \
	{                                                                                    \
		"APP", COMPLETE_APP, "the app, or the transfer's id (also -a)", false, false \
	}

const struct cli_cmd cli_cmds_transfers[] = {
	{.name = "apps:transfer",
	 .aliases = "sharing:transfer",
	 .help = "offer an app to another owner",
	 .args = ARGS({"EMAIL", COMPLETE_NONE, "the new owner", true, false}),
	 .flags = CLI_APP,
	 .run = cmd_transfer,
	 .examples = "apps:transfer user@example.com -a my-app"},
	{.name = "apps:transfers",
	 .help = "list transfers that you offered or were offered",
	 .run = cmd_list,
	 .examples = "apps:transfers"},
	{.name = "apps:transfer:accept",
	 .help = "take an app that was offered to you",
	 .args = ARGS(WHICH),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_accept,
	 .examples = "apps:transfer:accept my-app"},
	{.name = "apps:transfer:decline",
	 .help = "refuse an app that was offered to you",
	 .args = ARGS(WHICH),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_decline,
	 .examples = "apps:transfer:decline my-app"},
	{.name = "apps:transfer:cancel",
	 .help = "take back an offer of yours",
	 .args = ARGS(WHICH),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_cancel,
	 .examples = "apps:transfer:cancel my-app"},
	{0},
};
