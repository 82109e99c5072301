/* Add-ons: what an app uses and the platform looks after. */
#include "cli/cli.h"
#include "cli/table.h"

#include <poll.h>
#include <string.h>

#define WAIT_MS 2000

/* "free", "$5/month" */
static char *price(const json_t *plan)
{
	long long cents = cli_jint(plan, "price.cents");

	if (!cents)
		return xstrdup("free");
	return cents % 100 ? xasprintf("$%lld.%02lld/month", cents / 100, cents % 100)
			   : xasprintf("$%lld/month", cents / 100);
}

/* --- lists --- */

/* Attachments of the add-on, "FAKE, web::CACHE": those of other apps with their names. */
static void names_of(const json_t *attachments, const char *addon_id, const char *app,
		     struct buf *out)
{
	size_t i;
	json_t *t;

	json_array_foreach(attachments, i, t)
	{
		const char *of = cli_js(t, "app.name");

		if (strcmp(cli_js(t, "addon.id"), addon_id) != 0)
			continue;
		buf_addf(out, "%s%s%s%s", out->len ? ", " : "",
			 app && strcmp(of, app) == 0 ? "" : of,
			 app && strcmp(of, app) == 0 ? "" : "::", cli_js(t, "name"));
	}
}

static void print_addons(const json_t *list, const json_t *attachments, const char *app)
{
	AUTO(cli_table_clear) struct cli_table t = {.cols = 6};
	size_t i;
	json_t *a;

	cli_table_row(&t,
		      (const char *[]){"Add-on", "Plan", "Price", "State", "App", "Attached as"});
	json_array_foreach(list, i, a)
	{
		AUTO(auto_str) char *cost = price(json_object_get(a, "plan"));
		AUTO(buf_clear) struct buf names = {0};

		names_of(attachments, cli_js(a, "id"), app, &names);
		cli_table_row(&t, (const char *[]){cli_js(a, "name"), cli_js(a, "plan.name"), cost,
						   cli_js(a, "state"), cli_js(a, "app.name"),
						   buf_str(&names)});
	}
	cli_table_print(&t, stdout);
}

static int cmd_addons(struct cli *c, struct err *err)
{
	bool all = cli_opt(&c->args, "all") != NULL;
	json_auto_t *list = NULL, *attachments = NULL;
	int rc;

	if (!all && cli_find_app(c, err) < 0)
		return -1;
	rc = all ? cli_api(c, "GET", NULL, &list, err, "/addons")
		 : cli_api(c, "GET", NULL, &list, err, "/apps/%s/addons", c->app);
	if (rc < 0 || cli_api(c, "GET", NULL, &attachments, err, "/addon-attachments") < 0)
		return -1;
	if (cli_json(c))
		cli_print_json(c, list);
	else if (json_array_size(list))
		print_addons(list, attachments, c->app);
	else if (all)
		cli_line("You have no add-ons.");
	else
		cli_line("%s has no add-ons. See paasctl addons:services.", c->app);
	return 0;
}

static int cmd_services(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {{"Service", "name", FORM_TEXT},
					       {"Name", "human_name", FORM_TEXT},
					       {"About", "description", FORM_TEXT},
					       {0}};
	json_auto_t *list = NULL;

	if (cli_api(c, "GET", NULL, &list, err, "/addon-services") < 0)
		return -1;
	return cli_show_list(c, list, row, NULL, "This platform has no add-on services.");
}

static void print_limits(const json_t *plan, struct buf *out)
{
	const char *name;
	json_t *v;

	json_object_foreach(json_object_get(plan, "limits"), name, v)
	{
		AUTO(auto_str) char *text = json_dumps(v, JSON_ENCODE_ANY);

		buf_addf(out, "%s%s=%s", out->len ? " " : "", name, text);
	}
}

