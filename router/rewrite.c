#include "router/rewrite.h"
#include "router/pages.h"
#include "router/rt.h"

#include <stdio.h>
#include <string.h>

static void add_str(struct buf *b, struct http1_str s)
{
	buf_add(b, s.p, s.n);
}

#define ADD_LIT(b, lit) buf_add((b), (lit), sizeof(lit) - 1)

static void add_field(struct buf *b, const struct http1_field *f)
{
	add_str(b, f->name);
	ADD_LIT(b, ": ");
	add_str(b, f->value);
	ADD_LIT(b, "\r\n");
}

/* Some servers read X_Forwarded_For as X-Forwarded-For (CGI made them the same): a client could
 * name in that way what it may not name in the other. */
static bool is_look_alike(struct http1_str name)
{
	static const char *const guarded[] = {
		"x-forwarded-for",     "x-forwarded-proto", "x-forwarded-port", "x-forwarded-host",
		"x-request-id",	       "x-request-start",   "content-length",	"transfer-encoding",
		"content-type",	       "keep-alive",	    "proxy-connection", "set-cookie",
		"proxy-authorization",
	};
	char dashed[32];

	if (!memchr(name.p, '_', name.n) || name.n >= sizeof dashed)
		return false;
	for (uint32_t i = 0; i < name.n; i++)
		dashed[i] = name.p[i] == '_' ? '-' : name.p[i];
	for (size_t i = 0; i < ARRAY_LEN(guarded); i++)
		if (http1_is_ci((struct http1_str){dashed, name.n}, guarded[i]))
			return true;
	return false;
}

/* What Connection names beyond the options that we know; most heads name nothing. */
struct options {
	const struct http1_head *h; /* NULL: none */
};

static bool plain_option(struct http1_str v)
{
	return http1_is_ci(v, "keep-alive") || http1_is_ci(v, "close") || http1_is_ci(v, "upgrade");
}

static struct options named_options(const struct http1_head *h)
{
	for (int i = 0; i < h->nfields; i++)
		if (h->fields[i].id == H_CONNECTION && !plain_option(h->fields[i].value))
			return (struct options){h};
	return (struct options){0};
}

static bool is_named(struct options o, struct http1_str name)
{
	char text[64];

	if (!o.h || name.n >= sizeof text)
		return false;
	memcpy(text, name.p, name.n);
	text[name.n] = 0;
	for (int i = 0; i < o.h->nfields; i++)
		if (o.h->fields[i].id == H_CONNECTION && http1_list_has(o.h->fields[i].value, text))
			return true;
	return false;
}

/* Fields of one connection, which end here. */
static bool hop_by_hop(const struct http1_field *f)
{
	switch (f->id) {
	case H_CONNECTION:
	case H_KEEP_ALIVE:
	case H_PROXY_CONNECTION:
	case H_PROXY_AUTHENTICATE:
	case H_TE:
	case H_TRAILER:
	case H_TRANSFER_ENCODING:
	case H_CONTENT_LENGTH:
	case H_UPGRADE:
		return true;
	default:
		return false;
	}
}

/* --- requests ----------------------------------------------------------------------------- */

/* Fields that end here or that are written anew. */
static bool drop_from_request(const struct http1_field *f)
{
	switch (f->id) {
	case H_PROXY_AUTHORIZATION:
	case H_EXPECT:
	case H_HOST:
	case H_PROXY:
	case H_VIA:
	case H_X_FORWARDED_FOR:
	case H_X_FORWARDED_PROTO:
	case H_X_FORWARDED_PORT:
	case H_X_REQUEST_ID:
	case H_X_REQUEST_START:
		return true;
	default:
		return hop_by_hop(f) || is_look_alike(f->name);
	}
}

/* Fields that no Connection option may take away: an app would trust their absence. */
static bool strippable(const struct http1_field *f)
{
	return f->id == H_OTHER || f->id == H_SERVER || f->id == H_DATE;
}

void rt_write_forwarded(struct buf *out, const struct http1_head *h, const char *peer)
{
	for (int i = 0; i < h->nfields; i++)
		if (h->fields[i].id == H_X_FORWARDED_FOR && h->fields[i].value.n) {
			add_str(out, h->fields[i].value);
			ADD_LIT(out, ", ");
		}
	buf_adds(out, peer);
}

static void add_via(struct buf *out, const struct http1_head *h)
{
	ADD_LIT(out, "Via: ");
	for (int i = 0; i < h->nfields; i++)
		if (h->fields[i].id == H_VIA && h->fields[i].value.n) {
			add_str(out, h->fields[i].value);
			ADD_LIT(out, ", ");
		}
	if (h->minor)
		ADD_LIT(out, "1.1 " RT_NAME "\r\n");
	else
		ADD_LIT(out, "1.0 " RT_NAME "\r\n");
}

static void add_upgrade(struct buf *out, const struct http1_head *h)
{
	ADD_LIT(out, "Connection: Upgrade\r\n");
	for (int i = 0; i < h->nfields; i++)
		if (h->fields[i].id == H_UPGRADE)
			add_field(out, &h->fields[i]);
}

static void add_request_framing(struct buf *out, const struct http1_head *h)
{
	if (h->framing == HTTP1_CHUNKED) {
		ADD_LIT(out, "Transfer-Encoding: chunked\r\n");
	} else if (h->framing == HTTP1_LENGTH) {
		ADD_LIT(out, "Content-Length: ");
		buf_addu(out, h->length);
		ADD_LIT(out, "\r\n");
	}
}

