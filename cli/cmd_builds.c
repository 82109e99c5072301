#include "cli/cli.h"
#include "cli/table.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static int list_builds(struct cli *c, int max, json_t **out, struct err *err)
{
	AUTO(auto_str) char *range = xasprintf("created_at ..; max=%d, order=desc", max);

	return cli_api_part(c, range, out, err, "/apps/%s/builds", c->app);
}

/* Commit ids as git shows them, other versions as they are. */
static char *short_version(const char *version)
{
	size_t n = strlen(version);

	if ((n == 40 || n == 64) && strspn(version, "0123456789abcdef") == n)
		n = 8;
	return xstrndup(version, n);
}

static int cmd_builds(struct cli *c, struct err *err)
{
	AUTO(cli_table_clear) struct cli_table t = {.cols = 5};
	json_auto_t *list = NULL;
	size_t i;
	json_t *b;
	int max;

	if (cli_num_opt(c, "num", 15, &max, err) < 0 || list_builds(c, max, &list, err) < 0)
		return -1;
	if (cli_json(c)) {
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

static int cmd_builds_info(struct cli *c, struct err *err)
{
	json_auto_t *build = NULL, *release = NULL;

	if (get_build(c, false, &build, err) < 0)
		return -1;
	if (cli_json(c)) {
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

/* A running one is followed to its end: its end is the result. */
static int follow(struct cli *c, const json_t *build, struct err *err)
{
	json_auto_t *after = NULL;
	long status = 0;

	if (cli_stream_text(c, cli_js(build, "output_stream_url"), &status, err) < 0)
		return -1;
	if (status != 200)
		return err_set(err, ERR_UNAVAILABLE, "HTTP Error %ld for the build's output",
			       status);
	if (!pending(build))
		return 0;
	if (cli_api(c, "GET", NULL, &after, err, "/apps/%s/builds/%s", c->app,
		    cli_js(build, "id")) < 0)
		return -1;
	if (strcmp(cli_js(after, "status"), "failed") == 0)
		return err_set(err, ERR_BUILD_FAILED, "Build failed");
	return 0;
}

static int cmd_builds_output(struct cli *c, struct err *err)
{
	json_auto_t *build = NULL;

	return get_build(c, false, &build, err) < 0 ? -1 : follow(c, build, err);
}

static int cmd_builds_cancel(struct cli *c, struct err *err)
{
	json_auto_t *build = NULL;

	if (get_build(c, true, &build, err) < 0)
		return -1;
	if (!pending(build))
		return err_set(err, ERR_CONFLICT, "Build %s is not running: it has %s",
			       cli_js(build, "id"), cli_js(build, "status"));
	cli_action(c, "Stopping build %s on %s", cli_js(build, "id"), cli_label(c, c->app));
	return cli_send(c, "DELETE", NULL, err, "/apps/%s/builds/%s", c->app, cli_js(build, "id"));
}

static int cmd_cache_purge(struct cli *c, struct err *err)
{
	cli_action(c, "Purging the build cache of %s", cli_label(c, c->app));
	return cli_send(c, "DELETE", NULL, err, "/apps/%s/build-cache", c->app);
}

/* --- builds:create --- */

static bool is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* What git knows of the directory, or nearly does: neither its own files nor ignored ones. */
static int list_files(const char *dir, const char *list)
{
	AUTO(buf_clear) struct buf names = {0};
	AUTO(auto_fd) int fd = -1;

	if (cli_run((const char *const[]){"git", "-C", dir, "ls-files", "-z", "--cached",
					  "--others", "--exclude-standard", "--deduplicate", NULL},
		    &names) != 0 ||
	    !names.len)
		return -1;
	fd = open(list, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd >= 0 && write(fd, names.data, names.len) == (ssize_t)names.len ? 0 : -1;
}

static int pack(const char *dir, const char *tmp, const char *tarball, struct err *err)
{
	AUTO(auto_str) char *list = xasprintf("%s/list", tmp);
	int rc;

	if (list_files(dir, list) == 0)
		rc = cli_run((const char *const[]){"tar", "-czf", tarball, "-C", dir,
						   "--no-recursion", "--ignore-failed-read",
						   "--null", "--verbatim-files-from", "-T", list,
						   NULL},
			     NULL);
	else
		rc = cli_run((const char *const[]){"tar", "-czf", tarball, "-C", dir,
						   "--exclude=./.git", ".", NULL},
			     NULL);
	unlink(list);
	return rc == 0 ? 0 : err_set(err, ERR_IO, "tar could not pack %s (status %d)", dir, rc);
}

static int upload(struct cli *c, const char *file, json_t **source, struct err *err)
{
	if (cli_api(c, "POST", NULL, source, err, "/sources") < 0)
		return -1;
	return cli_put_file(c, cli_js(*source, "source_blob.put_url"), file, err);
}

/* The directory as a tarball, uploaded; the folder it is made in goes away again. */
static int upload_dir(struct cli *c, const char *dir, json_t **source, struct err *err)
{
	const char *base = getenv("TMPDIR");
	AUTO(auto_str) char *tmp = xasprintf("%s/paasctl-XXXXXX", base && base[0] ? base : "/tmp");
	AUTO(auto_str) char *tarball = NULL;
	int rc;

	if (!mkdtemp(tmp))
		return err_errno(err, "cannot make %s", tmp);
	tarball = xasprintf("%s/source.tar.gz", tmp);
	rc = pack(dir, tmp, tarball, err);
	if (rc == 0)
		rc = upload(c, tarball, source, err);
	unlink(tarball);
	rmdir(tmp);
	return rc;
}

int cli_source_upload(struct cli *c, const char *from, json_t **source, struct err *err)
{
	int rc;

	cli_action(c, "Uploading %s", from);
	rc = is_dir(from) ? upload_dir(c, from, source, err) : upload(c, from, source, err);
	if (rc == 0)
		cli_action_done(c, "%s", "");
	return rc;
}

void cli_source_version(struct cli *c, const char *dir, json_t *blob)
{
	const char *given = cli_opt(&c->args, "version");
	AUTO(buf_clear) struct buf out = {0};

	if (!given && dir && is_dir(dir) &&
	    cli_run((const char *const[]){"git", "-C", dir, "rev-parse", "HEAD", NULL}, &out) == 0)
		given = (out.data[strcspn(out.data, "\n")] = 0, out.data);
	if (given)
		json_object_set_new(blob, "version", json_string(given));
}

static int cmd_builds_create(struct cli *c, struct err *err)
{
	const char *from = c->args.npos ? c->args.pos[0] : ".",
		   *url = cli_opt(&c->args, "source-url");
	json_auto_t *source = NULL, *body = NULL, *build = NULL;
	json_t *blob = json_object();

	body = json_pack("{so}", "source_blob", blob);
	if (!url) {
		if (cli_source_upload(c, from, &source, err) < 0)
			return -1;
		url = cli_js(source, "source_blob.get_url");
	}
	json_object_set_new(blob, "url", json_string(url));
	cli_source_version(c, source ? from : NULL, blob);
	if (cli_api(c, "POST", body, &build, err, "/apps/%s/builds", c->app) < 0)
		return -1;
	if (!cli_json(c))
		return follow(c, build, err);
	cli_print_json(c, build);
	return 0;
}

const struct cli_cmd cli_cmds_builds[] = {
	{.name = "builds",
	 .help = "list the builds of an app",
	 .opts = OPTS(VALUE('n', "num", "N", NONE, "number of builds to show (default: 15)")),
	 .flags = CLI_APP,
	 .run = cmd_builds,
	 .examples = "builds -a my-app"},
	{.name = "builds:create",
	 .help = "build and release a directory, a tarball or what a URL gives, without git push",
	 .more = "Of a git checkout the files that git would see go up, uncommitted changes "
		 "included. Shows the "
		 "build's output and ends with its result; with --json, with the build as it was "
		 "begun.",
	 .args = ARGS({"SOURCE", COMPLETE_FILE, "directory or .tar.gz (default: this directory)",
		       false, false}),
	 .opts = OPTS(VALUE(0, "source-url", "URL", NONE, "address of a .tar.gz instead"),
		      VALUE(0, "version", "TEXT", NONE, "what the code is (default: the commit)")),
	 .flags = CLI_APP,
	 .run = cmd_builds_create,
	 .examples = "builds:create -a my-app\nbuilds:create app.tar.gz --version 1.2.0\n"
		     "builds:create --source-url https://example.com/app.tar.gz"},
	{.name = "builds:info",
	 .help = "view detailed information for a build",
	 .args = ARGS(BUILD),
	 .flags = CLI_APP,
	 .run = cmd_builds_info,
	 .examples = "builds:info -a my-app"},
	{.name = "builds:output",
	 .help = "show the output of a build, live while it runs",
	 .args = ARGS(BUILD),
	 .flags = CLI_APP | CLI_NO_JSON,
	 .run = cmd_builds_output,
	 .examples = "builds:output -a my-app"},
	{.name = "builds:cancel",
	 .help = "cancel a running build",
	 .args = ARGS({"BUILD", COMPLETE_BUILD, "id of the build; the running one by default",
		       false, false}),
	 .flags = CLI_APP,
	 .run = cmd_builds_cancel,
	 .examples = "builds:cancel -a my-app"},
	{.name = "builds:cache:purge",
	 .help = "forget what builds of an app keep for the next one",
	 .flags = CLI_APP,
	 .run = cmd_cache_purge,
	 .examples = "builds:cache:purge -a my-app"},
	{0},
};
