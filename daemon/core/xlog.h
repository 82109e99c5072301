/* xlog.h - the daemon's own log: logfmt lines on stderr (journald adds what it knows).
 * xlog(XLOG_INFO, "git", "msg=\"push accepted\" app=%s", name) — the caller formats key=value
 * pairs; xlog_q() quotes a value. Never secrets. Any thread; one write() a line. */
#ifndef CORE_XLOG_H
#define CORE_XLOG_H

#include "proto/err.h"

enum xlog_level { XLOG_DEBUG, XLOG_INFO, XLOG_WARN, XLOG_ERROR };

/* Where stderr is the journal, lines begin with a priority and never with a time. */
void xlog_setup(const char *program, enum xlog_level min, bool timestamps);
void xlog(enum xlog_level lv, const char *module, const char *fmt, ...) PRINTF(3, 4);
/* ' err_id=... err="..."' of e appended to the formatted text. */
void xlog_err(enum xlog_level lv, const char *module, const struct err *e, const char *fmt, ...)
	PRINTF(4, 5);
/* Returns "quoted \"text\"" in a rotating thread-local buffer (8 of 512 bytes, cut to fit). */
const char *xlog_q(const char *s);

#endif
