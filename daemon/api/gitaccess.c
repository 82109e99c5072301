/* Who may fetch and push: the git module's questions. */
#include "daemon/api/api_int.h"
#include "daemon/store/pipeline.h"
#include "proto/names.h"

#include <stdio.h>
#include <string.h>

struct git_login {
	const char *token;
	struct store_auth auth;
	struct store_user user;
};

static int read_git_login(struct tx *tx, void *arg, struct err *err)
{
	struct git_login *g = arg;

	return store_auth_by_token(tx, g->token, &g->auth, &g->user, err);
}

int api_git_login(struct store *st, const char *token, char user_id[37], char email[256],
		  struct err *err)
{
	struct git_login g = {.token = token};
	int rc = store_read(st, read_git_login, &g, err);

	if (rc == 0 && !api_scope_allows(g.auth.scope, SCOPE_WRITE))
		rc = err_set(err, ERR_FORBIDDEN,
			     "The scope of this OAuth authorization does not allow git.");
	if (rc == 0) {
		memcpy(user_id, g.user.id, 37);
		snprintf(email, 256, "%s", g.user.email);
	}
	store_auth_clear(&g.auth);
	store_user_clear(&g.user);
	return rc;
}

struct git_app {
	const char *user_id, *name;
	unsigned perms;
	char id[37];
};

static int read_git_app(struct tx *tx, void *arg, struct err *err)
{
	struct git_app *g = arg;
	AUTO(store_app_clear) struct store_app a = {0};

	if (store_app_find(tx, g->name, &a, err) < 0)
		return -1;
	memcpy(g->id, a.id, sizeof g->id);
	return store_app_access(tx, g->user_id, a.id, &g->perms, err);
}

int api_git_app(struct store *st, const char *user_id, const char *name, bool write,
		char app_id[37], struct err *err)
{
	struct git_app g = {.user_id = user_id, .name = name};

	/* Names only, so that a URL with an id does not push to an app by surprise. */
	if (!name_is_app(name) || store_read(st, read_git_app, &g, err) < 0 || g.perms == 0)
		return err_not_found(err, "app");
	if (!(g.perms & (write ? STORE_DEPLOY : STORE_VIEW)))
		return err_set(err, ERR_FORBIDDEN, "You do not have the %s permission on %s.",
			       write ? "deploy" : "view", name);
	memcpy(app_id, g.id, 37);
	return 0;
}

/* --- pipelines' own repositories --- */

static int read_git_pipeline(struct tx *tx, void *arg, struct err *err)
{
	struct git_app *g = arg;
	AUTO(store_pipeline_clear) struct store_pipeline p = {0};

	if (store_pipeline_find(tx, g->name, &p, err) < 0)
		return -1;
	memcpy(g->id, p.id, sizeof g->id);
	return store_pipeline_access(tx, g->user_id, p.id, &g->perms, err);
}

int api_git_pipeline(struct store *st, const char *user_id, const char *name, bool write,
		     char id[37], struct err *err)
{
	struct git_app g = {.user_id = user_id, .name = name};

	if (store_read(st, read_git_pipeline, &g, err) < 0 || g.perms == 0)
		return err_not_found(err, "pipeline");
	if (!(g.perms & (write ? STORE_PIPELINE_DEPLOY : STORE_PIPELINE_VIEW)))
		return err_set(err, ERR_FORBIDDEN,
			       "You do not have the deploy permission on an app of %s.", name);
	memcpy(id, g.id, 37);
	return 0;
}
