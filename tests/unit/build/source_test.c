#include "daemon/build/source.h"
#include "proto/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool has(const char *name, void *arg)
{
	return !strcmp(name, "ruby") || !strcmp(name, "nodejs");
}

static char *map[] = {(char[]){"heroku/node=nodejs"},
		      (char[]){"acme/x=https://example.com/x.git#v1"}, (char[]){"loop/a=loop/b"},
		      (char[]){"loop/b=loop/a"}, NULL};

#define B SOURCE_BUNDLED
#define G SOURCE_GIT
#define T SOURCE_TARBALL
#define L SOURCE_LOCAL

static const struct {
	const char *text;
	bool open; /* private and local allowed */
	int kind;  /* -1 = refused */
	const char *what, *ref;
} cases[] = {
	{"ruby", false, B, "ruby", NULL},
	{"heroku/ruby", false, B, "ruby", NULL},
	{"heroku-community/ruby", false, B, "ruby", NULL},
	{"urn:buildpack:heroku/ruby", false, B, "ruby", NULL},
	{"heroku/node", false, B, "nodejs", NULL},
	{"https://buildpack-registry.s3.amazonaws.com/buildpacks/heroku/ruby.tgz", false, B, "ruby",
	 NULL},
	{"https://codon-buildpacks.s3.amazonaws.com/buildpacks/heroku/node.tgz", false, B, "nodejs",
	 NULL},
	{"https://buildpack-registry.s3.amazonaws.com/buildpacks/acme/x.tgz", false, G,
	 "https://example.com/x.git", "v1"},
	{"https://buildpack-registry.s3.amazonaws.com/buildpacks/no/such.tgz", false, -1, NULL,
	 NULL},
	{"acme/x", false, G, "https://example.com/x.git", "v1"},
	{"acme/ruby", false, -1, NULL, NULL},
	{"heroku/php", false, -1, NULL, NULL},
	{"loop/a", false, -1, NULL, NULL},
	{"../ruby", false, -1, NULL, NULL},
	{"", false, -1, NULL, NULL},
	{"ruby nodejs", false, -1, NULL, NULL},
	{"https://example.com/x.git", false, G, "https://example.com/x.git", NULL},
	{"https://example.com/x", false, G, "https://example.com/x", NULL},
	{"https://example.com/x.git#main", false, G, "https://example.com/x.git", "main"},
	{"https://example.com/x#feature/a-b", false, G, "https://example.com/x", "feature/a-b"},
	{"https://example.com/x#--upload-pack=sh", false, -1, NULL, NULL},
	{"https://example.com/x#", false, -1, NULL, NULL},
	{"https://example.com/x#a b", false, -1, NULL, NULL},
	{"https://example.com/x.tgz", false, T, "https://example.com/x.tgz", NULL},
	{"https://example.com/x.tar.gz?a=b", false, T, "https://example.com/x.tar.gz?a=b", NULL},
	{"https://example.com/x.tar.gz#v1", false, T, "https://example.com/x.tar.gz", "v1"},
	{"http://example.com/x.git", false, -1, NULL, NULL},
	{"http://example.com/x.git", true, G, "http://example.com/x.git", NULL},
	{"file:///x/y.git", false, -1, NULL, NULL},
	{"file:///x/y.git", true, G, "file:///x/y.git", NULL},
	{"/x/y", false, -1, NULL, NULL},
	{"/x/y", true, L, "/x/y", NULL},
	{"git@example.com:x/y.git", true, -1, NULL, NULL},
	{"ssh://git@example.com/x.git", true, -1, NULL, NULL},
	{"ext::sh -c x", true, -1, NULL, NULL},
	{"ext::sh://x", true, -1, NULL, NULL},
};

static void references_mean_what_they_say(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct config cfg = {.buildpack_map = map,
				     .allow_private_urls = cases[i].open,
				     .allow_local_buildpacks = cases[i].open};
		struct source s;
		struct err err = {0};
		int rc = source_resolve(&cfg, cases[i].text, has, NULL, &s, &err);

		if ((rc < 0) != (cases[i].kind < 0))
			fail_msg("%s: %d %s", cases[i].text, rc, err.msg);
		if (rc < 0)
			continue;
		assert_int_equal(s.kind, cases[i].kind);
		assert_string_equal(s.what, cases[i].what);
		assert_int_equal(s.ref != NULL, cases[i].ref != NULL);
		if (s.ref)
			assert_string_equal(s.ref, cases[i].ref);
		source_clear(&s);
	}
}

static void detected_names_are_the_maps_keys(void **state)
{
	struct config cfg = {.buildpack_map = map};
	AUTO(auto_str) char *node = source_public_name(&cfg, "nodejs");
	AUTO(auto_str) char *make = source_public_name(&cfg, "make");

	assert_string_equal(node, "heroku/node");
	assert_string_equal(make, "make");
}

static const struct {
	const char *text, *want;
} shown[] = {
	{"heroku/ruby", "heroku/ruby"},
	{"https://example.com/x.git#a@b", "https://example.com/x.git#a@b"},
	{"https://user:pw@example.com/x.git", "https://***@example.com/x.git"},
	{"https://tok@en@example.com/x@y", "https://***@example.com/x@y"},
};

static void secrets_are_not_shown(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
		AUTO(auto_str) char *s = source_shown(shown[i].text);

		assert_string_equal(s, shown[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references_mean_what_they_say),
		cmocka_unit_test(detected_names_are_the_maps_keys),
		cmocka_unit_test(secrets_are_not_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
