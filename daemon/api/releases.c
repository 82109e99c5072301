/* Releases, and the stream of what a release command prints. */
#include "daemon/api/api_int.h"
#include "daemon/store/build.h"
#include "daemon/store/release.h"
#include "proto/limits.h"

#include <stdio.h>
#include <string.h>

/* --- releases --- */

static json_t *plans_of(const struct store_release *r)
{
	AUTO(json_decref) json_t *note = json_loads(r->addons, 0, NULL);
	json_t *plans = json_object_get(note, "plans");

	return plans ? json_incref(plans) : json_array();
}

static json_t *release_json(struct api_req *q, const struct store_release *r)
{
	AUTO(auto_str)
	char *url = r->has_command
			    ? api_public_url(q, "/streams/releases/%s/%s", r->id, r->output_secret)
			    : NULL;

	AUTO(json_decref) json_t *plans = plans_of(r);

	return json_pack("{s:O, s:[], s:o, s:o, s:o, s:s, s:o, s:o, s:s, s:o, s:i, s:b, s:o, s:b}",
			 "addon_plan_names", plans, "artifacts", "app", json_app_ref(&q->app),
			 "created_at", json_time(r->created_ms), "description",
			 json_text(r->description), "id", r->id, "updated_at",
			 json_time(r->updated_ms), "slug", json_id_or_null(r->slug_id), "status",
			 store_status_name(r->status), "user",
			 json_user_ref(r->user_id, r->user_email), "version", r->version, "current",
			 r->current, "output_stream_url", json_str_or_null(url),
			 "eligible_for_rollback", r->eligible_for_rollback);
}

struct release_q {
	struct api_req *q;
	struct store_releases list;
	struct store_release one;
	const char *ref;
	bool any_app;
};

static int read_releases(struct tx *tx, void *arg, struct err *err)
{
	struct release_q *t = arg;

	return store_releases_list(tx, t->q->app.id, 0, 0, true, 0, &t->list, err);
}

int api_releases_list(struct api_req *q, struct err *err)
{
	struct release_q t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_releases, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.list.n; i++)
		json_array_append_new(list, release_json(q, &t.list.v[i]));
	store_releases_clear(&t.list);
	return api_list(q, list, "version id created_at updated_at", err);
}

static int read_release(struct tx *tx, void *arg, struct err *err)
{
	struct release_q *t = arg;

	if (t->any_app)
		return store_release_get(tx, NULL, t->ref, &t->one, err);
	return store_release_find(tx, t->q->app.id, t->ref, &t->one, err);
}

int api_releases_info(struct api_req *q, struct err *err)
{
	struct release_q t = {.q = q, .ref = q->params[1]};

	if (store_read(q->d->store, read_release, &t, err) < 0)
		return -1;
	api_ok(q, 200, release_json(q, &t.one));
	store_release_clear(&t.one);
	return 0;
}

/* `release` may be an id, a version as number or text ("3", "v3"). */
static int rollback_version(struct api_req *q, const json_t *v, int *out, struct err *err)
{
	struct release_q t = {.q = q};
	char num[32];

	if (json_is_integer(v)) {
		snprintf(num, sizeof num, "%lld", (long long)json_integer_value(v));
		t.ref = num;
	} else if (json_is_string(v)) {
		t.ref = json_string_value(v);
	} else {
		return err_set(err, ERR_INVALID_PARAMS,
			       "Parameter release must be an id or a version.");
	}
	if (store_read(q->d->store, read_release, &t, err) < 0)
		return -1;
	*out = t.one.version;
	store_release_clear(&t.one);
	return 0;
}

const struct api_field api_fields_release_create[] = {
	{"release", F_ANY, .text = "to roll back to: id or version"},
	{"slug", F_REF, .text = "of this app, to be released again"},
	{"description", F_LINE, .min = 1, .max = LIM_ANNOTATION},
	{0},
};

int api_releases_create(struct api_req *q, struct err *err)
{
	json_t *release = json_object_get(q->body, "release");
	struct release_new in = {.app_id = q->app.id,
				 .user_id = q->user.id,
				 .user_email = q->user.email,
				 .slug_id = api_get_ref(q->body, "slug"),
				 .description = api_get_str(q->body, "description")};
	struct release_q t = {.q = q};
	struct release_out out;

	if (json_is_null(release))
		release = NULL;
	if (!release && !in.slug_id)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Missing required parameter: release, to roll back to it, or slug.");
	if (release && in.slug_id)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Give either release, to roll back to it, or slug.");
	if (release && rollback_version(q, release, &in.rollback_to, err) < 0)
		return -1;
	if (release_create(q->d->releases, &in, &out, err) < 0)
		return -1;
	t.ref = out.id;
	if (store_read(q->d->store, read_release, &t, err) < 0)
		return -1;
	api_audit(q, release ? "release.rollback" : "release.create", "v%d: %s", t.one.version,
		  t.one.description);
	api_ok(q, 201, release_json(q, &t.one));
	store_release_clear(&t.one);
	return 0;
}

/* --- streams: the URL is the permission; the answer is the output so far, then live to the end ---
 */

bool api_same_secret(const char *a, const char *b)
{
	size_t n = strlen(a);

	return n == strlen(b) && n > 0 && ct_equal(a, b, n);
}

int api_stream(struct api_req *q,
	       int (*more)(struct api_req *q, uint64_t offset, struct buf *out, bool *done,
			   struct err *err),
	       struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	bool done = false;
	uint64_t offset = 0;

	if (more(q, 0, &b, &done, err) < 0)
		return -1;
	q->answered = true;
	http_respond(q->x, 200, "text/plain; charset=utf-8");
	for (;;) {
		if (b.len && http_write(q->x, b.data, b.len) < 0)
			break;
		offset += b.len;
		if (done || http_client_gone(q->x))
			break;
		buf_reset(&b);
		if (more(q, offset, &b, &done, err) < 0)
			break;
	}
	http_end(q->x);
	return 0;
}

static int more_release(struct api_req *q, uint64_t offset, struct buf *out, bool *done,
			struct err *err)
{
	return release_output(q->d->releases, q->params[0], offset, out, done, err);
}

int api_release_stream(struct api_req *q, struct err *err)
{
	struct release_q t = {.q = q, .ref = q->params[0], .any_app = true};
	bool ok;

	if (store_read(q->d->store, read_release, &t, err) < 0)
		return -1;
	ok = api_same_secret(t.one.output_secret, q->params[1]);
	store_release_clear(&t.one);
	return ok ? api_stream(q, more_release, err) : err_not_found(err, "release");
}

json_t *api_render_release(struct api_req *q, struct tx *tx, const char *id)
{
	struct store_release v = {0};
	struct err none = {0};
	json_t *j;

	if (store_release_get(tx, q->app.id, id, &v, &none) < 0)
		return NULL;
	j = release_json(q, &v);
	store_release_clear(&v);
	return j;
}
