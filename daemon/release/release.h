/* release.h - releases and the deploy machine: release phase, cut-over, rollback. One at a time an
 * app; each persisted: QUEUED -> RELEASE_PHASE -> CUTOVER -> LIVE | FAILED
 * (docs/internals/release.md, Dev Center: Releases, Release Phase). */
#ifndef RELEASE_RELEASE_H
#define RELEASE_RELEASE_H

#include "daemon/core/config.h"
#include "daemon/dyno/dyno.h"
#include "daemon/log/log.h"
#include "daemon/route/route.h"
#include "daemon/slug/slug.h"
#include "daemon/store/store.h"

struct releases;

struct release_new {
	const char *app_id;
	const char *user_id, *user_email;
	const char *slug_id;	 /* NULL = the current release's */
	const char *build_id;	 /* whose result this is, or NULL */
	const char *description; /* NULL = made from what changed */
	/* config changes over the current release's: names and values (NULL value = unset) */
	const char *const *set_names, *const *set_values;
	int nset;
	int rollback_to; /* version to copy slug and config of; 0 = none */
	bool promoted;	 /* slug_id may be of an app of which this one has nothing yet */
	/* More to do in the transaction that makes the release, or NULL; -1 undoes it all. It may
	 * run more than once. Thread: the store's writer. */
	int (*also)(struct tx *tx, const char *release_id, void *arg, struct err *err);
	void *also_arg;
	/* What else is written with it, before anything is read: attachments of add-ons. May be
	 * called again when the transaction is. NULL = nothing. */
	tx_fn *first;
	void *first_arg;
	bool values_only; /* add-ons have changed their own config vars: no release phase */
};

struct release_out {
	char id[37];
	int version;
	bool has_command; /* release phase will run */
	bool unchanged;	  /* nothing to do: config change without effect; no release was made */
};

int releases_new(struct loop *l, const struct config *cfg, struct store *st, struct logd *log,
		 struct routes *ro, struct slugs *sl, struct launcher *la, struct releases **out,
		 struct err *err);
struct dynos *releases_dynos(struct releases *r);
/* Services live among the apps' dynos. Ahead of releases_recover, on the loop. */
struct release_services {
	/* Of a dyno that was found and is of no app; NULL = of none of these either. Borrowed. */
	struct dyno_release *(*release_of)(const char *id, const char *release_id, void *arg);
	/* All that ran is known: start what is missing. The apps' dynos follow. */
	void (*adopted)(void *arg);
	void *arg;
};
void releases_with_services(struct releases *r, const struct release_services *s);
/* At start, on the loop: adopts dynos, publishes routes, takes up or fails unfinished releases. */
void releases_recover(struct releases *r, void (*done)(void *arg), void *arg);
/* Loop thread. Stops every dyno, or lets go of them; unfinished releases go on at the next start.
 */
void releases_stop(struct releases *r, bool keep_dynos, void (*done)(void *arg), void *arg);
void releases_free(struct releases *r);

/* Makes the release row and queues the deploy. Any thread but a loop. */
int release_create(struct releases *r, const struct release_new *in, struct release_out *out,
		   struct err *err);
/* Blocks until the release is live or failed (then -1 with why). out gets the release command's
 * output as it comes. Any thread but a loop. gone() may return true to stop waiting. */
int release_wait(struct releases *r, const char *release_id,
		 void (*out)(const char *p, size_t n, void *arg), void *arg,
		 bool (*gone)(void *arg), struct err *err);
/* Stored release output. */
int release_output(struct releases *r, const char *release_id, uint64_t offset, struct buf *out,
		   bool *done, struct err *err);

/* Formation, any thread but a loop: persisted, then applied. */
struct formation_change {
	char type[129]; /* name or id; after it, the name */
	int quantity;	/* -1 = as it is; after it, what it became */
	bool relative;	/* quantity is added to what there is */
	char size[32];	/* "" = as it is */
};
/* All of them or none; updates of an app take effect one after another. NOT_FOUND: a type that the
 * app does not have. INVALID_PARAMS. */
int formation_update(struct releases *r, const char *app_id, const char *user_email,
		     struct formation_change *c, int n, struct err *err);
int release_run_oneoff(struct releases *r, const char *app_id, const struct oneoff_req *req,
		       struct dyno_info *out, struct err *err); /* blocks until started */
/* Loop thread: the same, told to ops; started with NO_SLUG when nothing is deployed. */
void release_oneoff(struct releases *r, const char *app_id, const struct oneoff_req *req,
		    const struct oneoff_ops *ops);
/* Called on the loop for each release that has gone live; at most RELEASE_LISTENERS of them. Before
 * releases_recover. */
#define RELEASE_LISTENERS 4
void releases_on_live(struct releases *r, void (*fn)(void *arg, const char *app_id), void *arg);
/* A one-off whose end is awaited, in a dyno of the app's current release. */
struct release_command {	 /* borrowed */
	const char *app_id, *id; /* id: uuid of the dyno */
	const char *type;	 /* "postdeploy", "pr-predestroy" */
	const char *command;
	unsigned ttl_s;
	void (*out)(const char *p, size_t n, void *arg); /* may be NULL */
	bool (*gone)(void *arg);			 /* true: waits no longer; may be NULL */
	void *arg;					 /* of both */
};
/* Blocks until it has ended (0, *exit_code). -1: it did not start (NO_SLUG and the like), CANCELED:
 * gone(); UNAVAILABLE: paasd is stopping, release_command_again() of the next one learns its end.
 */
int release_command_run(struct releases *r, const struct release_command *in, int *exit_code,
			struct err *err);
/* The same for one that an earlier paasd may have started by this id: nothing is started.
 * *exit_code -1: it was lost, or never ran. */
int release_command_again(struct releases *r, const struct release_command *in, int *exit_code,
			  struct err *err);
/* Its end has been written down elsewhere. */
void release_command_forget(struct releases *r, const char *id);
int release_restart(struct releases *r, const char *app_id, const char *name, struct err *err);
int release_stop(struct releases *r, const char *app_id, const char *name, struct err *err);
/* Sleep: after so long without a request every dyno of the app is stopped; the next request, which
 * waits in the router meanwhile, starts them again (docs/internals/sleep.md). 0: never, and an app
 * that sleeps wakes. Any thread but a loop. */
int release_sleep_set(struct releases *r, const char *app_id, int minutes, struct err *err);
int release_sleep_set_s(struct releases *r, const char *app_id, int64_t seconds, struct err *err);
void release_wake(struct releases *r, const char *app_id); /* if it sleeps */
/* App made, renamed, destroyed, maintenance switched: routes follow. Destroy stops all
 * dynos and forgets what release commands said. */
int release_app_changed(struct releases *r, const char *app_id, struct err *err);
/* Certificates of apps, or which domain uses which, have changed. Any thread. */
void release_certs_changed(struct releases *r);
int release_app_destroy(struct releases *r, const char *app_id, struct err *err);

#endif
