/* Streams of bytes to users' addresses, plain or in TLS, which know what has arrived: marks are put
 * behind what is written, and the kernel says how much the other side has not acknowledged. */
#include "daemon/out/out_int.h"
#include "proto/limits.h"

#include <assert.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define SEND_BUFFER (256 * 1024) /* of the kernel: what is in flight is bounded */
#define FULL	    (64 * 1024)	 /* waiting for the kernel */
#define TICK_MS	    100
#define TRY_MS	    5000 /* one address */

struct mark {
	uint64_t end; /* of the bytes on the wire */
	uint64_t mark;
};

enum state { RESOLVING, CONNECTING, HANDSHAKE, UP, DOWN };

struct out_stream {
	struct out *o;
	struct out_stream *next;
	const struct out_stream_ops *ops;
	void *arg;
	char *host; /* owned */
	int port;
	bool tls;
	enum state state;
	struct out_lookup *lookup;
	struct addrinfo *found, *try;
	bool forbidden;
	uv_tcp_t *tcp; /* NULL: none; frees itself when closed */
	uv_timer_t timer;
	bool ticking;
	mono_ms until; /* of connecting */
	SSL *ssl;
	BIO *in, *out; /* of ssl */
	uint64_t wire; /* bytes handed to the loop, all in all */
	uint64_t arrived_bytes, arrived;
	mono_ms progress; /* when more of them arrived last, or none was under way */
	struct buf marks;
	size_t first_mark; /* in marks.data, in bytes */
	char read_buf[2048];
};

static void try_next(struct out_stream *s);

/* --- ends --- */

static void tcp_free(uv_handle_t *h)
{
	free(h);
}

static void drop_tcp(struct out_stream *s)
{
	if (!s->tcp)
		return;
	s->tcp->data = NULL;
	uv_close((uv_handle_t *)s->tcp, tcp_free);
	s->tcp = NULL;
}

static void stream_free(uv_handle_t *h)
{
	struct out_stream *s = h->data;

	SSL_free(s->ssl);
	if (s->found)
		freeaddrinfo(s->found);
	buf_clear(&s->marks);
	free(s->host);
	free(s);
}

static void fail(struct out_stream *s, enum out_fault f, const char *why)
{
	if (s->state == DOWN)
		return;
	out_stream_arrived(s); /* the last chance to look */
	s->state = DOWN;
	uv_timer_stop(&s->timer);
	s->ops->down(f, why, s->arg);
}

/* --- what has arrived --- */

static uint64_t not_arrived(const struct out_stream *s)
{
	uint64_t queued;
	uv_os_fd_t fd;
	int kernel = 0;

	if (!s->tcp || uv_fileno((const uv_handle_t *)s->tcp, &fd) != 0)
		return UINT64_MAX;
	queued = uv_stream_get_write_queue_size((const uv_stream_t *)s->tcp);
	if (ioctl(fd, SIOCOUTQ, &kernel) < 0)
		return UINT64_MAX;
	return queued + (uint64_t)kernel;
}

uint64_t out_stream_arrived(struct out_stream *s)
{
	uint64_t left = s->state == UP ? not_arrived(s) : UINT64_MAX;

	if (left > s->wire)
		return s->arrived;
	if (s->wire - left > s->arrived_bytes || !left)
		s->progress = clock_mono_ms();
	s->arrived_bytes = s->wire - left;
	while (s->first_mark < s->marks.len) {
		struct mark m;

		memcpy(&m, s->marks.data + s->first_mark, sizeof m);
		if (m.end > s->arrived_bytes)
			break;
		s->arrived = m.mark;
		s->first_mark += sizeof m;
	}
	if (s->first_mark == s->marks.len) {
		buf_reset(&s->marks);
		s->first_mark = 0;
	} else if (s->first_mark > 8192 && s->first_mark > s->marks.len / 2) {
		buf_drop(&s->marks, s->first_mark);
		s->first_mark = 0;
	}
	return s->arrived;
}

bool out_stream_settled(struct out_stream *s)
{
	out_stream_arrived(s);
	return s->arrived_bytes == s->wire;
}

static void on_tick(uv_timer_t *t)
{
	struct out_stream *s = t->data;
	uint64_t before = s->arrived;

	if (s->state != UP) {
		if (clock_mono_ms() > s->until)
			fail(s, OUT_TOO_SLOW, "no connection in time");
		else if (s->state == CONNECTING && clock_mono_ms() > s->progress + TRY_MS)
			try_next(s);
		return;
	}
	out_stream_arrived(s);
	if (s->arrived_bytes == s->wire) {
		uv_timer_stop(&s->timer);
		s->ticking = false;
	} else if (clock_mono_ms() - s->progress > LIM_OUT_STALL_MS) {
		fail(s, OUT_TOO_SLOW, "the receiver takes nothing");
		return;
	}
	if (s->arrived != before)
		s->ops->moved(s->arg);
}

