/* What moves: pull requests and branches at the provider, branches of a pipeline's own repository.
 */
#include "daemon/core/xlog.h"
#include "daemon/release/built.h"
#include "daemon/review/review_int.h"
#include "daemon/store/pipeline.h"

#include <git2.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* --- the provider's: one transaction each --- */

struct react {
	const struct store_repo *repo;
	const struct provider_pull *pull;
	const struct provider_pulls *open;
	const char *branch, *sha;
};

static int config_of(struct tx *tx, const char *pipeline_id, struct store_review_config *c,
		     bool *enabled, struct err *err)
{
	struct err e = {0};

	*enabled = store_review_config_get(tx, pipeline_id, c, &e) == 0;
	if (*enabled || e.code == ERR_NOT_FOUND)
		return 0;
	*err = e;
	return -1;
}

const char *review_fork(const struct provider_pull *p)
{
	return !p->fork ? "" : p->fork[0] ? p->fork : "?";
}

/* Of the repository that is connected now. Numbers and branches of others are none of these. */
static bool is_of_repo(const struct store_review *v)
{
	return v->source == REVIEW_PROVIDER && !v->foreign;
}

/* The row of the request; else that of its branch: made by hand, or of another request with the
 * same head. */
static struct store_review *find_pull(struct store_reviews *l, const struct provider_pull *p)
{
	struct store_review *v;

	for (int i = 0; i < l->n; i++)
		if (is_of_repo(&l->v[i]) && l->v[i].pr_number == p->number)
			return &l->v[i];
	for (int i = 0; i < l->n && p->branch; i++) {
		v = &l->v[i];
		if (is_of_repo(v) && strcmp(v->branch, p->branch) == 0 &&
		    strcmp(v->fork, review_fork(p)) == 0)
			return v;
	}
	return NULL;
}

/* One that is there follows its request; but what a fork has pushed since somebody has read it, and
 * asked for it, nobody has read. */
static int follow_pull(struct tx *tx, const struct store_review *v, const struct provider_pull *p,
		       struct err *err)
{
	bool others = v->pr_number && v->pr_number != p->number;

	if (!v->wanted || (p->fork && strcmp(v->commit, p->sha) != 0))
		return 0;
	return store_review_want(tx, v->id, p->sha, others ? 0 : p->number, err);
}

/* Forks never by themselves: their code would run with the pipeline's config vars. */
static int open_pull(struct tx *tx, const struct react *q, const struct store_review_config *c,
		     struct store_reviews *l, const struct provider_pull *p, struct err *err)
{
	struct store_review *v = find_pull(l, p);
	AUTO(store_review_clear) struct store_review made = {0}, pushed = {0};
	struct err none = {0};
	bool dismissed;

	if (!p->branch || !p->sha)
		return 0;
	if (v)
		return follow_pull(tx, v, p, err);
	if (!c->automatic || p->fork)
		return 0;
	if (store_review_dismissed(tx, q->repo->pipeline_id, p->number, p->sha, &dismissed, err) <
	    0)
		return -1;
	/* the branch's app may be that of a push to the pipeline's own repository */
	if (dismissed ||
	    store_review_of_branch(tx, q->repo->pipeline_id, p->branch, NULL, &pushed, &none) == 0)
		return 0;
	return store_review_insert(tx,
				   &(struct store_review_new){
					   .pipeline_id = q->repo->pipeline_id,
					   .branch = p->branch,
					   .pr_number = p->number,
					   .source = REVIEW_PROVIDER,
					   .commit = p->sha,
					   .wait_for_ci = c->wait_for_ci,
				   },
				   &made, err);
}

static int write_pull(struct tx *tx, void *arg, struct err *err)
{
	const struct react *q = arg;
	AUTO(store_review_config_clear) struct store_review_config c = {0};
	AUTO(store_reviews_clear) struct store_reviews l = {0};
	struct store_review *v;
	bool enabled;

	if (config_of(tx, q->repo->pipeline_id, &c, &enabled, err) < 0 ||
	    store_reviews_list(tx, q->repo->pipeline_id, false, &l, err) < 0)
		return -1;
	if (q->pull->open)
		return open_pull(tx, q, &c, &l, q->pull, err);
	if (store_review_recall(tx, q->repo->pipeline_id, q->pull->number, err) < 0)
		return -1;
	v = find_pull(&l, q->pull);
	return v && v->pr_number == q->pull->number ? store_review_end(tx, v->id, err) : 0;
}

