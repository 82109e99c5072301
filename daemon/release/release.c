/* Making releases, waiting for them, and the verbs of the API that act on an app's dynos. */
#include "daemon/release/release_int.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "daemon/store/app.h"
#include "daemon/store/dyno.h"
#include "daemon/store/release.h"
#include "proto/limits.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int releases_new(struct loop *l, const struct config *cfg, struct store *st, struct logd *log,
		 struct routes *ro, struct slugs *sl, struct launcher *la, struct releases **out,
		 struct err *err)
{
	AUTO(auto_str) char *dir = xasprintf("%s/releases", cfg->state_dir);
	struct releases *r;
	struct dynos_ops ops = {
		.publish = apps_publish_op, .drain = apps_drain_op, .changed = apps_changed_op};

	if (fs_mkdirs(dir, 0700, err) < 0)
		return -1;
	r = xcalloc(1, sizeof *r);
	r->l = l;
	r->cfg = cfg;
	r->st = st;
	r->log = log;
	r->ro = ro;
	r->sl = sl;
	r->la = la;
	r->output_dir = STEAL(dir);
	pthread_mutex_init(&r->making, NULL);
	for (size_t i = 0; i < ARRAY_LEN(r->scaling); i++)
		pthread_mutex_init(&r->scaling[i], NULL);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	ops.arg = r;
	r->dy = dynos_new(l, cfg, st, log, la, &ops);
	routes_on_wake(ro, sleep_wake_op, r);
	*out = r;
	return 0;
}

void releases_on_live(struct releases *r, void (*fn)(void *arg, const char *app_id), void *arg)
{
	assert(r->non_live < RELEASE_LISTENERS);
	r->on_live[r->non_live].fn = fn;
	r->on_live[r->non_live++].arg = arg;
}

struct dynos *releases_dynos(struct releases *r)
{
	return r->dy;
}

void releases_with_services(struct releases *r, const struct release_services *s)
{
	r->services = *s;
}

/* Each of these waits is short: a commit, an answer of the router, a launch, a kill. */
void way_begin(struct releases *r)
{
	ASSERT_ON(r->l);
	r->under_way++;
}

void way_end(struct releases *r)
{
	void (*stopped)(void *arg) = r->stopped;

	ASSERT_ON(r->l);
	if (--r->under_way > 0 || !stopped)
		return;
	r->stopped = NULL;
	dynos_stop_all(r->dy, r->keep_dynos, stopped, r->stopped_arg);
}

void releases_stop(struct releases *r, bool keep_dynos, void (*done)(void *arg), void *arg)
{
	ASSERT_ON(r->l);
	r->keep_dynos = keep_dynos;
	r->stopped = done;
	r->stopped_arg = arg;
	way_begin(r);
	pthread_mutex_lock(&r->lock);
	r->closing = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	sleep_end(r);
	way_end(r);
}

static int is_closing(struct err *err)
{
	return err_set(err, ERR_UNAVAILABLE, "paasd is stopping; try again in a moment");
}

void releases_free(struct releases *r)
{
	if (!r)
		return;
	thread_join(r->recoverer);
	dynos_free(r->dy);
	while (r->deps) {
		struct dep *d = r->deps;

		r->deps = d->next;
		dep_unref(d);
	}
	commands_free(r);
	apps_free(r);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	pthread_mutex_destroy(&r->making);
	for (size_t i = 0; i < ARRAY_LEN(r->scaling); i++)
		pthread_mutex_destroy(&r->scaling[i]);
	free(r->output_dir);
	free(r);
}

/* --- create --- */

static void log_created(struct releases *r, const struct rows_new *n)
{
	const struct release_new *in = n->in;
	const char *who = in->user_email;

	if (in->build_id || n->changed[0] || in->rollback_to || in->promoted || in->first ||
	    in->values_only)
		logd_printf(r->log, in->app_id, "app", "api", "%s by user %s", n->description, who);
	logd_printf(r->log, in->app_id, "app", "api", "Release v%d created by user %s",
		    n->out->version, who);
}

/* Under r->making: two releases of an app that are made at once are deployed in the order of their
 * versions, and none slips in behind release_app_destroy. */
