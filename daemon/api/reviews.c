/* Review apps, and the settings that a pipeline has for them (Platform API: review-app,
 * review-app-config). */
#include "daemon/api/reviews.h"
#include "daemon/api/pipelines.h"
#include "daemon/api/repos.h"
#include "daemon/review/review.h"
#include "daemon/store/repo.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <ctype.h>
#include <string.h>

struct reviews_tx {
	struct api_req *q;
	enum store_pipeline_right right;
	struct store_pipeline pipeline;
	struct store_review one;
	struct store_reviews list;
	struct store_review_config config;
	bool make;    /* settings that are not there yet are made */
	int64_t repo; /* number of the connected repository; 0 = none */
};

static void reviews_tx_clear(struct reviews_tx *t)
{
	store_pipeline_clear(&t->pipeline);
	store_review_clear(&t->one);
	store_reviews_clear(&t->list);
	store_review_config_clear(&t->config);
}
#define reviews_tx_clear_p reviews_tx_clear

json_t *api_review_json(const struct store_review *v)
{
	/* what is being deployed to an app that is there */
	bool behind = v->status == REVIEW_CREATED && v->wanted && strcmp(v->commit, v->tried) != 0;
	AUTO(auto_str)
	char *stranger =
		v->foreign ? xasprintf("Of %s, which the pipeline is not connected to.", v->repo)
			   : NULL;
	json_t *app = json_null();

	if (v->app_id[0] && v->app_name)
		app = json_pack("{s:s, s:s}", "id", v->app_id, "name", v->app_name);
	return json_pack(
		"{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:s, "
		"s:o, s:b}",
		"app", app, "app_setup", json_id_or_null(v->setup_id), "branch", v->branch,
		"commit", json_str_or_null(v->deployed[0] ? v->deployed : NULL), "created_at",
		json_time(v->created_ms), "creator",
		v->creator_id[0] ? json_id_or_null(v->creator_id) : json_object(), "error_status",
		json_str_or_null(v->error_status), "fork_repo",
		v->fork[0] ? json_pack("{s:n, s:s}", "id", "full_name", v->fork) : json_null(),
		"id", v->id, "message", json_str_or_null(v->message ? v->message : stranger),
		"pending_commit", json_str_or_null(behind && v->commit[0] ? v->commit : NULL),
		"pipeline", json_id_or_null(v->pipeline_id), "pr_number",
		v->pr_number ? json_integer(v->pr_number) : json_null(), "status",
		store_review_statuses[v->status], "updated_at", json_time(v->updated_ms),
		"wait_for_ci", v->wait_for_ci);
}

/* --- one of them --- */

/* :review_app with this right on its pipeline. */
static int read_one(struct tx *tx, void *arg, struct err *err)
{
	struct reviews_tx *t = arg;
	struct err why = {0};

	store_review_clear(&t->one);
	if (store_review_get(tx, t->q->params[0], &t->one, err) < 0)
		return -1;
	if (api_pipeline_find(t->q, tx, t->one.pipeline_id, t->right, &t->pipeline, &why) == 0)
		return 0;
	if (why.code == ERR_NOT_FOUND)
		return err_not_found(err, "review_app");
	*err = why;
	return -1;
}

int api_reviews_info(struct api_req *q, struct err *err)
{
	AUTO(reviews_tx_clear) struct reviews_tx t = {.q = q, .right = STORE_PIPELINE_VIEW};

	if (store_read(q->d->store, read_one, &t, err) < 0)
		return -1;
	return api_ok(q, 200, api_review_json(&t.one));
}

int api_reviews_delete(struct api_req *q, struct err *err)
{
	AUTO(reviews_tx_clear) struct reviews_tx t = {.q = q, .right = STORE_PIPELINE_DEPLOY};

	if (store_read(q->d->store, read_one, &t, err) < 0 ||
	    review_end(q->d->reviews, t.one.id, err) < 0)
		return -1;
	api_audit(q, "review_app.destroy", "%s of %s", t.one.branch, t.pipeline.name);
	store_pipeline_clear(&t.pipeline);
	if (store_read(q->d->store, read_one, &t, err) < 0)
		return -1;
	return api_ok(q, 200, api_review_json(&t.one));
}

static int read_of_app(struct tx *tx, void *arg, struct err *err)
{
	struct reviews_tx *t = arg;

	return store_review_of_app(tx, t->q->app.id, &t->one, err);
}

int api_review_of_app(struct api_req *q, struct err *err)
{
	AUTO(reviews_tx_clear) struct reviews_tx t = {.q = q};

	if (store_read(q->d->store, read_of_app, &t, err) < 0)
		return -1;
	return api_ok(q, 200, api_review_json(&t.one));
}

static int read_list(struct tx *tx, void *arg, struct err *err)
{
	struct reviews_tx *t = arg;

	return api_pipeline_find(t->q, tx, t->q->params[0], STORE_PIPELINE_VIEW, &t->pipeline,
				 err) < 0
		       ? -1
		       : store_reviews_list(tx, t->pipeline.id, false, &t->list, err);
}

