#include "launcher/tree.h"
#include "launcher/volume.h"
#include "daemon/core/xlog.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

/* A volume is STATE/volumes/ID with `image`, a sparse file with an ext4 file system, or with the
 * folder `data` where this host has no loop devices. All of it is root's: the kernel must never be
 * given a file system that somebody else can write to by the byte. In the file system the folder
 * `data` is what dynos see. `size` holds what was asked for.
 *
 * An image has one loop device at a time, however many dynos use it: two would be two caches of one
 * disk. The device goes with its last mount. */

#define AT_BOX LN_BOX "/volume"

enum { BLOCK = 4096, TRIES = 16 };
#define RESIZE_FS _IOW('f', 16, uint64_t) /* EXT4_IOC_RESIZE_FS, which no header exports */

/* What the file system keeps for itself: inodes, a small journal, its tables. */
static uint64_t image_bytes(uint64_t size)
{
	return (size + size / 32 + (uint64_t)MiB(12)) / BLOCK * BLOCK;
}

/* STATE/volumes, made when it is needed. FORBIDDEN when it is not ours. */
static int open_volumes(const struct host *h, bool make, struct err *err)
{
	struct stat st;
	int fd;

	if (make && mkdirat(h->state_fd, "volumes", 0700) < 0 && errno != EEXIST)
		return err_errno(err, "create %s/volumes", h->state);
	fd = tree_open(h->state_fd, "volumes", O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "there are no volumes")
				       : err_errno(err, "open %s/volumes", h->state);
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && !(st.st_mode & 022))
		return fd;
	close(fd);
	return err_set(err, ERR_FORBIDDEN, "%s/volumes does not belong to the launcher", h->state);
}

static int open_one(const struct host *h, const char *id, bool make, struct err *err)
{
	AUTO(auto_fd) int all = -1;
	int fd;

	if (!name_is_uuid(id))
		return err_set(err, ERR_BAD_REQUEST, "a volume's id must be a uuid");
	all = open_volumes(h, make, err);
	if (all < 0)
		return -1;
	if (make && mkdirat(all, id, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "create volume %s", id);
	fd = tree_open(all, id, O_RDONLY | O_DIRECTORY);
	return fd >= 0		 ? fd
	       : errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "there is no volume %s", id)
				 : err_errno(err, "open volume %s", id);
}

/* --- loop devices --- */

static int open_loop(int n)
{
	char path[32];

	snprintf(path, sizeof path, "/dev/loop%d", n);
	return open(path, O_RDWR | O_CLOEXEC);
}

static bool has_image(int loop, const struct stat *image)
{
	struct loop_info64 i;

	return ioctl(loop, LOOP_GET_STATUS64, &i) == 0 && i.lo_device == image->st_dev &&
	       i.lo_inode == image->st_ino;
}

/* The device that has the image already; an open one is not taken from it. *n its number. */
static int find_loop(const struct stat *image, int *n)
{
	DIR *d = opendir("/sys/block");
	const struct dirent *e;
	int fd = -1;

	while (fd < 0 && d && (e = readdir(d))) {
		if (sscanf(e->d_name, "loop%d", n) != 1 || (fd = open_loop(*n)) < 0)
			continue;
		if (!has_image(fd, image)) {
			close(fd);
			fd = -1;
		}
	}
	if (d)
		closedir(d);
	return fd;
}

static int new_loop(int image, int *n, struct err *err)
{
	AUTO(auto_fd) int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	struct loop_config c = {.fd = (uint32_t)image,
				.block_size = BLOCK,
				.info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};

	/* somebody else may be faster */
	for (int i = 0; i < TRIES && control >= 0; i++) {
		int fd;

		*n = ioctl(control, LOOP_CTL_GET_FREE);
		fd = *n < 0 ? -1 : open_loop(*n);
		if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &c) == 0)
			return fd;
		if (fd < 0)
			break;
		close(fd);
	}
	return err_errno(err, "loop device");
}

