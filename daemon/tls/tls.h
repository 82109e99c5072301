/* tls.h - where the router's certificates come from. In this order: sources that were added (apps'
 * own certificates; what comes later only adds another), the platform's configured certificate when
 * it covers the name, a leaf of the development authority made for the name.
 *
 * STATE/certs: ca.pem (for whoever shall trust it), ca.key, leaf.pem, leaf.key; the keys are sealed
 * with the master key. All functions block for disk or for CPU: any thread but a loop. */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include "daemon/core/codec.h"
#include "daemon/core/config.h"
#include "daemon/tls/cert.h"

struct tls_source;

/* Reads or makes authority and leaf. cfg and key are borrowed. */
int tls_source_open(const struct config *cfg, const struct master_key *key, struct tls_source **out,
		    struct err *err);
void tls_source_free(struct tls_source *s); /* NULL is fine */

/* 1 = *out filled, 0 = not mine, -1 = err. Added before the first lookup; asked in order. */
typedef int tls_lookup_fn(void *arg, const char *host, struct tls_pair *out, struct err *err);
void tls_source_add(struct tls_source *s, tls_lookup_fn *fn, void *arg);

/* What clients get that name no host, or one for which there is nothing: the configured
 * certificate, else the development leaf, which is made anew when it is due. Files that cannot be
 * used are logged, and the last good one, or the leaf, stays. */
int tls_source_default(struct tls_source *s, struct tls_pair *out, struct err *err);
/* For one host (lower case, no port): 1 = *out filled, 0 = the default is right for it. */
int tls_source_host(struct tls_source *s, const char *host, struct tls_pair *out, struct err *err);

char *tls_source_ca(struct tls_source *s);	      /* certificate of the authority, PEM; owned */
const char *tls_source_ca_path(struct tls_source *s); /* STATE/certs/ca.pem */

#endif
