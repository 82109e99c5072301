#include "daemon/git/pktline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Feeds all of in, `step` bytes at a time, and writes what came: lines in brackets, "F" for a
 * flush. */
static void trace(const char *in, size_t n, size_t step, struct buf *out)
{
	struct pkt_reader r = {0};
	size_t at = 0;

	while (at < n) {
		size_t give = n - at < step ? n - at : step, used;
		enum pkt_event ev = pkt_feed(&r, in + at, give, &used);

		at += used;
		if (ev == PKT_LINE)
			buf_addf(out, "[%s]", buf_str(&r.line));
		else if (ev == PKT_FLUSH)
			buf_adds(out, "F");
		else if (ev == PKT_BAD) {
			buf_addf(out, "!%s", r.why);
			break;
		}
	}
	if (!pkt_reader_idle(&r))
		buf_adds(out, "...");
	pkt_reader_clear(&r);
}

static void check(const char *in, const char *want)
{
	for (size_t step = 1; step <= strlen(in); step++) {
		AUTO(buf_clear) struct buf got = {0};

		trace(in, strlen(in), step, &got);
		assert_string_equal(buf_str(&got), want);
	}
}

static void lines_and_flushes(void **state)
{
	check("0006a\n0000", "[a\n]F");
	check("00040005x0000", "[][x]F");
	check("0000", "F");
	check("000Ahello\n000ahello\n", "[hello\n][hello\n]");
}

static void cut_lines_are_not_idle(void **state)
{
	check("00", "...");
	check("0009abc", "...");
	check("0006a\n00", "[a\n]...");
}

static void what_is_no_length_is_refused(void **state)
{
	check("00g0", "!bad line length character...");
	check("PACK", "!bad line length character...");
	check("+006a", "!bad line length character...");
	check(" 006a", "!bad line length character...");
	check("0x06a", "!bad line length character...");
	check("0001", "!bad line length...");
	check("0002", "!bad line length...");
	check("0003", "!bad line length...");
	check("fff1", "!line too long...");
	check("ffff", "!line too long...");
}

static void longest_line(void **state)
{
	AUTO(buf_clear) struct buf in = {0};
	struct pkt_reader r = {0};
	char *data = xcalloc(1, PKT_DATA_MAX);
	size_t used;

	memset(data, 'x', PKT_DATA_MAX);
	pkt_add(&in, data, PKT_DATA_MAX);
	assert_memory_equal(in.data, "fff0", 4);
	assert_int_equal(in.len, PKT_MAX);
	assert_int_equal(pkt_feed(&r, in.data, in.len, &used), PKT_LINE);
	assert_int_equal(used, PKT_MAX);
	assert_int_equal(r.line.len, PKT_DATA_MAX);
	pkt_reader_clear(&r);
	free(data);
}

static void a_bad_reader_stays_bad(void **state)
{
	struct pkt_reader r = {0};
	size_t used;

	assert_int_equal(pkt_feed(&r, "zzzz", 4, &used), PKT_BAD);
	assert_int_equal(pkt_feed(&r, "0000", 4, &used), PKT_BAD);
	pkt_reader_clear(&r);
}

static void writers(void **state)
{
	AUTO(buf_clear) struct buf out = {0};

	pkt_addf(&out, "unpack %s\n", "ok");
	pkt_add(&out, "\1x", 2);
	pkt_flush(&out);
	assert_string_equal(out.data, "000eunpack ok\n0006\1x0000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_and_flushes),
		cmocka_unit_test(cut_lines_are_not_idle),
		cmocka_unit_test(what_is_no_length_is_refused),
		cmocka_unit_test(longest_line),
		cmocka_unit_test(a_bad_reader_stays_bad),
		cmocka_unit_test(writers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
