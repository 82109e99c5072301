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

enum dyno_state { DYNO_STARTING, DYNO_UP, DYNO_STOPPING, DYNO_CRASHED, DYNO_DOWN };

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
};
void dyno_info_clear(struct dyno_info *i);

/* What a release gives each of its dynos. Immutable, reference-counted, freed by the last user. */
struct dyno_release {
	char app_id[37], app_name[32], release_id[37];
	int version;
	unsigned app_uid;
	char slug_id[37];
	char *slug_dir;
	char **env; /* config vars and platform variables, NAME=value, NULL-terminated */
	int refs;
};
struct dyno_release *dyno_release_ref(struct dyno_release *r);
void dyno_release_unref(struct dyno_release *r);

struct dyno_want { /* one process type of a formation */
	const char *type, *command, *size;
	int quantity;
};

struct dynos_ops { /* upwards */
	void *arg;
	/* The set of an app's web dynos changed (came up, crashed, went down): publish routes. */
	void (*web_changed)(const char *app_id, void *arg);
};

/* Loop thread. Adopts what runs in RUN/dynos: adopt() is asked for the release of each; NULL = bury
 * it. */
int dynos_new(struct loop *l, const struct config *cfg, struct store *st, struct logd *log,
	      struct launcher *la, const struct dynos_ops *ops, struct dynos **out,
	      struct err *err);
void dynos_adopt(struct dynos *d,
		 struct dyno_release *(*release_of)(const char *app_id, const char *release_id,
						    void *arg),
		 void (*done)(void *arg), void *arg);
/* SIGTERM to all, wait, SIGKILL; done when none is left. keep: leave them running, just let go. */
void dynos_stop_all(struct dynos *d, bool keep, void (*done)(void *arg), void *arg);
void dynos_free(struct dynos *d);

/* --- formation, loop thread --- */
/*
 * Cut-over to release r without downtime: starts the wanted dynos of r; when every web dyno is up
 * calls up(NULL), which must publish routes and then call dynos_retire; when one cannot come up
 * (R10, crash at boot) the new ones are stopped, the old go on, and up(err) says why.
 */
void dynos_deploy(struct dynos *d, struct dyno_release *r, const struct dyno_want *want, int n,
		  void (*up)(const struct err *err, void *arg), void *arg);
/* Stops every dyno of the app that is not of the newest deployed release, after draining. */
void dynos_retire(struct dynos *d, const char *app_id,
		  void (*drain)(const char *dyno_id, void (*done)(void *), void *done_arg,
				void *arg),
		  void *drain_arg);
/* Quantities changed: starts or stops dynos of the current release. */
void dynos_scale(struct dynos *d, struct dyno_release *r, const struct dyno_want *want, int n);
/* Restart: name "web.1", a type "web", or NULL for all. Web dynos restart one after another with
 * the replacement up first. False when nothing matches. */
bool dynos_restart(struct dynos *d, const char *app_id, const char *name);
bool dynos_stop(struct dynos *d, const char *app_id,
		const char *name); /* formation dynos come back */
/* App destroyed: all dynos are killed, then done. */
void dynos_forget(struct dynos *d, const char *app_id, void (*done)(void *arg), void *arg);

/* --- one-offs, loop thread --- */
struct oneoff_req {
	const char *type;    /* "run", "release", "scheduler" */
	const char *command; /* given to bash -c after .profile.d */
	char **env;	     /* extra, NAME=value, or NULL */
	const char *size;
	bool attach, tty;
	unsigned rows, cols, ttl_s;
	uint64_t keep_output;
	bool log; /* output to the app's log */
};
/* started(info or NULL, err) on the loop once it runs (or waits for its attach). Exit through
 * ended. */
void dynos_oneoff(struct dynos *d, struct dyno_release *r, const struct oneoff_req *req,
		  void (*started)(const struct dyno_info *i, const struct err *err, void *arg),
		  void (*ended)(const struct dyno_info *i, void *arg), void *arg);
/* Adopted one-offs of type release: learn their end. */
bool dynos_watch(struct dynos *d, const char *dyno_id,
		 void (*ended)(const struct dyno_info *i, void *arg), void *arg);

/* --- looking, any thread (copies under a lock) --- */
int dynos_list(struct dynos *d, const char *app_id,
	       struct dyno_info **out); /* count; caller clears + frees */
/* Web dynos that are up, of the release that serves now (both during a cut-over's overlap). */
int dynos_web_up(struct dynos *d, const char *app_id, struct dyno_info **out);
/* Aggregate for routing when none is up. */
enum dyno_web { WEB_UP, WEB_BOOTING, WEB_CRASHED, WEB_NONE };
enum dyno_web dynos_web_state(struct dynos *d, const char *app_id);

#endif
