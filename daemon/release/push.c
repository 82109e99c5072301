/* A push: build, then release, told to the person at the other end (Dev Center: Deploying with
 * Git). */
#include "daemon/release/push.h"
#include "daemon/core/xlog.h"
#include "daemon/store/app.h"
#include "daemon/store/build.h"
#include "daemon/store/release.h"
#include "daemon/store/user.h"
#include "proto/limits.h"

#include <stdio.h>
#include <string.h>

DEFINE_AUTO(json_t *, json_decref)

/* What push_build hands to push_after. */
struct pushed {
	struct pusher *ps;
	struct build_result res;
	char build_id[37], app_id[37], user_id[37];
	char *user_email; /* owned */
};

static void pushed_free(struct pushed *t)
{
	build_result_clear(&t->res);
	free(t->user_email);
	free(t);
}
DEFINE_AUTO(struct pushed *, pushed_free)

/* --- before the build: the row, and all that the build must know --- */

struct start_tx {
	const struct git_update *u;
	const struct config *cfg;
	struct store_build build;
	struct store_app app;
	struct store_buildpacks bp;
	char **config; /* NAME=value, owned */
	bool first;
};

static void free_list(char **v)
{
	for (char **p = v; p && *p; p++) {
		explicit_bzero(*p, strlen(*p));
		free(*p);
	}
	free(v);
}

static void start_clear(struct start_tx *t)
{
	store_build_clear(&t->build);
	store_app_clear(&t->app);
	store_buildpacks_clear(&t->bp);
	free_list(t->config);
	t->config = NULL;
}
#define start_clear_p start_clear

static char **config_list(const json_t *config)
{
	char **v = xcalloc(json_object_size(config) + 1, sizeof *v);
	const char *key;
	const json_t *val;
	int n = 0;

	for (void *it = json_object_iter((json_t *)config); it;
	     it = json_object_iter_next((json_t *)config, it)) {
		key = json_object_iter_key(it);
		val = json_object_iter_value(it);
		v[n++] = xasprintf("%s=%s", key, json_string_value(val));
	}
	return v;
}

static int write_start(struct tx *tx, void *arg, struct err *err)
{
	struct start_tx *t = arg;
	AUTO(store_release_clear) struct store_release cur = {0};
	AUTO(json_decref) json_t *config = NULL;
	struct store_build_new row = {.app_id = t->u->app_id,
				      .user_id = t->u->user_id,
				      .source = "git",
				      .ref = t->u->ref,
				      .version = t->u->commit};
	struct err none = {0};

	start_clear(t);
	if (store_app_get(tx, t->u->app_id, &t->app, err) < 0)
		return -1;
	if (t->app.destroying)
		return err_not_found(err, "app");
	row.stack = t->app.build_stack;
	if (store_build_insert(tx, &row, &t->build, err) < 0 ||
	    store_app_config(tx, t->app.id, &config, err) < 0 ||
	    store_buildpacks_get(tx, t->app.id, &t->bp, err) < 0)
		return -1;
	t->first = store_release_current(tx, t->app.id, &cur, &none) < 0 || !cur.slug_id[0];
	t->config = config_list(config);
	return 0;
}

/* --- the build --- */

static void say(const char *p, size_t n, void *arg)
{
	git_say(arg, p, n);
}

struct export_ctx {
	const struct git_update *u;
	const struct config *cfg;
};

static int export_source(const char *dir, void (*line)(const char *line, void *arg), void *say_arg,
			 void *arg, struct err *err)
{
	struct export_ctx *e = arg;

	return git_export(e->u->repo_dir, e->u->quarantine_dir, e->u->commit, dir, e->cfg, line,
			  say_arg, err);
}

struct end_tx {
	struct pushed *t;
	const struct git_update *u;
	const struct store_app *app;
	const char *failure; /* NULL = succeeded */
	bool detected;
};

static json_t *types_json(const struct proc_types *t)
{
	json_t *j = json_object();

	for (int i = 0; i < t->n; i++)
		json_object_set_new(j, t->v[i].type, json_string(t->v[i].command));
	return j;
}

static json_t *buildpacks_json(char *const *urls)
{
	json_t *list = json_array();

	for (char *const *u = urls; u && *u; u++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "url", *u, "name", *u));
	return list;
}

