#include "daemon/core/codec.h"
#include "proto/hex.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void codec_init(void)
{
	if (sodium_init() < 0)
		abort();
}

void random_bytes(void *p, size_t n)
{
	randombytes_buf(p, n);
}

uint32_t random_below(uint32_t n)
{
	return randombytes_uniform(n);
}

void hex_encode(const void *p, size_t n, char *out)
{
	sodium_bin2hex(out, n * 2 + 1, p, n);
}

void random_hex(char *out, size_t digits)
{
	unsigned char raw[64];

	for (size_t i = 0; i < digits; i += 2) {
		char two[3];

		randombytes_buf(raw, 1);
		hex_encode(raw, 1, two);
		out[i] = two[0];
		if (i + 1 < digits)
			out[i + 1] = two[1];
	}
	out[digits] = 0;
}

void uuid_new(char out[37])
{
	unsigned char r[16];
	char hex[33];

	randombytes_buf(r, sizeof r);
	r[6] = (unsigned char)((r[6] & 0x0f) | 0x40);
	r[8] = (unsigned char)((r[8] & 0x3f) | 0x80);
	hex_encode(r, sizeof r, hex);
	for (int i = 0, j = 0; i < 32; i++) {
		if (i == 8 || i == 12 || i == 16 || i == 20)
			out[j++] = '-';
		out[j++] = hex[i];
	}
	out[36] = 0;
}

void sha256_hex(const void *p, size_t n, char out[65])
{
	unsigned char sum[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(sum, p, n);
	hex_encode(sum, sizeof sum, out);
}

void uuid_of(const char *text, char out[37])
{
	char hex[65];

	sha256_hex(text, strlen(text), hex);
	snprintf(out, 37, "%.8s-%.4s-4%.3s-8%.3s-%.12s", hex, hex + 8, hex + 13, hex + 17,
		 hex + 20);
}

int sha256_fd(int fd, char out[65], struct err *err)
{
	unsigned char sum[crypto_hash_sha256_BYTES], piece[65536];
	crypto_hash_sha256_state st;
	off_t at = 0;
	ssize_t n;

	crypto_hash_sha256_init(&st);
	while ((n = pread(fd, piece, sizeof piece, at)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "read a file");
		crypto_hash_sha256_update(&st, piece, (unsigned long long)n);
		at += n;
	}
	crypto_hash_sha256_final(&st, sum);
	hex_encode(sum, sizeof sum, out);
	return 0;
}

bool ct_equal(const void *a, const void *b, size_t n)
{
	return sodium_memcmp(a, b, n) == 0;
}

int base64_decode(const char *s, size_t n, struct buf *out)
{
	size_t len;

	buf_reserve(out, n / 4 * 3 + 3);
	/* Clients leave the padding out now and then: take both forms. */
	if (sodium_base642bin((unsigned char *)out->data + out->len, n / 4 * 3 + 3, s, n, NULL,
			      &len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 &&
	    sodium_base642bin((unsigned char *)out->data + out->len, n / 4 * 3 + 3, s, n, NULL,
			      &len, NULL, sodium_base64_VARIANT_ORIGINAL_NO_PADDING) != 0)
		return -1;
	out->len += len;
	out->data[out->len] = 0;
	return 0;
}

void base64_encode(const void *p, size_t n, struct buf *out)
{
	size_t cap = sodium_base64_ENCODED_LEN(n, sodium_base64_VARIANT_ORIGINAL);

	buf_reserve(out, cap);
	sodium_bin2base64(out->data + out->len, cap, p, n, sodium_base64_VARIANT_ORIGINAL);
	out->len += strlen(out->data + out->len);
}

int percent_decode(const char *s, size_t n, bool plus_is_space, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '%') {
			int hi = i + 2 < n ? hex_digit(s[i + 1]) : -1;
			int lo = hi >= 0 ? hex_digit(s[i + 2]) : -1;

			if (lo < 0 || (hi == 0 && lo == 0))
				return -1; /* %00 would cut the text short */
			buf_addc(out, (char)(hi << 4 | lo));
			i += 2;
		} else {
			buf_addc(out, plus_is_space && s[i] == '+' ? ' ' : s[i]);
		}
	}
	return 0;
}

