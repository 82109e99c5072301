#include "router/certs.h"
#include "daemon/core/xlog.h"
#include "router/logline.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <string.h>

#define BUCKETS	  256
#define NAME_MAX_ 256

enum state {
	WANTED, /* by a worker; paasd has not been asked */
	ASKED,
	NONE, /* paasd has said so, or did not answer: the default */
	HAVE,
};

struct entry {
	struct entry *next;
	enum state state;
	bool again;	    /* HAVE and old: paasd is asked, meanwhile it is served */
	mono_ms asked, due; /* due: when to ask again */
	mono_ms used;
	char *cert, *key;     /* owned PEM, of HAVE */
	struct rt_cert *made; /* of them, once somebody wanted it */
	char name[];
};

struct rt_certs {
	pthread_mutex_t
		lock; /* handshakes take it for a look; they cost a thousand times as much */
	struct entry *buckets[BUCKETS];
	int n;
};

/* --- certificates ------------------------------------------------------------------------- */

void rt_cert_unref(struct rt_cert *c)
{
	if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	X509_free(c->leaf);
	sk_X509_pop_free(c->chain, X509_free);
	EVP_PKEY_free(c->key);
	free(c);
}

static int no_passphrase(char *out, int size, int rw, void *arg)
{
	return -1;
}

/* NULL when it cannot be read, which paasd has checked. */
static struct rt_cert *make(const char *cert, const char *key)
{
	struct rt_cert *c = xcalloc(1, sizeof *c);
	BIO *b = BIO_new_mem_buf(cert, -1), *k = BIO_new_mem_buf(key, -1);
	X509 *x;

	c->refs = 1;
	c->leaf = PEM_read_bio_X509(b, NULL, no_passphrase, NULL);
	c->key = PEM_read_bio_PrivateKey(k, NULL, no_passphrase, NULL);
	while (c->leaf && (x = PEM_read_bio_X509(b, NULL, no_passphrase, NULL))) {
		if (!c->chain)
			c->chain = sk_X509_new_null();
		sk_X509_push(c->chain, x);
	}
	BIO_free(b);
	BIO_free(k);
	ERR_clear_error();
	if (!c->leaf || !c->key || X509_check_private_key(c->leaf, c->key) != 1) {
		ERR_clear_error();
		rt_cert_unref(c);
		return NULL;
	}
	return c;
}

static void forget_cert(struct entry *e)
{
	rt_cert_unref(e->made);
	e->made = NULL;
	free(e->cert);
	if (e->key)
		OPENSSL_cleanse(e->key, strlen(e->key));
	free(e->key);
	e->cert = e->key = NULL;
}

/* --- entries; the lock is held ------------------------------------------------------------- */

static struct entry **place(struct rt_certs *c, const char *name)
{
	struct entry **p = &c->buckets[rt_hash(name, strlen(name)) % BUCKETS];

	while (*p && strcmp((*p)->name, name) != 0)
		p = &(*p)->next;
	return p;
}

static void entry_free(struct rt_certs *c, struct entry **p)
{
	struct entry *e = *p;

	*p = e->next;
	c->n--;
	forget_cert(e);
	free(e);
}

/* The one that nobody has wanted for the longest time goes; never the default. */
static void make_room(struct rt_certs *c)
{
	struct entry **oldest = NULL;

	for (int i = 0; i < BUCKETS; i++)
		for (struct entry **p = &c->buckets[i]; *p; p = &(*p)->next)
			if ((*p)->name[0] && (!oldest || (*p)->used < (*oldest)->used))
				oldest = p;
	if (oldest)
		entry_free(c, oldest);
}

static struct entry *entry_get(struct rt_certs *c, const char *name)
{
	struct entry **p = place(c, name), *e = *p;
	size_t n = strlen(name) + 1;

	if (e)
		return e;
	if (c->n >= LIM_TLS_CACHE) {
		make_room(c);
		p = place(c, name);
	}
	e = xcalloc(1, sizeof *e + n);
	memcpy(e->name, name, n);
	e->used = clock_mono_ms();
	*p = e;
	c->n++;
	return e;
}

