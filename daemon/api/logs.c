/* Log sessions: a secret URL, then lines as server-sent events (or text). */
#include "daemon/api/api_int.h"
#include "daemon/store/session.h"
#include "proto/limits.h"

#include <stdio.h>
#include <string.h>

struct session_tx {
	struct api_req *q;
	struct store_log_session s;
	char secret[65], id[37];
};

static int write_session(struct tx *tx, void *arg, struct err *err)
{
	struct session_tx *t = arg;

	return store_log_session_create(tx, t->secret, &t->s, t->id, err);
}

const struct api_field api_fields_log_session[] = {
	{"dyno", F_LINE, .max = 150, .text = "web.1, or a process type"},
	{"dyno_name", F_LINE, .max = 150, .text = "the same"},
	{"type", F_LINE, .max = 150, .text = "the same"},
	{"source", F_LINE, .max = 15},
	{"lines", F_INT, .min = 0, .max = 1000000},
	{"tail", F_BOOL},
	{0},
};

int api_log_session_create(struct api_req *q, struct err *err)
{
	struct session_tx t = {.q = q};
	AUTO(auto_str) char *url = NULL;
	const char *dyno = api_get_str(q->body, "dyno");
	int64_t lines = api_get_int(q->body, "lines", 100);
	int rc;

	if (!dyno)
		dyno = api_get_str(q->body, "dyno_name");
	if (!dyno)
		dyno = api_get_str(q->body, "type");
	random_hex(t.secret, 64);
	memcpy(t.s.app_id, q->app.id, sizeof t.s.app_id);
	t.s.dyno = xstrdup(dyno);
	t.s.source = xstrdup(api_get_str(q->body, "source"));
	t.s.lines = lines > LIM_LOG_HISTORY ? LIM_LOG_HISTORY : (int)lines;
	t.s.tail = api_get_bool(q->body, "tail", 0);
	rc = store_tx(q->d->store, write_session, &t, err);
	if (rc == 0) {
		json_t *now = json_time(clock_wall_ms());

		url = api_public_url(q, "/streams/logs/%s", t.secret);
		api_ok(q, 201,
		       json_pack("{s:O, s:s, s:s, s:o}", "created_at", now, "id", t.id,
				 "logplex_url", url, "updated_at", now));
	}
	store_log_session_clear(&t.s);
	return rc;
}

/* --- the stream --- */

static void put_line(const struct log_line *l, bool sse, struct buf *out)
{
	if (sse)
		buf_addf(out, "id: %llu\ndata: ", (unsigned long long)l->seq);
	log_format(l, out);
	buf_adds(out, sse ? "\n\n" : "\n");
}

struct history {
	struct buf out;
	bool sse;
};

static void add_line(const struct log_line *l, void *arg)
{
	struct history *h = arg;

	put_line(l, h->sse, &h->out);
}

static int open_session(struct tx *tx, void *arg, struct err *err)
{
	struct session_tx *t = arg;

	store_log_session_clear(&t->s);
	return store_log_session_open(tx, t->q->params[0], &t->s, err);
}

static int once(struct api_req *q, const struct store_log_session *s, const struct log_filter *f,
		bool sse, struct err *err)
{
	struct history h = {.sse = sse};

	/* Without it clients linger for a reconnect that will not come. */
	if (sse)
		buf_adds(&h.out, "retry: 1\n\n");
	if (logd_history(q->d->log, s->app_id, f, s->lines, add_line, &h, err) < 0) {
		buf_clear(&h.out);
		return -1;
	}
	q->answered = true;
	http_set(q->x, "Connection", "close");
	http_reply(q->x, 200, sse ? "text/event-stream" : "text/plain; charset=utf-8",
		   buf_str(&h.out), h.out.len);
	buf_clear(&h.out);
	return 0;
}

/* A live tail lives on the loop: no thread a reader. */
struct log_reader {
	LIST_ENTRY(log_reader) link; /* in api.tails, once it is started */
	struct loop *l;
	struct api *api;
	struct logd *log;
	struct http_x *x;
	struct log_tail *t;
	struct loop_timer *ping;
	char app_id[37];
	struct log_filter f;
	int lines;
	uint64_t after;
	bool sse;
};

