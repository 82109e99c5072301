/* tls.c - TLS under a client connection: octets of the socket go through here on their way to
 * conn.c, what is written comes through here on its way to the socket.
 *
 * OpenSSL sees a BIO whose ends are the worker's: what was just read, and a buffer for what is to
 * be written. So a connection that is idle holds an SSL and nothing else: no buffer of ours, and
 * none of OpenSSL's (SSL_MODE_RELEASE_BUFFERS). */
#include "router/certs.h"
#include "router/control.h"
#include "router/worker.h"
#include "daemon/core/xlog.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>

#define RECORD	  16384
#define HELLO_SEE 9 /* record head, message type and length */

struct rt_tls {
	struct rt_conn *c;
	SSL *ssl;
	struct buf held; /* of the client, not yet given to OpenSSL: the first octets, or what came
			    while a certificate is waited for */
	size_t taken;	 /* octets of the handshake so far */
	bool done;	 /* the handshake is */
	bool looked;	 /* at the length of the ClientHello */
	bool waiting;	 /* for a certificate; in w->tls.waiting */
	bool no_wait;	 /* has waited: whatever is there now will do */
	bool failed;
	struct rt_tls *prev, *next; /* in w->tls.waiting */
};

/* --- tickets: keys of the process, the newest makes them, the one before is still taken ------- */

#define TICKET_KEYS 2

static struct {
	pthread_mutex_t lock;
	struct ticket_key {
		unsigned char name[16], aes[32], mac[32];
	} keys[TICKET_KEYS];
	int n;
	mono_ms made;
} tickets = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int rotate_tickets(void)
{
	struct ticket_key fresh;

	if (tickets.n && clock_mono_ms() - tickets.made < LIM_TLS_TICKET_MS)
		return 0;
	if (RAND_bytes((unsigned char *)&fresh, sizeof fresh) != 1)
		return tickets.n ? 0 : -1;
	OPENSSL_cleanse(&tickets.keys[TICKET_KEYS - 1], sizeof fresh);
	memmove(tickets.keys + 1, tickets.keys, sizeof fresh * (TICKET_KEYS - 1));
	tickets.keys[0] = fresh;
	tickets.n += tickets.n < TICKET_KEYS;
	/* The old key must not outlive its session's time by much on a router without visitors. */
	if (tickets.n > 1 && clock_mono_ms() - tickets.made >= 2LL * LIM_TLS_TICKET_MS)
		tickets.n = 1;
	tickets.made = clock_mono_ms();
	OPENSSL_cleanse(&fresh, sizeof fresh);
	return 0;
}

static int use_ticket_key(const struct ticket_key *k, unsigned char *iv, EVP_CIPHER_CTX *cipher,
			  EVP_MAC_CTX *mac, int enc)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)k->mac,
						  sizeof k->mac),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->aes, iv, enc) == 1 &&
	       EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		     EVP_MAC_CTX *mac, int enc)
{
	int rc = 0;

	pthread_mutex_lock(&tickets.lock);
	if (rotate_tickets() < 0) {
		rc = -1;
	} else if (enc) {
		memcpy(name, tickets.keys[0].name, 16);
		rc = RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 &&
				     use_ticket_key(&tickets.keys[0], iv, cipher, mac, 1)
			     ? 1
			     : -1;
	} else {
		for (int i = 0; i < tickets.n && !rc; i++)
			if (CRYPTO_memcmp(name, tickets.keys[i].name, 16) == 0)
				rc = !use_ticket_key(&tickets.keys[i], iv, cipher, mac, 0) ? -1
				     : i == 0						   ? 1
											   : 2;
	}
	pthread_mutex_unlock(&tickets.lock);
	return rc;
}

/* --- the BIO ---------------------------------------------------------------------------------- */

static int bio_read(BIO *b, char *p, int n)
{
	struct rt_worker *w = BIO_get_data(b);
	size_t left = w->tls.in_n;

	BIO_clear_retry_flags(b);
	if (!left) {
		BIO_set_retry_read(b);
		return -1;
	}
	if ((size_t)n > left)
		n = (int)left;
	memcpy(p, w->tls.in, (size_t)n);
	w->tls.in += n;
	w->tls.in_n -= (size_t)n;
	return n;
}

static int bio_write(BIO *b, const char *p, int n)
{
	struct rt_worker *w = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	buf_add(&w->tls.out, p, (size_t)n);
	return n;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *p)
{
	return cmd == BIO_CTRL_FLUSH;
}

/* --- certificates ----------------------------------------------------------------------------- */

