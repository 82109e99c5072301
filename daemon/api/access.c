/* Who asks, and what they may: the one place of both. */
#include "daemon/addon/addon.h"
#include "daemon/api/addons.h"
#include "daemon/api/api_int.h"

#include <string.h>
#include <strings.h>

char *api_credentials(struct http_x *x, char **user)
{
	const char *h = http_header(x, "authorization");
	AUTO(buf_clear) struct buf b = {0};
	const char *colon;

	if (!h)
		return NULL;
	if (strncasecmp(h, "bearer ", 7) == 0)
		return xstrdup(h + 7 + strspn(h + 7, " "));
	if (strncasecmp(h, "basic ", 6) != 0)
		return NULL;
	h += 6 + strspn(h + 6, " ");
	if (base64_decode(h, strlen(h), &b) < 0 || memchr(buf_str(&b), 0, b.len) ||
	    !(colon = strchr(buf_str(&b), ':')))
		return NULL;
	if (user)
		*user = xstrndup(b.data, (size_t)(colon - b.data));
	return xstrdup(colon + 1);
}

struct who {
	struct api_req *q;
	const char *token;
	struct store_auth auth;
};

static int read_who(struct tx *tx, void *arg, struct err *err)
{
	struct who *w = arg;

	return store_auth_by_token(tx, w->token, &w->auth, &w->q->user, err);
}

/* --- providers of add-ons: a token of one add-on, for a handful of routes --- */

struct partner_tx {
	struct api_req *q;
	const char *token;
};

static int read_partner(struct tx *tx, void *arg, struct err *err)
{
	struct partner_tx *t = arg;
	struct api_req *q = t->q;
	AUTO(store_addon_clear) struct store_addon a = {0};
	struct err e = {0};

	if (store_addon_token_find(tx, t->token, ADDON_TOKEN_ACCESS, q->partner, &e) < 0 ||
	    store_addon_find(tx, q->partner, &a, &e) < 0) {
		q->partner[0] = 0;
		if (e.code != ERR_NOT_FOUND) {
			*err = e;
			return -1;
		}
		return err_set(err, ERR_UNAUTHORIZED, "Invalid credentials provided.");
	}
	q->user.email = xasprintf("%s (provider)", a.service); /* whom the audit trail names */
	return 0;
}

static int authenticate_partner(struct api_req *q, const char *token, struct err *err)
{
	struct partner_tx t = {q, token};

	if (store_read(q->d->store, read_partner, &t, err) < 0)
		return -1;
	return q->route->flags & API_PARTNER
		       ? 0
		       : err_set(err, ERR_FORBIDDEN,
				 "The token of an add-on's provider does not allow that.");
}

/* Its own add-on, and nothing else exists. */
static int authorise_partner(struct api_req *q, struct err *err)
{
	if ((q->route->flags & API_PARTNER) && q->params[0] &&
	    strcmp(q->params[0], q->partner) == 0)
		return 0;
	return api_addon_none(err);
}

const char *api_caller(const struct api_req *q)
{
	return q->user.id[0] ? q->user.id : q->partner;
}

int api_authenticate(struct api_req *q, struct err *err)
{
	AUTO(auto_str) char *token = api_credentials(q->x, NULL);
	struct who w = {.q = q, .token = token};
	bool ok;

	if (!token || !*token)
		return err_set(err, ERR_UNAUTHORIZED, "Invalid credentials provided.");
	if (strncmp(token, ADDON_TOKEN_PREFIX, strlen(ADDON_TOKEN_PREFIX)) == 0)
		return authenticate_partner(q, token, err);
	if (store_read(q->d->store, read_who, &w, err) < 0) {
		store_auth_clear(&w.auth);
		return -1;
	}
	memcpy(q->auth_id, w.auth.id, sizeof q->auth_id);
	ok = api_scope_allows(w.auth.scope, q->route->scope);
	store_auth_clear(&w.auth);
	return ok ? 0
		  : err_set(err, ERR_FORBIDDEN,
			    "The scope of this OAuth authorization does not allow that.");
}

static int read_user(struct tx *tx, void *arg, struct err *err)
{
	struct who *w = arg;
	struct err e = {0};

	if (store_user_by_email(tx, w->token, &w->q->user, &e) == 0 || e.code == ERR_NOT_FOUND)
		return 0; /* no such account: no user, which the password's check takes */
	*err = e;
	return -1;
}

int api_login_password(struct api_req *q, const char *email, const char *password, const char *code,
		       struct err *err)
{
	struct who w = {.q = q, .token = email};

	store_user_clear(&q->user);
	if (store_read(q->d->store, read_user, &w, err) < 0)
		return -1;
	if (api_password_check(q, email, q->user.password, password, err) < 0) {
		/* Of accounts that exist; those rows are few, by the limit on guesses. */
		if (err->code == ERR_UNAUTHORIZED && q->user.id[0])
			api_audit(q, "login.failed", "password");
		return -1;
	}
	if (q->user.suspended_ms) {
		api_audit(q, "login.failed", "suspended");
		return err_set(err, ERR_SUSPENDED,
			       "This account is suspended; an administrator can tell why.");
	}
	return api_second_factor(q, &q->user, code, err);
}

int api_login(struct api_req *q, struct err *err)
{
	AUTO(auto_str) char *email = NULL;
	AUTO(auto_str) char *password = NULL;
	int rc = api_authenticate(q, err);

	if (rc == 0 || err->code != ERR_UNAUTHORIZED)
		return rc;
	password = api_credentials(q->x, &email);
	if (!email || !*email || !*password)
		return rc;
	rc = api_login_password(q, email, password, http_header(q->x, "heroku-two-factor-code"),
				err);
	explicit_bzero(password, strlen(password));
	return rc;
}

static const struct {
	unsigned perm;
	const char *name;
} needs[] = {
	[NEED_VIEW] = {STORE_VIEW, "view"},	     [NEED_DEPLOY] = {STORE_DEPLOY, "deploy"},
	[NEED_OPERATE] = {STORE_OPERATE, "operate"}, [NEED_MANAGE] = {STORE_MANAGE, "manage"},
	[NEED_OWNER] = {STORE_OWNER, "owner"},
};

static int read_access(struct tx *tx, void *arg, struct err *err)
{
	struct api_req *q = arg;

	if (store_app_find(tx, q->params[0], &q->app, err) < 0)
		return -1;
	return store_app_access(tx, q->user.id, q->app.id, &q->perms, err);
}

int api_authorise(struct api_req *q, struct err *err)
{
	enum api_need need = q->route->need;

	if (need == NEED_NONE || need == NEED_PUBLIC)
		return 0;
	if (q->partner[0])
		return authorise_partner(q, err);
	if (need == NEED_PARTNER)
		return err_set(err, ERR_FORBIDDEN, "Only the add-on's provider can do that.");
	if (need == NEED_UNSET || !q->user.id[0])
		return err_set(err, ERR_FORBIDDEN, "Nobody can do that.");
	if (need == NEED_BASIC || need == NEED_USER)
		return 0;
	if (need == NEED_ADMIN)
		return q->user.admin
			       ? 0
			       : err_set(err, ERR_FORBIDDEN, "Only administrators can do that.");
	if (store_read(q->d->store, read_access, q, err) < 0)
		return -1;
	/* Without any right the app does not exist for the caller: names must not leak. */
	if (q->perms == 0)
		return err_not_found(err, "app");
	if (!(q->perms & needs[need].perm))
		return err_set(err, ERR_FORBIDDEN, "You do not have the %s permission on %s.",
			       needs[need].name, q->app.name);
	return 0;
}
