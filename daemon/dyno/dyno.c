/* The supervisor: lifetime, one-offs, looking. */
#include "daemon/dyno/dyno_int.h"
#include "proto/limits.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void dyno_info_clear(struct dyno_info *i)
{
	free(i->command);
	i->command = NULL;
}

void dyno_infos_free(struct dyno_info *v, int n)
{
	for (int i = 0; i < n; i++)
		dyno_info_clear(&v[i]);
	free(v);
}

static void free_service(struct dyno_service *s)
{
	for (char **a = s ? s->argv : NULL; a && *a; a++)
		free(*a);
	if (s) {
		free(s->argv);
		free(s->cwd);
	}
	free(s);
}

struct dyno_release *dyno_release_ref(struct dyno_release *r)
{
	/* Shared with the release module's job threads. */
	__atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
	return r;
}

void dyno_release_unref(struct dyno_release *r)
{
	if (!r || __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (char **e = r->env; e && *e; e++) {
		/* Config vars are secrets: do not leave them in freed memory. */
		explicit_bzero(*e, strlen(*e));
		free(*e);
	}
	for (int i = 0; i < r->nbinds; i++) {
		free(r->binds[i].src);
		free(r->binds[i].dst);
	}
	free(r->binds);
	free(r->ways);
	free_service(r->service);
	free(r->env);
	free(r->slug_dir);
	free(r->check.path);
	free(r->check.host);
	free(r);
}

struct dynos *dynos_new(struct loop *l, const struct config *cfg, struct store *st,
			struct logd *log, struct launcher *la, const struct dynos_ops *ops)
{
	struct dynos *d = xcalloc(1, sizeof *d);

	d->l = l;
	d->cfg = cfg;
	d->st = st;
	d->log = log;
	d->la = la;
	d->ops = *ops;
	d->jobs = pool_new("dyno", 4, 100000);
	return d;
}

static void forget_slots(struct app *a)
{
	while (a->slots) {
		struct slot *s = a->slots;

		if (s->cur)
			s->cur->slot = NULL;
		if (s->fresh)
			s->fresh->slot = NULL;
		s->cur = s->fresh = NULL;
		s->crashes = 0; /* the back-off row stays for the next start */
		slot_free(s);
	}
}

/* At the end: the loop has stopped, no job runs, nothing calls back. */
void app_free(struct app *a)
{
	struct app **p = &a->d->apps;

	while (*p != a)
		p = &(*p)->next;
	*p = a->next;
	forget_slots(a);
	if (a->deploy)
		deploy_free(a->deploy);
	dyno_release_unref(a->rel);
	free(a);
}

void dynos_free(struct dynos *d)
{
	if (!d)
		return;
	pool_free(d->jobs);
	drains_orphan(d);
	while (d->apps) {
		assert(!d->apps->runs);
		app_free(d->apps);
	}
	free(d->gone);
	free(d);
}

/* Apps may need their database to the last. */
static void end_services(struct dynos *d)
{
	if (d->keep || d->services_told)
		return;
	for (struct app *a = d->apps; a; a = a->next)
		LIST_FOREACH (struct run, r, a->runs)
			if (!r->rel->service)
				return;
	d->services_told = true;
	for (struct app *a = d->apps; a; a = a->next)
		LIST_FOREACH (struct run, r, a->runs)
			run_term(r);
}

void dynos_wind_up(struct dynos *d)
{
	void (*fn)(void *arg) = d->stopped;

	if (fn)
		end_services(d);
	if (fn && d->live == 0 && d->writes == 0) {
		d->stopped = NULL;
		loop_timer_stop(STEAL(d->let_go_timer));
		fn(d->stopped_arg);
	}
}

static bool let_go_one(struct dynos *d)
{
	for (struct app *a = d->apps; a; a = a->next)
		LIST_FOREACH (struct run, r, a->runs)
			if (!r->launching && !r->looking && !r->ended) {
				run_let_go(r); /* may free a */
				return true;
			}
	return false;
}

static void let_go(struct dynos *d);

static void let_go_all(void *arg)
{
	struct dynos *d = arg;

	d->let_go_timer = NULL;
	let_go(d);
}

static void let_go(struct dynos *d)
{
	void (*stopped)(void *arg) = STEAL(d->stopped); /* told last: d may be gone then */

	while (let_go_one(d))
		continue;
	d->stopped = stopped;
	if (d->live > 0) /* launches and burials under way end by themselves */
		d->let_go_timer = loop_timer_start(d->l, 20, let_go_all, d);
	else
		dynos_wind_up(d);
}

void dynos_stop_all(struct dynos *d, bool keep, void (*done)(void *arg), void *arg)
{
	ASSERT_ON(d->l);
	d->closing = true;
	d->keep = keep;
	d->stopped = done;
	d->stopped_arg = arg;
	for (struct app *a = d->apps; a; a = a->next) {
		if (a->deploy) {
			struct deploy *dp = STEAL(a->deploy);

			deploy_free(dp); /* persisted: resumed at the next start */
		}
		forget_slots(a);
	}
	if (keep) {
		let_go(d);
		return;
	}
	for (struct app *a = d->apps; a; a = a->next)
		LIST_FOREACH (struct run, r, a->runs)
			if (!r->rel->service)
				run_term(r);
	dynos_wind_up(d);
}

/* --- one-offs --- */

/* A dyno of any other type is part of a formation. */
static const struct {
	const char *type;
	bool end_kept;
} oneoffs[] = {
	{"run", false},	      {"release", true},	{"scheduler", true},
	{"postdeploy", true}, {"pr-predestroy", false},
};

bool dyno_is_oneoff(const char *type)
{
	for (size_t i = 0; i < ARRAY_LEN(oneoffs); i++)
		if (strcmp(oneoffs[i].type, type) == 0)
			return true;
	return false;
}

bool end_is_kept(const char *type)
{
	for (size_t i = 0; i < ARRAY_LEN(oneoffs); i++)
		if (strcmp(oneoffs[i].type, type) == 0)
			return oneoffs[i].end_kept;
	return false;
}

static bool can_be_entered(const struct run *r, const char *app_id)
{
	return r && strcmp(r->info.app_id, app_id) == 0 && !r->launching && !r->ended &&
	       !r->stopping && !r->looking;
}

/* Of its own it has nothing: memory, folder, network and name are the dyno's. */
static void go_inside(struct run *n, const struct run *host)
{
	struct launch_spec *s = &n->spec;

	memcpy(s->into, host->info.id, sizeof s->into);
	free(s->slug);
	s->slug = NULL;
	while (s->nbinds > 0) {
		free(s->binds[--s->nbinds].src);
		free(s->binds[s->nbinds].dst);
	}
	while (s->nreach > 0)
		free(s->reach[--s->nreach]);
	s->mem_quota = s->mem_max = s->pids_max = 0;
	for (int i = 0; i < s->envc; i++)
		if (strncmp(s->env[i], "DYNO=", 5) == 0) {
			free(s->env[i]);
			s->env[i] = xasprintf("DYNO=%s", host->info.name);
		}
}

void dynos_oneoff(struct dynos *d, struct dyno_release *r, const struct oneoff_req *req,
		  const struct oneoff_ops *ops)
{
	struct app *a = dynos_app(d, r->app_id, true);
	struct run *host = req->into ? dynos_find_run(d, req->into) : NULL, *n;
	struct launch_spec *s;

	if (req->into && !can_be_entered(host, r->app_id)) {
		struct err err = {0};

		err_set(&err, ERR_NOT_FOUND, "The dyno does not run.");
		ops->started(NULL, &err, ops->arg);
		return;
	}
	n = run_new(a, host ? host->rel : r, req->type, req->num, req->command, req->size);
	s = &n->spec;

	n->oneoff = true;
	n->ops = *ops;
	n->web = false; /* `run --type web` is not routed either */
	if (req->id)
		snprintf(n->info.id, sizeof n->info.id, "%s", req->id);
	run_prepare(n);
	if (host)
		go_inside(n, host);
	for (char *const *e = req->env; e && *e; e++) {
		char *eq = strchr(*e, '=');
		AUTO(auto_str) char *name = xstrndup(*e, (size_t)(eq - *e));

		launch_spec_env(s, name, eq + 1);
	}
	s->ttl_s = req->ttl_s ? req->ttl_s : LIM_ONEOFF_TTL_S;
	s->keep_output = req->keep_output;
	if (req->attach) {
		s->stdio = req->tty ? LAUNCH_PTY : LAUNCH_PIPE;
		s->rows = req->rows;
		s->cols = req->cols;
		s->log = false; /* attached: only to the terminal (Dev Center: One-Off Dynos) */
		s->attach_ms = LIM_ATTACH_MS;
		s->on_detach = LAUNCH_HANGUP;
	}
	run_launch(n);
}

struct run *dynos_find_run(struct dynos *d, const char *id)
{
	for (struct app *a = d->apps; a; a = a->next)
		LIST_FOREACH (struct run, r, a->runs)
			if (strcmp(r->info.id, id) == 0)
				return r;
	return NULL;
}

bool dynos_watch(struct dynos *d, const char *dyno_id, const struct oneoff_ops *ops, int *exit_code)
{
	struct run *r = dynos_find_run(d, dyno_id);

	if (r && !r->ended) {
		r->ops = *ops;
		if (ops->output && !r->looking)
			run_watch_output(r);
		return true;
	}
	*exit_code = d->blind ? DYNO_LOST : DYNO_NEVER_RAN;
	for (int i = 0; i < d->ngone; i++)
		if (strcmp(d->gone[i].id, dyno_id) == 0)
			*exit_code = d->gone[i].exit_code;
	return false;
}

struct forget_end {
	struct dynos *d;
	char id[37];
};

static void forget_end_job(void *arg)
{
	struct forget_end *f = arg;
	AUTO(auto_str) char *path = xasprintf("%s/meta/%s.end", launcher_run_dir(f->d->la), f->id);

	unlink(path);
	free(f);
}

void dynos_forget_end(struct dynos *d, const char *dyno_id)
{
	struct forget_end *f = xcalloc(1, sizeof *f);

	f->d = d;
	snprintf(f->id, sizeof f->id, "%s", dyno_id);
	if (!pool_submit(d->jobs, forget_end_job, f))
		free(f);
}

/* --- looking --- */

struct look {
	struct dynos *d;
	const char *app_id;
	bool web_only;
	struct dyno_info *v;
	int n;
	enum dyno_web state;
};

static int by_name(const void *a, const void *b)
{
	const struct dyno_info *x = a, *y = b;
	int c = strcmp(x->type, y->type);

	return c ? c : x->num - y->num;
}

static void take(struct look *k, const struct run *r)
{
	k->v = xrealloc(k->v, (size_t)(k->n + 1) * sizeof *k->v);
	k->v[k->n] = r->info;
	k->v[k->n++].command = xstrdup(r->info.command);
}

/* A crashed dyno that waits for its next try is still one of the app's dynos, and so is one that
 * sleeps. */
static void take_waiting(struct look *k, const struct slot *s)
{
	struct dyno_info i = {
		.state = s->app->asleep ? DYNO_IDLE : DYNO_CRASHED, .num = s->num, .exit_code = -1};

	snprintf(i.app_id, sizeof i.app_id, "%s", s->app->id);
	memcpy(i.id, s->wait_id, sizeof i.id);
	if (s->app->rel) {
		snprintf(i.release_id, sizeof i.release_id, "%s", s->app->rel->release_id);
		i.release_version = s->app->rel->version;
	}
	snprintf(i.type, sizeof i.type, "%s", s->type);
	snprintf(i.name, sizeof i.name, "%s.%d", s->type, s->num);
	snprintf(i.size, sizeof i.size, "%s", s->size[0] ? s->size : dyno_sizes[0].name);
	i.created_ms = i.state_ms = s->app->asleep
					    ? s->app->asleep_ms
					    : clock_wall_ms() - (clock_mono_ms() - s->crashed_at);
	i.command = xstrdup(s->command ? s->command : "");
	k->v = xrealloc(k->v, (size_t)(k->n + 1) * sizeof *k->v);
	k->v[k->n++] = i;
}

static void do_list(void *arg)
{
	struct look *k = arg;
	struct app *a = dynos_app(k->d, k->app_id, false);

	if (!a)
		return;
	LIST_FOREACH (struct run, r, a->runs) {
		if (k->web_only ? r->serving && r->info.state == DYNO_UP
				: !r->ended && (r->slot || r->oneoff))
			take(k, r);
	}
	if (!k->web_only)
		LIST_FOREACH (struct slot, s, a->slots)
			if (!s->cur && !s->fresh)
				take_waiting(k, s);
	if (k->n)
		qsort(k->v, (size_t)k->n, sizeof *k->v, by_name);
}

static void on_loop(struct dynos *d, void (*fn)(void *arg), void *arg)
{
	if (loop_is_here(d->l))
		fn(arg);
	else
		loop_call(d->l, fn, arg);
}

int dynos_list(struct dynos *d, const char *app_id, struct dyno_info **out)
{
	struct look k = {.d = d, .app_id = app_id};

	on_loop(d, do_list, &k);
	*out = k.v;
	return k.n;
}

int dynos_web_up(struct dynos *d, const char *app_id, struct dyno_info **out)
{
	struct look k = {.d = d, .app_id = app_id, .web_only = true};

	on_loop(d, do_list, &k);
	*out = k.v;
	return k.n;
}

struct slug_use {
	struct dynos *d;
	const char *slug_id;
	bool used;
};

static void do_slug_use(void *arg)
{
	struct slug_use *u = arg;

	u->used = false;
	for (struct app *a = u->d->apps; a && !u->used; a = a->next)
		LIST_FOREACH (struct run, r, a->runs)
			if (strcmp(r->rel->slug_id, u->slug_id) == 0)
				u->used = true;
}

bool dynos_use_slug(struct dynos *d, const char *slug_id)
{
	struct slug_use u = {.d = d, .slug_id = slug_id, .used = true};

	on_loop(d, do_slug_use, &u); /* true when the loop has ended: then nobody knows */
	return u.used;
}

static void do_state(void *arg)
{
	struct look *k = arg;
	struct app *a = dynos_app(k->d, k->app_id, false);
	bool booting = false, crashed = false;

	k->state = WEB_NONE;
	if (!a)
		return;
	LIST_FOREACH (struct run, r, a->runs) {
		if (r->serving && r->info.state == DYNO_UP) {
			k->state = WEB_UP;
			return;
		}
		if (r->web && r->slot && r->info.state == DYNO_STARTING)
			booting = true;
	}
	LIST_FOREACH (struct slot, s, a->slots)
		if (strcmp(s->type, "web") == 0 && !s->cur && !s->fresh)
			crashed = true;
	if (booting)
		k->state = WEB_BOOTING;
	else if (crashed)
		k->state = a->asleep ? WEB_ASLEEP : WEB_CRASHED;
}

enum dyno_web dynos_web_state(struct dynos *d, const char *app_id)
{
	struct look k = {.d = d, .app_id = app_id};

	on_loop(d, do_state, &k);
	return k.state;
}
