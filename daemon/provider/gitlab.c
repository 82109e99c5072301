/* GitLab. docs.gitlab.com: "Webhooks" (X-Gitlab-Token, X-Gitlab-Event, Idempotency-Key), "Webhook
 * events" (push, merge request, pipeline, job); REST API version 4: projects, merge_requests,
 * branches, commits (statuses), notes, project webhooks. A project goes by its path, encoded as one
 * part. */
#include "daemon/core/codec.h"
#include "daemon/provider/codec_int.h"

#define TITLE "GitLab"

/* The token is the secret itself: it signs nothing. X-Gitlab-Event-UUID is shared by the events
 * that one causes, so where there is no key of this delivery its content tells it from others. */
static bool verify(provider_header_fn *get, void *arg, const char *secret, const void *body,
		   size_t n, char delivery[129])
{
	const char *token = get(arg, "x-gitlab-token"), *id = get(arg, "idempotency-key");
	char own[65], theirs[65];

	if (!token || !*secret)
		return false;
	/* Of hashes, so that the comparison's time tells nothing of the length either. */
	sha256_hex(secret, strlen(secret), own);
	sha256_hex(token, strlen(token), theirs);
	if (!ct_equal(own, theirs, 64))
		return false;
	provider_delivery_id(id, body, n, delivery);
	return true;
}

/* --- deliveries --- */

static const struct provider_action mr_actions[] = {
	{"open", PROVIDER_PR_OPENED},	 {"reopen", PROVIDER_PR_OPENED},
	{"update", PROVIDER_PR_UPDATED}, {"close", PROVIDER_PR_CLOSED},
	{"merge", PROVIDER_PR_CLOSED},	 {0},
};

#define REPO "project.path_with_namespace"

static int on_merge_request(const json_t *body, struct provider_event *e, struct err *err)
{
	const json_t *mr = pj_at(body, "object_attributes");
	const char *from = pj_text(mr, "source.path_with_namespace"),
		   *to = pj_text(mr, "target.path_with_namespace");

	e->number = pj_int(mr, "iid");
	e->branch = pj_dup(mr, "source_branch");
	e->base = pj_dup(mr, "target_branch");
	e->sha = pj_sha(mr, "last_commit.id");
	e->title = pj_dup(mr, "title");
	e->author = pj_dup(body, "user.username");
	e->repo = pj_dup(body, REPO);
	e->merged = pj_is(mr, "state", "merged");
	if (!from || !to)
		e->fork = pj_int(mr, "source_project_id") == pj_int(mr, "target_project_id")
				  ? NULL
				  : xstrdup("");
	else if (strcasecmp(from, to) != 0)
		e->fork = pj_dup(mr, "source.path_with_namespace");
	if (e->number <= 0 || !e->branch || !e->base)
		return provider_wrong(err, TITLE, "merge request");
	e->kind = provider_action_kind(mr_actions, mr);
	return 0;
}

static int on_push(const json_t *body, struct provider_event *e, struct err *err)
{
	return provider_push_event(TITLE, REPO, "user_username", body, e, err);
}

/* NONE: one that waits for a person, or was left out. */
static enum provider_ci ci_of(const char *status, bool allow_failure)
{
	static const struct provider_ci_name known[] = {
		{"success", PROVIDER_CI_SUCCESS},
		{"failed", PROVIDER_CI_FAILURE},
		{"canceled", PROVIDER_CI_FAILURE},
		{"canceling", PROVIDER_CI_FAILURE},
		{"manual", PROVIDER_CI_NONE},
		{"skipped", PROVIDER_CI_NONE},
		{0},
	};
	/* created, waiting_for_resource, preparing, running, scheduled */
	enum provider_ci ci = provider_ci_of(known, status, PROVIDER_CI_PENDING);

	return ci == PROVIDER_CI_FAILURE && allow_failure ? PROVIDER_CI_SUCCESS : ci;
}

static int on_pipeline(const json_t *body, struct provider_event *e, struct err *err)
{
	const json_t *p = pj_at(body, "object_attributes");

	e->branch = pj_true(p, "tag") ? NULL : pj_dup(p, "ref");
	return provider_checks_event(TITLE, REPO, body, p, "sha",
				     ci_of(pj_text(p, "status"), false), e, err);
}

static int on_job(const json_t *body, struct provider_event *e, struct err *err)
{
	e->branch = pj_true(body, "tag") ? NULL : pj_dup(body, "ref");
	return provider_checks_event(
		TITLE, REPO, body, body, "sha",
		ci_of(pj_text(body, "build_status"), pj_true(body, "build_allow_failure")), e, err);
}

static int parse(provider_header_fn *get, void *arg, const json_t *body, struct provider_event *out,
		 struct err *err)
{
	static const struct provider_handler kinds[] = {
		{"merge_request", on_merge_request},
		{"push", on_push},
		{"pipeline", on_pipeline},
		{"build", on_job},
		{0},
	};
	const char *kind = pj_text(body, "object_kind");

