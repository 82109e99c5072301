/* serve.h - the event loop of paas-static: one thread, epoll, sendfile. */
#ifndef FILESERVER_SERVE_H
#define FILESERVER_SERVE_H

#include "fileserver/site.h"

/* Serves on the listening socket, which it closes, until SIGTERM or SIGINT (which the caller has
 * blocked), then finishes what is being answered, at most grace_ms. Returns 0, or -1 when the
 * system has nothing to give. */
int fsv_serve(const struct fsv_site *s, int listener, unsigned grace_ms, struct err *err);

#endif
