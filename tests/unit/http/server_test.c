/* The server driven over real sockets: its loop in one thread, clients in this one, answering code
 * in threads of its own. Run under ASan and TSan. */
#include "daemon/http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#include <cmocka.h>
#include "daemon/core/codec.h"
#include "daemon/core/pool.h"

#define DEADLINE_MS 20000
#define BIG	    (5 * 1024 * 1024)

struct fixture {
	struct loop *loop;
	struct http_server *server;
	int port;
	char dir[64], path[128];
	struct err err;
	int listened;
};

/* What handlers tell the tests. */
static pthread_mutex_t note_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t note_cond = PTHREAD_COND_INITIALIZER;
static int gone_seen, reads_done;
static uint64_t bytes_read;
static char read_error[64];
static int hold; /* threads wait while it is set */
static int held; /* those that have come to it */

static void note(int *what)
{
	pthread_mutex_lock(&note_lock);
	++*what;
	pthread_cond_broadcast(&note_cond);
	pthread_mutex_unlock(&note_lock);
}

static void wait_for(int *what, int value)
{
	struct timespec until;
	int got;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += DEADLINE_MS / 1000;
	pthread_mutex_lock(&note_lock);
	while (*what != value)
		if (pthread_cond_timedwait(&note_cond, &note_lock, &until) == ETIMEDOUT)
			break;
	got = *what;
	pthread_mutex_unlock(&note_lock); /* before an assert leaves */
	assert_int_equal(got, value);
}

static void set(int *what, int value)
{
	pthread_mutex_lock(&note_lock);
	*what = value;
	pthread_cond_broadcast(&note_cond);
	pthread_mutex_unlock(&note_lock);
}

/* For threads of handlers: no asserts there. */
static void wait_while_held(void)
{
	note(&held);
	pthread_mutex_lock(&note_lock);
	while (hold)
		pthread_cond_wait(&note_cond, &note_lock);
	pthread_mutex_unlock(&note_lock);
}

/* --- handlers ----------------------------------------------------------------------------------
 */

static void hello(struct http_x *x)
{
	http_set(x, "X-Injected", "a\r\nSet-Cookie: b");
	http_reply(x, 200, "text/plain", "hello\n", 6);
}

static void info(struct http_x *x)
{
	char *text = http_alloc(x, 4096);
	int n = snprintf(text, 4096, "%s %s ?%s host=%s peer=%s scheme=%s id=%s range=%s",
			 http_method(x), http_path(x), http_query(x), http_host(x), http_peer(x),
			 http_scheme(x), http_request_id(x),
			 http_header(x, "range") ? http_header(x, "range") : "none");

	http_reply(x, 200, "text/plain", text, (size_t)n);
}

static void echo_thread(void *arg)
{
	struct http_x *x = arg;
	AUTO(buf_clear) struct buf body = {0};
	struct err err;

	wait_while_held();
	if (http_read_all(x, &body, &err) < 0) {
		http_reply_err(x, &err);
		return;
	}
	http_reply(x, 200, "application/octet-stream", body.data, body.len);
}

static void stream_thread(void *arg)
{
	struct http_x *x = arg;
	char line[32];

	http_respond(x, 200, "text/plain");
	for (int i = 0; i < 1000; i++) {
		int n = snprintf(line, sizeof line, "line %d\n", i);

		if (http_write(x, line, (size_t)n) < 0)
			break;
	}
	http_end(x);
}

struct duplex {
	struct http_x *x;
	atomic_bool read_all;
	atomic_int parts;
};

static void duplex_drop(struct duplex *d)
{
	if (atomic_fetch_sub(&d->parts, 1) == 1) {
		http_end(d->x);
		free(d);
	}
}

static void duplex_writer(void *arg)
{
	struct duplex *d = arg;
	bool last;

	do {
		last = atomic_load(&d->read_all);
		if (http_write(d->x, "progress\n", 9) < 0)
			break;
		usleep(1000);
	} while (!last);
	duplex_drop(d);
}

static void duplex_reader(void *arg)
{
	struct duplex *d = arg;
	char piece[50000];
	struct err err = {0};
	uint64_t sum = 0;
	ssize_t n;

	http_set_max_body(d->x, 1ull << 30);
	http_respond(d->x, 200, "text/plain");
	thread_start("writer", duplex_writer, d);
	while ((n = http_read(d->x, piece, sizeof piece, &err)) > 0)
		sum += (uint64_t)n;
	pthread_mutex_lock(&note_lock);
	bytes_read = sum;
	snprintf(read_error, sizeof read_error, "%s", n < 0 ? err.id : "");
	pthread_mutex_unlock(&note_lock);
	note(&reads_done);
	atomic_store(&d->read_all, true);
	duplex_drop(d);
}

