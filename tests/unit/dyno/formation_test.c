/* Formations on a launcher that does as it is told: what starts, serves and stops, in which order.
 */
#include "tests/unit/dyno/fake.h"

struct job {
	int version, n;
	struct dyno_want want[3];
};

static struct dyno_want web(int n)
{
	return (struct dyno_want){"web", "serve", "", n};
}

static struct dyno_want worker(int n)
{
	return (struct dyno_want){"worker", "work", "", n};
}

static void do_scale(void *arg)
{
	struct job *j = arg;

	dynos_scale(fx.dynos, fx.rel[j->version], j->want, j->n);
}

static void scale(int version, int nweb, int nworker)
{
	struct job j = {version, 2, {web(nweb), worker(nworker)}};

	loop_call(fx.loop, do_scale, &j);
}

static void up(const struct err *err, void *arg)
{
	if (err)
		note("failed v%d: %s", (int)(intptr_t)arg, err->msg);
	else
		note("up v%d", (int)(intptr_t)arg);
}

static void do_deploy(void *arg)
{
	struct job *j = arg;

	dynos_deploy(fx.dynos, fx.rel[j->version], j->want, j->n, up, (void *)(intptr_t)j->version);
}

static void deploy(int version, int nweb, int nworker)
{
	struct job j = {version, 2, {web(nweb), worker(nworker)}};

	loop_call(fx.loop, do_deploy, &j);
}

static void do_restart(void *arg)
{
	note(dynos_restart(fx.dynos, APP, arg) ? "restarting" : "nothing to restart");
}

static void restart(const char *name)
{
	loop_call(fx.loop, do_restart, (void *)(uintptr_t)name);
}

/* Two web dynos and a worker of v1 that serve. */
static void serve(void)
{
	scale(1, 2, 1);
	dyno_binds("web.1", 1);
	dyno_binds("web.2", 1);
	await_event("routes web.1/v1 web.2/v1");
	(void)conn_of("worker.1", 1);
}

static void test_scale(void **state)
{
	scale(1, 1, 1);
	await_event("routes");
	dyno_binds("web.1", 1);
	await_event("routes web.1/v1");
	(void)conn_of("worker.1", 1);
	scale(1, 2, 0);
	await_event("TERM worker.1 v1");
	dyno_binds("web.2", 1);
	await_event("routes web.1/v1 web.2/v1");
	scale(1, 1, 0);
	await_event("routes web.1/v1");
	await_event("drain web.2 v1");
	await_event("TERM web.2 v1");
	await_event("removed web.2 v1");
	assert_int_equal(count_events("TERM web.1 v1"), 0);
}

static void test_cutover(void **state)
{
	serve();
	deploy(2, 2, 1);
	dyno_binds("web.2", 2);
	(void)conn_of("web.1", 2);
	assert_int_equal(count_events("routes web.1/v2 web.2/v2"), 0);
	assert_int_equal(count_events("launch worker.1 v2"), 0);
	dyno_binds("web.1", 2);
	await_event("routes web.1/v2 web.2/v2");
	await_event("up v2");
	await_count("removed web.1 v1", 1);
	await_count("removed web.2 v1", 1);
	assert_int_equal(count_events("drain web.1 v1"), 1);
	(void)conn_of("worker.1", 2);
	assert_int_equal(count_events("TERM worker.1 v1"), 1);
	assert_int_equal(count_events("TERM web.1 v2"), 0);
}

static void test_no_web_dynos(void **state)
{
	scale(1, 0, 1);
	(void)conn_of("worker.1", 1);
	deploy(2, 0, 1);
	await_event("up v2");
	await_count("launch worker.1 v2", 1);
}

static void test_crash_at_boot_keeps_the_old(void **state)
{
	serve();
	deploy(2, 2, 1);
	(void)conn_of("web.2", 2);
	dyno_exits("web.1", 2, 3);
	await_event("failed v2: web.1 exited with status 3 before it was up");
	await_count("removed web.2 v2", 1);
	assert_int_equal(count_events("KILL web.2 v2"), 1);
	assert_int_equal(count_events("TERM web.1 v1"), 0);
	assert_int_equal(count_events("TERM worker.1 v1"), 0);
	assert_int_equal(count_events("launch web.1 v2"), 1);
	deploy(3, 1, 1);
	dyno_binds("web.1", 3);
	await_event("up v3");
}

static void test_boot_timeout(void **state)
{
	serve();
	fx.cfg.boot_timeout_s = 1;
	deploy(2, 1, 0);
	await_event(
		"failed v2: Web process failed to bind to $PORT within 1 seconds of launch (R10)");
	await_count("KILL web.1 v2", 1);
	assert_int_equal(count_events("TERM web.1 v1"), 0);
}

