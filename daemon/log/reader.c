/* Readers behind the writer: they take lines from the segments themselves, on a thread of their
 * own, and the log thread only tells them how far the log goes. A reader that is slow, or stands
 * still, costs the writer nothing but the place of what it has not read yet. */
#include "daemon/log/log_int.h"
#include "proto/limits.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK 65536 /* read at once; more than any record */

struct seg_start { /* lines of the app's log before a segment, counted since it was loaded */
	uint64_t num, start;
};

struct log_reader {
	struct logd *d;
	struct loop *l;
	void (*more)(void *arg);
	void *arg;
	char app_id[LOGD_ID];
	char *dir;		 /* owned */
	_Atomic int refs;	 /* reader, log thread, a post under way */
	_Atomic uint64_t at_seg; /* where the reader stands; 0 = nowhere yet */
	/* log thread */
	struct logapp *app; /* NULL = not attached */
	struct log_reader *next;
	/* reader's loop */
	bool closed, placed;
	int fd;			 /* of seg; -1 = not open */
	uint64_t seg, at, index; /* where the next record is; index counts as seg_start does */
	uint64_t before; /* records from there on that come before the place that was asked for */
	uint64_t seq;	 /* of the last line taken */
	struct buf chunk;
	struct log_lost lost;
	pthread_mutex_t lock; /* guards what follows */
	struct seg_start *segs;
	int nsegs;
	uint64_t end_seg, end_bytes, end_lines, end_seq;
	uint64_t first_seq; /* the log's last line when this reader came */
	bool ready, waiting, posted, detached, gone;
};

