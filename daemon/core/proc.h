/* proc.h - run a program by argument vector with limits; never a shell. The child gets only the
 * environment given, default signal dispositions and mask, stdin/out/err as given, no other fd. */
#ifndef CORE_PROC_H
#define CORE_PROC_H

#include "daemon/core/clock.h"
#include "proto/buf.h"
#include "proto/err.h"
#include <sys/types.h>

struct proc_limits { /* 0 = none */
	uint64_t as_bytes, cpu_s, file_bytes, nproc;
};

struct proc_spec {
	const char *const *argv;   /* argv[0] is looked up in PATH of env, or absolute */
	const char *const *env;	   /* NULL-terminated NAME=value; NULL = PATH and LANG only */
	const char *cwd;	   /* NULL = / */
	int in_fd, out_fd, err_fd; /* -1 = /dev/null; borrowed. err_fd == out_fd is fine */
	struct proc_limits lim;
	bool new_session;     /* else: leader of a new process group */
	bool die_with_thread; /* SIGKILL when the spawning thread ends, so also with paasd */
};

struct proc {
	pid_t pid;
	int pidfd; /* owned */
};

/* Any thread. exec failures are reported here (ERR_IO, "git: No such file or directory"). */
int proc_spawn(const struct proc_spec *s, struct proc *out, struct err *err);
/* Blocks until exit, deadline (0 = none) or cancel_fd readable (-1 = none); on the latter two the
 * process group is SIGKILLed and the error is TIMEOUT or CANCELED. status as of waitpid. Closes
 * pidfd. */
int proc_wait(struct proc *p, mono_ms deadline, int cancel_fd, int *status, struct err *err);
void proc_kill(struct proc *p, int sig); /* the process alone; nothing once proc_wait returned */
/* Runs to the end, feeding `in` and gathering up to max bytes of stdout+stderr into out (rest
 * dropped). Returns exit status (128+signal), or -1 with err when it could not run. The pipes take
 * the place of in_fd (when in is not NULL), out_fd, and err_fd (unless > 0: then stderr goes
 * there). What the program leaves running in its process group is killed. */
int proc_run(const struct proc_spec *s, const void *in, size_t in_len, struct buf *out, size_t max,
	     mono_ms deadline, int cancel_fd, struct err *err);
/* "pid starttime" identity, safe against pid reuse. starttime 0 = no such process or a zombie. */
uint64_t proc_starttime(pid_t pid);

#endif
