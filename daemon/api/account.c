/* Accounts: one's own, and all of them for administrators. */
#include "daemon/api/api_int.h"
#include "daemon/api/identity.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "daemon/store/identity.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_own(const struct api_req *q, const char *who)
{
	return !who || strcmp(who, "~") == 0 || strcmp(who, q->user.id) == 0 ||
	       strcasecmp(who, q->user.email) == 0;
}

int api_own_account(struct api_req *q, struct err *err)
{
	return is_own(q, q->params[0]) ? 0 : err_not_found(err, "user");
}

struct other_tx {
	struct api_req *q;
	struct store_user user;
};

static int find_other(struct tx *tx, void *arg, struct err *err)
{
	struct other_tx *t = arg;
	bool shared = t->q->user.admin;

	store_user_clear(&t->user);
	if (store_user_find(tx, t->q->params[0], &t->user, err) < 0 ||
	    (!shared && store_app_shared(tx, t->q->user.id, t->user.id, &shared, err) < 0))
		return -1;
	return shared ? 0 : err_not_found(err, "user");
}

/* Of those whom one works with no more than what one knows: clients ask for their ids, to give them
 * pipelines. */
static json_t *other_json(const struct api_req *q, const struct store_user *u)
{
	const struct store_user known = {
		.email = u->email, .created_ms = u->created_ms, .updated_ms = u->created_ms};
	json_t *j = json_account(q->user.admin ? u : &known);

	json_object_set_new(j, "id", json_string(u->id));
	return j;
}

int api_account_info(struct api_req *q, struct err *err)
{
	struct other_tx t = {.q = q};
	int rc;

	if (is_own(q, q->params[0]))
		return api_ok(q, 200, json_account(&q->user));
	rc = store_read(q->d->store, find_other, &t, err);
	if (rc == 0)
		rc = api_ok(q, 200, other_json(q, &t.user));
	store_user_clear(&t.user);
	return rc;
}

/* For administrators there is more to an account. */
static json_t *user_json(const struct store_user *u)
{
	json_t *j = json_account(u);

	json_object_set_new(j, "admin", json_boolean(u->admin));
	return j;
}

/* --- passwords --- */

#define PASSWORD(n, f, t)                                                 \
	{                                                                 \
		n, F_STRING, .flags = f, .min = 8, .max = 1024, .text = t \
	}

/* A stolen token alone must not be able to lock the owner out, or to guess on for ever. */
int api_check_present(struct api_req *q, const char *password, struct err *err)
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

/* --- changing --- */

#define ACCOUNT_FIELDS                                                                            \
	{"name", F_LINE, .flags = F_NULL, .max = 255}, {"allow_tracking", F_BOOL},                \
		{"beta", F_BOOL}, {"password", F_STRING, .max = 1024, .text = "the present one"}, \
		PASSWORD("new_password", 0, "ends other tokens and sessions")

const struct api_field api_fields_account[] = {ACCOUNT_FIELDS, {0}};
const struct api_field api_fields_user[] = {
	ACCOUNT_FIELDS,
	{"admin", F_BOOL, .text = "by administrators"},
	{"suspended", F_BOOL, .text = "by administrators"},
	{"two_factor_authentication", F_BOOL, .text = "false, by administrators: for who lost it"},
	{0},
};

struct account_tx {
	struct api_req *q;
	struct store_user target, out;
	const char *who; /* NULL: the caller */
	bool own;
	char hash[128]; /* of the new password; "" = stays */
	struct store_users list;
};

static void account_tx_clear(struct account_tx *t)
{
	store_user_clear(&t->target);
	store_user_clear(&t->out);
	store_users_clear(&t->list);
	explicit_bzero(t->hash, sizeof t->hash);
}
#define account_tx_clear_p account_tx_clear

/* Others' accounts exist for administrators only. */
static int find_target(struct tx *tx, void *arg, struct err *err)
{
	struct account_tx *t = arg;

	t->own = is_own(t->q, t->who);
	store_user_clear(&t->target);
	if (!t->own && !t->q->user.admin)
		return err_not_found(err, "user");
	return t->own ? store_user_get(tx, t->q->user.id, &t->target, err)
		      : store_user_find(tx, t->who, &t->target, err);
}

static int write_password(struct tx *tx, const struct account_tx *t, struct err *err)
{
	/* Whoever knew the old one may have made tokens with it. */
	const char *keep = t->own && t->q->d->cfg->password_keeps_token ? t->q->auth_id : "";
	const char *id = t->target.id;

	if (store_user_set_password(tx, id, t->hash, err) < 0 ||
	    store_auths_revoke_others(tx, id, keep, err) < 0)
		return -1;
	return store_sessions_delete_all(tx, id, err);
}

static int write_admin_fields(struct tx *tx, const struct account_tx *t, struct err *err)
{
	const json_t *b = t->q->body;
	int admin = api_get_bool(b, "admin", -1), suspended = api_get_bool(b, "suspended", -1);
	const struct store_user *u = &t->target;

	if (admin >= 0 && admin != u->admin && store_user_set_admin(tx, u->id, admin, err) < 0)
		return -1;
	if (suspended >= 0 && suspended != (u->suspended_ms != 0) &&
	    store_user_set_suspended(tx, u->id, suspended, err) < 0)
		return -1;
	if (api_get_bool(b, "two_factor_authentication", -1) == 0)
		return store_two_factor_remove(tx, u->id, err);
	return 0;
}

