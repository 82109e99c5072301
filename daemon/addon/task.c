/* One step of what an add-on is at. Each ends with one write of the row, which says what comes next
 * and when; a crash before it repeats the step. */
#include "daemon/addon/partner.h"
#include "daemon/core/xlog.h"

#include <stdio.h>

static const char *const task_names[] = {"provision", "change", "rotate"};

int row_still(struct tx *tx, const struct store_addon *row, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon now = {0};

	if (store_addon_find(tx, row->id, &now, err) < 0)
		return -1;
	if (strcmp(now.task, row->task) == 0 && now.task_ms == row->task_ms)
		return 0;
	return err_set(err, ERR_CONFLICT, "%s is at something else by now", row->name);
}

static wall_ms retry_at(const struct addons *a, int tries, int64_t most_ms)
{
	int64_t ms = a->d.cfg->addon_retry_s * 1000;

	for (int i = 1; i < tries && ms < most_ms; i++)
		ms *= 2;
	return clock_wall_ms() + (ms < most_ms ? ms : most_ms);
}

static wall_ms task_over(const struct addons *a, const struct store_addon *row)
{
	return row->task_ms + a->d.cfg->addon_provision_timeout_s * 1000;
}

/* --- writing the row --- */

struct save {
	const struct store_addon *row; /* as it was read */
	struct store_addon next;       /* borrows row's texts where they stay */
	const struct task_args *args;
	const char *credential;	  /* whose secrets; NULL = the add-on's own */
	json_t *config, *private; /* NULL = as they are */
	const char *hook_actor;	  /* who is told of; NULL = nobody */
	bool hook, drop_attachments;
};

static struct save save_of(const struct store_addon *row, const struct task_args *args)
{
	return (struct save){.row = row, .next = *row, .args = args};
}

static void set_task(struct store_addon *row, const char *task)
{
	snprintf(row->task, sizeof row->task, "%s", task);
}

/* What the verb gave, over what there was. */
static int merge(struct tx *tx, struct save *s, struct err *err)
{
	AUTO(json_decref) json_t *config = NULL;
	AUTO(json_decref) json_t *private = NULL;
	const char *id = s->row->id;
	int rc = s->credential
			 ? store_credential_secrets(tx, id, s->credential, &config, &private, err)
			 : store_addon_secrets(tx, id, &config, &private, err);

	if (rc < 0)
		return -1;
	if (s->config)
		json_object_update(config, s->config);
	if (s->credential)
		return store_credential_put(tx, id, s->credential, config,
					    s->private ? s->private : private, "active", err);
	return store_addon_set_secrets(tx, id, config, s->private, err);
}

static int drop_attachments(struct tx *tx, const struct save *s, struct err *err)
{
	AUTO(store_attachments_clear) struct store_attachments l = {0};

	if (store_attachments_list(tx, NULL, s->row->id, &l, err) < 0)
		return -1;
	for (int i = 0; i < l.n; i++)
		if (hook_event(tx, l.v[i].app_id, "api:addon-attachment", HOOK_DESTROY, NULL,
			       l.v[i].id, err) < 0 ||
		    store_attachment_delete(tx, l.v[i].id, err) < 0)
			return -1;
	return 0;
}

static int write_save(struct tx *tx, void *arg, struct err *err)
{
	struct save *s = arg;
	AUTO(auto_str) char *args = s->args ? task_args_write(s->args) : NULL;
	int rc;

	if (row_still(tx, s->row, err) < 0)
		return -1;
	if ((s->config || s->private) && merge(tx, s, err) < 0)
		return -1;
	if (s->drop_attachments && drop_attachments(tx, s, err) < 0)
		return -1;
	s->next.args = args;
	rc = store_addon_save(tx, &s->next, err);
	s->next.args = NULL;
	if (rc == 0 && s->hook && s->row->app_id[0])
		rc = hook_event(tx, s->row->app_id, "api:addon", HOOK_UPDATE, s->hook_actor,
				s->row->id, err);
	return rc;
}