static void duplex(struct http_x *x)
{
	struct duplex *d = xcalloc(1, sizeof *d);

	d->x = x;
	atomic_init(&d->parts, 2);
	http_detach(x);
	thread_start("reader", duplex_reader, d);
}

static void flood_thread(void *arg)
{
	struct http_x *x = arg;
	static const char block[32768];

	http_respond(x, 200, "text/plain");
	while (http_write(x, block, sizeof block) == 0)
		;
	if (http_client_gone(x))
		note(&gone_seen);
	http_end(x);
}

static void abort_thread(void *arg)
{
	struct http_x *x = arg;

	http_respond(x, 200, "text/plain");
	http_write(x, "some", 4);
	http_abort(x);
}

static void silent_thread(void *arg)
{
	http_end(arg);
}

/* Pushes BIG bytes from the loop, never more than the queue wants. */
struct pusher {
	size_t left;
};

static void push_more(struct http_x *x, void *arg)
{
	struct pusher *p = arg;
	static char block[16384];

	memset(block, 'p', sizeof block);
	while (p->left) {
		size_t n = p->left < sizeof block ? p->left : sizeof block;

		p->left -= n;
		if (http_push(x, block, n) > 64 * 1024)
			return;
	}
	http_on_drain(x, NULL, NULL);
	http_end(x);
}

static void end_when_gone(struct http_x *x, void *arg)
{
	http_end(x);
}

static void push(struct http_x *x)
{
	struct pusher *p = http_alloc(x, sizeof *p);

	p->left = BIG;
	http_respond(x, 200, NULL);
	http_on_drain(x, push_more, p);
	http_on_gone(x, end_when_gone, NULL);
	push_more(x, p);
}

static void tail_gone(struct http_x *x, void *arg)
{
	note(&gone_seen);
	http_end(x);
}

static void tail(struct http_x *x)
{
	http_respond(x, 200, "text/event-stream");
	http_push(x, ": hi\n", 5);
	http_on_gone(x, tail_gone, NULL);
}

static void raw_data(struct http_x *x, const char *p, size_t n, void *arg)
{
	if (p)
		http_push(x, p, n);
	else
		http_end(x);
}

static void upgrade(struct http_x *x)
{
	http_set(x, "X-Extra", "1");
	http_on_gone(x, end_when_gone, NULL);
	http_upgrade(x, "echo", raw_data, NULL);
}

static void big(struct http_x *x)
{
	char *body = xmalloc(BIG);

	memset(body, 'b', BIG);
	http_reply(x, 200, NULL, body, BIG);
	free(body);
}

static void counted_thread(void *arg)
{
	struct http_x *x = arg;

	http_set(x, "Content-Length", "10");
	http_respond(x, 200, NULL);
	http_write(x, "hello", 5);
	if (strcmp(http_query(x), "short") != 0)
		http_write(x, "world", 5);
	http_end(x);
}

static void gone_204(struct http_x *x)
{
	http_reply(x, 204, NULL, NULL, 0);
}

static void early(struct http_x *x)
{
	http_reply(x, 401, "text/plain", "who?\n", 5);
}

static const struct {
	const char *path;
	void (*on_loop)(struct http_x *x);
	void (*thread)(void *arg);
} handlers[] = {
	{"/hello", hello, NULL},
	{"/info", info, NULL},
	{"/early", early, NULL},
	{"/duplex", duplex, NULL},
	{"/push", push, NULL},
	{"/tail", tail, NULL},
	{"/upgrade", upgrade, NULL},
	{"/big", big, NULL},
	{"/none", gone_204, NULL},
	{"/echo", NULL, echo_thread},
	{"/stream", NULL, stream_thread},
	{"/flood", NULL, flood_thread},
	{"/abort", NULL, abort_thread},
	{"/silent", NULL, silent_thread},
	{"/counted", NULL, counted_thread},
};

static void handle(struct http_x *x, void *arg)
{
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
		if (strcmp(http_path(x), handlers[i].path) != 0)
			continue;
		if (handlers[i].on_loop) {
			handlers[i].on_loop(x);
			return;
		}
		http_detach(x);
		thread_start("answer", handlers[i].thread, x);
		return;
	}
	err_not_found(&err, "page");
	http_reply_err(x, &err);
}

/* --- fixture -----------------------------------------------------------------------------------
 */

