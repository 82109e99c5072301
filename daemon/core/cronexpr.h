/* cronexpr.h - when a scheduled job is due: cron expressions and the schedules that have words.
 * Pure; any thread. What is accepted and what summer time does: docs/scheduler.md. */
#ifndef CORE_CRONEXPR_H
#define CORE_CRONEXPR_H

#include "daemon/core/clock.h"
#include "daemon/core/tz.h"

#define CRONEXPR_BYTES 200

struct cronexpr { /* sets of bits */
	uint64_t minutes;
	uint32_t hours, days; /* days of the month, from bit 1 */
	uint16_t months;      /* from bit 1 */
	uint8_t weekdays;     /* bit 0 is Sunday */
	bool any_day, any_weekday;
};

/* "every 10 minutes", "hourly:30", "daily:06:30", "@daily" and the like, or five fields.
 * INVALID_PARAMS names the field and what is wrong with it; also when it never comes. */
int cronexpr_parse(const char *text, struct cronexpr *out, struct err *err);
/* The first time after `after` in a zone. */
wall_ms cronexpr_next(const struct cronexpr *e, const struct tz *z, wall_ms after);

#endif
