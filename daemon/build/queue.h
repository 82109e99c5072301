/* queue.h - private to build: who builds when. One build an app at a time; one that waits for its
 * app makes way for a newer one; at most `limit` in all. Newer is what was announced later, or came
 * later unannounced. Any thread. */
#ifndef BUILD_QUEUE_H
#define BUILD_QUEUE_H

#include "proto/err.h"
#include <stdint.h>

enum stop_why { STOP_NONE, STOP_CANCELED, STOP_SUPERSEDED, STOP_DISK_FULL, STOP_CLOSING };

struct queue;

struct job { /* lives on the stack of build_run; its caller fills app_id and build_id */
	const char *app_id, *build_id; /* borrowed */
	int stop_fd;		       /* readable once the job is to stop */
	/* the queue's, under its lock */
	struct job *next;
	bool running;
	enum stop_why why;
	uint64_t seq; /* the newer the greater */
};

struct queue *queue_new(int limit);
/* Stops all jobs and takes no more. Does not wait. */
void queue_stop_all(struct queue *q);
/* Stops all jobs, waits until they have left, frees. */
void queue_close(struct queue *q);

/* A job that will be entered by a thread that is yet to start: from now on it has its place among
 * others, and can be stopped. */
void queue_announce(struct queue *q, const char *build_id);
void queue_retract(struct queue *q, const char *build_id); /* it was not entered; else nothing */
/* Blocks until the job may run: 0. Else -1 CANCELED with the reason; the job is not in the queue
 * then. waits(app_busy, arg) is called once when it cannot run at once. CONFLICT: the id is in it
 * already. */
int queue_enter(struct queue *q, struct job *j, void (*waits)(bool app_busy, void *arg), void *arg,
		struct err *err);
void queue_leave(struct queue *q, struct job *j);
/* False when there is no such job. The first reason stays. */
bool queue_stop(struct queue *q, const char *build_id, enum stop_why why);
/* Stops all jobs of an app and waits until they have left. */
void queue_stop_app(struct queue *q, const char *app_id, enum stop_why why);
enum stop_why queue_why(struct queue *q, const struct job *j);
/* The reason as an error; -1. */
int queue_stop_err(enum stop_why why, struct err *err);

#endif
