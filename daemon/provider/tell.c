/* Telling: a row says what is to stand at the provider, and the ids of what we put there. What may
 * be there is looked for before it is made: a comment always, by its mark; a deployment and a
 * status when `begun` says that an attempt was cut off. So there is one deployment of a commit, one
 * status of a state and one comment of a key, however often it was tried. */
#include "daemon/core/codec.h"
#include "daemon/core/xlog.h"
#include "daemon/provider/provider_int.h"
#include "proto/limits.h"

#include <stdio.h>

#define DESCRIPTION_MAX 140 /* GitHub's; the others' are longer */

struct telling {
	struct providers *p;
	const struct store_repo *r;
	struct store_tell *t;
	int retry_s;
};

int provider_tell(struct tx *tx, const struct provider_told *t, struct err *err)
{
	struct store_tell row = {.number = t->number,
				 .environment = (char *)t->environment,
				 .url = (char *)t->url,
				 .log_url = (char *)t->log_url,
				 .text = (char *)t->text,
				 .comment = (char *)t->comment,
				 .last = t->last};

	snprintf(row.repo_id, sizeof row.repo_id, "%s", t->repo_id);
	snprintf(row.key, sizeof row.key, "%s", t->key);
	snprintf(row.sha, sizeof row.sha, "%s", t->sha);
	snprintf(row.state, sizeof row.state, "%s", provider_state_names[t->state]);
	return store_tell_want(tx, &row, err);
}

static int write_tell(struct tx *tx, void *arg, struct err *err)
{
	return store_tell_update(tx, arg, err);
}

static int save(struct telling *g, struct err *err)
{
	return store_tx(g->p->st, write_tell, g->t, err);
}

static int ask(struct telling *g, enum provider_ask what, struct provider_args *a,
	       struct provider_answer *out, struct err *err)
{
	return provider_ask(g->p, g->r, what, a, out, &g->retry_s, err);
}

static enum provider_state state_of(const struct store_tell *t)
{
	int s = 0;

	while (s < PROVIDER_INACTIVE && strcmp(provider_state_names[s], t->state) != 0)
		s++;
	return (enum provider_state)s;
}

/* --- the deployment and its status --- */

/* Made after `begun` is kept; an older attempt's is found. */
static int make_deployment(struct telling *g, char id[64], struct err *err)
{
	AUTO(provider_answer_clear) struct provider_answer out = {0};
	struct store_tell *t = g->t;
	struct provider_args a = {.sha = t->sha, .environment = t->environment, .text = t->text};

	if (strcmp(t->begun, "deployment") == 0) {
		if (ask(g, PROVIDER_ASK_DEPLOYMENTS, &a, &out, err) < 0)
			return -1;
	} else {
		snprintf(t->begun, sizeof t->begun, "deployment");
		if (save(g, err) < 0)
			return -1;
	}
	if (!out.id[0] && ask(g, PROVIDER_TELL_DEPLOYMENT, &a, &out, err) < 0)
		return -1;
	snprintf(id, 64, "%s", out.id);
	t->begun[0] = 0;
	return 0;
}

static int tell_status(struct telling *g, const char *sha, enum provider_state state,
		       struct err *err)
{
	AUTO(provider_answer_clear) struct provider_answer out = {0};
	struct store_tell *t = g->t;
	AUTO(auto_str) char *text = t->text ? provider_cut(t->text, DESCRIPTION_MAX) : NULL;
	struct provider_args a = {.sha = sha,
				  .environment = t->environment,
				  .id = t->deployment_id,
				  .state = state,
				  .url = t->url,
				  .log_url = t->log_url,
				  .text = text};

	return ask(g, PROVIDER_TELL_STATUS, &a, &out, err);
}

/* Told once: after an attempt whose end is not known it is asked for first. mark: which of the
 * row's statuses it is. */
static int tell_once(struct telling *g, const char *mark, const char *sha,
		     enum provider_state state, struct err *err)
{
	AUTO(provider_answer_clear) struct provider_answer out = {0};
	struct store_tell *t = g->t;
	struct provider_args a = {
		.sha = sha, .environment = t->environment, .id = t->deployment_id, .state = state};
	struct err why = {0};
	char begun[sizeof t->begun];

	snprintf(begun, sizeof begun, "%.3s-%lld", mark, (long long)t->seq);
	if (strcmp(t->begun, begun) == 0) {
		if (ask(g, PROVIDER_ASK_STATUS, &a, &out, &why) < 0 && !provider_final(&why)) {
			*err = why;
			return -1;
		}
	} else {
		memcpy(t->begun, begun, sizeof begun);
		if (save(g, err) < 0)
			return -1;
	}
	if (!out.stands && tell_status(g, sha, state, err) < 0)
		return -1;
	t->begun[0] = 0;
	return 0;
}

/* GitHub: statuses are of a deployment, which is of a commit; the one before is ended. */
static int have_deployment(struct telling *g, struct err *err)
{
	struct store_tell *t = g->t;
	char id[64];

	if (t->deployment_id[0] && strcmp(t->deployment_sha, t->sha) == 0)
		return 0;
	if (t->deployment_id[0]) {
		if (tell_once(g, "end", t->deployment_sha, PROVIDER_INACTIVE, err) < 0 &&
		    err->code != ERR_NOT_FOUND)
			return -1;
		t->deployment_id[0] = 0;
		t->begun[0] = 0;
		if (save(g, err) < 0)
			return -1;
	}
	if (make_deployment(g, id, err) < 0)
		return -1;
	memcpy(t->deployment_id, id, sizeof t->deployment_id);
	memcpy(t->deployment_sha, t->sha, sizeof t->deployment_sha);
	return save(g, err);
}

