/* API tokens, and the sessions of browsers that approve them. */
#include "daemon/api/api_int.h"
#include "daemon/api/identity.h"
#include "daemon/core/fsx.h"
#include "daemon/store/identity.h"

#include <stdio.h>
#include <string.h>

/* --- authorizations --- */

/* token NULL: masked, as those that the caller does not have. */
static json_t *auth_json(const struct store_auth *a, const char *token)
{
	char masked[40];
	json_t *scope = json_array(), *expires = NULL;
	AUTO(auto_str) char *list = xstrdup(a->scope);
	char *save = NULL;

	for (char *s = strtok_r(list, " ", &save); s; s = strtok_r(NULL, " ", &save))
		json_array_append_new(scope, json_string(s));
	if (a->expires_ms) {
		wall_ms left = a->expires_ms - clock_wall_ms();

		expires = json_integer(left > 0 ? left / 1000 : 0);
	}
	snprintf(masked, sizeof masked, "%s**********", a->token_prefix);
	return json_pack("{s:{s:o, s:s, s:s}, s:n, s:o, s:o, s:n, s:s, s:n, s:o, s:o, s:o, s:{s:s, "
			 "s:o, s:o}}",
			 "access_token", "expires_in", expires ? expires : json_null(), "id",
			 a->token_id, "token", token ? token : masked, "client", "created_at",
			 json_time(a->created_ms), "description", json_text(a->description),
			 "grant", "id", a->id, "refresh_token", "scope", scope, "session",
			 json_id_or_null(a->session_id), "updated_at", json_time(a->updated_ms),
			 "user", "id", a->user_id, "email", json_text(a->user_email), "full_name",
			 json_str_or_null(a->user_name));
}

struct auth_tx {
	struct api_req *q;
	const char *secret; /* a token */
	struct store_auth auth;
	const char *description, *id;
	char scope[200], token[API_TOKEN];
	wall_ms expires_ms;
	struct store_auths list;
};

static int write_auth(struct tx *tx, void *arg, struct err *err)
{
	struct auth_tx *t = arg;
	const struct api_req *q = t->q;

	store_auth_clear(&t->auth);
	if (store_auth_create(tx, q->user.id, t->token, t->description, t->scope, t->expires_ms,
			      &t->auth, err) < 0)
		return -1;
	return q->auth_id[0] ? 0 : store_user_touch_login(tx, q->user.id, err);
}

static const struct api_field scope_field = {
	NULL, F_STRING, .choice = "global|identity|read|write|read-protected|write-protected"};

/* client: of OAuth applications, which there are none of; clients send it all the same */
const struct api_field api_fields_auth_create[] = {
	{"description", F_LINE, .max = 300},
	{"expires_in", F_INT, .flags = F_NULL, .min = 1, .max = 10LL * 365 * 86400, .text = "s"},
	{"scope", F_LIST, .min = 1, .max = 6, .of = &scope_field},
	{"client", F_ANY},
	{0},
};
const struct api_field api_fields_auth_update[] = {
	{"description", F_LINE, .max = 300},
	{"client", F_ANY},
	{0},
};

static void read_scope(const json_t *list, char *out, size_t cap)
{
	json_t *v;
	size_t i, n = 0;

	snprintf(out, cap, "global");
	json_array_foreach(list, i, v) n +=
		(size_t)snprintf(out + n, cap - n, "%s%s", i ? " " : "", json_string_value(v));
}

void api_new_token(char out[API_TOKEN])
{
	memcpy(out, "PAAS-", 5);
	random_hex(out + 5, 48);
}

int api_auth_create(struct api_req *q, struct err *err)
{
	struct auth_tx t = {.q = q, .description = api_get_str(q->body, "description")};
	int64_t expires = api_get_int(q->body, "expires_in", 0);
	int rc;

	read_scope(json_object_get(q->body, "scope"), t.scope, sizeof t.scope);
	if (!t.description)
		t.description = "Long-lived user authorization";
	if (expires)
		t.expires_ms = clock_wall_ms() + expires * 1000;
	api_new_token(t.token);
	rc = store_tx(q->d->store, write_auth, &t, err);
	if (rc == 0) {
		api_audit(q, "authorization.create", "%s", t.scope);
		api_ok(q, 201, auth_json(&t.auth, t.token));
	}
	explicit_bzero(t.token, sizeof t.token);
	store_auth_clear(&t.auth);
	return rc;
}