int api_reviews_of_pipeline(struct api_req *q, struct err *err)
{
	AUTO(reviews_tx_clear) struct reviews_tx t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_list, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.list.n; i++)
		json_array_append_new(list, api_review_json(&t.list.v[i]));
	return api_list(q, list, "created_at id branch", err);
}

/* --- making one --- */

static const struct api_field fields_blob[] = {
	{"url", F_STRING, F_REQUIRED, .min = 1, .max = 2048,
	 .text = "`resolve`: the branch of the pipeline's repository"},
	{"version", F_LINE, F_NULL, .min = 1, .max = 64},
	{0},
};
static const struct api_field field_value = {NULL, F_STRING, F_NULL};
const struct api_field api_fields_review_create[] = {
	{"branch", F_LINE, .min = 1, .max = 250,
	 .text = "may be left out with the pr_number of a connected repository"},
	{"pr_number", F_INT, F_NULL, .min = 1, .max = INT32_MAX},
	{"pipeline", F_REF, F_REQUIRED},
	{"source_blob", F_OBJECT, F_REQUIRED, .of = fields_blob},
	{"environment", F_MAP, F_NULL, .of = &field_value, .text = "config vars"},
	{"fork_repo_id", F_INT, F_NULL, .min = 1, .max = INT64_MAX},
	{0},
};

static int read_pipeline(struct tx *tx, void *arg, struct err *err)
{
	struct reviews_tx *t = arg;

	return api_pipeline_find(t->q, tx, api_get_ref(t->q->body, "pipeline"), t->right,
				 &t->pipeline, err);
}

/* Config vars as config:set takes them; null ones are left out. */
static int check_environment(json_t *env, struct err *err)
{
	const char *key;
	json_t *v;
	void *next;

	json_object_foreach_safe(env, next, key, v)
	{
		if (json_is_null(v))
			json_object_del(env, key);
		else if (name_check_config(key, json_string_value(v), json_string_length(v), err) <
			 0)
			return -1;
	}
	return 0;
}

static bool is_commit(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (!isxdigit((unsigned char)s[i]))
			return false;
	return n == 40;
}

int api_reviews_create(struct api_req *q, struct err *err)
{
	AUTO(reviews_tx_clear) struct reviews_tx t = {.q = q, .right = STORE_PIPELINE_DEPLOY};
	const json_t *blob = json_object_get(q->body, "source_blob");
	const char *url = api_get_str(blob, "url"), *version = api_get_str(blob, "version");
	json_t *env = json_object_get(q->body, "environment");
	struct review_new in = {
		.user_id = q->user.id,
		.branch = api_get_str(q->body, "branch"),
		.pr_number = api_get_int(q->body, "pr_number", 0),
		.url = strcmp(url, "resolve") == 0 ? NULL : url,
		.environment = json_is_object(env) ? env : NULL,
	};

	if ((in.branch && provider_branch_ok(in.branch, err) < 0) ||
	    (in.environment && check_environment(env, err) < 0) ||
	    store_read(q->d->store, read_pipeline, &t, err) < 0)
		return -1;
	if (version && (in.url || is_commit(version)))
		in.commit = version;
	in.pipeline_id = t.pipeline.id;
	if (review_create(q->d->reviews, &in, &t.one, err) < 0)
		return -1;
	api_audit(q, "review_app.create", "%s of %s", t.one.branch, t.pipeline.name);
	return api_ok(q, 201, api_review_json(&t.one));
}

/* --- settings --- */

static const struct api_field fields_target[] = {
	{"id", F_LINE, F_REQUIRED, .min = 1, .max = 100},
	{"type", F_STRING, F_REQUIRED, .choice = "region"},
	{0},
};
const struct api_field api_fields_review_config[] = {
	{"pipeline", F_REF},
	{"repo", F_LINE, .min = 1, .max = 250,
	 .text = "`full_name` of /pipelines/:pipeline/repo; another one is refused"},
	{"automatic_review_apps", F_BOOL},
	{"destroy_stale_apps", F_BOOL},
	{"stale_days", F_INT, .min = 1, .max = 30},
	{"deploy_target", F_OBJECT, F_NULL, .of = fields_target},
	{"wait_for_ci", F_BOOL},
	{"base_name", F_LINE, F_NULL, .max = LIM_APP_NAME, .text = "apps are called BASE-pr-N"},
	{"max_apps", F_INT, .min = 1, .max = LIM_REVIEW_APPS, .text = "an extension"},
	{"sleep_minutes", F_INT, .min = 0, .max = 10080,
	 .text = "without a request, then they sleep; 0: never (an extension)"},
	{0},
};

/* `repo`, when it is given, names the repository that the review apps are of. */
static int check_repo(struct reviews_tx *t, const char *connected, struct err *err)
{
	const char *named = api_get_str(t->q->body, "repo");
	AUTO(auto_str) char *own = api_repo_own_name(&t->pipeline);

	if (!named || strcasecmp(named, connected ? connected : own) == 0)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS,
		       connected ? "The pipeline is connected to %s, not to %s."
				 : "The pipeline's repository is %s: it is not connected to %s.",
		       connected ? connected : own, named);
}

