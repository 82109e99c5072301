/* source.h - uploaded sources, which builds are made of: a row each, its file in STATE/sources/ID.
 * See user.h for the conventions. */
#ifndef STORE_SOURCE_H
#define STORE_SOURCE_H

#include "daemon/store/build.h"

struct store_source {
	char id[37], user_id[37], app_id[37]; /* app_id "" = of no app */
	int64_t size;			      /* -1 = nothing uploaded yet */
	wall_ms expires_ms;
};

/* app_id may be NULL. RATE_LIMIT beyond LIM_SOURCES of a user. */
int store_source_insert(struct tx *tx, const char *user_id, const char *app_id, char id[37],
			struct err *err);
/* NOT_FOUND (resource "source"), also when it has expired. */
int store_source_get(struct tx *tx, const char *id, struct store_source *out, struct err *err);
/* Bytes that all of a user's sources take, but for this one. */
int store_source_usage(struct tx *tx, const char *user_id, const char *but_id, int64_t *bytes,
		       struct err *err);
/* It is good for LIM_SOURCE_MS from now. */
int store_source_uploaded(struct tx *tx, const char *id, int64_t size, struct err *err);
/* Forgets the expired ones; those that are left. */
int store_sources_expire(struct tx *tx, struct store_ids *left, struct err *err);

#endif
