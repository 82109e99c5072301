/* What transfers read: URLs, tables of contents, digests. */
#include "daemon/pg/transfer_digest.h"
#include "daemon/pg/transfer_toc.h"
#include "daemon/pg/transfer_url.h"
#include "tests/unit/test.h"

#include <string.h>

static void urls_are_read(void **state)
{
	AUTO(pgurl_clear) struct pgurl u = {0}, v = {0};
	struct err err = {0};

	assert_int_equal(pgurl_parse("postgres://u%40x:p%2Fw:d@db.example.com:5433/shop"
				     "?x=1&sslmode=verify-full",
				     &u, &err),
			 0);
	assert_string_equal(u.user, "u@x");
	assert_string_equal(u.password, "p/w:d");
	assert_string_equal(u.host, "db.example.com");
	assert_string_equal(u.dbname, "shop");
	assert_string_equal(u.sslmode, "verify-full");
	assert_int_equal(u.port, 5433);
	AUTO(auto_str) char *shown = pgurl_shown(&u);
	assert_string_equal(shown, "postgres://db.example.com:5433/shop");
	assert_int_equal(pgurl_parse("postgresql://me@[::1]/shop", &v, &err), 0);
	assert_string_equal(v.host, "::1");
	assert_int_equal(v.port, 5432);
	assert_string_equal(v.password, "");
	assert_string_equal(v.sslmode, "prefer");
	assert_false(pgurl_same(&u, &v));
	assert_true(pgurl_same(&u, &u));
}

static void bad_urls_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"http://u:p@h/db",
		"postgres://h/db",
		"postgres://:p@h/db",
		"postgres://u:p@/db",
		"postgres://u:p@h/",
		"postgres://u:p@h",
		"postgres://u:p@h:0/db",
		"postgres://u:p@h:65536/db",
		"postgres://u:p@h:12x/db",
		"postgres://u:p@h:/db",
		"postgres://u:p@[::1/db",
		"postgres://u:p@h/host=evil dbname=x", /* psql would take it for parameters */
		"postgres://u:p@h/-x",
		"postgres://u:p@h/a%3Db",
		"postgres://u:p%0Ax@h/db",
		"postgres://u:p@%2Ftmp/db", /* a socket's folder */
		"postgres://u:p@h,k/db",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(pgurl_clear) struct pgurl u = {0};
		struct err err = {0};

		if (pgurl_parse(bad[i], &u, &err) == 0)
			fail_msg("%s was taken", bad[i]);
		assert_int_equal(err.code, ERR_INVALID_PARAMS);
	}
}

static void private_hosts_are_refused(void **state)
{
	AUTO(pgurl_clear) struct pgurl u = {0};
	struct config cfg;
	struct err err = {0};

	config_init(&cfg);
	assert_int_equal(pgurl_parse("postgres://u:p@127.0.0.1/db", &u, &err), 0);
	assert_int_equal(pgurl_guard(&u, &cfg, &err), -1);
	assert_non_null(strstr(err.msg, "private address"));
	cfg.allow_private_urls = true;
	assert_int_equal(pgurl_guard(&u, &cfg, &err), 0);
	assert_string_equal(u.hostaddr, "127.0.0.1");
	config_clear(&cfg);
}

static void the_environment_has_the_secrets_and_no_home(void **state)
{
	AUTO(pgurl_clear) struct pgurl u = {0};
	struct err err = {0};
	int found = 0;

	assert_int_equal(pgurl_parse("postgres://u:secret@h/db", &u, &err), 0);
	AUTO(pgurl_env_free) char **env = pgurl_env(&u);
	for (char **p = env; *p; p++)
		found += strcmp(*p, "PGPASSWORD=secret") == 0 || strcmp(*p, "PGHOST=h") == 0 ||
			 strcmp(*p, "PGPASSFILE=/dev/null") == 0 ||
			 strcmp(*p, "HOME=/nonexistent") == 0;
	assert_int_equal(found, 4);
}

static void what_the_role_may_not_make_is_left_out(void **state)
{
	static const char toc[] = ";\n; Archive created at ...\n"
				  "2; 3079 16385 EXTENSION - hstore \n"
				  "3; 3079 16390 EXTENSION - postgis_raster \n"
				  "3500; 0 0 COMMENT - EXTENSION hstore \n"
				  "7; 2615 16384 SCHEMA - heroku_ext paas\n"
				  "8; 2615 16399 SCHEMA - heroku_ext2 paas\n"
				  "9; 2615 2200 SCHEMA - public paas\n"
				  "3501; 0 0 COMMENT - SCHEMA public paas\n"
				  "215; 1259 16400 TABLE public EXTENSION - x paas\n"
				  "3502; 3466 16500 EVENT TRIGGER - watch admin\n"
				  "3503; 0 16400 TABLE DATA public items paas\n";
	static const char known[] = "EXTENSION - hstore\nSCHEMA - public\nSCHEMA - heroku_ext\n";
	AUTO(buf_clear) struct buf list = {0};
	AUTO(buf_clear) struct buf left = {0};

	toc_filter(toc, known, &list, &left);
	assert_string_equal(buf_str(&list), "2; 3079 16385 EXTENSION - hstore \n"
					    "8; 2615 16399 SCHEMA - heroku_ext2 paas\n"
					    "215; 1259 16400 TABLE public EXTENSION - x paas\n"
					    "3503; 0 16400 TABLE DATA public items paas\n");
	assert_string_equal(buf_str(&left), "EXTENSION - postgis_raster \n"
					    "EVENT TRIGGER - watch admin\n");
}

static void extensions_become_statements(void **state)
{
	static const char *const bad[] = {"hstore;", "a b", "\"x\"", ".x", "x.", "x.y.z", "x,,y"};
	AUTO(buf_clear) struct buf sql = {0};
	struct err err = {0};

	assert_int_equal(toc_extensions_sql("hstore,geo.uuid-ossp", &sql, &err), 0);
	assert_string_equal(buf_str(&sql),
			    "CREATE EXTENSION IF NOT EXISTS \"hstore\";\n"
			    "CREATE SCHEMA IF NOT EXISTS \"geo\";\n"
			    "CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\" WITH SCHEMA \"geo\";\n");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (toc_extensions_sql(bad[i], &sql, &err) == 0)
			fail_msg("%s was taken", bad[i]);
}

static void digests_are_compared(void **state)
{
	AUTO(buf_clear) struct buf b = {0};

	digest_difference("a|1\nb|2\n", "a|1\nb|2\n", &b);
	assert_int_equal(b.len, 0);
	digest_difference("a|1\nb|2\nc|3\n", "a|1\nb|3\nc|3\n", &b);
	assert_string_equal(buf_str(&b), "expected \"b|2\", found \"b|3\"");
	buf_reset(&b);
	digest_difference("a|1\n", "", &b);
	assert_string_equal(buf_str(&b), "expected \"a|1\", found \"\"");
	buf_reset(&b);
	digest_difference("a|1\n", "a|1\nb|2\n", &b);
	assert_string_equal(buf_str(&b), "expected \"\", found \"b|2\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_are_read),
		cmocka_unit_test(bad_urls_are_refused),
		cmocka_unit_test(private_hosts_are_refused),
		cmocka_unit_test(the_environment_has_the_secrets_and_no_home),
		cmocka_unit_test(what_the_role_may_not_make_is_left_out),
		cmocka_unit_test(extensions_become_statements),
		cmocka_unit_test(digests_are_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
