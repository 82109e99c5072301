#include "cli/url.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool take_scheme(const char **s, struct cli_url *out)
{
	static const struct {
		const char *prefix, *name;
		int port;
	} known[] = {{"http://", "http", 80}, {"https://", "https", 443}};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		size_t n = strlen(known[i].prefix);

		if (strncasecmp(*s, known[i].prefix, n) != 0)
			continue;
		snprintf(out->scheme, sizeof out->scheme, "%s", known[i].name);
		out->port = known[i].port;
		*s += n;
		return true;
	}
	return false;
}

static bool take_port(const char *s, size_t n, struct cli_url *out)
{
	int port = 0;

	if (n == 0 || n > 5)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		port = port * 10 + (s[i] - '0');
	}
	out->port = port;
	out->port_given = true;
	return port > 0 && port < 65536;
}

bool cli_url_parse(const char *s, struct cli_url *out)
{
	size_t n, hlen;
	const char *host, *at, *colon;

	*out = (struct cli_url){0};
	if (!take_scheme(&s, out))
		return false;
	n = strcspn(s, "/?#");
	if (strlen(s + n) >= sizeof out->path)
		return false;
	memcpy(out->path, s + n, strlen(s + n) + 1);
	at = memrchr(s, '@', n);
	host = at ? at + 1 : s;
	hlen = n - (size_t)(host - s);
	if (hlen && host[0] == '[') {
		const char *end = memchr(host, ']', hlen);

		if (!end)
			return false;
		colon = end + 1 < host + hlen ? end + 1 : NULL;
		if (colon && *colon != ':')
			return false;
		n = (size_t)(end - host) - 1;
		host++;
		hlen = hlen - 1;
	} else {
		colon = memchr(host, ':', hlen);
		n = colon ? (size_t)(colon - host) : hlen;
	}
	if (n == 0 || n >= sizeof out->host)
		return false;
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)host[i] <= 0x20 || (unsigned char)host[i] >= 0x7f)
			return false;
		out->host[i] = (char)tolower((unsigned char)host[i]);
	}
	return !colon || take_port(colon + 1, (size_t)(host + hlen - colon) - 1, out);
}

bool cli_url_loopback(const struct cli_url *u)
{
	size_t n = strlen(u->host);

	return strcmp(u->host, "localhost") == 0 || strcmp(u->host, "::1") == 0 ||
	       (n > 10 && strcmp(u->host + n - 10, ".localhost") == 0) ||
	       (strncmp(u->host, "127.", 4) == 0 && strspn(u->host, "0123456789.") == n);
}

void cli_url_hostport(const struct cli_url *u, char out[300])
{
	snprintf(out, 300, strchr(u->host, ':') ? "[%s]:%d" : "%s:%d", u->host, u->port);
}

bool cli_url_app(const char *url, const struct cli_url *platform, char *out)
{
	struct cli_url u;
	size_t n;

	if (!cli_url_parse(url, &u))
		return false;
	if (strcmp(u.host, platform->host) != 0 &&
	    !(cli_url_loopback(&u) && cli_url_loopback(platform)))
		return false;
	if (u.port_given && u.port != platform->port)
		return false;
	n = strlen(u.path);
	if (n < 6 || u.path[0] != '/' || strcmp(u.path + n - 4, ".git") != 0 ||
	    n - 5 > LIM_APP_NAME)
		return false;
	memcpy(out, u.path + 1, n - 5);
	out[n - 5] = 0;
	return name_is_app(out);
}
