/* Files that clients send and fetch at URLs which are a permission by themselves: sources to be
 * built, slugs (slugs.c). And the sweeping of what nobody fetched or sent. */
#include "daemon/api/uploads.h"
#include "daemon/api/identity.h"
#include "daemon/api/storage.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "daemon/release/push.h"
#include "daemon/store/session.h"
#include "daemon/store/source.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PIECE	   65536
#define LOOK_EVERY MiB(16) /* written between looks at the disk */
#define SWEEP_MS   (10 * 60 * 1000)

/* --- bodies to disk, files to clients --- */

static int check_disk(const struct config *cfg, uint64_t want, struct err *err)
{
	uint64_t unused;

	if (fs_free_bytes(cfg->state_dir, &unused, err) < 0)
		return -1;
	if (unused >= want + (uint64_t)cfg->disk_reserve_mb * (uint64_t)MiB(1))
		return 0;
	return err_set(err, ERR_DISK_FULL, "There is not enough disk space for this.");
}

static int write_all(int fd, const char *p, size_t n, struct err *err)
{
	for (size_t done = 0; done < n;) {
		ssize_t w = write(fd, p + done, n - done);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return errno == ENOSPC || errno == EDQUOT
				       ? err_set(err, ERR_DISK_FULL, "The disk is full.")
				       : err_errno(err, "write what was sent");
		done += (size_t)w;
	}
	return 0;
}

static int receive(struct api_req *q, int fd, uint64_t *size, struct err *err)
{
	mono_ms until = clock_mono_ms() + LIM_UPLOAD_MS;
	AUTO(auto_str) char *piece = xcalloc(1, PIECE);
	uint64_t look = 0;
	ssize_t n;

	*size = 0;
	while ((n = http_read(q->x, piece, PIECE, err)) > 0) {
		if (*size >= look) {
			look += (uint64_t)LOOK_EVERY;
			if (check_disk(q->d->cfg, (uint64_t)LOOK_EVERY, err) < 0)
				return -1;
		}
		if (write_all(fd, piece, (size_t)n, err) < 0)
			return -1;
		*size += (uint64_t)n;
		if (clock_mono_ms() > until)
			return err_set(err, ERR_REQUEST_TIMEOUT, "The upload took too long.");
	}
	if (n < 0)
		return -1;
	return *size ? 0 : err_set(err, ERR_BAD_REQUEST, "The upload is empty.");
}

int api_upload(struct api_req *q, const char *path, uint64_t max, uint64_t *size, struct err *err)
{
	AUTO(auto_fd)
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_errno(err, "%s", path);
	http_set_max_body(q->x, max);
	http_keep_encoding(q->x); /* a .tar.gz that says it is gzip is meant as it is */
	if (receive(q, fd, size, err) < 0 || (fsync(fd) < 0 && err_errno(err, "%s", path))) {
		unlink(path);
		return -1;
	}
	return dup(fd);
}

static int download(struct api_req *q, int fd, struct err *err)
{
	AUTO(auto_str) char *piece = xcalloc(1, PIECE);
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "read a source");
	q->answered = true;
	http_setf(q->x, "Content-Length", "%lld", (long long)st.st_size);
	http_respond(q->x, 200, "application/octet-stream");
	while ((n = read(fd, piece, PIECE)) > 0)
		if (http_write(q->x, piece, (size_t)n) < 0)
			break;
	http_end(q->x);
	return 0;
}

/* --- sources --- */

struct source_tx {
	struct api_req *q;
	const char *id, *what, *signature;
	struct store_source s;
	char made[37], put[65], get[65];
	uint64_t size;
};

/* "put source ID": what a signature permits. */
static void permit(char out[64], const char *what, const char *id)
{
	snprintf(out, 64, "%.3s source %.36s", what, id);
}

static int open_source(struct tx *tx, void *arg, struct err *err)
{
	struct source_tx *t = arg;
	char text[64];

	permit(text, t->what, t->id);
	if (!name_is_uuid(t->id) || !secret_signed(tx_key(tx), text, t->signature))
		return err_not_found(err, "source");
	return store_source_get(tx, t->id, &t->s, err);
}

