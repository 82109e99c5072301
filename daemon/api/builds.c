/* Builds: of tarballs, listed, canceled, their output. */
#include "daemon/api/uploads.h"
#include "daemon/release/tarballs.h"
#include "daemon/store/build.h"
#include "proto/limits.h"

#include <string.h>

static json_t *build_json(struct api_req *q, const struct store_build *b)
{
	AUTO(auto_str)
	char *url = api_public_url(q, "/streams/builds/%s/%s", b->id, b->output_secret);
	json_t *buildpacks = json_loads(b->buildpacks, 0, NULL);

	return json_pack(
		"{s:{s:s}, s:o, s:o, s:s, s:s, s:{s:o, s:o, s:o, s:o}, s:o, s:o, s:s, s:s, s:o, "
		"s:o}",
		"app", "id", q->app.id, "buildpacks", buildpacks ? buildpacks : json_null(),
		"created_at", json_time(b->created_ms), "id", b->id, "output_stream_url", url,
		"source_blob", "checksum", json_str_or_null(b->checksum), "url",
		json_text(b->source_url), "version", json_str_or_null(b->version),
		"version_description", json_str_or_null(b->version_description), "release",
		json_id_or_null(b->release_id), "slug", json_id_or_null(b->slug_id), "stack",
		b->stack, "status", store_status_name(b->status), "updated_at",
		json_time(b->updated_ms), "user", json_user_ref(b->user_id, b->user_email));
}

struct build_q {
	struct api_req *q;
	struct store_builds list;
	struct store_build one;
	const char *app_id, *id;
};

static int read_builds(struct tx *tx, void *arg, struct err *err)
{
	struct build_q *t = arg;

	return store_builds_list(tx, t->q->app.id, 0, &t->list, err);
}

int api_builds_list(struct api_req *q, struct err *err)
{
	struct build_q t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_builds, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.list.n; i++)
		json_array_append_new(list, build_json(q, &t.list.v[i]));
	store_builds_clear(&t.list);
	return api_list(q, list, "created_at id updated_at", err);
}

static int read_build(struct tx *tx, void *arg, struct err *err)
{
	struct build_q *t = arg;

	return store_build_get(tx, t->app_id, t->id, &t->one, err);
}

int api_builds_info(struct api_req *q, struct err *err)
{
	struct build_q t = {.q = q, .app_id = q->app.id, .id = q->params[1]};

	if (store_read(q->d->store, read_build, &t, err) < 0)
		return -1;
	api_ok(q, 200, build_json(q, &t.one));
	store_build_clear(&t.one);
	return 0;
}

/* --- made of a tarball --- */

static const struct api_field source_blob[] = {
	{"url", F_URI, F_REQUIRED, .text = "of a .tar.gz: a source's get_url, or any"},
	{"checksum", F_LINE, .max = 80, .text = "SHA256:HEX"},
	{"version", F_LINE, .max = LIM_ANNOTATION, .text = "a commit, or any text"},
	{"version_description", F_STRING, .max = 1000},
	{0},
};
static const struct api_field buildpack[] = {
	{"url", F_LINE, F_REQUIRED, .min = 1, .max = 1000},
	{"name", F_LINE, .max = 1000},
	{0},
};
static const struct api_field buildpack_item = {.type = F_OBJECT, .of = buildpack};
const struct api_field api_fields_build_create[] = {
	{"source_blob", F_OBJECT, F_REQUIRED, .of = source_blob},
	{"buildpacks", F_LIST, .max = LIM_BUILDPACKS, .of = &buildpack_item,
	 .text = "for this build, in place of the app's"},
	{0},
};

