#include "router/control.h"
#include "router/certs.h"
#include "router/logline.h"
#include "router/snapshot.h"
#include "router/worker.h"
#include "daemon/core/xlog.h"

#include <assert.h>
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

/* A table on its way to the workers, with what must live until all of them have it. */
struct publication {
	struct rt_pub pub;
	struct rt_ctl *ctl;
	struct rt_table *table;	   /* owned; becomes ctl->current */
	struct rt_change *changes; /* owned */
	struct rt_app **retired;   /* owned refs: entries that the table before still names */
	int nretired;
	struct publication *next; /* in order of publishing; done in that order too */
	struct ack {
		struct client *client; /* NULL once it is gone */
		uint64_t *seqs;	       /* owned */
		int nseqs;
	} * acks; /* owned */
	int nacks;
	bool done;
};

struct drain {
	struct rt_ctl *ctl;
	struct client *client; /* NULL once it is gone */
	uint64_t seq;
	uint32_t id, round; /* answers of an older round are late */
	char dyno_id[64];
	int asked, left;
	bool last_round;
	struct loop_timer *timer;
	struct drain *prev, *next;
};

/* An app that sleeps and has had a request; goes when its entry changes. */
struct waking {
	struct waking *next;
	char app_id[64];
};

struct rt_ctl {
	struct rt *rt;
	uv_pipe_t listener;
	char *path; /* owned */
	struct rt_master master;
	struct rt_snapshot snapshot;
	struct rt_table *current; /* owned: the newest that all workers have */
	struct client *clients;
	int nclients;
	struct client *owner;		  /* paasd: the last to send a table; NULL = away */
	struct loop_timer *cert_timer;	  /* answers are waited for */
	struct publication *first, *last; /* not yet taken by all */
	/* being gathered for the next publication */
	struct rt_change *changes;
	int nchanges;
	struct rt_app **retired;
	int nretired;
	struct buf journal; /* frames for the snapshot */
	bool rewrite;	    /* write it anew instead */
	struct drain *drains;
	struct waking *waking;
	uint32_t next_drain;
	mono_ms last_fail;
	bool stopped;
};

static void *grow(void *p, int n, size_t size)
{
	return (n & (n - 1)) == 0 ? xrealloc(p, (size_t)(n ? 2 * n : 1) * size) : p;
}

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

/* --- publishing ------------------------------------------------------------------------------- */

static void save(struct rt_ctl *ctl)
{
	struct err err = {0};
	int r;

	r = ctl->rewrite ? rt_snapshot_write(&ctl->snapshot, &ctl->master, &err)
			 : rt_snapshot_append(&ctl->snapshot, &ctl->journal, &ctl->master, &err);
	if (r < 0) /* traffic goes on; a restart would begin with older routes until paasd comes */
		xlog_err(XLOG_ERROR, "control", &err, "msg=\"route snapshot not saved\"");
	ctl->rewrite = r < 0;
	buf_reset(&ctl->journal);
}

static void publication_free(struct publication *p)
{
	for (int i = 0; i < p->nretired; i++)
		rt_app_unref(p->retired[i]);
	for (int i = 0; i < p->nacks; i++)
		free(p->acks[i].seqs);
	free(p->retired);
	free(p->acks);
	free(p->changes);
	free(p);
}

static void acknowledge(struct publication *p)
{
	for (int i = 0; i < p->nacks; i++) {
		struct ack *a = &p->acks[i];
		struct buf b = {0};

		for (int s = 0; s < a->nseqs; s++) {
			size_t mark = wire_begin(&b, ROUTE_ACK);

			wire_u64(&b, R_SEQ, a->seqs[s]);
			wire_end(&b, mark);
		}
		client_send(a->client, &b);
	}
}

/* All workers have the table: the one before has no reader left. */
static void on_taken(void *arg)
{
	struct publication *p = container_of(arg, struct publication, pub);
	struct rt_ctl *ctl = p->ctl;

	p->done = true;
	while ((p = ctl->first) && p->done) {
		ctl->first = p->next;
		if (!ctl->first)
			ctl->last = NULL;
		free(ctl->current);
		ctl->current = p->table;
		acknowledge(p);
		publication_free(p);
	}
}

