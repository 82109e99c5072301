#include "daemon/build/build_int.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "proto/names.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

/* What a build may write before its watcher looks again, roughly. */
#define DISK_MARGIN   MiB(64)
#define DISK_WATCH_MS 1000

int builds_open(const struct config *cfg, struct launcher *la, struct slugs *sl,
		struct builds **out, struct err *err)
{
	AUTO(auto_str) char *dir = xasprintf("%s/builds", cfg->state_dir);
	struct builds *b;

	if (fs_mkdirs(dir, 0711, err) < 0)
		return -1;
	b = xcalloc(1, sizeof(*b));
	b->cfg = cfg;
	b->la = la;
	b->slugs = sl;
	b->queue = queue_new((int)cfg->build_concurrency);
	b->outputs = outputs_new(dir);
	b->builds_dir = STEAL(dir);
	b->cache_dir = xasprintf("%s/cache", cfg->state_dir);
	*out = b;
	return 0;
}

void builds_stop(struct builds *b)
{
	queue_stop_all(b->queue);
}

void builds_close(struct builds *b)
{
	if (!b)
		return;
	queue_close(b->queue);
	outputs_free(b->outputs);
	free(b->builds_dir);
	free(b->cache_dir);
	free(b);
}

static void strv_free(char **v)
{
	for (char **p = v; p && *p; p++)
		free(*p);
	free(v);
}

void build_result_clear(struct build_result *r)
{
	proc_types_clear(&r->types);
	strv_free(r->buildpacks);
	strv_free(r->config);
	strv_free(r->addons);
	free(r->language);
	free(r->release_command_note);
	*r = (struct build_result){0};
}

/* --- disk --- */

static uint64_t reserve(const struct builds *b)
{
	return (uint64_t)b->cfg->disk_reserve_mb * (uint64_t)MiB(1);
}

/* Refused early: room for the copy of the cache and something to work with above the reserve. */
static int check_disk(struct build *c, struct err *err)
{
	AUTO(auto_str) char *cache = xasprintf("%s/%s", c->b->cache_dir, c->req->app_id);
	uint64_t unused, need = reserve(c->b) + (uint64_t)DISK_MARGIN, bytes = 0, files;
	char is[16], want[16];

	if (fs_free_bytes(c->b->builds_dir, &unused, err) < 0)
		return -1;
	if (access(cache, F_OK) == 0 && fs_usage(cache, &bytes, &files, NULL) == 0)
		need += bytes;
	if (unused >= need)
		return 0;
	say_sizes(unused, is);
	say_sizes(need, want);
	return say_fail(c, err, ERR_DISK_FULL,
			"Not enough disk space to build: %s are free, %s are needed (with the "
			"reserve of %lld MB)",
			is, want, (long long)c->b->cfg->disk_reserve_mb);
}

struct watch {
	const struct build *c;
	int end_fd;
	pthread_t thread;
};

static void *watch_disk(void *arg)
{
	const struct watch *w = arg;
	struct pollfd p = {.fd = w->end_fd, .events = POLLIN};

	while (poll(&p, 1, DISK_WATCH_MS) <= 0) {
		uint64_t unused;

		if (fs_free_bytes(w->c->b->builds_dir, &unused, NULL) == 0 &&
		    unused < reserve(w->c->b))
			queue_stop(w->c->b->queue, w->c->req->build_id, STOP_DISK_FULL);
	}
	return NULL;
}

static int watch_start(struct watch *w, const struct build *c, struct err *err)
{
	w->c = c;
	w->end_fd = eventfd(0, EFD_CLOEXEC);
	if (w->end_fd < 0)
		return err_errno(err, "eventfd");
	errno = pthread_create(&w->thread, NULL, watch_disk, w);
	if (errno == 0)
		return 0;
	err_errno(err, "cannot start a thread");
	close(w->end_fd);
	return -1;
}

static void watch_end(struct watch *w)
{
	eventfd_write(w->end_fd, 1);
	pthread_join(w->thread, NULL);
	close(w->end_fd);
}

/* --- folders of builds: STATE/builds/ID, and STATE/builds/by-app/APP/ID to find an app's --- */

static int make_dirs(struct build *c, struct err *err)
{
	AUTO(auto_str) char *list = xasprintf("%s/by-app/%s", c->b->builds_dir, c->req->app_id);
	AUTO(auto_str) char *mark = xasprintf("%s/%s", list, c->req->build_id);
	AUTO(auto_fd) int fd = -1;

	c->dir = xasprintf("%s/%s", c->b->builds_dir, c->req->build_id);
	if (fs_mkdirs(list, 0700, err) < 0 || fs_mkdirs(c->dir, 0711, err) < 0)
		return -1;
	fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? err_errno(err, "%s", mark) : 0;
}

static bool stopped(struct build *c, struct err *err)
{
	enum stop_why why = queue_why(c->b->queue, &c->job);

	if (why)
		queue_stop_err(why, err);
	return why != STOP_NONE;
}

static int run_steps(struct build *c, struct err *err)
{
	static int (*const steps[])(struct build * c, struct err * err) = {
		check_disk,  places_make,  cache_load, step_source,
		step_choose, step_compile, step_types,
	};
	int rc = 0;

	say_step(c, "Building on the %s stack", c->b->cfg->stack);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(steps); i++) {
		rc = steps[i](c, err);
		if (rc == 0 && stopped(c, err))
			rc = -1;
	}
	if (rc == 0 || err->code == ERR_BUILD_FAILED)
		step_reports(c);
	if (rc == 0 && stopped(c, err))
		rc = -1;
	if (rc == 0)
		rc = step_seal(c, err);
	if (rc == 0)
		cache_store(c);
	return rc;
}

