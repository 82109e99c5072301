/* Builds among others: queue, cancel, limits, kept outputs, crashes. */
#include "tests/unit/build/flow.h"

static void a_running_build_can_be_cancelled(void **state)
{
	struct fixture *f = *state;
	struct run r;
	pthread_t t;

	assert_false(build_cancel(f->b, "00000000-0000-0000-0000-000000000000"));
	pack(f, "one", "echo go; sleep 300");
	prepare(&r, f, "one");
	pthread_create(&t, NULL, run_thread, &r);
	wait_for_text(&r, "go\n");
	assert_true(build_cancel(f->b, r.req.build_id));
	pthread_join(t, NULL);
	refused(&r, ERR_CANCELED);
	has(&r, " !     Build canceled\n");
	has(&r, " !     Push failed\n");
	assert_false(build_cancel(f->b, r.req.build_id));
	done(&r);
}

static void a_build_that_takes_too_long_ends(void **state)
{
	struct fixture *f = *state;
	struct run r;

	f->cfg.build_timeout_s = 1;
	pack(f, "one", "sleep 300");
	prepare(&r, f, "one");
	run(&r);
	refused(&r, ERR_TIMEOUT);
	has(&r, " !     The build took longer than 1 seconds and was stopped\n");
	done(&r);
}

static void of_those_that_wait_the_newest_wins(void **state)
{
	struct fixture *f = *state;
	struct run r[3];
	pthread_t t[3];

	pack(f, "one", "echo go; until [ -e ../../../../../go-on ]; do sleep 0.02; done");
	for (int i = 0; i < 3; i++)
		prepare(&r[i], f, "one");
	pthread_create(&t[0], NULL, run_thread, &r[0]);
	wait_for_text(&r[0], "go\n");
	pthread_create(&t[1], NULL, run_thread, &r[1]);
	wait_for_text(&r[1], "-----> Waiting for this app's running build to end\n");
	pthread_create(&t[2], NULL, run_thread, &r[2]);
	pthread_join(t[1], NULL);
	refused(&r[1], ERR_CANCELED);
	has(&r[1], " !     A newer push superseded this build\n");
	wait_for_text(&r[2], "Waiting");
	put(at(f, "go-on"), "", 0644);
	for (int i = 0; i < 3; i += 2) {
		pthread_join(t[i], NULL);
		ok(&r[i]);
	}
	for (int i = 0; i < 3; i++)
		done(&r[i]);
}

static void an_announced_build_can_be_cancelled_before_it_comes(void **state)
{
	struct fixture *f = *state;
	struct run r;

	pack(f, "one", "sleep 300");
	prepare(&r, f, "one");
	build_announce(f->b, r.req.build_id);
	assert_true(build_cancel(f->b, r.req.build_id));
	run(&r);
	refused(&r, ERR_CANCELED);
	has(&r, " !     Build canceled\n");
	assert_false(build_cancel(f->b, r.req.build_id));
	done(&r);
	build_announce(f->b, f->app_id);
	build_retract(f->b, f->app_id);
	assert_false(build_cancel(f->b, f->app_id));
}

/* Threads start in any order: what counts is when they were announced. */
static void an_older_build_that_comes_late_makes_way(void **state)
{
	struct fixture *f = *state;
	struct run old, new;
	pthread_t t;

	pack(f, "one", "echo go; until [ -e ../../../../../go-on ]; do sleep 0.02; done");
	prepare(&old, f, "one");
	prepare(&new, f, "one");
	build_announce(f->b, old.req.build_id);
	build_announce(f->b, new.req.build_id);
	pthread_create(&t, NULL, run_thread, &new);
	wait_for_text(&new, "go\n");
	run(&old);
	refused(&old, ERR_CANCELED);
	has(&old, "superseded");
	put(at(f, "go-on"), "", 0644);
	pthread_join(t, NULL);
	ok(&new);
	done(&old);
	done(&new);
}

