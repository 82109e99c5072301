/* http1_body.c - the chunked coding (RFC 9112 7.1), an octet at a time but for the data itself. */
#include "daemon/http/http1_int.h"
#include "proto/hex.h"

#include <string.h>

#define MAX_SIZE_DIGITS	  15 /* 60 bits: sums of sizes cannot overflow */
#define MAX_TRAILER_BYTES LIM_HTTP_FIELD
#define MAX_TRAILERS	  LIM_HTTP_FIELDS

static const char *bad_size(struct http1 *p, char c)
{
	int d = hex_digit(c);

	if (d >= 0) {
		if (++p->digits > MAX_SIZE_DIGITS)
			return "chunk size too large";
		p->left = p->left << 4 | (unsigned)d;
		return NULL;
	}
	if (!p->digits)
		return "chunk size is not a hexadecimal number";
	if (c != '\r' && c != ';')
		return "bad octet after a chunk size";
	p->state = c == ';' ? S_EXT_NAME_FIRST : S_CHUNK_LF;
	return NULL;
}

/* chunk-ext = *( ";" token [ "=" ( token / quoted-string ) ] ), without the blanks that RFC 9112
 * tells recipients to tolerate: nobody sends them and other parsers disagree about them. */
static const char *bad_ext(struct http1 *p, char c)
{
	static const char text[] = "bad chunk extension";

	if (++p->ext_bytes > LIM_HTTP_CHUNK_EXT)
		return "chunk extensions too large";
	switch (p->state) {
	case S_EXT_NAME_FIRST:
	case S_EXT_VALUE_FIRST:
		if (p->state == S_EXT_VALUE_FIRST && c == '"')
			p->state = S_EXT_QUOTED;
		else if (IS(c, C_TOKEN))
			p->state++;
		else
			return text;
		return NULL;
	case S_EXT_QUOTED:
		if (!IS(c, C_VALUE))
			return text;
		if (c == '\\')
			p->state = S_EXT_ESCAPED;
		else if (c == '"')
			p->state = S_EXT_QUOTED_END;
		return NULL;
	case S_EXT_ESCAPED:
		p->state = S_EXT_QUOTED;
		return IS(c, C_VALUE) ? NULL : text;
	default:
		if (p->state != S_EXT_QUOTED_END && IS(c, C_TOKEN))
			return NULL;
		if (c == '=' && p->state == S_EXT_NAME)
			p->state = S_EXT_VALUE_FIRST;
		else if (c == ';')
			p->state = S_EXT_NAME_FIRST;
		else if (c == '\r')
			p->state = S_CHUNK_LF;
		else
			return text;
		return NULL;
	}
}

/* Fields that some recipients would take for the head's: never valid here (RFC 9110 6.5.1). */
static bool forbidden_trailer(const struct http1 *p)
{
	enum http1_field_id id = http1_field_of(p->name, p->name_len);

	return id == H_CONTENT_LENGTH || id == H_TRANSFER_ENCODING || id == H_HOST;
}

/* Trailers are checked by the rules of fields, bounded, and dropped. */
static const char *bad_trailer(struct http1 *p, char c)
{
	static const char text[] = "bad trailer field";

	if (++p->trailer_bytes > MAX_TRAILER_BYTES || p->trailers > MAX_TRAILERS)
		return "trailers too large";
	switch (p->state) {
	case S_TRAILER:
		if (c == '\r') {
			p->state = S_TRAILER_END_LF;
			return NULL;
		}
		p->trailers++;
		p->state = S_TRAILER_NAME;
		p->name_len = 1;
		p->name[0] = c;
		return IS(c, C_TOKEN) ? NULL : text;
	case S_TRAILER_NAME:
		if (IS(c, C_TOKEN)) {
			if (p->name_len < sizeof p->name)
				p->name[p->name_len++] = c;
			return NULL;
		}
		if (c != ':' || forbidden_trailer(p))
			return text;
		p->state = S_TRAILER_VALUE;
		return NULL;
	default:
		if (c == '\r')
			p->state = S_TRAILER_LF;
		else if (!IS(c, C_VALUE))
			return text;
		return NULL;
	}
}

static const char *bad_line_end(struct http1 *p, char c)
{
	if (c != '\n')
		return "CR without LF in a chunked body";
	switch (p->state) {
	case S_CHUNK_LF:
		p->state = p->left ? S_CHUNK_DATA : S_TRAILER;
		break;
	case S_CHUNK_DATA_LF:
		p->state = S_CHUNK_SIZE;
		p->digits = 0;
		break;
	case S_TRAILER_LF:
		p->state = S_TRAILER;
		break;
	default:
		p->state = S_END;
	}
	return NULL;
}

/* One octet that is no chunk data. NULL, or what is wrong with it. */
static const char *bad_octet(struct http1 *p, char c)
{
	switch (p->state) {
	case S_CHUNK_SIZE:
		return bad_size(p, c);
	case S_CHUNK_DATA_CR:
		p->state = S_CHUNK_DATA_LF;
		return c == '\r' ? NULL : "chunk longer than its size";
	case S_CHUNK_LF:
	case S_CHUNK_DATA_LF:
	case S_TRAILER_LF:
	case S_TRAILER_END_LF:
		return bad_line_end(p, c);
	case S_TRAILER:
	case S_TRAILER_NAME:
	case S_TRAILER_VALUE:
		return bad_trailer(p, c);
	default:
		return bad_ext(p, c);
	}
}

enum http1_event http1_feed_chunked(struct http1 *p, const char *in, size_t n, size_t *used,
				    const char **data, size_t *data_n)
{
	size_t i = 0;
	const char *bad;

	while (p->state != S_END && p->state != S_CHUNK_DATA) {
		if (i == n) {
			*used = n;
			return HTTP1_MORE;
		}
		bad = bad_octet(p, in[i++]);
		if (bad) {
			*used = i;
			return http1_fail(p, ERR_BAD_REQUEST, "%s", bad);
		}
	}
	*used = i;
	if (p->state == S_END)
		return HTTP1_END;
	if (i == n)
		return HTTP1_MORE;
	*data = in + i;
	*data_n = n - i < p->left ? n - i : (size_t)p->left;
	*used = i + *data_n;
	p->left -= *data_n;
	if (!p->left)
		p->state = S_CHUNK_DATA_CR;
	return HTTP1_DATA;
}
