#include "router/control.h"
#include "router/asks.h"
#include "router/certs.h"
#include "router/drain.h"
#include "router/logline.h"
#include "router/publish.h"
#include "router/worker.h"
#include "daemon/core/xlog.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#define MAX_CLIENTS	 16
#define MAX_CLIENT_QUEUE MiB(1)

struct client {
	uv_pipe_t pipe;
	struct rt_ctl *ctl;
	struct buf in;
	bool staging;		/* between BEGIN and END */
	struct rt_app **staged; /* owned refs */
	int nstaged;
	uint64_t *seqs; /* to be acknowledged with the next table */
	int nseqs;
	bool closing;
	struct client *prev, *next;
};

/* Whom to tell that all workers have a table. */
struct acks {
	struct rt_told told;
	struct rt_ctl *ctl;
	struct ack {
		struct client *client; /* NULL once it is gone */
		uint64_t *seqs;	       /* owned */
		int nseqs;
	} * list; /* owned */
	int n;
	struct acks *next;
};

struct rt_ctl {
	struct rt *rt;
	uv_pipe_t listener;
	char *path; /* owned */
	struct rt_routes *routes;
	struct rt_drains *drains;
	struct rt_asks *asks;
	struct client *clients;
	int nclients;
	struct client *owner; /* paasd: the last to send a table; NULL = away */
	struct acks *acks;    /* not told yet */
	mono_ms last_fail;
	bool stopped;
};

/* --- sending ---------------------------------------------------------------------------------- */

static void client_close(struct client *k);

struct send {
	uv_write_t req;
	struct buf b;
};

static void on_sent(uv_write_t *req, int status)
{
	struct send *s = (struct send *)req;

	buf_clear(&s->b);
	free(s);
}

static void client_send(struct client *k, struct buf *b)
{
	uv_buf_t v = uv_buf_init(b->data, (unsigned)b->len);
	struct send *s;
	int r;

	if (!k || k->closing || !b->len) {
		buf_clear(b);
		return;
	}
	r = uv_try_write((uv_stream_t *)&k->pipe, &v, 1);
	if (r > 0)
		buf_drop(b, (size_t)r);
	if (!b->len) {
		buf_clear(b);
		return;
	}
	/* A peer that does not read is cut off. */
	if (uv_stream_get_write_queue_size((uv_stream_t *)&k->pipe) > MAX_CLIENT_QUEUE) {
		buf_clear(b);
		client_close(k);
		return;
	}
	s = xcalloc(1, sizeof *s);
	s->b = *b;
	*b = (struct buf){0};
	v = uv_buf_init(s->b.data, (unsigned)s->b.len);
	if (uv_write(&s->req, (uv_stream_t *)&k->pipe, &v, 1, on_sent) < 0)
		on_sent(&s->req, -1);
}

static void send_seq(struct client *k, uint16_t type, uint64_t seq, int left)
{
	struct buf b = {0};
	size_t mark = wire_begin(&b, type);

	wire_u64(&b, R_SEQ, seq);
	if (type == ROUTE_DRAINED)
		wire_u64(&b, R_LEFT, (uint64_t)left);
	wire_end(&b, mark);
	client_send(k, &b);
}

/* --- acknowledging ---------------------------------------------------------------------------- */

static void acks_free(struct acks *a)
{
	struct acks **p = &a->ctl->acks;

	while (*p != a)
		p = &(*p)->next;
	*p = a->next;
	for (int i = 0; i < a->n; i++)
		free(a->list[i].seqs);
	free(a->list);
	free(a);
}

static void acknowledge(struct rt_told *t)
{
	struct acks *all = container_of(t, struct acks, told);

	for (int i = 0; i < all->n; i++) {
		const struct ack *a = &all->list[i];
		struct buf b = {0};

		for (int s = 0; s < a->nseqs; s++) {
			size_t mark = wire_begin(&b, ROUTE_ACK);

			wire_u64(&b, R_SEQ, a->seqs[s]);
			wire_end(&b, mark);
		}
		client_send(a->client, &b);
	}
	acks_free(all);
}

/* What clients that are between no BEGIN and END wait for. NULL = nothing. */
static struct rt_told *collect_acks(struct rt_ctl *ctl)
{
	struct acks *all = NULL;

	for (struct client *k = ctl->clients; k; k = k->next) {
		if (!k->nseqs || k->staging)
			continue;
		if (!all) {
			all = xcalloc(1, sizeof *all);
			all->told.fn = acknowledge;
			all->ctl = ctl;
			all->next = ctl->acks;
			ctl->acks = all;
		}
		all->list = rt_grow(all->list, all->n, sizeof *all->list);
		all->list[all->n++] = (struct ack){k, k->seqs, k->nseqs};
		k->seqs = NULL;
		k->nseqs = 0;
	}
	return all ? &all->told : NULL;
}

