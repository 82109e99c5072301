/* logwire.h - shim and router -> paasd, wire frames over the unix stream socket RUN/log.sock.
 * The sender batches: one LOG_BATCH holds many lines, each the fields of a line in the order below,
 * K_TEXT last (it ends the line). paasd answers every batch with LOG_ACK {K_SEQ} once it has taken
 * it: the sender then forgets it. A shim spools what is not acknowledged (LIM_LOG_SPOOL, oldest
 * dropped and counted in K_DROPPED); the router drops and counts. */
#ifndef PROTO_LOGWIRE_H
#define PROTO_LOGWIRE_H

#include "proto/wire.h"

enum log_frame { LOG_BATCH = 1, LOG_ACK = 2 };

enum log_key {
	K_SEQ = 1,     /* u64, of the batch; counts up per sender */
	K_DROPPED = 2, /* u64 lines of K_APP lost before the next line: becomes an L10/L12 line */
	K_APP = 3,     /* str app id; holds until the next K_APP */
	K_SOURCE = 4,  /* str "app" | "heroku"; holds */
	K_PROC = 5,    /* str "web.1", "router"; holds */
	K_TS_US = 6,   /* u64 wall clock, microseconds */
	K_TEXT = 7,    /* bytes, no newline, at most LIM_LOG_LINE */
};

#endif
