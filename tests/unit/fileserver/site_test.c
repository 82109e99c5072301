/* The pure parts of paas-static, and what static.json may say. */
#include "fileserver/site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static void globs_match(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool match;
	} t[] = {
		{"/", "/", true},
		{"/", "/a", false},
		{"/*.html", "/baz.html", true},
		{"/*.html", "/bar/baz.html", false},
		{"/*", "/", true},
		{"/*", "/a/b", false},
		{"/**", "/", true},
		{"/**", "/a/b/c", true},
		{"/app/**", "/app/", true},
		{"/app/**", "/app", false},
		{"/app/**", "/application", false},
		{"/a/*/c", "/a/b/c", true},
		{"/a/*/c", "/a/b/b/c", false},
		{"/a/**/c", "/a/b/b/c", true},
		{"/**/*.js", "/x/y/z.js", true},
		{"/**/*.js", "/x/y/z.jsx", false},
		{"/*a*b/c", "/xxaxxabxb/c", true},
		{"/*a*b/c", "/xxaxxb/d", false},
		{"/x**y*z", "/x/y/y/yz", true},
		{"/a.b", "/axb", false},
		{"/[a]", "/a", false},
		{"/[a]", "/[a]", true},
		{"/***", "/a/b", true},
	};
	char evil[2001];

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		if (fsv_glob(t[i].pattern, t[i].path) != t[i].match)
			fail_msg("%s on %s", t[i].pattern, t[i].path);
	memset(evil, 'a', 2000); /* no exponential search */
	evil[0] = '/';
	evil[2000] = 0;
	assert_false(fsv_glob("/a*a*a*a*a*a*a*a*a*a*a*a*a**a**a**a**a**ab", evil));
}

static struct http1_str str(const char *s)
{
	return (struct http1_str){s, (uint32_t)strlen(s)};
}

