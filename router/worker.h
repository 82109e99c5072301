/* worker.h - private to the router's worker side: one loop, its clients, its connections to dynos.
 * Everything here belongs to one worker thread unless said otherwise.
 *
 *   client connection (rt_conn) --- exchange (rt_xchg, one at a time, inside the conn)
 *                                      |
 *   dyno as this worker sees it (rt_wdyno) --- connection to it (rt_up)
 *
 * Who frees what: a conn is freed in its close callback once it has no up; an up likewise; a wdyno
 * and a wapp are counted (exchanges, ups, and their place in the table each hold one). */
#ifndef ROUTER_WORKER_H
#define ROUTER_WORKER_H

#include "daemon/core/clock.h"
#include "daemon/http/http1.h"
#include "router/logline.h"
#include "router/pages.h"
#include "router/rt.h"
#include "router/table.h"

#include <openssl/types.h>

struct rt_tls;
struct rt_worker;
struct rt_conn;
struct rt_up;

/* --- timers.c: per class one list in order of time, and one uv timer for all --------------- */
struct rt_timer {
	struct rt_timer *prev, *next; /* NULL when not set */
	uint64_t at;		      /* loop time, ms */
	enum rt_class cls;
};

void rt_timers_init(struct rt_worker *w);
void rt_timers_close(struct rt_worker *w);
void rt_timer_set(struct rt_worker *w, struct rt_timer *t, enum rt_class cls); /* from now on */
void rt_timer_stop(struct rt_timer *t);
static inline bool rt_timer_is_set(const struct rt_timer *t)
{
	return t->next != NULL;
}
/* A timer of the class has run out (it is stopped already). In conn.c, upstream.c, wapp.c. */
void rt_conn_timeout(struct rt_worker *w, struct rt_timer *t);
void rt_up_timeout(struct rt_worker *w, struct rt_timer *t);
void rt_wdyno_timeout(struct rt_worker *w, struct rt_timer *t);

/* --- out.c: writing with one request in flight and what came meanwhile --------------------- */
struct rt_out {
	uv_stream_t *s;
	uv_write_t req;
	struct buf cur, next; /* being written; to be written after it */
	bool busy;
	bool failed; /* a write failed: what is written from now on is dropped */
	bool ending; /* rt_out_end was called */
	bool ended;
	struct rt_tls *tls; /* borrowed; NULL: what is written goes out as it is */
	uv_shutdown_t shutdown;
	void (*on_drain)(struct rt_out *o); /* all is written, or a write has failed */
};

/* Writes at once what the socket takes and keeps the rest. 0, or a negative uv error. */
int rt_out_write(struct rt_out *o, const uv_buf_t *v, unsigned n);
int rt_out_raw(struct rt_out *o, const uv_buf_t *v, unsigned n); /* below TLS */
/* Once all is written: tells the peer that no more comes. Nothing is written after it. */
void rt_out_end(struct rt_out *o);
static inline bool rt_out_pending(const struct rt_out *o)
{
	return o->busy;
}
void rt_out_clear(struct rt_out *o); /* after the close callback */

/* Pieces of one read that leave in one write: head, chunk size, data, chunk end. */
#define RT_PIECES 60
struct rt_gather {
	struct buf head; /* bytes that go first */
	uv_buf_t data[RT_PIECES];
	unsigned n;
	size_t bytes; /* sum of data */
	bool chunked; /* frame data as a chunk */
	bool last;    /* and end the body */
};
static inline bool rt_gather_full(const struct rt_gather *g)
{
	return g->n == RT_PIECES;
}
/* Writes it all and empties it. */
int rt_gather_flush(struct rt_gather *g, struct rt_out *o);
void rt_gather_reset(struct rt_gather *g);

