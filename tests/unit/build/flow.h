/* flow.h - whole builds with a stand-in for the launcher that just runs the scripts. Included once
 * by each test program. */
#ifndef TESTS_BUILD_FLOW_H
#define TESTS_BUILD_FLOW_H

#include "daemon/build/build.h"
#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"
#include "daemon/core/proc.h"
#include "daemon/core/xlog.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define HELPER __attribute__((unused)) static

/* --- the stand-in --- */

static const struct launcher_info info = {.runtime = "plain", .limits = "none"};
static int started; /* sandboxes, since the start of the test */

const struct launcher_info *launcher_info(const struct launcher *l)
{
	return &info;
}

int launcher_rmtree(struct launcher *l, const char *path, struct err *err)
{
	return fs_rmtree(path, err);
}

HELPER int drain(int fd, void (*sink)(const char *p, size_t n, void *arg), void *arg)
{
	char buf[65536];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n > 0)
		sink(buf, (size_t)n, arg);
	return n > 0;
}

int sandbox_run(struct launcher *l, const struct launch_spec *s, mono_ms deadline, int cancel_fd,
		void (*sink)(const char *p, size_t n, void *arg), void *arg, bool *oom,
		struct err *err)
{
	struct proc_spec spec = {.argv = (const char *const *)s->argv,
				 .env = (const char *const *)s->env,
				 .cwd = s->cwd,
				 .in_fd = -1};
	struct proc p;
	int fds[2], status, rc;

	__atomic_add_fetch(&started, 1, __ATOMIC_RELAXED);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	spec.out_fd = spec.err_fd = fds[1];
	rc = proc_spawn(&spec, &p, err);
	close(fds[1]);
	for (bool live = rc == 0; live;) {
		struct pollfd pf[] = {{.fd = fds[0], .events = POLLIN},
				      {.fd = p.pidfd, .events = POLLIN},
				      {.fd = cancel_fd, .events = POLLIN}};

		poll(pf, 3, 20);
		if (pf[0].revents)
			drain(fds[0], sink, arg);
		live = !pf[1].revents && !pf[2].revents && clock_mono_ms() < deadline;
	}
	if (rc == 0) {
		pid_t pid = p.pid;

		rc = proc_wait(&p, deadline, cancel_fd, &status, err);
		kill(-pid, SIGKILL);
		while (drain(fds[0], sink, arg))
			;
		if (rc == 0)
			rc = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	close(fds[0]);
	return rc;
}

/* --- the fixture --- */

struct fixture {
	char dir[40];
	struct config cfg;
	struct slugs *slugs;
	struct builds *b;
	char app_id[37];
};

HELPER const char *at(const struct fixture *f, const char *fmt, ...) PRINTF(2, 3);
HELPER const char *at(const struct fixture *f, const char *fmt, ...)
{
	static __thread char path[8][PATH_MAX];
	static __thread int i;
	va_list ap;
	int n;

	i = (i + 1) % 8;
	n = snprintf(path[i], PATH_MAX, "%s/", f->dir);
	va_start(ap, fmt);
	vsnprintf(path[i] + n, PATH_MAX - (size_t)n, fmt, ap);
	va_end(ap);
	return path[i];
}

HELPER void put(const char *path, const char *text, mode_t mode)
{
	AUTO(auto_str) char *dir = xstrdup(path);
	struct err err = {0};

	*strrchr(dir, '/') = 0;
	if (fs_mkdirs(dir, 0755, &err) < 0 ||
	    fs_write_atomic(path, text, strlen(text), mode, &err) < 0)
		fail_msg("%s", err.msg);
}

/* A script of the buildpack in packs/NAME or bundled/NAME; x bits are left to the builder. */
HELPER void script(struct fixture *f, const char *pack, const char *name, const char *text)
{
	AUTO(auto_str) char *whole = xasprintf("#!/bin/bash\n%s\n", text);

	put(at(f, "%s/bin/%s", pack, name), whole, 0644);
}

HELPER void pack(struct fixture *f, const char *name, const char *compile)
{
	AUTO(auto_str) char *detect = xasprintf("echo %s", name);

	script(f, at(f, "packs/%s", name) + strlen(f->dir) + 1, "detect", detect);
	script(f, at(f, "packs/%s", name) + strlen(f->dir) + 1, "compile", compile);
}

HELPER int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err err = {0};

