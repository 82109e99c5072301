/* sandbox.h - client of paas-launcher and of shims: blocking calls for threads. */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include "daemon/core/clock.h"
#include "proto/launch.h"

struct launcher;

struct launcher_info {
	char runtime[16], limits[16], gateway[16];
	char notes[8][200];
	int nnotes;
};

/* Connects to RUN/launcher.sock (a small pool of connections). */
int launcher_open(const char *run_dir, struct launcher **out, struct err *err);
void launcher_close(struct launcher *l);
const struct launcher_info *launcher_info(const struct launcher *l);
const char *launcher_run_dir(const struct launcher *l);
/* Each blocks; any thread but a loop. create: with s->into, enters the sandbox of that dyno. */
int launcher_create(struct launcher *l, const struct launch_spec *s, char ip[16], struct err *err);
int launcher_remove(struct launcher *l, const char *id, struct err *err);
int launcher_rmtree(struct launcher *l, const char *path, struct err *err);
int launcher_list(struct launcher *l, char (**ids)[37], int *n, struct err *err);
/* Volumes (STATE/volumes/ID). bytes: makes it, or lets it grow; 0 = looks. NOT_FOUND,
 * INVALID_PARAMS (it is larger), CONFLICT (cannot grow while dynos use it). */
struct launcher_volume {
	char quota[16]; /* what enforces its size: "image", or "none" */
	uint64_t size, used;
};
int launcher_volume(struct launcher *l, const char *id, uint64_t bytes, struct launcher_volume *out,
		    struct err *err);
/* For a backup: *fd (owned) is a copy of the image as of one moment, for which the volume takes no
 * writes for at most frozen_s seconds (TIMEOUT: it would take longer); spare: bytes of disk that
 * the copy leaves (DISK_FULL). Of quota "none": the folder itself. */
int launcher_volume_copy(struct launcher *l, const char *id, unsigned frozen_s, uint64_t spare,
			 struct launcher_volume *out, int *fd, struct err *err);
int launcher_volume_remove(struct launcher *l, const char *id, struct err *err);
int launcher_shutdown(struct launcher *l, bool everything, struct err *err);

/* Runs a sandbox to its end (builds, release commands of tests): output bytes go to sink as they
 * come. Returns exit status 0..255 (128 + signal), or -1 with err (TIMEOUT, CANCELED, launcher's).
 * The sandbox is always removed. spec->on_detach should be LAUNCH_KILL. */
int sandbox_run(struct launcher *l, const struct launch_spec *s, mono_ms deadline, int cancel_fd,
		void (*sink)(const char *p, size_t n, void *arg), void *arg, bool *oom,
		struct err *err);

/* A sandbox that is talked with while it runs (talk.c): its stdin is fed, its output taken as it
 * comes. One thread at a time. */
struct sandbox_talk;
/* Starts it; spec->stdio should be LAUNCH_PIPE, on_detach LAUNCH_KILL. */
int sandbox_talk_open(struct launcher *l, const struct launch_spec *s, struct sandbox_talk **out,
		      struct err *err);
/* Octets of stdin that are taken now without a pile of them; say takes at most so many, and drops
 * them when nobody reads them any more. */
size_t sandbox_talk_room(const struct sandbox_talk *t);
void sandbox_talk_say(struct sandbox_talk *t, const void *p, size_t n);
void sandbox_talk_eof(struct sandbox_talk *t); /* of its stdin; after it nothing is said */
/* Waits for output, for more room, or its end, ms at most: 1 = it has ended, *code says how (128 +
 * signal); else 0, and *p, *n are output, valid until the next call; n 0 = none. CANCELED:
 * cancel_fd
 * (-1 = none) is readable. */
int sandbox_talk_step(struct sandbox_talk *t, int ms, int cancel_fd, const void **p, size_t *n,
		      int *code, struct err *err);
/* Ends what still runs; returns when it is gone. */
void sandbox_talk_close(struct sandbox_talk *t);

/* --- what a dyno's folder says, for dynos found at start and for those that are gone. A shim takes
 * its leave in this order: status is written, EXIT is sent, the log is flushed (what paasd did not
 * take lands in spool), sock disappears. So read the spool after the connection to the shim has
 * closed, and call launcher_remove(), which deletes it, after that. Any thread but a loop. --- */

/* The spec without env, and the address. NOT_FOUND, CORRUPT. */
int sandbox_spec(const char *run_dir, const char *id, struct launch_spec *out, char ip[16],
		 struct err *err);

struct sandbox_status {
	int exit_code; /* 128 + signal when killed */
	int signal;    /* 0 = exited */
	uint64_t oom;  /* processes that the kernel ended for want of memory */
	wall_us ended_us;
};
/* NOT_FOUND: it has not ended, or the shim was killed. */
int sandbox_status(const char *run_dir, const char *id, struct sandbox_status *out,
		   struct err *err);

struct sandbox_line {
	char app_id[37], source[16], proc[160];
	wall_us ts;
	uint64_t dropped; /* lines that are lost before this one */
	const char *text; /* len bytes; valid during the call */
	size_t len;
};
/* Every line that paasd never acknowledged, oldest first. No spool is success. */
int sandbox_spool(const char *run_dir, const char *id,
		  void (*each)(const struct sandbox_line *l, void *arg), void *arg,
		  struct err *err);

DEFINE_AUTO(struct launcher *, launcher_close)
DEFINE_AUTO(struct sandbox_talk *, sandbox_talk_close)

#endif
