/* push.h - what a git push does: build the commit, then release it. The git module calls these on
 * the push's thread (struct git_ops). */
#ifndef RELEASE_PUSH_H
#define RELEASE_PUSH_H

#include "daemon/build/build.h"
#include "daemon/git/git.h"
#include "daemon/release/release.h"

struct pusher { /* all borrowed */
	const struct config *cfg;
	struct store *store;
	struct logd *log;
	struct releases *releases;
	struct builds *builds;
	struct slugs *slugs;
	/* Makes an add-on, blocking; NULL: there are none. For those that a buildpack asks for. */
	int (*add_addon)(void *arg, const char *app_id, const char *user_id, const char *user_email,
			 const char *plan, struct err *err);
	void *add_addon_arg;
};

/* arg = struct pusher */
int push_build(void *arg, const struct git_update *u, struct git_push *p, void **token,
	       struct err *err);
void push_after(void *arg, const struct git_update *u, struct git_push *p, void *token);
void push_undo(void *arg, void *token);
/* At start, blocking, before serving: builds that a crash cut off are failed, those whose ref had
 * moved already are released. repo_head gives the commit of a ref, "" = none. */
int push_recover(struct pusher *ps,
		 int (*repo_ref)(void *arg, const char *app_id, const char *ref, char commit[41]),
		 void *arg, struct err *err);
/* Slugs that no release needs any more; blocking. */
void push_collect_slugs(struct pusher *ps);
/* Folders that no row knows, left by a crash; blocking, before any push. */
void push_sweep_slugs(struct pusher *ps);

#endif
