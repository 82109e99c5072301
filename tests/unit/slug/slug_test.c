#include "daemon/slug/slug.h"
#include "daemon/core/clock.h"
#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	char dir[32];
	struct slugs *slugs;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err err;

	codec_init();
	strcpy(f->dir, "/tmp/slug-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->slugs = slugs_open(f->dir);
	{
		AUTO(auto_str) char *tree = xasprintf("%s/tree/sub", f->dir);

		assert_int_equal(fs_mkdirs(tree, 0755, &err), 0);
	}
	*state = f;
	return 0;
}

/* Trees go on a thread of their own. */
static void await_gone(const char *path)
{
	const struct timespec moment = {0, 2000000};

	for (int i = 0; i < 5000 && access(path, F_OK) == 0; i++)
		nanosleep(&moment, NULL);
	assert_int_equal(access(path, F_OK), -1);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct err err;

	slugs_free(f->slugs);
	fs_rmtree(f->dir, &err);
	free(f);
	return 0;
}

static const char *at(const struct fixture *f, const char *name)
{
	static char path[4][PATH_MAX];
	static int i;

	i = (i + 1) % 4;
	snprintf(path[i], PATH_MAX, "%s/%s", f->dir, name);
	return path[i];
}

static void put(const struct fixture *f, const char *name, mode_t mode)
{
	int fd = open(at(f, name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void make_socket(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	close(fd);
}

static mode_t mode_of(const char *dir, const char *name)
{
	char path[PATH_MAX + 64];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return lstat(path, &st) < 0 ? 0 : st.st_mode;
}

static void a_sealed_tree_has_only_what_a_slug_may_have(void **state)
{
	struct fixture *f = *state;
	char id[37], path[PATH_MAX];
	uint64_t size = 0;
	struct err err = {0};
	struct stat st;

	put(f, "outside", 04755);
	put(f, "tree/plain", 0644);
	put(f, "tree/suid", 06755);
	put(f, "tree/sub/secret", 0000);
	assert_int_equal(link(at(f, "tree/plain"), at(f, "tree/hard")), 0);
	assert_int_equal(symlink(at(f, "outside"), at(f, "tree/link")), 0);
	assert_int_equal(symlink("/nowhere", at(f, "tree/dangling")), 0);
	assert_int_equal(mkfifo(at(f, "tree/fifo"), 0644), 0);
	make_socket(at(f, "tree/sub/sock"));
	assert_int_equal(mkdir(at(f, "tree/shut"), 0755), 0);
	put(f, "tree/shut/x", 0644);
	put(f, "tree/a\nb", 0644);
	assert_int_equal(chmod(at(f, "tree/shut"), 02000), 0);

	uuid_new(id);
	assert_false(slug_exists(f->slugs, id));
	if (slug_seal(f->slugs, at(f, "tree"), id, &size, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(slug_exists(f->slugs, id));
	assert_true(size >= 4 * 4096);
	assert_int_equal(access(at(f, "tree"), F_OK), -1);
	slug_path(f->slugs, id, path);
	assert_int_equal(mode_of(path, "plain"), S_IFREG | 0644);
	assert_int_equal(mode_of(path, "suid"), S_IFREG | 0755);
	assert_int_equal(mode_of(path, "sub/secret"), S_IFREG | 0400);
	assert_int_equal(mode_of(path, "shut"), S_IFDIR | 0700);
	assert_int_equal(mode_of(path, "shut/x"), S_IFREG | 0644);
	assert_int_equal(mode_of(path, "a\nb"), S_IFREG | 0644);
	assert_true(S_ISLNK(mode_of(path, "link")));
	assert_true(S_ISLNK(mode_of(path, "dangling")));
	assert_int_equal(mode_of(path, "fifo"), 0);
	assert_int_equal(mode_of(path, "sub/sock"), 0);
	assert_int_equal(lstat(at(f, "outside"), &st), 0); /* not touched through the link */
	assert_int_equal(st.st_mode & 07777, 04755);
	assert_int_equal(slug_remove(f->slugs, id, &err), 0);
	assert_false(slug_exists(f->slugs, id));
	assert_int_equal(slug_remove(f->slugs, id, &err), 0);
	AUTO(auto_str) char *old = xasprintf("slugs/.old-%s", id);

	await_gone(at(f, old));
}

static void a_tree_that_cannot_be_sealed_stays(void **state)
{
	struct fixture *f = *state;
	char id[37];
	uint64_t size;
	struct err err = {0};
	AUTO(auto_fd) int fd = open(at(f, "tree"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < SLUG_TREE_DEPTH + 1; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "d", 0755), 0);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	uuid_new(id);
	assert_int_equal(slug_seal(f->slugs, at(f, "tree"), id, &size, &err), -1);
	assert_int_equal(err.code, ERR_TOO_LARGE);
	assert_int_equal(access(at(f, "tree/d/d"), F_OK), 0);
	assert_false(slug_exists(f->slugs, id));
}

static bool keep_one(const char *id, void *arg)
{
	return !strcmp(id, arg);
}

static void collecting_spares_what_is_wanted_or_new(void **state)
{
	struct fixture *f = *state;
	char ids[3][37];
	uint64_t size;
	struct err err = {0};

	for (int i = 0; i < 3; i++) {
		uuid_new(ids[i]);
		if (i)
			assert_int_equal(mkdir(at(f, "tree"), 0755), 0);
		assert_int_equal(slug_seal(f->slugs, at(f, "tree"), ids[i], &size, &err), 0);
		if (i == 1)
			clock_shift(16 * 60 * 1000);
	}
	assert_int_equal(fs_mkdirs(at(f, "slugs/.new-x/app"), 0755, &err), 0);
	assert_int_equal(fs_mkdirs(at(f, "slugs/.old-y/app"), 0755, &err), 0);
	assert_int_equal(slugs_collect(f->slugs, keep_one, ids[0], &err), 0);
	assert_true(slug_exists(f->slugs, ids[0]));
	assert_false(slug_exists(f->slugs, ids[1]));
	assert_true(slug_exists(f->slugs, ids[2]));
	await_gone(at(f, "slugs/.new-x"));
	await_gone(at(f, "slugs/.old-y"));
	clock_shift(16 * 60 * 1000);
	assert_int_equal(slugs_collect(f->slugs, keep_one, ids[0], &err), 0);
	assert_false(slug_exists(f->slugs, ids[2]));
}

static void ids_that_are_paths_are_refused(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};

	assert_false(slug_exists(f->slugs, "../tree"));
	assert_int_equal(slug_remove(f->slugs, "../tree", &err), -1);
	assert_int_equal(access(at(f, "tree"), F_OK), 0);
}

static bool nothing_is_wanted(const char *slug_id, void *arg)
{
	return false;
}

static void what_is_held_stays_until_it_is_collected(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	char id[37];

	uuid_new(id);
	AUTO(auto_str) char *tree = xasprintf("slugs/%s/app", id);

	assert_int_equal(fs_mkdirs(at(f, tree), 0755, &err), 0);
	slugs_hold(f->slugs, true);
	assert_int_equal(slug_remove(f->slugs, id, &err), 0);
	assert_int_equal(slugs_collect(f->slugs, nothing_is_wanted, NULL, &err), 0);
	assert_true(slug_exists(f->slugs, id));
	slugs_hold(f->slugs, false);
	assert_true(slug_exists(f->slugs, id));
	assert_int_equal(slugs_collect(f->slugs, nothing_is_wanted, NULL, &err), 0);
	assert_false(slug_exists(f->slugs, id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_sealed_tree_has_only_what_a_slug_may_have, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_tree_that_cannot_be_sealed_stays, setup,
						teardown),
		cmocka_unit_test_setup_teardown(collecting_spares_what_is_wanted_or_new, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_is_held_stays_until_it_is_collected, setup,
						teardown),
		cmocka_unit_test_setup_teardown(ids_that_are_paths_are_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
