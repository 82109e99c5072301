/* What may become of the refs, and their update: compare and swap, never an old value trusted. */
#include "daemon/git/git_int.h"

#include "daemon/core/xlog.h"

#include <stdio.h>
#include <string.h>

/* Above this many, or when all or none is wanted, one `git update-ref --stdin` transaction does it:
 * libgit2's transactions compare and check nothing. */
enum { ONE_BY_ONE_MAX = 8 };

bool git_refs_head_is(git_repository *r, const char *ref)
{
	AUTO(git_reference_free) git_reference *head = NULL;

	if (git_reference_lookup(&head, r, "HEAD") < 0)
		return false;
	const char *target = git_reference_symbolic_target(head);

	return target && !strcmp(target, ref);
}

static int by_ref(const void *a, const void *b)
{
	const struct push_cmd *const *x = a, *const *y = b;

	return strcmp((*x)->ref, (*y)->ref);
}

/* git takes one of two commands for a ref, or none; which one would be a guess. */
static void refuse_doubles(struct push_cmds *cmds)
{
	struct push_cmd **sorted = xcalloc(cmds->n, sizeof(struct push_cmd *));

	for (size_t i = 0; i < cmds->n; i++)
		sorted[i] = &cmds->cmd[i];
	qsort(sorted, cmds->n, sizeof(*sorted), by_ref);
	for (size_t i = 1; i < cmds->n; i++) {
		if (!strcmp(sorted[i - 1]->ref, sorted[i]->ref))
			sorted[i - 1]->why = sorted[i]->why =
				"multiple updates for ref not allowed";
	}
	free(sorted);
}

void git_refs_check_names(struct git_push *p, git_repository *r)
{
	refuse_doubles(&p->cmds);
	for (size_t i = 0; i < p->cmds.n; i++) {
		struct push_cmd *c = &p->cmds.cmd[i];

		if (!git_ref_ok(c->ref, push_cmd_deletes(c)))
			c->why = "funny refname";
		else if (push_cmd_deletes(c) && !p->rq->review && git_refs_head_is(r, c->ref))
			c->why = "deletion of the current branch prohibited";
	}
}

void git_refs_check_objects(struct git_push *p, git_repository *r)
{
	AUTO(git_odb_free) git_odb *odb = NULL;

	if (git_repository_odb(&odb, r) < 0)
		return;
	for (size_t i = 0; i < p->cmds.n; i++) {
		struct push_cmd *c = &p->cmds.cmd[i];
		git_object_t type;
		size_t size;
		git_oid id;

		if (c->why || push_cmd_deletes(c))
			continue;
		git_oid_fromstr(&id, c->new_id);
		if (git_odb_read_header(&size, &type, odb, &id) < 0) {
			c->why = "missing necessary objects";
		} else if (type != GIT_OBJECT_COMMIT && !strncmp(c->ref, "refs/heads/", 11)) {
			git_sayf(p, "error: %s must name a commit, not a %s\n", c->ref,
				 git_object_type2string(type));
			c->why = "failed to update ref";
		}
	}
}

/* The ref's value as 40 hex, "" when there is none. */
static void current_value(git_repository *r, const char *ref, char out[41])
{
	git_oid id;

	out[0] = 0;
	if (git_reference_name_to_id(&id, r, ref) == 0)
		git_oid_tostr(out, 41, &id);
}

/* refs/heads/a and refs/heads/a/b cannot both be. */
static bool name_conflict(git_repository *r, const char *ref)
{
	AUTO(auto_str) char *parent = xstrdup(ref);
	AUTO(auto_str) char *glob = xasprintf("%s/*", ref);
	git_reference_iterator *it = NULL;
	const char *child;
	bool found = false;

	for (char *slash = strrchr(parent, '/'); slash && slash - parent > 5;
	     slash = strrchr(parent, '/')) {
		git_oid id;

		*slash = 0;
		if (git_reference_name_to_id(&id, r, parent) == 0)
			return true;
	}
	if (git_reference_iterator_glob_new(&it, r, glob) == 0)
		found = git_reference_next_name(&child, it) == 0;
	git_reference_iterator_free(it);
	return found;
}

static bool object_exists(git_repository *r, const char *hex)
{
	AUTO(git_odb_free) git_odb *odb = NULL;
	git_oid id;

	return git_oid_fromstr(&id, hex) == 0 && git_repository_odb(&odb, r) == 0 &&
	       git_odb_exists(odb, &id);
}

