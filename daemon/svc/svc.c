/* Services: rows of the store made into hidden apps of the supervisor. */
#include "daemon/svc/svc_int.h"
#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"
#include "daemon/core/pool.h"
#include "daemon/core/xlog.h"
#include "proto/limits.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct svc *find(struct svcs *s, const char *id)
{
	for (struct svc *v = s->list; v; v = v->next)
		if (strcmp(v->id, id) == 0)
			return v;
	return NULL;
}

static const char *gateway(const struct svcs *s)
{
	return s->plain ? "" : launcher_info(s->la)->gateway;
}

static int is_closing(struct err *err)
{
	return err_set(err, ERR_UNAVAILABLE, "paasd is stopping; try again in a moment");
}

/* --- what the supervisor tells, loop thread --- */

void svc_changed(const struct dyno_info *i, enum dyno_state was, void *arg)
{
	struct svc *v = arg;
	struct svcs *s = v->all;

	pthread_mutex_lock(&s->lock);
	v->info.state = i->state == DYNO_UP	    ? SVC_UP
			: i->state == DYNO_STARTING ? SVC_STARTING
						    : SVC_DOWN;
	if (was == DYNO_DOWN && v->seen)
		v->info.restarts++;
	v->seen = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	if (i->state == DYNO_CRASHED)
		xlog(XLOG_WARN, "svc", "msg=\"service crashed\" id=%s name=%s exit=%d", v->id,
		     i->name, i->exit_code);
}

/* Of an older spec: what runs is taken over, so that it is stopped properly and then replaced. */
static struct dyno_release *of_before(const struct dyno_release *now, const char *release_id)
{
	struct dyno_release *r = xcalloc(1, sizeof *r);

	memcpy(r->app_id, now->app_id, sizeof r->app_id);
	snprintf(r->release_id, sizeof r->release_id, "%.36s", release_id);
	r->app_uid = now->app_uid;
	r->refs = 1;
	r->service = xcalloc(1, sizeof *r->service);
	r->service->stop_signal = now->service->stop_signal;
	r->service->stop_s = now->service->stop_s;
	r->service->changed = svc_changed;
	r->service->arg = now->service->arg;
	return r;
}

struct dyno_release *svcs_release_of(struct svcs *s, const char *id, const char *release_id)
{
	struct dyno_release *rel = NULL;
	struct svc *v;

	ASSERT_ON(s->l);
	pthread_mutex_lock(&s->lock);
	v = find(s, id);
	if (v && !v->removed && v->rel) {
		rel = v->rel;
		if (strcmp(rel->release_id, release_id) != 0) {
			if (!v->old)
				v->old = of_before(rel, release_id);
			rel = v->old;
		}
	}
	pthread_mutex_unlock(&s->lock);
	return rel;
}

/* --- start and end --- */

/* Under s->making, or before anybody else knows s. */
static struct svc *add(struct svcs *s, const struct store_service *row)
{
	struct svc *v = xcalloc(1, sizeof *v);

	v->all = s;
	memcpy(v->id, row->id, sizeof v->id);
	memcpy(v->info.id, row->id, sizeof v->id);
	memcpy(v->addon_id, row->addon_id, sizeof v->addon_id);
	v->kind = xstrdup(row->kind);
	v->provider = xstrdup(row->provider);
	v->shared = row->shared;
	v->info.state = SVC_DOWN;
	v->info.port = s->plain ? row->plain_port : row->port;
	launch_fixed_ip(gateway(s), row->address, v->info.ip);
	pthread_mutex_lock(&s->lock);
	v->next = s->list;
	s->list = v;
	pthread_mutex_unlock(&s->lock);
	return v;
}

struct port_tx {
	const char *id;
	int port;
};

static int write_port(struct tx *tx, void *arg, struct err *err)
{
	struct port_tx *t = arg;

	return store_service_set_plain_port(tx, t->id, t->port, err);
}

static int need_plain_port(struct svcs *s, struct store_service *row, struct err *err)
{
	struct port_tx t = {row->id, 0};

	if (!s->plain || row->plain_port)
		return 0;
	t.port = svc_plain_port(row->address);
	if (!t.port)
		return err_set(err, ERR_UNAVAILABLE, "no port of 127.0.0.1 is free");
	if (store_tx(s->st, write_port, &t, err) < 0)
		return -1;
	row->plain_port = t.port;
	return 0;
}

static int read_rows(struct tx *tx, void *arg, struct err *err)
{
	return store_services_list(tx, arg, err);
}

