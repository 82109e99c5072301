#include "cli/cli.h"
#include "cli/remotes.h"
#include "proto/names.h"

#include <string.h>

static const char *remote_name(struct cli *c)
{
	const char *r = cli_opt(&c->args, "remote");

	return r ? r : CLI_DEFAULT_REMOTE;
}

/* APP of `apps:info APP` stands for -a APP. */
static int app_of_args(struct cli *c, struct err *err)
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

static int by_name(const void *a, const void *b)
{
	return strcmp(cli_js(*(json_t *const *)a, "name"), cli_js(*(json_t *const *)b, "name"));
}

static json_t *sorted(const json_t *list)
{
	size_t n = json_array_size(list);
	json_t **v = xcalloc(n, sizeof(json_t *)), *out = json_array();

	for (size_t i = 0; i < n; i++)
		v[i] = json_array_get(list, i);
	qsort(v, n, sizeof(json_t *), by_name);
	for (size_t i = 0; i < n; i++)
		json_array_append(out, v[i]);
	free(v);
	return out;
}

int cmd_apps(struct cli *c, struct err *err)
{
	json_auto_t *apps = NULL, *account = NULL, *list = NULL;
	const char *path = cli_opt(&c->args, "all") ? "/apps" : "/users/~/apps";
	struct cli_req r = {.method = "GET", .path = path};

	if (cli_request(c, &r, &apps, err) < 0)
		return -1;
	list = sorted(apps);
	if (cli_opt(&c->args, "json")) {
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

int cmd_apps_create(struct cli *c, struct err *err)
{
	const char *name = c->args.npos ? c->args.pos[0] : cli_opt(&c->args, "app");
	const char *region = cli_opt(&c->args, "region"), *stack = cli_opt(&c->args, "stack");
	const char *bp = cli_opt(&c->args, "buildpack");
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
	if (bp && set_buildpack(c, cli_js(app, "name"), bp, err) < 0)
		return -1;
	if (!cli_opt(&c->args, "no-remote") && cli_git_inside()) {
		if (cli_git_has_remote(remote_name(c)))
			cli_warn(c, "there is a git remote %s already: it was left as it is",
				 remote_name(c));
		else if (cli_git_add_remote(remote_name(c), cli_js(app, "git_url"), err) < 0)
			return -1;
	}
	if (cli_opt(&c->args, "json"))
		cli_print_json(c, app);
	else
		cli_line("%s | %s", cli_js(app, "web_url"), cli_js(app, "git_url"));
	return 0;
}

/* --- apps:info --- */
struct info {
	json_t *app, *addons, *dynos, *people, *couplings;
};

static void info_clear(struct info *i)
{
	json_decref(i->app);
	json_decref(i->addons);
	json_decref(i->dynos);
	json_decref(i->people);
	json_decref(i->couplings);
}
#define info_clear_p info_clear

/* Parts that this platform, or this account, does not have count as empty. */
static void part(struct cli *c, const char *name, json_t **out)
{
	struct err e = {0};

	if (cli_api(c, "GET", NULL, out, &e, "/apps/%s/%s", c->app, name) < 0)
		*out = json_array();
	buf_reset(&c->detail);
}

static int fetch_info(struct cli *c, struct info *i, struct err *err)
{
	if (cli_api(c, "GET", NULL, &i->app, err, "/apps/%s", c->app) < 0)
		return -1;
	part(c, "addons", &i->addons);
	part(c, "dynos", &i->dynos);
	part(c, "collaborators", &i->people);
	part(c, "pipeline-couplings", &i->couplings);
	if (!json_is_array(i->couplings)) { /* one object, as the API has it */
		json_t *list = json_array();

		json_array_append_new(list, i->couplings);
		i->couplings = list;
	}
	return 0;
}

static void bytes(long long n, char out[32])
{
	static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
	double v = (double)n;
	size_t u = 0;

	while (v >= 1000 && u + 1 < ARRAY_LEN(units)) {
		v /= 1000;
		u++;
	}
	if (u == 0 || v >= 100)
		snprintf(out, 32, "%.0f %s", v, units[u]);
	else
		snprintf(out, 32, "%.1f %s", v, units[u]);
}

/* "web: 1" lines, or "web: 1, worker: 2". */
static void count_types(const json_t *dynos, const char *sep, struct buf *out)
{
	json_auto_t *n = json_object();
	const char *type;
	size_t i;
	json_t *d, *v;

	json_array_foreach(dynos, i, d)
	{
		type = cli_js(d, "type");
		json_object_set_new(n, type,
				    json_integer(cli_jint(json_object_get(n, type), "") + 1));
	}
	json_object_foreach(n, type, v)
		buf_addf(out, "%s%s: %lld", out->len ? sep : "", type, cli_jint(v, ""));
}

static void join(const json_t *list, const char *key, const char *but, const char *sep,
		 struct buf *out)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
	{
		if (!but || strcmp(cli_js(v, key), but) != 0)
			buf_addf(out, "%s%s", out->len ? sep : "", cli_js(v, key));
	}
}

static void join_pipelines(const json_t *list, struct buf *out)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v) buf_addf(out, "%s%s - %s", out->len ? "\n" : "",
						cli_js(v, "pipeline.name"), cli_js(v, "stage"));
}

