#include "daemon/store/transfer.h"
#include "daemon/store/app.h"
#include "daemon/store/row_int.h"
#include "daemon/store/volume.h"

void store_transfer_clear(struct store_transfer *t)
{
	free(t->owner_email);
	free(t->recipient_email);
	*t = (struct store_transfer){0};
}
ROW_DEFINE_LIST(store_transfer, store_transfers)

static void fill_transfer(struct stmt *s, void *out)
{
	struct store_transfer *t = out;

	ROW_COPY(s, 0, t->id);
	ROW_COPY(s, 1, t->app_id);
	ROW_COPY(s, 2, t->app_name);
	ROW_COPY(s, 3, t->owner_id);
	t->owner_email = stmt_col_dup(s, 4);
	ROW_COPY(s, 5, t->recipient_id);
	t->recipient_email = stmt_col_dup(s, 6);
	ROW_COPY(s, 7, t->state);
	t->created_ms = stmt_col_int(s, 8);
	t->updated_ms = stmt_col_int(s, 9);
}

static int transfer_insert(struct tx *tx, const char *id, const char *app_id, const char *owner_id,
			   const char *recipient_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_TRANSFER_INSERT);
	struct err e = {0};

	stmt_text(s, 1, id);
	stmt_text(s, 2, app_id);
	stmt_text(s, 3, owner_id);
	stmt_text(s, 4, recipient_id);
	stmt_int(s, 5, clock_wall_ms());
	if (stmt_exec(s, &e) == 0)
		return 0;
	if (e.code == ERR_CONFLICT)
		return err_set(err, ERR_INVALID_PARAMS,
			       "The app has a pending transfer already; cancel it first.");
	if (err)
		*err = e;
	return -1;
}

int store_transfer_create(struct tx *tx, const char *app_id, const char *owner_id,
			  const char *recipient_id, struct store_transfer *out, struct err *err)
{
	char id[37];

	uuid_new(id);
	if (transfer_insert(tx, id, app_id, owner_id, recipient_id, err) < 0)
		return -1;
	return store_transfer_find(tx, owner_id, id, out, err);
}

int store_transfer_find(struct tx *tx, const char *user_id, const char *id_or_app,
			struct store_transfer *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_TRANSFER_FIND);

	stmt_text(s, 1, user_id);
	stmt_text(s, 2, id_or_app);
	return row_one(s, fill_transfer, out, sizeof *out, "app_transfer", err);
}

int store_transfers_list(struct tx *tx, const char *user_id, struct store_transfers *out,
			 struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_TRANSFER_LIST);

	stmt_text(s, 1, user_id);
	return store_transfer_all(s, fill_transfer, out, err);
}

static int set_state(struct tx *tx, const char *id, const char *state, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_TRANSFER_SETTLE);

	stmt_text(s, 1, id);
	stmt_text(s, 2, state);
	stmt_int(s, 3, clock_wall_ms());
	if (stmt_exec(s, err) < 0)
		return -1;
	return tx_changes(tx)
		       ? 0
		       : err_set(err, ERR_INVALID_PARAMS, "The transfer is no longer pending.");
}

static int set_owner(struct tx *tx, const struct store_transfer *t, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_APP_SET_OWNER);

	stmt_text(s, 1, t->app_id);
	stmt_text(s, 2, t->owner_id);
	stmt_text(s, 3, t->recipient_id);
	stmt_int(s, 4, clock_wall_ms());
	if (stmt_exec(s, err) < 0)
		return -1;
	return tx_changes(tx) ? 0
			      : err_set(err, ERR_INVALID_PARAMS,
					"The app has another owner than the one who offered it.");
}

static int set_collaborator(struct tx *tx, const struct store_transfer *t, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_COLLAB_OWN);
	char id[37], perms[64];

	uuid_new(id);
	store_perms_format(STORE_PERMS_COLLABORATOR, perms);
	stmt_text(s, 1, id);
	stmt_text(s, 2, t->app_id);
	stmt_text(s, 3, t->recipient_id);
	stmt_text(s, 4, perms);
	stmt_int(s, 5, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_transfer_settle(struct tx *tx, const struct store_transfer *t, bool accept,
			  struct err *err)
{
	if (set_state(tx, t->id, accept ? "accepted" : "declined", err) < 0)
		return -1;
	if (accept && (set_owner(tx, t, err) < 0 || set_collaborator(tx, t, err) < 0 ||
		       store_volumes_give(tx, t->app_id, t->owner_id, t->recipient_id, err) < 0))
		return -1;
	return 0;
}

int store_transfer_delete(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_TRANSFER_DELETE);

	stmt_text(s, 1, id);
	return row_change(tx, s, "app_transfer", err);
}
