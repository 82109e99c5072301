#include "daemon/core/hostname.h"
#include "tests/unit/test.h"

#include <string.h>

static void normalised(void **state)
{
	static const char *const pairs[][2] = {
		{"Shop.Example.COM", "shop.example.com"},
		{"shop.example.com.", "shop.example.com"},
		{"*.Example.com", "*.example.com"},
		{"b\xc3\xbc"
		 "cher.example",
		 "xn--bcher-kva.example"},
		{"*.B\xc3\x9c"
		 "CHER.example",
		 "*.xn--bcher-kva.example"},
		{"bu\xcc\x88"
		 "cher.example", /* the same, decomposed */
		 "xn--bcher-kva.example"},
		{"stra\xc3\x9f"
		 "e.example",
		 "xn--strae-oqa.example"}, /* IDNA 2008: not ss */
		{"XN--bcher-kva.example", "xn--bcher-kva.example"},
		{"\xe4\xbe\x8b\xe3\x81\x88.\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88",
		 "xn--r8jz45g.xn--zckzah"},
	};
	char out[254];
	struct err e = {0};

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		if (hostname_normal(pairs[i][0], out, &e) < 0)
			fail_msg("%s: %s", pairs[i][0], e.msg);
		assert_string_equal(out, pairs[i][1]);
	}
}

static void refused(void **state)
{
	static const char *const bad[] = {
		"",
		"localhost",
		"*",
		"*.com*",
		"1.2.3.4",
		"[::1]",
		"a_b.example.com",
		"xn--\xc3\xbc.example",
		"xn--zzzzzzzz99.example",   /* no punycode */
		"xn--bcher-.example",	    /* a hyphen at the end */
		"\xe2\x98\x83.example\xff", /* not UTF-8 */
		"a\xe2\x80\x8d"		    /* a joiner where none may be */
		"b.example",
		"*.*.b\xc3\xbc.example",
		"b\xc3\xbc", /* one label */
		"b\xc3\xbc.example/x",
	};
	char out[254];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = {0};

		if (hostname_normal(bad[i], out, &e) == 0)
			fail_msg("taken: %s as %s", bad[i], out);
		assert_int_equal(e.code, ERR_INVALID_PARAMS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(normalised), cmocka_unit_test(refused)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
