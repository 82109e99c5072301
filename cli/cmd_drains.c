/* Log drains and webhooks: what leaves the platform by itself. */
#include "cli/cli.h"
#include "cli/table.h"

#include <string.h>

static int cmd_drains(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {
		{"", "url", FORM_TEXT}, {"", "token", FORM_TEXT}, {0}};
	json_auto_t *list = NULL;

	if (cli_api(c, "GET", NULL, &list, err, "/apps/%s/log-drains", c->app) < 0)
		return -1;
	return cli_show_list(c, list, row, "Drains", "%s has no drains.");
}

static int cmd_drains_add(struct cli *c, struct err *err)
{
	json_auto_t *body = json_pack("{ss}", "url", c->args.pos[0]), *made = NULL;

	if (cli_api(c, "POST", body, &made, err, "/apps/%s/log-drains", c->app) < 0)
		return -1;
	if (cli_json(c))
		cli_print_json(c, made);
	else
		cli_line("Successfully added drain %s", cli_js(made, "url"));
	return 0;
}

static int cmd_drains_remove(struct cli *c, struct err *err)
{
	json_auto_t *gone = NULL;

	if (cli_api(c, "DELETE", NULL, &gone, err, "/apps/%s/log-drains/%s", c->app,
		    c->args.pos[0]) < 0)
		return -1;
	if (cli_json(c))
		cli_print_json(c, gone);
	else
		cli_line("Successfully removed drain %s", cli_js(gone, "url"));
	return 0;
}

const struct cli_cmd cli_cmds_drains[] = {
	{.name = "drains",
	 .help = "list the log drains of an app",
	 .flags = CLI_APP,
	 .run = cmd_drains,
	 .examples = "drains -a my-app"},
	{.name = "drains:add",
	 .help = "send the log of an app somewhere too",
	 .args = ARGS({"URL", COMPLETE_NONE, "syslog://, syslog+tls:// or https:// address", true,
		       false}),
	 .flags = CLI_APP,
	 .run = cmd_drains_add,
	 .examples = "drains:add syslog+tls://logs.example.com:6514 -a my-app\n"
		     "drains:add https://user:secret@logs.example.com/in -a my-app"},
	{.name = "drains:remove",
	 .help = "remove a log drain",
	 .args = ARGS({"DRAIN", COMPLETE_DRAIN, "address, token or id of the drain", true, false}),
	 .flags = CLI_APP,
	 .run = cmd_drains_remove,
	 .examples = "drains:remove syslog+tls://logs.example.com:6514 -a my-app"},
	{0},
};

/* --- webhooks --- */

static const struct cli_field hook_fields[] = {
	{"Webhook ID", "id", FORM_TEXT},      {"URL", "url", FORM_TEXT},
	{"Include", "include", FORM_LIST},    {"Level", "level", FORM_TEXT},
	{"Created", "created_at", FORM_WHEN}, {0}};

static int cmd_webhooks(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL, *sorted = NULL;

	if (cli_api(c, "GET", NULL, &list, err, "/apps/%s/webhooks", c->app) < 0)
		return -1;
	sorted = cli_sorted(list, "created_at");
	return cli_show_list(c, sorted, hook_fields, NULL,
			     "%s has no webhooks\nUse paasctl webhooks:add to add one");
}

static int body_of(struct cli *c, json_t *body, struct err *err)
{
	const char *include = cli_opt(&c->args, "include");

	cli_body_opt(c, body, "level", "level");
	cli_body_opt(c, body, "url", "url");
	cli_body_opt(c, body, "secret", "secret");
	cli_body_opt(c, body, "authorization", "authorization");
	if (include)
		json_object_set_new(body, "include", cli_words(include));
	for (const char *const *k = (const char *const[]){"include", "level", "url", NULL}; *k; k++)
		if (!json_object_get(body, *k))
			return err_set(err, ERR_BAD_REQUEST, "Missing required flag %s", *k);
	return 0;
}

