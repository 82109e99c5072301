/* repo.h - repositories at git providers that pipelines are connected to, what is to be looked at
 * and told there, and branches that are deployed by themselves. See user.h for the conventions. */
#ifndef STORE_REPO_H
#define STORE_REPO_H

#include "daemon/store/store.h"

struct store_repo {
	char id[37], pipeline_id[37];
	int64_t num;
	char provider[16];
	char *base_url, *full_name;
	char *token;	  /* "" = none */
	char *deploy_key; /* NULL = none */
	int ssh_port;	  /* for fetching with it */
	char *hook_secret, *hook_url;
	char *hook_id;	       /* NULL = not made by us */
	char *failure;	       /* NULL = the last look went well */
	wall_ms reconciled_ms; /* 0 = never */
	wall_ms created_ms, updated_ms;
};
struct store_repos {
	struct store_repo *v;
	int n;
};
void store_repo_clear(struct store_repo *r); /* secrets are wiped */
void store_repos_clear(struct store_repos *l);
#define store_repo_clear_p  store_repo_clear
#define store_repos_clear_p store_repos_clear

/* in: all but id, num, times. id may be given (not ""). CONFLICT: the pipeline has one. */
int store_repo_create(struct tx *tx, const struct store_repo *in, struct store_repo *out,
		      struct err *err);
/* By id, by pipeline. NOT_FOUND (resource "repo"). */
int store_repo_get(struct tx *tx, const char *id, struct store_repo *out, struct err *err);
int store_repo_of_pipeline(struct tx *tx, const char *pipeline_id, struct store_repo *out,
			   struct err *err);
int store_repos_all(struct tx *tx, struct store_repos *out, struct err *err);
int store_repo_set_hook(struct tx *tx, const char *id, const char *hook_id, struct err *err);
/* failure NULL = it went well. */
int store_repo_looked(struct tx *tx, const char *id, const char *failure, struct err *err);
int store_repo_delete(struct tx *tx, const char *id, struct err *err);

/* The repository of the pipeline that an app is in. NOT_FOUND (resource "repo"). */
int store_repo_of_app(struct tx *tx, const char *app_id, struct store_repo *out, struct err *err);

/* --- deliveries --- */
/* *known: one of the two was there already, and nothing is written; else both are. */
int store_repo_delivery(struct tx *tx, const char *repo_id, const char *delivery, const char *sum,
			bool *known, struct err *err);
int store_repo_deliveries_prune(struct tx *tx, wall_ms before, struct err *err);

/* --- looks --- */
struct store_look {
	char repo_id[37];
	char kind[8]; /* "pull", "branch", "checks" */
	char *subject;
	int64_t seq;
	int tries;
};
struct store_looks {
	struct store_look *v;
	int n;
};
void store_look_clear(struct store_look *l);
void store_looks_clear(struct store_looks *l);
#define store_looks_clear_p store_looks_clear
/* It has moved: due now, once, however often it is said. */
int store_look_add(struct tx *tx, const char *repo_id, const char *kind, const char *subject,
		   struct err *err);
int store_looks_due(struct tx *tx, const char *repo_id, wall_ms now, int max,
		    struct store_looks *out, struct err *err);
/* Done, unless it moved meanwhile. */
int store_look_done(struct tx *tx, const struct store_look *l, struct err *err);
int store_look_again(struct tx *tx, const struct store_look *l, wall_ms next, struct err *err);

/* --- tells --- */
struct store_tell {
	char repo_id[37], key[65];
	int64_t number;
	char sha[65], state[12];
	char *environment, *url, *log_url, *text, *comment;
	bool last;
	int64_t seq, told_seq, status_seq;
	char deployment_id[64], deployment_sha[65], comment_id[64], comment_sum[65], begun[16];
	int tries;
	wall_ms first_ms, next_ms;
	char *failure;
};
struct store_tells {
	struct store_tell *v;
	int n;
};
void store_tell_clear(struct store_tell *t);
void store_tells_clear(struct store_tells *l);
#define store_tell_clear_p  store_tell_clear
#define store_tells_clear_p store_tells_clear
/* What is wanted; ids of what stands there already are kept. comment NULL = as it is. */
int store_tell_want(struct tx *tx, const struct store_tell *in, struct err *err);
/* Those of which not all has been told, due by now. */
int store_tells_due(struct tx *tx, const char *repo_id, wall_ms now, int max,
		    struct store_tells *out, struct err *err);
/* NOT_FOUND (resource "tell") */
int store_tell_get(struct tx *tx, const char *repo_id, const char *key, struct store_tell *out,
		   struct err *err);
/* Ids, begun, tries, times, failure, told_seq and status_seq, of a tell that was read before; a row
 * that is last and told is deleted. */
int store_tell_update(struct tx *tx, const struct store_tell *t, struct err *err);

/* When looks, tells and timers of repositories are next: the repositories that have something due,
 * char[37] after char[37]; *next: of the others, 0 = nothing. period_ms: between timed looks. */
int store_repos_due(struct tx *tx, wall_ms now, wall_ms period_ms, struct buf *ids, wall_ms *next,
		    struct err *err);

/* --- branches that are deployed by themselves --- */
struct store_auto {
	char app_id[37], app_name[32], owner_id[37];
	char user_id[37]; /* "" = gone */
	char *branch;
	bool wait_for_ci;
	char pending[65], deployed[65]; /* commits; "" = none */
	char status[16];
	char *message; /* may be NULL */
	wall_ms created_ms, updated_ms;
};
struct store_autos {
	struct store_auto *v;
	int n;
};
void store_auto_clear(struct store_auto *a);
void store_autos_clear(struct store_autos *l);
#define store_auto_clear_p  store_auto_clear
#define store_autos_clear_p store_autos_clear
/* A new branch forgets the commits. */
int store_auto_set(struct tx *tx, const char *app_id, const char *branch, bool wait_for_ci,
		   const char *user_id, struct err *err);
/* NOT_FOUND (resource "auto_deploy") */
int store_auto_get(struct tx *tx, const char *app_id, struct store_auto *out, struct err *err);
int store_auto_delete(struct tx *tx, const char *app_id, struct err *err);
/* Of live apps of the repository's pipeline; branch NULL = all. */
int store_autos_of_repo(struct tx *tx, const char *repo_id, const char *branch,
			struct store_autos *out, struct err *err);
/* Those with a commit that waits, of any repository: for the start. */
/* commit waits now, in place of what did. */
int store_auto_want(struct tx *tx, const char *app_id, const char *commit, const char *status,
		    const char *message, struct err *err);
/* It was tried: no longer waits, unless another does by now. */
int store_auto_tried(struct tx *tx, const char *app_id, const char *commit, bool ok,
		     const char *message, struct err *err);
int store_auto_status(struct tx *tx, const char *app_id, const char *commit, const char *status,
		      const char *message, struct err *err);
/* Whether a build of this commit has been released, or is being, for the app. */
int store_auto_was_built(struct tx *tx, const char *app_id, const char *commit, bool *out,
			 struct err *err);

#endif
