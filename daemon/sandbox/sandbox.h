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
/* Each blocks; any thread but a loop. */
int launcher_create(struct launcher *l, const struct launch_spec *s, char ip[16], struct err *err);
int launcher_remove(struct launcher *l, const char *id, struct err *err);
int launcher_rmtree(struct launcher *l, const char *path, struct err *err);
int launcher_list(struct launcher *l, char (**ids)[37], int *n, struct err *err);
int launcher_shutdown(struct launcher *l, bool everything, struct err *err);

/* Runs a sandbox to its end (builds, release commands of tests): output bytes go to sink as they
 * come. Returns exit status 0..255 (128 + signal), or -1 with err (TIMEOUT, CANCELED, launcher's).
 * The sandbox is always removed. spec->on_detach should be LAUNCH_KILL. */
int sandbox_run(struct launcher *l, const struct launch_spec *s, mono_ms deadline, int cancel_fd,
		void (*sink)(const char *p, size_t n, void *arg), void *arg, bool *oom, struct err *err);

#endif
