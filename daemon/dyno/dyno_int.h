/* dyno_int.h - inside daemon/dyno: runs (one process group each), slots (a place in a formation),
 * apps. Loop thread throughout. */
#ifndef DYNO_DYNO_INT_H
#define DYNO_DYNO_INT_H

#include "daemon/core/pool.h"
#include "daemon/dyno/dyno.h"

#define LIST_FOREACH(type, v, head) for (type *v = (head); v; v = v->next)

struct app;
struct slot;

/* A connection to a shim's socket; frees itself once closed. */
struct shimconn;
struct shimconn_ops {
	void (*frame)(struct wire_frame *f, void *arg);
	void (*lost)(void *arg);    /* also when connecting failed; conn is gone */
	void (*written)(void *arg); /* some of what was queued has gone; may be NULL */
};
struct shimconn *shimconn_open(struct loop *l, const char *run_dir, const char *id,
			       const struct buf *hello, const struct shimconn_ops *ops, void *arg);
void shimconn_send(struct shimconn *c, const struct buf *frame);
void shimconn_pause(struct shimconn *c, bool paused); /* of reading */
size_t shimconn_queued(const struct shimconn *c);     /* bytes not written yet */
void shimconn_close(struct shimconn *c);	      /* no callback after it; NULL is fine */

/* One run of a dyno, from launch to removal. */
struct run {
	struct run *next; /* in app->runs */
	struct dynos *d;
	struct app *app;
	struct slot *slot;	  /* NULL: one-off, or let go */
	struct dyno_release *rel; /* owned reference */
	struct dyno_info info;
	struct launch_spec spec; /* env and argv are freed once launched */
	bool web;
	bool serving;	/* counts for routes */
	bool launching; /* a job on the pool holds it: spec, launch_ip and launch_err are the job's
			 */
	char launch_ip[16];
	int stop_sig; /* stop asked for while launching: SIGTERM or SIGKILL */
	bool ended, stopping;
	bool looking; /* it is over; a job reads what it left: end_code, end_oom, rest are the job's
		       */
	bool end_known; /* end_code is what the shim said */
	int end_code;
	uint64_t end_oom;
	uint64_t seen;	 /* bytes of output that ops.output got */
	struct buf rest; /* output that came too late for the connection */
	bool boot_failed;
	bool unattached; /* R13 */
	bool adopting;	 /* of an earlier paasd; its state is not known yet */
	bool oom;
	char last_error[200]; /* why it could not come up */
	struct shimconn *super, *attach;
	struct check *check; /* being checked */
	struct loop_timer *boot_timer, *stop_timer, *cycle_timer;
	struct err launch_err;
	struct oneoff_ops ops; /* one-offs */
	bool oneoff;
};

struct slot {
	struct slot *next; /* in app->slots, sorted by type and number */
	struct app *app;
	char type[129];
	int num;
	char *command; /* owned; NULL: made for a deploy that is not through yet */
	char size[32];
	struct run *cur;   /* the one that counts */
	struct run *fresh; /* its replacement, coming up */
	bool restarting;   /* fresh is a restart's, not a deploy's */
	bool restart_queued;
	int crashes;
	struct loop_timer *retry;
	mono_ms crashed_at;
	char wait_id[37]; /* of the dyno that waits to be tried again, or sleeps, as the API shows
			     it */
};

struct deploy {
	struct dyno_release *rel; /* owned reference */
	struct dyno_want *want;	  /* owned, with its strings */
	int n;
	void (*up)(const struct err *err, void *arg);
	void *arg;
};

struct app {
	struct app *next;
	struct dynos *d;
	char id[37];
	struct dyno_release *rel; /* current; owned reference; NULL before the first deploy */
	struct slot *slots;
	struct run *runs;
	struct deploy *deploy; /* running */
	bool asleep;
	wall_ms asleep_ms; /* since */
	void (*forgotten)(void *arg);
	void *forgotten_arg;
};

struct dynos {
	struct loop *l;
	const struct config *cfg;
	struct store *st;
	struct logd *log;
	struct launcher *la;
	struct dynos_ops ops;
	struct pool *jobs;
	struct app *apps;
	int live;	      /* runs not yet freed */
	int writes;	      /* crash counts on their way to the store */
	struct drain *drains; /* runs whose routes are being taken away */
	bool closing, keep;
	bool services_told; /* dynos_stop_all: the apps' dynos are gone */
	void (*stopped)(void *arg);
	void *stopped_arg;
	struct loop_timer *let_go_timer;
	int adopting; /* runs whose first SHIM_STATE is awaited */
	void (*adopted)(void *arg);
	void *adopted_arg;
	struct gone { /* one-offs that ended while paasd was away */
		char id[37];
		int exit_code;
	} * gone;
	int ngone;
	bool blind; /* what runs could not be asked for: nothing counts as never run */
};

