#include "proto/err.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <string.h>

static void an_error_carries_its_row_of_the_table(void **state)
{
	struct err e = {0};

	assert_int_equal(err_set(&e, ERR_NO_SLUG, "v%d was never built", 3), -1);
	assert_int_equal(e.status, 422);
	assert_int_equal(e.code, ERR_NO_SLUG);
	assert_string_equal(e.id, "no_slug");
	assert_string_equal(e.msg, "v3 was never built");
	assert_null(e.resource);
	assert_int_equal(err_set(NULL, ERR_IO, "dropped"), -1);
}

static void not_found_names_the_resource(void **state)
{
	struct err e = {0};

	err_not_found(&e, "app");
	assert_int_equal(e.status, 404);
	assert_string_equal(e.msg, "Couldn't find that app.");
	assert_string_equal(e.resource, "app");
}

static void errno_becomes_text_and_a_full_disk_its_own(void **state)
{
	struct err e = {0};

	errno = ENOENT;
	err_errno(&e, "open %s", "x");
	assert_string_equal(e.msg, "open x: No such file or directory");
	assert_int_equal(e.code, ERR_IO);
	errno = ENOSPC;
	err_errno(&e, "write");
	assert_int_equal(e.code, ERR_DISK_FULL);
}

static void wrapping_prefixes(void **state)
{
	struct err e = {0};

	err_set(&e, ERR_IO, "inner");
	assert_int_equal(err_wrap(&e, "outer %d", 1), -1);
	assert_string_equal(e.msg, "outer 1: inner");
	assert_int_equal(e.code, ERR_IO);
}

static void messages_are_one_line_and_bounded(void **state)
{
	struct err e = {0};
	char big[2000];

	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = 0;
	err_set(&e, ERR_IO, "a\nb\x1b[31mc\x7f");
	assert_string_equal(e.msg, "a b [31mc ");
	err_set(&e, ERR_IO, "%s", big);
	assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
	err_wrap(&e, "%s", big);
	assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
}

static void every_row_is_whole(void **state)
{
	for (int i = 1; i < ERR_COUNT; i++) {
		const char *id = err_wire_id((enum err_id)i);

		assert_true(id && *id);
		assert_in_range(err_http_status((enum err_id)i), 400, 599);
		assert_true(err_exit_status(id) > 0);
		for (int j = 1; j < i; j++)
			assert_string_not_equal(id, err_wire_id((enum err_id)j));
	}
	assert_int_equal(err_exit_status("never heard of"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_carries_its_row_of_the_table),
		cmocka_unit_test(not_found_names_the_resource),
		cmocka_unit_test(errno_becomes_text_and_a_full_disk_its_own),
		cmocka_unit_test(wrapping_prefixes),
		cmocka_unit_test(messages_are_one_line_and_bounded),
		cmocka_unit_test(every_row_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
