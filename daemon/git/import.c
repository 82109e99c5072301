/* Commits that come from another repository of this host: objects first, while nothing names them,
 * the ref when what was built of them is to be released; as a push does it. */
#include "daemon/git/git_int.h"

#include <stdio.h>
#include <string.h>

/* From a path, so nothing of the network; by id, which that repository must allow. */
static int copy_objects(const char *repo, const char *from, const char *commit, struct err *err)
{
	const char *const argv[] = {"git",
				    "fetch",
				    "--quiet",
				    "--no-tags",
				    "--no-write-fetch-head",
				    "--no-auto-maintenance",
				    "--",
				    from,
				    commit,
				    NULL};
	AUTO(genv_clear) struct genv env;
	AUTO(buf_clear) struct buf out = {0};
	struct proc_spec s = {.argv = argv,
			      .in_fd = -1,
			      .out_fd = -1,
			      .err_fd = -1,
			      .lim = {.as_bytes = LIM_GIT_FETCH_AS, .cpu_s = LIM_GIT_INDEX_CPU_S},
			      .die_with_thread = true};
	int rc;

	genv_init(&env);
	genv_repo(&env, repo, NULL);
	genv_set(&env, "GIT_ALLOW_PROTOCOL", "file");
	genv_config(&env, "fetch.unpackLimit", "1");
	genv_config(&env, "fetch.writeCommitGraph", "false");
	s.env = genv_done(&env);
	rc = proc_run(&s, NULL, 0, &out, 4096, clock_mono_ms() + LIM_GIT_INDEX_MS, -1, err);
	if (rc > 0)
		return err_set(err, ERR_IO, "cannot copy commit %.12s: %.200s", commit,
			       buf_str(&out));
	return rc;
}

int git_import_begin(struct git *g, const char *app_id, const char *from, const char *commit,
		     char *repo, struct err *err)
{
	git_library_init();
	if (git_repo_create(g, app_id, err) < 0)
		return -1;
	git_repo_path(g, app_id, repo);
	git_app_push_begin(g, app_id);
	if (copy_objects(repo, from, commit, err) == 0)
		return 0;
	git_app_push_end(g, app_id);
	return -1;
}

/* The branch that a clone checks out. */
static void head_ref(git_repository *r, char ref[256])
{
	AUTO(git_reference_free) git_reference *head = NULL;
	const char *target = NULL;

	if (git_reference_lookup(&head, r, "HEAD") == 0)
		target = git_reference_symbolic_target(head);
	snprintf(ref, 256, "%s", target ? target : "refs/heads/main");
}

int git_head_ref(const char *repo, char ref[256], struct err *err)
{
	AUTO(git_repository_free) git_repository *r = NULL;

	if (git_repo_open(repo, NULL, &r, err) < 0)
		return -1;
	head_ref(r, ref);
	return 0;
}

int git_import_ref(struct git *g, const char *app_id, const char *ref, const char *commit,
		   const char *why, struct err *err)
{
	AUTO(git_repository_free) git_repository *r = NULL;
	AUTO(git_reference_free) git_reference *out = NULL;
	char repo[PATH_MAX];
	git_oid id;
	int rc;

	git_repo_path(g, app_id, repo);
	if (git_oid_fromstr(&id, commit) < 0 || git_repo_open(repo, NULL, &r, err) < 0)
		return -1;
	git_app_lock(g, app_id);
	rc = git_reference_create(&out, r, ref, &id, 1, why);
	git_app_unlock(g, app_id);
	return rc < 0 ? git_err(err, "cannot set %s", ref) : 0;
}

void git_import_end(struct git *g, const char *app_id)
{
	git_app_push_end(g, app_id);
	git_gc_later(g, app_id);
}
