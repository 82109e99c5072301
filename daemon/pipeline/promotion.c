/* Promotions. The record comes first, then each target's release with the target's release_id in
 * one transaction; from there on the deploy machine has it, and the target ends in the transaction
 * in which its release does (triggers). So a crash leaves either a target without a release, which
 * promotions_recover() gives one, or a release under way, which the deploy machine takes up. */
#include "daemon/pipeline/pipeline.h"
#include "daemon/core/xlog.h"
#include "daemon/store/app.h"
#include "daemon/store/release.h"
#include "daemon/store/session.h"

#include <stdio.h>
#include <string.h>

/* --- what is asked for, checked and recorded --- */

struct create_tx {
	const struct promotion_new *in;
	struct store_pipeline pipeline;
	struct store_app source;
	struct store_coupling from;
	struct store_release release;
	char (*apps)[37]; /* owned */
	int napps;
	char id[37];
};

static void create_clear(struct create_tx *t)
{
	store_pipeline_clear(&t->pipeline);
	store_app_clear(&t->source);
	store_release_clear(&t->release);
	free(t->apps);
	*t = (struct create_tx){.in = t->in};
}

/* An app that the user has a right to, and the right. */
static int find_app(struct tx *tx, const struct create_tx *t, const char *ref,
		    struct store_app *out, unsigned *perms, struct err *err)
{
	if (store_app_find(tx, ref, out, err) < 0 ||
	    store_app_access(tx, t->in->user_id, out->id, perms, err) < 0)
		return -1;
	return *perms ? 0 : err_not_found(err, "app");
}

static int find_coupling(struct tx *tx, const struct create_tx *t, const struct store_app *a,
			 struct store_coupling *out, struct err *err)
{
	struct err e = {0};

	*out = (struct store_coupling){0};
	if (store_coupling_of_app(tx, a->id, out, &e) < 0 && e.code != ERR_NOT_FOUND) {
		*err = e;
		return -1;
	}
	if (strcmp(out->pipeline_id, t->pipeline.id) == 0)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS, "App %s is not in the pipeline %s.", a->name,
		       t->pipeline.name);
}

static int find_source(struct tx *tx, struct create_tx *t, struct err *err)
{
	const struct promotion_new *in = t->in;
	unsigned rights = 0;

	if (store_pipeline_find(tx, in->pipeline, &t->pipeline, err) < 0 ||
	    store_pipeline_access(tx, in->user_id, t->pipeline.id, &rights, err) < 0)
		return -1;
	if (!rights)
		return err_not_found(err, "pipeline");
	return find_app(tx, t, in->source, &t->source, &rights, err) < 0
		       ? -1
		       : find_coupling(tx, t, &t->source, &t->from, err);
}

static int find_release(struct tx *tx, struct create_tx *t, struct err *err)
{
	const char *ref = t->in->source_release;
	struct err e = {0};

	if (ref && store_release_find(tx, t->source.id, ref, &t->release, err) < 0)
		return -1;
	if (!ref && store_release_current(tx, t->source.id, &t->release, &e) < 0 &&
	    e.code != ERR_NOT_FOUND) {
		*err = e;
		return -1;
	}
	if (ref && t->release.status != STORE_SUCCEEDED)
		return err_set(err, ERR_INVALID_PARAMS,
			       "v%d of %s is %s: only a release that succeeded can be promoted.",
			       t->release.version, t->source.name,
			       store_status_name(t->release.status));
	if (!t->release.slug_id[0])
		return err_set(err, ERR_NO_SLUG,
			       "%s has no release with code to promote: push to it first.",
			       t->source.name);
	return 0;
}

static int add_target(struct tx *tx, struct create_tx *t, const char *ref, struct err *err)
{
	AUTO(store_app_clear) struct store_app a = {0};
	struct store_coupling k;
	unsigned perms = 0;

	if (find_app(tx, t, ref, &a, &perms, err) < 0 || find_coupling(tx, t, &a, &k, err) < 0)
		return -1;
	if (strcmp(a.id, t->source.id) == 0)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Cannot promote from an app to itself: %s. Specify a different "
			       "target app.",
			       a.name);
	if (!(perms & STORE_DEPLOY))
		return err_set(err, ERR_FORBIDDEN, "You do not have the deploy permission on %s.",
			       a.name);
	for (int i = 0; i < t->napps; i++)
		if (strcmp(t->apps[i], a.id) == 0)
			return 0;
	memcpy(t->apps[t->napps++], a.id, 37);
	return 0;
}

