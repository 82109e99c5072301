#include "daemon/pg/transfer_file.h"
#include "daemon/core/codec.h"
#include "proto/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

_Static_assert(TFILE_KEY == crypto_secretstream_xchacha20poly1305_KEYBYTES, "key size");

static const char magic[] = "PAASBK1\n";
#define MAGIC  (sizeof magic - 1)
#define HEADER crypto_secretstream_xchacha20poly1305_HEADERBYTES
#define EXTRA  crypto_secretstream_xchacha20poly1305_ABYTES
#define PUSH   crypto_secretstream_xchacha20poly1305_TAG_PUSH
#define FINAL  crypto_secretstream_xchacha20poly1305_TAG_FINAL

typedef crypto_secretstream_xchacha20poly1305_state stream;

void tfile_key(unsigned char key[TFILE_KEY])
{
	random_bytes(key, TFILE_KEY);
}

/* --- writing --- */

struct tfile_writer {
	int fd;
	stream st;
	crypto_hash_sha256_state sum;
	uint64_t written;
	size_t held; /* octets in piece */
	unsigned char piece[TFILE_PIECE];
	unsigned char frame[4 + TFILE_PIECE + EXTRA];
};

static int write_all(int fd, const void *data, size_t n, struct err *err)
{
	const char *p = data;

	for (size_t done = 0; done < n;) {
		ssize_t w = write(fd, p + done, n - done);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return err_errno(err, "write the backup");
		done += (size_t)w;
	}
	return 0;
}

int tfile_create(const char *path, const unsigned char key[TFILE_KEY], struct tfile_writer **out,
		 struct err *err)
{
	AUTO(tfile_writer_free) struct tfile_writer *w = xcalloc(1, sizeof *w);
	unsigned char head[MAGIC + HEADER];

	w->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (w->fd < 0)
		return err_errno(err, "%s", path);
	memcpy(head, magic, MAGIC);
	crypto_secretstream_xchacha20poly1305_init_push(&w->st, head + MAGIC, key);
	crypto_hash_sha256_init(&w->sum);
	if (write_all(w->fd, head, sizeof head, err) < 0)
		return -1;
	*out = STEAL(w);
	return 0;
}

static int put_frame(struct tfile_writer *w, const void *p, size_t n, unsigned char tag,
		     struct err *err)
{
	unsigned len = (unsigned)(n + EXTRA);

	for (int i = 0; i < 4; i++)
		w->frame[i] = (unsigned char)(len >> (8 * i));
	crypto_secretstream_xchacha20poly1305_push(&w->st, w->frame + 4, NULL, p, n, NULL, 0, tag);
	return write_all(w->fd, w->frame, 4 + len, err);
}

static int flush(struct tfile_writer *w, unsigned char tag, struct err *err)
{
	size_t n = w->held;

	w->held = 0;
	return put_frame(w, w->piece, n, tag, err);
}

int tfile_write(struct tfile_writer *w, const void *p, size_t n, struct err *err)
{
	const char *from = p;

	crypto_hash_sha256_update(&w->sum, p, n);
	w->written += n;
	while (n > 0) {
		size_t take = TFILE_PIECE - w->held < n ? TFILE_PIECE - w->held : n;

		memcpy(w->piece + w->held, from, take);
		w->held += take;
		from += take;
		n -= take;
		if (w->held == TFILE_PIECE && flush(w, 0, err) < 0)
			return -1;
	}
	return 0;
}

uint64_t tfile_written(const struct tfile_writer *w)
{
	return w->written;
}

int tfile_finish(struct tfile_writer *w, const char *digest, size_t n, char checksum[65],
		 struct err *err)
{
	unsigned char sum[crypto_hash_sha256_BYTES];

