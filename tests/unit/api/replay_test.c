/* Requests that come twice: who is remembered, for how long, and what the second one gets. */
#include "daemon/api/replay.h"
#include "daemon/core/codec.h"
#include "proto/auto.h"
#include "proto/limits.h"
#include "tests/unit/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define ID "01234567-89ab-4def-8123-456789abcdef"

static struct replay_key key_of(const char *caller, const char *idem, const char *id)
{
	struct replay_key k;

	api_replay_key(caller, "POST", "/apps?", idem, id, &k);
	return k;
}

static int begin(struct api_replays *rs, struct replay_key *k, bool chosen, const char *body,
		 mono_ms now, struct replay_answer *out)
{
	struct err err = {0};

	return api_replay_begin(rs, k, chosen, body, strlen(body), now, 0, out, &err) < 0
		       ? -(int)err.code
		       : out->status;
}

static void keys(void **state)
{
	static const struct {
		const char *caller, *idem, *id;
		bool known;
	} t[] = {
		{"u", NULL, NULL, false},      {"u", NULL, "build-17", false},
		{"u", NULL, ID, true},	       {"u", NULL, ID "," ID, true},
		{"u", "build-17", NULL, true}, {"", "key", ID, false},
		{"u", "", ID, true},
	};
	struct replay_key a = key_of("u", ID, NULL), b = key_of("v", ID, NULL),
			  c = key_of("u", NULL, ID);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(key_of(t[i].caller, t[i].idem, t[i].id).hex[0] != 0, t[i].known);
	assert_string_not_equal(a.hex, b.hex);
	assert_string_not_equal(a.hex, c.hex);
}

static void the_second_gets_the_first_ones_answer(void **state)
{
	struct api_replays *rs = api_replays_new();
	struct replay_key k = key_of("u", NULL, ID);
	struct replay_answer a;

	(void)state;
	assert_false(api_replay_has(rs, &k, 0));
	assert_int_equal(begin(rs, &k, false, "{}", 0, &a), 0);
	assert_true(api_replay_has(rs, &k, 0));
	api_replay_end(rs, &k, 201, "made", 0);
	assert_int_equal(begin(rs, &k, false, "{}", LIM_REPLAY_MS, &a), 201);
	assert_string_equal(a.text, "made");
	free(a.text);
	assert_int_equal(begin(rs, &k, false, "{}", LIM_REPLAY_MS + 1, &a), 0);
	api_replay_end(rs, &k, 0, NULL, LIM_REPLAY_MS + 1); /* failed: may be tried again */
	assert_int_equal(begin(rs, &k, false, "{}", LIM_REPLAY_MS + 2, &a), 0);
	api_replays_free(rs);
}

static void another_body_is_another_request(void **state)
{
	struct api_replays *rs = api_replays_new();
	struct replay_key k = key_of("u", NULL, ID), chosen = key_of("u", "k", NULL);
	struct replay_answer a;

	(void)state;
	begin(rs, &k, false, "1", 0, &a);
	api_replay_end(rs, &k, 200, "1", 0);
	assert_int_equal(begin(rs, &k, false, "2", 0, &a), 0);
	assert_string_equal(k.hex, "");
	begin(rs, &chosen, true, "1", 0, &a);
	api_replay_end(rs, &chosen, 200, "1", 0);
	assert_int_equal(begin(rs, &chosen, true, "2", 0, &a), -ERR_INVALID_PARAMS);
	api_replays_free(rs);
}

static void still_at_work_is_a_conflict(void **state)
{
	struct api_replays *rs = api_replays_new();
	struct replay_key k = key_of("u", "k", NULL);
	struct replay_answer a;

	(void)state;
	begin(rs, &k, true, "", 0, &a);
	assert_int_equal(begin(rs, &k, true, "", 10 * LIM_REPLAY_MS, &a), -ERR_CONFLICT);
	api_replays_free(rs);
}

static void memory_is_bounded(void **state)
{
	struct api_replays *rs = api_replays_new();
	static char big[LIM_REPLAY_TEXT + 1];
	struct replay_answer a;
	char name[32];
	int kept = 0;

	(void)state;
	memset(big, 'x', sizeof big - 1);
	for (int i = 0; i < 2 * LIM_REPLAYS; i++) {
		struct replay_key k;

		snprintf(name, sizeof name, "%d", i);
		k = key_of("u", name, NULL);
		begin(rs, &k, true, "", 0, &a);
		api_replay_end(rs, &k, 200, i % 2 ? big : "", 0);
	}
	for (int i = 0; i < 2 * LIM_REPLAYS; i++) {
		struct replay_key k;

		snprintf(name, sizeof name, "%d", i);
		k = key_of("u", name, NULL);
		kept += api_replay_has(rs, &k, 0);
	}
	/* the bytes are the tighter of the two limits here, and one answer may be above */
	assert_in_range(kept, 20, 2 * (LIM_REPLAY_BYTES / LIM_REPLAY_TEXT + 2));
	api_replays_free(rs);
}

struct race {
	struct api_replays *rs;
	atomic_int done, failed_first;
};

static void *racer(void *arg)
{
	struct race *r = arg;
	struct replay_key k = key_of("u", "race", NULL);
	struct replay_answer a;
	struct err err = {0};
	int rc = api_replay_begin(r->rs, &k, true, "", 0, 0, 10000, &a, &err);

	if (rc == 0 && atomic_fetch_add(&r->failed_first, 1) == 0) {
		api_replay_end(r->rs, &k, 0, NULL, 0);
	} else if (rc == 0) {
		atomic_fetch_add(&r->done, 1);
		api_replay_end(r->rs, &k, 201, "made", 0);
	} else {
		assert_int_equal(rc, 1);
		assert_string_equal(a.text, "made");
		free(a.text);
	}
	return NULL;
}

static void of_many_at_once_one_does_it(void **state)
{
	struct race r = {.rs = api_replays_new()};
	pthread_t t[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_create(&t[i], NULL, racer, &r);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_join(t[i], NULL);
	assert_int_equal(r.done, 1);
	api_replays_free(r.rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys),
		cmocka_unit_test(the_second_gets_the_first_ones_answer),
		cmocka_unit_test(another_body_is_another_request),
		cmocka_unit_test(still_at_work_is_a_conflict),
		cmocka_unit_test(memory_is_bounded),
		cmocka_unit_test(of_many_at_once_one_does_it),
	};

	codec_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
