#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "daemon/log/log_int.h"
#include "proto/limits.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SYNC_MS	 (30 * 1000)
#define SWEEP_MS (6 * 3600 * 1000)

void log_format(const struct log_line *l, struct buf *out)
{
	char ts[CLOCK_ISO_LEN];

	clock_iso_us(l->ts, ts);
	buf_addf(out, "%s %s[%s]: ", ts, l->source, l->proc);
	buf_add(out, l->text, l->len);
}

/* --- apps --- */

bool logd_id_ok(const char *id)
{
	size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

	return n > 0 && n < LOGD_ID && !id[n];
}

static struct logapp **find(struct logd *d, const char *id)
{
	unsigned h = 5381;
	struct logapp **p;

	for (const char *s = id; *s; s++)
		h = h * 33 ^ (unsigned char)*s;
	p = &d->apps[h % LOGD_BUCKETS];
	while (*p && strcmp((*p)->id, id) != 0)
		p = &(*p)->chain;
	return p;
}

static void lru_out(struct logd *d, struct logapp *a)
{
	if (!a->lru_next)
		return;
	a->lru_prev->lru_next = a->lru_next;
	a->lru_next->lru_prev = a->lru_prev;
	a->lru_prev = a->lru_next = NULL;
	d->open_files--;
}

static void lru_touch(struct logd *d, struct logapp *a)
{
	lru_out(d, a);
	a->lru_next = d->lru.lru_next;
	a->lru_prev = &d->lru;
	a->lru_next->lru_prev = a;
	d->lru.lru_next = a;
	if (++d->open_files > LOGD_OPEN_FILES) {
		struct logapp *old = d->lru.lru_prev;

		lru_out(d, old);
		seglog_close_fd(&old->log);
	}
}

static int load(struct logd *d, struct logapp *a)
{
	AUTO(auto_str) char *dir = xasprintf("%s/%s", d->dir, a->id);
	struct err err = {0};

	/* A sender that did not hear us acknowledge comes back within seconds of our start. */
	if (seglog_load(&a->log, dir, clock_mono_ms() - d->started < SEGLOG_RESEND_MS, &err) < 0) {
		xlog_err(XLOG_ERROR, "log", &err, "app_id=%s", a->id);
		return -1;
	}
	a->loaded = true;
	return 0;
}

static struct logapp *app_any(struct logd *d, const char *id)
{
	struct logapp **p = find(d, id);

	if (!*p) {
		*p = xcalloc(1, sizeof **p);
		snprintf((*p)->id, sizeof(*p)->id, "%s", id);
		(*p)->log.fd = -1;
	}
	return *p;
}

struct logapp *logd_app(struct logd *d, const char *id)
{
	struct logapp *a;

	if (!logd_id_ok(id))
		return NULL;
	a = app_any(d, id);
	if (a->forgotten || (!a->loaded && load(d, a) < 0))
		return NULL;
	return a;
}

/* --- lines in --- */

static void add_piece(struct logd *d, struct logapp *a, const char *source, const char *proc,
		      wall_us ts, const char *text, size_t len, bool own)
{
	if (!own && seglog_repeated(&a->log, source, proc, ts, text, len))
		return;
	seglog_add(&a->log, source, proc, ts, text, len);
	a->own_lines += own;
	if (!a->dirty) {
		a->dirty = true;
		a->dirty_next = d->dirty;
		d->dirty = a;
	}
}

void logd_line(struct logd *d, struct logapp *a, const char *source, const char *proc, wall_us ts,
	       const char *text, size_t len, bool own)
{
	do {
		const char *nl = memchr(text, '\n', len);
		size_t n = nl ? (size_t)(nl - text) : len;
		size_t take = n > LIM_LOG_LINE ? (size_t)LIM_LOG_LINE : n;

		add_piece(d, a, source, proc, ts, text, take, own);
		if (take == n && nl)
			take++;
		text += take;
		len -= take;
	} while (len);
}

void logd_dropped(struct logd *d, struct logapp *a, const char *proc, uint64_t n, wall_us since)
{
	bool router = strcmp(proc, "router") == 0;
	char ts[CLOCK_ISO_LEN], text[160];

	clock_iso_us(since, ts);
	snprintf(text, sizeof text,
		 "Error %s (%s buffer overflow): %llu messages dropped since %s.",
		 router ? "L10" : "L12", router ? "output" : "local", (unsigned long long)n, ts);
	logd_line(d, a, "heroku", "logplex", clock_wall_us(), text, strlen(text), true);
}

