/* Who did what. */
#include "daemon/api/identity.h"
#include "daemon/api/range.h"
#include "daemon/store/session.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct audit_tx {
	struct store_audit_query query;
	struct store_audits list;
	char *strings[4]; /* of the query; owned */
};

static void audit_tx_clear(struct audit_tx *t)
{
	store_audits_clear(&t->list);
	for (size_t i = 0; i < ARRAY_LEN(t->strings); i++)
		free(t->strings[i]);
}
#define audit_tx_clear_p audit_tx_clear

static json_t *audit_json(const struct store_audit *a, bool with_app)
{
	json_t *j = json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "id", (json_int_t)a->seq,
			      "created_at", json_time(a->at_ms), "actor",
			      json_str_or_null(a->actor), "action", json_text(a->action), "detail",
			      json_text(a->detail), "request_id", json_str_or_null(a->request_id),
			      "peer", json_str_or_null(a->peer));

	if (with_app)
		json_object_set_new(j, "app", json_str_or_null(a->app));
	return j;
}

/* --- the page that is asked for, in SQL: there may be many rows --- */

static int64_t number(const char *s, int64_t none, bool *bad)
{
	char *end;
	int64_t n;

	if (!*s)
		return none;
	n = strtoll(s, &end, 10);
	*bad = *bad || *end || n < 0;
	return n;
}

/* With order=desc, start is the upper bound; bounds that are the wrong way round are meant so. */
static int bounds(const struct api_range *r, struct store_audit_query *out, struct err *err)
{
	bool bad = false;
	int64_t start = number(r->start, r->desc ? INT64_MAX : 0, &bad);
	int64_t end = number(r->end, r->desc ? 0 : INT64_MAX, &bad);

	if (bad)
		return err_set(err, ERR_RANGE_INVALID, "Bounds of id are numbers.");
	if (r->desc && *r->start && *r->end && start < end) {
		int64_t other = start;

		start = end;
		end = other;
	}
	if (r->after)
		start += r->desc ? -1 : 1;
	out->from = r->desc ? end : start;
	out->to = r->desc ? start : end;
	out->desc = r->desc;
	out->limit = (int)r->max + 1; /* one more tells whether there are more */
	return 0;
}

static int read_page(struct tx *tx, void *arg, struct err *err)
{
	struct audit_tx *t = arg;

	store_audits_clear(&t->list);
	return store_audit_page(tx, &t->query, &t->list, err);
}

static int answer(struct api_req *q, struct audit_tx *t, bool with_app, struct err *err)
{
	struct api_range r;
	char next[800];
	json_t *list;
	int shown;

	if (api_range_parse(http_header(q->x, "range"), "id", &r, err) < 0 ||
	    bounds(&r, &t->query, err) < 0 || store_read(q->d->store, read_page, t, err) < 0)
		return -1;
	shown = t->list.n > (int)r.max ? (int)r.max : t->list.n;
	list = json_array();
	for (int i = 0; i < shown; i++)
		json_array_append_new(list, audit_json(&t->list.v[i], with_app));
	http_set(q->x, "Accept-Ranges", "id");
	if (shown)
		http_setf(q->x, "Content-Range", "id %lld..%lld", (long long)t->list.v[0].seq,
			  (long long)t->list.v[shown - 1].seq);
	if (t->list.n > shown) {
		struct api_row last = {.num = t->list.v[shown - 1].seq, .key = "", .id = ""};

		api_range_next(&r, true, &last, next, sizeof next);
		http_set(q->x, "Next-Range", next);
	}
	return api_ok(q, t->list.n > shown ? 206 : 200, list);
}

int api_audit_list(struct api_req *q, struct err *err)
{
	AUTO(audit_tx_clear) struct audit_tx t = {.query = {.app = q->app.id}};

	return answer(q, &t, false, err);
}

/* --- the whole platform's, for administrators --- */

/* Owned; NULL when absent. */
static int query_value(struct api_req *q, const char *name, char **out, struct err *err)
{
	const char *s = http_query(q->x);
	size_t n = strlen(name);

	*out = NULL;
	for (; *s; s += strcspn(s, "&"), s += *s == '&') {
		AUTO(buf_clear) struct buf b = {0};
		size_t len = strcspn(s, "&");

		if (len <= n || memcmp(s, name, n) != 0 || s[n] != '=')
			continue;
		if (percent_decode(s + n + 1, len - n - 1, true, &b) < 0 || b.len > 300)
			return err_set(err, ERR_INVALID_PARAMS, "Parameter %s is no text.", name);
		*out = b.len ? buf_steal(&b) : NULL;
		return 0;
	}
	return 0;
}

/* "2026-01-31T12:00:00Z", its start, or seconds since the epoch. */
static int parse_since(const char *s, wall_ms *out, struct err *err)
{
	static const char *const forms[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S",
					    "%Y-%m-%dT%H:%M", "%Y-%m-%d", "%s"};

	*out = 0;
	for (size_t i = 0; s && i < ARRAY_LEN(forms); i++) {
		struct tm tm = {0};
		const char *end = strptime(s, forms[i], &tm);

		if (!end || *end)
			continue;
		*out = (strcmp(forms[i], "%s") == 0 ? (wall_ms)strtoll(s, NULL, 10)
						    : (wall_ms)timegm(&tm)) *
		       1000;
		return 0;
	}
	return s ? err_set(err, ERR_INVALID_PARAMS,
			   "Parameter since is a time: 2026-01-31T12:00:00Z, or 2026-01-31.")
		 : 0;
}

static int check_query(struct api_req *q, struct err *err)
{
	static const char *const known[] = {"app", "actor", "action", "since"};
	const char *s = http_query(q->x);

	for (; *s; s += strcspn(s, "&"), s += *s == '&') {
		size_t n = strcspn(s, "=&");
		bool ok = n == 0;

		for (size_t i = 0; i < ARRAY_LEN(known); i++)
			ok = ok || (strlen(known[i]) == n && memcmp(known[i], s, n) == 0);
		if (!ok)
			return err_set(err, ERR_INVALID_PARAMS,
				       "Unknown parameter: this list takes app, actor, action, "
				       "since.");
	}
	return 0;
}

int api_audit_all(struct api_req *q, struct err *err)
{
	AUTO(audit_tx_clear) struct audit_tx t = {0};
	char **s = t.strings;

	if (check_query(q, err) < 0 || query_value(q, "app", &s[0], err) < 0 ||
	    query_value(q, "actor", &s[1], err) < 0 || query_value(q, "action", &s[2], err) < 0 ||
	    query_value(q, "since", &s[3], err) < 0 || parse_since(s[3], &t.query.since, err) < 0)
		return -1;
	t.query.app = s[0];
	t.query.actor = s[1];
	t.query.action = s[2];
	return answer(q, &t, true, err);
}
