#include "daemon/tls/cert.h"
#include "daemon/core/codec.h"
#include "daemon/tls/ossl_int.h"
#include "proto/limits.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <strings.h>
#include <time.h>

void tls_cert_info_clear(struct tls_cert_info *i)
{
	for (int k = 0; k < i->nnames; k++)
		free(i->names[k]);
	free(i->names);
	free(i->subject);
	free(i->issuer);
	free(i->common_name);
	free(i->chain_pem);
	*i = (struct tls_cert_info){0};
}

void tls_pair_clear(struct tls_pair *p)
{
	free(p->cert);
	if (p->key)
		OPENSSL_cleanse(p->key, strlen(p->key));
	free(p->key);
	*p = (struct tls_pair){0};
}

int tls_ossl_err(struct err *err, const char *what)
{
	char text[160] = "no reason given";
	unsigned long e = ERR_peek_last_error();

	if (e)
		ERR_error_string_n(e, text, sizeof text);
	ERR_clear_error();
	return err_set(err, ERR_INTERNAL, "%s: %s", what, text);
}

char *tls_bio_text(BIO *b)
{
	char *p = NULL;
	long n = BIO_get_mem_data(b, &p);

	return xstrndup(p ? p : "", n > 0 ? (size_t)n : 0);
}

/* --- PEM in --- */

/* Without it OpenSSL would ask for a pass phrase on the terminal. */
static int no_passphrase(char *out, int size, int rw, void *arg)
{
	*(bool *)arg = true;
	return -1;
}

X509 *tls_read_cert(BIO *b)
{
	bool asked = false;

	return PEM_read_bio_X509(b, NULL, no_passphrase, &asked);
}

static int read_chain(const char *pem, X509 *out[LIM_TLS_CHAIN], struct err *err)
{
	AUTO(BIO_free_all) BIO *b = BIO_new_mem_buf(pem, -1);
	bool ended;
	int n = 0;
	X509 *x;

	while ((x = tls_read_cert(b))) {
		if (n == LIM_TLS_CHAIN) {
			X509_free(x);
			err_set(err, ERR_INVALID_PARAMS,
				"The certificate chain has more than %d certificates.",
				LIM_TLS_CHAIN);
			break;
		}
		out[n++] = x;
	}
	/* The end of the text is told as "no start line" too. */
	ended = !x && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	if (ended && n)
		return n;
	for (int i = 0; i < n; i++)
		X509_free(out[i]);
	if (x)
		return -1;
	return err_set(err, ERR_INVALID_PARAMS,
		       ended ? "The certificate chain has no PEM certificate."
			     : "A certificate of the chain cannot be read: it is damaged.");
}

EVP_PKEY *tls_read_key(const char *pem, struct err *err)
{
	AUTO(BIO_free_all) BIO *b = BIO_new_mem_buf(pem, -1);
	bool asked = false;
	EVP_PKEY *k = PEM_read_bio_PrivateKey(b, NULL, no_passphrase, &asked);

	ERR_clear_error();
	if (!k && asked)
		err_set(err, ERR_INVALID_PARAMS,
			"The private key is protected by a passphrase: remove that first.");
	else if (!k)
		err_set(err, ERR_INVALID_PARAMS, "The private key is no PEM private key.");
	return k;
}

static int check_key(EVP_PKEY *k, struct err *err)
{
	static const char *const curves[] = {"prime256v1", "secp384r1", "secp521r1"};
	char curve[64] = "";

	if (EVP_PKEY_is_a(k, "RSA")) {
		if (EVP_PKEY_get_bits(k) < 2048 || EVP_PKEY_get_bits(k) > 8192)
			return err_set(err, ERR_INVALID_PARAMS,
				       "RSA keys must have 2048 to 8192 bits, not %d.",
				       EVP_PKEY_get_bits(k));
		return 0;
	}
	if (!EVP_PKEY_is_a(k, "EC"))
		return err_set(err, ERR_INVALID_PARAMS,
			       "The certificate's key must be RSA or ECDSA.");
	EVP_PKEY_get_utf8_string_param(k, OSSL_PKEY_PARAM_GROUP_NAME, curve, sizeof curve, NULL);
	for (size_t i = 0; i < ARRAY_LEN(curves); i++)
		if (strcmp(curve, curves[i]) == 0)
			return 0;
	return err_set(err, ERR_INVALID_PARAMS, "ECDSA keys must be on P-256, P-384 or P-521.");
}