	if (flush(w, PUSH, err) < 0)
		return -1;
	for (; n > TFILE_PIECE; digest += TFILE_PIECE, n -= TFILE_PIECE)
		if (put_frame(w, digest, TFILE_PIECE, 0, err) < 0)
			return -1;
	if (put_frame(w, digest, n, FINAL, err) < 0)
		return -1;
	if (fsync(w->fd) < 0)
		return err_errno(err, "write the backup");
	crypto_hash_sha256_final(&w->sum, sum);
	hex_encode(sum, sizeof sum, checksum);
	return 0;
}

void tfile_writer_free(struct tfile_writer *w)
{
	if (w->fd >= 0)
		close(w->fd);
	sodium_memzero(w, sizeof *w);
	free(w);
}

/* --- reading --- */

struct tfile_reader {
	int fd;
	stream st;
	bool dump_over, over;
	unsigned char piece[TFILE_PIECE];
	unsigned char frame[TFILE_PIECE + EXTRA];
};

static int corrupt(struct err *err)
{
	return err_set(err, ERR_CORRUPT,
		       "The backup's file is damaged: it is not what was written.");
}

static int read_all(int fd, void *to, size_t n, struct err *err)
{
	char *p = to;

	for (size_t done = 0; done < n;) {
		ssize_t r = read(fd, p + done, n - done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_errno(err, "read the backup");
		if (r == 0)
			return corrupt(err);
		done += (size_t)r;
	}
	return 0;
}

int tfile_open(const char *path, const unsigned char key[TFILE_KEY], struct tfile_reader **out,
	       struct err *err)
{
	AUTO(tfile_reader_free) struct tfile_reader *r = xcalloc(1, sizeof *r);
	unsigned char head[MAGIC + HEADER];

	r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (r->fd < 0)
		return errno == ENOENT ? err_not_found(err, "backup") : err_errno(err, "%s", path);
	if (read_all(r->fd, head, sizeof head, err) < 0)
		return -1;
	if (memcmp(head, magic, MAGIC) != 0 ||
	    crypto_secretstream_xchacha20poly1305_init_pull(&r->st, head + MAGIC, key) != 0)
		return corrupt(err);
	*out = STEAL(r);
	return 0;
}

static int get_frame(struct tfile_reader *r, size_t *n, unsigned char *tag, struct err *err)
{
	unsigned char size[4];
	unsigned long long plain;
	size_t len = 0;

	if (r->over)
		return corrupt(err);
	if (read_all(r->fd, size, sizeof size, err) < 0)
		return -1;
	for (int i = 0; i < 4; i++)
		len |= (size_t)size[i] << (8 * i);
	if (len < EXTRA || len > sizeof r->frame)
		return corrupt(err);
	if (read_all(r->fd, r->frame, len, err) < 0)
		return -1;
	if (crypto_secretstream_xchacha20poly1305_pull(&r->st, r->piece, &plain, tag, r->frame, len,
						       NULL, 0) != 0)
		return corrupt(err);
	r->over = *tag == FINAL;
	*n = (size_t)plain;
	return 0;
}

int tfile_next(struct tfile_reader *r, const void **p, size_t *n, struct err *err)
{
	unsigned char tag;

	*p = r->piece;
	*n = 0;
	while (!r->dump_over && *n == 0) {
		if (get_frame(r, n, &tag, err) < 0)
			return -1;
		if (tag == FINAL)
			return corrupt(err);
		r->dump_over = tag == PUSH;
	}
	return 0;
}

int tfile_digest(struct tfile_reader *r, struct buf *out, struct err *err)
{
	unsigned char tag;
	size_t n;

	if (!r->dump_over)
		return corrupt(err);
	while (!r->over) {
		if (get_frame(r, &n, &tag, err) < 0)
			return -1;
		buf_add(out, r->piece, n);
		if (out->len > (size_t)LIM_TRANSFER_LIST)
			return corrupt(err);
	}
	return 0;
}

void tfile_reader_free(struct tfile_reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	sodium_memzero(r, sizeof *r);
	free(r);
}