static void add_request_line(struct buf *out, const struct http1_head *h)
{
	add_str(out, h->method);
	ADD_LIT(out, " ");
	if (h->absolute_form) {
		add_str(out, h->path);
		if (h->query.p) {
			ADD_LIT(out, "?");
			add_str(out, h->query);
		}
	} else {
		add_str(out, h->target);
	}
	ADD_LIT(out, " HTTP/1.1\r\nHost: ");
	add_str(out, h->host);
	ADD_LIT(out, "\r\n");
}

static void add_request_marks(struct buf *out, const struct http1_head *h,
			      const struct rt_req_ctx *c)
{
	ADD_LIT(out, "X-Forwarded-For: ");
	rt_write_forwarded(out, h, c->peer);
	ADD_LIT(out, "\r\nX-Forwarded-Proto: ");
	buf_adds(out, c->proto);
	ADD_LIT(out, "\r\nX-Forwarded-Port: ");
	buf_addu(out, (uint64_t)c->port);
	ADD_LIT(out, "\r\nX-Request-Id: ");
	add_str(out, c->request_id);
	ADD_LIT(out, "\r\nX-Request-Start: ");
	buf_addu(out, (uint64_t)c->start_ms);
	ADD_LIT(out, "\r\n");
	add_via(out, h);
}

void rt_write_request(struct buf *out, const struct http1_head *h, const struct rt_req_ctx *c)
{
	struct options named = named_options(h);

	add_request_line(out, h);
	for (int i = 0; i < h->nfields; i++) {
		const struct http1_field *f = &h->fields[i];

		if (drop_from_request(f) || (strippable(f) && is_named(named, f->name)))
			continue;
		add_field(out, f);
	}
	add_request_framing(out, h);
	if (c->upgrade)
		add_upgrade(out, h);
	add_request_marks(out, h, c);
	ADD_LIT(out, "\r\n");
}

bool rt_request_id_ok(struct http1_str s)
{
	if (s.n < 20 || s.n > 200)
		return false;
	for (uint32_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
		      c == '+' || c == '/' || c == '=' || c == '-'))
			return false;
	}
	return true;
}

bool rt_may_upgrade(const struct http1_head *h)
{
	if (!h->upgrade || h->framing != HTTP1_NO_BODY)
		return false;
	for (int i = 0; i < h->nfields; i++)
		if (h->fields[i].id == H_UPGRADE && http1_list_has(h->fields[i].value, "h2c"))
			return false;
	return true;
}

bool rt_idempotent(struct http1_str m)
{
	static const char *const safe[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};

	for (size_t i = 0; i < ARRAY_LEN(safe); i++)
		if (http1_is(m, safe[i]))
			return true;
	return false;
}

/* --- answers ------------------------------------------------------------------------------ */

static bool drop_from_response(const struct http1_field *f)
{
	return f->id == H_VIA || hop_by_hop(f);
}

static void add_status_line(struct buf *out, const struct http1_head *h)
{
	char code[5] = {(char)('0' + h->status / 100), (char)('0' + h->status / 10 % 10),
			(char)('0' + h->status % 10), ' ', 0};

	ADD_LIT(out, "HTTP/1.1 ");
	buf_add(out, code, 4);
	add_str(out, h->reason);
	ADD_LIT(out, "\r\n");
}

static void add_response_framing(struct buf *out, const struct http1_head *h,
				 const struct rt_resp_ctx *c)
{
	const struct http1_field *len;

	if (c->chunked) {
		ADD_LIT(out, "Transfer-Encoding: chunked\r\n");
		return;
	}
	/* 304 and answers to HEAD may say the length that a GET would have; 1xx and 204 may not. */
	if (c->no_length || h->status < 200 || h->status == 204)
		return;
	if (h->framing == HTTP1_LENGTH) {
		ADD_LIT(out, "Content-Length: ");
		buf_addu(out, h->length);
		ADD_LIT(out, "\r\n");
	} else if (h->framing == HTTP1_NO_BODY) {
		len = http1_find(h, "content-length");
		if (len) {
			ADD_LIT(out, "Content-Length: ");
			add_str(out, len->value);
			ADD_LIT(out, "\r\n");
		}
	}
}

void rt_write_response(struct buf *out, const struct http1_head *h, const struct rt_resp_ctx *c)
{
	struct options named = named_options(h);
	bool dated = h->status < 200;

	add_status_line(out, h);
	for (int i = 0; i < h->nfields; i++) {
		const struct http1_field *f = &h->fields[i];

		if (drop_from_response(f) || (f->id == H_OTHER && is_named(named, f->name)))
			continue;
		dated |= f->id == H_DATE;
		add_field(out, f);
	}
	if (!dated) { /* RFC 9110 6.6.1 */
		char date[30];

		rt_http_date(date);
		ADD_LIT(out, "Date: ");
		buf_adds(out, date);
		ADD_LIT(out, "\r\n");
	}
	add_response_framing(out, h, c);
	if (c->upgrade)
		add_upgrade(out, h);
	else if (h->status >= 200 && !c->keep_alive)
		ADD_LIT(out, "Connection: close\r\n");
	else if (h->status >= 200 && c->minor == 0)
		ADD_LIT(out, "Connection: keep-alive\r\n");
	add_via(out, h);
	ADD_LIT(out, "\r\n");
}
