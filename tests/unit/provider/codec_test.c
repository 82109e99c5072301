/* What GitHub, GitLab and Gitea send, and what they are sent. GitHub's deliveries are the examples
 * of
 * @octokit/webhooks-examples, which `make deps-test` installs; the others' are written from their
 * documentation. */
#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"
#include "daemon/provider/codec.h"
#include "proto/limits.h"
#include "tests/unit/test.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

DEFINE_AUTO(json_t *, json_decref)

#define EXAMPLES "build/octokit/node_modules/@octokit/webhooks-examples/api.github.com/index.json"
#define SECRET	 "0123456789abcdef0123456789abcdef"
#define SHA	 "6113728f27ae82c7b1a177c8d03f9e96e0adf246"

/* --- headers of a request --- */

struct headers {
	const char *v[16]; /* name, value ... */
};

static const char *get(void *arg, const char *name)
{
	const struct headers *h = arg;

	for (int i = 0; i < 16 && h->v[i]; i += 2)
		if (strcmp(h->v[i], name) == 0)
			return h->v[i + 1];
	return NULL;
}

static void hmac_hex(const char *secret, const char *body, char out[65])
{
	unsigned char mac[32];
	unsigned n = 0;

	HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)body, strlen(body),
	     mac, &n);
	hex_encode(mac, 32, out);
}

/* As the provider would send it. */
static int deliver(enum provider_kind kind, const char *event, const char *body,
		   struct provider_event *e, struct err *err)
{
	char hex[65], sign[80], delivery[129];
	struct headers h = {{"content-type", "application/json; charset=utf-8"}};

	hmac_hex(SECRET, body, hex);
	snprintf(sign, sizeof sign, "%s%s", kind == PROVIDER_GITHUB ? "sha256=" : "", hex);
	switch (kind) {
	case PROVIDER_GITHUB:
		h = (struct headers){{"x-hub-signature-256", sign, "x-github-event", event,
				      "x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"}};
		break;
	case PROVIDER_GITLAB:
		h = (struct headers){{"x-gitlab-token", SECRET, "x-gitlab-event", event,
				      "idempotency-key", "f5e5f430-f57b-4e6e-9fac-d9128cd7232f"}};
		break;
	default:
		h = (struct headers){{"x-gitea-signature", sign, "x-gitea-event", event,
				      "x-gitea-delivery", "f6266f16-1bf3-46a5-9ea4-602e06ead473"}};
	}
	return provider_delivery_read(provider_codecs[kind], get, &h, SECRET, body, strlen(body),
				      delivery, e, err);
}

#define IS(a, b) assert_string_equal(a, b)

/* --- GitHub's own examples --- */

static const char *str(const json_t *o, const char *a, const char *b, const char *c)
{
	o = json_object_get(o, a);
	o = b ? json_object_get(o, b) : o;
	return json_string_value(c ? json_object_get(o, c) : o);
}

static void check_pull(const json_t *x, const struct provider_event *e)
{
	const char *action = str(x, "action", NULL, NULL);
	const json_t *pr = json_object_get(x, "pull_request");
	const char *head = str(json_object_get(pr, "head"), "repo", "full_name", NULL);
	enum provider_event_kind want = PROVIDER_NOTHING;

	if (!strcmp(action, "opened") || !strcmp(action, "reopened"))
		want = PROVIDER_PR_OPENED;
	if (!strcmp(action, "synchronize") || !strcmp(action, "edited") ||
	    !strcmp(action, "ready_for_review"))
		want = PROVIDER_PR_UPDATED;
	if (!strcmp(action, "closed"))
		want = PROVIDER_PR_CLOSED;
	assert_int_equal(e->kind, want);
	assert_int_equal(e->number, json_integer_value(json_object_get(pr, "number")));
	IS(e->branch, str(pr, "head", "ref", NULL));
	IS(e->sha, str(pr, "head", "sha", NULL));
	IS(e->base, str(pr, "base", "ref", NULL));
	IS(e->title, str(pr, "title", NULL, NULL));
	IS(e->author, str(pr, "user", "login", NULL));
	IS(e->repo, str(x, "repository", "full_name", NULL));
	assert_int_equal(e->merged, json_is_true(json_object_get(pr, "merged")));
	if (head && strcmp(head, e->repo) == 0)
		assert_null(e->fork);
	else
		IS(e->fork, head ? head : "");
}

