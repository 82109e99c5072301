/* Review apps: the looker, which hands rows that are due to the pool, and what people ask for. */
#include "daemon/review/review.h"
#include "daemon/core/xlog.h"
#include "daemon/review/review_int.h"
#include "daemon/store/pipeline.h"
#include "proto/limits.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LOOK_MS = 60000, BATCH = 32 };

/* --- rows under way --- */

static struct busy *busy_find(struct reviews *r, const char *id)
{
	struct busy *b = NULL;

	LIST_FOREACH (b, &r->busy, link) {
		if (!b->over && strcmp(b->id, id) == 0)
			return b;
	}
	return NULL;
}

static void busy_unref(struct busy *b)
{
	struct reviews *r = b->r;

	pthread_mutex_lock(&r->lock);
	if (--b->refs == 0) {
		LIST_REMOVE(b, link);
		buf_clear(&b->said);
		free(b);
		pthread_cond_broadcast(&r->changed);
	}
	pthread_mutex_unlock(&r->lock);
}

void busy_say(const char *p, size_t n, void *busy)
{
	struct busy *b = busy;

	pthread_mutex_lock(&b->r->lock);
	if (b->said.len + n <= LIM_REVIEW_OUTPUT)
		buf_add(&b->said, p, n);
	pthread_cond_broadcast(&b->r->changed);
	pthread_mutex_unlock(&b->r->lock);
}

static void run_job(void *arg)
{
	struct busy *b = arg;
	struct reviews *r = b->r;

	while (!reviews_closing(r) && review_step(r, b, b->id))
		;
	pthread_mutex_lock(&r->lock);
	b->over = true;
	r->again = true; /* it may have been kicked meanwhile */
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	busy_unref(b);
}

/* False: it runs already, or nothing more is taken. */
static bool begin(struct reviews *r, const char *id)
{
	struct busy *b;

	pthread_mutex_lock(&r->lock);
	if (r->closing || busy_find(r, id)) {
		pthread_mutex_unlock(&r->lock);
		return false;
	}
	b = xcalloc(1, sizeof *b);
	b->r = r;
	b->refs = 1;
	snprintf(b->id, sizeof b->id, "%s", id);
	LIST_INSERT_HEAD(&r->busy, b, link);
	pthread_mutex_unlock(&r->lock);
	if (pool_submit(r->pool, run_job, b))
		return true;
	pthread_mutex_lock(&r->lock);
	b->over = true;
	pthread_mutex_unlock(&r->lock);
	busy_unref(b);
	return false;
}

/* --- the looker --- */

struct due_q {
	struct store_reviews rows;
	wall_ms now, next;
};

static int read_due(struct tx *tx, void *arg, struct err *err)
{
	struct due_q *q = arg;

	return store_reviews_due(tx, q->now, BATCH, &q->rows, &q->next, err);
}

static int write_stale(struct tx *tx, void *arg, struct err *err)
{
	int n;

	(void)arg;
	return store_reviews_end_stale(tx, clock_wall_ms(), &n, err) < 0 ||
			       store_reviews_expire(tx, clock_wall_ms() - LIM_REVIEW_KEEP_MS, err) <
				       0
		       ? -1
		       : 0;
}

/* When the next is due, at the latest in LOOK_MS. */
static wall_ms look(struct reviews *r)
{
	struct due_q q = {.now = clock_wall_ms()};
	struct err err = {0};
	wall_ms wait = LOOK_MS;

	if (store_read(r->d.store, read_due, &q, &err) < 0)
		xlog_err(XLOG_ERROR, "review", &err, "msg=\"rows not read\"");
	for (int i = 0; i < q.rows.n; i++)
		begin(r, q.rows.v[i].id);
	store_reviews_clear(&q.rows);
	if (q.next && q.next - q.now < wait)
		wait = q.next - q.now;
	return wait;
}

static void wait_for(struct reviews *r, wall_ms ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&r->lock);
	while (!r->closing && !r->again &&
	       pthread_cond_timedwait(&r->changed, &r->lock, &until) == 0)
		;
	r->again = false;
	pthread_mutex_unlock(&r->lock);
}

static void looker(void *arg)
{
	struct reviews *r = arg;
	mono_ms stale = 0;
	struct err err = {0};

	while (!reviews_closing(r)) {
		if (!stale || clock_mono_ms() - stale > LOOK_MS) {
			stale = clock_mono_ms();
			if (store_tx(r->d.store, write_stale, NULL, &err) < 0)
				xlog_err(XLOG_ERROR, "review", &err, "msg=\"stale ones stay\"");
		}
		wait_for(r, look(r));
	}
}

