/* The tree of a commit, written out: libgit2's checkout, which no tree can make write outside its
 * folder, after a walk that counts what it would write. No filters: what was committed is built. */
#include "daemon/git/git_int.h"

#include "daemon/core/xlog.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct scan {
	struct git_export_job *job;
	git_odb *odb;
	git_repository *repo;
	struct git_gitlink *links; /* owned */
	size_t nlinks, cap;
	char modules_id[41]; /* blob .gitmodules of the root; "" = none */
	bool lfs;	     /* some .gitattributes asks for it */
	size_t pointers;     /* LFS pointers seen */
	char *first_pointer; /* owned */
};

static void scan_clear(struct scan *s)
{
	for (size_t i = 0; i < s->nlinks; i++)
		free(s->links[i].path);
	free(s->links);
	free(s->first_pointer);
}
#define scan_clear_p scan_clear

void git_job_say(struct git_export_job *job, const char *fmt, ...)
{
	AUTO(buf_clear) struct buf b = {0};
	va_list ap;

	if (!job->say)
		return;
	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	job->say(buf_str(&b), job->say_arg);
}

static void add_link(struct scan *s, const char *path, const git_oid *id)
{
	if (s->nlinks == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 8;
		s->links = xrealloc(s->links, s->cap * sizeof(*s->links));
	}
	s->links[s->nlinks].path = xstrdup(path);
	git_oid_tostr(s->links[s->nlinks].id, 41, id);
	s->nlinks++;
}

static bool blob_has(struct scan *s, const git_oid *id, size_t max, const char *text, bool at_start)
{
	git_odb_object *o = NULL;
	bool found = false;

	if (git_odb_read(&o, s->odb, id) < 0)
		return false;
	size_t n = git_odb_object_size(o), k = strlen(text);

	if (n <= max && n >= k)
		found = at_start ? !memcmp(git_odb_object_data(o), text, k)
				 : memmem(git_odb_object_data(o), n, text, k) != NULL;
	git_odb_object_free(o);
	return found;
}

static int see_blob(struct scan *s, const git_tree_entry *e, const char *path, struct err *err)
{
	const git_oid *id = git_tree_entry_id(e);
	const char *name = git_tree_entry_name(e);
	git_object_t type;
	size_t size;

	if (git_odb_read_header(&size, &type, s->odb, id) < 0)
		return git_err(err, "cannot read %s", path);
	if (type != GIT_OBJECT_BLOB)
		return err_set(err, ERR_CORRUPT, "%s is no file", path);
	if (size > LIM_GIT_BLOB)
		return err_set(err, ERR_SLUG_TOO_LARGE, "%s is too large (%zu MB, at most %lld MB)",
			       path, size >> 20, LIM_GIT_BLOB >> 20);
	s->job->bytes += size;
	if (s->job->bytes > LIM_SLUG_TREE)
		return err_set(err, ERR_SLUG_TOO_LARGE, "the source is too large (at most %lld MB)",
			       LIM_SLUG_TREE >> 20);
	if (!strcmp(path, ".gitmodules") && git_tree_entry_filemode(e) != GIT_FILEMODE_LINK &&
	    size <= LIM_GIT_MODULES_FILE)
		git_oid_tostr(s->modules_id, 41, id);
	if (!strcmp(name, ".gitattributes"))
		s->lfs = s->lfs || blob_has(s, id, KiB(64), "filter=lfs", false);
	return 0;
}

static int scan_tree(struct scan *s, const git_oid *id, const char *path, int depth,
		     struct err *err);

static int see_entry(struct scan *s, const git_tree_entry *e, const char *dir, int depth,
		     struct err *err)
{
	AUTO(auto_str)
	char *path = xasprintf("%s%s%s", dir, *dir ? "/" : "", git_tree_entry_name(e));

	if (strchr(git_tree_entry_name(e), '/')) /* libgit2 would make folders of it */
		return err_set(err, ERR_CORRUPT, "a file's name has a slash in it");
	if (++s->job->entries > LIM_GIT_TREE_ENTRIES)
		return err_set(err, ERR_SLUG_TOO_LARGE, "the source has more than %d files",
			       LIM_GIT_TREE_ENTRIES);
	switch (git_tree_entry_filemode(e)) {
	case GIT_FILEMODE_COMMIT:
		add_link(s, path, git_tree_entry_id(e));
		return 0;
	case GIT_FILEMODE_TREE:
		return scan_tree(s, git_tree_entry_id(e), path, depth + 1, err);
	default:
		return see_blob(s, e, path, err);
	}
}

/* Counts before anything is written: a few hundred bytes of trees can name 10^10 files. */
static int scan_tree(struct scan *s, const git_oid *id, const char *path, int depth,
		     struct err *err)
{
	AUTO(git_tree_free) git_tree *t = NULL;

	if (depth > LIM_GIT_TREE_DEPTH)
		return err_set(err, ERR_SLUG_TOO_LARGE,
			       "the source's folders are nested too deeply");
	if (git_tree_lookup(&t, s->repo, id) < 0)
		return git_err(err, "cannot read folder %s", path);
	for (size_t i = 0; i < git_tree_entrycount(t); i++) {
		if (see_entry(s, git_tree_entry_byindex(t, i), path, depth, err) < 0)
			return -1;
	}
	return 0;
}

/* --- Git LFS --- */

