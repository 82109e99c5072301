/* Where something is in a JSON text: jansson knows positions of syntax errors only. */
#include "daemon/appjson/appjson_int.h"

#include <string.h>

struct cursor {
	const char *p, *end;
};

static void blanks(struct cursor *c)
{
	while (c->p < c->end && strchr(" \t\r\n", *c->p) && *c->p)
		c->p++;
}

/* Past a string, from its first quote on. */
static void skip_string(struct cursor *c)
{
	for (c->p++; c->p < c->end && *c->p != '"'; c->p++)
		if (*c->p == '\\')
			c->p++;
	c->p = c->p < c->end ? c->p + 1 : c->end;
}

static void skip_value(struct cursor *c)
{
	int depth = 0;

	do {
		if (c->p >= c->end)
			return;
		if (*c->p == '"') {
			skip_string(c);
			continue;
		}
		if (*c->p == '{' || *c->p == '[')
			depth++;
		if (*c->p == '}' || *c->p == ']')
			depth--;
		c->p++;
		if (depth == 0) /* a literal or a number goes on to what ends it */
			while (c->p < c->end && c->p[-1] != '}' && c->p[-1] != ']' &&
			       !strchr(",]} \t\r\n", *c->p))
				c->p++;
	} while (depth > 0);
}

static bool is_key(const char *p, const char *end, const char *key)
{
	json_t *s = json_loadb(p, (size_t)(end - p), JSON_DECODE_ANY, NULL);
	bool same = s && strcmp(json_string_value(s), key) == 0;

	json_decref(s);
	return same;
}

/* From an object or list to one of its values; *key gets where its key is. */
static bool enter(struct cursor *c, const struct aj_seg *seg, const char **key)
{
	const char open = seg->key ? '{' : '[';

	if (c->p >= c->end || *c->p != open)
		return false;
	c->p++;
	for (size_t i = 0;; i++) {
		bool here = !seg->key && i == seg->index;

		blanks(c);
		if (c->p >= c->end || *c->p == '}' || *c->p == ']')
			return false;
		*key = c->p;
		if (seg->key) {
			skip_string(c);
			here = is_key(*key, c->p, seg->key);
			blanks(c);
			c->p += c->p < c->end; /* : */
			blanks(c);
		}
		if (here)
			return true;
		skip_value(c);
		blanks(c);
		if (c->p >= c->end || *c->p != ',')
			return false;
		c->p++;
	}
}

void aj_locate(const char *text, size_t n, const struct aj_seg *path, int depth, bool of_key,
	       int *line, int *column)
{
	struct cursor c = {text, text + n};
	const char *at, *key = text;

	blanks(&c);
	at = c.p;
	for (int i = 0; i < depth && enter(&c, &path[i], &key); i++)
		at = of_key && i == depth - 1 ? key : c.p;
	*line = *column = 1;
	for (const char *p = text; p < at; p++) {
		if (*p == '\n') {
			++*line;
			*column = 1;
		} else if (((unsigned char)*p & 0xc0) != 0x80) {
			++*column; /* a character, not an octet */
		}
	}
}
