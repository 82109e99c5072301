/* Backups of databases: made, looked at, fetched, restored, every day; copies of databases. */
#include "cli/cli.h"
#include "cli/table.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define WAIT_MS	     1000
#define FAILURES_MAX 20 /* in a row, while a transfer is waited for: the platform may restart */

static const char *arg(struct cli *c, int i)
{
	return c->args.npos > i ? c->args.pos[i] : NULL;
}

/* --- databases --- */

struct db {				/* owned */
	char *addon_id, *addon, *owner; /* owner: the add-on's app, which has its transfers */
	char *name, *app;		/* of the attachment */
};

static void db_clear(struct db *d)
{
	free(d->addon_id);
	free(d->addon);
	free(d->owner);
	free(d->name);
	free(d->app);
	*d = (struct db){0};
}
#define db_clear_p db_clear

/* An attachment, its config var, an add-on's name, or APP::one of these; NULL = DATABASE_URL. */
static int find_db(struct cli *c, const char *ref, struct db *out, struct err *err)
{
	const char *name = ref ? ref : "DATABASE_URL", *colons = strstr(name, "::");
	AUTO(auto_str) char *app = colons ? xstrndup(name, (size_t)(colons - name)) : NULL;
	json_auto_t *body = json_pack("{ss ss}", "app", app ? app : c->app, "addon_attachment",
				      colons ? colons + 2 : name);
	json_auto_t *list = NULL;
	const json_t *a;

	if (cli_api(c, "POST", body, &list, err, "/actions/addon-attachments/resolve") < 0) {
		if (err->code == ERR_NOT_FOUND || strcmp(err->id, "not_found") == 0)
			return err_set(err, ERR_NOT_FOUND,
				       "%s has no database %s: paasctl addons -a %s shows what it "
				       "has.",
				       app ? app : c->app, name, app ? app : c->app);
		return -1;
	}
	a = json_array_get(list, 0);
	if (!a)
		return err_set(err, ERR_NOT_FOUND, "%s has no database %s.", app ? app : c->app,
			       name);
	*out = (struct db){.addon_id = xstrdup(cli_js(a, "addon.id")),
			   .addon = xstrdup(cli_js(a, "addon.name")),
			   .owner = xstrdup(cli_js(a, "addon.app.name")),
			   .name = xstrdup(cli_js(a, "name")),
			   .app = xstrdup(cli_js(a, "app.name"))};
	return 0;
}

/* --- transfers --- */

static void name_of(const json_t *t, char out[16])
{
	bool dump = strcmp(cli_js(t, "from_type"), "pg_dump") == 0,
	     into = strcmp(cli_js(t, "to_type"), "pg_restore") == 0;
	char kind = !dump ? 'r' : into ? 'c' : json_is_object(cli_at(t, "schedule")) ? 'a' : 'b';

	snprintf(out, 16, "%c%03lld", kind, cli_jint(t, "num"));
}

static bool is_backup(const json_t *t)
{
	return strcmp(cli_js(t, "to_type"), "gof3r") == 0;
}

/* "1.44MB" */
static void size_text(const json_t *t, const char *key, char out[32])
{
	static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
	double n = (double)cli_jint(t, key);
	size_t u = 0;

	for (; n >= 1024 && u + 1 < ARRAY_LEN(units); u++)
		n /= 1024;
	if (json_is_integer(cli_at(t, key)))
		snprintf(out, 32, u ? "%.2f%s" : "%.0f%s", n, units[u]);
	else
		out[0] = 0;
}

static void status_text(const json_t *t, char out[120])
{
	const char *end = cli_js(t, "finished_at");
	char size[32];

	size_text(t, "processed_bytes", size);
	if (json_is_true(cli_at(t, "succeeded")) && cli_jint(t, "warnings") > 0)
		snprintf(out, 120, "Completed with %lld warnings %s", cli_jint(t, "warnings"), end);
	else if (json_is_true(cli_at(t, "succeeded")))
		snprintf(out, 120, "Completed %s", end);
	else if (*cli_js(t, "canceled_at"))
		snprintf(out, 120, "Canceled %s", cli_js(t, "canceled_at"));
	else if (*end)
		snprintf(out, 120, "Failed %s", end);
	else if (strcmp(cli_js(t, "state"), "verifying") == 0)
		snprintf(out, 120, "Verifying (%s)", size);
	else if (*cli_js(t, "started_at"))
		snprintf(out, 120, "Running (processed %s)", size);
	else
		snprintf(out, 120, "Pending");
}

