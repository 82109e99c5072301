/* log.h - the one writer of apps' logs. A thread of its own takes lines from shims and router (over
 * RUN/log.sock) and from paasd's modules, gives each a sequence number, writes segments under
 * STATE/logs/APP-ID/, keeps LIM_LOG_HISTORY lines a week, feeds tails. Heroku: Dev Center, Logging.
 */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include "daemon/core/clock.h"
#include "daemon/core/loop.h"
#include "proto/buf.h"

struct logd;

struct log_line {
	uint64_t seq; /* per app, counts up (with gaps), never reused */
	wall_us ts;
	const char *source; /* "app" | "heroku" */
	const char *proc;   /* "web.1", "router", "api" */
	const char *text;   /* len bytes, no newline */
	size_t len;
};

struct log_filter { /* NULL or "" = any */
	char source[16];
	char dyno[160]; /* "web.1" exact, "web" every web.N */
};

int logd_start(const char *logs_dir, const char *sock_path, struct logd **out, struct err *err);
void logd_stop(struct logd *d); /* takes what is queued, fsyncs, joins; open tails fall silent */
/* Lines kept of each app (while they fit in LIM_LOG_APP_BYTES); LIM_LOG_HISTORY when never called.
 */
void logd_keep(struct logd *d, int lines);

/* Any thread, never blocks; a full queue drops and counts (an L12-style line tells). Text is split
 * at LIM_LOG_LINE. ts 0 = now. */
void logd_append(struct logd *d, const char *app_id, const char *source, const char *proc,
		 wall_us ts, const char *text, size_t len);
void logd_printf(struct logd *d, const char *app_id, const char *source, const char *proc,
		 const char *fmt, ...) PRINTF(5, 6);

/* Last n lines that pass the filter, oldest first. Any thread but a loop. Includes every line whose
 * logd_append returned before the call. Lines are valid during each(). UNAVAILABLE when stopping.
 */
int logd_history(struct logd *d, const char *app_id, const struct log_filter *f, int n,
		 void (*each)(const struct log_line *l, void *arg), void *arg, struct err *err);

/* Live tail: first up to n old lines (or those after after_seq, when not 0), then new ones, without
 * gap or repeat. cb is posted to l in batches; lines are valid during the call. A reader that falls
 * LIM_LOG_TAIL_QUEUE lines behind gets an L11 line in their place. */
struct log_tail;
struct log_tail *logd_tail(struct logd *d, const char *app_id, const struct log_filter *f, int n,
			   uint64_t after_seq, struct loop *l,
			   void (*cb)(const struct log_line *lines, int count, void *arg),
			   void *arg);
void log_tail_pause(struct log_tail *t, bool paused); /* loop l */
void log_tail_close(struct log_tail *t);	      /* loop l; no cb after it */

/* A reader behind the writer: it takes lines from the segments at its own pace, so that it neither
 * holds up the log nor needs a queue. What it has not read is kept for it beyond the usual, up to
 * LIM_LOG_BEHIND bytes of an app's log; lines that went nevertheless are counted. Calls from loop l
 * only; more is called there when there are lines after a log_reader_next that gave none, at first,
 * and when lines went unread. after_seq: lines after this one; 0: from now on, which is in order
 * with logd_append. */
struct log_reader;
struct log_lost {
	uint64_t n;    /* lines */
	wall_us since; /* when the first of them was missed */
};
struct log_reader *logd_read(struct logd *d, const char *app_id, uint64_t after_seq, struct loop *l,
			     void (*more)(void *arg), void *arg);
/* The next lines, at most max and about max_bytes of text; they are valid until the next call. 0:
 * no more for now. What was lost before them is added to *lost. */
int log_reader_next(struct log_reader *r, struct log_line *lines, int max, size_t max_bytes,
		    struct log_lost *lost);
/* Number of the last line taken, or passed over because it is lost, which then is added to *lost.
 * False: not known yet. */
bool log_reader_place(struct log_reader *r, uint64_t *seq, struct log_lost *lost);
/* Back (or on) to what comes after this line. */
void log_reader_seek(struct log_reader *r, uint64_t after_seq);
void log_reader_rest(struct log_reader *r);  /* lets go of file and memory until the next call */
void log_reader_close(struct log_reader *r); /* no more() after it; NULL is fine */

/* Deletes an app's log. Any thread. */
void logd_forget(struct logd *d, const char *app_id);
/* "2026-01-31T12:00:00.123456+00:00 app[web.1]: text" */
void log_format(const struct log_line *l, struct buf *out);

#endif
