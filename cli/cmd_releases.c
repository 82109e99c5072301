#include "cli/cli.h"
#include "cli/table.h"

#include <string.h>
#include <time.h>

static int list_releases(struct cli *c, int max, json_t **out, struct err *err)
{
	AUTO(auto_str) char *range = xasprintf("version ..; max=%d, order=desc", max);

	return cli_api_part(c, range, out, err, "/apps/%s/releases", c->app);
}

static const char *status_text(const json_t *release)
{
	const char *s = cli_js(release, "status");

	if (strcmp(s, "pending") == 0)
		return "release command executing";
	if (strcmp(s, "failed") == 0)
		return "release command failed";
	if (strcmp(s, "expired") == 0)
		return "release expired";
	return "";
}

static void print_releases(const json_t *list)
{
	AUTO(cli_table_clear) struct cli_table t = {.cols = 4};
	size_t i;
	json_t *r;

	json_array_foreach(list, i, r)
	{
		const char *status = status_text(r);
		AUTO(auto_str) char *version = xasprintf("v%lld", cli_jint(r, "version"));
		AUTO(auto_str)
		char *text =
			xasprintf("%s%s%s", cli_js(r, "description"), status[0] ? " " : "", status);

		cli_table_row(&t, (const char *[]){version, text, cli_js(r, "user.email"),
						   cli_ago(cli_js(r, "created_at"), time(NULL))});
	}
	cli_table_print(&t, stdout);
}

static int cmd_releases(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL;
	json_t *r, *current = NULL;
	size_t i;
	int max;

	if (cli_num_opt(c, "num", 15, &max, err) < 0 || list_releases(c, max, &list, err) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, list);
		return 0;
	}
	if (!json_array_size(list)) {
		cli_line("%s has no releases.", c->app);
		return 0;
	}
	json_array_foreach(list, i, r) if (json_is_true(json_object_get(r, "current"))) current = r;
	if (current)
		cli_header(c, "%s Releases - Current: v%lld", c->app, cli_jint(current, "version"));
	else
		cli_header(c, "%s Releases", c->app);
	print_releases(list);
	return 0;
}

int cli_get_release(struct cli *c, const char *name, json_t **out, struct err *err)
{
	json_auto_t *list = NULL;

	if (name) {
		if (name[0] == 'v' && name[1] && strspn(name + 1, "0123456789") == strlen(name + 1))
			name++;
		return cli_api(c, "GET", NULL, out, err, "/apps/%s/releases/%s", c->app, name);
	}
	if (list_releases(c, 10, &list, err) < 0)
		return -1;
	if (!json_array_size(list))
		return err_set(err, ERR_NOT_FOUND, "%s has no releases.", c->app);
	*out = json_incref(json_array_get(list, 0));
	return 0;
}

static int get_release(struct cli *c, json_t **out, struct err *err)
{
	return cli_get_release(c, c->args.npos ? c->args.pos[0] : NULL, out, err);
}

static void join_addons(const json_t *release, struct buf *out)
{
	size_t i;
	json_t *v;

	json_array_foreach(json_object_get(release, "addon_plan_names"), i, v)
		buf_addf(out, "%s%s", out->len ? "\n" : "", cli_js(v, ""));
}

static void print_info(struct cli *c, const json_t *release)
{
	AUTO(cli_pairs_clear) struct cli_pairs p = {0};
	AUTO(buf_clear) struct buf addons = {0};
	const char *status = status_text(release);
	AUTO(auto_str)
	char *change = xasprintf("%s%s%s%s", cli_js(release, "description"), status[0] ? " (" : "",
				 status, status[0] ? ")" : "");

	cli_header(c, "Release v%lld", cli_jint(release, "version"));
	join_addons(release, &addons);
	cli_pairs_add(&p, "Add-ons", buf_str(&addons));
	cli_pairs_add(&p, "By", cli_js(release, "user.email"));
	cli_pairs_add(&p, "Change", change);
	cli_pairs_add(&p, "Eligible for Rollback?",
		      json_is_true(json_object_get(release, "eligible_for_rollback")) ? "Yes"
										      : "No");
	cli_pairs_add(&p, "Status", cli_js(release, "status"));
	cli_pairs_add(&p, "When", cli_js(release, "created_at"));
	cli_pairs_print(&p, stdout);
}

static void print_vars(struct cli *c, const json_t *release, const json_t *vars)
{
	AUTO(cli_pairs_clear) struct cli_pairs p = {0};
	bool shell = cli_opt(&c->args, "shell") != NULL;
	const char *key;
	json_t *v;

	printf("\n");
	cli_header(c, "v%lld Config vars", cli_jint(release, "version"));
	json_object_foreach((json_t *)vars, key, v)
	{
		AUTO(buf_clear) struct buf line = {0};

		cli_shell_pair(&line, key, cli_js(v, ""));
		if (shell)
			printf("%s\n", buf_str(&line));
		else
			cli_pairs_add(&p, key, cli_js(v, ""));
	}
	cli_pairs_print(&p, stdout);
}

static int cmd_releases_info(struct cli *c, struct err *err)
{
	json_auto_t *release = NULL, *vars = NULL;

	if (get_release(c, &release, err) < 0 ||
	    cli_api(c, "GET", NULL, &vars, err, "/apps/%s/releases/%d/config-vars", c->app,
		    (int)cli_jint(release, "version")) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, release);
		return 0;
	}
	print_info(c, release);
	print_vars(c, release, vars);
	return 0;
}