static void start_server(void *arg)
{
	struct fixture *f = arg;
	AUTO(auto_str) char *where = xasprintf("unix:%s", f->path);

	f->server = http_server_new(f->loop, handle, NULL);
	http_server_timeouts(
		f->server,
		&(struct http_timeouts){
			.idle = 2000, .head = 300, .body = 500, .write = 1000, .linger = 500});
	f->listened = http_server_listen(f->server, "127.0.0.1:0", &f->port, &f->err);
	if (f->listened == 0)
		f->listened = http_server_listen(f->server, where, NULL, &f->err);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);

	gone_seen = reads_done = hold = held = 0;
	strcpy(f->dir, "/tmp/http-test-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->path, sizeof f->path, "%s/s", f->dir);
	f->loop = loop_new("http");
	loop_start_thread(f->loop);
	loop_call(f->loop, start_server, f);
	if (f->listened < 0)
		print_error("%s\n", f->err.msg);
	*state = f;
	return f->listened;
}

static int stopped;

static void on_stopped(void *arg)
{
	struct fixture *f = arg;

	http_server_free(f->server);
	note(&stopped);
}

static void stop_server(void *arg)
{
	struct fixture *f = arg;

	http_server_stop(f->server, 200, on_stopped, f);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	set(&stopped, 0);
	loop_call(f->loop, stop_server, f);
	wait_for(&stopped, 1);
	loop_stop(f->loop);
	loop_join(f->loop);
	loop_free(f->loop);
	assert_int_equal(access(f->path, F_OK), -1);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

/* --- clients -----------------------------------------------------------------------------------
 */

static int dial(struct fixture *f, bool tcp)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)f->port)};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct timeval tv = {.tv_sec = DEADLINE_MS / 1000};
	int fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	strcpy(un.sun_path, f->path);
	if (tcp)
		assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
	else
		assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof un), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	return fd;
}

static void send_n(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t r = send(fd, p, n, MSG_NOSIGNAL);

		assert_true(r > 0);
		p += r;
		n -= (size_t)r;
	}
}

static void send_s(int fd, const char *s)
{
	send_n(fd, s, strlen(s));
}

/* Reads until `mark` has come (NULL: until the end). 0, or errno that ended it. */
static int receive(int fd, struct buf *out, const char *mark)
{
	char piece[4096];
	ssize_t n;

	while (!mark || !strstr(buf_str(out), mark)) {
		n = recv(fd, piece, sizeof piece, 0);
		if (n < 0)
			return errno;
		if (n == 0)
			return 0;
		buf_add(out, piece, (size_t)n);
	}
	return 0;
}

/* One connection: sends, reads to the end. The caller frees. */
static char *talk(struct fixture *f, bool tcp, const char *request)
{
	AUTO(auto_fd) int fd = dial(f, tcp);
	struct buf out = {0};

	send_s(fd, request);
	assert_int_equal(receive(fd, &out, NULL), 0);
	return buf_steal(&out);
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%.2000s", part, text);
}

static void assert_lacks(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" in:\n%.2000s", part, text);
}

static int count(const char *text, const char *part)
{
	int n = 0;

	for (const char *p = text; (p = strstr(p, part)); p += strlen(part))
		n++;
	return n;
}

#define H    "Host: a\r\n"
#define LAST H "Connection: close\r\n"

/* --- tests -------------------------------------------------------------------------------------
 */

static void simple_requests_are_answered(void **state)
{
	struct fixture *f = *state;

	for (int tcp = 0; tcp <= 1; tcp++) {
		AUTO(auto_str) char *a = talk(f, tcp, "GET /hello HTTP/1.1\r\n" LAST "\r\n");

		assert_has(a, "HTTP/1.1 200 OK\r\n");
		assert_has(a, "\r\nDate: ");
		assert_has(a, " GMT\r\n");
		assert_has(a, "\r\nContent-Length: 6\r\n");
		assert_has(a, "\r\nConnection: close\r\n");
		assert_has(a, "\r\nX-Injected: a  Set-Cookie: b\r\n");
		assert_has(a, "\r\n\r\nhello\n");
	}
}

