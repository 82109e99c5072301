#include "cli/cli.h"

#include <string.h>

static bool same_topic(const char *name, const char *topic, size_t n)
{
	return strncmp(name, topic, n) == 0 && (name[n] == 0 || name[n] == ':');
}

static int wider(int w, const char *s)
{
	return (int)strlen(s) > w ? (int)strlen(s) : w;
}

void cli_help_overview(FILE *out)
{
	int w = 0;

	for (const struct cli_topic *t = cli_topics; t->name; t++)
		w = wider(w, t->name);
	fprintf(out, "CLI of a paasd platform: deploy with git push, run and look after apps\n\n"
		     "VERSION\n  paasctl/" PAASD_VERSION "\n\n"
		     "USAGE\n  $ paasctl COMMAND [ARGUMENTS] [--app APP | --remote "
		     "REMOTE]\n\nTOPICS\n");
	for (const struct cli_topic *t = cli_topics; t->name; t++)
		fprintf(out, "  %-*s  %s\n", w, t->name, t->help);
	fprintf(out,
		"\nUse \"paasctl help TOPIC\" for the commands of a topic, \"paasctl commands\" "
		"for all of them,\n\"paasctl help COMMAND\" or \"paasctl COMMAND --help\" for "
		"one.\n");
}

void cli_help_topic(FILE *out, const struct cli_topic *topic)
{
	int w = 0;

	for (const struct cli_cmd *c = topic->cmds; c->name; c++)
		w = c->flags & CLI_HIDDEN ? w : wider(w, c->name);
	fprintf(out, "%s\n\nCOMMANDS\n", topic->help);
	for (const struct cli_cmd *c = topic->cmds; c->name; c++)
		if (!(c->flags & CLI_HIDDEN))
			fprintf(out, "  %-*s  %s\n", w, c->name, c->help);
}

static void usage_args(const struct cli_cmd *cmd, struct buf *b)
{
	for (const struct cli_arg *a = cmd->args; a && a->name; a++)
		if (a->help)
			buf_addf(b, a->required ? " %s%s" : " [%s%s]", a->name,
				 a->many ? "..." : "");
}

void cli_help_usage(const struct cli_cmd *cmd, struct buf *b)
{
	const struct cli_opt *lists[5];

	buf_addf(b, "paasctl %s", cmd->name);
	usage_args(cmd, b);
	cli_opt_lists(cmd, lists);
	for (int i = 0; lists[i]; i++)
		for (const struct cli_opt *o = lists[i]; o->name && lists[i] != cli_global_opts;
		     o++) {
			if (!o->help)
				continue;
			if (o->letter && lists[i] != cli_json_opts)
				buf_addf(b, " [-%c%s%s]", o->letter, o->value ? " " : "",
					 o->value ? o->value : "");
			else
				buf_addf(b, " [--%s%s%s]", o->name, o->value ? " " : "",
					 o->value ? o->value : "");
		}
}

/* "-a, --app=APP" */
static void opt_head(const struct cli_opt *o, struct buf *b)
{
	if (o->letter)
		buf_addf(b, "-%c, ", o->letter);
	else
		buf_adds(b, "    ");
	buf_addf(b, "--%s%s%s", o->name, o->value ? "=" : "", o->value ? o->value : "");
}

static void opts(FILE *out, const struct cli_cmd *cmd)
{
	const struct cli_opt *lists[5];
	size_t w = 0;

	cli_opt_lists(cmd, lists);
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; lists[i]; i++)
			for (const struct cli_opt *o = lists[i]; o->name; o++) {
				AUTO(buf_clear) struct buf b = {0};

				if (!o->help)
					continue;
				opt_head(o, &b);
				if (pass)
					fprintf(out, "  %-*s  %s\n", (int)w, buf_str(&b), o->help);
				else if (b.len > w)
					w = b.len;
			}
}

/* Words of text on lines of at most 78 columns. */
static void wrap(FILE *out, const char *text, const char *indent)
{
	size_t col = 0;

	while (*text) {
		size_t n = strcspn(text, " ");

		if (col && col + 1 + n > 78) {
			fputc('\n', out);
			col = 0;
		}
		col += (size_t)fprintf(out, "%s%.*s", col ? " " : indent, (int)n, text);
		text += n + strspn(text + n, " ");
	}
	fputc('\n', out);
}

static void each_line(FILE *out, const char *lines, const char *sep, const char *prefix)
{
	for (const char *p = lines; *p; p += strspn(p, sep)) {
		size_t n = strcspn(p, sep);

		fprintf(out, "%s%.*s\n", prefix, (int)n, p);
		p += n;
	}
}

static void subcommands(FILE *out, const struct cli_cmd *cmd)
{
	size_t n = strlen(cmd->name);
	int w = 0;

	for (int pass = 0; pass < 2; pass++)
		for (const struct cli_topic *t = cli_topics; t->name; t++)
			for (const struct cli_cmd *c = t->cmds; c->name; c++) {
				if (c == cmd || c->flags & CLI_HIDDEN ||
				    !same_topic(c->name, cmd->name, n))
					continue;
				if (pass)
					fprintf(out, "  %-*s  %s\n", w, c->name, c->help);
				else if (!w)
					fprintf(out, "\nCOMMANDS\n");
				w = pass ? w : wider(w, c->name);
			}
}

