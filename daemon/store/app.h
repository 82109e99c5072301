/* app.h - apps, who may do what with them, their buildpacks. See user.h for the conventions. */
#ifndef STORE_APP_H
#define STORE_APP_H

#include "daemon/store/store.h"

#define STORE_APP_UID_MAX 65535 /* proto/launch.h L_APP_UID */

struct store_app {
	char id[37], owner_id[37];
	char name[32];
	unsigned uid; /* index in the instance's uid range; free again when the app is deleted */
	char *owner_email;
	char *stack, *build_stack; /* of the current slug; of the next build */
	char *language;		   /* buildpack_provided_description; may be NULL */
	bool maintenance, destroying;
	int64_t repo_size, slug_size; /* bytes; -1 = unknown */
	wall_ms released_ms;	      /* 0 = never */
	wall_ms created_ms, updated_ms;
};
struct store_apps {
	struct store_app *v;
	int n;
};
void store_app_clear(struct store_app *a);
void store_apps_clear(struct store_apps *l);
#define store_app_clear_p  store_app_clear
#define store_apps_clear_p store_apps_clear

/* The smallest free uid; the owner becomes a collaborator with all permissions. The name must have
 * passed name_check_app. INVALID_PARAMS when it is taken, UNAVAILABLE when no uid is free. */
int store_app_create(struct tx *tx, const char *name, const char *owner_id, const char *stack,
		     struct store_app *out, struct err *err);
/* By id, in any state. NOT_FOUND (resource "app"). */
int store_app_get(struct tx *tx, const char *id, struct store_app *out, struct err *err);
/* By id or name; an app that is being destroyed is not found. */
int store_app_find(struct tx *tx, const char *id_or_name, struct store_app *out, struct err *err);
/* Live apps by name: those that the user owns or collaborates in; all for admins. */
int store_apps_visible(struct tx *tx, const char *user_id, struct store_apps *out, struct err *err);
/* Every app, those being destroyed too: for start-up. */
int store_apps_all(struct tx *tx, struct store_apps *out, struct err *err);
int store_app_rename(struct tx *tx, const char *id, const char *name, struct err *err);
int store_app_set_maintenance(struct tx *tx, const char *id, bool on, struct err *err);
int store_app_set_build_stack(struct tx *tx, const char *id, const char *stack, struct err *err);
int store_app_set_language(struct tx *tx, const char *id, const char *language, struct err *err);
/* bytes; -1 = as it is */
int store_app_set_sizes(struct tx *tx, const char *id, int64_t repo, int64_t slug, struct err *err);
int store_app_set_destroying(struct tx *tx, const char *id, struct err *err);
int store_app_delete(struct tx *tx, const char *id, struct err *err); /* with all that is its */
/* Number of the next one-off dyno: 1000 to 9999, round and round. */
int store_app_next_oneoff(struct tx *tx, const char *id, int *out, struct err *err);

/* --- access --- */
enum store_perm {
	STORE_VIEW = 1,
	STORE_DEPLOY = 2,
	STORE_OPERATE = 4,
	STORE_MANAGE = 8,
	STORE_OWNER = 16, /* destroy, transfer */
	STORE_PERMS_COLLABORATOR = 15,
	STORE_PERMS_ALL = 31,
};
/* The one source of what a user may do with an app. Owners and admins: all. 0 = no right at all,
 * which the caller must answer like an app that does not exist. NOT_FOUND: no such app. */
int store_app_access(struct tx *tx, const char *user_id, const char *app_id, unsigned *perms,
		     struct err *err);
/* Whether the two users work on an app together: then they know each other's addresses. */
int store_app_shared(struct tx *tx, const char *user_id, const char *other_id, bool *out,
		     struct err *err);
/* "view deploy" <-> bits; unknown words are ignored. names has room for 64. */
unsigned store_perms_parse(const char *names);
void store_perms_format(unsigned perms, char out[64]);

struct store_collaborator {
	char id[37], app_id[37], user_id[37];
	char *email;
	unsigned perms;
	bool owner;
	wall_ms created_ms, updated_ms;
};
struct store_collaborators {
	struct store_collaborator *v;
	int n;
};
void store_collaborator_clear(struct store_collaborator *c);
void store_collaborators_clear(struct store_collaborators *l);
#define store_collaborator_clear_p  store_collaborator_clear
#define store_collaborators_clear_p store_collaborators_clear

/* INVALID_PARAMS when the user is one already. */
int store_collaborator_add(struct tx *tx, const char *app_id, const char *user_id, unsigned perms,
			   struct store_collaborator *out, struct err *err);
/* By the collaborator's id, the user's id or email. NOT_FOUND (resource "collaborator"). */
int store_collaborator_find(struct tx *tx, const char *app_id, const char *who,
			    struct store_collaborator *out, struct err *err);
int store_collaborators_list(struct tx *tx, const char *app_id, struct store_collaborators *out,
			     struct err *err); /* by email, the owner too */
int store_collaborator_set(struct tx *tx, const char *id, unsigned perms, struct err *err);
/* The owner's row stays: INVALID_PARAMS. */
int store_collaborator_remove(struct tx *tx, const char *app_id, const char *who, struct err *err);

/* --- buildpacks --- */
struct store_buildpacks {
	char **url; /* n owned strings, then NULL: fits build_req.buildpacks */
	int n;
	bool detected; /* remembered from a detection, not chosen: builds still detect */
};
void store_buildpacks_clear(struct store_buildpacks *b);
#define store_buildpacks_clear_p store_buildpacks_clear
int store_buildpacks_get(struct tx *tx, const char *app_id, struct store_buildpacks *out,
			 struct err *err);
int store_buildpacks_replace(struct tx *tx, const char *app_id, const char *const *urls, int n,
			     bool detected, struct err *err);

#endif
