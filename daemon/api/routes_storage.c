/* Routes of volumes: an extension. A volume is its owner's, which the handlers check; where an app
 * has one is that app's. */
#include "daemon/api/route_words.h"
#include "daemon/api/storage.h"

#define V "/volumes/:volume"

/* clang-format off */
const struct api_route api_routes_storage[] = {
	{ G, "/volumes", NEED_USER, SCOPE_READ, api_volumes_list, 0, "Volumes of one's own, and those of apps that one has a right to (an extension, as those that follow)" },
	{ P, "/volumes", NEED_USER, SCOPE_WRITE, api_volumes_create, API_BODY | API_LONG, "Make a volume", api_fields_volume_create },
	{ G, V, NEED_USER, SCOPE_READ, api_volumes_info, 0, "One volume, by id or name, with what it holds and whether its size is enforced" },
	{ T, V, NEED_USER, SCOPE_WRITE, api_volumes_resize, API_BODY | API_LONG, "Let a volume of one's own grow", api_fields_volume_resize },
	{ D, V, NEED_USER, SCOPE_WRITE, api_volumes_destroy, API_LONG, "Destroy a volume of one's own with all that is in it; it must be detached" },
	{ G, A "/volumes", NEED_VIEW, SCOPE_READ, api_volumes_of_app, 0, "Volumes that an app has" },
	{ P, A "/volumes", NEED_OPERATE, SCOPE_WRITE, api_volumes_attach, API_BODY, "Attach a volume of one's own: a release", api_fields_volume_attach },
	{ D, A V, NEED_OPERATE, SCOPE_WRITE, api_volumes_detach, 0, "Detach a volume: a release; its data stay" },
	{ 0 },
};
