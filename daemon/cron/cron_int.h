/* cron_int.h - inside daemon/cron. */
#ifndef CRON_CRON_INT_H
#define CRON_CRON_INT_H

#include "daemon/cron/cron.h"
#include "proto/limits.h"

struct live;

struct cron {
	struct loop *l;
	struct store *st;
	struct logd *log;
	struct cron_ops ops;
	struct live *runs; /* starting or running; loop thread, as the rest */
	struct loop_timer *clock;
	bool started, looking, look_again, closing;
	int writes; /* on their way to the store */
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* cron.c: a run whose row is committed; loop thread, takes r. */
void cron_begin(struct cron *c, struct store_job_run *r);
void cron_begin_later(struct cron *c, struct store_job_run *r); /* any thread, takes r's content */
void cron_expand(struct tx *tx, struct store_job_run *r);	/* its command, as it runs */

/* jobs.c */
/* When the job is due next, after a time. */
int cron_next(const struct store_job *j, wall_ms after, wall_ms *next, struct err *err);
/* In a transaction. What app.json has that cannot be: a line of *complaints each. */
int cron_sync(struct tx *tx, const char *app_id, struct buf *complaints, struct err *err);
void cron_sync_later(void *cron, const char *app_id); /* loop thread */
void cron_sync_all(struct cron *c);		      /* loop thread */

/* Transactions of the loop: what is owned by arg is freed by done. */
void cron_tx(struct cron *c, tx_fn *fn, void *arg, void (*done)(void *arg, const struct err *e));
void cron_tx_done(struct cron *c);

#endif
