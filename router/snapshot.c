#include "router/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAGIC	  "PAASRTE1"
#define MAX_BYTES MiB(256)
#define SLACK	  KiB(64) /* small tables may grow by this much before they are written anew */

static void put_record(struct buf *out, const void *frame, size_t n)
{
	uint32_t h = rt_hash(frame, n);
	const unsigned char sum[4] = {(unsigned char)(h >> 24), (unsigned char)(h >> 16),
				      (unsigned char)(h >> 8), (unsigned char)h};

	buf_add(out, sum, sizeof sum);
	buf_add(out, frame, n);
}

static int apply(struct rt_master *m, struct rt_certs *certs, const struct wire_frame *f,
		 struct err *err)
{
	AUTO(rt_app_unref) struct rt_app *a = NULL;
	struct wire_frame body = *f;
	struct wire_field w;
	bool changed;

	if (f->type == ROUTE_DEL) {
		while (wire_next(&body, &w) == 1)
			if (w.key == R_APP_ID) {
				char id[64];

				wire_copy_str(&w, id, sizeof id);
				rt_app_unref(rt_master_del(m, id));
			}
		return 0;
	}
	if (f->type == ROUTE_CERT || f->type == ROUTE_CERT_DROP)
		return rt_certs_take(certs, f, err) < 0 ? -1 : 0;
	if (f->type != ROUTE_APP && f->type != ROUTE_PLATFORM)
		return 0;
	if (rt_app_parse(f, &a, err) < 0)
		return -1;
	rt_app_unref(rt_master_set(m, STEAL(a), &changed));
	return 0;
}

static int replay(const struct buf *in, struct rt_master *m, struct rt_certs *certs,
		  struct err *err)
{
	const char *p = in->data + 8;
	size_t left = in->len - 8;

	while (left > 0) {
		struct wire_frame f;
		ssize_t n = left > 4 ? wire_parse(p + 4, left - 4, &f) : 0;
		const unsigned char *s = (const unsigned char *)p;

		if (n <= 0 ||
		    rt_hash(p + 4, (size_t)n) != ((uint32_t)s[0] << 24 | (uint32_t)s[1] << 16 |
						  (uint32_t)s[2] << 8 | s[3]))
			return err_set(err, ERR_CORRUPT, "bad record at byte %zu of the snapshot",
				       in->len - left);
		if (apply(m, certs, &f, err) < 0)
			return err_wrap(err, "byte %zu of the snapshot", in->len - left);
		p += n + 4;
		left -= (size_t)n + 4;
	}
	return 0;
}

static int read_all(int fd, struct buf *out, struct err *err)
{
	for (;;) {
		ssize_t n;

		buf_reserve(out, 65536);
		n = read(fd, out->data + out->len, 65536);
		if (n < 0)
			return err_errno(err, "read the route snapshot");
		if (n == 0)
			return 0;
		out->len += (size_t)n;
		if (out->len > MAX_BYTES)
			return err_set(err, ERR_CORRUPT, "the route snapshot is too large");
	}
}

int rt_snapshot_open(struct rt_snapshot *s, const char *run_dir, struct rt_master *m,
		     struct rt_certs *certs, struct err *err)
{
	AUTO(buf_clear) struct buf in = {0};
	AUTO(auto_fd) int fd = -1;

	*s = (struct rt_snapshot){
		.path = xasprintf("%s/routes.snapshot", run_dir), .certs = certs, .fd = -1};
	fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, "open %s", s->path);
	if (read_all(fd, &in, err) < 0)
		return -1;
	if (in.len < 8 || memcmp(in.data, MAGIC, 8) != 0)
		return err_set(err, ERR_CORRUPT, "%s is not a route snapshot", s->path);
	if (replay(&in, m, certs, err) < 0)
		return -1;
	return (int)m->napps;
}

void rt_snapshot_close(struct rt_snapshot *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->path);
	*s = (struct rt_snapshot){.fd = -1};
}

static int write_all(int fd, const struct buf *b, struct err *err)
{
	for (size_t at = 0; at < b->len;) {
		ssize_t n = write(fd, b->data + at, b->len - at);

		if (n < 0 && errno != EINTR)
			return err_errno(err, "write the route snapshot");
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int put_frames(struct buf *out, const struct buf *frames, struct err *err)
{
	struct wire_frame f;
	ssize_t n;

	for (size_t at = 0; at < frames->len; at += (size_t)n) {
		n = wire_parse(frames->data + at, frames->len - at, &f);
		if (n <= 0)
			return err_set(err, ERR_INTERNAL, "malformed frames for the snapshot");
		put_record(out, frames->data + at, (size_t)n);
	}
	return 0;
}

int rt_snapshot_write(struct rt_snapshot *s, const struct rt_master *m, struct err *err)
{
	AUTO(buf_clear) struct buf out = {0}, certs = {0};
	AUTO(auto_str) char *tmp = xasprintf("%s.new", s->path);
	AUTO(auto_fd) int fd = -1;

	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	buf_add(&out, MAGIC, 8);
	for (uint32_t i = 0; i < m->nslots; i++)
		if (m->apps[i])
			put_record(&out, m->apps[i]->raw.data, m->apps[i]->raw.len);
	rt_certs_frames(s->certs, &certs);
	if (put_frames(&out, &certs, err) < 0)
		return -1;
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, "open %s", tmp);
	if (write_all(fd, &out, err) < 0)
		return -1;
	if (rename(tmp, s->path) < 0)
		return err_errno(err, "rename %s", tmp);
	/* The descriptor follows the rename: what is appended goes to the new file. */
	s->fd = fd;
	fd = -1;
	s->base = s->size = out.len;
	return 0;
}

int rt_snapshot_append(struct rt_snapshot *s, const struct buf *frames, const struct rt_master *m,
		       struct err *err)
{
	AUTO(buf_clear) struct buf out = {0};

	if (s->fd < 0 || s->size + frames->len > 2 * s->base + SLACK)
		return rt_snapshot_write(s, m, err);
	if (put_frames(&out, frames, err) < 0)
		return -1;
	if (write_all(s->fd, &out, err) < 0) {
		close(s->fd);
		s->fd = -1; /* half a record may be there: write anew */
		return -1;
	}
	s->size += out.len;
	return 0;
}
