/* Jobs: made, changed, removed, run by hand, and those of app.json. */
#include "daemon/core/cronexpr.h"
#include "daemon/core/xlog.h"
#include "daemon/cron/cron_int.h"
#include "daemon/store/release.h"
#include "proto/buf.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

DEFINE_AUTO(json_t *, json_decref)

#define NAME_BYTES 100

int cron_next(const struct store_job *j, wall_ms after, wall_ms *next, struct err *err)
{
	AUTO(tz_free) struct tz *z = NULL;
	struct cronexpr e;

	if (cronexpr_parse(j->schedule, &e, err) < 0 || tz_load(j->timezone, &z, err) < 0)
		return -1;
	*next = cronexpr_next(&e, z, after);
	return *next < INT64_MAX ? 0
				 : err_set(err, ERR_INVALID_PARAMS, "The schedule never comes.");
}

/* --- what a change makes of a job --- */

static void set_text(char **at, const char *text)
{
	if (!text)
		return;
	free(*at);
	*at = xstrdup(text);
}

/* A job without a name is called as its command begins. */
static void name_it(struct store_job *j)
{
	size_t n = strlen(j->command);

	while (n > NAME_BYTES || (n > 0 && ((unsigned char)j->command[n] & 0xc0) == 0x80))
		n--; /* within a character */
	free(j->name);
	j->name = xstrndup(j->command, n);
	for (char *p = j->name; *p; p++)
		if ((unsigned char)*p < 0x20)
			*p = ' ';
}

static int set_size(struct store_job *j, const char *name, struct err *err)
{
	const struct dyno_size *s = *name ? dyno_size_find(name) : NULL;

	if (*name && !s)
		return err_set(err, ERR_INVALID_PARAMS,
			       "No such dyno size: %.40s. See GET /dyno-sizes.", name);
	snprintf(j->size, sizeof j->size, "%s", s ? s->name : "");
	return 0;
}

static int apply(struct store_job *j, const struct cron_change *in, struct err *err)
{
	bool unnamed = !j->name || (j->command && strncmp(j->name, j->command, NAME_BYTES) == 0);

	set_text(&j->command, in->command);
	set_text(&j->schedule, in->schedule);
	if (in->name)
		set_text(&j->name, in->name);
	else if (unnamed)
		name_it(j);
	if (in->timezone && strlen(in->timezone) >= sizeof j->timezone)
		return err_set(err, ERR_INVALID_PARAMS, "The name of the time zone is too long.");
	if (in->timezone)
		snprintf(j->timezone, sizeof j->timezone, "%s", in->timezone);
	if (in->size && set_size(j, in->size, err) < 0)
		return -1;
	if (in->overlap >= 0)
		j->overlap = (enum job_overlap)in->overlap;
	if (in->missed >= 0)
		j->missed = (enum job_missed)in->missed;
	if (in->enabled >= 0)
		j->enabled = in->enabled;
	/* Checked also while it is disabled. */
	if (cron_next(j, clock_wall_ms(), &j->next_ms, err) < 0)
		return -1;
	if (!j->enabled)
		j->next_ms = 0;
	return 0;
}

/* --- by hand --- */

struct job_tx {
	struct cron *c;
	const char *app_id, *ref;
	const struct cron_change *in;
	struct store_job *out;
	struct store_job_run *run, begun;
};

static int add(struct tx *tx, void *arg, struct err *err)
{
	struct job_tx *t = arg;

	store_job_clear(t->out);
	*t->out = (struct store_job){.enabled = true};
	snprintf(t->out->app_id, sizeof t->out->app_id, "%s", t->app_id);
	snprintf(t->out->timezone, sizeof t->out->timezone, "UTC");
	return apply(t->out, t->in, err) < 0 ? -1 : store_job_insert(tx, t->out, err);
}

int cron_add(struct cron *c, const char *app_id, const struct cron_change *in,
	     struct store_job *out, struct err *err)
{
	struct job_tx t = {.c = c, .app_id = app_id, .in = in, .out = out};

	*out = (struct store_job){0};
	if (store_tx(c->st, add, &t, err) < 0) {
		store_job_clear(out);
		return -1;
	}
	cron_look(c);
	return 0;
}

static bool only_enabled(const struct cron_change *in)
{
	return !in->name && !in->command && !in->schedule && !in->timezone && !in->size &&
	       in->overlap < 0 && in->missed < 0;
}

static int update(struct tx *tx, void *arg, struct err *err)
{
	struct job_tx *t = arg;

	store_job_clear(t->out);
	if (store_job_find(tx, t->app_id, t->ref, t->out, err) < 0)
		return -1;
	if (t->out->manifest && !only_enabled(t->in))
		return err_set(err, ERR_INVALID_PARAMS,
			       "This job is in the app's app.json: change it there and deploy. "
			       "Here it can be switched off and on.");
	if (apply(t->out, t->in, err) < 0 || store_job_update(tx, t->out, err) < 0)
		return -1;
	t->out->updated_ms = clock_wall_ms();
	return 0;
}