static void collect_acks(struct rt_ctl *ctl, struct publication *p)
{
	for (struct client *k = ctl->clients; k; k = k->next) {
		if (!k->nseqs || k->staging)
			continue;
		p->acks = grow(p->acks, p->nacks, sizeof *p->acks);
		p->acks[p->nacks++] = (struct ack){k, k->seqs, k->nseqs};
		k->seqs = NULL;
		k->nseqs = 0;
	}
}

/* Hands the changes gathered so far to the workers. Without changes there is only to acknowledge;
 * that too waits for its turn behind tables that are still on their way. */
static void publish(struct rt_ctl *ctl)
{
	struct publication *p = xcalloc(1, sizeof *p);
	struct rt *rt = ctl->rt;

	collect_acks(ctl, p);
	if (ctl->nchanges || ctl->journal.len)
		save(ctl);
	if (!ctl->nchanges && !p->nacks) {
		free(p);
		return;
	}
	p->ctl = ctl;
	p->table = rt_master_copy(&ctl->master);
	p->changes = ctl->changes;
	p->retired = ctl->retired;
	p->nretired = ctl->nretired;
	p->pub = (struct rt_pub){.table = p->table,
				 .changes = p->changes,
				 .nchanges = ctl->nchanges,
				 .left = rt->opts.workers,
				 .taken = on_taken,
				 .main_loop = rt->main_loop};
	ctl->changes = NULL;
	ctl->retired = NULL;
	ctl->nchanges = ctl->nretired = 0;
	if (ctl->last)
		ctl->last->next = p;
	else
		ctl->first = p;
	ctl->last = p;
	for (int i = 0; i < rt->opts.workers; i++)
		rt_worker_publish(rt->workers[i], &p->pub);
}

static void note_change(struct rt_ctl *ctl, uint32_t slot, struct rt_app *now,
			struct rt_app *before)
{
	ctl->changes = grow(ctl->changes, ctl->nchanges, sizeof *ctl->changes);
	ctl->changes[ctl->nchanges++] = (struct rt_change){slot, now};
	if (!before)
		return;
	/* Also an entry that lived within one batch only: an earlier change of it names it. */
	ctl->retired = grow(ctl->retired, ctl->nretired, sizeof *ctl->retired);
	ctl->retired[ctl->nretired++] = before;
}

/* What paasd says of it now is an answer. */
static void forget_waking(struct rt_ctl *ctl, const char *app_id)
{
	for (struct waking **p = &ctl->waking, *w; (w = *p); p = &w->next)
		if (strcmp(w->app_id, app_id) == 0) {
			*p = w->next;
			free(w);
			return;
		}
}

static void set_app(struct rt_ctl *ctl, struct rt_app *a)
{
	bool changed;
	struct rt_app *before = rt_master_set(&ctl->master, a, &changed);

	if (!changed)
		return;
	forget_waking(ctl, a->id);
	buf_add(&ctl->journal, a->raw.data, a->raw.len);
	note_change(ctl, a->slot, a, before);
}

