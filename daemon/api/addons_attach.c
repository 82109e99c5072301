/* Attachments: which apps have which add-ons, under which names. */
#include "daemon/api/addons.h"

#include <string.h>

struct attach_tx {
	struct api_req *q;
	const char *ref, *app, *service;
	char app_id[37], addon_id[37];
	unsigned need;
	struct store_attachment t;
	json_t *list, *one; /* owned until answered */
};

static int not_found(struct err *err)
{
	err_set(err, ERR_NOT_FOUND, "Couldn't find that add on attachment.");
	err->resource = "add_on attachment";
	return -1;
}

static void attach_clear(struct attach_tx *t)
{
	store_attachment_clear(&t->t);
}
#define attach_clear_p attach_clear

/* --- lists --- */

static int read_list(struct tx *tx, void *arg, struct err *err)
{
	struct attach_tx *t = arg;
	AUTO(store_attachments_clear) struct store_attachments l = {0};

	if (store_attachments_list(tx, t->app_id[0] ? t->app_id : NULL,
				   t->addon_id[0] ? t->addon_id : NULL, &l, err) < 0)
		return -1;
	for (int i = 0; i < l.n; i++)
		if (t->app_id[0] || api_app_seen(t->q, tx, l.v[i].app_id))
			json_array_append_new(t->list, api_attachment_json(t->q, tx, &l.v[i]));
	return 0;
}

static int answer_list(struct attach_tx *t, struct err *err)
{
	t->list = json_array();
	if (store_read(t->q->d->store, read_list, t, err) < 0) {
		json_decref(t->list);
		return -1;
	}
	return api_list(t->q, t->list, "name id created_at updated_at", err);
}

int api_attachments_list(struct api_req *q, struct err *err)
{
	struct attach_tx t = {.q = q};

	return answer_list(&t, err);
}

int api_attachments_of_app(struct api_req *q, struct err *err)
{
	struct attach_tx t = {.q = q};

	memcpy(t.app_id, q->app.id, sizeof t.app_id);
	return answer_list(&t, err);
}

int api_addon_attachments(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	struct attach_tx t = {.q = q};

	if (api_addon_get(q, q->params[0], STORE_VIEW, &a, err) < 0)
		return -1;
	memcpy(t.addon_id, a.id, sizeof t.addon_id);
	return answer_list(&t, err);
}

/* --- one --- */

/* By id, of any app where the caller has the right; or of t->app_id. q->app becomes its app. */
static int read_one(struct tx *tx, void *arg, struct err *err)
{
	struct attach_tx *t = arg;
	unsigned perms = 0;

	store_attachment_clear(&t->t);
	if (store_attachment_find(tx, t->app_id[0] ? t->app_id : NULL, t->ref, &t->t, err) < 0 ||
	    store_app_access(tx, t->q->user.id, t->t.app_id, &perms, err) < 0)
		return err->code == ERR_NOT_FOUND ? not_found(err) : -1;
	if (!perms)
		return not_found(err);
	if (!(perms & t->need))
		return err_set(err, ERR_FORBIDDEN, "You do not have that permission on %s.",
			       t->t.app_name);
	store_app_clear(&t->q->app);
	if (store_app_get(tx, t->t.app_id, &t->q->app, err) < 0)
		return -1;
	t->one = api_attachment_json(t->q, tx, &t->t);
	return 0;
}

int api_attachments_info(struct api_req *q, struct err *err)
{
	AUTO(attach_clear) struct attach_tx t = {.q = q, .ref = q->params[0], .need = STORE_VIEW};

	return store_read(q->d->store, read_one, &t, err) < 0 ? -1 : api_ok(q, 200, t.one);
}

int api_attachments_of_app_info(struct api_req *q, struct err *err)
{
	AUTO(attach_clear) struct attach_tx t = {.q = q, .ref = q->params[1], .need = STORE_VIEW};

	memcpy(t.app_id, q->app.id, sizeof t.app_id);
	return store_read(q->d->store, read_one, &t, err) < 0 ? -1 : api_ok(q, 200, t.one);
}

int api_attachments_delete(struct api_req *q, struct err *err)
{
	AUTO(attach_clear)
	struct attach_tx t = {.q = q, .ref = q->params[0], .need = STORE_OPERATE};
	struct addon_actor by = api_addon_actor(q);

	if (store_read(q->d->store, read_one, &t, err) < 0)
		return -1;
	if (addon_detach(q->d->addons, &by, t.t.id, err) < 0) {
		json_decref(t.one);
		return -1;
	}
	api_audit(q, "addon.detach", "%s %s", t.t.name, t.t.addon_name);
	return api_ok(q, 200, t.one);
}

/* --- create --- */

const struct api_field api_fields_attachment_create[] = {
	{"addon", F_REF, F_REQUIRED},
	{"app", F_REF, F_REQUIRED},
	{"confirm", F_LINE, F_NULL,
	 .text = "the app's name: an attachment of that name is replaced"},
	{"name", F_LINE, F_NULL, .min = 1, .max = 60, .text = "made up when absent"},
	{"namespace", F_LINE, F_NULL, .min = 1, .max = 80, .text = "credential:NAME"},
	{0},
};

