/* What the release module reads and writes in the store. Inside transactions. */
#include "daemon/appjson/appjson.h"
#include "daemon/core/xlog.h"
#include "daemon/release/release_int.h"
#include "daemon/store/identity.h"
#include "daemon/store/addon.h"
#include "daemon/store/app.h"
#include "daemon/store/domain.h"
#include "daemon/store/dyno.h"
#include "daemon/store/release.h"
#include "daemon/store/service.h"
#include "daemon/store/volume.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

DEFINE_AUTO(json_t *, json_decref)

static void free_env(char **env)
{
	for (char **e = env; e && *e; e++) {
		explicit_bzero(*e, strlen(*e));
		free(*e);
	}
	free(env);
}

void plan_clear(struct plan *p)
{
	for (int i = 0; i < p->nwant; i++) {
		free((void *)p->want[i].type);
		free((void *)p->want[i].command);
		free((void *)p->want[i].size);
	}
	for (int i = 0; i < p->nbinds; i++) {
		free(p->binds[i].src);
		free(p->binds[i].dst);
	}
	free(p->want);
	free(p->binds);
	free(p->ways);
	free(p->command);
	free_env(p->env);
	free(p->check.path);
	free(p->check.host);
	*p = (struct plan){0};
}

struct dyno_release *plan_release(const struct slugs *sl, struct plan *p)
{
	struct dyno_release *r = xcalloc(1, sizeof *r);
	char path[PATH_MAX];

	slug_path(sl, p->slug_id, path);
	memcpy(r->app_id, p->app_id, sizeof r->app_id);
	memcpy(r->app_name, p->app_name, sizeof r->app_name);
	memcpy(r->release_id, p->release_id, sizeof r->release_id);
	memcpy(r->slug_id, p->slug_id, sizeof r->slug_id);
	r->version = p->version;
	r->app_uid = p->app_uid;
	r->log_metrics = p->log_metrics;
	r->slug_dir = xstrdup(path);
	r->env = STEAL(p->env);
	r->nbinds = p->nbinds;
	r->binds = STEAL(p->binds);
	r->nways = p->nways;
	r->ways = STEAL(p->ways);
	p->nbinds = p->nways = 0;
	r->check = p->check;
	p->check = (struct dyno_check){0};
	r->refs = 1;
	return r;
}

/* --- environment (platform documentation: Dyno Metadata) --- */

struct env {
	char **v;
	int n;
};

static void env_add(struct env *e, const char *name, const char *value)
{
	e->v = xrealloc(e->v, (size_t)(e->n + 2) * sizeof *e->v);
	e->v[e->n++] = xasprintf("%s=%s", name, value);
	e->v[e->n] = NULL;
}

/* Platform variables yield to config vars of the same name. */
static void env_default(struct env *e, const json_t *config, const char *name, const char *value)
{
	if (value && !json_object_get(config, name))
		env_add(e, name, value);
}

/* What an app is told of itself, unless it does not want to be. */
static void add_metadata(struct env *e, const struct plan *p, const struct store_release *rel,
			 const struct store_slug *slug, const json_t *config,
			 const struct config *cfg)
{
	AUTO(auto_str) char *version = xasprintf("v%d", p->version);
	AUTO(auto_str)
	char *deploy = slug->commit && slug->commit[0] ? xasprintf("Deploy %.8s", slug->commit)
						       : xstrdup("Deploy");
	AUTO(auto_str) char *domain = xasprintf("%s.%s", p->app_name, cfg->apps_domain);
	char created[CLOCK_ISO_LEN];

	clock_iso(rel->created_ms, created);
	env_default(e, config, "HEROKU_APP_ID", p->app_id);
	env_default(e, config, "HEROKU_APP_NAME", p->app_name);
	env_default(e, config, "HEROKU_APP_DEFAULT_DOMAIN_NAME", domain);
	env_default(e, config, "HEROKU_RELEASE_VERSION", version);
	env_default(e, config, "HEROKU_RELEASE_CREATED_AT", created);
	env_default(e, config, "HEROKU_SLUG_COMMIT", slug->commit);
	env_default(e, config, "HEROKU_BUILD_COMMIT", slug->commit);
	env_default(e, config, "SOURCE_VERSION", slug->commit);
	env_default(e, config, "HEROKU_SLUG_DESCRIPTION", deploy);
	env_default(e, config, "HEROKU_BUILD_DESCRIPTION", deploy);
}

static char **make_env(const struct plan *p, const struct store_release *rel,
		       const struct store_slug *slug, json_t *config, const struct config *cfg)
{
	struct env e = {0};
	const char *key;
	json_t *v;

	env_default(&e, config, "PATH", "/usr/local/bin:/usr/bin:/bin");
	env_default(&e, config, "LANG", "C.UTF-8");
	if (p->metadata)
		add_metadata(&e, p, rel, slug, config, cfg);
	json_object_foreach(config, key, v) env_add(&e, key, json_string_value(v));
	return e.v;
}

