/* http1.h - strict HTTP/1.1 message parser: bytes in, events out. Pure: no I/O, no clock; used by
 * the API server, the router, the file server, and fuzzed against llhttp. Rules: RFC 9112, RFC 9110
 * (docs/internals/http.md lists each with its section). Chunking of the input never matters. */
#ifndef HTTP_HTTP1_H
#define HTTP_HTTP1_H

#include "proto/err.h"
#include "proto/limits.h"

struct http1_str { /* into the parser's head buffer; not NUL-terminated */
	const char *p;
	uint32_t n;
};

struct http1_field {
	struct http1_str name, value; /* value without surrounding blanks */
	uint16_t id;		      /* enum http1_field_id; 0 = another */
};

/* Those that framing or proxying must know. */
enum http1_field_id {
	H_OTHER,
	H_HOST,
	H_CONNECTION,
	H_CONTENT_LENGTH,
	H_TRANSFER_ENCODING,
	H_UPGRADE,
	H_EXPECT,
	H_TE,
	H_TRAILER,
	H_KEEP_ALIVE,
	H_PROXY_CONNECTION,
	H_PROXY_AUTHENTICATE,
	H_PROXY_AUTHORIZATION,
	H_CONTENT_TYPE,
	H_CONTENT_ENCODING,
	H_AUTHORIZATION,
	H_VIA,
	H_X_FORWARDED_FOR,
	H_X_FORWARDED_PROTO,
	H_X_FORWARDED_PORT,
	H_X_REQUEST_ID,
	H_X_REQUEST_START,
	H_DATE,
	H_SERVER,
	H_SET_COOKIE,
	H_PROXY,
	H_COUNT
};

enum http1_framing { HTTP1_NO_BODY, HTTP1_LENGTH, HTTP1_CHUNKED, HTTP1_UNTIL_CLOSE };

struct http1_head {
	/* request */
	struct http1_str method, target; /* target byte for byte */
	struct http1_str path;		 /* of origin-form; "*" ; path part of absolute-form */
	struct http1_str query;		 /* without '?' */
	struct http1_str host;		 /* as sent (or of absolute-form), port included */
	char host_key[256]; /* lower case, no port, no trailing dot; what routes are keyed by */
	/* response */
	int status;
	struct http1_str reason;
	/* both */
	int minor; /* HTTP/1.minor, 0 or 1 */
	struct http1_field fields[LIM_HTTP_FIELDS];
	int nfields;
	enum http1_framing framing;
	uint64_t length;       /* of HTTP1_LENGTH */
	bool keep_alive;       /* the sender lets the connection persist */
	bool upgrade;	       /* request: Connection: upgrade and an Upgrade field, 1.1 */
	bool expect_continue;  /* request, 1.1 */
	bool connection_close; /* "close" named explicitly */
	bool absolute_form; /* request: the target named the host; Host must be rewritten from it */
};

enum http1_kind { HTTP1_REQUEST, HTTP1_RESPONSE };

enum http1_event {
	HTTP1_MORE,  /* all input used; needs more */
	HTTP1_HEAD,  /* p->head is complete; valid until http1_next */
	HTTP1_DATA,  /* *data, *n: body bytes inside the input given */
	HTTP1_END,   /* message complete; input may hold the next one */
	HTTP1_ERROR, /* p->err says what; nothing more may be read from this connection */
};

/* Not thread-safe; one parser a connection. About 100 bytes while idle; the head (6 KB and its
 * text) is there from a message's first byte until http1_next. */
struct http1;
struct http1 *http1_new(enum http1_kind kind, uint32_t max_head);
void http1_free(struct http1 *p); /* NULL is fine */
/* Forgets the message, ready for the next on the same connection. Only after HTTP1_END. */
void http1_next(struct http1 *p);
/* A response parser must know before the head: the request's method was HEAD or CONNECT. Holds
 * until it is set anew, so that interim (1xx) answers do not lose it. */
void http1_response_to(struct http1 *p, bool head_request);
/* Feeds input; *used bytes of it are consumed. Call again with the rest until HTTP1_MORE or _ERROR,
 * also when the rest is empty: HTTP1_END after HTTP1_HEAD or the last HTTP1_DATA takes no input.
 * After HTTP1_END nothing is consumed until http1_next (END again). Interim answers (1xx) are
 * messages of their own; after 101 the connection is no longer HTTP. */
enum http1_event http1_feed(struct http1 *p, const char *in, size_t n, size_t *used,
			    const char **data, size_t *data_n);
/* The peer closed: HTTP1_END for a body until close (and for a message that had ended), HTTP1_ERROR
 * when cut short, HTTP1_MORE when idle. */
enum http1_event http1_eof(struct http1 *p);
const struct http1_head *http1_head(const struct http1 *p);
bool http1_idle(const struct http1 *p); /* between messages, nothing of the next has come */
/* Requests: the status to answer: 400, 405, 414, 417, 431, 501, 505. Responses: CORRUPT. NULL
 * before HTTP1_ERROR. */
const struct err *http1_err(const struct http1 *p);
const struct http1_field *http1_find(const struct http1_head *h, const char *lower_name);
bool http1_is(struct http1_str s, const char *lit);    /* exact */
bool http1_is_ci(struct http1_str s, const char *lit); /* ASCII, case-insensitive */
/* Does a comma list hold the token (case-insensitive)? */
bool http1_list_has(struct http1_str list, const char *token);
const char *http1_reason(int status); /* "Not Found"; "Unknown" when it has no name */

DEFINE_AUTO(struct http1 *, http1_free)

#endif
