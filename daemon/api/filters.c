/* Apps by their ids, many at once. */
#include "daemon/api/api_int.h"

static const struct api_field uuid = {.type = F_UUID};
static const struct api_field fields_in[] = {
	{"id", F_LIST, F_REQUIRED, .max = 1000, .of = &uuid},
	{0},
};
const struct api_field api_fields_filter_apps[] = {
	{"in", F_OBJECT, F_REQUIRED, .of = fields_in},
	{0},
};

struct filter_tx {
	struct api_req *q;
	json_t *ids, *seen, *list;
};

/* What is not there, and what is not for the caller, is left out alike. */
static int add_app(struct tx *tx, struct filter_tx *t, const char *id, struct err *err)
{
	AUTO(store_app_clear) struct store_app a = {0};
	unsigned perms = 0;
	struct err e = {0};

	if (store_app_find(tx, id, &a, &e) < 0 ||
	    store_app_access(tx, t->q->user.id, a.id, &perms, &e) < 0) {
		if (e.code == ERR_NOT_FOUND)
			return 0;
		*err = e;
		return -1;
	}
	if (perms && !json_object_get(t->seen, a.id)) {
		json_object_set_new(t->seen, a.id, json_true());
		json_array_append_new(t->list, json_app(t->q, &a));
	}
	return 0;
}

static int read_filtered(struct tx *tx, void *arg, struct err *err)
{
	struct filter_tx *t = arg;
	json_t *id;
	size_t i;

	json_array_foreach(t->ids, i, id)
	{
		if (add_app(tx, t, json_string_value(id), err) < 0)
			return -1;
	}
	return 0;
}

int api_filter_apps(struct api_req *q, struct err *err)
{
	AUTO(json_decref) json_t *seen = json_object();
	struct filter_tx t = {.q = q,
			      .ids = json_object_get(json_object_get(q->body, "in"), "id"),
			      .seen = seen,
			      .list = json_array()};

	if (store_read(q->d->store, read_filtered, &t, err) < 0) {
		json_decref(t.list);
		return -1;
	}
	return api_list(q, t.list, "id name created_at updated_at", err);
}