/* The task has changed meanwhile: what the provider said is kept for the one that came. */
static int write_late(struct tx *tx, void *arg, struct err *err)
{
	struct save *s = arg;
	AUTO(store_addon_clear) struct store_addon now = {0};

	if (store_addon_find(tx, s->row->id, &now, err) < 0 ||
	    ((s->config || s->private) && merge(tx, s, err) < 0))
		return -1;
	if (now.provider_id || !s->next.provider_id)
		return 0;
	now.provider_id = xstrdup(s->next.provider_id);
	return store_addon_save(tx, &now, err);
}

/* It is still due: tried again, but not at once. */
static void not_written(struct addons *a, const struct store_addon *row, const struct err *err)
{
	xlog_err(XLOG_ERROR, "addon", err, "msg=\"a step could not be written\" addon=%s",
		 row->name);
	machine_pause(a);
}

static void commit(struct addons *a, struct save *s)
{
	struct err err = {0};

	if (store_tx(a->d.store, write_save, s, &err) == 0 || err.code == ERR_NOT_FOUND)
		return;
	if (err.code == ERR_CONFLICT) {
		if (s->config || s->private || s->next.provider_id)
			store_tx(a->d.store, write_late, s, &err);
		return;
	}
	not_written(a, s->row, &err);
}

/* --- ends of provision, change, rotate --- */

static void tell_app(struct addons *a, const struct store_addon *row, const char *text)
{
	if (row->app_id[0])
		logd_printf(a->d.log, row->app_id, "app", "api", "%s", text);
}

static void ended_badly(struct addons *a, const struct store_addon *row, struct task_args *args,
			bool refused, const struct err *why)
{
	struct save s = save_of(row, args);
	bool provision = strcmp(row->task, "provision") == 0;
	AUTO(auto_str) char *failure = xstrdup(why->msg);
	AUTO(auto_str)
	char *text = xasprintf("Add-on %s: %s failed: %s", row->name, row->task, why->msg);

	args->refused = refused;
	s.next.failure = failure;
	s.next.tries = 0;
	s.next.target_plan = NULL;
	s.hook = true;
	set_task(&s.next, "none");
	s.next.next_ms = 0;
	if (provision) {
		s.next.state = ADDON_FAILED;
		s.drop_attachments = true;
		/* One that refused has left nothing; of the others nobody knows. */
		if (!refused)
			set_task(&s.next, "deprovision");
		s.next.task_ms = clock_wall_ms();
		s.next.next_ms = refused ? clock_wall_ms() + LIM_ADDON_FAILED_MS : clock_wall_ms();
	}
	xlog_err(XLOG_WARN, "addon", why, "msg=\"task failed\" addon=%s task=%s", row->name,
		 row->task);
	tell_app(a, row, text);
	commit(a, &s);
}

/* id: the provider's, if it said one; may be NULL. */
static void again(struct addons *a, const struct store_addon *row, struct task_args *args,
		  wall_ms at, char *id, const struct err *why)
{
	struct save s = save_of(row, args);
	wall_ms over = task_over(a, row);

	if (id && !row->provider_id)
		s.next.provider_id = id;
	s.next.tries++;
	s.next.message = (char *)(uintptr_t)why->msg;
	s.next.next_ms = at < over ? at : over + 1;
	commit(a, &s);
}

static void ended_well(struct addons *a, const struct store_addon *row, struct task_args *args,
		       struct answer *an)
{
	struct save s = save_of(row, args);

	s.config = an->config;
	s.private = an->private;
	s.credential = args->credential;
	if (an->id && !row->provider_id)
		s.next.provider_id = an->id;
	if (an->web_url)
		s.next.web_url = an->web_url;
	s.next.message = an->message;
	s.next.failure = NULL;
	s.next.tries = args->faults = 0;
	if (row->target_plan)
		s.next.plan = row->target_plan;
	s.next.target_plan = NULL;
	s.next.state = ADDON_PROVISIONED;
	args->attach = strcmp(row->task, "provision") == 0;
	set_task(&s.next, "publish");
	s.next.next_ms = clock_wall_ms();
	s.hook = true;
	s.hook_actor = args->user_id[0] ? args->user_id : NULL;
	commit(a, &s);
}

