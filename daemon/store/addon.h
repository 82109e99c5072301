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
	char *options;		     /* JSON */
	char *provider_id, *message, *failure, *web_url;
	int tries;
	wall_ms next_ms, created_ms, updated_ms;
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
/* Owned by the app; NULL = all; by name. */
int store_addons_list(struct tx *tx, const char *app_id, struct store_addons *out, struct err *err);
/* Of an app or an add-on (either may be NULL = any), by name. */
int store_attachments_list(struct tx *tx, const char *app_id, const char *addon_id,
			   struct store_attachments *out, struct err *err);
/* By id; or with app_id by name or config var (DATABASE, DATABASE_URL). NOT_FOUND (resource
 * "add_on attachment"). */
int store_attachment_find(struct tx *tx, const char *app_id, const char *ref,
			  struct store_attachment *out, struct err *err);

#endif
