/* Certificates that apps bring (sni-endpoints), and the switch of those that nobody brings (acm).
 */
#include "daemon/api/api_int.h"
#include "daemon/store/sni.h"
#include "daemon/tls/cert.h"
#include "proto/limits.h"

#include <stdio.h>
#include <string.h>

struct sni_tx {
	struct api_req *q;
	struct store_snis list;
	struct store_sni one;
	char ***domains; /* of each in list, or of one; owned */
	int ndomains;
	const struct tls_cert_info *cert; /* of the request */
	const char *key;
	bool ca_signed;
	char name[32];
};

static void clear(struct sni_tx *t)
{
	store_snis_clear(&t->list);
	store_sni_clear(&t->one);
	for (int i = 0; i < t->ndomains; i++)
		store_sni_domains_free(t->domains[i]);
	free(t->domains);
	t->domains = NULL;
	t->ndomains = 0;
}

/* --- as JSON --- */

static json_t *ssl_cert(const struct store_sni *s, struct err *err)
{
	AUTO(tls_cert_info_clear) struct tls_cert_info c = {0};
	json_t *names = json_array(), *ref;

	if (tls_cert_parse(s->chain, NULL, 0, &c, err) < 0) {
		json_decref(names);
		return NULL;
	}
	for (int i = 0; i < c.nnames; i++)
		json_array_append_new(names, json_text(c.names[i]));
	ref = json_named_ref("certificate", c.sha256);
	json_object_del(ref, "name");
	json_object_set_new(ref, "acm", json_false());
	json_object_set_new(ref, "ca_signed?", json_boolean(s->ca_signed));
	json_object_set_new(ref, "cert_domains", names);
	json_object_set_new(ref, "expires_at", json_time(c.expires_ms));
	json_object_set_new(ref, "issuer", json_text(c.issuer));
	json_object_set_new(ref, "self_signed?", json_boolean(c.self_signed));
	json_object_set_new(ref, "starts_at", json_time(c.starts_ms));
	json_object_set_new(ref, "subject", json_text(c.subject));
	return ref;
}

/* NULL when the stored certificate cannot be read. */
static json_t *sni_json(struct api_req *q, const struct store_sni *s, char *const *domains,
			struct err *err)
{
	json_t *cert = ssl_cert(s, err), *ids;

	if (!cert)
		return NULL;
	ids = json_array();
	for (; domains && *domains; domains += 2)
		json_array_append_new(ids, json_string(domains[0]));
	return json_pack("{s:o, s:s, s:o, s:n, s:o, s:s, s:s, s:o, s:o}", "app",
			 json_app_ref(&q->app), "certificate_chain", s->chain, "created_at",
			 json_time(s->created_ms), "display_name", "domains", ids, "id", s->id,
			 "name", s->name, "ssl_cert", cert, "updated_at", json_time(s->updated_ms));
}

static int answer(struct sni_tx *t, int status, struct err *err)
{
	json_t *j = sni_json(t->q, &t->one, t->ndomains ? t->domains[0] : NULL, err);

	return j ? api_ok(t->q, status, j) : -1;
}

/* --- reading --- */

static int add_domains(struct tx *tx, struct sni_tx *t, const char *id, struct err *err)
{
	t->domains = xrealloc(t->domains, (size_t)(t->ndomains + 1) * sizeof *t->domains);
	if (store_sni_domains(tx, id, &t->domains[t->ndomains], err) < 0)
		return -1;
	t->ndomains++;
	return 0;
}

static int read_list(struct tx *tx, void *arg, struct err *err)
{
	struct sni_tx *t = arg;

	if (store_snis_list(tx, t->q->app.id, &t->list, err) < 0)
		return -1;
	for (int i = 0; i < t->list.n; i++)
		if (add_domains(tx, t, t->list.v[i].id, err) < 0)
			return -1;
	return 0;
}

int api_sni_list(struct api_req *q, struct err *err)
{
	struct sni_tx t = {.q = q};
	AUTO(json_decref) json_t *list = json_array();
	int rc = store_read(q->d->store, read_list, &t, err);

	for (int i = 0; i < t.list.n && rc == 0; i++) {
		json_t *j = sni_json(q, &t.list.v[i], t.domains[i], err);

		rc = j ? json_array_append_new(list, j) : -1;
	}
	clear(&t);
	return rc == 0 ? api_list(q, STEAL(list), "name id created_at updated_at", err) : -1;
}

static int read_one(struct tx *tx, void *arg, struct err *err)
{
	struct sni_tx *t = arg;

	clear(t);
	if (store_sni_find(tx, t->q->app.id, t->q->params[1], &t->one, err) < 0)
		return -1;
	return add_domains(tx, t, t->one.id, err);
}

int api_sni_info(struct api_req *q, struct err *err)
{
	struct sni_tx t = {.q = q};
	int rc = store_read(q->d->store, read_one, &t, err);

	if (rc == 0)
		rc = answer(&t, 200, err);
	clear(&t);
	return rc;
}

/* --- changing --- */

