/* What partners do by their tokens, and the way to their own pages. */
#include "daemon/addon/loginput.h"
#include "daemon/addon/partner.h"
#include "proto/names.h"

#include <stdio.h>

struct find {
	const char *id;
	struct store_addon row;
	json_t *config, *private;
};

static void find_clear(struct find *f)
{
	store_addon_clear(&f->row);
	json_decref(f->config);
	json_decref(f->private);
}
#define find_clear_p find_clear

static int read_all(struct tx *tx, void *arg, struct err *err)
{
	struct find *f = arg;

	if (store_addon_find(tx, f->id, &f->row, err) < 0)
		return -1;
	return store_addon_secrets(tx, f->row.id, &f->config, &f->private, err);
}

/* A partner's add-on, whose service is there; e may not be NULL. */
static int find(struct addons *a, struct find *f, struct entry **e, struct err *err)
{
	if (store_read(a->d.store, read_all, f, err) < 0)
		return -1;
	*e = entry_find(a, f->row.service);
	if (!*e)
		return err_set(err, ERR_UNAVAILABLE, "The service %s is not installed any more.",
			       f->row.service);
	if (!(*e)->m->s.http)
		return err_set(err, ERR_INVALID_PARAMS, "%s is no partner's.", f->row.service);
	return 0;
}

static int is_over(const struct store_addon *row, struct err *err)
{
	if (row->state != ADDON_DEPROVISIONING && row->state != ADDON_FAILED)
		return 0;
	return err_set(err, ERR_GONE, "%s was given up: it is being removed, or is gone.",
		       row->name);
}

/* --- tokens --- */

struct exchange {
	struct addons *a;
	const char *given; /* code or refresh token */
	bool by_code;
	char addon_id[37], access[55], refresh[55];
};

static int read_grant(struct tx *tx, void *arg, struct err *err)
{
	struct exchange *x = arg;

	return x->by_code ? store_addon_grant_find(tx, x->given, x->addon_id, err)
			  : store_addon_token_find(tx, x->given, ADDON_TOKEN_REFRESH, x->addon_id,
						   err);
}

static int write_tokens(struct tx *tx, void *arg, struct err *err)
{
	struct exchange *x = arg;

	/* of two that come with one code only one gets past this */
	if (x->by_code && store_addon_grant_use(tx, x->given, err) < 0)
		return -1;
	if (!x->by_code && read_grant(tx, x, err) < 0)
		return -1;
	if (x->by_code &&
	    store_addon_token_add(tx, x->addon_id, ADDON_TOKEN_REFRESH, x->refresh, 0, err) < 0)
		return -1;
	return store_addon_token_add(tx, x->addon_id, ADDON_TOKEN_ACCESS, x->access,
				     clock_wall_ms() + LIM_PARTNER_ACCESS_S * 1000LL, err);
}

static int check_client(struct addons *a, const char *addon_id, const char *client_secret,
			struct err *err)
{
	AUTO(find_clear) struct find f = {.id = addon_id};
	AUTO(json_decref) json_t *settings = NULL;
	struct entry *e = NULL;
	const char *good;

	if (find(a, &f, &e, err) < 0 ||
	    manifest_settings_load(e->m, a->d.cfg->addon_settings_dir, &settings, err) < 0)
		return -1;
	good = json_string_value(json_object_get(settings, "client_secret"));
	if (good && *good && client_secret && strlen(client_secret) == strlen(good) &&
	    ct_equal(client_secret, good, strlen(good)))
		return 0;
	return err_set(err, ERR_UNAUTHORIZED, "The client secret is not the one of %s.",
		       e->m->s.name);
}

static void new_token(char out[55])
{
	memcpy(out, ADDON_TOKEN_PREFIX, strlen(ADDON_TOKEN_PREFIX));
	random_hex(out + strlen(ADDON_TOKEN_PREFIX), 48);
}

int addon_partner_exchange(struct addons *a, bool by_code, const char *given,
			   const char *client_secret, json_t **out, struct err *err)
{
	struct exchange x = {.a = a, .given = given, .by_code = by_code};
	int rc;

	if (store_read(a->d.store, read_grant, &x, err) < 0 ||
	    check_client(a, x.addon_id, client_secret, err) < 0)
		return -1;
	new_token(x.access);
	new_token(x.refresh);
	rc = store_tx(a->d.store, write_tokens, &x, err);
	if (rc == 0)
		*out = json_pack("{s:s, s:i, s:s, s:s}", "access_token", x.access, "expires_in",
				 LIM_PARTNER_ACCESS_S, "refresh_token", by_code ? x.refresh : given,
				 "token_type", "Bearer");
	explicit_bzero(&x, sizeof x);
	return rc;
}

