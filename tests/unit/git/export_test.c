#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"
#include "daemon/git/git_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* libgit2 1.5 loses 8 bytes for each path that it refuses. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libgit2.so";
}

struct fixture {
	char dir[64], repo[96], out[96];
	git_repository *r;
	struct buf said;
	struct config cfg;
};

static void say(const char *line, void *arg)
{
	struct fixture *f = arg;

	buf_addf(&f->said, "%s\n", line);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	git_library_init();
	snprintf(f->dir, sizeof(f->dir), "/tmp/git-export-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->repo, sizeof(f->repo), "%s/r.git", f->dir);
	snprintf(f->out, sizeof(f->out), "%s/out", f->dir);
	assert_int_equal(git_repository_init(&f->r, f->repo, 1), 0);
	assert_int_equal(mkdir(f->out, 0755), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	git_repository_free(f->r);
	fs_rmtree(f->dir, NULL);
	buf_clear(&f->said);
	free(f);
	return 0;
}

static git_oid blob(struct fixture *f, const char *text)
{
	git_oid id;

	assert_int_equal(git_blob_create_from_buffer(&id, f->r, text, strlen(text)), 0);
	return id;
}

/* Raw trees: hostile ones too, which libgit2's builder would refuse. */
static void entry(struct buf *t, const char *mode, const char *name, const git_oid *id)
{
	buf_addf(t, "%s %s", mode, name);
	buf_addc(t, 0);
	buf_add(t, id->id, 20);
}

static git_oid write_object(struct fixture *f, const void *p, size_t n, git_object_t type)
{
	git_odb *odb;
	git_oid id;

	assert_int_equal(git_repository_odb(&odb, f->r), 0);
	assert_int_equal(git_odb_write(&id, odb, p, n, type), 0);
	git_odb_free(odb);
	return id;
}

static git_oid tree(struct fixture *f, struct buf *t)
{
	git_oid id = write_object(f, buf_str(t), t->len, GIT_OBJECT_TREE);

	buf_clear(t);
	return id;
}

static void commit(struct fixture *f, const git_oid *t, char out[41])
{
	AUTO(buf_clear) struct buf b = {0};

	buf_addf(&b, "tree %s\n", git_oid_tostr_s(t));
	buf_adds(&b, "author a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n");
	git_oid id = write_object(f, b.data, b.len, GIT_OBJECT_COMMIT);

	git_oid_tostr(out, 41, &id);
}

static int export(struct fixture *f, struct buf *t, struct err *err)
{
	git_oid root = tree(f, t);
	char id[41];

	commit(f, &root, id);
	return git_export(f->repo, NULL, id, f->out, &f->cfg, say, f, err);
}

static void files_modes_and_links(void **state)
{
	struct fixture *f = *state;
	struct buf t = {0};
	struct err err = {0};
	git_oid x = blob(f, "#!/bin/sh\r\n"), l = blob(f, "../elsewhere"),
		a = blob(f, "* text=auto\n");
	char path[160], to[40] = {0};
	AUTO(buf_clear) struct buf got = {0};
	struct stat st;

	entry(&t, "100644", "f", &x);
	git_oid sub = tree(f, &t);

	entry(&t, "100644", ".gitattributes", &a);
	entry(&t, "40000", "d", &sub);
	entry(&t, "120000", "l", &l);
	entry(&t, "100755", "run", &x);
	assert_int_equal(export(f, &t, &err), 0);
	snprintf(path, sizeof(path), "%s/run", f->out);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_mode & 0100);
	assert_int_equal(fs_read(path, 100, &got, &err), 0);
	assert_string_equal(got.data, "#!/bin/sh\r\n"); /* no filter touched it */
	snprintf(path, sizeof(path), "%s/d/f", f->out);
	assert_int_equal(stat(path, &st), 0);
	assert_false(st.st_mode & 0100);
	snprintf(path, sizeof(path), "%s/l", f->out);
	assert_int_equal(readlink(path, to, sizeof(to) - 1), 12);
	assert_string_equal(to, "../elsewhere");
	assert_int_equal(f->said.len, 0);
}

static void gitlinks_without_gitmodules_are_empty_folders(void **state)
{
	struct fixture *f = *state;
	struct buf t = {0};
	struct err err = {0};
	git_oid id;
	char path[160];
	struct stat st;

	git_oid_fromstr(&id, "1234567890123456789012345678901234567890");
	entry(&t, "160000", "nested", &id);
	git_oid sub = tree(f, &t);

	entry(&t, "40000", "sub", &sub);
	assert_int_equal(export(f, &t, &err), 0);
	snprintf(path, sizeof(path), "%s/sub/nested", f->out);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_non_null(strstr(buf_str(&f->said), "no .gitmodules"));
}

static void submodules_with_bad_urls_fail(void **state)
{
	static const char *const urls[] = {"file:///etc",	    "http://127.0.0.1/x",  "../x",
					   "https://127.0.0.1:9/x", "ext::sh -c touch% x", "-x"};

	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		void *st;

		setup(&st);
		struct fixture *f = st;
		struct buf t = {0};
		struct err err = {0};
		AUTO(auto_str)
		char *text =
			xasprintf("[submodule \"s\"]\n\tpath = sub\n\turl = \"%s\"\n", urls[i]);
		git_oid id, m = blob(f, text);

		git_oid_fromstr(&id, "1234567890123456789012345678901234567890");
		entry(&t, "100644", ".gitmodules", &m);
		entry(&t, "160000", "sub", &id);
		assert_int_equal(export(f, &t, &err), -1);
		assert_non_null(strstr(err.msg, "submodule sub"));
		assert_int_equal(err.code, ERR_INVALID_PARAMS);
		teardown(&st);
	}
}

