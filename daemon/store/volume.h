/* volume.h - persistent volumes and where they are attached; see user.h for the conventions. */
#ifndef STORE_VOLUME_H
#define STORE_VOLUME_H

#include "daemon/store/store.h"

enum store_volume_state { VOLUME_CREATING, VOLUME_AVAILABLE, VOLUME_DESTROYING };

struct store_volume {
	char id[37], user_id[37];
	char *name, *user_email;
	int64_t size_mb;
	enum store_volume_state state;
	wall_ms created_ms, updated_ms;
	/* its attachment; attachment_id "" = none */
	char attachment_id[37], attached_id[37];
	char *attached_name, *path;
	bool read_only;
	wall_ms attached_ms;
};
struct store_volumes {
	struct store_volume *v;
	int n;
};
void store_volume_clear(struct store_volume *v);
void store_volumes_clear(struct store_volumes *l);
#define store_volume_clear_p  store_volume_clear
#define store_volumes_clear_p store_volumes_clear

const char *store_volume_state_name(enum store_volume_state s);

/* State CREATING. INVALID_PARAMS: the name is taken, or too many. */
int store_volume_insert(struct tx *tx, const char *name, const char *user_id, int64_t size_mb,
			struct store_volume *out, struct err *err);
/* By id or name. NOT_FOUND (resource "volume"). */
int store_volume_find(struct tx *tx, const char *ref, struct store_volume *out, struct err *err);
/* The user's, and those attached to apps that he works on, user_id NULL = everybody's; app_id:
 * those attached to that app alone. By name. */
int store_volumes_list(struct tx *tx, const char *user_id, const char *app_id,
		       struct store_volumes *out, struct err *err);
int store_volume_resize(struct tx *tx, const char *id, int64_t size_mb, struct err *err);
int store_volume_set_state(struct tx *tx, const char *id, enum store_volume_state s,
			   struct err *err);
int store_volume_delete(struct tx *tx, const char *id, struct err *err); /* idempotent */
/* INVALID_PARAMS: it is attached already, the app has another one at that path, above or below it,
 * or has many. */
int store_volume_attach(struct tx *tx, const char *id, const char *app_id, const char *path,
			bool read_only, struct err *err);
/* An app goes to another user: so do those of its volumes that were its owner's. */
int store_volumes_give(struct tx *tx, const char *app_id, const char *from_id, const char *to_id,
		       struct err *err);
/* NOT_FOUND (resource "volume attachment"). */
int store_volume_detach(struct tx *tx, const char *id, struct err *err);

/* What an app's dynos see. */
struct store_mount {
	char volume_id[37];
	char *path;
	bool read_only;
};
struct store_mounts {
	struct store_mount *v;
	int n;
};
void store_mounts_clear(struct store_mounts *l);
#define store_mounts_clear_p store_mounts_clear
int store_volume_mounts(struct tx *tx, const char *app_id, struct store_mounts *out,
			struct err *err);

#endif
