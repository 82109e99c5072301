/* http1_fields.c - tables and small questions about strings of a head. */
#include "daemon/http/http1_int.h"

#include <assert.h>
#include <string.h>

#define T C_TOKEN
#define U C_TARGET
#define N C_HOST
#define V C_VALUE
const uint8_t http1_class[256] = {
	['\t'] = V,
	[' '] = V,
	['!'] = T | U | V,
	['"'] = U | V,
	['#'] = T | V,
	['$' ... '\''] = T | U | V,
	['(' ... ')'] = U | V,
	['*' ... '+'] = T | U | V,
	[','] = U | V,
	['-' ... '.'] = T | U | N | V,
	['/'] = U | V,
	['0' ... '9'] = T | U | N | V,
	[':' ... '@'] = U | V,
	['A' ... 'Z'] = T | U | N | V,
	['[' ... ']'] = U | V,
	['^'] = T | U | V,
	['_'] = T | U | N | V,
	['`'] = T | U | V,
	['a' ... 'z'] = T | U | N | V,
	['{'] = U | V,
	['|'] = T | U | V,
	['}'] = U | V,
	['~'] = T | U | V,
	[0x80 ... 0xff] = V,
};
#undef T
#undef U
#undef N
#undef V

/* Sorted by length, so that a name meets only the few of its own length. */
static const struct {
	const char *name;
	uint8_t id;
} known[] = {
	{"te", H_TE},
	{"via", H_VIA},
	{"host", H_HOST},
	{"date", H_DATE},
	{"proxy", H_PROXY},
	{"expect", H_EXPECT},
	{"server", H_SERVER},
	{"trailer", H_TRAILER},
	{"upgrade", H_UPGRADE},
	{"connection", H_CONNECTION},
	{"set-cookie", H_SET_COOKIE},
	{"keep-alive", H_KEEP_ALIVE},
	{"content-type", H_CONTENT_TYPE},
	{"x-request-id", H_X_REQUEST_ID},
	{"authorization", H_AUTHORIZATION},
	{"content-length", H_CONTENT_LENGTH},
	{"x-forwarded-for", H_X_FORWARDED_FOR},
	{"x-request-start", H_X_REQUEST_START},
	{"content-encoding", H_CONTENT_ENCODING},
	{"x-forwarded-port", H_X_FORWARDED_PORT},
	{"proxy-connection", H_PROXY_CONNECTION},
	{"x-forwarded-proto", H_X_FORWARDED_PROTO},
	{"transfer-encoding", H_TRANSFER_ENCODING},
	{"proxy-authenticate", H_PROXY_AUTHENTICATE},
	{"proxy-authorization", H_PROXY_AUTHORIZATION},
};
/* known[first[n]] .. known[first[n + 1] - 1] have n octets */
static const uint8_t first[] = {0,  0,	0,  1,	2,  4,	5,  7,	9,  9, 9,
				12, 12, 14, 15, 16, 18, 21, 23, 24, 25};
_Static_assert(ARRAY_LEN(known) == 25, "first[] belongs to this table");

static bool same_lower(const char *s, const char *lower, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		char c = s[i];

		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		if (c != lower[i])
			return false;
	}
	return true;
}

enum http1_field_id http1_field_of(const char *name, uint32_t n)
{
	if (n >= ARRAY_LEN(first) - 1)
		return H_OTHER;
	for (unsigned i = first[n]; i < first[n + 1]; i++)
		if ((name[0] | 0x20) == known[i].name[0] && same_lower(name, known[i].name, n))
			return known[i].id;
	return H_OTHER;
}

const struct http1_field *http1_find(const struct http1_head *h, const char *lower_name)
{
	size_t n = strlen(lower_name);

	for (int i = 0; i < h->nfields; i++)
		if (h->fields[i].name.n == n &&
		    same_lower(h->fields[i].name.p, lower_name, (uint32_t)n))
			return &h->fields[i];
	return NULL;
}

bool http1_is(struct http1_str s, const char *lit)
{
	size_t n = strlen(lit);

	return s.n == n && memcmp(s.p, lit, n) == 0;
}

bool http1_is_ci(struct http1_str s, const char *lit)
{
	size_t n = strlen(lit);

	return s.n == n && strncasecmp(s.p, lit, n) == 0;
}

bool http1_list_has(struct http1_str list, const char *token)
{
	const char *p = list.p, *end = list.p + list.n;

	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		const char *stop = comma ? comma : end;
		struct http1_str item;

		while (p < stop && (*p == ' ' || *p == '\t'))
			p++;
		item.p = p;
		item.n = (uint32_t)(stop - p);
		while (item.n && (item.p[item.n - 1] == ' ' || item.p[item.n - 1] == '\t'))
			item.n--;
		if (http1_is_ci(item, token))
			return true;
		p = stop + 1;
	}
	return false;
}

const char *http1_reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} reasons[] = {
		{100, "Continue"},
		{101, "Switching Protocols"},
		{103, "Early Hints"},
		{200, "OK"},
		{201, "Created"},
		{202, "Accepted"},
		{203, "Non-Authoritative Information"},
		{204, "No Content"},
		{205, "Reset Content"},
		{206, "Partial Content"},
		{300, "Multiple Choices"},
		{301, "Moved Permanently"},
		{302, "Found"},
		{303, "See Other"},
		{304, "Not Modified"},
		{307, "Temporary Redirect"},
		{308, "Permanent Redirect"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{402, "Payment Required"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{406, "Not Acceptable"},
		{407, "Proxy Authentication Required"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{410, "Gone"},
		{411, "Length Required"},
		{412, "Precondition Failed"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{415, "Unsupported Media Type"},
		{416, "Range Not Satisfiable"},
		{417, "Expectation Failed"},
		{421, "Misdirected Request"},
		{422, "Unprocessable Content"},
		{423, "Locked"},
		{426, "Upgrade Required"},
		{428, "Precondition Required"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
		{505, "HTTP Version Not Supported"},
		{507, "Insufficient Storage"},
	};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "Unknown";
}
