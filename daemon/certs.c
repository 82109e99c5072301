#include "daemon/certs.h"
#include "daemon/core/pool.h"
#include "daemon/core/xlog.h"
#include "daemon/store/sni.h"
#include "proto/limits.h"

#include <stdio.h>
#include <string.h>

struct cert_desk {
	struct loop *l;
	const struct config *cfg;
	struct store *st;
	struct routes *ro;
	struct tls_source *source;
	struct pool *pool; /* one thread: leaves are made, files and rows read */
	struct loop_timer *hourly;
	bool stopped;
};

struct job {
	struct cert_desk *d;
	struct tls_pair pair;
	int found;   /* 1, 0, -1 */
	char host[]; /* "" = the default */
};

static void answer(void *arg)
{
	struct job *j = arg;

	if (j->found > 0 && !j->host[0])
		routes_default_cert(j->d->ro, j->pair.cert, j->pair.key);
	else if (j->host[0] && j->found >= 0)
		routes_cert(j->d->ro, j->host, j->pair.cert, j->pair.key);
	/* On errors nothing is said: the router uses its default and asks again. */
	tls_pair_clear(&j->pair);
	free(j);
}

static void look(void *arg)
{
	struct job *j = arg;
	struct err err = {0};

	if (j->host[0])
		j->found = tls_source_host(j->d->source, j->host, &j->pair, &err);
	else
		j->found = tls_source_default(j->d->source, &j->pair, &err) < 0 ? -1 : 1;
	if (j->found < 0)
		xlog_err(XLOG_ERROR, "tls", &err, "msg=\"no certificate\" host=%s",
			 xlog_q(j->host));
	if (!loop_post(j->d->l, answer, j)) {
		tls_pair_clear(&j->pair);
		free(j);
	}
}

static void submit(struct cert_desk *d, const char *host)
{
	size_t n = strlen(host) + 1;
	struct job *j = xcalloc(1, sizeof *j + n);

	j->d = d;
	memcpy(j->host, host, n);
	if (!pool_submit(d->pool, look, j))
		free(j); /* as many as wait already are more than there are names for */
}

static void on_ask(void *arg, const char *host)
{
	if (*host)
		submit(arg, host);
}

static void on_hour(void *arg)
{
	struct cert_desk *d = arg;

	submit(d, "");
	d->hourly = loop_timer_start(d->l, LIM_TLS_AGE_MS, on_hour, d);
}

/* --- certificates that apps bring ------------------------------------------------------------- */

struct sni_q {
	const char *host;
	struct tls_pair *out;
};

static int read_sni(struct tx *tx, void *arg, struct err *err)
{
	struct sni_q *q = arg;

	return store_sni_of_host(tx, q->host, &q->out->cert, &q->out->key, err);
}

static int of_apps(void *arg, const char *host, struct tls_pair *out, struct err *err)
{
	struct cert_desk *d = arg;
	struct sni_q q = {host, out};

	if (store_read(d->st, read_sni, &q, err) == 0)
		return 1;
	if (err->code != ERR_NOT_FOUND)
		return -1;
	*err = (struct err){0};
	return 0;
}

/* --- life --------------------------------------------------------------------------------------
 */

int cert_desk_open(struct loop *l, const struct config *cfg, const struct master_key *key,
		   struct store *st, struct routes *ro, struct cert_desk **out, struct err *err)
{
	struct cert_desk *d = xcalloc(1, sizeof *d);

	*d = (struct cert_desk){.l = l, .cfg = cfg, .st = st, .ro = ro};
	if (tls_source_open(cfg, key, &d->source, err) < 0) {
		free(d);
		return -1;
	}
	tls_source_add(d->source, of_apps, d);
	d->pool = pool_new("certs", 1, LIM_TLS_CACHE);
	routes_on_cert_ask(ro, on_ask, d);
	*out = d;
	return 0;
}

struct tls_source *cert_desk_source(struct cert_desk *d)
{
	return d->source;
}

void cert_desk_start(struct cert_desk *d)
{
	struct tls_pair p = {0};
	struct err err = {0};

	/* The first one is part of the router's first table. The loop has nobody to keep waiting
	 * yet. */
	if (tls_source_default(d->source, &p, &err) == 0)
		routes_default_cert(d->ro, p.cert, p.key);
	else
		xlog_err(XLOG_ERROR, "tls", &err, "msg=\"no default certificate\"");
	tls_pair_clear(&p);
	d->hourly = loop_timer_start(d->l, LIM_TLS_AGE_MS, on_hour, d);
}

void cert_desk_stop(struct cert_desk *d)
{
	loop_timer_stop(d->hourly);
	d->hourly = NULL;
}

void cert_desk_free(struct cert_desk *d)
{
	if (!d)
		return;
	pool_free(d->pool);
	tls_source_free(d->source);
	free(d);
}

void cert_desk_tell(struct cert_desk *d)
{
	const char *ca = tls_source_ca_path(d->source), *host = d->cfg->platform_host;
	int port = config_port(d->cfg);

	printf("https://%s:%d too, with certificates of an authority of its own. To trust it:\n"
	       "  git config --global http.https://%s:%d/.sslCAInfo %s\n"
	       "  export NODE_EXTRA_CA_CERTS=%s   # the Heroku CLI\n"
	       "  curl --cacert %s ...             # also at http://%s:%d/ca.pem\n",
	       host, port, host, port, ca, ca, ca, host, port);
}
