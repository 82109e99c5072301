/* An archive becomes a state directory. All is unpacked into STATE/restore.tmp; once the seal has
 * been found good its folders move up, the database last, and the empty rest goes. A paasd does not
 * start while there is a restore.tmp. */
#include "daemon/backup/backup_int.h"
#include "daemon/core/fsx.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#define TMP "restore.tmp"

struct restore {
	int state, top; /* STATE, STATE/restore.tmp */
	uid_t owner;
	gid_t group;
	bool root, has_key;
	struct buf moved; /* names in STATE, one after another with NULs */
	/* of the member under way */
	int file;
	/* the folder of the last member: most have the same */
	char *dir_path; /* owned */
	int dir;
	struct buf closed; /* folders that their owner may not write to, one after another with
			    * NULs: they get their modes when all is in them */
};

static int open_beneath(int top, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, top, path, &how, sizeof how);
}

/* Of a volume only what dynos see is not root's. */
static bool is_roots(const char *path)
{
	const char *id = strncmp(path, "volumes", 7) == 0 ? path + 7 : NULL;
	const char *in = id && *id == '/' ? strchr(id + 1, '/') : NULL;

	return id && (*id == 0 || *id == '/') && (!in || strncmp(in, "/data", 5) != 0);
}

static int own(const struct restore *r, const char *path, int fd, struct err *err)
{
	bool roots = is_roots(path);

	if (!r->root)
		return roots ? err_set(err, ERR_FORBIDDEN,
				       "There are volumes in this backup, which are root's: "
				       "restore it as root.")
			     : 0;
	return fchown(fd, roots ? 0 : r->owner, roots ? 0 : r->group) < 0
		       ? err_errno(err, "give %s to its owner", path)
		       : 0;
}

/* The folder that holds it, and its last name. */
static int parent_of(struct restore *r, const char *path, const char **name, struct err *err)
{
	const char *slash = strrchr(path, '/');
	AUTO(auto_str) char *dir = xstrndup(path, slash ? (size_t)(slash - path) : 0);

	*name = slash ? slash + 1 : path;
	if (!*dir)
		return r->top;
	if (r->dir_path && strcmp(dir, r->dir_path) == 0)
		return r->dir;
	if (r->dir >= 0)
		close(r->dir);
	free(STEAL(r->dir_path));
	r->dir = open_beneath(r->top, dir, O_RDONLY | O_DIRECTORY);
	if (r->dir < 0)
		return err_set(err, ERR_CORRUPT,
			       "This is not a whole backup: %.200s has no folder.", path);
	r->dir_path = STEAL(dir);
	return r->dir;
}

static int make_dir(struct restore *r, const struct backup_member *m, int parent, const char *name,
		    struct err *err)
{
	AUTO(auto_fd) int fd = -1;

	if (mkdirat(parent, name, 0700) < 0)
		return err_errno(err, "create %s", m->path);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || own(r, m->path, fd, err) < 0)
		return fd < 0 ? err_errno(err, "open %s", m->path) : -1;
	if ((m->mode & 0700) != 0700) {
		buf_addf(&r->closed, "%04o %s", (unsigned)m->mode, m->path);
		buf_addc(&r->closed, 0);
		return 0;
	}
	return fchmod(fd, m->mode) < 0 ? err_errno(err, "change %s", m->path) : 0;
}

static int make_file(struct restore *r, const struct backup_member *m, int parent, const char *name,
		     struct err *err)
{
	r->file = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (r->file < 0 || ftruncate(r->file, (off_t)m->size) < 0)
		return err_errno(err, "create %s", m->path);
	return own(r, m->path, r->file, err);
}

static int make_symlink(struct restore *r, const struct backup_member *m, int parent,
			const char *name, struct err *err)
{
	const struct timespec t[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = (time_t)m->mtime}};

	if (symlinkat(m->link, parent, name) < 0 ||
	    utimensat(parent, name, t, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (r->root && fchownat(parent, name, r->owner, r->group, AT_SYMLINK_NOFOLLOW) < 0))
		return err_errno(err, "create %s", m->path);
	return 0;
}

static int make_name(struct restore *r, const struct backup_member *m, int parent, const char *name,
		     struct err *err)
{
	AUTO(auto_fd) int fd = open_beneath(r->top, m->link, O_PATH | O_NOFOLLOW);
	char from[40];
	struct stat st;

	snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, ERR_CORRUPT,
			       "This is not a whole backup: %.200s leads to no file.", m->path);
	return linkat(AT_FDCWD, from, parent, name, AT_SYMLINK_FOLLOW) < 0
		       ? err_errno(err, "create %s", m->path)
		       : 0;
}

