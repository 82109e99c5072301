#include "daemon/slug/slug.h"
#include "daemon/core/clock.h"
#include "daemon/core/fsx.h"
#include "daemon/core/pool.h"
#include "daemon/core/xlog.h"
#include "proto/names.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A slug that was just sealed is not in the store yet: collecting leaves it alone for so long. */
#define FRESH_MS (15 * 60 * 1000)
#define TRASH	 1024 /* trees that wait for their removal */

/* STATE/slugs/ID/app is a slug; STATE/slugs/.new-ID and .old-ID are on their way in and out. */
struct slugs {
	char *dir;	     /* owned */
	pthread_mutex_t mtx; /* held while folders with a dot are made or collected */
	pthread_rwlock_t
		going; /* read: a removal is under way; write: it is said that it is held */
	int held;      /* under going */
	struct pool *trash;
	atomic_bool closing;
	struct fresh {
		char id[37];
		mono_ms until;
	} * fresh; /* owned, under mtx */
	int nfresh;
};

struct slugs *slugs_open(const char *state_dir)
{
	struct slugs *s = xcalloc(1, sizeof(*s));

	s->dir = xasprintf("%s/slugs", state_dir);
	pthread_mutex_init(&s->mtx, NULL);
	pthread_rwlock_init(&s->going, NULL);
	s->trash = pool_new("trash", 1, TRASH);
	return s;
}

void slugs_free(struct slugs *s)
{
	if (!s)
		return;
	s->closing = true;
	pool_free(s->trash);
	pthread_mutex_destroy(&s->mtx);
	pthread_rwlock_destroy(&s->going);
	free(s->fresh);
	free(s->dir);
	free(s);
}

/* Under mtx. */
static void fresh_add(struct slugs *s, const char *id)
{
	mono_ms now = clock_mono_ms();
	int n = 0;

	for (int i = 0; i < s->nfresh; i++)
		if (s->fresh[i].until > now)
			s->fresh[n++] = s->fresh[i];
	s->fresh = xrealloc(s->fresh, ((size_t)n + 1) * sizeof(*s->fresh));
	s->fresh[n].until = now + FRESH_MS;
	memcpy(s->fresh[n].id, id, sizeof(s->fresh[n].id));
	s->nfresh = n + 1;
}

static bool fresh_has(const struct slugs *s, const char *id)
{
	for (int i = 0; i < s->nfresh; i++)
		if (!strcmp(s->fresh[i].id, id))
			return s->fresh[i].until > clock_mono_ms();
	return false;
}

void slug_path(const struct slugs *s, const char *slug_id, char *out)
{
	int n;

	assert(name_is_uuid(slug_id));
	n = snprintf(out, PATH_MAX, "%s/%s/app", s->dir, slug_id);
	assert(n > 0 && n < PATH_MAX);
}

