/* route.c - paasd's end of RUN/router.sock. The table kept here is what the router shall have; the
 * connection only moves it there. Whoever waits for the router is called in each case: after its
 * answer, when it goes away (it gets the whole table when it is back), or when it takes too long.
 */
#include "daemon/route/route.h"
#include "daemon/core/xlog.h"
#include "proto/buf.h"

#include <assert.h>
#include <string.h>

#define RETRY_MIN_MS  20
#define RETRY_MAX_MS  1000
#define ACK_MS	      5000 /* a router that does not acknowledge by then is taken for dead */
#define DRAIN_MORE_MS 2000 /* how much later than it promised a drain may be answered */

struct entry {
	char *app_id;	   /* owned */
	struct buf fields; /* of ROUTE_APP, without R_SEQ */
};

struct waiter {
	uint64_t seq;
	uint16_t frame;	  /* ROUTE_ACK, ROUTE_DRAINED or ROUTE_IDLE */
	int64_t *idle_ms; /* borrowed; of ROUTE_IDLE */
	void (*done)(void *arg);
	void *arg;
	struct routes *r;
	struct loop_timer *timer;
	struct waiter *next;
};

struct routes {
	struct loop *loop;
	char *path;	 /* owned */
	uv_pipe_t *pipe; /* NULL: none; freed by its close callback */
	bool connected, ready, freeing;
	struct loop_timer *retry;
	unsigned retry_ms;
	struct entry *apps; /* sorted by app_id */
	size_t napps, cap;
	struct buf platform; /* fields of ROUTE_PLATFORM */
	struct buf cert;     /* fields of the default ROUTE_CERT */
	struct waiter *waiters;
	uint64_t seq;
	struct buf in;
	void (*on_fail)(void *arg, const char *app_id, const char *dyno_id);
	void *fail_arg;
	void (*on_ask)(void *arg, const char *host);
	void *ask_arg;
	void (*on_wake)(void *arg, const char *app_id);
	void *wake_arg;
};

static void disconnect(struct routes *r);

/* --- those who wait -----------------------------------------------------------------------------
 */

static void call_later(struct routes *r, void (*done)(void *arg), void *arg)
{
	/* Never from within the call that asked: the caller may hold state that done changes. */
	if (done && !loop_post(r->loop, done, arg))
		done(arg);
}

static void waiter_end(struct waiter *w)
{
	struct waiter **at = &w->r->waiters;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	loop_timer_stop(w->timer);
	call_later(w->r, w->done, w->arg);
	free(w);
}

static void on_late(void *arg)
{
	struct waiter *w = arg;
	struct routes *r = w->r;
	bool ack = w->frame == ROUTE_ACK;

	w->timer = NULL;
	waiter_end(w);
	if (!ack)
		return;
	xlog(XLOG_WARN, "route", "msg=\"the router does not answer\"");
	disconnect(r); /* connect anew: it gets the whole table once more */
}

static struct waiter *wait_for(struct routes *r, uint16_t frame, uint64_t seq, uint64_t ms,
			       void (*done)(void *arg), void *arg)
{
	struct waiter *w = xcalloc(1, sizeof *w);

	*w = (struct waiter){
		.seq = seq, .frame = frame, .done = done, .arg = arg, .r = r, .next = r->waiters};
	if (loop_is_here(r->loop)) /* not yet while paasd is being put together */
		w->timer = loop_timer_start(r->loop, ms, on_late, w);
	r->waiters = w;
	return w;
}

/* --- sending ------------------------------------------------------------------------------------
 */

struct send {
	uv_write_t req;
	struct buf b;
};

static void on_sent(uv_write_t *req, int status)
{
	struct send *s = container_of(req, struct send, req);

	buf_clear(&s->b);
	free(s);
}

static void send_buf(struct routes *r, struct buf *b)
{
	struct send *s = xcalloc(1, sizeof *s);
	uv_buf_t v;

	s->b = *b;
	*b = (struct buf){0};
	v = uv_buf_init(s->b.data, (unsigned)s->b.len);
	if (uv_write(&s->req, (uv_stream_t *)r->pipe, &v, 1, on_sent) < 0)
		on_sent(&s->req, -1);
}

static void add_frame(struct buf *out, uint16_t type, uint64_t seq, const struct buf *fields)
{
	size_t mark = wire_begin(out, type);

	if (seq)
		wire_u64(out, R_SEQ, seq);
	if (fields)
		buf_add(out, fields->data, fields->len);
	wire_end(out, mark);
}

static bool is_live(const struct routes *r)
{
	return r->connected && r->ready;
}

static void start_connect(void *arg);