static void take_wants(struct plan *p, const struct store_formations *f)
{
	p->want = xcalloc((size_t)f->n, sizeof *p->want);
	for (int i = 0; i < f->n; i++) {
		if (strcmp(f->v[i].type, "release") == 0)
			continue;
		p->want[p->nwant++] =
			(struct dyno_want){xstrdup(f->v[i].type), xstrdup(f->v[i].command),
					   xstrdup(f->v[i].size), f->v[i].quantity};
	}
}

static int take_volumes(struct tx *tx, const struct config *cfg, struct plan *p, struct err *err)
{
	AUTO(store_mounts_clear) struct store_mounts m = {0};

	if (store_volume_mounts(tx, p->app_id, &m, err) < 0)
		return -1;
	p->binds = xcalloc((size_t)m.n, sizeof *p->binds);
	for (; p->nbinds < m.n; p->nbinds++) {
		const struct store_mount *v = &m.v[p->nbinds];

		p->binds[p->nbinds] = (struct dyno_bind){
			.src = xasprintf("%s/volumes/%s", cfg->state_dir, v->volume_id),
			.dst = xstrdup(v->path),
			.flags = BIND_VOLUME | (v->read_only ? BIND_RO : 0)};
	}
	return 0;
}

/* Dynos get the values that add-ons have now, as a rotated password is no good any more; which
 * config vars there are is as the release has it. */
static int refresh_values(struct tx *tx, const struct store_release *rel, json_t *config,
			  struct err *err)
{
	AUTO(store_addon_vars_clear) struct store_addon_vars now = {0};
	AUTO(json_decref) json_t *note = json_loads(rel->addons, 0, NULL);
	json_t *name, *value;
	size_t i;

	if (store_addon_vars(tx, rel->app_id, &now, err) < 0)
		return -1;
	json_array_foreach(json_object_get(note, "vars"), i, name)
	{
		value = json_object_get(now.values, json_string_value(name));
		if (value)
			json_object_set(config, json_string_value(name), value);
	}
	return 0;
}

/* Of app.json, as it is kept with the slug. */
static void take_check(struct plan *p, const struct store_slug *slug, const struct config *cfg)
{
	AUTO(appjson_clear) struct appjson a = {0};
	struct err err = {0};

	if (appjson_manifest_read(slug->manifest, &a, &err) < 0)
		xlog_err(XLOG_ERROR, "release", &err, "msg=\"no health check\" slug_id=%s",
			 slug->id);
	if (!a.nchecks)
		return;
	p->check = (struct dyno_check){.path = STEAL(a.checks[0].path),
				       .host = xasprintf("%s.%s", p->app_name, cfg->apps_domain),
				       .timeout_s = a.checks[0].timeout_s,
				       .attempts = a.checks[0].attempts,
				       .wait_s = a.checks[0].wait_s};
}

int rows_plan(struct tx *tx, const char *release_id, const struct config *cfg, struct plan *out,
	      struct err *err)
{
	AUTO(store_release_clear) struct store_release rel = {0};
	AUTO(store_app_clear) struct store_app app = {0};
	AUTO(store_slug_clear) struct store_slug slug = {0};
	AUTO(store_formations_clear) struct store_formations f = {0};
	AUTO(json_decref) json_t *config = NULL;
	AUTO(json_decref) json_t *types = NULL;

	if (store_release_get(tx, NULL, release_id, &rel, err) < 0 ||
	    store_app_get(tx, rel.app_id, &app, err) < 0 ||
	    store_release_config(tx, rel.id, &config, err) < 0 ||
	    refresh_values(tx, &rel, config, err) < 0)
		return -1;
	memcpy(out->app_id, app.id, sizeof out->app_id);
	snprintf(out->app_name, sizeof out->app_name, "%s", app.name);
	memcpy(out->release_id, rel.id, sizeof out->release_id);
	memcpy(out->slug_id, rel.slug_id, sizeof out->slug_id);
	memcpy(out->command_dyno, rel.command_dyno, sizeof out->command_dyno);
	snprintf(out->phase, sizeof out->phase, "%s", rel.phase);
	out->phase_ms = rel.updated_ms;
	out->version = rel.version;
	out->app_uid = app.uid;
	out->maintenance = app.maintenance;
	out->metadata = store_feature_on(tx, app.id, STORE_FEATURE_METADATA, true);
	out->log_metrics = store_feature_on(tx, app.id, STORE_FEATURE_METRICS, false);
	if (!rel.slug_id[0])
		return 0;
	if (store_slug_get(tx, NULL, rel.slug_id, &slug, err) < 0)
		return -1;
	types = json_loads(rel.process_types, 0, NULL);
	if (!types)
		return err_set(err, ERR_CORRUPT, "release %s has no process types", rel.id);
	if (store_formation_plan(tx, app.id, types, dyno_sizes[0].name, &f, err) < 0)
		return -1;
	take_wants(out, &f);
	if (rel.has_command)
		out->command = xstrdup(json_string_value(json_object_get(types, "release")));
	take_check(out, &slug, cfg);
	out->env = make_env(out, &rel, &slug, config, cfg);
	if (take_volumes(tx, cfg, out, err) < 0)
		return -1;
	return store_service_ways(tx, app.id, &out->ways, &out->nways, err);
}