static int write_success(struct tx *tx, struct end_tx *e, struct err *err)
{
	const struct build_result *r = &e->t->res;
	AUTO(json_decref) json_t *types = types_json(&r->types);
	AUTO(json_decref) json_t *bps = buildpacks_json(r->buildpacks);
	AUTO(auto_str) char *types_text = json_dumps(types, JSON_COMPACT);
	AUTO(auto_str) char *bps_text = json_dumps(bps, JSON_COMPACT);
	struct store_slug_new slug = {.id = r->slug_id,
				      .app_id = e->app->id,
				      .commit = e->u->commit,
				      .language = r->language,
				      .process_types = types_text,
				      .stack = e->app->build_stack,
				      .size = (int64_t)r->slug_bytes};
	int n = 0;

	while (r->buildpacks && r->buildpacks[n])
		n++;
	if (store_slug_insert(tx, &slug, err) < 0 ||
	    store_build_set_buildpacks(tx, e->t->build_id, bps_text, err) < 0 ||
	    store_app_set_language(tx, e->app->id, r->language, err) < 0)
		return -1;
	if (e->detected &&
	    store_buildpacks_replace(tx, e->app->id, (const char *const *)r->buildpacks, n, true,
				     err) < 0)
		return -1;
	return store_build_finish(tx, e->t->build_id, STORE_SUCCEEDED, r->slug_id, NULL, err);
}

static int write_end(struct tx *tx, void *arg, struct err *err)
{
	struct end_tx *e = arg;

	if (e->failure)
		return store_build_finish(tx, e->t->build_id, STORE_FAILED, NULL, e->failure, err);
	return write_success(tx, e, err);
}

static void build_failed(struct pusher *ps, struct end_tx *e, const struct err *why)
{
	struct err err = {0};

	e->failure = why->msg;
	logd_printf(ps->log, e->app->id, "app", "api",
		    "Build failed -- check your build output: %s", why->msg);
	if (store_tx(ps->store, write_end, e, &err) < 0)
		xlog_err(XLOG_ERROR, "push", &err, "msg=\"failed build not recorded\" build_id=%s",
			 e->t->build_id);
}

static int run_build(struct pusher *ps, struct start_tx *s, struct git_push *p, struct pushed *t,
		     struct err *err)
{
	struct export_ctx ex = {s->u, ps->cfg};
	struct build_req req = {.app_uid = s->app.uid,
				.commit = s->u->commit,
				.config = s->config,
				.buildpacks = s->bp.n && !s->bp.detected ? s->bp.url : NULL,
				.first_deploy = s->first,
				.export_source = export_source,
				.export_arg = &ex,
				.out = say,
				.out_arg = p,
				.keep_output_open = true};
	struct end_tx e = {.t = t, .u = s->u, .app = &s->app, .detected = !req.buildpacks};

	memcpy(req.build_id, s->build.id, sizeof req.build_id);
	memcpy(req.app_id, s->app.id, sizeof req.app_id);
	snprintf(req.app_name, sizeof req.app_name, "%s", s->app.name);
	if (build_run(ps->builds, &req, &t->res, err) < 0) {
		build_failed(ps, &e, err);
		return -1;
	}
	if (store_tx(ps->store, write_end, &e, err) < 0) {
		slug_remove(ps->slugs, t->res.slug_id, NULL);
		build_failed(ps, &e, err);
		git_sayf(p, " !     %s\n", err->msg);
		return -1;
	}
	logd_printf(ps->log, s->app.id, "app", "api", "Build succeeded");
	return 0;
}

int push_build(void *arg, const struct git_update *u, struct git_push *p, void **token,
	       struct err *err)
{
	struct pusher *ps = arg;
	AUTO(start_clear) struct start_tx s = {.u = u, .cfg = ps->cfg};
	AUTO(pushed_free) struct pushed *t = xcalloc(1, sizeof *t);

