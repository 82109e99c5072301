/* api_int.h - inside daemon/api. */
#ifndef API_API_INT_H
#define API_API_INT_H

#include "daemon/api/api.h"
#include "daemon/api/fields.h"
#include "daemon/api/limiter.h"
#include "daemon/api/replay.h"
#include "daemon/core/pool.h"
#include "daemon/hook/hook.h"
#include "daemon/store/app.h"
#include "daemon/store/user.h"
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

DEFINE_AUTO(json_t *, json_decref)

struct attach_ticket;
struct api_logins;

struct api {
	struct api_deps d;
	struct pool *pool;
	struct pool *streams;	       /* long answers: build and release output */
	struct pool *transfers;	       /* files, both ways */
	struct attach_ticket *tickets; /* attach.c; loop thread */
	struct api_limiter *requests;  /* of each account; NULL = no limit */
	struct api_replays *replays;
	LIST_HEAD(api_waiting, api_req) waiting; /* for their bodies; loop thread */
	LIST_HEAD(api_tails, log_reader) tails;	 /* logs.c; loop thread */
	bool tails_over;
	/* wrong passwords (password.c) */
	struct api_limiter *by_address, *by_account;
	struct api_logins *logins;   /* login.h */
	unsigned char page_key[32];  /* of forms' tokens (page.c); new with each start */
	struct api_limiter *by_code; /* of each account: codes of second factors */
	pthread_mutex_t hashing;     /* one at a time: each takes 64 MiB */
	atomic_int hash_waiting;
	/* uploads.c: the thread that sweeps, and its end */
	struct thread *sweeper;
	pthread_mutex_t sweep_lock;
	pthread_cond_t sweep_end;
	bool closing;
	pthread_mutex_t volumes; /* storage.c: making, growing and destroying, one at a time */
};

/* What a caller needs, one table (routes.c). Deny by default: a route that says nothing admits
 * nobody.
 */
enum api_need {
	NEED_UNSET,
	NEED_PUBLIC, /* anyone at all */
	NEED_NONE,   /* no credentials: the URL carries its own secret */
	NEED_BASIC,  /* the handler checks e-mail and password, or a token */
	NEED_USER,   /* any account */
	NEED_ADMIN,
	NEED_PARTNER, /* the add-on :add_on's own provider, by its token */
	NEED_VIEW,    /* on :app, which is the path's first parameter from here on */
	NEED_DEPLOY,
	NEED_OPERATE,
	NEED_MANAGE,
	NEED_OWNER,
};
enum api_scope { /* Heroku OAuth: read and write leave config vars and the like to -protected */
		 SCOPE_UNSET,
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
	char auth_id[37];	  /* "" = by password */
	char partner[37];	  /* the add-on whose provider asks; "" = none, but user does */
	struct store_app app;	  /* when the route needs a permission on :app */
	unsigned perms;
	json_t *body;		  /* parsed JSON; NULL = none */
	struct buf raw;		  /* the body as it came */
	struct replay_key replay; /* being carried out; "" = not remembered */
	bool answered;
	/* while the body is waited for; loop thread */
	LIST_ENTRY(api_req) link;
	struct loop_timer *timer;
	struct replay_key key; /* of the request, known before its body */
	bool known;	       /* by key: it may be one that comes again */
	bool late;	       /* the body did not come in time */
};

typedef int api_fn(struct api_req *q, struct err *err);

struct api_route {
	const char *method, *path;
	enum api_need need;
	enum api_scope scope;
	api_fn *fn;
	unsigned flags;
	const char *text; /* for docs/api.md */
	/* What the body may hold: checked before fn. NULL: nothing, whatever is sent is passed
	 * over, as clients send empty objects. */
	const struct api_field *body;
};
#define API_ON_LOOP 1u	 /* runs on the loop and must not block */
#define API_BODY    2u	 /* a JSON object is required */
#define API_LONG    4u	 /* runs for minutes: own pool */
#define API_UPLOAD  16u	 /* the handler reads the body itself */
#define API_FILE    32u	 /* a file goes in or out: own pool */
#define API_STREAM  8u	 /* the answer has no end of its own: no HEAD */
#define API_HEAD    128u /* HEAD all the same: the handler sees to it */
#define API_HTML    64u	 /* HTML for people in a browser (page.h) */
#define API_PARTNER 256u /* also for the provider of the path's first parameter, an add-on */

