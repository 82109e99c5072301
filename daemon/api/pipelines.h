/* pipelines.h - inside daemon/api: pipelines, the apps in them, promotions. */
#ifndef API_PIPELINES_H
#define API_PIPELINES_H

#include "daemon/api/api_int.h"
#include "daemon/store/pipeline.h"

/* A pipeline that the caller has this right to. NOT_FOUND when it has none, FORBIDDEN when it lacks
 * this one. Inside a transaction; out is cleared first. */
int api_pipeline_find(struct api_req *q, struct tx *tx, const char *id_or_name,
		      enum store_pipeline_right right, struct store_pipeline *out, struct err *err);
/* The same in a transaction of its own, of :pipeline, the path's first parameter. */
int api_pipeline_get(struct api_req *q, enum store_pipeline_right right, struct store_pipeline *out,
		     struct err *err);

/* ?eq[NAME]=VALUE of the query, as it comes or with its brackets encoded; in q's arena, NULL when
 * absent. */
const char *api_query_eq(struct api_req *q, const char *name);

extern const struct api_field api_fields_pipeline_create[], api_fields_pipeline_update[],
	api_fields_pipeline_transfer[], api_fields_coupling_create[], api_fields_coupling_update[],
	api_fields_promotion[];
api_fn api_pipelines_list, api_pipelines_create, api_pipelines_info, api_pipelines_update,
	api_pipelines_destroy, api_pipelines_transfer, api_stage_config_get, api_stage_config_patch,
	api_couplings_list, api_couplings_create, api_couplings_info, api_couplings_update,
	api_couplings_delete, api_couplings_of_pipeline, api_coupling_of_app, api_promotions_create,
	api_promotions_info, api_promotion_targets, api_pipeline_builds, api_pipeline_releases,
	api_pipeline_deployments, api_pipeline_diff;

#endif
