/* Routes of app setups. */
#include "daemon/api/route_words.h"
#include "daemon/api/setups.h"

/* clang-format off */
const struct api_route api_routes_setups[] = {
	{ P, "/app-setups", NEED_USER, SCOPE_WRITE_PROTECTED, api_setups_create, API_BODY, "Make an app of code and its app.json: a tarball, or a git repository (an extension)", api_fields_setup_create },
	{ G, "/app-setups/:app_setup", NEED_USER, SCOPE_READ, api_setups_info, 0, "How a setup is going (who made it, and who may see its app)" },
	{ 0 },
};