static enum outcome take(struct addons *a, struct entry *e, const struct store_addon *row,
			 const json_t *answer, struct answer *out, struct err *err)
{
	const char *drain = json_string_value(json_object_get(answer, "log_drain_url"));
	/* a partner's manifest says which there may be */
	bool all = !e->m->s.http && strcmp(row->task, "provision") == 0;

	if (answer_read(e->m, answer, all, out, err) < 0)
		return OUT_FAULT;
	if (drain && e->m->partner.log_drain && row->app_id[0] &&
	    partner_drain(a, e, row, drain, err) < 0)
		return OUT_FAULT;
	if (process_own(a, e, row, answer, out->config, err) == 0)
		return OUT_DONE;
	return OUT_FAULT;
}

void addons_answer(struct addons *a, const struct store_addon *row, enum outcome outcome,
		   const json_t *answer, const struct err *why)
{
	struct entry *e = entry_find(a, row->service);
	AUTO(task_args_clear) struct task_args args = {0};
	AUTO(answer_clear) struct answer an = {0};
	struct err err = why ? *why : (struct err){0};

	task_args_read(row->args, &args);
	if (outcome == OUT_DONE)
		outcome = take(a, e, row, answer, &an, &err);
	else if (outcome == OUT_CALLS_BACK && answer_read(e->m, answer, false, &an, &err) < 0)
		outcome = OUT_FAULT;
	switch (outcome) {
	case OUT_DONE:
		ended_well(a, row, &args, &an);
		break;
	case OUT_LATER:
		again(a, row, &args, retry_at(a, row->tries + 1, 60000), NULL, &err);
		break;
	case OUT_CALLS_BACK:
		again(a, row, &args, task_over(a, row) + 1, an.id, &err);
		break;
	case OUT_REFUSED:
		ended_badly(a, row, &args, true, &err);
		break;
	case OUT_FAULT:
		/* more tries find no more room on the disk */
		if (++args.faults >= LIM_ADDON_TRIES || err.code == ERR_DISK_FULL)
			ended_badly(a, row, &args, false, &err);
		else
			again(a, row, &args, retry_at(a, row->tries + 1, 60000), NULL, &err);
		break;
	}
	machine_wake(a);
}

/* --- steps --- */

/* What the verb is told beside the add-on. */
static int make_params(struct addons *a, struct entry *e, const struct store_addon *row,
		       const struct task_args *args, json_t **out, struct err *err);

struct secrets {
	const char *addon_id, *credential;
	json_t *config, *private; /* owned */
};

static int read_credential(struct tx *tx, void *arg, struct err *err)
{
	struct secrets *s = arg;

	return store_credential_secrets(tx, s->addon_id, s->credential, &s->config, &s->private,
					err);
}

static int rotate_params(struct addons *a, const struct store_addon *row,
			 const struct task_args *args, json_t **out, struct err *err)
{
	struct secrets s = {row->id, args->credential, NULL, NULL};

	if (s.credential && store_read(a->d.store, read_credential, &s, err) < 0)
		return -1;
	*out = json_pack("{s:s?, s:b, s:o?, s:o?}", "credential", s.credential, "forced",
			 args->forced, "config", s.config, "private", s.private);
	return 0;
}

static int make_params(struct addons *a, struct entry *e, const struct store_addon *row,
		       const struct task_args *args, json_t **out, struct err *err)
{
	if (strcmp(row->task, "rotate") == 0)
		return rotate_params(a, row, args, out, err);
	for (int i = 0; i < e->m->s.nplans && row->target_plan; i++)
		if (strcmp(e->m->s.plans[i].name, row->target_plan) == 0) {
			*out = json_pack("{s:s, s:O}", "plan", row->target_plan, "limits",
					 e->m->s.plans[i].limits);
			return 0;
		}
	*out = json_object();
	return 0;
}

