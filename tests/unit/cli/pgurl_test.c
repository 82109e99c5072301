#include "cli/pgurl.h"
#include "proto/buf.h"
#include "tests/unit/test.h"

#include <string.h>
#include <sys/stat.h>

static void parts_are_decoded(void **state)
{
	AUTO(cli_pgurl_clear) struct cli_pgurl u = {0};

	assert_int_equal(
		cli_pgurl_parse("postgresql://me:p%40ss%3Aw%2Ford@db.example.com:6543/my%20db"
				"?sslmode=require",
				&u, NULL),
		0);
	assert_string_equal(u.user, "me");
	assert_string_equal(u.password, "p@ss:w/ord");
	assert_string_equal(u.host, "db.example.com");
	assert_string_equal(u.port, "6543");
	assert_string_equal(u.database, "my db");
}

static void parts_may_be_missing(void **state)
{
	static const struct {
		const char *url, *user, *host, *port, *database;
	} rows[] = {
		{"postgres://", "", "", "", ""},
		{"postgres:///db", "", "", "", "db"},
		{"postgres://h/db", "", "h", "", "db"},
		{"postgres://u@h", "u", "h", "", ""},
		{"postgres://u@[::1]:5/d", "u", "::1", "5", "d"},
		{"postgres://a@b@h/d", "a@b", "h", "", "d"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(cli_pgurl_clear) struct cli_pgurl u = {0};

		assert_int_equal(cli_pgurl_parse(rows[i].url, &u, NULL), 0);
		assert_string_equal(u.user, rows[i].user);
		assert_string_equal(u.password, "");
		assert_string_equal(u.host, rows[i].host);
		assert_string_equal(u.port, rows[i].port);
		assert_string_equal(u.database, rows[i].database);
	}
}

static void what_is_none_is_refused(void **state)
{
	static const char *const bad[] = {"",
					  "http://h/d",
					  "postgres:/h",
					  "postgres://h:x/d",
					  "postgres://u%zz@h/d",
					  "postgres://u:%00@h/d",
					  "postgres://h/d%2"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct cli_pgurl u = {0};
		struct err err = {0};

		assert_int_equal(cli_pgurl_parse(bad[i], &u, &err), -1);
		assert_int_equal(err.code, ERR_BAD_REQUEST);
		assert_null(u.user);
	}
}

static bool has(char **env, const char *text)
{
	for (; *env; env++)
		if (strncmp(*env, text, strlen(text)) == 0)
			return true;
	return false;
}

static void programs_get_no_secret_and_nothing_of_another_server(void **state)
{
	AUTO(cli_pgurl_clear) struct cli_pgurl u = {0};
	char **env;

	setenv("PGSERVICE", "elsewhere", 1);
	setenv("PGPASSWORD", "hunter2", 1);
	setenv("PGTZ", "UTC", 1);
	cli_pgurl_parse("postgres://u:secret@h:1/d", &u, NULL);
	env = cli_pgurl_env(&u, "/dir", "5432", "/dir/pass");
	assert_true(has(env, "PGHOST=/dir") && has(env, "PGPORT=5432") && has(env, "PGUSER=u"));
	assert_true(has(env, "PGDATABASE=d") && has(env, "PGPASSFILE=/dir/pass"));
	assert_true(has(env, "PGTZ=") && has(env, "PATH="));
	assert_false(has(env, "PGSERVICE") || has(env, "PGPASSWORD"));
	for (char **e = env; *e; e++)
		assert_null(strstr(*e, "secret"));
	cli_pgurl_env_free(env);
}

static void the_password_file_is_ours_alone(void **state)
{
	AUTO(cli_pgurl_clear) struct cli_pgurl u = {0};
	char dir[] = "/tmp/pgurl-XXXXXX", text[100] = "";
	AUTO(auto_str) char *path = NULL;
	struct err err = {0};
	struct stat st;
	FILE *f;

	assert_non_null(mkdtemp(dir));
	cli_pgurl_parse("postgres://u:a%3Ab%5Cc@h/d", &u, NULL);
	assert_int_equal(cli_pgurl_passfile(&u, dir, "pass", &path, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	f = fopen(path, "r");
	assert_non_null(fgets(text, sizeof text, f));
	fclose(f);
	assert_string_equal(text, "*:*:*:*:a\\:b\\\\c\n");
	free(path);
	path = NULL;
	assert_int_equal(cli_pgurl_passfile(&u, dir, "pass", &path, &err), -1); /* not over one */
	AUTO(auto_str) char *file = xasprintf("%s/pass", dir);

	unlink(file);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_decoded),
		cmocka_unit_test(parts_may_be_missing),
		cmocka_unit_test(what_is_none_is_refused),
		cmocka_unit_test(programs_get_no_secret_and_nothing_of_another_server),
		cmocka_unit_test(the_password_file_is_ours_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
