/* Invitations: an account to be, perhaps a collaborator to be. No mail is sent: whoever invites
 * gets an address to pass on. */
#include "daemon/api/identity.h"
#include "daemon/api/invite.h"
#include "daemon/api/page.h"

#include <stdio.h>
#include <string.h>

/* --- resources --- */

static json_t *perms_json(const char *permissions)
{
	json_t *list = json_array();
	AUTO(auto_str) char *words = xstrdup(permissions ? permissions : "");
	char *save = NULL;

	for (char *s = strtok_r(words, " ", &save); s; s = strtok_r(NULL, " ", &save))
		json_array_append_new(list, json_string(s));
	return list;
}

/* url: only known when it is made. */
static json_t *invitation_json(const struct store_invitation *i, const char *url)
{
	return json_pack("{s:b, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o}", "admin", i->admin, "app",
			 i->app_id[0]
				 ? json_pack("{s:s, s:s}", "id", i->app_id, "name", i->app_name)
				 : json_null(),
			 "created_at", json_time(i->created_ms), "email", json_text(i->email),
			 "expires_at", json_time(i->expires_ms), "id", i->id, "inviter",
			 json_user_ref(i->inviter_id, i->inviter_email), "permissions",
			 perms_json(i->permissions), "url", json_str_or_null(url));
}

char *invitation_url(struct api_req *q, const char *secret)
{
	return api_public_url(q, "/join/%s", secret);
}

struct invite_tx {
	struct api_req *q;
	const char *app_id; /* NULL: all */
	const char *id;
	char secret[INVITE_SECRET];
	struct store_invitation one;
	struct store_invitations list;
};

static void invite_tx_clear(struct invite_tx *t)
{
	store_invitation_clear(&t->one);
	store_invitations_clear(&t->list);
	explicit_bzero(t->secret, sizeof t->secret);
}
#define invite_tx_clear_p invite_tx_clear

/* --- listing, deleting --- */

static int read_invitations(struct tx *tx, void *arg, struct err *err)
{
	struct invite_tx *t = arg;

	return store_invitations_list(tx, t->app_id, &t->list, err);
}

static int list(struct api_req *q, const char *app_id, struct err *err)
{
	AUTO(invite_tx_clear) struct invite_tx t = {.q = q, .app_id = app_id};
	json_t *out;

	if (store_read(q->d->store, read_invitations, &t, err) < 0)
		return -1;
	out = json_array();
	for (int i = 0; i < t.list.n; i++)
		json_array_append_new(out, invitation_json(&t.list.v[i], NULL));
	return api_list(q, out, "id email created_at", err);
}

int api_invitations_list(struct api_req *q, struct err *err)
{
	return list(q, NULL, err);
}

int api_app_invitations(struct api_req *q, struct err *err)
{
	return list(q, q->app.id, err);
}

static int delete_invitation(struct tx *tx, void *arg, struct err *err)
{
	struct invite_tx *t = arg;

	store_invitation_clear(&t->one);
	if (store_invitation_get(tx, t->id, t->app_id, &t->one, err) < 0)
		return -1;
	return store_invitation_delete(tx, t->id, err);
}

static int take_back(struct api_req *q, const char *id, const char *app_id, struct err *err)
{
	AUTO(invite_tx_clear) struct invite_tx t = {.q = q, .id = id, .app_id = app_id};

	if (store_tx(q->d->store, delete_invitation, &t, err) < 0)
		return -1;
	api_audit(q, "invitation.revoke", "%s", t.one.email);
	return api_ok(q, 200, invitation_json(&t.one, NULL));
}

int api_invitation_delete(struct api_req *q, struct err *err)
{
	return take_back(q, q->params[0], NULL, err);
}

int api_app_invitation_delete(struct api_req *q, struct err *err)
{
	return take_back(q, q->params[1], q->app.id, err);
}

/* --- inviting --- */

const struct api_field api_fields_invitation[] = {
	{"email", F_EMAIL, .flags = F_REQUIRED},
	{"admin", F_BOOL},
	{0},
};

