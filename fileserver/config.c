/* config.c - static.json, strictly: a key that is misspelt must not silently do nothing. */
#include "fileserver/site.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct reader {
	struct fsv_site *s;
	const char *file;
	char *root; /* owned */
	bool basic_auth;
};

static int bad(struct reader *r, struct err *err, const char *key, const char *text)
{
	return err_set(err, ERR_CONFIG, "%s: %s: %s", r->file, key, text);
}

/* ${NAME} in values is the environment's, as in Heroku's static buildpack. */
static int interpolate(struct reader *r, const char *key, const char *in, char **out,
		       struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	const char *p = in;

	while (*p) {
		const char *end = strncmp(p, "${", 2) == 0 ? strchr(p, '}') : NULL;

		if (end) {
			AUTO(auto_str) char *name = xstrndup(p + 2, (size_t)(end - p - 2));
			const char *value = getenv(name);

			if (!value)
				return err_set(err, ERR_CONFIG,
					       "%s: %s: the config var %s is not set", r->file, key,
					       name);
			buf_adds(&b, value);
			p = end + 1;
			continue;
		}
		buf_addc(&b, *p++);
	}
	for (size_t i = 0; i < b.len; i++)
		if ((unsigned char)b.data[i] < 0x20 || b.data[i] == 0x7f)
			return bad(r, err, key, "control characters are not allowed");
	free(*out);
	*out = buf_steal(&b);
	return 0;
}

static int text(struct reader *r, const char *key, json_t *v, char **out, struct err *err)
{
	if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
		return bad(r, err, key, "must be a text");
	return interpolate(r, key, json_string_value(v), out, err);
}

static int boolean(struct reader *r, const char *key, json_t *v, bool *out, struct err *err)
{
	if (!json_is_boolean(v))
		return bad(r, err, key, "must be true or false");
	*out = json_is_true(v);
	return 0;
}

/* A path within the site, without slashes at its ends. */
static int inner_path(struct reader *r, const char *key, json_t *v, char **out, struct err *err)
{
	AUTO(auto_str) char *s = NULL;
	char *p, *part, *rest;
	size_t n;

	if (text(r, key, v, &s, err) < 0)
		return -1;
	for (p = s; *p == '/'; p++)
		;
	n = strlen(p);
	while (n && p[n - 1] == '/')
		p[--n] = 0;
	free(*out);
	*out = xstrdup(p);
	for (part = strtok_r(p, "/", &rest); part; part = strtok_r(NULL, "/", &rest))
		if (strcmp(part, "..") == 0)
			return bad(r, err, key, "must not point out of the app");
	return 0;
}

static int pattern(struct reader *r, const char *key, const char *in, char **out, struct err *err)
{
	if (strlen(in) > FSV_MAX_PATTERN)
		return bad(r, err, key, "pattern too long");
	*out = in[0] == '/' ? xstrdup(in) : xasprintf("/%s", in);
	return 0;
}

/* --- the keys ----------------------------------------------------------------------------------
 */

static int read_root(struct reader *r, const char *key, json_t *v, struct err *err)
{
	return inner_path(r, key, v, &r->root, err);
}

static int read_clean_urls(struct reader *r, const char *key, json_t *v, struct err *err)
{
	return boolean(r, key, v, &r->s->clean_urls, err);
}

static int read_https_only(struct reader *r, const char *key, json_t *v, struct err *err)
{
	return boolean(r, key, v, &r->s->https_only, err);
}

static int read_basic_auth(struct reader *r, const char *key, json_t *v, struct err *err)
{
	return boolean(r, key, v, &r->basic_auth, err);
}

static int read_error_page(struct reader *r, const char *key, json_t *v, struct err *err)
{
	return inner_path(r, key, v, &r->s->error_page, err);
}

static int read_encoding(struct reader *r, const char *key, json_t *v, struct err *err)
{
	if (text(r, key, v, &r->s->charset, err) < 0)
		return -1;
	for (const char *p = r->s->charset; *p; p++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:+",
			    *p))
			return bad(r, err, key, "is no name of a character set");
	return 0;
}

static int read_canonical_host(struct reader *r, const char *key, json_t *v, struct err *err)
{
	if (text(r, key, v, &r->s->canonical_host, err) < 0)
		return -1;
	if (!r->s->canonical_host[0] || strpbrk(r->s->canonical_host, "/ ?#@\\"))
		return bad(r, err, key, "must be a host name");
	return 0;
}

static int read_logging(struct reader *r, const char *key, json_t *v, struct err *err)
{
	const char *sub;
	json_t *value;

	if (!json_is_object(v))
		return bad(r, err, key, "must be an object");
	json_object_foreach(v, sub, value)
	{
		if (strcmp(sub, "access") == 0) {
			if (boolean(r, "logging.access", value, &r->s->access_log, err) < 0)
				return -1;
		} else if (strcmp(sub, "error") == 0) {
			if (!json_is_string(value)) /* errors are always told */
				return bad(r, err, "logging.error", "must be a text");
		} else {
			return bad(r, err, key, "knows only \"access\" and \"error\"");
		}
	}
	return 0;
}