static char *source_path(const struct api_req *q, const char *id)
{
	return xasprintf("%s/sources/%s", q->d->cfg->state_dir, id);
}

static int make_source(struct tx *tx, void *arg, struct err *err)
{
	struct source_tx *t = arg;
	char text[64];

	if (store_source_insert(tx, t->q->user.id, t->q->app.id, t->made, err) < 0)
		return -1;
	permit(text, "put", t->made);
	secret_sign(tx_key(tx), text, t->put);
	permit(text, "get", t->made);
	secret_sign(tx_key(tx), text, t->get);
	return 0;
}

int api_sources_create(struct api_req *q, struct err *err)
{
	struct source_tx t = {.q = q};
	AUTO(auto_str) char *get = NULL;
	AUTO(auto_str) char *put = NULL;

	if (store_tx(q->d->store, make_source, &t, err) < 0)
		return -1;
	get = api_public_url(q, "/blobs/sources/%s/%s", t.made, t.get);
	put = api_public_url(q, "/blobs/sources/%s/%s", t.made, t.put);
	api_audit(q, "source.create", "%s", t.made);
	return api_ok(q, 201,
		      json_pack("{s:{s:s, s:s}}", "source_blob", "get_url", get, "put_url", put));
}

static int keep_source(struct tx *tx, void *arg, struct err *err)
{
	struct source_tx *t = arg;
	int64_t quota = t->q->d->cfg->source_user_mb, used = 0;

	if (store_source_usage(tx, t->s.user_id, t->s.id, &used, err) < 0)
		return -1;
	if (used + (int64_t)t->size > quota * MiB(1))
		return err_set(
			err, ERR_TOO_LARGE,
			"Your sources would take more than %lld MB; each goes after an hour.",
			(long long)quota);
	return store_source_uploaded(tx, t->s.id, (int64_t)t->size, err);
}

int api_source_put(struct api_req *q, struct err *err)
{
	struct source_tx t = {.q = q, .id = q->params[0], .what = "put", .signature = q->params[1]};
	uint64_t max = (uint64_t)q->d->cfg->source_mb * (uint64_t)MiB(1);
	AUTO(auto_str) char *path = NULL;
	AUTO(auto_str) char *coming = NULL;
	AUTO(auto_fd) int fd = -1;
	char nonce[17];

	if (store_read(q->d->store, open_source, &t, err) < 0)
		return -1;
	random_hex(nonce, 16);
	path = source_path(q, t.s.id);
	coming = xasprintf("%s/sources/.%s-%s", q->d->cfg->state_dir, t.s.id, nonce);
	fd = api_upload(q, coming, max, &t.size, err);
	if (fd < 0)
		return -1;
	if (store_tx(q->d->store, keep_source, &t, err) < 0 ||
	    (rename(coming, path) < 0 && err_errno(err, "%s", path))) {
		unlink(coming);
		return -1;
	}
	return api_ok(q, 200, json_object());
}

static int source_fd(struct source_tx *t, struct err *err)
{
	AUTO(auto_str) char *path = NULL;
	int fd;

	if (store_read(t->q->d->store, open_source, t, err) < 0)
		return -1;
	path = source_path(t->q, t->s.id);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno != ENOENT)
		return err_errno(err, "%s", path);
	return fd < 0 ? err_not_found(err, "source") : fd;
}

int api_source_get(struct api_req *q, struct err *err)
{
	struct source_tx t = {.q = q, .id = q->params[0], .what = "get", .signature = q->params[1]};
	AUTO(auto_fd) int fd = source_fd(&t, err);

	return fd < 0 ? -1 : download(q, fd, err);
}

int api_source_open(struct api_req *q, const char *url, int *fd, struct err *err)
{
	static const char mark[] = "/blobs/sources/";
	const char *host = strstr(url, "://"), *path = host ? strchr(host + 3, '/') : NULL;
	struct source_tx t = {.q = q, .what = "get"};
	char id[37] = "", signature[65] = "";
	int used = 0;

	*fd = -1;
	if (!path || strncmp(path, mark, sizeof mark - 1) != 0)
		return 0;
	if (sscanf(path + sizeof mark - 1, "%36[0-9a-f-]/%64[0-9a-f]%n", id, signature, &used) !=
		    2 ||
	    path[(int)sizeof mark - 1 + used])
		return 0; /* not one that we make */
	t.id = id;
	t.signature = signature;
	*fd = source_fd(&t, err);
	if (*fd >= 0 || err->code != ERR_NOT_FOUND)
		return *fd < 0 ? -1 : 0;
	return err_set(err, ERR_INVALID_PARAMS,
		       "Nothing has been uploaded to this source, or it has expired.");
}

