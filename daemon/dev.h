/* dev.h - how paasd starts the launcher and the router. paasd --dev: starts the launcher and the
 * router as processes of their own, which outlive a killed paasd, and finds those that an earlier
 * one left. */
#ifndef DAEMON_DEV_H
#define DAEMON_DEV_H

#include "daemon/core/config.h"

/* shown_dirs: folders of the host that builds may see (NULL-terminated; may be NULL).
 * Blocks until both answer on their sockets (or 10 s have passed). */
int dev_start(const struct config *cfg, char *const *shown_dirs, struct err *err);

/* Becomes that program, with the arguments that the settings and more (NULL-terminated; may be
 * NULL) ask for: as service units start them. Returns only when it cannot. */
enum dev_part { DEV_LAUNCHER, DEV_ROUTER };
int dev_exec(const struct config *cfg, enum dev_part part, char *const *shown_dirs,
	     char *const *more, struct err *err);

/* Starts the launcher or the router again when it has died, until it is stopped. As dev_start,
 * after which it is called; cfg must live as long. */
struct dev_watch;
int dev_watch_start(const struct config *cfg, char *const *shown_dirs, struct dev_watch **out,
		    struct err *err);
void dev_watch_stop(struct dev_watch *w); /* ahead of a shutdown; NULL is fine */
/* After a shutdown was asked for: blocks until both have ended (at most 10 s). */
void dev_wait_gone(const struct config *cfg);

#endif
