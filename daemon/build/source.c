#include "daemon/build/source.h"
#include "daemon/core/fsx.h"
#include "proto/limits.h"

#include <ctype.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_TEXT 2000
#define MAP_HOPS 4

void source_clear(struct source *s)
{
	free(s->what);
	free(s->ref);
	*s = (struct source){0};
}

static bool clean_text(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] <= 0x20 || s[i] == 0x7f)
			return false;
	return n > 0 && n <= MAX_TEXT;
}

static bool is_name(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (!islower((unsigned char)s[i]) && !isdigit((unsigned char)s[i]) && s[i] != '-')
			return false;
	return n > 0 && n <= 64 && s[0] != '-';
}

static bool is_ref(const char *s)
{
	static const char extra[] = "._/-+@";
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr(extra, s[i]))
			return false;
	return n > 0 && n <= 255 && s[0] != '-' && !strstr(s, "..");
}

static const char *mapped(const struct config *cfg, const char *key)
{
	size_t n = strlen(key);

	for (char **m = cfg->buildpack_map; m && *m; m++)
		if (!strncmp(*m, key, n) && (*m)[n] == '=')
			return *m + n + 1;
	return NULL;
}

static bool ends_with(const char *s, size_t n, const char *tail)
{
	size_t t = strlen(tail);

	return n >= t && !strncasecmp(s + n - t, tail, t);
}

static int from_url(const struct config *cfg, const char *text, struct source *out, struct err *err)
{
	const struct {
		const char *scheme;
		bool ok;
		const char *why;
	} schemes[] = {
		{"https://", true, ""},
		{"http://", cfg->allow_private_urls,
		 "http:// addresses are not allowed here, use https://"},
		{"file://", cfg->allow_local_buildpacks, "local buildpacks are not allowed here"},
	};
	const char *hash = strchr(text, '#');
	size_t n = hash ? (size_t)(hash - text) : strlen(text), path = strcspn(text, "?#");
	const char *why = "only https:// addresses can be fetched";
	bool ok = false;

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (!strncmp(text, schemes[i].scheme, strlen(schemes[i].scheme))) {
			ok = schemes[i].ok;
			why = schemes[i].why;
		}
	if (!ok)
		return err_set(err, ERR_INVALID_PARAMS, "%s", why);
	if (hash && !is_ref(hash + 1))
		return err_set(err, ERR_INVALID_PARAMS,
			       "what follows # is no branch, tag or commit");
	if (ends_with(text, path, ".tgz") || ends_with(text, path, ".tar.gz"))
		out->kind = SOURCE_TARBALL;
	else
		out->kind = SOURCE_GIT;
	out->what = xstrndup(text, n);
	out->ref = hash ? xstrdup(hash + 1) : NULL;
	return 0;
}

static int from_path(const struct config *cfg, const char *text, struct source *out,
		     struct err *err)
{
	if (!cfg->allow_local_buildpacks)
		return err_set(err, ERR_INVALID_PARAMS, "local buildpacks are not allowed here");
	out->kind = SOURCE_LOCAL;
	out->what = xstrdup(text);
	return 0;
}

static int from_name(const char *text, bool (*has)(const char *name, void *arg), void *arg,
		     struct source *out, struct err *err)
{
	static const char *const spaces[] = {"", "heroku/", "heroku-community/"};

	for (size_t i = 0; i < ARRAY_LEN(spaces); i++) {
		size_t n = strlen(spaces[i]);

		if (strncmp(text, spaces[i], n) != 0 || !is_name(text + n) || !has(text + n, arg))
			continue;
		out->kind = SOURCE_BUNDLED;
		out->what = xstrdup(text + n);
		return 0;
	}
	return err_set(
		err, ERR_INVALID_PARAMS,
		"there is no buildpack of this name here; give the address of its git repository");
}

int source_resolve(const struct config *cfg, const char *text,
		   bool (*has)(const char *name, void *arg), void *arg, struct source *out,
		   struct err *err)
{
	static const char urn[] = "urn:buildpack:";

