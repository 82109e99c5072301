/* drain.h - waiting until no worker has a request in flight to a dyno that is taken away. Main
 * thread. */
#ifndef ROUTER_DRAIN_H
#define ROUTER_DRAIN_H

#include "router/rt.h"

struct rt_drains;

/* done is told once for each: how many requests are left, 0 unless the time was over. client is
 * NULL when it has gone meanwhile. */
struct rt_drains *rt_drains_new(struct rt *rt, void (*done)(void *client, uint64_t seq, int left));
void rt_drains_start(struct rt_drains *d, void *client, uint64_t seq, const char *dyno_id,
		     uint64_t timeout_ms);
/* One worker is down to nothing. */
void rt_drains_recount(struct rt_drains *d, const char *dyno_id);
void rt_drains_orphan(struct rt_drains *d, const void *client); /* it goes */
void rt_drains_end(struct rt_drains *d);			/* all, as they are now */
void rt_drains_free(struct rt_drains *d); /* after all workers, whose answers may be late */

#endif