static void test_launcher_error(void **state)
{
	serve();
	fx.refuse = true;
	deploy(2, 1, 1);
	await_event("failed v2: no sandbox today");
	fx.refuse = false;
	scale(1, 3, 1);
	dyno_binds("web.3", 1);
	await_event("routes web.1/v1 web.2/v1 web.3/v1");
}

static void test_back_off(void **state)
{
	mono_ms second, third;

	fx.cfg.crash_backoff_s = 1;
	scale(1, 1, 0);
	dyno_exits("web.1", 1, 1);
	await_event("launch web.1 v1");
	second = await_event("launch web.1 v1"); /* the first crash: at once */
	dyno_exits("web.1", 1, 1);
	third = await_event("launch web.1 v1");
	assert_true(third - second >= 1000);
	dyno_binds("web.1", 1);
	await_event("routes web.1/v1");
}

static void test_type_removed_while_crashed(void **state)
{
	scale(1, 1, 1);
	dyno_exits("worker.1", 1, 1);
	await_count("launch worker.1 v1", 2);
	await_count("removed worker.1 v1", 1);
	dyno_exits("worker.1", 1, 1); /* waits for ten minutes now */
	await_count("removed worker.1 v1", 2);
	deploy(2, 1, 0);
	dyno_binds("web.1", 2);
	await_event("up v2");
	scale(2, 1, 1);
	await_event("launch worker.1 v2");
}

static void test_restart_one_after_another(void **state)
{
	serve();
	restart("web");
	(void)conn_of("web.1", 1);
	await_event("launch web.1 v1");
	assert_int_equal(count_events("launch web.2 v1"), 1);
	assert_int_equal(count_events("TERM web.1 v1"), 0);
	dyno_binds("web.1", 1);
	await_count("removed web.1 v1", 1);
	await_count("launch web.2 v1", 2);
	assert_int_equal(count_events("TERM web.1 v1"), 1);
	dyno_binds("web.2", 1);
	await_event("TERM web.2 v1");
	restart("nothing");
	await_event("nothing to restart");
}

/* The one whose turn it is goes away with the scale: the next ones' turn comes. */
static void test_scale_during_a_restart(void **state)
{
	serve();
	scale(1, 3, 1);
	dyno_binds("web.3", 1);
	await_event("routes web.1/v1 web.2/v1 web.3/v1");
	restart("web.3");
	await_count("launch web.3 v1", 2);
	restart("web");
	scale(1, 2, 1);
	await_count("launch web.1 v1", 2);
	dyno_binds("web.1", 1);
	await_count("launch web.2 v1", 2);
	dyno_binds("web.2", 1);
	await_event("TERM web.2 v1");
}

static void size(const char *name)
{
	struct job j = {1, 2, {web(2), worker(1)}};

	j.want[0].size = name;
	loop_call(fx.loop, do_scale, &j);
}

/* Each replacement serves before the old one goes; of two sizes the later is what they end up with.
 */
static void test_size_changes_without_a_gap(void **state)
{
	struct dyno_info *v = NULL;
	int n;

	serve();
	size("Standard-2X");
	await_count("launch web.1 v1", 2);
	assert_int_equal(count_events("TERM web.1 v1"), 0);
	size("Performance-M");
	await_count("launch web.1 v1", 3);
	dyno_binds("web.1", 1);
	await_count("launch web.2 v1", 2);
	dyno_binds("web.2", 1);
	await_event("TERM web.2 v1");
	n = dynos_list(fx.dynos, APP, &v);
	for (int i = 0; i < n; i++)
		if (strcmp(v[i].type, "web") == 0 && v[i].state == DYNO_UP)
			assert_string_equal(v[i].size, "Performance-M");
	dyno_infos_free(v, n);
}

static void test_scale_during_a_cutover(void **state)
{
	serve();
	deploy(2, 2, 1);
	(void)conn_of("web.1", 2);
	(void)conn_of("web.2", 2);
	scale(1, 1, 0);
	restart("web");
	assert_int_equal(count_events("TERM web.2 v1"), 0);
	dyno_binds("web.1", 2);
	dyno_binds("web.2", 2);
	await_event("up v2");
	assert_int_equal(count_events("KILL web.1 v2") + count_events("TERM web.1 v2"), 0);
	assert_int_equal(count_events("launch web.1 v2"), 1);
	scale(2, 1, 0);
	await_count("TERM web.2 v2", 1);
	await_count("removed worker.1 v2", 1);
}

static void gone(void *arg)
{
	note("forgotten");
}

static void forget(void *arg)
{
	dynos_forget(fx.dynos, APP, gone, NULL);
}

