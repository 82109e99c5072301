/* Review apps: an app for a branch or pull request, and the settings of a pipeline for them. */
#include "cli/pipelines.h"
#include "cli/table.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

/* --pipeline, else the one that the app around us is in. Owned. */
static char *the_pipeline(struct cli *c, struct err *err)
{
	const char *given = cli_opt(&c->args, "pipeline");
	json_auto_t *coupling = NULL;

	if (given)
		return xstrdup(given);
	if (!c->app && cli_find_app(c, err) < 0) {
		err_set(err, ERR_BAD_REQUEST, "Which pipeline? Name it with --pipeline NAME");
		return NULL;
	}
	if (cli_coupling(c, &coupling, err) < 0)
		return NULL;
	return xstrdup(cli_js(coupling, "pipeline.name"));
}

static int get_pipeline(struct cli *c, json_t **out, struct err *err)
{
	AUTO(auto_str) char *name = the_pipeline(c, err);

	return name ? cli_api(c, "GET", NULL, out, err, "/pipelines/%s", name) : -1;
}

/* --- list, info --- */

static int cmd_list(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {{"App", "app.name", FORM_TEXT},
					       {"Branch", "branch", FORM_TEXT},
					       {"PR", "pr_number", FORM_TEXT},
					       {"Status", "status", FORM_TEXT},
					       {"Updated", "updated_at", FORM_WHEN},
					       {"Message", "message", FORM_TEXT},
					       {0}};
	json_auto_t *pipeline = NULL;
	json_auto_t *list = NULL;
	AUTO(auto_str) char *title = NULL;

	if (get_pipeline(c, &pipeline, err) < 0 ||
	    cli_api(c, "GET", NULL, &list, err, "/pipelines/%s/review-apps",
		    cli_js(pipeline, "id")) < 0)
		return -1;
	title = xasprintf("Review apps of %s", cli_js(pipeline, "name"));
	return cli_show_list(
		c, list, row, title,
		"There are no review apps. Make one with: paasctl reviewapps:create -b "
		"BRANCH, or push a branch: paasctl reviewapps:remote");
}

/* The review app that WHAT names: an app, a branch, a pull request. */
static int find_one(struct cli *c, const json_t *pipeline, const char *what, json_t **out,
		    struct err *err)
{
	json_auto_t *list = NULL;
	json_t *v;
	size_t i;

	if (cli_api(c, "GET", NULL, &list, err, "/pipelines/%s/review-apps",
		    cli_js(pipeline, "id")) < 0)
		return -1;
	json_array_foreach(list, i, v)
	{
		AUTO(auto_str) char *number = xasprintf("%lld", cli_jint(v, "pr_number"));

		if (strcmp(cli_js(v, "app.name"), what) == 0 ||
		    strcmp(cli_js(v, "branch"), what) == 0 || strcmp(cli_js(v, "id"), what) == 0 ||
		    strcmp(number, what + (what[0] == '#')) == 0) {
			*out = json_incref(v);
			return 0;
		}
	}
	return err_set(err, ERR_NOT_FOUND,
		       "%s has no review app of %s; `paasctl reviewapps` lists them",
		       cli_js(pipeline, "name"), what);
}

static int show_one(struct cli *c, const json_t *v)
{
	static const struct cli_field fields[] = {{"App", "app.name", FORM_TEXT},
						  {"Branch", "branch", FORM_TEXT},
						  {"Pull request", "pr_number", FORM_TEXT},
						  {"Fork", "fork_repo.full_name", FORM_TEXT},
						  {"Status", "status", FORM_TEXT},
						  {"Message", "message", FORM_TEXT},
						  {"Commit", "commit", FORM_TEXT},
						  {"Created", "created_at", FORM_WHEN},
						  {"Updated", "updated_at", FORM_WHEN},
						  {0}};

	return cli_show_fields(c, v, fields, NULL);
}

