#include "daemon/store/sleep.h"
#include "daemon/store/row_int.h"

int store_sleep_get(struct tx *tx, const char *app_id, struct store_sleep *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SLEEP_GET);
	enum stmt_result r;

	stmt_text(s, 1, app_id);
	*out = (struct store_sleep){0};
	r = stmt_step(s, err);
	if (r == STMT_ROW)
		*out = (struct store_sleep){.after_s = stmt_col_int(s, 0),
					    .asleep = stmt_col_int(s, 1) != 0,
					    .since_ms = stmt_col_int(s, 2)};
	return r == STMT_FAIL ? -1 : 0;
}

int store_sleep_set(struct tx *tx, const char *app_id, int64_t after_s, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, after_s ? SQL_SLEEP_PUT : SQL_SLEEP_DELETE);

	stmt_text(s, 1, app_id);
	if (after_s)
		stmt_int(s, 2, after_s);
	return stmt_exec(s, err);
}

int store_sleep_mark(struct tx *tx, const char *app_id, bool asleep, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SLEEP_MARK);

	stmt_text(s, 1, app_id);
	stmt_int(s, 2, asleep);
	stmt_int(s, 3, clock_wall_ms());
	return stmt_exec(s, err);
}
