/* From a request to its handler: match, authenticate, authorise, parse, answer. */
#include "daemon/api/api_int.h"
#include "daemon/api/attach.h"
#include "daemon/api/uploads.h"
#include "daemon/api/identity.h"
#include "daemon/api/login.h"
#include "daemon/api/page.h"
#include "daemon/core/xlog.h"
#include "daemon/store/session.h"
#include "proto/limits.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct api *api_new(const struct api_deps *deps)
{
	struct api *a = xcalloc(1, sizeof *a);

	API_EACH_ROUTE (r)
		assert(r->need != NEED_UNSET && r->scope != SCOPE_UNSET && r->fn && r->text &&
		       (r->body || !(r->flags & API_BODY)));
	a->d = *deps;
	api_passwords_init(a);
	hooks_render(deps->hooks, api_render, a);
	a->logins = api_logins_new();
	random_bytes(a->page_key, sizeof a->page_key);
	a->pool = pool_new("api", LIM_API_THREADS, 256);
	a->streams = pool_new("stream", LIM_API_STREAMS, 64);
	a->transfers = pool_new("transfer", LIM_UPLOADS, 4 * LIM_UPLOADS);
	pthread_mutex_init(&a->sweep_lock, NULL);
	pthread_mutex_init(&a->volumes, NULL);
	pthread_cond_init(&a->sweep_end, NULL);
	a->replays = api_replays_new();
	if (deps->cfg->api_rate_limit)
		a->requests = api_limiter_new((unsigned)deps->cfg->api_rate_limit,
					      3600000 / deps->cfg->api_rate_limit);
	return a;
}

void api_free(struct api *a)
{
	if (!a)
		return;
	pool_free(a->pool);
	pool_free(a->streams);
	pool_free(a->transfers);
	api_uploads_stop(a);
	pthread_cond_destroy(&a->sweep_end);
	pthread_mutex_destroy(&a->sweep_lock);
	pthread_mutex_destroy(&a->volumes);
	attach_tickets_free(a);
	api_passwords_free(a);
	api_logins_free(a->logins);
	api_replays_free(a->replays);
	api_limiter_free(a->requests);
	free(a);
}

/* --- answers --- */

void api_error(struct http_x *x, const struct err *e)
{
	/* Messages quote what came from outside, and are cut at a length. */
	AUTO(json_decref)
	json_t *body = json_pack("{s:s, s:o}", "id", e->id, "message", json_text(e->msg));
	AUTO(auto_str) char *text = NULL;

	if (e->resource)
		json_object_set_new(body, "resource", json_string(e->resource));
	text = json_dumps(body, JSON_COMPACT);
	if (e->status == 401)
		http_set(x, "WWW-Authenticate", "Basic realm=\"paasd\"");
	http_reply(x, e->status, "application/json", text, strlen(text));
}

/* A resource that cannot be written is a fault of ours; it costs one answer, not the daemon. */
static int unwritable(struct api_req *q)
{
	struct err err = {0};

	err_set(&err, ERR_INTERNAL, "The answer could not be written as JSON.");
	xlog_err(XLOG_ERROR, "api", &err, "request_id=%s route=%s", http_request_id(q->x),
		 xlog_q(q->route->path));
	api_error(q->x, &err);
	return 0;
}

int api_ok(struct api_req *q, int status, json_t *body)
{
	AUTO(auto_str) char *text = json_dumps(body, JSON_INDENT(2) | JSON_ENCODE_ANY);
	char sum[65], etag[40];

	json_decref(body);
	q->answered = true;
	if (!text)
		return unwritable(q);
	if (strcmp(q->route->method, "GET") == 0 && status == 200) {
		sha256_hex(text, strlen(text), sum);
		snprintf(etag, sizeof etag, "\"%.32s\"", sum);
		http_set(q->x, "ETag", etag);
		if (api_etag_known(http_header(q->x, "if-none-match"), etag)) {
			http_reply(q->x, 304, NULL, NULL, 0);
			return 0;
		}
	}
	api_replay_end(q->api->replays, &q->replay, status, text, clock_mono_ms());
	q->replay.hex[0] = 0;
	http_reply(q->x, status, "application/json", text, strlen(text));
	return 0;
}

