#include "router/worker.h"
#include "router/control.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

/* --- randomness: one system call for many ids ------------------------------------------------- */

static void fill(void *p, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t r = getrandom((char *)p + at, n - at, 0);

		if (r < 0 && errno != EINTR)
			abort();
		at += r > 0 ? (size_t)r : 0;
	}
}

/* xorshift64*: spreads requests over dynos, nothing secret. */
uint64_t rt_random(struct rt_worker *w)
{
	w->rnd ^= w->rnd >> 12;
	w->rnd ^= w->rnd << 25;
	w->rnd ^= w->rnd >> 27;
	return (w->rnd * 2685821657736338717u) >> 16;
}

void rt_uuid(struct rt_worker *w, char out[37])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char *r;

	if (!w->rnd_left) {
		fill(w->rnd_pool, sizeof w->rnd_pool);
		w->rnd_left = sizeof w->rnd_pool / 16;
	}
	r = w->rnd_pool + 16 * (size_t)--w->rnd_left;
	r[6] = (unsigned char)((r[6] & 0x0f) | 0x40);
	r[8] = (unsigned char)((r[8] & 0x3f) | 0x80);
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = hex[r[i] >> 4];
		*out++ = hex[r[i] & 15];
	}
	*out = 0;
}

/* --- log lines ----------------------------------------------------------------------------------
 */

struct log_post {
	struct rt_ship *ship;
	struct buf b;
};

static void ship_it(void *arg)
{
	struct log_post *p = arg;

	rt_ship_add(p->ship, &p->b);
	free(p);
}

static void log_flush(struct rt_worker *w)
{
	struct log_post *p;

	if (!w->log.b.len)
		return;
	p = xmalloc(sizeof *p);
	*p = (struct log_post){w->rt->ship, w->log.b};
	w->log.b = (struct buf){0};
	w->log.lines = 0;
	if (!loop_post(w->rt->main_loop, ship_it, p)) {
		buf_clear(&p->b);
		free(p);
	}
}

static void on_log_timer(uv_timer_t *t)
{
	struct rt_worker *w = t->data;

	w->log_armed = false;
	log_flush(w);
}

void rt_worker_log(struct rt_worker *w, const char *app_id, const char *text, size_t n)
{
	rt_logbuf_add(&w->log, app_id, clock_wall_us(), text, n);
	if (w->log.b.len >= RT_LOG_FLUSH_BYTES) {
		log_flush(w);
	} else if (!w->log_armed) {
		w->log_armed = true;
		uv_timer_start(&w->log_timer, on_log_timer, RT_LOG_FLUSH_MS, 0);
	}
}

/* --- listening ----------------------------------------------------------------------------------
 */

static void on_connection(uv_stream_t *s, int status)
{
	struct rt_listener *l = s->data;

	if (status == 0)
		rt_conn_accept(l->w, s, l->listen);
}

int rt_worker_listen(struct rt_worker *w, int fd, const struct rt_listen *l, struct err *err)
{
	struct rt_listener *s = &w->listeners[w->nlisteners];
	int r;

	s->w = w;
	s->listen = l;
	uv_tcp_init(w->uv, &s->tcp);
	s->tcp.data = s;
	w->nlisteners++;
	r = uv_tcp_open(&s->tcp, fd);
	if (r == 0)
		r = uv_listen((uv_stream_t *)&s->tcp, 4096, on_connection);
	if (r < 0)
		return err_set(err, ERR_IO, "listen on %s: %s", l->text, uv_strerror(r));
	return 0;
}

/* --- life ----------------------------------------------------------------------------------------
 */

static int connection_limit(const struct rt *rt)
{
	struct rlimit lim = {1024, 1024};

	getrlimit(RLIMIT_NOFILE, &lim);
	/* Each may need a second descriptor, to a dyno; some are for ourselves. */
	lim.rlim_cur = lim.rlim_cur > 1000000 ? 1000000 : lim.rlim_cur;
	return (int)(lim.rlim_cur > 128 ? (lim.rlim_cur - 64) / 2 : 32) / rt->opts.workers;
}

struct rt_worker *rt_worker_new(struct rt *rt, int index)
{
	struct rt_worker *w = xcalloc(1, sizeof *w);
	char name[16] = "worker-00";

	name[7] = (char)('0' + index / 10);
	name[8] = (char)('0' + index % 10);
	w->rt = rt;
	w->index = index;
	w->loop = loop_new(name);
	w->uv = loop_uv(w->loop);
	w->table = rt_control_table(rt->ctl);
	w->listeners = xcalloc((size_t)rt->nlistens, sizeof *w->listeners);
	w->max_conns = connection_limit(rt);
	fill(&w->rnd, sizeof w->rnd);
	w->rnd |= 1;
	rt_timers_init(w);
	uv_timer_init(w->uv, &w->log_timer);
	uv_timer_init(w->uv, &w->quit_timer);
	w->log_timer.data = w->quit_timer.data = w;
	return w;
}

void rt_worker_free(struct rt_worker *w)
{
	if (!w)
		return;
	loop_free(w->loop);
	rt_tls_worker_free(w);
	buf_clear(&w->to_app.head);
	buf_clear(&w->to_client.head);
	buf_clear(&w->page);
	buf_clear(&w->line);
	buf_clear(&w->log.b);
	free(w->listeners);
	free(w);
}

/* --- new tables ----------------------------------------------------------------------------------
 */

struct pub_post {
	struct rt_worker *w;
	struct rt_pub *pub;
};

