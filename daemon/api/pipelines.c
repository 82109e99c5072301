/* Pipelines: made, renamed, given away; config vars of their stages. */
#include "daemon/api/pipelines.h"
#include "daemon/api/repos.h"
#include "daemon/review/review.h"
#include "daemon/store/transfer.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <string.h>

struct pipelines_tx {
	struct api_req *q;
	struct store_pipelines list;
	struct store_pipeline one;
	enum store_pipeline_right right;
	const char *name, *owner;
	struct store_user to; /* the new owner */
	int apps;	      /* that went with the pipeline */
	json_t *config;	      /* owned */
};

static json_t *owner_json(const char *id)
{
	return json_pack("{s:s, s:s}", "id", id, "type", "user");
}

static json_t *pipeline_json(const struct store_pipeline *p)
{
	return json_pack("{s:o, s:o, s:s, s:s, s:o, s:o}", "created_at", json_time(p->created_ms),
			 "generation", json_named_ref("generation", "cedar"), "id", p->id, "name",
			 p->name, "owner", owner_json(p->owner_id), "updated_at",
			 json_time(p->updated_ms));
}

/* --- who may --- */

int api_pipeline_find(struct api_req *q, struct tx *tx, const char *id_or_name,
		      enum store_pipeline_right right, struct store_pipeline *out, struct err *err)
{
	static const char *const needs[] = {
		[STORE_PIPELINE_VIEW] = "view it",
		[STORE_PIPELINE_MANAGE] =
			"change what is in it: that takes the manage permission on one of its apps",
		[STORE_PIPELINE_DEPLOY] = "deploy review apps in: that takes the deploy permission "
					  "on one of its apps",
		[STORE_PIPELINE_OWNER] = "do that: only its owner can",
	};
	unsigned rights = 0;

	store_pipeline_clear(out);
	if (store_pipeline_find(tx, id_or_name, out, err) < 0 ||
	    store_pipeline_access(tx, q->user.id, out->id, &rights, err) < 0)
		return -1;
	if (!rights) /* names must not leak */
		return err_not_found(err, "pipeline");
	if (!(rights & right))
		return err_set(err, ERR_FORBIDDEN, "The pipeline %s is not yours to %s.", out->name,
			       needs[right]);
	return 0;
}

static int read_pipeline(struct tx *tx, void *arg, struct err *err)
{
	struct pipelines_tx *t = arg;

	return api_pipeline_find(t->q, tx, t->q->params[0], t->right, &t->one, err);
}

int api_pipeline_get(struct api_req *q, enum store_pipeline_right right, struct store_pipeline *out,
		     struct err *err)
{
	struct pipelines_tx t = {.q = q, .right = right};

	if (store_read(q->d->store, read_pipeline, &t, err) < 0) {
		store_pipeline_clear(&t.one);
		return -1;
	}
	*out = t.one;
	return 0;
}

/* --- reading --- */

const char *api_query_eq(struct api_req *q, const char *name)
{
	AUTO(buf_clear) struct buf b = {0};
	AUTO(auto_str) char *key = xasprintf("eq[%s]=", name);
	AUTO(auto_str) char *value = NULL;
	const char *p;

	if (percent_decode(http_query(q->x), strlen(http_query(q->x)), true, &b) < 0 ||
	    !(p = strstr(buf_str(&b), key)))
		return NULL;
	p += strlen(key);
	value = xstrndup(p, strcspn(p, "&"));
	return http_strdup(q->x, value);
}

static int read_pipelines(struct tx *tx, void *arg, struct err *err)
{
	struct pipelines_tx *t = arg;

	return store_pipelines_visible(tx, t->q->user.id, t->name, &t->list, err);
}

