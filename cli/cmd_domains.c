/* Host names of an app. */
#include "cli/cli.h"
#include "cli/table.h"

#include <poll.h>
#include <string.h>

#define ALL	"id ..; max=1000;"
#define WAIT_MS 5000

static int get_all(struct cli *c, json_t **out, struct err *err)
{
	AUTO(auto_str) char *path = cli_pathf("/apps/%s/domains", c->app);
	struct cli_req r = {.method = "GET", .path = path, .range = ALL};

	return cli_request(c, &r, out, err);
}

static json_t *of_kind(const json_t *list, const char *kind)
{
	json_auto_t *some = json_array();
	size_t i;
	json_t *d;

	json_array_foreach(list, i, d) if (strcmp(cli_js(d, "kind"), kind) == 0)
		json_array_append(some, d);
	return cli_sorted(some, "hostname");
}

static const struct cli_field row[] = {{"Domain Name", "hostname", FORM_TEXT},
				       {"DNS Target", "cname", FORM_TEXT},
				       {"SNI Endpoint", "sni_endpoint.name", FORM_TEXT},
				       {"ACM", "acm_status", FORM_TEXT},
				       {0}};

static void print_csv(const json_t *list)
{
	size_t i;
	json_t *d;

	printf("Domain Name,DNS Target,SNI Endpoint,ACM\n");
	json_array_foreach(list, i, d)
		cli_line("%s,%s,%s,%s", cli_js(d, "hostname"), cli_js(d, "cname"),
			 cli_js(d, "sni_endpoint.name"), cli_js(d, "acm_status"));
}

static int cmd_domains(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL, *own = NULL, *built_in = NULL;
	json_t *first;

	if (get_all(c, &list, err) < 0)
		return -1;
	own = of_kind(list, "custom");
	built_in = of_kind(list, "heroku");
	first = json_array_get(built_in, 0);
	if (cli_json(c)) {
		cli_print_json(c, list);
		return 0;
	}
	if (cli_opt(&c->args, "csv")) {
		print_csv(own);
		return 0;
	}
	if (first) {
		cli_header(c, "%s Heroku Domain", c->app);
		cli_line("%s", cli_js(first, "hostname"));
	}
	if (!json_array_size(own))
		return 0;
	printf("\n");
	return cli_show_list(c, own, row, "%s Custom Domains", "");
}

/* Until its status is no longer pending. */
static int wait_for(struct cli *c, const char *hostname, const char *id, json_t **out,
		    struct err *err)
{
	cli_action(c, "Waiting for %s", hostname);
	for (;;) {
		json_auto_t *d = NULL;
		const char *status;

		if (cli_api(c, "GET", NULL, &d, err, "/apps/%s/domains/%s", c->app, id) < 0)
			return -1;
		status = cli_js(d, "status");
		if (strcmp(status, "pending") == 0) {
			for (int i = 0; i < WAIT_MS / 100; i++) {
				poll(NULL, 0, 100);
				cli_spin(c);
			}
			continue;
		}
		if (strcmp(status, "succeeded") != 0 && strcmp(status, "none") != 0)
			return err_set(err, ERR_INTERNAL,
				       "The domain creation finished with status %s", status);
		cli_action_done(c, "%s", "");
		if (out)
			*out = json_incref(d);
		return 0;
	}
}

static int cmd_add(struct cli *c, struct err *err)
{
	const char *host = c->args.pos[0], *cert = cli_opt(&c->args, "cert");
	json_auto_t *body = NULL, *certs = NULL, *d = NULL, *after = NULL;

	if (!cert) {
		if (cli_api(c, "GET", NULL, &certs, err, "/apps/%s/sni-endpoints", c->app) < 0)
			return -1;
		if (json_array_size(certs) > 1)
			return err_set(err, ERR_BAD_REQUEST,
				       "%s has several certificates: say which with --cert",
				       c->app);
		cert = json_array_size(certs) ? cli_js(json_array_get(certs, 0), "name") : NULL;
	}
	body = json_pack("{ss ss?}", "hostname", host, "sni_endpoint", cert);
	if (!cert)
		json_object_set_new(body, "sni_endpoint", json_null());
	cli_action(c, "Adding %s to %s", host, cli_label(c, c->app));
	if (cli_api(c, "POST", body, &d, err, "/apps/%s/domains", c->app) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	if (cli_opt(&c->args, "wait") && wait_for(c, host, cli_js(d, "id"), &after, err) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, after ? after : d);
		return 0;
	}
	cli_line("Configure your app's DNS provider to point to the DNS Target %s.",
		 cli_js(d, "cname"));
	if (!after && strcmp(cli_js(d, "status"), "pending") == 0)
		cli_line("The domain %s has been enqueued for addition.\n"
			 "Run paasctl domains:wait %s to wait for completion.",
			 host, host);
	return 0;
}

static int cmd_info(struct cli *c, struct err *err)
{
	static const struct cli_field fields[] = {
		{"acm_status", "acm_status", FORM_TEXT},
		{"acm_status_reason", "acm_status_reason", FORM_TEXT},
		{"app", "app.name", FORM_TEXT},
		{"cname", "cname", FORM_TEXT},
		{"created_at", "created_at", FORM_TEXT},
		{"hostname", "hostname", FORM_TEXT},
		{"id", "id", FORM_TEXT},
		{"kind", "kind", FORM_TEXT},
		{"sni_endpoint", "sni_endpoint.name", FORM_TEXT},
		{"status", "status", FORM_TEXT},
		{"updated_at", "updated_at", FORM_TEXT},
		{0}};
	json_auto_t *d = NULL;

	if (cli_api(c, "GET", NULL, &d, err, "/apps/%s/domains/%s", c->app, c->args.pos[0]) < 0)
		return -1;
	return cli_show_fields(c, d, fields, NULL);
}

