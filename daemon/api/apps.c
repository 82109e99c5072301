/* Apps: made, renamed, destroyed. */
#include "daemon/api/api_int.h"
#include "daemon/api/range.h"
#include "daemon/core/xlog.h"
#include "daemon/store/build.h"
#include "daemon/store/service.h"
#include "proto/names.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

struct apps_tx {
	struct api_req *q;
	struct store_apps list;
	struct store_app app;
	const char *name, *stack;
	int maintenance;
	struct store_ids slugs;
	api_app_also *also; /* part of the transaction that makes the row; or NULL */
	void *also_arg;
};

static int read_apps(struct tx *tx, void *arg, struct err *err)
{
	struct apps_tx *t = arg;

	return store_apps_visible(tx, t->q->user.id, &t->list, err);
}

static void app_key(struct api_req *q, const void *item, const char *field, struct api_row *row)
{
	const struct store_app *a = item;
	char *text;

	row->id = a->id;
	row->key = strcmp(field, "name") == 0 ? a->name : a->id;
	if (strcmp(field, "created_at") != 0 && strcmp(field, "updated_at") != 0)
		return;
	text = http_alloc(q->x, CLOCK_ISO_LEN);
	clock_iso(*field == 'c' ? a->created_ms : a->updated_ms, text);
	row->key = text;
}

static json_t *app_item(struct api_req *q, const void *item)
{
	return json_app(q, item);
}

int api_apps_list(struct api_req *q, struct err *err)
{
	struct apps_tx t = {.q = q};
	int rc;

	if (api_own_account(q, err) < 0 || store_read(q->d->store, read_apps, &t, err) < 0)
		return -1;
	rc = api_list_rows(q, t.list.v, sizeof *t.list.v, (size_t)t.list.n,
			   "name id created_at updated_at", app_key, app_item, err);
	store_apps_clear(&t.list);
	return rc;
}

/* --- first releases --- */

static int write_app(struct tx *tx, void *arg, struct err *err)
{
	struct apps_tx *t = arg;

	store_app_clear(&t->app);
	if (store_app_create(tx, t->name, t->q->user.id, t->stack, &t->app, err) < 0)
		return -1;
	return t->also ? t->also(tx, &t->app, t->also_arg, err) : 0;
}

static int check_stack(const struct api_req *q, const char *stack, struct err *err)
{
	if (api_is_stack(q, stack))
		return 0;
	return err_set(err, ERR_INVALID_PARAMS,
		       "Stack %.40s does not exist here; this platform has %s.", stack,
		       q->d->cfg->stack);
}

/* An app must not get the platform's own host. */
static int check_name(const struct api_req *q, const char *name, struct err *err)
{
	AUTO(auto_str) char *host = xasprintf("%s.%s", name, q->d->cfg->apps_domain);

	if (name_check_app(name, err) < 0)
		return -1;
	if (strcmp(name, q->d->cfg->platform_host) != 0 &&
	    strcmp(host, q->d->cfg->platform_host) != 0)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS, "Name %s is reserved.", name);
}

static int first_releases(struct api_req *q, const struct store_app *a, struct err *err)
{
	static const char *const texts[] = {"Initial release", "Enable Logplex"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct release_new in = {.app_id = a->id,
					 .user_id = q->user.id,
					 .user_email = q->user.email,
					 .description = texts[i]};
		struct release_out out;

		if (release_create(q->d->releases, &in, &out, err) < 0)
			return -1;
	}
	return release_app_changed(q->d->releases, a->id, err);
}

/* --- destroy: marked first, so that a crash in between is finished at the next start --- */

static int delete_app(struct tx *tx, void *arg, struct err *err)
{
	struct apps_tx *t = arg;

	return store_app_delete(tx, t->app.id, err);
}

static int mark_destroying(struct tx *tx, void *arg, struct err *err)
{
	struct apps_tx *t = arg;

	if (t->q && api_hook(t->q, tx, "api:app", HOOK_DESTROY, t->app.id, err) < 0)
		return -1;
	return store_app_set_destroying(tx, t->app.id, err);
}

