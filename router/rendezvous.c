/* rendezvous.c - the platform's attach protocol as Heroku's clients speak it: over TLS one line,
 * "SECRET[?QUERY]", then raw octets both ways. Our secrets begin with '=', which no request line
 * can. The line becomes an upgrade request to the platform's own socket, so that waiting for paasd,
 * back-pressure and ends are those of any tunnel; paasd checks the secret and speaks the rest. */
#include "router/worker.h"
#include "proto/attach.h"

#include <string.h>

static bool is_hex(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f')))
			return false;
	return true;
}

void rt_rendezvous_first(struct rt_conn *c, const char *p, size_t n)
{
	c->first = false;
	if (p[0] != ATTACH_RDV_MARK) {
		rt_conn_data(c, p, n);
		return;
	}
	c->rdv = RDV_LINE;
	rt_timer_set(c->w, &c->timer, RT_T_HEAD);
	rt_rendezvous_line(c, p, n);
}

/* The line is whole: what an upgrade request would have been. */
static void start(struct rt_conn *c, const char *secret, const char *rest, size_t n)
{
	AUTO(buf_clear) struct buf b = {0};

	/* Host is a formality: the request goes to the platform whatever it says. */
	buf_addf(&b,
		 "GET " ATTACH_PATH "%.*s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
		 "Upgrade: " ATTACH_RDV_UPGRADE "\r\n\r\n",
		 ATTACH_RDV_LEN, secret);
	buf_add(&b, rest, n);
	c->rdv = RDV_YES;
	c->last = true;
	rt_conn_data(c, b.data, b.len);
}

void rt_rendezvous_line(struct rt_conn *c, const char *p, size_t n)
{
	struct buf line = c->in;
	const char *end;
	size_t len;

	buf_add(&line, p, n);
	c->in = (struct buf){0};
	end = memchr(line.data, '\n', line.len);
	len = end ? (size_t)(end - line.data) : line.len;
	if (len > LIM_RENDEZVOUS_LINE) {
		rt_conn_linger(c);
	} else if (!end) {
		c->in = line;
		return;
	} else {
		len -= len && end[-1] == '\r';
		if (len >= ATTACH_RDV_LEN && is_hex(line.data + 1, ATTACH_RDV_LEN - 1) &&
		    (len == ATTACH_RDV_LEN || line.data[ATTACH_RDV_LEN] == '?'))
			start(c, line.data, end + 1, line.len - (size_t)(end + 1 - line.data));
		else
			rt_conn_linger(c);
	}
	buf_clear(&line);
}

/* --- output ----------------------------------------------------------------------------------- */

#define RECORD	 16384
#define HELD_MAX 64 /* the line that carries the exit status is shorter */

/* Clients look for U+FFFF and what follows it within one piece that they receive, which is one
 * record. How much of p may leave without cutting such a line? */
static size_t whole(const char *p, size_t n)
{
	static const char mark[] = "\xef\xbf\xbf";
	size_t from = n > HELD_MAX ? n - HELD_MAX : 0;

	for (size_t i = n; i-- > from && p[i] != '\n';) {
		size_t left = n - i;

		if (memcmp(p + i, mark, left < 3 ? left : 3) == 0)
			return i;
	}
	return n;
}

static int write_records(struct rt_conn *c, const char *p, size_t n, size_t *used, bool last)
{
	for (*used = 0; *used < n;) {
		size_t left = n - *used, fit = left < RECORD ? left : RECORD;
		size_t go = last && fit == left ? fit : whole(p + *used, fit);
		uv_buf_t v;

		if (!go)
			return 0;
		v = uv_buf_init((char *)(uintptr_t)(p + *used), (unsigned)go);
		if (rt_out_write(&c->out, &v, 1) < 0)
			return -1;
		*used += go;
	}
	return 0;
}

/* c->held: the start of a line that waits for its rest. */
int rt_rendezvous_write(struct rt_conn *c, const char *p, size_t n, bool last)
{
	AUTO(buf_clear) struct buf all = c->held;
	size_t used;

	c->held = (struct buf){0};
	if (all.len || last) {
		buf_add(&all, p, n);
		p = all.data;
		n = all.len;
	}
	if (write_records(c, p, n, &used, last) < 0)
		return -1;
	if (used < n)
		buf_add(&c->held, p + used, n - used);
	return 0;
}
