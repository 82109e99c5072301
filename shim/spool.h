/* spool.h - log batches that paasd has not acknowledged. The newest wait in memory (SPOOL_MEM);
 * beyond that they go to a file, which is bounded: the oldest lines are dropped and counted. The
 * file also holds everything that is left when the shim ends. One thread. */
#ifndef SHIM_SPOOL_H
#define SHIM_SPOOL_H

#include "proto/buf.h"
#include "proto/err.h"

enum { SPOOL_MEM = 128 * 1024 };

struct spool {
	char *path;	   /* owned */
	size_t limit;	   /* bytes of file */
	struct buf mem;	   /* whole frames, the oldest first */
	size_t sent;	   /* bytes of mem handed to the socket */
	int fd;		   /* file, -1 until needed */
	size_t head, tail; /* unread part of the file, newer than mem */
};

void spool_init(struct spool *s, const char *path, size_t limit);
void spool_clear(struct spool *s); /* forgets; the file stays */
/* Takes one finished LOG_BATCH frame. A file that cannot be written loses the frame: logs never
 * stop the app. */
void spool_push(struct spool *s, const struct buf *frame);
bool spool_empty(const struct spool *s);
/* What is to be sent next; *n = 0 when nothing. Valid until the next call. */
const char *spool_next(struct spool *s, size_t *n);
void spool_sent(struct spool *s, size_t n);
bool spool_in_flight(const struct spool *s); /* sent, not acknowledged */
/* Forgets batches up to and including seq. */
void spool_acked(struct spool *s, uint64_t seq);
/* The connection is gone: everything unacknowledged is sent again. */
void spool_rewind(struct spool *s);
/* Leaves exactly what is unacknowledged in the file, or no file when nothing is. */
int spool_save(struct spool *s, struct err *err);

/* Pure: drops whole frames off the front of data until at most max bytes are left, and notes the
 * number of lost lines in the first frame that stays. Rewrites *data. */
void spool_trim(struct buf *data, size_t max);

#endif