int api_pipelines_list(struct api_req *q, struct err *err)
{
	struct pipelines_tx t = {.q = q, .name = api_query_eq(q, "name")};
	json_t *list;

	if (store_read(q->d->store, read_pipelines, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.list.n; i++)
		json_array_append_new(list, pipeline_json(&t.list.v[i]));
	store_pipelines_clear(&t.list);
	return api_list(q, list, "name id created_at updated_at", err);
}

int api_pipelines_info(struct api_req *q, struct err *err)
{
	AUTO(store_pipeline_clear) struct store_pipeline p = {0};

	if (api_pipeline_get(q, STORE_PIPELINE_VIEW, &p, err) < 0)
		return -1;
	return api_ok(q, 200, pipeline_json(&p));
}

/* --- making --- */

static const struct api_field fields_owner[] = {
	{"id", F_LINE, F_REQUIRED, .min = 1, .max = 254, .text = "of an account; its address too"},
	{"type", F_STRING, .choice = "user|team"},
	{0},
};
/* generation: clients send it; there is one */
const struct api_field api_fields_pipeline_create[] = {
	{"name", F_LINE, F_REQUIRED, .min = 1, .max = 100},
	{"owner", F_OBJECT, .of = fields_owner, .text = "the caller when absent"},
	{"generation", F_ANY},
	{0},
};

static int find_owner(struct tx *tx, struct pipelines_tx *t, struct err *err)
{
	store_user_clear(&t->to);
	return store_user_find(tx, t->owner, &t->to, err);
}

static int write_pipeline(struct tx *tx, void *arg, struct err *err)
{
	struct pipelines_tx *t = arg;

	store_pipeline_clear(&t->one);
	if (find_owner(tx, t, err) < 0)
		return -1;
	if (strcmp(t->to.id, t->q->user.id) != 0 && !t->q->user.admin)
		return err_set(err, ERR_FORBIDDEN,
			       "Make it for yourself, then give it away (pipelines:transfer).");
	return store_pipeline_create(tx, t->name, t->to.id, &t->one, err);
}

/* Who of an owner object; the caller by default. */
static int read_owner(struct api_req *q, const char *field, const char **out, struct err *err)
{
	const json_t *owner = json_object_get(q->body, field);
	const char *type = api_get_str(owner, "type");

	if (type && strcmp(type, "user") != 0)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Pipelines belong to accounts here, not to teams.");
	*out = json_is_object(owner) ? api_get_str(owner, "id") : q->user.id;
	if (strcmp(*out, "~") == 0)
		*out = q->user.id;
	return 0;
}

int api_pipelines_create(struct api_req *q, struct err *err)
{
	struct pipelines_tx t = {.q = q, .name = api_get_str(q->body, "name")};
	int rc = read_owner(q, "owner", &t.owner, err);

	if (rc == 0)
		rc = store_tx(q->d->store, write_pipeline, &t, err);
	if (rc == 0) {
		api_audit(q, "pipeline.create", "%s", t.one.name);
		api_ok(q, 201, pipeline_json(&t.one));
	}
	store_user_clear(&t.to);
	store_pipeline_clear(&t.one);
	return rc;
}

/* --- changing --- */

const struct api_field api_fields_pipeline_update[] = {
	{"name", F_LINE, .min = 1, .max = 100},
	{0},
};

static int rename_pipeline(struct tx *tx, void *arg, struct err *err)
{
	struct pipelines_tx *t = arg;

	if (read_pipeline(tx, t, err) < 0 ||
	    (t->name && store_pipeline_rename(tx, t->one.id, t->name, err) < 0))
		return -1;
	return read_pipeline(tx, t, err);
}

int api_pipelines_update(struct api_req *q, struct err *err)
{
	struct pipelines_tx t = {
		.q = q, .right = STORE_PIPELINE_OWNER, .name = api_get_str(q->body, "name")};
	AUTO(store_pipeline_clear) struct store_pipeline before = {0};
	int rc;

	if (api_pipeline_get(q, STORE_PIPELINE_OWNER, &before, err) < 0)
		return -1;
	q->params[0] = before.id; /* the name may change */
	rc = store_tx(q->d->store, rename_pipeline, &t, err);
	if (rc == 0) {
		api_audit(q, "pipeline.rename", "%s to %s", before.name, t.one.name);
		api_ok(q, 200, pipeline_json(&t.one));
	}
	store_pipeline_clear(&t.one);
	return rc;
}

static int destroy_pipeline(struct tx *tx, void *arg, struct err *err)
{
	struct pipelines_tx *t = arg;

	return read_pipeline(tx, t, err) < 0 ? -1 : store_pipeline_delete(tx, t->one.id, err);
}

int api_pipelines_destroy(struct api_req *q, struct err *err)
{
	struct pipelines_tx t = {.q = q, .right = STORE_PIPELINE_OWNER};
	int rc = store_read(q->d->store, read_pipeline, &t, err);

	/* Its review apps are nobody's without it. */
	if (rc == 0)
		rc = review_end_all(q->d->reviews, t.one.id, LIM_REVIEW_END_MS, err);
	if (rc == 0) {
		api_repo_forget(q, t.one.id);
		rc = store_tx(q->d->store, destroy_pipeline, &t, err);
	}
	if (rc == 0) {
		api_audit(q, "pipeline.destroy", "%s", t.one.name);
		api_ok(q, 200, pipeline_json(&t.one));
	}
	store_pipeline_clear(&t.one);
	return rc;
}

/* --- to another owner, with the apps that are the owner's --- */

static const struct api_field fields_pipeline_ref[] = {
	{"id", F_LINE, F_REQUIRED, .min = 1, .max = 100},
	{0},
};
const struct api_field api_fields_pipeline_transfer[] = {
	{"pipeline", F_OBJECT, F_REQUIRED, .of = fields_pipeline_ref},
	{"new_owner", F_OBJECT, F_REQUIRED, .of = fields_owner},
	{0},
};

static int transfer_app(struct tx *tx, struct pipelines_tx *t, const char *app_id, struct err *err)
{
	AUTO(store_app_clear) struct store_app a = {0};
	AUTO(store_transfer_clear) struct store_transfer tr = {0};

	if (store_app_get(tx, app_id, &a, err) < 0)
		return -1;
	if (strcmp(a.owner_id, t->one.owner_id) != 0)
		return 0; /* somebody else's: it stays with them */
	if (store_transfer_create(tx, a.id, a.owner_id, t->to.id, &tr, err) < 0 ||
	    store_transfer_settle(tx, &tr, true, err) < 0)
		return err_wrap(err, "app %s", a.name);
	t->apps++;
	return hook_event(tx, a.id, "api:app", HOOK_UPDATE, t->q->user.id, a.id, err);
}

static int transfer_pipeline(struct tx *tx, void *arg, struct err *err)
{
	struct pipelines_tx *t = arg;
	AUTO(store_couplings_clear) struct store_couplings list = {0};

	t->apps = 0;
	if (api_pipeline_find(t->q, tx, t->name, STORE_PIPELINE_OWNER, &t->one, err) < 0 ||
	    find_owner(tx, t, err) < 0)
		return -1;
	if (strcmp(t->to.id, t->one.owner_id) == 0)
		return err_set(err, ERR_INVALID_PARAMS, "%s is the owner of %s already.",
			       t->to.email, t->one.name);
	if (t->to.suspended_ms)
		return err_set(err, ERR_INVALID_PARAMS, "The account of %s is suspended.",
			       t->to.email);
	if (store_couplings_list(tx, t->one.id, NULL, &list, err) < 0)
		return -1;
	for (int i = 0; i < list.n; i++)
		if (transfer_app(tx, t, list.v[i].app_id, err) < 0)
			return -1;
	return store_pipeline_set_owner(tx, t->one.id, t->to.id, err);
}

int api_pipelines_transfer(struct api_req *q, struct err *err)
{
	struct pipelines_tx t = {.q = q,
				 .name = api_get_str(json_object_get(q->body, "pipeline"), "id")};
	int rc = read_owner(q, "new_owner", &t.owner, err);

	if (rc == 0)
		rc = store_tx(q->d->store, transfer_pipeline, &t, err);
	if (rc == 0) {
		api_audit(q, "pipeline.transfer", "%s from %s to %s, with %d apps", t.one.name,
			  t.one.owner_email, t.to.email, t.apps);
		api_ok(q, 201,
		       json_pack("{s:o, s:{s:s}, s:o}", "new_owner", owner_json(t.to.id),
				 "pipeline", "id", t.one.id, "previous_owner",
				 owner_json(t.one.owner_id)));
	}
	store_user_clear(&t.to);
	store_pipeline_clear(&t.one);
	return rc;
}

/* --- config vars of stages; values never reach a log, an audit row or an error --- */

static int check_stage(struct api_req *q, struct err *err)
{
	const char *stage = q->params[1];

	if (strcmp(stage, "review") == 0 || strcmp(stage, "test") == 0)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS,
		       "Pipelines have config vars for their stages review and test; apps of other "
		       "stages have their own.");
}

