/* From a request to its handler: match, authenticate, authorise, parse, answer. */
#include "daemon/api/api_int.h"
#include "daemon/core/xlog.h"
#include "daemon/store/session.h"
#include "proto/limits.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct api *api_new(const struct api_deps *deps)
{
	struct api *a = xcalloc(1, sizeof *a);

	a->d = *deps;
	a->pool = pool_new("api", 8, 256);
	a->streams = pool_new("stream", 8, 64);
	return a;
}

void api_free(struct api *a)
{
	if (!a)
		return;
	pool_free(a->pool);
	pool_free(a->streams);
	free(a);
}

/* --- answers --- */

void api_error(struct http_x *x, const struct err *e)
{
	AUTO(json_decref) json_t *body = json_pack("{s:s, s:s}", "id", e->id, "message", e->msg);
	AUTO(auto_str) char *text = NULL;

	if (!body) /* not UTF-8: the message quotes what came from outside */
		body = json_pack("{s:s, s:s}", "id", e->id, "message",
				 "The request has invalid text.");
	if (e->resource)
		json_object_set_new(body, "resource", json_string(e->resource));
	text = json_dumps(body, JSON_COMPACT);
	if (e->status == 401)
		http_set(x, "WWW-Authenticate", "Basic realm=\"paasd\"");
	http_reply(x, e->status, "application/json", text, strlen(text));
}

int api_ok(struct api_req *q, int status, json_t *body)
{
	AUTO(auto_str) char *text = json_dumps(body, JSON_INDENT(2) | JSON_ENCODE_ANY);
	const char *known = http_header(q->x, "if-none-match");
	char sum[65], etag[40];

	json_decref(body);
	if (!text)
		abort(); /* resources are built of valid UTF-8 */
	q->answered = true;
	if (strcmp(q->route->method, "GET") == 0 && status == 200) {
		sha256_hex(text, strlen(text), sum);
		snprintf(etag, sizeof etag, "\"%.32s\"", sum);
		http_set(q->x, "ETag", etag);
		if (known && strstr(known, etag)) {
			http_reply(q->x, 304, NULL, NULL, 0);
			return 0;
		}
	}
	http_reply(q->x, status, "application/json", text, strlen(text));
	return 0;
}

/* --- matching --- */

