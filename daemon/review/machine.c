/* The machine of a review app: one call takes a row one step towards what is wanted of it.
 *
 *   pending --setup--> creating --its end--> created (deploys as the branch moves)
 *      \____________________________________/   errored: until another commit is wanted
 *   not wanted: deleting (setup canceled, pr-predestroy, app destroyed) --> deleted */
#include "daemon/core/xlog.h"
#include "daemon/review/review_int.h"
#include "daemon/store/app.h"
#include "daemon/store/pipeline.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <stdio.h>
#include <string.h>

/* What a step works on: read once, in one transaction. */
struct step {
	struct reviews *r;
	struct busy *busy;
	const char *id;
	struct store_review v;
	struct store_pipeline pipeline;
	struct store_review_config config;
	struct store_setup setup; /* id "" = none */
	json_t *environment, *stage_env;
	char *source_url;
	int live; /* apps of the pipeline's */
};

static void step_clear(struct step *s)
{
	store_review_clear(&s->v);
	store_pipeline_clear(&s->pipeline);
	store_review_config_clear(&s->config);
	store_setup_clear(&s->setup);
	json_decref(s->environment);
	json_decref(s->stage_env);
	free(s->source_url);
}

static int read_step(struct tx *tx, void *arg, struct err *err)
{
	struct step *s = arg;
	struct err none = {0};

	if (store_review_get(tx, s->id, &s->v, err) < 0 ||
	    store_pipeline_find(tx, s->v.pipeline_id, &s->pipeline, err) < 0 ||
	    store_review_secrets(tx, s->id, &s->environment, &s->source_url, err) < 0 ||
	    store_stage_config(tx, s->v.pipeline_id, "review", &s->stage_env, err) < 0 ||
	    store_reviews_count(tx, s->v.pipeline_id, &s->live, err) < 0)
		return -1;
	if (store_review_config_get(tx, s->v.pipeline_id, &s->config, &none) < 0)
		store_review_config_preset(&s->config, s->v.pipeline_id);
	if (s->v.setup_id[0])
		store_setup_get(tx, s->v.setup_id, &s->setup, &none);
	return 0;
}

/* --- what a step leaves behind --- */

struct outcome {
	struct step *s;
	enum store_review_status status;
	const char *error_status, *message;
	const char *tried; /* NULL = nothing was */
	bool well, tell;
	enum provider_state state;
	const char *text;
};

static int write_outcome(struct tx *tx, void *arg, struct err *err)
{
	const struct outcome *o = arg;
	const struct store_review *v = &o->s->v;

	if (store_review_say(tx, v->id, o->status, o->error_status, o->message, err) < 0)
		return -1;
	if (o->tried && store_review_tried(tx, v->id, o->tried, o->well, err) < 0)
		return -1;
	return o->tell ? review_tell(tx, o->s->r, v, o->state, o->tried ? o->tried : v->commit,
				     o->text, err)
		       : 0;
}

static bool settle(struct step *s, const struct outcome *in)
{
	struct outcome o = *in;
	struct err err = {0};

	o.s = s;
	if (store_tx(s->r->d.store, write_outcome, &o, &err) < 0) {
		xlog_err(XLOG_ERROR, "review", &err, "msg=\"row not written\" id=%s", s->v.id);
		return false;
	}
	if (o.tell)
		review_tell_now(s->r);
	return true;
}

struct rest {
	const struct store_review *v;
	wall_ms next;
	bool counted;
};

static int write_rest(struct tx *tx, void *arg, struct err *err)
{
	const struct rest *t = arg;

	return store_review_rest(tx, t->v, t->next, t->counted, err);
}

/* Nothing can be done now: until `next`, or (0) until somebody kicks. Never "again". */
static bool rest(struct step *s, wall_ms next, bool counted)
{
	struct rest t = {&s->v, next, counted};
	struct err err = {0};

	if (store_tx(s->r->d.store, write_rest, &t, &err) < 0)
		xlog_err(XLOG_ERROR, "review", &err, "msg=\"row not written\" id=%s", s->v.id);
	return false;
}

