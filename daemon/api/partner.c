/* What providers of add-ons do: exchange a code for tokens, say that an add-on is there or will not
 * be, change its config, take the app's log and add to it (Add-on Partner API v3). A token is of
 * one add-on: access.c. */
#include "daemon/api/partner.h"
#include "daemon/api/page.h"
#include "daemon/store/drain.h"
#include "proto/limits.h"

#include <string.h>

/* --- tokens: RFC 6749, 4.1.3 and 6, with the client's secret alone, as providers send it --- */

static int oauth_error(struct api_req *q, int status, const char *error, const char *text)
{
	/* as OAuth has it, and as this API's clients know errors */
	AUTO(json_decref)
	json_t *j =
		json_pack("{s:s, s:s, s:s, s:s}", "error", error, "error_description", text, "id",
			  status == 401 ? "unauthorized" : "bad_request", "message", text);
	AUTO(auto_str) char *body = json_dumps(j, JSON_COMPACT);

	q->answered = true;
	if (status == 401)
		http_set(q->x, "WWW-Authenticate", "Basic realm=\"paasd\"");
	http_reply(q->x, status, "application/json", body, strlen(body));
	return 0;
}

static int exchange(struct api_req *q, const struct form *f, struct err *err)
{
	const char *type = form_get(f, "grant_type");
	bool by_code = strcmp(type, "authorization_code") == 0;
	const char *given = form_get(f, by_code ? "code" : "refresh_token");
	json_t *tokens = NULL;
	struct err e = {0};

	if (!by_code && strcmp(type, "refresh_token") != 0)
		return oauth_error(q, 400, *type ? "unsupported_grant_type" : "invalid_request",
				   "grant_type is authorization_code or refresh_token.");
	if (!*given)
		return oauth_error(q, 400, "invalid_request",
				   by_code ? "code is missing." : "refresh_token is missing.");
	if (addon_partner_exchange(q->d->addons, by_code, given, form_get(f, "client_secret"),
				   &tokens, &e) == 0)
		return api_ok(q, 200, tokens);
	if (e.code == ERR_NOT_FOUND)
		return oauth_error(q, 400, "invalid_grant",
				   by_code ? "The code is unknown, used already, or too old."
					   : "The refresh token is unknown.");
	if (e.code == ERR_UNAUTHORIZED)
		return oauth_error(q, 401, "invalid_client", e.msg);
	*err = e;
	return -1;
}

int api_partner_token(struct api_req *q, struct err *err)
{
	AUTO(form_clear) struct form f = {0};

	if (form_read(q, &f, err) < 0)
		return -1;
	http_set(q->x, "Cache-Control", "no-store");
	return exchange(q, &f, err);
}

/* --- config --- */

static const struct api_field fields_var[] = {
	{"name", F_LINE, F_REQUIRED, 1, 200},
	{"value", F_STRING, F_REQUIRED | F_NULL},
	{0},
};
static const struct api_field field_var = {NULL, F_OBJECT, .of = fields_var};
const struct api_field api_fields_partner_config[] = {
	{"config", F_LIST, F_REQUIRED, .max = LIM_ADDON_ITEMS, .of = &field_var},
	{0},
};

int api_partner_config(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	AUTO(json_decref) json_t *changes = json_object();
	AUTO(json_decref) json_t *config = NULL;
	AUTO(buf_clear) struct buf names = {0};
	json_t *item;
	size_t i;

	if (api_addon_get(q, q->params[0], STORE_OPERATE, &a, err) < 0)
		return -1;
	json_array_foreach(json_object_get(q->body, "config"), i, item)
	{
		const char *name = json_string_value(json_object_get(item, "name"));
		json_t *value = json_object_get(item, "value");

		json_object_set(changes, name, value ? value : json_null());
		buf_addf(&names, "%s%s", i ? " " : "", name);
	}
	if (addon_partner_config(q->d->addons, a.id, changes, err) < 0)
		return -1;
	api_audit(q, "addon.config", "%s %.400s", a.name, buf_str(&names));
	if (addon_partner_config_names(q->d->addons, a.id, &config, err) < 0)
		return -1;
	return api_ok(q, 200, api_addon_config_list(config));
}

/* --- made, or not --- */

struct row_tx {
	const char *id;
	struct store_addon *out;
};

static int read_row(struct tx *tx, void *arg, struct err *err)
{
	struct row_tx *t = arg;

	store_addon_clear(t->out);
	return store_addon_find(tx, t->id, t->out, err);
}

