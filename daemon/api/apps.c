/* Apps, collaborators, buildpack lists. */
#include "daemon/api/api_int.h"
#include "daemon/core/xlog.h"
#include "daemon/store/build.h"
#include "daemon/store/session.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <stdio.h>
#include <string.h>

struct apps_tx {
	struct api_req *q;
	struct store_apps list;
	struct store_app app;
	const char *name, *stack;
	int maintenance;
	struct store_ids slugs;
};

static int read_apps(struct tx *tx, void *arg, struct err *err)
{
	struct apps_tx *t = arg;

	return store_apps_visible(tx, t->q->user.id, &t->list, err);
}

int api_apps_list(struct api_req *q, struct err *err)
{
	struct apps_tx t = {.q = q};
	const char *who = q->params[0];
	json_t *list;

	if (who && strcmp(who, "~") != 0 && strcmp(who, q->user.id) != 0 &&
	    strcmp(who, q->user.email) != 0)
		return err_not_found(err, "user");
	if (store_read(q->d->store, read_apps, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.list.n; i++)
		json_array_append_new(list, json_app(q, &t.list.v[i]));
	store_apps_clear(&t.list);
	return api_list(q, list, "name", err);
}

/* --- create --- */

static const char *const adjectives[] = {
	"afternoon", "ancient", "arcane",     "blooming", "calm",     "cold",
	"damp",	     "dry",	"evening",    "fierce",	  "floating", "frozen",
	"gentle",    "glacial", "guarded",    "hidden",	  "immense",  "limitless",
	"mighty",    "morning", "mysterious", "peaceful", "quiet",    "salty",
	"secure",    "serene",	"sleepy",     "stormy",	  "tranquil", "vast"};
static const char *const nouns[] = {
	"atoll",    "badlands", "bastion", "bayou",  "beach",  "brook",	     "castle",
	"cliffs",   "coast",	"cove",	   "dawn",   "depths", "escarpment", "falls",
	"fjord",    "forest",	"garden",  "harbor", "island", "lake",	     "meadow",
	"mesa",	    "mountain", "oasis",   "plains", "reef",   "ridge",	     "river",
	"savannah", "shore",	"sierra",  "spire",  "tundra", "valley",     "waters"};

static void make_name(char out[32])
{
	do
		snprintf(out, 32, "%s-%s-%05u", adjectives[random_below(ARRAY_LEN(adjectives))],
			 nouns[random_below(ARRAY_LEN(nouns))], 10000 + random_below(90000));
	while (!name_is_app(out));
}

static int write_app(struct tx *tx, void *arg, struct err *err)
{
	struct apps_tx *t = arg;

	store_app_clear(&t->app);
	return store_app_create(tx, t->name, t->q->user.id, t->stack, &t->app, err);
}

static int check_stack(const struct api_req *q, const char *stack, struct err *err)
{
	if (strcmp(stack, q->d->cfg->stack) == 0)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS,
		       "Stack %.40s does not exist here; this platform has %s.", stack,
		       q->d->cfg->stack);
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

static int delete_app(struct tx *tx, void *arg, struct err *err)
{
	struct apps_tx *t = arg;

	return store_app_delete(tx, t->app.id, err);
}

static int create_parts(struct api_req *q, const struct store_app *a, struct err *err)
{
	if (git_repo_create(q->d->git, a->id, err) < 0)
		return -1;
	return first_releases(q, a, err);
}

int api_apps_create(struct api_req *q, struct err *err)
{
	static const char *const fields[] = {"name",	      "region", "stack",
					     "feature_flags", "kernel", NULL};
	struct apps_tx t = {.q = q};
	char generated[32];
	const char *region;
	int rc;

	if (api_known(q, fields, err) < 0 || api_str(q, "name", false, &t.name, err) < 0 ||
	    api_str(q, "stack", false, &t.stack, err) < 0 ||
	    api_str(q, "region", false, &region, err) < 0)
		return -1;
	if (region && strcmp(region, "us") != 0)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Region %.40s does not exist here; this platform has us.", region);
	if (!t.stack)
		t.stack = q->d->cfg->stack;
	if (check_stack(q, t.stack, err) < 0 || (t.name && name_check_app(t.name, err) < 0))
		return -1;
	if (t.name && strcmp(t.name, q->d->cfg->platform_host) == 0)
		return err_set(err, ERR_INVALID_PARAMS, "Name %s is reserved.", t.name);
	for (int tries = 0;; tries++) {
		bool own = t.name != NULL && t.name != generated;

		if (!own) {
			make_name(generated);
			t.name = generated;
		}
		rc = store_tx(q->d->store, write_app, &t, err);
		if (rc == 0 || own || tries == 10)
			break;
	}
	if (rc < 0)
		return -1;
	memcpy(q->app.id, t.app.id, sizeof q->app.id);
	memcpy(q->app.name, t.app.name, sizeof q->app.name);
	if (create_parts(q, &t.app, err) < 0) {
		store_tx(q->d->store, delete_app, &t, NULL);
		git_repo_delete(q->d->git, t.app.id, NULL);
		store_app_clear(&t.app);
		return -1;
	}
	api_audit(q, "app.create", "%s", t.app.name);
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
	return store_app_get(tx, id, &t->app, err);
}

int api_apps_update(struct api_req *q, struct err *err)
{
	static const char *const fields[] = {"name", "maintenance", "build_stack", NULL};
	struct apps_tx t = {.q = q};

	if (api_known(q, fields, err) < 0 || api_str(q, "name", false, &t.name, err) < 0 ||
	    api_bool(q, "maintenance", &t.maintenance, err) < 0 ||
	    api_str(q, "build_stack", false, &t.stack, err) < 0)
		return -1;
	if (t.name && name_check_app(t.name, err) < 0)
		return -1;
	if (t.stack && check_stack(q, t.stack, err) < 0)
		return -1;
	if (store_tx(q->d->store, write_update, &t, err) < 0)
		return -1;
	api_audit(q, "app.update", "%s%s%s", t.name ? "name " : "",
		  t.maintenance >= 0 ? "maintenance " : "", t.stack ? "build_stack" : "");
	if (release_app_changed(q->d->releases, q->app.id, err) < 0) {
		store_app_clear(&t.app);
		return -1;
	}
	api_ok(q, 200, json_app(q, &t.app));
	store_app_clear(&t.app);
	return 0;
}

/* --- destroy: marked first, so that a crash in between is finished at the next start --- */

static int mark_destroying(struct tx *tx, void *arg, struct err *err)
{
	struct apps_tx *t = arg;

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
	if (release_app_destroy(d->releases, app_id, err) == 0 &&
	    git_repo_delete(d->git, app_id, err) == 0 &&
	    build_forget_app(d->builds, app_id, err) == 0 &&
	    store_read(d->store, read_slugs, &t, err) == 0 &&
	    store_tx(d->store, delete_app, &t, err) == 0) {
		logd_forget(d->log, app_id);
		remove_slugs(d, &t.slugs);
		rc = 0;
	}
	store_ids_clear(&t.slugs);
	return rc;
}

int api_apps_destroy(struct api_req *q, struct err *err)
{
	struct apps_tx t = {.q = q};
	json_t *answer = json_app(q, &q->app);

	memcpy(t.app.id, q->app.id, sizeof t.app.id);
	if (store_tx(q->d->store, mark_destroying, &t, err) < 0 ||
	    finish_destroy(q->d, q->app.id, err) < 0) {
		json_decref(answer);
		return -1;
	}
	api_audit(q, "app.destroy", "%s", q->app.name);
	return api_ok(q, 200, answer);
}

static int read_every_app(struct tx *tx, void *arg, struct err *err)
{
	struct apps_tx *t = arg;

	return store_apps_all(tx, &t->list, err);
}

int api_finish_destroys(struct api *a, struct err *err)
{
	struct apps_tx t = {0};
	int rc = store_read(a->d.store, read_every_app, &t, err);

	for (int i = 0; i < t.list.n && rc == 0; i++)
		if (t.list.v[i].destroying)
			rc = finish_destroy(&a->d, t.list.v[i].id, err);
	store_apps_clear(&t.list);
	return rc;
}

/* --- collaborators --- */

static json_t *collab_json(struct api_req *q, const struct store_collaborator *c)
{
	static const struct {
		unsigned bit;
		const char *name, *text;
	} perms[] = {
		{STORE_VIEW, "view", "See the app, its config and its logs"},
		{STORE_DEPLOY, "deploy", "Push code, release, run one-off dynos"},
		{STORE_OPERATE, "operate", "Scale, restart, change config"},
		{STORE_MANAGE, "manage", "Manage collaborators"},
	};
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_LEN(perms); i++)
		if (c->perms & perms[i].bit)
			json_array_append_new(list, json_pack("{s:s, s:s}", "name", perms[i].name,
							      "description", perms[i].text));
	return json_pack("{s:o, s:o, s:s, s:o, s:s, s:o, s:{s:s, s:b, s:s}}", "app",
			 json_app_ref(&q->app), "created_at", json_time(c->created_ms), "id", c->id,
			 "permissions", list, "role", c->owner ? "owner" : "collaborator",
			 "updated_at", json_time(c->updated_ms), "user", "email", c->email,
			 "federated", 0, "id", c->user_id);
}

