#include "daemon/core/fsx.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Paths below the test's folder. */
static const char *at(void **state, const char *rel)
{
	static char ring[8][512];
	static unsigned n;
	char *p = ring[n++ % 8];

	snprintf(p, 512, "%s/%s", (char *)*state, rel);
	return p;
}

static void put(void **state, const char *rel, const char *text, mode_t mode)
{
	int fd = open(at(state, rel), O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	fchmod(fd, mode);
	close(fd);
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void mkdirs_makes_parents(void **state)
{
	struct err err = {0};

	assert_int_equal(fs_mkdirs(at(state, "a/b/c"), 0750, &err), 0);
	assert_int_equal(fs_mkdirs(at(state, "a/b/c/"), 0750, &err), 0);
	put(state, "a/file", "", 0600);
	assert_int_equal(fs_mkdirs(at(state, "a/file/x"), 0750, &err), -1);
	assert_int_equal(fs_mkdirs(at(state, "a/file"), 0750, &err), -1);
}

static void read_is_capped_and_takes_files_only(void **state)
{
	AUTO(buf_clear) struct buf b = {0};
	struct err err = {0};

	put(state, "f", "hello", 0600);
	assert_int_equal(fs_read(at(state, "f"), 5, &b, &err), 0);
	assert_string_equal(buf_str(&b), "hello");
	assert_int_equal(fs_read(at(state, "f"), 4, &b, &err), -1);
	assert_int_equal(err.code, ERR_TOO_LARGE);
	assert_string_equal(buf_str(&b), "hello");
	assert_int_equal(fs_read(at(state, "none"), 4, &b, &err), -1);
	assert_int_equal(mkfifo(at(state, "fifo"), 0600), 0);
	assert_int_equal(fs_read(at(state, "fifo"), 4, &b, &err), -1); /* does not hang */
}

static void read_at_follows_no_link(void **state)
{
	AUTO(auto_fd) int dir = open(*state, O_RDONLY | O_DIRECTORY);
	AUTO(buf_clear) struct buf b = {0};
	struct err err = {0};

	put(state, "target", "secret", 0600);
	assert_int_equal(fs_mkdirs(at(state, "sub"), 0700, &err), 0);
	put(state, "sub/ok", "fine", 0600);
	assert_int_equal(symlink("target", at(state, "link")), 0);
	assert_int_equal(symlink("sub", at(state, "dirlink")), 0);
	assert_int_equal(fs_read_at(dir, "sub/ok", 100, &b, &err), 0);
	assert_int_equal(fs_read_at(dir, "link", 100, &b, &err), -1);
	assert_int_equal(fs_read_at(dir, "dirlink/ok", 100, &b, &err), -1);
	assert_int_equal(fs_read_at(dir, "../etc/passwd", 100, &b, &err), -1);
	assert_int_equal(fs_read_at(dir, "/etc/passwd", 1 << 20, &b, &err), -1);
	assert_string_equal(buf_str(&b), "fine");
}

static void write_atomic_replaces_and_leaves_no_temporary(void **state)
{
	AUTO(buf_clear) struct buf b = {0};
	struct err err = {0};
	struct stat st;

	assert_int_equal(fs_write_atomic(at(state, "f"), "one", 3, 0640, &err), 0);
	assert_int_equal(fs_write_atomic(at(state, "f"), "two", 3, 0600, &err), 0);
	assert_int_equal(fs_read(at(state, "f"), 10, &b, &err), 0);
	assert_string_equal(buf_str(&b), "two");
	assert_int_equal(stat(at(state, "f"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(fs_write_atomic(at(state, "no/f"), "x", 1, 0600, &err), -1);
	/* The name of the target is taken by a folder: the temporary file must go. */
	assert_int_equal(fs_mkdirs(at(state, "d/x"), 0700, &err), 0);
	assert_int_equal(fs_write_atomic(at(state, "d"), "x", 1, 0600, &err), -1);
	assert_int_equal(unlink(at(state, "f")), 0);
	assert_int_equal(fs_rmtree(at(state, "d"), &err), 0);
	assert_int_equal(rmdir(*state), 0);
	assert_int_equal(mkdir(*state, 0700), 0);
}

/* Nested by descriptor: the path as text would be longer than PATH_MAX. */
static void make_deep(const char *root, int depth)
{
	int fd = open(root, O_RDONLY | O_DIRECTORY);

	assert_true(fd >= 0);
	for (int i = 0; i < depth; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "deep", 0700), 0);
		next = openat(fd, "deep", O_RDONLY | O_DIRECTORY);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	close(fd);
}

/* Runs fn as a user without rights (the suite may run as root). */
static int as_nobody(void (*fn)(void **state), void **state)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (geteuid() == 0 &&
		    (chown(*state, 65534, 65534) < 0 || setresgid(65534, 65534, 65534) < 0 ||
		     setresuid(65534, 65534, 65534) < 0))
			_exit(9);
		fn(state);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

#define MUST(x)                                                                    \
	do {                                                                       \
		if (!(x)) {                                                        \
			fprintf(stderr, "failed: %s (%s)\n", #x, strerror(errno)); \
			_exit(1);                                                  \
		}                                                                  \
	} while (0)

static void hostile_rm(void **state)
{
	struct err err = {0};

	MUST(fs_mkdirs(at(state, "keep"), 0700, &err) == 0);
	MUST(close(open(at(state, "keep/file"), O_CREAT | O_WRONLY, 0600)) == 0);
	MUST(fs_mkdirs(at(state, "t/locked/inner/more"), 0700, &err) == 0);
	MUST(symlink("../keep", at(state, "t/link")) == 0);
	MUST(symlink("/", at(state, "t/locked/root")) == 0);
	MUST(mkfifo(at(state, "t/fifo"), 0) == 0);
	MUST(close(open(at(state, "t/locked/inner/f"), O_CREAT | O_WRONLY, 0)) == 0);
	make_deep(at(state, "t"), 3000);
	MUST(chmod(at(state, "t/locked/inner/more"), 0) == 0);
	MUST(chmod(at(state, "t/locked/inner"), 0) == 0);
	MUST(chmod(at(state, "t/locked"), 0500) == 0);
	MUST(chmod(at(state, "t"), 0) == 0);
	if (fs_rmtree(at(state, "t"), &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		_exit(1);
	}
	MUST(!exists(at(state, "t")));
	MUST(exists(at(state, "keep/file")));
	MUST(fs_rmtree(at(state, "t"), &err) == 0); /* missing is fine */
	/* A link is removed itself, not what it points to. */
	MUST(symlink("keep", at(state, "l")) == 0);
	MUST(fs_rmtree(at(state, "l"), &err) == 0);
	MUST(!exists(at(state, "l")) && exists(at(state, "keep/file")));
	MUST(fs_rmtree(at(state, "keep"), &err) == 0);
}

static void rmtree_survives_hostile_trees(void **state)
{
	assert_int_equal(as_nobody(hostile_rm, state), 0);
}

static void rmtree_removes_many_entries(void **state)
{
	struct err err = {0};

	assert_int_equal(fs_mkdirs(at(state, "many"), 0700, &err), 0);
	for (int i = 0; i < 3000; i++) {
		char name[40];

		snprintf(name, sizeof name, "many/%d", i);
		if (i % 3)
			put(state, name, "x", 0600);
		else
			assert_int_equal(mkdir(at(state, name), 0700), 0);
	}
	assert_int_equal(fs_rmtree(at(state, "many"), &err), 0);
	assert_false(exists(at(state, "many")));
}

static void copytree_keeps_what_matters(void **state)
{
	struct timespec then[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	struct err err = {0};
	struct stat a, b;
	char target[64] = "";

	assert_int_equal(fs_mkdirs(at(state, "src/d/e"), 0755, &err), 0);
	put(state, "src/d/run", "#!/bin/sh\n", 0755);
	put(state, "src/d/e/data", "data", 0640);
	put(state, "src/setuid", "x", 04755);
	assert_int_equal(link(at(state, "src/d/run"), at(state, "src/other")), 0);
	assert_int_equal(symlink("/outside/../x", at(state, "src/link")), 0);
	assert_int_equal(mkfifo(at(state, "src/fifo"), 0600), 0);
	assert_int_equal(utimensat(AT_FDCWD, at(state, "src/d/e/data"), then, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, at(state, "src/d"), then, 0), 0);
	assert_int_equal(fs_copytree(at(state, "src"), at(state, "dst"), 0, &err), 0);

	assert_int_equal(stat(at(state, "dst/d/run"), &a), 0);
	assert_int_equal(a.st_mode & 07777, 0755);
	assert_int_equal(stat(at(state, "dst/other"), &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(stat(at(state, "dst/d/e/data"), &a), 0);
	assert_int_equal(a.st_mode & 07777, 0640);
	assert_int_equal(a.st_mtime, 1000000000);
	assert_int_equal(stat(at(state, "dst/d"), &a), 0);
	assert_int_equal(a.st_mtime, 1000000000);
	assert_int_equal(stat(at(state, "dst/setuid"), &a), 0);
	assert_int_equal(a.st_mode & 07777, 0755);
	assert_true(readlink(at(state, "dst/link"), target, sizeof target - 1) > 0);
	assert_string_equal(target, "/outside/../x");
	assert_false(exists(at(state, "dst/fifo")));
}

static void hostile_copy(void **state)
{
	struct err err = {0};
	struct stat st;

	MUST(fs_mkdirs(at(state, "src/locked/inner"), 0700, &err) == 0);
	MUST(close(open(at(state, "src/locked/unreadable"), O_CREAT | O_WRONLY, 0)) == 0);
	MUST(chmod(at(state, "src/locked"), 0) == 0);
	MUST(fs_copytree(at(state, "src"), at(state, "dst"), 0, &err) == 0);
	MUST(stat(at(state, "dst/locked"), &st) == 0 && (st.st_mode & 0777) == 0);
	MUST(chmod(at(state, "dst/locked"), 0700) == 0);
	MUST(stat(at(state, "dst/locked/unreadable"), &st) == 0 && (st.st_mode & 0777) == 0);
	MUST(exists(at(state, "dst/locked/inner")));
	MUST(fs_rmtree(at(state, "src"), &err) == 0);
	MUST(fs_rmtree(at(state, "dst"), &err) == 0);
}

static void copytree_reads_what_has_no_rights(void **state)
{
	assert_int_equal(as_nobody(hostile_copy, state), 0);
}

static void copytree_stops_at_the_limit(void **state)
{
	struct err err = {0};

	assert_int_equal(fs_mkdirs(at(state, "src"), 0700, &err), 0);
	put(state, "src/sparse", "", 0600);
	assert_int_equal(truncate(at(state, "src/sparse"), 1LL << 40), 0);
	assert_int_equal(fs_copytree(at(state, "src"), at(state, "dst"), 1 << 20, &err), -1);
	assert_int_equal(err.code, ERR_SLUG_TOO_LARGE);
	assert_int_equal(truncate(at(state, "src/sparse"), 1 << 20), 0);
	assert_int_equal(fs_rmtree(at(state, "dst"), &err), 0);
	assert_int_equal(fs_copytree(at(state, "src"), at(state, "dst"), 1 << 20, &err), 0);
	make_deep(at(state, "src"), 200);
	assert_int_equal(fs_rmtree(at(state, "dst"), &err), 0);
	assert_int_equal(fs_copytree(at(state, "src"), at(state, "dst"), 0, &err), -1);
	assert_int_equal(err.code, ERR_SLUG_TOO_LARGE);
}

static void usage_counts_links_once(void **state)
{
	uint64_t bytes = 0, files = 0, again = 0;
	struct err err = {0};
	char big[40000];

	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = 0;
	assert_int_equal(fs_mkdirs(at(state, "src/d"), 0700, &err), 0);
	put(state, "src/d/f", big, 0600);
	assert_int_equal(fs_usage(at(state, "src"), &bytes, &files, &err), 0);
	assert_true(bytes >= 40000 && bytes < 100000);
	assert_int_equal(files, 2);
	assert_int_equal(link(at(state, "src/d/f"), at(state, "src/d/g")), 0);
	assert_int_equal(symlink("/", at(state, "src/root")), 0);
	assert_int_equal(fs_usage(at(state, "src"), &again, &files, &err), 0);
	assert_true(again <= bytes + 4096);
	assert_int_equal(files, 4);
	assert_int_equal(fs_usage(at(state, "none"), &bytes, &files, &err), -1);
	assert_int_equal(fs_free_bytes(*state, &bytes, &err), 0);
	assert_true(bytes > 0);
}

static void a_lock_is_held_once(void **state)
{
	struct err err = {0};
	int a = fs_lock(at(state, "lock"), &err);

	assert_true(a >= 0);
	assert_int_equal(fs_lock(at(state, "lock"), &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	close(a);
	a = fs_lock(at(state, "lock"), &err);
	assert_true(a >= 0);
	close(a);
	assert_int_equal(fs_fsync_tree(*state, &err), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, tmp_setup, tmp_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(mkdirs_makes_parents),	  T(read_is_capped_and_takes_files_only),
		T(read_at_follows_no_link),	  T(write_atomic_replaces_and_leaves_no_temporary),
		T(rmtree_survives_hostile_trees), T(rmtree_removes_many_entries),
		T(copytree_keeps_what_matters),	  T(copytree_reads_what_has_no_rights),
		T(copytree_stops_at_the_limit),	  T(usage_counts_links_once),
		T(a_lock_is_held_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
