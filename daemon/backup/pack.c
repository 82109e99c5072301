/* Writing an archive: members one by one, each with its sum. */
#include "daemon/backup/backup_int.h"
#include "daemon/core/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

DEFINE_AUTO(struct archive_entry *, archive_entry_free)

/* --- files with several names: the first one is stored, the others lead to it --- */

struct link {
	dev_t dev;
	ino_t ino;
	char *path; /* owned */
	struct link *next;
};
struct backup_links {
	struct link *slot[4096];
};

static struct link **link_slot(struct backup_links *l, const struct stat *st)
{
	struct link **p = &l->slot[(st->st_ino ^ st->st_ino >> 12 ^ st->st_dev) % 4096];

	while (*p && ((*p)->dev != st->st_dev || (*p)->ino != st->st_ino))
		p = &(*p)->next;
	return p;
}

static void links_free(struct backup_links *l)
{
	for (size_t i = 0; l && i < ARRAY_LEN(l->slot); i++)
		while (l->slot[i]) {
			struct link *next = l->slot[i]->next;

			free(l->slot[i]->path);
			free(l->slot[i]);
			l->slot[i] = next;
		}
	free(l);
}

/* --- open and close --- */

/* Who reads a pipe may stop reading: whether it goes on is asked for meanwhile, too. */
static int await_room(struct backup_pack *p, struct err *err)
{
	struct pollfd f = {p->fd, POLLOUT, 0};

	while (poll(&f, 1, 200) <= 0)
		if (backup_pack_tick(p, err) < 0)
			return -1;
	return 0;
}

static la_ssize_t on_bytes(struct archive *a, void *arg, const void *data, size_t n)
{
	struct backup_pack *p = arg;
	struct err err = {0};
	ssize_t w;

	if (p->over)
		return (la_ssize_t)n;
	do {
		if (p->pipe && await_room(p, &err) < 0) {
			archive_set_error(a, ECANCELED, "canceled");
			return -1;
		}
		w = write(p->fd, data, p->pipe && n > PIPE_BUF ? PIPE_BUF : n);
	} while (w < 0 && (errno == EINTR || errno == EAGAIN));
	if (w > 0)
		return w;
	archive_set_error(a, errno, "%s", strerror(errno));
	return -1;
}

static int failed(const struct backup_pack *p, const char *path, struct err *err)
{
	int no = archive_errno(p->a);
	const char *why = archive_error_string(p->a);

	if (no == ENOSPC || no == EDQUOT || no == EFBIG)
		return err_set(err, ERR_DISK_FULL, "the archive does not fit: %s", strerror(no));
	if (no == ECANCELED)
		return err_set(err, ERR_CANCELED, "canceled");
	if (no == EPIPE)
		return err_set(err, ERR_CANCELED, "who reads the archive has gone");
	return err_set(err, ERR_IO, "write %s: %s", path, why ? why : "it failed");
}

int backup_pack_open(struct backup_pack *p, int fd, const struct backup_watch *watch,
		     struct err *err)
{
	struct stat st;

	*p = (struct backup_pack){.fd = fd, .watch = watch, .owner = "paasd", .stage = ""};
	p->sums.lines = -1;
	if (fstat(fd, &st) < 0)
		return err_errno(err, "look at the archive");
	p->pipe = !S_ISREG(st.st_mode);
	if (backup_sums_open(&p->sums, err) < 0)
		return -1;
	p->links = xcalloc(1, sizeof *p->links);
	p->piece = xmalloc(BACKUP_PIECE);
	p->zeros = xcalloc(1, BACKUP_PIECE);
	p->a = archive_write_new();
	archive_write_set_format_pax(p->a);
	archive_write_set_bytes_per_block(p->a, 65536);
	archive_write_set_bytes_in_last_block(p->a, 1);
	if (archive_write_open(p->a, p, NULL, on_bytes, NULL) != ARCHIVE_OK)
		return failed(p, "the archive", err);
	return 0;
}

