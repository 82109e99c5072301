/* route_words.h - inside daemon/api: words that the rows of the route tables are written with. */
#ifndef API_ROUTE_WORDS_H
#define API_ROUTE_WORDS_H

#include "daemon/api/api_int.h"

#define G "GET"
#define P "POST"
#define U "PUT"
#define T "PATCH"
#define D "DELETE"
#define A "/apps/:app"

#endif
