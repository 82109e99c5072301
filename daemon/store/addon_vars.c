/* Credentials of add-ons, and the config vars that attachments give their apps. */
#include "daemon/store/addon_int.h"
#include "daemon/store/row_int.h"

DEFINE_AUTO(json_t *, json_decref)

/* --- credentials --- */

void store_credential_clear(struct store_credential *c)
{
	free(c->name);
	*c = (struct store_credential){0};
}
ROW_DEFINE_LIST(store_credential, store_credentials)

static void fill_credential(struct stmt *s, void *out)
{
	struct store_credential *c = out;

	ROW_COPY(s, 0, c->id);
	ROW_COPY(s, 1, c->addon_id);
	c->name = stmt_col_dup(s, 2);
	ROW_COPY(s, 3, c->state);
	c->created_ms = stmt_col_int(s, 4);
	c->updated_ms = stmt_col_int(s, 5);
}

int store_credentials_list(struct tx *tx, const char *addon_id, struct store_credentials *out,
			   struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_CREDENTIAL_LIST);

	stmt_text(s, 1, addon_id);
	return store_credential_all(s, fill_credential, out, err);
}

int store_credential_find(struct tx *tx, const char *addon_id, const char *name,
			  struct store_credential *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_CREDENTIAL_FIND);

	stmt_text(s, 1, addon_id);
	stmt_text(s, 2, name);
	return row_one(s, fill_credential, out, sizeof *out, "credential", err);
}

int store_credential_secrets(struct tx *tx, const char *addon_id, const char *name, json_t **config,
			     json_t **private, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_CREDENTIAL_SECRETS);

	stmt_text(s, 1, addon_id);
	stmt_text(s, 2, name);
	return addon_open_both(tx, s, config, private, "credential", err);
}

int store_credential_put(struct tx *tx, const char *addon_id, const char *name,
			 const json_t *config, const json_t *private, const char *state,
			 struct err *err)
{
	AUTO(json_decref) json_t *c = NULL;
	AUTO(json_decref) json_t *p = NULL;
	struct err e = {0};
	char id[37];

	if (store_credential_secrets(tx, addon_id, name, &c, &p, &e) < 0 &&
	    e.code != ERR_NOT_FOUND) {
		*err = e;
		return -1;
	}
	uuid_new(id);
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_CREDENTIAL_PUT);
	stmt_text(s, 1, id);
	stmt_text(s, 2, addon_id);
	stmt_text(s, 3, name);
	row_seal_json(tx, s, 4, config ? config : c);
	row_seal_json(tx, s, 5, private ? private : p);
	stmt_text(s, 6, state);
	stmt_int(s, 7, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_credential_delete(struct tx *tx, const char *addon_id, const char *name, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_CREDENTIAL_DELETE);

	stmt_text(s, 1, addon_id);
	stmt_text(s, 2, name);
	return row_change(tx, s, "credential", err);
}

/* --- config vars --- */

void store_addon_vars_clear(struct store_addon_vars *v)
{
	json_decref(v->values);
	json_decref(v->owners);
	json_decref(v->plans);
	*v = (struct store_addon_vars){0};
}

char *store_addon_var(const char *name, const char *suffix)
{
	return *suffix ? xasprintf("%s_%s", name, suffix) : xstrdup(name);
}

static void add_plan(json_t *plans, const char *service, const char *plan)
{
	AUTO(auto_str) char *full = xasprintf("%s:%s", service, plan);
	json_t *v;
	size_t i;

	json_array_foreach(plans, i, v) if (strcmp(json_string_value(v), full) == 0) return;
	json_array_append_new(plans, json_string(full));
}

/* One attachment: the row that s stands on. */
static int add_attachment(struct tx *tx, struct stmt *s, struct store_addon_vars *out,
			  struct err *err)
{
	AUTO(json_decref) json_t *config = NULL;
	const char *name = stmt_col_text(s, 0), *suffix;
	json_t *v;

	add_plan(out->plans, stmt_col_text(s, 2), stmt_col_text(s, 3));
	if (stmt_col_null(s, 4)) /* a credential that is not there any more */
		return 0;
	if (row_open_json(tx, s, 4, &config, err) < 0)
		return -1;
	json_object_foreach(config, suffix, v)
	{
		AUTO(auto_str) char *var = store_addon_var(name, suffix);

		json_object_set_new(out->owners, var, json_string(stmt_col_text(s, 1)));
		/* one that is being made may have some values, not all */
		if (json_is_string(v) && !stmt_col_int(s, 5))
			json_object_set(out->values, var, v);
	}
	return 0;
}

int store_addon_vars(struct tx *tx, const char *app_id, struct store_addon_vars *out,
		     struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ATTACHMENT_VALUES);
	enum stmt_result r;

	store_addon_vars_clear(out);
	*out = (struct store_addon_vars){json_object(), json_object(), json_array()};
	stmt_text(s, 1, app_id);
	while ((r = stmt_step(s, err)) == STMT_ROW)
		if (add_attachment(tx, s, out, err) < 0)
			return -1;
	return r == STMT_DONE ? 0 : -1;
}

void store_addon_vars_apply(const struct store_addon_vars *now, const char *was, json_t *config)
{
	AUTO(json_decref) json_t *note = was ? json_loads(was, 0, NULL) : NULL;
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(note, "vars"), i, v)
		json_object_del(config, json_string_value(v));
	json_object_update(config, now->values);
}

char *store_addon_vars_note(const struct store_addon_vars *now)
{
	AUTO(json_decref) json_t *vars = json_array();
	AUTO(json_decref) json_t *note = NULL;
	const char *name;
	json_t *v;

	json_object_foreach(now->values, name, v) json_array_append_new(vars, json_string(name));
	note = json_pack("{s:O, s:O}", "plans", now->plans, "vars", vars);
	return json_dumps(note, JSON_COMPACT);
}
