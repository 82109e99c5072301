/* kin.h - processes below another one, for the plain runtime, which has no pid namespace. */
#ifndef SHIM_KIN_H
#define SHIM_KIN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Signals every descendant of pid (not pid itself). Returns how many there were. */
int kin_signal(pid_t pid, int sig);
/* Kills all descendants, also those that fork meanwhile, and reaps those that become our children.
 */
void kin_end(pid_t pid);
/* Children of pid, dead ones too. Returns how many there are; at most cap are written. */
size_t kin_children(pid_t pid, pid_t *out, size_t cap);
/* Resident bytes of pid and its descendants. */
uint64_t kin_rss(pid_t pid);

#endif