static int write_invitation(struct tx *tx, void *arg, struct err *err)
{
	struct invite_tx *t = arg;
	const char *email = api_get_str(t->q->body, "email");
	AUTO(store_user_clear) struct store_user u = {0};
	struct err e = {0};

	if (store_user_by_email(tx, email, &u, &e) == 0)
		return err_set(err, ERR_INVALID_PARAMS, "%s has an account already.", email);
	if (e.code != ERR_NOT_FOUND) {
		*err = e;
		return -1;
	}
	store_invitation_clear(&t->one);
	return store_invitation_create(tx, t->secret, email, t->q->user.id,
				       api_get_bool(t->q->body, "admin", 0), NULL, NULL, &t->one,
				       err);
}

int api_invitation_create(struct api_req *q, struct err *err)
{
	AUTO(invite_tx_clear) struct invite_tx t = {.q = q};
	AUTO(auto_str) char *url = NULL;

	random_hex(t.secret, sizeof t.secret - 1);
	if (store_tx(q->d->store, write_invitation, &t, err) < 0)
		return -1;
	url = invitation_url(q, t.secret);
	api_audit(q, "invitation.create", "%s%s", t.one.email,
		  t.one.admin ? " (administrator)" : "");
	return api_ok(q, 201, invitation_json(&t.one, url));
}

/* --- the page for whom it is --- */

struct join_tx {
	const char *secret, *name;
	char hash[128];
	struct store_invitation i;
	struct store_user user; /* id "" = to be made */
};

static void join_tx_clear(struct join_tx *t)
{
	store_invitation_clear(&t->i);
	store_user_clear(&t->user);
	explicit_bzero(t->hash, sizeof t->hash);
}
#define join_tx_clear_p join_tx_clear

static int no_longer(struct err *err)
{
	return err_set(err, ERR_GONE, "Who invited you may not do so any more.");
}

/* Rights that were given away must still be the inviter's. */
static int check_inviter(struct tx *tx, const struct store_invitation *i, struct err *err)
{
	AUTO(store_user_clear) struct store_user u = {0};
	unsigned perms = 0;

	if (store_user_get(tx, i->inviter_id, &u, NULL) < 0 || u.suspended_ms)
		return no_longer(err);
	if (!i->app_id[0])
		return u.admin ? 0 : no_longer(err);
	if (store_app_access(tx, u.id, i->app_id, &perms, err) < 0)
		return -1;
	return (perms & STORE_MANAGE) && !(store_perms_parse(i->permissions) & ~perms)
		       ? 0
		       : no_longer(err);
}

static int read_join(struct tx *tx, void *arg, struct err *err)
{
	struct join_tx *t = arg;
	struct err e = {0};

	store_invitation_clear(&t->i);
	store_user_clear(&t->user);
	if (store_invitation_by_secret(tx, t->secret, &t->i, err) < 0 ||
	    check_inviter(tx, &t->i, err) < 0)
		return -1;
	if (store_user_by_email(tx, t->i.email, &t->user, &e) == 0 || e.code == ERR_NOT_FOUND)
		return 0;
	*err = e;
	return -1;
}

static int write_join(struct tx *tx, void *arg, struct err *err)
{
	struct join_tx *t = arg;
	AUTO(store_collaborator_clear) struct store_collaborator c = {0};
	struct err e = {0};

	if (read_join(tx, t, err) < 0)
		return -1;
	if (!t->user.id[0] && !t->hash[0])
		return err_set(err, ERR_CONFLICT,
			       "The account is gone meanwhile; load the page again.");
	if (!t->user.id[0] &&
	    store_user_create(tx, t->i.email, t->name, t->hash, t->i.admin, &t->user, err) < 0)
		return -1;
	if (t->i.app_id[0] &&
	    store_collaborator_add(tx, t->i.app_id, t->user.id, store_perms_parse(t->i.permissions),
				   &c, &e) < 0 &&
	    e.code != ERR_INVALID_PARAMS) { /* who is one already, stays what they are */
		*err = e;
		return -1;
	}
	return store_invitation_accepted(tx, &t->i, err);
}

