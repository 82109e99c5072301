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
	char *app;	 /* owned; set before run() of commands with CLI_APP */
	char *code;	 /* owned; the second factor's code, once it was asked for */
	bool asking;	 /* stdin answers questions even when it is no terminal (login) */
	bool trust_any;	 /* certificates are not checked: for fetching the CA only */
	bool untrusted;	 /* a request failed because its certificate was not trusted */
	long timeout_ms; /* of every request; 0 = the usual */
	bool out_tty, err_tty, out_colour, err_colour, debug;
	struct cli_http *http;
	struct buf action;  /* text of the action that is being shown, empty when none is */
	struct buf pending; /* warnings kept back until the action's line is done */
	struct buf detail; /* when not empty: printed instead of err->msg, may have several lines */
	char webhook_secret[256]; /* of the last answer that told one */
	char wire_id[64];	  /* id of the API's last error; err->id points here */
	char err_app[64];	  /* its app.name, "" when none */
	char err_url[256];	  /* its url */
};

/* --- commands.c: the one table --- */
extern const struct cli_topic cli_topics[]; /* ends with a NULL name */
extern const struct cli_opt cli_global_opts[];
extern const struct cli_opt cli_json_opts[];
extern const struct cli_opt cli_app_opts[];

/* --- dispatch.c --- */
int cli_main(int argc, char **argv);

/* --- help.c, man.c: what people read about the table --- */
extern const char cli_help_exits[]; /* "0 done; 1 ..." */
void cli_help_command(FILE *out, const struct cli_cmd *cmd);
void cli_help_topic(FILE *out, const struct cli_topic *topic);
void cli_help_overview(FILE *out);
void cli_help_markdown(FILE *out);
void cli_help_man(FILE *out);
/* "paasctl NAME ARGS FLAGS" */
void cli_help_usage(const struct cli_cmd *cmd, struct buf *out);

/* --- parity.c: paasctl called as `staging` or `production` --- */
/* The environment that a program's name stands for; NULL when it is none. */
const char *cli_parity_env(const char *argv0);
/* Runs `ENV WORDS...`; the exit status. dispatch runs one command line of paasctl. */
int cli_parity(const char *env, int argc, char **argv, int (*dispatch)(int argc, char **argv));

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
	const char *bearer;	   /* this token instead of ours; "" = none */
	long timeout_ms;	   /* 0 = the usual */
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
/* PUT of a file to a capability URL. */
int cli_put_file(struct cli *c, const char *url, const char *file, struct err *err);
void cli_http_free(struct cli_http *h);
/* A handle whose connection to the platform is open (CURLOPT_CONNECT_ONLY), for attach.c. */
void *cli_connect(struct cli *c, int *fd, struct err *err);
/* The same, a CURL of the caller's own, for curl_easy_cleanup: there may be several (tunnel.c). */
void *cli_connect_own(struct cli *c, int *fd, struct err *err);

/* The first items of a list as a range asks for them ("version ..; max=1, order=desc"). */
int cli_api_part(struct cli *c, const char *range, json_t **out, struct err *err, const char *fmt,
		 ...) PRINTF(5, 6);
/* The request of which cli_action() told: ends its line, and with --json prints the answer. */
int cli_send_req(struct cli *c, const struct cli_req *req, struct err *err);
int cli_send(struct cli *c, const char *method, const json_t *body, struct err *err,
	     const char *fmt, ...) PRINTF(5, 6);

const json_t *cli_at(const json_t *o, const char *path); /* borrowed; NULL */
/* Text at a dotted path ("user.email"); "" when absent, null or no text. Borrowed. */
const char *cli_js(const json_t *o, const char *path);
long long cli_jint(const json_t *o, const char *path);

/* --- show.c: resources as tables and as fields; with --json as they came --- */
enum cli_form {
	FORM_TEXT,  /* text, numbers, true and false */
	FORM_WHEN,  /* cli_ago() */
	FORM_LIST,  /* an array's texts, or the names in its objects, with ", " between */
	FORM_LINES, /* the same, one a line */
	FORM_ON,    /* true: enabled, else: disabled */
};
struct cli_field {
	const char *label; /* NULL ends; "" in the first of a table: a table without heads */
	const char *path;
	enum cli_form form;
};
bool cli_json(const struct cli *c);				  /* --json was given */
char *cli_field_text(const json_t *o, const struct cli_field *f); /* owned */
/* "=== title" and a table, or the text for an empty list. Both may have one %s: the app. */
int cli_show_list(struct cli *c, const json_t *list, const struct cli_field *fields,
		  const char *title, const char *none);
