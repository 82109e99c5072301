/* Routes of the data API: PostgreSQL and Redis. */
#include "daemon/api/data_transfers.h"
#include "daemon/api/data_pg.h"
#include "daemon/api/data_redis.h"
#include "daemon/api/route_words.h"

#define DB "/client/v11/databases/:add_on"
#define PG "/postgres/v0/databases/:add_on"
#define RD "/redis/v0/databases/:add_on"

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
	/* PostgreSQL: permissions are those on the app that owns the add-on, or has it attached */
	{ G, DB, NEED_USER, SCOPE_READ_PROTECTED, api_pg_info, 0, "A database: size, connections, version" },
	{ G, DB "/wait_status", NEED_USER, SCOPE_READ, api_pg_wait, 0, "Whether it can be used yet" },
	{ U, DB "/reset", NEED_USER, SCOPE_WRITE_PROTECTED, api_pg_reset, API_LONG, "Delete all data in it (operate)", api_fields_pg_reset },
	{ P, DB "/connection_reset", NEED_USER, SCOPE_WRITE_PROTECTED, api_pg_sessions, 0, "End all connections (operate)" },
	{ U, DB "/stats_reset", NEED_USER, SCOPE_WRITE_PROTECTED, api_pg_statistics, 0, "Its statistics begin again (operate)" },
	{ G, DB "/extensions", NEED_USER, SCOPE_READ, api_pg_extensions, 0, "Extensions that it may have (an extension)" },
	{ P, DB "/extensions", NEED_USER, SCOPE_WRITE_PROTECTED, api_pg_extensions_add, API_BODY | API_LONG, "Add extensions, also such that owners may not (operate; an extension)", api_fields_pg_extensions },
	{ U, DB "/unfollow", NEED_USER, SCOPE_WRITE_PROTECTED, api_pg_no_follower, 0, "Refused: there are no replicas" },
	{ G, DB "/links", NEED_USER, SCOPE_READ, api_pg_none_listed, 0, "Links to other databases: none" },
	{ P, DB "/links", NEED_USER, SCOPE_WRITE_PROTECTED, api_pg_no_links, 0, "Refused: there are no links" },
	{ D, DB "/links/:link", NEED_USER, SCOPE_WRITE_PROTECTED, api_pg_no_links, 0, "Refused: there are no links" },
	{ P, DB "/upgrade/:step", NEED_USER, SCOPE_WRITE_PROTECTED, api_pg_no_upgrade, 0, "Refused: the administrator upgrades the server" },
	{ G, DB "/upgrade/:step", NEED_USER, SCOPE_READ, api_pg_no_upgrade, 0, "Refused: the administrator upgrades the server" },
	{ P, DB "/connection-pooling", NEED_USER, SCOPE_WRITE_PROTECTED, api_pg_no_pooling, 0, "Refused: there is no pooling on the server" },
	{ G, PG "/credentials", NEED_USER, SCOPE_READ_PROTECTED, api_pg_credentials, 0, "Credentials, with passwords" },
	{ P, PG "/credentials", NEED_USER, SCOPE_WRITE_PROTECTED, api_pg_credential_create, API_BODY | API_LONG, "Make a further one (operate; standard plans)", api_fields_pg_credential },
	{ G, PG "/credentials/:credential", NEED_USER, SCOPE_READ_PROTECTED, api_pg_credential, 0, "One credential" },
	{ D, PG "/credentials/:credential", NEED_USER, SCOPE_WRITE_PROTECTED, api_pg_credential_destroy, API_LONG, "Remove one (operate)" },
	{ P, PG "/credentials/:credential/credentials_rotation", NEED_USER, SCOPE_WRITE_PROTECTED, api_pg_rotate, API_LONG, "A new password; the old one works for ten minutes (operate)", api_fields_pg_rotate },
	{ P, PG "/credentials_rotation", NEED_USER, SCOPE_WRITE_PROTECTED, api_pg_rotate_all, API_LONG, "New passwords for all credentials (operate)", api_fields_pg_rotate },
	{ P, PG "/repair-default", NEED_USER, SCOPE_WRITE_PROTECTED, api_pg_repair, API_LONG, "The default credential owns everything (operate)" },
	{ G, PG "/config", NEED_USER, SCOPE_READ, api_pg_settings, 0, "Settings (standard plans)" },
	{ T, PG "/config", NEED_USER, SCOPE_WRITE_PROTECTED, api_pg_settings_set, API_BODY, "Change settings (operate; standard plans)", api_fields_pg_settings },
	{ G, "/postgres/v0/cluster", NEED_ADMIN, SCOPE_GLOBAL, api_pg_cluster, 0, "The server that the databases share (an extension)" },
	{ P, "/postgres/v0/cluster/restart", NEED_ADMIN, SCOPE_GLOBAL, api_pg_cluster_restart, API_LONG, "Restart it: every connection ends; refused while backups are under way, unless forced (an extension)", api_fields_pg_cluster },
	{ G, "/addons/:add_on/tunnel", NEED_USER, SCOPE_READ_PROTECTED, api_pg_tunnel, API_STREAM, "A connection to the database (upgrade to `paas-tunnel`; operate; an extension)" },
	/* Redis */
	{ G, RD, NEED_USER, SCOPE_READ_PROTECTED, api_redis_info, 0, "A Redis server: its URL, memory, connections, settings" },
	{ G, RD "/wait", NEED_USER, SCOPE_READ, api_redis_wait, 0, "Whether it can be used yet" },
	{ G, RD "/config", NEED_USER, SCOPE_READ, api_redis_config, 0, "Settings" },
	{ T, RD "/config", NEED_USER, SCOPE_WRITE_PROTECTED, api_redis_config_set, API_BODY, "Change settings, without a restart (operate)", api_fields_redis_config },
	{ P, RD "/credentials_rotation", NEED_USER, SCOPE_WRITE_PROTECTED, api_redis_rotate, API_LONG, "A new password; the old one works for ten minutes (operate)", api_fields_redis_rotate },
	{ P, RD "/stats/reset", NEED_USER, SCOPE_WRITE_PROTECTED, api_redis_stats_reset, 0, "Its statistics begin again (operate)" },
	{ P, RD "/upgrade", NEED_USER, SCOPE_WRITE_PROTECTED, api_redis_upgrade, 0, "Refused: the administrator upgrades the server", api_fields_redis_upgrade },
	{ 0 },
};
