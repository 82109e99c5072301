/* The machine: one step after another, each committed before the next begins. */
#include "daemon/setup/setup_int.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "daemon/hook/hook.h"
#include "daemon/store/app.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const struct {
	const char *name;
	int (*fn)(struct job *j, struct err *err);
} steps[] = {
	{"source", setup_step_source},	       {"manifest", setup_step_manifest},
	{"config", setup_step_config},	       {"addons", setup_step_addons},
	{"build", setup_step_build},	       {"scale", setup_step_scale},
	{"postdeploy", setup_step_postdeploy},
};

/* --- what others see of it --- */

struct live *setup_live_new(struct setups *s, const char *id)
{
	struct live *l = xcalloc(1, sizeof *l);

	snprintf(l->id, sizeof l->id, "%s", id);
	l->refs = 1;
	l->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_lock(&s->lock);
	l->next = s->live;
	s->live = l;
	pthread_mutex_unlock(&s->lock);
	return l;
}

struct live *setup_live_find(struct setups *s, const char *id)
{
	struct live *l;

	pthread_mutex_lock(&s->lock);
	for (l = s->live; l && strcmp(l->id, id) != 0; l = l->next)
		;
	if (l)
		l->refs++;
	pthread_mutex_unlock(&s->lock);
	return l;
}

void setup_live_unref(struct setups *s, struct live *l)
{
	bool last;

	pthread_mutex_lock(&s->lock);
	last = --l->refs == 0;
	for (struct live **p = &s->live; last && *p; p = &(*p)->next)
		if (*p == l) {
			*p = l->next;
			break;
		}
	pthread_mutex_unlock(&s->lock);
	if (!last)
		return;
	buf_clear(&l->said);
	close(l->cancel_fd);
	free(l);
}

void setup_say(struct job *j, const char *p, size_t n)
{
	pthread_mutex_lock(&j->s->lock);
	if (j->live->said.len + n <= LIM_SETUP_SAID)
		buf_add(&j->live->said, p, n);
	pthread_cond_broadcast(&j->s->changed);
	pthread_mutex_unlock(&j->s->lock);
}

void setup_sayf(struct job *j, const char *fmt, ...)
{
	AUTO(buf_clear) struct buf b = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	setup_say(j, buf_str(&b), b.len);
}

bool setup_gone(void *job)
{
	struct job *j = job;
	bool gone;

	pthread_mutex_lock(&j->s->lock);
	gone = j->live->canceled || j->s->stopping;
	pthread_mutex_unlock(&j->s->lock);
	return gone;
}

/* --- reading and writing --- */

static int read_row(struct tx *tx, void *arg, struct err *err)
{
	struct job *j = arg;

	store_setup_clear(&j->row);
	if (store_setup_get(tx, j->live->id, &j->row, err) < 0)
		return -1;
	return j->overrides || j->row.status != STORE_PENDING
		       ? 0
		       : store_setup_overrides(tx, j->live->id, &j->overrides, err);
}

struct step_tx {
	struct job *j;
	const char *step;
};

static int write_step(struct tx *tx, void *arg, struct err *err)
{
	struct step_tx *t = arg;

	return store_setup_set_step(tx, t->j->live->id, t->step, err);
}

struct end_tx {
	struct job *j;
	const char *failure, *wrong, *url;
};

/* A failed setup's app is marked in the same transaction: whatever happens then, it goes. */
static int write_end(struct tx *tx, void *arg, struct err *err)
{
	struct end_tx *t = arg;
	const struct store_setup *row = &t->j->row;
	AUTO(store_app_clear) struct store_app app = {0};
	struct err none = {0};

	if (store_setup_finish(tx, row->id, t->failure, t->wrong, t->url, err) < 0)
		return -1;
	if (!t->failure || row->keep || store_app_get(tx, row->app_id, &app, &none) < 0 ||
	    app.destroying)
		return 0;
	if (hook_event(tx, app.id, "api:app", HOOK_DESTROY, row->user_id, app.id, err) < 0)
		return -1;
	return store_app_set_destroying(tx, app.id, err);
}

/* --- the end --- */

static char *success_url(const struct job *j)
{
	const char *given = j->a.success_url;
	char base[300];

	if (given && given[0] != '/')
		return xstrdup(given);
	built_web_url(j->s->d.cfg, j->row.app_name, base, sizeof base);
	return xasprintf("%s%s", base, given ? given + 1 : "");
}

