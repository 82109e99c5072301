/* rewrite.h - the heads that the router writes: the request as the app sees it, the answer as the
 * client sees it (RFC 9110 7.6, RFC 9112 6). Pure; any thread. */
#ifndef ROUTER_REWRITE_H
#define ROUTER_REWRITE_H

#include "daemon/http/http1.h"
#include "proto/buf.h"

struct rt_req_ctx {
	const char *peer;  /* client's address */
	const char *proto; /* "http" */
	int port;	   /* that the client connected to */
	int64_t start_ms;  /* wall clock */
	struct http1_str request_id;
	bool upgrade; /* pass Connection: upgrade and Upgrade on */
};

struct rt_resp_ctx {
	int minor;	 /* of the client's version */
	bool chunked;	 /* frame the body anew as chunks */
	bool no_length;	 /* drop Content-Length: the body ends with the connection */
	bool keep_alive; /* the client connection persists */
	bool upgrade;	 /* 101: keep Connection: upgrade and Upgrade */
};

/* Appends the request head for the app, empty line included. */
void rt_write_request(struct buf *out, const struct http1_head *h, const struct rt_req_ctx *c);
/* Appends the answer's head for the client, empty line included. */
void rt_write_response(struct buf *out, const struct http1_head *h, const struct rt_resp_ctx *c);
/* A client's X-Request-Id that may be kept: 20 to 200 of A-Za-z0-9+/=- */
bool rt_request_id_ok(struct http1_str s);
/* The client's X-Forwarded-For list with the peer added, for the head and for the log. */
void rt_write_forwarded(struct buf *out, const struct http1_head *h, const char *peer);
/* May the request be passed on as a protocol switch? Never to h2c. */
bool rt_may_upgrade(const struct http1_head *h);
/* RFC 9110 9.2.2 */
bool rt_idempotent(struct http1_str method);

#endif