int cron_update(struct cron *c, const char *app_id, const char *ref, const struct cron_change *in,
		struct store_job *out, struct err *err)
{
	struct job_tx t = {.c = c, .app_id = app_id, .ref = ref, .in = in, .out = out};

	*out = (struct store_job){0};
	if (store_tx(c->st, update, &t, err) < 0) {
		store_job_clear(out);
		return -1;
	}
	cron_look(c);
	return 0;
}

static int drop(struct tx *tx, void *arg, struct err *err)
{
	struct job_tx *t = arg;

	store_job_clear(t->out);
	if (store_job_find(tx, t->app_id, t->ref, t->out, err) < 0)
		return -1;
	if (t->out->manifest)
		return err_set(err, ERR_INVALID_PARAMS,
			       "This job is in the app's app.json: remove it there and deploy, or "
			       "switch it off.");
	return store_job_delete(tx, t->out->id, err);
}

int cron_remove(struct cron *c, const char *app_id, const char *ref, struct store_job *out,
		struct err *err)
{
	struct job_tx t = {.c = c, .app_id = app_id, .ref = ref, .out = out};

	*out = (struct store_job){0};
	if (store_tx(c->st, drop, &t, err) == 0)
		return 0;
	store_job_clear(out);
	return -1;
}

static int run_now(struct tx *tx, void *arg, struct err *err)
{
	struct job_tx *t = arg;
	AUTO(store_job_clear) struct store_job j = {0};
	AUTO(store_release_clear) struct store_release cur = {0};
	struct err none = {0};

	store_job_run_clear(&t->begun);
	store_job_run_clear(t->run);
	if (store_job_find(tx, t->app_id, t->ref, &j, err) < 0)
		return -1;
	if (store_release_current(tx, t->app_id, &cur, &none) < 0 || !cur.slug_id[0])
		return err_set(err, ERR_NO_SLUG, "No slug: push code to the app first (git push).");
	if (store_job_run_insert(tx, &j, clock_wall_ms(), NULL, t->run, err) < 0)
		return -1;
	if (store_job_run_get(tx, t->run->id, &t->begun, err) < 0)
		return -1;
	cron_expand(tx, &t->begun);
	return 0;
}

int cron_run(struct cron *c, const char *app_id, const char *ref, struct store_job_run *out,
	     struct err *err)
{
	struct job_tx t = {.c = c, .app_id = app_id, .ref = ref, .run = out};
	int rc;

	*out = (struct store_job_run){0};
	rc = store_tx(c->st, run_now, &t, err);
	if (rc == 0)
		cron_begin_later(c, &t.begun);
	else
		store_job_run_clear(out);
	store_job_run_clear(&t.begun);
	return rc;
}

/* --- app.json: {"cron": [{command, schedule, timezone, size, overlap, missed}]} --- */

static int choice(const json_t *v, const char *const *names)
{
	const char *s = json_string_value(v);

	for (int i = 0; s && names[i]; i++)
		if (strcmp(names[i], s) == 0)
			return i;
	return 0;
}

static struct cron_change change_of(const json_t *entry)
{
	const char *zone = json_string_value(json_object_get(entry, "timezone"));
	const char *size = json_string_value(json_object_get(entry, "size"));

	return (struct cron_change){
		.command = json_string_value(json_object_get(entry, "command")),
		.schedule = json_string_value(json_object_get(entry, "schedule")),
		.timezone = zone ? zone : "UTC",
		.size = size ? size : "",
		.overlap = choice(json_object_get(entry, "overlap"), job_overlap_names),
		.missed = choice(json_object_get(entry, "missed"), job_missed_names),
		.enabled = -1,
	};
}

/* The first job of app.json with that command that no entry before it has taken. Its switch and its
 * results stay. */
static struct store_job *take_old(struct store_jobs *old, const char *command)
{
	for (int i = 0; i < old->n; i++)
		if (old->v[i].manifest && old->v[i].id[0] &&
		    strcmp(old->v[i].command, command) == 0)
			return &old->v[i];
	return NULL;
}

static bool same_job(const struct store_job *j, const struct cron_change *in)
{
	const struct dyno_size *s = *in->size ? dyno_size_find(in->size) : NULL;

	return strcmp(j->schedule, in->schedule) == 0 && strcmp(j->timezone, in->timezone) == 0 &&
	       strcmp(j->size, s ? s->name : "") == 0 && (int)j->overlap == in->overlap &&
	       (int)j->missed == in->missed;
}

