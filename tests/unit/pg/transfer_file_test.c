#include "daemon/core/codec.h"
#include "daemon/pg/transfer_file.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct fixture {
	char path[64];
	unsigned char key[TFILE_KEY];
	char *dump;
	size_t len;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	int fd;

	snprintf(f->path, sizeof f->path, "/tmp/transfer-file-XXXXXX");
	fd = mkstemp(f->path);
	assert_true(fd >= 0);
	close(fd);
	tfile_key(f->key);
	f->len = 3 * TFILE_PIECE + 1234;
	f->dump = xmalloc(f->len);
	for (size_t i = 0; i < f->len; i++)
		f->dump[i] = (char)(i * 31 + i / 777);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	free(f->dump);
	free(f);
	return 0;
}

static void write_file(struct fixture *f, size_t step, const char *digest, char sum[65])
{
	AUTO(tfile_writer_free) struct tfile_writer *w = NULL;
	struct err err = {0};

	assert_int_equal(tfile_create(f->path, f->key, &w, &err), 0);
	for (size_t at = 0; at < f->len; at += step)
		assert_int_equal(
			tfile_write(w, f->dump + at, f->len - at < step ? f->len - at : step, &err),
			0);
	assert_int_equal(tfile_written(w), f->len);
	assert_int_equal(tfile_finish(w, digest, strlen(digest), sum, &err), 0);
}

/* 0, or the error's code; the dump and the digest in out. */
static int read_file(struct fixture *f, struct buf *dump, struct buf *digest)
{
	AUTO(tfile_reader_free) struct tfile_reader *r = NULL;
	struct err err = {0};
	const void *p;
	size_t n = 1;

	if (tfile_open(f->path, f->key, &r, &err) < 0)
		return err.code;
	while (n > 0) {
		if (tfile_next(r, &p, &n, &err) < 0)
			return err.code;
		buf_add(dump, p, n);
	}
	return tfile_digest(r, digest, &err) < 0 ? err.code : 0;
}

static void what_was_written_is_read(void **state)
{
	static const size_t steps[] = {1000, TFILE_PIECE, 1 << 20};
	struct fixture *f = *state;
	char sum[65], want[65];

	sha256_hex(f->dump, f->len, want);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		AUTO(buf_clear) struct buf dump = {0};
		AUTO(buf_clear) struct buf digest = {0};

		write_file(f, steps[i], "rows|1|2\n", sum);
		assert_string_equal(sum, want);
		assert_int_equal(read_file(f, &dump, &digest), 0);
		assert_int_equal(dump.len, f->len);
		assert_memory_equal(dump.data, f->dump, f->len);
		assert_string_equal(buf_str(&digest), "rows|1|2\n");
	}
}

static void an_empty_dump_is_one(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_clear) struct buf dump = {0};
	AUTO(buf_clear) struct buf digest = {0};
	char sum[65];

	f->len = 0;
	write_file(f, 1, "", sum);
	assert_int_equal(read_file(f, &dump, &digest), 0);
	assert_int_equal(dump.len + digest.len, 0);
}

static void the_file_shows_nothing(void **state)
{
	struct fixture *f = *state;
	char sum[65], data[4096];
	FILE *in;

	memset(f->dump, 'A', f->len);
	write_file(f, 4096, "BBBBBBBBBBBBBBBB", sum);
	in = fopen(f->path, "r");
	assert_non_null(in);
	while (fread(data, 1, sizeof data, in) == sizeof data) {
		assert_null(memmem(data, sizeof data, "AAAAAA", 6));
		assert_null(memmem(data, sizeof data, "BBBBBB", 6));
	}
	fclose(in);
}

/* Cut off anywhere, one octet changed anywhere, or the key of another: never taken for good. */
static void damage_shows(void **state)
{
	struct fixture *f = *state;
	char sum[65];
	struct stat st;

	write_file(f, 4096, "rows|1|2\n", sum);
	assert_int_equal(stat(f->path, &st), 0);
	for (off_t at = 0; at < st.st_size; at += st.st_size / 40) {
		AUTO(buf_clear) struct buf dump = {0};
		AUTO(buf_clear) struct buf digest = {0};
		int fd = open(f->path, O_RDWR);
		char c, other;

		assert_int_equal(pread(fd, &c, 1, at), 1);
		other = (char)(c ^ 4);
		assert_int_equal(pwrite(fd, &other, 1, at), 1);
		assert_int_equal(read_file(f, &dump, &digest), ERR_CORRUPT);
		assert_int_equal(pwrite(fd, &c, 1, at), 1);
		close(fd);
	}
	f->key[0] ^= 1;
	AUTO(buf_clear) struct buf b = {0};
	assert_int_equal(read_file(f, &b, &b), ERR_CORRUPT);
	f->key[0] ^= 1;
	for (off_t at = st.st_size - 1; at > 0; at -= st.st_size / 20) {
		AUTO(buf_clear) struct buf c = {0};

		assert_int_equal(truncate(f->path, at), 0);
		assert_int_equal(read_file(f, &c, &c), ERR_CORRUPT);
	}
	unlink(f->path);
	assert_int_equal(read_file(f, &b, &b), ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_written_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(an_empty_dump_is_one, setup, teardown),
		cmocka_unit_test_setup_teardown(the_file_shows_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_shows, setup, teardown),
	};

	codec_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
