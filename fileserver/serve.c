/* serve.c - connections of paas-static, one request at a time each; what came of the next waits in
 * `in`. Nothing is read while an answer goes out. */
#include "fileserver/serve.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>

#define SCRATCH	    (16 * 1024)
#define SEND_PIECE  (1024 * 1024) /* then others get their turn */
#define DROP_BODY   (64 * 1024)	  /* bodies of requests are read away up to this */
#define LINGER_MS   2000
#define WRITE_MS    60000
#define SPARE_FILES 32

enum wait_class { W_IDLE, W_HEAD, W_WRITE, W_LINGER, W_COUNT };
static const int64_t wait_ms[W_COUNT] = {LIM_HTTP_IDLE_MS, LIM_HTTP_HEAD_MS, WRITE_MS, LINGER_MS};

struct conn {
	TAILQ_ENTRY(conn) link; /* of its class, in order of deadlines */
	int64_t deadline;
	int fd;
	uint32_t events; /* that epoll watches */
	uint8_t class;
	struct http1 *parser;
	struct buf in; /* not parsed yet */
	struct buf out;
	size_t out_off;
	struct fsv_answer answer;
	bool answering; /* head and body are going out */
	bool request_done, keep, linger;
	bool no_body;
};
TAILQ_HEAD(conn_list, conn);

struct server {
	const struct fsv_site *site;
	int ep, listener, signals;
	struct conn_list waiting[W_COUNT];
	unsigned conns, max_conns;
	bool listening, stopping;
	int64_t stop_at;
	char scratch[SCRATCH];
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void wait_as(struct server *s, struct conn *c, enum wait_class class)
{
	TAILQ_REMOVE(&s->waiting[c->class], c, link);
	c->class = (uint8_t) class;
	c->deadline = now_ms() + wait_ms[class];
	TAILQ_INSERT_TAIL(&s->waiting[class], c, link);
}

static void watch(struct server *s, struct conn *c, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = c};

	if (events != c->events && epoll_ctl(s->ep, EPOLL_CTL_MOD, c->fd, &e) == 0)
		c->events = events;
}

/* Listening stops while no descriptor is free: the backlog holds the clients meanwhile. */
static void listen_if(struct server *s, bool on)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = &s->listener};

	if (on == s->listening || s->listener < 0)
		return;
	s->listening = on;
	epoll_ctl(s->ep, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, s->listener, &e);
}

static void conn_free(struct server *s, struct conn *c)
{
	TAILQ_REMOVE(&s->waiting[c->class], c, link);
	close(c->fd);
	http1_free(c->parser);
	buf_clear(&c->in);
	buf_clear(&c->out);
	fsv_answer_clear(&c->answer);
	free(c);
	s->conns--;
	listen_if(s, !s->stopping);
}

/* A client that still sends must not lose the answer to a reset. */
static void conn_end(struct server *s, struct conn *c)
{
	if (shutdown(c->fd, SHUT_WR) < 0) {
		conn_free(s, c);
		return;
	}
	c->linger = true;
	buf_clear(&c->in);
	watch(s, c, EPOLLIN);
	wait_as(s, c, W_LINGER);
}

/* --- answers -----------------------------------------------------------------------------------
 */

static void log_access(const struct conn *c, const struct http1_head *h)
{
	if (h && h->method.p)
		printf("%.*s %.*s %d %lld\n", (int)h->method.n, h->method.p, (int)h->target.n,
		       h->target.p, c->answer.status,
		       c->answer.fd >= 0 ? (long long)c->answer.n : (long long)c->answer.text.len);
}

static bool bodyless(int status)
{
	return status == 204 || status == 304;
}

static void start_answer(struct server *s, struct conn *c)
{
	const struct http1_head *h = http1_head(c->parser);
	struct fsv_answer *a = &c->answer;
	char date[32];

	fsv_http_date(time(NULL), date);
	c->no_body = bodyless(a->status) || (h && h->method.p && http1_is(h->method, "HEAD"));
	buf_addf(&c->out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", a->status, http1_reason(a->status),
		 date);
	buf_add(&c->out, a->head.data, a->head.len);
	if (!bodyless(a->status))
		buf_addf(&c->out, "Content-Length: %lld\r\n",
			 a->fd >= 0 ? (long long)a->n : (long long)a->text.len);
	if (!c->keep)
		buf_adds(&c->out, "Connection: close\r\n");
	else if (h->minor == 0)
		buf_adds(&c->out, "Connection: keep-alive\r\n");
	buf_adds(&c->out, "\r\n");
	if (a->fd < 0 && !c->no_body)
		buf_add(&c->out, a->text.data, a->text.len);
	c->answering = true;
	if (s->site->access_log)
		log_access(c, h);
	wait_as(s, c, W_WRITE);
}

static void answer_request(struct server *s, struct conn *c)
{
	const struct http1_head *h = http1_head(c->parser);

	c->keep = h->keep_alive && c->request_done && !s->stopping;
	fsv_answer(s->site, h, &c->answer);
	start_answer(s, c);
}

