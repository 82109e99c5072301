#include "launcher/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { MAX_DEPTH = 2000 }; /* a descriptor a level: users cannot make us run out of them */

int tree_open(int dirfd, const char *rel, int flags)
{
	struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
					  RESOLVE_NO_MAGICLINKS};

	return (int)syscall(SYS_openat2, dirfd, *rel ? rel : ".", &how, sizeof how);
}

static bool dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int remove_below(int fd, int depth, struct err *err);

static int remove_entry(int dirfd, const char *name, int depth, struct err *err)
{
	int fd;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_errno(err, "delete %s", name);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == EACCES && fchmodat(dirfd, name, 0700, 0) == 0)
		fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "open %s", name);
	if (remove_below(fd, depth + 1, err) < 0)
		return -1;
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_errno(err, "delete folder %s", name);
	return 0;
}

/* Takes fd. */
static int remove_below(int fd, int depth, struct err *err)
{
	DIR *d = depth > MAX_DEPTH ? NULL : fdopendir(fd);
	int r = 0;

	if (!d) {
		close(fd);
		return err_set(err, ERR_IO, "a tree is deeper than %d folders", MAX_DEPTH);
	}
	fchmod(fd, 0700); /* of a non-root owner: may be read-only */
	for (const struct dirent *e = readdir(d); e && r == 0; e = readdir(d))
		if (!dots(e->d_name))
			r = remove_entry(fd, e->d_name, depth, err);
	closedir(d);
	return r;
}

int tree_remove(int dirfd, const char *name, struct err *err)
{
	return remove_entry(dirfd, name, 0, err);
}

static int own_entry(int dirfd, const char *name, uid_t from, uid_t uid, gid_t gid, struct err *err)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "look at %s", name);
	if (S_ISDIR(st.st_mode)) {
		AUTO(auto_fd)
		int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		return fd < 0 ? err_errno(err, "open %s", name) : tree_own(fd, from, uid, gid, err);
	}
	if ((from == (uid_t)-1 || st.st_uid == from) &&
	    fchownat(dirfd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(err, "chown %s", name);
	return 0;
}

int tree_own(int fd, uid_t from, uid_t uid, gid_t gid, struct err *err)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	struct stat st;

	if (!d) {
		if (copy >= 0)
			close(copy);
		return err_errno(err, "read a folder");
	}
	for (const struct dirent *e = readdir(d); e && r == 0; e = readdir(d))
		if (!dots(e->d_name))
			r = own_entry(fd, e->d_name, from, uid, gid, err);
	closedir(d);
	if (r == 0 && fstat(fd, &st) == 0 && (from == (uid_t)-1 || st.st_uid == from) &&
	    fchown(fd, uid, gid) < 0)
		return err_errno(err, "chown a folder");
	return r;
}
