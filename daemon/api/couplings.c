/* Apps in pipelines. */
#include "daemon/api/pipelines.h"

#include <string.h>

struct couplings_tx {
	struct api_req *q;
	struct store_couplings list;
	struct store_coupling one;
	struct store_pipeline pipeline;
	const char *app, *stage; /* of the request */
	const char *pipeline_id; /* NULL = all */
	bool may_manage;
};

/* The CLI reads pipeline.name. */
static json_t *coupling_json(const struct store_coupling *k)
{
	return json_pack("{s:{s:s}, s:o, s:s, s:{s:s, s:s}, s:s, s:o}", "app", "id", k->app_id,
			 "created_at", json_time(k->created_ms), "id", k->id, "pipeline", "id",
			 k->pipeline_id, "name", k->pipeline_name, "stage", k->stage, "updated_at",
			 json_time(k->updated_ms));
}

/* The audit row is the app's, too. */
static int answer(struct couplings_tx *t, int status, const char *action)
{
	struct api_req *q = t->q;

	memcpy(q->app.id, t->one.app_id, sizeof q->app.id);
	memcpy(q->app.name, t->one.app_name, sizeof q->app.name);
	api_audit(q, action, "%s: %s", t->one.pipeline_name, t->one.stage);
	return api_ok(q, status, coupling_json(&t->one));
}

/* --- reading --- */

static int read_couplings(struct tx *tx, void *arg, struct err *err)
{
	struct couplings_tx *t = arg;

	return store_couplings_visible(tx, t->q->user.id, t->pipeline_id, &t->list, err);
}

static int list_couplings(struct api_req *q, const char *pipeline_id, struct err *err)
{
	struct couplings_tx t = {.q = q, .pipeline_id = pipeline_id};
	json_t *list;

	if (store_read(q->d->store, read_couplings, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.list.n; i++)
		json_array_append_new(list, coupling_json(&t.list.v[i]));
	store_couplings_clear(&t.list);
	return api_list(q, list, "id created_at updated_at", err);
}

int api_couplings_list(struct api_req *q, struct err *err)
{
	if (q->params[0] && api_own_account(q, err) < 0)
		return -1;
	return list_couplings(q, NULL, err);
}

int api_couplings_of_pipeline(struct api_req *q, struct err *err)
{
	AUTO(store_pipeline_clear) struct store_pipeline p = {0};

	if (api_pipeline_get(q, STORE_PIPELINE_VIEW, &p, err) < 0)
		return -1;
	return list_couplings(q, p.id, err);
}

static int read_of_app(struct tx *tx, void *arg, struct err *err)
{
	struct couplings_tx *t = arg;

	return store_coupling_of_app(tx, t->q->app.id, &t->one, err);
}

int api_coupling_of_app(struct api_req *q, struct err *err)
{
	struct couplings_tx t = {.q = q};

	if (store_read(q->d->store, read_of_app, &t, err) < 0)
		return -1;
	return api_ok(q, 200, coupling_json(&t.one));
}

/* One that the caller may see; may_manage: who manages the app, or has the pipeline. */
static int read_coupling(struct tx *tx, void *arg, struct err *err)
{
	struct couplings_tx *t = arg;
	const char *user = t->q->user.id;
	unsigned perms = 0, rights = 0;

	if (store_coupling_get(tx, t->q->params[0], &t->one, err) < 0 ||
	    store_app_access(tx, user, t->one.app_id, &perms, err) < 0 ||
	    store_pipeline_access(tx, user, t->one.pipeline_id, &rights, err) < 0)
		return -1;
	t->may_manage = (perms & STORE_MANAGE) || (rights & STORE_PIPELINE_OWNER);
	return perms || t->may_manage ? 0 : err_not_found(err, "pipeline_coupling");
}

int api_couplings_info(struct api_req *q, struct err *err)
{
	struct couplings_tx t = {.q = q};

	if (store_read(q->d->store, read_coupling, &t, err) < 0)
		return -1;
	return api_ok(q, 200, coupling_json(&t.one));
}

/* --- changing --- */

#define STAGES "test|review|development|staging|production"

const struct api_field api_fields_coupling_create[] = {
	{"app", F_REF, F_REQUIRED},
	{"pipeline", F_REF, F_REQUIRED},
	{"stage", F_STRING, F_REQUIRED, .choice = STAGES},
	{0},
};
const struct api_field api_fields_coupling_update[] = {
	{"stage", F_STRING, F_REQUIRED, .choice = STAGES},
	{0},
};

static int no_manage(const char *app, struct err *err)
{
	return err_set(err, ERR_FORBIDDEN, "You do not have the manage permission on %s.", app);
}

static int write_coupling(struct tx *tx, void *arg, struct err *err)
{
	struct couplings_tx *t = arg;
	AUTO(store_app_clear) struct store_app a = {0};
	unsigned perms = 0;

	if (api_pipeline_find(t->q, tx, t->pipeline_id, STORE_PIPELINE_MANAGE, &t->pipeline, err) <
		    0 ||
	    store_app_find(tx, t->app, &a, err) < 0 ||
	    store_app_access(tx, t->q->user.id, a.id, &perms, err) < 0)
		return -1;
	if (!perms)
		return err_not_found(err, "app");
	if (!(perms & STORE_MANAGE))
		return no_manage(a.name, err);
	return store_coupling_create(tx, t->pipeline.id, a.id, t->stage, &t->one, err);
}

int api_couplings_create(struct api_req *q, struct err *err)
{
	struct couplings_tx t = {.q = q,
				 .app = api_get_ref(q->body, "app"),
				 .pipeline_id = api_get_ref(q->body, "pipeline"),
				 .stage = api_get_str(q->body, "stage")};
	int rc = store_tx(q->d->store, write_coupling, &t, err);

	store_pipeline_clear(&t.pipeline);
	return rc < 0 ? -1 : answer(&t, 201, "pipeline.add");
}

static int update_coupling(struct tx *tx, void *arg, struct err *err)
{
	struct couplings_tx *t = arg;

	if (read_coupling(tx, t, err) < 0)
		return -1;
	if (!t->may_manage)
		return no_manage(t->one.app_name, err);
	if (store_coupling_set_stage(tx, t->one.id, t->stage, err) < 0)
		return -1;
	return read_coupling(tx, t, err);
}

int api_couplings_update(struct api_req *q, struct err *err)
{
	struct couplings_tx t = {.q = q, .stage = api_get_str(q->body, "stage")};

	if (store_tx(q->d->store, update_coupling, &t, err) < 0)
		return -1;
	return answer(&t, 200, "pipeline.update");
}

static int delete_coupling(struct tx *tx, void *arg, struct err *err)
{
	struct couplings_tx *t = arg;

	if (read_coupling(tx, t, err) < 0)
		return -1;
	return t->may_manage ? store_coupling_delete(tx, t->one.id, err)
			     : no_manage(t->one.app_name, err);
}

int api_couplings_delete(struct api_req *q, struct err *err)
{
	struct couplings_tx t = {.q = q};

	if (store_tx(q->d->store, delete_coupling, &t, err) < 0)
		return -1;
	return answer(&t, 200, "pipeline.remove");
}
