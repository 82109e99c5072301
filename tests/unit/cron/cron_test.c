/* The scheduler under a clock of the test's own, with dynos that do as they are told. */
#include "tests/unit/test.h"
#include "daemon/core/codec.h"
#include "daemon/cron/cron_int.h"
#include "daemon/store/app.h"
#include "daemon/store/build.h"
#include "daemon/store/release.h"
#include "daemon/store/user.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>

#define MINUTE 60000
#define DAY    (24 * 60 * MINUTE)

enum { MAX = 1000 };

struct dyno {
	char id[37], name[24], command[80];
	struct oneoff_ops ops;
	bool running;
};

static struct {
	void *dir;
	struct store *st;
	struct loop *loop;
	struct logd *log;
	struct cron *cron;
	char user[37], app[37];
	struct dyno dynos[MAX]; /* loop thread, as what follows */
	int n, stopped, forgotten;
	bool hold; /* dynos do not end by themselves */
	/* of a restart */
	bool watched;
	int code; /* of one that is not there */
} fx;

/* --- dynos ---------------------------------------------------------------------------------------
 */

static void end_dyno(struct dyno *d, int code)
{
	struct dyno_info i = {.exit_code = code};

	d->running = false;
	d->ops.ended(&i, d->ops.arg);
}

static void start(void *arg, const char *app_id, const struct oneoff_req *req,
		  const struct oneoff_ops *ops)
{
	struct dyno_info i = {.created_ms = clock_wall_ms()};
	struct dyno *d = &fx.dynos[fx.n++];

	assert(fx.n < MAX && strcmp(req->type, "scheduler") == 0); /* cmocka's are of one thread */
	*d = (struct dyno){.ops = *ops, .running = true};
	snprintf(d->id, sizeof d->id, "%s", req->id);
	snprintf(d->name, sizeof d->name, "%s.%d", req->type, req->num);
	snprintf(d->command, sizeof d->command, "%s", req->command);
	ops->started(&i, NULL, ops->arg);
	if (!fx.hold)
		end_dyno(d, strcmp(d->command, "false") == 0);
}

static bool watch(void *arg, const char *dyno_id, const struct oneoff_ops *ops, int *exit_code)
{
	*exit_code = fx.code;
	if (fx.watched) {
		struct dyno *d = &fx.dynos[fx.n++];

		*d = (struct dyno){.ops = *ops, .running = true};
		snprintf(d->id, sizeof d->id, "%s", dyno_id);
	}
	return fx.watched;
}

static void stop(void *arg, const char *app_id, const char *name)
{
	fx.stopped++;
	for (int i = 0; i < fx.n; i++)
		if (fx.dynos[i].running && strcmp(fx.dynos[i].name, name) == 0)
			end_dyno(&fx.dynos[i], 143);
}

static void forget_end(void *arg, const char *dyno_id)
{
	fx.forgotten++;
}

/* --- the clock
 * ------------------------------------------------------------------------------------ */

static void settled(void *arg)
{
	*(bool *)arg = !fx.cron->looking && !fx.cron->look_again && fx.cron->writes == 0;
}

/* Until all that was due is in the store. */
static void settle(void)
{
	bool done = false;

	for (int i = 0; i < 50000 && !done; i++) {
		loop_call(fx.loop, settled, &done);
		if (!done)
			usleep(100);
	}
	assert_true(done);
}

/* To a time of the clock, in steps. */
static void run_until(wall_ms end, int64_t step)
{
	while (clock_wall_ms() < end) {
		clock_shift(step);
		cron_look(fx.cron);
		settle();
	}
}

static void go(void *arg)
{
	cron_start(fx.cron);
}

static void end_cron(void *arg)
{
	cron_stop(fx.cron, NULL, NULL);
}

static void new_cron(void)
{
	const struct cron_ops ops = {NULL, start, watch, stop, forget_end};

	fx.cron = cron_new(fx.loop, fx.st, fx.log, &ops);
	loop_call(fx.loop, go, NULL);
	settle();
}

