#include "daemon/dyno/dyno.h"

#include <strings.h>

/* Memory and process limits: platform documentation of dyno types; compute is relative. */
const struct dyno_size dyno_sizes[] = {
	{"Basic", 512, 100, 256, 1},
	{"Eco", 512, 50, 256, 1},
	{"Standard-1X", 512, 100, 256, 1},
	{"Standard-2X", 1024, 200, 512, 2},
	{"Performance-M", 2560, 1200, 32768, 12},
	{"Performance-L", 14336, 5000, 32768, 50},
	{NULL, 0, 0, 0, 0},
};

const struct dyno_size *dyno_size_find(const char *name)
{
	for (const struct dyno_size *s = dyno_sizes; s->name; s++)
		if (strcasecmp(s->name, name) == 0)
			return s;
	return NULL;
}
