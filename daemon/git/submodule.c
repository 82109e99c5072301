/* Submodules: commits of other repositories, fetched by limited git children with a closed
 * environment into a folder beside the tree, and written where their gitlinks are. */
#include "daemon/git/git_int.h"

#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

struct modules { /* `git config -z` output: "key\nvalue\0" ... */
	struct buf text;
};

static int read_modules(const char *repo, const char *quarantine, const char *blob,
			struct modules *m, struct err *err)
{
	const char *argv[] = {"git",
			      "config",
			      "--blob",
			      blob,
			      "-z",
			      "--get-regexp",
			      "^submodule\\..*\\.(path|url)$",
			      NULL};
	AUTO(genv_clear) struct genv env;

	genv_init(&env);
	genv_repo(&env, repo, quarantine);
	struct proc_spec s = {.argv = argv,
			      .env = genv_done(&env),
			      .in_fd = -1,
			      .out_fd = -1,
			      .err_fd = -1,
			      .lim = {.as_bytes = LIM_GIT_INDEX_AS, .cpu_s = 10}};
	int rc = proc_run(&s, NULL, 0, &m->text, (size_t)LIM_GIT_MODULES_FILE * 4,
			  clock_mono_ms() + 30000, -1, err);

	if (rc > 1) /* 1 = nothing matches */
		return err_set(err, ERR_INVALID_PARAMS, ".gitmodules is not valid");
	return rc < 0 ? -1 : 0;
}

/* "submodule.NAME.<what>" -> value; NAME is wanted when name is given, else found by its path. */
static const char *find(const struct modules *m, const char *what, const char *name, size_t name_n,
			const char *value, const char **found_name, size_t *found_n)
{
	const char *p = buf_str(&m->text), *end = p + m->text.len;
	size_t head = strlen("submodule.");

	for (const char *hit = NULL; p < end; p += strlen(p) + 1) {
		const char *nl = strchr(p, '\n'), *dot;

		if (!nl)
			continue;
		dot = memrchr(p, '.', (size_t)(nl - p));
		if (!dot || dot < p + head || (size_t)(nl - dot - 1) != strlen(what) ||
		    memcmp(dot + 1, what, strlen(what)) != 0)
			continue;
		size_t n = (size_t)(dot - p) - head;

		if (name ? n == name_n && !memcmp(p + head, name, n) : !strcmp(nl + 1, value))
			hit = nl + 1;
		if (hit) {
			if (found_name) {
				*found_name = p + head;
				*found_n = n;
			}
			return hit;
		}
	}
	return NULL;
}

static const char *url_of_path(const struct modules *m, const char *path)
{
	const char *name = NULL;
	size_t n = 0;

	if (!find(m, "path", NULL, 0, path, &name, &n))
		return NULL;
	return find(m, "url", name, n, NULL, NULL, NULL);
}

/* https://user:secret@host/... is how private ones are named: the middle is no one's business. */
static void add_public_url(struct buf *out, const char *url)
{
	const char *rest = url + strlen("https://"), *slash = strchr(rest, '/');
	const char *at = memrchr(rest, '@', slash ? (size_t)(slash - rest) : strlen(rest));

	buf_addf(out, "https://%s", at ? at + 1 : rest);
}

/* --- fetching --- */