static enum outcome ask(struct addons *a, struct entry *e, const struct store_addon *row,
			json_t **answer, struct err *err)
{
	AUTO(task_args_clear) struct task_args args = {0};
	AUTO(json_decref) json_t *params = NULL;
	struct verb_in v = {.a = a, .e = e, .row = row};

	task_args_read(row->args, &args);
	if (process_shared(a, e, err) < 0 || make_params(a, e, row, &args, &params, err) < 0)
		return OUT_FAULT;
	v.params = params;
	return verb_call(&v, row->task, manifest_timeout(e->m, row->task) * 1000, answer, err);
}

static void step_verb(struct addons *a, const struct store_addon *row)
{
	struct entry *e = entry_find(a, row->service);
	AUTO(json_decref) json_t *answer = NULL;
	AUTO(task_args_clear) struct task_args args = {0};
	enum outcome o;
	struct err err = {0};

	if (clock_wall_ms() > task_over(a, row)) {
		task_args_read(row->args, &args);
		err_set(&err, ERR_TIMEOUT, "the provider was not done within %lld seconds%s%.200s",
			(long long)a->d.cfg->addon_provision_timeout_s,
			row->message ? "; it said: " : "", row->message ? row->message : "");
		ended_badly(a, row, &args, false, &err);
		return;
	}
	if (!e) {
		task_args_read(row->args, &args);
		err_set(&err, ERR_UNAVAILABLE, "The service %s is not installed any more.",
			row->service);
		again(a, row, &args, retry_at(a, row->tries + 1, 60000), NULL, &err);
		return;
	}
	o = ask(a, e, row, &answer, &err);
	if (err.code != ERR_CANCELED) /* paasd stops: the step is made again at the next start */
		addons_answer(a, row, o, answer, &err);
}

static bool passes(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE || err->code == ERR_DISK_FULL || err->code == ERR_IO ||
	       err->code == ERR_INTERNAL || err->code == ERR_CONFLICT;
}

/* The attachment in whose place another was meant to come, once there is something to attach. */
static int attach_as(struct addons *a, const struct store_addon *row, const struct task_args *args,
		     struct err *err)
{
	struct attachment_new in = {.by = {args->user_id, args->user_email},
				    .addon_id = row->id,
				    .app_id = row->app_id,
				    .name = args->attach_as,
				    .confirmed = true};
	AUTO(store_attachment_clear) struct store_attachment out = {0};

	return addon_attach(a, &in, &out, err);
}

static void step_publish(struct addons *a, const struct store_addon *row)
{
	AUTO(task_args_clear) struct task_args args = {0};
	struct save s = save_of(row, &args);
	AUTO(auto_str) char *failure = NULL;
	struct err err = {0};
	int rc;

	task_args_read(row->args, &args);
	rc = publish_values(a, row, args.attach, &err);
	if (rc == 0 && args.attach_as && row->app_id[0])
		rc = attach_as(a, row, &args, &err);
	if (rc < 0)
		xlog_err(XLOG_WARN, "addon", &err, "msg=\"no release for an add-on\" addon=%s",
			 row->name);
	if (rc < 0 && passes(&err)) {
		s.next.tries++;
		s.next.next_ms = retry_at(a, s.next.tries, LIM_ADDON_RETRY_MS);
	} else {
		set_task(&s.next, "none");
		s.next.tries = 0;
		s.next.next_ms = 0;
		s.next.failure = failure = rc < 0 ? xstrdup(err.msg) : NULL;
		if (rc < 0)
			tell_app(a, row, failure);
	}
	commit(a, &s);
}

/* --- deprovision --- */

struct attached {
	const char *addon_id;
	struct store_attachments list;
};

static int read_attachments(struct tx *tx, void *arg, struct err *err)
{
	struct attached *t = arg;

	return store_attachments_list(tx, NULL, t->addon_id, &t->list, err);
}