	if (store_tx(ps->store, write_start, &s, err) < 0) {
		git_sayf(p, " !     %s\n", err->msg);
		return -1;
	}
	t->ps = ps;
	memcpy(t->build_id, s.build.id, sizeof t->build_id);
	memcpy(t->app_id, u->app_id, sizeof t->app_id);
	memcpy(t->user_id, u->user_id, sizeof t->user_id);
	t->user_email = xstrdup(u->user_email);
	logd_printf(ps->log, u->app_id, "app", "api", "Build started by user %s", u->user_email);
	git_sayf(p, "Compressing source files... done.\nBuilding source:\n\n");
	if (run_build(ps, &s, p, t, err) < 0)
		return -1;
	*token = STEAL(t);
	return 0;
}

/* --- the release --- */

/* What follows the build is part of its record too. */
struct both {
	struct pushed *t;
	struct git_push *p;
};

static void say_both(const char *text, size_t n, void *arg)
{
	struct both *b = arg;

	build_output_add(b->t->ps->builds, b->t->build_id, text, n);
	git_say(b->p, text, n);
}

static void tell(struct pushed *t, struct git_push *p, const char *fmt, ...) PRINTF(3, 4);
static void tell(struct pushed *t, struct git_push *p, const char *fmt, ...)
{
	struct both both = {t, p};
	AUTO(buf_clear) struct buf b = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	say_both(b.data, b.len, &both);
}

struct defaults { /* config vars of bin/release, first deploy only, those not set already */
	const char **names, **values;
	char **copies; /* owned */
	int n;
};

struct config_tx {
	const char *app_id;
	json_t *config;
};

static int read_config(struct tx *tx, void *arg, struct err *err)
{
	struct config_tx *c = arg;

	return store_app_config(tx, c->app_id, &c->config, err);
}

static void read_defaults(struct pushed *t, struct defaults *d)
{
	struct config_tx c = {.app_id = t->app_id};
	int n = 0;

	while (t->res.config && t->res.config[n])
		n++;
	d->names = xcalloc((size_t)n + 1, sizeof *d->names);
	d->values = xcalloc((size_t)n + 1, sizeof *d->values);
	d->copies = xcalloc((size_t)n + 1, sizeof *d->copies);
	if (n == 0 || store_read(t->ps->store, read_config, &c, NULL) < 0)
		return;
	for (int i = 0; i < n; i++) {
		char *name = xstrdup(t->res.config[i]), *eq = strchr(name, '=');

		*eq = 0;
		if (json_object_get(c.config, name)) {
			free(name);
			continue;
		}
		d->copies[d->n] = name;
		d->names[d->n] = name;
		d->values[d->n++] = eq + 1;
	}
	json_decref(c.config);
}

static void defaults_clear(struct defaults *d)
{
	for (int i = 0; i < d->n; i++)
		free(d->copies[i]);
	free(d->copies);
	free(d->names);
	free(d->values);
}

static int make_release(struct pushed *t, const char *commit, struct release_out *out,
			struct err *err)
{
	AUTO(auto_str) char *text = xasprintf("Deploy %.8s", commit);
	struct release_new in = {.app_id = t->app_id,
				 .user_id = t->user_id,
				 .user_email = t->user_email,
				 .slug_id = t->res.slug_id,
				 .build_id = t->build_id,
				 .description = text};
	struct defaults d = {0};
	int rc;

	read_defaults(t, &d);
	in.set_names = d.names;
	in.set_values = d.values;
	in.nset = 0;
	/* "unchanged" is for config changes alone: a deploy is a release whatever its config. */
	if (d.n)
		in.nset = d.n;
	rc = release_create(t->ps->releases, &in, out, err);
	defaults_clear(&d);
	return rc;
}

/* http://NAME.localhost:8080/ as users reach it. */
static void web_url(const struct config *cfg, const char *name, char *out, size_t cap)
{
	const char *colon = strrchr(cfg->listen, ':');
	const char *port = colon ? colon + 1 : "80";

	if (cfg->public_url[0])
		snprintf(out, cap, "%.*s://%s.%s/", (int)strcspn(cfg->public_url, ":"),
			 cfg->public_url, name, cfg->apps_domain);
	else
		snprintf(out, cap, "http://%s.%s%s%s/", name, cfg->apps_domain,
			 strcmp(port, "80") ? ":" : "", strcmp(port, "80") ? port : "");
}

