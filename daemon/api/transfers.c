/* Apps change owners: offered by the one, accepted by the other. */
#include "daemon/api/api_int.h"
#include "daemon/store/transfer.h"

#include <string.h>

struct transfer_tx {
	struct api_req *q;
	struct store_transfers list;
	struct store_transfer one;
	const char *app, *recipient, *state;
};

static json_t *transfer_json(const struct store_transfer *t)
{
	return json_pack("{s:{s:s, s:s}, s:o, s:s, s:o, s:o, s:s, s:o}", "app", "id", t->app_id,
			 "name", t->app_name, "created_at", json_time(t->created_ms), "id", t->id,
			 "owner", json_user_ref(t->owner_id, t->owner_email), "recipient",
			 json_user_ref(t->recipient_id, t->recipient_email), "state", t->state,
			 "updated_at", json_time(t->updated_ms));
}

/* The audit row is the app's, too. */
static int answer(struct transfer_tx *t, int status, const char *action)
{
	struct api_req *q = t->q;

	memcpy(q->app.id, t->one.app_id, sizeof q->app.id);
	memcpy(q->app.name, t->one.app_name, sizeof q->app.name);
	api_audit(q, action, "%s to %s", t->one.owner_email, t->one.recipient_email);
	return api_ok(q, status, transfer_json(&t->one));
}

/* --- reading --- */

static int read_transfers(struct tx *tx, void *arg, struct err *err)
{
	struct transfer_tx *t = arg;

	return store_transfers_list(tx, t->q->user.id, &t->list, err);
}

int api_transfers_list(struct api_req *q, struct err *err)
{
	struct transfer_tx t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_transfers, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.list.n; i++)
		json_array_append_new(list, transfer_json(&t.list.v[i]));
	store_transfers_clear(&t.list);
	return api_list(q, list, "created_at id updated_at", err);
}

static int read_transfer(struct tx *tx, void *arg, struct err *err)
{
	struct transfer_tx *t = arg;

	store_transfer_clear(&t->one);
	return store_transfer_find(tx, t->q->user.id, t->q->params[0], &t->one, err);
}

int api_transfers_info(struct api_req *q, struct err *err)
{
	struct transfer_tx t = {.q = q};

	if (store_read(q->d->store, read_transfer, &t, err) < 0)
		return -1;
	api_ok(q, 200, transfer_json(&t.one));
	store_transfer_clear(&t.one);
	return 0;
}

/* --- offering --- */

/* silent: nobody is written to in either case */
const struct api_field api_fields_transfer_create[] = {
	{"app", F_REF, F_REQUIRED},
	{"recipient", F_LINE, F_REQUIRED, .min = 1, .max = 254, .text = "address or id"},
	{"silent", F_BOOL},
	{0},
};

static int find_own_app(struct tx *tx, struct transfer_tx *t, struct store_app *a, struct err *err)
{
	unsigned perms = 0;

	if (store_app_find(tx, t->app, a, err) < 0 ||
	    store_app_access(tx, t->q->user.id, a->id, &perms, err) < 0)
		return -1;
	if (!perms)
		return err_not_found(err, "app");
	if (!(perms & STORE_OWNER))
		return err_set(err, ERR_FORBIDDEN, "Only the owner of %s can transfer it.",
			       a->name);
	return 0;
}

static int write_offer(struct tx *tx, void *arg, struct err *err)
{
	struct transfer_tx *t = arg;
	AUTO(store_app_clear) struct store_app a = {0};
	AUTO(store_user_clear) struct store_user to = {0};

	store_transfer_clear(&t->one);
	if (find_own_app(tx, t, &a, err) < 0 || store_user_find(tx, t->recipient, &to, err) < 0)
		return -1;
	if (strcmp(to.id, a.owner_id) == 0)
		return err_set(err, ERR_INVALID_PARAMS, "%s is the owner of %s already.", to.email,
			       a.name);
	return store_transfer_create(tx, a.id, a.owner_id, to.id, &t->one, err);
}

int api_transfers_create(struct api_req *q, struct err *err)
{
	struct transfer_tx t = {.q = q,
				.app = api_get_ref(q->body, "app"),
				.recipient = api_get_str(q->body, "recipient")};
	int rc;

	if (strcmp(t.recipient, "~") == 0)
		t.recipient = q->user.id;
	rc = store_tx(q->d->store, write_offer, &t, err);
	if (rc == 0)
		rc = answer(&t, 201, "transfer.offer");
	store_transfer_clear(&t.one);
	return rc;
}

/* --- settling --- */

const struct api_field api_fields_transfer_update[] = {
	{"state", F_STRING, F_REQUIRED, .choice = "pending|accepted|declined"},
	{0},
};

static int write_settled(struct tx *tx, void *arg, struct err *err)
{
	struct transfer_tx *t = arg;

	if (read_transfer(tx, t, err) < 0)
		return -1;
	if (strcmp(t->one.recipient_id, t->q->user.id) != 0)
		return err_set(err, ERR_FORBIDDEN, "Only %s can accept or decline the transfer.",
			       t->one.recipient_email);
	if (strcmp(t->state, "pending") == 0 && strcmp(t->one.state, "pending") == 0)
		return 0;
	if (strcmp(t->state, "pending") == 0)
		return err_set(err, ERR_INVALID_PARAMS, "The transfer has been %s.", t->one.state);
	if (store_transfer_settle(tx, &t->one, strcmp(t->state, "accepted") == 0, err) < 0)
		return -1;
	return read_transfer(tx, t, err);
}

int api_transfers_update(struct api_req *q, struct err *err)
{
	struct transfer_tx t = {.q = q, .state = api_get_str(q->body, "state")};
	int rc = store_tx(q->d->store, write_settled, &t, err);

	if (rc == 0 && strcmp(t.one.state, "pending") == 0)
		rc = api_ok(q, 200, transfer_json(&t.one)); /* as it was */
	else if (rc == 0)
		rc = answer(&t, 200,
			    strcmp(t.one.state, "accepted") == 0 ? "transfer.accept"
								 : "transfer.decline");
	store_transfer_clear(&t.one);
	return rc;
}

static int write_withdrawn(struct tx *tx, void *arg, struct err *err)
{
	struct transfer_tx *t = arg;

	if (read_transfer(tx, t, err) < 0)
		return -1;
	if (strcmp(t->one.owner_id, t->q->user.id) != 0)
		return err_set(err, ERR_FORBIDDEN,
			       "Only %s can withdraw the transfer; decline it instead.",
			       t->one.owner_email);
	return store_transfer_delete(tx, t->one.id, err);
}

int api_transfers_delete(struct api_req *q, struct err *err)
{
	struct transfer_tx t = {.q = q};
	int rc = store_tx(q->d->store, write_withdrawn, &t, err);

	if (rc == 0)
		rc = answer(&t, 200, "transfer.withdraw");
	store_transfer_clear(&t.one);
	return rc;
}
