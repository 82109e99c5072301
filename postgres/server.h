/* server.h - the provider's side of a PostgreSQL server: connections of its administrator, and
 * statements with quoted names and values. Blocking; one thread. */
#ifndef POSTGRES_SERVER_H
#define POSTGRES_SERVER_H

#include "proto/auto.h"
#include "proto/err.h"

#include <jansson.h>
#include <libpq-fe.h>

DEFINE_AUTO(PGconn *, PQfinish)
DEFINE_AUTO(PGresult *, PQclear)
DEFINE_AUTO(PQconninfoOption *, PQconninfoFree)

/* Where the server is and who administers it: the shared service, or the setting `url`. Borrowed
 * from the request. */
struct pgs {
	const char *url; /* of an outside server; NULL = the platform's own */
	char host[256], port[8];
	const char *password; /* of the platform's own */
};

#define PGS_ADMIN "paas" /* superuser of the platform's own cluster */

/* UNAVAILABLE when it does not answer (yet). database NULL = where administrators connect to. */
int pgs_connect(const struct pgs *s, const char *database, PGconn **out, struct err *err);
/* fmt: %I a name, %L a value, %s trusted text, %d a number; nothing else. The rest of the errors:
 * UNAVAILABLE for what may be better later, DISK_FULL, else INVALID_PARAMS with the server's
 * words. */
int pgs_exec(PGconn *c, struct err *err, const char *fmt, ...);
/* As pgs_exec, with the rows. */
int pgs_query(PGconn *c, PGresult **out, struct err *err, const char *fmt, ...);
/* As pgs_exec; what the server refuses is passed over: for what an outside server may not allow. */
void pgs_try(PGconn *c, const char *fmt, ...);
/* The first column of the first row as text of the caller, NULL when there is none. */
int pgs_text(PGconn *c, char **out, struct err *err, const char *fmt, ...);
int pgs_number(PGconn *c, long long *out, struct err *err, const char *fmt, ...);
/* Sets a role's password, which the server and its log see as a SCRAM verifier only. */
int pgs_password(PGconn *c, const char *role, const char *password, struct err *err);
/* One process works on an add-on at a time; until the connection ends. */
int pgs_lock(PGconn *c, const char *what, struct err *err);

#endif