static void socket_is_private(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void errors_are_json(void **state)
{
	struct fixture *f = *state;
	AUTO(auto_str) char *a = talk(f, false, "GET /x HTTP/1.1\r\n" LAST "\r\n");
	AUTO(auto_str) char *b = talk(f, false, "GET /x HTTP/1.1\r\n\r\n");
	AUTO(auto_str) char *c = talk(f, false, "GET /silent HTTP/1.1\r\n" LAST "\r\n");
	AUTO(auto_str)
	char *d = talk(f, false,
		       "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\nab");

	assert_has(a, "HTTP/1.1 404 Not Found\r\n");
	assert_has(a, "{\"id\":\"not_found\",\"message\":\"Couldn't find that page.\","
		      "\"resource\":\"page\"}");
	assert_has(b, "HTTP/1.1 400 Bad Request\r\n");
	assert_has(b, "Connection: close\r\n");
	assert_has(b, "{\"id\":\"bad_request\",\"message\":\"Host is missing\"}");
	assert_has(c, "HTTP/1.1 500 ");
	assert_has(c, "internal_server_error");
	assert_has(d, "HTTP/1.1 400 Bad Request\r\n");
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_clear) struct buf req = {0};
	AUTO(auto_str) char *a = NULL;
	const char *p;

	for (int i = 0; i < 500; i++)
		buf_addf(&req,
			 i % 3 == 0   ? "GET /info?%d HTTP/1.1\r\n" H "\r\n"
			 : i % 3 == 1 ? "POST /echo?%d HTTP/1.1\r\n" H
					"Content-Length: 3\r\n\r\nabc\r\n"
				      : "GET /stream?%d HTTP/1.1\r\n" H "\r\n",
			 i);
	buf_adds(&req, "GET /info?end HTTP/1.1\r\n" LAST "\r\n");
	a = talk(f, true, buf_str(&req));
	assert_int_equal(count(a, "HTTP/1.1 200 OK\r\n"), 501);
	assert_int_equal(count(a, "\r\n\r\nabc"), 167);
	assert_int_equal(count(a, "line 999\n"), 166);
	p = strstr(a, "?495 host");
	assert_non_null(p);
	assert_non_null(strstr(p, "?498 host"));
	assert_has(p, "?end host");
}

static void half_closed_clients_are_answered(void **state)
{
	struct fixture *f = *state;

	for (int tcp = 0; tcp <= 1; tcp++) {
		AUTO(auto_fd) int fd = dial(f, tcp);
		AUTO(buf_clear) struct buf out = {0};

		set(&hold, 1);
		send_s(fd, "POST /echo HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nhi"
			   "GET /hello HTTP/1.1\r\n" H "\r\n");
		shutdown(fd, SHUT_WR);
		usleep(50000); /* the server sees the end before the answer is made */
		set(&hold, 0);
		assert_int_equal(receive(fd, &out, NULL), 0);
		assert_has(out.data, "\r\n\r\nhiHTTP/1.1 200 OK");
		assert_has(out.data, "hello\n");
	}
}

