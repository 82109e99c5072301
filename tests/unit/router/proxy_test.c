/* The proxying core in this process, between a scripted client and a scripted app on loopback. Both
 * send their octets in pieces of several sizes: the pieces must not change what comes out. */
#include "daemon/core/xlog.h"
#include "proto/routewire.h"
#include "router/rt.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

struct script {
	const char *name;
	const char *request; /* one connection's octets */
	const char *answer;  /* the app's; it closes after them */
	const char *end;     /* with which the client's input ends, NULL: does not matter */
	const char *has[4];  /* ... and what it holds */
	const char *app_has; /* what the app's input holds; NULL: the app is not asked */
	const char *app_end; /* and ends with */
};

#define GET(more) "GET / HTTP/1.1\r\nHost: web.localhost\r\nConnection: close\r\n" more "\r\n"
#define POST(more, body) \
	"POST / HTTP/1.1\r\nHost: web.localhost\r\nConnection: close\r\n" more "\r\n" body

static const struct script scripts[] = {
	{"length",
	 GET(""),
	 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	 "\r\n\r\nhello",
	 {"HTTP/1.1 200 OK\r\n", "Content-Length: 5\r\n"},
	 "GET / HTTP/1.1\r\n",
	 "\r\n\r\n"},
	{"chunks",
	 GET(""),
	 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n00\r\nT: y\r\n\r\n",
	 "0\r\n\r\n",
	 {"Transfer-Encoding: chunked\r\n", "1\r\nx\r\n"},
	 "GET",
	 NULL},
	{"until close",
	 GET(""),
	 "HTTP/1.0 200 OK\r\n\r\nabc",
	 "0\r\n\r\n",
	 {"Transfer-Encoding: chunked\r\n"},
	 "GET",
	 NULL},
	{"until close to 1.0",
	 "GET / HTTP/1.0\r\nHost: web.localhost\r\n\r\n",
	 "HTTP/1.1 200 OK\r\n\r\nabc",
	 "\r\n\r\nabc",
	 {"Connection: close\r\n"},
	 "GET / HTTP/1.1",
	 NULL},
	{"body by length",
	 POST("Content-Length: 3\r\n", "abc"),
	 "HTTP/1.1 204 No\r\n\r\n",
	 "\r\n\r\n",
	 {"HTTP/1.1 204 No\r\n"},
	 "Content-Length: 3\r\n",
	 "\r\n\r\nabc"},
	{"body in chunks",
	 POST("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
	 "HTTP/1.1 204 No\r\n\r\n",
	 "\r\n\r\n",
	 {"204"},
	 "Transfer-Encoding: chunked\r\n",
	 "0\r\n\r\n"},
	{"interim",
	 GET(""),
	 "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	 "\r\n\r\n",
	 {"HTTP/1.1 103 Early\r\nLink: x\r\n", "HTTP/1.1 200 OK\r\n"},
	 "GET",
	 NULL},
	{"short",
	 GET(""),
	 "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
	 "\r\n\r\nabc",
	 {"Content-Length: 9\r\n"},
	 "GET",
	 NULL},
	{"bad status line",
	 GET(""),
	 "HTTP/1.1 2000 OK\r\n\r\n",
	 NULL,
	 {"HTTP/1.1 502 ", "(H17)"},
	 "GET",
	 NULL},
	{"bare LF",
	 GET(""),
	 "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
	 NULL,
	 {"502 ", "(H17)"},
	 "GET",
	 NULL},
	{"bad length",
	 GET(""),
	 "HTTP/1.1 200 OK\r\nContent-Length: 1,1\r\n\r\nx",
	 NULL,
	 {"502 ", "(H25)"},
	 "GET",
	 NULL},
	{"nothing", GET(""), "", NULL, {"HTTP/1.1 503 ", "(H13)"}, "GET", NULL},
	{"half a head", GET(""), "HTTP/1.1 200", NULL, {"HTTP/1.1 503 ", "(H18)"}, "GET", NULL},
	{"upgrade",
	 "GET / HTTP/1.1\r\nHost: web.localhost\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nping",
	 "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\npong",
	 "\r\n\r\npong",
	 {"HTTP/1.1 101 Go\r\n", "Upgrade: x\r\n"},
	 "Upgrade: x\r\n",
	 NULL},
	{"smuggle",
	 POST("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
	 "",
	 NULL,
	 {"HTTP/1.1 400 ", "Connection: close\r\n"},
	 NULL,
	 NULL},
	{"bare CR",
	 "GET / HTTP/1.1\r\nHost: web.localhost\r\nX: \rTransfer-Encoding: chunked\r\n\r\n",
	 "",
	 NULL,
	 {"HTTP/1.1 400 "},
	 NULL,
	 NULL},
	{"no such host",
	 "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	 "",
	 NULL,
	 {"HTTP/1.1 404 ", "No such app"},
	 NULL,
	 NULL},
};

struct fixture {
	void *dir; /* char * */
	struct rt rt;
	pthread_t rt_thread, app_thread;
	int app_fd;
	const struct script *script;
	size_t piece;
	struct buf app_got;
	pthread_mutex_t lock; /* guards app_got, answered */
	pthread_cond_t cond;
	int answered;
};

static void send_pieces(int fd, const char *text, size_t piece)
{
	for (size_t n = strlen(text), at = 0; at < n; at += piece)
		if (send(fd, text + at, n - at < piece ? n - at : piece, MSG_NOSIGNAL) < 0)
			return;
}

/* One connection at a time: takes the request, answers by the script, closes. */
static void *run_app(void *arg)
{
	struct fixture *f = arg;
	int fd;

	while ((fd = accept(f->app_fd, NULL, NULL)) >= 0) {
		const struct script *s = f->script;
		struct buf got = {0};
		char data[4096];
		const int on = 1;
		ssize_t n = 1;

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		while (n > 0 && !(strstr(buf_str(&got), "\r\n\r\n") &&
				  (!s->app_end || (got.len >= strlen(s->app_end) &&
						   !strcmp(got.data + got.len - strlen(s->app_end),
							   s->app_end))))) {
			n = read(fd, data, sizeof data);
			if (n > 0)
				buf_add(&got, data, (size_t)n);
		}
		send_pieces(fd, s->answer, f->piece);
		shutdown(fd, SHUT_WR);
		while (read(fd, data, sizeof data) > 0)
			;
		close(fd);
		pthread_mutex_lock(&f->lock);
		buf_clear(&f->app_got);
		f->app_got = got;
		f->answered++;
		pthread_cond_signal(&f->cond);
		pthread_mutex_unlock(&f->lock);
	}
	return NULL;
}

static void *run_router(void *arg)
{
	rt_run(arg);
	return NULL;
}

/* Publishes one app as paasd does, and waits for the acknowledgement. */
static void publish(struct fixture *f, int port)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	AUTO(buf_clear) struct buf b = {0};
	size_t mark = wire_begin(&b, ROUTE_APP);
	char back[64];

	wire_u64(&b, R_SEQ, 1);
	wire_str(&b, R_APP_ID, "id");
	wire_u64(&b, R_STATE, ROUTE_SERVING);
	wire_str(&b, R_HOST, "web.localhost");
	wire_str(&b, R_DYNO_ID, "d");
	wire_str(&b, R_DYNO_NAME, "web.1");
	wire_str(&b, R_DYNO_IP, "127.0.0.1");
	wire_u64(&b, R_DYNO_PORT, (uint64_t)port);
	wire_end(&b, mark);
	snprintf(a.sun_path, sizeof a.sun_path, "%s/router.sock", (char *)f->dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(write(fd, b.data, b.len), (ssize_t)b.len);
	assert_true(read(fd, back, sizeof back) > 0);
	close(fd);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	struct err err = {0};

	xlog_setup("test", XLOG_ERROR, false);
	if (tmp_setup(&f->dir) < 0)
		return -1;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->cond, NULL);
	f->app_fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(f->app_fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(f->app_fd, 8) < 0)
		return -1;
	getsockname(f->app_fd, (struct sockaddr *)&a, &len);
	rt_opts_init(&f->rt.opts);
	f->rt.opts.run_dir = f->dir;
	f->rt.opts.workers = 1;
	if (rt_listen_parse(&f->rt, "127.0.0.1:0", &err) < 0 || rt_start(&f->rt, &err) < 0)
		return -1;
	pthread_create(&f->rt_thread, NULL, run_router, &f->rt);
	pthread_create(&f->app_thread, NULL, run_app, f);
	publish(f, ntohs(a.sin_port));
	*state = f;
	return 0;
}

static void quit(void *arg)
{
	rt_quit(arg, 0);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_post(f->rt.main_loop, quit, &f->rt);
	pthread_join(f->rt_thread, NULL);
	rt_stop(&f->rt);
	shutdown(f->app_fd, SHUT_RDWR);
	pthread_join(f->app_thread, NULL);
	close(f->app_fd);
	buf_clear(&f->app_got);
	tmp_teardown(&f->dir);
	free(f);
	return 0;
}

/* The client: everything that comes back until the end of the connection. */
static struct buf ask(struct fixture *f, const struct script *s, size_t piece)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				.sin_port = htons((uint16_t)f->rt.listens[0].port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	const struct timeval limit = {10, 0};
	struct buf got = {0};
	char data[4096];
	const int on = 1;
	ssize_t n;

	f->script = s;
	f->piece = piece;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	send_pieces(fd, s->request, piece);
	if (strstr(s->name, "upgrade"))
		shutdown(fd, SHUT_WR);
	while ((n = read(fd, data, sizeof data)) > 0)
		buf_add(&got, data, (size_t)n);
	assert_int_equal(n, 0);
	close(fd);
	return got;
}

static void check_app(struct fixture *f, const struct script *s, int before)
{
	pthread_mutex_lock(&f->lock);
	while (f->answered == before)
		pthread_cond_wait(&f->cond, &f->lock);
	if (!strstr(buf_str(&f->app_got), s->app_has))
		fail_msg("%s: the app got %s", s->name, buf_str(&f->app_got));
	pthread_mutex_unlock(&f->lock);
}

static void check(struct fixture *f, const struct script *s, size_t piece)
{
	int before = f->answered;
	struct buf got = ask(f, s, piece);

	for (size_t i = 0; i < ARRAY_LEN(s->has) && s->has[i]; i++)
		if (!strstr(buf_str(&got), s->has[i]))
			fail_msg("%s by %zu: no %s in %s", s->name, piece, s->has[i],
				 buf_str(&got));
	if (s->end &&
	    (got.len < strlen(s->end) || strcmp(got.data + got.len - strlen(s->end), s->end) != 0))
		fail_msg("%s by %zu: wrong end of %s", s->name, piece, buf_str(&got));
	if (s->app_has)
		check_app(f, s, before);
	buf_clear(&got);
}

static void scripts_play_the_same_in_any_pieces(void **state)
{
	static const size_t pieces[] = {1, 2, 7, 64, 4096};

	for (size_t i = 0; i < ARRAY_LEN(scripts); i++)
		for (size_t p = 0; p < ARRAY_LEN(pieces); p++)
			check(*state, &scripts[i], pieces[p]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(scripts_play_the_same_in_any_pieces, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