/* With the secret that the platform made, which it tells in a header: this once. */
static int cmd_webhooks_add(struct cli *c, struct err *err)
{
	json_auto_t *body = json_object(), *made = NULL;

	if (body_of(c, body, err) < 0)
		return -1;
	cli_action(c, "Adding webhook to %s", cli_label(c, c->app));
	if (cli_api(c, "POST", body, &made, err, "/apps/%s/webhooks", c->app) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	if (c->webhook_secret[0])
		json_object_set_new(made, "secret", json_string(c->webhook_secret));
	if (cli_json(c)) {
		cli_print_json(c, made);
	} else if (c->webhook_secret[0]) {
		cli_header(c, "Webhooks Signing Secret");
		cli_line("%s", c->webhook_secret);
	}
	return 0;
}

static int cmd_webhooks_info(struct cli *c, struct err *err)
{
	json_auto_t *one = NULL;

	if (cli_api(c, "GET", NULL, &one, err, "/apps/%s/webhooks/%s", c->app, c->args.pos[0]) < 0)
		return -1;
	return cli_show_fields(c, one, hook_fields, cli_js(one, "id"));
}

static int cmd_webhooks_remove(struct cli *c, struct err *err)
{
	cli_action(c, "Removing webhook %s from %s", c->args.pos[0], cli_label(c, c->app));
	return cli_send(c, "DELETE", NULL, err, "/apps/%s/webhooks/%s", c->app, c->args.pos[0]);
}

static int cmd_webhooks_update(struct cli *c, struct err *err)
{
	json_auto_t *body = json_object();

	if (body_of(c, body, err) < 0)
		return -1;
	cli_action(c, "Updating webhook %s for %s", c->args.pos[0], cli_label(c, c->app));
	return cli_send(c, "PATCH", body, err, "/apps/%s/webhooks/%s", c->app, c->args.pos[0]);
}

#define NEWEST "seq ..; order=desc,max=1000"

static const struct cli_field delivery_fields[] = {
	{"Delivery ID", "id", FORM_TEXT},	  {"Created", "created_at", FORM_WHEN},
	{"Status", "status", FORM_TEXT},	  {"Include", "event.include", FORM_TEXT},
	{"Level", "webhook.level", FORM_TEXT},	  {"Attempts", "num_attempts", FORM_TEXT},
	{"Code", "last_attempt.code", FORM_TEXT}, {"Error", "last_attempt.error_class", FORM_TEXT},
	{"Next", "next_attempt_at", FORM_WHEN},	  {0}};

static int cmd_deliveries(struct cli *c, struct err *err)
{
	const char *status = cli_opt(&c->args, "status");
	json_auto_t *list = NULL;
	int rc;

	if (status)
		rc = cli_api_part(c, NEWEST, &list, err,
				  "/apps/%s/webhook-deliveries?eq[status]=%s", c->app, status);
	else
		rc = cli_api_part(c, NEWEST, &list, err, "/apps/%s/webhook-deliveries", c->app);
	return rc < 0 ? -1 : cli_show_list(c, list, delivery_fields, NULL, "%s has no deliveries");
}

static int cmd_deliveries_info(struct cli *c, struct err *err)
{
	json_auto_t *one = NULL, *event = NULL;

	if (cli_api(c, "GET", NULL, &one, err, "/apps/%s/webhook-deliveries/%s", c->app,
		    c->args.pos[0]) < 0)
		return -1;
	cli_show_fields(c, one, delivery_fields, cli_js(one, "id"));
	if (cli_json(c))
		return 0;
	if (cli_api(c, "GET", NULL, &event, err, "/apps/%s/webhook-events/%s", c->app,
		    cli_js(one, "event.id")) < 0)
		return -1;
	printf("\n");
	cli_header(c, "Event Payload");
	cli_print_json(c, json_object_get(event, "payload"));
	return 0;
}

static int cmd_events(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {{"Event ID", "id", FORM_TEXT},
					       {"Resource", "payload.resource", FORM_TEXT},
					       {"Action", "payload.action", FORM_TEXT},
					       {"Published At", "created_at", FORM_WHEN},
					       {0}};
	json_auto_t *list = NULL;

	if (cli_api_part(c, NEWEST, &list, err, "/apps/%s/webhook-events", c->app) < 0)
		return -1;
	return cli_show_list(c, list, row, NULL, "%s has no events");
}

static int cmd_events_info(struct cli *c, struct err *err)
{
	json_auto_t *one = NULL;

	if (cli_api(c, "GET", NULL, &one, err, "/apps/%s/webhook-events/%s", c->app,
		    c->args.pos[0]) < 0)
		return -1;
	if (!cli_json(c))
		cli_header(c, "%s", cli_js(one, "id"));
	cli_print_json(c, cli_json(c) ? one : json_object_get(one, "payload"));
	return 0;
}

#define WEBHOOK                                                          \
	{                                                                \
		"ID", COMPLETE_WEBHOOK, "id of the webhook", true, false \
	}
#define HOOK_OPTS                                                                                  \
	VALUE('i', "include", "ENTITIES", NONE,                                                    \
	      "what to tell of, with commas: api:release, api:build, dyno ..."),                   \
		VALUE('l', "level", "LEVEL", LEVEL, "notify: tried once; sync: until it arrives"), \
		VALUE('u', "url", "URL", NONE, "where to post to"),                                \
		VALUE('s', "secret", "SECRET", NONE, "key of the signature"),                      \
		VALUE('t', "authorization", "TEXT", NONE, "Authorization header to send")

const struct cli_cmd cli_cmds_webhooks[] = {
	{.name = "webhooks",
	 .help = "list the webhooks of an app",
	 .flags = CLI_APP,
	 .run = cmd_webhooks,
	 .examples = "webhooks -a my-app"},
	{.name = "webhooks:add",
	 .help = "post to a URL when something happens to an app",
	 .opts = OPTS(HOOK_OPTS),
	 .flags = CLI_APP,
	 .run = cmd_webhooks_add,
	 .examples =
		 "webhooks:add -i api:release,api:build -l notify -u https://example.com/hooks"},
	{.name = "webhooks:info",
	 .help = "show a webhook",
	 .args = ARGS(WEBHOOK),
	 .flags = CLI_APP,
	 .run = cmd_webhooks_info,
	 .examples = "webhooks:info 99999999-9999-9999-9999-999999999999"},
	{.name = "webhooks:update",
	 .help = "change a webhook",
	 .args = ARGS(WEBHOOK),
	 .opts = OPTS(HOOK_OPTS),
	 .flags = CLI_APP,
	 .run = cmd_webhooks_update,
	 .examples = "webhooks:update 99999999-9999-9999-9999-999999999999 -i dyno -l notify "
		     "-u https://example.com/hooks"},
	{.name = "webhooks:remove",
	 .help = "remove a webhook",
	 .args = ARGS(WEBHOOK),
	 .flags = CLI_APP,
	 .run = cmd_webhooks_remove,
	 .examples = "webhooks:remove 99999999-9999-9999-9999-999999999999"},
	{.name = "webhooks:deliveries",
	 .help = "list the deliveries of an app's webhooks",
	 .opts = OPTS(VALUE('s', "status", "STATUS", NONE,
			    "only pending, scheduled, retrying, failed or succeeded ones")),
	 .flags = CLI_APP,
	 .run = cmd_deliveries,
	 .examples = "webhooks:deliveries -a my-app\nwebhooks:deliveries -s failed"},
	{.name = "webhooks:deliveries:info",
	 .help = "show a delivery and what it carried",
	 .args = ARGS({"ID", COMPLETE_NONE, "id of the delivery", true, false}),
	 .flags = CLI_APP,
	 .run = cmd_deliveries_info,
	 .examples = "webhooks:deliveries:info 99999999-9999-9999-9999-999999999999"},
	{.name = "webhooks:events",
	 .help = "list the events of an app that webhooks tell of",
	 .flags = CLI_APP,
	 .run = cmd_events,
	 .examples = "webhooks:events -a my-app"},
	{.name = "webhooks:events:info",
	 .help = "show an event",
	 .args = ARGS({"ID", COMPLETE_NONE, "id of the event", true, false}),
	 .flags = CLI_APP,
	 .run = cmd_events_info,
	 .examples = "webhooks:events:info 99999999-9999-9999-9999-999999999999"},
	{0},
};
