#include "cli/localdb.h"
#include "tests/unit/test.h"

#include <string.h>

static void the_name_is_found(void **state)
{
	static const struct {
		const char *text, *name;
	} cases[] = {
		{"development:\n  database: shop_dev\n", "shop_dev"},
		{"a: &a\n  database: x\ndevelopment:\n  <<: *a\n", "x"},
		{"a: &a\n  database: x\ndevelopment:\n  <<: *a\n  database: y\n", "y"},
		{"a: &a {p: 1}\nb: &b {database: z}\ndevelopment:\n  <<: [*a, *b]\n", "z"},
		{"development:\n  primary:\n    database: first\n  cache:\n    database: second\n",
		 "first"},
		{"<% if x %>\ndevelopment:\n  pool: <%= ENV.fetch(\"N\") { 5 } %>\n  database: "
		 "d\n<% end %>\n",
		 "d"},
		{"development:\n  database: <%= ENV['D'] %>\n", NULL},
		{"development:\n  database: a_<%= 1 %>\n", NULL},
		{"development:\n  url: postgres://x/y\n", NULL},
		{"production:\n  database: p\n", NULL},
		{"development: shop\n", NULL},
		{"- a\n", NULL},
		{"", NULL},
		{"development: &d\n  <<: *d\n", NULL}, /* its own heir */
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(auto_str) char *name = NULL;
		struct err err = {0};

		assert_int_equal(
			cli_localdb_parse(cases[i].text, strlen(cases[i].text), &name, &err), 0);
		if (cases[i].name ? !name || strcmp(name, cases[i].name) != 0 : name != NULL)
			fail_msg("case %zu: %s", i, name ? name : "NULL");
	}
}

static void what_is_no_yaml_is_said(void **state)
{
	static const char *const bad[] = {"a: b: c\n", "\tx: 1\n", "a: *b\n", "a: [1\n"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(auto_str) char *name = NULL;
		struct err err = {0};

		assert_int_equal(cli_localdb_parse(bad[i], strlen(bad[i]), &name, &err), -1);
		assert_non_null(strstr(err.msg, "line"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_name_is_found),
		cmocka_unit_test(what_is_no_yaml_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
