/* paas-shim: parent of one dyno. Started by paas-launcher only (launcher/plan.h), outlives it. */
#include "shim/shim_int.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "proto/limits.h"

static int read_plan(struct plan *p, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	struct stat st;
	int r;

	if (fstat(PLAN_FD_PLAN, &st) < 0 || st.st_size <= 0 || st.st_size > 2 * LIM_WIRE_FRAME)
		return err_set(err, ERR_BAD_REQUEST, "paas-shim is started by paas-launcher only");
	buf_reserve(&b, (size_t)st.st_size);
	if (pread(PLAN_FD_PLAN, b.data, (size_t)st.st_size, 0) != st.st_size)
		return err_errno(err, "read the plan");
	r = launch_plan_decode(b.data, (size_t)st.st_size, p, err);
	explicit_bzero(b.data, (size_t)st.st_size); /* config vars */
	close(PLAN_FD_PLAN);
	return r;
}

/* The app has its environment: the shim keeps none of it. */
static void forget_env(struct launch_spec *s)
{
	for (int i = 0; i < s->envc; i++) {
		explicit_bzero(s->env[i], strlen(s->env[i]));
		free(s->env[i]);
	}
	free(s->env);
	s->env = NULL;
	s->envc = 0;
}

/* From here on the shim is an ordinary process of paasd's user. CAP_KILL stays: the app runs as
 * another user, and ending it must never fail. */
static int drop(const struct plan *p, struct err *err)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2] = {
		{.effective = 1u << CAP_KILL, .permitted = 1u << CAP_KILL}};

	if (geteuid() == 0) {
		if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(0, NULL) < 0 ||
		    setresgid(p->owner_gid, p->owner_gid, p->owner_gid) < 0 ||
		    setresuid(p->owner_uid, p->owner_uid, p->owner_uid) < 0)
			return err_errno(err, "become paasd's user");
		if (syscall(SYS_capset, &h, caps) < 0)
			return err_errno(err, "drop capabilities");
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* config vars may still lie in freed memory */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return 0;
}

static int signals(struct shim *s)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_SETMASK, &set, NULL);
	return s->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int prepare(struct shim *s, struct err *err)
{
	const struct launch_spec *spec = &s->plan.spec;

	if (drop(&s->plan, err) < 0)
		return -1;
	umask(077);
	if (chdir(s->plan.dir) < 0)
		return err_errno(err, "enter %s", s->plan.dir);
	if (spec->keep_output)
		s->keep_fd =
			open("output", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (spec->log)
		logs_init(&s->logs, spec->app_id, spec->name, "spool", LIM_LOG_SPOOL);
	return shim_listen(s, err);
}

/* Nothing may point into the launcher's life: its terminal, its sockets, what it inherited. */
static void detach_stdio(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
}

static void close_plan_fds(const struct plan *p)
{
	close(PLAN_FD_SECCOMP);
	close(PLAN_FD_CGROUP);
	close(PLAN_FD_WORK);
	close(PLAN_FD_SLUG);
	for (int i = 0; i < p->spec.nbinds; i++)
		close(PLAN_FD_BINDS + i);
}

int main(void)
{
	static struct shim s = {.pidfd = -1,
				.init_sock = -1,
				.out_fd = -1,
				.in_fd = -1,
				.keep_fd = -1,
				.listener = -1,
				.net_fd = -1,
				.meter = {METER_NONE, -1, -1, -1, -1, 0}};
	struct err err = {0};
	char msg[PLAN_MSG];

	for (int i = 0; i < MAX_CLIENTS; i++)
		s.clients[i].fd = -1;
	if (read_plan(&s.plan, &err) < 0) {
		fprintf(stderr, "paas-shim: %s\n", err.msg);
		return 2;
	}
	fcntl(PLAN_FD_CTL, F_SETFD, FD_CLOEXEC);
	detach_stdio();
	if (!s.plan.sandbox)
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (signals(&s) < 0 || shim_spawn(&s, PLAN_FD_CTL) < 0)
		return 1;
	close_plan_fds(&s.plan);
	forget_env(&s.plan.spec);
	if (prepare(&s, &err) < 0) {
		int n = snprintf(msg, sizeof msg, "E%s %s", err.id, err.msg);

		send(PLAN_FD_CTL, msg, (size_t)n, MSG_NOSIGNAL);
		return 1; /* takes the init along */
	}
	if (s.plan.spec.attach_ms)
		s.t_attach = clock_mono_ms() + s.plan.spec.attach_ms;
	else
		shim_start_app(&s, clock_mono_ms());
	send(PLAN_FD_CTL, "R", 1, MSG_NOSIGNAL);
	close(PLAN_FD_CTL);
	shim_run(&s);
	unlink("sock");
	if (s.logs.on && spool_save(&s.logs.spool, &err) < 0)
		return 1;
	return 0;
}
