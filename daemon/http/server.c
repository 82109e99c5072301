/* server.c - listeners, timeouts, and the end of a server. */
#include "daemon/http/server_int.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static const uint64_t default_ms[T_COUNT] = {
	[T_IDLE] = LIM_HTTP_IDLE_MS,
	[T_HEAD] = LIM_HTTP_HEAD_MS,
	[T_BODY] = 60000,
	[T_HALF] = 1000, /* how often a half-closed client is looked at */
	[T_LINGER] = 2000,
	[T_WRITE] = 60000,
};

/* --- timeouts: one ordered list and one timer a class ------------------------------------------
 */

static void timer_fire(uv_timer_t *t);

static void timer_arm(struct http_server *s, enum timeout_class class)
{
	struct timeout_node *n = TAILQ_FIRST(&s->timeouts[class].list);
	uint64_t now = uv_now(loop_uv(s->loop));

	if (n)
		uv_timer_start(&s->timeouts[class].timer, timer_fire,
			       n->deadline > now ? n->deadline - now : 0, 0);
}

static void timer_fire(uv_timer_t *t)
{
	struct http_server *s = t->data;
	enum timeout_class class = T_IDLE;
	struct timeout_node *n;

	while (&s->timeouts[class].timer != t)
		class ++;
	while ((n = TAILQ_FIRST(&s->timeouts[class].list)) &&
	       n->deadline <= uv_now(loop_uv(s->loop))) {
		http_timeout_clear(n);
		http_conn_timeout(n->conn, class);
	}
	timer_arm(s, class);
}

void http_timeout_clear(struct timeout_node *n)
{
	if (n->class != T_COUNT)
		TAILQ_REMOVE(&n->conn->server->timeouts[n->class].list, n, link);
	n->class = T_COUNT;
}

void http_timeout_set(struct timeout_node *n, struct http_conn *c, enum timeout_class class)
{
	struct http_server *s = c->server;
	struct timeout_list *list = &s->timeouts[class].list;

	http_timeout_clear(n);
	n->conn = c;
	n->class = (uint8_t) class;
	n->deadline = uv_now(loop_uv(s->loop)) + s->timeouts[class].ms;
	TAILQ_INSERT_TAIL(list, n, link);
	/* A timer that runs already fires for an earlier one, or for nothing, and is armed anew. */
	if (!uv_is_active((uv_handle_t *)&s->timeouts[class].timer))
		timer_arm(s, class);
}

void http_server_timeouts(struct http_server *s, const struct http_timeouts *t)
{
	const uint64_t ms[T_COUNT] = {
		[T_IDLE] = t->idle,	[T_HEAD] = t->head,   [T_BODY] = t->body,
		[T_LINGER] = t->linger, [T_WRITE] = t->write,
	};

	for (int i = 0; i < T_COUNT; i++)
		if (ms[i])
			s->timeouts[i].ms = ms[i];
}

/* --- life --------------------------------------------------------------------------------------
 */

struct http_server *http_server_new(struct loop *l, http_handler *fn, void *arg)
{
	struct http_server *s = xcalloc(1, sizeof *s);

	signal(SIGPIPE, SIG_IGN); /* libuv writes with plain write(2) */
	s->loop = l;
	s->handler = fn;
	s->arg = arg;
	s->scratch = xmalloc(HTTP_SCRATCH);
	LIST_INIT(&s->conns);
	LIST_INIT(&s->listeners);
	for (int i = 0; i < T_COUNT; i++) {
		TAILQ_INIT(&s->timeouts[i].list);
		s->timeouts[i].ms = default_ms[i];
		uv_timer_init(loop_uv(l), &s->timeouts[i].timer);
		s->timeouts[i].timer.data = s;
		s->handles++;
	}
	uv_timer_init(loop_uv(l), &s->stop_timer);
	s->stop_timer.data = s;
	s->handles++;
	return s;
}

void http_handle_closed(struct http_server *s)
{
	assert(s->handles > 0);
	if (--s->handles == 0 && s->stopping) {
		s->stopped = true;
		s->done(s->done_arg); /* may free s */
	}
}

static void timer_closed(uv_handle_t *h)
{
	http_handle_closed(h->data);
}

static void listener_closed(uv_handle_t *h)
{
	struct http_listener *l = h->data;
	struct http_server *s = l->server;

	free(l->path);
	free(l);
	http_handle_closed(s);
}

static void listener_stop(struct http_listener *l)
{
	LIST_REMOVE(l, link);
	if (l->path)
		unlink(l->path);
	uv_close(&l->uv.handle, listener_closed);
}

/* Once the last connection is gone nothing but the timers keeps the server. */
static void timers_close(struct http_server *s)
{
	for (int i = 0; i < T_COUNT; i++)
		uv_close((uv_handle_t *)&s->timeouts[i].timer, timer_closed);
	uv_close((uv_handle_t *)&s->stop_timer, timer_closed);
}

static void conns_stop(struct http_server *s, bool now)
{
	struct http_conn *c = LIST_FIRST(&s->conns);

	while (c) {
		struct http_conn *next = LIST_NEXT(c, link);

		http_conn_stop(c, now);
		c = next;
	}
}

