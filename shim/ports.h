/* ports.h - who listens, from the text of /proc/net/tcp and tcp6. Pure. */
#ifndef SHIM_PORTS_H
#define SHIM_PORTS_H

#include <stddef.h>

enum ports_bound { PORTS_NONE = 0, PORTS_REACHABLE = 1, PORTS_LOOPBACK = 2 };

/* Looks for listeners on port. Reachable beats loopback; the text need not end with a newline. */
enum ports_bound ports_find(const char *text, size_t n, unsigned port);

#endif
