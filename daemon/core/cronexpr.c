#include "daemon/core/cronexpr.h"
#include "proto/auto.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define DAY	   86400
#define ALL_HOURS  0xffffffu
#define YEARS_MAX  9 /* from one 29th of February to the next, past 2100 */
#define CHANGES	   8 /* of the offset, that are looked at around a day */
#define OFFSET_MAX (26 * 3600)

/* --- fields --------------------------------------------------------------------------------------
 */

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
					  "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const struct field {
	const char *name;
	int min, max;
	const char *const *names; /* of min, min + 1 ...; or NULL */
} fields[] = {
	{"minute", 0, 59, NULL},
	{"hour", 0, 23, NULL},
	{"day of the month", 1, 31, NULL},
	{"month", 1, 12, month_names},
	{"day of the week", 0, 7, day_names},
};
enum { N_FIELDS = ARRAY_LEN(fields) };

static int wrong(struct err *err, const struct field *f, const char *what, const char *text,
		 size_t n)
{
	return err_set(err, ERR_INVALID_PARAMS, "%s: %.*s %s.", f->name, (int)(n < 40 ? n : 40),
		       text, what);
}

/* A number or a name at the start of text; how many bytes it takes, 0 when it is none. */
static size_t read_value(const struct field *f, const char *text, size_t n, int *out)
{
	size_t used = 0;
	int v = 0;

	while (used < n && used < 4 && isdigit((unsigned char)text[used]))
		v = v * 10 + text[used++] - '0';
	for (int i = 0; !used && f->names && f->names[i]; i++)
		if (n >= 3 && strncasecmp(text, f->names[i], 3) == 0) {
			v = f->min + i;
			used = 3;
		}
	*out = v;
	return used;
}

static int check_range(const struct field *f, int from, int to, const char *text, size_t n,
		       struct err *err)
{
	char limits[80];

	snprintf(limits, sizeof limits, "is not within %d to %d", f->min, f->max);
	if (from < f->min || to > f->max || from > f->max)
		return wrong(err, f, limits, text, n);
	if (from > to)
		return wrong(err, f, "ends before it begins", text, n);
	return 0;
}

/* "*", "5", "1-5", each with or without "/2". */
static int read_part(const struct field *f, const char *text, size_t n, uint64_t *set,
		     struct err *err)
{
	int from = f->min, to = f->max, step = 1;
	bool single = false;
	size_t at, used;

	if (n > 0 && text[0] == '*') {
		at = 1;
		to = f->max - (f->max == 7); /* Sunday has two numbers */
	} else {
		at = read_value(f, text, n, &from);
		to = from;
		single = true;
		if (at && at < n && text[at] == '-') {
			single = false;
			used = read_value(f, text + at + 1, n - at - 1, &to);
			at = used ? at + 1 + used : 0;
		}
	}
	if (at && at < n && text[at] == '/') {
		if (single)
			return wrong(err, f, "has a step, which needs a range or *", text, n);
		used = read_value(&(struct field){.name = f->name}, text + at + 1, n - at - 1,
				  &step);
		at = used ? at + 1 + used : 0;
		if (at && (step < 1 || step > f->max))
			return wrong(err, f, "has a step that is too small or too large", text, n);
	}
	if (!at || at != n)
		return wrong(err, f, "is no number, range, list or step", text, n);
	if (check_range(f, from, to, text, n, err) < 0)
		return -1;
	for (int v = from; v <= to; v += step)
		*set |= 1ULL << v;
	return 0;
}

static int read_field(const struct field *f, const char *text, size_t n, uint64_t *set,
		      struct err *err)
{
	*set = 0;
	for (;;) {
		const char *comma = memchr(text, ',', n);
		size_t part = comma ? (size_t)(comma - text) : n;

		if (!part)
			return err_set(err, ERR_INVALID_PARAMS, "%s: a part of the list is empty.",
				       f->name);
		if (read_part(f, text, part, set, err) < 0)
			return -1;
		if (!comma)
			return 0;
		text += part + 1;
		n -= part + 1;
	}
}

