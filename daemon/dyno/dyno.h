/* dyno.h - supervises dynos: formation dynos (kept running, restarted with back-off) and one-offs.
 * Everything happens on the control loop; launches and removals are jobs on a pool. Dynos outlive
 * paasd: at start each RUN/dynos/ID is adopted or buried. Texts and numbers of states, R codes and
 * back-off: Dev Center, Dynos / Error Codes. */
#ifndef DYNO_DYNO_H
#define DYNO_DYNO_H

#include "daemon/core/config.h"
#include "daemon/core/loop.h"
#include "daemon/sandbox/sandbox.h"
#include "daemon/log/log.h"
#include "daemon/store/store.h"

struct dynos;

enum dyno_state { DYNO_STARTING, DYNO_UP, DYNO_STOPPING, DYNO_CRASHED, DYNO_DOWN, DYNO_IDLE };

struct dyno_info { /* a copy: free to keep */
	char id[37], app_id[37], release_id[37];
	char name[160], type[129];
	int num, release_version;
	enum dyno_state state;
	wall_ms created_ms, state_ms;
	char *command; /* owned */
	char size[32];
	char ip[16];
	int port;
	int exit_code;
	bool checked; /* its health check has been passed */
};
void dyno_info_clear(struct dyno_info *i);

struct dyno_bind {	 /* a folder of the host inside the dyno */
	char *src, *dst; /* owned */
	unsigned flags;	 /* enum launch_bind_flags */
};

/* What makes a "release" one of a service (daemon/svc): no slug, no shell around the command, a
 * fixed address, no boot time-out, no daily cycle. Its one slot is restarted for ever, 1, 2, 4 ...
 * 30 s after a crash, and only once the run before is buried: folder and address are the same. */
struct dyno_service {
	char **argv; /* owned, NULL-terminated */
	char *cwd;   /* owned */
	unsigned address;
	int port;	   /* up = somebody listens on it */
	int64_t memory_mb; /* hard limit; 0 = none */
	int stop_signal;   /* 0 = SIGTERM */
	int stop_s;	   /* until SIGKILL; 0 = as dynos */
	/* Its state is another, or it is launched (was = DYNO_DOWN). Loop thread. */
	void (*changed)(const struct dyno_info *i, enum dyno_state was, void *arg);
	void *arg;
};

/* A web dyno counts as up when GET path is answered below 400, at the latest at the last of the
 * attempts; before that when its port is bound. */
struct dyno_check {
	char *path, *host; /* owned; path NULL = no check. host: of the request */
	int timeout_s;	   /* of one attempt */
	int attempts, wait_s;
};

/* What a release gives each of its dynos. Immutable, reference-counted, freed by the last user. */
struct dyno_release {
	char app_id[37], app_name[32], release_id[37];
	int version;
	unsigned app_uid;
	bool log_metrics; /* memory as log lines */
	char slug_id[37];
	char *slug_dir; /* NULL: none */
	char **env;	/* config vars and platform variables, NAME=value, NULL-terminated */
	struct dyno_bind *binds; /* volumes; not under the plain runtime, but for BIND_HOST */
	int nbinds;
	struct launch_way *ways;
	int nways;
	struct dyno_check check;
	struct dyno_service *service; /* owned; NULL: an app's */
	int refs;
};
struct dyno_release *dyno_release_ref(struct dyno_release *r);
void dyno_release_unref(struct dyno_release *r);

struct dyno_want { /* one process type of a formation */
	const char *type, *command, *size;
	int quantity;
};

struct dynos_ops { /* upwards; loop thread */
	void *arg;
	/* The set of an app's serving web dynos changed: publish dynos_web_up(). done (may be NULL)
	 * once every router worker uses it. */
	void (*publish)(const char *app_id, void (*done)(void *done_arg), void *done_arg,
			void *arg);
	/* No route leads to the dyno any more: done when no request is in flight to it. */
	void (*drain)(const char *dyno_id, void (*done)(void *done_arg), void *done_arg, void *arg);
	/* A dyno's state is another than it was; may be NULL. */
	void (*changed)(const struct dyno_info *i, enum dyno_state was, void *arg);
};

