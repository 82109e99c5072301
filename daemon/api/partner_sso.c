/* The way to a provider's own page of an add-on: ours says who the person is, and the browser takes
 * that there in a form, as a link would leave it in histories and logs. Who comes by a link of ours
 * (addons:open) needs no login; others do. */
#include "daemon/api/login.h"
#include "daemon/api/page.h"
#include "daemon/api/partner.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <stdio.h>
#include <string.h>

#define HALF_MS (10 * 60 * 1000) /* between password and code */

/* --- links --- */

struct link {
	const char *addon_id, *user_id;
	long long expires_s;
	char signature[65];
	const char *given; /* a signature to be checked */
	bool good;
	struct store_user user; /* owned, when good */
};

static char *link_text(const struct link *l)
{
	return xasprintf("single sign-on %s of %s until %lld", l->addon_id, l->user_id,
			 l->expires_s);
}

static int sign(struct tx *tx, void *arg, struct err *err)
{
	struct link *l = arg;
	AUTO(auto_str) char *text = link_text(l);

	(void)err;
	secret_sign(tx_key(tx), text, l->signature);
	return 0;
}

static int check(struct tx *tx, void *arg, struct err *err)
{
	struct link *l = arg;
	AUTO(auto_str) char *text = link_text(l);

	l->good = secret_signed(tx_key(tx), text, l->given);
	return l->good ? store_user_get(tx, l->user_id, &l->user, err) : 0;
}

static int answer_link(struct api_req *q, const struct store_addon *a, struct err *err)
{
	struct link l = {.addon_id = a->id,
			 .user_id = q->user.id,
			 .expires_s = clock_wall_ms() / 1000 + LIM_PARTNER_SSO_LINK_S};
	struct addon_actor by = api_addon_actor(q);
	AUTO(json_decref) json_t *form = NULL;
	AUTO(auto_str) char *url = NULL;

	/* what would fail there, fails here */
	if (addon_sso(q->d->addons, &by, a->id, &form, err) < 0 ||
	    store_read(q->d->store, sign, &l, err) < 0)
		return -1;
	url = api_public_url(q, "/sso/%s/%s.%lld.%s", a->id, l.user_id, l.expires_s, l.signature);
	http_set(q->x, "Cache-Control", "no-store");
	return api_ok(q, 200,
		      json_pack("{s:s, s:s, s:{}}", "method", "get", "action", url, "params"));
}

int api_addon_sso(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};

	if (api_addon_get(q, q->params[0], STORE_OPERATE, &a, err) < 0)
		return -1;
	return answer_link(q, &a, err);
}

int api_addon_sso_of_app(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};

	if (api_addon_owned(q, &a, err) < 0)
		return -1;
	return answer_link(q, &a, err);
}

/* --- the page that takes the browser there; q->user is who --- */

static int leave(struct api_req *q, const struct store_addon *a, struct err *err)
{
	struct addon_actor by = api_addon_actor(q);
	AUTO(json_decref) json_t *form = NULL;
	AUTO(auto_str) char *title = NULL;
	const struct addon_service *s = addon_service_find(q->d->addons, a->service);
	struct page p;

	if (addon_sso(q->d->addons, &by, a->id, &form, err) < 0)
		return -1;
	api_audit(q, "addon.sso", "%s", a->name);
	title = xasprintf("To %s", s ? s->human_name : a->service);
	page_begin(&p, q, title);
	page_addf(&p, "<p>");
	page_text(&p, a->name);
	page_addf(&p, " of ");
	page_text(&p, a->app_name);
	page_addf(&p, ", as ");
	page_text(&p, by.user_email);
	page_addf(&p, "</p>\n");
	return page_leave(&p, json_string_value(json_object_get(form, "action")),
			  json_object_get(form, "params"));
}

/* As for the API: who may not see it is told that there is none. */
static int go(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};

	if (api_addon_get(q, q->params[0], STORE_OPERATE, &a, err) < 0)
		return -1;
	return leave(q, &a, err);
}

/* USER.EXPIRES.SIGNATURE; words is cut up. */
static bool parse_link(char *words, struct link *l)
{
	char *expires = strchr(words, '.'), *end;

	if (!expires)
		return false;
	*expires++ = 0;
	l->user_id = words;
	l->expires_s = strtoll(expires, &end, 10);
	if (*end != '.' || !name_is_uuid(words))
		return false;
	l->given = end + 1;
	return true;
}

