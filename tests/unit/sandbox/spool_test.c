#include "proto/logwire.h"
#include "shim/spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

struct fixture {
	char dir[64], path[96];
	struct spool s;
	uint64_t seq, line;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);

	snprintf(f->dir, sizeof f->dir, "/tmp/paas-spool.XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->path, sizeof f->path, "%s/spool", f->dir);
	spool_init(&f->s, f->path, 512 * 1024);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	spool_clear(&f->s);
	unlink(f->path);
	rmdir(f->dir);
	free(f);
	return 0;
}

/* One batch of n numbered lines, `pad` bytes each. */
static void push(struct fixture *f, int n, int pad)
{
	struct buf b = {0};
	size_t mark = wire_begin(&b, LOG_BATCH);
	char text[8192];

	wire_u64(&b, K_SEQ, ++f->seq);
	wire_str(&b, K_APP, "app");
	for (int i = 0; i < n; i++) {
		int len = snprintf(text, sizeof text, "%0*llu", pad, (unsigned long long)++f->line);

		wire_u64(&b, K_TS_US, 1);
		wire_bytes(&b, K_TEXT, text, (size_t)len);
	}
	wire_end(&b, mark);
	spool_push(&f->s, &b);
	buf_clear(&b);
}

struct seen {
	uint64_t first, last, lines, dropped, seq;
	bool hole; /* a gap that the counts do not explain */
};

static void look(const char *p, size_t n, struct seen *s)
{
	struct wire_frame f;
	struct wire_field v;
	ssize_t k;

	while ((k = wire_parse(p, n, &f)) > 0) {
		uint64_t lost = 0;

		while (wire_next(&f, &v) == 1) {
			if (v.key == K_SEQ)
				s->seq = wire_get_u64(&v);
			if (v.key == K_DROPPED)
				lost += wire_get_u64(&v);
			if (v.key == K_TEXT) {
				char text[128];
				uint64_t number;

				wire_copy_str(&v, text, sizeof text);
				number = strtoull(text, NULL, 10);
				s->hole |= number != s->last + lost + 1;
				s->first = s->first ? s->first : number;
				s->last = number;
				s->dropped += lost;
				lost = 0;
				s->lines++;
			}
		}
		p += k;
		n -= (size_t)k;
	}
	assert_int_equal(n, 0);
}

/* Takes everything as paasd would, acknowledging each piece. */
static struct seen drain(struct fixture *f)
{
	struct seen s = {0};
	const char *p;
	size_t n;

	while ((p = spool_next(&f->s, &n)) != NULL) {
		look(p, n, &s);
		spool_sent(&f->s, n);
		spool_acked(&f->s, s.seq);
	}
	return s;
}

static void few_lines_stay_in_memory(void **state)
{
	struct fixture *f = *state;
	struct seen s;

	for (int i = 0; i < 10; i++)
		push(f, 10, 10);
	assert_int_equal(access(f->path, F_OK), -1);
	s = drain(f);
	assert_true(s.lines == 100 && s.last == 100 && !s.hole && !s.dropped);
	assert_true(spool_empty(&f->s) && f->s.mem.cap == 0);
}

static void many_lines_go_through_the_file_in_order(void **state)
{
	struct fixture *f = *state;
	struct seen s;

	for (int i = 0; i < 30; i++)
		push(f, 100, 80); /* 9 KB each */
	assert_int_equal(access(f->path, F_OK), 0);
	push(f, 1, 10);
	s = drain(f);
	assert_true(s.lines == 3001 && s.last == 3001 && !s.hole && !s.dropped);
	push(f, 1, 10);
	s = drain(f);
	assert_true(s.lines == 1 && s.last == 3002);
}

static void beyond_the_limit_the_oldest_of_the_file_go_and_are_counted(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	struct seen s;

	for (int i = 0; i < 300; i++)
		push(f, 100, 80);
	assert_int_equal(stat(f->path, &st), 0);
	assert_true(st.st_size <= 512 * 1024);
	s = drain(f);
	assert_true(s.last == 30000 && s.dropped > 0 && !s.hole);
	assert_true(s.lines + s.dropped == 30000);
}

static void what_was_not_acknowledged_is_sent_again(void **state)
{
	struct fixture *f = *state;
	struct seen s = {0};
	const char *p;
	size_t n;

	push(f, 1, 10);
	push(f, 1, 10);
	push(f, 1, 10);
	p = spool_next(&f->s, &n);
	assert_non_null(p);
	spool_sent(&f->s, n);
	assert_true(spool_in_flight(&f->s));
	assert_null(spool_next(&f->s, &n));
	spool_acked(&f->s, 1);
	spool_rewind(&f->s);
	p = spool_next(&f->s, &n);
	s.last = 1;
	look(p, n, &s);
	assert_true(s.lines == 2 && s.last == 3 && !s.hole);
}

static void an_acknowledgement_of_what_was_not_sent_is_ignored(void **state)
{
	struct fixture *f = *state;

	push(f, 1, 10);
	spool_acked(&f->s, 99);
	assert_false(spool_empty(&f->s));
}

static void saving_leaves_exactly_the_rest(void **state)
{
	struct fixture *f = *state;
	struct buf data = {0};
	struct seen s = {.last = 100};
	struct err err = {0};
	size_t n;
	FILE *file;

	for (int i = 0; i < 30; i++)
		push(f, 100, 80);
	spool_next(&f->s, &n);
	spool_sent(&f->s, n);
	spool_acked(&f->s, 1);
	assert_int_equal(spool_save(&f->s, &err), 0);
	file = fopen(f->path, "r");
	assert_non_null(file);
	buf_reserve(&data, 1 << 20);
	data.len = fread(data.data, 1, 1 << 20, file);
	fclose(file);
	look(data.data, data.len, &s);
	assert_true(s.first == 101 && s.last == 3000 && !s.hole);
	buf_clear(&data);
}

static void saving_nothing_leaves_no_file(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};

	for (int i = 0; i < 30; i++)
		push(f, 100, 80);
	drain(f);
	assert_int_equal(spool_save(&f->s, &err), 0);
	assert_int_equal(access(f->path, F_OK), -1);
}

static void a_file_that_cannot_be_written_loses_lines_only(void **state)
{
	struct fixture *f = *state;
	struct seen s;

	assert_int_equal(mkdir(f->path, 0700), 0); /* a folder is in the way */
	for (int i = 0; i < 30; i++)
		push(f, 100, 80);
	s = drain(f);
	assert_true(s.lines > 0 && s.first == 1);
	rmdir(f->path);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(few_lines_stay_in_memory),
		T(many_lines_go_through_the_file_in_order),
		T(beyond_the_limit_the_oldest_of_the_file_go_and_are_counted),
		T(what_was_not_acknowledged_is_sent_again),
		T(an_acknowledgement_of_what_was_not_sent_is_ignored),
		T(saving_leaves_exactly_the_rest),
		T(saving_nothing_leaves_no_file),
		T(a_file_that_cannot_be_written_loses_lines_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
