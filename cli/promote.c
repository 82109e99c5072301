/* pipelines:promote and pipelines:diff. */
#include "cli/pipelines.h"

#include <poll.h>
#include <string.h>

/* --- promote --- */

#define POLL_MIN_MS 50
#define POLL_MAX_MS 2000
#define AWAY_MS	    60000 /* paasd may restart meanwhile: the promotion goes on */

struct promotion {
	struct cli *c;
	json_t *promotion, *targets, *apps; /* owned */
	json_t *told;			    /* owned; ids of targets whose end was printed */
};

static void promotion_clear(struct promotion *p)
{
	json_decref(p->promotion);
	json_decref(p->targets);
	json_decref(p->apps);
	json_decref(p->told);
}
#define promotion_clear_p promotion_clear

static bool pending(const json_t *target)
{
	return strcmp(cli_js(target, "status"), "pending") == 0;
}

static const char *app_name(const struct promotion *p, const json_t *target)
{
	const json_t *app = cli_find(p->apps, "id", cli_js(target, "app.id"));

	return app ? cli_js(app, "name") : cli_js(target, "app.id");
}

static int read_targets(struct promotion *p, struct err *err)
{
	json_t *list = NULL;

	if (cli_api(p->c, "GET", NULL, &list, err, "/pipeline-promotions/%s/promotion-targets",
		    cli_js(p->promotion, "id")) < 0)
		return -1;
	json_decref(p->targets);
	p->targets = list;
	return 0;
}

/* Names for the targets' ids. */
static int read_names(struct promotion *p, struct err *err)
{
	json_auto_t *ids = json_array();
	size_t i;
	json_t *t;

	json_array_foreach(p->targets, i, t)
		json_array_append(ids, json_object_get(json_object_get(t, "app"), "id"));
	return cli_apps_by_id(p->c, ids, &p->apps, err);
}

static int start(struct promotion *p, struct err *err)
{
	struct cli *c = p->c;
	const char *to = cli_opt(&c->args, "to");
	json_auto_t *k = NULL, *body = NULL, *names = to ? cli_words(to) : NULL;
	size_t i;
	json_t *v;

	if (to && !json_array_size(names))
		return err_set(err, ERR_BAD_REQUEST, "--to names no app");
	if (cli_coupling(c, &k, err) < 0)
		return -1;
	body = json_pack("{s{ss} s{s{ss}} s[]}", "pipeline", "id", cli_js(k, "pipeline.id"),
			 "source", "app", "id", cli_js(k, "app.id"), "targets");
	json_array_foreach(names, i, v) json_array_append_new(json_object_get(body, "targets"),
							      json_pack("{sO}", "app", v));
	cli_action(c, "Promoting %s in the pipeline %s", cli_label(c, c->app),
		   cli_js(k, "pipeline.name"));
	if (cli_api(c, "POST", body, &p->promotion, err, "/pipeline-promotions") < 0)
		return -1;
	cli_action_done(c, "%s", "");
	return read_targets(p, err) < 0 ? -1 : read_names(p, err);
}

/* Of the only target: what its release command prints, as it comes. */
static void show_output(struct promotion *p, const json_t *target)
{
	json_auto_t *release = NULL;
	struct err err = {0};
	long status = 0;

	if (cli_api(p->c, "GET", NULL, &release, &err, "/apps/%s/releases/%s",
		    cli_js(target, "app.id"), cli_js(target, "release.id")) < 0 ||
	    !cli_js(release, "output_stream_url")[0])
		return;
	fprintf(stderr, "Running release command...\n");
	/* How it ends, the target says. */
	cli_stream_text(p->c, cli_js(release, "output_stream_url"), &status, &err);
	fflush(stdout);
}

static void tell_started(struct promotion *p)
{
	size_t i;
	json_t *t;

	json_array_foreach(p->targets, i, t) if (pending(t))
		fprintf(stderr, "%s: releasing\n", app_name(p, t));
}

static void tell_ended(struct promotion *p)
{
	size_t i;
	json_t *t;

	json_array_foreach(p->targets, i, t)
	{
		const char *why = cli_js(t, "error_message");

		if (pending(t) || json_object_get(p->told, cli_js(t, "id")))
			continue;
		json_object_set_new(p->told, cli_js(t, "id"), json_true());
		fprintf(stderr, "%s: %s%s%s\n", app_name(p, t), cli_js(t, "status"),
			*why ? ", " : "", why);
	}
}

static int count(const struct promotion *p, const char *status)
{
	int n = 0;
	size_t i;
	json_t *t;

	json_array_foreach(p->targets, i, t) n += strcmp(cli_js(t, "status"), status) == 0;
	return n;
}

static int await(struct promotion *p, struct err *err)
{
	int wait_ms = POLL_MIN_MS, away_ms = 0;

	for (;;) {
		struct err e = {0};

		tell_ended(p);
		if (!count(p, "pending"))
			return 0;
		poll(NULL, 0, wait_ms);
		if (read_targets(p, &e) < 0) {
			away_ms += wait_ms;
			if (away_ms < AWAY_MS && e.status != 401 && e.status != 403 &&
			    e.status != 404) {
				wait_ms = POLL_MAX_MS / 2;
				continue;
			}
			*err = e;
			return -1;
		}
		away_ms = 0;
		wait_ms = wait_ms * 3 / 2 > POLL_MAX_MS ? POLL_MAX_MS : wait_ms * 3 / 2;
	}
}

