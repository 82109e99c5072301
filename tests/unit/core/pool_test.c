#include "daemon/core/pool.h"
#include "tests/unit/test.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { THREADS = 4, JOBS = 1000 };

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int at_work, most, done;
	bool open; /* jobs may end */
} s = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void reset(bool open)
{
	s.at_work = s.most = s.done = 0;
	s.open = open;
}

static void job(void *arg)
{
	pthread_mutex_lock(&s.lock);
	s.at_work++;
	if (s.at_work > s.most)
		s.most = s.at_work;
	pthread_cond_broadcast(&s.changed);
	while (!s.open)
		pthread_cond_wait(&s.changed, &s.lock);
	s.at_work--;
	s.done++;
	pthread_cond_broadcast(&s.changed);
	pthread_mutex_unlock(&s.lock);
}

static void await(const int *what, int n)
{
	pthread_mutex_lock(&s.lock);
	while (*what < n)
		pthread_cond_wait(&s.changed, &s.lock);
	pthread_mutex_unlock(&s.lock);
}

static void release_all(void)
{
	pthread_mutex_lock(&s.lock);
	s.open = true;
	pthread_cond_broadcast(&s.changed);
	pthread_mutex_unlock(&s.lock);
}

/* Those of pools named "test": sanitisers have threads of their own. */
static int threads(void)
{
	DIR *d = opendir("/proc/self/task");
	int n = 0;

	assert_non_null(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		char path[300], name[32] = "";
		FILE *f;

		snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
		f = fopen(path, "r");
		if (f && !fgets(name, sizeof name, f))
			name[0] = 0;
		if (f)
			fclose(f);
		n += strncmp(name, "test", 4) == 0;
	}
	closedir(d);
	return n;
}

/* One that has been joined may be in the list for a moment yet. */
static void await_threads(int n)
{
	const struct timespec moment = {0, 2000000};

	for (int i = 0; i < 5000 && threads() > n; i++)
		nanosleep(&moment, NULL);
	assert_int_equal(threads(), n);
}

static void jobs_run_side_by_side_up_to_the_limit(void **state)
{
	struct pool *p = pool_new("test", THREADS, JOBS);

	reset(false);
	for (int i = 0; i < 3 * THREADS; i++)
		assert_true(pool_submit(p, job, NULL));
	await(&s.at_work, THREADS);
	release_all();
	pool_free(p); /* queued ones still run */
	assert_int_equal(s.done, 3 * THREADS);
	assert_int_equal(s.most, THREADS);
}

static void too_many_are_refused(void **state)
{
	struct pool *p = pool_new("test", 1, 2);

	reset(false);
	assert_true(pool_submit(p, job, NULL));
	await(&s.at_work, 1);
	assert_true(pool_submit(p, job, NULL));
	assert_true(pool_submit(p, job, NULL));
	assert_false(pool_submit(p, job, NULL));
	release_all();
	pool_free(p);
	assert_int_equal(s.done, 3);
}

static void at_rest_there_is_no_thread(void **state)
{
	struct pool *p = pool_new("test", THREADS, JOBS);

	await_threads(0);
	pool_keep(p, 5);
	for (int round = 1; round <= 3; round++) { /* places of ended threads are taken again */
		reset(false);
		for (int i = 0; i < THREADS; i++)
			assert_true(pool_submit(p, job, NULL));
		await(&s.at_work, THREADS);
		assert_int_equal(threads(), THREADS);
		release_all();
		await(&s.done, THREADS);
		await_threads(0);
	}
	pool_free(p);
}

static void a_free_thread_takes_the_next_job(void **state)
{
	struct pool *p = pool_new("test", THREADS, JOBS);

	await_threads(0);
	reset(true);
	for (int i = 0; i < JOBS; i++) {
		assert_true(pool_submit(p, job, NULL));
		await(&s.done, i + 1);
	}
	assert_in_range(threads(), 1, THREADS);
	pool_free(p);
	await_threads(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_run_side_by_side_up_to_the_limit),
		cmocka_unit_test(too_many_are_refused),
		cmocka_unit_test(at_rest_there_is_no_thread),
		cmocka_unit_test(a_free_thread_takes_the_next_job),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