/* A service that cannot be run as its row says does not keep the others from it. */
static void load(struct svcs *s, struct store_service *row)
{
	struct err err = {0};
	struct svc *v;

	if (need_plain_port(s, row, &err) < 0)
		xlog_err(XLOG_ERROR, "svc", &err, "msg=\"no port\" id=%s", row->id);
	v = add(s, row);
	/* the add-on's row is gone: nobody will ever ask for it */
	v->removed = !row->wanted || (!row->shared && !row->addon_id[0]);
	s->leftovers |= v->removed;
	if (!v->removed && svc_release(s, row, v, &v->rel, &err) < 0)
		xlog_err(XLOG_ERROR, "svc", &err, "msg=\"service not started\" id=%s", row->id);
}

int svcs_new(struct loop *l, const struct config *cfg, struct store *st, struct logd *log,
	     struct launcher *la, struct dynos *dy, struct svcs **out, struct err *err)
{
	AUTO(auto_str) char *dir = xasprintf("%s/services", cfg->state_dir);
	AUTO(store_services_clear) struct store_services rows = {0};
	struct svcs *s;
	pthread_condattr_t a;

	if (fs_mkdirs(dir, 0711, err) < 0 || store_read(st, read_rows, &rows, err) < 0)
		return -1;
	s = xcalloc(1, sizeof *s);
	*s = (struct svcs){.l = l, .cfg = cfg, .st = st, .log = log, .la = la, .dy = dy};
	s->plain = strcmp(launcher_info(la)->runtime, "plain") == 0;
	pthread_mutex_init(&s->making, NULL);
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&s->changed, &a);
	pthread_condattr_destroy(&a);
	for (int i = 0; i < rows.n; i++)
		load(s, &rows.v[i]);
	*out = s;
	return 0;
}

/* Loop thread. Starts it, or restarts it when it is of another spec. */
static void run(void *arg)
{
	struct svc *v = arg;
	struct svcs *s = v->all;
	struct dyno_release *rel = NULL;
	AUTO(buf_clear) struct buf command = {0};
	struct dyno_want w = {.type = v->kind, .size = "", .quantity = 1};

	pthread_mutex_lock(&s->lock);
	if (s->started && !s->closing && !v->removed && v->rel)
		rel = dyno_release_ref(v->rel);
	pthread_mutex_unlock(&s->lock);
	if (!rel)
		return;
	for (char **a = rel->service->argv; *a; a++)
		buf_addf(&command, "%s%s", command.len ? " " : "", *a);
	w.command = buf_str(&command);
	dynos_scale(s->dy, rel, &w, 1);
	dyno_release_unref(rel);
}

/* Removals that a crash cut short, and what no add-on has any more. */
static void tidy(void *arg)
{
	struct svcs *s = arg;
	struct svc *v;

	pthread_mutex_lock(&s->lock);
	v = s->list; /* new ones go in front */
	pthread_mutex_unlock(&s->lock);
	for (; v; v = v->next) {
		struct err err = {0};
		bool removed;

		pthread_mutex_lock(&s->lock);
		removed = v->removed;
		pthread_mutex_unlock(&s->lock);
		if (removed && svc_remove(s, v->id, &err) < 0)
			xlog_err(XLOG_WARN, "svc", &err, "msg=\"not removed yet\" id=%s", v->id);
	}
}

void svcs_start(struct svcs *s)
{
	struct svc *v;

	ASSERT_ON(s->l);
	s->started = true;
	pthread_mutex_lock(&s->lock);
	v = s->list; /* of those that come later each is run when it comes */
	pthread_mutex_unlock(&s->lock);
	for (; v; v = v->next)
		run(v);
	if (s->leftovers)
		s->tidier = thread_new("svc-tidy", tidy, s);
}

void svcs_stop(struct svcs *s, bool keep, void (*done)(void *arg), void *arg)
{
	ASSERT_ON(s->l);
	(void)keep; /* dynos_stop_all is told the same */
	pthread_mutex_lock(&s->lock);
	s->closing = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	done(arg);
}

void svcs_free(struct svcs *s)
{
	if (!s)
		return;
	thread_join(s->tidier);
	while (s->list) {
		struct svc *v = s->list;

		s->list = v->next;
		dyno_release_unref(v->rel);
		dyno_release_unref(v->old);
		free(v->kind);
		free(v->provider);
		free(v);
	}
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->making);
	free(s);
}

/* --- ensure --- */

struct ensure_tx {
	struct svcs *s;
	const char *addon_id;
	const struct svc_spec *spec;
	const char *provider, *json;
	struct store_service row; /* owned content */
};