/* paasd is killed and started again, so much later. */
static void restart(int64_t later)
{
	loop_call(fx.loop, end_cron, NULL);
	settle();
	cron_free(fx.cron);
	clock_shift(later);
	new_cron();
}

/* --- rows
 * ------------------------------------------------------------------------------------------ */

static void add_job(const char *name, const char *schedule, const char *zone,
		    enum job_overlap overlap, enum job_missed missed)
{
	const struct cron_change in = {.name = name,
				       .command = name,
				       .schedule = schedule,
				       .timezone = zone,
				       .overlap = overlap,
				       .missed = missed,
				       .enabled = -1};
	struct store_job j;
	struct err err = {0};

	if (cron_add(fx.cron, fx.app, &in, &j, &err) < 0)
		fail_msg("%s", err.msg);
	store_job_clear(&j);
	settle();
}

struct count {
	const char *job;
	int states[RUN_LOST + 1], n, code;
	char failure[100];
};

static int count_runs(struct tx *tx, void *arg, struct err *err)
{
	struct count *c = arg;
	AUTO(store_job_clear) struct store_job j = {0};
	AUTO(store_job_runs_clear) struct store_job_runs l = {0};

	memset(c->states, 0, sizeof c->states);
	if (store_job_find(tx, fx.app, c->job, &j, err) < 0 ||
	    store_job_run_list(tx, fx.app, j.id, 1000, &l, err) < 0)
		return -1;
	c->n = l.n;
	for (int i = 0; i < l.n; i++)
		c->states[l.v[i].state]++;
	if (l.n) {
		c->code = l.v[0].exit_code;
		snprintf(c->failure, sizeof c->failure, "%s", l.v[0].failure ? l.v[0].failure : "");
	}
	return 0;
}

static struct count runs_of(const char *job)
{
	struct count c = {.job = job};
	struct err err = {0};

	if (store_read(fx.st, count_runs, &c, &err) < 0)
		fail_msg("%s", err.msg);
	return c;
}

static int started(const char *command)
{
	int n = 0;

	for (int i = 0; i < fx.n; i++)
		n += strcmp(fx.dynos[i].command, command) == 0;
	return n;
}

/* --- fixture
 * ---------------------------------------------------------------------------------------- */

static int seed_app(struct tx *tx, void *arg, struct err *err)
{
	AUTO(store_user_clear) struct store_user u = {0};
	AUTO(store_app_clear) struct store_app a = {0};

	if (store_user_create(tx, "a@example.com", NULL, NULL, true, &u, err) < 0 ||
	    store_app_create(tx, "shop", u.id, "heroku-22", &a, err) < 0)
		return -1;
	memcpy(fx.user, u.id, sizeof fx.user);
	memcpy(fx.app, a.id, sizeof fx.app);
	return 0;
}

/* manifest: of a slug of its own. */
static int seed_release(struct tx *tx, void *arg, struct err *err)
{
	AUTO(store_release_clear) struct store_release r = {0};
	const char *manifest = arg;
	char id[37];
	struct store_slug_new slug = {.id = id,
				      .app_id = fx.app,
				      .process_types = "{\"work\": \"bin/work\"}",
				      .stack = "heroku-22",
				      .manifest = manifest,
				      .size = 10};
	struct store_release_new in = {.app_id = fx.app,
				       .user_id = fx.user,
				       .slug_id = id,
				       .process_types = "{\"work\": \"bin/work\"}",
				       .description = "test"};

	uuid_new(id);
	if (store_slug_insert(tx, &slug, err) < 0 || store_release_insert(tx, &in, &r, err) < 0)
		return -1;
	return store_release_make_current(tx, r.id, err);
}

static void release(const char *manifest)
{
	struct err err = {0};

	if (store_tx(fx.st, seed_release, (void *)(uintptr_t)manifest, &err) < 0)
		fail_msg("%s", err.msg);
}

