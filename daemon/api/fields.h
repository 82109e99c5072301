/* fields.h - what a request's body may hold: one table a route, checked before its handler runs,
 * and the source of docs/api.md and of the hyper-schema at /schema. A handler with a table need
 * not look at types and lengths again. */
#ifndef API_FIELDS_H
#define API_FIELDS_H

#include "proto/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum api_type {
	F_STRING = 1, /* text of min to max bytes (max 0: no limit but the body's) */
	F_LINE,	      /* as F_STRING, one line: no control characters */
	F_INT,	      /* min to max; also as text of digits, which clients send */
	F_QUANTITY,   /* as F_INT, or relative: text with + or - */
	F_BOOL,
	F_UUID,
	F_EMAIL,
	F_URI,	  /* http or https, a host, at most 2048 bytes */
	F_REF,	  /* id or name: text, or an object with one of the two */
	F_OBJECT, /* of: its fields */
	F_LIST,	  /* of: what each item is (name NULL); min to max items (max 0: 1000) */
	F_MAP,	  /* free keys; of: what each value is (name NULL); at most max keys (0: 1000) */
	F_ANY,	  /* the handler looks at it */
};
#define F_REQUIRED 1u
#define F_NULL	   2u /* null is a value of its own; elsewhere it counts as absent */
#define F_OPEN	   4u /* of F_OBJECT: further keys are passed over */

struct api_field {
	const char *name; /* NULL ends a table; "*", as the last one: any other key */
	enum api_type type;
	unsigned flags;
	int64_t min, max;
	const char *choice;	    /* "notify|sync": the only values, of F_STRING and F_LINE */
	const struct api_field *of; /* F_OBJECT: a table; F_LIST, F_MAP: one field */
	const char *text;	    /* for the docs; a few words */
};

/* body: an object, or NULL for none, which is as an empty one. INVALID_PARAMS naming the field as
 * "updates[2].quantity". */
int api_fields_check(const struct api_field *table, const json_t *body, struct err *err);

/* After the check. Absent and null are NULL, def. */
const char *api_get_str(const json_t *of, const char *name);
int64_t api_get_int(const json_t *of, const char *name, int64_t def);
int api_get_bool(const json_t *of, const char *name, int def);
/* Of an F_REF: its id or name. */
const char *api_get_ref(const json_t *of, const char *name);

/* As a JSON schema (draft 4), for /schema. Never NULL. */
json_t *api_fields_schema(const struct api_field *table);
/* As docs/api.md writes it: "name, *url, include: [text]". */
struct buf;
void api_fields_text(const struct api_field *table, struct buf *out);

#endif
