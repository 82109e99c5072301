/* http1_head.c - what a complete head means: target, host, framing, persistence. The one place
 * where request smuggling is decided, so it refuses whatever two parsers could read in two ways. */
#include "daemon/http/http1_int.h"

#include <string.h>

#define MAX_LENGTH_DIGITS 18 /* below 2^63 */

static int fail(struct http1 *p, enum err_id id, const char *text)
{
	http1_fail(p, id, "%s", text);
	return -1;
}

/* --- target and host ---------------------------------------------------------------------------
 */

/* "http://host" of absolute-form; 0 when the target is not of that form. */
static uint32_t scheme_length(struct http1_str t)
{
	if (t.n > 7 && strncasecmp(t.p, "http://", 7) == 0)
		return 7;
	if (t.n > 8 && strncasecmp(t.p, "https://", 8) == 0)
		return 8;
	return 0;
}

static void split_query(struct http1_head *h, struct http1_str s)
{
	const char *q = memchr(s.p, '?', s.n);

	h->path = s;
	if (q) {
		h->path.n = (uint32_t)(q - s.p);
		h->query = (struct http1_str){q + 1, s.n - h->path.n - 1};
	}
}

static void split_absolute(struct http1_head *h, uint32_t scheme)
{
	struct http1_str rest = {h->target.p + scheme, h->target.n - scheme};
	uint32_t i = 0;

	while (i < rest.n && rest.p[i] != '/' && rest.p[i] != '?')
		i++;
	h->absolute_form = true;
	h->host = (struct http1_str){rest.p, i};
	split_query(h, (struct http1_str){rest.p + i, rest.n - i});
	if (!h->path.n) /* RFC 9112 3.2.1, 3.2.4 */
		h->path = (struct http1_str){http1_is(h->method, "OPTIONS") ? "*" : "/", 1};
}

static int parse_target(struct http1 *p, struct http1_head *h)
{
	uint32_t scheme;

	if (http1_is(h->method, "CONNECT"))
		return fail(p, ERR_METHOD_NOT_ALLOWED, "CONNECT is not served here");
	if (h->target.p[0] == '/') {
		split_query(h, h->target);
		return 0;
	}
	if (http1_is(h->target, "*")) {
		h->path = h->target;
		return http1_is(h->method, "OPTIONS") ? 0 : fail(p, ERR_BAD_REQUEST, "bad target");
	}
	scheme = scheme_length(h->target);
	if (!scheme)
		return fail(p, ERR_BAD_REQUEST, "bad request target");
	split_absolute(h, scheme);
	return 0;
}

/* Octets of the host part: "[v6]" or a name. 0 when malformed. */
static uint32_t host_length(struct http1_str s)
{
	uint32_t i = 0;

	if (s.n && s.p[0] == '[') {
		for (i = 1; i < s.n && s.p[i] != ']'; i++)
			if (!strchr("0123456789abcdefABCDEF:.", s.p[i]) || !s.p[i])
				return 0;
		return i > 1 && i < s.n ? i + 1 : 0;
	}
	while (i < s.n && IS(s.p[i], C_HOST))
		i++;
	return i;
}

static bool port_ok(struct http1_str s)
{
	unsigned port = 0;

	if (s.n == 0)
		return true;
	if (s.p[0] != ':' || s.n > 6)
		return false;
	for (uint32_t i = 1; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		port = port * 10 + (unsigned)(s.p[i] - '0');
	}
	return port <= 65535;
}

int http1_host_key(struct http1_str host, char key[256])
{
	uint32_t n = host_length(host);

	if (!n || n > 255 || !port_ok((struct http1_str){host.p + n, host.n - n}))
		return -1;
	if (host.p[n - 1] == '.' && --n == 0)
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		char c = host.p[i];

		key[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
	}
	key[n] = 0;
	return 0;
}

