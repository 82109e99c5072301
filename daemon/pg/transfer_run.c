/* What a transfer does: dump, restore into a scratch database, compare, take the target's place. */
#include "daemon/build/tarball.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "daemon/pg/pg.h"
#include "daemon/pg/transfer_digest.h"
#include "daemon/pg/transfer_file.h"
#include "daemon/pg/transfer_int.h"
#include "daemon/pg/transfer_toc.h"
#include "daemon/store/app.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define SAVE_MS	   1000
#define LOOK_EVERY MiB(16) /* octets between looks at the disk */
#define RETRY_MS   1000
#define SERVER_MS  60000 /* for a server to come back */

/* --- progress --- */

void pgt_time(wall_ms t, char out[PGT_TIME])
{
	time_t s = (time_t)(t / 1000);
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(out, PGT_TIME, "%Y-%m-%d %H:%M:%S +0000", &tm);
}

void pgt_say(struct job *j, const char *level, const char *fmt, ...)
{
	wall_ms now = clock_wall_ms();
	char text[600], when[PGT_TIME];
	va_list ap;
	json_t *line;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	pgt_time(now, when);
	line = json_pack("{s:s, s:s, s:s}", "created_at", when, "level", level, "message", text);
	if (!line) /* cut within a character, or not text */
		line = json_pack("{s:s, s:s, s:s}", "created_at", when, "level", level, "message",
				 "(a message that is not UTF-8)");
	if (json_array_size(j->log) >= LIM_TRANSFER_LOG)
		json_array_remove(j->log, 0);
	json_array_append_new(j->log, line);
	j->dirty = true;
}

struct save {
	const struct job *j;
	char *log;
};

static int tx_save(struct tx *tx, void *arg, struct err *err)
{
	const struct save *s = arg;

	return store_pgt_progress(tx, s->j->row.id, s->j->source_bytes, s->j->processed_bytes,
				  s->log, err);
}

int pgt_save(struct job *j, struct err *err)
{
	AUTO(auto_str) char *log = json_dumps(j->log, JSON_COMPACT);
	struct save s = {j, log};

	if (!j->dirty)
		return 0;
	j->dirty = false;
	j->ticked = clock_mono_ms();
	return store_tx(j->t->d.store, tx_save, &s, err);
}

static int disk_left(const struct job *j, uint64_t want, struct err *err)
{
	const struct config *cfg = j->t->d.cfg;
	uint64_t unused;

	if (fs_free_bytes(cfg->state_dir, &unused, err) < 0)
		return -1;
	if (unused >= want + (uint64_t)cfg->disk_reserve_mb * (uint64_t)MiB(1))
		return 0;
	return err_set(err, ERR_DISK_FULL,
		       "The platform's disk is full: only its reserve of %" PRId64 " MB is left.",
		       cfg->disk_reserve_mb);
}

static int tick(void *arg, struct err *err)
{
	struct job *j = arg;

	if (disk_left(j, 0, err) < 0)
		return -1;
	return clock_mono_ms() - j->ticked < SAVE_MS ? 0 : pgt_save(j, err);
}

static int check_cancel(const struct job *j, struct err *err)
{
	uint64_t v;

	if (read(j->cancel_fd, &v, sizeof v) < 0)
		return 0;
	return err_set(err, ERR_CANCELED, "canceled");
}

/* --- dump --- */

struct dump {
	struct job *j;
	struct tfile_writer *w;
	uint64_t look;
};

static int dump_sink(void *arg, const void *p, size_t n, struct err *err)
{
	struct dump *d = arg;
	uint64_t max = (uint64_t)d->j->t->d.cfg->backup_mb * (uint64_t)MiB(1);

	if (tfile_written(d->w) >= d->look) {
		d->look += (uint64_t)LOOK_EVERY;
		if (disk_left(d->j, (uint64_t)LOOK_EVERY, err) < 0)
			return -1;
	}
	if (tfile_written(d->w) + n > max)
		return err_set(err, ERR_TOO_LARGE,
			       "The dump is larger than %" PRId64 " MB (backups.max_size).",
			       d->j->t->d.cfg->backup_mb);
	if (tfile_write(d->w, p, n, err) < 0)
		return -1;
	d->j->processed_bytes = (int64_t)tfile_written(d->w);
	d->j->dirty = true;
	return 0;
}

