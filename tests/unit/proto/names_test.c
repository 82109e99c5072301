#include "proto/limits.h"
#include "proto/names.h"
#include "tests/unit/test.h"

#include <string.h>

/* Good ones before the NULL, bad ones after it, up to the next. */
static void check(bool (*is)(const char *), const char *const *list)
{
	for (; *list; list++)
		if (!is(*list))
			fail_msg("refused: %s", *list);
	for (list++; *list; list++)
		if (is(*list))
			fail_msg("taken: %s", *list);
}

static void app_names(void **state)
{
	check(name_is_app,
	      (const char *const[]){"abc", "a-1", "pipeline-demo-production", "a--b",
				    "a23456789012345678901234567890", NULL, "", "ab", "1ab", "-ab",
				    "ab-", "Abc", "a_b", "a b", "a.b", "../x", "\xc3\xa4pp",
				    "a234567890123456789012345678901", NULL});
}

static void process_types(void **state)
{
	char long_name[LIM_PROC_TYPE + 2];

	check(name_is_proc_type,
	      (const char *const[]){"web", "Worker_2", "-x", "9", NULL, "", "a b", "a.b", "a/b",
				    "a:b", "\xc3\xa4", NULL});
	memset(long_name, 'a', sizeof long_name);
	long_name[LIM_PROC_TYPE + 1] = 0;
	assert_false(name_is_proc_type(long_name));
	long_name[LIM_PROC_TYPE] = 0;
	assert_true(name_is_proc_type(long_name));
}

static void config_keys(void **state)
{
	struct err e = {0};
	char big[LIM_CONFIG_VALUE + 2];

	check(name_is_config_key, (const char *const[]){"A", "_x", "DATABASE_URL", "a1", NULL, "",
							"1A", "A-B", "A B", "A=B", "A\nB", NULL});
	memset(big, 'x', sizeof big);
	assert_int_equal(name_check_config("A", "v", 1, &e), 0);
	assert_int_equal(name_check_config("A", NULL, 0, &e), 0); /* unset */
	assert_int_equal(name_check_config("A", "a\nb=$x", 6, &e), 0);
	assert_int_equal(name_check_config("A", big, LIM_CONFIG_VALUE, &e), 0);
	assert_int_equal(name_check_config("A", big, LIM_CONFIG_VALUE + 1, &e), -1);
	assert_int_equal(name_check_config("A", "a\0b", 3, &e), -1);
	assert_int_equal(name_check_config("A-B", "v", 1, &e), -1);
	assert_int_equal(e.code, ERR_INVALID_PARAMS);
	assert_int_equal(name_check_app("x", &e), -1);
	assert_int_equal(name_check_app("good", &e), 0);
}

static void uuids_and_addresses(void **state)
{
	check(name_is_uuid, (const char *const[]){"01234567-89ab-cdef-ABCD-0123456789ab", NULL, "",
						  "01234567-89ab-cdef-abcd-0123456789a",
						  "01234567-89ab-cdef-abcd-0123456789abc",
						  "g1234567-89ab-cdef-abcd-0123456789ab",
						  "01234567x89ab-cdef-abcd-0123456789ab", NULL});
	check(name_is_email,
	      (const char *const[]){"a@b", "admin@localhost", "x.y+z@example.com", NULL, "", "a",
				    "@b", "a@", "a@b@c", "a b@c", "a@b\n", "<a@b>", "a,b@c", NULL});
}

static void dyno_names(void **state)
{
	char type[LIM_PROC_TYPE + 1];
	int n = 0;

	assert_true(name_split_dyno("web.1", type, &n));
	assert_string_equal(type, "web");
	assert_int_equal(n, 1);
	assert_true(name_split_dyno("run.9157", type, &n));
	assert_int_equal(n, 9157);
	for (const char *const *p =
		     (const char *const[]){"web", "web.", ".1", "web.0", "web.-1", "web.1x",
					   "a.b.1", "web.12345678", "", "we b.1", NULL};
	     *p; p++)
		if (name_split_dyno(*p, type, &n))
			fail_msg("taken: %s", *p);
}

static void domain_is(const char *in, const char *want)
{
	struct err e = {0};
	char out[254];

	if (name_domain(in, out, &e) < 0)
		fail_msg("refused: %s: %s", in, e.msg);
	assert_string_equal(out, want);
}

