/* Reading with a place: problems know where they are; values of the usual kinds. */
#include "daemon/appjson/appjson_int.h"
#include "proto/names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void appjson_problems_clear(struct appjson_problems *p)
{
	free(p->v);
	*p = (struct appjson_problems){0};
}

void appjson_problem_line(const struct appjson_problem *p, const char *file, char out[512])
{
	char place[32] = "";

	if (p->line)
		snprintf(place, sizeof place, ":%d:%d", p->line, p->column);
	snprintf(out, 512, "%.90s%s: %s%s%s", file, place, p->where, p->where[0] ? " " : "",
		 p->text);
}

void aj_in_key(struct aj_reader *r, const char *key)
{
	r->path[r->depth++] = (struct aj_seg){.key = key};
}

void aj_in_index(struct aj_reader *r, size_t i)
{
	r->path[r->depth++] = (struct aj_seg){.index = i};
}

void aj_out(struct aj_reader *r)
{
	r->depth--;
}

/* Keys are the file's: what could disturb a terminal is not shown as it is. */
static void add_key(struct buf *b, const char *key)
{
	if (b->len)
		buf_addc(b, '.');
	for (const char *p = key; *p; p++)
		buf_addc(b, (unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p);
}

static void write_where(const struct aj_reader *r, char *out, size_t cap)
{
	AUTO(buf_clear) struct buf b = {0};

	for (int i = 0; i < r->depth; i++)
		if (r->path[i].key)
			add_key(&b, r->path[i].key);
		else
			buf_addf(&b, "[%zu]", r->path[i].index);
	snprintf(out, cap, "%s", buf_str(&b));
}

static void add_problem(struct aj_reader *r, bool of_key, const char *fmt, va_list ap)
{
	struct appjson_problem p = {0};

	if (r->quiet || r->problems.n >= LIM_APPJSON_PROBLEMS)
		return;
	aj_locate(r->text, r->n, r->path, r->depth, of_key, &p.line, &p.column);
	write_where(r, p.where, sizeof p.where);
	vsnprintf(p.text, sizeof p.text, fmt, ap);
	r->problems.v = xrealloc(r->problems.v, (size_t)(r->problems.n + 1) * sizeof p);
	r->problems.v[r->problems.n++] = p;
}

void aj_problem(struct aj_reader *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_problem(r, false, fmt, ap);
	va_end(ap);
}

void aj_problem_key(struct aj_reader *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_problem(r, true, fmt, ap);
	va_end(ap);
}

/* --- objects --- */

/* How many letters apart two words are, at most 9 (Damerau-Levenshtein of neighbours). */
static int apart(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	int d[33][33];

	if (n > 32 || m > 32)
		return 9;
	for (size_t i = 0; i <= n; i++)
		for (size_t j = 0; j <= m; j++) {
			int same = i && j &&
						   tolower((unsigned char)a[i - 1]) ==
							   tolower((unsigned char)b[j - 1])
					   ? 0
					   : 1;
			int best = i == 0 ? (int)j : j == 0 ? (int)i : d[i - 1][j - 1] + same;

			if (i && j && d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (i && j && d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	return d[n][m];
}

static void unknown_key(struct aj_reader *r, const struct aj_key *keys,
			const struct aj_elsewhere *elsewhere)
{
	const char *name = r->path[r->depth - 1].key, *near = NULL;
	int least = 3;

	for (const struct aj_elsewhere *e = elsewhere; e && e->name; e++)
		if (strcmp(e->name, name) == 0) {
			aj_problem_key(r, "belongs in %s", e->where);
			return;
		}
	for (const struct aj_key *k = keys; k->name; k++)
		if (apart(name, k->name) < least) {
			least = apart(name, k->name);
			near = k->name;
		}
	if (near)
		aj_problem_key(r, "is no known key; did you mean %s?", near);
	else
		aj_problem_key(r, "is no known key");
}

void aj_object(struct aj_reader *r, const json_t *v, const struct aj_key *keys,
	       const struct aj_elsewhere *elsewhere, void *out)
{
	const char *name;
	const json_t *value;

	if (!aj_is_object(r, v, LIM_APPJSON_ITEMS))
		return;
	for (void *it = json_object_iter((json_t *)v); it;
	     it = json_object_iter_next((json_t *)v, it)) {
		const struct aj_key *k = keys;

		name = json_object_iter_key(it);
		value = json_object_iter_value(it);
		while (k->name && strcmp(k->name, name) != 0)
			k++;
		aj_in_key(r, name);
		if (k->name)
			k->fn(r, value, (char *)out + k->offset);
		else
			unknown_key(r, keys, elsewhere);
		aj_out(r);
	}
	for (const struct aj_key *k = keys; k->name; k++)
		if (k->required && !json_object_get(v, k->name))
			aj_problem(r, "has no \"%s\", which it must have", k->name);
}

/* --- values --- */

void aj_set(char **field, const char *value)
{
	free(*field);
	*field = xstrdup(value);
}

static const char *kind(const json_t *v)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list",  [JSON_STRING] = "a text",
		[JSON_INTEGER] = "a number", [JSON_REAL] = "a number", [JSON_TRUE] = "true",
		[JSON_FALSE] = "false",	     [JSON_NULL] = "null",
	};

	return names[json_typeof(v)];
}

/* The text of v, or NULL after a complaint. */
static const char *get_text(struct aj_reader *r, const json_t *v, size_t max, bool lines)
{
	const char *s = json_string_value(v);

	if (!s && (json_is_number(v) || json_is_boolean(v)))
		aj_problem(r, "must be a text, in quotes, not %s", kind(v));
	else if (!s)
		aj_problem(r, "must be a text, not %s", kind(v));
	if (!s)
		return NULL;
	if (json_string_length(v) > max) {
		aj_problem(r, "is longer than %zu bytes", max);
		return NULL;
	}
	for (const char *p = s; *p; p++)
		if (((unsigned char)*p < 0x20 && !(lines && strchr("\t\r\n", *p))) || *p == 0x7f) {
			aj_problem(r, lines ? "has control characters in it"
					    : "must be one line without control characters");
			return NULL;
		}
	return s;
}

void aj_text(struct aj_reader *r, const json_t *v, void *field)
{
	const char *s = get_text(r, v, LIM_APPJSON_TEXT, true);

	if (s)
		aj_set(field, s);
}

static void filled(struct aj_reader *r, const char *s, char **field)
{
	if (!s)
		return;
	if (!s[strspn(s, " \t\r\n")])
		aj_problem(r, "must not be empty");
	else
		aj_set(field, s);
}

void aj_line(struct aj_reader *r, const json_t *v, void *field)
{
	filled(r, get_text(r, v, LIM_APPJSON_TEXT, false), field);
}

void aj_command(struct aj_reader *r, const json_t *v, void *field)
{
	filled(r, get_text(r, v, LIM_COMMAND, true), field);
}

void aj_url(struct aj_reader *r, const json_t *v, void *field)
{
	const char *s = get_text(r, v, LIM_OUT_URL, false), *host;

	if (!s)
		return;
	host = strncmp(s, "https://", 8) == 0 ? s + 8 : strncmp(s, "http://", 7) == 0 ? s + 7 : "";
	if (!*host || *host == '/' || strchr(s, ' '))
		aj_problem(r, "must be an address: https://...");
	else
		aj_set(field, s);
}

void aj_bool(struct aj_reader *r, const json_t *v, void *field)
{
	if (json_is_boolean(v))
		*(bool *)field = json_is_true(v);
	else
		aj_problem(r, "must be true or false, not %s", kind(v));
}

bool aj_int(struct aj_reader *r, const json_t *v, int min, int max, int *out)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v))
		aj_problem(r, "must be a whole number, not %s", kind(v));
	else if (n < min || n > max)
		aj_problem(r, "must be between %d and %d", min, max);
	else
		*out = (int)n;
	return json_is_integer(v) && n >= min && n <= max;
}

