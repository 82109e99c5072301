/* Daily backups: when, in zones that change their clocks; what begins when; how many are kept. */
#include "daemon/pg/transfer_int.h"
#include "daemon/store/store_int.h"
#include "daemon/store/addon.h"
#include "daemon/store/app.h"
#include "daemon/store/user.h"
#include "tests/unit/test.h"

#include <string.h>

#define HOUR (3600 * 1000LL)
#define DAY  (24 * HOUR)

/* UTC */
static wall_ms at(int year, int month, int day, int hour)
{
	struct tm tm = {
		.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour};

	return (wall_ms)timegm(&tm) * 1000;
}

static void the_hour_is_of_the_zone(void **state)
{
	static const struct {
		const char *zone;
		int hour;
		int after[4], want[4];
	} cases[] = {
		{"UTC", 2, {2026, 1, 31, 0}, {2026, 1, 31, 2}},
		{"UTC", 2, {2026, 1, 31, 2}, {2026, 2, 1, 2}}, /* after, not at */
		{"UTC", 0, {2026, 12, 31, 5}, {2027, 1, 1, 0}},
		{"America/New_York", 23, {2026, 1, 31, 0}, {2026, 1, 31, 4}},
		{"Asia/Kolkata", 5, {2026, 1, 31, 0}, {2026, 1, 31, 23}}, /* half past, UTC */
		{"Europe/Berlin", 3, {2026, 3, 28, 3}, {2026, 3, 29, 1}}, /* the clocks went on */
		{"Europe/Berlin", 2, {2026, 3, 28, 3}, {2026, 3, 29, 1}}, /* 2:00 is skipped */
		{"Europe/Berlin", 2, {2026, 3, 29, 1}, {2026, 3, 30, 0}},
		{"Europe/Berlin", 2, {2026, 10, 24, 3}, {2026, 10, 25, 0}}, /* 2:00 comes twice */
		{"Europe/Berlin", 2, {2026, 10, 25, 0}, {2026, 10, 26, 1}}, /* once, all the same */
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const int *a = cases[i].after, *w = cases[i].want;
		wall_ms want = at(w[0], w[1], w[2], w[3]), got = 0;
		struct err err = {0};

		if (strcmp(cases[i].zone, "Asia/Kolkata") == 0)
			want += HOUR / 2;
		assert_int_equal(pg_schedule_next(cases[i].zone, cases[i].hour,
						  at(a[0], a[1], a[2], a[3]), &got, &err),
				 0);
		if (got != want)
			fail_msg("case %zu: %lld h off", i, (long long)((got - want) / HOUR));
	}
}