static int see_pointer(const char *root, const git_tree_entry *e, void *arg)
{
	struct scan *s = arg;
	size_t size;
	git_object_t type;

	if (git_tree_entry_type(e) != GIT_OBJECT_BLOB)
		return 0;
	if (git_odb_read_header(&size, &type, s->odb, git_tree_entry_id(e)) < 0 || size > 1024)
		return 0;
	if (!blob_has(s, git_tree_entry_id(e), 1024, "version https://git-lfs.github.com/spec/v1\n",
		      true))
		return 0;
	if (s->pointers++ == 0)
		s->first_pointer = xasprintf("%s%s", root, git_tree_entry_name(e));
	return 0;
}

static void tell_pointers(struct scan *s, git_tree *tree)
{
	if (!s->lfs || git_tree_walk(tree, GIT_TREEWALK_PRE, see_pointer, s) < 0 || !s->pointers)
		return;
	git_job_say(s->job,
		    " !     %zu file%s of Git LFS (%s%s) came as pointers, without content.",
		    s->pointers, s->pointers == 1 ? "" : "s", s->first_pointer,
		    s->pointers == 1 ? "" : ", ...");
	git_job_say(s->job, " !     There is no LFS server here: they are built as they are.");
}

/* --- writing --- */

/* Gitlinks are taken out first: a bare repository cannot check them out, and with a working folder
 * set libgit2 1.5 reads .gitmodules on the way, losing 20 KB for each line of it. */
static int index_without_links(git_repository *r, git_tree *tree, const struct scan *s,
			       git_index **out, struct err *err)
{
	AUTO(git_index_free) git_index *index = NULL;

	if (git_index_new(&index) < 0 || git_index_read_tree(index, tree) < 0)
		return git_err(err, "cannot read the source");
	for (size_t i = 0; i < s->nlinks; i++) {
		if (git_index_remove(index, s->links[i].path, 0) < 0)
			return git_err(err, "cannot read the source");
	}
	*out = STEAL(index);
	return 0;
}

static int write_tree(git_repository *r, git_tree *tree, const struct scan *s, const char *dir,
		      struct err *err)
{
	AUTO(git_index_free) git_index *index = NULL;
	git_checkout_options o;

	if (index_without_links(r, tree, s, &index, err) < 0)
		return -1;
	git_checkout_options_init(&o, GIT_CHECKOUT_OPTIONS_VERSION);
	o.checkout_strategy =
		GIT_CHECKOUT_FORCE | GIT_CHECKOUT_DONT_UPDATE_INDEX | GIT_CHECKOUT_DONT_WRITE_INDEX;
	o.disable_filters = 1;
	o.dir_mode = 0755;
	o.target_directory = dir;
	if (git_checkout_index(r, index, &o) < 0)
		return git_err(err, "cannot write the source");
	return 0;
}

static int lookup_tree(git_repository *r, const char *commit, git_tree **out, struct err *err)
{
	AUTO(git_object_free) git_object *o = NULL;
	git_oid id;

	if (git_oid_fromstr(&id, commit) < 0 || git_object_lookup(&o, r, &id, GIT_OBJECT_ANY) < 0 ||
	    git_object_peel((git_object **)out, o, GIT_OBJECT_TREE) < 0)
		return git_err(err, "no commit %s", commit);
	return 0;
}

int git_export_commit(struct git_export_job *job, const char *repo, const char *quarantine,
		      const char *commit, const char *dir, const char *base_url, struct err *err)
{
	AUTO(git_repository_free) git_repository *r = NULL;
	AUTO(git_odb_free) git_odb *odb = NULL;
	AUTO(git_tree_free) git_tree *tree = NULL;

	if (git_repo_open(repo, quarantine, &r, err) < 0 || lookup_tree(r, commit, &tree, err) < 0)
		return -1;
	if (git_repository_odb(&odb, r) < 0)
		return git_err(err, "cannot read objects");
	AUTO(scan_clear) struct scan s = {.job = job, .odb = odb, .repo = r};

	if (scan_tree(&s, git_tree_id(tree), "", 0, err) < 0 ||
	    write_tree(r, tree, &s, dir, err) < 0)
		return -1;
	tell_pointers(&s, tree);
	for (size_t i = 0; i < s.nlinks; i++) {
		if (git_make_place(dir, s.links[i].path, err) < 0)
			return err_wrap(err, "submodule %s", s.links[i].path);
	}
	return s.nlinks == 0 ? 0
			     : git_submodules(job, repo, quarantine, s.modules_id, s.links,
					      s.nlinks, dir, base_url, err);
}

static int check_empty(const char *dir, struct err *err)
{
	DIR *d = dir[0] == '/' ? opendir(dir) : NULL;
	int n = 0;

	if (!d)
		return err_errno(err, "cannot open %s", dir);
	for (struct dirent *e; (e = readdir(d));)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n ? err_set(err, ERR_IO, "%s is not empty", dir) : 0;
}

int git_export(const char *repo_dir, const char *quarantine_dir, const char *commit,
	       const char *dir, const struct config *cfg, void (*say)(const char *line, void *arg),
	       void *say_arg, struct err *err)
{
	struct git_export_job job = {.cfg = cfg, .say = say, .say_arg = say_arg};

	if (check_empty(dir, err) < 0)
		return -1;
	return git_export_commit(&job, repo_dir, quarantine_dir, commit, dir, NULL, err);
}