static int make(struct releases *r, struct rows_new *n, struct err *err)
{
	if (store_tx(r->st, rows_create, n, err) < 0)
		return -1;
	if (n->out->unchanged)
		return 0;
	log_created(r, n);
	if (!n->plan.slug_id[0]) /* nothing to run: live already */
		return 0;
	if (!loop_post(r->l, dep_enqueue, dep_new(r, &n->plan)))
		return err_set(err, ERR_UNAVAILABLE,
			       "paasd is stopping; the release goes on at the next start");
	return 0;
}

int release_create(struct releases *r, const struct release_new *in, struct release_out *out,
		   struct err *err)
{
	struct rows_new n = {.in = in, .cfg = r->cfg, .out = out};
	int rc;

	*out = (struct release_out){0};
	pthread_mutex_lock(&r->making);
	rc = make(r, &n, err);
	pthread_mutex_unlock(&r->making);
	plan_clear(&n.plan);
	return rc;
}

/* --- wait, output --- */

struct status {
	const char *id;
	enum store_status status;
	char failure[400];
};

static int read_status(struct tx *tx, void *arg, struct err *err)
{
	struct status *s = arg;
	AUTO(store_release_clear) struct store_release rel = {0};

	if (store_release_get(tx, NULL, s->id, &rel, err) < 0)
		return -1;
	s->status = rel.status;
	snprintf(s->failure, sizeof s->failure, "%s", rel.failure ? rel.failure : "");
	return 0;
}

static int ended_as(struct releases *r, const char *release_id, struct err *err)
{
	struct status s = {.id = release_id};

	if (store_read(r->st, read_status, &s, err) < 0)
		return -1;
	if (s.status == STORE_SUCCEEDED)
		return 0;
	if (s.status == STORE_FAILED)
		return err_set(err, ERR_BUILD_FAILED, "%s", s.failure);
	return err_set(err, ERR_UNAVAILABLE,
		       "paasd is stopping; the release goes on at the next start");
}

static void cond_wait_ms(pthread_cond_t *c, pthread_mutex_t *m, int ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	pthread_cond_timedwait(c, m, &t);
}

int release_wait(struct releases *r, const char *release_id,
		 void (*out)(const char *p, size_t n, void *arg), void *arg,
		 bool (*gone)(void *arg), struct err *err)
{
	struct dep *d = dep_find(r, release_id);
	bool final = false;
	size_t pos = 0;

	while (d && !final && !(gone && gone(arg))) {
		AUTO(buf_clear) struct buf chunk = {0};

		pthread_mutex_lock(&r->lock);
		if (d->output.len == pos && !d->final && !r->closing)
			cond_wait_ms(&r->changed, &r->lock, 1000);
		buf_add(&chunk, buf_str(&d->output) + pos, d->output.len - pos);
		final = d->final || r->closing;
		pthread_mutex_unlock(&r->lock);
		pos += chunk.len;
		if (chunk.len && out)
			out(chunk.data, chunk.len,
			    arg); /* may block on a slow client: not under the lock */
	}
	dep_unref(d);
	return ended_as(r, release_id, err);
}

int release_output(struct releases *r, const char *release_id, uint64_t offset, struct buf *out,
		   bool *done, struct err *err)
{
	struct dep *d = dep_find(r, release_id);
	AUTO(auto_str) char *path = NULL;
	AUTO(buf_clear) struct buf file = {0};

	*done = true;
	if (d) {
		pthread_mutex_lock(&r->lock);
		if (d->output.len <= offset && !d->final)
			cond_wait_ms(&r->changed, &r->lock, 1000);
		if (d->output.len > offset)
			buf_add(out, d->output.data + offset, d->output.len - offset);
		*done = d->final && offset + out->len >= d->output.len;
		pthread_mutex_unlock(&r->lock);
		dep_unref(d);
		return 0;
	}
	path = xasprintf("%s/%s", r->output_dir, release_id);
	if (fs_read(path, LIM_RELEASE_OUTPUT, &file, err) < 0)
		return err_not_found(err, "release output");
	if (file.len > offset)
		buf_add(out, file.data + offset, file.len - offset);
	return 0;
}

/* --- formation --- */

