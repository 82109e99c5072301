/* Scheduled jobs and their runs. */
#include "daemon/api/jobs.h"
#include "daemon/cron/cron.h"
#include "daemon/dyno/dyno.h"
#include "proto/limits.h"

#include <string.h>

/* --- as JSON --- */

static json_t *run_json(const struct store_job_run *r)
{
	json_t *code = r->exit_code < 0 ? json_null() : json_integer(r->exit_code);

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:s, s:{s:s, s:o}, s:o, s:s}", "due_at",
			 json_time(r->due_ms), "dyno",
			 json_str_or_null(r->dyno[0] ? r->dyno : NULL), "ended_at",
			 json_time(r->ended_ms), "exit_code", code, "failure",
			 json_str_or_null(r->failure), "id", r->id, "job", "id", r->job_id, "name",
			 json_text(r->job_name), "started_at", json_time(r->started_ms), "state",
			 job_run_state_names[r->state]);
}

/* last: borrowed; NULL = it has never run. */
static json_t *job_json(struct api_req *q, const struct store_job *j,
			const struct store_job_run *last)
{
	return json_pack("{s:o, s:o, s:o, s:b, s:s, s:o, s:b, s:s, s:o, s:o, s:s, s:o, s:o, s:s, "
			 "s:o}",
			 "app", json_app_ref(&q->app), "command", json_text(j->command),
			 "created_at", json_time(j->created_ms), "enabled", j->enabled, "id", j->id,
			 "last_run", last ? run_json(last) : json_null(), "manifest", j->manifest,
			 "missed", job_missed_names[j->missed], "name", json_text(j->name),
			 "next_run_at", json_time(j->next_ms), "overlap",
			 job_overlap_names[j->overlap], "schedule", json_text(j->schedule), "size",
			 json_str_or_null(j->size[0] ? j->size : NULL), "timezone", j->timezone,
			 "updated_at", json_time(j->updated_ms));
}

/* --- looking --- */

struct jobs_tx {
	struct api_req *q;
	json_t *out; /* owned */
	struct store_job_runs runs;
	struct store_job one;
};

static void jobs_tx_clear(struct jobs_tx *t)
{
	json_decref(t->out);
	store_job_runs_clear(&t->runs);
	store_job_clear(&t->one);
}
#define jobs_tx_clear_p jobs_tx_clear

static int add_job(struct tx *tx, struct api_req *q, const struct store_job *j, json_t **out,
		   struct err *err)
{
	AUTO(store_job_runs_clear) struct store_job_runs last = {0};

	if (store_job_run_list(tx, j->app_id, j->id, 1, &last, err) < 0)
		return -1;
	*out = job_json(q, j, last.n ? &last.v[0] : NULL);
	return 0;
}

static int read_jobs(struct tx *tx, void *arg, struct err *err)
{
	struct jobs_tx *t = arg;
	AUTO(store_jobs_clear) struct store_jobs l = {0};
	json_t *one;

	if (store_job_list(tx, t->q->app.id, &l, err) < 0)
		return -1;
	t->out = json_array();
	for (int i = 0; i < l.n; i++) {
		if (add_job(tx, t->q, &l.v[i], &one, err) < 0)
			return -1;
		json_array_append_new(t->out, one);
	}
	return 0;
}

static int read_job(struct tx *tx, void *arg, struct err *err)
{
	struct jobs_tx *t = arg;

	if (store_job_find(tx, t->q->app.id, t->q->params[1], &t->one, err) < 0)
		return -1;
	return add_job(tx, t->q, &t->one, &t->out, err);
}

int api_jobs_list(struct api_req *q, struct err *err)
{
	AUTO(jobs_tx_clear) struct jobs_tx t = {.q = q};

	if (store_read(q->d->store, read_jobs, &t, err) < 0)
		return -1;
	return api_list(q, STEAL(t.out), "created_at id name updated_at", err);
}

int api_jobs_info(struct api_req *q, struct err *err)
{
	AUTO(jobs_tx_clear) struct jobs_tx t = {.q = q};

	if (store_read(q->d->store, read_job, &t, err) < 0)
		return -1;
	return api_ok(q, 200, STEAL(t.out));
}

static int read_runs(struct tx *tx, void *arg, struct err *err)
{
	struct jobs_tx *t = arg;
	bool one = t->q->params[1] != NULL;

	if (one && store_job_find(tx, t->q->app.id, t->q->params[1], &t->one, err) < 0)
		return -1;
	return store_job_run_list(tx, t->q->app.id, one ? t->one.id : NULL, LIM_JOB_RUNS, &t->runs,
				  err);
}

