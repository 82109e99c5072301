#include "tests/unit/test.h"
#include "cli/sse.h"

#include <string.h>

static bool note(void *arg, const char *event, const char *data, size_t n)
{
	struct buf *out = arg;

	buf_addf(out, "[%s|%.*s]", event, (int)n, data);
	return strcmp(data, "stop") != 0;
}

static char *read_all(const char *text, size_t step, struct cli_sse *s)
{
	AUTO(buf_clear) struct buf out = {0};

	*s = (struct cli_sse){.on_event = note, .arg = &out};
	cli_sse_init(s);
	for (size_t i = 0, n = strlen(text); i < n; i += step)
		if (!cli_sse_feed(s, text + i, n - i < step ? n - i : step))
			break;
	cli_sse_clear(s);
	return buf_steal(&out);
}

static void check(const char *text, const char *want)
{
	for (size_t step = 1; step < 40; step += 3) {
		struct cli_sse s;
		AUTO(auto_str) char *got = read_all(text, step, &s);

		assert_string_equal(got, want);
	}
}

static void events_in_chunks_of_any_size(void **state)
{
	check("retry: 1\n\nid: 7\ndata: one\n\n: ping\n\ndata: two\ndata:three\n\n",
	      "[|one][|two\nthree]");
	check("data: a\r\n\r\ndata: b\r\rdata: c\n\n", "[|a][|b][|c]");
	check("event: end\ndata: x\n\ndata: y\n\n", "[end|x][|y]");
	check("data\n\n", "[|]");
	check("data: lost without its blank line", "");
	check("nonsense\nfoo: bar\n\n", "");
	check("data:  two blanks\n\n", "[| two blanks]");
	check("data: stop\n\ndata: never\n\n", "[|stop]");
}

static void ids_and_retry_are_kept(void **state)
{
	struct cli_sse s;
	AUTO(auto_str)
	char *a = read_all("retry: 250\nid: 12\ndata: x\n\nid: 13\ndata: half", 5, &s);

	assert_string_equal(a, "[|x]");
	assert_string_equal(s.last_id, "12"); /* 13 was not whole */
	assert_int_equal(s.retry_ms, 250);
	free(read_all("retry: soon\n\n", 4, &s));
	assert_int_equal(s.retry_ms, -1);
}

static void a_new_connection_forgets_what_was_half_read(void **state)
{
	AUTO(buf_clear) struct buf out = {0};
	AUTO(cli_sse_clear) struct cli_sse s = {.on_event = note, .arg = &out};

	cli_sse_init(&s);
	assert_true(cli_sse_feed(&s, "id: 1\ndata: a\n\nid: 2\ndata: b\nda", 31));
	cli_sse_restart(&s);
	assert_true(cli_sse_feed(&s, "data: c\n\n", 9));
	assert_string_equal(buf_str(&out), "[|a][|c]");
	assert_string_equal(s.last_id, "1");
}

static void long_lines_are_cut(void **state)
{
	AUTO(buf_clear) struct buf out = {0};
	AUTO(cli_sse_clear) struct cli_sse s = {.on_event = note, .arg = &out};

	cli_sse_init(&s);
	cli_sse_feed(&s, "data: ", 6);
	for (int i = 0; i < 200000; i++)
		cli_sse_feed(&s, "x", 1);
	cli_sse_feed(&s, "\n\n", 2);
	assert_int_equal(out.len, CLI_SSE_LINE - 6 + 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_in_chunks_of_any_size),
		cmocka_unit_test(ids_and_retry_are_kept),
		cmocka_unit_test(a_new_connection_forgets_what_was_half_read),
		cmocka_unit_test(long_lines_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
