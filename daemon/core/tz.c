#include "daemon/core/tz.h"
#include "daemon/core/fsx.h"
#include "proto/auto.h"
#include "proto/buf.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define ZONES	   "/usr/share/zoneinfo"
#define FILE_BYTES (64 * 1024)
#define DAY	   86400
/* Clocks are never further from UTC than this. */
#define OFFSET_MAX (26 * 3600)
/* Years 1 to 9999; files have changes before, up to the beginning of the world. */
#define AT_MIN (-62135596800)
#define AT_MAX 253402300799

/* One end of summer time, as POSIX's TZ writes it: Jn, n, or Mm.w.d, and a time of the day. */
struct rule {
	enum { RULE_JULIAN, RULE_DAY, RULE_WEEK } kind;
	int day, month, week;
	int time_s; /* may lie outside of the day */
};

struct tz {
	int n;		 /* changes */
	int64_t *at;	 /* owned, n: in order */
	int32_t *offset; /* owned, n + 1: the first holds before all changes */
	/* after the last change */
	bool summer; /* the rules are followed, else std_s holds */
	int std_s, dst_s;
	struct rule begin, end; /* of summer time */
};

void tz_free(struct tz *z)
{
	if (!z)
		return;
	free(z->at);
	free(z->offset);
	free(z);
}

/* --- dates ------------------------------------------------------------------------------------ */

