/* Add-ons, attachments, services and plans as JSON, and who may see them. */
#include "daemon/api/addons.h"

#include <stdio.h>
#include <string.h>

#define BORN "2024-01-01T00:00:00Z" /* of services and plans: they have no row */

/* --- services and plans --- */

static json_t *service_ref(struct api_req *q, const char *name)
{
	const struct addon_service *s = addon_service_find(q->d->addons, name);
	char id[37];

	if (!s)
		uuid_of(name, id);
	return json_pack("{s:s, s:s}", "id", s ? s->id : id, "name", name);
}

static json_t *service_json(const struct addon_service *s)
{
	AUTO(json_decref) json_t *cedar = json_named_ref("generation", "cedar");

	return json_pack(
		"{s:n, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:s, s:[O], s:o, s:o}", "cli_plugin_name",
		"created_at", BORN, "human_name", s->human_name, "id", s->id, "name", s->name,
		"state", "ga", "supports_multiple_installations", s->multiple, "supports_sharing",
		s->sharing, "updated_at", BORN, "supported_generations", cedar, "description",
		json_str_or_null(s->description), "docs_url", json_str_or_null(s->docs_url));
}

static json_t *price_json(int64_t cents)
{
	return json_pack("{s:I, s:b, s:b, s:s}", "cents", (json_int_t)cents, "contract", 0,
			 "metered", 0, "unit", "month");
}

static json_t *plan_json(const struct addon_service *s, const struct addon_plan *p)
{
	AUTO(auto_str) char *name = xasprintf("%s:%s", s->name, p->name);

	return json_pack("{s:{s:s, s:s}, s:s, s:[], s:b, s:s, s:s, s:s, s:b, s:b, s:s, s:o, s:b, "
			 "s:s, s:s, s:b, s:O}",
			 "addon_service", "id", s->id, "name", s->name, "created_at", BORN,
			 "compliance", "default", p->is_default, "description", p->description,
			 "human_name", p->human_name, "id", p->id,
			 "installable_inside_private_network", 0,
			 "installable_outside_private_network", 1, "name", name, "price",
			 price_json(p->cents), "space_default", 0, "state", "ga", "updated_at",
			 BORN, "visible", p->visible, "limits", p->limits);
}

/* The plan of an add-on, although its service may be gone. */
static json_t *plan_of(struct api_req *q, const struct store_addon *a)
{
	AUTO(auto_str) char *full = xasprintf("%s:%s", a->service, a->plan);
	const struct addon_service *s;
	const struct addon_plan *p;
	struct addon_plan none = {
		.name = a->plan, .human_name = a->plan, .description = "", .visible = false};
	struct addon_service gone = {.name = a->service};
	AUTO(json_decref) json_t *limits = NULL;
	struct err err = {0};

	if (addon_plan_find(q->d->addons, full, &s, &p, &err) == 0)
		return plan_json(s, p);
	uuid_of(full, none.id);
	uuid_of(a->service, gone.id);
	none.limits = limits = json_object();
	return plan_json(&gone, &none);
}

int api_addon_services(struct api_req *q, struct err *err)
{
	json_t *list = json_array();
	const struct addon_service *s;

	for (int i = 0; (s = addon_service_at(q->d->addons, i)); i++)
		json_array_append_new(list, service_json(s));
	return api_list(q, list, "name id", err);
}

static int no_service(struct err *err)
{
	err_set(err, ERR_NOT_FOUND, "Couldn't find that add-on service.");
	err->resource = "addon_service";
	return -1;
}

int api_addon_service(struct api_req *q, struct err *err)
{
	const struct addon_service *s = addon_service_find(q->d->addons, q->params[0]);

	return s ? api_ok(q, 200, service_json(s)) : no_service(err);
}

int api_addon_plans(struct api_req *q, struct err *err)
{
	const struct addon_service *s = addon_service_find(q->d->addons, q->params[0]);
	json_t *list;

	if (!s)
		return no_service(err);
	list = json_array();
	for (int i = 0; i < s->nplans; i++)
		if (s->plans[i].visible)
			json_array_append_new(list, plan_json(s, &s->plans[i]));
	return api_list(q, list, "name id", err);
}

int api_addon_plan(struct api_req *q, struct err *err)
{
	const struct addon_service *s = addon_service_find(q->d->addons, q->params[0]), *of;
	const struct addon_plan *p;
	AUTO(auto_str) char *full = NULL;

	if (!s)
		return no_service(err);
	full = strchr(q->params[1], ':') ? xstrdup(q->params[1])
					 : xasprintf("%s:%s", s->name, q->params[1]);
	if (addon_plan_find(q->d->addons, full, &of, &p, err) < 0)
		return -1;
	return of == s ? api_ok(q, 200, plan_json(of, p)) : err_not_found(err, "plan");
}

