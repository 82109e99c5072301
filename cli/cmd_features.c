/* Switches: features of an app, experiments (labs) of an app or an account. */
#include "cli/cli.h"
#include "cli/table.h"

#include <string.h>

static const struct cli_field fields[] = {{"Description", "description", FORM_TEXT},
					  {"Enabled", "enabled", FORM_TEXT},
					  {"Docs", "doc_url", FORM_TEXT},
					  {"State", "state", FORM_TEXT},
					  {0}};

/* Features whose state is general, or those whose is not. */
static json_t *of_kind(const json_t *list, bool general)
{
	json_auto_t *some = json_array();
	size_t i;
	json_t *f;

	json_array_foreach(list, i, f) if ((strcmp(cli_js(f, "state"), "general") == 0) == general)
		json_array_append(some, f);
	return cli_sorted(some, "name");
}

static void print_switches(struct cli *c, const json_t *list, const char *title)
{
	AUTO(cli_table_clear) struct cli_table t = {.cols = 3};
	size_t i;
	json_t *f;

	cli_header(c, "%s", title);
	json_array_foreach(list, i, f) cli_table_row(
		&t, (const char *[]){json_is_true(json_object_get(f, "enabled")) ? "[+]" : "[ ]",
				     cli_js(f, "name"), cli_js(f, "description")});
	cli_table_print(&t, stdout);
}

static int cmd_features(struct cli *c, struct err *err)
{
	json_auto_t *all = NULL, *list = NULL;
	AUTO(auto_str) char *title = xasprintf("App Features %s", c->app);

	if (cli_api(c, "GET", NULL, &all, err, "/apps/%s/features", c->app) < 0)
		return -1;
	list = of_kind(all, true);
	if (cli_json(c))
		cli_print_json(c, list);
	else
		print_switches(c, list, title);
	return 0;
}

static int cmd_features_info(struct cli *c, struct err *err)
{
	json_auto_t *f = NULL;

	if (cli_api(c, "GET", NULL, &f, err, "/apps/%s/features/%s", c->app, c->args.pos[0]) < 0)
		return -1;
	return cli_show_fields(c, f, fields, cli_js(f, "name"));
}

static int switch_feature(struct cli *c, bool on, struct err *err)
{
	json_auto_t *f = NULL, *body = json_pack("{sb}", "enabled", on);
	const char *name = c->args.pos[0];

	cli_action(c, "%s %s for %s", on ? "Enabling" : "Disabling", name, cli_label(c, c->app));
	if (cli_api(c, "GET", NULL, &f, err, "/apps/%s/features/%s", c->app, name) < 0)
		return -1;
	if (json_is_true(json_object_get(f, "enabled")) == on)
		return err_set(err, ERR_BAD_REQUEST, "%s is already %s.", name,
			       on ? "enabled" : "disabled");
	return cli_send(c, "PATCH", body, err, "/apps/%s/features/%s", c->app, name);
}

static int cmd_features_enable(struct cli *c, struct err *err)
{
	return switch_feature(c, true, err);
}

static int cmd_features_disable(struct cli *c, struct err *err)
{
	return switch_feature(c, false, err);
}

#define FEATURE                                                                 \
	{                                                                       \
		"FEATURE", COMPLETE_FEATURE, "name of the feature", true, false \
	}

const struct cli_cmd cli_cmds_features[] = {
	{.name = "features",
	 .help = "list the features of an app",
	 .flags = CLI_APP,
	 .run = cmd_features,
	 .examples = "features -a my-app"},
	{.name = "features:info",
	 .help = "show a feature of an app",
	 .args = ARGS(FEATURE),
	 .flags = CLI_APP,
	 .run = cmd_features_info,
	 .examples = "features:info preboot -a my-app"},
	{.name = "features:enable",
	 .help = "enable a feature of an app",
	 .args = ARGS(FEATURE),
	 .flags = CLI_APP,
	 .run = cmd_features_enable,
	 .examples = "features:enable preboot -a my-app"},
	{.name = "features:disable",
	 .help = "disable a feature of an app",
	 .args = ARGS(FEATURE),
	 .flags = CLI_APP,
	 .run = cmd_features_disable,
	 .examples = "features:disable preboot -a my-app"},
	{0},
};

