#include "daemon/pg/tunnel.h"
#include "daemon/core/clock.h"
#include "proto/limits.h"
#include "proto/tunnel.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#define HIGH (256 * 1024) /* waiting for one side: the other is not read */

struct tunnel { /* loop thread, once it is there */
	LIST_ENTRY(tunnel) link;
	struct pg_tunnels *all;
	struct http_x *x; /* NULL once that side is over */
	char user_id[37];
	struct sockaddr_storage to;
	uv_tcp_t tcp;
	uv_connect_t connect;
	bool paused, stopped, closing;
	size_t queued; /* towards the database */
	struct loop_timer *timer;
	mono_ms last;
	char chunk[32768];
};

struct pg_tunnels {
	struct loop *l;
	LIST_HEAD(pg_tunnel_list, tunnel) list;
};

struct pg_tunnels *pg_tunnels_new(struct loop *l)
{
	struct pg_tunnels *t = xcalloc(1, sizeof *t);

	t->l = l;
	LIST_INIT(&t->list);
	return t;
}

void pg_tunnels_free(struct pg_tunnels *t)
{
	free(t);
}

/* --- the end --- */

static void on_closed(uv_handle_t *h)
{
	struct tunnel *t = h->data;

	LIST_REMOVE(t, link);
	free(t);
}

/* Both sides; the exchange is ended exactly once. */
static void finish(struct tunnel *t)
{
	struct http_x *x = STEAL(t->x);

	if (x)
		http_end(x);
	loop_timer_stop(STEAL(t->timer));
	if (t->closing)
		return;
	t->closing = true;
	uv_close((uv_handle_t *)&t->tcp, on_closed);
}

static void refuse(struct tunnel *t, enum err_id id, const char *why)
{
	struct http_x *x = STEAL(t->x);
	struct err e = {0};

	err_set(&e, id, "%s", why);
	if (x)
		http_reply_err(x, &e);
	finish(t);
}

static void on_gone(struct http_x *x, void *arg)
{
	(void)x;
	finish(arg);
}

static void on_idle(void *arg)
{
	struct tunnel *t = arg;
	mono_ms left = t->last + LIM_TUNNEL_IDLE_MS - clock_mono_ms();

	t->timer = NULL;
	if (left <= 0)
		finish(t);
	else
		t->timer = loop_timer_start(t->all->l, (uint64_t)left, on_idle, t);
}

/* --- from the database to the client --- */

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *out)
{
	struct tunnel *t = h->data;

	(void)n;
	*out = uv_buf_init(t->chunk, sizeof t->chunk);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct tunnel *t = s->data;

	if (n < 0) {
		finish(t);
		return;
	}
	t->last = clock_mono_ms();
	if (n > 0 && t->x && http_push(t->x, b->base, (size_t)n) > HIGH) {
		t->stopped = true;
		uv_read_stop(s);
	}
}

static void on_drain(struct http_x *x, void *arg)
{
	struct tunnel *t = arg;

	(void)x;
	if (t->stopped && !t->closing) {
		t->stopped = false;
		uv_read_start((uv_stream_t *)&t->tcp, on_alloc, on_read);
	}
}

/* --- from the client to the database --- */

struct piece {
	uv_write_t req;
	struct tunnel *t;
	size_t n;
	char bytes[];
};

static void on_written(uv_write_t *req, int status)
{
	struct piece *p = container_of(req, struct piece, req);
	struct tunnel *t = p->t;

	t->queued -= p->n;
	free(p);
	if (t->closing)
		return;
	if (status < 0) {
		finish(t);
	} else if (t->paused && t->queued < HIGH / 2) {
		t->paused = false;
		http_pause(t->x, false);
	}
}

static void on_data(struct http_x *x, const char *bytes, size_t n, void *arg)
{
	struct tunnel *t = arg;
	struct piece *p;
	uv_buf_t b;

	if (n == 0) {
		finish(t);
		return;
	}
	if (t->closing)
		return;
	t->last = clock_mono_ms();
	p = xmalloc(sizeof *p + n);
	p->t = t;
	p->n = n;
	memcpy(p->bytes, bytes, n);
	b = uv_buf_init(p->bytes, (unsigned)n);
	t->queued += n;
	if (uv_write(&p->req, (uv_stream_t *)&t->tcp, &b, 1, on_written) < 0) {
		t->queued -= n;
		free(p);
		finish(t);
	} else if (t->queued > HIGH) {
		t->paused = true;
		http_pause(x, true);
	}
}

/* --- opening --- */

static void on_connect(uv_connect_t *req, int status)
{
	struct tunnel *t = req->data;

	if (t->closing)
		return;
	loop_timer_stop(STEAL(t->timer));
	if (status < 0) {
		refuse(t, ERR_UNAVAILABLE,
		       "The database server does not answer; try again in a moment.");
		return;
	}
	t->last = clock_mono_ms();
	uv_tcp_nodelay(&t->tcp, 1);
	uv_tcp_keepalive(&t->tcp, 1, 60);
	http_upgrade(t->x, TUNNEL_UPGRADE, on_data, t);
	t->timer = loop_timer_start(t->all->l, LIM_TUNNEL_IDLE_MS, on_idle, t);
	uv_read_start((uv_stream_t *)&t->tcp, on_alloc, on_read);
}

static void on_late(void *arg)
{
	struct tunnel *t = arg;

	t->timer = NULL;
	refuse(t, ERR_UNAVAILABLE, "The database server does not answer; try again in a moment.");
}

static bool too_many(const struct tunnel *t)
{
	const struct tunnel *other;
	int all = 0, own = 0;

	LIST_FOREACH (other, &t->all->list, link) {
		all++;
		own += strcmp(other->user_id, t->user_id) == 0;
	}
	return all > LIM_TUNNELS || own > LIM_TUNNELS_ONE;
}

static void begin(void *arg)
{
	struct tunnel *t = arg;

	LIST_INSERT_HEAD(&t->all->list, t, link);
	uv_tcp_init(loop_uv(t->all->l), &t->tcp);
	t->tcp.data = t;
	t->connect.data = t;
	if (too_many(t)) {
		refuse(t, ERR_RATE_LIMIT,
		       "Too many tunnels to databases are open: close some of yours.");
		return;
	}
	http_on_gone(t->x, on_gone, t);
	http_on_drain(t->x, on_drain, t);
	if (http_client_gone(t->x) ||
	    uv_tcp_connect(&t->connect, &t->tcp, (struct sockaddr *)&t->to, on_connect) < 0) {
		finish(t);
		return;
	}
	t->timer = loop_timer_start(t->all->l, LIM_TUNNEL_CONNECT_MS, on_late, t);
}

static int look_up(const char *host, int port, struct sockaddr_storage *out, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	char service[8];

	snprintf(service, sizeof service, "%d", port);
	if (getaddrinfo(host, service, &hints, &found) != 0 || !found)
		return err_set(err, ERR_UNAVAILABLE,
			       "The database server's host name cannot be looked up.");
	memcpy(out, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return 0;
}

int pg_tunnel_open(struct pg_tunnels *all, struct http_x *x, const char *user_id, const char *host,
		   int port, struct err *err)
{
	struct tunnel *t = xcalloc(1, sizeof *t);

	t->all = all;
	t->x = x;
	snprintf(t->user_id, sizeof t->user_id, "%s", user_id);
	if (look_up(host, port, &t->to, err) < 0) {
		free(t);
		return -1;
	}
	if (!loop_post(all->l, begin, t)) {
		free(t);
		return err_set(err, ERR_UNAVAILABLE, "The platform is stopping.");
	}
	return 0;
}
