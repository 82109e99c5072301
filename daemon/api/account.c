/* Accounts and API tokens. */
#include "daemon/api/api_int.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "proto/names.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

int api_own_account(struct api_req *q, struct err *err)
{
	const char *who = q->params[0];

	if (who && strcmp(who, "~") != 0 && strcmp(who, q->user.id) != 0 &&
	    strcasecmp(who, q->user.email) != 0)
		return err_not_found(err, "user");
	return 0;
}

int api_account_info(struct api_req *q, struct err *err)
{
	if (api_own_account(q, err) < 0)
		return -1;
	return api_ok(q, 200, json_account(&q->user));
}

struct account_tx {
	struct api_req *q;
	const char *name;
	char hash[128];
	struct store_user out;
};

static int write_account(struct tx *tx, void *arg, struct err *err)
{
	struct account_tx *t = arg;

	store_user_clear(&t->out);
	if (t->name && store_user_set_name(tx, t->q->user.id, t->name, err) < 0)
		return -1;
	if (t->hash[0] && store_user_set_password(tx, t->q->user.id, t->hash, err) < 0)
		return -1;
	return store_user_get(tx, t->q->user.id, &t->out, err);
}

static int check_password(const char *p, struct err *err)
{
	size_t n = strlen(p);

	if (n < 8 || n > 1024)
		return err_set(err, ERR_INVALID_PARAMS, "Passwords have 8 to 1024 characters.");
	return 0;
}

/* A stolen token alone must not be able to lock the owner out, or to guess on for ever. */
static int check_present(struct api_req *q, const char *password, struct err *err)
{
	if (!q->user.password)
		return 0;
	if (!password)
		return err_set(err, ERR_INVALID_PARAMS, "Missing required parameter: password.");
	if (api_password_check(q, q->user.email, q->user.password, password, err) == 0)
		return 0;
	if (err->code != ERR_UNAUTHORIZED)
		return -1;
	api_audit(q, "account.password.refused", "%s", "");
	return err_set(err, ERR_FORBIDDEN, "The present password is wrong.");
}

static int new_password(struct api_req *q, char hash[128], struct err *err)
{
	const char *old, *fresh;

	if (api_str(q, "password", false, &old, err) < 0 ||
	    api_str(q, "new_password", false, &fresh, err) < 0)
		return -1;
	if (!fresh)
		return 0;
	if (check_password(fresh, err) < 0 || check_present(q, old, err) < 0)
		return -1;
	return api_password_hash(q, fresh, hash, err);
}

int api_account_update(struct api_req *q, struct err *err)
{
	static const char *const fields[] = {"name",	       "password", "new_password",
					     "allow_tracking", "beta",	   NULL};
	struct account_tx t = {.q = q};

	if (api_known(q->body, fields, err) < 0 ||
	    api_line(q, "name", false, 255, &t.name, err) < 0 || new_password(q, t.hash, err) < 0)
		return -1;
	if (store_tx(q->d->store, write_account, &t, err) < 0) {
		store_user_clear(&t.out);
		return -1;
	}
	api_audit(q, "account.update", "%s%s", t.name ? "name " : "", t.hash[0] ? "password" : "");
	api_ok(q, 200, json_account(&t.out));
	store_user_clear(&t.out);
	return 0;
}

struct user_tx {
	const char *email, *name;
	char hash[128];
	bool admin;
	struct store_user out;
};

static int write_user(struct tx *tx, void *arg, struct err *err)
{
	struct user_tx *t = arg;

	store_user_clear(&t->out);
	return store_user_create(tx, t->email, t->name, t->hash, t->admin, &t->out, err);
}

int api_user_create(struct api_req *q, struct err *err)
{
	static const char *const fields[] = {"email", "name", "password", "admin", NULL};
	struct user_tx t = {0};
	const char *password;
	int admin;

	if (api_known(q->body, fields, err) < 0 || api_str(q, "email", true, &t.email, err) < 0 ||
	    api_line(q, "name", false, 255, &t.name, err) < 0 ||
	    api_str(q, "password", true, &password, err) < 0 ||
	    api_bool(q, "admin", &admin, err) < 0 || check_password(password, err) < 0)
		return -1;
	if (!name_is_email(t.email))
		return err_set(err, ERR_INVALID_PARAMS, "email is not an e-mail address.");
	t.admin = admin == 1;
	if (api_password_hash(q, password, t.hash, err) < 0)
		return -1;
	if (store_tx(q->d->store, write_user, &t, err) < 0) {
		store_user_clear(&t.out);
		return -1;
	}
	api_audit(q, "user.create", "%s", t.email);
	api_ok(q, 201, json_account(&t.out));
	store_user_clear(&t.out);
	return 0;
}

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
	return json_pack("{s:{s:o, s:s, s:s}, s:n, s:o, s:o, s:n, s:s, s:n, s:o, s:n, s:o, s:{s:s, "
			 "s:o, s:o}}",
			 "access_token", "expires_in", expires ? expires : json_null(), "id",
			 a->token_id, "token", token ? token : masked, "client", "created_at",
			 json_time(a->created_ms), "description", json_text(a->description),
			 "grant", "id", a->id, "refresh_token", "scope", scope, "session",
			 "updated_at", json_time(a->updated_ms), "user", "id", a->user_id, "email",
			 json_text(a->user_email), "full_name", json_str_or_null(a->user_name));
}