static bool match(struct api_req *q, const char *pattern, const char *path)
{
	int n = 0;

	while (*pattern || *path) {
		if (*pattern == ':') {
			size_t len = strcspn(path, "/");
			AUTO(buf_clear) struct buf b = {0};

			if (len == 0 || n == API_PARAMS || percent_decode(path, len, false, &b) < 0)
				return false;
			q->params[n++] = http_strdup(q->x, buf_str(&b));
			path += len;
			pattern += strcspn(pattern, "/");
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return true;
}

static const struct api_route *find_route(struct api_req *q, struct err *err)
{
	const char *method = http_method(q->x);
	AUTO(auto_str) char *path = xstrdup(http_path(q->x));
	AUTO(buf_clear) struct buf allow = {0};
	size_t n = strlen(path);

	if (n > 1 && path[n - 1] == '/')
		path[n - 1] = 0;
	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	for (const struct api_route *r = api_routes; r->method; r++) {
		if (!match(q, r->path, path))
			continue;
		if (strcmp(r->method, method) == 0)
			return r;
		buf_addf(&allow, "%s%s", allow.len ? ", " : "", r->method);
	}
	if (allow.len) {
		http_set(q->x, "Allow", buf_str(&allow));
		err_set(err, ERR_METHOD_NOT_ALLOWED, "This endpoint takes %s.", buf_str(&allow));
	} else {
		err_set(err, ERR_NOT_FOUND,
			"The requested API endpoint was not found: see docs/api.md for those that "
			"exist.");
	}
	return NULL;
}

/* --- who --- */

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
	if (base64_decode(h, strlen(h), &b) < 0 || !(colon = strchr(buf_str(&b), ':')))
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

#define BIT(s) (1u << (s))
/* Scopes include one another: global > write-protected > write; global > read-protected > read. */
static bool scope_allows(const char *have, enum api_scope need)
{
	static const struct {
		const char *name;
		unsigned gives;
	} scopes[] = {
		{"global", ~0u},
		{"read", BIT(SCOPE_ANY) | BIT(SCOPE_READ)},
		{"write", BIT(SCOPE_ANY) | BIT(SCOPE_READ) | BIT(SCOPE_WRITE)},
		{"read-protected", BIT(SCOPE_ANY) | BIT(SCOPE_READ) | BIT(SCOPE_READ_PROTECTED)},
		{"write-protected", BIT(SCOPE_ANY) | BIT(SCOPE_READ) | BIT(SCOPE_WRITE) |
					    BIT(SCOPE_READ_PROTECTED) | BIT(SCOPE_WRITE_PROTECTED)},
		{"identity", BIT(SCOPE_ANY)},
	};
	AUTO(auto_str) char *list = xstrdup(have);
	char *save = NULL;

	for (char *s = strtok_r(list, " ", &save); s; s = strtok_r(NULL, " ", &save))
		for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
			if (strcmp(s, scopes[i].name) == 0 && (scopes[i].gives & BIT(need)))
				return true;
	return false;
}

static int authenticate(struct api_req *q, struct err *err)
{
	AUTO(auto_str) char *token = api_credentials(q->x, NULL);
	struct who w = {.q = q, .token = token};
	bool ok;

	if (!token || !*token)
		return err_set(err, ERR_UNAUTHORIZED, "Invalid credentials provided.");
	if (store_read(q->d->store, read_who, &w, err) < 0) {
		store_auth_clear(&w.auth);
		return err->code == ERR_UNAUTHORIZED
			       ? err_set(err, ERR_UNAUTHORIZED, "Invalid credentials provided.")
			       : -1;
	}
	memcpy(q->auth_id, w.auth.id, sizeof q->auth_id);
	ok = scope_allows(w.auth.scope, q->route->scope);
	store_auth_clear(&w.auth);
	return ok ? 0
		  : err_set(err, ERR_FORBIDDEN,
			    "The scope of this OAuth authorization does not allow that.");
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

static int authorise(struct api_req *q, struct err *err)
{
	if (q->route->need == NEED_ADMIN && !q->user.admin)
		return err_set(err, ERR_FORBIDDEN, "Only administrators can do that.");
	if (q->route->need < NEED_VIEW)
		return 0;
	if (store_read(q->d->store, read_access, q, err) < 0)
		return -1;
	/* Without any right the app does not exist for the caller: names must not leak. */
	if (q->perms == 0)
		return err_not_found(err, "app");
	if (!(q->perms & needs[q->route->need].perm))
		return err_set(err, ERR_FORBIDDEN, "You do not have the %s permission on %s.",
			       needs[q->route->need].name, q->app.name);
	return 0;
}

/* --- body --- */

static int parse_body(struct api_req *q, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	json_error_t je;

	if (http_read_all(q->x, &b, err) < 0)
		return -1;
	if (b.len == 0)
		return q->route->flags & API_BODY
			       ? err_set(err, ERR_BAD_REQUEST, "The request needs a JSON body.")
			       : 0;
	q->body = json_loadb(b.data, b.len, JSON_REJECT_DUPLICATES, &je);
	if (!q->body)
		return err_set(err, ERR_BAD_REQUEST, "The body is not valid JSON: %s (line %d).",
			       je.text, je.line);
	if (!json_is_object(q->body))
		return err_set(err, ERR_BAD_REQUEST, "The body must be a JSON object.");
	return 0;
}

int api_known(struct api_req *q, const char *const *fields, struct err *err)
{
	const char *key;
	json_t *v;

	json_object_foreach(q->body, key, v)
	{
		bool ok = false;

		for (const char *const *f = fields; *f && !ok; f++)
			ok = strcmp(*f, key) == 0;
		if (!ok)
			return err_set(err, ERR_INVALID_PARAMS, "Unknown parameter: %.80s.", key);
	}
	return 0;
}

int api_str(struct api_req *q, const char *field, bool required, const char **out, struct err *err)
{
	json_t *v = json_object_get(q->body, field);

	*out = NULL;
	if (!v || json_is_null(v))
		return required ? err_set(err, ERR_INVALID_PARAMS,
					  "Missing required parameter: %s.", field)
				: 0;
	if (!json_is_string(v))
		return err_set(err, ERR_INVALID_PARAMS, "Parameter %s must be a string.", field);
	*out = json_string_value(v);
	return 0;
}

int api_bool(struct api_req *q, const char *field, int *out, struct err *err)
{
	json_t *v = json_object_get(q->body, field);

	*out = -1;
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_boolean(v))
		return err_set(err, ERR_INVALID_PARAMS, "Parameter %s must be true or false.",
			       field);
	*out = json_is_true(v);
	return 0;
}

int api_int(struct api_req *q, const char *field, int64_t min, int64_t max, int64_t *out,
	    bool *given, struct err *err)
{
	json_t *v = json_object_get(q->body, field);
	char *end = NULL;
	int64_t n;

	*given = false;
	if (!v || json_is_null(v))
		return 0;
	if (json_is_integer(v)) {
		n = json_integer_value(v);
	} else {
		const char *s =
			json_string_value(v); /* clients send quantities and seconds as text */

		n = s ? strtoll(s, &end, 10) : 0;
		if (!s || end == s || *end)
			return err_set(err, ERR_INVALID_PARAMS, "Parameter %s must be an integer.",
				       field);
	}
	if (n < min || n > max)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Parameter %s must be between %lld and %lld.", field, (long long)min,
			       (long long)max);
	*out = n;
	*given = true;
	return 0;
}

/* --- audit --- */

static int write_audit(struct tx *tx, void *arg, struct err *err)
{
	return store_audit_add(tx, arg, err);
}

void api_audit(struct api_req *q, const char *action, const char *fmt, ...)
{
	char detail[600];
	struct store_audit_new row = {.actor_id = q->user.id[0] ? q->user.id : NULL,
				      .actor = q->user.email,
				      .app_id = q->app.id[0] ? q->app.id : NULL,
				      .app = q->app.id[0] ? q->app.name : NULL,
				      .action = action,
				      .detail = detail,
				      .request_id = http_request_id(q->x),
				      .peer = http_peer(q->x)};
	struct err err = {0};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof detail, fmt, ap);
	va_end(ap);
	if (store_tx(q->d->store, write_audit, &row, &err) < 0)
		xlog_err(XLOG_ERROR, "api", &err, "msg=\"audit row lost\" action=%s", action);
}