int cli_pipelines_promote(struct cli *c, struct err *err)
{
	AUTO(promotion_clear) struct promotion p = {.c = c, .told = json_object()};
	json_auto_t *whole = NULL;
	json_t *first;

	if (start(&p, err) < 0)
		return -1;
	first = json_array_get(p.targets, 0);
	if (json_array_size(p.targets) == 1 && cli_js(first, "release.id")[0] && !cli_json(c))
		show_output(&p, first);
	else
		tell_started(&p);
	if (await(&p, err) < 0)
		return -1;
	whole = json_pack("{sO sO}", "promotion", p.promotion, "targets", p.targets);
	json_object_set_new(json_object_get(whole, "promotion"), "status",
			    json_string("completed"));
	if (cli_json(c))
		cli_print_json(c, whole);
	if (count(&p, "failed")) {
		cli_warn(c, "Promotion to some apps failed");
		return 1;
	}
	if (!cli_json(c))
		cli_line("Promotion successful");
	return 0;
}

/* --- diff --- */

static const char *code_name(const json_t *code)
{
	static char text[80];

	if (cli_js(code, "commit")[0])
		snprintf(text, sizeof text, "v%lld, %.8s", cli_jint(code, "version"),
			 cli_js(code, "commit"));
	else
		snprintf(text, sizeof text, "v%lld", cli_jint(code, "version"));
	return text;
}

static void print_commits(const json_t *d)
{
	AUTO(cli_table_clear) struct cli_table t = {.cols = 4};
	size_t i;
	json_t *k;

	json_array_foreach(json_object_get(d, "commits"), i, k)
	{
		AUTO(auto_str) char *sha = xstrndup(cli_js(k, "sha"), 8);

		cli_table_row(&t, (const char *[]){sha, cli_js(k, "created_at"),
						   cli_js(k, "author.name"), cli_js(k, "message")});
	}
	cli_table_print(&t, stdout);
	if (json_is_true(json_object_get(d, "more")))
		cli_line("... and more");
}

/* What stands in the way of a comparison, or that there is no difference; NULL: list the commits.
 */
static char *verdict(const json_t *source, const json_t *d)
{
	const char *from = cli_js(source, "app.name"), *to = cli_js(d, "target.app.name");
	const char *status = cli_js(d, "status");
	bool source_unknown = json_is_true(json_object_get(d, "source_unknown"));

	if (strcmp(status, "identical") == 0)
		return xasprintf("%s is up to date with %s (%s)", to, from, code_name(source));
	if (strcmp(status, "unreleased") == 0)
		return xasprintf("%s was not compared to %s: %s has no release with code yet", from,
				 to, cli_js(source, "slug.id")[0] ? to : from);
	if (strcmp(status, "unknown") == 0)
		return xasprintf("%s was not compared to %s: the commit of %s (%s) is in neither "
				 "repository",
				 from, to, source_unknown ? from : to,
				 code_name(source_unknown ? source : json_object_get(d, "target")));
	if (strcmp(status, "behind") == 0)
		return xasprintf("%s has all that %s has, and %lld more commits", to, from,
				 cli_jint(d, "behind"));
	return NULL;
}

static void print_diff(struct cli *c, const json_t *source, const json_t *d)
{
	AUTO(auto_str) char *says = verdict(source, d);
	AUTO(auto_str) char *from = xstrdup(code_name(source));

	if (says) {
		cli_line("%s", says);
		return;
	}
	cli_header(c, "%s (%s) compared to %s (%s)", cli_js(source, "app.name"), from,
		   cli_js(d, "target.app.name"), code_name(json_object_get(d, "target")));
	print_commits(d);
	if (cli_jint(d, "behind"))
		cli_line("\n%s has %lld commits that %s has not: a promotion would take them away.",
			 cli_js(d, "target.app.name"), cli_jint(d, "behind"),
			 cli_js(source, "app.name"));
}

int cli_pipelines_diff(struct cli *c, struct err *err)
{
	json_auto_t *k = NULL, *diff = NULL;
	json_t *d, *targets;
	size_t i;

	if (cli_coupling(c, &k, err) < 0 ||
	    cli_api(c, "GET", NULL, &diff, err, "/apps/%s/pipeline-diff", c->app) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, diff);
		return 0;
	}
	targets = json_object_get(diff, "targets");
	if (!json_array_size(targets))
		return err_set(err, ERR_BAD_REQUEST,
			       "Cannot compare %s: the stage after %s has no apps", c->app,
			       cli_js(k, "stage"));
	json_array_foreach(targets, i, d)
	{
		if (i)
			printf("\n");
		print_diff(c, json_object_get(diff, "source"), d);
	}
	return 0;
}