/* --- matching --- */

static bool keep_params(struct api_req *q, const struct api_span spans[API_PARAMS])
{
	for (int i = 0; i < API_PARAMS && spans[i].p; i++) {
		AUTO(buf_clear) struct buf b = {0};

		if (percent_decode(spans[i].p, spans[i].n, false, &b) < 0 ||
		    memchr(buf_str(&b), 0, b.len))
			return false;
		q->params[i] = http_strdup(q->x, buf_str(&b));
	}
	return true;
}

static bool takes(const struct api_route *r, const char *method)
{
	/* HEAD runs a GET; for a stream that would be to wait for its end, for nothing. */
	if (strcmp(method, "HEAD") == 0)
		return strcmp(r->method, "GET") == 0 &&
		       (!(r->flags & API_STREAM) || (r->flags & API_HEAD));
	return strcmp(r->method, method) == 0;
}

static void add_allowed(struct buf *allow, const struct api_route *r)
{
	buf_addf(allow, "%s%s%s", allow->len ? ", " : "", r->method,
		 takes(r, "HEAD") ? ", HEAD" : "");
}

static const struct api_route *find_route(struct api_req *q, struct err *err)
{
	const char *method = http_method(q->x);
	AUTO(auto_str) char *path = xstrdup(http_path(q->x));
	AUTO(buf_clear) struct buf allow = {0};
	size_t n = strlen(path);
	bool bad_param = false;

	if (n > 1 && path[n - 1] == '/')
		path[n - 1] = 0;
	API_EACH_ROUTE (r) {
		struct api_span spans[API_PARAMS] = {0};

		if (!api_match(r->path, path, spans))
			continue;
		if (takes(r, method) && keep_params(q, spans))
			return r;
		bad_param = bad_param || takes(r, method);
		add_allowed(&allow, r);
	}
	if (allow.len && !bad_param) {
		http_set(q->x, "Allow", buf_str(&allow));
		err_set(err, ERR_METHOD_NOT_ALLOWED, "This endpoint takes %s.", buf_str(&allow));
	} else if (!api_not_here(path, err)) {
		err_set(err, ERR_NOT_FOUND,
			"The requested API endpoint was not found: see docs/api.md for those that "
			"exist.");
	}
	return NULL;
}

/* --- body --- */

/* Without waiting, but for bodies above what is waited for on the loop. */
static int read_body(struct api_req *q, struct err *err)
{
	struct buf *b = &q->raw;
	mono_ms until = clock_mono_ms() + LIM_API_BODY_MS;
	ssize_t n;

	if (q->late)
		return err_set(err, ERR_REQUEST_TIMEOUT, "The body took too long to come.");
	do { /* one that drips must not keep a thread for ever */
		buf_reserve(b, 16384);
		n = http_read(q->x, b->data + b->len, 16384, err);
		if (n < 0)
			return -1;
		b->len += (size_t)n;
		if (n > 0 && clock_mono_ms() > until)
			return err_set(err, ERR_REQUEST_TIMEOUT, "The body took too long to come.");
	} while (n > 0);
	return 0;
}

static int parse_body(struct api_req *q, struct err *err)
{
	if (q->raw.len > 0)
		return api_body_parse(q->raw.data, q->raw.len, &q->body, err);
	return q->route->flags & API_BODY
		       ? err_set(err, ERR_BAD_REQUEST, "The request needs a JSON body.")
		       : 0;
}

/* --- requests that come twice (replay.h) --- */

static struct replay_key replay_key(struct api_req *q)
{
	struct replay_key k = {""};
	AUTO(auto_str) char *caller = xasprintf("%s %s", q->user.id, q->auth_id);
	AUTO(auto_str) char *target = xasprintf("%s?%s", http_path(q->x), http_query(q->x));

	if (q->user.id[0] && strcmp(q->route->method, "GET") != 0 &&
	    !(q->route->flags & API_STREAM))
		api_replay_key(caller, q->route->method, target,
			       http_header(q->x, "idempotency-key"),
			       http_header(q->x, "request-id"), &k);
	return k;
}

