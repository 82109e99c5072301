#include "router/rt.h"
#include "router/certs.h"
#include "router/control.h"
#include "router/logline.h"
#include "router/pages.h"
#include "router/worker.h"
#include "daemon/core/xlog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define FIRST_PASSED_FD 3 /* SD_LISTEN_FDS_START */

/* --- options ---------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum rt_class cls;
	uint32_t ms;
} classes[] = {
	{"head", RT_T_HEAD, LIM_HTTP_HEAD_MS},
	{"idle", RT_T_IDLE, LIM_HTTP_IDLE_MS},
	{"first", RT_T_FIRST, LIM_ROUTE_FIRST_MS},
	{"between", RT_T_BETWEEN, LIM_ROUTE_BETWEEN_MS},
	{"queue", RT_T_QUEUE, LIM_ROUTE_QUEUE_MS},
	{"connect", RT_T_CONNECT, LIM_ROUTE_CONNECT_MS},
	{"upstream-idle", RT_T_UPIDLE, LIM_UPSTREAM_IDLE_MS},
	{"quarantine", RT_T_QUARANTINE, 5000},
	{"handshake", RT_T_TLS, LIM_TLS_HANDSHAKE_MS},
	{"linger", RT_T_LINGER, 2000},
	{"platform-queue", RT_T_PQUEUE, 15000},
	{"platform-retry", RT_T_PRETRY, 100},
	{"platform-between", RT_T_PBETWEEN, 60 * 60 * 1000},
};

void rt_opts_init(struct rt_opts *o)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	*o = (struct rt_opts){.per_dyno = LIM_ROUTE_PER_DYNO, .quit_ms = 25000};
	o->workers = cores < 1 ? 1 : cores > RT_MAX_WORKERS ? RT_MAX_WORKERS : (int)cores;
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		o->ms[classes[i].cls] = classes[i].ms;
}

int rt_opts_timeout(struct rt_opts *o, const char *name_value, struct err *err)
{
	const char *eq = strchr(name_value, '=');
	char *end;
	unsigned long v;

	if (!eq || eq[1] < '0' || eq[1] > '9')
		return err_set(err, ERR_CONFIG, "--timeout wants NAME=MS");
	v = strtoul(eq + 1, &end, 10);
	if (*end || v > UINT32_MAX)
		return err_set(err, ERR_CONFIG, "bad time in --timeout %s", name_value);
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (strlen(classes[i].name) == (size_t)(eq - name_value) &&
		    strncmp(classes[i].name, name_value, (size_t)(eq - name_value)) == 0) {
			o->ms[classes[i].cls] = (uint32_t)v;
			return 0;
		}
	return err_set(err, ERR_CONFIG, "--timeout: no such clock in %s", name_value);
}

/* --- addresses -------------------------------------------------------------------------------- */

static void describe(struct rt_listen *l)
{
	char ip[INET6_ADDRSTRLEN] = "?";
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	if (l->addr.ss_family == AF_INET6) {
		memcpy(&in6, &l->addr, sizeof in6);
		inet_ntop(AF_INET6, &in6.sin6_addr, ip, sizeof ip);
		l->port = ntohs(in6.sin6_port);
		snprintf(l->text, sizeof l->text, "[%s]:%d", ip, l->port);
	} else {
		memcpy(&in, &l->addr, sizeof in);
		inet_ntop(AF_INET, &in.sin_addr, ip, sizeof ip);
		l->port = ntohs(in.sin_port);
		snprintf(l->text, sizeof l->text, "%s:%d", ip, l->port);
	}
}

static int parse_one(struct rt_listen *l, const char *s, size_t n, struct err *err)
{
	char text[128], *colon, *host = text, *end;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	unsigned long port;

	if (n >= sizeof text)
		return err_set(err, ERR_CONFIG, "--listen: address too long");
	memcpy(text, s, n);
	text[n] = 0;
	colon = strrchr(text, ':');
	if (!colon || colon[1] < '0' || colon[1] > '9')
		return err_set(err, ERR_CONFIG, "--listen %s: want ADDR:PORT", text);
	*colon = 0;
	port = strtoul(colon + 1, &end, 10);
	if (*end || port > 65535)
		return err_set(err, ERR_CONFIG, "--listen %s: bad port", text);
	if (*host == '[' && colon[-1] == ']') {
		host++;
		colon[-1] = 0;
	}
	l->fd = -1;
	if (uv_ip4_addr(host, (int)port, &in) == 0)
		memcpy(&l->addr, &in, sizeof in);
	else if (uv_ip6_addr(host, (int)port, &in6) == 0)
		memcpy(&l->addr, &in6, sizeof in6);
	else
		return err_set(err, ERR_CONFIG, "--listen %s: not an IP address", text);
	describe(l);
	return 0;
}

int rt_listen_parse(struct rt *r, const char *list, struct err *err)
{
	while (*list) {
		size_t n = strcspn(list, ",");

		if (r->nlistens == RT_MAX_LISTEN)
			return err_set(err, ERR_CONFIG, "--listen: more than %d addresses",
				       RT_MAX_LISTEN);
		if (parse_one(&r->listens[r->nlistens], list, n, err) < 0)
			return -1;
		r->nlistens++;
		list += n + (list[n] == ',');
	}
	return 0;
}

static void join(struct buf *b, const struct rt_listen *l, int n)
{
	for (int i = 0; i < n; i++)
		buf_addf(b, "%s%s", i ? "," : "", l[i].text);
}

