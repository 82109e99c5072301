/* nft.h - elements of the fence's set `reach`, by netlink: a start must not wait for a program. The
 * rest of the fence is made by nft (net.c). Blocking for the kernel's answer. */
#ifndef LAUNCHER_NFT_H
#define LAUNCHER_NFT_H

#include "launcher/host.h"

/* Adds or takes out (ip, to[i].ip, to[i].port) for each i. What is in or out already is success.
 * errno is the kernel's on failure: ENOENT = there is no such table. */
int nft_reach(const char *table, uint32_t ip, const struct reach *to, int n, bool add,
	      struct err *err);

#endif
