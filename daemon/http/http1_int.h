/* http1_int.h - private to http1*.c: character classes and the parser's state. */
#ifndef HTTP_HTTP1_INT_H
#define HTTP_HTTP1_INT_H

#include "daemon/http/http1.h"

enum { /* character classes (RFC 9110 5.6.2, RFC 9112 3.2, RFC 3986) */
       C_TOKEN = 1,
       C_TARGET = 2, /* 0x21-0x7e but '#' */
       C_HOST = 4,   /* of a registered name or IPv4 address */
       C_VALUE = 8,  /* field-value octet, blanks included */
};
extern const uint8_t http1_class[256];
#define IS(c, cls) (http1_class[(uint8_t)(c)] & (cls))

enum http1_state {
	S_START, /* nothing of the message yet */
	S_HEAD,
	S_LENGTH,
	S_UNTIL_CLOSE,
	S_END, /* complete: HTTP1_END until http1_next */
	S_ERROR,
	/* chunked body: http1_body.c */
	S_CHUNK_SIZE,
	S_EXT_NAME_FIRST,
	S_EXT_NAME,
	S_EXT_VALUE_FIRST,
	S_EXT_VALUE,
	S_EXT_QUOTED,
	S_EXT_ESCAPED,
	S_EXT_QUOTED_END,
	S_CHUNK_LF,
	S_CHUNK_DATA,
	S_CHUNK_DATA_CR,
	S_CHUNK_DATA_LF,
	S_TRAILER,
	S_TRAILER_NAME,
	S_TRAILER_VALUE,
	S_TRAILER_LF,
	S_TRAILER_END_LF,
};

/* What only a message in work needs; freed between messages so that idle connections are small. */
struct http1_block {
	struct http1_head head;
	char *buf; /* owned; the head's octets. Strings of head point into it, or into the caller's
		    * input while a head is parsed in place */
	uint32_t len, cap;
	uint32_t line; /* where the line being read begins */
	uint32_t scan; /* how far it has been looked at */
	bool have_start;
	uint8_t hosts, lengths, codings;
	const struct http1_field *host_field, *length_field, *coding_field;
};

struct http1 {
	uint8_t kind, state;
	bool head_request;
	bool cr_seen; /* half of an empty line before a request */
	uint8_t empty_lines;
	uint8_t digits; /* of the chunk size */
	uint32_t max_head;
	uint32_t ext_bytes; /* chunk extensions of this message */
	uint32_t trailer_bytes;
	uint32_t trailers;
	uint8_t name_len;
	char name[sizeof "transfer-encoding"]; /* of the trailer being read; cut when longer */
	uint64_t left;			       /* of the body or the chunk */
	struct http1_block *block;
	struct err *err; /* owned; NULL until S_ERROR */
};

/* Sets the error for good. Responses always get CORRUPT: their status is not for a client. */
enum http1_event http1_fail(struct http1 *p, enum err_id id, const char *fmt, ...) PRINTF(3, 4);
/* By name, case-insensitive; H_OTHER when it is none that we know. */
enum http1_field_id http1_field_of(const char *name, uint32_t n);
/* Checks the framing and connection fields of a head that is complete; sets what they mean. */
int http1_finish_head(struct http1 *p);
enum http1_event http1_feed_chunked(struct http1 *p, const char *in, size_t n, size_t *used,
				    const char **data, size_t *data_n);
/* A host with optional port: fills key (lower case, no port, no trailing dot). -1 when malformed.
 */
int http1_host_key(struct http1_str host, char key[256]);

#endif
