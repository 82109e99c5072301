/* Walks of whole trees: remove, copy, measure. */
#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"
#include "daemon/core/fsx_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static void closedir_p(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* fd stays the caller's. */
static DIR *list_dir(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);

	if (!d && copy >= 0)
		close(copy);
	return d;
}

/* Next entry but . and ..; NULL at the end (errno 0) or on error. */
static struct dirent *next_entry(DIR *d)
{
	struct dirent *e;

	do {
		errno = 0;
		e = readdir(d);
	} while (e && e->d_name[0] == '.' &&
		 (!e->d_name[1] || (e->d_name[1] == '.' && !e->d_name[2])));
	return e;
}

/* Splits into an open parent folder and the last name. */
static int open_parent(const char *path, char **name)
{
	AUTO(auto_str) char *a = xstrdup(path), *b = xstrdup(path);

	*name = xstrdup(basename(a));
	return open(dirname(b), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* --- remove --- */

struct rm {
	int root; /* the tree being removed: what lies too deep is moved up to it */
	struct err *err;
};

static int rm_entry(struct rm *r, int dir, const char *name, int depth);

/* One pass over a folder; *seen = something was there. */
static int rm_pass(struct rm *r, int fd, int depth, bool *seen)
{
	AUTO(closedir) DIR *d = list_dir(fd);
	struct dirent *e;

	*seen = false;
	if (!d)
		return err_errno(r->err, "cannot list a folder");
	while ((e = next_entry(d)) != NULL) {
		*seen = true;
		if (rm_entry(r, fd, e->d_name, depth) < 0)
			return -1;
	}
	return errno ? err_errno(r->err, "cannot list a folder") : 0;
}

/* readdir may skip entries while others go or come: pass until nothing is left. */
static int rm_contents(struct rm *r, int fd, int depth)
{
	bool seen = true;

	while (seen)
		if (rm_pass(r, fd, depth, &seen) < 0)
			return -1;
	return 0;
}

static int rm_dir(struct rm *r, int dir, const char *name, int depth)
{
	/* NO_XDEV: a mount that was left inside, a bind mount too, is not ours to empty. */
	AUTO(auto_fd) int fd = fsx_open_dir(dir, name, true, RESOLVE_NO_XDEV);

	if (fd < 0)
		return err_errno(r->err, "cannot remove %s", name);
	if (depth >= FSX_DEPTH) {
		char up[24];

		random_hex(up, 20);
		if (renameat2(dir, name, r->root, up, RENAME_NOREPLACE) < 0)
			return err_errno(r->err, "cannot remove %s", name);
		return 0;
	}
	if (rm_contents(r, fd, depth + 1) < 0)
		return -1;
	if (unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_errno(r->err, "cannot remove %s", name);
	return 0;
}

static int rm_entry(struct rm *r, int dir, const char *name, int depth)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_errno(r->err, "cannot remove %s", name);
	return rm_dir(r, dir, name, depth);
}

int fs_rmtree(const char *path, struct err *err)
{
	AUTO(auto_str) char *name = NULL;
	AUTO(auto_fd) int parent = open_parent(path, &name);
	AUTO(auto_fd) int root = -1;
	struct rm r = {.err = err};

	if (parent < 0)
		return errno == ENOENT ? 0 : err_errno(err, "cannot remove %s", path);
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_errno(err, "cannot remove %s", path);
	root = fsx_open_dir(parent, name, true, RESOLVE_NO_XDEV);
	if (root < 0)
		return errno == ENOENT ? 0 : err_errno(err, "cannot remove %s", path);
	r.root = root;
	if (rm_contents(&r, root, 1) < 0)
		return err_wrap(err, "%s", path);
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_errno(err, "cannot remove %s", path);
	return 0;
}

/* --- files with several names: seen once --- */

struct link {
	dev_t dev;
	ino_t ino;
	char *path; /* owned; first name in the copy */
	struct link *next;
};

struct links {
	struct link *slot[1024];
};

static struct link **link_find(struct links *l, const struct stat *st)
{
	struct link **p = &l->slot[(st->st_ino ^ st->st_ino >> 10 ^ st->st_dev) % 1024];

	while (*p && ((*p)->dev != st->st_dev || (*p)->ino != st->st_ino))
		p = &(*p)->next;
	return p;
}

static void link_add(struct links *l, const struct stat *st, const char *path)
{
	struct link **p = link_find(l, st);

	*p = xcalloc(1, sizeof **p);
	**p = (struct link){.dev = st->st_dev, .ino = st->st_ino, .path = xstrdup(path)};
}

static void links_clear(struct links *l)
{
	for (size_t i = 0; i < ARRAY_LEN(l->slot); i++)
		while (l->slot[i]) {
			struct link *n = l->slot[i]->next;

			free(l->slot[i]->path);
			free(l->slot[i]);
			l->slot[i] = n;
		}
}

/* --- copy --- */

struct copy {
	int dst_root;
	uint64_t max, bytes;
	struct buf rel; /* path below the root of what is being copied */
	struct links links;
	struct err *err;
};

static int copy_fail(struct copy *c, const char *what)
{
	return err_errno(c->err, "cannot %s %s", what, buf_str(&c->rel));
}

static int copy_count(struct copy *c, uint64_t n)
{
	c->bytes += n;
	if (c->max && c->bytes > c->max)
		return err_set(c->err, ERR_SLUG_TOO_LARGE,
			       "the tree is larger than %llu bytes at %s",
			       (unsigned long long)c->max, buf_str(&c->rel));
	return 0;
}

static int copy_chunk(int in, int out)
{
	char tmp[65536];
	ssize_t n = read(in, tmp, sizeof tmp), done = 0;

	while (n > 0 && done < n) {
		ssize_t w = write(out, tmp + done, (size_t)(n - done));

		if (w < 0 && errno != EINTR)
			return -1;
		done += w > 0 ? w : 0;
	}
	return n < 0 ? errno == EINTR ? 1 : -1 : n > 0;
}

/* Shares the blocks where the file system can, else lets the kernel copy, else copies. The size was
 * counted before; a file that grows meanwhile is cut there. */
static int copy_bytes(int in, int out, uint64_t size)
{
	ssize_t n = 1;
	int more = 1;

	if (size == 0 || ioctl(out, FICLONE, in) == 0)
		return ftruncate(out, (off_t)size);
	for (uint64_t done = 0; done < size && n > 0; done += (uint64_t)n) {
		n = copy_file_range(in, NULL, out, NULL, (size_t)(size - done), 0);
		if (n < 0 && done == 0 &&
		    (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
			while (more > 0)
				more = copy_chunk(in, out);
			return more < 0 ? -1 : ftruncate(out, (off_t)size);
		}
	}
	return n < 0 ? -1 : 0;
}

/* A file of ours without u+r is read all the same, its mode put back. */
static int open_unreadable(int dir, const char *name, mode_t mode)
{
	AUTO(auto_fd) int at = fsx_open_beneath(dir, name, O_PATH | O_NOFOLLOW, 0);
	char self[40];
	int fd;

	if (at < 0 || fsx_fchmod_path(at, mode | 0400) < 0)
		return -1;
	snprintf(self, sizeof self, "/proc/self/fd/%d", at);
	fd = open(self, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	fsx_fchmod_path(at, mode);
	return fd;
}

static int copy_file(struct copy *c, int from, int to, const char *name)
{
	AUTO(auto_fd) int in = fsx_open_beneath(from, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	AUTO(auto_fd) int out = -1;
	struct link *known;
	struct stat st;

	if (in < 0 && errno == EACCES && fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode))
		in = open_unreadable(from, name, st.st_mode & 07777);
	if (in < 0 || fstat(in, &st) < 0)
		return copy_fail(c, "read");
	if (!S_ISREG(st.st_mode))
		return 0; /* replaced by something else under our hands */
	known = st.st_nlink > 1 ? *link_find(&c->links, &st) : NULL;
	if (known)
		return linkat(c->dst_root, known->path, to, name, 0) < 0 ? copy_fail(c, "link") : 0;
	if (copy_count(c, (uint64_t)st.st_size) < 0)
		return -1;
	out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (out < 0 || copy_bytes(in, out, (uint64_t)st.st_size) < 0)
		return copy_fail(c, "copy");
	if (fchmod(out, st.st_mode & 01777) < 0 ||
	    futimens(out, (struct timespec[]){st.st_atim, st.st_mtim}) < 0)
		return copy_fail(c, "copy");
	if (st.st_nlink > 1)
		link_add(&c->links, &st, buf_str(&c->rel));
	return 0;
}

static int copy_symlink(struct copy *c, int from, int to, const char *name, const struct stat *st)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from, name, target, sizeof target - 1);

	if (n < 0)
		return copy_fail(c, "read");
	target[n] = 0;
	if (copy_count(c, (uint64_t)n) < 0)
		return -1;
	if (symlinkat(target, to, name) < 0)
		return copy_fail(c, "copy");
	utimensat(to, name, (struct timespec[]){st->st_atim, st->st_mtim}, AT_SYMLINK_NOFOLLOW);
	return 0;
}

static int copy_dir(struct copy *c, int from, int to, int depth);

static int copy_subdir(struct copy *c, int from, int to, const char *name, const struct stat *st,
		       int depth)
{
	AUTO(auto_fd) int in = -1;
	AUTO(auto_fd) int out = -1;

	if (depth >= FSX_DEPTH)
		return err_set(c->err, ERR_SLUG_TOO_LARGE,
			       "folders are nested deeper than %d at %.120s", FSX_DEPTH,
			       buf_str(&c->rel));
	in = fsx_open_dir(from, name, false, 0);
	if (in < 0)
		return copy_fail(c, "read");
	/* An entry costs a block even when it holds nothing: millions of them count, too. */
	if (copy_count(c, 4096) < 0)
		return -1;
	if (mkdirat(to, name, 0700) < 0)
		return copy_fail(c, "make");
	out = fsx_open_dir(to, name, true, 0);
	if (out < 0)
		return copy_fail(c, "make");
	if (copy_dir(c, in, out, depth + 1) < 0)
		return -1;
	if (fchmod(out, st->st_mode & 01777) < 0 ||
	    futimens(out, (struct timespec[]){st->st_atim, st->st_mtim}) < 0)
		return copy_fail(c, "copy");
	return 0;
}

static int copy_entry(struct copy *c, int from, int to, const char *name, int depth)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : copy_fail(c, "read");
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return copy_file(c, from, to, name);
	case S_IFLNK:
		return copy_symlink(c, from, to, name, &st);
	case S_IFDIR:
		return copy_subdir(c, from, to, name, &st, depth);
	default:
		return 0;
	}
}

