/* What the API decides by text alone: paths, scopes, headers, fields of bodies. */
#include "daemon/api/api_int.h"
#include "tests/unit/test.h"

#include <sodium.h>
#include <string.h>

static void paths(void **state)
{
	static const struct {
		const char *pattern, *path, *params[API_PARAMS]; /* params[0] "-" = no match */
	} t[] = {
		{"/apps", "/apps", {NULL}},
		{"/apps", "/apps/", {"-"}},
		{"/apps", "/app", {"-"}},
		{"/apps/:app", "/apps/web", {"web"}},
		{"/apps/:app", "/apps/", {"-"}},
		{"/apps/:app", "/apps/a/b", {"-"}},
		{"/apps/:app/dynos", "/apps/web/dynos", {"web"}},
		{"/apps/:app/dynos", "/apps//dynos", {"-"}},
		{"/apps/:app/dynos/:dyno", "/apps/web/dynos/web.1", {"web", "web.1"}},
		{"/apps/:app/dynos/:dyno", "/apps/web/dynos/a%2Fb", {"web", "a%2Fb"}},
		{"/apps/:app/dynos/:dyno/actions/stop", "/apps/web/dynos/web.1/actions/sto", {"-"}},
		{"/a/:b/:c/:d", "/a/1/2/3", {"1", "2", "3"}},
		{"/a/:b/:c/:d/:e", "/a/1/2/3/4", {"-"}}, /* more than there is room for */
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct api_span p[API_PARAMS] = {0};
		bool want = !t[i].params[0] || strcmp(t[i].params[0], "-") != 0;

		if (api_match(t[i].pattern, t[i].path, p) != want)
			fail_msg("%s on %s", t[i].pattern, t[i].path);
		for (int k = 0; want && k < API_PARAMS && t[i].params[k]; k++) {
			assert_int_equal(p[k].n, strlen(t[i].params[k]));
			assert_memory_equal(p[k].p, t[i].params[k], p[k].n);
		}
	}
}