static int setup(void **state)
{
	AUTO(auto_str) char *logs = NULL, *sock = NULL;
	struct err err = {0};

	codec_init();
	memset(&fx, 0, sizeof fx);
	if (tmp_setup(&fx.dir) < 0)
		return -1;
	*state = fx.dir;
	logs = xasprintf("%s/logs", (char *)fx.dir);
	sock = xasprintf("%s/log.sock", (char *)fx.dir);
	if (mkdir(logs, 0700) < 0 || logd_start(logs, sock, &fx.log, &err) < 0 ||
	    store_open(":memory:", NULL, &fx.st, &err) < 0 ||
	    store_tx(fx.st, seed_app, NULL, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return -1;
	}
	fx.loop = loop_new("test");
	loop_start_thread(fx.loop);
	/* On a day of its own, at the start of an hour: 2026-03-28, a day before summer time. */
	clock_shift(1774656000000 - clock_wall_ms());
	new_cron();
	return 0;
}

static int teardown(void **state)
{
	loop_call(fx.loop, end_cron, NULL);
	settle();
	loop_stop(fx.loop);
	loop_join(fx.loop);
	cron_free(fx.cron);
	store_close(fx.st);
	logd_stop(fx.log);
	loop_free(fx.loop);
	return tmp_teardown(state);
}

/* --- tests
 * ------------------------------------------------------------------------------------------ */

static void each_kind_for_two_days(void **state)
{
	wall_ms begin = clock_wall_ms();

	release(NULL);
	add_job("often", "every 10 minutes", "UTC", JOB_SKIP, JOB_MISSED_SKIP);
	add_job("hour", "hourly:30", "UTC", JOB_SKIP, JOB_MISSED_SKIP);
	add_job("night", "daily:02:30", "Europe/Berlin", JOB_SKIP, JOB_MISSED_SKIP);
	add_job("false", "20 4 * * sun", "UTC", JOB_SKIP, JOB_MISSED_SKIP);
	add_job("work more", "@yearly", "UTC", JOB_SKIP, JOB_MISSED_SKIP);
	run_until(begin + 2 * DAY - 5 * MINUTE, 10 * MINUTE);
	assert_int_equal(started("often"), 288);
	assert_int_equal(started("hour"), 48);
	/* 02:30 on the 28th, and 03:00 on the 29th, when there is no 02:30. */
	assert_int_equal(started("night"), 2);
	assert_int_equal(started("false"), 1);
	assert_int_equal(started("bin/work more"), 0);
	assert_int_equal(runs_of("hour").states[RUN_SUCCEEDED], 48);
	assert_int_equal(runs_of("false").states[RUN_FAILED], 1);
	assert_int_equal(runs_of("false").code, 1);
	assert_int_equal(runs_of("often").n, LIM_JOB_RUNS); /* older ones went */
	assert_int_equal(fx.forgotten, fx.n);
}

static void nothing_is_deployed(void **state)
{
	add_job("early", "* * * * *", "UTC", JOB_SKIP, JOB_MISSED_SKIP);
	run_until(clock_wall_ms() + 2 * MINUTE, MINUTE);
	assert_int_equal(fx.n, 0);
	assert_string_equal(runs_of("early").failure, "nothing is deployed");
}

static void overlaps(void **state)
{
	release(NULL);
	fx.hold = true;
	add_job("one", "* * * * *", "UTC", JOB_SKIP, JOB_MISSED_SKIP);
	add_job("many", "* * * * *", "UTC", JOB_ALLOW, JOB_MISSED_SKIP);
	add_job("last", "* * * * *", "UTC", JOB_REPLACE, JOB_MISSED_SKIP);
	run_until(clock_wall_ms() + 3 * MINUTE, MINUTE);
	assert_int_equal(started("one"), 1);
	assert_int_equal(runs_of("one").states[RUN_SKIPPED], 2);
	assert_string_equal(runs_of("one").failure, "the run before still goes");
	assert_int_equal(started("many"), 3);
	assert_int_equal(runs_of("many").states[RUN_RUNNING], 3);
	assert_int_equal(started("last"), 3);
	assert_int_equal(fx.stopped, 2);
	assert_int_equal(runs_of("last").states[RUN_RUNNING], 1);
	assert_int_equal(runs_of("last").states[RUN_FAILED], 2);
}

static void missed_ones(void **state)
{
	release(NULL);
	add_job("let go", "* * * * *", "UTC", JOB_SKIP, JOB_MISSED_SKIP);
	add_job("caught up", "* * * * *", "UTC", JOB_SKIP, JOB_MISSED_ONCE);
	restart(DAY);
	assert_int_equal(started("let go"), 0);
	assert_int_equal(runs_of("let go").states[RUN_SKIPPED], 1);
	assert_int_equal(started("caught up"), 1);
	run_until(clock_wall_ms() + MINUTE, MINUTE);
	assert_int_equal(started("let go"), 1);
	assert_int_equal(started("caught up"), 2);
}

static void a_little_late_is_not_missed(void **state)
{
	release(NULL);
	add_job("job", "* * * * *", "UTC", JOB_SKIP, JOB_MISSED_SKIP);
	restart(MINUTE + 5000);
	assert_int_equal(started("job"), 1);
}

/* A run under way when paasd ended. */
static struct count taken_up(bool watched, int code)
{
	release(NULL);
	fx.hold = true;
	add_job("job", "* * * * *", "UTC", JOB_SKIP, JOB_MISSED_SKIP);
	run_until(clock_wall_ms() + MINUTE, MINUTE);
	assert_int_equal(runs_of("job").states[RUN_RUNNING], 1);
	fx.watched = watched;
	fx.code = code;
	restart(0);
	return runs_of("job");
}

static void end_last(void *arg)
{
	end_dyno(&fx.dynos[fx.n - 1], 5);
}

static void it_goes_on_over_a_restart(void **state)
{
	assert_int_equal(taken_up(true, 0).states[RUN_RUNNING], 1);
	loop_call(fx.loop, end_last, NULL);
	settle();
	assert_int_equal(runs_of("job").states[RUN_FAILED], 1);
	assert_int_equal(runs_of("job").code, 5);
	assert_int_equal(started("job"), 1);
}

static void it_ended_during_a_restart(void **state)
{
	assert_int_equal(taken_up(false, 0).states[RUN_SUCCEEDED], 1);
	assert_int_equal(started("job"), 1);
	assert_int_equal(fx.forgotten, 1);
}

static void it_was_lost(void **state)
{
	assert_int_equal(taken_up(false, DYNO_NEVER_RAN).states[RUN_LOST], 1);
	assert_int_equal(started("job"), 1);
}

static int seed_starting(struct tx *tx, void *arg, struct err *err)
{
	AUTO(store_job_clear) struct store_job j = {0};
	AUTO(store_job_run_clear) struct store_job_run r = {0};

	if (store_job_find(tx, fx.app, "job", &j, err) < 0)
		return -1;
	return store_job_run_insert(tx, &j, clock_wall_ms() + *(int64_t *)arg, NULL, &r, err);
}

static struct count committed_only(int64_t due)
{
	struct err err = {0};

	release(NULL);
	add_job("job", "@yearly", "UTC", JOB_SKIP, JOB_MISSED_SKIP);
	assert_int_equal(store_tx(fx.st, seed_starting, &due, &err), 0);
	fx.code = DYNO_NEVER_RAN;
	restart(0);
	return runs_of("job");
}

static void committed_but_not_started_runs_now(void **state)
{
	assert_int_equal(committed_only(0).states[RUN_SUCCEEDED], 1);
	assert_int_equal(started("job"), 1);
}

static void of_before_the_host_was_started_nobody_knows(void **state)
{
	assert_int_equal(committed_only(-20LL * 366 * DAY).states[RUN_LOST], 1);
	assert_int_equal(started("job"), 0);
}

static int list_jobs(struct tx *tx, void *arg, struct err *err)
{
	AUTO(store_jobs_clear) struct store_jobs l = {0};
	struct buf *out = arg;

	buf_reset(out);
	if (store_job_list(tx, fx.app, &l, err) < 0)
		return -1;
	for (int i = 0; i < l.n; i++)
		buf_addf(out, "%s|%s|%s%s%s\n", l.v[i].command, l.v[i].schedule, l.v[i].timezone,
			 l.v[i].manifest ? "|m" : "", l.v[i].enabled ? "" : "|off");
	return 0;
}

static void assert_jobs(const char *want)
{
	AUTO(buf_clear) struct buf b = {0};
	struct err err = {0};

	assert_int_equal(store_read(fx.st, list_jobs, &b, &err), 0);
	assert_string_equal(buf_str(&b), want);
}

static void app_json(void **state)
{
	struct cron_change off = {.overlap = -1, .missed = -1, .enabled = 0};
	struct store_job j;
	struct err err = {0};

	add_job("mine", "@daily", "UTC", JOB_SKIP, JOB_MISSED_SKIP);
	release("{\"cron\": [{\"command\": \"a\", \"schedule\": \"@daily\"}, {\"command\": \"b\", "
		"\"schedule\": \"hourly:10\", \"timezone\": \"Europe/Berlin\", \"overlap\": "
		"\"allow\"}, {\"command\": \"c\", \"schedule\": \"nonsense\"}]}");
	assert_int_equal(cron_sync_app(fx.cron, fx.app, &err), 0);
	assert_jobs("mine|@daily|UTC\na|@daily|UTC|m\nb|hourly:10|Europe/Berlin|m\n");
	/* Not by hand, but off and on. */
	off.command = "other";
	assert_int_equal(cron_update(fx.cron, fx.app, "b", &off, &j, &err), -1);
	assert_int_equal(cron_remove(fx.cron, fx.app, "b", &j, &err), -1);
	off.command = NULL;
	assert_int_equal(cron_update(fx.cron, fx.app, "b", &off, &j, &err), 0);
	store_job_clear(&j);
	/* The switch stays when the schedule changes, and what is not there any more goes. */
	release("{\"cron\": [{\"command\": \"b\", \"schedule\": \"hourly:20\"}]}");
	restart(0); /* paasd was killed before it could look: at the start it does */
	assert_jobs("mine|@daily|UTC\nb|hourly:20|UTC|m|off\n");
	release(NULL);
	assert_int_equal(cron_sync_app(fx.cron, fx.app, &err), 0);
	assert_jobs("mine|@daily|UTC\n");
}

static void by_hand(void **state)
{
	AUTO(store_job_run_clear) struct store_job_run r = {0};
	struct err err = {0};

	add_job("work -n 3", "@yearly", "UTC", JOB_SKIP, JOB_MISSED_SKIP);
	assert_int_equal(cron_run(fx.cron, fx.app, "work -n 3", &r, &err), -1);
	assert_int_equal(err.code, ERR_NO_SLUG);
	release(NULL);
	assert_int_equal(cron_run(fx.cron, fx.app, "work -n 3", &r, &err), 0);
	settle();
	assert_int_equal(started("bin/work -n 3"), 1); /* a process type stands for its command */
	store_job_run_clear(&r);
	assert_int_equal(cron_run(fx.cron, fx.app, "none", &r, &err), -1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_kind_for_two_days),
		T(nothing_is_deployed),
		T(overlaps),
		T(missed_ones),
		T(a_little_late_is_not_missed),
		T(it_goes_on_over_a_restart),
		T(it_ended_during_a_restart),
		T(it_was_lost),
		T(committed_but_not_started_runs_now),
		T(of_before_the_host_was_started_nobody_knows),
		T(app_json),
		T(by_hand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
