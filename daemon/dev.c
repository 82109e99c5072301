#include "daemon/dev.h"
#include "daemon/core/fsx.h"
#include "daemon/core/proc.h"
#include "daemon/core/xlog.h"
#include "proto/routewire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#define START_MS 10000
#define STEP_MS	 10
#define AGAIN_MS 1000 /* one that ends this soon after its start is not started again at once */

static int try_connect(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool answers(const char *path)
{
	AUTO(auto_fd) int fd = try_connect(path);

	return fd >= 0;
}

/* There is no event for "a socket of that name is listened on": look again, briefly. */
static bool await(const char *path, bool want)
{
	mono_ms until = clock_mono_ms() + START_MS;

	while (answers(path) != want) {
		if (clock_mono_ms() > until)
			return false;
		poll(NULL, 0, STEP_MS);
	}
	return true;
}

struct argv {
	const char *v[64];
	char *owned[64];
	int n, nowned;
};

static void add(struct argv *a, const char *s)
{
	if (a->n < 62)
		a->v[a->n++] = s;
}

static void addf(struct argv *a, char *owned)
{
	a->owned[a->nowned++] = owned;
	add(a, owned);
}

static void argv_clear(struct argv *a)
{
	for (int i = 0; i < a->nowned; i++)
		free(a->owned[i]);
}

static int spawn(const struct config *cfg, const char *log_name, struct argv *a, struct err *err)
{
	AUTO(auto_str) char *log = xasprintf("%s/%s.log", cfg->state_dir, log_name);
	AUTO(auto_fd) int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	struct proc_spec s = {
		.argv = a->v, .in_fd = -1, .out_fd = fd, .err_fd = fd, .new_session = true};
	struct proc p;

	if (fd < 0)
		return err_errno(err, "cannot write %s", log);
	if (proc_spawn(&s, &p, err) < 0)
		return -1;
	close(p.pidfd);
	return 0;
}

static void launcher_args(const struct config *cfg, char *const *shown, struct argv *a)
{
	addf(a, xasprintf("%s/paas-launcher", cfg->libexec_dir));
	add(a, "--run");
	add(a, cfg->run_dir);
	add(a, "--state");
	add(a, cfg->state_dir);
	add(a, "--runtime");
	add(a, cfg->runtime);
	for (char **p = cfg->host_ports; p && *p && a->n < 50; p++) {
		add(a, "--host-port");
		add(a, *p);
	}
	for (char *const *p = shown; p && *p && a->n < 56; p++) {
		add(a, "--ro");
		add(a, *p);
	}
	if (cfg->dns[0]) {
		add(a, "--dns");
		add(a, cfg->dns);
	}
}

static int start_launcher(const struct config *cfg, char *const *shown, const char *sock,
			  struct err *err)
{
	struct argv a = {0};
	int rc;

	launcher_args(cfg, shown, &a);
	add(&a, "--owner");
	addf(&a, xasprintf("%u", (unsigned)geteuid()));
	rc = spawn(cfg, "launcher", &a, err);
	argv_clear(&a);
	if (rc == 0 && !await(sock, true))
		rc = err_set(err, ERR_TIMEOUT, "paas-launcher did not start; see %s/launcher.log",
			     cfg->state_dir);
	return rc;
}

/* A router left by an earlier paasd that listened elsewhere must go first. */
static int quit_router(const char *sock, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	AUTO(auto_fd) int fd = try_connect(sock);
	size_t m = wire_begin(&b, ROUTE_QUIT);

	wire_u64(&b, R_TIMEOUT_MS, 5000);
	wire_end(&b, m);
	if (fd >= 0 && write(fd, b.data, b.len) < 0)
		return err_errno(err, "cannot speak to the old router");
	if (!await(sock, false))
		return err_set(err, ERR_TIMEOUT, "the old router does not end");
	return 0;
}

static void router_args(const struct config *cfg, struct argv *a)
{
	addf(a, xasprintf("%s/paas-router", cfg->libexec_dir));
	add(a, "--run");
	add(a, cfg->run_dir);
	add(a, "--listen");
	add(a, cfg->listen);
	if (cfg->router_workers > 0) {
		add(a, "--workers");
		addf(a, xasprintf("%lld", (long long)cfg->router_workers));
	}
}

static int start_router(const struct config *cfg, const char *sock, struct err *err)
{
	struct argv a = {0};
	int rc;

	router_args(cfg, &a);
	rc = spawn(cfg, "router", &a, err);
	argv_clear(&a);
	if (rc == 0 && !await(sock, true))
		rc = err_set(err, ERR_TIMEOUT,
			     "paas-router did not start (is %s taken?); see %s/router.log",
			     cfg->listen, cfg->state_dir);
	return rc;
}

int dev_exec(const struct config *cfg, enum dev_part part, char *const *shown_dirs,
	     char *const *more, struct err *err)
{
	struct argv a = {0};

	if (part == DEV_LAUNCHER)
		launcher_args(cfg, shown_dirs, &a);
	else
		router_args(cfg, &a);
	for (; more && *more; more++)
		add(&a, *more);
	execv(a.v[0], (char *const *)(uintptr_t)a.v);
	err_errno(err, "cannot start %s", a.v[0]);
	argv_clear(&a);
	return -1;
}

int dev_start(const struct config *cfg, char *const *shown_dirs, struct err *err)
{
	AUTO(auto_str) char *launcher = xasprintf("%s/launcher.sock", cfg->run_dir);
	AUTO(auto_str) char *router = xasprintf("%s/router.sock", cfg->run_dir);
	AUTO(auto_str) char *where = xasprintf("%s/router.listen", cfg->run_dir);
	AUTO(buf_clear) struct buf old = {0};
	bool same;

	if (!answers(launcher) && start_launcher(cfg, shown_dirs, launcher, err) < 0)
		return -1;
	same = fs_read(where, 4096, &old, NULL) == 0 && strcmp(buf_str(&old), cfg->listen) == 0;
	if (answers(router)) {
		if (same)
			return 0;
		if (quit_router(router, err) < 0)
			return -1;
	}
	if (fs_write_atomic(where, cfg->listen, strlen(cfg->listen), 0600, err) < 0)
		return -1;
	return start_router(cfg, router, err);
}

/* --- the watch: one that dies is started again --- */

enum { LAUNCHER, ROUTER, CHILDREN };

struct child {
	const char *name;
	char *sock; /* owned */
	int pidfd;  /* -1: none runs */
	mono_ms started_ms, again_ms;
};

struct dev_watch {
	const struct config *cfg;
	char **shown; /* owned, with its strings */
	struct child child[CHILDREN];
	int stop_fd;
	pthread_t thread;
};

/* Whoever listens there, also one that an earlier paasd started. */
static int pidfd_of(const char *sock)
{
	AUTO(auto_fd) int fd = try_connect(sock);
	struct ucred u;
	socklen_t len = sizeof u;

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &len) < 0)
		return -1;
	return (int)syscall(SYS_pidfd_open, u.pid, 0);
}