static void scopes(void **state)
{
	static const struct {
		const char *have;
		enum api_scope need;
		bool ok;
	} t[] = {
		{"identity", SCOPE_ANY, true},
		{"identity", SCOPE_READ, false},
		{"read", SCOPE_READ, true},
		{"read", SCOPE_READ_PROTECTED, false},
		{"read", SCOPE_WRITE, false},
		{"write", SCOPE_READ, true},
		{"write", SCOPE_READ_PROTECTED, false},
		{"write", SCOPE_WRITE_PROTECTED, false},
		{"read-protected", SCOPE_READ, true},
		{"read-protected", SCOPE_WRITE, false},
		{"write-protected", SCOPE_READ_PROTECTED, true},
		{"write-protected", SCOPE_GLOBAL, false},
		{"write read-protected", SCOPE_READ_PROTECTED, true},
		{"write read-protected", SCOPE_WRITE_PROTECTED, false},
		{"global", SCOPE_GLOBAL, true},
		{"globale", SCOPE_ANY, false},
		{"glob", SCOPE_ANY, false},
		{"write-protecte", SCOPE_ANY, false},
		{"", SCOPE_ANY, false},
		{"unheard-of", SCOPE_ANY, false},
		{"  read  ", SCOPE_READ, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		if (api_scope_allows(t[i].have, t[i].need) != t[i].ok)
			fail_msg("%s: %d", t[i].have, t[i].need);
	/* A route that says nothing admits nobody. */
	assert_false(api_scope_allows("global", SCOPE_UNSET));
	assert_true(api_scope_known("global"));
	assert_false(api_scope_known("root"));
	assert_false(api_scope_known(""));
}

static void routes_say_what_they_need(void **state)
{
	API_EACH_ROUTE (r) {
		assert_int_not_equal(r->need, NEED_UNSET);
		assert_int_not_equal(r->scope, SCOPE_UNSET);
		assert_non_null(r->fn);
		assert_non_null(r->text);
		if (r->need >= NEED_VIEW)
			assert_int_equal(strncmp(strchr(r->path, ':'), ":app", 4), 0);
		API_EACH_ROUTE (o)
			if (o != r && strcmp(o->path, r->path) == 0)
				assert_string_not_equal(o->method, r->method);
	}
}

static void headers(void **state)
{
	assert_true(api_accepts(NULL));
	assert_true(api_accepts("*/*"));
	assert_true(api_accepts("application/json"));
	assert_true(api_accepts("application/vnd.heroku+json"));
	assert_true(api_accepts("application/vnd.heroku+json; version=3"));
	assert_true(api_accepts("application/vnd.heroku+json; version=3.sdk"));
	assert_true(api_accepts("application/vnd.heroku+json; version=3.cancel-build"));
	assert_true(api_accepts("application/vnd.heroku+json;version=\"3\""));
	assert_true(api_accepts("application/vnd.heroku+json, text/x; version=2"));
	assert_false(api_accepts("application/vnd.heroku+json; version=2"));
	assert_false(api_accepts("application/vnd.heroku+json; version=30"));
	assert_true(api_own_site(NULL));
	assert_true(api_own_site("same-origin"));
	assert_true(api_own_site("none"));
	assert_false(api_own_site("cross-site"));
	assert_false(api_own_site("same-site")); /* an app of this platform is that */
	assert_true(api_etag_known("\"abc\"", "\"abc\""));
	assert_true(api_etag_known("W/\"abc\"", "\"abc\""));
	assert_true(api_etag_known("\"x\", \"abc\"", "\"abc\""));
	assert_true(api_etag_known("*", "\"abc\""));
	assert_false(api_etag_known("\"xabc\"", "\"abc\""));
	assert_false(api_etag_known(NULL, "\"abc\""));
}

static int parse(const char *text, size_t n, struct err *err)
{
	json_t *j = NULL;
	int rc = api_body_parse(text, n, &j, err);

	assert_true((rc == 0) == (j != NULL));
	json_decref(j);
	return rc ? err->status : 0;
}

static void bodies(void **state)
{
	static const struct {
		const char *text;
		int status;
	} t[] = {
		{"{}", 0},
		{" {\"a\": [1, null]} ", 0},
		{"[]", 400},
		{"1", 400},
		{"\"a\"", 400},
		{"null", 400},
		{"{", 400},
		{"{\"a\": 1,}", 400},
		{"{\"a\": 1} x", 400},
		{"{\"a\": 1, \"a\": 2}", 400},
		{"{\"a\": 99999999999999999999}", 400},
		{"{\"a\": \"\\ud800\"}", 400},
		{"{\"a\": \"\\u0000\"}", 422},
		{"{\"\\u0000\": 1}", 422},
		{"{\"a\": \"\xff\"}", 422},
		{"{\"a\": \"\xc0\x80\"}", 422},
		{"{\"a\": \"\xed\xa0\x80\"}", 422},
		{"\xff", 422},
	};
	struct err err = {0};
	char deep[10000];

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		err = (struct err){0};
		if (parse(t[i].text, strlen(t[i].text), &err) != t[i].status)
			fail_msg("%s: %d %s", t[i].text, err.status, err.msg);
	}
	assert_int_equal(parse("{\"a\": 1\0}", 9, &err), 422);
	assert_int_equal(parse("{\"a\": \"x\0y\"}", 12, &err), 422);
	memset(deep, '[', sizeof deep);
	memcpy(deep, "{\"a\":", 5);
	assert_int_equal(parse(deep, sizeof deep, &err), 400);
}

static void numbers(void **state)
{
	static const struct {
		const char *json;
		int rc;
		int64_t n;
		bool relative;
	} t[] = {
		{"2", 0, 2, false},
		{"\"2\"", 0, 2, false},
		{"\"+1\"", 0, 1, true},
		{"\"-1\"", 0, -1, true},
		{"-1", 0, -1, false},
		{"\"007\"", 0, 7, false},
		{"\"\"", -1, 0, false},
		{"\"+\"", -1, 0, false},
		{"\" 1\"", -1, 0, false},
		{"\"1 \"", -1, 0, false},
		{"\"+-1\"", -1, 0, false},
		{"\"0x1\"", -1, 0, false},
		{"1.0", -1, 0, false},
		{"true", -1, 0, false},
		{"null", -1, 0, false},
		{"[]", -1, 0, false},
		{"\"99999999999999999999\"", 0, INT64_MAX, false},
		{"\"-99999999999999999999\"", 0, INT64_MIN, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		json_t *j = json_loads(t[i].json, JSON_DECODE_ANY, NULL);
		bool relative;
		int64_t n;
		int rc = api_number(j, &n, &relative);

		if (rc != t[i].rc || (rc == 0 && (n != t[i].n || relative != t[i].relative)))
			fail_msg("%s", t[i].json);
		json_decref(j);
	}
}

static void text_becomes_utf8(void **state)
{
	static const char *const t[][2] = {
		{"plain", "plain"},
		{"", ""},
		{"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
		{"gr\xfc\xdf", "gr\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xf0\x9f\x98\x80!", "\xf0\x9f\x98\x80!"},
		{"cut \xf0\x9f\x98", "cut \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xe0\x80\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	};
	json_t *j;

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		j = json_text(t[i][0]);
		assert_non_null(j);
		assert_string_equal(json_string_value(j), t[i][1]);
		json_decref(j);
	}
	for (unsigned c = 1; c < 0x10000; c++) { /* jansson takes whatever comes out */
		char s[3] = {(char)(c & 0xff), (char)(c >> 8), 0};

		if (!s[0])
			continue;
		j = json_text(s);
		assert_non_null(j);
		json_decref(j);
	}
	j = json_text(NULL);
	assert_string_equal(json_string_value(j), "");
	json_decref(j);
}

/* An unknown address must take as long as a wrong password. */
static void no_password_costs_as_much_as_one(void **state)
{
	char real[128];

	assert_int_equal(crypto_pwhash_str_needs_rehash(api_password_none,
							crypto_pwhash_OPSLIMIT_INTERACTIVE,
							crypto_pwhash_MEMLIMIT_INTERACTIVE),
			 0);
	password_hash("x", real);
	assert_int_equal(strlen(real), strlen(api_password_none));
	assert_false(password_ok(api_password_none, ""));
	assert_false(password_ok(api_password_none, "x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(scopes),
		cmocka_unit_test(routes_say_what_they_need),
		cmocka_unit_test(headers),
		cmocka_unit_test(bodies),
		cmocka_unit_test(numbers),
		cmocka_unit_test(text_becomes_utf8),
		cmocka_unit_test(no_password_costs_as_much_as_one),
	};

	codec_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
