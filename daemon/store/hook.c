#include "daemon/store/hook.h"
#include "daemon/store/row_int.h"
#include "proto/limits.h"

static void wipe(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

/* --- webhooks --- */

void store_hook_clear(struct store_hook *h)
{
	free(h->url);
	free(h->include);
	wipe(h->secret);
	wipe(h->authorization);
	*h = (struct store_hook){0};
}

void store_hooks_clear(struct store_hooks *l)
{
	for (int i = 0; i < l->n; i++)
		store_hook_clear(&l->v[i]);
	free(l->v);
	*l = (struct store_hooks){0};
}

/* *out is NULL for NULL. */
static int open_col(struct tx *tx, struct stmt *s, int col, char **out, struct err *err)
{
	AUTO(buf_clear) struct buf text = {0};
	size_t n;
	const void *box = stmt_col_blob(s, col, &n);

	*out = NULL;
	if (stmt_col_null(s, col))
		return 0;
	if (secret_open(tx_key(tx), box, n, &text, err) < 0)
		return -1;
	*out = buf_steal(&text);
	return 0;
}

static int fill_hook(struct tx *tx, struct stmt *s, struct store_hook *h, struct err *err)
{
	const char *level = stmt_col_text(s, 4);

	*h = (struct store_hook){0};
	ROW_COPY(s, 0, h->id);
	ROW_COPY(s, 1, h->app_id);
	h->url = stmt_col_dup(s, 2);
	h->include = stmt_col_dup(s, 3);
	h->sync = level && strcmp(level, "sync") == 0;
	h->created_ms = stmt_col_int(s, 7);
	h->updated_ms = stmt_col_int(s, 8);
	if (open_col(tx, s, 5, &h->secret, err) == 0 &&
	    open_col(tx, s, 6, &h->authorization, err) == 0)
		return 0;
	store_hook_clear(h);
	return -1;
}

int store_hook_get(struct tx *tx, const char *app_id, const char *id, struct store_hook *out,
		   struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_HOOK_GET);

	stmt_text(s, 1, id);
	stmt_text(s, 2, app_id);
	if (row_need(s, "app_webhook", err) < 0)
		return -1;
	return fill_hook(tx, s, out, err);
}

int store_hooks_list(struct tx *tx, const char *app_id, struct store_hooks *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_HOOK_LIST);
	AUTO(store_hooks_clear) struct store_hooks l = {0};
	enum stmt_result r;

	stmt_text(s, 1, app_id);
	while ((r = stmt_step(s, err)) == STMT_ROW) {
		l.v = xrealloc(l.v, ((size_t)l.n + 1) * sizeof *l.v);
		if (fill_hook(tx, s, &l.v[l.n], err) < 0)
			return -1;
		l.n++;
	}
	if (r == STMT_FAIL)
		return -1;
	*out = l;
	l = (struct store_hooks){0};
	return 0;
}

static void bind_sealed(struct tx *tx, struct stmt *s, int i, const char *text)
{
	AUTO(buf_clear) struct buf box = {0};

	if (!text || !*text) {
		stmt_null(s, i);
		return;
	}
	secret_seal(tx_key(tx), text, strlen(text), &box);
	stmt_blob(s, i, box.data, box.len);
}

static int check_room(struct tx *tx, const char *app_id, struct err *err)
{
	AUTO(store_hooks_clear) struct store_hooks l = {0};

	if (store_hooks_list(tx, app_id, &l, err) < 0)
		return -1;
	return l.n < LIM_HOOKS_PER_APP
		       ? 0
		       : err_set(err, ERR_INVALID_PARAMS,
				 "An app can have at most %d webhooks; remove one first.",
				 LIM_HOOKS_PER_APP);
}

