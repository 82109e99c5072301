#include "router/logline.h"
#include "daemon/core/loop.h"
#include "daemon/core/xlog.h"

#include <string.h>

#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000

struct batch {
	struct batch *next;
	uint64_t seq;
	struct buf frame; /* a whole LOG_BATCH */
};

struct drop {
	struct drop *next;
	char app[64];
	uint64_t lines;
};

struct rt_ship {
	struct loop *loop;
	char *path;	 /* owned */
	uv_pipe_t *pipe; /* NULL: not connected; owned by its close callback afterwards */
	bool ready, stopped;
	struct batch *first, *last; /* not acknowledged, oldest first */
	struct batch *unsent;	    /* the first of them not yet written on this connection */
	size_t bytes;
	uint64_t seq, dropped;
	struct drop *drops; /* lines lost since the last batch that could say so */
	struct loop_timer *retry;
	unsigned retry_ms;
	struct buf in;
};

static void drop_pipe(struct rt_ship *s);
static void connect_soon(struct rt_ship *s);

/* --- what is lost ----------------------------------------------------------------------------- */

static void count_drop(struct rt_ship *s, const char *app)
{
	struct drop *d = s->drops;

	while (d && strcmp(d->app, app) != 0)
		d = d->next;
	if (!d) {
		d = xcalloc(1, sizeof *d);
		rt_copy(d->app, sizeof d->app, app);
		d->next = s->drops;
		s->drops = d;
	}
	d->lines++;
	s->dropped++;
}

static void drop_lines(struct rt_ship *s, const struct buf *b)
{
	struct wire_frame f = {.body = (const uint8_t *)b->data, .len = b->len};
	struct wire_field w;
	char app[64] = "";

	while (wire_next(&f, &w) == 1) {
		if (w.key == K_APP)
			wire_copy_str(&w, app, sizeof app);
		else if (w.key == K_TEXT)
			count_drop(s, app);
	}
}

static void add_drops(struct rt_ship *s, struct buf *out)
{
	while (s->drops) {
		struct drop *d = s->drops;

		wire_str(out, K_APP, d->app);
		wire_str(out, K_SOURCE, "heroku");
		wire_str(out, K_PROC, "router");
		wire_u64(out, K_DROPPED, d->lines);
		s->drops = d->next;
		free(d);
	}
}

/* --- sending ---------------------------------------------------------------------------------- */

struct write {
	uv_write_t req;
	struct buf b; /* owned copy: an acknowledgement may free the batch before the write's end */
};

static void on_written(uv_write_t *req, int status)
{
	struct write *w = (struct write *)req;

	buf_clear(&w->b);
	free(w);
}

static int send_batch(struct rt_ship *s, const struct batch *b)
{
	uv_buf_t v = uv_buf_init(b->frame.data, (unsigned)b->frame.len);
	int r = uv_try_write((uv_stream_t *)s->pipe, &v, 1);
	struct write *w;

	if (r < 0 && r != UV_EAGAIN)
		return r;
	if (r < 0)
		r = 0;
	if ((size_t)r == b->frame.len)
		return 0;
	w = xcalloc(1, sizeof *w);
	buf_add(&w->b, b->frame.data + r, b->frame.len - (size_t)r);
	v = uv_buf_init(w->b.data, (unsigned)w->b.len);
	r = uv_write(&w->req, (uv_stream_t *)s->pipe, &v, 1, on_written);
	if (r < 0)
		on_written(&w->req, r);
	return r;
}

static void send_all(struct rt_ship *s)
{
	while (s->ready && s->unsent) {
		if (send_batch(s, s->unsent) < 0) {
			drop_pipe(s);
			connect_soon(s);
			return;
		}
		s->unsent = s->unsent->next;
	}
}

static void forget_until(struct rt_ship *s, uint64_t seq)
{
	while (s->first && s->first != s->unsent && s->first->seq <= seq) {
		struct batch *b = s->first;

		s->first = b->next;
		if (!s->first)
			s->last = NULL;
		s->bytes -= b->frame.len;
		buf_clear(&b->frame);
		free(b);
	}
}

