/* GitLab. docs.gitlab.com: "Webhooks" (X-Gitlab-Token, X-Gitlab-Event, Idempotency-Key), "Webhook
 * events" (push, merge request, pipeline, job); REST API version 4: projects, merge_requests,
 * branches, commits (statuses), notes, project webhooks. A project goes by its path, encoded as one
 * part. */
#include "daemon/core/codec.h"
#include "daemon/provider/codec_int.h"

#include <stdio.h>

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
} mr_actions[] = {
	{"open", PROVIDER_PR_OPENED},	 {"reopen", PROVIDER_PR_OPENED},
	{"update", PROVIDER_PR_UPDATED}, {"close", PROVIDER_PR_CLOSED},
	{"merge", PROVIDER_PR_CLOSED},
};

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
	e->repo = pj_dup(body, "project.path_with_namespace");
	e->merged = pj_is(mr, "state", "merged");
	if (!from || !to)
		e->fork = pj_int(mr, "source_project_id") == pj_int(mr, "target_project_id")
				  ? NULL
				  : xstrdup("");
	else if (strcasecmp(from, to) != 0)
		e->fork = pj_dup(mr, "source.path_with_namespace");
	if (e->number <= 0 || !e->branch || !e->base)
		return provider_wrong(err, TITLE, "merge request");
	for (size_t i = 0; i < ARRAY_LEN(mr_actions); i++)
		if (pj_is(mr, "action", mr_actions[i].action))
			e->kind = mr_actions[i].kind;
	return 0;
}

static int on_push(const json_t *body, struct provider_event *e, struct err *err)
{
	if (!pj_text(body, "ref"))
		return provider_wrong(err, TITLE, "ref");
	e->branch = pj_branch_of_ref(body, "ref");
	e->sha = pj_sha(body, "after");
	e->repo = pj_dup(body, "project.path_with_namespace");
	e->author = pj_dup(body, "user_username");
	if (e->branch)
		e->kind = e->sha ? PROVIDER_PUSH : PROVIDER_BRANCH_DELETED;
	return 0;
}

/* False: one that waits for a person, or was left out. */
static bool counts(const char *status, bool allow_failure, enum provider_ci *ci)
{
	static const struct {
		const char *status;
		enum provider_ci ci;
	} known[] = {
		{"success", PROVIDER_CI_SUCCESS},  {"failed", PROVIDER_CI_FAILURE},
		{"canceled", PROVIDER_CI_FAILURE}, {"canceling", PROVIDER_CI_FAILURE},
		{"manual", PROVIDER_CI_NONE},	   {"skipped", PROVIDER_CI_NONE},
	};

	*ci = PROVIDER_CI_PENDING; /* created, waiting_for_resource, preparing, running, scheduled
				    */
	for (size_t i = 0; status && i < ARRAY_LEN(known); i++)
		if (strcmp(status, known[i].status) == 0)
			*ci = known[i].ci;
	if (*ci == PROVIDER_CI_FAILURE && allow_failure)
		*ci = PROVIDER_CI_SUCCESS;
	return *ci != PROVIDER_CI_NONE;
}

static int on_pipeline(const json_t *body, struct provider_event *e, struct err *err)
{
	const json_t *p = pj_at(body, "object_attributes");

	e->sha = pj_sha(p, "sha");
	e->branch = pj_true(p, "tag") ? NULL : pj_dup(p, "ref");
	e->repo = pj_dup(body, "project.path_with_namespace");
	counts(pj_text(p, "status"), false, &e->ci);
	if (!e->sha)
		return provider_wrong(err, TITLE, "commit");
	e->kind = PROVIDER_CHECKS;
	return 0;
}

static int on_job(const json_t *body, struct provider_event *e, struct err *err)
{
	e->sha = pj_sha(body, "sha");
	e->branch = pj_true(body, "tag") ? NULL : pj_dup(body, "ref");
	e->repo = pj_dup(body, "project.path_with_namespace");
	counts(pj_text(body, "build_status"), pj_true(body, "build_allow_failure"), &e->ci);
	if (!e->sha)
		return provider_wrong(err, TITLE, "commit");
	e->kind = PROVIDER_CHECKS;
	return 0;
}

static int parse(provider_header_fn *get, void *arg, const json_t *body, struct provider_event *out,
		 struct err *err)
{
	static const struct {
		const char *kind;
		int (*fn)(const json_t *body, struct provider_event *e, struct err *err);
	} kinds[] = {
		{"merge_request", on_merge_request},
		{"push", on_push},
		{"pipeline", on_pipeline},
		{"build", on_job},
	};
	const char *kind = pj_text(body, "object_kind");

	if (!kind)
		return provider_wrong(err, TITLE, "object_kind");
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kind, kinds[i].kind) == 0)
			return kinds[i].fn(body, out, err);
	return 0;
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

static json_t *note(const struct provider_args *a)
{
	return json_pack("{s:s}", "body", a->text);
}

static json_t *hook(const struct provider_args *a)
{
	return json_pack("{s:s, s:s, s:b, s:b, s:b, s:b}", "url", a->url, "token", a->secret,
			 "push_events", 1, "merge_requests_events", 1, "pipeline_events", 1,
			 "enable_ssl_verification", 1);
}

