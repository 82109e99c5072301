/* transfer_tool.h - private to transfers: pg_dump, pg_restore and psql, each in a sandbox of its
 * own that holds no files, as the user of the app that it is done for, with a database's URL in
 * their environment: what they read was written by strangers. They end with paasd. Blocking. */
#ifndef PG_TRANSFER_TOOL_H
#define PG_TRANSFER_TOOL_H

#include "daemon/pg/transfer_url.h"
#include "daemon/sandbox/sandbox.h"

/* Where they run. */
struct toolbox {
	struct launcher *launcher; /* borrowed */
	char app_id[37];
	unsigned app_uid;
	/* Of the platform's own server, which a sandbox reaches only when it is told to; "" = none.
	 * It is not reached by the URLs that people give (pgurl_guard). */
	char ip[16];
	int port;
};

/* What watches over one: it is killed when cancel_fd becomes readable (CANCELED), at the deadline
 * (TIMEOUT), or when tick, which is called about twice a second, says so. */
struct tool_watch {
	int cancel_fd; /* -1 = none */
	mono_ms deadline;
	int (*tick)(void *arg, struct err *err); /* may be NULL */
	void *arg;
};

struct tool {
	const char *const *argv;
	const struct pgurl *db; /* NULL = of none */
	const struct buf *file; /* what it finds in the file TOOL_FILE; NULL = nothing */
	/* The next octets for stdin, borrowed until the next call; *n 0 = the end. NULL = no stdin.
	 * A tool that does not want to read on is no fault. */
	int (*feed)(void *arg, const void **p, size_t *n, struct err *err);
	/* of stdout; or NULL. Of one that fails there is more than it said. */
	int (*sink)(void *arg, const void *p, size_t n, struct err *err);
	void *arg;
};
#define TOOL_FILE "/proc/self/fd/4"
/* 0 when it exits with 0. IO with the last line that it said on stderr otherwise, also for death by
 * a signal. */
int tool_run(const struct toolbox *box, const struct tool *t, const struct tool_watch *w,
	     struct err *err);

/* A session of psql that stays open: a snapshot, say. */
struct tool_session;
int tool_session_open(const struct toolbox *box, const struct pgurl *db, struct tool_session **out,
		      struct err *err);
/* Runs SQL (psql's own commands are known too) and appends what it prints, max octets at most. The
 * first error ends the session. */
int tool_session_ask(struct tool_session *s, const char *sql, const struct tool_watch *w,
		     struct buf *out, size_t max, struct err *err);
void tool_session_close(struct tool_session *s);
DEFINE_AUTO(struct tool_session *, tool_session_close)

/* One script in a session of its own. */
int tool_psql(const struct toolbox *box, const struct pgurl *db, const char *sql,
	      const struct tool_watch *w, struct buf *out, size_t max, struct err *err);

#endif
