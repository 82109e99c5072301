/* row_int.h - private to the aggregates of daemon/store: from rows to structs. */
#ifndef STORE_ROW_INT_H
#define STORE_ROW_INT_H

#include "daemon/store/store.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Fills a struct from the row that s stands on; the struct is zero before. */
typedef void row_fn(struct stmt *s, void *out);

/* Steps once: onto the row, or NOT_FOUND with this resource. */
int row_need(struct stmt *s, const char *resource, struct err *err);
/* The same: the row into out (size bytes). */
int row_one(struct stmt *s, row_fn *fill, void *out, size_t size, const char *resource,
	    struct err *err);
/* Steps to the end: an array of `size`-byte structs in *v, *n of them; clear frees those made when
 * a later step fails. */
int row_all(struct stmt *s, row_fn *fill, void (*clear)(void *), void **v, int *n, size_t size,
	    struct err *err);
/* Executes; NOT_FOUND when no row was changed. */
int row_change(struct tx *tx, struct stmt *s, const char *resource, struct err *err);
/* One value of the row `id`, by a statement of id, value (NULL is NULL) and the time of change. */
int row_set(struct tx *tx, enum sql_id sql, const char *id, const char *value, const char *resource,
	    struct err *err);
/* Column as text cut to fit; "" for NULL. */
void row_copy(struct stmt *s, int col, char *out, size_t cap);
/* Column, or `none` for NULL. */
int64_t row_int_or(struct stmt *s, int col, int64_t none);

/* JSON objects that are sealed in the database; NULL is bound as {}. CORRUPT when it is none. */
void row_seal_json(struct tx *tx, struct stmt *s, int i, const json_t *v);
int row_open_json(struct tx *tx, struct stmt *s, int col, json_t **out, struct err *err);

/* Binds `none` as NULL. */
static inline void bind_int_or_null(struct stmt *s, int i, int64_t v, int64_t none)
{
	if (v == none)
		stmt_null(s, i);
	else
		stmt_int(s, i, v);
}
/* Binds "" as NULL. */
static inline void bind_id(struct stmt *s, int i, const char *id)
{
	stmt_text(s, i, id && *id ? id : NULL);
}

#define ROW_COPY(s, col, arr) row_copy(s, col, arr, sizeof(arr))

/* Defines prefix##s_clear for a list of prefix structs, and the void * forms that row_all needs. */
#define ROW_DEFINE_LIST(one, many)                                                            \
	static void one##_clear_v(void *p)                                                    \
	{                                                                                     \
		one##_clear(p);                                                               \
	}                                                                                     \
	void many##_clear(struct many *l)                                                     \
	{                                                                                     \
		for (int i_ = 0; i_ < l->n; i_++)                                             \
			one##_clear(&l->v[i_]);                                               \
		free(l->v);                                                                   \
		*l = (struct many){0};                                                        \
	}                                                                                     \
	static int one##_all(struct stmt *s, row_fn *fill, struct many *out, struct err *err) \
	{                                                                                     \
		void *v = NULL;                                                               \
		int n = 0;                                                                    \
		if (row_all(s, fill, one##_clear_v, &v, &n, sizeof *out->v, err) < 0)         \
			return -1;                                                            \
		out->v = v;                                                                   \
		out->n = n;                                                                   \
		return 0;                                                                     \
	}

#endif
