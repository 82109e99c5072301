/* What the data API of PostgreSQL and that of Redis share. */
#include "daemon/api/data.h"

#include <string.h>

#define VERB_MS 55000

struct look {
	struct api_req *q;
	bool any;
	struct store_addon *addon;
	unsigned perms;
};

static int read_addon(struct tx *tx, void *arg, struct err *err)
{
	struct look *k = arg;
	struct api_req *q = k->q;
	AUTO(store_attachments_clear) struct store_attachments list = {0};
	unsigned perms = 0;

	if (store_addon_find(tx, q->params[0], k->addon, err) < 0)
		return -1;
	store_app_clear(&q->app); /* the tunnel looks twice: for either service */
	if (k->addon->app_id[0]) {
		store_app_clear(&q->app); /* of another service that was looked for before */
		if (store_app_find(tx, k->addon->app_id, &q->app, err) < 0 ||
		    store_app_access(tx, q->user.id, k->addon->app_id, &k->perms, err) < 0)
			return -1;
	}
	if (store_attachments_list(tx, NULL, k->addon->id, &list, err) < 0)
		return -1;
	for (int i = 0; i < list.n; i++) {
		if (store_app_access(tx, q->user.id, list.v[i].app_id, &perms, err) < 0)
			return -1;
		/* To see it is enough that one of one's apps has it. */
		k->perms |= k->any ? perms : perms & STORE_VIEW;
	}
	return 0;
}

int api_data_find(struct api_req *q, const char *service, enum api_need need, bool any,
		  struct store_addon *out, struct err *err)
{
	static const struct {
		unsigned perm;
		const char *name;
	} needs[] = {[NEED_VIEW] = {STORE_VIEW, "view"},
		     [NEED_DEPLOY] = {STORE_DEPLOY, "deploy"},
		     [NEED_OPERATE] = {STORE_OPERATE, "operate"},
		     [NEED_MANAGE] = {STORE_MANAGE, "manage"}};
	struct look k = {.q = q, .any = any, .addon = out};

	if (store_read(q->d->store, read_addon, &k, err) < 0)
		return err->code == ERR_NOT_FOUND ? err_not_found(err, "add_on") : -1;
	if (!k.perms || strcmp(out->service, service) != 0)
		return err_not_found(err, "add_on");
	if (!(k.perms & needs[need].perm))
		return err_set(err, ERR_FORBIDDEN, "You do not have the %s permission on %s.",
			       needs[need].name, out->app_name);
	return 0;
}

int api_data_ready(struct api_req *q, const char *service, enum api_need need, bool any,
		   struct store_addon *out, struct err *err)
{
	if (api_data_find(q, service, need, any, out, err) < 0)
		return -1;
	if (out->state == ADDON_PROVISIONED)
		return 0;
	return out->state == ADDON_PROVISIONING
		       ? err_set(err, ERR_NOT_FOUND, "%s is not provisioned yet.", out->name)
		       : err_set(err, ERR_NOT_FOUND, "%s is being removed.", out->name);
}

int api_data_ask(struct api_req *q, const struct store_addon *a, const char *verb, const json_t *in,
		 json_t **out, struct err *err)
{
	return addon_call(q->d->addons, a->id, verb, in, VERB_MS, out, err);
}

int api_data_said(struct api_req *q, const char *fmt, const char *name)
{
	AUTO(auto_str) char *text = xasprintf(fmt, name);

	return api_ok(q, 200, json_pack("{ss}", "message", text));
}

void api_data_row(json_t *list, const char *name, char *owned)
{
	json_array_append_new(list, json_pack("{ss s[s]}", "name", name, "values", owned));
	free(owned);
}
