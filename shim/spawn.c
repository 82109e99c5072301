#include "shim/shim_int.h"
#include "shim/init.h"
#include "shim/kin.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { SETUP_MS = 60000 };

static void tell_launcher(int ctl, const char *fmt, ...) PRINTF(2, 3);

static void tell_launcher(int ctl, const char *fmt, ...)
{
	char msg[PLAN_MSG];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	send(ctl, msg, (size_t)n < sizeof msg ? (size_t)n : sizeof msg - 1, MSG_NOSIGNAL);
}

static int fail(int ctl, const struct err *err)
{
	tell_launcher(ctl, "E%s %s", err->id, err->msg);
	return -1;
}

/* One message of a seqpacket socket, with a time limit. Returns its length, or -1. */
static ssize_t message(int sock, char *out, size_t cap, int *fd)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} ctl = {0};
	struct iovec io = {out, cap - 1};
	struct msghdr m = {.msg_iov = &io,
			   .msg_iovlen = 1,
			   .msg_control = ctl.room,
			   .msg_controllen = sizeof ctl.room};
	struct pollfd p = {sock, POLLIN, 0};
	const struct cmsghdr *h;
	ssize_t n;

	if (poll(&p, 1, SETUP_MS) != 1)
		return -1;
	n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	if (n <= 0)
		return -1;
	out[n] = 0;
	h = CMSG_FIRSTHDR(&m);
	if (fd && h && h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof *fd))
		memcpy(fd, CMSG_DATA(h), sizeof *fd);
	return n;
}

/* A helper ends with the shim: what it writes would come back behind the back of the removal. */
static pid_t fork_helper(void)
{
	pid_t shim = getpid(), pid = fork();

	if (pid == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != shim))
		_exit(127);
	return pid;
}

