#include "daemon/log/seglog.h"
#include "daemon/core/xlog.h"
#include "proto/limits.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zlib.h>

#define HEAD	  SEGLOG_HEAD
#define FOOT	  4
#define SEG_BYTES (LIM_LOG_APP_BYTES / 4)
#define REC_MAX	  (HEAD + 256 + 256 + LIM_LOG_LINE + FOOT)

/* --- records --- */

static void put32(char *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, 4);
}

static void put64(char *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, 8);
}

static uint32_t get32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return le32toh(v);
}

static uint64_t get64(const char *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return le64toh(v);
}

static uint32_t record_crc(const char *rec, size_t len)
{
	return (uint32_t)crc32(0, (const Bytef *)rec + 8, (uInt)(len - 8 - FOOT));
}

/* Length of the record at p if its frame is sound; the content is checked apart. */
static size_t framed(const char *p, size_t n)
{
	size_t len, sl, pl;

	if (n < HEAD + FOOT)
		return 0;
	len = get32(p);
	if (len < HEAD + FOOT || len > REC_MAX || len > n || get32(p + len - FOOT) != len)
		return 0;
	sl = (uint8_t)p[28];
	pl = (uint8_t)p[29];
	if (!sl || !pl || HEAD + sl + pl + FOOT > len || p[HEAD + sl - 1] || p[HEAD + sl + pl - 1])
		return 0;
	return len;
}

static void view(const char *p, size_t len, struct log_line *l)
{
	size_t sl = (uint8_t)p[28], pl = (uint8_t)p[29];

	*l = (struct log_line){.seq = get64(p + 8),
			       .ts = (wall_us)get64(p + 16),
			       .source = p + HEAD,
			       .proc = p + HEAD + sl,
			       .text = p + HEAD + sl + pl,
			       .len = len - HEAD - FOOT - sl - pl};
}

uint64_t seglog_head_seq(const char head[SEGLOG_HEAD])
{
	return get64(head + 8);
}

size_t seglog_parse(const void *data, size_t n, struct log_line *line)
{
	const char *p = data;
	size_t len = framed(p, n);

	if (!len || get32(p + 4) != record_crc(p, len))
		return 0;
	view(p, len, line);
	return len;
}

static size_t cut(const char *s, size_t max)
{
	return strnlen(s, max - 1) + 1; /* with its NUL, in a u8 */
}

uint64_t seglog_add(struct seglog *s, const char *source, const char *proc, wall_us ts,
		    const char *text, size_t len)
{
	size_t sl = cut(source, 255), pl = cut(proc, 255), total;
	struct logseg *last = s->n ? &s->segs[s->n - 1] : NULL;
	char *p;

	if (len > LIM_LOG_LINE)
		len = LIM_LOG_LINE;
	total = HEAD + sl + pl + len + FOOT;
	buf_reserve(&s->out, total);
	p = s->out.data + s->out.len;
	put32(p, (uint32_t)total);
	put64(p + 8, s->next_seq);
	put64(p + 16, (uint64_t)ts);
	put32(p + 24, (last ? last->lines : 0) + s->out_lines);
	p[28] = (char)sl;
	p[29] = (char)pl;
	p[30] = p[31] = 0;
	memcpy(p + HEAD, source, sl - 1);
	p[HEAD + sl - 1] = 0;
	memcpy(p + HEAD + sl, proc, pl - 1);
	p[HEAD + sl + pl - 1] = 0;
	if (len)
		memcpy(p + HEAD + sl + pl, text, len);
	put32(p + total - FOOT, (uint32_t)total);
	put32(p + 4, record_crc(p, total));
	s->out.len += total;
	s->out.data[s->out.len] = 0;
	s->out_lines++;
	return s->next_seq++;
}

void seglog_out_reset(struct seglog *s)
{
	buf_reset(&s->out);
	s->out_lines = 0;
	/* A burst's memory goes back; an app that logs now and then keeps a page. */
	if (s->out.cap > 16384)
		buf_clear(&s->out);
}

