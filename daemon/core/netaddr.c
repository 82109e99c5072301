#include "daemon/core/netaddr.h"
#include "proto/auto.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* RFC 6890, 6598, 5737, 2544, 5771 */
static const struct {
	uint32_t net;
	int bits;
} private4[] = {
	{0x00000000, 8},				      /* this host */
	{0x0a000000, 8},				      /* private */
	{0x64400000, 10},				      /* carrier-grade NAT */
	{0x7f000000, 8},				      /* loopback */
	{0xa9fe0000, 16},				      /* link-local, metadata of clouds */
	{0xac100000, 12},				      /* private */
	{0xc0000000, 24},				      /* protocol assignments */
	{0xc0000200, 24},				      /* documentation, with the next two */
	{0xc6336400, 24}, {0xcb007100, 24}, {0xc0586300, 24}, /* 6to4 relays */
	{0xc0a80000, 16},				      /* private */
	{0xc6120000, 15},				      /* benchmarks */
	{0xe0000000, 3},				      /* multicast, reserved, broadcast */
};

/* RFC 4291, 6890, 6666, 3849, 9637 */
static const struct {
	uint8_t net[16];
	int bits;
} private6[] = {
	{{0}, 96},				    /* ::, ::1, the old form of carried addresses */
	{{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48}, /* NAT64, local use */
	{{0x01}, 64},				    /* discard */
	{{0x20, 0x01, 0x00}, 23},		    /* protocol assignments, Teredo */
	{{0x20, 0x01, 0x0d, 0xb8}, 32},		    /* documentation */
	{{0x3f, 0xff, 0x00}, 20},		    /* documentation */
	{{0x5f, 0x00}, 16},			    /* segment routing */
	{{0xfc}, 7},				    /* unique local */
	{{0xfe, 0x80}, 9},			    /* link-local, site-local */
	{{0xff}, 8},				    /* multicast */
};

/* Prefixes that a version 4 address follows. */
static const struct {
	uint8_t net[12];
	int bytes;
} carriers[] = {
	{{[10] = 0xff, [11] = 0xff}, 12}, /* mapped */
	{{0x00, 0x64, 0xff, 0x9b}, 12},	  /* NAT64 */
	{{0x20, 0x02}, 2},		  /* 6to4 */
};

static bool v4_is_private(uint32_t a)
{
	for (size_t i = 0; i < ARRAY_LEN(private4); i++)
		if ((a ^ private4[i].net) >> (32 - private4[i].bits) == 0)
			return true;
	return false;
}

static bool same_prefix(const uint8_t *a, const uint8_t *b, int bits)
{
	int bytes = bits / 8, rest = bits % 8;

	return memcmp(a, b, (size_t)bytes) == 0 &&
	       (!rest || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0);
}

static bool v6_is_private(const uint8_t a[16])
{
	for (size_t i = 0; i < ARRAY_LEN(private6); i++)
		if (same_prefix(a, private6[i].net, private6[i].bits))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(carriers); i++) {
		const uint8_t *p = a + carriers[i].bytes;

		if (memcmp(a, carriers[i].net, (size_t)carriers[i].bytes) == 0)
			return v4_is_private((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
					     (uint32_t)p[2] << 8 | p[3]);
	}
	return false;
}

bool netaddr_is_private(const struct sockaddr *sa)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	switch (sa->sa_family) { /* copied: what curl hands over is not aligned for it */
	case AF_INET:
		memcpy(&in, sa, sizeof in);
		return v4_is_private(ntohl(in.sin_addr.s_addr));
	case AF_INET6:
		memcpy(&in6, sa, sizeof in6);
		return v6_is_private(in6.sin6_addr.s6_addr);
	default:
		return true;
	}
}

bool netaddr_behind_proxy(void)
{
	static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy",
					    "ALL_PROXY"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *v = getenv(names[i]);

		if (v && *v)
			return true;
	}
	return false;
}

int netaddr_socket(struct netaddr_guard *g, const struct sockaddr *sa, int type, int protocol)
{
	if (!g->any && netaddr_is_private(sa)) {
		g->refused = true;
		return -1;
	}
	return socket(sa->sa_family, type | SOCK_CLOEXEC, protocol);
}