static void tick(struct out_stream *s)
{
	if (s->ticking)
		return;
	s->ticking = true;
	s->progress = clock_mono_ms();
	uv_timer_start(&s->timer, on_tick, TICK_MS, TICK_MS);
}

/* --- bytes --- */

struct sending {
	uv_write_t req;
	char data[];
};

static void on_written(uv_write_t *req, int status)
{
	uv_stream_t *h = req->handle;
	struct out_stream *s = h->data;

	free(req);
	if (!s || s->state == DOWN)
		return;
	if (status < 0)
		fail(s, OUT_BROKEN, uv_strerror(status));
	else if (s->state == UP)
		s->ops->moved(s->arg);
}

static void send_bytes(struct out_stream *s, const void *p, size_t n)
{
	struct sending *w = xmalloc(sizeof *w + n);
	uv_buf_t b = {.base = w->data, .len = n};

	memcpy(w->data, p, n);
	s->wire += n;
	if (uv_write(&w->req, (uv_stream_t *)s->tcp, &b, 1, on_written) != 0)
		free(w); /* the read side is told what is wrong */
}

static void flush_tls(struct out_stream *s)
{
	char *p;
	long n = BIO_get_mem_data(s->out, &p);

	if (n > 0) {
		send_bytes(s, p, (size_t)n);
		(void)BIO_reset(s->out);
	}
}

void out_stream_write(struct out_stream *s, const void *p, size_t n, uint64_t mark)
{
	struct mark m = {.mark = mark};

	assert(s->state == UP && n > 0);
	if (s->tls) {
		/* Into memory: all of it, at once. */
		if (SSL_write(s->ssl, p, (int)n) <= 0)
			ERR_clear_error(); /* the session is broken: never arrives */
		flush_tls(s);
	} else {
		send_bytes(s, p, n);
	}
	m.end = s->wire;
	buf_add(&s->marks, &m, sizeof m);
	tick(s);
}

bool out_stream_full(const struct out_stream *s)
{
	return s->state != UP ||
	       uv_stream_get_write_queue_size((const uv_stream_t *)s->tcp) >= FULL;
}

/* --- up --- */

static void go_up(struct out_stream *s)
{
	s->state = UP;
	s->wire = 0; /* the handshake's bytes are answered for by its end */
	s->arrived_bytes = 0;
	uv_timer_stop(&s->timer);
	s->ticking = false;
	s->ops->up(s->arg);
}

static void handshake(struct out_stream *s)
{
	int rc = SSL_do_handshake(s->ssl), why = SSL_get_error(s->ssl, rc);
	long verdict = SSL_get_verify_result(s->ssl);
	char text[200];

	flush_tls(s);
	ERR_clear_error();
	if (rc == 1) {
		/* What the last flight left with the kernel counts as written before. */
		go_up(s);
		return;
	}
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		return;
	snprintf(text, sizeof text, "TLS: %s",
		 verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
				      : "the handshake failed");
	fail(s, OUT_BAD_CERTIFICATE, text);
}

/* What the other side says is not listened to, but must be read to hear it close. */
static void read_tls(struct out_stream *s, const char *p, size_t n)
{
	char waste[2048];
	int rc;

	BIO_write(s->in, p, (int)n);
	if (s->state == HANDSHAKE)
		handshake(s);
	if (s->state != UP)
		return;
	while ((rc = SSL_read(s->ssl, waste, sizeof waste)) > 0)
		;
	rc = SSL_get_error(s->ssl, rc);
	ERR_clear_error();
	flush_tls(s);
	if (rc != SSL_ERROR_WANT_READ && rc != SSL_ERROR_WANT_WRITE)
		fail(s, OUT_BROKEN, "the receiver closed the connection");
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *b)
{
	struct out_stream *s = h->data;

	*b = s ? uv_buf_init(s->read_buf, sizeof s->read_buf) : uv_buf_init(NULL, 0);
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b)
{
	struct out_stream *s = h->data;

	if (!s || s->state == DOWN || n == 0)
		return;
	if (n < 0)
		fail(s, OUT_BROKEN,
		     n == UV_EOF ? "the receiver closed the connection" : uv_strerror((int)n));
	else if (s->tls)
		read_tls(s, b->base, (size_t)n);
}