bool slug_exists(const struct slugs *s, const char *slug_id)
{
	char path[PATH_MAX];
	struct stat st;

	if (!name_is_uuid(slug_id))
		return false;
	slug_path(s, slug_id, path);
	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* No process of the build is left: what is looked at here cannot change under the look. */
static int clean_entry(const struct slug_entry *e, void *arg, struct err *err)
{
	const struct stat *st = e->st;
	uint64_t *blocks = arg;
	mode_t mode = st->st_mode & 07777, want;

	if (S_ISLNK(st->st_mode)) {
		*blocks += (uint64_t)st->st_blocks;
		return 0;
	}
	if (!S_ISDIR(st->st_mode) && !S_ISREG(st->st_mode))
		return unlinkat(e->dirfd, e->name, 0) < 0 ? err_errno(err, "remove %s", e->rel) : 0;
	*blocks += (uint64_t)st->st_blocks / (S_ISREG(st->st_mode) ? st->st_nlink : 1);
	want = (mode & 01777) | (S_ISDIR(st->st_mode) ? 0700 : 0400);
	if (want != mode && fchmodat(e->dirfd, e->name, want, 0) < 0)
		return err_errno(err, "chmod %s", e->rel);
	return 0;
}

static int sync_dir(const char *path, struct err *err)
{
	AUTO(auto_fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_errno(err, "sync %s", path);
	return 0;
}

static int move_in(struct slugs *s, const char *build_tree, const char *slug_id, const char *fresh,
		   struct err *err)
{
	AUTO(auto_str) char *app = xasprintf("%s/app", fresh);
	AUTO(auto_str) char *final = xasprintf("%s/%s", s->dir, slug_id);

	if (chmod(build_tree, 0755) < 0)
		return err_errno(err, "chmod %s", build_tree);
	if (rename(build_tree, app) < 0)
		return err_errno(err, "move the built tree");
	if (fs_fsync_tree(app, err) == 0) {
		if (rename(fresh, final) == 0)
			return sync_dir(s->dir, err);
		err_errno(err, "name the slug");
	}
	if (rename(app, build_tree) < 0)
		return err_wrap(err, "and the built tree is lost");
	return -1;
}

int slug_seal(struct slugs *s, const char *build_tree, const char *slug_id, uint64_t *size_bytes,
	      struct err *err)
{
	AUTO(auto_str) char *fresh = NULL;
	uint64_t blocks = 0;
	int rc;

	assert(name_is_uuid(slug_id));
	fresh = xasprintf("%s/.new-%s", s->dir, slug_id);
	if (slug_tree_walk(build_tree, clean_entry, &blocks, err) < 0)
		return err_wrap(err, "seal the slug");
	pthread_mutex_lock(&s->mtx);
	rc = fs_mkdirs(fresh, 0755, err);
	if (rc == 0) {
		rc = move_in(s, build_tree, slug_id, fresh, err);
		if (rc < 0)
			rmdir(fresh);
		else
			fresh_add(s, slug_id);
	}
	pthread_mutex_unlock(&s->mtx);
	if (rc < 0)
		return err_wrap(err, "seal the slug");
	*size_bytes = blocks * 512;
	return 0;
}

void slugs_hold(struct slugs *s, bool hold)
{
	pthread_rwlock_wrlock(&s->going);
	s->held += hold ? 1 : -1;
	assert(s->held >= 0);
	pthread_rwlock_unlock(&s->going);
}

/* --- removal: the name goes at once, the tree in its own time --- */

struct old {
	struct slugs *s;
	char *path; /* owned */
};

static void remove_tree(void *arg)
{
	struct old *o = arg;
	struct err err = {0};

	/* what is left when paasd stops is collected at the next start */
	if (!o->s->closing && fs_rmtree(o->path, &err) < 0)
		xlog_err(XLOG_WARN, "slug", &err, "msg=\"slug not removed\"");
	free(o->path);
	free(o);
}

/* Tens of thousands of files may be in it. All removals are one thread's. Takes path. */
static void trash(struct slugs *s, char *path)
{
	struct old *o = xmalloc(sizeof *o);

	*o = (struct old){s, path};
	if (!pool_submit(s->trash, remove_tree, o)) {
		free(o->path); /* the next collection sees it */
		free(o);
	}
}

/* A half-removed slug must not look like a slug: it gets another name first. */
static int remove_now(struct slugs *s, const char *slug_id, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("%s/%s", s->dir, slug_id);
	AUTO(auto_str) char *old = xasprintf("%s/.old-%s", s->dir, slug_id);

	if (rename(path, old) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "remove slug %s", slug_id);
	trash(s, STEAL(old));
	return 0;
}

int slug_remove(struct slugs *s, const char *slug_id, struct err *err)
{
	int rc = 0;

	if (!name_is_uuid(slug_id))
		return err_set(err, ERR_INVALID_PARAMS, "not a slug id");
	pthread_rwlock_rdlock(&s->going);
	if (!s->held)
		rc = remove_now(s, slug_id, err);
	pthread_rwlock_unlock(&s->going);
	return rc;
}

static void dir_close(DIR *d)
{
	closedir(d);
}
DEFINE_AUTO(DIR *, dir_close)

/* Under mtx. */
static int collect_entry(struct slugs *s, const char *name,
			 bool (*keep)(const char *slug_id, void *arg), void *arg, struct err *err)
{
	if (!strncmp(name, ".new-", 5) || !strncmp(name, ".old-", 5)) {
		trash(s, xasprintf("%s/%s", s->dir, name));
		return 0;
	}
	if (!name_is_uuid(name) || fresh_has(s, name) || keep(name, arg))
		return 0;
	return slug_remove(s, name, err);
}

/* Goes on after a failure, tells the first. */
int slugs_collect(struct slugs *s, bool (*keep)(const char *slug_id, void *arg), void *arg,
		  struct err *err)
{
	AUTO(dir_close) DIR *d = opendir(s->dir);
	const struct dirent *de;
	int rc = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_errno(err, "%s", s->dir);
	pthread_mutex_lock(&s->mtx);
	while ((de = readdir(d))) {
		struct err e = {0};

		if (collect_entry(s, de->d_name, keep, arg, &e) == 0 || rc < 0)
			continue;
		rc = -1;
		if (err)
			*err = e;
	}
	pthread_mutex_unlock(&s->mtx);
	return rc;
}
