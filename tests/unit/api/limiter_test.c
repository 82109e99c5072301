/* Guesses run out, and come back with time. */
#include "daemon/api/limiter.h"
#include "daemon/core/codec.h"
#include "tests/unit/test.h"

#include <string.h>

static void a_burst_then_one_at_a_time(void **state)
{
	struct api_limiter *l = api_limiter_new(3, 30000);
	mono_ms now = 1000000;
	unsigned wait;

	for (int i = 0; i < 3; i++)
		assert_true(api_limiter_take(l, "ann", now, &wait));
	assert_false(api_limiter_take(l, "ann", now, &wait));
	assert_int_equal(wait, 30);
	assert_false(api_limiter_take(l, "ann", now + 29999, &wait));
	assert_int_equal(wait, 1);
	assert_true(api_limiter_take(l, "bob", now, &wait)); /* others do not feel it */
	assert_true(api_limiter_take(l, "ann", now + 30000, &wait));
	assert_false(api_limiter_take(l, "ann", now + 30000, &wait));
	/* whole again, and not more than whole */
	now += 100 * 30000;
	for (int i = 0; i < 3; i++)
		assert_true(api_limiter_take(l, "ann", now, &wait));
	assert_false(api_limiter_take(l, "ann", now, &wait));
	api_limiter_free(l);
}

static void right_passwords_cost_nothing(void **state)
{
	struct api_limiter *l = api_limiter_new(2, 30000);
	unsigned wait;

	for (int i = 0; i < 100; i++) {
		assert_true(api_limiter_take(l, "ann", 5, &wait));
		api_limiter_give(l, "ann");
	}
	assert_true(api_limiter_take(l, "ann", 5, &wait));
	assert_true(api_limiter_take(l, "ann", 5, &wait));
	assert_false(api_limiter_take(l, "ann", 5, &wait));
	api_limiter_give(l, "nobody"); /* not in the table */
	api_limiter_free(l);
}

/* A flood of other keys must not wash out one that is out of guesses. */
static void a_flood_does_not_forgive(void **state)
{
	struct api_limiter *l = api_limiter_new(10, 30000);
	unsigned wait;
	char key[32];

	for (int i = 0; i < 10; i++)
		assert_true(api_limiter_take(l, "victim", 0, &wait));
	for (int i = 0; i < 50000; i++) {
		snprintf(key, sizeof key, "flood%d", i);
		api_limiter_take(l, key, i % 1000, &wait);
	}
	assert_false(api_limiter_take(l, "victim", 1000, &wait));
	api_limiter_free(l);
}

static void addresses(void **state)
{
	static const char *const t[][2] = {
		{"192.0.2.7", "192.0.2.7"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
		{"2001:db8:1:2::1", "2001:db8:1:2::"},
		{"::ffff:192.0.2.7", "192.0.2.7"},
		{"unknown", "unknown"},
		{"", ""},
	};
	char out[64];

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		api_limiter_address(t[i][0], out);
		assert_string_equal(out, t[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_then_one_at_a_time),
		cmocka_unit_test(right_passwords_cost_nothing),
		cmocka_unit_test(a_flood_does_not_forgive),
		cmocka_unit_test(addresses),
	};

	codec_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