struct formation_tx {
	struct releases *r;
	const char *app_id, *who;
	const struct formation_change *wanted;
	struct formation_change *c; /* out */
	int n;
	struct plan plan; /* of the current release, after the change */
	bool has_release;
};

static int change_one(struct tx *tx, const char *app_id, const struct formation_change *wanted,
		      struct formation_change *c, struct err *err)
{
	AUTO(store_formation_clear) struct store_formation now = {0};
	bool asked = wanted->relative || wanted->quantity >= 0;
	int n = wanted->quantity;

	if (store_formation_get(tx, app_id, wanted->type, &now, err) < 0)
		return err->code == ERR_NOT_FOUND
			       ? err_set(err, ERR_NOT_FOUND,
					 "Couldn't find that process type (%.60s).", wanted->type)
			       : -1;
	*c = *wanted;
	snprintf(c->type, sizeof c->type, "%s", now.type);
	n += wanted->relative ? now.quantity : 0;
	if (asked && (n < 0 || n > LIM_DYNOS_PER_TYPE))
		return err_set(err, ERR_INVALID_PARAMS,
			       "Parameter quantity must be between 0 and %d; for %.60s it would be "
			       "%d.",
			       LIM_DYNOS_PER_TYPE, now.type, n);
	if (store_formation_set(tx, app_id, now.type, asked ? n : -1, c->size[0] ? c->size : NULL,
				err) < 0)
		return -1;
	c->quantity = asked ? n : now.quantity;
	return 0;
}

static int formation_write(struct tx *tx, void *arg, struct err *err)
{
	struct formation_tx *f = arg;
	AUTO(store_release_clear) struct store_release cur = {0};
	struct err none = {0};

	plan_clear(&f->plan); /* the writer may run this again */
	for (int i = 0; i < f->n; i++)
		if (change_one(tx, f->app_id, &f->wanted[i], &f->c[i], err) < 0 ||
		    hook_event(tx, f->app_id, "api:formation", HOOK_UPDATE, f->who, f->c[i].type,
			       err) < 0)
			return -1;
	f->has_release = store_release_current(tx, f->app_id, &cur, &none) == 0 && cur.slug_id[0];
	return f->has_release ? rows_plan(tx, cur.id, f->r->cfg, &f->plan, err) : 0;
}

static void formation_apply(void *arg)
{
	struct formation_tx *f = arg;
	struct rapp *a = rapp_get(f->r, f->app_id, false);

	/* A cut-over under way reads the formation again when it ends. */
	if (a && a->rel && !f->r->closing && strcmp(a->rel->release_id, f->plan.release_id) == 0)
		dynos_scale(f->r->dy, a->rel, f->plan.want, f->plan.nwant);
}

static void log_scaled(const struct formation_tx *f, const char *user_email)
{
	AUTO(buf_clear) struct buf text = {0};

	for (int i = 0; i < f->plan.nwant; i++)
		for (int k = 0; k < f->n; k++)
			if (strcmp(f->plan.want[i].type, f->c[k].type) == 0)
				buf_addf(&text, "%s%s@%d:%s", text.len ? " " : "", f->c[k].type,
					 f->plan.want[i].quantity, f->plan.want[i].size);
	logd_printf(f->r->log, f->app_id, "app", "api", "Scaled to %s by user %s", buf_str(&text),
		    user_email);
}

int formation_update(struct releases *r, const char *app_id, const char *user_email,
		     struct formation_change *c, int n, struct err *err)
{
	pthread_mutex_t *turn = &r->scaling[(unsigned char)app_id[0] % ARRAY_LEN(r->scaling)];
	struct formation_change *wanted = xcalloc((size_t)n, sizeof *wanted);
	struct formation_tx f = {
		.r = r, .app_id = app_id, .who = user_email, .wanted = wanted, .c = c, .n = n};
	int rc;

	memcpy(wanted, c, (size_t)n * sizeof *c);
	/* Else of two updates the later commit might reach the dynos first, and the earlier stay.
	 */
	pthread_mutex_lock(turn);
	rc = store_tx(r->st, formation_write, &f, err);
	if (rc == 0) {
		log_scaled(&f, user_email);
		if (f.has_release)
			loop_call(r->l, formation_apply, &f);
	}
	pthread_mutex_unlock(turn);
	plan_clear(&f.plan);
	free(wanted);
	return rc;
}

