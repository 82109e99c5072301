/* store.h - SQLite: one writer thread owns the only read-write connection (WAL, synchronous=FULL,
 * BEGIN IMMEDIATE, group commit); readers are pooled read-only connections, one per running
 * store_read. Statements are named in sql/queries and prepared once per connection. Aggregates
 * (app.h, user.h, release.h ...) build on tx and stmt; nobody else sees SQL. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "daemon/core/clock.h"
#include "daemon/core/codec.h"
#include "daemon/core/loop.h"
#include "proto/err.h"
#include "sql_table.h"

struct store;
struct tx; /* a running transaction: read-write on the writer, read-only elsewhere */

/* Opens path (":memory:" in tests, where key may be NULL: one is made), runs migrations, checks
 * integrity, prepares every statement once. CONFIG: of a newer paasd, or not ours. */
int store_open(const char *path, const struct master_key *key, struct store **out, struct err *err);
void store_close(struct store *s); /* waits for queued transactions */

typedef int tx_fn(struct tx *tx, void *arg, struct err *err);
/* Runs fn inside a transaction on the writer thread and waits for the commit's fsync. -1 rolls
 * back. fn may be called with other transactions in one commit (savepoints). Not on a loop. */
int store_tx(struct store *s, tx_fn *fn, void *arg, struct err *err);
/* For loops: done(arg, err) is posted to l after the commit; err->status 0 = committed. A
 * loop that has stopped is not told. */
void store_tx_async(struct store *s, tx_fn *fn, void *arg, struct loop *l,
		    void (*done)(void *arg, const struct err *err));
/* Read-only snapshot on the calling thread. Not on a loop. Sees every commit before the call. */
int store_read(struct store *s, tx_fn *fn, void *arg, struct err *err);
const struct master_key *tx_key(struct tx *tx);
/* All that a store_read sees, as a database of its own at path, which must not exist. */
int store_copy(struct tx *tx, const char *path, struct err *err);
/* The same of a database that nobody has open. */
int store_copy_file(const char *db, const char *path, struct err *err);

/* --- statements, inside a transaction --- */
struct stmt;
enum stmt_result { STMT_ROW, STMT_DONE, STMT_FAIL };
struct stmt *stmt_use(struct tx *tx,
		      enum sql_id id); /* reset + unbound; asserts it is not in use */
void stmt_done(struct stmt *s);
DEFINE_AUTO(struct stmt *, stmt_done)
void stmt_text(struct stmt *s, int i, const char *v); /* NULL binds NULL; copied */
void stmt_blob(struct stmt *s, int i, const void *p, size_t n);
void stmt_int(struct stmt *s, int i, int64_t v);
void stmt_null(struct stmt *s, int i);
/* UNIQUE and FOREIGN KEY failures become CONFLICT; others INTERNAL, logged with the statement's
 * name. */
enum stmt_result stmt_step(struct stmt *s, struct err *err);
int stmt_exec(struct stmt *s, struct err *err);	  /* step to the end; rows dropped; -1 on failure */
const char *stmt_col_text(struct stmt *s, int i); /* NULL for NULL; valid until the next step */
char *stmt_col_dup(struct stmt *s, int i);	  /* owned; NULL for NULL */
const void *stmt_col_blob(struct stmt *s, int i, size_t *n);
int64_t stmt_col_int(struct stmt *s, int i);
bool stmt_col_null(struct stmt *s, int i);
int tx_changes(struct tx *tx); /* rows changed by the last statement */

#endif
