/* Attachments by hand, and what other parts of the platform ask of an add-on. */
#include "daemon/addon/addon_int.h"
#include "daemon/addon/names.h"

/* --- attach, detach --- */

struct find {
	const char *id, *credential;
	struct store_addon row;
	struct store_attachment t;
	struct store_credential c;
	json_t *config, *private;
};

static int read_addon(struct tx *tx, void *arg, struct err *err)
{
	struct find *f = arg;

	if (store_addon_find(tx, f->id, &f->row, err) < 0)
		return -1;
	return f->credential ? store_credential_find(tx, f->row.id, f->credential, &f->c, err) : 0;
}

static void find_clear(struct find *f)
{
	store_addon_clear(&f->row);
	store_attachment_clear(&f->t);
	store_credential_clear(&f->c);
	json_decref(f->config);
	json_decref(f->private);
}
#define find_clear_p find_clear

#define CREDENTIAL "credential:"

static int check_attach(struct addons *a, const struct attachment_new *in, struct find *f,
			struct entry **e, struct err *err)
{
	if (in->namespace) {
		if (strncmp(in->namespace, CREDENTIAL, strlen(CREDENTIAL)) != 0)
			return err_set(err, ERR_INVALID_PARAMS,
				       "Namespace %.60s is not known here: credential:NAME is.",
				       in->namespace);
		f->credential = in->namespace + strlen(CREDENTIAL);
	}
	if (store_read(a->d.store, read_addon, f, err) < 0)
		return -1;
	*e = entry_find(a, f->row.service);
	if (!*e)
		return err_set(err, ERR_UNAVAILABLE, "The service %s is not installed any more.",
			       f->row.service);
	if (f->row.state == ADDON_DEPROVISIONING || f->row.state == ADDON_FAILED)
		return err_set(err, ERR_CONFLICT, "%s is being removed.", f->row.name);
	if (!(*e)->m->s.sharing && strcmp(in->app_id, f->row.app_id) != 0)
		return err_set(err, ERR_INVALID_PARAMS, "%s cannot be attached to another app.",
			       f->row.service);
	return 0;
}

int addon_attach(struct addons *a, const struct attachment_new *in, struct store_attachment *out,
		 struct err *err)
{
	AUTO(find_clear) struct find f = {.id = in->addon_id};
	struct entry *e = NULL;
	struct name_choice n = {.app_id = in->app_id,
				.wanted = in->name,
				.addon_id = in->namespace ? NULL : in->addon_id,
				.confirmed = in->confirmed};
	AUTO(auto_str) char *name = NULL;

	if (check_attach(a, in, &f, &e, err) < 0)
		return -1;
	n.service = &e->m->s;
	if (name_choose(a, &n, err) < 0)
		return -1;
	name = n.name;
	return publish_attach(a, &in->by, &f.row, in->app_id, name, in->namespace,
			      n.replaced_id[0] ? n.replaced_id : NULL, out, err);
}

static int read_attachment(struct tx *tx, void *arg, struct err *err)
{
	struct find *f = arg;

	return store_attachment_find(tx, NULL, f->id, &f->t, err);
}

int addon_detach(struct addons *a, const struct addon_actor *by, const char *attachment_id,
		 struct err *err)
{
	AUTO(find_clear) struct find f = {.id = attachment_id};

	if (store_read(a->d.store, read_attachment, &f, err) < 0 ||
	    name_check_last(a, &f.t, err) < 0)
		return -1;
	return publish_detach(a, by, &f.t, err);
}

/* --- verbs --- */

struct keep {
	const char *addon_id, *credential;
	const struct answer *an;
};

static int write_answer(struct tx *tx, void *arg, struct err *err)
{
	struct keep *k = arg;
	AUTO(json_decref) json_t *config = NULL;
	AUTO(json_decref) json_t *private = NULL;
	struct err e = {0};
	int rc = k->credential ? store_credential_secrets(tx, k->addon_id, k->credential, &config,
							  &private, &e)
			       : store_addon_secrets(tx, k->addon_id, &config, &private, &e);

	if (rc < 0 && !(k->credential && e.code == ERR_NOT_FOUND)) {
		*err = e;
		return -1;
	}
	if (!config)
		config = json_object();
	if (k->an->config)
		json_object_update(config, k->an->config);
	return k->credential
		       ? store_credential_put(tx, k->addon_id, k->credential, config,
					      k->an->private, "active", err)
		       : store_addon_set_secrets(tx, k->addon_id, config, k->an->private, err);
}

/* What it changed is stored, and apps get their releases. */
static int keep_answer(struct addons *a, struct entry *e, const struct store_addon *row,
		       const char *credential, const json_t *j, bool all, struct err *err)
{
	AUTO(answer_clear) struct answer an = {0};
	struct keep k = {row->id, credential, &an};

	if (answer_read(e->m, j, all, &an, err) < 0 ||
	    process_own(a, e, row, j, an.config, err) < 0)
		return -1;
	if (!an.config && !an.private)
		return 0;
	if (store_tx(a->d.store, write_answer, &k, err) < 0)
		return -1;
	return publish_values(a, row, false, err);
}

