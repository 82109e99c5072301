/* pktline.h - git's framing: four hex digits of length (themselves included), then the data. Pure;
 * chunking of the input never matters. gitprotocol-common(5). */
#ifndef GIT_PKTLINE_H
#define GIT_PKTLINE_H

#include "proto/buf.h"

#define PKT_MAX	     65520
#define PKT_DATA_MAX (PKT_MAX - 4)

enum pkt_event {
	PKT_MORE,  /* all input used; needs more */
	PKT_LINE,  /* reader->line is a whole line (may be empty) */
	PKT_FLUSH, /* 0000 */
	PKT_BAD,   /* not a length, or one that version 0 does not have; reader->why says which */
};

struct pkt_reader { /* zeroed = ready; pkt_reader_clear frees */
	char head[4];
	unsigned have;	 /* bytes of head so far */
	size_t need;	 /* bytes of data still to come; only once head is whole */
	struct buf line; /* data of the line, as sent; valid until the next feed */
	bool taken;	 /* line was handed out: the next feed starts over */
	const char *why; /* static */
};

enum pkt_event pkt_feed(struct pkt_reader *r, const char *in, size_t n, size_t *used);
/* No bytes of an unfinished line are held. */
bool pkt_reader_idle(const struct pkt_reader *r);
void pkt_reader_clear(struct pkt_reader *r);

/* Writers; n at most PKT_DATA_MAX (asserted). */
void pkt_add(struct buf *out, const void *data, size_t n);
void pkt_addf(struct buf *out, const char *fmt, ...) PRINTF(2, 3);
void pkt_flush(struct buf *out);
void pkt_head(char out[4], size_t total); /* the four digits */

#endif
