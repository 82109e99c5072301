/* review.h - review apps: an app of its own for a branch or pull request, made by an app setup with
 * app.json's "review" environment, redeployed when the branch moves, destroyed when it is gone
 * (docs/internals/review.md; Dev Center: Review Apps).
 *
 * One row each (store/review.h) holds what is wanted and what is; a machine brings the one to the
 * other, step by step, one at a time for a row, so that a crash at any point is taken up. Wishes
 * come from the provider (pull requests, branches), from pushes to the pipeline's own repository,
 * and from people. Everything blocks, on any thread but a loop, unless said otherwise. */
#ifndef REVIEW_REVIEW_H
#define REVIEW_REVIEW_H

#include "daemon/git/git.h"
#include "daemon/provider/provider.h"
#include "daemon/setup/setup.h"
#include "daemon/store/review.h"

struct reviews;

struct reviews_deps { /* borrowed */
	const struct config *cfg;
	struct store *store;
	struct logd *log;
	struct releases *releases;
	struct setups *setups;
	struct providers *providers;
	struct git *git;
};
/* Before providers_run and setups_start, whose calls it takes. */
int reviews_open(const struct reviews_deps *d, struct reviews **out, struct err *err);
/* Takes up what is under way. */
int reviews_start(struct reviews *r, struct err *err);
/* No new steps. Any thread. */
void reviews_stop(struct reviews *r);
/* Waits for the steps under way: after setups_stop and providers_stop, before setups_free. NULL is
 * fine, also to the next. */
void reviews_wait(struct reviews *r);
void reviews_free(struct reviews *r); /* after setups_free */

/* --- by hand --- */
struct review_new { /* borrowed */
	const char *pipeline_id, *user_id;
	const char *branch;	   /* NULL = that of the request */
	int64_t pr_number;	   /* 0 = none; else branch, commit and fork are the request's */
	const char *url;	   /* source; NULL = the branch of the pipeline's repository */
	const char *commit;	   /* NULL = the branch's head */
	const char *fork;	   /* NULL = none. By hand only: forks run with our config vars;
				    * what it pushes later is not deployed by itself */
	const json_t *environment; /* NULL = none */
};
/* One that the branch has already gets the commit, also one that failed with it, and *out is it.
 * INVALID_PARAMS: the pipeline
 * has as many as it may; the branch does not exist, the request is not open or is of another
 * branch. UNAVAILABLE: the provider does not answer. */
int review_create(struct reviews *r, const struct review_new *in, struct store_review *out,
		  struct err *err);
/* It is to be destroyed; returns at once. While its request is open none is made of the same commit
 * by itself. */
int review_end(struct reviews *r, const char *id, struct err *err);
/* All of a pipeline, and waits until they are gone: TIMEOUT. */
int review_end_all(struct reviews *r, const char *pipeline_id, int ms, struct err *err);
/* Settings have changed. */
void review_config_changed(struct reviews *r, const char *pipeline_id);

/* --- by push: git_ops.review --- */
/* The branch has moved (u->commit), or is gone (NULL): tells the pusher how it goes, to its end. */
void review_pushed(struct reviews *r, const struct git_update *u, struct git_push *p);

/* Writes what is said about a row until it is settled: nothing is under way that was wanted. end
 * gets it as it then is. CANCELED: paasd ends. */
int review_follow(struct reviews *r, const char *id,
		  void (*out)(const char *p, size_t n, void *arg), void *arg,
		  struct store_review *end, struct err *err);

/* Whether the branch exists: in the pipeline's own repository, else at the provider that it is
 * connected to. sha and source, which of the two, may be NULL. NOT_FOUND (resource "branch"),
 * UNAVAILABLE. */
int review_branch(struct reviews *r, const char *pipeline_id, const char *branch, char sha[65],
		  enum store_review_source *source, struct err *err);

/* --- names: pure --- */
/* BASE-pr-N with a base name and a number; BASE-BRANCH with a base name alone; else
 * PIPELINE-BRANCH-RANDOM. Always a good app's name. */
void review_name(const char *base, const char *pipeline, const char *branch, int64_t pr_number,
		 char out[32]);

#endif
