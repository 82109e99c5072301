#include "daemon/dev.h"
#include "daemon/core/fsx.h"
#include "daemon/core/proc.h"
#include "daemon/core/xlog.h"
#include "proto/routewire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define START_MS 10000
#define STEP_MS	 10

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

static int start_launcher(const struct config *cfg, char *const *shown, const char *sock,
			  struct err *err)
{
	struct argv a = {0};
	int rc;

	addf(&a, xasprintf("%s/paas-launcher", cfg->libexec_dir));
	add(&a, "--run");
	add(&a, cfg->run_dir);
	add(&a, "--state");
	add(&a, cfg->state_dir);
	add(&a, "--runtime");
	add(&a, cfg->runtime);
	add(&a, "--owner");
	addf(&a, xasprintf("%u", (unsigned)geteuid()));
	for (char **p = cfg->host_ports; p && *p && a.n < 50; p++) {
		add(&a, "--host-port");
		add(&a, *p);
	}
	for (char *const *p = shown; p && *p && a.n < 56; p++) {
		add(&a, "--ro");
		add(&a, *p);
	}
	if (cfg->dns[0]) {
		add(&a, "--dns");
		add(&a, cfg->dns);
	}
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

static int start_router(const struct config *cfg, const char *sock, struct err *err)
{
	struct argv a = {0};
	int rc;

	addf(&a, xasprintf("%s/paas-router", cfg->libexec_dir));
	add(&a, "--run");
	add(&a, cfg->run_dir);
	add(&a, "--listen");
	add(&a, cfg->listen);
	if (cfg->router_workers > 0) {
		add(&a, "--workers");
		addf(&a, xasprintf("%lld", (long long)cfg->router_workers));
	}
	rc = spawn(cfg, "router", &a, err);
	argv_clear(&a);
	if (rc == 0 && !await(sock, true))
		rc = err_set(err, ERR_TIMEOUT,
			     "paas-router did not start (is %s taken?); see %s/router.log",
			     cfg->listen, cfg->state_dir);
	return rc;
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

void dev_wait_gone(const struct config *cfg)
{
	AUTO(auto_str) char *launcher = xasprintf("%s/launcher.sock", cfg->run_dir);
	AUTO(auto_str) char *router = xasprintf("%s/router.sock", cfg->run_dir);

	if (!await(launcher, false) || !await(router, false))
		xlog(XLOG_WARN, "main", "msg=\"launcher or router has not ended\"");
}
