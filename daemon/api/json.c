/* Resources and references as JSON, and lists cut by Range. */
#include "daemon/api/api_int.h"
#include "proto/limits.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

json_t *json_time(wall_ms t)
{
	char iso[CLOCK_ISO_LEN];

	if (!t)
		return json_null();
	clock_iso(t, iso);
	return json_string(iso);
}

json_t *json_str_or_null(const char *s)
{
	json_t *j = s ? json_string(s) : NULL;

	return j ? j : json_null();
}

json_t *json_id_or_null(const char *id)
{
	return id && *id ? json_pack("{s:s}", "id", id) : json_null();
}

json_t *json_user_ref(const char *id, const char *email)
{
	return json_pack("{s:s, s:s}", "id", id, "email", email ? email : "");
}

json_t *json_app_ref(const struct store_app *a)
{
	return json_pack("{s:s, s:s}", "id", a->id, "name", a->name);
}

json_t *json_named_ref(const char *kind, const char *name)
{
	AUTO(auto_str) char *full = xasprintf("%s/%s", kind, name);
	char hex[65], id[37];

	/* Stable across restarts and hosts: these things have no row of their own. */
	sha256_hex(full, strlen(full), hex);
	snprintf(id, sizeof id, "%.8s-%.4s-4%.3s-8%.3s-%.12s", hex, hex + 8, hex + 13, hex + 17,
		 hex + 20);
	return json_pack("{s:s, s:s}", "id", id, "name", name);
}

/* URLs are made of the host that the caller used: it reached us by it. */
char *api_public_url(struct api_req *q, const char *path_fmt, ...)
{
	AUTO(buf_clear) struct buf b = {0};
	const char *host = http_host(q->x);
	va_list ap;

	if (q->d->cfg->public_url[0])
		buf_adds(&b, q->d->cfg->public_url);
	else
		buf_addf(&b, "%s://%s", http_scheme(q->x),
			 host && *host ? host : q->d->cfg->platform_host);
	va_start(ap, path_fmt);
	buf_vaddf(&b, path_fmt, ap);
	va_end(ap);
	return buf_steal(&b);
}

char *api_web_url(struct api_req *q, const char *app_name)
{
	const char *host = http_host(q->x);
	const char *port = host ? strrchr(host, ':') : NULL;

	return xasprintf("%s://%s.%s%s/", http_scheme(q->x), app_name, q->d->cfg->apps_domain,
			 port && !strchr(port, ']') ? port : "");
}

