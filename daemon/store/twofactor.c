#include "daemon/store/identity.h"
#include "daemon/store/row_int.h"

#include <sodium.h>

void store_two_factor_clear(struct store_two_factor *t)
{
	if (t->secret.data)
		sodium_memzero(t->secret.data, t->secret.cap);
	buf_clear(&t->secret);
	*t = (struct store_two_factor){0};
}

int store_two_factor_get(struct tx *tx, const char *user_id, struct store_two_factor *out,
			 struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_TWO_FACTOR_GET);
	enum stmt_result r;
	const void *box;
	size_t n;

	*out = (struct store_two_factor){0};
	stmt_text(s, 1, user_id);
	r = stmt_step(s, err);
	if (r != STMT_ROW)
		return r == STMT_DONE ? 0 : -1;
	box = stmt_col_blob(s, 0, &n);
	if (secret_open(tx_key(tx), box, n, &out->secret, err) < 0)
		return -1;
	out->enrolled = true;
	out->confirmed = stmt_col_int(s, 1) != 0;
	out->last_step = stmt_col_int(s, 2);
	out->created_ms = stmt_col_int(s, 3);
	out->codes_left = (int)stmt_col_int(s, 4);
	return 0;
}

int store_two_factor_enrol(struct tx *tx, const char *user_id, const void *secret, size_t n,
			   struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_TWO_FACTOR_PUT);
	AUTO(buf_clear) struct buf box = {0};

	secret_seal(tx_key(tx), secret, n, &box);
	stmt_text(s, 1, user_id);
	stmt_blob(s, 2, box.data, box.len);
	stmt_int(s, 3, clock_wall_ms());
	return stmt_exec(s, err);
}

bool store_two_factor_take_step(struct tx *tx, const char *user_id, int64_t step)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_TWO_FACTOR_STEP);

	stmt_text(s, 1, user_id);
	stmt_int(s, 2, step);
	return stmt_exec(s, NULL) == 0 && tx_changes(tx) == 1;
}

static int recovery_clear(struct tx *tx, const char *user_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_RECOVERY_DELETE);

	stmt_text(s, 1, user_id);
	return stmt_exec(s, err);
}

int store_two_factor_remove(struct tx *tx, const char *user_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_TWO_FACTOR_DELETE);

	stmt_text(s, 1, user_id);
	return stmt_exec(s, err) < 0 || recovery_clear(tx, user_id, err) < 0 ? -1 : 0;
}

/* The codes are random enough for a plain hash; the account's id keeps equal hashes apart. */
static void code_hash(const char *user_id, const char *code, char out[65])
{
	AUTO(auto_str) char *text = xasprintf("%s/%s", user_id, code);

	sha256_hex(text, strlen(text), out);
	sodium_memzero(text, strlen(text));
}

static int recovery_insert(struct tx *tx, const char *user_id, const char *code, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_RECOVERY_INSERT);
	char hash[65];

	code_hash(user_id, code, hash);
	stmt_text(s, 1, user_id);
	stmt_text(s, 2, hash);
	return stmt_exec(s, err);
}

int store_recovery_set(struct tx *tx, const char *user_id, const char *const codes[], int n,
		       struct err *err)
{
	if (recovery_clear(tx, user_id, err) < 0)
		return -1;
	for (int i = 0; i < n; i++)
		if (recovery_insert(tx, user_id, codes[i], err) < 0)
			return -1;
	return 0;
}

bool store_recovery_use(struct tx *tx, const char *user_id, const char *code)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_RECOVERY_USE);
	char hash[65];

	code_hash(user_id, code, hash);
	stmt_text(s, 1, user_id);
	stmt_text(s, 2, hash);
	stmt_int(s, 3, clock_wall_ms());
	return stmt_exec(s, NULL) == 0 && tx_changes(tx) == 1;
}
