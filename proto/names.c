#include "proto/names.h"
#include "proto/buf.h"
#include "proto/limits.h"

#include <string.h>

static bool lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool word(char c)
{
	return lower(c) || digit(c) || (c >= 'A' && c <= 'Z') || c == '_';
}

bool name_is_app(const char *s)
{
	size_t n = strlen(s);

	if (n < 3 || n > LIM_APP_NAME || !lower(s[0]) || s[n - 1] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!lower(s[i]) && !digit(s[i]) && s[i] != '-')
			return false;
	return true;
}

bool name_is_proc_type(const char *s)
{
	size_t n = strlen(s);

	if (n < 1 || n > LIM_PROC_TYPE)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!word(s[i]) && s[i] != '-')
			return false;
	return true;
}

bool name_is_config_key(const char *s)
{
	size_t n = strlen(s);

	if (n < 1 || n > 128 || digit(s[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!word(s[i]))
			return false;
	return true;
}

bool name_is_uuid(const char *s)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (strlen(s) != 36)
		return false;
	for (int i = 0; i < 36; i++) {
		bool hex =
			digit(s[i]) || (s[i] >= 'a' && s[i] <= 'f') || (s[i] >= 'A' && s[i] <= 'F');

		if (form[i] == 'x' ? !hex : s[i] != '-')
			return false;
	}
	return true;
}

bool name_is_email(const char *s)
{
	const char *at = strchr(s, '@');
	size_t n = strlen(s);

	if (!at || at == s || !at[1] || n > 254 || strchr(at + 1, '@'))
		return false;
	for (size_t i = 0; i < n; i++)
		if (s[i] <= 0x20 || s[i] >= 0x7f || strchr("\"'<>\\,;:/", s[i]))
			return false;
	return true;
}

bool name_split_dyno(const char *s, char *type, int *num)
{
	const char *dot = strrchr(s, '.');
	int n = 0;

	if (!dot || dot == s || dot - s > LIM_PROC_TYPE || !dot[1] || strlen(dot + 1) > 6)
		return false;
	for (const char *p = dot + 1; *p; p++) {
		if (!digit(*p))
			return false;
		n = n * 10 + (*p - '0');
	}
	memcpy(type, s, (size_t)(dot - s));
	type[dot - s] = 0;
	if (n < 1 || !name_is_proc_type(type))
		return false;
	*num = n;
	return true;
}

int name_check_app(const char *s, struct err *err)
{
	if (name_is_app(s))
		return 0;
	return err_set(
		err, ERR_INVALID_PARAMS,
		"Name must start with a letter, end with a letter or digit and can only contain "
		"lowercase letters, numbers, and dashes (3 to 30 characters).");
}

int name_check_config(const char *key, const char *value, size_t value_len, struct err *err)
{
	if (!name_is_config_key(key))
		return err_set(
			err, ERR_INVALID_PARAMS,
			"Config var name %.60s is invalid: use letters, digits and underscores, "
			"not starting with a digit.",
			key);
	if (!value)
		return 0;
	if (memchr(value, 0, value_len))
		return err_set(err, ERR_INVALID_PARAMS, "Config var %s has a NUL byte.", key);
	if (value_len > LIM_CONFIG_VALUE)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Config var %s is %zu bytes long; the limit is %lld.", key,
			       value_len, (long long)LIM_CONFIG_VALUE);
	return 0;
}

/* What is wrong with a label of n octets, or NULL. */
static const char *label_wrong(const char *s, size_t n)
{
	if (n == 0)
		return "it has an empty label";
	if (n > 63)
		return "a label has more than 63 characters";
	if (s[0] == '-' || s[n - 1] == '-')
		return "a label starts or ends with a hyphen";
	for (size_t i = 0; i < n; i++)
		if (!lower(s[i]) && !digit(s[i]) && s[i] != '-')
			return "only letters, digits, hyphens and dots can be in it, and *. at its "
			       "start";
	return NULL;
}

static const char *domain_wrong(const char *s)
{
	size_t labels = 0, n;
	const char *wrong = NULL, *last = s;

	s += s[0] == '*' && s[1] == '.' ? 2 : 0;
	for (bool more = true; more && !wrong; labels++, s += n + more) {
		n = strcspn(s, ".");
		wrong = label_wrong(s, n);
		more = s[n] == '.';
		last = s;
	}
	if (wrong)
		return wrong;
	if (labels < 2)
		return "it needs two labels at least, as example.com";
	return strspn(last, "0123456789") == strlen(last) ? "its last label is a number" : NULL;
}

int name_domain(const char *s, char out[254], struct err *err)
{
	size_t n = strlen(s);
	const char *wrong = NULL;

	if (n && s[n - 1] == '.')
		n--;
	if (n > LIM_HOST_NAME)
		wrong = "it has more than 253 characters";
	for (size_t i = 0; i < n && !wrong; i++)
		out[i] = (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] | 0x20 : s[i]);
	if (!wrong) {
		out[n] = 0;
		wrong = domain_wrong(out);
	}
	return wrong ? err_set(err, ERR_INVALID_PARAMS, "Hostname %.100s is invalid: %s.", s, wrong)
		     : 0;
}

bool name_is_below(const char *host, const char *parent)
{
	size_t n = strlen(host), p = strlen(parent);

	return p && n >= p && strcmp(host + n - p, parent) == 0 &&
	       (n == p || host[n - p - 1] == '.');
}

static bool registry_word(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!word(s[i]) && s[i] != '-')
			return false;
	return n > 0 && n <= 64 && s[0] != '-';
}

bool name_is_registry(const char *s)
{
	size_t n = strcspn(s, "/");

	return s[n] == '/' && registry_word(s, n) && registry_word(s + n + 1, strlen(s + n + 1));
}

/* Clients recognise these by their text; nobody is asked there. The second one is older. */
static const char *const registry_urls[] = {
	"https://buildpack-registry.s3.amazonaws.com/buildpacks/",
	"https://codon-buildpacks.s3.amazonaws.com/buildpacks/",
};

char *name_registry_url(const char *ns_name)
{
	return xasprintf("%s%s.tgz", registry_urls[0], ns_name);
}

bool name_of_registry_url(const char *url, char out[130])
{
	size_t n = strlen(url);

	for (size_t i = 0; i < ARRAY_LEN(registry_urls); i++) {
		size_t skip = strlen(registry_urls[i]);

		if (n < skip + 4 || n - skip - 4 > 129 ||
		    strncmp(url, registry_urls[i], skip) != 0 || strcmp(url + n - 4, ".tgz") != 0)
			continue;
		memcpy(out, url + skip, n - skip - 4);
		out[n - skip - 4] = 0;
		return name_is_registry(out);
	}
	return false;
}