static int copy_dir(struct copy *c, int from, int to, int depth)
{
	AUTO(closedir) DIR *d = list_dir(from);
	size_t base = c->rel.len;
	struct dirent *e;

	if (!d)
		return copy_fail(c, "list");
	while ((e = next_entry(d)) != NULL) {
		buf_addf(&c->rel, "%s%s", base ? "/" : "", e->d_name);
		if (copy_entry(c, from, to, e->d_name, depth) < 0)
			return -1;
		c->rel.len = base;
		c->rel.data[base] = 0;
	}
	return errno ? copy_fail(c, "list") : 0;
}

int fs_copytree(const char *src, const char *dst, uint64_t max_bytes, struct err *err)
{
	AUTO(auto_fd) int from = open(src, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	AUTO(auto_fd) int to = -1;
	struct copy c = {.max = max_bytes, .err = err};
	struct stat st;
	int rc;

	if (from < 0 || fstat(from, &st) < 0)
		return err_errno(err, "cannot read %s", src);
	if (mkdir(dst, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "cannot make %s", dst);
	to = open(dst, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (to < 0)
		return err_errno(err, "cannot make %s", dst);
	c.dst_root = to;
	rc = copy_dir(&c, from, to, 1);
	links_clear(&c.links);
	buf_clear(&c.rel);
	if (rc == 0 && (fchmod(to, st.st_mode & 01777) < 0 ||
			futimens(to, (struct timespec[]){st.st_atim, st.st_mtim}) < 0))
		return err_errno(err, "cannot copy to %s", dst);
	return rc;
}

/* --- measure --- */

struct usage {
	uint64_t bytes, files;
	struct links links;
	struct err *err;
};

static int usage_dir(struct usage *u, int fd, int depth);

static int usage_entry(struct usage *u, int dir, const char *name, int depth)
{
	AUTO(auto_fd) int fd = -1;
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(u->err, "%s", name);
	u->files++;
	if (!S_ISDIR(st.st_mode) && st.st_nlink > 1) {
		if (*link_find(&u->links, &st))
			return 0;
		link_add(&u->links, &st, NULL);
	}
	u->bytes += (uint64_t)st.st_blocks * 512;
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (depth >= FSX_DEPTH)
		return err_set(u->err, ERR_TOO_LARGE, "folders are nested deeper than %d",
			       FSX_DEPTH);
	fd = fsx_open_dir(dir, name, false, 0);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(u->err, "%s", name);
	return usage_dir(u, fd, depth + 1);
}

static int usage_dir(struct usage *u, int fd, int depth)
{
	AUTO(closedir) DIR *d = list_dir(fd);
	struct dirent *e;

	if (!d)
		return err_errno(u->err, "cannot list a folder");
	while ((e = next_entry(d)) != NULL)
		if (usage_entry(u, fd, e->d_name, depth) < 0)
			return -1;
	return errno ? err_errno(u->err, "cannot list a folder") : 0;
}

int fs_usage(const char *path, uint64_t *bytes, uint64_t *files, struct err *err)
{
	AUTO(auto_fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct usage u = {.err = err};
	int rc;

	if (fd < 0)
		return err_errno(err, "cannot read %s", path);
	rc = usage_dir(&u, fd, 1);
	links_clear(&u.links);
	if (rc < 0)
		return err_wrap(err, "%s", path);
	*bytes = u.bytes;
	if (files)
		*files = u.files;
	return 0;
}
