#include "daemon/build/manifest.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <jansson.h>
#include <string.h>
#include <yaml.h>

#define MAX_ENTRIES 200

/* A pull parser with one event of look-ahead; ev is valid between next() calls. */
struct reader {
	yaml_parser_t parser;
	yaml_event_t ev;
	bool have;
	void (*warn)(const char *line, void *arg);
	void *arg;
};

static void reader_clear(struct reader *r)
{
	if (r->have)
		yaml_event_delete(&r->ev);
	yaml_parser_delete(&r->parser);
}
#define reader_clear_p reader_clear

static int next(struct reader *r, struct err *err)
{
	if (r->have)
		yaml_event_delete(&r->ev);
	r->have = yaml_parser_parse(&r->parser, &r->ev) != 0;
	if (r->have)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS, "line %zu: %s", r->parser.problem_mark.line + 1,
		       r->parser.problem ? r->parser.problem : "not YAML");
}

static void say(struct reader *r, const char *what, const char *name)
{
	AUTO(auto_str) char *text = NULL;

	if (!r->warn)
		return;
	text = xasprintf("bin/release:%zu: %s%s%s", r->ev.start_mark.line + 1, name,
			 *name ? ": " : "", what);
	r->warn(text, r->arg);
}

/* Passes over the node that starts at ev; ev is its last event afterwards. */
static int skip_node(struct reader *r, struct err *err)
{
	int depth = 0;

	for (;;) {
		switch (r->ev.type) {
		case YAML_MAPPING_START_EVENT:
		case YAML_SEQUENCE_START_EVENT:
			depth++;
			break;
		case YAML_MAPPING_END_EVENT:
		case YAML_SEQUENCE_END_EVENT:
			depth--;
			break;
		default:
			break;
		}
		if (depth == 0)
			return 0;
		if (next(r, err) < 0)
			return -1;
	}
}

/* The scalar at ev as a string, or NULL when it is none or has a NUL inside. */
static char *scalar(const struct reader *r)
{
	const char *v;

	if (r->ev.type != YAML_SCALAR_EVENT)
		return NULL;
	v = (const char *)r->ev.data.scalar.value;
	if (memchr(v, 0, r->ev.data.scalar.length))
		return NULL;
	return xstrndup(v, r->ev.data.scalar.length);
}