static int read_stage_config(struct tx *tx, void *arg, struct err *err)
{
	struct pipelines_tx *t = arg;

	json_decref(STEAL(t->config));
	if (read_pipeline(tx, t, err) < 0)
		return -1;
	return store_stage_config(tx, t->one.id, t->q->params[1], &t->config, err);
}

static int merge(json_t *config, const json_t *changes, struct err *err)
{
	const char *key;
	json_t *v;
	size_t total = 0;

	json_object_foreach((json_t *)changes, key, v)
	{
		if (json_is_null(v))
			json_object_del(config, key);
		else
			json_object_set(config, key, v);
	}
	json_object_foreach(config, key, v) total += strlen(key) + json_string_length(v);
	if (json_object_size(config) <= LIM_CONFIG_VARS && total <= (size_t)LIM_CONFIG_BYTES)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS,
		       "A stage has at most %d config vars of %lld bytes in all.", LIM_CONFIG_VARS,
		       (long long)LIM_CONFIG_BYTES);
}

static int write_stage_config(struct tx *tx, void *arg, struct err *err)
{
	struct pipelines_tx *t = arg;

	if (read_stage_config(tx, t, err) < 0 || merge(t->config, t->q->body, err) < 0)
		return -1;
	return store_stage_config_set(tx, t->one.id, t->q->params[1], t->config, err);
}

