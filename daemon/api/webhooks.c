/* Webhooks: subscriptions, and what became of the events that they were told of. */
#include "daemon/api/api_int.h"
#include "daemon/hook/hook.h"
#include "daemon/store/hook.h"
#include "proto/limits.h"

#include <string.h>

static const struct api_field entity_field = {NULL, F_LINE, .min = 1, .max = 64};
const struct api_field api_fields_webhook_create[] = {
	{"include", F_LIST, F_REQUIRED, 1, 20, .of = &entity_field, .text = "api:release ..."},
	{"level", F_LINE, F_REQUIRED, .choice = "notify|sync"},
	{"url", F_URI, F_REQUIRED},
	{"secret", F_LINE, F_NULL, 1, LIM_HOOK_SECRET, .text = "made up when absent"},
	{"authorization", F_LINE, F_NULL, 0, 1024, .text = "sent as the header of that name"},
	{0},
};
const struct api_field api_fields_webhook_update[] = {
	{"include", F_LIST, 0, 1, 20, .of = &entity_field},
	{"level", F_LINE, .choice = "notify|sync"},
	{"url", F_URI},
	{"secret", F_LINE, F_NULL, 1, LIM_HOOK_SECRET, .text = "null: a new one"},
	{"authorization", F_LINE, F_NULL, 0, 1024, .text = "null: none"},
	{0},
};

struct hook_q {
	struct api_req *q;
	struct store_hook_new in;
	char *include, *secret; /* owned */
	const char *status;
	struct store_hooks hooks;
	struct store_hook hook;
	struct store_events events;
	struct store_event event;
	struct store_deliveries deliveries;
	struct store_delivery delivery;
};

static void clear(struct hook_q *t)
{
	free(STEAL(t->include));
	free(STEAL(t->secret));
	store_hooks_clear(&t->hooks);
	store_hook_clear(&t->hook);
	store_events_clear(&t->events);
	store_event_clear(&t->event);
	store_deliveries_clear(&t->deliveries);
	store_delivery_clear(&t->delivery);
}
#define clear_p clear

/* --- as JSON --- */

static json_t *hook_json(struct api_req *q, const struct store_hook *h)
{
	json_t *include = json_loads(h->include, 0, NULL);

	return json_pack("{s:o, s:o, s:s, s:o, s:s, s:o, s:o}", "app", json_app_ref(&q->app),
			 "created_at", json_time(h->created_ms), "id", h->id, "include",
			 include ? include : json_array(), "level", h->sync ? "sync" : "notify",
			 "updated_at", json_time(h->updated_ms), "url", json_text(h->url));
}

/* ".seq": for the order of lists only (api_list). */
static json_t *event_json(const struct store_event *e)
{
	json_t *payload = json_loads(e->payload, 0, NULL);

	return json_pack("{s:o, s:s, s:s, s:o, s:o, s:I}", "created_at", json_time(e->created_ms),
			 "id", e->id, "include", e->include, "payload",
			 payload ? payload : json_object(), "updated_at", json_time(e->created_ms),
			 ".seq", (json_int_t)e->seq);
}

static json_t *attempt_json(const struct store_delivery *d)
{
	if (!d->last_id[0])
		return json_null();
	return json_pack("{s:s, s:o, s:o, s:s, s:o, s:o}", "id", d->last_id, "code",
			 d->last_code ? json_integer(d->last_code) : json_null(), "error_class",
			 json_str_or_null(d->last_error), "status", d->last_status, "created_at",
			 json_time(d->last_ms), "updated_at", json_time(d->last_done_ms));
}

static json_t *delivery_json(const struct store_delivery *d)
{
	return json_pack("{s:o, s:{s:s, s:s}, s:s, s:i, s:o, s:o, s:s, s:o, s:{s:s, s:s}, s:I}",
			 "created_at", json_time(d->created_ms), "event", "id", d->event_id,
			 "include", d->include, "id", d->id, "num_attempts", d->attempts,
			 "next_attempt_at", json_time(d->next_ms), "last_attempt", attempt_json(d),
			 "status", d->status, "updated_at", json_time(d->updated_ms), "webhook",
			 "id", d->hook_id, "level", d->sync ? "sync" : "notify", ".seq",
			 (json_int_t)d->seq);
}

/* An answer of its own has no use for the order in a list. */
static int answer(struct api_req *q, int status, json_t *one)
{
	json_object_del(one, ".seq");
	return api_ok(q, status, one);
}

/* --- subscriptions --- */

