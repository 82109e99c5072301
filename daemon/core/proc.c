#include "daemon/core/proc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const char *const plain_env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", NULL};

/* Everything that the child needs, made before fork: between fork and exec only async-signal-safe
 * calls are allowed, because other threads may have held any lock. */
struct child {
	const struct proc_spec *s;
	const char *file;
	const char *const *env;
	pid_t parent;
	int err_pipe;
};

static const char *env_get(const char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; *env; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return *env + n + 1;
	return NULL;
}

static bool runnable(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* Relative PATH entries are skipped: what runs must not depend on the current folder. */
static char *find_program(const char *name, const char *const *env)
{
	const char *p = env_get(env, "PATH");

	if (strchr(name, '/'))
		return xstrdup(name);
	for (; p && *p;) {
		size_t n = strcspn(p, ":");

		if (n && p[0] == '/') {
			char *path = xasprintf("%.*s/%s", (int)n, p, name);

			if (runnable(path))
				return path;
			free(path);
		}
		p += n + (p[n] == ':');
	}
	return NULL;
}

static void child_limit(int what, uint64_t v, uint64_t grace)
{
	struct rlimit r = {.rlim_cur = v, .rlim_max = v + grace};

	if (v)
		setrlimit((__rlimit_resource_t)what, &r);
}

/* Puts fd (or /dev/null) at `to`. Sources were moved above 2 before, so nothing is overwritten. */
static int child_fd(int fd, int to)
{
	if (fd < 0)
		fd = open("/dev/null", (to == 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
	if (fd == to) /* /dev/null landed there because the slot was free */
		return fcntl(fd, F_SETFD, 0);
	return fd < 0 ? -1 : dup2(fd, to) < 0 ? -1 : 0;
}

static int child_above_2(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int child_stdio(const struct proc_spec *s)
{
	int in = child_above_2(s->in_fd), out = child_above_2(s->out_fd),
	    err = child_above_2(s->err_fd);

	if ((s->in_fd >= 0 && in < 0) || (s->out_fd >= 0 && out < 0) || (s->err_fd >= 0 && err < 0))
		return -1;
	if (child_fd(in, 0) < 0 || child_fd(out, 1) < 0 || child_fd(err, 2) < 0)
		return -1;
	return 0;
}

static void child_signals(void)
{
	/* The kernel's struct, all zero = default: libc's sigaction refuses the two signals that it
	 * uses itself, and they may have come to us ignored. */
	static const char dfl[64];
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		syscall(SYS_rt_sigaction, i, dfl, NULL, 8);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int child_setup(const struct child *c)
{
	const struct proc_spec *s = c->s;
	struct rlimit no_core = {0, 0};

	if (s->die_with_thread) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != c->parent)
			_exit(127);
	}
	if (s->new_session ? setsid() < 0 : setpgid(0, 0) < 0)
		return -1;
	if (child_stdio(s) < 0)
		return -1;
	if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		return -1;
	setrlimit(RLIMIT_CORE, &no_core);
	child_limit(RLIMIT_AS, s->lim.as_bytes, 0);
	child_limit(RLIMIT_CPU, s->lim.cpu_s, 1);
	child_limit(RLIMIT_FSIZE, s->lim.file_bytes, 0);
	child_limit(RLIMIT_NPROC, s->lim.nproc, 0);
	if (chdir(s->cwd ? s->cwd : "/") < 0)
		return -1;
	child_signals();
	return 0;
}

static void __attribute__((noreturn)) child_main(const struct child *c)
{
	/* The report pipe must not sit where stdio goes. */
	int report = fcntl(c->err_pipe, F_DUPFD_CLOEXEC, 3), no;

	if (child_setup(c) == 0)
		execve(c->file, (char *const *)(uintptr_t)c->s->argv,
		       (char *const *)(uintptr_t)c->env);
	no = errno;
	if (write(report, &no, sizeof no) != (ssize_t)sizeof no)
		_exit(126);
	_exit(127);
}

static int read_report(int fd)
{
	int no = 0;
	ssize_t n;

	do
		n = read(fd, &no, sizeof no);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof no ? no : 0;
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int proc_spawn(const struct proc_spec *s, struct proc *out, struct err *err)
{
	const char *const *env = s->env ? s->env : plain_env;
	AUTO(auto_str) char *file = find_program(s->argv[0], env);
	AUTO(auto_fd) int rd = -1;
	sigset_t all, old;
	int p[2], no;
	pid_t pid;

	if (!file)
		return err_set(err, ERR_IO, "%s: %s", s->argv[0], strerror(ENOENT));
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_errno(err, "%s", s->argv[0]);
	rd = p[0];
	/* No handler of ours may run in the child before dispositions are reset. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	struct child c = {s, file, env, getpid(), p[1]};
	pid = fork();
	if (pid == 0)
		child_main(&c);
	no = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	close(p[1]);
	errno = no;
	if (pid < 0)
		return err_errno(err, "cannot start %s", s->argv[0]);
	no = read_report(rd);
	if (no) {
		reap(pid);
		errno = no;
		return err_errno(err, "%s", s->argv[0]);
	}
	/* Not reaped yet, so the pid is still this process. */
	out->pidfd = pidfd_open(pid, 0);
	out->pid = pid;
	if (out->pidfd < 0) {
		err_errno(err, "pidfd of %s", s->argv[0]);
		kill(-pid, SIGKILL);
		reap(pid);
		return -1;
	}
	return 0;
}

void proc_kill(struct proc *p, int sig)
{
	if (p->pidfd >= 0)
		pidfd_send_signal(p->pidfd, sig, NULL, 0);
}

/* Milliseconds for poll until deadline; -1 = for ever. */
static int left_ms(mono_ms deadline)
{
	mono_ms left;

	if (deadline == 0)
		return -1;
	left = deadline - clock_mono_ms();
	return left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
}

/* The leader is still a zombie here or alive, so its group id cannot be another's. */
static void kill_group(const struct proc *p)
{
	kill(-p->pid, SIGKILL);
}

static int finish(struct proc *p)
{
	int status = 0;

	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	close(p->pidfd);
	p->pidfd = -1;
	return status;
}

static int stop_reason(bool canceled, struct err *err)
{
	return canceled ? err_set(err, ERR_CANCELED, "canceled")
			: err_set(err, ERR_TIMEOUT, "took too long");
}

int proc_wait(struct proc *p, mono_ms deadline, int cancel_fd, int *status, struct err *err)
{
	struct pollfd f[2] = {{.fd = p->pidfd, .events = POLLIN},
			      {.fd = cancel_fd, .events = POLLIN}};

	for (;;) {
		int n = poll(f, 2, left_ms(deadline)), st;
		bool canceled = n > 0 && f[1].revents;

		if (n < 0 && errno != EINTR)
			abort();
		if (n > 0 && f[0].revents) {
			st = finish(p);
			if (status)
				*status = st;
			return 0;
		}
		if (canceled || (deadline && clock_mono_ms() >= deadline)) {
			kill_group(p);
			st = finish(p);
			if (status)
				*status = st;
			return stop_reason(canceled, err);
		}
	}
}

/* --- proc_run --- */

struct run {
	struct proc p;
	int in, out; /* our ends; -1 = none or closed */
	const char *data;
	size_t left;
	struct buf *buf;
	size_t max;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A child that stops reading must not kill us with SIGPIPE, whatever the process' disposition. */
static ssize_t write_quiet(int fd, const void *p, size_t n)
{
	sigset_t pipe_set, old, pending;
	ssize_t w;
	int no;

	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
	w = write(fd, p, n);
	no = errno;
	if (w < 0 && no == EPIPE && !sigismember(&pending, SIGPIPE))
		sigtimedwait(&pipe_set, NULL, &(struct timespec){0});
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = no;
	return w;
}

static void run_feed(struct run *r)
{
	ssize_t n = write_quiet(r->in, r->data, r->left);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		r->data += n;
		r->left -= (size_t)n;
	}
	if (n < 0 || r->left == 0)
		close_fd(&r->in);
}

static void run_gather(struct run *r)
{
	char tmp[16384];

	while (r->out >= 0) {
		ssize_t n = read(r->out, tmp, sizeof tmp);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			close_fd(&r->out);
			return;
		}
		if (r->buf->len < r->max) {
			size_t room = r->max - r->buf->len;

			buf_add(r->buf, tmp, (size_t)n < room ? (size_t)n : room);
		}
	}
}

/* True when the child has ended, false with *canceled when it must be stopped. */
static bool run_loop(struct run *r, mono_ms deadline, int cancel_fd, bool *canceled)
{
	for (;;) {
		struct pollfd f[4] = {{.fd = r->p.pidfd, .events = POLLIN},
				      {.fd = cancel_fd, .events = POLLIN},
				      {.fd = r->in, .events = POLLOUT},
				      {.fd = r->out, .events = POLLIN}};
		int n = poll(f, 4, left_ms(deadline));

		if (n < 0 && errno != EINTR)
			abort();
		if (n > 0 && f[3].revents)
			run_gather(r);
		if (n > 0 && f[2].revents)
			run_feed(r);
		if (n > 0 && f[0].revents)
			return true;
		*canceled = n > 0 && f[1].revents;
		if (*canceled || (deadline && clock_mono_ms() >= deadline))
			return false;
	}
}

static int run_pipes(struct run *r, struct proc_spec *s, bool feed, int theirs[2], struct err *err)
{
	int p[2];

	s->in_fd = s->in_fd > 0 ? s->in_fd : -1;
	if (feed) {
		if (pipe2(p, O_CLOEXEC) < 0)
			return err_errno(err, "pipe");
		s->in_fd = theirs[0] = p[0];
		r->in = p[1];
		fcntl(r->in, F_SETFL, O_NONBLOCK);
	}
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_errno(err, "pipe");
	r->out = p[0];
	s->out_fd = theirs[1] = p[1];
	if (s->err_fd <= 0)
		s->err_fd = p[1];
	fcntl(r->out, F_SETFL, O_NONBLOCK);
	return 0;
}

int proc_run(const struct proc_spec *spec, const void *in, size_t in_len, struct buf *out,
	     size_t max, mono_ms deadline, int cancel_fd, struct err *err)
{
	AUTO(buf_clear) struct buf unused = {0};
	struct run r = {.in = -1,
			.out = -1,
			.data = in,
			.left = in_len,
			.buf = out ? out : &unused,
			.max = out ? max : 0};
	struct proc_spec s = *spec;
	int theirs[2] = {-1, -1}, status;
	bool canceled = false, ended;
	int rc = run_pipes(&r, &s, in != NULL, theirs, err);

	if (out && rc == 0) /* max counts what this run adds */
		r.max += out->len;
	if (rc == 0)
		rc = proc_spawn(&s, &r.p, err);
	close_fd(&theirs[0]);
	close_fd(&theirs[1]);
	if (rc < 0) {
		close_fd(&r.in);
		close_fd(&r.out);
		return -1;
	}
	if (r.in >= 0 && r.left == 0)
		close_fd(&r.in);
	ended = run_loop(&r, deadline, cancel_fd, &canceled);
	/* What the program left running in its group goes with it, also after a good end: it would
	 * hold the pipe open. */
	kill_group(&r.p);
	status = finish(&r.p);
	run_gather(&r);
	close_fd(&r.in);
	close_fd(&r.out);
	if (!ended)
		return stop_reason(canceled, err);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

uint64_t proc_starttime(pid_t pid)
{
	char path[40], text[1024];
	AUTO(auto_fd) int fd = -1;
	unsigned long long start;
	const char *p;
	ssize_t n;
	char state;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof text - 1);
	if (n <= 0)
		return 0;
	text[n] = 0;
	p = strrchr(text, ')'); /* the name may hold anything, also ") " */
	if (!p || sscanf(p + 1,
			 " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
			 "%*d %llu",
			 &state, &start) != 2)
		return 0;
	return state == 'Z' || state == 'X' ? 0 : start;
}