struct collab_tx {
	struct api_req *q;
	struct store_collaborators list;
	struct store_collaborator one;
	const char *who;
	unsigned perms;
};

static int read_collabs(struct tx *tx, void *arg, struct err *err)
{
	struct collab_tx *t = arg;

	return store_collaborators_list(tx, t->q->app.id, &t->list, err);
}

int api_collab_list(struct api_req *q, struct err *err)
{
	struct collab_tx t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_collabs, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.list.n; i++)
		json_array_append_new(list, collab_json(q, &t.list.v[i]));
	store_collaborators_clear(&t.list);
	return api_list(q, list, "id", err);
}

static int read_collab(struct tx *tx, void *arg, struct err *err)
{
	struct collab_tx *t = arg;

	return store_collaborator_find(tx, t->q->app.id, t->who, &t->one, err);
}

int api_collab_info(struct api_req *q, struct err *err)
{
	struct collab_tx t = {.q = q, .who = q->params[1]};

	if (store_read(q->d->store, read_collab, &t, err) < 0)
		return -1;
	api_ok(q, 200, collab_json(q, &t.one));
	store_collaborator_clear(&t.one);
	return 0;
}

static int write_collab(struct tx *tx, void *arg, struct err *err)
{
	struct collab_tx *t = arg;
	AUTO(store_user_clear) struct store_user u = {0};

	store_collaborator_clear(&t->one);
	if (store_user_find(tx, t->who, &u, err) < 0)
		return -1;
	return store_collaborator_add(tx, t->q->app.id, u.id, t->perms, &t->one, err);
}

