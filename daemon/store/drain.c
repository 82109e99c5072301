#include "daemon/store/drain.h"
#include "daemon/store/row_int.h"
#include "proto/limits.h"

void store_drain_clear(struct store_drain *d)
{
	if (d->url)
		explicit_bzero(d->url, strlen(d->url));
	free(d->url);
	free(d->addon_name);
	*d = (struct store_drain){0};
}

void store_drains_clear(struct store_drains *l)
{
	for (int i = 0; i < l->n; i++)
		store_drain_clear(&l->v[i]);
	free(l->v);
	*l = (struct store_drains){0};
}

struct sealed { /* a row before it is opened: filling cannot fail */
	struct store_drain d;
	struct buf box;
};

static void fill_sealed(struct stmt *s, struct sealed *r)
{
	size_t n;
	const void *box = stmt_col_blob(s, 3, &n);

	ROW_COPY(s, 0, r->d.id);
	ROW_COPY(s, 1, r->d.app_id);
	ROW_COPY(s, 2, r->d.token);
	buf_reset(&r->box);
	buf_add(&r->box, box, n);
	r->d.created_ms = stmt_col_int(s, 4);
	r->d.updated_ms = stmt_col_int(s, 5);
	ROW_COPY(s, 6, r->d.addon_id);
	r->d.addon_name = stmt_col_dup(s, 7);
}

static int open_row(struct tx *tx, struct stmt *s, struct store_drain *out, struct err *err)
{
	struct sealed r = {0};
	AUTO(buf_clear) struct buf url = {0};
	int rc;

	fill_sealed(s, &r);
	rc = secret_open(tx_key(tx), r.box.data, r.box.len, &url, err);
	buf_clear(&r.box);
	if (rc < 0) {
		store_drain_clear(&r.d);
		return -1;
	}
	*out = r.d;
	out->url = buf_steal(&url);
	return 0;
}

int store_drains_list(struct tx *tx, const char *app_id, struct store_drains *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_DRAIN_LIST);
	AUTO(store_drains_clear) struct store_drains l = {0};
	enum stmt_result r;

	stmt_text(s, 1, app_id);
	while ((r = stmt_step(s, err)) == STMT_ROW) {
		l.v = xrealloc(l.v, ((size_t)l.n + 1) * sizeof *l.v);
		l.v[l.n] = (struct store_drain){0};
		if (open_row(tx, s, &l.v[l.n], err) < 0)
			return -1;
		l.n++;
	}
	if (r == STMT_FAIL)
		return -1;
	*out = l;
	l = (struct store_drains){0};
	return 0;
}

/* URLs are sealed, each time otherwise: they are compared open, which for a handful is no work. */
int store_drain_find(struct tx *tx, const char *app_id, const char *which, bool by_url,
		     struct store_drain *out, struct err *err)
{
	AUTO(store_drains_clear) struct store_drains l = {0};

	if (store_drains_list(tx, app_id, &l, err) < 0)
		return -1;
	for (int i = 0; i < l.n; i++) {
		struct store_drain *d = &l.v[i];

		if (strcmp(d->id, which) != 0 && strcmp(d->token, which) != 0 &&
		    !(by_url && strcmp(d->url, which) == 0))
			continue;
		*out = *d;
		*d = (struct store_drain){0};
		return 0;
	}
	return err_not_found(err, "log_drain");
}

static int check_room(struct tx *tx, const char *app_id, const char *url, struct err *err)
{
	AUTO(store_drains_clear) struct store_drains l = {0};

	if (store_drains_list(tx, app_id, &l, err) < 0)
		return -1;
	for (int i = 0; i < l.n; i++)
		if (strcmp(l.v[i].url, url) == 0)
			return err_set(err, ERR_INVALID_PARAMS, "Url has already been taken");
	if (l.n >= LIM_DRAINS_PER_APP)
		return err_set(err, ERR_INVALID_PARAMS,
			       "An app can have at most %d log drains; remove one first.",
			       LIM_DRAINS_PER_APP);
	return 0;
}

/* d: id, app and token; addon_id may be "". */
static int insert(struct tx *tx, struct store_drain *d, const char *url, struct err *err)
{
	AUTO(buf_clear) struct buf box = {0};
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_DRAIN_INSERT);

	d->created_ms = d->updated_ms = clock_wall_ms();
	secret_seal(tx_key(tx), url, strlen(url), &box);
	stmt_text(s, 1, d->id);
	stmt_text(s, 2, d->app_id);
	stmt_text(s, 3, d->token);
	stmt_blob(s, 4, box.data, box.len);
	stmt_int(s, 5, d->created_ms);
	bind_id(s, 6, d->addon_id);
	if (stmt_exec(s, err) < 0)
		return -1;
	d->url = xstrdup(url);
	return 0;
}

int store_drain_create(struct tx *tx, const char *app_id, const char *url, struct store_drain *out,
		       struct err *err)
{
	struct store_drain d = {.token = "d."};

	if (check_room(tx, app_id, url, err) < 0)
		return -1;
	uuid_new(d.id);
	uuid_new(d.token + 2);
	snprintf(d.app_id, sizeof d.app_id, "%s", app_id);
	if (insert(tx, &d, url, err) < 0)
		return -1;
	*out = d;
	return 0;
}

int store_drain_of_addon(struct tx *tx, const char *addon_id, struct store_drain *out,
			 struct err *err)
{
	AUTO(store_drains_clear) struct store_drains l = {0};

	if (store_drains_list(tx, NULL, &l, err) < 0)
		return -1;
	for (int i = 0; i < l.n; i++)
		if (strcmp(l.v[i].addon_id, addon_id) == 0) {
			*out = l.v[i];
			l.v[i] = (struct store_drain){0};
			return 0;
		}
	return err_not_found(err, "log_drain");
}

int store_drain_put(struct tx *tx, const char *app_id, const char *addon_id, const char *token,
		    const char *url, struct store_drain *out, char old_id[37], struct err *err)
{
	AUTO(store_drain_clear) struct store_drain old = {0};
	struct store_drain d = {0};
	struct err e = {0};

	old_id[0] = 0;
	if (store_drain_of_addon(tx, addon_id, &old, &e) == 0) {
		if (strcmp(old.url, url) == 0) {
			*out = old;
			old = (struct store_drain){0};
			return 0;
		}
		memcpy(old_id, old.id, 37);
		if (store_drain_delete(tx, old.id, err) < 0)
			return -1;
	} else if (e.code != ERR_NOT_FOUND) {
		*err = e;
		return -1;
	}
	if (check_room(tx, app_id, url, err) < 0)
		return -1;
	uuid_new(d.id);
	snprintf(d.app_id, sizeof d.app_id, "%s", app_id);
	snprintf(d.addon_id, sizeof d.addon_id, "%s", addon_id);
	snprintf(d.token, sizeof d.token, "%s", token);
	if (insert(tx, &d, url, err) < 0)
		return -1;
	*out = d;
	return 0;
}

int store_drain_delete(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_DRAIN_DELETE);

	stmt_text(s, 1, id);
	return row_change(tx, s, "log_drain", err);
}
