#include "daemon/store/addon_int.h"
#include "daemon/store/row_int.h"

DEFINE_AUTO(json_t *, json_decref)

static const char *const states[] = {
	[ADDON_PROVISIONING] = "provisioning",
	[ADDON_PROVISIONED] = "provisioned",
	[ADDON_DEPROVISIONING] = "deprovisioning",
	[ADDON_FAILED] = "failed",
};

void store_addon_clear(struct store_addon *a)
{
	free(a->name);
	free(a->app_name);
	free(a->service);
	free(a->plan);
	free(a->target_plan);
	free(a->args);
	free(a->options);
	free(a->provider_id);
	free(a->message);
	free(a->failure);
	free(a->web_url);
	*a = (struct store_addon){0};
}
ROW_DEFINE_LIST(store_addon, store_addons)

void store_attachment_clear(struct store_attachment *a)
{
	free(a->name);
	free(a->namespace);
	free(a->addon_name);
	free(a->app_name);
	free(a->service);
	free(a->addon_app_name);
	*a = (struct store_attachment){0};
}
ROW_DEFINE_LIST(store_attachment, store_attachments)

static enum store_addon_state state_parse(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		if (strcmp(states[i], name) == 0)
			return (enum store_addon_state)i;
	return ADDON_FAILED;
}

static void fill_addon(struct stmt *s, void *out)
{
	struct store_addon *a = out;

	ROW_COPY(s, 0, a->id);
	ROW_COPY(s, 1, a->app_id);
	a->name = stmt_col_dup(s, 2);
	a->app_name = stmt_col_dup(s, 3);
	a->service = stmt_col_dup(s, 4);
	a->plan = stmt_col_dup(s, 5);
	a->state = state_parse(stmt_col_text(s, 6));
	ROW_COPY(s, 7, a->task);
	a->target_plan = stmt_col_dup(s, 8);
	a->options = stmt_col_dup(s, 9);
	a->provider_id = stmt_col_dup(s, 10);
	a->message = stmt_col_dup(s, 11);
	a->failure = stmt_col_dup(s, 12);
	a->web_url = stmt_col_dup(s, 13);
	a->tries = (int)stmt_col_int(s, 14);
	a->next_ms = row_int_or(s, 15, 0);
	a->created_ms = stmt_col_int(s, 16);
	a->updated_ms = stmt_col_int(s, 17);
	a->args = stmt_col_dup(s, 18);
	a->task_ms = stmt_col_int(s, 19);
	ROW_COPY(s, 20, a->user_id);
}

static void fill_attachment(struct stmt *s, void *out)
{
	struct store_attachment *a = out;

	ROW_COPY(s, 0, a->id);
	ROW_COPY(s, 1, a->addon_id);
	ROW_COPY(s, 2, a->app_id);
	a->name = stmt_col_dup(s, 3);
	a->namespace = stmt_col_dup(s, 4);
	a->addon_name = stmt_col_dup(s, 5);
	a->app_name = stmt_col_dup(s, 6);
	a->service = stmt_col_dup(s, 7);
	ROW_COPY(s, 8, a->addon_app_id);
	a->addon_app_name = stmt_col_dup(s, 9);
	a->created_ms = stmt_col_int(s, 10);
	a->updated_ms = stmt_col_int(s, 11);
}

int addon_open_both(struct tx *tx, struct stmt *s, json_t **config, json_t **private,
		    const char *resource, struct err *err)
{
	AUTO(json_decref) json_t *c = NULL;

	switch (stmt_step(s, err)) {
	case STMT_ROW:
		if (row_open_json(tx, s, 0, &c, err) < 0 ||
		    row_open_json(tx, s, 1, private, err) < 0)
			return -1;
		*config = STEAL(c);
		return 0;
	case STMT_DONE:
		return err_not_found(err, resource);
	default:
		return -1;
	}
}

/* --- add-ons --- */

int store_addon_find(struct tx *tx, const char *ref, struct store_addon *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_FIND);

	stmt_text(s, 1, ref);
	return row_one(s, fill_addon, out, sizeof *out, "add_on", err);
}

int store_addons_list(struct tx *tx, const char *app_id, struct store_addons *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_LIST);

	stmt_text(s, 1, app_id);
	return store_addon_all(s, fill_addon, out, err);
}

