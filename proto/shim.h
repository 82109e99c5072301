/* shim.h - paasd <-> paas-shim, wire frames over the unix stream socket RUN/dynos/ID/sock.
 *
 * The folder RUN/dynos/ID holds: sock; spec (the launch spec without env, wire frame), pid (shim's
 * "pid starttime"), output (first L_KEEP_OUTPUT bytes of output), spool (log frames that paasd has
 * not taken yet), status (written and renamed into place when the process has ended:
 * "exit N\n" or "signal N\n", then "oom N\n", "ended_us N\n").
 *
 * Any number of clients connect; the first frame says who they are. Frames to a client that does
 * not read are held back up to 256 KiB, then the source is not read (attach) or the client is cut
 * off (supervise). */
#ifndef PROTO_SHIM_H
#define PROTO_SHIM_H

#include "proto/wire.h"

enum shim_frame {
	/* client -> shim */
	SHIM_SUPERVISE = 1, /* wants STATE at once, then BOUND, MEM, EXIT as they happen */
	SHIM_ATTACH = 2, /* S_OFFSET: replay DIR/output from there, then live. One at a time: a new
			    one replaces the old. */
	SHIM_STDIN = 3,	 /* S_DATA */
	SHIM_STDIN_EOF = 4,
	SHIM_RESIZE = 5, /* S_ROWS, S_COLS */
	SHIM_SIGNAL = 6, /* S_SIGNAL to every process of the dyno (SIGKILL: to its init) */
	/* shim -> client */
	/* first, and again when a dyno that waited for its first attach starts:
	 * S_PID (host pid of the init), S_STARTED_US, S_BOUND, S_RUNNING 0/1 */
	SHIM_STATE = 32,
	SHIM_OUTPUT = 33, /* S_DATA, S_OFFSET of its first byte in the whole output */
	SHIM_BOUND = 34,  /* the port is listened on: S_BOUND 1 = reachable, 2 = only on loopback */
	SHIM_MEM =
		35, /* S_MEM_TOTAL, S_MEM_RSS, S_MEM_CACHE, S_MEM_SWAP bytes; S_OOM so far. TOTAL is
		       rss + swap + tmpfs: page cache can be taken back and is no reason for R14 */
	SHIM_EXIT = 36, /* S_EXIT_CODE (128 + signal when killed), S_SIGNAL (0 = exited), S_OOM */
	SHIM_DETACHED =
		37, /* R13: nobody attached in time; R16: did not obey SIGHUP. S_CODE 13 | 16 */
};

enum shim_key {
	S_DATA = 1,
	S_OFFSET = 2,
	S_ROWS = 3,
	S_COLS = 4,
	S_SIGNAL = 5,
	S_PID = 6,
	S_STARTED_US = 7,
	S_BOUND = 8,
	S_RUNNING = 9,
	S_MEM_TOTAL = 10,
	S_MEM_RSS = 11,
	S_MEM_CACHE = 12,
	S_MEM_SWAP = 13,
	S_EXIT_CODE = 14,
	S_OOM = 15,
	S_CODE = 16,
};

#endif
