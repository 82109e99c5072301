#include "tests/unit/test.h"
#include "cli/remotes.h"

#include <string.h>

static struct cli_url platform(const char *s)
{
	struct cli_url u;

	assert_true(cli_url_parse(s, &u));
	return u;
}

static void urls_come_apart(void **state)
{
	struct cli_url u;
	char hp[300];

	assert_true(cli_url_parse("HTTPS://user:pw@Paas.Example.com:8443/a?b", &u));
	assert_string_equal(u.scheme, "https");
	assert_string_equal(u.host, "paas.example.com");
	assert_int_equal(u.port, 8443);
	assert_string_equal(u.path, "/a?b");
	assert_true(cli_url_parse("http://[::1]:80", &u));
	assert_string_equal(u.host, "::1");
	cli_url_hostport(&u, hp);
	assert_string_equal(hp, "[::1]:80");
	assert_true(cli_url_parse("http://x", &u));
	assert_int_equal(u.port, 80);
	assert_false(u.port_given);
	assert_false(cli_url_parse("ftp://x", &u));
	assert_false(cli_url_parse("http://", &u));
	assert_false(cli_url_parse("http://x:0/", &u));
	assert_false(cli_url_parse("http://x:99999/", &u));
	assert_false(cli_url_parse("http://x:8o/", &u));
	assert_false(cli_url_parse("http://[::1", &u));
	assert_false(cli_url_parse("http://a b/", &u));
	assert_false(cli_url_parse("git@x:y.git", &u));
}

static const char *app_of(const char *url, const char *api)
{
	static char app[64];
	struct cli_url p = platform(api);

	return cli_url_app(url, &p, app) ? app : "-";
}

static void remotes_of_the_platform_are_recognised(void **state)
{
	assert_string_equal(app_of("http://localhost:8080/shop.git", "http://localhost:8080"),
			    "shop");
	assert_string_equal(app_of("http://localhost:8080/shop.git", "http://127.0.0.1:8080"),
			    "shop");
	assert_string_equal(app_of("http://me:x@localhost:8080/shop.git", "http://localhost:8080"),
			    "shop");
	assert_string_equal(app_of("https://paas.io/shop.git", "https://paas.io"), "shop");
	assert_string_equal(app_of("https://paas.io/shop.git", "http://paas.io:8080"), "shop");
	assert_string_equal(app_of("http://localhost:8081/shop.git", "http://localhost:8080"), "-");
	assert_string_equal(app_of("https://other.io/shop.git", "https://paas.io"), "-");
	assert_string_equal(app_of("https://paas.io/team/shop.git", "https://paas.io"), "-");
	assert_string_equal(app_of("https://paas.io/shop", "https://paas.io"), "-");
	assert_string_equal(app_of("https://paas.io/SHOP.git", "https://paas.io"), "-");
	assert_string_equal(app_of("git@paas.io:shop.git", "https://paas.io"), "-");
}

#define Z "\0"
static const char two[] =
	"remote.origin.url\nhttps://code.example/x.git" Z
	"remote.production.url\nhttp://localhost:8080/pipeline-demo-production.git" Z
	"remote.staging.url\nhttp://localhost:8080/pipeline-demo-staging.git" Z;

static char *choose(const char *config, size_t len, const char *app, const char *remote,
		    const char *env, struct buf *detail, struct err *err)
{
	AUTO(cli_remotes_clear) struct cli_remotes r = {0};
	struct cli_url p = platform("http://localhost:8080");

	cli_remotes_parse(config, len, &p, &r);
	return cli_choose_app(app, remote, env, &r, detail, err);
}

static void check(const char *config, size_t len, const char *app, const char *remote,
		  const char *env, const char *want)
{
	AUTO(buf_clear) struct buf detail = {0};
	struct err err = {0};
	AUTO(auto_str) char *got = choose(config, len, app, remote, env, &detail, &err);

	if (!want) {
		assert_null(got);
		assert_int_equal(err_exit_status(err.id), 2);
		return;
	}
	assert_non_null(got);
	assert_string_equal(got, want);
}

static void the_order_of_the_sources(void **state)
{
	static const char one[] = "remote.x.y.url\nhttp://localhost:8080/only.git" Z;
	static const char same[] = "remote.a.url\nhttp://localhost:8080/only.git" Z
				   "remote.b.url\nhttp://localhost:8080/only.git" Z;
	static const char pref[] = "heroku.remote\nstaging" Z "remote.production.url\n"
				   "http://localhost:8080/prod.git" Z "remote.staging.url\n"
				   "http://localhost:8080/stag.git" Z "paas.remote\nproduction" Z;

	check(two, sizeof two - 1, "flag", "staging", "env", "flag");
	check(two, sizeof two - 1, NULL, "staging", "env", "pipeline-demo-staging");
	check(two, sizeof two - 1, NULL, NULL, "env", "env");
	check(two, sizeof two - 1, NULL, NULL, "", NULL);
	check(two, sizeof two - 1, NULL, "origin", NULL, NULL);
	check(two, sizeof two - 1, NULL, "nope", NULL, NULL);
	check(one, sizeof one - 1, NULL, NULL, NULL, "only");
	check(one, sizeof one - 1, NULL, "x.y", NULL, "only");
	check(same, sizeof same - 1, NULL, NULL, NULL, "only");
	check(pref, sizeof pref - 1, NULL, NULL, NULL, "prod");
	check("", 0, NULL, NULL, NULL, NULL);
	check("junk without end", 16, NULL, NULL, NULL, NULL);
	check("no newline" Z, 11, NULL, NULL, NULL, NULL);
}

static void several_apps_in_the_words_people_know(void **state)
{
	AUTO(buf_clear) struct buf detail = {0};
	struct err err = {0};

	assert_null(choose(two, sizeof two - 1, NULL, NULL, NULL, &detail, &err));
	assert_string_equal(
		buf_str(&detail),
		"Multiple apps in git remotes\n"
		"  Usage: --remote staging\n"
		"     or: --app pipeline-demo-staging\n"
		"  Your local git repository has more than 1 app referenced in git remotes.\n"
		"  Because of this, we can't determine which app you want to run this command "
		"against.\n"
		"  Specify the app you want with --app or --remote.\n"
		"  paasd remotes in repo:\n"
		"pipeline-demo-production (production)\n"
		"pipeline-demo-staging (staging)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_come_apart),
		cmocka_unit_test(remotes_of_the_platform_are_recognised),
		cmocka_unit_test(the_order_of_the_sources),
		cmocka_unit_test(several_apps_in_the_words_people_know),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