/* --- fields --- */

static char *name_text(const X509_NAME *n)
{
	AUTO(BIO_free_all) BIO *b = BIO_new(BIO_s_mem());

	/* UTF-8 stays; control characters are escaped. */
	X509_NAME_print_ex(b, n, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
	return tls_bio_text(b);
}

static char *common_name(X509 *x)
{
	const X509_NAME *n = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(n, NID_commonName, -1);
	unsigned char *text = NULL;
	char *out = NULL;
	int len;

	if (at >= 0) {
		len = ASN1_STRING_to_UTF8(&text,
					  X509_NAME_ENTRY_get_data(X509_NAME_get_entry(n, at)));
		/* A NUL within would make the name another one for each reader. */
		if (len > 0 && !memchr(text, 0, (size_t)len))
			out = xstrndup((char *)text, (size_t)len);
		OPENSSL_free(text);
	}
	return out ? out : xstrdup("");
}

static wall_ms time_ms(const ASN1_TIME *t)
{
	struct tm tm = {0};

	return ASN1_TIME_to_tm(t, &tm) ? (wall_ms)timegm(&tm) * 1000 : 0;
}

static void add_name(struct tls_cert_info *i, const char *p, size_t n)
{
	char *s = xstrndup(p, n);

	for (char *c = s; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	i->names = xrealloc(i->names, (size_t)(i->nnames + 2) * sizeof *i->names);
	i->names[i->nnames++] = s;
	i->names[i->nnames] = NULL;
}

static void add_address(struct tls_cert_info *i, const unsigned char *p, int n)
{
	char text[INET6_ADDRSTRLEN];

	if ((n == 4 || n == 16) && inet_ntop(n == 4 ? AF_INET : AF_INET6, p, text, sizeof text))
		add_name(i, text, strlen(text));
}

/* Two passes: names, then addresses. */
static void read_names(X509 *x, struct tls_cert_info *i)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);

	for (int pass = GEN_DNS; pass == GEN_DNS || pass == GEN_IPADD;
	     pass = pass == GEN_DNS ? GEN_IPADD : -1)
		for (int k = 0; k < sk_GENERAL_NAME_num(all) && i->nnames < LIM_TLS_NAMES; k++) {
			int type;
			const ASN1_STRING *v =
				GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(all, k), &type);
			const unsigned char *p;
			int n;

			if (type != pass)
				continue;
			p = ASN1_STRING_get0_data(v);
			n = ASN1_STRING_length(v);
			if (type == GEN_IPADD)
				add_address(i, p, n);
			else if (n > 0 && !memchr(p, 0, (size_t)n))
				add_name(i, (const char *)p, (size_t)n);
		}
	GENERAL_NAMES_free(all);
	if (!i->nnames && i->common_name[0])
		add_name(i, i->common_name, strlen(i->common_name));
}

static int fingerprint(X509 *x, char out[65])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!X509_digest(x, EVP_sha256(), sum, &n) || n != 32)
		return -1;
	hex_encode(sum, n, out);
	return 0;
}

/* --- the chain --- */

static bool issued(X509 *child, X509 *parent)
{
	bool yes = X509_check_issued(parent, child) == X509_V_OK &&
		   X509_verify(child, X509_get0_pubkey(parent)) == 1;

	ERR_clear_error();
	return yes;
}

static int leaf_of(X509 *const *all, int n, EVP_PKEY *key, struct err *err)
{
	for (int i = 0; key && i < n; i++)
		if (EVP_PKEY_eq(X509_get0_pubkey(all[i]), key) == 1)
			return i;
	ERR_clear_error();
	return key ? err_set(err, ERR_INVALID_PARAMS,
			     "The private key does not belong to the certificate.")
		   : 0;
}

/* Leaf, its issuer, and so on, in PEM. */
static char *ordered(X509 *const *all, int n, int leaf, int *count)
{
	AUTO(BIO_free_all) BIO *b = BIO_new(BIO_s_mem());
	bool used[LIM_TLS_CHAIN] = {false};
	int at = leaf;

	*count = 0;
	while (at >= 0) {
		int next = -1;

		used[at] = true;
		PEM_write_bio_X509(b, all[at]);
		++*count;
		for (int i = 0; i < n && next < 0; i++)
			if (!used[i] && issued(all[at], all[i]))
				next = i;
		at = next;
	}
	return tls_bio_text(b);
}