static int cmd_info(struct cli *c, struct err *err)
{
	json_auto_t *pipeline = NULL;
	json_auto_t *v = NULL;

	if (get_pipeline(c, &pipeline, err) < 0 ||
	    find_one(c, pipeline, c->args.pos[0], &v, err) < 0)
		return -1;
	return show_one(c, v);
}

/* --- settings --- */

static const struct {
	const char *opt, *no, *key;
} switches[] = {
	{"autodeploy", "no-autodeploy", "automatic_review_apps"},
	{"autodestroy", "no-autodestroy", "destroy_stale_apps"},
	{"wait-for-ci", "no-wait-for-ci", "wait_for_ci"},
};

static int number_opt(struct cli *c, json_t *body, const char *opt, const char *key,
		      struct err *err)
{
	const char *text = cli_opt(&c->args, opt);
	int v = 0;

	if (!text)
		return 0;
	if (strcmp(text, "0") != 0 && strcmp(text, "never") != 0 &&
	    cli_num_opt(c, opt, 0, &v, err) < 0)
		return -1;
	return json_object_set_new(body, key, json_integer(v));
}

/* Parity's pr_app takes the first 20 characters of the staging app's name. */
static int staging_base(struct cli *c, const json_t *pipeline, json_t *body, struct err *err)
{
	json_auto_t *list = NULL;
	json_auto_t *ids = json_array();
	json_auto_t *apps = NULL;
	json_t *k;
	size_t i;

	if (cli_api(c, "GET", NULL, &list, err, "/pipelines/%s/pipeline-couplings",
		    cli_js(pipeline, "id")) < 0)
		return -1;
	json_array_foreach(list, i, k)
	{
		if (strcmp(cli_js(k, "stage"), "staging") == 0)
			json_array_append(ids, json_object_get(json_object_get(k, "app"), "id"));
	}
	if (cli_apps_by_id(c, ids, &apps, err) < 0)
		return -1;
	if (!json_array_size(apps))
		return err_set(err, ERR_BAD_REQUEST,
			       "%s has no staging app to name review apps after: give --base-name",
			       cli_js(pipeline, "name"));
	return json_object_set_new(body, "base_name",
				   json_sprintf("%.20s", cli_js(json_array_get(apps, 0), "name")));
}

