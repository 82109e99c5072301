#include "cli/cli.h"
#include "cli/table.h"
#include "cli/remotes.h"
#include "proto/names.h"

#include <string.h>

int cli_app_arg(struct cli *c, struct err *err)
{
	if (!c->args.npos)
		return cli_find_app(c, err);
	c->app = xstrdup(c->args.pos[0]);
	return 0;
}

/* "name (eu)": regions other than the usual one are shown. */
static void app_line(struct cli *c, const json_t *app)
{
	const char *region = cli_js(app, "region.name");

	if (region[0] && strcmp(region, "us") != 0)
		cli_line("%s (%s)", cli_js(app, "name"), region);
	else
		cli_line("%s", cli_js(app, "name"));
}

static void list_apps(struct cli *c, const json_t *apps, const char *email)
{
	AUTO(cli_table_clear) struct cli_table others = {.cols = 2};
	bool head = false;
	size_t i;
	json_t *a;

	json_array_foreach(apps, i, a)
	{
		if (strcmp(cli_js(a, "owner.email"), email) != 0) {
			cli_table_row(&others, (const char *[]){cli_js(a, "name"),
								cli_js(a, "owner.email")});
			continue;
		}
		if (!head)
			cli_header(c, "%s Apps", email);
		head = true;
		app_line(c, a);
	}
	if (head)
		printf("\n");
	if (others.rows) {
		cli_header(c, "Collaborated Apps");
		cli_table_print(&others, stdout);
		printf("\n");
	}
}

static int cmd_apps(struct cli *c, struct err *err)
{
	json_auto_t *apps = NULL, *account = NULL, *list = NULL;
	const char *path = cli_opt(&c->args, "all") ? "/apps" : "/users/~/apps";
	struct cli_req r = {.method = "GET", .path = path};

	if (cli_request(c, &r, &apps, err) < 0)
		return -1;
	list = cli_sorted(apps, "name");
	if (cli_json(c)) {
		cli_print_json(c, list);
		return 0;
	}
	if (!json_array_size(list)) {
		printf("You have no apps.\n");
		return 0;
	}
	if (cli_api(c, "GET", NULL, &account, err, "/account") < 0)
		return -1;
	list_apps(c, list, cli_js(account, "email"));
	return 0;
}

static json_t *create_body(struct cli *c, const char *name)
{
	json_t *body = json_object();

	if (name)
		json_object_set_new(body, "name", json_string(name));
	if (cli_opt(&c->args, "region"))
		json_object_set_new(body, "region", json_string(cli_opt(&c->args, "region")));
	if (cli_opt(&c->args, "stack"))
		json_object_set_new(body, "stack", json_string(cli_opt(&c->args, "stack")));
	return body;
}

