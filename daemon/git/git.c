/* The front of the module: which repository, which service, who asks. Every answer that is not
 * git's own is one line of text/plain, the only thing that git shows its user. */
#include "daemon/git/git_int.h"

#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"
#include "daemon/core/pool.h"
#include "daemon/core/xlog.h"
#include "proto/names.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { TOKEN_MAX = 4096 };

struct git_route {
	const char *rest;    /* below /NAME.git/ */
	const char *service; /* the query's, for discovery */
	const char *body;    /* content type of the request, for POST */
	bool write;
	void (*run)(struct git_req *rq);
};

static const struct git_route routes[] = {
	{"info/refs", "git-receive-pack", NULL, true, git_advertise_push},
	{"info/refs", "git-upload-pack", NULL, false, git_advertise_fetch},
	{"git-receive-pack", NULL, "application/x-git-receive-pack-request", true, git_receive},
	{"git-upload-pack", NULL, "application/x-git-upload-pack-request", false, git_fetch},
};

/* --- answers --- */

void git_no_cache(struct http_x *x)
{
	http_set(x, "Cache-Control", "no-cache, max-age=0, must-revalidate");
	http_set(x, "Pragma", "no-cache");
}

void git_reply_text(struct http_x *x, int status, const char *fmt, ...)
{
	AUTO(buf_clear) struct buf b = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	buf_addc(&b, '\n');
	git_no_cache(x);
	http_reply(x, status, "text/plain; charset=utf-8", b.data, b.len);
}

void git_reply_error(struct git_req *rq, const struct err *err)
{
	if (http_client_gone(rq->x)) {
		http_abort(rq->x);
		return;
	}
	if (err->status < 500) {
		git_reply_text(rq->x, err->status, "%s", err->msg);
		return;
	}
	xlog_err(XLOG_ERROR, "git", err, "msg=\"request failed\" app=%s request_id=%s",
		 rq->app_name, http_request_id(rq->x));
	git_reply_text(rq->x, err->status, " !     Internal error, please try again. Request: %s",
		       http_request_id(rq->x));
}

/* The same for every name, known or not, so that names do not leak. */
static void reply_401(struct git_req *rq)
{
	http_set(rq->x, "WWW-Authenticate", "Basic realm=\"paasd\"");
	git_reply_text(
		rq->x, 401,
		" !     Invalid credentials: the password is an API token. Run `paasctl login`, "
		"then try again.");
}

/* --- slots --- */

bool git_slot_try(struct git *g, int *used, int max)
{
	pthread_mutex_lock(&g->lock);
	bool ok = *used < max;

	*used += ok;
	pthread_mutex_unlock(&g->lock);
	return ok;
}

int git_slot_take(struct git *g, int *used, int max, mono_ms deadline, struct http_x *x)
{
	while (!git_slot_try(g, used, max)) {
		struct timespec ts;

		if ((deadline && clock_mono_ms() > deadline) || http_client_gone(x))
			return -1;
		clock_gettime(CLOCK_MONOTONIC, &ts);
		ts.tv_sec++; /* a second between looks at the client; a slot given wakes at once */
		pthread_mutex_lock(&g->lock);
		if (*used >= max)
			pthread_cond_timedwait(&g->changed, &g->lock, &ts);
		pthread_mutex_unlock(&g->lock);
	}
	return 0;
}

