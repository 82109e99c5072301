/* What the three codecs do alike, from their tables. */
#include "daemon/core/codec.h"
#include "daemon/provider/codec_int.h"
#include "proto/limits.h"

#include <stdio.h>

int provider_wrong(struct err *err, const char *title, const char *what)
{
	return err_set(err, ERR_BAD_REQUEST, "%s sent no %s where one is documented.", title, what);
}

/* --- deliveries --- */

int provider_handle(const struct provider_handler *list, const char *name, const json_t *body,
		    struct provider_event *e, struct err *err)
{
	for (; list->name; list++)
		if (strcmp(name, list->name) == 0)
			return list->fn(body, e, err);
	return 0;
}

enum provider_event_kind provider_action_kind(const struct provider_action *list, const json_t *o)
{
	for (; list->action; list++)
		if (pj_is(o, "action", list->action))
			return list->kind;
	return PROVIDER_NOTHING;
}

enum provider_ci provider_ci_of(const struct provider_ci_name *list, const char *name,
				enum provider_ci other)
{
	for (; name && list->name; list++)
		if (strcmp(name, list->name) == 0)
			return list->ci;
	return other;
}

void provider_delivery_id(const char *id, const void *body, size_t n, char delivery[129])
{
	if (id && *id)
		snprintf(delivery, 129, "%.128s", id);
	else
		provider_sum(body, n, delivery);
}

/* The head's repository, when it is another than the base's; "" when it is gone. */
static char *fork_of(const json_t *pr)
{
	const char *head = pj_text(pr, "head.repo.full_name"),
		   *base = pj_text(pr, "base.repo.full_name");

	if (!head)
		return xstrdup("");
	return base && strcasecmp(head, base) == 0 ? NULL : provider_cut(head, LIM_PROVIDER_TEXT);
}

void provider_pull_read(const json_t *pr, struct provider_pull *out)
{
	out->number = pj_int(pr, "number");
	out->open = pj_is(pr, "state", "open");
	out->merged = pj_true(pr, "merged") || pj_text(pr, "merged_at") != NULL;
	out->branch = pj_dup(pr, "head.ref");
	out->sha = pj_sha(pr, "head.sha");
	out->base = pj_dup(pr, "base.ref");
	out->fork = fork_of(pr);
	out->title = pj_dup(pr, "title");
	out->author = pj_dup(pr, "user.login");
}

int provider_pull_event(const char *title, const struct provider_action *actions,
			const json_t *body, struct provider_event *e, struct err *err)
{
	struct provider_pull p = {0};

	provider_pull_read(pj_at(body, "pull_request"), &p);
	e->number = p.number;
	e->merged = p.merged;
	e->branch = p.branch;
	e->sha = p.sha;
	e->base = p.base;
	e->fork = p.fork;
	e->title = p.title;
	e->author = p.author;
	e->repo = pj_dup(body, "repository.full_name");
	if (e->number <= 0 || !e->branch || !e->base)
		return provider_wrong(err, title, "pull request");
	e->kind = provider_action_kind(actions, body);
	return 0;
}

int provider_push_event(const char *title, const char *repo_at, const char *author_at,
			const json_t *body, struct provider_event *e, struct err *err)
{
	if (!pj_text(body, "ref"))
		return provider_wrong(err, title, "ref");
	e->branch = pj_branch_of_ref(body, "ref");
	e->sha = pj_sha(body, "after");
	e->repo = pj_dup(body, repo_at);
	e->author = pj_dup(body, author_at);
	if (e->branch) /* else a tag */
		e->kind = e->sha ? PROVIDER_PUSH : PROVIDER_BRANCH_DELETED;
	return 0;
}

int provider_checks_event(const char *title, const char *repo_at, const json_t *body,
			  const json_t *check, const char *sha_at, enum provider_ci ci,
			  struct provider_event *e, struct err *err)
{
	e->sha = pj_sha(check, sha_at);
	e->repo = pj_dup(body, repo_at);
	e->ci = ci;
	if (!e->sha)
		return provider_wrong(err, title, "commit");
	e->kind = PROVIDER_CHECKS;
	return 0;
}

/* --- requests --- */

json_t *provider_comment_body(const struct provider_args *a)
{
	return json_pack("{s:s}", "body", a->text);
}

/* As one part but for its slashes. */
static void encode_parts(const char *text, struct buf *b)
{
	for (size_t n; *text; text += n) {
		AUTO(auto_str) char *part = NULL;

		n = strcspn(text, "/");
		part = xstrndup(text, n);
		percent_encode(part, b);
		if (text[n] == '/') {
			buf_addc(b, '/');
			n++;
		}
	}
}

/* %R repository, %N number, %B branch (%b: with its slashes), %S commit, %E environment, %I id, %P
 * and %L page. */
static char *make_url(const char *fmt, const struct provider_args *a, const char *api,
		      const char *repo)
{
	struct buf b = {0};

	buf_adds(&b, api);
	for (const char *p = fmt; *p; p++) {
		if (*p != '%') {
			buf_addc(&b, *p);
			continue;
		}
		switch (*++p) {
		case 'R':
			buf_adds(&b, repo);
			break;
		case 'N':
			buf_addf(&b, "%lld", (long long)a->number);
			break;
		case 'B':
			percent_encode(a->branch, &b);
			break;
		case 'S':
			percent_encode(a->sha, &b);
			break;
		case 'E':
			percent_encode(a->environment, &b);
			break;
		case 'I':
			percent_encode(a->id, &b);
			break;
		case 'b':
			encode_parts(a->branch, &b);
			break;
		case 'L':
			buf_addf(&b, "limit=50&page=%d", a->page);
			break;
		case 'P':
			buf_addf(&b, "per_page=%d&page=%d", PROVIDER_PAGE, a->page);
			break;
		default:
			abort(); /* a mistake in a table of ours */
		}
	}
	return buf_steal(&b);
}

