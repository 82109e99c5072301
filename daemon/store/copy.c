/* The database as one file, for backups: SQLite's own way to copy, out of a reader's snapshot. */
#include "daemon/store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int run_copy(sqlite3 *from, sqlite3 *to, struct err *err)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");

	if (!b)
		return store_sql_err(to, "copy", err);
	/* all at once: with pauses it would begin anew after each change */
	sqlite3_backup_step(b, -1);
	if (sqlite3_backup_finish(b) != SQLITE_OK)
		return store_sql_err(to, "copy", err);
	return 0;
}

static int copy_to(sqlite3 *from, const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct conn *to = NULL;
	int rc;

	if (fd < 0)
		return err_errno(err, "create %s", path);
	close(fd);
	rc = store_conn_open(path, true, &to, err);
	if (rc == 0 && sqlite3_exec(to->db, "PRAGMA synchronous = OFF", NULL, NULL, NULL))
		rc = store_sql_err(to->db, "copy", err);
	if (rc == 0)
		rc = run_copy(from, to->db, err);
	store_conn_close(to);
	return rc;
}

int store_copy(struct tx *tx, const char *path, struct err *err)
{
	return copy_to(tx->c->db, path, err);
}

int store_copy_file(const char *db, const char *path, struct err *err)
{
	struct conn *from = NULL;
	int rc;

	if (access(db, R_OK) < 0)
		return err_errno(err, "%s", db);
	if (store_conn_open(db, false, &from, err) < 0)
		return -1;
	rc = copy_to(from->db, path, err);
	store_conn_close(from);
	return rc;
}
