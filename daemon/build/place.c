#include "daemon/build/build_int.h"
#include "daemon/core/fsx.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Where scripts find things. /app is where the slug runs later, so that absolute paths that a build
 * writes stay right; the rest lies outside /app and /tmp, which scripts sweep. */
#define IN_APP	    "/app"
#define IN_CACHE    "/build/cache"
#define IN_ENV	    "/build/env"
#define IN_PACKS    "/build/buildpacks"
#define IN_SCRATCH  "/build/scratch"
#define IN_LIBEXEC  "/build/libexec"
#define IN_RUNTIMES "/build/runtimes"

static int make(const char *path, mode_t mode, struct err *err)
{
	/* mkdir obeys the umask, which a mode of 1777 must not */
	if (fs_mkdirs(path, 0700, err) < 0)
		return -1;
	return chmod(path, mode) < 0 ? err_errno(err, "%s", path) : 0;
}

static int place(struct build *c, struct place *p, const char *name, const char *in, mode_t mode,
		 struct err *err)
{
	p->host = xasprintf("%s/%s", c->dir, name);
	p->in = xstrdup(c->plain ? p->host : in);
	return make(p->host, mode, err);
}

/* The config vars, byte for byte. */
static int write_env(struct build *c, struct err *err)
{
	AUTO(auto_fd) int dir = open(c->env.host, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_errno(err, "%s", c->env.host);
	for (char **v = c->req->config; v && *v; v++) {
		const char *eq = strchr(*v, '=');
		AUTO(auto_str) char *name = eq ? xstrndup(*v, (size_t)(eq - *v)) : NULL;
		AUTO(auto_fd) int fd = -1;
		size_t n;

		if (!eq || !*name || strchr(name, '/') || *name == '.')
			continue;
		fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		n = strlen(eq + 1);
		if (fd < 0 || write(fd, eq + 1, n) != (ssize_t)n)
			return err_errno(err, "write config var %s", name);
	}
	return 0;
}

/* The static buildpack puts the platform's file server into the slug. A copy, not a link: where
 * mounts cannot map owners the launcher gives these files to the app while the build runs. */
static int give_libexec(struct build *c, struct err *err)
{
	AUTO(auto_str) char *from = NULL;
	AUTO(auto_str) char *to = xasprintf("%s/paas-static", c->libexec.host);

	if (!c->b->cfg->libexec_dir)
		return 0;
	from = xasprintf("%s/paas-static", c->b->cfg->libexec_dir);
	return access(from, R_OK) < 0 ? 0 : place_copy_file(from, to, 0755, err);
}

int place_copy_file(const char *from, const char *to, mode_t mode, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	AUTO(auto_fd) int fd = -1;

	if (fs_read(from, (size_t)MiB(64), &b, err) < 0)
		return -1;
	fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, buf_str(&b), b.len) != (ssize_t)b.len || fchmod(fd, mode) < 0)
		return err_errno(err, "copy %s", from);
	return 0;
}

int places_make(struct build *c, struct err *err)
{
	const char *state = c->b->cfg->state_dir;

	c->tmp = xasprintf("%s/tmp", c->dir);
	c->work = xasprintf("%s/work", c->dir);
	c->runtimes.host = xasprintf("%s/runtimes", state);
	c->runtimes.in = xstrdup(c->plain ? c->runtimes.host : IN_RUNTIMES);
	if (make(c->tmp, 01777, err) < 0 || make(c->work, 0700, err) < 0 ||
	    place(c, &c->app, "app", IN_APP, 0755, err) < 0 ||
	    place(c, &c->cache, "cache/tree", IN_CACHE, 0755, err) < 0 ||
	    place(c, &c->env, "env", IN_ENV, 0700, err) < 0 ||
	    place(c, &c->packs, "buildpacks", IN_PACKS, 0755, err) < 0 ||
	    place(c, &c->scratch, "scratch", IN_SCRATCH, 0755, err) < 0 ||
	    place(c, &c->libexec, "libexec", IN_LIBEXEC, 0755, err) < 0)
		return -1;
	if (give_libexec(c, err) < 0)
		return err_wrap(err, "copy paas-static");
	return write_env(c, err);
}

void places_clear(struct build *c)
{
	struct place *all[] = {&c->app,	    &c->cache,	 &c->env,     &c->packs,
			       &c->scratch, &c->libexec, &c->runtimes};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		free(all[i]->host);
		free(all[i]->in);
	}
	free(c->tmp);
	free(c->work);
}

int remove_tree(struct builds *b, const char *path, struct err *err)
{
	struct err mine;

	if (fs_rmtree(path, &mine) == 0)
		return 0;
	/* a build can leave files that are not paasd's where mounts cannot map owners */
	return launcher_rmtree(b->la, path, err) == 0 ? 0 : -1;
}

static void dir_close(DIR *d)
{
	closedir(d);
}
DEFINE_AUTO(DIR *, dir_close)

static bool kept(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, "output") ||
	       !strcmp(name, "report");
}

bool places_unfinished(const char *dir)
{
	AUTO(dir_close) DIR *d = opendir(dir);
	const struct dirent *de;

	while (d && (de = readdir(d)))
		if (!kept(de->d_name))
			return true;
	return false;
}

int places_remove(struct builds *b, const char *dir, struct err *err)
{
	AUTO(dir_close) DIR *d = opendir(dir);
	const struct dirent *de;
	int rc = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_errno(err, "%s", dir);
	while ((de = readdir(d))) {
		AUTO(auto_str) char *path = xasprintf("%s/%s", dir, de->d_name);

		if (!kept(de->d_name) && remove_tree(b, path, err) < 0)
			rc = -1;
	}
	return rc;
}
