/* Pipelines: the apps that code passes through on its way to production. */
#include "cli/pipelines.h"
#include "cli/table.h"

#include <string.h>

/* --- shared --- */

int cli_coupling(struct cli *c, json_t **out, struct err *err)
{
	int rc = cli_api(c, "GET", NULL, out, err, "/apps/%s/pipeline-couplings", c->app);

	if (rc < 0 && err->code == ERR_NOT_FOUND && strstr(err->msg, "pipeline"))
		buf_addf(
			&c->detail,
			"%s is in no pipeline.\nAdd it to one with: paasctl pipelines:add PIPELINE "
			"-a %s",
			c->app, c->app);
	return rc;
}

int cli_apps_by_id(struct cli *c, const json_t *ids, json_t **out, struct err *err)
{
	json_auto_t *body = json_pack("{s{sO}}", "in", "id", (json_t *)ids);
	const struct cli_req r = {.method = "POST",
				  .path = "/filters/apps",
				  .body = body,
				  .range = "id ..; max=1000;"};

	if (json_array_size(ids))
		return cli_request(c, &r, out, err);
	*out = json_array();
	return 0;
}

/* What a stage is called in names: the first that fits; the rest of the name is the pipeline's. */
static const struct {
	const char *end, *stage;
} guesses[] = {
	{"-dev", "development"}, {"-development", "development"}, {"-uat", "development"},
	{"-tst", "development"}, {"-test", "development"},	  {"-qa", "development"},
	{"-stg", "staging"},	 {"-staging", "staging"},	  {"-prd", "production"},
	{"-prod", "production"}, {"-production", "production"},	  {"-admin", "production"},
	{"-demo", "production"},
};

/* NULL when the name says nothing. *base (owned) gets the name without its end. */
static const char *guess_stage(const char *app, char **base)
{
	size_t n = strlen(app);

	for (size_t i = 0; i < ARRAY_LEN(guesses); i++) {
		size_t k = strlen(guesses[i].end);

		if (n <= k || strcmp(app + n - k, guesses[i].end) != 0)
			continue;
		*base = xstrndup(app, n - k);
		return guesses[i].stage;
	}
	*base = xstrdup(app);
	return NULL;
}

/* --stage, else what the app's name says. */
static int choose_stage(struct cli *c, const char **out, char **base, struct err *err)
{
	const char *given = cli_opt(&c->args, "stage"), *guess = guess_stage(c->app, base);

	*out = given ? given : guess;
	if (*out)
		return 0;
	return err_set(err, ERR_BAD_REQUEST,
		       "The name %s does not say its stage: give it with --stage development, "
		       "staging or production",
		       c->app);
}

static int couple(struct cli *c, const char *app, const char *pipeline_id, const char *name,
		  const char *stage, json_t **out, struct err *err)
{
	json_auto_t *body =
		json_pack("{ss ss ss}", "app", app, "pipeline", pipeline_id, "stage", stage);

	cli_action(c, "Adding %s to %s pipeline as %s", cli_label(c, app), name, stage);
	if (cli_api(c, "POST", body, out, err, "/pipeline-couplings") < 0)
		return -1;
	cli_action_done(c, "%s", "");
	return 0;
}

static int get_pipeline(struct cli *c, const char *name, json_t **out, struct err *err)
{
	return cli_api(c, "GET", NULL, out, err, "/pipelines/%s", name);
}

/* --- list, info --- */

static int cmd_list(struct cli *c, struct err *err)
{
	static const struct cli_field row[] = {{"", "name", FORM_TEXT}, {0}};
	json_auto_t *list = NULL;

	if (cli_api(c, "GET", NULL, &list, err, "/pipelines") < 0)
		return -1;
	return cli_show_list(c, list, row, "My Pipelines",
			     "You have no pipelines. Make one with: paasctl pipelines:create NAME "
			     "-a APP");
}

static const char *const stages[] = {"test", "development", "review", "staging", "production"};

