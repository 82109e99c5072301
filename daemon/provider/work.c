/* Who looks when: one thread reads from the store which repositories have something due, a pool
 * works on them, one thread a repository at a time. Nothing is remembered outside the store but
 * what is under way, so a restart goes on where a kill was. */
#include "daemon/core/xlog.h"
#include "daemon/provider/provider_int.h"
#include "proto/limits.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>

#define WORKERS	   4
#define AT_ONCE	   50 /* looks read at a time */
#define PRUNE_MS   (60 * 60 * 1000)
#define PAUSE_MS   5000
#define MAX_GAP_MS (60 * 60 * 1000LL)

bool provider_ids_has(const struct buf *ids, const char *id)
{
	for (size_t at = 0; at < ids->len; at += 37)
		if (strcmp(ids->data + at, id) == 0)
			return true;
	return false;
}

void provider_ids_drop(struct buf *ids, const char *id)
{
	for (size_t at = 0; at < ids->len; at += 37) {
		if (strcmp(ids->data + at, id) != 0)
			continue;
		memmove(ids->data + at, ids->data + at + 37, ids->len - at - 37);
		ids->len -= 37;
		return;
	}
}

static void ids_add(struct buf *ids, const char *id)
{
	char row[37];

	snprintf(row, sizeof row, "%s", id);
	if (!provider_ids_has(ids, row))
		buf_add(ids, row, sizeof row);
}

const struct provider_codec *provider_codec_of(const struct store_repo *r)
{
	return provider_codec_find(r->provider);
}

wall_ms provider_gap(int n, int retry_s)
{
	wall_ms ms = 2000;

	for (int i = 1; i < n && ms < MAX_GAP_MS; i++)
		ms *= 4;
	ms = ms < MAX_GAP_MS ? ms : MAX_GAP_MS;
	if (retry_s * 1000LL > ms)
		ms = retry_s * 1000LL;
	return ms + random_below((uint32_t)(ms / 8));
}

bool provider_final(const struct err *err)
{
	return err->code == ERR_NOT_FOUND || err->code == ERR_FORBIDDEN || err->code == ERR_GONE ||
	       err->code == ERR_INVALID_PARAMS;
}

static void deadline(wall_ms wait, struct timespec *at)
{
	clock_gettime(CLOCK_REALTIME, at);
	at->tv_sec += wait / 1000;
	at->tv_nsec += (wait % 1000) * 1000000;
	if (at->tv_nsec >= 1000000000) {
		at->tv_sec++;
		at->tv_nsec -= 1000000000;
	}
}

void provider_pause(struct providers *p)
{
	struct timespec at;

	deadline(PAUSE_MS, &at);
	pthread_mutex_lock(&p->lock);
	while (!p->stopping)
		if (pthread_cond_timedwait(&p->changed, &p->lock, &at) == ETIMEDOUT)
			break;
	pthread_mutex_unlock(&p->lock);
}

/* --- looks --- */

struct look_tx {
	const char *repo_id;
	struct store_repo repo;
	struct store_looks looks;
	struct store_tells tells;
	const struct store_look *one;
	wall_ms next;
	const char *failure;
	bool timer; /* in: how it is by the store; out: due */
	wall_ms period_ms;
};

static int read_repo(struct tx *tx, void *arg, struct err *err)
{
	struct look_tx *t = arg;

	store_repo_clear(&t->repo);
	store_looks_clear(&t->looks);
	store_tells_clear(&t->tells);
	if (store_repo_get(tx, t->repo_id, &t->repo, err) < 0 ||
	    store_looks_due(tx, t->repo_id, clock_wall_ms(), AT_ONCE, &t->looks, err) < 0)
		return -1;
	t->timer = t->repo.reconciled_ms + t->period_ms <= clock_wall_ms();
	return store_tells_due(tx, t->repo_id, clock_wall_ms(), AT_ONCE, &t->tells, err);
}

static int write_done(struct tx *tx, void *arg, struct err *err)
{
	struct look_tx *t = arg;

	return t->next ? store_look_again(tx, t->one, t->next, err)
		       : store_look_done(tx, t->one, err);
}

#define EACH_REACTOR(p, i, member)          \
	for (int i = 0; i < (p)->nops; i++) \
		if ((p)->ops[i]->member)

