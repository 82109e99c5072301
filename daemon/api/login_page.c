/* The page on which a login is approved: first who (e-mail, password, code), then what asks. */
#include "daemon/api/identity.h"
#include "daemon/api/login.h"
#include "daemon/api/page.h"
#include "daemon/store/identity.h"
#include "proto/limits.h"

#include <stdio.h>
#include <string.h>

/* --- whose browser it is --- */

struct visitor {
	struct api_req *q;
	char *secret; /* of the cookie; owned */
	struct store_session session;
	struct store_user user; /* id "" = nobody */
};

static void visitor_clear(struct visitor *v)
{
	free(v->secret);
	store_session_clear(&v->session);
	store_user_clear(&v->user);
}
#define visitor_clear_p visitor_clear

static int read_visitor(struct tx *tx, void *arg, struct err *err)
{
	struct visitor *v = arg;
	struct err e = {0};

	if (store_session_by_secret(tx, v->secret, &v->session, &e) == 0 &&
	    store_user_get(tx, v->session.user_id, &v->user, &e) == 0)
		return 0;
	if (e.code == ERR_NOT_FOUND)
		return 0;
	*err = e;
	return -1;
}

static int find_visitor(struct api_req *q, struct visitor *v, struct err *err)
{
	*v = (struct visitor){.q = q, .secret = page_cookie(q, "session")};
	if (v->secret && store_read(q->d->store, read_visitor, v, err) < 0)
		return -1;
	if (v->user.suspended_ms)
		store_user_clear(&v->user);
	return 0;
}

int login_visitor(struct api_req *q, struct err *err)
{
	AUTO(visitor_clear) struct visitor v = {0};

	if (find_visitor(q, &v, err) < 0)
		return -1;
	store_user_clear(&q->user);
	q->user = v.user;
	v.user = (struct store_user){0};
	return 0;
}

/* --- pages --- */

static const char gone_title[] = "This login has ended";
static const char gone_text[] =
	"It was approved or denied already, or nobody did so for 10 minutes. "
	"Start it again where you came from.";

static void say_wrong(struct page *p, const char *wrong)
{
	if (!wrong)
		return;
	page_addf(p, "<p class=\"wrong\" role=\"alert\">");
	page_text(p, wrong);
	page_addf(p, "</p>\n");
}

int login_ask_password(struct api_req *q, int status, const char *email, const char *wrong)
{
	struct page p;

	page_begin(&p, q, "Log in");
	say_wrong(&p, wrong);
	page_form(&p, q->params[0]);
	page_input(&p, "E-mail address", "email", "email", email,
		   "required maxlength=\"254\" autocomplete=\"username\"");
	page_input(&p, "Password", "password", "password", NULL,
		   "required maxlength=\"1024\" autocomplete=\"current-password\"");
	page_button(&p, "login", "Log in", false);
	page_addf(&p, "</form>\n");
	return page_send(&p, status);
}

int login_ask_code(struct api_req *q, int status, const char *about, const char *hidden,
		   const char *wrong)
{
	struct page p;

	page_begin(&p, q, "Second factor");
	say_wrong(&p, wrong);
	page_form(&p, about);
	if (hidden)
		page_addf(&p, "%s", hidden);
	page_input(&p, "Code of your authenticator app, or a recovery code", "code", "text", NULL,
		   "required maxlength=\"64\" autocomplete=\"one-time-code\" autofocus");
	page_button(&p, "code", "Log in", false);
	page_addf(&p, "</form>\n");
	return page_send(&p, status);
}

static void term(struct page *p, const char *name, const char *value)
{
	page_addf(p, "<dt>%s</dt><dd>", name);
	page_text(p, value);
	page_addf(p, "</dd>\n");
}

/* A form's token is good for one session, too: that of whom the page names. */
static char *approval_about(const struct visitor *v)
{
	return xasprintf("%s %s", v->q->params[0], v->session.id);
}

