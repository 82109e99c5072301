/* SSH public keys of accounts. */
#include "daemon/api/identity.h"
#include "daemon/core/sshkey.h"
#include "daemon/store/identity.h"
#include "proto/limits.h"

#include <string.h>

const struct api_field api_fields_key[] = {
	{"public_key", F_STRING, .flags = F_REQUIRED, .min = 1, .max = LIM_SSH_KEY},
	{0},
};

struct key_tx {
	struct api_req *q;
	struct sshkey fresh;
	struct store_key one;
	struct store_keys list;
};

static void key_tx_clear(struct key_tx *t)
{
	sshkey_clear(&t->fresh);
	store_key_clear(&t->one);
	store_keys_clear(&t->list);
}
#define key_tx_clear_p key_tx_clear

static json_t *key_json(const struct api_req *q, const struct store_key *k)
{
	return json_pack("{s:o, s:o, s:o, s:s, s:s, s:o, s:o}", "comment", json_text(k->comment),
			 "created_at", json_time(k->created_ms), "email", json_text(q->user.email),
			 "fingerprint", k->fingerprint, "id", k->id, "public_key",
			 json_text(k->public_key), "updated_at", json_time(k->updated_ms));
}

static int read_keys(struct tx *tx, void *arg, struct err *err)
{
	struct key_tx *t = arg;

	return store_keys_list(tx, t->q->user.id, &t->list, err);
}

int api_keys_list(struct api_req *q, struct err *err)
{
	AUTO(key_tx_clear) struct key_tx t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_keys, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.list.n; i++)
		json_array_append_new(list, key_json(q, &t.list.v[i]));
	return api_list(q, list, "id created_at updated_at", err);
}

static int write_key(struct tx *tx, void *arg, struct err *err)
{
	struct key_tx *t = arg;

	store_key_clear(&t->one);
	return store_key_add(tx, t->q->user.id, t->fresh.fingerprint, t->fresh.line,
			     t->fresh.comment, LIM_SSH_KEYS, &t->one, err);
}

int api_key_add(struct api_req *q, struct err *err)
{
	AUTO(key_tx_clear) struct key_tx t = {.q = q};

	if (sshkey_parse(api_get_str(q->body, "public_key"), &t.fresh, err) < 0 ||
	    store_tx(q->d->store, write_key, &t, err) < 0)
		return -1;
	api_audit(q, "key.add", "%s", t.one.fingerprint);
	return api_ok(q, 201, key_json(q, &t.one));
}

static int read_key(struct tx *tx, void *arg, struct err *err)
{
	struct key_tx *t = arg;

	store_key_clear(&t->one);
	return store_key_get(tx, t->q->user.id, t->q->params[0], &t->one, err);
}

int api_key_info(struct api_req *q, struct err *err)
{
	AUTO(key_tx_clear) struct key_tx t = {.q = q};

	if (store_read(q->d->store, read_key, &t, err) < 0)
		return -1;
	return api_ok(q, 200, key_json(q, &t.one));
}

static int delete_key(struct tx *tx, void *arg, struct err *err)
{
	struct key_tx *t = arg;

	if (read_key(tx, t, err) < 0)
		return -1;
	return store_key_delete(tx, t->q->user.id, t->one.id, err);
}

int api_key_delete(struct api_req *q, struct err *err)
{
	AUTO(key_tx_clear) struct key_tx t = {.q = q};

	if (store_tx(q->d->store, delete_key, &t, err) < 0)
		return -1;
	api_audit(q, "key.remove", "%s", t.one.fingerprint);
	return api_ok(q, 200, key_json(q, &t.one));
}
