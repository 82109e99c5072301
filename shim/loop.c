#include "shim/shim_int.h"
#include "shim/kin.h"
#include "shim/ports.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

enum {
	LINGER_LOG_MS = 3000,	  /* for the last lines to be acknowledged */
	LINGER_CLIENT_MS = 30000, /* for a slow attached client */
	TERM_GRACE_MS = 30000,
	DRAIN_MAX = 64, /* chunks: only the plain runtime can have a writer left */
};

/* --- output -------------------------------------------------------------------------------------
 */

static void keep(struct shim *s, const char *p, size_t n)
{
	uint64_t room = s->plan.spec.keep_output > s->kept ? s->plan.spec.keep_output - s->kept : 0;

	if (s->keep_fd < 0 || s->kept != s->total) /* full, or the disk was: a hole would mislead */
		return;
	if (n > room)
		n = (size_t)room;
	while (n > 0) {
		ssize_t k = pwrite(s->keep_fd, p, n, (off_t)s->kept);

		if (k <= 0)
			return;
		s->kept += (uint64_t)k;
		p += k;
		n -= (size_t)k;
	}
}

/* One read. False when there is nothing (more) to read now. */
static bool take_output(struct shim *s)
{
	char page[CHUNK];
	ssize_t n = read(s->out_fd, page, sizeof page);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) { /* end; EIO: no process has the terminal any more */
		close(s->out_fd);
		s->out_fd = -1;
		return false;
	}
	logs_feed(&s->logs, page, (size_t)n);
	keep(s, page, (size_t)n);
	shim_show(s, page, (size_t)n, s->total);
	s->total += (uint64_t)n;
	return true;
}

static void feed_stdin(struct shim *s)
{
	while (s->in_fd >= 0 && s->in.len) {
		ssize_t n = write(s->in_fd, s->in.data, s->in.len);

		if (n > 0) {
			buf_drop(&s->in, (size_t)n);
			continue;
		}
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		close(s->in_fd); /* EPIPE: the app does not want it */
		s->in_fd = -1;
	}
	if (!s->in.len)
		buf_clear(&s->in);
	if (s->in_eof && s->in_fd >= 0 && !s->in.len) {
		close(s->in_fd);
		s->in_fd = -1;
	}
}

/* --- timers -------------------------------------------------------------------------------------
 */

