/* Sources: who owns how much, what has expired; slugs that wait for their blob. */
#include "daemon/store/source.h"
#include "daemon/store/user.h"
#include "proto/limits.h"
#include "tests/unit/store/scenario.h"

static int in_tx(struct tx *tx, void *arg, struct err *err)
{
	struct store_source s = {0};
	AUTO(store_ids_clear) struct store_ids left = {0};
	int64_t bytes = -1;
	AUTO(store_user_clear) struct store_user u = {0};
	char id[37], other[37];

	CHECK(store_user_create(tx, "owner@example.com", NULL, NULL, false, &u, err) == 0);
	CHECK(store_source_insert(tx, u.id, NULL, id, err) == 0);
	CHECK(store_source_get(tx, id, &s, err) == 0);
	CHECK(s.size == -1);
	CHECK(!s.app_id[0]);
	CHECK(store_source_uploaded(tx, id, 500, err) == 0);
	CHECK(store_source_usage(tx, u.id, id, &bytes, err) == 0);
	CHECK(bytes == 0); /* but for this one */
	CHECK(store_source_insert(tx, u.id, NULL, other, err) == 0);
	CHECK(store_source_usage(tx, u.id, other, &bytes, err) == 0);
	CHECK(bytes == 500);
	CHECK(store_sources_expire(tx, &left, err) == 0);
	CHECK(left.n == 2);
	CHECK(store_ids_has(&left, id));
	for (int made = 2; made < LIM_SOURCES; made++)
		CHECK(store_source_insert(tx, u.id, NULL, other, err) == 0);
	FAILS(store_source_insert(tx, u.id, NULL, other, err), ERR_RATE_LIMIT);
	FAILS(store_source_get(tx, "00000000-0000-4000-8000-000000000000", &s, err), ERR_NOT_FOUND);
	return 0;
}

static void sources(void **state)
{
	scenario(state, in_tx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {SCENARIO_TEST(sources)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