/* --- the connection --------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	struct rt_ship *s = h->data;

	buf_reserve(&s->in, 512);
	*b = uv_buf_init(s->in.data + s->in.len, 512);
}

static int take_frames(struct rt_ship *s)
{
	struct wire_frame f;
	struct wire_field w;
	ssize_t n;

	while ((n = wire_parse(s->in.data, s->in.len, &f)) > 0) {
		while (f.type == LOG_ACK && wire_next(&f, &w) == 1)
			if (w.key == K_SEQ)
				forget_until(s, wire_get_u64(&w));
		buf_drop(&s->in, (size_t)n);
	}
	return n < 0 ? -1 : 0;
}

static void on_read(uv_stream_t *st, ssize_t n, const uv_buf_t *b)
{
	struct rt_ship *s = st->data;

	if (n == 0)
		return;
	if (n > 0)
		s->in.len += (size_t)n;
	if (n < 0 || take_frames(s) < 0) {
		drop_pipe(s);
		connect_soon(s);
	}
}

static void on_pipe_closed(uv_handle_t *h)
{
	free(h);
}

static void drop_pipe(struct rt_ship *s)
{
	if (!s->pipe)
		return;
	s->pipe->data = NULL;
	uv_close((uv_handle_t *)s->pipe, on_pipe_closed);
	s->pipe = NULL;
	s->ready = false;
	buf_clear(&s->in);
	/* What was not acknowledged goes again: paasd tells a batch it has seen by its number. */
	s->unsent = s->first;
}

static void on_connect(uv_connect_t *req, int status)
{
	struct rt_ship *s = req->handle->data;

	free(req);
	if (!s)
		return; /* dropped meanwhile */
	if (status < 0) {
		drop_pipe(s);
		connect_soon(s);
		return;
	}
	s->ready = true;
	s->retry_ms = 0;
	uv_read_start((uv_stream_t *)s->pipe, on_alloc, on_read);
	send_all(s);
}

static void on_retry(void *arg)
{
	struct rt_ship *s = arg;
	uv_connect_t *req = xcalloc(1, sizeof *req);

	s->retry = NULL;
	s->pipe = xcalloc(1, sizeof *s->pipe);
	uv_pipe_init(loop_uv(s->loop), s->pipe, 0);
	s->pipe->data = s;
	uv_pipe_connect(req, s->pipe, s->path, on_connect);
}

static void connect_soon(struct rt_ship *s)
{
	if (s->retry || s->pipe || s->stopped)
		return;
	s->retry = loop_timer_start(s->loop, s->retry_ms, on_retry, s);
	s->retry_ms = s->retry_ms ? s->retry_ms * 2 : RETRY_MIN_MS;
	if (s->retry_ms > RETRY_MAX_MS)
		s->retry_ms = RETRY_MAX_MS;
}

/* --- interface -------------------------------------------------------------------------------- */

struct rt_ship *rt_ship_new(struct loop *l, const char *run_dir)
{
	struct rt_ship *s = xcalloc(1, sizeof *s);

	s->loop = l;
	s->path = xasprintf("%s/log.sock", run_dir);
	return s;
}

void rt_ship_add(struct rt_ship *s, struct buf *b)
{
	struct batch *t;
	size_t mark;

	if (s->stopped || s->bytes + b->len > RT_SHIP_BYTES) {
		drop_lines(s, b);
		buf_clear(b);
		return;
	}
	t = xcalloc(1, sizeof *t);
	t->seq = ++s->seq;
	mark = wire_begin(&t->frame, LOG_BATCH);
	wire_u64(&t->frame, K_SEQ, t->seq);
	add_drops(s, &t->frame);
	buf_add(&t->frame, b->data, b->len);
	wire_end(&t->frame, mark);
	buf_clear(b);
	s->bytes += t->frame.len;
	if (s->last)
		s->last->next = t;
	else
		s->first = t;
	s->last = t;
	if (!s->unsent)
		s->unsent = t;
	if (s->ready)
		send_all(s);
	else
		connect_soon(s);
}

uint64_t rt_ship_dropped(const struct rt_ship *s)
{
	return s->dropped;
}

bool rt_ship_idle(const struct rt_ship *s)
{
	return !s->first || (!s->ready && s->retry_ms > RETRY_MIN_MS); /* an attempt has failed */
}

void rt_ship_stop(struct rt_ship *s)
{
	s->stopped = true;
	loop_timer_stop(s->retry);
	s->retry = NULL;
	drop_pipe(s);
}

void rt_ship_free(struct rt_ship *s)
{
	if (!s)
		return;
	s->unsent = NULL;
	forget_until(s, UINT64_MAX);
	while (s->drops) {
		struct drop *d = s->drops;

		s->drops = d->next;
		free(d);
	}
	buf_clear(&s->in);
	free(s->path);
	free(s);
}
