/* GitHub, and GitHub Enterprise Server, whose API is below /api/v3. docs.github.com: "Webhook
 * events and payloads" (pull_request, push, status, check_suite, check_run, workflow_run),
 * "Validating webhook deliveries"; REST API: repos, pulls, branches, commits/statuses, checks/runs,
 * deployments, deployments/statuses, issues/comments, repos/webhooks (version 2022-11-28). */
#include "daemon/provider/codec_int.h"

#define TITLE "GitHub"

static bool verify(provider_header_fn *get, void *arg, const char *secret, const void *body,
		   size_t n, char delivery[129])
{
	const char *sign = get(arg, "x-hub-signature-256"), *id = get(arg, "x-github-delivery");

	if (!sign || strncmp(sign, "sha256=", 7) != 0 ||
	    !provider_hmac_ok(secret, body, n, sign + 7))
		return false;
	provider_delivery_id(id, body, n, delivery);
	return true;
}

/* --- deliveries --- */

static const struct provider_action pr_actions[] = {
	{"opened", PROVIDER_PR_OPENED},
	{"reopened", PROVIDER_PR_OPENED},
	{"synchronize", PROVIDER_PR_UPDATED},
	{"edited", PROVIDER_PR_UPDATED},
	{"ready_for_review", PROVIDER_PR_UPDATED},
	{"closed", PROVIDER_PR_CLOSED},
	{0},
};

#define REPO "repository.full_name"

static int on_pull(const json_t *body, struct provider_event *e, struct err *err)
{
	return provider_pull_event(TITLE, pr_actions, body, e, err);
}

static int on_push(const json_t *body, struct provider_event *e, struct err *err)
{
	return provider_push_event(TITLE, REPO, "pusher.name", body, e, err);
}

static enum provider_ci ci_of_status(const json_t *status)
{
	static const struct provider_ci_name known[] = {
		{"success", PROVIDER_CI_SUCCESS}, {"pending", PROVIDER_CI_PENDING}, {0}};
	const char *state = pj_text(status, "state");

	return provider_ci_of(known, state, state ? PROVIDER_CI_FAILURE : PROVIDER_CI_NONE);
}

static enum provider_ci ci_of_run(const json_t *run)
{
	static const struct provider_ci_name conclusions[] = {{"success", PROVIDER_CI_SUCCESS},
							      {"neutral", PROVIDER_CI_SUCCESS},
							      {"skipped", PROVIDER_CI_SUCCESS},
							      {0}};
	const char *c = pj_text(run, "conclusion");

	if (!pj_is(run, "status", "completed") || !c)
		return PROVIDER_CI_PENDING;
	return provider_ci_of(conclusions, c, PROVIDER_CI_FAILURE);
}

static int on_status(const json_t *body, struct provider_event *e, struct err *err)
{
	return provider_checks_event(TITLE, REPO, body, body, "sha", ci_of_status(body), e, err);
}

static int on_run(const json_t *body, const char *what, struct provider_event *e, struct err *err)
{
	const json_t *run = pj_at(body, what);

	e->branch = pj_dup(run, "head_branch");
	if (!e->branch)
		e->branch = pj_dup(run, "check_suite.head_branch");
	return provider_checks_event(TITLE, REPO, body, run, "head_sha", ci_of_run(run), e, err);
}

static int on_check_suite(const json_t *body, struct provider_event *e, struct err *err)
{
	return on_run(body, "check_suite", e, err);
}

static int on_check_run(const json_t *body, struct provider_event *e, struct err *err)
{
	return on_run(body, "check_run", e, err);
}

static int on_workflow_run(const json_t *body, struct provider_event *e, struct err *err)
{
	return on_run(body, "workflow_run", e, err);
}

static int parse(provider_header_fn *get, void *arg, const json_t *body, struct provider_event *out,
		 struct err *err)
{
	static const struct provider_handler events[] = {
		{"pull_request", on_pull},
		{"push", on_push},
		{"status", on_status},
		{"check_suite", on_check_suite},
		{"check_run", on_check_run},
		{"workflow_run", on_workflow_run},
		{0},
	};
	const char *event = get(arg, "x-github-event");

	return event ? provider_handle(events, event, body, out, err)
		     : provider_wrong(err, TITLE, "X-GitHub-Event");
}

/* --- requests --- */

static void authorise(const char *token, struct buf *out)
{
	buf_addf(out, "Authorization: Bearer %s", token);
}

static char *api(const char *base_url)
{
	return strcmp(base_url, "https://github.com") == 0 ? xstrdup("https://api.github.com")
							   : xasprintf("%s/api/v3", base_url);
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

static const char *const states[] = {"in_progress", "success", "failure", "inactive"};

static json_t *status(const struct provider_args *a)
{
	return json_pack("{s:s, s:s*, s:s*, s:s*, s:s*, s:b}", "state", states[a->state],
			 "environment_url", a->url, "log_url", a->log_url, "description", a->text,
			 "environment", a->environment, "auto_inactive", 0);
}

static json_t *hook(const struct provider_args *a)
{
	return json_pack("{s:s, s:b, s:[s,s,s,s], s:{s:s, s:s, s:s, s:s}}", "name", "web", "active",
			 1, "events", "pull_request", "push", "status", "check_suite", "config",
			 "url", a->url, "content_type", "json", "secret", a->secret, "insecure_ssl",
			 "0");
}

static const struct provider_form forms[PROVIDER_ASKS] = {
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
	[PROVIDER_ASK_STATUS] = {"GET", "/repos/%R/deployments/%I/statuses?per_page=100"},
	[PROVIDER_ASK_COMMENTS] = {"GET", "/repos/%R/issues/%N/comments?%P"},
	[PROVIDER_TELL_COMMENT] = {"POST", "/repos/%R/issues/%N/comments", provider_comment_body},
	[PROVIDER_EDIT_COMMENT] = {"PATCH", "/repos/%R/issues/comments/%I", provider_comment_body},
	[PROVIDER_ASK_HOOKS] = {"GET", "/repos/%R/hooks?%P"},
	[PROVIDER_ADD_HOOK] = {"POST", "/repos/%R/hooks", hook},
	[PROVIDER_DROP_HOOK] = {"DELETE", "/repos/%R/hooks/%I"},
};

/* --- answers --- */

/* The newest: its id is the greatest. */
static bool stands(const struct provider_args *a, const json_t *list)
{
	const json_t *last = NULL;

	for (size_t i = 0; i < json_array_size(list); i++)
		if (!last || pj_int(json_array_get(list, i), "id") > pj_int(last, "id"))
			last = json_array_get(list, i);
	return pj_is(last, "state", states[a->state]);
}

static const struct provider_dialect dialect = {
	.forms = forms,
	.api = api,
	.name_at = "full_name",
	.sha_at = "commit.sha",
	.hook_url_at = "config.url",
	.pull = provider_pull_read,
	.statuses = {"statuses", ci_of_status},
	.runs = {"check_runs", ci_of_run},
	.stands = stands,
};

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
	.done_already = provider_hook_gone,
	.d = &dialect,
};
