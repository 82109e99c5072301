/* codec.h - ids, randomness, hashes, encodings. Any thread. codec_init() once, before threads. */
#ifndef CORE_CODEC_H
#define CORE_CODEC_H

#include "proto/buf.h"
#include "proto/err.h"

void codec_init(void);
void uuid_new(char out[37]); /* random, version 4 */
/* Stable, made of a text: for things without a row. Formed as version 4. */
void uuid_of(const char *text, char out[37]);
void random_bytes(void *p, size_t n);
void random_hex(char *out, size_t digits); /* digits + NUL */
uint32_t random_below(uint32_t n);
void sha256_hex(const void *p, size_t n, char out[65]);
/* Of a file from its first byte; the offset stays. Blocking. */
int sha256_fd(int fd, char out[65], struct err *err);
void hex_encode(const void *p, size_t n, char *out);	     /* 2n + NUL */
bool ct_equal(const void *a, const void *b, size_t n);	     /* constant time */
int base64_decode(const char *s, size_t n, struct buf *out); /* standard alphabet; -1 on junk */
void base64_encode(const void *p, size_t n, struct buf *out);
/* Percent-decoding of one path segment or query value ('+' stays in paths). -1 on bad escapes. */
int percent_decode(const char *s, size_t n, bool plus_is_space, struct buf *out);
void percent_encode(const char *s, struct buf *out); /* unreserved characters stay */

/* Secrets at rest: XChaCha20-Poly1305 with the master key. box = 24-byte nonce + ciphertext. */
struct master_key;
/* Reads path, or makes it (0600, 32 random bytes) when it does not exist. */
int master_key_load(const char *path, struct master_key **out, struct err *err);
void master_key_free(struct master_key *k);
void secret_seal(const struct master_key *k, const void *p, size_t n, struct buf *out);
int secret_open(const struct master_key *k, const void *box, size_t n, struct buf *out,
		struct err *err);
/* What only this master key can have signed: URLs that are a permission by themselves. text says
 * all that it permits ("get source ID"). */
void secret_sign(const struct master_key *k, const char *text, char out[65]);
bool secret_signed(const struct master_key *k, const char *text, const char *signature);
/* argon2id, the string form of libsodium. Blocks for tens of ms: not on a loop. */
void password_hash(const char *password, char out[128]);
bool password_ok(const char *hash, const char *password);

DEFINE_AUTO(struct master_key *, master_key_free)

#endif
