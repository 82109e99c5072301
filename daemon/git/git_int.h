/* git_int.h - what the files of this module share. The flow of a request: git.c (who, which) ->
 * receive.c or fetch.c; a push: cmds.c -> unpack.c -> refs.c, with band.c carrying the answer. */
#ifndef GIT_GIT_INT_H
#define GIT_GIT_INT_H

#include "daemon/core/clock.h"
#include "daemon/core/proc.h"
#include "daemon/git/band.h"
#include "daemon/git/cmds.h"
#include "daemon/git/git.h"
#include "proto/limits.h"

#include <git2.h>
#include <limits.h>
#include <pthread.h>

#define ID_LEN 37 /* uuid + NUL */

struct git_app;
struct git_gc;

struct git {
	const struct config *cfg; /* borrowed */
	struct git_ops ops;
	char *repos_dir; /* owned; STATE/repos */
	int keepalive_ms, gc_packs, gc_delay_ms;

	pthread_mutex_t lock; /* all below */
	pthread_cond_t changed;
	int running; /* requests */
	int indexing, fetching;
	bool closing;
	int holds;	      /* git_hold */
	struct git_app *apps; /* those with something going on */
	struct git_gc *gc;
};

struct git_req { /* one request, on its thread */
	struct git *g;
	struct http_x *x;
	const struct git_route *route;
	bool head_only;
	bool review; /* of a pipeline's own repository: app_name and app_id are the pipeline's */
	char app_name[LIM_APP_NAME + 1], app_id[ID_LEN], user_id[ID_LEN], email[256];
	char repo[PATH_MAX];
};

/* Tests: how many packs before a clean-up, how long an app must have been quiet, keepalive. */
void git_tune(struct git *g, int gc_packs, int gc_delay_ms, int keepalive_ms);

/* --- git.c --- */
/* Ends the exchange with one line of text/plain, which git shows with "remote: " before it. */
void git_reply_text(struct http_x *x, int status, const char *fmt, ...) PRINTF(3, 4);
void git_no_cache(struct http_x *x);
/* The message of a 4xx; of a 5xx only the request's id, and a line in the log. */
void git_reply_error(struct git_req *rq, const struct err *err);
/* Waits until *used < max, then counts up. -1: the deadline passed (0 = none) or the client left.
 */
int git_slot_take(struct git *g, int *used, int max, mono_ms deadline, struct http_x *x);
bool git_slot_try(struct git *g, int *used, int max);
void git_slot_give(struct git *g, int *used);

/* --- env.c: the closed environment of every git child --- */
struct genv {
	char *v[64]; /* owned; NULL-terminated */
	int n, configs;
};
void genv_init(struct genv *e);
void genv_set(struct genv *e, const char *name, const char *value);
void genv_config(struct genv *e, const char *key, const char *value);
/* GIT_DIR, and the quarantine as the place for new objects with the repository's behind it. */
void genv_repo(struct genv *e, const char *repo, const char *quarantine);
const char *const *genv_done(struct genv *e);
void genv_clear(struct genv *e);
#define genv_clear_p genv_clear

/* --- repo.c --- */
void git_library_init(void); /* libgit2 with our options; any number of times */
/* ERR_IO with libgit2's words. Returns -1. */
int git_err(struct err *err, const char *fmt, ...) PRINTF(2, 3);
/* Opens for reading and writing refs; quarantine may be NULL. Free with git_repository_free. */
int git_repo_open(const char *repo, const char *quarantine, git_repository **out, struct err *err);
/* Removes the lock files of a process that was killed; nobody may be at work on the repository. */
void git_repo_unlock(const char *repo);
DEFINE_AUTO(git_repository *, git_repository_free)
DEFINE_AUTO(git_reference *, git_reference_free)
DEFINE_AUTO(git_object *, git_object_free)
DEFINE_AUTO(git_tree *, git_tree_free)
DEFINE_AUTO(git_odb *, git_odb_free)
DEFINE_AUTO(git_index *, git_index_free)

