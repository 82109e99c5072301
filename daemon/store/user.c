#include "daemon/store/user.h"
#include "daemon/store/row_int.h"

void store_user_clear(struct store_user *u)
{
	free(u->email);
	free(u->name);
	free(u->password);
	*u = (struct store_user){0};
}
ROW_DEFINE_LIST(store_user, store_users)

static void fill_user(struct stmt *s, void *out)
{
	struct store_user *u = out;

	ROW_COPY(s, 0, u->id);
	u->email = stmt_col_dup(s, 1);
	u->name = stmt_col_dup(s, 2);
	u->password = stmt_col_dup(s, 3);
	u->admin = stmt_col_int(s, 4) != 0;
	u->created_ms = stmt_col_int(s, 5);
	u->updated_ms = stmt_col_int(s, 6);
	u->last_login_ms = stmt_col_int(s, 7);
	u->allow_tracking = stmt_col_int(s, 8) != 0;
	u->beta = stmt_col_int(s, 9) != 0;
	u->suspended_ms = stmt_col_int(s, 10);
	u->two_factor = stmt_col_int(s, 11) != 0;
}

static int user_by(struct tx *tx, enum sql_id sql, const char *key, struct store_user *out,
		   struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, sql);

	stmt_text(s, 1, key);
	return row_one(s, fill_user, out, sizeof *out, "user", err);
}

int store_user_get(struct tx *tx, const char *id, struct store_user *out, struct err *err)
{
	return user_by(tx, SQL_USER_GET, id, out, err);
}

int store_user_by_email(struct tx *tx, const char *email, struct store_user *out, struct err *err)
{
	return user_by(tx, SQL_USER_BY_EMAIL, email, out, err);
}

int store_user_find(struct tx *tx, const char *id_or_email, struct store_user *out, struct err *err)
{
	return user_by(tx, strchr(id_or_email, '@') ? SQL_USER_BY_EMAIL : SQL_USER_GET, id_or_email,
		       out, err);
}

static int user_insert(struct tx *tx, const char *id, const char *email, const char *name,
		       const char *password_hash, bool admin, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_USER_INSERT);
	struct err e = {0};

	stmt_text(s, 1, id);
	stmt_text(s, 2, email);
	stmt_text(s, 3, name);
	stmt_text(s, 4, password_hash);
	stmt_int(s, 5, admin);
	stmt_int(s, 6, clock_wall_ms());
	if (stmt_exec(s, &e) == 0)
		return 0;
	if (e.code == ERR_CONFLICT)
		return err_set(err, ERR_INVALID_PARAMS, "Email %s is already taken", email);
	if (err)
		*err = e;
	return -1;
}

int store_user_create(struct tx *tx, const char *email, const char *name, const char *password_hash,
		      bool admin, struct store_user *out, struct err *err)
{
	char id[37];

	uuid_new(id);
	if (user_insert(tx, id, email, name, password_hash, admin, err) < 0)
		return -1;
	return store_user_get(tx, id, out, err);
}

int store_users_list(struct tx *tx, struct store_users *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_USER_LIST);

	return store_user_all(s, fill_user, out, err);
}

int store_user_count(struct tx *tx, int *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_USER_COUNT);

	if (stmt_step(s, err) != STMT_ROW)
		return -1;
	*out = (int)stmt_col_int(s, 0);
	return 0;
}

int store_user_set_name(struct tx *tx, const char *id, const char *name, struct err *err)
{
	return row_set(tx, SQL_USER_SET_NAME, id, name, "user", err);
}

int store_user_set_password(struct tx *tx, const char *id, const char *hash, struct err *err)
{
	return row_set(tx, SQL_USER_SET_PASSWORD, id, hash, "user", err);
}

int store_user_touch_login(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_USER_TOUCH_LOGIN);

	stmt_text(s, 1, id);
	stmt_int(s, 2, clock_wall_ms());
	return row_change(tx, s, "user", err);
}

int store_user_set_flags(struct tx *tx, const char *id, bool allow_tracking, bool beta,
			 struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_USER_SET_FLAGS);

	stmt_text(s, 1, id);
	stmt_int(s, 2, allow_tracking);
	stmt_int(s, 3, beta);
	stmt_int(s, 4, clock_wall_ms());
	return row_change(tx, s, "user", err);
}

/* Somebody else must be able to administer the platform. */
static int another_admin(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_USER_ADMINS_LEFT);

	stmt_text(s, 1, id);
	if (stmt_step(s, err) != STMT_ROW)
		return -1;
	return stmt_col_int(s, 0) > 0
		       ? 0
		       : err_set(err, ERR_FORBIDDEN,
				 "This is the only administrator: make another one first.");
}

