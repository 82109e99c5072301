/* http1.c - reading of heads. A head is parsed where it lies in the caller's input and copied once
 * when it is complete; a head that comes in pieces is gathered first. Either way each line is
 * looked at only when its end has been seen, and limits are compared with positions, so that the
 * pieces cannot change the outcome. */
#include "daemon/http/http1_int.h"

#include <assert.h>
#include <stdio.h>
#include <stdarg.h>
#include <string.h>
#include "proto/buf.h"

#define MAX_EMPTY_LINES	 4
#define MAX_FIELD_NAME	 1000
#define MAX_FIELD_LINE	 (MAX_FIELD_NAME + LIM_HTTP_FIELD + 16)
#define MAX_REQUEST_LINE (LIM_HTTP_METHOD + LIM_HTTP_TARGET + 16)
#define FIRST_CAP	 512

struct http1 *http1_new(enum http1_kind kind, uint32_t max_head)
{
	struct http1 *p = xcalloc(1, sizeof *p);

	p->kind = kind;
	p->max_head = max_head;
	return p;
}

static void block_drop(struct http1 *p)
{
	if (p->block) {
		free(p->block->buf);
		free(p->block);
		p->block = NULL;
	}
}

void http1_free(struct http1 *p)
{
	if (!p)
		return;
	block_drop(p);
	free(p->err);
	free(p);
}

void http1_next(struct http1 *p)
{
	assert(p->state == S_END);
	block_drop(p);
	p->state = S_START;
	p->cr_seen = false;
	p->empty_lines = p->digits = 0;
	p->ext_bytes = p->trailer_bytes = p->trailers = 0;
	p->left = 0;
}

void http1_response_to(struct http1 *p, bool head_request)
{
	p->head_request = head_request;
}

const struct http1_head *http1_head(const struct http1 *p)
{
	return p->block ? &p->block->head : NULL;
}

bool http1_idle(const struct http1 *p)
{
	return p->state == S_START && !p->cr_seen;
}

const struct err *http1_err(const struct http1 *p)
{
	return p->err;
}

enum http1_event http1_fail(struct http1 *p, enum err_id id, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (!p->err)
		p->err = xcalloc(1, sizeof *p->err);
	err_set(p->err, p->kind == HTTP1_RESPONSE ? ERR_CORRUPT : id, "%s", text);
	p->state = S_ERROR;
	return HTTP1_ERROR;
}

static int fail(struct http1 *p, enum err_id id, const char *text)
{
	http1_fail(p, id, "%s", text);
	return -1;
}

/* --- lines -------------------------------------------------------------------------------------
 */

/* The first octet below 0x20 (but HTAB) or 0x7f; n when there is none. Eight at a time. */
static size_t find_ctl(const char *s, size_t i, size_t n)
{
	const uint64_t ones = 0x0101010101010101u, tops = ones * 0x80;
	uint64_t w, ctl, del;

	for (; i + 8 <= n; i += 8) {
		memcpy(&w, s + i, 8);
		ctl = (w - ones * 0x20) & ~w;
		del = ((w ^ ones * 0x7f) - ones) & ~w;
		if ((ctl | del) & tops)
			break; /* perhaps a HTAB: look closer */
	}
	for (; i < n; i++)
		if (!IS(s[i], C_VALUE))
			return i;
	return n;
}

static int parse_version(struct http1 *p, const char *s, size_t n, int *minor)
{
	if (n != 8 || memcmp(s, "HTTP/", 5) != 0 || s[6] != '.' || s[5] < '0' || s[5] > '9' ||
	    s[7] < '0' || s[7] > '9')
		return fail(p, ERR_BAD_REQUEST, "malformed HTTP version");
	if (s[5] != '1')
		return fail(p, ERR_HTTP_VERSION, "only HTTP/1.0 and HTTP/1.1 are spoken here");
	*minor = s[7] != '0';
	return 0;
}

