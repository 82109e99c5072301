#include "launcher/sources.h"
#include "launcher/record.h"
#include "launcher/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

const char *ln_source_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		n--;
	if (strncmp(path, dir, n) != 0 || (path[n] && path[n] != '/'))
		return NULL;
	path += n;
	return path + strspn(path, "/");
}

int ln_source_folder(const struct host *h, const char *path, bool ro, const char **rel)
{
	if ((*rel = ln_source_below(path, h->state)) ||
	    (*rel = ln_source_below(path, h->state_arg)))
		return h->state_fd;
	if ((*rel = ln_source_below(path, h->run)) || (*rel = ln_source_below(path, h->run_arg)))
		return h->run_fd;
	for (int i = 0; ro && i < h->nro; i++)
		if ((*rel = ln_source_below(path, h->ro[i])))
			return h->ro_fd[i];
	return -1;
}

/* Opens path for mounting: below an allowed folder, through no link. -1 with err; ENOENT in errno.
 */
static int open_source(const struct host *h, const char *path, bool ro, struct err *err)
{
	const char *rel;
	int base = ln_source_folder(h, path, ro, &rel), fd;

	if (base < 0) {
		errno = EPERM;
		return err_set(err, ERR_FORBIDDEN,
			       "%s is outside of the folders that dynos may be given", path);
	}
	fd = tree_open(base, rel, O_PATH);
	return fd < 0 ? err_errno(err, "open %s", path) : fd;
}

void ln_sources_close(struct sources *f)
{
	if (f->group >= 0)
		close(f->group);
	if (f->work >= 0)
		close(f->work);
	if (f->slug >= 0)
		close(f->slug);
	for (int i = 0; i < f->n; i++)
		if (f->binds[i] >= 0)
			close(f->binds[i]);
}

static int open_folder(struct host *h, const struct plan *p, const struct launch_bind *b,
		       struct err *err)
{
	AUTO(auto_fd) int fd = open_source(h, b->src, b->flags & BIND_RO, err);
	bool map = (b->flags & BIND_IDMAP) && h->idmap && h->sandbox;

	if (fd < 0)
		return -1;
	if ((b->flags & BIND_IDMAP) && !map && h->root) {
		/* the slow way: the app owns the files until the end */
		AUTO(auto_fd) int dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (dir >= 0) {
			ln_record_note(h, p->spec.id, "own %s\n", b->src);
			if (tree_own(dir, h->owner, p->app_uid, p->app_gid, err) < 0)
				return -1;
		}
	}
	return h->sandbox ? ln_idmap_tree(h, fd, b->flags & BIND_RO, map ? p->app_uid : 0, err)
			  : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int open_bind(struct host *h, const struct plan *p, const struct launch_bind *b,
		     struct err *err)
{
	const char *rel = NULL;

	if (!(b->flags & BIND_VOLUME))
		return open_folder(h, p, b, err);
	if (ln_source_folder(h, b->src, false, &rel) != h->state_fd ||
	    strncmp(rel, "volumes/", 8) != 0)
		return err_set(err, ERR_FORBIDDEN, "%s is no volume", b->src);
	return ln_volume_tree(h, rel + 8, b->flags & BIND_RO, p->app_uid, p->app_gid, err);
}

/* The dyno's own folder, for the copy or the changes of /app. */
static int open_work(struct host *h, const struct plan *p, struct sources *f, struct err *err)
{
	AUTO(auto_fd) int fd = tree_open(h->dynos_fd, p->spec.id, O_PATH | O_DIRECTORY);

	if (fd < 0)
		return err_errno(err, "open %s", p->work);
	f->work = h->sandbox ? ln_idmap_tree(h, fd, false, 0, err) : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return f->work < 0 ? -1 : 0;
}

/* The dyno to be entered: it runs, and it is the same app's, both by what we noted ourselves. */
static int open_inside(struct host *h, struct plan *p, struct sources *f, struct err *err)
{
	struct record r;

	ln_record_read(h, p->spec.into, &r);
	ln_record_clear(&r);
	f->work = ln_record_process(r.init, r.init_at);
	if (f->work < 0)
		return err_set(err, ERR_NOT_FOUND, "the dyno does not run");
	if (r.user != p->app_uid)
		return err_set(err, ERR_FORBIDDEN, "the dyno belongs to another app");
	if (!h->sandbox)
		p->app = PLAN_APP_COPY; /* made already; its folder is the working directory */
	return 0;
}

int ln_sources_open(struct host *h, struct plan *p, struct sources *f, struct err *err)
{
	const struct launch_spec *s = &p->spec;

	*f = (struct sources){.group = -1, .work = -1, .slug = -1};
	if (p->enter)
		return open_inside(h, p, f, err);
	if (open_work(h, p, f, err) < 0)
		return -1;
	if (s->slug) {
		f->slug = open_source(h, s->slug, true, err);
		if (f->slug < 0)
			return err_wrap(err, "slug");
		p->app = h->sandbox && h->idmap ? PLAN_APP_OVERLAY : PLAN_APP_COPY;
	}
	if (p->app == PLAN_APP_OVERLAY) {
		int tree = ln_idmap_tree(h, f->slug, true, p->app_uid, err);

		if (tree < 0)
			return -1;
		close(f->slug);
		f->slug = tree;
	}
	for (int i = 0; i < s->nbinds && i < (int)ARRAY_LEN(f->binds); i++) {
		int fd = open_bind(h, p, &s->binds[i], err);

		if (fd < 0 && !((s->binds[i].flags & BIND_OPTIONAL) && errno == ENOENT))
			return err_wrap(err, "bind %s", s->binds[i].dst);
		f->binds[f->n++] = fd;
	}
	return 0;
}