/* --- applock.c: pushes, ref updates and clean-up of one app --- */
/* Pushes of an app run side by side, but never beside its clean-up: one that runs is stopped. */
void git_app_push_begin(struct git *g, const char *app_id);
void git_app_push_end(struct git *g, const char *app_id);
/* From migrating objects to the ref's update: one at a time. */
void git_app_lock(struct git *g, const char *app_id);
void git_app_unlock(struct git *g, const char *app_id);
/* False while a push is on. *cancel_fd becomes readable when the clean-up has to end. */
bool git_app_gc_begin(struct git *g, const char *app_id, int *cancel_fd);
void git_app_gc_end(struct git *g, const char *app_id);
void git_app_gc_stop(struct git *g, const char *app_id); /* waits; NULL = of every app */

/* --- gc.c --- */
void git_gc_start(struct git *g);
void git_gc_end(struct git *g);
void git_gc_later(struct git *g, const char *app_id); /* looks at it once it has been quiet */

/* --- advert.c --- */
void git_advertise_push(struct git_req *rq);

/* --- receive.c --- */
struct git_push {
	struct git_req *rq;
	struct band *band; /* owned */
	struct push_cmds cmds;
	struct buf rest;	   /* body bytes that came with the commands */
	char quarantine[PATH_MAX]; /* "" = no objects came */
	char unpack[128];	   /* reason; "" = ok */
	bool responded;
	bool cut;   /* the body ended early: nothing may change, nobody is there to be told */
	bool ended; /* the whole body has been read */
	uint64_t bytes;
};
void git_receive(struct git_req *rq);
/* Next body bytes; 0 = clean end, -1 = cut (p->cut is set). */
ssize_t git_push_body(struct git_push *p, void *to, size_t n);

/* --- unpack.c --- */
/* Reads the pack into a new quarantine and checks it. Failures are written to p->unpack. */
void git_unpack(struct git_push *p);
/* Every new id must lead to whole objects. Marks the commands that do not. */
void git_connectivity(struct git_push *p);
/* Moves the packs into the repository, each .pack before its .idx. */
int git_migrate(struct git_push *p, struct err *err);
void git_quarantine_drop(struct git_push *p);

/* --- refs.c --- */
/* Marks the commands that cannot be done: names, kinds, doubles, deletions of HEAD's branch. */
void git_refs_check_names(struct git_push *p, git_repository *r);
void git_refs_check_objects(struct git_push *p, git_repository *r);
/* ... and those that are stale already, so that nothing is built for them. */
void git_refs_check_old(struct git_push *p, git_repository *r);
/* Does all commands that are not marked; marks those that failed. */
void git_refs_update(struct git_push *p);
/* The deploy branch that HEAD names, or NULL. */
bool git_refs_head_is(git_repository *r, const char *ref);

/* --- fetch.c --- */
void git_advertise_fetch(struct git_req *rq);
void git_fetch(struct git_req *rq);

/* --- submodule.c --- */
struct git_gitlink {
	char *path; /* owned; from the root of its tree */
	char id[41];
};
struct git_export_job {
	const struct config *cfg;
	void (*say)(const char *line, void *arg);
	void *say_arg;
	mono_ms deadline; /* for submodules; 0 until the first */
	int submodules;	  /* so far */
	int depth;
	uint64_t bytes; /* written so far */
	uint64_t entries;
};
/* One tree into dir; nested ones below it. base_url: of this repository, or NULL. */
int git_export_commit(struct git_export_job *job, const char *repo, const char *quarantine,
		      const char *commit, const char *dir, const char *base_url, struct err *err);
/* Fetches and writes the gitlinks of one tree. modules_id: the blob .gitmodules, or "". */
int git_submodules(struct git_export_job *job, const char *repo, const char *quarantine,
		   const char *modules_id, const struct git_gitlink *links, size_t n,
		   const char *dir, const char *base_url, struct err *err);
/* An empty folder at path below dir, reached through no symlink; its parents are made. */
int git_make_place(const char *dir, const char *path, struct err *err);
void git_job_say(struct git_export_job *job, const char *fmt, ...) PRINTF(2, 3);
/* --- url.c --- */
/* Only https, no odd bytes, no user's paths; resolves ../ against base (NULL = none). */
int git_url_resolve(const char *url, const char *base, struct buf *out, struct err *err);
/* Follows redirects and finds where it leads; pin is "host:port:address". INVALID_PARAMS when the
 * address is private and not allowed. */
int git_url_probe(const char *url, bool allow_private, mono_ms deadline, struct buf *final,
		  struct buf *pin, struct err *err);

#endif
