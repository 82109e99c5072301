/* Our HTTP/1.1 parser against llhttp as the oracle: every message that we accept llhttp must accept
 * too, with the same framing and the same values. (The reverse is not asked: we refuse more.)
 * First octet: bit 0 = response, bit 1 = answer to HEAD.
 *
 * Known differences, each on purpose:
 *  - a method that llhttp does not know, or keeps for RTSP and ICE: we pass any token on;
 *  - HTTP/1.2 to 1.9: RFC 9110 2.5 wants them read as 1.1, llhttp refuses them;
 *  - chunk extensions: llhttp 8.1 knows no second one after a value ("1;a=b;c");
 *  - no body after HEAD, 1xx, 204, 304: llhttp leaves that to its caller, so it is told;
 *  - trailers: llhttp lets them change what the head said;
 *  - Connection: llhttp loses its way in lists with other than plain tokens and blanks, and takes
 *    Proxy-Connection for the same field;
 *  - Content-Length: llhttp refuses a HTAB after the number, which is a blank like SP;
 *  - "close, keep-alive" in HTTP/1.0: close wins here (RFC 9112 9.3), llhttp sees only the latter;
 *  - Upgrade: llhttp leaves HTTP at once, even when the server would decline; switched off here. */
#include "daemon/http/http1.h"
#include "proto/buf.h"

#include <assert.h>
#include <llhttp.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct side {
	struct buf out; /* what was understood, as text */
	struct buf name, value, text;
	bool head_request, started, last, trailers;
};

static void side_clear(struct side *s)
{
	buf_clear(&s->out);
	buf_clear(&s->name);
	buf_clear(&s->value);
	buf_clear(&s->text);
}
#define side_clear_p side_clear

static void add(struct buf *b, const char *p, size_t n)
{
	buf_addf(b, "<%zu:", n);
	buf_add(b, p, n);
	buf_adds(b, ">");
}

/* --- ours --------------------------------------------------------------------------------------
 */

/* Tokens, commas, single spaces after them and after the colon. */
static bool plain_list(struct http1_str s)
{
	if (s.p[s.n] != '\r' || (s.p[-1] != ':' && s.p[-2] != ':'))
		return false;
	for (uint32_t i = 0; i < s.n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-,", s.p[i]) &&
		    !(s.p[i] == ' ' && s.p[i - 1] == ','))
			return false;
	return true;
}

static bool oracle_knows(const struct http1_head *h)
{
	for (int i = 0; i < h->nfields; i++)
		if (h->fields[i].id == H_PROXY_CONNECTION ||
		    (h->fields[i].id == H_CONNECTION && !plain_list(h->fields[i].value)))
			return false;
	if (h->minor == 0 && h->connection_close)
		return false;
	if (h->status)
		return true;
	for (int m = HTTP_DELETE; m < HTTP_SOURCE; m++)
		if (http1_is(h->method, llhttp_method_name((llhttp_method_t)m)))
			return true;
	return false;
}

static void our_head(struct side *s, const struct http1_head *h)
{
	if (h->status)
		buf_addf(&s->out, "status %d ", h->status);
	add(&s->out, h->method.p, h->method.n);
	add(&s->out, h->status ? h->reason.p : h->target.p, h->status ? h->reason.n : h->target.n);
	buf_addf(&s->out, "1.%d\n", h->minor);
	for (int i = 0; i < h->nfields; i++) {
		add(&s->out, h->fields[i].name.p, h->fields[i].name.n);
		add(&s->out, h->fields[i].value.p, h->fields[i].value.n);
	}
	s->last = !h->keep_alive;
}

/* Returns how many octets hold messages that we accepted as a whole; *eof = the last by close. */
static size_t ours(enum http1_kind kind, const char *in, size_t n, struct side *s, bool *eof)
{
	AUTO(http1_free) struct http1 *p = http1_new(kind, LIM_HTTP_RESP_HEAD);
	const char *data;
	size_t used, data_n, at = 0, accepted = 0, accepted_out = 0;

	http1_response_to(p, s->head_request);
	for (;;) {
		switch (http1_feed(p, in + at, n - at, &used, &data, &data_n)) {
		case HTTP1_HEAD:
			if (!oracle_knows(http1_head(p)))
				goto out;
			our_head(s, http1_head(p));
			break;
		case HTTP1_DATA:
			buf_add(&s->text, data, data_n);
			break;
		case HTTP1_MORE:
			*eof = http1_eof(p) == HTTP1_END;
			if (!*eof)
				goto out;
			used = 0;
			at = n;
			/* fallthrough */
		case HTTP1_END:
			add(&s->out, s->text.data, s->text.len);
			buf_reset(&s->text);
			buf_addf(&s->out, "end, keep %d\n", !s->last);
			accepted = at + used;
			accepted_out = s->out.len;
			http1_next(p);
			if (s->last || *eof)
				goto out;
			break;
		case HTTP1_ERROR:
			goto out;
		}
		at += used;
	}
out:
	s->out.len = accepted_out;
	return accepted;
}

/* --- llhttp ------------------------------------------------------------------------------------
 */

