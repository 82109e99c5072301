#include "shim/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Lines joined with '|', so that a test can compare one string. */
static void note(const char *text, size_t len, void *arg)
{
	buf_add(arg, text, len);
	buf_addc(arg, '|');
}

/* Feeds text in pieces of `step` bytes. */
static char *split(const char *text, size_t n, size_t max, size_t step)
{
	struct lines l = {.max = max};
	struct buf out = {0};

	for (size_t at = 0; at < n; at += step)
		lines_feed(&l, text + at, n - at < step ? n - at : step, note, &out);
	lines_end(&l, note, &out);
	lines_clear(&l);
	return buf_steal(&out);
}

static void check(const char *text, size_t max, const char *want)
{
	size_t n = strlen(text);

	for (size_t step = 1; step <= n + 1; step++) { /* how it arrives must not matter */
		char *got = split(text, n, max, step);

		assert_string_equal(got, want);
		free(got);
	}
}

static void lines_are_split(void **state)
{
	check("", 10, "");
	check("a\nb\n", 10, "a|b|");
	check("a\n\nb", 10, "a||b|");
	check("\n", 10, "|");
	check("no end", 10, "no end|");
}

static void line_ends_of_both_kinds(void **state)
{
	check("a\r\nb\r\n", 10, "a|b|");
	check("\r\n", 10, "|");
	check("a\rb\n", 10, "a\rb|");
	check("a\r\r\n", 10, "a\r|");
}

static void long_lines_are_cut(void **state)
{
	check("abcdefgh\nx\n", 4, "abcd|efgh|x|");
	check("abcdefghi\n", 4, "abcd|efgh|i|");
	check("abcd\n", 4, "abcd|");
	check("abcd\r\n", 4, "abcd|");
	check("abcdefgh\r\n", 4, "abcd|efgh|");
	check("abcd\refgh\n", 4, "abcd|\refg|h|");
	check("abcdefgh", 4, "abcd|efgh|");
}

static void nothing_piles_up(void **state)
{
	struct lines l = {.max = 100};
	struct buf out = {0};

	for (int i = 0; i < 10000; i++)
		lines_feed(&l, "xyz", 3, note, &out);
	assert_true(l.part.len <= 101);
	lines_clear(&l);
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_split),
		cmocka_unit_test(line_ends_of_both_kinds),
		cmocka_unit_test(long_lines_are_cut),
		cmocka_unit_test(nothing_piles_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
