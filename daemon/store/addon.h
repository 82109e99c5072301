/* addon.h - add-ons and attachments; see user.h for the conventions. */
#ifndef STORE_ADDON_H
#define STORE_ADDON_H

#include "daemon/store/store.h"

#include <jansson.h>

enum store_addon_state {
	ADDON_PROVISIONING,
	ADDON_PROVISIONED,
	ADDON_DEPROVISIONING,
	ADDON_FAILED
};

struct store_addon {
	char id[37], app_id[37]; /* app_id "" = the owner is gone */
	char *name, *app_name, *service, *plan;
	enum store_addon_state state;
	char task[16], *target_plan; /* task "none" = nothing is under way */
	char *args;		     /* JSON, of the task */
	char *options;		     /* JSON */
	char *provider_id, *message, *failure, *web_url;
	char user_id[37]; /* who made it; "" = nobody */
	int tries;
	wall_ms task_ms; /* since when the task is under way */
	wall_ms next_ms; /* when the machine looks again; 0 = nothing to do */
	wall_ms created_ms, updated_ms;
};
struct store_addons {
	struct store_addon *v;
	int n;
};
void store_addon_clear(struct store_addon *a);
void store_addons_clear(struct store_addons *l);
#define store_addon_clear_p  store_addon_clear
#define store_addons_clear_p store_addons_clear

struct store_attachment {
	char id[37], addon_id[37], app_id[37];
	char *name, *namespace; /* namespace NULL = none */
	char *addon_name, *app_name, *service;
	char addon_app_id[37], *addon_app_name; /* of the add-on's owner */
	wall_ms created_ms, updated_ms;
};
struct store_attachments {
	struct store_attachment *v;
	int n;
};
void store_attachment_clear(struct store_attachment *a);
void store_attachments_clear(struct store_attachments *l);
#define store_attachment_clear_p  store_attachment_clear
#define store_attachments_clear_p store_attachments_clear

/* By id or name, of any app. NOT_FOUND (resource "add_on"). */
int store_addon_find(struct tx *tx, const char *ref, struct store_addon *out, struct err *err);
/* Owned by the app; NULL = all; by name. Without those that failed. */
int store_addons_list(struct tx *tx, const char *app_id, struct store_addons *out, struct err *err);
/* Of an app or an add-on (either may be NULL = any), by name. */
int store_attachments_list(struct tx *tx, const char *app_id, const char *addon_id,
			   struct store_attachments *out, struct err *err);
/* By id; or with app_id by name or config var (DATABASE, DATABASE_URL). NOT_FOUND (resource
 * "add_on attachment"). */
int store_attachment_find(struct tx *tx, const char *app_id, const char *ref,
			  struct store_attachment *out, struct err *err);

/* --- changes --- */
struct store_addon_new { /* borrowed */
	const char *name, *app_id, *service, *plan, *user_id;
	const char *options, *args; /* JSON */
	const json_t *config;	    /* the suffixes that it will have, each null */
};
/* State and task provision, due at once. INVALID_PARAMS when the name is taken, NOT_FOUND: no such
 * app. */
int store_addon_insert(struct tx *tx, const struct store_addon_new *in, struct store_addon *out,
		       struct err *err);
/* Writes what the machine changes: plan, state, task to web_url, tries, task_ms, next_ms. */
int store_addon_save(struct tx *tx, const struct store_addon *a, struct err *err);
int store_addon_rename(struct tx *tx, const char *id, const char *name, struct err *err);
int store_addon_delete(struct tx *tx, const char *id, struct err *err); /* with all that is its */
int store_addons_due(struct tx *tx, wall_ms now, struct store_addons *out, struct err *err);
/* When the next one after that time is due; 0 = none. */
int store_addons_next(struct tx *tx, wall_ms after, wall_ms *next_ms, struct err *err);
/* Tasks under way are due now. */
int store_addons_take_up(struct tx *tx, struct err *err);
/* The app's attachments go, its add-ons are on their way out. */
int store_addons_forget_app(struct tx *tx, const char *app_id, struct err *err);
int store_attachment_insert(struct tx *tx, const char *addon_id, const char *app_id,
			    const char *name, const char *namespace, struct store_attachment *out,
			    struct err *err); /* CONFLICT when the app has the name */