/* An open device with the image; under its lock. */
static int get_loop(int image, int *n, struct err *err)
{
	struct stat st;
	int fd;

	if (fstat(image, &st) < 0)
		return err_errno(err, "look at an image");
	fd = find_loop(&st, n);
	return fd >= 0 ? fd : new_loop(image, n, err);
}

static bool loops_work(const struct host *h)
{
	AUTO(auto_fd) int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	return h->sandbox && !(h->lack & LACK_LOOP) && control >= 0 &&
	       access("/usr/sbin/mke2fs", X_OK) == 0;
}

/* --- its file system, mounted for a moment --- */

void ln_volume_leave(struct mounted *m)
{
	int fds[] = {m->data, m->loop, m->image, m->dir};

	while (m->at[0] && umount2(m->at, MNT_DETACH) == 0)
		; /* also what one that was killed left there */
	if (m->at[0])
		rmdir(m->at);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	*m = (struct mounted)MOUNTED_NOT;
}

/* The launcher and its children have one mount namespace: each volume has its own place there, and
 * who holds its lock is alone at that. */
static int mount_image(struct mounted *m, const char *id, struct err *err)
{
	AUTO(auto_str) char *data = xasprintf(AT_BOX "/%s/data", id);
	char dev[32];
	int n;

	/* of the folder: a loop device keeps the image's own descriptor, and its locks */
	if (flock(m->dir, LOCK_EX) < 0)
		return err_errno(err, "lock a volume");
	m->loop = get_loop(m->image, &n, err);
	if (m->loop < 0)
		return -1;
	snprintf(dev, sizeof dev, "/dev/loop%d", n);
	snprintf(m->at, sizeof m->at, AT_BOX "/%s", id);
	if ((mkdir(m->at, 0700) < 0 && errno != EEXIST) ||
	    mount(dev, m->at, "ext4", MS_NOSUID | MS_NODEV, "discard,errors=remount-ro") < 0)
		return err_errno(err, "mount a volume");
	m->data = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return m->data < 0 ? err_errno(err, "open a volume") : 0;
}

int ln_volume_enter(struct host *h, const char *id, struct mounted *m, struct err *err)
{
	*m = (struct mounted)MOUNTED_NOT;
	m->dir = open_one(h, id, false, err);
	if (m->dir < 0)
		return -1;
	m->image = tree_open(m->dir, "image", O_RDWR);
	if (m->image >= 0)
		return mount_image(m, id, err);
	m->data = tree_open(m->dir, "data", O_RDONLY | O_DIRECTORY);
	return m->data >= 0 ? 0 : err_set(err, ERR_NOT_FOUND, "volume %s is not made yet", id);
}

/* --- make, grow, look --- */

/* Exit status up to `good` is success. */
static int run(const char *const *argv, int good, struct err *err)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		for (int fd = 0; fd < 3; fd++)
			dup2(null, fd);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return err_errno(err, "run %s", argv[0]);
	return WIFEXITED(status) && WEXITSTATUS(status) <= good
		       ? 0
		       : err_set(err, ERR_IO, "%s failed", argv[0]);
}

/* mke2fs makes the folder that dynos see, too: the image is whole, or is not there. */
static int make_image(const struct host *h, int dir, uint64_t size, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("/proc/%d/fd/%d/image.new", getpid(), dir);
	AUTO(auto_str) char *seed = xasprintf("/proc/%d/fd/%d/seed", getpid(), dir);
	const char *const argv[] = {"/usr/sbin/mke2fs",
				    "-q",
				    "-F",
				    "-t",
				    "ext4",
				    "-b",
				    "4096",
				    "-m",
				    "0",
				    "-J",
				    "size=4",
				    "-E",
				    "lazy_itable_init=1,lazy_journal_init=1,nodiscard",
				    "-d",
				    seed,
				    path,
				    NULL};
	AUTO(auto_fd) int fd = -1;

	tree_remove(dir, "seed", NULL);
	if (mkdirat(dir, "seed", 0755) < 0 || mkdirat(dir, "seed/data", 0755) < 0 ||
	    fchownat(dir, "seed/data", h->owner, h->owner_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(err, "make a volume");
	fd = openat(dir, "image.new", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)image_bytes(size)) < 0)
		return err_errno(err, "make a volume");
	if (run(argv, 0, err) < 0)
		return -1;
	tree_remove(dir, "seed", NULL);
	if (fsync(fd) < 0 || renameat(dir, "image.new", dir, "image") < 0)
		return err_errno(err, "make a volume");
	return 0;
}

