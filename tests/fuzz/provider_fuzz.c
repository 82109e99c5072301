/* Whatever is sent as a delivery or as an answer of a provider: what is taken is whole (numbers,
 * names, ids as documented), and nothing is read beyond its end. First byte: which provider;
 * second: an event or an answer; the rest is the body. */
#include "daemon/core/codec.h"
#include "daemon/provider/codec.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#define SECRET "s"

struct headers {
	const char *event;
};

static const char *const events[] = {"pull_request", "push",	     "status", "check_suite",
				     "check_run",    "workflow_run", "delete", "pull_request_sync"};

static const char *get(void *arg, const char *name)
{
	const struct headers *h = arg;

	if (strcmp(name, "x-github-event") == 0 || strcmp(name, "x-gitea-event") == 0)
		return h->event;
	return NULL;
}

static void check_sha(const char *sha)
{
	assert(!sha || strlen(sha) == 40 || strlen(sha) == 64);
	assert(!sha || strspn(sha, "0123456789abcdef") == strlen(sha));
}

static void check_event(const struct provider_event *e)
{
	switch (e->kind) {
	case PROVIDER_PR_OPENED:
	case PROVIDER_PR_UPDATED:
	case PROVIDER_PR_CLOSED:
		assert(e->number > 0 && e->branch && e->base);
		break;
	case PROVIDER_PUSH:
		assert(e->branch && e->sha);
		break;
	case PROVIDER_BRANCH_DELETED:
		assert(e->branch);
		break;
	case PROVIDER_CHECKS:
		assert(e->sha);
		break;
	default:
		break;
	}
	check_sha(e->sha);
}

static void answer(const struct provider_codec *c, enum provider_ask ask, const json_t *j)
{
	struct provider_answer out = {0};
	const struct provider_args a = {.text = "mark", .url = "https://x/"};
	struct err err = {0};

	if (provider_answer_read(c, ask, &a, j, &out, &err) == 0)
		for (int i = 0; i < out.pulls.n; i++) {
			assert(out.pulls.v[i].number > 0 && out.pulls.v[i].branch);
			check_sha(out.pulls.v[i].sha);
		}
	check_sha(out.sha);
	assert(strspn(out.id, "0123456789") == strlen(out.id));
	provider_answer_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct provider_event e = {0};
	struct headers h = {NULL};
	struct err err = {0};
	char delivery[129], *name, *text;
	const struct provider_codec *c;
	json_t *j;

	if (len < 2)
		return 0;
	c = provider_codecs[data[0] % PROVIDER_KINDS];
	h.event = events[data[1] % (sizeof events / sizeof *events)];
	text = xstrndup((const char *)data + 2, len - 2);
	assert(provider_delivery_read(c, get, &h, SECRET, data + 2, len - 2, delivery, &e, &err) <
	       0);
	assert(err.code == ERR_UNAUTHORIZED);
	j = json_loadb((const char *)data + 2, len - 2, 0, NULL);
	if (j && c->parse(get, &h, j, &e, &err) == 0)
		check_event(&e);
	provider_event_clear(&e);
	answer(c, data[1] % PROVIDER_ASKS, j);
	if (provider_full_name(c, text, &name, &err) == 0) {
		assert(strchr(name, '/') && !strstr(name, "//") && !strpbrk(name, " ?#%:@\\"));
		free(name);
	}
	if (provider_branch_ok(text, &err) == 0)
		assert(*text && !strstr(text, "..") && text[0] != '-');
	json_decref(j);
	free(text);
	return 0;
}
