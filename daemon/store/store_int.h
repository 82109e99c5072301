/* store_int.h - private to daemon/store: connections, the shape of a transaction. */
#ifndef STORE_STORE_INT_H
#define STORE_STORE_INT_H

#include "daemon/store/store.h"

#include <sqlite3.h>

struct stmt {
	sqlite3_stmt *st; /* owned by the connection; NULL until first used */
	struct conn *c;
	bool in_use;
};

struct conn { /* used by one thread at a time */
	sqlite3 *db;
	bool writable;
	struct stmt stmts[SQL_COUNT + 1];
	struct conn *next; /* in the list of idle readers */
};

struct tx {
	struct store *s;
	struct conn *c;
};

int store_conn_open(const char *path, bool writable, struct conn **out, struct err *err);
void store_conn_close(struct conn *c);
/* Prepares every named statement and lets it go again: a bad one fails here, not when first used.
 */
int store_conn_check(struct conn *c, struct err *err);
bool store_conn_quiet(const struct conn *c); /* no statement is in use */
/* err of the connection's last failure; what = statement's name or an act. Returns -1. */
int store_sql_err(sqlite3 *db, const char *what, struct err *err);
int store_migrate(sqlite3 *db, struct err *err);

#endif
