/* box.h - the inside of a sandbox, built by its init in fresh namespaces while it is still root.
 * Order matters and is explained in docs/internals/sandbox.md. Single-threaded. */
#ifndef SHIM_BOX_H
#define SHIM_BOX_H

#include "launcher/plan.h"

/* Mounts the new root and moves into it. Needs pid and mount namespaces of its own. */
int box_root(const struct plan *p, struct err *err);
/* lo up; eth0 with address and route when the plan has a network. */
int box_network(const struct plan *p, struct err *err);
/* Into all namespaces of the process but its pid namespace, in which the caller is already. */
int box_enter(int pidfd, struct err *err);
/* Own cgroup namespace, host name. */
int box_name(const struct plan *p, struct err *err);
/* rlimits, ids, no capability, no_new_privs. No way back. */
int box_drop(const struct plan *p, struct err *err);
/* Installs the system call filter read from fd. */
int box_seccomp(int fd, struct err *err);
/* The MAC of a dyno's eth0: made from its address, so that ARP tables never lie. */
void box_mac(uint32_t ip, uint8_t mac[6]);
/* Lowers limits to what dynos get, never above the present hard limits. */
void box_rlimits(void);

#endif