/* Loop thread. */
struct dynos *dynos_new(struct loop *l, const struct config *cfg, struct store *st,
			struct logd *log, struct launcher *la, const struct dynos_ops *ops);
/* Takes over what runs in RUN/dynos: release_of() is asked for the release of each; NULL = bury it.
 * done when every dyno is adopted or buried. */
void dynos_adopt(struct dynos *d,
		 struct dyno_release *(*release_of)(const char *app_id, const char *release_id,
						    void *arg),
		 void (*done)(void *arg), void *arg);
/* SIGTERM to all, wait, SIGKILL; done when none is left. Services end once the apps' dynos have.
 * keep: leave them running, just let go. */
void dynos_stop_all(struct dynos *d, bool keep, void (*done)(void *arg), void *arg);
void dynos_free(struct dynos *d);

/* --- formation, loop thread --- */
/*
 * Cut-over to release r without downtime: starts the wanted web dynos of r beside the old ones;
 * when all are up, publishes them, lets the old drain and stop, replaces the other types, and calls
 * up(NULL). When one cannot come up (R10, crash at boot) the new ones are killed, the old go on,
 * and up(err) says why. One at a time an app.
 */
void dynos_deploy(struct dynos *d, struct dyno_release *r, const struct dyno_want *want, int n,
		  void (*up)(const struct err *err, void *arg), void *arg);
/* Back-off kept from before a restart, ahead of dynos_scale. */
void dynos_crash_restore(struct dynos *d, const char *app_id, const char *name, int count,
			 wall_ms restart_ms);
/* r is the app's current release, without starting or stopping anything: ahead of dynos_deploy when
 * a cut-over is taken up again after a restart. */
void dynos_assume(struct dynos *d, struct dyno_release *r);
/* Makes the app's dynos what is wanted of release r, its current one: starts and stops the
 * difference. Nothing while a dynos_deploy is under way: call it again when that has ended. */
void dynos_scale(struct dynos *d, struct dyno_release *r, const struct dyno_want *want, int n);
/* Restart: name "web.1", a type "web", or NULL for all. Web dynos restart one after another with
 * the replacement up first. One-offs are stopped. False when nothing matches. */
bool dynos_restart(struct dynos *d, const char *app_id, const char *name);
bool dynos_stop(struct dynos *d, const char *app_id,
		const char *name); /* formation dynos come back */
/* Sleep: every formation dyno is stopped (web ones are drained first) and the app has DYNO_IDLE
 * ones in their place; dynos_scale then changes only what wakes up. It ends with dynos_wake,
 * dynos_restart, the cut-over of dynos_deploy, and when no web dyno is wanted any more, for nobody
 * could wake it. False: there are no web dynos, a deploy is under way, or it sleeps already. */
bool dynos_sleep(struct dynos *d, const char *app_id);
bool dynos_wake(struct dynos *d, const char *app_id); /* false: it does not sleep, or is deployed */
bool dynos_asleep(struct dynos *d, const char *app_id);
/* It slept before a restart: ahead of dynos_scale. False when dynos of it run all the same. */
bool dynos_sleep_restore(struct dynos *d, const char *app_id, wall_ms since_ms);
/* App destroyed: all dynos are killed, then done. */
void dynos_forget(struct dynos *d, const char *app_id, void (*done)(void *arg), void *arg);