/* The name that the client asks for, when it is one of ours. */
static void wanted_name(struct rt_tls *t, char out[256])
{
	const char *name = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
	size_t n = name ? strlen(name) : 0;
	struct rt_app *app;

	out[0] = 0;
	if (n && name[n - 1] == '.')
		n--;
	if (!n || n > 253)
		return;
	for (size_t i = 0; i < n; i++)
		out[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
	out[n] = 0;
	/* Names without a route cost nobody anything, however many are made up. */
	app = rt_table_find(t->c->w->table, out, n);
	if (!app)
		out[0] = 0;
}

static void wait_for_cert(struct rt_tls *t)
{
	struct rt_worker *w = t->c->w;

	t->waiting = true;
	t->next = w->tls.waiting;
	if (t->next)
		t->next->prev = t;
	w->tls.waiting = t;
	rt_conn_pause(t->c);
	rt_control_ask_cert(w);
}

static void unwait(struct rt_tls *t)
{
	if (!t->waiting)
		return;
	t->waiting = false;
	if (t->prev)
		t->prev->next = t->next;
	else
		t->c->w->tls.waiting = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->prev = t->next = NULL;
}

/* 1 = set, 0 = fail the handshake, -1 = later. */
static int on_cert(SSL *ssl, void *arg)
{
	struct rt_tls *t = SSL_get_app_data(ssl);
	struct rt_certs *certs = t->c->w->rt->certs;
	enum rt_cert_found found;
	struct rt_cert *cert;
	char name[256];
	int ok;

	wanted_name(t, name);
	found = rt_certs_find(certs, name, !t->no_wait, &cert);
	if (found == RT_CERT_WAIT)
		return -1;
	if (found == RT_CERT_OLD)
		rt_control_ask_cert(t->c->w);
	if (!cert)
		return 0;
	ok = SSL_use_cert_and_key(ssl, cert->leaf, cert->key, cert->chain, 1);
	rt_cert_unref(cert);
	return ok == 1;
}

static int on_name(SSL *ssl, int *alert, void *arg)
{
	return SSL_TLSEXT_ERR_OK; /* so that it is acknowledged */
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *in,
		   unsigned in_n, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *found;

	if (SSL_select_next_proto(&found, n, ours, sizeof ours - 1, in, in_n) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = found;
	return SSL_TLSEXT_ERR_OK;
}

/* --- the worker's part: made when its first TLS client comes ------------------------------------
 */

static BIO_METHOD *make_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "worker");

	if (m) {
		BIO_meth_set_read(m, bio_read);
		BIO_meth_set_write(m, bio_write);
		BIO_meth_set_ctrl(m, bio_ctrl);
	}
	return m;
}

static SSL_CTX *make_ctx(void)
{
	/* The distribution's openssl.cnf neither weakens nor breaks this. */
	SSL_CTX *ctx = OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL)
			       ? SSL_CTX_new(TLS_server_method())
			       : NULL;

	if (!ctx)
		return NULL;
	SSL_CTX_set_security_level(ctx, 2);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets only */
	SSL_CTX_set_timeout(ctx, LIM_TLS_TICKET_MS / 1000);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
	SSL_CTX_set_cert_cb(ctx, on_cert, NULL);
	SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_num_tickets(ctx, 1) != 1 ||
	    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)RT_NAME,
					   sizeof RT_NAME - 1) != 1 ||
	    SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1 ||
	    SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static bool set_up(struct rt_worker *w)
{
	if (w->tls.ctx)
		return true;
	w->tls.ctx = make_ctx();
	w->tls.method = make_method();
	if (w->tls.ctx && w->tls.method)
		return true;
	xlog(XLOG_ERROR, "tls", "msg=\"TLS cannot be set up\" err=%s",
	     xlog_q(ERR_reason_error_string(ERR_peek_error())));
	ERR_clear_error();
	SSL_CTX_free(w->tls.ctx);
	BIO_meth_free(w->tls.method);
	w->tls.ctx = NULL;
	w->tls.method = NULL;
	return false;
}

void rt_tls_worker_free(struct rt_worker *w)
{
	SSL_CTX_free(w->tls.ctx);
	BIO_meth_free(w->tls.method);
	buf_clear(&w->tls.out);
}

/* --- life of one ------------------------------------------------------------------------------ */

/* Too many at once: the one that has been at it for the longest gives way, which is not one that
 * gets on. */
static void limit_handshakes(struct rt_worker *w)
{
	struct rt_timer *oldest = w->lists[RT_T_TLS].next;

	if (w->tls.handshakes >= LIM_TLS_HANDSHAKES && oldest != &w->lists[RT_T_TLS])
		rt_conn_close(container_of(oldest, struct rt_conn, timer));
}