void backup_pack_clear(struct backup_pack *p)
{
	if (p->a) {
		p->over = true; /* what it still has goes nowhere */
		archive_write_free(p->a);
	}
	links_free(p->links);
	backup_sums_clear(&p->sums);
	free(p->piece);
	free(p->zeros);
	*p = (struct backup_pack){.fd = -1, .sums = {.lines = -1}};
}

int backup_pack_tick(struct backup_pack *p, struct err *err)
{
	const struct backup_watch *w = p->watch;
	mono_ms now = clock_mono_ms();

	if (!w || now - p->told < 200)
		return 0;
	p->told = now;
	if (w->stop && w->stop(w->arg))
		return err_set(err, ERR_CANCELED, "canceled");
	if (w->tell)
		w->tell(w->arg, p->stage, p->sums.bytes);
	return 0;
}

/* --- members --- */

static struct archive_entry *describe(const struct backup_pack *p, const struct backup_member *m)
{
	static const struct {
		char type;
		mode_t mode;
	} kinds[] = {{'f', S_IFREG}, {'d', S_IFDIR}, {'l', S_IFLNK}, {'h', S_IFREG}};
	struct archive_entry *e = archive_entry_new();

	archive_entry_set_pathname(e, m->path);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].type == m->type)
			archive_entry_set_filetype(e, kinds[i].mode);
	archive_entry_set_perm(e, m->mode);
	archive_entry_set_mtime(e, (time_t)m->mtime, 0);
	archive_entry_set_uid(e, 0);
	archive_entry_set_gid(e, 0);
	archive_entry_set_uname(e, p->owner);
	archive_entry_set_gname(e, p->owner);
	archive_entry_set_size(e, (la_int64_t)m->size);
	if (m->type == 'l')
		archive_entry_set_symlink(e, m->link);
	if (m->type == 'h')
		archive_entry_set_hardlink(e, m->link);
	return e;
}

static int begin(struct backup_pack *p, const struct backup_member *m, struct archive_entry *e,
		 struct err *err)
{
	int rc;

	if (strlen(m->path) >= BACKUP_PATH || strlen(m->link) >= BACKUP_PATH)
		return err_set(err, ERR_TOO_LARGE, "a path is too long: %.100s...", m->path);
	rc = archive_write_header(p->a, e);
	return rc == ARCHIVE_OK || rc == ARCHIVE_WARN ? backup_pack_tick(p, err)
						      : failed(p, m->path, err);
}

static int put(struct backup_pack *p, const char *path, const void *data, size_t n, struct err *err)
{
	if (n && archive_write_data(p->a, data, n) != (la_ssize_t)n)
		return failed(p, path, err);
	return backup_pack_tick(p, err);
}

/* Without content. */
static int put_plain(struct backup_pack *p, const struct backup_member *m, struct err *err)
{
	AUTO(archive_entry_free) struct archive_entry *e = describe(p, m);

	if (begin(p, m, e, err) < 0)
		return -1;
	return backup_sums_add(&p->sums, m, false, "-", err);
}

int backup_pack_dir(struct backup_pack *p, const char *path, mode_t mode, struct err *err)
{
	const struct backup_member m = {'d', mode & 03777, 0, path, "", time(NULL)};

	return put_plain(p, &m, err);
}

int backup_pack_bytes(struct backup_pack *p, const char *path, const void *data, size_t n,
		      mode_t mode, struct err *err)
{
	const struct backup_member m = {'f', mode, n, path, "", time(NULL)};
	AUTO(archive_entry_free) struct archive_entry *e = describe(p, &m);
	char hex[65];

	sha256_hex(data, n, hex);
	if (begin(p, &m, e, err) < 0 || put(p, path, data, n, err) < 0)
		return -1;
	return backup_sums_add(&p->sums, &m, false, hex, err);
}

/* --- files --- */

