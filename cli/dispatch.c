/* From a command line to a command's run() and an exit status. */
#include "cli/cli.h"

#include <string.h>

/* API errors that are not in our table still say by their HTTP status what went wrong. */
static int exit_status(const struct err *err)
{
	int status = err_exit_status(err->id);

	if (status != 1 || err->code == ERR_NONE)
		return status;
	return err_exit_status(err_wire_id((enum err_id)err->code));
}

/* Topics of the Heroku CLI that people will look for here in vain. */
static const char *why_absent(const char *name)
{
	static const char
		databases[] = "The commands of databases are in paasctl pg and paasctl redis.",
		ci[] = "There is no CI on this platform.",
		teams[] = "There are no teams here: the platform is the team. See paasctl users "
			  "and paasctl access.",
		parity[] = "It is a command of its own, which paasctl parity:install makes: "
			   "production backup, staging deploy.",
		images[] = "This platform builds code, not images. See paasctl builds:create.";
	static const struct {
		const char *topic, *why;
	} absent[] = {{"data", databases},
		      {"usage", "Nothing is metered here. See paasctl addons."},
		      {"ci", ci},
		      {"teams", teams},
		      {"orgs", teams},
		      {"members", teams},
		      {"enterprise", teams},
		      {"spaces", teams},
		      {"lock", teams},
		      {"unlock", teams},
		      {"join", teams},
		      {"container", images},
		      {"staging", parity},
		      {"production", parity},
		      {"development", parity},
		      {"pr_app", parity},
		      {"clients", "There are no OAuth clients here. See paasctl authorizations."},
		      {"telemetry", "There are no telemetry drains here. See paasctl drains."},
		      {"local", "Procfiles are run by programs like foreman or overmind."}};
	size_t n = strcspn(name, ":");

	for (size_t i = 0; i < ARRAY_LEN(absent); i++)
		if (strlen(absent[i].topic) == n && memcmp(absent[i].topic, name, n) == 0)
			return absent[i].why;
	return NULL;
}

static int unknown_command(struct cli *c, const char *name)
{
	const char *why = why_absent(name), *near_name = why ? NULL : cli_suggest(name);
	struct err err = {0};

	c->err_tty = isatty(STDERR_FILENO);
	err_set(&err, ERR_BAD_REQUEST, "%s is not a paasctl command", name);
	buf_addf(&c->detail, "%s is not a paasctl command.\n%s%s%s", name,
		 near_name ? "Did you mean "
		 : why	   ? why
			   : "Run paasctl help for a list of commands.",
		 near_name ? near_name : "", near_name ? "?" : "");
	cli_print_err(c, &err);
	cli_close(c);
	return 2;
}

static int run(struct cli *c, int argc, char **argv, struct err *err)
{
	if (cli_args_parse(c->cmd, argc, argv, &c->args, err) < 0) {
		buf_addf(&c->detail, "%s\nSee more help with --help", err->msg);
		return -1;
	}
	if (c->args.help) {
		cli_help_command(stdout, c->cmd);
		return 0;
	}
	if (cli_open(c, err) < 0)
		return -1;
	if (!(c->cmd->flags & CLI_NO_KEY) && cli_need_key(c, err) < 0)
		return -1;
	if (c->cmd->flags & CLI_APP && cli_find_app(c, err) < 0)
		return -1;
	return c->cmd->run(c, err);
}

/* Options may stand before the command too (`paasctl --api-url URL apps`): words they take. */
static int leading_options(int argc, char **argv)
{
	static const char *const with_value[] = {"--api-url", "--app", "--remote", "-a", "-r"};
	int i = 1;

	while (i < argc && argv[i][0] == '-') {
		bool value = false;

		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0 ||
		    strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-v") == 0)
			break;
		for (size_t k = 0; k < ARRAY_LEN(with_value); k++)
			value = value || strcmp(argv[i], with_value[k]) == 0;
		i += 1 + value;
	}
	return i < argc ? i : 1;
}

static int dispatch(int argc, char **argv)
{
	struct cli c = {0};
	struct err err = {0};
	int lead = leading_options(argc, argv), rc;
	const char *name = argc > 1 ? argv[lead] : "help";

	/* The command's name goes to the front of its options. */
	for (int i = lead; i > 1; i--)
		argv[i] = argv[i - 1];
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	if (strcmp(name, "--version") == 0 || strcmp(name, "-v") == 0)
		name = "version";
	c.cmd = cli_find_cmd(name);
	if (!c.cmd)
		return unknown_command(&c, name);
	rc = run(&c, argc > 2 ? argc - 2 : 0, argv + 2, &err);
	if (rc < 0) {
		cli_print_err(&c, &err);
		rc = exit_status(&err);
	}
	cli_close(&c);
	/* What did not reach the reader is not done. */
	if (fflush(stdout) != 0 || ferror(stdout))
		return rc ? rc : 1;
	return rc;
}

int cli_main(int argc, char **argv)
{
	const char *env = argc > 0 ? cli_parity_env(argv[0]) : NULL;

	return env ? cli_parity(env, argc - 1, argv + 1, dispatch) : dispatch(argc, argv);
}
