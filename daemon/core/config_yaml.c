#include "daemon/core/config_int.h"
#include "daemon/core/fsx.h"
#include "proto/limits.h"

#include <string.h>
#include <yaml.h>

#define DEPTH	  4   /* of nested groups */
#define KEYS	  128 /* at least as many as the table has */
#define MAX_BYTES KiB(256)

struct reader {
	yaml_parser_t y;
	struct config *c;
	const char *file;
	struct err *err;
	bool seen[KEYS];
};

static int fail_at(struct reader *r, size_t line)
{
	return err_wrap(r->err, "%s:%zu", r->file, line + 1);
}

static int next_event(struct reader *r, yaml_event_t *e)
{
	if (yaml_parser_parse(&r->y, e))
		return 0;
	err_set(r->err, ERR_CONFIG, "%s", r->y.problem ? r->y.problem : "not YAML");
	return fail_at(r, r->y.problem_mark.line);
}

static const char *scalar(const yaml_event_t *e)
{
	return (const char *)e->data.scalar.value;
}

/* Text without NUL; aliases and tags have no place in a settings file. */
static int plain_scalar(struct reader *r, const yaml_event_t *e, const char *what)
{
	if (e->type != YAML_SCALAR_EVENT)
		err_set(r->err, ERR_CONFIG, "%s: wants a single value here", what);
	else if (e->data.scalar.tag || e->data.scalar.anchor)
		err_set(r->err, ERR_CONFIG, "%s: tags and anchors are not known here", what);
	else if (strlen(scalar(e)) != e->data.scalar.length)
		err_set(r->err, ERR_CONFIG, "%s: has a NUL character", what);
	else
		return 0;
	return fail_at(r, e->start_mark.line);
}

static int read_scalar(struct reader *r, const struct config_key *k, const yaml_event_t *e)
{
	bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (plain_scalar(r, e, k->name) < 0)
		return -1;
	if (plain && (!*scalar(e) || strcmp(scalar(e), "~") == 0 || strcmp(scalar(e), "null") == 0))
		err_set(r->err, ERR_CONFIG, "%s: has no value", k->name);
	else if (!plain && k->type != CFG_STR)
		err_set(r->err, ERR_CONFIG, "%s: must be a %s, not text in quotes", k->name,
			k->type == CFG_INT ? "number" : "true or false");
	else if (config_set_scalar(r->c, k, scalar(e), r->err) == 0)
		return 0;
	return fail_at(r, e->start_mark.line);
}

static int read_list(struct reader *r, const struct config_key *k, const yaml_event_t *start)
{
	if (start->type != YAML_SEQUENCE_START_EVENT) {
		err_set(r->err, ERR_CONFIG, "%s: wants a list, as [a, b]", k->name);
		return fail_at(r, start->start_mark.line);
	}
	config_clear_items(r->c, k);
	for (;;) {
		yaml_event_t e;
		bool end;
		int rc;

		if (next_event(r, &e) < 0)
			return -1;
		end = e.type == YAML_SEQUENCE_END_EVENT;
		rc = end ? 0 : plain_scalar(r, &e, k->name);
		if (!end && rc == 0 && config_add_item(r->c, k, scalar(&e), r->err) < 0)
			rc = fail_at(r, e.start_mark.line);
		yaml_event_delete(&e);
		if (end || rc < 0)
			return rc;
	}
}

/* One "key: value" of a map. Returns 1 at its end. */
static int read_pair(struct reader *r, const struct config_key *k)
{
	AUTO(auto_str) char *item = NULL;
	yaml_event_t key, value;
	int rc;

	if (next_event(r, &key) < 0)
		return -1;
	if (key.type == YAML_MAPPING_END_EVENT) {
		yaml_event_delete(&key);
		return 1;
	}
	rc = plain_scalar(r, &key, k->name);
	if (rc == 0 && next_event(r, &value) == 0) {
		rc = plain_scalar(r, &value, k->name);
		if (rc == 0) {
			item = xasprintf("%s=%s", scalar(&key), scalar(&value));
			if (strchr(scalar(&key), '='))
				rc = err_set(r->err, ERR_CONFIG, "%s: a name has a =", k->name);
			else
				rc = config_add_item(r->c, k, item, r->err);
			if (rc < 0)
				fail_at(r, key.start_mark.line);
		}
		yaml_event_delete(&value);
	} else {
		rc = -1;
	}
	yaml_event_delete(&key);
	return rc;
}