static void died(struct child *c)
{
	siginfo_t si;
	mono_ms now = clock_mono_ms();

	/* Ours leave a zombie; those of an earlier paasd are somebody else's. */
	waitid((idtype_t)P_PIDFD, (id_t)c->pidfd, &si, WEXITED | WNOHANG);
	close(c->pidfd);
	c->pidfd = -1;
	c->again_ms = now - c->started_ms < AGAIN_MS ? now + AGAIN_MS : now;
	xlog(XLOG_WARN, "main", "msg=\"paas-%s died; it is started again\"", c->name);
}

static void start_again(struct dev_watch *w, int which)
{
	struct child *c = &w->child[which];
	struct err err = {0};
	int rc;

	c->started_ms = clock_mono_ms();
	c->again_ms = c->started_ms + AGAIN_MS;
	rc = which == LAUNCHER ? start_launcher(w->cfg, w->shown, c->sock, &err)
			       : start_router(w->cfg, c->sock, &err);
	if (rc < 0)
		xlog_err(XLOG_ERROR, "main", &err, "msg=\"paas-%s is not back\"", c->name);
	else
		c->pidfd = pidfd_of(c->sock);
}

static void *watch(void *arg)
{
	struct dev_watch *w = arg;

	for (;;) {
		struct pollfd p[CHILDREN + 1] = {[CHILDREN] = {w->stop_fd, POLLIN, 0}};
		int wait = -1;

		for (int i = 0; i < CHILDREN; i++) {
			struct child *c = &w->child[i];

			if (c->pidfd < 0 && clock_mono_ms() >= c->again_ms)
				start_again(w, i);
			if (c->pidfd < 0)
				wait = AGAIN_MS;
			p[i] = (struct pollfd){c->pidfd, POLLIN, 0};
		}
		poll(p, CHILDREN + 1, wait);
		if (p[CHILDREN].revents)
			return NULL;
		for (int i = 0; i < CHILDREN; i++)
			if (p[i].revents)
				died(&w->child[i]);
	}
}

static char **copy_list(char *const *list)
{
	size_t n = 0;
	char **out;

	while (list && list[n])
		n++;
	out = xcalloc(n + 1, sizeof *out);
	for (size_t i = 0; i < n; i++)
		out[i] = xstrdup(list[i]);
	return out;
}

static void watch_free(struct dev_watch *w)
{
	for (int i = 0; i < CHILDREN; i++) {
		if (w->child[i].pidfd >= 0)
			close(w->child[i].pidfd);
		free(w->child[i].sock);
	}
	for (char **s = w->shown; *s; s++)
		free(*s);
	free(w->shown);
	if (w->stop_fd >= 0)
		close(w->stop_fd);
	free(w);
}

int dev_watch_start(const struct config *cfg, char *const *shown_dirs, struct dev_watch **out,
		    struct err *err)
{
	static const char *const names[CHILDREN] = {"launcher", "router"};
	struct dev_watch *w = xcalloc(1, sizeof *w);

	w->cfg = cfg;
	w->shown = copy_list(shown_dirs);
	w->stop_fd = eventfd(0, EFD_CLOEXEC);
	for (int i = 0; i < CHILDREN; i++) {
		struct child *c = &w->child[i];

		c->name = names[i];
		c->sock = xasprintf("%s/%s.sock", cfg->run_dir, names[i]);
		c->started_ms = clock_mono_ms();
		c->pidfd = pidfd_of(c->sock);
	}
	if (w->stop_fd < 0 || pthread_create(&w->thread, NULL, watch, w) != 0) {
		watch_free(w);
		return err_errno(err, "cannot watch the launcher and the router");
	}
	*out = w;
	return 0;
}

void dev_watch_stop(struct dev_watch *w)
{
	if (!w)
		return;
	eventfd_write(w->stop_fd, 1);
	pthread_join(w->thread, NULL);
	watch_free(w);
}

void dev_wait_gone(const struct config *cfg)
{
	AUTO(auto_str) char *launcher = xasprintf("%s/launcher.sock", cfg->run_dir);
	AUTO(auto_str) char *router = xasprintf("%s/router.sock", cfg->run_dir);

	if (!await(launcher, false) || !await(router, false))
		xlog(XLOG_WARN, "main", "msg=\"launcher or router has not ended\"");
}
