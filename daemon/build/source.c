#include "daemon/build/source.h"
#include "daemon/core/fsx.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <ctype.h>
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

	char name[130];

	*out = (struct source){0};
	if (!clean_text(text))
		return err_set(err, ERR_INVALID_PARAMS,
			       "it is empty, too long, or has blanks in it");
	if (!strncmp(text, urn, sizeof(urn) - 1))
		text += sizeof(urn) - 1;
	if (name_of_registry_url(text, name))
		text = name;
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
	char name[130];

	if (name_of_registry_url(text, name))
		return xstrdup(name);
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