int store_user_set_admin(struct tx *tx, const char *id, bool admin, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_USER_SET_ADMIN);

	if (!admin && another_admin(tx, id, err) < 0)
		return -1;
	stmt_text(s, 1, id);
	stmt_int(s, 2, admin);
	stmt_int(s, 3, clock_wall_ms());
	return row_change(tx, s, "user", err);
}

int store_user_set_suspended(struct tx *tx, const char *id, bool suspended, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_USER_SET_SUSPENDED);
	wall_ms now = clock_wall_ms();

	if (suspended && another_admin(tx, id, err) < 0)
		return -1;
	stmt_text(s, 1, id);
	bind_int_or_null(s, 2, suspended ? now : 0, 0);
	stmt_int(s, 3, now);
	return row_change(tx, s, "user", err);
}

static int owns_none(struct tx *tx, enum sql_id sql, const char *what, const char *id,
		     struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, sql);
	enum stmt_result r;
	char names[300] = "";
	int n = 0;

	stmt_text(s, 1, id);
	while ((r = stmt_step(s, err)) == STMT_ROW) {
		size_t len = strlen(names);

		snprintf(names + len, sizeof names - len, "%s%s", n ? ", " : "",
			 n < 5 ? stmt_col_text(s, 0) : "...");
		n++;
	}
	if (r == STMT_FAIL)
		return -1;
	return n == 0 ? 0
		      : err_set(err, ERR_INVALID_PARAMS,
				"The account owns %s (%s): transfer or destroy them first.", what,
				names);
}

static int owns_nothing(struct tx *tx, const char *id, struct err *err)
{
	return owns_none(tx, SQL_USER_APPS, "apps", id, err) < 0 ? -1
	       : owns_none(tx, SQL_USER_PIPELINES, "pipelines", id, err) < 0
		       ? -1
		       : owns_none(tx, SQL_USER_VOLUMES, "volumes", id, err);
}

static int user_exec(struct tx *tx, enum sql_id sql, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, sql);

	stmt_text(s, 1, id);
	return stmt_exec(s, err);
}

/* What the foreign keys would have taken along. */
static int user_bury(struct tx *tx, const char *id, struct err *err)
{
	static const enum sql_id forget[] = {SQL_USER_FORGET_COLLABORATIONS,
					     SQL_USER_FORGET_INVITATIONS,
					     SQL_USER_FORGET_FEATURES,
					     SQL_USER_FORGET_KEYS,
					     SQL_SESSION_DELETE_ALL,
					     SQL_TWO_FACTOR_DELETE,
					     SQL_RECOVERY_DELETE};
	AUTO(stmt_done) struct stmt *s = NULL;
	char email[64];

	for (size_t i = 0; i < ARRAY_LEN(forget); i++)
		if (user_exec(tx, forget[i], id, err) < 0)
			return -1;
	if (store_auths_revoke_others(tx, id, "", err) < 0)
		return -1;
	snprintf(email, sizeof email, "deleted-%.8s@deleted.invalid", id);
	s = stmt_use(tx, SQL_USER_BURY);
	stmt_text(s, 1, id);
	stmt_text(s, 2, email);
	stmt_int(s, 3, clock_wall_ms());
	return row_change(tx, s, "user", err);
}

int store_user_delete(struct tx *tx, const char *id, struct err *err)
{
	AUTO(store_user_clear) struct store_user u = {0};
	struct err e = {0};

	if (store_user_get(tx, id, &u, err) < 0 || owns_nothing(tx, id, err) < 0 ||
	    (u.admin && another_admin(tx, id, err) < 0))
		return -1;
	if (user_exec(tx, SQL_USER_DELETE, id, &e) == 0)
		return 0;
	if (e.code == ERR_CONFLICT)
		return user_bury(tx, id, err);
	if (err)
		*err = e;
	return -1;
}

/* --- authorizations --- */

void store_auth_clear(struct store_auth *a)
{
	free(a->user_email);
	free(a->user_name);
	free(a->description);
	free(a->scope);
	*a = (struct store_auth){0};
}
ROW_DEFINE_LIST(store_auth, store_auths)

static void fill_auth(struct stmt *s, void *out)
{
	struct store_auth *a = out;

	ROW_COPY(s, 0, a->id);
	ROW_COPY(s, 1, a->user_id);
	a->user_email = stmt_col_dup(s, 2);
	a->user_name = stmt_col_dup(s, 3);
	ROW_COPY(s, 4, a->token_id);
	ROW_COPY(s, 5, a->token_prefix);
	a->description = stmt_col_dup(s, 6);
	a->scope = stmt_col_dup(s, 7);
	a->expires_ms = stmt_col_int(s, 8);
	a->created_ms = stmt_col_int(s, 9);
	a->updated_ms = stmt_col_int(s, 10);
	ROW_COPY(s, 11, a->session_id);
}

