/* data_pg.h - the data API's PostgreSQL part (routes_data.c): a database is an add-on of
 * heroku-postgresql, named by its id or name. */
#ifndef API_DATA_PG_H
#define API_DATA_PG_H

#include "daemon/api/data.h"

extern const struct api_field api_fields_pg_reset[], api_fields_pg_extensions[],
	api_fields_pg_credential[], api_fields_pg_rotate[], api_fields_pg_settings[],
	api_fields_pg_cluster[];
api_fn api_pg_cluster, api_pg_cluster_restart;
api_fn api_pg_statistics, api_pg_info, api_pg_wait, api_pg_reset, api_pg_sessions,
	api_pg_extensions, api_pg_extensions_add, api_pg_credentials, api_pg_credential,
	api_pg_credential_create, api_pg_credential_destroy, api_pg_rotate_all, api_pg_rotate,
	api_pg_repair, api_pg_settings, api_pg_settings_set, api_pg_tunnel, api_pg_none_listed,
	api_pg_no_follower, api_pg_no_links, api_pg_no_upgrade, api_pg_no_pooling;

/* api_data_find() of a PostgreSQL database. */
int api_pg_find(struct api_req *q, enum api_need need, bool any, struct store_addon *out,
		struct err *err);

#endif