/* Whether the router is really away is seen by trying now, not by the last attempt: it may be
 * serving from its snapshot, with dynos that the caller is about to stop. Called when the attempt
 * has failed, or when the table that goes with the connection was acknowledged. */
static void wait_for_router(struct routes *r, void (*done)(void *arg), void *arg)
{
	if (!r->ready) {
		call_later(r, done, arg);
		return;
	}
	wait_for(r, ROUTE_ACK, 0, ACK_MS, done, arg);
	if (r->pipe)
		return;
	loop_timer_stop(r->retry);
	r->retry = NULL;
	start_connect(r);
}

static void send_frame(struct routes *r, uint16_t type, const struct buf *fields,
		       void (*done)(void *arg), void *arg)
{
	struct buf out = {0};

	if (!is_live(r)) {
		wait_for_router(r, done, arg);
		return;
	}
	add_frame(&out, type, ++r->seq, fields);
	wait_for(r, ROUTE_ACK, r->seq, ACK_MS, done, arg);
	send_buf(r, &out);
}

static void send_table(struct routes *r, void (*done)(void *arg), void *arg)
{
	struct buf out = {0};

	add_frame(&out, ROUTE_BEGIN, 0, NULL);
	if (r->platform.len)
		add_frame(&out, ROUTE_PLATFORM, 0, &r->platform);
	if (r->cert.len)
		add_frame(&out, ROUTE_CERT, 0, &r->cert);
	for (size_t i = 0; i < r->napps; i++)
		add_frame(&out, ROUTE_APP, 0, &r->apps[i].fields);
	add_frame(&out, ROUTE_END, ++r->seq, NULL);
	for (struct waiter *w = r->waiters; w; w = w->next)
		if (w->frame == ROUTE_ACK && w->seq == 0)
			w->seq = r->seq; /* what they wait for is in the table */
	wait_for(r, ROUTE_ACK, r->seq, ACK_MS, done, arg);
	send_buf(r, &out);
}

/* --- receiving ----------------------------------------------------------------------------------
 */

static void on_answer(struct routes *r, uint16_t type, uint64_t seq, int64_t idle_ms)
{
	for (struct waiter *w = r->waiters, *next; w; w = next) {
		next = w->next;
		if (w->frame != type || w->seq != seq)
			continue;
		if (w->idle_ms)
			*w->idle_ms = idle_ms;
		waiter_end(w);
	}
}

static int on_frame(struct routes *r, struct wire_frame *f)
{
	char app_id[64] = "", dyno_id[64] = "", host[256] = "";
	struct wire_field w;
	uint64_t seq = 0;
	int64_t idle_ms = -1;
	int n;

	while ((n = wire_next(f, &w)) == 1) {
		if (w.key == R_SEQ)
			seq = wire_get_u64(&w);
		else if (w.key == R_IDLE_MS)
			idle_ms = (int64_t)wire_get_u64(&w);
		else if (w.key == R_APP_ID)
			wire_copy_str(&w, app_id, sizeof app_id);
		else if (w.key == R_DYNO_ID)
			wire_copy_str(&w, dyno_id, sizeof dyno_id);
		else if (w.key == R_HOST)
			wire_copy_str(&w, host, sizeof host);
	}
	if (n < 0)
		return -1;
	if (f->type == ROUTE_ACK || f->type == ROUTE_DRAINED || f->type == ROUTE_IDLE)
		on_answer(r, f->type, seq, idle_ms);
	else if (f->type == ROUTE_DYNO_FAIL && r->on_fail)
		r->on_fail(r->fail_arg, app_id, dyno_id);
	else if (f->type == ROUTE_CERT_ASK && r->on_ask)
		r->on_ask(r->ask_arg, host);
	else if (f->type == ROUTE_WAKE && r->on_wake)
		r->on_wake(r->wake_arg, app_id);
	return 0;
}

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	struct routes *r = h->data;

	buf_reserve(&r->in, 1024);
	*b = uv_buf_init(r->in.data + r->in.len, 1024);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct routes *r = s->data;
	struct wire_frame f;
	ssize_t used = 0;

	if (n > 0)
		r->in.len += (size_t)n;
	while (n > 0 && (used = wire_parse(r->in.data, r->in.len, &f)) > 0) {
		int ok = on_frame(r, &f);

		buf_drop(&r->in, (size_t)used);
		if (ok < 0)
			used = -1;
		if (used < 0)
			break;
	}
	if (n < 0 || used < 0)
		disconnect(r);
}

/* --- the connection -----------------------------------------------------------------------------
 */

static void on_pipe_closed(uv_handle_t *h)
{
	free(h);
}

