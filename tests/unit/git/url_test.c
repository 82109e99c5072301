#include "daemon/git/git_int.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static bool is_private(const char *text)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return git_address_is_private((const struct sockaddr *)&in);
	assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return git_address_is_private((const struct sockaddr *)&in6);
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
		"fec0::1",
	};
	static const char *const no[] = {
		"8.8.8.8",	"1.1.1.1",	  "172.15.0.1",	      "172.32.0.1",
		"192.167.1.1",	"192.169.0.1",	  "100.63.0.1",	      "100.128.0.1",
		"169.253.0.1",	"198.20.0.1",	  "223.255.255.255",  "2606:4700::1111",
		"2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
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

static void urls_that_are_fetched(void **state)
{
	static const char *const cases[][3] = {
		{"https://h.example/a/b.git", NULL, "https://h.example/a/b.git"},
		{"https://h.example/a/b/", NULL, "https://h.example/a/b"},
		{"https://u:p@h.example:8443/a", NULL, "https://u:p@h.example:8443/a"},
		{"../c.git", "https://h.example/a/b.git", "https://h.example/a/c.git"},
		{"../../c", "https://h.example/a/b/", "https://h.example/c"},
		{"./c", "https://h.example/a", "https://h.example/a/c"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_clear) struct buf out = {0};
		struct err err = {0};

		assert_int_equal(git_url_resolve(cases[i][0], cases[i][1], &out, &err), 0);
		assert_string_equal(buf_str(&out), cases[i][2]);
	}
}

static void urls_that_are_not(void **state)
{
	static const char *const cases[][2] = {
		{"http://h.example/a", NULL},
		{"git://h.example/a", NULL},
		{"ssh://h.example/a", NULL},
		{"git@h.example:a.git", NULL},
		{"file:///etc", NULL},
		{"/etc", NULL},
		{"ext::sh -c id", NULL},
		{"--upload-pack=id", NULL},
		{"", NULL},
		{"https://", NULL},
		{"https:///x", NULL},
		{"https://h.example/a b", NULL},
		{"https://h.example/a\nb", NULL},
		{"https://h.example\\@evil/a", NULL},
		{"https://h.example/a?b", NULL},
		{"https://h.example/a#b", NULL},
		{"HTTPS://h.example/a", NULL},
		{"../c", NULL},
		{"../../c", "https://h.example/a"},
		{"../../../../c", "https://h.example/a/b"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_clear) struct buf out = {0};
		struct err err = {0};

		if (git_url_resolve(cases[i][0], cases[i][1], &out, &err) == 0)
			fail_msg("%s is taken as %s", cases[i][0], buf_str(&out));
		assert_int_equal(err.code, ERR_INVALID_PARAMS);
	}
}

static void private_servers_are_not_asked(void **state)
{
	AUTO(buf_clear) struct buf final = {0};
	AUTO(buf_clear) struct buf pin = {0};
	struct err err = {0};

	assert_int_equal(git_url_probe("https://127.0.0.1:9/x", false, clock_mono_ms() + 5000,
				       &final, &pin, &err),
			 -1);
	assert_int_equal(err.code, ERR_INVALID_PARAMS);
	assert_non_null(strstr(err.msg, "private"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_addresses),
		cmocka_unit_test(urls_that_are_fetched),
		cmocka_unit_test(urls_that_are_not),
		cmocka_unit_test(private_servers_are_not_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