static void domains(void **state)
{
	static const char *const bad[] = {"",
					  ".",
					  "..",
					  "localhost",
					  "com",
					  "example.com..",
					  ".example.com",
					  "a..b",
					  "-a.com",
					  "a-.com",
					  "a.-b",
					  "a_b.com",
					  "a b.com",
					  "a.com/",
					  "a.com:80",
					  "http://a.com",
					  "*",
					  "*.",
					  "*.com",
					  "*.*.com",
					  "a.*.com",
					  "x*.a.com",
					  "**.a.com",
					  "1.2.3.4",
					  "example.123",
					  "[::1]",
					  "::1",
					  "b\xc3\xbc.de",
					  "a.com\n",
					  "a,b.com"};
	char label[66], name[300], out[254];
	struct err e = {0};

	domain_is("example.com", "example.com");
	domain_is("WWW.Example.COM.", "www.example.com");
	domain_is("*.Example.com", "*.example.com");
	domain_is("xn--bcher-kva.example", "xn--bcher-kva.example");
	domain_is("1.2.3.4.in-addr.arpa", "1.2.3.4.in-addr.arpa");
	domain_is("a.b-c.d9", "a.b-c.d9");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (name_domain(bad[i], out, &e) == 0)
			fail_msg("taken: %s", bad[i]);
	memset(label, 'a', 64);
	label[63] = 0;
	snprintf(name, sizeof name, "%s.com", label);
	domain_is(name, name);
	label[63] = 'a';
	label[64] = 0;
	snprintf(name, sizeof name, "%s.com", label);
	assert_int_equal(name_domain(name, out, &e), -1);
	for (int i = 0; i < 253; i++)
		name[i] = i % 2 ? '.' : 'a';
	name[253] = 0;
	domain_is(name, name);
	name[253] = '.';
	name[254] = 0;
	assert_int_equal(name_domain(name, out, &e), 0);
	name[253] = 'a';
	assert_int_equal(name_domain(name, out, &e), -1);
	assert_non_null(strstr(e.msg, "253"));
}

static void registry(void **state)
{
	AUTO(auto_str) char *url = name_registry_url("heroku/nodejs");
	char out[130];

	check(name_is_registry, (const char *const[]){"heroku/nodejs", "a/b", "A_b-1/c", NULL, "",
						      "/", "a", "a/", "/b", "a/b/c", "a/b.tgz",
						      "../b", "a/..", "-a/b", "a b/c", NULL});
	assert_true(name_of_registry_url(url, out));
	assert_string_equal(out, "heroku/nodejs");
	assert_true(name_of_registry_url(
		"https://codon-buildpacks.s3.amazonaws.com/buildpacks/heroku/ruby.tgz", out));
	assert_string_equal(out, "heroku/ruby");
	for (const char *const *p =
		     (const char *const[]){
			     "heroku/nodejs", "", "https://example.com/buildpacks/a/b.tgz",
			     "https://buildpack-registry.s3.amazonaws.com/buildpacks/.tgz",
			     "https://buildpack-registry.s3.amazonaws.com/buildpacks/a.tgz",
			     "https://buildpack-registry.s3.amazonaws.com/buildpacks/a/b",
			     "https://buildpack-registry.s3.amazonaws.com/buildpacks/a/../b.tgz",
			     "http://buildpack-registry.s3.amazonaws.com/buildpacks/a/b.tgz", NULL};
	     *p; p++)
		if (name_of_registry_url(*p, out))
			fail_msg("taken: %s", *p);
}

static void below(void **state)
{
	assert_true(name_is_below("example.com", "example.com"));
	assert_true(name_is_below("a.b.example.com", "example.com"));
	assert_true(name_is_below("*.example.com", "example.com"));
	assert_false(name_is_below("example.com", "a.example.com"));
	assert_false(name_is_below("badexample.com", "example.com"));
	assert_false(name_is_below("example.com", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(app_names),   cmocka_unit_test(process_types),
		cmocka_unit_test(config_keys), cmocka_unit_test(uuids_and_addresses),
		cmocka_unit_test(dyno_names),  cmocka_unit_test(domains),
		cmocka_unit_test(below),       cmocka_unit_test(registry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
