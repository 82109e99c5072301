#include "proto/wire.h"
#include "proto/limits.h"

#include <string.h>

static void put(uint8_t *p, uint64_t v, int n)
{
	for (int i = n - 1; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

static uint64_t get(const uint8_t *p, int n)
{
	uint64_t v = 0;

	for (int i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

size_t wire_begin(struct buf *b, uint16_t type)
{
	uint8_t head[6] = {0};
	size_t mark = b->len;

	put(head + 4, type, 2);
	buf_add(b, head, sizeof head);
	return mark;
}

void wire_bytes(struct buf *b, uint16_t key, const void *data, size_t n)
{
	uint8_t head[6];

	put(head, key, 2);
	put(head + 2, n, 4);
	buf_add(b, head, sizeof head);
	buf_add(b, data, n);
}

void wire_str(struct buf *b, uint16_t key, const char *s)
{
	if (s)
		wire_bytes(b, key, s, strlen(s));
}

void wire_u64(struct buf *b, uint16_t key, uint64_t v)
{
	uint8_t raw[8];

	put(raw, v, 8);
	wire_bytes(b, key, raw, sizeof raw);
}

void wire_end(struct buf *b, size_t mark)
{
	put((uint8_t *)b->data + mark, b->len - mark - 4, 4);
}

ssize_t wire_parse(const void *data, size_t n, struct wire_frame *out)
{
	const uint8_t *p = data;
	size_t len;

	if (n < 6)
		return 0;
	len = (size_t)get(p, 4);
	if (len < 2 || len > LIM_WIRE_FRAME)
		return -1;
	if (n - 4 < len)
		return 0;
	*out = (struct wire_frame){.type = (uint16_t)get(p + 4, 2), .body = p + 6, .len = len - 2};
	return (ssize_t)(len + 4);
}

int wire_next(struct wire_frame *f, struct wire_field *out)
{
	const uint8_t *p = f->body + f->pos;
	size_t left = f->len - f->pos, n;

	if (left == 0)
		return 0;
	if (left < 6)
		return -1;
	n = (size_t)get(p + 2, 4);
	if (n > left - 6)
		return -1;
	*out = (struct wire_field){.key = (uint16_t)get(p, 2), .data = p + 6, .len = n};
	f->pos += 6 + n;
	return 1;
}

uint64_t wire_get_u64(const struct wire_field *f)
{
	return f->len == 8 ? get(f->data, 8) : 0;
}

char *wire_get_str(const struct wire_field *f)
{
	char *text = xmalloc(f->len + 1);

	memcpy(text, f->data, f->len); /* all of it, whatever it holds */
	text[f->len] = 0;
	return text;
}

void wire_copy_str(const struct wire_field *f, char *out, size_t cap)
{
	size_t n = f->len < cap - 1 ? f->len : cap - 1;

	memcpy(out, f->data, n);
	out[n] = 0;
}