static int cmd_plans(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL;
	AUTO(cli_table_clear) struct cli_table t = {.cols = 5};
	size_t i;
	json_t *p;

	if (cli_api(c, "GET", NULL, &list, err, "/addon-services/%s/plans", c->args.pos[0]) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, list);
		return 0;
	}
	cli_table_row(&t, (const char *[]){"Plan", "Name", "Price", "Limits", ""});
	json_array_foreach(list, i, p)
	{
		AUTO(auto_str) char *cost = price(p);
		AUTO(buf_clear) struct buf limits = {0};

		print_limits(p, &limits);
		cli_table_row(&t, (const char *[]){cli_js(p, "name"), cli_js(p, "human_name"), cost,
						   buf_str(&limits),
						   json_is_true(json_object_get(p, "default"))
							   ? "default"
							   : ""});
	}
	cli_table_print(&t, stdout);
	return 0;
}

/* --- one of them --- */

/* The add-on that a word means, of the app when one was found, else of any. */
static int resolve(struct cli *c, const char *word, json_t **out, struct err *err)
{
	json_auto_t *body = json_pack("{ss}", "addon", word), *list = NULL;
	AUTO(buf_clear) struct buf names = {0};
	struct err none = {0};
	size_t i;
	json_t *a;

	if ((c->app || cli_find_app(c, &none) == 0) && c->app)
		json_object_set_new(body, "app", json_string(c->app));
	if (cli_api(c, "POST", body, &list, err, "/actions/addons/resolve") < 0)
		return -1;
	if (json_array_size(list) == 1) {
		*out = json_incref(json_array_get(list, 0));
		return 0;
	}
	json_array_foreach(list, i, a) buf_addf(&names, "%s%s", i ? ", " : "", cli_js(a, "name"));
	return err_set(err, ERR_BAD_REQUEST, "%s may be any of %s: give its name", word,
		       buf_str(&names));
}

static int attachments_of(struct cli *c, const json_t *addon, json_t **out, struct err *err)
{
	return cli_api(c, "GET", NULL, out, err, "/addons/%s/addon-attachments",
		       cli_js(addon, "id"));
}

static int cmd_info(struct cli *c, struct err *err)
{
	static const struct cli_field fields[] = {{"Plan", "plan.name", FORM_TEXT},
						  {"Price", "price", FORM_TEXT},
						  {"Limits", "limits", FORM_TEXT},
						  {"App", "app.name", FORM_TEXT},
						  {"Attached as", "attached", FORM_TEXT},
						  {"Config vars", "config_vars", FORM_LIST},
						  {"State", "state", FORM_TEXT},
						  {"Under way", "task.name", FORM_TEXT},
						  {"Tries", "task.tries", FORM_TEXT},
						  {"Again at", "task.next_at", FORM_WHEN},
						  {"Failure", "task.failure", FORM_TEXT},
						  {"Provider says", "provision_message", FORM_TEXT},
						  {"Created", "created_at", FORM_WHEN},
						  {0}};
	json_auto_t *addon = NULL, *list = NULL, *shown = NULL;
	AUTO(buf_clear) struct buf names = {0};
	AUTO(buf_clear) struct buf limits = {0};
	AUTO(auto_str) char *cost = NULL;

	if (resolve(c, c->args.pos[0], &addon, err) < 0 || attachments_of(c, addon, &list, err) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, addon);
		return 0;
	}
	shown = json_copy(addon);
	cost = price(json_object_get(addon, "plan"));
	names_of(list, cli_js(addon, "id"), cli_js(addon, "app.name"), &names);
	print_limits(json_object_get(addon, "plan"), &limits);
	json_object_set_new(shown, "price", json_string(cost));
	json_object_set_new(shown, "attached", json_string(buf_str(&names)));
	json_object_set_new(shown, "limits", json_string(buf_str(&limits)));
	if (strcmp(cli_js(addon, "task.name"), "none") == 0)
		json_object_set_new(shown, "task",
				    json_pack("{sO}", "failure", cli_at(addon, "task.failure")));
	return cli_show_fields(c, shown, fields, cli_js(addon, "name"));
}