static int make(const struct host *h, int dir, uint64_t size, struct err *err)
{
	if (loops_work(h))
		return make_image(h, dir, size, err);
	if (mkdirat(dir, "data", 0755) < 0 ||
	    (h->root && fchownat(dir, "data", h->owner, h->owner_gid, AT_SYMLINK_NOFOLLOW) < 0))
		return err_errno(err, "make a volume");
	return 0;
}

uint64_t ln_volume_size(int dir)
{
	AUTO(auto_fd) int fd = tree_open(dir, "size", O_RDONLY);
	char text[32] = "";

	return fd >= 0 && read(fd, text, sizeof text - 1) > 0 ? strtoull(text, NULL, 10) : 0;
}

static int write_size(int dir, uint64_t size, struct err *err)
{
	AUTO(auto_fd)
	int fd = openat(dir, "size.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			0600);

	if (fd < 0 || dprintf(fd, "%llu\n", (unsigned long long)size) < 0 || fsync(fd) < 0 ||
	    renameat(dir, "size.new", dir, "size") < 0)
		return err_errno(err, "note a volume's size");
	return 0;
}

static int stretch(int image, uint64_t bytes, struct err *err)
{
	struct stat st;

	if (fstat(image, &st) < 0 ||
	    ((uint64_t)st.st_size < bytes && ftruncate(image, (off_t)bytes) < 0))
		return err_errno(err, "let a volume grow");
	return 0;
}

/* Dynos go on using it meanwhile. */
static int grow_online(const struct mounted *m, uint64_t bytes, struct err *err)
{
	uint64_t blocks = bytes / BLOCK;

	if (stretch(m->image, bytes, err) < 0)
		return -1;
	if (ioctl(m->loop, LOOP_SET_CAPACITY, 0) == 0 && ioctl(m->data, RESIZE_FS, &blocks) == 0)
		return 0;
	/* containers often have root without CAP_SYS_RESOURCE */
	if (errno == EPERM)
		return err_set(err, ERR_CONFLICT,
			       "On this host a volume can grow only while no dyno uses it: detach "
			       "it or scale the app to 0, and try again.");
	return err_errno(err, "let a volume grow");
}

/* Nobody uses it: its lock is ours and no loop device has it. */
static int grow_offline(int dir, int image, uint64_t bytes, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("/proc/%d/fd/%d/image", getpid(), dir);
	const char *const check[] = {"/usr/sbin/e2fsck", "-f", "-p", path, NULL};
	const char *const resize[] = {"/usr/sbin/resize2fs", path, NULL};

	return stretch(image, bytes, err) < 0 || run(check, 1, err) < 0 ? -1 : run(resize, 0, err);
}

/* Cut short, it is done again: each step may have been done. */
static int grow(struct host *h, const char *id, int dir, uint64_t size, struct err *err)
{
	AUTO(auto_fd) int image = tree_open(dir, "image", O_RDWR);
	AUTO(auto_fd) int loop = -1;
	AUTO(ln_volume_leave) struct mounted m = MOUNTED_NOT;
	struct stat st;
	int n;

	if (image < 0)
		return errno == ENOENT ? 0 : err_errno(err, "open a volume");
	if (flock(dir, LOCK_EX) < 0 || fstat(image, &st) < 0)
		return err_errno(err, "lock a volume");
	loop = find_loop(&st, &n);
	if (loop < 0) {
		int rc = grow_offline(dir, image, image_bytes(size), err);

		flock(dir, LOCK_UN);
		return rc;
	}
	flock(dir, LOCK_UN);
	return ln_volume_enter(h, id, &m, err) < 0 ? -1 : grow_online(&m, image_bytes(size), err);
}

static bool exists(int dir)
{
	struct stat st;

	return fstatat(dir, "image", &st, AT_SYMLINK_NOFOLLOW) == 0 ||
	       fstatat(dir, "data", &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void measure(const struct mounted *m, struct volume_info *out)
{
	struct statvfs v;

	snprintf(out->quota, sizeof out->quota, "%s", m->image >= 0 ? "image" : "none");
	if (m->image >= 0 && fstatvfs(m->data, &v) == 0)
		out->used = (uint64_t)(v.f_blocks - v.f_bfree) * v.f_frsize;
}

int ln_volume(struct host *h, const char *id, uint64_t size, struct volume_info *out,
	      struct err *err)
{
	AUTO(auto_fd) int dir = open_one(h, id, size > 0, err);
	AUTO(ln_volume_leave) struct mounted m = MOUNTED_NOT;
	uint64_t now;

	*out = (struct volume_info){0};
	if (dir < 0)
		return -1;
	now = ln_volume_size(dir);
	if (size && size < now)
		return err_set(err, ERR_INVALID_PARAMS, "A volume cannot become smaller.");
	/* a size that is not noted: made, but not to the end */
	if (size && !exists(dir) && make(h, dir, size, err) < 0)
		return -1;
	if (size > now &&
	    ((now && grow(h, id, dir, size, err) < 0) || write_size(dir, size, err) < 0))
		return -1;
	if (ln_volume_enter(h, id, &m, err) < 0)
		return -1;
	out->size = size > now ? size : now;
	measure(&m, out);
	return 0;
}

int ln_volume_remove(struct host *h, const char *id, struct err *err)
{
	struct err why = {0};
	AUTO(auto_fd) int all = open_volumes(h, false, &why);

	if (!name_is_uuid(id))
		return err_set(err, ERR_BAD_REQUEST, "a volume's id must be a uuid");
	if (all >= 0)
		return tree_remove(all, id, err);
	if (why.code == ERR_NOT_FOUND)
		return 0;
	*err = why;
	return -1;
}

int ln_volume_tree(struct host *h, const char *id, bool ro, unsigned uid, unsigned gid,
		   struct err *err)
{
	AUTO(ln_volume_leave) struct mounted m = MOUNTED_NOT;

	if (ln_volume_enter(h, id, &m, err) < 0)
		return -1;
	/* the slow way: another app may have had it */
	if (!h->idmap && tree_own(m.data, (uid_t)-1, uid, gid, err) < 0)
		return -1;
	return ln_idmap_tree(h, m.data, ro, h->idmap ? uid : 0, err);
}

/* Only one that is in use can be frozen. */
static void thaw_one(struct host *h, int all, const char *id)
{
	AUTO(ln_volume_leave) struct mounted m = MOUNTED_NOT;
	AUTO(auto_str) char *path = xasprintf("%s/image", id);
	AUTO(auto_fd) int image = tree_open(all, path, O_RDONLY);
	AUTO(auto_fd) int loop = -1;
	struct err none = {0};
	struct stat st;
	int n;

	if (image >= 0 && fstat(image, &st) == 0)
		loop = find_loop(&st, &n);
	if (loop >= 0 && ln_volume_enter(h, id, &m, &none) == 0 && ioctl(m.data, FITHAW, 0) == 0)
		xlog(XLOG_WARN, "launcher", "msg=\"a volume was left frozen\" volume=%s", id);
}

void ln_volumes_thaw(struct host *h)
{
	struct err none = {0};
	int fd = open_volumes(h, false, &none);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	while (d && (e = readdir(d)))
		if (name_is_uuid(e->d_name))
			thaw_one(h, fd, e->d_name);
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}
