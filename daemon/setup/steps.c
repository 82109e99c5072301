/* The steps around the build: the code comes, its app.json is read, the app gets what it says. */
#include "daemon/setup/setup_int.h"
#include "daemon/core/fsx.h"
#include "daemon/store/app.h"
#include "daemon/store/release.h"
#include "proto/names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* --- source --- */

static void say_line(const char *line, void *arg)
{
	setup_sayf(arg, "%s\n", line);
}

struct made_tx {
	const char *app_id;
	int version;
};

static int read_made(struct tx *tx, void *arg, struct err *err)
{
	struct made_tx *t = arg;
	AUTO(store_release_clear) struct store_release r = {0};

	if (store_release_newest(tx, t->app_id, &r, err) < 0)
		return -1;
	t->version = r.version;
	return 0;
}

/* Of an app whose making was cut off there is the row alone, or not even all of its first
 * releases. */
static int check_made(struct job *j, struct err *err)
{
	struct made_tx t = {.app_id = j->row.app_id};
	struct err none = {0};

	if (!j->resumed || (store_read(j->s->d.store, read_made, &t, &none) == 0 && t.version >= 2))
		return 0;
	return err_set(err, ERR_UNAVAILABLE, SETUP_CUT_OFF);
}

struct manifest_tx {
	struct job *j;
	const char *text, *version;
};

static int write_manifest(struct tx *tx, void *arg, struct err *err)
{
	struct manifest_tx *t = arg;

	return store_setup_set_manifest(tx, t->j->row.id, t->text, t->version, err);
}

