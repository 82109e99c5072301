/* The one check of request bodies against their routes' tables. */
#include "daemon/api/fields.h"
#include "daemon/api/api_int.h"
#include "proto/buf.h"
#include "proto/names.h"

#include <stdio.h>
#include <string.h>

struct place { /* of the value looked at: "updates[2].quantity" */
	char text[200];
};

PRINTF(2, 3) static void place_add(struct place *p, const char *fmt, ...)
{
	size_t n = strlen(p->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->text + n, sizeof p->text - n, fmt, ap);
	va_end(ap);
}

#define BAD(p, ...) bad(p, err, __VA_ARGS__)
PRINTF(3, 4) static int bad(const struct place *p, struct err *err, const char *fmt, ...)
{
	char what[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	return err_set(err, ERR_INVALID_PARAMS, "Parameter %s %s.", p->text, what);
}

typedef int check_fn(const struct api_field *f, const json_t *v, struct place *p, struct err *err);
static int check_value(const struct api_field *f, const json_t *v, struct place *p,
		       struct err *err);

static bool chosen(const char *choice, const char *s)
{
	size_t n = strlen(s);

	for (const char *c = choice; *c; c += strcspn(c, "|"), c += *c == '|')
		if (strcspn(c, "|") == n && memcmp(c, s, n) == 0)
			return true;
	return false;
}

static int check_string(const struct api_field *f, const json_t *v, struct place *p,
			struct err *err)
{
	size_t n = json_string_length(v);

	if (!json_is_string(v))
		return BAD(p, "must be a string");
	if (f->choice && !chosen(f->choice, json_string_value(v)))
		return BAD(p, "must be one of %s", f->choice);
	if (n < (size_t)f->min)
		return n == 0 ? BAD(p, "must not be empty")
			      : BAD(p, "has at least %lld characters", (long long)f->min);
	if (f->max && n > (size_t)f->max)
		return BAD(p, "has at most %lld characters", (long long)f->max);
	return 0;
}

static int check_line(const struct api_field *f, const json_t *v, struct place *p, struct err *err)
{
	if (check_string(f, v, p, err) < 0)
		return -1;
	for (const unsigned char *s = (const unsigned char *)json_string_value(v); *s; s++)
		if (*s < 0x20 || *s == 0x7f)
			return BAD(p, "must be one line without control characters");
	return 0;
}

static int check_int(const struct api_field *f, const json_t *v, struct place *p, struct err *err)
{
	bool relative;
	int64_t n;

	if (api_number(v, &n, &relative) < 0 ||
	    (relative && f->type != F_QUANTITY && n >= 0 && *json_string_value(v) == '+'))
		return BAD(p, "must be an integer");
	if (relative && f->type == F_QUANTITY)
		return 0; /* what it is relative to, the handler knows */
	if (n < f->min || (f->max && n > f->max))
		return f->max ? BAD(p, "must be between %lld and %lld", (long long)f->min,
				    (long long)f->max)
			      : BAD(p, "must be at least %lld", (long long)f->min);
	return 0;
}

static int check_bool(const struct api_field *f, const json_t *v, struct place *p, struct err *err)
{
	(void)f;
	return json_is_boolean(v) ? 0 : BAD(p, "must be true or false");
}

static int check_uuid(const struct api_field *f, const json_t *v, struct place *p, struct err *err)
{
	(void)f;
	return json_is_string(v) && name_is_uuid(json_string_value(v)) ? 0
								       : BAD(p, "must be a UUID");
}

static int check_email(const struct api_field *f, const json_t *v, struct place *p, struct err *err)
{
	(void)f;
	return json_is_string(v) && name_is_email(json_string_value(v))
		       ? 0
		       : BAD(p, "must be an e-mail address");
}

static int check_uri(const struct api_field *f, const json_t *v, struct place *p, struct err *err)
{
	static const struct api_field line = {.type = F_LINE, .min = 1, .max = 2048};
	const char *s = json_string_value(v), *host;

	(void)f;
	if (check_line(&line, v, p, err) < 0)
		return -1;
	host = strncmp(s, "http://", 7) == 0 ? s + 7 : strncmp(s, "https://", 8) == 0 ? s + 8 : "";
	if (strcspn(host, "/?#@") == 0 || strpbrk(s, " \"<>\\^`{|}"))
		return BAD(p, "must be an http:// or https:// URL");
	return 0;
}

static int check_ref(const struct api_field *f, const json_t *v, struct place *p, struct err *err)
{
	static const struct api_field line = {.type = F_LINE, .min = 1, .max = 255};
	const json_t *id = json_object_get(v, "id");

	(void)f;
	if (!json_is_object(v))
		return json_is_string(v) ? check_line(&line, v, p, err)
					 : BAD(p, "must be an id or a name");
	if (!id || json_is_null(id))
		id = json_object_get(v, "name");
	return json_is_string(id) ? check_line(&line, id, p, err)
				  : BAD(p, "must have an id or a name");
}

static int check_object(const struct api_field *f, const json_t *v, struct place *p,
			struct err *err);

static int check_list(const struct api_field *f, const json_t *v, struct place *p, struct err *err)
{
	size_t max = f->max ? (size_t)f->max : 1000, i, n = strlen(p->text);
	json_t *item;

	if (!json_is_array(v))
		return BAD(p, "must be a list");
	if (json_array_size(v) < (size_t)f->min || json_array_size(v) > max)
		return BAD(p, "has %lld to %zu items", (long long)f->min, max);
	json_array_foreach((json_t *)v, i, item)
	{
		place_add(p, "[%zu]", i);
		if (check_value(f->of, item, p, err) < 0)
			return -1;
		p->text[n] = 0;
	}
	return 0;
}

static int check_map(const struct api_field *f, const json_t *v, struct place *p, struct err *err)
{
	size_t max = f->max ? (size_t)f->max : 1000, n = strlen(p->text);
	const char *key;
	json_t *item;

	if (!json_is_object(v))
		return BAD(p, "must be an object");
	if (json_object_size(v) > max)
		return BAD(p, "has at most %zu names", max);
	json_object_foreach((json_t *)v, key, item)
	{
		place_add(p, ".%.80s", key);
		if (check_value(f->of, item, p, err) < 0)
			return -1;
		p->text[n] = 0;
	}
	return 0;
}

static int check_any(const struct api_field *f, const json_t *v, struct place *p, struct err *err)
{
	(void)f, (void)v, (void)p, (void)err;
	return 0;
}

/* What a type is: its check, its name in the docs, its JSON schema type. */
static const struct {
	check_fn *fn;
	const char *text, *schema, *format;
} types[] = {
	[F_STRING] = {check_string, "text", "string", NULL},
	[F_LINE] = {check_line, "text", "string", NULL},
	[F_INT] = {check_int, "integer", "integer", NULL},
	[F_QUANTITY] = {check_int, "quantity", NULL, NULL},
	[F_BOOL] = {check_bool, "boolean", "boolean", NULL},
	[F_UUID] = {check_uuid, "uuid", "string", "uuid"},
	[F_EMAIL] = {check_email, "email", "string", "email"},
	[F_URI] = {check_uri, "url", "string", "uri"},
	[F_REF] = {check_ref, "id or name", NULL, NULL},
	[F_OBJECT] = {check_object, "object", "object", NULL},
	[F_LIST] = {check_list, "list", "array", NULL},
	[F_MAP] = {check_map, "map", "object", NULL},
	[F_ANY] = {check_any, "any", NULL, NULL},
};

static int check_value(const struct api_field *f, const json_t *v, struct place *p, struct err *err)
{
	if (json_is_null(v))
		return f->flags & F_NULL ? 0 : BAD(p, "must not be null");
	return types[f->type].fn(f, v, p, err);
}

static const struct api_field *field_named(const struct api_field *table, const char *name)
{
	for (const struct api_field *f = table; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

static int check_known(const struct api_field *table, const json_t *v, const struct place *p,
		       struct err *err)
{
	const char *key;
	json_t *item;

	if (field_named(table, "*"))
		return 0;
	json_object_foreach((json_t *)v, key, item)
	{
		if (!field_named(table, key))
			return err_set(err, ERR_INVALID_PARAMS, "Unknown parameter: %s%s%.80s.",
				       p->text, p->text[0] ? "." : "", key);
	}
	return 0;
}

/* The keys that the table does not name. */
static int check_others(const struct api_field *table, const struct api_field *any, const json_t *v,
			struct place *p, struct err *err)
{
	size_t n = strlen(p->text);
	const char *key;
	json_t *item;

	json_object_foreach((json_t *)v, key, item)
	{
		const struct api_field *own = field_named(table, key);

		if (own && own != any)
			continue;
		place_add(p, "%s%.80s", n ? "." : "", key);
		if (check_value(any, item, p, err) < 0)
			return -1;
		p->text[n] = 0;
	}
	return 0;
}

static int check_object(const struct api_field *of, const json_t *v, struct place *p,
			struct err *err)
{
	size_t n = strlen(p->text);

	if (!json_is_object(v))
		return BAD(p, "must be an object");
	if (!(of->flags & F_OPEN) && check_known(of->of, v, p, err) < 0)
		return -1;
	for (const struct api_field *f = of->of; f->name; f++) {
		const json_t *item = json_object_get(v, f->name);

		if (strcmp(f->name, "*") == 0)
			return check_others(of->of, f, v, p, err);
		place_add(p, "%s%s", n ? "." : "", f->name);
		if (!item || (json_is_null(item) && !(f->flags & F_NULL))) {
			if (f->flags & F_REQUIRED)
				return err_set(err, ERR_INVALID_PARAMS,
					       "Missing required parameter: %s.", p->text);
		} else if (check_value(f, item, p, err) < 0) {
			return -1;
		}
		p->text[n] = 0;
	}
	return 0;
}

int api_fields_check(const struct api_field *table, const json_t *body, struct err *err)
{
	AUTO(json_decref) json_t *empty = body ? NULL : json_object();
	const struct api_field root = {.type = F_OBJECT, .of = table};
	struct place p = {""};

	return check_object(&root, body ? body : empty, &p, err);
}

/* --- reading --- */

const char *api_get_str(const json_t *of, const char *name)
{
	return json_string_value(json_object_get(of, name));
}

int64_t api_get_int(const json_t *of, const char *name, int64_t def)
{
	const json_t *v = json_object_get(of, name);
	bool relative;
	int64_t n;

	return v && api_number(v, &n, &relative) == 0 ? n : def;
}

int api_get_bool(const json_t *of, const char *name, int def)
{
	const json_t *v = json_object_get(of, name);

	return json_is_boolean(v) ? json_is_true(v) : def;
}

const char *api_get_ref(const json_t *of, const char *name)
{
	const json_t *v = json_object_get(of, name);
	const char *id = api_get_str(v, "id");

	return json_is_string(v) ? json_string_value(v) : id ? id : api_get_str(v, "name");
}

/* --- describing --- */

static json_t *choices(const char *choice)
{
	json_t *list = json_array();

	for (const char *c = choice; *c; c += strcspn(c, "|"), c += *c == '|')
		json_array_append_new(list, json_stringn(c, strcspn(c, "|")));
	return list;
}

static json_t *field_schema(const struct api_field *f)
{
	json_t *s = f->type == F_OBJECT ? api_fields_schema(f->of) : json_object();
	const char *type = types[f->type].schema;

	if (type)
		json_object_set_new(s, "type",
				    f->flags & F_NULL ? json_pack("[s,s]", type, "null")
						      : json_pack("[s]", type));
	if (types[f->type].format)
		json_object_set_new(s, "format", json_string(types[f->type].format));
	if (f->text)
		json_object_set_new(s, "description", json_string(f->text));
	if (f->choice)
		json_object_set_new(s, "enum", choices(f->choice));
	if (f->type == F_LIST)
		json_object_set_new(s, "items", field_schema(f->of));
	if (f->type == F_MAP)
		json_object_set_new(s, "additionalProperties", field_schema(f->of));
	if (f->type == F_INT) {
		json_object_set_new(s, "minimum", json_integer(f->min));
		if (f->max)
			json_object_set_new(s, "maximum", json_integer(f->max));
	}
	if ((f->type == F_STRING || f->type == F_LINE) && f->max)
		json_object_set_new(s, "maxLength", json_integer(f->max));
	return s;
}

json_t *api_fields_schema(const struct api_field *table)
{
	json_t *properties = json_object(), *required = json_array(), *others = NULL, *s;

	for (const struct api_field *f = table; f->name; f++) {
		if (strcmp(f->name, "*") == 0) {
			others = field_schema(f);
			continue;
		}
		json_object_set_new(properties, f->name, field_schema(f));
		if (f->flags & F_REQUIRED)
			json_array_append_new(required, json_string(f->name));
	}
	s = json_pack("{s:[s], s:o}", "type", "object", "properties", properties);
	if (json_array_size(required))
		json_object_set(s, "required", required);
	json_decref(required);
	if (others)
		json_object_set_new(s, "additionalProperties", others);
	return s;
}

static void value_text(const struct api_field *f, struct buf *out)
{
	if (f->type == F_OBJECT) {
		buf_adds(out, "{");
		api_fields_text(f->of, out);
		buf_adds(out, "}");
	} else if (f->type == F_LIST) {
		buf_adds(out, "[");
		value_text(f->of, out);
		buf_adds(out, "]");
	} else if (f->type == F_MAP) {
		buf_adds(out, "{NAME: ");
		value_text(f->of, out);
		buf_adds(out, "}");
	} else {
		for (const char *c = f->choice ? f->choice : types[f->type].text; *c; c++)
			buf_addc(out, *c == '|' ? '/' : *c); /* the docs are a table */
	}
	if (f->flags & F_NULL)
		buf_adds(out, " or null");
}

void api_fields_text(const struct api_field *table, struct buf *out)
{
	for (const struct api_field *f = table; f->name; f++) {
		buf_addf(out, "%s%s%s: ", f == table ? "" : ", ", f->flags & F_REQUIRED ? "*" : "",
			 strcmp(f->name, "*") == 0 ? "NAME" : f->name);
		value_text(f, out);
	}
}