static void check_push(const json_t *x, const struct provider_event *e)
{
	const char *ref = str(x, "ref", NULL, NULL);
	bool gone = json_is_true(json_object_get(x, "deleted"));

	if (strncmp(ref, "refs/heads/", 11) != 0) {
		assert_int_equal(e->kind, PROVIDER_NOTHING);
		return;
	}
	assert_int_equal(e->kind, gone ? PROVIDER_BRANCH_DELETED : PROVIDER_PUSH);
	IS(e->branch, ref + 11);
	if (gone)
		assert_null(e->sha);
	else
		IS(e->sha, str(x, "after", NULL, NULL));
}

static void check_checks(const char *name, const json_t *x, const struct provider_event *e)
{
	const json_t *run = json_object_get(x, name);

	assert_int_equal(e->kind, PROVIDER_CHECKS);
	if (strcmp(name, "status") == 0) {
		IS(e->sha, str(x, "sha", NULL, NULL));
		return;
	}
	IS(e->sha, str(run, "head_sha", NULL, NULL));
	if (strcmp(str(run, "status", NULL, NULL), "completed") != 0)
		assert_int_equal(e->ci, PROVIDER_CI_PENDING);
	else if (strcmp(str(run, "conclusion", NULL, NULL), "success") == 0)
		assert_int_equal(e->ci, PROVIDER_CI_SUCCESS);
}

static void githubs_examples(void **state)
{
	AUTO(buf_clear) struct buf file = {0};
	struct err err = {0};
	size_t i, k, pulls = 0, all = 0;
	json_t *event, *x;

	if (fs_read(EXAMPLES, MiB(64), &file, &err) < 0)
		fail_msg("%s: `make deps-test` installs it", err.msg);
	AUTO(json_decref) json_t *list = json_loadb(file.data, file.len, 0, NULL);

	json_array_foreach(list, i, event)
	{
		const char *name = str(event, "name", NULL, NULL);

		json_array_foreach(json_object_get(event, "examples"), k, x)
		{
			AUTO(provider_event_clear) struct provider_event e = {0};
			AUTO(auto_str) char *text = json_dumps(x, JSON_COMPACT);

			if (deliver(PROVIDER_GITHUB, name, text, &e, &err) < 0)
				fail_msg("%s %zu: %s", name, k, err.msg);
			all++;
			if (strcmp(name, "pull_request") == 0) {
				pulls++;
				check_pull(x, &e);
			} else if (strcmp(name, "push") == 0) {
				check_push(x, &e);
			} else if (strcmp(name, "status") == 0 ||
				   strcmp(name, "check_suite") == 0 ||
				   strcmp(name, "check_run") == 0 ||
				   strcmp(name, "workflow_run") == 0) {
				check_checks(name, x, &e);
			} else {
				assert_int_equal(e.kind, PROVIDER_NOTHING);
			}
		}
	}
	assert_true(all > 200 && pulls > 20);
}

/* --- the others, as documented --- */

