/* setups.h - inside daemon/api: app setups. */
#ifndef API_SETUPS_H
#define API_SETUPS_H

#include "daemon/api/api_int.h"

extern const struct api_field api_fields_setup_create[];
api_fn api_setups_create, api_setups_info;

#endif