static int all_transfers(struct cli *c, const char *app, json_t **out, struct err *err)
{
	return cli_api(c, "GET", NULL, out, err, "/client/v11/apps/%s/transfers", app);
}

/* The number in "b001", "a12", "7"; 0 when it is none. */
static int number_of(const char *name)
{
	const char *s = name + (*name && strchr("abcr", *name) ? 1 : 0);
	size_t n = strspn(s, "0123456789");

	return n && n < 9 && !s[n] ? (int)strtol(s, NULL, 10) : 0;
}

static int transfer_named(struct cli *c, const char *app, const char *name, json_t **out,
			  struct err *err)
{
	int num = number_of(name);

	if (!num)
		return err_set(err, ERR_BAD_REQUEST,
			       "%.40s is no name of a backup: paasctl pg:backups lists them", name);
	return cli_api(c, "GET", NULL, out, err, "/client/v11/apps/%s/transfers/%d", app, num);
}

/* The newest that counts; NULL. Borrowed. */
static const json_t *newest(const json_t *list, bool (*counts)(const json_t *t))
{
	const json_t *best = NULL;
	const json_t *t;
	size_t i;

	json_array_foreach(list, i, t)
	{
		if (counts(t) && (!best || cli_jint(t, "num") > cli_jint(best, "num")))
			best = t;
	}
	return best;
}

static bool good_backup(const json_t *t)
{
	return is_backup(t) && json_is_true(cli_at(t, "succeeded"));
}

static bool unfinished(const json_t *t)
{
	return !*cli_js(t, "finished_at");
}

/* By name; without one the newest that counts. */
static int pick(struct cli *c, const char *app, const char *name, bool (*counts)(const json_t *t),
		const char *none, json_t **out, struct err *err)
{
	json_auto_t *list = NULL;
	const json_t *t;

	if (name)
		return transfer_named(c, app, name, out, err);
	if (all_transfers(c, app, &list, err) < 0)
		return -1;
	t = newest(list, counts);
	if (!t)
		return err_set(err, ERR_NOT_FOUND, none, app);
	*out = json_incref((json_t *)(uintptr_t)t);
	return 0;
}

#define NO_BACKUPS "%s has no backups. Make one with paasctl pg:backups:capture"

/* --- waiting --- */

static int get_patiently(struct cli *c, const char *app, const char *id, int *failures,
			 json_t **out, struct err *err)
{
	struct err e = {0};

	if (cli_api(c, "GET", NULL, out, &e, "/client/v11/apps/%s/transfers/%s", app, id) == 0) {
		*failures = 0;
		return 0;
	}
	if (++*failures < FAILURES_MAX && e.code != ERR_NOT_FOUND && e.code != ERR_UNAUTHORIZED &&
	    e.code != ERR_FORBIDDEN)
		return 0;
	*err = e;
	return -1;
}

static void show_progress(struct cli *c, const json_t *t)
{
	const json_t *logs = cli_at(t, "logs");
	const json_t *last = json_array_get(logs, json_array_size(logs) - 1);
	char text[120];

	status_text(t, text);
	if (c->err_tty)
		cli_action_status(c, "%s%s%s", text, last ? ", " : "",
				  last ? cli_js(last, "message") : "");
}

static int verdict(struct cli *c, json_t *t, struct err *err)
{
	char name[16];

	name_of(t, name);
	if (json_is_true(cli_at(t, "succeeded"))) {
		cli_action_done(c, "%s", "");
		if (cli_json(c))
			cli_print_json(c, t);
		return 0;
	}
	cli_action_fail(c);
	if (*cli_js(t, "canceled_at"))
		return err_set(err, ERR_CANCELED, "%s was canceled.", name);
	return err_set(err, ERR_INTERNAL, "%s failed: %s", name, cli_js(t, "failure"));
}

