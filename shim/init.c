#include "shim/init.h"
#include "shim/box.h"
#include "shim/kin.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

/* Setup failed: the shim passes the text on. */
static _Noreturn void give_up(int sock, const struct err *err)
{
	char msg[PLAN_MSG];
	int n = snprintf(msg, sizeof msg, "E%s %s", err->id, err->msg);

	send(sock, msg, (size_t)n, MSG_NOSIGNAL);
	_exit(125);
}

/* Waits for the one message; the shim's death ends the dyno. */
static void await(int sock, char letter)
{
	char got = 0;
	ssize_t n;

	do
		n = recv(sock, &got, 1, 0);
	while (n < 0 && errno == EINTR);
	if (n != 1 || got != letter)
		_exit(125);
}

/* Own pty: the master travels to the shim, the slave stays. -1 = failed. */
static int open_pty(const struct plan *p, int *slave, struct err *err)
{
	struct winsize ws = {.ws_row = (unsigned short)(p->spec.rows ? p->spec.rows : 24),
			     .ws_col = (unsigned short)(p->spec.cols ? p->spec.cols : 80)};
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int unlock = 0;

	if (master < 0)
		return err_errno(err, "open a terminal");
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0 || ioctl(master, TIOCSWINSZ, &ws) < 0)
		return err_errno(err, "set up a terminal");
	*slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*slave < 0)
		return err_errno(err, "open the terminal's other side");
	return master;
}

static void tell_ready(int sock, int master)
{
	char letter = 'R';
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} ctl = {0};
	struct iovec io = {&letter, 1};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1};

	if (master >= 0) {
		m.msg_control = ctl.room;
		m.msg_controllen = sizeof ctl.room;
		ctl.h.cmsg_level = SOL_SOCKET;
		ctl.h.cmsg_type = SCM_RIGHTS;
		ctl.h.cmsg_len = CMSG_LEN(sizeof master);
		memcpy(CMSG_DATA(&ctl.h), &master, sizeof master);
	}
	if (sendmsg(sock, &m, MSG_NOSIGNAL) != 1)
		_exit(125);
	if (master >= 0)
		close(master);
}

/* Closes every descriptor above 2 but those given: a stray copy of the shim's sockets in here would
 * hide the shim's death from the launcher and from paasd. */
static void keep_only(int a, int b, int c, int d)
{
	int keep[] = {a, b, c, d};
	unsigned from = 3;

	for (;;) {
		int next = -1;

		for (size_t i = 0; i < ARRAY_LEN(keep); i++)
			if (keep[i] >= (int)from && (next < 0 || keep[i] < next))
				next = keep[i];
		if (next < 0)
			break;
		if ((unsigned)next > from)
			syscall(SYS_close_range, from, (unsigned)next - 1, 0);
		from = (unsigned)next + 1;
	}
	syscall(SYS_close_range, from, ~0U, 0);
}

/* Is everybody around of this dyno? Then signals to all need no search. */
static bool alone(const struct plan *p)
{
	return p->sandbox && !p->enter;
}

/* --- the app ---------------------------------------------------------------------------------- */

static void app_env(const struct plan *p)
{
	environ = p->spec.env;
	if (!environ || !getenv("PATH"))
		putenv((char *)(uintptr_t) "PATH=/usr/local/bin:/usr/bin:/bin");
	if (p->sandbox) {
		if (!getenv("HOME"))
			putenv((char *)(uintptr_t) "HOME=/app");
		return;
	}
	/* no mount namespace: the app's folder is where the copy lies, and the mark lets a removal
	 * find processes that outlived their shim */
	if (p->app == PLAN_APP_COPY)
		putenv(xasprintf("HOME=%s/app", p->work));
	putenv(xasprintf("PAAS_DYNO_ID=%s", p->spec.id));
}

static int app_cwd(const struct plan *p)
{
	const char *cwd = p->spec.cwd && *p->spec.cwd ? p->spec.cwd : "/app";
	AUTO(auto_str) char *copy = NULL;

	if (p->sandbox || p->app != PLAN_APP_COPY)
		return chdir(cwd);
	if (strncmp(cwd, "/app", 4) == 0 && (cwd[4] == '/' || !cwd[4]))
		copy = xasprintf("%s/app%s", p->work, cwd + 4);
	return chdir(copy ? copy : cwd);
}

