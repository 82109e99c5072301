/* config_int.h - private to config.c and config_yaml.c. */
#ifndef CORE_CONFIG_INT_H
#define CORE_CONFIG_INT_H

#include "daemon/core/config.h"

#define CONFIG_ITEMS 1000 /* of a list or map */

/* Errors begin with the key's name. */
const struct config_key *config_find(const char *name);
bool config_is_group(const char *name); /* "build", of build.timeout */
int config_unknown(const char *name, struct err *err);
int config_set_scalar(struct config *c, const struct config_key *k, const char *v, struct err *err);
/* item: an element, or KEY=VALUE of a map */
int config_add_item(struct config *c, const struct config_key *k, const char *item,
		    struct err *err);
void config_clear_items(struct config *c, const struct config_key *k);
/* name stands in messages */
int config_parse(struct config *c, const char *name, const void *text, size_t n, struct err *err);

#endif
