#include "router/worker.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static void on_drain(struct rt_out *o)
{
	struct rt_up *u = container_of(o, struct rt_up, out);

	if (u->conn && u->state == UP_TUNNEL)
		rt_tunnel_drained(u->conn);
	else if (u->conn)
		rt_xchg_app_drained(u->conn);
}

static void on_closed(uv_handle_t *h)
{
	struct rt_up *u = h->data;
	struct rt_worker *w = u->w;

	rt_out_clear(&u->out);
	http1_free(u->parser);
	rt_wdyno_unref(u->dyno);
	free(u);
	w->open_handles--;
	rt_worker_check_quit(w);
}

static void unlink_idle(struct rt_up *u)
{
	struct rt_wdyno *d = u->dyno;

	if (u->prev)
		u->prev->next = u->next;
	else
		d->idle = u->next;
	if (u->next)
		u->next->prev = u->prev;
	u->prev = u->next = NULL;
	d->nidle--;
}

void rt_up_close(struct rt_up *u)
{
	if (u->state == UP_CLOSING)
		return;
	if (u->state == UP_IDLE)
		unlink_idle(u);
	u->state = UP_CLOSING;
	u->conn = NULL;
	rt_timer_stop(&u->timer);
	uv_close(&u->u.handle, on_closed);
}

void rt_up_close_idle(struct rt_wdyno *d)
{
	while (d->idle)
		rt_up_close(d->idle);
}

void rt_up_timeout(struct rt_worker *w, struct rt_timer *t)
{
	struct rt_up *u = container_of(t, struct rt_up, timer);

	if (u->state == UP_CONNECTING)
		rt_xchg_connect_failed(u->conn, u, true);
	else
		rt_up_close(u);
}

/* --- reading ------------------------------------------------------------------------------ */

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	struct rt_up *u = h->data;

	*b = uv_buf_init(u->w->rbuf, sizeof u->w->rbuf);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct rt_up *u = s->data;

	if (n == 0 || u->state == UP_CLOSING)
		return;
	if (n > 0) {
		if (u->state == UP_BUSY)
			rt_resp_read(u, b->base, (size_t)n);
		else if (u->state == UP_TUNNEL)
			rt_tunnel_from_app(u, b->base, (size_t)n);
		else /* octets that nobody asked for: not fit for another request */
			rt_up_close(u);
		return;
	}
	u->eof = true;
	if (u->state == UP_BUSY)
		rt_resp_eof(u, n != UV_EOF);
	else if (u->state == UP_TUNNEL && n == UV_EOF)
		rt_tunnel_app_eof(u);
	else if (u->state == UP_TUNNEL)
		rt_tunnel_end(u->conn, RT_OK, NULL);
	else
		rt_up_close(u);
}

void rt_up_pause(struct rt_up *u)
{
	if (!u->paused && u->state != UP_CLOSING)
		uv_read_stop(&u->u.stream);
	u->paused = true;
}

void rt_up_resume(struct rt_up *u)
{
	if (u->paused && !u->eof && u->state != UP_CLOSING)
		uv_read_start(&u->u.stream, on_alloc, on_read);
	u->paused = false;
}

/* --- pool --------------------------------------------------------------------------------- */

/* An idle connection that has something to read is dead, or worse. */
static bool is_quiet(const struct rt_up *u)
{
	uv_os_fd_t fd;
	char c;

	if (uv_fileno(&u->u.handle, &fd) != 0)
		return false;
	return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

struct rt_up *rt_up_take(struct rt_wdyno *d, bool probe)
{
	struct rt_up *u;

	while ((u = d->idle)) {
		if (probe && !is_quiet(u)) {
			rt_up_close(u);
			continue;
		}
		unlink_idle(u);
		rt_timer_stop(&u->timer);
		u->state = UP_BUSY;
		u->reused = true;
		return u;
	}
	return NULL;
}

void rt_up_release(struct rt_up *u)
{
	struct rt_wdyno *d = u->dyno;

	assert(u->state == UP_BUSY);
	u->conn = NULL;
	if (!d->app || d->nidle >= RT_IDLE_PER_DYNO || u->eof || u->out.busy || u->out.failed ||
	    u->w->quitting) {
		rt_up_close(u);
		return;
	}
	u->state = UP_IDLE;
	u->next = d->idle;
	if (d->idle)
		d->idle->prev = u;
	d->idle = u;
	d->nidle++;
	rt_timer_set(u->w, &u->timer, RT_T_UPIDLE);
	rt_up_resume(u); /* an idle connection is read, so that its end is noticed */
}

/* --- connecting --------------------------------------------------------------------------- */

static void on_connect(uv_connect_t *req, int status)
{
	struct rt_up *u = req->data;

	if (u->state == UP_CLOSING)
		return;
	if (status < 0) {
		rt_xchg_connect_failed(u->conn, u, status == UV_ETIMEDOUT);
		return;
	}
	rt_timer_stop(&u->timer);
	u->state = UP_BUSY;
	uv_read_start(&u->u.stream, on_alloc, on_read);
	rt_xchg_connected(u->conn, u);
}

static void start_pipe(struct rt_up *u)
{
	uv_pipe_init(u->w->uv, &u->u.pipe, 0);
	uv_pipe_connect(&u->connect, &u->u.pipe, u->dyno->socket, on_connect);
}

static int start_tcp(struct rt_up *u)
{
	uv_tcp_init(u->w->uv, &u->u.tcp);
	/* Before the connection is there: libuv sets it once the socket exists. */
	uv_tcp_nodelay(&u->u.tcp, 1);
	return uv_tcp_connect(&u->connect, &u->u.tcp, &u->dyno->def.addr.sa, on_connect);
}

struct rt_up *rt_up_connect(struct rt_wdyno *d, struct rt_conn *c)
{
	struct rt_up *u = xcalloc(1, sizeof *u);
	int r = 0;

	u->w = d->w;
	u->dyno = d;
	u->conn = c;
	u->state = UP_CONNECTING;
	rt_wdyno_ref(d);
	u->w->open_handles++;
	u->parser = http1_new(HTTP1_RESPONSE, LIM_HTTP_RESP_HEAD);
	u->out.s = &u->u.stream;
	u->out.on_drain = on_drain;
	if (d->socket)
		start_pipe(u);
	else
		r = start_tcp(u);
	u->u.handle.data = u;
	u->connect.data = u;
	if (r < 0) {
		u->conn = NULL;
		rt_up_close(u);
		return NULL;
	}
	rt_timer_set(u->w, &u->timer, RT_T_CONNECT);
	return u;
}

/* --- ending our side ---------------------------------------------------------------------- */

void rt_up_shutdown(struct rt_up *u)
{
	if (u->state != UP_CLOSING)
		rt_out_end(&u->out);
}