/* check.c: a health check. Loop thread. */
struct check;
struct check_spec { /* borrowed */
	const char *ip, *host, *path;
	int port, timeout_s, attempts, wait_s;
};
/* failed is told of each attempt that did; done once: NULL = passed, else the last failure. done
 * comes later, never from within, and the check is gone then. */
struct check *check_start(struct loop *l, const struct check_spec *spec,
			  void (*failed)(const char *why, int attempt, void *arg),
			  void (*done)(const char *failure, void *arg), void *arg);
void check_stop(struct check *c); /* no callback after it; NULL is fine */

/* health.c */
void run_bound(struct run *r); /* its port is bound: it is up, or is checked first */
bool run_is_healthy(const struct run *r);

/* run.c: what a run is, and what its shim tells */
struct run *run_new(struct app *a, struct dyno_release *rel, const char *type, int num,
		    const char *command, const char *size);
void run_free(struct run *r);
void run_supervise(struct run *r); /* connects to a shim that runs */
void run_watch_output(struct run *r);
void run_up(struct run *r);
void run_state(struct run *r, enum dyno_state to);
void run_tell(struct run *r, enum dyno_state was); /* who wants to know of its state */
void run_log(struct run *r, const char *fmt, ...) PRINTF(2, 3);
bool run_listens(const struct run *r); /* up = there is a listener on its port */
const char *dyno_state_name(enum dyno_state s);

/* prepare.c */
void run_prepare(struct run *r); /* fills spec for a formation dyno or a detached one-off */

/* launch.c: the way up */
void run_launch(struct run *r);	    /* spec is complete */
void run_await_boot(struct run *r); /* a web dyno's port, or R10 */
/* Any thread but the loop: removes what the launcher holds of a dyno; waits for a launcher that is
 * being started again. */
int dyno_remove_job(const struct dynos *d, const char *id, struct err *err);

/* stop.c: the way down */
void run_stop(struct run *r); /* drain when serving, SIGTERM, SIGKILL after the grace */
void run_term(struct run *r); /* SIGTERM now */
void run_kill(struct run *r);
void run_bury(struct run *r);	     /* it has ended: removes what is left of it, frees it */
void run_let_go(struct run *r);	     /* paasd goes, the dyno stays */
void drains_orphan(struct dynos *d); /* what the router says later is of no concern any more */

/* dyno.c */
struct run *dynos_find_run(struct dynos *d, const char *id);
void dynos_wind_up(struct dynos *d); /* ends dynos_stop_all once nothing is under way */

/* adopt.c: RUN/meta/ID, what a restarted paasd must know of a dyno */
int meta_write(const struct dynos *d, const struct dyno_info *i, const char *ip, struct err *err);
void meta_remove(const struct dynos *d, const char *id);
int meta_write_end(const struct dynos *d, const char *id, int exit_code, struct err *err);
/* Any thread but the loop, once the shim is gone: takes the lines that it could not hand over. */
void dyno_log_spool(const struct dynos *d, const char *id);
void adopted_one(struct run *r);    /* its state is known, or it is gone */
bool end_is_kept(const char *type); /* until dynos_forget_end, over restarts too */
void end_remember(struct dynos *d, const char *id, int exit_code); /* for dynos_watch */

/* formation.c: what a run tells its slot */
void slot_run_up(struct run *r);
void slot_run_ended(struct run *r);
bool dyno_is_oneoff(const char *type);
struct app *dynos_app(struct dynos *d, const char *app_id, bool make);
struct slot *slot_get(struct app *a, const char *type, int num, bool make);
void slot_free(struct slot *s);
void slot_start(struct slot *s);
bool slot_known(const struct slot *s);
void slot_forgive(struct slot *s);
bool slot_restart(struct slot *s, const char *why);
void app_publish(struct app *a, void (*done)(void *arg), void *arg);
void app_maybe_free(struct app *a);
void app_run_gone(struct app *a); /* a run is buried: of a service, the next may start */
void app_free(struct app *a);
void deploy_free(struct deploy *dp);

#endif
