/* transfer_tool.h - private to transfers: pg_dump, pg_restore and psql as children, with a
 * database's URL in their environment. They end with the thread that runs them, so also with paasd.
 * Blocking. */
#ifndef PG_TRANSFER_TOOL_H
#define PG_TRANSFER_TOOL_H

#include "daemon/core/proc.h"
#include "daemon/pg/transfer_url.h"

/* What watches over a child: it is killed, with its group, when cancel_fd becomes readable
 * (CANCELED), at the deadline (TIMEOUT), or when tick, which is called about twice a second, says
 * so. */
struct tool_watch {
	int cancel_fd; /* -1 = none */
	mono_ms deadline;
	int (*tick)(void *arg, struct err *err); /* may be NULL */
	void *arg;
};

struct tool {
	const char *const *argv;
	const struct pgurl *db; /* NULL = of none */
	/* The next octets for stdin, borrowed until the next call; *n 0 = the end. NULL = no stdin.
	 * A child that does not want to read on is no fault. */
	int (*feed)(void *arg, const void **p, size_t *n, struct err *err);
	int (*sink)(void *arg, const void *p, size_t n, struct err *err); /* of stdout; or NULL */
	void *arg;
};
/* 0 when it exits with 0. IO with the last line that it said on stderr otherwise, also for death by
 * a signal. said (may be NULL) gets the end of its stderr, a few KiB. */
int tool_run(const struct tool *t, const struct tool_watch *w, struct buf *said, struct err *err);

/* A session of psql that stays open: a snapshot, say. */
struct tool_session;
int tool_session_open(const struct pgurl *db, struct tool_session **out, struct err *err);
/* Runs SQL (psql's own commands are known too) and appends what it prints, max octets at most. The
 * first error ends the session. */
int tool_session_ask(struct tool_session *s, const char *sql, const struct tool_watch *w,
		     struct buf *out, size_t max, struct err *err);
void tool_session_close(struct tool_session *s);
DEFINE_AUTO(struct tool_session *, tool_session_close)

/* One script in a session of its own. */
int tool_psql(const struct pgurl *db, const char *sql, const struct tool_watch *w, struct buf *out,
	      size_t max, struct err *err);

#endif
