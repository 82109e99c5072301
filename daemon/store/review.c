/* Review apps: settings, and the rows of the machine in daemon/review. */
#include "daemon/store/review.h"
#include "daemon/store/row_int.h"

const char *const store_review_statuses[] = {"pending",	 "creating", "created",
					     "deleting", "deleted",  "errored"};
static const char *const sources[] = {"provider", "push", "url"};

static int index_of(const char *text, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(text, names[i]) == 0)
			return i;
	return 0;
}

/* --- settings --- */

void store_review_config_clear(struct store_review_config *c)
{
	free(c->base_name);
	*c = (struct store_review_config){0};
}

void store_review_config_preset(struct store_review_config *c, const char *pipeline_id)
{
	*c = (struct store_review_config){.stale_days = 5, .max_apps = 20, .sleep_minutes = 30};
	snprintf(c->pipeline_id, sizeof c->pipeline_id, "%s", pipeline_id);
}

static void fill_config(struct stmt *s, void *out)
{
	struct store_review_config *c = out;

	ROW_COPY(s, 0, c->pipeline_id);
	c->automatic = stmt_col_int(s, 1);
	c->destroy_stale = stmt_col_int(s, 2);
	c->stale_days = (int)stmt_col_int(s, 3);
	c->wait_for_ci = stmt_col_int(s, 4);
	c->base_name = stmt_col_dup(s, 5);
	c->max_apps = (int)stmt_col_int(s, 6);
	c->sleep_minutes = (int)stmt_col_int(s, 7);
	c->created_ms = stmt_col_int(s, 8);
	c->updated_ms = stmt_col_int(s, 9);
}

int store_review_config_get(struct tx *tx, const char *pipeline_id, struct store_review_config *out,
			    struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_CONFIG_GET);

	stmt_text(s, 1, pipeline_id);
	return row_one(s, fill_config, out, sizeof *out, "review_app_config", err);
}

int store_review_config_set(struct tx *tx, const struct store_review_config *c, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_CONFIG_SET);

	stmt_text(s, 1, c->pipeline_id);
	stmt_int(s, 2, c->automatic);
	stmt_int(s, 3, c->destroy_stale);
	stmt_int(s, 4, c->stale_days);
	stmt_int(s, 5, c->wait_for_ci);
	stmt_text(s, 6, c->base_name);
	stmt_int(s, 7, c->max_apps);
	stmt_int(s, 8, c->sleep_minutes);
	stmt_int(s, 9, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_review_config_delete(struct tx *tx, const char *pipeline_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_CONFIG_DELETE);

	stmt_text(s, 1, pipeline_id);
	return row_change(tx, s, "review_app_config", err);
}

/* --- rows --- */

void store_review_clear(struct store_review *r)
{
	free(r->app_name);
	free(r->branch);
	free(r->fork);
	free(r->repo);
	free(r->error_status);
	free(r->message);
	*r = (struct store_review){0};
}
ROW_DEFINE_LIST(store_review, store_reviews)

/* Columns of the view review_rows. */
static void fill_review(struct stmt *s, void *out)
{
	struct store_review *r = out;

	ROW_COPY(s, 0, r->id);
	ROW_COPY(s, 1, r->pipeline_id);
	ROW_COPY(s, 2, r->app_id);
	ROW_COPY(s, 3, r->setup_id);
	ROW_COPY(s, 4, r->creator_id);
	r->app_name = stmt_col_dup(s, 5);
	r->branch = stmt_col_dup(s, 6);
	r->pr_number = row_int_or(s, 7, 0);
	r->fork = stmt_col_dup(s, 8);
	r->source = (enum store_review_source)index_of(stmt_col_text(s, 9), sources,
						       ARRAY_LEN(sources));
	ROW_COPY(s, 10, r->commit);
	ROW_COPY(s, 11, r->tried);
	ROW_COPY(s, 12, r->deployed);
	r->status = (enum store_review_status)index_of(stmt_col_text(s, 13), store_review_statuses,
						       ARRAY_LEN(store_review_statuses));
	r->wanted = stmt_col_int(s, 14);
	r->predestroyed = stmt_col_int(s, 15);
	r->wait_for_ci = stmt_col_int(s, 16);
	r->error_status = stmt_col_dup(s, 17);
	r->message = stmt_col_dup(s, 18);
	r->tries = (int)stmt_col_int(s, 19);
	r->arrived_ms = stmt_col_int(s, 20);
	r->active_ms = stmt_col_int(s, 21);
	r->created_ms = stmt_col_int(s, 22);
	r->updated_ms = stmt_col_int(s, 23);
	r->repo = stmt_col_dup(s, 24);
	r->foreign = stmt_col_int(s, 25);
}

static void bind_url(struct tx *tx, struct stmt *s, int col, const char *url)
{
	AUTO(buf_clear) struct buf box = {0};

	if (!url)
		return;
	secret_seal(tx_key(tx), url, strlen(url), &box);
	stmt_blob(s, col, box.data, box.len);
}