static int set_buildpack(struct cli *c, const char *app, const char *bp, struct err *err)
{
	json_auto_t *body = json_pack("{s:[{s:s}]}", "updates", "buildpack", bp);

	cli_action(c, "Setting buildpack to %s", bp);
	if (cli_api(c, "PUT", body, NULL, err, "/apps/%s/buildpack-installations", app) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	return 0;
}

/* "heroku-postgresql,memcached:large" */
static int add_addons(struct cli *c, const char *app, const char *list, struct err *err)
{
	json_auto_t *plans = cli_words(list);
	size_t i;
	json_t *plan;

	json_array_foreach(plans, i, plan)
	{
		json_auto_t *body = json_pack("{sO}", "plan", plan);

		cli_action(c, "Adding %s", json_string_value(plan));
		if (cli_api(c, "POST", body, NULL, err, "/apps/%s/addons", app) < 0)
			return -1;
		cli_action_done(c, "%s", "");
	}
	return 0;
}

static int cmd_apps_create(struct cli *c, struct err *err)
{
	const char *name = c->args.npos ? c->args.pos[0] : cli_opt(&c->args, "app");
	const char *region = cli_opt(&c->args, "region"), *stack = cli_opt(&c->args, "stack");
	const char *bp = cli_opt(&c->args, "buildpack"), *addons = cli_opt(&c->args, "addons");
	json_auto_t *body = create_body(c, name), *app = NULL;
	AUTO(buf_clear) struct buf status = {0};

	cli_action(c, "Creating %s", name ? cli_label(c, name) : "app");
	if (cli_api(c, "POST", body, &app, err, "/apps") < 0)
		return -1;
	buf_addf(&status, "done%s%s", name ? "" : ", ",
		 name ? "" : cli_label(c, cli_js(app, "name")));
	if (region)
		buf_addf(&status, ", region is %s", cli_js(app, "region.name"));
	if (stack)
		buf_addf(&status, ", stack is %s", cli_js(app, "stack.name"));
	cli_action_done(c, "%s", buf_str(&status));
	if (addons && add_addons(c, cli_js(app, "name"), addons, err) < 0)
		return -1;
	if (bp && set_buildpack(c, cli_js(app, "name"), bp, err) < 0)
		return -1;
	if (!cli_opt(&c->args, "no-remote") && cli_git_inside()) {
		if (cli_git_has_remote(cli_git_remote_opt(c)))
			cli_warn(c, "there is a git remote %s already: it was left as it is",
				 cli_git_remote_opt(c));
		else if (cli_git_add_remote(cli_git_remote_opt(c), cli_js(app, "git_url"), err) < 0)
			return -1;
		cli_git_trust(c, cli_js(app, "git_url"));
	}
	if (cli_json(c))
		cli_print_json(c, app);
	else
		cli_line("%s | %s", cli_js(app, "web_url"), cli_js(app, "git_url"));
	return 0;
}

int cli_each_remote(struct cli *c, const char *app, const char *url,
		    int (*fn)(const char *name, const char *url, struct err *err), struct err *err)
{
	AUTO(cli_remotes_clear) struct cli_remotes r = {0};

	cli_git_remotes(c, &r);
	for (int i = 0; i < r.n; i++)
		if (strcmp(r.v[i].app, app) == 0 && fn(r.v[i].name, url, err) < 0)
			return -1;
	return 0;
}

static int drop_remote(const char *name, const char *url, struct err *err)
{
	return cli_git_del_remote(name, err);
}

static int move_remote(const char *name, const char *url, struct err *err)
{
	if (cli_git_set_remote(name, url, err) < 0)
		return -1;
	fprintf(stderr, "Git remote %s updated\n", name);
	return 0;
}

static int cmd_apps_destroy(struct cli *c, struct err *err)
{
	json_auto_t *app = NULL;
	AUTO(auto_str) char *what = NULL;
	const char *name;

	/* --confirm NAME alone says which app, too. */
	if (!c->args.npos && !cli_opt(&c->args, "app") && !cli_opt(&c->args, "remote") &&
	    cli_opt(&c->args, "confirm"))
		c->app = xstrdup(cli_opt(&c->args, "confirm"));
	else if (cli_app_arg(c, err) < 0)
		return -1;
	if (cli_api(c, "GET", NULL, &app, err, "/apps/%s", c->app) < 0)
		return -1;
	name = cli_js(app, "name");
	what = xasprintf("This will delete %s including all add-ons.", name);
	if (cli_confirm(c, name, what, err) < 0)
		return -1;
	cli_action(c, "Destroying %s (including all add-ons)", cli_label(c, name));
	if (cli_api(c, "DELETE", NULL, NULL, err, "/apps/%s", cli_js(app, "id")) < 0)
		return -1;
	if (cli_each_remote(c, name, NULL, drop_remote, err) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	if (cli_json(c))
		cli_print_json(c, app);
	return 0;
}

static int cmd_apps_rename(struct cli *c, struct err *err)
{
	const char *new_name = c->args.pos[0];
	json_auto_t *body = json_pack("{ss}", "name", new_name), *before = NULL, *app = NULL;

	if (cli_api(c, "GET", NULL, &before, err, "/apps/%s", c->app) < 0)
		return -1;
	cli_action(c, "Renaming %s to %s", cli_label(c, cli_js(before, "name")), new_name);
	if (cli_api(c, "PATCH", body, &app, err, "/apps/%s", cli_js(before, "id")) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	if (cli_json(c))
		cli_print_json(c, app);
	else
		cli_line("%s | %s", cli_js(app, "web_url"), cli_js(app, "git_url"));
	if (cli_each_remote(c, cli_js(before, "name"), cli_js(app, "git_url"), move_remote, err) <
	    0)
		return -1;
	cli_warn(c, "Don't forget to update git remotes for all other local checkouts of the app.");
	return 0;
}

static int cmd_apps_open(struct cli *c, struct err *err)
{
	const char *path = c->args.npos ? c->args.pos[0] : "";
	json_auto_t *app = NULL, *one = NULL;
	AUTO(auto_str) char *url = NULL;
	struct cli_url parts;
	bool browser = (getenv("DISPLAY") || getenv("WAYLAND_DISPLAY")) && c->out_tty;
	size_t n;

	if (cli_api(c, "GET", NULL, &app, err, "/apps/%s", c->app) < 0)
		return -1;
	url = xstrdup(cli_js(app, "web_url"));
	for (n = strlen(url); path[0] && n && url[n - 1] == '/'; n--)
		url[n - 1] = 0;
	if (path[0]) {
		char *whole = xasprintf("%s/%s", url, path + (path[0] == '/'));

		free(url);
		url = whole;
	}
	if (!cli_url_parse(url, &parts))
		return err_set(err, ERR_INTERNAL, "%s has no web address", c->app);
	one = json_pack("{ss}", "web_url", url);
	if (cli_json(c))
		cli_print_json(c, one);
	else if (browser && cli_run((const char *const[]){"xdg-open", url, NULL}, NULL) == 0)
		fprintf(stderr, "Opening %s... done\n", url);
	else
		cli_line("%s", url);
	return 0;
}

static int cmd_apps_errors(struct cli *c, struct err *err)
{
	buf_addf(&c->detail,
		 "This platform keeps no statistics of errors. What went wrong is in the log:\n"
		 "  paasctl logs --app %s --source heroku --num 1500",
		 c->app);
	return err_set(err, ERR_NOT_IMPLEMENTED, "no statistics of errors");
}

static int cmd_apps_leave(struct cli *c, struct err *err)
{
	json_auto_t *me = NULL;

	cli_action(c, "Leaving %s", cli_label(c, c->app));
	if (cli_api(c, "GET", NULL, &me, err, "/account") < 0)
		return -1;
	return cli_send(c, "DELETE", NULL, err, "/apps/%s/collaborators/%s", c->app,
			cli_js(me, "email"));
}

const struct cli_cmd cli_cmds_apps[] = {
	{.name = "apps",
	 .aliases = "list apps:list",
	 .help = "list your apps",
	 .opts = OPTS(SWITCH('A', "all", "include apps that you collaborate on, of anybody")),
	 .run = cmd_apps,
	 .examples = "apps\napps --all --json"},
	{.name = "apps:create",
	 .aliases = "create",
	 .help = "create a new app",
	 .more = "In a git repository a remote for the app is added, unless there is one of that "
		 "name. Without "
		 "NAME the platform makes one up.",
	 .args = ARGS({"NAME", COMPLETE_NONE, "name of app to create", false, false}),
	 .opts = OPTS(
		 VALUE('a', "app", "NAME", NONE, NULL),
		 VALUE('r', "remote", "REMOTE", NONE,
		       "the git remote to create (default: " CLI_DEFAULT_REMOTE ")"),
		 VALUE('b', "buildpack", "BUILDPACK", NONE,
		       "buildpack name or URL to use for this app"),
		 VALUE(0, "addons", "PLANS", NONE, "add-ons to make with it, separated by commas"),
		 SWITCH('n', "no-remote", "do not create a git remote"),
		 VALUE('s', "stack", "STACK", NONE, "the stack to create the app on"),
		 VALUE(0, "region", "REGION", NONE, "region for the app to run in")),
	 .run = cmd_apps_create,
	 .examples =
		 "apps:create\napps:create my-app\napps:create my-app-staging --remote staging"},
	{.name = "apps:destroy",
	 .aliases = "destroy apps:delete",
	 .help = "permanently destroy an app",
	 .more = "Removes the app's releases, logs and config vars, and its remotes in this "
		 "repository.",
	 .args = ARGS({"APP", COMPLETE_APP, "name of the app (also -a)", false, false}),
	 .opts = OPTS(CONFIRM),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_apps_destroy,
	 .examples = "apps:destroy -a my-app\ndestroy my-app --confirm my-app"},
	{.name = "apps:rename",
	 .aliases = "rename",
	 .help = "rename an app",
	 .more = "Remotes in this repository that point at the app follow.",
	 .args = ARGS({"NEWNAME", COMPLETE_NONE, "new name of the app", true, false}),
	 .flags = CLI_APP,
	 .run = cmd_apps_rename,
	 .examples = "apps:rename new-name -a my-app"},
	{.name = "apps:open",
	 .aliases = "open",
	 .help = "open the app in a web browser",
	 .more = "Prints the address when there is no browser or standard output is no terminal.",
	 .args = ARGS({"PATH", COMPLETE_NONE, "path on the app", false, false}),
	 .flags = CLI_APP,
	 .run = cmd_apps_open,
	 .examples = "open -a my-app\nopen -a my-app /login"},
	{.name = "apps:leave",
	 .aliases = "leave",
	 .help = "give up your access to an app",
	 .flags = CLI_APP,
	 .run = cmd_apps_leave,
	 .examples = "apps:leave -a my-app"},
	{.name = "apps:errors",
	 .help = "say where the errors of an app are found",
	 .flags = CLI_APP | CLI_NO_JSON,
	 .run = cmd_apps_errors,
	 .examples = "apps:errors -a my-app"},
	{0},
};

/* --- maintenance --- */

static int cmd_maintenance(struct cli *c, struct err *err)
{
	json_auto_t *app = NULL, *one = NULL;

	if (cli_api(c, "GET", NULL, &app, err, "/apps/%s", c->app) < 0)
		return -1;
	one = json_pack("{sO}", "maintenance", json_object_get(app, "maintenance"));
	if (cli_json(c))
		cli_print_json(c, one);
	else
		printf("%s\n", json_is_true(json_object_get(app, "maintenance")) ? "on" : "off");
	return 0;
}

static int set_maintenance(struct cli *c, bool on, struct err *err)
{
	json_auto_t *body = json_pack("{sb}", "maintenance", on);

	cli_action(c, "%s maintenance mode for %s", on ? "Enabling" : "Disabling",
		   cli_label(c, c->app));
	return cli_send(c, "PATCH", body, err, "/apps/%s", c->app);
}

static int cmd_maintenance_on(struct cli *c, struct err *err)
{
	return set_maintenance(c, true, err);
}

static int cmd_maintenance_off(struct cli *c, struct err *err)
{
	return set_maintenance(c, false, err);
}

const struct cli_cmd cli_cmds_maintenance[] = {
	{.name = "maintenance",
	 .help = "display the current maintenance status of app",
	 .flags = CLI_APP,
	 .run = cmd_maintenance,
	 .examples = "maintenance -a my-app"},
	{.name = "maintenance:on",
	 .help = "put the app into maintenance mode",
	 .flags = CLI_APP,
	 .run = cmd_maintenance_on,
	 .examples = "maintenance:on -a my-app"},
	{.name = "maintenance:off",
	 .help = "take the app out of maintenance mode",
	 .flags = CLI_APP,
	 .run = cmd_maintenance_off,
	 .examples = "maintenance:off -a my-app"},
	{0},
};
