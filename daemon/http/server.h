/* server.h - HTTP server on the control loop, with streaming both ways and back-pressure. One arena
 * a request. Connections come over the unix socket RUN/api.sock (from the router) and, for tests,
 * TCP.
 *
 * The handler is called on the loop once the head has come. It then either answers from the loop or
 * hands the exchange to a thread (http_detach) that uses the blocking calls. Every exchange must be
 * ended exactly once by http_end (or http_abort), from whichever thread owns it. */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "daemon/core/loop.h"
#include "daemon/http/http1.h"
#include "proto/buf.h"

struct http_server;
struct http_x; /* one exchange: request + response */

typedef void http_handler(struct http_x *x, void *arg);

/* Any thread before the loop runs, then the loop thread only; the same for listen. SIGPIPE is
 * ignored in the process from then on. */
struct http_server *http_server_new(struct loop *l, http_handler *fn, void *arg);
struct http_timeouts {	 /* ms; 0 = the default */
	uint64_t idle;	 /* between requests: LIM_HTTP_IDLE_MS */
	uint64_t head;	 /* from a head's first octet to its last: LIM_HTTP_HEAD_MS */
	uint64_t body;	 /* between pieces of a body that is waited for */
	uint64_t write;	 /* the client takes nothing of the answer */
	uint64_t linger; /* after an answer that ended the connection early */
};
void http_server_timeouts(struct http_server *s, const struct http_timeouts *t);
/* "unix:/path" (mode 0600) or "127.0.0.1:0". Loop thread. *port out when TCP. */
int http_server_listen(struct http_server *s, const char *where, int *port, struct err *err);
/* No new connections; ends idle ones; calls done once all exchanges have ended or after ms.
 * Exchanges still open then lose their connection; their owners go on and see it as a client that
 * went away. Loop thread. */
void http_server_stop(struct http_server *s, uint64_t ms, void (*done)(void *arg), void *arg);
/* After done was called (from within it too). Any thread. NULL is fine. */
void http_server_free(struct http_server *s);

/* --- the request: any thread that owns x --- */
const char *http_method(struct http_x *x);
const char *http_path(struct http_x *x);  /* raw path, still percent-encoded */
const char *http_query(struct http_x *x); /* "" when none */
const char *http_header(struct http_x *x, const char *lower_name); /* NULL when absent; first one */
const char *http_request_id(struct http_x *x); /* of X-Request-Id or new; a uuid-like safe text */
const char *http_peer(struct http_x *x);       /* client address as the router says */
const char *http_host(struct http_x *x);       /* host as sent, port included */
const char *http_scheme(struct http_x *x);     /* "http" | "https" by X-Forwarded-Proto */
bool http_client_gone(struct http_x *x);
void *http_alloc(struct http_x *x, size_t n); /* arena: lives as long as x */
char *http_strdup(struct http_x *x, const char *s);

/* --- the response --- */
/* Extra header for the answer; before http_respond. Names and values are checked for CR/LF. */
void http_set(struct http_x *x, const char *name, const char *value);
void http_setf(struct http_x *x, const char *name, const char *fmt, ...) PRINTF(3, 4);
/* Whole answer at once, then ends the exchange. Any thread that owns x. */
void http_reply(struct http_x *x, int status, const char *content_type, const void *body, size_t n);
/* e as {"id", "message", "resource"?} with its status, then ends the exchange. */
void http_reply_err(struct http_x *x, const struct err *e);
/* Begins a streamed answer (chunked, or until close for HTTP/1.0; of the given length when
 * Content-Length was set: less than that cuts the connection, more is a bug). */
void http_respond(struct http_x *x, int status, const char *content_type);
void http_end(struct http_x *x);   /* completes the answer; x is gone */
void http_abort(struct http_x *x); /* cuts the connection so that the client sees a failure */

/* --- blocking side, for threads. The loop keeps serving others meanwhile. --- */
/* Takes x off the loop: from now the calling code may give it to a thread. */
void http_detach(struct http_x *x);
/* Reads body bytes (inflated when Content-Encoding: gzip). 0 at the end; -1 with BAD_REQUEST (cut
 * short, bad chunk), TOO_LARGE (beyond max_body), TIMEOUT, UNSUPPORTED_TYPE (another encoding).
 * Sends 100 Continue first if asked for. One thread may read while another writes. */
ssize_t http_read(struct http_x *x, void *p, size_t n, struct err *err);
void http_set_max_body(struct http_x *x, uint64_t bytes); /* inflated; default LIM_API_BODY */
/* Reads the body as it was sent from here on, whatever its Content-Encoding says. */
void http_keep_encoding(struct http_x *x);
/* The whole body into out. */
int http_read_all(struct http_x *x, struct buf *out, struct err *err);
/* Queues bytes; blocks while more than 256 KiB wait. -1 once the client has gone. */
int http_write(struct http_x *x, const void *p, size_t n);

/* The body is all here, will never be, or is too large: http_read will not wait. Any thread that
 * owns x. */
bool http_body_ready(struct http_x *x);
/* Waits without a thread: fn is called once, on the loop, when http_body_ready, or when more than
 * max octets have come. Loop thread, while no thread uses x; fn NULL takes it back. */
void http_on_body(struct http_x *x, size_t max, void (*fn)(struct http_x *x, void *arg), void *arg);

/* --- loop side, for long streams (log tails, attach) --- */
/* As http_write without blocking; returns bytes still queued. */
size_t http_push(struct http_x *x, const void *p, size_t n);
/* Called on the loop when the queue has drained below 64 KiB, and when the client goes (not after
 * http_end). Whoever answers from the loop over time must set on_gone, and end the exchange there.
 */
void http_on_drain(struct http_x *x, void (*fn)(struct http_x *x, void *arg), void *arg);
void http_on_gone(struct http_x *x, void (*fn)(struct http_x *x, void *arg), void *arg);
/* Upgrade, for requests that asked for it (others are answered 426 and on_data sees EOF): answers
 * 101 with the given headers, then bytes flow raw: on_data(NULL, 0) = peer's EOF. */
void http_upgrade(struct http_x *x, const char *protocol,
		  void (*on_data)(struct http_x *x, const char *p, size_t n, void *arg), void *arg);
void http_pause(struct http_x *x, bool paused); /* reading of raw bytes */

#endif
