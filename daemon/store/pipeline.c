/* Pipelines, couplings, config vars of stages. */
#include "daemon/store/pipeline.h"
#include "daemon/store/app.h"
#include "daemon/store/row_int.h"
#include "proto/limits.h"

void store_pipeline_clear(struct store_pipeline *p)
{
	free(p->owner_email);
	*p = (struct store_pipeline){0};
}
ROW_DEFINE_LIST(store_pipeline, store_pipelines)

static void fill_pipeline(struct stmt *s, void *out)
{
	struct store_pipeline *p = out;

	ROW_COPY(s, 0, p->id);
	ROW_COPY(s, 1, p->name);
	ROW_COPY(s, 2, p->owner_id);
	p->owner_email = stmt_col_dup(s, 3);
	p->created_ms = stmt_col_int(s, 4);
	p->updated_ms = stmt_col_int(s, 5);
}

int store_pipeline_check_name(const char *name, struct err *err)
{
	size_t n = strlen(name);

	if (n >= 3 && n <= LIM_APP_NAME && name[0] >= 'a' && name[0] <= 'z' &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS,
		       "Name must start with a letter and have 3 to %d characters: a-z, 0-9 and -.",
		       LIM_APP_NAME);
}

static int taken(const char *name, const struct err *e, struct err *err)
{
	if (e->code == ERR_CONFLICT)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Name %s is already taken: choose another for the pipeline.", name);
	if (err)
		*err = *e;
	return -1;
}

static int pipeline_insert(struct tx *tx, const char *id, const char *name, const char *owner_id,
			   struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PIPELINE_INSERT);

	stmt_text(s, 1, id);
	stmt_text(s, 2, name);
	stmt_text(s, 3, owner_id);
	stmt_int(s, 4, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_pipeline_create(struct tx *tx, const char *name, const char *owner_id,
			  struct store_pipeline *out, struct err *err)
{
	struct err e = {0};
	char id[37];

	if (store_pipeline_check_name(name, err) < 0)
		return -1;
	uuid_new(id);
	if (pipeline_insert(tx, id, name, owner_id, &e) < 0)
		return taken(name, &e, err);
	return store_pipeline_find(tx, id, out, err);
}

int store_pipeline_find(struct tx *tx, const char *id_or_name, struct store_pipeline *out,
			struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PIPELINE_FIND);

	stmt_text(s, 1, id_or_name);
	return row_one(s, fill_pipeline, out, sizeof *out, "pipeline", err);
}

int store_pipelines_visible(struct tx *tx, const char *user_id, const char *name,
			    struct store_pipelines *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PIPELINE_VISIBLE);

	stmt_text(s, 1, user_id);
	stmt_text(s, 2, name);
	return store_pipeline_all(s, fill_pipeline, out, err);
}

int store_pipeline_rename(struct tx *tx, const char *id, const char *name, struct err *err)
{
	struct err e = {0};

	if (store_pipeline_check_name(name, err) < 0)
		return -1;
	return row_set(tx, SQL_PIPELINE_RENAME, id, name, "pipeline", &e) < 0 ? taken(name, &e, err)
									      : 0;
}

int store_pipeline_set_owner(struct tx *tx, const char *id, const char *user_id, struct err *err)
{
	return row_set(tx, SQL_PIPELINE_SET_OWNER, id, user_id, "pipeline", err);
}

int store_pipeline_delete(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PIPELINE_DELETE);

	stmt_text(s, 1, id);
	return row_change(tx, s, "pipeline", err);
}

int store_pipeline_access(struct tx *tx, const char *user_id, const char *pipeline_id,
			  unsigned *rights, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PIPELINE_ACCESS);
	unsigned perms;

	stmt_text(s, 1, user_id);
	stmt_text(s, 2, pipeline_id);
	if (row_need(s, "pipeline", err) < 0)
		return -1;
	perms = stmt_col_null(s, 1) ? 0 : store_perms_parse(stmt_col_text(s, 1));
	*rights = (perms ? STORE_PIPELINE_VIEW : 0) |
		  (perms & STORE_MANAGE ? STORE_PIPELINE_MANAGE : 0) |
		  (perms & STORE_DEPLOY ? STORE_PIPELINE_DEPLOY : 0);
	if (stmt_col_int(s, 0))
		*rights = STORE_PIPELINE_ALL;
	return 0;
}

/* --- couplings --- */

void store_coupling_clear(struct store_coupling *k)
{
	*k = (struct store_coupling){0};
}
ROW_DEFINE_LIST(store_coupling, store_couplings)

static void fill_coupling(struct stmt *s, void *out)
{
	struct store_coupling *k = out;

	ROW_COPY(s, 0, k->id);
	ROW_COPY(s, 1, k->app_id);
	ROW_COPY(s, 2, k->app_name);
	ROW_COPY(s, 3, k->pipeline_id);
	ROW_COPY(s, 4, k->pipeline_name);
	ROW_COPY(s, 5, k->stage);
	k->created_ms = stmt_col_int(s, 6);
	k->updated_ms = stmt_col_int(s, 7);
}

static int coupling_one(struct tx *tx, enum sql_id sql, const char *id, struct store_coupling *out,
			struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, sql);

	stmt_text(s, 1, id);
	return row_one(s, fill_coupling, out, sizeof *out, "pipeline_coupling", err);
}

int store_coupling_get(struct tx *tx, const char *id, struct store_coupling *out, struct err *err)
{
	return coupling_one(tx, SQL_COUPLING_GET, id, out, err);
}

