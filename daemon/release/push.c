/* A push: what git asks of a build and its release; and what is done about them at start and in
 * passing. */
#include "daemon/release/push.h"
#include "daemon/core/xlog.h"
#include "daemon/release/built.h"
#include "daemon/store/app.h"
#include "daemon/store/build.h"

#include <string.h>

static void say(const char *p, size_t n, void *arg)
{
	git_say(arg, p, n);
}

struct export_ctx {
	const struct git_update *u;
	const struct config *cfg;
};

static int export_source(const char *dir, void (*line)(const char *line, void *arg), void *say_arg,
			 void *arg, struct err *err)
{
	struct export_ctx *e = arg;

	return git_export(e->u->repo_dir, e->u->quarantine_dir, e->u->commit, dir, e->cfg, line,
			  say_arg, err);
}

int push_build(void *arg, const struct git_update *u, struct git_push *p, void **token,
	       struct err *err)
{
	struct pusher *ps = arg;
	struct export_ctx ex = {u, ps->cfg};
	const struct built_new in = {
		.app_id = u->app_id,
		.user_id = u->user_id,
		.user_email = u->user_email,
		.row = {.source = "git", .ref = u->ref, .version = u->commit},
	};
	struct build_req req = {
		.export_source = export_source, .export_arg = &ex, .out = say, .out_arg = p};
	AUTO(built_free) struct built *t = NULL;

	if (built_start(ps, &in, &t, err) < 0) {
		git_sayf(p, " !     %s\n", err->msg);
		return -1;
	}
	git_sayf(p, "Compressing source files... done.\nBuilding source:\n\n");
	if (built_run(t, &req, err) < 0)
		return -1;
	*token = STEAL(t);
	return 0;
}

void push_after(void *arg, const struct git_update *u, struct git_push *p, void *token)
{
	AUTO(built_free) struct built *t = token;
	const struct built_ear ear = {say, p};

	built_release(t, &ear);
}

void push_undo(void *arg, void *token)
{
	AUTO(built_free) struct built *t = token;

	built_undo(t, "the ref could not be updated");
}

/* --- collection --- */

struct collect_tx {
	int keep;
	struct store_ids in_use, all;
	const char *drop;
};

static int read_collect(struct tx *tx, void *arg, struct err *err)
{
	struct collect_tx *c = arg;

	return store_slugs_in_use(tx, c->keep, &c->in_use, err) < 0 ||
			       store_slugs_all(tx, &c->all, err) < 0
		       ? -1
		       : 0;
}

static int drop_slug(struct tx *tx, void *arg, struct err *err)
{
	struct collect_tx *c = arg;

	return store_slug_delete(tx, c->drop, err);
}

void push_collect_slugs(struct pusher *ps)
{
	struct collect_tx c = {.keep = (int)ps->cfg->slugs_kept};
	struct err err = {0};

	if (store_read(ps->store, read_collect, &c, &err) < 0)
		xlog_err(XLOG_WARN, "push", &err, "msg=\"slugs not collected\"");
	for (int i = 0; i < c.all.n && !err.status; i++) {
		/* A one-off may run, and a dyno drain, from a slug that no release needs now. */
		if (store_ids_has(&c.in_use, c.all.v[i]) ||
		    dynos_use_slug(releases_dynos(ps->releases), c.all.v[i]))
			continue;
		c.drop = c.all.v[i];
		if (slug_remove(ps->slugs, c.drop, &err) < 0 ||
		    store_tx(ps->store, drop_slug, &c, &err) < 0)
			xlog_err(XLOG_WARN, "push", &err, "msg=\"slug not removed\" slug_id=%s",
				 c.drop);
	}
	store_ids_clear(&c.in_use);
	store_ids_clear(&c.all);
}

static bool has_row(const char *slug_id, void *arg)
{
	struct collect_tx *c = arg;

	return store_ids_has(&c->all, slug_id);
}

