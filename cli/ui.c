#include "cli/cli.h"
#include "cli/term.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

/* One line of text of which parts come from elsewhere. */
static void clean_fmt(struct buf *out, const char *fmt, va_list ap)
{
	AUTO(buf_clear) struct buf raw = {0};

	buf_vaddf(&raw, fmt, ap);
	cli_clean(out, buf_str(&raw), raw.len, false);
}

static void show_action(struct cli *c, const char *status)
{
	fprintf(stderr, "%s%s... %s", c->err_tty ? "\r\033[K" : "", buf_str(&c->action), status);
	fflush(stderr);
}

void cli_action(struct cli *c, const char *fmt, ...)
{
	va_list ap;

	buf_reset(&c->action);
	va_start(ap, fmt);
	clean_fmt(&c->action, fmt, ap);
	va_end(ap);
	fflush(stdout);
	if (c->err_tty)
		show_action(c, "");
	else
		fprintf(stderr, "%s...", buf_str(&c->action));
}

static void flush_pending(struct cli *c)
{
	fputs(buf_str(&c->pending), stderr);
	buf_reset(&c->pending);
}

static void end_action(struct cli *c, const char *status)
{
	if (c->err_tty)
		show_action(c, status);
	else
		fprintf(stderr, " %s", status);
	fputc('\n', stderr);
	buf_reset(&c->action);
	flush_pending(c);
}

void cli_action_status(struct cli *c, const char *fmt, ...)
{
	AUTO(buf_clear) struct buf text = {0};
	va_list ap;

	if (!c->err_tty || !c->action.len)
		return;
	va_start(ap, fmt);
	clean_fmt(&text, fmt, ap);
	va_end(ap);
	show_action(c, buf_str(&text));
}

void cli_action_done(struct cli *c, const char *fmt, ...)
{
	AUTO(buf_clear) struct buf text = {0};
	va_list ap;

	va_start(ap, fmt);
	clean_fmt(&text, fmt, ap);
	va_end(ap);
	end_action(c, text.len ? buf_str(&text) : "done");
}

void cli_action_fail(struct cli *c)
{
	if (c->action.len)
		end_action(c, c->err_colour ? "\033[31m!\033[0m" : "!");
}

void cli_spin(struct cli *c)
{
	static const char *const frames[] = {"⣾", "⣽", "⣻", "⢿", "⡿", "⣟", "⣯", "⣷"};
	static unsigned n;

	if (c->err_tty && c->action.len)
		fprintf(stderr, "\r\033[K%s... %s", buf_str(&c->action),
			frames[n++ % ARRAY_LEN(frames)]);
}

/* The Heroku CLI's bar before each line. */
static void bar(struct buf *out, bool colour, const char *code, const char *text)
{
	AUTO(buf_clear) struct buf safe = {0};

	cli_clean(&safe, text, strlen(text), true);
	for (char *line = safe.data, *end; line; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = 0;
		if (colour)
			buf_addf(out, " \033[%sm›\033[0m%s%s\n", code, *line ? "   " : "", line);
		else
			buf_addf(out, " ›%s%s\n", *line ? "   " : "", line);
	}
}

void cli_warn(struct cli *c, const char *fmt, ...)
{
	AUTO(buf_clear) struct buf text = {0};
	va_list ap;

	buf_adds(&text, "Warning: ");
	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	bar(&c->pending, c->err_colour, "33", buf_str(&text));
	if (!c->action.len)
		flush_pending(c);
}

void cli_print_err(struct cli *c, const struct err *err)
{
	AUTO(buf_clear) struct buf text = {0};
	AUTO(buf_clear) struct buf out = {0};

	cli_action_fail(c);
	buf_addf(&text, "Error: %s", c->detail.len ? buf_str(&c->detail) : err->msg);
	if (err->id == c->wire_id && c->wire_id[0]) {
		buf_addf(&text, "\n\nError ID: %s", c->wire_id);
		if (c->err_app[0])
			buf_addf(&text, "\nApp: %s", c->err_app);
		if (c->err_url[0])
			buf_addf(&text, "\nSee %s for more information.", c->err_url);
	}
	bar(&out, c->err_colour, "31", buf_str(&text));
	fflush(stdout);
	fputs(buf_str(&out), stderr);
}