static int read_proxies(struct reader *r, const char *key, json_t *v, struct err *err)
{
	return bad(r, err, key,
		   "proxying is not supported; let the site call the other app directly (CORS)");
}

static int read_route(struct reader *r, const char *at, const char *from, json_t *v,
		      struct err *err)
{
	struct fsv_route *t = &r->s->routes[r->s->nroutes++];
	json_t *file = json_is_object(v) ? json_object_get(v, "path") : v;
	json_t *except = json_is_object(v) ? json_object_get(v, "except") : NULL;
	AUTO(auto_str) char *s = NULL;

	if (!json_is_string(file))
		return bad(r, err, at,
			   "must be a file name, or { \"path\": ..., \"except\": ... }");
	if (pattern(r, at, from, &t->pattern, err) < 0 ||
	    inner_path(r, at, file, &t->file, err) < 0)
		return -1;
	if (!except)
		return 0;
	if (text(r, at, except, &s, err) < 0)
		return -1;
	return pattern(r, at, s, &t->except, err);
}

static int read_redirect(struct reader *r, const char *at, const char *from, json_t *v,
			 struct err *err)
{
	struct fsv_redirect *t = &r->s->redirects[r->s->nredirects++];
	json_t *url = json_is_object(v) ? json_object_get(v, "url") : v;
	json_t *status = json_is_object(v) ? json_object_get(v, "status") : NULL;
	json_int_t code = status ? json_integer_value(status) : 301;

	if (!json_is_string(url))
		return bad(r, err, at, "must be { \"url\": \"/to\", \"status\": 301 }");
	if (code != 301 && code != 302 && code != 303 && code != 307 && code != 308)
		return bad(r, err, at, "status must be 301, 302, 303, 307 or 308");
	t->status = (int)code;
	if (pattern(r, at, from, &t->pattern, err) < 0)
		return -1;
	return text(r, at, url, &t->url, err);
}

static bool is_token(const char *s)
{
	return *s && !s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				  "!#$%&'*+-.^_`|~")];
}

/* Those that only the server itself can know. */
static bool is_reserved(const char *name)
{
	static const char *const names[] = {
		"content-length",   "transfer-encoding", "connection", "date",	 "content-range",
		"content-encoding", "keep-alive",	 "upgrade",    "trailer"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

static int read_headers_of(struct reader *r, const char *at, const char *from, json_t *v,
			   struct err *err)
{
	const char *name;
	json_t *value;

	if (!json_is_object(v))
		return bad(r, err, at, "must be an object of header names and texts");
	json_object_foreach(v, name, value)
	{
		struct fsv_header *t = &r->s->headers[r->s->nheaders];
		AUTO(auto_str) char *key = xasprintf("%s, \"%s\"", at, name);

		if (!is_token(name) || is_reserved(name))
			return bad(r, err, key, "this header cannot be set");
		if (++r->s->nheaders == FSV_MAX_RULES)
			return bad(r, err, at, "too many headers");
		t->name = xstrdup(name);
		if (pattern(r, at, from, &t->pattern, err) < 0 ||
		    text(r, key, value, &t->value, err) < 0)
			return -1;
	}
	return 0;
}

typedef int rule_fn(struct reader *r, const char *at, const char *from, json_t *v, struct err *err);

static int each_rule(struct reader *r, const char *key, json_t *v, rule_fn *fn, struct err *err)
{
	const char *from;
	json_t *value;

	if (!json_is_object(v))
		return bad(r, err, key, "must be an object");
	if (json_object_size(v) >= FSV_MAX_RULES)
		return bad(r, err, key, "too many rules");
	json_object_foreach(v, from, value)
	{
		AUTO(auto_str) char *at = xasprintf("%s, \"%s\"", key, from);

		if (fn(r, at, from, value, err) < 0)
			return -1;
	}
	return 0;
}

static int read_routes(struct reader *r, const char *key, json_t *v, struct err *err)
{
	return each_rule(r, key, v, read_route, err);
}

static int read_redirects(struct reader *r, const char *key, json_t *v, struct err *err)
{
	return each_rule(r, key, v, read_redirect, err);
}

static int read_headers(struct reader *r, const char *key, json_t *v, struct err *err)
{
	return each_rule(r, key, v, read_headers_of, err);
}

static const struct {
	const char *name;
	int (*read)(struct reader *r, const char *key, json_t *v, struct err *err);
} keys[] = {
	{"root", read_root},
	{"clean_urls", read_clean_urls},
	{"routes", read_routes},
	{"redirects", read_redirects},
	{"headers", read_headers},
	{"error_page", read_error_page},
	{"https_only", read_https_only},
	{"canonical_host", read_canonical_host},
	{"encoding", read_encoding},
	{"logging", read_logging},
	{"basic_auth", read_basic_auth},
	{"proxies", read_proxies},
};

static int read_key(struct reader *r, const char *key, json_t *v, struct err *err)
{
	AUTO(buf_clear) struct buf all = {0};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (strcmp(keys[i].name, key) == 0)
			return keys[i].read(r, key, v, err);
		buf_addf(&all, "%s%s", i ? ", " : "", keys[i].name);
	}
	return err_set(err, ERR_CONFIG, "%s: %s: unknown key; known are %s", r->file, key,
		       buf_str(&all));
}

/* --- the file ----------------------------------------------------------------------------------
 */

static int read_file(struct reader *r, FILE *f, struct err *err)
{
	AUTO(auto_str) char *data = xmalloc(FSV_MAX_CONFIG);
	size_t n = fread(data, 1, FSV_MAX_CONFIG, f);
	json_error_t je;
	const char *key;
	json_t *o, *v;
	int rc = 0;

	if (ferror(f))
		return err_set(err, ERR_CONFIG, "%s cannot be read", r->file);
	if (n == FSV_MAX_CONFIG)
		return err_set(err, ERR_CONFIG, "%s is too large", r->file);
	o = json_loadb(data, n, JSON_REJECT_DUPLICATES, &je);
	if (!o)
		return err_set(err, ERR_CONFIG, "%s:%d: %s", r->file, je.line, je.text);
	if (!json_is_object(o))
		rc = err_set(err, ERR_CONFIG, "%s must hold an object: { \"root\": \"public/\" }",
			     r->file);
	json_object_foreach(o, key, v)
	{
		if (rc == 0)
			rc = read_key(r, key, v, err);
	}
	json_decref(o);
	return rc;
}

static char *base64(const char *in)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct buf b = {0};
	size_t n = strlen(in);

	for (size_t i = 0; i < n; i += 3) {
		uint32_t w = (uint32_t)(uint8_t)in[i] << 16;

		w |= i + 1 < n ? (uint32_t)(uint8_t)in[i + 1] << 8 : 0;
		w |= i + 2 < n ? (uint8_t)in[i + 2] : 0;
		buf_addc(&b, digits[w >> 18]);
		buf_addc(&b, digits[w >> 12 & 63]);
		buf_addc(&b, i + 1 < n ? digits[w >> 6 & 63] : '=');
		buf_addc(&b, i + 2 < n ? digits[w & 63] : '=');
	}
	return buf_steal(&b);
}

