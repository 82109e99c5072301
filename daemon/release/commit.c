#include "daemon/release/commit.h"
#include "daemon/release/built.h"

#include <limits.h>
#include <string.h>

struct export_ctx {
	const struct commit_deploy *in;
	const struct config *cfg;
	const char *repo;
};

static int export_source(const char *dir, void (*line)(const char *line, void *arg), void *say_arg,
			 void *arg, struct err *err)
{
	struct export_ctx *x = arg;

	return git_export(x->repo, NULL, x->in->commit, dir, x->cfg, line, say_arg, err);
}

/* The ref is set between build and release, as by a push: so a restart knows how far it was. */
static int build(struct pusher *ps, struct git *g, const struct commit_deploy *in, const char *repo,
		 struct built **out, struct err *err)
{
	struct export_ctx x = {in, ps->cfg, repo};
	struct build_req req = {.export_source = export_source,
				.export_arg = &x,
				.out = in->out,
				.out_arg = in->out_arg};
	AUTO(built_free) struct built *t = NULL;
	char ref[256];
	const struct built_new new = {
		.app_id = in->app_id,
		.user_id = in->user_id,
		.user_email = in->user_email,
		.row = {.source = "git", .ref = ref, .version = in->commit},
	};

	if (git_head_ref(repo, ref, err) < 0 || built_start(ps, &new, &t, err) < 0 ||
	    built_run(t, &req, err) < 0)
		return -1;
	if (git_import_ref(g, in->app_id, ref, in->commit, in->why, err) < 0) {
		built_undo(t, "the ref could not be updated");
		return -1;
	}
	*out = STEAL(t);
	return 0;
}

int commit_deploy(struct pusher *ps, struct git *g, const struct commit_deploy *in, struct err *err)
{
	const struct built_ear ear = {in->out, in->out_arg};
	AUTO(built_free) struct built *t = NULL;
	char repo[PATH_MAX];
	int rc;

	if (git_import_begin(g, in->app_id, in->from, in->commit, repo, err) < 0)
		return -1;
	rc = build(ps, g, in, repo, &t, err);
	git_import_end(g, in->app_id);
	return rc < 0 ? -1 : built_release_live(t, &ear, err);
}