static int show_approval(struct visitor *v, const struct login_info *g)
{
	AUTO(auto_str) char *about = approval_about(v);
	char own[64];
	struct page p;

	api_limiter_address(http_peer(v->q->x), own);
	page_begin(&p, v->q, "Approve this login?");
	page_addf(&p, "<dl>\n");
	term(&p, "Asks to act for you", g->description);
	term(&p, "From the address", g->peer);
	term(&p, "As", v->user.email);
	page_addf(&p, "<dt>Code</dt><dd class=\"code\">%s</dd>\n</dl>\n", g->code);
	if (strcmp(own, g->peer) != 0)
		say_wrong(&p,
			  "The request came from another address than you do. Go on only if you "
			  "know why.");
	page_addf(&p,
		  "<p>Approve only what you have just started yourself, and only if the code is "
		  "the one that it shows (or the end of the address that it opened).</p>\n");
	page_form(&p, about);
	page_button(&p, "approve", "Approve", false);
	page_button(&p, "deny", "Deny", true);
	page_button(&p, "logout", "Use another account", true);
	page_addf(&p, "</form>\n");
	return page_send(&p, 200);
}

int api_login_page(struct api_req *q, struct err *err)
{
	AUTO(visitor_clear) struct visitor v = {0};
	struct login_info g;

	if (!login_find(q->api, q->params[0], &g) || g.state != LOGIN_OPEN)
		return page_say(q, 404, gone_title, "%s", gone_text);
	if (find_visitor(q, &v, err) < 0)
		return -1;
	return v.user.id[0] ? show_approval(&v, &g) : login_ask_password(q, 200, NULL, NULL);
}

/* --- what they send --- */

struct begin_tx {
	struct api_req *q;
	const char *description;
	char secret[49], id[37];
};

static int write_session(struct tx *tx, void *arg, struct err *err)
{
	struct begin_tx *t = arg;

	if (store_user_touch_login(tx, t->q->user.id, err) < 0)
		return -1;
	return store_session_create(tx, t->q->user.id, t->secret, t->description,
				    clock_wall_ms() + LIM_BROWSER_SESSION_MS, t->id, err);
}

/* Of q->user. */
int login_begin_session(struct api_req *q, struct err *err)
{
	const char *agent = http_header(q->x, "user-agent");
	AUTO(auto_str)
	char *what = xasprintf("%.200s (%s)", agent ? agent : "a browser", http_peer(q->x));
	AUTO(json_decref) json_t *clean = json_text(what);
	struct begin_tx t = {.q = q, .description = json_string_value(clean)};

	random_hex(t.secret, 48);
	if (store_tx(q->d->store, write_session, &t, err) < 0)
		return -1;
	page_set_cookie(q, "session", t.secret, LIM_BROWSER_SESSION_MS / 1000);
	explicit_bzero(t.secret, sizeof t.secret);
	api_audit(q, "login.browser", "%s", "");
	return page_redirect(q, http_path(q->x));
}

static int on_login(struct api_req *q, const struct form *f, struct err *err)
{
	AUTO(auto_str) char *visit = page_cookie(q, "visit");
	const char *email = form_get(f, "email");
	struct err e = {0};

	if (api_login_password(q, email, form_get(f, "password"), NULL, &e) == 0)
		return login_begin_session(q, err);
	switch (e.code) {
	case ERR_UNAUTHORIZED:
		return login_ask_password(q, 422, email, "The address or the password is wrong.");
	case ERR_TWO_FACTOR:
		login_half(q->api, q->params[0], visit, q->user.id);
		return login_ask_code(q, 200, q->params[0], NULL, NULL);
	case ERR_RATE_LIMIT:
	case ERR_SUSPENDED:
	case ERR_UNAVAILABLE:
		return login_ask_password(q, e.status, email, e.msg);
	}
	*err = e;
	return -1;
}

struct who_tx {
	struct api_req *q;
	char id[37];
};

static int read_half(struct tx *tx, void *arg, struct err *err)
{
	struct who_tx *t = arg;

	return store_user_get(tx, t->id, &t->q->user, err);
}

static int on_code(struct api_req *q, const struct form *f, struct err *err)
{
	AUTO(auto_str) char *visit = page_cookie(q, "visit");
	struct who_tx t = {.q = q};
	struct err e = {0};

	if (!login_half_of(q->api, q->params[0], visit, t.id))
		return login_ask_password(q, 422, NULL, "Give your address and password first.");
	store_user_clear(&q->user);
	if (store_read(q->d->store, read_half, &t, err) < 0)
		return -1;
	if (q->user.suspended_ms)
		return login_ask_password(q, 403, NULL, "This account is suspended.");
	if (api_second_factor(q, &q->user, form_get(f, "code"), &e) == 0)
		return login_begin_session(q, err);
	if (e.code == ERR_TWO_FACTOR || e.code == ERR_RATE_LIMIT)
		return login_ask_code(q, e.code == ERR_TWO_FACTOR ? 422 : e.status, q->params[0],
				      NULL, e.msg);
	*err = e;
	return -1;
}

