/* Persistent volumes: folders of apps that outlive their dynos. */
#include "cli/cli.h"
#include "cli/table.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- sizes --- */

static const struct {
	const char *name;
	long long mb;
} units[] = {{"MB", 1},		  {"M", 1},	      {"MiB", 1},
	     {"GB", 1024},	  {"G", 1024},	      {"GiB", 1024},
	     {"TB", 1024 * 1024}, {"T", 1024 * 1024}, {"TiB", 1024 * 1024}};

/* "1GB", "1.5 GB", "500MB" as MB. */
static int parse_size(const char *text, long long *mb, struct err *err)
{
	char *end;
	double n = strtod(text, &end);

	end += strspn(end, " ");
	for (size_t i = 0; i < ARRAY_LEN(units) && n > 0 && n < 1e9; i++)
		if (strcasecmp(end, units[i].name) == 0) {
			*mb = (long long)(n * (double)units[i].mb + 0.5);
			return 0;
		}
	return err_set(err, ERR_BAD_REQUEST,
		       "%.40s is no size: give a number with MB, GB or TB, as 1GB", text);
}

static char *size_text(long long mb)
{
	if (mb >= 1024 && mb % 1024 == 0)
		return xasprintf("%lld GB", mb / 1024);
	return mb >= 10 * 1024 ? xasprintf("%.1f GB", (double)mb / 1024) : xasprintf("%lld MB", mb);
}

/* --- looking --- */

static bool app_given(struct cli *c)
{
	return cli_opt(&c->args, "app") || cli_opt(&c->args, "remote");
}

static const char *mode(const json_t *v)
{
	return json_is_true(cli_at(v, "attachment.read_only")) ? "read-only" : "";
}

static int cmd_storage(struct cli *c, struct err *err)
{
	static const char *const heads[] = {"Volume", "Size", "App", "Path", "Mode", "State"};
	AUTO(cli_table_clear) struct cli_table t = {.cols = 6, .heads = heads};
	json_auto_t *list = NULL;
	size_t i;
	json_t *v;
	int rc;

	if (app_given(c) && cli_find_app(c, err) < 0)
		return -1;
	rc = c->app ? cli_api(c, "GET", NULL, &list, err, "/apps/%s/volumes", c->app)
		    : cli_api(c, "GET", NULL, &list, err, "/volumes");
	if (rc < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, list);
		return 0;
	}
	json_array_foreach(list, i, v)
	{
		AUTO(auto_str) char *size = size_text(cli_jint(v, "size_mb"));

		cli_table_row(&t, (const char *[]){cli_js(v, "name"), size,
						   cli_js(v, "attachment.app.name"),
						   cli_js(v, "attachment.path"), mode(v),
						   cli_js(v, "state")});
	}
	if (t.rows)
		cli_table_print(&t, stdout);
	else if (c->app)
		cli_line("%s has no volumes. One is made as: paasctl storage:create NAME --size "
			 "1GB -a %s --path /app/storage",
			 c->app, c->app);
	else
		cli_line("You have no volumes. One is made as: paasctl storage:create NAME --size "
			 "1GB");
	return 0;
}

static void used_text(const json_t *v, struct buf *out)
{
	double used = (double)cli_jint(v, "used_bytes") / (1024 * 1024);
	double all = (double)cli_jint(v, "size_mb");

	if (json_is_integer(cli_at(v, "used_bytes")))
		buf_addf(out, "%.1f MB (%.0f%%)", used, all > 0 ? used * 100 / all : 0);
}

static void print_info(struct cli *c, const json_t *v)
{
	AUTO(auto_str) char *size = size_text(cli_jint(v, "size_mb"));
	AUTO(buf_clear) struct buf used = {0};
	const char *how = cli_js(v, "enforcement");

	used_text(v, &used);
	cli_header(c, "%s", cli_js(v, "name"));
	cli_line("Size:        %s", size);
	if (used.len)
		cli_line("Used:        %s", buf_str(&used));
	if (strcmp(how, "enforced") == 0)
		cli_line("Enforcement: enforced: writes beyond the size fail");
	else if (*how)
		cli_line("Enforcement: none: this host has no loop devices, nothing keeps dynos "
			 "below the size");
	if (cli_js(v, "attachment.path")[0])
		cli_line("Attached to: %s at %s%s%s", cli_js(v, "attachment.app.name"),
			 cli_js(v, "attachment.path"), *mode(v) ? ", " : "", mode(v));
	else
		cli_line("Attached to: nothing");
	cli_line("Owner:       %s", cli_js(v, "owner.email"));
	cli_line("State:       %s", cli_js(v, "state"));
	cli_line("Created:     %s", cli_js(v, "created_at"));
}