void push_sweep_slugs(struct pusher *ps)
{
	struct collect_tx c = {.keep = (int)ps->cfg->slugs_kept};
	struct err err = {0};

	if (store_read(ps->store, read_collect, &c, &err) < 0 ||
	    slugs_collect(ps->slugs, has_row, &c, &err) < 0)
		xlog_err(XLOG_WARN, "push", &err, "msg=\"slugs not swept\"");
	store_ids_clear(&c.in_use);
	store_ids_clear(&c.all);
}

/* --- recovery --- */

struct recover_tx {
	struct store_builds pending;
	struct store_apps apps;
	struct store_builds *newest; /* per app: 0 or 1 */
	const char *id;
};

static int read_recover(struct tx *tx, void *arg, struct err *err)
{
	struct recover_tx *r = arg;

	if (store_builds_pending(tx, &r->pending, err) < 0 || store_apps_all(tx, &r->apps, err) < 0)
		return -1;
	r->newest = xcalloc((size_t)r->apps.n, sizeof *r->newest);
	for (int i = 0; i < r->apps.n; i++)
		if (store_builds_list(tx, r->apps.v[i].id, 1, &r->newest[i], err) < 0)
			return -1;
	return 0;
}

static int fail_build(struct tx *tx, void *arg, struct err *err)
{
	struct recover_tx *r = arg;

	return store_build_finish(tx, r->id, STORE_FAILED, NULL,
				  "The platform was restarted during the build; deploy again.",
				  err);
}

/* A push's ref says whether the client was told of a success; a tarball has none, and its build was
 * to be released in any case. */
static void release_or_undo(struct pusher *ps, const struct store_build *b,
			    int (*repo_ref)(void *arg, const char *app_id, const char *ref,
					    char commit[41]),
			    void *arg)
{
	AUTO(built_free) struct built *t = xcalloc(1, sizeof *t);
	struct release_out out;
	struct err err = {0};
	char commit[41] = "";

	t->ps = ps;
	memcpy(t->build_id, b->id, sizeof t->build_id);
	memcpy(t->app_id, b->app_id, sizeof t->app_id);
	memcpy(t->user_id, b->user_id, sizeof t->user_id);
	memcpy(t->res.slug_id, b->slug_id, sizeof t->res.slug_id);
	t->user_email = xstrdup(b->user_email);
	t->version = xstrdup(b->version);
	if (b->ref &&
	    (repo_ref(arg, b->app_id, b->ref, commit) < 0 || strcmp(commit, b->version) != 0)) {
		built_undo(t, "the ref could not be updated");
		return;
	}
	if (built_release_again(t, &out, &err) < 0)
		xlog_err(XLOG_ERROR, "push", &err,
			 "msg=\"interrupted deploy not released\" build_id=%s", b->id);
	else
		xlog(XLOG_INFO, "push",
		     "msg=\"interrupted deploy released\" build_id=%s version=%d", b->id,
		     out.version);
}

int push_recover(struct pusher *ps,
		 int (*repo_ref)(void *arg, const char *app_id, const char *ref, char commit[41]),
		 void *arg, struct err *err)
{
	struct recover_tx r = {0};
	int rc = store_read(ps->store, read_recover, &r, err);

	for (int i = 0; i < r.pending.n && rc == 0; i++) {
		r.id = r.pending.v[i].id;
		logd_printf(ps->log, r.pending.v[i].app_id, "app", "api",
			    "Build failed -- the platform was restarted; deploy again");
		rc = store_tx(ps->store, fail_build, &r, err);
	}
	for (int i = 0; i < r.apps.n && rc == 0; i++) {
		const struct store_build *b = r.newest[i].n ? &r.newest[i].v[0] : NULL;

		if (b && b->status == STORE_SUCCEEDED && !b->release_id[0] && b->slug_id[0])
			release_or_undo(ps, b, repo_ref, arg);
	}
	for (int i = 0; i < r.apps.n && r.newest; i++)
		store_builds_clear(&r.newest[i]);
	free(r.newest);
	store_apps_clear(&r.apps);
	store_builds_clear(&r.pending);
	return rc;
}
