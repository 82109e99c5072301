#include "router/worker.h"

#include <stdio.h>

static void on_shutdown(uv_shutdown_t *req, int status)
{
}

static void say_end(struct rt_out *o)
{
	if (o->failed || o->ended)
		return;
	o->ended = true;
	if (o->tls)
		rt_tls_goodbye(o->tls);
	/* After what could not be written of it at once: libuv keeps the order. */
	uv_shutdown(&o->shutdown, o->s, on_shutdown);
}

void rt_out_end(struct rt_out *o)
{
	if (o->ending)
		return;
	o->ending = true;
	if (!o->busy)
		say_end(o);
}

static void on_written(uv_write_t *req, int status);

static int start(struct rt_out *o)
{
	uv_buf_t v = uv_buf_init(o->cur.data, (unsigned)o->cur.len);
	int r = uv_write(&o->req, o->s, &v, 1, on_written);

	if (r == 0)
		o->busy = true;
	return r;
}

static void on_written(uv_write_t *req, int status)
{
	struct rt_out *o = container_of(req, struct rt_out, req);

	o->busy = false;
	buf_clear(&o->cur); /* not kept: many slow clients would each hold a read's worth */
	if (status == UV_ECANCELED)
		return; /* closing: the owner knows */
	if (status < 0)
		o->failed = true;
	if (o->failed) {
		buf_clear(&o->next);
	} else if (o->next.len) {
		o->cur = o->next;
		o->next = (struct buf){0};
		if (start(o) == 0)
			return;
		o->failed = true;
	} else if (o->ending) {
		say_end(o);
	}
	o->on_drain(o);
}

int rt_out_write(struct rt_out *o, const uv_buf_t *v, unsigned n)
{
	return o->tls ? rt_tls_write(o->tls, v, n) : rt_out_raw(o, v, n);
}

int rt_out_raw(struct rt_out *o, const uv_buf_t *v, unsigned n)
{
	struct buf *rest = o->busy ? &o->next : &o->cur;
	size_t skip = 0;
	int r;

	if (o->failed)
		return UV_EPIPE;
	if (!o->busy) {
		r = uv_try_write(o->s, v, n);
		if (r < 0 && r != UV_EAGAIN) {
			o->failed = true;
			return r;
		}
		skip = r > 0 ? (size_t)r : 0;
	}
	for (unsigned i = 0; i < n; i++) {
		size_t drop = skip < v[i].len ? skip : v[i].len;

		skip -= drop;
		if (drop < v[i].len)
			buf_add(rest, v[i].base + drop, v[i].len - drop);
	}
	if (o->busy || !rest->len)
		return 0;
	r = start(o);
	if (r < 0)
		o->failed = true;
	return r;
}

void rt_out_clear(struct rt_out *o)
{
	buf_clear(&o->cur);
	buf_clear(&o->next);
}

#define COPY_BELOW 2048 /* a plain write of a copy is cheaper than a vector of small pieces */

/* Small answers and requests: everything goes behind the head. */
static int flush_copied(struct rt_gather *g, struct rt_out *o)
{
	uv_buf_t v;

	if (g->chunked && g->bytes)
		buf_addf(&g->head, "%zx\r\n", g->bytes);
	for (unsigned i = 0; i < g->n; i++)
		buf_add(&g->head, g->data[i].base, g->data[i].len);
	if (g->chunked && g->bytes)
		buf_add(&g->head, "\r\n", 2);
	if (g->chunked && g->last)
		buf_add(&g->head, "0\r\n\r\n", 5);
	if (!g->head.len)
		return 0;
	v = uv_buf_init(g->head.data, (unsigned)g->head.len);
	return rt_out_write(o, &v, 1);
}

static int flush_vector(struct rt_gather *g, struct rt_out *o)
{
	static char crlf[] = "\r\n", crlf_last[] = "\r\n0\r\n\r\n";
	uv_buf_t v[RT_PIECES + 3];
	char size[24];
	unsigned n = 0;

	if (g->head.len)
		v[n++] = uv_buf_init(g->head.data, (unsigned)g->head.len);
	if (g->chunked)
		v[n++] = uv_buf_init(size,
				     (unsigned)snprintf(size, sizeof size, "%zx\r\n", g->bytes));
	for (unsigned i = 0; i < g->n; i++)
		v[n++] = g->data[i];
	if (g->chunked)
		v[n++] = g->last ? uv_buf_init(crlf_last, 7) : uv_buf_init(crlf, 2);
	return rt_out_write(o, v, n);
}

int rt_gather_flush(struct rt_gather *g, struct rt_out *o)
{
	int r = g->bytes < COPY_BELOW ? flush_copied(g, o) : flush_vector(g, o);

	rt_gather_reset(g);
	return r;
}

void rt_gather_reset(struct rt_gather *g)
{
	buf_reset(&g->head);
	g->n = 0;
	g->bytes = 0;
	g->chunked = g->last = false;
}
