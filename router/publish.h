/* publish.h - the routes that there are, and their way to the workers and to disk. Changes are
 * gathered until rt_routes_publish(); what a published table no longer names is freed when all
 * workers have it. Main thread. */
#ifndef ROUTER_PUBLISH_H
#define ROUTER_PUBLISH_H

#include "router/table.h"

struct rt_routes;

/* Told once that every worker has what was published. Owned by whoever gave it, who has to free it
 * too when the routes are freed before. */
struct rt_told {
	void (*fn)(struct rt_told *t);
};

/* Reads the snapshot. changed is told of each entry that is set or deleted from now on. */
struct rt_routes *rt_routes_open(struct rt *rt, void (*changed)(const char *app_id, void *arg),
				 void *arg);
void rt_routes_free(struct rt_routes *r); /* after all workers */

const struct rt_table *rt_routes_table(const struct rt_routes *r); /* before the workers run */
struct rt_app *rt_routes_get(const struct rt_routes *r, const char *app_id);

/* Gathered for the next publication. Both take the caller's references. */
void rt_routes_set(struct rt_routes *r, struct rt_app *a);
void rt_routes_replace(struct rt_routes *r, struct rt_app **apps,
		       int n); /* what is not in it goes */
void rt_routes_del(struct rt_routes *r, const char *app_id);
/* Frames that the snapshot is to have besides: the caller appends to it. */
struct buf *rt_routes_journal(struct rt_routes *r);

/* told: NULL = nobody waits. Without changes it is told all the same, behind what is still on its
 * way. */
void rt_routes_publish(struct rt_routes *r, struct rt_told *told);

#endif
