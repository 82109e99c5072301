#include "daemon/store/dyno.h"
#include "daemon/store/row_int.h"
#include "proto/limits.h"

void store_formation_clear(struct store_formation *f)
{
	free(f->size);
	free(f->command);
	*f = (struct store_formation){0};
}
ROW_DEFINE_LIST(store_formation, store_formations)

static void fill_formation(struct stmt *s, void *out)
{
	struct store_formation *f = out;

	ROW_COPY(s, 0, f->id);
	ROW_COPY(s, 1, f->app_id);
	ROW_COPY(s, 2, f->type);
	f->quantity = (int)stmt_col_int(s, 3);
	f->size = stmt_col_dup(s, 4);
	f->command = stmt_col_dup(s, 5);
	f->created_ms = stmt_col_int(s, 6);
	f->updated_ms = stmt_col_int(s, 7);
}

int store_formation_list(struct tx *tx, const char *app_id, struct store_formations *out,
			 struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_FORMATION_LIST);

	stmt_text(s, 1, app_id);
	return store_formation_all(s, fill_formation, out, err);
}

int store_formation_get(struct tx *tx, const char *app_id, const char *type_or_id,
			struct store_formation *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_FORMATION_GET);

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, type_or_id);
	return row_one(s, fill_formation, out, sizeof *out, "formation", err);
}

static int deployed(struct tx *tx, const char *app_id, bool *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_APP_DEPLOYED);

	stmt_text(s, 1, app_id);
	if (row_need(s, "app", err) < 0)
		return -1;
	*out = stmt_col_int(s, 0) != 0;
	return 0;
}

static const struct store_formation *find_type(const struct store_formations *l, const char *type)
{
	for (int i = 0; i < l->n; i++)
		if (strcmp(l->v[i].type, type) == 0)
			return &l->v[i];
	return NULL;
}

static int by_type(const void *a, const void *b)
{
	return strcmp(((const struct store_formation *)a)->type,
		      ((const struct store_formation *)b)->type);
}

static void plan_one(struct store_formation *f, const struct store_formation *old,
		     const char *app_id, const char *type, const char *command, bool first,
		     const char *size)
{
	wall_ms now = clock_wall_ms();

	*f = (struct store_formation){.created_ms = now, .updated_ms = now};
	if (old) {
		*f = *old;
	} else {
		uuid_new(f->id);
		snprintf(f->app_id, sizeof f->app_id, "%s", app_id);
		snprintf(f->type, sizeof f->type, "%s", type);
		f->quantity = first && strcmp(type, "web") == 0;
	}
	f->size = xstrdup(old ? old->size : size);
	f->command = xstrdup(command);
	if (strcmp(type, "release") == 0)
		f->quantity = 0;
}

int store_formation_plan(struct tx *tx, const char *app_id, const json_t *types, const char *size,
			 struct store_formations *out, struct err *err)
{
	AUTO(store_formations_clear) struct store_formations old = {0};
	struct store_formations next = {0};
	const char *type;
	json_t *command;
	bool known = false;

	if (deployed(tx, app_id, &known, err) < 0 ||
	    store_formation_list(tx, app_id, &old, err) < 0)
		return -1;
	next.v = xcalloc(json_object_size(types), sizeof *next.v);
	json_object_foreach((json_t *)(uintptr_t)types, type, command)
	{
		if (json_is_string(command))
			plan_one(&next.v[next.n++], find_type(&old, type), app_id, type,
				 json_string_value(command), !known, size);
	}
	if (next.n)
		qsort(next.v, (size_t)next.n, sizeof *next.v, by_type);
	*out = next;
	return 0;
}

static int formation_upsert(struct tx *tx, const struct store_formation *f, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_FORMATION_UPSERT);

	stmt_text(s, 1, f->id);
	stmt_text(s, 2, f->app_id);
	stmt_text(s, 3, f->type);
	stmt_int(s, 4, f->quantity);
	stmt_text(s, 5, f->size);
	stmt_text(s, 6, f->command);
	stmt_int(s, 7, clock_wall_ms());
	return stmt_exec(s, err);
}

static int formation_delete(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_FORMATION_DELETE);

	stmt_text(s, 1, id);
	return stmt_exec(s, err);
}

static int set_deployed(struct tx *tx, const char *app_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_APP_SET_DEPLOYED);

	stmt_text(s, 1, app_id);
	return stmt_exec(s, err);
}

int store_formation_apply(struct tx *tx, const char *app_id, const json_t *types, const char *size,
			  struct store_formations *out, struct err *err)
{
	AUTO(store_formations_clear) struct store_formations old = {0}, next = {0};

	if (store_formation_list(tx, app_id, &old, err) < 0 ||
	    store_formation_plan(tx, app_id, types, size, &next, err) < 0)
		return -1;
	for (int i = 0; i < old.n; i++)
		if (!find_type(&next, old.v[i].type) && formation_delete(tx, old.v[i].id, err) < 0)
			return -1;
	for (int i = 0; i < next.n; i++)
		if (formation_upsert(tx, &next.v[i], err) < 0)
			return -1;
	if (next.n && set_deployed(tx, app_id, err) < 0)
		return -1;
	if (out) {
		*out = next;
		next = (struct store_formations){0};
	}
	return 0;
}

int store_formation_set(struct tx *tx, const char *app_id, const char *type, int quantity,
			const char *size, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_FORMATION_SET);

	if (quantity < -1 || quantity > LIM_DYNOS_PER_TYPE)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Quantity must be between 0 and %d for process type %s.",
			       LIM_DYNOS_PER_TYPE, type);
	if (quantity > 0 && strcmp(type, "release") == 0)
		return err_set(err, ERR_INVALID_PARAMS,
			       "The release process type cannot be scaled.");
	stmt_text(s, 1, app_id);
	stmt_text(s, 2, type);
	bind_int_or_null(s, 3, quantity, -1);
	bind_id(s, 4, size);
	stmt_int(s, 5, clock_wall_ms());
	return row_change(tx, s, "formation", err);
}

/* --- crashes --- */

static void store_crash_clear_one(void *p)
{
}

void store_crashes_clear(struct store_crashes *l)
{
	free(l->v);
	*l = (struct store_crashes){0};
}

static void fill_crash(struct stmt *s, void *out)
{
	struct store_crash *c = out;

	ROW_COPY(s, 0, c->name);
	c->count = (int)stmt_col_int(s, 1);
	c->restart_ms = stmt_col_int(s, 2);
}

int store_crash_get(struct tx *tx, const char *app_id, const char *name, struct store_crash *out,
		    struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_CRASH_GET);
	enum stmt_result r;

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, name);
	*out = (struct store_crash){0};
	r = stmt_step(s, err);
	if (r == STMT_ROW)
		fill_crash(s, out);
	return r == STMT_FAIL ? -1 : 0;
}

int store_crash_list(struct tx *tx, const char *app_id, struct store_crashes *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_CRASH_LIST);
	void *v = NULL;
	int n = 0;

	stmt_text(s, 1, app_id);
	if (row_all(s, fill_crash, store_crash_clear_one, &v, &n, sizeof *out->v, err) < 0)
		return -1;
	*out = (struct store_crashes){v, n};
	return 0;
}

int store_crash_set(struct tx *tx, const char *app_id, const char *name, int count,
		    wall_ms restart_ms, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_CRASH_SET);

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, name);
	stmt_int(s, 3, count);
	stmt_int(s, 4, restart_ms);
	return stmt_exec(s, err);
}

int store_crash_clear(struct tx *tx, const char *app_id, const char *name, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_CRASH_CLEAR);

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, name);
	return stmt_exec(s, err);
}
