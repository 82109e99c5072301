#include "daemon/store/setup.h"
#include "daemon/store/row_int.h"
#include "daemon/store/status_int.h"
#include "proto/limits.h"

void store_setup_clear(struct store_setup *s)
{
	free(s->app_name);
	free(s->user_email);
	free(s->environment);
	free(s->stack);
	free(s->source);
	free(s->version);
	free(s->manifest);
	free(s->failure);
	free(s->manifest_errors);
	free(s->postdeploy_output);
	free(s->success_url);
	*s = (struct store_setup){0};
}

static void fill_setup(struct stmt *s, void *out)
{
	struct store_setup *r = out;

	ROW_COPY(s, 0, r->id);
	ROW_COPY(s, 1, r->app_id);
	ROW_COPY(s, 2, r->user_id);
	ROW_COPY(s, 3, r->build_id);
	ROW_COPY(s, 4, r->postdeploy_dyno);
	ROW_COPY(s, 5, r->step);
	r->app_name = stmt_col_dup(s, 6);
	r->user_email = stmt_col_dup(s, 7);
	r->status = store_status_parse(stmt_col_text(s, 8));
	r->environment = stmt_col_dup(s, 9);
	r->stack = stmt_col_dup(s, 10);
	r->source = stmt_col_dup(s, 11);
	r->version = stmt_col_dup(s, 12);
	r->manifest = stmt_col_dup(s, 13);
	r->failure = stmt_col_dup(s, 14);
	r->manifest_errors = stmt_col_dup(s, 15);
	r->postdeploy_output = stmt_col_dup(s, 16);
	r->success_url = stmt_col_dup(s, 17);
	r->postdeploy_exit = (int)row_int_or(s, 18, -1);
	r->postdeploy_ran = strcmp(stmt_col_text(s, 19), "none") != 0;
	r->postdeploy_done = strcmp(stmt_col_text(s, 19), "done") == 0;
	r->keep = stmt_col_int(s, 20) != 0;
	r->canceled = stmt_col_int(s, 21) != 0;
	r->created_ms = stmt_col_int(s, 22);
	r->updated_ms = stmt_col_int(s, 23);
}

ROW_DEFINE_LIST(store_setup, store_setups)

int store_setup_insert(struct tx *tx, const struct store_setup_new *in, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SETUP_INSERT);

	stmt_text(s, 1, in->id);
	stmt_text(s, 2, in->app_id);
	stmt_text(s, 3, in->app_name);
	stmt_text(s, 4, in->user_id);
	stmt_text(s, 5, in->environment);
	stmt_text(s, 6, in->stack);
	stmt_text(s, 7, in->source);
	stmt_text(s, 8, in->version);
	row_seal_json(tx, s, 9, in->overrides);
	stmt_int(s, 10, in->keep);
	stmt_int(s, 11, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_setup_get(struct tx *tx, const char *id, struct store_setup *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SETUP_GET);

	stmt_text(s, 1, id);
	return row_one(s, fill_setup, out, sizeof *out, "app setup", err);
}

int store_setup_of_app(struct tx *tx, const char *app_id, struct store_setup *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SETUP_OF_APP);

	stmt_text(s, 1, app_id);
	return row_one(s, fill_setup, out, sizeof *out, "app setup", err);
}

int store_setups_pending(struct tx *tx, struct store_setups *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SETUP_PENDING);

	return store_setup_all(s, fill_setup, out, err);
}

int store_setup_overrides(struct tx *tx, const char *id, json_t **out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SETUP_OVERRIDES);
	size_t n;

	stmt_text(s, 1, id);
	if (row_need(s, "app setup", err) < 0)
		return -1;
	stmt_col_blob(s, 0, &n);
	if (!n) { /* it has ended */
		*out = json_object();
		return 0;
	}
	return row_open_json(tx, s, 0, out, err);
}

/* An ended one is left alone: no row is changed then, which is fine. */
static int set(struct tx *tx, enum sql_id which, const char *id, const char *value, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, which);

	stmt_text(s, 1, id);
	stmt_text(s, 2, value);
	stmt_int(s, 3, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_setup_set_step(struct tx *tx, const char *id, const char *step, struct err *err)
{
	return set(tx, SQL_SETUP_STEP, id, step, err);
}

int store_setup_set_build(struct tx *tx, const char *id, const char *build_id, struct err *err)
{
	return set(tx, SQL_SETUP_BUILD, id, build_id, err);
}

int store_setup_set_postdeploy(struct tx *tx, const char *id, const char *dyno_id, struct err *err)
{
	if (set(tx, SQL_SETUP_POSTDEPLOY, id, dyno_id, err) < 0)
		return -1;
	return tx_changes(tx) ? 0
			      : err_set(err, ERR_CONFLICT, "postdeploy has been started already");
}

int store_setup_set_manifest(struct tx *tx, const char *id, const char *text, const char *version,
			     struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SETUP_MANIFEST);

	stmt_text(s, 1, id);
	stmt_text(s, 2, text);
	stmt_text(s, 3, version);
	stmt_int(s, 4, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_setup_postdeploy_ended(struct tx *tx, const char *id, int exit_code, const char *output,
				 struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SETUP_POSTDEPLOY_ENDED);

	stmt_text(s, 1, id);
	bind_int_or_null(s, 2, exit_code, -1);
	stmt_text(s, 3, output);
	stmt_int(s, 4, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_setup_cancel(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SETUP_CANCEL);

	stmt_text(s, 1, id);
	stmt_int(s, 2, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_setup_finish(struct tx *tx, const char *id, const char *failure,
		       const char *manifest_errors, const char *success_url, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SETUP_FINISH);

	stmt_text(s, 1, id);
	stmt_text(s, 2, failure ? "failed" : "succeeded");
	stmt_text(s, 3, failure);
	stmt_text(s, 4, manifest_errors ? manifest_errors : "[]");
	stmt_text(s, 5, success_url);
	stmt_int(s, 6, clock_wall_ms());
	if (stmt_exec(s, err) < 0)
		return -1;
	return tx_changes(tx) ? 0 : err_set(err, ERR_CONFLICT, "setup %s has ended already", id);
}

int store_setups_expire(struct tx *tx, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SETUP_EXPIRE);

	stmt_int(s, 1, clock_wall_ms() - LIM_SETUP_KEEP_MS);
	return stmt_exec(s, err);
}
