#include "daemon/slug/slug.h"
#include "proto/buf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct walk {
	int (*visit)(const struct slug_entry *e, void *arg, struct err *err);
	void *arg;
	struct buf rel; /* path of the folder being read, "" = root */
	int depth;
};

static void dir_close(DIR *d)
{
	closedir(d);
}
DEFINE_AUTO(DIR *, dir_close)

static int open_dir(int parent, const char *name, mode_t mode)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(parent, name, flags);

	/* the parent was just seen to hold a folder of this name, and nothing runs in the tree */
	if (fd < 0 && errno == EACCES && fchmodat(parent, name, (mode | 0700) & 0777, 0) == 0)
		fd = openat(parent, name, flags);
	return fd;
}

static int walk_dir(struct walk *w, int fd, struct err *err);

static int walk_entry(struct walk *w, int dirfd, const char *name, struct err *err)
{
	struct stat st;
	size_t len = w->rel.len;
	struct slug_entry e = {.dirfd = dirfd, .name = name, .st = &st};
	int rc;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "%s", name);
	buf_addf(&w->rel, "%s%s", len ? "/" : "", name);
	e.rel = buf_str(&w->rel);
	rc = w->visit(&e, w->arg, err);
	if (rc == 0 && S_ISDIR(st.st_mode)) {
		int fd = open_dir(dirfd, name, st.st_mode);

		rc = fd < 0 ? err_errno(err, "%s", e.rel) : walk_dir(w, fd, err);
	}
	w->rel.len = len;
	w->rel.data[len] = 0;
	return rc < 0 ? -1 : 0;
}

/* Takes over fd. */
static int walk_dir(struct walk *w, int fd, struct err *err)
{
	AUTO(dir_close) DIR *d = fdopendir(fd);
	const struct dirent *de;

	if (!d) {
		close(fd);
		return err_errno(err, "%s", buf_str(&w->rel));
	}
	if (w->depth >= SLUG_TREE_DEPTH)
		return err_set(err, ERR_TOO_LARGE, "folders are nested deeper than %d levels",
			       SLUG_TREE_DEPTH);
	w->depth++;
	while (errno = 0, (de = readdir(d))) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		if (walk_entry(w, fd, de->d_name, err) < 0)
			return -1;
	}
	w->depth--;
	return errno ? err_errno(err, "%s", buf_str(&w->rel)) : 0;
}

int slug_tree_walk(const char *root,
		   int (*visit)(const struct slug_entry *e, void *arg, struct err *err), void *arg,
		   struct err *err)
{
	struct walk w = {.visit = visit, .arg = arg};
	int fd = open_dir(AT_FDCWD, root, 0755);
	int rc = fd < 0 ? err_errno(err, "%s", root) : walk_dir(&w, fd, err);

	buf_clear(&w.rel);
	return rc;
}
