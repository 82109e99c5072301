/* meter.h - memory of a dyno, from its cgroup or, without one, from /proc. The descriptors are
 * opened while the shim is root and read after it no longer is. One thread. */
#ifndef SHIM_METER_H
#define SHIM_METER_H

#include "proto/buf.h"
#include <sys/types.h>

enum meter_kind { METER_NONE = 0, METER_V1 = 1, METER_V2 = 2 };

struct meter {
	enum meter_kind kind;
	int stat_fd, swap_fd, oom_fd;
	int notify_fd;	 /* v1: eventfd, POLLIN; v2: memory.events, POLLPRI; -1 */
	uint64_t killed; /* processes that the kernel ended for want of memory */
};

struct meter_sample {
	uint64_t total; /* rss + swap + what lies in tmpfs: what cannot be taken back */
	uint64_t rss, cache, swap;
};

void meter_open(struct meter *m, enum meter_kind kind, const char *dir);
/* pid: the init, asked when there is no cgroup. */
void meter_read(const struct meter *m, pid_t pid, struct meter_sample *out);
/* Refreshes killed; true when it grew. */
bool meter_oom(struct meter *m);
short meter_events(const struct meter *m); /* for poll on notify_fd */

/* Pure: the number after "name " at the start of a line; 0 when it is not there. */
uint64_t meter_field(const char *text, const char *name);

#endif