static int read_auths(struct tx *tx, void *arg, struct err *err)
{
	struct auth_tx *t = arg;

	return store_auths_list(tx, t->q->user.id, &t->list, err);
}

int api_auth_list(struct api_req *q, struct err *err)
{
	AUTO(auto_str) char *token = api_credentials(q->x, NULL);
	struct auth_tx t = {.q = q};
	wall_ms now = clock_wall_ms();
	json_t *list;

	if (store_read(q->d->store, read_auths, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.list.n; i++) {
		const struct store_auth *a = &t.list.v[i];

		/* What the caller sent is no secret from it, and `auth:token`, `logout` look for
		 * it. */
		if (!a->expires_ms || a->expires_ms > now)
			json_array_append_new(
				list, auth_json(a, strcmp(a->id, q->auth_id) == 0 ? token : NULL));
	}
	store_auths_clear(&t.list);
	return api_list(q, list, "id created_at updated_at", err);
}

static int read_auth(struct tx *tx, void *arg, struct err *err)
{
	struct auth_tx *t = arg;

	store_auth_clear(&t->auth);
	if (store_auth_get(tx, t->q->user.id, t->id, &t->auth, err) < 0)
		return -1;
	/* Gone, though not yet swept up. */
	if (t->auth.expires_ms && t->auth.expires_ms <= clock_wall_ms()) {
		store_auth_clear(&t->auth);
		return err_not_found(err, "authorization");
	}
	return 0;
}

static int revoke_auth(struct tx *tx, void *arg, struct err *err)
{
	struct auth_tx *t = arg;

	return store_auth_revoke(tx, t->q->user.id, t->id, err);
}

static int read_default(struct tx *tx, void *arg, struct err *err)
{
	struct auth_tx *t = arg;

	return store_auth_by_token(tx, t->secret, &t->auth, NULL, err);
}

/* "~" is the account's default authorization, which logging out leaves alone: the one whose token
 * the platform keeps in a file for its administrator. Other accounts have none. */
static int default_auth(struct auth_tx *t, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("%s/admin-token", t->q->d->cfg->state_dir);
	AUTO(buf_clear) struct buf b = {0};

	if (fs_read(path, 256, &b, NULL) < 0 || b.len == 0)
		return err_not_found(err, "authorization");
	b.data[strcspn(buf_str(&b), "\n")] = 0;
	t->secret = buf_str(&b);
	if (store_read(t->q->d->store, read_default, t, NULL) < 0 ||
	    strcmp(t->auth.user_id, t->q->user.id) != 0)
		return err_not_found(err, "authorization");
	return 0;
}

static int one_auth(struct auth_tx *t, struct err *err)
{
	t->id = t->q->params[0];
	if (strcmp(t->id, "~") != 0)
		return store_read(t->q->d->store, read_auth, t, err);
	if (default_auth(t, err) < 0)
		return -1;
	t->id = t->auth.id;
	return 0;
}

int api_auth_info(struct api_req *q, struct err *err)
{
	AUTO(auto_str) char *token = api_credentials(q->x, NULL);
	struct auth_tx t = {.q = q};
	int rc = one_auth(&t, err);

	if (rc == 0)
		api_ok(q, 200,
		       auth_json(&t.auth, strcmp(t.auth.id, q->auth_id) == 0 ? token : NULL));
	store_auth_clear(&t.auth);
	return rc;
}

int api_auth_delete(struct api_req *q, struct err *err)
{
	struct auth_tx t = {.q = q};
	int rc = one_auth(&t, err);

	if (rc == 0)
		rc = store_tx(q->d->store, revoke_auth, &t, err);
	if (rc == 0) {
		api_audit(q, "authorization.revoke", "%s", t.id);
		api_ok(q, 200, auth_json(&t.auth, NULL));
	}
	store_auth_clear(&t.auth);
	return rc;
}

static int write_update(struct tx *tx, void *arg, struct err *err)
{
	struct auth_tx *t = arg;

	if (t->description && store_auth_update(tx, t->q->user.id, t->id, t->description, err) < 0)
		return -1;
	return read_auth(tx, t, err);
}

int api_auth_update(struct api_req *q, struct err *err)
{
	AUTO(auto_str) char *token = api_credentials(q->x, NULL);
	struct auth_tx t = {.q = q, .description = api_get_str(q->body, "description")};
	AUTO(auto_str) char *id = NULL;
	int rc = one_auth(&t, err);

	if (rc == 0) {
		t.id = id = xstrdup(t.id); /* of the row that is read again */
		rc = store_tx(q->d->store, write_update, &t, err);
	}
	if (rc == 0) {
		api_audit(q, "authorization.update", "%s", t.id);
		api_ok(q, 200,
		       auth_json(&t.auth, strcmp(t.auth.id, q->auth_id) == 0 ? token : NULL));
	}
	store_auth_clear(&t.auth);
	return rc;
}

static int write_regenerate(struct tx *tx, void *arg, struct err *err)
{
	struct auth_tx *t = arg;

	if (store_auth_regenerate(tx, t->q->user.id, t->id, t->token, err) < 0)
		return -1;
	return read_auth(tx, t, err);
}

/* Whoever holds the old token is out; scope, description and expiry stay. */
int api_auth_regenerate(struct api_req *q, struct err *err)
{
	struct auth_tx t = {.q = q, .id = q->params[0]};
	int rc;

	/* Its token is in a file that clients and tests read: a new one would not be. */
	if (strcmp(t.id, "~") == 0)
		return err_set(err, ERR_INVALID_PARAMS,
			       "The default authorization keeps its token; make another one and "
			       "revoke this.");
	api_new_token(t.token);
	rc = store_read(q->d->store, read_auth, &t, err);
	if (rc == 0)
		rc = store_tx(q->d->store, write_regenerate, &t, err);
	if (rc == 0) {
		api_audit(q, "authorization.regenerate", "%s", t.id);
		api_ok(q, 201, auth_json(&t.auth, t.token));
	}
	explicit_bzero(t.token, sizeof t.token);
	store_auth_clear(&t.auth);
	return rc;
}

/* --- sessions --- */

struct session_tx {
	struct api_req *q;
	struct store_sessions list;
	struct store_session one;
};

static json_t *session_json(const struct store_session *s)
{
	return json_pack("{s:o, s:o, s:o, s:s, s:o}", "created_at", json_time(s->created_ms),
			 "description", json_text(s->description), "expires_at",
			 json_time(s->expires_ms), "id", s->id, "updated_at",
			 json_time(s->updated_ms));
}

static int read_sessions(struct tx *tx, void *arg, struct err *err)
{
	struct session_tx *t = arg;

	return store_sessions_list(tx, t->q->user.id, &t->list, err);
}

int api_sessions_list(struct api_req *q, struct err *err)
{
	struct session_tx t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_sessions, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.list.n; i++)
		json_array_append_new(list, session_json(&t.list.v[i]));
	store_sessions_clear(&t.list);
	return api_list(q, list, "id created_at updated_at", err);
}