static void stack_text(const json_t *app, struct buf *out)
{
	const char *now = cli_js(app, "stack.name"), *next = cli_js(app, "build_stack.name");

	buf_adds(out, now);
	if (next[0] && strcmp(now, next) != 0)
		buf_addf(out, " (next build will use %s)", next);
}

static void add_nonempty(struct cli_pairs *p, const char *key, struct buf *value)
{
	if (value->len)
		cli_pairs_add(p, key, buf_str(value));
	buf_reset(value);
}

static void info_pairs(const struct info *i)
{
	AUTO(cli_pairs_clear) struct cli_pairs p = {0};
	AUTO(buf_clear) struct buf b = {0};
	const json_t *app = i->app;
	char size[32];

	join(i->addons, "plan.name", NULL, "\n", &b);
	cli_pairs_add(&p, "Addons", buf_str(&b));
	buf_reset(&b);
	cli_pairs_add(&p, "Auto Cert Mgmt",
		      json_is_true(json_object_get(app, "acm")) ? "true" : "false");
	join(i->people, "user.email", cli_js(app, "owner.email"), "\n", &b);
	cli_pairs_add(&p, "Collaborators", buf_str(&b));
	buf_reset(&b);
	count_types(i->dynos, "\n", &b);
	cli_pairs_add(&p, "Dynos", buf_str(&b));
	buf_reset(&b);
	cli_pairs_add(&p, "Git URL", cli_js(app, "git_url"));
	if (json_is_true(json_object_get(app, "maintenance")))
		cli_pairs_add(&p, "Maintenance", "on");
	cli_pairs_add(&p, "Owner", cli_js(app, "owner.email"));
	join_pipelines(i->couplings, &b);
	add_nonempty(&p, "Pipelines", &b);
	cli_pairs_add(&p, "Region", cli_js(app, "region.name"));
	if (strcmp(cli_js(app, "runtime"), "plain") == 0)
		cli_pairs_add(&p, "Runtime", "plain (no isolation)");
	bytes(cli_jint(app, "repo_size"), size);
	cli_pairs_add(&p, "Repo Size", size);
	bytes(cli_jint(app, "slug_size"), size);
	cli_pairs_add(&p, "Slug Size", size);
	stack_text(app, &b);
	add_nonempty(&p, "Stack", &b);
	cli_pairs_add(&p, "Web URL", cli_js(app, "web_url"));
	cli_pairs_print(&p, stdout);
}

static void shell_line(const char *key, const char *value)
{
	AUTO(buf_clear) struct buf b = {0};

	cli_shell_pair(&b, key, value);
	printf("%s\n", buf_str(&b));
}

static void info_shell(const struct info *i)
{
	AUTO(buf_clear) struct buf addons = {0};
	AUTO(buf_clear) struct buf people = {0};
	AUTO(buf_clear) struct buf dynos = {0};
	const json_t *app = i->app;
	char size[32];

	join(i->addons, "plan.name", NULL, ",", &addons);
	join(i->people, "user.email", cli_js(app, "owner.email"), ",", &people);
	count_types(i->dynos, ", ", &dynos);
	shell_line("auto_cert_mgmt", json_is_true(json_object_get(app, "acm")) ? "true" : "false");
	shell_line("addons", buf_str(&addons));
	shell_line("collaborators", buf_str(&people));
	shell_line("git_url", cli_js(app, "git_url"));
	shell_line("web_url", cli_js(app, "web_url"));
	bytes(cli_jint(app, "repo_size"), size);
	shell_line("repo_size", size);
	bytes(cli_jint(app, "slug_size"), size);
	shell_line("slug_size", size);
	shell_line("owner", cli_js(app, "owner.email"));
	shell_line("region", cli_js(app, "region.name"));
	shell_line("dynos", buf_str(&dynos));
	shell_line("stack", cli_js(app, "stack.name"));
}

