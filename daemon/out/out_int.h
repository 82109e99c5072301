/* out_int.h - inside daemon/out. */
#ifndef OUT_OUT_INT_H
#define OUT_OUT_INT_H

#include "daemon/core/clock.h"
#include "daemon/out/out.h"
#include "proto/buf.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <pthread.h>

struct out_resolver; /* resolve.c: threads that look names up */

struct out {
	struct loop *l;
	const struct config *cfg;
	char *ca_file; /* owned; NULL = none */
	/* its thread */
	X509_STORE *trust; /* made when first needed: it is large */
	SSL_CTX *tls;
	CURLM *multi; /* NULL until the first POST */
	uv_timer_t timer;
	struct out_call *calls;
	struct out_stream *streams;
	struct out_resolver *resolver;
	bool stopped;
};

/* The authorities that vouch for others' certificates; a reference of o's. */
X509_STORE *out_trust(struct out *o);
/* A socket to connect to sa with, or -1; *forbidden says whether the address is why. */
int out_socket(struct out *o, const struct sockaddr *sa, int type, int protocol, bool *forbidden);

void out_http_stop(struct out *o);
void out_streams_stop(struct out *o);

/* --- names (resolve.c) --- */
struct out_lookup;
struct out_resolver *out_resolver_new(struct loop *l);
void out_resolver_close(struct out_resolver *r); /* no call-back after it; does not wait */
/* done gets the addresses (freeaddrinfo), or NULL. */
struct out_lookup *out_resolve(struct out_resolver *r, const char *host, int port,
			       void (*done)(struct addrinfo *ai, void *arg), void *arg);
void out_lookup_cancel(struct out_lookup *k); /* NULL is fine */

#endif
