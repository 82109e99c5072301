/* Where code comes from. */
#include "daemon/setup/setup_int.h"
#include "daemon/build/source.h"
#include "daemon/build/tarball.h"
#include "daemon/core/fsx.h"
#include "daemon/git/git.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const char *text_of(const json_t *source, const char *key)
{
	return json_string_value(json_object_get(source, key));
}

static bool is_commit(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	return n == 40 && strspn(s, "0123456789abcdef") == n;
}

/* --- the kinds --- */

static int unpack(const struct setup_fetch *f, int fd, struct err *err)
{
	const char *checksum = text_of(f->source, "checksum");

	if (checksum && tarball_check(fd, checksum, err) < 0)
		return -1;
	if (tarball_unpack_fd(fd, f->dir, (uint64_t)LIM_SLUG_TREE, f->deadline, f->cancel_fd, err) <
	    0)
		return -1;
	return tarball_lift(f->dir, err);
}

static int fetch_tarball(const struct setup_fetch *f, void *arg, struct err *err)
{
	struct setups *s = arg;
	const struct config *cfg = s->d.cfg;
	AUTO(auto_str) char *path = xasprintf("%s/download", f->work);
	AUTO(auto_fd) int fd = -1;

	if (tarball_download(cfg, text_of(f->source, "url"), true, path,
			     (uint64_t)cfg->source_mb * (uint64_t)MiB(1), f->deadline, f->cancel_fd,
			     err) < 0)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	unlink(path);
	return fd < 0 ? err_errno(err, "%s", path) : unpack(f, fd, err);
}

static int fetch_file(const struct setup_fetch *f, void *arg, struct err *err)
{
	AUTO(auto_fd)
	int fd = open(text_of(f->source, "path"), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? err_errno(err, "the uploaded source") : unpack(f, fd, err);
}

static int fetch_git(const struct setup_fetch *f, void *arg, struct err *err)
{
	struct setups *s = arg;
	const struct source src = {.kind = SOURCE_GIT,
				   .what = (char *)text_of(f->source, "url"),
				   .ref = (char *)text_of(f->source, "ref")};
	const struct fetch how = {.cfg = s->d.cfg,
				  .dir = f->dir,
				  .work = f->work,
				  .deadline = f->deadline,
				  .cancel_fd = f->cancel_fd,
				  .commit = f->commit};

	return source_fetch(&src, &how, err);
}

/* The path is ours, but it was kept as text: nothing above the state directory is reached. */
static int fetch_tree(const struct setup_fetch *f, void *arg, struct err *err)
{
	struct setups *s = arg;
	const char *repo = text_of(f->source, "repo"), *commit = text_of(f->source, "commit");
	AUTO(auto_str) char *dir = NULL;

	if (!repo || repo[0] == '/' || strstr(repo, "..") || !is_commit(commit))
		return err_set(err, ERR_CORRUPT, "the source names no repository and commit");
	dir = xasprintf("%s/%s", s->d.cfg->state_dir, repo);
	snprintf(f->commit, 65, "%s", commit);
	return git_export(dir, NULL, commit, f->dir, s->d.cfg, f->say, f->say_arg, err);
}

void setup_sources_init(struct setups *s)
{
	const struct setup_source_kind own[] = {{"tarball", fetch_tarball, s},
						{"file", fetch_file, s},
						{"git", fetch_git, s},
						{"tree", fetch_tree, s}};

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		setups_add_source(s, &own[i]);
}

void setups_add_source(struct setups *s, const struct setup_source_kind *kind)
{
	if (s->nkinds == SOURCE_KINDS)
		abort(); /* a kind a module: the table is as long as there are modules */
	s->kinds[s->nkinds++] = *kind;
}

const struct setup_source_kind *setup_source_find(const struct setups *s, const json_t *source,
						  struct err *err)
{
	const char *name = text_of(source, "kind");

	for (int i = 0; i < s->nkinds; i++)
		if (name && strcmp(s->kinds[i].name, name) == 0)
			return &s->kinds[i];
	err_set(err, ERR_INTERNAL, "no such kind of source: %.40s", name ? name : "none");
	return NULL;
}

int setup_source_fetch(struct setups *s, const json_t *source, const char *dir, const char *work,
		       int cancel_fd, void (*say)(const char *line, void *arg), void *say_arg,
		       char commit[65], struct err *err)
{
	const struct setup_source_kind *kind = setup_source_find(s, source, err);
	const struct setup_fetch f = {.source = source,
				      .dir = dir,
				      .work = work,
				      .deadline = clock_mono_ms() + LIM_BUILD_MS,
				      .cancel_fd = cancel_fd,
				      .say = say,
				      .say_arg = say_arg,
				      .commit = commit};
	int rc;

	if (!kind || fs_rmtree(work, err) < 0 || fs_mkdirs(work, 0700, err) < 0)
		return -1;
	rc = kind->fetch(&f, kind->arg, err);
	fs_rmtree(work, NULL);
	return rc;
}

/* --- made --- */

json_t *setup_source_url(const char *url, const char *checksum, struct err *err)
{
	const char *hash = strchr(url, '#');
	bool prefixed = strncmp(url, "git+", 4) == 0;
	size_t n = hash ? (size_t)(hash - url) : strlen(url);
	AUTO(auto_str) char *plain = xstrndup(url + (prefixed ? 4 : 0), n - (prefixed ? 4 : 0));

	if (!strstr(plain, "://")) {
		err_set(err, ERR_INVALID_PARAMS, "The source must be an address: https://...");
		return NULL;
	}
	if (!hash && !prefixed && (n < 4 || strncmp(url + n - 4, ".git", 4) != 0))
		return json_pack("{s:s, s:s, s:s*}", "kind", "tarball", "url", plain, "checksum",
				 checksum);
	if (checksum) {
		err_set(err, ERR_INVALID_PARAMS, "A git repository has no checksum.");
		return NULL;
	}
	if (hash &&
	    (!hash[1] || hash[1] == '-' || strlen(hash) > 250 || strstr(hash, "..") ||
	     hash[1 + strspn(hash + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789._/-+@")])) {
		err_set(err, ERR_INVALID_PARAMS, "What follows # is no branch, tag or commit.");
		return NULL;
	}
	return json_pack("{s:s, s:s, s:s*}", "kind", "git", "url", plain, "ref",
			 hash ? hash + 1 : NULL);
}

json_t *setup_source_shown(const json_t *source)
{
	json_t *out = json_deep_copy(source);
	const char *url = text_of(source, "url");
	AUTO(auto_str) char *shown = url ? source_shown(url) : NULL;

	if (shown)
		json_object_set_new(out, "url", json_string(shown));
	json_object_del(out, "path");
	return out;
}

json_t *setup_source_tree(struct setups *s, const char *repo, const char *commit)
{
	size_t n = strlen(s->d.cfg->state_dir);
	bool below = strncmp(repo, s->d.cfg->state_dir, n) == 0 && repo[n] == '/';

	return json_pack("{s:s, s:s, s:s}", "kind", "tree", "repo", below ? repo + n + 1 : repo,
			 "commit", commit);
}
