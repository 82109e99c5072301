/* provider.h - the git providers that pipelines are connected to: their webhooks come in, their API
 * is asked and told, their repositories are fetched (docs/internals/provider.md).
 *
 * What a webhook says is never believed, only that something has moved: the subject is noted in the
 * store, and then looked at through the provider's API. So deliveries may come twice, late, in any
 * order, or not at all: the same look is made for all of them on a timer. Whoever reacts is handed
 * what is so now (struct provider_ops), on a thread of this module, where it may block.
 *
 * Threads: everything here blocks but where it says otherwise; never on a loop. */
#ifndef PROVIDER_PROVIDER_H
#define PROVIDER_PROVIDER_H

#include "daemon/core/config.h"
#include "daemon/out/out.h"
#include "daemon/provider/codec.h"
#include "daemon/store/repo.h"
#include "daemon/store/store.h"

struct providers;

/* What reacts. Calls for one repository come one after another; -1 = could not be taken in now
 * (with why, which is logged), and will be told again. Any may be NULL. */
struct provider_ops {
	/* A pull request as it is now: after a webhook about it. */
	int (*pull)(void *arg, const struct store_repo *r, const struct provider_pull *p,
		    struct err *err);
	/* All open ones: on the timer, after a start, and when asked for. One that is not among
	 * them is closed, or was passed over as the list moved between two pages: before it is
	 * given up, provider_pull_get. */
	int (*pulls)(void *arg, const struct store_repo *r, const struct provider_pulls *open,
		     struct err *err);
	/* A branch has moved to sha (NULL = it is gone). */
	int (*branch)(void *arg, const struct store_repo *r, const char *branch, const char *sha,
		      struct err *err);
	/* The checks of a commit have moved; wanted: does it wait for them? */
	int (*checks)(void *arg, const struct store_repo *r, const char *sha, enum provider_ci ci,
		      struct err *err);
	bool (*checks_wanted)(void *arg, const struct store_repo *r, const char *sha);
	/* With pulls: time to look at whatever else there is. */
	int (*timer)(void *arg, const struct store_repo *r, struct err *err);
};

/* Starts the threads; nothing is handed out before providers_run. */
int providers_start(const struct config *cfg, struct out *o, struct store *st,
		    struct providers **out, struct err *err);
/* Adds somebody who reacts; ops and arg are borrowed. Before providers_run; at most 4. */
void providers_react(struct providers *p, const struct provider_ops *ops, void *arg);
void providers_run(struct providers *p);
/* Cuts off what is under way, which is taken up at the next start, and waits. Before out_stop. */
void providers_stop(struct providers *p);
void providers_free(struct providers *p); /* NULL is fine */

/* --- connections --- */
struct provider_connect { /* borrowed */
	const char *pipeline_id;
	enum provider_kind kind;
	const char *base_url;	/* NULL = the provider's own */
	const char *full_name;	/* any form that provider_full_name takes */
	const char *token;	/* "" = none: public repositories, read only */
	const char *deploy_key; /* PEM of an ssh key for fetching; NULL = https */
	int ssh_port;		/* 0 = 22 */
	const char *hook_base;	/* of our own URL: hooks come to HOOK_BASE/PROVIDER/ID */
};
/* Checks name and token at the provider, writes the row, makes the webhook if the token may.
 * INVALID_PARAMS, CONFLICT (connected already), UNAVAILABLE. hooked: false = to be made by hand. */
int provider_connect(struct providers *p, const struct provider_connect *in, struct store_repo *out,
		     bool *hooked, struct err *err);
/* Removes the webhook if it can, the row and what was fetched. */
int provider_disconnect(struct providers *p, const struct store_repo *r, struct err *err);
/* A delivery as it came: 1 = taken in, 0 = known already or of no interest; -1 as
 * provider_delivery_read, NOT_FOUND. Once it is back, a kill loses nothing. */
int provider_receive(struct providers *p, enum provider_kind kind, const char *repo_id,
		     provider_header_fn *get, void *arg, const void *body, size_t n,
		     struct err *err);
/* The timer's look at this repository, now. Does not wait for it. */
void provider_look(struct providers *p, const char *repo_id);

/* --- asking, of a repository; each is one or a few requests, LIM_PROVIDER_MS each ---
 * NOT_FOUND: no such branch, request or repository. UNAVAILABLE: not to be had now (down, 5xx, out
 * of requests). FORBIDDEN: the token is not good for it. */
int provider_branch(struct providers *p, const struct store_repo *r, const char *branch,
		    char sha[65], struct err *err);
int provider_pull_get(struct providers *p, const struct store_repo *r, int64_t number,
		      struct provider_pulls *out, struct err *err);
int provider_pulls_open(struct providers *p, const struct store_repo *r, struct provider_pulls *out,
			struct err *err);
int provider_checks(struct providers *p, const struct store_repo *r, const char *sha,
		    enum provider_ci *out, struct err *err);

/* --- fetching --- */
/* A branch or a request's head, with its history, into the bare mirror of the repository, whose
 * path goes to mirror (PATH_MAX) and commit to commit. Heads of forks come through the repository's
 * own refs. cancel_fd readable: CANCELED; -1 = none. NOT_FOUND: no such ref. UNAVAILABLE, TIMEOUT,
 * TOO_LARGE. One fetch of a repository at a time; others wait. */
int provider_fetch_branch(struct providers *p, const struct store_repo *r, const char *branch,
			  int cancel_fd, char *mirror, char commit[65], struct err *err);
int provider_fetch_pull(struct providers *p, const struct store_repo *r, int64_t number,
			int cancel_fd, char *mirror, char commit[65], struct err *err);
bool provider_mirror_has(struct providers *p, const struct store_repo *r, const char *commit);
void provider_mirror_path(struct providers *p, const struct store_repo *r, char *mirror);

/* --- telling ---
 * What a deployment is like, and a comment about it, to stand at the provider: the newest of a key
 * wins; what was told before it but not yet sent is not sent any more. At least once, with the ids
 * remembered, so that there is one deployment a commit and one comment a key. Retried with
 * back-off for a day, then given up with a line in the log; or at once when it is refused. */
struct provider_told { /* borrowed */
	const char *repo_id;
	const char *key; /* whose: a review app's id; at most 64 bytes */
	int64_t number;	 /* of the request that gets the comment; 0 = no comment */
	const char *sha, *environment;
	enum provider_state state;
	const char *url, *log_url; /* may be NULL */
	const char *text;	   /* a line about it */
	const char *comment;	   /* Markdown; NULL = none, or as it is */
	bool last;		   /* nothing follows: the key is forgotten once it has been told */
};
/* In the caller's transaction; then provider_tell_now. */
int provider_tell(struct tx *tx, const struct provider_told *t, struct err *err);
void provider_tell_now(struct providers *p); /* any thread */
#endif
