/* paasctl(1), from the command table. */
#include "cli/cli.h"

#include <string.h>

/* Text with what roff would take for its own made plain. */
static void text(FILE *out, const char *s)
{
	if (*s == '.' || *s == '\'')
		fputs("\\&", out);
	for (; *s; s++) {
		if (*s == '\\')
			fputs("\\e", out);
		else if (*s == '-')
			fputs("\\-", out);
		else if (*s != '`')
			fputc(*s, out);
		if (*s == '\n' && (s[1] == '.' || s[1] == '\''))
			fputs("\\&", out);
	}
}

static void paragraph(FILE *out, const char *s)
{
	fputs(".PP\n", out);
	text(out, s);
	fputc('\n', out);
}

static void options(FILE *out, const struct cli_opt *o)
{
	for (; o && o->name; o++) {
		if (!o->help)
			continue;
		fputs(".TP\n\\fB", out);
		if (o->letter)
			fprintf(out, "\\-%c\\fR, \\fB", o->letter);
		fputs("\\-\\-", out);
		text(out, o->name);
		fputs("\\fR", out);
		if (o->value)
			fprintf(out, " \\fI%s\\fR", o->value);
		fputc('\n', out);
		text(out, o->help);
		fputc('\n', out);
	}
}

static void command(FILE *out, const struct cli_cmd *cmd)
{
	AUTO(buf_clear) struct buf usage = {0};

	cli_help_usage(cmd, &usage);
	fputs(".SS ", out);
	text(out, cmd->name);
	fputs("\n", out);
	text(out, cmd->help);
	fputs(".\n.PP\n.nf\n", out);
	text(out, buf_str(&usage));
	fputs("\n.fi\n", out);
	for (const struct cli_arg *a = cmd->args; a && a->name; a++)
		if (a->help) {
			fprintf(out, ".TP\n\\fI%s\\fR\n", a->name);
			text(out, a->help);
			fputc('\n', out);
		}
	options(out, cmd->opts);
	if (cmd->more)
		paragraph(out, cmd->more);
	if (cmd->aliases) {
		fputs(".PP\nAliases: ", out);
		text(out, cmd->aliases);
		fputc('\n', out);
	}
	if (cmd->examples) {
		fputs(".PP\n.nf\n", out);
		for (const char *p = cmd->examples; *p; p += *p == '\n') {
			size_t n = strcspn(p, "\n");
			AUTO(auto_str) char *line = xasprintf("$ paasctl %.*s\n", (int)n, p);

			text(out, line);
			p += n;
		}
		fputs(".fi\n", out);
	}
}

void cli_help_man(FILE *out)
{
	fputs(".TH PAASCTL 1 \"\" \"paasctl " PAASD_VERSION "\" \"paasd\"\n"
	      ".SH NAME\npaasctl \\- command line of a paasd platform\n"
	      ".SH SYNOPSIS\n.B paasctl\n.I COMMAND\n[\\fIARGUMENTS\\fR] [\\fB\\-\\-app\\fR "
	      "\\fIAPP\\fR "
	      "| \\fB\\-\\-remote\\fR \\fIREMOTE\\fR]\n"
	      ".SH DESCRIPTION\npaasctl has the Heroku CLI's command names, flags and output. "
	      "Results go "
	      "to standard output, progress and messages to standard error.\n"
	      ".SH OPTIONS\n",
	      out);
	options(out, cli_app_opts);
	options(out, cli_json_opts);
	options(out, cli_global_opts);
	for (const struct cli_topic *t = cli_topics; t->name; t++) {
		fputs(".SH ", out);
		for (const char *p = t->name; *p; p++)
			fputc(*p >= 'a' && *p <= 'z' ? *p - 32 : *p, out);
		fputc('\n', out);
		text(out, t->help);
		fputs(".\n", out);
		for (const struct cli_cmd *c = t->cmds; c->name; c++)
			if (!(c->flags & CLI_HIDDEN))
				command(out, c);
	}
	fputs(".SH ENVIRONMENT\n"
	      ".TP\nPAASCTL_API_URL\naddress of the platform\n"
	      ".TP\nPAASCTL_API_KEY\nAPI token, instead of the netrc's\n"
	      ".TP\nPAASCTL_APP, HEROKU_APP\nthe app, when no flag says it\n"
	      ".TP\nPAASCTL_CA_FILE\nauthorities that the platform's certificate is checked "
	      "against\n"
	      ".TP\nPAASCTL_DEBUG\n1: show requests\n"
	      ".TP\nNO_COLOR\nno colours\n"
	      ".SH FILES\n"
	      ".TP\n~/.netrc\ntokens, by host\n"
	      ".TP\n~/.config/paasctl/config.json\nthe platform's address\n"
	      ".TP\n~/.config/paasctl/ca\nauthorities of platforms that were trusted\n"
	      ".TP\n~/.cache/paasctl\nwhat completion remembers for half a minute\n"
	      ".SH EXIT STATUS\n",
	      out);
	text(out, cli_help_exits);
	fputs("\n.SH SEE ALSO\ngit(1), git\\-push(1)\n", out);
}
