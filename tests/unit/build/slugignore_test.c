#include "daemon/build/slugignore.h"
#include "proto/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *file, *path; /* path ends with "/" = a folder */
	bool want;
} cases[] = {
	{"*.psd", "a.psd", true},
	{"*.psd", "x/y/a.psd", true},
	{"*.psd", "a.psd.txt", false},
	{"*.psd\r\n", "a.psd", true},
	{"\xef\xbb\xbf*.psd", "a.psd", true},
	{"docs", "docs/", true},
	{"docs", "a/docs", true},
	{"docs/", "docs/", true},
	{"docs/", "docs", false},
	{"docs/", "a/docs/", true},
	{"/docs", "docs", true},
	{"/docs", "a/docs", false},
	{"a/b", "a/b", true},
	{"a/b", "x/a/b", false},
	{"a/b/", "a/b/", true},
	{"a/*", "a/b", true},
	{"a/*", "a/b/c", false},
	{"a/*", "a", false},
	{"a/**", "a/b/c", true},
	{"a/**", "a/", false},
	{"**/b", "b", true},
	{"**/b", "x/y/b", true},
	{"**/a/b", "x/a/b", true},
	{"**/a/b", "a/x/b", false},
	{"a/**/b", "a/b", true},
	{"a/**/b", "a/x/y/b", true},
	{"a/**/b", "a/x/y/c", false},
	{"a/**/b/**/c", "a/b/b/x/c", true},
	{"a/**/b/**/c", "a/x/c", false},
	{"a**b", "axxb", true},
	{"a**b", "ax/xb", false},
	{"**", "anything", true},
	{"*", "anything/", true},
	{"# comment", "# comment", false},
	{"\\#a", "#a", true},
	{"\\!a", "!a", true},
	{"!a\n", "a", false},
	{"a \n", "a", true},
	{"a\\ \n", "a ", true},
	{"a\\ \n", "a", false},
	{"a b", "a b", true},
	{"\n\n/\n", "a", false},
	{"a?c", "abc", true},
	{"a?c", "a/c", false},
	{"a*c", "a/c", false},
	{"[ab].c", "a.c", true},
	{"[ab].c", "c.c", false},
	{"[!ab].c", "c.c", true},
	{"[^ab].c", "a.c", false},
	{"[a-c]x", "bx", true},
	{"[a-c]x", "dx", false},
	{"[]x]", "]", true},
	{"[a-]", "-", true},
	{"[[:digit:]]*", "1a", true},
	{"[[:digit:]]*", "a1", false},
	{"[\\]]", "]", true},
	{"[ab", "[ab", true},
	{"[", "[", true},
	{"\\*", "*", true},
	{"\\*", "a", false},
	{"a\\", "a\\", true},
	{"x\ny\nz", "y", true},
	{"a*a*a*b", "aaaaaaaaaaab", true},
	{"a*a*a*b", "aaaaaaaaaaac", false},
	{"a//b", "a/b", true},
	{"foo.*", ".foo", false},
	{"*~", "x~", true},
};

static void patterns_match_like_gitignore(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct slugignore *ig =
			slugignore_parse(cases[i].file, strlen(cases[i].file), NULL, NULL);
		char path[64];
		size_t n = strlen(cases[i].path);
		bool dir = cases[i].path[n - 1] == '/';

		memcpy(path, cases[i].path, n + 1);
		path[n - dir] = 0;
		if (slugignore_match(ig, path, dir) != cases[i].want)
			fail_msg("\"%s\" and \"%s\"", cases[i].file, cases[i].path);
		slugignore_free(ig);
	}
}

static void warned(const char *line, void *arg)
{
	buf_addf(arg, "%s\n", line);
}

static void what_is_left_out_is_told(void **state)
{
	static const char text[] = "a\n!b\nc\0d\n";
	struct buf w = {0};
	struct slugignore *ig = slugignore_parse(text, sizeof(text) - 1, warned, &w);

	assert_string_equal(buf_str(&w),
			    ".slugignore:2: negation (!) is not supported, the line is left out\n"
			    ".slugignore:3: there is a NUL byte, the line is left out\n");
	assert_true(slugignore_match(ig, "a", false));
	assert_false(slugignore_match(ig, "c", false));
	slugignore_free(ig);
	buf_clear(&w);
}

static void hostile_patterns_end_soon(void **state)
{
	struct buf pat = {0}, path = {0};
	struct slugignore *ig;

	for (int i = 0; i < 200; i++)
		buf_adds(&pat, i % 2 ? "**/" : "*a*a*a/");
	buf_adds(&pat, "b\n");
	for (int i = 0; i < 400; i++)
		buf_adds(&path, "aaaaaaa/");
	buf_adds(&path, "c");
	ig = slugignore_parse(pat.data, pat.len, NULL, NULL);
	assert_false(slugignore_match(ig, path.data, false));
	slugignore_free(ig);
	buf_clear(&pat);
	buf_clear(&path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_match_like_gitignore),
		cmocka_unit_test(what_is_left_out_is_told),
		cmocka_unit_test(hostile_patterns_end_soon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