/* What may be better later: again after a while that doubles. Given up in the end, but for what is
 * to go: nothing may be left. */
static bool later(struct step *s, const struct err *why)
{
	wall_ms wait = LIM_REVIEW_RETRY_MS << (s->v.tries < 8 ? s->v.tries : 8);

	xlog_err(XLOG_WARN, "review", why, "msg=\"tried again\" id=%s branch=%s try=%d", s->v.id,
		 xlog_q(s->v.branch), s->v.tries + 1);
	if (s->v.wanted && s->v.tries >= LIM_REVIEW_TRIES)
		return settle(s, &(struct outcome){.status = REVIEW_ERRORED,
						   .error_status = "unavailable",
						   .message = why->msg,
						   .tell = true,
						   .state = PROVIDER_FAILURE,
						   .text = "The review app could not be made."});
	return rest(s, clock_wall_ms() + wait, true);
}

static bool passes(const struct err *e)
{
	return e->code == ERR_UNAVAILABLE || e->code == ERR_TIMEOUT || e->code == ERR_IO ||
	       e->code == ERR_DISK_FULL || e->code == ERR_CANCELED;
}

static bool fail(struct step *s, const char *status, const char *why)
{
	return settle(s, &(struct outcome){.status = REVIEW_ERRORED,
					   .error_status = status,
					   .message = why,
					   .tried = s->v.commit[0] ? s->v.commit : NULL,
					   .tell = true,
					   .state = PROVIDER_FAILURE,
					   .text = "The review app could not be made."});
}

/* Rests, and says why: first the one, then with the row as it then is the other. */
static bool wait_with(struct step *s, wall_ms next, const char *message)
{
	if (s->v.message && strcmp(s->v.message, message) == 0)
		return rest(s, next, false);
	return settle(s, &(struct outcome){.status = s->v.status, .message = message});
}

/* --- before code runs --- */

static int find_commit(struct step *s, struct err *err)
{
	char commit[65];
	struct store_review *v = &s->v;

	if (v->commit[0] || v->source == REVIEW_URL)
		return 0;
	if (review_find_commit(s->r, v, commit, err) < 0)
		return -1;
	memcpy(v->commit, commit, sizeof v->commit);
	return 1;
}

static int write_found(struct tx *tx, void *arg, struct err *err)
{
	const struct store_review *v = arg;

	return store_review_found(tx, v->id, v->commit, err);
}

/* Whether the commit may run; else the row rests, or is to be looked at again. */
static bool checked(struct step *s, bool *again)
{
	enum provider_ci ci = PROVIDER_CI_NONE;
	AUTO(store_repo_clear) struct store_repo repo = {0};
	wall_ms waited = clock_wall_ms() - s->v.arrived_ms;
	struct err err = {0};

	*again = false;
	if (!s->v.wait_for_ci || s->v.source != REVIEW_PROVIDER)
		return true;
	if (s->v.foreign)
		return true; /* its source says why it cannot be had */
	if (review_repo_of(s->r, &s->v, &repo, &err) < 0 ||
	    provider_checks(s->r->d.providers, &repo, s->v.commit, &ci, &err) < 0) {
		*again = later(s, &err);
		return false;
	}
	if (ci == PROVIDER_CI_SUCCESS || (ci == PROVIDER_CI_NONE && waited > LIM_REVIEW_NO_CI_MS))
		return true;
	/* their end kicks, if the provider tells of it */
	*again = ci == PROVIDER_CI_FAILURE
			 ? wait_with(s, 0, "The commit's checks have failed: another is awaited.")
			 : wait_with(s, clock_wall_ms() + LIM_REVIEW_CI_MS,
				     "Waiting for the commit's checks.");
	return false;
}

/* --- pending --- */

