/* GitHub, and GitHub Enterprise Server, whose API is below /api/v3. docs.github.com: "Webhook
 * events and payloads" (pull_request, push, status, check_suite, check_run, workflow_run),
 * "Validating webhook deliveries"; REST API: repos, pulls, branches, commits/statuses, checks/runs,
 * deployments, deployments/statuses, issues/comments, repos/webhooks (version 2022-11-28). */
#include "daemon/provider/codec_int.h"

#include <stdio.h>

#define TITLE "GitHub"

static bool verify(provider_header_fn *get, void *arg, const char *secret, const void *body,
		   size_t n, char delivery[129])
{
	const char *sign = get(arg, "x-hub-signature-256"), *id = get(arg, "x-github-delivery");

	if (!sign || strncmp(sign, "sha256=", 7) != 0 ||
	    !provider_hmac_ok(secret, body, n, sign + 7))
		return false;
	if (id && *id)
		snprintf(delivery, 129, "%.128s", id);
	else
		provider_sum(body, n, delivery);
	return true;
}

/* --- deliveries --- */

static const struct {
	const char *action;
	enum provider_event_kind kind;
} pr_actions[] = {
	{"opened", PROVIDER_PR_OPENED},
	{"reopened", PROVIDER_PR_OPENED},
	{"synchronize", PROVIDER_PR_UPDATED},
	{"edited", PROVIDER_PR_UPDATED},
	{"ready_for_review", PROVIDER_PR_UPDATED},
	{"closed", PROVIDER_PR_CLOSED},
};

static int on_pull(const json_t *body, struct provider_event *e, struct err *err)
{
	provider_pull_event(body, e);
	if (e->number <= 0 || !e->branch || !e->base)
		return provider_wrong(err, TITLE, "pull request");
	for (size_t i = 0; i < ARRAY_LEN(pr_actions); i++)
		if (pj_is(body, "action", pr_actions[i].action))
			e->kind = pr_actions[i].kind;
	return 0;
}

static int on_push(const json_t *body, struct provider_event *e, struct err *err)
{
	if (!pj_text(body, "ref"))
		return provider_wrong(err, TITLE, "ref");
	e->branch = pj_branch_of_ref(body, "ref");
	e->sha = pj_sha(body, "after");
	e->repo = pj_dup(body, "repository.full_name");
	e->author = pj_dup(body, "pusher.name");
	if (e->branch) /* else a tag */
		e->kind = e->sha ? PROVIDER_PUSH : PROVIDER_BRANCH_DELETED;
	return 0;
}

static enum provider_ci ci_of_state(const char *state)
{
	if (!state)
		return PROVIDER_CI_NONE;
	return strcmp(state, "success") == 0   ? PROVIDER_CI_SUCCESS
	       : strcmp(state, "pending") == 0 ? PROVIDER_CI_PENDING
					       : PROVIDER_CI_FAILURE;
}

static enum provider_ci ci_of_run(const json_t *run)
{
	const char *c = pj_text(run, "conclusion");

	if (!pj_is(run, "status", "completed") || !c)
		return PROVIDER_CI_PENDING;
	return strcmp(c, "success") == 0 || strcmp(c, "neutral") == 0 || strcmp(c, "skipped") == 0
		       ? PROVIDER_CI_SUCCESS
		       : PROVIDER_CI_FAILURE;
}

static int on_status(const json_t *body, struct provider_event *e, struct err *err)
{
	e->sha = pj_sha(body, "sha");
	e->repo = pj_dup(body, "repository.full_name");
	e->ci = ci_of_state(pj_text(body, "state"));
	if (!e->sha)
		return provider_wrong(err, TITLE, "commit");
	e->kind = PROVIDER_CHECKS;
	return 0;
}

static int on_run(const json_t *body, const char *what, struct provider_event *e, struct err *err)
{
	const json_t *run = pj_at(body, what);

	e->sha = pj_sha(run, "head_sha");
	e->branch = pj_dup(run, "head_branch");
	if (!e->branch)
		e->branch = pj_dup(run, "check_suite.head_branch");
	e->repo = pj_dup(body, "repository.full_name");
	e->ci = ci_of_run(run);
	if (!e->sha)
		return provider_wrong(err, TITLE, "commit");
	e->kind = PROVIDER_CHECKS;
	return 0;
}