static int set_credentials(struct reader *r, struct err *err)
{
	const char *user = getenv("BASIC_AUTH_USERNAME"), *password = getenv("BASIC_AUTH_PASSWORD");
	AUTO(auto_str) char *pair = NULL;

	if (!r->basic_auth)
		return 0;
	if (!user || !*user || !password || !*password)
		return bad(r, err, "basic_auth",
			   "needs the config vars BASIC_AUTH_USERNAME and BASIC_AUTH_PASSWORD");
	pair = xasprintf("%s:%s", user, password);
	r->s->credentials = base64(pair);
	return 0;
}

static int open_root(struct fsv_site *s, struct err *err)
{
	s->root_fd = open(s->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->root_fd < 0)
		return err_set(err, ERR_CONFIG, "the root %s: %s", s->root, strerror(errno));
	return 0;
}

static int load(struct reader *r, const char *config, struct err *err)
{
	FILE *f = fopen(r->file, "re");
	int rc;

	if (!f && (config || errno != ENOENT))
		return err_set(err, ERR_CONFIG, "%s: %s", r->file, strerror(errno));
	if (!f) {
		r->root = xstrdup(".");
		return 0;
	}
	rc = read_file(r, f, err);
	fclose(f);
	if (rc < 0)
		return -1;
	if (!r->root)
		r->root = xstrdup("public_html");
	return set_credentials(r, err);
}

int fsv_site_load(struct fsv_site *s, const char *root, const char *config, struct err *err)
{
	struct reader r = {.s = s, .file = config ? config : "static.json"};
	int rc;

	*s = (struct fsv_site){.root_fd = -1};
	s->charset = xstrdup("UTF-8");
	s->routes = xcalloc(FSV_MAX_RULES, sizeof *s->routes);
	s->redirects = xcalloc(FSV_MAX_RULES, sizeof *s->redirects);
	s->headers = xcalloc(FSV_MAX_RULES, sizeof *s->headers);
	rc = load(&r, config, err);
	s->root = root ? xstrdup(root) : r.root && *r.root ? xstrdup(r.root) : xstrdup(".");
	free(r.root);
	return rc < 0 ? -1 : open_root(s, err);
}

void fsv_site_clear(struct fsv_site *s)
{
	for (size_t i = 0; i < s->nroutes; i++) {
		free(s->routes[i].pattern);
		free(s->routes[i].file);
		free(s->routes[i].except);
	}
	for (size_t i = 0; i < s->nredirects; i++) {
		free(s->redirects[i].pattern);
		free(s->redirects[i].url);
	}
	for (size_t i = 0; i < s->nheaders; i++) {
		free(s->headers[i].pattern);
		free(s->headers[i].name);
		free(s->headers[i].value);
	}
	free(s->routes);
	free(s->redirects);
	free(s->headers);
	free(s->root);
	free(s->error_page);
	free(s->canonical_host);
	free(s->charset);
	free(s->credentials);
	if (s->root_fd >= 0)
		close(s->root_fd);
	*s = (struct fsv_site){.root_fd = -1};
}
