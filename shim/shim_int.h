/* shim_int.h - state of one shim, shared by its few files. One thread. */
#ifndef SHIM_INT_H
#define SHIM_INT_H

#include "daemon/core/clock.h"
#include "launcher/plan.h"
#include "shim/logs.h"
#include "shim/meter.h"

enum { MAX_CLIENTS = 16, CLIENT_OUT = 256 * 1024, STDIN_QUEUE = 64 * 1024, CHUNK = 32 * 1024 };

struct client {
	int fd;
	bool supervises, attached;
	bool replaying; /* catching up from DIR/output: live output waits */
	bool cut;	/* to be closed by the loop */
	uint64_t replay_at;
	struct buf in, out;
};

struct shim {
	struct plan plan;
	/* the sandbox */
	pid_t init;
	int pidfd, init_sock;
	int out_fd;    /* output pipe or pty master; -1 at the end of output */
	int in_fd;     /* stdin pipe or pty master; -1 = none */
	bool in_eof;   /* close stdin once the queue is empty */
	struct buf in; /* bytes for stdin */
	bool started, exited;
	bool app_ended; /* the init told the app's wait status */
	int wait_status, exit_code, exit_signal;
	wall_us started_us;
	/* output */
	uint64_t total; /* bytes so far */
	uint64_t kept;	/* of them in DIR/output */
	int keep_fd;
	struct logs logs;
	/* around it */
	int listener, sigfd;
	struct client clients[MAX_CLIENTS];
	struct meter meter;
	int net_fd; /* /proc/INIT/net */
	int bound;
	unsigned detach_code; /* 13, 16, or 0 */
	/* when to do what; 0 = not set */
	mono_ms t_attach, t_ttl, t_kill, t_hangup, t_r16, t_hangup_kill, t_mem, t_bound,
		t_bound_start, t_linger, t_oom, t_oom_end;
};

/* --- spawn.c --- */
/* Starts the sandbox up to the point where the app may be started. On failure the launcher has been
 * told. */
int shim_spawn(struct shim *s, int ctl);
void shim_start_app(struct shim *s, mono_ms now);
/* Signal to everybody inside; SIGKILL ends the dyno for sure. */
void shim_signal(struct shim *s, int sig);
/* The init is gone: what did the app end with? */
void shim_collect(struct shim *s);
void shim_init_message(struct shim *s);

/* --- clients.c --- */
int shim_listen(struct shim *s, struct err *err); /* ./sock */
void shim_accept(struct shim *s);
void shim_client_read(struct shim *s, struct client *c, mono_ms now);
void shim_client_write(struct shim *s, struct client *c);
void shim_client_close(struct shim *s, struct client *c, mono_ms now);
/* One chunk of output to the attached client. */
void shim_show(struct shim *s, const char *p, size_t n, uint64_t offset);
void shim_replay(struct shim *s, struct client *c);
bool shim_may_read(const struct shim *s); /* nobody's queue is full */
bool shim_clients_idle(const struct shim *s);
void shim_tell_state(struct shim *s);
void shim_tell_bound(struct shim *s);
void shim_tell_memory(struct shim *s, const struct meter_sample *m);
void shim_tell_exit(struct shim *s);
void shim_tell_detached(struct shim *s);

/* --- loop.c --- */
void shim_run(struct shim *s); /* until everything is over */

#endif
