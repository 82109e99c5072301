/* A health check: GET of a path of a web dyno, tried again until it is answered below 400. On the
 * control loop, a connection at a time; nothing blocks and nothing is kept of an answer but its
 * status. */
#include "daemon/dyno/dyno_int.h"
#include "proto/limits.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct probe;

struct check {
	struct loop *l;
	struct check_spec spec; /* owned strings */
	char *request;		/* owned */
	void (*done)(const char *failure, void *arg);
	void (*failed)(const char *why, int attempt, void *arg);
	void *arg;
	struct probe *probe;	  /* the attempt that is under way */
	struct loop_timer *timer; /* its limit, or the wait for the next */
	int attempt;
};

/* One attempt. Lives until its handle is closed; check is NULL once it does not count any more. */
struct probe {
	struct check *check;
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_write_t write;
	size_t n;
	char head[LIM_CHECK_HEAD];
};

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static void probe_drop(struct check *c)
{
	struct probe *p = STEAL(c->probe);

	loop_timer_stop(c->timer);
	c->timer = NULL;
	if (!p)
		return;
	p->check = NULL;
	uv_close((uv_handle_t *)&p->tcp, on_closed);
}

void check_stop(struct check *c)
{
	if (!c)
		return;
	probe_drop(c);
	free((char *)c->spec.host);
	free((char *)c->spec.path);
	free(c->request);
	free(c);
}

static void try_once(void *arg);

static void again(struct check *c, const char *fmt, ...) PRINTF(2, 3);
static void again(struct check *c, const char *fmt, ...)
{
	void (*done)(const char *failure, void *arg) = c->done;
	void *arg = c->arg;
	char why[160], text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	probe_drop(c);
	snprintf(text, sizeof text, "Health check GET %.60s %s", c->spec.path, why);
	c->failed(text, c->attempt, arg);
	if (c->attempt < c->spec.attempts) {
		c->timer = loop_timer_start(c->l, (uint64_t)c->spec.wait_s * 1000, try_once, c);
		return;
	}
	check_stop(c);
	done(text, arg);
}

static void passed(struct check *c)
{
	void (*done)(const char *failure, void *arg) = c->done;
	void *arg = c->arg;

	check_stop(c);
	done(NULL, arg);
}

static void on_timeout(void *arg)
{
	struct check *c = arg;

	c->timer = NULL;
	again(c, "was not answered within %d s", c->spec.timeout_s);
}

/* 0: not yet; -1: no HTTP; else the status. Interim answers (1xx) are passed over. */
static int read_status(struct probe *p)
{
	static const char mark[] = "HTTP/1.";
	char *end;
	int code;

	for (;;) {
		size_t n = p->n < sizeof mark - 1 ? p->n : sizeof mark - 1;

		if (memcmp(p->head, mark, n) != 0)
			return -1;
		if (p->n < 13)
			return 0;
		for (int i = 9; i < 12; i++)
			if (!isdigit((unsigned char)p->head[i]))
				return -1;
		if (p->head[8] != ' ' || (p->head[12] != ' ' && p->head[12] != '\r'))
			return -1;
		code = atoi(p->head + 9);
		if (code >= 200)
			return code;
		end = memmem(p->head, p->n, "\r\n\r\n", 4);
		if (!end)
			return p->n == sizeof p->head ? -1 : 0;
		p->n -= (size_t)(end + 4 - p->head);
		memmove(p->head, end + 4, p->n);
	}
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *b)
{
	struct probe *p = h->data;

	*b = uv_buf_init(p->head + p->n, (unsigned)(sizeof p->head - p->n));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct probe *p = s->data;
	struct check *c = p->check;
	int status;

	if (!c || n == 0)
		return;
	if (n < 0) {
		again(c, "was not answered: the connection was closed");
		return;
	}
	p->n += (size_t)n;
	status = read_status(p);
	if (status < 0)
		again(c, "was answered with something that is not HTTP");
	else if (status >= 400)
		again(c, "answered %d", status);
	else if (status)
		passed(c);
}

static void on_written(uv_write_t *w, int status)
{
	struct probe *p = w->data;

	if (p->check && status < 0)
		again(p->check, "could not be sent: %s", uv_strerror(status));
}

static void on_connected(uv_connect_t *r, int status)
{
	struct probe *p = r->data;
	uv_buf_t b;

	if (!p->check)
		return;
	if (status < 0) {
		again(p->check, "could not connect: %s", uv_strerror(status));
		return;
	}
	b = uv_buf_init(p->check->request, (unsigned)strlen(p->check->request));
	p->write.data = p;
	uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_read);
	uv_write(&p->write, (uv_stream_t *)&p->tcp, &b, 1, on_written);
}

static void try_once(void *arg)
{
	struct check *c = arg;
	struct probe *p = xcalloc(1, sizeof *p);
	struct sockaddr_in to;
	int rc;

	c->attempt++;
	c->probe = p;
	p->check = c;
	uv_tcp_init(loop_uv(c->l), &p->tcp);
	p->tcp.data = p->connect.data = p;
	c->timer = loop_timer_start(c->l, (uint64_t)c->spec.timeout_s * 1000, on_timeout, c);
	rc = uv_ip4_addr(c->spec.ip, c->spec.port, &to);
	if (rc == 0)
		rc = uv_tcp_connect(&p->connect, &p->tcp, (struct sockaddr *)&to, on_connected);
	if (rc < 0)
		again(c, "could not connect: %s", uv_strerror(rc));
}

/* The first attempt is posted by a timer: done is never called from here. */
struct check *check_start(struct loop *l, const struct check_spec *spec,
			  void (*failed)(const char *why, int attempt, void *arg),
			  void (*done)(const char *failure, void *arg), void *arg)
{
	struct check *c = xcalloc(1, sizeof *c);

	ASSERT_ON(l);
	c->l = l;
	c->spec = *spec;
	c->spec.host = xstrdup(spec->host);
	c->spec.path = xstrdup(spec->path);
	c->request = xasprintf("GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: paasd-healthcheck\r\n"
			       "Accept: */*\r\nX-Forwarded-For: 127.0.0.1\r\n"
			       "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n"
			       "Connection: close\r\n\r\n",
			       spec->path, spec->host);
	c->failed = failed;
	c->done = done;
	c->arg = arg;
	c->timer = loop_timer_start(l, 0, try_once, c);
	return c;
}