static void take_table(void *arg)
{
	struct pub_post *p = arg;
	struct rt_worker *w = p->w;
	struct rt_pub *pub = p->pub;
	struct rt_wapp **touched = xcalloc((size_t)pub->nchanges, sizeof(struct rt_wapp *));
	int n = 0;

	free(p);
	w->table = pub->table;
	for (int i = 0; i < pub->nchanges; i++) {
		touched[n] = rt_wapp_update(w, pub->changes[i].slot, pub->changes[i].app);
		n += touched[n] != NULL;
	}
	for (int i = 0; i < n; i++)
		rt_wapp_release(touched[i]);
	free(touched);
	if (atomic_fetch_sub(&pub->left, 1) == 1)
		loop_post(pub->main_loop, pub->taken, pub);
}

void rt_worker_publish(struct rt_worker *w, struct rt_pub *pub)
{
	struct pub_post *p = xmalloc(sizeof *p);

	*p = (struct pub_post){w, pub};
	if (!loop_post(w->loop, take_table, p)) {
		free(p); /* it has finished: it will look nothing up any more */
		if (atomic_fetch_sub(&pub->left, 1) == 1)
			loop_post(pub->main_loop, pub->taken, pub);
	}
}

/* --- draining ------------------------------------------------------------------------------------
 */

struct drain_post {
	struct rt_worker *w;
	struct rt_drain_ask *ask;
};

static void look_at_dyno(void *arg)
{
	struct drain_post *p = arg;
	struct rt_worker *w = p->w;
	struct rt_drain_ask *ask = p->ask;

	free(p);
	ask->left = 0;
	for (struct rt_wdyno *d = w->dynos; d; d = d->next)
		if (strcmp(d->def.id, ask->dyno_id) == 0) {
			ask->left += d->inflight;
			d->watched = !ask->now && d->inflight;
		}
	loop_post(w->rt->main_loop, ask->answer, ask);
}

void rt_worker_drain(struct rt_worker *w, struct rt_drain_ask *ask)
{
	struct drain_post *p = xmalloc(sizeof *p);

	*p = (struct drain_post){w, ask};
	if (!loop_post(w->loop, look_at_dyno, p)) {
		free(p);
		ask->left = 0;
		loop_post(w->rt->main_loop, ask->answer, ask);
	}
}

/* --- quitting ------------------------------------------------------------------------------------
 */

static void close_timer(uv_timer_t *t)
{
	if (!uv_is_closing((uv_handle_t *)t))
		uv_close((uv_handle_t *)t, NULL);
}

static void finish(struct rt_worker *w)
{
	if (w->finished)
		return;
	w->finished = true;
	log_flush(w);
	rt_wapps_free(w); /* closes idle connections to dynos; their callbacks still come */
}

/* Tunnels end when nothing else is left: their peers reconnect, and waiting for them would make
 * every restart last until the time is over. */
void rt_worker_check_quit(struct rt_worker *w)
{
	bool only_tunnels = true;

	if (!w->quitting)
		return;
	for (struct rt_conn *c = w->conns; c; c = c->next)
		only_tunnels &= c->state == CONN_TUNNEL;
	if (only_tunnels)
		while (w->conns)
			rt_tunnel_end(w->conns, RT_OK, NULL);
	if (!w->conns)
		finish(w);
	if (w->finished && w->open_handles == 0 && !uv_is_closing((uv_handle_t *)&w->clock)) {
		rt_timers_close(w);
		close_timer(&w->log_timer);
		close_timer(&w->quit_timer);
		loop_stop(w->loop);
		loop_post(w->rt->main_loop, rt_worker_done, w->rt);
	}
}

static void on_quit_timer(uv_timer_t *t)
{
	struct rt_worker *w = t->data;

	for (struct rt_conn *c = w->conns, *next; c; c = next) {
		next = c->next;
		if (c->state == CONN_BUSY && c->x.app)
			rt_xchg_fail(c, RT_H24, NULL);
	}
	while (w->conns) {
		struct rt_conn *c = w->conns;

		if (c->state == CONN_TUNNEL)
			rt_tunnel_end(c, RT_OK, NULL);
		else
			rt_conn_close(c);
	}
	rt_worker_check_quit(w);
}

struct quit_post {
	struct rt_worker *w;
	uint64_t timeout_ms;
};

/* Connections that the kernel has taken for us would be reset when the listener goes: serve them.
 */
static void accept_rest(struct rt_listener *l)
{
	uv_os_fd_t fd;
	int one;

	if (uv_fileno((uv_handle_t *)&l->tcp, &fd) != 0)
		return;
	while ((one = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		rt_conn_adopt(l->w, one, l->listen);
}

static void start_quit(void *arg)
{
	struct quit_post *p = arg;
	struct rt_worker *w = p->w;

	if (!w->quitting) {
		for (int i = 0; i < w->nlisteners; i++) {
			accept_rest(&w->listeners[i]);
			uv_close((uv_handle_t *)&w->listeners[i].tcp, NULL);
		}
		w->quitting = true;
		for (struct rt_conn *c = w->conns, *next; c; c = next) {
			next = c->next;
			if (c->state != CONN_IDLE || !http1_idle(c->parser))
				continue;
			if (c->served)
				rt_conn_close(c);
			else /* its first request may be on its way */
				rt_timer_set(w, &c->timer, RT_T_LINGER);
		}
		for (struct rt_wdyno *d = w->dynos; d; d = d->next)
			rt_up_close_idle(d);
		uv_timer_start(&w->quit_timer, on_quit_timer, p->timeout_ms, 0);
	}
	free(p);
	rt_worker_check_quit(w);
}

void rt_worker_quit(struct rt_worker *w, uint64_t timeout_ms)
{
	struct quit_post *p = xmalloc(sizeof *p);

	*p = (struct quit_post){w, timeout_ms};
	if (!loop_post(w->loop, start_quit, p))
		free(p);
}