/* Lines that a full disk swallowed are told of in the first batch that can be written again. */
static void tell_lost(struct logd *d, struct logapp *a)
{
	char ts[CLOCK_ISO_LEN], text[160];

	if (!a->lost)
		return;
	clock_iso_us(a->lost_since, ts);
	snprintf(text, sizeof text,
		 "Error L13 (local delivery error): %llu messages lost since %s.",
		 (unsigned long long)a->lost, ts);
	logd_line(d, a, "heroku", "logplex", clock_wall_us(), text, strlen(text), true);
	a->own_lines--; /* counted in lost already */
}

static void write_failed(struct logapp *a, const struct err *err)
{
	if (!a->lost) {
		a->lost_since = clock_wall_us();
		xlog_err(XLOG_ERROR, "log", err, "msg=\"a log cannot be written\" app_id=%s",
			 a->id);
	}
	a->lost += a->own_lines;
}

bool logd_flush(struct logd *d)
{
	bool ok = true;

	for (struct logapp *a = d->dirty; a;) {
		struct logapp *next;
		struct err err = {0};

		tell_lost(d, a);
		a->log.pin = a->readers ? log_readers_need(a->readers) : 0;
		if (seglog_flush(&a->log, atomic_load(&d->keep), &err) < 0) {
			write_failed(a, &err);
			ok = false;
		} else {
			a->lost = 0;
			for (struct log_tail *t = a->tails; t; t = log_tail_next(t))
				log_tail_feed(t, &a->log.out);
			for (struct log_reader *r = a->readers; r; r = log_reader_chain(r))
				log_reader_publish(r, &a->log);
		}
		if (a->log.fd >= 0)
			lru_touch(d, a);
		else
			lru_out(d, a);
		seglog_out_reset(&a->log);
		a->own_lines = 0;
		next = a->dirty_next;
		a->dirty = false;
		a->dirty_next = NULL;
		a = next;
	}
	d->dirty = NULL;
	return ok;
}

/* --- own lines: a bounded queue --- */

struct entry { /* then: source NUL proc NUL text */
	uint32_t total, len;
	wall_us ts;
	/* instead of a line: opens here, between old lines and new ones */
	struct log_tail *tail;
	struct log_reader *reader;
	char id[LOGD_ID];
};

static void count_drop(struct logd *d, const char *id)
{
	int i = 0;

	while (i < d->ndrops && strcmp(d->drops[i].id, id) != 0)
		i++;
	if (i == (int)ARRAY_LEN(d->drops))
		return;
	if (i == d->ndrops) {
		d->ndrops++;
		snprintf(d->drops[i].id, LOGD_ID, "%s", id);
		d->drops[i].n = 0;
		d->drops[i].since = clock_wall_us();
	}
	d->drops[i].n++;
}

static void drain_entries(struct logd *d, const struct buf *q)
{
	struct entry e;

	for (size_t at = 0; at < q->len; at += e.total) {
		const char *source, *proc;
		struct logapp *a;

		memcpy(&e, q->data + at, sizeof e);
		if (e.tail) {
			logd_flush(d);
			log_tail_attach(e.tail);
			continue;
		}
		if (e.reader) {
			logd_flush(d);
			log_reader_attach(e.reader);
			continue;
		}
		source = q->data + at + sizeof e;
		proc = source + strlen(source) + 1;
		a = logd_app(d, e.id);
		if (a)
			logd_line(d, a, source, proc, e.ts, proc + strlen(proc) + 1, e.len, true);
	}
}

void logd_drain(struct logd *d)
{
	AUTO(buf_clear) struct buf q = {0};
	__typeof__(d->drops) drops;
	int ndrops;

	pthread_mutex_lock(&d->lock);
	q = d->queue;
	d->queue = (struct buf){0};
	d->queue_lines = 0;
	d->woken = false;
	ndrops = d->ndrops;
	d->ndrops = 0;
	memcpy(drops, d->drops, sizeof drops);
	pthread_mutex_unlock(&d->lock);
	drain_entries(d, &q);
	for (int i = 0; i < ndrops; i++) {
		struct logapp *a = logd_app(d, drops[i].id);

		if (a)
			logd_dropped(d, a, "paasd", drops[i].n, drops[i].since);
	}
	logd_flush(d);
}

static void do_drain(void *arg)
{
	logd_drain(arg);
}