static void bodies_are_read(void **state)
{
	struct fixture *f = *state;
	AUTO(auto_str)
	char *a = talk(f, true,
		       "PUT /echo HTTP/1.1\r\n" LAST "Transfer-Encoding: chunked\r\n\r\n"
		       "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
	AUTO(auto_str)
	char *b = talk(f, true, "DELETE /echo HTTP/1.1\r\n" LAST "Content-Length: 0\r\n\r\n");
	AUTO(auto_str) char *c = talk(f, true, "GET /echo HTTP/1.1\r\n" LAST "\r\n");

	assert_has(a, "\r\n\r\nhello world");
	assert_has(b, "200 OK");
	assert_has(b, "Content-Length: 0\r\n");
	assert_has(c, "Content-Length: 0\r\n");
}

static void continue_is_sent_when_the_body_is_wanted(void **state)
{
	struct fixture *f = *state;
	AUTO(auto_fd) int fd = dial(f, true);
	AUTO(buf_clear) struct buf out = {0};
	AUTO(auto_str)
	char *refused = talk(f, true,
			     "PUT /early HTTP/1.1\r\n" H
			     "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");

	send_s(fd,
	       "PUT /echo HTTP/1.1\r\n" LAST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	receive(fd, &out, "\r\n\r\n");
	assert_string_equal(buf_str(&out), "HTTP/1.1 100 Continue\r\n\r\n");
	send_s(fd, "hello");
	receive(fd, &out, NULL);
	assert_has(out.data, "200 OK");
	assert_has(out.data, "\r\n\r\nhello");
	assert_lacks(refused, "100 Continue");
	assert_has(refused, "401 Unauthorized");
	assert_has(refused, "Connection: close");
}

static void gzip(const char *in, size_t n, struct buf *out)
{
	z_stream z = {0};

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	buf_reserve(out, n + 1000);
	z.next_in = (unsigned char *)(uintptr_t)in;
	z.avail_in = (unsigned)n;
	z.next_out = (unsigned char *)out->data + out->len;
	z.avail_out = (unsigned)(out->cap - out->len - 1);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out->len += z.total_out;
	out->data[out->len] = 0;
	deflateEnd(&z);
}

static char *send_gzip(struct fixture *f, const struct buf *body, const char *coding)
{
	AUTO(auto_fd) int fd = dial(f, true);
	AUTO(auto_str)
	char *head = xasprintf("POST /echo HTTP/1.1\r\n" LAST
			       "Content-Encoding: %s\r\nContent-Length: %zu\r\n\r\n",
			       coding, body->len);
	struct buf out = {0};

	send_s(fd, head);
	send_n(fd, body->data, body->len);
	assert_int_equal(receive(fd, &out, NULL), 0);
	return buf_steal(&out);
}

static void gzip_bodies_are_inflated_with_a_cap(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_clear) struct buf text = {0};
	AUTO(buf_clear) struct buf two = {0};
	AUTO(buf_clear) struct buf bomb = {0};
	AUTO(auto_str) char *zeros = xcalloc(1, 8 << 20);
	AUTO(auto_str) char *a = NULL;
	AUTO(auto_str) char *b = NULL;
	AUTO(auto_str) char *c = NULL;
	AUTO(auto_str) char *d = NULL;
	AUTO(auto_str) char *e = NULL;

	for (int i = 0; i < 20000; i++)
		buf_addf(&text, "line %d\n", i % 100);
	gzip(text.data, text.len, &two);
	gzip("end\n", 4, &two);
	a = send_gzip(f, &two, "x-gzip");
	buf_adds(&text, "end\n");
	assert_has(a, "200 OK");
	assert_string_equal(strstr(a, "\r\n\r\n") + 4, text.data);
	two.len -= 3;
	b = send_gzip(f, &two, "gzip");
	assert_has(b, "400 Bad Request");
	c = send_gzip(f, &text, "gzip");
	assert_has(c, "400 Bad Request");
	gzip(zeros, 8 << 20, &bomb);
	d = send_gzip(f, &bomb, "gzip");
	assert_has(d, "413 ");
	e = send_gzip(f, &text, "br");
	assert_has(e, "415 ");
}

static void early_answers_are_not_lost(void **state)
{
	struct fixture *f = *state;
	AUTO(auto_fd) int fd = dial(f, true);
	AUTO(buf_clear) struct buf out = {0};
	static char block[1 << 20];
	ssize_t r = 1;

	send_s(fd, "POST /early HTTP/1.1\r\n" H "Content-Length: 1000000000\r\n\r\n");
	for (int i = 0; i < 8 && r > 0; i++) /* an honest client goes on for a while */
		r = send(fd, block, sizeof block, MSG_NOSIGNAL);
	assert_true(r > 0);
	shutdown(fd, SHUT_WR);
	assert_int_equal(receive(fd, &out, NULL), 0);
	assert_has(out.data, "401 Unauthorized");
	assert_has(out.data, "Connection: close");
}

/* The small rest of a body is read away; the connection serves on. */
static void early_answers_to_small_bodies_keep_the_connection(void **state)
{
	struct fixture *f = *state;
	AUTO(auto_fd) int fd = dial(f, true);
	AUTO(buf_clear) struct buf out = {0};

	send_s(fd, "POST /early HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\n12");
	receive(fd, &out, "who?\n");
	assert_lacks(out.data, "Connection: close");
	send_s(fd, "34567890GET /hello HTTP/1.1\r\n" LAST "\r\n");
	assert_int_equal(receive(fd, &out, NULL), 0);
	assert_has(out.data, "hello\n");
}

static void http10_is_served(void **state)
{
	struct fixture *f = *state;
	AUTO(auto_str) char *a = talk(f, true, "GET /stream HTTP/1.0\r\n\r\n");
	AUTO(auto_str)
	char *b = talk(f, true,
		       "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
		       "GET /hello HTTP/1.0\r\n\r\n");

	assert_lacks(a, "Transfer-Encoding");
	assert_has(a, "Connection: close\r\n");
	assert_has(a, "\r\n\r\nline 0\n");
	assert_has(a, "line 999\n");
	assert_int_equal(count(b, "hello\n"), 2);
	assert_int_equal(count(b, "Connection: keep-alive"), 1);
}

static void streams_are_chunked(void **state)
{
	struct fixture *f = *state;
	AUTO(auto_str) char *a = talk(f, true, "GET /stream HTTP/1.1\r\n" LAST "\r\n");
	AUTO(auto_str) char *b = talk(f, true, "GET /counted HTTP/1.1\r\n" LAST "\r\n");
	AUTO(auto_str) char *c = talk(f, false, "GET /counted?short HTTP/1.1\r\n" LAST "\r\n");

	assert_has(a, "Transfer-Encoding: chunked\r\n");
	assert_has(a, "\r\n\r\n7\r\nline 0\n\r\n");
	assert_has(a, "\r\n0\r\n\r\n");
	assert_has(b, "Content-Length: 10\r\n");
	assert_lacks(b, "Transfer-Encoding");
	assert_has(b, "\r\n\r\nhelloworld");
	assert_lacks(c, "world");
}

static void bodyless_answers_have_none(void **state)
{
	struct fixture *f = *state;
	AUTO(auto_str)
	char *a = talk(f, true,
		       "HEAD /hello HTTP/1.1\r\n" H "\r\n"
		       "HEAD /stream HTTP/1.1\r\n" H "\r\n"
		       "GET /none HTTP/1.1\r\n" H "\r\n"
		       "HEAD / HTTP/1.1\r\n" LAST "\r\n");

	assert_int_equal(count(a, "HTTP/1.1 "), 4);
	assert_has(a, "Content-Length: 6\r\n");
	assert_lacks(a, "hello\n");
	assert_lacks(a, "line");
	assert_lacks(a, "chunked");
	assert_lacks(a, "not_found");
	assert_has(a, "204 No Content");
}

static void aborted_answers_are_seen_to_fail(void **state)
{
	struct fixture *f = *state;
	AUTO(auto_fd) int fd = dial(f, true);
	AUTO(buf_clear) struct buf out = {0};

	send_s(fd, "GET /abort HTTP/1.1\r\n" H "\r\n");
	receive(fd, &out, NULL);
	assert_lacks(buf_str(&out), "\r\n0\r\n\r\n");
}

static void large_answers_arrive(void **state)
{
	struct fixture *f = *state;
	static const char *const paths[] = {"/big", "/push"};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		AUTO(auto_str) char *req = xasprintf("GET %s HTTP/1.0\r\n\r\n", paths[i]);
		AUTO(auto_str) char *a = talk(f, i == 0, req);

		assert_int_equal(strlen(strstr(a, "\r\n\r\n") + 4), BIG);
	}
}