static void set_none(struct entry *e, mono_ms now)
{
	forget_cert(e);
	e->state = NONE;
	e->again = false;
	e->due = now + LIM_TLS_NONE_MS;
}

/* --- looking up ----------------------------------------------------------------------------- */

static struct rt_cert *use(struct entry *e, mono_ms now)
{
	if (!e || e->state != HAVE)
		return NULL;
	e->used = now;
	if (!e->made)
		e->made = make(e->cert, e->key);
	if (e->made)
		atomic_fetch_add_explicit(&e->made->refs, 1, memory_order_relaxed);
	return e->made;
}

enum rt_cert_found rt_certs_find(struct rt_certs *c, const char *name, bool wait,
				 struct rt_cert **out)
{
	enum rt_cert_found found = RT_CERT_HAVE;
	mono_ms now = clock_mono_ms();
	struct entry *e;

	pthread_mutex_lock(&c->lock);
	e = *name && wait ? entry_get(c, name) : *place(c, name);
	if (wait && e) {
		if (e->state == WANTED || e->state == ASKED)
			found = RT_CERT_WAIT;
		else if (e->state == NONE && now >= e->due) {
			e->state = WANTED;
			found = RT_CERT_WAIT;
		} else if (*name && e->state == HAVE && now >= e->due) {
			e->again = true;
			found = RT_CERT_OLD;
		}
		e->used = now;
	}
	*out = NULL;
	if (found != RT_CERT_WAIT) {
		*out = use(e, now);
		if (!*out && *name)
			*out = use(*place(c, ""), now);
	}
	pthread_mutex_unlock(&c->lock);
	return found;
}

/* --- what paasd says ------------------------------------------------------------------------ */

struct frame_text {
	char *cert, *key; /* owned */
};

static int put(struct rt_certs *c, const char *host, const struct frame_text *t)
{
	mono_ms now = clock_mono_ms();
	int changed = 0;
	struct entry *e;

	pthread_mutex_lock(&c->lock);
	e = entry_get(c, host);
	if (!t->cert || !t->key) {
		changed = e->state == HAVE;
		set_none(e, now);
	} else {
		/* The same again: what was made of it, and sessions with it, go on. */
		if (e->state != HAVE || strcmp(e->cert, t->cert) != 0) {
			forget_cert(e);
			e->cert = xstrdup(t->cert);
			e->key = xstrdup(t->key);
			changed = 1;
		}
		e->state = HAVE;
		e->again = false;
		e->due = now + LIM_TLS_AGE_MS;
	}
	pthread_mutex_unlock(&c->lock);
	return changed;
}

static int drop_one(struct rt_certs *c, const char *host)
{
	struct entry **p;
	int changed = 0;

	pthread_mutex_lock(&c->lock);
	p = place(c, host);
	/* One that is waited for gets its answer anyway. */
	if (*p && (*p)->state >= NONE) {
		changed = (*p)->state == HAVE;
		entry_free(c, p);
	}
	pthread_mutex_unlock(&c->lock);
	return changed;
}

static void drop_all(struct rt_certs *c)
{
	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < BUCKETS; i++)
		for (struct entry **p = &c->buckets[i]; *p;)
			if ((*p)->name[0] && (*p)->state >= NONE)
				entry_free(c, p);
			else
				p = &(*p)->next;
	pthread_mutex_unlock(&c->lock);
}

static int read_text(struct wire_frame f, struct frame_text *t, int *hosts)
{
	struct wire_field w;
	int r;

	while ((r = wire_next(&f, &w)) == 1) {
		char **to = w.key == R_CERT ? &t->cert : w.key == R_KEY ? &t->key : NULL;

		if (to) {
			free(*to);
			*to = wire_get_str(&w);
		}
		*hosts += w.key == R_HOST;
	}
	return r;
}