/* --- sweeping --- */

struct sweep_tx {
	struct store_ids left;
};

static int expire(struct tx *tx, void *arg, struct err *err)
{
	struct sweep_tx *t = arg;

	store_ids_clear(&t->left);
	if (store_log_sessions_expire(tx, err) < 0)
		return -1;
	return store_sources_expire(tx, &t->left, err);
}

static void dir_close(DIR *d)
{
	closedir(d);
}
DEFINE_AUTO(DIR *, dir_close)

/* An upload that has been coming for longer than one may. */
static bool stale(DIR *d, const char *name)
{
	struct stat st;

	return fstatat(dirfd(d), name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       clock_wall_ms() - (wall_ms)st.st_mtime * 1000 > 2 * LIM_UPLOAD_MS;
}

/* Names first, rows then: a file's row is there before the file. */
static void sweep_sources(struct api *a, bool at_start)
{
	AUTO(auto_str) char *path = xasprintf("%s/sources", a->d.cfg->state_dir);
	AUTO(dir_close) DIR *d = opendir(path);
	struct sweep_tx t = {0};
	struct err err = {0};
	char(*ids)[37] = NULL;
	const struct dirent *de;
	int n = 0;

	while (d && (de = readdir(d))) {
		const char *name = de->d_name;

		if (name[0] == '.' && strlen(name) > 37 && (at_start || stale(d, name)))
			unlinkat(dirfd(d), name, 0);
		if (!name_is_uuid(name))
			continue;
		ids = xrealloc(ids, (size_t)(n + 1) * sizeof *ids);
		memcpy(ids[n++], name, sizeof *ids); /* a uuid fits */
	}
	if (store_tx(a->d.store, expire, &t, &err) < 0)
		xlog_err(XLOG_WARN, "api", &err, "msg=\"sources not swept\"");
	for (int i = 0; i < n && !err.status; i++)
		if (!store_ids_has(&t.left, ids[i]))
			unlinkat(dirfd(d), ids[i], 0);
	store_ids_clear(&t.left);
	free(ids);
}

static void sweeper(void *arg)
{
	struct api *a = arg;
	struct timespec t;

	api_volumes_sweep(a);
	pthread_mutex_lock(&a->sweep_lock);
	while (!a->closing) {
		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_sec += SWEEP_MS / 1000;
		if (pthread_cond_timedwait(&a->sweep_end, &a->sweep_lock, &t) != ETIMEDOUT)
			continue;
		pthread_mutex_unlock(&a->sweep_lock);
		sweep_sources(a, false);
		api_identity_sweep(a);
		api_volumes_sweep(a);
		push_collect_slugs(a->d.pusher); /* also those that waited in vain for their blob */
		pthread_mutex_lock(&a->sweep_lock);
	}
	pthread_mutex_unlock(&a->sweep_lock);
}

int api_uploads_start(struct api *a, struct err *err)
{
	AUTO(auto_str) char *sources = xasprintf("%s/sources", a->d.cfg->state_dir);
	AUTO(auto_str) char *uploads = xasprintf("%s/uploads", a->d.cfg->state_dir);

	if (fs_mkdirs(sources, 0700, err) < 0 || fs_rmtree(uploads, err) < 0 ||
	    fs_mkdirs(uploads, 0700, err) < 0)
		return -1;
	sweep_sources(a, true);
	a->sweeper = thread_new("sweep", sweeper, a);
	return 0;
}

void api_uploads_stop(struct api *a)
{
	pthread_mutex_lock(&a->sweep_lock);
	a->closing = true;
	pthread_cond_signal(&a->sweep_end);
	pthread_mutex_unlock(&a->sweep_lock);
	thread_join(a->sweeper);
}
