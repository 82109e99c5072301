/* args.h - the shape of the command table, and the parser of command lines. Pure. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include "proto/buf.h"
#include "proto/err.h"

/* What a value is, for shell completion (cmd_complete.c says where each comes from). */
enum cli_complete {
	COMPLETE_NONE,
	COMPLETE_APP,
	COMPLETE_REMOTE,
	COMPLETE_COMMAND,
	COMPLETE_SHELL,
	COMPLETE_FILE,
	COMPLETE_CONFIG, /* names of config vars of the app */
	COMPLETE_DYNO,
	COMPLETE_TYPE, /* process types of the app */
	COMPLETE_RELEASE,
	COMPLETE_BUILD,
	COMPLETE_DOMAIN,
	COMPLETE_CERT,
	COMPLETE_DRAIN,
	COMPLETE_WEBHOOK,
	COMPLETE_JOB,
	COMPLETE_FEATURE,
	COMPLETE_LAB,
	COMPLETE_PERSON, /* who has access to the app */
	COMPLETE_PERMISSION,
	COMPLETE_KEY,
	COMPLETE_AUTHORIZATION,
	COMPLETE_STACK,
	COMPLETE_SIZE,
	COMPLETE_REGION,
	COMPLETE_LEVEL, /* of a webhook */
	COMPLETE_PIPELINE,
	COMPLETE_STAGE, /* of a pipeline */
	COMPLETE_SERVICE,
	COMPLETE_PLAN, /* its service: that is the plan by default */
	COMPLETE_ADDON,
	COMPLETE_ATTACHMENT,
	COMPLETE_VOLUME,
};

struct cli_opt {
	char letter;	   /* 0 = none */
	const char *name;  /* without --; NULL ends a list */
	const char *value; /* name of its value in help; NULL = a switch */
	enum cli_complete complete;
	const char *help; /* NULL = hidden */
};

struct cli_arg {
	const char *name; /* upper case; NULL ends a list */
	enum cli_complete complete;
	const char *help;
	bool required, many;
};

enum cli_cmd_flags {
	CLI_APP = 1,	      /* acts on an app: takes -a and -r */
	CLI_APP_OPTIONAL = 2, /* takes -a and -r, finds no app by itself */
	CLI_PASS = 4,	      /* unknown options are arguments (run) */
	CLI_HIDDEN = 8,
	CLI_NO_KEY = 16,  /* works without being logged in */
	CLI_OFFLINE = 32, /* needs neither platform nor configuration */
	CLI_NO_JSON = 64, /* has no --json: its output is a stream, or not for reading */
};

struct cli;
struct cli_cmd {
	const char *name;
	const char *aliases;	    /* separated by blanks; or NULL */
	const char *help;	    /* one line, no full stop */
	const char *more;	    /* paragraphs; or NULL */
	const struct cli_arg *args; /* or NULL */
	const struct cli_opt *opts; /* its own; or NULL */
	unsigned flags;
	int (*run)(struct cli *c, struct err *err);
	const char *examples; /* lines without "$ paasctl "; or NULL */
};

struct cli_topic {
	const char *name, *help;
	const struct cli_cmd *cmds; /* ends with a NULL name */
};

struct cli_value {
	const struct cli_opt *opt;
	const char *value; /* "" for a switch; borrowed from argv */
};

struct cli_args {
	const struct cli_cmd *cmd;
	struct cli_value *values; /* owned */
	int nvalues;
	const char **pos; /* owned array of borrowed text, NULL-terminated */
	int npos;
	bool help; /* --help was given: nothing was checked */
};

/* The option lists that a command knows: its own, json, app, global (NULL-terminated). */
void cli_opt_lists(const struct cli_cmd *cmd, const struct cli_opt *lists[5]);
const struct cli_cmd *cli_find_cmd(const char *name); /* by name or alias; NULL */
/* The nearest command name or alias to a mistyped one; NULL when nothing is near. */
const char *cli_suggest(const char *name);
const char *cli_suggest_opt(const struct cli_cmd *cmd, const char *name);

/* Parses what follows the command's name. -1 with *err (ERR_BAD_REQUEST: exit status 2). */
int cli_args_parse(const struct cli_cmd *cmd, int argc, char **argv, struct cli_args *out,
		   struct err *err);
void cli_args_clear(struct cli_args *a);
#define cli_args_clear_p cli_args_clear
/* Value of an option of this command ("" for a switch); NULL when not given. The last one wins.
 * Asserts that the table has it. */
const char *cli_opt(const struct cli_args *a, const char *name);
/* The same for code that several commands share: NULL too when the table does not have it. */
const char *cli_opt_any(const struct cli_args *a, const char *name);
/* The n-th value of an option that may be repeated; NULL after the last. */
const char *cli_opt_nth(const struct cli_args *a, const char *name, int n);

#endif
