/* issue.c - certificates of our own making. */
#include "daemon/core/codec.h"
#include "daemon/tls/cert.h"
#include "daemon/tls/ossl_int.h"
#include "proto/limits.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define EARLIER_S 3600 /* valid from before now: clients' clocks are late */
#define CN_MAX	  64   /* RFC 5280, ub-common-name */

static int set_serial(X509 *x)
{
	unsigned char raw[16];
	BIGNUM *bn;
	int ok;

	random_bytes(raw, sizeof raw);
	raw[0] &= 0x7f; /* positive */
	raw[0] |= 0x40; /* and never short */
	bn = BN_bin2bn(raw, sizeof raw, NULL);
	ok = bn && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x));
	BN_free(bn);
	return ok ? 0 : -1;
}

static int set_times(X509 *x, wall_ms now, int days, const ASN1_TIME *not_after_max)
{
	time_t t = (time_t)(now / 1000) - EARLIER_S;

	if (!X509_time_adj_ex(X509_getm_notBefore(x), 0, 0, &t))
		return -1;
	t = (time_t)(now / 1000);
	if (!X509_time_adj_ex(X509_getm_notAfter(x), days, 0, &t))
		return -1;
	if (not_after_max && ASN1_TIME_compare(X509_get0_notAfter(x), not_after_max) > 0)
		return X509_set1_notAfter(x, not_after_max) ? 0 : -1;
	return 0;
}

static int add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;
	int ok;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	ok = e && X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	return ok ? 0 : -1;
}

/* By hand rather than as "DNS:...,IP:..." text, in which names could bring their own commas. */
static int add_alt_names(X509 *x, const char *const *names)
{
	GENERAL_NAMES *all = GENERAL_NAMES_new();
	int ok = 1;

	for (; *names && ok; names++) {
		GENERAL_NAME *g = GENERAL_NAME_new();
		unsigned char ip[16];
		int n = inet_pton(AF_INET, *names, ip) == 1    ? 4
			: inet_pton(AF_INET6, *names, ip) == 1 ? 16
							       : 0;

		if (n) {
			ASN1_OCTET_STRING *v = ASN1_OCTET_STRING_new();

			ok = ASN1_OCTET_STRING_set(v, ip, n);
			GENERAL_NAME_set0_value(g, GEN_IPADD, v);
		} else {
			ASN1_IA5STRING *v = ASN1_IA5STRING_new();

			ok = ASN1_STRING_set(v, *names, -1);
			GENERAL_NAME_set0_value(g, GEN_DNS, v);
		}
		sk_GENERAL_NAME_push(all, g);
	}
	ok = ok && X509_add1_ext_i2d(x, NID_subject_alt_name, all, 0, X509V3_ADD_DEFAULT);
	GENERAL_NAMES_free(all);
	return ok ? 0 : -1;
}

static int set_name(X509 *x, const char *org, const char *cn)
{
	X509_NAME *n = X509_get_subject_name(x);
	const unsigned char *o = (const unsigned char *)org, *c = (const unsigned char *)cn;

	if (!X509_NAME_add_entry_by_NID(n, NID_organizationName, MBSTRING_UTF8, o, -1, -1, 0))
		return -1;
	if (strlen(cn) > CN_MAX) /* the alternative names are what counts */
		return 0;
	return X509_NAME_add_entry_by_NID(n, NID_commonName, MBSTRING_UTF8, c, -1, -1, 0) ? 0 : -1;
}

static int pair_out(X509 *x, EVP_PKEY *k, struct tls_pair *out)
{
	AUTO(BIO_free_all) BIO *c = BIO_new(BIO_s_mem());
	AUTO(BIO_free_all) BIO *s = BIO_new(BIO_s_secmem());

	if (!PEM_write_bio_X509(c, x) || !PEM_write_bio_PrivateKey(s, k, NULL, NULL, 0, NULL, NULL))
		return -1;
	out->cert = tls_bio_text(c);
	out->key = tls_bio_text(s);
	return 0;
}

int tls_ca_make(const char *name, wall_ms now, int days, struct tls_pair *out, struct err *err)
{
	AUTO(EVP_PKEY_free) EVP_PKEY *k = EVP_EC_gen("P-256");
	AUTO(X509_free) X509 *x = X509_new();

	if (!k || !x || !X509_set_version(x, X509_VERSION_3) || set_serial(x) < 0 ||
	    set_times(x, now, days, NULL) < 0 || set_name(x, "paasd", name) < 0 ||
	    !X509_set_issuer_name(x, X509_get_subject_name(x)) || !X509_set_pubkey(x, k) ||
	    add_ext(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") < 0 ||
	    add_ext(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") < 0 ||
	    add_ext(x, x, NID_subject_key_identifier, "hash") < 0 ||
	    !X509_sign(x, k, EVP_sha256()) || pair_out(x, k, out) < 0)
		return tls_ossl_err(err, "cannot make a certificate authority");
	return 0;
}

int tls_leaf_make(const struct tls_pair *ca, const char *const *names, wall_ms now, int days,
		  struct tls_pair *out, struct err *err)
{
	AUTO(EVP_PKEY_free) EVP_PKEY *ca_key = tls_read_key(ca->key, err);
	AUTO(BIO_free_all) BIO *b = BIO_new_mem_buf(ca->cert, -1);
	AUTO(X509_free) X509 *ca_cert = tls_read_cert(b);
	AUTO(EVP_PKEY_free) EVP_PKEY *k = EVP_EC_gen("P-256");
	AUTO(X509_free) X509 *x = X509_new();

	if (!ca_key)
		return -1;
	if (!ca_cert || !k || !x || !X509_set_version(x, X509_VERSION_3) || set_serial(x) < 0 ||
	    set_times(x, now, days, X509_get0_notAfter(ca_cert)) < 0 ||
	    set_name(x, "paasd", names[0]) < 0 ||
	    !X509_set_issuer_name(x, X509_get_subject_name(ca_cert)) || !X509_set_pubkey(x, k) ||
	    add_ext(x, ca_cert, NID_basic_constraints, "critical,CA:FALSE") < 0 ||
	    add_ext(x, ca_cert, NID_key_usage, "critical,digitalSignature") < 0 ||
	    add_ext(x, ca_cert, NID_ext_key_usage, "serverAuth") < 0 ||
	    add_ext(x, ca_cert, NID_subject_key_identifier, "hash") < 0 ||
	    add_ext(x, ca_cert, NID_authority_key_identifier, "keyid:always") < 0 ||
	    add_alt_names(x, names) < 0 || !X509_sign(x, ca_key, EVP_sha256()) ||
	    pair_out(x, k, out) < 0)
		return tls_ossl_err(err, "cannot make a certificate");
	return 0;
}
