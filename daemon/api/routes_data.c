/* Routes of the data API: PostgreSQL and Redis. */
#include "daemon/api/route_words.h"

/* clang-format off */
const struct api_route api_routes_data[] = {
	{ 0 },
};