static int write_open(struct tx *tx, void *arg, struct err *err)
{
	const struct react *q = arg;
	AUTO(store_review_config_clear) struct store_review_config c = {0};
	bool enabled;

	if (config_of(tx, q->repo->pipeline_id, &c, &enabled, err) < 0)
		return -1;
	for (int i = 0; i < q->open->n; i++) {
		/* two may have the same head */
		AUTO(store_reviews_clear) struct store_reviews l = {0};

		if (store_reviews_list(tx, q->repo->pipeline_id, false, &l, err) < 0 ||
		    open_pull(tx, q, &c, &l, &q->open->v[i], err) < 0)
			return -1;
	}
	return 0;
}

/* Those by hand follow their branch; the others follow their request. */
static int write_branch(struct tx *tx, void *arg, struct err *err)
{
	const struct react *q = arg;
	AUTO(store_review_clear) struct store_review v = {0};
	struct err e = {0};

	if (store_review_of_branch(tx, q->repo->pipeline_id, q->branch, NULL, &v, &e) < 0) {
		if (e.code == ERR_NOT_FOUND)
			return 0;
		*err = e;
		return -1;
	}
	if (!is_of_repo(&v) || v.pr_number)
		return 0;
	return q->sha ? store_review_want(tx, v.id, q->sha, 0, err)
		      : store_review_end(tx, v.id, err);
}

static int write_checks(struct tx *tx, void *arg, struct err *err)
{
	const struct react *q = arg;
	AUTO(store_reviews_clear) struct store_reviews l = {0};

	if (store_reviews_list(tx, q->repo->pipeline_id, false, &l, err) < 0)
		return -1;
	for (int i = 0; i < l.n; i++)
		if (is_of_repo(&l.v[i]) && strcmp(l.v[i].commit, q->sha) == 0 &&
		    strcmp(l.v[i].tried, q->sha) != 0 && store_review_kick(tx, l.v[i].id, err) < 0)
			return -1;
	return 0;
}

static int react(struct reviews *r, tx_fn *fn, struct react *q, struct err *err)
{
	if (store_tx(r->d.store, fn, q, err) < 0)
		return -1;
	reviews_kick(r);
	return 0;
}

static int on_pull(void *arg, const struct store_repo *repo, const struct provider_pull *p,
		   struct err *err)
{
	return react(arg, write_pull, &(struct react){.repo = repo, .pull = p}, err);
}

struct rows_q {
	const char *pipeline_id;
	struct store_reviews rows;
};

static int read_rows(struct tx *tx, void *arg, struct err *err)
{
	struct rows_q *q = arg;

	store_reviews_clear(&q->rows);
	return store_reviews_list(tx, q->pipeline_id, false, &q->rows, err);
}

static bool is_open(const struct provider_pulls *open, int64_t number)
{
	for (int i = 0; i < open->n; i++)
		if (open->v[i].number == number)
			return true;
	return false;
}

/* A request that the list does not have: its webhook was lost, or it was passed over between two
 * pages. */
static int missing(struct reviews *r, const struct store_repo *repo, int64_t number,
		   struct err *err)
{
	AUTO(provider_pulls_clear) struct provider_pulls one = {0};
	struct provider_pull gone = {.number = number};
	struct err why = {0};

	if (provider_pull_get(r->d.providers, repo, number, &one, &why) == 0)
		return on_pull(r, repo, &one.v[0], err);
	if (why.code == ERR_NOT_FOUND)
		return on_pull(r, repo, &gone, err);
	*err = why;
	return -1;
}

static int on_pulls(void *arg, const struct store_repo *repo, const struct provider_pulls *open,
		    struct err *err)
{
	struct rows_q q = {.pipeline_id = repo->pipeline_id};
	struct reviews *r = arg;
	int rc;

	if (react(r, write_open, &(struct react){.repo = repo, .open = open}, err) < 0)
		return -1;
	rc = store_read(r->d.store, read_rows, &q, err);
	for (int i = 0; i < q.rows.n && rc == 0; i++) {
		const struct store_review *v = &q.rows.v[i];

		if (v->wanted && is_of_repo(v) && v->pr_number && !is_open(open, v->pr_number))
			rc = missing(r, repo, v->pr_number, err);
	}
	store_reviews_clear(&q.rows);
	return rc;
}

static int on_branch(void *arg, const struct store_repo *repo, const char *branch, const char *sha,
		     struct err *err)
{
	return react(arg, write_branch, &(struct react){.repo = repo, .branch = branch, .sha = sha},
		     err);
}

static int on_checks(void *arg, const struct store_repo *repo, const char *sha, enum provider_ci ci,
		     struct err *err)
{
	(void)ci;
	return react(arg, write_checks, &(struct react){.repo = repo, .sha = sha}, err);
}

const struct provider_ops review_provider_ops = {on_pull, on_pulls, on_branch, on_checks};

/* --- the pipeline's own repository --- */

struct pushed {
	struct reviews *r;
	const char *pipeline_id, *user_id, *branch, *commit; /* commit NULL = gone */
	char id[37];					     /* out; "" = there is none */
	bool ending; /* out: an earlier one is still being destroyed */
};

