/* Archives made of a state directory where nothing runs, and others that nobody should trust. */
#include "daemon/backup/backup_int.h"
#include "daemon/core/fsx.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SLUG "slugs/7c0bd4a6-4d7a-4a37-9f3a-d4d9f6a1c001"
#define LONG "a-name-that-is-longer-than-the-hundred-bytes-that-the-oldest-tars-have-room-for"

struct fixture {
	char dir[32];
	struct config cfg;
	struct master_key *key;
};

static const char *at(const struct fixture *f, const char *name)
{
	static char path[8][PATH_MAX];
	static int i;

	i = (i + 1) % 8;
	snprintf(path[i], PATH_MAX, "%s/%s", f->dir, name);
	return path[i];
}

static void put(const struct fixture *f, const char *name, const char *text, mode_t mode)
{
	AUTO(auto_str) char *dir = xstrdup(at(f, name));
	struct err err = {0};

	*strrchr(dir, '/') = 0;
	assert_int_equal(fs_mkdirs(dir, 0755, &err), 0);
	assert_int_equal(fs_write_atomic(at(f, name), text, strlen(text), mode, &err), 0);
	assert_int_equal(chmod(at(f, name), mode), 0);
}

static void put_sparse(const struct fixture *f, const char *name)
{
	AUTO(auto_fd) int fd = open(at(f, name), O_RDWR | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)3 << 30), 0);
	assert_int_equal(pwrite(fd, "middle", 6, (off_t)1 << 30), 6);
}

static void make_state(struct fixture *f)
{
	const struct timespec old[] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	struct store *s = NULL;
	struct err err = {0};

	assert_int_equal(fs_mkdirs(at(f, "state"), 0755, &err), 0);
	assert_int_equal(master_key_load(at(f, "state/master.key"), &f->key, &err), 0);
	assert_int_equal(store_open(at(f, "state/paasd.db"), f->key, &s, &err), 0);
	store_close(s);
	put(f, "state/" SLUG "/app/gr\xc3\xbcn \xff\nline\\", "odd name", 0644);
	put(f, "state/" SLUG "/app/" LONG "/" LONG, "long", 0755);
	put(f, "state/" SLUG "/app/one", "twice", 0644);
	assert_int_equal(utimensat(AT_FDCWD, at(f, "state/" SLUG "/app/one"), old, 0), 0);
	assert_int_equal(link(at(f, "state/" SLUG "/app/one"), at(f, "state/" SLUG "/app/two")), 0);
	assert_int_equal(symlink("/etc/passwd", at(f, "state/" SLUG "/app/out")), 0);
	put(f, "state/" SLUG "/app/shut/file", "", 0444);
	assert_int_equal(chmod(at(f, "state/" SLUG "/app/shut"), 0555), 0);
	put(f, "state/slugs/.new-x/app/file", "half made", 0644);
	put(f, "state/repos/x.git/refs/heads/main", "0123\n", 0644);
	put(f, "state/repos/x.git/refs/heads/main.lock", "", 0644);
	put(f, "state/repos/x.git/objects/pack/p.pack", "objects", 0444);
	put(f, "state/repos/x.git/objects/tmp_1", "half", 0444);
	put(f, "state/logs/x/0", "lines", 0600);
	put(f, "state/builds/b/output", "built", 0600);
	put(f, "state/builds/b/app/file", "tree", 0600);
	put(f, "state/cache/x/file", "cache", 0600);
	put(f, "state/instance", "slot 7\n", 0644);
	put(f, "state/something-new", "kept", 0640);
	put_sparse(f, "state/sparse");
	put_sparse(f, "state/" SLUG "/app/sparse");
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);

	codec_init();
	strcpy(f->dir, "/tmp/backup-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	config_init(&f->cfg);
	make_state(f);
	free(f->cfg.state_dir);
	f->cfg.state_dir = xstrdup(at(f, "state"));
	free(f->cfg.run_dir);
	f->cfg.run_dir = xstrdup(at(f, "state/run"));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct err err;

	master_key_free(f->key);
	config_clear(&f->cfg);
	fs_rmtree(f->dir, &err);
	free(f);
	return 0;
}

