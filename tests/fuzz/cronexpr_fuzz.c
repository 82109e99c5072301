/* Any text as a schedule: what is accepted has times, each after the one before, at minutes that it
 * names. */
#include "daemon/core/cronexpr.h"
#include "proto/auto.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct tz *berlin;
	char text[256];
	wall_ms t = 1774000000000; /* not long before summer time */
	struct cronexpr e;
	struct err err = {0};

	if (!berlin && tz_load("Europe/Berlin", &berlin, &err) < 0)
		return 0;
	if (len >= sizeof text)
		return 0;
	memcpy(text, data, len);
	text[len] = 0;
	if (cronexpr_parse(text, &e, &err) < 0) {
		assert(err.status && err.msg[0]);
		return 0;
	}
	assert(e.minutes && e.minutes < 1ULL << 60 && e.hours && e.hours < 1u << 24);
	for (int i = 0; i < 4; i++) {
		wall_ms next = cronexpr_next(&e, berlin, t);

		assert(next > t && next < INT64_MAX && next % 60000 == 0);
		t = next;
	}
	return 0;
}
