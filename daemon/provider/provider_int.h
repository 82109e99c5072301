/* provider_int.h - inside daemon/provider. connect.c: connections and deliveries; call.c: requests;
 * work.c: who looks when; tell.c: what is told; fetch.c: git. */
#ifndef PROVIDER_PROVIDER_INT_H
#define PROVIDER_PROVIDER_INT_H

#include "daemon/core/pool.h"
#include "daemon/provider/codec_int.h"
#include "daemon/provider/provider.h"

#include <pthread.h>

#define PROVIDER_REACTORS 4

struct provider_call;

struct providers {
	const struct config *cfg; /* borrowed, as the next two */
	struct out *o;
	struct store *st;
	const struct provider_ops *ops[PROVIDER_REACTORS];
	void *ops_arg[PROVIDER_REACTORS];
	int nops;
	struct thread *scheduler;
	struct pool *pool;
	int cancel_fd; /* eventfd: readable once we stop */

	pthread_mutex_t lock; /* all below */
	pthread_cond_t changed;
	struct buf busy;     /* char[37] of repositories that are worked on */
	struct buf asked;    /* likewise, of those that are to be looked at without the timer */
	struct buf fetching; /* likewise, whose mirror somebody has */
	struct provider_call *calls;
	bool running, woken, stopping;
	wall_ms pruned_ms;
};

/* Lists of ids; with the lock. */
bool provider_ids_has(const struct buf *ids, const char *id);
void provider_ids_drop(struct buf *ids, const char *id);

const struct provider_codec *provider_codec_of(const struct store_repo *r);

/* --- call.c --- */
/* One request, or as many as the list has pages. *retry_s: how long the provider wants to be left
 * alone, 0 = it did not say. 0 when there is no such thing at this provider. Errors as in
 * provider.h; INVALID_PARAMS: refused, with the provider's words; GONE: it has moved. */
int provider_ask(struct providers *p, const struct store_repo *r, enum provider_ask ask,
		 struct provider_args *a, struct provider_answer *out, int *retry_s,
		 struct err *err);
/* Ends what is under way; later ones fail at once. */
void provider_calls_stop(struct providers *p);

/* --- work.c --- */
void provider_wake(struct providers *p);
/* A while, when the store takes nothing: what is due would be due again at once. */
void provider_pause(struct providers *p);
/* After n tries: 2 s, 8 s, 32 s ... an hour; or what the provider says. */
wall_ms provider_gap(int n, int retry_s);
/* Gone, forbidden or refused: to try again would change nothing. */
bool provider_final(const struct err *err);

/* --- tell.c: on a worker --- */
void provider_tell_one(struct providers *p, const struct store_repo *r, struct store_tell *t);

/* --- fetch.c --- */
/* Drops heads of requests that are not open, and mirrors of repositories that are gone. */
void provider_mirror_prune(struct providers *p, const struct store_repo *r,
			   const struct provider_pulls *open);
void provider_mirrors_sweep(struct providers *p);
void provider_mirror_drop(struct providers *p, const char *repo_id);

#endif
