#include "daemon/hook/hook_int.h"
#include "daemon/core/xlog.h"
#include "daemon/store/app.h"
#include "daemon/store/user.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

static _Atomic(struct hooks *) the_hooks;

const char *const hook_entities[] = {
	"api:addon-attachment", "api:addon",	    "api:app",	"api:build",
	"api:collaborator",	"api:domain",	    "api:dyno", "api:formation",
	"api:release",		"api:sni-endpoint", "dyno",	NULL,
};
static const char *const actions[] = {"create", "update", "destroy"};

bool hook_entity_known(const char *entity)
{
	for (const char *const *e = hook_entities; *e; e++)
		if (strcmp(*e, entity) == 0)
			return true;
	return false;
}

void hook_sign(const char *secret, const void *body, size_t n, struct buf *out)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!HMAC(EVP_sha256(), secret, (int)strlen(secret), body, n, mac, &len))
		abort(); /* out of memory */
	base64_encode(mac, len, out);
}

/* --- noting --- */

/* What is said of users elsewhere in the API; NULL when there is none. */
static json_t *user_ref(struct tx *tx, const char *who)
{
	AUTO(store_user_clear) struct store_user u = {0};
	struct err none = {0};

	if (!who || store_user_find(tx, who, &u, &none) < 0)
		return NULL;
	return json_pack("{s:s, s:s}", "email", u.email, "id", u.id);
}

static json_t *actor_of(struct tx *tx, const char *app_id, const char *who, const json_t *data)
{
	AUTO(store_app_clear) struct store_app app = {0};
	struct err none = {0};
	json_t *j = user_ref(tx, who);

	if (!j)
		j = user_ref(tx, json_string_value(
					 json_object_get(json_object_get(data, "user"), "id")));
	if (!j && store_app_get(tx, app_id, &app, &none) == 0)
		j = user_ref(tx, app.owner_id);
	return j ? j : json_null();
}

struct before {
	struct hooks *h;
	const char *app_id, *entity, *id;
	json_t *found;
};

static int read_before(struct tx *tx, void *arg, struct err *err)
{
	struct before *b = arg;

	b->found = b->h->render(tx, b->app_id, b->entity, b->id, b->h->render_arg);
	return 0;
}

/* The fields that an update changed, as they were: this transaction is not in the snapshot that
 * other readers have. */
static json_t *previous_of(struct hooks *h, const char *app_id, const char *entity, const char *id,
			   const json_t *now)
{
	struct before b = {h, app_id, entity, id, NULL};
	json_t *out = json_object(), *v;
	const char *key;

	if (store_read(h->st, read_before, &b, NULL) < 0 || !b.found)
		return out;
	json_object_foreach(b.found, key, v) if (!json_equal(v, json_object_get(now, key)))
		json_object_set(out, key, v);
	json_decref(b.found);
	return out;
}

/* Takes data and previous. */
static int add_event(struct hooks *h, struct tx *tx, const char *app_id, const char *entity,
		     enum hook_action action, json_t *actor, json_t *data, json_t *previous,
		     struct err *err)
{
	const char *resource = strncmp(entity, "api:", 4) == 0 ? entity + 4 : entity;
	AUTO(json_decref)
	json_t *payload = json_pack("{s:s, s:o, s:o, s:o, s:s, s:s}", "action", actions[action],
				    "actor", actor, "data", data, "previous_data",
				    previous ? previous : json_object(), "resource", resource,
				    "version", "application/vnd.heroku+json; version=3");
	AUTO(auto_str) char *text = payload ? json_dumps(payload, JSON_COMPACT) : NULL;

	if (!text)
		return err_set(err, ERR_INTERNAL, "an event could not be written as JSON");
	if (store_event_add(tx, app_id, entity, actions[action], text, err) < 0)
		return -1;
	hook_wake(h);
	return 0;
}

int hook_event(struct tx *tx, const char *app_id, const char *entity, enum hook_action action,
	       const char *actor, const char *id, struct err *err)
{
	struct hooks *h = atomic_load(&the_hooks);
	json_t *data, *previous = NULL, *who;
	bool wanted = false;

	if (!h || !h->render)
		return 0;
	if (store_hook_wanted(tx, app_id, entity, &wanted, err) < 0)
		return -1;
	if (!wanted || !(data = h->render(tx, app_id, entity, id, h->render_arg)))
		return 0;
	if (action == HOOK_UPDATE)
		previous = previous_of(h, app_id, entity, id, data);
	who = actor_of(tx, app_id, actor, data);
	return add_event(h, tx, app_id, entity, action, who, data, previous, err);
}

