#include "daemon/dyno/dyno_int.h"

#include <stdio.h>
#include <string.h>

struct shimconn {
	uv_pipe_t pipe;
	uv_connect_t connect;
	struct shimconn_ops ops;
	void *arg;
	struct buf in, out; /* out: queued until connected */
	bool connected, closed, paused;
};

struct write {
	uv_write_t req;
	struct shimconn *c;
	char *data; /* owned */
};

static void on_closed(uv_handle_t *h)
{
	struct shimconn *c = h->data;

	buf_clear(&c->in);
	buf_clear(&c->out);
	free(c);
}

void shimconn_close(struct shimconn *c)
{
	if (!c || c->closed)
		return;
	c->closed = true;
	uv_close((uv_handle_t *)&c->pipe, on_closed);
}

static void lost(struct shimconn *c)
{
	if (c->closed)
		return;
	shimconn_close(c);
	c->ops.lost(c->arg);
}

static void on_written(uv_write_t *req, int status)
{
	struct write *w = container_of(req, struct write, req);
	struct shimconn *c = w->c;

	free(w->data);
	free(w);
	if (status == 0 && !c->closed && c->ops.written)
		c->ops.written(c->arg);
}

static void send_bytes(struct shimconn *c, const void *p, size_t n)
{
	struct write *w = xcalloc(1, sizeof *w);
	uv_buf_t b;

	w->c = c;
	w->data = xmalloc(n);
	memcpy(w->data, p, n);
	b = uv_buf_init(w->data, (unsigned)n);
	if (uv_write(&w->req, (uv_stream_t *)&c->pipe, &b, 1, on_written) != 0)
		on_written(&w->req, -1);
}

void shimconn_send(struct shimconn *c, const struct buf *frame)
{
	if (c->closed)
		return;
	if (c->connected)
		send_bytes(c, frame->data, frame->len);
	else
		buf_add(&c->out, frame->data, frame->len);
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *out)
{
	struct shimconn *c = h->data;

	buf_reserve(&c->in, 16384);
	*out = uv_buf_init(c->in.data + c->in.len, 16384);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct shimconn *c = s->data;
	struct wire_frame f;
	size_t used = 0;
	ssize_t got = 0;

	if (n < 0) {
		lost(c);
		return;
	}
	c->in.len += (size_t)n;
	while (!c->closed && (got = wire_parse(c->in.data + used, c->in.len - used, &f)) > 0) {
		used += (size_t)got;
		c->ops.frame(&f, c->arg);
	}
	if (c->closed)
		return;
	if (got < 0) {
		lost(c);
		return;
	}
	buf_drop(&c->in, used);
	/* Idle connections, one a dyno, should cost nothing. */
	if (c->in.len == 0)
		buf_clear(&c->in);
}

static void on_connect(uv_connect_t *req, int status)
{
	struct shimconn *c = req->data;

	if (status == UV_ECANCELED || c->closed)
		return;
	if (status < 0 ||
	    (!c->paused && uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read) < 0)) {
		lost(c);
		return;
	}
	c->connected = true;
	send_bytes(c, c->out.data, c->out.len);
	buf_clear(&c->out);
}

struct shimconn *shimconn_open(struct loop *l, const char *run_dir, const char *id,
			       const struct buf *hello, const struct shimconn_ops *ops, void *arg)
{
	struct shimconn *c = xcalloc(1, sizeof *c);
	char path[200];

	ASSERT_ON(l);
	snprintf(path, sizeof path, "%s/dynos/%s/sock", run_dir, id);
	c->ops = *ops;
	c->arg = arg;
	uv_pipe_init(loop_uv(l), &c->pipe, 0);
	c->pipe.data = c;
	c->connect.data = c;
	buf_add(&c->out, hello->data, hello->len);
	uv_pipe_connect(&c->connect, &c->pipe, path, on_connect);
	return c;
}

void shimconn_pause(struct shimconn *c, bool paused)
{
	if (c->closed || c->paused == paused)
		return;
	c->paused = paused;
	if (!c->connected)
		return;
	if (paused)
		uv_read_stop((uv_stream_t *)&c->pipe);
	else
		uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read);
}

size_t shimconn_queued(const struct shimconn *c)
{
	return c->out.len + uv_stream_get_write_queue_size((const uv_stream_t *)&c->pipe);
}