static int hook_insert(struct tx *tx, const char *id, const char *app_id,
		       const struct store_hook_new *in, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_HOOK_INSERT);

	stmt_text(s, 1, id);
	stmt_text(s, 2, app_id);
	stmt_text(s, 3, in->url);
	stmt_text(s, 4, in->include);
	stmt_text(s, 5, in->sync > 0 ? "sync" : "notify");
	bind_sealed(tx, s, 6, in->secret);
	bind_sealed(tx, s, 7, in->authorization);
	stmt_int(s, 8, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_hook_create(struct tx *tx, const char *app_id, const struct store_hook_new *in,
		      struct store_hook *out, struct err *err)
{
	char id[37];

	uuid_new(id);
	if (check_room(tx, app_id, err) < 0 || hook_insert(tx, id, app_id, in, err) < 0)
		return -1;
	return store_hook_get(tx, app_id, id, out, err);
}

static int hook_write(struct tx *tx, const struct store_hook *was, const struct store_hook_new *in,
		      struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_HOOK_UPDATE);
	bool sync = in->sync < 0 ? was->sync : in->sync > 0;

	stmt_text(s, 1, was->id);
	stmt_text(s, 2, in->url ? in->url : was->url);
	stmt_text(s, 3, in->include ? in->include : was->include);
	stmt_text(s, 4, sync ? "sync" : "notify");
	bind_sealed(tx, s, 5, in->secret ? in->secret : was->secret);
	bind_sealed(tx, s, 6, in->authorization ? in->authorization : was->authorization);
	stmt_int(s, 7, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_hook_update(struct tx *tx, const char *app_id, const char *id,
		      const struct store_hook_new *in, struct store_hook *out, struct err *err)
{
	AUTO(store_hook_clear) struct store_hook was = {0};

	if (store_hook_get(tx, app_id, id, &was, err) < 0 || hook_write(tx, &was, in, err) < 0)
		return -1;
	return store_hook_get(tx, app_id, id, out, err);
}

int store_hook_delete(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_HOOK_DELETE);

	stmt_text(s, 1, id);
	return row_change(tx, s, "app_webhook", err);
}

static int has_row(struct stmt *s, bool *out, struct err *err)
{
	enum stmt_result r = stmt_step(s, err);

	*out = r == STMT_ROW;
	return r == STMT_FAIL ? -1 : 0;
}

int store_hook_wanted(struct tx *tx, const char *app_id, const char *entity, bool *out,
		      struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_HOOK_WANTED);

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, entity);
	return has_row(s, out, err);
}

int store_hook_anywhere(struct tx *tx, const char *entity, const char *or_entity, bool *out,
			struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_HOOK_ANYWHERE);

	stmt_text(s, 1, entity);
	stmt_text(s, 2, or_entity);
	return has_row(s, out, err);
}

/* --- events --- */

void store_event_clear(struct store_event *e)
{
	free(e->include);
	free(e->action);
	free(e->payload);
	*e = (struct store_event){0};
}
ROW_DEFINE_LIST(store_event, store_events)

static void fill_event(struct stmt *s, void *out)
{
	struct store_event *e = out;

	e->seq = stmt_col_int(s, 0);
	ROW_COPY(s, 1, e->id);
	e->include = stmt_col_dup(s, 2);
	e->action = stmt_col_dup(s, 3);
	e->payload = stmt_col_dup(s, 4);
	e->created_ms = stmt_col_int(s, 5);
}

static int event_insert(struct tx *tx, const char *id, const char *app_id, const char *entity,
			const char *action, const char *payload, wall_ms now, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_EVENT_INSERT);

	stmt_text(s, 1, id);
	stmt_text(s, 2, app_id);
	stmt_text(s, 3, entity);
	stmt_text(s, 4, action);
	stmt_text(s, 5, payload);
	stmt_int(s, 6, now);
	return stmt_exec(s, err);
}

static int delivery_insert(struct tx *tx, const char *hook_id, const char *event_id, wall_ms now,
			   struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_DELIVERY_INSERT);
	char id[37];

	uuid_new(id);
	stmt_text(s, 1, id);
	stmt_text(s, 2, hook_id);
	stmt_text(s, 3, event_id);
	stmt_int(s, 4, now);
	return stmt_exec(s, err);
}

static int deliver_to_all(struct tx *tx, const char *app_id, const char *entity,
			  const char *event_id, wall_ms now, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_EVENT_DELIVER_TO);
	enum stmt_result r;

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, entity);
	while ((r = stmt_step(s, err)) == STMT_ROW)
		if (delivery_insert(tx, stmt_col_text(s, 0), event_id, now, err) < 0)
			return -1;
	return r == STMT_DONE ? 0 : -1;
}

static int event_trim(struct tx *tx, const char *app_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_EVENT_TRIM);

	stmt_text(s, 1, app_id);
	stmt_int(s, 2, LIM_HOOK_EVENTS);
	return stmt_exec(s, err);
}

int store_event_add(struct tx *tx, const char *app_id, const char *entity, const char *action,
		    const char *payload, struct err *err)
{
	wall_ms now = clock_wall_ms();
	char id[37];

	uuid_new(id);
	if (event_insert(tx, id, app_id, entity, action, payload, now, err) < 0 ||
	    deliver_to_all(tx, app_id, entity, id, now, err) < 0)
		return -1;
	return event_trim(tx, app_id, err);
}

int store_event_get(struct tx *tx, const char *app_id, const char *id, struct store_event *out,
		    struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_EVENT_GET);

	stmt_text(s, 1, id);
	stmt_text(s, 2, app_id);
	return row_one(s, fill_event, out, sizeof *out, "app_webhook_event", err);
}

int store_event_of(struct tx *tx, const char *event_id, struct store_event *out, struct err *err)
{
	return store_event_get(tx, NULL, event_id, out, err);
}