/* app.json of the tree; "" when there is none and that is fine. */
static int read_app_json(struct job *j, const char *tree, struct buf *text, struct err *err)
{
	AUTO(auto_fd) int dir = open(tree, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0)
		return err_errno(err, "%s", tree);
	if (faccessat(dir, "app.json", F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
		/* Review apps and the like do with the defaults. */
		if (j->row.environment)
			return 0;
		json_array_append_new(j->wrong, json_string("app.json: there is none"));
		return err_set(err, ERR_INVALID_PARAMS, "app.json not found");
	}
	if (fs_read_at(dir, "app.json", APPJSON_BYTES, text, err) == 0)
		return 0;
	if (err->code == ERR_TOO_LARGE)
		err_set(err, ERR_INVALID_PARAMS, "app.json is larger than %lld KB",
			APPJSON_BYTES / KiB(1));
	json_array_append_new(j->wrong, json_string(err->msg));
	return -1;
}

int setup_step_source(struct job *j, struct err *err)
{
	AUTO(auto_str) char *tree = xasprintf("%s/%s/tree", j->s->dir, j->row.id);
	AUTO(auto_str) char *work = xasprintf("%s/%s/work", j->s->dir, j->row.id);
	const json_t *source = json_object_get(j->overrides, "source");
	AUTO(buf_clear) struct buf text = {0};
	char commit[65] = "";
	struct manifest_tx t = {.j = j};

	if (check_made(j, err) < 0)
		return -1;
	setup_sayf(j, "-----> Fetching the source\n");
	if (fs_rmtree(tree, err) < 0 || fs_mkdirs(tree, 0700, err) < 0)
		return -1;
	if (setup_source_fetch(j->s, source, tree, work, j->live->cancel_fd, say_line, j, commit,
			       err) < 0)
		return err_wrap(err, "The source could not be fetched");
	if (read_app_json(j, tree, &text, err) < 0)
		return -1;
	t.text = buf_str(&text);
	t.version = !j->row.version && commit[0] ? commit : NULL;
	return store_tx(j->s->d.store, write_manifest, &t, err);
}

/* --- config vars: what each is, by whom --- */

static const char *override_of(const struct job *j, const char *name)
{
	static const char *const layers[] = {"fixed", "env", "stage"};

	for (size_t i = 0; i < ARRAY_LEN(layers); i++) {
		const json_t *v = json_object_get(json_object_get(j->overrides, layers[i]), name);

		if (json_is_string(v))
			return json_string_value(v);
	}
	return NULL;
}

/* What the app has now stays: a secret is made once. */
static json_t *wanted_config(const struct job *j, const json_t *now)
{
	static const char *const layers[] = {"stage", "env", "fixed"}; /* the last counts */
	json_t *out = json_object();
	const char *name;
	json_t *v;

	for (int i = 0; i < j->a.nenv; i++) {
		const struct appjson_env *e = &j->a.env[i];
		char secret[65];

		if (e->value && (e->value[0] || !e->generate)) {
			json_object_set_new(out, e->name, json_string(e->value));
		} else if (e->generate && !json_object_get(now, e->name)) {
			random_hex(secret, 64);
			json_object_set_new(out, e->name, json_string(secret));
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(layers); i++)
		json_object_foreach(json_object_get(j->overrides, layers[i]), name, v)
		{
			if (json_is_string(v))
				json_object_set(out, name, v);
		}
	return out;
}

/* --- manifest: all that is wrong, before anything is made of it --- */

static void wrong(struct job *j, const char *fmt, ...) PRINTF(2, 3);
static void wrong(struct job *j, const char *fmt, ...)
{
	AUTO(buf_clear) struct buf b = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	json_array_append_new(j->wrong, json_string(buf_str(&b)));
}

static void check_stack(struct job *j)
{
	const char *stack = j->row.stack ? j->row.stack : j->a.stack, *own = j->s->d.cfg->stack;

	if (!stack || strcmp(stack, own) == 0)
		return;
	/* The names of Heroku's own stacks stand for the one that there is. */
	if (strncmp(stack, "heroku-", 7) == 0 || strcmp(stack, "cedar-14") == 0)
		setup_sayf(j, " !     Stack %s is %s here\n", stack, own);
	else
		wrong(j, "stack: %s does not exist here; this platform has %s", stack, own);
}

static void check_env(struct job *j)
{
	for (int i = 0; i < j->a.nenv; i++) {
		const struct appjson_env *e = &j->a.env[i];
		bool has = (e->value && e->value[0]) || e->generate || override_of(j, e->name);

		if (e->required && !has)
			wrong(j, "env.%s: a value is required%s%s%s", e->name,
			      e->description ? " (" : "", e->description ? e->description : "",
			      e->description ? ")" : "");
	}
}

static void check_addons(struct job *j)
{
	const struct addon_service *service;
	const struct addon_plan *plan;

	for (int i = 0; i < j->a.naddons; i++) {
		struct err e = {0};

		if (!j->s->d.addons)
			wrong(j, "addons: this platform has none");
		else if (addon_plan_find(j->s->d.addons, j->a.addons[i].plan, &service, &plan, &e) <
			 0)
			wrong(j, "addons[%d]: %s", i, e.msg);
	}
}

int setup_step_manifest(struct job *j, struct err *err)
{
	AUTO(appjson_problems_clear) struct appjson_problems p = {0};
	const char *text = j->row.manifest && j->row.manifest[0] ? j->row.manifest : "{}";

	appjson_clear(&j->a);
	if (appjson_parse(text, strlen(text), j->row.environment, &j->a, &p, err) < 0 && !p.n)
		return -1;
	for (int i = 0; i < p.n; i++) {
		char line[512];

		appjson_problem_line(&p.v[i], "app.json", line);
		wrong(j, "%s", line);
	}
	if (!p.n) {
		check_stack(j);
		check_env(j);
		check_addons(j);
	}
	if (json_array_size(j->wrong))
		return err_set(err, ERR_INVALID_PARAMS, "app.json has errors");
	return 0;
}

/* --- config --- */

struct packs_tx {
	const char *app_id;
	const char *urls[LIM_BUILDPACKS + 1];
	int n;
};

static int write_packs(struct tx *tx, void *arg, struct err *err)
{
	struct packs_tx *t = arg;

	return store_buildpacks_replace(tx, t->app_id, t->urls, t->n, false, err);
}

/* The request's take the place of app.json's; none given: detected. */
static int set_buildpacks(struct job *j, struct err *err)
{
	const json_t *given = json_object_get(j->overrides, "buildpacks");
	struct packs_tx t = {.app_id = j->row.app_id};

	for (size_t i = 0; i < json_array_size(given) && t.n < LIM_BUILDPACKS; i++)
		t.urls[t.n++] = json_string_value(json_array_get(given, i));
	for (int i = 0; !given && j->a.buildpacks && j->a.buildpacks[i] && t.n < LIM_BUILDPACKS;
	     i++)
		t.urls[t.n++] = j->a.buildpacks[i];
	return t.n ? store_tx(j->s->d.store, write_packs, &t, err) : 0;
}

struct config_tx {
	const char *app_id;
	json_t *config;
};

static int read_config(struct tx *tx, void *arg, struct err *err)
{
	struct config_tx *t = arg;

	return store_app_config(tx, t->app_id, &t->config, err);
}

static int set_vars(struct job *j, const json_t *want, struct err *err)
{
	size_t n = json_object_size(want), i = 0;
	const char **names = xcalloc(n + 1, sizeof *names),
		   **values = xcalloc(n + 1, sizeof *values);
	struct release_new in = {.app_id = j->row.app_id,
				 .user_id = j->row.user_id,
				 .user_email = j->row.user_email,
				 .set_names = names,
				 .set_values = values,
				 .nset = (int)n};
	struct release_out out;
	const char *name;
	json_t *v;
	int rc = 0;

	json_object_foreach((json_t *)want, name, v)
	{
		names[i] = name;
		values[i++] = json_string_value(v);
		setup_sayf(j, "       %s\n", name);
	}
	if (n)
		rc = release_create(j->s->d.releases, &in, &out, err);
	free(names);
	free(values);
	return rc;
}

int setup_step_config(struct job *j, struct err *err)
{
	struct config_tx now = {.app_id = j->row.app_id};
	AUTO(json_decref) json_t *want = NULL;
	int rc;

	if (set_buildpacks(j, err) < 0 || store_read(j->s->d.store, read_config, &now, err) < 0)
		return -1;
	want = wanted_config(j, now.config);
	json_decref(now.config);
	if (json_object_size(want))
		setup_sayf(j, "-----> Setting config vars\n");
	rc = set_vars(j, want, err);
	return rc;
}

/* --- add-ons --- */

struct addons_tx {
	const char *app_id;
	struct store_addons list;
};

static int read_addons(struct tx *tx, void *arg, struct err *err)
{
	struct addons_tx *t = arg;

	return store_addons_list(tx, t->app_id, &t->list, err);
}

/* How many of the service come before the i-th of the manifest, itself not counted. */
static int before(const struct job *j, int i, const struct addon_service *service)
{
	const struct addon_service *other;
	const struct addon_plan *plan;
	int n = 0;

	for (int k = 0; k < i; k++)
		if (addon_plan_find(j->s->d.addons, j->a.addons[k].plan, &other, &plan, NULL) == 0)
			n += other == service;
	return n;
}

static int wait_addon(struct job *j, const char *id, struct err *err)
{
	mono_ms until = clock_mono_ms() + LIM_SETUP_ADDON_MS;
	int rc;

	do {
		*err = (struct err){0};
		rc = addon_wait(j->s->d.addons, id, 1000, err);
	} while (rc < 0 && err->code == ERR_TIMEOUT && clock_mono_ms() < until && !setup_gone(j));
	return rc;
}

/* The app is new, so what it has of a service is what an interrupted setup has made: the k-th is
 * the k-th of the manifest. */
static int one_addon(struct job *j, int i, struct err *err)
{
	const struct appjson_addon *want = &j->a.addons[i];
	const struct addon_new in = {.by = {j->row.user_id, j->row.user_email},
				     .app_id = j->row.app_id,
				     .plan = want->plan,
				     .attachment = want->as,
				     .options = want->options};
	AUTO(store_addon_clear) struct store_addon made = {0};
	struct addons_tx have = {.app_id = j->row.app_id};
	const struct addon_service *service;
	const struct addon_plan *plan;
	char id[37] = "";
	int skip;

	if (addon_plan_find(j->s->d.addons, want->plan, &service, &plan, err) < 0 ||
	    store_read(j->s->d.store, read_addons, &have, err) < 0)
		return -1;
	skip = before(j, i, service);
	for (int k = 0; k < have.list.n; k++)
		if (strcmp(have.list.v[k].service, service->name) == 0 && skip-- == 0)
			memcpy(id, have.list.v[k].id, sizeof id);
	store_addons_clear(&have.list);
	if (!id[0]) {
		setup_sayf(j, "       %s\n", want->plan);
		if (addon_create(j->s->d.addons, &in, &made, err) < 0)
			return err_wrap(err, "Add-on %.60s", want->plan);
		memcpy(id, made.id, sizeof id);
	}
	return wait_addon(j, id, err) < 0 ? err_wrap(err, "Add-on %.60s", want->plan) : 0;
}

int setup_step_addons(struct job *j, struct err *err)
{
	if (j->a.naddons)
		setup_sayf(j, "-----> Adding add-ons\n");
	for (int i = 0; i < j->a.naddons; i++) {
		if (setup_gone(j))
			return err_set(err, ERR_CANCELED, "Canceled");
		if (one_addon(j, i, err) < 0)
			return -1;
	}
	return 0;
}

/* --- scale --- */

int setup_step_scale(struct job *j, struct err *err)
{
	struct formation_change *c = xcalloc((size_t)j->a.nformation + 1, sizeof *c);
	int rc = 0;

	for (int i = 0; i < j->a.nformation; i++) {
		const struct appjson_formation *f = &j->a.formation[i];

		snprintf(c[i].type, sizeof c[i].type, "%s", f->type);
		c[i].quantity = f->quantity;
		if (f->size)
			snprintf(c[i].size, sizeof c[i].size, "%s", dyno_size_find(f->size)->name);
	}
	if (j->a.nformation) {
		setup_sayf(j, "-----> Scaling\n");
		rc = formation_update(j->s->d.releases, j->row.app_id, j->row.user_email, c,
				      j->a.nformation, err);
		if (rc < 0 && err->code == ERR_NOT_FOUND)
			err_wrap(err, "formation");
	}
	free(c);
	return rc;
}