static int check_url(const char *url, struct err *err)
{
	AUTO(drain_url_clear) struct drain_url u = {0};

	if (!url)
		return 0;
	if (drain_url_parse(url, &u, err) < 0)
		return -1;
	/* Everybody who sees the app sees the URL. */
	return u.user ? err_set(err, ERR_INVALID_PARAMS,
				"Url takes no user and password; use authorization.")
		      : 0;
}

static int read_fields(struct hook_q *t, struct err *err)
{
	const json_t *body = t->q->body, *include = json_object_get(body, "include"), *v;
	const char *level = api_get_str(body, "level");
	size_t i;

	json_array_foreach(include, i, v)
	{
		if (!hook_entity_known(json_string_value(v)))
			return err_set(err, ERR_INVALID_PARAMS, "Include takes no %.60s.",
				       json_string_value(v));
	}
	t->in.url = api_get_str(body, "url");
	t->in.sync = level ? strcmp(level, "sync") == 0 : -1;
	t->in.secret = api_get_str(body, "secret");
	t->in.authorization = api_get_str(body, "authorization");
	if (json_is_null(json_object_get(body, "authorization")))
		t->in.authorization = "";
	if (json_is_array(include))
		t->in.include = t->include = json_dumps(include, JSON_COMPACT);
	return check_url(t->in.url, err);
}

static void make_secret(struct hook_q *t)
{
	if (t->in.secret)
		return;
	t->secret = xcalloc(1, 65);
	random_hex(t->secret, 64);
	t->in.secret = t->secret;
}

static int write_hook(struct tx *tx, void *arg, struct err *err)
{
	struct hook_q *t = arg;

	store_hook_clear(&t->hook);
	return store_hook_create(tx, t->q->app.id, &t->in, &t->hook, err);
}

static int update_hook(struct tx *tx, void *arg, struct err *err)
{
	struct hook_q *t = arg;

	store_hook_clear(&t->hook);
	return store_hook_update(tx, t->q->app.id, t->q->params[1], &t->in, &t->hook, err);
}

static int read_hook(struct tx *tx, void *arg, struct err *err)
{
	struct hook_q *t = arg;

	store_hook_clear(&t->hook);
	return store_hook_get(tx, t->q->app.id, t->q->params[1], &t->hook, err);
}

static int delete_hook(struct tx *tx, void *arg, struct err *err)
{
	struct hook_q *t = arg;

	return read_hook(tx, t, err) < 0 ? -1 : store_hook_delete(tx, t->hook.id, err);
}

static int read_hooks(struct tx *tx, void *arg, struct err *err)
{
	struct hook_q *t = arg;

	return store_hooks_list(tx, t->q->app.id, &t->hooks, err);
}

int api_webhooks_list(struct api_req *q, struct err *err)
{
	AUTO(clear) struct hook_q t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_hooks, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.hooks.n; i++)
		json_array_append_new(list, hook_json(q, &t.hooks.v[i]));
	return api_list(q, list, "id created_at updated_at", err);
}

int api_webhooks_create(struct api_req *q, struct err *err)
{
	AUTO(clear) struct hook_q t = {.q = q};

	if (read_fields(&t, err) < 0)
		return -1;
	make_secret(&t);
	if (store_tx(q->d->store, write_hook, &t, err) < 0)
		return -1;
	hooks_changed(q->d->hooks);
	api_audit(q, "webhook.add", "%s", t.hook.id);
	http_set(q->x, "Heroku-Webhook-Secret", t.in.secret);
	return api_ok(q, 201, hook_json(q, &t.hook));
}

int api_webhooks_update(struct api_req *q, struct err *err)
{
	AUTO(clear) struct hook_q t = {.q = q};

	if (read_fields(&t, err) < 0)
		return -1;
	if (json_is_null(json_object_get(q->body, "secret")))
		make_secret(&t);
	if (store_tx(q->d->store, update_hook, &t, err) < 0)
		return -1;
	hooks_changed(q->d->hooks);
	api_audit(q, "webhook.update", "%s", t.hook.id);
	if (t.in.secret)
		http_set(q->x, "Heroku-Webhook-Secret", t.in.secret);
	return api_ok(q, 200, hook_json(q, &t.hook));
}

int api_webhooks_info(struct api_req *q, struct err *err)
{
	AUTO(clear) struct hook_q t = {.q = q};

	if (store_read(q->d->store, read_hook, &t, err) < 0)
		return -1;
	return api_ok(q, 200, hook_json(q, &t.hook));
}

