/* totp.h - time-based one-time passwords: RFC 6238 over RFC 4226, SHA-1, 30 seconds, 6 digits,
 * which is what every authenticator app takes for granted. Pure; any thread. */
#ifndef CORE_TOTP_H
#define CORE_TOTP_H

#include "daemon/core/clock.h"
#include "proto/buf.h"

#define TOTP_SECRET 20 /* bytes: of a SHA-1 block's digest, RFC 4226 4 */
#define TOTP_DIGITS 6
#define TOTP_STEP_S 30

int64_t totp_step(wall_ms t);
/* digits: 6 to 8. */
void totp_code(const void *secret, size_t n, int64_t step, int digits, char out[12]);
/* The step whose code this is: t's, the one before or after, but none up to last. 0 = of none.
 * Blanks in code are passed over. Takes the same time whichever it is. */
int64_t totp_match(const void *secret, size_t n, const char *code, wall_ms t, int64_t last);
/* RFC 4648 without padding. */
void base32_encode(const void *p, size_t n, struct buf *out);

#endif