/* "~" is the one by which the caller's token was approved: logging out of a client logs out of the
 * browser that let it in. */
static int end_session(struct tx *tx, void *arg, struct err *err)
{
	struct session_tx *t = arg;
	const struct api_req *q = t->q;
	AUTO(store_auth_clear) struct store_auth a = {0};
	const char *id = q->params[0];

	if (strcmp(id, "~") == 0) {
		if (store_auth_get(tx, q->user.id, q->auth_id, &a, NULL) < 0)
			return err_not_found(err, "session");
		id = a.session_id;
	}
	store_session_clear(&t->one);
	if (store_session_get(tx, q->user.id, id, &t->one, err) < 0)
		return -1;
	return store_session_delete(tx, q->user.id, t->one.id, err);
}

int api_session_delete(struct api_req *q, struct err *err)
{
	struct session_tx t = {.q = q};
	int rc = store_tx(q->d->store, end_session, &t, err);

	if (rc == 0) {
		api_audit(q, "session.end", "%s", t.one.id);
		api_ok(q, 200, session_json(&t.one));
	}
	store_session_clear(&t.one);
	return rc;
}

/* --- OAuth clients: applications of third parties, which there are none of --- */

int api_clients_list(struct api_req *q, struct err *err)
{
	return api_list(q, json_array(), "id", err);
}

int api_client_missing(struct api_req *q, struct err *err)
{
	(void)q;
	return err_not_found(err, "client");
}

int api_client_create(struct api_req *q, struct err *err)
{
	(void)q;
	return err_set(err, ERR_INVALID_PARAMS,
		       "There are no OAuth clients on this platform; programs use a token of their "
		       "own: POST /oauth/authorizations.");
}
