#include "daemon/build/tarball.h"
#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <cmocka.h>

struct fixture {
	char dir[40];
	char tar[80], out[80];
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	codec_init();
	strcpy(f->dir, "/tmp/tarball-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->tar, sizeof(f->tar), "%s/a.tar", f->dir);
	snprintf(f->out, sizeof(f->out), "%s/out", f->dir);
	assert_int_equal(mkdir(f->out, 0755), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fs_rmtree(f->dir, NULL);
	free(f);
	return 0;
}

struct item {
	int type;		 /* AE_IF...; 0 ends the list; AE_IFMT = hard link */
	const char *path, *text; /* content or target */
	mode_t mode;
};

static void pack_items(const struct fixture *f, const struct item *v)
{
	struct archive *a = archive_write_new();

	archive_write_add_filter_gzip(a);
	archive_write_set_format_pax_restricted(a);
	assert_int_equal(archive_write_open_filename(a, f->tar), ARCHIVE_OK);
	for (; v->type; v++) {
		struct archive_entry *e = archive_entry_new();
		bool hard = v->type == (int)AE_IFMT;

		archive_entry_set_pathname(e, v->path);
		archive_entry_set_filetype(e, hard ? AE_IFREG : (unsigned)v->type);
		archive_entry_set_perm(e, v->mode ? v->mode : 0644);
		archive_entry_set_size(e, 0);
		if (hard)
			archive_entry_set_hardlink(e, v->text);
		else if (v->type == (int)AE_IFLNK)
			archive_entry_set_symlink(e, v->text);
		else if (v->type == (int)AE_IFREG)
			archive_entry_set_size(e, (la_int64_t)strlen(v->text));
		assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
		if (v->type == (int)AE_IFREG && !hard)
			archive_write_data(a, v->text, strlen(v->text));
		archive_entry_free(e);
	}
	archive_write_close(a);
	archive_write_free(a);
}

static int unpack(const struct fixture *f, struct err *err)
{
	return tarball_unpack(f->tar, f->out, 1 << 20, 0, -1, err);
}

static const char *in(const struct fixture *f, const char *name)
{
	static char path[4][PATH_MAX];
	static int i;

	i = (i + 1) % 4;
	snprintf(path[i], PATH_MAX, "%s/%s", f->out, name);
	return path[i];
}

#define REG(p, t)                 \
	{                         \
		AE_IFREG, p, t, 0 \
	}
#define LNK(p, t)                 \
	{                         \
		AE_IFLNK, p, t, 0 \
	}
#define HARD(p, t)               \
	{                        \
		AE_IFMT, p, t, 0 \
	}
#define DIR(p)                        \
	{                             \
		AE_IFDIR, p, "", 0755 \
	}
#define END                      \
	{                        \
		0, NULL, NULL, 0 \
	}

static void ordinary_entries_come_out(void **state)
{
	struct fixture *f = *state;
	const struct item v[] = {DIR("./top"),
				 {AE_IFREG, "top/bin/x", "#!/bin/sh\n", 06755},
				 REG("top/a", "one"),
				 REG("top/a", "two"), /* the last counts */
				 LNK("top/link", "a"),
				 LNK("top/out", "/etc/passwd"),
				 HARD("top/hard", "top/a"),
				 {AE_IFIFO, "top/fifo", "", 0},
				 {AE_IFDIR, "top/shut", "", 0001},
				 END};
	struct err err = {0};
	struct stat st;
	struct buf b = {0};

	pack_items(f, v);
	if (unpack(f, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(stat(in(f, "top/bin/x"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(fs_read(in(f, "top/hard"), 10, &b, &err), 0);
	assert_string_equal(buf_str(&b), "two");
	buf_clear(&b);
	assert_int_equal(lstat(in(f, "top/link"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(lstat(in(f, "top/fifo"), &st), -1);
	assert_int_equal(stat(in(f, "top/shut"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0701);
	assert_int_equal(tarball_lift(f->out, &err), 0);
	assert_int_equal(access(in(f, "bin/x"), X_OK), 0);
	assert_int_equal(tarball_lift(f->out, &err), 0); /* several entries: nothing to lift */
	assert_int_equal(access(in(f, "bin/x"), X_OK), 0);
}

static void entries_that_lead_out_are_refused(void **state)
{
	struct fixture *f = *state;
	const struct item cases[][3] = {
		{REG("../evil", "x"), END},
		{REG("a/../../evil", "x"), END},
		{REG("/evil-abs", "x"), END},
		{LNK("d", ".."), REG("d/evil", "x"), END},
		{LNK("d", "/tmp"), DIR("d/evil-dir"), END},
		{LNK("d", ".."), DIR("d"), END},
		{HARD("h", "../a.tar"), END},
		{HARD("h", "/etc/passwd"), END},
		{LNK("d", ".."), HARD("h", "d/a.tar"), END},
		{REG("f", "x"), REG("f/g", "x"), END},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		AUTO(auto_str) char *evil = xasprintf("%s/evil", f->dir);

		fs_rmtree(f->out, &err);
		assert_int_equal(mkdir(f->out, 0755), 0);
		pack_items(f, cases[i]);
		if (unpack(f, &err) == 0)
			fail_msg("case %zu was taken", i);
		assert_int_equal(err.code, ERR_BUILD_FAILED);
		assert_int_equal(access(evil, F_OK), -1);
		assert_int_equal(access("/tmp/evil-dir", F_OK), -1);
		assert_int_equal(access("/evil-abs", F_OK), -1);
	}
}

static void a_file_over_a_link_replaces_the_link(void **state)
{
	struct fixture *f = *state;
	const struct item v[] = {LNK("x", "../victim"), REG("x", "new"), END};
	AUTO(auto_str) char *victim = xasprintf("%s/victim", f->dir);
	struct err err = {0};
	struct buf b = {0};

	assert_int_equal(fs_write_atomic(victim, "old", 3, 0644, &err), 0);
	pack_items(f, v);
	assert_int_equal(unpack(f, &err), 0);
	assert_int_equal(fs_read(victim, 10, &b, &err), 0);
	assert_string_equal(buf_str(&b), "old");
	buf_clear(&b);
}

static void sizes_are_limited(void **state)
{
	struct fixture *f = *state;
	char *big = xmalloc((2 << 20) + 1);
	const struct item v[] = {REG("x", big), END};
	struct err err = {0};

	memset(big, 'x', 2 << 20);
	big[2 << 20] = 0;
	pack_items(f, v);
	assert_int_equal(unpack(f, &err), -1);
	assert_int_equal(err.code, ERR_TOO_LARGE);
	free(big);
}

static void junk_is_said_to_be_junk(void **state)
{
	struct fixture *f = *state;
	const struct item none[] = {END};
	struct err err = {0};

	assert_int_equal(fs_write_atomic(f->tar, "hello, world", 12, 0644, &err), 0);
	assert_int_equal(unpack(f, &err), -1);
	assert_int_equal(err.code, ERR_BUILD_FAILED);
	pack_items(f, none);
	assert_int_equal(unpack(f, &err), -1);
	assert_int_equal(fs_write_atomic(f->tar, "", 0, 0644, &err), 0);
	assert_int_equal(unpack(f, &err), -1);
}

static void unpacking_can_be_stopped(void **state)
{
	struct fixture *f = *state;
	const struct item v[] = {REG("x", "y"), END};
	AUTO(auto_fd) int stop = eventfd(1, EFD_CLOEXEC);
	struct err err = {0};

	pack_items(f, v);
	assert_int_equal(tarball_unpack(f->tar, f->out, 1 << 20, 0, stop, &err), -1);
	assert_int_equal(err.code, ERR_CANCELED);
	assert_int_equal(tarball_unpack(f->tar, f->out, 1 << 20, 1, -1, &err), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
}

static void downloads_obey_the_rules(void **state)
{
	struct fixture *f = *state;
	AUTO(auto_str) char *url = xasprintf("file://%s", f->tar);
	AUTO(auto_str) char *to = xasprintf("%s/got", f->dir);
	struct config cfg = {.allow_local_buildpacks = true};
	struct err err = {0};

	assert_int_equal(fs_write_atomic(f->tar, "0123456789", 10, 0644, &err), 0);
	assert_int_equal(tarball_download(&cfg, url, false, to, 10, 0, -1, &err), 0);
	assert_int_equal(tarball_download(&cfg, url, false, to, 9, 0, -1, &err), -1);
	assert_int_equal(err.code, ERR_TOO_LARGE);
	assert_int_equal(tarball_download(&cfg, "http://127.0.0.1:9/x", true, to, 9, 0, -1, &err),
			 -1);
	assert_int_equal(err.code, ERR_BUILD_FAILED);
	cfg.allow_local_buildpacks = false;
	assert_int_equal(tarball_download(&cfg, url, false, to, 10, 0, -1, &err), -1);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ordinary_entries_come_out),
		T(entries_that_lead_out_are_refused),
		T(a_file_over_a_link_replaces_the_link),
		T(sizes_are_limited),
		T(junk_is_said_to_be_junk),
		T(unpacking_can_be_stopped),
		T(downloads_obey_the_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
