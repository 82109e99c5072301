/* Promotions, and views over all apps of a pipeline: their newest builds and releases, and what one
 * has that the next has not. */
#include "daemon/api/pipelines.h"
#include "daemon/pipeline/pipeline.h"
#include "daemon/store/release.h"
#include "proto/limits.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* --- promotions --- */

static const struct api_field fields_app_ref[] = {
	{"app", F_REF, F_REQUIRED},
	{0},
};
static const struct api_field fields_source[] = {
	{"app", F_REF, F_REQUIRED},
	{"release", F_REF, .text = "the current one when absent"},
	{0},
};
static const struct api_field target = {.type = F_OBJECT, .of = fields_app_ref};
const struct api_field api_fields_promotion[] = {
	{"pipeline", F_REF, F_REQUIRED},
	{"source", F_OBJECT, F_REQUIRED, .of = fields_source},
	{"targets", F_LIST, .max = LIM_PIPELINE_APPS, .of = &target,
	 .text = "the apps of the next stage when absent"},
	{0},
};

struct promotion_tx {
	struct api_req *q;
	const char *id;
	struct store_promotion p;
	json_t *list; /* owned */
};

static json_t *promotion_json(const struct store_promotion *p)
{
	return json_pack("{s:o, s:s, s:{s:s}, s:{s:{s:s}, s:{s:s}}, s:s, s:o}", "created_at",
			 json_time(p->created_ms), "id", p->id, "pipeline", "id", p->pipeline_id,
			 "source", "app", "id", p->source_app_id, "release", "id",
			 p->source_release_id, "status", p->completed ? "completed" : "pending",
			 "updated_at", json_time(p->updated_ms));
}

static json_t *target_json(const struct store_target *t)
{
	return json_pack("{s:{s:s}, s:o, s:s, s:{s:s}, s:o, s:s}", "app", "id", t->app_id,
			 "error_message", json_str_or_null(t->error_message), "id", t->id,
			 "pipeline_promotion", "id", t->promotion_id, "release",
			 json_id_or_null(t->release_id), "status", t->status);
}

static int read_promotion(struct tx *tx, void *arg, struct err *err)
{
	struct promotion_tx *t = arg;
	unsigned rights = 0;

	store_promotion_clear(&t->p);
	if (store_promotion_get(tx, t->id, &t->p, err) < 0 ||
	    store_pipeline_access(tx, t->q->user.id, t->p.pipeline_id, &rights, err) < 0)
		return -1;
	return rights ? 0 : err_not_found(err, "pipeline_promotion");
}

static int answer(struct api_req *q, int status, const char *id, struct err *err)
{
	struct promotion_tx t = {.q = q, .id = id};
	int rc = store_read(q->d->store, read_promotion, &t, err);

	if (rc == 0)
		rc = api_ok(q, status, promotion_json(&t.p));
	store_promotion_clear(&t.p);
	return rc;
}

int api_promotions_create(struct api_req *q, struct err *err)
{
	const json_t *source = json_object_get(q->body, "source");
	const json_t *targets = json_object_get(q->body, "targets");
	size_t n = json_array_size(targets);
	const char **apps = http_alloc(q->x, (n + 1) * sizeof *apps);
	const struct promotion_new in = {
		.pipeline = api_get_ref(q->body, "pipeline"),
		.source = api_get_ref(source, "app"),
		.source_release = api_get_ref(source, "release"),
		.targets = apps,
		.ntargets = (int)n,
		.user_id = q->user.id,
		.request_id = http_request_id(q->x),
		.peer = http_peer(q->x),
	};
	char id[37];

	for (size_t i = 0; i < n; i++)
		apps[i] = api_get_ref(json_array_get(targets, i), "app");
	if (promotion_create(q->d->promoter, &in, id, err) < 0)
		return -1;
	return answer(q, 201, id, err);
}

int api_promotions_info(struct api_req *q, struct err *err)
{
	return answer(q, 200, q->params[0], err);
}

/* Who promoted sees all; others those of apps that they have a right to. */
static bool sees_target(struct tx *tx, const struct promotion_tx *t, const struct store_target *g)
{
	unsigned perms = 0;
	struct err none = {0};

	return strcmp(t->p.user_id, t->q->user.id) == 0 || t->q->user.admin ||
	       (store_app_access(tx, t->q->user.id, g->app_id, &perms, &none) == 0 && perms);
}

