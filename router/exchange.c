/* exchange.c - one request from its head to its answer: choosing a dyno, trying again, passing the
 * body on, giving up. The way back is in response.c. */
#include "router/control.h"
#include "router/rewrite.h"
#include "router/worker.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static bool is_platform(const struct rt_conn *c)
{
	return c->x.app && c->x.app->def->platform;
}

static void set_clock(struct rt_conn *c, enum rt_class cls)
{
	if (is_platform(c) && (cls == RT_T_BETWEEN || cls == RT_T_FIRST))
		cls = RT_T_PBETWEEN;
	if (is_platform(c) && cls == RT_T_QUEUE)
		cls = RT_T_PQUEUE;
	c->queued = uv_stream_get_write_queue_size(c->out.s);
	rt_timer_set(c->w, &c->timer, cls);
}

void rt_xchg_touch(struct rt_conn *c)
{
	set_clock(c, RT_T_BETWEEN);
}

/* --- the end of an exchange ----------------------------------------------------------------- */

static void leave_dyno(struct rt_conn *c)
{
	struct rt_xchg *x = &c->x;

	if (x->up) {
		x->up->conn = NULL;
		rt_up_close(x->up);
		x->up = NULL;
	}
	if (x->dyno) {
		if (!c->tunnelled)
			rt_wdyno_end(x->dyno);
		rt_wdyno_unref(x->dyno);
		x->dyno = NULL;
	}
}

/* What sleeps after a while without requests is judged by these. The loop's time is the steady
 * clock's. */
static void note_end(struct rt_conn *c, _Atomic int *open)
{
	struct rt_stat *s = c->x.app->def->stat;

	atomic_store_explicit(&s->ended, (int64_t)rt_now(c->w), memory_order_relaxed);
	atomic_fetch_sub_explicit(open, 1, memory_order_release);
}

void rt_xchg_uncount(struct rt_conn *c)
{
	if (c->x.counted)
		note_end(c, &c->x.app->def->stat->open);
	c->x.counted = false;
}

void rt_xchg_tunnelled(struct rt_conn *c)
{
	atomic_fetch_add_explicit(&c->x.app->def->stat->tunnels, 1, memory_order_relaxed);
	c->tunnelled = true;
	rt_xchg_uncount(c);
}

void rt_xchg_end(struct rt_conn *c)
{
	struct rt_xchg *x = &c->x;

	rt_timer_stop(&c->timer);
	leave_dyno(c);
	if (!x->app)
		return;
	/* What was gathered for the app, if anything, was of this request. */
	rt_gather_reset(&c->w->to_app);
	rt_wapp_unwait(x->app, c);
	rt_xchg_uncount(c);
	if (c->tunnelled)
		note_end(c, &x->app->def->stat->tunnels);
	rt_wapp_unref(x->app);
	x->app = NULL;
}

/* An answer of our own. Only before the final answer's head has gone out. app: or NULL. */
static void answer_page(struct rt_conn *c, enum rt_code code, bool platform,
			const struct rt_app *app)
{
	struct buf *page = &c->w->page;
	const struct rt_code_info *info = &rt_codes[code];
	const char *own = !app ? NULL : code == RT_H80 ? app->maintenance_page : app->error_page;

	buf_reset(page);
	if (platform)
		rt_page_json(page, info->status, "service_unavailable", info->text,
			     c->x.head_request, c->last);
	else if (own)
		rt_page_framed(page, code, own, c->x.head_request, c->last);
	else
		rt_page_coded(c->w->rt->pages, page, code, c->x.head_request, c->last);
	rt_conn_answer(c, page);
}

static void prepare_last(struct rt_conn *c)
{
	const struct http1_head *h = http1_head(c->parser);

	if (!c->x.req_done) {
		c->last = true; /* the rest of the body would be read as a request */
		c->client_last = false;
	}
	if (!h || h->minor == 0 || c->w->quitting)
		c->last = true;
}

void rt_xchg_fail(struct rt_conn *c, enum rt_code code, const char *extra)
{
	struct rt_xchg *x = &c->x;
	bool platform = is_platform(c), begun = x->final;
	AUTO(rt_app_unref) struct rt_app *app = x->app ? rt_app_ref(x->app->def) : NULL;
	int status = rt_codes[code].status;

	if (!begun)
		x->status = status;
	rt_log_request(c, code, extra);
	prepare_last(c);
	if (begun) /* the end must not look regular */
		c->reset = x->until_close;
	rt_xchg_end(c);
	if (begun || status == 499) {
		c->last = true;
		rt_conn_linger(c);
		return;
	}
	answer_page(c, code, platform, app);
}