static void disconnect(struct routes *r)
{
	bool was = r->connected;

	if (r->pipe) {
		r->pipe->data = NULL;
		uv_close((uv_handle_t *)r->pipe, on_pipe_closed);
		r->pipe = NULL;
	}
	r->connected = false;
	buf_clear(&r->in);
	while (r->waiters)
		waiter_end(r->waiters);
	if (was && !r->freeing)
		xlog(XLOG_WARN, "route", "msg=\"the router is away\"");
	if (r->freeing || r->retry)
		return;
	r->retry_ms = r->retry_ms ? r->retry_ms * 2 : RETRY_MIN_MS;
	if (r->retry_ms > RETRY_MAX_MS)
		r->retry_ms = RETRY_MAX_MS;
	r->retry = loop_timer_start(r->loop, r->retry_ms, start_connect, r);
}

static void on_connect(uv_connect_t *req, int status)
{
	struct routes *r = req->handle->data;

	free(req);
	if (!r)
		return; /* given up meanwhile */
	if (status < 0) {
		disconnect(r);
		return;
	}
	r->connected = true;
	r->retry_ms = 0;
	uv_read_start((uv_stream_t *)r->pipe, on_alloc, on_read);
	xlog(XLOG_INFO, "route", "msg=\"connected to the router\" apps=%zu", r->napps);
	if (r->ready)
		send_table(r, NULL, NULL);
}

static void start_connect(void *arg)
{
	struct routes *r = arg;
	uv_connect_t *req = xcalloc(1, sizeof *req);

	r->retry = NULL;
	r->pipe = xcalloc(1, sizeof *r->pipe);
	uv_pipe_init(loop_uv(r->loop), r->pipe, 0);
	r->pipe->data = r;
	uv_pipe_connect(req, r->pipe, r->path, on_connect);
}

struct routes *routes_new(struct loop *l, const char *run_dir)
{
	struct routes *r = xcalloc(1, sizeof *r);

	r->loop = l;
	r->path = xasprintf("%s/router.sock", run_dir);
	start_connect(r);
	return r;
}

static void clear_secret(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_clear(b);
}

void routes_free(struct routes *r)
{
	if (!r)
		return;
	r->freeing = true;
	disconnect(r);
	loop_timer_stop(r->retry);
	for (size_t i = 0; i < r->napps; i++) {
		free(r->apps[i].app_id);
		buf_clear(&r->apps[i].fields);
	}
	free(r->apps);
	buf_clear(&r->platform);
	clear_secret(&r->cert);
	free(r->path);
	free(r);
}

/* --- the table ----------------------------------------------------------------------------------
 */