void reviews_kick(struct reviews *r)
{
	pthread_mutex_lock(&r->lock);
	r->again = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

bool reviews_closing(struct reviews *r)
{
	pthread_mutex_lock(&r->lock);
	bool closing = r->closing;

	pthread_mutex_unlock(&r->lock);
	return closing;
}

/* --- life --- */

static int kick_row(struct tx *tx, void *arg, struct err *err)
{
	AUTO(store_review_clear) struct store_review v = {0};
	const struct store_setup *ended = arg;

	if (store_review_of_setup(tx, ended->id, &v, err) < 0)
		return err->code == ERR_NOT_FOUND ? 0 : -1;
	return store_review_kick(tx, v.id, err);
}

static void setup_ended(const struct store_setup *ended, void *arg)
{
	struct reviews *r = arg;
	struct err err = {0};

	if (store_tx(r->d.store, kick_row, (void *)(uintptr_t)ended, &err) < 0)
		xlog_err(XLOG_ERROR, "review", &err, "msg=\"end of a setup not noted\"");
	reviews_kick(r);
}

int reviews_open(const struct reviews_deps *d, struct reviews **out, struct err *err)
{
	struct reviews *r = xcalloc(1, sizeof *r);
	pthread_condattr_t attr;

	(void)err;
	r->d = *d;
	LIST_INIT(&r->busy);
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &attr);
	pthread_condattr_destroy(&attr);
	r->pool = pool_new("review", LIM_REVIEW_WORKERS, 4 * BATCH);
	setups_on_end(d->setups, setup_ended, r);
	providers_react(d->providers, &review_provider_ops, r);
	*out = r;
	return 0;
}

static int kick_all(struct tx *tx, void *arg, struct err *err)
{
	(void)arg;
	return store_reviews_kick_all(tx, err);
}

int reviews_start(struct reviews *r, struct err *err)
{
	if (review_reconcile_pushes(r, err) < 0 || store_tx(r->d.store, kick_all, NULL, err) < 0)
		return -1;
	r->looker = thread_new("reviews", looker, r);
	return 0;
}