/* --- the sink --- */

static int on_begin(void *arg, const struct backup_member *m, struct err *err)
{
	struct restore *r = arg;
	const char *name;
	int parent = parent_of(r, m->path, &name, err);

	if (parent < 0)
		return -1;
	switch (m->type) {
	case 'd':
		return make_dir(r, m, parent, name, err);
	case 'l':
		return make_symlink(r, m, parent, name, err);
	case 'h':
		return make_name(r, m, parent, name, err);
	default:
		return make_file(r, m, parent, name, err);
	}
}

static int on_data(void *arg, uint64_t at, const void *p, size_t n, struct err *err)
{
	const struct restore *r = arg;

	while (n) {
		ssize_t w = pwrite(r->file, p, n, (off_t)at);

		if (w < 0 && errno != EINTR)
			return errno == ENOSPC || errno == EDQUOT
				       ? err_set(err, ERR_DISK_FULL,
						 "the disk is full; nothing was restored")
				       : err_errno(err, "write a file");
		if (w <= 0)
			continue;
		p = (const char *)p + w;
		at += (uint64_t)w;
		n -= (size_t)w;
	}
	return 0;
}

static int on_end(void *arg, const struct backup_member *m, struct err *err)
{
	struct restore *r = arg;
	const struct timespec t[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = (time_t)m->mtime}};
	int fd = r->file, rc;

	if (m->type != 'f')
		return 0;
	r->file = -1;
	rc = fchmod(fd, m->mode) < 0 || futimens(fd, t) < 0 ? -1 : 0;
	if (close(fd) < 0 || rc < 0)
		return err_errno(err, "write %s", m->path);
	return 0;
}

static int close_dirs(const struct restore *r, struct err *err)
{
	for (size_t at = 0; at < r->closed.len; at += strlen(r->closed.data + at) + 1) {
		const char *line = r->closed.data + at;
		AUTO(auto_fd) int fd = open_beneath(r->top, line + 5, O_RDONLY | O_DIRECTORY);

		if (fd < 0 || fchmod(fd, (mode_t)strtoul(line, NULL, 8)) < 0)
			return err_errno(err, "change %s", line + 5);
	}
	return 0;
}

/* --- an empty place --- */

/* Nothing but folders, the lock, and what a file system makes for itself. */
static int is_empty(int dir, bool top, int depth, struct err *err)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;

	while (d && rc == 0 && (e = readdir(d))) {
		AUTO(auto_fd) int sub = -1;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    (top && (strcmp(e->d_name, "paasd.lock") == 0 ||
			     strcmp(e->d_name, "lost+found") == 0)))
			continue;
		sub = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub < 0 || depth > 4)
			rc = err_set(err, ERR_CONFLICT,
				     "The state directory is not empty: there is %s. A backup is "
				     "restored before the first start only; move what is there "
				     "away, if it is not needed.",
				     e->d_name);
		else
			rc = is_empty(sub, false, depth + 1, err);
	}
	if (!d && copy >= 0)
		close(copy);
	if (d)
		closedir(d);
	return d ? rc : err_errno(err, "look at the state directory");
}

int backup_restore_pending(const char *state_dir, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("%s/" TMP, state_dir);

	if (access(path, F_OK) < 0)
		return 0;
	return err_set(err, ERR_CONFLICT,
		       "a restore was cut short: empty %s and restore again, or remove %s",
		       state_dir, path);
}

