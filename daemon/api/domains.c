/* Domains: the built-in one of each app, and custom ones. */
#include "daemon/api/api_int.h"
#include "daemon/core/hostname.h"
#include "daemon/store/domain.h"
#include "daemon/store/sni.h"
#include "daemon/tls/cert.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <stdio.h>
#include <string.h>

/* --- as JSON --- */

static json_t *domain_json(struct api_req *q, const struct store_domain *d)
{
	const char *target = q->d->cfg->dns_target;
	AUTO(auto_str) char *own = xasprintf("%s.%s", q->app.name, q->d->cfg->apps_domain);
	json_t *sni = d->sni_name ? json_pack("{s:s, s:s}", "id", d->sni_id, "name", d->sni_name)
				  : json_null();

	/* status none: nothing is under way. The router has it by the time of the answer. */
	return json_pack("{s:n, s:n, s:o, s:s, s:o, s:s, s:s, s:s, s:o, s:s, s:o}", "acm_status",
			 "acm_status_reason", "app", json_app_ref(&q->app), "cname",
			 *target ? target : own, "created_at", json_time(d->created_ms), "hostname",
			 d->hostname, "id", d->id, "kind", "custom", "updated_at",
			 json_time(d->updated_ms), "status", "none", "sni_endpoint", sni);
}

/* NAME.<apps domain> has no row: it is there as long as the app is. */
static json_t *builtin_json(struct api_req *q)
{
	AUTO(auto_str) char *host = xasprintf("%s.%s", q->app.name, q->d->cfg->apps_domain);
	AUTO(json_decref) json_t *ref = json_named_ref("domain of app", q->app.id);

	return json_pack("{s:n, s:n, s:o, s:n, s:o, s:s, s:O, s:s, s:o, s:s, s:n}", "acm_status",
			 "acm_status_reason", "app", json_app_ref(&q->app), "cname", "created_at",
			 json_time(q->app.created_ms), "hostname", host, "id",
			 json_object_get(ref, "id"), "kind", "heroku", "updated_at",
			 json_time(q->app.created_ms), "status", "none", "sni_endpoint");
}

/* The built-in domain if ref names it, else NULL. */
static json_t *builtin_of(struct api_req *q, const char *ref)
{
	AUTO(json_decref) json_t *j = builtin_json(q);

	return strcmp(ref, json_string_value(json_object_get(j, "id"))) == 0 ||
			       strcasecmp(ref, json_string_value(json_object_get(j, "hostname"))) ==
				       0
		       ? STEAL(j)
		       : NULL;
}

static int no_change(const char *what, struct err *err)
{
	return err_set(err, ERR_INVALID_PARAMS, "The app's built-in domain cannot be %s.", what);
}

/* --- reading --- */

struct domains_tx {
	struct api_req *q;
	struct store_domains list;
	struct store_domain one;
	const char *ref; /* id or host name, normalised */
	const char *sni; /* of the request; NULL = none */
	char host[254];
};

/* :domain as an id or a host name in any form. */
static void take_ref(struct domains_tx *t)
{
	const char *ref = t->q->params[1];

	t->ref = !name_is_uuid(ref) && hostname_normal(ref, t->host, NULL) == 0 ? t->host : ref;
}

static int read_domains(struct tx *tx, void *arg, struct err *err)
{
	struct domains_tx *t = arg;

	return store_domains_list(tx, t->q->app.id, &t->list, err);
}

int api_domains_list(struct api_req *q, struct err *err)
{
	struct domains_tx t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_domains, &t, err) < 0)
		return -1;
	list = json_pack("[o]", builtin_json(q));
	for (int i = 0; i < t.list.n; i++)
		json_array_append_new(list, domain_json(q, &t.list.v[i]));
	store_domains_clear(&t.list);
	return api_list(q, list, "hostname id created_at updated_at", err);
}

static int read_domain(struct tx *tx, void *arg, struct err *err)
{
	struct domains_tx *t = arg;

	return store_domain_find(tx, t->q->app.id, t->ref, &t->one, err);
}

int api_domains_info(struct api_req *q, struct err *err)
{
	struct domains_tx t = {.q = q};
	json_t *own = builtin_of(q, q->params[1]);

	if (own)
		return api_ok(q, 200, own);
	take_ref(&t);
	if (store_read(q->d->store, read_domain, &t, err) < 0)
		return -1;
	api_ok(q, 200, domain_json(q, &t.one));
	store_domain_clear(&t.one);
	return 0;
}

/* --- changing --- */

/* What the platform answers to itself is not for apps. */
static int check_free(const struct api_req *q, const char *host, struct err *err)
{
	const struct config *c = q->d->cfg;
	const char *base = host[0] == '*' ? host + 2 : host;

	if (name_is_below(host, c->apps_domain) || name_is_below(c->apps_domain, base) ||
	    strcmp(host, c->platform_host) == 0)
		return err_set(err, ERR_INVALID_PARAMS,
			       "%s is reserved: it belongs to this platform.", host);
	return 0;
}

static int find_sni(struct tx *tx, struct domains_tx *t, const char *host, char id[37],
		    struct err *err)
{
	AUTO(store_sni_clear) struct store_sni s = {0};
	AUTO(tls_cert_info_clear) struct tls_cert_info info = {0};

