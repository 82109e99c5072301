/* A build and its release, told in the words that people know (Dev Center: Deploying with Git). */
#include "daemon/appjson/appjson.h"
#include "daemon/core/fsx.h"
#include "daemon/hook/hook.h"
#include "daemon/release/built.h"
#include "daemon/core/xlog.h"
#include "daemon/store/addon.h"
#include "daemon/store/app.h"
#include "daemon/store/pipeline.h"
#include "daemon/store/release.h"
#include "daemon/store/service.h"
#include "daemon/store/user.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

DEFINE_AUTO(json_t *, json_decref)

static void free_list(char **v)
{
	for (char **p = v; p && *p; p++) {
		explicit_bzero(*p, strlen(*p));
		free(*p);
	}
	free(v);
}

static void let_go(struct built *t)
{
	build_result_clear(&t->res);
	free(t->user_email);
	free(t->version);
	free_list(t->config);
	free_list(t->buildpacks);
	free(t->ways);
	free(t->manifest);
	*t = (struct built){0};
}

void built_free(struct built *t)
{
	if (!t)
		return;
	let_go(t);
	free(t);
}

/* --- before the build: the row, and all that the build must know --- */

struct start_tx {
	struct pusher *ps;
	const struct built_new *in;
	struct built *t;
};

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

static char **copy_list(const char *const *v)
{
	char **copy;
	int n = 0;

	while (v[n])
		n++;
	copy = xcalloc((size_t)n + 1, sizeof *copy);
	for (int i = 0; i < n; i++)
		copy[i] = xstrdup(v[i]);
	return copy;
}

static int take_buildpacks(struct tx *tx, struct start_tx *s, struct err *err)
{
	AUTO(store_buildpacks_clear) struct store_buildpacks bp = {0};

	if (s->in->buildpacks) {
		s->t->buildpacks = copy_list(s->in->buildpacks);
		return 0;
	}
	if (store_buildpacks_get(tx, s->in->app_id, &bp, err) < 0)
		return -1;
	if (bp.n && !bp.detected)
		s->t->buildpacks = copy_list((const char *const *)bp.url);
	return 0;
}

static void take_app(struct built *t, const struct store_app *app)
{
	memcpy(t->app_id, app->id, sizeof t->app_id);
	snprintf(t->app_name, sizeof t->app_name, "%s", app->name);
	snprintf(t->stack, sizeof t->stack, "%s", app->build_stack);
	t->app_uid = app->uid;
}

/* An app in the stage for reviews, or for tests, has that environment of app.json. */
static void take_environment(struct tx *tx, struct built *t)
{
	AUTO(store_coupling_clear) struct store_coupling k = {0};
	struct err none = {0};

	if (store_coupling_of_app(tx, t->app_id, &k, &none) == 0 &&
	    (strcmp(k.stage, "review") == 0 || strcmp(k.stage, "test") == 0))
		memcpy(t->environment, k.stage, sizeof t->environment);
}

static int write_start(struct tx *tx, void *arg, struct err *err)
{
	struct start_tx *s = arg;
	struct built *t = s->t;
	AUTO(store_release_clear) struct store_release cur = {0};
	AUTO(store_app_clear) struct store_app app = {0};
	AUTO(store_build_clear) struct store_build build = {0};
	AUTO(json_decref) json_t *config = NULL;
	struct store_build_new row = s->in->row;
	struct err none = {0};

	let_go(t); /* the writer may run this again */
	if (store_app_get(tx, s->in->app_id, &app, err) < 0)
		return -1;
	if (app.destroying)
		return err_not_found(err, "app");
	take_app(t, &app);
	row.app_id = app.id;
	row.user_id = s->in->user_id;
	row.stack = app.build_stack;
	if (store_build_insert(tx, &row, &build, err) < 0 ||
	    store_app_config(tx, app.id, &config, err) < 0 || take_buildpacks(tx, s, err) < 0)
		return -1;
	t->ps = s->ps;
	memcpy(t->build_id, build.id, sizeof t->build_id);
	memcpy(t->user_id, build.user_id, sizeof t->user_id);
	t->user_email = xstrdup(s->in->user_email);
	t->version = xstrdup(row.version);
	t->first = store_release_current(tx, app.id, &cur, &none) < 0 || !cur.slug_id[0];
	t->config = config_list(config);
	take_environment(tx, t);
	if (store_service_ways(tx, app.id, &t->ways, &t->nways, err) < 0)
		return -1;
	return hook_event(tx, app.id, "api:build", HOOK_CREATE, NULL, build.id, err);
}

