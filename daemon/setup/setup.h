/* setup.h - app setups: an app made of code and its app.json, in one go (docs/internals/setup.md;
 * Dev Center: app.json Schema, Platform API: app-setup).
 *
 * A setup is a persisted machine (table app_setups):
 *   source -> manifest -> config -> addons -> build -> scale -> postdeploy -> done
 * on a thread of its own, at most LIM_SETUPS at once. A restarted paasd takes each up at its step;
 * no step's effect is had twice, and postdeploy is started at most once. When one fails, its app is
 * destroyed with all it has (unless keep_failed).
 *
 * All functions block and may be called on any thread but a loop, unless said otherwise. */
#ifndef SETUP_SETUP_H
#define SETUP_SETUP_H

#include "daemon/addon/addon.h"
#include "daemon/core/config.h"
#include "daemon/core/clock.h"
#include "daemon/release/push.h"
#include "daemon/store/setup.h"

#include <jansson.h>

struct setups;

/* --- where code comes from ---
 *
 * A source is a JSON object that is kept with the setup; "kind" says who can fetch it:
 *   {"kind": "tarball", "url", "checksum"}   downloaded, under the rules for URLs of users
 *   {"kind": "git", "url", "ref"}            cloned; ref: branch, tag, commit; absent = the default
 *   {"kind": "tree", "repo", "commit"}       of a bare repository of this host; repo: its folder
 *                                            below the state directory ("pipelines/ID.git")
 *   {"kind": "file", "path"}                 a tarball that was uploaded; setup_start took it
 * Other parts add theirs with setups_add_source. */
struct setup_fetch { /* borrowed */
	const json_t *source;
	const char *dir;  /* to be filled; exists, is empty */
	const char *work; /* scratch; exists */
	mono_ms deadline;
	int cancel_fd;
	void (*say)(const char *line, void *arg); /* for people */
	void *say_arg;
	char *commit; /* of 65: out, the commit when it has one, else as it was */
};
struct setup_source_kind {
	const char *name;
	int (*fetch)(const struct setup_fetch *f, void *arg, struct err *err);
	void *arg;
};

struct setups_ops { /* upwards */
	void *arg;
	/* Makes an app as POST /apps does; also(tx, id of the app, also_arg) is part of the
	 * transaction of its row. name NULL = made up. */
	int (*create_app)(void *arg, const char *user_id, const char *name,
			  int (*also)(struct tx *tx, const struct store_app *a, void *also_arg,
				      struct err *err),
			  void *also_arg, struct err *err);
	/* As DELETE /apps/:app; an app that is gone is fine. */
	int (*destroy_app)(void *arg, const char *user_id, const char *app_id, struct err *err);
};

struct setups_deps { /* borrowed */
	const struct config *cfg;
	struct store *store;
	struct logd *log;
	struct releases *releases;
	struct builds *builds;
	struct pusher *pusher;
	struct addons *addons;
	struct setups_ops ops;
};
int setups_open(const struct setups_deps *d, struct setups **out, struct err *err);
/* Before setups_start. */
void setups_add_source(struct setups *s, const struct setup_source_kind *kind);
/* Failures that are the platform's fault alone: the same may go well when it is tried again. */
#define SETUP_CUT_OFF	  "The platform was restarted while the app was being made"
#define SETUP_LOST_SCRIPT "The postdeploy script was lost in a restart of the platform"
/* Told of each setup that has ended, also of those that a restart took up; on the setup's thread,
 * after its end is committed. Before setups_start; one for all. */
void setups_on_end(struct setups *s, void (*fn)(const struct store_setup *ended, void *arg),
		   void *arg);
/* Takes up what is under way: after push_recover. */
int setups_start(struct setups *s, struct err *err);
/* Any thread: no new steps; those under way end soon, and go on at the next start. Call it before
 * builds_stop. */
void setups_stop(struct setups *s);
void setups_free(struct setups *s); /* waits; after releases_stop, before releases_free */

/* --- sources, made --- */
/* Of a URL as users give it: git when it ends in .git, has a #ref, or begins with git+https://;
 * else a tarball. checksum may be NULL. INVALID_PARAMS. A new reference. */
json_t *setup_source_url(const char *url, const char *checksum, struct err *err);
/* repo: absolute, below the state directory. */
json_t *setup_source_tree(struct setups *s, const char *repo, const char *commit);

/* --- setups --- */
struct setup_new {			  /* borrowed */
	const char *user_id, *user_email; /* owns the app, is who deploys */
	const char *name;		  /* of the app; NULL = made up */
	const char *stack;		  /* as app.json's; NULL = that */
	const char *environment;	  /* of app.json: "review", "test"; NULL = none */
	const json_t *source;
	int file; /* kind "file": descriptor of the tarball, whose content is copied; else -1 */
	const char *version; /* commit, or any text; NULL = what fetching finds */
	/* Config vars, objects of text, NULL = none. Precedence: fixed (the platform's own:
	 * HEROKU_PR_NUMBER ...), env (of the request), stage_env (of the pipeline), then app.json.
	 */
	const json_t *fixed, *env, *stage_env;
	const char *const *buildpacks; /* NULL = app.json's */
	bool keep_failed;	       /* a failed setup's app stays for its owner to look at */
	/* Part of the transaction that makes the app's row and the setup's: couplings, the review
	 * app's own row. May run more than once. May be NULL. */
	int (*also)(struct tx *tx, const char *app_id, const char *setup_id, void *arg,
		    struct err *err);
	void *also_arg;
};
/* Makes the app and the setup's row, and returns: it goes on by itself. INVALID_PARAMS (name,
 * config vars), UNAVAILABLE: LIM_SETUPS_WAITING wait already. */
int setup_start(struct setups *s, const struct setup_new *in, char id[37], struct err *err);
/* Writes what it says (steps, the build's output, postdeploy's) from the beginning on until its
 * end. 0 = succeeded; -1 with why it failed. gone() true: stops watching (CANCELED). After a
 * restart of paasd the text begins there. */
int setup_follow(struct setups *s, const char *id, void (*out)(const char *p, size_t n, void *arg),
		 void *arg, bool (*gone)(void *arg), struct err *err);
/* Ends it as failed ("Canceled"), with its app, as soon as can be; returns at once. An ended one
 * is left alone. NOT_FOUND. */
int setup_cancel(struct setups *s, const char *id, struct err *err);

/* --- later in an app's life --- */
struct setup_deploy { /* borrowed */
	const char *app_id, *user_id, *user_email;
	const json_t *source;				 /* not of kind "file" */
	const char *version;				 /* NULL = what fetching finds */
	void (*out)(const char *p, size_t n, void *arg); /* may be NULL */
	void *out_arg;
};
/* Builds and releases other code: no app.json, no postdeploy, the release phase yes. Blocks until
 * it is live (0) or has failed (-1). build_id (may be NULL) is there as soon as the build is. */
int setup_deploy(struct setups *s, const struct setup_deploy *in, char build_id[37],
		 struct err *err);
/* Waits for the release of such a build, which another paasd may have begun: as setup_deploy. */
int setup_deploy_wait(struct setups *s, const char *build_id, struct err *err);
/* Runs pr-predestroy of the app.json that the app was set up with, to its end or LIM_PREDESTROY_S.
 * 0: it ran with status 0, or there is nothing to run; -1 BUILD_FAILED with its status, or why it
 * could not run: no reason to keep the app. */
int setup_predestroy(struct setups *s, const char *app_id, struct err *err);
/* ops.destroy_app, for those who have no other way to it. */
int setup_destroy_app(struct setups *s, const char *user_id, const char *app_id, struct err *err);

#endif
