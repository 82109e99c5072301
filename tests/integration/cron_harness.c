/* Reads "SCHEDULE<tab>ZONE<tab>SECONDS" a line, writes the seconds of the next time, or what is
 * wrong: for test_cronexpr.py. */
#include "daemon/core/cronexpr.h"
#include "proto/auto.h"

#include <stdio.h>
#include <string.h>

static void answer(char *line)
{
	AUTO(tz_free) struct tz *z = NULL;
	char *zone = strchr(line, '\t'), *after = zone ? strchr(zone + 1, '\t') : NULL;
	struct cronexpr e;
	struct err err = {0};

	if (!after) {
		puts("error: three fields are wanted");
		return;
	}
	*zone++ = *after++ = 0;
	if (cronexpr_parse(line, &e, &err) < 0 || tz_load(zone, &z, &err) < 0)
		printf("error: %s\n", err.msg);
	else
		printf("%lld\n", (long long)cronexpr_next(&e, z, atoll(after) * 1000) / 1000);
}

int main(void)
{
	char line[1024];

	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = 0;
		answer(line);
	}
	return 0;
}