/* The reader sees all of a large body while another thread writes to the same exchange. */
static void both_directions_flow_at_once(void **state)
{
	struct fixture *f = *state;
	AUTO(auto_fd) int fd = dial(f, false);
	AUTO(buf_clear) struct buf out = {0};
	static char chunk[65536];
	const int chunks = 400; /* 26 MB through a pipe of 128 KiB */
	time_t until = time(NULL) + DEADLINE_MS / 1000;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	send_s(fd, "POST /duplex HTTP/1.1\r\n" LAST "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < chunks; i++) {
		struct {
			const char *p;
			size_t n;
		} part[] = {{"10000\r\n", 7}, {chunk, sizeof chunk}, {"\r\n", 2}};

		for (size_t k = 0; k < 3; k++) {
			while (part[k].n) {
				struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
				char in[4096];
				ssize_t r;

				assert_true(poll(&p, 1, DEADLINE_MS) > 0);
				assert_true(time(NULL) < until); /* progress alone is not it */
				if (p.revents & POLLIN) {
					r = recv(fd, in, sizeof in, 0);
					assert_true(r > 0);
					buf_add(&out, in, (size_t)r);
				}
				r = send(fd, part[k].p, part[k].n, MSG_NOSIGNAL);
				if (r > 0) {
					part[k].p += r;
					part[k].n -= (size_t)r;
				}
			}
		}
	}
	fcntl(fd, F_SETFL, 0);
	send_s(fd, "0\r\n\r\n");
	assert_int_equal(receive(fd, &out, NULL), 0);
	assert_has(out.data, "progress\n");
	assert_has(out.data, "\r\n0\r\n\r\n");
	wait_for(&reads_done, 1);
	assert_int_equal(bytes_read, sizeof chunk * (size_t)chunks);
	assert_string_equal(read_error, "");
}

static void cut_bodies_are_told(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f, true);

	send_s(fd, "POST /duplex HTTP/1.1\r\n" H "Content-Length: 100\r\n\r\nonly this");
	close(fd);
	wait_for(&reads_done, 1);
	assert_string_equal(read_error, "bad_request");
	assert_int_equal(bytes_read, 9);
}

static void slow_bodies_time_out(void **state)
{
	struct fixture *f = *state;
	AUTO(auto_str)
	char *a = talk(f, true, "POST /echo HTTP/1.1\r\n" H "Content-Length: 100\r\n\r\nonly this");

	assert_has(a, "504 ");
	assert_has(a, "\"timeout\"");
}

