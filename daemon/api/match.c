/* The parts of deciding about a request that need nothing but text. */
#include "daemon/api/api_int.h"

#include <string.h>
#include <strings.h>

bool api_match(const char *pattern, const char *path, struct api_span params[API_PARAMS])
{
	int n = 0;

	while (*pattern || *path) {
		if (*pattern == ':') {
			size_t len = strcspn(path, "/");

			if (len == 0 || n == API_PARAMS)
				return false;
			params[n++] = (struct api_span){path, len};
			path += len;
			pattern += strcspn(pattern, "/");
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return true;
}

#define BIT(s) (1u << (s))
#define R      (BIT(SCOPE_ANY) | BIT(SCOPE_READ))
/* Scopes include one another: global > write-protected > write; global > read-protected > read. */
static const struct {
	const char *name;
	unsigned gives;
} scopes[] = {
	{"global", ~BIT(SCOPE_UNSET)},
	{"identity", BIT(SCOPE_ANY)},
	{"read", R},
	{"write", R | BIT(SCOPE_WRITE)},
	{"read-protected", R | BIT(SCOPE_READ_PROTECTED)},
	{"write-protected",
	 R | BIT(SCOPE_WRITE) | BIT(SCOPE_READ_PROTECTED) | BIT(SCOPE_WRITE_PROTECTED)},
};

static unsigned gives(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
		if (strlen(scopes[i].name) == n && memcmp(scopes[i].name, name, n) == 0)
			return scopes[i].gives;
	return 0;
}

bool api_scope_allows(const char *have, enum api_scope need)
{
	size_t n;

	for (const char *s = have; *s; s += n + strspn(s + n, " ")) {
		n = strcspn(s, " ");
		if (gives(s, n) & BIT(need))
			return true;
	}
	return false;
}

bool api_scope_known(const char *scope)
{
	return gives(scope, strlen(scope)) != 0;
}

bool api_accepts(const char *accept)
{
	static const char ours[] = "application/vnd.heroku+";
	const char *type = accept ? strcasestr(accept, ours) : NULL;
	const char *version = type ? strcasestr(type, "version=") : NULL;

	if (!version || (size_t)(version - type) > strcspn(type, ","))
		return true;
	version += strlen("version=");
	version += *version == '"';
	/* "3", and its variants: "3.sdk" */
	return version[0] == '3' && !(version[1] >= '0' && version[1] <= '9');
}

bool api_own_site(const char *site)
{
	return !site || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
}

bool api_etag_known(const char *header, const char *etag)
{
	return header && (strcmp(header, "*") == 0 || strstr(header, etag));
}
