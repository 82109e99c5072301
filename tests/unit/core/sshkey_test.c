#include "daemon/core/sshkey.h"
#include "daemon/core/codec.h"
#include "tests/unit/test.h"

#include <string.h>

/* --- keys made of their parts, so that each part can be wrong --- */

static void add_part(struct buf *b, const void *p, size_t n)
{
	unsigned char len[4] = {0, 0, (unsigned char)(n >> 8), (unsigned char)n};

	buf_add(b, len, 4);
	buf_add(b, p, n);
}

static void add_text(struct buf *b, const char *s)
{
	add_part(b, s, strlen(s));
}

static int parse_blob(const char *type, const struct buf *blob, const char *rest,
		      struct sshkey *out, struct err *err)
{
	AUTO(buf_clear) struct buf b64 = {0};
	AUTO(auto_str) char *line = NULL;

	base64_encode(blob->data, blob->len, &b64);
	line = xasprintf("%s %s%s", type, buf_str(&b64), rest);
	return sshkey_parse(line, out, err);
}

static void ed25519(struct buf *b, size_t n)
{
	unsigned char key[64] = {7};

	add_text(b, "ssh-ed25519");
	add_part(b, key, n);
}

static void test_ed25519(void **state)
{
	AUTO(sshkey_clear) struct sshkey k = {0};
	AUTO(buf_clear) struct buf b = {0};
	struct err err = {0};

	(void)state;
	ed25519(&b, 32);
	assert_int_equal(parse_blob("ssh-ed25519", &b, "  me@host  and more \r\n", &k, &err), 0);
	assert_string_equal(k.comment, "me@host");
	assert_non_null(strstr(k.line, " me@host  and more"));
	assert_int_equal(k.bits, 256);
	assert_int_equal(strlen(k.fingerprint), 47);
	for (size_t n = 0; n < 40; n += n == 30 ? 1 : 3) {
		AUTO(sshkey_clear) struct sshkey other = {0};
		AUTO(buf_clear) struct buf c = {0};

		ed25519(&c, n);
		assert_int_equal(parse_blob("ssh-ed25519", &c, "", &other, &err), n == 32 ? 0 : -1);
	}
	buf_addc(&b, 0); /* something after it */
	sshkey_clear(&k);
	assert_int_equal(parse_blob("ssh-ed25519", &b, "", &k, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_PARAMS);
}

/* bits of modulus, first byte of exponent's end */
static int rsa(unsigned bits, unsigned char e, bool positive, struct err *err)
{
	AUTO(sshkey_clear) struct sshkey k = {0};
	AUTO(buf_clear) struct buf b = {0};
	unsigned char n[2100] = {0};
	size_t bytes = (bits + 7) / 8;
	int rc;

	memset(n + 1, 0xa5, bytes);
	n[1] = (unsigned char)(1u << ((bits - 1) % 8));
	n[bytes] |= 1;
	add_text(&b, "ssh-rsa");
	add_part(&b, &e, 1);
	if (positive && (n[1] & 0x80))
		add_part(&b, n, bytes + 1);
	else
		add_part(&b, n + 1, bytes);
	rc = parse_blob("ssh-rsa", &b, " x", &k, err);
	if (rc == 0)
		assert_int_equal(k.bits, bits);
	return rc;
}

static void test_rsa(void **state)
{
	struct err err = {0};

	(void)state;
	assert_int_equal(rsa(2048, 3, true, &err), 0);
	assert_int_equal(rsa(2049, 3, true, &err), 0);
	assert_int_equal(rsa(16384, 3, true, &err), 0);
	assert_int_equal(rsa(2047, 3, true, &err), -1);
	assert_non_null(strstr(err.msg, "2047"));
	assert_int_equal(rsa(1024, 3, true, &err), -1);
	assert_int_equal(rsa(16392, 3, true, &err), -1);
	assert_int_equal(rsa(2048, 3, false, &err), -1); /* negative */
	assert_int_equal(rsa(2048, 4, true, &err), -1);
	assert_int_equal(rsa(2048, 1, true, &err), -1);
	assert_int_equal(rsa(2048, 0, true, &err), -1);
}

static int ecdsa(const char *type, const char *curve, size_t n, unsigned char form, struct err *err)
{
	AUTO(sshkey_clear) struct sshkey k = {0};
	AUTO(buf_clear) struct buf b = {0};
	unsigned char point[200] = {0};

	point[0] = form;
	add_text(&b, type);
	add_text(&b, curve);
	add_part(&b, point, n);
	return parse_blob(type, &b, "", &k, err);
}

static void test_ecdsa(void **state)
{
	struct err err = {0};

	(void)state;
	assert_int_equal(ecdsa("ecdsa-sha2-nistp256", "nistp256", 65, 4, &err), 0);
	assert_int_equal(ecdsa("ecdsa-sha2-nistp384", "nistp384", 97, 4, &err), 0);
	assert_int_equal(ecdsa("ecdsa-sha2-nistp521", "nistp521", 133, 4, &err), 0);
	assert_int_equal(ecdsa("ecdsa-sha2-nistp256", "nistp384", 65, 4, &err), -1);
	assert_int_equal(ecdsa("ecdsa-sha2-nistp256", "nistp256", 97, 4, &err), -1);
	assert_int_equal(ecdsa("ecdsa-sha2-nistp256", "nistp256", 33, 2, &err), -1);
	assert_int_equal(ecdsa("ecdsa-sha2-nistp256", "nistp256", 0, 4, &err), -1);
	assert_int_equal(ecdsa("sk-ecdsa-sha2-nistp256@openssh.com", "nistp256", 65, 4, &err), -1);
}

static void test_security_key(void **state)
{
	AUTO(sshkey_clear) struct sshkey k = {0};
	AUTO(buf_clear) struct buf b = {0};
	unsigned char key[32] = {1};

	(void)state;
	add_text(&b, "sk-ssh-ed25519@openssh.com");
	add_part(&b, key, 32);
	add_text(&b, "ssh:");
	assert_int_equal(parse_blob("sk-ssh-ed25519@openssh.com", &b, "", &k, NULL), 0);
}

static void test_text(void **state)
{
	static const char *const bad[] = {"",
					  " ",
					  "ssh-ed25519",
					  "ssh-ed25519 ",
					  "ssh-ed25519 AAAA",
					  "ssh-dss AAAA x",
					  "no-pty ssh-ed25519 AAAA",
					  "ssh-ed25519 AAAA\nssh-ed25519 AAAA",
					  "ssh-rsa ////",
					  "ssh-ed25519\tAAAA",
					  "ssh-ed25519 =",
					  "SSH-ED25519 AAAA",
					  "ssh-ed25519 AAAA\x7f",
					  "ssh-ed25519 AAAAC3Nza"};
	struct sshkey k = {0};
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(sshkey_parse(bad[i], &k, &err), -1);
		assert_null(k.line);
	}
	assert_int_equal(sshkey_parse("-----BEGIN OPENSSH PRIVATE KEY-----\nhush\n", &k, &err), -1);
	assert_non_null(strstr(err.msg, "PRIVATE"));
	assert_null(strstr(err.msg, "hush"));
	assert_int_equal(sshkey_parse("PuTTY-User-Key-File-3: x", &k, &err), -1);
	assert_non_null(strstr(err.msg, "PRIVATE"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ed25519), cmocka_unit_test(test_rsa),
		cmocka_unit_test(test_ecdsa),	cmocka_unit_test(test_security_key),
		cmocka_unit_test(test_text),
	};

	codec_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
