/* A slug as a file, the way Heroku hands them out: a tar.gz with the tree under ./app/. */
#include "daemon/slug/slug.h"
#include "proto/buf.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

struct pack {
	int (*out)(const void *p, size_t n, void *arg);
	void *arg;
	struct archive *a;
	bool stopped; /* out wants no more */
};

static void writer_free(struct archive *a)
{
	archive_write_free(a);
}
DEFINE_AUTO(struct archive *, writer_free)

static void entry_free(struct archive_entry *e)
{
	archive_entry_free(e);
}
DEFINE_AUTO(struct archive_entry *, entry_free)

static la_ssize_t on_bytes(struct archive *a, void *arg, const void *p, size_t n)
{
	struct pack *k = arg;

	if (!k->stopped && k->out(p, n, k->arg) < 0)
		k->stopped = true;
	if (!k->stopped)
		return (la_ssize_t)n;
	archive_set_error(a, EPIPE, "the reader has gone");
	return -1;
}

static int failed(const struct pack *k, struct err *err)
{
	return err_set(err, k->stopped ? ERR_CANCELED : ERR_IO, "pack the slug: %s",
		       archive_error_string(k->a));
}

static int copy_file(struct pack *k, const struct slug_entry *e, struct err *err)
{
	AUTO(auto_fd) int fd = openat(e->dirfd, e->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char piece[65536];
	ssize_t n;

	if (fd < 0)
		return err_errno(err, "%s", e->rel);
	while ((n = read(fd, piece, sizeof piece)) > 0)
		if (archive_write_data(k->a, piece, (size_t)n) < 0)
			return failed(k, err);
	return n < 0 ? err_errno(err, "%s", e->rel) : 0;
}

static void describe(struct archive_entry *ae, const char *path, const struct stat *st)
{
	archive_entry_set_pathname(ae, path);
	archive_entry_set_filetype(ae, st->st_mode & S_IFMT);
	archive_entry_set_perm(ae, st->st_mode & 0777);
	archive_entry_set_mtime(ae, st->st_mtime, 0);
	archive_entry_set_uid(ae, 0); /* whose it was here means nothing elsewhere */
	archive_entry_set_gid(ae, 0);
	archive_entry_set_size(ae, S_ISREG(st->st_mode) ? st->st_size : 0);
}

static int pack_entry(const struct slug_entry *e, void *arg, struct err *err)
{
	struct pack *k = arg;
	AUTO(entry_free) struct archive_entry *ae = archive_entry_new();
	AUTO(auto_str) char *path = xasprintf("./app/%s", e->rel);
	char to[PATH_MAX];
	ssize_t n;

	describe(ae, path, e->st);
	if (S_ISLNK(e->st->st_mode)) {
		n = readlinkat(e->dirfd, e->name, to, sizeof to - 1);
		if (n < 0)
			return err_errno(err, "%s", e->rel);
		to[n] = 0;
		archive_entry_set_symlink(ae, to);
	}
	if (archive_write_header(k->a, ae) != ARCHIVE_OK)
		return failed(k, err);
	return S_ISREG(e->st->st_mode) ? copy_file(k, e, err) : 0;
}

static int pack_root(struct pack *k, const char *root, struct err *err)
{
	AUTO(entry_free) struct archive_entry *ae = archive_entry_new();
	struct stat st;

	if (lstat(root, &st) < 0)
		return errno == ENOENT ? err_not_found(err, "slug") : err_errno(err, "%s", root);
	describe(ae, "./app/", &st);
	return archive_write_header(k->a, ae) == ARCHIVE_OK ? 0 : failed(k, err);
}

int slug_pack(const struct slugs *s, const char *slug_id,
	      int (*out)(const void *p, size_t n, void *arg), void *arg, struct err *err)
{
	AUTO(writer_free) struct archive *a = archive_write_new();
	struct pack k = {.out = out, .arg = arg, .a = a};
	char root[PATH_MAX];

	slug_path(s, slug_id, root);
	archive_write_set_format_pax_restricted(a);
	archive_write_add_filter_gzip(a);
	archive_write_set_bytes_per_block(a, 65536);
	archive_write_set_bytes_in_last_block(a, 1);
	if (archive_write_open(a, &k, NULL, on_bytes, NULL) != ARCHIVE_OK)
		return failed(&k, err);
	if (pack_root(&k, root, err) < 0 || slug_tree_walk(root, pack_entry, &k, err) < 0)
		return -1;
	return archive_write_close(a) == ARCHIVE_OK ? 0 : failed(&k, err);
}
