#include "daemon/core/totp.h"
#include "daemon/core/codec.h"
#include "tests/unit/test.h"

#include <string.h>

static const char secret[] = "12345678901234567890";

static void rfc6238(void **state)
{
	/* Appendix B, SHA-1 */
	static const struct {
		wall_ms at_s;
		const char *code;
	} v[] = {
		{59, "94287082"},	  {1111111109, "07081804"}, {1111111111, "14050471"},
		{1234567890, "89005924"}, {2000000000, "69279037"}, {20000000000, "65353130"},
	};
	char got[12];

	(void)state;
	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		totp_code(secret, 20, totp_step(v[i].at_s * 1000), 8, got);
		assert_string_equal(got, v[i].code);
		totp_code(secret, 20, totp_step(v[i].at_s * 1000), 6, got);
		assert_string_equal(got, v[i].code + 2);
	}
}

static void rfc4226(void **state)
{
	/* Appendix D: a step is a counter */
	static const char *const v[] = {"755224", "287082", "359152", "969429", "338314",
					"254676", "287922", "162583", "399871", "520489"};
	char got[12];

	(void)state;
	for (int i = 0; i < 10; i++) {
		totp_code(secret, 20, i, 6, got);
		assert_string_equal(got, v[i]);
	}
}

static void window(void **state)
{
	const wall_ms t = 1111111109LL * 1000;
	const int64_t now = totp_step(t);
	char code[12];

	(void)state;
	for (int64_t d = -3; d <= 3; d++) {
		totp_code(secret, 20, now + d, 6, code);
		assert_int_equal(totp_match(secret, 20, code, t, 0),
				 d >= -1 && d <= 1 ? now + d : 0);
	}
	totp_code(secret, 20, now, 6, code);
	assert_int_equal(totp_match(secret, 20, code, t, now - 1), now);
	assert_int_equal(totp_match(secret, 20, code, t, now), 0); /* used */
	totp_code(secret, 20, now - 1, 6, code);
	assert_int_equal(totp_match(secret, 20, code, t, now), 0); /* older than a used one */
}

static void forms(void **state)
{
	const wall_ms t = 1111111109LL * 1000;

	(void)state;
	assert_int_equal(totp_match(secret, 20, "081804", t, 0), totp_step(t));
	assert_int_equal(totp_match(secret, 20, " 081 804 ", t, 0), totp_step(t));
	static const char *const junk[] = {"",	     "08180",  "0818041",  "081804x", "81804",
					   "-81804", "0x1804", "081804\n", "٠٨١٨٠٤"};
	for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++)
		assert_int_equal(totp_match(secret, 20, junk[i], t, 0), 0);
}

static void base32(void **state)
{
	/* RFC 4648 10, without padding */
	static const char *const v[][2] = {{"", ""},
					   {"f", "MY"},
					   {"fo", "MZXQ"},
					   {"foo", "MZXW6"},
					   {"foob", "MZXW6YQ"},
					   {"fooba", "MZXW6YTB"},
					   {"foobar", "MZXW6YTBOI"}};

	(void)state;
	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		AUTO(buf_clear) struct buf b = {0};

		base32_encode(v[i][0], strlen(v[i][0]), &b);
		assert_string_equal(buf_str(&b), v[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc6238), cmocka_unit_test(rfc4226), cmocka_unit_test(window),
		cmocka_unit_test(forms),   cmocka_unit_test(base32),
	};

	codec_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