/* --- make --- */

/* "--key value --flag --x=y" after "--". */
static int options(struct cli *c, json_t *config, struct err *err)
{
	for (int i = 1; i < c->args.npos; i++) {
		const char *word = c->args.pos[i], *eq = strchr(word, '=');
		const char *next = i + 1 < c->args.npos ? c->args.pos[i + 1] : NULL;
		AUTO(auto_str) char *name = NULL;

		if (strncmp(word, "--", 2) != 0 || !word[2])
			return err_set(err, ERR_BAD_REQUEST,
				       "%s is no option of an add-on: write -- --NAME VALUE", word);
		name = xstrndup(word + 2, eq ? (size_t)(eq - word - 2) : strlen(word + 2));
		if (eq)
			next = eq + 1;
		else if (next && strncmp(next, "--", 2) != 0)
			i++;
		else
			next = "true";
		json_object_set_new(config, name, json_string(next));
	}
	return 0;
}

static int get(struct cli *c, const char *id, json_t **out, struct err *err)
{
	return cli_api(c, "GET", NULL, out, err, "/addons/%s", id);
}

/* Until it is provisioned. */
static int wait_for(struct cli *c, const char *id, const char *name, json_t **out, struct err *err)
{
	cli_action(c, "Waiting for %s", name);
	for (;;) {
		json_auto_t *a = NULL;
		const char *state;

		if (get(c, id, &a, err) < 0)
			return -1;
		state = cli_js(a, "state");
		if (strcmp(state, "provisioned") == 0) {
			cli_action_done(c, "%s", "");
			if (out)
				*out = json_incref(a);
			return 0;
		}
		if (strcmp(state, "provisioning") != 0)
			return err_set(err, ERR_UNAVAILABLE, "%s was not provisioned: %s", name,
				       cli_js(a, "provision_message"));
		for (int i = 0; i < WAIT_MS / 100; i++) {
			poll(NULL, 0, 100);
			cli_spin(c);
		}
	}
}

static void vars_text(const json_t *addon, struct buf *out)
{
	size_t i;
	json_t *v;

	json_array_foreach(json_object_get(addon, "config_vars"), i, v)
		buf_addf(out, "%s%s", i ? ", " : "", json_string_value(v));
}

static void say_made(struct cli *c, const json_t *a)
{
	AUTO(buf_clear) struct buf vars = {0};

	vars_text(a, &vars);
	if (cli_js(a, "provision_message")[0])
		cli_line("%s", cli_js(a, "provision_message"));
	if (strcmp(cli_js(a, "state"), "provisioning") == 0)
		cli_line("%s is being made in the background; the app will restart when it is "
			 "there.\nUse paasctl addons:wait %s to wait for it.",
			 cli_js(a, "name"), cli_js(a, "name"));
	else
		cli_line("Created %s as %s", cli_js(a, "name"), buf_str(&vars));
	(void)c;
}

/* Sends; an attachment's name that is taken is asked about. */
static int send_confirmed(struct cli *c, json_t *body, const char *path, json_t **out,
			  struct err *err)
{
	const char *given = cli_opt(&c->args, "confirm");
	struct cli_req r = {.method = "POST", .path = path, .body = body};

	if (given)
		json_object_set_new(body, "confirm", json_string(given));
	if (cli_request(c, &r, out, err) == 0)
		return 0;
	if (given || strcmp(err->id, "confirmation_required") != 0)
		return -1;
	cli_action_fail(c);
	if (cli_confirm(c, c->app, err->msg, err) < 0)
		return -1;
	*err = (struct err){0};
	json_object_set_new(body, "confirm", json_string(c->app));
	return cli_request(c, &r, out, err);
}

