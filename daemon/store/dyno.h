/* dyno.h - formation and crash back-off. See user.h for the conventions. */
#ifndef STORE_DYNO_H
#define STORE_DYNO_H

#include "daemon/store/store.h"

#include <jansson.h>

struct store_formation {
	char id[37], app_id[37];
	char type[129];
	int quantity;
	char *size, *command;
	wall_ms created_ms, updated_ms;
};
struct store_formations {
	struct store_formation *v; /* sorted by type */
	int n;
};
void store_formation_clear(struct store_formation *f);
void store_formations_clear(struct store_formations *l);
#define store_formation_clear_p	 store_formation_clear
#define store_formations_clear_p store_formations_clear

int store_formation_list(struct tx *tx, const char *app_id, struct store_formations *out,
			 struct err *err);
/* By type or id. NOT_FOUND (resource "formation"). */
int store_formation_get(struct tx *tx, const char *app_id, const char *type_or_id,
			struct store_formation *out, struct err *err);
/*
 * What the formation becomes with these process types (JSON object type -> command): the first time
 * that an app has types, web gets 1 and the others 0; later quantities and sizes stay by type, new
 * types get 0, types that are gone go. "release" is listed, always with 0. plan only computes (the
 * cut-over may still fail); apply also stores it.
 */
int store_formation_plan(struct tx *tx, const char *app_id, const json_t *types, const char *size,
			 struct store_formations *out, struct err *err);
int store_formation_apply(struct tx *tx, const char *app_id, const json_t *types, const char *size,
			  struct store_formations *out, struct err *err); /* out may be NULL */
/* quantity -1, size NULL: as it is. INVALID_PARAMS: negative, above LIM_DYNOS_PER_TYPE, or a
 * quantity for "release". NOT_FOUND: no such type. */
int store_formation_set(struct tx *tx, const char *app_id, const char *type, int quantity,
			const char *size, struct err *err);

struct store_crash {
	char name[160]; /* "web.1" */
	int count;
	wall_ms restart_ms; /* not before */
};
struct store_crashes {
	struct store_crash *v;
	int n;
};
void store_crashes_clear(struct store_crashes *l);
#define store_crashes_clear_p store_crashes_clear
/* No crash on record: count 0. */
int store_crash_get(struct tx *tx, const char *app_id, const char *name, struct store_crash *out,
		    struct err *err);
int store_crash_list(struct tx *tx, const char *app_id, struct store_crashes *out, struct err *err);
int store_crash_set(struct tx *tx, const char *app_id, const char *name, int count,
		    wall_ms restart_ms, struct err *err);
int store_crash_clear(struct tx *tx, const char *app_id, const char *name,
		      struct err *err); /* NULL = all of the app */

#endif
