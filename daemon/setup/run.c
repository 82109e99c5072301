/* What runs for long: the build with its release, postdeploy, pr-predestroy; and the deploys of
 * later commits. */
#include "daemon/setup/setup_int.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "daemon/release/built.h"
#include "daemon/store/release.h"

#include <stdio.h>
#include <string.h>

/* --- build --- */

struct build_tx {
	const char *setup_id, *build_id;
	struct store_build build;
	struct store_release release;
};

static int read_build(struct tx *tx, void *arg, struct err *err)
{
	struct build_tx *t = arg;

	store_build_clear(&t->build);
	return store_build_get(tx, NULL, t->build_id, &t->build, err);
}

static int write_build(struct tx *tx, void *arg, struct err *err)
{
	struct build_tx *t = arg;

	return store_setup_set_build(tx, t->setup_id, t->build_id, err);
}

static int read_release(struct tx *tx, void *arg, struct err *err)
{
	struct build_tx *t = arg;

	store_release_clear(&t->release);
	return store_release_get(tx, NULL, t->build.release_id, &t->release, err);
}

/* How the release of a build has ended, or ends. */
static int await_release(struct setups *s, const char *build_id, struct err *err)
{
	struct build_tx t = {.build_id = build_id};
	struct err why = {0};
	int rc = store_read(s->d.store, read_build, &t, err);

	if (rc == 0 && !t.build.release_id[0])
		rc = err_set(err, ERR_BUILD_FAILED, "The build could not be released");
	else if (rc == 0)
		rc = release_wait(s->d.releases, t.build.release_id, NULL, NULL, NULL, &why);
	if (rc < 0 && why.status && store_read(s->d.store, read_release, &t, err) == 0)
		err_set(err, why.code, "Release v%d failed: %.300s", t.release.version, why.msg);
	store_build_clear(&t.build);
	store_release_clear(&t.release);
	return rc;
}

int setup_deploy_wait(struct setups *s, const char *build_id, struct err *err)
{
	return await_release(s, build_id, err);
}

struct tree_copy {
	const char *tree;
};

static int export_copy(const char *dir, void (*say)(const char *line, void *arg), void *say_arg,
		       void *arg, struct err *err)
{
	const struct tree_copy *t = arg;

	return fs_copytree(t->tree, dir, (uint64_t)LIM_SLUG_TREE, err);
}

static void say_out(const char *p, size_t n, void *arg)
{
	setup_say(arg, p, n);
}

static void set_running(struct job *j, const char *build_id)
{
	pthread_mutex_lock(&j->s->lock);
	snprintf(j->live->build_id, sizeof j->live->build_id, "%s", build_id);
	pthread_mutex_unlock(&j->s->lock);
}

static const char *source_url(const json_t *source)
{
	const char *url = json_string_value(json_object_get(source, "url"));
	const char *kind = json_string_value(json_object_get(source, "kind"));

	return url ? url : kind;
}

static int build(struct job *j, const char *tree, struct err *err)
{
	AUTO(json_decref) json_t *source = json_loads(j->row.source, 0, NULL);
	const struct built_new in = {.app_id = j->row.app_id,
				     .user_id = j->row.user_id,
				     .user_email = j->row.user_email,
				     .row = {.source = "tarball",
					     .source_url = source_url(source),
					     .version = j->row.version}};
	struct tree_copy copy = {tree};
	struct build_req req = {
		.export_source = export_copy, .export_arg = &copy, .out = say_out, .out_arg = j};
	const struct built_ear ear = {say_out, j};
	AUTO(built_free) struct built *t = NULL;
	struct build_tx w = {.setup_id = j->row.id};

	if (built_start(j->s->d.pusher, &in, &t, err) < 0)
		return -1;
	w.build_id = t->build_id;
	build_announce(j->s->d.builds, t->build_id);
	if (store_tx(j->s->d.store, write_build, &w, err) < 0) {
		build_retract(j->s->d.builds, t->build_id);
		return -1;
	}
	memcpy(j->row.build_id, t->build_id, sizeof j->row.build_id);
	set_running(j, t->build_id);
	if (setup_gone(j)) /* it may have been told before there was a build to stop */
		build_cancel(j->s->d.builds, t->build_id);
	if (built_run(t, &req, err) < 0)
		return -1;
	set_running(j, "");
	built_release(t, &ear);
	return await_release(j->s, j->row.build_id, err);
}

