/* cli.h - what the parts of paasctl share: the context of one run, the command table, and the
 * helpers that commands are written with. paasctl is one thread; nothing here is thread-safe.
 *
 * A command's run() returns its exit status (0 = done), or -1 with *err: main prints it and exits
 * with the status that proto/errors.def gives it (2 for wrong usage). */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "cli/args.h"
#include "cli/render.h"
#include "cli/url.h"
#include "proto/err.h"

#include <jansson.h>
#include <stdio.h>

#define CLI_DEFAULT_URL	   "http://localhost:8080"
#define CLI_DEFAULT_REMOTE "paasd"

struct cli_http; /* libcurl's side, made by the first request (client.c) */

struct cli {
	const struct cli_cmd *cmd;
	struct cli_args args;
	char *api_url;	    /* owned, without a trailing slash */
	struct cli_url url; /* its parts */
	char *key;	    /* owned; API token, NULL when not logged in */
	bool key_from_env;
	char *app; /* owned; set before run() of commands with CLI_APP */
	bool out_tty, err_tty, out_colour, err_colour, debug;
	struct cli_http *http;
	struct buf action;  /* text of the action that is being shown, empty when none is */
	struct buf pending; /* warnings kept back until the action's line is done */
	struct buf detail; /* when not empty: printed instead of err->msg, may have several lines */
	char wire_id[64];  /* id of the API's last error; err->id points here */
	char err_app[64];  /* its app.name, "" when none */
	char err_url[256]; /* its url */
};

/* --- commands.c: the one table --- */
extern const struct cli_cmd cli_commands[]; /* ends with a NULL name */
extern const struct cli_opt cli_global_opts[];
extern const struct cli_opt cli_app_opts[];

/* --- main.c --- */
int cli_main(int argc, char **argv);

/* --- help.c --- */
int cli_cmd_help(struct cli *c, struct err *err);
void cli_help_command(FILE *out, const struct cli_cmd *cmd);
void cli_help_overview(FILE *out);
void cli_help_markdown(FILE *out);

/* --- context.c: where the platform is, who we are --- */
int cli_open(struct cli *c, struct err *err); /* api_url, key, tty flags; no request */
void cli_close(struct cli *c);
int cli_save_url(struct cli *c, struct err *err); /* remembers api_url for later runs */
int cli_need_key(struct cli *c, struct err *err);
int cli_find_app(struct cli *c, struct err *err); /* sets c->app */

/* --- client.c: the Platform API --- */
struct cli_req {
	const char *method, *path; /* path absolute, encoded */
	const json_t *body;	   /* borrowed; NULL = none */
	const char *range;	   /* Range header; NULL = none */
	bool partial;		   /* the given range only: Next-Range is not followed */
	const char *basic;	   /* "user:password" instead of the token */
};
/* out may be NULL (the answer is dropped); else a new reference. Fails with the API's error. */
int cli_request(struct cli *c, const struct cli_req *req, json_t **out, struct err *err);
/* The usual request; each %s of the path is percent-encoded. Only %s and %d are known. */
int cli_api(struct cli *c, const char *method, const json_t *body, json_t **out, struct err *err,
	    const char *fmt, ...) PRINTF(6, 7);
char *cli_pathf(const char *fmt, ...) PRINTF(1, 2);
/* GET of a capability URL (log session, build output), no token. on_data gets the body of a 200 and
 * returns false to end the transfer. *status gets the HTTP status (0 = not reached, with *err).
 * idle_ms: give up when nothing came for so long; 0 = for ever. */
struct cli_stream {
	const char *url;
	const char *const *headers; /* "Name: value", NULL-terminated; or NULL */
	bool (*on_data)(void *arg, const char *data, size_t n);
	bool (*on_head)(void *arg, long status, const char *content_type); /* may be NULL */
	void *arg;
	long idle_ms;
};
int cli_stream(struct cli *c, const struct cli_stream *s, long *status, struct err *err);
/* Copies a text stream to stdout. *status as above. */
int cli_stream_text(struct cli *c, const char *url, long *status, struct err *err);
void cli_http_free(struct cli_http *h);
/* A handle whose connection to the platform is open (CURLOPT_CONNECT_ONLY), for attach.c. */
void *cli_connect(struct cli *c, int *fd, struct err *err);

/* Text at a dotted path ("user.email"); "" when absent, null or no text. Borrowed. */
const char *cli_js(const json_t *o, const char *path);
long long cli_jint(const json_t *o, const char *path);

/* --- ui.c: what people see --- */
void cli_action(struct cli *c, const char *fmt, ...) PRINTF(2, 3); /* "Doing x... " */
void cli_action_status(struct cli *c, const char *fmt, ...)
	PRINTF(2, 3); /* "Doing x... text" stays open */
void cli_action_done(struct cli *c, const char *fmt, ...) PRINTF(2, 3); /* "" = "done" */
void cli_action_fail(struct cli *c);
void cli_spin(struct cli *c); /* called about ten times a second while waiting */
void cli_warn(struct cli *c, const char *fmt, ...) PRINTF(2, 3);
void cli_print_err(struct cli *c, const struct err *err);
/* "=== text" and a blank line. */
void cli_header(struct cli *c, const char *fmt, ...) PRINTF(2, 3);
void cli_line(const char *fmt, ...) PRINTF(1, 2); /* to stdout, cleaned, with a newline */
void cli_print_json(struct cli *c, const json_t *v);
/* Name as shown in progress lines: with a symbol on a colour terminal. Static storage. */
const char *cli_label(struct cli *c, const char *app);
/* Asks for the app's name unless --confirm gave it. what: "This will delete x." */
int cli_confirm(struct cli *c, const char *app, const char *what, struct err *err);
/* One line of stdin without its newline; NULL at the end. hidden: no echo. prompt goes to stderr.
 */
