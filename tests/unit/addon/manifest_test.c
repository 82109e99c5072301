/* addon.yml: what it means, and that each mistake names file, line and key. */
#include "daemon/addon/manifest.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

DEFINE_AUTO(json_t *, json_decref)

#define HEAD                  \
	"name: memcached\n"   \
	"prefix: MEMCACHED\n" \
	"config_vars: [SERVERS, \"\"]\n"
#define PLANS                                                    \
	"plans:\n"                                               \
	"  - name: small\n"                                      \
	"    limits: {memory_mb: 64, word: \"64\", big: true}\n" \
	"  - {name: large, price: 500, visible: false}\n"

static int parse(const char *text, struct manifest **out, struct err *err)
{
	*err = (struct err){0};
	return manifest_parse("f.yml", text, strlen(text), out, err);
}

static void a_whole_one(void **state)
{
	AUTO(manifest_free) struct manifest *m = NULL;
	struct err err;
	const struct addon_service *s;

	(void)state;
	assert_int_equal(parse(HEAD PLANS "aliases: [memcache]\n"
					  "default_plan: large\n"
					  "abilities: [rotate, info]\n"
					  "service: own\n"
					  "multiple: false\n"
					  "settings: [url]\n"
					  "timeouts: {provision: 5}\n",
			       &m, &err),
			 0);
	s = &m->s;
	assert_string_equal(s->human_name, "memcached");
	assert_string_equal(s->vars[0], "SERVERS");
	assert_string_equal(s->vars[1], "");
	assert_null(s->vars[2]);
	assert_int_equal(s->nplans, 2);
	assert_false(s->plans[0].is_default);
	assert_true(s->plans[0].visible);
	assert_true(s->plans[1].is_default);
	assert_false(s->plans[1].visible);
	assert_int_equal(s->plans[1].cents, 500);
	assert_int_equal(json_integer_value(json_object_get(s->plans[0].limits, "memory_mb")), 64);
	assert_true(json_is_string(json_object_get(s->plans[0].limits, "word")));
	assert_true(json_is_true(json_object_get(s->plans[0].limits, "big")));
	assert_true(s->sharing);
	assert_false(s->multiple);
	assert_int_equal(m->process, ADDON_OWN_PROCESS);
	assert_int_equal(manifest_timeout(m, "provision"), 5);
	assert_int_equal(manifest_timeout(m, "info"), 10);
	assert_int_equal(manifest_timeout(m, "anything"), 60);
}

static void mistakes_name_line_and_key(void **state)
{
	static const struct {
		const char *text, *wants;
	} bad[] = {
		{"", "f.yml:1: is empty"},
		{"[]\n", "f.yml:1: addon.yml: wants a mapping"},
		{HEAD, "f.yml:1: addon.yml: plans is missing"},
		{HEAD "plans: []\n", "f.yml:4: plans: wants a list of plans"},
		{HEAD PLANS "colour: red\n", "f.yml:8: colour: unknown key"},
		{HEAD PLANS "name: again\n", "f.yml:8: name: is there twice"},
		{HEAD "plans:\n  - {name: a}\n  - {name: a}\n",
		 "f.yml:6: plans: plan a is there twice"},
		{HEAD "plans:\n  - name: a\n    prise: 5\n", "f.yml:6: prise: unknown key"},
		{HEAD "plans:\n  - name: a\n    price: five\n", "f.yml:6: price: wants a number"},
		{HEAD PLANS "default_plan: huge\n", "default_plan: there is no plan huge"},
		{HEAD PLANS "sharing: yes\n", "f.yml:8: sharing: wants true or false"},
		{HEAD PLANS "service: maybe\n", "f.yml:8: service: wants none, own or shared"},
		{HEAD PLANS "abilities: [Rotate]\n", "f.yml:8: abilities: wants lower case"},
		{HEAD PLANS "abilities: [a, a]\n", "f.yml:8: abilities: a is there twice"},
		{HEAD PLANS "timeouts: {info: 0}\n", "f.yml:8: info: wants seconds"},
		{HEAD PLANS "docs_url: javascript:x\n", "f.yml:8: docs_url: wants a URL"},
		{HEAD PLANS "human_name: \"a\\nb\"\n", "f.yml:8: human_name: wants one line"},
		{HEAD PLANS "human_name: {a: b}\n", "f.yml:8: human_name: wants a text"},
		{"name: ../x\n" PLANS, "f.yml:1: name: wants lower case"},
		{"name: a\nprefix: data_base\n", "f.yml:2: prefix: wants upper case"},
		{"name: [\n", "f.yml:"},
		{"a: &x [*x]\n", "f.yml:1: a: unknown key"},
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(manifest_free) struct manifest *m = NULL;

		assert_int_equal(parse(bad[i].text, &m, &err), -1);
		assert_int_equal(err.code, ERR_CONFIG);
		if (!strstr(err.msg, bad[i].wants))
			fail_msg("%s, wanted %s", err.msg, bad[i].wants);
	}
}

