/* appjson_int.h - inside daemon/appjson: the reader, which knows where it is in the file. */
#ifndef APPJSON_APPJSON_INT_H
#define APPJSON_APPJSON_INT_H

#include "daemon/appjson/appjson.h"
#include "proto/buf.h"

#define AJ_DEPTH 10

struct aj_seg {
	const char *key; /* NULL = an index */
	size_t index;
};
/* Line and column (in characters, from 1) of the value at path, or of its key. text is valid JSON;
 * of a path that is not there the last part that is. */
void aj_locate(const char *text, size_t n, const struct aj_seg *path, int depth, bool of_key,
	       int *line, int *column);

struct aj_reader {
	const char *text;
	size_t n;
	struct aj_seg path[AJ_DEPTH];
	int depth;
	bool quiet; /* what is wrong is of no concern */
	struct appjson_problems problems;
	json_t *root; /* owned */
};
void aj_in_key(struct aj_reader *r, const char *key);
void aj_in_index(struct aj_reader *r, size_t i);
void aj_out(struct aj_reader *r);
/* At the value that the reader is in. */
void aj_problem(struct aj_reader *r, const char *fmt, ...) PRINTF(2, 3);
/* At its key. */
void aj_problem_key(struct aj_reader *r, const char *fmt, ...) PRINTF(2, 3);

/* A key of an object: fn reads its value into the field. */
struct aj_key {
	const char *name;
	void (*fn)(struct aj_reader *r, const json_t *v, void *field);
	size_t offset; /* of the field */
	bool required;
};
/* Keys that the table (ends with NULL) does not have are problems, with what may have been meant;
 * elsewhere: NULL, or names and where they belong. */
struct aj_elsewhere {
	const char *name, *where;
};
void aj_object(struct aj_reader *r, const json_t *v, const struct aj_key *keys,
	       const struct aj_elsewhere *elsewhere, void *out);

/* Values; each complains and leaves its field as it was when it is not right. */
void aj_line(struct aj_reader *r, const json_t *v, void *field);    /* char *: one line */
void aj_text(struct aj_reader *r, const json_t *v, void *field);    /* char *: lines, may be "" */
void aj_command(struct aj_reader *r, const json_t *v, void *field); /* char * */
void aj_url(struct aj_reader *r, const json_t *v, void *field);	    /* char *: http, https */
void aj_bool(struct aj_reader *r, const json_t *v, void *field);
void aj_size(struct aj_reader *r, const json_t *v, void *field); /* char *: of a dyno */
bool aj_int(struct aj_reader *r, const json_t *v, int min, int max, int *out);
/* char *: one of words (NULL-terminated) */
void aj_word(struct aj_reader *r, const json_t *v, const char *const *words, char **out);
/* Whether v is a list, or an object, of at most max items; complains otherwise. */
bool aj_is_list(struct aj_reader *r, const json_t *v, size_t max);
bool aj_is_object(struct aj_reader *r, const json_t *v, size_t max);
void aj_set(char **field, const char *value);

/* extensions.c */
void aj_healthchecks(struct aj_reader *r, const json_t *v, void *appjson);
void aj_cron(struct aj_reader *r, const json_t *v, void *appjson);
void aj_checks_clear(struct appjson *a);
void aj_cron_clear(struct appjson *a);

#endif
