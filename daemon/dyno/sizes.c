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
	{"Performance-L-RAM", 30720, 2400, 32768, 24},
	{"Performance-XL", 63488, 5000, 32768, 50},
	{"Performance-2XL", 129024, 10000, 32768, 100},
	{NULL, 0, 0, 0, 0},
};

int64_t dyno_size_memory(const struct dyno_size *s, const struct config *cfg)
{
	return s == &dyno_sizes[0] ? cfg->dyno_memory_mb : s->memory_mb;
}

const struct dyno_size *dyno_size_find(const char *name)
{
	for (const struct dyno_size *s = dyno_sizes; s->name; s++)
		if (strcasecmp(s->name, name) == 0)
			return s;
	return NULL;
}