static int stage_config(struct api_req *q, tx_fn *fn, struct buf *names, struct err *err)
{
	struct pipelines_tx t = {.q = q, .right = STORE_PIPELINE_MANAGE};
	int rc = check_stage(q, err);

	if (rc == 0)
		rc = names ? store_tx(q->d->store, fn, &t, err)
			   : store_read(q->d->store, fn, &t, err);
	if (rc == 0 && names)
		api_audit(q, "pipeline.config", "%s %s:%s", t.one.name, q->params[1],
			  buf_str(names));
	if (rc == 0)
		api_ok(q, 200, STEAL(t.config));
	json_decref(t.config);
	store_pipeline_clear(&t.one);
	return rc;
}

int api_stage_config_get(struct api_req *q, struct err *err)
{
	return stage_config(q, read_stage_config, NULL, err);
}

int api_stage_config_patch(struct api_req *q, struct err *err)
{
	AUTO(buf_clear) struct buf names = {0};
	const char *key;
	json_t *v;

	json_object_foreach(q->body, key, v)
	{
		if (name_check_config(key, json_string_value(v), json_string_length(v), err) < 0)
			return -1;
		buf_addf(&names, " %s%s", json_is_null(v) ? "-" : "", key);
	}
	return stage_config(q, write_stage_config, &names, err);
}