/* The app that gets it: the caller needs operate there, too. */
static int read_target(struct tx *tx, void *arg, struct err *err)
{
	struct attach_tx *t = arg;
	unsigned perms = 0;

	store_app_clear(&t->q->app);
	if (store_app_find(tx, t->app, &t->q->app, err) < 0 ||
	    store_app_access(tx, t->q->user.id, t->q->app.id, &perms, err) < 0)
		return -1;
	if (!perms)
		return err_not_found(err, "app");
	if (!(perms & STORE_OPERATE))
		return err_set(err, ERR_FORBIDDEN, "You do not have the operate permission on %s.",
			       t->q->app.name);
	return 0;
}

static int read_made(struct tx *tx, void *arg, struct err *err)
{
	struct attach_tx *t = arg;

	(void)err;
	t->one = api_attachment_json(t->q, tx, &t->t);
	return 0;
}

int api_attachments_create(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	AUTO(attach_clear) struct attach_tx t = {.q = q, .app = api_get_ref(q->body, "app")};
	const char *confirm = api_get_str(q->body, "confirm");
	const char *namespace = api_get_str(q->body, "namespace");
	struct attachment_new in = {.by = api_addon_actor(q),
				    .name = api_get_str(q->body, "name"),
				    .namespace = namespace};

	if (api_addon_get(q, api_get_ref(q->body, "addon"), STORE_OPERATE, &a, err) < 0 ||
	    store_read(q->d->store, read_target, &t, err) < 0)
		return -1;
	in.addon_id = a.id;
	in.app_id = q->app.id;
	in.confirmed = confirm && strcmp(confirm, q->app.name) == 0;
	if (addon_attach(q->d->addons, &in, &t.t, err) < 0)
		return -1;
	api_audit(q, "addon.attach", "%s %s", t.t.name, a.name);
	if (store_read(q->d->store, read_made, &t, err) < 0)
		return -1;
	return api_ok(q, 201, t.one);
}

/* --- resolve --- */

const struct api_field api_fields_attachment_resolve[] = {
	{"addon_attachment", F_LINE, F_REQUIRED, .min = 1, .max = 200,
	 .text = "id, name, config var, APP::ATTACHMENT, or the add-on"},
	{"app", F_REF, F_NULL},
	{"addon_service", F_REF, F_NULL},
	{0},
};

static void take(struct attach_tx *t, struct tx *tx, const struct store_attachment *a)
{
	const struct addon_service *s =
		t->service ? addon_service_find(t->q->d->addons, t->service) : NULL;

	if (!t->service || strcmp(a->service, s ? s->name : t->service) == 0)
		json_array_append_new(t->list, api_attachment_json(t->q, tx, a));
}

/* All attachments of the add-on that ref names. */
static int take_addon(struct attach_tx *t, struct tx *tx, const char *ref, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	AUTO(store_attachments_clear) struct store_attachments l = {0};
	struct err none = {0};

	if (store_addon_find(tx, ref, &a, &none) < 0)
		return 0;
	if (store_attachments_list(tx, t->app_id[0] ? t->app_id : NULL, a.id, &l, err) < 0)
		return -1;
	for (int i = 0; i < l.n; i++)
		if (t->app_id[0] || api_app_seen(t->q, tx, l.v[i].app_id))
			take(t, tx, &l.v[i]);
	return 0;
}

static int read_resolve(struct tx *tx, void *arg, struct err *err)
{
	struct attach_tx *t = arg;
	const char *mark = strstr(t->ref, "::"), *ref = mark ? mark + 2 : t->ref;
	AUTO(auto_str)
	char *app = mark ? xstrndup(t->ref, (size_t)(mark - t->ref)) : xstrdup(t->app);
	AUTO(store_app_clear) struct store_app a = {0};
	AUTO(store_attachment_clear) struct store_attachment att = {0};
	struct err none = {0};

	if (app) {
		if (store_app_find(tx, app, &a, err) < 0)
			return -1;
		if (!api_app_seen(t->q, tx, a.id))
			return err_not_found(err, "app");
		memcpy(t->app_id, a.id, sizeof t->app_id);
	}
	if (store_attachment_find(tx, app ? t->app_id : NULL, ref, &att, &none) == 0) {
		if (app || api_app_seen(t->q, tx, att.app_id))
			take(t, tx, &att);
		return 0;
	}
	return take_addon(t, tx, ref, err);
}

int api_attachments_resolve(struct api_req *q, struct err *err)
{
	struct attach_tx t = {.q = q,
			      .ref = api_get_str(q->body, "addon_attachment"),
			      .app = api_get_ref(q->body, "app"),
			      .service = api_get_ref(q->body, "addon_service"),
			      .list = json_array()};
	int rc = store_read(q->d->store, read_resolve, &t, err);

	if (rc == 0 && json_array_size(t.list))
		return api_list(q, t.list, "name id", err);
	json_decref(t.list);
	return rc < 0 ? -1 : not_found(err);
}