static void wait_release(struct pushed *t, struct git_push *p, const struct release_out *out,
			 const char *url)
{
	struct both both = {t, p};
	struct err err = {0};

	if (out->has_command)
		tell(t, p, "Running release command...\n\n");
	if (release_wait(t->ps->releases, out->id, say_both, &both, NULL, &err) == 0) {
		tell(t, p, "%sWaiting for release.... done.\n       %s deployed\n",
		     out->has_command ? "\n" : "", url);
		return;
	}
	if (strncmp(err.msg, "Release command", 15) == 0)
		tell(t, p, "\n !     Release command failed: %s.\n", err.msg);
	else
		tell(t, p, "\n !     Release v%d failed: %s.\n", out->version, err.msg);
	git_sayf(p,
		 " !     v%d was not made current; what was serving before goes on serving.\n"
		 " !     See `paasctl logs` and `paasctl releases:output v%d`.\n",
		 out->version, out->version);
}

void push_after(void *arg, const struct git_update *u, struct git_push *p, void *token)
{
	AUTO(pushed_free) struct pushed *t = token;
	struct pusher *ps = arg;
	struct release_out out;
	struct err err = {0};
	char url[300];

	tell(t, p, "-----> Launching...\n");
	if (make_release(t, u->commit, &out, &err) < 0) {
		xlog_err(XLOG_ERROR, "push", &err, "msg=\"no release made\" app=%s", u->app_name);
		tell(t, p, " !     Release failed: %s\n", err.msg);
		build_output_end(ps->builds, t->build_id);
		return;
	}
	web_url(ps->cfg, u->app_name, url, sizeof url);
	if (out.has_command)
		tell(t, p,
		     " !     Release command declared: this new release will not be "
		     "available until the command "
		     "succeeds.\n");
	tell(t, p, "       Released v%d\n", out.version);
	wait_release(t, p, &out, url);
	build_output_end(ps->builds, t->build_id);
	push_collect_slugs(ps);
}

struct undo_tx {
	struct pushed *t;
};

static int write_undo(struct tx *tx, void *arg, struct err *err)
{
	struct pushed *t = arg;

	if (store_build_unfinish(tx, t->build_id, "the ref could not be updated", err) < 0)
		return -1;
	return store_slug_delete(tx, t->res.slug_id, err);
}

void push_undo(void *arg, void *token)
{
	AUTO(pushed_free) struct pushed *t = token;
	struct pusher *ps = arg;
	struct err err = {0};

	build_output_end(ps->builds, t->build_id);
	if (store_tx(ps->store, write_undo, t, &err) < 0) {
		xlog_err(XLOG_ERROR, "push", &err, "msg=\"build not undone\" build_id=%s",
			 t->build_id);
		return;
	}
	slug_remove(ps->slugs, t->res.slug_id, NULL);
}

/* --- collection --- */

struct collect_tx {
	int keep;
	struct store_ids in_use, all;
	const char *drop;
};

static int read_collect(struct tx *tx, void *arg, struct err *err)
{
	struct collect_tx *c = arg;

	return store_slugs_in_use(tx, c->keep, &c->in_use, err) < 0 ||
			       store_slugs_all(tx, &c->all, err) < 0
		       ? -1
		       : 0;
}

static int drop_slug(struct tx *tx, void *arg, struct err *err)
{
	struct collect_tx *c = arg;

	return store_slug_delete(tx, c->drop, err);
}

void push_collect_slugs(struct pusher *ps)
{
	struct collect_tx c = {.keep = (int)ps->cfg->slugs_kept};
	struct err err = {0};

	if (store_read(ps->store, read_collect, &c, &err) < 0)
		xlog_err(XLOG_WARN, "push", &err, "msg=\"slugs not collected\"");
	for (int i = 0; i < c.all.n && !err.status; i++) {
		/* A one-off may run, and a dyno drain, from a slug that no release needs now. */
		if (store_ids_has(&c.in_use, c.all.v[i]) ||
		    dynos_use_slug(releases_dynos(ps->releases), c.all.v[i]))
			continue;
		c.drop = c.all.v[i];
		if (slug_remove(ps->slugs, c.drop, &err) < 0 ||
		    store_tx(ps->store, drop_slug, &c, &err) < 0)
			xlog_err(XLOG_WARN, "push", &err, "msg=\"slug not removed\" slug_id=%s",
				 c.drop);
	}
	store_ids_clear(&c.in_use);
	store_ids_clear(&c.all);
}