const struct api_field api_fields_sni[] = {
	{"certificate_chain", F_STRING, F_REQUIRED, .min = 1, .max = LIM_TLS_PEM,
	 .text = "PEM, with the intermediate certificates"},
	{"private_key", F_STRING, F_REQUIRED, .min = 1, .max = LIM_TLS_PEM, .text = "PEM"},
	{0},
};

/* Reads and checks the pair of the request; write stores it. */
static int take_pair(struct sni_tx *t, tx_fn *write, struct err *err)
{
	AUTO(tls_cert_info_clear) struct tls_cert_info c = {0};
	const char *chain = api_get_str(t->q->body, "certificate_chain");
	int rc;

	t->key = api_get_str(t->q->body, "private_key");
	if (tls_cert_parse(chain, t->key, clock_wall_ms(), &c, err) < 0)
		return -1;
	t->cert = &c;
	t->ca_signed = tls_cert_trusted(c.chain_pem);
	rc = store_tx(t->q->d->store, write, t, err);
	t->cert = NULL;
	if (rc == 0 && c.unused)
		http_setf(t->q->x, "Warning-Message",
			  "%d certificates do not belong to the chain and were left out.",
			  c.unused);
	return rc;
}

static int write_new(struct tx *tx, void *arg, struct err *err)
{
	struct sni_tx *t = arg;

	clear(t);
	if (store_sni_create(tx, t->q->app.id, t->name, t->cert->chain_pem, t->key, t->ca_signed,
			     &t->one, err) < 0)
		return -1;
	return api_hook(t->q, tx, "api:sni-endpoint", HOOK_CREATE, t->one.id, err);
}

int api_sni_create(struct api_req *q, struct err *err)
{
	struct sni_tx t = {.q = q};
	int rc = -1;

	for (int tries = 0; tries < 10 && rc < 0; tries++) {
		api_words_cert(t.name);
		rc = take_pair(&t, write_new, err);
		if (rc < 0 && err->code != ERR_CONFLICT)
			break;
	}
	if (rc == 0) {
		release_certs_changed(q->d->releases);
		api_audit(q, "certificate.add", "%s", t.one.name);
		rc = answer(&t, 201, err);
	}
	clear(&t);
	return rc;
}

/* Domains that use it must not be left with one that browsers refuse. */
static int check_covers(const struct sni_tx *t, struct err *err)
{
	for (char **d = t->domains[0]; *d; d += 2)
		if (!tls_cert_covers(t->cert, d[1]))
			return err_set(err, ERR_INVALID_PARAMS,
				       "The new certificate does not cover %s, which uses %s.",
				       d[1], t->one.name);
	return 0;
}

static int write_update(struct tx *tx, void *arg, struct err *err)
{
	struct sni_tx *t = arg;

	if (read_one(tx, t, err) < 0 || check_covers(t, err) < 0 ||
	    store_sni_update(tx, t->one.id, t->cert->chain_pem, t->key, t->ca_signed, err) < 0 ||
	    api_hook(t->q, tx, "api:sni-endpoint", HOOK_UPDATE, t->one.id, err) < 0)
		return -1;
	return read_one(tx, t, err);
}

int api_sni_update(struct api_req *q, struct err *err)
{
	struct sni_tx t = {.q = q};
	int rc = take_pair(&t, write_update, err);

	if (rc == 0) {
		release_certs_changed(q->d->releases);
		api_audit(q, "certificate.update", "%s", t.one.name);
		rc = answer(&t, 200, err);
	}
	clear(&t);
	return rc;
}

static int write_delete(struct tx *tx, void *arg, struct err *err)
{
	struct sni_tx *t = arg;

	if (read_one(tx, t, err) < 0 ||
	    api_hook(t->q, tx, "api:sni-endpoint", HOOK_DESTROY, t->one.id, err) < 0)
		return -1;
	return store_sni_delete(tx, t->one.id, err);
}

int api_sni_delete(struct api_req *q, struct err *err)
{
	struct sni_tx t = {.q = q};
	int rc = store_tx(q->d->store, write_delete, &t, err);

	if (rc == 0) {
		release_certs_changed(q->d->releases);
		api_audit(q, "certificate.remove", "%s", t.one.name);
		rc = answer(&t, 200, err);
	}
	clear(&t);
	return rc;
}

/* --- acm --- */

int api_acm_refuse(struct api_req *q, struct err *err)
{
	return err_set(err, ERR_INVALID_PARAMS,
		       "Automatic certificates (ACM) are not available on this platform. Add a "
		       "certificate of your own to %s with `certs:add`.",
		       q->app.name);
}

int api_acm_off(struct api_req *q, struct err *err)
{
	(void)err;
	return api_ok(q, 200, json_app(q, &q->app));
}

json_t *api_render_sni(struct api_req *q, struct tx *tx, const char *id)
{
	struct sni_tx t = {.q = q};
	struct err none = {0};
	json_t *j = NULL;

	if (store_sni_find(tx, q->app.id, id, &t.one, &none) == 0 &&
	    add_domains(tx, &t, t.one.id, &none) == 0)
		j = sni_json(q, &t.one, t.domains[0], &none);
	clear(&t);
	return j;
}
