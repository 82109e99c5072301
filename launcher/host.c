#include "launcher/host.h"
#include "launcher/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

void ln_host_note(struct host *h, const char *fmt, ...)
{
	va_list ap;

	if (h->nnotes >= HOST_NOTES)
		return;
	va_start(ap, fmt);
	vsnprintf(h->notes[h->nnotes++], sizeof h->notes[0], fmt, ap);
	va_end(ap);
}

static int open_dir(const char *arg, char **real, int *fd, struct err *err)
{
	if (mkdir(arg, 0755) < 0 && errno != EEXIST)
		return err_errno(err, "create %s", arg);
	*real = realpath(arg, NULL);
	*fd = *real ? open(*real, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	return *fd < 0 ? err_errno(err, "open %s", arg) : 0;
}

int ln_lock(int fd)
{
	for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
		if (errno != EWOULDBLOCK || tries >= 100)
			return -1;
		usleep(10000);
	}
	return 0;
}

static int lock_run(struct host *h, struct err *err)
{
	h->lock_fd =
		openat(h->run_fd, "launcher.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (h->lock_fd < 0)
		return err_errno(err, "open %s/launcher.lock", h->run);
	if (ln_lock(h->lock_fd) < 0)
		return err_set(err, ERR_CONFLICT, "another launcher serves %s", h->run);
	return 0;
}

static void find_group(struct host *h)
{
	const struct passwd *pw = getpwuid(h->owner);
	struct stat st;

	if (pw)
		h->owner_gid = pw->pw_gid;
	else if (fstat(h->state_fd, &st) == 0)
		h->owner_gid = st.st_gid;
}

/* paasd owns STATE and could put a folder of its making in the place of ours. */
int ln_open_dynos(struct host *h, struct err *err)
{
	struct stat st;
	int fd = tree_open(h->state_fd, "dynos", O_RDONLY | O_DIRECTORY);

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid()) {
		if (fd >= 0)
			close(fd);
		return err_set(err, ERR_FORBIDDEN, "%s/dynos does not belong to the launcher",
			       h->state);
	}
	if (h->dynos_fd >= 0)
		close(h->dynos_fd);
	h->dynos_fd = fd;
	return 0;
}

/* A folder for each dyno: paasd's in RUN, root's own in STATE. */
static int folders(struct host *h, struct err *err)
{
	if (mkdirat(h->run_fd, "dynos", 0700) < 0 && errno != EEXIST)
		return err_errno(err, "create %s/dynos", h->run);
	if (mkdirat(h->state_fd, "dynos", 0700) < 0 && errno != EEXIST)
		return err_errno(err, "create %s/dynos", h->state);
	if (ln_open_dynos(h, err) < 0)
		return -1;
	if (h->root &&
	    fchownat(h->run_fd, "dynos", h->owner, h->owner_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(err, "chown %s/dynos", h->run);
	return 0;
}

/* Asks the kernel rather than guessing: containers often have root without namespaces. */
static bool namespaces_work(void)
{
	struct clone_args a = {.flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS |
					CLONE_NEWNET | CLONE_NEWCGROUP,
			       .exit_signal = SIGCHLD};
	pid_t pid = (pid_t)syscall(SYS_clone3, &a, sizeof a);

	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return false;
	waitpid(pid, NULL, 0);
	return true;
}

static int choose_runtime(struct host *h, struct err *err)
{
	bool can = h->root && namespaces_work();

	if (strcmp(h->runtime, "sandbox") == 0 && !can)
		return err_set(
			err, ERR_CONFIG,
			h->root ? "the sandbox runtime needs namespaces, which this host refuses"
				: "the sandbox runtime needs root");
	h->sandbox = can && strcmp(h->runtime, "plain") != 0;
	/* without a mount namespace apps get at their copies by path */
	fchmod(h->dynos_fd, h->sandbox ? 0700 : 0711);
	if (h->sandbox)
		return 0;
	ln_host_note(
		h,
		"plain runtime: apps run WITHOUT isolation, as processes of this host that see "
		"its files, its network and each other%s",
		!h->root ? " (the launcher is not root)"
		: can	 ? ""
			 : " (no namespaces on this host)");
	ln_host_note(h, "plain runtime: no memory, process or CPU limits");
	return 0;
}

static int open_sandbox(struct host *h, struct err *err)
{
	char why[200];

	h->filter_fd = ln_filter_make(err);
	if (h->filter_fd < 0 || ln_stack_open(h, err) < 0)
		return -1;
	cg_open(&h->cg, h->name, h->lack & LACK_LIMITS, why);
	if (why[0])
		ln_host_note(h, "%s", why);
	ln_idmap_probe(h);
	tree_remove(h->dynos_fd, ".probe", NULL);
	return ln_net_open(h, err);
}

static int open_instance(struct host *h, struct err *err)
{
	find_group(h);
	if (folders(h, err) < 0 || choose_runtime(h, err) < 0)
		return -1;
	if (h->root && ln_slot_claim(h, err) < 0)
		return -1;
	return h->sandbox ? open_sandbox(h, err) : 0;
}

int ln_host_open(struct host *h, struct err *err)
{
	char(*ids)[37] = NULL;

	h->run_fd = h->state_fd = h->dynos_fd = h->lock_fd = h->slot_fd = h->filter_fd = -1;
	h->root = geteuid() == 0;
	if (open_dir(h->run_arg, &h->run, &h->run_fd, err) < 0 ||
	    open_dir(h->state_arg, &h->state, &h->state_fd, err) < 0 || lock_run(h, err) < 0)
		return -1;
	for (int i = 0; i < h->nro; i++)
		h->ro_fd[i] = open(h->ro[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (open_instance(h, err) < 0) {
		/* without dynos there is nothing to come back for */
		if (ln_dyno_list(h, &ids) == 0)
			ln_host_erase(h);
		free(ids);
		return -1;
	}
	ln_dyno_load_ips(h);
	return 0;
}

void ln_host_close(struct host *h)
{
	int fds[] = {h->run_fd, h->state_fd, h->dynos_fd, h->lock_fd, h->slot_fd, h->filter_fd};

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	for (int i = 0; i < h->nro; i++)
		if (h->ro_fd[i] >= 0)
			close(h->ro_fd[i]);
	cg_close(&h->cg);
	free(h->run);
	free(h->state);
}

void ln_host_erase(struct host *h)
{
	if (h->root) {
		if (h->net)
			ln_net_close(h);
		cg_finish(&h->cg);
		ln_slot_release(h);
		unlinkat(h->state_fd, "instance", 0);
	}
	unlinkat(h->run_fd, "dynos", AT_REMOVEDIR);
	unlinkat(h->state_fd, "dynos", AT_REMOVEDIR);
	unlinkat(h->run_fd, "launcher.sock", 0);
	unlinkat(h->run_fd, "launcher.lock", 0);
}
