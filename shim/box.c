#include "shim/box.h"
#include "launcher/nl.h"
#include "proto/limits.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

static int do_mount(const char *src, const char *dst, const char *type, unsigned long flags,
		    const char *data, struct err *err)
{
	if (mount(src, dst, type, flags, data) < 0)
		return err_errno(err, "mount %s", dst);
	return 0;
}

static int make_dir(const char *path, mode_t mode, struct err *err)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_errno(err, "mkdir %s", path);
	return 0;
}

static int write_file(const char *path, const char *text, struct err *err)
{
	AUTO(auto_fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	size_t n = strlen(text);

	if (fd < 0 || write(fd, text, n) != (ssize_t)n)
		return err_errno(err, "write %s", path);
	return 0;
}

/* --- the root: a small tmpfs of folders and links, read-only in the end ------------------------
 */

static const char *const root_dirs[] = {
	"usr", "etc", "var", "sys", "proc", "dev",  "tmp",
	"app", "run", "mnt", "opt", "home", "root",
};

static int skeleton(const struct plan *p, struct err *err)
{
	static const char *const merged[] = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"};

	if (do_mount("root", p->root, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=4m", err) < 0)
		return -1;
	if (chdir(p->root) < 0)
		return err_errno(err, "chdir to the new root");
	for (size_t i = 0; i < ARRAY_LEN(root_dirs); i++)
		if (make_dir(root_dirs[i], 0755, err) < 0)
			return -1;
	for (size_t i = 0; i < ARRAY_LEN(merged); i++) {
		AUTO(auto_str) char *there = xasprintf("%s/usr/%s", p->tmpl, merged[i]);
		AUTO(auto_str) char *to = xasprintf("usr/%s", merged[i]);

		if (access(there, F_OK) == 0 && symlink(to, merged[i]) < 0)
			return err_errno(err, "link %s", merged[i]);
	}
	return 0;
}

/* What differs from dyno to dyno; /etc of the template links here. */
static int run_files(const struct plan *p, struct err *err)
{
	AUTO(auto_str)
	char *passwd = xasprintf("root:x:0:0:root:/:/usr/sbin/nologin\n"
				 "app:x:%u:%u:app:/app:/bin/bash\n"
				 "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
				 p->app_uid, p->app_gid);
	AUTO(auto_str)
	char *group = xasprintf("root:x:0:\ntty:x:5:\napp:x:%u:\nnogroup:x:65534:\n", p->app_gid);
	AUTO(auto_str) char *hostname = xasprintf("%s\n", p->spec.name);
	AUTO(auto_str)
	char *memory = xasprintf("%llu\n",
				 (unsigned long long)(p->spec.mem_quota ? p->spec.mem_quota
									: 9223372036854771712ULL));
	AUTO(buf_clear) struct buf hosts = {0};

	buf_adds(&hosts, "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
	buf_addf(&hosts, "%s %s\n", p->has_net ? p->ip : "127.0.1.1", p->spec.name);
	if (p->gateway[0])
		buf_addf(&hosts, "%s paas-host\n", p->gateway);
	if (write_file("run/passwd", passwd, err) < 0 || write_file("run/group", group, err) < 0 ||
	    write_file("run/hosts", hosts.data, err) < 0 ||
	    write_file("run/hostname", hostname, err) < 0 ||
	    write_file("run/memory.limit_in_bytes", memory, err) < 0)
		return -1;
	return make_dir("run/lock", 0755, err);
}

static int bind_template(const struct plan *p, struct err *err)
{
	static const char *const parts[] = {"usr", "etc", "var", "sys"};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		AUTO(auto_str) char *src = xasprintf("%s/%s", p->tmpl, parts[i]);

		if (do_mount(src, parts[i], NULL, MS_BIND | MS_REC, NULL, err) < 0)
			return -1;
	}
	return 0;
}

static int one_device(const char *name, unsigned minor_, struct err *err)
{
	AUTO(auto_str) char *dst = xasprintf("dev/%s", name);
	AUTO(auto_str) char *src = xasprintf("/dev/%s", name);
	/* tty is 5:0, the rest are of major 1 */
	dev_t dev = minor_ == 0 ? makedev(5, 0) : makedev(1, minor_);

	if (mknod(dst, S_IFCHR | 0666, dev) == 0)
		return chmod(dst, 0666) < 0 ? err_errno(err, "chmod %s", dst) : 0;
	/* not allowed inside some containers: bind the host's node */
	if (mknod(dst, S_IFREG | 0666, 0) < 0)
		return err_errno(err, "create %s", dst);
	return do_mount(src, dst, NULL, MS_BIND, NULL, err);
}

static int devices(struct err *err)
{
	static const struct {
		const char *name;
		unsigned minor;
	} nodes[] = {{"null", 3},   {"zero", 5},    {"full", 7},
		     {"random", 8}, {"urandom", 9}, {"tty", 0}};
	static const char *const links[][2] = {
		{"pts/ptmx", "dev/ptmx"},	   {"/proc/self/fd", "dev/fd"},
		{"/proc/self/fd/0", "dev/stdin"},  {"/proc/self/fd/1", "dev/stdout"},
		{"/proc/self/fd/2", "dev/stderr"},
	};

	if (do_mount("dev", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k", err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
		if (one_device(nodes[i].name, nodes[i].minor, err) < 0)
			return -1;
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		if (symlink(links[i][0], links[i][1]) < 0)
			return err_errno(err, "link %s", links[i][1]);
	if (make_dir("dev/pts", 0755, err) < 0 || make_dir("dev/shm", 01777, err) < 0)
		return -1;
	if (do_mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		     "newinstance,ptmxmode=0666,mode=620", err) < 0)
		return -1;
	return do_mount("shm", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=64m", err);
}

static int temporary(const struct plan *p, struct err *err)
{
	uint64_t size = p->spec.tmp_bytes ? p->spec.tmp_bytes : (uint64_t)MiB(256);
	AUTO(auto_str) char *opts = xasprintf("mode=1777,size=%llu", (unsigned long long)size);

	return do_mount("tmp", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, opts, err);
}

static int proc_fs(struct err *err)
{
	static const char *const hidden[] = {
		"kcore", "keys",	"timer_list", "sysrq-trigger", "kallsyms",
		"kmsg",	 "sched_debug", "kpagecount", "kpageflags",    "latency_stats"};
	static const char *const frozen[] = {"sys", "bus", "fs", "irq", "acpi", "scsi", "tty"};

	if (do_mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=2", err) <
	    0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
		AUTO(auto_str) char *path = xasprintf("proc/%s", hidden[i]);

		if (mount("dev/null", path, NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
			return err_errno(err, "mask %s", path);
	}
	for (size_t i = 0; i < ARRAY_LEN(frozen); i++) {
		AUTO(auto_str) char *path = xasprintf("proc/%s", frozen[i]);

		if (mount(path, path, NULL, MS_BIND, NULL) < 0) {
			if (errno == ENOENT)
				continue;
			return err_errno(err, "freeze %s", path);
		}
		if (do_mount(NULL, path, NULL,
			     MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
			     NULL, err) < 0)
			return -1;
	}
	return 0;
}

/* --- /app and binds --------------------------------------------------------------------------- */

/* Attaches a tree that the launcher cloned, idmapped and made read-only as asked. */
static int attach(int tree, const char *dst, struct err *err)
{
	if (move_mount(tree, "", AT_FDCWD, dst, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_errno(err, "attach %s", dst);
	return 0;
}

/* What /app's changes lie on: the dyno's own folder, or its memory where that cannot hold them. */
static int attach_work(const struct plan *p, struct err *err)
{
	if (make_dir("tmp/.rw", 0700, err) < 0)
		return -1;
	if (p->upper_tmpfs)
		return do_mount("rw", "tmp/.rw", "tmpfs", MS_NOSUID | MS_NODEV, "mode=700", err);
	return attach(PLAN_FD_WORK, "tmp/.rw", err);
}

static int detach(const char *at, struct err *err)
{
	return umount2(at, MNT_DETACH) < 0 || rmdir(at) < 0 ? err_errno(err, "detach %s", at) : 0;
}

static int overlay(const struct plan *p, struct err *err)
{
	if (make_dir("tmp/.low", 0700, err) < 0 || attach(PLAN_FD_SLUG, "tmp/.low", err) < 0 ||
	    make_dir("tmp/.rw/upper", 0755, err) < 0 || make_dir("tmp/.rw/work", 0700, err) < 0)
		return -1;
	if (chown("tmp/.rw/upper", p->app_uid, p->app_gid) < 0)
		return err_errno(err, "chown the upper layer");
	/* relative: no path of the host shows in the mount table inside */
	if (do_mount("app", "app", "overlay", MS_NOSUID | MS_NODEV,
		     "lowerdir=tmp/.low,upperdir=tmp/.rw/upper,workdir=tmp/.rw/work", err) < 0)
		return -1;
	return detach("tmp/.low", err);
}

static int app_dir(const struct plan *p, struct err *err)
{
	int r;

	if (p->app == PLAN_APP_NONE)
		return 0;
	if (attach_work(p, err) < 0)
		return -1;
	r = p->app == PLAN_APP_OVERLAY ? overlay(p, err)
				       : do_mount("tmp/.rw/app", "app", NULL, MS_BIND, NULL, err);
	/* the overlay or the bind holds what it needs */
	return r < 0 ? -1 : detach("tmp/.rw", err);
}

/* In a folder of the app's things are made as the app: in an idmapped mount root has no id to give.
 */
static int make_in(int at, const char *name, bool dir, const struct plan *p)
{
	struct stat st;
	bool theirs = fstat(at, &st) == 0 && st.st_uid == p->app_uid;
	int r = 0, no;

	if (theirs) {
		setfsuid(p->app_uid);
		setfsgid(p->app_gid);
	}
	if (dir)
		r = mkdirat(at, name, 0755);
	else
		r = mknodat(at, name, S_IFREG | 0644, 0);
	no = errno;
	if (theirs) {
		setfsuid(0);
		setfsgid(0);
	}
	errno = no;
	return r < 0 && errno != EEXIST ? -1 : 0;
}

/* Makes the mount point rel below the new root, of the kind that is needed. Never follows a link
 * out of the root: some of the folders on the way are users' trees. */
static int mount_point(const struct plan *p, const char *rel, bool dir, struct err *err)
{
	AUTO(auto_str) char *path = xstrdup(rel);
	AUTO(auto_fd) int at = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *save = NULL, *part = strtok_r(path, "/", &save), *next;

	for (; part; part = next) {
		bool last;
		int down;

		next = strtok_r(NULL, "/", &save);
		last = !next && !dir;
		if (make_in(at, part, !last, p) < 0)
			return err_errno(err, "create /%s", rel);
		down = openat(at, part, O_PATH | O_NOFOLLOW | O_CLOEXEC | (last ? 0 : O_DIRECTORY));
		if (down < 0)
			return err_errno(err, "open /%s", rel);
		close(at);
		at = down;
	}
	return 0;
}

static int binds(const struct plan *p, struct err *err)
{
	for (int i = 0; i < p->spec.nbinds; i++) {
		const struct launch_bind *b = &p->spec.binds[i];
		const char *rel = b->dst + strspn(b->dst, "/");
		int fd = PLAN_FD_BINDS + i;
		struct stat st;

		if (fstat(fd, &st) < 0)
			return err_errno(err, "look at %s", b->src);
		if (S_ISCHR(st.st_mode) && (b->flags & BIND_OPTIONAL)) /* not there */
			continue;
		if (mount_point(p, rel, S_ISDIR(st.st_mode), err) < 0 || attach(fd, rel, err) < 0)
			return err_wrap(err, "bind %s", b->dst);
	}
	return 0;
}

int box_root(const struct plan *p, struct err *err)
{
	if (do_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL, err) < 0 || skeleton(p, err) < 0 ||
	    run_files(p, err) < 0 || bind_template(p, err) < 0 || devices(err) < 0 ||
	    temporary(p, err) < 0 || proc_fs(err) < 0 || app_dir(p, err) < 0 || binds(p, err) < 0)
		return -1;
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_errno(err, "pivot_root");
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_errno(err, "leave the old root");
	return do_mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV,
			NULL, err);
}

/* --- network, limits, privileges ---------------------------------------------------------------
 */

void box_mac(uint32_t ip, uint8_t mac[6])
{
	mac[0] = 0x02; /* locally administered, unicast */
	mac[1] = 0x70;
	for (int i = 0; i < 4; i++)
		mac[2 + i] = (uint8_t)(ip >> (24 - 8 * i));
}

/* Ports of the bridge are isolated from each other: what leads from one to another goes through the
 * host. A service has the host alone on its link; a dyno that may reach services sends there what
 * is for their addresses; to all others they are as unreachable as any neighbour. */
static int routes(const struct plan *p, int nl, int eth, uint32_t ip, uint32_t gateway,
		  struct err *err)
{
	uint32_t fixed = (ip | ~0U >> LAUNCH_SUBNET_PREFIX) & ~0U << (32 - LAUNCH_FIXED_PREFIX);

	if (p->spec.address && nl_route_add(nl, gateway, 32, 0, eth, err) < 0)
		return -1;
	if (p->spec.nreach && !p->spec.address &&
	    nl_route_add(nl, fixed, LAUNCH_FIXED_PREFIX, gateway, eth, err) < 0)
		return -1;
	return nl_route_add(nl, 0, 0, gateway, eth, err);
}

int box_network(const struct plan *p, struct err *err)
{
	AUTO(auto_fd) int nl = nl_open(err);
	struct in_addr ip, gateway;
	int eth;

	if (nl < 0 || nl_up(nl, 1, err) < 0)
		return -1;
	if (!p->has_net)
		return 0;
	if (inet_pton(AF_INET, p->ip, &ip) != 1 || inet_pton(AF_INET, p->gateway, &gateway) != 1)
		return err_set(err, ERR_INTERNAL, "the plan has no usable address");
	eth = nl_index(nl, "eth0", err);
	if (eth <= 0)
		return err_set(err, ERR_INTERNAL, "the sandbox has no eth0");
	if (nl_addr_add(nl, eth, ntohl(ip.s_addr), p->spec.address ? 32 : p->prefix, err) < 0 ||
	    nl_up(nl, eth, err) < 0)
		return -1;
	return routes(p, nl, eth, ntohl(ip.s_addr), ntohl(gateway.s_addr), err);
}

void box_rlimits(void)
{
	static const struct {
		int what;
		rlim_t soft, hard;
	} want[] = {
		{RLIMIT_NOFILE, 10000, 10000},
		{RLIMIT_CORE, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		struct rlimit now, set = {want[i].soft, want[i].hard};

		if (getrlimit(want[i].what, &now) < 0)
			continue;
		if (set.rlim_max > now.rlim_max)
			set.rlim_max = now.rlim_max;
		if (set.rlim_cur > set.rlim_max)
			set.rlim_cur = set.rlim_max;
		setrlimit(want[i].what, &set);
	}
}

int box_enter(int pidfd, struct err *err)
{
	if (setns(pidfd,
		  CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) < 0 ||
	    chdir("/") < 0)
		return err_errno(err, "enter the dyno");
	return 0;
}

int box_name(const struct plan *p, struct err *err)
{
	const char *name = p->spec.name;
	size_t n = strlen(name);

	/* only now does /proc/self/cgroup of the inside start at the dyno's own group */
	if (unshare(CLONE_NEWCGROUP) < 0 && errno != EINVAL)
		return err_errno(err, "own cgroup namespace");
	if (sethostname(name, n < 64 ? n : 64) < 0)
		return err_errno(err, "set the host name");
	return 0;
}

int box_drop(const struct plan *p, struct err *err)
{
	box_rlimits();
	umask(022);
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_errno(err, "drop capability %d", cap);
	if (setgroups(0, NULL) < 0 || setresgid(p->app_gid, p->app_gid, p->app_gid) < 0 ||
	    setresuid(p->app_uid, p->app_uid, p->app_uid) < 0)
		return err_errno(err, "become the app's user");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(err, "no_new_privs");
	return 0;
}

int box_seccomp(int fd, struct err *err)
{
	struct sock_filter rules[1024];
	ssize_t n = pread(fd, rules, sizeof rules, 0);
	struct sock_fprog prog = {.filter = rules};

	if (n <= 0 || n % (ssize_t)sizeof rules[0] != 0)
		return err_set(err, ERR_INTERNAL, "the system call filter cannot be read");
	prog.len = (unsigned short)((size_t)n / sizeof rules[0]);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
		return err_errno(err, "install the system call filter");
	return 0;
}
