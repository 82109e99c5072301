#include "daemon/store/release.h"
#include "daemon/store/addon.h"
#include "daemon/store/row_int.h"
#include "daemon/store/status_int.h"

#include <limits.h>

void store_release_clear(struct store_release *r)
{
	free(r->process_types);
	free(r->addons);
	free(r->description);
	free(r->user_email);
	free(r->failure);
	*r = (struct store_release){0};
}
ROW_DEFINE_LIST(store_release, store_releases)

static void fill_release(struct stmt *s, void *out)
{
	struct store_release *r = out;

	ROW_COPY(s, 0, r->id);
	ROW_COPY(s, 1, r->app_id);
	r->version = (int)stmt_col_int(s, 2);
	ROW_COPY(s, 3, r->slug_id);
	r->process_types = stmt_col_dup(s, 4);
	r->description = stmt_col_dup(s, 5);
	ROW_COPY(s, 6, r->user_id);
	r->user_email = stmt_col_dup(s, 7);
	ROW_COPY(s, 8, r->build_id);
	r->status = store_status_parse(stmt_col_text(s, 9));
	ROW_COPY(s, 10, r->phase);
	r->current = stmt_col_int(s, 11) != 0;
	r->has_command = stmt_col_int(s, 12) != 0;
	ROW_COPY(s, 13, r->command_dyno);
	r->failure = stmt_col_dup(s, 14);
	ROW_COPY(s, 15, r->output_secret);
	r->created_ms = stmt_col_int(s, 16);
	r->updated_ms = stmt_col_int(s, 17);
	r->addons = stmt_col_dup(s, 18);
	r->eligible_for_rollback =
		(r->status == STORE_SUCCEEDED || r->status == STORE_PENDING) && r->slug_id[0];
}

static int next_version(struct tx *tx, const char *app_id, int *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_APP_NEXT_VERSION);

	stmt_text(s, 1, app_id);
	if (row_need(s, "app", err) < 0)
		return -1;
	*out = (int)stmt_col_int(s, 0);
	return 0;
}

static int release_insert(struct tx *tx, const char *id, int version,
			  const struct store_release_new *in, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_RELEASE_INSERT);
	char secret[49];

	random_hex(secret, 48);
	stmt_text(s, 1, id);
	stmt_text(s, 2, in->app_id);
	stmt_int(s, 3, version);
	bind_id(s, 4, in->slug_id);
	row_seal_json(tx, s, 5, in->config);
	stmt_text(s, 6, in->process_types ? in->process_types : "{}");
	stmt_text(s, 7, in->description);
	stmt_text(s, 8, in->user_id);
	bind_id(s, 9, in->build_id);
	stmt_int(s, 10, in->has_command);
	stmt_text(s, 11, secret);
	stmt_int(s, 12, clock_wall_ms());
	stmt_text(s, 13, in->addons ? in->addons : "{}");
	return stmt_exec(s, err);
}

int store_release_insert(struct tx *tx, const struct store_release_new *in,
			 struct store_release *out, struct err *err)
{
	int version = 0;
	char id[37];

	uuid_new(id);
	if (next_version(tx, in->app_id, &version, err) < 0 ||
	    release_insert(tx, id, version, in, err) < 0)
		return -1;
	if (in->build_id && in->build_id[0] &&
	    store_build_set_release(tx, in->build_id, id, err) < 0)
		return -1;
	return store_release_get(tx, in->app_id, id, out, err);
}

int store_release_get(struct tx *tx, const char *app_id, const char *id, struct store_release *out,
		      struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_RELEASE_GET);

	stmt_text(s, 1, id);
	stmt_text(s, 2, app_id);
	return row_one(s, fill_release, out, sizeof *out, "release", err);
}

int store_release_by_version(struct tx *tx, const char *app_id, int version,
			     struct store_release *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_RELEASE_BY_VERSION);

	stmt_text(s, 1, app_id);
	stmt_int(s, 2, version);
	return row_one(s, fill_release, out, sizeof *out, "release", err);
}

int store_release_find(struct tx *tx, const char *app_id, const char *ref,
		       struct store_release *out, struct err *err)
{
	const char *digits = ref + (*ref == 'v');
	size_t n = strlen(digits);

	if (n > 0 && n <= 9 && strspn(digits, "0123456789") == n)
		return store_release_by_version(tx, app_id, atoi(digits), out, err);
	return store_release_get(tx, app_id, ref, out, err);
}

static int release_of_app(struct tx *tx, enum sql_id sql, const char *app_id,
			  struct store_release *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, sql);

	stmt_text(s, 1, app_id);
	return row_one(s, fill_release, out, sizeof *out, "release", err);
}

int store_release_current(struct tx *tx, const char *app_id, struct store_release *out,
			  struct err *err)
{
	return release_of_app(tx, SQL_RELEASE_CURRENT, app_id, out, err);
}

int store_release_newest(struct tx *tx, const char *app_id, struct store_release *out,
			 struct err *err)
{
	return release_of_app(tx, SQL_RELEASE_NEWEST, app_id, out, err);
}