static int cmd_remove(struct cli *c, struct err *err)
{
	cli_action(c, "Removing %s from %s", c->args.pos[0], cli_label(c, c->app));
	return cli_send(c, "DELETE", NULL, err, "/apps/%s/domains/%s", c->app, c->args.pos[0]);
}

static int cmd_update(struct cli *c, struct err *err)
{
	const char *cert = cli_opt(&c->args, "cert");
	json_auto_t *body = json_pack("{ss?}", "sni_endpoint", cert);

	if (!cert)
		return err_set(err, ERR_BAD_REQUEST, "Missing required flag cert");
	cli_action(c, "Updating %s to use %s certificate", c->args.pos[0], cert);
	return cli_send(c, "PATCH", body, err, "/apps/%s/domains/%s", c->app, c->args.pos[0]);
}

/* As they are after the wait. */
static int print_waited(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL;

	if (c->args.npos ? cli_api(c, "GET", NULL, &list, err, "/apps/%s/domains/%s", c->app,
				   c->args.pos[0]) < 0
			 : get_all(c, &list, err) < 0)
		return -1;
	cli_print_json(c, list);
	return 0;
}

static int cmd_wait(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL, *one = NULL;
	size_t i;
	json_t *d;

	if (c->args.npos) {
		if (cli_api(c, "GET", NULL, &one, err, "/apps/%s/domains/%s", c->app,
			    c->args.pos[0]) < 0)
			return -1;
		list = json_pack("[O]", one);
	} else if (get_all(c, &list, err) < 0) {
		return -1;
	}
	json_array_foreach(list, i, d)
	{
		if (!c->args.npos && strcmp(cli_js(d, "status"), "pending") != 0)
			continue;
		if (wait_for(c, cli_js(d, "hostname"), cli_js(d, "id"), NULL, err) < 0)
			return -1;
	}
	return cli_json(c) ? print_waited(c, err) : 0;
}

static int cmd_clear(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL, *own = NULL;
	size_t i;
	json_t *d;

	cli_action(c, "Removing all domains from %s", cli_label(c, c->app));
	if (get_all(c, &list, err) < 0)
		return -1;
	own = of_kind(list, "custom");
	json_array_foreach(own, i, d)
	{
		if (cli_api(c, "DELETE", NULL, NULL, err, "/apps/%s/domains/%s", c->app,
			    cli_js(d, "hostname")) < 0)
			return -1;
	}
	cli_action_done(c, "%s", "");
	if (cli_json(c))
		cli_print_json(c, own);
	return 0;
}

#define HOSTNAME                                                      \
	{                                                             \
		"HOSTNAME", COMPLETE_DOMAIN, "host name", true, false \
	}
#define CERT VALUE('c', "cert", "CERT", CERT, "name of the certificate that serves it")

const struct cli_cmd cli_cmds_domains[] = {
	{.name = "domains",
	 .help = "list the host names of an app",
	 .opts = OPTS(SWITCH(0, "csv", "output in csv format")),
	 .flags = CLI_APP,
	 .run = cmd_domains,
	 .examples = "domains -a my-app"},
	{.name = "domains:add",
	 .help = "add a host name to an app",
	 .args = ARGS({"HOSTNAME", COMPLETE_NONE, "host name, also *.example.com", true, false}),
	 .opts = OPTS(CERT, SWITCH(0, "wait", "until it is served")),
	 .flags = CLI_APP,
	 .run = cmd_add,
	 .examples = "domains:add www.example.com -a my-app\ndomains:add www.example.com --cert "
		     "tokyo-1050"},
	{.name = "domains:info",
	 .help = "show a host name",
	 .args = ARGS(HOSTNAME),
	 .flags = CLI_APP,
	 .run = cmd_info,
	 .examples = "domains:info www.example.com"},
	{.name = "domains:remove",
	 .help = "remove a host name",
	 .args = ARGS(HOSTNAME),
	 .flags = CLI_APP,
	 .run = cmd_remove,
	 .examples = "domains:remove www.example.com"},
	{.name = "domains:update",
	 .help = "serve a host name with another certificate",
	 .args = ARGS(HOSTNAME),
	 .opts = OPTS(CERT),
	 .flags = CLI_APP,
	 .run = cmd_update,
	 .examples = "domains:update www.example.com --cert tokyo-1050"},
	{.name = "domains:wait",
	 .help = "wait until a host name, or all of them, are served",
	 .args = ARGS({"HOSTNAME", COMPLETE_DOMAIN, "host name; all by default", false, false}),
	 .flags = CLI_APP,
	 .run = cmd_wait,
	 .examples = "domains:wait www.example.com"},
	{.name = "domains:clear",
	 .help = "remove all host names but the built-in one",
	 .flags = CLI_APP,
	 .run = cmd_clear,
	 .examples = "domains:clear -a my-app"},
	{0},
};