static int insert(struct tx *tx, const char *id, const struct store_review_new *in, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_INSERT);

	stmt_text(s, 1, id);
	stmt_text(s, 2, in->pipeline_id);
	stmt_text(s, 3, in->creator_id);
	stmt_text(s, 4, in->branch);
	stmt_text(s, 5, in->fork ? in->fork : "");
	bind_int_or_null(s, 6, in->pr_number, 0);
	stmt_text(s, 7, sources[in->source]);
	bind_url(tx, s, 8, in->source_url);
	bind_id(s, 9, in->commit);
	stmt_int(s, 10, in->wait_for_ci);
	row_seal_json(tx, s, 11, in->environment);
	stmt_int(s, 12, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_review_insert(struct tx *tx, const struct store_review_new *in, struct store_review *out,
			struct err *err)
{
	char id[37];

	uuid_new(id);
	return insert(tx, id, in, err) < 0 ? -1 : store_review_get(tx, id, out, err);
}

int store_review_get(struct tx *tx, const char *id, struct store_review *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_GET);

	stmt_text(s, 1, id);
	return row_one(s, fill_review, out, sizeof *out, "review_app", err);
}

/* By the id that the statement gives. */
static int get_found(struct tx *tx, struct stmt *s, struct store_review *out, struct err *err)
{
	char id[37];

	if (row_need(s, "review_app", err) < 0)
		return -1;
	ROW_COPY(s, 0, id);
	return store_review_get(tx, id, out, err);
}

int store_review_of_app(struct tx *tx, const char *app_id, struct store_review *out,
			struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_OF_APP);

	stmt_text(s, 1, app_id);
	return get_found(tx, s, out, err);
}

int store_review_of_setup(struct tx *tx, const char *setup_id, struct store_review *out,
			  struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_OF_SETUP);

	stmt_text(s, 1, setup_id);
	return get_found(tx, s, out, err);
}

int store_review_of_branch(struct tx *tx, const char *pipeline_id, const char *branch,
			   const char *fork, struct store_review *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_OF_BRANCH);

	stmt_text(s, 1, pipeline_id);
	stmt_text(s, 2, branch);
	stmt_text(s, 3, fork ? fork : "");
	return get_found(tx, s, out, err);
}

int store_reviews_list(struct tx *tx, const char *pipeline_id, bool all, struct store_reviews *out,
		       struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_LIST);

	stmt_text(s, 1, pipeline_id);
	stmt_int(s, 2, all);
	return store_review_all(s, fill_review, out, err);
}

int store_reviews_pushed(struct tx *tx, struct store_reviews *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_PUSHED);

	return store_review_all(s, fill_review, out, err);
}

int store_reviews_count(struct tx *tx, const char *pipeline_id, int *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_COUNT);

	stmt_text(s, 1, pipeline_id);
	if (stmt_step(s, err) != STMT_ROW)
		return -1;
	*out = (int)stmt_col_int(s, 0);
	return 0;
}

int store_review_secrets(struct tx *tx, const char *id, json_t **environment, char **source_url,
			 struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_SECRETS);
	AUTO(buf_clear) struct buf url = {0};
	const void *box;
	size_t n;

	stmt_text(s, 1, id);
	if (row_need(s, "review_app", err) < 0)
		return -1;
	if (row_open_json(tx, s, 0, environment, err) < 0)
		return -1;
	*source_url = NULL;
	if (stmt_col_null(s, 1))
		return 0;
	box = stmt_col_blob(s, 1, &n);
	if (secret_open(tx_key(tx), box, n, &url, err) < 0)
		return -1;
	*source_url = xstrdup(buf_str(&url));
	explicit_bzero(url.data, url.len);
	return 0;
}

/* --- changes --- */

int store_review_want(struct tx *tx, const char *id, const char *commit, int64_t pr_number,
		      struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_WANT);

	stmt_text(s, 1, id);
	bind_id(s, 2, commit);
	bind_int_or_null(s, 3, pr_number, 0);
	stmt_int(s, 4, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_review_again(struct tx *tx, const char *id, const struct store_review_new *in,
		       struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_AGAIN);

	stmt_text(s, 1, id);
	stmt_text(s, 2, sources[in->source]);
	bind_url(tx, s, 3, in->source_url);
	bind_id(s, 4, in->commit);
	bind_int_or_null(s, 5, in->pr_number, 0);
	if (in->environment)
		row_seal_json(tx, s, 6, in->environment);
	stmt_int(s, 7, clock_wall_ms());
	return stmt_exec(s, err);
}

/* Statements of an id, or nothing, and the time. */
static int at_time(struct tx *tx, enum sql_id sql, const char *id, wall_ms at, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, sql);
	int i = 1;

	if (id)
		stmt_text(s, i++, id);
	stmt_int(s, i, at);
	return stmt_exec(s, err);
}

int store_review_end(struct tx *tx, const char *id, struct err *err)
{
	return at_time(tx, SQL_REVIEW_END, id, clock_wall_ms(), err);
}

