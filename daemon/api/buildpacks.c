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
	if (*url == '-' || strchr(url, ' '))
		return err_set(err, ERR_INVALID_PARAMS,
			       "A buildpack is a name, a git URL or a URL of a .tgz, without "
			       "blanks: %.80s.",
			       url);
	return 0;
}

static const struct api_field installation[] = {
	{"buildpack", F_LINE, F_REQUIRED, .min = 1, .max = 1000,
	 .text = "name, git URL, or URL of a .tgz"},
	{0},
};
static const struct api_field installation_item = {.type = F_OBJECT, .of = installation};
const struct api_field api_fields_buildpacks[] = {
	{"updates", F_LIST, F_REQUIRED, .max = LIM_BUILDPACKS, .of = &installation_item},
	{0},
};

int api_buildpacks_put(struct api_req *q, struct err *err)
{
	struct bp_tx t = {.q = q};
	json_t *updates = json_object_get(q->body, "updates"), *u, *list;
	size_t i;

	json_array_foreach(updates, i, u)
	{
		t.urls[t.n] = api_get_str(u, "buildpack");
		if (api_buildpack_check(t.urls[t.n++], err) < 0)
			return -1;
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
