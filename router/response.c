/* response.c - the way back: the app's answer, parsed as strictly as a request, framed anew. */
#include "router/rewrite.h"
#include "router/worker.h"

#include <assert.h>
#include <string.h>

#define MAX_INTERIM 16

/* Writes what is gathered for the client. False when the client is gone: c is then closing. */
static bool flush_client(struct rt_conn *c)
{
	struct rt_gather *g = &c->w->to_client;

	if (!g->head.len && !g->n && !g->last)
		return true;
	if (rt_gather_flush(g, &c->out) < 0) {
		rt_xchg_client_gone(c);
		return false;
	}
	return true;
}

/* Over a limit rather than malformed (H25 and H17 on Heroku). */
static enum rt_code code_of(const struct err *e)
{
	return strstr(e->msg, "too l") || strstr(e->msg, "too many") ||
			       strstr(e->msg, "Content-Length")
		       ? RT_H25
		       : RT_H17;
}

static void bad_response(struct rt_conn *c, enum rt_code code)
{
	if (c->x.final && !flush_client(c)) /* what was right of it still goes out */
		return;
	rt_gather_reset(&c->w->to_client);
	rt_xchg_fail(c, code, code == RT_H18 ? "sock=backend" : NULL);
}

/* 1xx. Returns false when the exchange is over or a tunnel. */
static bool on_interim(struct rt_conn *c, const struct http1_head *h)
{
	struct rt_xchg *x = &c->x;
	struct rt_resp_ctx ctx = {.minor = http1_head(c->parser)->minor};

	if (++x->interim > MAX_INTERIM) {
		bad_response(c, RT_H17);
		return false;
	}
	if (h->status == 101) {
		if (!x->want_upgrade || !h->upgrade) {
			bad_response(c, RT_H17);
			return false;
		}
		ctx.upgrade = true;
		x->status = 101;
		x->final = true;
		if (c->rdv == RDV_YES)
			return true; /* what follows is all that its client wants */
		rt_write_response(&c->w->to_client.head, h, &ctx);
		return flush_client(c);
	}
	x->interim_now = true;
	/* 100 was ours to send: the app has never seen the Expect. */
	if (h->status == 100 || ctx.minor == 0)
		return true;
	rt_write_response(&c->w->to_client.head, h, &ctx);
	return flush_client(c);
}

static bool cookies_fit(const struct http1_head *h)
{
	for (int i = 0; i < h->nfields; i++)
		if (h->fields[i].id == H_SET_COOKIE && h->fields[i].value.n > LIM_HTTP_FIELD)
			return false;
	return true;
}

static bool on_head(struct rt_conn *c, const struct http1_head *h)
{
	struct rt_xchg *x = &c->x;
	struct rt_resp_ctx ctx = {.minor = http1_head(c->parser)->minor};

	if (h->status < 200)
		return on_interim(c, h);
	if (c->rdv == RDV_YES) { /* refused: the connection's end is the only answer there is */
		x->status = h->status;
		rt_xchg_end(c);
		rt_conn_linger(c);
		return false;
	}
	if (!cookies_fit(h)) {
		bad_response(c, RT_H25);
		return false;
	}
	if (h->framing == HTTP1_CHUNKED || h->framing == HTTP1_UNTIL_CLOSE) {
		x->resp_chunked = ctx.chunked = ctx.minor > 0;
		x->until_close = ctx.no_length = ctx.minor == 0;
	}
	if (!x->req_done) {
		c->last = true;
		c->client_last = false;
	}
	if (x->until_close || c->w->quitting)
		c->last = true;
	ctx.keep_alive = !c->last;
	x->final = true;
	x->status = h->status;
	rt_write_response(&c->w->to_client.head, h, &ctx);
	return true;
}

/* The app's part is done. May the connection serve another request? */
static void let_app_go(struct rt_conn *c, bool clean)
{
	struct rt_xchg *x = &c->x;
	struct rt_up *u = x->up;

	clean &= x->req_done && http1_head(u->parser)->keep_alive && !u->eof;
	if (!clean)
		return; /* the end of the exchange closes it */
	http1_next(u->parser);
	x->up = NULL;
	rt_up_release(u);
}

