/* review_int.h - inside daemon/review. */
#ifndef REVIEW_REVIEW_INT_H
#define REVIEW_REVIEW_INT_H

#include "daemon/core/pool.h"
#include "daemon/review/review.h"

#include <pthread.h>
#include <sys/queue.h>

DEFINE_AUTO(json_t *, json_decref)

/* A row whose step is running, and what its deploy says. */
struct busy {
	LIST_ENTRY(busy) link;
	struct reviews *r;
	char id[37];
	int refs; /* the step, and each who reads along */
	bool over;
	struct buf said; /* at most LIM_REVIEW_OUTPUT */
};

struct reviews {
	struct reviews_deps d;
	struct pool *pool;
	struct thread *looker;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t changed;
	LIST_HEAD(review_busy, busy) busy;
	bool closing, again; /* again: something is due */
};

/* review.c */
void reviews_kick(struct reviews *r); /* something is due */
bool reviews_closing(struct reviews *r);
/* Of the row's step that runs, for its text; the step's thread. */
void busy_say(const char *p, size_t n, void *busy);
/* One transaction of one of the store's functions. */
int review_read(struct reviews *r, const char *id, struct store_review *out, struct err *err);

/* INVALID_PARAMS when the pipeline has as many as it may. */
int review_room(struct tx *tx, const char *pipeline_id, struct err *err);

/* machine.c: one step of a row. True: look again at once. The pool's threads. */
bool review_step(struct reviews *r, struct busy *b, const char *id);

int review_repo(struct reviews *r, const char *pipeline_id, struct store_repo *out,
		struct err *err); /* NOT_FOUND: not connected */

/* source.c: where the code of a row is */
/* Of a row of the provider's. NOT_FOUND: the pipeline is not connected to it any more. */
int review_repo_of(struct reviews *r, const struct store_review *v, struct store_repo *out,
		   struct err *err);
int review_find_commit(struct reviews *r, const struct store_review *v, char commit[65],
		       struct err *err);
/* The provider is asked what is open: after a row is gone, whose request may have been opened again
 * meanwhile. Does not wait for it. */
void review_look(struct reviews *r, const struct store_review *v);
/* Fetches it; a source for setups, a new reference. CANCELED is not known here. */
int review_source(struct reviews *r, const struct store_review *v, const char *commit, json_t **out,
		  struct err *err);
/* The pipeline's own repository forgets the branch, so that it can be pushed again. */
void review_drop_branch(struct reviews *r, const struct store_review *v);

/* tell.c: what the provider shows. In the transaction that it is so. */
int review_tell(struct tx *tx, struct reviews *r, const struct store_review *v,
		enum provider_state state, const char *sha, const char *text, struct err *err);
void review_tell_now(struct reviews *r);

/* react.c */
/* As rows have it: "" = none, "?" = one that is gone. */
const char *review_fork(const struct provider_pull *p);
extern const struct provider_ops review_provider_ops;
/* The pipeline's own repository against the rows: pushes that a crash cut off. */
int review_reconcile_pushes(struct reviews *r, struct err *err);

#endif
