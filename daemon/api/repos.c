/* Repositories at git providers: connected to a pipeline, told of by webhooks, deployed from. */
#include "daemon/api/repos.h"
#include "daemon/review/review.h"
#include "daemon/api/pipelines.h"
#include "daemon/core/xlog.h"
#include "daemon/provider/provider.h"
#include "daemon/release/autodeploy.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <string.h>

char *api_repo_own_name(const struct store_pipeline *p)
{
	return xasprintf("review/%s", p->name);
}

/* --- as JSON --- */

static json_t *repo_json(const struct store_repo *r)
{
	return json_pack("{s:s, s:o, s:b, s:s?, s:s, s:b, s:s, s:o, s:I, s:{s:s}, s:s, s:o, "
			 "s:{s:b, s:s}}",
			 "base_url", r->base_url, "created_at", json_time(r->created_ms),
			 "deploy_key", r->deploy_key != NULL, "failure", r->failure, "full_name",
			 r->full_name, "has_token", *r->token != 0, "id", r->id, "looked_at",
			 json_time(r->reconciled_ms), "number", (json_int_t)r->num, "pipeline",
			 "id", r->pipeline_id, "provider", r->provider, "updated_at",
			 json_time(r->updated_ms), "webhook", "created", r->hook_id != NULL, "url",
			 r->hook_url);
}

/* Of a pipeline that is not connected: its own, which branches are pushed to. Clients that ask for
 * the repository before they change the settings of review apps get a name to send along. */
static json_t *own_json(struct api_req *q, const struct store_pipeline *p)
{
	AUTO(auto_str) char *base = api_public_url(q, "%s", "");
	AUTO(auto_str) char *name = api_repo_own_name(p);

	return json_pack("{s:s, s:o, s:b, s:n, s:s, s:b, s:s, s:n, s:i, s:{s:s}, s:s, s:o, s:n}",
			 "base_url", base, "created_at", json_time(p->created_ms), "deploy_key",
			 false, "failure", "full_name", name, "has_token", false, "id", p->id,
			 "looked_at", "number", 0, "pipeline", "id", p->id, "provider", "paasd",
			 "updated_at", json_time(p->updated_ms), "webhook");
}

static json_t *auto_json(const struct store_auto *d)
{
	return json_pack("{s:{s:s, s:s}, s:s, s:o, s:s?, s:s?, s:s?, s:s, s:o, s:b}", "app", "id",
			 d->app_id, "name", d->app_name, "branch", d->branch, "created_at",
			 json_time(d->created_ms), "deployed_commit",
			 *d->deployed ? d->deployed : NULL, "message", d->message, "pending_commit",
			 *d->pending ? d->pending : NULL, "status", d->status, "updated_at",
			 json_time(d->updated_ms), "wait_for_ci", d->wait_for_ci);
}

/* --- reading --- */

struct repo_tx {
	struct api_req *q;
	enum store_pipeline_right right;
	struct store_pipeline pipeline;
	struct store_repo repo;
	struct store_auto one;
	const char *branch;
	bool wait_for_ci;
};

static void repo_tx_clear(struct repo_tx *t)
{
	store_pipeline_clear(&t->pipeline);
	store_repo_clear(&t->repo);
	store_auto_clear(&t->one);
}
#define repo_tx_clear_p repo_tx_clear

static int read_repo(struct tx *tx, void *arg, struct err *err)
{
	struct repo_tx *t = arg;

	repo_tx_clear(t);
	if (api_pipeline_find(t->q, tx, t->q->params[0], t->right, &t->pipeline, err) < 0)
		return -1;
	return store_repo_of_pipeline(tx, t->pipeline.id, &t->repo, err);
}

/* The caller may see the pipeline, and it is not connected. */
static bool not_connected(const struct err *err)
{
	return err->code == ERR_NOT_FOUND && err->resource && strcmp(err->resource, "repo") == 0;
}

static int get_repo(struct repo_tx *t, struct err *err)
{
	if (store_read(t->q->d->store, read_repo, t, err) == 0)
		return 0;
	/* Words that say what to do. */
	if (not_connected(err))
		snprintf(err->msg, sizeof err->msg,
			 "The pipeline %s is not connected to a repository.", t->pipeline.name);
	return -1;
}

int api_repo_info(struct api_req *q, struct err *err)
{
	AUTO(repo_tx_clear) struct repo_tx t = {.q = q, .right = STORE_PIPELINE_VIEW};

	if (get_repo(&t, err) == 0)
		return api_ok(q, 200, repo_json(&t.repo));
	if (!not_connected(err))
		return -1;
	return api_ok(q, 200, own_json(q, &t.pipeline));
}

int api_repo_look(struct api_req *q, struct err *err)
{
	AUTO(repo_tx_clear) struct repo_tx t = {.q = q, .right = STORE_PIPELINE_MANAGE};

	if (get_repo(&t, err) < 0)
		return -1;
	provider_look(q->d->providers, t.repo.id);
	return api_ok(q, 202, repo_json(&t.repo));
}

