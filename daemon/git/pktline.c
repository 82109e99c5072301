#include "daemon/git/pktline.h"
#include "proto/hex.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* -1 when the four bytes are not all hex digits. */
static int parse_length(const char head[4])
{
	int len = 0;

	for (int i = 0; i < 4; i++) {
		int d = hex_digit(head[i]);

		if (d < 0)
			return -1;
		len = len << 4 | d;
	}
	return len;
}

static enum pkt_event bad(struct pkt_reader *r, const char *why)
{
	r->why = why;
	return PKT_BAD;
}

/* The four digits are there: what do they begin? PKT_MORE = data follows. */
static enum pkt_event head_done(struct pkt_reader *r)
{
	int len = parse_length(r->head);

	if (len < 0)
		return bad(r, "bad line length character");
	if (len > PKT_MAX)
		return bad(r, "line too long");
	if (len == 0) {
		r->taken = true;
		return PKT_FLUSH;
	}
	if (len < 4) /* 0001 and 0002 belong to version 2, 0003 to none */
		return bad(r, "bad line length");
	r->need = (size_t)len - 4;
	return PKT_MORE;
}

enum pkt_event pkt_feed(struct pkt_reader *r, const char *in, size_t n, size_t *used)
{
	size_t at = 0;

	*used = 0;
	if (r->why)
		return PKT_BAD;
	if (r->taken) {
		buf_reset(&r->line);
		r->have = 0;
		r->taken = false;
	}
	while (r->have < 4) {
		if (at == n) {
			*used = at;
			return PKT_MORE;
		}
		r->head[r->have++] = in[at++];
		if (r->have == 4) {
			enum pkt_event ev = head_done(r);

			if (ev != PKT_MORE) {
				*used = at;
				return ev;
			}
		}
	}
	size_t take = r->need < n - at ? r->need : n - at;

	buf_add(&r->line, in + at, take);
	r->need -= take;
	*used = at + take;
	if (r->need)
		return PKT_MORE;
	r->taken = true;
	return PKT_LINE;
}

bool pkt_reader_idle(const struct pkt_reader *r)
{
	return r->taken || r->have == 0;
}

void pkt_reader_clear(struct pkt_reader *r)
{
	buf_clear(&r->line);
	*r = (struct pkt_reader){0};
}

void pkt_head(char out[4], size_t total)
{
	static const char digits[] = "0123456789abcdef";

	assert(total <= PKT_MAX);
	for (int i = 3; i >= 0; i--, total >>= 4)
		out[i] = digits[total & 15];
}

void pkt_add(struct buf *out, const void *data, size_t n)
{
	char head[4];

	assert(n <= PKT_DATA_MAX);
	pkt_head(head, n + 4);
	buf_add(out, head, 4);
	buf_add(out, data, n);
}

void pkt_addf(struct buf *out, const char *fmt, ...)
{
	size_t start = out->len;
	va_list ap;

	buf_add(out, "0000", 4);
	va_start(ap, fmt);
	buf_vaddf(out, fmt, ap);
	va_end(ap);
	pkt_head(out->data + start, out->len - start);
}

void pkt_flush(struct buf *out)
{
	buf_add(out, "0000", 4);
}
