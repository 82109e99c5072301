/* Apps that sleep, on a launcher that does as it is told. */
#include "tests/unit/dyno/fake.h"

struct job {
	int version, n;
	struct dyno_want want[2];
};

static struct job of(int version, int nweb, int nworker)
{
	return (struct job){
		version, 2, {{"web", "serve", "", nweb}, {"worker", "work", "", nworker}}};
}

static void do_scale(void *arg)
{
	struct job *j = arg;

	dynos_scale(fx.dynos, fx.rel[j->version], j->want, j->n);
}

static void scale(int version, int nweb, int nworker)
{
	struct job j = of(version, nweb, nworker);

	loop_call(fx.loop, do_scale, &j);
}

static void up(const struct err *err, void *arg)
{
	note("%s", err ? "failed" : "deployed");
}

static void do_deploy(void *arg)
{
	struct job *j = arg;

	dynos_deploy(fx.dynos, fx.rel[j->version], j->want, j->n, up, NULL);
}

static void deploy(int version, int nweb, int nworker)
{
	struct job j = of(version, nweb, nworker);

	loop_call(fx.loop, do_deploy, &j);
}

static void do_sleep_app(void *arg)
{
	note(dynos_sleep(fx.dynos, APP) ? "sleeps" : "does not sleep");
}

static void do_wake(void *arg)
{
	note(dynos_wake(fx.dynos, APP) ? "wakes" : "does not wake");
}

static void do_restart(void *arg)
{
	dynos_restart(fx.dynos, APP, arg);
}

static void do_stop(void *arg)
{
	dynos_stop(fx.dynos, APP, arg);
}

static void look(void *arg)
{
	static const char *const webs[] = {"up", "booting", "crashed", "none", "asleep"};
	AUTO(buf_clear) struct buf b = {0};
	struct dyno_info *v = NULL;
	int n = dynos_list(fx.dynos, APP, &v);

	for (int i = 0; i < n; i++)
		buf_addf(&b, " %s%s", v[i].name, v[i].state == DYNO_IDLE ? "(idle)" : "");
	dyno_infos_free(v, n);
	note("%s:%s", webs[dynos_web_state(fx.dynos, APP)], buf_str(&b));
}

static void call(void (*fn)(void *arg), const char *arg)
{
	loop_call(fx.loop, fn, (void *)(uintptr_t)arg);
}

static void asleep(void)
{
	scale(1, 2, 1);
	dyno_binds("web.1", 1);
	dyno_binds("web.2", 1);
	(void)conn_of("worker.1", 1);
	await_event("routes web.1/v1 web.2/v1");
	call(do_sleep_app, NULL);
	await_event("sleeps");
	call(look, NULL);
	await_count("removed web.1 v1", 1);
	await_count("removed web.2 v1", 1);
	await_count("removed worker.1 v1", 1);
}

static void test_sleep_and_wake(void **state)
{
	asleep();
	await_event("asleep: web.1(idle) web.2(idle) worker.1(idle)");
	assert_int_equal(count_events("drain web.1 v1"), 1);
	call(do_sleep_app, NULL);
	await_event("does not sleep");
	call(do_wake, NULL);
	await_event("wakes");
	call(do_wake, NULL);
	await_event("does not wake");
	call(look, NULL);
	await_event("booting: web.1 web.2 worker.1");
	dyno_binds("web.1", 1);
	await_event("routes web.1/v1");
	assert_int_equal(count_events("launch web.1 v1"), 2);
	await_count("launch worker.1 v1", 2); /* launches go side by side */
}

static void test_a_crash_at_waking(void **state)
{
	asleep();
	call(do_wake, NULL);
	dyno_exits("web.1", 1, 3);
	await_count("launch web.1 v1", 3); /* the first crash: at once */
	dyno_exits("web.1", 1, 3);
	dyno_binds("web.2", 1);
	await_event("routes web.2/v1");
	call(do_sleep_app, NULL);
	await_event("sleeps");
	call(look, NULL);
	await_event("asleep: web.1(idle) web.2(idle) worker.1(idle)");
}