int api_webhooks_delete(struct api_req *q, struct err *err)
{
	AUTO(clear) struct hook_q t = {.q = q};

	if (store_tx(q->d->store, delete_hook, &t, err) < 0)
		return -1;
	hooks_changed(q->d->hooks);
	api_audit(q, "webhook.remove", "%s", t.hook.id);
	return api_ok(q, 200, hook_json(q, &t.hook));
}

/* --- events, deliveries --- */

static int read_events(struct tx *tx, void *arg, struct err *err)
{
	struct hook_q *t = arg;

	return store_events_list(tx, t->q->app.id, &t->events, err);
}

static int read_event(struct tx *tx, void *arg, struct err *err)
{
	struct hook_q *t = arg;

	return store_event_get(tx, t->q->app.id, t->q->params[1], &t->event, err);
}

int api_webhook_events_list(struct api_req *q, struct err *err)
{
	AUTO(clear) struct hook_q t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_events, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.events.n; i++)
		json_array_append_new(list, event_json(&t.events.v[i]));
	return api_list(q, list, "seq id created_at updated_at", err);
}

int api_webhook_events_info(struct api_req *q, struct err *err)
{
	AUTO(clear) struct hook_q t = {.q = q};

	if (store_read(q->d->store, read_event, &t, err) < 0)
		return -1;
	return answer(q, 200, event_json(&t.event));
}

/* ?eq[status]=failed, as it comes or with its brackets encoded. NULL = none. */
static int read_status(struct api_req *q, char **out, struct err *err)
{
	static const char *const known[] = {"pending", "scheduled", "retrying", "failed",
					    "succeeded"};
	AUTO(buf_clear) struct buf b = {0};
	const char *p;
	size_t n;

	*out = NULL;
	if (percent_decode(http_query(q->x), strlen(http_query(q->x)), true, &b) < 0 ||
	    !(p = strstr(buf_str(&b), "eq[status]=")))
		return 0;
	p += strlen("eq[status]=");
	n = strcspn(p, "&");
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strlen(known[i]) == n && memcmp(known[i], p, n) == 0) {
			*out = xstrdup(known[i]);
			return 0;
		}
	return err_set(err, ERR_INVALID_PARAMS,
		       "Status is pending, scheduled, retrying, failed or succeeded.");
}

static int read_deliveries(struct tx *tx, void *arg, struct err *err)
{
	struct hook_q *t = arg;

	return store_deliveries_list(tx, t->q->app.id, t->status, &t->deliveries, err);
}

static int read_delivery(struct tx *tx, void *arg, struct err *err)
{
	struct hook_q *t = arg;

	store_delivery_clear(&t->delivery);
	return store_delivery_get(tx, t->q->app.id, t->q->params[1], &t->delivery, err);
}

int api_webhook_deliveries_list(struct api_req *q, struct err *err)
{
	AUTO(clear) struct hook_q t = {.q = q};
	AUTO(auto_str) char *status = NULL;
	json_t *list;

	if (read_status(q, &status, err) < 0)
		return -1;
	t.status = status;
	if (store_read(q->d->store, read_deliveries, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.deliveries.n; i++)
		json_array_append_new(list, delivery_json(&t.deliveries.v[i]));
	return api_list(q, list, "seq id created_at updated_at", err);
}

int api_webhook_deliveries_info(struct api_req *q, struct err *err)
{
	AUTO(clear) struct hook_q t = {.q = q};

	if (store_read(q->d->store, read_delivery, &t, err) < 0)
		return -1;
	return answer(q, 200, delivery_json(&t.delivery));
}

static int write_retry(struct tx *tx, void *arg, struct err *err)
{
	struct hook_q *t = arg;

	if (read_delivery(tx, t, err) < 0)
		return -1;
	if (t->delivery.next_ms && !t->delivery.attempts)
		return err_set(err, ERR_INVALID_PARAMS, "This delivery has not been tried yet.");
	return store_delivery_again(tx, t->delivery.id, err) < 0 ? -1 : read_delivery(tx, t, err);
}

int api_webhook_deliveries_retry(struct api_req *q, struct err *err)
{
	AUTO(clear) struct hook_q t = {.q = q};

	if (store_tx(q->d->store, write_retry, &t, err) < 0)
		return -1;
	hooks_changed(q->d->hooks);
	api_audit(q, "webhook.retry", "%s", t.delivery.id);
	return answer(q, 202, delivery_json(&t.delivery));
}