static int write_row(struct tx *tx, void *arg, struct err *err)
{
	struct ensure_tx *t = arg;
	const struct store_service_new in = {.kind = t->spec->kind,
					     .provider = t->provider,
					     .spec = t->json,
					     .addon_id = t->addon_id,
					     .port = t->spec->port};
	struct err none = {0};

	store_service_clear(&t->row); /* the writer may run this again */
	if (store_service_find(tx, t->addon_id, t->spec->kind, &t->row, &none) < 0)
		return none.code == ERR_NOT_FOUND
			       ? store_service_insert(tx, &in, LAUNCH_ADDRESSES, &t->row, err)
			       : (*err = none, -1);
	if (!t->row.wanted)
		return err_set(err, ERR_UNAVAILABLE, "the service is being removed; try again");
	if (strcmp(t->row.spec, t->json) == 0 && strcmp(t->row.provider, t->provider) == 0)
		return 0;
	if (store_service_set(tx, t->row.id, t->provider, t->spec->port, t->json, err) < 0)
		return -1;
	store_service_clear(&t->row);
	return store_service_find(tx, t->addon_id, t->spec->kind, &t->row, err);
}

static int check_disk(const struct svcs *s, struct err *err)
{
	uint64_t unused = 0, reserve = (uint64_t)s->cfg->disk_reserve_mb * (uint64_t)MiB(1);

	if (fs_free_bytes(s->cfg->state_dir, &unused, err) < 0)
		return -1;
	if (unused > reserve)
		return 0;
	return err_set(err, ERR_DISK_FULL,
		       "The disk is full: %llu MB are left, and %lld MB are kept in reserve.",
		       (unsigned long long)(unused >> 20), (long long)s->cfg->disk_reserve_mb);
}

/* Makes rel what is wanted; false: it is that already. */
static bool want(struct svcs *s, struct svc *v, const struct store_service *row,
		 struct dyno_release *rel)
{
	struct dyno_release *was;
	bool other;

	pthread_mutex_lock(&s->lock);
	other = !v->rel || strcmp(v->rel->release_id, rel->release_id) != 0;
	was = other ? v->rel : rel;
	if (other) {
		v->rel = rel;
		v->info.port = rel->service->port;
		if (v->info.state == SVC_UP)
			v->info.state = SVC_STARTING; /* it will be another one */
		if (strcmp(v->provider, row->provider) != 0) {
			free(v->provider);
			v->provider = xstrdup(row->provider);
		}
	}
	pthread_mutex_unlock(&s->lock);
	dyno_release_unref(was);
	return other;
}

