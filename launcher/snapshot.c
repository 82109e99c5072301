/* A volume as of one moment, for backups. Dynos go on meanwhile; their writes wait while the file
 * system is frozen. Where files can share blocks (XFS, Btrfs) that is a few milliseconds; elsewhere
 * the image is copied before, and what has changed since is copied again under the freeze, which
 * therefore lasts as long as comparing takes.
 *
 * A file system that stays frozen hangs every dyno that has it. So a process of its own, the guard,
 * thaws it when we are done, when we die, and when time is over; what the guard has thawed is no
 * copy. The copy has no name and goes with its last descriptor. */
#include "launcher/volume.h"
#include "daemon/core/clock.h"
#include "launcher/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

enum { PIECE = 1 << 20 };

/* --- the guard --- */

struct guard {
	pid_t pid;
	int line; /* closed: done */
};

static _Noreturn void stand(int fs, int line, unsigned seconds)
{
	struct pollfd p = {line, POLLIN, 0};
	mono_ms until = clock_mono_ms() + (mono_ms)seconds * 1000, left;

	setsid();
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	while ((left = until - clock_mono_ms()) > 0)
		if (poll(&p, 1, (int)left) > 0)
			break;
	_exit(ioctl(fs, FITHAW, 0) == 0);
}

static int post_guard(int fs, unsigned seconds, struct guard *g, struct err *err)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_errno(err, "a pipe");
	g->pid = fork();
	if (g->pid == 0) {
		close(p[1]);
		stand(fs, p[0], seconds);
	}
	close(p[0]);
	g->line = p[1];
	if (g->pid > 0)
		return 0;
	close(p[1]);
	return err_errno(err, "a process");
}

static void relieve(struct guard *g)
{
	close(g->line);
	while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}

/* --- copying --- */

struct copying {
	int in, out;
	off_t size;
	mono_ms until; /* 0 = any time */
	char *a, *b;   /* PIECE each; owned */
};

static void copying_clear(struct copying *c)
{
	free(c->a);
	free(c->b);
}
#define copying_clear_p copying_clear

static int write_all(int fd, const char *p, size_t n, off_t at)
{
	while (n) {
		ssize_t w = pwrite(fd, p, n, at);

		if (w < 0 && errno != EINTR)
			return -1;
		if (w <= 0)
			continue;
		p += w;
		at += w;
		n -= (size_t)w;
	}
	return 0;
}

/* 0, or -1 with errno; ETIME: it takes too long. */
static int copy_piece(const struct copying *c, off_t at, size_t n)
{
	ssize_t got = pread(c->in, c->a, n, at), had = pread(c->out, c->b, n, at);

	if (got < 0 || had < 0)
		return -1;
	if (c->until && clock_mono_ms() > c->until) {
		errno = ETIME;
		return -1;
	}
	if (got == had && memcmp(c->a, c->b, (size_t)got) == 0)
		return 0;
	return write_all(c->out, c->a, (size_t)got, at);
}

static int copy_hole(const struct copying *c, off_t from, off_t to)
{
	off_t data = lseek(c->out, from, SEEK_DATA);

	if (data < 0 || data >= to)
		return 0;
	return fallocate(c->out, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, to - from);
}

/* What is as it should be already is read only. */
static int copy_changes(const struct copying *c)
{
	off_t at = 0;

	while (at < c->size) {
		off_t data = lseek(c->in, at, SEEK_DATA), end;

		if (data < 0 && errno != ENXIO)
			return -1;
		if (data < 0 || data > c->size)
			data = c->size;
		if (data > at && copy_hole(c, at, data) < 0)
			return -1;
		end = data < c->size ? lseek(c->in, data, SEEK_HOLE) : data;
		if (end < 0)
			return -1;
		end = end < c->size ? end : c->size;
		for (at = data; at < end;) {
			size_t n = end - at < PIECE ? (size_t)(end - at) : PIECE;

			if (copy_piece(c, at, n) < 0)
				return -1;
			at += (off_t)n;
		}
	}
	return 0;
}

