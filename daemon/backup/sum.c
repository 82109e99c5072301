/* What is noted of each member while an archive is written, and again while it is read. */
#include "daemon/backup/backup_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* --- one file --- */

void backup_file_begin(struct backup_file_sum *s)
{
	*s = (struct backup_file_sum){0};
	crypto_hash_sha256_init(&s->sha);
}

static void end_extent(struct backup_file_sum *s)
{
	if (s->end > s->from)
		buf_addf(&s->map, "%llu %llu\n", (unsigned long long)s->from,
			 (unsigned long long)(s->end - s->from));
}

void backup_file_data(struct backup_file_sum *s, uint64_t at, const void *p, size_t n)
{
	if (!n)
		return;
	if (at != s->end) {
		end_extent(s);
		s->from = at;
	}
	s->end = at + n;
	crypto_hash_sha256_update(&s->sha, p, n);
}

bool backup_file_end(struct backup_file_sum *s, uint64_t size, char hex[65])
{
	unsigned char sum[crypto_hash_sha256_BYTES];
	bool holes = s->map.len > 0 || s->from > 0 || s->end != size;

	end_extent(s);
	if (holes)
		crypto_hash_sha256_update(&s->sha, (const unsigned char *)buf_str(&s->map),
					  s->map.len);
	crypto_hash_sha256_final(&s->sha, sum);
	hex_encode(sum, sizeof sum, hex);
	buf_clear(&s->map);
	return holes;
}

/* --- all of them --- */

int backup_sums_open(struct backup_sums *s, struct err *err)
{
	const char *dir = getenv("TMPDIR");

	*s = (struct backup_sums){.lines = -1};
	crypto_hash_sha256_init(&s->sha);
	s->lines = open(dir ? dir : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->lines < 0)
		s->lines = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return s->lines < 0 ? err_errno(err, "a temporary file") : 0;
}

void backup_sums_clear(struct backup_sums *s)
{
	buf_clear(&s->late);
	if (s->lines >= 0)
		close(s->lines);
	s->lines = -1;
}

int backup_sums_flush(struct backup_sums *s, struct err *err)
{
	for (size_t at = 0; at < s->late.len;) {
		ssize_t n = write(s->lines, s->late.data + at, s->late.len - at);

		if (n < 0 && errno != EINTR)
			return err_errno(err, "a temporary file");
		at += n > 0 ? (size_t)n : 0;
	}
	buf_reset(&s->late);
	return 0;
}

/* As sha256sum does: a backslash in front when the name has what a line cannot hold. */
static void add_line(struct buf *b, const char *hex, const char *path, bool holes)
{
	if (holes)
		buf_adds(b, "# with holes: ");
	else if (strpbrk(path, "\\\n\r"))
		buf_addc(b, '\\');
	buf_addf(b, "%s  ", hex);
	for (; *path; path++) {
		if (*path == '\\' || *path == '\n' || *path == '\r')
			buf_addf(b, "\\%c", *path == '\n' ? 'n' : *path == '\r' ? 'r' : '\\');
		else
			buf_addc(b, *path);
	}
	buf_addc(b, '\n');
}

int backup_sums_add(struct backup_sums *s, const struct backup_member *m, bool holes,
		    const char *hex, struct err *err)
{
	char head[160];
	int n = snprintf(head, sizeof head, "%c %o %llu %lld %s ", m->type, (unsigned)m->mode,
			 (unsigned long long)m->size, (long long)m->mtime, hex);

	crypto_hash_sha256_update(&s->sha, (const unsigned char *)head, (size_t)n);
	/* with their NULs, so that nothing can be moved from one to the other */
	crypto_hash_sha256_update(&s->sha, (const unsigned char *)m->path, strlen(m->path) + 1);
	crypto_hash_sha256_update(&s->sha, (const unsigned char *)m->link, strlen(m->link) + 1);
	s->members++;
	if (m->type != 'f')
		return 0;
	s->files++;
	s->bytes += m->size;
	add_line(&s->late, hex, m->path, holes);
	return s->late.len > 65536 ? backup_sums_flush(s, err) : 0;
}

void backup_sums_digest(struct backup_sums *s, char hex[65])
{
	unsigned char sum[crypto_hash_sha256_BYTES];

	crypto_hash_sha256_final(&s->sha, sum);
	hex_encode(sum, sizeof sum, hex);
}

char *backup_signed_text(const char *digest)
{
	return xasprintf("backup %d %s", BACKUP_FORMAT, digest);
}