static int call(struct addons *a, const char *addon_id, const char *verb, const char *credential,
		const json_t *in, int ms, json_t **out, struct err *err)
{
	AUTO(find_clear) struct find f = {.id = addon_id};
	AUTO(json_decref) json_t *answer = NULL;
	struct verb_in v = {.a = a, .row = &f.row, .params = in};
	int64_t limit;

	if (store_read(a->d.store, read_addon, &f, err) < 0)
		return -1;
	v.e = entry_find(a, f.row.service);
	if (!v.e || !addon_service_can(&v.e->m->s, verb))
		return err_set(err, ERR_UNAVAILABLE, "%s cannot do that (%s).", f.row.service,
			       verb);
	limit = manifest_timeout(v.e->m, verb) * 1000;
	if (process_shared(a, v.e, err) < 0 ||
	    verb_call(&v, verb, ms > 0 && ms < limit ? ms : limit, &answer, err) != OUT_DONE)
		return -1;
	if (keep_answer(a, v.e, &f.row, credential, answer, false, err) < 0)
		return -1;
	if (out)
		*out = STEAL(answer);
	return 0;
}

int addon_call(struct addons *a, const char *addon_id, const char *verb, const json_t *in, int ms,
	       json_t **out, struct err *err)
{
	return call(a, addon_id, verb, NULL, in, ms, out, err);
}

static int read_config(struct tx *tx, void *arg, struct err *err)
{
	struct find *f = arg;

	return f->credential ? store_credential_secrets(tx, f->id, f->credential, &f->config,
							&f->private, err)
			     : store_addon_secrets(tx, f->id, &f->config, &f->private, err);
}

int addon_config(struct addons *a, const char *addon_id, const char *credential, json_t **out,
		 struct err *err)
{
	AUTO(find_clear) struct find f = {.id = addon_id, .credential = credential};
	const char *suffix;
	void *safe;
	json_t *v;

	if (store_read(a->d.store, read_config, &f, err) < 0)
		return -1;
	json_object_foreach_safe(f.config, safe, suffix, v) if (json_is_null(v))
		json_object_del(f.config, suffix);
	*out = STEAL(f.config);
	return 0;
}

/* --- credentials --- */

int addon_credential_create(struct addons *a, const struct addon_actor *by, const char *addon_id,
			    const char *name, const json_t *params, struct err *err)
{
	AUTO(find_clear) struct find f = {.id = addon_id, .credential = name};
	AUTO(json_decref)
	json_t *in = params ? json_copy((json_t *)(uintptr_t)params) : json_object();
	size_t n = strlen(name);
	struct err e = {0};

	(void)by; /* the API writes the audit */
	if (n < 1 || n > 50 || !name_starts_with_letter(name) ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != n ||
	    strcmp(name, "default") == 0)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Credential name %.60s is no good: letters, digits, hyphens and "
			       "underscores, a letter first, at most 50; not default.",
			       name);
	if (store_read(a->d.store, read_addon, &f, &e) == 0)
		return err_set(err, ERR_INVALID_PARAMS, "There is a credential %s already.", name);
	if (e.code != ERR_NOT_FOUND || !f.row.id[0]) {
		*err = e;
		return -1;
	}
	json_object_set_new(in, "action", json_string("create"));
	json_object_set_new(in, "credential", json_string(name));
	return call(a, addon_id, "credentials", name, in, 0, NULL, err);
}

static int read_users(struct tx *tx, void *arg, struct err *err)
{
	struct find *f = arg;
	AUTO(store_attachments_clear) struct store_attachments l = {0};
	AUTO(auto_str) char *ns = xasprintf(CREDENTIAL "%s", f->credential);

	if (read_addon(tx, f, err) < 0 ||
	    store_attachments_list(tx, NULL, f->row.id, &l, err) < 0 ||
	    store_credential_secrets(tx, f->row.id, f->credential, &f->config, &f->private, err) <
		    0)
		return -1;
	for (int i = 0; i < l.n; i++)
		if (l.v[i].namespace && strcmp(l.v[i].namespace, ns) == 0)
			return err_set(err, ERR_CONFLICT,
				       "%s is attached to %s as %s: detach that first.",
				       f->credential, l.v[i].app_name, l.v[i].name);
	return 0;
}

static int write_drop(struct tx *tx, void *arg, struct err *err)
{
	struct find *f = arg;

	return store_credential_delete(tx, f->row.id, f->credential, err);
}

int addon_credential_destroy(struct addons *a, const struct addon_actor *by, const char *addon_id,
			     const char *name, struct err *err)
{
	AUTO(find_clear) struct find f = {.id = addon_id, .credential = name};
	AUTO(json_decref) json_t *in = NULL;

	(void)by; /* the API writes the audit */
	if (store_read(a->d.store, read_users, &f, err) < 0)
		return -1;
	in = json_pack("{s:s, s:s, s:O, s:O}", "action", "destroy", "credential", name, "config",
		       f.config, "private", f.private);
	if (call(a, addon_id, "credentials", name, in, 0, NULL, err) < 0)
		return -1;
	return store_tx(a->d.store, write_drop, &f, err);
}