int store_release_base(struct tx *tx, const char *app_id, struct store_release *out,
		       struct err *err)
{
	return release_of_app(tx, SQL_RELEASE_BASE, app_id, out, err);
}

int store_releases_list(struct tx *tx, const char *app_id, int from, int to, bool desc, int limit,
			struct store_releases *out, struct err *err)
{
	AUTO(stmt_done)
	struct stmt *s = stmt_use(tx, desc ? SQL_RELEASE_LIST_DESC : SQL_RELEASE_LIST_ASC);

	stmt_text(s, 1, app_id);
	stmt_int(s, 2, from);
	stmt_int(s, 3, to > 0 ? to : INT_MAX);
	stmt_int(s, 4, limit > 0 ? limit : -1);
	return store_release_all(s, fill_release, out, err);
}

int store_releases_pending(struct tx *tx, struct store_releases *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_RELEASE_PENDING);

	return store_release_all(s, fill_release, out, err);
}

/* --- config --- */

int store_release_config(struct tx *tx, const char *id, json_t **out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_RELEASE_CONFIG);

	stmt_text(s, 1, id);
	if (row_need(s, "release", err) < 0)
		return -1;
	return row_open_json(tx, s, 0, out, err);
}

static int base_config(struct tx *tx, const char *app_id, json_t **out, char **addons,
		       struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_RELEASE_BASE_CONFIG);

	stmt_text(s, 1, app_id);
	switch (stmt_step(s, err)) {
	case STMT_ROW:
		*addons = stmt_col_dup(s, 1);
		return row_open_json(tx, s, 0, out, err);
	case STMT_DONE:
		*out = json_object();
		return 0;
	default:
		return -1;
	}
}

int store_app_config(struct tx *tx, const char *app_id, json_t **out, struct err *err)
{
	AUTO(auto_str) char *addons = NULL;
	AUTO(store_addon_vars_clear) struct store_addon_vars now = {0};

	if (base_config(tx, app_id, out, &addons, err) < 0)
		return -1;
	if (store_addon_vars(tx, app_id, &now, err) == 0) {
		store_addon_vars_apply(&now, addons, *out);
		return 0;
	}
	json_decref(*out);
	*out = NULL;
	return -1;
}

/* --- fate --- */

int store_release_set_phase(struct tx *tx, const char *id, const char *phase, struct err *err)
{
	return row_set(tx, SQL_RELEASE_SET_PHASE, id, phase, "release", err);
}

int store_release_set_command_dyno(struct tx *tx, const char *id, const char *dyno_id,
				   struct err *err)
{
	return row_set(tx, SQL_RELEASE_SET_COMMAND_DYNO, id, dyno_id, "release", err);
}

int store_release_fail(struct tx *tx, const char *id, enum store_status status, const char *failure,
		       struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_RELEASE_FAIL);

	stmt_text(s, 1, id);
	stmt_text(s, 2, store_status_name(status));
	stmt_text(s, 3, failure);
	stmt_int(s, 4, clock_wall_ms());
	if (stmt_exec(s, err) < 0)
		return -1;
	return tx_changes(tx) ? 0 : err_set(err, ERR_CONFLICT, "The release has ended already.");
}

static int uncurrent(struct tx *tx, const char *app_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_RELEASE_UNCURRENT);

	stmt_text(s, 1, app_id);
	return stmt_exec(s, err);
}

static int set_released(struct tx *tx, const struct store_release *r, wall_ms now, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_APP_SET_RELEASED);

	stmt_text(s, 1, r->app_id);
	stmt_int(s, 2, now);
	bind_id(s, 3, r->slug_id);
	return stmt_exec(s, err);
}

int store_release_make_current(struct tx *tx, const char *id, struct err *err)
{
	AUTO(store_release_clear) struct store_release r = {0};
	wall_ms now = clock_wall_ms();

	if (store_release_get(tx, NULL, id, &r, err) < 0 || uncurrent(tx, r.app_id, err) < 0)
		return -1;
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_RELEASE_MAKE_CURRENT);
	stmt_text(s, 1, id);
	stmt_int(s, 2, now);
	if (row_change(tx, s, "release", err) < 0)
		return -1;
	return set_released(tx, &r, now, err);
}

char *store_release_command(struct tx *tx, const char *app_id, const char *command)
{
	AUTO(store_release_clear) struct store_release r = {0};
	size_t word = strcspn(command, " \t");
	AUTO(auto_str) char *first = xstrndup(command, word);
	struct err none = {0};
	json_t *types;
	const char *of_type;
	char *out;

	if (store_release_current(tx, app_id, &r, &none) < 0)
		return xstrdup(command);
	types = json_loads(r.process_types, 0, NULL);
	of_type = json_string_value(json_object_get(types, first));
	out = of_type ? xasprintf("%s%s", of_type, command + word) : xstrdup(command);
	json_decref(types);
	return out;
}
