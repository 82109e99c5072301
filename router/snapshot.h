/* snapshot.h - RUN/routes.snapshot: the routes on disk, so that a router that starts serves at
 * once.
 *
 * file   = "PAASRTE1", then records
 * record = u32 FNV-1a of the frame (big-endian), one wire frame (ROUTE_APP, ROUTE_PLATFORM,
 * ROUTE_DEL, ROUTE_CERT, ROUTE_CERT_DROP): private keys are in here, hence 0600
 *
 * A change appends one record: one write() and no fsync, because the file only has to outlive the
 * process, not the machine (no dyno does). Once the file has doubled it is written anew beside and
 * renamed into place. Reading stops at the first bad record. Blocking, but a page-cache write. */
#ifndef ROUTER_SNAPSHOT_H
#define ROUTER_SNAPSHOT_H

#include "router/certs.h"
#include "router/table.h"

struct rt_snapshot {
	char *path;		/* owned */
	struct rt_certs *certs; /* borrowed: read into, written from */
	int fd;			/* for appending; -1 when the file must be written anew */
	uint64_t base, size;	/* bytes when last written anew, and now */
};

/* Reads the file into m (which is empty). A missing file is fine; damage is said in *err with what
 * was read kept. Returns the number of apps read, -1 with err when the file is damaged. */
int rt_snapshot_open(struct rt_snapshot *s, const char *run_dir, struct rt_master *m,
		     struct rt_certs *certs, struct err *err);
void rt_snapshot_close(struct rt_snapshot *s);
/* Appends frames (records are made of each). After a failure the file is written anew next time. */
int rt_snapshot_append(struct rt_snapshot *s, const struct buf *frames, const struct rt_master *m,
		       struct err *err);
int rt_snapshot_write(struct rt_snapshot *s, const struct rt_master *m, struct err *err);

#endif
