/* Clean-up in the background: each push leaves one pack, so after some of them the repository is
 * repacked and what no ref has reached for two weeks goes. One at a time, never beside a push. */
#include "daemon/git/git_int.h"

#include "daemon/core/pool.h"
#include "daemon/core/xlog.h"

#include <dirent.h>
#include <string.h>
#include <sys/wait.h>

struct gc_entry {
	char app_id[ID_LEN];
	mono_ms due;
	struct gc_entry *next;
};

struct git_gc { /* all with g->lock */
	struct gc_entry *first;
	pthread_cond_t wake; /* CLOCK_MONOTONIC */
	bool running, stop;
};

static int count_packs(const char *repo)
{
	char path[PATH_MAX + 16];
	int n = 0;

	snprintf(path, sizeof(path), "%s/objects/pack", repo);
	DIR *d = opendir(path);

	for (struct dirent *e; d && (e = readdir(d));) {
		size_t len = strlen(e->d_name);

		n += len > 5 && strcmp(e->d_name + len - 5, ".pack") == 0;
	}
	if (d)
		closedir(d);
	return n;
}

/* The children may be killed at any moment: git removes packs only after their successor is in
 * place, and the temporary files are swept by the next run. Locks on refs must go at once, or
 * pushes would fail from then on. */
static int run_gc(const char *repo, int cancel_fd, struct err *err)
{
	static const char *const argv[] = {"git", "gc", "--quiet", "--prune=2.weeks.ago", NULL};
	AUTO(genv_clear) struct genv env;
	AUTO(buf_clear) struct buf out = {0};

	genv_init(&env);
	genv_repo(&env, repo, NULL);
	genv_config(&env, "gc.autoDetach", "false");
	struct proc_spec s = {
		.argv = argv,
		.env = genv_done(&env),
		.in_fd = -1,
		.out_fd = -1,
		.err_fd = -1,
		.lim = {.as_bytes = LIM_GIT_FETCH_AS},
		.die_with_thread = true,
	};
	int rc = proc_run(&s, NULL, 0, &out, 2000, clock_mono_ms() + LIM_GIT_GC_MS, cancel_fd, err);

	if (rc > 0)
		return err_set(err, ERR_IO, "git gc: status %d: %s", rc, buf_str(&out));
	return rc;
}

/* False = not now, try later. */
static bool clean(struct git *g, const char *app_id)
{
	struct err err = {0};
	char repo[PATH_MAX];
	int cancel_fd;

	git_repo_path(g, app_id, repo);
	if (count_packs(repo) <= g->gc_packs)
		return true;
	if (!git_app_gc_begin(g, app_id, &cancel_fd))
		return false;
	int rc = run_gc(repo, cancel_fd, &err);

	if (rc < 0)
		git_repo_unlock(repo);
	git_app_gc_end(g, app_id);
	if (rc < 0 && err.code != ERR_CANCELED)
		xlog_err(XLOG_WARN, "git", &err, "msg=\"clean-up failed\" app_id=%s", app_id);
	else
		xlog(XLOG_DEBUG, "git", "msg=\"repository cleaned\" app_id=%s canceled=%d", app_id,
		     rc < 0);
	return rc == 0 || err.code != ERR_CANCELED;
}

static struct timespec as_timespec(mono_ms in_ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += in_ms / 1000;
	ts.tv_nsec += (in_ms % 1000) * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_nsec -= 1000000000;
		ts.tv_sec++;
	}
	return ts;
}

/* With g->lock: the entry that is due, taken out; NULL = wait for *left ms (-1 = nothing to do). */
static struct gc_entry *take_due(struct git_gc *gc, mono_ms *left)
{
	struct gc_entry **best = NULL;

	for (struct gc_entry **p = &gc->first; *p; p = &(*p)->next) {
		if (!best || (*p)->due < (*best)->due)
			best = p;
	}
	*left = best ? (*best)->due - clock_mono_ms() : -1;
	if (!best || *left > 0)
		return NULL;
	struct gc_entry *e = *best;

	*best = e->next;
	return e;
}

static void gc_main(void *arg)
{
	struct git *g = arg;
	struct git_gc *gc = g->gc;

	pthread_mutex_lock(&g->lock);
	while (!gc->stop) {
		mono_ms left;
		struct gc_entry *e = take_due(gc, &left);

		if (!e && left < 0) {
			pthread_cond_wait(&gc->wake, &g->lock);
			continue;
		}
		if (!e) {
			struct timespec ts = as_timespec(left);

			pthread_cond_timedwait(&gc->wake, &g->lock, &ts);
			continue;
		}
		pthread_mutex_unlock(&g->lock);
		if (!clean(g, e->app_id))
			git_gc_later(g, e->app_id);
		free(e);
		pthread_mutex_lock(&g->lock);
	}
	gc->running = false;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

void git_gc_start(struct git *g)
{
	pthread_condattr_t attr;

	g->gc = xcalloc(1, sizeof(*g->gc));
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&g->gc->wake, &attr);
	pthread_condattr_destroy(&attr);
	g->gc->running = true;
	thread_start("git-gc", gc_main, g);
}

void git_gc_end(struct git *g)
{
	pthread_mutex_lock(&g->lock);
	g->gc->stop = true;
	pthread_cond_broadcast(&g->gc->wake);
	pthread_mutex_unlock(&g->lock);
	git_app_gc_stop(g, NULL);
	pthread_mutex_lock(&g->lock);
	while (g->gc->running)
		pthread_cond_wait(&g->changed, &g->lock);
	pthread_mutex_unlock(&g->lock);
	for (struct gc_entry *e = g->gc->first, *next; e; e = next) {
		next = e->next;
		free(e);
	}
	pthread_cond_destroy(&g->gc->wake);
	free(STEAL(g->gc));
}

/* The time starts anew with each push, so that a busy app is left alone. */
void git_gc_later(struct git *g, const char *app_id)
{
	pthread_mutex_lock(&g->lock);
	struct gc_entry *e = g->gc->first;

	while (e && strcmp(e->app_id, app_id) != 0)
		e = e->next;
	if (!e) {
		e = xcalloc(1, sizeof(*e));
		memcpy(e->app_id, app_id, strlen(app_id) + 1);
		e->next = g->gc->first;
		g->gc->first = e;
	}
	e->due = clock_mono_ms() + g->gc_delay_ms;
	pthread_cond_broadcast(&g->gc->wake);
	pthread_mutex_unlock(&g->lock);
}
