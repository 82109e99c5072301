#include "tests/unit/test.h"
#include "cli/cli.h"

#include <string.h>

static int parse(const char *cmd, struct cli_args *a, struct err *err, size_t argc,
		 const char *const *argv)
{
	const struct cli_cmd *c = cli_find_cmd(cmd);

	assert_non_null(c);
	*err = (struct err){0};
	return cli_args_parse(c, (int)argc, (char **)(uintptr_t)argv, a, err);
}

#define WORDS(...) ((const char *[]){__VA_ARGS__})
#define PARSE(cmd, a, err, ...) \
	parse(cmd, a, err, ARRAY_LEN(WORDS(__VA_ARGS__)), WORDS(__VA_ARGS__))

static void options_in_all_their_forms(void **state)
{
	struct cli_args a;
	struct err err;

	assert_int_equal(
		PARSE("logs", &a, &err, "-t", "-n", "5", "--source=app", "-aweb", "--app", "last"),
		0);
	assert_string_equal(cli_opt(&a, "tail"), "");
	assert_string_equal(cli_opt(&a, "num"), "5");
	assert_string_equal(cli_opt(&a, "source"), "app");
	assert_string_equal(cli_opt(&a, "app"), "last");
	assert_string_equal(cli_opt_nth(&a, "app", 0), "web");
	assert_null(cli_opt(&a, "remote"));
	cli_args_clear(&a);

	assert_int_equal(PARSE("logs", &a, &err, "-tn5"), 0);
	assert_string_equal(cli_opt(&a, "num"), "5");
	cli_args_clear(&a);
}

static void refuse(const char *cmd, const char *word, const char *word2, const char *message)
{
	struct cli_args a;
	struct err err;
	const char *argv[] = {word, word2};

	assert_int_equal(parse(cmd, &a, &err, word2 ? 2 : 1, argv), -1);
	assert_string_equal(err.msg, message);
	assert_int_equal(err_exit_status(err.id), 2);
	cli_args_clear(&a);
}

static void mistakes_are_usage_errors(void **state)
{
	refuse("logs", "--tial", NULL, "Nonexistent flag: --tial (did you mean --tail?)");
	refuse("logs", "--qqqqqqqq", NULL, "Nonexistent flag: --qqqqqqqq");
	refuse("logs", "-z", NULL, "Nonexistent flag: -z");
	refuse("logs", "--tail=1", NULL, "Flag --tail takes no value");
	refuse("logs", "--num", NULL, "Flag --num expects a value");
	refuse("logs", "-n", NULL, "Flag --num expects a value");
	refuse("logs", "x", NULL, "Unexpected argument: x");
	refuse("apps", "create", NULL, "Unexpected argument: create (did you mean apps:create?)");
	refuse("apps:rename", "-a", "x", "Missing required arg: NEWNAME");
	refuse("apps:create", "a", "b", "Unexpected argument: b");
}

static void run_keeps_the_commands_own_options(void **state)
{
	struct cli_args a;
	struct err err;

	assert_int_equal(
		PARSE("run", &a, &err, "-x", "rake", "-T", "--trace", "-a", "shop", "--help"), 0);
	assert_int_equal(a.npos, 4);
	assert_string_equal(a.pos[1], "-T");
	assert_string_equal(a.pos[2], "--trace");
	assert_string_equal(a.pos[3], "--help");
	assert_false(a.help);
	assert_string_equal(cli_opt(&a, "app"), "shop");
	assert_non_null(cli_opt(&a, "exit-code"));
	cli_args_clear(&a);

	assert_int_equal(PARSE("run", &a, &err, "-a", "shop", "--", "ls", "-a", "--", "-x"), 0);
	assert_int_equal(a.npos, 4);
	assert_string_equal(a.pos[2], "--");
	assert_null(cli_opt(&a, "exit-code"));
	cli_args_clear(&a);

	assert_int_equal(PARSE("run", &a, &err, "--help"), 0);
	assert_true(a.help);
	cli_args_clear(&a);
}

static void help_beats_other_mistakes(void **state)
{
	struct cli_args a;
	struct err err;

	assert_int_equal(PARSE("apps:rename", &a, &err, "--help"), 0);
	assert_true(a.help);
	cli_args_clear(&a);
}

static void commands_by_name_alias_and_near_miss(void **state)
{
	assert_ptr_equal(cli_find_cmd("create"), cli_find_cmd("apps:create"));
	assert_ptr_equal(cli_find_cmd("rollback"), cli_find_cmd("releases:rollback"));
	assert_ptr_equal(cli_find_cmd("list"), cli_find_cmd("apps"));
	assert_null(cli_find_cmd("crea"));
	assert_null(cli_find_cmd(""));
	assert_null(cli_find_cmd("list apps:list"));
	assert_string_equal(cli_suggest("aps"), "apps");
	assert_string_equal(cli_suggest("confgi"), "config");
	assert_string_equal(cli_suggest("relaeses:info"), "releases:info");
	assert_null(cli_suggest("qqqqqqqqq"));
	assert_null(
		cli_suggest("a-word-that-is-far-longer-than-the-longest-command-that-there-is"));
}

static void check_letters(const struct cli_cmd *c)
{
	const struct cli_opt *lists[5];
	bool seen[128] = {0};

	cli_opt_lists(c, lists);
	for (int i = 0; lists[i]; i++)
		for (const struct cli_opt *o = lists[i]; o->name; o++) {
			if (!o->letter)
				continue;
			assert_false(seen[(int)o->letter]);
			seen[(int)o->letter] = true;
		}
}

/* Every name and alias leads to this command and to no other. */
static void check_names(const struct cli_cmd *c)
{
	assert_ptr_equal(cli_find_cmd(c->name), c);
	for (const char *p = c->aliases; p && *p; p += strspn(p, " ")) {
		AUTO(auto_str) char *alias = xstrndup(p, strcspn(p, " "));

		assert_ptr_equal(cli_find_cmd(alias), c);
		p += strlen(alias);
	}
}

/* What a table by hand gets wrong: doubled names, letters that mean two things, missing texts. */
static void the_table_is_sound(void **state)
{
	for (const struct cli_topic *t = cli_topics; t->name; t++)
		for (const struct cli_cmd *c = t->cmds; c->name; c++) {
			assert_non_null(c->run);
			assert_non_null(c->help);
			assert_true(c->examples || c->flags & CLI_HIDDEN);
			check_names(c);
			check_letters(c);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_in_all_their_forms),
		cmocka_unit_test(mistakes_are_usage_errors),
		cmocka_unit_test(run_keeps_the_commands_own_options),
		cmocka_unit_test(help_beats_other_mistakes),
		cmocka_unit_test(commands_by_name_alias_and_near_miss),
		cmocka_unit_test(the_table_is_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
