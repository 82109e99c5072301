/* data_transfers.h - inside daemon/api: backups, restores, copies of databases, and their schedules
 * (data_transfers.c); backups by URL (data_backups.c). */
#ifndef API_DATA_TRANSFERS_H
#define API_DATA_TRANSFERS_H

#include "daemon/api/api_int.h"
#include "daemon/pg/transfer.h"
#include "daemon/store/addon.h"

extern const struct api_field api_fields_restore[], api_fields_copy[], api_fields_schedule[];
api_fn api_backups_create, api_restores_create, api_copies_create, api_dbtransfers_list,
	api_dbtransfers_info, api_dbtransfers_delete, api_dbtransfers_cancel, api_schedules_list,
	api_schedules_create, api_schedules_delete;
api_fn api_backup_public_url, api_backup_get;

/* The add-on of :add_on, a database of which the caller has one of the permissions: on its owner's
 * app, and with attached also on one that it is attached to. q->app becomes the owner's. NOT_FOUND,
 * FORBIDDEN. Inside a transaction. */
int api_db_find(struct api_req *q, struct tx *tx, const char *ref, unsigned perm, bool attached,
		struct store_addon *out, struct err *err);

/* A URL of a backup of this platform: 1, and its id; signed = it is a permission by itself. 0: it
 * is another one. -1: INVALID_PARAMS, it has expired or is forged. Inside a transaction. */
int api_backup_of_url(struct tx *tx, const char *url, char id[37], bool *is_signed,
		      struct err *err);

#endif