void git_slot_give(struct git *g, int *used)
{
	pthread_mutex_lock(&g->lock);
	assert(*used > 0);
	--*used;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

/* --- who --- */

/* The password of "Authorization: Basic"; the user's name does not count. */
static int basic_token(struct http_x *x, struct buf *out, struct err *err)
{
	const char *h = http_header(x, "authorization");
	AUTO(buf_clear) struct buf plain = {0};

	if (!h || strncasecmp(h, "basic ", 6) != 0)
		return err_set(err, ERR_UNAUTHORIZED, "no credentials");
	h += 6 + strspn(h + 6, " ");
	if (strlen(h) > TOKEN_MAX || base64_decode(h, strlen(h), &plain) < 0)
		return err_set(err, ERR_UNAUTHORIZED, "bad credentials");
	const char *colon = plain.len ? memchr(plain.data, ':', plain.len) : NULL;

	if (!colon || !colon[1] || memchr(plain.data, 0, plain.len))
		return err_set(err, ERR_UNAUTHORIZED, "bad credentials");
	buf_adds(out, colon + 1);
	explicit_bzero(plain.data, plain.len);
	return 0;
}

static int authenticate(struct git_req *rq, struct err *err)
{
	struct git_ops *ops = &rq->g->ops;
	AUTO(buf_clear) struct buf token = {0};

	if (basic_token(rq->x, &token, err) < 0)
		return -1;
	int rc = ops->login(ops->arg, buf_str(&token), rq->user_id, rq->email, err);

	explicit_bzero(token.data, token.len);
	return rc;
}

static int find_app(struct git_req *rq, struct err *err)
{
	struct git_ops *ops = &rq->g->ops;

	if (!name_is_app(rq->app_name))
		return err_not_found(err, "app");
	if (rq->review)
		return ops->pipeline(ops->arg, rq->user_id, rq->app_name, rq->route->write,
				     rq->app_id, err);
	return ops->app(ops->arg, rq->user_id, rq->app_name, rq->route->write, rq->app_id, err);
}

static bool body_type_ok(struct git_req *rq)
{
	const char *type = http_header(rq->x, "content-type");

	return !rq->route->body || (type && !strcasecmp(type, rq->route->body));
}

static bool body_encoding_ok(struct git_req *rq)
{
	const char *e = http_header(rq->x, "content-encoding");

	return !rq->route->body || !e || !strcasecmp(e, "gzip") || !strcasecmp(e, "x-gzip") ||
	       !strcasecmp(e, "identity");
}

static void run(struct git_req *rq)
{
	struct err err = {0};

	if (authenticate(rq, &err) < 0) {
		if (err.code == ERR_UNAUTHORIZED)
			reply_401(rq);
		else
			git_reply_error(rq, &err);
		return;
	}
	if (find_app(rq, &err) < 0) {
		if (err.code == ERR_NOT_FOUND)
			git_reply_text(rq->x, 404, " !     No such %s as %s.",
				       rq->review ? "pipeline" : "app", rq->app_name);
		else
			git_reply_error(rq, &err);
		return;
	}
	if (!body_type_ok(rq) || !body_encoding_ok(rq)) {
		git_reply_text(rq->x, 415, "Expected a body of type %s.", rq->route->body);
		return;
	}
	git_repo_path(rq->g, rq->app_id, rq->repo);
	if (git_repo_create(rq->g, rq->app_id, &err) < 0)
		git_reply_error(rq, &err);
	else if (rq->head_only)
		git_reply_text(rq->x, 200, "ok");
	else
		rq->route->run(rq);
}

static void run_thread(void *arg)
{
	struct git_req *rq = arg;
	struct git *g = rq->g;

	run(rq);
	free(rq);
	git_slot_give(g, &g->running);
}

/* --- which --- */

struct place { /* what a path names */
	const char *name, *rest;
	size_t n; /* of the name */
	bool dotgit, review;
};

static const char review_prefix[] = "/review/";

/* "/NAME.git/REST", "/NAME/REST", or either of these after /review. False when it is none. */
static bool split_path(const char *path, struct place *out)
{
	size_t skip = strlen(review_prefix);
	const char *slash;

	*out = (struct place){.name = path + 1};
	if (strncmp(path, review_prefix, skip) == 0 && strchr(path + skip, '/') &&
	    strcmp(path + skip, "info/refs") != 0) {
		out->review = true;
		out->name = path + skip;
	}
	slash = path[0] == '/' ? strchr(out->name, '/') : NULL;
	out->n = slash ? (size_t)(slash - out->name) : 0;
	if (out->n < 1)
		return false;
	out->rest = slash + 1;
	out->dotgit = out->n > 4 && !memcmp(out->name + out->n - 4, ".git", 4);
	out->n -= out->dotgit ? 4 : 0;
	return true;
}

/* Without .git only the discovery's path is ours, which the API does not have: it is redirected,
 * and clients stay with where that led. */
bool git_wants(const char *path)
{
	struct place at;

	return split_path(path, &at) && (at.dotgit || !strcmp(at.rest, "info/refs") ||
					 (at.review && !strncmp(at.rest, "git-", 4)));
}

/* Exactly one service=, of plain letters: NULL when it is none of ours. */
static const char *query_service(const char *query, char *out, size_t cap, bool *none)
{
	bool found = false, odd = false;

	*none = true;
	for (const char *p = query; *p;) {
		size_t n = strcspn(p, "&");

		if (n >= 8 && !memcmp(p, "service=", 8)) {
			*none = false;
			odd = odd || found || n - 8 >= cap;
			found = true;
			if (!odd) {
				memcpy(out, p + 8, n - 8);
				out[n - 8] = 0;
			}
		}
		p += n + (p[n] == '&');
	}
	return found && !odd ? out : NULL;
}

static const struct git_route *find_route(const char *rest, const char *service)
{
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		const struct git_route *r = &routes[i];

		if (!strcmp(r->rest, rest) &&
		    (!r->service || (service && !strcmp(r->service, service))))
			return r;
	}
	return NULL;
}