	id[0] = 0;
	if (!t->sni)
		return 0;
	if (store_sni_find(tx, t->q->app.id, t->sni, &s, err) < 0 ||
	    tls_cert_parse(s.chain, NULL, 0, &info, err) < 0)
		return -1;
	if (!tls_cert_covers(&info, host))
		return err_set(err, ERR_INVALID_PARAMS,
			       "The certificate of %s does not cover %s: browsers would refuse it.",
			       s.name, host);
	snprintf(id, 37, "%s", s.id);
	return 0;
}

const struct api_field api_fields_domain_create[] = {
	{"hostname", F_LINE, F_REQUIRED, .min = 1, .max = 1000},
	{"sni_endpoint", F_REF, F_NULL, .text = "whose certificate it uses"},
	{0},
};

static int write_domain(struct tx *tx, void *arg, struct err *err)
{
	struct domains_tx *t = arg;
	char sni[37];

	store_domain_clear(&t->one);
	if (find_sni(tx, t, t->host, sni, err) < 0)
		return -1;
	if (store_domain_create(tx, t->q->app.id, t->host, sni, &t->one, err) < 0)
		return -1;
	return api_hook(t->q, tx, "api:domain", HOOK_CREATE, t->one.id, err);
}

/* The router knows by the time that this returns. */
static int route(struct api_req *q, struct err *err)
{
	return release_app_changed(q->d->releases, q->app.id, err);
}

int api_domains_create(struct api_req *q, struct err *err)
{
	struct domains_tx t = {.q = q, .sni = api_get_ref(q->body, "sni_endpoint")};
	const char *host = api_get_str(q->body, "hostname");
	int rc = -1;

	if (hostname_normal(host, t.host, err) == 0 && check_free(q, t.host, err) == 0 &&
	    store_tx(q->d->store, write_domain, &t, err) == 0) {
		release_certs_changed(q->d->releases);
		api_audit(q, "domain.add", "%s", t.host);
		rc = route(q, err);
	}
	if (rc == 0)
		api_ok(q, 201, domain_json(q, &t.one));
	store_domain_clear(&t.one);
	return rc;
}

const struct api_field api_fields_domain_update[] = {
	{"sni_endpoint", F_REF, F_REQUIRED | F_NULL, .text = "null: no certificate of its own"},
	{0},
};

static int update_domain(struct tx *tx, void *arg, struct err *err)
{
	struct domains_tx *t = arg;
	char sni[37];

	store_domain_clear(&t->one);
	if (read_domain(tx, t, err) < 0 || find_sni(tx, t, t->one.hostname, sni, err) < 0 ||
	    store_domain_set_sni(tx, t->one.id, sni, err) < 0 ||
	    api_hook(t->q, tx, "api:domain", HOOK_UPDATE, t->one.id, err) < 0)
		return -1;
	store_domain_clear(&t->one);
	return read_domain(tx, t, err);
}

int api_domains_update(struct api_req *q, struct err *err)
{
	struct domains_tx t = {.q = q, .sni = api_get_ref(q->body, "sni_endpoint")};
	AUTO(json_decref) json_t *own = builtin_of(q, q->params[1]);
	int rc;

	if (own)
		return no_change("given a certificate", err);
	take_ref(&t);
	rc = store_tx(q->d->store, update_domain, &t, err);
	if (rc == 0) {
		release_certs_changed(q->d->releases);
		api_audit(q, "domain.update", "%s: %s", t.one.hostname,
			  t.one.sni_name ? t.one.sni_name : "no certificate");
		api_ok(q, 200, domain_json(q, &t.one));
	}
	store_domain_clear(&t.one);
	return rc;
}

static int delete_domain(struct tx *tx, void *arg, struct err *err)
{
	struct domains_tx *t = arg;

	store_domain_clear(&t->one);
	if (read_domain(tx, t, err) < 0 ||
	    api_hook(t->q, tx, "api:domain", HOOK_DESTROY, t->one.id, err) < 0)
		return -1;
	return store_domain_delete(tx, t->one.id, err);
}

int api_domains_delete(struct api_req *q, struct err *err)
{
	struct domains_tx t = {.q = q};
	AUTO(json_decref) json_t *own = builtin_of(q, q->params[1]);
	int rc;

	if (own)
		return no_change("removed", err);
	take_ref(&t);
	rc = store_tx(q->d->store, delete_domain, &t, err);
	if (rc == 0) {
		release_certs_changed(q->d->releases);
		api_audit(q, "domain.remove", "%s", t.one.hostname);
		rc = route(q, err);
	}
	if (rc == 0)
		api_ok(q, 200, domain_json(q, &t.one));
	store_domain_clear(&t.one);
	return rc;
}

json_t *api_render_domain(struct api_req *q, struct tx *tx, const char *id)
{
	struct store_domain v = {0};
	struct err none = {0};
	json_t *j;

	if (store_domain_find(tx, q->app.id, id, &v, &none) < 0)
		return NULL;
	j = domain_json(q, &v);
	store_domain_clear(&v);
	return j;
}
