#include "daemon/drain/frame.h"
#include "tests/unit/test.h"

#include <string.h>

static struct log_line line(const char *source, const char *proc, const char *text)
{
	return (struct log_line){.seq = 7,
				 .ts = 1354257929000000, /* 2012-11-30T06:45:29Z */
				 .source = source,
				 .proc = proc,
				 .text = text,
				 .len = strlen(text)};
}

static void streams_are_octet_counted(void **state)
{
	AUTO(buf_clear) struct buf b = {0};
	struct log_line l = line("heroku", "web.3", "State changed from starting to up");

	frame_syslog(&l, "d.01234567-89ab-cdef-0123-456789abcdef", &b);
	assert_string_equal(buf_str(&b),
			    "130 <134>1 2012-11-30T06:45:29.000000+00:00 "
			    "d.01234567-89ab-cdef-0123-456789abcdef heroku web.3 - - State changed "
			    "from starting to up\n");
}

static void posts_have_no_structured_data(void **state)
{
	AUTO(buf_clear) struct buf b = {0};
	struct log_line l = line("app", "web.3", "State changed from starting to up");

	frame_logplex(&l, &b);
	assert_string_equal(buf_str(&b), "91 <190>1 2012-11-30T06:45:29.000000+00:00 host app "
					 "web.3 - State changed from starting to up\n");
}

/* As a receiver takes a stream apart: RFC 6587, 3.4.1. */
static size_t take(const char *p, size_t n, const char **msg)
{
	char *end;
	unsigned long len = strtoul(p, &end, 10);

	assert_int_equal(*end, ' ');
	assert_true((size_t)(end + 1 - p) + len <= n);
	*msg = end + 1;
	return len;
}

static void lengths_count_bytes_whatever_they_are(void **state)
{
	static const char *const texts[] = {"", "x", "grün", "\xff\xfe", "9 <1>1 a", "tab\there"};
	AUTO(buf_clear) struct buf b = {0};
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct log_line l = line("app", "worker.1", texts[i]);

		frame_syslog(&l, "d.t", &b);
	}
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		const char *msg;
		size_t n = take(b.data + at, b.len - at, &msg), tn = strlen(texts[i]);

		assert_int_equal(msg[n - 1], '\n');
		assert_memory_equal(msg + n - 1 - tn, texts[i], tn);
		assert_memory_equal(msg + n - 1 - tn - 5, " - - ", 5);
		at = (size_t)(msg - b.data) + n;
	}
	assert_int_equal(at, b.len);
}

static void zero_bytes_are_text(void **state)
{
	AUTO(buf_clear) struct buf b = {0};
	struct log_line l = line("app", "web.1", "a");

	l.text = "a\0b";
	l.len = 3;
	frame_logplex(&l, &b);
	assert_memory_equal(b.data + b.len - 4, "a\0b\n", 4);
	assert_int_equal(atoi(b.data), b.len - 3);
}

static void facilities_are_by_source(void **state)
{
	static const struct {
		const char *source, *proc;
		int pri;
	} t[] = {{"app", "web.1", 190},
		 {"app", "api", 190},
		 {"heroku", "router", 158},
		 {"heroku", "web.1", 134},
		 {"heroku", "logplex", 172}};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct log_line l = line(t[i].source, t[i].proc, "");

		assert_int_equal(frame_pri(&l), t[i].pri);
	}
}

static void losses_are_told(void **state)
{
	const struct log_lost lost = {500, 1354257929000000};
	AUTO(buf_clear) struct buf b = {0};
	char text[160];
	struct log_line l = frame_lost(&lost, text);

	frame_syslog(&l, "d.t", &b);
	assert_non_null(strstr(buf_str(&b), " <172>1 "));
	assert_non_null(strstr(buf_str(&b), " d.t heroku logplex - - Error L10 (output buffer "
					    "overflow): 500 messages dropped since "
					    "2012-11-30T06:45:29.000000+00:00.\n"));
}

