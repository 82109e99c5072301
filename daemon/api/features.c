/* Switches of accounts and apps: those that have an effect here, and those that clients ask for. */
#include "daemon/api/identity.h"
#include "daemon/store/identity.h"

#include <string.h>

struct feature {
	const char *name, *display, *state, *text;
	bool on;	   /* without being asked */
	const char *fixed; /* why it cannot be switched; NULL: it can */
};

static const struct feature of_apps[] = {
	{"preboot", "Preboot", "general",
	 "New dynos answer before old ones are stopped, at every deploy", true,
	 "Deploys always cut over without downtime here: preboot cannot be switched off."},
	{STORE_FEATURE_METADATA, "Dyno Metadata", "beta",
	 "HEROKU_APP_NAME, HEROKU_RELEASE_VERSION, HEROKU_SLUG_COMMIT and the like in the "
	 "environment of dynos; from the next release on",
	 true, NULL},
	{STORE_FEATURE_METRICS, "Log Runtime Metrics", "beta",
	 "Memory of each dyno as log lines, every 20 seconds; from the next release on", false,
	 NULL},
	{"runtime-heroku-exec", "Exec", "general",
	 "Commands inside running dynos, by run:inside and ps:exec", true,
	 "Commands inside dynos are part of the platform: this cannot be switched off."},
	{0},
};

static const struct feature of_accounts[] = {
	{"dashboard-repositories-api", "Repositories API", "general",
	 "Repositories of pipelines are asked of this API", true,
	 "There is no other way here: this cannot be switched off."},
	{0},
};

struct feature_tx {
	struct api_req *q;
	const char *owner_id;
	const struct feature *f;
	bool on;
	struct store_features set;
};

static void feature_tx_clear(struct feature_tx *t)
{
	store_features_clear(&t->set);
}
#define feature_tx_clear_p feature_tx_clear

static json_t *feature_json(const struct feature_tx *t, const struct feature *f)
{
	AUTO(json_decref) json_t *ref = json_named_ref("feature", f->name);
	const struct api_req *q = t->q;
	wall_ms made = q->app.id[0] ? q->app.created_ms : q->user.created_ms, changed = made;
	bool on = f->on;

	for (int i = 0; i < t->set.n && !f->fixed; i++)
		if (strcmp(t->set.v[i].name, f->name) == 0) {
			on = t->set.v[i].enabled;
			changed = t->set.v[i].updated_ms;
		}
	return json_pack("{s:o, s:s, s:s, s:s, s:b, s:s, s:O, s:s, s:s, s:o}", "created_at",
			 json_time(made), "description", f->text, "display_name", f->display,
			 "doc_url", "docs/features.md", "enabled", on, "feedback_email",
			 q->d->cfg->admin_email, "id", json_object_get(ref, "id"), "name", f->name,
			 "state", f->state, "updated_at", json_time(changed));
}

static int read_features(struct tx *tx, void *arg, struct err *err)
{
	struct feature_tx *t = arg;

	store_features_clear(&t->set);
	return store_features_list(tx, t->owner_id, &t->set, err);
}

static int list(struct api_req *q, const char *owner_id, const struct feature *table,
		struct err *err)
{
	AUTO(feature_tx_clear) struct feature_tx t = {.q = q, .owner_id = owner_id};
	json_t *out;

	if (store_read(q->d->store, read_features, &t, err) < 0)
		return -1;
	out = json_array();
	for (const struct feature *f = table; f->name; f++)
		json_array_append_new(out, feature_json(&t, f));
	return api_list(q, out, "id name", err);
}

/* By name or id. */
static const struct feature *find(const struct feature *table, const char *which, struct err *err)
{
	for (const struct feature *f = table; f->name; f++) {
		AUTO(json_decref) json_t *ref = json_named_ref("feature", f->name);

		if (strcmp(f->name, which) == 0 ||
		    strcmp(json_string_value(json_object_get(ref, "id")), which) == 0)
			return f;
	}
	err_not_found(err, "feature");
	return NULL;
}

static int info(struct api_req *q, const char *owner_id, const struct feature *table,
		const char *which, struct err *err)
{
	AUTO(feature_tx_clear) struct feature_tx t = {.q = q, .owner_id = owner_id};

	t.f = find(table, which, err);
	if (!t.f || store_read(q->d->store, read_features, &t, err) < 0)
		return -1;
	return api_ok(q, 200, feature_json(&t, t.f));
}

const struct api_field api_fields_feature[] = {
	{"enabled", F_BOOL, .flags = F_REQUIRED},
	{0},
};

static int write_feature(struct tx *tx, void *arg, struct err *err)
{
	struct feature_tx *t = arg;

	if (!t->f->fixed && store_feature_set(tx, t->owner_id, t->f->name, t->on, err) < 0)
		return -1;
	return read_features(tx, t, err);
}

static int set(struct api_req *q, const char *owner_id, const struct feature *table,
	       const char *which, struct err *err)
{
	AUTO(feature_tx_clear)
	struct feature_tx t = {
		.q = q, .owner_id = owner_id, .on = api_get_bool(q->body, "enabled", 0) == 1};

	t.f = find(table, which, err);
	if (!t.f)
		return -1;
	if (t.f->fixed && t.on != t.f->on)
		return err_set(err, ERR_INVALID_PARAMS, "%s", t.f->fixed);
	if (store_tx(q->d->store, write_feature, &t, err) < 0)
		return -1;
	api_audit(q, "feature.set", "%s=%s", t.f->name, t.on ? "on" : "off");
	return api_ok(q, 200, feature_json(&t, t.f));
}

int api_account_features(struct api_req *q, struct err *err)
{
	return list(q, q->user.id, of_accounts, err);
}

int api_account_feature(struct api_req *q, struct err *err)
{
	return info(q, q->user.id, of_accounts, q->params[0], err);
}

int api_account_feature_set(struct api_req *q, struct err *err)
{
	return set(q, q->user.id, of_accounts, q->params[0], err);
}

int api_app_features(struct api_req *q, struct err *err)
{
	return list(q, q->app.id, of_apps, err);
}

int api_app_feature(struct api_req *q, struct err *err)
{
	return info(q, q->app.id, of_apps, q->params[1], err);
}

int api_app_feature_set(struct api_req *q, struct err *err)
{
	return set(q, q->app.id, of_apps, q->params[1], err);
}
