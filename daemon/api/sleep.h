/* sleep.h - apps that sleep when nobody asks for them. */
#ifndef API_SLEEP_H
#define API_SLEEP_H

#include "daemon/api/api_int.h"

extern const struct api_field api_fields_sleep[];
api_fn api_sleep_info, api_sleep_update, api_sleep_wake;

#endif
