/* What the codecs share: JSON read by paths, signatures, names. */
#include "daemon/core/codec.h"
#include "daemon/provider/codec_int.h"
#include "proto/limits.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

const char *const provider_state_names[] = {"pending", "success", "failure", "inactive"};

const struct provider_codec *const provider_codecs[PROVIDER_KINDS] = {
	[PROVIDER_GITHUB] = &provider_github,
	[PROVIDER_GITLAB] = &provider_gitlab,
	[PROVIDER_GITEA] = &provider_gitea,
};

const struct provider_codec *provider_codec_find(const char *name)
{
	if (strcmp(name, "forgejo") == 0)
		return &provider_gitea;
	for (int i = 0; i < PROVIDER_KINDS; i++)
		if (strcmp(provider_codecs[i]->name, name) == 0)
			return provider_codecs[i];
	return NULL;
}

/* --- JSON --- */

const json_t *pj_at(const json_t *o, const char *path)
{
	while (o && *path) {
		size_t n = strcspn(path, ".");
		char key[64];

		if (n >= sizeof key)
			return NULL;
		memcpy(key, path, n);
		key[n] = 0;
		o = json_object_get(o, key);
		path += n + (path[n] == '.');
	}
	return json_is_null(o) ? NULL : o;
}

const char *pj_text(const json_t *o, const char *path)
{
	return json_string_value(pj_at(o, path));
}

int64_t pj_int(const json_t *o, const char *path)
{
	return json_integer_value(pj_at(o, path));
}

bool pj_true(const json_t *o, const char *path)
{
	return json_is_true(pj_at(o, path));
}

bool pj_is(const json_t *o, const char *path, const char *text)
{
	const char *v = pj_text(o, path);

	return v && strcmp(v, text) == 0;
}

char *provider_cut(const char *v, size_t max)
{
	size_t n = strnlen(v, max + 1);

	if (n > max)
		for (n = max; n > 0 && ((unsigned char)v[n] & 0xc0) == 0x80;)
			n--;
	return xstrndup(v, n);
}

char *pj_dup(const json_t *o, const char *path)
{
	const char *v = pj_text(o, path);

	return v ? provider_cut(v, LIM_PROVIDER_TEXT) : NULL;
}

/* SHA-1, or SHA-256 where a server has such repositories. */
static bool is_sha(const char *v)
{
	size_t n = v ? strlen(v) : 0;

	return (n == 40 || n == 64) && strspn(v, "0123456789abcdef") == n && strspn(v, "0") != n;
}

char *pj_sha(const json_t *o, const char *path)
{
	const char *v = pj_text(o, path);

	return is_sha(v) ? xstrdup(v) : NULL;
}

char *pj_branch_of_ref(const json_t *o, const char *path)
{
	const char *v = pj_text(o, path);

	return v && strncmp(v, "refs/heads/", 11) == 0 ? provider_cut(v + 11, LIM_GIT_REF_NAME)
						       : NULL;
}

void pj_id(const json_t *o, const char *path, char out[64])
{
	const json_t *v = pj_at(o, path);

	out[0] = 0;
	if (json_is_integer(v))
		snprintf(out, 64, "%lld", (long long)json_integer_value(v));
	else if (json_is_string(v) && json_string_length(v) < 64 &&
		 strspn(json_string_value(v), "0123456789") == json_string_length(v))
		snprintf(out, 64, "%s", json_string_value(v));
}

/* --- signatures --- */

bool provider_hmac_ok(const char *secret, const void *body, size_t n, const char *hex)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	char own[2 * EVP_MAX_MD_SIZE + 1];

	if (!HMAC(EVP_sha256(), secret, (int)strlen(secret), body, n, mac, &len))
		abort(); /* out of memory */
	hex_encode(mac, len, own);
	/* Its length is no secret. */
	return hex && *secret && strlen(hex) == 2 * len && ct_equal(own, hex, 2 * len);
}

void provider_sum(const void *body, size_t n, char out[129])
{
	char hex[65];

	sha256_hex(body, n, hex);
	snprintf(out, 129, "sha256:%s", hex);
}

int provider_delivery_read(const struct provider_codec *c, provider_header_fn *get, void *arg,
			   const char *secret, const void *body, size_t n, char delivery[129],
			   struct provider_event *e, struct err *err)
{
	const char *type = get(arg, "content-type");
	AUTO(json_decref) json_t *j = NULL;
	json_error_t why;

