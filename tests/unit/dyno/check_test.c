/* Health checks against a server of the test's own, which answers as told. */
#include "daemon/dyno/dyno_int.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/test.h"

struct server {
	int fd, port;
	const char *const *answers; /* of one connection each; NULL = says nothing and waits */
	int n;
	pthread_t thread;
	char request[2000];
};

static void *serve(void *arg)
{
	struct server *s = arg;

	for (int i = 0; i < s->n; i++) {
		int c = accept(s->fd, NULL, NULL);
		ssize_t n = read(c, s->request, sizeof s->request - 1);

		s->request[n > 0 ? n : 0] = 0;
		if (s->answers[i] && write(c, s->answers[i], strlen(s->answers[i])) < 0)
			abort();
		if (!s->answers[i]) /* until the client has had enough */
			while (read(c, s->request, 1) > 0)
				;
		close(c);
	}
	return NULL;
}

static void start_server(struct server *s, const char *const *answers, int n)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;

	*s = (struct server){.answers = answers, .n = n};
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(s->fd, 8), 0);
	getsockname(s->fd, (struct sockaddr *)&a, &len);
	s->port = ntohs(a.sin_port);
	if (n)
		pthread_create(&s->thread, NULL, serve, s);
}

struct test {
	struct loop *l;
	struct check_spec spec;
	char why[300], last[300];
	int failures;
	bool ended;
};

static void failed(const char *why, int attempt, void *arg)
{
	struct test *t = arg;

	t->failures++;
	assert_int_equal(attempt, t->failures);
	snprintf(t->last, sizeof t->last, "%s", why);
}

static void done(const char *failure, void *arg)
{
	struct test *t = arg;

	t->ended = true;
	snprintf(t->why, sizeof t->why, "%s", failure ? failure : "passed");
	loop_stop(t->l);
}

static void begin(void *arg)
{
	struct test *t = arg;

	check_start(t->l, &t->spec, failed, done, t);
}

static void check(struct test *t, const char *const *answers, int n, int attempts)
{
	struct server s;

	start_server(&s, answers, n);
	*t = (struct test){.l = loop_new("test")};
	t->spec = (struct check_spec){.ip = "127.0.0.1",
				      .host = "app.example.com",
				      .path = "/up?x=1",
				      .port = s.port,
				      .timeout_s = 1,
				      .attempts = attempts};
	if (!n) { /* nobody listens */
		shutdown(s.fd, SHUT_RDWR);
		close(s.fd);
	}
	loop_post(t->l, begin, t);
	loop_run(t->l);
	loop_free(t->l);
	assert_true(t->ended);
	if (n) {
		pthread_join(s.thread, NULL);
		close(s.fd);
		assert_int_equal(strncmp(s.request,
					 "GET /up?x=1 HTTP/1.1\r\nHost: app.example.com\r\n", 44) *
					 (answers[n - 1] != NULL),
				 0);
	}
}

static void below_400_passes(void **state)
{
	static const char *const answers[][1] = {
		{"HTTP/1.1 200 OK\r\n\r\n"},
		{"HTTP/1.0 399 \r\n\r\n"},
		{"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"},
		{"HTTP/1.1 204\r\n\r\n"},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"},
	};
	struct test t;

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		check(&t, answers[i], 1, 1);
		assert_string_equal(t.why, "passed");
		assert_int_equal(t.failures, 0);
	}
}

static void it_is_tried_again(void **state)
{
	static const char *const answers[] = {"HTTP/1.1 503 Not yet\r\n\r\n", "", NULL,
					      "HTTP/1.1 200 OK\r\n\r\n"};
	struct test t;

	check(&t, answers, 4, 4);
	assert_string_equal(t.why, "passed");
	assert_int_equal(t.failures, 3);
	assert_string_equal(t.last, "Health check GET /up?x=1 was not answered within 1 s");
}

static void what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *const answer[1];
		const char *why;
	} cases[] = {
		{{"HTTP/1.1 500 Oops\r\n\r\n"}, "answered 500"},
		{{"HTTP/1.1 400 \r\n\r\n"}, "answered 400"},
		{{"SSH-2.0-x\r\n"}, "was answered with something that is not HTTP"},
		{{"HTTP/1.1 2xx OK\r\n"}, "was answered with something that is not HTTP"},
		{{""}, "was not answered: the connection was closed"},
	};
	struct test t;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		check(&t, cases[i].answer, 1, 1);
		assert_non_null(strstr(t.why, cases[i].why));
	}
	check(&t, NULL, 0, 2);
	assert_string_equal(t.why,
			    "Health check GET /up?x=1 could not connect: connection refused");
	assert_int_equal(t.failures, 2);
}

struct stopped {
	struct test t;
	struct check *c;
};

static void stop_now(void *arg)
{
	struct stopped *s = arg;

	check_stop(s->c);
	loop_stop(s->t.l);
}

static void begin_and_stop(void *arg)
{
	struct stopped *s = arg;

	s->c = check_start(s->t.l, &s->t.spec, failed, done, &s->t);
	loop_timer_start(s->t.l, 100, stop_now, s);
}

static void a_stopped_one_says_nothing(void **state)
{
	static const char *const answers[] = {NULL};
	struct stopped s = {.t.l = loop_new("test")};
	struct server srv;

	start_server(&srv, answers, 1);
	s.t.spec = (struct check_spec){"127.0.0.1", "h", "/", srv.port, 5, 1, 0};
	loop_post(s.t.l, begin_and_stop, &s);
	loop_run(s.t.l);
	loop_free(s.t.l);
	pthread_join(srv.thread, NULL);
	close(srv.fd);
	assert_false(s.t.ended);
	assert_int_equal(s.t.failures, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(below_400_passes),
		cmocka_unit_test(it_is_tried_again),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(a_stopped_one_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