struct extent {
	off_t from, end;
};
struct extents {
	struct extent *v; /* owned */
	int n;
};

static void extents_clear(struct extents *l)
{
	free(l->v);
}
#define extents_clear_p extents_clear

static void extents_add(struct extents *l, off_t from, off_t end)
{
	if ((l->n & (l->n - 1)) == 0)
		l->v = xrealloc(l->v, (size_t)(l->n ? 2 * l->n : 1) * sizeof *l->v);
	l->v[l->n++] = (struct extent){from, end};
}

/* Where its data are; one extent where the file system does not tell. */
static void find_extents(int fd, off_t size, struct extents *l)
{
	for (off_t at = 0; at < size;) {
		off_t data = lseek(fd, at, SEEK_DATA), end;

		if (data < 0 && errno == ENXIO)
			break; /* nothing but a hole */
		end = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		if (end < 0) {
			extents_add(l, at, size);
			break;
		}
		if (data >= size)
			break;
		end = end < size ? end : size;
		if (l->n && l->v[l->n - 1].end == data)
			l->v[l->n - 1].end = end;
		else
			extents_add(l, data, end);
		at = end;
	}
}

static bool is_whole(const struct extents *l, off_t size)
{
	return size == 0 || (l->n == 1 && l->v[0].from == 0 && l->v[0].end == size);
}

static int put_hole(struct backup_pack *p, const char *path, off_t n, struct err *err)
{
	while (n > 0) {
		size_t piece = n < BACKUP_PIECE ? (size_t)n : BACKUP_PIECE;

		if (put(p, path, p->zeros, piece, err) < 0)
			return -1;
		n -= (off_t)piece;
	}
	return 0;
}

/* A live file may have become shorter: the rest is zeros. */
static int put_extent(struct backup_pack *p, const char *path, int fd, const struct extent *x,
		      struct backup_file_sum *sum, struct err *err)
{
	for (off_t at = x->from; at < x->end;) {
		size_t want = x->end - at < BACKUP_PIECE ? (size_t)(x->end - at) : BACKUP_PIECE;
		ssize_t n = pread(fd, p->piece, want, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "read %s", path);
		if (n == 0) {
			memset(p->piece, 0, want);
			n = (ssize_t)want;
		}
		backup_file_data(sum, (uint64_t)at, p->piece, (size_t)n);
		if (put(p, path, p->piece, (size_t)n, err) < 0)
			return -1;
		at += n;
	}
	return 0;
}

static int put_extents(struct backup_pack *p, const struct backup_member *m, int fd,
		       const struct extents *l, struct err *err)
{
	struct backup_file_sum sum;
	char hex[65];
	off_t at = 0;
	int rc = 0;
	bool holes;

	backup_file_begin(&sum);
	for (int i = 0; i < l->n && rc == 0; i++) {
		rc = put_hole(p, m->path, l->v[i].from - at, err);
		if (rc == 0)
			rc = put_extent(p, m->path, fd, &l->v[i], &sum, err);
		at = l->v[i].end;
	}
	if (rc == 0)
		rc = put_hole(p, m->path, (off_t)m->size - at, err);
	holes = backup_file_end(&sum, m->size, hex);
	return rc < 0 ? -1 : backup_sums_add(&p->sums, m, holes, hex, err);
}

int backup_pack_file(struct backup_pack *p, const char *path, int fd, const struct stat *st,
		     struct err *err)
{
	const struct backup_member m = {'f', st->st_mode & 0777, (uint64_t)st->st_size, path,
					"",  st->st_mtime};
	AUTO(archive_entry_free) struct archive_entry *e = describe(p, &m);
	AUTO(extents_clear) struct extents l = {0};

	find_extents(fd, st->st_size, &l);
	for (int i = 0; i < l.n && !is_whole(&l, st->st_size); i++)
		archive_entry_sparse_add_entry(e, l.v[i].from, l.v[i].end - l.v[i].from);
	if (!l.n && st->st_size)
		archive_entry_sparse_add_entry(e, 0, 0);
	if (begin(p, &m, e, err) < 0)
		return -1;
	return put_extents(p, &m, fd, &l, err);
}

