#include "daemon/core/xlog.h"
#include "daemon/store/store_int.h"

#include <assert.h>

int store_sql_err(sqlite3 *db, const char *what, struct err *err)
{
	int rc = sqlite3_extended_errcode(db);
	enum err_id id = ERR_INTERNAL;
	struct err e;

	switch (rc) {
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_PRIMARYKEY:
		return err_set(err, ERR_CONFLICT, "It exists already.");
	case SQLITE_CONSTRAINT_FOREIGNKEY:
		return err_set(err, ERR_CONFLICT, "It belongs to or is used by something else.");
	}
	switch (rc & 0xff) {
	case SQLITE_FULL:
		id = ERR_DISK_FULL;
		break;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
		id = ERR_IO;
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		id = ERR_CORRUPT;
		break;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		id = ERR_UNAVAILABLE;
		break;
	}
	err_set(&e, id, "database: %s: %s (%d)", what, sqlite3_errmsg(db), rc);
	xlog_err(XLOG_ERROR, "store", &e, "statement=%s", what);
	if (err)
		*err = e;
	return -1;
}

static int prepare(struct conn *c, enum sql_id id, sqlite3_stmt **out, struct err *err)
{
	const char *tail = NULL;

	if (sqlite3_prepare_v3(c->db, sql_texts[id], -1, SQLITE_PREPARE_PERSISTENT, out, &tail) !=
	    SQLITE_OK)
		return store_sql_err(c->db, sql_names[id], err);
	while (tail && (*tail == '\n' || *tail == ' ' || *tail == '\t'))
		tail++;
	if (!*out || (tail && *tail)) {
		sqlite3_finalize(*out);
		*out = NULL;
		return err_set(err, ERR_INTERNAL, "database: %s is not one statement",
			       sql_names[id]);
	}
	return 0;
}

int store_conn_check(struct conn *c, struct err *err)
{
	for (int i = 0; i < SQL_COUNT; i++) {
		sqlite3_stmt *st = NULL;

		if (prepare(c, (enum sql_id)i, &st, err) < 0)
			return -1;
		sqlite3_finalize(st);
	}
	return 0;
}

bool store_conn_quiet(const struct conn *c)
{
	for (int i = 0; i < SQL_COUNT; i++)
		if (c->stmts[i].in_use)
			return false;
	return true;
}

struct stmt *stmt_use(struct tx *tx, enum sql_id id)
{
	struct stmt *s = &tx->c->stmts[id];

	assert(!s->in_use);
	/* Every statement was prepared once at open: failing now means that memory ran out or that
	 * another program changed the schema. The step reports it. */
	if (!s->st)
		prepare(tx->c, id, &s->st, NULL);
	s->c = tx->c;
	s->in_use = true;
	return s;
}

void stmt_done(struct stmt *s)
{
	sqlite3_reset(s->st);
	sqlite3_clear_bindings(s->st);
	s->in_use = false;
}

/* A bind fails for an index that the statement has not: a programming error. */
static void bound(const struct stmt *s, int rc)
{
	assert(rc == SQLITE_OK || !s->st);
	(void)rc;
}

void stmt_text(struct stmt *s, int i, const char *v)
{
	bound(s, sqlite3_bind_text(s->st, i, v, -1, SQLITE_TRANSIENT));
}

void stmt_blob(struct stmt *s, int i, const void *p, size_t n)
{
	bound(s, sqlite3_bind_blob64(s->st, i, p, n, SQLITE_TRANSIENT));
}

void stmt_int(struct stmt *s, int i, int64_t v)
{
	bound(s, sqlite3_bind_int64(s->st, i, v));
}

void stmt_null(struct stmt *s, int i)
{
	bound(s, sqlite3_bind_null(s->st, i));
}

enum stmt_result stmt_step(struct stmt *s, struct err *err)
{
	switch (s->st ? sqlite3_step(s->st) : SQLITE_ERROR) {
	case SQLITE_ROW:
		return STMT_ROW;
	case SQLITE_DONE:
		return STMT_DONE;
	default:
		store_sql_err(s->c->db, sql_names[s - s->c->stmts], err);
		return STMT_FAIL;
	}
}

int stmt_exec(struct stmt *s, struct err *err)
{
	enum stmt_result r;

	do
		r = stmt_step(s, err);
	while (r == STMT_ROW);
	return r == STMT_DONE ? 0 : -1;
}

const char *stmt_col_text(struct stmt *s, int i)
{
	return (const char *)sqlite3_column_text(s->st, i);
}

char *stmt_col_dup(struct stmt *s, int i)
{
	return xstrdup(stmt_col_text(s, i));
}

const void *stmt_col_blob(struct stmt *s, int i, size_t *n)
{
	const void *p = sqlite3_column_blob(s->st, i);

	*n = (size_t)sqlite3_column_bytes(s->st, i);
	return p;
}

int64_t stmt_col_int(struct stmt *s, int i)
{
	return sqlite3_column_int64(s->st, i);
}

bool stmt_col_null(struct stmt *s, int i)
{
	return sqlite3_column_type(s->st, i) == SQLITE_NULL;
}

int tx_changes(struct tx *tx)
{
	return sqlite3_changes(tx->c->db);
}
