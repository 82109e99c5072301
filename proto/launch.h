/* launch.h - paasd -> paas-launcher: the closed list of root-only verbs, over wire frames on the
 * unix stream socket RUN/launcher.sock (0600, owner paasd). One request at a time a connection; the
 * launcher answers each with LAUNCH_OK or LAUNCH_ERR before it reads the next. The launcher parses
 * nothing from the network, trusts nobody: every path is checked to lie in the state or run
 * directory it was started with, every uid in its own range. Pure codecs; any thread. */
#ifndef PROTO_LAUNCH_H
#define PROTO_LAUNCH_H

#include "proto/wire.h"

enum launch_frame {
	LAUNCH_HELLO = 1,  /* -> LAUNCH_INFO: what this host offers */
	LAUNCH_CREATE = 2, /* a launch_spec -> LAUNCH_OK {L_IP, L_PID} once the process runs, or
			      LAUNCH_ERR */
	LAUNCH_REMOVE = 3, /* L_ID: kill what is left, free cgroup/veth/mounts, delete RUN/dynos/ID.
			      Idempotent: nothing there is success. */
	LAUNCH_RMTREE = 4, /* L_PATH below the state or run directory: delete a tree of any owner */
	LAUNCH_LIST = 5, /* -> LAUNCH_OK with one L_ID for every sandbox that holds a resource, once
			  * all that was sent before it, on any connection, is done */
	LAUNCH_SHUTDOWN =
		6, /* L_FLAGS 1 = also every dyno, bridge, nft table: leave nothing. Exits. */
	LAUNCH_ENTER = 7,  /* a launch_spec with L_INTO -> as CREATE: runs the command inside the
			      sandbox of a dyno that runs, as its user, under its limits. No slug, no
			      binds. It ends with that dyno; L_ID names what LAUNCH_REMOVE ends. */
	LAUNCH_VOLUME = 8, /* L_ID, L_SIZE: makes that volume or lets it grow (0 = just looks)
			      -> LAUNCH_OK {L_QUOTA, L_SIZE, L_USED} */
	LAUNCH_VOLUME_REMOVE = 9, /* L_ID. Idempotent. */
	LAUNCH_VOLUME_COPY = 10, /* L_ID, L_TTL_S (how long it may take no writes), L_SIZE (bytes of
				    disk to be left) -> LAUNCH_OK {L_QUOTA, L_SIZE} with a
				    descriptor: of a copy of the image as of one moment, or of the
				    folder */
	LAUNCH_OK = 64,
	LAUNCH_ERR = 65,  /* L_ERR_ID, L_MSG */
	LAUNCH_INFO = 66, /* L_RUNTIME, L_LIMITS, L_GATEWAY, L_NOTE* */
};

enum launch_key {
	L_ID = 1,      /* str: uuid of this run of a dyno; names the folder RUN/dynos/ID */
	L_APP_ID = 2,  /* str uuid */
	L_NAME = 3,    /* str "web.1", "run.9157", "build.1": host name, log process */
	L_APP_UID = 4, /* u64 index of the app, 0..65535: uid = base of the instance + index */
	L_STDIO = 5,   /* u64 enum launch_stdio */
	L_ARGV = 6,    /* str, repeated, in order */
	L_ENV = 7,     /* str NAME=value, repeated; never on a command line */
	L_CWD = 8,     /* str, default /app */
	L_SLUG = 9,  /* str absolute path of the read-only lower layer of /app; absent for builds */
	L_BIND = 10, /* bytes: launch_bind encoded as "flags\0src\0dst\0", repeated */
	L_NET = 11,  /* u64 1 = own network namespace with egress; 0 = only loopback */
	L_PORT = 12, /* u64: when not 0 the shim watches for a listener on it (SHIM_BOUND) */
	L_MEM_QUOTA = 13,  /* u64 bytes: R14 above it; 0 = none */
	L_MEM_MAX = 14,	   /* u64 bytes: the kernel's hard limit; 0 = none */
	L_PIDS_MAX = 15,   /* u64 */
	L_CPU_WEIGHT = 16, /* u64 1..10000, 100 = normal */
	L_CPU_PCT = 17,	   /* u64 percent of one core; 0 = no cap */
	L_ROWS = 18,	   /* u64 pty size */
	L_COLS = 19,
	L_ON_DETACH = 20, /* u64 enum launch_detach */
	L_ATTACH_MS =
		21,   /* u64: wait this long for the first attach before exec; 0 = do not wait */
	L_TTL_S = 22, /* u64: SIGTERM, then SIGKILL, after this; 0 = no limit */
	L_KEEP_OUTPUT = 23, /* u64 bytes of output kept in DIR/output for late attaches; 0 = none */
	L_LOG = 24,	    /* u64 1 = output goes to RUN/log.sock as app[NAME] lines */
	L_METRICS_MS = 25,  /* u64 memory sampling period; default 20000 */
	L_RELEASE = 26,	    /* str, for people reading dyno folders */
	L_STACK = 27,	    /* str name of the root file system; "" = the host's own /usr */
	L_TMP_BYTES = 28,   /* u64 size of the tmpfs /tmp; 0 = default (256 MiB) */
	L_INTO = 29,	    /* str: L_ID of the dyno to enter */
	L_REACH = 30,	/* str "IP:PORT", repeated: services that it may open TCP connections to;
			   everything else on the bridge stays refused */
	L_ADDRESS = 31, /* u64 1..LAUNCH_ADDRESSES: a fixed address of the reserved range, which
			   no dyno gets by chance; 0 = any of the others */
	L_SIZE = 32,	/* u64 bytes that a volume may hold */
	L_USED = 33,	/* u64 bytes that it holds */
	L_QUOTA = 34,	/* str: what keeps it below its size: "image" = a file system of its own,
			   "none"   = nothing: this host cannot */
	L_IP = 40,	/* str IPv4 of the dyno as the router reaches it (127.0.0.1 under plain) */
	L_PID = 41,	/* u64 pid of the shim */
	L_ERR_ID = 42,	/* str wire id of errors.def */
	L_MSG = 43,	/* str */
	L_PATH = 44,
	L_FLAGS = 45,
	L_RUNTIME = 46, /* str "sandbox" | "plain" */
	L_LIMITS = 47,	/* str "cgroup2" | "cgroup1" | "systemd" | "none" */
	L_GATEWAY = 48, /* str IPv4 of the host as dynos see it; "" under plain */
	L_NOTE = 49,	/* str, repeated: what is missing on this host, for people */
};