static _Noreturn void app_main(const struct plan *p, const struct init_io *io, int slave,
			       pid_t init)
{
	int in = slave >= 0 ? slave : io->in_fd, out = slave >= 0 ? slave : io->out_fd;
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	setsid();
	if (slave >= 0 && ioctl(slave, TIOCSCTTY, 0) < 0)
		_exit(126);
	if (in < 0)
		in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(126);
	/* Without a pid namespace: a server that writes its title over its environment (Redis)
	 * loses the mark by which it would be found. It goes with the init at least. */
	if (!p->sandbox && (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != init))
		_exit(126);
	syscall(SYS_close_range, 3, ~0U, 0);
	app_env(p);
	if (app_cwd(p) < 0) {
		dprintf(2, "paas: cannot enter %s: %s\n", p->spec.cwd ? p->spec.cwd : "/app",
			strerror(errno));
		_exit(126);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(p->spec.argv[0], p->spec.argv);
	dprintf(2, "paas: cannot run %s: %s\n", p->spec.argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Without a namespace of its own the init has all below it to end when its shim dies: a signal that
 * it takes like any other, and that programs hardly use. */
static int shim_gone_signal(const struct plan *p)
{
	return alone(p) ? SIGKILL : SIGRTMAX;
}

/* By the socket: who entered a dyno never sees its parent. */
static bool shim_gone(int sock)
{
	char byte;

	return recv(sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* --- pid 1 -------------------------------------------------------------------------------------
 */

static _Noreturn void end_with(const struct plan *p, int sock, int status)
{
	char msg[5] = {'S'};

	if (!alone(p))
		kin_end(getpid());
	for (int i = 0; i < 4; i++)
		msg[1 + i] = (char)((unsigned)status >> (24 - 8 * i));
	send(sock, msg, sizeof msg, MSG_NOSIGNAL);
	/* in a pid namespace the kernel now kills all that is left */
	_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

/* Signals stay blocked and are taken one by one: none is lost before the app exists, and none is
 * ignored, as a pid 1 without handlers would. */
static _Noreturn void serve(const struct plan *p, int sock, pid_t app)
{
	sigset_t all;

	sigfillset(&all);
	for (;;) {
		int sig = sigwaitinfo(&all, NULL), status;
		pid_t pid;

		if (sig < 0)
			continue;
		if (sig == shim_gone_signal(p) && shim_gone(sock))
			end_with(p, sock, SIGKILL);
		if (sig != SIGCHLD) {
			if (alone(p))
				kill(-1, sig); /* everyone but ourselves */
			else
				kin_signal(getpid(), sig);
			continue;
		}
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == app)
				end_with(p, sock, status);
	}
}

static void build(const struct plan *p, int sock, struct err *err)
{
	if (p->sandbox && (p->enter ? box_enter(PLAN_FD_WORK, err) : box_root(p, err)) < 0)
		give_up(sock, err);
	await(sock, 'G');
	if (!p->sandbox) {
		box_rlimits();
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
		if (geteuid() == 0 && (setresgid(p->app_gid, p->app_gid, p->app_gid) < 0 ||
				       setresuid(p->app_uid, p->app_uid, p->app_uid) < 0)) {
			err_errno(err, "become the app's user");
			give_up(sock, err);
		}
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		return;
	}
	if (p->enter)
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	else if (box_network(p, err) < 0 || box_name(p, err) < 0)
		give_up(sock, err);
	if (box_drop(p, err) < 0)
		give_up(sock, err);
}

void init_main(const struct plan *p, const struct init_io *io)
{
	struct err err = {0};
	int master = -1, slave = -1;
	sigset_t all;
	pid_t app, self;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	build(p, io->sock, &err);
	/* after the change of user, which would clear it */
	prctl(PR_SET_PDEATHSIG, shim_gone_signal(p), 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (p->spec.stdio == LAUNCH_PTY && (master = open_pty(p, &slave, &err)) < 0)
		give_up(io->sock, &err);
	if (p->sandbox && box_seccomp(PLAN_FD_SECCOMP, &err) < 0)
		give_up(io->sock, &err);
	tell_ready(io->sock, master);
	keep_only(io->sock, io->in_fd, io->out_fd, slave);
	await(io->sock, 'X');
	self = getpid();
	app = fork();
	if (app == 0)
		app_main(p, io, slave, self);
	if (app < 0) {
		dprintf(io->out_fd >= 0 ? io->out_fd : slave, "paas: cannot start a process: %s\n",
			strerror(errno));
		end_with(p, io->sock, 126 << 8);
	}
	/* only the app holds its ends: their closing is how the shim sees the end of output */
	if (io->in_fd >= 0)
		close(io->in_fd);
	if (io->out_fd >= 0)
		close(io->out_fd);
	if (slave >= 0)
		close(slave);
	serve(p, io->sock, app);
}
