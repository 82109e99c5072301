/* At start: the store says what should be, the run directory what is. Dynos are adopted, routes
 * published once their state is known, unfinished releases taken up where they were. */
#include "daemon/core/xlog.h"
#include "daemon/release/release_int.h"
#include "daemon/store/app.h"
#include "daemon/store/dyno.h"
#include "daemon/store/release.h"
#include "daemon/store/sleep.h"

#include <stdio.h>
#include <string.h>

struct rapp_plan {
	struct store_app app;
	struct plan current; /* release_id "" = none with a slug */
	bool failed_first;
	struct dyno_release *rel; /* of current */
	struct store_crashes crashes;
	struct store_sleep sleep;
	char **hosts;
};

struct recovery {
	struct releases *r;
	struct rapp_plan *apps; /* owned */
	int napps;
	struct plan *pending; /* owned, in order of version */
	int npending;
	struct dyno_release **known; /* owned references: what dynos may be of */
	int nknown;
	struct err err;
};

static void know(struct recovery *rc, struct dyno_release *rel)
{
	rc->known = xrealloc(rc->known, (size_t)(rc->nknown + 1) * sizeof *rc->known);
	rc->known[rc->nknown++] = rel;
}

/* Older releases' dynos may still drain: adopt them so that they end in peace. */
#define OLDER 3

static int read_app(struct tx *tx, struct recovery *rc, struct rapp_plan *p, struct err *err)
{
	AUTO(store_releases_clear) struct store_releases list = {0};
	int rcode = 0;

	if (store_releases_list(tx, p->app.id, 0, 0, true, OLDER + 1, &list, err) < 0 ||
	    store_crash_list(tx, p->app.id, &p->crashes, err) < 0 ||
	    store_sleep_get(tx, p->app.id, &p->sleep, err) < 0 ||
	    rows_hosts(tx, p->app.id, &p->hosts, err) < 0)
		return -1;
	p->failed_first = list.n > 0 && list.v[0].status == STORE_FAILED;
	for (int i = 0; i < list.n && rcode == 0; i++) {
		struct plan plan = {0};

		if (!list.v[i].slug_id[0] || list.v[i].status == STORE_PENDING)
			continue;
		rcode = rows_plan(tx, list.v[i].id, rc->r->cfg, &plan, err);
		if (rcode == 0) {
			struct dyno_release *rel = plan_release(rc->r->sl, &plan);

			know(rc, rel);
			if (list.v[i].current) {
				p->current = plan;
				p->rel = rel;
				continue;
			}
		}
		plan_clear(&plan);
	}
	return rcode;
}

static int read_current(struct tx *tx, struct recovery *rc, struct rapp_plan *p, struct err *err)
{
	AUTO(store_release_clear) struct store_release cur = {0};
	struct err none = {0};

	if (p->rel || store_release_current(tx, p->app.id, &cur, &none) < 0)
		return 0;
	if (!cur.slug_id[0])
		return 0;
	if (rows_plan(tx, cur.id, rc->r->cfg, &p->current, err) < 0)
		return -1;
	p->rel = plan_release(rc->r->sl, &p->current);
	know(rc, p->rel);
	return 0;
}

static int read_all(struct tx *tx, void *arg, struct err *err)
{
	struct recovery *rc = arg;
	AUTO(store_releases_clear) struct store_releases pending = {0};
	struct store_apps apps = {0};

	if (store_apps_all(tx, &apps, err) < 0 || store_releases_pending(tx, &pending, err) < 0)
		return -1;
	rc->apps = xcalloc((size_t)apps.n, sizeof *rc->apps);
	rc->napps = apps.n;
	for (int i = 0; i < apps.n; i++)
		rc->apps[i].app = apps.v[i]; /* content moves */
	free(apps.v);
	for (int i = 0; i < rc->napps; i++)
		if (read_app(tx, rc, &rc->apps[i], err) < 0 ||
		    read_current(tx, rc, &rc->apps[i], err) < 0)
			return -1;
	rc->pending = xcalloc((size_t)pending.n, sizeof *rc->pending);
	for (int i = 0; i < pending.n; i++)
		if (rows_plan(tx, pending.v[i].id, rc->r->cfg, &rc->pending[rc->npending++], err) <
		    0)
			return -1;
	return 0;
}

static struct dyno_release *release_of(const char *app_id, const char *release_id, void *arg)
{
	struct recovery *rc = arg;