void aj_word(struct aj_reader *r, const json_t *v, const char *const *words, char **out)
{
	AUTO(buf_clear) struct buf all = {0};
	const char *s = json_string_value(v);

	for (int i = 0; words[i]; i++) {
		if (s && strcmp(s, words[i]) == 0) {
			aj_set(out, s);
			return;
		}
		buf_addf(&all, "%s\"%s\"", i == 0 ? "" : words[i + 1] ? ", " : " or ", words[i]);
	}
	aj_problem(r, "must be %s", buf_str(&all));
}

/* Names of dyno sizes (Dev Center: Dyno Types); of which limits each has, daemon/dyno/sizes.c. */
static const char *const sizes[] = {
	"basic",	   "eco",	    "standard-1x",	 "standard-2x",
	"performance-m",   "performance-l", "performance-l-ram", "performance-xl",
	"performance-2xl",
};

void aj_size(struct aj_reader *r, const json_t *v, void *field)
{
	const char *s = json_string_value(v);

	for (size_t i = 0; s && i < ARRAY_LEN(sizes); i++)
		if (strcasecmp(s, sizes[i]) == 0) {
			aj_set(field, s);
			return;
		}
	aj_problem(r, "must be a dyno size: basic, eco, standard-1x, standard-2x, performance-m, "
		      "performance-l, performance-l-ram, performance-xl or performance-2xl");
}

bool aj_is_list(struct aj_reader *r, const json_t *v, size_t max)
{
	if (!json_is_array(v))
		aj_problem(r, "must be a list, not %s", kind(v));
	else if (json_array_size(v) > max)
		aj_problem(r, "has more than %zu items", max);
	return json_is_array(v) && json_array_size(v) <= max;
}

bool aj_is_object(struct aj_reader *r, const json_t *v, size_t max)
{
	if (!json_is_object(v))
		aj_problem(r, "must be an object, not %s", kind(v));
	else if (json_object_size(v) > max)
		aj_problem(r, "has more than %zu keys", max);
	return json_is_object(v) && json_object_size(v) <= max;
}
