/* Where the code of a review app is: at the provider, or in the pipeline's own repository. */
#include "daemon/core/xlog.h"
#include "daemon/review/review_int.h"
#include "proto/limits.h"

#include <git2.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

DEFINE_AUTO(git_repository *, git_repository_free)
DEFINE_AUTO(git_reference *, git_reference_free)

struct repo_q {
	const char *pipeline_id;
	struct store_repo *out;
};

static int read_repo(struct tx *tx, void *arg, struct err *err)
{
	struct repo_q *q = arg;

	return store_repo_of_pipeline(tx, q->pipeline_id, q->out, err);
}

int review_repo(struct reviews *r, const char *pipeline_id, struct store_repo *out, struct err *err)
{
	return store_read(r->d.store, read_repo, &(struct repo_q){pipeline_id, out}, err);
}

int review_repo_of(struct reviews *r, const struct store_review *v, struct store_repo *out,
		   struct err *err)
{
	if (!v->foreign)
		return review_repo(r, v->pipeline_id, out, err);
	return err_set(err, ERR_NOT_FOUND,
		       "It is of %s, which the pipeline is not connected to: connect it again, or "
		       "destroy the review app.",
		       v->repo);
}

static int no_branch(const char *branch, struct err *err)
{
	err_set(err, ERR_NOT_FOUND, "There is no branch %s.", branch);
	if (err)
		err->resource = "branch";
	return -1;
}

/* In the pipeline's own repository. */
static int own_branch(struct reviews *r, const char *pipeline_id, const char *branch, char sha[65],
		      struct err *err)
{
	AUTO(git_repository_free) git_repository *repo = NULL;
	AUTO(auto_str) char *ref = xasprintf("refs/heads/%s", branch);
	char path[PATH_MAX];
	git_oid id;

	git_repo_path(r->d.git, pipeline_id, path);
	if (git_repository_open_bare(&repo, path) < 0 ||
	    git_reference_name_to_id(&id, repo, ref) < 0)
		return no_branch(branch, err);
	git_oid_tostr(sha, 65, &id);
	return 0;
}

int review_branch(struct reviews *r, const char *pipeline_id, const char *branch, char sha[65],
		  enum store_review_source *source, struct err *err)
{
	AUTO(store_repo_clear) struct store_repo repo = {0};
	enum store_review_source ignored = REVIEW_PUSH;
	struct err none = {0};
	char buf[65] = "";

	source = source ? source : &ignored;
	*source = REVIEW_PUSH;
	if (own_branch(r, pipeline_id, branch, sha ? sha : buf, err) == 0)
		return 0;
	if (review_repo(r, pipeline_id, &repo, &none) < 0)
		return -1;
	*source = REVIEW_PROVIDER;
	return provider_branch(r->d.providers, &repo, branch, sha ? sha : buf, err);
}

int review_find_commit(struct reviews *r, const struct store_review *v, char commit[65],
		       struct err *err)
{
	AUTO(store_repo_clear) struct store_repo repo = {0};
	AUTO(provider_pulls_clear) struct provider_pulls l = {0};

	if (v->source == REVIEW_PUSH)
		return own_branch(r, v->pipeline_id, v->branch, commit, err);
	if (review_repo_of(r, v, &repo, err) < 0)
		return -1;
	if (!v->pr_number)
		return provider_branch(r->d.providers, &repo, v->branch, commit, err);
	if (provider_pull_get(r->d.providers, &repo, v->pr_number, &l, err) < 0)
		return -1;
	if (!l.n || !l.v[0].sha)
		return no_branch(v->branch, err);
	snprintf(commit, 65, "%s", l.v[0].sha);
	return 0;
}

void review_look(struct reviews *r, const struct store_review *v)
{
	AUTO(store_repo_clear) struct store_repo repo = {0};
	struct err none = {0};

	if (v->source == REVIEW_PROVIDER && v->pr_number && review_repo_of(r, v, &repo, &none) == 0)
		provider_look(r->d.providers, repo.id);
}

int review_source(struct reviews *r, const struct store_review *v, const char *commit, json_t **out,
		  struct err *err)
{
	AUTO(store_repo_clear) struct store_repo repo = {0};
	char path[PATH_MAX], found[65];

	if (v->source == REVIEW_PUSH) {
		git_repo_path(r->d.git, v->pipeline_id, path);
		*out = setup_source_tree(r->d.setups, path, commit);
		return 0;
	}
	if (review_repo_of(r, v, &repo, err) < 0)
		return -1;
	provider_mirror_path(r->d.providers, &repo, path);
	if (!provider_mirror_has(r->d.providers, &repo, commit) &&
	    (v->pr_number ? provider_fetch_pull(r->d.providers, &repo, v->pr_number, -1, path,
						found, err)
			  : provider_fetch_branch(r->d.providers, &repo, v->branch, -1, path, found,
						  err)) < 0)
		return -1;
	if (!provider_mirror_has(r->d.providers, &repo, commit))
		return err_set(err, ERR_NOT_FOUND,
			       "Commit %.12s is not there any more: the branch was rewritten.",
			       commit);
	*out = setup_source_tree(r->d.setups, path, commit);
	return 0;
}

void review_drop_branch(struct reviews *r, const struct store_review *v)
{
	AUTO(git_repository_free) git_repository *repo = NULL;
	AUTO(git_reference_free) git_reference *ref = NULL;
	AUTO(auto_str) char *name = xasprintf("refs/heads/%s", v->branch);
	char path[PATH_MAX];

	if (v->source != REVIEW_PUSH)
		return;
	git_repo_path(r->d.git, v->pipeline_id, path);
	if (git_repository_open_bare(&repo, path) == 0 &&
	    git_reference_lookup(&ref, repo, name) == 0 && git_reference_delete(ref) < 0)
		xlog(XLOG_WARN, "review", "msg=\"branch stays\" branch=%s", xlog_q(v->branch));
}
