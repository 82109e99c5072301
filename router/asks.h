/* asks.h - what workers want of paasd: a certificate, that an app wakes, that a dyno is looked at.
 * A question is asked once however many wait for it, and again when another paasd has come. Main
 * thread; the functions that workers call are in control.h. */
#ifndef ROUTER_ASKS_H
#define ROUTER_ASKS_H

#include "proto/wire.h"
#include "router/rt.h"

struct rt_asks;
struct rt_routes;

/* send: to paasd; false = it is away. Takes the bytes. */
struct rt_asks *rt_asks_new(struct rt *rt, bool (*send)(struct buf *frame, void *arg), void *arg);
/* Closes its timer; questions that are still to come find nobody. */
void rt_asks_stop(struct rt_asks *a);
void rt_asks_free(struct rt_asks *a); /* after all workers */

void rt_asks_paasd_came(struct rt_asks *a); /* it has sent its table */
void rt_asks_paasd_went(struct rt_asks *a);
void rt_asks_app_changed(struct rt_asks *a, const char *app_id); /* which answers a wake */
/* A certificate, or that there is none, has been taken. */
void rt_asks_answered(struct rt_asks *a);

/* Worker's questions, on the main thread. */
void rt_asks_cert(struct rt_asks *a);
void rt_asks_wake(struct rt_asks *a, const struct rt_routes *r, const char *app_id);

#endif
