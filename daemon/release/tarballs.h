/* tarballs.h - builds of tarballs, as the builds API starts them: each on a thread of its own, then
 * released as a push is. Any thread but a loop. */
#ifndef RELEASE_TARBALLS_H
#define RELEASE_TARBALLS_H

#include "daemon/release/push.h"

struct tarballs;
struct tarballs *tarballs_new(struct pusher *ps); /* borrowed */
/* Waits for those under way: after builds_stop. NULL is fine. */
void tarballs_free(struct tarballs *t);

struct tarball_new { /* borrowed, but for fd */
	const char *app_id, *user_id, *user_email;
	const char *url; /* as the user gave it */
	int fd;		 /* the file when it is ours: taken; -1 = url is downloaded */
	const char *checksum, *version, *version_description; /* may be NULL */
	const char *const *buildpacks;			      /* NULL = the app's */
	const char *buildpacks_json; /* the same as the build's record has them */
};
/* Makes the build, pending, and returns: it goes on by itself. UNAVAILABLE: LIM_API_BUILDS are
 * under way. */
int tarball_build(struct tarballs *t, const struct tarball_new *in, char build_id[37],
		  struct err *err);

#endif