int api_repo_branch(struct api_req *q, struct err *err)
{
	AUTO(repo_tx_clear) struct repo_tx t = {.q = q, .right = STORE_PIPELINE_VIEW};
	const char *branch = q->params[1];
	char sha[65];

	if (get_repo(&t, err) < 0 && !not_connected(err))
		return -1;
	if (provider_branch_ok(branch, err) < 0 ||
	    review_branch(q->d->reviews, t.pipeline.id, branch, sha, NULL, err) < 0) {
		if (err->code != ERR_NOT_FOUND && err->code != ERR_INVALID_PARAMS)
			return -1;
		err_not_found(err, "branch");
		snprintf(err->msg, sizeof err->msg, "%.100s has no branch %.200s.",
			 t.repo.full_name ? t.repo.full_name : t.pipeline.name, branch);
		return -1;
	}
	return api_ok(q, 200,
		      json_pack("{s:{s:s}, s:o}", "commit", "sha", sha, "name", json_text(branch)));
}

/* --- connecting --- */

const struct api_field api_fields_repo_connect[] = {
	{"provider", F_LINE, F_REQUIRED, .choice = "github|gitlab|gitea|forgejo"},
	{"repo", F_LINE, F_REQUIRED, 3, 500, .text = "OWNER/NAME, or its URL"},
	{"base_url", F_LINE, F_NULL, 1, 500,
	 .text = "of one's own server; GitHub and GitLab have defaults"},
	{"token", F_LINE, F_NULL, 0, 1000,
	 .text = "of its API and of git; none: public ones, read "
		 "only"},
	{"deploy_key", F_STRING, F_NULL, 1, LIM_DEPLOY_KEY,
	 .text = "private SSH key: fetch by ssh instead"},
	{"ssh_port", F_INT, F_NULL, 1, 65535, .text = "where ssh is; 22"},
	{0},
};

/* A key that ssh can use without asking for anything. */
static int check_key(const char *key, struct err *err)
{
	if (!key || (strncmp(key, "-----BEGIN ", 11) == 0 && strstr(key, "PRIVATE KEY-----") &&
		     !strstr(key, "ENCRYPTED")))
		return 0;
	return err_set(err, ERR_INVALID_PARAMS,
		       "deploy_key is no private SSH key in PEM form without a passphrase.");
}

/* The secret is told once, when somebody has to type it. */
static json_t *connected_json(const struct store_repo *r, bool hooked)
{
	json_t *j = repo_json(r);

	json_object_set_new(json_object_get(j, "webhook"), "secret",
			    hooked ? json_null() : json_string(r->hook_secret));
	return j;
}

int api_repo_connect(struct api_req *q, struct err *err)
{
	AUTO(repo_tx_clear) struct repo_tx t = {.q = q, .right = STORE_PIPELINE_MANAGE};
	const struct provider_codec *k = provider_codec_find(api_get_str(q->body, "provider"));
	const char *token = api_get_str(q->body, "token");
	AUTO(auto_str) char *hooks = api_public_url(q, "/hooks");
	struct provider_connect in = {.base_url = api_get_str(q->body, "base_url"),
				      .full_name = api_get_str(q->body, "repo"),
				      .token = token ? token : "",
				      .deploy_key = api_get_str(q->body, "deploy_key"),
				      .ssh_port = (int)api_get_int(q->body, "ssh_port", 22),
				      .hook_base = hooks};
	struct store_repo made = {0};
	bool hooked;
	int rc;

	if (api_pipeline_get(q, STORE_PIPELINE_MANAGE, &t.pipeline, err) < 0 ||
	    check_key(in.deploy_key, err) < 0)
		return -1;
	while (provider_codecs[in.kind] != k)
		in.kind++;
	in.pipeline_id = t.pipeline.id;
	if (store_read(q->d->store, read_repo, &t, NULL) == 0)
		return err_set(err, ERR_CONFLICT,
			       "The pipeline is connected to %s already; disconnect it first.",
			       t.repo.full_name);
	rc = provider_connect(q->d->providers, &in, &made, &hooked, err);
	if (rc == 0) {
		api_audit(q, "repo.connect", "%s to %s at %s", t.pipeline.name, made.full_name,
			  made.base_url);
		api_ok(q, 201, connected_json(&made, hooked));
	}
	store_repo_clear(&made);
	return rc;
}

int api_repo_disconnect(struct api_req *q, struct err *err)
{
	AUTO(repo_tx_clear) struct repo_tx t = {.q = q, .right = STORE_PIPELINE_MANAGE};

	if (get_repo(&t, err) < 0 || provider_disconnect(q->d->providers, &t.repo, err) < 0)
		return -1;
	api_audit(q, "repo.disconnect", "%s from %s", t.pipeline.name, t.repo.full_name);
	return api_ok(q, 200, repo_json(&t.repo));
}

struct forget_tx {
	const char *pipeline_id;
	struct store_repo repo;
};

