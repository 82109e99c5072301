/* GET /schema: the API as a JSON hyper-schema, made of the route table, the tables of request
 * bodies, and the resources' fields in proto/api_schema.json, which the tests hold every answer
 * against. Form: JSON Schema draft 4 with hyper-schema links, as Heroku publishes its own
 * (Platform API reference, "Schema"). */
#include "daemon/api/api_int.h"

#include <stdio.h>
#include <string.h>

extern const char api_schema_text[];

/* --- kinds of proto/api_schema.json as JSON schema --- */

static const struct {
	const char *kind, *type, *format;
} kinds[] = {
	{"boolean", "boolean", NULL},	  {"integer", "integer", NULL},
	{"number", "number", NULL},	  {"string", "string", NULL},
	{"null", "null", NULL},		  {"time", "string", "date-time"},
	{"uuid", "string", "uuid"},	  {"email", "string", "email"},
	{"uri", "string", "uri"},	  {"app-name", "string", NULL},
	{"process-type", "string", NULL}, {"dyno-name", "string", NULL},
};

static json_t *type_list(const char *type, bool nullable)
{
	return nullable ? json_pack("[s,s]", type, "null") : json_pack("[s]", type);
}

static json_t *enum_of(const char *choices, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0, len; i < n; i += len + 1) {
		for (len = 0; i + len < n && choices[i + len] != '|';)
			len++;
		json_array_append_new(list, json_stringn(choices + i, len));
	}
	return list;
}

static json_t *scalar(const char *kind)
{
	size_t n = strlen(kind);
	bool nullable = n && kind[n - 1] == '?';

	n -= nullable;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		json_t *s;

		if (strlen(kinds[i].kind) != n || memcmp(kinds[i].kind, kind, n) != 0)
			continue;
		s = json_pack("{s:o}", "type", type_list(kinds[i].type, nullable));
		if (kinds[i].format)
			json_object_set_new(s, "format", json_string(kinds[i].format));
		return s;
	}
	if (strcmp(kind, "any") == 0)
		return json_object();
	return json_pack("{s:o, s:o}", "type", type_list("string", nullable), "enum",
			 enum_of(kind, n));
}

static json_t *reference(const char *resource)
{
	return json_pack("{s:o}", "$ref", json_sprintf("#/definitions/%s", resource));
}

static json_t *convert(const json_t *resources, const json_t *kind);

static json_t *object(const json_t *resources, const json_t *fields)
{
	json_t *properties = json_object(), *required = json_array(), *s, *v;
	const char *name;

	json_object_foreach((json_t *)fields, name, v)
	{
		if (strcmp(name, "?") == 0 || strcmp(name, "*") == 0)
			continue;
		json_object_set_new(properties, name, convert(resources, v));
		json_array_append_new(required, json_string(name));
	}
	s = json_pack("{s:o, s:o}", "type",
		      type_list("object", json_is_true(json_object_get(fields, "?"))), "properties",
		      properties);
	if (json_array_size(required))
		json_object_set(s, "required", required);
	json_decref(required);
	v = json_object_get(fields, "*");
	if (v)
		json_object_set_new(s, "additionalProperties", convert(resources, v));
	return s;
}

/* Of any kind: "uuid", ["dyno"], {"id": "uuid"}, the name of a resource. */
static json_t *convert(const json_t *resources, const json_t *kind)
{
	const char *name = json_string_value(kind);

	if (json_is_array(kind))
		return json_pack("{s:[s], s:o}", "type", "array", "items",
				 convert(resources, json_array_get(kind, 0)));
	if (json_is_object(kind))
		return object(resources, kind);
	return json_object_get(resources, name) ? reference(name) : scalar(name);
}

/* --- links --- */

/* The resource that an answer is of: the name in ["app"] and "app". */
static const char *resource_of(const json_t *kind)
{
	return json_string_value(json_is_array(kind) ? json_array_get(kind, 0) : kind);
}

static json_t *href(const char *path)
{
	AUTO(buf_clear) struct buf b = {0};

	for (const char *p = path; *p; p++) {
		size_t n = strcspn(p + 1, "/");

		if (*p != ':') {
			buf_addc(&b, *p);
			continue;
		}
		buf_addf(&b, "{%.*s}", (int)n, p + 1);
		p += n;
	}
	return json_string(buf_str(&b));
}

static const char *rel(const struct api_route *r, bool list)
{
	static const char *const of[][2] = {
		{"POST", "create"}, {"PATCH", "update"}, {"PUT", "update"}, {"DELETE", "destroy"}};

	for (size_t i = 0; i < ARRAY_LEN(of); i++)
		if (strcmp(r->method, of[i][0]) == 0)
			return of[i][1];
	return list ? "instances" : "self";
}

static json_t *link_of(const json_t *resources, const struct api_route *r, const json_t *answer)
{
	const json_t *kind = json_array_get(answer, 1);
	json_t *l = json_pack("{s:s, s:s, s:o, s:s}", "title", r->text, "method", r->method, "href",
			      href(r->path), "rel", rel(r, json_is_array(kind)));

	if (r->body)
		json_object_set_new(l, "schema", api_fields_schema(r->body));
	if (kind)
		json_object_set_new(l, "targetSchema", convert(resources, kind));
	return l;
}

/* Each link under the resource that it answers with; those that answer with none of them together.
 */
static void add_links(const json_t *known, json_t *definitions)
{
	const json_t *resources = json_object_get(known, "resources");
	json_t *rest = json_pack("{s:s, s:[]}", "description", "Other requests", "links");

	API_EACH_ROUTE (r) {
		AUTO(auto_str) char *name = xasprintf("%s %s", r->method, r->path);
		json_t *answer = json_object_get(json_object_get(known, "answers"), name);
		const char *resource = resource_of(json_array_get(answer, 1));
		json_t *d = resource ? json_object_get(definitions, resource) : NULL;

		json_array_append_new(json_object_get(d ? d : rest, "links"),
				      link_of(resources, r, answer));
	}
	json_object_set_new(definitions, "other", rest);
}

int api_schema(struct api_req *q, struct err *err)
{
	AUTO(auto_str) char *url = api_public_url(q, "/");
	AUTO(json_decref) json_t *known = json_loads(api_schema_text, 0, NULL);
	json_t *definitions = json_object(), *v;
	const json_t *resources = json_object_get(known, "resources");
	const char *name;

	(void)err;
	json_object_foreach((json_t *)resources, name, v)
	{
		json_t *d = convert(resources, v);

		json_object_set_new(d, "title", json_string(name));
		json_object_set_new(d, "links", json_array());
		json_object_set_new(definitions, name, d);
	}
	add_links(known, definitions);
	return api_ok(q, 200,
		      json_pack("{s:s, s:s, s:s, s:s, s:[s], s:[{s:s, s:s}], s:o}", "$schema",
				"http://json-schema.org/draft-04/hyper-schema", "title",
				"Platform API", "description",
				"The Heroku Platform API v3, as this platform serves it.", "id",
				"schema", "type", "object", "links", "href", url, "rel", "self",
				"definitions", definitions));
}
