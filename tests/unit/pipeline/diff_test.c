/* What one app has that another has not: histories in two bare repositories that share objects or
 * do not. */
#include "daemon/pipeline/pipeline.h"
#include "proto/limits.h"
#include "tests/unit/test.h"

#include <git2.h>
#include <string.h>

struct fixture {
	char *dir; /* owned by cmocka's set-up */
	git_repository *repo[2];
	char *path[2];
	long clock;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	git_libgit2_init();
	if (!f || tmp_setup((void **)&f->dir) < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		f->path[i] = xasprintf("%s/%d.git", f->dir, i);
		if (git_repository_init(&f->repo[i], f->path[i], 1) < 0)
			return -1;
	}
	f->clock = 1700000000;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	void *dir = f->dir;

	for (int i = 0; i < 2; i++) {
		git_repository_free(f->repo[i]);
		free(f->path[i]);
	}
	free(f);
	git_libgit2_shutdown();
	return tmp_teardown(&dir);
}

/* A commit with an empty tree; parents end with NULL. */
static void commit(struct fixture *f, int in, const char *message, char out[41], const char *p1,
		   const char *p2)
{
	const char *const hex[] = {p1, p2};
	const git_commit *parents[2];
	git_treebuilder *tb;
	git_signature *who;
	git_oid tree_id, id;
	git_tree *tree;
	size_t n = 0;

	assert_int_equal(git_treebuilder_new(&tb, f->repo[in], NULL), 0);
	assert_int_equal(git_treebuilder_write(&tree_id, tb), 0);
	assert_int_equal(git_tree_lookup(&tree, f->repo[in], &tree_id), 0);
	assert_int_equal(git_signature_new(&who, "Dev", "dev@example.com", f->clock++, 0), 0);
	for (; n < 2 && hex[n]; n++) {
		git_commit *c;

		assert_int_equal(git_oid_fromstr(&id, hex[n]), 0);
		assert_int_equal(git_commit_lookup(&c, f->repo[in], &id), 0);
		parents[n] = c;
	}
	assert_int_equal(git_commit_create(&id, f->repo[in], NULL, who, who, NULL, message, tree, n,
					   parents),
			 0);
	git_oid_tostr(out, 41, &id);
	while (n)
		git_commit_free((git_commit *)(uintptr_t)parents[--n]);
	git_signature_free(who);
	git_tree_free(tree);
	git_treebuilder_free(tb);
}

static void diff(struct fixture *f, const char *from, const char *to, struct commit_diff *d)
{
	const char *const repos[] = {f->path[0], f->path[1]}, *const commits[] = {from, to};
	struct err err = {0};

	commit_diff_clear(d);
	if (commit_diff_make(repos, commits, d, &err) < 0)
		fail_msg("%s", err.msg);
}

static void both_directions_and_merges(void **state)
{
	struct fixture *f = *state;
	struct commit_diff d = {0};
	char a[41], b[41], side[41], merge[41], own[41];

	/* The target's repository knows nothing of these: it was promoted to. */
	commit(f, 0, "first", a, NULL, NULL);
	commit(f, 0, "second\n\nwith a body", b, a, NULL);
	commit(f, 0, "aside", side, a, NULL);
	commit(f, 0, "merge", merge, b, side);
	diff(f, a, a, &d);
	assert_true(d.n == 0 && d.behind == 0 && !d.unknown[0]);
	diff(f, merge, a, &d);
	assert_int_equal(d.n, 3);
	assert_string_equal(d.v[0].sha, merge);
	assert_string_equal(d.v[2].subject, "second");
	assert_string_equal(d.v[1].author, "Dev");
	assert_string_equal(d.v[1].email, "dev@example.com");
	assert_true(d.v[1].when_ms == 1700000002000);
	diff(f, a, merge, &d);
	assert_true(d.n == 0 && d.behind == 3);
	diff(f, side, b, &d);
	assert_true(d.n == 1 && d.behind == 1);
	/* Histories that have nothing in common, one in each repository. */
	commit(f, 1, "elsewhere", own, NULL, NULL);
	diff(f, b, own, &d);
	assert_true(d.n == 2 && d.behind == 1);
	commit_diff_clear(&d);
}

static void what_is_not_there(void **state)
{
	static const char *const bad[] = {"", "v1.2", "0123456789012345678901234567890123456789",
					  "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"};
	struct fixture *f = *state;
	const char *const none[] = {"/nonexistent/a.git", "/nonexistent/b.git"};
	struct commit_diff d = {0};
	struct err err = {0};
	char a[41];

	commit(f, 1, "first", a, NULL, NULL);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		diff(f, a, bad[i], &d);
		assert_true(!d.unknown[0] && d.unknown[1] && !d.n && !d.behind);
		diff(f, bad[i], a, &d);
		assert_true(d.unknown[0] && !d.unknown[1]);
	}
	commit_diff_clear(&d);
	assert_int_equal(commit_diff_make(none, (const char *const[]){a, a}, &d, &err), 0);
	assert_true(d.unknown[0] && d.unknown[1]);
	commit_diff_clear(&d);
}

static void long_histories_are_cut(void **state)
{
	struct fixture *f = *state;
	struct commit_diff d = {0};
	char first[41], last[41], next[41];

	commit(f, 0, "first", first, NULL, NULL);
	memcpy(last, first, sizeof last);
	for (int i = 0; i < LIM_DIFF_COMMITS + 5; i++) {
		commit(f, 0, "more", next, last, NULL);
		memcpy(last, next, sizeof last);
	}
	diff(f, last, first, &d);
	assert_true(d.n == LIM_DIFF_COMMITS && d.more && d.behind == 0);
	diff(f, first, last, &d);
	assert_true(d.n == 0 && !d.more && d.behind == LIM_DIFF_COMMITS + 1);
	commit_diff_clear(&d);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(both_directions_and_merges),
		TEST(what_is_not_there),
		TEST(long_histories_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
