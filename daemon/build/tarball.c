#include "daemon/build/build.h"
#include "daemon/build/tarball.h"
#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"
#include "proto/buf.h"
#include "proto/limits.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_PARTS 200

/* libarchive's own writer works on path names; here every folder on the way is opened without
 * following links, so that nothing in the archive can lead out of the root. */
struct unpack {
	int root;
	uint64_t left;
	unsigned entries;
	mono_ms deadline;
	int cancel_fd;
};

static void reader_free(struct archive *a)
{
	archive_read_free(a);
}
DEFINE_AUTO(struct archive *, reader_free)

static int stopped(const struct unpack *u, struct err *err)
{
	struct pollfd p = {.fd = u->cancel_fd, .events = POLLIN};

	if (u->cancel_fd >= 0 && poll(&p, 1, 0) > 0)
		return err_set(err, ERR_CANCELED, "canceled");
	if (u->deadline && clock_mono_ms() >= u->deadline)
		return err_set(err, ERR_TIMEOUT, "out of time while unpacking");
	return 0;
}

static int bad(const char *path, const char *what, struct err *err)
{
	return err_set(err, ERR_BUILD_FAILED, "the archive's entry \"%.100s\" %s", path, what);
}

/* Splits path into its parts, "." left out; NULL when one is ".." or it is absolute. parts point
 * into the copy. */
static int split(char *copy, char **parts, int max)
{
	int n = 0;
	char *save = NULL;

	if (*copy == '/')
		return -1;
	for (char *p = strtok_r(copy, "/", &save); p; p = strtok_r(NULL, "/", &save)) {
		if (!strcmp(p, "."))
			continue;
		if (!strcmp(p, "..") || n == max)
			return -1;
		parts[n++] = p;
	}
	return n;
}

