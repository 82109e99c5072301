/* drain.h - log drains. See user.h for the conventions. */
#ifndef STORE_DRAIN_H
#define STORE_DRAIN_H

#include "daemon/store/store.h"

struct store_drain {
	char id[37], app_id[37];
	char addon_id[37]; /* whose it is; "" = a user's */
	char *addon_name;  /* of that; NULL = a user's */
	char token[39];	   /* d.UUID */
	char *url;	   /* with its credentials, which the database has sealed */
	wall_ms created_ms, updated_ms;
};
struct store_drains {
	struct store_drain *v; /* oldest first */
	int n;
};
void store_drain_clear(struct store_drain *d);
void store_drains_clear(struct store_drains *l);
#define store_drain_clear_p  store_drain_clear
#define store_drains_clear_p store_drains_clear

/* INVALID_PARAMS: the app has that URL already, or LIM_DRAINS_PER_APP drains. */
int store_drain_create(struct tx *tx, const char *app_id, const char *url, struct store_drain *out,
		       struct err *err);
/* app_id NULL = of all apps. */
int store_drains_list(struct tx *tx, const char *app_id, struct store_drains *out, struct err *err);
/* By id or token; by_url: by the URL, too. NOT_FOUND (resource "log_drain"). */
int store_drain_find(struct tx *tx, const char *app_id, const char *which, bool by_url,
		     struct store_drain *out, struct err *err);
/* The one of an add-on, with the token that its provider was told; made, or led elsewhere: then it
 * has another id, and *old_id that of the one it replaces ("" = none, or all is as it was). */
int store_drain_put(struct tx *tx, const char *app_id, const char *addon_id, const char *token,
		    const char *url, struct store_drain *out, char old_id[37], struct err *err);
/* NOT_FOUND when the add-on has none. */
int store_drain_of_addon(struct tx *tx, const char *addon_id, struct store_drain *out,
			 struct err *err);
int store_drain_delete(struct tx *tx, const char *id, struct err *err);

#endif
