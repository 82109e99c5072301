/* pg.h - databases of the add-on service heroku-postgresql: what the platform does about them
 * beside what an add-on is (docs/internals/pg.md). All SQL is the provider's (postgres/); this asks
 * it.
 *
 * Any thread but a loop; what asks the provider blocks. */
#ifndef PG_PG_H
#define PG_PG_H

#include "daemon/addon/addon.h"
#include "daemon/log/log.h"

#include <jansson.h>

#define PG_SERVICE "heroku-postgresql"

struct pg;
struct pg_deps { /* borrowed */
	const struct config *cfg;
	struct store *store;
	struct logd *log;
	struct addons *addons;
};
/* Watches sizes and ends logins whose time is over, every postgres.watch seconds, on a thread. */
struct pg *pg_new(const struct pg_deps *d);
void pg_stop(struct pg *p); /* soon; does not wait */
void pg_free(struct pg *p); /* waits; before addons_free. NULL is fine */

/* A URL of a credential (NULL = the add-on's own) in parts; all owned. */
struct pg_url {
	char *user, *password, *host, *database;
	int port;
};
void pg_url_clear(struct pg_url *u);
#define pg_url_clear_p pg_url_clear
/* UNAVAILABLE while there is none yet. */
int pg_url_of(struct addons *a, const char *addon_id, const char *credential, struct pg_url *out,
	      struct err *err);
/* As the provider writes them: postgres://user:password@host:port/database. CORRUPT. */
int pg_url_parse(const char *url, struct pg_url *out, struct err *err);

#endif
