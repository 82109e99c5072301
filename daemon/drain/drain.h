/* drain.h - log drains: each app's log to where its users want it, by syslog over TCP or TLS, or in
 * POSTs. One thread (out.h) for all drains; they read the log's segments behind the writer and keep
 * in STATE/drains how far they are. See docs/internals/drain.md; Dev Center: Log Drains. */
#ifndef DRAIN_DRAIN_H
#define DRAIN_DRAIN_H

#include "daemon/drain/frame.h"
#include "daemon/out/out.h"
#include "daemon/store/store.h"

struct drains;

/* Starts those of the database. Blocking. */
int drains_start(const struct config *cfg, struct out *o, struct store *st, struct logd *log,
		 struct drains **out, struct err *err);
/* Waits a moment for what is on its way. Before out_stop; what is called after it does nothing. */
void drains_stop(struct drains *ds);
void drains_free(struct drains *ds); /* after out_stop; NULL is fine */

/* These follow the commit of the row; any thread but a loop. From add on nothing that is logged is
 * missed. Adding one that runs already, and removing one that does not, does nothing. */
void drains_add(struct drains *ds, const char *id, const char *app_id, const char *token,
		const char *url);
void drains_remove(struct drains *ds, const char *id);
void drains_remove_app(struct drains *ds, const char *app_id);

#endif