struct auth_tx {
	struct api_req *q;
	const char *secret; /* a token */
	struct store_auth auth;
	const char *description, *id;
	char scope[200], token[64];
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

static int read_scope(struct api_req *q, char *out, size_t cap, struct err *err)
{
	json_t *list = json_object_get(q->body, "scope"), *v;
	size_t i, n = 0;

	snprintf(out, cap, "global");
	if (!list || json_is_null(list))
		return 0;
	if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > 6)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Parameter scope must be a list of scopes.");
	json_array_foreach(list, i, v)
	{
		if (!json_is_string(v) || !api_scope_known(json_string_value(v)))
			return err_set(err, ERR_INVALID_PARAMS,
				       "Parameter scope takes global, identity, read, write, "
				       "read-protected, write-protected.");
		n += (size_t)snprintf(out + n, cap - n, "%s%s", i ? " " : "", json_string_value(v));
	}
	return 0;
}

int api_auth_create(struct api_req *q, struct err *err)
{
	/* client: of OAuth applications, which there are none of; clients send it all the same */
	static const char *const fields[] = {"description", "expires_in", "scope", "client", NULL};
	struct auth_tx t = {.q = q};
	int64_t expires = 0;
	bool given;
	int rc;

	if (api_known(q->body, fields, err) < 0 ||
	    api_line(q, "description", false, 300, &t.description, err) < 0 ||
	    api_int(q, "expires_in", 1, 10LL * 365 * 86400, &expires, &given, err) < 0 ||
	    read_scope(q, t.scope, sizeof t.scope, err) < 0)
		return -1;
	if (!t.description)
		t.description = "Long-lived user authorization";
	if (given)
		t.expires_ms = clock_wall_ms() + expires * 1000;
	memcpy(t.token, "PAAS-", 5);
	random_hex(t.token + 5, 48);
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

	return store_auth_get(tx, t->q->user.id, t->id, &t->auth, err);
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

int api_session_delete(struct api_req *q, struct err *err)
{
	return err_not_found(err, "session"); /* tokens are the only sessions of this version */
}

int api_rate_limits(struct api_req *q, struct err *err)
{
	return api_ok(q, 200, json_pack("{s:i}", "remaining", (int)api_requests_left(q)));
}

/* --- first start --- */

struct first {
	const struct config *cfg;
	char token[64];
	int users;
};

static int count_users(struct tx *tx, void *arg, struct err *err)
{
	struct first *f = arg;

	return store_user_count(tx, &f->users, err);
}

static int write_first(struct tx *tx, void *arg, struct err *err)
{
	struct first *f = arg;
	AUTO(store_user_clear) struct store_user u = {0};
	AUTO(store_auth_clear) struct store_auth a = {0};

	if (store_user_create(tx, f->cfg->admin_email, "Administrator", NULL, true, &u, err) < 0)
		return -1;
	return store_auth_create(tx, u.id, f->token, "Administrator's first token", "global", 0, &a,
				 err);
}

int api_first_start(struct store *st, const struct config *cfg, struct err *err)
{
	struct first f = {.cfg = cfg};
	AUTO(auto_str) char *path = xasprintf("%s/admin-token", cfg->state_dir);
	char line[70];

	if (store_read(st, count_users, &f, err) < 0)
		return -1;
	if (f.users > 0)
		return 0;
	/* The file first: a crash in between leaves no account whose token nobody knows. */
	memcpy(f.token, "PAAS-", 5);
	random_hex(f.token + 5, 48);
	snprintf(line, sizeof line, "%s\n", f.token);
	if (fs_write_atomic(path, line, strlen(line), 0600, err) < 0 ||
	    store_tx(st, write_first, &f, err) < 0)
		return -1;
	xlog(XLOG_INFO, "api", "msg=\"made the administrator's account\" email=%s token_file=%s",
	     cfg->admin_email, xlog_q(path));
	return 0;
}

/* --- git --- */

struct git_login {
	const char *token;
	struct store_auth auth;
	struct store_user user;
};

static int read_git_login(struct tx *tx, void *arg, struct err *err)
{
	struct git_login *g = arg;

	return store_auth_by_token(tx, g->token, &g->auth, &g->user, err);
}

int api_git_login(struct store *st, const char *token, char user_id[37], char email[256],
		  struct err *err)
{
	struct git_login g = {.token = token};
	int rc = store_read(st, read_git_login, &g, err);

	if (rc == 0 && !api_scope_allows(g.auth.scope, SCOPE_WRITE))
		rc = err_set(err, ERR_FORBIDDEN,
			     "The scope of this OAuth authorization does not allow git.");
	if (rc == 0) {
		memcpy(user_id, g.user.id, 37);
		snprintf(email, 256, "%s", g.user.email);
	}
	store_auth_clear(&g.auth);
	store_user_clear(&g.user);
	return rc;
}

struct git_app {
	const char *user_id, *name;
	unsigned perms;
	char id[37];
};

static int read_git_app(struct tx *tx, void *arg, struct err *err)
{
	struct git_app *g = arg;
	AUTO(store_app_clear) struct store_app a = {0};

	if (store_app_find(tx, g->name, &a, err) < 0)
		return -1;
	memcpy(g->id, a.id, sizeof g->id);
	return store_app_access(tx, g->user_id, a.id, &g->perms, err);
}

int api_git_app(struct store *st, const char *user_id, const char *name, bool write,
		char app_id[37], struct err *err)
{
	struct git_app g = {.user_id = user_id, .name = name};

	/* Names only, so that a URL with an id does not push to an app by surprise. */
	if (!name_is_app(name) || store_read(st, read_git_app, &g, err) < 0 || g.perms == 0)
		return err_not_found(err, "app");
	if (!(g.perms & (write ? STORE_DEPLOY : STORE_VIEW)))
		return err_set(err, ERR_FORBIDDEN, "You do not have the %s permission on %s.",
			       write ? "deploy" : "view", name);
	memcpy(app_id, g.id, 37);
	return 0;
}