static int count_fields(const char *p)
{
	int n = 0;

	for (p += strspn(p, " \t"); *p; p += strspn(p, " \t"), n++)
		p += strcspn(p, " \t");
	return n;
}

static int read_fields(const char *text, struct cronexpr *out, struct err *err)
{
	uint64_t sets[N_FIELDS];
	const char *p = text;
	bool star[N_FIELDS];
	int n = count_fields(text);

	if (n < N_FIELDS)
		return err_set(err, ERR_INVALID_PARAMS,
			       "\"%.60s\" is no schedule: a cron expression has five fields, "
			       "minute hour day month weekday; others are \"every 10 minutes\", "
			       "\"hourly:30\" and \"daily:06:30\".",
			       text);
	if (n > N_FIELDS)
		return err_set(err, ERR_INVALID_PARAMS,
			       "\"%.60s\" has more than the five fields of a cron expression.",
			       text);
	for (int i = 0; i < N_FIELDS; i++) {
		size_t len;

		p += strspn(p, " \t");
		len = strcspn(p, " \t");
		star[i] = p[0] == '*';
		if (read_field(&fields[i], p, len, &sets[i], err) < 0)
			return -1;
		p += len;
	}
	*out = (struct cronexpr){.minutes = sets[0],
				 .hours = (uint32_t)sets[1],
				 .days = (uint32_t)sets[2],
				 .months = (uint16_t)sets[3],
				 .weekdays = (uint8_t)((sets[4] | sets[4] >> 7) & 0x7f),
				 .any_day = star[2],
				 .any_weekday = star[4]};
	return 0;
}

/* --- schedules with words ------------------------------------------------------------------------
 */