static int parse_request_line(struct http1 *p, const char *s, size_t n)
{
	struct http1_head *h = &p->block->head;
	size_t i = 0, t;

	while (i < n && IS(s[i], C_TOKEN))
		i++;
	if (i == 0 || i == n || s[i] != ' ')
		return fail(p, ERR_BAD_REQUEST, "malformed request line");
	if (i > LIM_HTTP_METHOD)
		return fail(p, ERR_NOT_IMPLEMENTED, "unknown method");
	h->method = (struct http1_str){s, (uint32_t)i};
	t = ++i;
	while (i < n && IS(s[i], C_TARGET))
		i++;
	if (i == t || i == n || s[i] != ' ')
		return fail(p, ERR_BAD_REQUEST, "malformed request target");
	if (i - t > LIM_HTTP_TARGET)
		return fail(p, ERR_URI_TOO_LONG, "request target too long");
	h->target = (struct http1_str){s + t, (uint32_t)(i - t)};
	return parse_version(p, s + i + 1, n - i - 1, &h->minor);
}

static int parse_status_line(struct http1 *p, const char *s, size_t n)
{
	struct http1_head *h = &p->block->head;

	if (n < 12 || s[8] != ' ')
		return fail(p, ERR_CORRUPT, "malformed status line");
	if (parse_version(p, s, 8, &h->minor) < 0)
		return -1;
	for (int i = 9; i < 12; i++) {
		if (s[i] < '0' || s[i] > '9')
			return fail(p, ERR_CORRUPT, "malformed status");
		h->status = h->status * 10 + (s[i] - '0');
	}
	if (h->status < 100 || (n > 12 && s[12] != ' '))
		return fail(p, ERR_CORRUPT, "malformed status");
	if (n > 13)
		h->reason = (struct http1_str){s + 13, (uint32_t)(n - 13)};
	return 0;
}

/* Remembers the fields that framing and routing turn on. */
static void note_field(struct http1_block *b, const struct http1_field *f)
{
	switch (f->id) {
	case H_HOST:
		b->hosts += b->hosts < 2;
		b->host_field = f;
		break;
	case H_CONTENT_LENGTH:
		b->lengths += b->lengths < 2;
		b->length_field = f;
		break;
	case H_TRANSFER_ENCODING:
		b->codings += b->codings < 2;
		b->coding_field = f;
		break;
	default:
		break;
	}
}

static int parse_field(struct http1 *p, const char *s, size_t n)
{
	struct http1_block *b = p->block;
	struct http1_field *f;
	size_t i = 0, end = n;

	while (i < n && IS(s[i], C_TOKEN))
		i++;
	if (i == 0 && (s[0] == ' ' || s[0] == '\t'))
		return fail(p, ERR_BAD_REQUEST, "folded header line");
	if (i == 0 || i == n || s[i] != ':')
		return fail(p, ERR_BAD_REQUEST, "malformed header name");
	if (b->head.nfields == LIM_HTTP_FIELDS)
		return fail(p, ERR_FIELDS_TOO_LARGE, "too many header fields");
	f = &b->head.fields[b->head.nfields++];
	f->name = (struct http1_str){s, (uint32_t)i};
	f->id = (uint16_t)http1_field_of(s, (uint32_t)i);
	i++;
	while (i < n && (s[i] == ' ' || s[i] == '\t'))
		i++;
	while (end > i && (s[end - 1] == ' ' || s[end - 1] == '\t'))
		end--;
	if (p->kind == HTTP1_REQUEST &&
	    (f->name.n > MAX_FIELD_NAME || end - i > (size_t)LIM_HTTP_FIELD))
		return fail(p, ERR_FIELDS_TOO_LARGE, "header field too large");
	f->value = (struct http1_str){s + i, (uint32_t)(end - i)};
	note_field(b, f);
	return 0;
}

static int parse_line(struct http1 *p, const char *s, size_t n)
{
	if (p->block->have_start)
		return parse_field(p, s, n);
	p->block->have_start = true;
	return p->kind == HTTP1_REQUEST ? parse_request_line(p, s, n) : parse_status_line(p, s, n);
}

/* The last position at which the line being read may end. */
static size_t line_limit(const struct http1 *p)
{
	size_t max = p->kind == HTTP1_RESPONSE ? p->max_head
		     : p->block->have_start    ? MAX_FIELD_LINE
					       : MAX_REQUEST_LINE;
	size_t end = p->block->line + max;

	return end < p->max_head ? end : p->max_head;
}

