/* lines.h - splits a byte stream into log lines. Pure. */
#ifndef SHIM_LINES_H
#define SHIM_LINES_H

#include "proto/buf.h"

struct lines {
	struct buf part; /* a line whose end has not come yet; at most max bytes */
	size_t max;
};

/* Calls line() for every complete line, without "\n" or "\r\n". One longer than max is cut into
 * pieces of max bytes. The text is valid during the call only. */
void lines_feed(struct lines *l, const char *p, size_t n,
		void (*line)(const char *text, size_t len, void *arg), void *arg);
/* The stream has ended: what is left is a line too. */
void lines_end(struct lines *l, void (*line)(const char *text, size_t len, void *arg), void *arg);
void lines_clear(struct lines *l);

#endif