static void fill_result(struct build *c)
{
	struct build_result *r = c->res;

	r->buildpacks = xcalloc((size_t)c->npacks + 1, sizeof(char *));
	for (int i = 0; i < c->npacks; i++)
		r->buildpacks[i] = xstrdup(c->pack[i].text);
	r->language = xstrdup(c->pack[c->npacks - 1].name);
	if (proc_types_get(&r->types, "release"))
		r->release_command_note = xstrdup(" !     Release command declared: this new "
						  "release will not be available until "
						  "the command succeeds.");
}

/* Only what build.h promises goes out; what it was is in the daemon's log. */
static void fold_error(const struct build *c, struct err *err)
{
	switch (err->code) {
	case ERR_BUILD_FAILED:
	case ERR_CANCELED:
	case ERR_TIMEOUT:
	case ERR_DISK_FULL:
	case ERR_SLUG_TOO_LARGE:
		return;
	default:
		xlog_err(XLOG_ERROR, "build", err,
			 "msg=\"build could not be done\" app=%s build=%s", c->req->app_name,
			 c->req->build_id);
		err->code = ERR_BUILD_FAILED;
		err->id = err_wire_id(ERR_BUILD_FAILED);
		err->status = err_http_status(ERR_BUILD_FAILED);
	}
}

static void say_failure(struct build *c, const struct err *err, bool superseded)
{
	if (!c->told)
		say_warn(c, "%s", err->msg);
	if (superseded)
		return;
	say(c, "%s", "");
	say_warn(c, "Push failed");
}

static void on_wait(bool app_busy, void *arg)
{
	say_step(arg, "%s",
		 app_busy ? "Waiting for this app's running build to end"
			  : "Waiting for other builds to end");
}

static int run_queued(struct build *c, bool *superseded, struct err *err)
{
	struct watch w;
	int rc;

	if (queue_enter(c->b->queue, &c->job, on_wait, c, err) < 0) {
		*superseded = c->job.why == STOP_SUPERSEDED;
		return -1;
	}
	c->deadline = clock_mono_ms() + c->b->cfg->build_timeout_s * 1000;
	rc = watch_start(&w, c, err);
	if (rc == 0) {
		rc = run_steps(c, err);
		watch_end(&w);
	}
	/* emptied before the app's next build may start: the disk holds one at a time */
	{
		struct err e = {0};

		if (places_remove(c->b, c->dir, &e) < 0)
			xlog_err(XLOG_WARN, "build", &e, "msg=\"folder of a build stays\" build=%s",
				 c->req->build_id);
	}
	queue_leave(c->b->queue, &c->job);
	return rc;
}

static void clear(struct build *c)
{
	for (int i = 0; i < LIM_BUILDPACKS; i++) {
		free(c->pack[i].text);
		free(c->pack[i].shown);
		free(c->pack[i].name);
	}
	places_clear(c);
	free(c->dir);
}

int build_run(struct builds *b, const struct build_req *req, struct build_result *res,
	      struct err *err)
{
	struct build c = {.b = b, .req = req, .res = res};
	struct err e = {0};
	bool superseded = false;
	int rc;

	assert(name_is_uuid(req->build_id) && name_is_uuid(req->app_id));
	*res = (struct build_result){0};
	c.job.app_id = req->app_id;
	c.job.build_id = req->build_id;
	c.plain = !strcmp(launcher_info(b->la)->runtime, "plain");
	rc = make_dirs(&c, &e);
	if (rc == 0)
		rc = output_begin(b->outputs, req->build_id, &c.out, &e);
	if (rc == 0)
		rc = run_queued(&c, &superseded, &e);
	if (rc == 0) {
		fill_result(&c);
	} else {
		say_failure(&c, &e, superseded);
		fold_error(&c, &e);
		build_result_clear(res);
		if (err)
			*err = e;
	}
	if (c.out && !req->keep_output_open)
		output_end(c.out);
	builds_prune(b, req->app_id);
	clear(&c);
	return rc;
}

void build_announce(struct builds *b, const char *build_id)
{
	queue_announce(b->queue, build_id);
}

void build_retract(struct builds *b, const char *build_id)
{
	queue_retract(b->queue, build_id);
}

bool build_cancel(struct builds *b, const char *build_id)
{
	return queue_stop(b->queue, build_id, STOP_CANCELED);
}

int build_output(struct builds *b, const char *build_id, uint64_t offset, struct buf *out,
		 bool *done, struct err *err)
{
	return outputs_read(b->outputs, build_id, offset, out, done, err);
}

int build_output_wait(struct builds *b, const char *build_id, uint64_t offset, int ms)
{
	return outputs_wait(b->outputs, build_id, offset, ms);
}

void build_output_add(struct builds *b, const char *build_id, const char *p, size_t n)
{
	outputs_write_id(b->outputs, build_id, p, n);
}

void build_output_end(struct builds *b, const char *build_id)
{
	outputs_end_id(b->outputs, build_id);
}

int build_cache_purge(struct builds *b, const char *app_id, struct err *err)
{
	return cache_purge(b, app_id, err);
}