/* Under s->making. */
static int ensure(struct svcs *s, struct ensure_tx *t, struct svc_info *out, struct err *err)
{
	struct dyno_release *rel = NULL;
	struct svc *v;

	if (store_tx(s->st, write_row, t, err) < 0 || need_plain_port(s, &t->row, err) < 0 ||
	    svc_write_files(s, t->row.id, t->spec, err) < 0)
		return -1;
	pthread_mutex_lock(&s->lock);
	v = find(s, t->row.id);
	pthread_mutex_unlock(&s->lock);
	if (!v)
		v = add(s, &t->row);
	if (svc_release(s, &t->row, v, &rel, err) < 0)
		return -1;
	if (want(s, v, &t->row, rel) && !loop_post(s->l, run, v))
		return is_closing(err);
	pthread_mutex_lock(&s->lock);
	*out = v->info;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* The last part of the provider's folder is its name, as add-ons have it. */
static const char *provider_of(const char *home)
{
	const char *slash = strrchr(home, '/');

	return slash ? slash + 1 : home;
}

int svc_ensure(struct svcs *s, const char *addon_id, const struct svc_spec *spec,
	       struct svc_info *out, struct err *err)
{
	AUTO(auto_str) char *home = realpath(spec->home, NULL);
	AUTO(auto_str) char *json = NULL;
	struct svc_spec real = *spec;
	struct ensure_tx t = {.s = s, .addon_id = addon_id, .spec = &real};
	int rc;

	if (!home)
		return err_errno(err, "the folder %s of service %s", spec->home, spec->kind);
	real.home = home;
	t.json = json = svc_spec_json(&real);
	t.provider = provider_of(home);
	if (!json)
		return err_set(err, ERR_INVALID_PARAMS, "the service's spec is no UTF-8");
	if (svc_spec_check(spec, err) < 0 || check_disk(s, err) < 0)
		return -1;
	pthread_mutex_lock(&s->making);
	rc = ensure(s, &t, out, err);
	pthread_mutex_unlock(&s->making);
	store_service_clear(&t.row);
	return rc;
}

/* --- find, wait, restart --- */

static bool is_the(const struct svc *v, const char *addon_id, const char *kind)
{
	if (v->removed)
		return false;
	if (addon_id)
		return strcmp(v->addon_id, addon_id) == 0;
	return v->shared && kind && (strcmp(v->kind, kind) == 0 || strcmp(v->provider, kind) == 0);
}

int svc_find(struct svcs *s, const char *addon_id, const char *kind, struct svc_info *out,
	     struct err *err)
{
	bool found = false;

	pthread_mutex_lock(&s->lock);
	for (struct svc *v = s->list; v && !found; v = v->next)
		if (is_the(v, addon_id, kind)) {
			*out = v->info;
			found = true;
		}
	pthread_mutex_unlock(&s->lock);
	return found ? 0 : err_not_found(err, "service");
}

static struct timespec after(int ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	return t;
}

int svc_wait(struct svcs *s, const char *id, int ms, struct svc_info *out, struct err *err)
{
	struct timespec until = after(ms);
	bool late = false, closing, gone, up;
	struct svc *v;

	assert(!loop_is_here(s->l));
	pthread_mutex_lock(&s->lock);
	v = find(s, id);
	while (v && !v->removed && v->info.state != SVC_UP && !s->closing && !late)
		late = pthread_cond_timedwait(&s->changed, &s->lock, &until) != 0;
	gone = !v || v->removed;
	up = !gone && v->info.state == SVC_UP;
	closing = s->closing;
	if (!gone)
		*out = v->info;
	pthread_mutex_unlock(&s->lock);
	if (up)
		return 0;
	if (gone)
		return err_not_found(err, "service");
	if (closing)
		return is_closing(err);
	return err_set(err, ERR_TIMEOUT, "the service %s is not up after %d ms; its log says why",
		       id, ms);
}

static void restart(void *arg)
{
	struct svc *v = arg;

	if (v->all->started && !v->all->closing)
		dynos_restart(v->all->dy, v->id, NULL);
}

int svc_restart(struct svcs *s, const char *id, struct err *err)
{
	struct svc *v;

	pthread_mutex_lock(&s->lock);
	v = find(s, id);
	if (v && v->removed)
		v = NULL;
	if (v && v->info.state == SVC_UP)
		v->info.state = SVC_STARTING; /* who waits now waits for the next one */
	pthread_mutex_unlock(&s->lock);
	if (!v)
		return err_not_found(err, "service");
	return loop_post(s->l, restart, v) ? 0 : is_closing(err);
}

/* --- remove --- */

static void buried(void *arg)
{
	struct svc *v = arg;
	struct svcs *s = v->all;

	pthread_mutex_lock(&s->lock);
	v->gone = true;
	v->info.state = SVC_DOWN;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static void end(void *arg)
{
	struct svc *v = arg;

	dynos_forget(v->all->dy, v->id, buried, v);
}

static int write_unwant(struct tx *tx, void *id, struct err *err)
{
	struct err e = {0};

	if (store_service_unwant(tx, id, &e) == 0 || e.code == ERR_NOT_FOUND)
		return 0;
	*err = e;
	return -1;
}

static int write_delete(struct tx *tx, void *id, struct err *err)
{
	return store_service_delete(tx, id, err);
}

static int await_burial(struct svcs *s, struct svc *v, struct err *err)
{
	bool gone;

	pthread_mutex_lock(&s->lock);
	v->removed = true;
	pthread_cond_broadcast(&s->changed);
	gone = v->gone;
	pthread_mutex_unlock(&s->lock);
	if (!gone && !loop_post(s->l, end, v))
		return is_closing(err);
	pthread_mutex_lock(&s->lock);
	while (!v->gone && !s->closing)
		pthread_cond_wait(&s->changed, &s->lock);
	gone = v->gone;
	pthread_mutex_unlock(&s->lock);
	return gone ? 0 : is_closing(err);
}

/* Each step may have been done already; the row goes last. */
static int take_away(struct svcs *s, struct svc *v, struct err *err)
{
	AUTO(auto_str) char *dir = xasprintf("%s/services/%s", s->cfg->state_dir, v->id);

	if (store_tx(s->st, write_unwant, v->id, err) < 0 || await_burial(s, v, err) < 0 ||
	    launcher_rmtree(s->la, dir, err) < 0)
		return -1;
	logd_forget(s->log, v->id);
	return store_tx(s->st, write_delete, v->id, err);
}

int svc_remove(struct svcs *s, const char *id, struct err *err)
{
	struct svc *v;
	int rc = 0;

	assert(!loop_is_here(s->l));
	pthread_mutex_lock(&s->making);
	pthread_mutex_lock(&s->lock);
	v = find(s, id);
	pthread_mutex_unlock(&s->lock);
	if (v)
		rc = take_away(s, v, err);
	pthread_mutex_unlock(&s->making);
	return rc;
}

/* --- data --- */

void svc_data_dir(const struct svcs *s, const char *id, char path[4096])
{
	snprintf(path, PATH_MAX, "%s/services/%s/data", s->cfg->state_dir, id);
}

int svc_disk_usage(struct svcs *s, const char *id, uint64_t *bytes, struct err *err)
{
	char path[PATH_MAX];
	uint64_t files;

	svc_data_dir(s, id, path);
	return fs_usage(path, bytes, &files, err);
}
