/* The Range header and the pages it asks for. */
#include "daemon/api/range.h"
#include "tests/unit/test.h"

#include <string.h>

#define FIELDS "version id created_at"

static struct api_range parsed(const char *header)
{
	struct api_range r;
	struct err err = {0};

	if (api_range_parse(header, FIELDS, &r, &err) < 0)
		fail_msg("\"%s\": %s", header, err.msg);
	return r;
}

static void every_form_that_clients_send(void **state)
{
	static const struct {
		const char *header, *field, *start, *end;
		bool after, desc;
		size_t max;
	} t[] = {
		{NULL, "version", "", "", false, false, 200},
		{"", "version", "", "", false, false, 200},
		{"  ", "version", "", "", false, false, 200},
		{"version ..; max=15, order=desc", "version", "", "", false, true, 15},
		{"version ..; order=desc,max=1", "version", "", "", false, true, 1},
		{"version ..; order=desc", "version", "", "", false, true, 200},
		{"id ..; max=1000;", "id", "", "", false, false, 1000},
		{"created_at ..; max=10, order=desc", "created_at", "", "", false, true, 10},
		{"]version 3..; max=2", "version", "3", "", true, false, 2},
		{"version ]3..; max=2", "version", "3", "", true, false, 2},
		{"] version  3 .. 9 ;max=2;order=asc", "version", "3", "9", true, false, 2},
		{"version 3..9", "version", "3", "9", false, false, 200},
		{"version ..9", "version", "", "9", false, false, 200},
		{"version..", "version", "", "", false, false, 200},
		{"..", "version", "", "", false, false, 200},
		{"; max=5", "version", "", "", false, false, 5},
		{"id ..; MAX = 7 ; ORDER = DESC", "id", "", "", false, true, 7},
		{"id ..; max=100000000", "id", "", "", false, false, 1000},
		{"id ..; max=99999999999999999999", "id", "", "", false, false, 1000},
		{"id ..; shiny=1; max=3", "id", "", "", false, false, 3},
		{"bytes=0-100", "version", "", "", false, false, 200},
		{"bytes = 0-100", "version", "", "", false, false, 200},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct api_range r = parsed(t[i].header);

		assert_string_equal(r.field, t[i].field);
		assert_string_equal(r.start, t[i].start);
		assert_string_equal(r.end, t[i].end);
		assert_int_equal(r.after, t[i].after);
		assert_int_equal(r.desc, t[i].desc);
		assert_int_equal(r.max, t[i].max);
	}
}

static void what_cannot_be_meant_is_refused(void **state)
{
	static const char *const t[] = {
		"version",	 "version 3",	 "name ..",	  "versio ..",
		"versions ..",	 "VERSION ..",	 "id ..; max=0",  "id ..; max=-1",
		"id ..; max=",	 "id ..; max=x", "id ..; max=1x", "id ..; order=down",
		"id ..; order=", "id ..; max",	 "id created_at",
	};
	char longer[700];

	memset(longer, 'a', sizeof longer);
	for (size_t i = 0; i < ARRAY_LEN(t) + 3; i++) {
		struct api_range r;
		struct err err = {0};
		const char *header = i < ARRAY_LEN(t) ? t[i] : longer;

		if (i >= ARRAY_LEN(t)) /* "aaa..", "id aaa..", "id ..aaa" */
			snprintf(longer, sizeof longer, "%s%s%0400d%s",
				 i == ARRAY_LEN(t) ? "" : "id ", i == ARRAY_LEN(t) + 2 ? ".." : "",
				 1, i == ARRAY_LEN(t) + 2 ? "" : "..");
		if (api_range_parse(header, FIELDS, &r, &err) == 0)
			fail_msg("\"%.60s\" was taken", header);
		assert_int_equal(err.status, 416);
	}
}

/* --- pages --- */

#define N 57

struct list {
	char text[N][40], ids[N][8];
	struct api_row rows[N];
};

/* Shuffled; keys come in groups of `same`. */
static void fill(struct list *l, int same)
{
	for (int i = 0; i < N; i++) {
		int v = i * 23 % N; /* 23 and 57 have no common divisor: each number once */

		snprintf(l->text[i], sizeof l->text[i], "2026-01-31T12:00:%02dZ", v / same);
		snprintf(l->ids[i], sizeof l->ids[i], "id%03d", (v * 31) % N);
		l->rows[i] = (struct api_row){
			.key = l->text[i], .num = v / same, .id = l->ids[i], .item = l->ids[i]};
	}
}