/* Couplings with what is known of their apps, by stage, then by name. */
static json_t *join(const json_t *couplings, const json_t *apps)
{
	json_auto_t *all = json_array();
	json_t *out = json_array(), *k, *row;
	size_t i, j;

	json_array_foreach(couplings, i, k)
	{
		json_t *app = cli_find(apps, "id", cli_js(k, "app.id"));

		json_array_append_new(all,
				      json_pack("{ss sO sO?}", "name",
						app ? cli_js(app, "name") : cli_js(k, "app.id"),
						"coupling", k, "app", app));
	}
	json_auto_t *sorted = cli_sorted(all, "name");
	for (i = 0; i < ARRAY_LEN(stages); i++)
		json_array_foreach(sorted, j,
				   row) if (strcmp(cli_js(row, "coupling.stage"), stages[i]) == 0)
			json_array_append(out, row);
	return out;
}

static int read_apps(struct cli *c, const char *pipeline_id, json_t **rows, struct err *err)
{
	json_auto_t *couplings = NULL, *ids = json_array(), *apps = NULL;
	size_t i;
	json_t *k;

	if (cli_api(c, "GET", NULL, &couplings, err, "/pipelines/%s/pipeline-couplings",
		    pipeline_id) < 0)
		return -1;
	json_array_foreach(couplings, i, k)
		json_array_append(ids, json_object_get(json_object_get(k, "app"), "id"));
	if (cli_apps_by_id(c, ids, &apps, err) < 0)
		return -1;
	*rows = join(couplings, apps);
	return 0;
}

static void print_info(struct cli *c, const json_t *pipeline, const json_t *rows)
{
	static const struct cli_field row[] = {{"App name", "name", FORM_TEXT},
					       {"Stage", "coupling.stage", FORM_TEXT},
					       {"Owner", "app.owner.email", FORM_TEXT},
					       {0}};
	const char *owner = cli_js(pipeline, "owner.id");
	size_t i;
	json_t *r;

	cli_header(c, "%s", cli_js(pipeline, "name"));
	json_array_foreach(rows, i, r) if (strcmp(cli_js(r, "app.owner.id"), owner) == 0)
	{
		owner = cli_js(r, "app.owner.email");
		break;
	}
	cli_line("owner: %s\n", owner);
	cli_show_list(c, rows, row, NULL,
		      "It has no apps. Add one with: paasctl pipelines:add PIPELINE -a APP");
}

static int cmd_info(struct cli *c, struct err *err)
{
	json_auto_t *pipeline = NULL, *rows = NULL, *whole = NULL;

	if (get_pipeline(c, c->args.pos[0], &pipeline, err) < 0 ||
	    read_apps(c, cli_js(pipeline, "id"), &rows, err) < 0)
		return -1;
	whole = json_pack("{sO sO}", "pipeline", pipeline, "apps", rows);
	if (cli_json(c))
		cli_print_json(c, whole);
	else
		print_info(c, pipeline, rows);
	return 0;
}

/* --- make --- */

static int make_pipeline(struct cli *c, const char *name, json_t **out, struct err *err)
{
	json_auto_t *body = json_pack("{ss}", "name", name);

	cli_action(c, "Creating %s pipeline", name);
	if (cli_api(c, "POST", body, out, err, "/pipelines") < 0)
		return -1;
	cli_action_done(c, "%s", "");
	return 0;
}

static int cmd_create(struct cli *c, struct err *err)
{
	const char *name = c->args.npos ? c->args.pos[0] : NULL, *stage = NULL;
	json_auto_t *pipeline = NULL, *coupling = NULL;
	AUTO(auto_str) char *base = NULL;
	struct err none = {0};

	/* With a name it may start empty; an app that stands around is not taken unasked. */
	if (!name || cli_opt(&c->args, "app") || cli_opt(&c->args, "remote") ||
	    cli_opt(&c->args, "stage")) {
		if (cli_find_app(c, err) < 0 || choose_stage(c, &stage, &base, err) < 0)
			return -1;
		/* Before anything is made. */
		if (cli_api(c, "GET", NULL, NULL, err, "/apps/%s", c->app) < 0)
			return -1;
	}
	if (make_pipeline(c, name ? name : base, &pipeline, err) < 0)
		return -1;
	if (stage && couple(c, c->app, cli_js(pipeline, "id"), cli_js(pipeline, "name"), stage,
			    &coupling, err) < 0) {
		/* All or nothing. */
		cli_api(c, "DELETE", NULL, NULL, &none, "/pipelines/%s", cli_js(pipeline, "id"));
		return -1;
	}
	if (cli_json(c))
		cli_print_json(c, pipeline);
	return 0;
}

