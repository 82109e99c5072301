/* commit.h - a commit of another repository of this host, built and released as if it had been
 * pushed to the app: its objects and the branch are in the app's repository afterwards. */
#ifndef RELEASE_COMMIT_H
#define RELEASE_COMMIT_H

#include "daemon/git/git.h"
#include "daemon/release/push.h"

struct commit_deploy { /* borrowed */
	const char *app_id, *user_id, *user_email;
	const char *from;   /* bare repository that allows fetching by id */
	const char *commit; /* 40 hex, there */
	const char *why;    /* for the reflog */
	/* What is said, as a push prints it; NULL: it is kept with the build only. */
	void (*out)(const char *p, size_t n, void *arg);
	void *out_arg;
};
/* Blocks until it is live (0) or has failed (-1: BUILD_FAILED, CANCELED (a newer one has come),
 * NOT_FOUND (the app), ...), which the app's log and the build tell too. A crash before the branch
 * is set fails the build; after it the release is made at the next start (push_recover). Any thread
 * but a loop. */
int commit_deploy(struct pusher *ps, struct git *g, const struct commit_deploy *in,
		  struct err *err);

#endif
