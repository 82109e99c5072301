/* Accounts and API tokens. */
#include "daemon/api/api_int.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "proto/names.h"

#include <stdio.h>
#include <string.h>

int api_account_info(struct api_req *q, struct err *err)
{
	const char *who = q->params[0];

	if (who && strcmp(who, "~") != 0 && strcmp(who, q->user.id) != 0 &&
	    strcmp(who, q->user.email) != 0)
		return err_not_found(err, "user");
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

int api_account_update(struct api_req *q, struct err *err)
{
	static const char *const fields[] = {"name",	       "password", "new_password",
					     "allow_tracking", "beta",	   NULL};
	struct account_tx t = {.q = q};
	const char *old, *fresh;

	if (api_known(q, fields, err) < 0 || api_str(q, "name", false, &t.name, err) < 0 ||
	    api_str(q, "password", false, &old, err) < 0 ||
	    api_str(q, "new_password", false, &fresh, err) < 0)
		return -1;
	if (fresh) {
		if (check_password(fresh, err) < 0)
			return -1;
		/* A stolen token alone must not be able to lock the owner out. */
		if (q->user.password && (!old || !password_ok(q->user.password, old)))
			return err_set(err, ERR_FORBIDDEN,
				       "The present password is missing or wrong.");
		password_hash(fresh, t.hash);
	}
	if (store_tx(q->d->store, write_account, &t, err) < 0)
		return -1;
	api_audit(q, "account.update", "%s%s", t.name ? "name " : "", fresh ? "password" : "");
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

	if (api_known(q, fields, err) < 0 || api_str(q, "email", true, &t.email, err) < 0 ||
	    api_str(q, "name", false, &t.name, err) < 0 ||
	    api_str(q, "password", true, &password, err) < 0 ||
	    api_bool(q, "admin", &admin, err) < 0 || check_password(password, err) < 0)
		return -1;
	if (!name_is_email(t.email))
		return err_set(err, ERR_INVALID_PARAMS, "email is not an e-mail address.");
	t.admin = admin == 1;
	password_hash(password, t.hash);
	if (store_tx(q->d->store, write_user, &t, err) < 0)
		return -1;
	api_audit(q, "user.create", "%s", t.email);
	api_ok(q, 201, json_account(&t.out));
	store_user_clear(&t.out);
	return 0;
}

/* --- authorizations --- */

/* token NULL: masked, as in lists. */
static json_t *auth_json(const struct store_auth *a, const char *token)
{
	char masked[40];
	json_t *scope = json_array(), *expires = json_null();
	AUTO(auto_str) char *list = xstrdup(a->scope);
	char *save = NULL;

	for (char *s = strtok_r(list, " ", &save); s; s = strtok_r(NULL, " ", &save))
		json_array_append_new(scope, json_string(s));
	if (a->expires_ms)
		expires = json_integer((a->expires_ms - clock_wall_ms()) / 1000);
	snprintf(masked, sizeof masked, "%s**********", a->token_prefix);
	return json_pack("{s:{s:o, s:s, s:s}, s:n, s:o, s:s, s:n, s:s, s:n, s:o, s:n, s:o, s:{s:s, "
			 "s:s, s:o}}",
			 "access_token", "expires_in", expires, "id", a->token_id, "token",
			 token ? token : masked, "client", "created_at", json_time(a->created_ms),
			 "description", a->description, "grant", "id", a->id, "refresh_token",
			 "scope", scope, "session", "updated_at", json_time(a->updated_ms), "user",
			 "id", a->user_id, "email", a->user_email ? a->user_email : "", "full_name",
			 json_str_or_null(a->user_name));
}

struct auth_tx {
	struct api_req *q;
	const char *email;
	const char *secret; /* token or password */
	struct store_user user;
	struct store_auth auth;
	bool by_token;
	const char *description, *id;
	char scope[200], token[64];
	wall_ms expires_ms;
	struct store_auths list;
};

static int read_login(struct tx *tx, void *arg, struct err *err)
{
	struct auth_tx *t = arg;
	struct err none = {0};

	t->by_token = store_auth_by_token(tx, t->secret, &t->auth, &t->user, &none) == 0;
	if (t->by_token || !t->email || !*t->email)
		return 0;
	store_user_by_email(tx, t->email, &t->user, &none);
	return 0;
}

/* An unknown address costs as much time as a wrong password. */
static bool password_login(const struct auth_tx *t)
{
	static _Thread_local char dummy[128];

	if (t->user.password)
		return password_ok(t->user.password, t->secret);
	if (!dummy[0])
		password_hash("no such account", dummy);
	password_ok(dummy, t->secret);
	return false;
}

static int login(struct auth_tx *t, struct err *err)
{
	if (store_read(t->q->d->store, read_login, t, err) < 0)
		return -1;
	if (t->by_token) {
		bool global = strstr(t->auth.scope, "global") != NULL;

		store_auth_clear(&t->auth);
		return global ? 0
			      : err_set(err, ERR_FORBIDDEN,
					"The scope of this OAuth authorization does not allow "
					"that.");
	}
	if (!password_login(t))
		return err_set(err, ERR_UNAUTHORIZED, "Invalid credentials provided.");
	return 0;
}

static int write_auth(struct tx *tx, void *arg, struct err *err)
{
	struct auth_tx *t = arg;

	store_auth_clear(&t->auth);
	if (store_auth_create(tx, t->user.id, t->token, t->description, t->scope, t->expires_ms,
			      &t->auth, err) < 0)
		return -1;
	return t->by_token ? 0 : store_user_touch_login(tx, t->user.id, err);
}

static int read_scope(struct api_req *q, char *out, size_t cap, struct err *err)
{
	static const char *const known[] = {"global", "identity",	"read",
					    "write",  "read-protected", "write-protected"};
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
		bool ok = false;

		for (size_t k = 0; k < ARRAY_LEN(known) && json_is_string(v); k++)
			ok = ok || strcmp(known[k], json_string_value(v)) == 0;
		if (!ok)
			return err_set(err, ERR_INVALID_PARAMS,
				       "Parameter scope takes global, identity, read, write, "
				       "read-protected, write-protected.");
		n += (size_t)snprintf(out + n, cap - n, "%s%s", i ? " " : "", json_string_value(v));
	}
	return 0;
}