static int on_start(llhttp_t *l)
{
	struct side *s = l->data;

	buf_reset(&s->name);
	buf_reset(&s->value);
	buf_reset(&s->text);
	return 0;
}

static int on_text(llhttp_t *l, const char *p, size_t n)
{
	buf_add(&((struct side *)l->data)->text, p, n);
	return 0;
}

static void their_start_line(llhttp_t *l, struct side *s)
{
	const char *method = l->type == HTTP_REQUEST ? llhttp_method_name(l->method) : NULL;

	if (l->type == HTTP_RESPONSE)
		buf_addf(&s->out, "status %d ", l->status_code);
	add(&s->out, method, method ? strlen(method) : 0);
	add(&s->out, s->text.data, s->text.len);
	buf_addf(&s->out, "1.%d\n", l->http_minor);
	buf_reset(&s->text);
}

static int on_name(llhttp_t *l, const char *p, size_t n)
{
	buf_add(&((struct side *)l->data)->name, p, n);
	return 0;
}

static int on_value(llhttp_t *l, const char *p, size_t n)
{
	buf_add(&((struct side *)l->data)->value, p, n);
	return 0;
}

static int on_value_done(llhttp_t *l)
{
	struct side *s = l->data;
	size_t n = s->value.len;

	if (l->flags & F_TRAILING) { /* we drop trailers */
		s->trailers = true;
		buf_reset(&s->name);
		buf_reset(&s->value);
		return 0;
	}
	while (n && (s->value.data[n - 1] == ' ' || s->value.data[n - 1] == '\t'))
		n--; /* llhttp leaves blanks at the end of a value */
	if (!s->started)
		their_start_line(l, s);
	s->started = true;
	add(&s->out, s->name.data, s->name.len);
	add(&s->out, s->value.data, n);
	buf_reset(&s->name);
	buf_reset(&s->value);
	return 0;
}

static int on_head(llhttp_t *l)
{
	struct side *s = l->data;
	bool skip;

	if (!s->started)
		their_start_line(l, s);
	s->started = false;
	l->upgrade = 0;
	skip = l->type == HTTP_RESPONSE && (s->head_request || l->status_code < 200 ||
					    l->status_code == 204 || l->status_code == 304);
	if (skip)
		l->flags |= F_SKIPBODY; /* llhttp will, but asks for persistence before */
	s->last = !llhttp_should_keep_alive(l);
	return skip;
}

static int on_done(llhttp_t *l)
{
	struct side *s = l->data;

	add(&s->out, s->text.data, s->text.len);
	buf_reset(&s->text);
	buf_addf(&s->out, "end, keep %d\n", !s->last);
	return 0;
}

/* The known difference: llhttp stopped within a chunk extension. */
static bool in_extension(const llhttp_t *l, const char *in)
{
	const char *p = l->error_pos;

	if (strncmp(l->reason, "Invalid character in chunk", 26) != 0)
		return false;
	while (p > in && p[-1] != '\n')
		if (*--p == ';')
			return true;
	return false;
}

/* False when the oracle must be left out. */
static bool theirs(enum http1_kind kind, const char *in, size_t n, bool eof, struct side *s)
{
	llhttp_settings_t set;
	llhttp_t l;
	llhttp_errno_t e;

	llhttp_settings_init(&set);
	set.on_message_begin = on_start;
	set.on_url = set.on_status = set.on_body = on_text;
	set.on_header_field = on_name;
	set.on_header_value = on_value;
	set.on_header_value_complete = on_value_done;
	set.on_headers_complete = on_head;
	set.on_message_complete = on_done;
	llhttp_init(&l, kind == HTTP1_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &set);
	l.data = s;
	e = llhttp_execute(&l, in, n);
	if (e == HPE_OK && eof)
		e = llhttp_finish(&l);
	if (e == HPE_OK)
		return true;
	buf_addf(&s->out, "llhttp: %s %s\n", llhttp_errno_name(e), l.reason);
	if (e == HPE_INVALID_VERSION && l.http_major == 1 && l.http_minor > 1)
		return false;
	if (e == HPE_INVALID_CONTENT_LENGTH && *l.error_pos == '\t')
		return false;
	return !s->trailers && !in_extension(&l, in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(side_clear) struct side a = {.head_request = len && data[0] & 2};
	AUTO(side_clear) struct side b = {.head_request = len && data[0] & 2};
	const char *in = (const char *)data + 1;
	enum http1_kind kind;
	size_t n;
	bool eof = false;

	if (len < 2)
		return 0;
	kind = data[0] & 1 ? HTTP1_RESPONSE : HTTP1_REQUEST;
	n = ours(kind, in, len - 1, &a, &eof);
	if (!n && !eof)
		return 0;
	if (!theirs(kind, in, n, eof, &b))
		return 0;
	if (a.out.len != b.out.len || memcmp(buf_str(&a.out), buf_str(&b.out), a.out.len) != 0) {
		fprintf(stderr, "ours:\n%.*s\nllhttp:\n%s\n", (int)a.out.len, buf_str(&a.out),
			buf_str(&b.out));
		abort();
	}
	return 0;
}
