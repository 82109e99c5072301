/* pool.h - threads that run blocking jobs in order of submission. They are made as jobs come, at
 * most so many, and end when there was nothing to do for a while: a platform at rest keeps none. */
#ifndef CORE_POOL_H
#define CORE_POOL_H

#include "proto/auto.h"

struct pool;
struct pool *pool_new(const char *name, int threads, int max_queued);
/* Waits for running jobs; queued ones still run. */
void pool_free(struct pool *p);
/* How long a thread without work stays; 20 s unless told. */
void pool_keep(struct pool *p, int ms);
/* Any thread. False when max_queued jobs wait already, or the system has no thread left for the
 * first of them: the caller answers 503/429. */
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