/* --- members of another tar --- */

static int copy_data(struct backup_pack *p, const struct backup_member *m, struct archive *from,
		     struct err *err)
{
	struct backup_file_sum sum;
	char hex[65];
	uint64_t got = 0;
	la_ssize_t n;
	int rc = 0;

	backup_file_begin(&sum);
	while (rc == 0 && (n = archive_read_data(from, p->piece, BACKUP_PIECE)) > 0) {
		backup_file_data(&sum, got, p->piece, (size_t)n);
		got += (uint64_t)n;
		rc = put(p, m->path, p->piece, (size_t)n, err);
	}
	backup_file_end(&sum, m->size, hex);
	if (rc == 0 && got != m->size)
		rc = err_set(err, ERR_IO, "%s: it was cut off", m->path);
	return rc < 0 ? -1 : backup_sums_add(&p->sums, m, false, hex, err);
}

int backup_pack_entry(struct backup_pack *p, const char *path, struct archive *from,
		      struct archive_entry *in, struct err *err)
{
	struct backup_member m = {'f', archive_entry_perm(in) & 0777, 0, path,
				  "",  archive_entry_mtime(in)};
	AUTO(archive_entry_free) struct archive_entry *e = NULL;

	if (archive_entry_filetype(in) == S_IFDIR)
		return backup_pack_dir(p, path, archive_entry_perm(in), err);
	if (archive_entry_filetype(in) != S_IFREG || archive_entry_hardlink(in) ||
	    !archive_entry_size_is_set(in))
		return err_set(err, ERR_INVALID_PARAMS, "%s is neither a file nor a folder", path);
	m.size = (uint64_t)archive_entry_size(in);
	e = describe(p, &m);
	return begin(p, &m, e, err) < 0 ? -1 : copy_data(p, &m, from, err);
}

/* --- trees --- */

struct walk {
	struct backup_pack *p;
	const char *top; /* path of the root in the archive */
	struct buf rel;
	backup_skip *skip;
	void *arg;
};

static int walk_dir(struct walk *w, int fd, int depth, struct err *err);

static char *path_of(const struct walk *w)
{
	return xasprintf("%s/%s", w->top, buf_str(&w->rel));
}

/* 1: stored already, under another name. */
static int pack_link(struct walk *w, const struct stat *st, const char *path, struct err *err)
{
	struct link **slot = link_slot(w->p->links, st);
	struct backup_member m = {'h', st->st_mode & 0777, 0, path, "", st->st_mtime};

	if (*slot) {
		m.link = (*slot)->path;
		return put_plain(w->p, &m, err) < 0 ? -1 : 1;
	}
	*slot = xcalloc(1, sizeof **slot);
	**slot = (struct link){.dev = st->st_dev, .ino = st->st_ino, .path = xstrdup(path)};
	return 0;
}

static int walk_file(struct walk *w, int dir, const char *name, struct err *err)
{
	AUTO(auto_fd)
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	AUTO(auto_str) char *path = path_of(w);
	struct stat st;
	int rc = 0;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, "read %s", path);
	if (!S_ISREG(st.st_mode))
		return 0;
	if (st.st_nlink > 1)
		rc = pack_link(w, &st, path, err);
	return rc ? (rc < 0 ? -1 : 0) : backup_pack_file(w->p, path, fd, &st, err);
}

static int walk_symlink(struct walk *w, int dir, const char *name, const struct stat *st,
			struct err *err)
{
	AUTO(auto_str) char *path = path_of(w);
	char to[BACKUP_PATH];
	const struct backup_member m = {'l', 0777, 0, path, to, st->st_mtime};
	ssize_t n = readlinkat(dir, name, to, sizeof to - 1);

