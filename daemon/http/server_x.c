/* server_x.c - an exchange's life and its request: who asks what. */
#include "daemon/http/server_int.h"

#include <assert.h>
#include <stdalign.h>
#include <string.h>
#include "daemon/core/codec.h"

#define ARENA_BLOCK    2048
#define MIN_REQUEST_ID 20
#define MAX_REQUEST_ID 200

/* --- memory ------------------------------------------------------------------------------------
 */

void *http_alloc(struct http_x *x, size_t n)
{
	struct arena_block *b = x->arena;
	void *p;

	n = (n + 15) & ~(size_t)15;
	if (!b || b->size - b->used < n) {
		size_t size = n > ARENA_BLOCK ? n : ARENA_BLOCK;

		b = xmalloc(sizeof *b + size);
		*b = (struct arena_block){.next = x->arena, .size = size};
		x->arena = b;
	}
	p = b->data + b->used;
	b->used += n;
	return p;
}

static char *arena_strn(struct http_x *x, const char *s, size_t n)
{
	char *p = http_alloc(x, n + 1);

	if (n)
		memcpy(p, s, n);
	p[n] = 0;
	return p;
}

char *http_strdup(struct http_x *x, const char *s)
{
	return arena_strn(x, s, strlen(s));
}

static const char *arena_str(struct http_x *x, struct http1_str s)
{
	return arena_strn(x, s.p, s.n);
}

void http_x_ref(struct http_x *x)
{
	atomic_fetch_add(&x->refs, 1);
}

static void x_free(struct http_x *x)
{
	struct arena_block *b = x->arena, *next;

	buf_clear(&x->extra);
	buf_clear(&x->rd);
	buf_clear(&x->in);
	buf_clear(&x->out);
	if (x->z) {
		inflateEnd(x->z);
		free(x->z);
	}
	pthread_mutex_destroy(&x->lock);
	pthread_cond_destroy(&x->readable);
	pthread_cond_destroy(&x->writable);
	free(x);
	for (; b; b = next) {
		next = b->next;
		free(b);
	}
}

void http_x_unref(struct http_x *x)
{
	if (atomic_fetch_sub(&x->refs, 1) == 1)
		x_free(x);
}

/* --- the request -------------------------------------------------------------------------------
 */

static void copy_headers(struct http_x *x, const struct http1_head *h)
{
	x->nheaders = h->nfields;
	x->headers = http_alloc(x, sizeof *x->headers * (size_t)(h->nfields ? h->nfields : 1));
	for (int i = 0; i < h->nfields; i++) {
		char *name = arena_strn(x, h->fields[i].name.p, h->fields[i].name.n);

		for (char *s = name; *s; s++)
			if (*s >= 'A' && *s <= 'Z')
				*s |= 0x20;
		x->headers[i].name = name;
		x->headers[i].value = arena_str(x, h->fields[i].value);
	}
}

const char *http_header(struct http_x *x, const char *lower_name)
{
	for (int i = 0; i < x->nheaders; i++)
		if (strcmp(x->headers[i].name, lower_name) == 0)
			return x->headers[i].value;
	return NULL;
}

/* The last element of the last X-Forwarded-For: what the router itself has seen. */
static const char *forwarded_for(struct http_x *x)
{
	const char *v = NULL, *comma;
	size_t n;

	for (int i = 0; i < x->nheaders; i++)
		if (strcmp(x->headers[i].name, "x-forwarded-for") == 0)
			v = x->headers[i].value;
	if (!v)
		return NULL;
	comma = strrchr(v, ',');
	v = comma ? comma + 1 : v;
	v += strspn(v, " \t");
	n = strspn(v, "0123456789abcdefABCDEF.:");
	return n && n <= 45 && !v[n] ? v : NULL;
}

static const char *tcp_peer(struct http_x *x, struct http_conn *c)
{
	struct sockaddr_storage sa;
	char text[46];
	int n = sizeof sa;

	if (uv_tcp_getpeername(&c->uv.tcp, (struct sockaddr *)&sa, &n) != 0)
		return "unknown";
	if (sa.ss_family == AF_INET6)
		uv_ip6_name((struct sockaddr_in6 *)&sa, text, sizeof text);
	else
		uv_ip4_name((struct sockaddr_in *)&sa, text, sizeof text);
	return http_strdup(x, text);
}

