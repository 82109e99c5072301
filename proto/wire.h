/* wire.h - framing of the unix sockets between our own processes (paasd, router, launcher, shim).
 *
 * frame  = u32 length of what follows, u16 type, fields...       (all big-endian)
 * field  = u16 key, u32 length, bytes
 * Frames of unknown type and fields of unknown key are skipped: an old shim or router outlives an
 * upgrade of paasd, so new peers add, and never change, types and keys.
 * Pure; any thread. */
#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

#include "proto/buf.h"
#include "proto/err.h"

/* Writing: begin returns a mark to hand to end. Frames may be appended one after another. */
size_t wire_begin(struct buf *b, uint16_t type);
void wire_bytes(struct buf *b, uint16_t key, const void *data, size_t n);
void wire_str(struct buf *b, uint16_t key, const char *s); /* NULL: field left out */
void wire_u64(struct buf *b, uint16_t key, uint64_t v);
void wire_end(struct buf *b, size_t mark);

struct wire_frame {
	uint16_t type;
	const uint8_t *body; /* borrowed from the input */
	size_t len;
	size_t pos; /* reading position of wire_next */
};

struct wire_field {
	uint16_t key;
	const uint8_t *data; /* borrowed; not NUL-terminated */
	size_t len;
};

/* Takes one frame off data. Returns bytes used, 0 when more bytes are needed, -1 when the length is
 * over LIM_WIRE_FRAME (close the connection). */
ssize_t wire_parse(const void *data, size_t n, struct wire_frame *out);
/* Next field: 1, 0 at the end, -1 when the frame is malformed. */
int wire_next(struct wire_frame *f, struct wire_field *out);
uint64_t wire_get_u64(const struct wire_field *f); /* 0 unless exactly 8 bytes */
char *wire_get_str(const struct wire_field *f);	   /* owned copy, NUL-terminated */
void wire_copy_str(const struct wire_field *f, char *out, size_t cap); /* cut to fit */

#endif