static const struct {
	enum provider_kind from;
	const char *event, *body;
	enum provider_event_kind kind;
	int number;
	const char *branch, *sha, *base, *fork;
	enum provider_ci ci;
} deliveries[] = {
#define MR(action, state, source)                                                                  \
	"{\"object_kind\":\"merge_request\",\"event_type\":\"merge_request\",\"user\":{\"id\":1,"  \
	"\"username\":\"root\"},\"project\":{\"id\":1,\"path_with_namespace\":\"group/app\"},"     \
	"\"object_attributes\":{\"id\":99,\"iid\":7,\"target_branch\":\"main\",\"source_branch\":" \
	"\"feature/"                                                                               \
	"x\",\"source_project_id\":14,\"target_project_id\":14,\"title\":\"T\",\"state\":"         \
	"\"" state "\",\"action\":\"" action "\",\"source\":{\"path_with_namespace\":\"" source    \
	"\"},\"target\":{\"path_with_namespace\":\"group/app\"},\"last_commit\":{\"id\":\"" SHA    \
	"\"}}}"
	{PROVIDER_GITLAB, "Merge Request Hook", MR("open", "opened", "group/app"),
	 PROVIDER_PR_OPENED, 7, "feature/x", SHA, "main", NULL},
	{PROVIDER_GITLAB, "Merge Request Hook", MR("update", "opened", "someone/app"),
	 PROVIDER_PR_UPDATED, 7, "feature/x", SHA, "main", "someone/app"},
	{PROVIDER_GITLAB, "Merge Request Hook", MR("merge", "merged", "group/app"),
	 PROVIDER_PR_CLOSED, 7, "feature/x", SHA, "main", NULL},
	{PROVIDER_GITLAB, "Merge Request Hook", MR("approved", "opened", "group/app"),
	 PROVIDER_NOTHING, 7, "feature/x", SHA, "main", NULL},
#define LAB_PUSH(ref, after)                                                  \
	"{\"object_kind\":\"push\",\"event_name\":\"push\",\"before\":\"" SHA \
	"\",\"after\":\"" after "\",\"ref\":\"" ref                           \
	"\",\"user_username\":\"jsmith\",\"project_id\":15,\"project\":{"     \
	"\"path_with_namespace\":\"group/app\"},\"commits\":[],\"total_commits_count\":0}"
	{PROVIDER_GITLAB, "Push Hook", LAB_PUSH("refs/heads/a/b", SHA), PROVIDER_PUSH, 0, "a/b",
	 SHA},
	{PROVIDER_GITLAB, "Push Hook",
	 LAB_PUSH("refs/heads/a", "0000000000000000000000000000000000000000"),
	 PROVIDER_BRANCH_DELETED, 0, "a", NULL},
	{PROVIDER_GITLAB, "Pipeline Hook",
	 "{\"object_kind\":\"pipeline\",\"object_attributes\":{\"id\":31,\"ref\":\"main\",\"tag\":"
	 "false,\"sha\":\"" SHA "\",\"status\":\"failed\"},\"project\":{\"path_with_namespace\":"
	 "\"group/app\"}}",
	 PROVIDER_CHECKS, 0, "main", SHA, NULL, NULL, PROVIDER_CI_FAILURE},
	{PROVIDER_GITLAB, "Job Hook",
	 "{\"object_kind\":\"build\",\"ref\":\"main\",\"tag\":false,\"sha\":\"" SHA
	 "\",\"build_status\":\"failed\",\"build_allow_failure\":true}",
	 PROVIDER_CHECKS, 0, "main", SHA, NULL, NULL, PROVIDER_CI_SUCCESS},
	{PROVIDER_GITLAB, "Note Hook", "{\"object_kind\":\"note\"}", PROVIDER_NOTHING},
#define TEA_PR(action, head)                                                                     \
	"{\"action\":\"" action                                                                  \
	"\",\"number\":3,\"pull_request\":{\"id\":5,\"number\":3,\"title\":"                     \
	"\"T\",\"state\":\"open\",\"merged\":false,\"user\":{\"login\":\"me\"},\"head\":{"       \
	"\"label\":"                                                                             \
	"\"x\",\"ref\":\"x\",\"sha\":\"" SHA "\",\"repo\":" head "},\"base\":{\"ref\":\"main\"," \
	"\"repo\":{\"full_name\":\"me/app\"}}},\"repository\":{\"full_name\":\"me/app\"},"       \
	"\"sender\":{\"login\":\"me\"}}"
	{PROVIDER_GITEA, "pull_request", TEA_PR("opened", "{\"full_name\":\"me/app\"}"),
	 PROVIDER_PR_OPENED, 3, "x", SHA, "main", NULL},
	{PROVIDER_GITEA, "pull_request", TEA_PR("synchronized", "{\"full_name\":\"you/app\"}"),
	 PROVIDER_PR_UPDATED, 3, "x", SHA, "main", "you/app"},
	{PROVIDER_GITEA, "pull_request", TEA_PR("closed", "null"), PROVIDER_PR_CLOSED, 3, "x", SHA,
	 "main", ""},
	{PROVIDER_GITEA, "pull_request", TEA_PR("labeled", "null"), PROVIDER_NOTHING, 3, "x", SHA,
	 "main", ""},
	{PROVIDER_GITEA, "push",
	 "{\"ref\":\"refs/heads/develop\",\"before\":\"" SHA "\",\"after\":\"" SHA
	 "\",\"commits\":[],\"repository\":{\"full_name\":\"me/"
	 "app\"},\"pusher\":{\"login\":\"me\"}}",
	 PROVIDER_PUSH, 0, "develop", SHA},
	{PROVIDER_GITEA, "push",
	 "{\"ref\":\"refs/tags/v1\",\"before\":\"" SHA "\",\"after\":\"" SHA "\"}",
	 PROVIDER_NOTHING, 0, NULL, SHA},
	{PROVIDER_GITEA, "delete",
	 "{\"ref\":\"old\",\"ref_type\":\"branch\",\"pusher_type\":\"user\"}",
	 PROVIDER_BRANCH_DELETED, 0, "old", NULL},
	{PROVIDER_GITEA, "status",
	 "{\"id\":1,\"sha\":\"" SHA "\",\"state\":\"success\",\"context\":\"ci\"}", PROVIDER_CHECKS,
	 0, NULL, SHA, NULL, NULL, PROVIDER_CI_SUCCESS},
};