static int read_slugs(struct tx *tx, void *arg, struct err *err)
{
	struct apps_tx *t = arg;

	store_ids_clear(&t->slugs);
	return store_slugs_all(tx, &t->slugs, err);
}

/* Folders of slugs whose rows went with the app. */
static void remove_slugs(const struct api_deps *d, const struct store_ids *before)
{
	struct apps_tx now = {0};

	if (store_read(d->store, read_slugs, &now, NULL) == 0)
		for (int i = 0; i < before->n; i++)
			if (!store_ids_has(&now.slugs, before->v[i]))
				slug_remove(d->slugs, before->v[i], NULL);
	store_ids_clear(&now.slugs);
}

static int finish_destroy(const struct api_deps *d, const char *app_id, struct err *err)
{
	struct apps_tx t = {0};
	int rc = -1;

	snprintf(t.app.id, sizeof t.app.id, "%s", app_id);
	/* Before the app's row, so that the add-ons know whose they were. */
	if (release_app_destroy(d->releases, app_id, err) == 0 &&
	    addons_forget_app(d->addons, app_id, err) == 0 &&
	    git_repo_delete(d->git, app_id, err) == 0 &&
	    build_forget_app(d->builds, app_id, err) == 0 &&
	    store_read(d->store, read_slugs, &t, err) == 0 &&
	    store_tx(d->store, delete_app, &t, err) == 0) {
		drains_remove_app(d->drains, app_id);
		logd_forget(d->log, app_id);
		remove_slugs(d, &t.slugs);
		rc = 0;
	}
	store_ids_clear(&t.slugs);
	return rc;
}

/* --- create --- */

static int create_parts(struct api_req *q, const struct store_app *a, struct err *err)
{
	if (git_repo_create(q->d->git, a->id, err) < 0)
		return -1;
	return first_releases(q, a, err);
}

/* A creation that failed half-way goes as a destroyed app does, now or at the next start. */
static void undo_create(struct api_req *q, const char *app_id)
{
	struct apps_tx t = {.q = q};
	struct err err = {0};

	memcpy(t.app.id, app_id, sizeof t.app.id);
	if (store_tx(q->d->store, mark_destroying, &t, &err) < 0 ||
	    finish_destroy(q->d, app_id, &err) < 0)
		xlog_err(XLOG_ERROR, "api", &err, "msg=\"half an app is left\" app_id=%s", app_id);
}

/* The row of the app under the name asked for, or one made up. */
static int create_row(struct api_req *q, struct apps_tx *t, struct err *err)
{
	bool own = t->name != NULL;
	char generated[32];
	int rc = -1;

	for (int tries = 0; tries < 10 && rc < 0; tries++) {
		if (!own) {
			api_words_app(generated);
			t->name = generated;
		}
		rc = store_tx(q->d->store, write_app, t, err);
		if (own || (rc < 0 && err->code != ERR_INVALID_PARAMS))
			break;
	}
	if (rc < 0)
		store_app_clear(&t->app);
	t->name = NULL;
	return rc;
}

/* feature_flags, kernel: clients send them; there is nothing for them to choose */
const struct api_field api_fields_app_create[] = {
	{"name", F_LINE, .min = 1, .text = "made up when absent"},
	{"region", F_REF},
	{"stack", F_REF},
	{"feature_flags", F_ANY},
	{"kernel", F_ANY},
	{0},
};
const struct api_field api_fields_app_update[] = {
	{"name", F_LINE, .min = 1},
	{"maintenance", F_BOOL},
	{"build_stack", F_REF},
	{0},
};

static int read_create(struct api_req *q, struct apps_tx *t, struct err *err)
{
	const char *region = api_get_ref(q->body, "region");

	t->name = api_get_str(q->body, "name");
	t->stack = api_get_ref(q->body, "stack");
	if (region && !api_is_region(region))
		return err_set(err, ERR_INVALID_PARAMS,
			       "Region %.40s does not exist here; this platform has us.", region);
	if (t->stack && check_stack(q, t->stack, err) < 0)
		return -1;
	t->stack = q->d->cfg->stack;
	return t->name ? check_name(q, t->name, err) : 0;
}

