#include "daemon/store/identity.h"
#include "daemon/store/row_int.h"

void store_session_clear(struct store_session *s)
{
	free(s->description);
	*s = (struct store_session){0};
}
ROW_DEFINE_LIST(store_session, store_sessions)

static void fill_browser(struct stmt *s, void *out)
{
	struct store_session *r = out;

	ROW_COPY(s, 0, r->id);
	ROW_COPY(s, 1, r->user_id);
	r->description = stmt_col_dup(s, 2);
	r->expires_ms = stmt_col_int(s, 3);
	r->created_ms = stmt_col_int(s, 4);
	r->updated_ms = stmt_col_int(s, 5);
}

int store_session_create(struct tx *tx, const char *user_id, const char *secret,
			 const char *description, wall_ms expires_ms, char id[37], struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SESSION_INSERT);
	char hash[65];

	uuid_new(id);
	sha256_hex(secret, strlen(secret), hash);
	stmt_text(s, 1, id);
	stmt_text(s, 2, user_id);
	stmt_text(s, 3, hash);
	stmt_text(s, 4, description);
	stmt_int(s, 5, expires_ms);
	stmt_int(s, 6, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_session_by_secret(struct tx *tx, const char *secret, struct store_session *out,
			    struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SESSION_BY_HASH);
	char hash[65];

	sha256_hex(secret, strlen(secret), hash);
	stmt_text(s, 1, hash);
	stmt_int(s, 2, clock_wall_ms());
	return row_one(s, fill_browser, out, sizeof *out, "session", err);
}

int store_session_get(struct tx *tx, const char *user_id, const char *id, struct store_session *out,
		      struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SESSION_GET);

	stmt_text(s, 1, id);
	stmt_text(s, 2, user_id);
	stmt_int(s, 3, clock_wall_ms());
	return row_one(s, fill_browser, out, sizeof *out, "session", err);
}

int store_sessions_list(struct tx *tx, const char *user_id, struct store_sessions *out,
			struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SESSION_LIST);

	stmt_text(s, 1, user_id);
	stmt_int(s, 2, clock_wall_ms());
	return store_session_all(s, fill_browser, out, err);
}

int store_session_delete(struct tx *tx, const char *user_id, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SESSION_DELETE);

	stmt_text(s, 1, id);
	stmt_text(s, 2, user_id);
	return row_change(tx, s, "session", err);
}

int store_sessions_delete_all(struct tx *tx, const char *user_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SESSION_DELETE_ALL);

	stmt_text(s, 1, user_id);
	return stmt_exec(s, err);
}

int store_sessions_expire(struct tx *tx, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SESSION_EXPIRE);

	stmt_int(s, 1, clock_wall_ms());
	return stmt_exec(s, err);
}
