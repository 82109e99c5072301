/* jobs.h - scheduled jobs and their runs. */
#ifndef API_JOBS_H
#define API_JOBS_H

#include "daemon/api/api_int.h"

extern const struct api_field api_fields_job_create[], api_fields_job_update[];
api_fn api_jobs_list, api_jobs_create, api_jobs_info, api_jobs_update, api_jobs_delete,
	api_jobs_run, api_job_runs;

#endif