int store_events_list(struct tx *tx, const char *app_id, struct store_events *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_EVENT_LIST);

	stmt_text(s, 1, app_id);
	return store_event_all(s, fill_event, out, err);
}

/* --- deliveries --- */

void store_delivery_clear(struct store_delivery *d)
{
	free(d->include);
	free(d->last_error);
	*d = (struct store_delivery){0};
}
ROW_DEFINE_LIST(store_delivery, store_deliveries)

static void fill_delivery(struct stmt *s, void *out)
{
	struct store_delivery *d = out;
	const char *level = stmt_col_text(s, 5);

	d->seq = stmt_col_int(s, 0);
	ROW_COPY(s, 1, d->id);
	ROW_COPY(s, 2, d->hook_id);
	ROW_COPY(s, 3, d->event_id);
	d->include = stmt_col_dup(s, 4);
	d->sync = level && strcmp(level, "sync") == 0;
	ROW_COPY(s, 6, d->status);
	d->attempts = (int)stmt_col_int(s, 7);
	d->next_ms = stmt_col_int(s, 8);
	ROW_COPY(s, 9, d->last_id);
	ROW_COPY(s, 10, d->last_status);
	d->last_code = (int)stmt_col_int(s, 11);
	d->last_error = stmt_col_dup(s, 12);
	d->last_ms = stmt_col_int(s, 13);
	d->last_done_ms = stmt_col_int(s, 14);
	d->created_ms = stmt_col_int(s, 15);
	d->updated_ms = stmt_col_int(s, 16);
}

int store_deliveries_list(struct tx *tx, const char *app_id, const char *status,
			  struct store_deliveries *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_DELIVERY_LIST);

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, status);
	stmt_int(s, 3, LIM_HOOK_EVENTS);
	return store_delivery_all(s, fill_delivery, out, err);
}

int store_delivery_get(struct tx *tx, const char *app_id, const char *id,
		       struct store_delivery *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_DELIVERY_GET);

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, id);
	return row_one(s, fill_delivery, out, sizeof *out, "app_webhook_delivery", err);
}

int store_delivery_again(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_DELIVERY_AGAIN);

	stmt_text(s, 1, id);
	stmt_int(s, 2, clock_wall_ms());
	return row_change(tx, s, "app_webhook_delivery", err);
}

int store_hooks_due(struct tx *tx, wall_ms now, struct buf *ids, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_HOOKS_DUE);
	enum stmt_result r;

	stmt_int(s, 1, now);
	while ((r = stmt_step(s, err)) == STMT_ROW) {
		char id[37];

		ROW_COPY(s, 0, id);
		buf_add(ids, id, sizeof id);
	}
	return r == STMT_DONE ? 0 : -1;
}

int store_deliveries_due(struct tx *tx, const char *hook_id, wall_ms now, int64_t after, int limit,
			 struct store_deliveries *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_DELIVERY_DUE);

	stmt_text(s, 1, hook_id);
	stmt_int(s, 2, now);
	stmt_int(s, 3, after);
	stmt_int(s, 4, limit);
	return store_delivery_all(s, fill_delivery, out, err);
}

int store_delivery_next(struct tx *tx, wall_ms now, wall_ms *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_DELIVERY_NEXT);
	enum stmt_result r;

	stmt_int(s, 1, now);
	r = stmt_step(s, err);
	*out = r == STMT_ROW ? stmt_col_int(s, 0) : 0;
	return r == STMT_FAIL ? -1 : 0;
}

int store_delivery_tried(struct tx *tx, const struct store_delivery *d, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_DELIVERY_TRIED);

	stmt_text(s, 1, d->id);
	stmt_text(s, 2, d->status);
	stmt_int(s, 3, d->attempts);
	bind_int_or_null(s, 4, d->next_ms, 0);
	bind_id(s, 5, d->last_id);
	bind_id(s, 6, d->last_status);
	bind_int_or_null(s, 7, d->last_code, 0);
	stmt_text(s, 8, d->last_error);
	stmt_int(s, 9, d->last_ms);
	stmt_int(s, 10, d->last_done_ms);
	return stmt_exec(s, err);
}

static int exec_plain(struct tx *tx, enum sql_id id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, id);

	return stmt_exec(s, err);
}

static int events_prune(struct tx *tx, wall_ms before, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_EVENT_PRUNE);

	stmt_int(s, 1, before);
	return stmt_exec(s, err);
}

int store_hooks_prune(struct tx *tx, wall_ms before, struct err *err)
{
	if (events_prune(tx, before, err) < 0 || exec_plain(tx, SQL_HOOK_PRUNE, err) < 0)
		return -1;
	return exec_plain(tx, SQL_EVENT_PRUNE_LOST, err);
}
