#include "tests/unit/test.h"
#include "cli/netrc.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static const char others[] = "# my hosts\n"
			     "machine a.example login me password \"a b\\\"c\"\n"
			     "macdef init\n"
			     "machine fake login no password no\n"
			     "\n"
			     "machine\tb.example\n"
			     "\tlogin you # password follows\n"
			     "\tpassword #hash\n"
			     "default login anonymous password x";

static void check(const char *text, const char *machine, const char *login, const char *password)
{
	AUTO(auto_str) char *l = NULL;
	AUTO(auto_str) char *p = NULL;

	assert_true(cli_netrc_find(text, machine, &l, &p));
	assert_string_equal(l, login);
	assert_string_equal(p, password);
}

static void absent(const char *text, const char *machine)
{
	char *l = NULL, *p = NULL;

	assert_false(cli_netrc_find(text, machine, &l, &p));
	assert_null(p);
}

static void entries_are_found(void **state)
{
	check(others, "a.example", "me", "a b\"c");
	check(others, "b.example", "you", "#hash");
	absent(others, "fake"); /* inside a macro */
	absent(others, "c.example");
	absent("", "x");
	absent("machine", "x");
	absent("machine x login", "x");
	absent("machine x login me", "x");
	check("machine x password p", "x", "", "p");
}

static void others_stay_byte_for_byte(void **state)
{
	AUTO(auto_str) char *with = cli_netrc_with(others, "h:80", "me@x.io", "tok1");
	AUTO(auto_str) char *again = cli_netrc_with(with, "h:80", "me@x.io", "tok2");
	AUTO(auto_str) char *without = cli_netrc_without(again, "h:80");

	assert_memory_equal(with, others, strlen(others));
	assert_string_equal(with + strlen(others),
			    "\nmachine h:80\n  login me@x.io\n  password tok1\n");
	check(again, "h:80", "me@x.io", "tok2");
	assert_int_equal(strlen(again), strlen(with));
	assert_memory_equal(without, others, strlen(others));
	assert_string_equal(without + strlen(others), "\n");
}

static void an_entry_in_the_middle_is_replaced_in_place(void **state)
{
	const char *text = "machine a login x password 1\n\n# keep\nmachine b login y password 2\n";
	AUTO(auto_str) char *with = cli_netrc_with(text, "a", "n", "3");
	AUTO(auto_str) char *without = cli_netrc_without(text, "a");

	assert_string_equal(
		with,
		"machine a\n  login n\n  password 3\n\n# keep\nmachine b login y password 2\n");
	assert_string_equal(without, "\n# keep\nmachine b login y password 2\n");
}

static void unfinished_text_does_not_swallow_the_entry(void **state)
{
	static const char *const texts[] = {"machine a login x password", "macdef m\nmachine a\n",
					    "machine a # no more"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO(auto_str) char *with = cli_netrc_with(texts[i], "h", "me", "tok");

		assert_non_null(with);
		check(with, "h", "me", "tok");
		absent(with, "a");
	}
	assert_null(cli_netrc_with("machine a password p machine h\nmacdef login password", "a b",
				   "c", "d"));
}

static void every_entry_of_a_machine_goes(void **state)
{
	AUTO(auto_str)
	char *t = cli_netrc_without("machine a login x password 1 machine b login y password 2\n"
				    "machine a password 3\n",
				    "a");

	AUTO(auto_str) char *u = cli_netrc_without("x  machine a machine b password 2", "a");

	absent(t, "a");
	check(t, "b", "y", "2");
	assert_string_equal(u, "x  machine b password 2");
}

static void words_that_need_no_quotes(void **state)
{
	assert_true(cli_netrc_word("HRKU-1234_abc.def@x"));
	assert_false(cli_netrc_word(""));
	assert_false(cli_netrc_word("a b"));
	assert_false(cli_netrc_word("a\nmachine x"));
	assert_false(cli_netrc_word("\"q\""));
	assert_false(cli_netrc_word("#c"));
}

static void the_file_is_private_and_links_are_followed(void **state)
{
	const char *dir = *state;
	AUTO(auto_str) char *link_name = xasprintf("%s/link", dir);
	AUTO(auto_str) char *target = xasprintf("%s/target", dir);
	AUTO(auto_str) char *text = NULL;
	struct err err = {0};
	struct stat st;
	int fd = open(target, O_CREAT | O_WRONLY, 0644);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(symlink(target, link_name), 0);
	setenv("NETRC", link_name, 1);
	assert_int_equal(cli_netrc_write("machine a login b password c\n", &err), 0);
	assert_int_equal(lstat(link_name, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(target, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(cli_netrc_read(&text, &err), 0);
	assert_string_equal(text, "machine a login b password c\n");
	unsetenv("NETRC");
}

static void no_file_is_an_empty_one(void **state)
{
	AUTO(auto_str) char *name = xasprintf("%s/none", (char *)*state);
	AUTO(auto_str) char *text = NULL;
	struct err err = {0};

	setenv("NETRC", name, 1);
	assert_int_equal(cli_netrc_read(&text, &err), 0);
	assert_string_equal(text, "");
	unsetenv("NETRC");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_found),
		cmocka_unit_test(others_stay_byte_for_byte),
		cmocka_unit_test(an_entry_in_the_middle_is_replaced_in_place),
		cmocka_unit_test(unfinished_text_does_not_swallow_the_entry),
		cmocka_unit_test(every_entry_of_a_machine_goes),
		cmocka_unit_test(words_that_need_no_quotes),
		cmocka_unit_test_setup_teardown(the_file_is_private_and_links_are_followed,
						tmp_setup, tmp_teardown),
		cmocka_unit_test_setup_teardown(no_file_is_an_empty_one, tmp_setup, tmp_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