	return kind ? provider_handle(kinds, kind, body, out, err)
		    : provider_wrong(err, TITLE, "object_kind");
}

/* --- requests --- */

static void authorise(const char *token, struct buf *out)
{
	buf_addf(out, "PRIVATE-TOKEN: %s", token);
}

#define OUR_NAME "paasd/" /* of statuses that are ours */

static json_t *status(const struct provider_args *a)
{
	static const char *const states[] = {"running", "success", "failed", "canceled"};
	AUTO(auto_str) char *name = xasprintf(OUR_NAME "%s", a->environment);
	const char *url = a->url ? a->url : a->log_url;

	return json_pack("{s:s, s:s, s:s*, s:s*}", "state", states[a->state], "name", name,
			 "target_url", url, "description", a->text);
}

static json_t *hook(const struct provider_args *a)
{
	return json_pack("{s:s, s:s, s:b, s:b, s:b, s:b}", "url", a->url, "token", a->secret,
			 "push_events", 1, "merge_requests_events", 1, "pipeline_events", 1,
			 "enable_ssl_verification", 1);
}

static const struct provider_form forms[PROVIDER_ASKS] = {
	[PROVIDER_ASK_REPO] = {"GET", "/projects/%R"},
	[PROVIDER_ASK_PULLS] = {"GET", "/projects/%R/merge_requests?state=opened"
				       "&order_by=created_at&sort=asc&%P"},
	[PROVIDER_ASK_PULL] = {"GET", "/projects/%R/merge_requests/%N"},
	[PROVIDER_ASK_BRANCH] = {"GET", "/projects/%R/repository/branches/%B"},
	[PROVIDER_ASK_STATUSES] = {"GET", "/projects/%R/repository/commits/%S/statuses?%P"},
	[PROVIDER_TELL_STATUS] = {"POST", "/projects/%R/statuses/%S", status},
	[PROVIDER_ASK_COMMENTS] = {"GET", "/projects/%R/merge_requests/%N/notes?%P"},
	[PROVIDER_TELL_COMMENT] = {"POST", "/projects/%R/merge_requests/%N/notes",
				   provider_comment_body},
	[PROVIDER_EDIT_COMMENT] = {"PUT", "/projects/%R/merge_requests/%N/notes/%I",
				   provider_comment_body},
	[PROVIDER_ASK_HOOKS] = {"GET", "/projects/%R/hooks?%P"},
	[PROVIDER_ADD_HOOK] = {"POST", "/projects/%R/hooks", hook},
	[PROVIDER_DROP_HOOK] = {"DELETE", "/projects/%R/hooks/%I"},
};

static char *api(const char *base_url)
{
	return xasprintf("%s/api/v4", base_url);
}

/* --- answers --- */

/* A fork is named by its number: its path would cost a request more. */
static void read_mr(const json_t *mr, struct provider_pull *p)
{
	long long from = pj_int(mr, "source_project_id"), to = pj_int(mr, "target_project_id");

	p->number = pj_int(mr, "iid");
	p->open = pj_is(mr, "state", "opened") || pj_is(mr, "state", "locked");
	p->merged = pj_is(mr, "state", "merged");
	p->branch = pj_dup(mr, "source_branch");
	p->base = pj_dup(mr, "target_branch");
	p->sha = pj_sha(mr, "sha");
	p->title = pj_dup(mr, "title");
	p->author = pj_dup(mr, "author.username");
	if (!from)
		p->fork = xstrdup(""); /* its project is gone */
	else if (from != to)
		p->fork = xasprintf("projects/%lld", from);
}

static enum provider_ci ci_of_status(const json_t *s)
{
	const char *name = pj_text(s, "name");

	return name && strncmp(name, OUR_NAME, sizeof OUR_NAME - 1) == 0
		       ? PROVIDER_CI_NONE
		       : ci_of(pj_text(s, "status"), pj_true(s, "allow_failure"));
}

static const struct provider_dialect dialect = {
	.forms = forms,
	.api = api,
	.encodes_repo = true,
	.keeps_ended = true,
	.name_at = "path_with_namespace",
	.sha_at = "commit.id",
	.hook_url_at = "url",
	.pull = read_mr,
	.statuses = {"", ci_of_status},
};

/* "Cannot transition status via :run from :running": it says so already. */
static bool done_already(enum provider_ask ask, int http, const char *body)
{
	return provider_hook_gone(ask, http, body) ||
	       (ask == PROVIDER_TELL_STATUS && http == 400 &&
		strstr(body, "Cannot transition status") != NULL);
}

const struct provider_codec provider_gitlab = {
	.name = "gitlab",
	.title = TITLE,
	.default_url = "https://gitlab.com",
	.pull_ref = "refs/merge-requests/%lld/head",
	.git_user = "oauth2",
	.verify = verify,
	.parse = parse,
	.authorise = authorise,
	.accept = "Accept: application/json",
	.done_already = done_already,
	.d = &dialect,
};
