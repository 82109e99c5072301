#include "proto/limits.h"
#include "proto/wire.h"
#include "tests/unit/test.h"

#include <string.h>

static void make(struct buf *b)
{
	size_t m = wire_begin(b, 513);

	wire_str(b, 1, "text");
	wire_str(b, 2, NULL); /* left out */
	wire_u64(b, 3, 0x0102030405060708ull);
	wire_bytes(b, 65535, "\0\1", 2);
	wire_end(b, m);
}

static void a_frame_comes_back_as_it_was(void **state)
{
	AUTO(buf_clear) struct buf b = {0};
	struct wire_frame f;
	struct wire_field w;
	char small[3], *s;

	make(&b);
	make(&b);
	assert_int_equal(wire_parse(b.data, b.len, &f), b.len / 2);
	assert_int_equal(f.type, 513);
	assert_int_equal(wire_next(&f, &w), 1);
	assert_int_equal(w.key, 1);
	s = wire_get_str(&w);
	assert_string_equal(s, "text");
	free(s);
	wire_copy_str(&w, small, sizeof small);
	assert_string_equal(small, "te");
	assert_int_equal(wire_get_u64(&w), 0); /* not 8 bytes */
	assert_int_equal(wire_next(&f, &w), 1);
	assert_int_equal(w.key, 3);
	assert_true(wire_get_u64(&w) == 0x0102030405060708ull);
	assert_int_equal(wire_next(&f, &w), 1);
	assert_int_equal(w.key, 65535);
	assert_int_equal(w.len, 2);
	assert_int_equal(wire_next(&f, &w), 0);
	assert_int_equal(wire_next(&f, &w), 0);
}

static void parts_ask_for_more(void **state)
{
	AUTO(buf_clear) struct buf b = {0};
	struct wire_frame f;

	make(&b);
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(wire_parse(b.data, n, &f), 0);
	assert_int_equal(wire_parse(b.data, b.len, &f), b.len);
}

static void nonsense_is_refused(void **state)
{
	uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0, 1};
	uint8_t tiny[] = {0, 0, 0, 1, 0, 1};
	uint8_t field[] = {0, 0, 0, 9, 0, 1, 0, 1, 0, 0, 0, 2, 'x'};
	uint8_t half[] = {0, 0, 0, 5, 0, 1, 0, 1, 0};
	struct wire_frame f;
	struct wire_field w;

	assert_int_equal(wire_parse(huge, sizeof huge, &f), -1);
	assert_int_equal(wire_parse(tiny, sizeof tiny, &f), -1);
	assert_int_equal(wire_parse(field, sizeof field, &f), sizeof field);
	assert_int_equal(wire_next(&f, &w), -1);
	assert_int_equal(wire_parse(half, sizeof half, &f), sizeof half);
	assert_int_equal(wire_next(&f, &w), -1);
}

static void the_largest_frame_passes(void **state)
{
	AUTO(buf_clear) struct buf b = {0}, data = {0};
	struct wire_frame f;
	size_t m = wire_begin(&b, 1);

	buf_reserve(&data, LIM_WIRE_FRAME);
	memset(data.data, 'x', LIM_WIRE_FRAME);
	wire_bytes(&b, 1, data.data, LIM_WIRE_FRAME - 8);
	wire_end(&b, m);
	assert_int_equal(wire_parse(b.data, b.len, &f), b.len);
	buf_reset(&b);
	m = wire_begin(&b, 1);
	wire_bytes(&b, 1, data.data, LIM_WIRE_FRAME - 7);
	wire_end(&b, m);
	assert_int_equal(wire_parse(b.data, b.len, &f), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_comes_back_as_it_was),
		cmocka_unit_test(parts_ask_for_more),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(the_largest_frame_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