/* What the record keeps is {url, name}; what the build gets is urls. */
static int read_buildpacks(struct api_req *q, const char **urls, char **json, struct err *err)
{
	const json_t *given = json_object_get(q->body, "buildpacks");
	AUTO(json_decref) json_t *kept = json_array();

	for (size_t i = 0; i < json_array_size(given); i++) {
		const json_t *one = json_array_get(given, i);
		const char *url = api_get_str(one, "url"), *name = api_get_str(one, "name");

		if (api_buildpack_check(url, err) < 0)
			return -1;
		urls[i] = url;
		json_array_append_new(
			kept, json_pack("{s:s, s:s}", "url", url, "name", name ? name : url));
	}
	*json = json_dumps(kept, JSON_COMPACT);
	return 0;
}

int api_builds_create(struct api_req *q, struct err *err)
{
	const json_t *blob = json_object_get(q->body, "source_blob");
	const char *urls[LIM_BUILDPACKS + 1] = {NULL};
	struct build_q t = {.q = q, .app_id = q->app.id};
	struct tarball_new in = {
		.app_id = q->app.id,
		.user_id = q->user.id,
		.user_email = q->user.email,
		.url = api_get_str(blob, "url"),
		.checksum = api_get_str(blob, "checksum"),
		.version = api_get_str(blob, "version"),
		.version_description = api_get_str(blob, "version_description"),
	};
	AUTO(auto_str) char *json = NULL;
	char id[37];

	if (in.checksum && !build_checksum_ok(in.checksum))
		return err_set(err, ERR_INVALID_PARAMS,
			       "Parameter source_blob.checksum must be SHA256: and 64 hex digits.");
	if (read_buildpacks(q, urls, &json, err) < 0 || api_source_open(q, in.url, &in.fd, err) < 0)
		return -1;
	in.buildpacks_json = json;
	in.buildpacks = urls[0] ? urls : NULL;
	if (tarball_build(q->d->tarballs, &in, id, err) < 0)
		return -1;
	t.id = id;
	if (store_read(q->d->store, read_build, &t, err) < 0)
		return -1;
	api_audit(q, "build.create", "%s", id);
	api_ok(q, 201, build_json(q, &t.one));
	store_build_clear(&t.one);
	return 0;
}

int api_builds_cancel(struct api_req *q, struct err *err)
{
	struct build_q t = {.q = q, .app_id = q->app.id, .id = q->params[1]};
	int rc = 0;

	if (store_read(q->d->store, read_build, &t, err) < 0)
		return -1;
	if (t.one.status != STORE_PENDING || !build_cancel(q->d->builds, t.one.id))
		rc = err_set(err, ERR_INVALID_PARAMS,
			     "Only a build that is running can be canceled; this one is %s.",
			     store_status_name(t.one.status));
	if (rc == 0) {
		api_audit(q, "build.cancel", "%s", t.one.id);
		api_ok(q, 200, build_json(q, &t.one));
	}
	store_build_clear(&t.one);
	return rc;
}

int api_build_cache_delete(struct api_req *q, struct err *err)
{
	if (build_cache_purge(q->d->builds, q->app.id, err) < 0)
		return -1;
	api_audit(q, "build.cache.purge", "%s", "");
	return api_ok(q, 200, json_object());
}

static int more_build(struct api_req *q, uint64_t offset, struct buf *out, bool *done,
		      struct err *err)
{
	build_output_wait(q->d->builds, q->params[0], offset, 1000);
	return build_output(q->d->builds, q->params[0], offset, out, done, err);
}

int api_build_stream(struct api_req *q, struct err *err)
{
	struct build_q t = {.q = q, .id = q->params[0]};
	bool ok;

	if (store_read(q->d->store, read_build, &t, err) < 0)
		return -1;
	ok = api_same_secret(t.one.output_secret, q->params[1]);
	store_build_clear(&t.one);
	return ok ? api_stream(q, more_build, err) : err_not_found(err, "build");
}

json_t *api_render_build(struct api_req *q, struct tx *tx, const char *id)
{
	struct store_build v = {0};
	struct err none = {0};
	json_t *j;

	if (store_build_get(tx, q->app.id, id, &v, &none) < 0)
		return NULL;
	j = build_json(q, &v);
	store_build_clear(&v);
	return j;
}
