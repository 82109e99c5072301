/* The program itself. */
#include "cli/cli.h"
#include "cli/table.h"

#include <string.h>
#include <sys/utsname.h>

static int cmd_version(struct cli *c, struct err *err)
{
	struct utsname u;

	if (uname(&u) < 0)
		return err_errno(err, "uname");
	if (cli_json(c)) {
		json_auto_t *o = json_pack("{s:s, s:s, s:s}", "name", "paasctl", "version",
					   PAASD_VERSION, "machine", u.machine);

		cli_print_json(c, o);
		return 0;
	}
	printf("paasctl/" PAASD_VERSION " linux-%s\n", u.machine);
	return 0;
}

static int help_of(const char *name, struct err *err)
{
	const struct cli_cmd *cmd = cli_find_cmd(name);
	const char *near_name;

	if (cmd) {
		cli_help_command(stdout, cmd);
		return 0;
	}
	for (const struct cli_topic *t = cli_topics; t->name; t++)
		if (strcmp(t->name, name) == 0) {
			cli_help_topic(stdout, t);
			return 0;
		}
	near_name = cli_suggest(name);
	return err_set(err, ERR_BAD_REQUEST, "%s is not a paasctl command%s%s%s", name,
		       near_name ? " (did you mean " : "", near_name ? near_name : "",
		       near_name ? "?)" : "");
}

static int cmd_help(struct cli *c, struct err *err)
{
	if (cli_opt(&c->args, "markdown"))
		cli_help_markdown(stdout);
	else if (cli_opt(&c->args, "man"))
		cli_help_man(stdout);
	else if (c->args.npos)
		return help_of(c->args.pos[0], err);
	else
		cli_help_overview(stdout);
	return 0;
}

/* Every command with what can be said of it, for scripts that look for one. */
static int cmd_commands(struct cli *c, struct err *err)
{
	static const struct cli_field fields[] = {
		{"", "id", FORM_TEXT}, {"", "summary", FORM_TEXT}, {0}};
	json_auto_t *list = json_array(), *sorted = NULL;

	for (const struct cli_topic *t = cli_topics; t->name; t++)
		for (const struct cli_cmd *cmd = t->cmds; cmd->name; cmd++)
			if (!(cmd->flags & CLI_HIDDEN))
				json_array_append_new(
					list,
					json_pack("{ss ss ss so}", "id", cmd->name, "summary",
						  cmd->help, "topic", t->name, "aliases",
						  cli_words(cmd->aliases ? cmd->aliases : "")));
	sorted = cli_sorted(list, "id");
	return cli_show_list(c, sorted, fields, NULL, "");
}

const struct cli_cmd cli_cmds_misc[] = {
	{.name = "help",
	 .help = "display help for paasctl",
	 .args = ARGS(
		 {"COMMAND", COMPLETE_COMMAND, "command or topic to show help for", false, false}),
	 .opts = OPTS(SWITCH(0, "markdown", NULL), SWITCH(0, "man", "print the manual page")),
	 .flags = CLI_OFFLINE | CLI_NO_KEY | CLI_NO_JSON,
	 .run = cmd_help,
	 .examples = "help\nhelp certs\nhelp releases:rollback\nhelp --man | man -l -"},
	{.name = "commands",
	 .help = "list all commands",
	 .flags = CLI_OFFLINE | CLI_NO_KEY,
	 .run = cmd_commands,
	 .examples = "commands\ncommands --json"},
	{.name = "version",
	 .help = "display the version of paasctl",
	 .flags = CLI_OFFLINE | CLI_NO_KEY,
	 .run = cmd_version,
	 .examples = "version"},
	{0},
};
