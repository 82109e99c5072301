/* setup_int.h - inside daemon/setup. */
#ifndef SETUP_SETUP_INT_H
#define SETUP_SETUP_INT_H

#include "daemon/appjson/appjson.h"
#include "daemon/core/pool.h"
#include "daemon/release/built.h"
#include "daemon/setup/setup.h"

#include <pthread.h>

DEFINE_AUTO(json_t *, json_decref)

#define SOURCE_KINDS 8

/* A setup that is under way in this process: what others watch, and how they stop it. */
struct live {
	struct live *next; /* in setups->live */
	char id[37];
	int refs;	 /* under lock, as all below */
	struct buf said; /* at most LIM_SETUP_SAID */
	bool ended;
	bool canceled;
	int cancel_fd;	   /* eventfd: readable once canceled, or paasd stops */
	char build_id[37]; /* that runs; "" = none */
};

struct setups {
	struct setups_deps d;
	char *dir; /* owned; STATE/setups */
	struct setup_source_kind kinds[SOURCE_KINDS];
	int nkinds;
	void (*on_end)(const struct store_setup *ended, void *arg);
	void *on_end_arg;
	struct pool *pool;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct live *live;
	int waiting; /* in the pool or under way */
	bool stopping;
};

/* One run through the machine. On its thread. */
struct job {
	struct setups *s;
	struct live *live;
	struct store_setup row; /* read anew before each step */
	json_t *overrides;
	struct appjson a; /* from the manifest on */
	json_t *wrong;	  /* array: manifest errors */
	bool resumed;	  /* its first step may have been begun by an earlier paasd */
};

/* source.c */
void setup_sources_init(struct setups *s);
const struct setup_source_kind *setup_source_find(const struct setups *s, const json_t *source,
						  struct err *err);
/* Into dir, which is made; work: scratch, made and removed. commit as in setup_fetch. */
/* Without secrets of its address: what is kept in the open. A new reference. */
json_t *setup_source_shown(const json_t *source);
int setup_source_fetch(struct setups *s, const json_t *source, const char *dir, const char *work,
		       int cancel_fd, void (*say)(const char *line, void *arg), void *say_arg,
		       char commit[65], struct err *err);

/* machine.c */
void setup_say(struct job *j, const char *p, size_t n);
void setup_sayf(struct job *j, const char *fmt, ...) PRINTF(2, 3);
bool setup_gone(void *job); /* canceled, or paasd stops */
struct live *setup_live_new(struct setups *s, const char *id);
struct live *setup_live_find(struct setups *s, const char *id); /* a reference, or NULL */
void setup_live_unref(struct setups *s, struct live *l);
/* Takes the reference. False: too many wait. */
bool setup_enqueue(struct setups *s, struct live *l, bool resumed);

/* steps.c: each may be called again after it was interrupted */
int setup_step_source(struct job *j, struct err *err);
int setup_step_manifest(struct job *j, struct err *err);
int setup_step_config(struct job *j, struct err *err);
int setup_step_addons(struct job *j, struct err *err);
int setup_step_scale(struct job *j, struct err *err);
/* run.c */
int setup_step_build(struct job *j, struct err *err);
int setup_step_postdeploy(struct job *j, struct err *err);

#endif