static int read_forget(struct tx *tx, void *arg, struct err *err)
{
	struct forget_tx *t = arg;

	return store_repo_of_pipeline(tx, t->pipeline_id, &t->repo, err);
}

void api_repo_forget(struct api_req *q, const char *pipeline_id)
{
	struct forget_tx t = {.pipeline_id = pipeline_id};
	struct err err = {0};

	if (store_read(q->d->store, read_forget, &t, &err) == 0 &&
	    provider_disconnect(q->d->providers, &t.repo, &err) < 0)
		xlog_err(XLOG_WARN, "api", &err, "msg=\"repository not disconnected\" repo=%s",
			 xlog_q(t.repo.full_name));
	store_repo_clear(&t.repo);
}

/* --- webhooks of providers --- */

static const char *header(void *arg, const char *name)
{
	return http_header(arg, name);
}

/* The signature over the body, as it came, is the permission. */
int api_provider_hook(struct api_req *q, struct err *err)
{
	const struct provider_codec *k = provider_codec_find(q->params[0]);
	enum provider_kind kind = 0;
	int rc;

	if (!k || !name_is_uuid(q->params[1]))
		return err_not_found(err, "repo");
	while (provider_codecs[kind] != k)
		kind++;
	rc = provider_receive(q->d->providers, kind, q->params[1], header, q->x, buf_str(&q->raw),
			      q->raw.len, err);
	if (rc < 0)
		return -1;
	return api_ok(q, 202, json_pack("{s:b}", "accepted", rc));
}

/* --- branches that are deployed by themselves --- */

const struct api_field api_fields_auto_deploy[] = {
	{"branch", F_LINE, F_REQUIRED, 1, 255},
	{"wait_for_ci", F_BOOL, .text = "only commits whose checks have passed"},
	{0},
};

static int read_auto(struct tx *tx, void *arg, struct err *err)
{
	struct repo_tx *t = arg;

	repo_tx_clear(t);
	return store_auto_get(tx, t->q->app.id, &t->one, err);
}

static int read_app_repo(struct tx *tx, void *arg, struct err *err)
{
	struct repo_tx *t = arg;

	repo_tx_clear(t);
	return store_repo_of_app(tx, t->q->app.id, &t->repo, err);
}

static int write_auto(struct tx *tx, void *arg, struct err *err)
{
	struct repo_tx *t = arg;

	store_auto_clear(&t->one);
	if (store_auto_set(tx, t->q->app.id, t->branch, t->wait_for_ci, t->q->user.id, err) < 0)
		return -1;
	return store_auto_get(tx, t->q->app.id, &t->one, err);
}

static int delete_auto(struct tx *tx, void *arg, struct err *err)
{
	struct repo_tx *t = arg;

	return read_auto(tx, t, err) < 0 ? -1 : store_auto_delete(tx, t->q->app.id, err);
}

static int no_auto(struct api_req *q, struct err *err)
{
	if (err->code == ERR_NOT_FOUND)
		snprintf(err->msg, sizeof err->msg, "No branch is deployed to %s by itself.",
			 q->app.name);
	return -1;
}

int api_auto_deploy_info(struct api_req *q, struct err *err)
{
	AUTO(repo_tx_clear) struct repo_tx t = {.q = q};

	if (store_read(q->d->store, read_auto, &t, err) < 0)
		return no_auto(q, err);
	return api_ok(q, 200, auto_json(&t.one));
}

int api_auto_deploy_set(struct api_req *q, struct err *err)
{
	AUTO(repo_tx_clear) struct repo_tx t = {.q = q};
	char sha[65];

	t.branch = api_get_str(q->body, "branch");
	t.wait_for_ci = api_get_bool(q->body, "wait_for_ci", false);
	if (store_read(q->d->store, read_app_repo, &t, err) < 0)
		return err->code == ERR_NOT_FOUND
			       ? err_set(err, ERR_INVALID_PARAMS,
					 "%s is in no pipeline that is connected to a repository.",
					 q->app.name)
			       : -1;
	if (provider_branch(q->d->providers, &t.repo, t.branch, sha, err) < 0)
		return err->code == ERR_NOT_FOUND
			       ? err_set(err, ERR_INVALID_PARAMS, "%s has no branch %.200s.",
					 t.repo.full_name, t.branch)
			       : -1;
	if (store_tx(q->d->store, write_auto, &t, err) < 0)
		return -1;
	autodeploys_look(q->d->autodeploys, t.repo.id);
	api_audit(q, "auto_deploy.set", "branch %s%s", t.branch,
		  t.wait_for_ci ? ", after its checks" : "");
	return api_ok(q, 200, auto_json(&t.one));
}

int api_auto_deploy_delete(struct api_req *q, struct err *err)
{
	AUTO(repo_tx_clear) struct repo_tx t = {.q = q};

	if (store_tx(q->d->store, delete_auto, &t, err) < 0)
		return no_auto(q, err);
	api_audit(q, "auto_deploy.remove", "branch %s", t.one.branch);
	return api_ok(q, 200, auto_json(&t.one));
}