/* --- repeats --- */

static uint64_t line_hash(const char *source, const char *proc, wall_us ts, const char *text,
			  size_t len)
{
	uint64_t h = 0xcbf29ce484222325ull ^ (uint64_t)ts;

	for (const char *p = source; *p; p++)
		h = (h ^ (uint8_t)*p) * 0x100000001b3ull;
	for (const char *p = proc; *p; p++)
		h = (h ^ (uint8_t)*p) * 0x100000001b3ull;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)text[i]) * 0x100000001b3ull;
	return h < 2 ? h + 2 : h; /* 0 = free, 1 = was matched */
}

void seglog_forget_repeats(struct seglog *s)
{
	free(s->seen);
	s->seen = NULL;
	s->seen_cap = 0;
}

static void seen_insert(struct seglog *s, uint64_t h)
{
	size_t i = h & (s->seen_cap - 1);

	while (s->seen[i])
		i = (i + 1) & (s->seen_cap - 1);
	s->seen[i] = h;
}

bool seglog_repeated(struct seglog *s, const char *source, const char *proc, wall_us ts,
		     const char *text, size_t len)
{
	uint64_t h;

	if (!s->seen || ts > s->seen_max)
		return false;
	h = line_hash(source, proc, ts, text, len < LIM_LOG_LINE ? len : LIM_LOG_LINE);
	for (size_t i = h & (s->seen_cap - 1); s->seen[i]; i = (i + 1) & (s->seen_cap - 1))
		if (s->seen[i] == h) {
			s->seen[i] = 1; /* two equal lines are told apart by their number */
			return true;
		}
	return false;
}

/* --- files --- */

static void seg_path(const struct seglog *s, uint64_t num, char *out, size_t cap)
{
	snprintf(out, cap, "%s/%04llu.log", s->dir, (unsigned long long)num);
}

struct map { /* a segment in memory */
	char *p;
	size_t n;
};

static void map_close(struct map *m)
{
	if (m->p)
		munmap(m->p, m->n);
	*m = (struct map){0};
}
#define map_close_p map_close

