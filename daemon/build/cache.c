/* STATE/cache/APP/{tree,stack}: what the app's last successful build left in CACHE_DIR. A build
 * works on a copy, which takes its place only when the build succeeds. */
#include "daemon/build/build_int.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "proto/names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool same_stack(const struct build *c, const char *dir)
{
	AUTO(auto_str) char *path = xasprintf("%s/stack", dir);
	AUTO(buf_clear) struct buf b = {0};

	return fs_read(path, 128, &b, NULL) == 0 && !strcmp(buf_str(&b), c->b->cfg->stack);
}

int cache_load(struct build *c, struct err *err)
{
	AUTO(auto_str) char *dir = xasprintf("%s/%s", c->b->cache_dir, c->req->app_id);
	AUTO(auto_str) char *tree = xasprintf("%s/tree", dir);
	struct err mine;

	if (access(tree, F_OK) < 0)
		return 0;
	if (!same_stack(c, dir)) {
		say_detail(c, "The stack has changed, the build cache is left out");
		return 0;
	}
	if (fs_copytree(tree, c->cache.host, LIM_SLUG_TREE, &mine) == 0)
		return 0;
	if (mine.code == ERR_DISK_FULL)
		return err_set(err, ERR_DISK_FULL, "%s", mine.msg);
	/* a build without its cache is slow, not wrong */
	xlog_err(XLOG_WARN, "build", &mine, "msg=\"build cache left out\" app=%s",
		 c->req->app_name);
	say_warn(c, "The build cache could not be read and is left out");
	if (remove_tree(c->b, c->cache.host, err) < 0)
		return -1;
	return fs_mkdirs(c->cache.host, 0755, err);
}

/* Puts the folder in the place of the old cache, which is removed. */
static int swap_in(struct build *c, const char *fresh, struct err *err)
{
	AUTO(auto_str) char *dir = xasprintf("%s/%s", c->b->cache_dir, c->req->app_id);
	AUTO(auto_str) char *old = xasprintf("%s/cache.old", c->dir);

	if (fs_mkdirs(c->b->cache_dir, 0700, err) < 0)
		return -1;
	if (rename(dir, old) < 0 && errno != ENOENT)
		return err_errno(err, "%s", dir);
	/* between the two an app has no cache: a crash here costs one slow build */
	if (rename(fresh, dir) < 0)
		return err_errno(err, "%s", dir);
	return remove_tree(c->b, old, err);
}

static int nothing(const struct slug_entry *e, void *arg, struct err *err)
{
	return 0;
}

void cache_store(struct build *c)
{
	AUTO(auto_str) char *fresh = xasprintf("%s/cache", c->dir);
	AUTO(auto_str) char *stack = xasprintf("%s/stack", fresh);
	uint64_t bytes = 0, files;
	struct err err = {0};

	/* the walk makes folders readable for the copy of the next build */
	if (slug_tree_walk(c->cache.host, nothing, NULL, &err) == 0 &&
	    fs_usage(c->cache.host, &bytes, &files, &err) == 0 && bytes <= LIM_SLUG_TREE &&
	    fs_write_atomic(stack, c->b->cfg->stack, strlen(c->b->cfg->stack), 0600, &err) == 0 &&
	    swap_in(c, fresh, &err) == 0)
		return;
	if (bytes > LIM_SLUG_TREE)
		err_set(&err, ERR_TOO_LARGE, "the build cache is larger than %lld MB",
			LIM_SLUG_TREE / MiB(1));
	xlog_err(XLOG_WARN, "build", &err, "msg=\"build cache dropped\" app=%s", c->req->app_name);
	say_warn(c, "The build cache is not kept: %s", err.msg);
	cache_purge(c->b, c->req->app_id, NULL);
}

int cache_purge(struct builds *b, const char *app_id, struct err *err)
{
	AUTO(auto_str) char *dir = NULL;

	if (!name_is_uuid(app_id))
		return err_not_found(err, "app");
	dir = xasprintf("%s/%s", b->cache_dir, app_id);
	return remove_tree(b, dir, err);
}
