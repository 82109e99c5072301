#include "daemon/git/git_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void urls_that_are_fetched(void **state)
{
	static const char *const cases[][3] = {
		{"https://h.example/a/b.git", NULL, "https://h.example/a/b.git"},
		{"https://h.example/a/b/", NULL, "https://h.example/a/b"},
		{"https://u:p@h.example:8443/a", NULL, "https://u:p@h.example:8443/a"},
		{"../c.git", "https://h.example/a/b.git", "https://h.example/a/c.git"},
		{"../../c", "https://h.example/a/b/", "https://h.example/c"},
		{"./c", "https://h.example/a", "https://h.example/a/c"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_clear) struct buf out = {0};
		struct err err = {0};

		assert_int_equal(git_url_resolve(cases[i][0], cases[i][1], &out, &err), 0);
		assert_string_equal(buf_str(&out), cases[i][2]);
	}
}

static void urls_that_are_not(void **state)
{
	static const char *const cases[][2] = {
		{"http://h.example/a", NULL},
		{"git://h.example/a", NULL},
		{"ssh://h.example/a", NULL},
		{"git@h.example:a.git", NULL},
		{"file:///etc", NULL},
		{"/etc", NULL},
		{"ext::sh -c id", NULL},
		{"--upload-pack=id", NULL},
		{"", NULL},
		{"https://", NULL},
		{"https:///x", NULL},
		{"https://h.example/a b", NULL},
		{"https://h.example/a\nb", NULL},
		{"https://h.example\\@evil/a", NULL},
		{"https://h.example/a?b", NULL},
		{"https://h.example/a#b", NULL},
		{"HTTPS://h.example/a", NULL},
		{"../c", NULL},
		{"../../c", "https://h.example/a"},
		{"../../../../c", "https://h.example/a/b"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_clear) struct buf out = {0};
		struct err err = {0};

		if (git_url_resolve(cases[i][0], cases[i][1], &out, &err) == 0)
			fail_msg("%s is taken as %s", cases[i][0], buf_str(&out));
		assert_int_equal(err.code, ERR_INVALID_PARAMS);
	}
}

static void private_servers_are_not_asked(void **state)
{
	AUTO(buf_clear) struct buf final = {0};
	AUTO(buf_clear) struct buf pin = {0};
	struct err err = {0};

	assert_int_equal(git_url_probe("https://127.0.0.1:9/x", false, clock_mono_ms() + 5000,
				       &final, &pin, &err),
			 -1);
	assert_int_equal(err.code, ERR_INVALID_PARAMS);
	assert_non_null(strstr(err.msg, "private"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_that_are_fetched),
		cmocka_unit_test(urls_that_are_not),
		cmocka_unit_test(private_servers_are_not_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
