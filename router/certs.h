/* certs.h - the certificates that the router serves: what paasd has sent, by host name, and one
 * default. A name that has a route and no certificate here is asked for; the answer, also that
 * there is none, is kept. What was sent is kept as text until a client wants it. */
#ifndef ROUTER_CERTS_H
#define ROUTER_CERTS_H

#include "proto/routewire.h"
#include "router/rt.h"
#include "daemon/core/clock.h"

#include <openssl/ssl.h>

struct rt_certs;
struct rt_worker;

/* Immutable; counted, any thread. */
struct rt_cert {
	_Atomic int refs;
	X509 *leaf;
	STACK_OF(X509) * chain; /* without the leaf; may be NULL */
	EVP_PKEY *key;
};
void rt_cert_unref(struct rt_cert *c); /* NULL is fine */

enum rt_cert_found {
	RT_CERT_HAVE, /* *out is the caller's reference; NULL when not even a default is there */
	RT_CERT_OLD,  /* as HAVE, and paasd shall be asked anew: rt_control_ask_cert */
	RT_CERT_WAIT, /* asked for: look again when the worker is told (rt_tls_answered) */
};

struct rt_certs *rt_certs_new(void);
void rt_certs_free(struct rt_certs *c);

/* Any thread. name: lower case, has a route; "" = the default. wait false: what is there now. */
enum rt_cert_found rt_certs_find(struct rt_certs *c, const char *name, bool wait,
				 struct rt_cert **out);

/* Main thread. */
/* A ROUTE_CERT or ROUTE_CERT_DROP frame. 1 when it changed what a snapshot shall have, else 0; -1
 * when it is malformed. */
int rt_certs_take(struct rt_certs *c, const struct wire_frame *f, struct err *err);
/* Names that workers have asked for and nobody has been asked about yet: ask(name) for each. True
 * from ask: an answer will come. False: nobody is there to answer, the default it is. */
void rt_certs_ask(struct rt_certs *c, bool (*ask)(void *arg, const char *name), void *arg);
/* The answers asked for will not come (paasd is gone), or those asked before `before` are late. */
void rt_certs_give_up(struct rt_certs *c, mono_ms before);
void rt_certs_stale(struct rt_certs *c);   /* ask anew for what is there, serving it meanwhile */
bool rt_certs_waiting(struct rt_certs *c); /* a worker waits for an answer */
/* Appends a frame for each certificate that is there, for the snapshot. */
void rt_certs_frames(struct rt_certs *c, struct buf *out);

#endif
