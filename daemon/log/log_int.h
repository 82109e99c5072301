/* log_int.h - private to daemon/log: what the log thread owns. */
#ifndef LOG_LOG_INT_H
#define LOG_LOG_INT_H

#include "daemon/log/log.h"
#include "daemon/log/seglog.h"
#include "proto/limits.h"

#include <pthread.h>
#include <stdatomic.h>

#define LOGD_OPEN_FILES	 64    /* segments held open, over all apps */
#define LOGD_QUEUE_LINES 16384 /* from paasd's own modules, waiting for the log thread */
#define LOGD_QUEUE_BYTES MiB(4)
#define LOGD_SENDERS	 4096 /* connections of shims and the router */
#define LOGD_BUCKETS	 256
#define LOGD_ID		 40 /* app id with its NUL */

struct logapp {
	char id[LOGD_ID];
	struct seglog log;
	struct logapp *chain;		    /* in the hash table */
	struct logapp *lru_prev, *lru_next; /* apps with an open file */
	struct logapp *dirty_next;
	bool dirty, loaded, forgotten;
	struct log_tail *tails;
	struct log_reader *readers;
	uint64_t lost;	    /* own lines that could not be written, not told yet */
	uint32_t own_lines; /* of log.out_lines: nobody will send them again */
	wall_us lost_since;
};

struct sender;

struct logd {
	struct loop *loop;
	char *dir, *sock_path; /* owned */
	/* log thread only */
	struct logapp *apps[LOGD_BUCKETS];
	struct logapp lru; /* ring: lru_next = most recent */
	int open_files;
	struct logapp *dirty;
	uv_pipe_t server;
	uv_timer_t sync_timer, sweep_timer;
	struct sender *senders;
	int sender_count;
	mono_ms started;
	char read_buf[65536]; /* shared by all connections: a read is consumed at once */
	/* any thread */
	_Atomic int keep;
	pthread_mutex_t lock; /* guards what follows */
	struct buf queue;
	int queue_lines;
	bool woken, closed;
	struct {
		char id[LOGD_ID];
		uint64_t n;
		wall_us since;
	} drops[32];
	int ndrops;
};

/* --- log thread --- */
bool logd_id_ok(const char *id); /* goes into a path */
/* NULL when it cannot be read or was forgotten. */
struct logapp *logd_app(struct logd *d, const char *id);
/* One line, split where it is too long or has newlines. own: not from a sender. */
void logd_line(struct logd *d, struct logapp *a, const char *source, const char *proc, wall_us ts,
	       const char *text, size_t len, bool own);
void logd_dropped(struct logd *d, struct logapp *a, const char *proc, uint64_t n, wall_us since);
/* Writes what was added and feeds the tails. False when something could not be written. */
bool logd_flush(struct logd *d);
void logd_drain(struct logd *d); /* takes and flushes the queue of own lines */

int logsock_listen(struct logd *d, struct err *err); /* before the thread starts */
void logsock_close(struct logd *d);

/* Any thread. False when the log is shutting down. */
bool logd_queue_tail(struct logd *d, struct log_tail *t);
void log_tail_attach(struct log_tail *t); /* reads the old lines, then follows */
/* recs: records just written */
void log_tail_feed(struct log_tail *t, const struct buf *recs);
void log_tail_detach(struct log_tail *t); /* the log thread lets go of it */
struct log_tail *log_tail_next(struct log_tail *t);

/* The same for readers: queued by any thread, the rest is the log thread's. */
bool logd_queue_reader(struct logd *d, struct log_reader *r);
void log_reader_attach(struct log_reader *r);
void log_reader_publish(struct log_reader *r, const struct seglog *s); /* the log goes so far */
uint64_t log_readers_need(const struct log_reader *r); /* of a list: the first segment wanted */
void log_reader_detach(struct log_reader *r);
struct log_reader *log_reader_chain(struct log_reader *r);

#endif
