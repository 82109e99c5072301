/* seglog.h - private to daemon/log: one app's log as numbered segment files of framed records.
 *
 * record = u32 length of all of it, u32 crc of what follows up to the last field, u64 seq, u64 ts
 * (us), u32 ordinal in its segment, u8 source length, u8 proc length, u16 0, source NUL proc NUL
 * text, u32 length again          (little-endian; lengths count the NULs) The second length lets
 * readers walk backwards. Thread: the log thread; tests anywhere. */
#ifndef LOG_SEGLOG_H
#define LOG_SEGLOG_H

#include "daemon/log/log.h"

#define SEGLOG_HEAD    32   /* bytes of a record's head */
#define SEGLOG_LINES   8192 /* a segment is closed at so many lines */
#define SEGLOG_WEEK_MS (7 * 24 * 3600 * 1000LL)
#define SEGLOG_RESEND_MS \
	(5 * 60 * 1000) /* how long senders may repeat what they sent before a crash */

struct logseg {
	uint64_t num; /* file NNNN.log */
	uint64_t bytes;
	uint64_t start; /* lines before it, counted since the log was loaded */
	uint32_t lines;
	wall_ms changed_ms;
};

struct seglog {
	char *dir;	     /* owned */
	int fd;		     /* newest segment; -1 = closed */
	struct logseg *segs; /* oldest first */
	int n;
	uint64_t next_seq;
	uint64_t pin;	/* segments from this number on have readers; 0 = none */
	struct buf out; /* records not written yet */
	uint32_t out_lines;
	bool unsynced;
	/* hashes of lines written before this process came, to know repeats; 0 = taken */
	uint64_t *seen;
	size_t seen_cap;
	wall_us seen_max;
};

/* Reads what is in dir (which need not exist); cuts off a torn end. repeats: remember the newest
 * lines for seglog_repeated. */
int seglog_load(struct seglog *s, const char *dir, bool repeats, struct err *err);
void seglog_clear(struct seglog *s);
/* Appends to s->out; numbers it. Text is taken as it is. */
uint64_t seglog_add(struct seglog *s, const char *source, const char *proc, wall_us ts,
		    const char *text, size_t len);
/* True when this line was written before a crash and now comes again; each counts once. */
bool seglog_repeated(struct seglog *s, const char *source, const char *proc, wall_us ts,
		     const char *text, size_t len);
void seglog_forget_repeats(struct seglog *s);
/* Writes s->out, all or nothing, and lets old segments go: at least `keep` lines stay while they
 * fit in LIM_LOG_APP_BYTES. The caller looks at s->out (tails) and resets it. */
int seglog_flush(struct seglog *s, int keep, struct err *err);
void seglog_out_reset(struct seglog *s);
/* The last n lines (n < 0: all) that pass, newer than after_seq, at most a week old, as records,
 * oldest first, appended to out. Returns their number, or -1. */
int seglog_read(struct seglog *s, const struct log_filter *f, int n, uint64_t after_seq,
		struct buf *out, struct err *err);
void seglog_close_fd(struct seglog *s);	 /* opened again when needed */
void seglog_expire(struct seglog *s);	 /* drops segments older than a week */
void seglog_expire_dir(const char *dir); /* the same for a log that is not loaded */

/* First record of data: its length, 0 when there is none that is whole and right. line borrows. */
size_t seglog_parse(const void *data, size_t n, struct log_line *line);
/* Number of the line whose record starts here. */
uint64_t seglog_head_seq(const char head[SEGLOG_HEAD]);
bool log_filter_pass(const struct log_filter *f, const struct log_line *l);

#endif
