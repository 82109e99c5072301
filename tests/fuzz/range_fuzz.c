/* Whatever is in a Range header: pages are in order and in bounds, and following Next-Range ends,
 * with no item twice. */
#include "daemon/api/range.h"
#include "proto/buf.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define N 23

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct list {
	char text[N][40], ids[N][8];
	struct api_row rows[N];
};

static void fill(struct list *l)
{
	for (int i = 0; i < N; i++) {
		int v = i * 7 % N;

		snprintf(l->text[i], sizeof l->text[i], "2026-01-31T12:00:%02dZ", v / 4);
		snprintf(l->ids[i], sizeof l->ids[i], "%d", v);
		l->rows[i] = (struct api_row){.key = l->text[i], .num = v / 4, .id = l->ids[i]};
	}
}

/* Of a list whose numbers are unique only together with the id, the next page may skip some. */
static void walk(const char *header, bool numeric)
{
	int seen[N] = {0}, pages = 0;
	char next[800];

	snprintf(next, sizeof next, "%s", header);
	for (;;) {
		struct api_range r;
		struct api_page p;
		struct list l;

		if (api_range_parse(next, "created_at version id", &r, NULL) < 0) {
			assert(pages == 0); /* our own Next-Range is good */
			return;
		}
		fill(&l);
		if (api_range_page(&r, numeric, l.rows, N, &p, NULL) < 0) {
			assert(pages == 0);
			return;
		}
		assert(p.first + p.shown <= N && p.shown <= r.max);
		for (size_t i = p.first; i < p.first + p.shown; i++)
			assert(seen[atoi(l.rows[i].id)]++ == 0);
		if (!p.more)
			return;
		assert(p.shown == r.max && ++pages <= N);
		api_range_next(&r, numeric, &l.rows[p.first + p.shown - 1], next, sizeof next);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char header[600];
	size_t n = len < sizeof header - 1 ? len : sizeof header - 1;

	memcpy(header, data, n);
	header[n] = 0;
	walk(header, false);
	walk(header, true);
	return 0;
}
