#include "tests/unit/test.h"

#include "daemon/addon/addon_int.h"

static void put(const char *text, const char *from, const char *to, const char *want)
{
	AUTO(buf_clear) struct buf b = {0};

	buf_adds(&b, text);
	assert_int_equal(moved_put(&b, from, to), strcmp(text, want) != 0);
	assert_string_equal(buf_str(&b), want);
}

static void test_whole_addresses_only(void **state)
{
	const char *was = "10.128.120.1", *now = "10.130.248.1";

	put("", was, now, "");
	put("10.128.120.1", was, now, "10.130.248.1");
	put("redis://:p@10.128.120.1:6379", "10.128.120.1:6379", "127.0.0.1:21001",
	    "redis://:p@127.0.0.1:21001");
	put("10.128.120.1,10.128.120.1/x?h=10.128.120.1.", was, now,
	    "10.130.248.1,10.130.248.1/x?h=10.130.248.1.");
	put("10.128.120.12 110.128.120.1 1.10.128.120.1 10.128.120.1.5", was, now,
	    "10.128.120.12 110.128.120.1 1.10.128.120.1 10.128.120.1.5");
	put("10.128.120.1:63790", "10.128.120.1:6379", "x", "10.128.120.1:63790");
	put("a.example.com", was, now, "a.example.com");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_addresses_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
