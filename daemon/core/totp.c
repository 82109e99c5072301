#include "daemon/core/totp.h"
#include "daemon/core/codec.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t totp_step(wall_ms t)
{
	return t / 1000 / TOTP_STEP_S;
}

void totp_code(const void *secret, size_t n, int64_t step, int digits, char out[12])
{
	static const uint32_t mod[] = {[6] = 1000000, [7] = 10000000, [8] = 100000000};
	unsigned char msg[8], mac[EVP_MAX_MD_SIZE];
	unsigned len = 0, at;
	uint32_t v;

	assert(digits >= 6 && digits <= 8);
	for (int i = 7; i >= 0; i--, step >>= 8)
		msg[i] = (unsigned char)(step & 0xff);
	if (!HMAC(EVP_sha1(), secret, (int)n, msg, sizeof msg, mac, &len) || len != 20)
		abort();
	at = mac[19] & 15;
	v = (uint32_t)(mac[at] & 0x7f) << 24 | (uint32_t)mac[at + 1] << 16 |
	    (uint32_t)mac[at + 2] << 8 | mac[at + 3];
	snprintf(out, 12, "%0*u", digits, (unsigned)(v % mod[digits]));
}

/* Six digits, however they were grouped; false when it is none. */
static bool digits_of(const char *code, char out[TOTP_DIGITS + 1])
{
	int n = 0;

	for (; *code; code++) {
		if (*code == ' ')
			continue;
		if (*code < '0' || *code > '9' || n == TOTP_DIGITS)
			return false;
		out[n++] = *code;
	}
	out[n] = 0;
	return n == TOTP_DIGITS;
}

int64_t totp_match(const void *secret, size_t n, const char *code, wall_ms t, int64_t last)
{
	char given[TOTP_DIGITS + 1] = "", good[12];
	int64_t now = totp_step(t), found = 0;
	bool fine = digits_of(code, given);

	for (int64_t step = now - 1; step <= now + 1; step++) {
		bool same;

		totp_code(secret, n, step, TOTP_DIGITS, good);
		same = ct_equal(given, good, TOTP_DIGITS);
		if (fine && same && step > last)
			found = step;
	}
	return found;
}

void base32_encode(const void *p, size_t n, struct buf *out)
{
	static const char abc[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	const unsigned char *b = p;
	unsigned bits = 0, v = 0;

	for (size_t i = 0; i < n; i++) {
		v = v << 8 | b[i];
		bits += 8;
		for (; bits >= 5; bits -= 5)
			buf_addc(out, abc[(v >> (bits - 5)) & 31]);
		v &= (1u << bits) - 1;
	}
	if (bits)
		buf_addc(out, abc[(v << (5 - bits)) & 31]);
}
