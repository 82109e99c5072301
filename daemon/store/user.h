/* user.h - people and their API tokens. Everything runs inside a transaction; reads also in
 * store_read(). Strings in structs are owned: _clear frees them (AUTO(store_user_clear) works). */
#ifndef STORE_USER_H
#define STORE_USER_H

#include "daemon/store/store.h"

struct store_user {
	char id[37];
	char *email;
	char *name;	/* may be NULL */
	char *password; /* argon2id; NULL = no password login */
	bool admin, allow_tracking, beta;
	bool two_factor;			       /* logins need a code */
	wall_ms suspended_ms;			       /* 0 = not */
	wall_ms created_ms, updated_ms, last_login_ms; /* 0 = never */
};
struct store_users {
	struct store_user *v;
	int n;
};
void store_user_clear(struct store_user *u);
void store_users_clear(struct store_users *l);
#define store_user_clear_p  store_user_clear
#define store_users_clear_p store_users_clear

/* name and password_hash may be NULL. INVALID_PARAMS when the address is taken. */
int store_user_create(struct tx *tx, const char *email, const char *name, const char *password_hash,
		      bool admin, struct store_user *out, struct err *err);
/* NOT_FOUND (resource "user"); out is untouched then. */
int store_user_get(struct tx *tx, const char *id, struct store_user *out, struct err *err);
int store_user_by_email(struct tx *tx, const char *email, struct store_user *out, struct err *err);
/* id or email, as the API's :user */
int store_user_find(struct tx *tx, const char *id_or_email, struct store_user *out,
		    struct err *err);
int store_users_list(struct tx *tx, struct store_users *out, struct err *err); /* by email */
int store_user_count(struct tx *tx, int *out, struct err *err);
int store_user_set_name(struct tx *tx, const char *id, const char *name, struct err *err);
int store_user_set_password(struct tx *tx, const char *id, const char *hash, struct err *err);
int store_user_touch_login(struct tx *tx, const char *id, struct err *err);
int store_user_set_flags(struct tx *tx, const char *id, bool allow_tracking, bool beta,
			 struct err *err);
/* FORBIDDEN when nobody would be left who can administer the platform. */
int store_user_set_admin(struct tx *tx, const char *id, bool admin, struct err *err);
int store_user_set_suspended(struct tx *tx, const char *id, bool suspended, struct err *err);
/* With all that is the account's alone. INVALID_PARAMS naming the apps or pipelines that it owns;
 * as set_admin for the last administrator. Where builds and releases of others' apps name the
 * account, its row stays without the person: history keeps its id, the address is free again. */
int store_user_delete(struct tx *tx, const char *id, struct err *err);

struct store_auth {
	char id[37], user_id[37], token_id[37];
	char session_id[37]; /* of the browser that approved it, while that lasts; "" = none */
	char *user_email, *user_name; /* name may be NULL */
	char *description;
	char *scope;	       /* space-separated: "global" */
	char token_prefix[16]; /* the token's start, for lists */
	wall_ms expires_ms;    /* 0 = never */
	wall_ms created_ms, updated_ms;
};
struct store_auths {
	struct store_auth *v;
	int n;
};
void store_auth_clear(struct store_auth *a);
void store_auths_clear(struct store_auths *l);
#define store_auth_clear_p  store_auth_clear
#define store_auths_clear_p store_auths_clear

/* token: the caller's random text, of which only the SHA-256 and the first 13 characters are kept.
 */
int store_auth_create(struct tx *tx, const char *user_id, const char *token,
		      const char *description, const char *scope, wall_ms expires_ms,
		      struct store_auth *out, struct err *err);
/* Who is this? UNAUTHORIZED when there is no such token or it has expired; SUSPENDED when user is
 * asked for and suspended. The lookup is by hash, so its time says nothing about tokens that exist.
 * user may be NULL. */
int store_auth_by_token(struct tx *tx, const char *token, struct store_auth *out,
			struct store_user *user, struct err *err);
int store_auth_get(struct tx *tx, const char *user_id, const char *id, struct store_auth *out,
		   struct err *err);
int store_auths_list(struct tx *tx, const char *user_id, struct store_auths *out, struct err *err);
int store_auth_regenerate(struct tx *tx, const char *user_id, const char *id, const char *token,
			  struct err *err);
int store_auth_revoke(struct tx *tx, const char *user_id, const char *id, struct err *err);
int store_auth_update(struct tx *tx, const char *user_id, const char *id, const char *description,
		      struct err *err);
int store_auth_set_session(struct tx *tx, const char *id, const char *session_id, struct err *err);
/* All of the user's but keep ("" = none). */
int store_auths_revoke_others(struct tx *tx, const char *user_id, const char *keep,
			      struct err *err);
int store_auths_expire(struct tx *tx, struct err *err); /* deletes those that have expired */

#endif
