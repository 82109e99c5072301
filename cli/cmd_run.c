#include "cli/cli.h"
#include "cli/table.h"
#include "cli/term.h"

#include <string.h>

/* As the Heroku CLI: one argument is taken as it is, several are joined, with those that have a
 * blank or a quote in double quotes. */
static char *join_command(const char *const *argv, int argc)
{
	AUTO(buf_clear) struct buf b = {0};

	if (argc == 1)
		return xstrdup(argv[0]);
	for (int i = 0; i < argc; i++) {
		bool quote = strpbrk(argv[i], " \"") != NULL;

		buf_adds(&b, i ? " " : "");
		buf_adds(&b, quote ? "\"" : "");
		for (const char *p = argv[i]; *p; p++) {
			if (*p == '"')
				buf_addc(&b, '\\');
			buf_addc(&b, *p);
		}
		buf_adds(&b, quote ? "\"" : "");
	}
	return buf_steal(&b);
}

/* "A=1;B=2" */
static int add_vars(json_t *env, const char *text, struct err *err)
{
	while (*text) {
		size_t n = strcspn(text, ";");
		const char *eq = memchr(text, '=', n);
		AUTO(auto_str) char *key = NULL;
		AUTO(auto_str) char *value = NULL;
		json_t *v;

		if (n && (!eq || eq == text))
			return err_set(err, ERR_BAD_REQUEST, "--env is not of the form A=1;B=2");
		if (n) {
			key = xstrndup(text, (size_t)(eq - text));
			value = xstrndup(eq + 1, n - (size_t)(eq - text) - 1);
			v = json_string(value);
			if (!v || json_object_set_new(env, key, v) < 0)
				return err_set(err, ERR_BAD_REQUEST, "--env is not UTF-8 text");
		}
		text += n + (text[n] == ';');
	}
	return 0;
}

static int make_env(struct cli *c, bool attach, json_t **out, struct err *err)
{
	json_auto_t *env = json_object();
	const char *term = getenv("TERM"), *vars;
	unsigned rows, cols;

	if (term && term[0])
		json_object_set_new(env, "TERM", json_string(term));
	if (attach && cli_term_size(STDOUT_FILENO, &rows, &cols)) {
		json_object_set_new(env, "COLUMNS", json_integer(cols));
		json_object_set_new(env, "LINES", json_integer(rows));
	}
	for (int n = 0; cli_opt_any(&c->args, "env") && (vars = cli_opt_nth(&c->args, "env", n));
	     n++)
		if (add_vars(env, vars, err) < 0)
			return -1;
	*out = STEAL(env);
	return 0;
}

static int create(struct cli *c, const char *command, bool attach, bool tty, json_t **dyno,
		  struct err *err)
{
	json_auto_t *body = NULL;
	json_t *env = NULL;
	const char *size = cli_opt(&c->args, "size");
	const char *type = cli_opt_any(&c->args, "type");

	if (make_env(c, attach, &env, err) < 0)
		return -1;
	body = json_pack("{sb, ss, so}", "attach", attach, "command", command, "env", env);
	if (!body) {
		json_decref(env);
		return err_set(err, ERR_BAD_REQUEST, "the command is not UTF-8 text");
	}
	if (size)
		json_object_set_new(body, "size", json_string(size));
	if (type)
		json_object_set_new(body, "type", json_string(type));
	if (attach && !tty)
		json_object_set_new(body, "force_no_tty", json_true());
	return cli_api(c, "POST", body, dyno, err, "/apps/%s/dynos", c->app);
}

static void up(struct cli *c, void *arg)
{
	const json_t *dyno = arg;

	cli_action_done(c, "up, %s", cli_js(dyno, "name"));
}

static int attach(struct cli *c, json_t *dyno, bool tty, bool pass_status, struct err *err)
{
	int status = 0, rc;

	cli_action_status(c, "connecting, %s", cli_js(dyno, "name"));
	rc = cli_attach(c, cli_js(dyno, "attach_url"), tty, up, dyno, &status, err);
	if (rc < 0)
		return -1;
	/* rc 1: interrupted here, which is never success */
	return rc == 1 || pass_status ? status & 0xff : 0;
}

static int run_attached(struct cli *c, const char *command, bool no_tty, bool pass_status,
			struct err *err)
{
	bool tty = !no_tty && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	json_auto_t *dyno = NULL;

	cli_action(c, "Running %s on %s", command, cli_label(c, c->app));
	if (create(c, command, true, tty, &dyno, err) < 0)
		return -1;
	return attach(c, dyno, tty, pass_status, err);
}

static int run_detached(struct cli *c, const char *command, bool tail, struct err *err)
{
	json_auto_t *dyno = NULL;
	struct cli_logs logs = {.lines = 100, .tail = true};

	cli_action(c, "Running %s on %s", command, cli_label(c, c->app));
	if (create(c, command, false, false, &dyno, err) < 0)
		return -1;
	cli_action_done(c, "done, %s", cli_js(dyno, "name"));
	logs.dyno = cli_js(dyno, "name");
	if (cli_json(c)) {
		cli_print_json(c, dyno);
		return 0;
	}
	if (tail)
		return cli_logs_show(c, &logs, err);
	cli_line("Run paasctl logs --app %s --dyno-name %s to view the output.", c->app,
		 cli_js(dyno, "name"));
	return 0;
}

