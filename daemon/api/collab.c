/* Who may work on an app, and who did what. */
#include "daemon/api/api_int.h"
#include "daemon/store/session.h"

#include <string.h>

static json_t *collab_json(struct api_req *q, const struct store_collaborator *c)
{
	static const struct {
		unsigned bit;
		const char *name, *text;
	} perms[] = {
		{STORE_VIEW, "view", "See the app, its config and its logs"},
		{STORE_DEPLOY, "deploy", "Push code, release, run one-off dynos"},
		{STORE_OPERATE, "operate", "Scale, restart, change config"},
		{STORE_MANAGE, "manage", "Manage collaborators"},
	};
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_LEN(perms); i++)
		if (c->perms & perms[i].bit)
			json_array_append_new(list, json_pack("{s:s, s:s}", "name", perms[i].name,
							      "description", perms[i].text));
	return json_pack("{s:o, s:o, s:s, s:o, s:s, s:o, s:{s:o, s:b, s:s}}", "app",
			 json_app_ref(&q->app), "created_at", json_time(c->created_ms), "id", c->id,
			 "permissions", list, "role", c->owner ? "owner" : "collaborator",
			 "updated_at", json_time(c->updated_ms), "user", "email",
			 json_text(c->email), "federated", 0, "id", c->user_id);
}

struct collab_tx {
	struct api_req *q;
	struct store_collaborators list;
	struct store_collaborator one;
	const char *who;
	unsigned perms;
};

static int read_collabs(struct tx *tx, void *arg, struct err *err)
{
	struct collab_tx *t = arg;

	return store_collaborators_list(tx, t->q->app.id, &t->list, err);
}

int api_collab_list(struct api_req *q, struct err *err)
{
	struct collab_tx t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_collabs, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.list.n; i++)
		json_array_append_new(list, collab_json(q, &t.list.v[i]));
	store_collaborators_clear(&t.list);
	return api_list(q, list, "id created_at updated_at", err);
}

static int read_collab(struct tx *tx, void *arg, struct err *err)
{
	struct collab_tx *t = arg;

	return store_collaborator_find(tx, t->q->app.id, t->who, &t->one, err);
}

int api_collab_info(struct api_req *q, struct err *err)
{
	struct collab_tx t = {.q = q, .who = q->params[1]};

	if (store_read(q->d->store, read_collab, &t, err) < 0)
		return -1;
	api_ok(q, 200, collab_json(q, &t.one));
	store_collaborator_clear(&t.one);
	return 0;
}

static int write_collab(struct tx *tx, void *arg, struct err *err)
{
	struct collab_tx *t = arg;
	AUTO(store_user_clear) struct store_user u = {0};

	store_collaborator_clear(&t->one);
	if (store_user_find(tx, t->who, &u, err) < 0)
		return -1;
	return store_collaborator_add(tx, t->q->app.id, u.id, t->perms, &t->one, err);
}

/* Nobody hands out more than they have: manage alone would otherwise be everything. */
static int check_perms(const struct api_req *q, unsigned perms, struct err *err)
{
	char missing[64];

	if (!(perms & ~q->perms))
		return 0;
	store_perms_format(perms & ~q->perms, missing);
	return err_set(err, ERR_FORBIDDEN,
		       "You cannot give permissions that you do not have on %s: %s.", q->app.name,
		       missing);
}

/* Whoever may do anything with an app may see it. */
static int read_perms(struct api_req *q, unsigned *out, struct err *err)
{
	json_t *list = json_object_get(q->body, "permissions"), *v;
	size_t i;

	*out = STORE_PERMS_COLLABORATOR;
	if (!list || json_is_null(list))
		return check_perms(q, *out, err);
	if (json_array_size(list) == 0)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Parameter permissions must be a list of view, deploy, operate, "
			       "manage.");
	*out = STORE_VIEW;
	json_array_foreach(list, i, v)
	{
		unsigned bit = json_is_string(v) ? store_perms_parse(json_string_value(v)) : 0;

		if (!bit || (bit & ~(unsigned)STORE_PERMS_COLLABORATOR))
			return err_set(
				err, ERR_INVALID_PARAMS,
				"Parameter permissions takes view, deploy, operate, manage.");
		*out |= bit;
	}
	return check_perms(q, *out, err);
}

int api_collab_create(struct api_req *q, struct err *err)
{
	static const char *const fields[] = {"user", "silent", "permissions", NULL};
	struct collab_tx t = {.q = q};
	char perms[64];

	if (api_known(q->body, fields, err) < 0 || api_str(q, "user", true, &t.who, err) < 0 ||
	    read_perms(q, &t.perms, err) < 0)
		return -1;
	if (strcmp(t.who, "~") == 0)
		t.who = q->user.id;
	if (store_tx(q->d->store, write_collab, &t, err) < 0) {
		store_collaborator_clear(&t.one);
		return -1;
	}
	store_perms_format(t.one.perms, perms);
	api_audit(q, "collaborator.add", "%s: %s", t.one.email, perms);
	api_ok(q, 201, collab_json(q, &t.one));
	store_collaborator_clear(&t.one);
	return 0;
}

static int delete_collab(struct tx *tx, void *arg, struct err *err)
{
	struct collab_tx *t = arg;

	store_collaborator_clear(&t->one);
	if (store_collaborator_find(tx, t->q->app.id, t->who, &t->one, err) < 0)
		return -1;
	if (strcmp(t->one.user_id, t->q->user.id) != 0 && !(t->q->perms & STORE_MANAGE))
		return err_set(err, ERR_FORBIDDEN, "You do not have the manage permission on %s.",
			       t->q->app.name);
	return store_collaborator_remove(tx, t->q->app.id, t->who, err);
}

int api_collab_delete(struct api_req *q, struct err *err)
{
	struct collab_tx t = {.q = q, .who = q->params[1]};
	int rc = store_tx(q->d->store, delete_collab, &t, err);

	if (rc == 0) {
		api_audit(q, "collaborator.remove", "%s", t.one.email);
		api_ok(q, 200, collab_json(q, &t.one));
	}
	store_collaborator_clear(&t.one);
	return rc;
}

/* --- audit --- */

struct audit_q {
	struct api_req *q;
	struct store_audits list;
};

static int read_audit(struct tx *tx, void *arg, struct err *err)
{
	struct audit_q *t = arg;

	return store_audit_list(tx, t->q->app.id, 0, 1000, &t->list, err);
}

int api_audit_list(struct api_req *q, struct err *err)
{
	struct audit_q t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_audit, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.list.n; i++) {
		const struct store_audit *a = &t.list.v[i];

		json_array_append_new(
			list, json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
					(json_int_t)a->seq, "created_at", json_time(a->at_ms),
					"actor", json_str_or_null(a->actor), "action",
					json_text(a->action), "detail", json_text(a->detail),
					"request_id", json_str_or_null(a->request_id), "peer",
					json_str_or_null(a->peer)));
	}
	store_audits_clear(&t.list);
	return api_list(q, list, "id created_at", err);
}