static void same(const char *what, size_t i, const char *a, const char *b)
{
	if (!a != !b || (a && strcmp(a, b) != 0))
		fail_msg("delivery %zu: %s is %s, not %s", i, what, a ? a : "NULL", b ? b : "NULL");
}

static void other_deliveries(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(deliveries); i++) {
		AUTO(provider_event_clear) struct provider_event e = {0};
		struct err err = {0};

		if (deliver(deliveries[i].from, deliveries[i].event, deliveries[i].body, &e, &err) <
		    0)
			fail_msg("%zu: %s", i, err.msg);
		assert_int_equal(e.kind, deliveries[i].kind);
		assert_int_equal(e.number, deliveries[i].number);
		same("branch", i, e.branch, deliveries[i].branch);
		same("sha", i, e.sha, deliveries[i].sha);
		same("base", i, e.base, deliveries[i].base);
		same("fork", i, e.fork, deliveries[i].fork);
		assert_int_equal(e.ci, deliveries[i].ci);
	}
}

static void forged_and_broken_ones(void **state)
{
	static const char body[] = "{\"zen\":\"x\"}";
	struct provider_event e = {0};
	struct err err = {0};
	char hex[65], sign[80], d[129], other[80];
	struct headers h = {{"x-hub-signature-256", sign, "x-github-event", "ping"}};
	const struct provider_codec *hub = provider_codecs[PROVIDER_GITHUB],
				    *lab = provider_codecs[PROVIDER_GITLAB],
				    *tea = provider_codecs[PROVIDER_GITEA];

	hmac_hex(SECRET, body, hex);
	snprintf(sign, sizeof sign, "sha256=%s", hex);
	assert_true(hub->verify(get, &h, SECRET, body, strlen(body), d));
	assert_int_equal(strncmp(d, "sha256:", 7), 0); /* no id came */
	assert_false(hub->verify(get, &h, SECRET "x", body, strlen(body), d));
	assert_false(hub->verify(get, &h, "", body, strlen(body), d));
	assert_false(hub->verify(get, &h, SECRET, body, strlen(body) - 1, d));
	sign[20] ^= 1;
	assert_false(hub->verify(get, &h, SECRET, body, strlen(body), d));
	snprintf(sign, sizeof sign, "sha256=%.63s", hex);
	assert_false(hub->verify(get, &h, SECRET, body, strlen(body), d));
	snprintf(sign, sizeof sign, "sha1=%.40s", hex);
	assert_false(hub->verify(get, &h, SECRET, body, strlen(body), d));
	assert_false(hub->verify(get, &(struct headers){{0}}, SECRET, body, strlen(body), d));
	assert_false(lab->verify(get, &(struct headers){{"x-gitlab-token", SECRET "0"}}, SECRET,
				 body, strlen(body), d));
	assert_false(lab->verify(get, &(struct headers){{"x-gitlab-token", ""}}, "", body,
				 strlen(body), d));
	assert_true(tea->verify(get, &(struct headers){{"x-forgejo-signature", hex}}, SECRET, body,
				strlen(body), d));
	snprintf(other, sizeof other, "%.64s", hex);
	other[0] ^= 1;
	assert_false(tea->verify(get, &(struct headers){{"x-gitea-signature", other}}, SECRET, body,
				 strlen(body), d));
	assert_int_equal(deliver(PROVIDER_GITHUB, "pull_request", "{}", &e, &err), -1);
	assert_int_equal(err.code, ERR_BAD_REQUEST);
	assert_int_equal(deliver(PROVIDER_GITHUB, "push", "[]", &e, &err), -1);
	assert_int_equal(
		deliver(PROVIDER_GITLAB, "Push Hook", "{\"object_kind\":\"push\"}", &e, &err), -1);
	h = (struct headers){{"x-gitlab-token", SECRET, "content-type", "text/xml"}};
	assert_int_equal(
		provider_delivery_read(lab, get, &h, SECRET, body, strlen(body), d, &e, &err), -1);
	assert_int_equal(err.code, ERR_UNSUPPORTED_TYPE);
}

