/* Lists, cut by the Range header. */
#include "daemon/api/api_int.h"
#include "daemon/api/range.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ".seq" is for the order only, and is not shown. */
static const json_t *value_of(const json_t *item, const char *field)
{
	const json_t *v = json_object_get(item, field);
	char hidden[32];

	if (v)
		return v;
	snprintf(hidden, sizeof hidden, ".%s", field);
	return json_object_get(item, hidden);
}

static const char *text_of(const json_t *item, const char *field)
{
	const char *s = json_string_value(value_of(item, field));

	return s ? s : "";
}

static void accept_ranges(struct api_req *q, const char *fields)
{
	AUTO(buf_clear) struct buf b = {0};

	for (const char *f = fields; *f; f++)
		buf_adds(&b, *f == ' ' ? ", " : (const char[]){*f, 0});
	http_set(q->x, "Accept-Ranges", buf_str(&b));
}

static void content_range(struct api_req *q, const struct api_range *r, bool numeric,
			  const struct api_row *first, const struct api_row *last)
{
	if (numeric)
		http_setf(q->x, "Content-Range", "%s %lld..%lld", r->field, (long long)first->num,
			  (long long)last->num);
	else
		http_setf(q->x, "Content-Range", "%s %s..%s", r->field, first->key, last->key);
}

static bool fill_rows(json_t *list, const char *field, struct api_row *rows)
{
	bool numeric = false;
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const json_t *v = value_of(item, field);

		assert(json_is_string(v) || json_is_integer(v));
		numeric = json_is_integer(v);
		rows[i] = (struct api_row){.key = text_of(item, field),
					   .num = json_integer_value(v),
					   .id = text_of(item, "id"),
					   .item = item};
	}
	return numeric;
}

/* Cuts the page out of rows, and says in the headers what it is. */
static int cut(struct api_req *q, struct api_range *r, const char *fields, bool numeric,
	       struct api_row *rows, size_t n, struct api_page *out, struct err *err)
{
	struct api_page page;
	char next[800];

	if (api_range_page(r, numeric, rows, n, &page, err) < 0)
		return -1;
	accept_ranges(q, fields);
	if (page.shown)
		content_range(q, r, numeric, &rows[page.first], &rows[page.first + page.shown - 1]);
	/* A Next-Range on a complete list would make clients ask for ever. */
	if (page.more) {
		api_range_next(r, numeric, &rows[page.first + page.shown - 1], next, sizeof next);
		http_set(q->x, "Next-Range", next);
	}
	*out = page;
	return 0;
}

int api_list(struct api_req *q, json_t *taken, const char *fields, struct err *err)
{
	AUTO(json_decref) json_t *list = taken;
	size_t n = json_array_size(list);
	AUTO(auto_str) char *mem = xcalloc(n + 1, sizeof(struct api_row));
	struct api_row *rows = (void *)mem;
	struct api_range r;
	struct api_page page;
	json_t *out;

	if (api_range_parse(http_header(q->x, "range"), fields, &r, err) < 0 ||
	    cut(q, &r, fields, fill_rows(list, r.field, rows), rows, n, &page, err) < 0)
		return -1;
	out = json_array();
	for (size_t i = 0; i < page.shown; i++) {
		json_object_del(rows[page.first + i].item, ".seq");
		json_array_append(out, rows[page.first + i].item);
	}
	return api_ok(q, page.more ? 206 : 200, out);
}

int api_list_rows(struct api_req *q, void *items, size_t size, size_t n, const char *fields,
		  api_key_fn *key, api_item_fn *item, struct err *err)
{
	AUTO(auto_str) char *mem = xcalloc(n + 1, sizeof(struct api_row));
	struct api_row *rows = (void *)mem;
	struct api_range r;
	struct api_page page;
	json_t *out;

	if (api_range_parse(http_header(q->x, "range"), fields, &r, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		rows[i].item = (char *)items + i * size;
		key(q, rows[i].item, r.field, &rows[i]);
	}
	if (cut(q, &r, fields, false, rows, n, &page, err) < 0)
		return -1;
	out = json_array();
	for (size_t i = 0; i < page.shown; i++)
		json_array_append_new(out, item(q, rows[page.first + i].item));
	return api_ok(q, page.more ? 206 : 200, out);
}