static int cmd_add(struct cli *c, struct err *err)
{
	json_auto_t *pipeline = NULL, *coupling = NULL;
	AUTO(auto_str) char *base = NULL;
	const char *stage;

	if (choose_stage(c, &stage, &base, err) < 0 ||
	    get_pipeline(c, c->args.pos[0], &pipeline, err) < 0 ||
	    couple(c, c->app, cli_js(pipeline, "id"), cli_js(pipeline, "name"), stage, &coupling,
		   err) < 0)
		return -1;
	if (cli_json(c))
		cli_print_json(c, coupling);
	return 0;
}

/* --- change --- */

static int cmd_update(struct cli *c, struct err *err)
{
	const char *stage = cli_opt(&c->args, "stage");
	json_auto_t *k = NULL, *body = NULL;

	if (!stage)
		return err_set(err, ERR_BAD_REQUEST,
			       "Say the new stage: --stage development, staging or production");
	if (cli_coupling(c, &k, err) < 0)
		return -1;
	body = json_pack("{ss}", "stage", stage);
	cli_action(c, "Changing %s to %s", cli_label(c, c->app), stage);
	return cli_send(c, "PATCH", body, err, "/pipeline-couplings/%s", cli_js(k, "id"));
}

static int cmd_remove(struct cli *c, struct err *err)
{
	json_auto_t *k = NULL;

	if (cli_coupling(c, &k, err) < 0)
		return -1;
	cli_action(c, "Removing %s from %s pipeline", cli_label(c, c->app),
		   cli_js(k, "pipeline.name"));
	return cli_send(c, "DELETE", NULL, err, "/pipeline-couplings/%s", cli_js(k, "id"));
}

static int cmd_rename(struct cli *c, struct err *err)
{
	json_auto_t *body = json_pack("{ss}", "name", c->args.pos[1]);

	cli_action(c, "Renaming %s pipeline to %s", c->args.pos[0], c->args.pos[1]);
	return cli_send(c, "PATCH", body, err, "/pipelines/%s", c->args.pos[0]);
}

static int cmd_destroy(struct cli *c, struct err *err)
{
	cli_action(c, "Destroying %s pipeline", c->args.pos[0]);
	return cli_send(c, "DELETE", NULL, err, "/pipelines/%s", c->args.pos[0]);
}

/* --- transfer --- */

static int need_pipeline(struct cli *c, const char **out, struct err *err)
{
	*out = cli_opt(&c->args, "pipeline");
	return *out ? 0 : err_set(err, ERR_BAD_REQUEST, "Missing required flag pipeline");
}

static int cmd_transfer(struct cli *c, struct err *err)
{
	const char *name, *to = c->args.pos[0];
	json_auto_t *pipeline = NULL, *rows = NULL, *body = NULL;
	AUTO(auto_str) char *what = NULL;

	if (need_pipeline(c, &name, err) < 0 || get_pipeline(c, name, &pipeline, err) < 0)
		return -1;
	if (!cli_opt(&c->args, "confirm")) {
		if (read_apps(c, cli_js(pipeline, "id"), &rows, err) < 0)
			return -1;
		if (!cli_json(c)) {
			print_info(c, pipeline, rows);
			printf("\n");
		}
	}
	what = xasprintf("This will transfer %s, and the listed apps that have the same owner, "
			 "to %s.",
			 cli_js(pipeline, "name"), to);
	if (cli_confirm(c, cli_js(pipeline, "name"), what, err) < 0)
		return -1;
	body = json_pack("{s{ss} s{ss ss}}", "pipeline", "id", cli_js(pipeline, "id"), "new_owner",
			 "id", to, "type", "user");
	cli_action(c, "Transferring %s pipeline to %s", cli_js(pipeline, "name"), to);
	return cli_send(c, "POST", body, err, "/pipeline-transfers");
}