bool rt_tls_start(struct rt_conn *c)
{
	struct rt_worker *w = c->w;
	struct rt_tls *t;
	BIO *b;

	if (!set_up(w))
		return false;
	limit_handshakes(w);
	t = xcalloc(1, sizeof *t);
	t->c = c;
	t->ssl = SSL_new(w->tls.ctx);
	b = t->ssl ? BIO_new(w->tls.method) : NULL;
	if (!b) {
		SSL_free(t->ssl);
		free(t);
		ERR_clear_error();
		return false;
	}
	BIO_set_data(b, w);
	BIO_set_init(b, 1);
	SSL_set_bio(t->ssl, b, b);
	SSL_set_app_data(t->ssl, t);
	SSL_set_accept_state(t->ssl);
	c->tls = c->out.tls = t;
	w->tls.handshakes++;
	rt_timer_set(w, &c->timer, RT_T_TLS);
	return true;
}

static void handshake_over(struct rt_tls *t)
{
	if (t->done)
		return;
	t->done = true;
	unwait(t);
	t->c->w->tls.handshakes--;
	buf_clear(&t->held);
}

void rt_tls_closing(struct rt_conn *c)
{
	handshake_over(c->tls);
}

void rt_tls_free(struct rt_tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	buf_clear(&t->held);
	free(t);
}

static bool established_ok(const struct rt_tls *t)
{
	return t->done && !t->failed && SSL_is_init_finished(t->ssl);
}

/* --- writing ---------------------------------------------------------------------------------- */

/* What OpenSSL had to say goes to the socket. */
static int flush(struct rt_tls *t)
{
	struct rt_worker *w = t->c->w;
	uv_buf_t v = uv_buf_init(w->tls.out.data, (unsigned)w->tls.out.len);
	int r = w->tls.out.len ? rt_out_raw(&t->c->out, &v, 1) : 0;

	if (w->tls.out.cap > 2 * RT_READ_BYTES)
		buf_clear(&w->tls.out);
	else
		buf_reset(&w->tls.out);
	return r;
}

static bool encrypt(struct rt_tls *t, const char *p, size_t n)
{
	size_t done = 0;

	/* The BIO takes everything, so this does not come back half done. */
	if (!n || SSL_write_ex(t->ssl, p, n, &done) == 1)
		return true;
	ERR_clear_error();
	t->failed = true;
	return false;
}

/* Small pieces share a record: head, chunk size, data, chunk end. */
int rt_tls_write(struct rt_tls *t, const uv_buf_t *v, unsigned n)
{
	struct rt_worker *w = t->c->w;
	char *stage = w->tls.stage;
	size_t staged = 0;

	if (t->failed || !t->done)
		return UV_EPIPE;
	for (unsigned i = 0; i < n && !t->failed; i++) {
		const char *p = v[i].base;
		size_t left = v[i].len;

		while (left && !t->failed) {
			size_t fit = RECORD - staged < left ? RECORD - staged : left;

			if (!staged && left >= RECORD) {
				encrypt(t, p, RECORD);
				fit = RECORD;
			} else {
				memcpy(stage + staged, p, fit);
				staged += fit;
				if (staged == RECORD) {
					encrypt(t, stage, staged);
					staged = 0;
				}
			}
			p += fit;
			left -= fit;
		}
	}
	if (!t->failed)
		encrypt(t, stage, staged);
	if (t->failed) {
		buf_reset(&w->tls.out);
		t->c->out.failed = true;
		return UV_EPIPE;
	}
	return flush(t);
}

