#include "daemon/api/range.h"
#include "proto/buf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static char *trim(char *s)
{
	size_t n;

	s += strspn(s, " \t");
	for (n = strlen(s); n && strchr(" \t", s[n - 1]); n--)
		s[n - 1] = 0;
	return s;
}

static int bad(struct err *err, const char *what)
{
	return err_set(err, ERR_RANGE_INVALID,
		       "Invalid Range header: %s. It has the form FIELD START..END; max=N, "
		       "order=asc.",
		       what);
}

static int parse_option(struct api_range *r, char *opt, struct err *err)
{
	char *value = strchr(opt, '='), *end;
	long n;

	if (!value)
		return *trim(opt) ? bad(err, "an option is NAME=VALUE") : 0;
	*value++ = 0;
	opt = trim(opt);
	value = trim(value);
	if (strcasecmp(opt, "max") == 0) {
		n = strtol(value, &end, 10);
		if (end == value || *end || n < 1)
			return bad(err, "max must be a number from 1 to 1000");
		r->max = n > API_PAGE_MAX ? API_PAGE_MAX : (size_t)n;
	} else if (strcasecmp(opt, "order") == 0) {
		r->desc = strcasecmp(value, "desc") == 0;
		if (!r->desc && strcasecmp(value, "asc") != 0)
			return bad(err, "order must be asc or desc");
	}
	return 0; /* options of other servers mean nothing here */
}

static int parse_options(struct api_range *r, char *opts, struct err *err)
{
	char *save = NULL;

	for (char *o = strtok_r(opts, ",;", &save); o; o = strtok_r(NULL, ",;", &save))
		if (parse_option(r, o, err) < 0)
			return -1;
	return 0;
}

/* One of the words of fields; NULL name = the first. */
static bool pick_field(const char *fields, const char *name, char *out, size_t cap)
{
	size_t n;

	for (const char *f = fields; *f; f += n + strspn(f + n, " ")) {
		n = strcspn(f, " ");
		if (name && (strlen(name) != n || strncmp(f, name, n) != 0))
			continue;
		snprintf(out, cap, "%.*s", (int)n, f);
		return true;
	}
	return false;
}

static bool is_time(const char *field)
{
	return strcmp(field, "created_at") == 0 || strcmp(field, "updated_at") == 0;
}

/* "]FIELD START", "FIELD ]START", "FIELD", "" */
static int parse_start(struct api_range *r, const char *fields, char *s, struct err *err)
{
	char *start, *tie;

	s = trim(s);
	if (*s == ']') {
		r->after = true;
		s = trim(s + 1);
	}
	start = s + strcspn(s, " \t");
	if (*start)
		*start++ = 0;
	if (*s && !pick_field(fields, s, r->field, sizeof r->field))
		return err_set(err, ERR_RANGE_INVALID,
			       "Invalid Range header: this list is sorted by one of: %s.", fields);
	start = trim(start);
	if (*start == ']') {
		r->after = true;
		start = trim(start + 1);
	}
	tie = is_time(r->field) ? strchr(start, '~') : NULL;
	if (tie) {
		*tie++ = 0;
		snprintf(r->start_id, sizeof r->start_id, "%s", tie);
	}
	if (strlen(start) >= sizeof r->start)
		return bad(err, "a bound is too long");
	snprintf(r->start, sizeof r->start, "%s", start);
	return 0;
}