void logd_append(struct logd *d, const char *app_id, const char *source, const char *proc,
		 wall_us ts, const char *text, size_t len)
{
	size_t sl = strlen(source) + 1, pl = strlen(proc) + 1;
	struct entry e = {.ts = ts ? ts : clock_wall_us()};
	bool wake;

	if (!logd_id_ok(app_id))
		return;
	if (len > KiB(256))
		len = KiB(256);
	snprintf(e.id, sizeof e.id, "%s", app_id);
	e.len = (uint32_t)len;
	e.total = (uint32_t)(sizeof e + sl + pl + len);
	pthread_mutex_lock(&d->lock);
	if (d->closed) {
		pthread_mutex_unlock(&d->lock);
		return;
	}
	if (d->queue_lines >= LOGD_QUEUE_LINES || d->queue.len + e.total > LOGD_QUEUE_BYTES) {
		count_drop(d, app_id);
	} else {
		buf_add(&d->queue, &e, sizeof e);
		buf_add(&d->queue, source, sl);
		buf_add(&d->queue, proc, pl);
		buf_add(&d->queue, text, len);
		d->queue_lines++;
	}
	wake = !d->woken;
	d->woken = true;
	pthread_mutex_unlock(&d->lock);
	if (wake)
		loop_post(d->loop, do_drain, d);
}

static bool queue_opening(struct logd *d, const struct entry *e)
{
	bool closed;

	pthread_mutex_lock(&d->lock);
	closed = d->closed;
	if (!closed)
		buf_add(&d->queue, e, sizeof *e);
	d->woken = true;
	pthread_mutex_unlock(&d->lock);
	if (!closed)
		loop_post(d->loop, do_drain, d);
	return !closed;
}

bool logd_queue_tail(struct logd *d, struct log_tail *t)
{
	return queue_opening(d, &(struct entry){.total = sizeof(struct entry), .tail = t});
}

bool logd_queue_reader(struct logd *d, struct log_reader *r)
{
	return queue_opening(d, &(struct entry){.total = sizeof(struct entry), .reader = r});
}

void logd_printf(struct logd *d, const char *app_id, const char *source, const char *proc,
		 const char *fmt, ...)
{
	AUTO(buf_clear) struct buf b = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	logd_append(d, app_id, source, proc, 0, buf_str(&b), b.len);
}

/* --- history --- */

struct history {
	struct logd *d;
	const char *app_id;
	const struct log_filter *f;
	int n;
	struct buf recs;
	bool done;
};

static void read_history(void *arg)
{
	struct history *h = arg;
	struct logapp *a;

	logd_drain(h->d);
	a = logd_app(h->d, h->app_id);
	if (a)
		seglog_read(&a->log, h->f, h->n, 0, &h->recs, NULL);
	h->done = true;
}

int logd_history(struct logd *d, const char *app_id, const struct log_filter *f, int n,
		 void (*each)(const struct log_line *l, void *arg), void *arg, struct err *err)
{
	struct history h = {.d = d, .app_id = app_id, .f = f, .n = n < 0 ? 0 : n};
	struct log_line l;

	loop_call(d->loop, read_history, &h);
	if (!h.done)
		return err_set(err, ERR_UNAVAILABLE, "the log is shutting down");
	for (size_t at = 0, len; at < h.recs.len; at += len) {
		len = seglog_parse(h.recs.data + at, h.recs.len - at, &l);
		assert(len);
		each(&l, arg);
	}
	buf_clear(&h.recs);
	return 0;
}

/* --- forgetting --- */

struct forget {
	struct logd *d;
	char id[LOGD_ID];
};

static void detach_all(struct logapp *a)
{
	while (a->tails) {
		struct log_tail *t = a->tails;

		a->tails = log_tail_next(t);
		log_tail_detach(t);
	}
	while (a->readers) {
		struct log_reader *r = a->readers;

		a->readers = log_reader_chain(r);
		log_reader_detach(r);
	}
}

static void do_forget(void *arg)
{
	struct forget *f = arg;
	struct logapp *a;
	AUTO(auto_str) char *dir = xasprintf("%s/%s", f->d->dir, f->id);

	logd_drain(f->d);
	a = app_any(f->d, f->id);
	detach_all(a);
	lru_out(f->d, a);
	seglog_clear(&a->log);
	a->loaded = false;
	fs_rmtree(dir, NULL);
	/* Lines that a dying dyno still sends must not bring the folder back. */
	a->forgotten = true;
	free(f);
}

void logd_forget(struct logd *d, const char *app_id)
{
	struct forget *f;

	if (!logd_id_ok(app_id))
		return;
	f = xcalloc(1, sizeof *f);
	f->d = d;
	snprintf(f->id, sizeof f->id, "%s", app_id);
	if (!loop_post(d->loop, do_forget, f))
		free(f);
}

/* --- housekeeping --- */

static void synced(uv_fs_t *r)
{
	close((int)(intptr_t)r->data);
	uv_fs_req_cleanup(r);
	free(r);
}