static int read_perms(struct api_req *q, unsigned *out, struct err *err)
{
	json_t *list = json_object_get(q->body, "permissions"), *v;
	size_t i;

	*out = STORE_PERMS_COLLABORATOR;
	if (!list || json_is_null(list))
		return 0;
	*out = 0;
	json_array_foreach(list, i, v)
	{
		unsigned bit = json_is_string(v) ? store_perms_parse(json_string_value(v)) : 0;

		if (!bit)
			return err_set(
				err, ERR_INVALID_PARAMS,
				"Parameter permissions takes view, deploy, operate, manage.");
		*out |= bit;
	}
	return *out ? 0 : err_set(err, ERR_INVALID_PARAMS, "Parameter permissions must be a list.");
}

int api_collab_create(struct api_req *q, struct err *err)
{
	static const char *const fields[] = {"user", "silent", "permissions", NULL};
	struct collab_tx t = {.q = q};

	if (api_known(q, fields, err) < 0 || api_str(q, "user", true, &t.who, err) < 0 ||
	    read_perms(q, &t.perms, err) < 0 || store_tx(q->d->store, write_collab, &t, err) < 0)
		return -1;
	api_audit(q, "collaborator.add", "%s", t.one.email);
	api_ok(q, 201, collab_json(q, &t.one));
	store_collaborator_clear(&t.one);
	return 0;
}

static int delete_collab(struct tx *tx, void *arg, struct err *err)
{
	struct collab_tx *t = arg;

	store_collaborator_clear(&t->one);
	if (store_collaborator_find(tx, t->q->app.id, t->who, &t->one, err) < 0)
		return -1;
	if (strcmp(t->one.user_id, t->q->user.id) != 0 && !(t->q->perms & STORE_MANAGE))
		return err_set(err, ERR_FORBIDDEN, "You do not have the manage permission on %s.",
			       t->q->app.name);
	return store_collaborator_remove(tx, t->q->app.id, t->who, err);
}

int api_collab_delete(struct api_req *q, struct err *err)
{
	struct collab_tx t = {.q = q, .who = q->params[1]};
	int rc = store_tx(q->d->store, delete_collab, &t, err);

	if (rc == 0) {
		api_audit(q, "collaborator.remove", "%s", t.one.email);
		api_ok(q, 200, collab_json(q, &t.one));
	}
	store_collaborator_clear(&t.one);
	return rc;
}