/* Also one whose app is gone, and which is on its way out: only its provider sees that. */
static int get_own(struct api_req *q, struct store_addon *out, struct err *err)
{
	struct row_tx t = {q->params[0], out};

	return store_read(q->d->store, read_row, &t, err);
}

static int act(struct api_req *q, const char *action,
	       int (*fn)(struct addons *a, const char *addon_id, struct err *err), struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	AUTO(store_addon_clear) struct store_addon after = {0};
	struct err e = {0};

	if (get_own(q, &a, err) < 0 || fn(q->d->addons, a.id, err) < 0)
		return -1;
	api_audit(q, action, "%s", a.name);
	/* what is removed may be gone before it is told of */
	if (get_own(q, &after, &e) < 0) {
		a.state = ADDON_DEPROVISIONING;
		return api_addon_answer(q, 200, &a, err);
	}
	return api_addon_answer(q, 200, &after, err);
}

int api_partner_done(struct api_req *q, struct err *err)
{
	return act(q, "addon.provisioned", addon_partner_done, err);
}

int api_partner_gone(struct api_req *q, struct err *err)
{
	return act(q, "addon.given-up", addon_partner_gone, err);
}

/* --- logs --- */

struct drain_tx {
	const char *addon_id;
	struct store_drain d;
};

static int read_drain(struct tx *tx, void *arg, struct err *err)
{
	struct drain_tx *t = arg;

	return store_drain_of_addon(tx, t->addon_id, &t->d, err);
}

/* Who may change the app sees where its log goes. */
static int get_drain(struct api_req *q, struct store_addon *a, struct drain_tx *t, struct err *err)
{
	struct err e = {0};

	if (api_addon_get(q, q->params[0], STORE_VIEW, a, err) < 0)
		return -1;
	if (api_addon_get(q, q->params[0], STORE_OPERATE, a, &e) == 0)
		q->perms |= STORE_OPERATE;
	else if (api_addon_get(q, q->params[0], STORE_VIEW, a, err) < 0)
		return -1;
	t->addon_id = a->id;
	return store_read(q->d->store, read_drain, t, err);
}

int api_partner_drains(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	struct drain_tx t = {0};
	struct err e = {0};
	json_t *list = json_array();

	if (get_drain(q, &a, &t, &e) == 0) {
		json_array_append_new(list, api_drain_json(q, &t.d));
	} else if (!t.addon_id || e.code != ERR_NOT_FOUND) {
		json_decref(list);
		*err = e;
		return -1;
	}
	store_drain_clear(&t.d);
	return api_list(q, list, "id created_at updated_at", err);
}

const struct api_field api_fields_partner_drain[] = {
	{"url", F_LINE, F_REQUIRED, 1, LIM_OUT_URL, .text = "as of an app's log drains"},
	{0},
};

int api_partner_drain_put(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	struct drain_tx t = {0};
	const char *given = q->params[1];
	struct err e = {0};
	char token[39];

	if (api_addon_get(q, q->params[0], STORE_OPERATE, &a, err) < 0)
		return -1;
	addon_partner_drain_token(a.id, token);
	/* its token, or the id that the drain was given */
	if (strcmp(given, token) != 0 &&
	    (get_drain(q, &a, &t, &e) < 0 || strcmp(t.d.id, given) != 0)) {
		store_drain_clear(&t.d);
		return err_not_found(err, "log_drain");
	}
	store_drain_clear(&t.d);
	if (addon_partner_drain(q->d->addons, a.id, api_get_str(q->body, "url"), err) < 0 ||
	    get_drain(q, &a, &t, err) < 0)
		return -1;
	api_audit(q, "drain.add", "%s %s", t.d.token, a.name);
	api_ok(q, 200, api_drain_json(q, &t.d));
	store_drain_clear(&t.d);
	return 0;
}

int api_partner_logs(struct api_req *q, struct err *err)
{
	AUTO(auto_str) char *token = api_credentials(q->x, NULL);
	AUTO(buf_clear) struct buf body = {0};

	/* the token first: nobody else's lines are read */
	if (addon_partner_log(q->d->addons, q->params[0], token, NULL, 0, err) < 0)
		return -1;
	http_set_max_body(q->x, LIM_API_BODY);
	if (http_read_all(q->x, &body, err) < 0 ||
	    addon_partner_log(q->d->addons, q->params[0], token, buf_str(&body), body.len, err) < 0)
		return -1;
	q->answered = true;
	http_reply(q->x, 204, NULL, NULL, 0);
	return 0;
}
