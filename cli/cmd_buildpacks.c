#include "cli/cli.h"
#include "cli/table.h"

#include <string.h>

static const char *url_of(const json_t *installation)
{
	const char *url = cli_js(installation, "buildpack.url");

	if (!url[0])
		url = cli_js(installation, "buildpack.name");
	return strncmp(url, "urn:buildpack:", 14) == 0 ? url + 14 : url;
}

static int by_ordinal(const void *a, const void *b)
{
	return (int)(cli_jint(*(json_t *const *)a, "ordinal") -
		     cli_jint(*(json_t *const *)b, "ordinal"));
}

static int registry(struct cli *c, json_t **out, struct err *err, const char *path)
{
	struct cli_req r = {.method = "GET", .path = path, .bearer = ""};

	return cli_request(c, &r, out, err);
}

/* URLs or names in order, as an array of strings. */
static int get_list(struct cli *c, json_t **out, struct err *err)
{
	json_auto_t *list = NULL;
	json_t **v;
	size_t n;

	if (cli_api(c, "GET", NULL, &list, err, "/apps/%s/buildpack-installations", c->app) < 0)
		return -1;
	n = json_array_size(list);
	v = xcalloc(n, sizeof(json_t *));
	for (size_t i = 0; i < n; i++)
		v[i] = json_array_get(list, i);
	qsort(v, n, sizeof(json_t *), by_ordinal);
	*out = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(*out, json_string(url_of(v[i])));
	free(v);
	return 0;
}

static int put_list(struct cli *c, const json_t *urls, struct err *err)
{
	json_auto_t *body = NULL;
	json_t *updates = json_array(), *u;
	size_t i;

	json_array_foreach(urls, i, u)
		json_array_append_new(updates, json_pack("{sO}", "buildpack", u));
	body = json_pack("{so}", "updates", updates);
	return cli_api(c, "PUT", body, NULL, err, "/apps/%s/buildpack-installations", c->app);
}

static void print_list(const json_t *urls, const char *indent)
{
	size_t n = json_array_size(urls);

	for (size_t i = 0; i < n; i++) {
		const char *url = cli_js(json_array_get(urls, i), "");

		if (n == 1)
			cli_line("%s%s", indent, url);
		else
			cli_line("%s%zu. %s", indent, i + 1, url);
	}
}

/* What the Heroku CLI says after a change. */
static void report(struct cli *c, const char *done, const json_t *urls)
{
	size_t n = json_array_size(urls);

	if (cli_json(c)) {
		cli_print_json(c, urls);
		return;
	}
	if (n == 0) {
		cli_line("Buildpack%s. Next release on %s will detect buildpacks normally.", done,
			 c->app);
	} else if (n == 1) {
		cli_line("Buildpack%s. Next release on %s will use %s.", done, c->app,
			 cli_js(json_array_get(urls, 0), ""));
	} else {
		cli_line("Buildpack%s. Next release on %s will use:", done, c->app);
		print_list(urls, "  ");
	}
	if (n)
		cli_line("Push your code to create a new release using %s.",
			 n == 1 ? "this buildpack" : "these buildpacks");
}

static int cmd_buildpacks(struct cli *c, struct err *err)
{
	json_auto_t *urls = NULL;

	if (cli_json(c)) {
		json_auto_t *raw = NULL;

		if (cli_api(c, "GET", NULL, &raw, err, "/apps/%s/buildpack-installations", c->app) <
		    0)
			return -1;
		cli_print_json(c, raw);
		return 0;
	}
	if (get_list(c, &urls, err) < 0)
		return -1;
	if (!json_array_size(urls)) {
		cli_line("%s has no Buildpack URL set.", c->app);
		return 0;
	}
	cli_header(c, "%s Buildpack URL%s", c->app, json_array_size(urls) > 1 ? "s" : "");
	print_list(urls, "");
	return 0;
}

/* 1-based -i; 0 = not given. */
static int index_opt(struct cli *c, size_t *out, struct err *err)
{
	const char *s = cli_opt(&c->args, "index");

	*out = 0;
	if (!s)
		return 0;
	if (!*s || strlen(s) > 4 || strspn(s, "0123456789") != strlen(s) || atoi(s) < 1)
		return err_set(err, ERR_BAD_REQUEST, "Invalid index. Must be greater than 0.");
	*out = (size_t)atoi(s);
	return 0;
}

/* 0-based place of a buildpack; the list's length when it is not there. */
static size_t find(const json_t *urls, const char *bp)
{
	size_t i;
	json_t *u;

	json_array_foreach(urls, i, u) if (strcmp(cli_js(u, ""), bp) == 0) return i;
	return json_array_size(urls);
}

