#include "tests/unit/test.h"
#include "cli/cli.h"

#include <string.h>

static char *clean(const char *s, bool keep_lines)
{
	struct buf b = {0};

	cli_clean(&b, s, strlen(s), keep_lines);
	return buf_steal(&b);
}

static void check(const char *in, bool keep_lines, const char *want)
{
	AUTO(auto_str) char *got = clean(in, keep_lines);

	assert_string_equal(got, want);
}

static void nothing_that_commands_a_terminal_passes(void **state)
{
	check("plain é ⬢ 😀", false, "plain é ⬢ 😀");
	check("a\033[2Jb\007\177", false, "a?[2Jb??");
	check("a\nb\tc\rd", false, "a?b?c?d");
	check("a\nb\tc\rd", true, "a\nb\tc?d");
	check("\xc2\x9b"
	      "31m",
	      false, "?31m"); /* C1 CSI */
	check("\x9b"
	      "31m",
	      false, "?31m");			       /* the same as a bare byte */
	check("\xc0\x9b\xed\xa0\x80", false, "?????"); /* overlong, surrogate */
	check("a\xe2\x80\xae"
	      "b",
	      false, "a?b"); /* right-to-left override */
	check("cut \xe2\x82", false, "cut ??");
}

static char *captured(void (*print)(FILE *out))
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	print(out);
	fclose(out);
	return text;
}

static void small_table(FILE *out)
{
	static const char *const heads[] = {"type", "size"};
	AUTO(cli_table_clear) struct cli_table t = {.cols = 2, .heads = heads};

	cli_table_row(&t, (const char *[]){"wéb", "Basic"});
	cli_table_row(&t, (const char *[]){"longer\033", NULL});
	cli_table_print(&t, out);
}

static void columns_line_up(void **state)
{
	AUTO(auto_str) char *text = captured(small_table);

	assert_string_equal(text, "type     size\n"
				  "wéb      Basic\n"
				  "longer?\n");
}

static void pairs(FILE *out)
{
	AUTO(cli_pairs_clear) struct cli_pairs p = {0};

	cli_pairs_add(&p, "Auto Cert Mgmt", "true");
	cli_pairs_add(&p, "Addons", "a\nb");
	cli_pairs_add(&p, "Empty", "");
	cli_pairs_print(&p, out);
}

static void values_start_in_one_column(void **state)
{
	AUTO(auto_str) char *text = captured(pairs);

	assert_string_equal(text, "Auto Cert Mgmt: true\n"
				  "Addons:         a\n"
				  "                b\n"
				  "Empty:          \n");
}

static void shell_words_are_exact(void **state)
{
	static const char *const cases[][2] = {
		{"plain/1.2:3", "K=plain/1.2:3"},
		{"a b", "K='a b'"},
		{"", "K=''"},
		{"it's", "K='it'\\''s'"},
		{"$(x)`", "K='$(x)`'"},
		{"two\nlines", "K='two\nlines'"},
		{"esc\033'\\", "K=$'esc\\x1b\\'\\\\'"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_clear) struct buf b = {0};

		cli_shell_pair(&b, "K", cases[i][0]);
		assert_string_equal(buf_str(&b), cases[i][1]);
	}
}

static void times_say_how_long_ago(void **state)
{
	setenv("TZ", "UTC", 1);
	assert_string_equal(cli_ago("2026-01-31T12:00:00Z", 1769860805),
			    "2026/01/31 12:00:00 +0000 (~ 5s ago)");
	assert_string_equal(cli_ago("2026-01-31T12:00:00Z", 1769861100),
			    "2026/01/31 12:00:00 +0000 (~ 5m ago)");
	assert_string_equal(cli_ago("2026-01-31T12:00:00Z", 1769868000),
			    "2026/01/31 12:00:00 +0000 (~ 2h ago)");
	assert_string_equal(cli_ago("2026-01-31T12:00:00Z", 1770000000),
			    "2026/01/31 12:00:00 +0000");
	assert_string_equal(cli_ago("2026-01-31T12:00:00Z", 0),
			    "2026/01/31 12:00:00 +0000 (~ 0s ago)");
	assert_string_equal(cli_ago("", 0), "");
}

static void paths_are_encoded(void **state)
{
	AUTO(auto_str) char *p = cli_pathf("/apps/%s/releases/%d", "a/../b?c#d e@f%", 7);

	assert_string_equal(p, "/apps/a%2F..%2Fb%3Fc%23d%20e%40f%25/releases/7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_that_commands_a_terminal_passes),
		cmocka_unit_test(columns_line_up),
		cmocka_unit_test(values_start_in_one_column),
		cmocka_unit_test(shell_words_are_exact),
		cmocka_unit_test(times_say_how_long_ago),
		cmocka_unit_test(paths_are_encoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
