/* Routes of the data API: PostgreSQL and Redis. */
#include "daemon/api/data_transfers.h"
#include "daemon/api/route_words.h"

/* clang-format off */
const struct api_route api_routes_data[] = {
	/* backups, restores, copies */
	{ G, "/client/v11/apps/:app/transfers", NEED_VIEW, SCOPE_READ, api_dbtransfers_list, 0, "Backups, restores and copies of an app's databases" },
	{ G, "/client/v11/apps/:app/transfers/:transfer", NEED_VIEW, SCOPE_READ, api_dbtransfers_info, 0, "One of them, by number or id" },
	{ D, "/client/v11/apps/:app/transfers/:transfer", NEED_OPERATE, SCOPE_WRITE, api_dbtransfers_delete, 0, "Delete it, a backup's file too" },
	{ P, "/client/v11/apps/:app/transfers/:transfer/actions/public-url", NEED_VIEW, SCOPE_READ_PROTECTED, api_backup_public_url, 0, "A URL of a backup that is good for an hour, without credentials" },
	{ P, "/client/v11/apps/:app/transfers/:transfer/actions/cancel", NEED_OPERATE, SCOPE_WRITE, api_dbtransfers_cancel, 0, "Cancel what is waiting or running" },
	{ P, "/client/v11/databases/:add_on/backups", NEED_USER, SCOPE_WRITE, api_backups_create, 0, "Back a database up" },
	{ P, "/client/v11/databases/:add_on/restores", NEED_USER, SCOPE_WRITE_PROTECTED, api_restores_create, API_BODY, "Restore a backup into a database, whose content it replaces", api_fields_restore },
	{ P, "/client/v11/databases/:add_on/transfers", NEED_USER, SCOPE_WRITE_PROTECTED, api_copies_create, API_BODY, "Copy a database into another, whose content it replaces", api_fields_copy },
	{ G, "/client/v11/databases/:add_on/transfer-schedules", NEED_USER, SCOPE_READ, api_schedules_list, 0, "Daily backups of a database" },
	{ P, "/client/v11/databases/:add_on/transfer-schedules", NEED_USER, SCOPE_WRITE, api_schedules_create, API_BODY, "Back a database up every day, or change the time", api_fields_schedule },
	{ D, "/client/v11/databases/:add_on/transfer-schedules/:schedule", NEED_USER, SCOPE_WRITE, api_schedules_delete, 0, "No more daily backups, by id or name" },
	{ G, "/blobs/backups/:transfer/:expires/:secret", NEED_NONE, SCOPE_ANY, api_backup_get, API_FILE | API_STREAM | API_HEAD, "A backup, decrypted: a dump of pg_dump's custom format; takes Range" },
	{ 0 },
};