/* Walks all pages as a client does, by what Next-Range says; marks what it saw. */
static int walk(const char *header, bool numeric, int same, int seen[N], size_t most)
{
	char next[800];
	int pages = 0;

	snprintf(next, sizeof next, "%s", header);
	for (;;) {
		struct list l;
		struct api_page p;
		struct api_range r = parsed(next);
		struct err err = {0};

		fill(&l, same);
		assert_int_equal(api_range_page(&r, numeric, l.rows, N, &p, &err), 0);
		assert_true(p.shown <= most);
		for (size_t i = 0; i < p.shown; i++) {
			const struct api_row *row = &l.rows[p.first + i];

			seen[atoi(row->id + 2)]++;
			if (i && numeric)
				assert_true(r.desc ? row[-1].num >= row->num
						   : row[-1].num <= row->num);
		}
		pages++;
		if (!p.more)
			return pages;
		assert_true(p.shown > 0);
		assert_true(pages < 100);
		api_range_next(&r, numeric, &l.rows[p.first + p.shown - 1], next, sizeof next);
	}
}

static void all_pages_have_each_item_once(void **state)
{
	static const struct {
		const char *header;
		bool numeric;
		int same;
		size_t max;
	} t[] = {
		{"version ..; max=1", true, 1, 1},
		{"version ..; max=10", true, 1, 10},
		{"version ..; max=10, order=desc", true, 1, 10},
		{"version ..; max=57", true, 1, 57},
		{"version ..; max=56, order=desc", true, 1, 56},
		{"version ..", true, 1, 200},
		/* many items of the same second */
		{"created_at ..; max=1", false, 10, 1},
		{"created_at ..; max=4", false, 10, 4},
		{"created_at ..; max=4, order=desc", false, 10, 4},
		{"created_at ..; max=7, order=desc", false, 57, 7},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		int seen[N] = {0};
		int pages = walk(t[i].header, t[i].numeric, t[i].same, seen, t[i].max);

		assert_int_equal(pages, (N + t[i].max - 1) / t[i].max);
		for (int k = 0; k < N; k++)
			if (seen[k] != 1)
				fail_msg("%s: item %d came %d times", t[i].header, k, seen[k]);
	}
}

static void bounds(void **state)
{
	static const struct {
		const char *header;
		int first, last, n; /* n 0 = empty */
	} t[] = {
		{"version 5..9", 5, 9, 5},
		{"version ]5..9", 6, 9, 4},
		{"]version 5..9", 6, 9, 4},
		{"version 5..", 5, 56, 52},
		{"version ..9", 0, 9, 10},
		{"version 9..5; order=desc", 9, 5, 5},
		{"version ]9..5; order=desc", 8, 5, 4},
		{"version 9..; order=desc", 9, 0, 10},
		{"version ..50; order=desc", 56, 50, 7},
		{"version 5..9; order=desc", 9, 5, 5}, /* as people write it */
		{"version 5..9; order=desc; max=2", 9, 8, 2},
		{"version 9..5", 0, 0, 0},
		{"version 57..", 0, 0, 0},
		{"version ..-1", 0, 0, 0},
		{"version ]56..", 0, 0, 0},
		{"version -9223372036854775808..0", 0, 0, 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct list l;
		struct api_page p;
		struct api_range r = parsed(t[i].header);

		fill(&l, 1);
		assert_int_equal(api_range_page(&r, true, l.rows, N, &p, NULL), 0);
		if ((int)p.shown != t[i].n)
			fail_msg("%s: %zu items", t[i].header, p.shown);
		if (!t[i].n)
			continue;
		assert_int_equal(l.rows[p.first].num, t[i].first);
		assert_int_equal(l.rows[p.first + p.shown - 1].num, t[i].last);
	}
}

static void swapped_bounds_stay_swapped_in_the_next_page(void **state)
{
	int seen[N] = {0};

	assert_int_equal(walk("version 10..19; order=desc; max=3", true, 1, seen, 3), 4);
	for (int k = 0, n = 0; k < N; k++) {
		n += seen[k];
		assert_true(seen[k] <= 1);
		if (k == N - 1)
			assert_int_equal(n, 10);
	}
}

static void numbers_must_be_numbers(void **state)
{
	static const char *const t[] = {"version x..", "version ..9x", "version v3..",
					"version 99999999999999999999.."};
	struct list l;
	struct api_page p;

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct api_range r = parsed(t[i]);
		struct err err = {0};

		fill(&l, 1);
		assert_int_equal(api_range_page(&r, true, l.rows, N, &p, &err), -1);
		assert_int_equal(err.status, 416);
	}
}

static void an_empty_list_has_an_empty_page(void **state)
{
	struct api_range r = parsed("version 3..9; max=2");
	struct api_page p;

	assert_int_equal(api_range_page(&r, true, NULL, 0, &p, NULL), 0);
	assert_int_equal(p.shown, 0);
	assert_false(p.more);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_that_clients_send),
		cmocka_unit_test(what_cannot_be_meant_is_refused),
		cmocka_unit_test(all_pages_have_each_item_once),
		cmocka_unit_test(bounds),
		cmocka_unit_test(swapped_bounds_stay_swapped_in_the_next_page),
		cmocka_unit_test(numbers_must_be_numbers),
		cmocka_unit_test(an_empty_list_has_an_empty_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