static const char *request_id(struct http_x *x)
{
	const char *v = http_header(x, "x-request-id");
	size_t n = v ? strlen(v) : 0;
	char fresh[37];

	if (n >= MIN_REQUEST_ID && n <= MAX_REQUEST_ID &&
	    strspn(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-") == n)
		return v;
	uuid_new(fresh);
	return http_strdup(x, fresh);
}

/* Only the router's word is taken for who the client is; it is the one that can connect here. */
static void identify(struct http_x *x, struct http_conn *c)
{
	const char *proto = c->is_unix ? http_header(x, "x-forwarded-proto") : NULL;

	x->request_id = request_id(x);
	x->scheme = proto && strcmp(proto, "https") == 0 ? "https" : "http";
	x->peer = c->is_unix ? forwarded_for(x) : tcp_peer(x, c);
	if (!x->peer)
		x->peer = "unknown";
}

static int content_encoding(struct http_x *x)
{
	const char *v = http_header(x, "content-encoding");

	if (!v || !*v || strcasecmp(v, "identity") == 0)
		return ENC_IDENTITY;
	return strcasecmp(v, "gzip") == 0 || strcasecmp(v, "x-gzip") == 0 ? ENC_GZIP : ENC_UNKNOWN;
}

struct http_x *http_x_new(struct http_conn *c, const struct http1_head *h)
{
	struct http_x *x = xcalloc(1, sizeof *x);

	atomic_init(&x->refs, 2); /* the connection's and the answering side's */
	pthread_mutex_init(&x->lock, NULL);
	pthread_cond_init(&x->readable, NULL);
	pthread_cond_init(&x->writable, NULL);
	x->loop = c->server->loop;
	x->conn = c;
	x->method = arena_str(x, h->method);
	x->path = arena_str(x, h->path);
	x->query = arena_str(x, h->query);
	x->host = arena_str(x, h->host);
	copy_headers(x, h);
	identify(x, c);
	x->minor = h->minor;
	x->is_head = http1_is(h->method, "HEAD");
	x->keep_alive = h->keep_alive;
	x->can_upgrade = h->upgrade;
	x->expect = h->expect_continue && h->framing != HTTP1_NO_BODY;
	x->has_length = h->framing == HTTP1_LENGTH;
	x->length = x->body_left = h->length;
	x->encoding = content_encoding(x);
	x->max_body = LIM_API_BODY;
	return x;
}

const char *http_method(struct http_x *x)
{
	return x->method;
}

const char *http_path(struct http_x *x)
{
	return x->path;
}

const char *http_query(struct http_x *x)
{
	return x->query;
}

const char *http_request_id(struct http_x *x)
{
	return x->request_id;
}

const char *http_peer(struct http_x *x)
{
	return x->peer;
}

const char *http_host(struct http_x *x)
{
	return x->host;
}

const char *http_scheme(struct http_x *x)
{
	return x->scheme;
}

bool http_client_gone(struct http_x *x)
{
	bool gone;

	pthread_mutex_lock(&x->lock);
	gone = !x->conn;
	pthread_mutex_unlock(&x->lock);
	return gone;
}

/* --- between the answering side and the loop ---------------------------------------------------
 */

static void woken(void *arg)
{
	struct http_x *x = arg;
	struct http_conn *c;

	pthread_mutex_lock(&x->lock);
	x->posted = false;
	c = x->conn; /* stays: only this thread ends it */
	pthread_mutex_unlock(&x->lock);
	if (c)
		http_conn_pump(c);
	http_x_unref(x);
}

void http_x_wake(struct http_x *x)
{
	if (!x->conn || x->posted || (loop_is_here(x->loop) && x->in_callback))
		return;
	http_x_ref(x);
	x->posted = loop_post(x->loop, woken, x);
	if (!x->posted) /* the loop has stopped; never the last reference: the caller has one */
		http_x_unref(x);
}

void http_detach(struct http_x *x)
{
	ASSERT_ON(x->loop); /* all else is in place: threads and loop share x anyway */
}

void http_on_drain(struct http_x *x, void (*fn)(struct http_x *x, void *arg), void *arg)
{
	x->on_drain = fn;
	x->drain_arg = arg;
}

void http_on_gone(struct http_x *x, void (*fn)(struct http_x *x, void *arg), void *arg)
{
	x->on_gone = fn;
	x->gone_arg = arg;
}
