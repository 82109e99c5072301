/* host.h - one instance of the launcher: where it lives, what the host offers, what it is called.
 * Private to the launcher. One thread; children are forked for work that takes long. */
#ifndef LAUNCHER_HOST_H
#define LAUNCHER_HOST_H

#include "launcher/cgroup.h"
#include "launcher/plan.h"

enum {
	HOST_PORTS = 64,
	HOST_RO = 16,
	HOST_NOTES = 8,
	HOST_PREFIX = LAUNCH_SUBNET_PREFIX,
	HOST_IPS = 1 << (32 - HOST_PREFIX),
	HOST_FIXED = HOST_IPS - (1 << (32 - LAUNCH_FIXED_PREFIX)), /* offset of fixed addresses */
	HOST_UIDS = 65536,
	HOST_REACH = 256, /* services that one sandbox may reach */
};

/* What --without pretends to be missing, so that tests see what happens on such hosts. */
enum { LACK_IDMAP = 1, LACK_UPPER = 2, LACK_NFT = 4, LACK_LIMITS = 8, LACK_LOOP = 16 };

struct host {
	/* given */
	const char *run_arg, *state_arg, *shim, *dns;
	const char *runtime; /* auto | sandbox | plain */
	unsigned lack;	     /* LACK_* */
	unsigned ports[HOST_PORTS];
	int nports;
	const char
		*ro[HOST_RO]; /* folders besides state and run that read-only binds may come from */
	int ro_fd[HOST_RO], nro;
	/* found */
	char *run, *state; /* owned, real paths */
	int run_fd, state_fd, lock_fd, slot_fd, filter_fd;
	int dynos_fd; /* STATE/dynos, checked to be root's own: never looked up by name again */
	uid_t owner;
	gid_t owner_gid;
	bool root, sandbox, idmap, upper_tmpfs, net, nft;
	char notes[HOST_NOTES][200];
	int nnotes;
	/* the instance */
	int slot;
	char bridge[16], name[16]; /* paas7, paasd7: nft table, cgroups */
	uint32_t subnet, gateway;  /* host byte order */
	char gateway_text[16];
	unsigned uid_base;
	uint8_t ips[HOST_IPS / 8]; /* taken addresses, by offset */
	unsigned ip_next;
	struct cg cg;
};

/* --- host.c --- */
/* Fills in everything; notes say what the host lacks. */
int ln_host_open(struct host *h, struct err *err);
/* (Re)opens STATE/dynos as dynos_fd. FORBIDDEN when it is not ours. */
int ln_open_dynos(struct host *h, struct err *err);
void ln_host_close(struct host *h);
/* flock, with a second of patience: a child that a killed launcher had just forked holds copies of
 * its locks until it execs. */
int ln_lock(int fd);
void ln_host_note(struct host *h, const char *fmt, ...) PRINTF(2, 3);
/* Removes all that exists of the instance besides its dynos: bridge, table, groups, slot, folders.
 */
void ln_host_erase(struct host *h);

/* --- slot.c: which instance of this machine are we? --- */
/* Root's own folder for what instances share: slot files, and `box`, an empty folder on which each
 * launcher mounts its templates, in its own mount namespace. */
#define LN_SLOTS "/run/paasd-slots"
#define LN_BOX	 LN_SLOTS "/box"
int ln_slot_claim(struct host *h, struct err *err);
void ln_slot_names(struct host *h, int slot);
void ln_slot_release(struct host *h);
/* Turns forwarding on for the namespace; the last instance in it turns it off again. */
int ln_slot_forward_on(struct host *h, struct err *err);
void ln_slot_forward_off(struct host *h);

/* --- net.c --- */
int ln_net_open(struct host *h, struct err *err); /* bridge and fence */
void ln_net_close(struct host *h);
void ln_net_veth_name(const struct host *h, const char *id, char out[16]);
int ln_net_attach(struct host *h, const char *id, pid_t init, uint32_t ip, struct err *err);
int ln_net_detach(struct host *h, const char *id, struct err *err);
uint32_t ln_net_ip_take(struct host *h); /* 0 = none free */
/* The fixed address of that index. 0 = somebody has it. */
uint32_t ln_net_ip_fixed(struct host *h, unsigned index);
/* A service that a sandbox may reach. */
struct reach {
	uint32_t ip;
	unsigned port;
};
/* "IP:PORT" of a fixed address of this instance. */
bool ln_net_reach_parse(const struct host *h, const char *text, struct reach *out);
/* Opens (or closes) the way from the sandbox at ip to each of n services; without a fence there is
 * none. What is open or closed already is success. */