static int too_long(struct http1 *p)
{
	if (p->block->have_start)
		return fail(p, ERR_FIELDS_TOO_LARGE, "header fields too large");
	return fail(p, ERR_URI_TOO_LONG, "request line too long");
}

/* Parses the lines that are complete in base[0..len). 1 = the head is, 0 = more is needed. */
static int parse_lines(struct http1 *p, const char *base, size_t len)
{
	struct http1_block *b = p->block;
	size_t end, limit;

	for (;;) {
		limit = line_limit(p);
		end = find_ctl(base, b->scan, len);
		b->scan = (uint32_t)end;
		if (end > limit)
			return too_long(p);
		if (end == len || (base[end] == '\r' && end + 1 == len))
			return 0;
		if (base[end] != '\r' || base[end + 1] != '\n')
			return fail(p, ERR_BAD_REQUEST,
				    base[end] == '\n' || base[end] == '\r'
					    ? "line end that is not CRLF"
					    : "control octet in the head");
		if (end == b->line && b->have_start) {
			b->line = (uint32_t)end + 2;
			return 1;
		}
		if (parse_line(p, base + b->line, end - b->line) < 0)
			return -1;
		b->line = b->scan = (uint32_t)end + 2;
	}
}

/* --- gathering ---------------------------------------------------------------------------------
 */

static void rebase_str(struct http1_str *s, const char *from, const char *to)
{
	if (s->p)
		s->p = to + (s->p - from);
}

/* The head's octets have moved. */
static void rebase(struct http1_head *h, const char *from, const char *to)
{
	rebase_str(&h->method, from, to);
	rebase_str(&h->target, from, to);
	rebase_str(&h->reason, from, to);
	for (int i = 0; i < h->nfields; i++) {
		rebase_str(&h->fields[i].name, from, to);
		rebase_str(&h->fields[i].value, from, to);
	}
}

static void block_new(struct http1 *p)
{
	struct http1_block *b = xmalloc(sizeof *b);
	struct http1_head *h = &b->head;

	/* the fields' array is most of it and is filled as they come */
	memset(h, 0, offsetof(struct http1_head, fields));
	memset(&h->nfields, 0, sizeof *h - offsetof(struct http1_head, nfields));
	memset((char *)b + sizeof *h, 0, sizeof *b - sizeof *h);
	p->block = b;
	p->state = S_HEAD;
}

/* Appends to the gathered octets, which the head's strings point into. */
static void gather(struct http1_block *b, const char *in, size_t n)
{
	char *old = b->buf;

	if (b->len + n > b->cap) {
		b->cap = b->cap ? b->cap * 2 : FIRST_CAP;
		if (b->cap < b->len + n)
			b->cap = (uint32_t)(b->len + n);
		b->buf = xmalloc(b->cap);
		if (old) {
			memcpy(b->buf, old, b->len);
			rebase(&b->head, old, b->buf);
			free(old);
		}
	}
	memcpy(b->buf + b->len, in, n);
	b->len += (uint32_t)n;
}

static enum http1_event head_done(struct http1 *p)
{
	const struct http1_head *h = &p->block->head;

	if (http1_finish_head(p) < 0)
		return HTTP1_ERROR;
	switch (h->framing) {
	case HTTP1_NO_BODY:
		p->state = S_END;
		break;
	case HTTP1_LENGTH:
		p->left = h->length;
		p->state = p->left ? S_LENGTH : S_END;
		break;
	case HTTP1_CHUNKED:
		p->state = S_CHUNK_SIZE;
		break;
	case HTTP1_UNTIL_CLOSE:
		p->state = S_UNTIL_CLOSE;
		break;
	}
	return HTTP1_HEAD;
}

/* Nothing gathered yet: parses in the caller's input. */
static enum http1_event feed_in_place(struct http1 *p, const char *in, size_t n, size_t *used)
{
	struct http1_block *b = p->block;
	int r = parse_lines(p, in, n);
	size_t take = r > 0 ? b->line : n;