/* NAMESPACE/NAME stands for the address that the registry has for it. */
static int resolve(struct cli *c, const char *bp, char **out, struct err *err)
{
	AUTO(auto_str) char *path = NULL;
	json_auto_t *found = NULL;
	const char *slash = strchr(bp, '/');

	if (!slash || strchr(slash + 1, '/') || strchr(bp, ':')) {
		*out = xstrdup(bp);
		return 0;
	}
	path = cli_pathf("/buildpacks/%s", bp);
	if (registry(c, &found, err, path) < 0) {
		if (err->status != 404)
			return -1;
		buf_reset(&c->detail);
		return err_set(err, ERR_NOT_FOUND, "%s is not in the buildpack registry.", bp);
	}
	*out = xstrdup(cli_js(found, "blob_url")[0] ? cli_js(found, "blob_url") : bp);
	return 0;
}

static int set_or_add(struct cli *c, bool add, struct err *err)
{
	AUTO(auto_str) char *bp = NULL;
	json_auto_t *urls = NULL;
	size_t index, n;

	if (index_opt(c, &index, err) < 0 || resolve(c, c->args.pos[0], &bp, err) < 0 ||
	    get_list(c, &urls, err) < 0)
		return -1;
	n = json_array_size(urls);
	if (find(urls, bp) < n)
		return err_set(err, ERR_BAD_REQUEST, "The buildpack %s is already set on your app.",
			       bp);
	if (!index)
		index = add ? n + 1 : 1;
	if (index > n)
		json_array_append_new(urls, json_string(bp));
	else if (add)
		json_array_insert_new(urls, index - 1, json_string(bp));
	else
		json_array_set_new(urls, index - 1, json_string(bp));
	if (put_list(c, urls, err) < 0)
		return -1;
	report(c, add ? " added" : " set", urls);
	return 0;
}

static int cmd_buildpacks_set(struct cli *c, struct err *err)
{
	return set_or_add(c, false, err);
}

static int cmd_buildpacks_add(struct cli *c, struct err *err)
{
	return set_or_add(c, true, err);
}

static int cmd_buildpacks_remove(struct cli *c, struct err *err)
{
	AUTO(auto_str) char *bp = NULL;
	json_auto_t *urls = NULL;
	size_t index, n;

	if (index_opt(c, &index, err) < 0)
		return -1;
	if (!c->args.npos == !index)
		return err_set(err, ERR_BAD_REQUEST,
			       "Please specify either a buildpack or its index with -i.");
	if ((c->args.npos && resolve(c, c->args.pos[0], &bp, err) < 0) ||
	    get_list(c, &urls, err) < 0)
		return -1;
	n = json_array_size(urls);
	if (n == 0)
		return err_set(err, ERR_BAD_REQUEST,
			       "No buildpacks were found. Next release on %s will detect buildpack "
			       "normally.",
			       c->app);
	if (bp && find(urls, bp) == n)
		return err_set(err, ERR_BAD_REQUEST, "Buildpack not found. Nothing was removed.");
	if (index > n)
		return err_set(err, ERR_BAD_REQUEST, "Invalid index. Must be between 1 and %zu.",
			       n);
	json_array_remove(urls, bp ? find(urls, bp) : index - 1);
	if (put_list(c, urls, err) < 0)
		return -1;
	report(c, " removed", urls);
	return 0;
}

static int cmd_buildpacks_clear(struct cli *c, struct err *err)
{
	json_auto_t *none = json_array();

	if (put_list(c, none, err) < 0)
		return -1;
	report(c, "s cleared", none);
	return 0;
}

/* --- the registry --- */

static int cmd_search(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {{"Namespace", "namespace", FORM_TEXT},
					       {"Name", "name", FORM_TEXT},
					       {"Category", "category", FORM_TEXT},
					       {"Description", "description", FORM_TEXT},
					       {0}};
	static const char *const filters[] = {"in[namespace][]", "in[name][]", "like[description]"};
	const char *term = c->args.npos ? c->args.pos[0] : NULL;
	json_auto_t *all = json_array(), *sorted = NULL;

	for (size_t i = 0; i < (term ? ARRAY_LEN(filters) : 1); i++) {
		AUTO(auto_str) char *value = cli_pathf("%s", term ? term : "");
		AUTO(auto_str)
		char *path = term ? xasprintf("/buildpacks?%s=%s", filters[i], value)
				  : xstrdup("/buildpacks");
		json_auto_t *some = NULL;
		size_t k;
		json_t *bp;

		if (registry(c, &some, err, path) < 0)
			return -1;
		json_array_foreach(some, k, bp)
		{
			bool there = false;

			for (size_t m = 0; m < json_array_size(all); m++)
				there = there || json_equal(json_array_get(all, m), bp);
			if (!there)
				json_array_append(all, bp);
		}
	}
	sorted = cli_sorted(all, "name");
	return cli_show_list(c, sorted, row, NULL, "No buildpacks found");
}