int store_attachment_delete(struct tx *tx, const char *id, struct err *err);

/* --- secrets: new references --- */
int store_addon_secrets(struct tx *tx, const char *id, json_t **config, json_t **private,
			struct err *err);
/* NULL = as it is. */
int store_addon_set_secrets(struct tx *tx, const char *id, const json_t *config,
			    const json_t *private, struct err *err);
/* What the shared process of a service keeps for itself. {} when there is nothing. */
int store_addon_shared_get(struct tx *tx, const char *service, json_t **private, struct err *err);
int store_addon_shared_put(struct tx *tx, const char *service, const json_t *private,
			   struct err *err);

/* --- further credentials than the add-on's own --- */
struct store_credential {
	char id[37], addon_id[37];
	char *name;
	char state[16]; /* active, rotating, revoked */
	wall_ms created_ms, updated_ms;
};
struct store_credentials {
	struct store_credential *v;
	int n;
};
void store_credential_clear(struct store_credential *c);
void store_credentials_clear(struct store_credentials *l);
#define store_credential_clear_p  store_credential_clear
#define store_credentials_clear_p store_credentials_clear
int store_credentials_list(struct tx *tx, const char *addon_id, struct store_credentials *out,
			   struct err *err); /* by name */
/* NOT_FOUND (resource "credential"). */
int store_credential_find(struct tx *tx, const char *addon_id, const char *name,
			  struct store_credential *out, struct err *err);
int store_credential_secrets(struct tx *tx, const char *addon_id, const char *name, json_t **config,
			     json_t **private, struct err *err);
/* Makes it, or changes it; NULL = as it is, or {}. */
int store_credential_put(struct tx *tx, const char *addon_id, const char *name,
			 const json_t *config, const json_t *private, const char *state,
			 struct err *err);
int store_credential_delete(struct tx *tx, const char *addon_id, const char *name, struct err *err);

/* --- config vars that belong to attachments --- */
struct store_addon_vars {
	json_t *values; /* name -> value, of those that have one */
	json_t *owners; /* name -> add-on's name; also of those whose value is not known yet */
	json_t *plans;	/* array: "service:plan", without doubles */
};
void store_addon_vars_clear(struct store_addon_vars *v);
#define store_addon_vars_clear_p store_addon_vars_clear
int store_addon_vars(struct tx *tx, const char *app_id, struct store_addon_vars *out,
		     struct err *err);
/* Config of a release becomes that of now: what was add-ons' goes (was: its store_release.addons,
 * NULL = none), what is theirs comes. */
void store_addon_vars_apply(const struct store_addon_vars *now, const char *was, json_t *config);
/* As releases keep it; owned. */
char *store_addon_vars_note(const struct store_addon_vars *now);

/* --- what lets partners in: hashed; each is good for one add-on --- */
enum store_addon_token { ADDON_TOKEN_ACCESS, ADDON_TOKEN_REFRESH };
int store_addon_grant_add(struct tx *tx, const char *addon_id, const char *code, wall_ms expires_ms,
			  struct err *err);
/* NOT_FOUND: unknown, used or too old; so do the next two. */
int store_addon_grant_find(struct tx *tx, const char *code, char addon_id[37], struct err *err);
int store_addon_grant_use(struct tx *tx, const char *code, struct err *err);
int store_addon_token_find(struct tx *tx, const char *token, enum store_addon_token kind,
			   char addon_id[37], struct err *err);
/* expires_ms 0 = as long as the add-on. Of each kind it has at most LIM_PARTNER_TOKENS: older ones
 * go. */
int store_addon_token_add(struct tx *tx, const char *addon_id, enum store_addon_token kind,
			  const char *token, wall_ms expires_ms, struct err *err);

/* NAME_SUFFIX, or NAME for "". Owned. */
char *store_addon_var(const char *name, const char *suffix);

#endif