static void del_app(struct rt_ctl *ctl, const char *id)
{
	struct rt_app *before = rt_master_del(&ctl->master, id);
	size_t mark;

	if (!before)
		return;
	forget_waking(ctl, id);
	mark = wire_begin(&ctl->journal, ROUTE_DEL);
	wire_str(&ctl->journal, R_APP_ID, id);
	wire_end(&ctl->journal, mark);
	note_change(ctl, before->slot, NULL, before);
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

static int by_id(const void *a, const void *b)
{
	return strcmp((*(struct rt_app *const *)a)->id, (*(struct rt_app *const *)b)->id);
}

/* What was not named between BEGIN and END is gone. */
static void apply_staged(struct client *k)
{
	struct rt_ctl *ctl = k->ctl;
	struct rt_master *m = &ctl->master;
	struct rt_app **sorted = xmalloc((size_t)(k->nstaged + 1) * sizeof(struct rt_app *));

	for (int i = 0; i < k->nstaged; i++)
		sorted[i] = k->staged[i];
	qsort(sorted, (size_t)k->nstaged, sizeof *sorted, by_id);
	for (uint32_t i = 0; i < m->nslots; i++)
		if (m->apps[i] &&
		    !bsearch(&m->apps[i], sorted, (size_t)k->nstaged, sizeof *sorted, by_id)) {
			char id[sizeof m->apps[i]->id];

			memcpy(id, m->apps[i]->id, sizeof id);
			del_app(ctl, id);
		}
	free(sorted);
	for (int i = 0; i < k->nstaged; i++)
		set_app(ctl, k->staged[i]);
	k->nstaged = 0;
	unstage(k);
	ctl->rewrite |= ctl->nchanges > 0;
}

/* --- draining --------------------------------------------------------------------------------- */

static void on_drain_answer(void *arg);

static void ask_workers(struct drain *d, bool now)
{
	struct rt *rt = d->ctl->rt;

	d->round++;
	d->asked = rt->opts.workers;
	d->left = 0;
	for (int i = 0; i < rt->opts.workers; i++) {
		struct rt_drain_ask *ask = xcalloc(1, sizeof *ask);

		rt_copy(ask->dyno_id, sizeof ask->dyno_id, d->dyno_id);
		ask->now = now;
		ask->answer = on_drain_answer;
		ask->arg = d->ctl;
		ask->worker = i;
		ask->drain = d->id;
		ask->round = d->round;
		rt_worker_drain(rt->workers[i], ask);
	}
}

static void drain_finish(struct drain *d)
{
	send_seq(d->client, ROUTE_DRAINED, d->seq, d->left);
	loop_timer_stop(d->timer);
	if (d->prev)
		d->prev->next = d->next;
	else
		d->ctl->drains = d->next;
	if (d->next)
		d->next->prev = d->prev;
	free(d);
}

static struct drain *drain_find(struct rt_ctl *ctl, uint32_t id)
{
	struct drain *d = ctl->drains;

	while (d && d->id != id)
		d = d->next;
	return d;
}

static void on_drain_answer(void *arg)
{
	struct rt_drain_ask *ask = arg;
	struct drain *d = drain_find(ask->arg, ask->drain);

	if (d && d->round == ask->round) {
		d->left += ask->left;
		if (--d->asked == 0 && (d->left == 0 || d->last_round))
			drain_finish(d);
	}
	free(ask);
}

static void on_drain_timeout(void *arg)
{
	struct drain *d = arg;

	d->timer = NULL;
	d->last_round = true;
	ask_workers(d, true);
}

static void start_drain(struct client *k, uint64_t seq, const char *dyno_id, uint64_t ms)
{
	struct rt_ctl *ctl = k->ctl;
	struct drain *d = xcalloc(1, sizeof *d);

	d->ctl = ctl;
	d->client = k;
	d->seq = seq;
	d->id = ++ctl->next_drain;
	rt_copy(d->dyno_id, sizeof d->dyno_id, dyno_id);
	d->next = ctl->drains;
	if (ctl->drains)
		ctl->drains->prev = d;
	ctl->drains = d;
	d->timer = loop_timer_start(ctl->rt->main_loop, ms, on_drain_timeout, d);
	ask_workers(d, false);
}

struct drained_post {
	struct rt_ctl *ctl;
	char dyno_id[64];
};

/* One worker is down to nothing: count anew over all, for another may have begun since. */
static void on_worker_drained(void *arg)
{
	struct drained_post *p = arg;

	for (struct drain *d = p->ctl->drains; d; d = d->next)
		if (!d->last_round && strcmp(d->dyno_id, p->dyno_id) == 0)
			ask_workers(d, false);
	free(p);
}

void rt_control_drained(struct rt_worker *w, const char *dyno_id)
{
	struct drained_post *p = xcalloc(1, sizeof *p);

	p->ctl = w->rt->ctl;
	rt_copy(p->dyno_id, sizeof p->dyno_id, dyno_id);
	if (!loop_post(w->rt->main_loop, on_worker_drained, p))
		free(p);
}

/* --- dynos that fail -------------------------------------------------------------------------- */

struct fail_post {
	struct rt_ctl *ctl;
	char app_id[64], dyno_id[64];
};

static void on_dyno_fail(void *arg)
{
	struct fail_post *p = arg;
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
	struct fail_post *p = xcalloc(1, sizeof *p);

	p->ctl = w->rt->ctl;
	rt_copy(p->app_id, sizeof p->app_id, app_id);
	rt_copy(p->dyno_id, sizeof p->dyno_id, dyno_id);
	if (!loop_post(w->rt->main_loop, on_dyno_fail, p))
		free(p);
}

/* --- apps that sleep -------------------------------------------------------------------------- */

static void send_wake(struct rt_ctl *ctl, const char *app_id)
{
	struct buf b = {0};
	size_t mark = wire_begin(&b, ROUTE_WAKE);

	wire_str(&b, R_APP_ID, app_id);
	wire_end(&b, mark);
	client_send(ctl->owner, &b);
}

struct wake_post {
	struct rt_ctl *ctl;
	char app_id[64];
};

static void on_wake(void *arg)
{
	struct wake_post *p = arg;
	struct rt_ctl *ctl = p->ctl;
	const struct rt_app *a = rt_master_get(&ctl->master, p->app_id);
	struct waking *w = ctl->waking;

	while (w && strcmp(w->app_id, p->app_id) != 0)
		w = w->next;
	/* Not one that paasd has woken meanwhile: that entry is on its way to the worker. */
	if (!w && a && a->state == ROUTE_ASLEEP && !ctl->stopped) {
		w = xcalloc(1, sizeof *w);
		rt_copy(w->app_id, sizeof w->app_id, p->app_id);
		w->next = ctl->waking;
		ctl->waking = w;
		send_wake(ctl, w->app_id);
	}
	free(p);
}

void rt_control_wake(struct rt_worker *w, struct rt_wapp *a)
{
	struct wake_post *p;

	if (a->waking)
		return;
	a->waking = true;
	p = xcalloc(1, sizeof *p);
	p->ctl = w->rt->ctl;
	rt_copy(p->app_id, sizeof p->app_id, a->def->id);
	if (!loop_post(w->rt->main_loop, on_wake, p))
		free(p);
}

/* paasd was away, or is another one than was asked. */
static void wake_again(struct rt_ctl *ctl)
{
	for (struct waking *w = ctl->waking; w; w = w->next)
		send_wake(ctl, w->app_id);
}

static void send_idle(struct client *k, uint64_t seq, const char *app_id)
{
	const struct rt_app *a = rt_master_get(&k->ctl->master, app_id);
	struct buf b = {0};
	size_t mark = wire_begin(&b, ROUTE_IDLE);

	wire_u64(&b, R_SEQ, seq);
	if (a)
		wire_u64(&b, R_IDLE_MS, (uint64_t)rt_stat_idle_ms(a->stat));
	wire_end(&b, mark);
	client_send(k, &b);
}

/* --- certificates ----------------------------------------------------------------------------- */

static void wake_workers(struct rt_ctl *ctl)
{
	for (int i = 0; i < ctl->rt->opts.workers; i++)
		rt_tls_wake(ctl->rt->workers[i]);
}

static bool send_ask(void *arg, const char *name)
{
	struct rt_ctl *ctl = arg;
	struct buf b = {0};
	size_t mark = wire_begin(&b, ROUTE_CERT_ASK);

	wire_str(&b, R_HOST, name);
	wire_end(&b, mark);
	client_send(ctl->owner, &b);
	return ctl->owner != NULL;
}

static void on_cert_timer(void *arg)
{
	struct rt_ctl *ctl = arg;

	ctl->cert_timer = NULL;
	rt_certs_give_up(ctl->rt->certs, clock_mono_ms() - LIM_TLS_ASK_MS);
	wake_workers(ctl);
	if (rt_certs_waiting(ctl->rt->certs))
		ctl->cert_timer =
			loop_timer_start(ctl->rt->main_loop, LIM_TLS_ASK_MS, on_cert_timer, ctl);
}

static void on_ask(void *arg)
{
	struct rt_ctl *ctl = arg;

	if (ctl->stopped)
		return;
	rt_certs_ask(ctl->rt->certs, send_ask, ctl);
	if (!rt_certs_waiting(ctl->rt->certs))
		wake_workers(ctl); /* nobody to ask, or answered already */
	else if (!ctl->cert_timer)
		ctl->cert_timer =
			loop_timer_start(ctl->rt->main_loop, LIM_TLS_ASK_MS, on_cert_timer, ctl);
}

void rt_control_ask_cert(struct rt_worker *w)
{
	loop_post(w->rt->main_loop, on_ask, w->rt->ctl);
}

static void paasd_is_gone(struct rt_ctl *ctl)
{
	ctl->owner = NULL;
	rt_certs_give_up(ctl->rt->certs, INT64_MAX);
	wake_workers(ctl);
}

static int on_cert(struct client *k, const struct wire_frame *f)
{
	struct rt_ctl *ctl = k->ctl;
	struct wire_frame body = *f;
	struct err err = {0};
	struct wire_field w;
	size_t mark;
	int r = rt_certs_take(ctl->rt->certs, f, &err);

	if (r < 0) {
		xlog_err(XLOG_ERROR, "control", &err, "msg=\"certificate refused\"");
		return -1;
	}
	ctl->owner = k;
	if (r > 0) {
		mark = wire_begin(&ctl->journal, f->type);
		while (wire_next(&body, &w) == 1)
			wire_bytes(&ctl->journal, w.key, w.data, w.len);
		wire_end(&ctl->journal, mark);
	}
	wake_workers(ctl);
	return 0;
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

static int on_route(struct client *k, const struct wire_frame *f)
{
	struct err err = {0};
	struct rt_app *a = NULL;

	if (rt_app_parse(f, &a, &err) < 0) {
		xlog_err(XLOG_ERROR, "control", &err, "msg=\"route refused\"");
		return -1;
	}
	if (k->staging) {
		k->staged = grow(k->staged, k->nstaged, sizeof *k->staged);
		k->staged[k->nstaged++] = a;
	} else {
		set_app(k->ctl, a);
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
		rt_certs_stale(k->ctl->rt->certs);
		wake_again(k->ctl);
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
			del_app(k->ctl, a.app_id);
		break;
	case ROUTE_DRAIN: /* behind what came before it, so that a removal has been published */
		if (!k->staging)
			publish(k->ctl);
		start_drain(k, a.seq, a.dyno_id, a.timeout_ms);
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
		k->seqs = grow(k->seqs, k->nseqs, sizeof *k->seqs);
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
	if (ctl->owner == k)
		paasd_is_gone(ctl);
	unstage(k);
	for (struct publication *p = ctl->first; p; p = p->next)
		for (int i = 0; i < p->nacks; i++)
			if (p->acks[i].client == k)
				p->acks[i].client = NULL;
	for (struct drain *d = ctl->drains; d; d = d->next)
		if (d->client == k)
			d->client = NULL;
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
	struct err bad = {0};
	int n;

	ctl->rt = rt;
	ctl->path = xasprintf("%s/router.sock", rt->opts.run_dir);
	rt_master_init(&ctl->master);
	n = rt_snapshot_open(&ctl->snapshot, rt->opts.run_dir, &ctl->master, rt->certs, &bad);
	if (n < 0) /* serve what could be read; paasd sends the rest */
		xlog_err(XLOG_WARN, "control", &bad, "msg=\"route snapshot is damaged\" apps=%u",
			 ctl->master.napps);
	else
		xlog(XLOG_INFO, "control", "msg=\"routes loaded\" apps=%d", n);
	ctl->rewrite = true;
	ctl->current = rt_master_copy(&ctl->master);
	if (listen_here(ctl, err) < 0) {
		ctl->stopped = true;
		rt_control_free(ctl);
		return NULL;
	}
	return ctl;
}

const struct rt_table *rt_control_table(struct rt_ctl *c)
{
	return c->current;
}

void rt_control_stop(struct rt_ctl *ctl)
{
	if (ctl->stopped)
		return;
	ctl->stopped = true;
	loop_timer_stop(ctl->cert_timer);
	ctl->cert_timer = NULL;
	while (ctl->drains)
		drain_finish(ctl->drains);
	while (ctl->clients)
		client_close(ctl->clients);
	uv_close((uv_handle_t *)&ctl->listener, NULL);
	unlink(ctl->path);
}

void rt_control_free(struct rt_ctl *ctl)
{
	if (!ctl)
		return;
	while (ctl->waking)
		forget_waking(ctl, ctl->waking->app_id);
	while (ctl->first) {
		struct publication *p = ctl->first;

		ctl->first = p->next;
		free(p->table);
		publication_free(p);
	}
	for (int i = 0; i < ctl->nretired; i++)
		rt_app_unref(ctl->retired[i]);
	free(ctl->retired);
	free(ctl->changes);
	free(ctl->current);
	buf_clear(&ctl->journal);
	rt_snapshot_close(&ctl->snapshot);
	rt_master_clear(&ctl->master);
	free(ctl->path);
	free(ctl);
}
