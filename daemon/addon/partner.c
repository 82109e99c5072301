/* Providers that are partners: HTTP with Basic authentication. */
#include "daemon/addon/partner.h"
#include "daemon/core/xlog.h"
#include "daemon/drain/drain.h"
#include "daemon/store/drain.h"

#include <stdio.h>

static const struct {
	const char *verb, *method;
} verbs[] = {{"provision", "POST"}, {"change", "PUT"}, {"deprovision", "DELETE"}};

char *partner_own_url(const struct config *cfg, const char *path)
{
	int port = config_port(cfg);

	if (cfg->public_url[0]) {
		size_t n = strlen(cfg->public_url);

		while (n && cfg->public_url[n - 1] == '/')
			n--;
		return xasprintf("%.*s%s", (int)n, cfg->public_url, path);
	}
	return port == 80 ? xasprintf("http://%s%s", cfg->platform_host, path)
			  : xasprintf("http://%s:%d%s", cfg->platform_host, port, path);
}

/* --- what it is told --- */

struct invite { /* what goes out with a provision, and lets the partner come back */
	const char *addon_id;
	bool grant, input;
	char code[41], input_token[39];
	wall_ms expires_ms;
};

static int write_invite(struct tx *tx, void *arg, struct err *err)
{
	struct invite *i = arg;

	if (i->input)
		partner_input_token(tx, i->addon_id, i->input_token);
	return i->grant ? store_addon_grant_add(tx, i->addon_id, i->code, i->expires_ms, err) : 0;
}

static const char *text_at(const json_t *j, const char *outer, const char *name)
{
	return json_string_value(json_object_get(json_object_get(j, outer), name));
}

/* "https://token:t.UUID@paas.example.com/addons/UUID/logs" */
static char *input_url(const struct config *cfg, const struct invite *i)
{
	AUTO(auto_str) char *path = xasprintf("/addons/%s/logs", i->addon_id);
	AUTO(auto_str) char *url = partner_own_url(cfg, path);
	const char *host = strstr(url, "://");

	if (!host)
		return xstrdup(url);
	return xasprintf("%.*s://token:%s@%s", (int)(host - url), url, i->input_token, host + 3);
}

static void add_invite(struct addons *a, const struct manifest *m, const struct invite *i,
		       json_t *body)
{
	if (i->grant) {
		char when[CLOCK_ISO_LEN];

		clock_iso(i->expires_ms, when);
		json_object_set_new(body, "oauth_grant",
				    json_pack("{s:s, s:s, s:s}", "code", i->code, "expires_at",
					      when, "type", "authorization_code"));
	}
	if (i->input) {
		AUTO(auto_str) char *url = input_url(a->d.cfg, i);

		json_object_set_new(body, "log_input_url", json_string(url));
	}
	if (m->partner.log_drain) {
		char token[39];

		addon_partner_drain_token(i->addon_id, token);
		json_object_set_new(body, "log_drain_token", json_string(token));
	}
}

static int provision_body(struct addons *a, const struct manifest *m, const json_t *in,
			  json_t **out, struct err *err)
{
	const json_t *addon = json_object_get(in, "addon");
	const char *id = json_string_value(json_object_get(addon, "uuid"));
	AUTO(auto_str) char *path = xasprintf("/addons/%s", id);
	AUTO(auto_str) char *callback = partner_own_url(a->d.cfg, path);
	const char *secret = text_at(in, "settings", "client_secret");
	struct invite i = {.addon_id = id,
			   .grant = secret && *secret,
			   .input = m->partner.log_input,
			   .expires_ms = clock_wall_ms() + LIM_PARTNER_GRANT_MS};

	random_hex(i.code, 40);
	if ((i.grant || i.input) && store_tx(a->d.store, write_invite, &i, err) < 0)
		return -1;
	*out = json_pack("{s:s, s:O, s:O, s:O, s:s, s:s}", "callback_url", callback, "name",
			 json_object_get(addon, "name"), "options",
			 json_object_get(addon, "options"), "plan", json_object_get(addon, "plan"),
			 "region", m->partner.region, "uuid", id);
	add_invite(a, m, &i, *out);
	explicit_bzero(&i, sizeof i);
	return 0;
}

static int make_body(struct addons *a, const struct manifest *m, const char *verb, const json_t *in,
		     json_t **out, struct err *err)
{
	if (strcmp(verb, "provision") == 0)
		return provision_body(a, m, in, out, err);
	*out = strcmp(verb, "change") == 0
		       ? json_pack("{s:s?}", "plan", text_at(in, "params", "plan"))
		       : NULL;
	return 0;
}

/* --- a call --- */