void reviews_stop(struct reviews *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->closing = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

void reviews_wait(struct reviews *r)
{
	if (!r)
		return;
	reviews_stop(r);
	thread_join(STEAL(r->looker));
	pool_free(r->pool);
	r->pool = NULL;
}

void reviews_free(struct reviews *r)
{
	if (!r)
		return;
	assert(!r->pool && LIST_EMPTY(&r->busy));
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* --- asked for --- */

struct read_q {
	const char *id;
	struct store_review *out;
};

static int read_one(struct tx *tx, void *arg, struct err *err)
{
	struct read_q *q = arg;

	return store_review_get(tx, q->id, q->out, err);
}

int review_read(struct reviews *r, const char *id, struct store_review *out, struct err *err)
{
	return store_read(r->d.store, read_one, &(struct read_q){id, out}, err);
}

struct create_q {
	const struct review_new *in;
	const char *commit;
	enum store_review_source source;
	struct store_review *out;
};

int review_room(struct tx *tx, const char *pipeline_id, struct err *err)
{
	AUTO(store_review_config_clear) struct store_review_config c = {0};
	struct err none = {0};
	int live;

	if (store_review_config_get(tx, pipeline_id, &c, &none) < 0)
		store_review_config_preset(&c, pipeline_id);
	if (store_reviews_count(tx, pipeline_id, &live, err) < 0)
		return -1;
	if (live >= c.max_apps)
		return err_set(
			err, ERR_INVALID_PARAMS,
			"The pipeline has %d review apps, as many as it may: destroy one, or "
			"raise the limit with `paasctl reviewapps:enable --max N`.",
			live);
	return 0;
}

/* What cannot be done to one that is there. */
static int check_again(const struct store_review *v, const struct store_review_new *n,
		       struct err *err)
{
	const char *app = v->app_name ? v->app_name : "";

	if (!v->wanted)
		return err_set(err, ERR_INVALID_PARAMS,
			       "The review app of %s is being destroyed: try again in a moment.",
			       v->branch);
	if (!v->app_id[0] || v->status == REVIEW_ERRORED)
		return 0;
	if (n->environment)
		return err_set(err, ERR_INVALID_PARAMS,
			       "The review app of %s is there already: set its config vars with "
			       "`paasctl config:set -a %s`.",
			       v->branch, app);
	if (n->source == REVIEW_URL && !n->commit)
		return err_set(err, ERR_INVALID_PARAMS,
			       "The review app of %s is there already: name the version of what is "
			       "to be deployed to it, or destroy it first with `paasctl "
			       "reviewapps:destroy %s`.",
			       v->branch, app);
	return 0;
}

/* One that failed is tried again; one that has the commit, or is at it, is left alone. */
static int again(struct tx *tx, const struct store_review_new *n, const struct store_review *v,
		 struct store_review *out, struct err *err)
{
	bool same = strcmp(v->commit, n->commit ? n->commit : "") == 0 && v->source == n->source;
	bool failed = v->status == REVIEW_ERRORED || v->error_status;

	if (check_again(v, n, err) < 0 || (same && !failed && v->status != REVIEW_PENDING
						   ? store_review_kick(tx, v->id, err)
						   : store_review_again(tx, v->id, n, err)) < 0)
		return -1;
	return store_review_get(tx, v->id, out, err);
}

static int write_create(struct tx *tx, void *arg, struct err *err)
{
	struct create_q *q = arg;
	const struct review_new *in = q->in;
	const struct store_review_new row = {
		.pipeline_id = in->pipeline_id,
		.creator_id = in->user_id,
		.branch = in->branch,
		.fork = in->fork,
		.pr_number = in->pr_number,
		.source = q->source,
		.source_url = in->url,
		.commit = q->commit,
		.environment = json_object_size(in->environment) ? in->environment : NULL,
	};
	AUTO(store_review_clear) struct store_review had = {0};
	struct err e = {0};

	store_review_clear(q->out);
	if (store_review_of_branch(tx, in->pipeline_id, in->branch, in->fork, &had, &e) == 0)
		return again(tx, &row, &had, q->out, err);
	if (e.code != ERR_NOT_FOUND) {
		*err = e;
		return -1;
	}
	if (review_room(tx, in->pipeline_id, err) < 0)
		return -1;
	return store_review_insert(tx, &row, q->out, err);
}

/* Of a request its branch, head and fork are what the provider says. */
static int look_up(struct reviews *r, const struct store_repo *repo, struct review_new *in,
		   struct provider_pulls *l, struct err *err)
{
	const struct provider_pull *p;

	if (provider_pull_get(r->d.providers, repo, in->pr_number, l, err) < 0)
		return err->code == ERR_NOT_FOUND
			       ? err_set(err, ERR_INVALID_PARAMS, "%s has no request %lld.",
					 repo->full_name, (long long)in->pr_number)
			       : -1;
	p = &l->v[0];
	if (!p->open || !p->branch || !p->sha)
		return err_set(err, ERR_INVALID_PARAMS, "Request %lld is not open.",
			       (long long)in->pr_number);
	if (in->branch && strcmp(in->branch, p->branch) != 0)
		return err_set(err, ERR_INVALID_PARAMS, "Request %lld is of branch %s, not of %s.",
			       (long long)in->pr_number, p->branch, in->branch);
	if (in->commit && strcmp(in->commit, p->sha) != 0)
		return err_set(err, ERR_INVALID_PARAMS,
			       "The head of request %lld is %s by now, not %s.",
			       (long long)in->pr_number, p->sha, in->commit);
	in->branch = p->branch;
	in->commit = p->sha;
	in->fork = p->fork ? review_fork(p) : NULL;
	return 0;
}

/* The branch's own head, when no commit is named; and where the branch is. */
static int look_branch(struct reviews *r, struct review_new *in, char sha[65],
		       enum store_review_source *source, struct err *err)
{
	if (!in->branch)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Name the branch, or the request of a "
			       "pipeline that is connected.");
	if (review_branch(r, in->pipeline_id, in->branch, sha, source, err) < 0)
		return err->code == ERR_NOT_FOUND
			       ? err_set(err, ERR_INVALID_PARAMS,
					 "There is no branch %s: push it first.", in->branch)
			       : -1;
	if (!in->commit && sha[0])
		in->commit = sha;
	return 0;
}

int review_create(struct reviews *r, const struct review_new *asked, struct store_review *out,
		  struct err *err)
{
	AUTO(store_repo_clear) struct store_repo repo = {0};
	AUTO(provider_pulls_clear) struct provider_pulls pull = {0};
	struct review_new in = *asked;
	struct err none = {0};
	char sha[65] = "";
	struct create_q q = {.in = &in, .out = out, .source = REVIEW_URL};
	int rc = 0;

	if (!in.url && in.pr_number && review_repo(r, in.pipeline_id, &repo, &none) == 0) {
		q.source = REVIEW_PROVIDER;
		rc = look_up(r, &repo, &in, &pull, err);
	} else if (!in.url) {
		rc = look_branch(r, &in, sha, &q.source, err);
	} else if (!in.branch) {
		rc = err_set(err, ERR_INVALID_PARAMS, "Name the branch that it stands for.");
	}
	if (rc < 0)
		return -1;
	q.commit = in.commit;
	if (store_tx(r->d.store, write_create, &q, err) < 0)
		return -1;
	reviews_kick(r);
	return 0;
}

static int write_end(struct tx *tx, void *arg, struct err *err)
{
	return store_review_dismiss(tx, arg, err);
}

int review_end(struct reviews *r, const char *id, struct err *err)
{
	if (store_tx(r->d.store, write_end, (void *)(uintptr_t)id, err) < 0)
		return -1;
	reviews_kick(r);
	return 0;
}

struct all_q {
	const char *pipeline_id;
	int left;
};

static int write_end_all(struct tx *tx, void *arg, struct err *err)
{
	AUTO(store_reviews_clear) struct store_reviews l = {0};
	struct all_q *q = arg;

	if (store_reviews_list(tx, q->pipeline_id, false, &l, err) < 0)
		return -1;
	q->left = l.n;
	for (int i = 0; i < l.n; i++)
		if (store_review_end(tx, l.v[i].id, err) < 0)
			return -1;
	return 0;
}

static int count_left(struct tx *tx, void *arg, struct err *err)
{
	AUTO(store_reviews_clear) struct store_reviews l = {0};
	struct all_q *q = arg;

	if (store_reviews_list(tx, q->pipeline_id, false, &l, err) < 0)
		return -1;
	q->left = l.n;
	return 0;
}

/* Until something has changed, at most a second. False: closing. */
static bool nap(struct reviews *r)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec++;
	pthread_mutex_lock(&r->lock);
	if (!r->closing)
		pthread_cond_timedwait(&r->changed, &r->lock, &ts);
	bool closing = r->closing;

	pthread_mutex_unlock(&r->lock);
	return !closing;
}

