/* init.h - pid 1 of a dyno: builds the sandbox around itself, starts the app, forwards signals,
 * reaps, ends with the app. Also used, without the sandbox, by the plain runtime. */
#ifndef SHIM_INIT_H
#define SHIM_INIT_H

#include "launcher/plan.h"

/* Messages between shim and init on a seqpacket pair, one letter and a body.
 *   shim -> init   G             cgroup and network are there: go on
 *                  X             start the app
 *   init -> shim   R [+ fd]      ready; with a pty its master comes along
 *                  E <id> <msg>  cannot
 *                  S <u32>       the app ended with this wait status
 * The shim closing its end ends init, and with it everything inside. */

struct init_io {
	int sock;   /* to the shim */
	int in_fd;  /* stdin of the app, -1 = /dev/null or pty */
	int out_fd; /* stdout and stderr of the app, -1 = pty */
};

/* Never returns. Called in the new process right after clone3 (or fork). */
_Noreturn void init_main(const struct plan *p, const struct init_io *io);

#endif