/* --- dynos --- */

struct verb {
	struct releases *r;
	const char *app_id, *name;
	bool (*fn)(struct dynos *d, const char *app_id, const char *name);
	bool ok;
};

static void do_verb(void *arg)
{
	struct verb *v = arg;

	v->ok = v->fn(v->r->dy, v->app_id, v->name);
}

int release_restart(struct releases *r, const char *app_id, const char *name, struct err *err)
{
	struct verb v = {r, app_id, name, dynos_restart, false};

	loop_call(r->l, do_verb, &v);
	return v.ok || !name ? 0 : err_not_found(err, "dyno");
}

int release_stop(struct releases *r, const char *app_id, const char *name, struct err *err)
{
	struct verb v = {r, app_id, name, dynos_stop, false};

	loop_call(r->l, do_verb, &v);
	return v.ok ? 0 : err_not_found(err, "dyno");
}

struct oneoff {
	struct releases *r;
	const char *app_id;
	struct oneoff_req req;
	struct dyno_info *out;
	struct err err;
	bool done;
	int refs; /* under r->lock: the waiting thread and the callback */
};

static void oneoff_unref(struct oneoff *o)
{
	struct releases *r = o->r;
	int left;

	pthread_mutex_lock(&r->lock);
	left = --o->refs;
	pthread_mutex_unlock(&r->lock);
	if (left == 0)
		free(o);
}

static void oneoff_started(const struct dyno_info *i, const struct err *err, void *arg)
{
	struct oneoff *o = arg;
	struct releases *r = o->r;

	way_end(r);
	pthread_mutex_lock(&r->lock);
	if (err)
		o->err = *err;
	if (i) {
		*o->out = *i;
		o->out->command = xstrdup(i->command);
	}
	o->done = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	oneoff_unref(o);
}

void release_oneoff(struct releases *r, const char *app_id, const struct oneoff_req *req,
		    const struct oneoff_ops *ops)
{
	struct rapp *a = rapp_get(r, app_id, false);
	struct dyno_release *rel = a ? rapp_newest(a) : NULL;
	struct err e = {0};

	if (!r->closing && rel) {
		dynos_oneoff(r->dy, rel, req, ops);
		return;
	}
	if (r->closing)
		is_closing(&e);
	else
		err_set(&e, ERR_NO_SLUG, "No slug: push code to the app first (git push).");
	ops->started(NULL, &e, ops->arg);
}

static void oneoff_start(void *arg)
{
	struct oneoff *o = arg;
	const struct oneoff_ops ops = {.started = oneoff_started, .arg = o};

	way_begin(o->r);
	release_oneoff(o->r, o->app_id, &o->req, &ops);
}

int release_run_oneoff(struct releases *r, const char *app_id, const struct oneoff_req *req,
		       struct dyno_info *out, struct err *err)
{
	struct oneoff *o = xcalloc(1, sizeof *o);
	int rc = 0;

	/* req, app_id and out are the caller's and outlive the wait: started is called in any case.
	 */
	*o = (struct oneoff){.r = r, .app_id = app_id, .req = *req, .out = out, .refs = 2};
	if (!loop_post(r->l, oneoff_start, o)) {
		free(o);
		return is_closing(err);
	}
	pthread_mutex_lock(&r->lock);
	while (!o->done)
		pthread_cond_wait(&r->changed, &r->lock);
	if (o->err.status) {
		*err = o->err;
		rc = -1;
	}
	pthread_mutex_unlock(&r->lock);
	oneoff_unref(o);
	return rc;
}

/* --- apps --- */

struct app_tx {
	struct releases *r;
	const char *app_id;
	char name[32];
	char **hosts; /* owned until the loop takes them */
	bool maintenance;
	bool done, refused;
};

static int app_read(struct tx *tx, void *arg, struct err *err)
{
	struct app_tx *t = arg;
	AUTO(store_app_clear) struct store_app a = {0};

	if (store_app_get(tx, t->app_id, &a, err) < 0)
		return -1;
	snprintf(t->name, sizeof t->name, "%s", a.name);
	t->maintenance = a.maintenance;
	return rows_hosts(tx, t->app_id, &t->hosts, err);
}