/* Until it is over: what the command is for. */
static int wait_for(struct cli *c, const char *app, const char *id, struct err *err)
{
	int failures = 0;

	for (;;) {
		json_auto_t *t = NULL;

		if (get_patiently(c, app, id, &failures, &t, err) < 0)
			return -1;
		if (t && !unfinished(t))
			return verdict(c, t, err);
		if (t)
			show_progress(c, t);
		for (int i = 0; i < WAIT_MS / 100; i++) {
			poll(NULL, 0, 100);
			cli_spin(c);
		}
	}
}

/* Begins it, and waits unless --no-wait. The words are those of the action's line. */
static int run_transfer(struct cli *c, const struct db *d, const char *kind, const json_t *body,
			const char *what, struct err *err)
{
	json_auto_t *t = NULL;
	char name[16];

	if (cli_api(c, "POST", body, &t, err, "/client/v11/databases/%s/%s", d->addon_id, kind) < 0)
		return -1;
	name_of(t, name);
	if (cli_opt(&c->args, "no-wait")) {
		if (cli_json(c))
			cli_print_json(c, t);
		else
			cli_line("%s (%s) goes on by itself: paasctl pg:backups -a %s", what, name,
				 d->owner);
		return 0;
	}
	fprintf(stderr,
		"Ctrl-C stops the waiting, not the work. paasctl pg:backups:cancel %s -a %s "
		"does.\n",
		name, d->owner);
	cli_action(c, "%s (%s)", what, name);
	return wait_for(c, d->owner, cli_js(t, "uuid"), err);
}

/* --- lists and facts --- */

static void list_kind(struct cli *c, const json_t *list, const char *title, const char *none,
		      bool (*is)(const json_t *t))
{
	static const char *const backup[] = {"ID", "Created at", "Status", "Size", "Database"};
	static const char *const other[] = {"ID", "Created at", "Status", "Size", "From", "To"};
	bool backups = is == is_backup;
	AUTO(cli_table_clear)
	struct cli_table t = {.cols = backups ? 5 : 6, .heads = backups ? backup : other};

	cli_header(c, "%s", title);
	for (size_t i = json_array_size(list); i > 0; i--) {
		const json_t *v = json_array_get(list, i - 1);
		char name[16], size[32], status[120];

		if (!is(v))
			continue;
		name_of(v, name);
		size_text(v, "processed_bytes", size);
		status_text(v, status);
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
	return !is_backup(t) && !is_restore(t);
}

static int cmd_backups(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL;

	if (all_transfers(c, c->app, &list, err) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, list);
		return 0;
	}
	list_kind(c, list, "Backups", "No backups. Make one with paasctl pg:backups:capture",
		  is_backup);
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

	if (pick(c, c->app, arg(c, 0), is_backup, NO_BACKUPS, &t, err) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, t);
		return 0;
	}
	name_of(t, name);
	status_text(t, status);
	size_text(t, "processed_bytes", size);
	size_text(t, "source_bytes", source);
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
	AUTO(db_clear) struct db d = {0};
	AUTO(auto_str) char *what = NULL;

	if (find_db(c, arg(c, 0), &d, err) < 0)
		return -1;
	what = xasprintf("Backing up %s", d.name);
	return run_transfer(c, &d, "backups", NULL, what, err);
}

static int cmd_cancel(struct cli *c, struct err *err)
{
	json_auto_t *t = NULL;
	char name[16];

	if (pick(c, c->app, arg(c, 0), unfinished, "%s has no backup, restore or copy under way.",
		 &t, err) < 0)
		return -1;
	name_of(t, name);
	cli_action(c, "Canceling %s", name);
	return cli_send(c, "POST", NULL, err, "/client/v11/apps/%s/transfers/%s/actions/cancel",
			c->app, cli_js(t, "uuid"));
}