static void a_few_trees_naming_millions_of_files_are_refused(void **state)
{
	struct fixture *f = *state;
	struct buf t = {0};
	struct err err = {0};
	git_oid id = blob(f, "x");

	for (int level = 0; level < 9; level++) {
		for (int i = 0; i < 10; i++) {
			const char name[] = {(char)('0' + i), 0};

			entry(&t, level ? "40000" : "100644", name, &id);
		}
		if (level < 8)
			id = tree(f, &t);
	}
	assert_int_equal(export(f, &t, &err), -1);
	assert_int_equal(err.code, ERR_SLUG_TOO_LARGE);
}

static void deep_trees_are_refused(void **state)
{
	struct fixture *f = *state;
	struct buf t = {0};
	struct err err = {0};
	git_oid id = blob(f, "x");

	entry(&t, "100644", "f", &id);
	for (int i = 0; i < 5000; i++) {
		id = tree(f, &t);
		entry(&t, "40000", "d", &id);
	}
	assert_int_equal(export(f, &t, &err), -1);
	assert_int_equal(err.code, ERR_SLUG_TOO_LARGE);
}

static void hostile_names_write_nothing_outside(void **state)
{
	static const char *const names[] = {"..", ".git", ".GIT", "git~1",
					    ".",  "a/b",  "../x", ".g\xe2\x80\x8cit"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		void *st;

		setup(&st);
		struct fixture *f = st;
		struct buf t = {0};
		struct err err = {0};
		git_oid id = blob(f, "x");
		git_config *cfg;
		char path[160];

		git_repository_config(&cfg, f->r);
		git_config_set_string(cfg, "core.protectHFS", "true");
		git_config_free(cfg);
		entry(&t, "100644", names[i], &id);
		if (export(f, &t, &err) == 0)
			fail_msg("%s was written", names[i]);
		snprintf(path, sizeof(path), "%s/x", f->dir);
		assert_int_not_equal(access(path, F_OK), 0);
		teardown(&st);
	}
}

static void lfs_pointers_are_told_about(void **state)
{
	struct fixture *f = *state;
	struct buf t = {0};
	struct err err = {0};
	git_oid a = blob(f, "*.png filter=lfs diff=lfs merge=lfs -text\n"),
		p = blob(f, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");

	entry(&t, "100644", ".gitattributes", &a);
	entry(&t, "100644", "a.png", &p);
	assert_int_equal(export(f, &t, &err), 0);
	assert_non_null(strstr(buf_str(&f->said), "1 file of Git LFS (a.png)"));
}

static void the_folder_must_be_empty_and_absolute(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	struct buf t = {0};
	git_oid id = blob(f, "x");
	char cid[41];

	entry(&t, "100644", "f", &id);
	git_oid root = tree(f, &t);

	commit(f, &root, cid);
	assert_int_equal(git_export(f->repo, NULL, cid, "relative", &f->cfg, say, f, &err), -1);
	assert_int_equal(git_export(f->repo, NULL, cid, f->repo, &f->cfg, say, f, &err), -1);
	assert_int_equal(git_export(f->repo, NULL, GIT_ZERO_ID, f->out, &f->cfg, say, f, &err), -1);
}

/* What HEAD names must not make checkout think that its files are there already. */
static void the_commit_of_head_is_written_too(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	struct buf t = {0};
	git_oid id = blob(f, "x"), cid;
	git_reference *ref = NULL;
	char hex[41], path[160];

	entry(&t, "100644", "f", &id);
	git_oid root = tree(f, &t);

	commit(f, &root, hex);
	git_oid_fromstr(&cid, hex);
	assert_int_equal(git_reference_create(&ref, f->r, "refs/heads/master", &cid, 1, NULL), 0);
	git_reference_free(ref);
	assert_int_equal(git_repository_set_head(f->r, "refs/heads/master"), 0);
	assert_int_equal(git_export(f->repo, NULL, hex, f->out, &f->cfg, say, f, &err), 0);
	snprintf(path, sizeof(path), "%s/f", f->out);
	assert_int_equal(access(path, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_modes_and_links, setup, teardown),
		cmocka_unit_test_setup_teardown(gitlinks_without_gitmodules_are_empty_folders,
						setup, teardown),
		cmocka_unit_test(submodules_with_bad_urls_fail),
		cmocka_unit_test_setup_teardown(a_few_trees_naming_millions_of_files_are_refused,
						setup, teardown),
		cmocka_unit_test_setup_teardown(deep_trees_are_refused, setup, teardown),
		cmocka_unit_test(hostile_names_write_nothing_outside),
		cmocka_unit_test_setup_teardown(lfs_pointers_are_told_about, setup, teardown),
		cmocka_unit_test_setup_teardown(the_folder_must_be_empty_and_absolute, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_commit_of_head_is_written_too, setup, teardown),
	};

	codec_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
