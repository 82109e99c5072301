/* loop, pool, clock, sm: what runs where and when. */
#include "daemon/core/clock.h"
#include "daemon/core/loop.h"
#include "daemon/core/pool.h"
#include "daemon/core/sm.h"
#include "tests/unit/test.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>

struct order {
	struct loop *l;
	int last, wrong, n;
};

struct post {
	struct order *o;
	int i;
};

static void note(void *arg)
{
	struct post *p = arg;

	p->o->wrong += p->i != p->o->last + 1 || !loop_is_here(p->o->l);
	p->o->last = p->i;
	p->o->n++;
}

static void posts_run_once_in_order_on_the_loop(void **state)
{
	struct order o = {loop_new("t"), -1, 0, 0};
	struct post p[1000];

	assert_false(loop_is_here(o.l));
	loop_start_thread(o.l);
	for (int i = 0; i < 1000; i++) {
		p[i] = (struct post){&o, i};
		assert_true(loop_post(o.l, note, &p[i]));
	}
	loop_stop(o.l); /* what was posted before still runs */
	loop_join(o.l);
	assert_int_equal(o.n, 1000);
	assert_int_equal(o.wrong, 0);
	assert_false(loop_post(o.l, note, &p[0]));
	loop_free(o.l);
}

struct shared {
	struct loop *l;
	_Atomic int n;
};

static void count(void *arg)
{
	atomic_fetch_add(&((struct shared *)arg)->n, 1);
}

static void *poster(void *arg)
{
	for (int i = 0; i < 2000; i++)
		loop_post(((struct shared *)arg)->l, count, arg);
	return NULL;
}

static void any_thread_may_post(void **state)
{
	struct shared s = {loop_new("t"), 0};
	pthread_t t[4];

	loop_start_thread(s.l);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, poster, &s), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	loop_call(s.l, count, &s);
	assert_int_equal(s.n, 8001);
	loop_stop(s.l);
	loop_join(s.l);
	loop_free(s.l);
}

struct timers {
	struct loop *l;
	struct loop_timer *never;
	int fired;
	mono_ms at;
};

static void not_this(void *arg)
{
	((struct timers *)arg)->fired += 100;
}

static void fired(void *arg)
{
	struct timers *t = arg;

	t->fired++;
	loop_timer_stop(t->never);
	loop_stop(t->l);
}

static void arm(void *arg)
{
	struct timers *t = arg;

	t->at = clock_mono_ms();
	t->never = loop_timer_start(t->l, 60000, not_this, t);
	loop_timer_start(t->l, 20, fired, t);
	loop_timer_stop(NULL);
}

static void timers_fire_once_or_are_stopped(void **state)
{
	struct timers t = {.l = loop_new("t")};

	loop_post(t.l, arm, &t);
	loop_run(t.l);
	assert_int_equal(t.fired, 1);
	assert_true(clock_mono_ms() - t.at >= 19);
	loop_free(t.l);
	loop_free(NULL);
}

static void hold(void *arg)
{
	sem_wait(arg);
}

static void a_pool_runs_all_and_refuses_what_is_too_much(void **state)
{
	struct pool *p = pool_new("t", 2, 3);
	struct shared s = {0};
	int taken = 0;
	sem_t go;

	sem_init(&go, 0, 0);
	assert_true(pool_submit(p, hold, &go));
	assert_true(pool_submit(p, hold, &go));
	/* Two run or wait to; of ten more at most three are queued beside them. */
	for (int i = 0; i < 10; i++)
		taken += pool_submit(p, count, &s);
	assert_in_range(taken, 1, 3);
	sem_post(&go);
	sem_post(&go);
	pool_free(p);
	assert_int_equal(s.n, taken);
	sem_destroy(&go);
}

static void wake(void *arg)
{
	sem_post(arg);
}

static void a_thread_of_its_own(void **state)
{
	sem_t done;

	sem_init(&done, 0, 0);
	thread_start("a-name-longer-than-15", wake, &done);
	sem_wait(&done);
	sem_destroy(&done);
}

static void times_have_the_apis_form(void **state)
{
	char out[CLOCK_ISO_LEN];
	wall_ms t = clock_wall_ms();

	clock_iso(1769860800000, out);
	assert_string_equal(out, "2026-01-31T12:00:00Z");
	clock_iso_us(1769860800123456, out);
	assert_string_equal(out, "2026-01-31T12:00:00.123456+00:00");
	clock_iso(INT64_MAX, out);
	assert_int_equal(strlen(out), 20);
	clock_shift(5000);
	assert_in_range(clock_wall_ms() - t, 5000, 25000);
	clock_shift(-5000);
}

enum { A, B, C };

static void moves_follow_the_table(void **state)
{
	static const struct sm_state table[] = {
		[A] = {"a", SM_TO(B) | SM_TO(C)},
		[B] = {"b", SM_TO(C)},
		[C] = {"c", 0},
	};
	struct sm m = {.table = table, .what = "test", .state = A};

	sm_move(&m, B);
	assert_false(sm_final(&m));
	sm_move(&m, C);
	assert_true(sm_final(&m));
	assert_int_equal(sm_by_name(table, 3, "b"), B);
	assert_int_equal(sm_by_name(table, 3, "x"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(posts_run_once_in_order_on_the_loop),
		cmocka_unit_test(any_thread_may_post),
		cmocka_unit_test(timers_fire_once_or_are_stopped),
		cmocka_unit_test(a_pool_runs_all_and_refuses_what_is_too_much),
		cmocka_unit_test(a_thread_of_its_own),
		cmocka_unit_test(times_have_the_apis_form),
		cmocka_unit_test(moves_follow_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