static int cmd_enable(struct cli *c, struct err *err)
{
	json_auto_t *pipeline = NULL;
	json_auto_t *body = json_object();
	const struct cli_args *a = &c->args;

	if (get_pipeline(c, &pipeline, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(switches); i++)
		if (cli_opt(a, switches[i].opt))
			json_object_set_new(body, switches[i].key, json_true());
	if (cli_opt(a, "stale-days"))
		json_object_set_new(body, "destroy_stale_apps", json_true());
	cli_body_opt(c, body, "base-name", "base_name");
	if (number_opt(c, body, "stale-days", "stale_days", err) < 0 ||
	    number_opt(c, body, "max", "max_apps", err) < 0 ||
	    number_opt(c, body, "sleep", "sleep_minutes", err) < 0 ||
	    (cli_opt(a, "predictable") && staging_base(c, pipeline, body, err) < 0))
		return -1;
	cli_action(c, "Enabling review apps on %s", cli_js(pipeline, "name"));
	return cli_send(c, "PATCH", body, err, "/pipelines/%s/review-app-config",
			cli_js(pipeline, "id"));
}

static int cmd_disable(struct cli *c, struct err *err)
{
	json_auto_t *pipeline = NULL;
	json_auto_t *body = json_object();

	if (get_pipeline(c, &pipeline, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(switches); i++)
		if (cli_opt(&c->args, switches[i].no))
			json_object_set_new(body, switches[i].key, json_false());
	if (json_object_size(body)) {
		cli_action(c, "Changing review apps of %s", cli_js(pipeline, "name"));
		return cli_send(c, "PATCH", body, err, "/pipelines/%s/review-app-config",
				cli_js(pipeline, "id"));
	}
	cli_action(c, "Disabling review apps on %s", cli_js(pipeline, "name"));
	return cli_send(c, "DELETE", NULL, err, "/pipelines/%s/review-app-config",
			cli_js(pipeline, "id"));
}

static int cmd_settings(struct cli *c, struct err *err)
{
	static const struct cli_field fields[] = {
		{"For each pull request", "automatic_review_apps", FORM_TEXT},
		{"Wait for CI", "wait_for_ci", FORM_TEXT},
		{"Destroy stale ones", "destroy_stale_apps", FORM_TEXT},
		{"Stale after days", "stale_days", FORM_TEXT},
		{"Base of names", "base_name", FORM_TEXT},
		{"At most", "max_apps", FORM_TEXT},
		{"Sleep after minutes", "sleep_minutes", FORM_TEXT},
		{0}};
	json_auto_t *pipeline = NULL;
	json_auto_t *config = NULL;

	if (get_pipeline(c, &pipeline, err) < 0 ||
	    cli_api(c, "GET", NULL, &config, err, "/pipelines/%s/review-app-config",
		    cli_js(pipeline, "id")) < 0)
		return -1;
	return cli_show_fields(c, config, fields, cli_js(pipeline, "name"));
}

/* --- making, waiting, destroying --- */

static bool over(const json_t *v)
{
	const char *status = cli_js(v, "status");

	if (strcmp(status, "created") == 0) /* and what was wanted last has been tried */
		return !cli_js(v, "pending_commit")[0];
	return strcmp(status, "errored") == 0 || strcmp(status, "deleted") == 0;
}

/* Until it is up or has failed. *v is replaced. */
static int await(struct cli *c, json_t **v, struct err *err)
{
	while (!over(*v)) {
		json_auto_t *now = NULL;

		for (int i = 0; i < 10; i++) {
			cli_spin(c);
			usleep(100000);
		}
		if (cli_api(c, "GET", NULL, &now, err, "/review-apps/%s", cli_js(*v, "id")) < 0)
			return -1;
		json_decref(*v);
		*v = json_incref(now);
	}
	if (strcmp(cli_js(*v, "status"), "created") == 0 && !cli_js(*v, "error_status")[0])
		return 0;
	return err_set(err, ERR_BUILD_FAILED,
		       "The review app is %s: %s. To try the same commit again: paasctl "
		       "reviewapps:create -b %s",
		       strcmp(cli_js(*v, "status"), "created") == 0 ? "not up to date"
								    : cli_js(*v, "status"),
		       cli_js(*v, "message")[0] ? cli_js(*v, "message") : "no reason is known",
		       cli_js(*v, "branch"));
}

static int say_url(struct cli *c, const json_t *v, struct err *err)
{
	json_auto_t *app = NULL;

	if (cli_json(c)) {
		cli_print_json(c, v);
		return 0;
	}
	if (!cli_js(v, "app.id")[0])
		return 0;
	if (cli_api(c, "GET", NULL, &app, err, "/apps/%s", cli_js(v, "app.id")) < 0)
		return -1;
	cli_line("%s", cli_js(app, "web_url"));
	return 0;
}

/* KEY=VALUE of each -e. */
static json_t *environment(struct cli *c, struct err *err)
{
	json_t *env = json_object();
	const char *pair;

	for (int i = 0; (pair = cli_opt_nth(&c->args, "env", i)); i++) {
		const char *eq = strchr(pair, '=');

		if (!eq || eq == pair) {
			json_decref(env);
			err_set(err, ERR_BAD_REQUEST, "--env takes NAME=VALUE, not %s", pair);
			return NULL;
		}
		AUTO(auto_str) char *key = xstrndup(pair, (size_t)(eq - pair));

		json_object_set_new(env, key, json_string(eq + 1));
	}
	return env;
}

static int cmd_create(struct cli *c, struct err *err)
{
	json_auto_t *pipeline = NULL;
	json_auto_t *env = environment(c, err);
	json_auto_t *body = NULL;
	json_auto_t *v = NULL;
	const char *branch = cli_opt(&c->args, "branch");

	if (!env || get_pipeline(c, &pipeline, err) < 0)
		return -1;
	if (!branch && !cli_opt(&c->args, "pr"))
		return err_set(
			err, ERR_BAD_REQUEST,
			"Which branch? Name it with --branch NAME, or its request with --pr N");
	body = json_pack("{ss* ss s{ss sn} sO}", "branch", branch, "pipeline",
			 cli_js(pipeline, "id"), "source_blob", "url", "resolve", "version",
			 "environment", env);
	if (number_opt(c, body, "pr", "pr_number", err) < 0)
		return -1;
	cli_action(c, "Creating review app on %s", cli_js(pipeline, "name"));
	if (cli_api(c, "POST", body, &v, err, "/review-apps") < 0 ||
	    (cli_opt(&c->args, "wait") && await(c, &v, err) < 0)) {
		cli_action_fail(c);
		return -1;
	}
	cli_action_done(c, "%s", cli_js(v, "status"));
	return say_url(c, v, err);
}

static int cmd_wait(struct cli *c, struct err *err)
{
	json_auto_t *v = NULL;

	if (cli_api(c, "GET", NULL, &v, err, "/apps/%s/review-app", c->app) < 0)
		return -1;
	cli_action(c, "Waiting for %s", cli_label(c, c->app));
	if (await(c, &v, err) < 0) {
		cli_action_fail(c);
		return -1;
	}
	cli_action_done(c, "%s", cli_js(v, "status"));
	return say_url(c, v, err);
}

static int cmd_destroy(struct cli *c, struct err *err)
{
	json_auto_t *pipeline = NULL;
	json_auto_t *v = NULL;

	if (get_pipeline(c, &pipeline, err) < 0 ||
	    find_one(c, pipeline, c->args.pos[0], &v, err) < 0)
		return -1;
	cli_action(c, "Destroying the review app of %s", cli_js(v, "branch"));
	return cli_send(c, "DELETE", NULL, err, "/review-apps/%s", cli_js(v, "id"));
}

/* --- the pipeline's own remote --- */

static int cmd_remote(struct cli *c, struct err *err)
{
	json_auto_t *pipeline = NULL;
	AUTO(auto_str) char *url = NULL;
	const char *name = cli_opt(&c->args, "name");

	if (!cli_git_inside())
		return err_set(err, ERR_BAD_REQUEST,
			       "This is no git repository: go to the app's folder first");
	if (get_pipeline(c, &pipeline, err) < 0)
		return -1;
	name = name ? name : "review";
	url = xasprintf("%s/review/%s", c->api_url, cli_js(pipeline, "name"));
	if ((cli_git_has_remote(name) ? cli_git_set_remote(name, url, err)
				      : cli_git_add_remote(name, url, err)) < 0)
		return -1;
	cli_git_trust(c, url);
	if (cli_json(c)) {
		json_auto_t *v = json_pack("{ss ss}", "remote", name, "url", url);

		cli_print_json(c, v);
		return 0;
	}
	cli_line("git remote %s is %s", name, url);
	cli_line("Make or update a review app: git push %s BRANCH", name);
	cli_line("Destroy it:                  git push %s :BRANCH", name);
	return 0;
}

#define PIPELINE_OPT \
	VALUE('p', "pipeline", "PIPELINE", PIPELINE, "pipeline; that of the app by default")
#define WHICH                                                                                   \
	{                                                                                       \
		"REVIEWAPP", COMPLETE_NONE, "its app, branch, or number of pull request", true, \
			false                                                                   \
	}

const struct cli_cmd cli_cmds_reviewapps[] = {
	{.name = "reviewapps",
	 .help = "list review apps of a pipeline",
	 .opts = OPTS(PIPELINE_OPT),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_list,
	 .examples = "reviewapps -p my-pipeline"},
	{.name = "reviewapps:enable",
	 .help = "enable review apps on a pipeline, or change their settings",
	 .more = "With --autodeploy each new pull request of the connected repository gets a "
		 "review "
		 "app (paasctl pipelines:connect). Without a connection branches are pushed "
		 "(paasctl reviewapps:remote).",
	 .opts = OPTS(
		 PIPELINE_OPT, SWITCH(0, "autodeploy", "an app for each new pull request"),
		 SWITCH(0, "autodestroy", "destroy those that were not deployed for a while"),
		 VALUE(0, "stale-days", "N", NONE, "how long that is: 1 to 30 days"),
		 SWITCH(0, "wait-for-ci", "deploy a commit once its checks have passed"),
		 VALUE(0, "base-name", "NAME", NONE, "call apps NAME-pr-N"),
		 SWITCH(0, "predictable",
			"call apps as pr_app expects it: the staging app's name, cut, and -pr-N"),
		 VALUE(0, "max", "N", NONE, "at most so many at a time"),
		 VALUE(0, "sleep", "MINUTES", NONE,
		       "they sleep after so long without a request, or never")),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_enable,
	 .examples =
		 "reviewapps:enable -p my-pipeline --autodeploy --autodestroy\nreviewapps:enable "
		 "-p my-pipeline --predictable --max 10 --sleep 15"},
	{.name = "reviewapps:disable",
	 .help = "disable review apps, or some of their settings",
	 .more = "Review apps that are there stay.",
	 .opts = OPTS(PIPELINE_OPT, SWITCH(0, "no-autodeploy", "no app for new pull requests"),
		      SWITCH(0, "no-autodestroy", "stale ones stay"),
		      SWITCH(0, "no-wait-for-ci", "deploy without waiting for checks")),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_disable,
	 .examples = "reviewapps:disable -p my-pipeline --no-autodeploy\nreviewapps:disable -p "
		     "my-pipeline"},
	{.name = "reviewapps:settings",
	 .help = "show the settings of a pipeline's review apps",
	 .opts = OPTS(PIPELINE_OPT),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_settings,
	 .examples = "reviewapps:settings -p my-pipeline"},
	{.name = "reviewapps:create",
	 .help = "make the review app of a branch, or deploy it anew",
	 .opts = OPTS(PIPELINE_OPT, VALUE('b', "branch", "BRANCH", NONE, "name of the branch"),
		      VALUE(0, "pr", "N", NONE, "number of its pull request"),
		      {'e', "env", "NAME=VALUE", COMPLETE_NONE,
		       "config var of the app (may be repeated)"},
		      SWITCH(0, "wait", "wait until it is up")),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_create,
	 .more = "With --pr N it is that of the pull request, also of a fork: read its code first, "
		 "it runs with the pipeline's config vars. One that has failed is tried again, "
		 "also with the same commit; -e is for one that is not there yet.",
	 .examples = "reviewapps:create -p my-pipeline -b my-feature --wait\nreviewapps:create -p "
		     "my-pipeline --pr 12"},
	{.name = "reviewapps:wait",
	 .help = "wait until a review app is up",
	 .flags = CLI_APP,
	 .run = cmd_wait,
	 .examples = "reviewapps:wait -a my-app-pr-12"},
	{.name = "reviewapps:info",
	 .help = "show a review app",
	 .args = ARGS(WHICH),
	 .opts = OPTS(PIPELINE_OPT),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_info,
	 .examples = "reviewapps:info my-feature -p my-pipeline"},
	{.name = "reviewapps:destroy",
	 .help = "destroy a review app with all that is its",
	 .args = ARGS(WHICH),
	 .opts = OPTS(PIPELINE_OPT),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_destroy,
	 .examples = "reviewapps:destroy my-feature -p my-pipeline"},
	{.name = "reviewapps:remote",
	 .help = "add a git remote that makes a review app of each branch pushed to it",
	 .opts = OPTS(PIPELINE_OPT,
		      VALUE(0, "name", "REMOTE", NONE, "name of the remote (review)")),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_remote,
	 .examples =
		 "reviewapps:remote -p my-pipeline\nreviewapps:remote -p my-pipeline --name pr"},
	{0},
};