static void publish(struct rt_ctl *ctl)
{
	struct rt_told *told = collect_acks(ctl);

	rt_routes_publish(ctl->routes, told);
}

/* A drain is over. */
static void on_drained(void *client, uint64_t seq, int left)
{
	send_seq(client, ROUTE_DRAINED, seq, left);
}

/* --- BEGIN ... END ---------------------------------------------------------------------------- */

static void unstage(struct client *k)
{
	for (int i = 0; i < k->nstaged; i++)
		rt_app_unref(k->staged[i]);
	free(k->staged);
	k->staged = NULL;
	k->nstaged = 0;
	k->staging = false;
}

/* What was not named between BEGIN and END is gone. */
static void apply_staged(struct client *k)
{
	rt_routes_replace(k->ctl->routes, k->staged, k->nstaged);
	k->nstaged = 0;
	unstage(k);
}

/* --- from workers ----------------------------------------------------------------------------- */

struct post {
	struct rt_ctl *ctl;
	char app_id[64], dyno_id[64];
};

static void post(struct rt_worker *w, const char *app_id, const char *dyno_id, void (*fn)(void *))
{
	struct post *p = xcalloc(1, sizeof *p);

	p->ctl = w->rt->ctl;
	rt_copy(p->app_id, sizeof p->app_id, app_id);
	rt_copy(p->dyno_id, sizeof p->dyno_id, dyno_id);
	if (!loop_post(w->rt->main_loop, fn, p))
		free(p);
}

static void on_worker_drained(void *arg)
{
	struct post *p = arg;

	rt_drains_recount(p->ctl->drains, p->dyno_id);
	free(p);
}

void rt_control_drained(struct rt_worker *w, const char *dyno_id)
{
	post(w, "", dyno_id, on_worker_drained);
}

static void on_dyno_fail(void *arg)
{
	struct post *p = arg;
	mono_ms now = clock_mono_ms();

	if (now - p->ctl->last_fail >= 1000 || !p->ctl->last_fail) {
		p->ctl->last_fail = now;
		for (struct client *k = p->ctl->clients; k; k = k->next) {
			struct buf b = {0};
			size_t mark = wire_begin(&b, ROUTE_DYNO_FAIL);

			wire_str(&b, R_APP_ID, p->app_id);
			wire_str(&b, R_DYNO_ID, p->dyno_id);
			wire_end(&b, mark);
			client_send(k, &b);
		}
	}
	free(p);
}

void rt_control_dyno_fail(struct rt_worker *w, const char *app_id, const char *dyno_id)
{
	post(w, app_id, dyno_id, on_dyno_fail);
}

static void on_wake(void *arg)
{
	struct post *p = arg;

	rt_asks_wake(p->ctl->asks, p->ctl->routes, p->app_id);
	free(p);
}

void rt_control_wake(struct rt_worker *w, struct rt_wapp *a)
{
	if (a->waking)
		return;
	a->waking = true;
	post(w, a->def->id, "", on_wake);
}

static void on_ask(void *arg)
{
	struct rt_ctl *ctl = arg;

	rt_asks_cert(ctl->asks);
}

void rt_control_ask_cert(struct rt_worker *w)
{
	loop_post(w->rt->main_loop, on_ask, w->rt->ctl);
}

static bool send_owner(struct buf *b, void *arg)
{
	struct rt_ctl *ctl = arg;

	client_send(ctl->owner, b);
	return ctl->owner != NULL;
}

static void on_app_changed(const char *app_id, void *arg)
{
	struct rt_ctl *ctl = arg;

	rt_asks_app_changed(ctl->asks, app_id);
}

/* --- frames ----------------------------------------------------------------------------------- */

struct args {
	uint64_t seq, timeout_ms;
	bool has_seq;
	char app_id[64], dyno_id[64];
};

static int read_args(struct wire_frame f, struct args *a)
{
	struct wire_field w;
	int r;

	*a = (struct args){.timeout_ms = LIM_STOP_MS};
	while ((r = wire_next(&f, &w)) == 1) {
		switch (w.key) {
		case R_SEQ:
			a->seq = wire_get_u64(&w);
			a->has_seq = true;
			break;
		case R_TIMEOUT_MS:
			a->timeout_ms = wire_get_u64(&w);
			break;
		case R_APP_ID:
			wire_copy_str(&w, a->app_id, sizeof a->app_id);
			break;
		case R_DYNO_ID:
			wire_copy_str(&w, a->dyno_id, sizeof a->dyno_id);
			break;
		default:
			break;
		}
	}
	return r;
}