static int show_join(struct api_req *q, int status, const struct join_tx *t, const char *wrong)
{
	struct page p;

	page_begin(&p, q, t->i.app_name ? t->i.app_name : "Your account");
	if (wrong) {
		page_addf(&p, "<p class=\"wrong\" role=\"alert\">");
		page_text(&p, wrong);
		page_addf(&p, "</p>\n");
	}
	page_addf(&p, "<p>");
	page_text(&p, t->i.inviter_email);
	page_addf(&p, " invites <strong>");
	page_text(&p, t->i.email);
	page_addf(&p, "</strong> %s.</p>\n",
		  t->i.app_name ? "to work on this app"
		  : t->i.admin	? "to administer this platform"
				: "to this platform");
	page_form(&p, q->params[0]);
	if (!t->user.id[0]) {
		page_input(&p, "Your name", "name", "text", t->name,
			   "maxlength=\"255\" autocomplete=\"name\"");
		page_input(&p, "New password", "password", "password", NULL,
			   "required minlength=\"8\" maxlength=\"1024\" "
			   "autocomplete=\"new-password\"");
		page_input(&p, "Once more", "again", "password", NULL,
			   "required minlength=\"8\" maxlength=\"1024\" "
			   "autocomplete=\"new-password\"");
	}
	page_button(&p, "join", t->user.id[0] ? "Join" : "Make my account", false);
	page_addf(&p, "</form>\n");
	return page_send(&p, status);
}

static int gone(struct api_req *q, struct err *err)
{
	if (err->code != ERR_NOT_FOUND)
		return -1;
	return page_say(q, 404, "This invitation is not good",
			"It was used, taken back, or is older than 7 days. Ask for a new one.");
}

int api_join_page(struct api_req *q, struct err *err)
{
	AUTO(join_tx_clear) struct join_tx t = {.secret = q->params[0]};

	if (store_read(q->d->store, read_join, &t, err) < 0)
		return gone(q, err);
	return show_join(q, 200, &t, NULL);
}

static const char *wrong_password(const struct form *f)
{
	size_t n = strlen(form_get(f, "password"));

	if (n < 8 || n > 1024)
		return "Passwords have 8 to 1024 characters.";
	if (strcmp(form_get(f, "password"), form_get(f, "again")) != 0)
		return "The two passwords are not the same.";
	return strlen(form_get(f, "name")) > 255 ? "The name is too long." : NULL;
}

/* The audit trail's actor is who joins. */
static int joined(struct api_req *q, struct join_tx *t)
{
	q->user = t->user;
	t->user = (struct store_user){0};
	api_audit(q, "invitation.accept", "%s%s%s", t->i.email, t->i.app_name ? " for " : "",
		  t->i.app_name ? t->i.app_name : "");
	return page_say(q, 200, "Welcome",
			"You can log in now as %s: with `paasctl login`, or `heroku login`.",
			q->user.email);
}

int api_join_post(struct api_req *q, struct err *err)
{
	AUTO(form_clear) struct form f = {0};
	AUTO(join_tx_clear) struct join_tx t = {.secret = q->params[0]};
	const char *wrong;

	if (form_read(q, &f, err) < 0)
		return -1;
	if (store_read(q->d->store, read_join, &t, err) < 0)
		return gone(q, err);
	if (form_check(q, &f, q->params[0], err) < 0)
		return -1;
	if (!t.user.id[0]) {
		t.name = *form_get(&f, "name") ? form_get(&f, "name") : NULL;
		wrong = wrong_password(&f);
		if (wrong)
			return show_join(q, 422, &t, wrong);
		if (api_password_hash(q, form_get(&f, "password"), t.hash, err) < 0)
			return -1;
	}
	if (store_tx(q->d->store, write_join, &t, err) < 0)
		return gone(q, err);
	return joined(q, &t);
}