int review_end_all(struct reviews *r, const char *pipeline_id, int ms, struct err *err)
{
	struct all_q q = {pipeline_id, 0};
	mono_ms until = clock_mono_ms() + ms;

	if (store_tx(r->d.store, write_end_all, &q, err) < 0)
		return -1;
	reviews_kick(r);
	while (q.left) {
		if (clock_mono_ms() > until || !nap(r))
			return err_set(
				err, ERR_TIMEOUT,
				"%d of the pipeline's review apps are still being destroyed.",
				q.left);
		if (store_read(r->d.store, count_left, &q, err) < 0)
			return -1;
	}
	return 0;
}

static int kick_pipeline(struct tx *tx, void *arg, struct err *err)
{
	return store_reviews_kick_pipeline(tx, arg, err);
}

void review_config_changed(struct reviews *r, const char *pipeline_id)
{
	struct err err = {0};

	if (store_tx(r->d.store, kick_pipeline, (void *)(uintptr_t)pipeline_id, &err) < 0)
		xlog_err(XLOG_ERROR, "review", &err, "msg=\"not looked at again\"");
	reviews_kick(r);
}

/* --- reading along --- */

/* Text of the step that runs on a row, from *at on; waits a second at most. */
static void more_said(struct reviews *r, const char *id, size_t *at, struct buf *out)
{
	struct busy *b;

	pthread_mutex_lock(&r->lock);
	b = busy_find(r, id);
	if (b && b->said.len > *at) {
		buf_add(out, b->said.data + *at, b->said.len - *at);
		*at = b->said.len;
	} else if (!b) {
		*at = 0;
	}
	pthread_mutex_unlock(&r->lock);
	if (!out->len)
		nap(r);
}

static bool settled(const struct store_review *v)
{
	if (!v->wanted)
		return v->status == REVIEW_DELETED;
	return v->status == REVIEW_ERRORED ||
	       (v->status == REVIEW_CREATED && strcmp(v->commit, v->tried) == 0);
}

int review_follow(struct reviews *r, const char *id,
		  void (*out)(const char *p, size_t n, void *arg), void *arg,
		  struct store_review *end, struct err *err)
{
	char setup_id[37] = "";
	size_t at = 0;

	for (;;) {
		AUTO(buf_clear) struct buf text = {0};
		struct err none = {0};

		store_review_clear(end);
		if (review_read(r, id, end, err) < 0)
			return -1;
		if (settled(end))
			return 0;
		if (reviews_closing(r))
			return err_set(err, ERR_CANCELED, "the platform is being restarted");
		if (end->status == REVIEW_CREATING && strcmp(setup_id, end->setup_id) != 0) {
			memcpy(setup_id, end->setup_id, sizeof setup_id);
			setup_follow(r->d.setups, setup_id, out, arg, NULL, &none);
			continue;
		}
		more_said(r, id, &at, &text);
		if (text.len)
			out(text.data, text.len, arg);
	}
}