/* --- buildpacks --- */

struct bp_tx {
	struct api_req *q;
	struct store_buildpacks list;
	const char *urls[LIM_BUILDPACKS];
	int n;
};

static json_t *buildpacks_json(const struct store_buildpacks *b)
{
	json_t *list = json_array();

	/* A detected one is not an installation: detection runs again at each build. */
	for (int i = 0; i < b->n && !b->detected; i++)
		json_array_append_new(list,
				      json_pack("{s:i, s:{s:s, s:s}}", "ordinal", i, "buildpack",
						"url", b->url[i], "name", b->url[i]));
	return list;
}

static int read_buildpacks(struct tx *tx, void *arg, struct err *err)
{
	struct bp_tx *t = arg;

	return store_buildpacks_get(tx, t->q->app.id, &t->list, err);
}

int api_buildpacks_list(struct api_req *q, struct err *err)
{
	struct bp_tx t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_buildpacks, &t, err) < 0)
		return -1;
	list = buildpacks_json(&t.list);
	store_buildpacks_clear(&t.list);
	return api_list(q, list, "ordinal", err);
}

static int write_buildpacks(struct tx *tx, void *arg, struct err *err)
{
	struct bp_tx *t = arg;

	store_buildpacks_clear(&t->list);
	if (store_buildpacks_replace(tx, t->q->app.id, t->urls, t->n, false, err) < 0)
		return -1;
	return store_buildpacks_get(tx, t->q->app.id, &t->list, err);
}

static int check_buildpack(const char *url, struct err *err)
{
	size_t n = strlen(url);

	if (n < 1 || n > 1000 || url[0] == '-')
		return err_set(err, ERR_INVALID_PARAMS,
			       "A buildpack is a name, a git URL or a URL of a .tgz, of at most "
			       "1000 characters.");
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)url[i] <= 0x20 || url[i] == 0x7f)
			return err_set(err, ERR_INVALID_PARAMS,
				       "A buildpack's URL has no blanks or control characters.");
	return 0;
}

int api_buildpacks_put(struct api_req *q, struct err *err)
{
	static const char *const fields[] = {"updates", NULL};
	struct bp_tx t = {.q = q};
	json_t *updates = json_object_get(q->body, "updates"), *u, *list;
	size_t i;

	if (api_known(q, fields, err) < 0)
		return -1;
	if (!json_is_array(updates) || json_array_size(updates) > LIM_BUILDPACKS)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Parameter updates must be a list of at most %d {buildpack}.",
			       LIM_BUILDPACKS);
	json_array_foreach(updates, i, u)
	{
		const char *url = json_string_value(json_object_get(u, "buildpack"));

		if (!url)
			return err_set(err, ERR_INVALID_PARAMS,
				       "Parameter updates[%zu].buildpack must be a string.", i);
		if (check_buildpack(url, err) < 0)
			return -1;
		t.urls[t.n++] = url;
	}
	if (store_tx(q->d->store, write_buildpacks, &t, err) < 0)
		return -1;
	api_audit(q, "buildpacks.set", "%d", t.n);
	list = buildpacks_json(&t.list);
	store_buildpacks_clear(&t.list);
	return api_ok(q, 200, list);
}

/* --- audit --- */

struct audit_q {
	struct api_req *q;
	struct store_audits list;
};

static int read_audit(struct tx *tx, void *arg, struct err *err)
{
	struct audit_q *t = arg;

	return store_audit_list(tx, t->q->app.id, 0, 1000, &t->list, err);
}

int api_audit_list(struct api_req *q, struct err *err)
{
	struct audit_q t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_audit, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.list.n; i++) {
		const struct store_audit *a = &t.list.v[i];

		json_array_append_new(
			list, json_pack("{s:I, s:o, s:o, s:s, s:s, s:o, s:o}", "id",
					(json_int_t)a->seq, "created_at", json_time(a->at_ms),
					"actor", json_str_or_null(a->actor), "action", a->action,
					"detail", a->detail ? a->detail : "", "request_id",
					json_str_or_null(a->request_id), "peer",
					json_str_or_null(a->peer)));
	}
	store_audits_clear(&t.list);
	return api_list(q, list, "id", err);
}