#define PARTNER HEAD PLANS "partner:\n  base_url: https://acme.example/heroku/resources//\n"

static void a_partner(void **state)
{
	static const struct {
		const char *text, *wants;
	} bad[] = {
		{HEAD PLANS "partner: {}\n", "f.yml:8: partner: base_url is missing"},
		{PARTNER "  url: x\n", "f.yml:10: url: unknown key"},
		{HEAD PLANS "partner: {base_url: \"http://acme.example/x\"}\n",
		 "f.yml:8: base_url: wants an https:// URL"},
		{HEAD PLANS "partner: {base_url: \"http://localhost.evil.example/x\"}\n",
		 "f.yml:8: base_url: wants an https:// URL"},
		{HEAD PLANS "partner: {base_url: \"https://a:b@acme.example/x\"}\n",
		 "f.yml:8: base_url: wants a URL without"},
		{HEAD PLANS "partner: {base_url: \"https://\"}\n",
		 "f.yml:8: base_url: wants an https:// URL"},
		{PARTNER "  sso_url: \"https://acme.example/\\\" onload=\"\n",
		 "f.yml:10: sso_url: wants a URL without"},
		{PARTNER "  requires: [many_per_app]\n", "f.yml:10: requires: many_per_app is not"},
		{PARTNER "  id: \"a:b\"\n", "id: is no user's name"},
		{PARTNER "abilities: [info]\n", "abilities: is not for partners"},
		{PARTNER "service: own\n", "service: is not for partners"},
		{PARTNER "settings: [x]\n", "settings: is not for partners"},
		{PARTNER "timeouts: {info: 5}\n", "timeouts: is not for partners"},
	};
	AUTO(manifest_free) struct manifest *m = NULL;
	AUTO(json_decref) json_t *o = json_pack("{s:s}", "password", "x");
	struct err err;

	(void)state;
	assert_int_equal(parse(PARTNER "  sso_url: http://localhost:4567/sso\n"
				       "  requires: [log_drain]\n",
			       &m, &err),
			 0);
	assert_true(m->s.http && m->partner.log_drain && !m->partner.log_input);
	assert_string_equal(m->partner.base_url, "https://acme.example/heroku/resources");
	assert_string_equal(m->partner.id, "memcached");
	assert_true(addon_service_can(&m->s, "change"));
	assert_int_equal(manifest_settings_check(m, "d", o, &err), -1);
	assert_string_equal(err.msg, "d/memcached.yml: sso_salt is missing, which the partner's "
				     "manifest f.yml needs");
	json_object_set_new(o, "sso_salt", json_string("y"));
	assert_int_equal(manifest_settings_check(m, "d", o, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(manifest_free) struct manifest *none = NULL;

		assert_int_equal(parse(bad[i].text, &none, &err), -1);
		if (!strstr(err.msg, bad[i].wants))
			fail_msg("%s, wanted %s", err.msg, bad[i].wants);
	}
}

static void settings_are_of_the_manifest_and_secret(void **state)
{
	AUTO(manifest_free) struct manifest *m = NULL;
	AUTO(json_decref) json_t *o = NULL;
	AUTO(json_decref) json_t *none = NULL;
	char dir[] = "/tmp/addon-manifest-XXXXXX";
	const char text[] = "url: postgres://u:p@h/d\n";
	struct err err = {0};
	FILE *f;

	(void)state;
	assert_int_equal(parse(HEAD PLANS "settings: [url]\n", &m, &err), 0);
	assert_int_equal(manifest_settings_parse(m, "s.yml", "uri: x\n", 7, &o, &err), -1);
	assert_string_equal(err.msg, "s.yml:1: uri: unknown key");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(manifest_settings_load(m, dir, &none, &err), 0);
	assert_int_equal(json_object_size(none), 0);
	AUTO(auto_str) char *path = xasprintf("%s/memcached.yml", dir);
	f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(manifest_settings_load(m, dir, &o, &err), -1);
	assert_non_null(strstr(err.msg, "chmod 600"));
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(manifest_settings_load(m, dir, &o, &err), 0);
	assert_string_equal(json_string_value(json_object_get(o, "url")), "postgres://u:p@h/d");
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_one),
		cmocka_unit_test(mistakes_name_line_and_key),
		cmocka_unit_test(a_partner),
		cmocka_unit_test(settings_are_of_the_manifest_and_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