int rt_listen_inherit(struct rt *r, struct err *err)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	AUTO(buf_clear) struct buf asked = {0}, passed = {0};
	int n = fds ? atoi(fds) : 0;

	if (!pid || atol(pid) != (long)getpid() || n <= 0)
		return 0;
	if (n > RT_MAX_LISTEN)
		return err_set(err, ERR_CONFIG, "more than %d sockets passed", RT_MAX_LISTEN);
	join(&asked, r->listens, r->nlistens);
	r->nlistens = 0;
	for (int i = 0; i < n; i++) {
		struct rt_listen *l = &r->listens[r->nlistens++];
		socklen_t len = sizeof l->addr;

		l->fd = FIRST_PASSED_FD + i;
		fcntl(l->fd, F_SETFD, FD_CLOEXEC);
		if (getsockname(l->fd, (struct sockaddr *)&l->addr, &len) < 0)
			return err_errno(err, "socket %d that was passed", l->fd);
		describe(l);
	}
	join(&passed, r->listens, n);
	if (asked.len && strcmp(buf_str(&asked), buf_str(&passed)) != 0)
		xlog(XLOG_WARN, "router",
		     "msg=\"sockets were passed: --listen is not used\" passed=%s listen=%s",
		     buf_str(&passed), buf_str(&asked));
	return 0;
}

static socklen_t addr_len(const struct rt_listen *l)
{
	return l->addr.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					     : sizeof(struct sockaddr_in);
}

static int bind_one(struct rt_listen *l, bool shared, struct err *err)
{
	int fd = socket(l->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int on = 1;

	if (fd < 0)
		return err_errno(err, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (shared)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
	if (l->addr.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
		   sizeof on); /* inherited by what is accepted */
	if (bind(fd, (const struct sockaddr *)&l->addr, addr_len(l)) < 0) {
		err_errno(err, "listen on %s", l->text);
		close(fd);
		return -1;
	}
	return fd;
}

/* One socket a worker with SO_REUSEPORT: the kernel spreads connections and no worker wakes for
 * another's. A router of another run directory on the same port would silently share it too, so
 * first a plain bind asks whether the port is free. */
static int open_listener(struct rt *r, struct rt_listen *l, struct err *err)
{
	if (l->fd < 0 && l->port) {
		int fd = bind_one(l, false, err);

		if (fd < 0)
			return -1;
		close(fd);
	}
	for (int i = 0; i < r->opts.workers; i++) {
		int fd = l->fd >= 0 ? fcntl(l->fd, F_DUPFD_CLOEXEC, 3) : bind_one(l, true, err);

		if (fd < 0)
			return l->fd >= 0 ? err_errno(err, "dup of a passed socket") : -1;
		if (l->fd < 0 && l->port == 0) { /* the others take the port that it got */
			socklen_t len = sizeof l->addr;

			getsockname(fd, (struct sockaddr *)&l->addr, &len);
			describe(l);
		}
		if (rt_worker_listen(r->workers[i], fd, l, err) < 0)
			return -1;
	}
	return 0;
}

/* --- life ------------------------------------------------------------------------------------- */

static void raise_limits(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < lim.rlim_max) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
}

int rt_start(struct rt *r, struct err *err)
{
	raise_limits();
	r->main_loop = loop_new("main");
	r->pages = rt_pages_new(r->opts.error_pages);
	r->ship = rt_ship_new(r->main_loop, r->opts.run_dir);
	r->certs = rt_certs_new();
	r->ctl = rt_control_new(r, err);
	if (!r->ctl)
		return -1;
	for (int i = 0; i < r->opts.workers; i++)
		r->workers[i] = rt_worker_new(r, i);
	for (int i = 0; i < r->nlistens; i++)
		if (open_listener(r, &r->listens[i], err) < 0)
			return -1;
	r->workers_left = r->opts.workers;
	for (int i = 0; i < r->opts.workers; i++)
		loop_start_thread(r->workers[i]->loop);
	for (int i = 0; i < r->nlistens; i++)
		xlog(XLOG_INFO, "router", "msg=listening address=%s workers=%d", r->listens[i].text,
		     r->opts.workers);
	return 0;
}

void rt_run(struct rt *r)
{
	loop_run(r->main_loop);
}

static void finish(void *arg)
{
	struct rt *r = arg;

	rt_control_stop(r->ctl);
	rt_ship_stop(r->ship);
	loop_stop(r->main_loop);
}

/* The last log lines get a moment to be taken. */
static void finish_when_shipped(void *arg)
{
	struct rt *r = arg;

	if (rt_ship_idle(r->ship) || --r->ship_waits <= 0)
		finish(r);
	else
		loop_timer_start(r->main_loop, 20, finish_when_shipped, r);
}

void rt_worker_done(void *arg)
{
	struct rt *r = arg;

	if (--r->workers_left > 0)
		return;
	r->ship_waits = 25;
	finish_when_shipped(r);
}

void rt_quit(struct rt *r, uint64_t timeout_ms)
{
	if (r->stopping)
		return;
	r->stopping = true;
	xlog(XLOG_INFO, "router", "msg=quitting timeout_ms=%llu", (unsigned long long)timeout_ms);
	for (int i = 0; i < r->opts.workers; i++)
		rt_worker_quit(r->workers[i], timeout_ms);
}

void rt_stop(struct rt *r)
{
	for (int i = 0; i < r->opts.workers; i++)
		loop_join(r->workers[i]->loop);
	loop_free(r->main_loop);
	for (int i = 0; i < r->opts.workers; i++)
		rt_worker_free(r->workers[i]);
	rt_control_free(r->ctl);
	rt_certs_free(r->certs);
	rt_ship_free(r->ship);
	rt_pages_free(r->pages);
}