/* --- open --- */

static int cmd_open(struct cli *c, struct err *err)
{
	const char *stage = cli_opt(&c->args, "stage");
	bool browser = (getenv("DISPLAY") || getenv("WAYLAND_DISPLAY")) && c->out_tty;
	json_auto_t *pipeline = NULL, *rows = NULL, *found = json_array();
	size_t i;
	json_t *r;

	stage = stage ? stage : "production";
	if (get_pipeline(c, c->args.pos[0], &pipeline, err) < 0 ||
	    read_apps(c, cli_js(pipeline, "id"), &rows, err) < 0)
		return -1;
	json_array_foreach(rows, i, r) if (strcmp(cli_js(r, "coupling.stage"), stage) == 0 &&
					   cli_js(r, "app.web_url")[0])
		json_array_append_new(found, json_pack("{ss ss}", "app", cli_js(r, "name"),
						       "web_url", cli_js(r, "app.web_url")));
	if (!json_array_size(found))
		return err_set(err, ERR_NOT_FOUND,
			       "The pipeline %s has no app in the stage %s: see paasctl "
			       "pipelines:info, or name another with --stage",
			       cli_js(pipeline, "name"), stage);
	if (cli_json(c)) {
		cli_print_json(c, found);
		return 0;
	}
	json_array_foreach(found, i, r)
	{
		const char *url = cli_js(r, "web_url");

		if (browser && cli_run((const char *const[]){"xdg-open", url, NULL}, NULL) == 0)
			fprintf(stderr, "Opening %s... done\n", url);
		else
			cli_line("%s", url);
	}
	return 0;
}

/* --- setup: what is there already is taken as it is, so that it may be run again --- */

static int have_pipeline(struct cli *c, const char *name, json_t **out, struct err *err)
{
	struct err e = {0};

	if (get_pipeline(c, name, out, &e) == 0)
		return 0;
	if (e.code == ERR_NOT_FOUND)
		return make_pipeline(c, name, out, err);
	*err = e;
	return -1;
}

static int have_app(struct cli *c, const char *name, json_t **out, struct err *err)
{
	json_auto_t *body = json_pack("{ss}", "name", name);
	struct err e = {0};

	if (cli_api(c, "GET", NULL, out, &e, "/apps/%s", name) == 0)
		return 0;
	if (e.code != ERR_NOT_FOUND) {
		*err = e;
		return -1;
	}
	cli_action(c, "Creating %s", cli_label(c, name));
	if (cli_api(c, "POST", body, out, err, "/apps") < 0)
		return -1;
	cli_action_done(c, "%s", "");
	return 0;
}

static int have_coupling(struct cli *c, const char *app, const json_t *pipeline, const char *stage,
			 struct err *err)
{
	json_auto_t *k = NULL;
	struct err e = {0};

	if (cli_api(c, "GET", NULL, &k, &e, "/apps/%s/pipeline-couplings", app) < 0)
		return couple(c, app, cli_js(pipeline, "id"), cli_js(pipeline, "name"), stage, NULL,
			      err);
	if (strcmp(cli_js(k, "pipeline.id"), cli_js(pipeline, "id")) == 0)
		return 0;
	return err_set(err, ERR_CONFLICT, "%s is in the pipeline %s: take it out first", app,
		       cli_js(k, "pipeline.name"));
}

static int set_up(struct cli *c, const char *app_name, const json_t *pipeline, const char *stage,
		  json_t *made, struct err *err)
{
	json_auto_t *app = NULL;

	if (have_app(c, app_name, &app, err) < 0 ||
	    have_coupling(c, app_name, pipeline, stage, err) < 0)
		return -1;
	json_array_append(made, app);
	if (cli_opt(&c->args, "no-remote") || !cli_git_inside())
		return 0;
	if (cli_git_has_remote(stage))
		cli_warn(c, "there is a git remote %s already: it was left as it is", stage);
	else if (cli_git_add_remote(stage, cli_js(app, "git_url"), err) < 0)
		return -1;
	cli_git_trust(c, cli_js(app, "git_url"));
	return 0;
}

