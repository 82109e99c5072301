#include "tests/unit/test.h"
#include "proto/attach.h"

#include <string.h>

static void frames_round_trip_in_any_chunks(void **state)
{
	AUTO(buf_clear) struct buf b = {0};
	struct attach_frame f;
	unsigned rows, cols;
	size_t at = 0;
	static const int types[] = {ATTACH_STDIN,  ATTACH_STDIN_EOF, ATTACH_RESIZE, ATTACH_SIGNAL,
				    ATTACH_OUTPUT, ATTACH_EXIT,	     ATTACH_ERROR};

	attach_put(&b, ATTACH_STDIN, "hi\0!", 4);
	attach_put_eof(&b);
	attach_put_resize(&b, 50, 65535);
	attach_put_signal(&b, 15);
	attach_put(&b, ATTACH_OUTPUT, "out", 3);
	attach_put_exit(&b, 0x01020304);
	attach_put(&b, ATTACH_ERROR, "no", 2);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		size_t n = 0;
		ssize_t used;

		while ((used = attach_parse(b.data + at, n, &f)) == 0)
			assert_true(++n <= b.len - at);
		assert_int_equal(used, n); /* neither early nor late */
		assert_int_equal(f.type, types[i]);
		if (f.type == ATTACH_RESIZE) {
			attach_get_resize(&f, &rows, &cols);
			assert_int_equal(rows, 50);
			assert_int_equal(cols, 65535);
		} else if (f.type == ATTACH_SIGNAL) {
			assert_int_equal(attach_get_signal(&f), 15);
		} else if (f.type == ATTACH_EXIT) {
			assert_int_equal(attach_get_exit(&f), 0x01020304);
		} else if (f.type == ATTACH_STDIN) {
			assert_int_equal(f.len, 4);
			assert_memory_equal(f.data, "hi\0!", 4);
		}
		at += (size_t)used;
	}
	assert_int_equal(at, b.len);
}

static void the_wire_is_as_written_down(void **state)
{
	AUTO(buf_clear) struct buf b = {0};

	attach_put_resize(&b, 24, 80);
	attach_put(&b, ATTACH_STDIN, "x", 1);
	assert_int_equal(b.len, 15);
	assert_memory_equal(b.data, "\x03\0\0\0\x04\0\x18\0\x50\x01\0\0\0\x01x", 15);
}

static void long_data_becomes_several_frames(void **state)
{
	AUTO(buf_clear) struct buf b = {0};
	AUTO(auto_str) char *data = xcalloc(1, ATTACH_FRAME_MAX * 2 + 1);
	struct attach_frame f;
	size_t at = 0, got = 0;
	int frames = 0;

	attach_put(&b, ATTACH_OUTPUT, data, ATTACH_FRAME_MAX * 2 + 1);
	for (ssize_t n; at < b.len; at += (size_t)n, frames++) {
		n = attach_parse(b.data + at, b.len - at, &f);
		assert_true(n > 0);
		got += f.len;
	}
	assert_int_equal(frames, 3);
	assert_int_equal(got, ATTACH_FRAME_MAX * 2 + 1);
	buf_reset(&b);
	attach_put(&b, ATTACH_OUTPUT, "", 0);
	assert_int_equal(b.len, 0);
}

static void bad_lengths_are_refused(void **state)
{
	struct attach_frame f;

	assert_int_equal(attach_parse("\x01\0\x01\0\x01", 5, &f), -1); /* 64 KiB + 1 */
	assert_int_equal(attach_parse("\x01\xff\xff\xff\xff", 5, &f), -1);
	assert_int_equal(attach_parse("\x02\0\0\0\x01", 5, &f), -1);
	assert_int_equal(attach_parse("\x03\0\0\0\x03", 5, &f), -1);
	assert_int_equal(attach_parse("\x04\0\0\0\0", 5, &f), -1);
	assert_int_equal(attach_parse("\x11\0\0\0\x05", 5, &f), -1);
	assert_int_equal(attach_parse("\x63\0\0\0\0", 5, &f), 5); /* unknown types pass */
	assert_int_equal(attach_parse("", 0, &f), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_round_trip_in_any_chunks),
		cmocka_unit_test(the_wire_is_as_written_down),
		cmocka_unit_test(long_data_becomes_several_frames),
		cmocka_unit_test(bad_lengths_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
