#include "daemon/tls/cert.h"
#include "daemon/core/codec.h"
#include "proto/limits.h"
#include "tests/unit/test.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#define DAY 86400000LL
static const wall_ms now = 1767225600000; /* 2026-01-01 */
static struct tls_pair ca;

static int group_setup(void **state)
{
	struct err err = {0};

	codec_init();
	return tls_ca_make("Test CA", now, 3650, &ca, &err);
}

static int group_teardown(void **state)
{
	tls_pair_clear(&ca);
	return 0;
}

static void make_leaf(const char *const *names, int days, struct tls_pair *out)
{
	struct err err = {0};

	assert_int_equal(tls_leaf_make(&ca, names, now, days, out, &err), 0);
}

static void a_leaf_is_read_back(void **state)
{
	static const char *const names[] = {"App.localhost", "*.localhost", "127.0.0.1", "::1",
					    NULL};
	AUTO(tls_pair_clear) struct tls_pair p = {0};
	AUTO(tls_cert_info_clear) struct tls_cert_info i = {0};
	struct err err = {0};

	make_leaf(names, 397, &p);
	assert_int_equal(tls_cert_parse(p.cert, p.key, now, &i, &err), 0);
	assert_string_equal(i.subject, "CN=App.localhost,O=paasd");
	assert_string_equal(i.issuer, "CN=Test CA,O=paasd");
	assert_string_equal(i.common_name, "App.localhost");
	assert_int_equal(i.nnames, 4);
	assert_string_equal(i.names[0], "app.localhost");
	assert_string_equal(i.names[1], "*.localhost");
	assert_string_equal(i.names[2], "127.0.0.1");
	assert_string_equal(i.names[3], "::1");
	assert_null(i.names[4]);
	assert_false(i.self_signed);
	assert_true(i.starts_ms == now - 3600000);
	assert_true(i.expires_ms == now + 397 * DAY);
	assert_int_equal(strlen(i.sha256), 64);
	assert_int_equal(i.chain_len, 1);
	assert_string_equal(i.chain_pem, p.cert);
}

static void the_authority_is_one(void **state)
{
	AUTO(tls_cert_info_clear) struct tls_cert_info i = {0};
	struct err err = {0};

	assert_int_equal(tls_cert_parse(ca.cert, ca.key, now, &i, &err), 0);
	assert_true(i.self_signed);
	assert_true(i.expires_ms == now + 3650 * DAY);
	assert_string_equal(i.names[0], "test ca"); /* no alternative names: the common name */
}

static void no_leaf_outlives_its_authority(void **state)
{
	static const char *const names[] = {"a.test", NULL};
	AUTO(tls_pair_clear) struct tls_pair p = {0};
	AUTO(tls_cert_info_clear) struct tls_cert_info i = {0};
	struct err err = {0};

	make_leaf(names, 5000, &p);
	assert_int_equal(tls_cert_parse(p.cert, NULL, 0, &i, &err), 0);
	assert_true(i.expires_ms == now + 3650 * DAY);
}

static void chains_come_in_any_order(void **state)
{
	static const char *const names[] = {"a.test", NULL}, *const others[] = {"b.test", NULL};
	AUTO(tls_pair_clear) struct tls_pair p = {0}, q = {0};
	AUTO(tls_cert_info_clear) struct tls_cert_info i = {0};
	AUTO(auto_str) char *mixed = NULL, *right = NULL;
	struct err err = {0};

	make_leaf(names, 30, &p);
	make_leaf(others, 30, &q);
	mixed = xasprintf("# a comment\r\n%s%s\n%s", ca.cert, q.cert, p.cert);
	right = xasprintf("%s%s", p.cert, ca.cert);
	assert_int_equal(tls_cert_parse(mixed, p.key, now, &i, &err), 0);
	assert_string_equal(i.chain_pem, right);
	assert_int_equal(i.chain_len, 2);
	assert_int_equal(i.unused, 1);
	assert_string_equal(i.common_name, "a.test");
}

static void refused(const char *chain, const char *key, wall_ms at, const char *why)
{
	struct tls_cert_info i = {0};
	struct err err = {0};

	assert_int_equal(tls_cert_parse(chain, key, at, &i, &err), -1);
	assert_int_equal(err.status, 422);
	if (!strstr(err.msg, why))
		fail_msg("%s does not say %s", err.msg, why);
	assert_null(i.chain_pem);
	assert_null(i.names);
}

static char *key_text(EVP_PKEY *k, const EVP_CIPHER *cipher)
{
	BIO *b = BIO_new(BIO_s_mem());
	char pass[] = "secret", *p, *out;
	long n;

	assert_int_equal(PEM_write_bio_PrivateKey(b, k, cipher, (unsigned char *)pass,
						  cipher ? 6 : 0, NULL, NULL),
			 1);
	n = BIO_get_mem_data(b, &p);
	out = xstrndup(p, (size_t)n);
	BIO_free(b);
	EVP_PKEY_free(k);
	return out;
}

