/* addon_int.h - private to addon.c and addon_vars.c: JSON objects that are sealed in the database.
 */
#ifndef STORE_ADDON_INT_H
#define STORE_ADDON_INT_H

#include "daemon/store/addon.h"

void addon_bind_sealed(struct tx *tx, struct stmt *s, int i, const json_t *v); /* NULL = {} */
int addon_open_sealed(struct tx *tx, struct stmt *s, int col, json_t **out, struct err *err);
/* config and private: the columns of the row that s selects. */
int addon_open_both(struct tx *tx, struct stmt *s, json_t **config, json_t **private,
		    const char *resource, struct err *err);

#endif