static int create(struct api_req *q, struct apps_tx *t, struct err *err)
{
	if (create_row(q, t, err) < 0)
		return -1;
	memcpy(q->app.id, t->app.id, sizeof q->app.id);
	memcpy(q->app.name, t->app.name, sizeof q->app.name);
	if (create_parts(q, &t->app, err) < 0) {
		undo_create(q, t->app.id);
		store_app_clear(&t->app);
		return -1;
	}
	api_audit(q, "app.create", "%s", t->app.name);
	return 0;
}

int api_apps_create(struct api_req *q, struct err *err)
{
	struct apps_tx t = {.q = q};

	if (read_create(q, &t, err) < 0 || create(q, &t, err) < 0)
		return -1;
	api_ok(q, 201, json_app(q, &t.app));
	store_app_clear(&t.app);
	return 0;
}

int api_apps_info(struct api_req *q, struct err *err)
{
	uint64_t bytes;

	if (git_repo_size(q->d->git, q->app.id, &bytes, NULL) == 0)
		q->app.repo_size = (int64_t)bytes;
	return api_ok(q, 200, json_app(q, &q->app));
}

static int write_update(struct tx *tx, void *arg, struct err *err)
{
	struct apps_tx *t = arg;
	const char *id = t->q->app.id;

	store_app_clear(&t->app);
	if (t->name && store_app_rename(tx, id, t->name, err) < 0)
		return -1;
	if (t->maintenance >= 0 && store_app_set_maintenance(tx, id, t->maintenance, err) < 0)
		return -1;
	if (t->stack && store_app_set_build_stack(tx, id, t->stack, err) < 0)
		return -1;
	if (api_hook(t->q, tx, "api:app", HOOK_UPDATE, id, err) < 0)
		return -1;
	return store_app_get(tx, id, &t->app, err);
}

int api_apps_update(struct api_req *q, struct err *err)
{
	static const char *const modes[] = {"maintenance=off ", "maintenance=on "};
	struct apps_tx t = {.q = q,
			    .name = api_get_str(q->body, "name"),
			    .maintenance = api_get_bool(q->body, "maintenance", -1),
			    .stack = api_get_ref(q->body, "build_stack")};
	int rc;

	if ((t.name && check_name(q, t.name, err) < 0) ||
	    (t.stack && check_stack(q, t.stack, err) < 0))
		return -1;
	if (t.stack)
		t.stack = q->d->cfg->stack; /* it may have been the id */
	rc = store_tx(q->d->store, write_update, &t, err);
	if (rc == 0) {
		api_audit(q, "app.update", "%s%s%s%s%s", t.name ? "name=" : "",
			  t.name ? t.name : "", t.name ? " " : "",
			  t.maintenance >= 0 ? modes[t.maintenance] : "",
			  t.stack ? "build_stack" : "");
		rc = release_app_changed(q->d->releases, q->app.id, err);
	}
	if (rc == 0)
		api_ok(q, 200, json_app(q, &t.app));
	store_app_clear(&t.app);
	return rc;
}

int api_apps_destroy(struct api_req *q, struct err *err)
{
	struct apps_tx t = {.q = q};
	json_t *answer;

	memcpy(t.app.id, q->app.id, sizeof t.app.id);
	if (store_tx(q->d->store, mark_destroying, &t, err) < 0)
		return -1;
	/* From here on it is gone for everybody; what fails is done again at the next start. */
	api_audit(q, "app.destroy", "%s", q->app.name);
	if (finish_destroy(q->d, q->app.id, err) < 0)
		return -1;
	answer = json_app(q, &q->app);
	return api_ok(q, 200, answer);
}

/* --- for parts of the platform that make and remove apps by themselves --- */

static int read_user(struct tx *tx, void *arg, struct err *err)
{
	struct api_req *q = arg;
	char id[37];

	memcpy(id, q->user.id, sizeof id);
	return store_user_get(tx, id, &q->user, err);
}

static int as_user(struct api *a, const char *user_id, struct api_req *q, struct err *err)
{
	*q = (struct api_req){.api = a, .d = &a->d};
	snprintf(q->user.id, sizeof q->user.id, "%s", user_id);
	return store_read(a->d.store, read_user, q, err);
}

