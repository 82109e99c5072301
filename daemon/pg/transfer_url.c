#include "daemon/pg/transfer_url.h"
#include "daemon/core/codec.h"
#include "daemon/core/netaddr.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void pgurl_clear(struct pgurl *u)
{
	if (u->password)
		explicit_bzero(u->password, strlen(u->password));
	free(u->host);
	free(u->user);
	free(u->password);
	free(u->dbname);
	free(u->hostaddr);
	*u = (struct pgurl){0};
}

static int bad(struct err *err)
{
	return err_set(err, ERR_INVALID_PARAMS,
		       "A database's URL is postgres://USER:PASSWORD@HOST:PORT/DATABASE.");
}

/* Decoded; NULL when it has a control character or is too long. */
static char *part(const char *p, size_t n)
{
	AUTO(buf_clear) struct buf b = {0};

	if (n > 1024 || percent_decode(p, n, false, &b) < 0)
		return NULL;
	for (size_t i = 0; i < b.len; i++)
		if ((unsigned char)b.data[i] < ' ' || b.data[i] == 127)
			return NULL;
	return buf_steal(&b);
}

/* What pg_restore and psql would take for more than a name: they get it as an argument. */
static bool plain_name(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n < 64 && s[0] != '-' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$-") == n;
}

static bool host_ok(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n < 254 &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:") == n;
}

static int parse_host(const char *p, size_t n, struct pgurl *u)
{
	const char *end = p + n, *colon;
	char *rest;

	u->port = 5432;
	if (n && *p == '[') {
		const char *close = memchr(p, ']', n);

		if (!close || (close + 1 < end && close[1] != ':'))
			return -1;
		u->host = part(p + 1, (size_t)(close - p - 1));
		colon = close + 1 < end ? close + 1 : NULL;
	} else {
		colon = memchr(p, ':', n);
		u->host = part(p, colon ? (size_t)(colon - p) : n);
	}
	if (!u->host || !host_ok(u->host))
		return -1;
	if (colon) {
		long v = strtol(colon + 1, &rest, 10);

		if (rest != end || rest == colon + 1 || colon[1] < '0' || colon[1] > '9' || v < 1 ||
		    v > 65535)
			return -1;
		u->port = (int)v;
	}
	return 0;
}

static void parse_query(const char *q, struct pgurl *u)
{
	static const char *const modes[] = {"disable", "allow",	    "prefer",
					    "require", "verify-ca", "verify-full"};
	static const char key[] = "sslmode=";

	for (; q; q = strchr(q, '&')) {
		q++;
		for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
			size_t n = strlen(modes[i]);

			if (strncmp(q, key, sizeof key - 1) == 0 &&
			    strncmp(q + sizeof key - 1, modes[i], n) == 0 &&
			    (q[sizeof key - 1 + n] == 0 || q[sizeof key - 1 + n] == '&'))
				snprintf(u->sslmode, sizeof u->sslmode, "%s", modes[i]);
		}
	}
}

static int parse(const char *text, struct pgurl *u)
{
	static const char *const schemes[] = {"postgres://", "postgresql://"};
	const char *p = NULL, *at, *slash, *query, *colon;

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (strncasecmp(text, schemes[i], strlen(schemes[i])) == 0)
			p = text + strlen(schemes[i]);
	if (!p || !(slash = strchr(p, '/')))
		return -1;
	for (at = slash; at > p && *at != '@'; at--)
		;
	if (*at != '@')
		return -1;
	query = strchr(slash, '?');
	colon = memchr(p, ':', (size_t)(at - p));
	u->user = part(p, (size_t)((colon ? colon : at) - p));
	u->password = colon ? part(colon + 1, (size_t)(at - colon - 1)) : xstrdup("");
	u->dbname = query ? part(slash + 1, (size_t)(query - slash - 1))
			  : part(slash + 1, strlen(slash + 1));
	snprintf(u->sslmode, sizeof u->sslmode, "prefer");
	parse_query(query, u);
	if (!u->user || !*u->user || !u->password || !u->dbname || !plain_name(u->dbname))
		return -1;
	return parse_host(at + 1, (size_t)(slash - at - 1), u);
}

