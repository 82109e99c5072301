/* What must run once runs once, whenever paasd or the launcher dies. */
#include "tests/unit/dyno/fake.h"
#include "daemon/core/fsx.h"

#define RUN_ID "22222222-2222-4222-8222-222222222222"

static void started(const struct dyno_info *i, const struct err *err, void *arg)
{
	note("started: %s", err ? err->msg : "yes");
}

static void ended(const struct dyno_info *i, void *arg)
{
	note("ended: %d", i->exit_code);
}

static const struct oneoff_ops ops = {.started = started, .ended = ended};

static void run_command(void *arg)
{
	const struct oneoff_req req = {
		.type = "release", .num = 1, .id = RUN_ID, .command = "migrate"};

	dynos_oneoff(fx.dynos, fx.rel[1], &req, &ops);
}

static struct dyno_release *release_of(const char *app_id, const char *release_id, void *arg)
{
	return strcmp(fx.rel[1]->release_id, release_id) == 0 ? fx.rel[1] : NULL;
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

struct watch {
	bool runs;
	int code;
};

static void do_watch(void *arg)
{
	struct watch *w = arg;

	w->runs = dynos_watch(fx.dynos, RUN_ID, &ops, &w->code);
}

static struct watch watch(void)
{
	struct watch w = {.code = 99};

	loop_call(fx.loop, do_watch, &w);
	return w;
}

/* Between the two a paasd that is started anew would find neither dyno nor end. */
static void test_end_is_noted_ahead_of_the_removal(void **state)
{
	loop_call(fx.loop, run_command, NULL);
	await_event("started: yes");
	dyno_exits("release.1", 1, 0);
	await_event("ended: 0");
	await_event("removed release.1 v1");
	assert_int_equal(fx.ends_noted, 1);
	restart_paasd();
	assert_false(watch().runs);
	assert_int_equal(watch().code, 0);
}

/* The launcher is still at it: the folder is there, what told the end is not. */
static void test_removal_under_way(void **state)
{
	AUTO(auto_str) char *end = xasprintf("%s/meta/%s.end", fx.dir, RUN_ID);
	struct err err = {0};

	loop_call(fx.loop, run_command, NULL);
	await_event("started: yes");
	assert_int_equal(fs_write_atomic(end, "3", 1, 0600, &err), 0);
	restart_paasd();
	assert_false(watch().runs);
	assert_int_equal(watch().code, 3);
	await_event("removed release.1 v1");
	assert_int_equal(count_events("launch release.1 v1"), 1);
}

static void test_runs_on(void **state)
{
	loop_call(fx.loop, run_command, NULL);
	await_event("started: yes");
	restart_paasd();
	assert_true(watch().runs);
	dyno_exits("release.1", 1, 4);
	await_event("ended: 4");
	await_event("removed release.1 v1");
}

static void test_launcher_dies_once_it_runs(void **state)
{
	fx.dies = true;
	loop_call(fx.loop, run_command, NULL);
	await_event("started: yes");
	dyno_exits("release.1", 1, 0);
	await_event("ended: 0");
	await_event("removed release.1 v1");
	assert_int_equal(count_events("launch release.1 v1"), 1);
}

static void test_never_ran(void **state)
{
	restart_paasd();
	assert_false(watch().runs);
	assert_int_equal(watch().code, DYNO_NEVER_RAN);
}

static void test_launcher_is_away_at_start(void **state)
{
	loop_call(fx.loop, run_command, NULL);
	await_event("started: yes");
	err_set(&fx.list_err, ERR_UNAVAILABLE, "the launcher has gone away");
	fx.list_fails = 3;
	restart_paasd();
	assert_true(watch().runs);
	dyno_exits("release.1", 1, 0);
	await_event("removed release.1 v1");
}

/* Who cannot see says so: that nothing ran would be a guess. */
static void test_launcher_does_not_tell(void **state)
{
	err_set(&fx.list_err, ERR_INTERNAL, "no list today");
	fx.list_fails = 1;
	restart_paasd();
	assert_false(watch().runs);
	assert_int_equal(watch().code, DYNO_LOST);
}

/* Its meta file is gone with the run directory: the host was started anew. */
static void test_dyno_of_an_earlier_boot(void **state)
{
	AUTO(auto_str) char *meta = xasprintf("%s/meta/%s", fx.dir, RUN_ID);

	loop_call(fx.loop, run_command, NULL);
	await_event("started: yes");
	loop_call(fx.loop, let_go, NULL);
	await_event("adopted");
	dynos_free(fx.dynos);
	assert_int_equal(unlink(meta), 0);
	loop_call(fx.loop, adopt, NULL);
	await_event("adopted");
	assert_false(watch().runs);
	assert_int_equal(watch().code, DYNO_LOST);
	await_event("removed release.1 v1");
}

#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_end_is_noted_ahead_of_the_removal),
		T(test_removal_under_way),
		T(test_runs_on),
		T(test_launcher_dies_once_it_runs),
		T(test_never_ran),
		T(test_launcher_is_away_at_start),
		T(test_launcher_does_not_tell),
		T(test_dyno_of_an_earlier_boot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