char *cli_prompt(struct cli *c, const char *prompt, bool hidden);
bool cli_yes(struct cli *c, const char *question);
/* "2026/01/31 12:00:00 +0000 (~ 5m ago)" of an API time, into a static buffer; now_s = time(NULL).
 */
const char *cli_ago(const char *iso, long long now_s);

/* --- git.c: the repository around us, through git --- */
struct cli_remotes;
int cli_git_remotes(struct cli *c, struct cli_remotes *out); /* none outside a repository */
bool cli_git_inside(void);
bool cli_git_has_remote(const char *name);
int cli_git_add_remote(const char *name, const char *url, struct err *err);
int cli_git_set_remote(const char *name, const char *url, struct err *err);
int cli_git_del_remote(const char *name, struct err *err);

/* --- proc.c --- */
/* Runs argv with stdin from /dev/null. out NULL: stdout goes to /dev/null. Returns the exit status,
 * -1 when it could not be started. stderr goes to /dev/null too. */
int cli_run(const char *const *argv, struct buf *out);
/* Runs argv on our own terminal and waits. */
int cli_run_tty(const char *const *argv);

/* --- attach.c --- */
/* Speaks to the process behind attach_url until it ends. *status gets its exit status. on_up is
 * called once the stream is open. */
int cli_attach(struct cli *c, const char *attach_url, bool tty,
	       void (*on_up)(struct cli *c, void *arg), void *arg, int *status, struct err *err);

/* --- cmd_*.c --- */
int cmd_login(struct cli *c, struct err *err);
int cmd_logout(struct cli *c, struct err *err);
int cmd_whoami(struct cli *c, struct err *err);
int cmd_token(struct cli *c, struct err *err);
int cmd_apps(struct cli *c, struct err *err);
int cmd_apps_create(struct cli *c, struct err *err);
int cmd_apps_info(struct cli *c, struct err *err);
int cmd_apps_destroy(struct cli *c, struct err *err);
int cmd_apps_rename(struct cli *c, struct err *err);
int cmd_apps_open(struct cli *c, struct err *err);
int cmd_maintenance(struct cli *c, struct err *err);
int cmd_maintenance_on(struct cli *c, struct err *err);
int cmd_maintenance_off(struct cli *c, struct err *err);
int cmd_git_remote(struct cli *c, struct err *err);
int cmd_git_credentials(struct cli *c, struct err *err);
int cmd_config(struct cli *c, struct err *err);
int cmd_config_get(struct cli *c, struct err *err);
int cmd_config_set(struct cli *c, struct err *err);
int cmd_config_unset(struct cli *c, struct err *err);
int cmd_config_edit(struct cli *c, struct err *err);
int cmd_logs(struct cli *c, struct err *err);
int cmd_ps(struct cli *c, struct err *err);
int cmd_ps_scale(struct cli *c, struct err *err);
int cmd_ps_restart(struct cli *c, struct err *err);
int cmd_ps_stop(struct cli *c, struct err *err);
int cmd_ps_type(struct cli *c, struct err *err);
int cmd_ps_wait(struct cli *c, struct err *err);
int cmd_run(struct cli *c, struct err *err);
int cmd_run_detached(struct cli *c, struct err *err);
int cmd_console(struct cli *c, struct err *err);
int cmd_releases(struct cli *c, struct err *err);
int cmd_releases_info(struct cli *c, struct err *err);
int cmd_releases_output(struct cli *c, struct err *err);
int cmd_releases_rollback(struct cli *c, struct err *err);
int cmd_builds(struct cli *c, struct err *err);
int cmd_builds_info(struct cli *c, struct err *err);
int cmd_builds_output(struct cli *c, struct err *err);
int cmd_builds_cancel(struct cli *c, struct err *err);
int cmd_buildpacks(struct cli *c, struct err *err);
int cmd_buildpacks_set(struct cli *c, struct err *err);
int cmd_buildpacks_add(struct cli *c, struct err *err);
int cmd_buildpacks_remove(struct cli *c, struct err *err);
int cmd_buildpacks_clear(struct cli *c, struct err *err);
int cmd_access(struct cli *c, struct err *err);
int cmd_access_add(struct cli *c, struct err *err);
int cmd_access_remove(struct cli *c, struct err *err);
int cmd_version(struct cli *c, struct err *err);
int cmd_autocomplete(struct cli *c, struct err *err);
int cmd_complete(struct cli *c, struct err *err);

/* Shared by commands: log lines of a session, streamed to stdout (cmd_logs.c). */
struct cli_logs {
	const char *dyno, *source; /* or NULL */
	int lines;
	bool tail;
};
int cli_logs_show(struct cli *c, const struct cli_logs *what, struct err *err);
/* "KEY=value" with the value quoted for a shell, without a newline (cmd_config.c). */
void cli_shell_pair(struct buf *out, const char *key, const char *value);

#endif
