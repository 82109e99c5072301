/* sse.h - reader of text/event-stream, fed by chunks of any size. Pure. */
#ifndef CLI_SSE_H
#define CLI_SSE_H

#include "proto/buf.h"

#define CLI_SSE_LINE (64 * 1024)   /* a longer line is cut */
#define CLI_SSE_DATA (1024 * 1024) /* of one event; what is over is dropped */

struct cli_sse {
	/* data is NUL-terminated; its lines are separated by newlines. false ends the reading. */
	bool (*on_event)(void *arg, const char *event, const char *data, size_t n);
	void *arg;
	char last_id[128]; /* of the last whole event; "" before one had an id */
	long retry_ms;	   /* as the server asked; -1 = not */
	/* private */
	struct buf line, data, event;
	char id[128];
	bool cr, has_data, stopped;
};

void cli_sse_init(struct cli_sse *s);
/* A new connection: what was half read is forgotten, last_id and retry_ms stay. */
void cli_sse_restart(struct cli_sse *s);
bool cli_sse_feed(struct cli_sse *s, const char *data, size_t n); /* false once on_event said so */
void cli_sse_clear(struct cli_sse *s);
#define cli_sse_clear_p cli_sse_clear

#endif
