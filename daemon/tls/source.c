#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "daemon/tls/tls.h"
#include "proto/limits.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DAY_MS	    86400000LL
#define CA_DAYS	    3650
#define LEAF_DAYS   397 /* what browsers take at most of authorities that they know; a good habit */
#define RENEW_DAYS  30
#define MAX_SOURCES 4
#define NAMES	    24

struct made { /* a leaf for one name, kept so that it stays the same */
	struct made *next;
	struct tls_pair pair;
	wall_ms expires_ms, used_ms;
	char name[];
};

struct tls_source {
	const struct config *cfg;
	const struct master_key *key;
	char *dir, *ca_path; /* owned */
	pthread_mutex_t lock;
	struct tls_pair ca, leaf, given; /* given: of the configuration; empty = none */
	struct tls_cert_info leaf_info, given_info;
	wall_ms ca_expires_ms;
	struct made *made;
	int nmade;
	struct {
		tls_lookup_fn *fn;
		void *arg;
	} sources[MAX_SOURCES];
	int nsources;
};

/* --- files ---------------------------------------------------------------------------------- */

static int save_pair(struct tls_source *s, const char *name, const struct tls_pair *p,
		     struct err *err)
{
	AUTO(auto_str) char *cert = xasprintf("%s/%s.pem", s->dir, name);
	AUTO(auto_str) char *key = xasprintf("%s/%s.key", s->dir, name);
	AUTO(buf_clear) struct buf box = {0};

	secret_seal(s->key, p->key, strlen(p->key), &box);
	/* The key first: a certificate without its key would be of no use, a key alone is replaced.
	 */
	return fs_write_atomic(key, box.data, box.len, 0600, err) < 0
		       ? -1
		       : fs_write_atomic(cert, p->cert, strlen(p->cert), 0644, err);
}

/* 1 = read and good until `until`, 0 = there is none, or none that will do. */
static int load_pair(struct tls_source *s, const char *name, wall_ms until, struct tls_pair *out,
		     struct tls_cert_info *info, struct err *err)
{
	AUTO(auto_str) char *cert = xasprintf("%s/%s.pem", s->dir, name);
	AUTO(auto_str) char *key = xasprintf("%s/%s.key", s->dir, name);
	AUTO(buf_clear) struct buf c = {0}, k = {0}, plain = {0};
	struct err why = {0};

	if (access(cert, F_OK) < 0 && errno == ENOENT)
		return 0;
	if (fs_read(cert, LIM_TLS_PEM, &c, err) < 0 || fs_read(key, 2 * LIM_TLS_PEM, &k, err) < 0 ||
	    secret_open(s->key, k.data, k.len, &plain, err) < 0)
		return -1;
	out->cert = buf_steal(&c);
	out->key = xstrdup(buf_str(&plain));
	explicit_bzero(plain.data, plain.len);
	if (tls_cert_parse(out->cert, out->key, until, info, &why) == 0)
		return 1;
	xlog_err(XLOG_WARN, "tls", &why, "msg=\"certificate is made anew\" name=%s", name);
	tls_pair_clear(out);
	return 0;
}

/* --- the development authority; the lock is held, or nobody else is there yet ------------------
 */

static int ready_ca(struct tls_source *s, struct err *err)
{
	AUTO(tls_cert_info_clear) struct tls_cert_info info = {0};
	AUTO(tls_pair_clear) struct tls_pair p = {0};
	wall_ms now = clock_wall_ms();
	char name[80], id[9];
	int r;

	if (s->ca.cert && s->ca_expires_ms > now + RENEW_DAYS * DAY_MS)
		return 0;
	r = load_pair(s, "ca", now + RENEW_DAYS * DAY_MS, &p, &info, err);
	if (r < 0)
		return err_wrap(err, "the development certificate authority in %s", s->dir);
	if (r == 0) {
		/* Browsers that know several tell them apart by name. */
		random_hex(id, 8);
		snprintf(name, sizeof name, "paasd development CA %s", id);
		if (tls_ca_make(name, now, CA_DAYS, &p, err) < 0 ||
		    save_pair(s, "ca", &p, err) < 0 ||
		    tls_cert_parse(p.cert, NULL, 0, &info, err) < 0)
			return -1;
		xlog(XLOG_INFO, "tls",
		     "msg=\"a development certificate authority was made: clients must trust it\" "
		     "file=%s",
		     xlog_q(s->ca_path));
	}
	tls_pair_clear(&s->ca);
	s->ca = p;
	p = (struct tls_pair){0};
	s->ca_expires_ms = info.expires_ms;
	return 0;
}

static void add_name(const char *names[NAMES + 1], int *n, const char *name)
{
	for (int i = 0; i < *n; i++)
		if (strcmp(names[i], name) == 0)
			return;
	if (*name && *n < NAMES)
		names[(*n)++] = name;
	names[*n] = NULL;
}