int pgurl_parse(const char *text, struct pgurl *out, struct err *err)
{
	AUTO(pgurl_clear) struct pgurl u = {0};

	if (parse(text, &u) < 0)
		return bad(err);
	*out = u;
	u = (struct pgurl){0};
	return 0;
}

bool pgurl_same(const struct pgurl *a, const struct pgurl *b)
{
	return a->port == b->port && strcasecmp(a->host, b->host) == 0 &&
	       strcmp(a->dbname, b->dbname) == 0;
}

char *pgurl_shown(const struct pgurl *u)
{
	const char *open = strchr(u->host, ':') ? "[" : "", *close = *open ? "]" : "";

	return xasprintf("postgres://%s%s%s:%d/%s", open, u->host, close, u->port, u->dbname);
}

int pgurl_guard(struct pgurl *u, const struct config *cfg, struct err *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	char text[INET6_ADDRSTRLEN + 8] = "";
	struct addrinfo *all = NULL;
	bool refused = false;

	if (getaddrinfo(u->host, NULL, &hints, &all) != 0)
		return err_set(err, ERR_INVALID_PARAMS, "The host %.100s of the URL is not found.",
			       u->host);
	for (const struct addrinfo *a = all; a && !*text; a = a->ai_next) {
		if (!cfg->allow_private_urls && netaddr_is_private(a->ai_addr))
			refused = true;
		else
			getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0,
				    NI_NUMERICHOST);
	}
	freeaddrinfo(all);
	if (!*text)
		return err_set(err, ERR_INVALID_PARAMS,
			       refused ? "The host %.100s of the URL has a private address."
				       : "The host %.100s of the URL has no address.",
			       u->host);
	free(u->hostaddr);
	u->hostaddr = xstrdup(text);
	return 0;
}

char **pgurl_env(const struct pgurl *u)
{
	char **env = xcalloc(20, sizeof *env);
	int n = 0;

	env[n++] = xstrdup("PATH=/usr/local/bin:/usr/bin:/bin");
	env[n++] = xstrdup("LANG=C.UTF-8");
	/* Nothing of paasd's own home is read. */
	env[n++] = xstrdup("HOME=/nonexistent");
	env[n++] = xstrdup("PGPASSFILE=/dev/null");
	env[n++] = xstrdup("PGSERVICEFILE=/dev/null");
	env[n++] = xstrdup("PGSYSCONFDIR=/nonexistent");
	env[n++] = xstrdup("PSQL_HISTORY=/dev/null");
	env[n++] = xstrdup("PGAPPNAME=paasd");
	env[n++] = xstrdup("PGCONNECT_TIMEOUT=15");
	env[n++] = xstrdup("PGCLIENTENCODING=UTF8");
	env[n++] = xasprintf("PGHOST=%s", u->host);
	if (u->hostaddr)
		env[n++] = xasprintf("PGHOSTADDR=%s", u->hostaddr);
	env[n++] = xasprintf("PGPORT=%d", u->port);
	env[n++] = xasprintf("PGUSER=%s", u->user);
	env[n++] = xasprintf("PGPASSWORD=%s", u->password);
	env[n++] = xasprintf("PGDATABASE=%s", u->dbname);
	env[n++] = xasprintf("PGSSLMODE=%s", u->sslmode);
	if (strncmp(u->sslmode, "verify", 6) == 0)
		env[n++] = xstrdup("PGSSLROOTCERT=/etc/ssl/certs/ca-certificates.crt");
	return env;
}

void pgurl_env_free(char **env)
{
	for (char **p = env; *p; p++) {
		explicit_bzero(*p, strlen(*p));
		free(*p);
	}
	free(env);
}
