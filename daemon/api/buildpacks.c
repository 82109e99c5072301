/* The list of buildpacks of an app. */
#include "daemon/api/api_int.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <string.h>

struct bp_tx {
	struct api_req *q;
	struct store_buildpacks list;
	const char *urls[LIM_BUILDPACKS];
	int n;
};

static json_t *buildpacks_json(const struct store_buildpacks *b)
{
	json_t *list = json_array();
	char name[130];

	/* A detected one is not an installation: detection runs again at each build. */
	for (int i = 0; i < b->n && !b->detected; i++)
		json_array_append_new(
			list,
			json_pack("{s:i, s:{s:o, s:o}}", "ordinal", i, "buildpack", "url",
				  json_text(b->url[i]), "name",
				  json_text(name_of_registry_url(b->url[i], name) ? name
										  : b->url[i])));
	return list;
}

static int read_buildpacks(struct tx *tx, void *arg, struct err *err)
{
	struct bp_tx *t = arg;

	return store_buildpacks_get(tx, t->q->app.id, &t->list, err);
}

int api_buildpacks_list(struct api_req *q, struct err *err)
{
	struct bp_tx t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_buildpacks, &t, err) < 0)
		return -1;
	list = buildpacks_json(&t.list);
	store_buildpacks_clear(&t.list);
	return api_list(q, list, "ordinal", err);
}

static int write_buildpacks(struct tx *tx, void *arg, struct err *err)
{
	struct bp_tx *t = arg;

	store_buildpacks_clear(&t->list);
	if (store_buildpacks_replace(tx, t->q->app.id, t->urls, t->n, false, err) < 0)
		return -1;
	return store_buildpacks_get(tx, t->q->app.id, &t->list, err);
}

int api_buildpack_check(const char *url, struct err *err)
{
	size_t n = strlen(url);

	if (n < 1 || n > 1000 || url[0] == '-')
		return err_set(err, ERR_INVALID_PARAMS,
			       "A buildpack is a name, a git URL or a URL of a .tgz, of at most "
			       "1000 characters.");
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)url[i] <= 0x20 || url[i] == 0x7f)
			return err_set(err, ERR_INVALID_PARAMS,
				       "A buildpack's URL has no blanks or control characters.");
	return 0;
}

int api_buildpacks_put(struct api_req *q, struct err *err)
{
	static const char *const fields[] = {"updates", NULL}, *const of_one[] = {"buildpack",
										  NULL};
	struct bp_tx t = {.q = q};
	json_t *updates = json_object_get(q->body, "updates"), *u, *list;
	size_t i;

	if (api_known(q->body, fields, err) < 0)
		return -1;
	if (!json_is_array(updates) || json_array_size(updates) > LIM_BUILDPACKS)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Parameter updates must be a list of at most %d {buildpack}.",
			       LIM_BUILDPACKS);
	json_array_foreach(updates, i, u)
	{
		const char *url = json_string_value(json_object_get(u, "buildpack"));

		if (!url)
			return err_set(err, ERR_INVALID_PARAMS,
				       "Parameter updates[%zu].buildpack must be a string.", i);
		if (api_known(u, of_one, err) < 0 || api_buildpack_check(url, err) < 0)
			return -1;
		t.urls[t.n++] = url;
	}
	if (store_tx(q->d->store, write_buildpacks, &t, err) < 0) {
		store_buildpacks_clear(&t.list);
		return -1;
	}
	api_audit(q, "buildpacks.set", "%d", t.n);
	list = buildpacks_json(&t.list);
	store_buildpacks_clear(&t.list);
	return api_ok(q, 200, list);
}
