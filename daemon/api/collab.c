/* Who may work on an app. */
#include "daemon/api/identity.h"
#include "daemon/api/invite.h"
#include "proto/names.h"

#include <string.h>

static json_t *perms_json(unsigned of)
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
		if (of & perms[i].bit)
			json_array_append_new(list, json_pack("{s:s, s:s}", "name", perms[i].name,
							      "description", perms[i].text));
	return list;
}

/* invitation: of who has no account yet; NULL of others. */
static json_t *collab_json(struct api_req *q, const struct store_collaborator *c,
			   json_t *invitation)
{
	return json_pack("{s:o, s:o, s:s, s:o, s:o, s:s, s:o, s:{s:o, s:b, s:s}}", "app",
			 json_app_ref(&q->app), "created_at", json_time(c->created_ms), "id", c->id,
			 "invitation", invitation ? invitation : json_null(), "permissions",
			 perms_json(c->perms), "role", c->owner ? "owner" : "collaborator",
			 "updated_at", json_time(c->updated_ms), "user", "email",
			 json_text(c->email), "federated", 0, "id", c->user_id);
}

struct collab_tx {
	struct api_req *q;
	struct store_collaborators list;
	struct store_collaborator one;
	const char *who;
	unsigned perms;
	char secret[INVITE_SECRET];
	struct store_invitation invitation; /* of who has no account */
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
		json_array_append_new(list, collab_json(q, &t.list.v[i], NULL));
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
	api_ok(q, 200, collab_json(q, &t.one, NULL));
	store_collaborator_clear(&t.one);
	return 0;
}

static int write_invited(struct tx *tx, struct collab_tx *t, struct err *err)
{
	char perms[64];

	store_perms_format(t->perms, perms);
	return store_invitation_create(tx, t->secret, t->who, t->q->user.id, false, t->q->app.id,
				       perms, &t->invitation, err);
}