/* The name of a snapshot: it becomes an argument. */
static int snapshot_name(struct buf *b, struct err *err)
{
	while (b->len && (b->data[b->len - 1] == '\n' || b->data[b->len - 1] == ' '))
		b->data[--b->len] = 0;
	if (b->len > 0 && b->len < 64 && strspn(buf_str(b), "0123456789ABCDEFabcdef-") == b->len)
		return 0;
	return err_set(err, ERR_IO, "the server does not export snapshots");
}

static int open_snapshot(struct job *j, struct tool_session *s, struct buf *name, struct err *err)
{
	AUTO(auto_str)
	char *sql = xasprintf("%sBEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;\n"
			      "SELECT pg_export_snapshot();\n",
			      digest_settings);
	AUTO(buf_clear) struct buf size = {0};

	if (tool_session_ask(s, sql, &j->watch, name, 4096, err) < 0 ||
	    snapshot_name(name, err) < 0 ||
	    tool_session_ask(s, digest_locks, &j->watch, NULL, LIM_TRANSFER_LIST, err) < 0 ||
	    tool_session_ask(s, "SELECT pg_database_size(current_database());", &j->watch, &size,
			     4096, err) < 0)
		return -1;
	j->source_bytes = strtoll(buf_str(&size), NULL, 10);
	j->dirty = true;
	return 0;
}

static int run_dump(struct job *j, const struct pgurl *db, const char *snapshot,
		    struct tfile_writer *w, struct err *err)
{
	AUTO(auto_str) char *option = xasprintf("--snapshot=%s", snapshot);
	const char *const argv[] = {"pg_dump",
				    "--format=custom",
				    "--no-password",
				    "--no-security-labels",
				    "--lock-wait-timeout=60000",
				    option,
				    NULL};
	struct dump d = {.j = j, .w = w};
	const struct tool t = {.argv = argv, .db = db, .sink = dump_sink, .arg = &d};

	return tool_run(&j->box, &t, &j->watch, err);
}

/* The database's content as it is in one moment, and the digest of the same moment. */
static int dump(struct job *j, const struct pgurl *db, const char *path,
		const unsigned char key[TFILE_KEY], char checksum[65], struct err *err)
{
	AUTO(tool_session_close) struct tool_session *s = NULL;
	AUTO(tfile_writer_free) struct tfile_writer *w = NULL;
	AUTO(buf_clear) struct buf snapshot = {0};
	AUTO(buf_clear) struct buf digest = {0};

	if (disk_left(j, (uint64_t)LOOK_EVERY, err) < 0)
		return -1;
	if (tool_session_open(&j->box, db, &s, err) < 0 || open_snapshot(j, s, &snapshot, err) < 0)
		return err_wrap(err, "%s cannot be read", j->row.from_name);
	pgt_say(j, "info", "Dumping %s (%" PRId64 " bytes).", j->row.from_name, j->source_bytes);
	if (tfile_create(path, key, &w, err) < 0)
		return -1;
	if (run_dump(j, db, buf_str(&snapshot), w, err) < 0)
		return err_wrap(err, "The dump of %s failed", j->row.from_name);
	if (tool_session_ask(s, digest_query, &j->watch, &digest, LIM_TRANSFER_LIST, err) < 0)
		return err_wrap(err, "%s cannot be read", j->row.from_name);
	if (tfile_finish(w, buf_str(&digest), digest.len, checksum, err) < 0)
		return -1;
	pgt_say(j, "info", "Dumped: %" PRIu64 " bytes.", tfile_written(w));
	return 0;
}

/* --- restore --- */

struct archive { /* a dump: a file of ours, or with key NULL one as it came */
	const char *path;
	const unsigned char *key;
};

struct feed {
	struct job *j;
	struct tfile_reader *r;
	int fd;
	char *piece;
	bool counted; /* what is fed is the transfer's progress */
};

static int feed_next(void *arg, const void **p, size_t *n, struct err *err)
{
	struct feed *f = arg;
	ssize_t k;

	if (f->r) {
		if (tfile_next(f->r, p, n, err) < 0)
			return -1;
	} else {
		do
			k = read(f->fd, f->piece, TFILE_PIECE);
		while (k < 0 && errno == EINTR);
		if (k < 0)
			return err_errno(err, "read the backup");
		*p = f->piece;
		*n = (size_t)k;
	}
	if (f->counted) {
		f->j->processed_bytes += (int64_t)*n;
		f->j->dirty = true;
	}
	return 0;
}

