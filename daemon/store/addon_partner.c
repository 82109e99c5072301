/* What lets partners in: codes and tokens, of one add-on each. */
#include "daemon/store/addon.h"
#include "daemon/store/row_int.h"
#include "proto/limits.h"

static const char *const kinds[] = {
	[ADDON_TOKEN_ACCESS] = "access",
	[ADDON_TOKEN_REFRESH] = "refresh",
};

static void bind_hash(struct stmt *s, const char *secret)
{
	char hash[65];

	sha256_hex(secret, strlen(secret), hash);
	stmt_text(s, 1, hash);
}

static int sweep(struct tx *tx, enum sql_id sql, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, sql);

	stmt_int(s, 1, clock_wall_ms());
	return stmt_exec(s, err);
}

static void fill_id(struct stmt *s, void *out)
{
	row_copy(s, 0, out, 37);
}

int store_addon_grant_add(struct tx *tx, const char *addon_id, const char *code, wall_ms expires_ms,
			  struct err *err)
{
	if (sweep(tx, SQL_ADDON_GRANT_SWEEP, err) < 0)
		return -1;
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_GRANT_ADD);
	bind_hash(s, code);
	stmt_text(s, 2, addon_id);
	stmt_int(s, 3, expires_ms);
	return stmt_exec(s, err);
}

int store_addon_grant_find(struct tx *tx, const char *code, char addon_id[37], struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_GRANT_FIND);

	bind_hash(s, code);
	stmt_int(s, 2, clock_wall_ms());
	return row_one(s, fill_id, addon_id, 37, "grant", err);
}

int store_addon_grant_use(struct tx *tx, const char *code, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_GRANT_USE);

	bind_hash(s, code);
	return row_change(tx, s, "grant", err);
}

static int trim(struct tx *tx, const char *addon_id, enum store_addon_token kind, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_TOKEN_TRIM);

	stmt_text(s, 1, addon_id);
	stmt_text(s, 2, kinds[kind]);
	stmt_int(s, 3, LIM_PARTNER_TOKENS);
	return stmt_exec(s, err);
}

static int insert(struct tx *tx, const char *addon_id, enum store_addon_token kind,
		  const char *token, wall_ms expires_ms, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_TOKEN_ADD);

	bind_hash(s, token);
	stmt_text(s, 2, addon_id);
	stmt_text(s, 3, kinds[kind]);
	bind_int_or_null(s, 4, expires_ms, 0);
	stmt_int(s, 5, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_addon_token_add(struct tx *tx, const char *addon_id, enum store_addon_token kind,
			  const char *token, wall_ms expires_ms, struct err *err)
{
	if (sweep(tx, SQL_ADDON_TOKEN_SWEEP, err) < 0 ||
	    insert(tx, addon_id, kind, token, expires_ms, err) < 0)
		return -1;
	return trim(tx, addon_id, kind, err);
}

int store_addon_token_find(struct tx *tx, const char *token, enum store_addon_token kind,
			   char addon_id[37], struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_TOKEN_FIND);

	bind_hash(s, token);
	stmt_text(s, 2, kinds[kind]);
	stmt_int(s, 3, clock_wall_ms());
	return row_one(s, fill_id, addon_id, 37, "token", err);
}