static int cmd_create(struct cli *c, struct err *err)
{
	const char *as = cli_opt(&c->args, "as"), *name = cli_opt(&c->args, "name");
	json_auto_t *body = json_pack("{s{ss} s{ss?} s{}}", "plan", "name", c->args.pos[0],
				      "attachment", "name", as, "config");
	json_auto_t *made = NULL, *after = NULL;
	AUTO(auto_str) char *path = cli_pathf("/apps/%s/addons", c->app);

	if (!as)
		json_object_del(body, "attachment");
	if (name)
		json_object_set_new(body, "name", json_string(name));
	if (options(c, json_object_get(body, "config"), err) < 0)
		return -1;
	cli_action(c, "Creating %s on %s", c->args.pos[0], cli_label(c, c->app));
	if (send_confirmed(c, body, path, &made, err) < 0)
		return -1;
	{
		AUTO(auto_str) char *cost = price(json_object_get(made, "plan"));

		cli_action_done(c, "%s", cost);
	}
	if (cli_opt(&c->args, "wait") && strcmp(cli_js(made, "state"), "provisioning") == 0 &&
	    wait_for(c, cli_js(made, "id"), cli_js(made, "name"), &after, err) < 0)
		return -1;
	if (cli_json(c))
		cli_print_json(c, after ? after : made);
	else
		say_made(c, after ? after : made);
	return 0;
}

static int wait_one(struct cli *c, const json_t *a, json_t *all, struct err *err)
{
	json_t *after = NULL;

	if (wait_for(c, cli_js(a, "id"), cli_js(a, "name"), &after, err) < 0)
		return -1;
	return json_array_append_new(all, after);
}

static int cmd_wait(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL, *addon = NULL, *all = json_array();
	size_t i;
	json_t *a;

	if (c->args.npos) {
		if (resolve(c, c->args.pos[0], &addon, err) < 0 || wait_one(c, addon, all, err) < 0)
			return -1;
	} else if (cli_find_app(c, err) < 0 ||
		   cli_api(c, "GET", NULL, &list, err, "/apps/%s/addons", c->app) < 0) {
		return -1;
	}
	json_array_foreach(list, i, a) if (strcmp(cli_js(a, "state"), "provisioning") == 0 &&
					   wait_one(c, a, all, err) < 0) return -1;
	if (cli_json(c))
		cli_print_json(c, all);
	return 0;
}

/* --- change --- */

static int cmd_upgrade(struct cli *c, struct err *err)
{
	json_auto_t *addon = NULL, *after = NULL, *body = NULL;
	const char *plan = c->args.pos[1];
	AUTO(auto_str) char *full = NULL;

	if (resolve(c, c->args.pos[0], &addon, err) < 0)
		return -1;
	full = strchr(plan, ':') ? xstrdup(plan)
				 : xasprintf("%s:%s", cli_js(addon, "addon_service.name"), plan);
	body = json_pack("{s{ss}}", "plan", "name", full);
	cli_action(c, "Changing %s from %s to %s", cli_js(addon, "name"),
		   cli_js(addon, "plan.name"), full);
	if (cli_api(c, "PATCH", body, &after, err, "/apps/%s/addons/%s", cli_js(addon, "app.name"),
		    cli_js(addon, "id")) < 0)
		return -1;
	if (cli_js(after, "task.name")[0])
		cli_action_done(c, "under way; see paasctl addons:info %s", cli_js(after, "name"));
	else
		cli_action_done(c, "%s", "");
	if (cli_json(c))
		cli_print_json(c, after);
	else if (cli_js(after, "provision_message")[0])
		cli_line("%s", cli_js(after, "provision_message"));
	return 0;
}

static int cmd_rename(struct cli *c, struct err *err)
{
	json_auto_t *addon = NULL, *body = json_pack("{ss}", "name", c->args.pos[1]);

	if (resolve(c, c->args.pos[0], &addon, err) < 0)
		return -1;
	cli_action(c, "Renaming %s to %s", cli_js(addon, "name"), c->args.pos[1]);
	return cli_send(c, "PATCH", body, err, "/apps/%s/addons/%s", cli_js(addon, "app.name"),
			cli_js(addon, "id"));
}

