/* plan.h - what the launcher hands to a shim: the checked spec and everything the launcher decided
 * about it. Travels in a memfd (never in argv or the environment), with open descriptors at fixed
 * numbers. Internal to one release: launcher and shim are installed together. Pure; any thread. */
#ifndef LAUNCHER_PLAN_H
#define LAUNCHER_PLAN_H

#include "proto/launch.h"

/* Descriptors that a shim is started with. Work, slug and binds are detached mounts, ready to be
 * attached (sandbox), or plain O_PATH descriptors (plain, and a slug that is to be copied). What is
 * absent (also the source of an optional bind) is /dev/null. */
enum plan_fd {
	PLAN_FD_PLAN = 3,    /* memfd with the plan */
	PLAN_FD_CTL = 4,     /* seqpacket socket to the launcher, see below */
	PLAN_FD_SECCOMP = 5, /* memfd with the BPF program; sandbox only */
	PLAN_FD_CGROUP = 6,  /* v2 group that the init is born in */
	PLAN_FD_WORK = 7,    /* the dyno's own folder, for the copy or the changes of /app; of a
				sandbox that is entered: its init (a pidfd) */
	PLAN_FD_SLUG = 8,    /* the slug, when the spec has one */
	PLAN_FD_BINDS = 9,   /* one for each bind of the spec, in order */
};

/* Messages on the control socket, one letter and a body. Either end closing it calls the start off.
 *   shim -> launcher   I <pid> <0|1> the init exists and waits: give it cgroup and network; 1 = it
 * was born in PLAN_FD_CGROUP R             set up; runs, or waits for its attach E <id> <msg>
 * cannot: wire id, space, text for people launcher -> shim   G <n><dir>    go on; n = '0' no
 * counters, '1' cgroup v1, '2' v2, in dir */
enum { PLAN_MSG = 1024 };

enum plan_app {			  /* how /app comes to be */
		PLAN_APP_NONE,	  /* a bind of the spec brings it, or it stays empty */
		PLAN_APP_OVERLAY, /* overlay on the idmapped slug */
		PLAN_APP_COPY,	  /* private copy of the slug in work/app */
};

struct plan {
	struct launch_spec spec;
	bool sandbox;	  /* else plain */
	bool upper_tmpfs; /* work lies on a file system that cannot hold an overlay's upper layer */
	bool has_net;	  /* eth0 comes with 'G' */
	bool enter;	  /* what runs already: spec.into */
	enum plan_app app;
	unsigned app_uid, app_gid;     /* of the processes inside */
	unsigned owner_uid, owner_gid; /* paasd's: files of the dyno folder, the shim itself */
	unsigned prefix;
	char ip[16], gateway[16];
	char *dir;  /* RUN/dynos/ID */
	char *run;  /* RUN */
	char *root; /* empty folder that the new root is mounted on */
	char *tmpl; /* template of the stack: etc, usr, var, sys */
	char *work; /* STATE/dynos/ID, for the plain runtime and for people */
};

void launch_plan_clear(struct plan *p);
__attribute__((unused)) static inline void launch_plan_clear_p(struct plan *p)
{
	launch_plan_clear(p);
}
void launch_plan_encode(struct buf *out, const struct plan *p);
int launch_plan_decode(const void *data, size_t n, struct plan *out, struct err *err);

#endif