/* --- wapp.c: apps and dynos as one worker sees them ----------------------------------------- */
struct rt_wdyno {
	struct rt_worker *w;
	struct rt_wapp *app; /* NULL once it is no longer routed to */
	int refs;
	struct rt_dyno def;
	char *socket; /* owned; of the platform, else NULL */
	int inflight; /* requests, tunnels not counted */
	bool watched; /* the control side waits for inflight == 0 */
	bool quarantined;
	struct rt_timer timer;
	struct rt_up *idle; /* last in, first out */
	int nidle;
	struct rt_wdyno *prev, *next; /* all of the worker */
};

struct rt_wapp {
	struct rt_worker *w;
	int refs;
	struct rt_app *def; /* holds a reference */
	bool gone;	    /* no longer in the table */
	struct rt_wdyno **dynos;
	int ndynos, nquarantined;
	struct rt_conn *waiting, *waiting_last; /* oldest first */
	int nwaiting;
	bool waking; /* paasd was asked, since def, to wake it */
};

struct rt_wapp *rt_wapp_of(struct rt_worker *w, struct rt_app *def); /* makes it on first use */
void rt_wapp_unref(struct rt_wapp *a);
/* The table has a new entry (or none: def NULL) for slot. Returns what rt_wapp_release must be
 * called with once all entries of the new table are in place, or NULL. */
struct rt_wapp *rt_wapp_update(struct rt_worker *w, uint32_t slot, struct rt_app *def);
/* Looks again at each request that waits, in order; those that must go on waiting are put back at
 * the end. Takes the caller's reference. */
void rt_wapp_release(struct rt_wapp *a);
/* Uniformly random among those that are up and not set aside; NULL when there is none. */
struct rt_wdyno *rt_wapp_pick(struct rt_wapp *a);
void rt_wapp_wait(struct rt_wapp *a, struct rt_conn *c);
void rt_wapp_unwait(struct rt_wapp *a, struct rt_conn *c);
void rt_wapps_free(struct rt_worker *w);
void rt_wdyno_ref(struct rt_wdyno *d);
void rt_wdyno_unref(struct rt_wdyno *d);
void rt_wdyno_begin(struct rt_wdyno *d); /* one request more in flight */
void rt_wdyno_end(struct rt_wdyno *d);
void rt_wdyno_failed(struct rt_wdyno *d); /* sets it aside, tells paasd */

/* --- upstream.c: connections to dynos -------------------------------------------------------- */
enum rt_up_state { UP_CONNECTING, UP_IDLE, UP_BUSY, UP_TUNNEL, UP_CLOSING };

struct rt_up {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} u;
	struct rt_worker *w;
	struct rt_wdyno *dyno; /* holds a reference */
	struct rt_conn *conn;  /* whose exchange it serves; NULL when idle or closing */
	enum rt_up_state state;
	bool reused;	      /* has served a request before */
	bool paused;	      /* not reading: the client is slower */
	bool eof;	      /* the app has ended its side */
	struct http1 *parser; /* owned */
	struct rt_out out;
	uv_connect_t connect;
	struct rt_timer timer;
	struct rt_up *prev, *next; /* idle list of the dyno */
};

/* An idle connection that is still good, or NULL. probe: make sure of it (a syscall). */
struct rt_up *rt_up_take(struct rt_wdyno *d, bool probe);
/* Starts connecting; the outcome goes to rt_xchg_connected or rt_xchg_connect_failed. */
struct rt_up *rt_up_connect(struct rt_wdyno *d, struct rt_conn *c);
void rt_up_release(struct rt_up *u); /* after a complete exchange: keep it for the next */
void rt_up_close(struct rt_up *u);
void rt_up_close_idle(struct rt_wdyno *d);
void rt_up_pause(struct rt_up *u);
void rt_up_resume(struct rt_up *u);
void rt_up_shutdown(struct rt_up *u); /* after what is pending: tells the app that no more comes */

/* --- conn.c, exchange.c, tunnel.c: clients ---------------------------------------------------- */
enum rt_rdv { RDV_NO, RDV_LINE, RDV_YES }; /* RDV_LINE: its line is coming, in c->in */