/* In the transaction of the setup and its app. */
static int also(struct tx *tx, const char *app_id, const char *setup_id, void *arg, struct err *err)
{
	const struct step *s = arg;
	const struct store_review *v = &s->v;
	struct err none = {0};
	int live;

	/* others may have been made since it was read */
	if (store_reviews_count(tx, v->pipeline_id, &live, err) < 0)
		return -1;
	if (live >= s->config.max_apps)
		return err_set(err, ERR_CONFLICT,
			       "The pipeline has as many review apps as it may.");
	if (store_review_made(tx, v->id, app_id, setup_id, err) < 0 ||
	    store_coupling_create(tx, v->pipeline_id, app_id, "review", NULL, err) < 0)
		return -1;
	if (v->creator_id[0] && strcmp(v->creator_id, s->pipeline.owner_id) != 0) {
		AUTO(store_collaborator_clear) struct store_collaborator c = {0};

		store_collaborator_add(tx, app_id, v->creator_id,
				       STORE_VIEW | STORE_DEPLOY | STORE_OPERATE, &c, &none);
	}
	return review_tell(tx, s->r, v, PROVIDER_PENDING, v->commit, "Creating the review app.",
			   err);
}

static json_t *fixed_vars(const struct store_review *v, const char *app_name)
{
	json_t *o =
		json_pack("{s:s, s:s}", "HEROKU_APP_NAME", app_name, "HEROKU_BRANCH", v->branch);

	if (v->pr_number)
		json_object_set_new(o, "HEROKU_PR_NUMBER",
				    json_sprintf("%lld", (long long)v->pr_number));
	return o;
}

/* Where the wanted commit is. A new reference. */
static int source_of(struct step *s, json_t **out, struct err *err)
{
	if (!s->source_url)
		return review_source(s->r, &s->v, s->v.commit, out, err);
	*out = setup_source_url(s->source_url, NULL, err);
	return *out ? 0 : -1;
}

static int start_setup(struct step *s, struct err *err)
{
	AUTO(json_decref) json_t *source = NULL;
	AUTO(json_decref) json_t *fixed = NULL;
	char name[32], setup_id[37];
	struct setup_new in = {
		.user_id = s->pipeline.owner_id,
		.user_email = s->pipeline.owner_email,
		.name = name,
		.environment = "review",
		.file = -1,
		.version = s->v.commit[0] ? s->v.commit : NULL,
		.env = s->environment,
		.stage_env = s->stage_env,
		.also = also,
		.also_arg = s,
	};

	if (source_of(s, &source, err) < 0)
		return -1;
	review_name(s->config.base_name, s->pipeline.name, s->v.branch, s->v.pr_number, name);
	fixed = fixed_vars(&s->v, name);
	in.source = source;
	in.fixed = fixed;
	return setup_start(s->r->d.setups, &in, setup_id, err);
}

static bool full(struct step *s)
{
	char text[200];

	snprintf(text, sizeof text,
		 "The pipeline has %d review apps, as many as it may: this one is made when one of "
		 "them goes.",
		 s->live);
	return wait_with(s, 0, text);
}

static bool pending(struct step *s)
{
	struct err err = {0};
	bool again;
	int found = find_commit(s, &err);

	if (found < 0)
		return passes(&err) ? later(s, &err) : fail(s, "source", err.msg);
	if (found)
		return store_tx(s->r->d.store, write_found, &s->v, &err) == 0;
	if (s->v.app_id[0]) /* the failed setup is still removing it */
		return rest(s, clock_wall_ms() + LIM_REVIEW_RETRY_MS, false);
	if (s->live >= s->config.max_apps)
		return full(s);
	if (!checked(s, &again))
		return again;
	if (start_setup(s, &err) == 0) {
		review_tell_now(s->r);
		return true;
	}
	if (err.code == ERR_CONFLICT) /* not wanted any more, made, or no room */
		return true;
	return passes(&err) ? later(s, &err) : fail(s, "setup", err.msg);
}

/* --- creating --- */

/* Why it failed, with the first thing that is wrong with app.json. */
static void setup_failure(const struct store_setup *u, char *out, size_t cap)
{
	AUTO(json_decref)
	json_t *list = json_loads(u->manifest_errors ? u->manifest_errors : "[]", 0, NULL);
	const char *first = json_string_value(json_array_get(list, 0));

	snprintf(out, cap, "%s%s%.300s", u->failure ? u->failure : "The setup failed.",
		 first ? ": " : "", first ? first : "");
}

