/* Resources that this platform has none of: their lists are empty, none is found, none can be made.
 * Clients read the lists on the way to other things. */
#include "daemon/api/api_int.h"

#include <assert.h>
#include <string.h>

/* Named by the part that comes first in a route's path. */
static const struct thing {
	const char *part, *resource, *text;
} things[] = {
	{"telemetry-drains", "telemetry_drain", "telemetry drain"},
};

int api_none_list(struct api_req *q, struct err *err)
{
	/* /users/:account/... only of oneself */
	if (strncmp(q->route->path, "/users/:account/", 16) == 0 && api_own_account(q, err) < 0)
		return -1;
	return api_list(q, json_array(), "id name", err);
}

static const struct thing *thing_of(const struct api_req *q)
{
	const struct thing *first = NULL;
	const char *at = NULL, *p;

	for (size_t i = 0; i < ARRAY_LEN(things); i++)
		if ((p = strstr(q->route->path, things[i].part)) && (!at || p < at)) {
			at = p;
			first = &things[i];
		}
	assert(first);
	return first;
}

int api_none_found(struct api_req *q, struct err *err)
{
	const struct thing *t = thing_of(q);

	err_set(err, ERR_NOT_FOUND, "Couldn't find that %s.", t->text);
	err->resource = t->resource;
	return -1;
}

int api_none_made(struct api_req *q, struct err *err)
{
	return err_set(err, ERR_INVALID_PARAMS, "This platform has no %ss.", thing_of(q)->text);
}
