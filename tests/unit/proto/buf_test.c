#include "proto/buf.h"
#include "tests/unit/test.h"

#include <string.h>

static void it_grows_and_stays_terminated(void **state)
{
	AUTO(buf_clear) struct buf b = {0};

	assert_string_equal(buf_str(&b), "");
	for (int i = 0; i < 10000; i++) {
		buf_addc(&b, (char)('a' + i % 26));
		assert_int_equal(b.data[b.len], 0);
	}
	assert_int_equal(b.len, 10000);
	assert_true(b.cap > b.len);
	buf_reset(&b);
	assert_string_equal(buf_str(&b), "");
	buf_adds(&b, "x=");
	buf_addf(&b, "%d %s", 5, "y");
	buf_add(&b, "\0z", 2);
	assert_int_equal(b.len, 7);
	assert_memory_equal(b.data, "x=5 y\0z", 8);
}

static void dropping_takes_the_front(void **state)
{
	AUTO(buf_clear) struct buf b = {0};

	buf_adds(&b, "hello world");
	buf_drop(&b, 6);
	assert_string_equal(buf_str(&b), "world");
	buf_drop(&b, 0);
	assert_string_equal(buf_str(&b), "world");
	buf_drop(&b, 99);
	assert_string_equal(buf_str(&b), "");
	buf_adds(&b, "again");
	assert_string_equal(buf_str(&b), "again");
}

static void stealing_gives_the_text_away(void **state)
{
	struct buf b = {0};
	char *s = buf_steal(&b);

	assert_string_equal(s, "");
	free(s);
	buf_adds(&b, "mine");
	s = buf_steal(&b);
	assert_string_equal(s, "mine");
	assert_null(b.data);
	free(s);
}

static void strings_are_copied(void **state)
{
	AUTO(auto_str) char *a = xstrndup("abcdef", 3), *b = xasprintf("%s-%d", "n", 7);

	assert_string_equal(a, "abc");
	assert_string_equal(b, "n-7");
	assert_null(xstrdup(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_grows_and_stays_terminated),
		cmocka_unit_test(dropping_takes_the_front),
		cmocka_unit_test(stealing_gives_the_text_away),
		cmocka_unit_test(strings_are_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
