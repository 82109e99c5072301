/* Promotions and their targets. */
#include "daemon/store/pipeline.h"
#include "daemon/store/row_int.h"

void store_promotion_clear(struct store_promotion *p)
{
	free(p->user_email);
	*p = (struct store_promotion){0};
}
ROW_DEFINE_LIST(store_promotion, store_promotions)

static void fill_promotion(struct stmt *s, void *out)
{
	struct store_promotion *p = out;

	ROW_COPY(s, 0, p->id);
	ROW_COPY(s, 1, p->pipeline_id);
	ROW_COPY(s, 2, p->source_app_id);
	ROW_COPY(s, 3, p->source_release_id);
	ROW_COPY(s, 4, p->slug_id);
	ROW_COPY(s, 5, p->user_id);
	p->user_email = stmt_col_dup(s, 6);
	p->completed = strcmp(stmt_col_text(s, 7), "completed") == 0;
	p->created_ms = stmt_col_int(s, 8);
	p->updated_ms = stmt_col_int(s, 9);
}

void store_target_clear(struct store_target *t)
{
	free(t->error_message);
	*t = (struct store_target){0};
}
ROW_DEFINE_LIST(store_target, store_targets)

static void fill_target(struct stmt *s, void *out)
{
	struct store_target *t = out;

	ROW_COPY(s, 0, t->id);
	ROW_COPY(s, 1, t->promotion_id);
	ROW_COPY(s, 2, t->app_id);
	ROW_COPY(s, 3, t->release_id);
	ROW_COPY(s, 4, t->status);
	t->error_message = stmt_col_dup(s, 5);
	t->created_ms = stmt_col_int(s, 6);
	t->updated_ms = stmt_col_int(s, 7);
}

static int insert_promotion(struct tx *tx, const struct store_promotion_new *in, const char *id,
			    wall_ms now, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PROMOTION_INSERT);

	stmt_text(s, 1, id);
	stmt_text(s, 2, in->pipeline_id);
	stmt_text(s, 3, in->source_app_id);
	stmt_text(s, 4, in->source_release_id);
	stmt_text(s, 5, in->slug_id);
	stmt_text(s, 6, in->user_id);
	stmt_int(s, 7, now);
	return stmt_exec(s, err);
}

static int insert_target(struct tx *tx, const char *promotion_id, const char *app_id, wall_ms now,
			 struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PROMOTION_TARGET_INSERT);
	char id[37];

	uuid_new(id);
	stmt_text(s, 1, id);
	stmt_text(s, 2, promotion_id);
	stmt_text(s, 3, app_id);
	stmt_int(s, 4, now);
	return stmt_exec(s, err);
}

int store_promotion_insert(struct tx *tx, const struct store_promotion_new *in, char id[37],
			   struct err *err)
{
	wall_ms now = clock_wall_ms();

	uuid_new(id);
	if (insert_promotion(tx, in, id, now, err) < 0)
		return -1;
	for (int i = 0; i < in->ntargets; i++)
		if (insert_target(tx, id, in->target_apps[i], now, err) < 0)
			return -1;
	return 0;
}

int store_promotion_get(struct tx *tx, const char *id, struct store_promotion *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PROMOTION_GET);

	stmt_text(s, 1, id);
	return row_one(s, fill_promotion, out, sizeof *out, "pipeline_promotion", err);
}

int store_promotions_cut_off(struct tx *tx, struct store_promotions *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PROMOTION_PENDING);

	return store_promotion_all(s, fill_promotion, out, err);
}

int store_targets_list(struct tx *tx, const char *promotion_id, struct store_targets *out,
		       struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PROMOTION_TARGET_LIST);

	stmt_text(s, 1, promotion_id);
	return store_target_all(s, fill_target, out, err);
}

static int target_set(struct tx *tx, enum sql_id sql, const char *id, const char *value,
		      struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, sql);

	stmt_text(s, 1, id);
	stmt_text(s, 2, value);
	stmt_int(s, 3, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_target_released(struct tx *tx, const char *id, const char *release_id, struct err *err)
{
	if (target_set(tx, SQL_PROMOTION_TARGET_RELEASE, id, release_id, err) < 0)
		return -1;
	return tx_changes(tx)
		       ? 0
		       : err_set(err, ERR_CONFLICT, "The promotion has made this release already.");
}

int store_target_fail(struct tx *tx, const char *id, const char *why, struct err *err)
{
	return target_set(tx, SQL_PROMOTION_TARGET_FAIL, id, why, err);
}