int built_start(struct pusher *ps, const struct built_new *in, struct built **out, struct err *err)
{
	AUTO(built_free) struct built *t = xcalloc(1, sizeof *t);
	struct start_tx s = {ps, in, t};

	if (store_tx(ps->store, write_start, &s, err) < 0)
		return -1;
	logd_printf(ps->log, t->app_id, "app", "api", "Build started by user %s", t->user_email);
	*out = STEAL(t);
	return 0;
}

/* --- the build --- */

struct end_tx {
	struct built *t;
	const char *failure; /* NULL = succeeded */
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
				      .app_id = e->t->app_id,
				      .commit = e->t->version,
				      .language = r->language,
				      .process_types = types_text,
				      .stack = e->t->stack,
				      .manifest = e->t->manifest,
				      .size = (int64_t)r->slug_bytes};
	int n = 0;

	while (r->buildpacks && r->buildpacks[n])
		n++;
	if (store_slug_insert(tx, &slug, err) < 0 ||
	    store_build_set_buildpacks(tx, e->t->build_id, bps_text, err) < 0 ||
	    store_app_set_language(tx, e->t->app_id, r->language, err) < 0)
		return -1;
	if (!e->t->buildpacks &&
	    store_buildpacks_replace(tx, e->t->app_id, (const char *const *)r->buildpacks, n, true,
				     err) < 0)
		return -1;
	return store_build_finish(tx, e->t->build_id, STORE_SUCCEEDED, r->slug_id, NULL, err);
}

static int write_end(struct tx *tx, void *arg, struct err *err)
{
	struct end_tx *e = arg;

	int rc = e->failure ? store_build_finish(tx, e->t->build_id, STORE_FAILED, NULL, e->failure,
						 err)
			    : write_success(tx, e, err);

	return rc < 0 ? -1
		      : hook_event(tx, e->t->app_id, "api:build", HOOK_UPDATE, NULL, e->t->build_id,
				   err);
}

static void build_failed(struct end_tx *e, const struct err *why)
{
	struct pusher *ps = e->t->ps;
	struct err err = {0};

	e->failure = why->msg;
	logd_printf(ps->log, e->t->app_id, "app", "api",
		    "Build failed -- check your build output: %s", why->msg);
	if (store_tx(ps->store, write_end, e, &err) < 0)
		xlog_err(XLOG_ERROR, "build", &err, "msg=\"failed build not recorded\" build_id=%s",
			 e->t->build_id);
}

/* What is said beside the build's own output. */
static void warn(struct built *t, struct build_req *req, const char *text)
{
	AUTO(auto_str) char *line = xasprintf(" !     %s\n", text);

	build_output_add(t->ps->builds, t->build_id, line, strlen(line));
	if (req->out)
		req->out(line, strlen(line), req->out_arg);
}

/* Our own keys of app.json count for every deploy. A push ignores the rest of the file, so it does
 * not fail for it either: what is wrong is said, and not used. */