enum rt_conn_state {
	CONN_IDLE, /* between requests; a head may be half there */
	CONN_BUSY, /* an exchange is on */
	CONN_TUNNEL,
	CONN_LINGER, /* answered for the last time; reading and dropping */
	CONN_CLOSING,
};

struct rt_xchg {
	struct rt_wapp *app;   /* holds a reference; NULL: no exchange with an app */
	struct rt_wdyno *dyno; /* chosen; holds a reference and counts in its inflight */
	struct rt_up *up;
	uint64_t start, connect_start, sent; /* loop time, ms; 0 = not yet */
	int connect_ms;			     /* -1 = not attempted */
	int64_t wall;			     /* ms */
	char uuid[37];
	struct http1_str id; /* into the head or uuid */
	uint8_t tries;
	uint8_t interim; /* 1xx answers seen */
	bool counted;	 /* in the app's open requests */
	bool waiting;	 /* in the app's list */
	bool req_done;	 /* the whole request was handed over */
	bool body_used;	 /* octets of the body were: no second try */
	bool want_upgrade;
	bool head_request;
	bool interim_now; /* the message being read is a 1xx */
	bool final;	  /* the final answer's head went to the client */
	bool resp_done;
	bool resp_chunked; /* to the client */
	bool until_close;  /* to the client: the body ends with the connection */
	bool refused;	   /* the last failed attempt was refused rather than late */
	int status;
	uint64_t bytes; /* of the body to the client */
	struct rt_conn *wait_prev, *wait_next;
};

struct rt_conn {
	uv_tcp_t tcp;
	struct rt_worker *w;
	const struct rt_listen *listen;
	enum rt_conn_state state;
	bool eof;	  /* the client has ended its side */
	bool paused;	  /* not reading */
	bool last;	  /* this answer is the last on the connection */
	bool client_last; /* because the client said so, and all of its request was read */
	bool fresh;	  /* nothing has come yet: it may speak TLS */
	bool first;	  /* TLS is up, nothing has come over it */
	enum rt_rdv rdv;
	bool served;	      /* has had an answer */
	bool pumping;	      /* conn_feed is on the stack */
	bool tunnelled;	      /* the exchange became a tunnel: no longer in flight */
	bool reset;	      /* close with a reset: the end of the answer must not look regular */
	struct http1 *parser; /* owned */
	struct rt_out out;
	struct rt_tls *tls; /* owned; NULL = plain */
	struct buf held;    /* rendezvous.c */
	struct buf in;	    /* read ahead: pipelined requests, a body whose dyno is not there yet */
	struct rt_timer timer;
	size_t lingered; /* bytes dropped */
	char peer[INET6_ADDRSTRLEN];
	size_t queued;	/* bytes not yet taken by the socket when the clock last looked */
	char *log_head; /* owned; of a tunnel, whose parser is free already */
	struct rt_xchg x;
	struct rt_conn *prev, *next; /* all of the worker */
};

/* conn.c */
void rt_conn_accept(struct rt_worker *w, uv_stream_t *listener, const struct rt_listen *l);
/* As accept, of a descriptor; takes fd. */
void rt_conn_adopt(struct rt_worker *w, int fd, const struct rt_listen *l);
void rt_conn_data(struct rt_conn *c, const char *p, size_t n); /* what the client sent */
void rt_conn_eof(struct rt_conn *c);			       /* and that it sends no more */
void rt_conn_close(struct rt_conn *c);
void rt_conn_pause(struct rt_conn *c);
void rt_conn_resume(struct rt_conn *c);
/* Goes on with what was read ahead, writes what is gathered for the app. */
void rt_conn_pump(struct rt_conn *c);
/* The exchange is over and logged: next request, or goodbye. */
void rt_conn_next(struct rt_conn *c);
/* Answers by ourselves; then as rt_conn_next. The exchange must be over. */
void rt_conn_answer(struct rt_conn *c, const struct buf *text);
void rt_conn_linger(struct rt_conn *c);

