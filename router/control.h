/* control.h - RUN/router.sock: takes routes from paasd, publishes them to the workers, answers once
 * all of them use the new table. Main thread, but for the functions that workers call (they post).
 */
#ifndef ROUTER_CONTROL_H
#define ROUTER_CONTROL_H

#include "router/rt.h"

struct rt_worker;

/* Reads the snapshot, so that workers have a table before they start; listens on RUN/router.sock.
 */
struct rt_ctl *rt_control_new(struct rt *rt, struct err *err);
const struct rt_table *rt_control_table(struct rt_ctl *c); /* before the workers run */
void rt_control_stop(struct rt_ctl *c);			   /* closes the handles */
void rt_control_free(struct rt_ctl *c);			   /* after the main loop and all workers */

/* Worker threads. */
void rt_control_drained(struct rt_worker *w, const char *dyno_id);
void rt_control_ask_cert(struct rt_worker *w); /* rt_certs_find said WAIT or OLD */
struct rt_wapp;
void rt_control_wake(struct rt_worker *w, struct rt_wapp *a); /* a request waits; it sleeps */
void rt_control_dyno_fail(struct rt_worker *w, const char *app_id, const char *dyno_id);

#endif
