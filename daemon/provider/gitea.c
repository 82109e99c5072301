/* Gitea, and Forgejo, which speaks the same API and signs with X-Forgejo-Signature too.
 * docs.gitea.com: "Webhooks"; a server's /swagger.v1.json: repoGet, repoListPullRequests,
 * repoGetPullRequest, repoGetBranch, repoGetCombinedStatusByRef, repoCreateStatus,
 * issueGetComments, issueCreateComment, issueEditComment, repoListHooks, repoCreateHook,
 * repoDeleteHook.
 *
 * A server may give fewer items a page than it is asked for (MAX_RESPONSE_ITEMS): lists are read
 * until a page is empty. */
#include "daemon/core/codec.h"
#include "daemon/provider/codec_int.h"

#include <stdio.h>

#define TITLE "Gitea"

static bool verify(provider_header_fn *get, void *arg, const char *secret, const void *body,
		   size_t n, char delivery[129])
{
	static const char *const signs[] = {"x-gitea-signature", "x-forgejo-signature"};
	static const char *const ids[] = {"x-gitea-delivery", "x-forgejo-delivery"};

	for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
		const char *sign = get(arg, signs[i]), *id = get(arg, ids[i]);

		if (!sign || !provider_hmac_ok(secret, body, n, sign))
			continue;
		if (id && *id)
			snprintf(delivery, 129, "%.128s", id);
		else
			provider_sum(body, n, delivery);
		return true;
	}
	return false;
}

/* --- deliveries --- */

static const struct {
	const char *action;
	enum provider_event_kind kind;
} pr_actions[] = {
	{"opened", PROVIDER_PR_OPENED},	       {"reopened", PROVIDER_PR_OPENED},
	{"synchronized", PROVIDER_PR_UPDATED}, {"edited", PROVIDER_PR_UPDATED},
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
	e->author = pj_dup(body, "pusher.login");
	if (e->branch)
		e->kind = e->sha ? PROVIDER_PUSH : PROVIDER_BRANCH_DELETED;
	return 0;
}

static int on_delete(const json_t *body, struct provider_event *e, struct err *err)
{
	if (!pj_is(body, "ref_type", "branch"))
		return 0;
	e->branch = pj_dup(body, "ref");
	e->repo = pj_dup(body, "repository.full_name");
	if (!e->branch)
		return provider_wrong(err, TITLE, "ref");
	e->kind = PROVIDER_BRANCH_DELETED;
	return 0;
}

static enum provider_ci ci_of(const char *state)
{
	static const struct {
		const char *state;
		enum provider_ci ci;
	} known[] = {
		{"success", PROVIDER_CI_SUCCESS}, {"warning", PROVIDER_CI_SUCCESS},
		{"skipped", PROVIDER_CI_SUCCESS}, {"pending", PROVIDER_CI_PENDING},
		{"error", PROVIDER_CI_FAILURE},	  {"failure", PROVIDER_CI_FAILURE},
	};

	for (size_t i = 0; state && i < ARRAY_LEN(known); i++)
		if (strcmp(state, known[i].state) == 0)
			return known[i].ci;
	return PROVIDER_CI_PENDING;
}

static int on_status(const json_t *body, struct provider_event *e, struct err *err)
{
	e->sha = pj_sha(body, "sha");
	e->repo = pj_dup(body, "repository.full_name");
	e->ci = ci_of(pj_text(body, "state"));
	if (!e->sha)
		return provider_wrong(err, TITLE, "commit");
	e->kind = PROVIDER_CHECKS;
	return 0;
}

static int parse(provider_header_fn *get, void *arg, const json_t *body, struct provider_event *out,
		 struct err *err)
{
	static const struct {
		const char *event;
		int (*fn)(const json_t *body, struct provider_event *e, struct err *err);
	} events[] = {
		{"pull_request", on_pull}, {"pull_request_sync", on_pull}, {"push", on_push},
		{"delete", on_delete},	   {"status", on_status},
	};
	const char *event = get(arg, "x-gitea-event");

	if (!event)
		event = get(arg, "x-forgejo-event");
	if (!event)
		return provider_wrong(err, TITLE, "X-Gitea-Event");
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		if (strcmp(event, events[i].event) == 0)
			return events[i].fn(body, out, err);
	return 0;
}

/* --- requests --- */

static void authorise(const char *token, struct buf *out)
{
	buf_addf(out, "Authorization: token %s", token);
}

#define OUR_CONTEXT "paasd/" /* of statuses that are ours */