static int parse(provider_header_fn *get, void *arg, const json_t *body, struct provider_event *out,
		 struct err *err)
{
	static const char *const runs[] = {"check_suite", "check_run", "workflow_run"};
	const char *event = get(arg, "x-github-event");

	if (!event)
		return provider_wrong(err, TITLE, "X-GitHub-Event");
	if (strcmp(event, "pull_request") == 0)
		return on_pull(body, out, err);
	if (strcmp(event, "push") == 0)
		return on_push(body, out, err);
	if (strcmp(event, "status") == 0)
		return on_status(body, out, err);
	for (size_t i = 0; i < ARRAY_LEN(runs); i++)
		if (strcmp(event, runs[i]) == 0)
			return on_run(body, runs[i], out, err);
	return 0;
}

/* --- requests --- */

static void authorise(const char *token, struct buf *out)
{
	buf_addf(out, "Authorization: Bearer %s", token);
}

static char *api_of(const struct provider_args *a)
{
	return strcmp(a->base_url, "https://github.com") == 0 ? xstrdup("https://api.github.com")
							      : xasprintf("%s/api/v3", a->base_url);
}

static json_t *deployment(const struct provider_args *a)
{
	/* required_contexts: none, as what has to be waited for was; auto_merge: the commit as it
	 * is. */
	return json_pack("{s:s, s:s, s:s*, s:b, s:[], s:b, s:b}", "ref", a->sha, "environment",
			 a->environment, "description", a->text, "auto_merge", 0,
			 "required_contexts", "transient_environment", 1, "production_environment",
			 0);
}

static json_t *status(const struct provider_args *a)
{
	static const char *const states[] = {"in_progress", "success", "failure", "inactive"};

	return json_pack("{s:s, s:s*, s:s*, s:s*, s:s*, s:b}", "state", states[a->state],
			 "environment_url", a->url, "log_url", a->log_url, "description", a->text,
			 "environment", a->environment, "auto_inactive", 0);
}

static json_t *comment(const struct provider_args *a)
{
	return json_pack("{s:s}", "body", a->text);
}

static json_t *hook(const struct provider_args *a)
{
	return json_pack("{s:s, s:b, s:[s,s,s,s], s:{s:s, s:s, s:s, s:s}}", "name", "web", "active",
			 1, "events", "pull_request", "push", "status", "check_suite", "config",
			 "url", a->url, "content_type", "json", "secret", a->secret, "insecure_ssl",
			 "0");
}

static const struct {
	const char *method, *path;
	json_t *(*body)(const struct provider_args *a);
} asks[PROVIDER_ASKS] = {
	[PROVIDER_ASK_REPO] = {"GET", "/repos/%R"},
	[PROVIDER_ASK_PULLS] = {"GET", "/repos/%R/pulls?state=open&sort=created&direction=asc&%P"},
	[PROVIDER_ASK_PULL] = {"GET", "/repos/%R/pulls/%N"},
	[PROVIDER_ASK_BRANCH] = {"GET", "/repos/%R/branches/%B"},
	[PROVIDER_ASK_STATUSES] = {"GET", "/repos/%R/commits/%S/status?%P"},
	[PROVIDER_ASK_CHECKS] = {"GET", "/repos/%R/commits/%S/check-runs?filter=latest&%P"},
	[PROVIDER_ASK_DEPLOYMENTS] = {"GET",
				      "/repos/%R/deployments?sha=%S&environment=%E&per_page=1"},
	[PROVIDER_TELL_DEPLOYMENT] = {"POST", "/repos/%R/deployments", deployment},
	[PROVIDER_TELL_STATUS] = {"POST", "/repos/%R/deployments/%I/statuses", status},
	[PROVIDER_ASK_COMMENTS] = {"GET", "/repos/%R/issues/%N/comments?%P"},
	[PROVIDER_TELL_COMMENT] = {"POST", "/repos/%R/issues/%N/comments", comment},
	[PROVIDER_EDIT_COMMENT] = {"PATCH", "/repos/%R/issues/comments/%I", comment},
	[PROVIDER_ASK_HOOKS] = {"GET", "/repos/%R/hooks?%P"},
	[PROVIDER_ADD_HOOK] = {"POST", "/repos/%R/hooks", hook},
	[PROVIDER_DROP_HOOK] = {"DELETE", "/repos/%R/hooks/%I"},
};

static bool request(enum provider_ask ask, const struct provider_args *a,
		    struct provider_request *out)
{
	AUTO(auto_str) char *api = api_of(a);