	*out = (struct source){0};
	if (!clean_text(text))
		return err_set(err, ERR_INVALID_PARAMS,
			       "it is empty, too long, or has blanks in it");
	if (!strncmp(text, urn, sizeof(urn) - 1))
		text += sizeof(urn) - 1;
	for (int i = 0; i < MAP_HOPS; i++) {
		const char *to = mapped(cfg, text);

		if (!to || !strcmp(to, text))
			break;
		text = to;
	}
	if (strstr(text, "://"))
		return from_url(cfg, text, out, err);
	if (text[0] == '/')
		return from_path(cfg, text, out, err);
	if (strchr(text, '@') && strchr(text, ':'))
		return err_set(err, ERR_INVALID_PARAMS, "only https:// addresses can be fetched");
	return from_name(text, has, arg, out, err);
}

char *source_public_name(const struct config *cfg, const char *bundled)
{
	for (char **m = cfg->buildpack_map; m && *m; m++) {
		const char *eq = strchr(*m, '=');

		if (eq && !strcmp(eq + 1, bundled))
			return xstrndup(*m, (size_t)(eq - *m));
	}
	return xstrdup(bundled);
}

char *source_shown(const char *text)
{
	const char *host = strstr(text, "://"), *at = NULL;

	if (!host)
		return xstrdup(text);
	host += 3;
	for (const char *p = host; *p && *p != '/' && *p != '#' && *p != '?'; p++)
		if (*p == '@')
			at = p;
	if (!at)
		return xstrdup(text);
	return xasprintf("%.*s***%s", (int)(host - text), text, at);
}

static bool in4(uint32_t a, uint32_t net, int bits)
{
	return (a ^ net) >> (32 - bits) == 0;
}

static bool private4(uint32_t a)
{
	static const struct {
		uint32_t net;
		int bits;
	} nets[] = {
		{0x00000000, 8},  /* this host */
		{0x0a000000, 8},  /* private */
		{0x64400000, 10}, /* shared, RFC 6598 */
		{0x7f000000, 8},  /* loopback */
		{0xa9fe0000, 16}, /* link-local, cloud metadata */
		{0xac100000, 12}, /* private */
		{0xc0000000, 24}, /* protocol assignments */
		{0xc0a80000, 16}, /* private */
		{0xc6120000, 15}, /* benchmarking */
		{0xe0000000, 3},  /* multicast, reserved, broadcast */
	};

	for (size_t i = 0; i < ARRAY_LEN(nets); i++)
		if (in4(a, nets[i].net, nets[i].bits))
			return true;
	return false;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool private6(const uint8_t *a)
{
	static const uint8_t v4mapped[12] = {[10] = 0xff, [11] = 0xff};
	static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};
	static const uint8_t zero[12] = {0};

	if (!memcmp(a, v4mapped, 12) || !memcmp(a, nat64, 12))
		return private4(be32(a + 12));
	if (!memcmp(a, zero, 12)) /* ::, ::1, the old form of mapped addresses */
		return true;
	if (a[0] == 0x20 && a[1] == 0x02) /* 6to4 */
		return private4(be32(a + 2));
	/* unique local, link- and site-local, multicast */
	return (a[0] & 0xfe) == 0xfc || (a[0] == 0xfe && (a[1] & 0x80)) || a[0] == 0xff;
}

bool source_addr_is_private(const struct sockaddr *sa)
{
	struct sockaddr_in6 a6;
	struct sockaddr_in a4;

	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&a4, sa, sizeof(a4));
		return private4(ntohl(a4.sin_addr.s_addr));
	case AF_INET6:
		memcpy(&a6, sa, sizeof(a6));
		return private6(a6.sin6_addr.s6_addr);
	default:
		return true;
	}
}

bool source_behind_proxy(void)
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

static int fetch_folder(const char *from, const char *dir, struct err *err)
{
	struct stat st;

	if (stat(from, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(err, ERR_BUILD_FAILED, "%s is not a folder", from);
	return fs_copytree(from, dir, LIM_BUILDPACK, err);
}

int source_fetch(const struct source *s, const struct fetch *f, struct err *err)
{
	AUTO(auto_str) char *path = NULL;

	switch (s->kind) {
	case SOURCE_BUNDLED:
		path = xasprintf("%s/%s", f->cfg->buildpacks_dir, s->what);
		return fetch_folder(path, f->dir, err);
	case SOURCE_LOCAL:
		return fetch_folder(s->what, f->dir, err);
	case SOURCE_GIT:
		return source_fetch_git(s, f, err);
	case SOURCE_TARBALL:
		return source_fetch_tarball(s, f, err);
	}
	return err_set(err, ERR_INTERNAL, "no such kind of source");
}
