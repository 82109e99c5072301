#include "daemon/core/sshkey.h"
#include "daemon/core/codec.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define RSA_MIN 2048
#define RSA_MAX 16384

struct blob { /* what is left of it */
	const unsigned char *p;
	size_t n;
};

static bool take(struct blob *b, struct blob *out)
{
	size_t n;

	if (b->n < 4)
		return false;
	n = (size_t)b->p[0] << 24 | (size_t)b->p[1] << 16 | (size_t)b->p[2] << 8 | b->p[3];
	if (n > b->n - 4)
		return false;
	*out = (struct blob){b->p + 4, n};
	b->p += 4 + n;
	b->n -= 4 + n;
	return true;
}

static bool is_text(const struct blob *b, const char *text)
{
	return b->n == strlen(text) && memcmp(b->p, text, b->n) == 0;
}

/* --- each kind's parts, after the type's name --- */

struct kind {
	const char *type;
	bool (*check)(const struct kind *k, struct blob *b, struct sshkey *out);
	const char *curve;
	unsigned bits;
	bool hardware; /* ends with the application that a token asks about */
};

static bool hardware_part(const struct kind *k, struct blob *b)
{
	struct blob app;

	return !k->hardware || (take(b, &app) && app.n > 0);
}

static bool check_ed25519(const struct kind *k, struct blob *b, struct sshkey *out)
{
	struct blob key;

	out->bits = k->bits;
	return take(b, &key) && key.n == 32 && hardware_part(k, b);
}

/* The point uncompressed: 4, x, y. */
static bool check_ecdsa(const struct kind *k, struct blob *b, struct sshkey *out)
{
	struct blob curve, point;

	out->bits = k->bits;
	return take(b, &curve) && is_text(&curve, k->curve) && take(b, &point) &&
	       point.n == 1 + 2 * ((k->bits + 7) / 8) && point.p[0] == 4 && hardware_part(k, b);
}

/* A positive number without superfluous zeros (RFC 4251 5). */
static bool take_number(struct blob *b, struct blob *out)
{
	if (!take(b, out) || out->n == 0 || out->p[0] & 0x80)
		return false;
	if (out->p[0] == 0) {
		if (out->n < 2 || !(out->p[1] & 0x80))
			return false;
		out->p++;
		out->n--;
	}
	return true;
}

static bool check_rsa(const struct kind *k, struct blob *b, struct sshkey *out)
{
	struct blob e, n;

	(void)k;
	if (!take_number(b, &e) || !take_number(b, &n) || e.n > 8 || n.n > RSA_MAX / 8)
		return false;
	out->bits = (unsigned)(n.n - 1) * 8;
	for (unsigned top = n.p[0]; top; top >>= 1)
		out->bits++;
	return (e.p[e.n - 1] & 1) && (n.p[n.n - 1] & 1) && !(e.n == 1 && e.p[0] == 1);
}

static const struct kind kinds[] = {
	{"ssh-ed25519", check_ed25519, NULL, 256, false},
	{"ssh-rsa", check_rsa, NULL, 0, false},
	{"ecdsa-sha2-nistp256", check_ecdsa, "nistp256", 256, false},
	{"ecdsa-sha2-nistp384", check_ecdsa, "nistp384", 384, false},
	{"ecdsa-sha2-nistp521", check_ecdsa, "nistp521", 521, false},
	{"sk-ssh-ed25519@openssh.com", check_ed25519, NULL, 256, true},
	{"sk-ecdsa-sha2-nistp256@openssh.com", check_ecdsa, "nistp256", 256, true},
};

/* --- the line --- */

static const struct kind *kind_of(const char *word, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strlen(kinds[i].type) == n && memcmp(kinds[i].type, word, n) == 0)
			return &kinds[i];
	return NULL;
}

void sshkey_clear(struct sshkey *k)
{
	free(k->line);
	free(k->comment);
	*k = (struct sshkey){0};
}

static void fingerprint(const struct buf *b, char out[48])
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!EVP_Digest(b->data, b->len, md, &n, EVP_md5(), NULL) || n != 16)
		abort();
	for (int i = 0; i < 16; i++)
		snprintf(out + i * 3, 4, "%02x%s", md[i], i < 15 ? ":" : "");
}

static int check_blob(const struct kind *k, const struct buf *bytes, struct sshkey *out,
		      struct err *err)
{
	struct blob b = {(const unsigned char *)bytes->data, bytes->len}, type;

	if (!take(&b, &type) || !is_text(&type, k->type) || !k->check(k, &b, out) || b.n != 0)
		return err_set(err, ERR_INVALID_PARAMS, "The key is damaged: it is no %s key.",
			       k->type);
	if (k->check == check_rsa && out->bits < RSA_MIN)
		return err_set(err, ERR_INVALID_PARAMS,
			       "RSA keys need at least %d bits; this one has %u. Better make an "
			       "ed25519 key: ssh-keygen -t ed25519",
			       RSA_MIN, out->bits);
	return 0;
}

/* Other writings of the same bytes would be other texts of the same key. */
static bool decode(const char *s, size_t n, struct buf *out)
{
	AUTO(buf_clear) struct buf again = {0};

	if (n == 0 || base64_decode(s, n, out) < 0)
		return false;
	base64_encode(out->data, out->len, &again);
	return again.len == n && memcmp(again.data, s, n) == 0;
}

static int check_text(const char *s, size_t n, struct err *err)
{
	if (strstr(s, "PRIVATE KEY") || strstr(s, "PuTTY-User-Key-File"))
		return err_set(
			err, ERR_INVALID_PARAMS,
			"THIS IS A PRIVATE KEY. It was not stored. Whoever saw it can act as "
			"you: consider it lost, make a new pair (ssh-keygen -t ed25519), and "
			"send the file that ends with .pub.");
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return err_set(err, ERR_INVALID_PARAMS,
				       "A public key is one line: TYPE BASE64 COMMENT.");
	return 0;
}

int sshkey_parse(const char *text, struct sshkey *out, struct err *err)
{
	AUTO(buf_clear) struct buf bytes = {0};
	AUTO(auto_str) char *s = NULL;
	const struct kind *k;
	size_t n, type_n, at, key_n, word_n;

	*out = (struct sshkey){0};
	text += strspn(text, " \t\r\n");
	for (n = strlen(text); n && strchr(" \t\r\n", text[n - 1]); n--)
		;
	s = xstrndup(text, n);
	if (check_text(s, n, err) < 0)
		return -1;
	type_n = strcspn(s, " ");
	k = kind_of(s, type_n);
	if (!k)
		return err_set(err, ERR_INVALID_PARAMS,
			       "A public key begins with its type: ssh-ed25519, "
			       "ecdsa-sha2-nistp256 (384, 521), ssh-rsa, or one of a security key. "
			       "Nothing may stand before it, and DSA is not taken.");
	at = type_n + strspn(s + type_n, " ");
	key_n = strcspn(s + at, " ");
	if (!decode(s + at, key_n, &bytes))
		return err_set(err, ERR_INVALID_PARAMS, "The key is damaged: it is no base64.");
	if (check_blob(k, &bytes, out, err) < 0)
		return -1;
	out->type = k->type;
	fingerprint(&bytes, out->fingerprint);
	text = s + at + key_n;
	text += strspn(text, " ");
	word_n = strcspn(text, " ");
	out->comment = xstrndup(text, word_n);
	out->line = xasprintf("%s %.*s%s%s", k->type, (int)key_n, s + at, *text ? " " : "", text);
	return 0;
}