static bool is_leap(int64_t y)
{
	return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

int64_t civil_days(int year, int month, int day)
{
	/* Counted from March on, a leap day is the last of its year. */
	int64_t m = (int64_t)month - 3, y = year + floor_div(m, 12);
	int64_t mp = m - floor_div(m, 12) * 12;

	return y * 365 + floor_div(y, 4) - floor_div(y, 100) + floor_div(y, 400) +
	       (mp * 153 + 2) / 5 + day - 1 - 719468;
}

void civil_of(int64_t local_s, struct civil *out)
{
	int64_t days = floor_div(local_s, DAY), rest = local_s - days * DAY;
	int64_t z = days + 719468, era = floor_div(z, 146097), doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;

	out->day = (int)(doy - (153 * mp + 2) / 5 + 1);
	out->month = (int)(mp < 10 ? mp + 3 : mp - 9);
	out->year = (int)(yoe + era * 400 + (out->month <= 2));
	out->hour = (int)(rest / 3600);
	out->minute = (int)(rest / 60 % 60);
	out->second = (int)(rest % 60);
	out->weekday = (int)(((days + 4) % 7 + 7) % 7);
}

/* --- the rule for the years to come: "CET-1CEST,M3.5.0,M10.5.0/3" -------------------------------
 */

static bool skip_name(const char **p)
{
	const char *s = *p;

	if (*s == '<') {
		while (*s && *s != '>')
			s++;
		if (!*s)
			return false;
		*p = s + 1;
		return true;
	}
	while (isalpha((unsigned char)*s))
		s++;
	if (s - *p < 3)
		return false;
	*p = s;
	return true;
}

static bool number(const char **p, int max, int *out)
{
	int v = 0, n = 0;

	for (; n < 4 && isdigit((unsigned char)**p); n++)
		v = v * 10 + *(*p)++ - '0';
	*out = v;
	return n > 0 && v <= max;
}

/* [+-]hh[:mm[:ss]] */
static bool seconds(const char **p, int *out)
{
	int sign = **p == '-' ? -1 : 1, v[3] = {0};

	if (**p == '-' || **p == '+')
		++*p;
	if (!number(p, 167, &v[0]))
		return false;
	for (int i = 1; i < 3 && **p == ':'; i++) {
		++*p;
		if (!number(p, 59, &v[i]))
			return false;
	}
	*out = sign * (v[0] * 3600 + v[1] * 60 + v[2]);
	return true;
}

static bool parse_rule(const char **p, struct rule *r)
{
	*r = (struct rule){.kind = RULE_DAY, .time_s = 7200};
	if (**p != ',')
		return false;
	++*p;
	if (**p == 'M') {
		++*p;
		r->kind = RULE_WEEK;
		if (!number(p, 12, &r->month) || r->month < 1 || *(*p)++ != '.' ||
		    !number(p, 5, &r->week) || r->week < 1 || *(*p)++ != '.' ||
		    !number(p, 6, &r->day))
			return false;
	} else if (**p == 'J') {
		++*p;
		r->kind = RULE_JULIAN;
		if (!number(p, 365, &r->day) || r->day < 1)
			return false;
	} else if (!number(p, 365, &r->day)) {
		return false;
	}
	if (**p != '/')
		return true;
	++*p;
	return seconds(p, &r->time_s);
}

static bool parse_footer(const char *s, struct tz *z)
{
	if (!skip_name(&s) || !seconds(&s, &z->std_s))
		return false;
	z->std_s = -z->std_s; /* POSIX counts westwards */
	if (!*s)
		return true;
	if (!skip_name(&s))
		return false;
	z->dst_s = z->std_s + 3600;
	if (*s && *s != ',') {
		if (!seconds(&s, &z->dst_s))
			return false;
		z->dst_s = -z->dst_s;
	}
	z->summer = true;
	return parse_rule(&s, &z->begin) && parse_rule(&s, &z->end) && !*s;
}

/* Local seconds of a rule in a year. */
static int64_t rule_local(const struct rule *r, int year)
{
	int64_t day;
	struct civil c;

	switch (r->kind) {
	case RULE_JULIAN: /* the 29th of February is not counted */
		day = civil_days(year, 1, 1) + r->day - 1 + (is_leap(year) && r->day >= 60);
		break;
	case RULE_DAY:
		day = civil_days(year, 1, 1) + r->day;
		break;
	default:
		day = civil_days(year, r->month, 1);
		civil_of(day * DAY, &c);
		day += (r->day - c.weekday + 7) % 7 + 7 * (r->week - 1);
		while (day >= civil_days(year, r->month + 1, 1)) /* week 5: the last */
			day -= 7;
	}
	return day * DAY + r->time_s;
}

/* Of a year, both ends; the first that comes first. */
static void rule_changes(const struct tz *z, int year, int64_t at[2], int to[2])
{
	int64_t begin = rule_local(&z->begin, year) - z->std_s;
	int64_t end = rule_local(&z->end, year) - z->dst_s;
	bool south = end < begin;

	at[south] = begin;
	to[south] = z->dst_s;
	at[!south] = end;
	to[!south] = z->std_s;
}

static int rule_offset(const struct tz *z, int64_t t)
{
	struct civil c;
	int offset = z->std_s;
	int64_t at[2];
	int to[2];

	if (!z->summer)
		return offset;
	civil_of(t, &c);
	/* The last change that is not after t; one of the year before holds on to the first. */
	for (int y = c.year - 1; y <= c.year + 1; y++) {
		rule_changes(z, y, at, to);
		for (int i = 0; i < 2; i++)
			if (at[i] <= t)
				offset = to[i];
	}
	return offset;
}

/* --- looking ------------------------------------------------------------------------------------
 */

/* How many changes are not after t. */
static int changes_until(const struct tz *z, int64_t t)
{
	int lo = 0, hi = z->n;

	while (lo < hi) {
		int mid = (lo + hi) / 2;

		if (z->at[mid] <= t)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int tz_offset(const struct tz *z, int64_t t)
{
	int k = changes_until(z, t);

	return k < z->n ? z->offset[k] : rule_offset(z, t);
}

bool tz_next_change(const struct tz *z, int64_t t, int64_t *when)
{
	int k = changes_until(z, t);
	struct civil c;
	int64_t at[2];
	int to[2];

	if (k < z->n) {
		*when = z->at[k];
		return true;
	}
	if (!z->summer || z->std_s == z->dst_s)
		return false;
	civil_of(t, &c);
	for (int y = c.year - 1; y <= c.year + 2; y++) {
		rule_changes(z, y, at, to);
		for (int i = 0; i < 2; i++)
			if (at[i] > t && tz_offset(z, at[i]) != tz_offset(z, at[i] - 1)) {
				*when = at[i];
				return true;
			}
	}
	return false;
}

int tz_instants(const struct tz *z, int64_t local_s, int64_t out[2], int64_t *gap_end)
{
	int64_t from = local_s - OFFSET_MAX, to = 0;
	int n = 0;

	while (from <= local_s + OFFSET_MAX && n < 2) {
		int offset = tz_offset(z, from);
		bool more = tz_next_change(z, from, &to);
		int64_t t = local_s - offset;

		if (t >= from && (!more || t < to))
			out[n++] = t;
		if (!more)
			break;
		if (to + offset <= local_s && local_s < to + tz_offset(z, to))
			*gap_end = to;
		from = to;
	}
	return n;
}

/* --- files (RFC 8536) ----------------------------------------------------------------------------
 */

struct reader {
	const unsigned char *p;
	size_t left;
};

static int64_t be(const unsigned char *p, int n)
{
	uint64_t v = p[0] & 0x80 ? UINT64_MAX : 0;

	for (int i = 0; i < n; i++)
		v = v << 8 | p[i];
	return (int64_t)v;
}

struct head {
	char version;
	int64_t isut, isstd, leap, time, type, chars;
};

static bool read_head(struct reader *r, struct head *h)
{
	if (r->left < 44 || memcmp(r->p, "TZif", 4) != 0)
		return false;
	*h = (struct head){(char)r->p[4],    be(r->p + 20, 4), be(r->p + 24, 4), be(r->p + 28, 4),
			   be(r->p + 32, 4), be(r->p + 36, 4), be(r->p + 40, 4)};
	r->p += 44;
	r->left -= 44;
	for (const int64_t *v = &h->isut; v <= &h->chars; v++)
		if (*v < 0 || *v > FILE_BYTES)
			return false;
	return true;
}

static bool skip(struct reader *r, int64_t n)
{
	if ((int64_t)r->left < n)
		return false;
	r->p += n;
	r->left -= (size_t)n;
	return true;
}

static int64_t body_bytes(const struct head *h, int time_bytes)
{
	return h->time * (time_bytes + 1) + h->type * 6 + h->chars + h->leap * (time_bytes + 4) +
	       h->isstd + h->isut;
}

static bool read_body(struct reader *r, const struct head *h, struct tz *z)
{
	const unsigned char *times = r->p, *index = times + h->time * 8, *types = index + h->time;

	int64_t at, before = 0;

	if (h->type < 1 || h->leap || !skip(r, body_bytes(h, 8)))
		return false; /* leap seconds: no clock that we have shows them */
	z->n = (int)h->time;
	z->at = xcalloc((size_t)z->n + 1, sizeof *z->at);
	z->offset = xcalloc((size_t)z->n + 1, sizeof *z->offset);
	for (int i = 0; i <= z->n; i++) {
		int type = i ? index[i - 1] : 0;

		if (type >= h->type)
			return false;
		z->offset[i] = (int32_t)be(types + type * 6, 4);
		if (z->offset[i] < -OFFSET_MAX || z->offset[i] > OFFSET_MAX)
			return false;
		if (!i)
			continue;
		at = be(times + (size_t)(i - 1) * 8, 8);
		if (at > AT_MAX || (i > 1 && at <= before))
			return false;
		before = at;
		z->at[i - 1] = at < AT_MIN ? AT_MIN : at;
	}
	return true;
}

static bool read_footer(struct reader *r, struct tz *z)
{
	char text[128];
	const unsigned char *end;

	z->std_s = z->offset[z->n]; /* without a rule nothing changes any more */
	if (r->left < 2 || r->p[0] != '\n' || !(end = memchr(r->p + 1, '\n', r->left - 1)))
		return false;
	if (end == r->p + 1)
		return true;
	if ((size_t)(end - r->p) > sizeof text)
		return false;
	snprintf(text, sizeof text, "%.*s", (int)(end - r->p - 1), (const char *)r->p + 1);
	return parse_footer(text, z);
}

int tz_parse(const void *data, size_t n, struct tz **out, struct err *err)
{
	AUTO(tz_free) struct tz *z = xcalloc(1, sizeof *z);
	struct reader r = {data, n};
	struct head h;

	/* The first part has 32 bits only; what counts follows it. */
	if (!read_head(&r, &h) || h.version < '2' || !skip(&r, body_bytes(&h, 4)) ||
	    !read_head(&r, &h) || !read_body(&r, &h, z) || !read_footer(&r, z))
		return err_set(err, ERR_CORRUPT, "malformed time zone file");
	*out = STEAL(z);
	return 0;
}

/* Area/Place: no dots, so nothing above the folder can be named. */
static bool is_name(const char *s)
{
	size_t n = strlen(s);

	if (n < 1 || n >= TZ_NAME || s[0] == '/' || s[n - 1] == '/')
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("_+-/", *s))
			return false;
	return true;
}

int tz_load(const char *name, struct tz **out, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	AUTO(auto_str) char *path = NULL;
	struct err none = {0};

	if (strcmp(name, "UTC") == 0) {
		*out = xcalloc(1, sizeof **out);
		(*out)->offset = xcalloc(1, sizeof *(*out)->offset);
		return 0;
	}
	path = xasprintf("%s/%s", ZONES, name);
	if (is_name(name) && fs_read(path, FILE_BYTES, &b, &none) == 0 &&
	    tz_parse(b.data, b.len, out, &none) == 0)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS,
		       "There is no time zone %.64s: use a name like Europe/Berlin, or UTC.", name);
}
