/* logs.h - a dyno's output on its way to paasd's log thread: lines, batches, acknowledgements,
 * reconnection (proto/logwire.h). Never blocks, never stops the app. One thread. */
#ifndef SHIM_LOGS_H
#define SHIM_LOGS_H

#include "daemon/core/clock.h"
#include "shim/lines.h"
#include "shim/spool.h"

struct pollfd;

struct logs {
	bool on;
	const char *app_id, *proc; /* borrowed */
	int fd;			   /* connection, -1 = none */
	bool lost_touch;	   /* the last attempt to connect failed */
	mono_ms retry_at;
	unsigned backoff_ms;
	struct lines lines;
	struct spool spool;
	struct buf in, batch;
	size_t mark;
	mono_ms batch_since;
	wall_us stamp;
	uint64_t seq;
};

/* The current directory must be the dyno's folder. */
void logs_init(struct logs *l, const char *app_id, const char *proc, const char *spool,
	       size_t spool_limit);
/* Output as it was read just now. */
void logs_feed(struct logs *l, const char *p, size_t n);
/* The output has ended. */
void logs_end(struct logs *l);
/* Sends what is due, connects when needed. Returns ms until it wants to be called again, -1 =
 * never. */
int logs_tick(struct logs *l, mono_ms now);
void logs_poll(const struct logs *l, struct pollfd *p);
void logs_ready(struct logs *l, short revents, mono_ms now);
/* There is reason to believe that paasd is back: the next tick tries at once. */
void logs_retry(struct logs *l);
bool logs_done(const struct logs *l); /* nothing is waiting */

#endif
