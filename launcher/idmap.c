#include "launcher/host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { CACHE = 64 };

static bool put_map(pid_t pid, const char *file, unsigned inside, unsigned outside)
{
	char path[64], text[64];
	int n = snprintf(text, sizeof text, "%u %u 1", inside, outside);
	AUTO(auto_fd) int fd = -1;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, (size_t)n) == n;
}

/* A child that only exists to hold the namespace until it is opened. */
static int make_userns(const struct host *h, unsigned uid, struct err *err)
{
	struct clone_args a = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	char path[64];
	pid_t pid = (pid_t)syscall(SYS_clone3, &a, sizeof a);
	int fd = -1;

	if (pid == 0)
		for (;;)
			pause();
	if (pid < 0)
		return err_errno(err, "user namespace");
	snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
	if (put_map(pid, "uid_map", h->owner, uid) && put_map(pid, "gid_map", h->owner_gid, uid))
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err_errno(err, "map users");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return fd;
}

int ln_idmap_userns(const struct host *h, unsigned uid, struct err *err)
{
	static struct {
		unsigned uid;
		int fd;
	} cache[CACHE];
	unsigned at = uid % CACHE;
	int fd;

	if (cache[at].uid == uid)
		return cache[at].fd;
	fd = make_userns(h, uid, err);
	if (fd < 0)
		return -1;
	if (cache[at].uid)
		close(cache[at].fd);
	cache[at].uid = uid;
	cache[at].fd = fd;
	return fd;
}

int ln_idmap_tree(const struct host *h, int fd, bool ro, unsigned uid, struct err *err)
{
	struct mount_attr a = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
	int tree = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0)
		return err_errno(err, "clone a mount");
	if (ro)
		a.attr_set |= MOUNT_ATTR_RDONLY;
	if (uid) {
		int ns = ln_idmap_userns(h, uid, err);

		if (ns < 0) {
			close(tree);
			return -1;
		}
		a.attr_set |= MOUNT_ATTR_IDMAP;
		a.userns_fd = (uint64_t)ns;
	}
	if (mount_setattr(tree, "", AT_EMPTY_PATH, &a, sizeof a) < 0) {
		err_errno(err, "map the owner of a mount");
		close(tree);
		return -1;
	}
	return tree;
}

/* Tries one overlay: lower through an idmapped mount, upper below `upper`. */
static bool try_overlay(const struct host *h, const char *lower_dir, const char *upper)
{
	AUTO(auto_fd) int fd = open(lower_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO(auto_str) char *at = xstrdup(LN_BOX "/root");
	AUTO(auto_str) char *u = xasprintf("%s/u", upper);
	AUTO(auto_str) char *w = xasprintf("%s/w", upper);
	AUTO(auto_str) char *opts = NULL;
	AUTO(auto_fd) int tree = -1;
	bool ok = false;

	mkdir(u, 0700);
	mkdir(w, 0700);
	tree = fd >= 0 ? ln_idmap_tree(h, fd, true, h->uid_base, NULL) : -1;
	if (tree < 0 || move_mount(tree, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return false;
	opts = xasprintf("lowerdir=%s,upperdir=%s,workdir=%s", at, u, w);
	if (mount("probe", at, "overlay", MS_NOSUID | MS_NODEV, opts) == 0) {
		/* a workdir that cannot be used makes it read-only without an error */
		AUTO(auto_str) char *file = xasprintf("%s/probe", at);
		AUTO(auto_fd) int probe = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		ok = probe >= 0;
		umount2(at, MNT_DETACH);
	}
	umount2(at, MNT_DETACH);
	return ok;
}

void ln_idmap_probe(struct host *h)
{
	AUTO(auto_str) char *dir = xasprintf("/proc/self/fd/%d/.probe", h->dynos_fd);
	AUTO(auto_str) char *lower = xasprintf("%s/l", dir);
	AUTO(auto_str) char *ram = xasprintf("%s/ram", dir);

	mkdir(dir, 0700);
	mkdir(lower, 0755);
	if (chown(lower, h->owner, h->owner_gid) < 0)
		return;
	h->idmap = !(h->lack & (LACK_IDMAP | LACK_UPPER)) && try_overlay(h, lower, dir);
	if (h->idmap)
		return;
	mkdir(ram, 0700);
	if (!(h->lack & LACK_IDMAP) && mount("probe", ram, "tmpfs", 0, NULL) == 0) {
		h->idmap = h->upper_tmpfs = try_overlay(h, lower, ram);
		umount2(ram, MNT_DETACH);
	}
	if (h->upper_tmpfs)
		ln_host_note(
			h, "the state directory's file system cannot hold changes of running apps: "
			   "what they write below /app counts as their memory");
	else
		ln_host_note(
			h,
			"this kernel or file system cannot map owners of files: each dyno gets a "
			"copy of its slug (slower starts, more disk)");
}
