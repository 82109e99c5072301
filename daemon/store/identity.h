/* identity.h - second factors, browsers' sessions, SSH keys, invitations, feature switches. See
 * user.h for the conventions. */
#ifndef STORE_IDENTITY_H
#define STORE_IDENTITY_H

#include "daemon/store/store.h"
#include "proto/buf.h"

/* --- two-factor (twofactor.c) --- */
#define STORE_RECOVERY_CODES 10

struct store_two_factor {
	bool enrolled, confirmed; /* in force once confirmed */
	int64_t last_step;	  /* codes up to here are used up */
	wall_ms created_ms;
	int codes_left; /* recovery codes */
	struct buf secret;
};
void store_two_factor_clear(struct store_two_factor *t);
#define store_two_factor_clear_p store_two_factor_clear

/* All zero when there is none. */
int store_two_factor_get(struct tx *tx, const char *user_id, struct store_two_factor *out,
			 struct err *err);
/* Sealed at rest; not in force until a code of it was seen. */
int store_two_factor_enrol(struct tx *tx, const char *user_id, const void *secret, size_t n,
			   struct err *err);
/* A code of this step was good: confirms. False when it, or a later one, was used before. */
bool store_two_factor_take_step(struct tx *tx, const char *user_id, int64_t step);
/* Recovery codes too. */
int store_two_factor_remove(struct tx *tx, const char *user_id, struct err *err);
/* Takes the place of all earlier ones; only hashes are kept. */
int store_recovery_set(struct tx *tx, const char *user_id, const char *const codes[], int n,
		       struct err *err);
/* Each is good once. */
bool store_recovery_use(struct tx *tx, const char *user_id, const char *code);

/* --- sessions of browsers (sessions.c) --- */
struct store_session {
	char id[37], user_id[37];
	char *description;
	wall_ms expires_ms, created_ms, updated_ms;
};
struct store_sessions {
	struct store_session *v;
	int n;
};
void store_session_clear(struct store_session *s);
void store_sessions_clear(struct store_sessions *l);
#define store_session_clear_p  store_session_clear
#define store_sessions_clear_p store_sessions_clear

/* secret: the caller's random text in the cookie; only its hash is kept. */
int store_session_create(struct tx *tx, const char *user_id, const char *secret,
			 const char *description, wall_ms expires_ms, char id[37], struct err *err);
/* NOT_FOUND (resource "session") when there is none or it has expired. */
int store_session_by_secret(struct tx *tx, const char *secret, struct store_session *out,
			    struct err *err);
int store_session_get(struct tx *tx, const char *user_id, const char *id, struct store_session *out,
		      struct err *err);
int store_sessions_list(struct tx *tx, const char *user_id, struct store_sessions *out,
			struct err *err);
int store_session_delete(struct tx *tx, const char *user_id, const char *id, struct err *err);
int store_sessions_delete_all(struct tx *tx, const char *user_id, struct err *err);
int store_sessions_expire(struct tx *tx, struct err *err);

/* --- SSH keys (keys.c) --- */
struct store_key {
	char id[37], user_id[37];
	char *fingerprint, *public_key, *comment;
	wall_ms created_ms, updated_ms;
};
struct store_keys {
	struct store_key *v;
	int n;
};
void store_key_clear(struct store_key *k);
void store_keys_clear(struct store_keys *l);
#define store_key_clear_p  store_key_clear
#define store_keys_clear_p store_keys_clear

/* INVALID_PARAMS when the account has it already, or has max of them. */
int store_key_add(struct tx *tx, const char *user_id, const char *fingerprint,
		  const char *public_key, const char *comment, int max, struct store_key *out,
		  struct err *err);
/* By id or fingerprint. NOT_FOUND (resource "key"). */
int store_key_get(struct tx *tx, const char *user_id, const char *which, struct store_key *out,
		  struct err *err);
int store_keys_list(struct tx *tx, const char *user_id, struct store_keys *out, struct err *err);
int store_key_delete(struct tx *tx, const char *user_id, const char *id, struct err *err);

/* --- invitations (invitations.c) --- */
#define STORE_INVITATION_MS (7 * 24 * 3600 * 1000LL)

struct store_invitation {
	char id[37], inviter_id[37], app_id[37]; /* app "" = to the platform only */
	char *email, *inviter_email;
	char *app_name;	   /* NULL = no app */
	char *permissions; /* on the app; NULL = no app */
	bool admin;
	wall_ms expires_ms, created_ms;
};
struct store_invitations {
	struct store_invitation *v;
	int n;
};
void store_invitation_clear(struct store_invitation *i);
void store_invitations_clear(struct store_invitations *l);
#define store_invitation_clear_p  store_invitation_clear
#define store_invitations_clear_p store_invitations_clear

/* Takes the place of an earlier one of the same address for the same app. app_id, permissions may
 * be NULL. */
int store_invitation_create(struct tx *tx, const char *secret, const char *email,
			    const char *inviter_id, bool admin, const char *app_id,
			    const char *permissions, struct store_invitation *out, struct err *err);
/* app_id NULL: of any app and none. NOT_FOUND (resource "invitation"). */
int store_invitation_get(struct tx *tx, const char *id, const char *app_id,
			 struct store_invitation *out, struct err *err);
int store_invitation_by_secret(struct tx *tx, const char *secret, struct store_invitation *out,
			       struct err *err);
int store_invitations_list(struct tx *tx, const char *app_id, struct store_invitations *out,
			   struct err *err);
int store_invitation_delete(struct tx *tx, const char *id, struct err *err);
/* Accepted: it, and what invites the same address to the platform, or to the same app. */
int store_invitation_accepted(struct tx *tx, const struct store_invitation *i, struct err *err);
int store_invitations_expire(struct tx *tx, struct err *err);

/* --- feature switches (features.c): only those that were ever switched have a row --- */
#define STORE_FEATURE_METADATA "runtime-dyno-metadata"
#define STORE_FEATURE_METRICS  "log-runtime-metrics"
struct store_feature {
	char name[64];
	bool enabled;
	wall_ms updated_ms;
};
struct store_features {
	struct store_feature *v;
	int n;
};
void store_features_clear(struct store_features *l);
#define store_features_clear_p store_features_clear
/* owner_id: of an app or a user. */
int store_features_list(struct tx *tx, const char *owner_id, struct store_features *out,
			struct err *err);
/* def: when it was never switched, or cannot be read. */
bool store_feature_on(struct tx *tx, const char *owner_id, const char *name, bool def);
int store_feature_set(struct tx *tx, const char *owner_id, const char *name, bool enabled,
		      struct err *err);

#endif
