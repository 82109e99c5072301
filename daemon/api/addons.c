/* Add-ons: listed, made, changed, removed, looked up. */
#include "daemon/api/addons.h"
#include "proto/limits.h"

#include <string.h>
#include <strings.h>

struct addons_tx {
	struct api_req *q;
	const char *ref, *app, *service;
	struct store_addon *row;
	char app_id[37];
	json_t *list, *one; /* owned until answered */
};

/* --- lists --- */

static int read_visible(struct tx *tx, void *arg, struct err *err)
{
	struct addons_tx *t = arg;
	AUTO(store_addons_clear) struct store_addons l = {0};

	if (store_addons_list(tx, NULL, &l, err) < 0)
		return -1;
	for (int i = 0; i < l.n; i++)
		if (api_app_seen(t->q, tx, l.v[i].app_id))
			json_array_append_new(t->list, api_addon_json(t->q, tx, &l.v[i]));
	return 0;
}

static int answer_list(struct api_req *q, tx_fn *fn, struct err *err)
{
	struct addons_tx t = {.q = q, .list = json_array()};

	if (store_read(q->d->store, fn, &t, err) < 0) {
		json_decref(t.list);
		return -1;
	}
	return api_list(q, t.list, "name id created_at updated_at", err);
}

int api_addons_list(struct api_req *q, struct err *err)
{
	/* /users/:account/... only of oneself */
	if (strncmp(q->route->path, "/users/:account/", 16) == 0 && api_own_account(q, err) < 0)
		return -1;
	return answer_list(q, read_visible, err);
}

/* Its own, and those of other apps that it has attached. */
static int read_of_app(struct tx *tx, void *arg, struct err *err)
{
	struct addons_tx *t = arg;
	AUTO(store_addons_clear) struct store_addons l = {0};
	AUTO(store_attachments_clear) struct store_attachments att = {0};
	AUTO(json_decref) json_t *seen = json_object();
	const char *app_id = t->q->app.id;

	if (store_addons_list(tx, app_id, &l, err) < 0 ||
	    store_attachments_list(tx, app_id, NULL, &att, err) < 0)
		return -1;
	for (int i = 0; i < l.n; i++)
		json_array_append_new(t->list, api_addon_json(t->q, tx, &l.v[i]));
	for (int i = 0; i < att.n; i++) {
		AUTO(store_addon_clear) struct store_addon a = {0};

		if (strcmp(att.v[i].addon_app_id, app_id) == 0 ||
		    json_object_get(seen, att.v[i].addon_id))
			continue;
		json_object_set_new(seen, att.v[i].addon_id, json_true());
		if (store_addon_find(tx, att.v[i].addon_id, &a, err) < 0)
			return -1;
		json_array_append_new(t->list, api_addon_json(t->q, tx, &a));
	}
	return 0;
}

int api_addons_of_app(struct api_req *q, struct err *err)
{
	return answer_list(q, read_of_app, err);
}

static int read_usage(struct tx *tx, void *arg, struct err *err)
{
	struct addons_tx *t = arg;
	AUTO(store_addons_clear) struct store_addons l = {0};

	if (store_addons_list(tx, t->q->app.id, &l, err) < 0)
		return -1;
	for (int i = 0; i < l.n; i++)
		json_array_append_new(t->list, json_pack("{s:s, s:{}}", "id", l.v[i].id, "meters"));
	return 0;
}

/* Nothing is metered here. */
int api_app_usage(struct api_req *q, struct err *err)
{
	struct addons_tx t = {.q = q, .list = json_array()};

	if (store_read(q->d->store, read_usage, &t, err) < 0) {
		json_decref(t.list);
		return -1;
	}
	return api_ok(q, 200,
		      json_pack("{s:s, s:s, s:o}", "id", q->app.id, "name", q->app.name, "addons",
				t.list));
}

/* --- one --- */

static int read_json(struct tx *tx, void *arg, struct err *err)
{
	struct addons_tx *t = arg;

	(void)err;
	t->one = api_addon_json(t->q, tx, t->row);
	return 0;
}

int api_addon_answer(struct api_req *q, int status, struct store_addon *row, struct err *err)
{
	struct addons_tx t = {.q = q, .row = row};

	if (store_read(q->d->store, read_json, &t, err) < 0)
		return -1;
	return api_ok(q, status, t.one);
}

