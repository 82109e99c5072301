/* range.h - the Range header of lists ("version ]3..; max=15, order=desc") and the page that it
 * asks for. Pure; any thread. Platform API reference: Ranges. */
#ifndef API_RANGE_H
#define API_RANGE_H

#include "proto/err.h"

#define API_PAGE     200 /* items without max */
#define API_PAGE_MAX 1000

struct api_range {
	char field[24]; /* one of the list's fields */
	/* Bounds in reading order: with order=desc, start is the greater one. "" = none. */
	char start[300], end[300];
	char start_id[40]; /* breaks ties of start, in Next-Range of fields that are not unique */
	bool after;	   /* start itself is not part */
	bool desc;
	size_t max;
};

/* header may be NULL. fields: the names that the list can be sorted by, separated by blanks, the
 * default first. Lenient about blanks and separators, as clients differ; what cannot be meant is
 * RANGE_INVALID. */
int api_range_parse(const char *header, const char *fields, struct api_range *r, struct err *err);

struct api_row { /* borrowed */
	const char *key;
	int64_t num;
	const char *id; /* of the item; "" = none */
	void *item;
};

struct api_page {
	size_t first, shown; /* of the sorted rows */
	bool more;
};

/* Sorts rows as the range says and finds the page. numeric: rows have num in place of key.
 * RANGE_INVALID: a bound is no number where one is needed. */
int api_range_page(struct api_range *r, bool numeric, struct api_row *rows, size_t n,
		   struct api_page *out, struct err *err);
/* Of the next page, for whom the last row shown was this one. */
void api_range_next(const struct api_range *r, bool numeric, const struct api_row *last, char *out,
		    size_t cap);

#endif