static int look_at_pull(struct providers *p, const struct store_repo *r, const char *subject,
			struct err *err)
{
	AUTO(provider_pulls_clear) struct provider_pulls one = {0};

	if (provider_pull_get(p, r, strtoll(subject, NULL, 10), &one, err) < 0)
		return err->code == ERR_NOT_FOUND ? 0 : -1;
	EACH_REACTOR(p, i, pull)
	{
		if (p->ops[i]->pull(p->ops_arg[i], r, &one.v[0], err) < 0)
			return -1;
	}
	return 0;
}

static int look_at_branch(struct providers *p, const struct store_repo *r, const char *branch,
			  struct err *err)
{
	char sha[65];
	bool gone = false;

	if (provider_branch(p, r, branch, sha, err) < 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		gone = true;
	}
	EACH_REACTOR(p, i, branch)
	{
		if (p->ops[i]->branch(p->ops_arg[i], r, branch, gone ? NULL : sha, err) < 0)
			return -1;
	}
	return 0;
}

static bool wanted(struct providers *p, const struct store_repo *r, const char *sha)
{
	EACH_REACTOR(p, i, checks)
	{
		if (!p->ops[i]->checks_wanted || p->ops[i]->checks_wanted(p->ops_arg[i], r, sha))
			return true;
	}
	return false;
}

static int look_at_checks(struct providers *p, const struct store_repo *r, const char *sha,
			  struct err *err)
{
	enum provider_ci ci;

	if (!wanted(p, r, sha))
		return 0;
	if (provider_checks(p, r, sha, &ci, err) < 0)
		return err->code == ERR_NOT_FOUND ? 0 : -1;
	EACH_REACTOR(p, i, checks)
	{
		if (p->ops[i]->checks(p->ops_arg[i], r, sha, ci, err) < 0)
			return -1;
	}
	return 0;
}

static const struct {
	const char *kind;
	int (*fn)(struct providers *p, const struct store_repo *r, const char *subject,
		  struct err *err);
} kinds[] = {
	{"pull", look_at_pull},
	{"branch", look_at_branch},
	{"checks", look_at_checks},
};

static bool stopping(struct providers *p)
{
	bool s;

	pthread_mutex_lock(&p->lock);
	s = p->stopping;
	pthread_mutex_unlock(&p->lock);
	return s;
}

static void look_one(struct providers *p, const struct store_repo *r, const struct store_look *l)
{
	struct look_tx t = {.one = l};
	struct err err = {0}, why = {0};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(l->kind, kinds[i].kind) == 0)
			rc = kinds[i].fn(p, r, l->subject, &why);
	if (rc < 0 && stopping(p))
		return;
	if (rc < 0) {
		bool over = provider_final(&why) || l->tries + 1 >= LIM_PROVIDER_LOOKS;

		xlog_err(XLOG_WARN, "provider", &why, "msg=\"%s\" repo=%s kind=%s subject=%s",
			 over ? "look given up; the timer looks again" : "look failed",
			 xlog_q(r->full_name), l->kind, xlog_q(l->subject));
		t.next = over ? 0 : clock_wall_ms() + provider_gap(l->tries + 1, 0);
	}
	if (store_tx(p->st, write_done, &t, &err) < 0) {
		xlog_err(XLOG_ERROR, "provider", &err, "msg=\"look not recorded\" repo_id=%s",
			 r->id);
		provider_pause(p);
	}
}

/* --- the timer's look --- */

static int reconcile(struct providers *p, const struct store_repo *r, struct err *err)
{
	AUTO(provider_pulls_clear) struct provider_pulls open = {0};

	if (provider_pulls_open(p, r, &open, err) < 0)
		return -1;
	EACH_REACTOR(p, i, pulls)
	{
		if (p->ops[i]->pulls(p->ops_arg[i], r, &open, err) < 0)
			return -1;
	}
	EACH_REACTOR(p, i, timer)
	{
		if (p->ops[i]->timer(p->ops_arg[i], r, err) < 0)
			return -1;
	}
	provider_mirror_prune(p, r, &open);
	return 0;
}