void cli_help_command(FILE *out, const struct cli_cmd *cmd)
{
	AUTO(buf_clear) struct buf b = {0};

	cli_help_usage(cmd, &b);
	fprintf(out, "%s\n\nUSAGE\n  $ %s\n", cmd->help, buf_str(&b));
	if (cmd->args && cmd->args[0].help) {
		fprintf(out, "\nARGUMENTS\n");
		for (const struct cli_arg *a = cmd->args; a->name; a++)
			fprintf(out, "  %-10s  %s\n", a->name, a->help ? a->help : "");
	}
	fprintf(out, "\nFLAGS\n");
	opts(out, cmd);
	if (cmd->more) {
		fprintf(out, "\nDESCRIPTION\n");
		wrap(out, cmd->more, "  ");
	}
	if (cmd->aliases) {
		fprintf(out, "\nALIASES\n");
		each_line(out, cmd->aliases, " ", "  $ paasctl ");
	}
	if (cmd->examples) {
		fprintf(out, "\nEXAMPLES\n");
		each_line(out, cmd->examples, "\n", "  $ paasctl ");
	}
	subcommands(out, cmd);
}

/* Everything that markdown or HTML would take for its own, made plain. */
static void md(FILE *out, const char *s)
{
	for (; *s; s++) {
		if (strchr("|<>*_", *s))
			fputc('\\', out);
		fputc(*s, out);
	}
}

static void md_opts(FILE *out, const struct cli_opt *o)
{
	for (; o && o->name; o++) {
		AUTO(buf_clear) struct buf b = {0};

		if (!o->help)
			continue;
		if (o->letter)
			buf_addf(&b, "-%c, ", o->letter);
		buf_addf(&b, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
		fprintf(out, "| `%s` | ", buf_str(&b));
		md(out, o->help);
		fprintf(out, " |\n");
	}
}

static void md_aliases(FILE *out, const char *aliases)
{
	fprintf(out, "\nAliases:");
	for (const char *p = aliases; *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");

		fprintf(out, "%s `%.*s`", p == aliases ? "" : ",", (int)n, p);
		p += n;
	}
	fprintf(out, "\n");
}

static void md_command(FILE *out, const struct cli_cmd *cmd)
{
	bool rows = (cmd->args && cmd->args[0].help) || (cmd->opts && cmd->opts[0].name);

	fprintf(out, "\n### %s\n\n", cmd->name);
	md(out, cmd->help);
	fprintf(out, "\n\n```\n$ paasctl %s", cmd->name);
	{
		AUTO(buf_clear) struct buf b = {0};

		usage_args(cmd, &b);
		fprintf(out, "%s%s%s\n```\n", buf_str(&b),
			cmd->flags & (CLI_APP | CLI_APP_OPTIONAL) ? " [-a APP | -r REMOTE]" : "",
			cmd->flags & CLI_NO_JSON ? "" : " [--json]");
	}
	if (cmd->more) {
		fputc('\n', out);
		md(out, cmd->more);
		fputc('\n', out);
	}
	if (rows)
		fprintf(out, "\n| | |\n|---|---|\n");
	for (const struct cli_arg *a = cmd->args; a && a->name; a++)
		if (a->help) {
			fprintf(out, "| `%s` | ", a->name);
			md(out, a->help);
			fprintf(out, " |\n");
		}
	md_opts(out, cmd->opts);
	if (cmd->aliases)
		md_aliases(out, cmd->aliases);
	if (cmd->examples) {
		fprintf(out, "\n```\n");
		each_line(out, cmd->examples, "\n", "$ paasctl ");
		fprintf(out, "```\n");
	}
}

const char cli_help_exits[] =
	"0 done; 1 failed; 2 wrong usage or refused values; 3 not logged in or not allowed; "
	"4 not found; 5 conflict; 6 build failed; 7 unreachable, overloaded or too late; "
	"8 canceled; 100 `whoami` without a login. `run -x` gives the command's own.";

static const char intro[] =
	"# paasctl\n\n"
	"Made from the command table (`paasctl help --markdown > docs/cli.md`): do not edit.\n\n"
	"paasctl has the Heroku CLI's command names, flags and output. Results go to standard "
	"output, progress and messages to standard error. Every command but streams and scripts "
	"has "
	"`--json`, those that change something too.\n\n"
	"**Which app.** `--app`, else `--remote`, else `PAASCTL_APP` (or `HEROKU_APP`), else the "
	"remote in `git config paas.remote` (or `heroku.remote`), else the only app among this "
	"repository's git remotes that point at the platform.\n\n"
	"**Which platform.** `--api-url`, else `PAASCTL_API_URL`, else the address that `login "
	"--api-url` kept in `~/.config/paasctl/config.json`, else `" CLI_DEFAULT_URL "`. An https "
	"platform is checked against the system's authorities, or the file in `PAASCTL_CA_FILE`, "
	"or "
	"the authority that was trusted at `login`, kept in `~/.config/paasctl/ca`.\n\n"
	"**Who.** `PAASCTL_API_KEY`, else the password of the platform's `HOST:PORT` in `~/.netrc` "
	"(`$NETRC`), which `login` writes. It writes the plain host too: git reads that one.\n\n"
	"**Colours** only on a terminal, and not when `NO_COLOR` is set.\n\n"
	"**The Heroku CLI** works against the same platform: `eval \"$(paasctl env)\"`.\n\n";

void cli_help_markdown(FILE *out)
{
	fputs(intro, out);
	fprintf(out, "**Exit status.** %s\n\n", cli_help_exits);
	fprintf(out, "## Flags of every command\n\n"
		     "Commands shown with `[-a APP | -r REMOTE]` take the first two, commands with "
		     "`[--json]` the third.\n\n| | |\n|---|---|\n");
	md_opts(out, cli_app_opts);
	md_opts(out, cli_json_opts);
	md_opts(out, cli_global_opts);
	for (const struct cli_topic *t = cli_topics; t->name; t++) {
		fprintf(out, "\n## Topic %s\n\n", t->name);
		md(out, t->help);
		fputc('\n', out);
		for (const struct cli_cmd *c = t->cmds; c->name; c++)
			if (!(c->flags & CLI_HIDDEN))
				md_command(out, c);
	}
}