static void send_info(struct client *k)
{
	struct rt *rt = k->ctl->rt;
	struct buf b = {0};
	size_t mark = wire_begin(&b, ROUTE_INFO);
	uint64_t requests = 0;

	for (int i = 0; i < rt->opts.workers; i++)
		requests += atomic_load_explicit(&rt->workers[i]->requests, memory_order_relaxed);
	wire_u64(&b, R_PID, (uint64_t)getpid());
	for (int i = 0; i < rt->nlistens; i++)
		wire_str(&b, R_LISTEN, rt->listens[i].text);
	wire_u64(&b, R_REQUESTS, requests);
	wire_u64(&b, R_DROPPED, rt_ship_dropped(rt->ship));
	wire_end(&b, mark);
	client_send(k, &b);
}

static void send_idle(struct client *k, uint64_t seq, const char *app_id)
{
	const struct rt_app *a = rt_routes_get(k->ctl->routes, app_id);
	struct buf b = {0};
	size_t mark = wire_begin(&b, ROUTE_IDLE);

	wire_u64(&b, R_SEQ, seq);
	if (a)
		wire_u64(&b, R_IDLE_MS, (uint64_t)rt_stat_idle_ms(a->stat));
	wire_end(&b, mark);
	client_send(k, &b);
}

static int on_cert(struct client *k, const struct wire_frame *f)
{
	struct rt_ctl *ctl = k->ctl;
	struct wire_frame body = *f;
	struct err err = {0};
	struct buf *journal = rt_routes_journal(ctl->routes);
	struct wire_field w;
	size_t mark;
	int r = rt_certs_take(ctl->rt->certs, f, &err);

	if (r < 0) {
		xlog_err(XLOG_ERROR, "control", &err, "msg=\"certificate refused\"");
		return -1;
	}
	ctl->owner = k;
	if (r > 0) {
		mark = wire_begin(journal, f->type);
		while (wire_next(&body, &w) == 1)
			wire_bytes(journal, w.key, w.data, w.len);
		wire_end(journal, mark);
	}
	rt_asks_answered(ctl->asks);
	return 0;
}

static int on_route(struct client *k, const struct wire_frame *f)
{
	struct err err = {0};
	struct rt_app *a = NULL;

	if (rt_app_parse(f, &a, &err) < 0) {
		xlog_err(XLOG_ERROR, "control", &err, "msg=\"route refused\"");
		return -1;
	}
	if (k->staging) {
		k->staged = rt_grow(k->staged, k->nstaged, sizeof *k->staged);
		k->staged[k->nstaged++] = a;
	} else {
		rt_routes_set(k->ctl->routes, a);
	}
	return 0;
}

static int on_frame(struct client *k, const struct wire_frame *f)
{
	struct args a;

	if (read_args(*f, &a) < 0)
		return -1;
	switch (f->type) {
	case ROUTE_BEGIN:
		unstage(k);
		k->staging = true;
		break;
	case ROUTE_END:
		if (k->staging)
			apply_staged(k);
		k->ctl->owner = k;
		rt_asks_paasd_came(k->ctl->asks);
		break;
	case ROUTE_CERT:
	case ROUTE_CERT_DROP:
		return on_cert(k, f);
	case ROUTE_PLATFORM:
	case ROUTE_APP:
		if (on_route(k, f) < 0)
			return -1;
		break;
	case ROUTE_DEL:
		if (!k->staging)
			rt_routes_del(k->ctl->routes, a.app_id);
		break;
	case ROUTE_DRAIN: /* behind what came before it, so that a removal has been published */
		if (!k->staging)
			publish(k->ctl);
		rt_drains_start(k->ctl->drains, k, a.seq, a.dyno_id, a.timeout_ms);
		return 0;
	case ROUTE_STATS:
		send_info(k);
		return 0;
	case ROUTE_IDLE_ASK:
		send_idle(k, a.seq, a.app_id);
		return 0;
	case ROUTE_QUIT:
		if (a.has_seq)
			send_seq(k, ROUTE_ACK, a.seq, 0);
		rt_quit(k->ctl->rt, a.timeout_ms);
		return 0;
	default:
		return 0;
	}
	if (a.has_seq) {
		k->seqs = rt_grow(k->seqs, k->nseqs, sizeof *k->seqs);
		k->seqs[k->nseqs++] = a.seq;
	}
	return 0;
}