static bool is_empty_scalar(const struct reader *r)
{
	return r->ev.type == YAML_SCALAR_EVENT && r->ev.data.scalar.length == 0 &&
	       r->ev.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* A mapping of names to scalars; ev is at its start, at its end afterwards. */
static int read_map(struct reader *r, const char *what, bool (*name_ok)(const char *),
		    size_t max_value, struct proc_types *out, struct err *err)
{
	if (is_empty_scalar(r))
		return 0;
	if (r->ev.type != YAML_MAPPING_START_EVENT) {
		say(r, "not a mapping, left out", what);
		return skip_node(r, err);
	}
	for (;;) {
		AUTO(auto_str) char *name = NULL;
		AUTO(auto_str) char *value = NULL;

		if (next(r, err) < 0)
			return -1;
		if (r->ev.type == YAML_MAPPING_END_EVENT)
			return 0;
		name = scalar(r);
		if (skip_node(r, err) < 0 || next(r, err) < 0)
			return -1;
		value = scalar(r);
		if (!name || !name_ok(name))
			say(r, "not a valid name, left out", what);
		else if (!value || strlen(value) > max_value)
			say(r, "not a usable value, left out", name);
		else if (out->n >= MAX_ENTRIES)
			say(r, "too many entries, left out", what);
		else
			proc_types_set(out, name, value);
		if (skip_node(r, err) < 0)
			return -1;
	}
}

static int read_addons(struct reader *r, struct release_yaml *out, struct err *err)
{
	if (is_empty_scalar(r))
		return 0;
	if (r->ev.type != YAML_SEQUENCE_START_EVENT) {
		say(r, "not a list, left out", "addons");
		return skip_node(r, err);
	}
	for (;;) {
		AUTO(auto_str) char *name = NULL;

		if (next(r, err) < 0)
			return -1;
		if (r->ev.type == YAML_SEQUENCE_END_EVENT)
			return 0;
		name = scalar(r);
		if (!name || !*name || strlen(name) > 256 || out->naddons >= MAX_ENTRIES) {
			say(r, "not a usable entry, left out", "addons");
		} else {
			out->addons =
				xrealloc(out->addons, ((size_t)out->naddons + 2) * sizeof(char *));
			out->addons[out->naddons++] = STEAL(name);
			out->addons[out->naddons] = NULL;
		}
		if (skip_node(r, err) < 0)
			return -1;
	}
}

static int read_key(struct reader *r, const char *key, struct release_yaml *out, struct err *err)
{
	if (!strcmp(key, "default_process_types"))
		return read_map(r, key, name_is_proc_type, LIM_COMMAND, &out->types, err);
	if (!strcmp(key, "config_vars"))
		return read_map(r, key, name_is_config_key, LIM_CONFIG_VALUE, &out->config, err);
	if (!strcmp(key, "addons"))
		return read_addons(r, out, err);
	return skip_node(r, err);
}

/* Moves to the first event of the document's root; *none when there is nothing in it. */
static int open_document(struct reader *r, bool *none, struct err *err)
{
	*none = false;
	if (next(r, err) < 0 || next(r, err) < 0) /* stream start */
		return -1;
	if (r->ev.type == YAML_STREAM_END_EVENT) {
		*none = true;
		return 0;
	}
	if (next(r, err) < 0) /* document start */
		return -1;
	*none = is_empty_scalar(r);
	if (!*none && r->ev.type != YAML_MAPPING_START_EVENT)
		return err_set(err, ERR_INVALID_PARAMS, "not a mapping");
	return 0;
}

static int reader_open(struct reader *r, const char *p, size_t n, struct err *err)
{
	memset(r, 0, sizeof(*r));
	if (!yaml_parser_initialize(&r->parser))
		abort(); /* out of memory */
	if (n > LIM_RELEASE_YAML)
		return err_set(err, ERR_INVALID_PARAMS, "larger than %lld bytes", LIM_RELEASE_YAML);
	yaml_parser_set_input_string(&r->parser, (const unsigned char *)p, n);
	yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
	return 0;
}

static int read_release(struct reader *r, struct release_yaml *out, struct err *err)
{
	bool none;

	if (open_document(r, &none, err) < 0)
		return -1;
	while (!none) {
		AUTO(auto_str) char *key = NULL;

		if (next(r, err) < 0)
			return -1;
		if (r->ev.type == YAML_MAPPING_END_EVENT)
			break;
		key = scalar(r);
		if (skip_node(r, err) < 0 || next(r, err) < 0)
			return -1;
		if (read_key(r, key ? key : "", out, err) < 0)
			return -1;
	}
	return 0;
}

int release_yaml_parse(const char *p, size_t n, struct release_yaml *out,
		       void (*warn)(const char *line, void *arg), void *arg, struct err *err)
{
	AUTO(reader_clear) struct reader r;

	memset(out, 0, sizeof(*out));
	if (reader_open(&r, p, n, err) < 0)
		return -1;
	r.warn = warn;
	r.arg = arg;
	if (read_release(&r, out, err) < 0) {
		release_yaml_clear(out);
		return -1;
	}
	return 0;
}

void release_yaml_clear(struct release_yaml *r)
{
	proc_types_clear(&r->types);
	proc_types_clear(&r->config);
	for (int i = 0; i < r->naddons; i++)
		free(r->addons[i]);
	free(r->addons);
	memset(r, 0, sizeof(*r));
}

/* A plain scalar means what JSON would make of it; all else is a string. */
static json_t *report_value(const struct reader *r, const char *text)
{
	if (r->ev.data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
		json_t *v = json_loads(text, JSON_DECODE_ANY, NULL);

		if (v && (json_is_number(v) || json_is_boolean(v)))
			return v;
		json_decref(v);
	}
	return json_string(text); /* NULL when it is not UTF-8 */
}

static int read_report(struct reader *r, json_t *out, struct err *err)
{
	bool none;

	if (open_document(r, &none, err) < 0)
		return -1;
	while (!none) {
		AUTO(auto_str) char *key = NULL;
		AUTO(auto_str) char *value = NULL;

		if (next(r, err) < 0)
			return -1;
		if (r->ev.type == YAML_MAPPING_END_EVENT)
			break;
		key = scalar(r);
		if (skip_node(r, err) < 0 || next(r, err) < 0)
			return -1;
		value = scalar(r);
		if (key && *key && value && json_object_size(out) < MAX_ENTRIES)
			json_object_set_new(out, key, report_value(r, value));
		if (skip_node(r, err) < 0)
			return -1;
	}
	return 0;
}

int report_parse(const char *p, size_t n, struct buf *json, struct err *err)
{
	AUTO(reader_clear) struct reader r;
	json_t *obj;
	char *text = NULL;

	if (reader_open(&r, p, n, err) < 0)
		return -1;
	obj = json_object();
	if (read_report(&r, obj, err) == 0 && json_object_size(obj))
		text = json_dumps(obj, JSON_SORT_KEYS | JSON_COMPACT);
	json_decref(obj);
	if (!text)
		return err_set(err, ERR_INVALID_PARAMS, "the report has no usable entry");
	buf_adds(json, text);
	free(text);
	return 0;
}
