/* build.h - build records and slug records. See user.h for the conventions. */
#ifndef STORE_BUILD_H
#define STORE_BUILD_H

#include "daemon/store/store.h"

enum store_status { STORE_PENDING, STORE_SUCCEEDED, STORE_FAILED, STORE_EXPIRED };
const char *store_status_name(enum store_status s); /* "pending" ... */

struct store_build {
	char id[37], app_id[37], user_id[37];
	char slug_id[37], release_id[37]; /* "" = none */
	char *user_email;
	enum store_status status;
	char source[8]; /* "git" | "tarball" */
	char *source_url;
	char *ref, *version, *version_description, *checksum; /* may be NULL */
	char *buildpacks;				      /* JSON array of {url, name} */
	char *stack;
	char *failure; /* why, for people; may be NULL */
	char output_secret[65];
	wall_ms created_ms, updated_ms;
};
struct store_builds {
	struct store_build *v;
	int n;
};
void store_build_clear(struct store_build *b);
void store_builds_clear(struct store_builds *l);
#define store_build_clear_p  store_build_clear
#define store_builds_clear_p store_builds_clear

struct store_build_new { /* borrowed */
	const char *app_id, *user_id;
	const char *source;				 /* "git" | "tarball" */
	const char *source_url;				 /* NULL = "" */
	const char *ref, *version, *version_description; /* may be NULL */
	const char *checksum;				 /* may be NULL */
	const char *buildpacks;				 /* JSON; NULL = [] */
	const char *stack;
};
/* Status pending; id and output secret are made here. */
int store_build_insert(struct tx *tx, const struct store_build_new *in, struct store_build *out,
		       struct err *err);
/* app_id NULL = of any app. NOT_FOUND (resource "build"). */
int store_build_get(struct tx *tx, const char *app_id, const char *id, struct store_build *out,
		    struct err *err);
int store_builds_list(struct tx *tx, const char *app_id, int limit, struct store_builds *out,
		      struct err *err); /* newest first; limit 0 = all */
int store_builds_pending(struct tx *tx, struct store_builds *out, struct err *err); /* all apps */
int store_build_set_buildpacks(struct tx *tx, const char *id, const char *json, struct err *err);
int store_build_set_release(struct tx *tx, const char *id, const char *release_id, struct err *err);
/* Ends a pending build; CONFLICT when it has ended already. slug_id, failure may be NULL. */
int store_build_finish(struct tx *tx, const char *id, enum store_status status, const char *slug_id,
		       const char *failure, struct err *err);
/* A build that succeeded but whose ref could not be moved: failed after all. */
int store_build_unfinish(struct tx *tx, const char *id, const char *failure, struct err *err);

/* --- slugs --- */
struct store_slug {
	char id[37], app_id[37];
	char *commit, *commit_description; /* may be NULL */
	char *process_types;		   /* JSON object */
	char *language, *checksum;	   /* may be NULL */
	char *stack;
	char *manifest; /* of app.json: as appjson_manifest has it; NULL = none */
	int64_t size;	/* bytes; -1 = unknown */
	bool waiting;	/* for its blob: there is no folder yet */
	wall_ms created_ms, updated_ms;
};
void store_slug_clear(struct store_slug *s);
#define store_slug_clear_p store_slug_clear

struct store_slug_new { /* borrowed; id is given by whoever made the folder */
	const char *id, *app_id;
	const char *commit, *commit_description, *language, *checksum; /* may be NULL */
	const char *process_types;
	const char *stack;
	const char *manifest; /* as appjson_manifest has it; may be NULL */
	int64_t size;	      /* -1 = unknown */
	bool waiting;
};
int store_slug_insert(struct tx *tx, const struct store_slug_new *in, struct err *err);
/* app_id: of the app that made it, or of one that has released it; NULL = any. NOT_FOUND (resource
 * "slug"). */
int store_slug_get(struct tx *tx, const char *app_id, const char *id, struct store_slug *out,
		   struct err *err);
/* The blob of a waiting one is there. CONFLICT when it was already. */
int store_slug_uploaded(struct tx *tx, const char *id, int64_t size, const char *checksum,
			struct err *err);
struct store_ids {
	char (*v)[37]; /* owned; sorted with strcmp */
	int n;
};
void store_ids_clear(struct store_ids *l);
#define store_ids_clear_p store_ids_clear
int store_ids_read(struct stmt *s, struct store_ids *out, struct err *err); /* column 0 */
bool store_ids_has(const struct store_ids *l, const char *id);
/* Slugs that must stay: of current and pending releases, and the newest `keep` of each app (which
 * takes in those just built), its own and those of other apps that it was promoted from; and those
 * that wait for their blob, for a while. Delete the folder
 * first, then the row: a row without a folder is repaired by the next collection, a folder without
 * a row is swept at start. */
int store_slugs_in_use(struct tx *tx, int keep, struct store_ids *out, struct err *err);
int store_slugs_all(struct tx *tx, struct store_ids *out, struct err *err);
/* Releases of it lose their slug, and with it the right to be rolled back to. */
int store_slug_delete(struct tx *tx, const char *id, struct err *err);

#endif
