/* record.h - what the launcher has noted of each dyno, and which dynos there are. A record is what
 * a later launcher believes, so it lies where only root writes: STATE/dynos/ID/record. One "key
 * value" a line:
 *   shim PID STARTTIME    init PID STARTTIME    ip A.B.C.D
 *   user UID (of the app)
 *   into ID (the dyno whose sandbox it is in)
 *   own PATH (chown back at the end)
 *   reach IP:PORT (a service that it may open connections to)
 * Private to the launcher. */
#ifndef LAUNCHER_RECORD_H
#define LAUNCHER_RECORD_H

#include "launcher/host.h"

struct record {
	pid_t shim, init;
	unsigned long long shim_at, init_at;
	unsigned user;
	bool entered;
	char ip[16];
	char *own[64];
	int nown;
	struct reach reach[HOST_REACH];
	int nreach;
};

/* Adds a line. A dyno whose folder has gone has none. */
void ln_record_note(struct host *h, const char *id, const char *fmt, ...) PRINTF(3, 4);
/* Fills r, with nothing where nothing is noted; ln_record_clear() it. */
void ln_record_read(struct host *h, const char *id, struct record *r);
void ln_record_clear(struct record *r);
uint32_t ln_record_ip(const struct record *r); /* 0 = had none */
/* A handle on the process that was recorded, never on another that has its pid now. -1 = gone. */
int ln_record_process(pid_t pid, unsigned long long at);

#endif