static void on_bytes(struct client *k)
{
	size_t at = 0;
	ssize_t n = 0;

	while (!k->closing && at < k->in.len) {
		struct wire_frame f;

		n = wire_parse(k->in.data + at, k->in.len - at, &f);
		if (n > 0 && on_frame(k, &f) < 0)
			n = -1;
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	if (!k->closing)
		buf_drop(&k->in, at);
	if (!k->in.len)
		buf_clear(&k->in);
	publish(k->ctl);
	if (n < 0)
		client_close(k);
}

/* --- clients ---------------------------------------------------------------------------------- */

static void on_client_closed(uv_handle_t *h)
{
	struct client *k = h->data;

	buf_clear(&k->in);
	free(k->seqs);
	free(k);
}

static void client_close(struct client *k)
{
	struct rt_ctl *ctl = k->ctl;

	if (k->closing)
		return;
	k->closing = true;
	if (ctl->owner == k) {
		ctl->owner = NULL;
		rt_asks_paasd_went(ctl->asks);
	}
	unstage(k);
	for (struct acks *a = ctl->acks; a; a = a->next)
		for (int i = 0; i < a->n; i++)
			if (a->list[i].client == k)
				a->list[i].client = NULL;
	rt_drains_orphan(ctl->drains, k);
	if (k->prev)
		k->prev->next = k->next;
	else
		ctl->clients = k->next;
	if (k->next)
		k->next->prev = k->prev;
	ctl->nclients--;
	uv_close((uv_handle_t *)&k->pipe, on_client_closed);
}

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	struct client *k = h->data;

	buf_reserve(&k->in, 16384);
	*b = uv_buf_init(k->in.data + k->in.len, 16384);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct client *k = s->data;

	if (n < 0) {
		client_close(k);
	} else if (n > 0) {
		k->in.len += (size_t)n;
		on_bytes(k);
	}
}

static void on_connection(uv_stream_t *s, int status)
{
	struct rt_ctl *ctl = s->data;
	struct client *k;

	if (status < 0)
		return;
	k = xcalloc(1, sizeof *k);
	k->ctl = ctl;
	uv_pipe_init(s->loop, &k->pipe, 0);
	k->pipe.data = k;
	k->next = ctl->clients;
	if (ctl->clients)
		ctl->clients->prev = k;
	ctl->clients = k;
	ctl->nclients++;
	if (uv_accept(s, (uv_stream_t *)&k->pipe) != 0 || ctl->nclients > MAX_CLIENTS)
		client_close(k);
	else
		uv_read_start((uv_stream_t *)&k->pipe, on_alloc, on_read);
}

/* --- life ------------------------------------------------------------------------------------- */

static int listen_here(struct rt_ctl *ctl, struct err *err)
{
	mode_t before;
	int r;

	if (strlen(ctl->path) >= sizeof((struct sockaddr_un *)0)->sun_path)
		return err_set(err, ERR_CONFIG, "the path of the run directory is too long");
	unlink(ctl->path); /* of a router that died: the lock says that none lives */
	uv_pipe_init(loop_uv(ctl->rt->main_loop), &ctl->listener, 0);
	ctl->listener.data = ctl;
	before = umask(0177);
	r = uv_pipe_bind(&ctl->listener, ctl->path);
	umask(before);
	if (r == 0)
		r = uv_listen((uv_stream_t *)&ctl->listener, 16, on_connection);
	return r < 0 ? err_set(err, ERR_IO, "listen on %s: %s", ctl->path, uv_strerror(r)) : 0;
}

struct rt_ctl *rt_control_new(struct rt *rt, struct err *err)
{
	struct rt_ctl *ctl = xcalloc(1, sizeof *ctl);

	ctl->rt = rt;
	ctl->path = xasprintf("%s/router.sock", rt->opts.run_dir);
	ctl->drains = rt_drains_new(rt, on_drained);
	ctl->asks = rt_asks_new(rt, send_owner, ctl);
	ctl->routes = rt_routes_open(rt, on_app_changed, ctl);
	if (listen_here(ctl, err) < 0) {
		rt_control_free(ctl);
		return NULL;
	}
	return ctl;
}

const struct rt_table *rt_control_table(struct rt_ctl *c)
{
	return rt_routes_table(c->routes);
}

void rt_control_stop(struct rt_ctl *ctl)
{
	if (ctl->stopped)
		return;
	ctl->stopped = true;
	rt_asks_stop(ctl->asks);
	rt_drains_end(ctl->drains);
	while (ctl->clients)
		client_close(ctl->clients);
	uv_close((uv_handle_t *)&ctl->listener, NULL);
	unlink(ctl->path);
}

void rt_control_free(struct rt_ctl *ctl)
{
	if (!ctl)
		return;
	rt_asks_free(ctl->asks);
	rt_drains_free(ctl->drains);
	rt_routes_free(ctl->routes);
	while (ctl->acks)
		acks_free(ctl->acks);
	free(ctl->path);
	free(ctl);
}
