/* cert.h - certificates as text: reading what users bring, making what development needs. PEM in,
 * PEM out; nothing of OpenSSL in here. Errors are INVALID_PARAMS with a message for the one who
 * brought the text, INTERNAL for faults of the library. Any thread; milliseconds at most. */
#ifndef TLS_CERT_H
#define TLS_CERT_H

#include "daemon/core/clock.h"
#include "proto/buf.h"
#include "proto/err.h"

struct tls_cert_info {
	char *subject, *issuer; /* owned; one line, "CN=example.com,O=Example" (RFC 2253) */
	char *common_name;	/* owned; "" when there is none */
	char **names;		/* owned, NULL-terminated: DNS names in lower case, then addresses.
				   Of the subject alternative names; without any, the common name */
	int nnames;
	wall_ms starts_ms, expires_ms;
	bool self_signed;
	char sha256[65]; /* of the leaf's DER, hex */
	char *chain_pem; /* owned; leaf first, each issued by the next; nothing but certificates */
	int chain_len;
	int unused; /* certificates that were given and belong to no chain of the leaf */
};
void tls_cert_info_clear(struct tls_cert_info *i);
#define tls_cert_info_clear_p                                              \
	tls_cert_info_clear /* AUTO(tls_cert_info_clear) struct ... = {0}; \
			     */

/*
 * Reads a certificate chain and checks it with its private key.
 *
 * chain    PEM certificates in any order: the leaf is the one that fits the key, else the first
 * key      PEM private key, unencrypted; NULL: not checked
 * now      0, or the time that the leaf must not have ended at
 * Refuses keys that browsers would: RSA below 2048 bits, curves other than P-256, P-384, P-521.
 * Returns 0 and fills *out, or -1 with *err (out is then clear).
 */
int tls_cert_parse(const char *chain, const char *key, wall_ms now, struct tls_cert_info *out,
		   struct err *err);

/* Whether one of the names covers the host (lower case, no port): exact, or "*.example.com" for
 * one label. IPv6 addresses with or without brackets. */
bool tls_cert_covers(const struct tls_cert_info *i, const char *host);

/* Whether this host's certificate authorities (SSL_CERT_FILE, or the system's) vouch for the chain
 * now. Reads files: not on a loop. */
bool tls_cert_trusted(const char *chain_pem);

struct tls_pair {
	char *cert, *key; /* owned PEM */
};
void tls_pair_clear(struct tls_pair *p); /* the key is overwritten */
#define tls_pair_clear_p tls_pair_clear

/* A certificate authority of its own, ECDSA P-256. name: its common name. */
int tls_ca_make(const char *name, wall_ms now, int days, struct tls_pair *out, struct err *err);
/* A server certificate for names (NULL-terminated: host names, "*.example.com", addresses), ECDSA
 * P-256, signed by ca, never longer valid than it. */
int tls_leaf_make(const struct tls_pair *ca, const char *const *names, wall_ms now, int days,
		  struct tls_pair *out, struct err *err);

#endif
