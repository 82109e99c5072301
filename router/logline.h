/* logline.h - router log lines: one buffer a worker, handed to the shipper when full or after a
 * moment. The buffer holds logwire fields, ready to go into a LOG_BATCH. */
#ifndef ROUTER_LOGLINE_H
#define ROUTER_LOGLINE_H

#include "proto/logwire.h"
#include "proto/buf.h"

#include <string.h>

#define RT_LOG_FLUSH_BYTES (32 * 1024)
#define RT_LOG_FLUSH_MS	   50

/* Copies s, cut to fit. */
static inline void rt_copy(char *out, size_t cap, const char *s)
{
	size_t n = strnlen(s, cap - 1);

	memcpy(out, s, n);
	out[n] = 0;
}

struct rt_logbuf {
	struct buf b;
	char app[64]; /* of the line before */
	int lines;
};

void rt_logbuf_add(struct rt_logbuf *l, const char *app_id, int64_t ts_us, const char *text,
		   size_t n);
/* Appends s as the inside of a quoted value: quotes and backslashes escaped, controls as '?'. */
void rt_log_quote(struct buf *out, const char *s, size_t n);

/* --- ship.c: main thread; batches to RUN/log.sock ------------------------------------------------
 */
struct rt_ship;
struct loop;
#define RT_SHIP_BYTES \
	(256 * 1024) /* kept until paasd has taken them; beyond it lines are dropped */
struct rt_ship *rt_ship_new(struct loop *l, const char *run_dir);
void rt_ship_stop(struct rt_ship *s); /* closes its handles */
void rt_ship_free(struct rt_ship *s); /* after the loop has ended */
/* Takes the bytes of a log buffer (b is empty afterwards). */
void rt_ship_add(struct rt_ship *s, struct buf *b);
uint64_t rt_ship_dropped(const struct rt_ship *s);
bool rt_ship_idle(
	const struct rt_ship *s); /* everything was taken, or nobody is there to take it */

#endif