int cmd_apps_info(struct cli *c, struct err *err)
{
	AUTO(info_clear) struct info i = {0};

	if (app_of_args(c, err) < 0 || fetch_info(c, &i, err) < 0)
		return -1;
	if (cli_opt(&c->args, "json")) {
		json_auto_t *all =
			json_pack("{sOsOsOsOsO}", "addons", i.addons, "app", i.app, "collaborators",
				  i.people, "dynos", i.dynos, "pipeline_couplings", i.couplings);

		cli_print_json(c, all);
	} else if (cli_opt(&c->args, "shell")) {
		info_shell(&i);
	} else {
		cli_header(c, "%s", cli_js(i.app, "name"));
		info_pairs(&i);
	}
	return 0;
}

/* Calls fn for the repository's remotes of the app. */
static int each_remote(struct cli *c, const char *app, const char *url,
		       int (*fn)(const char *name, const char *url, struct err *err),
		       struct err *err)
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
	cli_line("Git remote %s updated", name);
	return 0;
}

int cmd_apps_destroy(struct cli *c, struct err *err)
{
	json_auto_t *app = NULL;
	AUTO(auto_str) char *what = NULL;
	const char *name;

	/* --confirm NAME alone says which app, too. */
	if (!c->args.npos && !cli_opt(&c->args, "app") && !cli_opt(&c->args, "remote") &&
	    cli_opt(&c->args, "confirm"))
		c->app = xstrdup(cli_opt(&c->args, "confirm"));
	else if (app_of_args(c, err) < 0)
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
	if (each_remote(c, name, NULL, drop_remote, err) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	return 0;
}

int cmd_apps_rename(struct cli *c, struct err *err)
{
	const char *new_name = c->args.pos[0];
	json_auto_t *body = json_pack("{ss}", "name", new_name), *before = NULL, *app = NULL;

	if (cli_api(c, "GET", NULL, &before, err, "/apps/%s", c->app) < 0)
		return -1;
	cli_action(c, "Renaming %s to %s", cli_label(c, cli_js(before, "name")), new_name);
	if (cli_api(c, "PATCH", body, &app, err, "/apps/%s", cli_js(before, "id")) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	cli_line("%s | %s", cli_js(app, "web_url"), cli_js(app, "git_url"));
	if (each_remote(c, cli_js(before, "name"), cli_js(app, "git_url"), move_remote, err) < 0)
		return -1;
	cli_warn(c, "Don't forget to update git remotes for all other local checkouts of the app.");
	return 0;
}

int cmd_apps_open(struct cli *c, struct err *err)
{
	const char *path = c->args.npos ? c->args.pos[0] : "";
	json_auto_t *app = NULL;
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
	if (browser && cli_run((const char *const[]){"xdg-open", url, NULL}, NULL) == 0)
		fprintf(stderr, "Opening %s... done\n", url);
	else
		cli_line("%s", url);
	return 0;
}

int cmd_maintenance(struct cli *c, struct err *err)
{
	json_auto_t *app = NULL;

	if (cli_api(c, "GET", NULL, &app, err, "/apps/%s", c->app) < 0)
		return -1;
	printf("%s\n", json_is_true(json_object_get(app, "maintenance")) ? "on" : "off");
	return 0;
}

static int set_maintenance(struct cli *c, bool on, struct err *err)
{
	json_auto_t *body = json_pack("{sb}", "maintenance", on);

	cli_action(c, "%s maintenance mode for %s", on ? "Enabling" : "Disabling",
		   cli_label(c, c->app));
	if (cli_api(c, "PATCH", body, NULL, err, "/apps/%s", c->app) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	return 0;
}

int cmd_maintenance_on(struct cli *c, struct err *err)
{
	return set_maintenance(c, true, err);
}

int cmd_maintenance_off(struct cli *c, struct err *err)
{
	return set_maintenance(c, false, err);
}

int cmd_git_remote(struct cli *c, struct err *err)
{
	const char *name = remote_name(c), *given = cli_opt(&c->args, "app");
	json_auto_t *app = NULL;

	if (!cli_git_inside())
		return err_set(err, ERR_BAD_REQUEST,
			       "Not in a git repository: run git init, or change into one");
	/* Here -r names the remote that is made, so it says nothing about the app. */
	if (!given && !c->args.npos)
		given = getenv("PAASCTL_APP") ? getenv("PAASCTL_APP") : getenv("HEROKU_APP");
	if (!given && c->args.npos)
		given = c->args.pos[0];
	if (!given || !given[0])
		return err_set(err, ERR_BAD_REQUEST, "Specify an app with --app");
	if (cli_api(c, "GET", NULL, &app, err, "/apps/%s", given) < 0)
		return -1;
	if ((cli_git_has_remote(name) ? cli_git_set_remote
				      : cli_git_add_remote)(name, cli_js(app, "git_url"), err) < 0)
		return -1;
	cli_line("set git remote %s to %s", name, cli_js(app, "git_url"));
	return 0;
}