static int cmd_run(struct cli *c, struct err *err)
{
	AUTO(auto_str) char *command = join_command(c->args.pos, c->args.npos);
	bool exit_code = cli_opt(&c->args, "exit-code") != NULL;

	if (!cli_opt(&c->args, "detached"))
		return run_attached(c, command, cli_opt(&c->args, "no-tty") != NULL, exit_code,
				    err);
	if (exit_code)
		return err_set(err, ERR_BAD_REQUEST,
			       "--exit-code needs an attached run, not --detached");
	return run_detached(c, command, false, err);
}

static int cmd_run_detached(struct cli *c, struct err *err)
{
	AUTO(auto_str) char *command = join_command(c->args.pos, c->args.npos);

	return run_detached(c, command, cli_opt(&c->args, "tail") != NULL, err);
}

static int cmd_console(struct cli *c, struct err *err)
{
	return run_attached(c, "console", false, false, err);
}

/* The first word is the dyno, the others are the command. */
static int cmd_run_inside(struct cli *c, struct err *err)
{
	const char *name = c->args.pos[0];
	bool tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !cli_opt(&c->args, "no-tty");
	AUTO(auto_str) char *command = NULL;
	json_auto_t *body = NULL, *dyno = NULL;
	json_t *env = NULL;

	if (c->args.npos < 2)
		return err_set(err, ERR_BAD_REQUEST, "Missing required arg: COMMAND");
	command = join_command(c->args.pos + 1, c->args.npos - 1);
	if (make_env(c, true, &env, err) < 0)
		return -1;
	body = json_pack("{ss so}", "command", command, "env", env);
	if (!body)
		return err_set(err, ERR_BAD_REQUEST, "the command is not UTF-8 text");
	if (!tty)
		json_object_set_new(body, "force_no_tty", json_true());
	cli_action(c, "Running %s on %s", command, cli_label(c, c->app));
	if (cli_api(c, "POST", body, &dyno, err, "/apps/%s/dynos/%s", c->app, name) < 0)
		return -1;
	return attach(c, dyno, tty, cli_opt(&c->args, "exit-code") != NULL, err);
}

static int cmd_rake(struct cli *c, struct err *err)
{
	AUTO(auto_str) char *words = join_command(c->args.pos, c->args.npos);
	AUTO(auto_str) char *command = xasprintf("rake%s%s", words[0] ? " " : "", words);

	return run_attached(c, command, cli_opt(&c->args, "no-tty") != NULL,
			    cli_opt(&c->args, "exit-code") != NULL, err);
}

const struct cli_cmd cli_cmds_run[] = {
	{.name = "run",
	 .help = "run a one-off process inside a dyno",
	 .more = "Options are recognised before and after the command; put -- before a command "
		 "whose own options "
		 "look like them. Without -x the exit status is 0, as with the Heroku CLI.",
	 .args = ARGS({"COMMAND", COMPLETE_NONE, "command, or a process type of the Procfile", true,
		       true}),
	 .opts = OPTS(RUN_OPTS, SWITCH('x', "exit-code", "pass the exit status of the command on"),
		      SWITCH(0, "no-tty", "no pseudo-terminal for the command"),
		      SWITCH('d', "detached", "do not attach: as run:detached"),
		      SWITCH(0, "no-notify", NULL), SWITCH(0, "no-launcher", NULL)),
	 .flags = CLI_APP | CLI_PASS | CLI_NO_JSON,
	 .run = cmd_run,
	 .examples = "run bash\nrun -x -- rails runner 'puts User.count'\nrun -e \"A=1;B=2\" env"},
	{.name = "run:detached",
	 .help = "run a detached dyno, where output is sent to your logs",
	 .args = ARGS({"COMMAND", COMPLETE_NONE, "command, or a process type of the Procfile", true,
		       true}),
	 .opts = OPTS(RUN_OPTS, SWITCH('t', "tail", "continually stream the logs of the dyno")),
	 .flags = CLI_APP | CLI_PASS,
	 .run = cmd_run_detached,
	 .examples = "run:detached rake db:migrate"},
	{.name = "console",
	 .help = "run the app's process type \"console\"",
	 .opts = OPTS(VALUE('s', "size", "SIZE", SIZE, "dyno size")),
	 .flags = CLI_APP | CLI_NO_JSON,
	 .run = cmd_console,
	 .examples = "console -a my-app"},
	{.name = "run:inside",
	 .help = "run a process inside a dyno that runs already",
	 .args = ARGS({"DYNO", COMPLETE_DYNO, "name of the dyno", true, false},
		      {"COMMAND", COMPLETE_NONE, "command", true, true}),
	 .opts = OPTS(
		 VALUE('e', "env", "VARS", NONE, "environment variables for this run: \"A=1;B=2\""),
		 SWITCH('x', "exit-code", "pass the exit status of the command on"),
		 SWITCH(0, "no-tty", "no pseudo-terminal for the command"),
		 SWITCH(0, "no-launcher", NULL)),
	 .flags = CLI_APP | CLI_PASS | CLI_NO_JSON,
	 .run = cmd_run_inside,
	 .examples = "run:inside web.1 bash -a my-app"},
	{.name = "rake",
	 .help = "run rake in a one-off dyno",
	 .args = ARGS({"TASK", COMPLETE_NONE, "tasks and arguments", false, true}),
	 .opts = OPTS(RUN_OPTS, SWITCH('x', "exit-code", "pass the exit status of the command on"),
		      SWITCH(0, "no-tty", "no pseudo-terminal for the command")),
	 .flags = CLI_APP | CLI_PASS | CLI_NO_JSON,
	 .run = cmd_rake,
	 .examples = "rake db:migrate -a my-app"},
	{0},
};
