/* pipeline.h - promotions: the slug of one app released on others of its pipeline; and what one app
 * of a pipeline has that another has not (docs/internals/pipeline.md). The rows are
 * store/pipeline.h.
 */
#ifndef PIPELINE_PIPELINE_H
#define PIPELINE_PIPELINE_H

#include "daemon/release/release.h"
#include "daemon/store/pipeline.h"

struct promoter { /* all borrowed */
	struct store *store;
	struct releases *releases;
	struct logd *log;
};

struct promotion_new {		    /* borrowed */
	const char *pipeline;	    /* id or name */
	const char *source;	    /* app, id or name */
	const char *source_release; /* of it: id or version; NULL = the current one */
	/* apps, ids or names; none: all of the stage downstream of the source's */
	const char *const *targets;
	int ntargets;
	const char *user_id;
	const char *request_id, *peer; /* for the audit rows, one a target; may be NULL */
};

/*
 * Records the promotion, then makes a release of the slug on each target, in a transaction each.
 * They are deployed side by side; each target ends with its release, and one that fails leaves the
 * others alone. Nothing is copied or built.
 *
 * Returns 0 and the promotion's id once every target has its release, or has failed before; -1,
 * and nothing was done: NOT_FOUND (pipeline, app, release: also what the user must not know of),
 * FORBIDDEN without deploy on a target, INVALID_PARAMS, NO_SLUG.
 * Thread: any but a loop.
 */
int promotion_create(struct promoter *p, const struct promotion_new *in, char id[37],
		     struct err *err);
/* At start, blocking, after releases_recover and before requests: makes the releases that a crash
 * kept from being made. */
int promotions_recover(struct promoter *p, struct err *err);

/* --- diff --- */
struct diff_commit {
	char sha[41];
	char *author, *email, *subject; /* owned; any bytes */
	wall_ms when_ms;
};
struct commit_diff {
	struct diff_commit *v; /* in the one and not in the other, newest first */
	int n;
	int behind; /* how many the other has that the one has not; at most LIM_DIFF_COMMITS + 1 */
	bool more;  /* there are more than these LIM_DIFF_COMMITS */
	bool unknown[2]; /* the commit is in neither repository: nothing is compared */
};
void commit_diff_clear(struct commit_diff *d);
#define commit_diff_clear_p commit_diff_clear
/* What is reachable from commit[0] and not from commit[1]. repo: the bare repositories of their
 * apps, absolute paths; each commit may be in either. Thread: any but a loop (reads packs). */
int commit_diff_make(const char *const repo[2], const char *const commit[2],
		     struct commit_diff *out, struct err *err);

#endif
