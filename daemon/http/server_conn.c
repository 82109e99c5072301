/* server_conn.c - a connection: input to exchanges, answers to the socket, and how it ends. */
#include "daemon/http/server_int.h"

#include <assert.h>
#include <poll.h>
#include <string.h>

static void conn_input(struct http_conn *c, const char *p, size_t n);
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

/* --- opening and closing -----------------------------------------------------------------------
 */

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf)
{
	struct http_conn *c = h->data;

	*buf = uv_buf_init(c->server->scratch, HTTP_SCRATCH);
}

void http_conn_read(struct http_conn *c, bool on)
{
	if (c->reading == on || (on && (c->eof || c->closing)))
		return;
	c->reading = on;
	if (on)
		uv_read_start(&c->uv.stream, on_alloc, on_read);
	else
		uv_read_stop(&c->uv.stream);
}

static void conn_closed(uv_handle_t *h)
{
	struct http_conn *c = h->data;
	struct http_server *s = c->server;

	http1_free(c->parser);
	buf_clear(&c->in);
	buf_clear(&c->w);
	free(c);
	http_handle_closed(s);
}

/* The answering side will see that the client has gone. */
static void orphan(struct http_conn *c)
{
	struct http_x *x = c->x;
	bool tell;

	if (!x)
		return;
	c->x = NULL;
	pthread_mutex_lock(&x->lock);
	x->conn = NULL;
	tell = !x->ended && !x->aborted && !c->handler_due;
	buf_clear(&x->out);
	pthread_cond_broadcast(&x->readable);
	pthread_cond_broadcast(&x->writable);
	pthread_mutex_unlock(&x->lock);
	if (tell && x->on_gone)
		x->on_gone(x, x->gone_arg);
	http_x_body_came(x);
	if (c->handler_due) /* nobody else has it */
		http_x_unref(x);
	http_x_unref(x);
}

static void conn_end(struct http_conn *c, bool reset)
{
	if (c->closing)
		return;
	http_conn_read(c, false);
	c->closing = true;
	http_timeout_clear(&c->t_in);
	http_timeout_clear(&c->t_out);
	LIST_REMOVE(c, link);
	orphan(c);
	if (!reset || c->is_unix || c->shut || uv_tcp_close_reset(&c->uv.tcp, conn_closed) != 0)
		uv_close(&c->uv.handle, conn_closed);
	http_server_conn_gone(c->server);
}

static void conn_close(struct http_conn *c)
{
	conn_end(c, false);
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
}

/* All has been answered: says so, then reads and drops for a while what the client still sends, so
 * that the answer is not lost to a reset (RFC 9112 9.6). */
static void conn_shut(struct http_conn *c)
{
	if (c->closing || c->shut)
		return;
	if (c->eof) {
		conn_close(c);
		return;
	}
	c->shut = true;
	buf_clear(&c->in);
	http_timeout_set(&c->t_in, c, T_LINGER);
	http_conn_read(c, true);
	if (uv_shutdown(&c->shutdown_req, &c->uv.stream, on_shutdown) != 0)
		conn_close(c);
}

void http_conn_accept(struct http_listener *l)
{
	struct http_server *s = l->server;
	struct http_conn *c = xcalloc(1, sizeof *c);

	c->server = s;
	c->is_unix = l->is_unix;
	if (c->is_unix)
		uv_pipe_init(loop_uv(s->loop), &c->uv.pipe, 0);
	else
		uv_tcp_init(loop_uv(s->loop), &c->uv.tcp);
	c->uv.handle.data = c;
	c->t_in.class = c->t_out.class = T_COUNT;
	c->parser = http1_new(HTTP1_REQUEST, LIM_HTTP_HEAD);
	s->handles++;
	LIST_INSERT_HEAD(&s->conns, c, link);
	if (uv_accept(&l->uv.stream, &c->uv.stream) != 0) {
		conn_close(c);
		return;
	}
	if (!c->is_unix)
		uv_tcp_nodelay(&c->uv.tcp, 1);
	http_conn_read(c, true);
	http_timeout_set(&c->t_in, c, T_IDLE);
}

/* --- writing -----------------------------------------------------------------------------------
 */

