/* Requests to a provider's API: made on out's loop, awaited by the thread that asks. */
#include "daemon/core/xlog.h"
#include "daemon/provider/provider_int.h"
#include "proto/limits.h"

#include <stdio.h>

struct provider_call {
	struct providers *p;
	struct provider_call *next;
	struct out_request req;
	const char *headers[6];
	/* p->lock */
	bool done;
	struct out_call *oc; /* out's loop, too */
	int status, retry_s;
	enum out_fault fault;
	char why[160];
	struct buf body;
};

/* --- on out's loop --- */

/* Providers that count requests say when there are more of them (docs.github.com: "Rate limits for
 * the REST API"; docs.gitlab.com: "Rate limits"). */
static int limited_for(const struct out_answer *a)
{
	static const char *const left[] = {"x-ratelimit-remaining", "ratelimit-remaining"};
	static const char *const reset[] = {"x-ratelimit-reset", "ratelimit-reset"};

	if (a->retry_after_s)
		return a->retry_after_s;
	for (size_t i = 0; i < ARRAY_LEN(left); i++) {
		const char *n = out_answer_header(a, left[i]), *t;
		long long at;

		if (!n || strcmp(n, "0") != 0)
			continue;
		t = out_answer_header(a, reset[i]);
		at = t ? strtoll(t, NULL, 10) - clock_wall_ms() / 1000 : 60;
		return at < 1 ? 1 : at > 3600 ? 3600 : (int)at;
	}
	return 0;
}

static void on_answer(const struct out_answer *a, void *arg)
{
	struct provider_call *c = arg;

	pthread_mutex_lock(&c->p->lock);
	c->oc = NULL;
	c->status = a->status;
	c->fault = a->fault;
	if (a->status == 429 || a->status == 403 || a->status == 503)
		c->retry_s = limited_for(a);
	snprintf(c->why, sizeof c->why, "%s", a->why);
	buf_add(&c->body, a->body, a->len);
	c->done = true;
	pthread_cond_broadcast(&c->p->changed);
	pthread_mutex_unlock(&c->p->lock);
}

static void start(void *arg)
{
	struct provider_call *c = arg;
	struct out_call *oc;
	bool stopping;

	pthread_mutex_lock(&c->p->lock);
	stopping = c->p->stopping;
	if (stopping) {
		c->done = true;
		pthread_cond_broadcast(&c->p->changed);
	}
	pthread_mutex_unlock(&c->p->lock);
	if (stopping)
		return; /* c may be gone */
	oc = out_post(c->p->o, &c->req, on_answer, c);
	pthread_mutex_lock(&c->p->lock);
	c->oc = oc;
	pthread_mutex_unlock(&c->p->lock);
}