static int write_looked(struct tx *tx, void *arg, struct err *err)
{
	struct look_tx *t = arg;

	return store_repo_looked(tx, t->repo_id, t->failure, err);
}

static void timed_look(struct providers *p, struct store_repo *r)
{
	struct look_tx t = {.repo_id = r->id};
	struct err why = {0}, err = {0};

	if (reconcile(p, r, &why) < 0) {
		if (stopping(p))
			return;
		t.failure = why.msg;
		/* Once, not every time: an address that is gone may stay so for days. */
		xlog_err(r->failure && strcmp(r->failure, why.msg) == 0 ? XLOG_DEBUG : XLOG_WARN,
			 "provider", &why, "msg=\"repository cannot be looked at\" repo=%s",
			 xlog_q(r->full_name));
	}
	if (store_tx(p->st, write_looked, &t, &err) < 0 && err.code != ERR_NOT_FOUND) {
		xlog_err(XLOG_ERROR, "provider", &err, "msg=\"look not recorded\" repo_id=%s",
			 r->id);
		provider_pause(p);
	}
}

/* --- a repository's turn --- */

struct turn {
	struct providers *p;
	char id[37];
};

/* False: nothing is due any more. */
static bool one_round(struct providers *p, const char *id, bool asked)
{
	struct look_tx t = {.repo_id = id, .period_ms = p->cfg->providers_period_s * 1000};
	struct err err = {0};
	bool more;

	if (store_read(p->st, read_repo, &t, &err) < 0) {
		if (err.code != ERR_NOT_FOUND)
			xlog_err(XLOG_ERROR, "provider", &err, "msg=\"repository not read\" id=%s",
				 id);
		more = false;
	} else {
		for (int i = 0; i < t.tells.n && !stopping(p); i++)
			provider_tell_one(p, &t.repo, &t.tells.v[i]);
		for (int i = 0; i < t.looks.n && !stopping(p); i++)
			look_one(p, &t.repo, &t.looks.v[i]);
		if ((t.timer || asked) && !stopping(p))
			timed_look(p, &t.repo);
		more = t.tells.n + t.looks.n > 0;
	}
	store_repo_clear(&t.repo);
	store_looks_clear(&t.looks);
	store_tells_clear(&t.tells);
	return more && !stopping(p);
}

static bool take_asked(struct providers *p, const char *id)
{
	bool asked;

	pthread_mutex_lock(&p->lock);
	asked = provider_ids_has(&p->asked, id);
	provider_ids_drop(&p->asked, id);
	pthread_mutex_unlock(&p->lock);
	return asked;
}

static void take_turn(void *arg)
{
	struct turn *t = arg;
	struct providers *p = t->p;

	while (one_round(p, t->id, take_asked(p, t->id)))
		;
	pthread_mutex_lock(&p->lock);
	provider_ids_drop(&p->busy, t->id);
	p->woken = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	free(t);
}

/* --- the scheduler --- */

struct due_tx {
	struct providers *p;
	struct buf ids;
	wall_ms next;
	struct store_repos repos;
};

static int read_due(struct tx *tx, void *arg, struct err *err)
{
	struct due_tx *t = arg;

	return store_repos_due(tx, clock_wall_ms(), t->p->cfg->providers_period_s * 1000, &t->ids,
			       &t->next, err);
}

/* With the lock. */
static void give_turns(struct providers *p, const struct buf *ids)
{
	for (size_t at = 0; at < ids->len; at += 37) {
		struct turn *t;

		if (provider_ids_has(&p->busy, ids->data + at))
			continue; /* its end wakes us */
		t = xcalloc(1, sizeof *t);
		t->p = p;
		memcpy(t->id, ids->data + at, sizeof t->id);
		ids_add(&p->busy, t->id);
		if (!pool_submit(p->pool, take_turn, t)) {
			provider_ids_drop(&p->busy, t->id);
			free(t);
		}
	}
}

static int prune(struct tx *tx, void *arg, struct err *err)
{
	return store_repo_deliveries_prune(tx, clock_wall_ms() - LIM_PROVIDER_KEEP_MS, err);
}

static int read_repos(struct tx *tx, void *arg, struct err *err)
{
	struct due_tx *t = arg;

	store_repos_clear(&t->repos);
	return store_repos_all(tx, &t->repos, err);
}