static int has_room(int image, int dir, uint64_t spare, struct err *err)
{
	struct statvfs v;
	struct stat st;

	if (fstat(image, &st) < 0 || fstatvfs(dir, &v) < 0)
		return err_errno(err, "look at the disk");
	if ((uint64_t)v.f_bavail * v.f_frsize >= (uint64_t)st.st_blocks * 512 + spare)
		return 0;
	return err_set(err, ERR_DISK_FULL,
		       "a copy of it needs %llu MB for a moment, and the disk has no room for that",
		       (unsigned long long)st.st_blocks / 2048);
}

static int copy_failed(unsigned frozen_s, struct err *err)
{
	if (errno == ETIME || errno == EINVAL)
		return err_set(err, ERR_TIMEOUT,
			       "it would have to stand still for longer than %u seconds", frozen_s);
	return errno == ENOSPC
		       ? err_set(err, ERR_DISK_FULL, "the disk has no room for a copy of it")
		       : err_errno(err, "copy a volume");
}

/* Frozen already: shares blocks, or compares. */
static int copy_frozen(struct copying *c, bool shares)
{
	if (shares)
		return ioctl(c->out, FICLONE, c->in);
	return copy_changes(c);
}

static int copy_image(const struct mounted *m, struct copying *c, unsigned frozen_s, uint64_t spare,
		      struct err *err)
{
	struct guard g = {0, -1};
	bool shares = ioctl(c->out, FICLONE, c->in) == 0;
	int rc, no;

	if (!shares && has_room(m->image, m->dir, spare, err) < 0)
		return -1;
	if (!shares && (ftruncate(c->out, c->size) < 0 || copy_changes(c) < 0))
		return copy_failed(frozen_s, err);
	syncfs(m->data); /* what is written now need not be under the freeze */
	if (post_guard(m->data, frozen_s, &g, err) < 0)
		return -1;
	c->until = clock_mono_ms() + (mono_ms)frozen_s * 1000;
	rc = ioctl(m->data, FIFREEZE, 0);
	if (rc < 0) {
		err_errno(err, "let a volume stand still");
		relieve(&g);
		return -1;
	}
	rc = copy_frozen(c, shares);
	no = errno;
	/* EINVAL: the guard was faster, and writes may have come in between */
	if (ioctl(m->data, FITHAW, 0) < 0 && rc == 0) {
		rc = -1;
		no = errno;
	}
	relieve(&g);
	errno = no;
	return rc < 0 ? copy_failed(frozen_s, err) : 0;
}

static int open_copy(const struct mounted *m, unsigned frozen_s, uint64_t spare, int *out,
		     struct err *err)
{
	AUTO(auto_fd) int fd = openat(m->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	AUTO(copying_clear)
	struct copying c = {m->image, fd, 0, 0, xmalloc(PIECE), xmalloc(PIECE)};
	AUTO(auto_str) char *path = xasprintf("/proc/self/fd/%d", fd);
	struct stat st;

	if (fd < 0 || fstat(m->image, &st) < 0)
		return err_errno(err, "copy a volume");
	c.size = st.st_size;
	if (copy_image(m, &c, frozen_s, spare, err) < 0)
		return -1;
	*out = open(path, O_RDONLY | O_CLOEXEC); /* who gets it reads */
	return *out < 0 ? err_errno(err, "copy a volume") : 0;
}

int ln_volume_copy(struct host *h, const char *id, unsigned frozen_s, uint64_t spare,
		   struct volume_copy *out, struct err *err)
{
	AUTO(ln_volume_leave) struct mounted m = MOUNTED_NOT;

	if (ln_volume_enter(h, id, &m, err) < 0)
		return -1;
	*out = (struct volume_copy){-1, m.image >= 0, ln_volume_size(m.dir)};
	if (out->image)
		return open_copy(&m, frozen_s, spare, &out->fd, err);
	out->fd = fcntl(m.data, F_DUPFD_CLOEXEC, 3);
	return out->fd < 0 ? err_errno(err, "open a volume") : 0;
}
