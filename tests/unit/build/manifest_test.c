#include "daemon/build/manifest.h"
#include "proto/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void warned(const char *line, void *arg)
{
	buf_addf(arg, "%s\n", line);
}

static void add(struct buf *b, const char *kind, const struct proc_types *t)
{
	for (int i = 0; i < t->n; i++)
		buf_addf(b, "%s %s=%s\n", kind, t->v[i].type, t->v[i].command);
}

static const struct {
	const char *text, *want, *warning;
} good[] = {
	{"", "", ""},
	{"---\n", "", ""},
	{"--- {}\n", "", ""},
	{"--- {}", "", ""},
	{"{}", "", ""},
	{"\r\n", "", ""},
	{"# nothing\n", "", ""},
	{"---\ndefault_process_types:\n  web: bundle exec rackup config.ru -p ${PORT:-5000}\n",
	 "type web=bundle exec rackup config.ru -p ${PORT:-5000}\n", ""},
	{"---\r\ndefault_process_types:\r\n  web: a b\r\n  console: irb\r\n",
	 "type console=irb\ntype web=a b\n", ""},
	{"default_process_types:\n  web: a -b 'c' \"d\" $E {f} [g] # not of it\n",
	 "type web=a -b 'c' \"d\" $E {f} [g]\n", ""},
	{"default_process_types:\n  web: 'it''s: quoted'\n  x: \"a\\tb\"\n",
	 "type web=it's: quoted\ntype x=a\tb\n", ""},
	{"default_process_types:\n  web: host:80 c://d\n", "type web=host:80 c://d\n", ""},
	{"default_process_types: {}\naddons: []\nconfig_vars: {}\n", "", ""},
	{"default_process_types:\naddons:\nconfig_vars:\n", "", ""},
	{"default_process_types: {web: a b, x: c}\n", "type web=a b\ntype x=c\n", ""},
	{"addons:\n  - heroku-postgresql:hobby-dev\n  - x\n",
	 "addon heroku-postgresql:hobby-dev\naddon x\n", ""},
	{"config_vars:\n  LANG: en_US.UTF-8\n  N: 007\n", "config LANG=en_US.UTF-8\nconfig N=007\n",
	 ""},
	{"config_vars:\n  E: ''\n", "config E=\n", ""},
	{"other:\n  deep:\n    - {a: [1, 2]}\ndefault_process_types:\n  web: a\n", "type web=a\n",
	 ""},
	{"default_process_types:\n  we b: a\n  web: b\n", "type web=b\n",
	 "bin/release:2: default_process_types: not a valid name, left out\n"},
	{"default_process_types:\n  web: [a]\n  x: y\n", "type x=y\n",
	 "bin/release:2: web: not a usable value, left out\n"},
	{"default_process_types: hello\n", "",
	 "bin/release:1: default_process_types: not a mapping, left out\n"},
	{"addons: x\n", "", "bin/release:1: addons: not a list, left out\n"},
	{"addons:\n  - [x]\n  - y\n", "addon y\n",
	 "bin/release:2: addons: not a usable entry, left out\n"},
	{"config_vars:\n  a: &x v\n  b: *x\n", "config a=v\n",
	 "bin/release:3: b: not a usable value, left out\n"},
	{"default_process_types:\n  web: \"a\\0b\"\n", "",
	 "bin/release:2: web: not a usable value, left out\n"},
	{"default_process_types:\n  web: a\n---\ndefault_process_types:\n  web: b\n",
	 "type web=a\n", ""},
};

static void known_keys_come_through_byte_for_byte(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct release_yaml r;
		struct buf got = {0}, w = {0};
		struct err err = {0};

		if (release_yaml_parse(good[i].text, strlen(good[i].text), &r, warned, &w, &err) <
		    0)
			fail_msg("%s: %s", good[i].text, err.msg);
		add(&got, "type", &r.types);
		add(&got, "config", &r.config);
		for (int k = 0; k < r.naddons; k++)
			buf_addf(&got, "addon %s\n", r.addons[k]);
		assert_string_equal(buf_str(&got), good[i].want);
		assert_string_equal(buf_str(&w), good[i].warning);
		release_yaml_clear(&r);
		buf_clear(&got);
		buf_clear(&w);
	}
}

static const char *const bad[] = {
	"hello",
	"- a\n- b\n",
	"default_process_types:\n  web: @x\n",
	"default_process_types:\n  web: a\n bad: b\n",
	"a: [\n",
	"web: \xff\xfe\n",
	"\x01",
	"default_process_types:\n  web: a\n  x: \"unended\n",
};

static void other_documents_give_nothing(void **state)
{
	struct buf big = {0};
	struct release_yaml r;
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (release_yaml_parse(bad[i], strlen(bad[i]), &r, NULL, NULL, &err) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_int_equal(r.types.n + r.config.n + r.naddons, 0);
		assert_true(err.msg[0]);
	}
	while (big.len <= LIM_RELEASE_YAML)
		buf_adds(&big, "# filler\n");
	assert_int_equal(release_yaml_parse(big.data, big.len, &r, NULL, NULL, &err), -1);
	buf_clear(&big);
}

static const struct {
	const char *text, *want; /* NULL: refused */
} reports[] = {
	{"{\"a\": 1, \"b\": \"x\", \"c\": true}", "{\"a\":1,\"b\":\"x\",\"c\":true}"},
	{"---\nversion: 1.5\nname: node\nnested:\n  x: 1\nquoted: '7'\n",
	 "{\"name\":\"node\",\"quoted\":\"7\",\"version\":1.5}"},
	{"", NULL},
	{"{}", NULL},
	{"oops", NULL},
	{"{\"a\": [1]}", NULL},
};

static void reports_are_flat(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(reports); i++) {
		struct buf json = {0};
		struct err err = {0};
		int rc = report_parse(reports[i].text, strlen(reports[i].text), &json, &err);

		assert_int_equal(rc, reports[i].want ? 0 : -1);
		if (reports[i].want)
			assert_string_equal(buf_str(&json), reports[i].want);
		buf_clear(&json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_keys_come_through_byte_for_byte),
		cmocka_unit_test(other_documents_give_nothing),
		cmocka_unit_test(reports_are_flat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