/* All of c->w has been taken by the kernel. */
static void wrote_all(struct http_conn *c)
{
	struct http_x *x = c->x;

	if (x) {
		pthread_mutex_lock(&x->lock);
		x->queued -= c->w.len;
		pthread_cond_broadcast(&x->writable);
		if (x->out.len)
			http_x_wake(x);
		pthread_mutex_unlock(&x->lock);
	}
	if (c->w.cap > HTTP_OUT_LOW)
		buf_clear(&c->w);
	else
		buf_reset(&c->w);
}

static void on_written(uv_write_t *req, int status)
{
	struct http_conn *c = req->data;

	c->writing = false;
	http_timeout_clear(&c->t_out);
	if (c->closing)
		return;
	if (status < 0) {
		conn_close(c);
		return;
	}
	wrote_all(c);
	http_conn_pump(c);
}

/* Writes c->w: at once as far as the socket takes it, the rest when it can. */
static void write_w(struct http_conn *c)
{
	uv_buf_t b = uv_buf_init(c->w.data, (unsigned)c->w.len);
	int n = uv_try_write(&c->uv.stream, &b, 1);

	if (n < 0 && n != UV_EAGAIN) {
		conn_close(c);
		return;
	}
	if (n < 0)
		n = 0;
	if ((size_t)n == c->w.len) {
		wrote_all(c);
		return;
	}
	b = uv_buf_init(c->w.data + n, (unsigned)(c->w.len - (size_t)n));
	c->write_req.data = c;
	c->writing = true;
	c->w_progress = c->w.len - (size_t)n;
	http_timeout_set(&c->t_out, c, T_WRITE);
	if (uv_write(&c->write_req, &c->uv.stream, &b, 1, on_written) != 0) {
		c->writing = false;
		conn_close(c);
	}
}

static void flush(struct http_conn *c)
{
	struct http_x *x = c->x;
	struct buf empty;

	if (c->writing)
		return;
	pthread_mutex_lock(&x->lock);
	empty = c->w;
	c->w = x->out;
	x->out = empty;
	pthread_mutex_unlock(&x->lock);
	if (c->w.len)
		write_w(c);
}

/* An answer to what never became an exchange; the last on this connection. */
static void answer_error(struct http_conn *c, const struct err *e)
{
	const struct http1_head *h = http1_head(c->parser);

	http_conn_read(c, false);
	http_timeout_clear(&c->t_in);
	c->broken = c->last = true;
	http_answer_error(e, h && http1_is(h->method, "HEAD"), &c->w);
	write_w(c);
	http_conn_pump(c);
}

/* --- exchanges ---------------------------------------------------------------------------------
 */

/* What the connection waits for now decides how long it may. */
static void set_timeout(struct http_conn *c)
{
	if (c->closing || c->shut)
		return;
	if (c->x && !c->request_done && c->reading)
		http_timeout_set(&c->t_in, c, T_BODY);
	else if (c->x && c->eof)
		http_timeout_set(&c->t_in, c, T_HALF);
	else if (c->x || c->last)
		http_timeout_clear(&c->t_in);
	else if (c->draining)
		http_timeout_set(&c->t_in, c, T_BODY);
	else if (http1_idle(c->parser))
		http_timeout_set(&c->t_in, c, T_IDLE);
	else if (c->t_in.class != T_HEAD) /* its time runs from the first octet */
		http_timeout_set(&c->t_in, c, T_HEAD);
}

/* Between exchanges: goes on reading, unless that is over. */
static void settle(struct http_conn *c)
{
	if (c->closing || c->shut || c->last)
		return;
	if (!c->x && c->eof) {
		conn_shut(c);
		return;
	}
	if (!c->x)
		http_conn_read(c, true);
	set_timeout(c);
}

static void finish(struct http_conn *c)
{
	struct http_x *x = c->x;
	struct buf rest;
	bool keep;

	pthread_mutex_lock(&x->lock);
	keep = !x->close_after && !c->broken && !c->raw && !c->server->stopping &&
	       (c->request_done || x->in_rest);
	x->conn = NULL;
	pthread_mutex_unlock(&x->lock);
	c->x = NULL;
	http_x_unref(x);
	if (!keep) {
		conn_shut(c);
		return;
	}
	if (c->request_done)
		http1_next(c->parser);
	else
		c->draining = true;
	c->request_done = false;
	if (c->in_input)
		return;
	rest = c->in;
	c->in = (struct buf){0};
	conn_input(c, rest.data, rest.len);
	buf_clear(&rest);
}

