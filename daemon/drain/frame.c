#include "daemon/drain/frame.h"
#include "daemon/core/codec.h"
#include "proto/limits.h"

#include <stdio.h>
#include <string.h>

/* --- lines --- */

int frame_pri(const struct log_line *l)
{
	if (strcmp(l->source, "heroku") != 0)
		return 190; /* local7.info */
	if (strcmp(l->proc, "router") == 0)
		return 158; /* local3.info */
	if (strcmp(l->proc, "logplex") == 0)
		return 172; /* local5.warning */
	return 134;	    /* local0.info */
}

/* after: what stands between PROCID and the text. */
static void frame(const struct log_line *l, const char *host, const char *after, struct buf *out)
{
	char ts[CLOCK_ISO_LEN], head[640];
	int n;

	clock_iso_us(l->ts, ts);
	n = snprintf(head, sizeof head, "<%d>1 %s %s %s %s %s ", frame_pri(l), ts, host, l->source,
		     l->proc, after);
	n = n < (int)sizeof head ? n : (int)sizeof head - 1;
	buf_reserve(out, (size_t)n + l->len + 16);
	buf_addf(out, "%zu ", (size_t)n + l->len + 1);
	buf_add(out, head, (size_t)n);
	buf_add(out, l->text, l->len);
	buf_addc(out, '\n');
}

void frame_syslog(const struct log_line *l, const char *token, struct buf *out)
{
	frame(l, token, "- -", out);
}

void frame_logplex(const struct log_line *l, struct buf *out)
{
	frame(l, "host", "-", out);
}

struct log_line frame_lost(const struct log_lost *lost, char text[160])
{
	char since[CLOCK_ISO_LEN];

	clock_iso_us(lost->since, since);
	snprintf(text, 160, "Error L10 (output buffer overflow): %llu messages dropped since %s.",
		 (unsigned long long)lost->n, since);
	return (struct log_line){.ts = clock_wall_us(),
				 .source = "heroku",
				 .proc = "logplex",
				 .text = text,
				 .len = strlen(text)};
}

/* --- URLs --- */

static const struct {
	const char *scheme;
	enum drain_kind kind;
	int port;
} schemes[] = {
	{"syslog://", DRAIN_TCP, 514},
	{"syslog+tls://", DRAIN_TLS, 6514},
	{"http://", DRAIN_HTTP, 80},
	{"https://", DRAIN_HTTPS, 443},
};

void drain_url_clear(struct drain_url *u)
{
	free(u->host);
	free(u->user);
	if (u->password)
		explicit_bzero(u->password, strlen(u->password));
	free(u->password);
	free(u->bare);
	*u = (struct drain_url){0};
}

static int bad(struct err *err, const char *what)
{
	return err_set(err, ERR_INVALID_PARAMS, "Url is invalid: %s.", what);
}

static int decode(const char *s, size_t n, char **out, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};

	/* Line ends would be further header lines. */
	if (percent_decode(s, n, false, &b) < 0 || memchr(buf_str(&b), 0, b.len) ||
	    strpbrk(buf_str(&b), "\r\n"))
		return bad(err, "user or password is not well encoded");
	*out = xstrdup(buf_str(&b));
	return 0;
}

static int parse_user(const char *s, size_t n, struct drain_url *u, struct err *err)
{
	const char *colon = memchr(s, ':', n);
	size_t un = colon ? (size_t)(colon - s) : n;

	if (decode(s, un, &u->user, err) < 0)
		return -1;
	if (strchr(u->user, ':'))
		return bad(err, "a user name cannot contain a colon");
	return colon ? decode(colon + 1, n - un - 1, &u->password, err) : 0;
}

static int parse_port(const char *s, size_t n, int *out, struct err *err)
{
	int v = 0;

	for (size_t i = 0; i < n; i++)
		v = s[i] < '0' || s[i] > '9' || i > 4 ? 65536 : v * 10 + (s[i] - '0');
	if (v < 1 || v > 65535)
		return bad(err, "the port must be between 1 and 65535");
	*out = v;
	return 0;
}

static bool host_ok(const char *s, size_t n, bool v6)
{
	const char *set = v6 ? "0123456789abcdefABCDEF:."
			     : "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

	if (n < 1 || n > 253)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!s[i] || !strchr(set, s[i]))
			return false;
	return true;
}

/* host[:port] */
static int parse_host(const char *s, size_t n, struct drain_url *u, struct err *err)
{
	bool v6 = n > 0 && *s == '[';
	const char *end = v6 ? memchr(s, ']', n) : memchr(s, ':', n);
	const char *host = v6 ? s + 1 : s, *rest;
	size_t hn = end ? (size_t)(end - host) : n;

	if ((v6 && !end) || !host_ok(host, hn, v6))
		return bad(err, "it needs a host name or an address");
	u->host = xstrndup(host, hn);
	rest = v6 ? end + 1 : host + hn;
	if (rest == s + n)
		return 0;
	if (*rest != ':')
		return bad(err, "it needs a host name or an address");
	return parse_port(rest + 1, (size_t)(s + n - rest - 1), &u->port, err);
}

static bool plain(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 127 ||
		    strchr("\"<>\\^`{|}", *s))
			return false;
	return true;
}

static int parse_rest(const char *text, size_t scheme, struct drain_url *u, struct err *err)
{
	const char *s = text + scheme;
	size_t n = strcspn(s, "/?#");
	const char *path = s + n, *at = memrchr(s, '@', n);
	bool http = u->kind == DRAIN_HTTP || u->kind == DRAIN_HTTPS;

	if (at && (!http || at == s))
		return bad(err, http ? "there is no user before the @"
				     : "syslog takes no user and password");
	if (at && parse_user(s, (size_t)(at - s), u, err) < 0)
		return -1;
	s = at ? at + 1 : s;
	if (parse_host(s, (size_t)(path - s), u, err) < 0)
		return -1;
	if (!http && strcmp(path, "/") != 0 && *path)
		return bad(err, "syslog takes a host and a port only");
	if (strchr(path, '#'))
		return bad(err, "a part after # goes nowhere");
	u->bare = xasprintf("%.*s%s", (int)scheme, text, s);
	return 0;
}

int drain_url_parse(const char *text, struct drain_url *out, struct err *err)
{
	if (strlen(text) > LIM_OUT_URL)
		return bad(err, "it is too long");
	if (!plain(text))
		return bad(err, "blanks and the like must be encoded");
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		AUTO(drain_url_clear)
		struct drain_url u = {.kind = schemes[i].kind, .port = schemes[i].port};
		size_t n = strlen(schemes[i].scheme);

		if (strncasecmp(text, schemes[i].scheme, n) != 0)
			continue;
		if (parse_rest(text, n, &u, err) < 0)
			return -1;
		*out = u;
		u = (struct drain_url){0};
		return 0;
	}
	return bad(err, "it must start with syslog://, syslog+tls://, https:// or http://");
}

char *drain_url_hide(const char *text)
{
	const char *s = strstr(text, "://"), *at, *path;
	size_t n;

	if (!s)
		return xstrdup("[hidden]");
	s += 3;
	n = strcspn(s, "/?#");
	path = s + n;
	at = memrchr(s, '@', n);
	/* Services take their keys in path and query as often as in the user's place. */
	return xasprintf("%.*s%.*s%s", (int)(s - text), text, (int)(path - (at ? at + 1 : s)),
			 at ? at + 1 : s,
			 at || (*path && strcmp(path, "/") != 0) ? "/[hidden]" : path);
}