static void what_cannot_serve_is_refused(void **state)
{
	static const char *const names[] = {"a.test", NULL};
	AUTO(tls_pair_clear) struct tls_pair p = {0};
	AUTO(auto_str) char *damaged = NULL, *many = NULL, *locked = NULL, *big = xmalloc(70000);
	AUTO(buf_clear) struct buf b = {0};

	make_leaf(names, 30, &p);
	refused("", p.key, now, "no PEM certificate");
	refused("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", p.key, now,
		"damaged");
	damaged = xasprintf("%s-----BEGIN CERTIFICATE-----\nMII%%\n-----END CERTIFICATE-----\n",
			    p.cert);
	refused(damaged, p.key, now, "damaged");
	refused(p.cert, "junk", now, "no PEM private key");
	refused(p.cert, p.cert, now, "no PEM private key");
	refused(p.cert, ca.key, now, "does not belong");
	refused(p.cert, p.key, now + 31 * DAY, "expired");
	locked = key_text(EVP_EC_gen("P-256"), EVP_aes_256_cbc());
	refused(p.cert, locked, now, "passphrase");
	for (int i = 0; i <= LIM_TLS_CHAIN; i++)
		buf_adds(&b, p.cert);
	refused(buf_str(&b), p.key, now, "more than");
	memset(big, '\n', 69999);
	big[69999] = 0;
	refused(big, p.key, now, "KB");
}

/* A self-signed certificate with the key. */
static char *self_signed(EVP_PKEY *k, const char *cn)
{
	X509 *x = X509_new();
	BIO *b = BIO_new(BIO_s_mem());
	char *p, *out;
	long n;

	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, k);
	if (cn)
		X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
					   (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	assert_true(X509_sign(x, k, EVP_sha256()) > 0);
	PEM_write_bio_X509(b, x);
	n = BIO_get_mem_data(b, &p);
	out = xstrndup(p, (size_t)n);
	BIO_free(b);
	X509_free(x);
	return out;
}

static void weak_and_odd_keys_are_refused(void **state)
{
	EVP_PKEY *rsa = EVP_RSA_gen(1024), *odd = EVP_EC_gen("secp256k1"), *ok = EVP_RSA_gen(2048),
		 *nameless = EVP_EC_gen("P-384");
	AUTO(auto_str) char *c1 = self_signed(rsa, "a.test"), *k1 = key_text(rsa, NULL);
	AUTO(auto_str) char *c2 = self_signed(odd, "a.test"), *k2 = key_text(odd, NULL);
	AUTO(auto_str) char *c3 = self_signed(ok, "a.test"), *k3 = key_text(ok, NULL);
	AUTO(auto_str) char *c4 = self_signed(nameless, NULL), *k4 = key_text(nameless, NULL);
	AUTO(tls_cert_info_clear) struct tls_cert_info i = {0};
	struct err err = {0};

	refused(c1, k1, 0, "2048");
	refused(c2, k2, 0, "P-256");
	refused(c4, k4, 0, "names no host");
	assert_int_equal(tls_cert_parse(c3, k3, 0, &i, &err), 0);
	assert_true(i.self_signed);
	assert_false(tls_cert_trusted(i.chain_pem));
}

static void names_cover_hosts(void **state)
{
	static const char *const names[] = {"example.com", "*.example.com", "127.0.0.1", "::1",
					    NULL};
	static const struct {
		const char *host;
		bool yes;
	} cases[] = {{"example.com", true},
		     {"www.example.com", true},
		     {"a.b.example.com", false},
		     {".example.com", false},
		     {"example.org", false},
		     {"127.0.0.1", true},
		     {"127.0.0.2", false},
		     {"[::1]", true},
		     {"0:0::1", true},
		     {"wwwexample.com", false},
		     {"", false},
		     {"[]", false}};
	AUTO(tls_pair_clear) struct tls_pair p = {0};
	AUTO(tls_cert_info_clear) struct tls_cert_info i = {0};
	struct err err = {0};

	make_leaf(names, 30, &p);
	assert_int_equal(tls_cert_parse(p.cert, p.key, now, &i, &err), 0);
	for (size_t k = 0; k < ARRAY_LEN(cases); k++)
		if (tls_cert_covers(&i, cases[k].host) != cases[k].yes)
			fail_msg("%s", cases[k].host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leaf_is_read_back),
		cmocka_unit_test(the_authority_is_one),
		cmocka_unit_test(no_leaf_outlives_its_authority),
		cmocka_unit_test(chains_come_in_any_order),
		cmocka_unit_test(what_cannot_serve_is_refused),
		cmocka_unit_test(weak_and_odd_keys_are_refused),
		cmocka_unit_test(names_cover_hosts),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