static int read_map(struct reader *r, const struct config_key *k, const yaml_event_t *start)
{
	int rc = 0;

	if (start->type != YAML_MAPPING_START_EVENT) {
		err_set(r->err, ERR_CONFIG, "%s: wants a map, as {a: b}", k->name);
		return fail_at(r, start->start_mark.line);
	}
	while (rc == 0)
		rc = read_pair(r, k);
	return rc < 0 ? -1 : 0;
}

static int read_value(struct reader *r, const struct config_key *k, const yaml_event_t *e)
{
	switch (k->type) {
	case CFG_LIST:
		return read_list(r, k, e);
	case CFG_MAP:
		return read_map(r, k, e);
	default:
		return read_scalar(r, k, e);
	}
}

static int read_group(struct reader *r, const char *prefix, int depth);

/* The value of a key or group called name; its first event is read here. */
static int read_entry(struct reader *r, const char *name, size_t line, int depth)
{
	const struct config_key *k = config_find(name);
	yaml_event_t e;
	int rc;

	if (!k && !config_is_group(name)) {
		config_unknown(name, r->err);
		return fail_at(r, line);
	}
	if (k && r->seen[k - config_keys]) {
		err_set(r->err, ERR_CONFIG, "%s: is given twice", name);
		return fail_at(r, line);
	}
	if (k)
		r->seen[k - config_keys] = true;
	if (next_event(r, &e) < 0)
		return -1;
	if (k) {
		rc = read_value(r, k, &e);
	} else if (e.type == YAML_MAPPING_START_EVENT && depth < DEPTH) {
		rc = read_group(r, name, depth + 1);
	} else {
		err_set(r->err, ERR_CONFIG, "%s: is a group: wants keys below it", name);
		rc = fail_at(r, e.start_mark.line);
	}
	yaml_event_delete(&e);
	return rc;
}

/* Entries up to the end of a mapping whose start was read. */
static int read_group(struct reader *r, const char *prefix, int depth)
{
	for (;;) {
		AUTO(auto_str) char *name = NULL;
		yaml_event_t e;
		bool end;
		size_t line;
		int rc = 0;

		if (next_event(r, &e) < 0)
			return -1;
		end = e.type == YAML_MAPPING_END_EVENT;
		line = e.start_mark.line;
		if (!end)
			rc = plain_scalar(r, &e, *prefix ? prefix : "key");
		if (!end && rc == 0)
			name = xasprintf("%s%s%.200s", prefix, *prefix ? "." : "", scalar(&e));
		yaml_event_delete(&e);
		if (end || rc < 0)
			return rc;
		if (read_entry(r, name, line, depth) < 0)
			return -1;
	}
}

/* An empty file or one document with a mapping. */
static int read_stream(struct reader *r)
{
	bool have = false;

	for (;;) {
		yaml_event_t e;
		yaml_event_type_t type;
		size_t line;
		int rc = 0;

		if (next_event(r, &e) < 0)
			return -1;
		type = e.type;
		line = e.start_mark.line;
		if (type == YAML_SCALAR_EVENT && !*scalar(&e))
			type = YAML_NO_EVENT; /* a document of comments */
		yaml_event_delete(&e);
		switch (type) {
		case YAML_STREAM_END_EVENT:
			return 0;
		case YAML_STREAM_START_EVENT:
		case YAML_DOCUMENT_END_EVENT:
		case YAML_NO_EVENT:
			break;
		case YAML_DOCUMENT_START_EVENT:
			if (have)
				rc = err_set(r->err, ERR_CONFIG, "a second document starts here");
			have = true;
			break;
		case YAML_MAPPING_START_EVENT:
			if (read_group(r, "", 0) < 0)
				return -1;
			break;
		default:
			rc = err_set(r->err, ERR_CONFIG, "wants keys and values, as listen: ...");
		}
		if (rc < 0)
			return fail_at(r, line);
	}
}

int config_parse(struct config *c, const char *name, const void *text, size_t n, struct err *err)
{
	struct err unused = {0};
	struct reader r = {.c = c, .file = name, .err = err ? err : &unused};
	int rc;

	if (!yaml_parser_initialize(&r.y))
		abort();
	yaml_parser_set_encoding(&r.y, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.y, text, n);
	rc = read_stream(&r);
	yaml_parser_delete(&r.y);
	return rc;
}

int config_load(struct config *c, const char *path, struct err *err)
{
	AUTO(buf_clear) struct buf text = {0};

	if (fs_read(path, MAX_BYTES, &text, err) < 0)
		return -1;
	return config_parse(c, path, buf_str(&text), text.len, err);
}