/* Calls back into the answering code; what it does is looked at when it returns. */
static void callback(struct http_conn *c, void (*fn)(struct http_x *x, void *arg), void *arg)
{
	struct http_x *x = c->x;

	http_x_ref(x);
	x->in_callback = true;
	fn(x, arg);
	x->in_callback = false;
	http_x_unref(x);
	http_conn_pump(c);
}

static void call_handler(struct http_conn *c)
{
	c->handler_due = false;
	callback(c, c->server->handler, c->server->arg);
}

struct raw_bytes {
	const char *p;
	size_t n;
};

static void call_on_data(struct http_x *x, void *arg)
{
	struct raw_bytes *b = arg;

	x->on_data(x, b->p, b->n, x->data_arg);
}

/* Upgraded: hands on what has come. */
static void pump_raw(struct http_conn *c)
{
	struct buf got = c->in;

	if (c->raw_paused)
		return;
	http_conn_read(c, true);
	c->in = (struct buf){0};
	if (got.len)
		callback(c, call_on_data, &(struct raw_bytes){got.data, got.len});
	buf_clear(&got);
	if (c->x && c->eof && !c->raw_paused && !c->raw_eof_told) {
		c->raw_eof_told = true;
		callback(c, call_on_data, &(struct raw_bytes){NULL, 0});
	}
}

static bool resume_wanted(struct http_conn *c, bool paused)
{
	return !paused && !c->reading && !c->request_done && !c->broken && !c->raw;
}

/* true when x is over */
static bool pump_exchange(struct http_conn *c)
{
	struct http_x *x = c->x;
	bool aborted, paused, over, low;

	pthread_mutex_lock(&x->lock);
	aborted = x->aborted;
	paused = x->in_paused;
	pthread_mutex_unlock(&x->lock);
	if (aborted) {
		conn_end(c, true);
		return false;
	}
	if (resume_wanted(c, paused)) {
		http_conn_read(c, true);
		set_timeout(c);
	}
	flush(c);
	if (c->closing)
		return false;
	pthread_mutex_lock(&x->lock);
	over = x->ended && !x->queued;
	low = x->queued < HTTP_OUT_LOW;
	pthread_mutex_unlock(&x->lock);
	if (!over && low && x->pushed && x->on_drain) {
		x->pushed = false;
		x->on_drain(x, x->drain_arg); /* what it pushes wakes us anew */
	}
	return over;
}

void http_conn_pump(struct http_conn *c)
{
	if (c->closing || c->shut || c->handler_due)
		return;
	if (!c->x) {
		if (c->last && !c->writing)
			conn_shut(c);
		return;
	}
	if (pump_exchange(c))
		finish(c);
	else if (c->raw && c->x && !c->closing)
		pump_raw(c);
}

/* --- input -------------------------------------------------------------------------------------
 */

static void body_data(struct http_conn *c, const char *p, size_t n)
{
	struct http_x *x = c->x;
	bool full = false;
	size_t high;

	if (!x) /* draining */
		return;
	high = x->on_body && x->body_want > HTTP_IN_HIGH ? x->body_want : HTTP_IN_HIGH;
	pthread_mutex_lock(&x->lock);
	x->body_left -= x->has_length ? n : 0;
	if (!x->ended) {
		buf_add(&x->in, p, n);
		full = x->in.len > high;
		x->in_paused = full;
		pthread_cond_signal(&x->readable);
	}
	pthread_mutex_unlock(&x->lock);
	if (full)
		http_conn_read(c, false);
	http_x_body_came(x);
}

static void body_fails(struct http_conn *c, enum err_id id)
{
	struct http_x *x = c->x;

	c->broken = true;
	http_conn_read(c, false);
	pthread_mutex_lock(&x->lock);
	x->in_err = id;
	x->close_after = true;
	pthread_cond_broadcast(&x->readable);
	pthread_mutex_unlock(&x->lock);
	http_x_body_came(x);
}

static void request_ends(struct http_conn *c)
{
	struct http_x *x = c->x;

	if (!x) {
		c->draining = false;
		http1_next(c->parser);
		return;
	}
	c->request_done = true;
	pthread_mutex_lock(&x->lock);
	x->in_end = true;
	x->in_paused = false;
	pthread_cond_signal(&x->readable);
	pthread_mutex_unlock(&x->lock);
	http_x_body_came(x);
	if (c->handler_due)
		call_handler(c);
}