static int write_account(struct tx *tx, void *arg, struct err *err)
{
	struct account_tx *t = arg;
	const json_t *b = t->q->body, *name = json_object_get(b, "name");
	const struct store_user *u;

	if (find_target(tx, t, err) < 0)
		return -1;
	u = &t->target;
	if (name && store_user_set_name(tx, u->id, json_string_value(name), err) < 0)
		return -1;
	if (store_user_set_flags(tx, u->id, api_get_bool(b, "allow_tracking", u->allow_tracking),
				 api_get_bool(b, "beta", u->beta), err) < 0)
		return -1;
	if (t->hash[0] && write_password(tx, t, err) < 0)
		return -1;
	if (write_admin_fields(tx, t, err) < 0)
		return -1;
	store_user_clear(&t->out);
	return store_user_get(tx, u->id, &t->out, err);
}

static int check_admin_fields(struct api_req *q, struct err *err)
{
	static const char *const fields[] = {"admin", "suspended", "two_factor_authentication"};

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (!q->user.admin && api_get_bool(q->body, fields[i], -1) >= 0)
			return err_set(err, ERR_FORBIDDEN, "Only administrators can set %s.",
				       fields[i]);
	if (api_get_bool(q->body, "two_factor_authentication", 0) == 1)
		return err_set(err, ERR_INVALID_PARAMS,
			       "two_factor_authentication can be set to false only: people switch "
			       "it on themselves.");
	return 0;
}

/* Into t->hash. The present password is asked of whom it is about; administrators reset others'. */
static int new_password(struct account_tx *t, struct err *err)
{
	struct api_req *q = t->q;
	const char *fresh = api_get_str(q->body, "new_password");

	if (!fresh)
		return 0;
	if (t->own && api_check_present(q, api_get_str(q->body, "password"), err) < 0)
		return -1;
	return api_password_hash(q, fresh, t->hash, err);
}

/* The names of the fields that a request sets. */
static const char *fields_set(const json_t *body, char *out, size_t cap)
{
	const char *key;
	json_t *v;
	size_t n = 0;

	out[0] = 0;
	json_object_foreach((json_t *)body, key, v)
	{
		if (n < cap && strcmp(key, "password") != 0)
			n += (size_t)snprintf(out + n, cap - n, "%s%s", n ? " " : "", key);
	}
	return out;
}

static int update(struct api_req *q, json_t *(*to_json)(const struct store_user *), struct err *err)
{
	AUTO(account_tx_clear) struct account_tx t = {.q = q, .who = q->params[0]};
	char set[200];

	if (check_admin_fields(q, err) < 0 || store_read(q->d->store, find_target, &t, err) < 0 ||
	    new_password(&t, err) < 0 || store_tx(q->d->store, write_account, &t, err) < 0)
		return -1;
	fields_set(q->body, set, sizeof set);
	if (t.own)
		api_audit(q, "account.update", "%s", set);
	else
		api_audit(q, "user.update", "%s: %s", t.out.email, set);
	return api_ok(q, 200, to_json(&t.out));
}

int api_account_update(struct api_req *q, struct err *err)
{
	return update(q, json_account, err);
}

int api_user_update(struct api_req *q, struct err *err)
{
	return update(q, user_json, err);
}

/* --- deleting --- */

const struct api_field api_fields_account_delete[] = {
	{"confirm", F_LINE, .max = 254, .text = "the address, to be sure"},
	{0},
};

static int delete_account(struct tx *tx, void *arg, struct err *err)
{
	struct account_tx *t = arg;

	const char *confirm = api_get_str(t->q->body, "confirm");

	if (find_target(tx, t, err) < 0)
		return -1;
	if (confirm && strcasecmp(confirm, t->target.email) != 0)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Parameter confirm is not the address of the account.");
	return store_user_delete(tx, t->target.id, err);
}

static int remove_account(struct api_req *q, json_t *(*to_json)(const struct store_user *),
			  struct err *err)
{
	AUTO(account_tx_clear) struct account_tx t = {.q = q, .who = q->params[0]};

	if (store_tx(q->d->store, delete_account, &t, err) < 0)
		return -1;
	api_audit(q, "user.delete", "%s", t.target.email);
	return api_ok(q, 200, to_json(&t.target));
}

int api_account_delete(struct api_req *q, struct err *err)
{
	return remove_account(q, json_account, err);
}

int api_user_delete(struct api_req *q, struct err *err)
{
	return remove_account(q, user_json, err);
}

/* --- all of them --- */

static int read_users(struct tx *tx, void *arg, struct err *err)
{
	struct account_tx *t = arg;

	return store_users_list(tx, &t->list, err);
}

int api_users_list(struct api_req *q, struct err *err)
{
	AUTO(account_tx_clear) struct account_tx t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_users, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.list.n; i++)
		json_array_append_new(list, user_json(&t.list.v[i]));
	return api_list(q, list, "id email created_at updated_at", err);
}

const struct api_field api_fields_user_create[] = {
	{"email", F_EMAIL, .flags = F_REQUIRED},
	{"name", F_LINE, .max = 255},
	PASSWORD("password", F_REQUIRED, NULL),
	{"admin", F_BOOL},
	{0},
};

static int write_user(struct tx *tx, void *arg, struct err *err)
{
	struct account_tx *t = arg;
	const json_t *b = t->q->body;

	store_user_clear(&t->out);
	return store_user_create(tx, api_get_str(b, "email"), api_get_str(b, "name"), t->hash,
				 api_get_bool(b, "admin", 0), &t->out, err);
}

int api_user_create(struct api_req *q, struct err *err)
{
	AUTO(account_tx_clear) struct account_tx t = {.q = q};

	if (api_password_hash(q, api_get_str(q->body, "password"), t.hash, err) < 0 ||
	    store_tx(q->d->store, write_user, &t, err) < 0)
		return -1;
	api_audit(q, "user.create", "%s%s", t.out.email, t.out.admin ? " (administrator)" : "");
	return api_ok(q, 201, user_json(&t.out));
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
