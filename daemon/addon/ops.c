/* What people do with add-ons: made, changed, renamed, rotated, destroyed. */
#include "daemon/addon/addon_int.h"
#include "daemon/addon/names.h"
#include "daemon/core/xlog.h"
#include "daemon/store/app.h"
#include "daemon/store/release.h"

#include <stdio.h>

#define OPTIONS	     64
#define OPTION_BYTES 4096

/* --- create --- */

struct create {
	const struct addon_new *in;
	const struct addon_service *s;
	const struct addon_plan *p;
	const char *name;
	char *attachment; /* owned; what it is called now */
	char *options;	  /* owned */
	struct task_args args;
	json_t *config; /* owned: suffixes to null */
	struct store_addon row;
};

static void create_clear(struct create *c)
{
	free(c->attachment);
	free(c->options);
	json_decref(c->config);
	task_args_clear(&c->args);
}
#define create_clear_p create_clear

static int check_room(struct tx *tx, const struct create *c, struct err *err)
{
	AUTO(store_addons_clear) struct store_addons l = {0};

	if (store_addons_list(tx, c->in->app_id, &l, err) < 0)
		return -1;
	if (l.n >= LIM_ADDONS_PER_APP)
		return err_set(err, ERR_INVALID_PARAMS, "An app has at most %d add-ons.",
			       LIM_ADDONS_PER_APP);
	for (int i = 0; i < l.n && !c->s->multiple; i++)
		if (strcmp(l.v[i].service, c->s->name) == 0)
			return err_set(err, ERR_INVALID_PARAMS,
				       "The app has %s already, and %s can be added once only.",
				       l.v[i].name, c->s->name);
	return 0;
}

static int write_create(struct tx *tx, void *arg, struct err *err)
{
	struct create *c = arg;
	AUTO(store_attachment_clear) struct store_attachment t = {0};
	AUTO(auto_str) char *args = task_args_write(&c->args);
	struct store_addon_new in = {.name = c->name,
				     .app_id = c->in->app_id,
				     .service = c->s->name,
				     .plan = c->p->name,
				     .user_id = c->in->by.user_id,
				     .options = c->options,
				     .args = args,
				     .config = c->config};

	store_addon_clear(&c->row);
	if (check_room(tx, c, err) < 0 || store_addon_insert(tx, &in, &c->row, err) < 0)
		return -1;
	if (!c->args.attach_as && (store_attachment_insert(tx, c->row.id, c->in->app_id,
							   c->attachment, NULL, &t, err) < 0 ||
				   hook_event(tx, c->in->app_id, "api:addon-attachment",
					      HOOK_CREATE, c->in->by.user_id, t.id, err) < 0))
		return -1;
	return hook_event(tx, c->in->app_id, "api:addon", HOOK_CREATE, c->in->by.user_id, c->row.id,
			  err);
}

/* Options are texts; clients send true for "--key" alone, and may send numbers. */
static json_t *option_text(const json_t *v)
{
	if (json_is_string(v))
		return json_incref((json_t *)(uintptr_t)v);
	if (json_is_boolean(v))
		return json_string(json_is_true(v) ? "true" : "false");
	if (json_is_integer(v)) {
		char text[32];

		snprintf(text, sizeof text, "%lld", (long long)json_integer_value(v));
		return json_string(text);
	}
	return NULL;
}

static int read_options(const json_t *options, char **out, struct err *err)
{
	AUTO(json_decref) json_t *texts = json_object();
	const char *key;
	json_t *v;

	if (json_object_size(options) > OPTIONS)
		return err_set(err, ERR_INVALID_PARAMS, "An add-on has at most %d options.",
			       OPTIONS);
	json_object_foreach((json_t *)(uintptr_t)options, key, v)
	{
		json_t *text = option_text(v);

		if (!text || json_string_length(text) > OPTION_BYTES)
			return json_decref(text),
			       err_set(err, ERR_INVALID_PARAMS,
				       "Option %.60s must be a text of at most %d bytes.", key,
				       OPTION_BYTES);
		json_object_set_new(texts, key, text);
	}
	*out = json_dumps(texts, JSON_COMPACT | JSON_SORT_KEYS);
	return 0;
}

static int check_addon_name(const char *name, struct err *err)
{
	size_t n = strlen(name);

	if (n >= 2 && n <= 60 && name_starts_with_letter(name) &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == n)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS,
		       "Name %.60s is no name of an add-on: letters, digits, hyphens and "
		       "underscores, a letter first, 2 to 60 in all.",
		       name);
}

