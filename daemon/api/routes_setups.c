/* Routes of app setups. */
#include "daemon/api/route_words.h"

/* clang-format off */
const struct api_route api_routes_setups[] = {
	{ 0 },
};
