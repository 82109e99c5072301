#include "daemon/core/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct net { /* version 4 as ::ffff:a.b.c.d */
	uint8_t addr[16];
	unsigned bits;
};

static void map4(const void *v4, uint8_t out[16])
{
	memset(out, 0, 10);
	out[10] = out[11] = 0xff;
	memcpy(out + 12, v4, 4);
}

static bool parse_bits(const char *s, unsigned max, unsigned *out)
{
	char *end;
	unsigned long v;

	if (*s < '0' || *s > '9')
		return false;
	v = strtoul(s, &end, 10);
	*out = (unsigned)v;
	return !*end && v <= max;
}

static bool parse(const char *text, struct net *out)
{
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	char host[INET6_ADDRSTRLEN];
	struct in_addr a4;
	unsigned bits;

	if (n >= sizeof host)
		return false;
	memcpy(host, text, n);
	host[n] = 0;
	if (inet_pton(AF_INET, host, &a4) == 1) {
		map4(&a4, out->addr);
		bits = 32;
		if (slash && !parse_bits(slash + 1, 32, &bits))
			return false;
		out->bits = bits + 96;
		return true;
	}
	out->bits = 128;
	return inet_pton(AF_INET6, host, out->addr) == 1 &&
	       (!slash || parse_bits(slash + 1, 128, &out->bits));
}

static bool inside(const struct net *n, const uint8_t addr[16])
{
	unsigned whole = n->bits / 8, rest = n->bits % 8;

	if (memcmp(n->addr, addr, whole) != 0)
		return false;
	return !rest || !((n->addr[whole] ^ addr[whole]) >> (8 - rest));
}

bool cidr_ok(const char *text)
{
	struct net n;

	if (!parse(text, &n))
		return false;
	for (unsigned i = n.bits; i < 128; i++)
		if (n.addr[i / 8] & (0x80 >> i % 8))
			return false;
	return true;
}

bool cidr_has(char *const *list, const struct sockaddr *sa)
{
	struct sockaddr_in6 a6;
	struct sockaddr_in a4;
	uint8_t addr[16];
	struct net n;

	if (sa->sa_family == AF_INET) {
		memcpy(&a4, sa, sizeof a4);
		map4(&a4.sin_addr, addr);
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&a6, sa, sizeof a6);
		memcpy(addr, &a6.sin6_addr, 16);
	} else {
		return false;
	}
	for (; list && *list; list++)
		if (parse(*list, &n) && inside(&n, addr))
			return true;
	return false;
}
