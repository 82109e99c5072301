#include "daemon/store/volume.h"
#include "daemon/store/row_int.h"
#include "proto/limits.h"

static const char *const states[] = {
	[VOLUME_CREATING] = "creating",
	[VOLUME_AVAILABLE] = "available",
	[VOLUME_DESTROYING] = "destroying",
};

const char *store_volume_state_name(enum store_volume_state s)
{
	return states[s];
}

void store_volume_clear(struct store_volume *v)
{
	free(v->name);
	free(v->user_email);
	free(v->attached_name);
	free(v->path);
	*v = (struct store_volume){0};
}
ROW_DEFINE_LIST(store_volume, store_volumes)

static void fill_volume(struct stmt *s, void *out)
{
	struct store_volume *v = out;
	const char *state = stmt_col_text(s, 5);

	ROW_COPY(s, 0, v->id);
	v->name = stmt_col_dup(s, 1);
	ROW_COPY(s, 2, v->user_id);
	v->user_email = stmt_col_dup(s, 3);
	v->size_mb = stmt_col_int(s, 4);
	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		if (strcmp(state, states[i]) == 0)
			v->state = (enum store_volume_state)i;
	v->created_ms = stmt_col_int(s, 6);
	v->updated_ms = stmt_col_int(s, 7);
	ROW_COPY(s, 8, v->attachment_id);
	ROW_COPY(s, 9, v->attached_id);
	v->attached_name = stmt_col_dup(s, 10);
	v->path = stmt_col_dup(s, 11);
	v->read_only = row_int_or(s, 12, 0);
	v->attached_ms = row_int_or(s, 13, 0);
}

static int check_count(struct tx *tx, const char *user_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_VOLUME_COUNT);

	stmt_text(s, 1, user_id);
	if (stmt_step(s, err) != STMT_ROW)
		return -1;
	if (stmt_col_int(s, 0) < LIM_VOLUMES)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS, "You have %d volumes; no more can be made.",
		       LIM_VOLUMES);
}

static int insert(struct tx *tx, const char *id, const char *name, const char *user_id,
		  int64_t size_mb, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_VOLUME_INSERT);
	struct err why = {0};

	stmt_text(s, 1, id);
	stmt_text(s, 2, name);
	stmt_text(s, 3, user_id);
	stmt_int(s, 4, size_mb);
	stmt_int(s, 5, clock_wall_ms());
	if (stmt_exec(s, &why) == 0)
		return 0;
	if (why.code == ERR_CONFLICT)
		return err_set(err, ERR_INVALID_PARAMS, "Name %.60s is already taken", name);
	*err = why;
	return -1;
}

int store_volume_insert(struct tx *tx, const char *name, const char *user_id, int64_t size_mb,
			struct store_volume *out, struct err *err)
{
	char id[37];

	uuid_new(id);
	if (check_count(tx, user_id, err) < 0 || insert(tx, id, name, user_id, size_mb, err) < 0)
		return -1;
	return store_volume_find(tx, id, out, err);
}

int store_volume_find(struct tx *tx, const char *ref, struct store_volume *out, struct err *err)
{
	/* a name is never as long as an id */
	AUTO(stmt_done)
	struct stmt *s = stmt_use(tx, strlen(ref) == 36 ? SQL_VOLUME_GET : SQL_VOLUME_BY_NAME);

	stmt_text(s, 1, ref);
	return row_one(s, fill_volume, out, sizeof *out, "volume", err);
}

int store_volumes_list(struct tx *tx, const char *user_id, const char *app_id,
		       struct store_volumes *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_VOLUME_LIST);

	stmt_text(s, 1, user_id);
	stmt_text(s, 2, app_id);
	return store_volume_all(s, fill_volume, out, err);
}

int store_volume_resize(struct tx *tx, const char *id, int64_t size_mb, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_VOLUME_RESIZE);

	stmt_text(s, 1, id);
	stmt_int(s, 2, size_mb);
	stmt_int(s, 3, clock_wall_ms());
	return row_change(tx, s, "volume", err);
}

int store_volume_set_state(struct tx *tx, const char *id, enum store_volume_state state,
			   struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_VOLUME_STATE);

	stmt_text(s, 1, id);
	stmt_text(s, 2, states[state]);
	stmt_int(s, 3, clock_wall_ms());
	return row_change(tx, s, "volume", err);
}

int store_volume_delete(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_VOLUME_DELETE);

	stmt_text(s, 1, id);
	return stmt_exec(s, err);
}

static bool within(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (!path[n] || path[n] == '/');
}

static int check_place(struct tx *tx, const char *app_id, const char *path, struct err *err)
{
	AUTO(store_mounts_clear) struct store_mounts m = {0};

	if (store_volume_mounts(tx, app_id, &m, err) < 0)
		return -1;
	if (m.n >= LIM_APP_VOLUMES)
		return err_set(err, ERR_INVALID_PARAMS,
			       "The app has %d volumes; it can have no more.", m.n);
	for (int i = 0; i < m.n; i++)
		if (within(path, m.v[i].path) || within(m.v[i].path, path))
			return err_set(err, ERR_INVALID_PARAMS,
				       "The app has another volume at %.200s: choose a path "
				       "outside of it.",
				       m.v[i].path);
	return 0;
}

int store_volume_attach(struct tx *tx, const char *id, const char *app_id, const char *path,
			bool read_only, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = NULL;
	struct err why = {0};
	char new_id[37];

	if (check_place(tx, app_id, path, err) < 0)
		return -1;
	uuid_new(new_id);
	s = stmt_use(tx, SQL_VOLUME_ATTACH);
	stmt_text(s, 1, new_id);
	stmt_text(s, 2, id);
	stmt_text(s, 3, app_id);
	stmt_text(s, 4, path);
	stmt_int(s, 5, read_only);
	stmt_int(s, 6, clock_wall_ms());
	if (stmt_exec(s, &why) == 0)
		return 0;
	if (why.code == ERR_CONFLICT)
		return err_set(err, ERR_INVALID_PARAMS,
			       "The volume is attached already. Detach it first.");
	*err = why;
	return -1;
}

int store_volumes_give(struct tx *tx, const char *app_id, const char *from_id, const char *to_id,
		       struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_VOLUME_GIVE);

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, from_id);
	stmt_text(s, 3, to_id);
	stmt_int(s, 4, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_volume_detach(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_VOLUME_DETACH);

	stmt_text(s, 1, id);
	return row_change(tx, s, "volume attachment", err);
}

static void fill_mount(struct stmt *s, void *out)
{
	struct store_mount *m = out;

	ROW_COPY(s, 0, m->volume_id);
	m->path = stmt_col_dup(s, 1);
	m->read_only = stmt_col_int(s, 2);
}

static void store_mount_clear(struct store_mount *m)
{
	free(m->path);
	*m = (struct store_mount){0};
}
ROW_DEFINE_LIST(store_mount, store_mounts)

int store_volume_mounts(struct tx *tx, const char *app_id, struct store_mounts *out,
			struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_VOLUME_MOUNTS);

	stmt_text(s, 1, app_id);
	return store_mount_all(s, fill_mount, out, err);
}
