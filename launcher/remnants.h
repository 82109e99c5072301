/* remnants.h - the plain runtime, which has no pid namespace: what is still there of a dyno whose
 * shim and init have gone. Private to the launcher. */
#ifndef LAUNCHER_REMNANTS_H
#define LAUNCHER_REMNANTS_H

#include "launcher/host.h"

/* Kills whatever of `user` carries the dyno's mark in its environment; under a root launcher, where
 * each app and service has its own user, all that is the user's when no other dyno is: servers
 * that write their title over their environment (Redis) have no mark. Blocks, for a moment. */
void ln_remnants_end(struct host *h, const char *id, unsigned user);

/* The launcher's own children; v is to be freed. */
struct own {
	pid_t *v;
	int n;
};
/* The plain launcher becomes a subreaper, so that what is left when an init and its shim were both
 * killed comes to it, marked or not. Who is its child now (of a wrapper that became it) stays. */
void ln_own_begin(const struct host *h, struct own *o);
void ln_own_add(struct own *o, pid_t pid);
void ln_own_drop(struct own *o, pid_t pid); /* it is about to be waited for */
/* Kills the children that are not its own. Theirs come when they are dead: to be called at each
 * SIGCHLD. Returns how many it was; nothing in the sandbox runtime. */
int ln_strays_end(const struct host *h, const struct own *o);

#endif
