/* app.json: checked without a platform; apps made of it. */
#include "cli/cli.h"
#include "cli/table.h"
#include "daemon/appjson/appjson.h"
#include "proto/limits.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- app.json:check --- */

static json_t *problems_json(const struct appjson_problems *p)
{
	json_t *list = json_array();

	for (int i = 0; i < p->n; i++)
		json_array_append_new(list, json_pack("{s:i, s:i, s:s, s:s}", "line", p->v[i].line,
						      "column", p->v[i].column, "where",
						      p->v[i].where, "message", p->v[i].text));
	return list;
}

/* A folder stands for its app.json. */
static char *manifest_file(struct cli *c)
{
	const char *given = c->args.npos ? c->args.pos[0] : "app.json";
	struct stat st;

	if (stat(given, &st) == 0 && S_ISDIR(st.st_mode))
		return xasprintf("%s/app.json", given);
	return xstrdup(given);
}

static int cmd_check(struct cli *c, struct err *err)
{
	AUTO(appjson_problems_clear) struct appjson_problems p = {0};
	AUTO(appjson_clear) struct appjson a = {0};
	AUTO(buf_clear) struct buf text = {0};
	AUTO(auto_str) char *file = manifest_file(c);
	struct err wrong = {0};
	int rc;

	if (cli_read_file(file, APPJSON_BYTES, &text, err) < 0)
		return -1;
	rc = appjson_parse(buf_str(&text), text.len, cli_opt(&c->args, "environment"), &a, &p,
			   &wrong);
	if (rc < 0 && !p.n) { /* of the command line, not of the file */
		*err = wrong;
		return -1;
	}
	if (cli_json(c)) {
		json_auto_t *list = problems_json(&p);

		cli_print_json(c, list);
		return p.n ? err_exit_status(err_wire_id(ERR_INVALID_PARAMS)) : 0;
	}
	for (int i = 0; i < p.n; i++) {
		char line[512];

		appjson_problem_line(&p.v[i], file, line);
		cli_line("%s", line);
	}
	if (p.n)
		return err_set(err, ERR_INVALID_PARAMS, "%s has %d problem%s", file, p.n,
			       p.n == 1 ? "" : "s");
	cli_line("%s: ok", file);
	return 0;
}

/* --- apps:setup --- */

static int read_env(struct cli *c, json_t *overrides, struct err *err)
{
	const char *pair;
	json_t *env = json_object();

	json_object_set_new(overrides, "env", env);
	for (int i = 0; (pair = cli_opt_nth(&c->args, "env", i)); i++) {
		const char *eq = strchr(pair, '=');
		AUTO(auto_str) char *name = eq ? xstrndup(pair, (size_t)(eq - pair)) : NULL;

		if (!eq || eq == pair)
			return err_set(err, ERR_BAD_REQUEST, "--env takes KEY=VALUE, not %s", pair);
		if (json_object_set_new(env, name, json_string(eq + 1)) < 0)
			return err_set(err, ERR_BAD_REQUEST, "The value of %s is not UTF-8", name);
	}
	return 0;
}

static json_t *make_overrides(struct cli *c, struct err *err)
{
	json_t *overrides = json_object(), *packs;
	const char *pack;

	if (read_env(c, overrides, err) < 0) {
		json_decref(overrides);
		return NULL;
	}
	if (cli_opt(&c->args, "buildpack")) {
		packs = json_array();
		for (int i = 0; (pack = cli_opt_nth(&c->args, "buildpack", i)); i++)
			json_array_append_new(packs, json_pack("{s:s}", "url", pack));
		json_object_set_new(overrides, "buildpacks", packs);
	}
	return overrides;
}

