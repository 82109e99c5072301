#include "daemon/core/xlog.h"
#include "daemon/store/store_int.h"

#include <assert.h>
#include <stdio.h>

#define APPLICATION_ID 0x70616173 /* "paas": another program's database is refused */

static int64_t pragma(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t v = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return v;
}

static bool has_rows(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	bool yes = sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK ||
		   sqlite3_step(st) != SQLITE_DONE;

	sqlite3_finalize(st);
	return yes;
}

/* One migration, all of it or nothing; its number goes with it. */
static int migrate_one(sqlite3 *db, int i, struct err *err)
{
	const char *name = sql_migrations[i].name;
	char mark[120];
	int rc;

	snprintf(mark, sizeof mark, "PRAGMA user_version = %d; PRAGMA application_id = %d;", i + 1,
		 APPLICATION_ID);
	rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, sql_migrations[i].text, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, mark, NULL, NULL, NULL);
	if (rc == SQLITE_OK && has_rows(db, "PRAGMA foreign_key_check")) {
		err_set(err, ERR_CORRUPT, "migration %s leaves broken references", name);
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
		return -1;
	}
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	if (rc != SQLITE_OK) {
		store_sql_err(db, name, err);
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
		return -1;
	}
	xlog(XLOG_INFO, "store", "msg=\"migrated\" migration=%s", name);
	return 0;
}

/* Foreign keys must be off: a migration may rebuild a table that others refer to. */
int store_migrate(sqlite3 *db, struct err *err)
{
	int64_t version = pragma(db, "PRAGMA user_version");
	int64_t app = pragma(db, "PRAGMA application_id");

	if (version < 0)
		return store_sql_err(db, "open", err);
	if (app != APPLICATION_ID &&
	    (version != 0 || pragma(db, "SELECT count(*) FROM sqlite_schema") != 0))
		return err_set(err, ERR_CONFIG, "the database is not one of paasd's");
	if (version > sql_migration_count)
		return err_set(err, ERR_CONFIG,
			       "the database is of a newer paasd: it has schema %d, this one knows "
			       "%d; install the newer version again, or restore a backup",
			       (int)version, sql_migration_count);
	for (int i = (int)version; i < sql_migration_count; i++) {
		assert(atoi(sql_migrations[i].name) == i + 1); /* no gap, no duplicate */
		if (migrate_one(db, i, err) < 0)
			return -1;
	}
	return 0;
}
