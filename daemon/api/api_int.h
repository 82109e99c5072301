/* api_int.h - inside daemon/api. */
#ifndef API_API_INT_H
#define API_API_INT_H

#include "daemon/api/api.h"
#include "daemon/core/pool.h"
#include "daemon/store/app.h"
#include "daemon/store/user.h"
#include <jansson.h>

DEFINE_AUTO(json_t *, json_decref)

struct attach_ticket;

struct api {
	struct api_deps d;
	struct pool *pool;
	struct pool *streams;	       /* long answers: build and release output */
	struct attach_ticket *tickets; /* attach.c; loop thread */
};

/* What a caller needs on the app named in the path: deny by default, one table (routes.c). */
enum api_need {
	NEED_NONE,  /* no credentials: the URL carries its own secret */
	NEED_BASIC, /* the handler checks e-mail and password, or a token */
	NEED_USER,  /* any account */
	NEED_ADMIN,
	NEED_VIEW, /* on :app */
	NEED_DEPLOY,
	NEED_OPERATE,
	NEED_MANAGE,
	NEED_OWNER,
};
enum api_scope { /* Heroku OAuth: read and write leave config vars and the like to -protected */
		 SCOPE_ANY, /* identity is enough */
		 SCOPE_READ,
		 SCOPE_WRITE,
		 SCOPE_READ_PROTECTED,
		 SCOPE_WRITE_PROTECTED,
		 SCOPE_GLOBAL,
};

#define API_PARAMS 3

struct api_req {
	struct api *api;
	const struct api_deps *d;
	struct http_x *x;
	const struct api_route *route;
	char *params[API_PARAMS]; /* decoded :x of the path, in order; in x's arena */
	struct store_user user;	  /* of the token */
	char auth_id[37];
	struct store_app app; /* when the route needs a permission on :app */
	unsigned perms;
	json_t *body; /* parsed JSON; NULL = none */
	bool answered;
};

typedef int api_fn(struct api_req *q, struct err *err);

struct api_route {
	const char *method, *path;
	enum api_need need;
	enum api_scope scope;
	api_fn *fn;
	unsigned flags;
	const char *text; /* for docs/api.md */
};
#define API_ON_LOOP 1u /* runs on the loop and must not block */
#define API_BODY    2u /* a JSON object is required */
#define API_LONG    4u /* runs for minutes: own pool */

extern const struct api_route api_routes[]; /* ends with method NULL */

/* --- answers --- */
int api_ok(struct api_req *q, int status, json_t *body); /* takes body */
/* Sorted and cut by the Range header; key is the property sorted by without one. Takes list. */
int api_list(struct api_req *q, json_t *list, const char *key, struct err *err);
void api_error(struct http_x *x, const struct err *e);
/* Audit row: detail names keys, never values. */
void api_audit(struct api_req *q, const char *action, const char *fmt, ...) PRINTF(3, 4);

/* --- reading the body; each complains with INVALID_PARAMS naming the field --- */
int api_known(struct api_req *q, const char *const *fields, struct err *err); /* NULL-terminated */
int api_str(struct api_req *q, const char *field, bool required, const char **out, struct err *err);
int api_bool(struct api_req *q, const char *field, int *out, struct err *err); /* -1 = absent */
int api_int(struct api_req *q, const char *field, int64_t min, int64_t max, int64_t *out,
	    bool *given, struct err *err);
/* Credentials of the request: the token or password; user gets the part before ':' of Basic. */
char *api_credentials(struct http_x *x, char **user);

/* --- resources as JSON (json.c) --- */
json_t *json_time(wall_ms t); /* null for 0 */
json_t *json_str_or_null(const char *s);
json_t *json_id_or_null(const char *id); /* {"id": id}, null for "" */
json_t *json_user_ref(const char *id, const char *email);
json_t *json_app_ref(const struct store_app *a);
json_t *json_app(struct api_req *q, const struct store_app *a);
json_t *json_account(const struct store_user *u);
json_t *json_named_ref(const char *kind, const char *name); /* {id, name}, id made of the name */
char *api_public_url(struct api_req *q, const char *path_fmt, ...) PRINTF(2, 3); /* owned */
char *api_web_url(struct api_req *q, const char *app_name);			 /* owned */

/* --- handlers --- */
#define API_HANDLERS(X)                                                                            \
	X(account_info)                                                                            \
	X(account_update) X(user_create) X(auth_create) X(auth_list) X(auth_info) X(               \
		auth_delete) X(session_delete) X(rate_limits) X(apps_list) X(apps_create)          \
		X(apps_info) X(apps_update) X(apps_destroy) X(config_get) X(config_patch) X(       \
			release_config) X(formation_list) X(formation_info) X(formation_batch)     \
			X(formation_patch) X(dynos_list) X(dynos_info) X(dynos_create) X(          \
				dynos_restart) X(formation_restart) X(dynos_stop)                  \
				X(formation_stop) X(dyno_sizes) X(releases_list) X(                \
					releases_info) X(releases_create) X(release_stream)        \
					X(builds_list) X(builds_info) X(builds_cancel) X(          \
						build_cache_delete) X(build_stream) X(slugs_info)  \
						X(buildpacks_list) X(buildpacks_put) X(            \
							log_session_create) X(log_stream)          \
							X(attach_open) X(collab_list) X(           \
								collab_create) X(collab_info)      \
								X(collab_delete) X(stacks_list) X( \
									stacks_info)               \
									X(regions_list) X(         \
										regions_info)      \
										X(audit_list)
#define X(n) api_fn api_##n;
API_HANDLERS(X)
#undef X

#endif
