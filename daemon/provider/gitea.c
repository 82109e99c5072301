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
		provider_delivery_id(id, body, n, delivery);
		return true;
	}
	return false;
}

/* --- deliveries --- */

static const struct provider_action pr_actions[] = {
	{"opened", PROVIDER_PR_OPENED},	       {"reopened", PROVIDER_PR_OPENED},
	{"synchronized", PROVIDER_PR_UPDATED}, {"edited", PROVIDER_PR_UPDATED},
	{"closed", PROVIDER_PR_CLOSED},	       {0},
};

static int on_pull(const json_t *body, struct provider_event *e, struct err *err)
{
	return provider_pull_event(TITLE, pr_actions, body, e, err);
}

static int on_push(const json_t *body, struct provider_event *e, struct err *err)
{
	return provider_push_event(TITLE, "repository.full_name", "pusher.login", body, e, err);
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

static const struct provider_ci_name states_of_checks[] = {
	{"success", PROVIDER_CI_SUCCESS}, {"warning", PROVIDER_CI_SUCCESS},
	{"skipped", PROVIDER_CI_SUCCESS}, {"error", PROVIDER_CI_FAILURE},
	{"failure", PROVIDER_CI_FAILURE}, {0},
};

static int on_status(const json_t *body, struct provider_event *e, struct err *err)
{
	return provider_checks_event(
		TITLE, "repository.full_name", body, body, "sha",
		provider_ci_of(states_of_checks, pj_text(body, "state"), PROVIDER_CI_PENDING), e,
		err);
}

static int parse(provider_header_fn *get, void *arg, const json_t *body, struct provider_event *out,
		 struct err *err)
{
	static const struct provider_handler events[] = {
		{"pull_request", on_pull}, {"pull_request_sync", on_pull}, {"push", on_push},
		{"delete", on_delete},	   {"status", on_status},	   {0},
	};
	const char *event = get(arg, "x-gitea-event");

	if (!event)
		event = get(arg, "x-forgejo-event");
	return event ? provider_handle(events, event, body, out, err)
		     : provider_wrong(err, TITLE, "X-Gitea-Event");
}

/* --- requests --- */

static void authorise(const char *token, struct buf *out)
{
	buf_addf(out, "Authorization: token %s", token);
}

#define OUR_CONTEXT "paasd/" /* of statuses that are ours */

static const char *const states[] = {"pending", "success", "failure", "warning"};

static json_t *status(const struct provider_args *a)
{
	AUTO(auto_str) char *context = xasprintf(OUR_CONTEXT "%s", a->environment);
	const char *url = a->url ? a->url : a->log_url;

	return json_pack("{s:s, s:s, s:s*, s:s*}", "state", states[a->state], "context", context,
			 "target_url", url, "description", a->text);
}

static json_t *hook(const struct provider_args *a)
{
	return json_pack("{s:s, s:b, s:[s,s,s,s,s], s:{s:s, s:s, s:s}}", "type", "gitea", "active",
			 1, "events", "pull_request", "pull_request_sync", "push", "delete",
			 "status", "config", "url", a->url, "content_type", "json", "secret",
			 a->secret);
}

static const struct provider_form forms[PROVIDER_ASKS] = {
	[PROVIDER_ASK_REPO] = {"GET", "/repos/%R"},
	[PROVIDER_ASK_PULLS] = {"GET", "/repos/%R/pulls?state=open&sort=oldest&%L"},
	[PROVIDER_ASK_PULL] = {"GET", "/repos/%R/pulls/%N"},
	[PROVIDER_ASK_BRANCH] = {"GET", "/repos/%R/branches/%b"},
	[PROVIDER_ASK_STATUSES] = {"GET", "/repos/%R/commits/%S/status?%L"},
	[PROVIDER_TELL_STATUS] = {"POST", "/repos/%R/statuses/%S", status},
	[PROVIDER_ASK_STATUS] = {"GET", "/repos/%R/commits/%S/status?limit=50"},
	[PROVIDER_ASK_COMMENTS] = {"GET", "/repos/%R/issues/%N/comments"},
	[PROVIDER_TELL_COMMENT] = {"POST", "/repos/%R/issues/%N/comments", provider_comment_body},
	[PROVIDER_EDIT_COMMENT] = {"PATCH", "/repos/%R/issues/comments/%I", provider_comment_body},
	[PROVIDER_ASK_HOOKS] = {"GET", "/repos/%R/hooks?%L"},
	[PROVIDER_ADD_HOOK] = {"POST", "/repos/%R/hooks", hook},
	[PROVIDER_DROP_HOOK] = {"DELETE", "/repos/%R/hooks/%I"},
};

static char *api(const char *base_url)
{
	return xasprintf("%s/api/v1", base_url);
}

/* --- answers --- */

static enum provider_ci ci_of_status(const json_t *s)
{
	const char *context = pj_text(s, "context");

	return context && strncmp(context, OUR_CONTEXT, sizeof OUR_CONTEXT - 1) == 0
		       ? PROVIDER_CI_NONE
		       : provider_ci_of(states_of_checks, pj_text(s, "status"),
					PROVIDER_CI_PENDING);
}

/* The list has the newest of each context. */
static bool stands(const struct provider_args *a, const json_t *j)
{
	AUTO(auto_str) char *context = xasprintf(OUR_CONTEXT "%s", a->environment);
	const json_t *list = pj_at(j, "statuses");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *s = json_array_get(list, i);

		if (pj_is(s, "context", context))
			return pj_is(s, "status", states[a->state]);
	}
	return false;
}

static const struct provider_dialect dialect = {
	.forms = forms,
	.api = api,
	.keeps_ended = true,
	.short_pages = true,
	.all_comments = true,
	.name_at = "full_name",
	.sha_at = "commit.id",
	.hook_url_at = "config.url",
	.pull = provider_pull_read,
	.statuses = {"statuses", ci_of_status},
	.stands = stands,
};

const struct provider_codec provider_gitea = {
	.name = "gitea",
	.title = TITLE,
	.pull_ref = "refs/pull/%lld/head",
	.git_user = "oauth2",
	.verify = verify,
	.parse = parse,
	.authorise = authorise,
	.accept = "Accept: application/json",
	.done_already = provider_hook_gone,
	.d = &dialect,
};
