/* Routes of review apps and git providers. */
#include "daemon/api/repos.h"
#include "daemon/api/reviews.h"
#include "daemon/api/route_words.h"

#define L "/pipelines/:pipeline"
#define C L "/review-app-config"

/* clang-format off */
const struct api_route api_routes_review[] = {
	/* review apps */
	{ P, "/review-apps", NEED_USER, SCOPE_WRITE, api_reviews_create, API_BODY, "Make the review app of a branch, or deploy it anew; takes deploy on one of the pipeline's apps", api_fields_review_create },
	{ G, "/review-apps/:review_app", NEED_USER, SCOPE_READ, api_reviews_info, 0, "One review app" },
	{ D, "/review-apps/:review_app", NEED_USER, SCOPE_WRITE, api_reviews_delete, 0, "Destroy a review app; takes deploy on one of the pipeline's apps" },
	{ G, A "/review-app", NEED_VIEW, SCOPE_READ, api_review_of_app, 0, "The review app that an app is" },
	{ G, "/pipelines/:pipeline/review-apps", NEED_USER, SCOPE_READ, api_reviews_of_pipeline, 0, "Review apps of a pipeline" },
	{ G, C, NEED_USER, SCOPE_READ, api_review_config_info, 0, "Settings of a pipeline's review apps" },
	{ P, C, NEED_USER, SCOPE_WRITE, api_review_config_create, 0, "Enable review apps; takes manage on one of the pipeline's apps", api_fields_review_config },
	{ T, C, NEED_USER, SCOPE_WRITE, api_review_config_update, 0, "Change these settings, or make them", api_fields_review_config },
	{ D, C, NEED_USER, SCOPE_WRITE, api_review_config_delete, 0, "Disable review apps; those that are there stay", api_fields_review_config },
	/* repositories at git providers */
	{ G, L "/repo", NEED_USER, SCOPE_READ, api_repo_info, 0, "The repository at a git provider that a pipeline is connected to; else its own, which branches are pushed to: provider `paasd`" },
	{ P, L "/repo", NEED_USER, SCOPE_WRITE, api_repo_connect, API_BODY, "Connect it (an extension); takes the pipeline, or manage on one of its apps", api_fields_repo_connect },
	{ D, L "/repo", NEED_USER, SCOPE_WRITE, api_repo_disconnect, 0, "Disconnect it; its webhook goes (an extension)" },
	{ P, L "/repo/actions/look", NEED_USER, SCOPE_WRITE, api_repo_look, 0, "Look at its pull requests and branches now, not only on the timer (an extension)" },
	{ G, L "/repo/branches/:branch", NEED_USER, SCOPE_READ, api_repo_branch, 0, "One branch of it, and its head; with `%2F` for slashes" },
	{ P, "/hooks/:provider/:repo", NEED_NONE, SCOPE_ANY, api_provider_hook, 0, "Where a provider's webhook delivers to; it is signed" },
	{ G, A "/auto-deploy", NEED_VIEW, SCOPE_READ, api_auto_deploy_info, 0, "The branch that is deployed to the app by itself (an extension)" },
	{ U, A "/auto-deploy", NEED_OPERATE, SCOPE_WRITE, api_auto_deploy_set, API_BODY, "Deploy a branch of the pipeline's repository, now and whenever it moves", api_fields_auto_deploy },
	{ D, A "/auto-deploy", NEED_OPERATE, SCOPE_WRITE, api_auto_deploy_delete, 0, "Deploy it no more" },
	{ 0 },
};