static void test_destroy_during_a_cutover(void **state)
{
	serve();
	deploy(2, 2, 1);
	(void)conn_of("web.1", 2);
	(void)conn_of("web.2", 2);
	loop_call(fx.loop, forget, NULL);
	await_event("failed v2: The app was destroyed");
	await_event("forgotten");
	assert_int_equal(count_events("KILL web.1 v1"), 1);
	assert_int_equal(count_events("KILL web.1 v2"), 1);
	assert_int_equal(count_events("removed worker.1 v1"), 1);
}

/* The router's answer comes after the end of all: it must find nothing, and nobody waits for it. */
static void test_stop_while_draining(void **state)
{
	serve();
	fx.hold = true;
	scale(1, 1, 1);
	await_event("drain web.2 v1");
}

static void test_slugs_that_run_are_in_use(void **state)
{
	serve();
	fx.hold = true;
	deploy(2, 2, 0);
	dyno_binds("web.1", 2);
	dyno_binds("web.2", 2);
	await_event("up v2");
	assert_true(dynos_use_slug(fx.dynos, "slug2"));
	assert_true(dynos_use_slug(fx.dynos, "slug1")); /* they drain */
	assert_false(dynos_use_slug(fx.dynos, "slug3"));
}

/* --- a restart of paasd ---------------------------------------------------------------------- */

static struct dyno_release *release_of(const char *app_id, const char *release_id, void *arg)
{
	for (int v = 1; v <= RELEASES; v++)
		if (strcmp(fx.rel[v]->release_id, release_id) == 0)
			return fx.rel[v];
	return NULL;
}

static void adopted(void *arg)
{
	note("adopted");
}

static void let_go(void *arg)
{
	dynos_stop_all(fx.dynos, true, adopted, NULL);
}

static void adopt(void *arg)
{
	new_dynos(NULL);
	dynos_adopt(fx.dynos, release_of, adopted, NULL);
}

static void restart_paasd(void)
{
	loop_call(fx.loop, let_go, NULL);
	await_event("adopted");
	dynos_free(fx.dynos);
	loop_call(fx.loop, adopt, NULL);
	await_event("adopted");
}

static void assume(void *arg)
{
	dynos_assume(fx.dynos, fx.rel[1]);
}

static void test_cutover_taken_up(void **state)
{
	serve();
	deploy(2, 2, 1);
	dyno_binds("web.1", 2);
	(void)conn_of("web.2", 2);
	restart_paasd();
	loop_call(fx.loop, assume, NULL);
	deploy(2, 2, 1);
	assert_int_equal(count_events("up v2"), 0);
	dyno_binds("web.2", 2);
	await_event("up v2");
	await_count("TERM web.1 v1", 1);
	(void)conn_of("worker.1", 2);
	assert_int_equal(count_events("launch web.1 v2"), 1);
	assert_int_equal(count_events("launch web.2 v2"), 1);
}

/* Scaled down while the cut-over was under way: what it had started for web.2 is in the way. */
static void test_cutover_taken_up_smaller(void **state)
{
	serve();
	deploy(2, 2, 1);
	(void)conn_of("web.1", 2);
	dyno_binds("web.2", 2);
	restart_paasd();
	loop_call(fx.loop, assume, NULL);
	deploy(2, 1, 1);
	dyno_binds("web.1", 2);
	await_event("up v2");
	await_count("removed web.2 v1", 1);
	assert_int_equal(count_events("TERM web.2 v2"), 1);
}

/* The first deploy of an app, whose dyno does not come up after the restart. */
static void test_first_cutover_taken_up_fails(void **state)
{
	deploy(1, 1, 1);
	(void)conn_of("web.1", 1);
	restart_paasd();
	deploy(1, 1, 1);
	dyno_exits("web.1", 1, 1);
	await_event("failed v1: web.1 exited with status 1 before it was up");
	await_count("removed web.1 v1", 1);
	assert_int_equal(count_events("launch web.1 v1"), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)
	const struct CMUnitTest tests[] = {
		T(test_scale),
		T(test_size_changes_without_a_gap),
		T(test_cutover),
		T(test_no_web_dynos),
		T(test_crash_at_boot_keeps_the_old),
		T(test_boot_timeout),
		T(test_launcher_error),
		T(test_back_off),
		T(test_type_removed_while_crashed),
		T(test_restart_one_after_another),
		T(test_scale_during_a_restart),
		T(test_scale_during_a_cutover),
		T(test_destroy_during_a_cutover),
		T(test_stop_while_draining),
		T(test_slugs_that_run_are_in_use),
		T(test_cutover_taken_up),
		T(test_cutover_taken_up_smaller),
		T(test_first_cutover_taken_up_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
