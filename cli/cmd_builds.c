#include "cli/cli.h"

#include <string.h>
#include <time.h>

static int list_builds(struct cli *c, int max, json_t **out, struct err *err)
{
	AUTO(auto_str) char *path = cli_pathf("/apps/%s/builds", c->app);
	AUTO(auto_str) char *range = xasprintf("created_at ..; max=%d, order=desc", max);
	struct cli_req r = {.method = "GET", .path = path, .range = range, .partial = true};

	return cli_request(c, &r, out, err);
}

/* Commit ids as git shows them, other versions as they are. */
static char *short_version(const char *version)
{
	size_t n = strlen(version);

	if ((n == 40 || n == 64) && strspn(version, "0123456789abcdef") == n)
		n = 8;
	return xstrndup(version, n);
}

int cmd_builds(struct cli *c, struct err *err)
{
	AUTO(cli_table_clear) struct cli_table t = {.cols = 5};
	const char *num = cli_opt(&c->args, "num");
	json_auto_t *list = NULL;
	size_t i;
	json_t *b;

	if (num && (atoi(num) < 1 || strspn(num, "0123456789") != strlen(num)))
		return err_set(err, ERR_BAD_REQUEST, "--num expects a number");
	if (list_builds(c, num ? atoi(num) : 15, &list, err) < 0)
		return -1;
	if (cli_opt(&c->args, "json")) {
		cli_print_json(c, list);
		return 0;
	}
	if (!json_array_size(list)) {
		cli_line("%s has no builds.", c->app);
		return 0;
	}
	cli_header(c, "%s Builds", c->app);
	json_array_foreach(list, i, b)
	{
		AUTO(auto_str) char *version = short_version(cli_js(b, "source_blob.version"));

		cli_table_row(&t, (const char *[]){cli_js(b, "id"), cli_js(b, "status"), version,
						   cli_js(b, "user.email"),
						   cli_ago(cli_js(b, "created_at"), time(NULL))});
	}
	cli_table_print(&t, stdout);
	return 0;
}

static bool pending(const json_t *build)
{
	return strcmp(cli_js(build, "status"), "pending") == 0;
}

/* The build that the argument names, else the newest, or the newest that runs. */
static int get_build(struct cli *c, bool running, json_t **out, struct err *err)
{
	json_auto_t *list = NULL;
	size_t i;
	json_t *b;

	if (c->args.npos)
		return cli_api(c, "GET", NULL, out, err, "/apps/%s/builds/%s", c->app,
			       c->args.pos[0]);
	if (list_builds(c, 15, &list, err) < 0)
		return -1;
	json_array_foreach(list, i, b) if (!running || pending(b))
	{
		*out = json_incref(b);
		return 0;
	}
	return err_set(err, ERR_NOT_FOUND,
		       running ? "%s has no running build." : "%s has no builds.", c->app);
}

static void join_buildpacks(const json_t *build, struct buf *out)
{
	size_t i;
	json_t *bp;

	json_array_foreach(json_object_get(build, "buildpacks"), i, bp)
	{
		const char *name = cli_js(bp, "url");

		buf_addf(out, "%s%s", out->len ? "\n" : "", name[0] ? name : cli_js(bp, "name"));
	}
}

static void print_build(struct cli *c, const json_t *b, const json_t *release)
{
	AUTO(cli_pairs_clear) struct cli_pairs p = {0};
	AUTO(buf_clear) struct buf packs = {0};

	cli_header(c, "Build %s", cli_js(b, "id"));
	join_buildpacks(b, &packs);
	cli_pairs_add(&p, "Buildpacks", buf_str(&packs));
	cli_pairs_add(&p, "By", cli_js(b, "user.email"));
	if (release) {
		AUTO(auto_str) char *v = xasprintf("v%lld", cli_jint(release, "version"));

		cli_pairs_add(&p, "Release", v);
	}
	cli_pairs_add(&p, "Stack", cli_js(b, "stack"));
	cli_pairs_add(&p, "Status", cli_js(b, "status"));
	cli_pairs_add(&p, "Version", cli_js(b, "source_blob.version"));
	cli_pairs_add(&p, "When", cli_js(b, "created_at"));
	cli_pairs_print(&p, stdout);
}

int cmd_builds_info(struct cli *c, struct err *err)
{
	json_auto_t *build = NULL, *release = NULL;

	if (get_build(c, false, &build, err) < 0)
		return -1;
	if (cli_opt(&c->args, "json")) {
		cli_print_json(c, build);
		return 0;
	}
	if (cli_js(build, "release.id")[0] &&
	    cli_api(c, "GET", NULL, &release, err, "/apps/%s/releases/%s", c->app,
		    cli_js(build, "release.id")) < 0)
		return -1;
	print_build(c, build, release);
	return 0;
}

int cmd_builds_output(struct cli *c, struct err *err)
{
	json_auto_t *build = NULL, *after = NULL;
	long status = 0;

	if (get_build(c, false, &build, err) < 0 ||
	    cli_stream_text(c, cli_js(build, "output_stream_url"), &status, err) < 0)
		return -1;
	if (status != 200)
		return err_set(err, ERR_UNAVAILABLE, "HTTP Error %ld for the build's output",
			       status);
	if (!pending(build))
		return 0;
	/* It was followed to its end: its end is the result. */
	if (cli_api(c, "GET", NULL, &after, err, "/apps/%s/builds/%s", c->app,
		    cli_js(build, "id")) < 0)
		return -1;
	if (strcmp(cli_js(after, "status"), "failed") == 0)
		return err_set(err, ERR_BUILD_FAILED, "Build failed");
	return 0;
}

int cmd_builds_cancel(struct cli *c, struct err *err)
{
	json_auto_t *build = NULL;

	if (get_build(c, true, &build, err) < 0)
		return -1;
	if (!pending(build))
		return err_set(err, ERR_CONFLICT, "Build %s is not running: it has %s",
			       cli_js(build, "id"), cli_js(build, "status"));
	cli_action(c, "Stopping build %s on %s", cli_js(build, "id"), cli_label(c, c->app));
	if (cli_api(c, "DELETE", NULL, NULL, err, "/apps/%s/builds/%s", c->app,
		    cli_js(build, "id")) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	return 0;
}
