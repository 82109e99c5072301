/* review.h - review apps: settings of a pipeline, and one row for each branch or pull request that
 * has, had or is to have an app. See user.h for the conventions. */
#ifndef STORE_REVIEW_H
#define STORE_REVIEW_H

#include "daemon/store/store.h"

#include <jansson.h>

struct store_review_config {
	char pipeline_id[37];
	bool automatic;	    /* an app for each new pull request */
	bool destroy_stale; /* those that were not deployed for stale_days */
	bool wait_for_ci;
	int stale_days, max_apps, sleep_minutes; /* sleep_minutes 0 = never */
	char *base_name;			 /* NULL = names with a random end */
	wall_ms created_ms, updated_ms;
};
void store_review_config_clear(struct store_review_config *c);
#define store_review_config_clear_p store_review_config_clear

/* Presets, for a pipeline that has none. */
void store_review_config_preset(struct store_review_config *c, const char *pipeline_id);
/* NOT_FOUND (resource "review_app_config"). */
int store_review_config_get(struct tx *tx, const char *pipeline_id, struct store_review_config *out,
			    struct err *err);
/* Made or replaced. */
int store_review_config_set(struct tx *tx, const struct store_review_config *c, struct err *err);
int store_review_config_delete(struct tx *tx, const char *pipeline_id, struct err *err);

enum store_review_status {
	REVIEW_PENDING,
	REVIEW_CREATING,
	REVIEW_CREATED,
	REVIEW_DELETING,
	REVIEW_DELETED,
	REVIEW_ERRORED,
};
extern const char *const store_review_statuses[];
enum store_review_source {
	REVIEW_PROVIDER, /* of the connected repository */
	REVIEW_PUSH,	 /* of the pipeline's own */
	REVIEW_URL,	 /* a tarball or git URL, once */
};

struct store_review {
	char id[37], pipeline_id[37];
	char app_id[37], setup_id[37], creator_id[37]; /* "" = none, or gone */
	char *app_name;				       /* NULL = none */
	char *branch;
	int64_t pr_number; /* 0 = none */
	char *fork;	   /* "" = none */
	char *repo;	   /* of REVIEW_PROVIDER: https://HOST/OWNER/NAME; else "" */
	bool foreign; /* of REVIEW_PROVIDER: the pipeline is connected to another, or to none */
	enum store_review_source source;
	char commit[65], tried[65], deployed[65]; /* "" = none */
	enum store_review_status status;
	bool wanted, predestroyed, wait_for_ci;
	char *error_status, *message; /* may be NULL */
	int tries;
	wall_ms arrived_ms, active_ms, created_ms, updated_ms;
};
struct store_reviews {
	struct store_review *v;
	int n;
};
void store_review_clear(struct store_review *r);
void store_reviews_clear(struct store_reviews *l);
#define store_review_clear_p  store_review_clear
#define store_reviews_clear_p store_reviews_clear

struct store_review_new {		      /* borrowed */
	const char *pipeline_id, *creator_id; /* creator NULL = nobody: a pull request */
	const char *branch, *fork;	      /* fork NULL = none */
	int64_t pr_number;
	enum store_review_source source;
	const char *source_url; /* of REVIEW_URL; sealed */
	const char *commit;	/* NULL = to be found out */
	bool wait_for_ci;
	const json_t *environment; /* object of texts; NULL = {} */
};
/* Pending and due. CONFLICT: the branch has one that is not deleted. */
int store_review_insert(struct tx *tx, const struct store_review_new *in, struct store_review *out,
			struct err *err);
/* All three: NOT_FOUND (resource "review_app"). */
int store_review_get(struct tx *tx, const char *id, struct store_review *out, struct err *err);
int store_review_of_app(struct tx *tx, const char *app_id, struct store_review *out,
			struct err *err);
int store_review_of_setup(struct tx *tx, const char *setup_id, struct store_review *out,
			  struct err *err);
