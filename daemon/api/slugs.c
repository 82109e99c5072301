/* Slugs: made elsewhere and uploaded, looked at, fetched. */
#include "daemon/api/uploads.h"
#include "daemon/store/build.h"

#include <string.h>

struct slug_q {
	struct api_req *q;
	struct store_slug s;
};

static int read_slug(struct tx *tx, void *arg, struct err *err)
{
	struct slug_q *t = arg;

	return store_slug_get(tx, t->q->app.id, t->q->params[1], &t->s, err);
}

int api_slugs_info(struct api_req *q, struct err *err)
{
	struct slug_q t = {.q = q};
	AUTO(auto_str) char *url = NULL;
	json_t *types;

	if (store_read(q->d->store, read_slug, &t, err) < 0)
		return -1;
	types = json_loads(t.s.process_types, 0, NULL);
	url = api_public_url(q, "/apps/%s/slugs/%s", q->app.id, t.s.id);
	api_ok(q, 200,
	       json_pack("{s:{s:s, s:s}, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o}", "blob",
			 "method", "get", "url", url, "buildpack_provided_description",
			 json_str_or_null(t.s.language), "checksum", json_str_or_null(t.s.checksum),
			 "commit", json_str_or_null(t.s.commit), "commit_description",
			 json_str_or_null(t.s.commit_description), "created_at",
			 json_time(t.s.created_ms), "id", t.s.id, "process_types",
			 types ? types : json_object(), "size",
			 t.s.size < 0 ? json_null() : json_integer(t.s.size), "stack",
			 json_named_ref("stack", t.s.stack), "updated_at",
			 json_time(t.s.updated_ms)));
	store_slug_clear(&t.s);
	return 0;
}