int api_plan(struct api_req *q, struct err *err)
{
	const struct addon_service *s;
	const struct addon_plan *p;

	if (addon_plan_find(q->d->addons, q->params[0], &s, &p, err) < 0)
		return -1;
	return api_ok(q, 200, plan_json(s, p));
}

/* --- config vars' names --- */

/* Of a service that is gone, as the database has them. */
static void add_vars(struct api_req *q, struct tx *tx, const struct store_attachment *t,
		     json_t *out)
{
	const struct addon_service *s = addon_service_find(q->d->addons, t->service);
	AUTO(json_decref) json_t *config = NULL;
	AUTO(json_decref) json_t *private = NULL;
	const char *suffix;
	json_t *v;

	for (int i = 0; s && s->vars[i]; i++) {
		AUTO(auto_str) char *name = store_addon_var(t->name, s->vars[i]);

		json_array_append_new(out, json_string(name));
	}
	if (s || store_addon_secrets(tx, t->addon_id, &config, &private, NULL) < 0)
		return;
	json_object_foreach(config, suffix, v)
	{
		AUTO(auto_str) char *name = store_addon_var(t->name, suffix);

		json_array_append_new(out, json_string(name));
	}
}

/* --- add-ons --- */

static const char *state_text(const struct store_addon *a)
{
	/* Clients know three states; the rest of a removal is nobody's to wait for. */
	return a->state == ADDON_PROVISIONING  ? "provisioning"
	       : a->state == ADDON_PROVISIONED ? "provisioned"
					       : "deprovisioned";
}

static json_t *task_json(const struct store_addon *a)
{
	if (strcmp(a->task, "none") == 0 && !a->failure)
		return json_null();
	return json_pack("{s:s, s:i, s:o, s:o}", "name", a->task, "tries", a->tries, "next_at",
			 json_time(a->next_ms), "failure", json_str_or_null(a->failure));
}

/* What addons:open opens; the page of a provider who knows our people, by way of ours. Owned. */
static char *web_url(struct api_req *q, const struct store_addon *a, const struct addon_service *s)
{
	if (addon_has_sso(q->d->addons, a->service))
		return api_public_url(q, "/sso/%s", a->id);
	return xstrdup(a->web_url ? a->web_url : s ? s->web_url : NULL);
}

json_t *api_addon_json(struct api_req *q, struct tx *tx, const struct store_addon *a)
{
	AUTO(store_attachments_clear) struct store_attachments l = {0};
	json_t *vars = json_array(), *plan = plan_of(q, a);
	const struct addon_service *s = addon_service_find(q->d->addons, a->service);
	AUTO(auto_str) char *url = web_url(q, a, s);
	const char *message = a->failure ? a->failure : a->message;

	if (a->app_id[0] && store_attachments_list(tx, a->app_id, a->id, &l, NULL) == 0)
		for (int i = 0; i < l.n; i++)
			add_vars(q, tx, &l.v[i], vars);
	return json_pack(
		"{s:[], s:o, s:{s:s, s:s, s:s}, s:{s:s, s:s}, s:O, s:o, s:o, s:s, s:s, s:o, s:o, "
		"s:o, s:s, s:o, s:o, s:o}",
		"actions", "addon_service", service_ref(q, a->service), "billing_entity", "id",
		a->app_id, "name", a->app_name, "type", "app", "app", "id", a->app_id, "name",
		a->app_name, "billed_price", json_object_get(plan, "price"), "config_vars", vars,
		"created_at", json_time(a->created_ms), "id", a->id, "name", a->name, "plan", plan,
		"provider_id", json_text(a->provider_id ? a->provider_id : a->id),
		"provision_message", json_str_or_null(message), "state", state_text(a),
		"updated_at", json_time(a->updated_ms), "web_url", json_str_or_null(url), "task",
		task_json(a));
}

json_t *api_attachment_json(struct api_req *q, struct tx *tx, const struct store_attachment *t)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	AUTO(json_decref) json_t *plan = NULL;
	json_t *vars = json_array();
	const struct addon_service *s = addon_service_find(q->d->addons, t->service);
	struct err none = {0};
	AUTO(auto_str) char *url = NULL;

	if (store_addon_find(tx, t->addon_id, &a, &none) < 0) {
		json_decref(vars);
		return NULL;
	}
	url = web_url(q, &a, s);
	plan = plan_of(q, &a);
	add_vars(q, tx, t, vars);
	return json_pack("{s:{s:s, s:s, s:{s:s, s:s}, s:{s:O, s:O}, s:o}, s:{s:s, s:s}, s:o, s:s, "
			 "s:s, s:o, s:o, s:o, s:n, s:o}",
			 "addon", "id", t->addon_id, "name", t->addon_name, "app", "id",
			 t->addon_app_id, "name", t->addon_app_name, "plan", "id",
			 json_object_get(plan, "id"), "name", json_object_get(plan, "name"),
			 "addon_service", service_ref(q, t->service), "app", "id", t->app_id,
			 "name", t->app_name, "created_at", json_time(t->created_ms), "id", t->id,
			 "name", t->name, "namespace", json_str_or_null(t->namespace), "updated_at",
			 json_time(t->updated_ms), "web_url", json_str_or_null(url),
			 "log_input_url", "config_vars", vars);
}