static int cmd_setup(struct cli *c, struct err *err)
{
	const char *name = c->args.pos[0];
	AUTO(auto_str) char *staging = xasprintf("%s-staging", name);
	json_auto_t *pipeline = NULL, *made = json_array(), *whole = NULL;

	if (have_pipeline(c, name, &pipeline, err) < 0 ||
	    set_up(c, staging, pipeline, "staging", made, err) < 0 ||
	    set_up(c, name, pipeline, "production", made, err) < 0)
		return -1;
	whole = json_pack("{sO sO}", "pipeline", pipeline, "apps", made);
	if (cli_json(c))
		cli_print_json(c, whole);
	else
		cli_line("Push to staging:         git push staging main\n"
			 "Promote to production:   paasctl pipelines:promote -r staging");
	return 0;
}

/* --- config vars of stages --- */

static const char *config_stage(struct cli *c)
{
	const char *given = cli_opt(&c->args, "stage");

	return given ? given : "review";
}

static int cmd_config(struct cli *c, struct err *err)
{
	const char *name, *key;
	json_auto_t *vars = NULL;
	json_t *v;

	if (need_pipeline(c, &name, err) < 0 ||
	    cli_api(c, "GET", NULL, &vars, err, "/pipelines/%s/stage/%s/config-vars", name,
		    config_stage(c)) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, vars);
	} else if (cli_opt(&c->args, "shell")) {
		json_object_foreach(vars, key, v)
		{
			AUTO(buf_clear) struct buf line = {0};

			cli_shell_pair(&line, key, cli_js(v, ""));
			printf("%s\n", buf_str(&line));
		}
	} else {
		AUTO(cli_pairs_clear) struct cli_pairs p = {0};

		cli_header(c, "%s %s Config Vars", name, config_stage(c));
		json_object_foreach(vars, key, v) cli_pairs_add(&p, key, cli_js(v, ""));
		cli_pairs_print(&p, stdout);
	}
	return 0;
}

static int patch_config(struct cli *c, const char *doing, const json_t *body, struct err *err)
{
	AUTO(buf_clear) struct buf keys = {0};
	const char *name, *key;
	json_t *v;

	if (need_pipeline(c, &name, err) < 0)
		return -1;
	json_object_foreach((json_t *)body, key, v)
		buf_addf(&keys, "%s%s", keys.len ? ", " : "", key);
	cli_action(c, "%s %s for apps in the stage %s of %s", doing, buf_str(&keys),
		   config_stage(c), name);
	return cli_send(c, "PATCH", body, err, "/pipelines/%s/stage/%s/config-vars", name,
			config_stage(c));
}

static int cmd_config_set(struct cli *c, struct err *err)
{
	json_auto_t *body = json_object();

	for (int i = 0; i < c->args.npos; i++) {
		const char *eq = strchr(c->args.pos[i], '=');
		AUTO(auto_str) char *key = NULL;

		if (!eq || eq == c->args.pos[i])
			return err_set(err, ERR_BAD_REQUEST,
				       "%s is invalid. Must be in the format FOO=bar.",
				       c->args.pos[i]);
		key = xstrndup(c->args.pos[i], (size_t)(eq - c->args.pos[i]));
		if (json_object_set_new(body, key, json_string(eq + 1)) < 0)
			return err_set(err, ERR_BAD_REQUEST, "The value of %s is not UTF-8", key);
	}
	return patch_config(c, "Setting", body, err);
}

static int cmd_config_unset(struct cli *c, struct err *err)
{
	json_auto_t *body = json_object();

	for (int i = 0; i < c->args.npos; i++)
		json_object_set_new(body, c->args.pos[i], json_null());
	return patch_config(c, "Unsetting", body, err);
}

/* --- the table --- */

#define NAMED                                                            \
	{                                                                \
		"PIPELINE", COMPLETE_PIPELINE, "name or id", true, false \
	}