static int add_entry(struct tx *tx, const char *app_id, const struct cron_change *in,
		     struct err *err)
{
	AUTO(store_job_clear) struct store_job j = {.enabled = true, .manifest = true};

	snprintf(j.app_id, sizeof j.app_id, "%s", app_id);
	return apply(&j, in, err) < 0 ? -1 : store_job_insert(tx, &j, err);
}

static int sync_entry(struct tx *tx, const char *app_id, struct store_jobs *old,
		      const json_t *entry, struct err *err)
{
	struct cron_change in = change_of(entry);
	struct store_job *j;
	int rc = 0;

	if (!in.command || !in.schedule)
		return err_set(err, ERR_INVALID_PARAMS, "command and schedule are needed.");
	j = take_old(old, in.command);
	if (!j)
		return add_entry(tx, app_id, &in, err);
	if (!same_job(j, &in)) {
		rc = apply(j, &in, err);
		if (rc == 0)
			rc = store_job_update(tx, j, err);
	}
	if (rc == 0)
		j->id[0] = 0; /* taken */
	return rc;
}

int cron_sync(struct tx *tx, const char *app_id, struct buf *complaints, struct err *err)
{
	AUTO(auto_str) char *text = NULL;
	AUTO(json_decref) json_t *manifest = NULL;
	AUTO(store_jobs_clear) struct store_jobs old = {0};
	size_t i;
	json_t *entry;

	if (store_job_manifest(tx, app_id, &text, err) < 0 ||
	    store_job_list(tx, app_id, &old, err) < 0)
		return -1;
	manifest = text ? json_loads(text, 0, NULL) : NULL;
	json_array_foreach(json_object_get(manifest, "cron"), i, entry)
	{
		struct err bad = {0};

		if (sync_entry(tx, app_id, &old, entry, &bad) == 0)
			continue;
		if (bad.code != ERR_INVALID_PARAMS) {
			*err = bad;
			return -1;
		}
		buf_addf(complaints, "cron[%zu] of app.json: %s\n", i, bad.msg);
	}
	for (int k = 0; k < old.n; k++)
		if (old.v[k].manifest && old.v[k].id[0] &&
		    store_job_delete(tx, old.v[k].id, err) < 0)
			return -1;
	return 0;
}

struct sync {
	struct cron *c;
	char app_id[37]; /* "" = all that have something to say */
	char **apps;	 /* owned, when all */
	struct buf complaints;
};

static void free_apps(char **apps)
{
	for (char **a = apps; a && *a; a++)
		free(*a);
	free(apps);
}

static int write_sync(struct tx *tx, void *arg, struct err *err)
{
	struct sync *s = arg;

	buf_reset(&s->complaints);
	if (s->app_id[0])
		return cron_sync(tx, s->app_id, &s->complaints, err);
	free_apps(s->apps);
	s->apps = NULL;
	if (store_job_manifest_apps(tx, &s->apps, err) < 0)
		return -1;
	for (char **a = s->apps; *a; a++)
		if (cron_sync(tx, *a, &s->complaints, err) < 0)
			return -1;
	return 0;
}

/* Of one app: to its log. At the start of all they were told before. */
static void complain(const struct sync *s)
{
	const char *p = buf_str(&s->complaints);

	while (s->app_id[0] && *p) {
		size_t n = strcspn(p, "\n");

		logd_printf(s->c->log, s->app_id, "heroku", "scheduler", "%.*s", (int)n, p);
		p += n + (p[n] == '\n');
	}
}

static void synced(void *arg, const struct err *e)
{
	struct sync *s = arg;
	struct cron *c = s->c;

	if (e->status)
		xlog_err(XLOG_ERROR, "cron", e, "msg=\"jobs of app.json not taken over\" app_id=%s",
			 s->app_id);
	else
		complain(s);
	buf_clear(&s->complaints);
	free_apps(s->apps);
	free(s);
	cron_look(c);
	cron_tx_done(c);
}

static void sync_on_loop(struct cron *c, const char *app_id)
{
	struct sync *s = xcalloc(1, sizeof *s);

	s->c = c;
	snprintf(s->app_id, sizeof s->app_id, "%s", app_id);
	cron_tx(c, write_sync, s, synced);
}

void cron_sync_later(void *cron, const char *app_id)
{
	struct cron *c = cron;

	if (!c->closing)
		sync_on_loop(c, app_id);
}

void cron_sync_all(struct cron *c)
{
	sync_on_loop(c, "");
}

int cron_sync_app(struct cron *c, const char *app_id, struct err *err)
{
	struct sync s = {.c = c};
	int rc;

	snprintf(s.app_id, sizeof s.app_id, "%s", app_id);
	rc = store_tx(c->st, write_sync, &s, err);
	if (rc == 0)
		complain(&s);
	buf_clear(&s.complaints);
	cron_look(c);
	return rc;
}