/* Deleting what is not there succeeds, as in git, unless the client saw a value that has been. */
static bool delete_is_stale(git_repository *r, const struct push_cmd *c, const char *now)
{
	if (!strcmp(c->old_id, GIT_ZERO_ID))
		return false;
	return *now ? strcmp(now, c->old_id) != 0 : object_exists(r, c->old_id);
}

static bool is_stale(git_repository *r, const struct push_cmd *c, const char *now)
{
	if (push_cmd_deletes(c))
		return delete_is_stale(r, c, now);
	return strcmp(*now ? now : GIT_ZERO_ID, c->old_id) != 0;
}

static void tell_stale(struct git_push *p, const struct push_cmd *c, const char *now)
{
	if (*now)
		git_sayf(p, "error: cannot update %s: it is at %s but expected %s\n", c->ref, now,
			 c->old_id);
	else
		git_sayf(p, "error: cannot update %s: it does not exist\n", c->ref);
}

void git_refs_check_old(struct git_push *p, git_repository *r)
{
	for (size_t i = 0; i < p->cmds.n; i++) {
		struct push_cmd *c = &p->cmds.cmd[i];
		char now[41];

		if (c->why)
			continue;
		current_value(r, c->ref, now);
		if (is_stale(r, c, now)) {
			tell_stale(p, c, now);
			c->why = "failed to update ref";
		} else if (git_ref_deploys(c->ref) && !*now && !push_cmd_deletes(c) &&
			   name_conflict(r, c->ref)) {
			git_sayf(p, "error: %s conflicts with another ref's name\n", c->ref);
			c->why = "failed to update ref";
		}
	}
}

bool git_stale(struct git_push *p, const struct git_update *u)
{
	AUTO(git_repository_free) git_repository *r = NULL;
	char now[41];

	if (git_repo_open(p->rq->repo, NULL, &r, NULL) < 0)
		return false;
	current_value(r, u->ref, now);
	for (size_t i = 0; i < p->cmds.n; i++) {
		if (!strcmp(p->cmds.cmd[i].ref, u->ref))
			return is_stale(r, &p->cmds.cmd[i], now);
	}
	return false;
}

/* --- the update --- */

static int delete_one(git_repository *r, const struct push_cmd *c)
{
	AUTO(git_reference_free) git_reference *ref = NULL;
	char now[41];

	current_value(r, c->ref, now);
	if (delete_is_stale(r, c, now))
		return -1;
	if (git_reference_lookup(&ref, r, c->ref) < 0)
		return 0;
	return git_reference_delete(ref); /* compares again, under the ref's lock */
}

static int update_one(git_repository *r, const struct push_cmd *c)
{
	AUTO(git_reference_free) git_reference *out = NULL;
	git_oid new_id, old_id;

	if (push_cmd_deletes(c))
		return delete_one(r, c);
	git_oid_fromstr(&new_id, c->new_id);
	git_oid_fromstr(&old_id, c->old_id);
	if (push_cmd_creates(c))
		return git_reference_create(&out, r, c->ref, &new_id, 0, "push");
	return git_reference_create_matching(&out, r, c->ref, &new_id, 1, &old_id, "push");
}

static void one_by_one(struct git_push *p, git_repository *r)
{
	for (size_t i = 0; i < p->cmds.n; i++) {
		struct push_cmd *c = &p->cmds.cmd[i];

		if (c->why || update_one(r, c) == 0)
			continue;
		const git_error *e = git_error_last();

		/* The library's words name folders of this host: for the platform's log only. */
		xlog(XLOG_WARN, "git", "msg=\"ref not updated\" ref=%s err=%s", xlog_q(c->ref),
		     xlog_q(e ? e->message : "it has moved"));
		git_sayf(p, "error: cannot update %s: it has moved meanwhile; push again\n",
			 c->ref);
		c->why = "failed to update ref";
	}
}

static void transaction_text(const struct git_push *p, struct buf *out)
{
	buf_adds(out, "start\n");
	for (size_t i = 0; i < p->cmds.n; i++) {
		const struct push_cmd *c = &p->cmds.cmd[i];

		if (c->why)
			continue;
		if (!push_cmd_deletes(c))
			buf_addf(out, "update %s %s %s\n", c->ref, c->new_id, c->old_id);
		else if (!strcmp(c->old_id, GIT_ZERO_ID))
			buf_addf(out, "delete %s\n", c->ref);
		else
			buf_addf(out, "delete %s %s\n", c->ref, c->old_id);
	}
	buf_adds(out, "prepare\ncommit\n");
}

