#include "router/worker.h"

#include <assert.h>
#include <string.h>

#define READ_AHEAD   (16 * 1024) /* kept of what comes before its turn, beyond the read under way */
#define LINGER_BYTES (1024 * 1024) /* dropped after a last answer before we stop being polite */

static void on_closed(uv_handle_t *h)
{
	struct rt_conn *c = h->data;
	struct rt_worker *w = c->w;

	rt_out_clear(&c->out);
	rt_tls_free(c->tls);
	buf_clear(&c->in);
	buf_clear(&c->held);
	http1_free(c->parser);
	free(c->log_head);
	free(c);
	w->open_handles--;
	rt_worker_check_quit(w);
}

void rt_conn_close(struct rt_conn *c)
{
	struct rt_worker *w = c->w;

	if (c->state == CONN_CLOSING)
		return;
	assert(!c->x.app);
	if (c->tls) {
		rt_tls_closing(c);
		if (!c->reset && !c->out.failed && !rt_out_pending(&c->out))
			rt_tls_goodbye(c->tls);
	}
	c->state = CONN_CLOSING;
	rt_timer_stop(&c->timer);
	if (c->prev)
		c->prev->next = c->next;
	else
		w->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	w->nconns--;
	if (!c->reset || uv_tcp_close_reset(&c->tcp, on_closed) != 0)
		uv_close((uv_handle_t *)&c->tcp, on_closed);
}

/* --- reading ------------------------------------------------------------------------------ */

static size_t feed(struct rt_conn *c, const char *p, size_t n);

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	struct rt_conn *c = h->data;

	*b = uv_buf_init(c->w->rbuf, sizeof c->w->rbuf);
}

/* The client sends no more, and all that it sent has been taken. */
static void at_eof(struct rt_conn *c)
{
	switch (c->state) {
	case CONN_BUSY:
		/* The request may be whole already; then the client still gets its answer. */
		if (!c->x.req_done && !c->in.len)
			rt_xchg_client_cut(c);
		return;
	case CONN_TUNNEL:
		rt_tunnel_client_eof(c);
		return;
	default:
		if (rt_out_pending(&c->out)) /* it may still read */
			rt_conn_linger(c);
		else
			rt_conn_close(c);
	}
}

void rt_conn_eof(struct rt_conn *c)
{
	/* Over TLS it may be told twice: by the peer's close_notify and by its kernel. */
	if (c->tls && c->eof && c->state != CONN_LINGER)
		return;
	c->eof = true;
	at_eof(c);
}

void rt_conn_data(struct rt_conn *c, const char *p, size_t n)
{
	size_t used;

	switch (c->state) {
	case CONN_TUNNEL:
		rt_tunnel_from_client(c, p, n);
		return;
	case CONN_LINGER:
		c->lingered += n;
		if (c->lingered > LINGER_BYTES)
			rt_conn_close(c);
		return;
	case CONN_CLOSING:
		return;
	default:
		break;
	}
	if (c->rdv == RDV_LINE) {
		rt_rendezvous_line(c, p, n);
		return;
	}
	if (c->in.len) { /* what came before goes first */
		buf_add(&c->in, p, n);
		rt_conn_pump(c);
	} else {
		used = feed(c, p, n);
		if (used < n && (c->state == CONN_IDLE || c->state == CONN_BUSY))
			buf_add(&c->in, p + used, n - used);
	}
	if (c->in.len > READ_AHEAD)
		rt_conn_pause(c);
}

/* The first octet tells. False: it is TLS, which cannot be served. */
static bool is_plain(struct rt_conn *c, char first)
{
	c->fresh = false;
	if ((unsigned char)first != RT_TLS_OCTET || c->state != CONN_IDLE || rt_tls_start(c))
		return true;
	rt_conn_close(c);
	return false;
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct rt_conn *c = s->data;

	if (n > 0) {
		if (c->fresh && !is_plain(c, b->base[0]))
			return;
		if (c->tls)
			rt_tls_data(c, b->base, (size_t)n);
		else
			rt_conn_data(c, b->base, (size_t)n);
	} else if (n == UV_EOF)
		rt_conn_eof(c);
	else if (n < 0 && c->state == CONN_BUSY)
		rt_xchg_client_gone(c);
	else if (n < 0 && c->state == CONN_TUNNEL)
		rt_tunnel_end(c, RT_OK, NULL);
	else if (n < 0)
		rt_conn_close(c);
}