static enum ports_bound look(const struct shim *s, const char *name)
{
	char text[64 * 1024];
	int fd = openat(s->net_fd, name, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return PORTS_NONE;
	while (len < sizeof text && (n = read(fd, text + len, sizeof text - len)) > 0)
		len += (size_t)n;
	close(fd);
	return ports_find(text, len, (unsigned)s->plan.spec.port);
}

static void watch_port(struct shim *s, mono_ms now)
{
	enum ports_bound a = look(s, "tcp"), b = a == PORTS_REACHABLE ? a : look(s, "tcp6");
	enum ports_bound found = a == PORTS_REACHABLE || b == PORTS_REACHABLE ? PORTS_REACHABLE
				 : a || b				      ? PORTS_LOOPBACK
									      : PORTS_NONE;
	mono_ms age = now - s->t_bound_start;

	/* without a network namespace loopback is where the router looks */
	if (found == PORTS_LOOPBACK && !s->plan.has_net)
		found = PORTS_REACHABLE;
	if ((int)found != s->bound && found != PORTS_NONE) {
		s->bound = (int)found;
		shim_tell_bound(s);
	}
	if (s->bound == PORTS_REACHABLE)
		s->t_bound = 0;
	else
		s->t_bound = now + (age < 2000 ? 10 : age < 20000 ? 50 : age < 120000 ? 200 : 1000);
}

static void sample(struct shim *s, mono_ms now)
{
	struct meter_sample m;

	meter_read(&s->meter, s->init, &m);
	shim_tell_memory(s, &m);
	s->t_mem = now + (s->plan.spec.metrics_ms ? s->plan.spec.metrics_ms : 20000);
}

static void nobody_attached(struct shim *s, mono_ms now)
{
	s->t_attach = 0;
	s->detach_code = 13;
	shim_tell_detached(s);
	shim_signal(s, SIGKILL);
}

static void ttl_over(struct shim *s, mono_ms now)
{
	s->t_ttl = 0;
	s->t_kill = now + TERM_GRACE_MS;
	shim_signal(s, SIGTERM);
}

static void kill_now(struct shim *s, mono_ms now)
{
	s->t_kill = s->t_hangup_kill = s->t_hangup = 0;
	shim_signal(s, SIGKILL);
}

static void hang_up(struct shim *s, mono_ms now)
{
	s->t_hangup = now + 5000;
	shim_signal(s, SIGHUP);
}

static void disobeyed(struct shim *s, mono_ms now)
{
	s->t_r16 = 0;
	s->detach_code = 16;
	shim_tell_detached(s);
}

/* One kernel-killed process means the dyno is over its hard limit and ends. v2 groups die as a
 * whole (memory.oom.group), but systemd turns that off again in its scopes when it is reloaded; v1
 * has no such thing, and there the event comes before the kill is counted: look again for a while.
 */
static void check_oom(struct shim *s, mono_ms now)
{
	s->t_oom = now < s->t_oom_end ? now + 20 : 0;
	if (meter_oom(&s->meter))
		shim_signal(s, SIGKILL);
}

static const struct {
	size_t at; /* offset of the deadline in struct shim */
	void (*fn)(struct shim *s, mono_ms now);
} timers[] = {
	{offsetof(struct shim, t_attach), nobody_attached},
	{offsetof(struct shim, t_ttl), ttl_over},
	{offsetof(struct shim, t_kill), kill_now},
	{offsetof(struct shim, t_hangup), hang_up},
	{offsetof(struct shim, t_r16), disobeyed},
	{offsetof(struct shim, t_hangup_kill), kill_now},
	{offsetof(struct shim, t_mem), sample},
	{offsetof(struct shim, t_oom), check_oom},
	{offsetof(struct shim, t_bound), watch_port},
};

/* Runs what is due; returns ms to the next, -1 = none. */
static int run_timers(struct shim *s, mono_ms now)
{
	mono_ms next = 0;

	for (size_t i = 0; i < ARRAY_LEN(timers) && !s->exited; i++) {
		mono_ms *t = (mono_ms *)(void *)((char *)s + timers[i].at);

		if (*t && *t <= now)
			timers[i].fn(s, now);
		if (*t && (!next || *t < next))
			next = *t;
	}
	return next ? (int)(next > now ? next - now : 0) : -1;
}

/* --- the end ------------------------------------------------------------------------------------
 */

static void write_status(const struct shim *s)
{
	AUTO(buf_clear) struct buf b = {0};
	int fd = open("status.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (s->exit_signal)
		buf_addf(&b, "signal %d\n", s->exit_signal);
	else
		buf_addf(&b, "exit %d\n", s->exit_code);
	buf_addf(&b, "oom %llu\nended_us %lld\n", (unsigned long long)s->meter.killed,
		 (long long)clock_wall_us());
	if (fd >= 0) {
		if (write(fd, b.data, b.len) == (ssize_t)b.len)
			rename("status.new", "status");
		close(fd);
	}
}

static void ended(struct shim *s, mono_ms now)
{
	shim_collect(s);
	/* the writers are dead: what is in the pipe is all there will be */
	for (int i = 0; s->out_fd >= 0 && (s->plan.sandbox || i < DRAIN_MAX); i++) {
		if (!shim_may_read(s))
			break; /* the loop goes on as the client reads */
		if (!take_output(s))
			break;
	}
	s->t_linger = now;
}

/* After the last output: status, then the news. */
static void finish_output(struct shim *s, mono_ms now)
{
	if (s->out_fd >= 0) {
		close(s->out_fd);
		s->out_fd = -1;
	}
	logs_end(&s->logs);
	logs_retry(&s->logs);
	s->t_linger = now;
	write_status(s);
	shim_tell_exit(s);
}

static bool may_leave(const struct shim *s, mono_ms now)
{
	mono_ms age = now - s->t_linger;
	bool logs = logs_done(&s->logs) || s->logs.lost_touch || age > LINGER_LOG_MS;

	return logs && (shim_clients_idle(s) || age > LINGER_CLIENT_MS);
}

/* --- the loop -----------------------------------------------------------------------------------
 */

enum {
	POLL_PIDFD,
	POLL_SIG,
	POLL_LISTEN,
	POLL_STDOUT,
	POLL_STDIN,
	POLL_INIT,
	POLL_LOG,
	POLL_OOM,
	POLL_CLIENTS,
	POLL_COUNT = POLL_CLIENTS + MAX_CLIENTS
};

static void arm(struct shim *s, struct pollfd *p)
{
	bool reading = s->out_fd >= 0 && shim_may_read(s);

	p[POLL_PIDFD] = (struct pollfd){s->exited ? -1 : s->pidfd, POLLIN, 0};
	p[POLL_SIG] = (struct pollfd){s->sigfd, POLLIN, 0};
	p[POLL_LISTEN] = (struct pollfd){s->listener, POLLIN, 0};
	p[POLL_STDOUT] = (struct pollfd){reading ? s->out_fd : -1, POLLIN, 0};
	p[POLL_STDIN] = (struct pollfd){s->in.len || s->in_eof ? s->in_fd : -1, POLLOUT, 0};
	p[POLL_INIT] = (struct pollfd){s->exited ? -1 : s->init_sock, POLLIN, 0};
	p[POLL_OOM] =
		(struct pollfd){s->exited ? -1 : s->meter.notify_fd, meter_events(&s->meter), 0};
	logs_poll(&s->logs, &p[POLL_LOG]);
	for (int i = 0; i < MAX_CLIENTS; i++) {
		const struct client *c = &s->clients[i];
		bool full = c->attached && s->in.len > STDIN_QUEUE;

		p[POLL_CLIENTS + i] = (struct pollfd){
			c->fd, (short)((full ? 0 : POLLIN) | (c->out.len ? POLLOUT : 0)), 0};
	}
}

static void on_signal(struct shim *s)
{
	struct signalfd_siginfo si;

	if (read(s->sigfd, &si, sizeof si) != sizeof si)
		return;
	if (si.ssi_signo != SIGCHLD) {
		shim_signal(s, SIGTERM); /* the host goes down: let the app know */
		return;
	}
	if (!s->plan.sandbox)
		for (siginfo_t w = {0}; waitid(P_ALL, 0, &w, WEXITED | WNOHANG | WNOWAIT) == 0 &&
					w.si_pid && w.si_pid != s->init;
		     w = (siginfo_t){0})
			waitpid(w.si_pid, NULL, 0);
}

static void serve_clients(struct shim *s, const struct pollfd *p, mono_ms now)
{
	for (int i = 0; i < MAX_CLIENTS; i++) {
		struct client *c = &s->clients[i];
		short got = c->fd >= 0 && p[i].fd == c->fd ? p[i].revents : 0;

		if (got & (POLLIN | POLLHUP | POLLERR))
			shim_client_read(s, c, now);
		if (c->fd >= 0 && (got & POLLOUT))
			shim_client_write(s, c);
		if (c->fd >= 0 && c->replaying)
			shim_replay(s, c);
	}
	for (int i = 0; i < MAX_CLIENTS; i++)
		if (s->clients[i].fd >= 0 && s->clients[i].cut)
			shim_client_close(s, &s->clients[i], now);
}

static void dispatch(struct shim *s, const struct pollfd *p, mono_ms now)
{
	if (p[POLL_SIG].revents)
		on_signal(s);
	if (p[POLL_LISTEN].revents)
		shim_accept(s);
	if (p[POLL_STDOUT].revents && s->out_fd >= 0)
		take_output(s);
	if (p[POLL_STDIN].revents)
		feed_stdin(s);
	if (p[POLL_INIT].revents && s->init_sock >= 0)
		shim_init_message(s);
	if (p[POLL_LOG].revents)
		logs_ready(&s->logs, p[POLL_LOG].revents, now);
	if (p[POLL_OOM].revents) {
		s->t_oom_end = now + 2000;
		check_oom(s, now);
	}
	serve_clients(s, p + POLL_CLIENTS, now);
	if (p[POLL_PIDFD].revents && !s->exited)
		ended(s, now);
}

static int sooner(int a, int b)
{
	return a < 0 ? b : b < 0 || a < b ? a : b;
}

void shim_run(struct shim *s)
{
	struct pollfd p[POLL_COUNT];
	bool finished = false;

	for (;;) {
		mono_ms now = clock_mono_ms();
		int wait = sooner(run_timers(s, now), logs_tick(&s->logs, now));

		if (s->exited && !finished && (s->out_fd < 0 || shim_may_read(s))) {
			/* may_read: the attached client has caught up, so the drain can go on */
			while (s->out_fd >= 0 && shim_may_read(s) && take_output(s))
				;
			if (s->out_fd < 0 || shim_may_read(s) || !s->plan.sandbox) {
				finish_output(s, now);
				finished = true;
				continue;
			}
		}
		if (s->exited && !finished && now - s->t_linger > LINGER_CLIENT_MS) {
			finish_output(s, now);
			finished = true;
		}
		if (finished && may_leave(s, now))
			return;
		if (s->exited)
			wait = sooner(wait, 100);
		arm(s, p);
		if (poll(p, POLL_COUNT, wait) < 0 && errno != EINTR)
			return;
		dispatch(s, p, clock_mono_ms());
	}
}
