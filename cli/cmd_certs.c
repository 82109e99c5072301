/* Certificates of an app. */
#include "cli/cli.h"
#include "cli/table.h"

#include <string.h>

#define PEM_MAX (1024 * 1024)

static int get_all(struct cli *c, json_t **out, struct err *err)
{
	return cli_api(c, "GET", NULL, out, err, "/apps/%s/sni-endpoints", c->app);
}

static int cmd_certs(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {
		{"Name", "name", FORM_TEXT},
		{"Common Name(s)", "ssl_cert.cert_domains", FORM_LIST},
		{"Expires", "ssl_cert.expires_at", FORM_TEXT},
		{"Trusted", "ssl_cert.ca_signed?", FORM_TEXT},
		{"Domains", "count", FORM_TEXT},
		{0}};
	json_auto_t *list = NULL;
	size_t i;
	json_t *e;

	if (get_all(c, &list, err) < 0)
		return -1;
	if (!cli_json(c))
		json_array_foreach(list, i, e) json_object_set_new(
			e, "count",
			json_integer((json_int_t)json_array_size(json_object_get(e, "domains"))));
	return cli_show_list(
		c, list, row, NULL,
		"%s has no SSL certificates.\nUse paasctl certs:add CRT KEY to add one.");
}

static int pem_body(struct cli *c, json_t **body, struct err *err)
{
	AUTO(buf_clear) struct buf crt = {0};
	AUTO(buf_clear) struct buf key = {0};

	if (cli_read_file(c->args.pos[0], PEM_MAX, &crt, err) < 0 ||
	    cli_read_file(c->args.pos[1], PEM_MAX, &key, err) < 0)
		return -1;
	if (strstr(buf_str(&crt), "PRIVATE KEY"))
		return err_set(err, ERR_BAD_REQUEST,
			       "%s has a private key: give the certificate first", c->args.pos[0]);
	*body = json_pack("{ss ss}", "certificate_chain", buf_str(&crt), "private_key",
			  buf_str(&key));
	explicit_bzero(key.data, key.len);
	return *body ? 0 : err_set(err, ERR_BAD_REQUEST, "the files are not PEM text");
}

static const struct cli_field cert_fields[] = {
	{"Common Name(s)", "ssl_cert.cert_domains", FORM_LINES},
	{"Expires At", "ssl_cert.expires_at", FORM_TEXT},
	{"Issuer", "ssl_cert.issuer", FORM_TEXT},
	{"Starts At", "ssl_cert.starts_at", FORM_TEXT},
	{"Subject", "ssl_cert.subject", FORM_TEXT},
	{0}};

static int show_cert(struct cli *c, const json_t *e)
{
	cli_show_fields(c, e, cert_fields, NULL);
	if (cli_json(c))
		return 0;
	if (strcmp(cli_js(e, "ssl_cert.issuer"), cli_js(e, "ssl_cert.subject")) == 0)
		cli_line("SSL certificate is self signed.");
	else
		cli_line("SSL certificate is %sverified by a root authority.",
			 json_is_true(cli_at(e, "ssl_cert.ca_signed?")) ? "" : "not ");
	return 0;
}

/* Whether the name, or its wildcard, is one of the certificate's. */
static bool covers(const json_t *cert, const char *host)
{
	const char *dot = strchr(host, '.');
	size_t i;
	json_t *v;

	json_array_foreach(cli_at(cert, "ssl_cert.cert_domains"), i, v)
	{
		const char *name = cli_js(v, "");

		if (strcmp(name, host) == 0 ||
		    (strncmp(name, "*.", 2) == 0 && dot && strcmp(name + 1, dot) == 0))
			return true;
	}
	return false;
}