static void urls_are_read(void **state)
{
	static const struct {
		const char *url;
		enum drain_kind kind;
		const char *host;
		int port;
		const char *user, *password, *bare;
	} t[] = {
		{"syslog://logs.example.com", DRAIN_TCP, "logs.example.com", 514, NULL, NULL,
		 "syslog://logs.example.com"},
		{"syslog://10.0.0.1:1234/", DRAIN_TCP, "10.0.0.1", 1234, NULL, NULL,
		 "syslog://10.0.0.1:1234/"},
		{"syslog+tls://logs.example.com:40841", DRAIN_TLS, "logs.example.com", 40841, NULL,
		 NULL, "syslog+tls://logs.example.com:40841"},
		{"syslog+tls://[::1]:6514", DRAIN_TLS, "::1", 6514, NULL, NULL,
		 "syslog+tls://[::1]:6514"},
		{"https://me:p%40ss@h.example/a/b?c=d&e", DRAIN_HTTPS, "h.example", 443, "me",
		 "p@ss", "https://h.example/a/b?c=d&e"},
		{"https://token@h.example:8443", DRAIN_HTTPS, "h.example", 8443, "token", NULL,
		 "https://h.example:8443"},
		{"http://me:@h/", DRAIN_HTTP, "h", 80, "me", "", "http://h/"},
		{"HTTPS://h/", DRAIN_HTTPS, "h", 443, NULL, NULL, "HTTPS://h/"},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		AUTO(drain_url_clear) struct drain_url u = {0};
		struct err err = {0};

		assert_int_equal(drain_url_parse(t[i].url, &u, &err), 0);
		assert_int_equal(u.kind, t[i].kind);
		assert_string_equal(u.host, t[i].host);
		assert_int_equal(u.port, t[i].port);
		assert_string_equal(u.bare, t[i].bare);
		assert_true(!t[i].user == !u.user && !t[i].password == !u.password);
		if (u.user)
			assert_string_equal(u.user, t[i].user);
		if (u.password)
			assert_string_equal(u.password, t[i].password);
	}
}

static void other_urls_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"logs.example.com",
		"ftp://h/",
		"file:///etc/passwd",
		"unix:///run/x.sock",
		"syslog+udp://h:1",
		"syslog:///x",
		"https://",
		"https:///x",
		"https://@h/",
		"syslog://user@h:1",
		"syslog://h:1/path",
		"syslog://h:0",
		"syslog://h:65536",
		"syslog://h:",
		"syslog://h:1x",
		"syslog://h:000514",
		"https://h/a b",
		"https://h/\r\nX: y",
		"https://h/#x",
		"https://h%00/",
		"https://a%0d%0ab:c@h/",
		"https://a%zz@h/",
		"https://a%3ab:c@h/",
		"https://[::1/",
		"https://[::1]x/",
		"https://h<x>/",
		"https://h\\@i/",
		"https://gr\xc3\xbcn/",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(drain_url_clear) struct drain_url u = {0};
		struct err err = {0};

		if (drain_url_parse(bad[i], &u, &err) == 0)
			fail_msg("%s was taken", bad[i]);
		assert_int_equal(err.code, ERR_INVALID_PARAMS);
		assert_null(u.host);
	}
}

static void secrets_are_hidden(void **state)
{
	static const char *const t[][2] = {
		{"https://me:secret@h.example:1/x?key=1", "https://h.example:1/[hidden]"},
		{"https://h.example/v1/input/KEY", "https://h.example/[hidden]"},
		{"https://h.example?key=1", "https://h.example/[hidden]"},
		{"https://h.example/", "https://h.example/"},
		{"https://me@h.example", "https://h.example/[hidden]"},
		{"syslog+tls://h.example:1", "syslog+tls://h.example:1"},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		AUTO(auto_str) char *s = drain_url_hide(t[i][0]);

		assert_string_equal(s, t[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_are_octet_counted),
		cmocka_unit_test(posts_have_no_structured_data),
		cmocka_unit_test(lengths_count_bytes_whatever_they_are),
		cmocka_unit_test(zero_bytes_are_text),
		cmocka_unit_test(facilities_are_by_source),
		cmocka_unit_test(losses_are_told),
		cmocka_unit_test(urls_are_read),
		cmocka_unit_test(other_urls_are_refused),
		cmocka_unit_test(secrets_are_hidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