static void slow_heads_time_out(void **state)
{
	struct fixture *f = *state;
	AUTO(auto_str) char *a = talk(f, true, "GET / HTTP/1.1\r\nHo");
	AUTO(auto_str) char *b = talk(f, true, ""); /* idle: closed without a word */

	assert_has(a, "408 Request Timeout");
	assert_string_equal(b, "");
}

static void writers_see_that_the_client_has_gone(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f, true);
	AUTO(buf_clear) struct buf out = {0};

	send_s(fd, "GET /flood HTTP/1.1\r\n" H "\r\n");
	receive(fd, &out, "200 OK");
	close(fd);
	wait_for(&gone_seen, 1);
}

/* A client that takes nothing is cut off; meanwhile the writer waits in bounded memory. */
static void clients_that_do_not_read_are_dropped(void **state)
{
	struct fixture *f = *state;
	AUTO(auto_fd) int fd = dial(f, true);

	send_s(fd, "GET /flood HTTP/1.1\r\n" H "\r\n");
	wait_for(&gone_seen, 1);
}

/* Closed for good on a unix socket is seen without writing, also after a half-close. */
static void idle_streams_see_that_the_client_has_gone(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f, false);
	AUTO(buf_clear) struct buf out = {0};

	send_s(fd, "GET /tail HTTP/1.1\r\n" H "\r\n");
	receive(fd, &out, ": hi\n");
	shutdown(fd, SHUT_WR);
	usleep(100000);
	assert_int_equal(gone_seen, 0);
	close(fd);
	wait_for(&gone_seen, 1);
}

static void upgrades_carry_bytes_both_ways(void **state)
{
	struct fixture *f = *state;
	AUTO(auto_fd) int fd = dial(f, false);
	AUTO(buf_clear) struct buf out = {0};
	AUTO(auto_str) char *refused = talk(f, false, "GET /upgrade HTTP/1.1\r\n" H "\r\n");

	send_s(fd,
	       "GET /upgrade HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: echo\r\n\r\nfirst");
	receive(fd, &out, "first");
	assert_has(out.data, "HTTP/1.1 101 Switching Protocols\r\n");
	assert_has(out.data, "Upgrade: echo\r\nConnection: Upgrade\r\n\r\nfirst");
	assert_has(out.data, "X-Extra: 1\r\n");
	send_s(fd, "GET /hello HTTP/1.1\r\n\r\n"); /* no longer HTTP */
	receive(fd, &out, "/hello HTTP/1.1\r\n\r\n");
	shutdown(fd, SHUT_WR);
	assert_int_equal(receive(fd, &out, NULL), 0);
	assert_lacks(out.data, "200 OK");
	assert_has(refused, "426 Upgrade Required");
}

static void identity_is_the_routers_word(void **state)
{
	struct fixture *f = *state;
	static const char req[] =
		"GET /info?q=1 HTTP/1.1\r\nHost: Ex.com:80\r\nConnection: close\r\n"
		"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 1.1.1.1, 9.8.7.6\r\n"
		"X-Forwarded-Proto: https\r\nRange:\r\n"
		"X-Request-Id: 01234567890123456789\r\n\r\n";
	AUTO(auto_str) char *a = talk(f, false, req);
	AUTO(auto_str) char *b = talk(f, true, req);
	AUTO(auto_str)
	char *c = talk(f, false, "GET /info HTTP/1.1\r\n" LAST "X-Request-Id: short\r\n\r\n");

	assert_has(a, "GET /info ?q=1 host=Ex.com:80 peer=9.8.7.6 scheme=https "
		      "id=01234567890123456789 range=");
	assert_lacks(a, "range=none");
	assert_has(b, "peer=127.0.0.1 scheme=http id=01234567890123456789");
	assert_lacks(c, "id=short");
	assert_has(c, "peer=unknown scheme=http id=");
}

/* Stopping while threads still write and read: they see the client gone, and end in peace. */
static void stop_orphans_what_is_open(void **state)
{
	struct fixture *f = *state;
	AUTO(auto_fd) int fd = dial(f, true);
	AUTO(auto_fd) int fd2 = dial(f, true);
	AUTO(auto_fd) int idle = dial(f, true);
	AUTO(buf_clear) struct buf out = {0};
	AUTO(buf_clear) struct buf none = {0};

	send_s(fd, "GET /flood HTTP/1.1\r\n" H "\r\n");
	send_s(fd2, "POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\n");
	receive(fd, &out, "200 OK");
	set(&stopped, 0);
	loop_call(f->loop, stop_server, f);
	assert_int_equal(receive(idle, &none, NULL), 0);
	wait_for(&stopped, 1);
	loop_stop(f->loop);
	loop_join(f->loop);
	loop_free(f->loop);
	wait_for(&gone_seen, 1);
	receive(fd2, &none, NULL);
	/* a new one for the teardown */
	f->loop = loop_new("http");
	loop_start_thread(f->loop);
	loop_call(f->loop, start_server, f);
}

