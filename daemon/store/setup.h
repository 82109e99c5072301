/* setup.h - rows of app setups. See user.h for the conventions. */
#ifndef STORE_SETUP_H
#define STORE_SETUP_H

#include "daemon/store/app.h"
#include "daemon/store/build.h"

#include <jansson.h>

struct store_setup {
	char id[37], app_id[37], user_id[37]; /* the app may be gone */
	char build_id[37];		      /* "" = none yet */
	char postdeploy_dyno[37];	      /* "" = not started */
	char step[16];
	char *app_name, *user_email;
	enum store_status status;
	char *environment;     /* NULL = none */
	char *stack;	       /* asked for; NULL = app.json's */
	char *source;	       /* JSON, without secrets: overrides have the whole of it */
	char *version;	       /* may be NULL */
	char *manifest;	       /* text of app.json; NULL = not read yet, "" = has none */
	char *failure;	       /* may be NULL */
	char *manifest_errors; /* JSON array of texts */
	char *postdeploy_output, *success_url;		      /* may be NULL */
	int postdeploy_exit;				      /* -1 = not known */
	bool postdeploy_ran, postdeploy_done, keep, canceled; /* ran: it has been started */
	wall_ms created_ms, updated_ms;
};
struct store_setups {
	struct store_setup *v;
	int n;
};
void store_setup_clear(struct store_setup *s);
void store_setups_clear(struct store_setups *l);
#define store_setup_clear_p  store_setup_clear
#define store_setups_clear_p store_setups_clear

struct store_setup_new { /* borrowed */
	const char *id, *app_id, *app_name, *user_id;
	const char *environment, *stack, *version; /* may be NULL */
	const char *source;			   /* JSON */
	const json_t *overrides; /* {source, fixed, env, stage, buildpacks}: sealed */
	bool keep;
};
int store_setup_insert(struct tx *tx, const struct store_setup_new *in, struct err *err);
/* NOT_FOUND (resource "app setup"). */
int store_setup_get(struct tx *tx, const char *id, struct store_setup *out, struct err *err);
/* The one that made the app. NOT_FOUND. */
int store_setup_of_app(struct tx *tx, const char *app_id, struct store_setup *out, struct err *err);
int store_setups_pending(struct tx *tx, struct store_setups *out,
			 struct err *err); /* oldest first */
int store_setup_overrides(struct tx *tx, const char *id, json_t **out, struct err *err);
/* Each is nothing to one that has ended. */
int store_setup_set_step(struct tx *tx, const char *id, const char *step, struct err *err);
int store_setup_set_manifest(struct tx *tx, const char *id, const char *text, const char *version,
			     struct err *err); /* version NULL = as it is */
int store_setup_set_build(struct tx *tx, const char *id, const char *build_id, struct err *err);
/* Before it starts: from here on it will not be started again. */
int store_setup_set_postdeploy(struct tx *tx, const char *id, const char *dyno_id, struct err *err);
int store_setup_postdeploy_ended(struct tx *tx, const char *id, int exit_code, const char *output,
				 struct err *err);
int store_setup_cancel(struct tx *tx, const char *id, struct err *err);
/* failure NULL = succeeded. manifest_errors: JSON array, NULL = []. CONFLICT when it has ended. */
int store_setup_finish(struct tx *tx, const char *id, const char *failure,
		       const char *manifest_errors, const char *success_url, struct err *err);
/* Forgets ended ones whose app is gone, LIM_SETUP_KEEP_MS after. */
int store_setups_expire(struct tx *tx, struct err *err);

#endif
