#include "daemon/git/band.h"
#include "proto/buf.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct sink {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct buf got;
	int left; /* calls until the client is gone; -1 = never */
	int calls;
};

static int take(void *arg, const void *p, size_t n)
{
	struct sink *s = arg;
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	s->calls++;
	if (s->left == 0)
		rc = -1;
	else
		buf_add(&s->got, p, n);
	if (s->left > 0)
		s->left--;
	pthread_cond_broadcast(&s->more);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static void sink_init(struct sink *s, int left)
{
	*s = (struct sink){.left = left};
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->more, NULL);
}

static void text_then_report(void **state)
{
	struct sink s;

	sink_init(&s, -1);
	struct band *b = band_new(true, take, &s);

	band_say(b, "hello\n", 6);
	band_report(b, "000eunpack ok\n0000", 18);
	assert_string_equal(buf_str(&s.got), "000b\2hello\n"
					     "0017\1"
					     "000eunpack ok\n"
					     "00000000");
	band_free(b);
	buf_clear(&s.got);
}

static void an_open_line_is_ended_before_the_report(void **state)
{
	struct sink s;

	sink_init(&s, -1);
	struct band *b = band_new(true, take, &s);

	band_say(b, "x", 1);
	band_report(b, "0000", 4);
	assert_string_equal(buf_str(&s.got), "0006\2x"
					     "0006\2\n"
					     "0009\1"
					     "0000"
					     "0000");
	band_free(b);
	buf_clear(&s.got);
}

static void long_text_is_split(void **state)
{
	struct sink s;
	size_t n = BAND_DATA_MAX + 10;
	char *text = xmalloc(n);

	sink_init(&s, -1);
	memset(text, 'x', n);
	struct band *b = band_new(true, take, &s);

	band_say(b, text, n);
	assert_int_equal(s.got.len, n + 10);
	assert_memory_equal(s.got.data, "fff0\2", 5);
	assert_memory_equal(s.got.data + 65520, "000f\2x", 6);
	band_free(b);
	buf_clear(&s.got);
	free(text);
}

static void without_bands_only_the_report_goes_out(void **state)
{
	struct sink s;

	sink_init(&s, -1);
	struct band *b = band_new(false, take, &s);

	band_keepalive(b, 1);
	band_say(b, "hello\n", 6);
	assert_int_equal(s.calls, 0);
	band_report(b, "000eunpack ok\n0000", 18);
	assert_string_equal(buf_str(&s.got), "000eunpack ok\n0000");
	band_free(b);
	buf_clear(&s.got);
}

static void a_client_that_left_is_left_alone(void **state)
{
	struct sink s;

	sink_init(&s, 1);
	struct band *b = band_new(true, take, &s);

	band_say(b, "a\n", 2);
	assert_false(band_gone(b));
	band_say(b, "b\n", 2);
	assert_true(band_gone(b));
	band_say(b, "c\n", 2);
	band_report(b, "0000", 4);
	assert_int_equal(s.calls, 2);
	assert_string_equal(buf_str(&s.got), "0007\2a\n");
	band_free(b);
	buf_clear(&s.got);
}

static void silence_is_filled_with_keepalives(void **state)
{
	struct sink s;

	sink_init(&s, -1);
	struct band *b = band_new(true, take, &s);

	band_keepalive(b, 5);
	pthread_mutex_lock(&s.lock);
	while (s.got.len < 15)
		pthread_cond_wait(&s.more, &s.lock);
	assert_memory_equal(s.got.data,
			    "0005\2"
			    "0005\2"
			    "0005\2",
			    15);
	pthread_mutex_unlock(&s.lock);
	band_report(b, "0000", 4);
	size_t end = s.got.len;

	assert_memory_equal(s.got.data + end - 13,
			    "0009\1"
			    "0000"
			    "0000",
			    13);
	band_free(b);
	buf_clear(&s.got);
}

static void filter(const char *in, size_t n, size_t step, struct buf *out)
{
	struct band_filter f = {0};

	for (size_t at = 0; at < n; at += step) {
		size_t give = n - at < step ? n - at : step;
		char tmp[300];

		assert_true(give + BAND_FILTER_SLACK <= sizeof(tmp));
		buf_add(out, tmp, band_filter(&f, in + at, give, tmp));
	}
}

static void terminals_get_text_and_colours_only(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"plain\ttext\r\n", "plain\ttext\r\n"},
		{"\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"},
		{"\x1b[38:5:1mx\x1b[m", "\x1b[38:5:1mx\x1b[m"},
		{"a\x1b[2Jb\x1b[10;10Hc\x1b[Kd", "abcd"},
		{"\x1b[?25lx\x1b[>4my", "xy"},
		{"\x1b]0;title\ax", "x"},
		{"\x1b]8;;http://h\x1b\\x", "x"},
		{"\x1b]0;never ended\nx", "\nx"},
		{"\x1b"
		 "cx\x1b(Bx",
		 "xBx"},
		{"\x1b\x1b[1mx", "\x1b[1mx"},
		{"\x1b[1\nx", "\nx"},
		{"bell\a back\b nul\x7f", "bell back nul"},
		{"\x1b[1111111111111111111111111111111111111111111111mx", "x"},
		{"\x1b[2222222222222222222222222222222mx",
		 "\x1b[2222222222222222222222222222222mx"},
		{"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t step = 1; step <= strlen(cases[i].in); step++) {
			AUTO(buf_clear) struct buf out = {0};

			filter(cases[i].in, strlen(cases[i].in), step, &out);
			assert_string_equal(buf_str(&out), cases[i].out);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_then_report),
		cmocka_unit_test(an_open_line_is_ended_before_the_report),
		cmocka_unit_test(long_text_is_split),
		cmocka_unit_test(without_bands_only_the_report_goes_out),
		cmocka_unit_test(a_client_that_left_is_left_alone),
		cmocka_unit_test(silence_is_filled_with_keepalives),
		cmocka_unit_test(terminals_get_text_and_colours_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