static int cmd_storage_info(struct cli *c, struct err *err)
{
	json_auto_t *v = NULL;

	if (cli_api(c, "GET", NULL, &v, err, "/volumes/%s", c->args.pos[0]) < 0)
		return -1;
	if (cli_json(c))
		cli_print_json(c, v);
	else
		print_info(c, v);
	return 0;
}

/* --- in apps --- */

/* Which release it was is told when it can be seen. */
static void released(struct cli *c)
{
	json_auto_t *rel = NULL;
	struct err none = {0};

	if (cli_get_release(c, NULL, &rel, &none) == 0)
		cli_action_done(c, "done, v%lld", cli_jint(rel, "version"));
	else
		cli_action_done(c, "%s", "");
}

static int attach(struct cli *c, const char *volume, const char *path, bool read_only, json_t **out,
		  struct err *err)
{
	json_auto_t *body = json_pack("{s:s, s:s, s:b}", "volume", volume, "path", path,
				      "read_only", read_only);

	cli_action(c, "Attaching %s to %s at %s and restarting it", volume, cli_label(c, c->app),
		   path);
	if (cli_api(c, "POST", body, out, err, "/apps/%s/volumes", c->app) < 0)
		return -1;
	released(c);
	return 0;
}

static int cmd_storage_attach(struct cli *c, struct err *err)
{
	const char *path = cli_opt(&c->args, "path");
	json_auto_t *v = NULL;

	if (!path)
		return err_set(err, ERR_BAD_REQUEST,
			       "Where shall dynos see it? Give --path /app/storage");
	if (attach(c, c->args.pos[0], path, cli_opt(&c->args, "read-only") != NULL, &v, err) < 0)
		return -1;
	if (cli_json(c))
		cli_print_json(c, v);
	return 0;
}

/* The app need not be said: the volume knows which has it. */
static int cmd_storage_detach(struct cli *c, struct err *err)
{
	json_auto_t *v = NULL, *after = NULL;
	const char *has;

	if (app_given(c) && cli_find_app(c, err) < 0)
		return -1;
	if (cli_api(c, "GET", NULL, &v, err, "/volumes/%s", c->args.pos[0]) < 0)
		return -1;
	has = cli_js(v, "attachment.app.name");
	if (!*has)
		return err_set(err, ERR_CONFLICT, "%s is not attached to any app",
			       cli_js(v, "name"));
	if (!c->app)
		c->app = xstrdup(has);
	else if (strcmp(c->app, has) != 0 && strcmp(c->app, cli_js(v, "attachment.app.id")) != 0)
		return err_set(err, ERR_CONFLICT, "%s is attached to %s, not to %s",
			       cli_js(v, "name"), has, c->app);
	cli_action(c, "Detaching %s from %s and restarting it", cli_js(v, "name"),
		   cli_label(c, has));
	if (cli_api(c, "DELETE", NULL, &after, err, "/apps/%s/volumes/%s", c->app,
		    cli_js(v, "id")) < 0)
		return -1;
	released(c);
	if (cli_json(c))
		cli_print_json(c, after);
	return 0;
}

/* --- making, growing, destroying --- */

static int cmd_storage_create(struct cli *c, struct err *err)
{
	const char *name = c->args.pos[0], *size = cli_opt(&c->args, "size"),
		   *path = cli_opt(&c->args, "path");
	json_auto_t *body = json_pack("{s:s}", "name", name), *made = NULL, *attached = NULL;
	long long mb;

	if (app_given(c) && !path)
		return err_set(err, ERR_BAD_REQUEST,
			       "Where shall dynos of the app see it? Give --path /app/storage");
	if (path && cli_find_app(c, err) < 0)
		return -1;
	if (size) {
		if (parse_size(size, &mb, err) < 0)
			return -1;
		json_object_set_new(body, "size_mb", json_integer(mb));
	}
	cli_action(c, "Creating volume %s", name);
	if (cli_api(c, "POST", body, &made, err, "/volumes") < 0)
		return -1;
	{
		AUTO(auto_str) char *text = size_text(cli_jint(made, "size_mb"));

		cli_action_done(c, "done, %s", text);
	}
	if (strcmp(cli_js(made, "enforcement"), "none") == 0)
		cli_warn(c, "This host has no loop devices: nothing keeps dynos below the size.");
	if (path &&
	    attach(c, name, path, cli_opt(&c->args, "read-only") != NULL, &attached, err) < 0) {
		cli_warn(c,
			 "The volume is there, but attached to nothing: paasctl storage:attach "
			 "%s, or storage:destroy %s.",
			 name, name);
		return -1;
	}
	if (cli_json(c))
		cli_print_json(c, attached ? attached : made);
	else if (!path)
		cli_line("Attach it to an app: paasctl storage:attach %s --path /app/storage -a "
			 "APP",
			 name);
	return 0;
}