void rt_xchg_client_gone(struct rt_conn *c)
{
	c->x.status = 499;
	if (c->x.app)
		rt_log_request(c, RT_H27, "sock=client");
	rt_xchg_end(c);
	rt_conn_close(c);
}

void rt_xchg_client_cut(struct rt_conn *c)
{
	struct buf *page = &c->w->page;

	if (c->x.final) {
		rt_xchg_fail(c, RT_H27, "sock=client");
		return;
	}
	c->x.status = 499;
	if (c->x.app)
		rt_log_request(c, RT_H27, "sock=client");
	prepare_last(c);
	rt_xchg_end(c);
	buf_reset(page);
	rt_page_plain(c->w->rt->pages, page, 400, "The request's body was cut short.\n",
		      c->x.head_request, true);
	rt_conn_answer(c, page);
}

/* --- requests that no app gets ---------------------------------------------------------------- */

static void answer_plain(struct rt_conn *c, int status, const char *text)
{
	struct buf *page = &c->w->page;

	prepare_last(c);
	rt_xchg_end(c);
	buf_reset(page);
	rt_page_plain(c->w->rt->pages, page, status, text, c->x.head_request, c->last);
	rt_conn_answer(c, page);
}

static void no_such_app(struct rt_conn *c, const char *host)
{
	char text[512];

	snprintf(text, sizeof text,
		 "No such app\n\nNo app answers to the host name %s here.\n"
		 "Apps are listed by `paasctl apps`; a new one may need a moment.\n",
		 host);
	answer_plain(c, 404, text);
}

void rt_xchg_route_gone(struct rt_conn *c)
{
	no_such_app(c, http1_head(c->parser)->host_key);
}

void rt_xchg_bad_request(struct rt_conn *c)
{
	const struct err *e = http1_err(c->parser);
	const struct http1_head *h = http1_head(c->parser);
	struct rt_xchg *x = &c->x;
	bool in_body = c->state == CONN_BUSY;
	char text[460];
	struct rt_app *def;

	if (!in_body) {
		memset(x, 0, sizeof *x);
		x->connect_ms = -1;
		x->start = rt_now(c->w);
		c->state = CONN_BUSY;
		def = h && h->host_key[0] && h->method.n
			      ? rt_table_find(c->w->table, h->host_key, strlen(h->host_key))
			      : NULL;
		if (def) {
			x->app = rt_wapp_of(c->w, def);
			x->app->refs++;
		}
	}
	if (x->final) {
		rt_xchg_fail(c, RT_H26, "cause=\"bad chunk\"");
		return;
	}
	x->status = e->status;
	c->last = true;
	c->client_last = false;
	if (x->app)
		rt_log_request(c, RT_H26,
			       in_body		  ? "cause=\"bad chunk\""
			       : e->status == 417 ? "cause=\"unsupported expect header value\""
						  : "cause=\"bad header\"");
	snprintf(text, sizeof text, "%s: %s.\n", http1_reason(e->status), e->msg);
	answer_plain(c, e->status, text);
}

/* --- start ------------------------------------------------------------------------------------ */

static struct http1_str request_id(struct rt_conn *c, const struct http1_head *h)
{
	const struct http1_str *found = NULL;

	for (int i = 0; i < h->nfields; i++) {
		if (h->fields[i].id != H_X_REQUEST_ID)
			continue;
		if (found || !rt_request_id_ok(h->fields[i].value)) {
			found = NULL;
			break;
		}
		found = &h->fields[i].value;
	}
	if (found)
		return *found;
	rt_uuid(c->w, c->x.uuid);
	return (struct http1_str){c->x.uuid, 36};
}

void rt_xchg_start(struct rt_conn *c)
{
	const struct http1_head *h = http1_head(c->parser);
	struct rt_worker *w = c->w;
	struct rt_xchg *x = &c->x;
	struct rt_app *def;

	memset(x, 0, sizeof *x);
	x->connect_ms = -1;
	x->start = rt_now(w);
	x->wall = clock_wall_ms();
	x->head_request = http1_is(h->method, "HEAD");
	x->req_done = h->framing == HTTP1_NO_BODY || (h->framing == HTTP1_LENGTH && !h->length);
	x->want_upgrade = rt_may_upgrade(h);
	c->last = !h->keep_alive;
	c->client_last = c->last && x->req_done;
	rt_timer_stop(&c->timer);
	atomic_fetch_add_explicit(&w->requests, 1, memory_order_relaxed);
	if (!h->host_key[0]) {
		answer_plain(c, 400, "Bad Request: Host is missing.\n");
		return;
	}
	def = c->rdv == RDV_YES ? w->table->platform
				: rt_table_find(w->table, h->host_key, strlen(h->host_key));
	if (!def) {
		no_such_app(c, h->host_key);
		return;
	}
	x->id = request_id(c, h);
	x->app = rt_wapp_of(w, def);
	x->app->refs++;
	rt_xchg_dispatch(c);
}