static const struct {
	const char *word, *fields;
} shortcuts[] = {
	{"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
	{"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
	{"@hourly", "0 * * * *"}, {"hourly", "0 * * * *"},
};

static bool digits(const char *s, int n)
{
	for (int i = 0; i < n; i++)
		if (!isdigit((unsigned char)s[i]))
			return false;
	return true;
}

static int clock_of(const char *s)
{
	return (s[0] - '0') * 10 + s[1] - '0';
}

/* As fields; 0 when it is none of these. */
static int read_words(const char *text, char out[40], struct err *err)
{
	char unit[12] = "";
	int n = 0, end = 0;

	for (size_t i = 0; i < ARRAY_LEN(shortcuts); i++)
		if (strcmp(text, shortcuts[i].word) == 0)
			return snprintf(out, 40, "%s", shortcuts[i].fields);
	if (strncmp(text, "hourly:", 7) == 0) {
		if (strlen(text) != 9 || !digits(text + 7, 2) || clock_of(text + 7) > 59)
			return err_set(err, ERR_INVALID_PARAMS,
				       "minute: %.40s must be hourly:MM, as hourly:30.", text);
		return snprintf(out, 40, "%d * * * *", clock_of(text + 7));
	}
	if (strncmp(text, "daily:", 6) == 0) {
		if (strlen(text) != 11 || !digits(text + 6, 2) || text[8] != ':' ||
		    !digits(text + 9, 2) || clock_of(text + 6) > 23 || clock_of(text + 9) > 59)
			return err_set(err, ERR_INVALID_PARAMS,
				       "hour: %.40s must be daily:HH:MM, as daily:06:30.", text);
		return snprintf(out, 40, "%d %d * * *", clock_of(text + 9), clock_of(text + 6));
	}
	if (sscanf(text, "every %3d %11s%n", &n, unit, &end) != 2 || text[end])
		return 0;
	if (strcmp(unit, "minutes") == 0 && n > 0 && 60 % n == 0)
		return n == 60 ? snprintf(out, 40, "0 * * * *")
			       : snprintf(out, 40, "*/%d * * * *", n);
	if (strcmp(unit, "hours") == 0 && n > 0 && 24 % n == 0)
		return n == 24 ? snprintf(out, 40, "0 0 * * *")
			       : snprintf(out, 40, "0 */%d * * *", n);
	return err_set(err, ERR_INVALID_PARAMS,
		       "%.40s: the minutes must divide an hour, the hours a day.", text);
}

/* --- which days ----------------------------------------------------------------------------------
 */

/* Where both kinds of day are named, either is enough, as everywhere. */
static bool on_day(const struct cronexpr *e, int64_t day)
{
	struct civil c;
	bool by_month, by_week;

	civil_of(day * DAY, &c);
	if (!(e->months & 1u << c.month))
		return false;
	by_month = e->days & 1u << c.day;
	by_week = e->weekdays & 1u << c.weekday;
	if (e->any_day || e->any_weekday)
		return by_month && by_week;
	return by_month || by_week;
}

int cronexpr_parse(const char *text, struct cronexpr *out, struct err *err)
{
	char as_fields[40];
	int words;

	if (strlen(text) >= CRONEXPR_BYTES)
		return err_set(err, ERR_INVALID_PARAMS, "The schedule is too long.");
	words = read_words(text, as_fields, err);
	if (words < 0 || read_fields(words ? as_fields : text, out, err) < 0)
		return -1;
	for (int64_t day = 0; day < YEARS_MAX * 366; day++)
		if (on_day(out, day))
			return 0;
	return err_set(err, ERR_INVALID_PARAMS,
		       "day of the month: \"%.60s\" never comes, no such month has that day.",
		       text);
}

/* --- the next time -------------------------------------------------------------------------------
 */

/* Spans of one offset each, around a day: [from, to). */
struct span {
	int64_t from, to;
	int offset;
};

static int spans_around(const struct tz *z, int64_t day, struct span out[CHANGES])
{
	int64_t at = day * DAY - OFFSET_MAX, end = (day + 1) * DAY + OFFSET_MAX, next;
	int n = 0;

	while (n < CHANGES) {
		bool more = tz_next_change(z, at, &next);

		out[n++] = (struct span){at, more ? next : INT64_MAX, tz_offset(z, at)};
		if (!more || next > end)
			break;
		at = next;
	}
	return n;
}

struct search {
	const struct cronexpr *e;
	int64_t after, best; /* INT64_MAX: none yet */
	struct span spans[CHANGES];
	int n;
};

static void found(struct search *s, int64_t t)
{
	if (t > s->after && t < s->best)
		s->best = t;
}

/* Times of chosen hours are times of people: one that is skipped comes when the clocks have gone
 * on, one that is repeated comes once. Those of every hour follow the hours as they pass. */
static void try_local(struct search *s, int64_t local)
{
	bool fixed = s->e->hours != ALL_HOURS, seen = false;

	for (int i = 0; i < s->n; i++) {
		int64_t t = local - s->spans[i].offset;

		if (t < s->spans[i].from || t >= s->spans[i].to)
			continue;
		if (!seen || !fixed)
			found(s, t);
		seen = true;
	}
	for (int i = 0; i + 1 < s->n && fixed && !seen; i++)
		if (s->spans[i].to + s->spans[i].offset <= local &&
		    local < s->spans[i].to + s->spans[i + 1].offset)
			found(s, s->spans[i].to);
}

static void search_day(struct search *s, const struct tz *z, int64_t day)
{
	if (!on_day(s->e, day))
		return;
	s->n = spans_around(z, day, s->spans);
	for (int h = 0; h < 24; h++)
		for (int m = 0; m < 60 && s->e->hours & 1u << h; m++)
			if (s->e->minutes & 1ULL << m)
				try_local(s, day * DAY + h * 3600 + m * 60);
}

wall_ms cronexpr_next(const struct cronexpr *e, const struct tz *z, wall_ms after)
{
	int64_t t = after / 1000 - (after % 1000 < 0);
	struct search s = {.e = e, .after = t, .best = INT64_MAX};
	int64_t today = (t + tz_offset(z, t)) / DAY;

	/* From the day before, for clocks may go back over midnight; and one day more than the
	 * first that has a time, as that may be the repeated end of the day before. */
	for (int64_t day = today - 1; day < today + YEARS_MAX * 366; day++) {
		bool had = s.best != INT64_MAX;

		search_day(&s, z, day);
		if (had)
			break;
	}
	return s.best == INT64_MAX ? INT64_MAX : s.best * 1000;
}
