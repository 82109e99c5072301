/* What one app of a pipeline has that another has not. Each app has a repository of its own, and a
 * promotion moves no objects: a commit is looked for in both, as if they were one. */
#include "daemon/pipeline/pipeline.h"
#include "proto/limits.h"

#include <git2.h>
#include <string.h>

static inline void free_repo_p(git_repository **p)
{
	git_repository_free(*p);
}
static inline void free_odb_p(git_odb **p)
{
	git_odb_free(*p);
}
static inline void free_walk_p(git_revwalk **p)
{
	git_revwalk_free(*p);
}
static inline void free_commit_p(git_commit **p)
{
	git_commit_free(*p);
}

void commit_diff_clear(struct commit_diff *d)
{
	for (int i = 0; i < d->n; i++) {
		free(d->v[i].author);
		free(d->v[i].email);
		free(d->v[i].subject);
	}
	free(d->v);
	*d = (struct commit_diff){0};
}

static int git_err(struct err *err, const char *what)
{
	const git_error *e = git_error_last();

	return err_set(err, ERR_INTERNAL, "%s: %s", what, e ? e->message : "unknown");
}

/* Both repositories' objects as one database; a repository that is not there adds nothing. */
static int open_both(const char *const repo[2], git_repository **out, struct err *err)
{
	AUTO(free_odb) git_odb *odb = NULL;

	if (git_odb_new(&odb) < 0)
		return git_err(err, "cannot read objects");
	for (int i = 0; i < 2; i++) {
		AUTO(auto_str) char *objects = xasprintf("%s/objects", repo[i]);

		if (i == 1 && strcmp(repo[0], repo[1]) == 0)
			break;
		if (git_odb_add_disk_alternate(odb, objects) < 0)
			return git_err(err, "cannot read a repository");
	}
	return git_repository_wrap_odb(out, odb) < 0 ? git_err(err, "cannot read objects") : 0;
}

static bool find_commit(git_repository *r, const char *hex, git_oid *out)
{
	AUTO(free_commit) git_commit *c = NULL;

	/* Of a tarball the version is any text. */
	return strlen(hex) == 40 && git_oid_fromstr(out, hex) == 0 &&
	       git_commit_lookup(&c, r, out) == 0;
}

static int start_walk(git_repository *r, const git_oid *from, const git_oid *without,
		      git_revwalk **out, struct err *err)
{
	if (git_revwalk_new(out, r) < 0 ||
	    git_revwalk_sorting(*out, GIT_SORT_TOPOLOGICAL | GIT_SORT_TIME) < 0 ||
	    git_revwalk_push(*out, from) < 0 || git_revwalk_hide(*out, without) < 0)
		return git_err(err, "cannot walk the history");
	return 0;
}

static int add_commit(git_repository *r, const git_oid *id, struct commit_diff *d, struct err *err)
{
	AUTO(free_commit) git_commit *c = NULL;
	struct diff_commit *one;
	const git_signature *by;
	const char *subject;

	if (git_commit_lookup(&c, r, id) < 0)
		return git_err(err, "cannot read a commit");
	d->v = xrealloc(d->v, (size_t)(d->n + 1) * sizeof *d->v);
	one = &d->v[d->n++];
	by = git_commit_author(c);
	subject = git_commit_summary(c);
	*one = (struct diff_commit){.author = xstrdup(by && by->name ? by->name : ""),
				    .email = xstrdup(by && by->email ? by->email : ""),
				    .subject = xstrdup(subject ? subject : ""),
				    .when_ms = (wall_ms)git_commit_time(c) * 1000};
	git_oid_tostr(one->sha, sizeof one->sha, id);
	return 0;
}

static int list_ahead(git_repository *r, const git_oid id[2], struct commit_diff *d,
		      struct err *err)
{
	AUTO(free_walk) git_revwalk *walk = NULL;
	git_oid at;

	if (start_walk(r, &id[0], &id[1], &walk, err) < 0)
		return -1;
	while (git_revwalk_next(&at, walk) == 0) {
		if (d->n == LIM_DIFF_COMMITS) {
			d->more = true;
			return 0;
		}
		if (add_commit(r, &at, d, err) < 0)
			return -1;
	}
	return 0;
}

static int count_behind(git_repository *r, const git_oid id[2], struct commit_diff *d,
			struct err *err)
{
	AUTO(free_walk) git_revwalk *walk = NULL;
	git_oid at;

	if (start_walk(r, &id[1], &id[0], &walk, err) < 0)
		return -1;
	while (d->behind <= LIM_DIFF_COMMITS && git_revwalk_next(&at, walk) == 0)
		d->behind++;
	return 0;
}

int commit_diff_make(const char *const repo[2], const char *const commit[2],
		     struct commit_diff *out, struct err *err)
{
	AUTO(free_repo) git_repository *r = NULL;
	git_oid id[2];

	if (open_both(repo, &r, err) < 0)
		return -1;
	for (int i = 0; i < 2; i++)
		out->unknown[i] = !find_commit(r, commit[i], &id[i]);
	if (out->unknown[0] || out->unknown[1] || git_oid_equal(&id[0], &id[1]))
		return 0;
	return list_ahead(r, id, out, err) < 0 ? -1 : count_behind(r, id, out, err);
}