static int detach_all(struct addons *a, const struct store_addon *row, struct err *err)
{
	struct attached t = {.addon_id = row->id};
	AUTO(task_args_clear) struct task_args args = {0};
	struct addon_actor by;
	int rc;

	task_args_read(row->args, &args);
	by = (struct addon_actor){args.user_id[0] ? args.user_id : NULL, args.user_email};
	rc = store_read(a->d.store, read_attachments, &t, err);
	for (int i = 0; i < t.list.n && rc == 0; i++)
		rc = publish_detach(a, &by, &t.list.v[i], err);
	store_attachments_clear(&t.list);
	return rc;
}

static int write_gone(struct tx *tx, void *arg, struct err *err)
{
	const struct store_addon *row = arg;

	return row_still(tx, row, err) < 0 ? -1 : store_addon_delete(tx, row->id, err);
}

static void drop_row(struct addons *a, const struct store_addon *row)
{
	struct err err = {0};

	if (store_tx(a->d.store, write_gone, (void *)(uintptr_t)row, &err) < 0 &&
	    err.code != ERR_CONFLICT && err.code != ERR_NOT_FOUND)
		not_written(a, row, &err);
}

static void gone(struct addons *a, const struct store_addon *row)
{
	struct save s = save_of(row, NULL);

	if (row->state == ADDON_FAILED) { /* whoever waits for it is to learn why */
		AUTO(task_args_clear) struct task_args args = {0};

		task_args_read(row->args, &args);
		s.args = &args;
		set_task(&s.next, "none");
		s.next.next_ms = clock_wall_ms() + LIM_ADDON_FAILED_MS;
		commit(a, &s);
		return;
	}
	xlog(XLOG_INFO, "addon", "msg=gone addon=%s service=%s", row->name, row->service);
	drop_row(a, row);
}

static int remove_all(struct addons *a, const struct store_addon *row, struct err *err)
{
	struct entry *e = entry_find(a, row->service);
	AUTO(json_decref) json_t *answer = NULL;
	AUTO(task_args_clear) struct task_args args = {0};
	struct verb_in v = {.a = a, .e = e, .row = row};

	if (detach_all(a, row, err) < 0 || partner_drain_drop(a, row, err) < 0)
		return -1;
	if (!e)
		return err_set(err, ERR_UNAVAILABLE, "The service %s is not installed any more.",
			       row->service);
	task_args_read(row->args, &args);
	if (!args.gone && verb_call(&v, "deprovision", manifest_timeout(e->m, "deprovision") * 1000,
				    &answer, err) != OUT_DONE)
		return -1;
	return process_remove(a, row->id, err);
}

static void step_deprovision(struct addons *a, const struct store_addon *row)
{
	AUTO(task_args_clear) struct task_args args = {0};
	struct save s = save_of(row, &args);
	struct err err = {0};

	if (remove_all(a, row, &err) == 0) {
		gone(a, row);
		return;
	}
	if (err.code == ERR_CANCELED)
		return;
	task_args_read(row->args, &args);
	xlog_err(XLOG_WARN, "addon", &err, "msg=\"not removed yet\" addon=%s tries=%d", row->name,
		 row->tries + 1);
	if (row->state != ADDON_FAILED)
		s.next.failure = err.msg;
	s.next.tries++;
	s.next.next_ms = retry_at(a, s.next.tries, LIM_ADDON_RETRY_MS);
	commit(a, &s);
}

void task_step(struct addons *a, const struct store_addon *row)
{
	for (size_t i = 0; i < ARRAY_LEN(task_names); i++)
		if (strcmp(task_names[i], row->task) == 0) {
			step_verb(a, row);
			return;
		}
	if (strcmp(row->task, "publish") == 0)
		step_publish(a, row);
	else if (strcmp(row->task, "deprovision") == 0)
		step_deprovision(a, row);
	else if (row->state == ADDON_FAILED) /* its time is over */
		drop_row(a, row);
}