json_t *api_render_addon(struct api_req *q, struct tx *tx, const char *id)
{
	struct store_addon v = {0};
	struct err none = {0};
	json_t *j;

	if (store_addon_find(tx, id, &v, &none) < 0)
		return NULL;
	j = api_addon_json(q, tx, &v);
	store_addon_clear(&v);
	return j;
}

json_t *api_render_attachment(struct api_req *q, struct tx *tx, const char *id)
{
	struct store_attachment v = {0};
	struct err none = {0};
	json_t *j;

	if (store_attachment_find(tx, NULL, id, &v, &none) < 0)
		return NULL;
	j = api_attachment_json(q, tx, &v);
	store_attachment_clear(&v);
	return j;
}

/* --- who --- */

struct addon_actor api_addon_actor(const struct api_req *q)
{
	return (struct addon_actor){q->user.id, q->user.email};
}

bool api_app_seen(struct api_req *q, struct tx *tx, const char *app_id)
{
	unsigned perms = 0;
	struct err none = {0};

	return *app_id && store_app_access(tx, q->user.id, app_id, &perms, &none) == 0 && perms;
}

int api_addon_access(struct api_req *q, struct tx *tx, const struct store_addon *a, unsigned *perms,
		     struct err *err)
{
	AUTO(store_attachments_clear) struct store_attachments l = {0};
	struct err none = {0};

	*perms = 0;
	if (q->partner[0]) { /* of its own add-on, which its token was held against */
		*perms = strcmp(q->partner, a->id) == 0 ? STORE_VIEW | STORE_OPERATE : 0;
		return 0;
	}
	if (a->app_id[0] && store_app_access(tx, q->user.id, a->app_id, perms, &none) < 0)
		*perms = 0;
	if (*perms)
		return 0;
	if (store_attachments_list(tx, NULL, a->id, &l, err) < 0)
		return -1;
	for (int i = 0; i < l.n && !*perms; i++)
		*perms = api_app_seen(q, tx, l.v[i].app_id) ? STORE_VIEW : 0;
	return 0;
}

struct get {
	struct api_req *q;
	const char *ref;
	unsigned need;
	struct store_addon *out;
};

/* APP::ATTACHMENT, of an app that the caller sees. */
static int by_attachment(struct get *g, struct tx *tx, const char *mark, struct err *err)
{
	AUTO(auto_str) char *name = xstrndup(g->ref, (size_t)(mark - g->ref));
	AUTO(store_app_clear) struct store_app app = {0};
	AUTO(store_attachment_clear) struct store_attachment t = {0};

	if (store_app_find(tx, name, &app, err) < 0 || !api_app_seen(g->q, tx, app.id) ||
	    store_attachment_find(tx, app.id, mark + 2, &t, err) < 0)
		return -1;
	return store_addon_find(tx, t.addon_id, g->out, err);
}

int api_addon_none(struct err *err)
{
	err_set(err, ERR_NOT_FOUND, "Couldn't find that add on.");
	err->resource = "add_on";
	return -1;
}

static int read_addon(struct tx *tx, void *arg, struct err *err)
{
	struct get *g = arg;
	const char *mark = strstr(g->ref, "::");
	unsigned perms;
	struct err none = {0};

	store_addon_clear(g->out);
	if ((mark ? by_attachment(g, tx, mark, &none)
		  : store_addon_find(tx, g->ref, g->out, &none)) < 0)
		return api_addon_none(err);
	if (api_addon_access(g->q, tx, g->out, &perms, err) < 0)
		return -1;
	if (!perms || !g->out->app_id[0])
		return api_addon_none(err);
	/* view by way of another app is no right on the one that owns it */
	if (g->need > STORE_VIEW && !(perms & g->need))
		return err_set(err, ERR_FORBIDDEN, "You do not have that permission on %s.",
			       g->out->app_name);
	store_app_clear(&g->q->app);
	return store_app_get(tx, g->out->app_id, &g->q->app, err);
}

int api_addon_get(struct api_req *q, const char *ref, unsigned need, struct store_addon *out,
		  struct err *err)
{
	struct get g = {q, ref, need, out};

	if (store_read(q->d->store, read_addon, &g, err) == 0)
		return 0;
	store_addon_clear(out);
	return -1;
}
