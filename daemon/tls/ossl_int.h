/* ossl_int.h - OpenSSL inside daemon/tls. */
#ifndef TLS_OSSL_INT_H
#define TLS_OSSL_INT_H

#include "proto/buf.h"
#include "proto/err.h"
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

DEFINE_AUTO(BIO *, BIO_free_all)
DEFINE_AUTO(X509 *, X509_free)
DEFINE_AUTO(EVP_PKEY *, EVP_PKEY_free)

X509 *tls_read_cert(BIO *b);				  /* the next one, or NULL */
EVP_PKEY *tls_read_key(const char *pem, struct err *err); /* never asks for a pass phrase */
char *tls_bio_text(BIO *b);				  /* what a memory BIO holds; owned */
int tls_ossl_err(struct err *err, const char *what);	  /* INTERNAL; -1 */

#endif
