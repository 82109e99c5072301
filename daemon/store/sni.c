#include "daemon/store/sni.h"
#include "daemon/store/row_int.h"
#include "proto/limits.h"

void store_sni_clear(struct store_sni *s)
{
	free(s->name);
	free(s->chain);
	*s = (struct store_sni){0};
}
ROW_DEFINE_LIST(store_sni, store_snis)

static void fill_sni(struct stmt *s, void *out)
{
	struct store_sni *n = out;

	ROW_COPY(s, 0, n->id);
	ROW_COPY(s, 1, n->app_id);
	n->name = stmt_col_dup(s, 2);
	n->chain = stmt_col_dup(s, 3);
	n->ca_signed = stmt_col_int(s, 4) != 0;
	n->created_ms = stmt_col_int(s, 5);
	n->updated_ms = stmt_col_int(s, 6);
}

static int check_count(struct tx *tx, const char *app_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SNI_COUNT);

	stmt_text(s, 1, app_id);
	if (stmt_step(s, err) != STMT_ROW)
		return -1;
	if (stmt_col_int(s, 0) < LIM_SNI_ENDPOINTS)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS, "An app has at most %d certificates.",
		       LIM_SNI_ENDPOINTS);
}

static void bind_key(struct tx *tx, struct stmt *s, int i, const char *key)
{
	AUTO(buf_clear) struct buf box = {0};

	secret_seal(tx_key(tx), key, strlen(key), &box);
	stmt_blob(s, i, box.data, box.len);
}

int store_sni_create(struct tx *tx, const char *app_id, const char *name, const char *chain,
		     const char *key, bool ca_signed, struct store_sni *out, struct err *err)
{
	char id[37];

	if (check_count(tx, app_id, err) < 0)
		return -1;
	uuid_new(id);
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SNI_INSERT);
	stmt_text(s, 1, id);
	stmt_text(s, 2, app_id);
	stmt_text(s, 3, name);
	stmt_text(s, 4, chain);
	bind_key(tx, s, 5, key);
	stmt_int(s, 6, ca_signed);
	stmt_int(s, 7, clock_wall_ms());
	if (stmt_exec(s, err) < 0)
		return -1;
	return store_sni_find(tx, app_id, id, out, err);
}

int store_sni_find(struct tx *tx, const char *app_id, const char *id_or_name, struct store_sni *out,
		   struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SNI_FIND);

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, id_or_name);
	return row_one(s, fill_sni, out, sizeof *out, "sni_endpoint", err);
}

int store_snis_list(struct tx *tx, const char *app_id, struct store_snis *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SNI_LIST);

	stmt_text(s, 1, app_id);
	return store_sni_all(s, fill_sni, out, err);
}

int store_sni_update(struct tx *tx, const char *id, const char *chain, const char *key,
		     bool ca_signed, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SNI_UPDATE);

	stmt_text(s, 1, id);
	stmt_text(s, 2, chain);
	bind_key(tx, s, 3, key);
	stmt_int(s, 4, ca_signed);
	stmt_int(s, 5, clock_wall_ms());
	return row_change(tx, s, "sni_endpoint", err);
}

static int leave_domains(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_DOMAIN_TOUCH_SNI);

	stmt_text(s, 1, id);
	stmt_int(s, 2, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_sni_delete(struct tx *tx, const char *id, struct err *err)
{
	if (leave_domains(tx, id, err) < 0)
		return -1;
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SNI_DELETE);
	stmt_text(s, 1, id);
	return row_change(tx, s, "sni_endpoint", err);
}

void store_sni_domains_free(char **pairs)
{
	for (char **p = pairs; p && *p; p++)
		free(*p);
	free(pairs);
}

int store_sni_domains(struct tx *tx, const char *id, char ***out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SNI_DOMAINS);
	char **list = xcalloc(1, sizeof *list);
	enum stmt_result r;
	size_t n = 0;

	stmt_text(s, 1, id);
	while ((r = stmt_step(s, err)) == STMT_ROW) {
		list = xrealloc(list, (n + 3) * sizeof *list);
		list[n++] = stmt_col_dup(s, 0);
		list[n++] = stmt_col_dup(s, 1);
		list[n] = NULL;
	}
	if (r == STMT_FAIL) {
		store_sni_domains_free(list);
		return -1;
	}
	*out = list;
	return 0;
}

/* 1: found; 0: no such domain, or without a certificate. */
static int pair_of(struct tx *tx, const char *host, char **chain, char **key, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SNI_OF_HOST);
	AUTO(buf_clear) struct buf text = {0};
	const void *box;
	size_t n;

	stmt_text(s, 1, host);
	switch (stmt_step(s, err)) {
	case STMT_DONE:
		return 0;
	case STMT_FAIL:
		return -1;
	case STMT_ROW:
		break;
	}
	box = stmt_col_blob(s, 1, &n);
	if (secret_open(tx_key(tx), box, n, &text, err) < 0)
		return -1;
	*chain = stmt_col_dup(s, 0);
	*key = xstrndup(buf_str(&text), text.len);
	explicit_bzero(text.data, text.len);
	return 1;
}

int store_sni_of_host(struct tx *tx, const char *host, char **chain, char **key, struct err *err)
{
	char wild[256];
	int rc = pair_of(tx, host, chain, key, err);
	size_t n = strlen(host);

	if (n >= sizeof wild)
		return err_not_found(err, "sni_endpoint");
	memcpy(wild, host, n + 1);
	for (size_t i = 1; rc == 0 && i < n; i++)
		if (host[i] == '.') {
			wild[i - 1] = '*';
			rc = pair_of(tx, wild + i - 1, chain, key, err);
		}
	return rc > 0 ? 0 : rc < 0 ? -1 : err_not_found(err, "sni_endpoint");
}