static json_t *status(const struct provider_args *a)
{
	static const char *const states[] = {"pending", "success", "failure", "warning"};
	AUTO(auto_str) char *context = xasprintf(OUR_CONTEXT "%s", a->environment);
	const char *url = a->url ? a->url : a->log_url;

	return json_pack("{s:s, s:s, s:s*, s:s*}", "state", states[a->state], "context", context,
			 "target_url", url, "description", a->text);
}

static json_t *comment(const struct provider_args *a)
{
	return json_pack("{s:s}", "body", a->text);
}

static json_t *hook(const struct provider_args *a)
{
	return json_pack("{s:s, s:b, s:[s,s,s,s,s], s:{s:s, s:s, s:s}}", "type", "gitea", "active",
			 1, "events", "pull_request", "pull_request_sync", "push", "delete",
			 "status", "config", "url", a->url, "content_type", "json", "secret",
			 a->secret);
}

static const struct {
	const char *method, *path;
	json_t *(*body)(const struct provider_args *a);
} asks[PROVIDER_ASKS] = {
	[PROVIDER_ASK_REPO] = {"GET", "/repos/%R"},
	[PROVIDER_ASK_PULLS] = {"GET", "/repos/%R/pulls?state=open&sort=oldest&%L"},
	[PROVIDER_ASK_PULL] = {"GET", "/repos/%R/pulls/%N"},
	[PROVIDER_ASK_BRANCH] = {"GET", "/repos/%R/branches/%b"},
	[PROVIDER_ASK_STATUSES] = {"GET", "/repos/%R/commits/%S/status?%L"},
	[PROVIDER_TELL_STATUS] = {"POST", "/repos/%R/statuses/%S", status},
	[PROVIDER_ASK_COMMENTS] = {"GET", "/repos/%R/issues/%N/comments"},
	[PROVIDER_TELL_COMMENT] = {"POST", "/repos/%R/issues/%N/comments", comment},
	[PROVIDER_EDIT_COMMENT] = {"PATCH", "/repos/%R/issues/comments/%I", comment},
	[PROVIDER_ASK_HOOKS] = {"GET", "/repos/%R/hooks?%L"},
	[PROVIDER_ADD_HOOK] = {"POST", "/repos/%R/hooks", hook},
	[PROVIDER_DROP_HOOK] = {"DELETE", "/repos/%R/hooks/%I"},
};

static bool request(enum provider_ask ask, const struct provider_args *a,
		    struct provider_request *out)
{
	AUTO(auto_str) char *api = xasprintf("%s/api/v1", a->base_url);

	/* A closed request's commit keeps its last status: what is gone is said by the comment. */
	if (!asks[ask].path || (ask == PROVIDER_TELL_STATUS && a->state == PROVIDER_INACTIVE))
		return false;
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
	out->more = json_array_size(page) > 0;
	return 0;
}

/* The newest of each context. */
static int read_statuses(const json_t *j, struct provider_answer *out, struct err *err)
{
	const json_t *list = pj_at(j, "statuses");

	if (!json_is_object(j))
		return provider_wrong(err, TITLE, "combined status");
	for (size_t i = 0; i < json_array_size(list); i++) { /* null when there are none */
		const json_t *s = json_array_get(list, i);
		const char *context = pj_text(s, "context");
		enum provider_ci ci = ci_of(pj_text(s, "status"));

		if (context && strncmp(context, OUR_CONTEXT, sizeof OUR_CONTEXT - 1) == 0)
			continue;
		out->checks.good += ci == PROVIDER_CI_SUCCESS;
		out->checks.bad += ci == PROVIDER_CI_FAILURE;
		out->checks.pending += ci == PROVIDER_CI_PENDING;
	}
	out->more = json_array_size(list) > 0;
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
		out->sha = pj_sha(body, "commit.id");
		return out->sha ? 0 : provider_wrong(err, TITLE, "commit");
	case PROVIDER_ASK_STATUSES:
		return read_statuses(body, out, err);
	case PROVIDER_ASK_COMMENTS:
		provider_find(body, "body", a->text, true, out);
		out->more = false; /* this list has no pages */
		return 0;
	case PROVIDER_ASK_HOOKS:
		provider_find(body, "config.url", a->url, false, out);
		out->more = json_array_size(body) > 0 && !out->id[0];
		return 0;
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

const struct provider_codec provider_gitea = {
	.name = "gitea",
	.title = TITLE,
	.pull_ref = "refs/pull/%lld/head",
	.git_user = "oauth2",
	.verify = verify,
	.parse = parse,
	.authorise = authorise,
	.accept = "Accept: application/json",
	.request = request,
	.answer = answer,
	.done_already = done_already,
};