void percent_encode(const char *s, struct buf *out)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    strchr("-._~", c))
			buf_addc(out, (char)c);
		else
			buf_addf(out, "%%%02X", c);
	}
}

struct master_key {
	unsigned char k[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
};

static int master_key_make(const char *path, struct master_key *key, struct err *err)
{
	AUTO(auto_fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(err, "cannot make the master key %s", path);
	randombytes_buf(key->k, sizeof key->k);
	if (write(fd, key->k, sizeof key->k) != (ssize_t)sizeof key->k || fsync(fd) < 0) {
		err_errno(err, "cannot write the master key %s", path);
		unlink(path);
		return -1;
	}
	return 0;
}

int master_key_load(const char *path, struct master_key **out, struct err *err)
{
	AUTO(auto_fd) int fd = -1;
	struct master_key *key = sodium_malloc(sizeof *key);
	struct stat st;

	if (!key)
		abort();
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		if (master_key_make(path, key, err) < 0) {
			sodium_free(key);
			return -1;
		}
		*out = key;
		return 0;
	}
	if (fd < 0 || fstat(fd, &st) < 0) {
		err_errno(err, "cannot read the master key %s", path);
		sodium_free(key);
		return -1;
	}
	if ((st.st_mode & 077) != 0 || read(fd, key->k, sizeof key->k) != (ssize_t)sizeof key->k) {
		sodium_free(key);
		return err_set(
			err, ERR_CONFIG,
			"%s must hold %zu bytes and be readable by its owner alone (chmod 600)",
			path, sizeof key->k);
	}
	*out = key;
	return 0;
}

void master_key_free(struct master_key *k)
{
	sodium_free(k);
}

#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG   crypto_aead_xchacha20poly1305_ietf_ABYTES

void secret_seal(const struct master_key *k, const void *p, size_t n, struct buf *out)
{
	unsigned char *box;

	buf_reserve(out, NONCE + n + TAG);
	box = (unsigned char *)out->data + out->len;
	randombytes_buf(box, NONCE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(box + NONCE, NULL, p, n, NULL, 0, NULL, box,
						   k->k);
	out->len += NONCE + n + TAG;
	out->data[out->len] = 0;
}

int secret_open(const struct master_key *k, const void *box, size_t n, struct buf *out,
		struct err *err)
{
	const unsigned char *b = box;

	if (n < NONCE + TAG)
		return err_set(err, ERR_CORRUPT, "a stored secret is too short");
	buf_reserve(out, n - NONCE - TAG);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt((unsigned char *)out->data + out->len, NULL,
						       NULL, b + NONCE, n - NONCE, NULL, 0, b,
						       k->k) != 0)
		return err_set(err, ERR_CORRUPT,
			       "a stored secret cannot be opened: is master.key the one it was "
			       "made with?");
	out->len += n - NONCE - TAG;
	out->data[out->len] = 0;
	return 0;
}

void secret_sign(const struct master_key *k, const char *text, char out[65])
{
	static const char purpose[] = "urls";
	unsigned char key[32], sum[32];

	/* a key of its own: the master key itself encrypts */
	crypto_generichash(key, sizeof key, (const unsigned char *)purpose, sizeof purpose, k->k,
			   sizeof k->k);
	crypto_generichash(sum, sizeof sum, (const unsigned char *)text, strlen(text), key,
			   sizeof key);
	sodium_memzero(key, sizeof key);
	hex_encode(sum, sizeof sum, out);
}

bool secret_signed(const struct master_key *k, const char *text, const char *signature)
{
	char want[65];

	secret_sign(k, text, want);
	return strlen(signature) == 64 && ct_equal(want, signature, 64);
}

void password_hash(const char *password, char out[128])
{
	if (crypto_pwhash_str(out, password, strlen(password), crypto_pwhash_OPSLIMIT_INTERACTIVE,
			      crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0)
		abort();
}

bool password_ok(const char *hash, const char *password)
{
	return crypto_pwhash_str_verify(hash, password, strlen(password)) == 0;
}