/* What it will be attached as: known before anything is made. */
static int prepare(struct addons *a, const struct addon_new *in, struct create *c, struct err *err)
{
	struct name_choice n = {.app_id = in->app_id,
				.wanted = in->attachment,
				.usual = true,
				.confirmed = in->confirmed};

	if (addon_plan_find(a, in->plan, &c->s, &c->p, err) < 0 ||
	    (in->name && check_addon_name(in->name, err) < 0) ||
	    read_options(in->options, &c->options, err) < 0)
		return -1;
	n.service = c->s;
	if (name_choose(a, &n, err) < 0)
		return -1;
	c->attachment = n.name;
	c->args.attach_as = n.replaced_id[0] ? xstrdup(n.name) : NULL;
	snprintf(c->args.user_id, sizeof c->args.user_id, "%s",
		 in->by.user_id ? in->by.user_id : "");
	c->args.user_email = xstrdup(in->by.user_email);
	c->config = json_object();
	for (int i = 0; c->s->vars[i]; i++)
		json_object_set_new(c->config, c->s->vars[i], json_null());
	return 0;
}

static int write_rows(struct addons *a, struct create *c, struct err *err)
{
	char made_up[80];
	int rc = -1;

	for (int tries = 0; tries < 10 && rc < 0; tries++) {
		*err = (struct err){0};
		if (!c->in->name)
			name_addon(c->s->name, made_up);
		c->name = c->in->name ? c->in->name : made_up;
		rc = store_tx(a->d.store, write_create, c, err);
		if (rc < 0 && (c->in->name || err->code != ERR_INVALID_PARAMS))
			break;
	}
	return rc;
}

static int write_forget(struct tx *tx, void *arg, struct err *err)
{
	const struct store_addon *row = arg;

	return row_still(tx, row, err) < 0 ? -1 : store_addon_delete(tx, row->id, err);
}

/* Whoever made it is told here: nothing needs to be kept for it. */
static int creation_failed(struct addons *a, const struct store_addon *row, struct err *err)
{
	AUTO(task_args_clear) struct task_args args = {0};
	struct err none = {0};

	task_args_read(row->args, &args);
	if (strcmp(row->task, "none") == 0)
		store_tx(a->d.store, write_forget, (void *)(uintptr_t)row, &none);
	return err_set(err, args.refused ? ERR_INVALID_PARAMS : ERR_UNAVAILABLE, "%s",
		       row->failure ? row->failure : "It could not be provisioned.");
}

static bool is_settled(const struct store_addon *row)
{
	return machine_is_idle(row) || row->state == ADDON_FAILED;
}

/* A name that was made up may have been taken since it was looked at: then another is. */
static int begin_create(struct addons *a, struct create *c, struct err *err)
{
	const struct addon_new *in = c->in;

	for (int tries = 0;; tries++) {
		*err = (struct err){0};
		if (prepare(a, in, c, err) == 0 && write_rows(a, c, err) == 0)
			return 0;
		store_addon_clear(&c->row);
		if (err->code != ERR_CONFLICT || in->attachment || tries == 20)
			return -1;
		create_clear(c);
		*c = (struct create){.in = in};
	}
}

int addon_create(struct addons *a, const struct addon_new *in, struct store_addon *out,
		 struct err *err)
{
	AUTO(create_clear) struct create c = {.in = in};
	struct err e = {0};

	if (begin_create(a, &c, err) < 0)
		return -1;
	*out = c.row;
	machine_wake(a);
	if (machine_await(a, c.row.id, LIM_ADDON_WAIT_MS, is_settled, out, &e) < 0 &&
	    e.code != ERR_TIMEOUT && e.code != ERR_UNAVAILABLE) {
		*err = e;
		return -1;
	}
	return out->state == ADDON_FAILED ? creation_failed(a, out, err) : 0;
}

int addon_wait(struct addons *a, const char *addon_id, int ms, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon row = {0};

	if (machine_await(a, addon_id, ms, is_settled, &row, err) < 0)
		return -1;
	if (row.state == ADDON_PROVISIONED)
		return 0;
	return err_set(err, ERR_UNAVAILABLE, "%s",
		       row.failure ? row.failure : "It could not be provisioned.");
}

/* --- tasks --- */

struct begin {
	const struct addon_actor *by;
	const char *id, *task, *target_plan;
	const struct task_args *args;
	bool force;
	struct store_addon row;
};

static int is_free(const struct store_addon *row, struct err *err)
{
	if (row->state == ADDON_DEPROVISIONING || row->state == ADDON_FAILED)
		return err_set(err, ERR_CONFLICT, "%s is being removed.", row->name);
	if (machine_is_idle(row) || strcmp(row->task, "publish") == 0)
		return 0;
	return err_set(err, ERR_CONFLICT, "%s is busy (%s): try again when that is done.",
		       row->name, row->task);
}