/* Tables of routes, each in a file of its own; all are looked through in this order. */
extern const struct api_route api_routes_addons[], api_routes_data[], api_routes_storage[],
	api_routes_scheduler[], api_routes_pipelines[], api_routes_setups[],
	api_routes_review[];				 /* each ends with method NULL */
extern const struct api_route *const api_route_tables[]; /* ends with NULL */
/* Two loops in one: break ends the inner one only. */
#define API_EACH_ROUTE(r)                                                              \
	for (const struct api_route *const *r##_t = api_route_tables; *r##_t; r##_t++) \
		for (const struct api_route *r = *r##_t; r->method; r++)

/* --- matching and access, without side effects (match.c) --- */
struct api_span {
	const char *p;
	size_t n;
};
/* path against "/apps/:app/x"; params get the raw text of each :x. */
bool api_match(const char *pattern, const char *path, struct api_span params[API_PARAMS]);
/* scopes: separated by blanks, of a token. Unknown ones give nothing. */
bool api_scope_allows(const char *scopes, enum api_scope need);
bool api_scope_known(const char *scope);
/* False: the client wants another version than 3, or cannot take JSON of this API. */
bool api_accepts(const char *accept_header);
/* False: a browser sends this for a page of another site. */
bool api_own_site(const char *sec_fetch_site_header);
/* The etag is in an If-None-Match header. */
bool api_etag_known(const char *header, const char *etag);

/* --- who (access.c); UNAUTHORIZED, FORBIDDEN, or NOT_FOUND for apps of others --- */
int api_authenticate(struct api_req *q, struct err *err); /* by token */
int api_login(struct api_req *q, struct err *err);	  /* by token, or by address and password */
int api_authorise(struct api_req *q, struct err *err);
/* Credentials of the request: the token or password; user gets the part before ':' of Basic. */
char *api_credentials(struct http_x *x, char **user);
/* q->user becomes the account when the password, and a code where one is needed, are right.
 * UNAUTHORIZED, SUSPENDED, TWO_FACTOR, RATE_LIMIT, UNAVAILABLE. code may be NULL. */
int api_login_password(struct api_req *q, const char *email, const char *password, const char *code,
		       struct err *err);
/* 0 when u needs none. TWO_FACTOR: missing, wrong or used; RATE_LIMIT after too many wrong ones. */
int api_second_factor(struct api_req *q, const struct store_user *u, const char *code,
		      struct err *err);
/* The caller's present password, where the account has one: INVALID_PARAMS when it is missing,
 * FORBIDDEN when wrong, RATE_LIMIT. */
int api_check_present(struct api_req *q, const char *password, struct err *err);
#define API_TOKEN 54 /* PAAS- and 48 digits */
void api_new_token(char out[API_TOKEN]);

/* --- passwords (password.c): not on the loop --- */
void api_passwords_init(struct api *a);
void api_passwords_free(struct api *a);
/* UNAUTHORIZED when wrong, RATE_LIMIT after too many wrong ones, UNAVAILABLE when many are being
 * checked. hash NULL: no such account, or one without password; takes as long. */
int api_password_check(struct api_req *q, const char *email, const char *hash, const char *password,
		       struct err *err);
int api_password_hash(struct api_req *q, const char *password, char out[128], struct err *err);
extern const char api_password_none[]; /* hash of nothing, as costly as a real one */

/* --- answers --- */
int api_ok(struct api_req *q, int status, json_t *body); /* takes body */
/* Sorted and cut by the Range header (range.h); fields: what it can be sorted by, the default
 * first. Every item must have them all, as text, or as numbers. Takes list. */
int api_list(struct api_req *q, json_t *list, const char *fields, struct err *err);
/* The same for long lists: only what the page shows becomes JSON. items: n of size bytes, borrowed;
 * key sets key and id of a row for one of fields (text; in q's arena if it must be made). */
struct api_row;
typedef void api_key_fn(struct api_req *q, const void *item, const char *field,
			struct api_row *row);
typedef json_t *api_item_fn(struct api_req *q, const void *item);
int api_list_rows(struct api_req *q, void *items, size_t size, size_t n, const char *fields,
		  api_key_fn *key, api_item_fn *item, struct err *err);
void api_error(struct http_x *x, const struct err *e);
/* Audit row: detail names keys, never values. */
void api_audit(struct api_req *q, const char *action, const char *fmt, ...) PRINTF(3, 4);

/* Who is counted and named: the account, or the add-on whose provider asks. "" = nobody. */
const char *api_caller(const struct api_req *q);
/* Constant time; an empty secret is none. */
bool api_same_secret(const char *a, const char *b);
/* Text that is still being written, from its start to its end. more adds what follows offset, and
 * waits for it a while. */
int api_stream(struct api_req *q,
	       int (*more)(struct api_req *q, uint64_t offset, struct buf *out, bool *done,
			   struct err *err),
	       struct err *err);
/* What a buildpack may be called, in lists and in builds; an F_LINE. */
int api_buildpack_check(const char *url, struct err *err);

/* --- reading the body (body.c); each complains with INVALID_PARAMS naming the field --- */
int api_body_parse(const char *data, size_t len, json_t **out, struct err *err);
/* A number from an integer or from text of digits, which clients send too; signed: text may have +
 * or -, and *relative says that it had. -1 when it is none; out of int64 saturates. */
int api_number(const json_t *v, int64_t *out, bool *relative);

unsigned api_requests_left(struct api_req *q); /* of the account, this hour */
/* :account of the path is the caller: "~", id or address. NOT_FOUND otherwise. */
int api_own_account(struct api_req *q, struct err *err);

/* --- resources as JSON (json.c) --- */
json_t *json_time(wall_ms t); /* null for 0 */
/* Never NULL: what is not UTF-8 in s (of commits, Procfiles) becomes U+FFFD; NULL becomes "". */
json_t *json_text(const char *s);
json_t *json_str_or_null(const char *s);
json_t *json_id_or_null(const char *id); /* {"id": id}, null for "" */
json_t *json_user_ref(const char *id, const char *email);
json_t *json_app_ref(const struct store_app *a);
json_t *json_app(struct api_req *q, const struct store_app *a);
json_t *json_account(const struct store_user *u);
json_t *json_named_ref(const char *kind, const char *name); /* {id, name}, id made of the name */
char *api_public_url(struct api_req *q, const char *path_fmt, ...) PRINTF(2, 3); /* owned */
char *api_web_url(struct api_req *q, const char *app_name);			 /* owned */

/* Whether this platform's one stack or region is meant. */
bool api_is_stack(const struct api_req *q, const char *id_or_name);
bool api_is_region(const char *id_or_name);

/* --- names made up (words.c) --- */
void api_words_app(char out[32]);  /* quiet-river-12345 */
void api_words_cert(char out[32]); /* quiet-1234 */

/* --- request bodies: in the file of their handler --- */
extern const struct api_field api_fields_app_create[], api_fields_app_update[],
	api_fields_build_create[];

/* --- code: uploads.c builds.c slugs.c --- */
extern const struct api_field api_fields_slug_create[], api_fields_buildpacks[],
	api_fields_log_session[], api_fields_config[], api_fields_release_create[],
	api_fields_formation[], api_fields_formation_batch[], api_fields_dyno_create[];
api_fn api_slugs_create, api_slug_put, api_slug_get;

/* --- to the world: domains.c certs.c transfers.c registry.c filters.c lists.c --- */
extern const struct api_field api_fields_domain_create[], api_fields_domain_update[],
	api_fields_sni[], api_fields_filter_apps[], api_fields_transfer_create[],
	api_fields_transfer_update[];
api_fn api_domains_list, api_domains_create, api_domains_info, api_domains_update,
	api_domains_delete, api_sni_list, api_sni_create, api_sni_info, api_sni_update,
	api_sni_delete, api_acm_refuse, api_acm_off, api_registry_list, api_registry_info,
	api_registry_revisions, api_registry_readme, api_filter_apps, api_none_list, api_none_found,
	api_none_made, api_app_usage, api_dyno_size, api_current_status, api_transfers_list,
	api_transfers_create, api_transfers_info, api_transfers_update, api_transfers_delete;

/* --- handlers --- */
api_fn api_account_info, api_account_update, api_rate_limits, api_user_create, api_auth_create,
	api_auth_list, api_auth_info, api_auth_delete, api_session_delete, api_apps_list,
	api_apps_create, api_apps_info, api_apps_update, api_apps_destroy, api_collab_list,
	api_collab_create, api_collab_info, api_collab_delete, api_audit_list, api_config_get,
	api_config_patch, api_release_config, api_formation_list, api_formation_batch,
	api_formation_info, api_formation_patch, api_dynos_list, api_dynos_create,
	api_dynos_restart, api_dynos_info, api_dynos_stop, api_formation_restart,
	api_formation_stop, api_dyno_sizes, api_attach_open, api_releases_list, api_releases_create,
	api_releases_info, api_release_stream, api_builds_list, api_builds_info, api_builds_cancel,
	api_builds_create, api_sources_create, api_source_put, api_source_get,
	api_build_cache_delete, api_build_stream, api_slugs_info, api_buildpacks_list,
	api_buildpacks_put, api_log_session_create, api_log_stream, api_stacks_list,
	api_stacks_info, api_regions_list, api_regions_info, api_schema, api_ca_pem,
	api_dynos_run_inside;

/* drains.c */
struct store_drain;
json_t *api_drain_json(struct api_req *q, const struct store_drain *d); /* of q->app */
extern const struct api_field api_fields_drain_create[];
api_fn api_drains_list, api_drains_create, api_drains_info, api_drains_delete;
/* webhooks.c */
extern const struct api_field api_fields_webhook_create[], api_fields_webhook_update[];
api_fn api_webhooks_list, api_webhooks_create, api_webhooks_info, api_webhooks_update,
	api_webhooks_delete, api_webhook_events_list, api_webhook_events_info,
	api_webhook_deliveries_list, api_webhook_deliveries_info, api_webhook_deliveries_retry;

/* --- webhooks' events (render.c): in the transaction of the change, after it; before a deletion
 * --- */
int api_hook(struct api_req *q, struct tx *tx, const char *entity, enum hook_action action,
	     const char *id, struct err *err);
hook_render_fn api_render; /* arg is the struct api */
/* In the file of their resource; q has d and app only. NULL when it is not there. */
json_t *api_render_addon(struct api_req *q, struct tx *tx, const char *id);
json_t *api_render_attachment(struct api_req *q, struct tx *tx, const char *id);
json_t *api_render_build(struct api_req *q, struct tx *tx, const char *id);
json_t *api_render_collab(struct api_req *q, struct tx *tx, const char *id);
json_t *api_render_domain(struct api_req *q, struct tx *tx, const char *id);
json_t *api_render_formation(struct api_req *q, struct tx *tx, const char *id);
json_t *api_render_release(struct api_req *q, struct tx *tx, const char *id);
json_t *api_render_sni(struct api_req *q, struct tx *tx, const char *id);

#endif