static int write_pushed(struct tx *tx, void *arg, struct err *err)
{
	struct pushed *q = arg;
	AUTO(store_review_clear) struct store_review v = {0};
	struct err e = {0};

	q->id[0] = 0;
	q->ending = false;
	if (store_review_of_branch(tx, q->pipeline_id, q->branch, NULL, &v, &e) == 0) {
		memcpy(q->id, v.id, sizeof q->id);
		q->ending = !v.wanted;
		if (!q->commit)
			return store_review_end(tx, v.id, err);
		return v.wanted ? store_review_want(tx, v.id, q->commit, 0, err) : 0;
	}
	if (e.code != ERR_NOT_FOUND) {
		*err = e;
		return -1;
	}
	if (!q->commit)
		return 0;
	if (review_room(tx, q->pipeline_id, err) < 0)
		return -1;
	if (store_review_insert(tx,
				&(struct store_review_new){
					.pipeline_id = q->pipeline_id,
					.creator_id = q->user_id,
					.branch = q->branch,
					.source = REVIEW_PUSH,
					.commit = q->commit,
				},
				&v, err) < 0)
		return -1;
	memcpy(q->id, v.id, sizeof q->id);
	return 0;
}

static void git_out(const char *p, size_t n, void *push)
{
	git_say(push, p, n);
}

static void tell_end(struct reviews *r, const struct store_review *v, struct git_push *p)
{
	char url[300];

	if (v->status == REVIEW_DELETED) {
		git_sayf(p, "-----> The review app of %s is gone.\n", v->branch);
		return;
	}
	if (v->status != REVIEW_CREATED || v->message) {
		git_sayf(p,
			 " !     The review app of %s is not up to date: %s\n"
			 " !     To try the same commit again: paasctl reviewapps:create -b %s\n",
			 v->branch, v->message ? v->message : "see above", v->branch);
		if (v->status != REVIEW_CREATED)
			return;
	}
	built_web_url(r->d.cfg, v->app_name ? v->app_name : "", url, sizeof url);
	git_sayf(p, "-----> Review app %s of %s\n       %s\n", v->app_name ? v->app_name : "",
		 v->branch, url);
}

static void follow(struct reviews *r, const char *id, struct git_push *p)
{
	AUTO(store_review_clear) struct store_review v = {0};
	struct err err = {0};

	if (review_follow(r, id, git_out, p, &v, &err) < 0)
		git_sayf(p, " !     %s; the push is stored, and goes on by itself.\n", err.msg);
	else
		tell_end(r, &v, p);
}

void review_pushed(struct reviews *r, const struct git_update *u, struct git_push *p)
{
	struct pushed q = {.r = r,
			   .pipeline_id = u->app_id,
			   .user_id = u->user_id,
			   .branch = u->ref + strlen("refs/heads/"),
			   .commit = u->commit};
	struct err err = {0};

	for (;;) {
		if (store_tx(r->d.store, write_pushed, &q, &err) < 0) {
			git_sayf(p, " !     No review app was made: %s\n", err.msg);
			return;
		}
		reviews_kick(r);
		if (!q.id[0])
			return;
		if (!q.ending || !u->commit)
			break;
		git_sayf(p, "-----> The earlier review app of %s is being destroyed...\n",
			 q.branch);
		follow(r, q.id, p);
		if (reviews_closing(r))
			return;
	}
	git_sayf(p,
		 u->commit ? "-----> Review app of branch %s\n"
			   : "-----> Destroying the review app of branch %s...\n",
		 q.branch);
	follow(r, q.id, p);
}

/* --- after a crash --- */

static int list_pipelines(struct tx *tx, void *arg, struct err *err)
{
	return store_reviews_pushed(tx, arg, err);
}

static int reconcile_one(struct tx *tx, void *arg, struct err *err)
{
	struct pushed *q = arg;

	return q->commit ? store_review_want(tx, q->id, q->commit, 0, err)
			 : store_review_end(tx, q->id, err);
}

int review_reconcile_pushes(struct reviews *r, struct err *err)
{
	AUTO(store_reviews_clear) struct store_reviews l = {0};

	if (store_read(r->d.store, list_pipelines, &l, err) < 0)
		return -1;
	for (int i = 0; i < l.n; i++) {
		struct pushed q = {.r = r};
		struct err none = {0};
		char sha[65];

		memcpy(q.id, l.v[i].id, sizeof q.id);
		if (review_find_commit(r, &l.v[i], sha, &none) == 0)
			q.commit = sha;
		else if (none.code != ERR_NOT_FOUND)
			continue;
		if (store_tx(r->d.store, reconcile_one, &q, err) < 0)
			return -1;
	}
	return 0;
}