/* --- labs: the account's first, then the app's --- */

/* No app is no mistake here. */
static bool find_app(struct cli *c)
{
	struct err e = {0};
	bool found = cli_find_app(c, &e) == 0;

	buf_reset(&c->detail);
	return found;
}

static int cmd_labs(struct cli *c, struct err *err)
{
	json_auto_t *me = NULL, *mine = NULL, *own = NULL, *theirs = NULL, *app = json_array(),
		    *both = NULL;
	AUTO(auto_str) char *title = NULL;

	if (cli_api(c, "GET", NULL, &me, err, "/account") < 0 ||
	    cli_api(c, "GET", NULL, &mine, err, "/account/features") < 0)
		return -1;
	own = of_kind(mine, false);
	if (find_app(c)) {
		if (cli_api(c, "GET", NULL, &theirs, err, "/apps/%s/features", c->app) < 0)
			return -1;
		json_decref(app);
		app = of_kind(theirs, false);
	}
	if (cli_json(c)) {
		both = json_pack("{sO sO}", "currentUser", own, "app", app);
		cli_print_json(c, both);
		return 0;
	}
	title = xasprintf("User Features %s", cli_js(me, "email"));
	print_switches(c, own, title);
	if (c->app) {
		free(title);
		title = xasprintf("App Features %s", c->app);
		printf("\n");
		print_switches(c, app, title);
	}
	return 0;
}

/* Path of the feature with that name; *f gets it. NULL with *err. */
static char *lab_path(struct cli *c, json_t **f, struct err *err)
{
	const char *name = c->args.pos[0];
	AUTO(auto_str) char *path = cli_pathf("/account/features/%s", name);
	struct cli_req r = {.method = "GET", .path = path};

	if (cli_request(c, &r, f, err) == 0)
		return STEAL(path);
	if (err->status != 404 || !find_app(c))
		return NULL;
	*err = (struct err){0};
	free(path);
	path = cli_pathf("/apps/%s/features/%s", c->app, name);
	r.path = path;
	return cli_request(c, &r, f, err) == 0 ? STEAL(path) : NULL;
}

static int cmd_labs_info(struct cli *c, struct err *err)
{
	json_auto_t *f = NULL;
	AUTO(auto_str) char *path = lab_path(c, &f, err);

	return path ? cli_show_fields(c, f, fields, cli_js(f, "name")) : -1;
}

static int switch_lab(struct cli *c, bool on, struct err *err)
{
	json_auto_t *f = NULL, *body = json_pack("{sb}", "enabled", on);
	AUTO(auto_str) char *path = lab_path(c, &f, err);
	struct cli_req r = {.method = "PATCH", .path = path, .body = body};

	if (!path)
		return -1;
	cli_action(c, "%s %s%s%s", on ? "Enabling" : "Disabling", c->args.pos[0],
		   c->app ? " for " : "", c->app ? cli_label(c, c->app) : "");
	return cli_send_req(c, &r, err);
}

static int cmd_labs_enable(struct cli *c, struct err *err)
{
	return switch_lab(c, true, err);
}

static int cmd_labs_disable(struct cli *c, struct err *err)
{
	return switch_lab(c, false, err);
}

#define LAB                                                                    \
	{                                                                      \
		"FEATURE", COMPLETE_LAB, "name of the experiment", true, false \
	}

const struct cli_cmd cli_cmds_labs[] = {
	{.name = "labs",
	 .help = "list experimental features of your account, and of an app",
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_labs,
	 .examples = "labs\nlabs -a my-app"},
	{.name = "labs:info",
	 .help = "show an experimental feature",
	 .args = ARGS(LAB),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_labs_info,
	 .examples = "labs:info log-runtime-metrics -a my-app"},
	{.name = "labs:enable",
	 .help = "enable an experimental feature",
	 .args = ARGS(LAB),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_labs_enable,
	 .examples = "labs:enable log-runtime-metrics -a my-app"},
	{.name = "labs:disable",
	 .help = "disable an experimental feature",
	 .args = ARGS(LAB),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_labs_disable,
	 .examples = "labs:disable log-runtime-metrics -a my-app"},
	{0},
};
