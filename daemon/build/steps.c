/* The first and the last step: the source tree comes in, the slug goes out. */
#include "daemon/build/build_int.h"
#include "daemon/build/slugignore.h"
#include "daemon/build/tarball.h"
#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct sweep {
	struct build *c;
	const struct slugignore *ig;
	unsigned ignored;
};

/* What never is part of a slug: git's own, and what lies in log/ and tmp/ (names with a dot are how
 * people keep the folders themselves). */
static bool unwanted(const struct slug_entry *e)
{
	if (!strcmp(e->name, ".git") || !strcmp(e->name, ".gitmodules"))
		return true;
	return (!strncmp(e->rel, "log/", 4) || !strncmp(e->rel, "tmp/", 4)) && e->name[0] != '.' &&
	       !strchr(e->rel + 4, '/');
}

static int sweep_entry(const struct slug_entry *e, void *arg, struct err *err)
{
	struct sweep *s = arg;
	AUTO(auto_str) char *path = NULL;
	bool is_dir = S_ISDIR(e->st->st_mode), drop = unwanted(e);

	if (!drop && s->ig && slugignore_match(s->ig, e->rel, is_dir)) {
		s->ignored++;
		drop = true;
	}
	if (!drop)
		return 0;
	if (!is_dir)
		return unlinkat(e->dirfd, e->name, 0) < 0 ? err_errno(err, "remove %s", e->rel) : 1;
	path = xasprintf("%s/%s", s->c->app.host, e->rel);
	return fs_rmtree(path, err) < 0 ? -1 : 1;
}

/* NULL when there is none that can be read. */
static struct slugignore *read_slugignore(struct build *c)
{
	AUTO(auto_fd) int dir = open(c->app.host, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO(buf_clear) struct buf text = {0};
	struct err e = {0};

	if (dir < 0 || faccessat(dir, ".slugignore", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return NULL;
	if (fs_read_at(dir, ".slugignore", SLUGIGNORE_BYTES, &text, &e) < 0) {
		say_warn(c, ".slugignore is left out: it is too large or no regular file");
		return NULL;
	}
	return slugignore_parse(buf_str(&text), text.len, say_warn_line, c);
}

static int fetch_tarball(struct build *c, struct err *err)
{
	const struct build_tarball *t = c->req->tarball;
	uint64_t max = (uint64_t)c->b->cfg->source_mb * (uint64_t)MiB(1);
	AUTO(auto_str) char *path = xasprintf("%s/source", c->work);
	AUTO(auto_fd) int own = -1;

	if (t->fd < 0) {
		say_step(c, "Downloading the source");
		if (tarball_download(c->b->cfg, t->url, true, path, max, c->deadline,
				     c->job.stop_fd, err) < 0)
			return -1;
		own = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		unlink(path);
		if (own < 0)
			return err_errno(err, "%s", path);
	}
	if (t->checksum && tarball_check(t->fd < 0 ? own : t->fd, t->checksum, err) < 0)
		return -1;
	if (tarball_unpack_fd(t->fd < 0 ? own : t->fd, c->app.host, (uint64_t)LIM_SLUG_TREE,
			      c->deadline, c->job.stop_fd, err) < 0)
		return -1;
	return tarball_lift(c->app.host, err);
}

static int get_source(struct build *c, struct err *err)
{
	struct err e = {0};
	int rc = c->req->tarball
			 ? fetch_tarball(c, &e)
			 : c->req->export_source(c->app.host, say_line, c, c->req->export_arg, &e);

	if (rc == 0)
		return 0;
	if (e.code == ERR_CANCELED && queue_why(c->b->queue, &c->job))
		return queue_stop_err(queue_why(c->b->queue, &c->job), err);
	return say_fail(c, err,
			e.code == ERR_DISK_FULL || e.code == ERR_TIMEOUT ? e.code
									 : ERR_BUILD_FAILED,
			"The source could not be %s: %s",
			c->req->tarball ? "taken in" : "checked out", e.msg);
}

int step_source(struct build *c, struct err *err)
{
	AUTO(slugignore_free) struct slugignore *ig = NULL;
	struct sweep s = {.c = c};

	if (get_source(c, err) < 0)
		return -1;
	s.ig = ig = read_slugignore(c);
	if (slug_tree_walk(c->app.host, sweep_entry, &s, err) < 0)
		return -1;
	if (s.ignored)
		say_step(c, "Deleting %u files matching .slugignore patterns.", s.ignored);
	return chmod(c->app.host, 0755) < 0 ? err_errno(err, "%s", c->app.host) : 0;
}

int step_seal(struct build *c, struct err *err)
{
	char size[16], id[37];
	uint64_t bytes;

	say_step(c, "Compressing...");
	uuid_new(id);
	if (slug_seal(c->b->slugs, c->app.host, id, &bytes, err) < 0)
		return -1;
	say_sizes(bytes, size);
	say_detail(c, "Done: %s", size);
	memcpy(c->res->slug_id, id, sizeof(id));
	c->res->slug_bytes = bytes;
	return 0;
}