static int for_each_host(struct rt_certs *c, struct wire_frame f, const struct frame_text *t)
{
	char host[NAME_MAX_];
	struct wire_field w;
	int changed = 0;

	while (wire_next(&f, &w) == 1) {
		if (w.key != R_HOST)
			continue;
		if (w.len == 0 || w.len >= sizeof host)
			return -1;
		wire_copy_str(&w, host, sizeof host);
		if (f.type == ROUTE_CERT)
			changed |= put(c, host, t);
		else
			changed |= drop_one(c, host);
	}
	return changed;
}

int rt_certs_take(struct rt_certs *c, const struct wire_frame *f, struct err *err)
{
	struct frame_text t = {0};
	int hosts = 0, rc = read_text(*f, &t, &hosts);

	if (rc == 0 && hosts) {
		rc = for_each_host(c, *f, &t);
	} else if (rc == 0 && f->type == ROUTE_CERT) {
		rc = put(c, "", &t);
	} else if (rc == 0) {
		drop_all(c);
		rc = 1;
	}
	free(t.cert);
	if (t.key)
		OPENSSL_cleanse(t.key, strlen(t.key));
	free(t.key);
	return rc < 0 ? err_set(err, ERR_BAD_REQUEST, "malformed certificate frame") : rc;
}

/* --- asking --------------------------------------------------------------------------------- */

void rt_certs_ask(struct rt_certs *c, bool (*ask)(void *arg, const char *name), void *arg)
{
	mono_ms now = clock_mono_ms();

	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < BUCKETS; i++)
		for (struct entry *e = c->buckets[i]; e; e = e->next) {
			if (e->state != WANTED && !e->again)
				continue;
			if (e->again) {
				e->again = false;
				e->due = now + LIM_TLS_NONE_MS;
				ask(arg, e->name);
			} else if (ask(arg, e->name)) {
				e->state = ASKED;
				e->asked = now;
			} else {
				set_none(e, now);
				e->due = now; /* paasd may be back for the next client */
			}
		}
	pthread_mutex_unlock(&c->lock);
}

void rt_certs_give_up(struct rt_certs *c, mono_ms before)
{
	mono_ms now = clock_mono_ms();

	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < BUCKETS; i++)
		for (struct entry *e = c->buckets[i]; e; e = e->next)
			if (e->state == ASKED && e->asked <= before) {
				set_none(e, now);
				e->due = now;
			}
	pthread_mutex_unlock(&c->lock);
}

void rt_certs_stale(struct rt_certs *c)
{
	mono_ms now = clock_mono_ms();

	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < BUCKETS; i++)
		for (struct entry *e = c->buckets[i]; e; e = e->next)
			if (e->state >= NONE)
				e->due = now;
	pthread_mutex_unlock(&c->lock);
}

bool rt_certs_waiting(struct rt_certs *c)
{
	bool yes = false;

	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < BUCKETS && !yes; i++)
		for (struct entry *e = c->buckets[i]; e && !yes; e = e->next)
			yes = e->state == ASKED;
	pthread_mutex_unlock(&c->lock);
	return yes;
}

/* --- snapshot, life ------------------------------------------------------------------------- */

void rt_certs_frames(struct rt_certs *c, struct buf *out)
{
	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < BUCKETS; i++)
		for (struct entry *e = c->buckets[i]; e; e = e->next) {
			size_t mark;

			if (e->state != HAVE)
				continue;
			mark = wire_begin(out, ROUTE_CERT);
			if (e->name[0])
				wire_str(out, R_HOST, e->name);
			wire_str(out, R_CERT, e->cert);
			wire_str(out, R_KEY, e->key);
			wire_end(out, mark);
		}
	pthread_mutex_unlock(&c->lock);
}

struct rt_certs *rt_certs_new(void)
{
	struct rt_certs *c = xcalloc(1, sizeof *c);

	pthread_mutex_init(&c->lock, NULL);
	return c;
}

void rt_certs_free(struct rt_certs *c)
{
	if (!c)
		return;
	for (int i = 0; i < BUCKETS; i++)
		while (c->buckets[i])
			entry_free(c, &c->buckets[i]);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