/* The route, or NULL when the request was answered here. */
static const struct git_route *route_request(struct http_x *x, const char *rest)
{
	const char *m = http_method(x);
	bool get = !strcmp(m, "GET") || !strcmp(m, "HEAD"), discovery = !strcmp(rest, "info/refs");
	char service[32];
	bool none = true;
	const char *name =
		discovery ? query_service(http_query(x), service, sizeof(service), &none) : NULL;
	const struct git_route *r = find_route(rest, name);

	if (!r && (!discovery || none)) {
		git_reply_text(x, 404, "Only git's smart protocol is served here.");
		return NULL;
	}
	if (discovery ? !get : strcmp(m, "POST") != 0) {
		http_set(x, "Allow", discovery ? "GET, HEAD" : "POST");
		git_reply_text(x, 405, "Method not allowed.");
		return NULL;
	}
	if (!r)
		git_reply_text(x, 403, "Unsupported service.");
	return r;
}

static void redirect(struct http_x *x, const char *path, size_t n)
{
	const char *q = http_query(x);

	/* A name with odd bytes must not become a Location elsewhere ("//host/"). */
	if (strspn(path + 1, "abcdefghijklmnopqrstuvwxyz0123456789-") < n) {
		git_reply_text(x, 404, "Not found.");
		return;
	}
	http_setf(x, "Location", "/%.*s.git/info/refs%s%s", (int)n, path + 1, *q ? "?" : "", q);
	git_reply_text(x, 301, "Moved: add .git.");
}

static struct git_req *request_new(struct git *g, struct http_x *x, const struct git_route *r,
				   const struct place *at)
{
	struct git_req *rq = xcalloc(1, sizeof(*rq));

	rq->g = g;
	rq->x = x;
	rq->route = r;
	rq->head_only = !strcmp(http_method(x), "HEAD");
	rq->review = at->review;
	if (at->n < sizeof(rq->app_name)) /* longer: stays "", no app's name, and ends as 404 */
		memcpy(rq->app_name, at->name, at->n);
	return rq;
}

void git_handle(struct git *g, struct http_x *x)
{
	const char *path = http_path(x);
	const struct git_route *r;
	struct place at;
	bool ours = split_path(path, &at);

	assert(ours);
	(void)ours;
	if (!at.dotgit && !at.review) {
		redirect(x, path, at.n);
		return;
	}
	r = route_request(x, at.rest);
	if (!r)
		return;
	if (at.review && !g->ops.pipeline) {
		git_reply_text(x, 404, "Not found.");
		return;
	}
	pthread_mutex_lock(&g->lock);
	bool ok = g->running < LIM_GIT_REQUESTS && !g->closing;

	g->running += ok;
	pthread_mutex_unlock(&g->lock);
	if (!ok) {
		http_set(x, "Retry-After", "30");
		git_reply_text(x, 503,
			       "Too many git requests at once. Please try again in a moment.");
		return;
	}
	struct git_req *rq = request_new(g, x, r, &at);

	http_detach(x);
	thread_start("git", run_thread, rq);
}

/* --- life --- */

int git_open(const struct config *cfg, const struct git_ops *ops, struct git **out, struct err *err)
{
	struct sigaction sa;
	pthread_condattr_t attr;

	git_library_init();
	/* Children that stop reading must be an error, not our end. */
	if (sigaction(SIGPIPE, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL)
		signal(SIGPIPE, SIG_IGN);
	AUTO(auto_str) char *dir = xasprintf("%s/repos", cfg->state_dir);

	if (strlen(dir) + 64 > PATH_MAX / 2)
		return err_set(err, ERR_CONFIG, "state directory: path too long");
	if (fs_mkdirs(dir, 0700, err) < 0)
		return err_wrap(err, "git");
	struct git *g = xcalloc(1, sizeof(*g));

	g->cfg = cfg;
	g->ops = *ops;
	g->repos_dir = STEAL(dir);
	g->keepalive_ms = LIM_GIT_KEEPALIVE_MS;
	g->gc_packs = 20;
	g->gc_delay_ms = 30000;
	pthread_mutex_init(&g->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&g->changed, &attr);
	pthread_condattr_destroy(&attr);
	git_gc_start(g);
	*out = g;
	return 0;
}

void git_tune(struct git *g, int gc_packs, int gc_delay_ms, int keepalive_ms)
{
	g->gc_packs = gc_packs;
	g->gc_delay_ms = gc_delay_ms;
	g->keepalive_ms = keepalive_ms;
}

void git_close(struct git *g)
{
	if (!g)
		return;
	pthread_mutex_lock(&g->lock);
	g->closing = true;
	while (g->running)
		pthread_cond_wait(&g->changed, &g->lock);
	pthread_mutex_unlock(&g->lock);
	git_gc_end(g);
	assert(!g->apps);
	pthread_cond_destroy(&g->changed);
	pthread_mutex_destroy(&g->lock);
	free(g->repos_dir);
	free(g);
}