#define PING_MS 15000

static void on_ping(void *arg)
{
	struct log_reader *t = arg;

	t->ping = loop_timer_start(t->l, PING_MS, on_ping, t);
	if (t->sse)
		http_push(t->x, ": ping\n\n", 8);
}

static void on_lines(const struct log_line *lines, int n, void *arg)
{
	struct log_reader *t = arg;
	AUTO(buf_clear) struct buf b = {0};

	for (int i = 0; i < n; i++)
		put_line(&lines[i], t->sse, &b);
	if (http_push(t->x, b.data, b.len) > 256 * 1024)
		log_tail_pause(t->t, true);
}

static void on_drain(struct http_x *x, void *arg)
{
	struct log_reader *t = arg;

	if (t->t)
		log_tail_pause(t->t, false);
}

static void on_gone(struct http_x *x, void *arg)
{
	struct log_reader *t = arg;

	if (t->t)
		log_tail_close(t->t);
	loop_timer_stop(t->ping);
	LIST_REMOVE(t, link);
	http_end(x);
	free(t);
}

/* An answer that is cut off is an error to clients; one that ends they ask for again, from the line
 * that they have. A checkout's router goes with us: it takes a moment until somebody listens. */
void api_logs_stop(struct api *a)
{
	struct log_reader *t;

	a->tails_over = true;
	while ((t = LIST_FIRST(&a->tails))) {
		if (t->sse)
			http_push(t->x, "retry: 5000\n\n", 13);
		on_gone(t->x, t);
	}
}

static void start_tail(void *arg)
{
	struct log_reader *t = arg;

	http_on_gone(t->x, on_gone, t);
	http_on_drain(t->x, on_drain, t);
	LIST_INSERT_HEAD(&t->api->tails, t, link);
	if (http_client_gone(t->x) || t->api->tails_over) { /* before somebody could be told */
		on_gone(t->x, t);
		return;
	}
	t->ping = loop_timer_start(t->l, PING_MS, on_ping, t);
	t->t = logd_tail(t->log, t->app_id, &t->f, t->lines, t->after, t->l, on_lines, t);
}

int api_log_stream(struct api_req *q, struct err *err)
{
	struct session_tx tx = {.q = q};
	const char *accept = http_header(q->x, "accept"),
		   *last = http_header(q->x, "last-event-id");
	bool sse = accept && strstr(accept, "text/event-stream");
	struct log_filter f = {0};
	struct log_reader *t;
	int rc = store_tx(q->d->store, open_session, &tx, err);

	if (rc < 0) {
		store_log_session_clear(&tx.s);
		return err->code == ERR_NOT_FOUND
			       ? err_set(err, ERR_NOT_FOUND, "This log session is over.")
			       : -1;
	}
	snprintf(f.source, sizeof f.source, "%s", tx.s.source ? tx.s.source : "");
	snprintf(f.dyno, sizeof f.dyno, "%s", tx.s.dyno ? tx.s.dyno : "");
	if (!tx.s.tail) {
		rc = once(q, &tx.s, &f, sse, err);
		store_log_session_clear(&tx.s);
		return rc;
	}
	t = xcalloc(1, sizeof *t);
	*t = (struct log_reader){.l = q->d->loop,
				 .api = q->api,
				 .log = q->d->log,
				 .x = q->x,
				 .f = f,
				 .lines = tx.s.lines,
				 .sse = sse};
	memcpy(t->app_id, tx.s.app_id, sizeof t->app_id);
	t->after = last ? strtoull(last, NULL, 10) : 0;
	store_log_session_clear(&tx.s);
	q->answered = true;
	http_respond(q->x, 200, sse ? "text/event-stream" : "text/plain; charset=utf-8");
	if (!loop_post(t->l, start_tail, t)) {
		http_end(t->x);
		free(t);
	}
	return 0;
}
