#include "daemon/store/identity.h"
#include "daemon/store/row_int.h"

void store_invitation_clear(struct store_invitation *i)
{
	free(i->email);
	free(i->inviter_email);
	free(i->app_name);
	free(i->permissions);
	*i = (struct store_invitation){0};
}
ROW_DEFINE_LIST(store_invitation, store_invitations)

static void fill_invitation(struct stmt *s, void *out)
{
	struct store_invitation *i = out;

	ROW_COPY(s, 0, i->id);
	i->email = stmt_col_dup(s, 1);
	ROW_COPY(s, 2, i->inviter_id);
	i->inviter_email = stmt_col_dup(s, 3);
	i->admin = stmt_col_int(s, 4) != 0;
	ROW_COPY(s, 5, i->app_id);
	i->app_name = stmt_col_dup(s, 6);
	i->permissions = stmt_col_dup(s, 7);
	i->expires_ms = stmt_col_int(s, 8);
	i->created_ms = stmt_col_int(s, 9);
}

static int invitation_replace(struct tx *tx, const char *email, const char *app_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_INVITATION_REPLACE);

	stmt_text(s, 1, email);
	stmt_text(s, 2, app_id);
	return stmt_exec(s, err);
}

static int invitation_insert(struct tx *tx, const char *id, const char *secret, const char *email,
			     const char *inviter_id, bool admin, const char *app_id,
			     const char *permissions, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_INVITATION_INSERT);
	wall_ms now = clock_wall_ms();
	char hash[65];

	sha256_hex(secret, strlen(secret), hash);
	stmt_text(s, 1, id);
	stmt_text(s, 2, email);
	stmt_text(s, 3, hash);
	stmt_text(s, 4, inviter_id);
	stmt_int(s, 5, admin);
	stmt_text(s, 6, app_id);
	stmt_text(s, 7, permissions);
	stmt_int(s, 8, now + STORE_INVITATION_MS);
	stmt_int(s, 9, now);
	return stmt_exec(s, err);
}

int store_invitation_create(struct tx *tx, const char *secret, const char *email,
			    const char *inviter_id, bool admin, const char *app_id,
			    const char *permissions, struct store_invitation *out, struct err *err)
{
	char id[37];

	uuid_new(id);
	if (invitation_replace(tx, email, app_id, err) < 0 ||
	    invitation_insert(tx, id, secret, email, inviter_id, admin, app_id, permissions, err) <
		    0)
		return -1;
	return store_invitation_get(tx, id, NULL, out, err);
}

int store_invitation_get(struct tx *tx, const char *id, const char *app_id,
			 struct store_invitation *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_INVITATION_GET);

	stmt_text(s, 1, id);
	stmt_text(s, 2, app_id);
	stmt_int(s, 3, clock_wall_ms());
	return row_one(s, fill_invitation, out, sizeof *out, "invitation", err);
}

int store_invitation_by_secret(struct tx *tx, const char *secret, struct store_invitation *out,
			       struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_INVITATION_BY_HASH);
	char hash[65];

	sha256_hex(secret, strlen(secret), hash);
	stmt_text(s, 1, hash);
	stmt_int(s, 2, clock_wall_ms());
	return row_one(s, fill_invitation, out, sizeof *out, "invitation", err);
}

int store_invitations_list(struct tx *tx, const char *app_id, struct store_invitations *out,
			   struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_INVITATION_LIST);

	stmt_text(s, 1, app_id);
	stmt_int(s, 2, clock_wall_ms());
	return store_invitation_all(s, fill_invitation, out, err);
}

int store_invitation_delete(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_INVITATION_DELETE);

	stmt_text(s, 1, id);
	return row_change(tx, s, "invitation", err);
}

int store_invitation_accepted(struct tx *tx, const struct store_invitation *i, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_INVITATION_DELETE_FOR);

	stmt_text(s, 1, i->email);
	stmt_text(s, 2, i->app_id[0] ? i->app_id : NULL);
	return stmt_exec(s, err);
}

int store_invitations_expire(struct tx *tx, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_INVITATION_EXPIRE);

	stmt_int(s, 1, clock_wall_ms());
	return stmt_exec(s, err);
}
