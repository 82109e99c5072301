/* loop.h - a libuv loop with a mailbox. The only way into a loop from outside is loop_post(). */
#ifndef CORE_LOOP_H
#define CORE_LOOP_H

#include "proto/err.h"
#include <assert.h>
#include <uv.h>

struct loop;

struct loop *loop_new(const char *name);
void loop_free(struct loop *l); /* after loop_run returned; NULL is fine */
uv_loop_t *loop_uv(struct loop *l);
/* Runs on the calling thread, which becomes the loop's thread, until loop_stop. */
void loop_run(struct loop *l);
/* Starts a thread that runs it. */
void loop_start_thread(struct loop *l);
void loop_join(struct loop *l);
void loop_stop(struct loop *l); /* any thread */
bool loop_is_here(const struct loop *l);
#define ASSERT_ON(l) assert(loop_is_here(l))

/* Any thread. fn(arg) runs once on the loop, in order of posting. Never blocks; false after stop
 * (fn is not called and arg stays the caller's). */
bool loop_post(struct loop *l, void (*fn)(void *arg), void *arg);
/* Any thread but the loop's own: posts and waits until fn has run. */
void loop_call(struct loop *l, void (*fn)(void *arg), void *arg);

/* One-shot timer, loop thread only. The handle frees itself after firing or loop_timer_stop. */
struct loop_timer;
struct loop_timer *loop_timer_start(struct loop *l, uint64_t ms, void (*fn)(void *arg), void *arg);
void loop_timer_stop(struct loop_timer *t); /* NULL is fine; do not call after it fired */

#endif