/* Runs cp: trees of any size, reflinked where the file system can. */
static int copy_slug(const struct plan *p, struct err *err)
{
	AUTO(auto_str) char *dst = xasprintf("/proc/self/fd/%d/app", PLAN_FD_WORK);
	AUTO(auto_str) char *src = xasprintf("/proc/self/fd/%d/.", PLAN_FD_SLUG);
	int status = 0;
	pid_t pid;

	if (mkdir(dst, 0755) < 0 && errno != EEXIST)
		return err_errno(err, "mkdir %s", dst);
	pid = fork_helper();
	if (pid == 0) {
		if (getuid() == 0)
			execl("/usr/bin/cp", "cp", "-R", "-P", "-p", "--reflink=auto",
			      "--no-preserve=ownership", "--", src, dst, (char *)NULL);
		else
			execl("/usr/bin/cp", "cp", "-a", "--reflink=auto", "--", src, dst,
			      (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return err_errno(err, "copy the slug");
	if (status != 0)
		return err_set(err, ERR_IO, "copying the slug failed (status %d)",
			       WEXITSTATUS(status));
	if (getuid() != 0)
		return 0;
	pid = fork_helper();
	if (pid == 0) {
		AUTO(auto_str) char *who = xasprintf("%u:%u", p->app_uid, p->app_gid);

		execl("/usr/bin/chown", "chown", "-R", "-h", "-P", "--", who, dst, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		return err_set(err, ERR_IO, "handing the copy of the slug to the app failed");
	return 0;
}

struct ends { /* of the pipes and the socket; [0] is the shim's */
	int sock[2], in[2], out[2];
};

/* A pipe belongs to who made it, and opening /dev/stdout asks for the owner's right: programs that
 * log to it (nginx) and scripts that redirect to /dev/stderr do so. All that the app gains is to
 * read back what it wrote. */
static int give(const struct plan *p, int fd, struct err *err)
{
	if (getuid() != 0 || fchown(fd, p->app_uid, p->app_gid) == 0)
		return 0;
	return err_errno(err, "hand a pipe to the app");
}

static int make_ends(const struct plan *p, struct ends *e, struct err *err)
{
	*e = (struct ends){{-1, -1}, {-1, -1}, {-1, -1}};
	int out[2], in[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, e->sock) < 0)
		return err_errno(err, "socketpair");
	if (p->spec.stdio == LAUNCH_PTY)
		return 0;
	if (pipe2(out, O_CLOEXEC) < 0)
		return err_errno(err, "pipe");
	e->out[0] = out[0];
	e->out[1] = out[1];
	if (give(p, out[1], err) < 0)
		return -1;
	if (p->spec.stdio != LAUNCH_PIPE)
		return 0;
	if (pipe2(in, O_CLOEXEC) < 0)
		return err_errno(err, "pipe");
	e->in[0] = in[1];
	e->in[1] = in[0];
	return give(p, in[0], err);
}

static pid_t clone_with(const struct plan *p, int *pidfd, bool into_group)
{
	uint64_t spaces = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;
	struct clone_args a = {.flags = CLONE_PIDFD | (p->sandbox && !p->enter ? spaces : 0) |
					(into_group ? CLONE_INTO_CGROUP : 0),
			       .pidfd = (uint64_t)(uintptr_t)pidfd,
			       .cgroup = into_group ? PLAN_FD_CGROUP : 0,
			       .exit_signal = SIGCHLD};

	return (pid_t)syscall(SYS_clone3, &a, sizeof a);
}

static pid_t clone_init(const struct plan *p, int *pidfd, bool *born)
{
	struct stat st;
	pid_t pid;

	/* a pid namespace is entered by children only */
	if (p->enter && p->sandbox && setns(PLAN_FD_WORK, CLONE_NEWPID) < 0)
		return -1;
	*born = fstat(PLAN_FD_CGROUP, &st) == 0 && S_ISDIR(st.st_mode);
	pid = clone_with(p, pidfd, *born);
	if (pid >= 0 || !*born)
		return pid;
	*born = false; /* the launcher moves it */
	return clone_with(p, pidfd, false);
}

/* G <n><dir>: where the counters are. */
static int await_go(struct shim *s, int ctl)
{
	char msg[PLAN_MSG];

	if (message(ctl, msg, sizeof msg, NULL) < 2 || msg[0] != 'G')
		return -1; /* the launcher has gone or given up */
	meter_open(&s->meter, (enum meter_kind)(msg[1] - '0'), msg + 2);
	return send(s->init_sock, "G", 1, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

static int await_ready(struct shim *s, int ctl)
{
	char msg[PLAN_MSG];
	int master = -1;
	struct err err = {0};

	if (message(s->init_sock, msg, sizeof msg, &master) < 1 ||
	    (msg[0] != 'R' && msg[0] != 'E')) {
		err_set(&err, ERR_INTERNAL, "the sandbox's init died during setup");
		return fail(ctl, &err);
	}
	if (msg[0] == 'E') {
		tell_launcher(ctl, "%s", msg);
		return -1;
	}
	if (s->plan.spec.stdio == LAUNCH_PTY) {
		s->out_fd = master;
		s->in_fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
	}
	return 0;
}

static void nonblock(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void close_ends(const int ends[2])
{
	if (ends[1] >= 0)
		close(ends[1]);
}

int shim_spawn(struct shim *s, int ctl)
{
	const struct plan *p = &s->plan;
	struct err err = {0};
	struct ends e;
	char path[64];
	bool born;

	if (p->app == PLAN_APP_COPY && !p->enter && copy_slug(p, &err) < 0)
		return fail(ctl, &err);
	if (make_ends(p, &e, &err) < 0)
		return fail(ctl, &err);
	s->init = clone_init(p, &s->pidfd, &born);
	if (s->init == 0) {
		struct init_io io = {e.sock[1], e.in[1], e.out[1]};

		close(e.sock[0]);
		close(ctl);
		init_main(p, &io);
	}
	if (s->init < 0) {
		err_errno(&err, "clone3");
		return fail(ctl, &err);
	}
	close_ends(e.sock);
	close_ends(e.in);
	close_ends(e.out);
	s->init_sock = e.sock[0];
	s->in_fd = e.in[0];
	s->out_fd = e.out[0];
	snprintf(path, sizeof path, "/proc/%d/net", p->sandbox ? s->init : getpid());
	s->net_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	tell_launcher(ctl, "I%d %d", s->init, born);
	if (await_go(s, ctl) < 0 || await_ready(s, ctl) < 0)
		return -1;
	nonblock(s->in_fd);
	nonblock(s->out_fd);
	return 0;
}

void shim_start_app(struct shim *s, mono_ms now)
{
	if (s->started || s->exited)
		return;
	s->started = true;
	s->started_us = clock_wall_us();
	s->t_attach = 0;
	if (s->plan.spec.ttl_s)
		s->t_ttl = now + (mono_ms)s->plan.spec.ttl_s * 1000;
	if (s->plan.spec.port)
		s->t_bound = s->t_bound_start = now;
	s->t_mem = now + (s->plan.spec.metrics_ms ? s->plan.spec.metrics_ms : 20000);
	send(s->init_sock, "X", 1, MSG_NOSIGNAL);
	shim_tell_state(s); /* who waits for the first attach learns that it runs */
}

void shim_signal(struct shim *s, int sig)
{
	if (s->exited || sig <= 0 || sig >= 32)
		return;
	/* before the app runs there is nobody who could obey */
	if (!s->started && (sig == SIGTERM || sig == SIGHUP || sig == SIGINT))
		sig = SIGKILL;
	if (sig == SIGKILL && (!s->plan.sandbox || s->plan.enter))
		kin_signal(s->init, SIGKILL);
	if (sig == SIGSTOP || sig == SIGCHLD)
		return;
	syscall(SYS_pidfd_send_signal, s->pidfd, sig, NULL, 0);
}

void shim_init_message(struct shim *s)
{
	unsigned char msg[PLAN_MSG];
	ssize_t n = recv(s->init_sock, msg, sizeof msg, MSG_DONTWAIT);

	if (n == 5 && msg[0] == 'S') {
		s->app_ended = true;
		s->wait_status = (int)((unsigned)msg[1] << 24 | (unsigned)msg[2] << 16 |
				       (unsigned)msg[3] << 8 | msg[4]);
	} else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		close(s->init_sock);
		s->init_sock = -1;
	}
}

void shim_collect(struct shim *s)
{
	int status = 0;

	while (s->init_sock >= 0 && !s->app_ended) {
		struct pollfd p = {s->init_sock, POLLIN, 0};

		if (poll(&p, 1, 0) != 1)
			break;
		shim_init_message(s);
	}
	waitpid(s->init, &status, 0);
	if (!s->plan.sandbox)
		kin_end(getpid());
	if (s->app_ended)
		status = s->wait_status;
	s->exited = true;
	s->exit_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	s->exit_code = s->exit_signal ? 128 + s->exit_signal : WEXITSTATUS(status);
	meter_oom(&s->meter);
}
