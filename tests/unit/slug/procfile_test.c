#include "daemon/slug/slug.h"
#include "proto/buf.h"
#include "proto/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void warned(const char *line, void *arg)
{
	buf_addf(arg, "%s\n", line);
}

/* "type=command|..." sorted by type */
static char *shown(const struct proc_types *t)
{
	struct buf b = {0};

	for (int i = 0; i < t->n; i++)
		buf_addf(&b, "%s%s=%s", i ? "|" : "", t->v[i].type, t->v[i].command);
	return buf_steal(&b);
}

static const struct {
	const char *text, *want, *warning;
} good[] = {
	{"", "", ""},
	{"web: bin/rails server -p $PORT\n", "web=bin/rails server -p $PORT", ""},
	{"web: a", "web=a", ""},
	{"worker: b\nweb: a\n", "web=a|worker=b", ""},
	{"web: a\r\nworker: b\r\n", "web=a|worker=b", ""},
	{"\xef\xbb\xbfweb: a\n", "web=a", ""},
	{"# a comment: x\n\n   \t\nweb: a\n  # more\n", "web=a", ""},
	{"  web  :   a b  \n", "web=a b", ""},
	{"web:a", "web=a", ""},
	{"web: echo a: b # c\n", "web=echo a: b # c", ""},
	{"web: FOO=\"x y\" exec a && b | c\n", "web=FOO=\"x y\" exec a && b | c", ""},
	{"my-worker_2: a\n", "my-worker_2=a", ""},
	{"release: rake db:migrate\nweb: a\n", "release=rake db:migrate|web=a", ""},
	{"web: a\nweb: b\n", "web=b", "Procfile:2: web is declared twice, the last one counts\n"},
	{"web: h\xc3\xa9\xff\n", "web=h\xc3\xa9\xff", ""},
};

static void declared_types_are_read(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct proc_types t = {0};
		struct buf w = {0};
		struct err err = {0};
		char *got;

		assert_int_equal(procfile_parse_warn(good[i].text, strlen(good[i].text), &t, warned,
						     &w, &err),
				 0);
		got = shown(&t);
		assert_string_equal(got, good[i].want);
		assert_string_equal(buf_str(&w), good[i].warning);
		free(got);
		buf_clear(&w);
		proc_types_clear(&t);
	}
}

static const struct {
	const char *text;
	size_t n;
	const char *msg;
} bad[] = {
	{"web rails s\n", 12, "Procfile:1: \"web rails s\" is not of the form TYPE: COMMAND"},
	{"\nweb:\n", 6, "Procfile:2: web has no command"},
	{"web.1: a\n", 9, "Procfile:1: \"web.1\" is not a process type"},
	{": a\n", 4, "Procfile:1: \"\" is not a process type"},
	{"we b: a\n", 8, "Procfile:1: \"we b\" is not a process type"},
	{"web: a\0b\n", 9, "Procfile:1: there is a NUL byte"},
	{"\xff\xfew\0e\0b\0", 8, "Procfile: it is UTF-16"},
	{"a\x1b[31m\n", 7, "Procfile:1: \"a?[31m\" is not"},
};

static void mistakes_name_their_line(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct proc_types t = {0};
		struct err err = {0};

		assert_int_equal(procfile_parse(bad[i].text, bad[i].n, &t, &err), -1);
		assert_int_equal(err.code, ERR_BUILD_FAILED);
		if (!strstr(err.msg, bad[i].msg))
			fail_msg("%s\nis not\n%s", err.msg, bad[i].msg);
		assert_int_equal(t.n, 0);
	}
}

static void sizes_are_limited(void **state)
{
	struct proc_types t = {0};
	struct err err = {0};
	struct buf b = {0};

	for (int i = 0; i < LIM_PROC_TYPE + 1; i++)
		buf_addc(&b, 'a');
	buf_adds(&b, ": x\n");
	assert_int_equal(procfile_parse(b.data, b.len, &t, &err), -1);
	assert_int_equal(procfile_parse(b.data + 1, b.len - 1, &t, &err), 0);
	assert_int_equal(t.n, 1);
	buf_reset(&b);
	while (b.len <= LIM_PROCFILE)
		buf_adds(&b, "# filler filler filler\n");
	assert_int_equal(procfile_parse(b.data, b.len, &t, &err), -1);
	buf_reset(&b);
	buf_adds(&b, "web: ");
	while (b.len < LIM_COMMAND + 6)
		buf_addc(&b, 'x');
	assert_int_equal(procfile_parse(b.data, b.len, &t, &err), -1);
	assert_int_equal(procfile_parse(b.data, b.len - 1, &t, &err), 0);
	buf_clear(&b);
	proc_types_clear(&t);
}

static void types_stay_sorted_and_unique(void **state)
{
	static const char *const order[] = {"m", "a", "z", "m", "b", "a"};
	struct proc_types t = {0};
	char *got;

	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		char cmd[8];

		snprintf(cmd, sizeof(cmd), "%zu", i);
		proc_types_set(&t, order[i], cmd);
	}
	got = shown(&t);
	assert_string_equal(got, "a=5|b=4|m=3|z=2");
	assert_string_equal(proc_types_get(&t, "m"), "3");
	assert_null(proc_types_get(&t, "c"));
	free(got);
	proc_types_clear(&t);
	assert_null(proc_types_get(&t, "m"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(declared_types_are_read),
		cmocka_unit_test(mistakes_name_their_line),
		cmocka_unit_test(sizes_are_limited),
		cmocka_unit_test(types_stay_sorted_and_unique),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