void http_server_conn_gone(struct http_server *s)
{
	if (s->stopping && LIST_EMPTY(&s->conns) && !uv_is_closing((uv_handle_t *)&s->stop_timer))
		timers_close(s);
}

static void stop_now(uv_timer_t *t)
{
	conns_stop(t->data, true);
}

void http_server_stop(struct http_server *s, uint64_t ms, void (*done)(void *arg), void *arg)
{
	ASSERT_ON(s->loop);
	assert(!s->stopping);
	s->stopping = true;
	s->done = done;
	s->done_arg = arg;
	while (!LIST_EMPTY(&s->listeners))
		listener_stop(LIST_FIRST(&s->listeners));
	uv_timer_start(&s->stop_timer, stop_now, ms, 0);
	conns_stop(s, false);
	http_server_conn_gone(s);
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	assert(s->stopped);
	free(s->scratch);
	free(s);
}

/* --- listening ---------------------------------------------------------------------------------
 */

static void on_connection(uv_stream_t *stream, int status)
{
	if (status == 0)
		http_conn_accept(stream->data);
}

static struct http_listener *listener_new(struct http_server *s, bool is_unix)
{
	struct http_listener *l = xcalloc(1, sizeof *l);

	l->server = s;
	l->is_unix = is_unix;
	if (is_unix)
		uv_pipe_init(loop_uv(s->loop), &l->uv.pipe, 0);
	else
		uv_tcp_init(loop_uv(s->loop), &l->uv.tcp);
	l->uv.handle.data = l;
	s->handles++;
	LIST_INSERT_HEAD(&s->listeners, l, link);
	return l;
}

static int listener_start(struct http_listener *l, int r, const char *where, struct err *err)
{
	if (r == 0)
		r = uv_listen(&l->uv.stream, 512, on_connection);
	if (r == 0)
		return 0;
	listener_stop(l);
	return err_set(err, ERR_IO, "listening on %s: %s", where, uv_strerror(r));
}

/* A socket file that nobody serves any more is in the way of bind(); a live one is another daemon.
 */
static int clear_stale(const struct sockaddr_un *sa, struct err *err)
{
	AUTO(auto_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_errno(err, "socket");
	if (connect(fd, (const struct sockaddr *)sa, sizeof *sa) == 0 || errno == EAGAIN)
		return err_set(err, ERR_CONFLICT, "%s is in use", sa->sun_path);
	if (errno == ECONNREFUSED)
		unlink(sa->sun_path);
	return 0;
}

static int listen_unix(struct http_server *s, const char *path, struct err *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	AUTO(auto_fd) int fd = -1;
	struct http_listener *l;
	int r;

	if (strlen(path) >= sizeof sa.sun_path)
		return err_set(err, ERR_CONFIG, "socket path is too long: %s", path);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	if (clear_stale(&sa, err) < 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* The mode of the descriptor is the file's from its first moment. */
	if (fd < 0 || fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0)
		return err_errno(err, "binding %s", path);
	l = listener_new(s, true);
	l->path = xstrdup(path);
	r = uv_pipe_open(&l->uv.pipe, fd);
	if (r == 0)
		fd = -1;
	return listener_start(l, r, path, err);
}

static int tcp_port(struct http_listener *l)
{
	struct sockaddr_storage sa;
	int n = sizeof sa;

	if (uv_tcp_getsockname(&l->uv.tcp, (struct sockaddr *)&sa, &n) != 0)
		return 0;
	if (sa.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&sa)->sin6_port);
	return ntohs(((struct sockaddr_in *)&sa)->sin_port);
}

static int listen_tcp(struct http_server *s, const char *where, int *port, struct err *err)
{
	const char *colon = strrchr(where, ':');
	struct sockaddr_storage sa;
	struct http_listener *l;
	char host[64];
	char *end;
	long n = colon ? strtol(colon + 1, &end, 10) : -1;
	size_t len = colon ? (size_t)(colon - where) : 0;
	int r;

	if (n < 0 || n > 65535 || end == colon + 1 || *end || len >= sizeof host)
		return err_set(err, ERR_CONFIG, "not an address to listen on: %s", where);
	memcpy(host, where, len);
	host[len] = 0;
	if (uv_ip4_addr(host, (int)n, (struct sockaddr_in *)&sa) != 0 &&
	    uv_ip6_addr(host, (int)n, (struct sockaddr_in6 *)&sa) != 0)
		return err_set(err, ERR_CONFIG, "not an address to listen on: %s", where);
	l = listener_new(s, false);
	r = uv_tcp_bind(&l->uv.tcp, (struct sockaddr *)&sa, 0);
	if (listener_start(l, r, where, err) < 0)
		return -1;
	if (port)
		*port = tcp_port(l);
	return 0;
}

int http_server_listen(struct http_server *s, const char *where, int *port, struct err *err)
{
	assert(!s->stopping);
	if (strncmp(where, "unix:", 5) == 0)
		return listen_unix(s, where + 5, err);
	return listen_tcp(s, where, port, err);
}
