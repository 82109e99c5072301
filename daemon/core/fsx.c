#include "daemon/core/fsx.h"
#include "daemon/core/codec.h"
#include "daemon/core/fsx_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

int fsx_open_beneath(int dirfd, const char *name, uint64_t flags, uint64_t resolve)
{
	struct open_how how = {.flags = flags | O_CLOEXEC,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
					  RESOLVE_NO_MAGICLINKS | resolve};
	long fd;

	do /* EAGAIN: a rename raced with the walk */
		fd = syscall(SYS_openat2, dirfd, name, &how, sizeof how);
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return (int)fd;
}

int fsx_fchmod_path(int pathfd, mode_t mode)
{
	char self[40];

	/* fchmod refuses O_PATH descriptors; this way no link is followed and no read right needed.
	 */
	snprintf(self, sizeof self, "/proc/self/fd/%d", pathfd);
	return chmod(self, mode);
}

int fsx_open_dir(int parent, const char *name, bool make_writable, uint64_t resolve)
{
	mode_t want = make_writable ? 0700 : 0500;
	AUTO(auto_fd) int at = -1;
	struct stat st;

	at = fsx_open_beneath(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, resolve);
	if (at < 0 || fstat(at, &st) < 0)
		return -1;
	if ((st.st_mode & want) != want && fsx_fchmod_path(at, (st.st_mode & 07777) | want) < 0)
		return -1;
	return openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int fs_mkdirs(const char *path, mode_t mode, struct err *err)
{
	AUTO(auto_str) char *p = xstrdup(path);
	struct stat st;

	for (char *s = p + 1; *p && *s; s++) {
		if (*s != '/')
			continue;
		*s = 0;
		if (mkdir(p, mode) < 0 && errno != EEXIST && access(p, F_OK) < 0)
			return err_errno(err, "cannot make the folder %s", p);
		*s = '/';
	}
	if (mkdir(p, mode) < 0 && errno != EEXIST)
		return err_errno(err, "cannot make the folder %s", p);
	if (stat(p, &st) < 0)
		return err_errno(err, "%s", p);
	if (!S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		return err_errno(err, "%s", p);
	}
	return 0;
}

static int read_all(int fd, const char *name, size_t max, struct buf *out, struct err *err)
{
	size_t start = out->len;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, "cannot read %s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_IO, "%s is not a regular file", name);
	if (st.st_size > 0 && (uint64_t)st.st_size <= max)
		buf_reserve(out, (size_t)st.st_size + 1);
	for (;;) {
		ssize_t n;

		buf_reserve(out, 4096);
		n = read(fd, out->data + out->len, out->cap - out->len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "cannot read %s", name);
		out->len += (size_t)n;
		out->data[out->len] = 0;
		if (out->len - start > max) {
			out->len = start;
			out->data[start] = 0;
			return err_set(err, ERR_TOO_LARGE, "%s is larger than %zu bytes", name,
				       max);
		}
		if (n == 0)
			return 0;
	}
}

int fs_read(const char *path, size_t max, struct buf *out, struct err *err)
{
	/* O_NONBLOCK: a fifo must not hang us before we see what it is. */
	AUTO(auto_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return read_all(fd, path, max, out, err);
}

int fs_read_at(int dirfd, const char *name, size_t max, struct buf *out, struct err *err)
{
	AUTO(auto_fd) int fd = fsx_open_beneath(dirfd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

	return read_all(fd, name, max, out, err);
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -1;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

static int sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	AUTO(auto_str)
	char *dir = !slash	    ? xstrdup(".")
		    : slash == path ? xstrdup("/")
				    : xstrndup(path, (size_t)(slash - path));
	AUTO(auto_fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -1 : fsync(fd);
}

int fs_write_atomic(const char *path, const void *p, size_t n, mode_t mode, struct err *err)
{
	char tail[9];
	AUTO(auto_str) char *tmp = NULL;
	AUTO(auto_fd) int fd = -1;

	random_hex(tail, 8);
	tmp = xasprintf("%s.tmp-%s", path, tail);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, "cannot write %s", path);
	if (write_all(fd, p, n) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0 ||
	    rename(tmp, path) < 0) {
		err_errno(err, "cannot write %s", path);
		unlink(tmp);
		return -1;
	}
	if (sync_parent(path) < 0)
		return err_errno(err, "cannot sync the folder of %s", path);
	return 0;
}

int fs_free_bytes(const char *path, uint64_t *bytes, struct err *err)
{
	struct statvfs v;

	if (statvfs(path, &v) < 0)
		return err_errno(err, "%s", path);
	*bytes = (uint64_t)v.f_bavail * v.f_frsize;
	return 0;
}

int fs_fsync_tree(const char *path, struct err *err)
{
	AUTO(auto_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syncfs(fd) < 0)
		return err_errno(err, "cannot sync %s", path);
	return 0;
}

int fs_lock(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_errno(err, "cannot open the lock %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	if (errno == EWOULDBLOCK)
		err_set(err, ERR_CONFLICT, "%s is locked by another process", path);
	else
		err_errno(err, "cannot lock %s", path);
	close(fd);
	return -1;
}