int api_addons_info(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};

	if (api_addon_get(q, q->params[0], STORE_VIEW, &a, err) < 0)
		return -1;
	return api_addon_answer(q, 200, &a, err);
}

/* Of :app, or attached to it; by id, name or attachment. */
static int read_in_app(struct tx *tx, void *arg, struct err *err)
{
	struct addons_tx *t = arg;
	AUTO(store_attachments_clear) struct store_attachments l = {0};
	AUTO(store_attachment_clear) struct store_attachment att = {0};
	const char *app_id = t->q->app.id;
	struct err e = {0};

	store_addon_clear(t->row);
	if (store_addon_find(tx, t->ref, t->row, &e) == 0) {
		if (strcmp(t->row->app_id, app_id) == 0)
			return 0;
		if (store_attachments_list(tx, app_id, t->row->id, &l, err) < 0)
			return -1;
		if (l.n)
			return 0;
	}
	if (store_attachment_find(tx, app_id, t->ref, &att, &e) < 0)
		return api_addon_none(err);
	store_addon_clear(t->row);
	return store_addon_find(tx, att.addon_id, t->row, err);
}

static int get_in_app(struct api_req *q, struct store_addon *out, struct err *err)
{
	struct addons_tx t = {.q = q, .ref = q->params[1], .row = out};

	return store_read(q->d->store, read_in_app, &t, err);
}

/* To change one, it must be the app's own. */
int api_addon_owned(struct api_req *q, struct store_addon *out, struct err *err)
{
	if (get_in_app(q, out, err) < 0)
		return -1;
	return strcmp(out->app_id, q->app.id) == 0
		       ? 0
		       : err_set(err, ERR_INVALID_PARAMS,
				 "%s belongs to the app %s: that must be done there.", out->name,
				 out->app_name);
}

int api_addons_of_app_info(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};

	return get_in_app(q, &a, err) < 0 ? -1 : api_addon_answer(q, 200, &a, err);
}

/* --- create, update, delete --- */

static const struct api_field fields_attachment[] = {
	{"name", F_LINE, .min = 1, .max = 60},
	{0},
};
static const struct api_field field_option = {NULL, F_ANY};
const struct api_field api_fields_addon_create[] = {
	{"plan", F_REF, F_REQUIRED, .text = "SERVICE:PLAN, or SERVICE for its default"},
	{"attachment", F_OBJECT, .of = fields_attachment},
	{"config", F_MAP, .max = 64, .of = &field_option, .text = "options for the provider"},
	{"confirm", F_LINE, .text = "the app's name: an attachment of that name is replaced"},
	{"name", F_LINE, .min = 1, .max = 60},
	{0},
};

static bool is_confirmed(const struct api_req *q)
{
	const char *confirm = api_get_str(q->body, "confirm");

	return confirm && strcmp(confirm, q->app.name) == 0;
}

int api_addons_create(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	json_t *config = json_object_get(q->body, "config");
	struct addon_new in = {
		.by = api_addon_actor(q),
		.app_id = q->app.id,
		.plan = api_get_ref(q->body, "plan"),
		.name = api_get_str(q->body, "name"),
		.attachment = api_get_str(json_object_get(q->body, "attachment"), "name"),
		.options = json_is_object(config) ? config : NULL,
		.confirmed = is_confirmed(q),
	};

	if (addon_create(q->d->addons, &in, &a, err) < 0)
		return -1;
	api_audit(q, "addon.create", "%s %s:%s", a.name, a.service, a.plan);
	return api_addon_answer(q, 201, &a, err);
}

const struct api_field api_fields_addon_update[] = {
	{"name", F_LINE, .min = 1, .max = 60},
	{"plan", F_REF},
	{0},
};

