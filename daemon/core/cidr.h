/* cidr.h - lists of networks, as operators write them: "10.0.0.0/8", "fd00::/8", "192.0.2.7". Pure;
 * any thread. */
#ifndef CORE_CIDR_H
#define CORE_CIDR_H

#include <stdbool.h>
#include <sys/socket.h>

/* An address, or one with /BITS whose further bits are 0. */
bool cidr_ok(const char *text);
/* Whether sa lies in one of the networks (NULL-terminated; NULL = none). Version 6 addresses that
 * carry a version 4 one count as that. */
bool cidr_has(char *const *list, const struct sockaddr *sa);

#endif
