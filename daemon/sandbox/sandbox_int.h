/* sandbox_int.h - blocking wire connections, shared by the files of this module. */
#ifndef SANDBOX_INT_H
#define SANDBOX_INT_H

#include "daemon/core/clock.h"
#include "proto/wire.h"

struct sandbox_conn {
	int fd;
	struct buf in;
	size_t used; /* bytes of `in` that the last frame occupied */
	int came;    /* a descriptor that came with it, -1 = none; owned */
};

/* dir/name, however long dir is. -1 with err UNAVAILABLE. */
int sandbox_connect(const char *dir, const char *name, struct sandbox_conn *out, struct err *err);
void sandbox_conn_close(struct sandbox_conn *c);
__attribute__((unused)) static inline void sandbox_conn_close_p(struct sandbox_conn *c)
{
	sandbox_conn_close(c);
}
int sandbox_send(struct sandbox_conn *c, const struct buf *frames, struct err *err);
/* Waits for one frame; it is valid until the next call. deadline 0 = none; cancel_fd -1 = none.
 * Returns 1, 0 when the other side has closed, -1 with TIMEOUT, CANCELED or IO. */
int sandbox_recv(struct sandbox_conn *c, struct wire_frame *out, mono_ms deadline, int cancel_fd,
		 struct err *err);

#endif
