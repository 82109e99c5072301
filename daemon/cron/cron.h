/* cron.h - the scheduler: jobs of apps run in one-off dynos scheduler.N when they are due
 * (docs/scheduler.md, docs/internals/cron.md; Heroku: Scheduler). The clock and the dynos are the
 * control loop's, jobs are rows; a run's row is committed together with the job's next time before
 * its dyno starts, so that nothing runs twice and nothing is forgotten. */
#ifndef CRON_CRON_H
#define CRON_CRON_H

#include "daemon/core/loop.h"
#include "daemon/dyno/dyno.h"
#include "daemon/log/log.h"
#include "daemon/store/job.h"
#include "daemon/store/store.h"

struct cron;
struct releases;

struct cron_ops { /* what runs jobs; loop thread. See dyno.h for what each does. */
	void *arg;
	void (*start)(void *arg, const char *app_id, const struct oneoff_req *req,
		      const struct oneoff_ops *ops);
	bool (*watch)(void *arg, const char *dyno_id, const struct oneoff_ops *ops, int *exit_code);
	void (*stop)(void *arg, const char *app_id, const char *dyno);
	void (*forget_end)(void *arg, const char *dyno_id);
};

struct cron *cron_new(struct loop *l, struct store *st, struct logd *log,
		      const struct cron_ops *ops);
/* In dynos of the apps' current releases. Follows app.json of releases that go live. */
struct cron *cron_new_on(struct loop *l, struct store *st, struct logd *log, struct releases *r);
/* Loop thread, once every dyno that was running is known: takes up what was on its way, and begins.
 */
void cron_start(struct cron *c);
void cron_stop(struct cron *c, void (*done)(void *arg), void *arg); /* loop thread */
void cron_free(struct cron *c); /* after the loop; NULL is fine */
void cron_look(struct cron *c); /* any thread: look at the clock now */

/* --- any thread but a loop --- */

struct cron_change { /* NULL, -1: as it is, or the default */
	const char *name, *command, *schedule, *timezone;
	const char *size; /* "" = the default */
	int overlap, missed, enabled;
};
/* INVALID_PARAMS; the job as it became. Without a name it has its command's. */
int cron_add(struct cron *c, const char *app_id, const struct cron_change *in,
	     struct store_job *out, struct err *err);
/* Of a job of app.json only enabled may change: INVALID_PARAMS. */
int cron_update(struct cron *c, const char *app_id, const char *ref, const struct cron_change *in,
		struct store_job *out, struct err *err);
/* What runs of it goes on. */
int cron_remove(struct cron *c, const char *app_id, const char *ref, struct store_job *out,
		struct err *err);
/* Now, whatever its schedule and its other runs. Returns once the run is committed. */
int cron_run(struct cron *c, const char *app_id, const char *ref, struct store_job_run *out,
	     struct err *err);
/* The jobs of app.json become those of the current release. */
int cron_sync_app(struct cron *c, const char *app_id, struct err *err);

#endif