static int create_auth(struct auth_tx *t, struct err *err)
{
	struct api_req *q = t->q;
	int64_t expires = 0;
	bool given;

	if (api_str(q, "description", false, &t->description, err) < 0 ||
	    api_int(q, "expires_in", 1, 10LL * 365 * 86400, &expires, &given, err) < 0 ||
	    read_scope(q, t->scope, sizeof t->scope, err) < 0)
		return -1;
	if (!t->description)
		t->description = "Long-lived user authorization";
	if (strlen(t->description) > 300)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Parameter description has at most 300 characters.");
	if (given)
		t->expires_ms = clock_wall_ms() + expires * 1000;
	memcpy(t->token, "PAAS-", 5);
	random_hex(t->token + 5, 48);
	if (store_tx(q->d->store, write_auth, t, err) < 0)
		return -1;
	q->user = t->user; /* for the audit row; freed with the request */
	t->user = (struct store_user){0};
	api_audit(q, "authorization.create", "%s", t->scope);
	return api_ok(q, 201, auth_json(&t->auth, t->token));
}

int api_auth_create(struct api_req *q, struct err *err)
{
	AUTO(auto_str) char *email = NULL;
	AUTO(auto_str) char *secret = api_credentials(q->x, &email);
	struct auth_tx t = {.q = q, .email = email, .secret = secret};
	int rc = -1;

	if (!secret || !*secret)
		return err_set(err, ERR_UNAUTHORIZED, "Invalid credentials provided.");
	if (login(&t, err) == 0)
		rc = create_auth(&t, err);
	store_user_clear(&t.user);
	store_auth_clear(&t.auth);
	explicit_bzero(secret, strlen(secret));
	return rc;
}

static int read_auths(struct tx *tx, void *arg, struct err *err)
{
	struct auth_tx *t = arg;

	return store_auths_list(tx, t->q->user.id, &t->list, err);
}

int api_auth_list(struct api_req *q, struct err *err)
{
	struct auth_tx t = {.q = q};
	json_t *list = json_array();

	if (store_read(q->d->store, read_auths, &t, err) < 0) {
		json_decref(list);
		return -1;
	}
	for (int i = 0; i < t.list.n; i++)
		json_array_append_new(list, auth_json(&t.list.v[i], NULL));
	store_auths_clear(&t.list);
	return api_list(q, list, "id", err);
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

int api_auth_info(struct api_req *q, struct err *err)
{
	struct auth_tx t = {.q = q, .id = q->params[0]};

	/* "~" is the account's default authorization on Heroku; nobody has one here, and a client
	 * that logs out takes an answer to it for "do not revoke this one". */
	if (strcmp(q->params[0], "~") == 0)
		return err_not_found(err, "authorization");
	if (store_read(q->d->store, read_auth, &t, err) < 0)
		return -1;
	api_ok(q, 200, auth_json(&t.auth, NULL));
	store_auth_clear(&t.auth);
	return 0;
}

int api_auth_delete(struct api_req *q, struct err *err)
{
	struct auth_tx t = {.q = q,
			    .id = strcmp(q->params[0], "~") == 0 ? q->auth_id : q->params[0]};

	if (store_read(q->d->store, read_auth, &t, err) < 0)
		return -1;
	if (store_tx(q->d->store, revoke_auth, &t, err) < 0) {
		store_auth_clear(&t.auth);
		return -1;
	}
	api_audit(q, "authorization.revoke", "%s", t.id);
	api_ok(q, 200, auth_json(&t.auth, NULL));
	store_auth_clear(&t.auth);
	return 0;
}

int api_session_delete(struct api_req *q, struct err *err)
{
	return err_not_found(err, "session"); /* tokens are the only sessions of this version */
}

int api_rate_limits(struct api_req *q, struct err *err)
{
	return api_ok(q, 200, json_pack("{s:i}", "remaining", 4500));
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

	if (rc == 0 && !strstr(g.auth.scope, "global") && !strstr(g.auth.scope, "write"))
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
