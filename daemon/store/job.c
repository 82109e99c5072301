#include "daemon/store/job.h"
#include "daemon/store/app.h"
#include "daemon/store/row_int.h"
#include "proto/limits.h"

const char *const job_overlap_names[] = {"skip", "allow", "replace", NULL};
const char *const job_missed_names[] = {"skip", "once", NULL};
const char *const job_run_state_names[] = {"starting", "running", "succeeded", "failed",
					   "skipped",  "lost",	  NULL};

/* The store's CHECKs keep others out. */
static int index_of(const char *const *names, const char *name)
{
	int i = 0;

	while (names[i + 1] && strcmp(names[i], name) != 0)
		i++;
	return i;
}

/* --- jobs --- */

void store_job_clear(struct store_job *j)
{
	free(j->name);
	free(j->command);
	free(j->schedule);
	*j = (struct store_job){0};
}
ROW_DEFINE_LIST(store_job, store_jobs)

static void fill_job(struct stmt *s, void *out)
{
	struct store_job *j = out;

	ROW_COPY(s, 0, j->id);
	ROW_COPY(s, 1, j->app_id);
	j->name = stmt_col_dup(s, 2);
	j->command = stmt_col_dup(s, 3);
	j->schedule = stmt_col_dup(s, 4);
	ROW_COPY(s, 5, j->timezone);
	ROW_COPY(s, 6, j->size);
	j->overlap = (enum job_overlap)index_of(job_overlap_names, stmt_col_text(s, 7));
	j->missed = (enum job_missed)index_of(job_missed_names, stmt_col_text(s, 8));
	j->enabled = stmt_col_int(s, 9) != 0;
	j->manifest = stmt_col_int(s, 10) != 0;
	j->next_ms = stmt_col_int(s, 11);
	j->created_ms = stmt_col_int(s, 12);
	j->updated_ms = stmt_col_int(s, 13);
}

static int count_jobs(struct tx *tx, const struct store_job *in, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_JOB_COUNT);

	stmt_text(s, 1, in->app_id);
	stmt_int(s, 2, in->manifest);
	if (stmt_step(s, err) != STMT_ROW)
		return -1; /* an aggregate always has a row */
	if (stmt_col_int(s, 0) < LIM_JOBS)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS, "An app has at most %d scheduled jobs.", LIM_JOBS);
}

int store_job_insert(struct tx *tx, struct store_job *in, struct err *err)
{
	if (count_jobs(tx, in, err) < 0)
		return -1;
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_JOB_INSERT);
	uuid_new(in->id);
	in->created_ms = in->updated_ms = clock_wall_ms();
	stmt_text(s, 1, in->id);
	stmt_text(s, 2, in->app_id);
	stmt_text(s, 3, in->name);
	stmt_text(s, 4, in->command);
	stmt_text(s, 5, in->schedule);
	stmt_text(s, 6, in->timezone);
	bind_id(s, 7, in->size);
	stmt_text(s, 8, job_overlap_names[in->overlap]);
	stmt_text(s, 9, job_missed_names[in->missed]);
	stmt_int(s, 10, in->enabled);
	stmt_int(s, 11, in->manifest);
	bind_int_or_null(s, 12, in->next_ms, 0);
	stmt_int(s, 13, in->created_ms);
	return stmt_exec(s, err);
}

int store_job_find(struct tx *tx, const char *app_id, const char *id_or_name, struct store_job *out,
		   struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_JOB_FIND);
	AUTO(store_jobs_clear) struct store_jobs l = {0};

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, id_or_name);
	if (store_job_all(s, fill_job, &l, err) < 0)
		return -1;
	if (!l.n)
		return err_not_found(err, "job");
	if (l.n > 1 && strcmp(l.v[0].id, id_or_name) != 0)
		return err_set(err, ERR_CONFLICT,
			       "Several jobs of the app are called %.80s: use the id of one.",
			       id_or_name);
	*out = l.v[0];
	l.v[0] = (struct store_job){0};
	return 0;
}

int store_job_list(struct tx *tx, const char *app_id, struct store_jobs *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_JOB_LIST);

	stmt_text(s, 1, app_id);
	return store_job_all(s, fill_job, out, err);
}

int store_job_due(struct tx *tx, wall_ms now, int max, struct store_jobs *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_JOB_DUE);

	stmt_int(s, 1, now);
	stmt_int(s, 2, max);
	return store_job_all(s, fill_job, out, err);
}

int store_job_next(struct tx *tx, wall_ms *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_JOB_NEXT);

	if (stmt_step(s, err) != STMT_ROW)
		return -1;
	*out = stmt_col_int(s, 0);
	return 0;
}

int store_job_update(struct tx *tx, const struct store_job *j, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_JOB_UPDATE);

	stmt_text(s, 1, j->id);
	stmt_text(s, 2, j->name);
	stmt_text(s, 3, j->command);
	stmt_text(s, 4, j->schedule);
	stmt_text(s, 5, j->timezone);
	bind_id(s, 6, j->size);
	stmt_text(s, 7, job_overlap_names[j->overlap]);
	stmt_text(s, 8, job_missed_names[j->missed]);
	stmt_int(s, 9, j->enabled);
	bind_int_or_null(s, 10, j->next_ms, 0);
	stmt_int(s, 11, clock_wall_ms());
	return row_change(tx, s, "job", err);
}

