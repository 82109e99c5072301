/* rt.h - what the parts of paas-router share: options, the process-wide state, small helpers.
 *
 * Threads: the main thread runs `main_loop` (control socket, snapshot, log shipping, signals); each
 * worker runs its own loop and owns every connection that it accepted. Between them only loop_post.
 * The router includes proto/, daemon/core/ and daemon/http/http1.h, nothing else of the daemon. */
#ifndef ROUTER_RT_H
#define ROUTER_RT_H

#include "daemon/core/loop.h"
#include "proto/buf.h"
#include "proto/limits.h"

#include <netinet/in.h>
#include <stdatomic.h>

#define RT_NAME		 "paas-router" /* in Via */
#define RT_READ_BYTES	 (64 * 1024)
#define RT_MAX_LISTEN	 16
#define RT_MAX_WORKERS	 64
#define RT_MAX_TRIES	 10
#define RT_IDLE_PER_DYNO 128 /* kept-alive connections of one worker to one dyno */

/* Every clock of the router. Each is one ordered list, so the time of a class is a constant. */
enum rt_class {
	RT_T_HEAD,	 /* a request head, from its first octet */
	RT_T_IDLE,	 /* a client connection between requests */
	RT_T_FIRST,	 /* the answer's first octet, once the request was passed on (H12) */
	RT_T_BETWEEN,	 /* silence while a body or a tunnel is open (H15, H28) */
	RT_T_QUEUE,	 /* waiting for a dyno (H20, H99) */
	RT_T_CONNECT,	 /* one connection attempt */
	RT_T_UPIDLE,	 /* an unused connection to a dyno */
	RT_T_QUARANTINE, /* a dyno that refused or timed out is set aside */
	RT_T_TLS,	 /* a handshake, from its first octet */
	RT_T_LINGER,	 /* reading and dropping after a last answer */
	RT_T_PQUEUE,	 /* waiting for the platform's own socket */
	RT_T_PRETRY,	 /* between two attempts at it */
	RT_T_PBETWEEN,	 /* silence on a platform request: pushes and log tails last */
	RT_T_COUNT
};

struct rt_opts {
	const char *run_dir;	 /* borrowed from argv */
	const char *error_pages; /* folder, or NULL */
	int workers;
	int per_dyno;	  /* open requests per dyno before H11 */
	uint64_t quit_ms; /* longest wait for requests in flight after SIGTERM */
	uint32_t ms[RT_T_COUNT];
};

struct rt_listen {
	struct sockaddr_storage addr;
	int port;
	int fd;	       /* passed by the service manager, or -1 */
	char text[64]; /* "127.0.0.1:8080", port as bound */
};

struct rt {
	struct rt_opts opts;
	struct loop *main_loop;
	struct rt_listen listens[RT_MAX_LISTEN];
	int nlistens;
	struct rt_worker *workers[RT_MAX_WORKERS];
	struct rt_ctl *ctl;
	struct rt_certs *certs;
	struct rt_ship *ship;
	struct rt_pages *pages;
	int workers_left; /* main thread: workers that have not finished yet */
	bool stopping;	  /* main thread: quit has begun */
	int ship_waits;	  /* main thread: looks left at whether the last log lines were taken */
};

/* rt.c. Main thread. */
void rt_opts_init(struct rt_opts *o);
int rt_opts_timeout(struct rt_opts *o, const char *name_value, struct err *err); /* "first=300" */
/* "ADDR:PORT[,ADDR:PORT]", IPv6 in brackets; adds to r->listens. */
int rt_listen_parse(struct rt *r, const char *list, struct err *err);
int rt_listen_inherit(struct rt *r, struct err *err); /* LISTEN_FDS; 0 when there are none */
/* Sets up everything; r is zeroed but for opts and listens. On failure the caller just exits. */
int rt_start(struct rt *r, struct err *err);
void rt_run(struct rt *r);  /* until rt_quit is done */
void rt_stop(struct rt *r); /* frees all; after rt_run */
void rt_quit(struct rt *r, uint64_t timeout_ms);
void rt_worker_done(void *rt); /* posted by a worker that has finished */

/* Room for one more in an array of n that only this has grown. */
static inline void *rt_grow(void *p, int n, size_t size)
{
	return (n & (n - 1)) == 0 ? xrealloc(p, (size_t)(n ? 2 * n : 1) * size) : p;
}

/* FNV-1a: routes are few and their names are not chosen to collide by those who may set them. */
static inline uint32_t rt_hash(const char *p, size_t n)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)p[i]) * 16777619u;
	return h;
}

#endif