static int cmd_delete(struct cli *c, struct err *err)
{
	AUTO(auto_str) char *what = NULL;
	json_auto_t *t = NULL;
	char name[16];

	if (transfer_named(c, c->app, c->args.pos[0], &t, err) < 0)
		return -1;
	name_of(t, name);
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

	if (pick(c, c->app, arg(c, 0), good_backup, NO_BACKUPS, &t, err) < 0 ||
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

	if (pick(c, c->app, arg(c, 0), good_backup, NO_BACKUPS, &t, err) < 0 ||
	    public_url(c, t, &url, err) < 0)
		return -1;
	fd = open_output(cli_opt(&c->args, "output"), &path, err);
	if (fd < 0)
		return -1;
	name_of(t, name);
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

/* --- restored --- */

/* backup_url of what people call a backup: a URL, b001, APP::b001; NULL = the newest. */
static int find_backup(struct cli *c, const char *ref, char **url, char **shown, struct err *err)
{
	const char *colons = ref ? strstr(ref, "::") : NULL, *name = colons ? colons + 2 : ref;
	AUTO(auto_str) char *app = colons ? xstrndup(ref, (size_t)(colons - ref)) : xstrdup(c->app);
	json_auto_t *t = NULL;
	char text[16];

	if (name && !*name) /* APP:: */
		name = NULL;
	if (ref && (strncasecmp(ref, "http://", 7) == 0 || strncasecmp(ref, "https://", 8) == 0)) {
		*url = xstrdup(ref);
		*shown = xstrdup("the dump at the URL");
		return 0;
	}
	if (pick(c, app, name, good_backup, NO_BACKUPS, &t, err) < 0)
		return -1;
	if (!good_backup(t))
		return err_set(err, ERR_INVALID_PARAMS, "%s of %s is no backup that succeeded.",
			       name, app);
	name_of(t, text);
	*url = xstrdup(cli_js(t, "to_url"));
	*shown = colons ? xasprintf("%s of %s", text, app) : xstrdup(text);
	return 0;
}

static int cmd_restore(struct cli *c, struct err *err)
{
	const char *extensions = cli_opt(&c->args, "extensions");
	AUTO(db_clear) struct db d = {0};
	AUTO(auto_str) char *url = NULL;
	AUTO(auto_str) char *shown = NULL;
	AUTO(auto_str) char *warning = NULL;
	AUTO(auto_str) char *what = NULL;
	json_auto_t *body = NULL;

	if (find_db(c, arg(c, 1), &d, err) < 0 || find_backup(c, arg(c, 0), &url, &shown, err) < 0)
		return -1;
	warning = xasprintf("All data of %s of %s will be replaced by %s.", d.name, c->app, shown);
	if (cli_confirm(c, c->app, warning, err) < 0)
		return -1;
	body = json_pack("{ss}", "backup_url", url);
	if (extensions)
		json_object_set_new(body, "extensions", cli_words(extensions));
	what = xasprintf("Restoring %s to %s", shown, d.name);
	return run_transfer(c, &d, "restores", body, what, err);
}

/* --- every day --- */

/* Abbreviations that people write, and the zones that have them. */
static const struct {
	const char *name, *zone;
} zones[] = {
	{"BST", "Europe/London"},
	{"CDT", "America/Chicago"},
	{"CEST", "Europe/Paris"},
	{"CET", "Europe/Paris"},
	{"CST", "America/Chicago"},
	{"EDT", "America/New_York"},
	{"EST", "America/New_York"},
	{"GMT", "Europe/London"},
	{"MDT", "America/Boise"},
	{"MST", "America/Boise"},
	{"PDT", "America/Los_Angeles"},
	{"PST", "America/Los_Angeles"},
	{"Z", "UTC"},
};

static int read_at(const char *at, int *hour, const char **zone, struct err *err)
{
	int n = 0;

	if (sscanf(at, "%2d:00%n", hour, &n) != 1 || n < 4 || at[0] < '0' || at[0] > '9' ||
	    *hour > 23 || (at[n] && at[n] != ' '))
		return err_set(err, ERR_BAD_REQUEST,
			       "--at takes an hour and a time zone, as --at '02:00 Europe/Berlin'");
	*zone = at + n + strspn(at + n, " ");
	if (!**zone)
		*zone = "UTC";
	for (size_t i = 0; i < ARRAY_LEN(zones); i++)
		if (strcasecmp(*zone, zones[i].name) == 0)
			*zone = zones[i].zone;
	return 0;
}

static int cmd_schedule(struct cli *c, struct err *err)
{
	const char *at = cli_opt(&c->args, "at"), *zone = "UTC";
	AUTO(db_clear) struct db d = {0};
	AUTO(auto_str) char *name = NULL;
	json_auto_t *body = NULL;
	int hour;

	if (!at)
		return err_set(err, ERR_BAD_REQUEST,
			       "when? --at takes an hour and a time zone, as --at '02:00 UTC'");
	if (read_at(at, &hour, &zone, err) < 0 || find_db(c, arg(c, 0), &d, err) < 0)
		return -1;
	name = xasprintf("%s_URL", d.name);
	body = json_pack("{si ss ss}", "hour", hour, "timezone", zone, "schedule_name", name);
	cli_action(c, "Scheduling daily backups of %s at %02d:00 %s", d.name, hour, zone);
	return cli_send(c, "POST", body, err, "/client/v11/databases/%s/transfer-schedules",
			d.addon_id);
}

/* The schedules of all databases of the app. */
static int schedules(struct cli *c, json_t **out, struct err *err)
{
	json_auto_t *addons = NULL, *all = json_array();
	size_t i, k;
	json_t *a, *s;

	if (cli_api(c, "GET", NULL, &addons, err, "/apps/%s/addons", c->app) < 0)
		return -1;
	json_array_foreach(addons, i, a)
	{
		json_auto_t *list = NULL;

		if (strcmp(cli_js(a, "addon_service.name"), "heroku-postgresql") != 0)
			continue;
		if (cli_api(c, "GET", NULL, &list, err,
			    "/client/v11/databases/%s/transfer-schedules", cli_js(a, "id")) < 0)
			return -1;
		json_array_foreach(list, k, s)
		{
			json_object_set(s, "addon_id", json_object_get(a, "id"));
			json_array_append(all, s);
		}
	}
	*out = STEAL(all);
	return 0;
}

static int cmd_schedules(struct cli *c, struct err *err)
{
	json_auto_t *list = NULL;
	size_t i;
	json_t *s;

	if (schedules(c, &list, err) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, list);
		return 0;
	}
	if (!json_array_size(list)) {
		cli_line("%s has no daily backups. Set them up with paasctl pg:backups:schedule "
			 "DATABASE --at '02:00 UTC'",
			 c->app);
		return 0;
	}
	cli_header(c, "Backup Schedules");
	json_array_foreach(list, i, s)
		cli_line("%s: daily at %s:00 %s, next %s", cli_js(s, "name"), cli_js(s, "hour"),
			 cli_js(s, "timezone"), cli_js(s, "next_at"));
	return 0;
}

static bool matches(const char *schedule, const char *wanted)
{
	size_t n = strlen(wanted);

	return strncasecmp(schedule, wanted, n) == 0 &&
	       (!schedule[n] || strcasecmp(schedule + n, "_URL") == 0);
}

static int cmd_unschedule(struct cli *c, struct err *err)
{
	const char *wanted = arg(c, 0);
	json_auto_t *list = NULL;
	const json_t *found = NULL, *s;
	size_t i;

	if (schedules(c, &list, err) < 0)
		return -1;
	json_array_foreach(list, i, s)
	{
		if (wanted && !matches(cli_js(s, "name"), wanted))
			continue;
		if (found)
			return err_set(err, ERR_BAD_REQUEST,
				       "%s has several daily backups: name one, as %s", c->app,
				       cli_js(s, "name"));
		found = s;
	}
	if (!found)
		return err_set(err, ERR_NOT_FOUND, "%s has no daily backups%s%s.", c->app,
			       wanted ? " of " : "", wanted ? wanted : "");
	cli_action(c, "Unscheduling daily backups of %s", cli_js(found, "name"));
	return cli_send(c, "DELETE", NULL, err, "/client/v11/databases/%s/transfer-schedules/%s",
			cli_js(found, "addon_id"), cli_js(found, "uuid"));
}

/* --- copies --- */

struct side { /* owned */
	struct db db;
	char *name, *url;
};

static void side_clear(struct side *s)
{
	db_clear(&s->db);
	free(s->name);
	if (s->url)
		explicit_bzero(s->url, strlen(s->url));
	free(s->url);
}
#define side_clear_p side_clear

/* An attachment, or a URL of a database elsewhere. */
static int find_side(struct cli *c, const char *ref, struct side *s, struct err *err)
{
	json_auto_t *vars = NULL;
	AUTO(auto_str) char *var = NULL;

	if (strncmp(ref, "postgres://", 11) == 0 || strncmp(ref, "postgresql://", 13) == 0) {
		const char *at = strrchr(ref, '@');

		s->url = xstrdup(ref);
		s->name = xasprintf("database at %s", at ? at + 1 : "a URL");
		return 0;
	}
	if (find_db(c, ref, &s->db, err) < 0 ||
	    cli_api(c, "GET", NULL, &vars, err, "/apps/%s/config-vars", s->db.app) < 0)
		return -1;
	var = xasprintf("%s_URL", s->db.name);
	s->url = xstrdup(cli_js(vars, var));
	s->name = xstrdup(s->db.name);
	return *s->url ? 0
		       : err_set(err, ERR_NOT_FOUND, "%s has no config var %s.", s->db.app, var);
}

static int cmd_copy(struct cli *c, struct err *err)
{
	AUTO(side_clear) struct side from = {0};
	AUTO(side_clear) struct side to = {0};
	AUTO(auto_str) char *warning = NULL;
	AUTO(auto_str) char *what = NULL;
	json_auto_t *body = NULL;

	if (find_side(c, c->args.pos[0], &from, err) < 0 ||
	    find_side(c, c->args.pos[1], &to, err) < 0)
		return -1;
	if (!to.db.addon_id)
		return err_set(err, ERR_BAD_REQUEST,
			       "the target is a database of an app: elsewhere use paasctl pg:pull, "
			       "or pg_restore");
	warning = xasprintf("All data of %s of %s will be replaced by that of %s.", to.name,
			    to.db.app, from.name);
	if (cli_confirm(c, to.db.app, warning, err) < 0)
		return -1;
	body = json_pack("{ss ss ss ss}", "from_name", from.name, "from_url", from.url, "to_name",
			 to.name, "to_url", to.url);
	what = xasprintf("Copying %s to %s", from.name, to.name);
	return run_transfer(c, &to.db, "transfers", body, what, err);
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
	{.name = "pg:backups:restore",
	 .help = "replace a database by a backup",
	 .more = "The backup is restored beside the database, which takes its place at the end: "
		 "when "
		 "something fails, the database is as it was.",
	 .args = ARGS(
		 {"BACKUP", COMPLETE_NONE,
		  "b001, another app's as other-app::b001, or a URL of a dump; the newest good "
		  "one by default",
		  false, false},
		 DATABASE_ARG),
	 .opts = OPTS(
		 VALUE('e', "extensions", "NAMES", NONE,
		       "extensions that are made first: hstore or myschema.hstore, with commas"),
		 CONFIRM, NO_WAIT),
	 .flags = CLI_APP,
	 .run = cmd_restore,
	 .examples = "pg:backups:restore -a my-app\npg:backups:restore b001 DATABASE -a my-app "
		     "--confirm my-app\npg:backups:restore other-app::b007 DATABASE -a my-app"},
	{.name = "pg:backups:schedule",
	 .help = "back a database up every day",
	 .args = ARGS(DATABASE_ARG),
	 .opts = OPTS(VALUE(0, "at", "'HH:00 ZONE'", NONE, "hour and time zone")),
	 .flags = CLI_APP,
	 .run = cmd_schedule,
	 .examples = "pg:backups:schedule DATABASE --at '02:00 Europe/Berlin' -a my-app"},
	{.name = "pg:backups:schedules",
	 .help = "list the daily backups of an app's databases",
	 .flags = CLI_APP,
	 .run = cmd_schedules,
	 .examples = "pg:backups:schedules -a my-app"},
	{.name = "pg:backups:unschedule",
	 .help = "no more daily backups of a database",
	 .args = ARGS({"DATABASE", COMPLETE_NONE,
		       "as the schedule is called; its only one by default", false, false}),
	 .flags = CLI_APP,
	 .run = cmd_unschedule,
	 .examples = "pg:backups:unschedule DATABASE -a my-app"},
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
	{.name = "pg:copy",
	 .help = "replace a database by the content of another",
	 .args = ARGS({"SOURCE", COMPLETE_NONE, "attachment, APP::ATTACHMENT, or postgres:// URL",
		       true, false},
		      {"TARGET", COMPLETE_NONE, "attachment, or APP::ATTACHMENT", true, false}),
	 .opts = OPTS(CONFIRM, NO_WAIT),
	 .flags = CLI_APP,
	 .run = cmd_copy,
	 .examples = "pg:copy my-app::DATABASE DATABASE -a my-app-staging"},
	{0},
};