/* Said here, where line numbers of the file are at hand, rather than after an upload. */
static int check_first(struct cli *c, const char *dir, const char *environment, struct err *err)
{
	AUTO(auto_str) char *file = xasprintf("%s/app.json", dir);
	AUTO(appjson_clear) struct appjson a = {0};
	AUTO(buf_clear) struct buf text = {0};

	if (access(file, F_OK) < 0)
		return err_set(err, ERR_NOT_FOUND,
			       "%s has no app.json; `paasctl apps:create` makes an app without one",
			       dir);
	if (cli_read_file(file, APPJSON_BYTES, &text, err) < 0)
		return -1;
	if (appjson_parse(buf_str(&text), text.len, environment, &a, NULL, err) == 0)
		return 0;
	buf_addf(&c->detail, "%s\n`paasctl app.json:check` shows all that is wrong", err->msg);
	return -1;
}

static int make_blob(struct cli *c, json_t *body, struct err *err)
{
	const char *from = cli_opt(&c->args, "source");
	json_auto_t *source = NULL;
	json_t *blob = json_object();
	struct stat st;
	bool dir;

	json_object_set_new(body, "source_blob", blob);
	if (!from)
		from = c->args.npos ? c->args.pos[0] : ".";
	if (strstr(from, "://")) {
		json_object_set_new(blob, "url", json_string(from));
		cli_source_version(c, NULL, blob);
		return 0;
	}
	dir = stat(from, &st) == 0 && S_ISDIR(st.st_mode);
	if (dir && check_first(c, from, cli_opt(&c->args, "environment"), err) < 0)
		return -1;
	if (cli_source_upload(c, from, &source, err) < 0)
		return -1;
	json_object_set_new(blob, "url", json_string(cli_js(source, "source_blob.get_url")));
	cli_source_version(c, dir ? from : NULL, blob);
	return 0;
}

static json_t *make_body(struct cli *c, struct err *err)
{
	const char *name = cli_opt(&c->args, "app"), *stack = cli_opt(&c->args, "stack"),
		   *environment = cli_opt(&c->args, "environment");
	json_auto_t *body = json_object();
	json_t *app = json_object(), *overrides = make_overrides(c, err);

	json_object_set_new(body, "app", app);
	if (!overrides)
		return NULL;
	json_object_set_new(body, "overrides", overrides);
	if (name)
		json_object_set_new(app, "name", json_string(name));
	if (stack)
		json_object_set_new(app, "stack", json_string(stack));
	if (environment)
		json_object_set_new(body, "environment", json_string(environment));
	return make_blob(c, body, err) < 0 ? NULL : json_incref(body);
}

static bool is_pending(const json_t *setup)
{
	return strcmp(cli_js(setup, "status"), "pending") == 0;
}

/* The build is shown as it comes; before and after it there is only to wait. */
static int follow(struct cli *c, json_t **setup, struct err *err)
{
	bool shown = false;

	while (is_pending(*setup) || (!shown && cli_js(*setup, "build.id")[0])) {
		AUTO(auto_str) char *id = xstrdup(cli_js(*setup, "id"));
		AUTO(auto_str) char *url = xstrdup(cli_js(*setup, "build.output_stream_url"));
		long status;

		if (url[0] && !shown) {
			shown = true;
			if (cli_stream_text(c, url, &status, err) < 0)
				return -1;
		} else {
			usleep(200 * 1000);
		}
		json_decref(*setup);
		*setup = NULL;
		if (cli_api(c, "GET", NULL, setup, err, "/app-setups/%s", id) < 0)
			return -1;
	}
	return 0;
}

static int verdict(struct cli *c, const json_t *setup, struct err *err)
{
	const char *output = cli_js(setup, "postdeploy.output");
	const json_t *errors = json_object_get(setup, "manifest_errors");
	size_t i;
	json_t *one;

	if (output[0]) {
		cli_line("-----> Running the postdeploy script...");
		for (const char *p = output, *end; *p; p = *end ? end + 1 : end) {
			end = p + strcspn(p, "\n");
			cli_line("       %.*s", (int)(end - p), p);
		}
	}
	if (strcmp(cli_js(setup, "status"), "succeeded") == 0) {
		const char *url = cli_js(setup, "resolved_success_url");

		cli_line("%s is set up%s%s", cli_label(c, cli_js(setup, "app.name")),
			 url[0] ? ": " : "", url);
		return 0;
	}
	json_array_foreach(errors, i, one) cli_line(" !     %s", json_string_value(one));
	return err_set(err, json_array_size(errors) ? ERR_INVALID_PARAMS : ERR_BUILD_FAILED,
		       "Setting up %s failed: %s", cli_js(setup, "app.name"),
		       cli_js(setup, "failure_message"));
}

