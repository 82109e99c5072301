#include "daemon/build/output.h"
#include "daemon/core/clock.h"
#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
	char dir[40];
	char id[37];
	struct outputs *os;
	struct output *o;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	AUTO(auto_str) char *folder = NULL;
	struct err err;

	codec_init();
	strcpy(f->dir, "/tmp/output-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	uuid_new(f->id);
	folder = xasprintf("%s/%s", f->dir, f->id);
	assert_int_equal(fs_mkdirs(folder, 0755, &err), 0);
	f->os = outputs_new(f->dir);
	assert_int_equal(output_begin(f->os, f->id, &f->o, &err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	outputs_free(f->os);
	fs_rmtree(f->dir, NULL);
	free(f);
	return 0;
}

static void bytes_come_as_they_were_written(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_clear) struct buf got = {0};
	struct err err = {0};
	bool done;

	output_write(f->o, "a\0\r\xff", 4);
	assert_int_equal(outputs_wait(f->os, f->id, 0, 0), 1);
	assert_int_equal(outputs_wait(f->os, f->id, 4, 10), 0);
	assert_int_equal(outputs_read(f->os, f->id, 1, &got, &done, &err), 0);
	assert_false(done);
	assert_int_equal(got.len, 3);
	assert_memory_equal(got.data, "\0\r\xff", 3);
	assert_true(outputs_write_id(f->os, f->id, "end", 3));
	assert_true(outputs_end_id(f->os, f->id));
	assert_false(outputs_end_id(f->os, f->id));
	assert_false(outputs_write_id(f->os, f->id, "x", 1));
	buf_reset(&got);
	assert_int_equal(outputs_read(f->os, f->id, 4, &got, &done, &err), 0);
	assert_true(done);
	assert_string_equal(buf_str(&got), "end");
	assert_int_equal(outputs_wait(f->os, f->id, 7, 0), 1); /* ended */
}

static void *reader(void *arg)
{
	struct fixture *f = arg;
	uint64_t at = 0;
	bool done = false;

	while (!done) {
		AUTO(buf_clear) struct buf b = {0};

		if (outputs_wait(f->os, f->id, at, 5000) != 1)
			return (void *)(uintptr_t)1;
		if (outputs_read(f->os, f->id, at, &b, &done, NULL) < 0)
			return (void *)(uintptr_t)2;
		at += b.len;
	}
	return at == 1000 * 11 ? NULL : (void *)(uintptr_t)3;
}

static void readers_follow_to_the_end(void **state)
{
	struct fixture *f = *state;
	pthread_t t[3];
	void *rc;

	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&t[i], NULL, reader, f), 0);
	for (int i = 0; i < 1000; i++)
		output_write(f->o, "0123456789\n", 11);
	output_end(f->o);
	for (int i = 0; i < 3; i++) {
		pthread_join(t[i], &rc);
		assert_ptr_equal(rc, NULL);
	}
}

static void the_middle_of_too_much_is_cut(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_clear) struct buf line = {0};
	AUTO(buf_clear) struct buf got = {0};
	struct err err = {0};
	uint64_t total = 0, lines = (uint64_t)LIM_BUILD_OUTPUT * 2 / 1024, lost = 0;
	const char *note;
	bool done;

	for (uint64_t i = 0; i < lines; i++) {
		buf_reset(&line);
		buf_addf(&line, "%08llu ", (unsigned long long)i);
		while (line.len < 1023)
			buf_addc(&line, 'x');
		buf_addc(&line, '\n');
		output_write(f->o, line.data, line.len);
		total += line.len;
	}
	output_end(f->o);
	assert_int_equal(outputs_read(f->os, f->id, 0, &got, &done, &err), 0);
	assert_true(done);
	assert_true(got.len <= LIM_BUILD_OUTPUT + 200);
	assert_memory_equal(got.data, "00000000 ", 9);
	note = strstr(got.data, "\n\n !     ");
	assert_non_null(note);
	assert_int_equal(sscanf(note, " ! %llu bytes", (unsigned long long *)&lost), 1);
	/* what is there and what is said to be missing make the whole; the tail starts with a line
	 */
	assert_int_equal((strstr(note + 2, "\n\n") + 2 - note) + (long)total - (long)lost,
			 (long)got.len);
	assert_int_equal(strspn(strstr(note + 2, "\n\n") + 2, "0123456789"), 8);
	buf_reset(&line);
	buf_addf(&line, "%08llu ", (unsigned long long)lines - 1);
	assert_memory_equal(got.data + got.len - 1024, line.data, 9);
}

static void an_unknown_build_is_waited_for(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_clear) struct buf got = {0};
	struct err err = {0};
	char other[37];
	bool done;

	uuid_new(other);
	assert_int_equal(outputs_wait(f->os, other, 0, 20), 0);
	assert_int_equal(outputs_read(f->os, other, 0, &got, &done, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(outputs_read(f->os, "../x", 0, &got, &done, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bytes_come_as_they_were_written, setup, teardown),
		cmocka_unit_test_setup_teardown(readers_follow_to_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(the_middle_of_too_much_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(an_unknown_build_is_waited_for, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