	for (int i = 0; i < rc->nknown; i++)
		if (strcmp(rc->known[i]->release_id, release_id) == 0)
			return rc->known[i];
	for (struct dep *d = rc->r->deps; d; d = d->next)
		if (strcmp(d->plan.release_id, release_id) == 0)
			return d->rel;
	return rc->r->services.release_of
		       ? rc->r->services.release_of(app_id, release_id, rc->r->services.arg)
		       : NULL;
}

static bool has_cutover(struct releases *r, const char *app_id)
{
	for (struct dep *d = r->deps; d; d = d->next)
		if (strcmp(d->plan.app_id, app_id) == 0)
			return d->sm.state == D_CUTOVER; /* the first of the app's queue */
	return false;
}

static void recovered(void *arg)
{
	struct recovery *rc = arg;
	struct releases *r = rc->r;

	if (!r->closing)
		r->recovered(r->recovered_arg);
	for (int i = 0; i < rc->napps; i++) {
		store_app_clear(&rc->apps[i].app);
		plan_clear(&rc->apps[i].current);
		store_crashes_clear(&rc->apps[i].crashes);
		rows_hosts_free(rc->apps[i].hosts);
	}
	for (int i = 0; i < rc->nknown; i++)
		dyno_release_unref(rc->known[i]);
	free(rc->apps);
	free(rc->known);
	free(rc->pending);
	free(rc);
	way_end(r);
}

/* Every dyno that was running is known now. */
static void adopted(void *arg)
{
	struct recovery *rc = arg;
	struct releases *r = rc->r;

	if (r->closing) { /* told to stop meanwhile */
		recovered(rc);
		return;
	}
	if (r->services.adopted)
		r->services.adopted(r->services.arg);
	for (int i = 0; i < rc->napps; i++) {
		struct rapp_plan *p = &rc->apps[i];

		sleep_recover(rapp_get(r, p->app.id, true), &p->sleep);
		for (int k = 0; k < p->crashes.n; k++)
			dynos_crash_restore(r->dy, p->app.id, p->crashes.v[k].name,
					    p->crashes.v[k].count, p->crashes.v[k].restart_ms);
		if (p->rel && has_cutover(r, p->app.id))
			dynos_assume(r->dy, p->rel);
		else if (p->rel)
			dynos_scale(r->dy, p->rel, p->current.want, p->current.nwant);
		rapp_publish(r, rapp_get(r, p->app.id, true), NULL, NULL);
	}
	for (int i = 0; i < rc->napps; i++)
		deps_next(r, rc->apps[i].app.id);
	/* Only now does the router hear of the table: until then it serves from what it had. */
	routes_ready(r->ro, recovered, rc);
}

static void start_adoption(void *arg)
{
	struct recovery *rc = arg;
	struct releases *r = rc->r;

	for (int i = 0; i < rc->napps; i++) {
		struct rapp_plan *p = &rc->apps[i];
		struct rapp *a = rapp_get(r, p->app.id, true);

		snprintf(a->name, sizeof a->name, "%s", p->app.name);
		a->maintenance = p->app.maintenance;
		a->failed_first = p->failed_first;
		rapp_set_hosts(a, STEAL(p->hosts));
		if (p->rel)
			rapp_set_release(a, p->rel);
	}
	for (int i = 0; i < rc->npending; i++) {
		int state = sm_by_name(deploy_states, D_STATES, rc->pending[i].phase);
		struct dep *d = dep_new(r, &rc->pending[i]);

		d->sm.state = state >= 0 && state < D_LIVE ? state : D_QUEUED;
		xlog(XLOG_INFO, "release", "msg=\"taken up\" app=%s version=%d phase=%s",
		     d->plan.app_name, d->plan.version, deploy_states[d->sm.state].name);
	}
	dynos_adopt(r->dy, release_of, adopted, rc);
}

static void read_job(void *arg)
{
	struct recovery *rc = arg;

	if (store_read(rc->r->st, read_all, rc, &rc->err) < 0) {
		/* Going on would bury dynos that serve: better to stop and say so. */
		xlog_err(XLOG_ERROR, "release", &rc->err, "msg=\"cannot read the store at start\"");
		abort();
	}
	loop_post(rc->r->l, start_adoption, rc);
}

void releases_recover(struct releases *r, void (*done)(void *arg), void *arg)
{
	struct recovery *rc = xcalloc(1, sizeof *rc);

	way_begin(r);
	rc->r = r;
	r->recovered = done;
	r->recovered_arg = arg;
	r->recoverer = thread_new("recover", read_job, rc);
}
