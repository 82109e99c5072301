/* Readers behind the writer. */
#include "daemon/core/codec.h"
#include "daemon/log/log_int.h"
#include "tests/unit/test.h"

#include <dirent.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#define APP "11111111-2222-3333-4444-555555555555"

struct fix {
	char *dir;
	struct logd *d;
	struct loop *l;
};

/* Reads on its loop as soon as it is told to, and notes what it gets. */
struct sink {
	struct fix *f;
	struct log_reader *r;
	bool held; /* does not read when told */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t first, last, n, seq;
	struct log_lost lost;
	int64_t next; /* number that the next line should have; -1 = any */
	bool disorder;
};

static void start_log(struct fix *f)
{
	AUTO(auto_str) char *logs = xasprintf("%s/logs", f->dir);
	AUTO(auto_str) char *sock = xasprintf("%s/log.sock", f->dir);
	struct err err = {0};

	if (logd_start(logs, sock, &f->d, &err) < 0)
		fail_msg("%s", err.msg);
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);

	codec_init();
	if (tmp_setup((void **)&f->dir) < 0)
		return -1;
	start_log(f);
	f->l = loop_new("reader");
	loop_start_thread(f->l);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	logd_stop(f->d);
	loop_stop(f->l);
	loop_join(f->l);
	loop_free(f->l);
	if (tmp_teardown((void **)&f->dir) != 0)
		return -1;
	free(f);
	return 0;
}

static void take(struct sink *s, const struct log_line *l)
{
	int64_t num = atoll(l->text + 5);

	if (l->len < 6 || memcmp(l->text, "line ", 5) != 0)
		return;
	if (!s->n)
		s->first = (uint64_t)num;
	s->disorder = s->disorder || l->seq <= s->seq || (s->next >= 0 && num != s->next);
	s->next = num + 1;
	s->seq = l->seq;
	s->last = (uint64_t)num;
	s->n++;
}

static void read_on(struct sink *s)
{
	struct log_line lines[40];
	struct log_lost lost = {0};
	int n;

	while ((n = log_reader_next(s->r, lines, 40, 20000, &lost)) > 0) {
		pthread_mutex_lock(&s->lock);
		if (lost.n)
			s->next = -1; /* a gap that is owned up to */
		s->lost.n += lost.n;
		lost = (struct log_lost){0};
		for (int i = 0; i < n; i++)
			take(s, &lines[i]);
		pthread_cond_broadcast(&s->changed);
		pthread_mutex_unlock(&s->lock);
	}
}

static void on_more(void *arg)
{
	struct sink *s = arg;
	struct log_lost lost = {0};
	uint64_t seq;

	if (!log_reader_place(s->r, &seq, &lost))
		return;
	pthread_mutex_lock(&s->lock);
	s->lost.n += lost.n;
	if (lost.n)
		s->next = -1;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	if (!s->held)
		read_on(s);
}

struct opening {
	struct sink *s;
	uint64_t after;
};

static void do_open(void *arg)
{
	struct opening *o = arg;

	o->s->r = logd_read(o->s->f->d, APP, o->after, o->s->f->l, on_more, o->s);
}

static struct sink *sink_open(struct fix *f, uint64_t after, bool held)
{
	struct sink *s = calloc(1, sizeof *s);
	struct opening o = {s, after};

	s->f = f;
	s->held = held;
	s->next = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	loop_call(f->l, do_open, &o);
	return s;
}

static void do_close(void *arg)
{
	struct sink *s = arg;

	log_reader_close(s->r);
}

static void sink_close(struct sink *s)
{
	loop_call(s->f->l, do_close, s);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static void do_release(void *arg)
{
	struct sink *s = arg;

	s->held = false;
	read_on(s);
}

/* Until so many lines have come or been missed. */
static void await(struct sink *s, uint64_t n)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&s->lock);
	while (s->n + s->lost.n < n && rc == 0)
		rc = pthread_cond_timedwait(&s->changed, &s->lock, &until);
	if (rc != 0)
		fail_msg("%llu lines and %llu lost of %llu", (unsigned long long)s->n,
			 (unsigned long long)s->lost.n, (unsigned long long)n);
	assert_false(s->disorder);
	pthread_mutex_unlock(&s->lock);
}

static void say(struct fix *f, int from, int to, int pad)
{
	for (int i = from; i < to; i++)
		logd_printf(f->d, APP, "app", "web.1", "line %07d%*s", i, pad, "");
}

/* The queue of own lines is bounded: in portions that it takes. */
static void say_all(struct fix *f, int from, int to, int pad)
{
	for (int at = from; at < to; at += 1000) {
		say(f, at, at + 1000 < to ? at + 1000 : to, pad);
		logd_history(f->d, APP, NULL, 0, NULL, NULL, NULL);
	}
}

static void from_now_on_means_now(void **state)
{
	struct fix *f = *state;
	struct sink *s;

	say(f, 0, 10, 0);
	s = sink_open(f, 0, false);
	say(f, 10, 20, 0);
	await(s, 10);
	assert_int_equal(s->first, 10);
	assert_int_equal(s->last, 19);
	assert_int_equal(s->lost.n, 0);
	sink_close(s);
}

