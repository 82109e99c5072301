#include "daemon/core/netaddr.h"
#include "proto/auto.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static bool is_private(const char *text)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return netaddr_is_private((const struct sockaddr *)&in);
	assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return netaddr_is_private((const struct sockaddr *)&in6);
}

static void private_addresses(void **state)
{
	static const char *const yes[] = {
		"127.0.0.1",
		"127.255.0.1",
		"0.0.0.0",
		"10.1.2.3",
		"172.16.0.1",
		"172.31.255.255",
		"192.168.1.1",
		"169.254.169.254",
		"100.64.0.1",
		"224.0.0.1",
		"255.255.255.255",
		"198.18.0.1",
		"::",
		"::1",
		"fe80::1",
		"febf::1",
		"fc00::1",
		"fd12::1",
		"ff02::1",
		"::ffff:127.0.0.1",
		"::ffff:10.0.0.1",
		"::127.0.0.1",
		"64:ff9b::7f00:1",
		"64:ff9b::a00:1",
		"64:ff9b:1::1",
		"2002:7f00:1::1",
		"2002:c0a8:101::1",
		"2001:db8::1",
		"192.0.2.1",
		"198.51.100.7",
		"203.0.113.255",
		"240.0.0.1",
		"::ffff:169.254.169.254",
		"2001::1",
		"3fff::1",
		"100::1",
		"fec0::1",
	};
	static const char *const no[] = {
		"8.8.8.8",	   "1.1.1.1",	      "172.15.0.1",
		"172.32.0.1",	   "192.167.1.1",     "192.169.0.1",
		"100.63.0.1",	   "100.128.0.1",     "169.253.0.1",
		"198.20.0.1",	   "223.255.255.255", "2606:4700::1111",
		"2a00:1450::1",	   "::ffff:8.8.8.8",  "64:ff9b::808:808",
		"2002:808:808::1", "192.0.3.1",	      "2001:4860:4860::8888",
		"191.255.255.255",
	};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (!is_private(yes[i]))
			fail_msg("%s passes for public", yes[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(no); i++) {
		if (is_private(no[i]))
			fail_msg("%s passes for private", no[i]);
	}
}

static void other_families_are_private(void **state)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	assert_true(netaddr_is_private((const struct sockaddr *)&un));
}

static void a_guard_says_what_it_refused(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct netaddr_guard strict = {0}, open = {.any = true};
	int fd;

	inet_pton(AF_INET, "127.0.0.1", &in.sin_addr);
	assert_int_equal(netaddr_socket(&strict, (const struct sockaddr *)&in, SOCK_STREAM, 0), -1);
	assert_true(strict.refused);
	fd = netaddr_socket(&open, (const struct sockaddr *)&in, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	assert_false(open.refused);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_addresses),
		cmocka_unit_test(other_families_are_private),
		cmocka_unit_test(a_guard_says_what_it_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
