/* nl.h - the few rtnetlink requests that dynos need. Blocking; the socket belongs to the network
 * namespace it was opened in. Used by the launcher (bridge, veth) and by a sandbox's init (its own
 * lo and eth0). Addresses are in host byte order. */
#ifndef LAUNCHER_NL_H
#define LAUNCHER_NL_H

#include "proto/err.h"
#include <sys/types.h>

int nl_open(struct err *err);				 /* a descriptor, or -1 */
int nl_index(int nl, const char *name, struct err *err); /* 0 = no such interface */
int nl_up(int nl, int index, struct err *err);
int nl_addr_add(int nl, int index, uint32_t ip, unsigned prefix, struct err *err);
/* To dst/prefix by that interface; gateway 0 = it is on the link itself. */
int nl_route_add(int nl, uint32_t dst, unsigned prefix, uint32_t gateway, int index,
		 struct err *err);
int nl_bridge_add(int nl, const char *name, const uint8_t mac[6], struct err *err);
/* A pair: `name` here, up, port of bridge; its peer is born as eth0 in the namespace of pid. */
int nl_veth_add(int nl, const char *name, int bridge, pid_t pid, const uint8_t mac[6],
		struct err *err);
/* Isolated ports reach the bridge itself only, never each other. */
int nl_port_isolate(int nl, int index, struct err *err);
int nl_del(int nl, const char *name, struct err *err); /* nothing there is success */
int nl_links(int nl, void (*each)(const char *name, void *arg), void *arg, struct err *err);
/* Whether a route, but those through `except` (0 = none) and the default, overlaps ip/prefix. */
int nl_overlaps(int nl, uint32_t ip, unsigned prefix, int except, bool *yes, struct err *err);

#endif
