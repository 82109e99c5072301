/* clock.h - wall and steady time with units in the type. Any thread. Tests may shift both. */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include <stdint.h>

typedef int64_t wall_ms; /* since the epoch */
typedef int64_t wall_us;
typedef int64_t mono_ms; /* steady, for durations and deadlines */

wall_ms clock_wall_ms(void);
wall_us clock_wall_us(void);
mono_ms clock_mono_ms(void);
wall_ms clock_boot_ms(void);  /* when the host was started */
void clock_shift(int64_t ms); /* tests only: added to all three from now on */

#define CLOCK_ISO_LEN 33
void clock_iso(wall_ms t, char out[CLOCK_ISO_LEN]);    /* 2026-01-31T12:00:00Z */
void clock_iso_us(wall_us t, char out[CLOCK_ISO_LEN]); /* 2026-01-31T12:00:00.123456+00:00 */

#endif
