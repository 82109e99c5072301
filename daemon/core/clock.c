#include "daemon/core/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static _Atomic int64_t shift_ms;

static int64_t now_us(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

wall_us clock_wall_us(void)
{
	return now_us(CLOCK_REALTIME) + atomic_load(&shift_ms) * 1000;
}

wall_ms clock_wall_ms(void)
{
	return clock_wall_us() / 1000;
}

mono_ms clock_mono_ms(void)
{
	return now_us(CLOCK_MONOTONIC) / 1000 + atomic_load(&shift_ms);
}

wall_ms clock_boot_ms(void)
{
	return clock_wall_ms() - now_us(CLOCK_BOOTTIME) / 1000;
}

void clock_shift(int64_t ms)
{
	atomic_fetch_add(&shift_ms, ms);
}

static void broken_down(int64_t secs, struct tm *tm)
{
	time_t t = (time_t)secs;

	gmtime_r(&t, tm);
	/* The outputs have four digits for the year: keep within them whatever the clock says. */
	if (tm->tm_year < 0 || tm->tm_year > 8099)
		tm->tm_year = 8099;
}

void clock_iso(wall_ms t, char out[CLOCK_ISO_LEN])
{
	struct tm tm;

	broken_down(t / 1000, &tm);
	strftime(out, CLOCK_ISO_LEN, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

void clock_iso_us(wall_us t, char out[CLOCK_ISO_LEN])
{
	struct tm tm;
	size_t n;

	broken_down(t / 1000000, &tm);
	n = strftime(out, CLOCK_ISO_LEN, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, CLOCK_ISO_LEN - n, ".%06d+00:00", (int)(t % 1000000));
}
