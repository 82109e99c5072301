/* The row of an app says which commit waits (the branch's head, as the provider told) and which was
 * tried last. Whatever happens sets the first and looks whether it may go; one thread an app
 * deploys what waits until nothing does. So the newest wins, and no commit is tried twice; a
 * restart finds the row. */
#include "daemon/release/autodeploy.h"
#include "daemon/core/pool.h"
#include "daemon/core/xlog.h"
#include "daemon/release/built.h"
#include "daemon/release/commit.h"
#include "daemon/store/app.h"
#include "daemon/store/user.h"
#include "proto/limits.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#define FETCH_TRIES 6

struct deploying {
	struct autodeploys *a;
	struct deploying *next;
	char app_id[37], repo_id[37];
	bool again; /* something has moved meanwhile */
};

struct autodeploys {
	struct pusher *ps;
	struct git *g;
	struct providers *p;
	int cancel_fd;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t changed;
	struct deploying *under_way;
	bool stopping;
};

/* --- rows --- */

struct auto_tx {
	const char *app_id, *repo_id, *branch;
	const char *commit, *status, *message;
	bool ok, built;
	struct store_auto one;
	struct store_autos list;
	struct store_repo repo;
	char *email; /* owned */
};

static void auto_tx_clear(struct auto_tx *t)
{
	store_auto_clear(&t->one);
	store_autos_clear(&t->list);
	store_repo_clear(&t->repo);
	free(STEAL(t->email));
}
#define auto_tx_clear_p auto_tx_clear

static int read_list(struct tx *tx, void *arg, struct err *err)
{
	struct auto_tx *t = arg;

	store_autos_clear(&t->list);
	return store_autos_of_repo(tx, t->repo_id, t->branch, &t->list, err);
}

/* The app may have left the pipeline since. */
static int read_one(struct tx *tx, void *arg, struct err *err)
{
	struct auto_tx *t = arg;
	AUTO(store_user_clear) struct store_user u = {0};
	const char *user;

	auto_tx_clear(t);
	if (store_auto_get(tx, t->app_id, &t->one, err) < 0 ||
	    store_repo_of_app(tx, t->app_id, &t->repo, err) < 0)
		return -1;
	user = t->one.user_id[0] ? t->one.user_id : t->one.owner_id;
	if (store_user_get(tx, user, &u, err) < 0)
		return -1;
	memcpy(t->one.user_id, u.id, sizeof t->one.user_id);
	t->email = xstrdup(u.email);
	if (!t->one.pending[0])
		return 0;
	return store_auto_was_built(tx, t->app_id, t->one.pending, &t->built, err);
}

static int write_want(struct tx *tx, void *arg, struct err *err)
{
	struct auto_tx *t = arg;

	return store_auto_want(tx, t->app_id, t->commit, t->status, t->message, err);
}

static int write_status(struct tx *tx, void *arg, struct err *err)
{
	struct auto_tx *t = arg;

	return store_auto_status(tx, t->app_id, t->commit, t->status, t->message, err);
}

static int write_tried(struct tx *tx, void *arg, struct err *err)
{
	struct auto_tx *t = arg;

	return store_auto_tried(tx, t->app_id, t->commit, t->ok, t->message, err);
}