enum launch_stdio {
	LAUNCH_LINES = 0, /* two pipes merged in order, stdin /dev/null */
	LAUNCH_PIPE = 1,  /* as LINES with a stdin that the attached client feeds */
	LAUNCH_PTY = 2,	  /* own pty, controlling terminal */
};

enum launch_detach {
	LAUNCH_KEEP = 0,   /* goes on without a client */
	LAUNCH_HANGUP = 1, /* SIGHUP to all every 5 s, R16 in the log, SIGKILL after 30 s */
	LAUNCH_KILL = 2,   /* SIGKILL at once: builds */
};

enum launch_bind_flags {
	BIND_RO = 1,
	BIND_IDMAP = 2, /* files owned by paasd on disk belong to the app inside */
	BIND_OPTIONAL = 4,
	BIND_HOST = 8, /* under the plain runtime, which cannot bind: not refused, the process uses
			  src as it is and owns what is in it */
	BIND_VOLUME = 16, /* src is a volume, STATE/volumes/ID: what it holds is bound */
	BIND_FLAGS = 31,
};

/* Fixed addresses: the last LAUNCH_ADDRESSES + 2 of the instance's subnet, whose prefix is 17. */
enum { LAUNCH_SUBNET_PREFIX = 17, LAUNCH_FIXED_PREFIX = 21, LAUNCH_ADDRESSES = 2046 };

/* A service that a sandbox may open connections to, by the index of its fixed address. */
struct launch_way {
	unsigned address;
	int port;
};

struct launch_bind {
	unsigned flags;
	char *src, *dst; /* owned */
};

struct launch_spec {
	char id[37], app_id[37];
	char into[37]; /* "" = a sandbox of its own */
	char name[160];
	unsigned app_uid;
	enum launch_stdio stdio;
	char **argv, **env; /* owned, NULL-terminated */
	int argc, envc;
	char *cwd, *slug, *release, *stack; /* owned; may be NULL */
	struct launch_bind *binds;	    /* owned */
	int nbinds;
	char **reach; /* owned, NULL-terminated: "IP:PORT" */
	int nreach;
	bool net, log;
	int port;
	unsigned address;
	uint64_t mem_quota, mem_max, pids_max, tmp_bytes, keep_output;
	unsigned cpu_weight, cpu_pct, rows, cols, metrics_ms;
	enum launch_detach on_detach;
	unsigned attach_ms, ttl_s;
};

void launch_spec_clear(struct launch_spec *s);
void launch_spec_arg(struct launch_spec *s, const char *arg);
void launch_spec_env(struct launch_spec *s, const char *name, const char *value);
void launch_spec_bind(struct launch_spec *s, const char *src, const char *dst, unsigned flags);
void launch_spec_reach(struct launch_spec *s, const char *ip, int port);
/* The subnet of the n-th instance that a host can have (n below LAUNCH_SUBNETS), host byte order;
 * its gateway is the first address of it. */
enum { LAUNCH_SUBNETS = 256 };
uint32_t launch_subnet(unsigned n);
/* The fixed address of that index (1..LAUNCH_ADDRESSES), from the address of the host as dynos see
 * it (L_GATEWAY). False: there is none; under the plain runtime it is 127.0.0.1. */
bool launch_fixed_ip(const char *gateway, unsigned index, char ip[16]);
void launch_spec_encode(struct buf *out, uint16_t frame_type, const struct launch_spec *s);
/* Of LAUNCH_CREATE and LAUNCH_ENTER. */
int launch_spec_decode(struct wire_frame *f, struct launch_spec *out, struct err *err);

#endif