static bool has_row(const char *slug_id, void *arg)
{
	struct collect_tx *c = arg;

	return store_ids_has(&c->all, slug_id);
}

void push_sweep_slugs(struct pusher *ps)
{
	struct collect_tx c = {.keep = (int)ps->cfg->slugs_kept};
	struct err err = {0};

	if (store_read(ps->store, read_collect, &c, &err) < 0 ||
	    slugs_collect(ps->slugs, has_row, &c, &err) < 0)
		xlog_err(XLOG_WARN, "push", &err, "msg=\"slugs not swept\"");
	store_ids_clear(&c.in_use);
	store_ids_clear(&c.all);
}

/* --- recovery --- */

struct recover_tx {
	struct store_builds pending;
	struct store_apps apps;
	struct store_builds *newest; /* per app: 0 or 1 */
	const char *id;
};

static int read_recover(struct tx *tx, void *arg, struct err *err)
{
	struct recover_tx *r = arg;

	if (store_builds_pending(tx, &r->pending, err) < 0 || store_apps_all(tx, &r->apps, err) < 0)
		return -1;
	r->newest = xcalloc((size_t)r->apps.n, sizeof *r->newest);
	for (int i = 0; i < r->apps.n; i++)
		if (store_builds_list(tx, r->apps.v[i].id, 1, &r->newest[i], err) < 0)
			return -1;
	return 0;
}

static int fail_build(struct tx *tx, void *arg, struct err *err)
{
	struct recover_tx *r = arg;

	return store_build_finish(tx, r->id, STORE_FAILED, NULL,
				  "The platform was restarted during the build; push again.", err);
}

static void release_or_undo(struct pusher *ps, const struct store_build *b,
			    int (*repo_ref)(void *arg, const char *app_id, const char *ref,
					    char commit[41]),
			    void *arg)
{
	struct pushed *t = xcalloc(1, sizeof *t);
	struct release_out out;
	struct err err = {0};
	char commit[41] = "";

	t->ps = ps;
	memcpy(t->build_id, b->id, sizeof t->build_id);
	memcpy(t->app_id, b->app_id, sizeof t->app_id);
	memcpy(t->user_id, b->user_id, sizeof t->user_id);
	memcpy(t->res.slug_id, b->slug_id, sizeof t->res.slug_id);
	t->user_email = xstrdup(b->user_email);
	if (repo_ref(arg, b->app_id, b->ref, commit) < 0 || strcmp(commit, b->version) != 0) {
		push_undo(ps, t);
		return;
	}
	if (make_release(t, commit, &out, &err) < 0)
		xlog_err(XLOG_ERROR, "push", &err,
			 "msg=\"interrupted push not released\" build_id=%s", b->id);
	else
		xlog(XLOG_INFO, "push", "msg=\"interrupted push released\" build_id=%s version=%d",
		     b->id, out.version);
	pushed_free(t);
}

int push_recover(struct pusher *ps,
		 int (*repo_ref)(void *arg, const char *app_id, const char *ref, char commit[41]),
		 void *arg, struct err *err)
{
	struct recover_tx r = {0};
	int rc = store_read(ps->store, read_recover, &r, err);

	for (int i = 0; i < r.pending.n && rc == 0; i++) {
		r.id = r.pending.v[i].id;
		logd_printf(ps->log, r.pending.v[i].app_id, "app", "api",
			    "Build failed -- the platform was restarted; push again");
		rc = store_tx(ps->store, fail_build, &r, err);
	}
	for (int i = 0; i < r.apps.n && rc == 0; i++) {
		const struct store_build *b = r.newest[i].n ? &r.newest[i].v[0] : NULL;

		if (b && b->status == STORE_SUCCEEDED && !b->release_id[0] && b->slug_id[0] &&
		    b->ref)
			release_or_undo(ps, b, repo_ref, arg);
	}
	for (int i = 0; i < r.apps.n && r.newest; i++)
		store_builds_clear(&r.newest[i]);
	free(r.newest);
	store_apps_clear(&r.apps);
	store_builds_clear(&r.pending);
	return rc;
}
