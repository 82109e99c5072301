/* git.h - the receiving side of git over smart HTTP (docs/internals/git.md), bare repositories
 * under STATE/repos/APP-ID.git, or a pipeline's id. Each request runs on its own thread (at most
 * LIM_GIT_PUSHES pushes). */
#ifndef GIT_GIT_H
#define GIT_GIT_H

#include "daemon/core/config.h"
#include "daemon/http/server.h"

struct git;

struct git_push; /* what an update gets to talk to the client with */
/* Text for the user's terminal (band 2), any bytes; blocks when the client is slow; does nothing
 * when it has gone. Thread: the push's. */
void git_say(struct git_push *p, const char *text, size_t n);
void git_sayf(struct git_push *p, const char *fmt, ...) PRINTF(2, 3);

struct git_update {
	const char *app_id, *app_name;
	const char *user_id, *user_email;
	const char *ref;	    /* refs/heads/main */
	const char *commit;	    /* 40 hex */
	const char *repo_dir;	    /* bare repository */
	const char *quarantine_dir; /* objects not yet in it, or NULL */
};

/* Has the ref left the value this push started from? build() may ask after it waited for its turn:
 * such a push will be rejected whatever comes of the build. Thread: the push's. */
bool git_stale(struct git_push *p, const struct git_update *u);

struct git_ops {
	void *arg;
	/* Who is this? token = Basic password. Fills user_id/email. UNAUTHORIZED. */
	int (*login)(void *arg, const char *token, char user_id[37], char email[256],
		     struct err *err);
	/* App by name for this user: app_id. NOT_FOUND (also when there is no right to it). */
	int (*app)(void *arg, const char *user_id, const char *name, bool write, char app_id[37],
		   struct err *err);
	/* main or master moved: build. -1 rejects the ref with "pre-receive hook declined" (err
	 * says why and has been told to the user already). *token is handed to after(). Blocks for
	 * minutes. */
	int (*build)(void *arg, const struct git_update *u, struct git_push *p, void **token,
		     struct err *err);
	/* The ref has moved: release. Blocks until live or failed; tells the user. */
	void (*after)(void *arg, const struct git_update *u, struct git_push *p, void *token);
	/* The ref could not be moved after all: give up what build() made. */
	void (*undo)(void *arg, void *token);
	/* A pipeline's own repository, by the pipeline's name: its id. As app; NULL = none are
	 * served. */
	int (*pipeline)(void *arg, const char *user_id, const char *name, bool write, char id[37],
			struct err *err);
	/* There, a branch has moved, or is gone (u->commit NULL); u->app_id and app_name are the
	 * pipeline's. Blocks until its review app is what was asked for; tells the user. */
	void (*review)(void *arg, const struct git_update *u, struct git_push *p);
};

int git_open(const struct config *cfg, const struct git_ops *ops, struct git **out,
	     struct err *err);
void git_close(struct git *g); /* waits for running requests */
/* Is this path one of ours (/NAME.git/..., /review/PIPELINE/...)? The latter has no .git, as what
 * has one is taken for an app by the Heroku CLI. */
bool git_wants(const char *path);
/* Takes the exchange over. Loop thread. */
void git_handle(struct git *g, struct http_x *x);
/* Blocking, any thread but a loop. */
/* While held, no repository is cleaned up; one that is at it is stopped. Waits for that. */
void git_hold(struct git *g, bool hold);
int git_repo_create(struct git *g, const char *app_id, struct err *err);
int git_repo_delete(struct git *g, const char *app_id, struct err *err);
void git_repo_path(struct git *g, const char *app_id, char *out);
int git_repo_size(struct git *g, const char *app_id, uint64_t *bytes, struct err *err);
/* Removes what a crash left: quarantines, locks, temporary packs. At start, before serving. */
int git_sweep(struct git *g, struct err *err);
/* Writes the tree of a commit to dir (empty, absolute), submodules fetched. quarantine may be NULL.
 */
int git_export(const char *repo_dir, const char *quarantine_dir, const char *commit,
	       const char *dir, const struct config *cfg, void (*say)(const char *line, void *arg),
	       void *say_arg, struct err *err);

/* --- commits of another repository of this host, instead of a push ---
 * The objects of commit come out of `from` (a bare repository that allows fetching by id); repo
 * (PATH_MAX) gets the app's, where they are safe from clean-ups until git_import_end, and after it
 * by the ref. -1: nothing is owed. Blocking; any thread but a loop. */
int git_import_begin(struct git *g, const char *app_id, const char *from, const char *commit,
		     char *repo, struct err *err);
/* Whatever it was before; why is for the reflog. */
int git_import_ref(struct git *g, const char *app_id, const char *ref, const char *commit,
		   const char *why, struct err *err);
void git_import_end(struct git *g, const char *app_id);
/* The branch that a clone of it checks out: refs/heads/main unless it was changed. */
int git_head_ref(const char *repo, char ref[256], struct err *err);

#endif