/* The app goes with its setup; then it is made as if nothing had been. */
static bool cut_off(struct step *s)
{
	if (s->v.app_id[0])
		return rest(s, clock_wall_ms() + LIM_REVIEW_RETRY_MS, false);
	return settle(s, &(struct outcome){.status = REVIEW_PENDING});
}

static bool creating(struct step *s)
{
	char why[600];
	const struct store_setup *u = &s->setup;

	if (!u->id[0])
		return fail(s, "setup", "The app's setup is gone.");
	if (u->status == STORE_PENDING)
		return rest(s, 0, false); /* its end kicks */
	if (u->status != STORE_SUCCEEDED && u->failure &&
	    (strcmp(u->failure, SETUP_CUT_OFF) == 0 || strcmp(u->failure, SETUP_LOST_SCRIPT) == 0))
		return cut_off(s);
	if (u->status != STORE_SUCCEEDED) {
		setup_failure(u, why, sizeof why);
		return fail(s, "setup", why);
	}
	release_sleep_set(s->r->d.releases, s->v.app_id, s->config.sleep_minutes, NULL);
	return settle(s, &(struct outcome){.status = REVIEW_CREATED,
					   .tried = u->version ? u->version : s->v.commit,
					   .well = true,
					   .tell = true,
					   .state = PROVIDER_SUCCESS,
					   .text = "The review app is up."});
}

/* --- created --- */

struct built_q {
	const struct store_review *v;
	char build_id[37];
};

static int was_built(struct tx *tx, void *arg, struct err *err)
{
	struct built_q *q = arg;

	return store_review_built(tx, q->v, q->build_id, err);
}

static bool deployed(struct step *s, bool well, const char *why)
{
	return settle(s, &(struct outcome){.status = REVIEW_CREATED,
					   .error_status = well ? NULL : "deploy",
					   .message = well ? NULL : why,
					   .tried = s->v.commit,
					   .well = well,
					   .tell = true,
					   .state = well ? PROVIDER_SUCCESS : PROVIDER_FAILURE,
					   .text = well ? "The review app is up."
							: "The deploy failed; the review app runs "
							  "what it ran before."});
}

static int write_pending_tell(struct tx *tx, void *arg, struct err *err)
{
	struct step *s = arg;

	return review_tell(tx, s->r, &s->v, PROVIDER_PENDING, s->v.commit,
			   "Deploying to the review app.", err);
}

/* How a deploy has ended. */
static bool deploy_ended(struct step *s, int rc, const struct err *why)
{
	AUTO(store_review_clear) struct store_review now = {0};
	struct err none = {0};

	if (rc == 0)
		return deployed(s, true, NULL);
	if (reviews_closing(s->r))
		return false; /* goes on at the next start */
	/* another push was newer, or a person said so */
	if (why->code == ERR_CANCELED && review_read(s->r, s->v.id, &now, &none) == 0 &&
	    (strcmp(now.commit, s->v.commit) != 0 || !now.wanted))
		return true;
	return deployed(s, false, why->msg);
}

static bool deploy(struct step *s)
{
	AUTO(json_decref) json_t *source = NULL;
	struct built_q q = {&s->v, ""};
	struct err err = {0};
	char build_id[37] = "";
	struct setup_deploy in = {.app_id = s->v.app_id,
				  .user_id = s->pipeline.owner_id,
				  .user_email = s->pipeline.owner_email,
				  .version = s->v.commit,
				  .out = busy_say,
				  .out_arg = s->busy};
	int rc;

	/* of before a crash: not a second time */
	if (store_read(s->r->d.store, was_built, &q, &err) == 0 && q.build_id[0]) {
		rc = setup_deploy_wait(s->r->d.setups, q.build_id, &err);
		return deploy_ended(s, rc, &err);
	}
	if (source_of(s, &source, &err) < 0)
		return passes(&err) ? later(s, &err) : deployed(s, false, err.msg);
	if (store_tx(s->r->d.store, write_pending_tell, s, &err) == 0)
		review_tell_now(s->r);
	in.source = source;
	rc = setup_deploy(s->r->d.setups, &in, build_id, &err);
	return deploy_ended(s, rc, &err);
}