static int run_fetch(struct git_export_job *job, const char *repo, const char *url, const char *pin,
		     const char *const refspecs[], bool shallow, struct buf *said, struct err *err)
{
	const char *argv[16] = {"git",
				"fetch",
				"--quiet",
				"--no-tags",
				"--no-recurse-submodules",
				"--no-write-fetch-head"};
	const char *ca = getenv("GIT_SSL_CAINFO");
	AUTO(genv_clear) struct genv env;
	int n = 6;

	if (shallow)
		argv[n++] = "--depth=1";
	argv[n++] = "--";
	argv[n++] = url;
	for (int i = 0; refspecs[i]; i++)
		argv[n++] = refspecs[i];
	genv_init(&env);
	genv_repo(&env, repo, NULL);
	genv_set(&env, "GIT_ALLOW_PROTOCOL", "https");
	if (ca && *ca)
		genv_set(&env, "GIT_SSL_CAINFO", ca);
	genv_config(&env, "http.followRedirects", "false"); /* they were followed by the probe */
	genv_config(&env, "http.curloptResolve", pin);
	genv_config(&env, "http.proxy", "");
	genv_config(&env, "http.lowSpeedLimit", "1000");
	genv_config(&env, "http.lowSpeedTime", "30");
	genv_config(&env, "transfer.fsckObjects", "true");
	genv_config(&env, "fetch.fsck.zeroPaddedFilemode", "ignore");
	genv_config(&env, "fetch.fsck.missingSpaceBeforeDate", "ignore");
	genv_config(&env, "fetch.fsck.badTimezone", "ignore");
	genv_config(&env, "transfer.unpackLimit", "1"); /* one file, so RLIMIT_FSIZE bounds it */
	struct proc_spec s = {.argv = argv,
			      .env = genv_done(&env),
			      .in_fd = -1,
			      .out_fd = -1,
			      .err_fd = -1,
			      .lim = {.as_bytes = LIM_GIT_FETCH_AS,
				      .cpu_s = LIM_GIT_INDEX_CPU_S,
				      .file_bytes = LIM_SUBMODULE_BYTES}};

	return proc_run(&s, NULL, 0, said, 2000, job->deadline, -1, err);
}

static bool has_commit(const char *repo, const char *id)
{
	AUTO(git_repository_free) git_repository *r = NULL;
	git_commit *c = NULL;
	git_oid oid;
	bool found;

	if (git_repo_open(repo, NULL, &r, NULL) < 0)
		return false;
	found = git_oid_fromstr(&oid, id) == 0 && git_commit_lookup(&c, r, &oid) == 0;
	git_commit_free(c);
	return found;
}

/* By id first, which most servers allow; else all branches and tags, for those that do not. */
static int fetch(struct git_export_job *job, const char *repo, const char *url, const char *pin,
		 const char *id, struct err *err)
{
	AUTO(auto_str) char *by_id = xasprintf("%s:refs/heads/wanted", id);
	const char *const one[] = {by_id, NULL};
	const char *const all[] = {"+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", NULL};
	AUTO(buf_clear) struct buf said = {0};

	if (run_fetch(job, repo, url, pin, one, true, &said, err) < 0)
		return -1;
	if (has_commit(repo, id))
		return 0;
	buf_reset(&said);
	int rc = run_fetch(job, repo, url, pin, all, false, &said, err);

	if (rc < 0)
		return -1;
	if (has_commit(repo, id))
		return 0;
	xlog(XLOG_INFO, "git", "msg=\"submodule not fetched\" status=%d said=%s", rc,
	     xlog_q(buf_str(&said)));
	return err_set(err, ERR_IO,
		       rc ? "it could not be fetched" : "its repository does not have commit %.12s",
		       id);
}

static int init_scratch(const char *path, struct err *err)
{
	git_repository *r = NULL;

	if (git_repository_init(&r, path, 1) < 0)
		return git_err(err, "cannot make a folder for it");
	git_repository_free(r);
	return 0;
}

static int open_beneath(int root, const char *path, struct err *err)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? err_errno(err, "cannot open its folder") : fd;
}

static int make_part(int root, const char *path, struct err *err)
{
	AUTO(auto_str) char *parent = xstrdup(path);
	char *slash = strrchr(parent, '/');
	AUTO(auto_fd) int at = -1;

	if (slash)
		*slash = 0;
	at = open_beneath(root, slash ? parent : ".", err);
	if (at < 0)
		return -1;
	if (mkdirat(at, slash ? slash + 1 : path, 0755) < 0 && errno != EEXIST)
		return err_errno(err, "cannot make its folder");
	return 0;
}