/* Of a restore that was cut short before anything had moved. */
static int make_room(struct restore *r, const char *state_dir, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("%s/" TMP, state_dir);

	if (fs_rmtree(path, err) < 0 || is_empty(r->state, true, 0, err) < 0)
		return -1;
	if (mkdirat(r->state, TMP, 0700) < 0)
		return err_errno(err, "create %s", path);
	r->top = openat(r->state, TMP, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return r->top < 0 ? err_errno(err, "open %s", path) : 0;
}

/* --- moving up --- */

static int move_up(struct restore *r, const char *name, struct err *err)
{
	/* what was made before the first start: empty, or it would have been refused */
	unlinkat(r->state, name, AT_REMOVEDIR);
	if (renameat(r->top, name, r->state, name) < 0)
		return err_errno(err, "move %s to its place", name);
	buf_add(&r->moved, name, strlen(name) + 1);
	return 0;
}

static void move_back(const struct restore *r)
{
	for (size_t at = 0; at < r->moved.len; at += strlen(r->moved.data + at) + 1)
		renameat(r->state, r->moved.data + at, r->top, r->moved.data + at);
}

static int move_all(struct restore *r, struct err *err)
{
	int copy = openat(r->top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;

	while (d && rc == 0 && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    strcmp(e->d_name, "paasd.db") != 0)
			rc = move_up(r, e->d_name, err);
	if (!d)
		return err_errno(err, "list what was unpacked");
	closedir(d);
	if (rc == 0)
		rc = move_up(r, "paasd.db", err);
	if (rc < 0)
		move_back(r);
	return rc;
}

static int settle(struct restore *r, struct err *err)
{
	if (close_dirs(r, err) < 0)
		return -1;
	if (syncfs(r->top) < 0)
		return err_errno(err, "sync");
	if (move_all(r, err) < 0)
		return -1;
	if (unlinkat(r->state, TMP, AT_REMOVEDIR) < 0 || fsync(r->state) < 0)
		return err_errno(err, "end the restore");
	return 0;
}

/* --- the key --- */

/* A copy of the file, in the place of the one in the archive, if there is one. */
static int put_key(const struct restore *r, const char *file, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	AUTO(auto_fd) int fd = -1;
	int rc;

	if (fs_read(file, 4096, &b, err) < 0)
		return -1;
	unlinkat(r->top, "master.key", 0);
	fd = openat(r->top, "master.key", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	rc = fd >= 0 && write(fd, b.data, b.len) == (ssize_t)b.len
		     ? own(r, "master.key", fd, err)
		     : err_errno(err, "write master.key");
	explicit_bzero(b.data, b.len);
	return rc;
}

static int no_key(struct err *err)
{
	return err_set(err, ERR_NOT_FOUND,
		       "This backup is without the key that its secrets are sealed with: name the "
		       "platform's master.key, --key FILE.");
}

/* That of the archive has to fit to it. */
static int check_key(const struct restore *r, const char *state_dir,
		     const struct backup_report *got, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("%s/" TMP "/master.key", state_dir);
	AUTO(auto_str) char *text = backup_signed_text(got->digest);
	AUTO(master_key_free) struct master_key *key = NULL;
	struct stat st;

	/* loading would make one */
	if (fstatat(r->top, "master.key", &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return no_key(err);
	if (master_key_load(path, &key, err) < 0)
		return -1;
	if (!secret_signed(key, text, got->signature))
		return err_set(err, ERR_FORBIDDEN,
			       "This backup was changed after it was made: its signature is not "
			       "that of its key.");
	return 0;
}

/* Said at once, not after an hour of unpacking. */
static int on_about(void *arg, const json_t *about, struct err *err)
{
	const struct restore *r = arg;

	return r->has_key || json_is_true(json_object_get(about, "with_key")) ? 0 : no_key(err);
}

static int unpack(struct restore *r, int fd, const char *state_dir, const char *key_file,
		  const struct backup_watch *watch, struct backup_report *out, struct err *err)
{
	const struct backup_sink sink = {r, on_about, on_begin, on_data, on_end};
	AUTO(master_key_free) struct master_key *key = NULL;

	r->has_key = key_file != NULL;
	if (key_file && access(key_file, R_OK) < 0)
		return err_errno(err, "%s", key_file);
	if (key_file && master_key_load(key_file, &key, err) < 0)
		return -1;
	if (backup_read(fd, key, &sink, watch, out, err) < 0 ||
	    (key_file && put_key(r, key_file, err) < 0) ||
	    (!key_file && check_key(r, state_dir, out, err) < 0))
		return -1;
	return settle(r, err);
}

int backup_restore(int fd, const char *state_dir, const char *key_file, uid_t owner, gid_t group,
		   const struct backup_watch *watch, struct backup_report *out, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("%s/" TMP, state_dir);
	struct restore r = {.state = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
			    .top = -1,
			    .owner = owner,
			    .group = group,
			    .root = geteuid() == 0,
			    .file = -1,
			    .dir = -1};
	const int *const fds[] = {&r.state, &r.top, &r.file, &r.dir};
	int rc = -1;

	if (r.state < 0)
		return err_errno(err, "open %s", state_dir);
	if (make_room(&r, state_dir, err) == 0) {
		rc = unpack(&r, fd, state_dir, key_file, watch, out, err);
		if (rc < 0)
			fs_rmtree(path, NULL);
	}
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
	free(r.dir_path);
	buf_clear(&r.closed);
	buf_clear(&r.moved);
	return rc;
}