struct approve_tx {
	struct visitor *v;
	const struct login_info *g;
	char token[API_TOKEN];
	struct store_auth auth;
};

/* As long as clients ask for when they log in by password. */
#define TOKEN_MS (30LL * 86400 * 1000)

static int write_approved(struct tx *tx, void *arg, struct err *err)
{
	struct approve_tx *t = arg;

	store_auth_clear(&t->auth);
	if (store_auth_create(tx, t->v->user.id, t->token, t->g->description, "global",
			      clock_wall_ms() + TOKEN_MS, &t->auth, err) < 0)
		return -1;
	return store_auth_set_session(tx, t->auth.id, t->v->session.id, err);
}

static int revoke_approved(struct tx *tx, void *arg, struct err *err)
{
	struct approve_tx *t = arg;

	return store_auth_revoke(tx, t->v->user.id, t->auth.id, err);
}

static int on_approve(struct visitor *v, const struct login_info *g, struct err *err)
{
	struct api_req *q = v->q;
	struct approve_tx t = {.v = v, .g = g};
	bool settled;

	api_new_token(t.token);
	if (store_tx(q->d->store, write_approved, &t, err) < 0)
		return -1;
	settled = login_settle(q->api, q->params[0], t.token);
	explicit_bzero(t.token, sizeof t.token);
	if (!settled) /* by another click */
		store_tx(q->d->store, revoke_approved, &t, NULL);
	store_auth_clear(&t.auth);
	if (!settled)
		return page_say(q, 404, gone_title, "%s", gone_text);
	api_audit(q, "login.approve", "%s (%s)", g->description, g->peer);
	return page_say(q, 200, "Logged in",
			"You can close this page and go on where you came from.");
}

static int on_deny(struct visitor *v, const struct login_info *g)
{
	login_settle(v->q->api, v->q->params[0], NULL);
	api_audit(v->q, "login.deny", "%s (%s)", g->description, g->peer);
	return page_say(v->q, 200, "Denied",
			"Nobody was let in. If you did not start this login, somebody else did: "
			"change your password if you gave it on another page.");
}

static int drop_session(struct tx *tx, void *arg, struct err *err)
{
	struct visitor *v = arg;

	return store_session_delete(tx, v->user.id, v->session.id, err);
}

static int on_logout(struct visitor *v, struct err *err)
{
	if (store_tx(v->q->d->store, drop_session, v, err) < 0)
		return -1;
	page_set_cookie(v->q, "session", "", 0);
	return page_redirect(v->q, http_path(v->q->x));
}

static int settle(struct api_req *q, const struct form *f, const struct login_info *g,
		  struct err *err)
{
	AUTO(visitor_clear) struct visitor v = {0};
	AUTO(auto_str) char *about = NULL;
	const char *action = form_get(f, "action");

	if (find_visitor(q, &v, err) < 0)
		return -1;
	if (!v.user.id[0])
		return login_ask_password(q, 200, NULL, "Your session has ended: log in again.");
	about = approval_about(&v);
	if (form_check(q, f, about, err) < 0)
		return -1;
	store_user_clear(&q->user); /* whom the audit trail names */
	memcpy(q->user.id, v.user.id, sizeof q->user.id);
	q->user.email = xstrdup(v.user.email);
	if (strcmp(action, "approve") == 0)
		return on_approve(&v, g, err);
	return strcmp(action, "deny") == 0 ? on_deny(&v, g) : on_logout(&v, err);
}

int api_login_post(struct api_req *q, struct err *err)
{
	AUTO(form_clear) struct form f = {0};
	struct login_info g;
	const char *action;
	bool first;

	if (form_read(q, &f, err) < 0)
		return -1;
	if (!login_find(q->api, q->params[0], &g) || g.state != LOGIN_OPEN)
		return page_say(q, 404, gone_title, "%s", gone_text);
	action = form_get(&f, "action");
	first = strcmp(action, "login") == 0;
	if (!first && strcmp(action, "code") != 0)
		return settle(q, &f, &g, err);
	if (form_check(q, &f, q->params[0], err) < 0)
		return -1;
	return first ? on_login(q, &f, err) : on_code(q, &f, err);
}
