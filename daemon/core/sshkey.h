/* sshkey.h - OpenSSH public keys, as in ~/.ssh/id_ed25519.pub: taken apart strictly, as what is
 * stored here is believed elsewhere. RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4. Pure; any thread. */
#ifndef CORE_SSHKEY_H
#define CORE_SSHKEY_H

#include "proto/err.h"

struct sshkey {
	const char *type;     /* static: "ssh-ed25519" */
	unsigned bits;	      /* of RSA: the modulus; else the curve's */
	char fingerprint[48]; /* MD5 with colons, as the Platform API has it */
	char *line;	      /* owned: TYPE BASE64 COMMENT */
	char *comment;	      /* owned: the third word; "" */
};
void sshkey_clear(struct sshkey *k);
#define sshkey_clear_p sshkey_clear

/* INVALID_PARAMS says what is wrong and never quotes the text, which may be a private key. */
int sshkey_parse(const char *text, struct sshkey *out, struct err *err);

#endif