void rows_hosts_free(char **hosts)
{
	for (char **h = hosts; h && *h; h++)
		free(*h);
	free(hosts);
}

int rows_hosts(struct tx *tx, const char *app_id, char ***out, struct err *err)
{
	AUTO(store_domains_clear) struct store_domains list = {0};

	if (store_domains_list(tx, app_id, &list, err) < 0)
		return -1;
	rows_hosts_free(*out);
	*out = xcalloc((size_t)list.n + 1, sizeof **out);
	for (int i = 0; i < list.n; i++)
		(*out)[i] = STEAL(list.v[i].hostname);
	return 0;
}

int rows_formation(struct tx *tx, const char *release_id, struct err *err)
{
	AUTO(store_release_clear) struct store_release rel = {0};
	AUTO(json_decref) json_t *types = NULL;

	if (store_release_get(tx, NULL, release_id, &rel, err) < 0)
		return -1;
	types = json_loads(rel.process_types, 0, NULL);
	return store_formation_apply(tx, rel.app_id, types, dyno_sizes[0].name, NULL, err);
}

/* --- create --- */

static void note_change(struct rows_new *n, const char *name)
{
	size_t len = strlen(n->changed);

	if (len < sizeof n->changed - 140)
		snprintf(n->changed + len, sizeof n->changed - len, "%s%s", len ? ", " : "", name);
}

/* Whether the change is to be passed over: defaults of a buildpack yield to add-ons; people are
 * told. */
static int check_owner(const struct rows_new *n, const struct store_addon_vars *addons,
		       const char *name, bool *skip, struct err *err)
{
	const char *owner = json_string_value(json_object_get(addons->owners, name));

	*skip = owner && n->in->build_id;
	if (!owner || *skip)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS,
		       "Cannot overwrite attachment values %s: it belongs to the add-on %s. Detach "
		       "that first.",
		       name, owner);
}

static int change_config(struct rows_new *n, const struct store_addon_vars *addons, json_t *config,
			 struct err *err)
{
	const struct release_new *in = n->in;
	const char *key;
	json_t *v;
	size_t total = 0;
	bool skip;

	for (int i = 0; i < in->nset; i++) {
		const char *name = in->set_names[i], *value = in->set_values[i];
		const char *old = json_string_value(json_object_get(config, name));

		if (name_check_config(name, value, value ? strlen(value) : 0, err) < 0)
			return -1;
		if (value ? old && strcmp(old, value) == 0 : !old)
			continue;
		if (check_owner(n, addons, name, &skip, err) < 0)
			return -1;
		if (skip)
			continue;
		if (value) {
			n->set_any = true;
			if (json_object_set_new(config, name, json_string(value)) < 0)
				return err_set(err, ERR_INVALID_PARAMS,
					       "Config var %s is not valid UTF-8.", name);
		} else {
			n->unset_any = true;
			json_object_del(config, name);
		}
		note_change(n, name);
	}
	if (json_object_size(config) > LIM_CONFIG_VARS)
		return err_set(err, ERR_INVALID_PARAMS,
			       "These would be %zu config vars; the limit is %d.",
			       json_object_size(config), LIM_CONFIG_VARS);
	json_object_foreach(config, key, v) total += strlen(key) + json_string_length(v);
	if (total > LIM_CONFIG_BYTES)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Config vars are %zu bytes in all; the limit is %lld.", total,
			       (long long)LIM_CONFIG_BYTES);
	return 0;
}

static void describe(struct rows_new *n, const struct store_slug *slug)
{
	const struct release_new *in = n->in;

	if (in->description)
		snprintf(n->description, sizeof n->description, "%s", in->description);
	else if (in->rollback_to)
		snprintf(n->description, sizeof n->description, "Rollback to v%d", in->rollback_to);
	else if (in->nset)
		snprintf(n->description, sizeof n->description, "%s %.240s config vars",
			 n->set_any ? "Set" : "Remove", n->changed);
	else if (slug->commit)
		snprintf(n->description, sizeof n->description, "Deploy %.8s", slug->commit);
	else
		snprintf(n->description, sizeof n->description, "Deploy");
}