static void answer_error(struct server *s, struct conn *c, int status)
{
	c->keep = false;
	c->answer = (struct fsv_answer){.fd = -1};
	fsv_answer_status(s->site, status, &c->answer);
	start_answer(s, c);
}

/* 1 = all is written, 0 = the socket is full, -1 = the client is gone. */
static int send_out(struct conn *c)
{
	bool more = c->answer.fd >= 0 && !c->no_body && c->answer.n > 0;

	while (c->out_off < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + c->out_off, c->out.len - c->out_off,
				 MSG_NOSIGNAL | (more ? MSG_MORE : 0));

		if (n < 0)
			return errno == EAGAIN ? 0 : errno == EINTR ? 0 : -1;
		c->out_off += (size_t)n;
	}
	return 1;
}

static int send_file(struct conn *c)
{
	struct fsv_answer *a = &c->answer;
	off_t budget = SEND_PIECE;

	if (a->fd < 0 || c->no_body)
		return 1;
	while (a->n > 0 && budget > 0) {
		ssize_t n =
			sendfile(c->fd, a->fd, &a->off, (size_t)(a->n < budget ? a->n : budget));

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		if (n == 0) /* the file has become shorter: the client must see that */
			return -1;
		a->n -= n;
		budget -= n;
	}
	return a->n > 0 ? 0 : 1;
}

/* Sends what the socket takes. True when the answer is out and the connection goes on. */
static bool pump_answer(struct server *s, struct conn *c)
{
	size_t before = c->out_off;
	off_t left = c->answer.n;
	int r = send_out(c);

	if (r > 0)
		r = send_file(c);
	if (r < 0) {
		conn_free(s, c);
		return false;
	}
	if (r == 0) {
		if (c->out_off > before || c->answer.n < left)
			wait_as(s, c, W_WRITE);
		watch(s, c, EPOLLOUT);
		return false;
	}
	c->answering = false;
	c->out_off = 0;
	if (c->out.cap > SCRATCH)
		buf_clear(&c->out);
	else
		buf_reset(&c->out);
	fsv_answer_clear(&c->answer);
	if (!c->keep) {
		conn_end(s, c);
		return false;
	}
	http1_next(c->parser);
	c->request_done = false;
	return true;
}

/* --- requests ----------------------------------------------------------------------------------
 */

/* Bodies mean nothing here. A small one is read away; before a large one the answer goes out. */
static bool body_is_large(const struct http1_head *h)
{
	return h->framing == HTTP1_CHUNKED || h->expect_continue ||
	       (h->framing == HTTP1_LENGTH && h->length > DROP_BODY);
}

/* Parses until a request is to be answered or the input is used. Returns octets used. */
static size_t parse(struct server *s, struct conn *c, const char *p, size_t n)
{
	const char *data;
	size_t used, data_n, all = 0;

	while (!c->answering) {
		switch (http1_feed(c->parser, p + all, n - all, &used, &data, &data_n)) {
		case HTTP1_MORE:
			return n;
		case HTTP1_HEAD:
			if (body_is_large(http1_head(c->parser)))
				answer_request(s, c);
			break;
		case HTTP1_DATA:
			break;
		case HTTP1_END:
			c->request_done = true;
			answer_request(s, c);
			break;
		case HTTP1_ERROR:
			answer_error(s, c, http1_err(c->parser)->status);
			break;
		}
		all += used;
	}
	return all;
}

/* Between requests, or within one. */
static void conn_rest(struct server *s, struct conn *c)
{
	bool idle = http1_idle(c->parser);

	if (!c->in.len)
		buf_clear(&c->in); /* idle connections hold no buffers */
	if (idle && s->stopping) {
		conn_free(s, c);
		return;
	}
	if (idle)
		buf_clear(&c->out);
	if (idle || c->class != W_HEAD)
		wait_as(s, c, idle ? W_IDLE : W_HEAD);
	watch(s, c, EPOLLIN);
}

/* Answers what is there, request by request, until the input or the socket's room is used up. */
static void conn_go(struct server *s, struct conn *c)
{
	do {
		if (!c->answering)
			buf_drop(&c->in, parse(s, c, buf_str(&c->in), c->in.len));
		if (!c->answering) {
			conn_rest(s, c);
			return;
		}
	} while (pump_answer(s, c));
}

static void conn_read(struct server *s, struct conn *c)
{
	ssize_t n = recv(c->fd, s->scratch, SCRATCH, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_free(s, c);
		return;
	}
	if (c->linger)
		return;
	buf_add(&c->in, s->scratch, (size_t)n);
	conn_go(s, c);
}

static void on_event(struct server *s, struct conn *c, uint32_t events)
{
	if (c->answering && events & (EPOLLERR | EPOLLHUP))
		conn_free(s, c);
	else if (c->answering)
		conn_go(s, c);
	else
		conn_read(s, c);
}

/* --- the loop ----------------------------------------------------------------------------------
 */