/* What a paasd that was killed has left of the step: 1 = nothing that could be used. */
static int build_again(struct job *j, struct err *err)
{
	struct build_tx t = {.build_id = j->row.build_id};
	bool released;

	if (!j->row.build_id[0] || store_read(j->s->d.store, read_build, &t, NULL) < 0)
		return 1;
	released = t.build.status == STORE_SUCCEEDED && t.build.release_id[0];
	store_build_clear(&t.build);
	return released ? await_release(j->s, j->row.build_id, err) : 1;
}

int setup_step_build(struct job *j, struct err *err)
{
	AUTO(auto_str) char *tree = xasprintf("%s/%s/tree", j->s->dir, j->row.id);
	int rc = build_again(j, err);

	if (rc > 0)
		rc = build(j, tree, err);
	if (rc == 0)
		fs_rmtree(tree, NULL);
	return rc;
}

/* --- postdeploy --- */

struct postdeploy_tx {
	const char *setup_id, *dyno_id, *output;
	int code;
};

static int write_started(struct tx *tx, void *arg, struct err *err)
{
	struct postdeploy_tx *t = arg;

	return store_setup_set_postdeploy(tx, t->setup_id, t->dyno_id, err);
}

static int write_ended(struct tx *tx, void *arg, struct err *err)
{
	struct postdeploy_tx *t = arg;

	return store_setup_postdeploy_ended(tx, t->setup_id, t->code, t->output, err);
}

struct script_out {
	struct job *j; /* NULL: nobody listens */
	struct buf kept;
};

/* The last of it is kept: it tells how it ended. */
static void script_out(const char *p, size_t n, void *arg)
{
	struct script_out *o = arg;

	buf_add(&o->kept, p, n);
	if (o->kept.len > (size_t)LIM_POSTDEPLOY_TEXT)
		buf_drop(&o->kept, o->kept.len - (size_t)LIM_POSTDEPLOY_TEXT);
	if (o->j)
		setup_say(o->j, p, n);
}

static bool script_gone(void *arg)
{
	struct script_out *o = arg;

	return o->j && setup_gone(o->j);
}

/* Output is bytes; the database and JSON hold text. */
static char *as_text(struct buf *b)
{
	json_t *probe = json_stringn(buf_str(b), b->len);

	if (!probe)
		for (size_t i = 0; i < b->len; i++)
			if ((unsigned char)b->data[i] >= 0x80)
				b->data[i] = '?';
	json_decref(probe);
	for (size_t i = 0; i < b->len; i++)
		if (!b->data[i])
			b->data[i] = '?';
	return xstrdup(buf_str(b));
}

/* Once started it is never started again: what a restart loses is said to be lost. */
static int run_postdeploy(struct job *j, int *code, struct err *err)
{
	struct script_out o = {.j = j};
	struct postdeploy_tx t = {.setup_id = j->row.id, .dyno_id = j->row.postdeploy_dyno};
	bool again = j->row.postdeploy_ran;
	const struct release_command in = {.app_id = j->row.app_id,
					   .id = j->row.postdeploy_dyno,
					   .type = "postdeploy",
					   .command = j->a.postdeploy,
					   .ttl_s = LIM_POSTDEPLOY_S,
					   .out = script_out,
					   .gone = script_gone,
					   .arg = &o};
	AUTO(auto_str) char *text = NULL;
	int rc;

	if (!again) {
		uuid_new(j->row.postdeploy_dyno);
		if (store_tx(j->s->d.store, write_started, &t, err) < 0)
			return -1;
	}
	rc = again ? release_command_again(j->s->d.releases, &in, code, err)
		   : release_command_run(j->s->d.releases, &in, code, err);
	t.output = text = as_text(&o.kept);
	t.code = *code;
	buf_clear(&o.kept);
	if (rc == 0)
		rc = store_tx(j->s->d.store, write_ended, &t, err);
	if (rc == 0)
		release_command_forget(j->s->d.releases, j->row.postdeploy_dyno);
	return rc;
}

