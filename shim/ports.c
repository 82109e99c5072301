#include "shim/ports.h"

#include <stdio.h>
#include <string.h>

/* Addresses are printed as host-order words in hex: on little-endian 127.0.0.1 is 0100007F. */
static int is_loopback(const char *hex)
{
	unsigned word;

	if (strlen(hex) == 8)
		return sscanf(hex, "%x", &word) == 1 && *(const unsigned char *)&word == 127;
	if (strlen(hex) != 32)
		return 0;
	if (memcmp(hex, "0000000000000000FFFF0000", 24) == 0) /* ::ffff:a.b.c.d */
		return sscanf(hex + 24, "%x", &word) == 1 && *(const unsigned char *)&word == 127;
	return strcmp(hex, "00000000000000000000000001000000") == 0 ||
	       strcmp(hex, "00000000000000000000000000000001") == 0;
}

enum ports_bound ports_find(const char *text, size_t n, unsigned port)
{
	enum ports_bound found = PORTS_NONE;
	const char *end = text + n;

	for (const char *line = text; line < end;) {
		const char *nl = memchr(line, '\n', (size_t)(end - line));
		size_t len = nl ? (size_t)(nl - line) : (size_t)(end - line);
		char copy[256], addr[40];
		unsigned local, state;

		if (len >= sizeof copy)
			len = sizeof copy - 1;
		memcpy(copy, line, len);
		copy[len] = 0;
		line = nl ? nl + 1 : end;
		/* sl: local:port remote:port state; 0A is LISTEN */
		if (sscanf(copy, " %*d: %39[0-9A-F]:%x %*[0-9A-F]:%*x %x", addr, &local, &state) !=
			    3 ||
		    state != 0x0A || local != port)
			continue;
		if (!is_loopback(addr))
			return PORTS_REACHABLE;
		found = PORTS_LOOPBACK;
	}
	return found;
}
