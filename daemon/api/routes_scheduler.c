/* Routes of scheduled jobs: an extension. Who changes a job says what runs, as by a one-off dyno.
 */
#include "daemon/api/jobs.h"
#include "daemon/api/route_words.h"

/* clang-format off */
const struct api_route api_routes_scheduler[] = {
	{ G, A "/scheduler/jobs", NEED_VIEW, SCOPE_READ, api_jobs_list, 0, "Scheduled jobs (an extension, as those that follow)" },
	{ P, A "/scheduler/jobs", NEED_DEPLOY, SCOPE_WRITE, api_jobs_create, API_BODY, "Add a job", api_fields_job_create },
	{ G, A "/scheduler/jobs/:job", NEED_VIEW, SCOPE_READ, api_jobs_info, 0, "One job, by id or name" },
	{ T, A "/scheduler/jobs/:job", NEED_DEPLOY, SCOPE_WRITE, api_jobs_update, API_BODY, "Change a job; of those of app.json only `enabled`", api_fields_job_update },
	{ D, A "/scheduler/jobs/:job", NEED_DEPLOY, SCOPE_WRITE, api_jobs_delete, 0, "Remove a job; what runs of it goes on" },
	{ P, A "/scheduler/jobs/:job/actions/run", NEED_DEPLOY, SCOPE_WRITE, api_jobs_run, 0, "Run a job now" },
	{ G, A "/scheduler/jobs/:job/runs", NEED_VIEW, SCOPE_READ, api_job_runs, 0, "Its last runs" },
	{ G, A "/scheduler/runs", NEED_VIEW, SCOPE_READ, api_job_runs, 0, "The last runs of all jobs" },
	{ 0 },
};