static int cmd_storage_resize(struct cli *c, struct err *err)
{
	json_auto_t *body = NULL;
	long long mb;

	if (parse_size(c->args.pos[1], &mb, err) < 0)
		return -1;
	body = json_pack("{s:I}", "size_mb", (json_int_t)mb);
	cli_action(c, "Resizing %s to %s", c->args.pos[0], c->args.pos[1]);
	return cli_send(c, "PATCH", body, err, "/volumes/%s", c->args.pos[0]);
}

static int cmd_storage_destroy(struct cli *c, struct err *err)
{
	json_auto_t *v = NULL;
	AUTO(auto_str) char *what = NULL;
	const char *name;

	if (cli_api(c, "GET", NULL, &v, err, "/volumes/%s", c->args.pos[0]) < 0)
		return -1;
	name = cli_js(v, "name");
	if (cli_js(v, "attachment.app.name")[0])
		return err_set(err, ERR_CONFLICT,
			       "%s has %s at %s. Detach it first: paasctl storage:detach %s",
			       cli_js(v, "attachment.app.name"), name, cli_js(v, "attachment.path"),
			       name);
	what = xasprintf("This will destroy the volume %s with all that is in it.", name);
	if (cli_confirm(c, name, what, err) < 0)
		return -1;
	cli_action(c, "Destroying volume %s", name);
	return cli_send(c, "DELETE", NULL, err, "/volumes/%s", cli_js(v, "id"));
}

#define VOLUME                                                                     \
	{                                                                          \
		"VOLUME", COMPLETE_VOLUME, "name or id of the volume", true, false \
	}
#define WHERE                                                                    \
	VALUE('p', "path", "PATH", NONE, "where dynos see it, as /app/storage"), \
		SWITCH(0, "read-only", "dynos can read it only")

const struct cli_cmd cli_cmds_storage[] = {
	{.name = "storage",
	 .help = "list your volumes, or those of an app",
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_storage,
	 .examples = "storage\nstorage -a my-app --json"},
	{.name = "storage:create",
	 .help = "make a volume",
	 .more = "With --path it is attached to the app, too.",
	 .args = ARGS({"NAME", COMPLETE_NONE, "name of the new volume", true, false}),
	 .opts = OPTS(VALUE('s', "size", "SIZE", NONE, "as 500MB or 10GB (default: 1GB)"), WHERE),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_storage_create,
	 .examples = "storage:create my-files --size 10GB\n"
		     "storage:create my-files --size 1GB -a my-app --path /app/storage"},
	{.name = "storage:info",
	 .help = "show a volume: its size, what it holds, who has it",
	 .args = ARGS(VOLUME),
	 .run = cmd_storage_info,
	 .examples = "storage:info my-files"},
	{.name = "storage:attach",
	 .help = "give a volume to an app, which restarts",
	 .more = "All its dynos see it: web, one-off, release phase, scheduled jobs.",
	 .args = ARGS(VOLUME),
	 .opts = OPTS(WHERE),
	 .flags = CLI_APP,
	 .run = cmd_storage_attach,
	 .examples = "storage:attach my-files --path /app/storage -a my-app\n"
		     "storage:attach my-files --path /data --read-only -a my-app"},
	{.name = "storage:detach",
	 .help = "take a volume from its app, which restarts",
	 .more = "The data stay in the volume.",
	 .args = ARGS(VOLUME),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_storage_detach,
	 .examples = "storage:detach my-files"},
	{.name = "storage:resize",
	 .help = "let a volume grow",
	 .more = "Volumes cannot become smaller.",
	 .args = ARGS(VOLUME, {"SIZE", COMPLETE_NONE, "new size, as 20GB", true, false}),
	 .run = cmd_storage_resize,
	 .examples = "storage:resize my-files 20GB"},
	{.name = "storage:destroy",
	 .help = "destroy a volume with all that is in it",
	 .more = "It must be detached.",
	 .args = ARGS(VOLUME),
	 .opts = OPTS(VALUE('c', "confirm", "VOLUME", VOLUME,
			    "name of the volume, instead of being asked for it")),
	 .run = cmd_storage_destroy,
	 .examples = "storage:destroy my-files --confirm my-files"},
	{0},
};
