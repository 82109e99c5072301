/* addon_int.h - shared by addon.c and addon_vars.c. */
#ifndef STORE_ADDON_INT_H
#define STORE_ADDON_INT_H

#include "daemon/store/addon.h"

/* config and private: the columns of the row that s selects. */
int addon_open_both(struct tx *tx, struct stmt *s, json_t **config, json_t **private,
		    const char *resource, struct err *err);

#endif
