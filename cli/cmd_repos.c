/* Pipelines connected to repositories at git providers, and branches that are deployed by
 * themselves. */
#include "cli/pipelines.h"
#include "cli/table.h"

#include <string.h>
#include <unistd.h>

#define TOKEN_VARIABLE "PAASCTL_PROVIDER_TOKEN"
#define KEY_MAX	       (16 * 1024)

static int need_pipeline(struct cli *c, const char **out, struct err *err)
{
	*out = cli_opt(&c->args, "pipeline");
	return *out ? 0 : err_set(err, ERR_BAD_REQUEST, "Say which pipeline with -p PIPELINE");
}

/* Never on the command line, where others see it: from stdin, the environment, or a question.
 * Owned;
 * "" = none. */
static char *get_token(struct cli *c, struct err *err)
{
	const char *given = cli_opt(&c->args, "token"), *env = getenv(TOKEN_VARIABLE);
	char *token;

	if (cli_opt(&c->args, "no-token"))
		return xstrdup("");
	if (given && strcmp(given, "-") != 0) {
		err_set(err, ERR_BAD_REQUEST,
			"A token on the command line can be seen by others: use --token - and "
			"standard input, or the variable " TOKEN_VARIABLE);
		return NULL;
	}
	if (!given && env && *env)
		return xstrdup(env);
	token = cli_prompt(c, isatty(STDIN_FILENO) ? "Access token: " : "", true);
	if (!token)
		err_set(err, ERR_BAD_REQUEST,
			"No token: give it on standard input or in " TOKEN_VARIABLE
			", or say --no-token");
	return token;
}

/* What a person has to type at the provider. */
static void tell_hook(struct cli *c, const json_t *r)
{
	cli_warn(c,
		 "The webhook could not be made with this token. Until you add it by hand, changes "
		 "are found by the timer only.");
	cli_line("Add a webhook to %s at %s:", cli_js(r, "full_name"), cli_js(r, "base_url"));
	cli_line("  URL           %s", cli_js(r, "webhook.url"));
	cli_line("  Secret        %s", cli_js(r, "webhook.secret"));
	cli_line("  Content type  application/json");
	cli_line("  Events        pushes, pull or merge requests, statuses and pipelines");
	cli_line("The secret is not shown again.");
}