static int add_downstream(struct tx *tx, struct create_tx *t, struct err *err)
{
	AUTO(store_couplings_clear) struct store_couplings list = {0};
	const char *stage = store_stage_downstream(t->from.stage);

	if (!stage)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Cannot promote %s from '%s' stage: name the apps to promote to.",
			       t->source.name, t->from.stage);
	if (store_couplings_list(tx, t->pipeline.id, stage, &list, err) < 0)
		return -1;
	if (!list.n)
		return err_set(
			err, ERR_INVALID_PARAMS,
			"Cannot promote from %s as there are no downstream apps in %s stage.",
			t->source.name, stage);
	t->apps = xcalloc((size_t)list.n, sizeof *t->apps);
	for (int i = 0; i < list.n; i++)
		if (add_target(tx, t, list.v[i].app_id, err) < 0)
			return -1;
	return 0;
}

static int add_named(struct tx *tx, struct create_tx *t, struct err *err)
{
	t->apps = xcalloc((size_t)t->in->ntargets, sizeof *t->apps);
	for (int i = 0; i < t->in->ntargets; i++)
		if (add_target(tx, t, t->in->targets[i], err) < 0)
			return -1;
	return 0;
}

static int write_promotion(struct tx *tx, void *arg, struct err *err)
{
	struct create_tx *t = arg;
	struct store_promotion_new row = {.user_id = t->in->user_id};
	const char **apps;
	int rc;

	create_clear(t); /* the writer may run this again */
	if (find_source(tx, t, err) < 0 || find_release(tx, t, err) < 0 ||
	    (t->in->ntargets ? add_named(tx, t, err) : add_downstream(tx, t, err)) < 0)
		return -1;
	apps = xcalloc((size_t)t->napps, sizeof *apps);
	for (int i = 0; i < t->napps; i++)
		apps[i] = t->apps[i];
	row.pipeline_id = t->pipeline.id;
	row.source_app_id = t->source.id;
	row.source_release_id = t->release.id;
	row.slug_id = t->release.slug_id;
	row.target_apps = apps;
	row.ntargets = t->napps;
	rc = store_promotion_insert(tx, &row, t->id, err);
	free(apps);
	return rc;
}

/* --- the releases --- */

struct run {
	struct promoter *p;
	const char *id;
	const char *request_id, *peer; /* NULL: taken up at start */
	struct store_promotion row;
	struct store_targets targets;
	char description[160]; /* "" = the source is gone */
	/* of the target at hand */
	const struct store_target *target;
	char why[400]; /* as long as an err says it */
};

static void run_clear(struct run *r)
{
	store_promotion_clear(&r->row);
	store_targets_clear(&r->targets);
}

static void describe(struct tx *tx, struct run *r)
{
	AUTO(store_app_clear) struct store_app app = {0};
	AUTO(store_release_clear) struct store_release rel = {0};
	AUTO(store_slug_clear) struct store_slug slug = {0};
	struct err none = {0};
	const char *commit;

	if (store_app_find(tx, r->row.source_app_id, &app, &none) < 0 ||
	    store_release_get(tx, app.id, r->row.source_release_id, &rel, &none) < 0 ||
	    store_slug_get(tx, NULL, r->row.slug_id, &slug, &none) < 0)
		return;
	commit = slug.commit ? slug.commit : "";
	snprintf(r->description, sizeof r->description, "Promote %s v%d%s%.8s", app.name,
		 rel.version, *commit ? " " : "", commit);
}

static int read_run(struct tx *tx, void *arg, struct err *err)
{
	struct run *r = arg;

	if (store_promotion_get(tx, r->id, &r->row, err) < 0 ||
	    store_targets_list(tx, r->id, &r->targets, err) < 0)
		return -1;
	describe(tx, r);
	return 0;
}