static void unref(struct log_reader *r)
{
	if (atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	pthread_mutex_destroy(&r->lock);
	if (r->fd >= 0)
		close(r->fd);
	buf_clear(&r->chunk);
	free(r->segs);
	free(r->dir);
	free(r);
}

/* --- the log thread --- */

struct log_reader *log_reader_chain(struct log_reader *r)
{
	return r->next;
}

void log_reader_detach(struct log_reader *r)
{
	pthread_mutex_lock(&r->lock);
	r->detached = true;
	pthread_mutex_unlock(&r->lock);
	r->app = NULL;
	unref(r);
}

static void tell(void *arg)
{
	struct log_reader *r = arg;

	pthread_mutex_lock(&r->lock);
	r->posted = false;
	pthread_mutex_unlock(&r->lock);
	if (!r->closed)
		r->more(r->arg);
	unref(r);
}

/* Under r->lock. */
static bool must_tell(struct log_reader *r)
{
	/* One that has fallen out of what is kept is told at once, to count what it lost. */
	bool behind = r->nsegs && r->segs[0].num > atomic_load(&r->at_seg);

	if (r->posted || r->gone || !(r->waiting || behind))
		return false;
	r->waiting = false;
	r->posted = true;
	return true;
}

static void copy_segs(struct log_reader *r, const struct seglog *s)
{
	uint64_t first = s->n ? s->segs[0].num : 0;

	if (r->nsegs == s->n && (!s->n || r->segs[0].num == first))
		return;
	r->segs = xrealloc(r->segs, (size_t)(s->n + 1) * sizeof *r->segs);
	r->nsegs = s->n;
	for (int i = 0; i < s->n; i++)
		r->segs[i] = (struct seg_start){s->segs[i].num, s->segs[i].start};
}

void log_reader_publish(struct log_reader *r, const struct seglog *s)
{
	bool post;

	pthread_mutex_lock(&r->lock);
	copy_segs(r, s);
	if (s->n) {
		r->end_seg = s->segs[s->n - 1].num;
		r->end_bytes = s->segs[s->n - 1].bytes;
		r->end_lines = s->segs[s->n - 1].lines;
	}
	r->end_seq = s->next_seq - 1;
	if (!r->ready)
		r->first_seq = r->end_seq;
	r->ready = true;
	post = must_tell(r);
	pthread_mutex_unlock(&r->lock);
	if (!post)
		return;
	atomic_fetch_add(&r->refs, 1);
	if (!loop_post(r->l, tell, r))
		unref(r);
}

void log_reader_attach(struct log_reader *r)
{
	struct logapp *a = logd_app(r->d, r->app_id);

	if (!a) {
		log_reader_detach(r);
		return;
	}
	r->app = a;
	r->next = a->readers;
	a->readers = r;
	log_reader_publish(r, &a->log);
}

uint64_t log_readers_need(const struct log_reader *r)
{
	uint64_t least = UINT64_MAX;

	for (; r; r = r->next) {
		uint64_t n = atomic_load(&r->at_seg);

		/* The one before stays too: what is on its way may have to be read once more. */
		n = n > 1 ? n - 1 : 1;
		least = n < least ? n : least;
	}
	return least;
}

static void leave(void *arg)
{
	struct log_reader *r = arg;

	if (r->app) {
		struct log_reader **p = &r->app->readers;

		while (*p != r)
			p = &(*p)->next;
		*p = r->next;
		log_reader_detach(r);
	}
	unref(r); /* of the post */
}

/* --- the reader's loop: places --- */

struct view {			/* what the log thread said last */
	struct seg_start *segs; /* owned */
	int n;
	uint64_t end_seg, end_bytes, end_lines, end_seq, first_seq;
	bool ready;
};

static void view_take(struct log_reader *r, struct view *v)
{
	pthread_mutex_lock(&r->lock);
	*v = (struct view){.n = r->nsegs,
			   .end_seg = r->end_seg,
			   .end_bytes = r->end_bytes,
			   .end_lines = r->end_lines,
			   .end_seq = r->end_seq,
			   .first_seq = r->first_seq,
			   .ready = r->ready && !r->detached};
	v->segs = xcalloc((size_t)v->n + 1, sizeof *v->segs);
	if (v->n)
		memcpy(v->segs, r->segs, (size_t)v->n * sizeof *v->segs);
	pthread_mutex_unlock(&r->lock);
}

static void view_clear(struct view *v)
{
	free(v->segs);
}
#define view_clear_p view_clear

static void close_seg(struct log_reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

static void stand_at(struct log_reader *r, uint64_t seg, uint64_t at, uint64_t index)
{
	if (seg != r->seg)
		close_seg(r);
	r->seg = seg;
	r->at = at;
	r->index = index;
	r->before = 0;
	atomic_store(&r->at_seg, seg);
}

static bool open_seg(struct log_reader *r)
{
	char path[4200];

	if (r->fd >= 0)
		return true;
	snprintf(path, sizeof path, "%s/%04llu.log", r->dir, (unsigned long long)r->seg);
	r->fd = open(path, O_RDONLY | O_CLOEXEC);
	return r->fd >= 0;
}

static void count_lost(struct log_reader *r, uint64_t n)
{
	if (n && !r->lost.n)
		r->lost.since = clock_wall_us();
	r->lost.n += n;
}

static bool first_seq(struct log_reader *r, uint64_t *seq)
{
	char head[SEGLOG_HEAD];

	if (!open_seg(r) || pread(r->fd, head, sizeof head, 0) != (ssize_t)sizeof head)
		return false;
	*seq = seglog_head_seq(head);
	return true;
}

/* To the oldest segment after `seg` that is still there; lines between are lost. */
static bool next_seg(struct log_reader *r, const struct view *v)
{
	for (int i = 0; i < v->n; i++) {
		uint64_t gone, seq;

		if (v->segs[i].num <= r->seg)
			continue;
		gone = v->segs[i].start > r->index ? v->segs[i].start - r->index : 0;
		gone -= r->before < gone ? r->before : gone;
		stand_at(r, v->segs[i].num, 0, v->segs[i].start);
		count_lost(r, gone);
		if (gone && first_seq(r, &seq) && seq > r->seq)
			r->seq = seq - 1;
		return true;
	}
	return false;
}

/* Where the line after r->seq is: its segment; next() passes over what comes before it there. */
static void place(struct log_reader *r, const struct view *v)
{
	uint64_t seq = 0;

	r->placed = true;
	r->seg = 0;
	close_seg(r);
	if (!r->seq)
		r->seq = v->first_seq;
	if (r->seq >= v->end_seq) {
		int last = v->n - 1;

		stand_at(r, v->end_seg, v->end_bytes,
			 v->n ? v->segs[last].start + v->end_lines : 0);
		return;
	}
	for (int i = v->n - 1; i >= 0; i--) {
		stand_at(r, v->segs[i].num, 0, v->segs[i].start);
		if (first_seq(r, &seq) && seq <= r->seq) {
			r->before = r->seq - seq + 1;
			return;
		}
	}
	/* Older than all that is kept. Numbers count lines, but for a leap at each start; a log of
	 * which nothing was ever dropped has nothing missing. */
	if (!v->n || v->segs[0].num <= 1 || seq <= r->seq + 1)
		return;
	count_lost(r, seq - r->seq < 10000000 ? seq - r->seq - 1 : 1);
	r->seq = seq - 1;
}

/* --- the reader's loop: lines --- */

/* Bytes of the segment that may be read: of the newest those that are written for good. */
static uint64_t readable(struct log_reader *r, const struct view *v)
{
	struct stat st;

	if (r->seg == v->end_seg)
		return v->end_bytes;
	return open_seg(r) && fstat(r->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* Fills the chunk from where the reader stands. False: nothing more in this segment. */
static bool read_chunk(struct log_reader *r, const struct view *v, size_t enough)
{
	uint64_t end = readable(r, v);
	size_t want = end > r->at ? (size_t)(end - r->at) : 0;
	ssize_t n;

	buf_reset(&r->chunk);
	if (!want || !open_seg(r))
		return false;
	enough = enough < CHUNK / 2 ? enough * 2 : CHUNK;
	enough = enough < CHUNK / 4 ? CHUNK / 4 : enough;
	want = want < enough ? want : enough;
	buf_reserve(&r->chunk, want);
	do
		n = pread(r->fd, r->chunk.data, want, (off_t)r->at);
	while (n < 0 && errno == EINTR);
	r->chunk.len = n > 0 ? (size_t)n : 0;
	return n > 0;
}

static int parse_chunk(struct log_reader *r, struct log_line *lines, int max, size_t max_bytes)
{
	size_t done = 0, len, bytes = 0;
	int n = 0;

	while (n < max && bytes < max_bytes) {
		len = seglog_parse(r->chunk.data + done, r->chunk.len - done, &lines[n]);
		if (!len)
			break;
		done += len;
		r->index++;
		if (lines[n].seq <= r->seq) { /* before the place that was asked for */
			r->before -= r->before > 0;
			continue;
		}
		r->before = 0;
		r->seq = lines[n].seq;
		bytes += lines[n].len;
		n++;
	}
	r->at += done;
	if (!done && r->chunk.len) { /* damaged: the rest of the segment is out of reach */
		r->at = UINT64_MAX;
		return -1;
	}
	return n;
}

/* False when the log went on meanwhile. */
static bool fall_asleep(struct log_reader *r, const struct view *v)
{
	bool asleep;

	pthread_mutex_lock(&r->lock);
	asleep = r->end_seq == v->end_seq && r->end_seg == v->end_seg &&
		 (r->ready && !r->detached) == v->ready;
	r->waiting = asleep;
	pthread_mutex_unlock(&r->lock);
	return asleep;
}

/* One look: lines, 0 for none here but try again, -1 for nothing to be had. */
static int look(struct log_reader *r, struct log_line *lines, int max, size_t max_bytes)
{
	AUTO(view_clear) struct view v = {0};
	int n;

	view_take(r, &v);
	if (!v.ready)
		return fall_asleep(r, &v) ? -1 : 0;
	if (!r->placed)
		place(r, &v);
	if (r->at != UINT64_MAX && read_chunk(r, &v, max_bytes)) {
		n = parse_chunk(r, lines, max, max_bytes);
		return n < 0 ? 0 : n;
	}
	if (r->seg < v.end_seg && next_seg(r, &v))
		return 0;
	return fall_asleep(r, &v) ? -1 : 0;
}

static void give_lost(struct log_reader *r, struct log_lost *lost)
{
	if (!r->lost.n)
		return;
	lost->since = lost->n ? lost->since : r->lost.since;
	lost->n += r->lost.n;
	r->lost = (struct log_lost){0};
}

int log_reader_next(struct log_reader *r, struct log_line *lines, int max, size_t max_bytes,
		    struct log_lost *lost)
{
	int n;

	ASSERT_ON(r->l);
	while ((n = look(r, lines, max, max_bytes)) == 0)
		;
	give_lost(r, lost);
	return n < 0 ? 0 : n;
}

bool log_reader_place(struct log_reader *r, uint64_t *seq, struct log_lost *lost)
{
	AUTO(view_clear) struct view v = {0};

	view_take(r, &v);
	if (!v.ready)
		return false;
	if (!r->placed)
		place(r, &v);
	/* A closed segment that is gone from the disk cannot be read on. */
	if (r->fd < 0 && v.n && v.segs[0].num > r->seg && r->seg < v.end_seg)
		next_seg(r, &v);
	give_lost(r, lost);
	*seq = r->seq;
	return true;
}

void log_reader_seek(struct log_reader *r, uint64_t after_seq)
{
	ASSERT_ON(r->l);
	r->seq = after_seq;
	r->placed = false;
	close_seg(r);
}

void log_reader_rest(struct log_reader *r)
{
	ASSERT_ON(r->l);
	close_seg(r);
	buf_clear(&r->chunk);
}

/* --- open and close --- */

struct log_reader *logd_read(struct logd *d, const char *app_id, uint64_t after_seq, struct loop *l,
			     void (*more)(void *arg), void *arg)
{
	struct log_reader *r = xcalloc(1, sizeof *r);

	r->d = d;
	r->l = l;
	r->more = more;
	r->arg = arg;
	r->seq = after_seq;
	r->fd = -1;
	r->refs = 2; /* reader, log thread */
	r->waiting = true;
	r->dir = xasprintf("%s/%s", d->dir, app_id);
	snprintf(r->app_id, sizeof r->app_id, "%s", app_id);
	pthread_mutex_init(&r->lock, NULL);
	if (!logd_queue_reader(d, r))
		log_reader_detach(r);
	return r;
}

void log_reader_close(struct log_reader *r)
{
	if (!r)
		return;
	r->closed = true;
	pthread_mutex_lock(&r->lock);
	r->gone = true;
	if (!r->detached) { /* else d may be gone */
		atomic_fetch_add(&r->refs, 1);
		/* Inside the lock: logd_stop takes it for each reader before the loop goes. */
		if (!loop_post(r->d->loop, leave, r))
			atomic_fetch_sub(&r->refs, 1);
	}
	pthread_mutex_unlock(&r->lock);
	unref(r);
}