/* tls.c */
#define RT_TLS_OCTET 0x16	      /* the first of a TLS connection, and of no HTTP request */
bool rt_tls_start(struct rt_conn *c); /* false: it cannot be served */
void rt_tls_data(struct rt_conn *c, const char *p, size_t n); /* as read from the socket */
int rt_tls_write(struct rt_tls *t, const uv_buf_t *v, unsigned n);
void rt_tls_goodbye(struct rt_tls *t); /* close_notify, once; only while nothing is pending */
void rt_tls_closing(struct rt_conn *c);
void rt_tls_free(struct rt_tls *t);    /* NULL is fine */
void rt_tls_wake(struct rt_worker *w); /* any thread: look again for certificates */
void rt_tls_worker_free(struct rt_worker *w);

/* rendezvous.c: `heroku run` begins its TLS connection with a line that is no HTTP request */
void rt_rendezvous_first(struct rt_conn *c, const char *p, size_t n);
void rt_rendezvous_line(struct rt_conn *c, const char *p, size_t n);
int rt_rendezvous_write(struct rt_conn *c, const char *p, size_t n, bool last);

/* exchange.c */
void rt_xchg_start(struct rt_conn *c);	     /* a request head is complete */
void rt_xchg_bad_request(struct rt_conn *c); /* the parser refused it */
void rt_xchg_dispatch(struct rt_conn *c);    /* finds a dyno, or waits, or gives up */
void rt_xchg_connected(struct rt_conn *c, struct rt_up *u);
void rt_xchg_connect_failed(struct rt_conn *c, struct rt_up *u, bool timed_out);
void rt_xchg_body(struct rt_conn *c, const char *p, size_t n); /* request body */
void rt_xchg_body_end(struct rt_conn *c);
void rt_xchg_flush(struct rt_conn *c);
void rt_xchg_client_gone(struct rt_conn *c); /* reset, or a write to it failed */
void rt_xchg_client_cut(struct rt_conn *c);  /* ended its side within a body */
void rt_xchg_client_drained(struct rt_conn *c);
void rt_xchg_app_drained(struct rt_conn *c);
void rt_xchg_timeout(struct rt_conn *c, enum rt_class cls);
void rt_xchg_fail(struct rt_conn *c, enum rt_code code, const char *extra);
void rt_xchg_route_gone(struct rt_conn *c); /* the app was deleted while the request waited */
bool rt_xchg_can_read_body(const struct rt_conn *c);
bool rt_xchg_try_again(struct rt_conn *c); /* true: under way again, or answered */
void rt_xchg_touch(struct rt_conn *c);	   /* octets moved: the clock of silence starts anew */
void rt_xchg_end(struct rt_conn *c);	   /* lets go of dyno and app; the caller goes on with c */
void rt_xchg_uncount(struct rt_conn *c);
void rt_xchg_tunnelled(struct rt_conn *c); /* from a request to a tunnel */

/* response.c */
void rt_resp_read(struct rt_up *u, const char *p, size_t n);
void rt_resp_eof(struct rt_up *u, bool reset);
void rt_resp_finish(struct rt_conn *c); /* the answer is complete and written: log, next */

/* tunnel.c */
void rt_tunnel_start(struct rt_conn *c, const char *early, size_t n);
void rt_tunnel_from_client(struct rt_conn *c, const char *p, size_t n);
void rt_tunnel_from_app(struct rt_up *u, const char *p, size_t n);
void rt_tunnel_client_eof(struct rt_conn *c);
void rt_tunnel_app_eof(struct rt_up *u);
void rt_tunnel_drained(struct rt_conn *c);
void rt_tunnel_end(struct rt_conn *c, enum rt_code code, const char *extra);

