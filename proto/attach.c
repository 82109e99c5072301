#include "proto/attach.h"

#include <assert.h>

static void put(struct buf *b, unsigned type, const void *data, size_t n)
{
	uint8_t head[ATTACH_HEAD] = {(uint8_t)type, (uint8_t)(n >> 24), (uint8_t)(n >> 16),
				     (uint8_t)(n >> 8), (uint8_t)n};

	buf_add(b, head, sizeof head);
	buf_add(b, data, n);
}

static uint32_t get(const uint8_t *p, int n)
{
	uint32_t v = 0;

	for (int i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

void attach_put(struct buf *b, enum attach_type type, const void *data, size_t n)
{
	const uint8_t *p = data;

	assert(type == ATTACH_STDIN || type == ATTACH_OUTPUT || type == ATTACH_ERROR);
	while (n > 0) {
		size_t take = n < ATTACH_FRAME_MAX ? n : ATTACH_FRAME_MAX;

		put(b, type, p, take);
		p += take;
		n -= take;
	}
}

void attach_put_eof(struct buf *b)
{
	put(b, ATTACH_STDIN_EOF, NULL, 0);
}

void attach_put_resize(struct buf *b, unsigned rows, unsigned cols)
{
	uint8_t v[4] = {(uint8_t)(rows >> 8), (uint8_t)rows, (uint8_t)(cols >> 8), (uint8_t)cols};

	put(b, ATTACH_RESIZE, v, sizeof v);
}

void attach_put_signal(struct buf *b, int sig)
{
	uint8_t v = (uint8_t)sig;

	put(b, ATTACH_SIGNAL, &v, 1);
}

void attach_put_exit(struct buf *b, uint32_t status)
{
	uint8_t v[4] = {(uint8_t)(status >> 24), (uint8_t)(status >> 16), (uint8_t)(status >> 8),
			(uint8_t)status};

	put(b, ATTACH_EXIT, v, sizeof v);
}

/* Bytes that a type always has; -1: any number. */
static int fixed_len(uint8_t type)
{
	switch (type) {
	case ATTACH_STDIN_EOF:
		return 0;
	case ATTACH_SIGNAL:
		return 1;
	case ATTACH_RESIZE:
	case ATTACH_EXIT:
		return 4;
	default:
		return -1;
	}
}

ssize_t attach_parse(const void *data, size_t n, struct attach_frame *out)
{
	const uint8_t *p = data;
	size_t len;
	int want;

	if (n < ATTACH_HEAD)
		return 0;
	len = get(p + 1, 4);
	want = fixed_len(p[0]);
	if (len > ATTACH_FRAME_MAX || (want >= 0 && len != (size_t)want))
		return -1;
	if (n - ATTACH_HEAD < len)
		return 0;
	*out = (struct attach_frame){.type = p[0], .data = p + ATTACH_HEAD, .len = len};
	return (ssize_t)(ATTACH_HEAD + len);
}

void attach_get_resize(const struct attach_frame *f, unsigned *rows, unsigned *cols)
{
	assert(f->type == ATTACH_RESIZE);
	*rows = get(f->data, 2);
	*cols = get(f->data + 2, 2);
}

int attach_get_signal(const struct attach_frame *f)
{
	assert(f->type == ATTACH_SIGNAL);
	return f->data[0];
}

uint32_t attach_get_exit(const struct attach_frame *f)
{
	assert(f->type == ATTACH_EXIT);
	return get(f->data, 4);
}
