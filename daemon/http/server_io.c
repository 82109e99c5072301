/* server_io.c - answers out, bodies in: the calls of the side that owns an exchange. */
#include "daemon/http/server_int.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include "daemon/core/clock.h"

#define WRITE_PIECE (64 * 1024)

/* --- heads -------------------------------------------------------------------------------------
 */

static void add_date(struct buf *b)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;

	gmtime_r(&now, &tm); /* not strftime: its names follow the locale */
	buf_addf(b, "Date: %.3s, %02d %.3s %d %02d:%02d:%02d GMT\r\n", days + 3 * tm.tm_wday,
		 tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		 tm.tm_sec);
}

static void add_status(struct buf *b, int status)
{
	buf_addf(b, "HTTP/1.1 %d %s\r\n", status, http1_reason(status));
}

static bool is_token(const char *s)
{
	return *s && !s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				  "!#$%&'*+-.^_`|~")];
}

/* Text from elsewhere must not be able to end a line. */
static void add_value(struct buf *b, const char *s)
{
	for (; *s; s++)
		buf_addc(b, ((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f ? ' ' : *s);
}

static void add_header(struct buf *b, const char *name, const char *value)
{
	assert(is_token(name));
	buf_adds(b, name);
	buf_adds(b, ": ");
	add_value(b, value);
	buf_adds(b, "\r\n");
}

void http_set(struct http_x *x, const char *name, const char *value)
{
	if (strcasecmp(name, "content-length") == 0) {
		x->extra_length = true;
		x->owed = strtoull(value, NULL, 10);
	}
	add_header(&x->extra, name, value);
}

void http_setf(struct http_x *x, const char *name, const char *fmt, ...)
{
	AUTO(buf_clear) struct buf b = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	http_set(x, name, buf_str(&b));
}

void http_error_body(const struct err *e, struct buf *out)
{
	json_t *o = json_pack("{s:s, s:s}", "id", e->id, "message", e->msg);
	char *text;

	if (!o) /* the message is not UTF-8 */
		o = json_pack("{s:s, s:s}", "id", e->id, "message", http1_reason(e->status));
	if (e->resource)
		json_object_set_new(o, "resource", json_string(e->resource));
	text = json_dumps(o, JSON_COMPACT);
	buf_adds(out, text);
	free(text);
	json_decref(o);
}

void http_answer_error(const struct err *e, bool is_head, struct buf *out)
{
	AUTO(buf_clear) struct buf body = {0};

	http_error_body(e, &body);
	add_status(out, e->status);
	add_date(out);
	buf_addf(out,
		 "Content-Type: application/json\r\nContent-Length: %zu\r\n"
		 "Connection: close\r\n\r\n",
		 body.len);
	if (!is_head)
		buf_add(out, body.data, body.len);
}

/* --- answering ---------------------------------------------------------------------------------
 */

static bool bodyless(int status)
{
	return status < 200 || status == 204 || status == 304;
}

/* With x->lock held: can the connection serve another request after an answer given now? */
static bool decide_close(struct http_x *x, bool whole)
{
	bool rest_is_small =
		x->has_length && x->body_left <= HTTP_DRAIN_MAX && (!x->expect || x->continued);

	x->in_rest = !x->in_end && !x->in_err && rest_is_small;
	if (!x->keep_alive || (x->minor == 0 && !x->counted && !x->no_body) ||
	    (whole && !x->in_end && !x->in_rest))
		x->close_after = true;
	return x->close_after;
}

/* With x->lock held. whole: nothing follows; body_n belongs to Content-Length then. */
static void add_head(struct http_x *x, int status, const char *type, bool whole, size_t body_n)
{
	struct buf *b = &x->out;
	size_t before = b->len;

	assert(!x->responded && status >= 200);
	x->responded = true;
	x->no_body = x->is_head || bodyless(status);
	x->counted = whole || x->extra_length;
	x->chunked = !x->counted && !x->no_body && x->minor > 0;
	add_status(b, status);
	add_date(b);
	if (type)
		add_header(b, "Content-Type", type);
	buf_add(b, x->extra.data, x->extra.len);
	if (whole && !x->extra_length && !bodyless(status))
		buf_addf(b, "Content-Length: %zu\r\n", body_n);
	else if (x->chunked)
		buf_adds(b, "Transfer-Encoding: chunked\r\n");
	if (decide_close(x, whole))
		buf_adds(b, "Connection: close\r\n");
	else if (x->minor == 0)
		buf_adds(b, "Connection: keep-alive\r\n");
	buf_adds(b, "\r\n");
	x->queued += b->len - before;
}

/* With x->lock held. */
static void add_body(struct http_x *x, const void *p, size_t n)
{
	size_t before = x->out.len;

	if (x->no_body || n == 0 || !x->conn)
		return;
	if (x->chunked)
		buf_addf(&x->out, "%zx\r\n", n);
	buf_add(&x->out, p, n);
	if (x->chunked)
		buf_adds(&x->out, "\r\n");
	x->queued += x->out.len - before;
	if (x->extra_length) {
		assert(n <= x->owed);
		x->owed -= n;
	}
}

static void end_locked(struct http_x *x)
{
	assert(!x->ended && !x->aborted);
	if (x->extra_length && x->owed && !x->no_body) {
		x->aborted = true; /* shorter than announced: the client must see it */
	} else {
		if (x->chunked) {
			buf_adds(&x->out, "0\r\n\r\n");
			x->queued += 5;
		}
		x->ended = true;
		decide_close(x, false);
	}
	http_x_wake(x);
}

void http_reply(struct http_x *x, int status, const char *type, const void *body, size_t n)
{
	pthread_mutex_lock(&x->lock);
	add_head(x, status, type, true, n);
	add_body(x, body, n);
	end_locked(x);
	pthread_mutex_unlock(&x->lock);
	http_x_unref(x);
}

void http_reply_err(struct http_x *x, const struct err *e)
{
	AUTO(buf_clear) struct buf body = {0};

	http_error_body(e, &body);
	http_reply(x, e->status, "application/json", body.data, body.len);
}

void http_respond(struct http_x *x, int status, const char *type)
{
	pthread_mutex_lock(&x->lock);
	add_head(x, status, type, false, 0);
	http_x_wake(x);
	pthread_mutex_unlock(&x->lock);
}

void http_end(struct http_x *x)
{
	struct err e;

	pthread_mutex_lock(&x->lock);
	if (!x->responded) {
		pthread_mutex_unlock(&x->lock);
		err_set(&e, ERR_INTERNAL, "no answer was made");
		http_reply_err(x, &e);
		return;
	}
	end_locked(x);
	pthread_mutex_unlock(&x->lock);
	http_x_unref(x);
}

void http_abort(struct http_x *x)
{
	pthread_mutex_lock(&x->lock);
	assert(!x->ended && !x->aborted);
	x->aborted = true;
	http_x_wake(x);
	pthread_mutex_unlock(&x->lock);
	http_x_unref(x);
}

/* With x->lock held. An orphan may outlive its loop: x->loop must not be looked at then. */
static void assert_off_loop(struct http_x *x)
{
	assert(!x->conn || !loop_is_here(x->loop));
}

int http_write(struct http_x *x, const void *p, size_t n)
{
	const char *s = p;
	bool gone;

	pthread_mutex_lock(&x->lock);
	assert_off_loop(x);
	assert(x->responded);
	do {
		size_t piece = n < WRITE_PIECE ? n : WRITE_PIECE;

		while (x->conn && x->queued > HTTP_OUT_HIGH)
			pthread_cond_wait(&x->writable, &x->lock);
		gone = !x->conn;
		add_body(x, s, piece);
		http_x_wake(x);
		s += piece;
		n -= piece;
	} while (n && !gone);
	pthread_mutex_unlock(&x->lock);
	return gone ? -1 : 0;
}

size_t http_push(struct http_x *x, const void *p, size_t n)
{
	size_t queued;

	ASSERT_ON(x->loop);
	pthread_mutex_lock(&x->lock);
	assert(x->responded);
	add_body(x, p, n);
	queued = x->queued;
	x->pushed = true;
	http_x_wake(x);
	pthread_mutex_unlock(&x->lock);
	return queued;
}

/* --- upgrade -----------------------------------------------------------------------------------
 */

static void add_switch(struct http_x *x, const char *protocol)
{
	size_t before = x->out.len;

	x->responded = true;
	add_status(&x->out, 101);
	add_date(&x->out);
	buf_add(&x->out, x->extra.data, x->extra.len);
	add_header(&x->out, "Upgrade", protocol);
	buf_adds(&x->out, "Connection: Upgrade\r\n\r\n");
	x->queued += x->out.len - before;
}

void http_upgrade(struct http_x *x, const char *protocol,
		  void (*on_data)(struct http_x *x, const char *p, size_t n, void *arg), void *arg)
{
	struct http_conn *c = x->conn;
	bool can = x->can_upgrade && (!c || c->request_done);

	ASSERT_ON(x->loop);
	x->on_data = on_data;
	x->data_arg = arg;
	pthread_mutex_lock(&x->lock);
	x->close_after = true;
	if (can) {
		add_switch(x, protocol);
	} else { /* not asked for: says so, and the other side has nothing to say */
		http_set(x, "Upgrade", protocol);
		add_head(x, 426, NULL, true, 0);
		x->no_body = true;
	}
	if (c) {
		c->raw = true;
		if (!can) {
			http_conn_read(c, false);
			c->eof = c->broken = true;
			buf_clear(&c->in);
		}
		http_x_wake(x);
	}
	pthread_mutex_unlock(&x->lock);
}

void http_pause(struct http_x *x, bool paused)
{
	struct http_conn *c = x->conn;

	ASSERT_ON(x->loop);
	if (!c || !c->raw)
		return;
	c->raw_paused = paused;
	if (paused)
		http_conn_read(c, false);
	pthread_mutex_lock(&x->lock);
	http_x_wake(x);
	pthread_mutex_unlock(&x->lock);
}

/* --- reading bodies ----------------------------------------------------------------------------
 */

void http_set_max_body(struct http_x *x, uint64_t bytes)
{
	x->max_body = bytes;
}

void http_keep_encoding(struct http_x *x)
{
	x->encoding = ENC_IDENTITY;
}

/* With x->lock held: the client holds its body back until it is told that it is wanted. */
static void send_continue(struct http_x *x)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (!x->expect || x->continued || x->responded)
		return;
	x->continued = true;
	buf_adds(&x->out, text);
	x->queued += sizeof text - 1;
	http_x_wake(x);
}

/* With x->lock held; x->in is empty. 0 = the body's end. */
static int no_more(struct http_x *x, struct err *err)
{
	if (x->in_end)
		return 0;
	if (x->in_err == ERR_TIMEOUT)
		return err_set(err, ERR_TIMEOUT, "the request's body took too long");
	return err_set(err, ERR_BAD_REQUEST, "the request's body was cut short");
}

/* Takes what has come of the body into x->rd, waiting for it. 1, 0 at the end, -1. */
static int fill(struct http_x *x, struct err *err)
{
	struct buf empty;
	int r = 1;

	pthread_mutex_lock(&x->lock);
	assert_off_loop(x);
	while (!x->in.len && !x->in_end && !x->in_err && x->conn) {
		send_continue(x);
		pthread_cond_wait(&x->readable, &x->lock);
	}
	if (x->in.len) {
		buf_reset(&x->rd);
		empty = x->rd;
		x->rd = x->in;
		x->in = empty;
		x->rd_off = 0;
		if (x->in_paused) {
			x->in_paused = false;
			http_x_wake(x);
		}
	} else {
		r = no_more(x, err);
	}
	pthread_mutex_unlock(&x->lock);
	return r;
}

bool http_body_ready(struct http_x *x)
{
	bool ready;

	if (x->encoding == ENC_IDENTITY && x->has_length && x->length > x->max_body)
		return true; /* it will not be read */
	pthread_mutex_lock(&x->lock);
	ready = x->in_end || x->in_err || !x->conn;
	pthread_mutex_unlock(&x->lock);
	return ready;
}

void http_x_body_came(struct http_x *x)
{
	void (*fn)(struct http_x * x, void *arg) = x->on_body;
	bool enough;

	if (!fn)
		return;
	pthread_mutex_lock(&x->lock);
	enough = x->in_end || x->in_err || !x->conn || x->in.len > x->body_want;
	pthread_mutex_unlock(&x->lock);
	if (!enough)
		return;
	x->on_body = NULL;
	fn(x, x->body_arg);
}

void http_on_body(struct http_x *x, size_t max, void (*fn)(struct http_x *x, void *arg), void *arg)
{
	x->on_body = fn;
	x->body_arg = arg;
	x->body_want = max;
	if (!fn)
		return;
	pthread_mutex_lock(&x->lock);
	if (x->conn)
		send_continue(x);
	if (x->in_paused && x->in.len <= max) {
		x->in_paused = false;
		http_x_wake(x);
	}
	pthread_mutex_unlock(&x->lock);
	http_x_body_came(x);
}

static ssize_t read_plain(struct http_x *x, void *p, size_t n, struct err *err)
{
	size_t have = x->rd.len - x->rd_off;
	int r;

	if (!have) {
		r = fill(x, err);
		if (r <= 0)
			return r;
		have = x->rd.len;
	}
	if (n > have)
		n = have;
	memcpy(p, x->rd.data + x->rd_off, n);
	x->rd_off += n;
	return (ssize_t)n;
}

static void inflate_start(struct http_x *x)
{
	x->z = xcalloc(1, sizeof *x->z);
	if (inflateInit2(x->z, 15 + 16) != Z_OK)
		abort(); /* out of memory */
}

/* Compressed input for x->z. 1, 0 at a proper end, -1. */
static int fill_inflate(struct http_x *x, struct err *err)
{
	int r = 1;

	if (x->rd_off == x->rd.len)
		r = fill(x, err);
	if (r == 0 && !x->z_ended && x->z->total_in)
		return err_set(err, ERR_BAD_REQUEST, "the gzip body was cut short");
	if (r <= 0)
		return r;
	if (x->z_ended) { /* RFC 1952 2.2: members may follow each other */
		inflateReset(x->z);
		x->z_ended = false;
	}
	x->z->next_in = (unsigned char *)x->rd.data + x->rd_off;
	x->z->avail_in = (unsigned)(x->rd.len - x->rd_off);
	return 1;
}

static ssize_t read_gzip(struct http_x *x, void *p, size_t n, struct err *err)
{
	size_t got;
	int r;

	if (!x->z)
		inflate_start(x);
	do {
		r = x->z_more ? 1 : fill_inflate(x, err);
		if (r <= 0)
			return r;
		x->z->next_out = p;
		x->z->avail_out = n > WRITE_PIECE ? WRITE_PIECE : (unsigned)n;
		got = x->z->avail_out;
		r = inflate(x->z, Z_NO_FLUSH);
		got -= x->z->avail_out;
		x->rd_off = x->rd.len - x->z->avail_in;
		if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
			return err_set(err, ERR_BAD_REQUEST, "the gzip body is damaged");
		x->z_ended = r == Z_STREAM_END;
		x->z_more = r == Z_OK && x->z->avail_out == 0;
	} while (!got);
	return (ssize_t)got;
}

static int body_too_large(struct http_x *x, struct err *err)
{
	return err_set(err, ERR_TOO_LARGE, "the request's body is larger than %llu bytes",
		       (unsigned long long)x->max_body);
}

ssize_t http_read(struct http_x *x, void *p, size_t n, struct err *err)
{
	ssize_t r;

	assert(n > 0);
	if (x->encoding == ENC_UNKNOWN)
		return err_set(err, ERR_UNSUPPORTED_TYPE,
			       "only gzip is understood as a Content-Encoding");
	if (x->encoding == ENC_IDENTITY && x->has_length && x->length > x->max_body)
		return body_too_large(x, err);
	r = x->encoding == ENC_GZIP ? read_gzip(x, p, n, err) : read_plain(x, p, n, err);
	if (r > 0) {
		x->body_n += (uint64_t)r;
		if (x->body_n > x->max_body)
			return body_too_large(x, err);
	}
	return r;
}

int http_read_all(struct http_x *x, struct buf *out, struct err *err)
{
	char piece[8192];
	ssize_t n;

	while ((n = http_read(x, piece, sizeof piece, err)) > 0)
		buf_add(out, piece, (size_t)n);
	return n < 0 ? -1 : 0;
}