static void cut_off(void *arg)
{
	struct providers *p = arg;

	pthread_mutex_lock(&p->lock);
	for (struct provider_call *c = p->calls; c; c = c->next) {
		if (c->done || !c->oc)
			continue; /* else its start comes after us, and sees that we stop */
		out_cancel(c->oc);
		c->oc = NULL;
		c->done = true;
	}
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

void provider_calls_stop(struct providers *p)
{
	loop_call(out_loop(p->o), cut_off, p);
}

/* --- on the thread that asks --- */

static void await(struct provider_call *c)
{
	struct providers *p = c->p;

	pthread_mutex_lock(&p->lock);
	c->next = p->calls;
	p->calls = c;
	pthread_mutex_unlock(&p->lock);
	if (!loop_post(out_loop(p->o), start, c)) {
		pthread_mutex_lock(&p->lock);
		c->done = true;
		pthread_mutex_unlock(&p->lock);
	}
	pthread_mutex_lock(&p->lock);
	while (!c->done)
		pthread_cond_wait(&p->changed, &p->lock);
	for (struct provider_call **k = &p->calls; *k; k = &(*k)->next)
		if (*k == c) {
			*k = c->next;
			break;
		}
	pthread_mutex_unlock(&p->lock);
}

/* What the provider says is wrong: GitHub {message, errors}, GitLab {message | error}, Gitea
 * {message}. */
static void words_of(const json_t *j, char out[200])
{
	const json_t *m = pj_at(j, "message") ? pj_at(j, "message") : pj_at(j, "error");
	AUTO(auto_str)
	char *text = json_is_string(m) ? xstrdup(json_string_value(m))
		     : m	       ? json_dumps(m, JSON_COMPACT | JSON_ENCODE_ANY)
				       : NULL;

	snprintf(out, 200, "%s%.190s", text && *text ? ": " : "", text ? text : "");
	for (char *c = out; *c; c++)
		if ((unsigned char)*c < 0x20)
			*c = ' ';
}

static int refused(struct provider_call *c, const struct provider_codec *k, const json_t *j,
		   struct err *err)
{
	char said[200];

	words_of(j, said);
	if (!c->status)
		return err_set(err,
			       c->fault == OUT_FORBIDDEN ? ERR_INVALID_PARAMS : ERR_UNAVAILABLE,
			       "%s cannot be reached: %s.", k->title,
			       *c->why ? c->why : "the platform is stopping");
	if (c->status == 429 || c->status >= 500 || (c->status == 403 && c->retry_s))
		return err_set(err, ERR_UNAVAILABLE, "%s answers %d%s", k->title, c->status, said);
	if (c->status == 401 || c->status == 403)
		return err_set(err, ERR_FORBIDDEN, "%s does not accept the token for this (%d)%s",
			       k->title, c->status, said);
	if (c->status == 404 || c->status == 410)
		return err_set(err, ERR_NOT_FOUND, "%s does not have that, or not for this token%s",
			       k->title, said);
	if (c->status >= 300 && c->status < 400)
		return err_set(err, ERR_GONE,
			       "%s says that the repository has moved: connect it again by its new "
			       "name.",
			       k->title);
	return err_set(err, ERR_INVALID_PARAMS, "%s refuses it (%d)%s", k->title, c->status, said);
}

static void call_clear(struct provider_call *c)
{
	buf_clear(&c->body);
}
#define call_clear_p call_clear

/* One request. *more: another page follows. */
static int ask_once(struct providers *p, const struct store_repo *r, enum provider_ask ask,
		    const struct provider_args *a, struct provider_answer *out, int *retry_s,
		    struct err *err)
{
	const struct provider_codec *k = provider_codec_of(r);
	AUTO(provider_request_clear) struct provider_request rq = {0};
	AUTO(call_clear) struct provider_call c = {.p = p};
	AUTO(buf_clear) struct buf auth = {0};
	AUTO(json_decref) json_t *j = NULL;
	int n = 0;

	if (!provider_request_make(k, ask, a, &rq)) {
		out->more = false;
		return 0;
	}
	c.headers[n++] = k->accept;
	c.headers[n++] = "User-Agent: paasd/" PAASD_VERSION;
	if (k == &provider_github)
		c.headers[n++] = "X-GitHub-Api-Version: 2022-11-28";
	if (rq.body)
		c.headers[n++] = "Content-Type: application/json";
	if (*r->token) {
		k->authorise(r->token, &auth);
		c.headers[n++] = buf_str(&auth);
	}
	c.req = (struct out_request){.method = rq.method,
				     .url = rq.url,
				     .headers = c.headers,
				     .body = rq.body,
				     .len = rq.body ? strlen(rq.body) : 0,
				     .timeout_ms = LIM_PROVIDER_MS,
				     .keep = LIM_PROVIDER_ANSWER};
	await(&c);
	if (auth.data)
		explicit_bzero(auth.data, auth.len);
	*retry_s = c.retry_s;
	j = json_loadb(buf_str(&c.body), c.body.len, 0, NULL);
	if (k->done_already(ask, c.status, buf_str(&c.body)))
		return 0;
	if (c.status < 200 || c.status >= 300)
		return refused(&c, k, j, err);
	return provider_answer_read(k, ask, a, j, out, err) < 0 ? err_wrap(err, "%s", r->base_url)
								: 0;
}

int provider_ask(struct providers *p, const struct store_repo *r, enum provider_ask ask,
		 struct provider_args *a, struct provider_answer *out, int *retry_s,
		 struct err *err)
{
	a->base_url = r->base_url;
	a->repo = r->full_name;
	*retry_s = 0;
	for (a->page = 1; a->page <= LIM_PROVIDER_PAGES; a->page++) {
		if (ask_once(p, r, ask, a, out, retry_s, err) < 0)
			return -1;
		if (!out->more)
			return 0;
	}
	/* A part of a list must not pass for the whole: what is missing would count as gone. */
	return err_set(err, ERR_TOO_LARGE, "%s has more than can be looked at here.", r->full_name);
}

/* --- what others ask --- */

int provider_branch(struct providers *p, const struct store_repo *r, const char *branch,
		    char sha[65], struct err *err)
{
	AUTO(provider_answer_clear) struct provider_answer out = {0};
	struct provider_args a = {.branch = branch};
	int retry_s;

	if (provider_branch_ok(branch, err) < 0 ||
	    provider_ask(p, r, PROVIDER_ASK_BRANCH, &a, &out, &retry_s, err) < 0)
		return -1;
	snprintf(sha, 65, "%s", out.sha);
	return 0;
}

int provider_pull_get(struct providers *p, const struct store_repo *r, int64_t number,
		      struct provider_pulls *out, struct err *err)
{
	AUTO(provider_answer_clear) struct provider_answer ans = {0};
	struct provider_args a = {.number = number};
	int retry_s;

	if (provider_ask(p, r, PROVIDER_ASK_PULL, &a, &ans, &retry_s, err) < 0)
		return -1;
	*out = ans.pulls;
	ans.pulls = (struct provider_pulls){0};
	return 0;
}

/* A request that moved from one page to the next while they were read comes twice. */
static void drop_doubles(struct provider_pulls *l)
{
	int n = 0;

	for (int i = 0; i < l->n; i++) {
		bool twice = false;

		for (int k = 0; k < n && !twice; k++)
			twice = l->v[k].number == l->v[i].number;
		if (twice) {
			struct provider_pulls one = {.v = xmalloc(sizeof *one.v), .n = 1};

			one.v[0] = l->v[i];
			provider_pulls_clear(&one);
		} else {
			l->v[n++] = l->v[i];
		}
	}
	l->n = n;
}

int provider_pulls_open(struct providers *p, const struct store_repo *r, struct provider_pulls *out,
			struct err *err)
{
	AUTO(provider_answer_clear) struct provider_answer ans = {0};
	struct provider_args a = {0};
	int retry_s;

	if (provider_ask(p, r, PROVIDER_ASK_PULLS, &a, &ans, &retry_s, err) < 0)
		return -1;
	drop_doubles(&ans.pulls);
	*out = ans.pulls;
	ans.pulls = (struct provider_pulls){0};
	return 0;
}

int provider_checks(struct providers *p, const struct store_repo *r, const char *sha,
		    enum provider_ci *out, struct err *err)
{
	AUTO(provider_answer_clear) struct provider_answer ans = {0};
	struct provider_args a = {.sha = sha};
	int retry_s;

	if (provider_ask(p, r, PROVIDER_ASK_STATUSES, &a, &ans, &retry_s, err) < 0 ||
	    provider_ask(p, r, PROVIDER_ASK_CHECKS, &a, &ans, &retry_s, err) < 0)
		return -1;
	*out = provider_checks_result(&ans.checks);
	return 0;
}
