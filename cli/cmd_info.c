/* All about one app; two apps side by side. */
#include "cli/cli.h"
#include "cli/table.h"

#include <string.h>

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

static int cmd_apps_info(struct cli *c, struct err *err)
{
	AUTO(info_clear) struct info i = {0};

	if (cli_app_arg(c, err) < 0 || fetch_info(c, &i, err) < 0)
		return -1;
	if (cli_json(c)) {
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

/* --- apps:diff --- */

struct side {
	json_t *slug, *app, *vars, *packs, *addons, *features;
};

static void side_clear(struct side *s)
{
	json_decref(s->slug);
	json_decref(s->app);
	json_decref(s->vars);
	json_decref(s->packs);
	json_decref(s->addons);
	json_decref(s->features);
}
#define side_clear_p side_clear

/* *out stays NULL when nothing was deployed. */
static int get_slug(struct cli *c, const char *app, json_t **out, struct err *err)
{
	json_auto_t *releases = NULL;
	const char *id;

	if (cli_api_part(c, "version ..; max=1, order=desc", &releases, err, "/apps/%s/releases",
			 app) < 0)
		return -1;
	id = cli_js(json_array_get(releases, 0), "slug.id");
	return id[0] ? cli_api(c, "GET", NULL, out, err, "/apps/%s/slugs/%s", app, id) : 0;
}

static int get_side(struct cli *c, const char *app, struct side *s, struct err *err)
{
	if (get_slug(c, app, &s->slug, err) < 0 ||
	    cli_api(c, "GET", NULL, &s->app, err, "/apps/%s", app) < 0 ||
	    cli_api(c, "GET", NULL, &s->vars, err, "/apps/%s/config-vars", app) < 0 ||
	    cli_api(c, "GET", NULL, &s->packs, err, "/apps/%s/buildpack-installations", app) < 0)
		return -1;
	free(c->app);
	c->app = xstrdup(app);
	part(c, "addons", &s->addons);
	part(c, "features", &s->features);
	return 0;
}

struct differ {
	json_t *rows;
	const char *a, *b;
};

static void compare(struct differ *d, const char *property, const char *a, const char *b)
{
	if (strcmp(a, b) != 0)
		json_array_append_new(
			d->rows, json_pack("{ss ss ss}", "property", property, d->a, a, d->b, b));
}

static void compare_lists(struct differ *d, const char *property, const json_t *a, const json_t *b,
			  const char *key)
{
	AUTO(buf_clear) struct buf x = {0};
	AUTO(buf_clear) struct buf y = {0};

	join(a, key, NULL, ", ", &x);
	join(b, key, NULL, ", ", &y);
	compare(d, property, buf_str(&x), buf_str(&y));
}

/* Values of config vars stay where they are: that they differ is enough. */
static void compare_vars(struct differ *d, const json_t *a, const json_t *b)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)a, key, v)
	{
		AUTO(auto_str) char *name = xasprintf("config (%s)", key);
		json_t *other = json_object_get(b, key);

		if (!json_equal(v, other))
			compare(d, name, "set", other ? "set, another value" : "not set");
	}
	json_object_foreach((json_t *)b, key, v)
	{
		AUTO(auto_str) char *name = xasprintf("config (%s)", key);

		if (!json_object_get(a, key))
			compare(d, name, "not set", "set");
	}
}

/* By the best that is known of both: not every slug was ever packed, and has a checksum. */
static void compare_slugs(struct differ *d, const json_t *a, const json_t *b)
{
	static const char *const keys[] = {"checksum", "commit", "id"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *x = cli_js(a, keys[i]), *y = cli_js(b, keys[i]);
		AUTO(auto_str) char *name = xasprintf("slug (%s)", keys[i]);

		if ((a && !x[0]) || (b && !y[0]))
			continue;
		compare(d, name, x, y);
		return;
	}
}

static json_t *enabled(const json_t *features)
{
	json_t *some = json_array(), *f;
	size_t i;

	json_array_foreach(features, i, f) if (json_is_true(json_object_get(f, "enabled")))
		json_array_append(some, f);
	return some;
}

