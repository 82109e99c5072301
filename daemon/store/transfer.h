/* transfer.h - offers of apps from their owners to other accounts. See user.h for the conventions.
 */
#ifndef STORE_TRANSFER_H
#define STORE_TRANSFER_H

#include "daemon/store/store.h"

struct store_transfer {
	char id[37], app_id[37], owner_id[37], recipient_id[37];
	char app_name[32];
	char *owner_email, *recipient_email; /* owner: who offered */
	char state[16];			     /* pending, accepted, declined */
	wall_ms created_ms, updated_ms;
};
struct store_transfers {
	struct store_transfer *v;
	int n;
};
void store_transfer_clear(struct store_transfer *t);
void store_transfers_clear(struct store_transfers *l);
#define store_transfer_clear_p	store_transfer_clear
#define store_transfers_clear_p store_transfers_clear

/* INVALID_PARAMS when the app is offered already. */
int store_transfer_create(struct tx *tx, const char *app_id, const char *owner_id,
			  const char *recipient_id, struct store_transfer *out, struct err *err);
/* Of those that the user has made or got: by id, or the app's newest by its name. NOT_FOUND
 * (resource "app_transfer"). */
int store_transfer_find(struct tx *tx, const char *user_id, const char *id_or_app,
			struct store_transfer *out, struct err *err);
/* Made by the user or for them, oldest first. */
int store_transfers_list(struct tx *tx, const char *user_id, struct store_transfers *out,
			 struct err *err);
/* Accepted: the recipient owns the app from now on; who did stays a collaborator. INVALID_PARAMS
 * when it is no longer pending, or the app has got another owner since. */
int store_transfer_settle(struct tx *tx, const struct store_transfer *t, bool accept,
			  struct err *err);
int store_transfer_delete(struct tx *tx, const char *id, struct err *err);

#endif
