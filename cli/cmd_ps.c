#include "cli/cli.h"
#include "cli/table.h"
#include "proto/names.h"

#include <ctype.h>
#include <poll.h>
#include <string.h>
#include <time.h>

static int number_of(const char *dyno)
{
	const char *dot = strrchr(dyno, '.');

	return dot ? atoi(dot + 1) : 0;
}

/* One-offs first, then by type, command, number. */
static int by_group(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int run_x = strcmp(cli_js(x, "type"), "run") == 0,
	    run_y = strcmp(cli_js(y, "type"), "run") == 0;
	int d = run_y - run_x;

	if (!d)
		d = strcmp(cli_js(x, "type"), cli_js(y, "type"));
	if (!d && !run_x)
		d = strcmp(cli_js(x, "command"), cli_js(y, "command"));
	return d ? d : number_of(cli_js(x, "name")) - number_of(cli_js(y, "name"));
}

static bool wanted(struct cli *c, const json_t *dyno)
{
	for (int i = 0; i < c->args.npos; i++)
		if (strcmp(c->args.pos[i], cli_js(dyno, "type")) == 0)
			return true;
	return c->args.npos == 0;
}

static const char *size_of(const json_t *dyno)
{
	return cli_js(dyno, "size")[0] ? cli_js(dyno, "size") : "1X";
}

static bool same_group(const json_t *a, const json_t *b)
{
	return strcmp(cli_js(a, "type"), cli_js(b, "type")) == 0 &&
	       (strcmp(cli_js(a, "type"), "run") == 0 ||
		strcmp(cli_js(a, "command"), cli_js(b, "command")) == 0);
}

static void dyno_line(struct cli *c, const json_t *d, bool one_off)
{
	const char *state = cli_js(d, "state"), *ago = cli_ago(cli_js(d, "updated_at"), time(NULL));
	AUTO(buf_clear) struct buf safe = {0};

	cli_clean(&safe, state, strlen(state), false);
	if (one_off) {
		cli_line("%s (%s): %s %s: %s", cli_js(d, "name"), size_of(d), state, ago,
			 cli_js(d, "command"));
		return;
	}
	if (!c->out_colour) {
		cli_line("%s: %s %s", cli_js(d, "name"), state, ago);
		return;
	}
	{
		AUTO(buf_clear) struct buf name = {0};

		cli_clean(&name, cli_js(d, "name"), strlen(cli_js(d, "name")), false);
		printf("%s: \033[%sm%s\033[0m \033[90m%s\033[0m\n", buf_str(&name),
		       strcmp(state, "up") == 0 ? "32" : "33", buf_str(&safe), ago);
	}
}

static void print_groups(struct cli *c, json_t **v, size_t n)
{
	for (size_t i = 0, end; i < n; i = end) {
		bool one_off = strcmp(cli_js(v[i], "type"), "run") == 0;

		for (end = i + 1; end < n && same_group(v[i], v[end]);)
			end++;
		if (one_off)
			cli_header(c, "run: one-off processes (%zu)", end - i);
		else
			cli_header(c, "%s (%s): %s (%zu)", cli_js(v[i], "type"), size_of(v[i]),
				   cli_js(v[i], "command"), end - i);
		for (size_t k = i; k < end; k++)
			dyno_line(c, v[k], one_off);
		printf("\n");
	}
}

/* TYPEs that no dyno has are a mistake worth an exit status. */
static int missing_type(struct cli *c, json_t **v, size_t n, struct err *err)
{
	for (int i = 0; i < c->args.npos; i++) {
		bool seen = false;

		for (size_t k = 0; k < n; k++)
			seen = seen || strcmp(c->args.pos[i], cli_js(v[k], "type")) == 0;
		if (!seen)
			return err_set(err, ERR_INTERNAL, "No %s dynos on %s", c->args.pos[i],
				       c->app);
	}
	return 0;
}

static int cmd_ps(struct cli *c, struct err *err)
{
	json_auto_t *dynos = NULL, *list = json_array();
	json_t **v, *d;
	size_t i, n = 0;
	int rc;

	if (cli_api(c, "GET", NULL, &dynos, err, "/apps/%s/dynos", c->app) < 0)
		return -1;
	v = xcalloc(json_array_size(dynos), sizeof(json_t *));
	json_array_foreach(dynos, i, d) if (wanted(c, d)) v[n++] = d;
	qsort(v, n, sizeof(json_t *), by_group);
	rc = missing_type(c, v, n, err);
	for (i = 0; i < n; i++)
		json_array_append(list, v[i]);
	if (rc == 0 && cli_json(c))
		cli_print_json(c, list);
	else if (rc == 0 && n == 0)
		cli_line("No dynos on %s", c->app);
	else if (rc == 0)
		print_groups(c, v, n);
	free(v);
	return rc;
}