int store_review_dismiss(struct tx *tx, const char *id, struct err *err)
{
	return at_time(tx, SQL_REVIEW_DISMISS, id, clock_wall_ms(), err);
}

int store_review_dismissed(struct tx *tx, const char *pipeline_id, int64_t pr_number,
			   const char *commit, bool *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_DISMISSED);
	enum stmt_result r;

	stmt_text(s, 1, pipeline_id);
	stmt_int(s, 2, pr_number);
	stmt_text(s, 3, commit);
	r = stmt_step(s, err);
	*out = r == STMT_ROW;
	return r == STMT_ROW || r == STMT_DONE ? 0 : -1;
}

int store_review_recall(struct tx *tx, const char *pipeline_id, int64_t pr_number, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_RECALL);

	stmt_text(s, 1, pipeline_id);
	stmt_int(s, 2, pr_number);
	return stmt_exec(s, err);
}

int store_review_built(struct tx *tx, const struct store_review *v, char build_id[37],
		       struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_BUILT);

	build_id[0] = 0;
	stmt_text(s, 1, v->app_id);
	stmt_text(s, 2, v->commit);
	stmt_int(s, 3, v->arrived_ms);
	switch (stmt_step(s, err)) {
	case STMT_ROW:
		snprintf(build_id, 37, "%s", stmt_col_text(s, 0));
		return 0;
	case STMT_DONE:
		return 0;
	default:
		return -1;
	}
}

int store_reviews_end_stale(struct tx *tx, wall_ms now, int *n, struct err *err)
{
	if (at_time(tx, SQL_REVIEW_END_STALE, NULL, now, err) < 0)
		return -1;
	*n = tx_changes(tx);
	return 0;
}

int store_review_kick(struct tx *tx, const char *id, struct err *err)
{
	return at_time(tx, SQL_REVIEW_KICK, id, clock_wall_ms(), err);
}

int store_reviews_kick_pipeline(struct tx *tx, const char *pipeline_id, struct err *err)
{
	return at_time(tx, SQL_REVIEW_KICK_PIPELINE, pipeline_id, clock_wall_ms(), err);
}

int store_reviews_kick_all(struct tx *tx, struct err *err)
{
	return at_time(tx, SQL_REVIEW_KICK_ALL, NULL, clock_wall_ms(), err);
}

int store_reviews_expire(struct tx *tx, wall_ms before, struct err *err)
{
	return at_time(tx, SQL_REVIEW_EXPIRE, NULL, before, err);
}

/* --- the machine --- */

static int next_due(struct tx *tx, wall_ms now, wall_ms *next, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_NEXT);

	stmt_int(s, 1, now);
	if (stmt_step(s, err) != STMT_ROW)
		return -1;
	*next = row_int_or(s, 0, 0);
	return 0;
}

int store_reviews_due(struct tx *tx, wall_ms now, int max, struct store_reviews *out, wall_ms *next,
		      struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_DUE);

	stmt_int(s, 1, now);
	stmt_int(s, 2, max);
	return store_review_all(s, fill_review, out, err) < 0 ? -1 : next_due(tx, now, next, err);
}

int store_review_rest(struct tx *tx, const struct store_review *seen, wall_ms next, bool counted,
		      struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_REST);

	stmt_text(s, 1, seen->id);
	stmt_int(s, 2, seen->updated_ms);
	bind_int_or_null(s, 3, next, 0);
	stmt_int(s, 4, counted ? seen->tries + 1 : 0);
	return stmt_exec(s, err);
}

int store_review_say(struct tx *tx, const char *id, enum store_review_status status,
		     const char *error_status, const char *message, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_SAY);

	stmt_text(s, 1, id);
	stmt_text(s, 2, store_review_statuses[status]);
	stmt_text(s, 3, error_status);
	stmt_text(s, 4, message);
	stmt_int(s, 5, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_review_found(struct tx *tx, const char *id, const char *commit, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_FOUND);

	stmt_text(s, 1, id);
	stmt_text(s, 2, commit);
	stmt_int(s, 3, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_review_made(struct tx *tx, const char *id, const char *app_id, const char *setup_id,
		      struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_MADE);

	stmt_text(s, 1, id);
	stmt_text(s, 2, app_id);
	stmt_text(s, 3, setup_id);
	stmt_int(s, 4, clock_wall_ms());
	if (stmt_exec(s, err) < 0)
		return -1;
	return tx_changes(tx) ? 0 : err_set(err, ERR_CONFLICT, "The review app is not wanted.");
}

int store_review_tried(struct tx *tx, const char *id, const char *commit, bool well,
		       struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_TRIED);

	stmt_text(s, 1, id);
	stmt_text(s, 2, commit);
	stmt_int(s, 3, well);
	stmt_int(s, 4, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_review_predestroy(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REVIEW_PREDESTROY);

	stmt_text(s, 1, id);
	return stmt_exec(s, err);
}