static int write_collab(struct tx *tx, void *arg, struct err *err)
{
	struct collab_tx *t = arg;
	AUTO(store_user_clear) struct store_user u = {0};
	struct err e = {0};

	store_collaborator_clear(&t->one);
	store_invitation_clear(&t->invitation);
	if (store_user_find(tx, t->who, &u, &e) == 0)
		return store_collaborator_add(tx, t->q->app.id, u.id, t->perms, &t->one, err) < 0
			       ? -1
			       : api_hook(t->q, tx, "api:collaborator", HOOK_CREATE, t->one.id,
					  err);
	if (e.code == ERR_NOT_FOUND && name_is_email(t->who))
		return write_invited(tx, t, err);
	*err = e;
	return -1;
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

static const struct api_field perm_field = {NULL, F_STRING, .choice = "view|deploy|operate|manage"};

const struct api_field api_fields_collab[] = {
	{"user", F_LINE, .flags = F_REQUIRED, .min = 1, .max = 254, .text = "address, id or ~"},
	{"silent", F_BOOL, .text = "no mail is sent in any case"},
	{"permissions", F_LIST, .min = 1, .max = 16, .of = &perm_field, .text = "all, if missing"},
	{0},
};
const struct api_field api_fields_collab_update[] = {
	{"permissions", F_LIST, .flags = F_REQUIRED, .min = 1, .max = 16, .of = &perm_field},
	{0},
};

/* Whoever may do anything with an app may see it. */
static int read_perms(struct api_req *q, unsigned *out, struct err *err)
{
	const json_t *list = json_object_get(q->body, "permissions");
	json_t *v;
	size_t i;

	*out = json_array_size(list) ? STORE_VIEW : STORE_PERMS_COLLABORATOR;
	json_array_foreach(list, i, v) *out |= store_perms_parse(json_string_value(v));
	return check_perms(q, *out, err);
}

/* As a collaborator that is none yet. */
static int answer_invited(struct api_req *q, struct collab_tx *t)
{
	const struct store_invitation *i = &t->invitation;
	AUTO(auto_str) char *url = invitation_url(q, t->secret);
	struct store_collaborator c = {.email = i->email,
				       .perms = t->perms,
				       .created_ms = i->created_ms,
				       .updated_ms = i->created_ms};

	memcpy(c.id, i->id, sizeof c.id);
	memcpy(c.user_id, i->id, sizeof c.user_id);
	api_audit(q, "invitation.create", "%s", i->email);
	/* Clients that know nothing of invitations show this. */
	http_setf(q->x, "X-Heroku-Warning",
		  "%s has no account yet. Pass this address on, it is good for 7 days: %s",
		  i->email, url);
	return api_ok(q, 201,
		      collab_json(q, &c,
				  json_pack("{s:o, s:s, s:s}", "expires_at",
					    json_time(i->expires_ms), "id", i->id, "url", url)));
}

int api_collab_create(struct api_req *q, struct err *err)
{
	struct collab_tx t = {.q = q, .who = api_get_str(q->body, "user")};
	char perms[64];
	int rc;

	if (read_perms(q, &t.perms, err) < 0)
		return -1;
	if (strcmp(t.who, "~") == 0)
		t.who = q->user.id;
	random_hex(t.secret, sizeof t.secret - 1);
	rc = store_tx(q->d->store, write_collab, &t, err);
	if (rc == 0 && t.invitation.id[0]) {
		answer_invited(q, &t);
	} else if (rc == 0) {
		store_perms_format(t.one.perms, perms);
		api_audit(q, "collaborator.add", "%s: %s", t.one.email, perms);
		api_ok(q, 201, collab_json(q, &t.one, NULL));
	}
	store_collaborator_clear(&t.one);
	store_invitation_clear(&t.invitation);
	return rc;
}

static int update_collab(struct tx *tx, void *arg, struct err *err)
{
	struct collab_tx *t = arg;
	char id[37];

	store_collaborator_clear(&t->one);
	if (store_collaborator_find(tx, t->q->app.id, t->who, &t->one, err) < 0)
		return -1;
	if (t->one.owner)
		return err_set(err, ERR_INVALID_PARAMS, "The owner has all permissions.");
	memcpy(id, t->one.id, sizeof id);
	if (store_collaborator_set(tx, id, t->perms, err) < 0)
		return -1;
	store_collaborator_clear(&t->one);
	return store_collaborator_find(tx, t->q->app.id, id, &t->one, err);
}

int api_collab_update(struct api_req *q, struct err *err)
{
	struct collab_tx t = {.q = q, .who = q->params[1]};
	char perms[64];
	int rc = read_perms(q, &t.perms, err);

	if (rc == 0)
		rc = store_tx(q->d->store, update_collab, &t, err);
	if (rc == 0) {
		store_perms_format(t.one.perms, perms);
		api_audit(q, "collaborator.update", "%s: %s", t.one.email, perms);
		api_ok(q, 200, collab_json(q, &t.one, NULL));
	}
	store_collaborator_clear(&t.one);
	return rc;
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
	if (api_hook(t->q, tx, "api:collaborator", HOOK_DESTROY, t->one.id, err) < 0)
		return -1;
	return store_collaborator_remove(tx, t->q->app.id, t->who, err);
}

int api_collab_delete(struct api_req *q, struct err *err)
{
	struct collab_tx t = {.q = q, .who = q->params[1]};
	int rc = store_tx(q->d->store, delete_collab, &t, err);

	if (rc == 0) {
		api_audit(q, "collaborator.remove", "%s", t.one.email);
		api_ok(q, 200, collab_json(q, &t.one, NULL));
	}
	store_collaborator_clear(&t.one);
	return rc;
}

json_t *api_render_collab(struct api_req *q, struct tx *tx, const char *id)
{
	struct store_collaborator v = {0};
	struct err none = {0};
	json_t *j;

	if (store_collaborator_find(tx, q->app.id, id, &v, &none) < 0)
		return NULL;
	j = collab_json(q, &v, NULL);
	store_collaborator_clear(&v);
	return j;
}
