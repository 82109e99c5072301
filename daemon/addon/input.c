/* What a verb is told: JSON made of the row, its secrets, the settings, the process. */
#include "daemon/addon/addon_int.h"

struct secrets {
	const struct verb_in *v;
	json_t *config, *private, *shared; /* owned */
};

static int read_secrets(struct tx *tx, void *arg, struct err *err)
{
	struct secrets *s = arg;
	const struct verb_in *v = s->v;

	if (store_addon_shared_get(tx, v->e->m->s.name, &s->shared, err) < 0)
		return -1;
	return v->row ? store_addon_secrets(tx, v->row->id, &s->config, &s->private, err) : 0;
}

static const json_t *limits_of(const struct manifest *m, const char *plan)
{
	for (int i = 0; i < m->s.nplans; i++)
		if (strcmp(m->s.plans[i].name, plan) == 0)
			return m->s.plans[i].limits;
	return NULL;
}

static json_t *text_or_null(const char *s)
{
	return s ? json_string(s) : json_null();
}

static json_t *addon_json(const struct verb_in *v, struct secrets *s)
{
	const struct store_addon *row = v->row;
	const json_t *limits;
	json_t *app, *options;

	if (!row)
		return json_null();
	limits = limits_of(v->e->m, row->plan);
	app = row->app_id[0] ? json_pack("{s:s, s:s}", "id", row->app_id, "name", row->app_name)
			     : json_null();
	options = json_loads(row->options, 0, NULL);
	return json_pack("{s:s, s:s, s:s, s:O?, s:o, s:o?, s:o, s:O, s:O}", "uuid", row->id, "name",
			 row->name, "plan", row->plan, "limits", limits, "app", app, "options",
			 options, "provider_id", text_or_null(row->provider_id), "config",
			 s->config, "private", s->private);
}

static json_t *process_json(const struct verb_in *v, struct secrets *s)
{
	bool shared = v->e->m->process == ADDON_SHARED_PROCESS;
	struct svc_info i;
	struct err none = {0};
	char path[4096];

	if (v->e->m->process == ADDON_NO_PROCESS || (!shared && !v->row) ||
	    svc_find(v->a->d.svcs, shared ? NULL : v->row->id, shared ? v->e->m->s.name : NULL, &i,
		     &none) < 0)
		/* what bin/service keeps comes along although nothing runs: an outside server */
		return shared && json_object_size(s->shared)
			       ? json_pack("{s:O}", "private", s->shared)
			       : json_null();
	svc_data_dir(v->a->d.svcs, i.id, path);
	return json_pack("{s:s, s:s, s:i, s:s, s:O}", "id", i.id, "address", i.ip, "port", i.port,
			 "data", path, "private", s->shared);
}

static void secrets_clear(struct secrets *s)
{
	json_decref(s->config);
	json_decref(s->private);
	json_decref(s->shared);
}
#define secrets_clear_p secrets_clear

int verb_input(const struct verb_in *v, const char *verb, json_t **out, struct err *err)
{
	AUTO(secrets_clear) struct secrets s = {.v = v};
	AUTO(json_decref) json_t *settings = NULL;
	AUTO(json_decref) json_t *none = json_object();

	if (store_read(v->a->d.store, read_secrets, &s, err) < 0 ||
	    manifest_settings_load(v->e->m, v->a->d.cfg->addon_settings_dir, &settings, err) < 0)
		return -1;
	*out = json_pack("{s:s, s:o, s:o, s:O, s:O}", "verb", verb, "addon", addon_json(v, &s),
			 "service", process_json(v, &s), "settings", settings, "params",
			 v->params ? v->params : none);
	return *out ? 0 : err_set(err, ERR_INTERNAL, "the input of %s could not be written", verb);
}

enum outcome verb_call(const struct verb_in *v, const char *verb, int64_t ms, json_t **out,
		       struct err *err)
{
	AUTO(json_decref) json_t *in = NULL;

	if (verb_input(v, verb, &in, err) < 0) {
		*out = json_object();
		return OUT_FAULT;
	}
	return v->e->provider->call(v->a, v->e->m, verb, in, ms, out, err);
}
