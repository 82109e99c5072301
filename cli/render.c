#include "cli/render.h"

#include <string.h>

/* Length of the well-formed UTF-8 sequence at s, 0 when there is none. */
static size_t sequence(const unsigned char *s, size_t n, uint32_t *cp)
{
	size_t len = s[0] < 0x80   ? 1
		     : s[0] < 0xc2 ? 0
		     : s[0] < 0xe0 ? 2
		     : s[0] < 0xf0 ? 3
		     : s[0] < 0xf5 ? 4
				   : 0;

	if (len == 0 || len > n)
		return 0;
	*cp = len == 1 ? s[0] : s[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*cp = *cp << 6 | (s[i] & 0x3f);
	}
	if ((len == 3 && *cp < 0x800) || (len == 4 && (*cp < 0x10000 || *cp > 0x10ffff)) ||
	    (*cp >= 0xd800 && *cp < 0xe000))
		return 0;
	return len;
}

static bool harmful(uint32_t cp, bool keep_lines)
{
	if (keep_lines && (cp == '\n' || cp == '\t'))
		return false;
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x2028 || cp == 0x2029 ||
	       (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069);
}

void cli_clean(struct buf *out, const char *s, size_t n, bool keep_lines)
{
	while (n > 0) {
		uint32_t cp = 0;
		size_t len = sequence((const unsigned char *)s, n, &cp);

		if (len == 0 || harmful(cp, keep_lines))
			buf_addc(out, '?');
		else
			buf_add(out, s, len);
		len = len ? len : 1;
		s += len;
		n -= len;
	}
}

size_t cli_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static char *cleaned(const char *s, bool keep_lines)
{
	AUTO(buf_clear) struct buf b = {0};

	if (s)
		cli_clean(&b, s, strlen(s), keep_lines);
	return buf_steal(&b);
}

void cli_table_row(struct cli_table *t, const char *const *cells)
{
	size_t at = (size_t)t->cols * (size_t)t->rows;

	t->cells = xrealloc(t->cells, sizeof *t->cells * (at + (size_t)t->cols));
	for (int i = 0; i < t->cols; i++)
		t->cells[at + (size_t)i] = cleaned(cells[i], false);
	t->rows++;
}

static void line(const struct cli_table *t, const char *const *cells, const size_t *width,
		 FILE *out)
{
	AUTO(buf_clear) struct buf b = {0};

	for (int i = 0; i < t->cols; i++) {
		buf_adds(&b, cells[i]);
		for (size_t w = cli_width(cells[i]); i + 1 < t->cols && w < width[i] + 2; w++)
			buf_addc(&b, ' ');
	}
	while (b.len && b.data[b.len - 1] == ' ')
		b.data[--b.len] = 0;
	fprintf(out, "%s\n", buf_str(&b));
}

void cli_table_print(const struct cli_table *t, FILE *out)
{
	size_t *width = xcalloc((size_t)t->cols, sizeof *width);

	for (int i = 0; i < t->cols; i++) {
		if (t->heads)
			width[i] = cli_width(t->heads[i]);
		for (int r = 0; r < t->rows; r++) {
			size_t w = cli_width(t->cells[r * t->cols + i]);

			if (w > width[i])
				width[i] = w;
		}
	}
	if (t->heads)
		line(t, t->heads, width, out);
	for (int r = 0; r < t->rows; r++)
		line(t, (const char *const *)t->cells + (ptrdiff_t)r * t->cols, width, out);
	free(width);
}

void cli_table_clear(struct cli_table *t)
{
	for (int i = 0; i < t->cols * t->rows; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct cli_table){0};
}

void cli_pairs_add(struct cli_pairs *p, const char *key, const char *value)
{
	p->v = xrealloc(p->v, sizeof *p->v * (size_t)(p->n + 1));
	p->v[p->n].key = cleaned(key, false);
	p->v[p->n].value = cleaned(value, true);
	p->n++;
}

void cli_pairs_print(const struct cli_pairs *p, FILE *out)
{
	size_t width = 0;

	for (int i = 0; i < p->n; i++)
		if (cli_width(p->v[i].key) > width)
			width = cli_width(p->v[i].key);
	width += 2;
	for (int i = 0; i < p->n; i++) {
		const char *v = p->v[i].value;
		int pad = (int)(width - cli_width(p->v[i].key) - 1);

		fprintf(out, "%s:%*s", p->v[i].key, pad, "");
		for (; *v; v++) {
			fputc(*v, out);
			if (*v == '\n' && v[1])
				fprintf(out, "%*s", (int)width, "");
		}
		fputc('\n', out);
	}
}

void cli_pairs_clear(struct cli_pairs *p)
{
	for (int i = 0; i < p->n; i++) {
		free(p->v[i].key);
		free(p->v[i].value);
	}
	free(p->v);
	*p = (struct cli_pairs){0};
}