static void ranges_are_read(void **state)
{
	static const struct {
		const char *text;
		int r;
		off_t off, n;
	} t[] = {
		{"bytes=0-0", 1, 0, 1},
		{"bytes=0-", 1, 0, 100},
		{"bytes=10-19", 1, 10, 10},
		{"Bytes=90-1000", 1, 90, 10},
		{"bytes=-5", 1, 95, 5},
		{"bytes=-500", 1, 0, 100},
		{"bytes=100-", -1, 0, 0},
		{"bytes=-0", -1, 0, 0},
		{"bytes=99999999999999999999999999-", -1, 0, 0},
		{"bytes=5-4", 0, 0, 0},
		{"bytes=0-1,3-4", 0, 0, 0},
		{"bytes=", 0, 0, 0},
		{"bytes=-", 0, 0, 0},
		{"bytes=a-b", 0, 0, 0},
		{"bytes= 0-1", 0, 0, 0},
		{"lines=0-1", 0, 0, 0},
		{"", 0, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		off_t off = 0, n = 0;

		if (fsv_range(str(t[i].text), 100, &off, &n) != t[i].r || off != t[i].off ||
		    n != t[i].n)
			fail_msg("%s", t[i].text);
	}
	assert_int_equal(fsv_range(str("bytes=0-"), 0, &(off_t){0}, &(off_t){0}), -1);
}

static void dates_go_both_ways(void **state)
{
	char text[32];

	fsv_http_date(784111777, text);
	assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
	assert_int_equal(fsv_parse_date(str(text)), 784111777);
	assert_int_equal(fsv_parse_date(str("Mon, 06 Nov 1994 08:49:37 GMT")), -1);
	assert_int_equal(fsv_parse_date(str("Sun, 06 Nox 1994 08:49:37 GMT")), -1);
	assert_int_equal(fsv_parse_date(str("Sunday, 06-Nov-94 08:49:37 GMT")), -1);
	assert_int_equal(fsv_parse_date(str("")), -1);
}

static void types_come_from_names(void **state)
{
	bool text, compress;

	assert_string_equal(fsv_content_type("/a/b.HTML", &text, &compress), "text/html");
	assert_true(text && compress);
	assert_string_equal(fsv_content_type("/a.d/b", &text, &compress),
			    "application/octet-stream");
	assert_string_equal(fsv_content_type("/a.png", &text, &compress), "image/png");
	assert_false(text || compress);
}

/* --- static.json -------------------------------------------------------------------------------
 */

static int setup(void **state)
{
	char *dir = strdup("/tmp/static-test-XXXXXX");

	if (!mkdtemp(dir) || chdir(dir) < 0)
		return -1;
	*state = dir;
	return mkdir("public", 0755) < 0 || mkdir("public_html", 0755) < 0;
}

static int teardown(void **state)
{
	unlink("static.json");
	rmdir("public");
	rmdir("public_html");
	if (chdir("/") < 0 || rmdir(*state) < 0)
		return -1;
	free(*state);
	return 0;
}

static int load(struct fsv_site *s, const char *json, struct err *err)
{
	FILE *f = fopen("static.json", "w");

	fputs(json, f);
	fclose(f);
	return fsv_site_load(s, NULL, NULL, err);
}

static void mistakes_name_the_key(void **state)
{
	static const struct {
		const char *json, *says;
	} t[] = {
		{"{", "static.json:1: "},
		{"[]", "must hold an object"},
		{"{\"clean_url\": true}", "static.json: clean_url: unknown key; known are root, "},
		{"{\"root\": 1}", "root: must be a text"},
		{"{\"root\": \"a/../b\"}", "root: must not point out of the app"},
		{"{\"root\": \"nowhere\"}", "the root nowhere: No such file"},
		{"{\"root\": \"public\", \"root\": \"x\"}", "duplicate"},
		{"{\"clean_urls\": \"yes\"}", "clean_urls: must be true or false"},
		{"{\"proxies\": {}}", "proxies: proxying is not supported"},
		{"{\"routes\": []}", "routes: must be an object"},
		{"{\"routes\": {\"/a\": 1}}", "routes, \"/a\": must be a file name"},
		{"{\"routes\": {\"/a\": \"../x\"}}", "routes, \"/a\": must not point out"},
		{"{\"redirects\": {\"/a\": {\"status\": 301}}}", "redirects, \"/a\": must be {"},
		{"{\"redirects\": {\"/a\": {\"url\": \"/b\", \"status\": 200}}}", "status must be"},
		{"{\"redirects\": {\"/a\": \"/b\\r\\nX: y\"}}", "control characters"},
		{"{\"redirects\": {\"/a\": \"${NOT_SET_HERE}\"}}", "NOT_SET_HERE is not set"},
		{"{\"headers\": {\"/a\": \"b\"}}", "headers, \"/a\": must be an object"},
		{"{\"headers\": {\"/a\": {\"X Y\": \"b\"}}}", "\"X Y\": this header cannot"},
		{"{\"headers\": {\"/a\": {\"Content-Length\": \"1\"}}}", "cannot be set"},
		{"{\"headers\": {\"/a\": {\"X\": \"b\\nc\"}}}", "control characters"},
		{"{\"headers\": {\"/a\": {\"X\": 1}}}", "headers, \"/a\", \"X\": must be a text"},
		{"{\"encoding\": \"a b\"}", "encoding: "},
		{"{\"canonical_host\": \"http://a\"}", "canonical_host: must be a host name"},
		{"{\"logging\": {\"access\": 1}}", "logging.access: must be true or false"},
		{"{\"basic_auth\": true}", "basic_auth: needs the config vars BASIC_AUTH_USERNAME"},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct fsv_site s;
		struct err err = {0};

		assert_int_equal(load(&s, t[i].json, &err), -1);
		if (!strstr(err.msg, t[i].says))
			fail_msg("%s: %s", t[i].json, err.msg);
		fsv_site_clear(&s);
	}
}

static void good_settings_are_taken(void **state)
{
	AUTO(fsv_site_clear) struct fsv_site s = {.root_fd = -1};
	struct err err = {0};

	setenv("SITE_HOST", "www.example.com", 1);
	assert_int_equal(
		load(&s,
		     "{\"root\": \"/public/\", \"clean_urls\": true, \"https_only\": true,"
		     "\"canonical_host\": \"${SITE_HOST}\", \"error_page\": \"/404.html\","
		     "\"routes\": {\"a/**\": {\"path\": \"/i.html\", \"except\": \"/a/b\"}},"
		     "\"redirects\": {\"/o\": {\"url\": \"/n\", \"status\": 302}},"
		     "\"headers\": {\"/**\": {\"X\": \"y\", \"Z\": \"\"}},"
		     "\"logging\": {\"access\": true, \"error\": \"warn\"}}",
		     &err),
		0);
	assert_string_equal(s.root, "public");
	assert_true(s.clean_urls && s.https_only && s.access_log);
	assert_string_equal(s.canonical_host, "www.example.com");
	assert_string_equal(s.error_page, "404.html");
	assert_string_equal(s.routes[0].pattern, "/a/**");
	assert_string_equal(s.routes[0].file, "i.html");
	assert_string_equal(s.routes[0].except, "/a/b");
	assert_int_equal(s.redirects[0].status, 302);
	assert_int_equal(s.nheaders, 2);
	assert_string_equal(s.headers[1].value, "");
}

static void defaults_are_herokus(void **state)
{
	AUTO(fsv_site_clear) struct fsv_site with = {.root_fd = -1};
	AUTO(fsv_site_clear) struct fsv_site without = {.root_fd = -1};
	struct err err = {0};

	assert_int_equal(load(&with, "{}", &err), 0);
	assert_string_equal(with.root, "public_html");
	assert_false(with.clean_urls || with.https_only || with.access_log);
	unlink("static.json");
	assert_int_equal(fsv_site_load(&without, NULL, NULL, &err), 0);
	assert_string_equal(without.root, ".");
}

static void a_missing_named_config_is_an_error(void **state)
{
	AUTO(fsv_site_clear) struct fsv_site s = {.root_fd = -1};
	struct err err = {0};

	assert_int_equal(fsv_site_load(&s, NULL, "nowhere.json", &err), -1);
	assert_non_null(strstr(err.msg, "nowhere.json"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(globs_match),
		cmocka_unit_test(ranges_are_read),
		cmocka_unit_test(dates_go_both_ways),
		cmocka_unit_test(types_come_from_names),
		cmocka_unit_test_setup_teardown(mistakes_name_the_key, setup, teardown),
		cmocka_unit_test_setup_teardown(good_settings_are_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(defaults_are_herokus, setup, teardown),
		cmocka_unit_test_setup_teardown(a_missing_named_config_is_an_error, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
