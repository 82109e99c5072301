#include "daemon/build/slugignore.h"
#include "proto/buf.h"

#include <ctype.h>
#include <string.h>

struct pattern {
	char **seg; /* owned; between slashes; "**" alone spans any number of them */
	int n;
	bool dir_only;
};

struct slugignore {
	struct pattern *v; /* owned */
	int n;
};

static const struct {
	const char *name;
	int (*is)(int c);
} classes[] = {
	{"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank}, {"cntrl", iscntrl},
	{"digit", isdigit}, {"graph", isgraph}, {"lower", islower}, {"print", isprint},
	{"punct", ispunct}, {"space", isspace}, {"upper", isupper}, {"xdigit", isxdigit},
};

/* "[:alpha:]" at p: its length when it is one (then *hit), else 0. */
static size_t match_class(const char *p, unsigned char c, bool *hit)
{
	const char *end = strstr(p, ":]");
	size_t n;

	if (p[0] != '[' || p[1] != ':' || !end)
		return 0;
	n = (size_t)(end - (p + 2));
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (strlen(classes[i].name) == n && !strncmp(classes[i].name, p + 2, n)) {
			*hit |= classes[i].is(c) != 0;
			return n + 4;
		}
	return 0;
}

/* A bracket expression at p ("[" included): its length, 0 when it never ends (then "[" is itself).
 */
static size_t match_set(const char *p, unsigned char c, bool *hit)
{
	const char *q = p + 1;
	bool invert = *q == '!' || *q == '^', first = true, in = false;

	q += invert;
	for (; *q && (*q != ']' || first); first = false) {
		size_t skip = match_class(q, c, &in);
		unsigned char lo, hi;

		if (skip) {
			q += skip;
			continue;
		}
		if (*q == '\\' && q[1])
			q++;
		lo = hi = (unsigned char)*q++;
		if (*q == '-' && q[1] && q[1] != ']') {
			q++;
			if (*q == '\\' && q[1])
				q++;
			hi = (unsigned char)*q++;
		}
		in |= c >= lo && c <= hi;
	}
	if (*q != ']')
		return 0;
	*hit = in != invert;
	return (size_t)(q + 1 - p);
}

/* Length of the pattern's first element when it matches c, else 0. */
static size_t match_one(const char *p, unsigned char c)
{
	bool hit = false;
	size_t n;

	switch (*p) {
	case 0:
		return 0;
	case '?':
		return 1;
	case '[':
		n = match_set(p, c, &hit);
		if (n)
			return hit ? n : 0;
		return c == '[';
	case '\\':
		if (p[1])
			return (unsigned char)p[1] == c ? 2 : 0;
		return c == '\\';
	default:
		return (unsigned char)*p == c;
	}
}

/* Only the last star is ever tried again: no pattern is exponential. */
static bool match_segment(const char *p, const char *s, size_t n)
{
	const char *star = NULL, *end = s + n, *back = s;

	while (s < end) {
		size_t used;

		if (*p == '*') {
			star = ++p;
			back = s;
			continue;
		}
		used = match_one(p, (unsigned char)*s);
		if (used) {
			p += used;
			s++;
		} else if (star) {
			p = star;
			s = ++back;
		} else {
			return false;
		}
	}
	while (*p == '*')
		p++;
	return *p == 0;
}

static bool any_depth(const struct pattern *p, int i)
{
	return i < p->n && !strcmp(p->seg[i], "**");
}

/* The same with segments for characters and "**" for the star. */
static bool match_pattern(const struct pattern *p, const char *rel)
{
	int i = 0, star = -1;
	const char *s = rel, *back = rel;

	while (*s) {
		size_t n = strcspn(s, "/");

		if (any_depth(p, i)) {
			star = ++i;
			back = s;
			// "a/**" is what lies in a, not a itself: "**" has a segment to eat here
			if (i == p->n)
				return true;
			continue;
		}
		if (i < p->n && match_segment(p->seg[i], s, n)) {
			i++;
			s += n;
		} else if (star >= 0) {
			i = star;
			back += strcspn(back, "/");
			back += *back == '/';
			s = back;
			continue;
		} else {
			return false;
		}
		s += *s == '/';
	}
	return i == p->n;
}

bool slugignore_match(const struct slugignore *ig, const char *rel, bool is_dir)
{
	for (int i = 0; i < ig->n; i++)
		if ((is_dir || !ig->v[i].dir_only) && match_pattern(&ig->v[i], rel))
			return true;
	return false;
}

static void add_segment(struct pattern *p, const char *s, size_t n)
{
	/* "**" twice is "**" */
	if (p->n && n == 2 && !memcmp(s, "**", 2) && !strcmp(p->seg[p->n - 1], "**"))
		return;
	p->seg = xrealloc(p->seg, ((size_t)p->n + 1) * sizeof(*p->seg));
	p->seg[p->n++] = xstrndup(s, n);
}

/* Trailing blanks go unless escaped. */
static size_t line_end(const char *s, size_t n)
{
	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r')) {
		size_t slashes = 0;

		while (slashes + 1 < n && s[n - 2 - slashes] == '\\')
			slashes++;
		if (slashes % 2)
			break;
		n--;
	}
	return n;
}

static void add_pattern(struct slugignore *ig, const char *s, size_t n)
{
	struct pattern p = {0};
	bool anchored;

	if (n && s[n - 1] == '/') {
		p.dir_only = true;
		while (n && s[n - 1] == '/')
			n--;
	}
	if (n == 0)
		return;
	anchored = memchr(s, '/', n) != NULL;
	if (!anchored)
		add_segment(&p, "**", 2);
	while (n) {
		const char *slash = memchr(s, '/', n);
		size_t len = slash ? (size_t)(slash - s) : n;

		if (len)
			add_segment(&p, s, len);
		s += len + (slash != NULL);
		n -= len + (slash != NULL);
	}
	ig->v = xrealloc(ig->v, ((size_t)ig->n + 1) * sizeof(*ig->v));
	ig->v[ig->n++] = p;
}

static void tell(void (*warn)(const char *line, void *arg), void *arg, int line, const char *what)
{
	AUTO(auto_str) char *text = NULL;

	if (!warn)
		return;
	text = xasprintf(".slugignore:%d: %s", line, what);
	warn(text, arg);
}

struct slugignore *slugignore_parse(const char *p, size_t n,
				    void (*warn)(const char *line, void *arg), void *arg)
{
	struct slugignore *ig = xcalloc(1, sizeof(*ig));

	if (n >= 3 && !memcmp(p, "\xef\xbb\xbf", 3))
		p += 3, n -= 3;
	for (int line = 1; n; line++) {
		const char *nl = memchr(p, '\n', n);
		size_t len = nl ? (size_t)(nl - p) : n, used = line_end(p, len);

		if (used == 0 || p[0] == '#')
			;
		else if (ig->n == SLUGIGNORE_PATTERNS) {
			tell(warn, arg, line, "too many patterns, the rest is left out");
			break;
		} else if (memchr(p, 0, used))
			tell(warn, arg, line, "there is a NUL byte, the line is left out");
		else if (p[0] == '!')
			tell(warn, arg, line,
			     "negation (!) is not supported, the line is left out");
		else
			add_pattern(ig, p, used);
		p += len + (nl != NULL);
		n -= len + (nl != NULL);
	}
	return ig;
}

void slugignore_free(struct slugignore *ig)
{
	if (!ig)
		return;
	for (int i = 0; i < ig->n; i++) {
		for (int k = 0; k < ig->v[i].n; k++)
			free(ig->v[i].seg[k]);
		free(ig->v[i].seg);
	}
	free(ig->v);
	free(ig);
}