/* Slug, config and process types that the new release starts from. */
struct base {
	struct store_release rel;
	struct store_slug slug;
	json_t *config; /* owned */
	struct store_addon_vars addons;
	char slug_id[37];
	const char *types; /* borrowed of rel or slug */
};

static void base_clear(struct base *b)
{
	store_release_clear(&b->rel);
	store_slug_clear(&b->slug);
	store_addon_vars_clear(&b->addons);
	json_decref(b->config);
}
#define base_clear_p base_clear

static int read_base(struct tx *tx, const struct release_new *in, struct base *b, struct err *err)
{
	struct err none = {0};

	if (store_addon_vars(tx, in->app_id, &b->addons, err) < 0)
		return -1;
	if (in->rollback_to) {
		if (store_release_by_version(tx, in->app_id, in->rollback_to, &b->rel, err) < 0)
			return -1;
		if (!b->rel.eligible_for_rollback || b->rel.status != STORE_SUCCEEDED)
			return err_set(err, ERR_NO_SLUG, "Cannot roll back to v%d: %s.",
				       in->rollback_to,
				       !b->rel.slug_id[0] ? "its slug is not kept any more"
				       : b->rel.status == STORE_PENDING
					       ? "that release is still being made"
					       : "that release failed");
		if (store_release_config(tx, b->rel.id, &b->config, err) < 0)
			return -1;
		/* Add-ons are not rolled back: neither their passwords nor which there are. */
		store_addon_vars_apply(&b->addons, b->rel.addons, b->config);
	} else {
		store_release_base(tx, in->app_id, &b->rel, &none);
		if (store_app_config(tx, in->app_id, &b->config, err) < 0)
			return -1;
	}
	snprintf(b->slug_id, sizeof b->slug_id, "%s", in->slug_id ? in->slug_id : b->rel.slug_id);
	b->types = b->rel.process_types ? b->rel.process_types : "{}";
	if (b->slug_id[0]) {
		if (store_slug_get(tx, in->promoted ? NULL : in->app_id, b->slug_id, &b->slug,
				   err) < 0)
			return -1;
		if (b->slug.waiting)
			return err_set(err, ERR_NO_SLUG,
				       "Slug %s has no content yet: upload it to its blob's URL "
				       "first.",
				       b->slug_id);
		b->types = b->slug.process_types;
	}
	return 0;
}

int rows_create(struct tx *tx, void *arg, struct err *err)
{
	struct rows_new *n = arg;
	const struct release_new *in = n->in;
	AUTO(base_clear) struct base b = {0};
	AUTO(store_app_clear) struct store_app app = {0};
	AUTO(store_release_clear) struct store_release made = {0};
	AUTO(json_decref) json_t *types = NULL;
	AUTO(auto_str) char *note = NULL;
	struct store_release_new row = {
		.app_id = in->app_id, .user_id = in->user_id, .build_id = in->build_id};

	/* The writer may run this again when a commit of several fails: start afresh. */
	plan_clear(&n->plan);
	*n = (struct rows_new){.in = in, .cfg = n->cfg, .out = n->out};
	if (store_app_get(tx, in->app_id, &app, err) < 0)
		return -1;
	if (app.destroying)
		return err_not_found(err, "app");
	if (in->first && in->first(tx, in->first_arg, err) < 0)
		return -1;
	if (read_base(tx, in, &b, err) < 0 || change_config(n, &b.addons, b.config, err) < 0)
		return -1;
	n->out->unchanged = in->nset > 0 && !n->changed[0] && !in->slug_id && !in->rollback_to;
	if (n->out->unchanged)
		return 0;
	describe(n, &b.slug);
	types = json_loads(b.types, 0, NULL);
	row.slug_id = b.slug_id[0] ? b.slug_id : NULL;
	row.config = b.config;
	row.process_types = b.types;
	row.description = n->description;
	row.addons = note = store_addon_vars_note(&b.addons);
	row.has_command = row.slug_id && !in->values_only && json_object_get(types, "release");
	if (store_release_insert(tx, &row, &made, err) < 0)
		return -1;
	memcpy(n->out->id, made.id, sizeof n->out->id);
	n->out->version = made.version;
	n->out->has_command = row.has_command;
	if (!row.slug_id && store_release_make_current(tx, made.id, err) < 0)
		return -1;
	if (hook_event(tx, in->app_id, "api:release", HOOK_CREATE, NULL, made.id, err) < 0 ||
	    (in->also && in->also(tx, made.id, in->also_arg, err) < 0))
		return -1;
	return rows_plan(tx, made.id, n->cfg, &n->plan, err);
}
