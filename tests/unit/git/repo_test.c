#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"
#include "daemon/git/git_int.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define APP "01234567-89ab-4def-8123-456789abcdef"

struct fixture {
	char dir[64];
	struct config cfg;
	struct git *g;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct git_ops ops = {0};
	struct err err = {0};

	snprintf(f->dir, sizeof(f->dir), "/tmp/git-repo-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->cfg.state_dir = f->dir;
	assert_int_equal(git_open(&f->cfg, &ops, &f->g, &err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	git_close(f->g);
	fs_rmtree(f->dir, NULL);
	free(f);
	return 0;
}

static int count_entries(const char *dir)
{
	uint64_t bytes, files = 0;

	assert_int_equal(fs_usage(dir, &bytes, &files, NULL), 0);
	return (int)files;
}

static void made_measured_deleted(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX];
	struct err err = {0};
	uint64_t bytes = 1;
	git_repository *r = NULL;

	git_repo_path(f->g, APP, path);
	assert_int_equal(git_repo_size(f->g, APP, &bytes, &err), 0);
	assert_int_equal(bytes, 0);
	assert_int_equal(git_repo_create(f->g, APP, &err), 0);
	assert_int_equal(git_repo_create(f->g, APP, &err), 0); /* again is fine */
	assert_int_equal(git_repo_open(path, NULL, &r, &err), 0);
	assert_int_equal(git_repository_is_bare(r), 1);
	assert_true(git_refs_head_is(r, "refs/heads/main"));
	git_repository_free(r);
	assert_int_equal(git_repo_size(f->g, APP, &bytes, &err), 0);
	assert_true(bytes > 0);
	assert_int_equal(git_repo_delete(f->g, APP, &err), 0);
	assert_int_equal(git_repo_delete(f->g, APP, &err), 0);
	assert_int_not_equal(access(path, F_OK), 0);
	char repos[PATH_MAX];

	snprintf(repos, sizeof(repos), "%s/repos", f->dir);
	assert_int_equal(rmdir(repos), 0); /* nothing half-made stays beside it */
}

static void touch(const char *dir, const char *name, bool folder)
{
	AUTO(auto_str) char *path = xasprintf("%s/%s", dir, name);

	if (folder)
		assert_int_equal(fs_mkdirs(path, 0700, NULL), 0);
	else
		assert_int_equal(fs_write_atomic(path, "x", 1, 0600, NULL), 0);
}

static void sweeping_takes_what_a_crash_left(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX], repos[PATH_MAX];
	int before;

	git_repo_path(f->g, APP, path);
	snprintf(repos, sizeof(repos), "%s/repos", f->dir);
	assert_int_equal(git_repo_create(f->g, APP, NULL), 0);
	touch(path, "objects/pack/pack-1.pack", false);
	touch(path, "refs/heads/a.locked", false);
	before = count_entries(repos);
	touch(path, "objects/tmp_objdir-incoming-1/pack", true);
	touch(path, "objects/tmp_objdir-incoming-1/pack/x", false);
	touch(path, "objects/pack/tmp_pack_1", false);
	touch(path, "objects/pack/pack-1.keep", false);
	touch(path, "objects/00", true);
	touch(path, "objects/00/tmp_obj_1", false);
	touch(path, "HEAD.lock", false);
	touch(path, "packed-refs.lock", false);
	touch(path, "gc.pid", false);
	touch(path, "refs/heads/a", true);
	touch(path, "refs/heads/a/b.lock", false);
	touch(repos, ".new-1/objects", true);
	touch(repos, ".trash-1/objects", true);
	assert_int_equal(git_sweep(f->g, NULL), 0);
	AUTO(auto_str) char *kept = xasprintf("%s/objects/pack/pack-1.pack", path);
	AUTO(auto_str) char *gone = xasprintf("%s/objects/tmp_objdir-incoming-1", path);
	AUTO(auto_str) char *trash = xasprintf("%s/.trash-1", repos);

	assert_int_equal(access(kept, F_OK), 0);
	assert_int_not_equal(access(gone, F_OK), 0);
	assert_int_not_equal(access(trash, F_OK), 0);
	assert_true(count_entries(repos) <= before + 2); /* the two new folders 00 and a */
}

static void *begin_push(void *arg)
{
	struct fixture *f = arg;

	git_app_push_begin(f->g, APP);
	return NULL;
}

static void a_push_ends_the_clean_up(void **state)
{
	struct fixture *f = *state;
	struct pollfd p = {.events = POLLIN};
	pthread_t t;
	int fd;

	assert_true(git_app_gc_begin(f->g, APP, &p.fd));
	assert_false(git_app_gc_begin(f->g, APP, &fd));
	pthread_create(&t, NULL, begin_push, f);
	assert_int_equal(poll(&p, 1, 60000), 1); /* the push wants it to end, and waits */
	assert_false(git_app_gc_begin(f->g, APP, &fd));
	git_app_gc_end(f->g, APP);
	pthread_join(t, NULL);
	assert_false(git_app_gc_begin(f->g, APP, &fd));
	git_app_push_end(f->g, APP);
	assert_null(f->g->apps);
}

static void *begin_hold(void *arg)
{
	struct fixture *f = arg;

	git_hold(f->g, true);
	return NULL;
}

static void a_hold_ends_the_clean_up_and_keeps_others_away(void **state)
{
	struct fixture *f = *state;
	struct pollfd p = {.events = POLLIN};
	pthread_t t;
	int fd;

	assert_true(git_app_gc_begin(f->g, APP, &p.fd));
	pthread_create(&t, NULL, begin_hold, f);
	assert_int_equal(poll(&p, 1, 60000), 1);
	git_app_gc_end(f->g, APP);
	pthread_join(t, NULL);
	assert_false(git_app_gc_begin(f->g, APP, &fd));
	git_app_push_begin(f->g, APP); /* pushes go on */
	git_app_push_end(f->g, APP);
	git_hold(f->g, false);
	assert_true(git_app_gc_begin(f->g, APP, &fd));
	git_app_gc_end(f->g, APP);
}

static void *update(void *arg)
{
	struct fixture *f = arg;
	static int inside, sum;

	for (int i = 0; i < 200; i++) {
		git_app_lock(f->g, APP);
		assert_int_equal(inside++, 0);
		sum++;
		assert_int_equal(--inside, 0);
		git_app_unlock(f->g, APP);
	}
	return NULL;
}

static void updates_take_turns(void **state)
{
	struct fixture *f = *state;
	pthread_t t[4];

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_create(&t[i], NULL, update, f);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_join(t[i], NULL);
	assert_null(f->g->apps);
}

static void paths_that_are_ours(void **state)
{
	static const char *const yes[] = {"/a.git/info/refs", "/a.git/x",     "/a.git/",
					  "/..git/x",	      "/a/info/refs", "/apps/info/refs",
					  "/%2e.git/x"};
	static const char *const no[] = {"/",
					 "/a.git",
					 "/apps/a.git",
					 "//a.git/x",
					 "/.git/x",
					 "/apps/info",
					 "/apps/git-receive-pack",
					 "",
					 "*",
					 "/a/b.git/info/refs",
					 "/a/info/refs/"};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (!git_wants(yes[i]))
			fail_msg("%s is not taken", yes[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(no); i++) {
		if (git_wants(no[i]))
			fail_msg("%s is taken", no[i]);
	}
}

static void children_inherit_nothing(void **state)
{
	AUTO(genv_clear) struct genv e;

	setenv("GIT_DIR", "/evil", 1);
	setenv("GIT_SSH_COMMAND", "evil", 1);
	genv_init(&e);
	genv_repo(&e, "/a:b\"c", "/q");
	const char *const *v = genv_done(&e);
	bool dir = false, alternates = false;

	for (; *v; v++) {
		assert_null(strstr(*v, "evil"));
		dir = dir || !strcmp(*v, "GIT_DIR=/a:b\"c");
		alternates = alternates ||
			     !strcmp(*v, "GIT_ALTERNATE_OBJECT_DIRECTORIES=\"/a:b\\\"c/objects\"");
	}
	assert_true(dir && alternates);
	unsetenv("GIT_DIR");
	unsetenv("GIT_SSH_COMMAND");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(made_measured_deleted, setup, teardown),
		cmocka_unit_test_setup_teardown(sweeping_takes_what_a_crash_left, setup, teardown),
		cmocka_unit_test_setup_teardown(a_push_ends_the_clean_up, setup, teardown),
		cmocka_unit_test_setup_teardown(a_hold_ends_the_clean_up_and_keeps_others_away,
						setup, teardown),
		cmocka_unit_test_setup_teardown(updates_take_turns, setup, teardown),
		cmocka_unit_test(paths_that_are_ours),
		cmocka_unit_test(children_inherit_nothing),
	};

	codec_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