/* In the target's own history: who released what on it. */
static int audit_target(struct tx *tx, const struct run *r, struct err *err)
{
	AUTO(store_app_clear) struct store_app app = {0};
	const struct store_audit_new row = {.actor_id = r->row.user_id,
					    .actor = r->row.user_email,
					    .app_id = app.id,
					    .app = app.name,
					    .action = "pipeline.promote",
					    .detail = r->description,
					    .request_id = r->request_id,
					    .peer = r->peer};

	return store_app_get(tx, r->target->app_id, &app, err) < 0 ? -1
								   : store_audit_add(tx, &row, err);
}

static int note_release(struct tx *tx, const char *release_id, void *arg, struct err *err)
{
	const struct run *r = arg;

	return store_target_released(tx, r->target->id, release_id, err) < 0
		       ? -1
		       : audit_target(tx, r, err);
}

static int write_failure(struct tx *tx, void *arg, struct err *err)
{
	const struct run *r = arg;

	return store_target_fail(tx, r->target->id, r->why, err);
}

/* -1 only when the end cannot even be recorded: then the next start goes on. */
static int release_on(struct run *r, const struct store_target *t, struct err *err)
{
	struct release_new in = {.app_id = t->app_id,
				 .user_id = r->row.user_id,
				 .user_email = r->row.user_email,
				 .slug_id = r->row.slug_id,
				 .description = r->description,
				 .promoted = true,
				 .also = note_release,
				 .also_arg = r};
	struct release_out out;
	struct err why = {0};

	r->target = t;
	if (!r->description[0])
		err_set(&why, ERR_NOT_FOUND, "The app to promote from was destroyed.");
	else if (release_create(r->p->releases, &in, &out, &why) == 0)
		return 0;
	/* A release that was made after all (paasd is stopping) goes on: it is not failed here. */
	snprintf(r->why, sizeof r->why, "%s",
		 why.code == ERR_NOT_FOUND && r->description[0] ? "The app was destroyed."
								: why.msg);
	xlog_err(XLOG_INFO, "pipeline", &why, "msg=\"target not released\" promotion=%s app_id=%s",
		 r->id, t->app_id);
	return store_tx(r->p->store, write_failure, r, err);
}

static int run(struct run *r, struct err *err)
{
	int rc = store_read(r->p->store, read_run, r, err);

	for (int i = 0; i < r->targets.n && rc == 0; i++) {
		const struct store_target *t = &r->targets.v[i];

		if (strcmp(t->status, "pending") == 0 && !t->release_id[0])
			rc = release_on(r, t, err);
	}
	run_clear(r);
	return rc;
}

int promotion_create(struct promoter *p, const struct promotion_new *in, char id[37],
		     struct err *err)
{
	struct create_tx t = {.in = in};
	struct run r = {.p = p, .id = id, .request_id = in->request_id, .peer = in->peer};
	struct err e = {0};
	int rc = store_tx(p->store, write_promotion, &t, err);

	if (rc == 0) {
		memcpy(id, t.id, 37);
		logd_printf(p->log, t.source.id, "app", "api", "Promotion of v%d to %d app%s",
			    t.release.version, t.napps, t.napps == 1 ? "" : "s");
		/* It is recorded: what could not be done now is done at the next start. */
		if (run(&r, &e) < 0)
			xlog_err(XLOG_ERROR, "pipeline", &e,
				 "msg=\"promotion not finished\" promotion=%s", id);
	}
	create_clear(&t);
	return rc;
}

static int read_cut_off(struct tx *tx, void *arg, struct err *err)
{
	return store_promotions_cut_off(tx, arg, err);
}

int promotions_recover(struct promoter *p, struct err *err)
{
	AUTO(store_promotions_clear) struct store_promotions list = {0};

	if (store_read(p->store, read_cut_off, &list, err) < 0)
		return -1;
	for (int i = 0; i < list.n; i++) {
		struct run r = {.p = p, .id = list.v[i].id};

		xlog(XLOG_INFO, "pipeline", "msg=\"promotion taken up\" promotion=%s",
		     list.v[i].id);
		if (run(&r, err) < 0)
			return -1;
	}
	return 0;
}