int store_coupling_of_app(struct tx *tx, const char *app_id, struct store_coupling *out,
			  struct err *err)
{
	return coupling_one(tx, SQL_COUPLING_OF_APP, app_id, out, err);
}

int store_couplings_list(struct tx *tx, const char *pipeline_id, const char *stage,
			 struct store_couplings *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_COUPLING_LIST);

	stmt_text(s, 1, pipeline_id);
	stmt_text(s, 2, stage);
	return store_coupling_all(s, fill_coupling, out, err);
}

int store_couplings_visible(struct tx *tx, const char *user_id, const char *pipeline_id,
			    struct store_couplings *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_COUPLING_VISIBLE);

	stmt_text(s, 1, user_id);
	stmt_text(s, 2, pipeline_id);
	return store_coupling_all(s, fill_coupling, out, err);
}

static int check_room(struct tx *tx, const char *pipeline_id, struct err *err)
{
	AUTO(store_couplings_clear) struct store_couplings list = {0};

	if (store_couplings_list(tx, pipeline_id, NULL, &list, err) < 0)
		return -1;
	return list.n < LIM_PIPELINE_APPS
		       ? 0
		       : err_set(err, ERR_INVALID_PARAMS, "A pipeline has at most %d apps.",
				 LIM_PIPELINE_APPS);
}

/* What the unique index would refuse with fewer words. */
static int check_uncoupled(struct tx *tx, const char *app_id, struct err *err)
{
	struct store_coupling k = {0};
	struct err e = {0};

	if (store_coupling_of_app(tx, app_id, &k, &e) == 0)
		return err_set(err, ERR_INVALID_PARAMS,
			       "App %s is already in a pipeline: take it out first "
			       "(pipelines:remove -a %s).",
			       k.app_name, k.app_name);
	if (e.code == ERR_NOT_FOUND)
		return 0;
	*err = e;
	return -1;
}

int store_coupling_create(struct tx *tx, const char *pipeline_id, const char *app_id,
			  const char *stage, struct store_coupling *out, struct err *err)
{
	struct store_coupling made = {0};
	char id[37];

	if (check_uncoupled(tx, app_id, err) < 0 || check_room(tx, pipeline_id, err) < 0)
		return -1;
	uuid_new(id);
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_COUPLING_INSERT);
	stmt_text(s, 1, id);
	stmt_text(s, 2, app_id);
	stmt_text(s, 3, pipeline_id);
	stmt_text(s, 4, stage);
	stmt_int(s, 5, clock_wall_ms());
	if (stmt_exec(s, err) < 0)
		return -1;
	return store_coupling_get(tx, id, out ? out : &made, err);
}

int store_coupling_set_stage(struct tx *tx, const char *id, const char *stage, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_COUPLING_SET_STAGE);

	stmt_text(s, 1, id);
	stmt_text(s, 2, stage);
	stmt_int(s, 3, clock_wall_ms());
	return row_change(tx, s, "pipeline_coupling", err);
}

int store_coupling_delete(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_COUPLING_DELETE);

	stmt_text(s, 1, id);
	return row_change(tx, s, "pipeline_coupling", err);
}

const char *store_stage_downstream(const char *stage)
{
	static const char *const next[][2] = {
		{"review", "production"},
		{"development", "staging"},
		{"staging", "production"},
	};

	for (size_t i = 0; i < ARRAY_LEN(next); i++)
		if (strcmp(next[i][0], stage) == 0)
			return next[i][1];
	return NULL;
}

/* --- config vars of stages --- */

int store_stage_config(struct tx *tx, const char *pipeline_id, const char *stage, json_t **out,
		       struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_STAGE_CONFIG_GET);

	stmt_text(s, 1, pipeline_id);
	stmt_text(s, 2, stage);
	switch (stmt_step(s, err)) {
	case STMT_ROW:
		return row_open_json(tx, s, 0, out, err);
	case STMT_DONE:
		*out = json_object();
		return 0;
	default:
		return -1;
	}
}

int store_stage_config_set(struct tx *tx, const char *pipeline_id, const char *stage,
			   const json_t *config, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_STAGE_CONFIG_SET);

	stmt_text(s, 1, pipeline_id);
	stmt_text(s, 2, stage);
	row_seal_json(tx, s, 3, config);
	stmt_int(s, 4, clock_wall_ms());
	return stmt_exec(s, err);
}

/* --- views --- */

void store_app_item_clear(struct store_app_item *i)
{
	*i = (struct store_app_item){0};
}
ROW_DEFINE_LIST(store_app_item, store_app_items)

static void fill_item(struct stmt *s, void *out)
{
	struct store_app_item *i = out;

	ROW_COPY(s, 0, i->id);
	ROW_COPY(s, 1, i->app_id);
}

int store_pipeline_latest(struct tx *tx, const char *pipeline_id, enum store_latest what,
			  struct store_app_items *out, struct err *err)
{
	static const enum sql_id sql[] = {
		[STORE_LATEST_BUILDS] = SQL_PIPELINE_LATEST_BUILDS,
		[STORE_LATEST_RELEASES] = SQL_PIPELINE_LATEST_RELEASES,
		[STORE_LATEST_DEPLOYMENTS] = SQL_PIPELINE_LATEST_DEPLOYMENTS,
	};
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, sql[what]);

	stmt_text(s, 1, pipeline_id);
	return store_app_item_all(s, fill_item, out, err);
}