int api_range_parse(const char *header, const char *fields, struct api_range *r, struct err *err)
{
	AUTO(auto_str) char *text = xstrdup(header ? header : "");
	char *s = trim(text), *opts, *dots;

	*r = (struct api_range){.max = API_PAGE};
	pick_field(fields, NULL, r->field, sizeof r->field);
	/* Parts of bodies, as of files, are not offered; that unit is to be ignored (RFC 9110). */
	if (strncasecmp(s, "bytes", 5) == 0 && *trim(s + 5) == '=')
		return 0;
	opts = strchr(s, ';');
	if (opts) {
		*opts++ = 0;
		if (parse_options(r, opts, err) < 0)
			return -1;
	}
	s = trim(s);
	if (!*s)
		return 0;
	dots = strstr(s, "..");
	if (!dots)
		return bad(err, "there is no \"..\"");
	*dots = 0;
	dots = trim(dots + 2);
	if (strlen(dots) >= sizeof r->end)
		return bad(err, "a bound is too long");
	snprintf(r->end, sizeof r->end, "%s", dots);
	return parse_start(r, fields, s, err);
}

/* --- the page --- */

struct order {
	bool numeric, desc;
};

static int by_key(const struct order *o, const struct api_row *a, const struct api_row *b)
{
	int c = o->numeric ? (a->num > b->num) - (a->num < b->num) : strcmp(a->key, b->key);

	return o->desc ? -c : c;
}

static int by_key_and_id(const void *a, const void *b, void *order)
{
	const struct order *o = order;
	const struct api_row *x = a, *y = b;
	int c = by_key(o, x, y);

	if (c == 0)
		c = o->desc ? strcmp(y->id, x->id) : strcmp(x->id, y->id);
	return c;
}

static int bound(const char *text, bool numeric, struct api_row *out, struct err *err)
{
	char *end;

	*out = (struct api_row){.key = text, .id = ""};
	if (!numeric || !*text)
		return 0;
	errno = 0;
	out->num = strtoll(text, &end, 10);
	if (*end || errno)
		return bad(err, "a bound must be a number");
	return 0;
}

/* "1..9; order=desc" is what people write; what is meant is the numbers between, backwards. */
static void swap_bounds(struct api_range *r, struct api_row *low, struct api_row *high)
{
	struct api_row row = *low;
	char text[sizeof r->start];

	memcpy(text, r->start, sizeof text);
	memcpy(r->start, r->end, sizeof r->start);
	memcpy(r->end, text, sizeof r->end);
	*low = *high;
	*high = row;
	low->key = r->start;
	high->key = r->end;
}

static bool begun(const struct api_range *r, struct order *o, const struct api_row *row,
		  const struct api_row *start)
{
	int c;

	if (!*r->start)
		return true;
	c = *start->id ? by_key_and_id(row, start, o) : by_key(o, row, start);
	return r->after ? c > 0 : c >= 0;
}

int api_range_page(struct api_range *r, bool numeric, struct api_row *rows, size_t n,
		   struct api_page *out, struct err *err)
{
	struct order o = {numeric, r->desc};
	struct api_row start, end;
	size_t i = 0, last;

	if (bound(r->start, numeric, &start, err) < 0 || bound(r->end, numeric, &end, err) < 0)
		return -1;
	start.id = r->start_id;
	if (r->desc && !r->after && *r->start && *r->end && by_key(&o, &start, &end) > 0)
		swap_bounds(r, &start, &end);
	if (n > 1)
		qsort_r(rows, n, sizeof *rows, by_key_and_id, &o);
	while (i < n && !begun(r, &o, &rows[i], &start))
		i++;
	for (last = i; last < n && (!*r->end || by_key(&o, &rows[last], &end) <= 0); last++)
		;
	out->first = i;
	out->shown = last - i < r->max ? last - i : r->max;
	out->more = out->shown < last - i;
	return 0;
}

void api_range_next(const struct api_range *r, bool numeric, const struct api_row *last, char *out,
		    size_t cap)
{
	char num[24];
	bool tie = is_time(r->field) && *last->id;

	snprintf(num, sizeof num, "%lld", (long long)last->num);
	snprintf(out, cap, "]%s %s%s%s..%s; max=%zu%s", r->field, numeric ? num : last->key,
		 tie ? "~" : "", tie ? last->id : "", r->end, r->max,
		 r->desc ? ", order=desc" : "");
}
