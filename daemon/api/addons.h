/* addons.h - inside daemon/api: add-ons, attachments, services and plans. */
#ifndef API_ADDONS_H
#define API_ADDONS_H

#include "daemon/addon/addon.h"
#include "daemon/api/api_int.h"

/* --- resources; inside a transaction --- */
json_t *api_addon_json(struct api_req *q, struct tx *tx, const struct store_addon *a);
json_t *api_attachment_json(struct api_req *q, struct tx *tx, const struct store_attachment *t);

/* What the caller may do with the add-on: with the app that owns it, and STORE_VIEW when one that
 * has it attached can be seen. */
int api_addon_access(struct api_req *q, struct tx *tx, const struct store_addon *a, unsigned *perms,
		     struct err *err);
int api_addon_none(struct err *err); /* NOT_FOUND, as clients know it */
/* By id, name or APP::ATTACHMENT; NOT_FOUND when the caller may not see it, FORBIDDEN when need is
 * missing on its app. q->app becomes that app. In a transaction of its own. */
int api_addon_get(struct api_req *q, const char *ref, unsigned need, struct store_addon *out,
		  struct err *err);
/* Whether the caller may see the app. Inside a transaction. */
bool api_app_seen(struct api_req *q, struct tx *tx, const char *app_id);

/* Of the second parameter, which must be :app's own. */
int api_addon_owned(struct api_req *q, struct store_addon *out, struct err *err);
/* The add-on as it is in row. */
int api_addon_answer(struct api_req *q, int status, struct store_addon *row, struct err *err);
json_t *api_addon_config_list(json_t *config); /* [{name, value}] */

struct addon_actor api_addon_actor(const struct api_req *q);

extern const struct api_field api_fields_addon_create[], api_fields_addon_update[],
	api_fields_addon_delete[], api_fields_addon_resolve[], api_fields_attachment_create[],
	api_fields_attachment_resolve[];
api_fn api_addons_list, api_addons_of_app, api_addons_create, api_addons_info,
	api_addons_of_app_info, api_addons_update, api_addons_delete, api_addons_resolve,
	api_addon_config_get, api_addon_config_part, api_addon_attachments, api_attachments_list,
	api_attachments_of_app, api_attachments_create, api_attachments_info,
	api_attachments_of_app_info, api_attachments_delete, api_attachments_resolve,
	api_addon_services, api_addon_service, api_addon_plans, api_addon_plan, api_plan;

#endif