static void bad_input(struct http_conn *c)
{
	if (c->x && !c->handler_due) {
		body_fails(c, ERR_BAD_REQUEST);
		http_conn_pump(c);
		return;
	}
	orphan(c);
	c->handler_due = false;
	answer_error(c, http1_err(c->parser));
}

/* One event of the parser; false when no input can be used now. */
static bool step(struct http_conn *c, const char **p, size_t *n)
{
	const char *data;
	size_t used, data_n;
	enum http1_event ev = http1_feed(c->parser, *p, *n, &used, &data, &data_n);

	*p += used;
	*n -= used;
	switch (ev) {
	case HTTP1_MORE:
		/* The body that came with the head is there when the handler runs: an answer that
		 * needs none of it can then keep the connection. */
		if (c->handler_due)
			call_handler(c);
		return false;
	case HTTP1_HEAD:
		c->x = http_x_new(c, http1_head(c->parser));
		c->handler_due = true;
		return true;
	case HTTP1_DATA:
		body_data(c, data, data_n);
		return true;
	case HTTP1_END:
		request_ends(c);
		return true;
	default:
		bad_input(c);
		return false;
	}
}

static void conn_input(struct http_conn *c, const char *p, size_t n)
{
	c->in_input = true;
	while (!c->closing && !c->shut && !c->broken && !c->raw && !c->request_done)
		if (!step(c, &p, &n))
			break;
	c->in_input = false;
	if (c->closing || c->shut || c->broken)
		return;
	if (n) {
		buf_add(&c->in, p, n); /* of the next request, or raw */
		if (!c->raw)
			http_conn_read(c, false);
	}
	if (c->raw)
		http_conn_pump(c);
	else
		settle(c);
}

static void on_eof(struct http_conn *c)
{
	http_conn_read(c, false);
	c->eof = true;
	if (c->shut || !c->x) {
		/* Cut within a head or while draining: nobody is there to be told. */
		if (!c->last || c->shut)
			conn_close(c);
		return;
	}
	if (!c->request_done && !c->broken)
		body_fails(c, ERR_BAD_REQUEST);
	set_timeout(c); /* a client that only half-closed still gets its answer */
	http_conn_pump(c);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct http_conn *c = stream->data;

	if (n == UV_EOF)
		on_eof(c);
	else if (n < 0)
		conn_close(c);
	else if (n > 0 && !c->shut)
		conn_input(c, buf->base, (size_t)n);
}

/* --- timeouts and the server's end -------------------------------------------------------------
 */

/* Both directions closed shows as a hang-up on a unix socket, a reset on any. */
static bool peer_is_gone(struct http_conn *c)
{
	struct pollfd p = {.events = 0};
	uv_os_fd_t fd;

	if (uv_fileno(&c->uv.handle, &fd) != 0)
		return true;
	p.fd = fd;
	return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR | POLLNVAL);
}

static void body_timeout(struct http_conn *c)
{
	if (!c->x) {
		conn_close(c);
		return;
	}
	body_fails(c, ERR_TIMEOUT);
	http_conn_pump(c);
}

static void write_timeout(struct http_conn *c)
{
	size_t left = uv_stream_get_write_queue_size(&c->uv.stream);

	if (left >= c->w_progress) {
		conn_end(c, true);
		return;
	}
	c->w_progress = left;
	http_timeout_set(&c->t_out, c, T_WRITE);
}

void http_conn_timeout(struct http_conn *c, enum timeout_class class)
{
	struct err e;

	switch (class) {
	case T_HEAD:
		err_set(&e, ERR_REQUEST_TIMEOUT, "the request's head took too long");
		answer_error(c, &e);
		break;
	case T_BODY:
		body_timeout(c);
		break;
	case T_HALF:
		if (peer_is_gone(c))
			conn_close(c);
		else
			http_timeout_set(&c->t_in, c, T_HALF);
		break;
	case T_WRITE:
		write_timeout(c);
		break;
	default:
		conn_close(c);
	}
}

void http_conn_stop(struct http_conn *c, bool now)
{
	if (now || c->shut || (!c->x && !c->writing && http1_idle(c->parser))) {
		conn_end(c, now && c->x);
		return;
	}
	if (c->x) {
		pthread_mutex_lock(&c->x->lock);
		c->x->close_after = true;
		pthread_mutex_unlock(&c->x->lock);
	}
}
