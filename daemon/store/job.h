/* job.h - jobs of the scheduler and their runs. See user.h for the conventions. */
#ifndef STORE_JOB_H
#define STORE_JOB_H

#include "daemon/store/store.h"

enum job_overlap { JOB_SKIP, JOB_ALLOW, JOB_REPLACE }; /* when the run before still goes */
enum job_missed { JOB_MISSED_SKIP, JOB_MISSED_ONCE };  /* while the platform was down */
extern const char *const job_overlap_names[], *const job_missed_names[]; /* end with NULL */

struct store_job {
	char id[37], app_id[37];
	char *name, *command, *schedule;
	char timezone[64], size[32]; /* size "" = default */
	enum job_overlap overlap;
	enum job_missed missed;
	bool enabled, manifest; /* manifest: of app.json, which it follows */
	wall_ms next_ms;	/* 0: disabled */
	wall_ms created_ms, updated_ms;
};
struct store_jobs {
	struct store_job *v;
	int n;
};
void store_job_clear(struct store_job *j);
void store_jobs_clear(struct store_jobs *l);
#define store_job_clear_p  store_job_clear
#define store_jobs_clear_p store_jobs_clear

/* Id and times are made here; in->id gets the id. INVALID_PARAMS when the app has LIM_JOBS. */
int store_job_insert(struct tx *tx, struct store_job *in, struct err *err);
/* By id or name. NOT_FOUND (resource "job"); CONFLICT when several have the name. */
int store_job_find(struct tx *tx, const char *app_id, const char *id_or_name, struct store_job *out,
		   struct err *err);
int store_job_list(struct tx *tx, const char *app_id, struct store_jobs *out, struct err *err);
int store_job_due(struct tx *tx, wall_ms now, int max, struct store_jobs *out, struct err *err);
int store_job_next(struct tx *tx, wall_ms *out, struct err *err); /* 0: none is due, ever */
int store_job_update(struct tx *tx, const struct store_job *j, struct err *err);
int store_job_set_next(struct tx *tx, const char *id, wall_ms next, struct err *err);
int store_job_delete(struct tx *tx, const char *id, struct err *err);
/* What app.json of the app's current release says; *out owned, NULL: nothing. */
int store_job_manifest(struct tx *tx, const char *app_id, char **out, struct err *err);
/* Apps whose app.json has something to say about jobs, or had. Owned texts, NULL-terminated. */
int store_job_manifest_apps(struct tx *tx, char ***out, struct err *err);

enum job_run_state {
	RUN_STARTING, /* its dyno may not have been made yet */
	RUN_RUNNING,
	RUN_SUCCEEDED,
	RUN_FAILED,
	RUN_SKIPPED,
	RUN_LOST /* nobody knows how it ended */
};
extern const char *const job_run_state_names[]; /* ends with NULL */

struct store_job_run {
	char id[37], job_id[37], app_id[37];
	char dyno[24]; /* "scheduler.1234"; "" = skipped */
	char size[32];
	char *job_name, *command; /* command: as the job has it now */
	char *failure;		  /* why, for people; may be NULL */
	enum job_run_state state;
	int exit_code; /* -1 = none */
	wall_ms due_ms, started_ms, ended_ms;
};
struct store_job_runs {
	struct store_job_run *v;
	int n;
};
void store_job_run_clear(struct store_job_run *r);
void store_job_runs_clear(struct store_job_runs *l);
#define store_job_run_clear_p  store_job_run_clear
#define store_job_runs_clear_p store_job_runs_clear

/* The id is made here. RUN_STARTING, with the number of a dyno; or RUN_SKIPPED, with why. Older
 * runs beyond LIM_JOB_RUNS go. */
int store_job_run_insert(struct tx *tx, const struct store_job *j, wall_ms due, const char *skipped,
			 struct store_job_run *out, struct err *err);
int store_job_run_get(struct tx *tx, const char *id, struct store_job_run *out, struct err *err);
int store_job_run_list(struct tx *tx, const char *app_id, const char *job_id, int max,
		       struct store_job_runs *out, struct err *err); /* job_id NULL = all */
/* Starting or running. job_id NULL = of all. */
int store_job_run_open(struct tx *tx, const char *job_id, struct store_job_runs *out,
		       struct err *err);
int store_job_run_started(struct tx *tx, const char *id, wall_ms at, struct err *err);
int store_job_run_note(struct tx *tx, const char *id, const char *failure, struct err *err);
/* Nothing when it has ended already, or its job is gone. exit_code -1 and failure NULL: none. */
int store_job_run_ended(struct tx *tx, const char *id, enum job_run_state state, int exit_code,
			const char *failure, struct err *err);

#endif
