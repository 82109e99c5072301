/* Attachments, and the releases by which apps get their config vars. */
#include "daemon/addon/addon_int.h"
#include "daemon/store/app.h"
#include "daemon/store/release.h"

#include <stdio.h>

/* --- whether an app has the values of now --- */

struct app_state {
	const char *app_id, *addon_id, *addon_name;
	bool stale, gone;
	char owner_id[37], owner_email[256];
	char names[200]; /* of the attachments, "DATABASE, READER" */
};

static bool is_stale(struct tx *tx, const struct app_state *s, struct err *err)
{
	AUTO(store_addon_vars_clear) struct store_addon_vars now = {0};
	AUTO(store_release_clear) struct store_release base = {0};
	AUTO(json_decref) json_t *config = NULL;
	struct err none = {0};
	const char *name;
	json_t *owner;

	if (store_addon_vars(tx, s->app_id, &now, err) < 0)
		return true;
	if (store_release_base(tx, s->app_id, &base, &none) < 0)
		return json_object_size(now.values) > 0;
	if (store_release_config(tx, base.id, &config, err) < 0)
		return true;
	json_object_foreach(now.owners, name, owner)
	{
		json_t *v = json_object_get(now.values, name);
		json_t *had = json_object_get(config, name);

		if (strcmp(json_string_value(owner), s->addon_name) == 0 &&
		    (v ? !json_equal(v, had) : had != NULL))
			return true;
	}
	return false;
}

static int read_app(struct tx *tx, void *arg, struct err *err)
{
	struct app_state *s = arg;
	AUTO(store_app_clear) struct store_app app = {0};
	AUTO(store_attachments_clear) struct store_attachments l = {0};
	struct err e = {0};

	if (store_app_get(tx, s->app_id, &app, &e) < 0 || app.destroying) {
		s->gone = true;
		return 0;
	}
	snprintf(s->owner_id, sizeof s->owner_id, "%s", app.owner_id);
	snprintf(s->owner_email, sizeof s->owner_email, "%s", app.owner_email);
	if (store_attachments_list(tx, s->app_id, s->addon_id, &l, err) < 0)
		return -1;
	s->names[0] = 0;
	for (int i = 0; i < l.n; i++) {
		size_t n = strlen(s->names);

		snprintf(s->names + n, sizeof s->names - n, "%s%s", n ? ", " : "", l.v[i].name);
	}
	e = (struct err){0};
	s->stale = is_stale(tx, s, &e);
	if (e.status)
		*err = e;
	return e.status ? -1 : 0;
}

static int release(struct addons *a, const struct addon_actor *by, const struct app_state *s,
		   struct release_new *in, struct err *err)
{
	struct release_out out;

	in->app_id = s->app_id;
	in->user_id = by && by->user_id && *by->user_id ? by->user_id : s->owner_id;
	in->user_email = by && by->user_email ? by->user_email : s->owner_email;
	return release_create(a->d.releases, in, &out, err);
}

/* --- values --- */

struct attached {
	const char *addon_id;
	struct store_attachments list;
};

static int read_attached(struct tx *tx, void *arg, struct err *err)
{
	struct attached *t = arg;

	return store_attachments_list(tx, NULL, t->addon_id, &t->list, err);
}

static bool seen_before(const struct store_attachments *l, int i)
{
	for (int k = 0; k < i; k++)
		if (strcmp(l->v[k].app_id, l->v[i].app_id) == 0)
			return true;
	return false;
}

static int publish_to(struct addons *a, const struct store_addon *row, const char *app_id,
		      bool attach, const struct addon_actor *by, struct err *err)
{
	struct app_state s = {.app_id = app_id, .addon_id = row->id, .addon_name = row->name};
	AUTO(auto_str) char *text = NULL;
	struct release_new in = {.values_only = !attach};

	if (store_read(a->d.store, read_app, &s, err) < 0)
		return -1;
	if (s.gone || !s.stale)
		return 0;
	text = attach ? xasprintf("Attach %s (@ref:%s)", s.names, row->name)
		      : xasprintf("Update %s by %s", s.names, row->service);
	in.description = text;
	return release(a, by, &s, &in, err);
}

int publish_values(struct addons *a, const struct store_addon *row, bool attach, struct err *err)
{
	struct attached t = {.addon_id = row->id};
	AUTO(task_args_clear) struct task_args args = {0};
	struct addon_actor by;
	int rc;

	task_args_read(row->args, &args);
	by = (struct addon_actor){args.user_id, args.user_email};
	rc = store_read(a->d.store, read_attached, &t, err);
	for (int i = 0; i < t.list.n && rc == 0; i++)
		if (!seen_before(&t.list, i))
			rc = publish_to(a, row, t.list.v[i].app_id, attach, &by, err);
	store_attachments_clear(&t.list);
	return rc;
}