static int read_targets(struct tx *tx, void *arg, struct err *err)
{
	struct promotion_tx *t = arg;
	AUTO(store_targets_clear) struct store_targets targets = {0};

	if (read_promotion(tx, t, err) < 0 || store_targets_list(tx, t->p.id, &targets, err) < 0)
		return -1;
	for (int i = 0; i < targets.n; i++)
		if (sees_target(tx, t, &targets.v[i]))
			json_array_append_new(t->list, target_json(&targets.v[i]));
	return 0;
}

int api_promotion_targets(struct api_req *q, struct err *err)
{
	struct promotion_tx t = {.q = q, .id = q->params[0], .list = json_array()};
	int rc = store_read(q->d->store, read_targets, &t, err);

	if (rc == 0)
		rc = api_list(q, STEAL(t.list), "id", err);
	json_decref(t.list);
	store_promotion_clear(&t.p);
	return rc;
}

/* --- the newest of each app --- */

struct latest_tx {
	struct api_req *q;
	enum store_latest what;
	struct store_pipeline pipeline;
	json_t *list; /* owned */
};

static int add_latest(struct tx *tx, struct latest_tx *t, const struct store_app_item *i,
		      struct err *err)
{
	struct api_req *q = t->q;
	unsigned perms = 0;
	json_t *j;

	store_app_clear(&q->app); /* what the resources are rendered for */
	if (store_app_access(tx, q->user.id, i->app_id, &perms, err) < 0 ||
	    store_app_get(tx, i->app_id, &q->app, err) < 0)
		return -1;
	j = !perms			     ? NULL
	    : t->what == STORE_LATEST_BUILDS ? api_render_build(q, tx, i->id)
					     : api_render_release(q, tx, i->id);
	if (j)
		json_array_append_new(t->list, j);
	return 0;
}

static int read_latest(struct tx *tx, void *arg, struct err *err)
{
	struct latest_tx *t = arg;
	AUTO(store_app_items_clear) struct store_app_items items = {0};

	if (api_pipeline_find(t->q, tx, t->q->params[0], STORE_PIPELINE_VIEW, &t->pipeline, err) <
		    0 ||
	    store_pipeline_latest(tx, t->pipeline.id, t->what, &items, err) < 0)
		return -1;
	for (int i = 0; i < items.n; i++)
		if (add_latest(tx, t, &items.v[i], err) < 0)
			return -1;
	return 0;
}

static int latest(struct api_req *q, enum store_latest what, struct err *err)
{
	struct latest_tx t = {.q = q, .what = what, .list = json_array()};
	int rc = store_read(q->d->store, read_latest, &t, err);

	store_pipeline_clear(&t.pipeline);
	if (rc == 0)
		return api_list(q, t.list, "created_at id updated_at", err);
	json_decref(t.list);
	return rc;
}

int api_pipeline_builds(struct api_req *q, struct err *err)
{
	return latest(q, STORE_LATEST_BUILDS, err);
}

int api_pipeline_releases(struct api_req *q, struct err *err)
{
	return latest(q, STORE_LATEST_RELEASES, err);
}

int api_pipeline_deployments(struct api_req *q, struct err *err)
{
	return latest(q, STORE_LATEST_DEPLOYMENTS, err);
}

/* --- diff --- */

struct code { /* of an app */
	char app_id[37], app_name[32], stage[16];
	char slug_id[37]; /* "" = none is released */
	int version;
	char commit[65]; /* "" = unknown */
};
struct diff_tx {
	struct api_req *q;
	struct code from;
	struct code *to; /* owned */
	int nto;
};

static int read_code(struct tx *tx, const struct store_coupling *k, struct code *c, struct err *err)
{
	AUTO(store_release_clear) struct store_release rel = {0};
	AUTO(store_slug_clear) struct store_slug slug = {0};
	struct err e = {0};

	memcpy(c->app_id, k->app_id, sizeof c->app_id);
	memcpy(c->app_name, k->app_name, sizeof c->app_name);
	memcpy(c->stage, k->stage, sizeof c->stage);
	if (store_release_current(tx, k->app_id, &rel, &e) < 0) {
		*err = e;
		return e.code == ERR_NOT_FOUND ? 0 : -1;
	}
	c->version = rel.version;
	if (!rel.slug_id[0])
		return 0;
	if (store_slug_get(tx, NULL, rel.slug_id, &slug, err) < 0)
		return -1;
	memcpy(c->slug_id, slug.id, sizeof c->slug_id);
	snprintf(c->commit, sizeof c->commit, "%s", slug.commit ? slug.commit : "");
	return 0;
}