int api_job_runs(struct api_req *q, struct err *err)
{
	AUTO(jobs_tx_clear) struct jobs_tx t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_runs, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.runs.n; i++)
		json_array_append_new(list, run_json(&t.runs.v[i]));
	return api_list(q, list, "due_at id", err);
}

/* --- changing --- */

#define JOB_FIELDS                                                                          \
	{"name", F_LINE, .min = 1, .max = 100},                                             \
		{"timezone", F_LINE, .min = 1, .max = 63, .text = "as Europe/Berlin; UTC"}, \
		{"size", F_REF, F_NULL, .text = "name of a dyno size"},                     \
		{"overlap", F_STRING, .choice = "skip|allow|replace",                       \
		 .text = "when the run before still goes"},                                 \
		{"missed", F_STRING, .choice = "skip|once",                                 \
		 .text = "while the platform was down"},                                    \
		{"enabled", F_BOOL},                                                        \
	{                                                                                   \
		0                                                                           \
	}

const struct api_field api_fields_job_create[] = {
	{"command", F_STRING, F_REQUIRED, .min = 1, .max = LIM_COMMAND - 1},
	{"schedule", F_LINE, F_REQUIRED, .min = 1, .max = 199,
	 .text = "\"every 10 minutes\", \"hourly:30\", \"daily:06:30\", or a cron expression"},
	JOB_FIELDS};
const struct api_field api_fields_job_update[] = {
	{"command", F_STRING, .min = 1, .max = LIM_COMMAND - 1},
	{"schedule", F_LINE, .min = 1, .max = 199},
	JOB_FIELDS};

static int choice(const json_t *body, const char *name, const char *const *names)
{
	const char *s = api_get_str(body, name);

	for (int i = 0; s && names[i]; i++)
		if (strcmp(names[i], s) == 0)
			return i;
	return -1;
}

static struct cron_change change_of(const struct api_req *q)
{
	const json_t *b = q->body;
	const char *size = api_get_ref(b, "size");

	return (struct cron_change){
		.name = api_get_str(b, "name"),
		.command = api_get_str(b, "command"),
		.schedule = api_get_str(b, "schedule"),
		.timezone = api_get_str(b, "timezone"),
		.size = size					   ? size
			: json_is_null(json_object_get(b, "size")) ? ""
								   : NULL,
		.overlap = choice(b, "overlap", job_overlap_names),
		.missed = choice(b, "missed", job_missed_names),
		.enabled = api_get_bool(b, "enabled", -1),
	};
}

int api_jobs_create(struct api_req *q, struct err *err)
{
	AUTO(store_job_clear) struct store_job j = {0};
	const struct cron_change in = change_of(q);

	if (cron_add(q->d->cron, q->app.id, &in, &j, err) < 0)
		return -1;
	api_audit(q, "job.create", "%s: %s", j.id, j.schedule);
	return api_ok(q, 201, job_json(q, &j, NULL));
}

int api_jobs_update(struct api_req *q, struct err *err)
{
	AUTO(store_job_clear) struct store_job j = {0};
	const struct cron_change in = change_of(q);

	if (cron_update(q->d->cron, q->app.id, q->params[1], &in, &j, err) < 0)
		return -1;
	api_audit(q, "job.update", "%s: %s%s", j.id, j.schedule, j.enabled ? "" : ", off");
	/* By its id: the name may be another one now. */
	q->params[1] = j.id;
	return api_jobs_info(q, err);
}

int api_jobs_delete(struct api_req *q, struct err *err)
{
	AUTO(store_job_clear) struct store_job j = {0};

	if (cron_remove(q->d->cron, q->app.id, q->params[1], &j, err) < 0)
		return -1;
	api_audit(q, "job.delete", "%s", j.id);
	return api_ok(q, 200, job_json(q, &j, NULL));
}

int api_jobs_run(struct api_req *q, struct err *err)
{
	AUTO(store_job_run_clear) struct store_job_run r = {0};

	if (cron_run(q->d->cron, q->app.id, q->params[1], &r, err) < 0)
		return -1;
	api_audit(q, "job.run", "%s: %s", r.job_id, r.dyno);
	return api_ok(q, 201, run_json(&r));
}
