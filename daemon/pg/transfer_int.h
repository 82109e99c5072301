/* transfer_int.h - private to transfers: the engine's state, one running job. */
#ifndef PG_TRANSFER_INT_H
#define PG_TRANSFER_INT_H

#include "daemon/core/pool.h"
#include "daemon/pg/transfer.h"
#include "daemon/pg/transfer_tool.h"
#include "proto/limits.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

struct job { /* of one worker; what is shared is said */
	struct pg_transfers *t;
	struct store_pgt row;
	int cancel_fd;	      /* eventfd, written by others */
	atomic_bool canceled; /* by a user, not by the engine's end */
	mono_ms deadline, ticked;
	json_t *log;
	int64_t source_bytes, processed_bytes;
	bool dirty; /* not written yet */
	struct tool_watch watch;
	struct toolbox box;
	char scratch[32];
	LIST_ENTRY(job) link; /* of t->jobs, under its lock */
};

struct pg_transfers {
	struct pg_transfers_deps d;
	pthread_mutex_t lock;
	pthread_cond_t work;	   /* there may be something to do */
	pthread_cond_t clock_wake; /* the clock's thread is to end */
	LIST_HEAD(pg_jobs, job) jobs;
	bool stopping;
	struct thread **workers, *clock;
	int nworkers;
};

/* transfer_run.c: all of a job but its end. -1: *err says why it failed. */
int pgt_run(struct job *j, struct err *err);
void pgt_say(struct job *j, const char *level, const char *fmt, ...) PRINTF(3, 4);
int pgt_save(struct job *j, struct err *err); /* progress and log into the row */

/* Owned: STATE/backups/ID with a suffix. */
char *pgt_path(const struct pg_transfers *t, const char *id, const char *suffix);

#endif