int ln_net_reach(struct host *h, uint32_t ip, const struct reach *to, int n, bool open,
		 struct err *err);
void ln_net_ip_mark(struct host *h, uint32_t ip, bool taken);
void ln_net_ip_text(uint32_t ip, char out[16]);
uint32_t ln_net_ip_parse(const char *text); /* 0 = no address */
/* Name servers that dynos can use, from --dns or the host's files; "" = none. */
void ln_net_resolvers(const struct host *h, char out[3][16]);

/* --- stack.c: what of the host dynos see --- */
/* Own mount namespace, and in it the template of the host's stack. */
int ln_stack_open(struct host *h, struct err *err);
/* Path of a stack's template, made on first use. NULL with err: no such stack. Owned by caller. */
char *ln_stack_path(struct host *h, const char *stack, struct err *err);

/* --- idmap.c --- */
/* A user namespace in which the owner is the app; cached, borrowed. */
int ln_idmap_userns(const struct host *h, unsigned uid, struct err *err);
/* A detached clone of the mount at fd. uid 0 = not idmapped. */
int ln_idmap_tree(const struct host *h, int fd, bool ro, unsigned uid, struct err *err);
/* Whether idmapped lower layers and an upper layer on the state's file system work here. */
void ln_idmap_probe(struct host *h);

/* --- volume.c: STATE/volumes/ID, root's own; each a sparse file with a file system, mounted by
 * loop for the moment of a bind, and as long as dynos have it --- */
struct volume_info {
	char quota[16]; /* as L_QUOTA */
	uint64_t size, used;
};
/* Blocks for as long as making or growing a file system takes: in a forked child. size 0 = looks.
 * NOT_FOUND, INVALID_PARAMS (smaller than it is), DISK_FULL. */
int ln_volume(struct host *h, const char *id, uint64_t size, struct volume_info *out,
	      struct err *err);
int ln_volume_remove(struct host *h, const char *id, struct err *err);
/* A detached clone of what the volume holds, the app's inside; as ln_idmap_tree. */
int ln_volume_tree(struct host *h, const char *id, bool ro, unsigned uid, unsigned gid,
		   struct err *err);

/* --- filter.c --- */
int ln_filter_make(struct err *err); /* memfd with the BPF program */

/* --- dyno.c: going up --- */
struct start { /* a dyno on its way up */
	struct plan plan;
	uint32_t ip;
	pid_t shim;
	int ctl;   /* seqpacket to the shim */
	bool made; /* its folders are ours: a failure undoes them */
};
void ln_start_clear(struct start *s);
/* Takes the spec. On success the shim runs and will talk on ctl. */
int ln_dyno_start(struct host *h, struct launch_spec *spec, struct start *out, struct err *err);
/* The shim says its init is `pid`; born = in its v2 cgroup. */
int ln_dyno_place(struct host *h, struct start *s, pid_t pid, bool born, struct err *err);

/* --- bury.c: going away. All block: call them in a forked child. --- */
/* Until nothing is left of the dyno. */
int ln_dyno_remove(struct host *h, const char *id, struct err *err);
int ln_dyno_remove_all(struct host *h, struct err *err);
/* Deletes a folder that a dyno may have written to. */
int ln_dyno_rmtree(struct host *h, const char *path, struct err *err);

/* --- record.c: what there is --- */
uint32_t ln_dyno_ip(struct host *h, const char *id); /* 0 = had none */
/* What every dyno that there is may reach, as its record says. */
void ln_dyno_each_reach(struct host *h,
			void (*each)(uint32_t from, const struct reach *to, void *arg), void *arg);
/* Every id that holds a resource; each once. */
int ln_dyno_list(struct host *h, char (**ids)[37]);
void ln_dyno_load_ips(struct host *h);

/* --- serve.c --- */
int launcher_serve(struct host *h, struct err *err); /* until shutdown or SIGTERM */

#endif