/* --- attach, detach: the row and the release in one transaction --- */

struct attach_tx {
	const struct store_addon *row;
	const char *app_id, *name, *namespace, *replaced_id, *user_id;
	struct store_attachment *out;
};

static int drop(struct tx *tx, const char *id, const char *app_id, const char *user_id,
		struct err *err)
{
	if (hook_event(tx, app_id, "api:addon-attachment", HOOK_DESTROY, user_id, id, err) < 0)
		return -1;
	return store_attachment_delete(tx, id, err);
}

static int write_attach(struct tx *tx, void *arg, struct err *err)
{
	struct attach_tx *t = arg;

	store_attachment_clear(t->out);
	if (t->replaced_id && drop(tx, t->replaced_id, t->app_id, t->user_id, err) < 0)
		return -1;
	if (store_attachment_insert(tx, t->row->id, t->app_id, t->name, t->namespace, t->out, err) <
	    0)
		return -1;
	return hook_event(tx, t->app_id, "api:addon-attachment", HOOK_CREATE, t->user_id,
			  t->out->id, err);
}

static int read_replaced(struct tx *tx, void *arg, struct err *err)
{
	struct store_attachment *t = arg;
	char id[37];

	memcpy(id, t->id, sizeof id);
	return store_attachment_find(tx, NULL, id, t, err);
}

/* Two releases, as clients expect them; the first has the new values already, so that no release is
 * without any. */
static int attach_in_place(struct addons *a, const struct addon_actor *by,
			   const struct app_state *s, struct attach_tx *t, struct err *err)
{
	AUTO(store_attachment_clear) struct store_attachment old = {0};
	AUTO(auto_str) char *off = NULL;
	AUTO(auto_str) char *on = xasprintf("Attach %s (@ref:%s)", t->name, t->row->name);
	struct release_new first = {.first = write_attach, .first_arg = t};
	struct release_new second = {.description = on};

	snprintf(old.id, sizeof old.id, "%s", t->replaced_id);
	if (store_read(a->d.store, read_replaced, &old, err) < 0)
		return -1;
	first.description = off = xasprintf("Detach %s (@ref:%s)", old.name, old.addon_name);
	if (release(a, by, s, &first, err) < 0)
		return -1;
	return release(a, by, s, &second, err);
}

int publish_attach(struct addons *a, const struct addon_actor *by, const struct store_addon *row,
		   const char *app_id, const char *name, const char *namespace,
		   const char *replaced_id, struct store_attachment *out, struct err *err)
{
	struct app_state s = {.app_id = app_id, .addon_id = row->id, .addon_name = row->name};
	struct attach_tx t = {row, app_id, name, namespace, replaced_id, by->user_id, out};
	AUTO(auto_str) char *text = xasprintf("Attach %s (@ref:%s)", name, row->name);
	struct release_new in = {.description = text, .first = write_attach, .first_arg = &t};

	if (store_read(a->d.store, read_app, &s, err) < 0)
		return -1;
	if (s.gone)
		return err_not_found(err, "app");
	if (replaced_id)
		return attach_in_place(a, by, &s, &t, err);
	/* Without values yet: the release comes with them. */
	if (row->state == ADDON_PROVISIONING)
		return store_tx(a->d.store, write_attach, &t, err);
	return release(a, by, &s, &in, err);
}

struct detach_tx {
	const struct store_attachment *t;
	const char *user_id;
};

static int write_detach(struct tx *tx, void *arg, struct err *err)
{
	struct detach_tx *t = arg;

	return drop(tx, t->t->id, t->t->app_id, t->user_id, err);
}

int publish_detach(struct addons *a, const struct addon_actor *by, const struct store_attachment *t,
		   struct err *err)
{
	struct app_state s = {
		.app_id = t->app_id, .addon_id = t->addon_id, .addon_name = t->addon_name};
	struct detach_tx d = {t, by->user_id};
	AUTO(auto_str) char *text = xasprintf("Detach %s (@ref:%s)", t->name, t->addon_name);
	struct release_new in = {.description = text, .first = write_detach, .first_arg = &d};

	if (store_read(a->d.store, read_app, &s, err) < 0)
		return -1;
	/* Apps that go get no releases any more. */
	return s.gone ? store_tx(a->d.store, write_detach, &d, err) : release(a, by, &s, &in, err);
}