/* --- one-offs, loop thread --- */
struct oneoff_req {
	const char *type; /* "run", "pr-predestroy"; "release", "scheduler", "postdeploy": see
			     dynos_forget_end */
	int num;	  /* name is TYPE.NUM */
	const char *id;	  /* uuid of the run when the caller must know it beforehand; NULL = new */
	const char *into; /* id of a running dyno of the app: the command runs inside it, with the
			     config vars of its release; NULL = a dyno of its own */
	const char *command; /* run by bash after .profile.d */
	char *const *env;    /* extra, NAME=value, or NULL */
	const char *size;    /* NULL = default */
	bool attach, tty;    /* waits LIM_ATTACH_MS for a client; detached ones log their output */
	unsigned rows, cols, ttl_s;
	uint64_t keep_output;
};
struct oneoff_ops { /* loop thread; each may be NULL */
	void (*started)(const struct dyno_info *i, const struct err *err,
			void *arg);			     /* i NULL on err */
	void (*output)(const char *p, size_t n, void *arg);  /* all of it, from the first byte */
	void (*ended)(const struct dyno_info *i, void *arg); /* not after started(err) */
	void *arg;
};
void dynos_oneoff(struct dynos *d, struct dyno_release *r, const struct oneoff_req *req,
		  const struct oneoff_ops *ops);
/* An adopted one-off: learn its output and end as if started by dynos_oneoff. False: no such dyno;
 * then *exit_code tells how it ended while nobody looked: DYNO_LOST, or DYNO_NEVER_RAN when it was
 * not even launched. dynos_forget_end drops what is remembered of it. */
#define DYNO_LOST      (-1)
#define DYNO_NEVER_RAN (-2)
bool dynos_watch(struct dynos *d, const char *dyno_id, const struct oneoff_ops *ops,
		 int *exit_code);
void dynos_forget_end(struct dynos *d, const char *dyno_id);

/* --- the terminal of an attached one-off, loop thread --- */
struct dyno_tty;
struct dyno_tty_ops {
	void (*output)(const char *p, size_t n, void *arg);
	void (*exit)(int status, void *arg); /* then the tty is gone */
	void (*lost)(void *arg);	     /* the dyno cannot be reached; the tty is gone */
	void (*written)(void *arg);	     /* dyno_tty_queued has become less; may be NULL */
};
struct dyno_tty *dyno_tty_open(struct dynos *d, const char *dyno_id, const struct dyno_tty_ops *ops,
			       void *arg);
void dyno_tty_input(struct dyno_tty *t, const void *p, size_t n);
void dyno_tty_eof(struct dyno_tty *t);
void dyno_tty_resize(struct dyno_tty *t, unsigned rows, unsigned cols);
void dyno_tty_signal(struct dyno_tty *t, int sig);
void dyno_tty_pause(struct dyno_tty *t, bool paused); /* of output */
size_t dyno_tty_queued(const struct dyno_tty *t);     /* input bytes that the dyno has not read */
void dyno_tty_close(struct dyno_tty *t);	      /* hang up; no callback after it */

/* --- looking: on the loop at once, from other threads by asking the loop --- */
int dynos_list(struct dynos *d, const char *app_id,
	       struct dyno_info **out); /* count; caller clears + frees */
/* Web dynos that take traffic now. */
int dynos_web_up(struct dynos *d, const char *app_id, struct dyno_info **out);
void dyno_infos_free(struct dyno_info *v, int n);
/* Whether a dyno of any release still runs from the slug. */
bool dynos_use_slug(struct dynos *d, const char *slug_id);
enum dyno_web { WEB_UP, WEB_BOOTING, WEB_CRASHED, WEB_NONE, WEB_ASLEEP };
enum dyno_web dynos_web_state(struct dynos *d, const char *app_id);

/* --- sizes: limit classes with Heroku's names --- */
struct dyno_size {
	const char *name; /* "Standard-1X" */
	int memory_mb, cpu_weight, pids;
	int compute;
};
extern const struct dyno_size dyno_sizes[]; /* ends with name NULL; the first is the default */
/* MB: the default size's is a setting (dyno.memory). */
int64_t dyno_size_memory(const struct dyno_size *s, const struct config *cfg);
const struct dyno_size *dyno_size_find(const char *name); /* any case; NULL unknown */

#endif
