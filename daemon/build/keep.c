/* Which builds' outputs are kept, and what is done about builds that a crash ended. */
#include "daemon/build/build_int.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "proto/names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define KEPT 20

static const char interrupted[] = "\n !     The platform was restarted while this build ran\n"
				  "\n !     Push failed\n";

struct mark {
	char id[37];
	struct timespec at;
};

static void dir_close(DIR *d)
{
	closedir(d);
}
DEFINE_AUTO(DIR *, dir_close)

static int newest_first(const void *a, const void *b)
{
	const struct mark *x = a, *y = b;

	if (x->at.tv_sec != y->at.tv_sec)
		return x->at.tv_sec < y->at.tv_sec ? 1 : -1;
	return x->at.tv_nsec < y->at.tv_nsec ? 1 : x->at.tv_nsec > y->at.tv_nsec ? -1 : 0;
}

/* Marks of an app, newest first; owned by the caller. */
static int list(const char *dir, struct mark **out)
{
	AUTO(dir_close) DIR *d = opendir(dir);
	const struct dirent *de;
	struct mark *v = NULL;
	int n = 0;

	while (d && (de = readdir(d))) {
		struct stat st;

		if (!name_is_uuid(de->d_name) ||
		    fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		v = xrealloc(v, ((size_t)n + 1) * sizeof(*v));
		memcpy(v[n].id, de->d_name, sizeof(v[n].id));
		v[n++].at = st.st_mtim;
	}
	if (n)
		qsort(v, (size_t)n, sizeof(*v), newest_first);
	*out = v;
	return n;
}

static int forget(struct builds *b, const char *marks, const char *build_id, struct err *err)
{
	AUTO(auto_str) char *dir = xasprintf("%s/%s", b->builds_dir, build_id);
	AUTO(auto_str) char *mark = xasprintf("%s/%s", marks, build_id);

	if (remove_tree(b, dir, err) < 0)
		return -1;
	return unlink(mark) < 0 && errno != ENOENT ? err_errno(err, "%s", mark) : 0;
}

void builds_prune(struct builds *b, const char *app_id)
{
	AUTO(auto_str) char *marks = xasprintf("%s/by-app/%s", b->builds_dir, app_id);
	struct mark *v;
	int n = list(marks, &v);

	for (int i = KEPT; i < n; i++) {
		struct err e = {0};

		if (!outputs_live(b->outputs, v[i].id) && forget(b, marks, v[i].id, &e) < 0)
			xlog_err(XLOG_WARN, "build", &e, "msg=\"old build stays\" build=%s",
				 v[i].id);
	}
	free(v);
}

int build_forget_app(struct builds *b, const char *app_id, struct err *err)
{
	AUTO(auto_str) char *marks = NULL;
	struct mark *v;
	int n, rc;

	if (!name_is_uuid(app_id))
		return err_not_found(err, "app");
	queue_stop_app(b->queue, app_id, STOP_CANCELED);
	marks = xasprintf("%s/by-app/%s", b->builds_dir, app_id);
	rc = cache_purge(b, app_id, err);
	n = list(marks, &v);
	for (int i = 0; i < n; i++)
		if (forget(b, marks, v[i].id, err) < 0)
			rc = -1;
	free(v);
	if (rc == 0 && rmdir(marks) < 0 && errno != ENOENT)
		return err_errno(err, "%s", marks);
	return rc;
}

/* Says in the kept output that the build did not end by itself. */
static void note_crash(const char *dir)
{
	AUTO(auto_str) char *path = xasprintf("%s/output", dir);
	AUTO(auto_fd) int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0 && write(fd, interrupted, sizeof(interrupted) - 1) < 0)
		xlog(XLOG_WARN, "build", "msg=\"cannot mark an interrupted build\" path=%s", path);
}

int builds_sweep(struct builds *b, struct err *err)
{
	AUTO(dir_close) DIR *d = opendir(b->builds_dir);
	const struct dirent *de;
	int rc = 0;

	if (!d)
		return err_errno(err, "%s", b->builds_dir);
	while ((de = readdir(d))) {
		AUTO(auto_str) char *dir = NULL;

		if (!name_is_uuid(de->d_name) || outputs_live(b->outputs, de->d_name))
			continue;
		dir = xasprintf("%s/%s", b->builds_dir, de->d_name);
		if (!places_unfinished(dir))
			continue;

		note_crash(dir);
		if (places_remove(b, dir, err) < 0)
			rc = -1;
	}
	return rc;
}
