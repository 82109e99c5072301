/* svc.h - services: long-lived sandboxes of the platform itself with a folder that is kept, a fixed
 * address and a fixed port: the database cluster, a Redis server (docs/internals/svc.md). Rows in
 * the store (services); supervised like dynos, and like these they outlive paasd. Restarted with a
 * short back-off for ever, unless they are not wanted any more.
 *
 * What a service sees: /data (its folder STATE/services/ID/data, as its own user), /etc/service
 * (its files, read-only), /service (the folder of its provider, read-only), the host's /usr. Only
 * dynos of apps that have an add-on of it attached reach its port, and the host does. Under the
 * plain runtime it is a process of paasd's user on 127.0.0.1 and sees host paths, which the
 * environment names: SERVICE_DATA, SERVICE_ETC, SERVICE_HOME, SERVICE_ADDRESS, SERVICE_PORT.
 * Its output goes to the platform's log of services (STATE/logs/<service id>). */
#ifndef SVC_SVC_H
#define SVC_SVC_H

#include "daemon/core/config.h"
#include "daemon/core/loop.h"
#include "daemon/dyno/dyno.h"
#include "daemon/store/store.h"

struct svcs;

struct svc_file {		    /* borrowed */
	const char *name, *content; /* name without '/'; 0400; may hold secrets */
};
struct svc_spec { /* borrowed; all but the files is kept in the row as JSON, so no secrets in it */
	const char *kind;	 /* "postgresql" */
	const char *home;	 /* folder of the provider: addons/heroku-postgresql */
	const char *const *argv; /* program below /service or of the host, NULL-terminated */
	const char *const *env;	 /* NAME=value or NULL; no secrets */
	const struct svc_file *files;
	int nfiles;
	int port; /* that it listens on; under plain another one may be given: SERVICE_PORT */
	int64_t memory_mb; /* 0 = no limit */
	int stop_signal;   /* asks all its processes to end; 0 = SIGTERM. After 60 s: SIGKILL */
};
enum svc_state { SVC_STARTING, SVC_UP, SVC_DOWN };
struct svc_info { /* a copy */
	char id[37];
	char ip[16]; /* as dynos and the host reach it */
	int port;
	enum svc_state state; /* up = it listens */
	int restarts;	      /* since paasd's start */
};

/* Loop thread; services of the store are adopted or started after dynos_adopt. */
int svcs_new(struct loop *l, const struct config *cfg, struct store *st, struct logd *log,
	     struct launcher *la, struct dynos *dy, struct svcs **out, struct err *err);
void svcs_start(struct svcs *s);
/* Loop thread, for dynos_adopt: what a run of that "app" is of; NULL = of no service that is
 * wanted. Borrowed. */
struct dyno_release *svcs_release_of(struct svcs *s, const char *id, const char *release_id);
/* Nothing is begun any more, who waits is told UNAVAILABLE. dynos_stop_all must come after: it ends
 * the services, or lets go of them, once the apps' dynos have gone. */
void svcs_stop(struct svcs *s, bool keep, void (*done)(void *arg), void *arg);
void svcs_free(struct svcs *s);

/* Any thread but a loop, as all below. Makes the service (addon_id NULL: the shared one of its
 * kind) or brings it to this spec: a changed one is restarted. Idempotent. Does not wait until it
 * is up. DISK_FULL, UNAVAILABLE. */
int svc_ensure(struct svcs *s, const char *addon_id, const struct svc_spec *spec,
	       struct svc_info *out, struct err *err);
/* The add-on's own, or with addon_id NULL the shared one of the kind. NOT_FOUND. */
int svc_find(struct svcs *s, const char *addon_id, const char *kind, struct svc_info *out,
	     struct err *err);
/* Blocks until it is up: TIMEOUT, NOT_FOUND. */
int svc_wait(struct svcs *s, const char *id, int ms, struct svc_info *out, struct err *err);
int svc_restart(struct svcs *s, const char *id, struct err *err);
/* Ends it, removes its folder and row. Idempotent. */
int svc_remove(struct svcs *s, const char *id, struct err *err);
/* Folder of its data on the host, of PATH_MAX. */
void svc_data_dir(const struct svcs *s, const char *id, char path[4096]);
/* Bytes below its data folder; blocking, for plans' limits. */
int svc_disk_usage(struct svcs *s, const char *id, uint64_t *bytes, struct err *err);

#endif
