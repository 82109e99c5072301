/* Routes of review apps and git providers. */
#include "daemon/api/route_words.h"

/* clang-format off */
const struct api_route api_routes_review[] = {
	{ 0 },
};
