/* Resources as webhooks tell of them: the API's own JSON, in the transaction of the change. */
#include "daemon/api/api_int.h"

#include <string.h>

static const struct {
	const char *entity;
	json_t *(*fn)(struct api_req *q, struct tx *tx, const char *id);
} kinds[] = {
	{"api:addon", api_render_addon},     {"api:addon-attachment", api_render_attachment},
	{"api:build", api_render_build},     {"api:collaborator", api_render_collab},
	{"api:domain", api_render_domain},   {"api:formation", api_render_formation},
	{"api:release", api_render_release}, {"api:sni-endpoint", api_render_sni},
};

json_t *api_render(struct tx *tx, const char *app_id, const char *entity, const char *id, void *arg)
{
	struct api *a = arg;
	struct api_req q = {.api = a, .d = &a->d}; /* nobody asked: q.x is NULL */
	struct err none = {0};
	json_t *out = NULL;

	if (store_app_get(tx, app_id, &q.app, &none) < 0)
		return NULL;
	if (strcmp(entity, "api:app") == 0)
		out = json_app(&q, &q.app);
	for (size_t i = 0; i < ARRAY_LEN(kinds) && !out; i++)
		if (strcmp(kinds[i].entity, entity) == 0)
			out = kinds[i].fn(&q, tx, id);
	store_app_clear(&q.app);
	return out;
}

int api_hook(struct api_req *q, struct tx *tx, const char *entity, enum hook_action action,
	     const char *id, struct err *err)
{
	return hook_event(tx, q->app.id, entity, action, q->user.id, id, err);
}