	*out = (struct provider_request){.method = asks[ask].method,
					 .url = provider_url(asks[ask].path, a, api, a->repo)};
	if (asks[ask].body)
		provider_body(out, asks[ask].body(a));
	return true;
}

/* --- answers --- */

static int read_pull(const json_t *pr, struct provider_answer *out, struct err *err)
{
	struct provider_pull *p = provider_pulls_add(&out->pulls);

	provider_pull_read(pr, p);
	return p->number > 0 && p->branch ? 0 : provider_wrong(err, TITLE, "pull request");
}

static int read_pulls(const json_t *page, struct provider_answer *out, struct err *err)
{
	if (!json_is_array(page))
		return provider_wrong(err, TITLE, "list");
	for (size_t i = 0; i < json_array_size(page); i++)
		if (read_pull(json_array_get(page, i), out, err) < 0)
			return -1;
	out->more = json_array_size(page) >= PROVIDER_PAGE;
	return 0;
}

static void count(struct provider_checks *c, enum provider_ci ci)
{
	c->good += ci == PROVIDER_CI_SUCCESS;
	c->bad += ci == PROVIDER_CI_FAILURE;
	c->pending += ci == PROVIDER_CI_PENDING;
}

/* The newest of each context. */
static int read_statuses(const json_t *j, struct provider_answer *out, struct err *err)
{
	const json_t *list = pj_at(j, "statuses");

	if (!json_is_array(list))
		return provider_wrong(err, TITLE, "list of statuses");
	for (size_t i = 0; i < json_array_size(list); i++)
		count(&out->checks, ci_of_state(pj_text(json_array_get(list, i), "state")));
	out->more = json_array_size(list) >= PROVIDER_PAGE;
	return 0;
}

static int read_runs(const json_t *j, struct provider_answer *out, struct err *err)
{
	const json_t *list = pj_at(j, "check_runs");

	if (!json_is_array(list))
		return provider_wrong(err, TITLE, "list of check runs");
	for (size_t i = 0; i < json_array_size(list); i++)
		count(&out->checks, ci_of_run(json_array_get(list, i)));
	out->more = json_array_size(list) >= PROVIDER_PAGE;
	return 0;
}

static int answer(enum provider_ask ask, const struct provider_args *a, const json_t *body,
		  struct provider_answer *out, struct err *err)
{
	out->more = false;
	switch (ask) {
	case PROVIDER_ASK_REPO:
		out->full_name = pj_dup(body, "full_name");
		return out->full_name ? 0 : provider_wrong(err, TITLE, "full_name");
	case PROVIDER_ASK_PULLS:
		return read_pulls(body, out, err);
	case PROVIDER_ASK_PULL:
		return read_pull(body, out, err);
	case PROVIDER_ASK_BRANCH:
		out->sha = pj_sha(body, "commit.sha");
		return out->sha ? 0 : provider_wrong(err, TITLE, "commit");
	case PROVIDER_ASK_STATUSES:
		return read_statuses(body, out, err);
	case PROVIDER_ASK_CHECKS:
		return read_runs(body, out, err);
	case PROVIDER_ASK_DEPLOYMENTS:
		pj_id(json_array_get(body, 0), "id", out->id);
		return 0;
	case PROVIDER_ASK_COMMENTS:
		provider_find(body, "body", a->text, true, out);
		return 0;
	case PROVIDER_ASK_HOOKS:
		provider_find(body, "config.url", a->url, false, out);
		return 0;
	case PROVIDER_TELL_DEPLOYMENT:
	case PROVIDER_TELL_COMMENT:
	case PROVIDER_ADD_HOOK:
		pj_id(body, "id", out->id);
		return out->id[0] ? 0 : provider_wrong(err, TITLE, "id");
	default:
		return 0;
	}
}

static bool done_already(enum provider_ask ask, int http, const char *body)
{
	return ask == PROVIDER_DROP_HOOK && http == 404;
}

const struct provider_codec provider_github = {
	.name = "github",
	.title = TITLE,
	.default_url = "https://github.com",
	.pull_ref = "refs/pull/%lld/head",
	.git_user = "x-access-token",
	.verify = verify,
	.parse = parse,
	.authorise = authorise,
	.accept = "Accept: application/vnd.github+json",
	.request = request,
	.answer = answer,
	.done_already = done_already,
};