int git_make_place(const char *dir, const char *path, struct err *err)
{
	AUTO(auto_fd) int root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO(auto_str) char *part = xstrdup(path);
	int n = 0;

	if (root < 0)
		return err_errno(err, "cannot open %s", dir);
	for (char *slash = strchr(part, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (make_part(root, part, err) < 0)
			return -1;
		*slash = '/';
	}
	if (make_part(root, part, err) < 0)
		return -1;
	int fd = open_beneath(root, path, err);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d)
		return -1;
	for (struct dirent *e; (e = readdir(d));)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n ? err_set(err, ERR_IO, "its folder is not empty") : 0;
}

static int fetch_and_write(struct git_export_job *job, const char *url, const char *scratch,
			   const struct git_gitlink *link, const char *dir, struct err *err)
{
	AUTO(buf_clear) struct buf final = {0};
	AUTO(buf_clear) struct buf pin = {0};
	AUTO(auto_str) char *place = xasprintf("%s/%s", dir, link->path);
	uint64_t bytes = 0, files;

	if (git_url_probe(url, job->cfg->allow_private_urls, job->deadline, &final, &pin, err) <
		    0 ||
	    git_make_place(dir, link->path, err) < 0 || init_scratch(scratch, err) < 0 ||
	    fetch(job, scratch, final.data, buf_str(&pin), link->id, err) < 0)
		return -1;
	if (fs_usage(scratch, &bytes, &files, err) < 0)
		return -1;
	if (bytes > LIM_SUBMODULE_BYTES)
		return err_set(err, ERR_SLUG_TOO_LARGE, "it is too large (at most %lld MB)",
			       LIM_SUBMODULE_BYTES >> 20);
	job->depth++;
	int rc = git_export_commit(job, scratch, NULL, link->id, place, final.data, err);

	job->depth--;
	return rc;
}

static int one(struct git_export_job *job, const struct modules *m, const struct git_gitlink *link,
	       const char *dir, const char *base_url, struct err *err)
{
	const char *written = url_of_path(m, link->path);
	AUTO(buf_clear) struct buf url = {0};
	AUTO(buf_clear) struct buf shown = {0};
	char rnd[17];

	if (!written)
		return err_set(err, ERR_INVALID_PARAMS, "no url found for it in .gitmodules");
	if (git_url_resolve(written, base_url, &url, err) < 0)
		return -1;
	if (++job->submodules > LIM_SUBMODULES)
		return err_set(err, ERR_INVALID_PARAMS, "too many submodules (at most %d)",
			       LIM_SUBMODULES);
	if (job->depth >= LIM_SUBMODULE_DEPTH)
		return err_set(err, ERR_INVALID_PARAMS, "submodules are nested too deeply");
	add_public_url(&shown, url.data);
	git_job_say(job, "       Fetching submodule %s from %s", link->path, buf_str(&shown));
	random_hex(rnd, 16);
	AUTO(auto_str) char *scratch = xasprintf("%s.submodule-%s", dir, rnd);
	int rc = fetch_and_write(job, url.data, scratch, link, dir, err);

	fs_rmtree(scratch, NULL);
	return rc;
}

int git_submodules(struct git_export_job *job, const char *repo, const char *quarantine,
		   const char *modules_id, const struct git_gitlink *links, size_t n,
		   const char *dir, const char *base_url, struct err *err)
{
	struct modules m = {0};

	if (!*modules_id) { /* a repository added by mistake: git leaves its folder empty too */
		git_job_say(job,
			    " !     %s is a submodule, but there is no .gitmodules: left empty.",
			    links[0].path);
		return 0;
	}
	if (read_modules(repo, quarantine, modules_id, &m, err) < 0) {
		buf_clear(&m.text);
		return -1;
	}
	if (!job->deadline)
		job->deadline = clock_mono_ms() + LIM_SUBMODULE_MS;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = one(job, &m, &links[i], dir, base_url, err);
		if (rc < 0)
			err_wrap(err, "submodule %s", links[i].path);
	}
	buf_clear(&m.text);
	return rc;
}