static int cmd_info(struct cli *c, struct err *err)
{
	static const struct cli_field fields[] = {
		{"Description", "description", FORM_TEXT}, {"Category", "category", FORM_TEXT},
		{"Address", "blob_url", FORM_TEXT},	   {"Source", "source.repo", FORM_TEXT},
		{"Support", "support.address", FORM_TEXT}, {0}};
	AUTO(auto_str) char *path = cli_pathf("/buildpacks/%s", c->args.pos[0]);
	json_auto_t *bp = NULL;

	if (registry(c, &bp, err, path) < 0)
		return -1;
	return cli_show_fields(c, bp, fields, c->args.pos[0]);
}

static int cmd_versions(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {{"Version", "release", FORM_TEXT},
					       {"Released At", "created_at", FORM_TEXT},
					       {"Status", "status", FORM_TEXT},
					       {0}};
	AUTO(auto_str) char *path = cli_pathf("/buildpacks/%s/revisions", c->args.pos[0]);
	json_auto_t *list = NULL;

	if (registry(c, &list, err, path) < 0)
		return -1;
	return cli_show_list(c, list, row, NULL, "There are no versions.");
}

const struct cli_cmd cli_cmds_buildpacks[] = {
	{.name = "buildpacks",
	 .help = "list the buildpacks on an app",
	 .flags = CLI_APP,
	 .run = cmd_buildpacks,
	 .examples = "buildpacks -a my-app"},
	{.name = "buildpacks:set",
	 .help = "set new app buildpack, overwriting the one at that place",
	 .args = ARGS({"BUILDPACK", COMPLETE_NONE, "name or URL", true, false}),
	 .opts = OPTS(VALUE('i', "index", "N", NONE, "the 1-based place in the list (default: 1)")),
	 .flags = CLI_APP,
	 .run = cmd_buildpacks_set,
	 .examples = "buildpacks:set heroku/ruby -a my-app"},
	{.name = "buildpacks:add",
	 .help = "add new app buildpack, inserting it at that place",
	 .args = ARGS({"BUILDPACK", COMPLETE_NONE, "name or URL", true, false}),
	 .opts = OPTS(VALUE('i', "index", "N", NONE,
			    "the 1-based place in the list (default: the end)")),
	 .flags = CLI_APP,
	 .run = cmd_buildpacks_add,
	 .examples = "buildpacks:add -i 1 heroku/nodejs"},
	{.name = "buildpacks:remove",
	 .help = "remove a buildpack of the app",
	 .args = ARGS({"BUILDPACK", COMPLETE_NONE, "name or URL", false, false}),
	 .opts = OPTS(VALUE('i', "index", "N", NONE, "the 1-based place in the list")),
	 .flags = CLI_APP,
	 .run = cmd_buildpacks_remove,
	 .examples = "buildpacks:remove -i 2\nbuildpacks:remove heroku/nodejs"},
	{.name = "buildpacks:clear",
	 .help = "clear all buildpacks on the app",
	 .flags = CLI_APP,
	 .run = cmd_buildpacks_clear,
	 .examples = "buildpacks:clear -a my-app"},
	{.name = "buildpacks:search",
	 .help = "look for buildpacks in the registry",
	 .args = ARGS({"TERM", COMPLETE_NONE, "namespace, name or words of the description", false,
		       false}),
	 .flags = CLI_NO_KEY,
	 .run = cmd_search,
	 .examples = "buildpacks:search ruby"},
	{.name = "buildpacks:info",
	 .help = "show a buildpack of the registry",
	 .args = ARGS({"BUILDPACK", COMPLETE_NONE, "NAMESPACE/NAME", true, false}),
	 .flags = CLI_NO_KEY,
	 .run = cmd_info,
	 .examples = "buildpacks:info heroku/ruby"},
	{.name = "buildpacks:versions",
	 .help = "list the versions of a buildpack of the registry",
	 .args = ARGS({"BUILDPACK", COMPLETE_NONE, "NAMESPACE/NAME", true, false}),
	 .flags = CLI_NO_KEY,
	 .run = cmd_versions,
	 .examples = "buildpacks:versions heroku/ruby"},
	{0},
};