/* Where app_id is, or belongs. */
static size_t find(const struct routes *r, const char *app_id, bool *there)
{
	size_t lo = 0, hi = r->napps;

	*there = false;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int c = strcmp(r->apps[mid].app_id, app_id);

		if (c == 0) {
			*there = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void encode_app(struct buf *out, const struct route_app *a)
{
	wire_str(out, R_APP_ID, a->app_id);
	wire_str(out, R_APP_NAME, a->name);
	wire_u64(out, R_STATE, a->state);
	for (const char *const *h = a->hosts; h && *h; h++)
		wire_str(out, R_HOST, *h);
	if (a->error_page)
		wire_str(out, R_ERROR_PAGE, a->error_page);
	if (a->maintenance_page)
		wire_str(out, R_MAINTENANCE_PAGE, a->maintenance_page);
	for (int i = 0; i < a->ndynos; i++) {
		const struct route_dyno *d = &a->dynos[i];

		wire_str(out, R_DYNO_ID, d->id);
		wire_str(out, R_DYNO_NAME, d->name);
		wire_str(out, R_DYNO_IP, d->ip);
		wire_u64(out, R_DYNO_PORT, (uint64_t)d->port);
	}
}

void routes_platform(struct routes *r, const char *const *hosts, const char *api_sock)
{
	buf_reset(&r->platform);
	for (; *hosts; hosts++)
		wire_str(&r->platform, R_HOST, *hosts);
	wire_str(&r->platform, R_SOCKET, api_sock);
	send_frame(r, ROUTE_PLATFORM, &r->platform, NULL, NULL);
}

void routes_set(struct routes *r, const struct route_app *a, void (*done)(void *arg), void *arg)
{
	bool there;
	size_t at = find(r, a->app_id, &there);
	struct entry *e;

	if (!there) {
		if (r->napps == r->cap) {
			r->cap = r->cap ? 2 * r->cap : 16;
			r->apps = xrealloc(r->apps, r->cap * sizeof *r->apps);
		}
		memmove(r->apps + at + 1, r->apps + at, (r->napps - at) * sizeof *r->apps);
		r->apps[at] = (struct entry){.app_id = xstrdup(a->app_id)};
		r->napps++;
	}
	e = &r->apps[at];
	buf_reset(&e->fields);
	encode_app(&e->fields, a);
	send_frame(r, ROUTE_APP, &e->fields, done, arg);
}

void routes_del(struct routes *r, const char *app_id, void (*done)(void *arg), void *arg)
{
	AUTO(buf_clear) struct buf fields = {0};
	bool there;
	size_t at = find(r, app_id, &there);

	wire_str(&fields, R_APP_ID, app_id);
	if (there) {
		free(r->apps[at].app_id);
		buf_clear(&r->apps[at].fields);
		memmove(r->apps + at, r->apps + at + 1, (r->napps - at - 1) * sizeof *r->apps);
		r->napps--;
	}
	send_frame(r, ROUTE_DEL, &fields, done, arg);
}

void routes_ready(struct routes *r, void (*done)(void *arg), void *arg)
{
	assert(!r->ready);
	r->ready = true;
	if (r->connected)
		send_table(r, done, arg);
	else
		wait_for_router(r, done, arg);
}

void routes_drain(struct routes *r, const char *dyno_id, uint64_t timeout_ms,
		  void (*done)(void *arg), void *arg)
{
	struct buf out = {0};
	size_t mark;

	if (!is_live(r)) {
		call_later(r, done, arg);
		return;
	}
	mark = wire_begin(&out, ROUTE_DRAIN);
	wire_u64(&out, R_SEQ, ++r->seq);
	wire_str(&out, R_DYNO_ID, dyno_id);
	wire_u64(&out, R_TIMEOUT_MS, timeout_ms);
	wire_end(&out, mark);
	wait_for(r, ROUTE_DRAINED, r->seq, timeout_ms + DRAIN_MORE_MS, done, arg);
	send_buf(r, &out);
}

void routes_idle(struct routes *r, const char *app_id, int64_t *idle_ms, void (*done)(void *arg),
		 void *arg)
{
	struct buf out = {0};
	size_t mark;

	*idle_ms = -1;
	if (!is_live(r)) {
		call_later(r, done, arg);
		return;
	}
	mark = wire_begin(&out, ROUTE_IDLE_ASK);
	wire_u64(&out, R_SEQ, ++r->seq);
	wire_str(&out, R_APP_ID, app_id);
	wire_end(&out, mark);
	wait_for(r, ROUTE_IDLE, r->seq, ACK_MS, done, arg)->idle_ms = idle_ms;
	send_buf(r, &out);
}

void routes_on_wake(struct routes *r, void (*fn)(void *arg, const char *app_id), void *arg)
{
	r->on_wake = fn;
	r->wake_arg = arg;
}

void routes_quit(struct routes *r, uint64_t timeout_ms)
{
	struct buf out = {0};
	size_t mark;

	if (!r->connected)
		return;
	mark = wire_begin(&out, ROUTE_QUIT);
	wire_u64(&out, R_TIMEOUT_MS, timeout_ms);
	wire_end(&out, mark);
	send_buf(r, &out);
}

void routes_on_dyno_fail(struct routes *r,
			 void (*fn)(void *arg, const char *app_id, const char *dyno_id), void *arg)
{
	r->on_fail = fn;
	r->fail_arg = arg;
}

/* --- certificates -------------------------------------------------------------------------------
 */

static void add_pair(struct buf *fields, const char *cert, const char *key)
{
	/* At once: what is grown is copied, and copies of keys stay behind. */
	buf_reserve(fields, strlen(cert) + strlen(key) + 64);
	wire_str(fields, R_CERT, cert);
	wire_str(fields, R_KEY, key);
}

static void send_now(struct routes *r, uint16_t type, const struct buf *fields)
{
	struct buf out = {0};

	if (!is_live(r))
		return;
	add_frame(&out, type, 0, fields);
	send_buf(r, &out);
}

void routes_cert(struct routes *r, const char *host, const char *cert, const char *key)
{
	struct buf fields = {0};

	wire_str(&fields, R_HOST, host);
	if (cert)
		add_pair(&fields, cert, key);
	send_now(r, ROUTE_CERT, &fields);
	clear_secret(&fields);
}

void routes_default_cert(struct routes *r, const char *cert, const char *key)
{
	clear_secret(&r->cert);
	add_pair(&r->cert, cert, key);
	send_now(r, ROUTE_CERT, &r->cert);
}

void routes_certs_changed(struct routes *r)
{
	send_now(r, ROUTE_CERT_DROP, NULL);
}

void routes_on_cert_ask(struct routes *r, void (*fn)(void *arg, const char *host), void *arg)
{
	r->on_ask = fn;
	r->ask_arg = arg;
}
