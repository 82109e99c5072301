/* repos.h - inside daemon/api: repositories at git providers that pipelines are connected to, their
 * webhooks, branches that are deployed by themselves. */
#ifndef API_REPOS_H
#define API_REPOS_H

#include "daemon/api/api_int.h"
#include "daemon/store/pipeline.h"

extern const struct api_field api_fields_repo_connect[], api_fields_auto_deploy[];
api_fn api_repo_info, api_repo_connect, api_repo_disconnect, api_repo_look, api_repo_branch,
	api_provider_hook, api_auto_deploy_info, api_auto_deploy_set, api_auto_deploy_delete;

/* What a pipeline's own repository is called, which branches are pushed to: as in its URL. Owned.
 */
char *api_repo_own_name(const struct store_pipeline *p);

/* Before a pipeline is destroyed: its webhook at the provider goes, as well as that can be done. */
void api_repo_forget(struct api_req *q, const char *pipeline_id);

#endif