#define OF_PIPELINE  VALUE('p', "pipeline", "PIPELINE", PIPELINE, "name or id of the pipeline")
#define STAGE_OPT    VALUE('s', "stage", "STAGE", STAGE, "development, staging or production; review")
#define CONFIG_STAGE VALUE('s', "stage", "STAGE", STAGE, "review (the default) or test")

const struct cli_cmd cli_cmds_pipelines[] = {
	{.name = "pipelines",
	 .help = "list the pipelines that you have access to",
	 .run = cmd_list,
	 .examples = "pipelines"},
	{.name = "pipelines:create",
	 .help = "create a pipeline",
	 .more = "With an app, that is its first one. Name and stage are guessed from the app's "
		 "name "
		 "where they are not given: my-app-staging makes the pipeline my-app and is its "
		 "staging.",
	 .args = ARGS({"NAME", COMPLETE_NONE, "name of the pipeline", false, false}),
	 .opts = OPTS(STAGE_OPT),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_create,
	 .examples =
		 "pipelines:create -a my-app-staging\npipelines:create my-pipeline -a my-app -s "
		 "production"},
	{.name = "pipelines:info",
	 .help = "show the apps of a pipeline",
	 .args = ARGS(NAMED),
	 .run = cmd_info,
	 .examples = "pipelines:info my-pipeline"},
	{.name = "pipelines:add",
	 .help = "add an app to a pipeline",
	 .more = "The stage is guessed from the app's name where it is not given.",
	 .args = ARGS(NAMED),
	 .opts = OPTS(STAGE_OPT),
	 .flags = CLI_APP,
	 .run = cmd_add,
	 .examples = "pipelines:add my-pipeline -a my-app -s production"},
	{.name = "pipelines:update",
	 .help = "move an app to another stage of its pipeline",
	 .opts = OPTS(STAGE_OPT),
	 .flags = CLI_APP,
	 .run = cmd_update,
	 .examples = "pipelines:update -s staging -a my-app"},
	{.name = "pipelines:remove",
	 .help = "take an app out of its pipeline",
	 .flags = CLI_APP,
	 .run = cmd_remove,
	 .examples = "pipelines:remove -a my-app"},
	{.name = "pipelines:rename",
	 .help = "rename a pipeline",
	 .args = ARGS(NAMED, {"NEW-NAME", COMPLETE_NONE, "its new name", true, false}),
	 .run = cmd_rename,
	 .examples = "pipelines:rename my-pipeline our-pipeline"},
	{.name = "pipelines:destroy",
	 .help = "destroy a pipeline; its apps stay",
	 .args = ARGS(NAMED),
	 .run = cmd_destroy,
	 .examples = "pipelines:destroy my-pipeline"},
	{.name = "pipelines:transfer",
	 .help = "give a pipeline of yours to somebody else, with the apps in it that are yours",
	 .args = ARGS({"OWNER", COMPLETE_NONE, "address of the new owner", true, false}),
	 .opts = OPTS(OF_PIPELINE, VALUE('c', "confirm", "PIPELINE", PIPELINE,
					 "name of the pipeline, instead of being asked for it")),
	 .run = cmd_transfer,
	 .examples = "pipelines:transfer user@example.com -p my-pipeline"},
	{.name = "pipelines:promote",
	 .help = "release the code of an app on the apps of the next stage",
	 .more = "What was built is released as it is, with each app's own config vars; nothing is "
		 "built again. From development it goes to staging, from review and staging to "
		 "production, or to the apps named with --to. The exit status is 1 when it failed "
		 "on "
		 "one of them; the others are not touched by that.",
	 .opts = OPTS(VALUE('t', "to", "APPS", APP, "apps to promote to, separated by commas")),
	 .flags = CLI_APP,
	 .run = cli_pipelines_promote,
	 .examples = "pipelines:promote -r staging\npipelines:promote -a my-app-staging --to "
		     "my-app,my-app-eu"},
	{.name = "pipelines:diff",
	 .help = "show the commits that an app has and the apps of the next stage have not",
	 .flags = CLI_APP,
	 .run = cli_pipelines_diff,
	 .examples = "pipelines:diff -r staging"},
	{.name = "pipelines:open",
	 .help = "open the production app of a pipeline in a web browser",
	 .more = "Or the apps of another stage. Prints the addresses when there is no browser or "
		 "standard output is no terminal.",
	 .args = ARGS(NAMED),
	 .opts = OPTS(STAGE_OPT),
	 .run = cmd_open,
	 .examples = "pipelines:open my-pipeline\npipelines:open my-pipeline -s staging"},
	{.name = "pipelines:setup",
	 .help = "create a pipeline with a staging and a production app",
	 .more = "Makes the apps NAME-staging and NAME, and the git remotes staging and production "
		 "in the repository around you. What exists already is taken as it is.",
	 .args = ARGS({"NAME", COMPLETE_NONE, "name of the pipeline and its production app", true,
		       false}),
	 .opts = OPTS(SWITCH('n', "no-remote", "do not create git remotes")),
	 .run = cmd_setup,
	 .examples = "pipelines:setup my-app"},
	{.name = "pipelines:config",
	 .help = "show the config vars that apps of a stage start from",
	 .opts = OPTS(OF_PIPELINE, CONFIG_STAGE,
		      SWITCH(0, "shell", "output config vars in shell format")),
	 .run = cmd_config,
	 .examples = "pipelines:config -p my-pipeline\npipelines:config -p my-pipeline -s test"},
	{.name = "pipelines:config:set",
	 .help = "set config vars that apps of a stage start from",
	 .args = ARGS({"KEY=VALUE", COMPLETE_NONE, "name and value", true, true}),
	 .opts = OPTS(OF_PIPELINE, CONFIG_STAGE),
	 .run = cmd_config_set,
	 .examples = "pipelines:config:set S3_BUCKET=reviews -p my-pipeline"},
	{.name = "pipelines:config:unset",
	 .help = "unset config vars that apps of a stage start from",
	 .args = ARGS({"KEY", COMPLETE_NONE, "name of the config var", true, true}),
	 .opts = OPTS(OF_PIPELINE, CONFIG_STAGE),
	 .run = cmd_config_unset,
	 .examples = "pipelines:config:unset S3_BUCKET -p my-pipeline"},
	{.name = "pipelines:connect",
	 .help = "connect a pipeline to a repository at GitHub, GitLab, Gitea or Forgejo",
	 .more = "The token is asked for, or read from standard input, or from "
		 "PAASCTL_PROVIDER_TOKEN. It needs to read the repository, and to write statuses, "
		 "comments and webhooks. The webhook is made where the token may; else its address "
		 "and secret are shown once.",
	 .args = ARGS({"REPOSITORY", COMPLETE_NONE, "OWNER/NAME", true, false}),
	 .opts = OPTS(
		 OF_PIPELINE,
		 VALUE(0, "provider", "PROVIDER", NONE,
		       "github (the default), gitlab, gitea or forgejo"),
		 VALUE(0, "url", "URL", NONE, "address of your own server"),
		 VALUE(0, "token", "-", NONE, "- reads the token from standard input"),
		 SWITCH(0, "no-token", "a public repository, read only"),
		 VALUE(0, "deploy-key", "FILE", NONE,
		       "private SSH key to fetch with, instead of the token"),
		 VALUE(0, "ssh-port", "PORT", NONE, "where the server's SSH is (default: 22)")),
	 .run = cli_pipelines_connect,
	 .examples = "pipelines:connect acme/shop -p shop\npipelines:connect acme/shop -p shop "
		     "--provider gitea --url https://git.example.com --token - <token.txt"},
	{.name = "pipelines:disconnect",
	 .help = "disconnect a pipeline from its repository",
	 .opts = OPTS(OF_PIPELINE),
	 .run = cli_pipelines_disconnect,
	 .examples = "pipelines:disconnect -p shop"},
	{.name = "pipelines:repo",
	 .help = "show the repository that a pipeline is connected to, or else its own",
	 .opts = OPTS(OF_PIPELINE, SWITCH(0, "look", "look now for what webhooks did not tell")),
	 .run = cli_pipelines_repo,
	 .examples = "pipelines:repo -p shop\npipelines:repo -p shop --look"},
	{0},
};