static void app_told(void *arg)
{
	struct app_tx *t = arg;
	struct releases *r = t->r;

	pthread_mutex_lock(&r->lock);
	t->done = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock); /* t is the waiter's again */
	way_end(r);
}

static bool refuse(struct app_tx *t)
{
	way_begin(t->r);
	if (!t->r->closing)
		return false;
	t->refused = true;
	app_told(t);
	return true;
}

static void app_apply(void *arg)
{
	struct app_tx *t = arg;
	struct rapp *a;

	if (refuse(t))
		return;
	a = rapp_get(t->r, t->app_id, true);
	snprintf(a->name, sizeof a->name, "%s", t->name);
	a->maintenance = t->maintenance;
	rapp_set_hosts(a, STEAL(t->hosts));
	rapp_publish(t->r, a, app_told, t);
}

static int wait_told(struct app_tx *t, struct err *err)
{
	pthread_mutex_lock(&t->r->lock);
	while (!t->done)
		pthread_cond_wait(&t->r->changed, &t->r->lock);
	pthread_mutex_unlock(&t->r->lock);
	return t->refused ? is_closing(err) : 0;
}

int release_app_changed(struct releases *r, const char *app_id, struct err *err)
{
	struct app_tx t = {.r = r, .app_id = app_id};
	bool posted = false;
	int rc;

	pthread_mutex_lock(&r->making);
	rc = store_read(r->st, app_read, &t, err);
	if (rc == 0)
		posted = loop_post(r->l, app_apply, &t);
	pthread_mutex_unlock(&r->making);
	if (rc == 0)
		rc = posted ? wait_told(&t, err) : is_closing(err);
	rows_hosts_free(t.hosts);
	return rc;
}

static void certs_changed(void *arg)
{
	struct releases *r = arg;

	routes_certs_changed(r->ro);
}

void release_certs_changed(struct releases *r)
{
	loop_post(r->l, certs_changed, r);
}

static void app_unrouted(void *arg)
{
	struct app_tx *t = arg;
	struct rapp **p;

	for (p = &t->r->apps; *p; p = &(*p)->next)
		if (strcmp((*p)->id, t->app_id) == 0) {
			struct rapp *a = *p;

			*p = a->next;
			rapp_free(a);
			break;
		}
	dynos_forget(t->r->dy, t->app_id, app_told, t);
}

static void app_drop(void *arg)
{
	struct app_tx *t = arg;

	if (refuse(t))
		return;
	deps_cancel(t->r, t->app_id);
	routes_del(t->r->ro, t->app_id, app_unrouted, t);
}

struct outputs_tx {
	const char *app_id;
	struct store_releases list;
};

static int read_outputs(struct tx *tx, void *arg, struct err *err)
{
	struct outputs_tx *t = arg;

	return store_releases_list(tx, t->app_id, 0, 0, false, 0, &t->list, err);
}

/* What its release commands have said: found by the rows, so before those go. */
static int drop_outputs(struct releases *r, const char *app_id, struct err *err)
{
	struct outputs_tx t = {.app_id = app_id};
	int rc = store_read(r->st, read_outputs, &t, err);

	for (int i = 0; rc == 0 && i < t.list.n; i++) {
		AUTO(auto_str) char *path = xasprintf("%s/%s", r->output_dir, t.list.v[i].id);

		if (unlink(path) < 0 && errno != ENOENT)
			rc = err_errno(err, "%s", path);
	}
	store_releases_clear(&t.list);
	return rc;
}

int release_app_destroy(struct releases *r, const char *app_id, struct err *err)
{
	struct app_tx t = {.r = r, .app_id = app_id};
	bool posted;

	/* The app is marked already: a release made before that is in the queue once we hold this.
	 */
	pthread_mutex_lock(&r->making);
	posted = loop_post(r->l, app_drop, &t);
	pthread_mutex_unlock(&r->making);
	if (!posted)
		return is_closing(err);
	return wait_told(&t, err) < 0 ? -1 : drop_outputs(r, app_id, err);
}