/* The host part of "1.2.3.4:80" or "[::1]:80", unless it means every address. */
static char *listen_host(const char *one)
{
	const char *end = strrchr(one, ':');
	size_t n = end ? (size_t)(end - one) : strlen(one);
	char *host = n > 2 && one[0] == '[' ? xstrndup(one + 1, n - 2) : xstrndup(one, n);
	unsigned char a[16];

	if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0 ||
	    (inet_pton(AF_INET, host, a) != 1 && inet_pton(AF_INET6, host, a) != 1))
		*host = 0;
	return host;
}

static char *url_host(const char *url)
{
	const char *p = strstr(url, "://");

	p = p ? p + 3 : url;
	return xstrndup(p, strcspn(p, ":/?#"));
}

struct leaf_names {
	const char *v[NAMES + 1];
	char *owned[NAMES]; /* made for it */
	int n, nowned;
};

static void leaf_names_make(const struct config *cfg, struct leaf_names *l)
{
	AUTO(auto_str) char *listen = xstrdup(cfg->listen);
	char *save = NULL;

	add_name(l->v, &l->n, cfg->platform_host);
	add_name(l->v, &l->n, "localhost");
	l->owned[l->nowned++] = url_host(cfg->public_url);
	add_name(l->v, &l->n, l->owned[0]);
	l->owned[l->nowned++] = xasprintf("*.%s", cfg->apps_domain);
	add_name(l->v, &l->n, l->owned[1]);
	add_name(l->v, &l->n, "127.0.0.1");
	add_name(l->v, &l->n, "::1");
	for (char *p = strtok_r(listen, ", ", &save); p && l->nowned < NAMES;
	     p = strtok_r(NULL, ", ", &save)) {
		l->owned[l->nowned++] = listen_host(p);
		add_name(l->v, &l->n, l->owned[l->nowned - 1]);
	}
}

static void leaf_names_clear(struct leaf_names *l)
{
	for (int i = 0; i < l->nowned; i++)
		free(l->owned[i]);
}

/* Of this authority, and for all these names? */
static bool leaf_fits(struct tls_source *s, const struct leaf_names *l)
{
	AUTO(tls_cert_info_clear) struct tls_cert_info chain = {0};
	AUTO(auto_str) char *both = xasprintf("%s%s", s->leaf.cert, s->ca.cert);

	for (int i = 0; i < l->n; i++) {
		bool there = false;

		for (int k = 0; k < s->leaf_info.nnames; k++)
			there |= strcmp(s->leaf_info.names[k], l->v[i]) == 0;
		if (!there)
			return false;
	}
	return tls_cert_parse(both, s->leaf.key, 0, &chain, NULL) == 0 && chain.chain_len == 2;
}

static void leaf_forget(struct tls_source *s)
{
	tls_pair_clear(&s->leaf);
	tls_cert_info_clear(&s->leaf_info);
}

static int ready_leaf(struct tls_source *s, struct err *err)
{
	wall_ms now = clock_wall_ms(), until = now + RENEW_DAYS * DAY_MS;
	struct leaf_names l = {0};
	int rc = 0;

	if (ready_ca(s, err) < 0)
		return -1;
	leaf_names_make(s->cfg, &l);
	if (!s->leaf.cert && load_pair(s, "leaf", until, &s->leaf, &s->leaf_info, err) < 0)
		rc = err_wrap(err, "the development certificate in %s", s->dir);
	else if (!s->leaf.cert || s->leaf_info.expires_ms <= until || !leaf_fits(s, &l)) {
		leaf_forget(s);
		rc = tls_leaf_make(&s->ca, l.v, now, LEAF_DAYS, &s->leaf, err);
		if (rc == 0)
			rc = save_pair(s, "leaf", &s->leaf, err);
		if (rc == 0)
			rc = tls_cert_parse(s->leaf.cert, s->leaf.key, 0, &s->leaf_info, err);
	}
	leaf_names_clear(&l);
	return rc;
}

/* --- the configured certificate -------------------------------------------------------------- */

static int read_given(struct tls_source *s, struct tls_pair *p, struct tls_cert_info *info,
		      struct err *err)
{
	AUTO(buf_clear) struct buf c = {0}, k = {0};
	int rc;

	if (fs_read(s->cfg->tls_cert, LIM_TLS_PEM, &c, err) < 0 ||
	    fs_read(s->cfg->tls_key, LIM_TLS_PEM, &k, err) < 0)
		return -1;
	rc = tls_cert_parse(buf_str(&c), buf_str(&k), clock_wall_ms(), info, err);
	if (rc == 0) {
		p->cert = xstrdup(info->chain_pem);
		p->key = xstrdup(buf_str(&k));
	}
	explicit_bzero(k.data, k.len);
	return rc;
}

/* Read each time: what renews certificates replaces the files. */
static void ready_given(struct tls_source *s)
{
	struct tls_cert_info info = {0};
	struct tls_pair p = {0};
	struct err err = {0};

	if (!s->cfg->tls_cert[0] && !s->cfg->tls_key[0])
		return;
	if (read_given(s, &p, &info, &err) < 0) {
		xlog_err(XLOG_ERROR, "tls", &err,
			 "msg=\"tls.cert and tls.key cannot be used: the %s is served\"",
			 s->given.cert ? "one before" : "development certificate");
		return;
	}
	tls_pair_clear(&s->given);
	tls_cert_info_clear(&s->given_info);
	s->given = p;
	s->given_info = info;
}