/* --- scale --- */

static int show_scale(struct cli *c, struct err *err)
{
	json_auto_t *formation = NULL, *list = NULL;
	AUTO(buf_clear) struct buf b = {0};
	size_t i;
	json_t *f;

	if (cli_api(c, "GET", NULL, &formation, err, "/apps/%s/formation", c->app) < 0)
		return -1;
	list = cli_sorted(formation, "type");
	if (cli_json(c)) {
		cli_print_json(c, list);
		return 0;
	}
	if (!json_array_size(list)) {
		err_set(err, ERR_INTERNAL, "No process types on %s.", c->app);
		buf_addf(&c->detail,
			 "No process types on %s.\nUpload a Procfile to add process types.",
			 c->app);
		return -1;
	}
	json_array_foreach(list, i, f)
		buf_addf(&b, "%s%s=%lld:%s", b.len ? " " : "", cli_js(f, "type"),
			 cli_jint(f, "quantity"), cli_js(f, "size"));
	cli_line("%s", buf_str(&b));
	return 0;
}

/* web=2, web+1, web-1, web=2:standard-1x; NULL when it is none of them. */
static json_t *parse_scale(const char *word)
{
	size_t n = strcspn(word, "=+"), qty;
	AUTO(auto_str) char *type = NULL;
	AUTO(auto_str) char *quantity = NULL;
	const char *num, *size;

	if (!word[n]) { /* a type may have dashes, so web-1 is the last dash and digits */
		const char *dash = strrchr(word, '-');

		if (!dash)
			return NULL;
		n = (size_t)(dash - word);
	}
	type = xstrndup(word, n);
	num = word + n + (word[n] == '=');
	qty = (num[0] == '+' || num[0] == '-') && word[n] != '=' ? 1 : 0;
	qty += strspn(num + qty, "0123456789");
	size = num[qty] == ':' ? num + qty + 1 : NULL;
	if (!name_is_proc_type(type) || qty == 0 || qty > 7 ||
	    !isdigit((unsigned char)num[qty - 1]) || (num[qty] && !size) || (size && !size[0]))
		return NULL;
	quantity = xstrndup(num, qty);
	return size ? json_pack("{ssssss}", "type", type, "quantity", quantity, "size", size)
		    : json_pack("{ssss}", "type", type, "quantity", quantity);
}

static int cmd_ps_scale(struct cli *c, struct err *err)
{
	json_auto_t *body = NULL, *answer = NULL, *list = NULL;
	json_t *updates = json_array(), *f;
	AUTO(buf_clear) struct buf now = {0};
	size_t i;

	body = json_pack("{so}", "updates", updates);
	if (!c->args.npos)
		return show_scale(c, err);
	for (int k = 0; k < c->args.npos; k++) {
		json_t *u = parse_scale(c->args.pos[k]);

		if (!u)
			return err_set(err, ERR_BAD_REQUEST,
				       "%.80s is not TYPE=QTY: use web=2, web+1, web-1 or "
				       "web=2:standard-1x",
				       c->args.pos[k]);
		json_array_append_new(updates, u);
	}
	cli_action(c, "Scaling dynos");
	if (cli_api(c, "PATCH", body, &answer, err, "/apps/%s/formation", c->app) < 0)
		return -1;
	list = cli_sorted(answer, "type");
	json_array_foreach(list, i, f) if (cli_find(updates, "type", cli_js(f, "type")))
		buf_addf(&now, "%s%s at %lld:%s", now.len ? ", " : "", cli_js(f, "type"),
			 cli_jint(f, "quantity"), cli_js(f, "size"));
	cli_action_done(c, "done, now running %s", buf_str(&now));
	if (cli_json(c))
		cli_print_json(c, list);
	return 0;
}

/* --- type --- */

static int show_types(struct cli *c, const json_t *formation)
{
	static const struct cli_field row[] = {{"type", "type", FORM_TEXT},
					       {"size", "size", FORM_TEXT},
					       {"qty", "quantity", FORM_TEXT},
					       {0}};
	json_auto_t *list = cli_sorted(formation, "type");

	return cli_show_list(c, list, row, NULL, "%s has no process types.");
}