static int destroy_one(struct cli *c, const json_t *addon, struct err *err)
{
	bool force = cli_opt(&c->args, "force") != NULL;
	json_auto_t *body = json_pack("{sb}", "force", force);

	cli_action(c, "Destroying %s on %s", cli_js(addon, "name"),
		   cli_label(c, cli_js(addon, "app.name")));
	return cli_send(c, "DELETE", body, err, "/apps/%s/addons/%s", cli_js(addon, "app.name"),
			cli_js(addon, "id"));
}

static int cmd_destroy(struct cli *c, struct err *err)
{
	json_auto_t *all = json_array();
	AUTO(buf_clear) struct buf what = {0};
	size_t i;
	json_t *a;

	for (int k = 0; k < c->args.npos; k++) {
		json_t *addon = NULL;

		if (resolve(c, c->args.pos[k], &addon, err) < 0)
			return -1;
		json_array_append_new(all, addon);
		if (strcmp(cli_js(addon, "app.name"), cli_js(json_array_get(all, 0), "app.name")) !=
		    0)
			return err_set(err, ERR_BAD_REQUEST,
				       "These belong to different apps: destroy them one by one");
		buf_addf(&what, "%s%s", k ? ", " : "", cli_js(addon, "name"));
	}
	{
		AUTO(auto_str)
		char *text =
			xasprintf("This will destroy %s with all that is in it.", buf_str(&what));

		if (cli_confirm(c, cli_js(json_array_get(all, 0), "app.name"), text, err) < 0)
			return -1;
	}
	json_array_foreach(all, i, a) if (destroy_one(c, a, err) < 0) return -1;
	return 0;
}

/* --- attach, detach --- */

static int cmd_attach(struct cli *c, struct err *err)
{
	const char *as = cli_opt(&c->args, "as"), *credential = cli_opt(&c->args, "credential");
	json_auto_t *addon = NULL, *made = NULL, *body = NULL;
	AUTO(auto_str) char *ns = credential ? xasprintf("credential:%s", credential) : NULL;
	AUTO(auto_str) char *app = c->app ? xstrdup(c->app) : NULL;
	AUTO(buf_clear) struct buf vars = {0};

	/* of any app, as it is mostly another's */
	free(c->app);
	c->app = NULL;
	{
		json_auto_t *ask = json_pack("{ss}", "addon", c->args.pos[0]), *list = NULL;

		if (cli_api(c, "POST", ask, &list, err, "/actions/addons/resolve") < 0)
			return -1;
		if (json_array_size(list) != 1)
			return err_set(err, ERR_BAD_REQUEST,
				       "%s may be one of several: give the add-on's name",
				       c->args.pos[0]);
		addon = json_incref(json_array_get(list, 0));
	}
	c->app = STEAL(app);
	body = json_pack("{s{ss} s{ss} ss* ss*}", "addon", "name", cli_js(addon, "name"), "app",
			 "name", c->app, "name", as, "namespace", ns);
	cli_action(c, "Attaching %s to %s", cli_js(addon, "name"), cli_label(c, c->app));
	if (send_confirmed(c, body, "/addon-attachments", &made, err) < 0)
		return -1;
	vars_text(made, &vars);
	cli_action_done(c, "done, as %s (%s)", cli_js(made, "name"), buf_str(&vars));
	if (cli_json(c))
		cli_print_json(c, made);
	return 0;
}

static int cmd_detach(struct cli *c, struct err *err)
{
	json_auto_t *t = NULL;

	if (cli_api(c, "GET", NULL, &t, err, "/apps/%s/addon-attachments/%s", c->app,
		    c->args.pos[0]) < 0)
		return -1;
	cli_action(c, "Detaching %s, which is %s, from %s", cli_js(t, "name"),
		   cli_js(t, "addon.name"), cli_label(c, c->app));
	return cli_send(c, "DELETE", NULL, err, "/addon-attachments/%s", cli_js(t, "id"));
}