static int fill(X509 *const *all, int n, EVP_PKEY *key, wall_ms now, struct tls_cert_info *out,
		struct err *err)
{
	int leaf = leaf_of(all, n, key, err);
	X509 *x;

	if (leaf < 0)
		return -1;
	x = all[leaf];
	if (!X509_get0_pubkey(x) || check_key(X509_get0_pubkey(x), err) < 0)
		return err->status ? -1
				   : err_set(err, ERR_INVALID_PARAMS,
					     "The certificate's public key cannot be read.");
	out->subject = name_text(X509_get_subject_name(x));
	out->issuer = name_text(X509_get_issuer_name(x));
	out->common_name = common_name(x);
	out->starts_ms = time_ms(X509_get0_notBefore(x));
	out->expires_ms = time_ms(X509_get0_notAfter(x));
	out->self_signed = issued(x, x);
	read_names(x, out);
	if (fingerprint(x, out->sha256) < 0)
		return tls_ossl_err(err, "fingerprint");
	if (!out->nnames)
		return err_set(err, ERR_INVALID_PARAMS, "The certificate names no host.");
	if (now && out->expires_ms <= now)
		return err_set(err, ERR_INVALID_PARAMS, "The certificate has expired.");
	out->chain_pem = ordered(all, n, leaf, &out->chain_len);
	out->unused = n - out->chain_len;
	return 0;
}

int tls_cert_parse(const char *chain, const char *key, wall_ms now, struct tls_cert_info *out,
		   struct err *err)
{
	X509 *all[LIM_TLS_CHAIN];
	AUTO(EVP_PKEY_free) EVP_PKEY *k = NULL;
	struct err none = {0};
	int n, rc;

	*out = (struct tls_cert_info){0};
	err = err ? err : &none;
	if (strlen(chain) > LIM_TLS_PEM || (key && strlen(key) > LIM_TLS_PEM))
		return err_set(err, ERR_INVALID_PARAMS,
			       "Certificate chain and private key may have %lld KB each.",
			       LIM_TLS_PEM / 1024);
	if (key && !(k = tls_read_key(key, err)))
		return -1;
	n = read_chain(chain, all, err);
	if (n < 0)
		return -1;
	rc = fill(all, n, k, now, out, err);
	for (int i = 0; i < n; i++)
		X509_free(all[i]);
	if (rc < 0)
		tls_cert_info_clear(out);
	return rc;
}

/* --- names --- */

static bool same_address(const char *a, const char *b)
{
	unsigned char x[16], y[16];

	if (inet_pton(AF_INET6, a, x) == 1 && inet_pton(AF_INET6, b, y) == 1)
		return memcmp(x, y, 16) == 0;
	return false;
}

static bool name_covers(const char *name, const char *host)
{
	const char *dot;

	if (strcasecmp(name, host) == 0 || same_address(name, host))
		return true;
	if (name[0] != '*' || name[1] != '.')
		return false;
	dot = strchr(host, '.');
	return dot && dot != host && strcasecmp(dot, name + 1) == 0;
}

bool tls_cert_covers(const struct tls_cert_info *i, const char *host)
{
	size_t n = strlen(host);
	AUTO(auto_str)
	char *bare = n > 2 && host[0] == '[' && host[n - 1] == ']' ? xstrndup(host + 1, n - 2)
								   : xstrdup(host);

	for (int k = 0; k < i->nnames; k++)
		if (name_covers(i->names[k], bare))
			return true;
	return false;
}

/* --- trust --- */

static bool verify(X509_STORE *st, X509 *const *all, int n)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *more = sk_X509_new_null();
	bool ok;

	for (int i = 1; i < n; i++)
		sk_X509_push(more, all[i]);
	ok = X509_STORE_CTX_init(ctx, st, all[0], more) == 1 &&
	     X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER) == 1 &&
	     X509_verify_cert(ctx) == 1;
	sk_X509_free(more);
	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}

bool tls_cert_trusted(const char *chain_pem)
{
	X509 *all[LIM_TLS_CHAIN];
	X509_STORE *st;
	int n = read_chain(chain_pem, all, NULL);
	bool ok;

	if (n < 0)
		return false;
	st = X509_STORE_new();
	ok = X509_STORE_set_default_paths(st) == 1 && verify(st, all, n);
	X509_STORE_free(st);
	for (int i = 0; i < n; i++)
		X509_free(all[i]);
	ERR_clear_error();
	return ok;
}
