/* drain_int.h - inside daemon/drain. Everything here is the out loop's. */
#ifndef DRAIN_DRAIN_INT_H
#define DRAIN_DRAIN_INT_H

#include "daemon/drain/drain.h"
#include "proto/limits.h"

#include <pthread.h>

struct drain {
	struct drains *ds;
	struct drain *next;
	char id[37], app_id[37], token[39];
	char *shown; /* owned: the URL without secrets */
	struct drain_url url;
	struct log_reader *r;
	int fd;			 /* where `acked` and `lost` are kept; -1 = not possible */
	uint64_t sent;		 /* number of the last line handed to the transport */
	uint64_t acked;		 /* of the last that arrived; 0 = not known yet */
	struct log_lost lost;	 /* to be told with the next lines */
	struct log_lost telling; /* told, on its way with the line of this number */
	uint64_t telling_seq;
	int failures; /* in a row */
	mono_ms said; /* when the app's log was last told of them; 0 = never */
	struct loop_timer *wait;
	/* syslog */
	struct out_stream *stream;
	struct loop_timer *idle;
	mono_ms born; /* of the stream; 0 = not up yet */
	struct buf chunk;
	/* POSTs */
	struct out_call *call;
	struct buf body;
	uint64_t first; /* of the body's lines */
	int lines;	/* in the body, L10 included */
	int again;	/* size of a batch that was let go of while it waited; 0 = none */
	int refused;	/* times that the receiver would not have this one */
};

struct drains {
	const struct config *cfg;
	struct out *o;
	struct logd *log;
	char *dir; /* owned */
	struct drain *first;
	bool stopping;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool settled;
};

/* --- for the transports --- */
/* Frames lines into out, at most max and about max_bytes, L10 before them if there is something to
 * tell. Returns their number. */
int drain_fill(struct drain *d, int max, size_t max_bytes, struct buf *out);
/* All up to this line has arrived. */
void drain_arrived(struct drain *d, uint64_t seq);
/* Nothing is on its way any more: back to what has not arrived. */
void drain_rewind(struct drain *d);
/* It did not work: tries again after a wait that grows; least: at least so long, 0 = no wish. */
void drain_failed(struct drain *d, enum out_fault f, const char *why, uint64_t least_ms);
void drain_worked(struct drain *d);
/* There may be something to do. */
void drain_pump(struct drain *d);
/* While stopping: one more may be at rest. */
void drain_rested(struct drains *ds);

/* --- transports: streams (syslog.c), POSTs (post.c) --- */
struct drain_transport {
	void (*pump)(struct drain *d);
	void (*close)(struct drain *d);
	bool (*at_rest)(struct drain *d); /* nothing is on its way */
};
extern const struct drain_transport drain_syslog, drain_post;

#endif
