#include "cli/pgurl.h"
#include "proto/buf.h"
#include "proto/hex.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

extern char **environ;

void cli_pgurl_clear(struct cli_pgurl *u)
{
	if (u->password)
		explicit_bzero(u->password, strlen(u->password));
	free(u->user);
	free(u->password);
	free(u->host);
	free(u->port);
	free(u->database);
	*u = (struct cli_pgurl){0};
}

/* n bytes of s decoded; NULL for bad escapes and NULs. */
static char *decode(const char *s, size_t n)
{
	AUTO(buf_clear) struct buf b = {0};

	for (size_t i = 0; i < n; i++) {
		if (s[i] != '%') {
			buf_addc(&b, s[i]);
			continue;
		}
		if (i + 2 >= n || hex_digit(s[i + 1]) < 0 || hex_digit(s[i + 2]) < 0)
			return NULL;
		char c = (char)(hex_digit(s[i + 1]) * 16 + hex_digit(s[i + 2]));

		if (!c)
			return NULL;
		buf_addc(&b, c);
		i += 2;
	}
	return buf_steal(&b);
}

/* "user:password" */
static bool read_user(const char *s, size_t n, struct cli_pgurl *u)
{
	const char *colon = memchr(s, ':', n);
	size_t len = colon ? (size_t)(colon - s) : n;

	u->user = decode(s, len);
	u->password = colon ? decode(colon + 1, n - len - 1) : xstrdup("");
	return u->user && u->password;
}

/* "host:port" or "[::1]:port" */
static bool read_host(const char *s, size_t n, struct cli_pgurl *u)
{
	const char *end = n && s[0] == '[' ? memchr(s, ']', n) : NULL;
	const char *from = end ? end : s, *colon = memchr(from, ':', n - (size_t)(from - s));
	size_t len = colon ? (size_t)(colon - s) : n;

	u->host = end ? decode(s + 1, (size_t)(end - s) - 1) : decode(s, len);
	u->port = colon ? decode(colon + 1, n - len - 1) : xstrdup("");
	for (const char *p = u->port; p && *p; p++)
		if (!isdigit((unsigned char)*p))
			return false;
	return u->host && u->port;
}

int cli_pgurl_parse(const char *url, struct cli_pgurl *out, struct err *err)
{
	static const char *const schemes[] = {"postgres://", "postgresql://"};
	const char *rest = NULL, *at, *slash;
	size_t authority;

	*out = (struct cli_pgurl){0};
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (strncmp(url, schemes[i], strlen(schemes[i])) == 0)
			rest = url + strlen(schemes[i]);
	if (!rest)
		return err_set(err, ERR_BAD_REQUEST, "this is no postgres:// URL");
	authority = strcspn(rest, "/?#");
	at = memrchr(rest, '@', authority);
	slash = rest + authority;
	if ((at && !read_user(rest, (size_t)(at - rest), out)) ||
	    !read_host(at ? at + 1 : rest, authority - (at ? (size_t)(at + 1 - rest) : 0), out) ||
	    !(out->database =
		      *slash == '/' ? decode(slash + 1, strcspn(slash + 1, "?#")) : xstrdup(""))) {
		cli_pgurl_clear(out);
		return err_set(err, ERR_BAD_REQUEST, "this postgres:// URL is malformed");
	}
	if (!at) {
		out->user = xstrdup("");
		out->password = xstrdup("");
	}
	return 0;
}

int cli_pgurl_passfile(const struct cli_pgurl *u, const char *dir, const char *name, char **path,
		       struct err *err)
{
	AUTO(auto_str) char *file = xasprintf("%s/%s", dir, name);
	AUTO(buf_clear) struct buf b = {0};
	AUTO(auto_fd)
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	buf_adds(&b, "*:*:*:*:");
	for (const char *p = u->password; *p; p++) {
		if (*p == ':' || *p == '\\')
			buf_addc(&b, '\\');
		buf_addc(&b, *p);
	}
	buf_addc(&b, '\n');
	if (fd < 0 || write(fd, b.data, b.len) != (ssize_t)b.len)
		return err_errno(err, "cannot write %s", file);
	explicit_bzero(b.data, b.len);
	*path = STEAL(file);
	return 0;
}

/* Everything of libpq's would speak for another server; only how it looks stays. */
static bool inherited(const char *var)
{
	static const char *const kept[] = {
		"PGTZ=", "PGDATESTYLE=", "PGCLIENTENCODING=", "PG_COLOR="};

	if (strncmp(var, "PG", 2) != 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (strncmp(var, kept[i], strlen(kept[i])) == 0)
			return true;
	return false;
}

char **cli_pgurl_env(const struct cli_pgurl *u, const char *host, const char *port,
		     const char *passfile)
{
	size_t n = 0, size = 16;
	char **out;

	for (char **e = environ; *e; e++)
		size++;
	out = xcalloc(size, sizeof *out);
	for (char **e = environ; *e; e++)
		if (inherited(*e))
			out[n++] = xstrdup(*e);
#define PUT(name, value) \
	if (*(value))    \
	out[n++] = xasprintf("%s=%s", name, value)
	PUT("PGHOST", *host ? host : u->host);
	PUT("PGPORT", *port ? port : u->port);
	PUT("PGUSER", u->user);
	PUT("PGDATABASE", u->database);
	PUT("PGPASSFILE", passfile);
#undef PUT
	out[n++] = xstrdup("PGAPPNAME=paasctl");
	return out;
}

void cli_pgurl_env_free(char **env)
{
	for (char **e = env; e && *e; e++)
		free(*e);
	free(env);
}