static SSL_CTX *tls_ctx(struct out *o)
{
	if (o->tls)
		return o->tls;
	o->tls = SSL_CTX_new(TLS_client_method());
	if (!o->tls)
		abort(); /* out of memory */
	SSL_CTX_set_min_proto_version(o->tls, TLS1_2_VERSION);
	SSL_CTX_set_verify(o->tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set1_cert_store(o->tls, out_trust(o));
	SSL_CTX_set_mode(o->tls, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(o->tls, SSL_SESS_CACHE_OFF);
	return o->tls;
}

static bool is_address(const char *host)
{
	unsigned char a[16];

	return inet_pton(AF_INET, host, a) == 1 || inet_pton(AF_INET6, host, a) == 1;
}

static void start_tls(struct out_stream *s)
{
	s->ssl = SSL_new(tls_ctx(s->o));
	s->in = BIO_new(BIO_s_mem());
	s->out = BIO_new(BIO_s_mem());
	if (!s->ssl || !s->in || !s->out)
		abort(); /* out of memory */
	SSL_set_bio(s->ssl, s->in, s->out);
	SSL_set_connect_state(s->ssl);
	if (is_address(s->host)) {
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s->ssl), s->host);
	} else {
		SSL_set_tlsext_host_name(s->ssl, s->host);
		SSL_set_hostflags(s->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		SSL_set1_host(s->ssl, s->host);
	}
	s->state = HANDSHAKE;
	handshake(s);
}

/* --- connecting: one address after the other --- */

static void on_connected(uv_connect_t *req, int status)
{
	uv_stream_t *h = req->handle;
	struct out_stream *s = h->data;

	free(req);
	if (!s || s->state != CONNECTING)
		return;
	if (status < 0) {
		try_next(s);
		return;
	}
	uv_read_start(h, on_alloc, on_read);
	if (s->tls)
		start_tls(s);
	else
		go_up(s);
}

static bool try_address(struct out_stream *s, const struct addrinfo *a)
{
	int fd = out_socket(s->o, a->ai_addr, SOCK_STREAM, 0, &s->forbidden), size = SEND_BUFFER;
	uv_connect_t *req;

	if (fd < 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	s->tcp = xcalloc(1, sizeof *s->tcp);
	uv_tcp_init(loop_uv(s->o->l), s->tcp);
	s->tcp->data = s;
	if (uv_tcp_open(s->tcp, fd) != 0) {
		close(fd);
		drop_tcp(s);
		return false;
	}
	uv_tcp_nodelay(s->tcp, 1);
	uv_tcp_keepalive(s->tcp, 1, 60);
	req = xcalloc(1, sizeof *req);
	if (uv_tcp_connect(req, s->tcp, a->ai_addr, on_connected) == 0)
		return true;
	free(req);
	drop_tcp(s);
	return false;
}

static void try_next(struct out_stream *s)
{
	drop_tcp(s);
	s->state = CONNECTING;
	while (s->try) {
		struct addrinfo *a = s->try;

		s->try = a->ai_next;
		s->progress = clock_mono_ms();
		if (try_address(s, a))
			return;
	}
	if (s->forbidden)
		fail(s, OUT_FORBIDDEN, "the address is private");
	else
		fail(s, OUT_NO_CONNECTION, "no connection");
}

static void on_resolved(struct addrinfo *ai, void *arg)
{
	struct out_stream *s = arg;

	s->lookup = NULL;
	s->found = s->try = ai;
	if (s->state == DOWN)
		return;
	if (ai)
		try_next(s);
	else
		fail(s, OUT_NO_HOST, "the host name is not known");
}

struct out_stream *out_connect(struct out *o, const char *host, int port, bool tls,
			       const struct out_stream_ops *ops, void *arg)
{
	struct out_stream *s = xcalloc(1, sizeof *s);

	ASSERT_ON(o->l);
	assert(!o->stopped);
	s->o = o;
	s->ops = ops;
	s->arg = arg;
	s->host = xstrdup(host);
	s->port = port;
	s->tls = tls;
	s->next = o->streams;
	o->streams = s;
	uv_timer_init(loop_uv(o->l), &s->timer);
	s->timer.data = s;
	s->until = clock_mono_ms() + LIM_OUT_CONNECT_MS + TRY_MS;
	tick(s);
	s->lookup = out_resolve(o->resolver, host, port, on_resolved, s);
	return s;
}

void out_stream_close(struct out_stream *s)
{
	struct out_stream **p;

	if (!s)
		return;
	for (p = &s->o->streams; *p != s; p = &(*p)->next)
		;
	*p = s->next;
	if (s->ssl && s->state == UP && s->tcp) {
		SSL_shutdown(s->ssl);
		ERR_clear_error();
		flush_tls(s);
	}
	s->state = DOWN;
	out_lookup_cancel(STEAL(s->lookup));
	drop_tcp(s);
	uv_timer_stop(&s->timer);
	uv_close((uv_handle_t *)&s->timer, stream_free);
}

void out_streams_stop(struct out *o)
{
	while (o->streams)
		out_stream_close(o->streams);
}
