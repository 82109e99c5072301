/* Routes of add-ons, their attachments, services and plans. */
#include "daemon/api/route_words.h"

/* clang-format off */
const struct api_route api_routes_addons[] = {
	{ G, "/addons", NEED_USER, SCOPE_READ, api_none_list, 0, "Add-ons: none here" },
	{ G, "/addons/:add_on", NEED_USER, SCOPE_READ, api_none_found, 0, "One add-on" },
	{ G, "/addons/:add_on/addon-attachments", NEED_USER, SCOPE_READ, api_none_found, 0, "Attachments of an add-on" },
	{ G, "/addons/:add_on/config", NEED_USER, SCOPE_READ, api_none_found, 0, "Settings of an add-on" },
	{ G, "/users/:account/addons", NEED_USER, SCOPE_READ, api_none_list, 0, "Add-ons: none here" },
	{ G, A "/addons", NEED_VIEW, SCOPE_READ, api_none_list, 0, "Add-ons of an app: none here" },
	{ P, A "/addons", NEED_OPERATE, SCOPE_WRITE, api_none_made, 0, "Refused: there are no add-ons" },
	{ G, A "/addons/:add_on", NEED_VIEW, SCOPE_READ, api_none_found, 0, "One add-on" },
	{ T, A "/addons/:add_on", NEED_OPERATE, SCOPE_WRITE, api_none_found, 0, "One add-on" },
	{ D, A "/addons/:add_on", NEED_OPERATE, SCOPE_WRITE, api_none_found, 0, "One add-on" },
	{ P, "/actions/addons/resolve", NEED_USER, SCOPE_READ, api_none_found, 0, "Look up an add-on" },
	{ P, "/actions/addon-attachments/resolve", NEED_USER, SCOPE_READ, api_none_found, 0, "Look up an attachment" },
	{ G, "/addon-attachments", NEED_USER, SCOPE_READ, api_none_list, 0, "Attachments: none here" },
	{ P, "/addon-attachments", NEED_USER, SCOPE_WRITE, api_none_made, 0, "Refused: there are no add-ons" },
	{ G, "/addon-attachments/:add_on_attachment", NEED_USER, SCOPE_READ, api_none_found, 0, "One attachment" },
	{ D, "/addon-attachments/:add_on_attachment", NEED_USER, SCOPE_WRITE, api_none_found, 0, "One attachment" },
	{ G, A "/addon-attachments", NEED_VIEW, SCOPE_READ, api_none_list, 0, "Attachments of an app: none here" },
	{ G, A "/addon-attachments/:add_on_attachment", NEED_VIEW, SCOPE_READ, api_none_found, 0, "One attachment" },
	{ G, "/addon-services", NEED_USER, SCOPE_READ, api_none_list, 0, "Add-on services: none here" },
	{ G, "/addon-services/:add_on_service", NEED_USER, SCOPE_READ, api_none_found, 0, "One add-on service" },
	{ G, "/addon-services/:add_on_service/plans", NEED_USER, SCOPE_READ, api_none_found, 0, "Plans of an add-on service" },
	{ G, "/addon-services/:add_on_service/plans/:plan", NEED_USER, SCOPE_READ, api_none_found, 0, "One plan" },
	{ G, "/plans/:plan", NEED_USER, SCOPE_READ, api_none_found, 0, "One plan" },
	{ 0 },
};