static enum outcome ask(struct addons *a, const struct manifest *m, const char *verb,
			const struct out_request *r, json_t **out, struct err *err)
{
	struct reply reply = {0};
	struct err e = {0};
	enum outcome o;

	if (request_await(a, r, &reply, &e) < 0) {
		if (e.code == ERR_CANCELED)
			*err = e;
		else
			err_set(err, (enum err_id)e.code, "%s: %s: %s", m->s.name, verb, e.msg);
		return OUT_FAULT;
	}
	o = partner_judge(m, verb, reply.status, buf_str(&reply.body), reply.body.len, out, err);
	xlog(XLOG_INFO, "addon", "service=%s verb=%s status=%d", m->s.name, verb, reply.status);
	if (reply.body.data)
		explicit_bzero(reply.body.data, reply.body.len);
	buf_clear(&reply.body);
	return o;
}

static enum outcome partner_call(struct addons *a, const struct manifest *m, const char *verb,
				 const json_t *in, int64_t ms, json_t **out, struct err *err)
{
	static const char *const headers[] = {
		"Accept: application/vnd.heroku-addons+json; version=3",
		"Content-Type: application/json", "User-Agent: paasd", NULL};
	const char *id = text_at(in, "addon", "uuid"), *method = NULL;
	AUTO(json_decref) json_t *body = NULL;
	AUTO(auto_str) char *text = NULL;
	AUTO(auto_str) char *url = NULL;
	struct out_request r = {.headers = headers,
				.user = m->partner.id,
				.password = text_at(in, "settings", "password"),
				.timeout_ms = ms < LIM_PARTNER_MS ? (long)ms : LIM_PARTNER_MS,
				.keep = LIM_PARTNER_ANSWER};
	enum outcome o;

	*out = NULL;
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (strcmp(verbs[i].verb, verb) == 0)
			method = verbs[i].method;
	if (!method || !id || make_body(a, m, verb, in, &body, err) < 0) {
		if (!method || !id)
			err_set(err, ERR_UNAVAILABLE, "%s cannot do that (%s).", m->s.name, verb);
		*out = json_object();
		return method && id ? OUT_FAULT : OUT_REFUSED;
	}
	url = strcmp(method, "POST") == 0 ? xstrdup(m->partner.base_url)
					  : xasprintf("%s/%s", m->partner.base_url, id);
	text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	r.method = method;
	r.url = url;
	r.body = text;
	r.len = text ? strlen(text) : 0;
	o = ask(a, m, verb, &r, out, err);
	if (!*out)
		*out = json_object();
	if (text)
		explicit_bzero(text, strlen(text));
	return o;
}

const struct provider provider_partner = {partner_call};

/* --- its drain --- */

struct drain_tx {
	const struct store_addon *row;
	const char *url;
	char token[39], old_id[37];
	struct store_drain d;
};

static int write_drain(struct tx *tx, void *arg, struct err *err)
{
	struct drain_tx *t = arg;

	store_drain_clear(&t->d);
	return store_drain_put(tx, t->row->app_id, t->row->id, t->token, t->url, &t->d, t->old_id,
			       err);
}

int partner_drain(struct addons *a, const struct entry *e, const struct store_addon *row,
		  const char *url, struct err *err)
{
	AUTO(drain_url_clear) struct drain_url u = {0};
	struct drain_tx t = {.row = row, .url = url};

	if (!e->m->partner.log_drain)
		return err_set(err, ERR_INVALID_PARAMS,
			       "%s has no log drain: its manifest does not require log_drain.",
			       row->service);
	if (drain_url_parse(url, &u, err) < 0)
		return -1;
	addon_partner_drain_token(row->id, t.token);
	if (store_tx(a->d.store, write_drain, &t, err) < 0) {
		store_drain_clear(&t.d);
		return -1;
	}
	if (t.old_id[0])
		drains_remove(a->d.drains, t.old_id);
	drains_add(a->d.drains, t.d.id, t.d.app_id, t.d.token, t.d.url);
	store_drain_clear(&t.d);
	return 0;
}

static int delete_drain(struct tx *tx, void *arg, struct err *err)
{
	struct drain_tx *t = arg;
	struct err e = {0};

	store_drain_clear(&t->d);
	if (store_drain_of_addon(tx, t->row->id, &t->d, &e) == 0)
		return store_drain_delete(tx, t->d.id, err);
	if (e.code == ERR_NOT_FOUND)
		return 0;
	*err = e;
	return -1;
}

int partner_drain_drop(struct addons *a, const struct store_addon *row, struct err *err)
{
	struct drain_tx t = {.row = row};
	int rc = store_tx(a->d.store, delete_drain, &t, err);

	if (rc == 0 && t.d.id[0])
		drains_remove(a->d.drains, t.d.id);
	store_drain_clear(&t.d);
	return rc;
}