/* --- noting what has no row --- */

struct later {
	struct hooks *h;
	char app_id[37];
	char entity[24];
	enum hook_action action;
	json_t *data, *previous;
};

static int write_later(struct tx *tx, void *arg, struct err *err)
{
	struct later *l = arg;
	bool wanted = false;

	if (store_hook_wanted(tx, l->app_id, l->entity, &wanted, err) < 0)
		return -1;
	if (!wanted)
		return 0;
	return add_event(l->h, tx, l->app_id, l->entity, l->action,
			 actor_of(tx, l->app_id, NULL, l->data), json_deep_copy(l->data),
			 l->previous ? json_deep_copy(l->previous) : NULL, err);
}

static void later_written(void *arg, const struct err *err)
{
	struct later *l = arg;

	if (err->status)
		xlog_err(XLOG_WARN, "hook", err, "msg=\"event lost\" app_id=%s", l->app_id);
	hook_pending(l->h, -1);
	json_decref(l->data);
	json_decref(l->previous);
	free(l);
}

bool hook_later_wanted(void)
{
	struct hooks *h = atomic_load(&the_hooks);

	return h && atomic_load(&h->dynos);
}

void hook_later(const char *app_id, const char *entity, enum hook_action action, json_t *data,
		json_t *previous)
{
	struct hooks *h = atomic_load(&the_hooks);
	struct later *l;

	if (!h || !atomic_load(&h->dynos)) {
		json_decref(data);
		json_decref(previous);
		return;
	}
	l = xcalloc(1, sizeof *l);
	*l = (struct later){.h = h, .action = action, .data = data, .previous = previous};
	strncpy(l->app_id, app_id, sizeof l->app_id - 1);
	strncpy(l->entity, entity, sizeof l->entity - 1);
	hook_pending(h, 1);
	store_tx_async(h->st, write_later, l, out_loop(h->o), later_written);
}

/* --- life --- */

void hook_pending(struct hooks *h, int n)
{
	pthread_mutex_lock(&h->lock);
	h->pending += n;
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
}

void hook_wake(struct hooks *h)
{
	loop_post(out_loop(h->o), hook_look, h);
}

static int read_dynos(struct tx *tx, void *arg, struct err *err)
{
	return store_hook_anywhere(tx, "dyno", "api:dyno", arg, err);
}

void hooks_changed(struct hooks *h)
{
	bool any = true;

	store_read(h->st, read_dynos, &any, NULL);
	atomic_store(&h->dynos, any);
	hook_wake(h);
}

int hooks_start(struct out *o, struct store *st, struct hooks **out, struct err *err)
{
	struct hooks *h = xcalloc(1, sizeof *h);

	h->st = st;
	h->o = o;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->changed, NULL);
	hooks_changed(h);
	loop_post(out_loop(o), hook_prune, h);
	atomic_store(&the_hooks, h);
	*out = h;
	return 0;
}

void hooks_render(struct hooks *h, hook_render_fn *fn, void *arg)
{
	h->render_arg = arg;
	h->render = fn;
}

static void do_stop(void *arg)
{
	struct hooks *h = arg;

	h->stopping = true;
	loop_timer_stop(STEAL(h->timer));
	loop_timer_stop(STEAL(h->pruning));
	while (h->under_way) {
		struct attempt *a = h->under_way;

		h->under_way = a->next;
		if (a->call) {
			out_cancel(a->call);
			attempt_free(a);
		} /* else its transaction is under way, which frees it */
	}
}

void hooks_stop(struct hooks *h)
{
	if (!h)
		return;
	atomic_store(&the_hooks, NULL);
	loop_call(out_loop(h->o), do_stop, h);
	pthread_mutex_lock(&h->lock);
	while (h->pending)
		pthread_cond_wait(&h->changed, &h->lock);
	pthread_mutex_unlock(&h->lock);
}

void hooks_free(struct hooks *h)
{
	if (!h)
		return;
	pthread_cond_destroy(&h->changed);
	pthread_mutex_destroy(&h->lock);
	free(h);
}
