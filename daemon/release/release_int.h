/* release_int.h - inside daemon/release. */
#ifndef RELEASE_RELEASE_INT_H
#define RELEASE_RELEASE_INT_H

#include "daemon/core/pool.h"
#include "daemon/core/sm.h"
#include "daemon/hook/hook.h"
#include "daemon/release/release.h"
#include <jansson.h>
#include <pthread.h>

/* Everything a deploy needs to know of a release, read in one transaction. Owned content. */
struct plan {
	char app_id[37], app_name[32], release_id[37], slug_id[37]; /* slug_id "" = none */
	int version;
	unsigned app_uid;
	bool maintenance;
	bool metadata, log_metrics; /* features of the app */
	char phase[32];
	char command_dyno[37];	 /* "" = none */
	wall_ms phase_ms;	 /* since when it is in its phase */
	char *command;		 /* of type release; NULL = no release phase */
	char **env;		 /* for dynos */
	struct dyno_check check; /* of web dynos */
	struct dyno_want *want;	 /* with owned strings */
	int nwant;
	struct dyno_bind *binds; /* its volumes */
	int nbinds;
	struct launch_way *ways; /* services of its add-ons */
	int nways;
};
void plan_clear(struct plan *p);
struct dyno_release *plan_release(const struct slugs *sl,
				  struct plan *p); /* takes env, binds and ways; one reference */

/* rows.c: what this module reads and writes, inside transactions */
int rows_plan(struct tx *tx, const char *release_id, const struct config *cfg, struct plan *out,
	      struct err *err);
struct rows_new {
	const struct release_new *in;
	const struct config *cfg;
	struct release_out *out;
	struct plan plan;
	char changed[600]; /* "FOO, BAR" for the log line */
	bool set_any, unset_any;
	char description[300];
};
int rows_create(struct tx *tx, void *rows_new, struct err *err);
/* Custom domains of the app, owned, NULL-terminated. */
int rows_hosts(struct tx *tx, const char *app_id, char ***out, struct err *err);
void rows_hosts_free(char **hosts);
/* Process types of a release that goes live become the app's formation. */
int rows_formation(struct tx *tx, const char *release_id, struct err *err);

enum { D_QUEUED, D_RELEASE_PHASE, D_CUTOVER, D_LIVE, D_FAILED, D_STATES };
extern const struct sm_state deploy_states[D_STATES];

/* One release on its way. Made and freed on the loop; guarded parts are shared with waiting
 * threads. */
struct dep {
	struct dep *next; /* in releases->deps */
	struct releases *rs;
	struct sm sm;
	struct plan plan;
	struct dyno_release *rel; /* owned reference */
	char dyno_id[37];	  /* of the release command */
	struct err err;
	bool running;	   /* its turn has come */
	bool started;	   /* the state's work may start: the move to it is committed by us */
	bool canceled;	   /* the app is being destroyed */
	struct plan fresh; /* read with a move or the end: the formation of that moment */
	/* guarded by rs->lock */
	int refs; /* the machine, and each waiting thread */
	bool final;
	struct buf output;     /* at most LIM_RELEASE_OUTPUT */
	uint64_t output_bytes; /* all that came */
};

/* What the loop knows of an app. */
struct rapp {
	struct rapp *next;
	struct releases *r;
	char id[37], name[32];
	char **hosts; /* owned: custom domains, NULL-terminated; or NULL */
	bool maintenance, failed_first;
	struct dyno_release *rel; /* current with a slug; NULL before the first deploy */
	int64_t sleep_s;	  /* without a request until it sleeps; 0 = never */
	bool asleep;		  /* as the store has it */
	mono_ms awake;		  /* since */
	struct loop_timer *look;  /* at whether it may sleep */
};

struct releases {
	struct loop *l;
	const struct config *cfg;
	struct store *st;
	struct logd *log;
	struct dynos *dy;
	struct routes *ro;
	struct slugs *sl;
	struct launcher *la;
	struct rapp *apps;
	struct command *commands; /* command.c; guarded by lock */
	struct dep *deps;	  /* oldest first; guarded by lock for adding and removing */
	/* Held from a release's commit to its place in the queue, and from reading an app's row to
	 * telling the loop: what is newer comes later. */
	/* by app: held from the commit of a formation to its way to the dynos */
	pthread_mutex_t scaling[16];
	pthread_mutex_t making;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool closing;  /* set on the loop under lock */
	int under_way; /* loop thread: what comes back to the loop and must not be left hanging */
	bool keep_dynos;
	void (*stopped)(void *arg);
	void *stopped_arg;
	struct thread *recoverer;
	void (*recovered)(void *arg);
	void *recovered_arg;
	char *output_dir; /* owned */
	struct release_services services;
	struct {
		void (*fn)(void *arg, const char *app_id);
		void *arg;
	} on_live[RELEASE_LISTENERS];
	int non_live;
};

/* release.c, loop thread: around each wait of this module; releases_stop awaits their end */
void way_begin(struct releases *r);
void way_end(struct releases *r);

/* apps.c, loop thread */
struct rapp *rapp_get(struct releases *r, const char *app_id, bool make);
void rapp_set_hosts(struct rapp *a, char **hosts); /* takes them */
void rapp_free(struct rapp *a);
void rapp_set_release(struct rapp *a, struct dyno_release *rel);
/* What one-off dynos run in: the newest release whose release command, if any, has passed. Its web
 * dynos may still be starting: who has just set a config var and runs a command expects it there.
 * Not referenced; NULL = none. */
struct dyno_release *rapp_newest(struct rapp *a);
void rapp_publish(struct releases *r, struct rapp *a, void (*done)(void *arg), void *arg);
void apps_publish_op(const char *app_id, void (*done)(void *done_arg), void *done_arg, void *arg);
void apps_drain_op(const char *dyno_id, void (*done)(void *done_arg), void *done_arg, void *arg);
void apps_changed_op(const struct dyno_info *i, enum dyno_state was, void *arg);
void apps_free(struct releases *r);

/* sleep.c, loop thread */
struct store_sleep;
void sleep_recover(struct rapp *a, const struct store_sleep *s); /* ahead of its dynos_scale */
void sleep_count_anew(struct rapp *a); /* from now on, whatever was before */
void sleep_follow(struct rapp *a);     /* its dynos may have gone to sleep, or woken */
void sleep_wake_op(void *arg, const char *app_id);
void sleep_end(struct releases *r); /* clocks stop */

/* command.c */
void commands_free(struct releases *r); /* at the end: nobody waits any more */

/* deploy.c */
void dep_enqueue(void *dep);				 /* loop thread */
struct dep *dep_new(struct releases *r, struct plan *p); /* takes p's content */
void dep_unref(struct dep *d);				 /* any thread */
struct dep *dep_find(struct releases *r,
		     const char *release_id); /* any thread; a reference or NULL */
void deps_next(struct releases *r, const char *app_id);
void deps_cancel(struct releases *r, const char *app_id); /* the app is being destroyed */

#endif
