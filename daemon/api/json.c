/* Resources and references as JSON. */
#include "daemon/api/api_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

json_t *json_time(wall_ms t)
{
	char iso[CLOCK_ISO_LEN];

	if (!t)
		return json_null();
	clock_iso(t, iso);
	return json_string(iso);
}

/* Bytes of the UTF-8 character at s; 0 when there is none. */
static size_t utf8_char(const unsigned char *s)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* overlong, surrogates, beyond U+10FFFF */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

json_t *json_text(const char *s)
{
	json_t *j = json_string(s ? s : "");
	AUTO(buf_clear) struct buf b = {0};

	if (j)
		return j;
	while (*s) {
		size_t n = utf8_char((const unsigned char *)s);

		buf_add(&b, n ? s : "\xef\xbf\xbd", n ? n : 3);
		s += n ? n : 1;
	}
	return json_string(buf_str(&b));
}

json_t *json_str_or_null(const char *s)
{
	return s ? json_text(s) : json_null();
}

json_t *json_id_or_null(const char *id)
{
	return id && *id ? json_pack("{s:s}", "id", id) : json_null();
}

json_t *json_user_ref(const char *id, const char *email)
{
	return json_pack("{s:s, s:o}", "id", id, "email", json_text(email));
}

json_t *json_app_ref(const struct store_app *a)
{
	return json_pack("{s:s, s:s}", "id", a->id, "name", a->name);
}

json_t *json_named_ref(const char *kind, const char *name)
{
	AUTO(auto_str) char *full = xasprintf("%s/%s", kind, name);
	char id[37];

	uuid_of(full, id); /* stable across restarts and hosts */
	return json_pack("{s:s, s:s}", "id", id, "name", name);
}

/* Nobody asked (webhooks): as the platform calls itself in its settings. Owned. */
static char *own_host(const struct config *c, const char *host)
{
	int port = config_port(c);

	return port == 80 ? xstrdup(host) : xasprintf("%s:%d", host, port);
}

/* URLs are made of the host that the caller used: it reached us by it. */
char *api_public_url(struct api_req *q, const char *path_fmt, ...)
{
	AUTO(buf_clear) struct buf b = {0};
	const char *host = q->x ? http_host(q->x) : NULL;
	AUTO(auto_str) char *own = q->x ? NULL : own_host(q->d->cfg, q->d->cfg->platform_host);
	va_list ap;

	if (q->d->cfg->public_url[0])
		buf_adds(&b, q->d->cfg->public_url);
	else
		buf_addf(&b, "%s://%s", q->x ? http_scheme(q->x) : "http",
			 host && *host ? host
			 : own	       ? own
				       : q->d->cfg->platform_host);
	va_start(ap, path_fmt);
	buf_vaddf(&b, path_fmt, ap);
	va_end(ap);
	return buf_steal(&b);
}

/* Apps are where the platform is, on the same port: where public_url says, else where the caller
 * found it. */
char *api_web_url(struct api_req *q, const char *app_name)
{
	const char *given = strstr(q->d->cfg->public_url, "://");
	AUTO(auto_str)
	char *host = given   ? xstrndup(given + 3, strcspn(given + 3, "/?#"))
		     : !q->x ? own_host(q->d->cfg, q->d->cfg->platform_host)
			     : xstrdup(http_host(q->x) ? http_host(q->x) : "");
	AUTO(auto_str)
	char *scheme =
		given ? xstrndup(q->d->cfg->public_url, (size_t)(given - q->d->cfg->public_url))
		      : xstrdup(q->x ? http_scheme(q->x) : "http");
	const char *port = strrchr(host, ':');

	return xasprintf("%s://%s.%s%s/", scheme, app_name, q->d->cfg->apps_domain,
			 port && !strchr(port, ']') ? port : "");
}

json_t *json_account(const struct store_user *u)
{
	return json_pack("{s:b, s:b, s:o, s:s, s:b, s:s, s:n, s:o, s:o, s:n, s:o, s:n, s:b, s:o, "
			 "s:b, s:n, s:n, s:n}",
			 "allow_tracking", u->allow_tracking, "beta", u->beta, "created_at",
			 json_time(u->created_ms), "email", u->email, "federated", 0, "id", u->id,
			 "identity_provider", "last_login", json_time(u->last_login_ms), "name",
			 json_str_or_null(u->name), "sms_number", "suspended_at",
			 json_time(u->suspended_ms), "delinquent_at", "two_factor_authentication",
			 u->two_factor, "updated_at", json_time(u->updated_ms), "verified", 1,
			 "country_of_residence", "default_organization", "default_team");
}

json_t *json_app(struct api_req *q, const struct store_app *a)
{
	AUTO(auto_str) char *git_url = api_public_url(q, "/%s.git", a->name);
	AUTO(auto_str) char *web_url = api_web_url(q, a->name);
	json_t *j = json_pack(
		"{s:b, s:n, s:o, s:o, s:o, s:o, s:s, s:s, s:n, s:b, s:s}", "acm", 0, "archived_at",
		"buildpack_provided_description", json_str_or_null(a->language), "build_stack",
		json_named_ref("stack", a->build_stack), "created_at", json_time(a->created_ms),
		"generation", json_named_ref("generation", "cedar"), "git_url", git_url, "id",
		a->id, "internal_routing", "maintenance", a->maintenance, "name", a->name);
	json_t *more = json_pack(
		"{s:o, s:n, s:n, s:o, s:o, s:o, s:o, s:n, s:o, s:o, s:s}", "owner",
		json_user_ref(a->owner_id, a->owner_email), "organization", "team", "region",
		json_named_ref("region", "us"), "released_at", json_time(a->released_ms),
		"repo_size", a->repo_size < 0 ? json_null() : json_integer(a->repo_size),
		"slug_size", a->slug_size < 0 ? json_null() : json_integer(a->slug_size), "space",
		"stack", json_named_ref("stack", a->stack), "updated_at", json_time(a->updated_ms),
		"web_url", web_url);
	const struct launcher_info *info = launcher_info(q->d->launcher);

	json_object_update(j, more);
	json_decref(more);
	/* Said loudly: without isolation the owner should know (an extension). */
	json_object_set_new(j, "runtime", json_string(info->runtime));
	return j;
}