/* The one of a branch that is not deleted, nor foreign. */
int store_review_of_branch(struct tx *tx, const char *pipeline_id, const char *branch,
			   const char *fork, struct store_review *out, struct err *err);
/* Of a pipeline, newest first; all: deleted ones too. */
int store_reviews_list(struct tx *tx, const char *pipeline_id, bool all, struct store_reviews *out,
		       struct err *err);
/* All of pushes that are wanted. */
int store_reviews_pushed(struct tx *tx, struct store_reviews *out, struct err *err);
/* Those that hold an app, or are about to. */
int store_reviews_count(struct tx *tx, const char *pipeline_id, int *out, struct err *err);
int store_review_secrets(struct tx *tx, const char *id, json_t **environment, char **source_url,
			 struct err *err); /* source_url NULL = none */

/* --- what is wanted --- */
/* Another commit (or a first look, when commit is NULL); an errored one is tried anew. Nothing
 * happens when that is wanted already. pr_number 0 = as it is. */
int store_review_want(struct tx *tx, const char *id, const char *commit, int64_t pr_number,
		      struct err *err);
/* As if it had never been tried: from where, and with what (`in`), it is to be made or deployed. An
 * environment of NULL and a number of 0 leave what there is; pipeline, branch and fork are not
 * looked at. */
int store_review_again(struct tx *tx, const char *id, const struct store_review_new *in,
		       struct err *err);
/* It is to go. */
int store_review_end(struct tx *tx, const char *id, struct err *err);
/* Likewise, though its request is open: until another commit comes, or the request has been closed
 * (recall), none is made for it again by itself. */
int store_review_dismiss(struct tx *tx, const char *id, struct err *err);
int store_review_dismissed(struct tx *tx, const char *pipeline_id, int64_t pr_number,
			   const char *commit, bool *out, struct err *err);
int store_review_recall(struct tx *tx, const char *pipeline_id, int64_t pr_number, struct err *err);
/* Those that are wanted by nobody for too long, by the settings of their pipelines: to go. */
int store_reviews_end_stale(struct tx *tx, wall_ms now, int *n, struct err *err);

/* --- the machine's --- */
/* Due by now, at most max; *next: when the next of the others is, 0 = never. */
int store_reviews_due(struct tx *tx, wall_ms now, int max, struct store_reviews *out, wall_ms *next,
		      struct err *err);
/* Due now. */
int store_review_kick(struct tx *tx, const char *id, struct err *err);
int store_reviews_kick_pipeline(struct tx *tx, const char *pipeline_id, struct err *err);
/* Those under way: after a start. */
int store_reviews_kick_all(struct tx *tx, struct err *err);
/* Not before then; 0 = not until it is kicked. counted: one try more, else none. Nothing happens
 * when the row was kicked since `seen` was read. */
int store_review_rest(struct tx *tx, const struct store_review *seen, wall_ms next, bool counted,
		      struct err *err);
int store_review_say(struct tx *tx, const char *id, enum store_review_status status,
		     const char *error_status, const char *message, struct err *err);
int store_review_found(struct tx *tx, const char *id, const char *commit, struct err *err);
/* In the setup's transaction: creating, with its app. CONFLICT: no longer pending or wanted. */
int store_review_made(struct tx *tx, const char *id, const char *app_id, const char *setup_id,
		      struct err *err);
/* A setup or deploy of this commit has ended; well: it is what runs now. */
int store_review_tried(struct tx *tx, const char *id, const char *commit, bool well,
		       struct err *err);
/* The build of the wanted commit that has been released since it is wanted; "" = none. */
int store_review_built(struct tx *tx, const struct store_review *v, char build_id[37],
		       struct err *err);
int store_review_predestroy(struct tx *tx, const char *id, struct err *err);
/* Ended ones of long ago. */
int store_reviews_expire(struct tx *tx, wall_ms before, struct err *err);

#endif