/* Its host names on the app that nothing serves yet are served with the new certificate. */
static int serve_domains(struct cli *c, const json_t *cert, struct err *err)
{
	json_auto_t *domains = NULL,
		    *body = json_pack("{ss}", "sni_endpoint", cli_js(cert, "name"));
	size_t i;
	json_t *d;

	if (cli_api(c, "GET", NULL, &domains, err, "/apps/%s/domains", c->app) < 0)
		return -1;
	json_array_foreach(domains, i, d)
	{
		const char *host = cli_js(d, "hostname");

		if (strcmp(cli_js(d, "kind"), "custom") != 0 || cli_js(d, "sni_endpoint.id")[0] ||
		    !covers(cert, host))
			continue;
		cli_action(c, "Serving %s with %s", host, cli_js(cert, "name"));
		if (cli_api(c, "PATCH", body, NULL, err, "/apps/%s/domains/%s", c->app, host) < 0)
			return -1;
		cli_action_done(c, "%s", "");
	}
	return 0;
}

static int cmd_add(struct cli *c, struct err *err)
{
	json_auto_t *body = NULL, *made = NULL;

	if (pem_body(c, &body, err) < 0)
		return -1;
	cli_action(c, "Adding SSL certificate to %s", cli_label(c, c->app));
	if (cli_api(c, "POST", body, &made, err, "/apps/%s/sni-endpoints", c->app) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	return serve_domains(c, made, err) < 0 ? -1 : show_cert(c, made);
}

/* The one that --name means; the only one without it. */
static int pick(struct cli *c, json_t **out, struct err *err)
{
	const char *name = cli_opt(&c->args, "name");
	json_auto_t *list = NULL;
	json_t *e;

	if (get_all(c, &list, err) < 0)
		return -1;
	if (!json_array_size(list))
		return err_set(err, ERR_NOT_FOUND, "%s has no SSL certificates.", c->app);
	if (!name && json_array_size(list) > 1)
		return err_set(err, ERR_BAD_REQUEST,
			       "%s has several certificates: say which with --name", c->app);
	e = name ? cli_find(list, "name", name) : json_array_get(list, 0);
	if (!e)
		return err_set(err, ERR_NOT_FOUND, "%s has no certificate %s.", c->app, name);
	*out = json_incref(e);
	return 0;
}

static int cmd_info(struct cli *c, struct err *err)
{
	json_auto_t *found = NULL, *e = NULL;
	size_t i;
	json_t *id;

	if (pick(c, &found, err) < 0)
		return -1;
	cli_action(c, "Fetching SSL certificate %s info for %s", cli_js(found, "name"),
		   cli_label(c, c->app));
	if (cli_api(c, "GET", NULL, &e, err, "/apps/%s/sni-endpoints/%s", c->app,
		    cli_js(found, "name")) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	show_cert(c, e);
	if (cli_json(c) || !cli_opt(&c->args, "show-domains"))
		return 0;
	json_array_foreach(json_object_get(e, "domains"), i, id)
	{
		json_auto_t *d = NULL;

		if (cli_api(c, "GET", NULL, &d, err, "/apps/%s/domains/%s", c->app,
			    cli_js(id, "")) < 0)
			return -1;
		cli_line("Domain: %s", cli_js(d, "hostname"));
	}
	return 0;
}

static int confirm(struct cli *c, const char *doing, const json_t *e, struct err *err)
{
	AUTO(auto_str)
	char *what =
		xasprintf("Potentially Destructive Action\nThis command will %s the certificate "
			  "%s of %s.",
			  doing, cli_js(e, "name"), c->app);

	return cli_confirm(c, c->app, what, err);
}

static int cmd_update(struct cli *c, struct err *err)
{
	json_auto_t *body = NULL, *e = NULL, *after = NULL;

	if (pem_body(c, &body, err) < 0 || pick(c, &e, err) < 0 || confirm(c, "change", e, err) < 0)
		return -1;
	cli_action(c, "Updating SSL certificate %s for %s", cli_js(e, "name"),
		   cli_label(c, c->app));
	if (cli_api(c, "PATCH", body, &after, err, "/apps/%s/sni-endpoints/%s", c->app,
		    cli_js(e, "name")) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	return show_cert(c, after);
}

static int cmd_remove(struct cli *c, struct err *err)
{
	json_auto_t *e = NULL;

	if (pick(c, &e, err) < 0 || confirm(c, "remove", e, err) < 0)
		return -1;
	cli_action(c, "Removing SSL certificate %s from %s", cli_js(e, "name"),
		   cli_label(c, c->app));
	return cli_send(c, "DELETE", NULL, err, "/apps/%s/sni-endpoints/%s", c->app,
			cli_js(e, "name"));
}

/* Host names are letters, digits, "-", "." and "*": nothing that openssl's -subj would split at. */
static bool host_name(const char *s)
{
	return *s && strlen(s) < 254 && s[0] != '-' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.*") ==
		       strlen(s);
}

static int cmd_generate(struct cli *c, struct err *err)
{
	const char *domain = c->args.pos[0];
	bool self = cli_opt(&c->args, "selfsigned") != NULL;
	AUTO(auto_str) char *subject = NULL;
	AUTO(auto_str) char *san = NULL;
	AUTO(auto_str) char *key = NULL;
	AUTO(auto_str) char *out = NULL;
	char base[256];
	int rc;

	if (!host_name(domain))
		return err_set(err, ERR_BAD_REQUEST, "%.80s is not a host name", domain);
	snprintf(base, sizeof base, "%s", domain);
	for (char *p = base; *p; p++)
		*p = *p == '*' ? '_' : *p;
	key = xasprintf("%s.key", base);
	out = xasprintf("%s.%s", base, self ? "crt" : "csr");
	if (access(key, F_OK) == 0 || access(out, F_OK) == 0)
		return err_set(err, ERR_CONFLICT, "%s or %s is there already: nothing was made",
			       key, out);
	subject = xasprintf("/CN=%s", domain);
	san = xasprintf("subjectAltName=DNS:%s", domain);
	rc = cli_run_tty((const char *const[]){"openssl",
					       "req",
					       "-new",
					       "-newkey",
					       "rsa:2048",
					       "-nodes",
					       "-sha256",
					       "-batch",
					       "-subj",
					       subject,
					       "-addext",
					       san,
					       "-keyout",
					       key,
					       "-out",
					       out,
					       self ? "-x509" : NULL,
					       "-days",
					       "365",
					       NULL});
	if (rc != 0)
		return err_set(err, ERR_INTERNAL,
			       rc < 0 ? "openssl could not be started" : "openssl failed");
	if (self)
		cli_line(
			"Your self-signed certificate and its key are in %s and %s.\nNext: paasctl "
			"certs:add %s %s",
			out, key, out, key);
	else
		cli_line("Your signing request and its key are in %s and %s.\nGive %s to your "
			 "certificate authority; then: paasctl certs:add CERTIFICATE %s",
			 out, key, out, key);
	return 0;
}

/* --- automatic certificates --- */

static int cmd_auto(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {{"Domain", "hostname", FORM_TEXT},
					       {"Status", "acm_status", FORM_TEXT},
					       {"Reason", "acm_status_reason", FORM_TEXT},
					       {"Last Updated", "updated_at", FORM_WHEN},
					       {0}};
	json_auto_t *app = NULL, *domains = NULL, *one = NULL;
	bool on;

	if (cli_api(c, "GET", NULL, &app, err, "/apps/%s", c->app) < 0)
		return -1;
	on = json_is_true(json_object_get(app, "acm"));
	if (on && cli_api(c, "GET", NULL, &domains, err, "/apps/%s/domains", c->app) < 0)
		return -1;
	one = json_pack("{sb so}", "acm", on, "domains",
			domains ? json_incref(domains) : json_array());
	if (cli_json(c)) {
		cli_print_json(c, one);
		return 0;
	}
	cli_header(c, "Automatic Certificate Management is %s on %s", on ? "enabled" : "disabled",
		   c->app);
	return on ? cli_show_list(c, domains, row, NULL, "") : 0;
}

static int acm(struct cli *c, const char *doing, const char *method, const char *key,
	       struct err *err)
{
	json_auto_t *body = key ? json_pack("{sb}", key, 1) : NULL;

	cli_action(c, "%s Automatic Certificate Management", doing);
	return cli_send(c, method, body, err, "/apps/%s/acm", c->app);
}

static int cmd_auto_enable(struct cli *c, struct err *err)
{
	json_auto_t *none = json_object();

	cli_action(c, "Enabling Automatic Certificate Management");
	return cli_send(c, "POST", none, err, "/apps/%s/acm", c->app);
}

static int cmd_auto_disable(struct cli *c, struct err *err)
{
	if (cli_confirm(c, c->app, "This command will disable Automatic Certificate Management.",
			err) < 0)
		return -1;
	return acm(c, "Disabling", "DELETE", NULL, err);
}

static int cmd_auto_refresh(struct cli *c, struct err *err)
{
	return acm(c, "Refreshing", "PATCH", "acm_refresh", err);
}

#define NAME VALUE(0, "name", "CERT", CERT, "name of the certificate")
#define CRT_KEY                                                                            \
	{"CRT", COMPLETE_FILE, "file of the certificate and its chain, PEM", true, false}, \
	{                                                                                  \
		"KEY", COMPLETE_FILE, "file of its private key, PEM", true, false          \
	}

const struct cli_cmd cli_cmds_certs[] = {
	{.name = "certs",
	 .help = "list the certificates of an app",
	 .flags = CLI_APP,
	 .run = cmd_certs,
	 .examples = "certs -a my-app"},
	{.name = "certs:add",
	 .help = "add a certificate to an app",
	 .more = "Host names of the app that the certificate is for, and that have none yet, are "
		 "served with it.",
	 .args = ARGS(CRT_KEY),
	 .flags = CLI_APP,
	 .run = cmd_add,
	 .examples = "certs:add example.com.crt example.com.key -a my-app"},
	{.name = "certs:info",
	 .help = "show a certificate",
	 .opts = OPTS(NAME, SWITCH(0, "show-domains", "the host names that it serves")),
	 .flags = CLI_APP,
	 .run = cmd_info,
	 .examples = "certs:info -a my-app\ncerts:info --name tokyo-1050"},
	{.name = "certs:update",
	 .help = "put another certificate in the place of one",
	 .args = ARGS(CRT_KEY),
	 .opts = OPTS(NAME, CONFIRM),
	 .flags = CLI_APP,
	 .run = cmd_update,
	 .examples = "certs:update example.com.crt example.com.key -a my-app"},
	{.name = "certs:remove",
	 .help = "remove a certificate",
	 .opts = OPTS(NAME, CONFIRM),
	 .flags = CLI_APP,
	 .run = cmd_remove,
	 .examples = "certs:remove --name tokyo-1050 -a my-app"},
	{.name = "certs:generate",
	 .help = "make a key and a signing request, or a self-signed certificate, with openssl",
	 .args = ARGS({"DOMAIN", COMPLETE_DOMAIN, "host name", true, false}),
	 .opts = OPTS(SWITCH(0, "selfsigned", "a certificate that nobody signed"),
		      SWITCH(0, "now", NULL)),
	 .flags = CLI_APP_OPTIONAL | CLI_OFFLINE | CLI_NO_KEY | CLI_NO_JSON,
	 .run = cmd_generate,
	 .examples = "certs:generate example.com\ncerts:generate example.com --selfsigned"},
	{.name = "certs:auto",
	 .help = "show the state of automatic certificates",
	 .flags = CLI_APP,
	 .run = cmd_auto,
	 .examples = "certs:auto -a my-app"},
	{.name = "certs:auto:enable",
	 .help = "get certificates automatically",
	 .flags = CLI_APP,
	 .run = cmd_auto_enable,
	 .examples = "certs:auto:enable -a my-app"},
	{.name = "certs:auto:disable",
	 .help = "get no certificates automatically",
	 .opts = OPTS(CONFIRM),
	 .flags = CLI_APP,
	 .run = cmd_auto_disable,
	 .examples = "certs:auto:disable -a my-app"},
	{.name = "certs:auto:refresh",
	 .help = "try again to get certificates",
	 .flags = CLI_APP,
	 .run = cmd_auto_refresh,
	 .examples = "certs:auto:refresh -a my-app"},
	{0},
};
