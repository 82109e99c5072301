/* cgroup.h - limits of dynos, whatever the host offers: cgroup v2 by hand, v1 hierarchies, systemd
 * scopes, or nothing. Every group's name holds the instance and the dyno's id. Blocking. */
#ifndef LAUNCHER_CGROUP_H
#define LAUNCHER_CGROUP_H

#include "proto/launch.h"
#include <sys/types.h>

enum cg_kind { CG_NONE, CG_V2, CG_V1, CG_SYSTEMD };

enum { CG_MEMORY, CG_PIDS, CG_CPU, CG_TRACK, CG_TREES };

struct cg {
	enum cg_kind kind;
	char name[16];	       /* of the instance: paasd7 */
	char *trees[CG_TREES]; /* owned: the instance's folder in each hierarchy in use, or NULL */
};

/* Looks at what is mounted and writable (lack: pretends that nothing is); why[] says in plain words
 * what is missing ("" = nothing).
 */
void cg_open(struct cg *c, const char *instance, bool lack, char why[200]);
void cg_close(struct cg *c);
const char *cg_kind_name(const struct cg *c); /* as in L_LIMITS */

int cg_create(const struct cg *c, const struct launch_spec *s, struct err *err);
/* The dyno's group in the v2 tree, for CLONE_INTO_CGROUP: being born there costs nothing, while
 * moving a process waits for the whole machine (an RCU grace period, about 15 ms). -1 = none. */
int cg_open_group(const struct cg *c, const char *id);
/* Moves pid (and what it will fork) into the dyno's group. meter: "1" or "2" and the folder of the
 * counters, "0" when there is none; as the message G of launcher/plan.h wants it. born: it is in
 * the group of cg_open_group() already. */
/* pid joins the groups that dyno id has; born: it was born in its v2 group. */
int cg_join(const struct cg *c, const char *id, pid_t pid, bool born, struct err *err);
int cg_place(const struct cg *c, const struct launch_spec *s, pid_t pid, bool born, char *meter,
	     size_t cap, struct err *err);
/* Kills everything in the dyno's group and waits until it is gone. */
int cg_kill(const struct cg *c, const char *id, int ms, struct err *err);
int cg_remove(const struct cg *c, const char *id, struct err *err);
void cg_list(const struct cg *c, void (*each)(const char *id, void *arg), void *arg);
/* Removes the instance's own folders, which must be empty. */
void cg_finish(const struct cg *c);

/* scope.c: a transient systemd scope around pid, by sd-bus from libsystemd.so.0 when it can be
 * loaded. */
bool scope_available(void);
int scope_start(const char *unit, const struct launch_spec *s, pid_t pid, struct err *err);

#endif