void rt_tls_goodbye(struct rt_tls *t)
{
	if (!established_ok(t) || (SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN))
		return;
	SSL_shutdown(t->ssl);
	ERR_clear_error();
	flush(t);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void fail(struct rt_tls *t)
{
	struct rt_conn *c = t->c;

	ERR_clear_error();
	t->failed = true;
	handshake_over(t);
	switch (c->state) {
	case CONN_BUSY:
		if (c->x.app) {
			rt_xchg_client_gone(c);
			return;
		}
		break;
	case CONN_TUNNEL:
		rt_tunnel_end(c, RT_OK, NULL);
		return;
	default:
		break;
	}
	rt_conn_linger(c); /* so that an alert arrives */
}

/* The length of the ClientHello, once it can be seen: OpenSSL would set aside eight times the limit
 * for one that only says so. */
static bool hello_fits(struct rt_tls *t, const unsigned char *p, size_t n)
{
	size_t record;

	if (n < HELLO_SEE)
		return true;
	record = (size_t)p[3] << 8 | p[4];
	t->looked = true;
	/* One cut up into tiny records is left to the limit on octets. */
	return record < 4 || ((size_t)p[6] << 16 | (size_t)p[7] << 8 | p[8]) <= LIM_TLS_HELLO;
}

static void established(struct rt_tls *t)
{
	struct rt_conn *c = t->c;

	handshake_over(t);
	c->first = true;
	rt_timer_set(c->w, &c->timer, c->w->quitting ? RT_T_LINGER : RT_T_IDLE);
}

/* True when it is over, well or not. */
static bool shake(struct rt_tls *t)
{
	struct rt_conn *c = t->c;
	struct rt_worker *w = c->w;
	int r, e;

	ERR_clear_error();
	r = SSL_do_handshake(t->ssl);
	e = r == 1 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, r);
	if (flush(t) < 0) {
		rt_conn_close(c);
		return true;
	}
	switch (e) {
	case SSL_ERROR_NONE:
		established(t);
		return true;
	case SSL_ERROR_WANT_READ:
		return false;
	case SSL_ERROR_WANT_X509_LOOKUP:
		buf_add(&t->held, w->tls.in, w->tls.in_n);
		w->tls.in_n = 0;
		wait_for_cert(t);
		return false;
	default:
		fail(t);
		return true;
	}
}

/* Everything in one go: conn.c has what one read brought, as without TLS. The buffer holds all that
 * it can be, with what was left of the read before: less than a record. */
static void deliver(struct rt_tls *t)
{
	struct rt_conn *c = t->c;
	struct rt_worker *w = c->w;
	size_t n = 0, got = 0;
	int r = 1, e;

	ERR_clear_error();
	while (n < sizeof w->tls.plain &&
	       (r = SSL_read_ex(t->ssl, w->tls.plain + n, sizeof w->tls.plain - n, &got)) == 1)
		n += got;
	e = r == 1 ? SSL_ERROR_WANT_READ : SSL_get_error(t->ssl, r);
	if (flush(t) < 0 || c->out.next.len > LIM_TLS_BACKLOG) {
		fail(t);
		return;
	}
	assert(!w->tls.in_n || e != SSL_ERROR_WANT_READ);
	w->tls.in_n = 0;
	if (n && c->first)
		rt_rendezvous_first(c, w->tls.plain, n);
	else if (n)
		rt_conn_data(c, w->tls.plain, n);
	if (c->state == CONN_CLOSING)
		return;
	if (e == SSL_ERROR_ZERO_RETURN)
		rt_conn_eof(c);
	else if (e != SSL_ERROR_WANT_READ)
		fail(t);
}

static void go_on(struct rt_tls *t, const char *p, size_t n)
{
	struct rt_worker *w = t->c->w;

	w->tls.in = p;
	w->tls.in_n = n;
	if ((t->done || shake(t)) && t->c->state != CONN_CLOSING && !t->failed)
		deliver(t);
	w->tls.in_n = 0;
}

static void go_on_held(struct rt_tls *t)
{
	AUTO(buf_clear) struct buf held = t->held;

	t->held = (struct buf){0};
	go_on(t, held.data, held.len);
}

static void handshake_data(struct rt_tls *t, const char *p, size_t n)
{
	/* One read may bring the handshake's end and a request. */
	if (t->taken > LIM_TLS_HANDSHAKE_BYTES) {
		fail(t);
		return;
	}
	t->taken += n;
	if (t->looked && !t->waiting) {
		go_on(t, p, n);
		return;
	}
	buf_add(&t->held, p, n);
	if (t->waiting)
		return;
	if (!hello_fits(t, (const unsigned char *)t->held.data, t->held.len))
		fail(t);
	else if (t->looked)
		go_on_held(t);
}

void rt_tls_data(struct rt_conn *c, const char *p, size_t n)
{
	struct rt_tls *t = c->tls;

	if (c->state == CONN_LINGER)
		rt_conn_data(c, p, n); /* dropped and counted */
	else if (t->failed || c->eof)
		return;
	else if (t->done)
		go_on(t, p, n);
	else
		handshake_data(t, p, n);
}

/* --- answers of paasd ------------------------------------------------------------------------- */

static void answered(void *arg)
{
	struct rt_worker *w = arg;

	while (w->tls.waiting) {
		struct rt_tls *t = w->tls.waiting;
		struct rt_conn *c = t->c;

		t->no_wait = true;
		unwait(t);
		rt_conn_resume(c);
		go_on_held(t);
	}
}

void rt_tls_wake(struct rt_worker *w)
{
	loop_post(w->loop, answered, w);
}
