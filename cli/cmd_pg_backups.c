/* Backups of databases: listed, made, deleted, fetched. */
#include "cli/pgtransfer.h"
#include "cli/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const char *arg(struct cli *c, int i)
{
	return c->args.npos > i ? c->args.pos[i] : NULL;
}

/* --- lists and facts --- */

static void list_kind(struct cli *c, const json_t *list, const char *title, const char *none,
		      bool (*is)(const json_t *t))
{
	static const char *const backup[] = {"ID", "Created at", "Status", "Size", "Database"};
	static const char *const other[] = {"ID", "Created at", "Status", "Size", "From", "To"};
	bool backups = is == cli_pgt_is_backup;
	AUTO(cli_table_clear)
	struct cli_table t = {.cols = backups ? 5 : 6, .heads = backups ? backup : other};

	cli_header(c, "%s", title);
	for (size_t i = json_array_size(list); i > 0; i--) {
		const json_t *v = json_array_get(list, i - 1);
		char name[16], size[32], status[120];

		if (!is(v))
			continue;
		cli_pgt_name(v, name);
		cli_pgt_size(v, "processed_bytes", size);
		cli_pgt_status(v, status);
		cli_table_row(&t, (const char *[]){name, cli_js(v, "created_at"), status, size,
						   cli_js(v, "from_name"), cli_js(v, "to_name")});
	}
	if (t.rows)
		cli_table_print(&t, stdout);
	else
		cli_line("%s", none);
	printf("\n");
}

static bool is_restore(const json_t *t)
{
	return strcmp(cli_js(t, "from_type"), "gof3r") == 0;
}

static bool is_copy(const json_t *t)
{
	return !cli_pgt_is_backup(t) && !is_restore(t);
}

static int cmd_backups(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL;

	if (cli_pgt_list(c, c->app, &list, err) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, list);
		return 0;
	}
	list_kind(c, list, "Backups", "No backups. Make one with paasctl pg:backups:capture",
		  cli_pgt_is_backup);
	list_kind(c, list, "Restores", "No restores. Use paasctl pg:backups:restore", is_restore);
	list_kind(c, list, "Copies", "No copies. Use paasctl pg:copy", is_copy);
	return 0;
}

static int cmd_info(struct cli *c, struct err *err)
{
	static const struct cli_field fields[] = {{"Database", "from_name", FORM_TEXT},
						  {"To", "to_name", FORM_TEXT},
						  {"Created at", "created_at", FORM_TEXT},
						  {"Started at", "started_at", FORM_TEXT},
						  {"Finished at", "finished_at", FORM_TEXT},
						  {"Verified at", "verified_at", FORM_TEXT},
						  {"Status", "status", FORM_TEXT},
						  {"Type", "type", FORM_TEXT},
						  {"Database size", "source", FORM_TEXT},
						  {"Backup size", "size", FORM_TEXT},
						  {"SHA-256", "checksum", FORM_TEXT},
						  {0}};
	json_auto_t *t = NULL;
	char name[16], status[120], size[32], source[32];
	size_t i;
	json_t *line;

	if (cli_pgt_pick(c, c->app, arg(c, 0), cli_pgt_is_backup, CLI_PGT_NONE, &t, err) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, t);
		return 0;
	}
	cli_pgt_name(t, name);
	cli_pgt_status(t, status);
	cli_pgt_size(t, "processed_bytes", size);
	cli_pgt_size(t, "source_bytes", source);
	json_object_set_new(t, "status", json_string(status));
	json_object_set_new(t, "size", json_string(size));
	json_object_set_new(t, "source", json_string(source));
	json_object_set_new(
		t, "type",
		json_string(json_is_object(cli_at(t, "schedule")) ? "Scheduled" : "Manual"));
	cli_show_fields(c, t, fields, name);
	printf("\n");
	cli_header(c, "Log");
	json_array_foreach(cli_at(t, "logs"), i, line)
		cli_line("%s %s", cli_js(line, "created_at"), cli_js(line, "message"));
	return 0;
}

/* --- made --- */

static int cmd_capture(struct cli *c, struct err *err)
{
	AUTO(cli_pgdb_clear) struct cli_pgdb d = {0};
	AUTO(auto_str) char *what = NULL;

	if (cli_pg_find(c, arg(c, 0), &d, err) < 0)
		return -1;
	what = xasprintf("Backing up %s", d.name);
	return cli_pgt_run(c, &d, "backups", NULL, what, err);
}

