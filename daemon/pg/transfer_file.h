/* transfer_file.h - private to transfers: a backup's file. Encrypted and authenticated with a key
 * of its own (libsodium's secretstream, XChaCha20-Poly1305), in two parts: the dump, then the
 * digest of what is in it. Blocking.
 *
 * "PAASBK1\n", the stream's header, then frames: length (4 octets, little endian), ciphertext. A
 * frame holds at most TFILE_PIECE octets; the one tagged PUSH ends the dump, the one tagged FINAL
 * the file: what was cut off, or put together anew, is CORRUPT. */
#ifndef PG_TRANSFER_FILE_H
#define PG_TRANSFER_FILE_H

#include "proto/buf.h"
#include "proto/err.h"

#define TFILE_KEY   32
#define TFILE_PIECE 65536

void tfile_key(unsigned char key[TFILE_KEY]); /* a new one */

struct tfile_writer;
/* path is made (0600) or emptied. */
int tfile_create(const char *path, const unsigned char key[TFILE_KEY], struct tfile_writer **out,
		 struct err *err);
int tfile_write(struct tfile_writer *w, const void *p, size_t n, struct err *err); /* of the dump */
uint64_t tfile_written(const struct tfile_writer *w); /* octets of the dump */
/* Ends the dump, adds the digest, syncs. checksum: SHA-256 of the dump, in hex. */
int tfile_finish(struct tfile_writer *w, const char *digest, size_t n, char checksum[65],
		 struct err *err);
void tfile_writer_free(struct tfile_writer *w); /* the file stays as it is */

struct tfile_reader;
/* NOT_FOUND (resource "backup") when there is no such file. */
int tfile_open(const char *path, const unsigned char key[TFILE_KEY], struct tfile_reader **out,
	       struct err *err);
/* The next piece of the dump, borrowed until the next call; *n 0 at its end. */
int tfile_next(struct tfile_reader *r, const void **p, size_t *n, struct err *err);
/* After the dump's end. LIM_TRANSFER_LIST at most. */
int tfile_digest(struct tfile_reader *r, struct buf *out, struct err *err);
void tfile_reader_free(struct tfile_reader *r);

DEFINE_AUTO(struct tfile_writer *, tfile_writer_free)
DEFINE_AUTO(struct tfile_reader *, tfile_reader_free)

#endif
