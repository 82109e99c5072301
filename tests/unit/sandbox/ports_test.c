#include "shim/meter.h"
#include "shim/ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
#define REST                                                                                      \
	" 00000000:00000000 00:00000000 00000000  1000        0 1 1 0000000000000000 100 0 0 10 " \
	"0\n"
#define V4(addr, port, state) "   0: " addr ":" port " 00000000:0000 " state REST
#define V6(addr, port, state) \
	"   0: " addr ":" port " 00000000000000000000000000000000:0000 " state REST

static enum ports_bound find(const char *text)
{
	return ports_find(text, strlen(text), 5000); /* 0x1388 */
}

static void listeners_are_told_apart(void **state)
{
	assert_int_equal(find(HEAD), PORTS_NONE);
	assert_int_equal(find(HEAD V4("00000000", "1388", "0A")), PORTS_REACHABLE);
	assert_int_equal(find(HEAD V4("0200800A", "1388", "0A")), PORTS_REACHABLE);
	assert_int_equal(find(HEAD V4("0100007F", "1388", "0A")), PORTS_LOOPBACK);
	assert_int_equal(find(HEAD V4("0101017F", "1388", "0A")), PORTS_LOOPBACK);
	assert_int_equal(find(HEAD V4("0100007F", "1388", "0A") V4("00000000", "1388", "0A")),
			 PORTS_REACHABLE);
}

static void other_ports_and_states_do_not_count(void **state)
{
	assert_int_equal(find(HEAD V4("00000000", "1389", "0A")), PORTS_NONE);
	assert_int_equal(find(HEAD V4("00000000", "1388", "01")), PORTS_NONE);
	assert_int_equal(find(HEAD V4("00000000", "0050", "0A")), PORTS_NONE);
}

static void version_6(void **state)
{
	assert_int_equal(find(HEAD V6("00000000000000000000000000000000", "1388", "0A")),
			 PORTS_REACHABLE);
	assert_int_equal(find(HEAD V6("00000000000000000000000001000000", "1388", "0A")),
			 PORTS_LOOPBACK);
	assert_int_equal(find(HEAD V6("0000000000000000FFFF00000100007F", "1388", "0A")),
			 PORTS_LOOPBACK);
	assert_int_equal(find(HEAD V6("0000000000000000FFFF00000200800A", "1388", "0A")),
			 PORTS_REACHABLE);
}

static void cut_and_foreign_text_is_harmless(void **state)
{
	const char *line = HEAD V4("00000000", "1388", "0A");

	for (size_t n = 0; n < strlen(line); n++)
		ports_find(line, n, 5000);
	assert_int_equal(find("garbage\n\n:::\n 1: x:y z\n"), PORTS_NONE);
}

static void counters_are_found_by_their_whole_name(void **state)
{
	static const char text[] =
		"oom_kill_disable 0\nunder_oom 0\noom_kill 3\ncache 7\ntotal_cache 9";

	assert_int_equal(meter_field(text, "oom_kill"), 3);
	assert_int_equal(meter_field(text, "cache"), 7);
	assert_int_equal(meter_field(text, "total_cache"), 9);
	assert_int_equal(meter_field(text, "rss"), 0);
	assert_int_equal(meter_field("", "rss"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listeners_are_told_apart),
		cmocka_unit_test(other_ports_and_states_do_not_count),
		cmocka_unit_test(version_6),
		cmocka_unit_test(cut_and_foreign_text_is_harmless),
		cmocka_unit_test(counters_are_found_by_their_whole_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
