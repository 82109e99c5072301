/* Transfers: how they are named and shown, found, waited for. */
#include "cli/pgtransfer.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#define WAIT_MS	     100 /* at first, then longer each time */
#define WAIT_MAX_MS  1000
#define FAILURES_MAX 20 /* in a row, while a transfer is waited for: the platform may restart */

/* --- transfers --- */

void cli_pgt_name(const json_t *t, char out[16])
{
	bool dump = strcmp(cli_js(t, "from_type"), "pg_dump") == 0,
	     into = strcmp(cli_js(t, "to_type"), "pg_restore") == 0;
	char kind = !dump ? 'r' : into ? 'c' : json_is_object(cli_at(t, "schedule")) ? 'a' : 'b';

	snprintf(out, 16, "%c%03lld", kind, cli_jint(t, "num"));
}

bool cli_pgt_is_backup(const json_t *t)
{
	return strcmp(cli_js(t, "to_type"), "gof3r") == 0;
}

/* "1.44MB" */
void cli_pgt_size(const json_t *t, const char *key, char out[32])
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

void cli_pgt_status(const json_t *t, char out[120])
{
	const char *end = cli_js(t, "finished_at");
	char size[32];

	cli_pgt_size(t, "processed_bytes", size);
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

int cli_pgt_list(struct cli *c, const char *app, json_t **out, struct err *err)
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

int cli_pgt_named(struct cli *c, const char *app, const char *name, json_t **out, struct err *err)
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

bool cli_pgt_is_good(const json_t *t)
{
	return cli_pgt_is_backup(t) && json_is_true(cli_at(t, "succeeded"));
}

bool cli_pgt_is_open(const json_t *t)
{
	return !*cli_js(t, "finished_at");
}

/* By name; without one the newest that counts. */
int cli_pgt_pick(struct cli *c, const char *app, const char *name, bool (*counts)(const json_t *t),
		 const char *none, json_t **out, struct err *err)
{
	json_auto_t *list = NULL;
	const json_t *t;

	if (name)
		return cli_pgt_named(c, app, name, out, err);
	if (cli_pgt_list(c, app, &list, err) < 0)
		return -1;
	t = newest(list, counts);
	if (!t)
		return err_set(err, ERR_NOT_FOUND, none, app);
	*out = json_incref((json_t *)(uintptr_t)t);
	return 0;
}

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

	cli_pgt_status(t, text);
	if (c->err_tty)
		cli_action_status(c, "%s%s%s", text, last ? ", " : "",
				  last ? cli_js(last, "message") : "");
}

static int verdict(struct cli *c, json_t *t, struct err *err)
{
	char name[16];

	cli_pgt_name(t, name);
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
	int failures = 0, ms = WAIT_MS;

	for (;;) {
		json_auto_t *t = NULL;

		if (get_patiently(c, app, id, &failures, &t, err) < 0)
			return -1;
		if (t && !cli_pgt_is_open(t))
			return verdict(c, t, err);
		if (t)
			show_progress(c, t);
		for (int i = 0; i < ms / 100; i++) {
			poll(NULL, 0, 100);
			cli_spin(c);
		}
		ms = ms < WAIT_MAX_MS ? ms + WAIT_MS : WAIT_MAX_MS;
	}
}

/* Begins it, and waits unless --no-wait. The words are those of the action's line. */
int cli_pgt_run(struct cli *c, const struct cli_pgdb *d, const char *kind, const json_t *body,
		const char *what, struct err *err)
{
	json_auto_t *t = NULL;
	char name[16];

	if (cli_api(c, "POST", body, &t, err, "/client/v11/databases/%s/%s", d->addon_id, kind) < 0)
		return -1;
	cli_pgt_name(t, name);
	if (cli_opt(&c->args, "no-wait")) {
		if (cli_json(c))
			cli_print_json(c, t);
		else
			cli_line("%s (%s) goes on by itself: paasctl pg:backups -a %s", what, name,
				 d->addon_app);
		return 0;
	}
	fprintf(stderr,
		"Ctrl-C stops the waiting, not the work. paasctl pg:backups:cancel %s -a %s "
		"does.\n",
		name, d->addon_app);
	cli_action(c, "%s (%s)", what, name);
	return wait_for(c, d->addon_app, cli_js(t, "uuid"), err);
}