static void conn_new(struct server *s, int fd)
{
	struct epoll_event e = {.events = EPOLLIN};
	struct conn *c = xcalloc(1, sizeof *c);
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	c->fd = fd;
	c->answer.fd = -1;
	c->parser = http1_new(HTTP1_REQUEST, LIM_HTTP_HEAD);
	c->class = W_IDLE;
	c->deadline = now_ms() + wait_ms[W_IDLE];
	TAILQ_INSERT_TAIL(&s->waiting[W_IDLE], c, link);
	c->events = EPOLLIN;
	e.data.ptr = c;
	if (++s->conns >= s->max_conns)
		listen_if(s, false);
	if (epoll_ctl(s->ep, EPOLL_CTL_ADD, fd, &e) < 0)
		conn_free(s, c);
}

static void on_accept(struct server *s)
{
	for (int i = 0; i < 64 && s->listening; i++) {
		int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0)
			conn_new(s, fd);
		else if (errno == EMFILE || errno == ENFILE)
			listen_if(s, s->conns == 0);
		else if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

static void on_signal(struct server *s, unsigned grace_ms)
{
	struct signalfd_siginfo si;
	struct conn *c, *next;

	if (read(s->signals, &si, sizeof si) != sizeof si || s->stopping)
		return;
	s->stopping = true;
	s->stop_at = now_ms() + grace_ms;
	close(s->listener); /* takes it off epoll, too; new clients are refused at once */
	s->listening = false;
	s->listener = -1;
	for (c = TAILQ_FIRST(&s->waiting[W_IDLE]); c; c = next) {
		next = TAILQ_NEXT(c, link);
		conn_free(s, c);
	}
}

static void on_late(struct server *s, struct conn *c)
{
	if (c->class == W_HEAD && !c->answering) {
		answer_error(s, c, 408);
		conn_go(s, c);
	} else {
		conn_free(s, c);
	}
}

/* Ends what has waited too long; how long epoll may sleep, in ms. */
static int expire(struct server *s)
{
	int64_t now = now_ms(), next = s->stopping ? s->stop_at : INT64_MAX;
	struct conn *c;

	for (int i = 0; i < W_COUNT; i++) {
		while ((c = TAILQ_FIRST(&s->waiting[i])) && c->deadline <= now)
			on_late(s, c);
		if (c && c->deadline < next)
			next = c->deadline;
	}
	if (next == INT64_MAX)
		return -1;
	return next > now ? (int)(next - now) : 0;
}

static int run(struct server *s, unsigned grace_ms, struct err *err)
{
	struct epoll_event events[64];

	while (!s->stopping || (s->conns && now_ms() < s->stop_at)) {
		int n = epoll_wait(s->ep, events, ARRAY_LEN(events), expire(s));

		if (n < 0 && errno != EINTR)
			return err_errno(err, "epoll_wait");
		for (int i = 0; i < n; i++) {
			void *what = events[i].data.ptr;

			if (what == &s->listener)
				on_accept(s);
			else if (what != &s->signals)
				on_event(s, what, events[i].events);
		}
		/* last: it frees connections that this batch of events may name */
		for (int i = 0; i < n; i++)
			if (events[i].data.ptr == &s->signals)
				on_signal(s, grace_ms);
		if (s->site->access_log)
			fflush(stdout);
	}
	return 0;
}

static int open_server(struct server *s, struct err *err)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = &s->signals};
	struct rlimit files = {.rlim_cur = 1024};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	s->ep = epoll_create1(EPOLL_CLOEXEC);
	s->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s->ep < 0 || s->signals < 0 || epoll_ctl(s->ep, EPOLL_CTL_ADD, s->signals, &e) < 0)
		return err_errno(err, "epoll");
	getrlimit(RLIMIT_NOFILE, &files); /* two descriptors a connection: socket and file */
	s->max_conns = files.rlim_cur > 1u << 20 ? 1u << 19 : (unsigned)files.rlim_cur / 2;
	s->max_conns = s->max_conns > 2 * SPARE_FILES ? s->max_conns - SPARE_FILES : SPARE_FILES;
	listen_if(s, true);
	return 0;
}

int fsv_serve(const struct fsv_site *site, int listener, unsigned grace_ms, struct err *err)
{
	struct server *s = xcalloc(1, sizeof *s);
	struct conn *c;
	int rc;

	s->site = site;
	s->listener = listener;
	s->ep = s->signals = -1;
	for (int i = 0; i < W_COUNT; i++)
		TAILQ_INIT(&s->waiting[i]);
	rc = open_server(s, err);
	if (rc == 0)
		rc = run(s, grace_ms, err);
	s->stopping = true;
	for (int i = 0; i < W_COUNT; i++)
		while ((c = TAILQ_FIRST(&s->waiting[i])))
			conn_free(s, c);
	if (s->listener >= 0)
		close(s->listener);
	if (s->ep >= 0)
		close(s->ep);
	if (s->signals >= 0)
		close(s->signals);
	free(s);
	return rc;
}