static int save_task(struct tx *tx, struct begin *b, struct err *err)
{
	struct store_addon next = b->row; /* borrows its texts */
	AUTO(auto_str) char *args = task_args_write(b->args);

	snprintf(next.task, sizeof next.task, "%s", b->task);
	next.target_plan = (char *)(uintptr_t)b->target_plan;
	next.args = args;
	next.tries = 0;
	/* never twice the same: a task that is over is told from its successor by it */
	next.task_ms = clock_wall_ms() > next.task_ms ? clock_wall_ms() : next.task_ms + 1;
	next.next_ms = clock_wall_ms();
	next.failure = NULL;
	return store_addon_save(tx, &next, err);
}

static int write_begin(struct tx *tx, void *arg, struct err *err)
{
	struct begin *b = arg;

	store_addon_clear(&b->row);
	if (store_addon_find(tx, b->id, &b->row, err) < 0 || is_free(&b->row, err) < 0)
		return -1;
	return save_task(tx, b, err);
}

/* Starts a task and waits a while for its end; the row as it is then. */
static int do_task(struct addons *a, struct begin *b, struct store_addon *out, struct err *err)
{
	struct err e = {0};
	int rc = store_tx(a->d.store, write_begin, b, err);

	store_addon_clear(&b->row);
	if (rc < 0)
		return -1;
	machine_wake(a);
	if (machine_await(a, b->id, LIM_ADDON_WAIT_MS, machine_is_idle, out, &e) < 0)
		return e.code == ERR_TIMEOUT || e.code == ERR_UNAVAILABLE ? 0 : (*err = e, -1);
	if (out->failure) {
		AUTO(task_args_clear) struct task_args args = {0};

		task_args_read(out->args, &args);
		return err_set(err, args.refused ? ERR_INVALID_PARAMS : ERR_UNAVAILABLE, "%s",
			       out->failure);
	}
	return 0;
}

static struct task_args args_of(const struct addon_actor *by)
{
	struct task_args t = {.user_email = xstrdup(by->user_email)};

	snprintf(t.user_id, sizeof t.user_id, "%s", by->user_id ? by->user_id : "");
	return t;
}

struct find {
	const char *id;
	struct store_addon row;
};

static int read_addon(struct tx *tx, void *arg, struct err *err)
{
	struct find *f = arg;

	return store_addon_find(tx, f->id, &f->row, err);
}

/* The service of the add-on; INVALID_PARAMS when it cannot do that. */
static int service_of(struct addons *a, const char *id, const char *verb, const char *what,
		      const struct addon_service **s, struct store_addon *row, struct err *err)
{
	struct find f = {.id = id};
	struct entry *e;

	if (store_read(a->d.store, read_addon, &f, err) < 0)
		return -1;
	*row = f.row;
	e = entry_find(a, f.row.service);
	if (!e)
		return err_set(err, ERR_UNAVAILABLE, "The service %s is not installed any more.",
			       f.row.service);
	*s = &e->m->s;
	return addon_service_can(*s, verb)
		       ? 0
		       : err_set(err, ERR_INVALID_PARAMS, "%s cannot %s.", f.row.service, what);
}

int addon_change_plan(struct addons *a, const struct addon_actor *by, const char *addon_id,
		      const char *plan, struct store_addon *out, struct err *err)
{
	AUTO(task_args_clear) struct task_args args = args_of(by);
	AUTO(store_addon_clear) struct store_addon row = {0};
	const struct addon_service *s, *of;
	const struct addon_plan *p;
	struct begin b = {.by = by, .id = addon_id, .task = "change", .args = &args};
	AUTO(auto_str) char *full = NULL;

	if (service_of(a, addon_id, "change", "change its plan", &s, &row, err) < 0)
		return -1;
	/* "mini" alone is a plan of this service */
	full = strchr(plan, ':') || addon_service_find(a, plan) || strlen(plan) == 36
		       ? xstrdup(plan)
		       : xasprintf("%s:%s", s->name, plan);
	if (addon_plan_find(a, full, &of, &p, err) < 0)
		return -1;
	if (of != s)
		return err_set(err, ERR_INVALID_PARAMS, "%s is of %s: it cannot become %s:%s.",
			       row.name, s->name, of->name, p->name);
	if (strcmp(row.plan, p->name) == 0)
		return err_set(err, ERR_INVALID_PARAMS, "%s has the plan %s:%s already.", row.name,
			       s->name, p->name);
	b.target_plan = p->name;
	return do_task(a, &b, out, err);
}

struct credential_tx {
	const char *addon_id, *name;
	struct store_credential c;
};