/* --- config --- */

struct put {
	struct find *f;
	const json_t *changes; /* by suffix; null = gone */
};

static int write_config(struct tx *tx, void *arg, struct err *err)
{
	struct put *p = arg;
	AUTO(json_decref) json_t *config = NULL;
	AUTO(json_decref) json_t *private = NULL;
	AUTO(store_addon_clear) struct store_addon now = {0};
	const char *id = p->f->row.id;

	if (store_addon_find(tx, id, &now, err) < 0 || is_over(&now, err) < 0 ||
	    store_addon_secrets(tx, id, &config, &private, err) < 0)
		return -1;
	json_object_update(config, (json_t *)(uintptr_t)p->changes);
	return store_addon_set_secrets(tx, id, config, NULL, err);
}

/* Names without the prefix; values that a config var can have. */
static int read_changes(const struct entry *e, const json_t *by_name, json_t *changes,
			struct err *err)
{
	AUTO(json_decref) json_t *set = json_object();
	AUTO(json_decref) json_t *answer = json_pack("{s:O}", "config", set);
	AUTO(answer_clear) struct answer an = {0};
	const char *name, *suffix;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)by_name, name, v)
	{
		suffix = partner_suffix(e->m, name);
		if (!suffix)
			return err_set(err, ERR_INVALID_PARAMS,
				       "%.60s is not one of the config vars in the manifest of %s.",
				       name, e->m->s.name);
		json_object_set(changes, suffix, v);
		if (!json_is_null(v))
			json_object_set(set, suffix, v);
	}
	if (answer_read(e->m, answer, false, &an, err) == 0)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS, "A value is too long, or no text.");
}

int addon_partner_config(struct addons *a, const char *addon_id, const json_t *by_name,
			 struct err *err)
{
	AUTO(find_clear) struct find f = {.id = addon_id};
	AUTO(json_decref) json_t *changes = json_object();
	struct put p = {&f, changes};
	struct entry *e = NULL;

	if (find(a, &f, &e, err) < 0 || is_over(&f.row, err) < 0 ||
	    read_changes(e, by_name, changes, err) < 0 ||
	    store_tx(a->d.store, write_config, &p, err) < 0)
		return -1;
	/* One that is being made is published when its provider says that it is there. */
	return f.row.state == ADDON_PROVISIONED ? publish_values(a, &f.row, false, err) : 0;
}

int addon_partner_config_names(struct addons *a, const char *addon_id, json_t **out,
			       struct err *err)
{
	AUTO(find_clear) struct find f = {.id = addon_id};
	AUTO(json_decref) json_t *config = NULL;
	struct entry *e = NULL;

	if (find(a, &f, &e, err) < 0 || addon_config(a, f.row.id, NULL, &config, err) < 0)
		return -1;
	*out = partner_names(e->m, config);
	return 0;
}

/* --- done, or given up --- */

static bool is_at(const struct store_addon *row, const char *task)
{
	return strcmp(row->task, task) == 0;
}

static bool awaits_partner(const struct store_addon *row)
{
	return is_at(row, "provision") || is_at(row, "change");
}

/* The answer that came by another way: the task must have moved on. */
static int settle(struct addons *a, const struct find *f, enum outcome o, const json_t *answer,
		  const struct err *why, struct err *err)
{
	AUTO(find_clear) struct find now = {.id = f->row.id};
	struct err e = {0};

	addons_answer(a, &f->row, o, answer, why);
	if (store_read(a->d.store, read_all, &now, &e) < 0)
		return e.code == ERR_NOT_FOUND ? 0 : (*err = e, -1);
	if (is_at(&now.row, f->row.task) && now.row.task_ms == f->row.task_ms)
		return err_set(err, ERR_UNAVAILABLE,
			       "It could not be written down; try again in a moment.");
	return 0;
}

int addon_partner_done(struct addons *a, const char *addon_id, struct err *err)
{
	AUTO(find_clear) struct find f = {.id = addon_id};
	AUTO(json_decref) json_t *answer = json_object();
	struct entry *e = NULL;

	if (find(a, &f, &e, err) < 0 || is_over(&f.row, err) < 0)
		return -1;
	return awaits_partner(&f.row) ? settle(a, &f, OUT_DONE, answer, NULL, err) : 0;
}

static int write_gone(struct tx *tx, void *arg, struct err *err)
{
	struct find *f = arg;
	AUTO(task_args_clear) struct task_args args = {0};
	struct store_addon next = f->row; /* borrows its texts */
	AUTO(auto_str) char *text = NULL;

	if (row_still(tx, &f->row, err) < 0)
		return -1;
	task_args_read(f->row.args, &args);
	args.gone = true;
	next.args = text = task_args_write(&args);
	next.task_ms++; /* what a worker is told just now comes too late */
	next.next_ms = clock_wall_ms();
	return store_addon_save(tx, &next, err);
}