static void on_end(struct rt_conn *c, bool clean)
{
	struct rt_xchg *x = &c->x;
	struct rt_gather *g = &c->w->to_client;

	x->resp_done = true;
	if (x->resp_chunked)
		g->chunked = g->last = true;
	if (!flush_client(c))
		return;
	let_app_go(c, clean);
	if (rt_out_pending(&c->out)) {
		if (x->up)
			rt_up_pause(x->up);
		rt_xchg_touch(c);
		return; /* rt_xchg_client_drained goes on */
	}
	rt_resp_finish(c);
}

void rt_resp_finish(struct rt_conn *c)
{
	rt_log_request(c, RT_OK, NULL);
	rt_xchg_end(c);
	rt_conn_next(c);
}

static void add_data(struct rt_conn *c, const char *p, size_t n)
{
	struct rt_gather *g = &c->w->to_client;

	g->chunked = c->x.resp_chunked;
	g->data[g->n++] = uv_buf_init((char *)(uintptr_t)p, (unsigned)n);
	g->bytes += n;
	c->x.bytes += n;
}

/* One event of the parser. False when reading for this exchange is over. */
static bool on_event(struct rt_up *u, enum http1_event ev, const char *data, size_t n, bool more)
{
	struct rt_conn *c = u->conn;

	switch (ev) {
	case HTTP1_HEAD:
		return on_head(c, http1_head(u->parser));
	case HTTP1_DATA:
		add_data(c, data, n);
		return !rt_gather_full(&c->w->to_client) || flush_client(c);
	case HTTP1_END:
		if (c->x.interim_now) {
			c->x.interim_now = false;
			http1_next(u->parser);
			return true;
		}
		on_end(c, !more);
		return false;
	case HTTP1_ERROR:
		bad_response(c, c->x.final ? RT_H18 : code_of(http1_err(u->parser)));
		return false;
	case HTTP1_MORE:
		break;
	}
	return false;
}

void rt_resp_read(struct rt_up *u, const char *p, size_t n)
{
	struct rt_conn *c = u->conn;
	const char *data;
	size_t at = 0, used, data_n;
	enum http1_event ev;

	if (c->x.resp_done) { /* waiting for a slow client; these octets belong to no answer */
		rt_up_pause(u);
		return;
	}
	for (;;) {
		ev = http1_feed(u->parser, p + at, n - at, &used, &data, &data_n);
		at += used;
		if (ev == HTTP1_MORE)
			break;
		if (!on_event(u, ev, data, data_n, at < n))
			return;
		if (c->x.status == 101) {
			rt_tunnel_start(c, p + at, n - at);
			return;
		}
	}
	if (!flush_client(c))
		return;
	if (c->x.final)
		rt_xchg_touch(c);
	if (rt_out_pending(&c->out))
		rt_up_pause(u);
}

void rt_resp_eof(struct rt_up *u, bool reset)
{
	struct rt_conn *c = u->conn;
	struct rt_xchg *x = &c->x;
	enum http1_event ev;

	if (x->resp_done)
		return;
	if (http1_idle(u->parser) && !x->final) {
		if (rt_xchg_try_again(c))
			return;
		bad_response(c, x->req_done && !rt_out_pending(&u->out) ? RT_H13 : RT_H18);
		return;
	}
	/* A reset is no regular end, whatever the framing. */
	ev = reset ? HTTP1_ERROR : http1_eof(u->parser);
	if (ev == HTTP1_END)
		on_end(c, false);
	else
		bad_response(c, RT_H18);
}

void rt_xchg_client_drained(struct rt_conn *c)
{
	struct rt_xchg *x = &c->x;

	if (c->out.failed) {
		rt_xchg_client_gone(c);
		return;
	}
	if (!x->app)
		return;
	if (x->resp_done) {
		rt_resp_finish(c);
		return;
	}
	if (x->final)
		rt_xchg_touch(c);
	if (x->up && x->up->state == UP_BUSY)
		rt_up_resume(x->up);
}
