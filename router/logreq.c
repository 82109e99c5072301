/* logreq.c - the router's line for a request (Dev Center: "HTTP Routing", the log format). */
#include "router/rewrite.h"
#include "router/worker.h"

#include <string.h>

#define MAX_PATH 4096
#define MAX_FWD	 1024

#define ADD_LIT(b, lit) buf_add((b), (lit), sizeof(lit) - 1)

static uint32_t at_most(size_t n, uint32_t max)
{
	return n < max ? (uint32_t)n : max;
}

static void add_head(struct buf *b, const struct rt_conn *c)
{
	const struct http1_head *h = http1_head(c->parser);
	AUTO(buf_clear) struct buf fwd = {0};
	bool listed = false;

	ADD_LIT(b, "method=");
	buf_add(b, h->method.p, h->method.n);
	ADD_LIT(b, " path=\"");
	rt_log_quote(b, h->target.p, at_most(h->target.n, MAX_PATH));
	ADD_LIT(b, "\" host=");
	buf_adds(b, h->host_key);
	ADD_LIT(b, " request_id=");
	buf_add(b, c->x.id.p, c->x.id.n);
	ADD_LIT(b, " fwd=\"");
	for (int i = 0; i < h->nfields; i++)
		listed |= h->fields[i].id == H_X_FORWARDED_FOR;
	if (listed) {
		rt_write_forwarded(&fwd, h, c->peer);
		/* The end is what this router saw itself: keep that. */
		rt_log_quote(b, fwd.data + fwd.len - at_most(fwd.len, MAX_FWD),
			     at_most(fwd.len, MAX_FWD));
	} else {
		buf_adds(b, c->peer);
	}
	ADD_LIT(b, "\"");
}

char *rt_log_head(const struct rt_conn *c)
{
	struct buf b = {0};

	add_head(&b, c);
	return buf_steal(&b);
}

static void add_timing(struct buf *b, const struct rt_conn *c)
{
	const struct rt_xchg *x = &c->x;

	ADD_LIT(b, " connect=");
	if (x->connect_ms >= 0) {
		buf_addu(b, (uint64_t)x->connect_ms);
		ADD_LIT(b, "ms");
	}
	ADD_LIT(b, " service=");
	if (x->sent) {
		buf_addu(b, rt_now(c->w) - x->sent);
		ADD_LIT(b, "ms");
	}
	ADD_LIT(b, " status=");
	buf_addu(b, (uint64_t)x->status);
	ADD_LIT(b, " bytes=");
	buf_addu(b, x->bytes);
	ADD_LIT(b, " protocol=http");
	if (c->tls)
		buf_addc(b, 's');
}

void rt_log_request(struct rt_conn *c, enum rt_code code, const char *extra)
{
	struct buf *b = &c->w->line;
	const struct rt_xchg *x = &c->x;

	if (!x->app || x->app->def->platform)
		return;
	buf_reset(b);
	ADD_LIT(b, "at=");
	if (code == RT_OK) {
		ADD_LIT(b, "info ");
	} else {
		buf_addf(b, "%s code=%s desc=\"%s\" ", rt_codes[code].at, rt_codes[code].name,
			 rt_codes[code].desc);
		if (extra)
			buf_addf(b, "%s ", extra);
	}
	if (c->log_head)
		buf_adds(b, c->log_head);
	else
		add_head(b, c);
	ADD_LIT(b, " dyno=");
	if (x->dyno)
		buf_adds(b, x->dyno->def.name);
	add_timing(b, c);
	rt_worker_log(c->w, x->app->def->id, b->data, b->len);
}