static void backup(struct fixture *f, const char *name, struct backup_options o)
{
	const struct backup_platform p = {.cfg = &f->cfg, .key = f->key};
	AUTO(backup_report_clear) struct backup_report r = {0};
	AUTO(auto_fd) int fd = open(at(f, name), O_RDWR | O_CREAT | O_EXCL, 0600);
	struct err err = {0};

	if (backup_write(&p, &o, fd, NULL, &r, &err) < 0)
		fail_msg("%s", err.msg);
}

static int check(struct fixture *f, const char *name, const struct master_key *key, struct err *err)
{
	AUTO(backup_report_clear) struct backup_report r = {0};
	AUTO(auto_fd) int fd = open(at(f, name), O_RDONLY);

	*err = (struct err){0};
	return backup_check(fd, key, NULL, &r, err);
}

static int restore(struct fixture *f, const char *name, const char *to, const char *key,
		   struct err *err)
{
	AUTO(backup_report_clear) struct backup_report r = {0};
	AUTO(auto_fd) int fd = open(at(f, name), O_RDONLY);

	*err = (struct err){0};
	mkdir(at(f, to), 0711);
	return backup_restore(fd, at(f, to), key, geteuid(), getegid(), NULL, &r, err);
}

static void has(const struct fixture *f, const char *name, const char *text, mode_t mode)
{
	AUTO(buf_clear) struct buf b = {0};
	struct err err = {0};
	struct stat st;

	assert_int_equal(lstat(at(f, name), &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
	assert_int_equal(fs_read(at(f, name), 1 << 20, &b, &err), 0);
	assert_string_equal(buf_str(&b), text);
}

static bool is_there(const struct fixture *f, const char *name)
{
	struct stat st;

	return lstat(at(f, name), &st) == 0;
}

static void has_holes(const struct fixture *f, const char *name)
{
	AUTO(auto_fd) int fd = open(at(f, name), O_RDONLY);
	char text[7] = "";
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, (off_t)3 << 30);
	assert_true(st.st_blocks < 1000);
	assert_int_equal(pread(fd, text, 6, (off_t)1 << 30), 6);
	assert_string_equal(text, "middle");
}

static void test_what_comes_back(void **state)
{
	struct fixture *f = *state;
	struct stat one, two;
	char to[32] = "";
	struct err err;

	backup(f, "a.tar", (struct backup_options){0});
	assert_int_equal(stat(at(f, "a.tar"), &one), 0);
	assert_true(one.st_size < 4 << 20); /* 6 GB of holes */
	assert_int_equal(check(f, "a.tar", NULL, &err), 0);
	assert_int_equal(check(f, "a.tar", f->key, &err), 0);
	if (restore(f, "a.tar", "back", at(f, "state/master.key"), &err) < 0)
		fail_msg("%s", err.msg);
	has(f, "back/" SLUG "/app/gr\xc3\xbcn \xff\nline\\", "odd name", 0644);
	has(f, "back/" SLUG "/app/" LONG "/" LONG, "long", 0755);
	has(f, "back/" SLUG "/app/shut/file", "", 0444);
	has(f, "back/repos/x.git/refs/heads/main", "0123\n", 0644);
	has(f, "back/repos/x.git/objects/pack/p.pack", "objects", 0444);
	has(f, "back/logs/x/0", "lines", 0600);
	has(f, "back/builds/b/output", "built", 0600);
	has(f, "back/something-new", "kept", 0640);
	has_holes(f, "back/sparse");
	has_holes(f, "back/" SLUG "/app/sparse");
	assert_int_equal(stat(at(f, "back/" SLUG "/app/shut"), &one), 0);
	assert_int_equal(one.st_mode & 07777, 0555);
	assert_int_equal(lstat(at(f, "back/" SLUG "/app/out"), &one), 0);
	assert_int_equal(lstat(at(f, "state/" SLUG "/app/out"), &two), 0);
	assert_int_equal(one.st_mtime, two.st_mtime);
	assert_int_equal(stat(at(f, "back/" SLUG "/app/one"), &one), 0);
	assert_int_equal(one.st_mtime, 1000000000);
	assert_int_equal(stat(at(f, "back/" SLUG "/app/two"), &two), 0);
	assert_true(one.st_ino == two.st_ino && one.st_nlink == 2);
	assert_int_equal(readlink(at(f, "back/" SLUG "/app/out"), to, sizeof to), 11);
	assert_string_equal(to, "/etc/passwd");
	assert_int_equal(stat(at(f, "back/master.key"), &one), 0);
	assert_int_equal(one.st_mode & 07777, 0600);
	for (const char *const *no =
		     (const char *const[]){"cache", "slugs/.new-x", "builds/b/app", "restore.tmp",
					   "repos/x.git/refs/heads/main.lock",
					   "repos/x.git/objects/tmp_1", "paasd.lock", NULL};
	     *no; no++) {
		AUTO(auto_str) char *path = xasprintf("back/%s", *no);

		assert_false(is_there(f, path));
	}
	assert_int_equal(backup_restore_pending(at(f, "back"), &err), 0);
	/* once is enough */
	assert_int_equal(restore(f, "a.tar", "back", at(f, "state/master.key"), &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
}

static void test_the_key(void **state)
{
	struct fixture *f = *state;
	AUTO(master_key_free) struct master_key *other = NULL;
	struct err err;

	assert_int_equal(master_key_load(at(f, "other.key"), &other, &err), 0);
	backup(f, "a.tar", (struct backup_options){.without_logs = true});
	assert_int_equal(check(f, "a.tar", other, &err), -1);
	assert_int_equal(err.code, ERR_FORBIDDEN);
	assert_int_equal(restore(f, "a.tar", "back", NULL, &err), -1);
	assert_non_null(strstr(err.msg, "--key FILE"));
	assert_int_equal(restore(f, "a.tar", "back", at(f, "other.key"), &err), -1);
	assert_int_equal(err.code, ERR_FORBIDDEN);
	assert_int_equal(restore(f, "a.tar", "back", at(f, "no.key"), &err), -1);
	assert_false(is_there(f, "no.key"));
	assert_int_equal(restore(f, "a.tar", "back", at(f, "state/master.key"), &err), 0);
	assert_false(is_there(f, "back/logs") || is_there(f, "back/builds"));
	backup(f, "b.tar", (struct backup_options){.with_key = true});
	assert_int_equal(restore(f, "b.tar", "again", NULL, &err), 0);
	assert_true(is_there(f, "again/master.key"));
}

static bool is_bare(const struct fixture *f, const char *dir)
{
	struct err err;

	return !is_there(f, "evil") && rmdir(at(f, dir)) == 0 &&
	       fs_mkdirs(at(f, dir), 0711, &err) == 0;
}

/* Cut off anywhere, or with a byte that is another, it is refused, or the byte does not matter: of
 * what is restored each is as it was. */
static void test_damage(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_clear) struct buf a = {0};
	struct err err;
	size_t end;

	backup(f, "a.tar", (struct backup_options){0});
	assert_int_equal(fs_read(at(f, "a.tar"), 1 << 24, &a, &err), 0);
	for (size_t n = 0; n < a.len; n += n < 8192 || n + 8192 > a.len ? 512 : a.len / 20) {
		AUTO(auto_fd) int fd = open(at(f, "cut.tar"), O_RDWR | O_CREAT | O_TRUNC, 0600);

		assert_int_equal(write(fd, a.data, n), (ssize_t)n);
		/* without the blocks of zeros behind the seal it is still whole */
		if (check(f, "cut.tar", f->key, &err) == 0)
			assert_true(a.len - n <= 65536 && n > a.len / 2);
		else
			assert_int_equal(err.code, ERR_CORRUPT);
	}
	end = a.len - 2048;
	for (size_t i = 7; i < end; i += end / 150) {
		AUTO(auto_fd) int fd = open(at(f, "bad.tar"), O_RDWR | O_CREAT | O_TRUNC, 0600);

		a.data[i] ^= 4;
		assert_int_equal(write(fd, a.data, a.len), (ssize_t)a.len);
		a.data[i] ^= 4;
		if (restore(f, "bad.tar", "back", at(f, "state/master.key"), &err) < 0) {
			assert_true(is_bare(f, "back"));
			continue;
		}
		has(f, "back/repos/x.git/objects/pack/p.pack", "objects", 0444);
		fs_rmtree(at(f, "back"), &err);
	}
}

/* --- archives that nobody's paasd has written --- */

struct evil {
	const char *what;
	struct {
		const char *path;
		mode_t type;
		const char *link;
		bool hard;
	} m[4];
};

static void add(struct archive *a, const char *path, mode_t type, const char *link, bool hard,
		const char *text)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_set_pathname(e, path);
	archive_entry_set_filetype(e, type);
	archive_entry_set_perm(e, 0755);
	if (link && hard)
		archive_entry_set_hardlink(e, link);
	else if (link)
		archive_entry_set_symlink(e, link);
	archive_entry_set_size(e, type == S_IFREG && !link ? (la_int64_t)strlen(text) : 0);
	assert_true(archive_write_header(a, e) >= ARCHIVE_WARN);
	if (type == S_IFREG && !link)
		archive_write_data(a, text, strlen(text));
	archive_entry_free(e);
}

static void write_evil(struct fixture *f, const struct evil *x, int format, int schema)
{
	struct archive *a = archive_write_new();
	AUTO(auto_str) char *about = NULL;
	char id[65];

	secret_sign(f->key, "backup", id);
	about = xasprintf("{\"format\": %d, \"schema\": %d, \"product\": \"x\", \"key\": \"%s\"}",
			  format, schema, id);
	archive_write_set_format_pax(a);
	assert_int_equal(archive_write_open_filename(a, at(f, "evil.tar")), ARCHIVE_OK);
	add(a, BACKUP_ABOUT, S_IFREG, NULL, false, about);
	for (size_t i = 0; x && i < ARRAY_LEN(x->m) && x->m[i].path; i++)
		add(a, x->m[i].path, x->m[i].type, x->m[i].link, x->m[i].hard, "evil");
	archive_write_free(a);
}

#define ST BACKUP_STATE
static const struct evil evils[] = {
	{"above", {{ST "../../evil", S_IFREG, NULL, false}}},
	{"above, later", {{ST "slugs/x/../../../evil", S_IFREG, NULL, false}}},
	{"absolute", {{"/tmp/backup-evil", S_IFREG, NULL, false}}},
	{"another top", {{"etc/evil", S_IFREG, NULL, false}}},
	{"dots", {{ST "./evil", S_IFREG, NULL, false}}},
	{"nothing between", {{ST "slugs//evil", S_IFREG, NULL, false}}},
	{"no folder", {{ST "slugs/evil", S_IFREG, NULL, false}}},
	{"a fifo", {{ST "evil", S_IFIFO, NULL, false}}},
	{"a device", {{ST "evil", S_IFCHR, NULL, false}}},
	{"the database a link", {{ST "paasd.db", S_IFLNK, "/etc/passwd", false}}},
	{"a folder a link", {{ST "slugs", S_IFLNK, "..", false}}},
	{"a repository a link",
	 {{ST "repos", S_IFDIR, NULL, false}, {ST "repos/x.git", S_IFLNK, "/etc", false}}},
	{"through a link",
	 {{ST "slugs", S_IFDIR, NULL, false},
	  {ST "slugs/x", S_IFDIR, NULL, false},
	  {ST "slugs/x/l", S_IFLNK, "../../..", false},
	  {ST "slugs/x/l/evil", S_IFREG, NULL, false}}},
	{"over a link",
	 {{ST "slugs", S_IFDIR, NULL, false},
	  {ST "slugs/x", S_IFDIR, NULL, false},
	  {ST "slugs/x/l", S_IFLNK, "../../../evil", false},
	  {ST "slugs/x/l", S_IFREG, NULL, false}}},
	{"a name of a file outside", {{ST "slugs/x/h", S_IFREG, "/etc/passwd", true}}},
	{"a name of a file above",
	 {{ST "slugs", S_IFDIR, NULL, false},
	  {ST "slugs/x", S_IFDIR, NULL, false},
	  {ST "slugs/x/h", S_IFREG, ST "slugs/x/../../../other.key", true}}},
	{"a name of another's file",
	 {{ST "slugs", S_IFDIR, NULL, false},
	  {ST "slugs/x", S_IFDIR, NULL, false},
	  {ST "master.key", S_IFREG, NULL, false},
	  {ST "slugs/x/h", S_IFREG, ST "master.key", true}}},
	{"a name of a link",
	 {{ST "slugs", S_IFDIR, NULL, false},
	  {ST "slugs/x", S_IFDIR, NULL, false},
	  {ST "slugs/x/l", S_IFLNK, "/etc/passwd", false},
	  {ST "slugs/x/h", S_IFREG, ST "slugs/x/l", true}}},
	{"twice", {{ST "evil", S_IFREG, NULL, false}, {ST "evil", S_IFREG, NULL, false}}},
	{"a second description", {{BACKUP_ABOUT, S_IFREG, NULL, false}}},
	{"sums that are not", {{BACKUP_SUMS, S_IFREG, NULL, false}}},
	{"a seal without sums", {{BACKUP_SEAL, S_IFREG, NULL, false}}},
	{"no seal", {{ST "evil", S_IFREG, NULL, false}}},
};

static void test_hostile(void **state)
{
	struct fixture *f = *state;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(evils); i++) {
		write_evil(f, &evils[i], BACKUP_FORMAT, sql_migration_count);
		if (restore(f, "evil.tar", "back", at(f, "state/master.key"), &err) == 0 ||
		    !is_bare(f, "back") || access("/tmp/backup-evil", F_OK) == 0)
			fail_msg("%s: %s", evils[i].what, err.msg);
		/* refused where it is, not for want of an end */
		if (i + 1 < ARRAY_LEN(evils) && strstr(err.msg, "cut off"))
			fail_msg("%s was taken", evils[i].what);
	}
	write_evil(f, NULL, BACKUP_FORMAT + 1, 1);
	assert_int_equal(restore(f, "evil.tar", "back", at(f, "state/master.key"), &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	write_evil(f, NULL, BACKUP_FORMAT, sql_migration_count + 1);
	assert_int_equal(check(f, "evil.tar", NULL, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	put(f, "evil.tar", "no archive at all\n", 0600);
	assert_int_equal(check(f, "evil.tar", NULL, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	put(f, "evil.tar", "", 0600);
	assert_int_equal(check(f, "evil.tar", NULL, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
}

static void test_places_that_are_not_empty(void **state)
{
	struct fixture *f = *state;
	AUTO(auto_str) char *key = xstrdup(at(f, "state/master.key"));
	struct err err;

	backup(f, "a.tar", (struct backup_options){0});
	put(f, "back/logs/x/0", "mine", 0600);
	assert_int_equal(restore(f, "a.tar", "back", key, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	has(f, "back/logs/x/0", "mine", 0600);
	assert_int_equal(unlink(at(f, "back/logs/x/0")), 0);
	assert_int_equal(rmdir(at(f, "back/logs/x")), 0);
	/* empty folders and the lock are fine, and what a killed restore has left */
	put(f, "back/paasd.lock", "", 0600);
	put(f, "back/restore.tmp/paasd.db", "half", 0600);
	assert_int_equal(backup_restore_pending(at(f, "back"), &err), -1);
	assert_int_equal(restore(f, "a.tar", "back", key, &err), 0);
	has(f, "back/logs/x/0", "lines", 0600);
}

static void test_where_it_cannot_be_written(void **state)
{
	struct fixture *f = *state;
	const struct backup_platform p = {.cfg = &f->cfg, .key = f->key};
	const struct backup_options o = {0};
	AUTO(backup_report_clear) struct backup_report r = {0};
	AUTO(auto_fd) int full = open("/dev/full", O_WRONLY);
	struct err err = {0};

	assert_int_equal(backup_write(&p, &o, full, NULL, &r, &err), -1);
	assert_int_equal(err.code, ERR_DISK_FULL);
	assert_false(is_there(f, "state/backup.tmp"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_key, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_places_that_are_not_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_where_it_cannot_be_written, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