/* 1: answered as before. 0: it is new. */
static int replay(struct api_req *q, struct replay_key *k, struct err *err)
{
	struct replay_answer a;
	int rc = api_replay_begin(q->api->replays, k, http_header(q->x, "idempotency-key") != NULL,
				  buf_str(&q->raw), q->raw.len, clock_mono_ms(), LIM_REPLAY_WAIT_MS,
				  &a, err);

	if (rc == 1) {
		http_set(q->x, "Idempotency-Replayed", "true");
		q->answered = true;
		http_reply(q->x, a.status, "application/json", a.text, strlen(a.text));
		free(a.text);
	} else if (rc == 0) {
		q->replay = *k;
	}
	return rc;
}

/* --- how many requests an account may make --- */

static int count_request(struct api_req *q, struct err *err)
{
	struct api_limiter *l = q->api->requests;
	int64_t limit = q->d->cfg->api_rate_limit;
	unsigned wait_s = 0;

	if (l && !api_limiter_take(l, api_caller(q), clock_mono_ms(), &wait_s)) {
		http_set(q->x, "RateLimit-Remaining", "0");
		http_setf(q->x, "Retry-After", "%u", wait_s);
		return err_set(err, ERR_RATE_LIMIT,
			       "Your account reached the API rate limit of %lld requests an hour: "
			       "try again in %u s.",
			       (long long)limit, wait_s);
	}
	http_setf(q->x, "RateLimit-Remaining", "%u", api_requests_left(q));
	return 0;
}

unsigned api_requests_left(struct api_req *q)
{
	return q->api->requests ? api_limiter_left(q->api->requests, api_caller(q), clock_mono_ms())
				: 4500;
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
				      .request_id = q->x ? http_request_id(q->x) : NULL,
				      .peer = q->x ? http_peer(q->x) : NULL};
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
	api_replay_end(q->api->replays, &q->replay, 0, NULL, clock_mono_ms());
	json_decref(q->body);
	buf_clear(&q->raw);
	store_user_clear(&q->user);
	store_app_clear(&q->app);
	free(q);
}

static void fail(struct api_req *q, const struct err *e)
{
	/* Below 500 the caller is told; the daemon's own faults are for its log too. That it is
	 * busy is neither. */
	if (e->status >= 500 && e->code != ERR_UNAVAILABLE)
		xlog_err(XLOG_ERROR, "api", e, "request_id=%s route=%s", http_request_id(q->x),
			 q->route ? xlog_q(q->route->path) : "none");
	if (q->route && (q->route->flags & API_HTML))
		page_say(q, e->status, "That did not work", "%s", e->msg);
	else
		api_error(q->x, e);
}

static int check_client(struct api_req *q, struct err *err)
{
	if (!(q->route->flags & API_HTML) && !api_accepts(http_header(q->x, "accept")))
		return err_set(err, ERR_NOT_ACCEPTABLE,
			       "This API has version 3 only: Accept: "
			       "application/vnd.heroku+json; version=3.");
	/* Browsers keep Basic credentials and add them to what other sites' pages send. */
	if (strcmp(q->route->method, "GET") != 0 &&
	    !api_own_site(http_header(q->x, "sec-fetch-site")))
		return err_set(err, ERR_FORBIDDEN, "Pages of other sites may not do that.");
	return 0;
}

static bool has_body(const struct api_req *q)
{
	return strcmp(q->route->method, "GET") != 0 && !(q->route->flags & API_UPLOAD);
}

/* What can be known without the body: who may not, is not waited for. */
static int admit(struct api_req *q, struct err *err)
{
	enum api_need need = q->route->need;

	if (!(q->route->flags & API_FILE) && check_client(q, err) < 0)
		return -1;
	if (need == NEED_BASIC
		    ? api_login(q, err) < 0
		    : need != NEED_NONE && need != NEED_PUBLIC && api_authenticate(q, err) < 0)
		return -1;
	if (*api_caller(q) && count_request(q, err) < 0)
		return -1;
	q->key = replay_key(q);
	/* What was done already may have taken the right to it away: who deleted an app. */
	q->known = api_replay_has(q->api->replays, &q->key, clock_mono_ms());
	return q->known ? 0 : api_authorise(q, err);
}