	*used = take;
	if (r < 0)
		return HTTP1_ERROR;
	if (r > 0) {
		b->cap = (uint32_t)take; /* nothing will be added */
		b->buf = xmalloc(take);
		memcpy(b->buf, in, take);
		b->len = (uint32_t)take;
	} else {
		gather(b, in, take);
	}
	rebase(&b->head, in, b->buf);
	return r > 0 ? head_done(p) : HTTP1_MORE;
}

static enum http1_event feed_gathered(struct http1 *p, const char *in, size_t n, size_t *used)
{
	struct http1_block *b = p->block;

	while (*used < n) {
		const char *rest = in + *used;
		const char *lf = memchr(rest, '\n', n - *used);
		size_t take = lf ? (size_t)(lf - rest) + 1 : n - *used;
		size_t room = (size_t)p->max_head + 2 - b->len;
		int r;

		if (take > room) /* the limit strikes within it */
			take = room;
		gather(b, rest, take);
		*used += take;
		r = parse_lines(p, b->buf, b->len);
		if (r < 0)
			return HTTP1_ERROR;
		if (r > 0)
			return head_done(p);
	}
	return HTTP1_MORE;
}

/* An empty line or a few before a request are skipped (RFC 9112 2.2). -1 = error, else octets used.
 */
static ssize_t skip_empty_lines(struct http1 *p, const char *in, size_t n)
{
	size_t i = 0;

	while (i < n && (p->cr_seen || in[i] == '\r')) {
		if (!p->cr_seen) {
			p->cr_seen = true;
		} else {
			if (in[i] != '\n')
				return fail(p, ERR_BAD_REQUEST, "line end that is not CRLF");
			if (++p->empty_lines > MAX_EMPTY_LINES)
				return fail(p, ERR_BAD_REQUEST, "empty lines before the request");
			p->cr_seen = false;
		}
		i++;
	}
	return (ssize_t)i;
}

static enum http1_event feed_head(struct http1 *p, const char *in, size_t n, size_t *used)
{
	enum http1_event ev;
	ssize_t skipped = 0;

	if (p->state == S_START) {
		if (p->kind == HTTP1_REQUEST)
			skipped = skip_empty_lines(p, in, n);
		if (skipped < 0) {
			*used = n;
			return HTTP1_ERROR;
		}
		*used = (size_t)skipped;
		if (*used == n)
			return HTTP1_MORE;
		block_new(p);
	}
	if (p->block->len)
		return feed_gathered(p, in, n, used);
	if (n == 0)
		return HTTP1_MORE;
	ev = feed_in_place(p, in + skipped, n - (size_t)skipped, used);
	*used += (size_t)skipped;
	return ev;
}

enum http1_event http1_feed(struct http1 *p, const char *in, size_t n, size_t *used,
			    const char **data, size_t *data_n)
{
	*used = 0;
	*data = NULL;
	*data_n = 0;
	switch (p->state) {
	case S_START:
	case S_HEAD:
		return feed_head(p, in, n, used);
	case S_LENGTH:
	case S_UNTIL_CLOSE:
		if (n == 0)
			return HTTP1_MORE;
		if (p->state == S_LENGTH) {
			if (n > p->left)
				n = (size_t)p->left;
			p->left -= n;
			if (!p->left)
				p->state = S_END;
		}
		*data = in;
		*data_n = *used = n;
		return HTTP1_DATA;
	case S_END:
		return HTTP1_END;
	case S_ERROR:
		return HTTP1_ERROR;
	default:
		return http1_feed_chunked(p, in, n, used, data, data_n);
	}
}

enum http1_event http1_eof(struct http1 *p)
{
	switch (p->state) {
	case S_START:
		return p->cr_seen ? http1_fail(p, ERR_BAD_REQUEST, "cut short") : HTTP1_MORE;
	case S_UNTIL_CLOSE:
		p->state = S_END;
		return HTTP1_END;
	case S_END:
		return HTTP1_END;
	case S_ERROR:
		return HTTP1_ERROR;
	default:
		return http1_fail(p, ERR_BAD_REQUEST, "message cut short");
	}
}