static int read_credential(struct tx *tx, void *arg, struct err *err)
{
	struct credential_tx *t = arg;

	return store_credential_find(tx, t->addon_id, t->name, &t->c, err);
}

int addon_rotate(struct addons *a, const struct addon_actor *by, const char *addon_id,
		 const char *credential, bool forced, struct err *err)
{
	AUTO(task_args_clear) struct task_args args = args_of(by);
	AUTO(store_addon_clear) struct store_addon row = {0};
	AUTO(store_addon_clear) struct store_addon out = {0};
	const struct addon_service *s;
	struct begin b = {.by = by, .id = addon_id, .task = "rotate", .args = &args};
	struct credential_tx t = {addon_id, credential, {""}};

	if (service_of(a, addon_id, "rotate", "rotate its credentials", &s, &row, err) < 0)
		return -1;
	if (credential && store_read(a->d.store, read_credential, &t, err) < 0)
		return -1;
	store_credential_clear(&t.c);
	args.credential = xstrdup(credential);
	args.forced = forced;
	return do_task(a, &b, &out, err);
}

/* --- rename --- */

struct rename_tx {
	const struct addon_actor *by;
	const char *id, *name;
};

static int write_rename(struct tx *tx, void *arg, struct err *err)
{
	struct rename_tx *t = arg;
	AUTO(store_addon_clear) struct store_addon row = {0};

	if (store_addon_find(tx, t->id, &row, err) < 0 ||
	    store_addon_rename(tx, row.id, t->name, err) < 0)
		return -1;
	return row.app_id[0] ? hook_event(tx, row.app_id, "api:addon", HOOK_UPDATE, t->by->user_id,
					  row.id, err)
			     : 0;
}

int addon_rename(struct addons *a, const struct addon_actor *by, const char *addon_id,
		 const char *name, struct err *err)
{
	struct rename_tx t = {by, addon_id, name};

	if (check_addon_name(name, err) < 0)
		return -1;
	return store_tx(a->d.store, write_rename, &t, err);
}

/* --- destroy --- */

static int check_elsewhere(struct tx *tx, const struct begin *b, struct err *err)
{
	AUTO(store_attachments_clear) struct store_attachments l = {0};
	AUTO(buf_clear) struct buf apps = {0};

	if (store_attachments_list(tx, NULL, b->row.id, &l, err) < 0)
		return -1;
	for (int i = 0; i < l.n; i++)
		if (strcmp(l.v[i].app_id, b->row.app_id) != 0)
			buf_addf(&apps, "%s%s", apps.len ? ", " : "", l.v[i].app_name);
	if (!apps.len || b->force)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS,
		       "%s is attached to other apps (%.200s): detach it there first, or use "
		       "--force.",
		       b->row.name, buf_str(&apps));
}

static int write_destroy(struct tx *tx, void *arg, struct err *err)
{
	struct begin *b = arg;

	store_addon_clear(&b->row);
	if (store_addon_find(tx, b->id, &b->row, err) < 0)
		return -1;
	if (b->row.state == ADDON_DEPROVISIONING)
		return 0;
	if (check_elsewhere(tx, b, err) < 0)
		return -1;
	if (b->row.app_id[0] && hook_event(tx, b->row.app_id, "api:addon", HOOK_DESTROY,
					   b->by->user_id, b->row.id, err) < 0)
		return -1;
	b->row.state = ADDON_DEPROVISIONING;
	return save_task(tx, b, err);
}

static bool is_detached(const struct store_addon *row)
{
	return row->tries > 0; /* what is left is the provider's side, which takes its time */
}

int addon_destroy(struct addons *a, const struct addon_actor *by, const char *addon_id, bool force,
		  struct err *err)
{
	AUTO(task_args_clear) struct task_args args = args_of(by);
	AUTO(store_addon_clear) struct store_addon row = {0};
	struct begin b = {
		.by = by, .id = addon_id, .task = "deprovision", .args = &args, .force = force};
	struct err none = {0};
	int rc = store_tx(a->d.store, write_destroy, &b, err);

	store_addon_clear(&b.row);
	if (rc < 0)
		return -1;
	machine_wake(a);
	machine_await(a, addon_id, LIM_ADDON_WAIT_MS / 2, is_detached, &row, &none);
	return 0;
}

struct forget {
	const char *app_id;
};

static int write_forget_app(struct tx *tx, void *arg, struct err *err)
{
	struct forget *f = arg;

	return store_addons_forget_app(tx, f->app_id, err);
}

int addons_forget_app(struct addons *a, const char *app_id, struct err *err)
{
	struct forget f = {app_id};

	if (store_tx(a->d.store, write_forget_app, &f, err) < 0)
		return -1;
	machine_wake(a);
	return 0;
}
