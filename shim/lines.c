#include "shim/lines.h"

#include <string.h>

typedef void line_fn(const char *text, size_t len, void *arg);

/* Gives out text in pieces of at most max. */
static void emit(size_t max, const char *p, size_t n, line_fn *line, void *arg)
{
	if (n > 0 && p[n - 1] == '\r')
		n--;
	do {
		size_t piece = n < max ? n : max;

		line(p, piece, arg);
		p += piece;
		n -= piece;
	} while (n > 0);
}

/* Keeps the unfinished rest. One byte more than max may wait: the '\r' of a full line's end. */
static void keep(struct lines *l, const char *p, size_t n, line_fn *line, void *arg)
{
	buf_add(&l->part, p, n);
	while (l->part.len > l->max + 1 ||
	       (l->part.len == l->max + 1 && l->part.data[l->max] != '\r')) {
		line(l->part.data, l->max, arg);
		buf_drop(&l->part, l->max);
	}
}

void lines_feed(struct lines *l, const char *p, size_t n, line_fn *line, void *arg)
{
	while (n > 0) {
		const char *nl = memchr(p, '\n', n);
		size_t len = nl ? (size_t)(nl - p) : n;

		if (!nl) {
			keep(l, p, n, line, arg);
			return;
		}
		if (l->part.len == 0) {
			emit(l->max, p, len, line, arg);
		} else {
			keep(l, p, len, line, arg);
			emit(l->max, l->part.data, l->part.len, line, arg);
			buf_reset(&l->part);
		}
		p += len + 1;
		n -= len + 1;
	}
}

void lines_end(struct lines *l, line_fn *line, void *arg)
{
	if (l->part.len)
		emit(l->max, l->part.data, l->part.len, line, arg);
	buf_clear(&l->part);
}

void lines_clear(struct lines *l)
{
	buf_clear(&l->part);
}