json_t *json_account(const struct store_user *u)
{
	return json_pack("{s:b, s:b, s:o, s:s, s:b, s:s, s:n, s:o, s:o, s:n, s:n, s:n, s:b, s:o, "
			 "s:b, s:n, s:n, s:n}",
			 "allow_tracking", 0, "beta", 0, "created_at", json_time(u->created_ms),
			 "email", u->email, "federated", 0, "id", u->id, "identity_provider",
			 "last_login", json_time(u->last_login_ms), "name",
			 json_str_or_null(u->name), "sms_number", "suspended_at", "delinquent_at",
			 "two_factor_authentication", 0, "updated_at", json_time(u->updated_ms),
			 "verified", 1, "country_of_residence", "default_organization",
			 "default_team");
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

/* --- ranges: "Range: version ]3..; max=15, order=desc" --- */

struct range {
	char field[40], start[200], end[200];
	bool exclusive, desc;
	size_t max;
};

static void trim(char *s)
{
	size_t n = strlen(s), lead = strspn(s, " \t");

	memmove(s, s + lead, n - lead + 1);
	for (n = strlen(s); n && strchr(" \t", s[n - 1]); n--)
		s[n - 1] = 0;
}

static void parse_option(struct range *r, char *opt)
{
	trim(opt);
	if (strncasecmp(opt, "max=", 4) == 0) {
		long n = atol(opt + 4);

		r->max = n < 1 ? 1 : n > 1000 ? 1000 : (size_t)n;
	} else if (strncasecmp(opt, "order=", 6) == 0) {
		r->desc = strncasecmp(opt + 6, "desc", 4) == 0;
	}
}

/* Lenient about blanks and separators, as clients differ; an unusable range is none. */
static int parse_range(const char *h, const char *key, struct range *r, struct err *err)
{
	AUTO(auto_str) char *text = xstrdup(h ? h : "");
	char *opts, *field = text, *dots;

	*r = (struct range){.max = 200};
	snprintf(r->field, sizeof r->field, "%s", key);
	trim(text);
	if (!*text)
		return 0;
	opts = strchr(text, ';');
	if (opts) {
		char *save = NULL;

		*opts++ = 0;
		for (char *o = strtok_r(opts, ",;", &save); o; o = strtok_r(NULL, ",;", &save))
			parse_option(r, o);
	}
	r->exclusive = *field == ']';
	if (r->exclusive)
		field++;
	dots = strstr(field, "..");
	if (!dots)
		return err_set(
			err, ERR_RANGE_INVALID,
			"Invalid Range header: expected FIELD START..END; max=N, order=asc.");
	*dots = 0;
	snprintf(r->end, sizeof r->end, "%s", dots + 2);
	trim(r->end);
	trim(field);
	dots = strpbrk(field, " \t");
	if (dots) {
		*dots++ = 0;
		snprintf(r->start, sizeof r->start, "%s", dots);
		trim(r->start);
		if (r->start[0] == ']') {
			r->exclusive = true;
			memmove(r->start, r->start + 1, strlen(r->start));
		}
	}
	snprintf(r->field, sizeof r->field, "%s", field);
	return 0;
}

static void value_of(const json_t *item, const char *field, char *out, size_t cap)
{
	const json_t *v = json_object_get(item, field);

	if (json_is_integer(v))
		snprintf(out, cap, "%lld", (long long)json_integer_value(v));
	else
		snprintf(out, cap, "%s", json_is_string(v) ? json_string_value(v) : "");
}

static int compare(const char *a, const char *b)
{
	char *ea, *eb;
	long long x = strtoll(a, &ea, 10), y = strtoll(b, &eb, 10);

	if (*a && *b && !*ea && !*eb)
		return x < y ? -1 : x > y;
	return strcmp(a, b);
}

struct keyed {
	char key[200];
	json_t *item;
};

static int by_key(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;

	return compare(x->key, y->key);
}

static bool inside(const struct range *r, const char *key)
{
	const char *low = r->desc ? r->end : r->start, *high = r->desc ? r->start : r->end;

	/* START is where the page begins in reading order, so with order=desc it is the upper
	 * bound. */
	if (*low && (compare(key, low) < 0 || (r->exclusive && !r->desc && compare(key, low) == 0)))
		return false;
	if (*high &&
	    (compare(key, high) > 0 || (r->exclusive && r->desc && compare(key, high) == 0)))
		return false;
	return true;
}

int api_list(struct api_req *q, json_t *list, const char *key, struct err *err)
{
	size_t total = json_array_size(list), n = 0, shown;
	AUTO(auto_str) char *mem = xcalloc(total + 1, sizeof(struct keyed));
	struct keyed *v = (void *)mem;
	json_t *out = json_array();
	struct range r;

	if (parse_range(http_header(q->x, "range"), key, &r, err) < 0) {
		json_decref(list);
		json_decref(out);
		return -1;
	}
	for (size_t i = 0; i < total; i++) {
		v[n].item = json_array_get(list, i);
		value_of(v[n].item, r.field, v[n].key, sizeof v[n].key);
		if (inside(&r, v[n].key))
			n++;
	}
	qsort(v, n, sizeof *v, by_key);
	shown = n < r.max ? n : r.max;
	for (size_t i = 0; i < shown; i++)
		json_array_append(out, v[r.desc ? n - 1 - i : i].item);
	http_set(q->x, "Accept-Ranges", "id, name, version, created_at, updated_at");
	if (shown) {
		const char *first = v[r.desc ? n - 1 : 0].key,
			   *last = v[r.desc ? n - shown : shown - 1].key;

		http_setf(q->x, "Content-Range", "%s %s..%s", r.field, first, last);
		/* A Next-Range on a complete list would make clients ask for ever. */
		if (shown < n)
			http_setf(q->x, "Next-Range", "]%s %s..%s; max=%zu%s", r.field, last, r.end,
				  r.max, r.desc ? ", order=desc" : "");
	}
	json_decref(list);
	return api_ok(q, shown < n ? 206 : 200, out);
}