static void what_is_no_time_is_refused(void **state)
{
	struct err err = {0};
	wall_ms t;

	assert_int_equal(pg_schedule_next("UTC", 24, 0, &t, &err), -1);
	assert_int_equal(pg_schedule_next("UTC", -1, 0, &t, &err), -1);
	assert_int_equal(pg_schedule_next("Europe/Atlantis", 2, 0, &t, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_PARAMS);
	assert_int_equal(pg_schedule_next("../../etc/passwd", 2, 0, &t, &err), -1);
}

/* --- with a store --- */

struct ctx {
	struct store *st;
	struct pg_transfers t;
	char app_id[37], addon_id[37];
	struct store_pgts list;
};

/* On the writer's thread, where cmocka cannot fail. */
#define CHECK(cond)                                                                        \
	do {                                                                               \
		if (!(cond))                                                               \
			return err_set(err, ERR_INTERNAL, "line %d: %s", __LINE__, #cond); \
	} while (0)

static int seed(struct tx *tx, void *arg, struct err *err)
{
	struct ctx *x = arg;
	AUTO(store_user_clear) struct store_user u = {0};
	AUTO(store_app_clear) struct store_app app = {0};
	AUTO(store_addon_clear) struct store_addon a = {0};
	struct store_addon_new in = {0};

	CHECK(store_user_create(tx, "a@example.com", NULL, NULL, true, &u, err) == 0);
	CHECK(store_app_create(tx, "web", u.id, "heroku-22", &app, err) == 0);
	in.name = "postgresql-calm-1";
	in.app_id = app.id;
	in.service = "heroku-postgresql";
	in.plan = "essential-0";
	in.user_id = u.id;
	CHECK(store_addon_insert(tx, &in, &a, err) == 0);
	a.state = ADDON_PROVISIONED;
	CHECK(store_addon_save(tx, &a, err) == 0);
	memcpy(x->app_id, app.id, sizeof x->app_id);
	memcpy(x->addon_id, a.id, sizeof x->addon_id);
	return 0;
}

static int setup(void **state)
{
	struct ctx *x = xcalloc(1, sizeof *x);
	struct err err = {0};

	codec_init();
	if (store_open(":memory:", NULL, &x->st, &err) < 0 || store_tx(x->st, seed, x, &err) < 0) {
		print_error("%s\n", err.msg);
		return -1;
	}
	x->t.d.store = x->st;
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct ctx *x = *state;

	store_pgts_clear(&x->list);
	store_close(x->st);
	free(x);
	return 0;
}

static int read_list(struct tx *tx, void *arg, struct err *err)
{
	struct ctx *x = arg;

	store_pgts_clear(&x->list);
	return store_pgts_list(tx, x->app_id, &x->list, err);
}

static int finish_all(struct tx *tx, void *arg, struct err *err)
{
	struct ctx *x = arg;

	for (int i = 0; i < x->list.n; i++)
		if (store_pgt_finish(tx, x->list.v[i].id, PGT_SUCCEEDED, NULL, true, err) < 0)
			return -1;
	return 0;
}

static int count(struct ctx *x)
{
	struct err err = {0};

	assert_int_equal(store_read(x->st, read_list, x, &err), 0);
	return x->list.n;
}

static void one_a_day_and_one_after_a_pause(void **state)
{
	struct ctx *x = *state;
	AUTO(store_pgt_schedule_clear) struct store_pgt_schedule s = {0};
	struct err err = {0};
	wall_ms due;

	assert_int_equal(pg_schedule_set(&x->t, x->addon_id, "DATABASE_URL", 2, "UTC", &s, &err),
			 0);
	due = s.next_ms;
	assert_true(due > clock_wall_ms() && due <= clock_wall_ms() + DAY);
	assert_int_equal(pg_schedules_run(&x->t, due - 1, &err), 0);
	assert_int_equal(count(x), 0);
	assert_int_equal(pg_schedules_run(&x->t, due, &err), 0);
	assert_int_equal(count(x), 1);
	assert_string_equal(x->list.v[0].from_name, "DATABASE");
	assert_string_equal(x->list.v[0].schedule_id, s.id);
	assert_int_equal(pg_schedules_run(&x->t, due + HOUR, &err), 0);
	assert_int_equal(count(x), 1);
	/* The one of yesterday is not over: no second one behind it. */
	assert_int_equal(pg_schedules_run(&x->t, due + DAY, &err), 0);
	assert_int_equal(count(x), 1);
	assert_int_equal(store_tx(x->st, finish_all, x, &err), 0);
	/* Five days without a platform: one. */
	assert_int_equal(pg_schedules_run(&x->t, due + 6 * DAY + HOUR, &err), 0);
	assert_int_equal(count(x), 2);
	assert_int_equal(pg_schedules_run(&x->t, due + 6 * DAY + 2 * HOUR, &err), 0);
	assert_int_equal(count(x), 2);
}

static void a_schedule_is_changed_by_its_name(void **state)
{
	struct ctx *x = *state;
	AUTO(store_pgt_schedule_clear) struct store_pgt_schedule s = {0};
	struct err err = {0};
	char first[37];

	assert_int_equal(pg_schedule_set(&x->t, x->addon_id, "DATABASE_URL", 2, "UTC", &s, &err),
			 0);
	memcpy(first, s.id, sizeof first);
	store_pgt_schedule_clear(&s);
	assert_int_equal(
		pg_schedule_set(&x->t, x->addon_id, "DATABASE_URL", 4, "Asia/Tokyo", &s, &err), 0);
	assert_string_equal(s.id, first);
	assert_int_equal(s.hour, 4);
	for (int i = 1; i < LIM_SCHEDULES; i++) {
		AUTO(store_pgt_schedule_clear) struct store_pgt_schedule more = {0};
		char name[32];

		snprintf(name, sizeof name, "N%d_URL", i);
		assert_int_equal(pg_schedule_set(&x->t, x->addon_id, name, 2, "UTC", &more, &err),
				 0);
	}
	AUTO(store_pgt_schedule_clear) struct store_pgt_schedule over = {0};
	assert_int_equal(pg_schedule_set(&x->t, x->addon_id, "X_URL", 2, "UTC", &over, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_PARAMS);
}

/* --- how many --- */

static int keep_some(struct tx *tx, void *arg, struct err *err)
{
	struct ctx *x = arg;
	AUTO(store_ids_clear) struct store_ids surplus = {0};
	struct store_pgt like = {0};
	struct store_pgt_new in = {.app_id = x->app_id,
				   .addon_id = x->addon_id,
				   .kind = PGT_BACKUP,
				   .from_name = "DATABASE",
				   .to_name = "BACKUP"};
	char first[37] = "";

	for (int i = 0; i < 6; i++) {
		AUTO(store_pgt_clear) struct store_pgt row = {0};
		static const unsigned char key[PGT_KEY] = {1};

		in.schedule_id = i % 2 ? "11111111-1111-4111-8111-111111111111" : NULL;
		CHECK(store_pgt_insert(tx, &in, &row, err) == 0);
		CHECK(row.num == i + 1);
		CHECK(store_pgt_set_key(tx, row.id, key, err) == 0);
		/* the fifth failed: it counts for nothing, and has no file */
		CHECK(store_pgt_finish(tx, row.id, i == 4 ? PGT_FAILED : PGT_SUCCEEDED,
				       i == 4 ? "no" : NULL, i != 4, err) == 0);
		if (i == 0)
			memcpy(first, row.id, sizeof first);
		memcpy(&like, &(struct store_pgt){0}, sizeof like);
	}
	memcpy(like.app_id, x->app_id, sizeof like.app_id);
	memcpy(like.addon_id, x->addon_id, sizeof like.addon_id);
	CHECK(store_pgt_surplus(tx, &like, &(struct store_pgt_keep){.newest = 2}, &surplus, err) ==
	      0);
	CHECK(surplus.n == 0);
	/* all are of one week */
	CHECK(store_pgt_surplus(tx, &like, &(struct store_pgt_keep){.weeks = 4, .months = 9},
				&surplus, err) == 0);
	CHECK(surplus.n == 1 && strcmp(surplus.v[0], first) == 0);
	store_ids_clear(&surplus);
	CHECK(store_pgt_surplus(tx, &like, &(struct store_pgt_keep){.newest = 1}, &surplus, err) ==
	      0);
	CHECK(surplus.n == 1 && strcmp(surplus.v[0], first) == 0);
	CHECK(store_pgt_delete(tx, first, err) == 0);
	store_ids_clear(&surplus);
	CHECK(store_pgt_files(tx, &surplus, err) == 0);
	CHECK(surplus.n == 4 && !store_ids_has(&surplus, first));
	CHECK(store_pgt_forget(tx, x->app_id, 0, err) == 0);
	/* rows go by number, the newest stays: numbers do not come again */
	store_pgts_clear(&x->list);
	CHECK(store_pgts_list(tx, x->app_id, &x->list, err) == 0);
	CHECK(x->list.n == 4 && x->list.v[3].num == 6);
	for (int i = 0; i < LIM_TRANSFERS_OPEN; i++) {
		AUTO(store_pgt_clear) struct store_pgt row = {0};

		CHECK(store_pgt_insert(tx, &in, &row, err) == 0);
	}
	AUTO(store_pgt_clear) struct store_pgt row = {0};
	CHECK(store_pgt_insert(tx, &in, &row, err) == -1);
	CHECK(err->code == ERR_RATE_LIMIT);
	return 0;
}

/* Twenty, one every three days from 2026-01-01 on. */
static int keep_of_weeks(struct tx *tx, void *arg, struct err *err)
{
	static const struct {
		struct store_pgt_keep keep;
		const char *stay;
	} cases[] = {
		{{.newest = 3}, "18 19 20 "},
		/* 20: Friday, 2026-02-27; Mondays: 02-23, 02-16, 02-09 */
		{{.newest = 1, .weeks = 3}, "16 18 20 "},
		{{.newest = 2, .months = 9}, "11 19 20 "},
		{{.weeks = 1, .months = 2}, "11 20 "},
		{{.newest = 30}, "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 "},
	};
	struct ctx *x = arg;
	struct store_pgt like = {0};
	struct store_pgt_new in = {.app_id = x->app_id,
				   .addon_id = x->addon_id,
				   .kind = PGT_BACKUP,
				   .from_name = "DATABASE",
				   .to_name = "BACKUP",
				   .schedule_id = "11111111-1111-4111-8111-111111111111"};

	for (int i = 0; i < 20; i++) {
		AUTO(store_pgt_clear) struct store_pgt row = {0};

		CHECK(store_pgt_insert(tx, &in, &row, err) == 0);
		CHECK(store_pgt_finish(tx, row.id, PGT_SUCCEEDED, NULL, true, err) == 0);
	}
	CHECK(sqlite3_exec(
		      tx->c->db,
		      "UPDATE transfers SET created_ms = 1767229200000 + (num - 1) * 259200000",
		      NULL, NULL, NULL) == SQLITE_OK);
	memcpy(like.app_id, x->app_id, sizeof like.app_id);
	memcpy(like.addon_id, x->addon_id, sizeof like.addon_id);
	memcpy(like.schedule_id, in.schedule_id, sizeof like.schedule_id);
	store_pgts_clear(&x->list);
	CHECK(store_pgts_list(tx, x->app_id, &x->list, err) == 0);
	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		AUTO(store_ids_clear) struct store_ids surplus = {0};
		AUTO(buf_clear) struct buf stay = {0};

		CHECK(store_pgt_surplus(tx, &like, &cases[c].keep, &surplus, err) == 0);
		for (int i = 0; i < x->list.n; i++)
			if (!store_ids_has(&surplus, x->list.v[i].id))
				buf_addf(&stay, "%d ", x->list.v[i].num);
		CHECK(strcmp(buf_str(&stay), cases[c].stay) == 0);
	}
	return 0;
}

static void one_a_week_and_a_month_stays(void **state)
{
	struct ctx *x = *state;
	struct err err = {0};

	if (store_tx(x->st, keep_of_weeks, x, &err) < 0)
		fail_msg("%s", err.msg);
}

static void the_oldest_go(void **state)
{
	struct ctx *x = *state;
	struct err err = {0};

	if (store_tx(x->st, keep_some, x, &err) < 0)
		fail_msg("%s", err.msg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hour_is_of_the_zone),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test_setup_teardown(one_a_day_and_one_after_a_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(a_schedule_is_changed_by_its_name, setup, teardown),
		cmocka_unit_test_setup_teardown(one_a_week_and_a_month_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(the_oldest_go, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
