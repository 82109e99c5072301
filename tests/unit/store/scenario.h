/* scenario.h - tests of rows: each is a scenario inside one transaction on a fresh store. */
#ifndef TESTS_UNIT_STORE_SCENARIO_H
#define TESTS_UNIT_STORE_SCENARIO_H

#include "daemon/store/store.h"
#include "tests/unit/test.h"

#include <string.h>

/* Scenarios run on the writer thread, where cmocka's jumps must not go: they use CHECK. */
#define CHECK(x)                                                                            \
	do {                                                                                \
		if (!(x))                                                                   \
			return err_set(err, ERR_INTERNAL, "line %d: %s [%s]", __LINE__, #x, \
				       err->status ? err->msg : "");                        \
		*err = (struct err){0};                                                     \
	} while (0)
#define FAILS(x, id) CHECK((x) < 0 && err->code == (id))
#define IS(a, b)     (strcmp(a, b) == 0)

static int scenario_setup(void **state)
{
	struct err err = {0};

	codec_init();
	return store_open(":memory:", NULL, (struct store **)state, &err);
}

static int scenario_teardown(void **state)
{
	store_close(*state);
	return 0;
}

static void scenario(void **state, tx_fn *fn)
{
	struct err err = {0};

	if (store_tx(*state, fn, NULL, &err) < 0)
		fail_msg("%s", err.msg);
}

#define SCENARIO_TEST(fn) cmocka_unit_test_setup_teardown(fn, scenario_setup, scenario_teardown)

#endif