int cli_pipelines_connect(struct cli *c, struct err *err)
{
	const char *pipeline, *provider = cli_opt(&c->args, "provider"),
			      *key_file = cli_opt(&c->args, "deploy-key");
	AUTO(auto_str) char *token = NULL;
	AUTO(buf_clear) struct buf key = {0};
	json_auto_t *body = NULL, *r = NULL;

	if (need_pipeline(c, &pipeline, err) < 0)
		return -1;
	if (key_file && cli_read_file(key_file, KEY_MAX, &key, err) < 0)
		return -1;
	token = get_token(c, err);
	if (!token)
		return -1;
	body = json_pack("{ss ss ss}", "provider", provider ? provider : "github", "repo",
			 c->args.pos[0], "token", token);
	cli_body_opt(c, body, "url", "base_url");
	if (key_file)
		json_object_set_new(body, "deploy_key", json_string(buf_str(&key)));
	cli_body_opt(c, body, "ssh-port", "ssh_port");
	explicit_bzero(token, strlen(token));
	cli_action(c, "Connecting %s to %s", pipeline, c->args.pos[0]);
	if (cli_api(c, "POST", body, &r, err, "/pipelines/%s/repo", pipeline) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	if (cli_json(c)) {
		cli_print_json(c, r);
		return 0;
	}
	if (!json_is_true(cli_at(r, "webhook.created")))
		tell_hook(c, r);
	return 0;
}

int cli_pipelines_disconnect(struct cli *c, struct err *err)
{
	const char *pipeline;

	if (need_pipeline(c, &pipeline, err) < 0)
		return -1;
	cli_action(c, "Disconnecting %s", pipeline);
	return cli_send(c, "DELETE", NULL, err, "/pipelines/%s/repo", pipeline);
}

int cli_pipelines_repo(struct cli *c, struct err *err)
{
	static const struct cli_field fields[] = {
		{"Repository", "full_name", FORM_TEXT},
		{"Provider", "provider", FORM_TEXT},
		{"Server", "base_url", FORM_TEXT},
		{"Webhook", "webhook.url", FORM_TEXT},
		{"Webhook made", "webhook.created", FORM_TEXT},
		{"Last look", "looked_at", FORM_WHEN},
		{"Failure", "failure", FORM_TEXT},
		{0},
	};
	const char *pipeline;
	json_auto_t *r = NULL;

	if (need_pipeline(c, &pipeline, err) < 0)
		return -1;
	if (cli_opt(&c->args, "look")) {
		cli_action(c, "Looking at the repository of %s", pipeline);
		return cli_send(c, "POST", NULL, err, "/pipelines/%s/repo/actions/look", pipeline);
	}
	if (cli_api(c, "GET", NULL, &r, err, "/pipelines/%s/repo", pipeline) < 0)
		return -1;
	if (!cli_json(c) && strcmp(cli_js(r, "provider"), "paasd") == 0)
		cli_warn(c,
			 "The pipeline is not connected to a git provider: branches are pushed to "
			 "its own repository (paasctl reviewapps:remote -p %s).\nConnect it with: "
			 "paasctl pipelines:connect OWNER/REPO -p %s --provider github",
			 pipeline, pipeline);
	return cli_show_fields(c, r, fields, pipeline);
}

/* --- autodeploy --- */

static int cmd_autodeploy(struct cli *c, struct err *err)
{
	static const struct cli_field fields[] = {
		{"Branch", "branch", FORM_TEXT},
		{"Wait for CI", "wait_for_ci", FORM_ON},
		{"Status", "status", FORM_TEXT},
		{"Message", "message", FORM_TEXT},
		{"Pending", "pending_commit", FORM_TEXT},
		{"Last tried", "deployed_commit", FORM_TEXT},
		{"Updated", "updated_at", FORM_WHEN},
		{0},
	};
	json_auto_t *d = NULL;

	if (cli_api(c, "GET", NULL, &d, err, "/apps/%s/auto-deploy", c->app) < 0) {
		if (err->code == ERR_NOT_FOUND && strstr(err->msg, "by itself"))
			buf_addf(&c->detail,
				 "%s\nSwitch it on with: paasctl autodeploy:enable BRANCH -a %s",
				 err->msg, c->app);
		return -1;
	}
	return cli_show_fields(c, d, fields, c->app);
}

static int cmd_enable(struct cli *c, struct err *err)
{
	json_auto_t *body = json_pack("{ss sb}", "branch", c->args.pos[0], "wait_for_ci",
				      cli_opt(&c->args, "wait-for-ci") != NULL);

	cli_action(c, "Deploying %s to %s from now on", c->args.pos[0], cli_label(c, c->app));
	return cli_send(c, "PUT", body, err, "/apps/%s/auto-deploy", c->app);
}

static int cmd_disable(struct cli *c, struct err *err)
{
	cli_action(c, "Disabling automatic deploys of %s", cli_label(c, c->app));
	return cli_send(c, "DELETE", NULL, err, "/apps/%s/auto-deploy", c->app);
}

const struct cli_cmd cli_cmds_autodeploy[] = {
	{.name = "autodeploy",
	 .help = "show which branch is deployed to an app by itself",
	 .flags = CLI_APP,
	 .run = cmd_autodeploy,
	 .examples = "autodeploy -a my-app"},
	{.name = "autodeploy:enable",
	 .help = "deploy a branch now and whenever it moves",
	 .more = "The branch is of the repository that the app's pipeline is connected to "
		 "(pipelines:connect).",
	 .args = ARGS({"BRANCH", COMPLETE_NONE, "branch of the repository", true, false}),
	 .opts = OPTS(SWITCH(0, "wait-for-ci", "only commits whose checks have passed")),
	 .flags = CLI_APP,
	 .run = cmd_enable,
	 .examples = "autodeploy:enable main -a my-app-staging\nautodeploy:enable main "
		     "--wait-for-ci -a my-app"},
	{.name = "autodeploy:disable",
	 .help = "deploy by hand again",
	 .flags = CLI_APP,
	 .run = cmd_disable,
	 .examples = "autodeploy:disable -a my-app"},
	{0},
};