/* The apps of the stage downstream that the caller may see. */
static int read_codes(struct tx *tx, void *arg, struct err *err)
{
	struct diff_tx *t = arg;
	AUTO(store_couplings_clear) struct store_couplings list = {0};
	struct store_coupling own = {0};
	const char *stage;

	if (store_coupling_of_app(tx, t->q->app.id, &own, err) < 0 ||
	    read_code(tx, &own, &t->from, err) < 0)
		return -1;
	stage = store_stage_downstream(own.stage);
	if (!stage)
		return err_set(err, ERR_INVALID_PARAMS,
			       "There is no stage downstream of %s, where %s is.", own.stage,
			       own.app_name);
	if (store_couplings_visible(tx, t->q->user.id, own.pipeline_id, &list, err) < 0)
		return -1;
	t->to = xcalloc((size_t)list.n + 1, sizeof *t->to);
	for (int i = 0; i < list.n; i++)
		if (strcmp(list.v[i].stage, stage) == 0 &&
		    read_code(tx, &list.v[i], &t->to[t->nto++], err) < 0)
			return -1;
	return 0;
}

static json_t *commits_json(const struct commit_diff *d)
{
	json_t *list = json_array();

	for (int i = 0; i < d->n; i++)
		json_array_append_new(
			list, json_pack("{s:{s:o, s:o}, s:o, s:o, s:s}", "author", "email",
					json_text(d->v[i].email), "name", json_text(d->v[i].author),
					"created_at", json_time(d->v[i].when_ms), "message",
					json_text(d->v[i].subject), "sha", d->v[i].sha));
	return list;
}

static const char *status_of(const struct code *from, const struct code *to,
			     const struct commit_diff *d)
{
	if (!from->slug_id[0] || !to->slug_id[0])
		return "unreleased";
	if (strcmp(from->slug_id, to->slug_id) == 0 ||
	    (from->commit[0] && strcmp(from->commit, to->commit) == 0))
		return "identical";
	if (d->unknown[0] || d->unknown[1])
		return "unknown";
	return d->n && d->behind ? "diverged" : d->n ? "ahead" : d->behind ? "behind" : "identical";
}

static json_t *code_json(const struct code *c)
{
	return json_pack("{s:{s:s, s:s}, s:o, s:o, s:s, s:o}", "app", "id", c->app_id, "name",
			 c->app_name, "commit", json_str_or_null(c->commit[0] ? c->commit : NULL),
			 "slug", json_id_or_null(c->slug_id), "stage", c->stage, "version",
			 c->version ? json_integer(c->version) : json_null());
}

static int compare(struct api_req *q, const struct code *from, const struct code *to, json_t *list,
		   struct err *err)
{
	AUTO(commit_diff_clear) struct commit_diff d = {0};
	char path[2][PATH_MAX];
	const char *const repos[] = {path[0], path[1]};
	const char *const commits[] = {from->commit, to->commit};

	git_repo_path(q->d->git, from->app_id, path[0]);
	git_repo_path(q->d->git, to->app_id, path[1]);
	if (commit_diff_make(repos, commits, &d, err) < 0)
		return -1;
	json_array_append_new(list,
			      json_pack("{s:i, s:o, s:b, s:s, s:b, s:o, s:b}", "behind", d.behind,
					"commits", commits_json(&d), "more", d.more, "status",
					status_of(from, to, &d), "source_unknown", d.unknown[0],
					"target", code_json(to), "target_unknown", d.unknown[1]));
	return 0;
}

int api_pipeline_diff(struct api_req *q, struct err *err)
{
	struct diff_tx t = {.q = q};
	json_t *list = json_array();
	int rc = store_read(q->d->store, read_codes, &t, err);

	for (int i = 0; i < t.nto && rc == 0; i++)
		rc = compare(q, &t.from, &t.to[i], list, err);
	free(t.to);
	if (rc == 0)
		return api_ok(
			q, 200,
			json_pack("{s:o, s:o}", "source", code_json(&t.from), "targets", list));
	json_decref(list);
	return rc;
}
