/* release.h - releases: slug + config snapshot + process table, numbered per app, immutable but for
 * their fate. See user.h for the conventions.
 *
 * Config vars belong to the app's newest release that is not failed ("base"; pending ones count):
 * so a change made while a release command runs builds on that release, and one whose release
 * command failed is not the app's config any more, just as its slug is not the app's slug. */
#ifndef STORE_RELEASE_H
#define STORE_RELEASE_H

#include "daemon/store/build.h"

#include <jansson.h>

struct store_release {
	char id[37], app_id[37], user_id[37];
	char slug_id[37], build_id[37]; /* "" = none (or the slug was collected) */
	char command_dyno[37];		/* release dyno while it runs; "" = none */
	int version;
	enum store_status status;
	char phase[24]; /* state of the deploy machine: "queued", ... "live" | "failed" */
	bool current, has_command;
	/* Its slug is still there, and it has not failed. One whose dynos are still starting
	 * counts: clients roll back to the second of these, the first being what is to go. Only
	 * those that succeeded can be rolled back to. */
	bool eligible_for_rollback;
	char *process_types; /* JSON object */
	char *addons;	     /* JSON: {"plans": [...], "vars": [...]} (store/addon.h) */
	char *description, *user_email;
	char *failure; /* why, for people; may be NULL */
	char output_secret[65];
	wall_ms created_ms, updated_ms;
};
struct store_releases {
	struct store_release *v;
	int n;
};
void store_release_clear(struct store_release *r);
void store_releases_clear(struct store_releases *l);
#define store_release_clear_p  store_release_clear
#define store_releases_clear_p store_releases_clear

struct store_release_new { /* borrowed */
	const char *app_id, *user_id;
	const char *slug_id, *build_id; /* may be NULL */
	const json_t *config;		/* object of strings; NULL = {} */
	const char *process_types;	/* JSON object; NULL = {} */
	const char *addons;		/* as of store_release; NULL = {} */
	const char *description;
	bool has_command;
};
/* Status pending, phase queued, the app's next version, which is never used again even when the
 * release goes. With build_id the build is given the release's id. */
int store_release_insert(struct tx *tx, const struct store_release_new *in,
			 struct store_release *out, struct err *err);
/* app_id NULL = of any app. NOT_FOUND (resource "release"). */
int store_release_get(struct tx *tx, const char *app_id, const char *id, struct store_release *out,
		      struct err *err);
int store_release_by_version(struct tx *tx, const char *app_id, int version,
			     struct store_release *out, struct err *err);
/* id, "12" or "v12" */
int store_release_find(struct tx *tx, const char *app_id, const char *ref,
		       struct store_release *out, struct err *err);
/* These three: NOT_FOUND when the app has none. */
int store_release_current(struct tx *tx, const char *app_id, struct store_release *out,
			  struct err *err);
int store_release_newest(struct tx *tx, const char *app_id, struct store_release *out,
			 struct err *err);
int store_release_base(struct tx *tx, const char *app_id, struct store_release *out,
		       struct err *err);
/* What a one-off dyno runs for a command: a first word that is a process type of the current
 * release stands for its command (Dev Center: One-Off Dynos). Owned. */
char *store_release_command(struct tx *tx, const char *app_id, const char *command);
/* Versions from..to (0 = no bound), limit 0 = all. */
int store_releases_list(struct tx *tx, const char *app_id, int from, int to, bool desc, int limit,
			struct store_releases *out, struct err *err);
int store_releases_pending(struct tx *tx, struct store_releases *out,
			   struct err *err); /* all apps; by app, then version */

/* Config of one release as it was made; of the app: its base's ({} when it has none) with the
 * values that add-ons have now. The caller owns *out. */
int store_release_config(struct tx *tx, const char *id, json_t **out, struct err *err);
int store_app_config(struct tx *tx, const char *app_id, json_t **out, struct err *err);

int store_release_set_phase(struct tx *tx, const char *id, const char *phase, struct err *err);
int store_release_set_command_dyno(struct tx *tx, const char *id, const char *dyno_id,
				   struct err *err); /* NULL = none */
/* Ends a pending release as failed (or expired); CONFLICT when it is not pending. Phase "failed".
 */
int store_release_fail(struct tx *tx, const char *id, enum store_status status, const char *failure,
		       struct err *err);
/* Succeeded, phase "live", current in the old one's place; the app's released_at, slug size and
 * stack follow. */
int store_release_make_current(struct tx *tx, const char *id, struct err *err);

#endif