static bool created(struct step *s)
{
	struct err err = {0};
	bool again;
	int found;

	if (!s->v.app_id[0]) /* destroyed by hand: as if the branch were gone */
		return review_end(s->r, s->v.id, &err) == 0;
	found = find_commit(s, &err);
	if (found < 0)
		return passes(&err) ? later(s, &err) : rest(s, 0, false);
	if (found)
		return store_tx(s->r->d.store, write_found, &s->v, &err) == 0;
	if (!s->v.commit[0] || strcmp(s->v.commit, s->v.tried) == 0)
		return rest(s, 0, false);
	if (!checked(s, &again))
		return again;
	return deploy(s);
}

/* --- errored: another commit is a new beginning --- */

static bool errored(struct step *s)
{
	if (!s->v.commit[0] || strcmp(s->v.commit, s->v.tried) == 0)
		return rest(s, 0, false);
	return settle(s, &(struct outcome){.status = REVIEW_PENDING});
}

/* --- not wanted --- */

static int mark_predestroy(struct tx *tx, void *arg, struct err *err)
{
	return store_review_predestroy(tx, arg, err);
}

static void predestroy(struct step *s)
{
	struct err err = {0};

	if (s->v.predestroyed || s->setup.status != STORE_SUCCEEDED)
		return;
	/* before it starts: it is not run twice */
	if (store_tx(s->r->d.store, mark_predestroy, s->v.id, &err) < 0 ||
	    setup_predestroy(s->r->d.setups, s->v.app_id, &err) < 0)
		xlog_err(XLOG_WARN, "review", &err, "msg=\"pr-predestroy\" app=%s",
			 s->v.app_name ? s->v.app_name : "");
}

static bool ending(struct step *s)
{
	struct err err = {0};

	if (s->v.status == REVIEW_DELETED)
		return rest(s, 0, false);
	if (s->setup.id[0] && s->setup.status == STORE_PENDING) {
		setup_cancel(s->r->d.setups, s->setup.id, &err);
		return rest(s, clock_wall_ms() + LIM_REVIEW_RETRY_MS, false); /* its end kicks */
	}
	if (s->v.app_id[0]) {
		if (s->v.status != REVIEW_DELETING &&
		    !settle(s, &(struct outcome){.status = REVIEW_DELETING}))
			return false;
		predestroy(s);
		if (setup_destroy_app(s->r->d.setups, s->pipeline.owner_id, s->v.app_id, &err) < 0)
			return later(s, &err);
	}
	review_drop_branch(s->r, &s->v);
	if (!settle(s, &(struct outcome){.status = REVIEW_DELETED,
					 .tell = true,
					 .state = PROVIDER_INACTIVE,
					 .text = "The review app was destroyed."}))
		return false;
	review_config_changed(s->r, s->v.pipeline_id); /* there is room for another */
	review_look(s->r, &s->v);
	return true;
}

bool review_step(struct reviews *r, struct busy *b, const char *id)
{
	static bool (*const steps[])(struct step *) = {
		[REVIEW_PENDING] = pending, [REVIEW_CREATING] = creating,
		[REVIEW_CREATED] = created, [REVIEW_DELETING] = ending,
		[REVIEW_DELETED] = ending,  [REVIEW_ERRORED] = errored,
	};
	struct step s = {.r = r, .busy = b, .id = id};
	struct err err = {0};
	bool again;

	if (store_read(r->d.store, read_step, &s, &err) < 0) {
		if (err.code != ERR_NOT_FOUND) /* gone with its pipeline: nothing is left to do */
			xlog_err(XLOG_ERROR, "review", &err, "msg=\"row not read\" id=%s", id);
		step_clear(&s);
		return false;
	}
	if (!s.v.wanted)
		again = ending(&s);
	else
		again = steps[s.v.status](&s);
	step_clear(&s);
	return again;
}