void rt_conn_pause(struct rt_conn *c)
{
	if (!c->paused && c->state != CONN_CLOSING)
		uv_read_stop((uv_stream_t *)&c->tcp);
	c->paused = true;
}

void rt_conn_resume(struct rt_conn *c)
{
	if (c->paused && !c->eof && c->state != CONN_CLOSING)
		uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
	c->paused = false;
}

/* One step of the parser. False when nothing more can be taken now. */
static bool feed_step(struct rt_conn *c, const char *p, size_t n, size_t *used)
{
	const char *data;
	size_t data_n;

	switch (http1_feed(c->parser, p, n, used, &data, &data_n)) {
	case HTTP1_MORE:
		if (c->state == CONN_IDLE && !http1_idle(c->parser) &&
		    (!rt_timer_is_set(&c->timer) || c->timer.cls == RT_T_IDLE))
			rt_timer_set(c->w, &c->timer, RT_T_HEAD);
		return false;
	case HTTP1_HEAD:
		c->state = CONN_BUSY;
		rt_xchg_start(c);
		return true;
	case HTTP1_DATA:
		rt_xchg_body(c, data, data_n);
		return true;
	case HTTP1_END:
		rt_xchg_body_end(c);
		return true;
	case HTTP1_ERROR:
		rt_xchg_bad_request(c);
		return false;
	}
	return false;
}

static bool may_feed(const struct rt_conn *c)
{
	/* A client that sends requests and reads no answers gets no further. */
	if (c->state == CONN_IDLE)
		return !rt_out_pending(&c->out);
	return c->state == CONN_BUSY && rt_xchg_can_read_body(c);
}

/* Takes what can be taken; what was gathered for the app is written before the buffer goes. */
static size_t feed(struct rt_conn *c, const char *p, size_t n)
{
	size_t at = 0, used;
	bool outer = !c->pumping;

	if (!outer)
		return 0;
	c->pumping = true;
	while (may_feed(c)) {
		/* Between requests there is no sense in asking for an event of nothing. */
		if (c->state == CONN_IDLE && at == n)
			break;
		used = 0;
		if (!feed_step(c, p + at, n - at, &used)) {
			at += used;
			break;
		}
		at += used;
		if (c->state == CONN_BUSY && (c->x.req_done || rt_gather_full(&c->w->to_app)))
			rt_xchg_flush(c);
	}
	if (c->state == CONN_BUSY)
		rt_xchg_flush(c);
	c->pumping = false;
	return at;
}

void rt_conn_pump(struct rt_conn *c)
{
	size_t used;

	if (c->pumping || c->state == CONN_CLOSING)
		return;
	if (c->state == CONN_IDLE || c->state == CONN_BUSY) {
		used = feed(c, c->in.data, c->in.len);
		if (used >= c->in.len)
			buf_clear(&c->in);
		else
			buf_drop(&c->in, used);
	}
	if (c->in.len <= READ_AHEAD && c->paused && may_feed(c))
		rt_conn_resume(c);
	if (c->eof && !c->in.len)
		at_eof(c);
}

/* --- after an answer ------------------------------------------------------------------------ */

void rt_conn_next(struct rt_conn *c)
{
	struct rt_worker *w = c->w;

	assert(!c->x.app && c->state == CONN_BUSY);
	c->served = true;
	if (c->last || w->quitting || (c->eof && !c->in.len)) {
		rt_conn_linger(c);
		return;
	}
	http1_next(c->parser);
	c->state = CONN_IDLE;
	rt_timer_set(w, &c->timer, RT_T_IDLE);
	if (c->in.len || c->paused)
		rt_conn_pump(c);
}

void rt_conn_linger(struct rt_conn *c)
{
	if (c->state == CONN_CLOSING || c->state == CONN_LINGER)
		return;
	buf_clear(&c->in);
	/* A client that said that it sends no more has nothing on its way that a close would reset.
	 */
	if (c->reset || c->out.failed || ((c->eof || c->client_last) && !rt_out_pending(&c->out))) {
		rt_conn_close(c);
		return;
	}
	c->state = CONN_LINGER;
	rt_timer_set(c->w, &c->timer, RT_T_LINGER);
	rt_out_end(&c->out);
	rt_conn_resume(c); /* read and drop, so that the answer is not lost to a reset */
}