int api_app_create(struct api *a, const char *user_id, const char *name, api_app_also *also,
		   void *also_arg, struct err *err)
{
	struct api_req q;
	struct apps_tx t = {.q = &q,
			    .name = name,
			    .stack = a->d.cfg->stack,
			    .also = also,
			    .also_arg = also_arg};
	int rc = as_user(a, user_id, &q, err);

	if (rc == 0 && name)
		rc = check_name(&q, name, err);
	if (rc == 0)
		rc = create(&q, &t, err);
	store_app_clear(&t.app);
	store_user_clear(&q.user);
	return rc;
}

/* Marks it unless it is marked already; an app that is gone is fine. */
static int mark_once(struct tx *tx, void *arg, struct err *err)
{
	struct apps_tx *t = arg;
	AUTO(store_app_clear) struct store_app app = {0};
	struct err none = {0};

	t->list.n = 0;
	if (store_app_get(tx, t->app.id, &app, &none) < 0)
		return none.code == ERR_NOT_FOUND ? 0 : (*err = none, -1);
	t->list.n = 1; /* it is there */
	snprintf(t->q->app.name, sizeof t->q->app.name, "%s", app.name);
	return app.destroying ? 0 : mark_destroying(tx, t, err);
}

int api_app_destroy(struct api *a, const char *user_id, const char *app_id, struct err *err)
{
	struct api_req q;
	struct apps_tx t = {.q = &q};
	int rc = as_user(a, user_id, &q, err);

	snprintf(t.app.id, sizeof t.app.id, "%s", app_id);
	memcpy(q.app.id, t.app.id, sizeof q.app.id);
	if (rc == 0)
		rc = store_tx(a->d.store, mark_once, &t, err);
	if (rc == 0 && t.list.n) {
		api_audit(&q, "app.destroy", "%s", q.app.name);
		rc = finish_destroy(&a->d, app_id, err);
	}
	store_user_clear(&q.user);
	return rc;
}

static int read_every_app(struct tx *tx, void *arg, struct err *err)
{
	struct apps_tx *t = arg;

	return store_apps_all(tx, &t->list, err);
}

struct with_logs {
	struct store_apps apps;
	struct store_services services;
};

static int read_with_logs(struct tx *tx, void *arg, struct err *err)
{
	struct with_logs *w = arg;

	return store_apps_all(tx, &w->apps, err) < 0 ? -1
						     : store_services_list(tx, &w->services, err);
}

static bool has_logs(const struct with_logs *w, const char *id)
{
	for (int i = 0; i < w->apps.n; i++)
		if (strcmp(w->apps.v[i].id, id) == 0)
			return true;
	for (int i = 0; i < w->services.n; i++)
		if (strcmp(w->services.v[i].id, id) == 0)
			return true;
	return false;
}

/* Of those whose row had gone when paasd ended, and their logs had not. */
static void forget_logs(struct api *a)
{
	AUTO(auto_str) char *path = xasprintf("%s/logs", a->d.cfg->state_dir);
	AUTO(buf_clear) struct buf ids = {0};
	struct with_logs w = {0};
	DIR *dir = opendir(path);

	/* folders first, rows then: a row is there before its folder */
	for (const struct dirent *e; dir && (e = readdir(dir));)
		if (name_is_uuid(e->d_name))
			buf_add(&ids, e->d_name, 37);
	if (dir)
		closedir(dir);
	if (ids.len && store_read(a->d.store, read_with_logs, &w, NULL) == 0)
		for (size_t at = 0; at < ids.len; at += 37)
			if (!has_logs(&w, ids.data + at))
				logd_forget(a->d.log, ids.data + at);
	store_apps_clear(&w.apps);
	store_services_clear(&w.services);
}

int api_finish_destroys(struct api *a, struct err *err)
{
	struct apps_tx t = {0};
	int rc = store_read(a->d.store, read_every_app, &t, err);

	for (int i = 0; i < t.list.n && rc == 0; i++)
		if (t.list.v[i].destroying)
			rc = finish_destroy(&a->d, t.list.v[i].id, err);
	store_apps_clear(&t.list);
	forget_logs(a);
	return rc;
}