static int cmd_apps_diff(struct cli *c, struct err *err)
{
	AUTO(side_clear) struct side a = {0};
	AUTO(side_clear) struct side b = {0};
	json_auto_t *rows = json_array(), *fa = NULL, *fb = NULL;
	struct differ d = {rows, c->args.pos[0], c->args.pos[1]};
	const struct cli_field columns[] = {{"property", "property", FORM_TEXT},
					    {d.a, d.a, FORM_TEXT},
					    {d.b, d.b, FORM_TEXT},
					    {0}};

	if (get_side(c, d.a, &a, err) < 0 || get_side(c, d.b, &b, err) < 0)
		return -1;
	fa = enabled(a.features);
	fb = enabled(b.features);
	compare_slugs(&d, a.slug, b.slug);
	compare_vars(&d, a.vars, b.vars);
	compare(&d, "stack", cli_js(a.app, "stack.name"), cli_js(b.app, "stack.name"));
	compare_lists(&d, "buildpacks", a.packs, b.packs, "buildpack.url");
	compare_lists(&d, "add-ons", a.addons, b.addons, "addon_service.name");
	compare_lists(&d, "features", fa, fb, "name");
	return cli_show_list(c, rows, columns, NULL, "No differences");
}

/* --- stacks --- */

static int cmd_stacks(struct cli *c, struct err *err)
{
	json_auto_t *app = NULL, *stacks = NULL, *list = NULL;
	const char *now, *next;
	size_t i;
	json_t *s;

	if (cli_api(c, "GET", NULL, &app, err, "/apps/%s", c->app) < 0 ||
	    cli_api(c, "GET", NULL, &stacks, err, "/stacks") < 0)
		return -1;
	list = cli_sorted(stacks, "name");
	if (cli_json(c)) {
		cli_print_json(c, list);
		return 0;
	}
	now = cli_js(app, "stack.name");
	next = cli_js(app, "build_stack.name");
	cli_header(c, "%s Available Stacks", c->app);
	json_array_foreach(list, i, s)
	{
		const char *name = cli_js(s, "name");
		bool current = strcmp(name, now) == 0;

		cli_line("%s %s%s", current ? "*" : " ", name,
			 strcmp(name, next) == 0 && !current ? " (active on next deploy)" : "");
	}
	return 0;
}

static int cmd_stacks_set(struct cli *c, struct err *err)
{
	json_auto_t *body = json_pack("{ss}", "build_stack", c->args.pos[0]), *app = NULL;

	cli_action(c, "Setting stack to %s", c->args.pos[0]);
	if (cli_api(c, "PATCH", body, &app, err, "/apps/%s", c->app) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	if (cli_json(c))
		cli_print_json(c, app);
	else if (strcmp(cli_js(app, "stack.name"), cli_js(app, "build_stack.name")) != 0)
		cli_line(
			"You will need to redeploy %s for the change to take effect.\nRun git push "
			"to trigger a new build on %s.",
			c->app, cli_js(app, "build_stack.name"));
	return 0;
}

const struct cli_cmd cli_cmds_info[] = {
	{.name = "apps:info",
	 .aliases = "info",
	 .help = "show detailed app information",
	 .args = ARGS({"APP", COMPLETE_APP, "name of the app (also -a)", false, false}),
	 .opts = OPTS(SWITCH('s', "shell", "output in shell format")),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_apps_info,
	 .examples = "apps:info my-app\ninfo --json"},
	{.name = "apps:diff",
	 .help = "show what two apps differ in",
	 .more = "Code, names and values of config vars (values are not shown), stack, buildpacks, "
		 "add-ons, "
		 "features.",
	 .args = ARGS({"APP1", COMPLETE_APP, "an app", true, false},
		      {"APP2", COMPLETE_APP, "another app", true, false}),
	 .run = cmd_apps_diff,
	 .examples = "apps:diff my-app-staging my-app-production"},
	{.name = "apps:stacks",
	 .aliases = "stack",
	 .help = "list the stacks that an app may use",
	 .flags = CLI_APP,
	 .run = cmd_stacks,
	 .examples = "apps:stacks -a my-app"},
	{.name = "apps:stacks:set",
	 .aliases = "stack:set",
	 .help = "build the app on another stack from the next deploy on",
	 .args = ARGS({"STACK", COMPLETE_STACK, "name of the stack", true, false}),
	 .flags = CLI_APP,
	 .run = cmd_stacks_set,
	 .examples = "stack:set heroku-24 -a my-app"},
	{0},
};