static void read_manifest(struct built *t, struct build_req *req)
{
	AUTO(appjson_problems_clear) struct appjson_problems problems = {0};
	AUTO(buf_clear) struct buf text = {0};
	AUTO(auto_fd) int dir = -1;
	char path[PATH_MAX], line[512];
	struct err err = {0};

	slug_path(t->ps->slugs, t->res.slug_id, path);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || faccessat(dir, "app.json", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (fs_read_at(dir, "app.json", APPJSON_BYTES, &text, &err) == 0 &&
	    appjson_extensions(buf_str(&text), text.len, t->environment[0] ? t->environment : NULL,
			       &t->manifest, &problems, &err) == 0)
		return;
	if (!problems.n)
		warn(t, req, err.msg);
	for (int i = 0; i < problems.n; i++) {
		appjson_problem_line(&problems.v[i], "app.json", line);
		warn(t, req, line);
	}
	warn(t, req, "The health check and the cron entries of app.json are not used.");
}

int built_run(struct built *t, struct build_req *req, struct err *err)
{
	struct pusher *ps = t->ps;
	struct end_tx e = {.t = t};

	memcpy(req->build_id, t->build_id, sizeof req->build_id);
	memcpy(req->app_id, t->app_id, sizeof req->app_id);
	snprintf(req->app_name, sizeof req->app_name, "%s", t->app_name);
	req->app_uid = t->app_uid;
	req->commit = t->version;
	req->config = t->config;
	req->buildpacks = t->buildpacks;
	req->ways = t->ways;
	req->nways = t->nways;
	req->first_deploy = t->first;
	req->keep_output_open = true;
	if (build_run(ps->builds, req, &t->res, err) < 0) {
		build_failed(&e, err);
		build_output_end(ps->builds, t->build_id);
		return -1;
	}
	read_manifest(t, req);
	if (store_tx(ps->store, write_end, &e, err) < 0) {
		AUTO(auto_str) char *line = xasprintf(" !     %s\n", err->msg);

		slug_remove(ps->slugs, t->res.slug_id, NULL);
		build_failed(&e, err);
		build_output_add(ps->builds, t->build_id, line, strlen(line));
		build_output_end(ps->builds, t->build_id);
		if (req->out)
			req->out(line, strlen(line), req->out_arg);
		return -1;
	}
	logd_printf(ps->log, t->app_id, "app", "api", "Build succeeded");
	return 0;
}

/* --- the release --- */

/* What follows the build is part of its record too. */
struct both {
	struct built *t;
	const struct built_ear *ear;
};

static void say_both(const char *text, size_t n, void *arg)
{
	struct both *b = arg;

	build_output_add(b->t->ps->builds, b->t->build_id, text, n);
	if (b->ear->say)
		b->ear->say(text, n, b->ear->arg);
}

static void tell(struct both *b, const char *fmt, ...) PRINTF(2, 3);
static void tell(struct both *both, const char *fmt, ...)
{
	AUTO(buf_clear) struct buf b = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	say_both(b.data, b.len, both);
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

static void read_defaults(struct built *t, struct defaults *d)
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

static bool is_commit(const char *s)
{
	return s && strlen(s) == 40 && strspn(s, "0123456789abcdef") == 40;
}

int built_release_again(struct built *t, struct release_out *out, struct err *err)
{
	AUTO(auto_str)
	char *text = t->version && *t->version
			     ? xasprintf(is_commit(t->version) ? "Deploy %.8s" : "Deploy %.60s",
					 t->version)
			     : xstrdup("Deploy");
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
	/* "unchanged" is for config changes alone: a deploy is a release whatever its config. */
	in.nset = d.n;
	rc = release_create(t->ps->releases, &in, out, err);
	defaults_clear(&d);
	return rc;
}

void built_web_url(const struct config *cfg, const char *name, char *out, size_t cap)
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

static int wait_release(struct both *b, const struct release_out *out, const char *url,
			struct err *err)
{
	if (out->has_command)
		tell(b, "Running release command...\n\n");
	if (release_wait(b->t->ps->releases, out->id, say_both, b, NULL, err) == 0) {
		tell(b, "%sWaiting for release.... done.\n       %s deployed\n",
		     out->has_command ? "\n" : "", url);
		return 0;
	}
	if (strncmp(err->msg, "Release command", 15) == 0)
		tell(b, "\n !     Release command failed: %s.\n", err->msg);
	else
		tell(b, "\n !     Release v%d failed: %s.\n", out->version, err->msg);
	tell(b,
	     " !     v%d was not made current; what was serving before goes on serving.\n"
	     " !     See `paasctl logs` and `paasctl releases:output v%d`.\n",
	     out->version, out->version);
	return -1;
}

/* --- add-ons that a buildpack asks for, first deploy only --- */

struct asked {
	const char *app_id;
	struct store_attachments has;
};

static int read_attached(struct tx *tx, void *arg, struct err *err)
{
	struct asked *a = arg;

	return store_attachments_list(tx, a->app_id, NULL, &a->has, err);
}

static bool has_service(const struct store_attachments *l, const char *plan)
{
	size_t n = strcspn(plan, ":");

	for (int i = 0; i < l->n; i++)
		if (strlen(l->v[i].service) == n && memcmp(l->v[i].service, plan, n) == 0)
			return true;
	return false;
}

static void add_one(struct both *b, const char *plan)
{
	struct built *t = b->t;
	const struct pusher *ps = t->ps;
	struct err err = {0};

	if (!ps->cfg->addon_from_buildpacks || !ps->add_addon) {
		tell(b,
		     "       The buildpack suggests the add-on %.100s: paasctl addons:create "
		     "%.100s -a "
		     "%s\n",
		     plan, plan, t->app_name);
		return;
	}
	tell(b, "-----> Adding %.100s...\n", plan);
	if (ps->add_addon(ps->add_addon_arg, t->app_id, t->user_id, t->user_email, plan, &err) < 0)
		tell(b, " !     Could not add it: %s\n", err.msg);
}

/* None of them is worth failing a deploy for. */
static void add_addons(struct both *b)
{
	struct asked a = {.app_id = b->t->app_id};
	struct err none = {0};
	char **plans = b->t->res.addons;

	if (!plans || !*plans || store_read(b->t->ps->store, read_attached, &a, &none) < 0)
		return;
	for (; *plans; plans++)
		if (!has_service(&a.has, *plans))
			add_one(b, *plans);
	store_attachments_clear(&a.has);
}

static int launch(struct both *b, struct err *err)
{
	struct built *t = b->t;
	struct release_out out;
	char url[300];

	add_addons(b);
	tell(b, "-----> Launching...\n");
	if (built_release_again(t, &out, err) < 0) {
		tell(b, " !     Release failed: %s\n", err->msg);
		xlog_err(XLOG_ERROR, "build", err, "msg=\"no release made\" app=%s", t->app_name);
		return -1;
	}
	built_web_url(t->ps->cfg, t->app_name, url, sizeof url);
	if (out.has_command)
		tell(b, " !     Release command declared: this new release will not be available "
			"until the command succeeds.\n");
	tell(b, "       Released v%d\n", out.version);
	return wait_release(b, &out, url, err);
}

int built_release_live(struct built *t, const struct built_ear *ear, struct err *err)
{
	struct both both = {t, ear};
	int rc = launch(&both, err);

	build_output_end(t->ps->builds, t->build_id);
	push_collect_slugs(t->ps);
	return rc;
}

void built_release(struct built *t, const struct built_ear *ear)
{
	struct err told = {0};

	built_release_live(t, ear, &told);
}

/* --- undone --- */

struct undo_tx {
	struct built *t;
	const char *why;
};

static int write_undo(struct tx *tx, void *arg, struct err *err)
{
	struct undo_tx *u = arg;

	if (store_build_unfinish(tx, u->t->build_id, u->why, err) < 0)
		return -1;
	return store_slug_delete(tx, u->t->res.slug_id, err);
}

void built_undo(struct built *t, const char *why)
{
	struct undo_tx u = {t, why};
	struct err err = {0};

	build_output_end(t->ps->builds, t->build_id);
	if (store_tx(t->ps->store, write_undo, &u, &err) < 0) {
		xlog_err(XLOG_ERROR, "build", &err, "msg=\"build not undone\" build_id=%s",
			 t->build_id);
		return;
	}
	slug_remove(t->ps->slugs, t->res.slug_id, NULL);
}