int api_addons_update(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	AUTO(store_addon_clear) struct store_addon after = {0};
	const char *name = api_get_str(q->body, "name"), *plan = api_get_ref(q->body, "plan");
	struct addon_actor by = api_addon_actor(q);

	if (api_addon_owned(q, &a, err) < 0)
		return -1;
	if (!name && !plan)
		return err_set(err, ERR_INVALID_PARAMS, "Give plan or name.");
	if (name && strcmp(name, a.name) != 0) {
		if (addon_rename(q->d->addons, &by, a.id, name, err) < 0)
			return -1;
		api_audit(q, "addon.rename", "%s %s", a.name, name);
	}
	if (plan) {
		if (addon_change_plan(q->d->addons, &by, a.id, plan, &after, err) < 0)
			return -1;
		api_audit(q, "addon.plan", "%s %s:%s", a.name, a.service, plan);
	}
	store_addon_clear(&after);
	if (api_addon_get(q, a.id, STORE_VIEW, &after, err) < 0)
		return -1;
	return api_addon_answer(q, 200, &after, err);
}

const struct api_field api_fields_addon_delete[] = {
	{"force", F_BOOL, F_NULL, .text = "although other apps have it attached"},
	{"confirm", F_LINE, F_NULL},
	{0},
};

int api_addons_delete(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	struct addons_tx t = {.q = q, .row = &a};
	struct addon_actor by = api_addon_actor(q);
	bool force = api_get_bool(q->body, "force", 0) == 1;

	if (api_addon_owned(q, &a, err) < 0 || store_read(q->d->store, read_json, &t, err) < 0)
		return -1;
	if (addon_destroy(q->d->addons, &by, a.id, force, err) < 0) {
		json_decref(t.one);
		return -1;
	}
	api_audit(q, "addon.destroy", "%s %s", a.name, a.service);
	json_object_set_new(t.one, "state", json_string("deprovisioned"));
	return api_ok(q, 200, t.one);
}

/* --- its config --- */

json_t *api_addon_config_list(json_t *config)
{
	json_t *list = json_array(), *v;
	const char *suffix;

	json_object_foreach(config, suffix, v)
		json_array_append_new(list, json_pack("{s:s, s:O}", "name", suffix, "value", v));
	return list;
}

int api_addon_config_get(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	AUTO(json_decref) json_t *config = NULL;

	if (api_addon_get(q, q->params[0], STORE_OPERATE, &a, err) < 0 ||
	    (q->partner[0] ? addon_partner_config_names(q->d->addons, a.id, &config, err)
			   : addon_config(q->d->addons, a.id, NULL, &config, err)) < 0)
		return -1;
	return api_list(q, api_addon_config_list(config), "name", err);
}

/* credential:NAME; an unknown one has nothing. */
int api_addon_config_part(struct api_req *q, struct err *err)
{
	static const char mark[] = "credential:";
	AUTO(store_addon_clear) struct store_addon a = {0};
	AUTO(json_decref) json_t *config = NULL;
	const char *name = q->params[1];
	struct err e = {0};

	if (api_addon_get(q, q->params[0], STORE_OPERATE, &a, err) < 0)
		return -1;
	if (strncmp(name, mark, strlen(mark)) != 0)
		return api_list(q, json_array(), "name", err);
	name += strlen(mark);
	if (addon_config(q->d->addons, a.id, strcmp(name, "default") == 0 ? NULL : name, &config,
			 &e) < 0) {
		if (e.code == ERR_NOT_FOUND)
			return api_list(q, json_array(), "name", err);
		*err = e;
		return -1;
	}
	return api_list(q, api_addon_config_list(config), "name", err);
}

/* --- resolve --- */

const struct api_field api_fields_addon_resolve[] = {
	{"addon", F_LINE, F_REQUIRED, .min = 1, .max = 200,
	 .text = "id, name, APP::ATTACHMENT, attachment, config var, service or plan"},
	{"app", F_REF, F_NULL},
	{"addon_service", F_REF, F_NULL},
	{0},
};

static bool is_kind(struct api_req *q, const struct store_addon *a, const char *ref)
{
	const struct addon_service *s, *of;
	const struct addon_plan *p;
	struct err none = {0};

	if (strcmp(a->service, ref) == 0)
		return true;
	s = addon_service_find(q->d->addons, ref);
	if (s)
		return strcmp(s->name, a->service) == 0;
	return addon_plan_find(q->d->addons, ref, &of, &p, &none) == 0 &&
	       strcmp(of->name, a->service) == 0 && strcmp(p->name, a->plan) == 0;
}

static bool of_service(const struct addons_tx *t, const struct store_addon *a)
{
	return !t->service || is_kind(t->q, a, t->service);
}