static int feed_open(struct feed *f, const struct archive *a, struct err *err)
{
	f->fd = -1;
	if (a->key)
		return tfile_open(a->path, a->key, &f->r, err);
	f->fd = open(a->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	f->piece = xmalloc(TFILE_PIECE);
	return f->fd < 0 ? err_errno(err, "%s", a->path) : 0;
}

static void feed_clear(struct feed *f)
{
	if (f->r)
		tfile_reader_free(f->r);
	if (f->fd >= 0)
		close(f->fd);
	free(f->piece);
}
#define feed_clear_p feed_clear

/* What pg_restore did not want to read is read all the same: damage shows. */
static int drain(struct feed *f, struct buf *digest, struct err *err)
{
	const void *p;
	size_t n = 1;

	while (f->r && n > 0)
		if (tfile_next(f->r, &p, &n, err) < 0)
			return -1;
	return f->r ? tfile_digest(f->r, digest, err) : 0;
}

static int list_sink(void *arg, const void *p, size_t n, struct err *err)
{
	struct buf *b = arg;

	buf_add(b, p, n);
	return b->len > (size_t)LIM_TRANSFER_LIST
		       ? err_set(err, ERR_TOO_LARGE, "its table of contents is too long")
		       : 0;
}

struct list_io { /* tool's one arg for both directions */
	struct feed *f;
	struct buf *b;
};

static int list_feed(void *arg, const void **p, size_t *n, struct err *err)
{
	struct list_io *io = arg;

	return feed_next(io->f, p, n, err);
}

static int list_take(void *arg, const void *p, size_t n, struct err *err)
{
	struct list_io *io = arg;

	return list_sink(io->b, p, n, err);
}

static int read_toc(struct job *j, const struct archive *a, struct buf *toc, struct err *err)
{
	static const char *const argv[] = {"pg_restore", "--list", NULL};
	AUTO(feed_clear) struct feed f = {.j = j, .fd = -1};
	struct list_io io = {&f, toc};
	const struct tool t = {.argv = argv, .feed = list_feed, .sink = list_take, .arg = &io};

	if (feed_open(&f, a, err) < 0)
		return -1;
	return tool_run(&j->box, &t, &j->watch, err) < 0
		       ? err_wrap(err, "The backup cannot be read")
		       : 0;
}

/* Leaves out what the add-on's role may not make, and says so. */
static int make_list(struct job *j, const struct pgurl *db, const struct archive *a,
		     struct buf *list, struct err *err)
{
	AUTO(buf_clear) struct buf toc = {0};
	AUTO(buf_clear) struct buf known = {0};
	AUTO(buf_clear) struct buf left = {0};

	if (read_toc(j, a, &toc, err) < 0 ||
	    tool_psql(&j->box, db, toc_known_query, &j->watch, &known, MiB(1), err) < 0)
		return -1;
	toc_filter(buf_str(&toc), buf_str(&known), list, &left);
	for (char *s = left.data, *end; s && *s; s = end + 1) {
		end = s + strcspn(s, "\n");
		if (!*end)
			break;
		*end = 0;
		pgt_say(j, "warn", "Left out, as the role may not make it: %.200s.", s);
	}
	if (!list->len)
		buf_adds(list, ";\n"); /* nothing at all, and not the whole of it */
	return 0;
}

/* "hstore,geo.postgis": made beforehand. */
static int make_extensions(struct job *j, const struct pgurl *db, struct err *err)
{
	AUTO(buf_clear) struct buf sql = {0};

	if (!j->row.extensions || !*j->row.extensions)
		return 0;
	if (toc_extensions_sql(j->row.extensions, &sql, err) < 0)
		return -1;
	if (tool_psql(&j->box, db, buf_str(&sql), &j->watch, NULL, MiB(1), err) < 0)
		return err_wrap(err, "The extensions cannot be made");
	return 0;
}

static int run_restore(struct job *j, const struct pgurl *db, const struct archive *a,
		       const struct buf *list, struct buf *digest, struct err *err)
{
	AUTO(auto_str) char *name = xasprintf("--dbname=%s", db->dbname);
	const char *const argv[] = {"pg_restore",
				    "--no-owner",
				    "--no-acl",
				    "--no-password",
				    "--no-tablespaces",
				    "--no-publications",
				    "--no-subscriptions",
				    "--no-security-labels",
				    "--exit-on-error",
				    "--use-list=" TOOL_FILE,
				    name,
				    NULL};
	AUTO(feed_clear)
	struct feed f = {.j = j, .fd = -1, .counted = j->row.kind == PGT_RESTORE};
	const struct tool t = {.argv = argv, .db = db, .file = list, .feed = feed_next, .arg = &f};

	if (f.counted)
		j->processed_bytes = 0;
	if (feed_open(&f, a, err) < 0 || tool_run(&j->box, &t, &j->watch, err) < 0)
		return -1;
	return drain(&f, digest, err);
}

/* The archive into the empty database; digest gets what the archive says of itself, nothing when it
 * is not ours. */
static int restore(struct job *j, const struct pgurl *db, const struct archive *a,
		   struct buf *digest, struct err *err)
{
	AUTO(buf_clear) struct buf list = {0};

	if (make_extensions(j, db, err) < 0 || make_list(j, db, a, &list, err) < 0)
		return -1;
	return run_restore(j, db, a, &list, digest, err);
}

static int compare(struct job *j, const struct pgurl *db, const char *want, struct err *err)
{
	AUTO(auto_str) char *sql = xasprintf("%s%s", digest_settings, digest_query);
	AUTO(buf_clear) struct buf got = {0};
	AUTO(buf_clear) struct buf difference = {0};

	if (tool_psql(&j->box, db, sql, &j->watch, &got, LIM_TRANSFER_LIST, err) < 0)
		return -1;
	digest_difference(want, buf_str(&got), &difference);
	if (!difference.len)
		return 0;
	return err_set(err, ERR_CORRUPT, "What was restored is not what was dumped: %s",
		       buf_str(&difference));
}

/* --- scratch databases --- */

/* 0 after a while; -1 when it is not worth to wait on: the transfer is canceled, or the engine
 * stops. */
static int wait_a_while(const struct job *j, enum pg_scratch what)
{
	struct pollfd f = {.fd = what == PG_SCRATCH_CREATE ? j->cancel_fd : -1, .events = POLLIN};
	bool stopping;

	if (poll(&f, 1, RETRY_MS) > 0)
		return -1;
	pthread_mutex_lock(&j->t->lock);
	stopping = j->t->stopping;
	pthread_mutex_unlock(&j->t->lock);
	return stopping ? -1 : 0;
}

/* A server that was killed is back soon: what is left on it must go, what is ready must be used. */
static int scratch(struct job *j, enum pg_scratch what, char **url, struct err *err)
{
	const struct pg_place *p = &j->t->d.place;
	mono_ms until = clock_mono_ms() + SERVER_MS;

	for (;;) {
		struct err e = {0};

		if (p->scratch(p->arg, j->row.addon_id, what, j->scratch, url, &e) == 0)
			return 0;
		*err = e;
		if ((e.code != ERR_UNAVAILABLE && e.code != ERR_TIMEOUT) ||
		    clock_mono_ms() > until || wait_a_while(j, what) < 0)
			return -1;
	}
}

static void drop_scratch(struct job *j)
{
	struct err err = {0};

	if (scratch(j, PG_SCRATCH_DROP, NULL, &err) < 0)
		xlog_err(XLOG_WARN, "pg", &err, "msg=\"scratch database stays\" name=%s id=%s",
			 j->scratch, j->row.id);
}

/* Restores into a scratch database of the add-on and compares. On failure it is gone again. */
static int fill_scratch(struct job *j, const struct archive *a, struct err *err)
{
	AUTO(pgurl_clear) struct pgurl db = {0};
	AUTO(auto_str) char *url = NULL;
	AUTO(buf_clear) struct buf digest = {0};
	int rc;

	if (scratch(j, PG_SCRATCH_CREATE, &url, err) < 0)
		return err_wrap(err, "no scratch database");
	rc = pgurl_parse(url, &db, err);
	explicit_bzero(url, strlen(url));
	if (rc == 0)
		rc = restore(j, &db, a, &digest, err);
	if (rc == 0 && digest.len)
		rc = compare(j, &db, buf_str(&digest), err);
	if (rc == 0)
		rc = check_cancel(j, err);
	if (rc < 0)
		drop_scratch(j);
	return rc;
}

static int tx_verified(struct tx *tx, void *arg, struct err *err)
{
	return store_pgt_verified(tx, arg, err);
}

/* From the mark on it is only swapped, also by the next start. */
static int swap_in(struct job *j, struct err *err)
{
	struct err e = {0};

	if (!j->row.verified_ms && store_tx(j->t->d.store, tx_verified, j->row.id, err) < 0) {
		drop_scratch(j);
		return -1;
	}
	if (scratch(j, PG_SCRATCH_SWAP, NULL, &e) == 0 ||
	    (e.code == ERR_NOT_FOUND && j->row.verified_ms)) {
		pgt_say(j, "info", "%s is now what was restored.", j->row.to_name);
		return 0;
	}
	drop_scratch(j);
	*err = e;
	return err_wrap(err, "The restored database could not take the place of %s",
			j->row.to_name);
}

/* --- the three kinds --- */

struct mark {
	const char *id, *checksum;
	const unsigned char *key;
};

static int tx_key_of(struct tx *tx, void *arg, struct err *err)
{
	const struct mark *m = arg;

	return store_pgt_set_key(tx, m->id, m->key, err);
}

static int tx_verifying(struct tx *tx, void *arg, struct err *err)
{
	const struct mark *m = arg;

	return store_pgt_verifying(tx, m->id, m->checksum, err);
}

static int verifying(struct job *j, const char *checksum, struct err *err)
{
	struct mark m = {.id = j->row.id, .checksum = checksum};

	return pgt_save(j, err) < 0 ? -1 : store_tx(j->t->d.store, tx_verifying, &m, err);
}

static int url_of(struct job *j, const char *addon_id, struct pgurl *out, struct err *err)
{
	const struct pg_place *p = &j->t->d.place;
	AUTO(auto_str) char *url = NULL;
	int rc;

	if (!*addon_id)
		return err_set(err, ERR_NOT_FOUND, "The database is gone.");
	if (p->url(p->arg, addon_id, &url, err) < 0)
		return -1;
	rc = pgurl_parse(url, out, err);
	explicit_bzero(url, strlen(url));
	return rc;
}

static int run_backup(struct job *j, struct err *err)
{
	AUTO(pgurl_clear) struct pgurl db = {0};
	AUTO(auto_str) char *coming = pgt_path(j->t, j->row.id, ".new");
	AUTO(auto_str) char *path = pgt_path(j->t, j->row.id, "");
	unsigned char key[TFILE_KEY];
	const struct archive a = {path, key};
	char checksum[65];
	struct mark m = {.id = j->row.id, .key = key};

	tfile_key(key);
	if (url_of(j, j->row.addon_id, &db, err) < 0 ||
	    dump(j, &db, coming, key, checksum, err) < 0)
		return -1;
	if (store_tx(j->t->d.store, tx_key_of, &m, err) < 0)
		return -1;
	if (rename(coming, path) < 0)
		return err_errno(err, "%s", path);
	pgt_say(j, "info", "Verifying: restoring it into a scratch database.");
	if (verifying(j, checksum, err) < 0)
		return -1;
	if (fill_scratch(j, &a, err) < 0)
		return err_wrap(err, "The backup is not good");
	drop_scratch(j);
	explicit_bzero(key, sizeof key);
	if (store_tx(j->t->d.store, tx_verified, j->row.id, err) < 0)
		return -1;
	pgt_say(j, "info", "Backup completed and verified.");
	return 0;
}

static int tx_source(struct tx *tx, void *arg, struct err *err)
{
	struct store_pgt *row = arg;
	char id[37];

	memcpy(id, row->from_transfer_id, sizeof id);
	store_pgt_clear(row);
	memcpy(row->from_transfer_id, id, sizeof id);
	return store_pgt_get(tx, id, row, err);
}

static int put_in(struct job *j, const struct archive *a, struct err *err)
{
	struct stat st;

	if (stat(a->path, &st) == 0 && j->source_bytes < 0)
		j->source_bytes = st.st_size;
	pgt_say(j, "info", "Restoring into a scratch database; %s stays as it is meanwhile.",
		j->row.to_name);
	if (verifying(j, NULL, err) < 0)
		return -1;
	if (fill_scratch(j, a, err) < 0)
		return err_wrap(err, "%s was not touched", j->row.to_name);
	pgt_say(j, "info", "Restored.");
	return pgt_save(j, err) < 0 ? -1 : swap_in(j, err);
}

static int restore_backup(struct job *j, struct err *err)
{
	AUTO(store_pgt_clear) struct store_pgt from = {0};
	AUTO(auto_str) char *path = pgt_path(j->t, j->row.from_transfer_id, "");

	memcpy(from.from_transfer_id, j->row.from_transfer_id, sizeof from.from_transfer_id);
	if (store_read(j->t->d.store, tx_source, &from, err) < 0)
		return -1;
	if (!from.file_key || from.state != PGT_SUCCEEDED)
		return err_set(err, ERR_NOT_FOUND, "The backup has been deleted.");
	j->source_bytes = from.processed_bytes;
	const struct archive a = {path, from.file_key};

	return put_in(j, &a, err);
}

static int check_archive(const char *path, struct err *err)
{
	AUTO(auto_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char head[5];

	if (fd < 0 || read(fd, head, sizeof head) != (ssize_t)sizeof head ||
	    memcmp(head, "PGDMP", sizeof head) != 0)
		return err_set(err, ERR_INVALID_PARAMS,
			       "What is at the URL is no dump of the custom format: make one with "
			       "pg_dump --format=custom.");
	return 0;
}

static int restore_url(struct job *j, struct err *err)
{
	const struct config *cfg = j->t->d.cfg;
	AUTO(auto_str) char *path = pgt_path(j->t, j->row.id, ".get");
	uint64_t max = (uint64_t)cfg->backup_mb * (uint64_t)MiB(1),
		 reserve = (uint64_t)cfg->disk_reserve_mb * (uint64_t)MiB(1), unused;
	const struct archive a = {path, NULL};

	if (disk_left(j, (uint64_t)LOOK_EVERY, err) < 0 ||
	    fs_free_bytes(cfg->state_dir, &unused, err) < 0)
		return -1;
	pgt_say(j, "info", "Downloading the backup.");
	if (pgt_save(j, err) < 0)
		return -1;
	if (unused - reserve < max)
		max = unused - reserve;
	if (tarball_download(cfg, j->row.from_url, true, path, max, j->deadline, j->cancel_fd,
			     err) < 0)
		return err_wrap(err, "The backup could not be downloaded; %s was not touched",
				j->row.to_name);
	return check_archive(path, err) < 0 ? -1 : put_in(j, &a, err);
}

static int source_of_copy(struct job *j, struct pgurl *out, struct err *err)
{
	if (!j->row.from_url)
		return url_of(j, j->row.from_addon_id, out, err);
	return pgurl_parse(j->row.from_url, out, err) < 0 ? -1 : pgurl_guard(out, j->t->d.cfg, err);
}

static int run_copy(struct job *j, struct err *err)
{
	AUTO(pgurl_clear) struct pgurl db = {0};
	AUTO(auto_str) char *path = pgt_path(j->t, j->row.id, ".new");
	unsigned char key[TFILE_KEY];
	const struct archive a = {path, key};
	char checksum[65];
	int rc;

	tfile_key(key);
	if (source_of_copy(j, &db, err) < 0 || dump(j, &db, path, key, checksum, err) < 0)
		return err_wrap(err, "%s was not touched", j->row.to_name);
	rc = put_in(j, &a, err);
	explicit_bzero(key, sizeof key);
	return rc;
}

static int tx_app(struct tx *tx, void *arg, struct err *err)
{
	struct job *j = arg;
	AUTO(store_app_clear) struct store_app app = {0};

	if (store_app_get(tx, j->row.app_id, &app, err) < 0)
		return -1;
	j->box.app_uid = app.uid;
	return 0;
}

/* The tools run as the app. */
static int open_box(struct job *j, struct err *err)
{
	const struct pg_transfers_deps *d = &j->t->d;
	struct svc_info server;
	struct err none = {0};

	j->box = (struct toolbox){.launcher = d->launcher};
	memcpy(j->box.app_id, j->row.app_id, sizeof j->box.app_id);
	if (svc_find(d->svcs, NULL, PG_SERVICE, &server, &none) == 0) {
		memcpy(j->box.ip, server.ip, sizeof j->box.ip);
		j->box.port = server.port;
	}
	return store_read(d->store, tx_app, j, err);
}

int pgt_run(struct job *j, struct err *err)
{
	j->watch = (struct tool_watch){
		.cancel_fd = j->cancel_fd, .deadline = j->deadline, .tick = tick, .arg = j};
	/* The same after a crash, which is how what it left is found. */
	snprintf(j->scratch, sizeof j->scratch, "scratch_%.8s%.4s%.4s", j->row.id, j->row.id + 9,
		 j->row.id + 14);
	if (!*j->row.addon_id)
		return err_set(err, ERR_NOT_FOUND, "The database is gone.");
	if (j->row.verified_ms && j->row.kind != PGT_BACKUP)
		return swap_in(j, err);
	if (open_box(j, err) < 0)
		return -1;
	switch (j->row.kind) {
	case PGT_BACKUP:
		return run_backup(j, err);
	case PGT_COPY:
		return run_copy(j, err);
	default:
		return j->row.from_url ? restore_url(j, err) : restore_backup(j, err);
	}
}
