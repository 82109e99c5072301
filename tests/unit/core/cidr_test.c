#include "daemon/core/cidr.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static bool has(const char *list, const char *addr)
{
	char *l[] = {(char *)list, NULL};
	struct sockaddr_storage ss = {0};
	struct sockaddr_in *a4 = (void *)&ss;
	struct sockaddr_in6 *a6 = (void *)&ss;

	if (inet_pton(AF_INET, addr, &a4->sin_addr) == 1)
		ss.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, addr, &a6->sin6_addr) == 1)
		ss.ss_family = AF_INET6;
	else
		fail();
	return cidr_has(l, (void *)&ss);
}

static void networks_are_read(void **state)
{
	static const char *const good[] = {"10.0.0.0/8", "127.0.0.1",	"0.0.0.0/0",
					   "fd00::/8",	 "::1",		"::/0",
					   "10.1.2.3",	 "10.1.2.3/32", "10.128.0.0/9"};
	static const char *const bad[] = {
		"",	     "10",	  "10.0.0.1/8",	 "10.0.0.0/33", "fd00::1/8",   "::/129",
		"localhost", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0 /8", "/8"};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(cidr_ok(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(cidr_ok(bad[i]));
}

static void addresses_are_found(void **state)
{
	assert_true(has("10.0.0.0/8", "10.255.0.1"));
	assert_false(has("10.0.0.0/8", "11.0.0.0"));
	assert_true(has("10.0.0.0/9", "10.127.255.255"));
	assert_false(has("10.0.0.0/9", "10.128.0.0"));
	assert_true(has("127.0.0.1", "127.0.0.1"));
	assert_false(has("127.0.0.1", "127.0.0.2"));
	assert_true(has("0.0.0.0/0", "8.8.8.8"));
	assert_false(has("0.0.0.0/0", "2001:db8::1"));
	assert_true(has("127.0.0.0/8", "::ffff:127.0.0.1"));
	assert_true(has("fd00::/8", "fdff::1"));
	assert_false(has("fd00::/8", "fe80::1"));
	assert_true(has("::/0", "10.0.0.1"));
	assert_false(cidr_has(NULL, &(struct sockaddr){.sa_family = AF_INET}));
}

static void other_families_are_nowhere(void **state)
{
	char all[] = "::/0", *l[] = {all, NULL};

	assert_false(cidr_has(l, &(struct sockaddr){.sa_family = AF_UNIX}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks_are_read),
		cmocka_unit_test(addresses_are_found),
		cmocka_unit_test(other_families_are_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
