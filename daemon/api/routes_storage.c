/* Routes of volumes. */
#include "daemon/api/route_words.h"

/* clang-format off */
const struct api_route api_routes_storage[] = {
	{ 0 },
};