/* --- elsewhere --- */

static int show_url(struct cli *c, const char *url)
{
	bool browser = (getenv("DISPLAY") || getenv("WAYLAND_DISPLAY")) && c->out_tty;

	if (!cli_opt(&c->args, "show-url") && browser &&
	    cli_run((const char *const[]){"xdg-open", url, NULL}, NULL) == 0)
		fprintf(stderr, "Opening %s... done\n", url);
	else
		cli_line("%s", url);
	return 0;
}

static int checked_url(const char *url, const char *what, struct err *err)
{
	struct cli_url parts;

	if (!*url)
		return err_set(err, ERR_NOT_FOUND, "%s has no page", what);
	return cli_url_parse(url, &parts) ? 0 : err_set(err, ERR_BAD_REQUEST, "%s is no URL", url);
}

static int cmd_open(struct cli *c, struct err *err)
{
	json_auto_t *addon = NULL, *link = NULL;
	struct err none = {0};
	const char *url;

	if (resolve(c, c->args.pos[0], &addon, err) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, addon);
		return 0;
	}
	/* a page of the provider's that knows us, by a link that needs no login */
	if (cli_api(c, "GET", NULL, &link, &none, "/addons/%s/sso", cli_js(addon, "id")) == 0)
		url = cli_js(link, "action");
	else if (strcmp(none.id, "invalid_params") == 0)
		url = cli_js(addon, "web_url");
	else
		return *err = none, -1;
	return checked_url(url, cli_js(addon, "name"), err) < 0 ? -1 : show_url(c, url);
}

static int cmd_docs(struct cli *c, struct err *err)
{
	json_auto_t *service = NULL, *addon = NULL;
	const char *url, *word = c->args.pos[0];
	AUTO(auto_str) char *name = xstrndup(word, strcspn(word, ":"));

	if (cli_api(c, "GET", NULL, &service, err, "/addon-services/%s", name) < 0) {
		struct err first = *err;

		*err = (struct err){0};
		if (resolve(c, word, &addon, err) < 0) {
			*err = first;
			return -1;
		}
		if (cli_api(c, "GET", NULL, &service, err, "/addon-services/%s",
			    cli_js(addon, "addon_service.name")) < 0)
			return -1;
	}
	if (cli_json(c)) {
		cli_print_json(c, service);
		return 0;
	}
	url = cli_js(service, "docs_url");
	return checked_url(url, cli_js(service, "name"), err) < 0 ? -1 : show_url(c, url);
}

#define ADDON                                                                                     \
	{                                                                                         \
		"ADDON", COMPLETE_ADDON, "name of the add-on, or an attachment of the app", true, \
			false                                                                     \
	}
#define AS VALUE(0, "as", "NAME", NONE, "name of the attachment: its config vars begin with it")