int setup_step_postdeploy(struct job *j, struct err *err)
{
	int code = j->row.postdeploy_exit;

	if (!j->a.postdeploy)
		return 0;
	setup_sayf(j, "-----> Running the postdeploy script\n");
	if (!j->row.postdeploy_done && run_postdeploy(j, &code, err) < 0)
		return -1;
	if (code == 0)
		return 0;
	if (code < 0)
		return err_set(err, ERR_BUILD_FAILED, SETUP_LOST_SCRIPT);
	return err_set(err, ERR_BUILD_FAILED, "The postdeploy script exited with status %d", code);
}

/* --- later --- */

struct fetched {
	struct setups *s;
	const json_t *source;
	char commit[65];
};

static int export_fetch(const char *dir, void (*say)(const char *line, void *arg), void *say_arg,
			void *arg, struct err *err)
{
	struct fetched *f = arg;
	char id[37];
	AUTO(auto_str) char *work = NULL;

	uuid_new(id);
	work = xasprintf("%s/deploy-%s", f->s->dir, id);
	return setup_source_fetch(f->s, f->source, dir, work, -1, say, say_arg, f->commit, err);
}

int setup_deploy(struct setups *s, const struct setup_deploy *in, char build_id[37],
		 struct err *err)
{
	const char *commit = json_string_value(json_object_get(in->source, "commit"));
	AUTO(json_decref) json_t *shown = setup_source_shown(in->source);
	const struct built_new new = {.app_id = in->app_id,
				      .user_id = in->user_id,
				      .user_email = in->user_email,
				      .row = {.source = "tarball",
					      .source_url = source_url(shown),
					      .version = in->version ? in->version : commit}};
	struct fetched f = {.s = s, .source = in->source};
	struct build_req req = {.export_source = export_fetch,
				.export_arg = &f,
				.out = in->out,
				.out_arg = in->out_arg};
	const struct built_ear ear = {in->out, in->out_arg};
	AUTO(built_free) struct built *t = NULL;
	char id[37];

	if (built_start(s->d.pusher, &new, &t, err) < 0)
		return -1;
	memcpy(id, t->build_id, sizeof id);
	build_announce(s->d.builds, id);
	if (build_id)
		memcpy(build_id, id, sizeof id);
	if (built_run(t, &req, err) < 0)
		return -1;
	built_release(t, &ear);
	return await_release(s, id, err);
}

struct of_app {
	const char *app_id;
	struct store_setup row;
};

static int read_of_app(struct tx *tx, void *arg, struct err *err)
{
	struct of_app *t = arg;

	store_setup_clear(&t->row);
	return store_setup_of_app(tx, t->app_id, &t->row, err);
}

int setup_predestroy(struct setups *s, const char *app_id, struct err *err)
{
	struct of_app t = {.app_id = app_id};
	AUTO(appjson_clear) struct appjson a = {0};
	struct script_out o = {0};
	struct release_command in = {.app_id = app_id,
				     .type = "pr-predestroy",
				     .ttl_s = LIM_PREDESTROY_S,
				     .out = script_out,
				     .arg = &o};
	struct err none = {0};
	char id[37];
	int rc = 0, code = 0;

	if (store_read(s->d.store, read_of_app, &t, &none) < 0)
		return none.code == ERR_NOT_FOUND ? 0 : (*err = none, -1);
	if (t.row.manifest && t.row.manifest[0] &&
	    appjson_parse(t.row.manifest, strlen(t.row.manifest), t.row.environment, &a, NULL,
			  &none) == 0 &&
	    a.pr_predestroy) {
		uuid_new(id);
		in.id = id;
		in.command = a.pr_predestroy;
		rc = release_command_run(s->d.releases, &in, &code, err);
		if (rc == 0 && code != 0)
			rc = err_set(err, ERR_BUILD_FAILED,
				     "The pr-predestroy script exited with status %d", code);
	}
	buf_clear(&o.kept);
	store_setup_clear(&t.row);
	return rc;
}