/* All or nothing. Returns false when nothing was changed. */
static bool transaction(struct git_push *p, struct buf *said)
{
	static const char *const argv[] = {"git", "update-ref", "-m", "push", "--stdin", NULL};
	AUTO(genv_clear) struct genv env;
	AUTO(buf_clear) struct buf text = {0};
	struct err err = {0};

	genv_init(&env);
	genv_repo(&env, p->rq->repo, NULL); /* git refuses ref updates with a quarantine set */
	genv_set(&env, "GIT_COMMITTER_NAME", p->rq->email);
	genv_set(&env, "GIT_COMMITTER_EMAIL", p->rq->email);
	transaction_text(p, &text);
	struct proc_spec s = {
		.argv = argv, .env = genv_done(&env), .in_fd = -1, .out_fd = -1, .err_fd = -1};

	return proc_run(&s, buf_str(&text), text.len, said, 2000,
			clock_mono_ms() + LIM_GIT_INDEX_MS, -1, &err) == 0;
}

static size_t count_left(const struct git_push *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->cmds.n; i++)
		n += !p->cmds.cmd[i].why;
	return n;
}

/* Refs that do not exist would fail the transaction: their deletion is done already. */
static void skip_done_deletions(struct git_push *p, git_repository *r, bool *skipped)
{
	for (size_t i = 0; i < p->cmds.n; i++) {
		struct push_cmd *c = &p->cmds.cmd[i];
		char now[41];

		if (c->why || !push_cmd_deletes(c))
			continue;
		current_value(r, c->ref, now);
		if (!*now && !delete_is_stale(r, c, now)) {
			c->why = "done"; /* taken back by the caller */
			skipped[i] = true;
		}
	}
}

static void many(struct git_push *p, git_repository *r)
{
	AUTO(buf_clear) struct buf said = {0};
	bool *skipped = xcalloc(p->cmds.n, sizeof(bool));

	skip_done_deletions(p, r, skipped);
	bool ok = count_left(p) == 0 || transaction(p, &said);

	for (size_t i = 0; i < p->cmds.n; i++) {
		if (skipped[i])
			p->cmds.cmd[i].why = NULL;
	}
	free(skipped);
	if (ok)
		return;
	if (!(p->cmds.caps & CAP_ATOMIC)) {
		one_by_one(p, r);
		return;
	}
	git_sayf(p, "error: %s\n", buf_str(&said));
	for (size_t i = 0; i < p->cmds.n; i++)
		p->cmds.cmd[i].why = "atomic push failure";
}

/* A clone checks out what HEAD names: the first of main and master that came. */
static void point_head(struct git_push *p, git_repository *r)
{
	AUTO(git_reference_free) git_reference *out = NULL;
	int unborn = git_repository_head_unborn(r);

	for (size_t i = 0; i < p->cmds.n && unborn == 1; i++) {
		const struct push_cmd *c = &p->cmds.cmd[i];

		if (c->why || push_cmd_deletes(c) || !git_ref_deploys(c->ref))
			continue;
		if (!git_refs_head_is(r, c->ref) &&
		    git_reference_symbolic_create(&out, r, "HEAD", c->ref, 1, "push") < 0)
			xlog(XLOG_WARN, "git", "msg=\"HEAD stays\" app_id=%s", p->rq->app_id);
		return;
	}
}

void git_refs_update(struct git_push *p)
{
	AUTO(git_repository_free) git_repository *r = NULL;
	struct err err = {0};

	if (git_repo_open(p->rq->repo, NULL, &r, &err) < 0) {
		xlog_err(XLOG_ERROR, "git", &err, "msg=\"refs stay\" app_id=%s", p->rq->app_id);
		for (size_t i = 0; i < p->cmds.n; i++)
			p->cmds.cmd[i].why = "failed to update ref";
		return;
	}
	git_repository_set_ident(r, p->rq->email, p->rq->email);
	if ((p->cmds.caps & CAP_ATOMIC) || count_left(p) > ONE_BY_ONE_MAX)
		many(p, r);
	else
		one_by_one(p, r);
	point_head(p, r);
}