static int cmd_cancel(struct cli *c, struct err *err)
{
	json_auto_t *t = NULL;
	char name[16];

	if (cli_pgt_pick(c, c->app, arg(c, 0), cli_pgt_is_open,
			 "%s has no backup, restore or copy under way.", &t, err) < 0)
		return -1;
	cli_pgt_name(t, name);
	cli_action(c, "Canceling %s", name);
	return cli_send(c, "POST", NULL, err, "/client/v11/apps/%s/transfers/%s/actions/cancel",
			c->app, cli_js(t, "uuid"));
}

static int cmd_delete(struct cli *c, struct err *err)
{
	AUTO(auto_str) char *what = NULL;
	json_auto_t *t = NULL;
	char name[16];

	if (cli_pgt_named(c, c->app, c->args.pos[0], &t, err) < 0)
		return -1;
	cli_pgt_name(t, name);
	what = xasprintf("This will delete the backup %s of %s.", name, c->app);
	if (cli_confirm(c, c->app, what, err) < 0)
		return -1;
	cli_action(c, "Deleting %s of %s", name, cli_label(c, c->app));
	return cli_send(c, "DELETE", NULL, err, "/client/v11/apps/%s/transfers/%s", c->app,
			cli_js(t, "uuid"));
}

/* --- fetched --- */

static int public_url(struct cli *c, const json_t *t, json_t **out, struct err *err)
{
	return cli_api(c, "POST", NULL, out, err,
		       "/client/v11/apps/%s/transfers/%s/actions/public-url", c->app,
		       cli_js(t, "uuid"));
}

static int cmd_url(struct cli *c, struct err *err)
{
	json_auto_t *t = NULL, *url = NULL;

	if (cli_pgt_pick(c, c->app, arg(c, 0), cli_pgt_is_good, CLI_PGT_NONE, &t, err) < 0 ||
	    public_url(c, t, &url, err) < 0)
		return -1;
	if (cli_json(c))
		cli_print_json(c, url);
	else
		cli_line("%s", cli_js(url, "url"));
	return 0;
}

struct download {
	struct cli *c;
	int fd;
	long long done, size;
	bool failed;
	int no; /* errno */
};

static bool on_data(void *a, const char *data, size_t n)
{
	struct download *d = a;

	while (n > 0) {
		ssize_t w = write(d->fd, data, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0) {
			d->failed = true;
			d->no = errno;
			return false;
		}
		data += w;
		n -= (size_t)w;
		d->done += w;
	}
	if (d->c->err_tty && d->size > 0)
		cli_action_status(d->c, "%lld%%", d->done * 100 / d->size);
	return true;
}

static bool on_head(void *a, long status, const char *content_type)
{
	(void)a;
	(void)content_type;
	return status == 200;
}

/* The platform is asked where it was asked before, whatever name the URL has for it. */
static char *same_host(struct cli *c, const char *url)
{
	const char *p = strstr(url, "://"), *path = p ? strchr(p + 3, '/') : NULL;

	return xasprintf("%s%s", c->api_url, path ? path : "");
}

int cli_backup_fetch(struct cli *c, const char *url, int fd, long long size, struct err *err)
{
	struct download d = {.c = c, .fd = fd, .size = size};
	AUTO(auto_str) char *from = same_host(c, url);
	const struct cli_stream s = {
		.url = from, .on_data = on_data, .on_head = on_head, .arg = &d, .idle_ms = 60000};
	long status = 0;

	if (cli_stream(c, &s, &status, err) < 0)
		return -1;
	if (d.failed) {
		errno = d.no;
		return err_errno(err, "the backup cannot be written");
	}
	if (status != 200)
		return err_set(err, ERR_INTERNAL, "the backup cannot be fetched (status %ld)",
			       status);
	if (d.done != size)
		return err_set(err, ERR_IO, "the download was cut off after %lld of %lld bytes",
			       d.done, size);
	return 0;
}

/* latest.dump, or the first of latest.dump.1, .2 ... that is free. */
static int open_output(const char *given, char **path, struct err *err)
{
	int fd;

	if (given && strcmp(given, "-") == 0)
		return dup(1);
	for (int i = 0; i < 10000; i++) {
		*path = given	 ? xstrdup(given)
			: i == 0 ? xstrdup("latest.dump")
				 : xasprintf("latest.dump.%d", i);
		fd = open(*path, O_WRONLY | O_CREAT | O_CLOEXEC | (given ? O_TRUNC : O_EXCL), 0600);
		if (fd >= 0)
			return fd;
		if (given || errno != EEXIST)
			return err_errno(err, "%s", *path);
		free(STEAL(*path));
	}
	return err_set(err, ERR_CONFLICT, "there are too many files latest.dump.*");
}

