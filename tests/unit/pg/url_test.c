#include "daemon/pg/pg.h"
#include "tests/unit/test.h"

static void a_url_in_parts(void **state)
{
	AUTO(pg_url_clear) struct pg_url u = {0};
	struct err err = {0};

	assert_int_equal(pg_url_parse("postgres://u1:p2@10.0.0.9:5432/d3?x=y", &u, &err), 0);
	assert_string_equal(u.user, "u1");
	assert_string_equal(u.password, "p2");
	assert_string_equal(u.host, "10.0.0.9");
	assert_int_equal(u.port, 5432);
	assert_string_equal(u.database, "d3");
}

static void others_are_refused(void **state)
{
	static const char *const bad[] = {"",
					  "redis://u:p@h:1/d",
					  "postgres://u@h:1/d",
					  "postgres://u:p@h/d",
					  "postgres://u:p@h:1",
					  "postgres://u:p@h:1/",
					  "postgres://u:p@:1/d"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct pg_url u = {0};
		struct err err = {0};

		assert_int_equal(pg_url_parse(bad[i], &u, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_null(u.user);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_url_in_parts),
		cmocka_unit_test(others_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