	if (n < 0)
		return errno == ENOENT || errno == EINVAL ? 0 : err_errno(err, "read %s", path);
	to[n] = 0;
	return put_plain(w->p, &m, err);
}

static int walk_subdir(struct walk *w, int dir, const char *name, const struct stat *st, int depth,
		       struct err *err)
{
	AUTO(auto_fd) int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO(auto_str) char *path = path_of(w);

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, "read %s", path);
	if (depth >= BACKUP_DEPTH)
		return err_set(err, ERR_TOO_LARGE, "folders lie too deep: %.100s...", path);
	if (backup_pack_dir(w->p, path, st->st_mode, err) < 0)
		return -1;
	return walk_dir(w, fd, depth + 1, err);
}

static int walk_entry(struct walk *w, int dir, const char *name, int depth, struct err *err)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "read %s", name);
	if (w->skip && w->skip(buf_str(&w->rel), S_ISDIR(st.st_mode), w->arg))
		return 0;
	if (S_ISDIR(st.st_mode))
		return walk_subdir(w, dir, name, &st, depth, err);
	if (S_ISLNK(st.st_mode))
		return walk_symlink(w, dir, name, &st, err);
	return S_ISREG(st.st_mode) ? walk_file(w, dir, name, err) : 0;
}

static int walk_dir(struct walk *w, int fd, int depth, struct err *err)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	size_t len = w->rel.len;
	const struct dirent *e;

	if (!d) {
		if (copy >= 0)
			close(copy);
		return err_errno(err, "list %s", buf_str(&w->rel));
	}
	while (rc == 0 && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		buf_addf(&w->rel, "%s%s", len ? "/" : "", e->d_name);
		rc = walk_entry(w, fd, e->d_name, depth, err);
		w->rel.len = len;
		w->rel.data[len] = 0;
	}
	closedir(d);
	return rc;
}

int backup_pack_tree(struct backup_pack *p, const char *path, int dirfd, backup_skip *skip,
		     void *arg, struct err *err)
{
	struct walk w = {.p = p, .top = path, .skip = skip, .arg = arg};
	int rc = walk_dir(&w, dirfd, 0, err);

	buf_clear(&w.rel);
	return rc;
}

/* --- the end --- */

static int put_sums(struct backup_pack *p, struct err *err)
{
	struct stat st;

	if (backup_sums_flush(&p->sums, err) < 0)
		return -1;
	if (fstat(p->sums.lines, &st) < 0)
		return err_errno(err, "a temporary file");
	st.st_mode = S_IFREG | 0600;
	st.st_mtime = time(NULL);
	return backup_pack_file(p, BACKUP_SUMS, p->sums.lines, &st, err);
}

int backup_pack_close(struct backup_pack *p, const struct master_key *key, const json_t *notes,
		      struct err *err)
{
	AUTO(json_decref) json_t *seal = NULL;
	AUTO(auto_str) char *text = NULL;
	AUTO(auto_str) char *to_sign = NULL;
	char digest[65], signature[65];
	json_int_t files, bytes, members;

	if (put_sums(p, err) < 0)
		return -1;
	files = (json_int_t)p->sums.files;
	bytes = (json_int_t)p->sums.bytes;
	members = (json_int_t)p->sums.members;
	backup_sums_digest(&p->sums, digest);
	to_sign = backup_signed_text(digest);
	secret_sign(key, to_sign, signature);
	seal = json_pack("{s:I, s:I, s:I, s:s, s:s, s:O}", "members", members, "files", files,
			 "bytes", bytes, "digest", digest, "signature", signature, "notes", notes);
	text = json_dumps(seal, JSON_INDENT(2));
	if (backup_pack_bytes(p, BACKUP_SEAL, text, strlen(text), 0600, err) < 0)
		return -1;
	if (archive_write_close(p->a) != ARCHIVE_OK)
		return failed(p, "the archive", err);
	return 0;
}