	codec_init();
	xlog_setup("test", XLOG_ERROR, false);
	strcpy(f->dir, "/tmp/build-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->cfg.state_dir = xasprintf("%s/state", f->dir);
	f->cfg.stack = xstrdup("heroku-22");
	f->cfg.buildpacks_dir = xasprintf("%s/bundled", f->dir);
	f->cfg.build_concurrency = 2;
	f->cfg.build_timeout_s = 60;
	f->cfg.build_memory_mb = 512;
	f->cfg.allow_local_buildpacks = true;
	f->slugs = slugs_open(f->cfg.state_dir);
	if (builds_open(&f->cfg, NULL, f->slugs, &f->b, &err) < 0)
		fail_msg("%s", err.msg);
	uuid_new(f->app_id);
	put(at(f, "src/Procfile"), "web: run $PORT\n", 0644);
	put(at(f, "src/file"), "content", 0644);
	started = 0;
	*state = f;
	return 0;
}

HELPER int teardown(void **state)
{
	struct fixture *f = *state;

	builds_close(f->b);
	slugs_free(f->slugs);
	free(f->cfg.state_dir);
	free(f->cfg.stack);
	free(f->cfg.buildpacks_dir);
	fs_rmtree(f->dir, NULL);
	free(f);
	return 0;
}

HELPER int export_copy(const char *dir, void (*say)(const char *line, void *arg), void *say_arg,
		       void *arg, struct err *err)
{
	struct fixture *f = arg;

	return fs_copytree(at(f, "src"), dir, 0, err);
}

struct run {
	struct fixture *f;
	struct build_req req;
	struct build_result res;
	struct err err;
	struct buf out;
	int rc;
	char *packs[8];
};

HELPER void on_out(const char *p, size_t n, void *arg)
{
	buf_add(&((struct run *)arg)->out, p, n);
}

/* packs: names in packs/, separated by blanks; "" = detect. */
HELPER void prepare(struct run *r, struct fixture *f, const char *packs)
{
	AUTO(auto_str) char *copy = xstrdup(packs);
	char *save = NULL;
	int n = 0;

	*r = (struct run){.f = f};
	uuid_new(r->req.build_id);
	memcpy(r->req.app_id, f->app_id, 37);
	strcpy(r->req.app_name, "app");
	r->req.commit = "0123456789012345678901234567890123456789";
	for (char *p = strtok_r(copy, " ", &save); p; p = strtok_r(NULL, " ", &save))
		r->packs[n++] = strchr(p, '/') ? xstrdup(p) : xasprintf("%s/packs/%s", f->dir, p);
	r->req.buildpacks = r->packs;
	r->req.export_source = export_copy;
	r->req.export_arg = f;
	r->req.out = on_out;
	r->req.out_arg = r;
}

HELPER void run(struct run *r)
{
	r->rc = build_run(r->f->b, &r->req, &r->res, &r->err);
}

/* Checks that the kept output is what was seen, and that the build's folder holds nothing else. */
HELPER void done(struct run *r)
{
	AUTO(buf_clear) struct buf kept = {0};
	struct err err = {0};
	bool ended;

	assert_int_equal(build_output(r->f->b, r->req.build_id, 0, &kept, &ended, &err), 0);
	assert_true(ended);
	assert_int_equal(kept.len, r->out.len);
	assert_memory_equal(buf_str(&kept), buf_str(&r->out), kept.len);
	assert_int_equal(access(at(r->f, "state/builds/%s/app", r->req.build_id), F_OK), -1);
	assert_int_equal(access(at(r->f, "state/builds/%s/env", r->req.build_id), F_OK), -1);
	build_result_clear(&r->res);
	buf_clear(&r->out);
	for (int i = 0; i < 8; i++)
		free(r->packs[i]);
}

HELPER void has(const struct run *r, const char *text)
{
	if (!strstr(buf_str(&r->out), text))
		fail_msg("\"%s\" is not in\n%s%s", text, buf_str(&r->out), r->err.msg);
}

HELPER void has_not(const struct run *r, const char *text)
{
	if (strstr(buf_str(&r->out), text))
		fail_msg("\"%s\" is in\n%s", text, buf_str(&r->out));
}

HELPER char *slug_file(const struct run *r, const char *name)
{
	char path[PATH_MAX];
	AUTO(auto_str) char *file = NULL;
	struct buf b = {0};
	struct err err = {0};

	slug_path(r->f->slugs, r->res.slug_id, path);
	file = xasprintf("%s/%s", path, name);
	if (fs_read(file, 1 << 20, &b, &err) < 0)
		fail_msg("%s", err.msg);
	return buf_steal(&b);
}

HELPER void slug_is(const struct run *r, const char *name, const char *want)
{
	AUTO(auto_str) char *got = slug_file(r, name);

	assert_string_equal(got, want);
}

HELPER void ok(const struct run *r)
{
	if (r->rc != 0)
		fail_msg("%s\n%s", r->err.msg, buf_str(&r->out));
}

HELPER void refused(const struct run *r, enum err_id id)
{
	if (r->rc == 0 || r->err.code != (int)id)
		fail_msg("rc %d, %s %s\n%s", r->rc, r->err.id, r->err.msg, buf_str(&r->out));
}

HELPER void *run_thread(void *arg)
{
	run(arg);
	return NULL;
}

HELPER void wait_for_text(struct run *r, const char *text)
{
	mono_ms until = clock_mono_ms() + 20000;

	for (uint64_t from = 0; clock_mono_ms() < until;) {
		AUTO(buf_clear) struct buf b = {0};
		bool ended = false;

		if (build_output(r->f->b, r->req.build_id, 0, &b, &ended, NULL) == 0 &&
		    strstr(buf_str(&b), text))
			return;
		if (ended)
			break;
		from = b.len;
		build_output_wait(r->f->b, r->req.build_id, from, 1000);
	}
	fail_msg("\"%s\" did not come", text);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

#endif