static int status(struct telling *g, struct err *err)
{
	struct store_tell *t = g->t;
	enum provider_state state = state_of(t);

	if (t->status_seq == t->seq)
		return 0;
	if (provider_codec_of(g->r) == &provider_github) {
		/* What was never there need not be ended. */
		if (state == PROVIDER_INACTIVE && !t->deployment_id[0] &&
		    strcmp(t->begun, "deployment") != 0) {
			t->status_seq = t->seq;
			return 0;
		}
		if (have_deployment(g, err) < 0)
			return -1;
	}
	if (tell_once(g, "say", t->sha, state, err) < 0)
		return -1;
	t->status_seq = t->seq;
	return save(g, err);
}

/* --- the comment --- */

/* Invisible in Markdown; tells our comment from others, and from those of other keys. */
static char *mark_of(const struct store_tell *t)
{
	return xasprintf("<!-- paasd %s -->", t->key);
}

static int edit(struct telling *g, struct provider_args *a, struct err *err)
{
	AUTO(provider_answer_clear) struct provider_answer out = {0};

	a->id = g->t->comment_id;
	if (ask(g, PROVIDER_EDIT_COMMENT, a, &out, err) == 0)
		return 0;
	if (err->code != ERR_NOT_FOUND)
		return -1;
	*err = (struct err){0};
	g->t->comment_id[0] = 0; /* somebody has deleted it: a new one */
	return 0;
}

/* It may be there: made before a crash, or when the pipeline was connected to the repository
 * before. */
static int find_comment(struct telling *g, struct provider_args *a, const char *mark,
			struct err *err)
{
	AUTO(provider_answer_clear) struct provider_answer out = {0};
	const char *text = a->text;

	a->text = mark;
	if (ask(g, PROVIDER_ASK_COMMENTS, a, &out, err) < 0)
		return -1;
	a->text = text;
	memcpy(g->t->comment_id, out.id, sizeof g->t->comment_id);
	return 0;
}

static int comment(struct telling *g, struct err *err)
{
	struct store_tell *t = g->t;
	AUTO(auto_str) char *mark = mark_of(t);
	AUTO(auto_str) char *text = NULL;
	AUTO(provider_answer_clear) struct provider_answer out = {0};
	struct provider_args a = {.number = t->number};
	char sum[65];

	if (!t->comment || t->number <= 0)
		return 0;
	AUTO(auto_str) char *words = provider_cut(t->comment, LIM_PROVIDER_COMMENT);
	text = xasprintf("%s\n\n%s", words, mark);
	a.text = text;
	sha256_hex(text, strlen(text), sum);
	if (t->comment_id[0] && strcmp(t->comment_sum, sum) == 0)
		return 0;
	if ((!t->comment_id[0] && find_comment(g, &a, mark, err) < 0) ||
	    (t->comment_id[0] && edit(g, &a, err) < 0) ||
	    (!t->comment_id[0] && ask(g, PROVIDER_TELL_COMMENT, &a, &out, err) < 0))
		return -1;
	if (!t->comment_id[0])
		memcpy(t->comment_id, out.id, sizeof t->comment_id);
	memcpy(t->comment_sum, sum, sizeof t->comment_sum);
	return save(g, err);
}

/* --- one row's turn --- */

/* Without a token nothing can be said, and that is as it was asked for. */
static int tell(struct telling *g, struct err *err)
{
	struct err first = {0};
	int rc = 0;

	if (!*g->r->token)
		return 0;
	/* A status that is refused does not keep the comment from being made. */
	if (status(g, &first) < 0) {
		if (!provider_final(&first)) {
			*err = first;
			return -1;
		}
		rc = -1;
	}
	if (comment(g, err) < 0)
		return -1;
	if (rc < 0)
		*err = first;
	return rc;
}

void provider_tell_one(struct providers *p, const struct store_repo *r, struct store_tell *t)
{
	struct telling g = {p, r, t, 0};
	struct err why = {0}, err = {0};
	wall_ms now;
	bool stopping;

	if (tell(&g, &why) == 0) {
		t->told_seq = t->seq;
		t->tries = 0;
	}
	pthread_mutex_lock(&p->lock);
	stopping = p->stopping;
	pthread_mutex_unlock(&p->lock);
	if (why.status && stopping)
		return;
	now = clock_wall_ms();
	free(t->failure);
	t->failure = NULL;
	if (why.status) {
		bool over = provider_final(&why) || now - t->first_ms > LIM_PROVIDER_TELL_MS;

		t->tries++;
		t->next_ms = now + provider_gap(t->tries, g.retry_s);
		t->failure = xstrdup(why.msg);
		if (over)
			t->told_seq = t->seq;
		xlog_err(XLOG_WARN, "provider", &why, "msg=\"%s\" repo=%s key=%s state=%s",
			 over ? "deployment not told, given up" : "deployment not told yet",
			 xlog_q(r->full_name), xlog_q(t->key), t->state);
	}
	if (save(&g, &err) < 0 && err.code != ERR_NOT_FOUND) {
		xlog_err(XLOG_ERROR, "provider", &err, "msg=\"what was told is not recorded\"");
		provider_pause(p);
	}
}
