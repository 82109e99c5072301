/* Names of review apps: always good names of apps, and those that pr_app expects. */
#include "daemon/review/review.h"
#include "daemon/core/codec.h"
#include "proto/names.h"
#include "tests/unit/test.h"

#include <string.h>

static void as_pr_app_expects(void **state)
{
	static const struct {
		const char *base;
		long long number;
		const char *want;
	} rows[] = {
		{"shop-staging", 7, "shop-staging-pr-7"},
		{"a-very-long-name-of-a-shop", 12, "a-very-long-name-of--pr-12"},
		{"a-very-long-name-of-a-shop", 2147483647, "a-very-long-name-of--pr-2147483647"},
	};
	char out[32];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		review_name(rows[i].base, "pipe", "any", rows[i].number, out);
		assert_int_equal(strncmp(out, rows[i].want, 31), 0);
	}
}

static void of_a_branch(void **state)
{
	static const struct {
		const char *branch, *want;
	} rows[] = {
		{"my-feature", "shop-my-feature"},
		{"Feature/ADD_Things", "shop-feature-add-things"},
		{"--x--", "shop-x"},
		{"\xc3\xa4\xc3\xb6", "shop-branch"},
		{"a-branch-with-a-very-long-name-indeed", "shop-a-branch-with-a-very-long"},
	};
	char out[32];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		review_name("shop", "pipe", rows[i].branch, 0, out);
		assert_string_equal(out, rows[i].want);
		assert_true(name_is_app(out));
	}
}

static void with_a_random_end(void **state)
{
	static const char *const branches[] = {"x", "pho-list", "---", "very/long/branch/name",
					       "\xff\xfe"};
	char a[32], b[32];

	for (size_t i = 0; i < ARRAY_LEN(branches); i++) {
		review_name(NULL, "pipeline-demo-with-more", branches[i], 3, a);
		review_name(NULL, "pipeline-demo-with-more", branches[i], 3, b);
		assert_true(name_is_app(a));
		assert_string_not_equal(a, b);
		assert_int_equal(strncmp(a, "pipeline-demo-", 14), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_pr_app_expects),
		cmocka_unit_test(of_a_branch),
		cmocka_unit_test(with_a_random_end),
	};

	codec_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
