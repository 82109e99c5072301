/* Config vars. Values never reach a log, an audit row or an error. */
#include "daemon/api/api_int.h"
#include "daemon/store/release.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <string.h>

struct config_tx {
	struct api_req *q;
	json_t *config; /* owned */
};

static int read_config(struct tx *tx, void *arg, struct err *err)
{
	struct config_tx *t = arg;

	return store_app_config(tx, t->q->app.id, &t->config, err);
}

int api_config_get(struct api_req *q, struct err *err)
{
	struct config_tx t = {.q = q};

	if (store_read(q->d->store, read_config, &t, err) < 0)
		return -1;
	return api_ok(q, 200, t.config);
}

static int read_release_config(struct tx *tx, void *arg, struct err *err)
{
	struct config_tx *t = arg;
	AUTO(store_release_clear) struct store_release r = {0};

	if (store_release_find(tx, t->q->app.id, t->q->params[1], &r, err) < 0)
		return -1;
	return store_release_config(tx, r.id, &t->config, err);
}

int api_release_config(struct api_req *q, struct err *err)
{
	struct config_tx t = {.q = q};

	if (store_read(q->d->store, read_release_config, &t, err) < 0)
		return -1;
	return api_ok(q, 200, t.config);
}

const struct api_field api_fields_config[] = {
	{"*", F_STRING, F_NULL, .max = LIM_CONFIG_VALUE, .text = "null unsets"},
	{0},
};

struct changes {
	const char **names, **values;
	int n;
};

static int read_changes(struct api_req *q, struct changes *c, struct err *err)
{
	const char *key;
	json_t *v;

	json_object_foreach(q->body, key, v)
	{
		if (name_check_config(key, json_string_value(v), json_string_length(v), err) < 0)
			return -1;
		c->names[c->n] = key;
		c->values[c->n++] = json_string_value(v);
	}
	return 0;
}

/* What dynos get from the platform whatever the config vars say. */
static void warn_of_platform_names(struct api_req *q, const struct changes *c)
{
	static const char *const names[] = {
		"DYNO", "HEROKU_DYNO_ID", "HOME", "MEMORY_AVAILABLE", "PORT", "PWD"};
	AUTO(buf_clear) struct buf b = {0};

	for (int i = 0; i < c->n; i++)
		for (size_t k = 0; k < ARRAY_LEN(names) && c->values[i]; k++)
			if (strcmp(c->names[i], names[k]) == 0)
				buf_addf(&b, "%s%s", b.len ? ", " : "", names[k]);
	if (b.len)
		http_setf(q->x, "X-Heroku-Warning",
			  "The platform sets %s when a dyno starts, whatever the config vars say.",
			  buf_str(&b));
}

int api_config_patch(struct api_req *q, struct err *err)
{
	size_t size = json_object_size(q->body) + 1;
	struct changes c = {http_alloc(q->x, size * sizeof *c.names),
			    http_alloc(q->x, size * sizeof *c.values), 0};
	struct release_new in = {
		.app_id = q->app.id, .user_id = q->user.id, .user_email = q->user.email};
	AUTO(buf_clear) struct buf names = {0};
	struct release_out out;

	if (read_changes(q, &c, err) < 0)
		return -1;
	in.set_names = c.names;
	in.set_values = c.values;
	in.nset = c.n;
	if (c.n && release_create(q->d->releases, &in, &out, err) < 0)
		return -1;
	for (int i = 0; i < c.n; i++)
		buf_addf(&names, "%s%s%s", i ? " " : "", c.values[i] ? "" : "-", c.names[i]);
	if (c.n && !out.unchanged)
		api_audit(q, "config.update", "%s", buf_str(&names));
	warn_of_platform_names(q, &c);
	return api_config_get(q, err);
}
