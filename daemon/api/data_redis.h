/* data_redis.h - the data API's Redis part (routes_data.c): a database is an add-on of
 * heroku-redis, named by its id or name. */
#ifndef API_DATA_REDIS_H
#define API_DATA_REDIS_H

#include "daemon/api/data.h"

extern const struct api_field api_fields_redis_rotate[], api_fields_redis_config[],
	api_fields_redis_upgrade[];
api_fn api_redis_info, api_redis_wait, api_redis_config, api_redis_config_set, api_redis_rotate,
	api_redis_stats_reset, api_redis_upgrade;

/* A connection to the server, of a request that wants to be upgraded. NOT_FOUND: it is no such
 * add-on. */
int api_redis_tunnel(struct api_req *q, struct err *err);

#endif