int addon_partner_gone(struct addons *a, const char *addon_id, struct err *err)
{
	AUTO(find_clear) struct find f = {.id = addon_id};
	struct entry *e = NULL;
	struct err why = {0};

	if (find(a, &f, &e, err) < 0)
		return -1;
	if (is_at(&f.row, "deprovision")) {
		if (store_tx(a->d.store, write_gone, &f, err) < 0)
			return -1;
		machine_wake(a);
		return 0;
	}
	if (f.row.state == ADDON_FAILED)
		return 0;
	if (!awaits_partner(&f.row))
		return err_set(err, ERR_INVALID_PARAMS,
			       "%s is provisioned: its owner removes it, not its provider.",
			       f.row.name);
	err_set(&why, ERR_INVALID_PARAMS, "%s gave up: it could not %s it.", e->m->s.human_name,
		is_at(&f.row, "change") ? "change" : "make");
	return settle(a, &f, OUT_REFUSED, NULL, &why, err);
}

/* --- logs --- */

int addon_partner_drain(struct addons *a, const char *addon_id, const char *url, struct err *err)
{
	AUTO(find_clear) struct find f = {.id = addon_id};
	struct entry *e = NULL;

	if (find(a, &f, &e, err) < 0 || is_over(&f.row, err) < 0)
		return -1;
	return partner_drain(a, e, &f.row, url, err);
}

struct input {
	const char *addon_id;
	struct store_addon row;
	char token[39];
};

static int read_input(struct tx *tx, void *arg, struct err *err)
{
	struct input *i = arg;

	partner_input_token(tx, i->addon_id, i->token);
	return store_addon_find(tx, i->addon_id, &i->row, err);
}

static int append(struct addons *a, const struct store_addon *row, const char *body, size_t n,
		  struct err *err)
{
	struct loginput l;
	size_t at = 0;
	int rc;

	while ((rc = loginput_next(body, n, &at, &l)) == 1)
		logd_append(a->d.log, row->app_id, "app", l.proc[0] ? l.proc : row->service, 0,
			    l.text, l.len);
	return rc < 0 ? err_set(err, ERR_BAD_REQUEST,
				"The body is not application/logplex-1: octet-counted syslog "
				"messages.")
		      : 0;
}

int addon_partner_log(struct addons *a, const char *addon_id, const char *token, const char *body,
		      size_t n, struct err *err)
{
	struct input i = {.addon_id = addon_id};
	struct entry *e = NULL;
	struct err none = {0};
	bool fine = name_is_uuid(addon_id) && store_read(a->d.store, read_input, &i, &none) == 0;
	int rc = 0;

	if (fine)
		e = entry_find(a, i.row.service);
	fine = fine && e && e->m->partner.log_input && i.row.app_id[0] && token &&
	       strlen(token) == 38 && ct_equal(token, i.token, 38);
	if (!fine)
		rc = err_not_found(err, "add_on");
	else if (body)
		rc = append(a, &i.row, body, n, err);
	store_addon_clear(&i.row);
	return rc;
}

/* --- single sign-on --- */

bool addon_has_sso(struct addons *a, const char *service)
{
	struct entry *e = entry_find(a, service);

	return e && e->m->partner.sso_url;
}

int addon_sso(struct addons *a, const struct addon_actor *by, const char *addon_id, json_t **out,
	      struct err *err)
{
	AUTO(find_clear) struct find f = {.id = addon_id};
	AUTO(json_decref) json_t *settings = NULL;
	struct entry *e = NULL;
	const char *salt;

	if (find(a, &f, &e, err) < 0 ||
	    manifest_settings_load(e->m, a->d.cfg->addon_settings_dir, &settings, err) < 0)
		return -1;
	salt = json_string_value(json_object_get(settings, "sso_salt"));
	if (!e->m->partner.sso_url || !salt || !*salt)
		return err_set(err, ERR_INVALID_PARAMS, "%s has no page of its own.",
			       f.row.service);
	if (f.row.state != ADDON_PROVISIONED)
		return err_set(err, ERR_CONFLICT, "%s is not there yet, or not any more.",
			       f.row.name);
	*out = json_pack("{s:s, s:s, s:o}", "method", "post", "action", e->m->partner.sso_url,
			 "params", partner_sso_fields(&f.row, salt, clock_wall_ms() / 1000, by));
	return 0;
}
