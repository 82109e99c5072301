/* What the provider shows of a review app: a deployment's status, and one comment in the request.
 */
#include "daemon/release/built.h"
#include "daemon/review/review_int.h"

#include <stdio.h>
#include <string.h>

static const char *const headings[] = {
	[PROVIDER_PENDING] = "is being deployed",
	[PROVIDER_SUCCESS] = "is up",
	[PROVIDER_FAILURE] = "could not be deployed",
	[PROVIDER_INACTIVE] = "is gone",
};

/* Markdown. text is ours; names have no character that would need care. */
static char *comment_of(const char *app, const char *url, enum provider_state state,
			const char *sha, const char *text)
{
	AUTO(buf_clear) struct buf b = {0};

	buf_addf(&b, "**Review app%s%s%s** %s.\n\n%s\n", app ? " `" : "", app ? app : "",
		 app ? "`" : "", headings[state], text);
	if (url)
		buf_addf(&b, "\n%s\n", url);
	if (sha[0])
		buf_addf(&b, "\nCommit %.12s\n", sha);
	return xstrdup(buf_str(&b));
}

int review_tell(struct tx *tx, struct reviews *r, const struct store_review *v,
		enum provider_state state, const char *sha, const char *text, struct err *err)
{
	AUTO(store_repo_clear) struct store_repo repo = {0};
	AUTO(store_review_clear) struct store_review now = {0};
	AUTO(auto_str) char *comment = NULL;
	AUTO(store_tell_clear) struct store_tell told = {0};
	struct err none = {0}, never = {0};
	AUTO(auto_str) char *environment = xasprintf("review/%s", v->branch);
	const char *app;
	char url[300] = "";

	if (v->source != REVIEW_PROVIDER || v->foreign || !sha[0] ||
	    store_repo_of_pipeline(tx, v->pipeline_id, &repo, &none) < 0)
		return 0;
	/* of what nobody was told of, nobody need be told the end */
	if (state == PROVIDER_INACTIVE && store_tell_get(tx, repo.id, v->id, &told, &never) < 0 &&
	    never.code == ERR_NOT_FOUND)
		return 0;
	/* as it is in this transaction: the app may be new; or gone, and v still has its name */
	if (store_review_get(tx, v->id, &now, err) < 0)
		return -1;
	app = now.app_name ? now.app_name : v->app_name;
	if (app && now.status == REVIEW_CREATED) /* else nothing answers there */
		built_web_url(r->d.cfg, app, url, sizeof url);
	comment = comment_of(app, url[0] ? url : NULL, state, sha, text);
	return provider_tell(tx,
			     &(struct provider_told){
				     .repo_id = repo.id,
				     .key = v->id,
				     .number = v->pr_number,
				     .sha = sha,
				     .environment = environment, /* the same to the end */
				     .state = state,
				     .url = url[0] ? url : NULL,
				     .text = text,
				     .comment = v->pr_number ? comment : NULL,
				     .last = state == PROVIDER_INACTIVE,
			     },
			     err);
}

void review_tell_now(struct reviews *r)
{
	provider_tell_now(r->d.providers);
}
