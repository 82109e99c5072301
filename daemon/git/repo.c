/* Bare repositories: made, found, measured, swept, deleted. */
#include "daemon/git/git_int.h"

#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "proto/names.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Written once, when the repository is made; git children get theirs from the environment too. */
static const char *const repo_config[][2] = {
	{"core.logAllRefUpdates", "true"},
	{"core.protectHFS", "true"},
	{"core.protectNTFS", "true"},
	{"core.symlinks", "true"},
	{"gc.auto", "0"},
	{"receive.denyDeleteCurrent", "true"},
	{"uploadpack.allowFilter", "true"},
};

static void init_once(void)
{
	static const int levels[] = {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM,
				     GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL};

	if (git_libgit2_init() < 0)
		abort();
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
	git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1);
	git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0); /* paths are ours, made from ids */
	git_libgit2_opts(GIT_OPT_SET_PACK_MAX_OBJECTS, (size_t)LIM_GIT_OBJECTS);
	git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, (ssize_t)MiB(4));
	git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)MiB(256));
}

void git_library_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init_once);
}

int git_err(struct err *err, const char *fmt, ...)
{
	const git_error *e = git_error_last();
	char what[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return err_set(err, ERR_IO, "%s: %s", what, e ? e->message : "unknown error");
}

int git_repo_open(const char *repo, const char *quarantine, git_repository **out, struct err *err)
{
	AUTO(git_repository_free) git_repository *r = NULL;
	AUTO(git_odb_free) git_odb *odb = NULL;

	git_library_init();
	if (git_repository_open_bare(&r, repo) < 0)
		return git_err(err, "cannot open the repository");
	if (quarantine && *quarantine &&
	    (git_repository_odb(&odb, r) < 0 || git_odb_add_disk_alternate(odb, quarantine) < 0))
		return git_err(err, "cannot open the quarantine");
	*out = STEAL(r);
	return 0;
}

void git_repo_path(struct git *g, const char *app_id, char *out)
{
	assert(name_is_uuid(app_id));
	snprintf(out, PATH_MAX, "%s/%s.git", g->repos_dir, app_id);
}

static int init_repo(const char *path, struct err *err)
{
	AUTO(git_repository_free) git_repository *r = NULL;
	git_repository_init_options o;
	git_config *cfg = NULL;
	int rc = 0;

	git_repository_init_options_init(&o, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
	o.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR |
		  GIT_REPOSITORY_INIT_NO_REINIT;
	o.mode = 0700;
	o.initial_head = "main";
	if (git_repository_init_ext(&r, path, &o) < 0 || git_repository_config(&cfg, r) < 0)
		return git_err(err, "cannot make the repository");
	for (size_t i = 0; i < ARRAY_LEN(repo_config) && rc == 0; i++)
		rc = git_config_set_string(cfg, repo_config[i][0], repo_config[i][1]);
	git_config_free(cfg);
	return rc < 0 ? git_err(err, "cannot configure the repository") : 0;
}

/* Made aside and renamed, so that a crash leaves a whole one or none. */
int git_repo_create(struct git *g, const char *app_id, struct err *err)
{
	char path[PATH_MAX], tmp[PATH_MAX + 32], rnd[17];

	git_repo_path(g, app_id, path);
	if (access(path, F_OK) == 0)
		return 0;
	random_hex(rnd, 16);
	snprintf(tmp, sizeof(tmp), "%s/.new-%s", g->repos_dir, rnd);
	if (init_repo(tmp, err) == 0 && rename(tmp, path) == 0)
		return 0;
	int no = errno;

	fs_rmtree(tmp, NULL);
	if (no == EEXIST || no == ENOTEMPTY)
		return 0; /* another request made it meanwhile */
	if (err && err->status)
		return -1;
	errno = no;
	return err_errno(err, "cannot make the repository");
}

/* Renamed first: a push that runs finds nothing to write to, and no name is half gone. */
int git_repo_delete(struct git *g, const char *app_id, struct err *err)
{
	char path[PATH_MAX], trash[PATH_MAX + 32], rnd[17];

	git_repo_path(g, app_id, path);
	git_app_gc_stop(g, app_id);
	random_hex(rnd, 16);
	snprintf(trash, sizeof(trash), "%s/.trash-%s", g->repos_dir, rnd);
	if (rename(path, trash) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "cannot delete the repository");
	return fs_rmtree(trash, err);
}

int git_repo_size(struct git *g, const char *app_id, uint64_t *bytes, struct err *err)
{
	char path[PATH_MAX];
	uint64_t files;

	git_repo_path(g, app_id, path);
	*bytes = 0;
	if (access(path, F_OK) < 0)
		return 0;
	return fs_usage(path, bytes, &files, err);
}

/* --- sweeping --- */

static bool starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), k = strlen(suffix);

	return n > k && strcmp(s + n - k, suffix) == 0;
}

static bool stale_object(const char *name)
{
	return starts(name, "tmp_") || starts(name, ".tmp-") || ends(name, ".lock") ||
	       ends(name, ".keep");
}

static bool stale_lock(const char *name)
{
	return ends(name, ".lock") || strcmp(name, "gc.pid") == 0;
}

/* Removes the stale entries of one folder, and of those below it. */
static void sweep_dir(const char *dir, bool (*stale)(const char *name), int depth)
{
	DIR *d = opendir(dir);

	for (struct dirent *e; d && (e = readdir(d));) {
		char path[PATH_MAX];
		struct stat st;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >= (int)sizeof(path))
			continue;
		if (stale(e->d_name)) {
			fs_rmtree(path, NULL);
			continue;
		}
		if (depth > 0 && lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
			sweep_dir(path, stale, depth - 1);
	}
	if (d)
		closedir(d);
}

void git_repo_unlock(const char *repo)
{
	char path[PATH_MAX + 16];

	sweep_dir(repo, stale_lock, 0);
	snprintf(path, sizeof(path), "%s/refs", repo);
	sweep_dir(path, stale_lock, LIM_GIT_REF_NAME / 2);
}

static void sweep_repo(const char *repo)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/objects", repo);
	sweep_dir(path, stale_object, 1);
	git_repo_unlock(repo);
}

int git_sweep(struct git *g, struct err *err)
{
	DIR *d = opendir(g->repos_dir);

	if (!d)
		return err_errno(err, "%s", g->repos_dir);
	for (struct dirent *e; (e = readdir(d));) {
		char path[PATH_MAX];

		if (snprintf(path, sizeof(path), "%s/%s", g->repos_dir, e->d_name) >=
		    (int)sizeof(path))
			continue;
		if (starts(e->d_name, ".new-") || starts(e->d_name, ".trash-"))
			fs_rmtree(path, NULL);
		else if (ends(e->d_name, ".git"))
			sweep_repo(path);
	}
	closedir(d);
	return 0;
}