static void apps_share_a_limit(void **state)
{
	struct fixture *f = *state;
	struct run r[3];
	pthread_t t[3];

	pack(f, "one", "echo go; until [ -e ../../../../../go-on ]; do sleep 0.02; done");
	for (int i = 0; i < 3; i++) {
		prepare(&r[i], f, "one");
		uuid_new(r[i].req.app_id);
		pthread_create(&t[i], NULL, run_thread, &r[i]);
		wait_for_text(&r[i], i < 2 ? "go\n" : "-----> Waiting for other builds to end\n");
	}
	put(at(f, "go-on"), "", 0644);
	for (int i = 0; i < 3; i++) {
		pthread_join(t[i], NULL);
		ok(&r[i]);
		done(&r[i]);
	}
}

static void the_reserve_of_the_disk_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct run r;

	f->cfg.disk_reserve_mb = 1LL << 40;
	pack(f, "one", "true");
	prepare(&r, f, "one");
	run(&r);
	refused(&r, ERR_DISK_FULL);
	has(&r, " !     Not enough disk space to build: ");
	assert_int_equal(started, 0);
	done(&r);
}

static void the_caller_may_go_on_printing(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_clear) struct buf got = {0};
	struct run r;
	bool ended;

	pack(f, "one", "true");
	prepare(&r, f, "one");
	r.req.keep_output_open = true;
	run(&r);
	ok(&r);
	build_output_add(f->b, r.req.build_id, "-----> Launching...\n", 20);
	assert_int_equal(build_output(f->b, r.req.build_id, 0, &got, &ended, NULL), 0);
	assert_false(ended);
	build_output_end(f->b, r.req.build_id);
	buf_add(&r.out, "-----> Launching...\n", 20);
	done(&r);
}

static void only_the_last_outputs_are_kept(void **state)
{
	struct fixture *f = *state;
	struct run r;
	char first[37];
	AUTO(buf_clear) struct buf got = {0};
	bool ended;

	for (int i = 0; i < 22; i++) {
		prepare(&r, f, "nobody/knows");
		run(&r);
		if (i == 0)
			memcpy(first, r.req.build_id, 37);
		done(&r);
	}
	assert_int_equal(build_output(f->b, first, 0, &got, &ended, NULL), -1);
	assert_int_equal(access(at(f, "state/builds/%s", first), F_OK), -1);
	assert_int_equal(build_forget_app(f->b, f->app_id, &r.err), 0);
	assert_int_equal(build_output(f->b, r.req.build_id, 0, &got, &ended, NULL), -1);
	assert_int_equal(access(at(f, "state/builds/by-app/%s", f->app_id), F_OK), -1);
}

static void a_crash_leaves_only_outputs(void **state)
{
	struct fixture *f = *state;
	struct run r;
	char dead[37];
	AUTO(buf_clear) struct buf got = {0};
	struct err err = {0};
	bool ended;

	prepare(&r, f, "nobody/knows");
	run(&r);
	uuid_new(dead);
	put(at(f, "state/builds/%s/output", dead), "-----> half", 0600);
	put(at(f, "state/builds/%s/app/x", dead), "x", 0000);
	put(at(f, "state/builds/%s/env/SECRET", dead), "x", 0600);
	assert_int_equal(builds_sweep(f->b, &err), 0);
	assert_int_equal(build_output(f->b, dead, 0, &got, &ended, &err), 0);
	assert_true(ended);
	assert_string_equal(buf_str(&got),
			    "-----> half\n !     The platform was restarted while this build ran\n"
			    "\n !     Push failed\n");
	assert_int_equal(access(at(f, "state/builds/%s/env", dead), F_OK), -1);
	assert_int_equal(access(at(f, "state/builds/%s/app", dead), F_OK), -1);
	done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_running_build_can_be_cancelled),
		T(a_build_that_takes_too_long_ends),
		T(an_announced_build_can_be_cancelled_before_it_comes),
		T(an_older_build_that_comes_late_makes_way),
		T(of_those_that_wait_the_newest_wins),
		T(apps_share_a_limit),
		T(the_reserve_of_the_disk_is_left_alone),
		T(the_caller_may_go_on_printing),
		T(only_the_last_outputs_are_kept),
		T(a_crash_leaves_only_outputs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
