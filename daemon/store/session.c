#include "daemon/store/session.h"
#include "daemon/store/row_int.h"

void store_log_session_clear(struct store_log_session *l)
{
	free(l->source);
	free(l->dyno);
	*l = (struct store_log_session){0};
}

int store_log_session_create(struct tx *tx, const char *secret, const struct store_log_session *in,
			     char id[37], struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_LOG_SESSION_INSERT);
	char hash[65];

	uuid_new(id);
	sha256_hex(secret, strlen(secret), hash);
	stmt_text(s, 1, id);
	stmt_text(s, 2, hash);
	stmt_text(s, 3, in->app_id);
	stmt_text(s, 4, in->source);
	stmt_text(s, 5, in->dyno);
	stmt_int(s, 6, in->lines);
	stmt_int(s, 7, in->tail);
	stmt_int(s, 8, clock_wall_ms());
	return stmt_exec(s, err);
}

struct session_row {
	struct store_log_session l;
	wall_ms opened_ms;
};

static void fill_session(struct stmt *s, void *out)
{
	struct session_row *r = out;

	ROW_COPY(s, 0, r->l.id);
	ROW_COPY(s, 1, r->l.app_id);
	r->l.source = stmt_col_dup(s, 2);
	r->l.dyno = stmt_col_dup(s, 3);
	r->l.lines = (int)stmt_col_int(s, 4);
	r->l.tail = stmt_col_int(s, 5) != 0;
	r->l.created_ms = stmt_col_int(s, 6);
	r->opened_ms = stmt_col_int(s, 7);
}

static int session_by_secret(struct tx *tx, const char *secret, struct session_row *out,
			     struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_LOG_SESSION_BY_HASH);
	char hash[65];

	sha256_hex(secret, strlen(secret), hash);
	stmt_text(s, 1, hash);
	return row_one(s, fill_session, out, sizeof *out, "log session", err);
}

static int session_opened(struct tx *tx, const char *id, wall_ms now, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_LOG_SESSION_OPENED);

	stmt_text(s, 1, id);
	stmt_int(s, 2, now);
	return stmt_exec(s, err);
}

int store_log_session_open(struct tx *tx, const char *secret, struct store_log_session *out,
			   struct err *err)
{
	struct session_row r = {0};
	wall_ms now = clock_wall_ms(), age;
	bool fine;

	if (session_by_secret(tx, secret, &r, err) < 0)
		return -1;
	age = now - r.l.created_ms;
	fine = age <= STORE_LOG_SESSION_OPEN_MS ||
	       (r.l.tail && r.opened_ms && age <= STORE_LOG_SESSION_TAIL_MS);
	if (!fine || session_opened(tx, r.l.id, now, err) < 0) {
		store_log_session_clear(&r.l);
		return fine ? -1 : err_not_found(err, "log session");
	}
	*out = r.l;
	return 0;
}

int store_log_sessions_expire(struct tx *tx, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_LOG_SESSION_EXPIRE);
	wall_ms now = clock_wall_ms();

	stmt_int(s, 1, now - STORE_LOG_SESSION_OPEN_MS);
	stmt_int(s, 2, now - STORE_LOG_SESSION_TAIL_MS);
	return stmt_exec(s, err);
}

/* --- audit --- */

static void store_audit_clear(struct store_audit *a)
{
	free(a->actor_id);
	free(a->actor);
	free(a->app_id);
	free(a->app);
	free(a->action);
	free(a->detail);
	free(a->request_id);
	free(a->peer);
	*a = (struct store_audit){0};
}
ROW_DEFINE_LIST(store_audit, store_audits)

static void fill_audit(struct stmt *s, void *out)
{
	struct store_audit *a = out;

	a->seq = stmt_col_int(s, 0);
	a->at_ms = stmt_col_int(s, 1);
	a->actor_id = stmt_col_dup(s, 2);
	a->actor = stmt_col_dup(s, 3);
	a->app_id = stmt_col_dup(s, 4);
	a->app = stmt_col_dup(s, 5);
	a->action = stmt_col_dup(s, 6);
	a->detail = stmt_col_dup(s, 7);
	a->request_id = stmt_col_dup(s, 8);
	a->peer = stmt_col_dup(s, 9);
}

int store_audit_add(struct tx *tx, const struct store_audit_new *in, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_AUDIT_INSERT);

	stmt_int(s, 1, clock_wall_ms());
	stmt_text(s, 2, in->actor_id);
	stmt_text(s, 3, in->actor);
	stmt_text(s, 4, in->app_id);
	stmt_text(s, 5, in->app);
	stmt_text(s, 6, in->action);
	stmt_text(s, 7, in->detail ? in->detail : "");
	stmt_text(s, 8, in->request_id);
	stmt_text(s, 9, in->peer);
	return stmt_exec(s, err);
}

int store_audit_list(struct tx *tx, const char *app_id, int64_t before, int limit,
		     struct store_audits *out, struct err *err)
{
	AUTO(stmt_done)
	struct stmt *s = stmt_use(tx, app_id ? SQL_AUDIT_LIST_APP : SQL_AUDIT_LIST);
	int i = 1;

	if (app_id)
		stmt_text(s, i++, app_id);
	stmt_int(s, i++, before > 0 ? before : INT64_MAX);
	stmt_int(s, i, limit > 0 ? limit : -1);
	return store_audit_all(s, fill_audit, out, err);
}

int store_audit_page(struct tx *tx, const struct store_audit_query *q, struct store_audits *out,
		     struct err *err)
{
	AUTO(stmt_done)
	struct stmt *s = stmt_use(tx, q->desc ? SQL_AUDIT_PAGE_DESC : SQL_AUDIT_PAGE);

	stmt_int(s, 1, q->from);
	stmt_int(s, 2, q->to);
	stmt_text(s, 3, q->app);
	stmt_text(s, 4, q->actor);
	stmt_text(s, 5, q->action);
	stmt_int(s, 6, q->since);
	stmt_int(s, 7, q->limit);
	return store_audit_all(s, fill_audit, out, err);
}

static int audit_prune(struct tx *tx, enum sql_id sql, int64_t v, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, sql);

	stmt_int(s, 1, v);
	return stmt_exec(s, err);
}

int store_audit_prune(struct tx *tx, int64_t days, int64_t rows, struct err *err)
{
	if (audit_prune(tx, SQL_AUDIT_PRUNE_AGE, clock_wall_ms() - days * 86400000, err) < 0)
		return -1;
	return audit_prune(tx, SQL_AUDIT_PRUNE_COUNT, rows, err);
}
