/* tz.h - time zones by their IANA names, read from the system's zoneinfo files. libc knows one zone
 * a process; here are as many as are asked for, on any thread. Zones are immutable. */
#ifndef CORE_TZ_H
#define CORE_TZ_H

#include "proto/err.h"

#include <stdbool.h>
#include <stdint.h>

#define TZ_NAME 64 /* bytes of a name, with its end */

struct tz;

/* "Europe/Berlin"; UTC needs no file. INVALID_PARAMS: no such zone. Reads a small file. */
int tz_load(const char *name, struct tz **out, struct err *err);
/* The same from the text of a file (RFC 8536). CORRUPT. For tests. */
int tz_parse(const void *data, size_t n, struct tz **out, struct err *err);
void tz_free(struct tz *z); /* NULL is fine */

struct civil {
	int year, month, day;	  /* 1 is January, 1 the first day */
	int hour, minute, second; /* of a day */
	int weekday;		  /* 0 is Sunday */
};
/* Seconds since the epoch from here on. Days since 1970-01-01 of a date, also for a day or month
 * out of range: the 32nd of January is the 1st of February. */
int64_t civil_days(int year, int month, int day);
void civil_of(int64_t local_s, struct civil *out); /* of local time told as if it were UTC */

int tz_offset(const struct tz *z, int64_t t); /* east of UTC, at an instant */
/* The first change of the offset after t; false: there is none. */
bool tz_next_change(const struct tz *z, int64_t t, int64_t *when);
/* The instants at which clocks show a local time (told as if it were UTC), in order: one, two when
 * the hour is repeated, or none when it is skipped; then *gap_end is when the clocks went on. */
int tz_instants(const struct tz *z, int64_t local_s, int64_t out[2], int64_t *gap_end);

static inline void tz_free_p(struct tz **p)
{
	tz_free(*p);
}

#endif