static void test_scale_leaves_it_asleep(void **state)
{
	asleep();
	scale(1, 1, 2);
	call(look, NULL);
	await_event("asleep: web.1(idle) worker.1(idle) worker.2(idle)");
	assert_int_equal(count_events("launch worker.2 v1"), 0);
	/* Nobody could wake it. */
	scale(1, 0, 2);
	await_count("launch worker.1 v1", 2);
	await_count("launch worker.2 v1", 1);
	call(do_sleep_app, NULL);
	await_event("does not sleep");
}

static void test_restart_wakes_all_once(void **state)
{
	asleep();
	call(do_stop, "web");
	call(look, NULL);
	await_event("asleep: web.1(idle) web.2(idle) worker.1(idle)");
	call(do_restart, "worker");
	await_count("launch web.1 v1", 2);
	await_count("launch web.2 v1", 2);
	await_count("launch worker.1 v1", 2);
	dyno_binds("web.1", 1);
	await_event("routes web.1/v1");
	call(look, NULL);
	assert_int_equal(count_events("TERM worker.1 v1"), 1);
	assert_int_equal(count_events("launch worker.1 v1"), 2);
}

static void test_a_deploy_wakes_it(void **state)
{
	asleep();
	deploy(2, 2, 1);
	call(do_wake, NULL);
	await_event("does not wake"); /* it comes up anyway */
	dyno_binds("web.1", 2);
	dyno_binds("web.2", 2);
	await_event("deployed");
	call(look, NULL);
	await_event("up: web.1 web.2 worker.1");
	assert_int_equal(count_events("launch web.1 v1"), 1);
}

static void test_a_deploy_that_fails_leaves_it_asleep(void **state)
{
	asleep();
	deploy(2, 1, 1);
	call(look, NULL);
	await_event("booting: web.1 web.2(idle) worker.1(idle)");
	dyno_exits("web.1", 2, 3);
	await_event("failed");
	call(look, NULL);
	await_event("asleep: web.1(idle) web.2(idle) worker.1(idle)");
	assert_int_equal(count_events("launch web.1 v1"), 1);
	call(do_wake, NULL);
	await_count("launch web.1 v1", 2);
}

static void test_asleep_while_a_restart_comes_up(void **state)
{
	scale(1, 1, 0);
	dyno_binds("web.1", 1);
	await_event("routes web.1/v1");
	call(do_restart, "web");
	await_count("launch web.1 v1", 2);
	call(do_sleep_app, NULL);
	await_count("removed web.1 v1", 2);
	call(look, NULL);
	await_event("asleep: web.1(idle)");
}

static void restore(void *arg)
{
	struct job j = of(1, 1, 1);

	note(dynos_sleep_restore(fx.dynos, APP, 1000) ? "restored" : "runs");
	dynos_crash_restore(fx.dynos, APP, "web.1", 3, clock_wall_ms() + 1);
	do_scale(&j);
	look(NULL);
}

static void test_it_slept_before_a_restart(void **state)
{
	call(restore, NULL);
	await_event("restored");
	await_event("asleep: web.1(idle) worker.1(idle)");
	call(do_wake, NULL);
	dyno_binds("web.1", 1);
	await_event("routes web.1/v1");
	call(restore, NULL);
	await_event("runs");
	await_event("up: web.1 worker.1");
	assert_int_equal(count_events("launch web.1 v1"), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_sleep_and_wake),
		T(test_a_crash_at_waking),
		T(test_scale_leaves_it_asleep),
		T(test_restart_wakes_all_once),
		T(test_a_deploy_wakes_it),
		T(test_a_deploy_that_fails_leaves_it_asleep),
		T(test_asleep_while_a_restart_comes_up),
		T(test_it_slept_before_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
