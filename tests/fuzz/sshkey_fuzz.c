/* Whatever is sent as a public key: what is taken is one line of text that is taken again as the
 * same key, and a private key's text is never repeated in the complaint. */
#include "daemon/core/sshkey.h"
#include "proto/buf.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = xstrndup((const char *)data, len);
	struct sshkey a = {0}, b = {0};
	struct err err = {0};

	if (sshkey_parse(text, &a, &err) == 0) {
		assert(strlen(a.fingerprint) == 47 && a.bits >= 256 && a.bits <= 16384);
		assert(strncmp(a.line, a.type, strlen(a.type)) == 0 && !strpbrk(a.line, "\r\n\t"));
		assert(!strchr(a.comment, ' '));
		assert(sshkey_parse(a.line, &b, &err) == 0);
		assert(!strcmp(a.line, b.line) && !strcmp(a.fingerprint, b.fingerprint) &&
		       !strcmp(a.comment, b.comment));
		sshkey_clear(&b);
	} else {
		assert(err.code == ERR_INVALID_PARAMS && !a.line && !a.comment);
		assert(strlen(text) < 64 || !strstr(err.msg, text));
	}
	sshkey_clear(&a);
	free(text);
	return 0;
}