/* Opens the folder that holds parts[n - 1], making what is missing. */
static int open_parent(const struct unpack *u, char **parts, int n)
{
	int fd = fcntl(u->root, F_DUPFD_CLOEXEC, 3);

	for (int i = 0; fd >= 0 && i < n - 1; i++) {
		int next;

		if (mkdirat(fd, parts[i], 0755) < 0 && errno != EEXIST) {
			close(fd);
			return -1;
		}
		next = openat(fd, parts[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	return fd;
}

static int write_file(struct unpack *u, struct archive *a, int dir, const char *name,
		      const char *path, mode_t mode, struct err *err)
{
	AUTO(auto_fd)
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(err, "unpack %s", path);
	for (;;) {
		const void *p;
		size_t n;
		la_int64_t at;
		int rc = archive_read_data_block(a, &p, &n, &at);

		if (rc == ARCHIVE_EOF)
			break;
		if (rc != ARCHIVE_OK)
			return err_set(err, ERR_BUILD_FAILED, "the archive is broken: %s",
				       archive_error_string(a));
		if (n > u->left)
			return err_set(err, ERR_TOO_LARGE, "the archive unpacks to too much");
		u->left -= n;
		if (stopped(u, err) < 0)
			return -1;
		for (size_t done = 0; done < n;) {
			ssize_t w = pwrite(fd, (const char *)p + done, n - done, at + (off_t)done);

			if (w < 0 && errno == EINTR)
				continue;
			if (w < 0)
				return err_errno(err, "unpack %s", path);
			done += (size_t)w;
		}
	}
	return fchmod(fd, (mode & 0777) | 0600) < 0 ? err_errno(err, "unpack %s", path) : 0;
}

static int make_hardlink(const struct unpack *u, const char *target, int dir, const char *name,
			 const char *path, struct err *err)
{
	AUTO(auto_str) char *copy = xstrdup(target);
	AUTO(auto_fd) int from = -1;
	char *parts[MAX_PARTS];
	int n = split(copy, parts, MAX_PARTS);

	if (n <= 0)
		return bad(path, "links to a place outside", err);
	from = open_parent(u, parts, n);
	if (from < 0 || linkat(from, parts[n - 1], dir, name, 0) < 0)
		return bad(path, "links to what is not there", err);
	return 0;
}

static int make_dir(int dir, const char *name, const char *path, mode_t mode, struct err *err)
{
	if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
		return err_errno(err, "unpack %s", path);
	/* what was there may be a link: then chmod must not reach what it points to */
	{
		AUTO(auto_fd)
		int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0)
			return bad(path, "is a folder where a file was", err);
		return fchmod(fd, (mode & 0777) | 0700) < 0 ? err_errno(err, "unpack %s", path) : 0;
	}
}

static int entry(struct unpack *u, struct archive *a, struct archive_entry *e, struct err *err)
{
	const char *path = archive_entry_pathname(e), *link = archive_entry_hardlink(e);
	AUTO(auto_str) char *copy = xstrdup(path);
	AUTO(auto_fd) int dir = -1;
	char *parts[MAX_PARTS];
	mode_t type = archive_entry_filetype(e), mode = archive_entry_perm(e);
	int n = path ? split(copy, parts, MAX_PARTS) : -1;

	if (n < 0)
		return bad(path ? path : "?", "has no acceptable name", err);
	if (n == 0)
		return 0;
	if (++u->entries > LIM_TAR_ENTRIES)
		return err_set(err, ERR_TOO_LARGE, "the archive has more than %d entries",
			       LIM_TAR_ENTRIES);
	if (!link && type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK)
		return 0; /* devices and the like */
	if (stopped(u, err) < 0)
		return -1;
	dir = open_parent(u, parts, n);
	if (dir < 0)
		return bad(path, "lies behind a link or a file", err);
	if (!link && type == AE_IFDIR)
		return make_dir(dir, parts[n - 1], path, mode, err);
	/* the last of several entries of one name counts, as in tar */
	if (unlinkat(dir, parts[n - 1], 0) < 0 && errno != ENOENT)
		return bad(path, "is a file where a folder was", err);
	if (link)
		return make_hardlink(u, link, dir, parts[n - 1], path, err);
	if (type == AE_IFREG)
		return write_file(u, a, dir, parts[n - 1], path, mode, err);
	if (symlinkat(archive_entry_symlink(e) ? archive_entry_symlink(e) : "", dir, parts[n - 1]) <
	    0)
		return err_errno(err, "unpack %s", path);
	return 0;
}

static int read_all(struct unpack *u, struct archive *a, struct err *err)
{
	struct archive_entry *e;

	for (;;) {
		int rc = archive_read_next_header(a, &e);

		if (rc == ARCHIVE_EOF)
			return u->entries ? 0
					  : err_set(err, ERR_BUILD_FAILED, "the archive is empty");
		if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
			return err_set(err, ERR_BUILD_FAILED, "not a usable tar archive: %s",
				       archive_error_string(a));
		if (entry(u, a, e, err) < 0)
			return -1;
	}
}

int tarball_unpack(const char *path, const char *dir, uint64_t max_bytes, mono_ms deadline,
		   int cancel_fd, struct err *err)
{
	AUTO(auto_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(err, "%s", path);
	return tarball_unpack_fd(fd, dir, max_bytes, deadline, cancel_fd, err);
}

int tarball_unpack_fd(int fd, const char *dir, uint64_t max_bytes, mono_ms deadline, int cancel_fd,
		      struct err *err)
{
	AUTO(reader_free) struct archive *a = archive_read_new();
	AUTO(auto_fd) int root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct unpack u = {
		.root = root, .left = max_bytes, .deadline = deadline, .cancel_fd = cancel_fd};

	if (root < 0)
		return err_errno(err, "%s", dir);
	archive_read_support_filter_all(a);
	archive_read_support_format_tar(a);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(err, "read the archive");
	if (archive_read_open_fd(a, fd, 65536) != ARCHIVE_OK)
		return err_set(err, ERR_BUILD_FAILED, "not a usable tar archive: %s",
			       archive_error_string(a));
	return read_all(&u, a, err);
}

static const char *checksum_hex(const char *checksum)
{
	return strncasecmp(checksum, "sha256:", 7) == 0 ? checksum + 7 : checksum;
}

bool build_checksum_ok(const char *checksum)
{
	const char *hex = checksum_hex(checksum);

	return strlen(hex) == 64 && strspn(hex, "0123456789abcdefABCDEF") == 64;
}

int tarball_check(int fd, const char *checksum, struct err *err)
{
	char is[65];

	if (sha256_fd(fd, is, err) < 0)
		return -1;
	if (strcasecmp(is, checksum_hex(checksum)) == 0)
		return 0;
	return err_set(err, ERR_BUILD_FAILED, "its checksum is SHA256:%s, not %s", is, checksum);
}

static void dir_close(DIR *d)
{
	closedir(d);
}
DEFINE_AUTO(DIR *, dir_close)

/* The one name in dir when it is a folder, else NULL. Owned. */
static char *only_folder(const char *dir)
{
	AUTO(dir_close) DIR *d = opendir(dir);
	AUTO(auto_str) char *name = NULL;
	const struct dirent *de;
	struct stat st;

	while (d && (de = readdir(d))) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		if (name)
			return NULL;
		name = xstrdup(de->d_name);
	}
	if (!name || fstatat(dirfd(d), name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return NULL;
	return STEAL(name);
}

int tarball_lift(const char *dir, struct err *err)
{
	AUTO(auto_str) char *name = only_folder(dir);
	AUTO(auto_str) char *inner = NULL;
	AUTO(auto_str) char *aside = NULL;

	if (!name)
		return 0;
	inner = xasprintf("%s/%s", dir, name);
	aside = xasprintf("%s.lifted", dir);
	if (rename(inner, aside) < 0 || rmdir(dir) < 0 || rename(aside, dir) < 0)
		return err_errno(err, "unpack into %s", dir);
	return 0;
}