static int cmd_ps_type(struct cli *c, struct err *err)
{
	json_auto_t *formation = NULL, *body = NULL, *answer = NULL;
	json_t *updates = json_array(), *f;
	size_t i;

	body = json_pack("{so}", "updates", updates);
	if (cli_api(c, "GET", NULL, &formation, err, "/apps/%s/formation", c->app) < 0)
		return -1;
	if (!c->args.npos)
		return show_types(c, formation);
	for (int k = 0; k < c->args.npos; k++) {
		const char *word = c->args.pos[k], *eq = strchr(word, '=');
		AUTO(auto_str) char *type = eq ? xstrndup(word, (size_t)(eq - word)) : NULL;

		if (type && !cli_find(formation, "type", type))
			return err_set(err, ERR_BAD_REQUEST,
				       "Type %.80s not found in process formation.", type);
		json_array_foreach(formation, i,
				   f) if (!type || strcmp(type, cli_js(f, "type")) == 0)
			json_array_append_new(updates,
					      json_pack("{ssss}", "type", cli_js(f, "type"), "size",
							eq ? eq + 1 : word));
	}
	cli_action(c, "Scaling dynos on %s", cli_label(c, c->app));
	if (cli_api(c, "PATCH", body, &answer, err, "/apps/%s/formation", c->app) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	return show_types(c, answer);
}

/* --- restart, stop --- */

struct which {
	const char *dyno, *type; /* both NULL: all */
};

static int which(struct cli *c, struct which *w, struct err *err)
{
	w->dyno = c->args.npos ? c->args.pos[0] : cli_opt(&c->args, "dyno-name");
	w->type = cli_opt(&c->args, "process-type");
	if (w->dyno && w->type)
		return err_set(err, ERR_BAD_REQUEST, "Give a dyno or a process type, not both");
	return 0;
}

/* Tells what is done to which dynos. */
static void announce(struct cli *c, const char *doing, const struct which *w)
{
	const char *app = cli_label(c, c->app);

	if (w->type)
		cli_action(c, "%s all %s dynos on %s", doing, w->type, app);
	else if (w->dyno)
		cli_action(c, "%s dyno %s on %s", doing, w->dyno, app);
	else
		cli_action(c, "%s all dynos on %s", doing, app);
}

static int cmd_ps_restart(struct cli *c, struct err *err)
{
	struct which w;

	if (which(c, &w, err) < 0)
		return -1;
	announce(c, "Restarting", &w);
	if (w.type)
		return cli_send(c, "DELETE", NULL, err, "/apps/%s/formations/%s", c->app, w.type);
	if (w.dyno)
		return cli_send(c, "DELETE", NULL, err, "/apps/%s/dynos/%s", c->app, w.dyno);
	return cli_send(c, "DELETE", NULL, err, "/apps/%s/dynos", c->app);
}

static int cmd_ps_stop(struct cli *c, struct err *err)
{
	struct which w;

	if (which(c, &w, err) < 0)
		return -1;
	if (!w.type && !w.dyno)
		return err_set(err, ERR_BAD_REQUEST, "Please specify a process dyno name or type.");
	announce(c, "Stopping", &w);
	if (w.type)
		return cli_send(c, "POST", NULL, err, "/apps/%s/formations/%s/actions/stop", c->app,
				w.type);
	return cli_send(c, "POST", NULL, err, "/apps/%s/dynos/%s/actions/stop", c->app, w.dyno);
}

/* --- wait --- */

static void count_current(struct cli *c, const json_t *dynos, long long version, int *ready,
			  int *all)
{
	const char *type = cli_opt(&c->args, "type");
	bool runs = cli_opt(&c->args, "with-run") != NULL;
	size_t i;
	json_t *d;

	*ready = *all = 0;
	json_array_foreach(dynos, i, d)
	{
		const char *t = cli_js(d, "type");

		if (type ? strcmp(t, type) != 0
			 : !runs && (strcmp(t, "run") == 0 || strcmp(t, "release") == 0))
			continue;
		++*all;
		/* An idle one starts with the next request, not before. */
		*ready += (strcmp(cli_js(d, "state"), "up") == 0 ||
			   strcmp(cli_js(d, "state"), "idle") == 0) &&
			  cli_jint(d, "release.version") >= version;
	}
}

static int cmd_ps_wait(struct cli *c, struct err *err)
{
	json_auto_t *releases = NULL;
	int seconds, ready, all;
	long long version;

	if (cli_num_opt(c, "wait-interval", 2, &seconds, err) < 0 ||
	    cli_api_part(c, "version ..; max=1, order=desc", &releases, err, "/apps/%s/releases",
			 c->app) < 0)
		return -1;
	if (!json_array_size(releases)) {
		cli_warn(c, "App %s has no releases", c->app);
		return 0;
	}
	version = cli_jint(json_array_get(releases, 0), "version");
	cli_action(c, "Waiting for every dyno to be running v%lld", version);
	for (;;) {
		json_auto_t *dynos = NULL;

		if (cli_api(c, "GET", NULL, &dynos, err, "/apps/%s/dynos", c->app) < 0)
			return -1;
		count_current(c, dynos, version, &ready, &all);
		if (ready == all) {
			cli_action_done(c, "%d / %d, done", ready, all);
			if (cli_json(c))
				cli_print_json(c, dynos);
			return 0;
		}
		cli_action_status(c, "%d / %d", ready, all);
		poll(NULL, 0, seconds * 1000);
	}
}

const struct cli_cmd cli_cmds_ps[] = {
	{.name = "ps",
	 .help = "list dynos for an app",
	 .args = ARGS({"TYPE", COMPLETE_TYPE, "only of this process type", false, true}),
	 .flags = CLI_APP,
	 .run = cmd_ps,
	 .examples = "ps -a my-app\nps web --json"},
	{.name = "ps:scale",
	 .aliases = "scale dyno:scale",
	 .help = "scale dyno quantity up or down",
	 .more = "Without arguments the present formation is shown.",
	 .args = ARGS(
		 {"TYPE=QTY", COMPLETE_TYPE, "web=2, worker+1, web=2:standard-1x", false, true}),
	 .flags = CLI_APP,
	 .run = cmd_ps_scale,
	 .examples = "ps:scale web=3\nps:scale web=2 worker+1"},
	{.name = "ps:restart",
	 .aliases = "restart dyno:restart",
	 .help = "restart an app's dynos",
	 .args = ARGS({"DYNO", COMPLETE_DYNO, "name of the dyno (also -d)", false, false}),
	 .opts = OPTS(VALUE('d', "dyno-name", "DYNO", DYNO, "only this dyno"),
		      VALUE('p', "process-type", "TYPE", TYPE, "only dynos of this process type")),
	 .flags = CLI_APP,
	 .run = cmd_ps_restart,
	 .examples = "ps:restart\nps:restart -d web.1\nps:restart -p web"},
	{.name = "ps:stop",
	 .aliases = "stop kill ps:kill dyno:stop dyno:kill",
	 .help = "stop an app's dyno or process type",
	 .args = ARGS({"DYNO", COMPLETE_DYNO, "name of the dyno (also -d)", false, false}),
	 .opts = OPTS(VALUE('d', "dyno-name", "DYNO", DYNO, "this dyno"),
		      VALUE('p', "process-type", "TYPE", TYPE, "all dynos of this process type")),
	 .flags = CLI_APP,
	 .run = cmd_ps_stop,
	 .examples = "ps:stop -d run.1828\nps:stop -p run"},
	{.name = "ps:type",
	 .aliases = "resize ps:resize dyno:type dyno:resize",
	 .help = "show or change the dyno size of process types",
	 .args = ARGS({"SIZE", COMPLETE_TYPE, "SIZE for all types, or TYPE=SIZE", false, true}),
	 .flags = CLI_APP,
	 .run = cmd_ps_type,
	 .examples =
		 "ps:type -a my-app\nps:type standard-2x\nps:type web=standard-2x worker=basic"},
	{.name = "ps:wait",
	 .help = "wait for all dynos to be running the latest version",
	 .opts = OPTS(
		 VALUE('t', "type", "TYPE", TYPE, "wait for one process type only"),
		 SWITCH('R', "with-run", "one-off dynos too"),
		 VALUE('w', "wait-interval", "SECONDS", NONE, "how often to look (default: 2)")),
	 .flags = CLI_APP,
	 .run = cmd_ps_wait,
	 .examples = "ps:wait -a my-app\nps:wait --type web"},
	{0},
};