int store_addons_due(struct tx *tx, wall_ms now, struct store_addons *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_DUE);

	stmt_int(s, 1, now);
	return store_addon_all(s, fill_addon, out, err);
}

int store_addons_next(struct tx *tx, wall_ms after, wall_ms *next_ms, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_NEXT);

	stmt_int(s, 1, after);
	if (stmt_step(s, err) != STMT_ROW)
		return -1;
	*next_ms = row_int_or(s, 0, 0);
	return 0;
}

int store_addons_take_up(struct tx *tx, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_TAKE_UP);

	stmt_int(s, 1, clock_wall_ms());
	return stmt_exec(s, err);
}

static int check_name_free(struct tx *tx, const char *name, const char *but_id, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon other = {0};
	struct err e = {0};

	if (store_addon_find(tx, name, &other, &e) < 0) {
		if (e.code == ERR_NOT_FOUND)
			return 0;
		*err = e;
		return -1;
	}
	if (but_id && strcmp(other.id, but_id) == 0)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS, "Name %.60s is already taken.", name);
}

static int drop_failed(struct tx *tx, const char *name, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_DROP_FAILED);

	stmt_text(s, 1, name);
	return stmt_exec(s, err);
}

static int insert_row(struct tx *tx, const struct store_addon_new *in, const char *id,
		      struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_INSERT);

	stmt_text(s, 1, id);
	stmt_text(s, 2, in->name);
	stmt_text(s, 3, in->app_id);
	stmt_text(s, 4, in->service);
	stmt_text(s, 5, in->plan);
	stmt_text(s, 6, in->options ? in->options : "{}");
	row_seal_json(tx, s, 7, in->config);
	row_seal_json(tx, s, 8, NULL);
	bind_id(s, 9, in->user_id);
	stmt_text(s, 10, in->args ? in->args : "{}");
	stmt_int(s, 11, clock_wall_ms());
	return row_change(tx, s, "app", err);
}

int store_addon_insert(struct tx *tx, const struct store_addon_new *in, struct store_addon *out,
		       struct err *err)
{
	char id[37];

	uuid_new(id);
	if (drop_failed(tx, in->name, err) < 0 || check_name_free(tx, in->name, NULL, err) < 0 ||
	    insert_row(tx, in, id, err) < 0)
		return -1;
	return store_addon_find(tx, id, out, err);
}

int store_addon_save(struct tx *tx, const struct store_addon *a, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_SAVE);

	stmt_text(s, 1, a->id);
	stmt_text(s, 2, a->plan);
	stmt_text(s, 3, states[a->state]);
	stmt_text(s, 4, a->task);
	stmt_text(s, 5, a->target_plan);
	stmt_text(s, 6, a->args ? a->args : "{}");
	stmt_int(s, 7, a->task_ms);
	stmt_text(s, 8, a->provider_id);
	stmt_text(s, 9, a->message);
	stmt_text(s, 10, a->failure);
	stmt_text(s, 11, a->web_url);
	stmt_int(s, 12, a->tries);
	bind_int_or_null(s, 13, a->next_ms, 0);
	stmt_int(s, 14, clock_wall_ms());
	return row_change(tx, s, "add_on", err);
}

int store_addon_rename(struct tx *tx, const char *id, const char *name, struct err *err)
{
	if (drop_failed(tx, name, err) < 0 || check_name_free(tx, name, id, err) < 0)
		return -1;
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_RENAME);
	stmt_text(s, 1, id);
	stmt_text(s, 2, name);
	stmt_int(s, 3, clock_wall_ms());
	return row_change(tx, s, "add_on", err);
}

static int run_one(struct tx *tx, enum sql_id sql, const char *id, const char *resource,
		   struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, sql);

	stmt_text(s, 1, id);
	return resource ? row_change(tx, s, resource, err) : stmt_exec(s, err);
}

int store_addon_delete(struct tx *tx, const char *id, struct err *err)
{
	return run_one(tx, SQL_ADDON_DELETE, id, "add_on", err);
}

int store_addons_forget_app(struct tx *tx, const char *app_id, struct err *err)
{
	if (run_one(tx, SQL_ATTACHMENT_FORGET_APP, app_id, NULL, err) < 0)
		return -1;
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_FORGET_APP);
	stmt_text(s, 1, app_id);
	stmt_int(s, 2, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_addon_secrets(struct tx *tx, const char *id, json_t **config, json_t **private,
			struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_SECRETS);

	stmt_text(s, 1, id);
	return addon_open_both(tx, s, config, private, "add_on", err);
}

