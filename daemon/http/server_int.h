/* server_int.h - private to server*.c: connections, exchanges, and who may touch what.
 *
 * Two owners share a struct http_x: the loop (through its connection) and the code that answers (a
 * handler on the loop or threads). Fields under `lock` are theirs together; each holds a reference,
 * and whoever drops the last frees. When the connection dies first, x->conn becomes NULL and the
 * answering code goes on with an orphan until its http_end. */
#ifndef HTTP_SERVER_INT_H
#define HTTP_SERVER_INT_H

#include "daemon/http/server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <zlib.h>

#define HTTP_SCRATCH  (64 * 1024)  /* one read; also the most that is kept of pipelined input */
#define HTTP_IN_HIGH  (128 * 1024) /* body bytes waiting for http_read: stop reading above */
#define HTTP_OUT_HIGH (256 * 1024) /* answer bytes waiting: http_write blocks above */
#define HTTP_OUT_LOW  (64 * 1024)  /* http_on_drain is called below */
#define HTTP_DRAIN_MAX \
	(256 * 1024) /* unread rest of a body that is read away to keep a connection */

enum timeout_class { T_IDLE, T_HEAD, T_BODY, T_HALF, T_LINGER, T_WRITE, T_COUNT };

/* Connections of one class, in order of their deadlines: all of a class wait equally long. */
struct timeout_node {
	TAILQ_ENTRY(timeout_node) link;
	struct http_conn *conn;
	uint64_t deadline; /* uv_now */
	uint8_t class;	   /* T_COUNT = on no list */
};
TAILQ_HEAD(timeout_list, timeout_node);

struct http_server {
	struct loop *loop;
	http_handler *handler;
	void *arg;
	struct {
		struct timeout_list list;
		uv_timer_t timer;
		uint64_t ms;
		struct http_server *server;
	} timeouts[T_COUNT];
	LIST_HEAD(, http_conn) conns;
	LIST_HEAD(, http_listener) listeners;
	uv_timer_t stop_timer;
	int handles; /* open uv handles; 0 while stopping = done */
	bool stopping, stopped;
	void (*done)(void *arg);
	void *done_arg;
	char *scratch; /* of every read; freed only with the server */
};

struct http_listener {
	LIST_ENTRY(http_listener) link;
	union {
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
		uv_handle_t handle;
	} uv;
	struct http_server *server;
	bool is_unix;
	char *path; /* owned; unlinked at the end */
};

struct http_conn { /* loop thread only */
	LIST_ENTRY(http_conn) link;
	union {
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
		uv_handle_t handle;
	} uv;
	struct http_server *server;
	struct http1 *parser;
	struct http_x *x;		 /* holds a reference; NULL between requests */
	struct timeout_node t_in, t_out; /* waiting for the peer's input; for its reading */
	struct buf in;			 /* input not parsed yet: pipelined, or raw while paused */
	struct buf w;			 /* being written */
	size_t w_written;
	size_t w_progress; /* octets left in the kernel's queue when T_WRITE was last looked at */
	uv_write_t write_req;
	uv_shutdown_t shutdown_req;
	bool is_unix;
	bool reading, writing;
	bool eof;	   /* the peer sends no more */
	bool request_done; /* the parser saw the end of x's request */
	bool handler_due;  /* x is new: the handler has not been called */
	bool draining;	   /* reading away the rest of a body whose answer was sent */
	bool broken;	   /* input is beyond use: close after the answer */
	bool in_input;	   /* within conn_input: it goes on by itself after an exchange */
	bool raw;	   /* upgraded */
	bool raw_paused, raw_eof_told;
	bool last; /* nothing is to be read after what is being written */
	bool shut, closing;
};

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	_Alignas(16) char data[];
};

struct x_header {
	const char *name, *value; /* name in lower case */
};

struct http_x {
	/* the request: constant once the handler is called */
	const char *method, *path, *query, *host, *request_id, *peer, *scheme;
	struct x_header *headers;
	int nheaders;
	int minor;
	bool is_head, keep_alive, can_upgrade, expect;
	bool has_length;
	uint64_t length;
	enum { ENC_IDENTITY, ENC_GZIP, ENC_UNKNOWN } encoding;
	struct loop *loop; /* to be used under `lock` while conn is set */

	/* the answering side's alone */
	struct arena_block *arena;
	struct buf extra; /* header lines of http_set */
	bool extra_length;
	uint64_t owed; /* of an announced Content-Length */
	bool chunked, no_body, counted;

	/* the reading thread's alone */
	struct buf rd;
	size_t rd_off;
	z_stream *z;
	bool z_ended;
	bool z_more; /* output may be pending without further input */
	uint64_t max_body, body_n;

	atomic_int refs;
	pthread_mutex_t lock;
	pthread_cond_t readable, writable;
	/* under lock */
	struct http_conn *conn; /* NULL: the connection is gone */
	struct buf in;
	bool in_paused;	    /* reading is stopped until http_read has taken `in` */
	bool in_end;	    /* all of the body is in `in` */
	bool in_rest;	    /* the rest of the body will be read away, the connection kept */
	uint64_t body_left; /* of a body with Content-Length: not come yet */
	enum err_id in_err;
	struct buf out;
	size_t queued; /* out and what the loop has taken of it but not written yet */
	bool posted;   /* x_woken is on its way */
	bool responded, continued, ended, aborted, close_after;

	/* loop thread's alone */
	bool in_callback; /* the connection is pumped when the callback returns */
	bool pushed;	  /* since on_drain was called last */
	void (*on_drain)(struct http_x *x, void *arg);
	void *drain_arg;
	void (*on_gone)(struct http_x *x, void *arg);
	void *gone_arg;
	void (*on_body)(struct http_x *x, void *arg);
	void *body_arg;
	size_t body_want; /* of on_body: reading goes on so far */
	void (*on_data)(struct http_x *x, const char *p, size_t n, void *arg);
	void *data_arg;
};

/* server.c */
void http_timeout_set(struct timeout_node *n, struct http_conn *c, enum timeout_class class);
void http_timeout_clear(struct timeout_node *n);
void http_handle_closed(struct http_server *s);
/* After a connection has left s->conns. */
void http_server_conn_gone(struct http_server *s);

/* server_conn.c: loop thread */
void http_conn_accept(struct http_listener *l);
void http_conn_pump(struct http_conn *c); /* moves whatever can move; may free c */
void http_conn_timeout(struct http_conn *c, enum timeout_class class);
void http_conn_stop(struct http_conn *c, bool now); /* the server is stopping */
void http_conn_read(struct http_conn *c, bool on);

/* server_io.c: on the loop, after input or its end: calls on_body if it is time. */
void http_x_body_came(struct http_x *x);

/* server_x.c */
struct http_x *http_x_new(struct http_conn *c, const struct http1_head *h);
void http_x_ref(struct http_x *x);
void http_x_unref(struct http_x *x);
/* With x->lock held: has the loop look at x soon. */
void http_x_wake(struct http_x *x);
/* The whole answer for requests that no handler sees. */
void http_answer_error(const struct err *e, bool is_head, struct buf *out);
void http_error_body(const struct err *e, struct buf *out);

#endif