static void take(struct addons_tx *t, struct tx *tx, const struct store_addon *a)
{
	size_t i;
	json_t *had;

	if (!of_service(t, a))
		return;
	json_array_foreach(t->list, i,
			   had) if (strcmp(json_string_value(json_object_get(had, "id")), a->id) ==
				    0) return;
	json_array_append_new(t->list, api_addon_json(t->q, tx, a));
}

static bool is_in_app(struct tx *tx, const struct store_addon *a, const char *app_id)
{
	AUTO(store_attachments_clear) struct store_attachments l = {0};

	return !*app_id || strcmp(a->app_id, app_id) == 0 ||
	       (store_attachments_list(tx, app_id, a->id, &l, NULL) == 0 && l.n);
}

static int take_kind(struct addons_tx *t, struct tx *tx, const char *app_id, const char *ref,
		     struct err *err)
{
	AUTO(store_addons_clear) struct store_addons l = {0};

	if (store_addons_list(tx, NULL, &l, err) < 0)
		return -1;
	for (int i = 0; i < l.n; i++)
		if (l.v[i].app_id[0] && is_kind(t->q, &l.v[i], ref) &&
		    (*app_id ? is_in_app(tx, &l.v[i], app_id)
			     : api_app_seen(t->q, tx, l.v[i].app_id)))
			take(t, tx, &l.v[i]);
	return 0;
}

/* By id or name, then by attachment, then by what it is, then by attachment in another case
 * ("redis" is rather the service than REDIS): the first that finds any. */
static int look(struct addons_tx *t, struct tx *tx, const char *app_id, const char *ref,
		struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	AUTO(store_addon_clear) struct store_addon of = {0};
	AUTO(store_attachment_clear) struct store_attachment att = {0};
	unsigned perms = 0;
	struct err none = {0};
	bool found, other_case;

	if (store_addon_find(tx, ref, &a, &none) == 0 && a.app_id[0] &&
	    api_addon_access(t->q, tx, &a, &perms, err) == 0 && perms && is_in_app(tx, &a, app_id))
		take(t, tx, &a);
	if (json_array_size(t->list))
		return 0;
	found = *app_id && store_attachment_find(tx, app_id, ref, &att, &none) == 0;
	other_case = found && strcasecmp(att.name, ref) == 0 && strcmp(att.name, ref) != 0;
	if (found && store_addon_find(tx, att.addon_id, &of, err) < 0)
		return -1;
	if (found && !other_case)
		take(t, tx, &of);
	if (!json_array_size(t->list) && take_kind(t, tx, app_id, ref, err) < 0)
		return -1;
	if (!json_array_size(t->list) && found)
		take(t, tx, &of);
	return 0;
}

/* The app that is meant, which the caller must see; "" = none. */
static int find_app(struct api_req *q, struct tx *tx, const char *app, char id[37], struct err *err)
{
	AUTO(store_app_clear) struct store_app a = {0};

	id[0] = 0;
	if (!app)
		return 0;
	if (store_app_find(tx, app, &a, err) < 0)
		return -1;
	if (!api_app_seen(q, tx, a.id))
		return err_not_found(err, "app");
	memcpy(id, a.id, 37);
	return 0;
}

static int read_resolve(struct tx *tx, void *arg, struct err *err)
{
	struct addons_tx *t = arg;
	const char *mark = strstr(t->ref, "::");
	AUTO(auto_str)
	char *app = mark ? xstrndup(t->ref, (size_t)(mark - t->ref)) : xstrdup(t->app);

	if (find_app(t->q, tx, app, t->app_id, err) < 0)
		return -1;
	return look(t, tx, t->app_id, mark ? mark + 2 : t->ref, err);
}

int api_addons_resolve(struct api_req *q, struct err *err)
{
	struct addons_tx t = {.q = q,
			      .ref = api_get_str(q->body, "addon"),
			      .app = api_get_ref(q->body, "app"),
			      .service = api_get_ref(q->body, "addon_service"),
			      .list = json_array()};
	int rc = store_read(q->d->store, read_resolve, &t, err);

	if (rc == 0 && json_array_size(t.list))
		return api_list(q, t.list, "name id", err);
	json_decref(t.list);
	if (rc < 0)
		return -1;
	return api_addon_none(err);
}