int api_sso_link(struct api_req *q, struct err *err)
{
	AUTO(auto_str) char *words = xstrdup(q->params[1]);
	struct link l = {.addon_id = q->params[0]};
	struct err e = {0};

	if (!parse_link(words, &l) || l.expires_s < clock_wall_ms() / 1000 ||
	    store_read(q->d->store, check, &l, &e) < 0 || !l.good || l.user.suspended_ms) {
		store_user_clear(&l.user);
		return page_say(q, 404, "This link has ended",
				"It is good for %d minutes. Ask for it again: paasctl addons:open.",
				LIM_PARTNER_SSO_LINK_S / 60);
	}
	store_user_clear(&q->user);
	q->user = l.user;
	return go(q, err);
}

/* --- who comes without a link logs in --- */

/* The form's token says who has given the password, and until when that holds. */
static char *half_about(const struct api_req *q, const char *user_id, const char *until)
{
	return xasprintf("%s password of %s until %s", q->params[0], user_id, until);
}

static int show_code(struct api_req *q, int status, const char *user_id, const char *wrong)
{
	AUTO(auto_str) char *until = xasprintf("%lld", (long long)clock_wall_ms() + HALF_MS);
	AUTO(auto_str) char *about = half_about(q, user_id, until);
	AUTO(auto_str)
	char *hidden = xasprintf("<input type=\"hidden\" name=\"user\" value=\"%s\">\n"
				 "<input type=\"hidden\" name=\"until\" value=\"%s\">\n",
				 user_id, until);

	return login_ask_code(q, status, about, hidden, wrong);
}

int api_sso_page(struct api_req *q, struct err *err)
{
	if (login_visitor(q, err) < 0)
		return -1;
	return q->user.id[0] ? go(q, err) : login_ask_password(q, 200, NULL, NULL);
}

static int on_password(struct api_req *q, const struct form *f, struct err *err)
{
	const char *email = form_get(f, "email");
	struct err e = {0};

	if (api_login_password(q, email, form_get(f, "password"), NULL, &e) == 0)
		return login_begin_session(q, err);
	switch (e.code) {
	case ERR_UNAUTHORIZED:
		return login_ask_password(q, 422, email, "The address or the password is wrong.");
	case ERR_TWO_FACTOR:
		return show_code(q, 200, q->user.id, NULL);
	case ERR_RATE_LIMIT:
	case ERR_SUSPENDED:
	case ERR_UNAVAILABLE:
		return login_ask_password(q, e.status, email, e.msg);
	}
	*err = e;
	return -1;
}

struct who {
	struct api_req *q;
	const char *id;
};

static int read_who(struct tx *tx, void *arg, struct err *err)
{
	struct who *w = arg;

	return store_user_get(tx, w->id, &w->q->user, err);
}

static int on_code(struct api_req *q, const struct form *f, struct err *err)
{
	const char *until = form_get(f, "until");
	struct who w = {q, form_get(f, "user")};
	AUTO(auto_str) char *about = half_about(q, w.id, until);
	struct err e = {0};

	if (form_check(q, f, about, err) < 0)
		return -1;
	if (strtoll(until, NULL, 10) < clock_wall_ms())
		return login_ask_password(q, 422, NULL, "Give your address and password again.");
	if (store_read(q->d->store, read_who, &w, err) < 0)
		return -1;
	if (q->user.suspended_ms)
		return login_ask_password(q, 403, NULL, "This account is suspended.");
	if (api_second_factor(q, &q->user, form_get(f, "code"), &e) == 0)
		return login_begin_session(q, err);
	if (e.code == ERR_TWO_FACTOR || e.code == ERR_RATE_LIMIT)
		return show_code(q, e.code == ERR_TWO_FACTOR ? 422 : e.status, w.id, e.msg);
	*err = e;
	return -1;
}

int api_sso_post(struct api_req *q, struct err *err)
{
	AUTO(form_clear) struct form f = {0};

	if (form_read(q, &f, err) < 0)
		return -1;
	if (strcmp(form_get(&f, "action"), "code") == 0)
		return on_code(q, &f, err);
	if (form_check(q, &f, q->params[0], err) < 0)
		return -1;
	return on_password(q, &f, err);
}