static void stop_lets_requests_finish(void **state)
{
	struct fixture *f = *state;
	AUTO(auto_fd) int fd = dial(f, true);
	AUTO(buf_clear) struct buf out = {0};

	set(&held, 0);
	set(&hold, 1);
	send_s(fd, "POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc");
	wait_for(&held, 1);
	set(&stopped, 0);
	loop_call(f->loop, stop_server, f);
	set(&hold, 0);
	assert_int_equal(receive(fd, &out, NULL), 0);
	assert_has(out.data, "\r\n\r\nabc");
	assert_has(out.data, "Connection: close");
	wait_for(&stopped, 1);
	loop_call(f->loop, start_server, f);
}

struct client {
	struct fixture *f;
	unsigned seed;
	int bad;
};

/* Random behaviour: complete exchanges, and clients that leave at any moment. */
static void *rude_client(void *arg)
{
	static const char *const requests[] = {
		"GET /hello HTTP/1.1\r\n" LAST "\r\n",
		"GET /stream HTTP/1.1\r\n" LAST "\r\n",
		"GET /big HTTP/1.1\r\n" LAST "\r\n",
		"GET /flood HTTP/1.1\r\n" H "\r\n",
		"POST /duplex HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\nabc",
		"POST /echo HTTP/1.1\r\n" LAST "Content-Length: 3\r\n\r\nabc",
		"GET /tail HTTP/1.1\r\n" H "\r\n",
		"GET /push HTTP/1.1\r\n" LAST "\r\n",
		"GET /abort HTTP/1.1\r\n" LAST "\r\n",
		"GET /upgrade HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: x\r\n\r\nxyz",
	};
	struct client *c = arg;

	for (int i = 0; i < 60; i++) {
		const char *req = requests[(unsigned)rand_r(&c->seed) % ARRAY_LEN(requests)];
		size_t n = strlen(req), cut = (unsigned)rand_r(&c->seed) % (2 * n);
		int fd = dial(c->f, i & 1);
		char in[20000];

		if (cut < n)
			n = cut;
		if (send(fd, req, n, MSG_NOSIGNAL) < 0)
			c->bad++;
		for (int k = rand_r(&c->seed) % 4; k > 0; k--)
			if (recv(fd, in, sizeof in, MSG_DONTWAIT) < 0)
				usleep(500);
		close(fd);
	}
	return NULL;
}

static void clients_may_leave_at_any_moment(void **state)
{
	struct fixture *f = *state;
	struct client c[4];
	pthread_t t[4];
	AUTO(auto_str) char *a = NULL;

	for (unsigned i = 0; i < 4; i++) {
		c[i] = (struct client){f, i + 1, 0};
		pthread_create(&t[i], NULL, rude_client, &c[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(c[i].bad, 0);
	}
	a = talk(f, true, "GET /hello HTTP/1.1\r\n" LAST "\r\n");
	assert_has(a, "hello\n");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(simple_requests_are_answered),
		TEST(socket_is_private),
		TEST(errors_are_json),
		TEST(pipelined_requests_are_answered_in_order),
		TEST(half_closed_clients_are_answered),
		TEST(bodies_are_read),
		TEST(continue_is_sent_when_the_body_is_wanted),
		TEST(gzip_bodies_are_inflated_with_a_cap),
		TEST(early_answers_are_not_lost),
		TEST(early_answers_to_small_bodies_keep_the_connection),
		TEST(http10_is_served),
		TEST(streams_are_chunked),
		TEST(bodyless_answers_have_none),
		TEST(aborted_answers_are_seen_to_fail),
		TEST(large_answers_arrive),
		TEST(both_directions_flow_at_once),
		TEST(cut_bodies_are_told),
		TEST(slow_bodies_time_out),
		TEST(slow_heads_time_out),
		TEST(writers_see_that_the_client_has_gone),
		TEST(clients_that_do_not_read_are_dropped),
		TEST(idle_streams_see_that_the_client_has_gone),
		TEST(upgrades_carry_bytes_both_ways),
		TEST(identity_is_the_routers_word),
		TEST(stop_orphans_what_is_open),
		TEST(stop_lets_requests_finish),
		TEST(clients_may_leave_at_any_moment),
	};

	codec_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