static int parse_host(struct http1 *p, struct http1_block *b)
{
	struct http1_head *h = &b->head;
	char field_key[256];

	if (b->hosts > 1)
		return fail(p, ERR_BAD_REQUEST, "more than one Host");
	if (!b->hosts && h->minor > 0)
		return fail(p, ERR_BAD_REQUEST, "Host is missing");
	if (b->hosts && http1_host_key(b->host_field->value, field_key) < 0)
		return fail(p, ERR_BAD_REQUEST, "malformed Host");
	if (h->absolute_form) { /* Host is ignored then: RFC 9112 3.2.2 */
		if (http1_host_key(h->host, h->host_key) < 0)
			return fail(p, ERR_BAD_REQUEST, "malformed host in the request target");
	} else if (b->hosts) {
		h->host = b->host_field->value;
		memcpy(h->host_key, field_key, sizeof h->host_key);
	}
	return 0;
}

/* --- framing -----------------------------------------------------------------------------------
 */

static int parse_length(struct http1 *p, struct http1_block *b)
{
	struct http1_str v;
	uint64_t n = 0;

	if (b->lengths > 1)
		return fail(p, ERR_BAD_REQUEST, "more than one Content-Length");
	v = b->length_field->value;
	if (v.n == 0 || v.n > MAX_LENGTH_DIGITS)
		return fail(p, ERR_BAD_REQUEST, "bad Content-Length");
	for (uint32_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return fail(p, ERR_BAD_REQUEST, "bad Content-Length");
		n = n * 10 + (uint64_t)(v.p[i] - '0');
	}
	b->head.length = n;
	b->head.framing = HTTP1_LENGTH;
	return 0;
}

static int parse_coding(struct http1 *p, struct http1_block *b)
{
	if (b->head.minor == 0)
		return fail(p, ERR_BAD_REQUEST, "Transfer-Encoding in HTTP/1.0");
	if (b->lengths)
		return fail(p, ERR_BAD_REQUEST, "both Transfer-Encoding and Content-Length");
	if (b->codings > 1 || !http1_is_ci(b->coding_field->value, "chunked"))
		return fail(p, ERR_NOT_IMPLEMENTED,
			    "only the transfer coding \"chunked\" is known");
	b->head.framing = HTTP1_CHUNKED;
	return 0;
}

static int parse_framing(struct http1 *p, struct http1_block *b)
{
	struct http1_head *h = &b->head;

	if (b->codings) {
		if (parse_coding(p, b) < 0)
			return -1;
	} else if (b->lengths) {
		if (parse_length(p, b) < 0)
			return -1;
	} else {
		h->framing = p->kind == HTTP1_REQUEST ? HTTP1_NO_BODY : HTTP1_UNTIL_CLOSE;
	}
	if (p->kind == HTTP1_RESPONSE && (p->head_request || h->status < 200 || h->status == 204 ||
					  h->status == 304)) /* RFC 9112 6.3 */
		h->framing = HTTP1_NO_BODY;
	return 0;
}

/* --- persistence, upgrade, expectations --------------------------------------------------------
 */

static int parse_expect(struct http1 *p, struct http1_head *h, struct http1_str v)
{
	if (h->minor == 0 || v.n == 0)
		return 0;
	if (!http1_is_ci(v, "100-continue"))
		return fail(p, ERR_EXPECT_FAILED, "only 100-continue can be expected");
	h->expect_continue = true;
	return 0;
}

static int parse_connection(struct http1 *p, struct http1_head *h)
{
	bool keep = false, upgrade = false, protocol = false;

	for (int i = 0; i < h->nfields; i++) {
		const struct http1_field *f = &h->fields[i];

		if (f->id == H_CONNECTION) {
			h->connection_close |= http1_list_has(f->value, "close");
			keep |= http1_list_has(f->value, "keep-alive");
			upgrade |= http1_list_has(f->value, "upgrade");
		} else if (f->id == H_UPGRADE) {
			protocol |= f->value.n > 0;
		} else if (f->id == H_EXPECT && p->kind == HTTP1_REQUEST &&
			   parse_expect(p, h, f->value) < 0) {
			return -1;
		}
	}
	h->keep_alive =
		!h->connection_close && (h->minor > 0 || keep) && h->framing != HTTP1_UNTIL_CLOSE;
	h->upgrade = upgrade && protocol && h->minor > 0;
	return 0;
}

int http1_finish_head(struct http1 *p)
{
	struct http1_block *b = p->block;

	if (p->kind == HTTP1_REQUEST && (parse_target(p, &b->head) < 0 || parse_host(p, b) < 0))
		return -1;
	if (parse_framing(p, b) < 0)
		return -1;
	return parse_connection(p, &b->head);
}