static int map_open(const struct seglog *s, uint64_t num, struct map *m)
{
	char path[4200];
	AUTO(auto_fd) int fd = -1;
	struct stat st;
	void *p;

	*m = (struct map){0};
	seg_path(s, num, path, sizeof path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (st.st_size == 0)
		return 0;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -1;
	*m = (struct map){p, (size_t)st.st_size};
	return 0;
}

/* room: half of the table at most, whatever a damaged segment says of itself. */
static void seen_take(struct seglog *s, const struct map *m, size_t *room)
{
	struct log_line l;

	for (size_t at = 0, len; at < m->n && *room; at += len, --*room) {
		len = framed(m->p + at, m->n - at);
		if (!len)
			return;
		view(m->p + at, len, &l);
		seen_insert(s, line_hash(l.source, l.proc, l.ts, l.text, l.len));
		if (l.ts > s->seen_max)
			s->seen_max = l.ts;
	}
}

/* The newest segment, and the one before when that has little: what a sender may still repeat. */
static void seen_fill(struct seglog *s)
{
	int from = s->n > 1 && s->segs[s->n - 1].lines < 1024 ? s->n - 2 : s->n - 1;
	size_t lines = 0, room;

	for (int i = from < 0 ? 0 : from; i < s->n; i++)
		lines += s->segs[i].lines;
	if (!lines)
		return;
	for (s->seen_cap = 64; s->seen_cap < lines * 2;)
		s->seen_cap *= 2;
	room = s->seen_cap / 2;
	s->seen = xcalloc(s->seen_cap, sizeof *s->seen);
	for (int i = from; i < s->n; i++) {
		AUTO(map_close) struct map m = {0};

		if (map_open(s, s->segs[i].num, &m) == 0)
			seen_take(s, &m, &room);
	}
}

static int by_num(const void *a, const void *b)
{
	uint64_t x = ((const struct logseg *)a)->num, y = ((const struct logseg *)b)->num;

	return x < y ? -1 : x > y;
}

static bool parse_name(const char *name, uint64_t *num)
{
	char *end;

	if (*name < '0' || *name > '9' || strlen(name) > 20)
		return false;
	errno = 0;
	*num = strtoull(name, &end, 10);
	return !errno && strcmp(end, ".log") == 0;
}

static int list_segments(struct seglog *s, struct err *err)
{
	DIR *d = opendir(s->dir);
	struct dirent *e;

	if (!d)
		return errno == ENOENT ? 0 : err_errno(err, "cannot read %s", s->dir);
	while ((e = readdir(d)) != NULL) {
		uint64_t num;
		struct stat st;

		if (!parse_name(e->d_name, &num) || fstatat(dirfd(d), e->d_name, &st, 0) < 0)
			continue;
		s->segs = xrealloc(s->segs, ((size_t)s->n + 1) * sizeof *s->segs);
		s->segs[s->n++] = (struct logseg){.num = num,
						  .bytes = (uint64_t)st.st_size,
						  .changed_ms = (wall_ms)st.st_mtime * 1000};
	}
	closedir(d);
	if (s->n)
		qsort(s->segs, (size_t)s->n, sizeof *s->segs, by_num);
	return 0;
}

/* Whole records from the start; *seq = the last one's. Returns the bytes that are right. */
static size_t scan(const struct map *m, uint32_t *lines, uint64_t *seq)
{
	size_t at = 0, len;
	struct log_line l;

	*lines = 0;
	while ((len = seglog_parse(m->p + at, m->n - at, &l)) != 0) {
		at += len;
		(*lines)++;
		*seq = l.seq;
	}
	return at;
}

/* Lines of a closed segment, without reading it: its last record knows its place. */
static uint32_t count_by_last(const struct map *m)
{
	uint32_t len;

	if (m->n < HEAD + FOOT)
		return 0;
	len = get32(m->p + m->n - FOOT);
	if (len > m->n || framed(m->p + m->n - len, len) != len)
		return 0;
	return get32(m->p + m->n - len + 24) + 1;
}

static int load_newest(struct seglog *s, uint64_t *seq, struct err *err)
{
	struct logseg *g = &s->segs[s->n - 1];
	AUTO(map_close) struct map m = {0};
	char path[4200];
	size_t good;

	if (map_open(s, g->num, &m) < 0)
		return err_errno(err, "cannot read a log in %s", s->dir);
	good = scan(&m, &g->lines, seq);
	if (good == m.n)
		return 0;
	xlog(XLOG_WARN, "log", "msg=\"cut off a torn end\" dir=%s segment=%llu bytes=%zu",
	     xlog_q(s->dir), (unsigned long long)g->num, m.n - good);
	seg_path(s, g->num, path, sizeof path);
	map_close(&m);
	if (truncate(path, (off_t)good) < 0)
		return err_errno(err, "cannot repair %s", path);
	g->bytes = good;
	return 0;
}

static uint64_t last_seq(struct seglog *s, int i)
{
	AUTO(map_close) struct map m = {0};
	struct log_line l = {0};
	uint32_t len;

	if (map_open(s, s->segs[i].num, &m) < 0 || m.n < HEAD + FOOT)
		return 0;
	s->segs[i].lines = count_by_last(&m);
	len = get32(m.p + m.n - FOOT);
	return len <= m.n && seglog_parse(m.p + m.n - len, len, &l) ? l.seq : 0;
}

int seglog_load(struct seglog *s, const char *dir, bool repeats, struct err *err)
{
	uint64_t seq = 0, older;
	wall_us now = clock_wall_us();

	*s = (struct seglog){.fd = -1, .dir = xstrdup(dir)};
	if (list_segments(s, err) < 0 || (s->n && load_newest(s, &seq, err) < 0)) {
		seglog_clear(s);
		return -1;
	}
	for (int i = 0; i < s->n - 1; i++) {
		older = last_seq(s, i);
		seq = older > seq ? older : seq;
	}
	for (int i = 1; i < s->n; i++)
		s->segs[i].start = s->segs[i - 1].start + s->segs[i - 1].lines;
	/* Numbers handed to tails just before the power failed may not have reached the disk: start
	 * from the clock, in microseconds, which no app's count overtakes. */
	s->next_seq = seq + 1 > (uint64_t)now ? seq + 1 : (uint64_t)now;
	if (repeats)
		seen_fill(s);
	seglog_expire(s);
	return 0;
}

void seglog_close_fd(struct seglog *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

void seglog_clear(struct seglog *s)
{
	seglog_close_fd(s);
	seglog_forget_repeats(s);
	buf_clear(&s->out);
	free(s->segs);
	free(s->dir);
	*s = (struct seglog){.fd = -1};
}

static void drop_oldest(struct seglog *s)
{
	char path[4200];

	seg_path(s, s->segs[0].num, path, sizeof path);
	unlink(path);
	memmove(s->segs, s->segs + 1, (size_t)--s->n * sizeof *s->segs);
}

static void prune(struct seglog *s, int keep)
{
	for (;;) {
		uint64_t bytes = 0, lines = 0;

		for (int i = 0; i < s->n; i++) {
			bytes += s->segs[i].bytes;
			lines += s->segs[i].lines;
		}
		if (s->n < 2 ||
		    (bytes <= LIM_LOG_APP_BYTES && lines - s->segs[0].lines < (uint64_t)keep))
			return;
		if (s->pin && s->segs[0].num >= s->pin && bytes <= LIM_LOG_BEHIND)
			return;
		drop_oldest(s);
	}
}

void seglog_expire(struct seglog *s)
{
	wall_ms old = clock_wall_ms() - SEGLOG_WEEK_MS;

	while (s->n && s->segs[0].changed_ms < old) {
		if (s->n == 1)
			seglog_close_fd(s);
		drop_oldest(s);
	}
}

void seglog_expire_dir(const char *dir)
{
	wall_ms old = clock_wall_ms() - SEGLOG_WEEK_MS;
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL) {
		uint64_t num;
		struct stat st;

		if (parse_name(e->d_name, &num) && fstatat(dirfd(d), e->d_name, &st, 0) == 0 &&
		    (wall_ms)st.st_mtime * 1000 < old)
			unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d)
		closedir(d);
}

static int open_newest(struct seglog *s, bool create, struct err *err)
{
	char path[4200];
	struct stat st;

	seg_path(s, s->segs[s->n - 1].num, path, sizeof path);
	if (create && mkdir(s->dir, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "cannot make %s", s->dir);
	s->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
	/* A record that could not be taken back when the disk was full goes now. */
	if (s->fd < 0 || fstat(s->fd, &st) < 0 ||
	    ((uint64_t)st.st_size > s->segs[s->n - 1].bytes &&
	     ftruncate(s->fd, (off_t)s->segs[s->n - 1].bytes) < 0)) {
		err_errno(err, "cannot open %s", path);
		seglog_close_fd(s);
		return -1;
	}
	return 0;
}

static int new_segment(struct seglog *s, struct err *err)
{
	const struct logseg *last = s->n ? &s->segs[s->n - 1] : NULL;
	uint64_t num = last ? last->num + 1 : 1, start = last ? last->start + last->lines : 0;

	seglog_close_fd(s);
	s->segs = xrealloc(s->segs, ((size_t)s->n + 1) * sizeof *s->segs);
	s->segs[s->n++] =
		(struct logseg){.num = num, .start = start, .changed_ms = clock_wall_ms()};
	if (open_newest(s, true, err) == 0)
		return 0;
	s->n--;
	return -1;
}

/* The records in out were numbered for the segment that was newest when they were added. */
static void renumber(struct seglog *s, uint32_t first)
{
	for (size_t at = 0; at < s->out.len;) {
		char *p = s->out.data + at;
		size_t len = get32(p);

		put32(p + 24, first++);
		put32(p + 4, record_crc(p, len));
		at += len;
	}
}

static int write_out(struct seglog *s, struct err *err)
{
	struct logseg *g = &s->segs[s->n - 1];
	size_t done = 0;

	while (done < s->out.len) {
		ssize_t n = write(s->fd, s->out.data + done, s->out.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err_errno(err, "cannot write the log in %s", s->dir);
			/* All or nothing: no torn record in the middle. */
			if (ftruncate(s->fd, (off_t)g->bytes) < 0)
				seglog_close_fd(s);
			return -1;
		}
		done += (size_t)n;
	}
	g->bytes += s->out.len;
	g->lines += s->out_lines;
	g->changed_ms = clock_wall_ms();
	s->unsynced = true;
	return 0;
}

int seglog_flush(struct seglog *s, int keep, struct err *err)
{
	const struct logseg *last = s->n ? &s->segs[s->n - 1] : NULL;
	bool fresh = !last || last->bytes >= (uint64_t)SEG_BYTES || last->lines >= SEGLOG_LINES;

	if (!s->out.len)
		return 0;
	/* Someone may have deleted it under us: go on in a new one. */
	if (!fresh && s->fd < 0 && open_newest(s, false, NULL) < 0)
		fresh = true;
	if (fresh) {
		if (new_segment(s, err) < 0)
			return -1;
		renumber(s, 0);
	}
	if (write_out(s, err) < 0)
		return -1;
	prune(s, keep);
	return 0;
}

/* --- reading --- */

bool log_filter_pass(const struct log_filter *f, const struct log_line *l)
{
	size_t n;

	if (!f)
		return true;
	if (f->source[0] && strcmp(f->source, l->source) != 0)
		return false;
	if (!f->dyno[0])
		return true;
	n = strlen(f->dyno);
	if (strncmp(f->dyno, l->proc, n) != 0)
		return false;
	return !l->proc[n] || (l->proc[n] == '.' && l->proc[n + 1] &&
			       strspn(l->proc + n + 1, "0123456789") == strlen(l->proc + n + 1));
}

struct pick { /* newest first */
	const struct log_filter *f;
	int want; /* < 0 = all */
	uint64_t after;
	wall_us oldest;
	struct buf at; /* of const char * */
	int n;
	bool past; /* came to lines that after excludes: older segments hold nothing */
};

static void pick_from(struct pick *k, const struct map *m)
{
	size_t end = m->n;

	while (end >= HEAD + FOOT && (k->want < 0 || k->n < k->want)) {
		size_t len = get32(m->p + end - FOOT);
		struct log_line l;
		const char *rec;

		if (len > end || seglog_parse(m->p + end - len, len, &l) != len)
			return; /* damaged before here: what is older is out of reach */
		end -= len;
		rec = m->p + end;
		if (k->after && l.seq <= k->after) {
			k->past = true;
			return;
		}
		if (l.ts < k->oldest || !log_filter_pass(k->f, &l))
			continue;
		buf_add(&k->at, &rec, sizeof rec);
		k->n++;
	}
}

int seglog_read(struct seglog *s, const struct log_filter *f, int n, uint64_t after_seq,
		struct buf *out, struct err *err)
{
	struct pick k = {.f = f,
			 .want = n,
			 .after = after_seq,
			 .oldest = clock_wall_us() - SEGLOG_WEEK_MS * 1000};
	struct map *maps = xcalloc((size_t)s->n + 1, sizeof *maps);
	const char **recs;

	for (int i = s->n - 1; i >= 0 && !k.past && (n < 0 || k.n < n); i--)
		if (map_open(s, s->segs[i].num, &maps[i]) == 0)
			pick_from(&k, &maps[i]);
	recs = (const char **)(void *)k.at.data;
	for (int i = k.n - 1; i >= 0; i--)
		buf_add(out, recs[i], get32(recs[i]));
	for (int i = 0; i < s->n; i++)
		map_close(&maps[i]);
	free(maps);
	buf_clear(&k.at);
	return k.n;
}
