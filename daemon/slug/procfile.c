#include "daemon/slug/slug.h"
#include "proto/buf.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <ctype.h>
#include <string.h>

void proc_types_clear(struct proc_types *t)
{
	for (int i = 0; i < t->n; i++) {
		free(t->v[i].type);
		free(t->v[i].command);
	}
	free(t->v);
	*t = (struct proc_types){0};
}

/* Index of type, or where it belongs: -(place + 1). */
static int find(const struct proc_types *t, const char *type)
{
	int lo = 0, hi = t->n;

	while (lo < hi) {
		int mid = lo + (hi - lo) / 2;
		int c = strcmp(t->v[mid].type, type);

		if (c == 0)
			return mid;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return -(lo + 1);
}

const char *proc_types_get(const struct proc_types *t, const char *type)
{
	int i = find(t, type);

	return i < 0 ? NULL : t->v[i].command;
}

void proc_types_set(struct proc_types *t, const char *type, const char *command)
{
	int i = find(t, type);
	char *copy = xstrdup(command);

	if (i >= 0) {
		free(t->v[i].command);
		t->v[i].command = copy;
		return;
	}
	i = -(i + 1);
	t->v = xrealloc(t->v, ((size_t)t->n + 1) * sizeof(*t->v));
	memmove(&t->v[i + 1], &t->v[i], (size_t)(t->n - i) * sizeof(*t->v));
	t->v[i] = (struct proc_type){.type = xstrdup(type), .command = copy};
	t->n++;
}

struct span {
	const char *p;
	size_t n;
};

static struct span trim(struct span s)
{
	while (s.n && isspace((unsigned char)s.p[0]))
		s.p++, s.n--;
	while (s.n && isspace((unsigned char)s.p[s.n - 1]))
		s.n--;
	return s;
}

/* At most 40 bytes of a line, fit for a terminal. */
static void shown(struct span s, char out[48])
{
	size_t n = s.n < 40 ? s.n : 40;

	for (size_t i = 0; i < n; i++)
		out[i] = (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ? '?' : s.p[i];
	memcpy(out + n, n < s.n ? "..." : "", n < s.n ? 4 : 1);
}

struct parse {
	struct proc_types seen; /* types of this file */
	void (*warn)(const char *line, void *arg);
	void *arg;
	int line;
};

static void parse_clear(struct parse *p)
{
	proc_types_clear(&p->seen);
}
#define parse_clear_p parse_clear

static void warn_twice(struct parse *ps, const char *type)
{
	AUTO(auto_str) char *text = NULL;

	if (!ps->warn)
		return;
	text = xasprintf("Procfile:%d: %s is declared twice, the last one counts", ps->line, type);
	ps->warn(text, ps->arg);
}

static int parse_line(struct parse *ps, struct span line, struct err *err)
{
	char quoted[48], type[LIM_PROC_TYPE + 1];
	AUTO(auto_str) char *command = NULL;
	const char *colon;
	struct span t, c;

	line = trim(line);
	if (line.n == 0 || line.p[0] == '#')
		return 0;
	shown(line, quoted);
	if (memchr(line.p, 0, line.n))
		return err_set(err, ERR_BUILD_FAILED, "Procfile:%d: there is a NUL byte in \"%s\"",
			       ps->line, quoted);
	colon = memchr(line.p, ':', line.n);
	if (!colon)
		return err_set(err, ERR_BUILD_FAILED,
			       "Procfile:%d: \"%s\" is not of the form TYPE: COMMAND", ps->line,
			       quoted);
	t = trim((struct span){line.p, (size_t)(colon - line.p)});
	c = trim((struct span){colon + 1, line.n - (size_t)(colon + 1 - line.p)});
	if (t.n > LIM_PROC_TYPE)
		return err_set(err, ERR_BUILD_FAILED,
			       "Procfile:%d: the process type is longer than %d characters",
			       ps->line, LIM_PROC_TYPE);
	memcpy(type, t.p, t.n);
	type[t.n] = 0;
	if (!name_is_proc_type(type)) {
		shown(t, quoted);
		return err_set(
			err, ERR_BUILD_FAILED,
			"Procfile:%d: \"%s\" is not a process type: letters, digits, - and _ "
			"only",
			ps->line, quoted);
	}
	if (c.n == 0)
		return err_set(err, ERR_BUILD_FAILED, "Procfile:%d: %s has no command", ps->line,
			       type);
	if (c.n > LIM_COMMAND)
		return err_set(err, ERR_BUILD_FAILED,
			       "Procfile:%d: the command of %s is longer than %lld bytes", ps->line,
			       type, LIM_COMMAND);
	command = xstrndup(c.p, c.n);
	if (proc_types_get(&ps->seen, type))
		warn_twice(ps, type);
	proc_types_set(&ps->seen, type, command);
	return 0;
}

int procfile_parse_warn(const char *p, size_t n, struct proc_types *out,
			void (*warn)(const char *line, void *arg), void *arg, struct err *err)
{
	AUTO(parse_clear) struct parse ps = {.warn = warn, .arg = arg};
	struct span rest = {p, n};

	if (n > LIM_PROCFILE)
		return err_set(err, ERR_BUILD_FAILED, "Procfile: larger than %lld bytes",
			       LIM_PROCFILE);
	if (n >= 2 && (!memcmp(p, "\xff\xfe", 2) || !memcmp(p, "\xfe\xff", 2)))
		return err_set(err, ERR_BUILD_FAILED, "Procfile: it is UTF-16; save it as UTF-8");
	if (n >= 3 && !memcmp(p, "\xef\xbb\xbf", 3))
		rest = (struct span){p + 3, n - 3};
	while (rest.n) {
		const char *nl = memchr(rest.p, '\n', rest.n);
		size_t len = nl ? (size_t)(nl - rest.p) : rest.n;

		ps.line++;
		if (parse_line(&ps, (struct span){rest.p, len}, err) < 0)
			return -1;
		rest = (struct span){rest.p + len + (nl != NULL), rest.n - len - (nl != NULL)};
	}
	for (int i = 0; i < ps.seen.n; i++)
		proc_types_set(out, ps.seen.v[i].type, ps.seen.v[i].command);
	return 0;
}

int procfile_parse(const char *p, size_t n, struct proc_types *out, struct err *err)
{
	return procfile_parse_warn(p, n, out, NULL, NULL, err);
}