/* --- a request's life --- */

static void req_free(struct api_req *q)
{
	json_decref(q->body);
	store_user_clear(&q->user);
	store_app_clear(&q->app);
	free(q);
}

static void fail(struct api_req *q, const struct err *e)
{
	/* Below 500 the caller is told; the daemon's own faults are for its log too. */
	if (e->status >= 500)
		xlog_err(XLOG_ERROR, "api", e, "request_id=%s route=%s", http_request_id(q->x),
			 q->route ? xlog_q(q->route->path) : "none");
	api_error(q->x, e);
}

static void run(void *arg)
{
	struct api_req *q = arg;
	struct err err = {0};
	int rc = 0;

	if (q->route->need > NEED_BASIC)
		rc = authenticate(q, &err);
	if (rc == 0)
		rc = authorise(q, &err);
	if (rc == 0 && strcmp(q->route->method, "GET") != 0)
		rc = parse_body(q, &err);
	if (rc == 0)
		rc = q->route->fn(q, &err);
	if (rc < 0 && !q->answered)
		fail(q, &err);
	req_free(q);
}

static void common_headers(struct http_x *x)
{
	http_set(x, "Request-Id", http_request_id(x));
	http_set(x, "Cache-Control", "private, no-cache");
	http_set(x, "RateLimit-Remaining", "4500");
	http_set(x, "X-Content-Type-Options", "nosniff");
}

void api_handle(struct http_x *x, void *arg)
{
	struct api *a = arg;
	struct api_req *q;
	struct err err = {0};

	if (git_wants(http_path(x))) {
		git_handle(a->d.git, x);
		return;
	}
	common_headers(x);
	q = xcalloc(1, sizeof *q);
	q->api = a;
	q->d = &a->d;
	q->x = x;
	q->route = find_route(q, &err);
	if (!q->route) {
		fail(q, &err);
		req_free(q);
		return;
	}
	if (q->route->flags & API_ON_LOOP) {
		if (q->route->fn(q, &err) < 0 && !q->answered)
			fail(q, &err);
		req_free(q);
		return;
	}
	http_detach(x);
	if (!pool_submit(q->route->flags & API_LONG ? a->streams : a->pool, run, q)) {
		err_set(&err, ERR_UNAVAILABLE, "The API is busy; try again in a moment.");
		fail(q, &err);
		req_free(q);
	}
}
