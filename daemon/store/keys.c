#include "daemon/store/identity.h"
#include "daemon/store/row_int.h"

void store_key_clear(struct store_key *k)
{
	free(k->fingerprint);
	free(k->public_key);
	free(k->comment);
	*k = (struct store_key){0};
}
ROW_DEFINE_LIST(store_key, store_keys)

static void fill_key(struct stmt *s, void *out)
{
	struct store_key *k = out;

	ROW_COPY(s, 0, k->id);
	ROW_COPY(s, 1, k->user_id);
	k->fingerprint = stmt_col_dup(s, 2);
	k->public_key = stmt_col_dup(s, 3);
	k->comment = stmt_col_dup(s, 4);
	k->created_ms = stmt_col_int(s, 5);
	k->updated_ms = stmt_col_int(s, 6);
}

static int room_for_key(struct tx *tx, const char *user_id, int max, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_KEY_COUNT);

	stmt_text(s, 1, user_id);
	if (stmt_step(s, err) != STMT_ROW)
		return -1;
	return stmt_col_int(s, 0) < max
		       ? 0
		       : err_set(err, ERR_INVALID_PARAMS, "An account has at most %d keys.", max);
}

static int key_insert(struct tx *tx, const char *id, const char *user_id, const char *fingerprint,
		      const char *public_key, const char *comment, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_KEY_INSERT);
	struct err e = {0};

	stmt_text(s, 1, id);
	stmt_text(s, 2, user_id);
	stmt_text(s, 3, fingerprint);
	stmt_text(s, 4, public_key);
	stmt_text(s, 5, comment);
	stmt_int(s, 6, clock_wall_ms());
	if (stmt_exec(s, &e) == 0)
		return 0;
	if (e.code == ERR_CONFLICT)
		return err_set(err, ERR_INVALID_PARAMS, "The account has this key already: %s.",
			       fingerprint);
	if (err)
		*err = e;
	return -1;
}

int store_key_add(struct tx *tx, const char *user_id, const char *fingerprint,
		  const char *public_key, const char *comment, int max, struct store_key *out,
		  struct err *err)
{
	char id[37];

	uuid_new(id);
	if (room_for_key(tx, user_id, max, err) < 0 ||
	    key_insert(tx, id, user_id, fingerprint, public_key, comment, err) < 0)
		return -1;
	return store_key_get(tx, user_id, id, out, err);
}

int store_key_get(struct tx *tx, const char *user_id, const char *which, struct store_key *out,
		  struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_KEY_GET);

	stmt_text(s, 1, user_id);
	stmt_text(s, 2, which);
	return row_one(s, fill_key, out, sizeof *out, "key", err);
}

int store_keys_list(struct tx *tx, const char *user_id, struct store_keys *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_KEY_LIST);

	stmt_text(s, 1, user_id);
	return store_key_all(s, fill_key, out, err);
}

int store_key_delete(struct tx *tx, const char *user_id, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_KEY_DELETE);

	stmt_text(s, 1, user_id);
	stmt_text(s, 2, id);
	return row_change(tx, s, "key", err);
}