int store_job_set_next(struct tx *tx, const char *id, wall_ms next, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_JOB_SET_NEXT);

	stmt_text(s, 1, id);
	stmt_int(s, 2, next);
	return row_change(tx, s, "job", err);
}

int store_job_delete(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_JOB_DELETE);

	stmt_text(s, 1, id);
	return row_change(tx, s, "job", err);
}

int store_job_manifest(struct tx *tx, const char *app_id, char **out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_JOB_MANIFEST);
	enum stmt_result r;

	*out = NULL;
	stmt_text(s, 1, app_id);
	r = stmt_step(s, err);
	if (r == STMT_ROW)
		*out = stmt_col_dup(s, 0);
	return r == STMT_FAIL ? -1 : 0;
}

int store_job_manifest_apps(struct tx *tx, char ***out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_JOB_MANIFEST_APPS);
	enum stmt_result r;
	int n = 0;

	*out = xcalloc(1, sizeof **out);
	while ((r = stmt_step(s, err)) == STMT_ROW) {
		*out = xrealloc(*out, (size_t)(n + 2) * sizeof **out);
		(*out)[n++] = stmt_col_dup(s, 0);
		(*out)[n] = NULL;
	}
	return r == STMT_FAIL ? -1 : 0;
}

/* --- runs --- */

void store_job_run_clear(struct store_job_run *r)
{
	free(r->job_name);
	free(r->command);
	free(r->failure);
	*r = (struct store_job_run){0};
}
ROW_DEFINE_LIST(store_job_run, store_job_runs)

static void fill_run(struct stmt *s, void *out)
{
	struct store_job_run *r = out;

	ROW_COPY(s, 0, r->id);
	ROW_COPY(s, 1, r->job_id);
	ROW_COPY(s, 2, r->app_id);
	r->job_name = stmt_col_dup(s, 3);
	ROW_COPY(s, 4, r->dyno);
	r->due_ms = stmt_col_int(s, 5);
	r->state = (enum job_run_state)index_of(job_run_state_names, stmt_col_text(s, 6));
	r->exit_code = (int)row_int_or(s, 7, -1);
	r->failure = stmt_col_dup(s, 8);
	r->started_ms = stmt_col_int(s, 9);
	r->ended_ms = stmt_col_int(s, 10);
	r->command = stmt_col_dup(s, 11);
	ROW_COPY(s, 12, r->size);
}

static int prune(struct tx *tx, const char *job_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_JOB_RUN_PRUNE);

	stmt_text(s, 1, job_id);
	stmt_int(s, 2, LIM_JOB_RUNS);
	return stmt_exec(s, err);
}

static int insert_run(struct tx *tx, const char *id, const char *job_id, const char *dyno,
		      wall_ms due, const char *skipped, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_JOB_RUN_INSERT);

	stmt_text(s, 1, id);
	stmt_text(s, 2, job_id);
	bind_id(s, 3, dyno);
	stmt_int(s, 4, due);
	stmt_text(s, 5, job_run_state_names[skipped ? RUN_SKIPPED : RUN_STARTING]);
	stmt_text(s, 6, skipped);
	bind_int_or_null(s, 7, skipped ? clock_wall_ms() : 0, 0);
	return stmt_exec(s, err);
}

int store_job_run_insert(struct tx *tx, const struct store_job *j, wall_ms due, const char *skipped,
			 struct store_job_run *out, struct err *err)
{
	char id[37], dyno[24] = "";
	int num;

	if (!skipped) {
		if (store_app_next_oneoff(tx, j->app_id, &num, err) < 0)
			return -1;
		snprintf(dyno, sizeof dyno, "scheduler.%d", num);
	}
	uuid_new(id);
	if (insert_run(tx, id, j->id, dyno, due, skipped, err) < 0 || prune(tx, j->id, err) < 0)
		return -1;
	return store_job_run_get(tx, id, out, err);
}

int store_job_run_get(struct tx *tx, const char *id, struct store_job_run *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_JOB_RUN_GET);

	stmt_text(s, 1, id);
	return row_one(s, fill_run, out, sizeof *out, "run", err);
}

int store_job_run_list(struct tx *tx, const char *app_id, const char *job_id, int max,
		       struct store_job_runs *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_JOB_RUN_LIST);

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, job_id);
	stmt_int(s, 3, max);
	return store_job_run_all(s, fill_run, out, err);
}

int store_job_run_open(struct tx *tx, const char *job_id, struct store_job_runs *out,
		       struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_JOB_RUN_OPEN);

	stmt_text(s, 1, job_id);
	return store_job_run_all(s, fill_run, out, err);
}

int store_job_run_started(struct tx *tx, const char *id, wall_ms at, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_JOB_RUN_STARTED);

	stmt_text(s, 1, id);
	stmt_int(s, 2, at);
	return stmt_exec(s, err);
}

int store_job_run_note(struct tx *tx, const char *id, const char *failure, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_JOB_RUN_FAILURE);

	stmt_text(s, 1, id);
	stmt_text(s, 2, failure);
	return stmt_exec(s, err);
}

int store_job_run_ended(struct tx *tx, const char *id, enum job_run_state state, int exit_code,
			const char *failure, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_JOB_RUN_ENDED);

	stmt_text(s, 1, id);
	stmt_text(s, 2, job_run_state_names[state]);
	bind_int_or_null(s, 3, exit_code, -1);
	stmt_text(s, 4, failure);
	stmt_int(s, 5, clock_wall_ms());
	return stmt_exec(s, err);
}
