/* Requests: curl's multi interface on the loop. Connections are kept and used again by curl. */
#include "daemon/out/out_int.h"
#include "proto/limits.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_MAX MiB(1) /* bytes of an answer's body that are read, for nothing */
#define KEPT	   64L	  /* connections without a request */

struct out_call {
	struct out *o;
	struct out_call *next;
	CURL *easy;
	struct curl_slist *headers;
	void *body; /* owned copy */
	void (*done)(const struct out_answer *a, void *arg);
	void *arg;
	size_t answered; /* bytes of the body so far */
	size_t keep;	 /* of them, wanted */
	struct buf kept;
	bool forbidden;
	char msg[CURL_ERROR_SIZE];
};

struct watch { /* a socket of curl's */
	uv_poll_t poll;
	struct out *o;
	curl_socket_t fd;
};

static void call_free(struct out_call *c)
{
	curl_easy_cleanup(c->easy);
	curl_slist_free_all(c->headers);
	free(c->body);
	buf_clear(&c->kept);
	free(c);
}

const char *out_answer_header(const struct out_answer *a, const char *name)
{
	struct curl_header *h = NULL;

	return curl_easy_header(a->call->easy, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK
		       ? h->value
		       : NULL;
}

static void unlink_call(struct out_call *c)
{
	struct out_call **p = &c->o->calls;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
}

/* --- the outcome --- */

static enum out_fault fault_of(const struct out_call *c, CURLcode rc)
{
	if (c->forbidden)
		return OUT_FORBIDDEN;
	switch (rc) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return OUT_NO_HOST;
	case CURLE_COULDNT_CONNECT:
		return OUT_NO_CONNECTION;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
		return OUT_BAD_CERTIFICATE;
	case CURLE_OPERATION_TIMEDOUT:
		return OUT_TOO_SLOW;
	default:
		return OUT_BROKEN;
	}
}

static void finish(struct out_call *c, CURLcode rc)
{
	struct out_answer a = {0};
	curl_off_t wait = 0;
	long status = 0;

	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &wait);
	a.call = c;
	a.body = buf_str(&c->kept);
	a.len = c->kept.len;
	/* An answer whose body is too long is an answer, when that is of no interest. */
	if (rc == CURLE_OK || (rc == CURLE_WRITE_ERROR && !c->keep && c->answered > ANSWER_MAX)) {
		a.status = (int)status;
		a.retry_after_s = wait > 0 && wait < 86400 ? (int)wait : 0;
		snprintf(a.why, sizeof a.why, "HTTP status %d", a.status);
	} else {
		a.fault = fault_of(c, rc);
		snprintf(a.why, sizeof a.why, "%.150s",
			 c->forbidden			    ? "the address is private"
			 : c->keep && c->answered > c->keep ? "the answer is too long"
			 : *c->msg			    ? c->msg
							    : curl_easy_strerror(rc));
	}
	curl_multi_remove_handle(c->o->multi, c->easy);
	unlink_call(c);
	c->done(&a, c->arg);
	call_free(c);
}

static void collect(struct out *o)
{
	CURLMsg *m;
	int left;

	while (!o->stopped && (m = curl_multi_info_read(o->multi, &left)) != NULL) {
		struct out_call *c = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		finish(c, m->data.result);
	}
}

/* --- curl's sockets and timer on the loop --- */