const struct cli_cmd cli_cmds_addons[] = {
	{.name = "addons",
	 .help = "list the add-ons of an app",
	 .more = "With those of other apps that it has attached.",
	 .opts = OPTS(SWITCH('A', "all", "of all apps")),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_addons,
	 .examples = "addons -a my-app\naddons --all"},
	{.name = "addons:services",
	 .help = "list what add-ons there are",
	 .run = cmd_services,
	 .examples = "addons:services"},
	{.name = "addons:plans",
	 .help = "list the plans of a service",
	 .args = ARGS({"SERVICE", COMPLETE_SERVICE, "name of the service", true, false}),
	 .run = cmd_plans,
	 .examples = "addons:plans heroku-postgresql"},
	{.name = "addons:create",
	 .aliases = "addons:add",
	 .help = "make an add-on for an app",
	 .more = "What stands after -- goes to the service, as --key value.",
	 .args = ARGS(
		 {"SERVICE:PLAN", COMPLETE_PLAN,
		  "the service, and its plan unless it is the usual one", true, false},
		 {"OPTIONS", COMPLETE_NONE, "after --: --key value, for the service", false, true}),
	 .opts = OPTS(AS, VALUE(0, "name", "NAME", NONE, "name of the add-on; made up by default"),
		      SWITCH(0, "wait", "wait until it is there"), CONFIRM),
	 .flags = CLI_APP,
	 .run = cmd_create,
	 .examples = "addons:create heroku-postgresql -a my-app\n"
		     "addons:create memcached:large --as CACHE -a my-app\n"
		     "addons:create heroku-postgresql:standard-0 -a my-app -- --version 15"},
	{.name = "addons:info",
	 .help = "look at an add-on",
	 .args = ARGS(ADDON),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_info,
	 .examples = "addons:info DATABASE -a my-app\naddons:info memcached-calm-48211"},
	{.name = "addons:attach",
	 .help = "give an app an add-on of another, or another name to its own",
	 .args = ARGS(
		 {"ADDON", COMPLETE_ADDON, "name of the add-on, or APP::ATTACHMENT", true, false}),
	 .opts = OPTS(
		 AS,
		 VALUE(0, "credential", "NAME", NONE, "with this credential, not the add-on's own"),
		 CONFIRM),
	 .flags = CLI_APP,
	 .run = cmd_attach,
	 .examples = "addons:attach my-app::DATABASE -a my-reports\n"
		     "addons:attach memcached-calm-48211 --as CACHE -a my-app"},
	{.name = "addons:detach",
	 .help = "take an add-on from an app; the add-on stays",
	 .args = ARGS({"ATTACHMENT", COMPLETE_ATTACHMENT, "name of the attachment", true, false}),
	 .flags = CLI_APP,
	 .run = cmd_detach,
	 .examples = "addons:detach CACHE -a my-app"},
	{.name = "addons:destroy",
	 .aliases = "addons:remove",
	 .help = "remove an add-on with all that is in it",
	 .args = ARGS({"ADDON", COMPLETE_ADDON, "name of the add-on, or an attachment of the app",
		       true, true}),
	 .opts = OPTS(SWITCH('f', "force", "although other apps have it attached"), CONFIRM),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_destroy,
	 .examples = "addons:destroy memcached-calm-48211 -a my-app"},
	{.name = "addons:upgrade",
	 .aliases = "addons:downgrade",
	 .help = "change the plan of an add-on",
	 .args = ARGS(ADDON, {"PLAN", COMPLETE_PLAN, "the new plan", true, false}),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_upgrade,
	 .examples = "addons:upgrade DATABASE heroku-postgresql:standard-0 -a my-app"},
	{.name = "addons:rename",
	 .help = "give an add-on another name",
	 .args = ARGS(ADDON, {"NAME", COMPLETE_NONE, "the new name", true, false}),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_rename,
	 .examples = "addons:rename memcached-calm-48211 sessions -a my-app"},
	{.name = "addons:wait",
	 .help = "wait until an add-on is provisioned",
	 .args = ARGS({"ADDON", COMPLETE_ADDON, "name of the add-on; all of the app by default",
		       false, false}),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_wait,
	 .examples = "addons:wait -a my-app\naddons:wait memcached-calm-48211"},
	{.name = "addons:open",
	 .help = "open the page of an add-on",
	 .args = ARGS(ADDON),
	 .opts = OPTS(SWITCH(0, "show-url", "print the address only")),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_open,
	 .examples = "addons:open REDIS -a my-app"},
	{.name = "addons:docs",
	 .help = "open the documentation of a service",
	 .args = ARGS({"SERVICE", COMPLETE_SERVICE, "name of the service, or of an add-on", true,
		       false}),
	 .opts = OPTS(SWITCH(0, "show-url", "print the address only")),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_docs,
	 .examples = "addons:docs memcached"},
	{0},
};