static const struct {
	const char *method, *path;
	json_t *(*body)(const struct provider_args *a);
} asks[PROVIDER_ASKS] = {
	[PROVIDER_ASK_REPO] = {"GET", "/projects/%R"},
	[PROVIDER_ASK_PULLS] = {"GET", "/projects/%R/merge_requests?state=opened"
				       "&order_by=created_at&sort=asc&%P"},
	[PROVIDER_ASK_PULL] = {"GET", "/projects/%R/merge_requests/%N"},
	[PROVIDER_ASK_BRANCH] = {"GET", "/projects/%R/repository/branches/%B"},
	[PROVIDER_ASK_STATUSES] = {"GET", "/projects/%R/repository/commits/%S/statuses?%P"},
	[PROVIDER_TELL_STATUS] = {"POST", "/projects/%R/statuses/%S", status},
	[PROVIDER_ASK_COMMENTS] = {"GET", "/projects/%R/merge_requests/%N/notes?%P"},
	[PROVIDER_TELL_COMMENT] = {"POST", "/projects/%R/merge_requests/%N/notes", note},
	[PROVIDER_EDIT_COMMENT] = {"PUT", "/projects/%R/merge_requests/%N/notes/%I", note},
	[PROVIDER_ASK_HOOKS] = {"GET", "/projects/%R/hooks?%P"},
	[PROVIDER_ADD_HOOK] = {"POST", "/projects/%R/hooks", hook},
	[PROVIDER_DROP_HOOK] = {"DELETE", "/projects/%R/hooks/%I"},
};

static bool request(enum provider_ask ask, const struct provider_args *a,
		    struct provider_request *out)
{
	AUTO(auto_str) char *api = xasprintf("%s/api/v4", a->base_url);
	AUTO(buf_clear) struct buf repo = {0};

	/* A status that has ended does not change: what is gone is said by the comment. */
	if (!asks[ask].path || (ask == PROVIDER_TELL_STATUS && a->state == PROVIDER_INACTIVE))
		return false;
	percent_encode(a->repo, &repo);
	*out = (struct provider_request){
		.method = asks[ask].method,
		.url = provider_url(asks[ask].path, a, api, buf_str(&repo))};
	if (asks[ask].body)
		provider_body(out, asks[ask].body(a));
	return true;
}

/* --- answers --- */

/* A fork is named by its number: its path would cost a request more. */
static int read_mr(const json_t *mr, struct provider_answer *out, struct err *err)
{
	struct provider_pull *p = provider_pulls_add(&out->pulls);
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
	return p->number > 0 && p->branch ? 0 : provider_wrong(err, TITLE, "merge request");
}

static int read_mrs(const json_t *page, struct provider_answer *out, struct err *err)
{
	if (!json_is_array(page))
		return provider_wrong(err, TITLE, "list");
	for (size_t i = 0; i < json_array_size(page); i++)
		if (read_mr(json_array_get(page, i), out, err) < 0)
			return -1;
	out->more = json_array_size(page) >= PROVIDER_PAGE;
	return 0;
}

static int read_statuses(const json_t *page, struct provider_answer *out, struct err *err)
{
	if (!json_is_array(page))
		return provider_wrong(err, TITLE, "list of statuses");
	for (size_t i = 0; i < json_array_size(page); i++) {
		const json_t *s = json_array_get(page, i);
		const char *name = pj_text(s, "name");
		enum provider_ci ci;

		if ((name && strncmp(name, OUR_NAME, sizeof OUR_NAME - 1) == 0) ||
		    !counts(pj_text(s, "status"), pj_true(s, "allow_failure"), &ci))
			continue;
		out->checks.good += ci == PROVIDER_CI_SUCCESS;
		out->checks.bad += ci == PROVIDER_CI_FAILURE;
		out->checks.pending += ci == PROVIDER_CI_PENDING;
	}
	out->more = json_array_size(page) >= PROVIDER_PAGE;
	return 0;
}

static int answer(enum provider_ask ask, const struct provider_args *a, const json_t *body,
		  struct provider_answer *out, struct err *err)
{
	out->more = false;
	switch (ask) {
	case PROVIDER_ASK_REPO:
		out->full_name = pj_dup(body, "path_with_namespace");
		return out->full_name ? 0 : provider_wrong(err, TITLE, "path_with_namespace");
	case PROVIDER_ASK_PULLS:
		return read_mrs(body, out, err);
	case PROVIDER_ASK_PULL:
		return read_mr(body, out, err);
	case PROVIDER_ASK_BRANCH:
		out->sha = pj_sha(body, "commit.id");
		return out->sha ? 0 : provider_wrong(err, TITLE, "commit");
	case PROVIDER_ASK_STATUSES:
		return read_statuses(body, out, err);
	case PROVIDER_ASK_COMMENTS:
		provider_find(body, "body", a->text, true, out);
		return 0;
	case PROVIDER_ASK_HOOKS:
		provider_find(body, "url", a->url, false, out);
		return 0;
	case PROVIDER_TELL_COMMENT:
	case PROVIDER_ADD_HOOK:
		pj_id(body, "id", out->id);
		return out->id[0] ? 0 : provider_wrong(err, TITLE, "id");
	default:
		return 0;
	}
}

/* "Cannot transition status via :run from :running": it says so already. */
static bool done_already(enum provider_ask ask, int http, const char *body)
{
	return (ask == PROVIDER_DROP_HOOK && http == 404) ||
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
	.request = request,
	.answer = answer,
	.done_already = done_already,
};
