/* netaddr.h - where URLs that users write may lead: they are fetched, or delivered to, from inside
 * the operator's network. Pure but for netaddr_socket; any thread. */
#ifndef CORE_NETADDR_H
#define CORE_NETADDR_H

#include <stdbool.h>
#include <sys/socket.h>

/* Not on the public internet, or not one host of it: loopback, private, link-local (metadata of
 * clouds), carrier-grade NAT, documentation, benchmarks, multicast, reserved; also when written as
 * a version 6 address that carries such a version 4 one. Other families are private. */
bool netaddr_is_private(const struct sockaddr *sa);

/* Whether outgoing connections go through a proxy of the operator (https_proxy and the like), which
 * then is what says where they may go: addresses cannot be checked here. */
bool netaddr_behind_proxy(void);

/* For curl's CURLOPT_OPENSOCKETFUNCTION, which gets each address right before it is connected to:
 * redirects, and names that change their answer, are covered. */
struct netaddr_guard {
	bool any;     /* private addresses, too */
	bool refused; /* out: one was wanted */
};
/* A socket for a connection to sa; -1 when it is refused, or socket(2) fails. */
int netaddr_socket(struct netaddr_guard *g, const struct sockaddr *sa, int type, int protocol);

#endif
