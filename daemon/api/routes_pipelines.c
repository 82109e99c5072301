/* Routes of pipelines, couplings and promotions. What a pipeline's right is needed for, the
 * handlers check (api_pipeline_find). */
#include "daemon/api/pipelines.h"
#include "daemon/api/route_words.h"

#define L "/pipelines/:pipeline"
#define K "/pipeline-couplings/:pipeline_coupling"
#define M "/pipeline-promotions/:pipeline_promotion"

/* clang-format off */
const struct api_route api_routes_pipelines[] = {
	{ G, "/pipelines", NEED_USER, SCOPE_READ, api_pipelines_list, 0, "List pipelines: own ones, and those of apps that one has a right to; `?eq[name]=`" },
	{ P, "/pipelines", NEED_USER, SCOPE_WRITE, api_pipelines_create, API_BODY, "Make a pipeline", api_fields_pipeline_create },
	{ G, L, NEED_USER, SCOPE_READ, api_pipelines_info, 0, "One pipeline" },
	{ T, L, NEED_USER, SCOPE_WRITE, api_pipelines_update, API_BODY, "Rename a pipeline of one's own", api_fields_pipeline_update },
	{ D, L, NEED_USER, SCOPE_WRITE, api_pipelines_destroy, API_LONG, "Destroy a pipeline of one's own; its review apps go with it, its other apps stay" },
	{ P, "/pipeline-transfers", NEED_USER, SCOPE_WRITE, api_pipelines_transfer, API_BODY, "Give a pipeline of one's own to another account, with the apps in it that are one's own", api_fields_pipeline_transfer },
	{ G, L "/stage/:stage/config-vars", NEED_USER, SCOPE_READ_PROTECTED, api_stage_config_get, 0, "Config vars of the stage `review` or `test`, which their apps start from; takes the manage permission on one of the apps" },
	{ T, L "/stage/:stage/config-vars", NEED_USER, SCOPE_WRITE_PROTECTED, api_stage_config_patch, API_BODY, "Change them", api_fields_config },
	{ G, L "/pipeline-couplings", NEED_USER, SCOPE_READ, api_couplings_of_pipeline, 0, "Apps of a pipeline" },
	{ G, L "/latest-builds", NEED_USER, SCOPE_READ, api_pipeline_builds, 0, "The newest build of each app of a pipeline" },
	{ G, L "/latest-releases", NEED_USER, SCOPE_READ, api_pipeline_releases, 0, "The newest release of each app of a pipeline" },
	{ G, L "/latest-deployments", NEED_USER, SCOPE_READ, api_pipeline_deployments, 0, "The newest release of each app of a pipeline that brought other code" },
	{ G, "/pipeline-couplings", NEED_USER, SCOPE_READ, api_couplings_list, 0, "Apps in pipelines" },
	{ P, "/pipeline-couplings", NEED_USER, SCOPE_WRITE, api_couplings_create, API_BODY, "Add an app to a pipeline; takes manage on it, and the pipeline or manage on another app of it", api_fields_coupling_create },
	{ G, K, NEED_USER, SCOPE_READ, api_couplings_info, 0, "One app in a pipeline" },
	{ T, K, NEED_USER, SCOPE_WRITE, api_couplings_update, API_BODY, "Move an app to another stage; takes manage on it, or the pipeline", api_fields_coupling_update },
	{ D, K, NEED_USER, SCOPE_WRITE, api_couplings_delete, 0, "Take an app out of its pipeline; takes manage on it, or the pipeline" },
	{ G, "/users/:account/pipeline-couplings", NEED_USER, SCOPE_READ, api_couplings_list, 0, "Apps in pipelines" },
	{ G, A "/pipeline-couplings", NEED_VIEW, SCOPE_READ, api_coupling_of_app, 0, "The pipeline that an app is in (one, not a list)" },
	{ G, A "/pipeline-diff", NEED_VIEW, SCOPE_READ, api_pipeline_diff, API_LONG, "Commits that the app has and those of the next stage have not (an extension)" },
	{ P, "/pipeline-promotions", NEED_USER, SCOPE_WRITE, api_promotions_create, API_BODY, "Release an app's code on others of its pipeline; takes deploy on each", api_fields_promotion },
	{ G, M, NEED_USER, SCOPE_READ, api_promotions_info, 0, "One promotion" },
	{ G, M "/promotion-targets", NEED_USER, SCOPE_READ, api_promotion_targets, 0, "How a promotion goes, app by app" },
	{ 0 },
};