/* --- choosing a dyno -------------------------------------------------------------------------- */

static void wait_for_dyno(struct rt_conn *c)
{
	rt_wapp_wait(c->x.app, c);
	if (c->x.app->def->state == ROUTE_ASLEEP && !c->x.app->ndynos)
		rt_control_wake(c->w, c->x.app);
	if (!rt_timer_is_set(&c->timer))
		set_clock(c, RT_T_QUEUE); /* once: the budget is for all tries together */
}

/* RT_OK when there may be a dyno, now or soon. */
static enum rt_code closed_because(const struct rt_wapp *a)
{
	static const enum rt_code codes[] = {
		[ROUTE_SERVING] = RT_OK, [ROUTE_BOOTING] = RT_OK, [ROUTE_CRASHED] = RT_H10,
		[ROUTE_NO_WEB] = RT_H14, [ROUTE_BLANK] = RT_H81,  [ROUTE_ASLEEP] = RT_OK,
	};

	if (a->def->state == ROUTE_MAINTENANCE)
		return RT_H80;
	if (a->ndynos || (unsigned)a->def->state >= ARRAY_LEN(codes))
		return RT_OK;
	return codes[a->def->state];
}

static bool count_open(struct rt_conn *c)
{
	struct rt_wapp *a = c->x.app;
	int limit = c->w->rt->opts.per_dyno * (a->ndynos ? a->ndynos : 1);

	if (c->x.counted || a->def->platform)
		return true;
	c->x.counted = true;
	if (atomic_fetch_add_explicit(&a->def->stat->open, 1, memory_order_relaxed) < limit)
		return true;
	rt_xchg_uncount(c);
	return false;
}

/* Rule: a second try only when the first one cannot have had an effect. */
static bool may_retry(const struct rt_conn *c)
{
	return !c->x.body_used && !c->x.interim && c->x.req_done &&
	       rt_idempotent(http1_head(c->parser)->method);
}

void rt_xchg_dispatch(struct rt_conn *c)
{
	struct rt_xchg *x = &c->x;
	enum rt_code closed = closed_because(x->app);
	struct rt_wdyno *d;
	struct rt_up *u;

	assert(!x->up && !x->dyno);
	if (closed != RT_OK) {
		rt_xchg_fail(c, closed, NULL);
		return;
	}
	if (!count_open(c)) {
		rt_xchg_fail(c, RT_H11, NULL);
		return;
	}
	d = rt_wapp_pick(x->app);
	if (!d) {
		wait_for_dyno(c);
		return;
	}
	x->dyno = d;
	rt_wdyno_ref(d);
	rt_wdyno_begin(d);
	x->connect_start = rt_now(c->w);
	u = rt_up_take(d, !may_retry(c));
	if (u) {
		u->conn = c;
		rt_xchg_connected(c, u);
		return;
	}
	x->up = rt_up_connect(d, c);
	if (!x->up)
		rt_xchg_connect_failed(c, NULL, false);
}

void rt_xchg_connect_failed(struct rt_conn *c, struct rt_up *u, bool timed_out)
{
	struct rt_xchg *x = &c->x;
	struct rt_wapp *a = x->app;

	x->connect_ms = (int)(rt_now(c->w) - x->connect_start);
	rt_wdyno_failed(x->dyno);
	leave_dyno(c);
	if (a->gone) {
		rt_xchg_route_gone(c);
		return;
	}
	x->tries++;
	if (!a->def->platform && a->ndynos &&
	    (x->tries >= RT_MAX_TRIES || a->ndynos == a->nquarantined)) {
		rt_xchg_fail(c, timed_out ? RT_H19 : RT_H21, NULL);
		return;
	}
	rt_xchg_dispatch(c);
	rt_conn_pump(c);
}

/* The kept connection had been closed under us before anything of the answer came. */
static bool try_again(struct rt_conn *c)
{
	if (!c->x.up->reused || !may_retry(c) || c->x.final)
		return false;
	rt_timer_stop(&c->timer);
	rt_up_close_idle(c->x.dyno); /* they are as old */
	leave_dyno(c);
	if (c->x.app->gone)
		rt_xchg_route_gone(c);
	else
		rt_xchg_dispatch(c);
	return true;
}

bool rt_xchg_try_again(struct rt_conn *c)
{
	bool tried = try_again(c);

	if (tried)
		rt_conn_pump(c);
	return tried;
}