static int serve(struct api_req *q, struct err *err)
{
	int rc;

	if (has_body(q) && read_body(q, err) < 0)
		return -1;
	if ((rc = replay(q, &q->key, err)) != 0)
		return rc < 0 ? -1 : 0;
	if ((q->known && api_authorise(q, err) < 0) || parse_body(q, err) < 0)
		return -1;
	if (q->route->body && api_fields_check(q->route->body, q->body, err) < 0)
		return -1;
	return q->route->fn(q, err);
}

static void end(struct api_req *q, int rc, const struct err *err)
{
	if (rc < 0 && !q->answered)
		fail(q, err);
	req_free(q);
}

static void run_rest(void *arg)
{
	struct api_req *q = arg;
	struct err err = {0};
	int rc = serve(q, &err);

	end(q, rc, &err);
}

static struct pool *pool_of(const struct api *a, const struct api_route *r)
{
	return r->flags & API_FILE ? a->transfers : r->flags & API_LONG ? a->streams : a->pool;
}

static void submit(struct api_req *q, void (*fn)(void *arg))
{
	struct err err = {0};

	if (pool_submit(pool_of(q->api, q->route), fn, q))
		return;
	err_set(&err, ERR_UNAVAILABLE, "The API is busy; try again in a moment.");
	end(q, -1, &err);
}

/* --- bodies that are on their way: a slow client holds no thread ---------------------------- */

static void waited(struct api_req *q)
{
	LIST_REMOVE(q, link);
	q->timer = NULL;
	submit(q, run_rest);
}

static void body_here(struct http_x *x, void *arg)
{
	struct api_req *q = arg;

	(void)x;
	loop_timer_stop(q->timer);
	waited(q);
}

static void body_late(void *arg)
{
	struct api_req *q = arg;

	http_on_body(q->x, 0, NULL, NULL);
	q->late = true;
	waited(q);
}

/* The one that has waited longest, of the account when that has many, of all when they are many. */
static struct api_req *one_too_many(const struct api_req *q)
{
	struct api_req *other = NULL, *oldest = NULL, *oldest_of_user = NULL;
	int all = 0, of_user = 0;

	LIST_FOREACH (other, &q->api->waiting, link) /* newest first */
	{
		all++;
		oldest = other;
		if (strcmp(other->user.id, q->user.id) != 0)
			continue;
		of_user++;
		oldest_of_user = other;
	}
	return of_user >= LIM_API_WAITING_ONE ? oldest_of_user
	       : all >= LIM_API_WAITING	      ? oldest
					      : NULL;
}

static void give_up(struct api_req *q)
{
	struct err err = {0};

	LIST_REMOVE(q, link);
	loop_timer_stop(q->timer);
	http_on_body(q->x, 0, NULL, NULL);
	err_set(&err, ERR_UNAVAILABLE,
		"Too many requests are being sent slowly; this one has "
		"given way to a newer one.");
	end(q, -1, &err);
}

static void await_body(void *arg)
{
	struct api_req *q = arg, *victim = one_too_many(q);

	if (victim)
		give_up(victim);
	LIST_INSERT_HEAD(&q->api->waiting, q, link);
	q->timer = loop_timer_start(q->d->loop, LIM_API_BODY_MS, body_late, q);
	http_on_body(q->x, LIM_API_BODY, body_here, q);
}

static void run(void *arg)
{
	struct api_req *q = arg;
	struct err err = {0};
	int rc = admit(q, &err);

	if (rc == 0 && has_body(q) && !http_body_ready(q->x)) {
		if (loop_post(q->d->loop, await_body, q))
			return;
		rc = err_set(&err, ERR_UNAVAILABLE, "The platform is stopping.");
	}
	if (rc == 0)
		rc = serve(q, &err);
	end(q, rc, &err);
}

static void common_headers(struct http_x *x)
{
	http_set(x, "Request-Id", http_request_id(x));
	http_set(x, "Cache-Control", "private, no-cache");
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
	submit(q, run);
}