static int cmd_setup(struct cli *c, struct err *err)
{
	json_auto_t *body = make_body(c, err), *setup = NULL;

	if (!body)
		return -1;
	cli_action(c, "Setting up an app");
	if (cli_api(c, "POST", body, &setup, err, "/app-setups") < 0)
		return -1;
	cli_action_done(c, "%s", cli_label(c, cli_js(setup, "app.name")));
	if (cli_opt(&c->args, "no-wait")) {
		if (cli_json(c))
			cli_print_json(c, setup);
		else
			cli_line("%s", cli_js(setup, "id"));
		return 0;
	}
	if (cli_json(c)) {
		while (is_pending(setup)) {
			AUTO(auto_str) char *id = xstrdup(cli_js(setup, "id"));

			usleep(200 * 1000);
			json_decref(STEAL(setup));
			if (cli_api(c, "GET", NULL, &setup, err, "/app-setups/%s", id) < 0)
				return -1;
		}
		cli_print_json(c, setup);
		return strcmp(cli_js(setup, "status"), "succeeded") == 0
			       ? 0
			       : err_exit_status(err_wire_id(ERR_BUILD_FAILED));
	}
	return follow(c, &setup, err) < 0 ? -1 : verdict(c, setup, err);
}

#define ENVIRONMENT \
	VALUE('e', "environment", "NAME", NONE, "with this environment's overrides: review, test")

const struct cli_cmd cli_cmds_setup[] = {
	{.name = "apps:setup",
	 .help = "make an app of code and its app.json: config vars, add-ons, formation, "
		 "postdeploy",
	 .more = "Of a git checkout the files that git would see go up, uncommitted changes "
		 "included. When a step fails, the app is destroyed again.",
	 .args = ARGS({"SOURCE", COMPLETE_FILE,
		       "directory, .tar.gz, address of one, or of a git repository "
		       "(https://example.com/app.git#branch); this directory by default",
		       false, false}),
	 .opts = OPTS(VALUE('s', "source", "SOURCE", FILE, "the same as the argument"),
		      VALUE('a', "app", "NAME", NONE, "name of the new app (default: made up)"),
		      VALUE(0, "env", "KEY=VALUE", NONE,
			    "config var, over app.json's (may be repeated)"),
		      VALUE('b', "buildpack", "BUILDPACK", NONE,
			    "in place of app.json's (may be repeated)"),
		      VALUE(0, "stack", "STACK", STACK, "stack of the new app"),
		      VALUE(0, "version", "TEXT", NONE, "what the code is (default: the commit)"),
		      ENVIRONMENT,
		      SWITCH(0, "no-wait", "print the setup's id and go on by itself")),
	 .run = cmd_setup,
	 .examples = "apps:setup\napps:setup --app my-app --env MAIL_FROM=me@example.com\n"
		     "apps:setup https://example.com/app.git#main --app demo"},
	{.name = "app.json:check",
	 .help = "check an app.json, without a platform",
	 .more = "Prints what is wrong, one a line, as FILE:LINE:COLUMN: KEY PROBLEM. Exit status: "
		 "0 it is right, 2 it is not.",
	 .args = ARGS({"FILE", COMPLETE_FILE, "the file, its folder, or - (default: app.json)",
		       false, false}),
	 .opts = OPTS(ENVIRONMENT),
	 .flags = CLI_OFFLINE | CLI_NO_KEY,
	 .run = cmd_check,
	 .examples = "app.json:check\napp.json:check path/to/app.json --environment review"},
	{0},
};
