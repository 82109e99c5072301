/* pool.h - a fixed set of threads that run blocking jobs in order of submission. */
#ifndef CORE_POOL_H
#define CORE_POOL_H

#include "proto/auto.h"

struct pool;
struct pool *pool_new(const char *name, int threads, int max_queued);
/* Waits for running jobs; queued ones still run. */
void pool_free(struct pool *p);
/* Any thread. False when max_queued jobs wait already: the caller answers 503/429. */
bool pool_submit(struct pool *p, void (*fn)(void *arg), void *arg);
/* A thread that must end before what it uses is freed: thread_join waits for it. NULL is fine
 * there.
 */
struct thread;
struct thread *thread_new(const char *name, void (*fn)(void *arg), void *arg);
void thread_join(struct thread *t);

/* A detached thread for one long job (a push, a build). Aborts when no thread can be had. */
void thread_start(const char *name, void (*fn)(void *arg), void *arg);

#endif
