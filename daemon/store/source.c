#include "daemon/store/source.h"
#include "daemon/store/row_int.h"
#include "proto/limits.h"

static int usage(struct tx *tx, const char *user_id, const char *but_id, int64_t *n, int64_t *bytes,
		 struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SOURCE_USAGE);

	stmt_text(s, 1, user_id);
	stmt_int(s, 2, clock_wall_ms());
	stmt_text(s, 3, but_id);
	if (stmt_step(s, err) != STMT_ROW)
		return -1; /* an aggregate always has a row */
	*n = stmt_col_int(s, 0);
	*bytes = stmt_col_int(s, 1);
	return 0;
}

int store_source_usage(struct tx *tx, const char *user_id, const char *but_id, int64_t *bytes,
		       struct err *err)
{
	int64_t n;

	return usage(tx, user_id, but_id, &n, bytes, err);
}

static int insert(struct tx *tx, const char *id, const char *user_id, const char *app_id,
		  struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SOURCE_INSERT);
	wall_ms now = clock_wall_ms();

	stmt_text(s, 1, id);
	stmt_text(s, 2, user_id);
	bind_id(s, 3, app_id);
	stmt_int(s, 4, now + LIM_SOURCE_MS);
	stmt_int(s, 5, now);
	return stmt_exec(s, err);
}

int store_source_insert(struct tx *tx, const char *user_id, const char *app_id, char id[37],
			struct err *err)
{
	int64_t n, bytes;

	if (usage(tx, user_id, "", &n, &bytes, err) < 0)
		return -1;
	if (n >= LIM_SOURCES)
		return err_set(
			err, ERR_RATE_LIMIT,
			"You have %d sources that have not expired; each does after an hour.",
			LIM_SOURCES);
	uuid_new(id);
	return insert(tx, id, user_id, app_id, err);
}

static void fill_source(struct stmt *s, void *out)
{
	struct store_source *r = out;

	ROW_COPY(s, 0, r->id);
	ROW_COPY(s, 1, r->user_id);
	ROW_COPY(s, 2, r->app_id);
	r->size = row_int_or(s, 3, -1);
	r->expires_ms = stmt_col_int(s, 4);
}

int store_source_get(struct tx *tx, const char *id, struct store_source *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SOURCE_GET);

	stmt_text(s, 1, id);
	stmt_int(s, 2, clock_wall_ms());
	return row_one(s, fill_source, out, sizeof *out, "source", err);
}

int store_source_uploaded(struct tx *tx, const char *id, int64_t size, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SOURCE_UPLOADED);

	stmt_text(s, 1, id);
	stmt_int(s, 2, size);
	stmt_int(s, 3, clock_wall_ms() + LIM_SOURCE_MS);
	return row_change(tx, s, "source", err);
}

static int forget(struct tx *tx, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SOURCE_EXPIRE);

	stmt_int(s, 1, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_sources_expire(struct tx *tx, struct store_ids *left, struct err *err)
{
	if (forget(tx, err) < 0)
		return -1;
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SOURCE_IDS);

	return store_ids_read(s, left, err);
}