/* --- requests --- */

static void check_request(enum provider_kind kind, enum provider_ask ask,
			  const struct provider_args *a, const char *method, const char *url,
			  const char *body)
{
	AUTO(provider_request_clear) struct provider_request r = {0};

	assert_true(provider_request_make(provider_codecs[kind], ask, a, &r));
	IS(r.method, method);
	IS(r.url, url);
	if (body)
		IS(r.body, body);
	else
		assert_null(r.body);
}

static void requests(void **state)
{
	struct provider_args a = {.base_url = "https://github.com",
				  .repo = "me/app",
				  .number = 5,
				  .page = 2,
				  .branch = "a/b c",
				  .sha = SHA,
				  .environment = "pipe-pr-5",
				  .id = "77",
				  .url = "https://x.example.com/",
				  .text = "It \"runs\"",
				  .secret = "s",
				  .state = PROVIDER_SUCCESS};
	struct provider_request r = {0};

	check_request(PROVIDER_GITHUB, PROVIDER_ASK_BRANCH, &a, "GET",
		      "https://api.github.com/repos/me/app/branches/a%2Fb%20c", NULL);
	check_request(PROVIDER_GITHUB, PROVIDER_TELL_STATUS, &a, "POST",
		      "https://api.github.com/repos/me/app/deployments/77/statuses",
		      "{\"state\":\"success\",\"environment_url\":\"https://x.example.com/\","
		      "\"description\":\"It \\\"runs\\\"\",\"environment\":\"pipe-pr-5\","
		      "\"auto_inactive\":false}");
	a.base_url = "https://git.example.com";
	check_request(PROVIDER_GITHUB, PROVIDER_ASK_CHECKS, &a, "GET",
		      "https://git.example.com/api/v3/repos/me/app/commits/" SHA
		      "/check-runs?filter=latest&per_page=100&page=2",
		      NULL);
	check_request(PROVIDER_GITHUB, PROVIDER_TELL_DEPLOYMENT, &a, "POST",
		      "https://git.example.com/api/v3/repos/me/app/deployments",
		      "{\"ref\":\"" SHA "\",\"environment\":\"pipe-pr-5\",\"description\":\"It "
		      "\\\"runs\\\"\",\"auto_merge\":false,\"required_contexts\":[],"
		      "\"transient_environment\":true,\"production_environment\":false}");
	check_request(PROVIDER_GITEA, PROVIDER_ASK_BRANCH, &a, "GET",
		      "https://git.example.com/api/v1/repos/me/app/branches/a/b%20c", NULL);
	check_request(PROVIDER_GITEA, PROVIDER_TELL_STATUS, &a, "POST",
		      "https://git.example.com/api/v1/repos/me/app/statuses/" SHA,
		      "{\"state\":\"success\",\"context\":\"paasd/pipe-pr-5\",\"target_url\":"
		      "\"https://x.example.com/\",\"description\":\"It \\\"runs\\\"\"}");
	check_request(PROVIDER_GITEA, PROVIDER_EDIT_COMMENT, &a, "PATCH",
		      "https://git.example.com/api/v1/repos/me/app/issues/comments/77",
		      "{\"body\":\"It \\\"runs\\\"\"}");
	a.repo = "group/sub/app";
	check_request(PROVIDER_GITLAB, PROVIDER_ASK_PULLS, &a, "GET",
		      "https://git.example.com/api/v4/projects/group%2Fsub%2Fapp/merge_requests"
		      "?state=opened&order_by=created_at&sort=asc&per_page=100&page=2",
		      NULL);
	check_request(PROVIDER_GITLAB, PROVIDER_DROP_HOOK, &a, "DELETE",
		      "https://git.example.com/api/v4/projects/group%2Fsub%2Fapp/hooks/77", NULL);
	assert_false(provider_request_make(provider_codecs[PROVIDER_GITLAB], PROVIDER_ASK_CHECKS,
					   &a, &r));
	assert_false(provider_request_make(provider_codecs[PROVIDER_GITEA],
					   PROVIDER_TELL_DEPLOYMENT, &a, &r));
	check_request(PROVIDER_GITHUB, PROVIDER_ASK_STATUS, &a, "GET",
		      "https://git.example.com/api/v3/repos/group/sub/app/deployments/77/"
		      "statuses?per_page=100",
		      NULL);
	assert_false(provider_request_make(provider_codecs[PROVIDER_GITLAB], PROVIDER_ASK_STATUS,
					   &a, &r)); /* it refuses what it knows */
	a.state = PROVIDER_INACTIVE;
	assert_false(provider_request_make(provider_codecs[PROVIDER_GITLAB], PROVIDER_TELL_STATUS,
					   &a, &r));
}