void cli_header(struct cli *c, const char *fmt, ...)
{
	AUTO(buf_clear) struct buf text = {0};
	va_list ap;

	va_start(ap, fmt);
	clean_fmt(&text, fmt, ap);
	va_end(ap);
	if (c->out_colour)
		printf("\033[90m=== \033[0m\033[1m%s\033[0m\n\n", buf_str(&text));
	else
		printf("=== %s\n\n", buf_str(&text));
}

void cli_line(const char *fmt, ...)
{
	AUTO(buf_clear) struct buf text = {0};
	va_list ap;

	va_start(ap, fmt);
	clean_fmt(&text, fmt, ap);
	va_end(ap);
	printf("%s\n", buf_str(&text));
}

void cli_print_json(struct cli *c, const json_t *v)
{
	AUTO(auto_str) char *text = json_dumps(v, JSON_INDENT(2) | JSON_ENCODE_ANY);
	AUTO(buf_clear) struct buf safe = {0};

	if (text && c->out_tty)
		cli_clean(&safe, text, strlen(text), true);
	printf("%s\n", c->out_tty ? buf_str(&safe) : text ? text : "null");
}

const char *cli_label(struct cli *c, const char *app)
{
	static char text[128];

	snprintf(text, sizeof text, "%s%s", c->err_colour ? "⬢ " : "", app);
	return text;
}

char *cli_prompt(struct cli *c, const char *prompt, bool hidden)
{
	AUTO(auto_str) char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	/* before the prompt: who reads it may type at once */
	if (hidden)
		cli_term_hide(STDIN_FILENO);
	fputs(prompt, stderr);
	fflush(stderr);
	n = getline(&line, &cap, stdin);
	if (hidden && cli_term_restore())
		fputc('\n', stderr);
	if (n < 0)
		return NULL;
	while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		line[--n] = 0;
	return STEAL(line);
}

bool cli_yes(struct cli *c, const char *question)
{
	AUTO(auto_str) char *ask = xasprintf("%s (y/N) ", question);
	AUTO(auto_str) char *answer = cli_prompt(c, ask, false);

	return answer && (answer[0] == 'y' || answer[0] == 'Y');
}

int cli_confirm(struct cli *c, const char *app, const char *what, struct err *err)
{
	const char *given = cli_opt(&c->args, "confirm");
	AUTO(auto_str) char *typed = NULL;
	AUTO(buf_clear) struct buf text = {0};
	AUTO(buf_clear) struct buf out = {0};

	if (!given) {
		buf_addf(
			&text,
			"Warning: %s\nTo proceed, type %s or re-run this command with --confirm %s",
			what, app, app);
		bar(&out, c->err_colour, "33", buf_str(&text));
		fprintf(stderr, "%s\n", buf_str(&out));
		typed = cli_prompt(c, "> ", false);
		given = typed ? typed : "";
	}
	if (strcmp(given, app) == 0)
		return 0;
	return err_set(err, ERR_INTERNAL, "Confirmation %s did not match %s. Aborted.", given, app);
}

const char *cli_ago(const char *iso, long long now_s)
{
	static char text[80];
	struct tm tm = {0};
	time_t t;
	long long old;
	size_t n;

	if (!strptime(iso, "%Y-%m-%dT%H:%M:%S", &tm))
		return "";
	t = timegm(&tm);
	localtime_r(&t, &tm);
	n = strftime(text, sizeof text, "%Y/%m/%d %H:%M:%S %z", &tm);
	old = now_s > (long long)t ? now_s - (long long)t : 0;
	if (old < 60)
		snprintf(text + n, sizeof text - n, " (~ %llds ago)", old);
	else if (old < 3600)
		snprintf(text + n, sizeof text - n, " (~ %lldm ago)", old / 60);
	else if (old < 25 * 3600)
		snprintf(text + n, sizeof text - n, " (~ %lldh ago)", old / 3600);
	return text;
}