/* --- lookups --------------------------------------------------------------------------------- */

static void copy(const struct tls_pair *from, struct tls_pair *to)
{
	*to = (struct tls_pair){xstrdup(from->cert), xstrdup(from->key)};
}

int tls_source_default(struct tls_source *s, struct tls_pair *out, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	ready_given(s);
	if (!s->given.cert)
		rc = ready_leaf(s, err);
	if (rc == 0)
		copy(s->given.cert ? &s->given : &s->leaf, out);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static void made_free(struct tls_source *s, struct made **p)
{
	struct made *m = *p;

	*p = m->next;
	s->nmade--;
	tls_pair_clear(&m->pair);
	free(m);
}

static struct made **made_find(struct tls_source *s, const char *host)
{
	struct made **p = &s->made;

	while (*p && strcmp((*p)->name, host) != 0)
		p = &(*p)->next;
	return p;
}

static void made_make_room(struct tls_source *s)
{
	struct made **oldest = NULL;

	if (s->nmade < LIM_TLS_CACHE)
		return;
	for (struct made **p = &s->made; *p; p = &(*p)->next)
		if (!oldest || (*p)->used_ms < (*oldest)->used_ms)
			oldest = p;
	made_free(s, oldest);
}

/* A wildcard directly below a top-level name ("*.localhost") counts for nothing with OpenSSL, so
 * each name gets a leaf of its own. */
static int development_leaf(struct tls_source *s, const char *host, struct tls_pair *out,
			    struct err *err)
{
	const char *names[] = {host, NULL};
	wall_ms now = clock_wall_ms();
	struct made **at = made_find(s, host), *m = *at;
	size_t n = strlen(host) + 1;

	if (m && m->expires_ms <= now + RENEW_DAYS * DAY_MS) {
		made_free(s, at);
		m = NULL;
	}
	if (!m) {
		struct tls_pair p = {0};

		if (ready_ca(s, err) < 0 ||
		    tls_leaf_make(&s->ca, names, now, LEAF_DAYS, &p, err) < 0)
			return -1;
		made_make_room(s);
		m = xcalloc(1, sizeof *m + n);
		memcpy(m->name, host, n);
		m->pair = p;
		m->expires_ms = now + LEAF_DAYS * DAY_MS;
		m->next = s->made;
		s->made = m;
		s->nmade++;
	}
	m->used_ms = now;
	copy(&m->pair, out);
	return 1;
}

static bool is_host(const char *h)
{
	size_t n = strlen(h);

	if (n < 1 || n > 253 || h[0] == '.')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!((h[i] >= 'a' && h[i] <= 'z') || (h[i] >= '0' && h[i] <= '9') || h[i] == '.' ||
		      h[i] == '-' || h[i] == '_'))
			return false;
	return true;
}

int tls_source_host(struct tls_source *s, const char *host, struct tls_pair *out, struct err *err)
{
	int rc = 0;

	if (!is_host(host))
		return 0;
	for (int i = 0; i < s->nsources && rc == 0; i++)
		rc = s->sources[i].fn(s->sources[i].arg, host, out, err);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&s->lock);
	if (s->given.cert && tls_cert_covers(&s->given_info, host))
		rc = 0;
	else if (!s->given.cert && strcmp(host, s->cfg->platform_host) == 0)
		rc = 0; /* the leaf names it */
	else
		rc = development_leaf(s, host, out, err);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void tls_source_add(struct tls_source *s, tls_lookup_fn *fn, void *arg)
{
	assert(s->nsources < MAX_SOURCES);
	s->sources[s->nsources].fn = fn;
	s->sources[s->nsources++].arg = arg;
}

char *tls_source_ca(struct tls_source *s)
{
	char *text;

	pthread_mutex_lock(&s->lock);
	text = xstrdup(s->ca.cert);
	pthread_mutex_unlock(&s->lock);
	return text;
}

const char *tls_source_ca_path(struct tls_source *s)
{
	return s->ca_path;
}

/* --- life ------------------------------------------------------------------------------------ */

int tls_source_open(const struct config *cfg, const struct master_key *key, struct tls_source **out,
		    struct err *err)
{
	struct tls_source *s = xcalloc(1, sizeof *s);

	s->cfg = cfg;
	s->key = key;
	s->dir = xasprintf("%s/certs", cfg->state_dir);
	s->ca_path = xasprintf("%s/ca.pem", s->dir);
	pthread_mutex_init(&s->lock, NULL);
	if (fs_mkdirs(s->dir, 0755, err) < 0 || ready_leaf(s, err) < 0) {
		tls_source_free(s);
		return -1;
	}
	*out = s;
	return 0;
}

void tls_source_free(struct tls_source *s)
{
	if (!s)
		return;
	while (s->made)
		made_free(s, &s->made);
	tls_pair_clear(&s->ca);
	leaf_forget(s);
	tls_pair_clear(&s->given);
	tls_cert_info_clear(&s->given_info);
	pthread_mutex_destroy(&s->lock);
	free(s->dir);
	free(s->ca_path);
	free(s);
}
