#include "daemon/store/row_int.h"

DEFINE_AUTO(json_t *, json_decref)

int row_need(struct stmt *s, const char *resource, struct err *err)
{
	switch (stmt_step(s, err)) {
	case STMT_ROW:
		return 0;
	case STMT_DONE:
		return err_not_found(err, resource);
	default:
		return -1;
	}
}

int row_one(struct stmt *s, row_fn *fill, void *out, size_t size, const char *resource,
	    struct err *err)
{
	if (row_need(s, resource, err) < 0)
		return -1;
	memset(out, 0, size);
	fill(s, out);
	return 0;
}

int row_all(struct stmt *s, row_fn *fill, void (*clear)(void *), void **v, int *n, size_t size,
	    struct err *err)
{
	enum stmt_result r;
	char *list = NULL;
	int count = 0, cap = 0;

	while ((r = stmt_step(s, err)) == STMT_ROW) {
		if (count == cap) {
			cap = cap ? cap * 2 : 8;
			list = xrealloc(list, (size_t)cap * size);
		}
		memset(list + (size_t)count * size, 0, size);
		fill(s, list + (size_t)count++ * size);
	}
	if (r == STMT_FAIL) {
		while (count > 0)
			clear(list + (size_t)--count * size);
		free(list);
		return -1;
	}
	*v = list;
	*n = count;
	return 0;
}

int row_change(struct tx *tx, struct stmt *s, const char *resource, struct err *err)
{
	if (stmt_exec(s, err) < 0)
		return -1;
	return tx_changes(tx) ? 0 : err_not_found(err, resource);
}

int row_set(struct tx *tx, enum sql_id sql, const char *id, const char *value, const char *resource,
	    struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, sql);

	stmt_text(s, 1, id);
	stmt_text(s, 2, value);
	stmt_int(s, 3, clock_wall_ms());
	return row_change(tx, s, resource, err);
}

void row_copy(struct stmt *s, int col, char *out, size_t cap)
{
	const char *t = stmt_col_text(s, col);
	size_t n = t ? strnlen(t, cap - 1) : 0;

	if (n)
		memcpy(out, t, n);
	out[n] = 0;
}

int64_t row_int_or(struct stmt *s, int col, int64_t none)
{
	return stmt_col_null(s, col) ? none : stmt_col_int(s, col);
}

void row_seal_json(struct tx *tx, struct stmt *s, int i, const json_t *v)
{
	AUTO(auto_str)
	char *text = v ? json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS) : xstrdup("{}");
	AUTO(buf_clear) struct buf box = {0};

	if (!text)
		abort(); /* not an object, or no memory: a programming error */
	secret_seal(tx_key(tx), text, strlen(text), &box);
	explicit_bzero(text, strlen(text));
	stmt_blob(s, i, box.data, box.len);
}

int row_open_json(struct tx *tx, struct stmt *s, int col, json_t **out, struct err *err)
{
	AUTO(buf_clear) struct buf text = {0};
	AUTO(json_decref) json_t *v = NULL;
	size_t n;
	const void *box = stmt_col_blob(s, col, &n);

	if (secret_open(tx_key(tx), box, n, &text, err) < 0)
		return -1;
	v = json_loadb(buf_str(&text), text.len, 0, NULL);
	if (text.len)
		explicit_bzero(text.data, text.len);
	if (!json_is_object(v))
		return err_set(err, ERR_CORRUPT, "a sealed value is no JSON object");
	*out = STEAL(v);
	return 0;
}
