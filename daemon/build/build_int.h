/* build_int.h - private to build: one build while it runs, and its steps. All on the build's
 * thread. */
#ifndef BUILD_BUILD_INT_H
#define BUILD_BUILD_INT_H

#include "daemon/build/build.h"
#include "daemon/build/manifest.h"
#include "daemon/build/output.h"
#include "daemon/build/queue.h"
#include "daemon/build/source.h"
#include "proto/buf.h"

struct builds {
	const struct config *cfg; /* borrowed, as are these two */
	struct launcher *la;
	struct slugs *slugs;
	struct queue *queue;	      /* owned */
	struct outputs *outputs;      /* owned */
	char *builds_dir, *cache_dir; /* owned; STATE/builds, STATE/cache */
};

/* A folder of a build by its two names: on the host, and as scripts see it (the same under plain).
 */
struct place {
	char *host, *in; /* owned */
};

struct pack {
	char *text;  /* owned; as the user or detection named it; what is remembered */
	char *shown; /* owned; the same without secrets */
	char *name;  /* owned; what detect called the app; NULL before */
	int dir;     /* number of its folder in buildpacks/ */
	bool compiled;
};

struct build {
	struct builds *b;
	const struct build_req *req;
	struct build_result *res;
	struct job job;
	struct output *out; /* NULL when it could not be opened */
	char *dir;	    /* owned; STATE/builds/ID */
	struct place app, cache, env, packs, scratch, libexec, runtimes;
	char *tmp, *work; /* owned, host: /tmp of the scripts; paasd's own scratch */
	bool plain;	  /* runtime without mounts: scripts see host paths */
	bool no_pass;	  /* the launcher refused folders that passed variables name */
	bool told;	  /* the reason of the failure has been printed */
	char last;	  /* last byte printed */
	mono_ms deadline;
	struct pack pack[LIM_BUILDPACKS];
	int npacks;
};

/* --- saying things (say.c) --- */
void say_raw(struct build *c, const char *p, size_t n);		     /* as it is */
void say(struct build *c, const char *fmt, ...) PRINTF(2, 3);	     /* a line of its own */
void say_step(struct build *c, const char *fmt, ...) PRINTF(2, 3);   /* -----> */
void say_detail(struct build *c, const char *fmt, ...) PRINTF(2, 3); /* seven blanks */
void say_warn(struct build *c, const char *fmt, ...) PRINTF(2, 3);   /* " !     " */
void say_line(const char *line, void *build);			     /* as say(), as a callback */
void say_warn_line(const char *line, void *build); /* as say_warn(), as a callback */
/* Prints the reason once, fills err, returns -1. */
int say_fail(struct build *c, struct err *err, enum err_id id, const char *fmt, ...) PRINTF(4, 5);
void say_sizes(uint64_t bytes, char out[16]); /* 63.1M */

/* --- the build's folders (place.c) --- */
int places_make(struct build *c, struct err *err);
void places_clear(struct build *c);
int place_copy_file(const char *from, const char *to, mode_t mode, struct err *err);
/* Removes all of dir but its output, by the launcher when it is not ours to remove. */
int places_remove(struct builds *b, const char *dir, struct err *err);
/* Whether dir holds anything but an output. */
bool places_unfinished(const char *dir);
/* Forgets an app's oldest ended builds (keep.c). */
void builds_prune(struct builds *b, const char *app_id);
int remove_tree(struct builds *b, const char *path, struct err *err);

/* --- running scripts (script.c) --- */
struct script {
	const char *argv[LIM_BUILDPACKS * 2 + 8]; /* as scripts see paths */
	int argc;
	const char *cwd;
	bool exports;	  /* source the export files of the packs compiled so far */
	int exports_of;	  /* packs before this one */
	struct buf *take; /* stdout goes here (at most max bytes; the rest is dropped), else to the
			     user */
	size_t max;
	const char *stderr_file; /* file in scratch/ for stderr, else with stdout */
	int limit_s;		 /* own time limit; 0 = the build's */
};
/* Exit status, or -1: TIMEOUT, CANCELED, DISK_FULL, the launcher's. Out of memory is said to the
 * user. */
int script_run(struct build *c, const struct script *s, struct err *err);
/* Whether a pack has bin/NAME. */
bool pack_has(const struct build *c, const struct pack *p, const char *name);
char *pack_dir(const struct place *packs, const struct pack *p, bool inside); /* owned */

/* --- steps (steps.c, packs.c), in this order; each says what it does --- */
int step_source(struct build *c, struct err *err);
int step_choose(struct build *c, struct err *err);
int step_compile(struct build *c, struct err *err);
int step_types(struct build *c, struct err *err);
int step_seal(struct build *c, struct err *err);
void step_reports(struct build *c);

/* --- cache.c --- */
int cache_load(struct build *c, struct err *err);
void cache_store(
	struct build *c); /* after a success; what goes wrong is said and the cache dropped */
int cache_purge(struct builds *b, const char *app_id, struct err *err);

#endif