/* --- passing the request on ---------------------------------------------------------------------
 */

static void send_continue(struct rt_conn *c)
{
	static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	uv_buf_t v = uv_buf_init(text, sizeof text - 1);

	rt_out_write(&c->out, &v, 1); /* a failure is seen by the next write or read */
}

void rt_xchg_connected(struct rt_conn *c, struct rt_up *u)
{
	const struct http1_head *h = http1_head(c->parser);
	struct rt_xchg *x = &c->x;
	struct rt_gather *g = &c->w->to_app;
	struct rt_req_ctx ctx = {
		.peer = c->peer,
		.proto = c->tls ? "https" : "http",
		.port = c->listen->port,
		.start_ms = x->wall,
		.request_id = x->id,
		.upgrade = x->want_upgrade,
	};

	assert(!g->head.len && !g->n);
	x->up = u;
	x->sent = rt_now(c->w);
	x->connect_ms = (int)(x->sent - x->connect_start);
	http1_response_to(u->parser, x->head_request);
	rt_write_request(&g->head, h, &ctx);
	if (h->expect_continue && !x->req_done && !c->in.len)
		send_continue(c);
	rt_conn_pump(c); /* nothing when it is running already: it flushes at its end */
}

bool rt_xchg_can_read_body(const struct rt_conn *c)
{
	const struct rt_up *u = c->x.up;

	return u && u->state == UP_BUSY && !c->x.req_done && !rt_out_pending(&u->out);
}

void rt_xchg_body(struct rt_conn *c, const char *p, size_t n)
{
	struct rt_gather *g = &c->w->to_app;

	c->x.body_used = true;
	if (c->x.up->out.failed)
		return; /* the app reads no more; its answer may still come */
	g->chunked = http1_head(c->parser)->framing == HTTP1_CHUNKED;
	/* The pieces are only read; uv_buf_t has no const. */
	g->data[g->n++] = uv_buf_init((char *)(uintptr_t)p, (unsigned)n);
	g->bytes += n;
}

void rt_xchg_body_end(struct rt_conn *c)
{
	struct rt_gather *g = &c->w->to_app;

	c->x.req_done = true;
	if (http1_head(c->parser)->framing == HTTP1_CHUNKED && !c->x.up->out.failed)
		g->chunked = g->last = true;
}

void rt_xchg_flush(struct rt_conn *c)
{
	struct rt_xchg *x = &c->x;
	struct rt_gather *g = &c->w->to_app;
	int r;

	/* A second try may have gathered the head anew. */
	while (x->up && x->up->state == UP_BUSY && (g->head.len || g->n || g->last)) {
		r = rt_gather_flush(g, &x->up->out);
		if (r < 0 && try_again(c))
			continue;
		if (r == 0 && rt_out_pending(&x->up->out) && !x->req_done)
			rt_conn_pause(c);
		if (x->final || !x->req_done || (r == 0 && rt_out_pending(&x->up->out)))
			set_clock(c, RT_T_BETWEEN);
		else
			set_clock(c, RT_T_FIRST);
		return;
	}
}

void rt_xchg_app_drained(struct rt_conn *c)
{
	if (c->state != CONN_BUSY || !c->x.up)
		return;
	if (c->x.req_done && !c->x.final)
		set_clock(c, RT_T_FIRST);
	else
		set_clock(c, RT_T_BETWEEN);
	rt_conn_pump(c);
}

/* --- clocks -------------------------------------------------------------------------------------
 */

/* Who is to move: the client, when it owes us a body or does not take the answer. */
static bool client_is_silent(const struct rt_conn *c)
{
	if (rt_out_pending(&c->out))
		return true;
	return !c->x.req_done && !(c->x.up && rt_out_pending(&c->x.up->out)) && !c->x.final;
}

void rt_xchg_timeout(struct rt_conn *c, enum rt_class cls)
{
	size_t queued = uv_stream_get_write_queue_size(c->out.s);

	if (c->state == CONN_TUNNEL) {
		rt_tunnel_end(c, RT_H15, NULL);
		return;
	}
	switch (cls) {
	case RT_T_FIRST:
		rt_xchg_fail(c, RT_H12, NULL);
		return;
	case RT_T_QUEUE:
		rt_xchg_fail(c, c->x.app->ndynos ? RT_H99 : RT_H20, NULL);
		return;
	case RT_T_PQUEUE:
		rt_xchg_fail(c, RT_H99, NULL);
		return;
	default:
		if (queued && queued < c->queued) { /* slow, not silent */
			set_clock(c, RT_T_BETWEEN);
			return;
		}
		rt_xchg_fail(c, client_is_silent(c) ? RT_H28 : RT_H15, NULL);
	}
}