static void say(struct autodeploys *a, const char *app_id, const char *fmt, ...) PRINTF(3, 4);
static void say(struct autodeploys *a, const char *app_id, const char *fmt, ...)
{
	char line[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	logd_printf(a->ps->log, app_id, "app", "api", "%s", line);
}

static void note(struct autodeploys *a, tx_fn *fn, struct auto_tx *t)
{
	struct err err = {0};

	if (store_tx(a->ps->store, fn, t, &err) < 0)
		xlog_err(XLOG_ERROR, "autodeploy", &err, "msg=\"not recorded\" app_id=%s",
			 t->app_id);
}

/* --- what the provider shows beside the commit --- */

struct show_tx {
	const struct auto_tx *t;
	enum provider_state state;
	const char *url, *text;
};

static int write_show(struct tx *tx, void *arg, struct err *err)
{
	struct show_tx *s = arg;
	const struct provider_told told = {.repo_id = s->t->repo.id,
					   .key = s->t->one.app_id,
					   .sha = s->t->one.pending,
					   .environment = s->t->one.app_name,
					   .state = s->state,
					   .url = s->url,
					   .text = s->text};

	return provider_tell(tx, &told, err);
}

static void show(struct autodeploys *a, const struct auto_tx *t, enum provider_state state,
		 const char *text)
{
	char url[300];
	struct show_tx s = {t, state, url, text};
	struct err err = {0};

	built_web_url(a->ps->cfg, t->one.app_name, url, sizeof url);
	if (store_tx(a->ps->store, write_show, &s, &err) < 0)
		xlog_err(XLOG_WARN, "autodeploy", &err, "msg=\"not shown at the provider\" app=%s",
			 t->one.app_name);
	provider_tell_now(a->p);
}

/* --- may it go? --- */

/* 1: yes. 0: it waits for its checks, and says so once. */
static int checks_passed(struct autodeploys *a, const struct store_repo *r,
			 const struct store_auto *d, struct err *err)
{
	static const char *const why[] = {
		[PROVIDER_CI_NONE] = "nothing has checked it yet",
		[PROVIDER_CI_PENDING] = "its checks are running",
		[PROVIDER_CI_FAILURE] = "its checks have failed",
	};
	enum provider_ci ci;
	struct auto_tx t = {.app_id = d->app_id, .commit = d->pending, .status = "checks"};

	if (!d->wait_for_ci)
		return 1;
	if (provider_checks(a->p, r, d->pending, &ci, err) < 0)
		return -1;
	if (ci == PROVIDER_CI_SUCCESS)
		return 1;
	if (d->message && strcmp(d->message, why[ci]) == 0)
		return 0;
	t.message = why[ci];
	note(a, write_status, &t);
	say(a, d->app_id, "Deploy of %.8s from %s waits: %s", d->pending, d->branch, why[ci]);
	return 0;
}

/* --- the thread of an app --- */

/* False: we stop. */
static bool wait_ms(struct autodeploys *a, int ms)
{
	struct timespec at;
	bool stopping;

	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_sec += ms / 1000;
	pthread_mutex_lock(&a->lock);
	while (!a->stopping)
		if (pthread_cond_timedwait(&a->changed, &a->lock, &at) == ETIMEDOUT)
			break;
	stopping = a->stopping;
	pthread_mutex_unlock(&a->lock);
	return !stopping;
}

static bool is_stopping(struct autodeploys *a)
{
	bool s;

	pthread_mutex_lock(&a->lock);
	s = a->stopping;
	pthread_mutex_unlock(&a->lock);
	return s;
}

/* The commit, not what the branch may be by now: its checks are what was waited for. */
static int fetch(struct autodeploys *a, const struct auto_tx *t, char *mirror, struct err *err)
{
	char head[65];
	int rc = -1;

	for (int i = 0; i < FETCH_TRIES && rc < 0; i++) {
		*err = (struct err){0};
		rc = provider_fetch_branch(a->p, &t->repo, t->one.branch, a->cancel_fd, mirror,
					   head, err);
		if (rc < 0 && (err->code != ERR_UNAVAILABLE || !wait_ms(a, 2000 << i)))
			return -1;
	}
	if (rc == 0 && !provider_mirror_has(a->p, &t->repo, t->one.pending))
		return err_set(err, ERR_NOT_FOUND, "the branch has moved away from it");
	return rc;
}

static int deploy(struct autodeploys *a, const struct auto_tx *t, struct err *err)
{
	AUTO(auto_str)
	char *why = xasprintf("deploy of %s of %s", t->one.branch, t->repo.full_name);
	char mirror[PATH_MAX];
	struct commit_deploy in = {.app_id = t->one.app_id,
				   .user_id = t->one.user_id,
				   .user_email = t->email,
				   .from = mirror,
				   .commit = t->one.pending,
				   .why = why};

	if (fetch(a, t, mirror, err) < 0)
		return -1;
	return commit_deploy(a->ps, a->g, &in, err);
}

/* What a fetch could not get waits for the timer's next look. */
static bool stays(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE || err->code == ERR_TIMEOUT;
}

static void tried(struct autodeploys *a, struct auto_tx *t, const struct err *why)
{
	struct auto_tx w = {.app_id = t->app_id, .commit = t->one.pending, .ok = !why->status};

	if (why->status && is_stopping(a))
		return; /* taken up at the next start */
	if (why->status && stays(why)) {
		w.status = "waiting";
		w.message = why->msg;
		note(a, write_status, &w);
		say(a, t->app_id, "Deploy of %.8s from %s waits: %s", t->one.pending, t->one.branch,
		    why->msg);
		return;
	}
	w.message = why->status ? why->msg : NULL;
	note(a, write_tried, &w);
	show(a, t, why->status ? PROVIDER_FAILURE : PROVIDER_SUCCESS,
	     why->status ? "The deploy has failed." : "Deployed.");
	if (why->status)
		say(a, t->app_id, "Deploy of %.8s from branch %s of %s failed: %s", t->one.pending,
		    t->one.branch, t->repo.full_name, why->msg);
	else
		say(a, t->app_id, "Deployed %.8s from branch %s of %s", t->one.pending,
		    t->one.branch, t->repo.full_name);
}

/* True: something was tried, there may be more. */
static bool deploy_next(struct deploying *d)
{
	struct autodeploys *a = d->a;
	AUTO(auto_tx_clear) struct auto_tx t = {.app_id = d->app_id};
	struct auto_tx w = {.app_id = d->app_id, .status = "deploying"};
	struct err why = {0};

	if (is_stopping(a) || store_read(a->ps->store, read_one, &t, &why) < 0 ||
	    !t.one.pending[0] || checks_passed(a, &t.repo, &t.one, &why) != 1)
		return false;
	if (!t.built) {
		w.commit = t.one.pending;
		note(a, write_status, &w);
		say(a, d->app_id, "Deploying %.8s from branch %s of %s", t.one.pending,
		    t.one.branch, t.repo.full_name);
		show(a, &t, PROVIDER_PENDING, "Deploying.");
		deploy(a, &t, &why);
	}
	tried(a, &t, &why);
	return !why.status || !stays(&why);
}

static void deploy_all(void *arg)
{
	struct deploying *d = arg;
	struct autodeploys *a = d->a;
	bool more = true;

	while (more) {
		while (deploy_next(d))
			;
		pthread_mutex_lock(&a->lock);
		more = d->again && !a->stopping;
		d->again = false;
		if (!more) {
			struct deploying **p = &a->under_way;

			while (*p != d)
				p = &(*p)->next;
			*p = d->next;
			pthread_cond_broadcast(&a->changed);
		}
		pthread_mutex_unlock(&a->lock);
	}
	free(d);
}

static void go(struct autodeploys *a, const char *app_id)
{
	struct deploying *d;

	pthread_mutex_lock(&a->lock);
	for (d = a->under_way; d; d = d->next)
		if (strcmp(d->app_id, app_id) == 0)
			break;
	if (d) {
		d->again = true;
	} else if (!a->stopping) {
		d = xcalloc(1, sizeof *d);
		d->a = a;
		snprintf(d->app_id, sizeof d->app_id, "%s", app_id);
		d->next = a->under_way;
		a->under_way = d;
		thread_start("autodeploy", deploy_all, d);
	}
	pthread_mutex_unlock(&a->lock);
}

/* --- what providers find --- */

static int on_branch(void *arg, const struct store_repo *r, const char *branch, const char *sha,
		     struct err *err)
{
	struct autodeploys *a = arg;
	AUTO(auto_tx_clear) struct auto_tx t = {.repo_id = r->id, .branch = branch};

	if (!sha)
		return 0; /* what it deployed last goes on running */
	if (store_read(a->ps->store, read_list, &t, err) < 0)
		return -1;
	for (int i = 0; i < t.list.n; i++) {
		const struct store_auto *d = &t.list.v[i];
		struct auto_tx w = {.app_id = d->app_id,
				    .commit = sha,
				    .status = d->wait_for_ci ? "checks" : "waiting"};

		if (strcmp(d->deployed, sha) == 0 && !d->pending[0])
			continue;
		/* Back at what was tried last: nothing to do, and what waited is not wanted. */
		if (strcmp(d->deployed, sha) == 0)
			w.ok = strcmp(d->status, "failed") != 0;
		if (strcmp(d->pending, sha) != 0 && store_tx(a->ps->store, write_want, &w, err) < 0)
			return -1;
		if (strcmp(d->deployed, sha) == 0) {
			if (store_tx(a->ps->store, write_tried, &w, err) < 0)
				return -1;
			continue;
		}
		go(a, d->app_id);
	}
	return 0;
}

static bool checks_wanted(void *arg, const struct store_repo *r, const char *sha)
{
	struct autodeploys *a = arg;
	AUTO(auto_tx_clear) struct auto_tx t = {.repo_id = r->id};

	if (store_read(a->ps->store, read_list, &t, NULL) < 0)
		return true;
	for (int i = 0; i < t.list.n; i++)
		if (strcmp(t.list.v[i].pending, sha) == 0)
			return true;
	return false;
}

static int on_checks(void *arg, const struct store_repo *r, const char *sha, enum provider_ci ci,
		     struct err *err)
{
	struct autodeploys *a = arg;
	AUTO(auto_tx_clear) struct auto_tx t = {.repo_id = r->id};

	if (store_read(a->ps->store, read_list, &t, err) < 0)
		return -1;
	for (int i = 0; i < t.list.n; i++)
		if (strcmp(t.list.v[i].pending, sha) == 0)
			go(a, t.list.v[i].app_id);
	return 0;
}

static int on_timer(void *arg, const struct store_repo *r, struct err *err)
{
	struct autodeploys *a = arg;
	AUTO(auto_tx_clear) struct auto_tx t = {.repo_id = r->id};

	if (store_read(a->ps->store, read_list, &t, err) < 0)
		return -1;
	for (int i = 0; i < t.list.n; i++) {
		const char *branch = t.list.v[i].branch;
		bool done = false;
		char sha[65];

		for (int k = 0; k < i && !done; k++)
			done = strcmp(t.list.v[k].branch, branch) == 0;
		if (done)
			continue;
		if (provider_branch(a->p, r, branch, sha, err) < 0) {
			if (err->code != ERR_NOT_FOUND)
				return -1;
			*err = (struct err){0};
			continue;
		}
		if (on_branch(a, r, branch, sha, err) < 0)
			return -1;
	}
	return 0;
}

/* --- life --- */

static const struct provider_ops ops = {
	.branch = on_branch,
	.checks = on_checks,
	.checks_wanted = checks_wanted,
	.timer = on_timer,
};

struct autodeploys *autodeploys_new(struct pusher *ps, struct git *g, struct providers *p)
{
	struct autodeploys *a = xcalloc(1, sizeof *a);

	*a = (struct autodeploys){.ps = ps, .g = g, .p = p};
	a->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	providers_react(p, &ops, a);
	return a;
}

void autodeploys_look(struct autodeploys *a, const char *repo_id)
{
	provider_look(a->p, repo_id);
}

void autodeploys_stop(struct autodeploys *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->stopping = true;
	eventfd_write(a->cancel_fd, 1);
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

void autodeploys_free(struct autodeploys *a)
{
	if (!a)
		return;
	autodeploys_stop(a);
	pthread_mutex_lock(&a->lock);
	while (a->under_way)
		pthread_cond_wait(&a->changed, &a->lock);
	pthread_mutex_unlock(&a->lock);
	close(a->cancel_fd);
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a);
}
