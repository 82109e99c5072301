#include "shim/spool.h"
#include "proto/logwire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void spool_init(struct spool *s, const char *path, size_t limit)
{
	*s = (struct spool){.path = xstrdup(path), .limit = limit, .fd = -1};
}

void spool_clear(struct spool *s)
{
	free(s->path);
	buf_clear(&s->mem);
	if (s->fd >= 0)
		close(s->fd);
	*s = (struct spool){.fd = -1};
}

static bool all_written(int fd, const char *p, size_t n, size_t at)
{
	while (n > 0) {
		ssize_t k = pwrite(fd, p, n, (off_t)at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		p += k;
		at += (size_t)k;
		n -= (size_t)k;
	}
	return true;
}

static bool read_at(int fd, struct buf *out, size_t n, size_t at)
{
	buf_reserve(out, n);
	while (n > 0) {
		ssize_t k = pread(fd, out->data + out->len, n, (off_t)at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		out->len += (size_t)k;
		out->data[out->len] = 0;
		at += (size_t)k;
		n -= (size_t)k;
	}
	return true;
}

/* Lines of a batch, those it says were lost before included. */
static uint64_t lines_in(struct wire_frame f)
{
	struct wire_field field;
	uint64_t n = 0;

	while (wire_next(&f, &field) == 1) {
		if (field.key == K_TEXT)
			n++;
		if (field.key == K_DROPPED)
			n += wire_get_u64(&field);
	}
	return n;
}

/* Copies a batch with `lost` added to the count before its first line. */
static void put_with_lost(struct buf *out, struct wire_frame f, uint64_t lost)
{
	struct wire_field field;
	size_t mark = wire_begin(out, f.type);
	bool noted = false;

	while (wire_next(&f, &field) == 1) {
		if (field.key == K_DROPPED && !noted) {
			wire_u64(out, K_DROPPED, wire_get_u64(&field) + lost);
			noted = true;
			continue;
		}
		if ((field.key == K_TS_US || field.key == K_TEXT) && !noted) {
			wire_u64(out, K_DROPPED, lost);
			noted = true;
		}
		wire_bytes(out, field.key, field.data, field.len);
	}
	wire_end(out, mark);
}

void spool_trim(struct buf *data, size_t max)
{
	struct wire_frame f;
	uint64_t lost = 0;
	size_t at = 0;
	ssize_t n;
	struct buf out = {0};

	while (data->len - at > max && (n = wire_parse(data->data + at, data->len - at, &f)) > 0) {
		lost += lines_in(f);
		at += (size_t)n;
	}
	if (at == 0)
		return;
	n = wire_parse(data->data + at, data->len - at, &f);
	if (n > 0) {
		put_with_lost(&out, f, lost);
		at += (size_t)n;
		buf_add(&out, data->data + at, data->len - at);
	}
	buf_clear(data);
	*data = out;
}

/* Replaces the file by data. */
static bool rewrite(struct spool *s, const struct buf *data)
{
	AUTO(auto_str) char *tmp = xasprintf("%s.new", s->path);
	int fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || !all_written(fd, buf_str(data), data->len, 0) || rename(tmp, s->path) < 0) {
		if (fd >= 0)
			close(fd);
		unlink(tmp);
		return false;
	}
	if (s->fd >= 0)
		close(s->fd);
	s->fd = fd;
	s->head = 0;
	s->tail = data->len;
	return true;
}

/* The file has grown to its limit: its older half goes. */
static void shrink(struct spool *s)
{
	AUTO(buf_clear) struct buf data = {0};

	if (read_at(s->fd, &data, s->tail - s->head, s->head)) {
		spool_trim(&data, s->limit / 2);
		if (rewrite(s, &data))
			return;
	}
	s->head = s->tail = 0; /* unreadable: nothing can be saved of it */
	if (ftruncate(s->fd, 0) < 0)
		return;
}

static void to_file(struct spool *s, const struct buf *frame)
{
	if (s->fd < 0)
		s->fd = open(s->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->fd < 0)
		return;
	if (s->tail + frame->len > s->limit)
		shrink(s);
	if (all_written(s->fd, frame->data, frame->len, s->tail))
		s->tail += frame->len;
}

/* Moves whole frames from the file to memory while there is room. */
static void refill(struct spool *s)
{
	AUTO(buf_clear) struct buf data = {0};
	struct wire_frame f;
	size_t want = s->tail - s->head, at = 0;
	ssize_t n;

	if (want == 0 || s->mem.len >= SPOOL_MEM / 2)
		return;
	if (want > SPOOL_MEM)
		want = SPOOL_MEM;
	if (!read_at(s->fd, &data, want, s->head)) {
		s->head = s->tail = 0;
		return;
	}
	while ((n = wire_parse(data.data + at, data.len - at, &f)) > 0)
		at += (size_t)n;
	if (at == 0) { /* cannot be: frames are smaller than SPOOL_MEM */
		s->head = s->tail = 0;
		return;
	}
	buf_add(&s->mem, data.data, at);
	s->head += at;
	if (s->head == s->tail) {
		s->head = s->tail = 0;
		if (ftruncate(s->fd, 0) < 0)
			return;
	}
}

void spool_push(struct spool *s, const struct buf *frame)
{
	if (s->tail == s->head && s->mem.len + frame->len <= SPOOL_MEM)
		buf_add(&s->mem, frame->data, frame->len);
	else
		to_file(s, frame);
}

bool spool_empty(const struct spool *s)
{
	return s->mem.len == 0 && s->head == s->tail;
}

const char *spool_next(struct spool *s, size_t *n)
{
	if (s->sent == s->mem.len)
		refill(s);
	*n = s->mem.len - s->sent;
	return *n ? s->mem.data + s->sent : NULL;
}

void spool_sent(struct spool *s, size_t n)
{
	s->sent += n;
}

bool spool_in_flight(const struct spool *s)
{
	return s->sent > 0;
}

static uint64_t seq_of(struct wire_frame f)
{
	struct wire_field field;

	while (wire_next(&f, &field) == 1)
		if (field.key == K_SEQ)
			return wire_get_u64(&field);
	return 0;
}

void spool_acked(struct spool *s, uint64_t seq)
{
	struct wire_frame f;
	size_t at = 0;
	ssize_t n;

	while ((n = wire_parse(s->mem.data + at, s->mem.len - at, &f)) > 0 && seq_of(f) <= seq &&
	       at + (size_t)n <= s->sent)
		at += (size_t)n;
	if (at == 0)
		return;
	buf_drop(&s->mem, at);
	s->sent -= at;
	if (s->mem.len == 0 && s->head == s->tail)
		buf_clear(&s->mem); /* a quiet app costs no buffer */
}

void spool_rewind(struct spool *s)
{
	s->sent = 0;
}

int spool_save(struct spool *s, struct err *err)
{
	AUTO(buf_clear) struct buf all = {0};

	buf_add(&all, buf_str(&s->mem), s->mem.len);
	if (s->tail > s->head && !read_at(s->fd, &all, s->tail - s->head, s->head))
		return err_errno(err, "read %s", s->path);
	if (all.len == 0) {
		unlink(s->path);
		return 0;
	}
	spool_trim(&all, s->limit);
	buf_clear(&s->mem);
	s->sent = 0;
	return rewrite(s, &all) ? 0 : err_errno(err, "write %s", s->path);
}