void rt_conn_answer(struct rt_conn *c, const struct buf *text)
{
	uv_buf_t v = uv_buf_init(text->data, (unsigned)text->len);

	if (c->rdv != RDV_NO) { /* no client of HTTP: the end says enough */
		rt_conn_linger(c);
		return;
	}
	if (rt_out_write(&c->out, &v, 1) < 0) {
		rt_conn_close(c);
		return;
	}
	rt_conn_next(c);
}

static void on_drain(struct rt_out *o)
{
	struct rt_conn *c = container_of(o, struct rt_conn, out);

	if (c->state == CONN_BUSY)
		rt_xchg_client_drained(c);
	else if (c->state == CONN_TUNNEL)
		rt_tunnel_drained(c);
	else if (c->state == CONN_IDLE && !o->failed)
		rt_conn_pump(c);
	else if (o->failed || (c->state == CONN_LINGER && c->eof))
		rt_conn_close(c);
}

void rt_conn_timeout(struct rt_worker *w, struct rt_timer *t)
{
	struct rt_conn *c = container_of(t, struct rt_conn, timer);
	struct buf *page = &w->page;

	switch (t->cls) {
	case RT_T_HEAD:
		if (c->rdv != RDV_NO) {
			rt_conn_close(c);
			return;
		}
		buf_reset(page);
		rt_page_plain(w->rt->pages, page, 408, "The request did not come in time.\n", false,
			      true);
		c->state = CONN_BUSY;
		c->last = true;
		rt_conn_answer(c, page);
		return;
	case RT_T_IDLE:
	case RT_T_TLS:
	case RT_T_LINGER:
		rt_conn_close(c);
		return;
	default:
		rt_xchg_timeout(c, t->cls);
	}
}

/* --- accepting ------------------------------------------------------------------------------ */

static int learn_peer(struct rt_conn *c)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_storage ss;
	} a;
	int len = sizeof a;

	if (uv_tcp_getpeername(&c->tcp, &a.sa, &len) != 0)
		return -1;
	if (a.sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a.in6.sin6_addr))
		return uv_inet_ntop(AF_INET, a.in6.sin6_addr.s6_addr + 12, c->peer, sizeof c->peer);
	if (a.sa.sa_family == AF_INET6)
		return uv_ip6_name(&a.in6, c->peer, sizeof c->peer);
	return uv_ip4_name(&a.in, c->peer, sizeof c->peer);
}

static struct rt_conn *conn_new(struct rt_worker *w, const struct rt_listen *l)
{
	struct rt_conn *c = xcalloc(1, sizeof *c);

	c->w = w;
	c->listen = l;
	uv_tcp_init(w->uv, &c->tcp);
	c->tcp.data = c;
	w->open_handles++;
	c->out.s = (uv_stream_t *)&c->tcp;
	c->out.on_drain = on_drain;
	c->next = w->conns;
	if (w->conns)
		w->conns->prev = c;
	w->conns = c;
	w->nconns++;
	return c;
}

static void conn_start(struct rt_conn *c)
{
	/* Out of descriptors soon: a connection refused now is better than routes that cannot
	 * reach their dynos. */
	if (learn_peer(c) != 0 || c->w->nconns > c->w->max_conns) {
		rt_conn_close(c);
		return;
	}
	c->fresh = true;
	c->parser = http1_new(HTTP1_REQUEST, LIM_HTTP_HEAD);
	rt_timer_set(c->w, &c->timer, RT_T_IDLE);
	uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

void rt_conn_accept(struct rt_worker *w, uv_stream_t *listener, const struct rt_listen *l)
{
	struct rt_conn *c = conn_new(w, l);

	if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0)
		rt_conn_close(c);
	else
		conn_start(c);
}

void rt_conn_adopt(struct rt_worker *w, int fd, const struct rt_listen *l)
{
	struct rt_conn *c = conn_new(w, l);

	if (uv_tcp_open(&c->tcp, fd) != 0) {
		close(fd);
		rt_conn_close(c);
	} else {
		conn_start(c);
	}
}