	*e = (struct provider_event){0};
	if (!c->verify(get, arg, secret, body, n, delivery))
		return err_set(err, ERR_UNAUTHORIZED,
			       "The delivery is not signed with this webhook's secret.");
	if (type && strncasecmp(type, "application/json", 16) != 0)
		return err_set(err, ERR_UNSUPPORTED_TYPE,
			       "Set the webhook's content type to application/json.");
	j = json_loadb(body, n, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(j))
		return err_set(err, ERR_BAD_REQUEST, "The delivery is no JSON object.");
	if (c->parse(get, arg, j, e, err) == 0)
		return 0;
	provider_event_clear(e);
	return -1;
}

/* --- structs --- */

void provider_event_clear(struct provider_event *e)
{
	free(e->repo);
	free(e->branch);
	free(e->sha);
	free(e->base);
	free(e->fork);
	free(e->title);
	free(e->author);
	*e = (struct provider_event){0};
}

void provider_request_clear(struct provider_request *r)
{
	free(r->url);
	if (r->body)
		explicit_bzero(r->body, strlen(r->body));
	free(r->body);
	*r = (struct provider_request){0};
}

static void pull_clear(struct provider_pull *p)
{
	free(p->branch);
	free(p->sha);
	free(p->base);
	free(p->fork);
	free(p->title);
	free(p->author);
}

void provider_pulls_clear(struct provider_pulls *l)
{
	for (int i = 0; i < l->n; i++)
		pull_clear(&l->v[i]);
	free(l->v);
	*l = (struct provider_pulls){0};
}

struct provider_pull *provider_pulls_add(struct provider_pulls *l)
{
	l->v = xrealloc(l->v, ((size_t)l->n + 1) * sizeof *l->v);
	l->v[l->n] = (struct provider_pull){0};
	return &l->v[l->n++];
}

void provider_answer_clear(struct provider_answer *a)
{
	provider_pulls_clear(&a->pulls);
	free(a->full_name);
	free(a->sha);
	*a = (struct provider_answer){0};
}

enum provider_ci provider_checks_result(const struct provider_checks *c)
{
	return c->bad	    ? PROVIDER_CI_FAILURE
	       : c->pending ? PROVIDER_CI_PENDING
	       : c->good    ? PROVIDER_CI_SUCCESS
			    : PROVIDER_CI_NONE;
}

/* --- names --- */

static bool part_ok(const char *p, size_t n)
{
	if (!n || n > 100 || *p == '-' || (n <= 2 && strspn(p, ".") >= n))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)p[i]) && !strchr("-_.", p[i]))
			return false;
	return true;
}

int provider_full_name(const struct provider_codec *c, const char *text, char **out,
		       struct err *err)
{
	int max = c == &provider_gitlab ? 20 : 2, parts = 0;
	const char *p = text, *scheme = strstr(text, "://");
	size_t n;

	if (scheme) { /* https://host/OWNER/NAME.git */
		p = strchr(scheme + 3, '/');
		p = p ? p + 1 : "";
	} else if (strncmp(p, "git@", 4) == 0 && strchr(p, ':')) {
		p = strchr(p, ':') + 1;
	}
	n = strlen(p);
	while (n && p[n - 1] == '/')
		n--;
	if (n > 4 && strncmp(p + n - 4, ".git", 4) == 0)
		n -= 4;
	for (size_t at = 0; at <= n && parts <= max; parts++) {
		size_t len = strcspn(p + at, "/");

		len = len < n - at ? len : n - at;
		if (!part_ok(p + at, len))
			parts = max;
		at += len + 1;
	}
	if (parts < 2 || parts > max)
		return err_set(err, ERR_INVALID_PARAMS,
			       "%.100s does not name a repository of %s: it is OWNER/NAME.", text,
			       c->title);
	*out = xstrndup(p, n);
	return 0;
}

/* git-check-ref-format(1) */
int provider_branch_ok(const char *branch, struct err *err)
{
	size_t n = strlen(branch);
	bool ok = n > 0 && n <= 255 && branch[0] != '/' && branch[0] != '-' && branch[0] != '.' &&
		  branch[n - 1] != '/' && branch[n - 1] != '.' && !strstr(branch, "..") &&
		  !strstr(branch, "//") && !strstr(branch, "/.") && !strstr(branch, "@{") &&
		  strcmp(branch, "@") != 0 && !strstr(branch, ".lock/") &&
		  !(n >= 5 && strcmp(branch + n - 5, ".lock") == 0);

	for (const char *p = branch; *p && ok; p++)
		ok = (unsigned char)*p > 0x20 && *p != 0x7f && !strchr("~^:?*[\\", *p);
	return ok ? 0 : err_set(err, ERR_INVALID_PARAMS, "%.100s cannot be a branch.", branch);
}
