/* attach.h - the stream of `run` after GET /attach/SECRET was answered 101 (Upgrade: paas-attach),
 * between paasctl and paasd. It carries what a bare byte stream cannot: window size, end of input,
 * signals and the exit status.
 *
 * frame = u8 type, u32 length of what follows, bytes        (big-endian)
 * Frames of unknown type are skipped by the receiver. After ATTACH_EXIT or ATTACH_ERROR the server
 * closes the connection. Pure; any thread. */
#ifndef PROTO_ATTACH_H
#define PROTO_ATTACH_H

#include "proto/buf.h"
#include <sys/types.h>

#define ATTACH_UPGRADE "paas-attach"
#define ATTACH_PATH    "/attach/" /* then the path and query of the attach_url, without its slash */
#define ATTACH_HEAD    5
/* The same secret also opens Heroku's attach protocol (no frames: raw octets), over TLS by a first
 * line "SECRET[?QUERY]", which the router turns into an upgrade to the second name. */
#define ATTACH_RDV_MARK	   '=' /* secrets begin with it: no request line can */
#define ATTACH_RDV_LEN	   65  /* and have 64 hex digits */
#define ATTACH_RDV_UPGRADE "paas-rendezvous"
#define ATTACH_FRAME_MAX   (64 * 1024) /* bytes of one frame, without its head */

enum attach_type {
	/* client -> server */
	ATTACH_STDIN = 1,
	ATTACH_STDIN_EOF = 2, /* empty; closes the command's stdin (with a pty: end of file) */
	ATTACH_RESIZE = 3,    /* u16 rows, u16 columns */
	ATTACH_SIGNAL = 4,    /* u8 signal number */
	/* server -> client */
	ATTACH_OUTPUT = 16, /* stdout and stderr, one stream */
	ATTACH_EXIT = 17,   /* u32 status, 128 + signal when killed */
	ATTACH_ERROR = 18,  /* text for people: the process could not be started or attached */
};

struct attach_frame {
	uint8_t type;
	const uint8_t *data; /* borrowed from the input */
	size_t len;
};

/* Appends data as frames of `type` (ATTACH_STDIN, ATTACH_OUTPUT, ATTACH_ERROR), as many as the size
 * limit asks for; no bytes, no frame. */
void attach_put(struct buf *b, enum attach_type type, const void *data, size_t n);
void attach_put_eof(struct buf *b);
void attach_put_resize(struct buf *b, unsigned rows, unsigned cols);
void attach_put_signal(struct buf *b, int sig);
void attach_put_exit(struct buf *b, uint32_t status);

/* Takes one frame off data. Returns bytes used, 0 when more bytes are needed, -1 when the length is
 * over the limit or wrong for its type (close the connection). */
ssize_t attach_parse(const void *data, size_t n, struct attach_frame *out);
/* Values of frames that attach_parse() accepted; asserts their type. */
void attach_get_resize(const struct attach_frame *f, unsigned *rows, unsigned *cols);
int attach_get_signal(const struct attach_frame *f);
uint32_t attach_get_exit(const struct attach_frame *f);

#endif
