/* Sources: who owns how much, what has expired; slugs that wait for their blob. */
#include "daemon/store/source.h"
#include "daemon/store/user.h"
#include "proto/limits.h"
#include "tests/unit/test.h"

#include <string.h>

struct ctx {
	char id[37];
	int made;
};

/* On the writer's thread, where cmocka cannot fail. */
#define CHECK(cond)                                                                        \
	do {                                                                               \
		if (!(cond))                                                               \
			return err_set(err, ERR_INTERNAL, "line %d: %s", __LINE__, #cond); \
	} while (0)

static int in_tx(struct tx *tx, void *arg, struct err *err)
{
	struct ctx *x = arg;
	struct store_source s = {0};
	AUTO(store_ids_clear) struct store_ids left = {0};
	int64_t bytes = -1;
	AUTO(store_user_clear) struct store_user u = {0};
	char other[37];

	CHECK(store_user_create(tx, "owner@example.com", NULL, NULL, false, &u, err) == 0);
	CHECK(store_source_insert(tx, u.id, NULL, x->id, err) == 0);
	CHECK(store_source_get(tx, x->id, &s, err) == 0);
	CHECK(s.size == -1);
	CHECK(!s.app_id[0]);
	CHECK(store_source_uploaded(tx, x->id, 500, err) == 0);
	CHECK(store_source_usage(tx, u.id, x->id, &bytes, err) == 0);
	CHECK(bytes == 0); /* but for this one */
	CHECK(store_source_insert(tx, u.id, NULL, other, err) == 0);
	CHECK(store_source_usage(tx, u.id, other, &bytes, err) == 0);
	CHECK(bytes == 500);
	CHECK(store_sources_expire(tx, &left, err) == 0);
	CHECK(left.n == 2);
	CHECK(store_ids_has(&left, x->id));
	for (x->made = 2; store_source_insert(tx, u.id, NULL, other, err) == 0; x->made++)
		;
	CHECK(x->made == LIM_SOURCES);
	CHECK(err->code == ERR_RATE_LIMIT);
	CHECK(store_source_get(tx, "00000000-0000-4000-8000-000000000000", &s, err) == -1);
	CHECK(err->code == ERR_NOT_FOUND);
	return 0;
}

static void sources(void **state)
{
	struct store *st = NULL;
	struct err err = {0};
	struct ctx x = {""};

	codec_init();
	assert_int_equal(store_open(":memory:", NULL, &st, &err), 0);
	if (store_tx(st, in_tx, &x, &err) < 0)
		fail_msg("%s", err.msg);
	store_close(st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(sources)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