/* On a descriptor of its own and another thread: a slow disk does not hold up lines. */
static void sync_later(struct logd *d, struct logapp *a)
{
	uv_fs_t *r;
	int fd;

	if (!a->log.unsynced || a->log.fd < 0)
		return;
	a->log.unsynced = false;
	fd = fcntl(a->log.fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return;
	r = xcalloc(1, sizeof *r);
	r->data = (void *)(intptr_t)fd;
	if (uv_fs_fdatasync(loop_uv(d->loop), r, fd, synced) != 0) {
		close(fd);
		free(r);
	}
}

static void on_sync(uv_timer_t *t)
{
	struct logd *d = t->data;

	for (struct logapp *a = d->lru.lru_next; a != &d->lru; a = a->lru_next)
		sync_later(d, a);
	if (clock_mono_ms() - d->started < SEGLOG_RESEND_MS)
		return;
	for (int i = 0; i < LOGD_BUCKETS; i++)
		for (struct logapp *a = d->apps[i]; a; a = a->chain)
			seglog_forget_repeats(&a->log);
}

/* Apps that nobody touches: their files age all the same. */
static void sweep_folder(struct logd *d, const char *id)
{
	struct logapp **known = find(d, id);
	AUTO(auto_str) char *dir = xasprintf("%s/%s", d->dir, id);

	if (*known && (*known)->loaded) {
		seglog_expire(&(*known)->log);
		if ((*known)->log.fd < 0)
			lru_out(d, *known);
		return;
	}
	seglog_expire_dir(dir);
}

static void on_sweep(uv_timer_t *t)
{
	struct logd *d = t->data;
	DIR *dir = opendir(d->dir);
	struct dirent *e;

	while (dir && (e = readdir(dir)) != NULL)
		if (logd_id_ok(e->d_name))
			sweep_folder(d, e->d_name);
	if (dir)
		closedir(dir);
}

/* --- start and stop --- */

static void free_logd(struct logd *d)
{
	for (int i = 0; i < LOGD_BUCKETS; i++)
		while (d->apps[i]) {
			struct logapp *next = d->apps[i]->chain;

			if (d->apps[i]->loaded)
				seglog_clear(&d->apps[i]->log);
			free(d->apps[i]);
			d->apps[i] = next;
		}
	loop_free(d->loop);
	pthread_mutex_destroy(&d->lock);
	buf_clear(&d->queue);
	free(d->dir);
	free(d->sock_path);
	free(d);
}

int logd_start(const char *logs_dir, const char *sock_path, struct logd **out, struct err *err)
{
	struct logd *d = xcalloc(1, sizeof *d);

	d->dir = xstrdup(logs_dir);
	d->sock_path = xstrdup(sock_path);
	d->keep = LIM_LOG_HISTORY;
	d->started = clock_mono_ms();
	d->lru.lru_next = d->lru.lru_prev = &d->lru;
	pthread_mutex_init(&d->lock, NULL);
	d->loop = loop_new("log");
	if (fs_mkdirs(logs_dir, 0700, err) < 0 || logsock_listen(d, err) < 0) {
		free_logd(d);
		return -1;
	}
	uv_timer_init(loop_uv(d->loop), &d->sync_timer);
	uv_timer_init(loop_uv(d->loop), &d->sweep_timer);
	d->sync_timer.data = d->sweep_timer.data = d;
	uv_timer_start(&d->sync_timer, on_sync, SYNC_MS, SYNC_MS);
	uv_timer_start(&d->sweep_timer, on_sweep, SYNC_MS, SWEEP_MS);
	loop_start_thread(d->loop);
	*out = d;
	return 0;
}

void logd_keep(struct logd *d, int lines)
{
	atomic_store(&d->keep, lines);
}

static void do_stop(void *arg)
{
	struct logd *d = arg;

	pthread_mutex_lock(&d->lock);
	d->closed = true;
	pthread_mutex_unlock(&d->lock);
	logd_drain(d);
	logsock_close(d);
	uv_close((uv_handle_t *)&d->sync_timer, NULL);
	uv_close((uv_handle_t *)&d->sweep_timer, NULL);
	for (int i = 0; i < LOGD_BUCKETS; i++)
		for (struct logapp *a = d->apps[i]; a; a = a->chain) {
			detach_all(a);
			if (a->loaded && a->log.fd >= 0)
				fdatasync(a->log.fd);
		}
}

void logd_stop(struct logd *d)
{
	if (!d)
		return;
	loop_call(d->loop, do_stop, d);
	loop_stop(d->loop);
	loop_join(d->loop);
	free_logd(d);
}