bool provider_request_make(const struct provider_codec *c, enum provider_ask ask,
			   const struct provider_args *a, struct provider_request *out)
{
	const struct provider_form *f = &c->d->forms[ask];
	AUTO(auto_str) char *api = c->d->api(a->base_url);
	AUTO(buf_clear) struct buf repo = {0};
	AUTO(json_decref) json_t *body = NULL;

	if (!f->path ||
	    (c->d->keeps_ended && ask == PROVIDER_TELL_STATUS && a->state == PROVIDER_INACTIVE))
		return false;
	if (c->d->encodes_repo)
		percent_encode(a->repo, &repo);
	else
		buf_adds(&repo, a->repo);
	*out = (struct provider_request){.method = f->method,
					 .url = make_url(f->path, a, api, buf_str(&repo))};
	body = f->body ? f->body(a) : NULL;
	out->body = body ? json_dumps(body, JSON_COMPACT) : NULL;
	return true;
}

bool provider_hook_gone(enum provider_ask ask, int status, const char *body)
{
	(void)body;
	return ask == PROVIDER_DROP_HOOK && status == 404;
}

/* --- answers --- */

static bool page_full(const struct provider_dialect *d, const json_t *list)
{
	return json_array_size(list) >= (d->short_pages ? 1 : PROVIDER_PAGE);
}

/* The comment with the mark, or the hook with the URL, of a page. */
static void find(const json_t *page, const char *field, const char *what, bool part,
		 struct provider_answer *out)
{
	for (size_t i = 0; i < json_array_size(page) && !out->id[0]; i++) {
		const json_t *j = json_array_get(page, i);
		const char *v = pj_text(j, field);

		if (v && (part ? strstr(v, what) != NULL : strcmp(v, what) == 0))
			pj_id(j, "id", out->id);
	}
}

static int read_pull(const struct provider_codec *c, const json_t *pr, struct provider_answer *out,
		     struct err *err)
{
	struct provider_pull *p = provider_pulls_add(&out->pulls);

	c->d->pull(pr, p);
	return p->number > 0 && p->branch ? 0 : provider_wrong(err, c->title, "pull request");
}

static int read_pulls(const struct provider_codec *c, const json_t *page,
		      struct provider_answer *out, struct err *err)
{
	if (!json_is_array(page))
		return provider_wrong(err, c->title, "list");
	for (size_t i = 0; i < json_array_size(page); i++)
		if (read_pull(c, json_array_get(page, i), out, err) < 0)
			return -1;
	out->more = page_full(c->d, page);
	return 0;
}

static int read_checks(const struct provider_codec *c, const struct provider_items *items,
		       const json_t *j, struct provider_answer *out, struct err *err)
{
	const json_t *list = *items->at ? pj_at(j, items->at) : j;

	if (!json_is_array(list) && !(c->d->short_pages && !list && json_is_object(j)))
		return provider_wrong(err, c->title, "list of checks");
	for (size_t i = 0; i < json_array_size(list); i++) {
		enum provider_ci ci = items->ci(json_array_get(list, i));

		out->checks.good += ci == PROVIDER_CI_SUCCESS;
		out->checks.bad += ci == PROVIDER_CI_FAILURE;
		out->checks.pending += ci == PROVIDER_CI_PENDING;
	}
	out->more = page_full(c->d, list);
	return 0;
}

int provider_answer_read(const struct provider_codec *c, enum provider_ask ask,
			 const struct provider_args *a, const json_t *body,
			 struct provider_answer *out, struct err *err)
{
	const struct provider_dialect *d = c->d;

	out->more = false;
	switch (ask) {
	case PROVIDER_ASK_REPO:
		out->full_name = pj_dup(body, d->name_at);
		return out->full_name ? 0 : provider_wrong(err, c->title, d->name_at);
	case PROVIDER_ASK_PULLS:
		return read_pulls(c, body, out, err);
	case PROVIDER_ASK_PULL:
		return read_pull(c, body, out, err);
	case PROVIDER_ASK_BRANCH:
		out->sha = pj_sha(body, d->sha_at);
		return out->sha ? 0 : provider_wrong(err, c->title, "commit");
	case PROVIDER_ASK_STATUSES:
		return read_checks(c, &d->statuses, body, out, err);
	case PROVIDER_ASK_CHECKS:
		return d->runs.at ? read_checks(c, &d->runs, body, out, err) : 0;
	case PROVIDER_ASK_STATUS:
		out->stands = d->stands && d->stands(a, body);
		return 0;
	case PROVIDER_ASK_DEPLOYMENTS:
		pj_id(json_array_get(body, 0), "id", out->id);
		return 0;
	case PROVIDER_ASK_COMMENTS:
		find(body, "body", a->text, true, out);
		out->more = !d->all_comments && page_full(d, body) && !out->id[0];
		return 0;
	case PROVIDER_ASK_HOOKS:
		find(body, d->hook_url_at, a->url, false, out);
		out->more = page_full(d, body) && !out->id[0];
		return 0;
	case PROVIDER_TELL_DEPLOYMENT:
	case PROVIDER_TELL_COMMENT:
	case PROVIDER_ADD_HOOK:
		pj_id(body, "id", out->id);
		return out->id[0] ? 0 : provider_wrong(err, c->title, "id");
	default:
		return 0;
	}
}