/* After a start each repository is looked at once: who knows how long we were away. */
static void ask_all(struct providers *p)
{
	struct due_tx t = {.p = p};

	store_read(p->st, read_repos, &t, NULL);
	pthread_mutex_lock(&p->lock);
	for (int i = 0; i < t.repos.n; i++)
		ids_add(&p->asked, t.repos.v[i].id);
	pthread_mutex_unlock(&p->lock);
	store_repos_clear(&t.repos);
}

/* With the lock; until woken, or the time. */
static void sleep_until(struct providers *p, wall_ms next)
{
	wall_ms now = clock_wall_ms(), wait = next ? next - now : PRUNE_MS;
	struct timespec at;

	wait = wait < 0 ? 0 : wait > PRUNE_MS ? PRUNE_MS : wait;
	deadline(wait, &at);
	while (!p->woken && !p->stopping)
		if (pthread_cond_timedwait(&p->changed, &p->lock, &at) == ETIMEDOUT)
			break;
	p->woken = false;
}

static void look_round(struct providers *p, wall_ms *next)
{
	struct due_tx t = {.p = p};
	struct err err = {0};

	if (clock_wall_ms() - p->pruned_ms > PRUNE_MS) {
		p->pruned_ms = clock_wall_ms();
		store_tx(p->st, prune, NULL, NULL);
		provider_mirrors_sweep(p);
	}
	*next = 0;
	if (store_read(p->st, read_due, &t, &err) < 0) {
		xlog_err(XLOG_ERROR, "provider", &err, "msg=\"what is due cannot be read\"");
		*next = clock_wall_ms() + 10000;
	} else {
		*next = t.next;
	}
	pthread_mutex_lock(&p->lock);
	give_turns(p, &t.ids);
	give_turns(p, &p->asked);
	pthread_mutex_unlock(&p->lock);
	buf_clear(&t.ids);
}

static void scheduler(void *arg)
{
	struct providers *p = arg;

	pthread_mutex_lock(&p->lock);
	while (!p->running && !p->stopping)
		pthread_cond_wait(&p->changed, &p->lock);
	pthread_mutex_unlock(&p->lock);
	if (!stopping(p))
		ask_all(p);
	while (!stopping(p)) {
		wall_ms next;

		look_round(p, &next);
		pthread_mutex_lock(&p->lock);
		sleep_until(p, next);
		pthread_mutex_unlock(&p->lock);
	}
}

/* --- life --- */

void provider_wake(struct providers *p)
{
	pthread_mutex_lock(&p->lock);
	p->woken = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

void provider_look(struct providers *p, const char *repo_id)
{
	pthread_mutex_lock(&p->lock);
	ids_add(&p->asked, repo_id);
	pthread_mutex_unlock(&p->lock);
	provider_wake(p);
}

void provider_tell_now(struct providers *p)
{
	provider_wake(p);
}

int providers_start(const struct config *cfg, struct out *o, struct store *st,
		    struct providers **out, struct err *err)
{
	struct providers *p = xcalloc(1, sizeof *p);

	*p = (struct providers){.cfg = cfg, .o = o, .st = st};
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	p->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->cancel_fd < 0) {
		err_errno(err, "cannot make an event descriptor");
		free(p);
		return -1;
	}
	p->pool = pool_new("provider", WORKERS, 1024);
	p->scheduler = thread_new("providers", scheduler, p);
	*out = p;
	return 0;
}

void providers_react(struct providers *p, const struct provider_ops *ops, void *arg)
{
	assert(!p->running && p->nops < PROVIDER_REACTORS);
	p->ops[p->nops] = ops;
	p->ops_arg[p->nops++] = arg;
}

void providers_run(struct providers *p)
{
	pthread_mutex_lock(&p->lock);
	p->running = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

void providers_stop(struct providers *p)
{
	if (!p || !p->pool)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	eventfd_write(p->cancel_fd, 1);
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	provider_calls_stop(p);
	thread_join(p->scheduler);
	pool_free(STEAL(p->pool));
}

void providers_free(struct providers *p)
{
	if (!p)
		return;
	close(p->cancel_fd);
	buf_clear(&p->busy);
	buf_clear(&p->asked);
	buf_clear(&p->fetching);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
