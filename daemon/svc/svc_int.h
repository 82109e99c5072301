/* svc_int.h - inside daemon/svc. */
#ifndef SVC_SVC_INT_H
#define SVC_SVC_INT_H

#include "daemon/store/service.h"
#include "daemon/svc/svc.h"

#include <jansson.h>
#include <pthread.h>

/* One service. Lives as long as the struct svcs. */
struct svc {
	struct svc *next;
	struct svcs *all;
	char id[37];
	/* guarded by all->lock */
	char addon_id[37]; /* "" = shared */
	char *kind, *provider;
	bool shared, removed, gone; /* gone: its sandbox is buried */
	struct svc_info info;
	struct dyno_release *rel; /* what is wanted; owned reference */
	/* loop thread */
	struct dyno_release *old; /* of a sandbox that was found; owned reference */
	bool seen;		  /* launched or adopted once */
};

struct svcs {
	struct loop *l;
	const struct config *cfg;
	struct store *st;
	struct logd *log;
	struct launcher *la;
	struct dynos *dy;
	bool plain, leftovers;	/* leftovers: some row is to be removed; set by svcs_new */
	pthread_mutex_t making; /* one ensure or remove at a time */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct svc *list; /* guarded by lock; only grows */
	bool closing;	  /* guarded by lock */
	bool started;	  /* loop thread */
	struct thread *tidier;
};

/* --- spec.c --- */
/* All but the files, as the row keeps it; sorted, so that the same spec is the same text. free().
 */
char *svc_spec_json(const struct svc_spec *spec);
/* INVALID_PARAMS: names of files, command, port. */
int svc_spec_check(const struct svc_spec *spec, struct err *err);
/* The folders of the service, and in etc exactly the files of the spec. */
int svc_write_files(const struct svcs *s, const char *id, const struct svc_spec *spec,
		    struct err *err);
/* What the supervisor runs; its release id tells one content of spec and files from another. */
int svc_release(const struct svcs *s, const struct store_service *row, struct svc *v,
		struct dyno_release **out, struct err *err);
/* A port on 127.0.0.1 that is free now and outside of what the kernel gives to clients. */
int svc_plain_port(unsigned address);

/* --- svc.c --- */
void svc_changed(const struct dyno_info *i, enum dyno_state was, void *svc);

#endif
