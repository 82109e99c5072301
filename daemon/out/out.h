/* out.h - connections that paasd makes to addresses of its users: log drains, webhooks. One thread
 * with a loop for any number of them; HTTP by curl, streams of TCP and TLS.
 *
 * Each address is checked when it is connected to (netaddr.h, `outgoing.allow`), so a name that
 * changes its mind gains nothing; redirects are not followed; proxies are not used, as behind one
 * nothing could be checked. Certificates must be good: the system's authorities (or SSL_CERT_FILE)
 * and `outgoing.ca_file`. All calls and call-backs are on out_loop, but where it says otherwise. */
#ifndef OUT_OUT_H
#define OUT_OUT_H

#include "daemon/core/config.h"
#include "daemon/core/loop.h"

struct out;

/* Starts the thread. CONFIG: outgoing.ca_file cannot be read. Any thread, as the next three. */
int out_start(const struct config *cfg, struct out **out, struct err *err);
struct loop *out_loop(struct out *o);
/* What is under way is cut off, without call-backs; waits for the thread. */
void out_stop(struct out *o);
void out_free(struct out *o); /* after out_stop; NULL is fine */

enum out_fault {
	OUT_FINE,
	OUT_FORBIDDEN, /* the address is private */
	OUT_NO_HOST,
	OUT_NO_CONNECTION,
	OUT_BAD_CERTIFICATE,
	OUT_TOO_SLOW,
	OUT_BROKEN, /* cut off, or not the protocol */
};
/* "certificate", "timeout" ...: for people and for the API. */
const char *out_fault_name(enum out_fault f);

/* --- requests: POSTs, and others --- */
struct out_request {	    /* borrowed during out_post */
	const char *method; /* NULL = POST */
	const char *url;
	const char *user, *password; /* Basic; NULL = none */
	const char *const *headers;  /* "Name: value", ends with NULL */
	const void *body;
	size_t len;
	long timeout_ms;
	size_t keep; /* bytes of the answer's body that are wanted; a longer one is OUT_BROKEN. 0 =
		      * none, and its length does not matter */
};
struct out_answer { /* borrowed during done */
	int status; /* HTTP; 0 = there was none, see fault */
	enum out_fault fault;
	char why[160]; /* for people; no secrets, no URL */
	int retry_after_s;
	const char *body; /* as far as it was to be kept; NUL-terminated; never NULL */
	size_t len;
	const struct out_call *call;
};
struct out_call;
/* A header of the answer, or NULL. During done. */
const char *out_answer_header(const struct out_answer *a, const char *name);
/* done is not called from inside. */
struct out_call *out_post(struct out *o, const struct out_request *r,
			  void (*done)(const struct out_answer *a, void *arg), void *arg);
void out_cancel(struct out_call *c); /* done will not be called; not after it was */

/* --- streams --- */
struct out_stream;
struct out_stream_ops {
	void (*up)(void *arg);
	/* There may be room again, and more may have arrived. */
	void (*moved)(void *arg);
	/* It is over; the stream is to be closed (from inside, too). */
	void (*down)(enum out_fault f, const char *why, void *arg);
};
struct out_stream *out_connect(struct out *o, const char *host, int port, bool tls,
			       const struct out_stream_ops *ops, void *arg);
/* After up. Takes all of it; mark is what out_stream_arrived gives once all of it has. */
void out_stream_write(struct out_stream *s, const void *p, size_t n, uint64_t mark);
bool out_stream_full(const struct out_stream *s); /* write no more until moved */
/* The greatest mark of which the other side's kernel has everything; 0 = none yet. */
uint64_t out_stream_arrived(struct out_stream *s);
bool out_stream_settled(struct out_stream *s); /* all that was written has arrived */
void out_stream_close(struct out_stream *s);   /* no call-back after it; NULL is fine */

#endif