int store_addon_set_secrets(struct tx *tx, const char *id, const json_t *config,
			    const json_t *private, struct err *err)
{
	AUTO(json_decref) json_t *c = NULL;
	AUTO(json_decref) json_t *p = NULL;

	if (store_addon_secrets(tx, id, &c, &p, err) < 0)
		return -1;
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_SET_SECRETS);
	stmt_text(s, 1, id);
	row_seal_json(tx, s, 2, config ? config : c);
	row_seal_json(tx, s, 3, private ? private : p);
	stmt_int(s, 4, clock_wall_ms());
	return row_change(tx, s, "add_on", err);
}

int store_addon_shared_get(struct tx *tx, const char *service, json_t **private, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_SHARED_GET);

	stmt_text(s, 1, service);
	switch (stmt_step(s, err)) {
	case STMT_ROW:
		return row_open_json(tx, s, 0, private, err);
	case STMT_DONE:
		*private = json_object();
		return 0;
	default:
		return -1;
	}
}

int store_addon_shared_put(struct tx *tx, const char *service, const json_t *private,
			   struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ADDON_SHARED_PUT);

	stmt_text(s, 1, service);
	row_seal_json(tx, s, 2, private);
	return stmt_exec(s, err);
}

/* --- attachments --- */

int store_attachments_list(struct tx *tx, const char *app_id, const char *addon_id,
			   struct store_attachments *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ATTACHMENT_LIST);

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, addon_id);
	return store_attachment_all(s, fill_attachment, out, err);
}

static int attachment_get(struct tx *tx, const char *id, struct store_attachment *out,
			  struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ATTACHMENT_GET);

	stmt_text(s, 1, id);
	return row_one(s, fill_attachment, out, sizeof *out, "add_on attachment", err);
}

/* Whether var is a config var of the attachment. Takes its add-on's config out of the store, as
 * which suffixes there are is written nowhere else. */
static bool has_var(struct tx *tx, const struct store_attachment *a, const char *var)
{
	AUTO(json_decref) json_t *config = NULL;
	AUTO(json_decref) json_t *private = NULL;
	size_t n = strlen(a->name);
	const char *suffix;

	if (strncmp(var, a->name, n) != 0 || (var[n] && var[n] != '_'))
		return false;
	suffix = var[n] ? var + n + 1 : "";
	return store_addon_secrets(tx, a->addon_id, &config, &private, NULL) == 0 &&
	       json_object_get(config, suffix);
}

static int attachment_of_app(struct tx *tx, const char *app_id, const char *ref,
			     struct store_attachment *out, struct err *err)
{
	AUTO(store_attachments_clear) struct store_attachments l = {0};

	if (store_attachments_list(tx, app_id, NULL, &l, err) < 0)
		return -1;
	for (int by_var = 0; by_var < 2; by_var++)
		for (int i = 0; i < l.n; i++)
			if (by_var ? has_var(tx, &l.v[i], ref)
				   : strcasecmp(l.v[i].name, ref) == 0 ||
					     strcmp(l.v[i].id, ref) == 0)
				return attachment_get(tx, l.v[i].id, out, err);
	return err_not_found(err, "add_on attachment");
}

int store_attachment_find(struct tx *tx, const char *app_id, const char *ref,
			  struct store_attachment *out, struct err *err)
{
	return app_id ? attachment_of_app(tx, app_id, ref, out, err)
		      : attachment_get(tx, ref, out, err);
}

int store_attachment_insert(struct tx *tx, const char *addon_id, const char *app_id,
			    const char *name, const char *namespace, struct store_attachment *out,
			    struct err *err)
{
	char id[37];

	uuid_new(id);
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_ATTACHMENT_INSERT);
	stmt_text(s, 1, id);
	stmt_text(s, 2, addon_id);
	stmt_text(s, 3, app_id);
	stmt_text(s, 4, name);
	stmt_text(s, 5, namespace);
	stmt_int(s, 6, clock_wall_ms());
	if (stmt_exec(s, err) < 0)
		return -1;
	return attachment_get(tx, id, out, err);
}

int store_attachment_delete(struct tx *tx, const char *id, struct err *err)
{
	return run_one(tx, SQL_ATTACHMENT_DELETE, id, "add_on attachment", err);
}