/* xlog of requests: logreq.c */
void rt_log_request(struct rt_conn *c, enum rt_code code, const char *extra);
char *rt_log_head(const struct rt_conn *c); /* method=... fwd="..."; the caller frees */

/* --- worker.c --------------------------------------------------------------------------------- */
struct rt_change {
	uint32_t slot;
	struct rt_app *app; /* NULL = deleted; borrowed from the publication */
};

/* One new table on its way to all workers. Made and freed by the control side. */
struct rt_pub {
	const struct rt_table *table;
	const struct rt_change *changes;
	int nchanges;
	_Atomic int left;	  /* workers that have not taken it */
	void (*taken)(void *pub); /* posted to the main loop by the last */
	struct loop *main_loop;
};

struct rt_listener {
	uv_tcp_t tcp;
	struct rt_worker *w;
	const struct rt_listen *listen;
};

struct rt_worker {
	struct rt *rt;
	int index;
	struct loop *loop;
	uv_loop_t *uv;
	const struct rt_table
		*table;		/* borrowed from the control side until the next one is taken */
	struct rt_wapp **wapps; /* by slot */
	uint32_t nwapps;
	struct rt_wdyno *dynos; /* all */
	struct rt_conn *conns;	/* all but those closing */
	int nconns, max_conns;
	int open_handles; /* conns and ups whose close callback is still to come */
	struct rt_listener *listeners;
	int nlisteners;
	struct rt_timer lists[RT_T_COUNT];
	uv_timer_t clock;
	uint64_t clock_at; /* 0 = not running */
	struct rt_gather to_app, to_client;
	struct buf page, line; /* scratch */
	struct rt_logbuf log;
	uv_timer_t log_timer;
	bool log_armed;
	uint64_t rnd;
	unsigned char rnd_pool[1024];
	unsigned rnd_left;
	_Atomic uint64_t requests;
	bool quitting, finished;
	uv_timer_t quit_timer;
	struct { /* tls.c; the last two are touched by TLS only, and as far as needed */
		SSL_CTX *ctx;		      /* owned; NULL before the first TLS client */
		struct bio_method_st *method; /* owned */
		int handshakes;		      /* under way */
		struct rt_tls *waiting;
		const char *in; /* what the BIO reads: part of what was just read */
		size_t in_n;
		struct buf out; /* what it has written */
		char stage[16384];
		char plain[RT_READ_BYTES + 18 * 1024];
	} tls;
	char rbuf[RT_READ_BYTES];
};

struct rt_worker *rt_worker_new(struct rt *rt, int index);
/* Before the thread starts, or by a listener per worker. fd is taken. */
int rt_worker_listen(struct rt_worker *w, int fd, const struct rt_listen *l, struct err *err);
void rt_worker_free(struct rt_worker *w); /* after loop_join */
/* Any thread: each posts to the worker's loop. */
void rt_worker_publish(struct rt_worker *w, struct rt_pub *pub);
void rt_worker_quit(struct rt_worker *w, uint64_t timeout_ms);
/* How many requests are in flight to a dyno? answer(ask) is posted to the main loop at once; unless
 * `now`, rt_control_drained is called later too, when a number that was not 0 has come down to it.
 */
struct rt_drain_ask {
	char dyno_id[64];
	bool now;
	void (*answer)(void *ask); /* on the main loop; frees the ask */
	void *arg;
	uint32_t drain, round;
	int worker, left;
};
void rt_worker_drain(struct rt_worker *w, struct rt_drain_ask *ask);
/* Worker thread. */
uint64_t rt_random(struct rt_worker *w);
void rt_uuid(struct rt_worker *w, char out[37]);
void rt_worker_check_quit(struct rt_worker *w);
void rt_worker_log(struct rt_worker *w, const char *app_id, const char *text, size_t n);
static inline uint64_t rt_now(const struct rt_worker *w)
{
	return uv_now(w->uv);
}

#endif