static void a_log_that_is_not_there_yet(void **state)
{
	struct fix *f = *state;
	struct sink *s = sink_open(f, 0, false);

	say(f, 0, 3, 0);
	await(s, 3);
	assert_int_equal(s->first, 0);
	sink_close(s);
}

static void many_lines_come_in_order(void **state)
{
	struct fix *f = *state;
	struct sink *s = sink_open(f, 0, false);

	say_all(f, 0, 100000, 60);
	await(s, 100000);
	assert_int_equal(s->lost.n, 0);
	assert_int_equal(s->last, 99999);
	sink_close(s);
}

static void one_that_stands_still_loses_nothing_for_long(void **state)
{
	struct fix *f = *state;
	struct sink *s = sink_open(f, 0, true);

	/* Far beyond what is kept for histories. */
	say_all(f, 0, 100000, 60);
	loop_call(f->l, do_release, s);
	await(s, 100000);
	assert_int_equal(s->lost.n, 0);
	sink_close(s);
}

static uint64_t folder_bytes(struct fix *f)
{
	AUTO(auto_str) char *cmd = xasprintf("du -sb %s/logs/" APP, f->dir);
	FILE *p = popen(cmd, "r");
	unsigned long long n = 0;

	assert_int_equal(fscanf(p, "%llu", &n), 1);
	pclose(p);
	return n;
}

static void what_is_lost_is_counted_exactly(void **state)
{
	struct fix *f = *state;
	struct sink *s = sink_open(f, 0, true);

	say_all(f, 0, 150000, 400);
	assert_true(folder_bytes(f) < (uint64_t)LIM_LOG_BEHIND + (uint64_t)MiB(3));
	loop_call(f->l, do_release, s);
	await(s, 150000);
	assert_true(s->lost.n > 0 && s->n > 20000);
	assert_int_equal(s->n + s->lost.n, 150000);
	assert_int_equal(s->last, 149999);
	sink_close(s);
	/* Nobody wants it any more: the usual is kept. */
	say_all(f, 150000, 160000, 400);
	assert_true(folder_bytes(f) < (uint64_t)LIM_LOG_APP_BYTES + (uint64_t)MiB(3));
}

static void places_outlive_the_process(void **state)
{
	struct fix *f = *state;
	struct sink *s = sink_open(f, 0, false);
	uint64_t seq;

	say_all(f, 0, 20000, 0);
	await(s, 20000);
	seq = s->seq;
	s->held = true; /* nothing comes now */
	say_all(f, 20000, 30000, 0);
	logd_stop(f->d);
	sink_close(s);
	start_log(f);
	s = sink_open(f, seq, false);
	say_all(f, 30000, 30010, 0);
	await(s, 10010);
	assert_int_equal(s->first, 20000);
	assert_int_equal(s->last, 30009);
	assert_int_equal(s->lost.n, 0);
	sink_close(s);
}

static void do_seek(void *arg)
{
	struct opening *o = arg;

	log_reader_rest(o->s->r);
	log_reader_seek(o->s->r, o->after);
	pthread_mutex_lock(&o->s->lock);
	o->s->n = o->s->seq = 0;
	o->s->next = -1;
	pthread_mutex_unlock(&o->s->lock);
	read_on(o->s);
}

static void one_goes_back_to_any_line(void **state)
{
	struct fix *f = *state;
	struct sink *s = sink_open(f, 0, false);
	struct opening o = {s, 0};

	say_all(f, 0, 20000, 0);
	await(s, 20000);
	o.after = s->seq;
	say_all(f, 20000, 25000, 0);
	await(s, 25000);
	loop_call(f->l, do_seek, &o);
	await(s, 5000);
	assert_int_equal(s->first, 20000);
	assert_int_equal(s->last, 24999);
	assert_int_equal(s->lost.n, 0);
	sink_close(s);
}

static void a_forgotten_app_and_a_stopped_log_fall_silent(void **state)
{
	struct fix *f = *state;
	struct sink *s = sink_open(f, 0, false);

	say(f, 0, 5, 0);
	await(s, 5);
	logd_forget(f->d, APP);
	say(f, 5, 10, 0);
	logd_history(f->d, APP, NULL, 0, NULL, NULL, NULL);
	sink_close(s);
	s = sink_open(f, 0, false);
	logd_stop(STEAL(f->d));
	sink_close(s);
	start_log(f);
}

static void *say_on(void *arg)
{
	say_all(arg, 0, 30000, 20);
	return NULL;
}

static void readers_come_and_go(void **state)
{
	struct fix *f = *state;
	pthread_t t;

	pthread_create(&t, NULL, say_on, f);
	for (int i = 0; i < 200; i++) {
		struct sink *s = sink_open(f, i % 3 ? 0 : 1, i % 2);

		sink_close(s);
	}
	pthread_join(t, NULL);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(from_now_on_means_now),
		T(a_log_that_is_not_there_yet),
		T(many_lines_come_in_order),
		T(one_that_stands_still_loses_nothing_for_long),
		T(what_is_lost_is_counted_exactly),
		T(places_outlive_the_process),
		T(one_goes_back_to_any_line),
		T(a_forgotten_app_and_a_stopped_log_fall_silent),
		T(readers_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