/* Tokens are long and random: a plain hash is enough, and short prefixes give nothing away. */
static void bind_token(struct stmt *s, int at, const char *token)
{
	char id[37], hash[65], prefix[14];

	uuid_new(id);
	sha256_hex(token, strlen(token), hash);
	snprintf(prefix, sizeof prefix, "%s", token);
	stmt_text(s, at, id);
	stmt_text(s, at + 1, hash);
	stmt_text(s, at + 2, prefix);
}

static int auth_insert(struct tx *tx, const char *id, const char *user_id, const char *token,
		       const char *description, const char *scope, wall_ms expires_ms,
		       struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_AUTH_INSERT);

	stmt_text(s, 1, id);
	stmt_text(s, 2, user_id);
	bind_token(s, 3, token);
	stmt_text(s, 6, description);
	stmt_text(s, 7, scope);
	bind_int_or_null(s, 8, expires_ms, 0);
	stmt_int(s, 9, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_auth_create(struct tx *tx, const char *user_id, const char *token,
		      const char *description, const char *scope, wall_ms expires_ms,
		      struct store_auth *out, struct err *err)
{
	char id[37];

	uuid_new(id);
	if (auth_insert(tx, id, user_id, token, description, scope, expires_ms, err) < 0)
		return -1;
	return store_auth_get(tx, user_id, id, out, err);
}

static int auth_by_hash(struct tx *tx, const char *token, struct store_auth *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_AUTH_BY_HASH);
	char hash[65];

	sha256_hex(token, strlen(token), hash);
	stmt_text(s, 1, hash);
	return row_one(s, fill_auth, out, sizeof *out, "authorization", err);
}

int store_auth_by_token(struct tx *tx, const char *token, struct store_auth *out,
			struct store_user *user, struct err *err)
{
	AUTO(store_auth_clear) struct store_auth a = {0};
	struct err e = {0};

	if (auth_by_hash(tx, token, &a, &e) < 0 && e.code != ERR_NOT_FOUND) {
		if (err)
			*err = e;
		return -1;
	}
	if (!a.id[0] || (a.expires_ms && a.expires_ms <= clock_wall_ms()))
		return err_set(err, ERR_UNAUTHORIZED, "Invalid credentials provided.");
	if (user && store_user_get(tx, a.user_id, user, err) < 0)
		return -1;
	if (user && user->suspended_ms)
		return err_set(err, ERR_SUSPENDED,
			       "This account is suspended; an administrator can tell why.");
	*out = a;
	a = (struct store_auth){0};
	return 0;
}

int store_auth_get(struct tx *tx, const char *user_id, const char *id, struct store_auth *out,
		   struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_AUTH_GET);

	stmt_text(s, 1, id);
	stmt_text(s, 2, user_id);
	return row_one(s, fill_auth, out, sizeof *out, "authorization", err);
}

int store_auths_list(struct tx *tx, const char *user_id, struct store_auths *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_AUTH_LIST);

	stmt_text(s, 1, user_id);
	return store_auth_all(s, fill_auth, out, err);
}

int store_auth_regenerate(struct tx *tx, const char *user_id, const char *id, const char *token,
			  struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_AUTH_REGENERATE);

	stmt_text(s, 1, id);
	stmt_text(s, 2, user_id);
	bind_token(s, 3, token);
	stmt_int(s, 6, clock_wall_ms());
	return row_change(tx, s, "authorization", err);
}

int store_auth_revoke(struct tx *tx, const char *user_id, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_AUTH_DELETE);

	stmt_text(s, 1, id);
	stmt_text(s, 2, user_id);
	return row_change(tx, s, "authorization", err);
}

int store_auth_update(struct tx *tx, const char *user_id, const char *id, const char *description,
		      struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_AUTH_UPDATE);

	stmt_text(s, 1, id);
	stmt_text(s, 2, user_id);
	stmt_text(s, 3, description);
	stmt_int(s, 4, clock_wall_ms());
	return row_change(tx, s, "authorization", err);
}

int store_auth_set_session(struct tx *tx, const char *id, const char *session_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_AUTH_SET_SESSION);

	stmt_text(s, 1, id);
	stmt_text(s, 2, session_id);
	return row_change(tx, s, "authorization", err);
}

int store_auths_revoke_others(struct tx *tx, const char *user_id, const char *keep, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_AUTH_DELETE_OTHERS);

	stmt_text(s, 1, user_id);
	stmt_text(s, 2, keep);
	return stmt_exec(s, err);
}

int store_auths_expire(struct tx *tx, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_AUTH_EXPIRE);

	stmt_int(s, 1, clock_wall_ms());
	return stmt_exec(s, err);
}