static int read_settings(struct tx *tx, struct reviews_tx *t, struct err *err)
{
	AUTO(store_repo_clear) struct store_repo repo = {0};
	struct err why = {0};

	if (api_pipeline_find(t->q, tx, t->q->params[0], t->right, &t->pipeline, err) < 0)
		return -1;
	if (store_repo_of_pipeline(tx, t->pipeline.id, &repo, &why) == 0) {
		t->repo = repo.num;
	} else if (why.code != ERR_NOT_FOUND) {
		*err = why;
		return -1;
	}
	if (check_repo(t, repo.full_name, err) < 0)
		return -1;
	store_review_config_clear(&t->config);
	if (store_review_config_get(tx, t->pipeline.id, &t->config, &why) == 0)
		return 0;
	if (why.code != ERR_NOT_FOUND || !t->make) {
		*err = why;
		return -1;
	}
	store_review_config_preset(&t->config, t->pipeline.id);
	return 0;
}

static int read_config(struct tx *tx, void *arg, struct err *err)
{
	return read_settings(tx, arg, err);
}

static json_t *config_json(struct api_req *q, const struct reviews_tx *t)
{
	const struct store_review_config *c = &t->config;

	(void)q;
	return json_pack(
		"{s:b, s:o, s:o, s:b, s:i, s:s, s:o, s:i, s:i, s:b}", "automatic_review_apps",
		c->automatic, "base_name", json_str_or_null(c->base_name), "deploy_target",
		json_null(), "destroy_stale_apps", c->destroy_stale, "max_apps", c->max_apps,
		"pipeline_id", t->pipeline.id, "repo",
		json_pack("{s:I}", "id", (json_int_t)t->repo), "sleep_minutes", c->sleep_minutes,
		"stale_days", c->stale_days, "wait_for_ci", c->wait_for_ci);
}

int api_review_config_info(struct api_req *q, struct err *err)
{
	AUTO(reviews_tx_clear) struct reviews_tx t = {.q = q, .right = STORE_PIPELINE_VIEW};

	if (store_read(q->d->store, read_config, &t, err) < 0)
		return -1;
	return api_ok(q, 200, config_json(q, &t));
}

/* The base of names is followed by "-pr-N", so that what it makes is an app's name. */
static int take_base(struct store_review_config *c, const json_t *body, struct err *err)
{
	const json_t *v = json_object_get(body, "base_name");
	const char *base = json_string_value(v);
	AUTO(auto_str) char *probe = xasprintf("%.20s-pr-1", base ? base : "");

	if (!v)
		return 0;
	if (base && *base && !name_is_app(probe))
		return err_set(err, ERR_INVALID_PARAMS,
			       "base_name must start with a letter and have a-z, 0-9 and - only.");
	free(c->base_name);
	c->base_name = base && *base ? xstrdup(base) : NULL;
	return 0;
}

static int write_config(struct tx *tx, void *arg, struct err *err)
{
	struct reviews_tx *t = arg;
	struct store_review_config *c = &t->config;
	const json_t *b = t->q->body;

	t->make = true;
	if (read_settings(tx, t, err) < 0 || take_base(c, b, err) < 0)
		return -1;
	c->automatic = api_get_bool(b, "automatic_review_apps", c->automatic);
	c->destroy_stale = api_get_bool(b, "destroy_stale_apps", c->destroy_stale);
	c->wait_for_ci = api_get_bool(b, "wait_for_ci", c->wait_for_ci);
	c->stale_days = (int)api_get_int(b, "stale_days", c->stale_days);
	c->max_apps = (int)api_get_int(b, "max_apps", c->max_apps);
	c->sleep_minutes = (int)api_get_int(b, "sleep_minutes", c->sleep_minutes);
	return store_review_config_set(tx, c, err);
}

static int set_config(struct api_req *q, int status, struct err *err)
{
	AUTO(reviews_tx_clear) struct reviews_tx t = {.q = q, .right = STORE_PIPELINE_MANAGE};

	if (store_tx(q->d->store, write_config, &t, err) < 0)
		return -1;
	api_audit(q, "review_app_config.set", "%s", t.pipeline.name);
	review_config_changed(q->d->reviews, t.pipeline.id);
	return api_ok(q, status, config_json(q, &t));
}

int api_review_config_create(struct api_req *q, struct err *err)
{
	return set_config(q, 201, err);
}

int api_review_config_update(struct api_req *q, struct err *err)
{
	return set_config(q, 200, err);
}

static int write_config_gone(struct tx *tx, void *arg, struct err *err)
{
	struct reviews_tx *t = arg;

	return read_settings(tx, t, err) < 0 ? -1
					     : store_review_config_delete(tx, t->pipeline.id, err);
}

int api_review_config_delete(struct api_req *q, struct err *err)
{
	AUTO(reviews_tx_clear) struct reviews_tx t = {.q = q, .right = STORE_PIPELINE_MANAGE};

	if (store_tx(q->d->store, write_config_gone, &t, err) < 0)
		return -1;
	api_audit(q, "review_app_config.delete", "%s", t.pipeline.name);
	return api_ok(q, 200, config_json(q, &t));
}