static void finish(struct job *j, const struct err *why)
{
	struct setups *s = j->s;
	AUTO(auto_str) char *wrong = json_dumps(j->wrong, JSON_COMPACT);
	AUTO(auto_str) char *url = why ? NULL : success_url(j);
	AUTO(auto_str) char *dir = xasprintf("%s/%s", s->dir, j->row.id);
	struct end_tx t = {j, why ? why->msg : NULL, wrong, url};
	struct err err = {0};

	if (store_tx(s->d.store, write_end, &t, &err) < 0) {
		xlog_err(XLOG_ERROR, "setup", &err, "msg=\"end not recorded\" setup_id=%s",
			 j->row.id);
		return;
	}
	fs_rmtree(dir, NULL);
	if (!why) {
		setup_sayf(j, "-----> %s is set up: %s\n", j->row.app_name, url);
		logd_printf(s->d.log, j->row.app_id, "app", "api", "Set up by user %s",
			    j->row.user_email);
	} else {
		for (size_t i = 0; i < json_array_size(j->wrong); i++)
			setup_sayf(j, " !     %s\n",
				   json_string_value(json_array_get(j->wrong, i)));
		setup_sayf(j, " !     Setting up %s failed: %s\n", j->row.app_name, why->msg);
		xlog_err(XLOG_INFO, "setup", why, "msg=failed app=%s step=%s", j->row.app_name,
			 j->row.step);
		if (!j->row.keep &&
		    s->d.ops.destroy_app(s->d.ops.arg, j->row.user_id, j->row.app_id, &err) < 0)
			xlog_err(XLOG_ERROR, "setup", &err,
				 "msg=\"app of a failed setup is left\" "
				 "app_id=%s",
				 j->row.app_id);
	}
	if (store_read(s->d.store, read_row, j, &err) == 0 && s->on_end)
		s->on_end(&j->row, s->on_end_arg);
}

/* --- one after another --- */

static int index_of(const char *step)
{
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		if (strcmp(steps[i].name, step) == 0)
			return (int)i;
	return 0;
}

/* What the steps after it need of the manifest is read again, also after a restart. */
static int take_manifest(struct job *j, struct err *err)
{
	const char *text = j->row.manifest && j->row.manifest[0] ? j->row.manifest : "{}";

	appjson_clear(&j->a);
	return appjson_parse(text, strlen(text), j->row.environment, &j->a, NULL, err);
}

/* 1: goes on; 0: it has ended, or goes on at the next start; -1: failed. */
static int one_step(struct job *j, struct err *err)
{
	struct step_tx t = {.j = j};
	int i;

	if (store_read(j->s->d.store, read_row, j, err) < 0)
		return -1;
	if (j->row.status != STORE_PENDING)
		return 0;
	if (j->row.canceled)
		return err_set(err, ERR_CANCELED, "Canceled");
	i = index_of(j->row.step);
	if (i > index_of("manifest") && take_manifest(j, err) < 0)
		return -1;
	if (steps[i].fn(j, err) < 0)
		return -1;
	j->resumed = false;
	if ((size_t)i + 1 == ARRAY_LEN(steps)) {
		finish(j, NULL);
		return 0;
	}
	t.step = steps[i + 1].name;
	return store_tx(j->s->d.store, write_step, &t, err) < 0 ? -1 : 1;
}

static bool is_stopping(struct setups *s)
{
	bool stopping;

	pthread_mutex_lock(&s->lock);
	stopping = s->stopping;
	pthread_mutex_unlock(&s->lock);
	return stopping;
}

static void run_steps(struct job *j)
{
	struct err err = {0};
	int rc = 1;

	while (rc == 1 && !is_stopping(j->s))
		rc = one_step(j, &err);
	/* While paasd stops much fails that is no fault of the setup's: it is asked again. */
	if (rc == -1 && !is_stopping(j->s)) {
		if (j->live->canceled)
			err_set(&err, ERR_CANCELED, "Canceled");
		finish(j, &err);
	}
}

struct entry {
	struct setups *s;
	struct live *live;
	bool resumed;
};

static void run_job(void *arg)
{
	struct entry *e = arg;
	struct setups *s = e->s;
	struct job j = {.s = s, .live = e->live, .resumed = e->resumed, .wrong = json_array()};

	run_steps(&j);
	appjson_clear(&j.a);
	json_decref(j.overrides);
	json_decref(j.wrong);
	store_setup_clear(&j.row);
	pthread_mutex_lock(&s->lock);
	e->live->ended = true;
	s->waiting--;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	setup_live_unref(s, e->live);
	free(e);
}

bool setup_enqueue(struct setups *s, struct live *l, bool resumed)
{
	struct entry *e = xcalloc(1, sizeof *e);

	*e = (struct entry){s, l, resumed};
	pthread_mutex_lock(&s->lock);
	s->waiting++;
	pthread_mutex_unlock(&s->lock);
	if (pool_submit(s->pool, run_job, e))
		return true;
	pthread_mutex_lock(&s->lock);
	s->waiting--;
	pthread_mutex_unlock(&s->lock);
	setup_live_unref(s, l);
	free(e);
	return false;
}