static void on_ready(uv_poll_t *p, int status, int events)
{
	struct watch *w = p->data;
	struct out *o = w->o;
	int what = (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
		   (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0),
	    running;

	curl_multi_socket_action(o->multi, w->fd, status < 0 ? CURL_CSELECT_ERR : what, &running);
	collect(o);
}

static void watch_free(uv_handle_t *h)
{
	free(h->data);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
	struct out *o = arg;
	struct watch *w = of_socket;

	if (what == CURL_POLL_REMOVE) {
		if (w) {
			uv_poll_stop(&w->poll);
			uv_close((uv_handle_t *)&w->poll, watch_free);
			curl_multi_assign(o->multi, fd, NULL);
		}
		return 0;
	}
	if (!w) {
		w = xcalloc(1, sizeof *w);
		*w = (struct watch){.o = o, .fd = fd};
		if (uv_poll_init_socket(loop_uv(o->l), &w->poll, fd) != 0) {
			free(w);
			return -1;
		}
		w->poll.data = w;
		curl_multi_assign(o->multi, fd, w);
	}
	uv_poll_start(&w->poll,
		      (what & CURL_POLL_IN ? UV_READABLE : 0) |
			      (what & CURL_POLL_OUT ? UV_WRITABLE : 0),
		      on_ready);
	return 0;
}

static void on_timeout(uv_timer_t *t)
{
	struct out *o = t->data;
	int running;

	curl_multi_socket_action(o->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(o);
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
	struct out *o = arg;

	if (ms < 0)
		uv_timer_stop(&o->timer);
	else
		uv_timer_start(&o->timer, on_timeout, (uint64_t)ms, 0);
	return 0;
}

static void open_multi(struct out *o)
{
	if (o->multi)
		return;
	o->multi = curl_multi_init();
	if (!o->multi)
		abort(); /* out of memory */
	uv_timer_init(loop_uv(o->l), &o->timer);
	o->timer.data = o;
	curl_multi_setopt(o->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(o->multi, CURLMOPT_SOCKETDATA, o);
	curl_multi_setopt(o->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(o->multi, CURLMOPT_TIMERDATA, o);
	curl_multi_setopt(o->multi, CURLMOPT_MAXCONNECTS, KEPT);
}

/* --- a request --- */

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct out_call *c = arg;
	int fd = out_socket(c->o, &a->addr, a->socktype, a->protocol, &c->forbidden);

	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct out_call *c = arg;

	c->answered += size * n;
	if (c->keep && c->answered <= c->keep)
		buf_add(&c->kept, p, size * n);
	return c->answered > (c->keep ? c->keep : (size_t)ANSWER_MAX) ? 0 : size * n;
}

/* One store of authorities for everything: curl's own would be read for each connection. */
static CURLcode on_tls(CURL *easy, void *ctx, void *arg)
{
	struct out_call *c = arg;

	SSL_CTX_set1_cert_store(ctx, out_trust(c->o));
	return CURLE_OK;
}

static void set_safety(struct out_call *c)
{
	CURL *e = c->easy;

	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, c);
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(e, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, on_tls);
	curl_easy_setopt(e, CURLOPT_SSL_CTX_DATA, c);
}

static void set_request(struct out_call *c, const struct out_request *r)
{
	CURL *e = c->easy;

	for (const char *const *h = r->headers; h && *h; h++)
		c->headers = curl_slist_append(c->headers, *h);
	c->headers = curl_slist_append(c->headers, "Expect:");
	c->body = xmalloc(r->len + 1);
	if (r->len)
		memcpy(c->body, r->body, r->len);
	curl_easy_setopt(e, CURLOPT_PRIVATE, c);
	curl_easy_setopt(e, CURLOPT_URL, r->url);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	if (r->method && strcmp(r->method, "GET") == 0) {
		curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
	} else {
		curl_easy_setopt(e, CURLOPT_POST, 1L);
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->len);
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, c->body);
		if (r->method)
			curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, r->method);
	}
	c->keep = r->keep;
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->headers);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->msg);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)LIM_OUT_CONNECT_MS);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, r->timeout_ms);
	curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	if (!r->user && !r->password)
		return;
	curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
	curl_easy_setopt(e, CURLOPT_USERNAME, r->user ? r->user : "");
	curl_easy_setopt(e, CURLOPT_PASSWORD, r->password ? r->password : "");
}

struct out_call *out_post(struct out *o, const struct out_request *r,
			  void (*done)(const struct out_answer *a, void *arg), void *arg)
{
	struct out_call *c = xcalloc(1, sizeof *c);

	ASSERT_ON(o->l);
	assert(!o->stopped);
	open_multi(o);
	*c = (struct out_call){.o = o, .done = done, .arg = arg, .next = o->calls};
	o->calls = c;
	c->easy = curl_easy_init();
	if (!c->easy)
		abort(); /* out of memory */
	set_safety(c);
	set_request(c, r);
	/* A bad URL is found out when it runs, and told as any other failure. */
	if (curl_multi_add_handle(o->multi, c->easy) != CURLM_OK)
		abort();
	return c;
}

void out_cancel(struct out_call *c)
{
	if (!c)
		return;
	curl_multi_remove_handle(c->o->multi, c->easy);
	unlink_call(c);
	call_free(c);
}

void out_http_stop(struct out *o)
{
	if (!o->multi)
		return;
	while (o->calls)
		out_cancel(o->calls);
	curl_multi_cleanup(o->multi);
	o->multi = NULL;
	uv_close((uv_handle_t *)&o->timer, NULL);
}