static int cmd_download(struct cli *c, struct err *err)
{
	json_auto_t *t = NULL, *url = NULL;
	AUTO(auto_str) char *path = NULL;
	AUTO(auto_fd) int fd = -1;
	char name[16];

	if (cli_pgt_pick(c, c->app, arg(c, 0), cli_pgt_is_good, CLI_PGT_NONE, &t, err) < 0 ||
	    public_url(c, t, &url, err) < 0)
		return -1;
	fd = open_output(cli_opt(&c->args, "output"), &path, err);
	if (fd < 0)
		return -1;
	cli_pgt_name(t, name);
	cli_action(c, "Downloading %s to %s", name, path ? path : "standard output");
	if (cli_backup_fetch(c, cli_js(url, "url"), fd, cli_jint(t, "processed_bytes"), err) < 0) {
		if (path)
			unlink(path);
		return -1;
	}
	cli_action_done(c, "%s", "");
	if (cli_json(c))
		cli_print_json(c, t);
	return 0;
}

/* --- the table --- */

#define BACKUP_ID(text)                                     \
	{                                                   \
		"BACKUP", COMPLETE_NONE, text, false, false \
	}
#define DATABASE_ARG                                                                           \
	{                                                                                      \
		"DATABASE", COMPLETE_NONE, "attachment or add-on; DATABASE by default", false, \
			false                                                                  \
	}
#define NO_WAIT SWITCH(0, "no-wait", "begin it, and do not wait for its end")

const struct cli_cmd cli_cmds_backups[] = {
	{.name = "pg:backups",
	 .help = "list backups, restores and copies of an app's databases",
	 .flags = CLI_APP,
	 .run = cmd_backups,
	 .examples = "pg:backups -a my-app"},
	{.name = "pg:backups:capture",
	 .help = "back a database up",
	 .more = "Each backup is restored into a scratch database and compared with what was "
		 "dumped "
		 "before it counts.",
	 .args = ARGS(DATABASE_ARG),
	 .opts = OPTS(NO_WAIT),
	 .flags = CLI_APP,
	 .run = cmd_capture,
	 .examples = "pg:backups:capture -a my-app\npg:backups:capture HEROKU_POSTGRESQL_PINK"},
	{.name = "pg:backups:info",
	 .help = "show a backup, restore or copy, with its log",
	 .args = ARGS(BACKUP_ID("b001; the newest by default")),
	 .flags = CLI_APP,
	 .run = cmd_info,
	 .examples = "pg:backups:info b001 -a my-app"},
	{.name = "pg:backups:url",
	 .help = "a URL of a backup that is good for an hour, for anybody who has it",
	 .args = ARGS(BACKUP_ID("b001; the newest good one by default")),
	 .flags = CLI_APP,
	 .run = cmd_url,
	 .examples = "pg:backups:url b001 -a my-app"},
	{.name = "pg:backups:download",
	 .help = "fetch a backup: a dump for pg_restore",
	 .args = ARGS(BACKUP_ID("b001; the newest good one by default")),
	 .opts = OPTS(VALUE('o', "output", "FILE", FILE, "where to; - is standard output")),
	 .flags = CLI_APP,
	 .run = cmd_download,
	 .examples = "pg:backups:download -a my-app\npg:backups:download b001 -o b001.dump"},
	{.name = "pg:backups:cancel",
	 .help = "cancel a backup, restore or copy",
	 .args = ARGS(BACKUP_ID("b001; the newest that is not over by default")),
	 .flags = CLI_APP,
	 .run = cmd_cancel,
	 .examples = "pg:backups:cancel -a my-app"},
	{.name = "pg:backups:delete",
	 .help = "delete a backup",
	 .args = ARGS({"BACKUP", COMPLETE_NONE, "b001", true, false}),
	 .opts = OPTS(CONFIRM),
	 .flags = CLI_APP,
	 .run = cmd_delete,
	 .examples = "pg:backups:delete b001 -a my-app --confirm my-app"},
	{0},
};
