/* POSTs of application/logplex-1: one at a time, so that lines stay in order. */
#include "daemon/core/codec.h"
#include "daemon/drain/drain_int.h"

#include <stdio.h>
#include <string.h>

#define REFUSALS     3 /* then a batch that the receiver will not have is dropped */
#define LET_GO_AFTER 4 /* failures in a row; the batch is then read again when it is tried */

static void let_go(struct drain *d)
{
	d->again = d->lines;
	d->lines = 0;
	buf_clear(&d->body);
	drain_rewind(d);
}

static void batch_done(struct drain *d)
{
	drain_arrived(d, d->sent);
	buf_reset(&d->body);
	d->lines = d->again = d->refused = 0;
	d->first = 0;
}

/* Of this batch the receiver will never say otherwise; else it may be away, or misled. */
static bool refuses_batch(int status)
{
	static const int others[] = {401, 403, 404, 405, 407, 408, 410, 421, 423, 425, 429};

	if (status < 400 || status > 499)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (status == others[i])
			return false;
	return true;
}

static void drop_batch(struct drain *d)
{
	struct log_lost lost = {(uint64_t)d->lines, clock_wall_us()};

	if (d->telling.n) { /* one of the lines told of others, which it now counts with */
		lost = d->telling;
		lost.n += (uint64_t)d->lines - 1;
	}
	d->telling = (struct log_lost){0};
	if (!d->lost.n)
		d->lost.since = lost.since;
	d->lost.n += lost.n;
	batch_done(d);
}

static void on_answer(const struct out_answer *a, void *arg)
{
	struct drain *d = arg;
	uint64_t least = (uint64_t)a->retry_after_s * 1000;

	d->call = NULL;
	if (a->status >= 200 && a->status < 300) {
		drain_worked(d);
		batch_done(d);
		drain_pump(d);
		return;
	}
	if (refuses_batch(a->status) && ++d->refused >= REFUSALS) {
		drop_batch(d);
		/* It is there: the next may please it. */
		d->failures = d->failures < REFUSALS ? d->failures : REFUSALS;
	}
	drain_failed(d, a->fault, a->why, least < 600000 ? least : 600000);
	if (d->lines && d->failures >= LET_GO_AFTER)
		let_go(d);
	if (d->ds->stopping)
		drain_pump(d);
}

/* The same for the same lines, so that a receiver knows a batch that comes again. */
static void frame_id(const struct drain *d, char id[37])
{
	AUTO(auto_str)
	char *what = xasprintf("%s %llu %llu %d", d->id, (unsigned long long)d->first,
			       (unsigned long long)d->sent, d->lines);
	char hex[65];

	sha256_hex(what, strlen(what), hex);
	snprintf(id, 37, "%.8s-%.4s-4%.3s-8%.3s-%.12s", hex, hex + 8, hex + 13, hex + 17, hex + 20);
}

static void post(struct drain *d)
{
	char count[48], frame[64], token[80], id[37];
	const char *headers[] = {"Content-Type: application/logplex-1",
				 "User-Agent: Logplex/" PAASD_VERSION,
				 count,
				 frame,
				 token,
				 NULL};
	const struct out_request r = {.url = d->url.bare,
				      .user = d->url.user,
				      .password = d->url.password,
				      .headers = headers,
				      .body = d->body.data,
				      .len = d->body.len,
				      .timeout_ms = LIM_DRAIN_POST_MS};

	frame_id(d, id);
	snprintf(count, sizeof count, "Logplex-Msg-Count: %d", d->lines);
	snprintf(frame, sizeof frame, "Logplex-Frame-Id: %s", id);
	snprintf(token, sizeof token, "Logplex-Drain-Token: %s", d->token);
	d->call = out_post(d->ds->o, &r, on_answer, d);
}

static void pump(struct drain *d)
{
	if (d->call)
		return;
	if (!d->lines) {
		d->first = 0;
		d->lines = drain_fill(d, d->again ? d->again : LIM_DRAIN_LINES, LIM_DRAIN_BATCH,
				      &d->body);
		d->again = 0;
	}
	if (d->lines)
		post(d);
}

static void close_call(struct drain *d)
{
	out_cancel(STEAL(d->call));
}

static bool at_rest(struct drain *d)
{
	return !d->call && (d->ds->stopping || !d->lines);
}

const struct drain_transport drain_post = {pump, close_call, at_rest};