/* Output of the release command, live. */
static int show_output(struct cli *c, const json_t *release, struct err *err)
{
	long status = 0;

	if (cli_stream_text(c, cli_js(release, "output_stream_url"), &status, err) < 0)
		return -1;
	if (status == 404)
		cli_warn(c, "Release command not started yet. Please try again in a few seconds.");
	else if (status != 200)
		return err_set(err, ERR_UNAVAILABLE, "HTTP Error %ld for the release's output",
			       status);
	return 0;
}

static int cmd_releases_output(struct cli *c, struct err *err)
{
	json_auto_t *release = NULL;

	if (get_release(c, &release, err) < 0)
		return -1;
	if (cli_js(release, "output_stream_url")[0])
		return show_output(c, release, err);
	cli_warn(c, "Release v%lld has no release output available.", cli_jint(release, "version"));
	return 0;
}

/* Without a name: the last eligible release before the newest eligible one. */
static int rollback_target(struct cli *c, json_t **out, struct err *err)
{
	json_auto_t *list = NULL;
	int seen = 0;
	size_t i;
	json_t *r;

	if (c->args.npos)
		return get_release(c, out, err);
	if (list_releases(c, 10, &list, err) < 0)
		return -1;
	json_array_foreach(list, i,
			   r) if (json_is_true(json_object_get(r, "eligible_for_rollback")) &&
				  ++seen == 2)
	{
		*out = json_incref(r);
		return 0;
	}
	return err_set(err, ERR_BAD_REQUEST, "No eligible release found for %s to roll back to.",
		       c->app);
}

/* The new release: its command's output, or itself with --json. */
static int follow(struct cli *c, const json_t *made, struct err *err)
{
	if (cli_json(c)) {
		cli_print_json(c, made);
		return 0;
	}
	if (!cli_js(made, "output_stream_url")[0])
		return 0;
	fprintf(stderr, "Running release command...\n");
	return show_output(c, made, err);
}

static int cmd_releases_rollback(struct cli *c, struct err *err)
{
	json_auto_t *target = NULL, *body = NULL, *made = NULL;

	if (rollback_target(c, &target, err) < 0)
		return -1;
	body = json_pack("{ss}", "release", cli_js(target, "id"));
	cli_action(c, "Rolling back %s to v%lld", cli_label(c, c->app),
		   cli_jint(target, "version"));
	if (cli_api(c, "POST", body, &made, err, "/apps/%s/releases", c->app) < 0)
		return -1;
	cli_action_done(c, "done, v%lld", cli_jint(made, "version"));
	cli_warn(c,
		 "Rollback affects code and config vars; it doesn't add or remove addons.\n"
		 "To undo, run: paasctl rollback v%lld",
		 cli_jint(made, "version") - 1);
	return follow(c, made, err);
}

/* A release of the newest one's code again, for one whose release command failed. */
static int cmd_releases_retry(struct cli *c, struct err *err)
{
	json_auto_t *last = NULL, *formation = NULL, *body = NULL, *made = NULL;
	AUTO(auto_str) char *about = NULL;

	if (cli_get_release(c, NULL, &last, err) < 0 ||
	    cli_api(c, "GET", NULL, &formation, err, "/apps/%s/formation", c->app) < 0)
		return -1;
	if (!cli_find(formation, "type", "release"))
		return err_set(err, ERR_BAD_REQUEST,
			       "App must have a release-phase command to use this command.");
	if (!cli_js(last, "slug.id")[0])
		return err_set(err, ERR_NO_SLUG, "v%lld of %s has no code",
			       cli_jint(last, "version"), c->app);
	about = xasprintf("Retry of v%lld: %s", cli_jint(last, "version"),
			  cli_js(last, "description"));
	body = json_pack("{ss ss}", "description", about, "slug", cli_js(last, "slug.id"));
	cli_action(c, "Retrying v%lld on %s", cli_jint(last, "version"), cli_label(c, c->app));
	if (cli_api(c, "POST", body, &made, err, "/apps/%s/releases", c->app) < 0)
		return -1;
	cli_action_done(c, "done, v%lld", cli_jint(made, "version"));
	return follow(c, made, err);
}

const struct cli_cmd cli_cmds_releases[] = {
	{.name = "releases",
	 .help = "display the releases for an app",
	 .opts = OPTS(VALUE('n', "num", "N", NONE, "number of releases to show (default: 15)")),
	 .flags = CLI_APP,
	 .run = cmd_releases,
	 .examples = "releases -a my-app\nreleases -n 50 --json"},
	{.name = "releases:info",
	 .help = "view detailed information for a release",
	 .args = ARGS(RELEASE),
	 .opts = OPTS(SWITCH('s', "shell", "output config vars in shell format")),
	 .flags = CLI_APP,
	 .run = cmd_releases_info,
	 .examples = "releases:info -a my-app\nreleases:info v10"},
	{.name = "releases:output",
	 .help = "view the release command output",
	 .args = ARGS(RELEASE),
	 .flags = CLI_APP | CLI_NO_JSON,
	 .run = cmd_releases_output,
	 .examples = "releases:output v10 -a my-app"},
	{.name = "releases:retry",
	 .help = "release the newest code again, when its release command failed",
	 .flags = CLI_APP,
	 .run = cmd_releases_retry,
	 .examples = "releases:retry -a my-app"},
	{.name = "releases:rollback",
	 .aliases = "rollback",
	 .help = "roll back to a previous release",
	 .more = "Makes a new release with the code and config vars of an older one, by default "
		 "the last "
		 "eligible one before the current.",
	 .args = ARGS(
		 {"RELEASE", COMPLETE_RELEASE, "number of the release, like v12", false, false}),
	 .flags = CLI_APP,
	 .run = cmd_releases_rollback,
	 .examples = "rollback\nreleases:rollback v12"},
	{0},
};
