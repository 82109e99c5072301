/* Routes of pipelines, couplings and promotions. */
#include "daemon/api/route_words.h"

/* clang-format off */
const struct api_route api_routes_pipelines[] = {
	{ G, "/pipelines", NEED_USER, SCOPE_READ, api_none_list, 0, "Pipelines: none here" },
	{ P, "/pipelines", NEED_USER, SCOPE_WRITE, api_none_made, 0, "Refused: there are no pipelines" },
	{ G, "/pipelines/:pipeline", NEED_USER, SCOPE_READ, api_none_found, 0, "One pipeline" },
	{ T, "/pipelines/:pipeline", NEED_USER, SCOPE_WRITE, api_none_found, 0, "One pipeline" },
	{ D, "/pipelines/:pipeline", NEED_USER, SCOPE_WRITE, api_none_found, 0, "One pipeline" },
	{ G, "/pipelines/:pipeline/pipeline-couplings", NEED_USER, SCOPE_READ, api_none_found, 0, "Apps of a pipeline" },
	{ G, "/pipeline-couplings", NEED_USER, SCOPE_READ, api_none_list, 0, "Apps in pipelines: none here" },
	{ P, "/pipeline-couplings", NEED_USER, SCOPE_WRITE, api_none_made, 0, "Refused: there are no pipelines" },
	{ G, "/pipeline-couplings/:pipeline_coupling", NEED_USER, SCOPE_READ, api_none_found, 0, "One app in a pipeline" },
	{ T, "/pipeline-couplings/:pipeline_coupling", NEED_USER, SCOPE_WRITE, api_none_found, 0, "One app in a pipeline" },
	{ D, "/pipeline-couplings/:pipeline_coupling", NEED_USER, SCOPE_WRITE, api_none_found, 0, "One app in a pipeline" },
	{ G, "/users/:account/pipeline-couplings", NEED_USER, SCOPE_READ, api_none_list, 0, "Apps in pipelines: none here" },
	{ G, A "/pipeline-couplings", NEED_VIEW, SCOPE_READ, api_none_found, 0, "The pipeline that an app is in (one, not a list)" },
	{ 0 },
};
