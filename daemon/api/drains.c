/* Log drains. Their URLs hold the credentials of other services: those who may change the app see
 * them whole, others where the log goes, and no more. */
#include "daemon/api/api_int.h"
#include "daemon/store/drain.h"
#include "proto/limits.h"

#include <stdio.h>
#include <string.h>

const struct api_field api_fields_drain_create[] = {
	{"url", F_LINE, F_REQUIRED, 1, LIM_OUT_URL,
	 .text = "syslog://HOST:PORT, syslog+tls://HOST:PORT, https://[USER:PASSWORD@]HOST/PATH"},
	{0},
};

static bool sees_urls(const struct api_req *q)
{
	return q->partner[0] || (q->perms & STORE_OPERATE);
}

json_t *api_drain_json(struct api_req *q, const struct store_drain *d)
{
	AUTO(auto_str) char *hidden = sees_urls(q) ? NULL : drain_url_hide(d->url);
	json_t *addon = d->addon_name ? json_pack("{s:s, s:s, s:o}", "id", d->addon_id, "name",
						  d->addon_name, "app", json_app_ref(&q->app))
				      : json_null();

	return json_pack("{s:o, s:o, s:o, s:s, s:s, s:o, s:o}", "addon", addon, "app",
			 json_app_ref(&q->app), "created_at", json_time(d->created_ms), "id", d->id,
			 "token", d->token, "updated_at", json_time(d->updated_ms), "url",
			 json_text(hidden ? hidden : d->url));
}

struct drain_q {
	struct api_req *q;
	const char *url;
	struct store_drains list;
	struct store_drain one;
};

static int read_drains(struct tx *tx, void *arg, struct err *err)
{
	struct drain_q *t = arg;

	return store_drains_list(tx, t->q->app.id, &t->list, err);
}

static int read_drain(struct tx *tx, void *arg, struct err *err)
{
	struct drain_q *t = arg;

	store_drain_clear(&t->one);
	return store_drain_find(tx, t->q->app.id, t->q->params[1], sees_urls(t->q), &t->one, err);
}

static int write_drain(struct tx *tx, void *arg, struct err *err)
{
	struct drain_q *t = arg;

	store_drain_clear(&t->one);
	return store_drain_create(tx, t->q->app.id, t->url, &t->one, err);
}

static int delete_drain(struct tx *tx, void *arg, struct err *err)
{
	struct drain_q *t = arg;

	if (read_drain(tx, t, err) < 0)
		return -1;
	if (t->one.addon_id[0])
		return err_set(err, ERR_INVALID_PARAMS,
			       "This drain is of the add-on %s, and goes with it.",
			       t->one.addon_name);
	return store_drain_delete(tx, t->one.id, err);
}

int api_drains_list(struct api_req *q, struct err *err)
{
	struct drain_q t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_drains, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.list.n; i++)
		json_array_append_new(list, api_drain_json(q, &t.list.v[i]));
	store_drains_clear(&t.list);
	return api_list(q, list, "id created_at updated_at", err);
}

int api_drains_info(struct api_req *q, struct err *err)
{
	struct drain_q t = {.q = q};

	if (store_read(q->d->store, read_drain, &t, err) < 0)
		return -1;
	api_ok(q, 200, api_drain_json(q, &t.one));
	store_drain_clear(&t.one);
	return 0;
}

static void audit_drain(struct api_req *q, const char *action, const struct store_drain *d)
{
	AUTO(auto_str) char *shown = drain_url_hide(d->url);

	api_audit(q, action, "%s %s", d->token, shown);
}

int api_drains_create(struct api_req *q, struct err *err)
{
	struct drain_q t = {.q = q, .url = api_get_str(q->body, "url")};
	AUTO(drain_url_clear) struct drain_url u = {0};

	if (drain_url_parse(t.url, &u, err) < 0)
		return -1;
	if (store_tx(q->d->store, write_drain, &t, err) < 0) {
		store_drain_clear(&t.one);
		return -1;
	}
	drains_add(q->d->drains, t.one.id, t.one.app_id, t.one.token, t.one.url);
	audit_drain(q, "drain.add", &t.one);
	api_ok(q, 201, api_drain_json(q, &t.one));
	store_drain_clear(&t.one);
	return 0;
}

int api_drains_delete(struct api_req *q, struct err *err)
{
	struct drain_q t = {.q = q};
	int rc = store_tx(q->d->store, delete_drain, &t, err);

	if (rc == 0) {
		drains_remove(q->d->drains, t.one.id);
		audit_drain(q, "drain.remove", &t.one);
		api_ok(q, 200, api_drain_json(q, &t.one));
	}
	store_drain_clear(&t.one);
	return rc;
}