/* "=== title" (NULL = none) and a line for each field that is not empty. */
int cli_show_fields(struct cli *c, const json_t *o, const struct cli_field *fields,
		    const char *title);
/* A new array, sorted by the text at a path. */
json_t *cli_sorted(const json_t *list, const char *path);
/* The object of a list whose field is that text; NULL. Borrowed. */
json_t *cli_find(const json_t *list, const char *path, const char *value);
/* A number of an option, preset when it was not given. */
int cli_num_opt(struct cli *c, const char *name, int preset, int *out, struct err *err);
/* Sets body.key to the option's value when it was given. */
void cli_body_opt(struct cli *c, json_t *body, const char *opt, const char *key);
/* An array of the parts of "a,b c". */
json_t *cli_words(const char *text);
/* The body of a file of at most max bytes, as text; "-" is stdin. */
int cli_read_file(const char *path, size_t max, struct buf *out, struct err *err);
/* $XDG_CONFIG_HOME/paasctl or the like for "CONFIG", "CACHE"; NULL without a home. */
char *cli_xdg_dir(const char *kind);
int cli_make_dir(const char *dir, struct err *err); /* and its parents, mode 0700 */

/* --- trust.c: the CA of a development platform --- */
/* Owned; PAASCTL_CA_FILE, else the one kept for this platform if there is one; else NULL. */
char *cli_ca_file(struct cli *c);
/* GET /ca.pem, without checking the certificate when the platform is https. 1 = it has none. */
int cli_ca_fetch(struct cli *c, struct buf *pem, struct err *err);
int cli_ca_fingerprint(const char *pem, char out[96]); /* "AB:CD:..."; -1 when it is no PEM */
/* Keeps it for this platform; *path gets the file. */
int cli_ca_keep(struct cli *c, const struct buf *pem, char **path, struct err *err);
/* A file with it and the system's own authorities, for programs that take only one. Owned; NULL
 * when it cannot be written. */
char *cli_ca_bundle(struct cli *c, const char *ca_file);
/* At login: offers to trust the platform's CA. required: nothing works without. */
int cli_ca_offer(struct cli *c, bool required, struct err *err);

/* --- qr.c --- */
/* Draws text as a QR code of half blocks; false when it is too long (about 270 bytes). */
bool cli_qr_print(FILE *out, const char *text);

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
/* The remote that --remote names, for commands that make one. */
const char *cli_git_remote_opt(struct cli *c);
/* The repository's git checks an https platform with the authority that was trusted for it. */
void cli_git_trust(struct cli *c, const char *url);
void cli_git_trust_in(struct cli *c, const char *dir, const char *url);

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
/* A backup by its public URL into fd, size octets (cmd_pg_backups.c). */
int cli_backup_fetch(struct cli *c, const char *url, int fd, long long size, struct err *err);
/* Shared by commands: APP of `info APP` stands for -a APP. */
int cli_app_arg(struct cli *c, struct err *err);
/* Calls fn for the repository's remotes of the app. */
int cli_each_remote(struct cli *c, const char *app, const char *url,
		    int (*fn)(const char *name, const char *url, struct err *err), struct err *err);
/* The release that a name stands for ("v12", "12", an id), the newest without a name. */
int cli_get_release(struct cli *c, const char *name, json_t **out, struct err *err);
/* A directory, packed (of a git checkout what git would see), or a tarball, as a source of the
 * platform; shows that it does (cmd_builds.c). */
int cli_source_upload(struct cli *c, const char *from, json_t **source, struct err *err);
/* Sets blob.version: --version, else the commit that the directory (or NULL) is at. */
void cli_source_version(struct cli *c, const char *dir, json_t *blob);
/* Log lines of a session, streamed to stdout (cmd_logs.c). */
struct cli_logs {
	const char *dyno, *source; /* or NULL */
	int lines;
	bool tail;
};
int cli_logs_show(struct cli *c, const struct cli_logs *what, struct err *err);
/* "KEY=value" with the value quoted for a shell, without a newline (cmd_config.c). */
void cli_shell_pair(struct buf *out, const char *key, const char *value);

#endif