/* --- answers --- */

static enum provider_ci checks_of(enum provider_kind kind, enum provider_ask ask, const char *text)
{
	AUTO(provider_answer_clear) struct provider_answer out = {0};
	AUTO(json_decref) json_t *j = json_loads(text, 0, NULL);
	const struct provider_args a = {.text = "", .url = ""};
	struct err err = {0};

	if (provider_answer_read(provider_codecs[kind], ask, &a, j, &out, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	return provider_checks_result(&out.checks);
}

/* What was told last, of ours. */
static void stands(void **state)
{
	static const struct {
		enum provider_kind kind;
		const char *text;
		bool stands;
	} t[] = {
		{PROVIDER_GITHUB, "[]", false},
		{PROVIDER_GITHUB, "[{\"id\":2,\"state\":\"success\"}]", true},
		{PROVIDER_GITHUB,
		 "[{\"id\":2,\"state\":\"success\"},{\"id\":9,\"state\":\"inactive\"},{"
		 "\"id\":1,\"state\":\"success\"}]",
		 false},
		{PROVIDER_GITHUB, "{}", false},
		{PROVIDER_GITEA, "{\"statuses\":null}", false},
		{PROVIDER_GITEA,
		 "{\"statuses\":[{\"context\":\"ci\",\"status\":\"success\"},{\"context\":"
		 "\"paasd/e\",\"status\":\"pending\"}]}",
		 false},
		{PROVIDER_GITEA,
		 "{\"statuses\":[{\"context\":\"ci\",\"status\":\"pending\"},{\"context\":"
		 "\"paasd/e\",\"status\":\"success\"}]}",
		 true},
	};
	const struct provider_args a = {.environment = "e", .state = PROVIDER_SUCCESS};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		AUTO(provider_answer_clear) struct provider_answer out = {0};
		AUTO(json_decref) json_t *j = json_loads(t[i].text, 0, NULL);
		struct err err = {0};

		assert_int_equal(0, provider_answer_read(provider_codecs[t[i].kind],
							 PROVIDER_ASK_STATUS, &a, j, &out, &err));
		if (out.stands != t[i].stands)
			fail_msg("%s", t[i].text);
	}
}

static void checks(void **state)
{
	static const struct {
		enum provider_kind kind;
		enum provider_ask ask;
		const char *text;
		enum provider_ci ci;
	} t[] = {
		{PROVIDER_GITHUB, PROVIDER_ASK_STATUSES,
		 "{\"state\":\"pending\",\"statuses\":[],\"total_count\":0}", PROVIDER_CI_NONE},
		{PROVIDER_GITHUB, PROVIDER_ASK_STATUSES,
		 "{\"statuses\":[{\"state\":\"success\"},{\"state\":\"pending\"}]}",
		 PROVIDER_CI_PENDING},
		{PROVIDER_GITHUB, PROVIDER_ASK_STATUSES,
		 "{\"statuses\":[{\"state\":\"error\"},{\"state\":\"pending\"}]}",
		 PROVIDER_CI_FAILURE},
		{PROVIDER_GITHUB, PROVIDER_ASK_CHECKS,
		 "{\"check_runs\":[{\"status\":\"completed\",\"conclusion\":\"skipped\"},{"
		 "\"status\":"
		 "\"completed\",\"conclusion\":\"success\"}]}",
		 PROVIDER_CI_SUCCESS},
		{PROVIDER_GITHUB, PROVIDER_ASK_CHECKS,
		 "{\"check_runs\":[{\"status\":\"queued\",\"conclusion\":null}]}",
		 PROVIDER_CI_PENDING},
		{PROVIDER_GITHUB, PROVIDER_ASK_CHECKS,
		 "{\"check_runs\":[{\"status\":\"completed\",\"conclusion\":\"timed_out\"}]}",
		 PROVIDER_CI_FAILURE},
		{PROVIDER_GITLAB, PROVIDER_ASK_STATUSES,
		 "[{\"status\":\"failed\",\"name\":\"paasd/pr\"},{\"status\":\"success\",\"name\":"
		 "\"ci\"},{\"status\":\"manual\",\"name\":\"deploy\"},{\"status\":\"failed\","
		 "\"name\":"
		 "\"lint\",\"allow_failure\":true}]",
		 PROVIDER_CI_SUCCESS},
		{PROVIDER_GITLAB, PROVIDER_ASK_STATUSES,
		 "[{\"status\":\"running\",\"name\":\"ci\"}]", PROVIDER_CI_PENDING},
		{PROVIDER_GITLAB, PROVIDER_ASK_STATUSES, "[]", PROVIDER_CI_NONE},
		{PROVIDER_GITEA, PROVIDER_ASK_STATUSES,
		 "{\"state\":\"\",\"statuses\":null,\"total_count\":0}", PROVIDER_CI_NONE},
		{PROVIDER_GITEA, PROVIDER_ASK_STATUSES,
		 "{\"statuses\":[{\"status\":\"failure\",\"context\":\"paasd/pr\"},{\"status\":"
		 "\"warning\",\"context\":\"ci\"}]}",
		 PROVIDER_CI_SUCCESS},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(checks_of(t[i].kind, t[i].ask, t[i].text), t[i].ci);
}

static void names(void **state)
{
	static const struct {
		enum provider_kind kind;
		const char *text, *want; /* NULL = refused */
	} t[] = {
		{PROVIDER_GITHUB, "me/app", "me/app"},
		{PROVIDER_GITHUB, "https://github.com/me/app.git", "me/app"},
		{PROVIDER_GITHUB, "git@github.com:me/app.git", "me/app"},
		{PROVIDER_GITHUB, "https://github.com/me/app/", "me/app"},
		{PROVIDER_GITLAB, "a/b/c/d", "a/b/c/d"},
		{PROVIDER_GITEA, "me/a.b_c-d", "me/a.b_c-d"},
		{PROVIDER_GITHUB, "a/b/c", NULL},
		{PROVIDER_GITHUB, "app", NULL},
		{PROVIDER_GITHUB, "me/..", NULL},
		{PROVIDER_GITHUB, "../app", NULL},
		{PROVIDER_GITHUB, "me//app", NULL},
		{PROVIDER_GITHUB, "-me/app", NULL},
		{PROVIDER_GITHUB, "me/a?b", NULL},
		{PROVIDER_GITHUB, "me/a%2fb", NULL},
		{PROVIDER_GITHUB, "", NULL},
		{PROVIDER_GITHUB, "https://github.com", NULL},
	};
	static const char *const good[] = {"main", "a/b", "release-1.2", "u\xc3\xa4"};
	static const char *const bad[] = {"",	  "-x",	    "a..b", "a b",    "a~", "/a",   "a/",
					  "a//b", "x.lock", "a@{b", "a\001b", ".a", "a/.b", "@"};
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		AUTO(auto_str) char *out = NULL;
		int rc = provider_full_name(provider_codecs[t[i].kind], t[i].text, &out, &err);

		if ((rc == 0) != (t[i].want != NULL) || (rc == 0 && strcmp(out, t[i].want) != 0))
			fail_msg("%s: %s", t[i].text, rc == 0 ? out : "refused");
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(provider_branch_ok(good[i], &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(provider_branch_ok(bad[i], &err), -1);
	assert_ptr_equal(provider_codec_find("forgejo"), provider_codecs[PROVIDER_GITEA]);
	assert_null(provider_codec_find("bitbucket"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(githubs_examples),
		cmocka_unit_test(other_deliveries),
		cmocka_unit_test(forged_and_broken_ones),
		cmocka_unit_test(requests),
		cmocka_unit_test(stands),
		cmocka_unit_test(checks),
		cmocka_unit_test(names),
	};

	codec_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
